package catalog

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPagesAreFresh: the committed pages are those that the records give.
func TestPagesAreFresh(t *testing.T) {
	const folder = "../../docs/rules"
	pages := Pages()
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || string(got) != string(want) {
			t.Errorf("docs/rules/%s is stale: run make generate (%v)", name, err)
		}
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, ok := pages[e.Name()]; !ok {
			t.Errorf("docs/rules/%s belongs to no rule", e.Name())
		}
	}
}
