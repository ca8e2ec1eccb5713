package remedy

import (
	"errors"
	"os"
	"testing"

	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/catalog"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// cure proposes for the findings of a rule in an organisation, and runs the rule again.
func cure(t *testing.T, id string, in Inputs) (*Proposal, State, string) {
	t.Helper()
	about := &rule.Input{Graph: in.Graph, Org: in.Graph.Org, Registry: in.Registry, Usage: in.Usage, Now: in.Now}
	r := catalog.Rule(id)
	for _, f := range rule.Run([]*rule.Rule{r}, about) {
		if f.Status != finding.Confirmed {
			continue
		}
		p, err := For(&f, in)
		if err != nil {
			t.Fatal(err)
		}
		state, reason := Recheck(r, about, &f, in, p.Changes)
		return p, state, reason
	}
	t.Fatalf("%s finds nothing", id)
	return nil, "", ""
}

// holding is an organisation of one account with a role by its trust, and a resource by its policy; "" leaves either out.
func holding(trust, resource, kind, policies string) *access.Graph {
	s := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "999900001111", Units: []snapshot.Unit{{Path: "r-root"}}, SCPs: []snapshot.ControlPolicy{}, RCPs: []snapshot.ControlPolicy{}},
		Accounts:     []snapshot.Account{{ID: "444455556666", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
	}
	if trust != "" {
		s.Roles = []snapshot.Role{{Principal: snapshot.Principal{ARN: role, Name: "deploy", Account: "444455556666"}, Trust: snapshot.Document{Name: "trust policy", State: snapshot.Read, Policy: statements(trust)}}}
	}
	if resource != "" {
		s.Resources = []snapshot.Resource{{ARN: resource, Type: kind, Account: "444455556666", Policy: snapshot.Document{Name: "resource policy", State: snapshot.Read, Policy: statements(policies)}}}
	}
	return access.Build(org.Build(s), access.Options{Engine: ref.Engine()})
}

func readBy(caller, target, action string) *usage.Record {
	return &usage.Record{Crossings: []usage.Crossing{{Caller: caller, Target: target, Mechanism: action, Count: 4, First: today.AddDate(0, -1, 0), Last: today.AddDate(0, 0, -1)}}}
}

func TestFor(t *testing.T) {
	const bucket, queue, github = "arn:aws:s3:::data", "arn:aws:sqs:eu-west-1:444455556666:orders", "arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com"
	oidc, problems := registry.Parse("r.yaml", []byte(`{apiVersion: drawbridge/v1, kind: Trust, metadata: {name: ci, owner: o}, spec: {purpose: p, expires: 2027-01-01, to: {role: '`+role+`'},
		from: {oidc: {issuer: 'https://token.actions.githubusercontent.com', audience: sts.amazonaws.com, claims: {sub: 'repo:acme/shop:environment:prod'}}}}}`))
	if len(problems) > 0 {
		t.Fatal(problems[0])
	}
	for _, c := range []struct {
		rule   string
		graph  *access.Graph
		in     Inputs
		want   string // canonical statements of the change
		breaks int
	}{
		{"RES-003", holding("", bucket, "AWS::S3::Bucket", `[{"Effect":"Allow","Principal":{"AWS":["111122223333","444455556666"]},"Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}]`),
			Inputs{Registry: entryTo(bucket, ci, "s3:GetObject")},
			`[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:*","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]},{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"s3:GetObject","Resource":["arn:aws:s3:::data","arn:aws:s3:::data/*"]}]`, 0},
		{"RES-001", holding("", queue, "AWS::SQS::Queue", `[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"`+queue+`"}]`), Inputs{},
			`[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"` + queue + `","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}}]`, 0},
		// Open to anyone, and used from outside the organisation: those who come are named.
		{"RES-001", holding("", queue, "AWS::SQS::Queue", `[{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"`+queue+`"}]`), Inputs{Usage: readBy(ci, queue, "sqs:SendMessage")},
			`[{"Effect":"Allow","Principal":{"AWS":["` + ci + `","arn:aws:iam::444455556666:root"]},"Action":"sqs:SendMessage","Resource":"` + queue + `"}]`, 0},
		{"SVC-001", holding(`[{"Sid":"S","Effect":"Allow","Principal":{"AWS":"444455556666","Service":"glue.amazonaws.com"},"Action":"sts:AssumeRole"}]`, "", "", ""), Inputs{},
			`[{"Sid":"S","Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"},{"Sid":"SServices","Effect":"Allow","Principal":{"Service":"glue.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"444455556666"}}}]`, 0},
		{"FED-001", holding(`[{"Effect":"Allow","Principal":{"Federated":"`+github+`"},"Action":"sts:AssumeRoleWithWebIdentity"}]`, "", "", ""), Inputs{Registry: oidc},
			`[{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com","token.actions.githubusercontent.com:sub":"repo:acme/shop:environment:prod"}}}]`, 0},
		{"TRU-001", holding(`[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]`, "", "", ""), Inputs{},
			`[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}}]`, 0},
		{"TRU-012", holding(`[{"Effect":"Allow","Principal":{"AWS":"`+ci+`"},"Action":"sts:*"}]`, "", "", ""), Inputs{},
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`, 0},
		// An unknown account is dropped, and somebody uses it: that is said.
		{"EXT-006", holding(`[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]`, "", "", ""), Inputs{Usage: seen(ci)},
			`[{"Sid":"Closed","Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}]`, 1},
	} {
		t.Run(c.rule, func(t *testing.T) {
			c.in.Graph, c.in.Now = c.graph, today
			p, state, reason := cure(t, c.rule, c.in)
			if got := p.Changes[0].After; got.Key() != statements(c.want).Document.Key() {
				t.Errorf("got  %s\nwant %s", got.Key(), c.want)
			}
			if state != Cured {
				t.Errorf("%s: %s", state, reason)
			}
			if len(p.Breaks) != c.breaks {
				t.Errorf("breaks %+v", p.Breaks)
			}
		})
	}
}

func entryTo(resource, caller, action string) *registry.Registry {
	r, problems := registry.Parse("r.yaml", []byte(`{apiVersion: drawbridge/v1, kind: Trust, metadata: {name: e, owner: o}, spec: {purpose: p, expires: 2027-01-01, from: {principals: ['`+caller+`']},
		to: {resources: ['`+resource+`']}, allow: {actions: ['`+action+`'], resources: ['`+resource+`/*']}}}`))
	if len(problems) > 0 {
		panic(problems[0])
	}
	return r
}

// TestStillFound: a change that does not cure is not called a cure.
func TestStillFound(t *testing.T) {
	in := Inputs{Graph: holding(`[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}]`, "", "", ""), Now: today}
	about := &rule.Input{Graph: in.Graph, Org: in.Graph.Org, Now: today}
	r := catalog.Rule("TRU-001")
	f := rule.Run([]*rule.Rule{r}, about)[0]
	wide := Change{Kind: TrustPolicy, Target: role, After: policy.MustParse(`{"Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`).Document}
	if state, _ := Recheck(r, about, &f, in, []Change{wide}); state != StillFound {
		t.Errorf("%s", state)
	}
	f.Rule = "CHN-004"
	if _, err := For(&f, in); !errors.Is(err, ErrInWords) {
		t.Errorf("%v", err)
	}
}

// Every rule of the table exists, and nothing of the example organisation makes a remedy fail in another way than it says.
func TestCuresOfTheExample(t *testing.T) {
	for id := range cures {
		if catalog.Rule(id) == nil {
			t.Errorf("%s is no rule", id)
		}
	}
	s, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	g := access.Build(org.Build(s), access.Options{Engine: ref.Engine()})
	in := Inputs{Graph: g, Usage: usage.Of(s.Usage), Now: today}
	about := &rule.Input{Graph: g, Org: g.Org, Usage: in.Usage, Now: today}
	proposed := 0
	for _, f := range rule.Run(catalog.Rules(), about) {
		if f.Status != finding.Confirmed {
			continue
		}
		p, err := For(&f, in)
		switch {
		case err == nil:
			proposed++
			if len(p.Changes) == 0 {
				t.Errorf("%s on %s: a proposal without a change", f.Rule, f.Subject)
			}
		case !errors.Is(err, ErrInWords) && !errors.Is(err, ErrNoEvidence) && !errors.Is(err, ErrNothing):
			t.Logf("%s on %s: %v", f.Rule, f.Subject, err)
		}
	}
	if proposed < 10 {
		t.Errorf("only %d findings have a remedy", proposed)
	}
}
