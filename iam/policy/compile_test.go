package policy_test

import (
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/policy"
)

func TestCompilePrincipal(t *testing.T) {
	canonical := strings.Repeat("0a", 32)
	tests := []struct {
		typ                policy.PrincipalType
		value              string
		form               policy.PrincipalForm
		account, partition string
	}{
		{policy.AnyPrincipal, "*", policy.Everyone, "", ""},
		{policy.AWS, "*", policy.Everyone, "", ""},
		{policy.AWS, "111122223333", policy.AccountForm, "111122223333", ""},
		{policy.AWS, "11112222333", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws-cn:iam::111122223333:root", policy.AccountForm, "111122223333", "aws-cn"},
		{policy.AWS, "arn:aws:iam::111122223333:rootling", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws:iam::111122223333:user/path/anna", policy.UserForm, "111122223333", "aws"},
		{policy.AWS, "arn:aws:iam::111122223333:user/", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws:iam::111122223333:group/x", policy.UnknownForm, "", ""}, // rule 5
		{policy.AWS, "arn:aws-us-gov:iam::111122223333:role/ci", policy.RoleForm, "111122223333", "aws-us-gov"},
		{policy.AWS, "arn:aws:iam::111122223333:role/ci*", policy.UnknownForm, "", ""}, // rule 54
		{policy.AWS, "arn:aws:iam::*:root", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws:iam:eu-west-1:111122223333:role/ci", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws:sts::111122223333:assumed-role/ci/run", policy.SessionForm, "111122223333", "aws"},
		{policy.AWS, "arn:aws:sts::111122223333:assumed-role/ci", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws:sts::111122223333:assumed-role//run", policy.UnknownForm, "", ""},
		{policy.AWS, "arn:aws:sts::111122223333:assumed-role/ci/*", policy.UnknownForm, "", ""}, // rule 119
		{policy.AWS, "arn:aws:sts::111122223333:federated-user/anna", policy.FederatedUser, "111122223333", "aws"},
		{policy.AWS, "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1", policy.UserForm, "", "aws"},
		{policy.AWS, "AROAEXAMPLEEXAMPLE123", policy.UniqueIDForm, "", ""},
		{policy.AWS, "arn:aws:s3:::bucket", policy.UnknownForm, "", ""},
		{policy.AWS, "", policy.UnknownForm, "", ""},
		{policy.Service, "ec2.amazonaws.com", policy.ServiceForm, "", ""},
		{policy.Service, "*", policy.UnknownForm, "", ""},
		{policy.Service, "ec2", policy.UnknownForm, "", ""},
		{policy.Federated, "arn:aws:iam::111122223333:oidc-provider/token.example.com", policy.ProviderForm, "111122223333", "aws"},
		{policy.Federated, "arn:aws:iam::111122223333:saml-provider/idp", policy.ProviderForm, "111122223333", "aws"},
		{policy.Federated, "arn:aws:iam::111122223333:role/x", policy.UnknownForm, "", ""},
		{policy.Federated, "accounts.google.com", policy.IssuerForm, "", ""},
		{policy.Federated, "*", policy.UnknownForm, "", ""},
		{policy.CanonicalUser, canonical, policy.CanonicalForm, "", ""},
		{policy.CanonicalUser, canonical[1:], policy.UnknownForm, "", ""},
		{0, "111122223333", policy.UnknownForm, "", ""},
	}
	for _, tt := range tests {
		got := policy.CompilePrincipal(tt.typ, tt.value)
		want := policy.CompiledPrincipal{Type: tt.typ, Value: tt.value, Form: tt.form, Account: tt.account, Partition: tt.partition}
		if got != want {
			t.Errorf("%s %q: got %+v, want %+v", tt.typ, tt.value, got, want)
		}
	}
}

// TestCompileActions: names are compared without case (rule 80), wildcards stand anywhere (81), NotAction is all else (82).
func TestCompileActions(t *testing.T) {
	for _, tt := range []struct {
		element, action string
		want            bool
	}{
		{`"Action":"S3:Get*"`, "s3:getobject", true},
		{`"Action":"S3:Get*"`, "s3:putobject", false},
		{`"Action":["a:b","*:get?bject"]`, "s3:getobject", true},
		{`"NotAction":"s3:*"`, "s3:getobject", false},
		{`"NotAction":"s3:*"`, "iam:passrole", true},
		{`"Action":[]`, "s3:getobject", false},
		{`"Action":["s3:*",1]`, "iam:passrole", true}, // what the 1 covers is not known
		{`"Action":"s3:*","NotAction":"s3:*"`, "iam:passrole", true},
		{`"action":"s3:*"`, "iam:passrole", true},
	} {
		d, _ := policy.Parse([]byte(statement(`"Effect":"Allow","Resource":"*",` + tt.element)))
		r := &policy.Compile(d).Rules[0]
		if got := r.Actions.Match(tt.action); got != tt.want {
			t.Errorf("%s matches %s: got %v, want %v", tt.element, tt.action, got, tt.want)
		}
	}
}

func TestCompileResources(t *testing.T) {
	const before = "has a variable before its fifth colon"
	tests := []struct {
		version, element string
		patterns         []string // as text; templates begin with "template "
		reason           string
	}{
		{"2012-10-17", `"Resource":"arn:aws:s3:::b/${aws:username}"`, []string{"template arn:aws:s3:::b/${aws:username}"}, ""},
		{"2008-10-17", `"Resource":"arn:aws:s3:::b/${aws:username}"`, []string{"arn:aws:s3:::b/${aws:username}"}, ""}, // rule 78
		{"2012-10-17", `"Resource":["arn:aws:s3:::b","*"]`, []string{"arn:aws:s3:::b", "*"}, ""},
		{"2012-10-17", `"Resource":"arn:aws:iam::${aws:PrincipalAccount}:role/x"`, []string{"arn:aws:iam::*"}, before}, // rule 75
		{"2012-10-17", `"Resource":"${aws:username}"`, []string{"*"}, before},
		{"2008-10-17", `"Resource":"arn:aws:iam::${x}:role/x"`, []string{"arn:aws:iam::${x}:role/x"}, ""},
		{"2012-10-17", `"Resource":"arn:aws:s3:::b/${open"`, []string{"arn:aws:s3:::b/*"}, "variable without closing brace"},
		{"2012-10-17", `"NotResource":["arn:aws:s3:::b/${open","c"]`, []string{"c"}, "variable without closing brace"},
		{"2012-10-17", `"Resource":["a",1]`, nil, "expected a string"},
	}
	for _, tt := range tests {
		d, _ := policy.Parse([]byte(`{"Version":"` + tt.version + `","Statement":{"Effect":"Allow","Action":"*",` + tt.element + `}}`))
		r := policy.Compile(d).Rules[0]
		var got []string
		for _, v := range r.Resources.Values {
			if v.Template != nil {
				got = append(got, "template "+v.Template.String())
			} else {
				got = append(got, v.Pattern.String())
			}
		}
		if !slices.Equal(got, tt.patterns) {
			t.Errorf("%s: got %q, want %q", tt.element, got, tt.patterns)
		}
		if (r.NotUnderstood == "") != (tt.reason == "") || !strings.Contains(r.NotUnderstood, tt.reason) {
			t.Errorf("%s: not understood because %q, want %q", tt.element, r.NotUnderstood, tt.reason)
		}
	}
}

// TestCompileWidens: what could not be read excludes nobody from a statement that is not understood.
func TestCompileWidens(t *testing.T) {
	const rest = `"Effect":"Allow","Action":"*","Resource":"*",`
	for _, elements := range []string{
		`"Principal":"someone"`, `"Principal":{"Aws":"*"}`, `"Principal":{"AWS":["111122223333",null]}`,
		`"Principal":{"AWS":"111122223333"},"NotPrincipal":{"AWS":"111122223333"}`,
	} {
		d, _ := policy.Parse([]byte(statement(rest + elements)))
		r := policy.Compile(d).Rules[0]
		unknown := slices.ContainsFunc(r.Principals.Values, func(p policy.CompiledPrincipal) bool { return p.Form == policy.UnknownForm })
		if r.NotUnderstood == "" || !unknown {
			t.Errorf("%s: reason %q, principals %+v; want a reason and a principal of unknown form", elements, r.NotUnderstood, r.Principals.Values)
		}
	}
	d, _ := policy.Parse([]byte(statement(rest + `"Condition":{"StringEquals":{"a":["x",null],"b":[],"c":"y"}}`)))
	r := policy.Compile(d).Rules[0]
	if r.NotUnderstood == "" || len(r.Condition) != 1 || r.Condition[0].Key != "c" {
		t.Errorf("reason %q, condition %+v; want only the test of c, and a reason", r.NotUnderstood, r.Condition)
	}
}

// TestCompileBuilt: a document that did not come from Parse is judged too.
func TestCompileBuilt(t *testing.T) {
	action := policy.Element{Present: true, Values: []policy.Text{{Value: "a:b"}}}
	p := policy.Compile(&policy.Document{Statements: []policy.Statement{{Action: action}, {Effect: policy.Deny}, {Effect: policy.Allow, Action: action}}})
	for i, want := range []string{"the statement has no Effect", "the statement has neither Action nor NotAction", ""} {
		if got := p.Rules[i].NotUnderstood; got != want {
			t.Errorf("statement %d: got %q, want %q", i, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	const allow, deny = `"Effect":"Allow","Action":"a:b"`, `"Effect":"Deny","Action":"a:b"`
	const all = `,"Resource":"*"`
	tests := []struct {
		name string
		kind policy.Kind
		in   string
		want []string
	}{
		{"identity", policy.Identity, statement(allow + all), nil},
		{"identity with principal", policy.Identity, statement(allow + all + `,"Principal":"*"`), []string{"1:62 this kind of policy has no Principal: it is attached to whom it concerns"}},
		{"boundary without resource", policy.Boundary, statement(allow), []string{"1:14 the statement has neither Resource nor NotResource"}},
		{"trust", policy.Trust, statement(allow + `,"Principal":{"AWS":"111122223333"}`), nil},
		{"trust without principal", policy.Trust, statement(allow), []string{"1:14 the statement has no Principal: this kind of policy must say whom it concerns"}},
		{"trust with resource", policy.Trust, statement(allow + `,"Principal":"*"` + all), []string{"1:63 a trust policy has no Resource: it concerns its own role"}},
		{"trust with NotPrincipal", policy.Trust, statement(allow + `,"NotPrincipal":"*"`), []string{"1:47 a trust policy cannot allow with NotPrincipal"}},
		{"RCP", policy.RCP, statement(deny + all + `,"Principal":"*"`), nil},
		{"RCP that allows", policy.RCP, statement(allow + all + `,"Principal":"*"`), []string{"1:24 a resource control policy only denies"}},
		{"RCP for one account", policy.RCP, statement(deny + all + `,"Principal":{"AWS":"111122223333"}`), []string{`1:61 the Principal of a resource control policy is "*"`}},
		{"wildcard in a principal", policy.AnyKind, statement(allow + `,"Principal":{"AWS":"arn:aws:iam::111122223333:role/*"}`), []string{`1:66 principal "arn:aws:iam::111122223333:role/*": a wildcard stands alone, under AWS, or not at all`}},
		{"wildcard session", policy.Trust, statement(allow + `,"Principal":{"AWS":"arn:aws:sts::111122223333:assumed-role/r/*"}`), []string{`1:66 principal "arn:aws:sts::111122223333:assumed-role/r/*": a wildcard stands alone, under AWS, or not at all`}},
		{"principal of no form", policy.AnyKind, statement(allow + `,"Principal":{"Service":"ec2"}`), []string{`1:70 principal "ec2" is of no form that Service may have`}},
		{"no statement", policy.AnyKind, `{"Statement":[]}`, []string{"1:1 Statement is empty: the grammar asks for one statement at least"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, problems := policy.Parse([]byte(tt.in))
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			if got := said(policy.Check(d, tt.kind)); !slices.Equal(got, tt.want) {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}
