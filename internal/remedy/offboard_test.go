package remedy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

const vendor = "777788889999"

var leaver = Leaver{Name: "Metrigraph", Accounts: []string{vendor}}

// offboarded is an organisation in which a vendor has one of everything.
func offboarded(withVendor bool) *access.Graph {
	doc := func(text string) snapshot.Document {
		return snapshot.Document{Name: "policy", State: snapshot.Read, Policy: policy.MustParse(text)}
	}
	trust, bucket := `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}}`, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}}`
	only := `{"Statement":{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}}`
	if withVendor {
		trust = strings.Replace(trust, `"111122223333"`, `["111122223333","`+old+`"]`, 1)
		bucket = strings.Replace(bucket, `"111122223333"`, `["111122223333","`+vendor+`"]`, 1)
		only = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + vendor + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"e-7"}}}}`
	}
	own := "444455556666"
	s := &snapshot.Snapshot{
		Accounts: []snapshot.Account{{ID: own, Kind: snapshot.Member, Partition: "aws", Inventoried: true}},
		Roles: []snapshot.Role{
			{Principal: snapshot.Principal{ARN: role, Name: "deploy", Account: own}, Trust: doc(trust)},
			{Principal: snapshot.Principal{ARN: "arn:aws:iam::444455556666:role/vendor", Name: "vendor", Account: own}, Trust: doc(only)},
		},
		Resources: []snapshot.Resource{{ARN: "arn:aws:s3:::data", Type: "AWS::S3::Bucket", Account: own, Policy: doc(bucket)}},
	}
	if withVendor {
		s.Resources = append(s.Resources, snapshot.Resource{ARN: "arn:aws:ec2:eu-west-1:444455556666:vpc-endpoint-service/vpce-svc-1", Type: "AWS::EC2::VPCEndpointService", Account: own,
			Policy: snapshot.Document{State: snapshot.None}, Attributes: snapshot.Attributes{Other: map[string]any{"allowedPrincipals": []any{"arn:aws:iam::" + vendor + ":root"}}}})
		s.Providers = []snapshot.Provider{{ARN: "arn:aws:iam::444455556666:saml-provider/metrigraph-sso", Type: "saml", Account: own},
			{ARN: "arn:aws:iam::444455556666:saml-provider/corporate", Type: "saml", Account: own}}
		s.KMSGrants = []snapshot.KMSGrant{{Key: "arn:aws:kms:eu-west-1:444455556666:key/1", ID: "g-1", Grantee: old, Operations: []string{"Decrypt"}}}
		s.Shares = []snapshot.Share{{Kind: "EBSSnapshot", ARN: "arn:aws:ec2:eu-west-1::snapshot/snap-1", Owner: own, With: []string{vendor}}}
	}
	return access.Build(org.Build(s), access.Options{})
}

func TestOffboard(t *testing.T) {
	plan := Offboard(offboarded(true), leaver)
	var got []string
	for _, s := range plan {
		got = append(got, string(s.Kind)+" "+s.Target)
	}
	want := []string{
		"trust " + role, "trust arn:aws:iam::444455556666:role/vendor", "sessions " + role, "sessions arn:aws:iam::444455556666:role/vendor",
		"resource policy arn:aws:s3:::data", "KMS grant arn:aws:kms:eu-west-1:444455556666:key/1", "share arn:aws:ec2:eu-west-1::snapshot/snap-1",
		"endpoint service arn:aws:ec2:eu-west-1:444455556666:vpc-endpoint-service/vpce-svc-1", "identity provider arn:aws:iam::444455556666:saml-provider/metrigraph-sso",
		"ExternalId e-7",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, s := range plan {
		if len(s.Commands) == 0 && s.Kind != ExternalIDStep || s.What == "" || len(s.Who) == 0 {
			t.Errorf("%+v", s)
		}
		if s.After == nil {
			continue
		}
		if text := string(s.After.Canonical()); strings.Contains(text, vendor) {
			t.Errorf("%s still names the vendor: %s", s.Target, text)
		}
		if s.Target != "arn:aws:iam::444455556666:role/vendor" && !strings.Contains(string(s.After.Canonical()), "111122223333") {
			t.Errorf("%s lost another caller", s.Target)
		}
	}
}

// states are the items of a plan by kind and target.
func states(p *Plan) map[string]ItemState {
	out := map[string]ItemState{}
	for _, it := range p.Items {
		out[string(it.Kind)+" "+it.Target] = it.State
	}
	return out
}

func TestPlan(t *testing.T) {
	p := NewPlan(leaver, today)
	p.Continue(offboarded(true), leaver, today)
	if n := p.Count(Open); n != 10 || n != len(p.Items) {
		t.Fatalf("%d of %d items are open", n, len(p.Items))
	}
	if err := p.Mark([]string{p.Items[0].ID[:6]}, today); err != nil || p.Count(Done) != 1 {
		t.Fatalf("marking: %v, %d done", err, p.Count(Done))
	}
	if err := p.Mark([]string{"nothing"}, today); err == nil {
		t.Error("an id that no item has was marked")
	}
	text, err := p.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if p, err = ReadPlan("plan.json", text); err != nil || p.Count(Done) != 1 {
		t.Fatalf("read again: %v", err)
	}
	p.Continue(offboarded(true), leaver, today)
	if p.Count(Done) != 1 || p.Count(Gone) != 0 {
		t.Errorf("what is said to be done is gone without a snapshot that shows it: %v", states(p))
	}

	p.Continue(offboarded(false), leaver, today)
	for name, state := range states(p) {
		if want := !strings.HasPrefix(name, "sessions"); (state == Gone) != want {
			t.Errorf("%s is %s", name, state)
		}
	}
	p.Continue(offboarded(false), leaver, today.Add(13*time.Hour))
	if p.Count(Gone) != len(p.Items) {
		t.Errorf("13 hours later: %v", states(p))
	}
	p.Continue(offboarded(true), leaver, today.Add(14*time.Hour))
	if p.Count(Open) != len(p.Items) {
		t.Errorf("all came back: %v", states(p))
	}
}

func TestNotReadIsNotGone(t *testing.T) {
	p := NewPlan(leaver, today)
	p.Continue(offboarded(true), leaver, today)
	nothing := access.Build(org.Build(&snapshot.Snapshot{Accounts: []snapshot.Account{{ID: "444455556666", Kind: snapshot.Member}},
		Gaps: []snapshot.Gap{{Kind: snapshot.GapAccount, Subject: "444455556666", Account: "444455556666", Reason: "not collected"}}}), access.Options{})
	p.Continue(nothing, leaver, today)
	if n := p.Count(Gone); n != 0 {
		t.Errorf("of an account that was not read, %d items are gone: %v", n, states(p))
	}
}

func TestReadPlanProblems(t *testing.T) {
	for name, text := range map[string]string{
		"no JSON": "{", "another version": `{"version":2,"vendor":"v","accounts":[],"made":"2026-01-01T00:00:00Z","items":[]}`,
		"an unknown field": `{"version":1,"more":1}`, "an unknown state": `{"version":1,"items":[{"id":"a","state":"lost"}]}`, "two plans": `{"version":1} {}`, "gone, and not since when": `{"version":1,"items":[{"id":"a","state":"gone"}]}`,
	} {
		if _, err := ReadPlan("plan.json", []byte(text)); err == nil || !strings.Contains(err.Error(), "plan.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The published schema describes what is written.
func TestPlanSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/offboarding.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	p := NewPlan(leaver, today)
	p.Continue(offboarded(true), leaver, today)
	if err := p.Mark([]string{p.Items[0].ID}, today); err != nil {
		t.Fatal(err)
	}
	for _, with := range []bool{true, false} {
		p.Continue(offboarded(with), leaver, today)
		text, err := p.JSON()
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Error(err)
		}
	}
}

// What is read as a plan can be continued, printed and read again.
func FuzzReadPlan(f *testing.F) {
	p := NewPlan(leaver, today)
	p.Continue(offboarded(true), leaver, today)
	p.Continue(offboarded(false), leaver, today)
	text, err := p.JSON()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"items":[{"id":"a","state":"done","doneAt":"2026-01-01T00:00:00Z","kind":"trust","before":{}}]}`))
	g := offboarded(true)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ReadPlan("plan.json", text)
		if err != nil {
			return
		}
		p.Continue(g, leaver, today)
		out, err := p.JSON()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPlan("plan.json", out); err != nil {
			t.Errorf("what was written is not read: %v\n%s", err, out)
		}
	})
}
