package change_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

func acme(t *testing.T) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// written is a snapshot as it would be written, so that two of them can be compared.
func written(t *testing.T, s *snapshot.Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	if err := snapshot.Write(s, func(name string, data []byte) error {
		b.WriteString("== " + name + "\n")
		b.Write(data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// restated are the parts by which code that knows everything would state a snapshot.
func restated(s *snapshot.Snapshot) []change.Part {
	var out []change.Part
	principal := func(p *snapshot.Principal) {
		for _, d := range p.Inline {
			out = append(out, change.Inline{Owner: p.ARN, Document: d})
		}
		for _, a := range p.Attached {
			out = append(out, change.Attached{Owner: p.ARN, Policy: a})
		}
	}
	for _, r := range s.Roles {
		bare := r
		bare.Inline, bare.Attached = nil, nil
		out = append(out, change.Role{Role: bare})
		principal(&r.Principal)
	}
	for _, u := range s.Users {
		bare := u
		bare.Inline, bare.Attached = nil, nil
		out = append(out, change.User{User: bare})
		principal(&u.Principal)
		for _, g := range u.Groups {
			out = append(out, change.Membership{User: u.ARN, Group: "arn:aws:iam::" + u.Account + ":group/" + g})
		}
	}
	for _, g := range s.Groups {
		out = append(out, change.Group{Group: g})
	}
	for _, p := range s.Policies {
		out = append(out, change.ManagedPolicy{ManagedPolicy: p})
	}
	for _, r := range s.Resources {
		bare := r
		bare.Policy = snapshot.Document{}
		out = append(out, change.Resource{Resource: bare})
		if r.Policy.State == snapshot.Read {
			out = append(out, change.ResourcePolicy{Resource: r})
		}
	}
	for _, p := range s.Providers {
		out = append(out, change.Provider{Provider: p})
	}
	for _, g := range s.KMSGrants {
		out = append(out, change.KMSGrant{KMSGrant: g})
	}
	for _, h := range s.Shares {
		out = append(out, change.Share{Share: h})
	}
	for _, c := range s.Organization.SCPs {
		out = append(out, change.ControlPolicy{ControlPolicy: c})
		for _, t := range c.Targets {
			out = append(out, change.ControlTarget{Policy: c.ARN, Target: t})
		}
	}
	return out
}

// TestRestatement: a plan that states what is there, and changes nothing, gives the base twice.
func TestRestatement(t *testing.T) {
	base := acme(t)
	want := written(t, base)
	for name, plan := range map[string]*change.Plan{
		"nothing":  {},
		"standing": {Standing: restated(base)},
		"no steps": {Steps: []change.Step{{Address: "all", Action: change.Update, Before: restated(base), After: restated(base)}}},
	} {
		before, after := change.Apply(base, plan)
		for side, s := range map[string]*snapshot.Snapshot{"before": before, "after": after} {
			if got := written(t, s); got != want {
				t.Errorf("%s, %s: differs from the base at %s", name, side, firstDifference(got, want))
			}
		}
	}
	if got := written(t, base); got != want {
		t.Error("the base itself was changed")
	}
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return x[i] + "\nwant " + y[i]
		}
	}
	return "the end"
}

// TestUndone: what a step makes is gone when it is undone.
func TestUndone(t *testing.T) {
	base := acme(t)
	const role = "arn:aws:iam::111100000021:role/new"
	doc := func(name, text string) snapshot.Document {
		d, gaps := snapshot.NewDocument(name, []byte(text), snapshot.Source{}, false)
		if len(gaps) > 0 {
			t.Fatal(gaps)
		}
		return d
	}
	policy := doc("p", `{"Version":"2012-10-17","Statement":[{"Sid":"a","Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`)
	open := doc("resource policy", `{"Version":"2012-10-17","Statement":[{"Sid":"open","Effect":"Allow","Principal":"*","Action":"lambda:InvokeFunction","Resource":"*"}]}`)
	function := snapshot.Resource{ARN: "arn:aws:lambda:eu-west-1:111100000012:function:search", Type: "AWS::Lambda::Function", Account: "111100000012", Policy: open}
	bucket := snapshot.Resource{ARN: "arn:aws:s3:::acme-shop-images-prod", Type: "AWS::S3::Bucket", Account: "111100000021", Policy: open}
	made := []change.Part{
		change.Role{Role: snapshot.Role{Principal: snapshot.Principal{ARN: role, Account: "111100000021", Name: "new", Path: "/"}, Trust: doc("trust policy", `{"Version":"2012-10-17","Statement":[]}`)}},
		change.Inline{Owner: role, Document: policy},
		change.Attached{Owner: role, Policy: snapshot.Attachment{Name: "x", ARN: "arn:aws:iam::aws:policy/x"}},
		change.ResourceStatement{Resource: function, ID: "open"},
		change.ResourcePolicy{Resource: bucket},
		change.ManagedPolicy{ManagedPolicy: snapshot.ManagedPolicy{ARN: "arn:aws:iam::111100000021:policy/new", Account: "111100000021", Document: policy}},
		change.ControlTarget{Policy: "p-sand0001", Target: "111100000012"},
		change.Share{Share: snapshot.Share{Kind: "RAM", ARN: "arn:aws:ram:eu-west-1:111100000021:resource-share/new", Owner: "111100000021", With: []string{"111100000012"}, Resources: []string{"x"}}},
	}
	_, after := change.Apply(base, &change.Plan{Steps: []change.Step{{Address: "new", Action: change.Create, After: made}}})
	if written(t, after) == written(t, base) {
		t.Fatal("making it changed nothing")
	}
	r := after.Roles[slices.IndexFunc(after.Roles, func(r snapshot.Role) bool { return r.ARN == role })]
	if len(r.Inline) != 1 || len(r.Attached) != 1 {
		t.Errorf("made %+v", r)
	}
	f := after.Resources[slices.IndexFunc(after.Resources, func(r snapshot.Resource) bool { return r.ARN == function.ARN })]
	if n := len(f.Policy.Policy.Document.Statements); n != 2 {
		t.Errorf("the function's policy has %d statements, want its own and the new one", n)
	}
	before, undone := change.Apply(after, &change.Plan{Steps: []change.Step{{Address: "new", Action: change.Delete, Before: made}}})
	if got, want := written(t, before), written(t, after); got != want {
		t.Errorf("before undoing: differs at %s", firstDifference(got, want))
	}
	// A bucket whose policy is deleted has none, as it had; a share without anybody is no share.
	for _, s := range undone.Shares {
		if strings.HasSuffix(s.ARN, "/new") && len(s.With)+len(s.Resources) > 0 {
			t.Errorf("the share still has %+v", s)
		}
	}
	undone.Shares = slices.DeleteFunc(slices.Clone(undone.Shares), func(s snapshot.Share) bool { return strings.HasSuffix(s.ARN, "/new") })
	if got, want := written(t, undone), written(t, base); got != want {
		t.Errorf("undone: differs from the base at %s", firstDifference(got, want))
	}
}

// TestUnknownStays: what is not known before the change is applied is not known after it, and never absent.
func TestUnknownStays(t *testing.T) {
	base := acme(t)
	const name = "arn:aws:iam::111100000021:role/acme/deploy/shop-web"
	i := slices.IndexFunc(base.Roles, func(r snapshot.Role) bool { return r.ARN == name })
	was := base.Roles[i]
	will := was
	will.Trust = snapshot.Document{Name: "trust policy", Problem: "computed"}
	_, after := change.Apply(base, &change.Plan{Steps: []change.Step{{Address: "x", Action: change.Update, Before: []change.Part{change.Role{Role: was}}, After: []change.Part{change.Role{Role: will}}}}})
	got := after.Roles[slices.IndexFunc(after.Roles, func(r snapshot.Role) bool { return r.ARN == name })]
	if got.Trust.State != snapshot.Unresolved || got.Trust.Problem != "computed" || len(got.Inline) != len(was.Inline) {
		t.Errorf("got %+v", got)
	}
}

// TestOnlyThePlan: without a base nothing is known but what the plan states, and the gaps say so.
func TestOnlyThePlan(t *testing.T) {
	_, after := change.Apply(nil, &change.Plan{Steps: []change.Step{{Address: "x", Action: change.Create, After: []change.Part{
		change.Attached{Owner: "arn:aws:iam::111122223333:role/other", Policy: snapshot.Attachment{Name: "AdministratorAccess", ARN: "arn:aws:iam::aws:policy/AdministratorAccess"}},
	}}}})
	if len(after.Roles) != 1 || after.Roles[0].Trust.State != snapshot.Unresolved || len(after.Accounts) != 1 || after.Accounts[0].Inventoried {
		t.Errorf("roles %+v, accounts %+v", after.Roles, after.Accounts)
	}
	for _, subject := range []string{snapshot.SubjectOrganization, snapshot.SubjectSCPs, snapshot.SubjectRCPs, "111122223333"} {
		if !slices.ContainsFunc(after.Gaps, func(g snapshot.Gap) bool { return g.Subject == subject }) {
			t.Errorf("no gap says that %s is not known: %+v", subject, after.Gaps)
		}
	}
}
