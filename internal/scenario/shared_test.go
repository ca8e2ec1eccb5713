package scenario_test

import (
	"os"
	"path/filepath"
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/catalog"
	"drawbridge/internal/scenario"
)

// TestSharedScenarios fails on every expectation that this version can judge and that does not hold.
func TestSharedScenarios(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/scenarios/*.json")
	if len(files) == 0 {
		t.Skip("the folder of shared scenarios is not beside this repository: they are not judged")
	}
	notYet := map[string]int{}
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
		for _, r := range s.Judge(catalog.Rules(), ref.RCPServices()) {
			switch r.Outcome {
			case scenario.Failed:
				t.Errorf("%s: %s %s: seen: %s", s.ID, r.Kind, r.Name, r.Seen)
			case scenario.NotYet:
				notYet[r.Rule]++
			}
		}
	}
	t.Logf("not yet, by rule: %v", notYet)
}
