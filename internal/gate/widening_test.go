package gate_test

import (
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/snapshot"
)

const (
	accA  = "111111111111"
	accB  = "222222222222"
	roleA = "arn:aws:iam::111111111111:role/a"
	roleB = "arn:aws:iam::222222222222:role/b"
	roleC = "arn:aws:iam::222222222222:role/c"
	bkt   = "arn:aws:s3:::bkt"
)

func d(t *testing.T, name, text string) snapshot.Document {
	t.Helper()
	v, gaps := snapshot.NewDocument(name, []byte(text), snapshot.Source{}, false)
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	return v
}

func stmt(s string) string { return `{"Version":"2012-10-17","Statement":[` + s + `]}` }

func role(t *testing.T, arn, acc, trust string, boundary *snapshot.Attachment, inline ...snapshot.Document) snapshot.Role {
	return snapshot.Role{Principal: snapshot.Principal{ARN: arn, Account: acc, Name: arn[len(arn)-1:], Path: "/", Boundary: boundary, Inline: inline}, Trust: d(t, "trust policy", stmt(trust)), MaxSession: 3600}
}

func world(t *testing.T) *snapshot.Snapshot {
	full := d(t, "FullAWSAccess", stmt(`{"Effect":"Allow","Action":"*","Resource":"*"}`))
	bound := snapshot.Attachment{Name: "bound", ARN: "arn:aws:iam::222222222222:policy/bound"}
	return &snapshot.Snapshot{Version: snapshot.Version,
		Organization: &snapshot.Organization{ID: "o-abcdefghij", ManagementAccount: "333333333333", Units: []snapshot.Unit{{Path: "r-root", Name: "Root"}},
			SCPs: []snapshot.ControlPolicy{{Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", Targets: []string{"r-root"}, Document: full}}},
		Accounts: []snapshot.Account{{ID: accA, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}, {ID: accB, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
		Policies: []snapshot.ManagedPolicy{{ARN: bound.ARN, Account: accB, Document: d(t, bound.ARN, stmt(`{"Effect":"Allow","Action":["s3:GetObject","sts:AssumeRole"],"Resource":["arn:aws:s3:::bkt/public/*","arn:aws:iam::222222222222:role/*"]}`))}},
		Roles: []snapshot.Role{
			role(t, roleA, accA, `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`, nil, d(t, "p", stmt(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))),
			role(t, roleB, accB, `{"Effect":"Allow","Principal":{"AWS":"`+roleA+`"},"Action":"sts:AssumeRole"}`, &bound, d(t, "p", stmt(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))),
			role(t, roleC, accB, `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`, nil, d(t, "p", stmt(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/public/*"}`))),
		},
		Resources: []snapshot.Resource{{ARN: bkt, Type: "AWS::S3::Bucket", Account: accB, Region: "eu-west-1", Policy: d(t, "resource policy", stmt(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*"}`)), Attributes: snapshot.Attributes{PublicAccessBlock: "on"}}},
		Providers: []snapshot.Provider{},
	}
}

func show(t *testing.T, r *gate.Result) {
	t.Logf("=> STATUS %q passes=%v", r.Status(), r.Passes())
	for i := range r.Gains {
		g := &r.Gains[i]
		t.Logf("   gain %s who=%v what=%s how=%s acts=%v cond=%s within=%v reach=%v registry=%q reg=%q", g.Kind, g.Who, g.What, g.How, g.Actions, g.Conditions, g.Within, g.Reach, g.Registry, g.Registered)
		if g.Witness != nil && g.Witness.Caller != nil {
			t.Logf("      shown by %s on %s", g.Witness.Caller.ARN, g.Witness.Resource)
		}
	}
	for _, u := range r.Unjudged {
		t.Logf("   unjudged %s: %s", u.What, u.Why)
	}
}

func judge(t *testing.T, base *snapshot.Snapshot, steps ...change.Step) *gate.Result {
	r := gate.Judge(base, &change.Plan{Tool: "terraform", Steps: steps}, gate.Options{Now: at, Engine: ref.Engine()})
	show(t, r)
	return r
}

func up(before, after []change.Part) change.Step {
	return change.Step{Address: "x", Action: change.Update, Before: before, After: after}
}
func one(p ...change.Part) []change.Part { return p }

// TestWidening: each of these widens, and none passes.
func TestWidening(t *testing.T) {
	w := world(t)
	rC := w.Roles[2]
	bare := func(r snapshot.Role) snapshot.Role { r.Inline = nil; return r }
	trust := func(r snapshot.Role, s string) snapshot.Role {
		r = bare(r)
		r.Trust = d(t, "trust policy", stmt(s))
		return r
	}
	check := func(name string, f func(t *testing.T) *gate.Result) {
		t.Run(name, func(t *testing.T) {
			if r := f(t); r.Passes() {
				t.Errorf("passed: %s", r.Status())
			}
		})
	}
	mp := func(text string) change.Part {
		v := w.Policies[0]
		v.Document = d(t, v.ARN, stmt(text))
		return change.ManagedPolicy{ManagedPolicy: v}
	}
	check("boundary resources widened", func(t *testing.T) *gate.Result {
		return judge(t, w, up(one(change.ManagedPolicy{ManagedPolicy: w.Policies[0]}), one(mp(`{"Effect":"Allow","Action":["s3:GetObject","sts:AssumeRole"],"Resource":"*"}`))))
	})
	check("boundary touched while identity widens resources", func(t *testing.T) *gate.Result {
		b := world(t)
		b.Roles[1].Inline = []snapshot.Document{d(t, "p", stmt(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/public/x"}`))}
		return judge(t, b, up(one(change.ManagedPolicy{ManagedPolicy: w.Policies[0]}, change.Inline{Owner: roleB, Document: b.Roles[1].Inline[0]}),
			one(mp(`{"Effect":"Allow","Action":["s3:GetObject","sts:AssumeRole"],"Resource":"*"}`), change.Inline{Owner: roleB, Document: d(t, "p", stmt(`{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))})))
	})
	check("public access block deleted", func(t *testing.T) *gate.Result {
		p := w.Resources[0]
		p.Policy = snapshot.Document{Name: "resource policy"}
		return judge(t, w, change.Step{Address: "pab", Type: "aws_s3_bucket_public_access_block", Action: change.Delete, Before: one(change.Resource{Resource: p, Part: true})})
	})
	check("public access block off", func(t *testing.T) *gate.Result {
		p := w.Resources[0]
		p.Policy = snapshot.Document{Name: "resource policy"}
		q := p
		q.Attributes.PublicAccessBlock = "off"
		return judge(t, w, up(one(change.Resource{Resource: p}), one(change.Resource{Resource: q})))
	})
	check("allow-list SCP widened to everything", func(t *testing.T) *gate.Result {
		b := world(t)
		o := *b.Organization
		o.SCPs = []snapshot.ControlPolicy{{Name: "only-s3", ARN: "arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-only0001", Targets: []string{"r-root"}, Document: d(t, "only-s3", stmt(`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`))}}
		b.Organization = &o
		n := o.SCPs[0]
		n.Document = d(t, "only-s3", stmt(`{"Effect":"Allow","Action":["s3:*","iam:*","kms:*"],"Resource":"*"}`))
		return judge(t, b, up(one(change.ControlPolicy{ControlPolicy: o.SCPs[0]}), one(change.ControlPolicy{ControlPolicy: n})))
	})
	check("SCP target dropped from the policy's own targets", func(t *testing.T) *gate.Result {
		b := world(t)
		o := *b.Organization
		o.SCPs = append([]snapshot.ControlPolicy{}, o.SCPs...)
		scp := snapshot.ControlPolicy{Name: "deny-s3", ARN: "arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-deny0001", Targets: []string{accA, accB}, Document: d(t, "deny-s3", stmt(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`))}
		o.SCPs = append(o.SCPs, scp)
		b.Organization = &o
		n := scp
		n.Targets = []string{accA}
		return judge(t, b, up(one(change.ControlPolicy{ControlPolicy: scp}), one(change.ControlPolicy{ControlPolicy: n})))
	})
	check("trust to everybody", func(t *testing.T) *gate.Result {
		return judge(t, w, up(one(change.Role{Role: bare(rC)}), one(change.Role{Role: trust(rC, `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}`)})))
	})
	check("trust to own root and everybody by NotPrincipal", func(t *testing.T) *gate.Result {
		return judge(t, w, up(one(change.Role{Role: bare(rC)}), one(change.Role{Role: trust(rC, `{"Effect":"Allow","Principal":{"AWS":["222222222222","*"]},"Action":"sts:AssumeRole"}`)})))
	})
	check("trust to any Cognito pool", func(t *testing.T) *gate.Result {
		return judge(t, w, up(one(change.Role{Role: bare(rC)}), one(change.Role{Role: trust(rC, `{"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`)})))
	})
	check("rights of a role that any Cognito pool holds", func(t *testing.T) *gate.Result {
		b := world(t)
		b.Roles[2].Trust = d(t, "trust policy", stmt(`{"Effect":"Allow","Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`))
		return judge(t, b, up(nil, one(change.Inline{Owner: roleC, Document: d(t, "q", stmt(`{"Effect":"Allow","Action":"*","Resource":"*"}`))})))
	})
	check("rights of a role that another account holds", func(t *testing.T) *gate.Result {
		b := world(t)
		b.Roles[1].Boundary = nil
		return judge(t, b, up(nil, one(change.Inline{Owner: roleB, Document: d(t, "q", stmt(`{"Effect":"Allow","Action":"iam:*","Resource":"*"}`))})))
	})
	check("rights of a role behind 1200 roles of its account, the last held by another account", func(t *testing.T) *gate.Result {
		b := world(t)
		b.Roles[1].Boundary = nil
		star := d(t, "p", stmt(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`))
		for i := range 1200 {
			n := "aa" + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10))
			r := role(t, "arn:aws:iam::222222222222:role/"+n, accB, `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`, nil, star)
			r.Name = n
			b.Roles = append(b.Roles, r)
		}
		b.Roles[1].Inline = []snapshot.Document{star}
		b.Roles[2].Trust = d(t, "trust policy", stmt(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"sts:AssumeRole"}`))
		b.Roles = append(append([]snapshot.Role{}, b.Roles[0]), append(b.Roles[2:], b.Roles[1])...)
		return judge(t, b, up(nil, one(change.Inline{Owner: roleC, Document: d(t, "q", stmt(`{"Effect":"Allow","Action":"*","Resource":"*"}`))})))
	})
	prov := snapshot.Provider{ARN: "arn:aws:iam::222222222222:saml-provider/corp", Account: accB}
	check("bucket policy to everybody, public access block not known", func(t *testing.T) *gate.Result {
		b := world(t)
		b.Resources[0].Policy = snapshot.Document{Name: "resource policy", State: snapshot.None}
		b.Resources[0].Attributes.PublicAccessBlock = ""
		r := b.Resources[0]
		r.Policy = d(t, "resource policy", stmt(`{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::222222222222:root","*"]},"Action":"s3:*","Resource":["arn:aws:s3:::bkt","arn:aws:s3:::bkt/*"]}`))
		return judge(t, b, up(nil, one(change.ResourcePolicy{Resource: r})))
	})
	check("audience added to an OIDC provider that a trust leaves open", func(t *testing.T) *gate.Result {
		b := world(t)
		p := prov
		p.ARN, p.Type, p.URL, p.Audiences = "arn:aws:iam::222222222222:oidc-provider/idp.example.com", "oidc", "idp.example.com", []string{"one"}
		b.Providers = []snapshot.Provider{p}
		b.Roles[2].Trust = d(t, "trust policy", stmt(`{"Effect":"Allow","Principal":{"Federated":"`+p.ARN+`"},"Action":"sts:AssumeRoleWithWebIdentity"}`))
		q := p
		q.Audiences = []string{"one", "anyone-else"}
		return judge(t, b, up(one(change.Provider{Provider: p}), one(change.Provider{Provider: q})))
	})
	check("unknown about a target, and a share to outside, with --allow-unknown", func(t *testing.T) *gate.Result {
		g := change.KMSGrant{KMSGrant: snapshot.KMSGrant{Key: "arn:aws:kms:eu-west-1:222222222222:key/k", ID: "g", Grantee: "arn:aws:iam::999999999999:role/x", Operations: []string{"Decrypt"}}}
		b := world(t)
		b.Resources = append(b.Resources, snapshot.Resource{ARN: g.Key, Type: "AWS::KMS::Key", Account: accB, Region: "eu-west-1", Policy: d(t, "resource policy", stmt(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222222222222:root"},"Action":"kms:*","Resource":"*"}`))})
		s := up(nil, one(g))
		s.Unknown = []change.Unknown{{Attribute: "tags", Of: g.Key, Why: "computed"}}
		r := gate.Judge(b, &change.Plan{Steps: []change.Step{s}}, gate.Options{Now: at, Engine: ref.Engine(), AllowUnknown: true})
		show(t, r)
		return r
	})
	t.Run("narrowing only: SCP denies more (must pass)", func(t *testing.T) {
		b := world(t)
		o := *b.Organization
		scp := snapshot.ControlPolicy{Name: "deny-s3", ARN: "arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-deny0001", Targets: []string{"r-root"}, Document: d(t, "deny-s3", stmt(`{"Effect":"Deny","Action":"s3:PutObject","Resource":"*"}`))}
		o.SCPs = append(append([]snapshot.ControlPolicy{}, o.SCPs...), scp)
		b.Organization = &o
		n := scp
		n.Document = d(t, "deny-s3", stmt(`{"Effect":"Deny","Action":["s3:PutObject","s3:DeleteObject"],"Resource":"*"}`))
		if r := judge(t, b, up(one(change.ControlPolicy{ControlPolicy: scp}), one(change.ControlPolicy{ControlPolicy: n}))); !r.Passes() {
			t.Errorf("refused: %s", r.Status())
		}
	})
}

// TestWithoutBase: what is taken away from somebody, or something, of whom the change alone tells held back nobody knows what.
func TestWithoutBase(t *testing.T) {
	deny := change.Inline{Owner: roleB, Document: d(t, "deny", stmt(`{"Effect":"Deny","Action":"*","Resource":"*"}`))}
	allow := change.Inline{Owner: roleB, Document: d(t, "deny", stmt(`{"Effect":"Deny","Action":"*","Resource":"*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`))}
	whole := change.Role{Role: role(t, roleB, accB, `{"Effect":"Allow","Principal":{"AWS":"`+accB+`"},"Action":"sts:AssumeRole"}`, nil)}
	unread := change.Attached{Owner: roleB, Policy: snapshot.Attachment{Name: "far", ARN: "arn:aws:iam::aws:policy/far"}}
	bucket := func(block string) change.Resource {
		return change.Resource{Resource: snapshot.Resource{ARN: bkt, Type: "AWS::S3::Bucket", Account: accB, Attributes: snapshot.Attributes{PublicAccessBlock: block}}}
	}
	for _, c := range []struct {
		name          string
		before, after []change.Part
		passes        bool
	}{
		{"a Deny of a stranger goes", one(deny), nil, false},
		{"a Deny stays, and the stranger's trust is not asked", one(deny), one(deny), true},
		{"a Deny of a role that the change states goes", one(whole, deny), one(whole), true},
		{"a Deny of a role with a policy that is not known goes", one(whole, unread, deny), one(whole, unread), false},
		{"a Deny stays beside more", one(whole, deny), one(whole, allow), true},
		{"public access is let through to a policy that is not known", one(bucket("on")), one(bucket("")), false},
		{"public access stays blocked", one(bucket("on")), one(bucket("on")), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if r := judge(t, nil, up(c.before, c.after)); r.Passes() != c.passes {
				t.Errorf("passes %v, expected %v", r.Passes(), c.passes)
			}
		})
	}
}
