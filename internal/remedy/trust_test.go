package remedy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/compare"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

const (
	role = "arn:aws:iam::444455556666:role/deploy"
	ci   = "arn:aws:iam::111122223333:role/ci"
	old  = "arn:aws:iam::777788889999:role/old"
)

var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func graphOf(t *testing.T, trust string) *access.Graph {
	t.Helper()
	s := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "999900001111"},
		Accounts:     []snapshot.Account{{ID: "444455556666", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
		Roles: []snapshot.Role{{Principal: snapshot.Principal{ARN: role, Name: "deploy", Account: "444455556666"},
			Trust: snapshot.Document{Name: "trust policy", State: snapshot.Read, Policy: policy.MustParse(`{"Version":"2012-10-17","Statement":` + trust + `}`)}}},
	}
	return access.Build(org.Build(s), access.Options{})
}

func seen(callers ...string) *usage.Record {
	r := &usage.Record{}
	for _, c := range callers {
		r.Crossings = append(r.Crossings, usage.Crossing{Caller: c, Target: role, Mechanism: "AssumeRole", Count: 3, First: today.AddDate(0, -2, 0), Last: today.AddDate(0, 0, -2)})
	}
	return r
}

func entry(source, conditions string) *registry.Registry {
	r, problems := registry.Parse("r.yaml", []byte("apiVersion: drawbridge/v1\nkind: Trust\nmetadata: {name: e, owner: o}\nspec:\n  purpose: p\n  from: {principals: ['"+source+"']}\n  to: {role: '"+role+"'}\n  expires: 2027-01-01\n"+conditions))
	if len(problems) > 0 {
		panic(problems[0])
	}
	return r
}

const (
	issuer = "token.actions.githubusercontent.com"
	github = "arn:aws:iam::444455556666:oidc-provider/" + issuer
)

func subject(sub string) *registry.Registry {
	r, problems := registry.Parse("r.yaml", []byte("apiVersion: drawbridge/v1\nkind: Trust\nmetadata: {name: e, owner: o}\nspec:\n  purpose: p\n"+
		"  from: {oidc: {issuer: 'https://"+issuer+"', audience: sts.amazonaws.com, claims: {sub: '"+sub+"'}}}\n  to: {role: '"+role+"'}\n  expires: 2027-01-01\n"))
	if len(problems) > 0 {
		panic(problems[0])
	}
	return r
}

func propose(t *testing.T, trust string, in Inputs) (*Proposal, error) {
	t.Helper()
	in.Graph, in.Now = graphOf(t, trust), today
	p, ok := in.Graph.Org.Principal(role)
	if !ok {
		t.Fatal("no role")
	}
	return Trust(p, in)
}

func TestTrust(t *testing.T) {
	const service = `{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`
	for name, c := range map[string]struct {
		trust, want string // canonical statements
		in          Inputs
	}{
		"an account becomes the callers that were seen": {
			`[` + service + `,{"Effect":"Allow","Principal":{"AWS":["111122223333","` + old + `"]},"Action":"sts:AssumeRole"}]`,
			`[` + service + `,{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			Inputs{Usage: seen(ci)},
		},
		"what was not seen for too long goes": {
			`[{"Effect":"Allow","Principal":{"AWS":["` + ci + `","` + old + `"]},"Action":"sts:AssumeRole"}]`,
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			Inputs{Registry: entry(ci, ""), Usage: seen(old), Since: today.AddDate(0, 0, -1)},
		},
		"an entry brings its ExternalId": {
			`[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]`,
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x-1"}}}]`,
			Inputs{Registry: entry(ci, "  trustConditions: {StringEquals: {sts:ExternalId: x-1}}\n")},
		},
		"a statement that nobody needs goes": {
			`[{"Effect":"Allow","Principal":{"AWS":"` + old + `"},"Action":"sts:AssumeRole"},{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			Inputs{Usage: seen(ci)},
		},
		"somebody of an account may be the one who is declared": {
			`[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]`,
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			Inputs{Registry: entry(ci, ""), Usage: seen("111122223333")},
		},
		"somebody of an account may be each of those whom the policy names": {
			`[{"Effect":"Allow","Principal":{"AWS":["` + ci + `","` + ci + `-2","` + old + `"]},"Action":"sts:AssumeRole"}]`,
			`[{"Effect":"Allow","Principal":{"AWS":["` + ci + `","` + ci + `-2"]},"Action":"sts:AssumeRole"}]`,
			Inputs{Usage: seen("111122223333")},
		},
		"a statement that comes to say what another says goes": {
			`[{"Sid":"A","Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"},{"Sid":"B","Effect":"Allow","Principal":{"AWS":["` + ci + `","` + old + `"]},"Action":"sts:AssumeRole"}]`,
			`[{"Sid":"A","Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			Inputs{Usage: seen(ci)},
		},
		"a wildcard becomes the action that assumes the role": {
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":["sts:*","sts:TagSession"]}]`,
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":["sts:AssumeRole","sts:TagSession"]}]`,
			Inputs{Usage: seen(ci)},
		},
		"subjects are those that are declared and those that were seen": {
			`[{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + issuer + `:aud":"sts.amazonaws.com"}}}]`,
			`[{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + issuer + `:aud":"sts.amazonaws.com"},` +
				`"StringLike":{"` + issuer + `:sub":["repo:acme/web:*","repo:acme/api:pull_request"]}}}]`,
			Inputs{Registry: subject("repo:acme/web:*"), Usage: seen("oidc:"+issuer+":repo:acme/web:ref:refs/heads/main", "oidc:"+issuer+":repo:acme/api:pull_request")},
		},
		"a set operator that is true without a claim goes": {
			`[{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"ForAllValues:StringEquals":{"` + issuer + `:sub":"repo:acme/web:x"}}}]`,
			`[{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + issuer + `:aud":"sts.amazonaws.com","` + issuer + `:sub":"repo:acme/web:x"}}}]`,
			Inputs{Registry: subject("repo:acme/web:x")},
		},
		"a provider of which nobody needs anything goes": {
			`[{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity"},{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			`[{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}]`,
			Inputs{Usage: seen(ci)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := propose(t, c.trust, c.in)
			if err != nil {
				t.Fatal(err)
			}
			want := policy.MustParse(`{"Version":"2012-10-17","Statement":` + c.want + `}`)
			if got := string(p.Changes[0].After.Canonical()); got != string(want.Document.Canonical()) {
				t.Errorf("got  %s\nwant %s", got, want.Document.Canonical())
			}
			if len(p.Taken) == 0 || len(p.Breaks) > 0 || len(p.Reasons) == 0 {
				t.Errorf("taken %d, breaks %v, reasons %q", len(p.Taken), p.Breaks, p.Reasons)
			}
			back := compare.Policies(policy.Trust, []*policy.Policy{policy.Compile(p.Changes[0].Before)}, []*policy.Policy{policy.Compile(p.Changes[0].After)}, compare.Options{Account: "444455556666"})
			if !back.NothingNew {
				t.Errorf("the proposal allows something new: %+v", back.Gained)
			}
		})
	}
}

func TestNoProposal(t *testing.T) {
	if _, err := propose(t, `[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]`, Inputs{}); !errors.Is(err, ErrNoEvidence) {
		t.Errorf("without evidence: %v", err)
	}
	if _, err := propose(t, `[{"Effect":"Allow","Principal":{"AWS":"`+ci+`"},"Action":"sts:AssumeRole"}]`, Inputs{Usage: seen(ci)}); !errors.Is(err, ErrNothing) {
		t.Errorf("where nothing is too wide: %v", err)
	}
}

// A caller whose name was left out of the record is one of those who are known, or else nothing is proposed.
func TestUnnamedCallers(t *testing.T) {
	const user, unnamed = "arn:aws:iam::111122223333:user/ana", "arn:aws:iam::111122223333:user/#"
	p, err := propose(t, `[{"Effect":"Allow","Principal":{"AWS":["`+user+`","`+ci+`"]},"Action":"sts:AssumeRole"}]`, Inputs{Usage: seen(unnamed)})
	if err != nil {
		t.Fatal(err)
	}
	if after := string(p.Changes[0].After.Canonical()); !strings.Contains(after, user) || strings.Contains(after, "#") || strings.Contains(after, ci) {
		t.Error(after)
	}
	for _, caller := range []string{unnamed, "oidc:token.actions.githubusercontent.com:#"} {
		if _, err := propose(t, `[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]`, Inputs{Usage: seen(caller)}); !errors.Is(err, ErrUnnamed) {
			t.Errorf("%s: %v", caller, err)
		}
	}
}
