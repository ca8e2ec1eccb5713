package catalog

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"drawbridge/iam/ref"
	"drawbridge/internal/rule"
	"drawbridge/internal/scenario"
)

// caseKinds are the cases that every rule has, and the expectation that each must contain for its rule.
var caseKinds = []string{"flagged", "clean", "not-assessed"}

// TestCases runs the cases of every rule and demands that there are all three kinds.
func TestCases(t *testing.T) {
	for _, problem := range runCases(Rules(), os.DirFS("testdata")) {
		t.Error(problem)
	}
}

// runCases returns what is wrong: a kind of case that is missing, a case that expects nothing of its rule, an expectation
// that does not hold.
func runCases(rules []*rule.Rule, cases fs.FS) []string {
	var problems []string
	for _, r := range rules {
		found := map[string]int{}
		files, _ := fs.Glob(cases, r.ID+"/*.json")
		for _, file := range files {
			kind := kindOf(file)
			if kind == "" {
				problems = append(problems, file+": the name begins with none of "+strings.Join(caseKinds, ", "))
				continue
			}
			found[kind]++
			problems = append(problems, runCase(r, rules, kind, file, cases)...)
		}
		for _, kind := range caseKinds {
			switch {
			case kind == "not-assessed" && r.NeverUnassessed != "":
				if found[kind] > 0 {
					problems = append(problems, r.ID+" says that it is never unassessed and has a case in which it is")
				}
			case found[kind] == 0:
				problems = append(problems, fmt.Sprintf("%s has no %s case", r.ID, kind))
			}
		}
	}
	return problems
}

func kindOf(file string) string {
	for _, kind := range caseKinds {
		if strings.HasPrefix(path.Base(file), kind) {
			return kind
		}
	}
	return ""
}

func runCase(r *rule.Rule, rules []*rule.Rule, kind, file string, cases fs.FS) []string {
	data, err := fs.ReadFile(cases, file)
	if err != nil {
		return []string{err.Error()}
	}
	s, err := scenario.Parse(data, file)
	if err != nil {
		return []string{err.Error()}
	}
	expected := map[string][]scenario.ExpectedFinding{"flagged": s.Expect.Findings, "clean": s.Expect.Absent, "not-assessed": s.Expect.NotAssessed}[kind]
	concerns := false
	for _, e := range expected {
		concerns = concerns || e.ID == r.ID
	}
	var problems []string
	if !concerns {
		problems = append(problems, file+": the case expects nothing of "+r.ID)
	}
	for _, result := range s.Judge(rules, ref.Engine()) {
		if result.Outcome == scenario.Failed {
			problems = append(problems, fmt.Sprintf("%s: %s %s: %s", file, result.Kind, result.Name, result.Seen))
		}
	}
	return problems
}

// TestHarnessCanFail: a rule without cases, one whose case expects nothing of it, and one that raises nothing are found.
func TestHarnessCanFail(t *testing.T) {
	silent := &rule.Rule{ID: "XXX-001", Check: func(*rule.Pass) {}}
	organization := `"now":"2026-01-15T12:00:00Z","org":{"id":"o-example","managementAccount":"100000000001","accounts":[]}`
	cases := fstest.MapFS{
		"XXX-001/flagged.json": {Data: []byte(`{"id":"a","title":"t",` + organization + `,"expect":{"findings":[{"id":"XXX-001","subject":"arn:aws:s3:::b"}]}}`)},
		"XXX-001/clean.json":   {Data: []byte(`{"id":"b","title":"t",` + organization + `,"expect":{}}`)},
		"XXX-001/odd.json":     {Data: []byte(`{}`)},
	}
	problems := strings.Join(runCases([]*rule.Rule{silent}, cases), "\n")
	for _, want := range []string{
		"flagged.json: finding XXX-001 on arn:aws:s3:::b: raised on this subject: nothing",
		"clean.json: the case expects nothing of XXX-001",
		"odd.json: the name begins with none of",
		"XXX-001 has no not-assessed case",
	} {
		if !strings.Contains(problems, want) {
			t.Errorf("the harness did not find %q; it found:\n%s", want, problems)
		}
	}
}

// TestNeverUnassessed: only the rules about coverage may do without a not-assessed case, because what is missing is their
// subject. A record that excuses itself is noticed here.
func TestNeverUnassessed(t *testing.T) {
	var got []string
	for _, r := range Rules() {
		if r.NeverUnassessed != "" {
			got = append(got, r.ID)
		}
	}
	if want := []string{"COV-001", "COV-002", "USE-008"}; !slices.Equal(got, want) {
		t.Errorf("rules that are never unassessed: %v; expected %v", got, want)
	}
}

// TestRecords: a record is complete, its family lists it once, and its example is policy JSON.
func TestRecords(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range All() {
		if seen[r.ID] {
			t.Errorf("%s stands twice", r.ID)
		}
		seen[r.ID] = true
		for name, text := range map[string]string{"title": r.Title, "detects": r.Detects, "why": r.Why, "remedy": r.Remedy, "since": r.Since} {
			if text == "" {
				t.Errorf("%s has no %s", r.ID, name)
			}
		}
		if (r.Check == nil) != r.Planned {
			t.Errorf("%s: a rule that is not the gate's has a check, and one that is has none", r.ID)
		}
		if len(r.Controls.NHI) == 0 || len(r.Controls.CSF) == 0 {
			t.Errorf("%s is mapped to no control", r.ID)
		}
		if r.Example.Before == "" || r.Example.After == "" {
			t.Errorf("%s has no example", r.ID)
		}
	}
}
