package collect

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

func TestCoveragePageIsFresh(t *testing.T) {
	have, err := os.ReadFile("../../docs/reference/coverage.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != Coverage() {
		t.Error("docs/reference/coverage.md is not what the table prints: go generate ./internal/collect")
	}
}

// TestWhatIsNotReadHasAReason: a kind without a row says why, and what to do; one with a row has no excuse left.
func TestWhatIsNotReadHasAReason(t *testing.T) {
	for _, k := range kinds {
		read := k.typ != "" && slices.ContainsFunc(rows, func(r Row) bool { return r.Type == k.typ || slices.Contains(r.Others, k.typ) })
		switch {
		case !read && whyNot[k.name] == "":
			t.Errorf("%s is not read, and nothing says why", k.name)
		case read && whyNot[k.name] != "":
			t.Errorf("%s is read: %q is not true", k.name, whyNot[k.name])
		}
	}
}

// TestKindsAreComplete: every kind of the reference is in the list from which the page names what is not read.
func TestKindsAreComplete(t *testing.T) {
	text, err := os.ReadFile("../../../shared/reference/resource-types.json")
	if err != nil {
		t.Skip("the reference is not here: ", err)
	}
	var reference struct{ Types []struct{ Name string } }
	if err := json.Unmarshal(text, &reference); err != nil {
		t.Fatal(err)
	}
	if len(reference.Types) == 0 {
		t.Fatal("no kinds")
	}
	for _, r := range reference.Types {
		if !slices.ContainsFunc(kinds, func(k struct{ name, typ, mechanism string }) bool { return k.name == r.Name }) {
			t.Errorf("%s is missing", r.Name)
		}
	}
}
