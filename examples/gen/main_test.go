package main

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/catalog"
	"drawbridge/internal/cloudtrail"
	"drawbridge/internal/finding"
	"drawbridge/internal/ingest"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
	"drawbridge/internal/scenario"
	"drawbridge/internal/usage"
)

const example = "../acme"

// TestFresh holds the committed files against this program.
func TestFresh(t *testing.T) {
	want := acme().files()
	err := fs.WalkDir(os.DirFS(example), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || name == "README.md" {
			return err
		}
		got, err := os.ReadFile(path.Join(example, name))
		if err != nil {
			return err
		}
		if text, ok := want[name]; !ok {
			t.Errorf("%s is not written by the program", name)
		} else if !bytes.Equal(got, text) {
			t.Errorf("%s is stale: go run ./examples/gen", name)
		}
		delete(want, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range want {
		t.Errorf("%s is missing: go run ./examples/gen", name)
	}
}

// TestStable: writing the story twice in one process gives the same bytes.
func TestStable(t *testing.T) {
	first, second := acme().files(), acme().files()
	for name := range first {
		if !bytes.Equal(first[name], second[name]) {
			t.Errorf("%s differs", name)
		}
	}
}

// row is one line of a table of the README: what was done, and which rules speak up.
type row struct {
	account  string // id
	resource string // how the subject ends
	right    bool
	rules    []string
}

// TestREADME holds the tables of the README against a scan: each rule that a row names is raised, and for what is done right
// none but those.
func TestREADME(t *testing.T) {
	rows := readme(t)
	raised := map[string]map[string]bool{} // subject, with the account in front → rules
	for _, f := range scan(t) {
		if f.Status == finding.NotAssessed {
			continue
		}
		key := f.Account + " " + f.Subject
		if raised[key] == nil {
			raised[key] = map[string]bool{}
		}
		raised[key][f.Rule] = true
	}
	named := map[string]bool{}
	for _, r := range rows {
		found := map[string]bool{}
		for subject, rules := range raised {
			account, arn, _ := strings.Cut(subject, " ")
			if account == r.account && (arn == r.resource || strings.HasSuffix(arn, ":"+r.resource)) {
				for id := range rules {
					found[id] = true
				}
			}
		}
		for _, id := range r.rules {
			named[id] = true
			if !found[id] {
				t.Errorf("%s %s: %s is not raised; raised are %v", r.account, r.resource, id, keys(found))
			}
			delete(found, id)
		}
		if r.right && len(found) > 0 {
			t.Errorf("%s %s is done right, and %v is raised", r.account, r.resource, keys(found))
		}
	}
	if len(rows) < 50 || len(named) < 30 {
		t.Errorf("found %d rows and %d rules in the README: the tables were not read", len(rows), len(named))
	}
}

func keys(m map[string]bool) string {
	var b strings.Builder
	for k := range m {
		b.WriteString(" " + k)
	}
	return b.String()
}

// scan judges the committed files as of a fixed day.
func scan(t *testing.T) []finding.Finding {
	t.Helper()
	snapshot, err := ingest.Open(example)
	if err != nil {
		t.Fatal(err)
	}
	vendors, err := ingest.OpenVendors("../acme-vendors.yaml")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	o := org.Build(snapshot)
	graph := access.Build(o, access.Options{Now: now, Engine: ref.Engine()})
	return rule.Run(catalog.Rules(), &rule.Input{Graph: graph, Org: o, Vendors: vendors, Now: now})
}

// readme reads the tables with the columns account, resource, done, rules.
func readme(t *testing.T) []row {
	t.Helper()
	text, err := os.ReadFile(path.Join(example, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]string{}
	for _, a := range everyAccount {
		ids[a.Name] = a.ID
	}
	line := regexp.MustCompile("(?m)^\\| (acme-[a-z-]+) \\| `([^`]+)` \\| ([^|]*) \\|([^|]*)\\|$")
	var rows []row
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		if ids[m[1]] == "" {
			t.Fatalf("the README names account %s, which does not exist", m[1])
		}
		rows = append(rows, row{ids[m[1]], m[2], strings.HasPrefix(m[3], "right"), strings.Fields(m[4])})
	}
	return rows
}

// TestScenarios: the scenario files beside the example hold, every expectation of them.
func TestScenarios(t *testing.T) {
	files, err := fs.Glob(os.DirFS("../scenarios"), "*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %d scenario files: %v", len(files), err)
	}
	for _, name := range files {
		data, err := os.ReadFile(path.Join("../scenarios", name))
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(data, name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, r := range s.Judge(catalog.Rules(), ref.Engine()) {
			if r.Outcome != scenario.Held {
				t.Errorf("%s: %s %s: %s; seen: %s", name, r.Kind, r.Name, r.Outcome, r.Seen)
			}
		}
	}
}

// TestGaps: the example lacks what it is meant to lack, and nothing else.
func TestGaps(t *testing.T) {
	s, err := ingest.Open(example)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, g := range org.Build(s).Gaps {
		got = append(got, string(g.Kind)+" "+g.Subject)
	}
	want := []string{
		"document arn:aws:kms:eu-west-1:111100000041:key/a93cc88e-b03c-42c2-afc0-9e9296b95a37",
		"element arn:aws:iam::111100000032:role/pipeline/matcher",
		"policy arn:aws:iam::aws:policy/ReadOnlyAccess",
		"region 111100000010/eu-central-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the gaps are\n%s\nexpected\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestTrailFresh holds the committed deliveries against this program, unpacked.
func TestTrailFresh(t *testing.T) {
	have, err := readTrail("../acme-cloudtrail")
	if err != nil {
		t.Fatal(err)
	}
	want := crossings().files()
	for name, data := range want {
		if !bytes.Equal(have[name], data) {
			t.Errorf("%s is missing or stale: go run ./examples/gen", name)
		}
	}
	for name := range have {
		if want[name] == nil {
			t.Errorf("%s is not written by the program", name)
		}
	}
}

// TestTrailAgrees: nobody came to a role later than IAM says it was last used, and every caller and role is in the organisation.
func TestTrailAgrees(t *testing.T) {
	record, _, err := cloudtrail.Import(nil, usage.Options{}, []string{"../acme-cloudtrail"})
	if err != nil {
		t.Fatal(err)
	}
	s, err := ingest.Open("../acme")
	if err != nil {
		t.Fatal(err)
	}
	o := org.Build(s)
	for _, c := range record.Crossings {
		role, ok := o.Principal(c.Target)
		if !ok {
			if _, ok := o.Resource(c.Target); !ok {
				t.Errorf("%s was used and is not in the organisation", c.Target)
			}
			continue
		}
		if last := role.Role.LastUsed; c.Count > 0 && c.Last.After(last.AddDate(0, 0, 1)) {
			t.Errorf("%s was used by %s on %s, and IAM says last on %s", c.Target, c.Caller, c.Last, last)
		}
		if strings.HasPrefix(c.Caller, "arn:") {
			if _, ok := o.Principal(c.Caller); !ok {
				t.Errorf("%s came and is not in the organisation", c.Caller)
			}
		}
	}
}
