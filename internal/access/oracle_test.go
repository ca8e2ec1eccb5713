package access

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// TestCrossingsAgainstFullScan holds the index of candidate pairs against the slow, obvious way: ask the engine about
// every principal and every role.
func TestCrossingsAgainstFullScan(t *testing.T) {
	for seed := range uint64(60) {
		g := Build(org.Build(randomSnapshot(rand.New(rand.NewPCG(seed, 1)))), Options{})
		crossings := 0
		for _, p := range g.Org.Principals {
			got := map[string]string{}
			for _, e := range g.Out(p) {
				got[e.Target.ARN] = e.Verdict.String() + " " + e.LeftOver.String()
				crossings++
			}
			want := map[string]string{}
			for _, role := range g.Org.Principals {
				if role.Role == nil {
					continue
				}
				target := Target{ARN: role.ARN, Account: role.Account, Role: role}
				d := g.ask(p.Caller, p, probe{assumeRole, role.ARN}, &target, g.trustContext(&target))
				if d.Verdict != eval.Deny {
					want[role.ARN] = d.Verdict.String() + " " + d.LeftOver.String()
				}
			}
			for _, name := range union(got, want) {
				if got[name] != want[name] {
					t.Errorf("seed %d: %s to %s: the index says %q, the full scan %q", seed, p.ARN, name, got[name], want[name])
				}
			}
		}
		if crossings == 0 && seed == 0 {
			t.Error("the organisation has no crossing, so that nothing was compared")
		}
	}
}

func union(a, b map[string]string) []string {
	var names []string
	for n := range a {
		names = append(names, n)
	}
	for n := range b {
		names = append(names, n)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// randomSnapshot is a small organisation of three member accounts and one outsider whose trusts and permissions are drawn
// from the shapes that real ones have.
func randomSnapshot(r *rand.Rand) *snapshot.Snapshot {
	accounts := []string{"111111111111", "222222222222", "333333333333", "999999999999"}
	s := &snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: accounts[0]}}
	if r.IntN(3) == 0 {
		s.Organization.SCPs = append(s.Organization.SCPs, snapshot.ControlPolicy{Name: "full", Targets: []string{"r-root", accounts[0], accounts[1], accounts[2]},
			Document: read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)})
		s.Organization.SCPs = append(s.Organization.SCPs, snapshot.ControlPolicy{Name: "no-assume", Targets: []string{accounts[1+r.IntN(2)]},
			Document: read(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"arn:aws:iam::222222222222:role/r1"}}`)})
	}
	if r.IntN(3) == 0 {
		s.Organization.RCPs = append(s.Organization.RCPs, snapshot.ControlPolicy{Name: "perimeter", Targets: []string{"r-root"},
			Document: read(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"sts:*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-example"}}}}`)})
	}
	for i, id := range accounts {
		a := snapshot.Account{ID: id, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}
		switch i {
		case 0:
			a.Kind = snapshot.Management
		case 3:
			a.Kind, a.UnitPath, a.Inventoried = snapshot.External, "", false
		}
		s.Accounts = append(s.Accounts, a)
	}
	role := func() string {
		return fmt.Sprintf("arn:aws:iam::%s:role/r%d", accounts[r.IntN(len(accounts))], r.IntN(3))
	}
	for _, id := range accounts {
		for n := range 3 {
			s.Roles = append(s.Roles, snapshot.Role{
				Principal: snapshot.Principal{ARN: fmt.Sprintf("arn:aws:iam::%s:role/r%d", id, n), Name: fmt.Sprintf("r%d", n), Account: id,
					UniqueID: fmt.Sprintf("AROA%s%d", id, n), Inline: randomIdentity(r, role), InlineBoundary: randomBoundary(r)},
				Trust: randomTrust(r, accounts, role),
			})
		}
		s.Users = append(s.Users, snapshot.User{Principal: snapshot.Principal{ARN: "arn:aws:iam::" + id + ":user/u", Name: "u", Account: id, Inline: randomIdentity(r, role)}})
	}
	return s
}

func read(text string) snapshot.Document {
	return snapshot.Document{Name: "document", State: snapshot.Read, Policy: policy.MustParse(text)}
}

func randomIdentity(r *rand.Rand, role func() string) []snapshot.Document {
	shapes := []string{
		`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`,
		`{"Effect":"Allow","Action":"*","Resource":"*"}`,
		`{"Effect":"Allow","Action":"sts:Assume*","Resource":"ROLE"}`,
		`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`,
		`{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}`,
		`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}`,
		`{"Effect":"Deny","Action":"sts:AssumeRole","Resource":"ROLE"}`,
	}
	var documents []snapshot.Document
	for range r.IntN(3) {
		shape := strings.ReplaceAll(shapes[r.IntN(len(shapes))], "ROLE", role())
		documents = append(documents, read(`{"Version":"2012-10-17","Statement":[`+shape+`]}`))
	}
	if r.IntN(12) == 0 {
		documents = append(documents, snapshot.Document{Name: "lost"})
	}
	return documents
}

func randomBoundary(r *rand.Rand) *snapshot.Document {
	shapes := []string{`"*"`, `"sts:*"`, `"s3:*"`}
	if r.IntN(3) > 0 {
		return nil
	}
	d := read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":` + shapes[r.IntN(len(shapes))] + `,"Resource":"*"}}`)
	return &d
}

func randomTrust(r *rand.Rand, accounts []string, role func() string) snapshot.Document {
	principals := []string{
		`{"AWS":"ROLE"}`, `{"AWS":["ROLE","ROLE"]}`, `{"AWS":"ACCOUNT"}`, `{"AWS":"arn:aws:iam::ACCOUNT:root"}`, `"*"`,
		`{"Service":"ec2.amazonaws.com"}`, `{"AWS":"arn:aws:iam::ACCOUNT:user/u"}`, `{"AWS":"AROA1111111111111"}`,
		`{"AWS":"arn:aws:sts::ACCOUNT:assumed-role/r1/build"}`,
	}
	conditions := []string{
		``, ``, ``, `,"Condition":{"StringEquals":{"sts:ExternalId":"x"}}`, `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}`,
		`,"Condition":{"ArnLike":{"aws:PrincipalArn":"ROLE"}}`, `,"Condition":{"StringLike":{"sts:SourceIdentity":"ci-*"}}`,
	}
	effects := []string{"Allow", "Allow", "Allow", "Allow", "Deny"}
	var statements []string
	for range 1 + r.IntN(2) {
		statement := `{"Effect":"` + effects[r.IntN(len(effects))] + `","Principal":` + principals[r.IntN(len(principals))] +
			`,"Action":["sts:AssumeRole","sts:SetSourceIdentity"]` + conditions[r.IntN(len(conditions))] + `}`
		statement = strings.ReplaceAll(strings.ReplaceAll(statement, "ROLE", role()), "ACCOUNT", accounts[r.IntN(len(accounts))])
		statements = append(statements, statement)
	}
	return read(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
}

// TestPathsCarryWitnesses: whatever path has a witness, the engine, asked afresh with nothing else known, allows each step.
func TestPathsCarryWitnesses(t *testing.T) {
	found, conditional := 0, 0
	for seed := range uint64(40) {
		g := Build(org.Build(randomSnapshot(rand.New(rand.NewPCG(seed, 7)))), Options{})
		for _, from := range g.Org.Principals {
			for _, to := range g.Org.Principals {
				if to.Role == nil || from == to {
					continue
				}
				paths, err := g.Paths(from.ARN, to.ARN, PathOptions{MaxSteps: 3, Limit: 3})
				if err != nil {
					t.Fatal(err)
				}
				for _, p := range paths {
					found++
					if p.Verdict == eval.Unknown && p.Witness != nil {
						conditional++
					}
					if p.Witness == nil && p.Verdict == eval.Allow {
						t.Errorf("seed %d: %s to %s is allowed and has no witness", seed, from.ARN, to.ARN)
					}
					checkWitness(t, g, p)
				}
			}
		}
	}
	if found == 0 || conditional == 0 {
		t.Errorf("%d paths, %d of them conditional with a witness: too few to prove anything", found, conditional)
	}
}

func checkWitness(t *testing.T, g *Graph, p Path) {
	t.Helper()
	for i, w := range p.Witness {
		a, err := g.Decide(Question{Principal: p.Steps[i].Grantee.Principal.ARN, Action: "sts:AssumeRole", Resource: p.Steps[i].Target.ARN, Context: w, Rest: cond.Absent})
		if err != nil {
			t.Fatal(err)
		}
		if a.Verdict != eval.Allow {
			t.Errorf("%s to %s: step %d with %v: %v by %v", p.From, p.To, i, w, a.Verdict, a.By)
		}
	}
}
