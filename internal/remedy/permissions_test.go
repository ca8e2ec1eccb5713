package remedy

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/compare"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

func statements(text string) *policy.Policy {
	return policy.MustParse(`{"Version":"2012-10-17","Statement":` + text + `}`)
}

// workerIn is an organisation with a role of one inline policy, and one that is attached where attached is not empty.
func workerIn(t *testing.T, inline, attached string) (*access.Graph, *org.Principal) {
	t.Helper()
	r := snapshot.Role{Principal: snapshot.Principal{ARN: role, Name: "deploy", Account: "444455556666",
		Inline: []snapshot.Document{{Name: "work", State: snapshot.Read, Policy: statements(inline)}}}, MaxSession: 12 * time.Hour,
		Trust: snapshot.Document{Name: "trust policy", State: snapshot.Read, Policy: statements(`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`)}}
	s := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "999900001111", Units: []snapshot.Unit{{Path: "r-root"}}, SCPs: []snapshot.ControlPolicy{}, RCPs: []snapshot.ControlPolicy{}},
		Accounts:     []snapshot.Account{{ID: "444455556666", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
	}
	if attached != "" {
		name := "arn:aws:iam::444455556666:policy/shared"
		r.Attached = []snapshot.Attachment{{Name: "shared", ARN: name}}
		s.Policies = []snapshot.ManagedPolicy{{ARN: name, Account: "444455556666", Document: snapshot.Document{Name: name, State: snapshot.Read, Policy: statements(attached)}}}
	}
	s.Roles = []snapshot.Role{r}
	g := access.Build(org.Build(s), access.Options{Engine: ref.Engine()})
	p, _ := g.Org.Principal(role)
	return g, p
}

func did(actions ...string) *usage.Record {
	r := &usage.Record{}
	for _, a := range actions {
		r.Actions = append(r.Actions, usage.ActionUse{Caller: role, Action: a, Account: "444455556666", First: today.AddDate(0, -1, 0), Last: today.AddDate(0, 0, -1), Count: 5})
	}
	return r
}

func allows(actions, resources string) *registry.Registry {
	return entry(ci, "  allow: {actions: ["+actions+"], resources: ["+resources+"]}\n")
}

func TestPermissions(t *testing.T) {
	for name, c := range map[string]struct {
		inline, want string // statements; want "" where the policy goes
		in           Inputs
		grain        Grain
	}{
		"a wildcard becomes what was seen": {
			`[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]`, `[{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"*"}]`,
			Inputs{Usage: did("ecs:UpdateService")}, ActionGrain,
		},
		"what a trail cannot show stays": {
			`[{"Effect":"Allow","Action":["s3:*","ec2:*"],"Resource":"*"}]`,
			`[{"Effect":"Allow","Action":["s3:AbortMultipartUpload","s3:BypassGovernanceRetention","s3:DeleteObject*","s3:GetObject*","s3:ListAllMyBuckets","s3:ListBucket","s3:ListBucketMultipartUploads","s3:ListBucketVersions","s3:ListMultipartUploadParts","s3:ObjectOwnerOverrideToBucketOwner","s3:PutObject*","s3:Replicate*","s3:RestoreObject"],"Resource":"*"}]`,
			Inputs{Usage: did("s3:ListBuckets")}, ActionGrain,
		},
		"conditions and denials stay": {
			`[{"Effect":"Allow","Action":"ecs:*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},{"Effect":"Deny","Action":"ecs:Delete*","Resource":"*"}]`,
			`[{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}},{"Effect":"Deny","Action":"ecs:Delete*","Resource":"*"}]`,
			Inputs{Usage: did("ecs:UpdateService")}, ActionGrain,
		},
		"services": {
			`[{"Effect":"Allow","Action":"*","Resource":"*"}]`, `[{"Effect":"Allow","Action":["ecs:*","lambda:*"],"Resource":"*"}]`,
			Inputs{Usage: did("ecs:UpdateService", "lambda:GetFunction20150331v2")}, ServiceGrain,
		},
		"what an entry allows, with its resources": {
			`[{"Effect":"Allow","Action":["s3:*","sqs:*"],"Resource":"*"}]`, `[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::in/*"}]`,
			Inputs{Registry: allows("'s3:Get*'", "'arn:aws:s3:::in/*'")}, ResourceGrain,
		},
		"all but some": {
			`[{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}]`, `[{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"*"}]`,
			Inputs{Usage: did("ecs:UpdateService", "iam:CreateUser")}, ActionGrain,
		},
		"an event of no known action keeps its service": {
			`[{"Effect":"Allow","Action":"*","Resource":"*"}]`, `[{"Effect":"Allow","Action":"ecs:*","Resource":"*"}]`,
			Inputs{Usage: did("ecs:SomethingNew")}, ActionGrain,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, p := workerIn(t, c.inline, "")
			c.in.Graph, c.in.Now = g, today
			got, err := Permissions(p, c.in, c.grain, false)
			if err != nil {
				t.Fatal(err)
			}
			want := statements(c.want)
			if len(got.Changes) != 1 || got.Changes[0].After == nil || got.Changes[0].After.Key() != want.Document.Key() {
				t.Fatalf("got  %s\nwant %s", got.JSON(), want.Document.Key())
			}
			if len(got.Breaks) > 0 || len(got.Reasons) == 0 || len(got.Notes) == 0 {
				t.Errorf("breaks %v, reasons %q, notes %q", got.Breaks, got.Reasons, got.Notes)
			}
			r := compare.Policies(policy.Identity, []*policy.Policy{statements(c.inline)}, []*policy.Policy{policy.Compile(got.Changes[0].After)}, compare.Options{Account: "444455556666"})
			if len(r.Gained) > 0 {
				t.Errorf("it allows something new: %+v", r.Gained)
			}
		})
	}
}

func TestPermissionsOfOthers(t *testing.T) {
	g, p := workerIn(t, `[{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"*"}]`, `[{"Effect":"Allow","Action":"sqs:*","Resource":"*"}]`)
	got, err := Permissions(p, Inputs{Graph: g, Usage: did("ecs:UpdateService", "sqs:CreateQueue"), Now: today}, ActionGrain, false)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for _, c := range got.Changes {
		kinds = append(kinds, c.Kind)
	}
	if !slices.Equal(kinds, []Kind{InlinePolicy, AttachedPolicy}) || got.Changes[0].Name != "shared-narrowed" {
		t.Errorf("an attached policy is to be replaced: %s", got.JSON())
	}
	got, err = Permissions(p, Inputs{Graph: g, Usage: did("ecs:UpdateService"), Now: today}, ActionGrain, true)
	if err != nil || len(got.Changes) != 1 || got.Changes[0].Kind != BoundaryPolicy || len(got.Breaks) > 0 {
		t.Fatalf("boundary: %v, %+v", err, got)
	}
	// With the boundary the engine denies what it leaves out, and still allows what was seen.
	in := Inputs{Graph: g, Now: today}
	after := in.Rebuilt(got.Changes)
	q, _ := after.Org.Principal(role)
	if q.Boundary == nil || len(q.Boundary.Unresolved) > 0 {
		t.Errorf("the role has no boundary after the change")
	}
	if _, err := Permissions(p, Inputs{Graph: g, Now: today}, ActionGrain, false); !errors.Is(err, ErrNoEvidence) {
		t.Errorf("without evidence: %v", err)
	}
}

func TestSession(t *testing.T) {
	g, p := workerIn(t, `[{"Effect":"Allow","Action":"ecs:UpdateService","Resource":"*"}]`, "")
	used := seen(ci)
	used.Crossings[0].Sessions = []time.Duration{30 * time.Minute, 2 * time.Hour}
	got, err := Session(p, Inputs{Graph: g, Usage: used, Now: today})
	if err != nil || got.Changes[0].SessionAfter != 2*time.Hour {
		t.Fatalf("%v, %+v", err, got)
	}
	got, err = Session(p, Inputs{Graph: g, Registry: entry(ci, "  use: {needs: 30m}\n"), Now: today})
	if err != nil || got.Changes[0].SessionAfter != time.Hour {
		t.Fatalf("an hour is the least that AWS takes: %v, %+v", err, got)
	}
	if _, err := Session(p, Inputs{Graph: g, Now: today}); !errors.Is(err, ErrNoEvidence) {
		t.Errorf("without evidence: %v", err)
	}
}

func TestPerimeter(t *testing.T) {
	g, _ := workerIn(t, `[{"Effect":"Allow","Action":"*","Resource":"*"}]`, "")
	in := Inputs{Graph: g, Usage: seen(ci), Now: today}
	p, err := Perimeter(RCP, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Breaks) != 1 || p.Breaks[0].Caller != ci || len(p.Closes) != 1 {
		t.Errorf("ci is outside and is used: %+v, closes %+v", p.Breaks, p.Closes)
	}
	in.Registry = entry(ci, "")
	if p, err = Perimeter(RCP, in); err != nil || len(p.Breaks) != 0 || len(p.Closes) != 0 {
		t.Errorf("what the registry declares is excepted: %v %+v", err, p)
	}
	if text := string(p.Changes[0].After.Canonical()); !strings.Contains(text, "111122223333") || strings.Contains(text, "cognito-idp") {
		t.Error(text)
	}
	// An SCP: the role goes to a role outside.
	out := &usage.Record{Crossings: []usage.Crossing{{Caller: role, Target: old, Mechanism: "AssumeRole", Count: 1, Last: today.AddDate(0, 0, -1)}}}
	if p, err = Perimeter(SCP, Inputs{Graph: g, Usage: out, Now: today}); err != nil || len(p.Breaks) != 1 {
		t.Fatalf("%v %+v", err, p)
	}
	// What stays inside does not break.
	inside := &usage.Record{Crossings: []usage.Crossing{{Caller: role, Target: "arn:aws:iam::444455556666:role/other", Mechanism: "AssumeRole", Count: 1, Last: today.AddDate(0, 0, -1)}}}
	if p, err = Perimeter(SCP, Inputs{Graph: g, Usage: inside, Now: today}); err != nil || len(p.Breaks) != 0 {
		t.Errorf("%v %+v", err, p)
	}
}

func TestRemove(t *testing.T) {
	g := graphOf(t, `[{"Effect":"Allow","Principal":{"AWS":["`+ci+`","444455556666"],"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"},
		{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity"},
		{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}}]`)
	p, _ := g.Org.Principal(role)
	in := Inputs{Graph: g, Now: today}
	r, err := Remove(p.ARN, in, 14*24*time.Hour, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Outside) != 3 || len(r.StillOpen) != 0 || len(r.Cut) != 0 || r.Next(today) != 1 || r.After == nil {
		t.Errorf("%+v", r)
	}
	all, err := Remove(p.ARN, in, 14*24*time.Hour, true, nil)
	if err != nil || len(all.Cut) != 2 || all.After != nil || len(all.Delete) == 0 {
		t.Errorf("everyone: %v %+v", err, all)
	}
	// The role is shut: who comes is seen, and the plan goes back to what was before.
	shut := Inputs{Graph: in.Rebuilt([]Change{{Kind: TrustPolicy, Target: role, After: r.Shut}}), Now: today.AddDate(0, 0, 20)}
	q, _ := shut.Graph.Org.Principal(role)
	fresh := &usage.Record{Crossings: []usage.Crossing{
		{Caller: ci, Target: role, Mechanism: "AssumeRole", Count: 9, Last: today.AddDate(0, 0, -3), Denied: 2, LastDenied: today.AddDate(0, 0, 3)},
		{Caller: old, Target: role, Mechanism: "AssumeRole", Count: 9, Last: today.AddDate(0, 0, -3)},
		{Caller: "arn:aws:iam::444455556666:role/own", Target: role, Mechanism: "AssumeRole", Count: 9, Last: today.AddDate(0, 0, 5)},
	}}
	again, err := Remove(q.ARN, shut, 14*24*time.Hour, false, fresh)
	if err != nil {
		t.Fatal(err)
	}
	if !again.Began.Equal(today) || len(again.Attempts) != 1 || again.Attempts[0].Refused != 2 || again.Next(shut.Now) != 2 {
		t.Errorf("%+v", again)
	}
	if string(again.Restore()) != string(r.Restore()) {
		t.Error("the policy to go back to still has the deny")
	}
	if quiet, err := Remove(q.ARN, shut, 14*24*time.Hour, false, &usage.Record{}); err != nil || quiet.Next(shut.Now) != 3 || quiet.Next(today.AddDate(0, 0, 2)) != 2 {
		t.Errorf("%v %+v", err, quiet)
	}
}

// TestRemoveFromResource: who is from elsewhere is denied for a time, and then taken out; the own account and services go on.
func TestRemoveFromResource(t *testing.T) {
	const account = "444455556666"
	for name, c := range map[string]struct {
		arn, kind, policy string
		outside           string
		after             string // statements; "": the policy is deleted
	}{
		"everybody": {"arn:aws:s3:::data", "AWS::S3::Bucket", `[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}]`, "* by ResourcePolicy",
			`[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*","Condition":{"StringEquals":{"aws:PrincipalAccount":"444455556666"}}}]`},
		"another account": {"arn:aws:s3:::data", "AWS::S3::Bucket", `[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999900000077:root"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}]`,
			"999900000077 by ResourcePolicy", ""},
		"all but one": {"arn:aws:sns:eu-west-1:444455556666:orders", "AWS::SNS::Topic",
			`[{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sns:Publish","Resource":"*"}]`, "everyone else by ResourcePolicy",
			`[{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:root"},"Action":"sns:Publish","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"444455556666"}}}]`},
		"a service stays": {"arn:aws:sqs:eu-west-1:444455556666:q", "AWS::SQS::Queue",
			`[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"},{"Effect":"Allow","Principal":{"AWS":"999900000077"},"Action":"sqs:SendMessage","Resource":"*"}]`,
			"999900000077 by ResourcePolicy", `[{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			s := &snapshot.Snapshot{
				Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "999900001111"},
				Accounts:     []snapshot.Account{{ID: account, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
				Resources: []snapshot.Resource{{ARN: c.arn, Type: c.kind, Account: account, Region: "eu-west-1",
					Policy: snapshot.Document{Name: "resource policy", State: snapshot.Read, Policy: policy.MustParse(`{"Version":"2012-10-17","Statement":` + c.policy + `}`)}}},
			}
			in := Inputs{Graph: access.Build(org.Build(s), access.Options{}), Now: today}
			r, err := Remove(c.arn, in, 14*24*time.Hour, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if len(r.StillOpen) > 0 || strings.Join(r.Outside, ", ") != c.outside {
				t.Errorf("outside %q, still open %q", r.Outside, r.StillOpen)
			}
			switch {
			case c.after == "" && (r.After != nil || len(r.Delete) != 1):
				t.Errorf("after %v, delete %q", r.After, r.Delete)
			case c.after != "":
				want := policy.MustParse(`{"Version":"2012-10-17","Statement":` + c.after + `}`)
				if r.After == nil || string(r.After.Canonical()) != string(want.Document.Canonical()) {
					t.Errorf("after %s\nwant %s", r.After.Canonical(), want.Document.Canonical())
				}
			}
			// Shut, nothing crosses any more; and the command says how.
			for _, e := range in.Rebuilt([]Change{r.Shutting()}).EdgesTo(c.arn) {
				if e.CrossAccount && e.Verdict != eval.Deny && e.Grantee.Kind != access.ServiceGrantee {
					t.Errorf("%s still comes in: %s", e.Grantee.ID, e.LeftOver)
				}
			}
			if script := r.Script(today); !strings.Contains(script, quarantineSid) || !strings.Contains(script, "export AWS_PROFILE="+account) {
				t.Errorf("script\n%s", script)
			}
		})
	}
}

func TestAssuming(t *testing.T) {
	for source, want := range map[string]string{
		ci: "sts:AssumeRole", "111122223333": "sts:AssumeRole", "oidc:" + issuer + ":repo:acme/web:*": "sts:AssumeRoleWithWebIdentity",
		github: "sts:AssumeRoleWithWebIdentity", "arn:aws:iam::444455556666:saml-provider/corp": "sts:AssumeRoleWithSAML",
	} {
		if got := assuming(source); got != want {
			t.Errorf("%s comes in by %s, want %s", source, got, want)
		}
	}
}
