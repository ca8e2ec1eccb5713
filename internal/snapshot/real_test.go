package snapshot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// realData holds authorization details of real (published) accounts. It lies beside the repository, and is not part of it.
const realData = "../../../shared/data/cloudsplaining-gaad"

// realFiles returns the content of the real authorization-details files by name.
func realFiles(tb testing.TB) map[string][]byte {
	tb.Helper()
	if _, err := os.Stat(realData); err != nil {
		tb.Skipf("the real authorization details are not beside this repository: %v", err)
	}
	files := make(map[string][]byte)
	for _, name := range []string{
		"examples/files/example.json",
		"test/files/example-authz-details.json",
		"test/files/example_authz_details_for_overrides_complete.json",
		"test/files/example_authz_v2.json",
	} {
		data, err := os.ReadFile(filepath.Join(realData, name))
		if err != nil {
			tb.Fatal(err)
		}
		files[filepath.Base(name)] = data
	}
	return files
}

func TestRealAuthorizationDetails(t *testing.T) {
	want := map[string]struct {
		users, groups, roles, policies int
		accounts                       string
	}{
		"example.json":               {44, 5, 78, 84, "012345678901 200611803367"},
		"example-authz-details.json": {3, 2, 3, 32, "012345678901"},
		"example_authz_details_for_overrides_complete.json": {1, 1, 2, 3, "012345678901"},
		"example_authz_v2.json":                             {1, 1, 2, 2, "012345678901"},
	}
	for name, data := range realFiles(t) {
		t.Run(name, func(t *testing.T) {
			s, err := ReadDetails(mapFS(map[string]string{name: string(data)}), []string{name})
			if err != nil {
				t.Fatal(err)
			}
			w := want[name]
			if len(s.Users) != w.users || len(s.Groups) != w.groups || len(s.Roles) != w.roles || len(s.Policies) != w.policies {
				t.Errorf("users %d, groups %d, roles %d, policies %d; want %+v", len(s.Users), len(s.Groups), len(s.Roles), len(s.Policies), w)
			}
			// example.json was put together from two accounts, so that neither is known to be complete.
			var accounts []string
			for _, a := range s.Accounts {
				accounts = append(accounts, a.ID)
				if a.Inventoried == (name == "example.json") {
					t.Errorf("account %s: inventoried %v; gaps %+v", a.ID, a.Inventoried, s.Gaps)
				}
			}
			if got := strings.Join(accounts, " "); got != w.accounts {
				t.Errorf("accounts %s, want %s", got, w.accounts)
			}
			for _, g := range s.Gaps {
				if g.Kind == GapDocument || g.Kind == GapElement || g.Kind == GapFile && g.Source.Line > 0 {
					t.Logf("%s:%d:%d: %s: %s", g.Source.File, g.Source.Line, g.Source.Column, g.Subject, g.Reason)
				}
			}
			for _, r := range s.Roles {
				if r.Trust.State != Read {
					t.Errorf("%s: trust policy %v: %s", r.ARN, r.Trust.State, r.Trust.Problem)
				}
			}
		})
	}
}
