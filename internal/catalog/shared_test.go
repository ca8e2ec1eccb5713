package catalog

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/scenario"
)

// TestSharedScenarios holds the rules against the organisations that lie beside this project: every expectation that needs
// only what exists holds, and what needs a later rule is counted.
func TestSharedScenarios(t *testing.T) {
	files, err := filepath.Glob("../../../shared/scenarios/*.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("skipped: the folder shared/scenarios is not beside this project")
	}
	held, notYet := 0, map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, err := scenario.Parse(data, filepath.Base(file))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, r := range s.Judge(Rules(), ref.Engine()) {
			switch r.Outcome {
			case scenario.Held:
				held++
			case scenario.NotYet:
				notYet[r.Rule] = true
			default:
				t.Errorf("%s: %s %s: %s", s.ID, r.Kind, r.Name, r.Seen)
			}
		}
	}
	if held < 40 {
		t.Errorf("%d expectations held: too few to mean anything", held)
	}
	t.Logf("%d held; not yet: %s", held, strings.Join(slices.Sorted(maps.Keys(notYet)), ", "))
}
