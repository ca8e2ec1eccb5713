package access

import (
	"errors"
	"strings"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// TestDecideNames: the errors of a question are about its names, and a role that nobody collected is a target like any other.
func TestDecideNames(t *testing.T) {
	g := Build(org.Build(&snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "100000000001"},
		Accounts:     []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member, Inventoried: true, UnitPath: "r-root"}},
	}), Options{})
	ask := func(principal, action, resource string) (Answer, error) {
		return g.Decide(Question{Principal: principal, Action: action, Resource: resource, Rest: cond.Absent})
	}
	if _, err := ask("arn:aws:iam::111111111111:role/gone", "s3:GetObject", "arn:aws:s3:::b/k"); !errors.Is(err, ErrNotFound) {
		t.Errorf("a principal that the inventory lacks: %v, expected ErrNotFound", err)
	}
	const gone = "arn:aws:iam::111111111111:role/gone"
	if _, err := ask("anonymous", "sts:AssumeRole", gone); !errors.Is(err, ErrNotFound) {
		t.Errorf("a target that the inventory lacks: %v, expected ErrNotFound", err)
	}
	if _, err := g.WhoCan("sts:AssumeRole", gone); !errors.Is(err, ErrNotFound) {
		t.Errorf("who can reach a role that the inventory lacks: %v, expected ErrNotFound", err)
	}
	if _, err := ask("anonymous", "iam:CreateRole", gone); err != nil {
		t.Errorf("creating a role that is not there: %v", err)
	}
	if _, err := g.WhoCan("iam:PassRole", "arn:aws:iam::111111111111:role/*"); err != nil {
		t.Errorf("a pattern: %v", err)
	}
	for _, bad := range [][3]string{{"ann", "s3:GetObject", "*"}, {"anonymous", "s3", "*"}, {"anonymous", "s3:GetObject", "bucket"}, {"oidc:host", "sts:AssumeRoleWithWebIdentity", "*"}} {
		if _, err := ask(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
	a, err := ask("arn:aws:iam::999999999999:role/x", "sts:AssumeRole", "arn:aws:iam::222222222222:role/y")
	if err != nil || a.Verdict != eval.Deny || !a.CallerAssumed {
		t.Errorf("a role that nobody collected: %v, %v", a, err)
	}
}

// TestTrustWithoutPrincipal: a trust statement that names nobody is a possible way in for nobody knows whom, not no trust.
func TestTrustWithoutPrincipal(t *testing.T) {
	g := Build(org.Build(&snapshot.Snapshot{
		Accounts: []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member, Inventoried: true}},
		Roles: []snapshot.Role{{
			Principal: snapshot.Principal{ARN: "arn:aws:iam::111111111111:role/r", Account: "111111111111", Name: "r", Path: "/"},
			Trust: snapshot.Document{Name: "trust policy", State: snapshot.Read,
				Policy: policy.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole"}]}`)},
		}},
	}), Options{})
	if len(g.Edges) != 1 {
		t.Fatalf("%d edges, expected one", len(g.Edges))
	}
	e := g.Edges[0]
	if e.Grantee.Kind != NotUnderstood || e.Verdict != eval.Unknown || e.By.Statement != 0 || !strings.Contains(e.LeftOver.String(), "no Principal") {
		t.Errorf("grantee %+v, verdict %v under %v by statement %d", e.Grantee, e.Verdict, e.LeftOver, e.By.Statement)
	}
}

// TestPathsFromAnAccount: "some principal of the account" may be the very role that a trust names.
func TestPathsFromAnAccount(t *testing.T) {
	g := Build(org.Build(&snapshot.Snapshot{
		Accounts: []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member, Inventoried: true}},
		Roles: []snapshot.Role{{
			Principal: snapshot.Principal{ARN: "arn:aws:iam::111111111111:role/r", Account: "111111111111", Name: "r", Path: "/"},
			Trust: snapshot.Document{Name: "trust policy", State: snapshot.Read,
				Policy: policy.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:role/collector"},"Action":"sts:AssumeRole"}]}`)},
		}},
	}), Options{})
	for from, want := range map[string]int{"999999999999": 1, "arn:aws:iam::999999999999:role/collector": 1, "888888888888": 0, "arn:aws:iam::999999999999:role/other": 0} {
		paths, err := g.Paths(from, "arn:aws:iam::111111111111:role/r", PathOptions{})
		if err != nil || len(paths) != want {
			t.Errorf("from %s: %d paths, %v; expected %d", from, len(paths), err, want)
		}
	}
}
