package compare

import (
	"fmt"
	"strings"
	"testing"

	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// read compiles statements, given without their list.
func read(t testing.TB, statements string) []*policy.Policy {
	t.Helper()
	d, problems := policy.Parse([]byte(`{"Version": "2012-10-17", "Statement": [` + statements + `]}`))
	for _, p := range problems {
		if p.Fatal {
			t.Fatalf("%v in %s", p, statements)
		}
	}
	return []*policy.Policy{policy.Compile(d)}
}

const (
	getData  = `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}`
	readData = `{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::data/*"}`
	all      = `{"Effect": "Allow", "Action": "*", "Resource": "*"}`
)

func identity(effect, action, resource, condition string) string {
	if condition != "" {
		condition = `, "Condition": ` + condition
	}
	return fmt.Sprintf(`{"Effect": %q, %s, %s%s}`, effect, action, resource, condition)
}

func trust(principal, condition string) string {
	if condition != "" {
		condition = `, "Condition": ` + condition
	}
	return fmt.Sprintf(`{"Effect": "Allow", "Principal": %s, "Action": "sts:AssumeRole"%s}`, principal, condition)
}

func bucket(principal, condition string) string {
	if condition != "" {
		condition = `, "Condition": ` + condition
	}
	return fmt.Sprintf(`{"Effect": "Allow", "Principal": %s, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"%s}`, principal, condition)
}

type change struct {
	name     string
	kind     policy.Kind
	old, new string
	want     Relation
}

var changes = []change{
	{"nothing", policy.Identity, getData, getData, Equal},
	{"added action", policy.Identity, getData, readData, Wider},
	{"removed action", policy.Identity, readData, getData, Narrower},
	{"widened resource", policy.Identity, getData, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data*/*"}`, Wider},
	{"another resource", policy.Identity, getData, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::other/*"}`, Incomparable},
	{"split statements", policy.Identity, readData,
		getData + `, {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::data/*"}`, Equal},
	{"reordered", policy.Identity, getData + "," + all, all + "," + getData, Equal},
	{"all actions written out", policy.Identity, `{"Effect": "Allow", "Action": "sqs:*", "Resource": "*"}`,
		`{"Effect": "Allow", "Action": ["sqs:A*","sqs:C*","sqs:D*","sqs:G*","sqs:L*","sqs:P*","sqs:R*","sqs:S*","sqs:T*","sqs:U*"], "Resource": "*"}`, Equal},
	{"dropped deny", policy.Identity, all + `, {"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "*"}`, all, Wider},
	{"an unknown action", policy.Identity, getData, getData + `, {"Effect": "Allow", "Action": "newservice:Get*", "Resource": "*"}`, Wider},
	{"unknown actions under two patterns", policy.Identity, `{"Effect": "Allow", "Action": ["newservice:Get*"], "Resource": "*"}, {"Effect": "Deny", "Action": "newservice:*Secret", "Resource": "*"}`,
		`{"Effect": "Allow", "Action": ["newservice:Get*"], "Resource": "*"}`, Wider},
	{"whose the resource is", policy.Identity, identity("Allow", `"Action": "sqs:*"`, `"Resource": "arn:aws:sqs:*:111122223333:*"`, ""),
		identity("Allow", `"Action": "sqs:*"`, `"Resource": "arn:aws:sqs:*:111122223333:*"`, `{"StringEquals": {"aws:ResourceAccount": "111122223333"}}`), Equal},
	{"dropped condition", policy.Identity,
		identity("Allow", `"Action": "s3:GetObject"`, `"Resource": "*"`, `{"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}`),
		identity("Allow", `"Action": "s3:GetObject"`, `"Resource": "*"`, ""), Wider},
	{"NotAction instead of a list", policy.Identity, all + `, {"Effect": "Deny", "Action": "iam:*", "Resource": "*"}`,
		`{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}`, Equal},
	{"NotAction lists less", policy.Identity, `{"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}`,
		`{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}`, Wider},
	{"deny with IfExists instead of without", policy.Identity,
		all + "," + identity("Deny", `"Action": "*"`, `"Resource": "*"`, `{"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}`),
		all + "," + identity("Deny", `"Action": "*"`, `"Resource": "*"`, `{"Bool": {"aws:MultiFactorAuthPresent": "false"}}`), Wider},
	{"a deny that every request meets alike", policy.Identity,
		all + "," + identity("Deny", `"Action": "*"`, `"Resource": "*"`, `{"BoolIfExists": {"aws:SecureTransport": "false"}}`),
		all + "," + identity("Deny", `"Action": "*"`, `"Resource": "*"`, `{"Bool": {"aws:SecureTransport": "false"}}`), Equal},
	{"NotResource leaves one more out", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::secret/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "NotResource": ["arn:aws:s3:::secret/*", "arn:aws:s3:::payroll/*"]}`, Narrower},
	{"a star for a resource", policy.Identity, getData, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}`, Wider},
	{"a variable, unchanged, beside another action", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"},` + identity("Allow", `"Action": "sqs:SendMessage"`, `"Resource": "*"`, ""), Wider},
	{"a star for a variable", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/*"}`, Wider},

	{"a variable for a star", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"}`, Narrower},
	{"another variable", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/owner}/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"}`, Incomparable},
	{"a user's own folder, and a shared one", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:username}/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/shared/*"]}`, Wider},
	{"what is not understood, as Allow and as Deny", policy.Identity, `{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"}`,
		`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"},
		{"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::home/${aws:PrincipalTag/team}/*"}`, Narrower},
	{"a condition by a variable", policy.Identity, identity("Allow", `"Action": "sqs:*"`, `"Resource": "*"`, `{"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}`),
		identity("Allow", `"Action": "sqs:*"`, `"Resource": "*"`, `{"StringLike": {"aws:ResourceTag/team": "*"}}`), Wider},

	{"external id dropped", policy.Trust, trust(`{"AWS": "777788889999"}`, `{"StringEquals": {"sts:ExternalId": "e-1"}}`), trust(`{"AWS": "777788889999"}`, ""), Wider},
	{"account to role", policy.Trust, trust(`{"AWS": "777788889999"}`, ""), trust(`{"AWS": "arn:aws:iam::777788889999:role/ci"}`, ""), Narrower},
	{"role to account", policy.Trust, trust(`{"AWS": "arn:aws:iam::777788889999:role/ci"}`, ""), trust(`{"AWS": "777788889999"}`, ""), Wider},
	{"account by number and by root", policy.Trust, trust(`{"AWS": "777788889999"}`, ""), trust(`{"AWS": "arn:aws:iam::777788889999:root"}`, ""), Equal},
	{"anybody", policy.Trust, trust(`{"AWS": "777788889999"}`, ""), trust(`"*"`, ""), Wider},
	{"anybody of one account", policy.Trust, trust(`{"AWS": "777788889999"}`, ""), trust(`{"AWS": "*"}`, `{"StringEquals": {"aws:PrincipalAccount": "777788889999"}}`), Equal},
	{"accounts by a pattern", policy.Trust, trust(`{"AWS": "*"}`, `{"StringLike": {"aws:PrincipalAccount": "7777*"}}`), trust(`{"AWS": "*"}`, `{"StringLike": {"aws:PrincipalAccount": "777*"}}`), Wider},
	{"fewer accounts by a pattern", policy.Trust, trust(`{"AWS": "*"}`, `{"StringLike": {"aws:PrincipalAccount": "777*"}}`), trust(`{"AWS": "*"}`, `{"StringLike": {"aws:PrincipalAccount": "7777*"}}`), Narrower},
	{"another partition", policy.Trust, trust(`{"AWS": "arn:aws:iam::777788889999:root"}`, ""), trust(`{"AWS": ["arn:aws:iam::777788889999:root", "arn:aws-cn:iam::777788889999:root"]}`, ""), Wider},
	{"the identity's accounts by a pattern", policy.Identity, identity("Allow", `"Action": "s3:GetObject"`, `"Resource": "*"`, `{"StringLike": {"aws:PrincipalAccount": "7777*"}}`),
		identity("Allow", `"Action": "s3:GetObject"`, `"Resource": "*"`, `{"StringLike": {"aws:PrincipalAccount": "777*"}}`), Wider},
	{"the same accounts by a pattern", policy.Trust, trust(`{"AWS": "*"}`, `{"StringLike": {"aws:PrincipalAccount": "7777*"}}`), trust(`{"AWS": "*"}`, `{"StringLike": {"aws:PrincipalAccount": "7777*"}}`), Equal},
	{"a service more", policy.Trust, trust(`{"Service": "ec2.amazonaws.com"}`, ""), trust(`{"Service": ["ec2.amazonaws.com", "lambda.amazonaws.com"]}`, ""), Wider},
	{"a session of the role", policy.Trust, trust(`{"AWS": "arn:aws:sts::777788889999:assumed-role/ci/build"}`, ""), trust(`{"AWS": "arn:aws:iam::777788889999:role/ci"}`, ""), Incomparable},
	{"subject widened", policy.Trust,
		`{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.example.com"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {"token.example.com:sub": "repo:acme/shop:ref:refs/heads/main"}}}`,
		`{"Effect": "Allow", "Principal": {"Federated": "arn:aws:iam::111122223333:oidc-provider/token.example.com"}, "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringLike": {"token.example.com:sub": "repo:acme/shop:*"}}}`, Wider},

	{"a service without SourceArn", policy.Resource, bucket(`{"Service": "logging.s3.amazonaws.com"}`, `{"ArnLike": {"aws:SourceArn": "arn:aws:s3:::data"}}`), bucket(`{"Service": "logging.s3.amazonaws.com"}`, ""), Wider},
	{"organisation demanded", policy.Resource, bucket(`"*"`, ""), bucket(`"*"`, `{"StringEquals": {"aws:PrincipalOrgID": "o-exampleorg1"}}`), Narrower},
	{"anonymous", policy.Resource, bucket(`{"AWS": "777788889999"}`, ""), bucket(`"*"`, `{"StringEquals": {"aws:PrincipalType": "Anonymous"}}`), Incomparable},
	{"a role by a condition, past its boundary", policy.Resource, bucket(`{"AWS": "arn:aws:iam::111122223333:role/app"}`, ""),
		bucket(`"*"`, `{"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::111122223333:role/app"}}`), Wider},
	{"own account, which may already by its own policies", policy.Resource, bucket(`{"AWS": "777788889999"}`, ""),
		bucket(`{"AWS": "777788889999"}`, "") + "," + bucket(`{"AWS": "111122223333"}`, ""), Equal},
	{"own account's deny dropped", policy.Resource,
		bucket(`{"AWS": "777788889999"}`, "") + `, {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::data/*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}`,
		bucket(`{"AWS": "777788889999"}`, ""), Wider},
}

func TestChanges(t *testing.T) {
	for _, tt := range changes {
		t.Run(tt.name, func(t *testing.T) {
			options := Options{Engine: ref.Engine(), Account: home}
			if strings.Contains(tt.name, "the identity's accounts") {
				options.Account = "" // it is not known
			}
			r := Policies(tt.kind, read(t, tt.old), read(t, tt.new), options)
			if r.Relation != tt.want {
				t.Errorf("%v, want %v\n%s", r.Relation, tt.want, print(&r))
			}
			confirmed(t, r.Gained)
			confirmed(t, r.Lost)
		})
	}
}

// confirmed asks the evaluator about every witness.
func confirmed(t testing.TB, all []Difference) {
	t.Helper()
	engine := ref.Engine()
	for i := range all {
		w := &all[i].Witness
		if d := engine.Decide(w.Request(w.Allowing)); d.Verdict != eval.Allow {
			t.Errorf("%s on %s: %v by the side that is said to allow", w.Action, w.Resource, d.Verdict)
		}
		if d := engine.Decide(w.Request(w.Denying)); d.Verdict != eval.Deny {
			t.Errorf("%s on %s: %v by the side that is said to deny", w.Action, w.Resource, d.Verdict)
		}
	}
}

func print(r *Result) string {
	var b strings.Builder
	show := func(what string, all []Difference) {
		for _, d := range all {
			fmt.Fprintf(&b, "%s: statement %d, %d actions (%s) on %s by %v if %v, with %v\n", what, d.Allows.Statement, len(d.Actions), d.Witness.Action, d.Resource, d.Who, d.Conditions, d.Witness.Context)
		}
	}
	show("gained", r.Gained)
	show("lost", r.Lost)
	for _, u := range r.Undecided {
		fmt.Fprintf(&b, "undecided: %s\n", u)
	}
	return b.String()
}
