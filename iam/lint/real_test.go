package lint_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"drawbridge/iam/lint"
	"drawbridge/iam/policy"
)

// documents calls visit for every policy document inside a value, with the kind that its key tells.
func documents(v any, visit func(policy.Kind, any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			switch key {
			case "AssumeRolePolicyDocument":
				visit(policy.Trust, inner)
			case "PolicyDocument", "Document":
				visit(policy.Identity, inner)
			default:
				documents(inner, visit)
			}
		}
	case []any:
		for _, inner := range v {
			documents(inner, visit)
		}
	}
}

// TestRealDocuments lints every document of recorded account authorization details. AWS accepted them all, so that an error
// is a fault of a check.
func TestRealDocuments(t *testing.T) {
	const folder = "../../../shared/data/cloudsplaining-gaad"
	var files []string
	_ = filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".json" {
			files = append(files, path)
		}
		return nil
	})
	if len(files) == 0 {
		t.Skipf("skipped: no recorded data in %s, which is not part of this project", folder)
	}
	seen, counts := map[string]bool{}, map[string]int{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		documents(v, func(kind policy.Kind, document any) {
			text, _ := json.MarshalIndent(document, "", "  ")
			if s, ok := document.(string); ok {
				text = []byte(s)
			}
			if seen[string(text)] {
				return
			}
			seen[string(text)] = true
			for _, d := range lint.Text(text, kind) {
				if d.ID == "LNT-021" {
					continue // the policies that AWS manages are longer than others may be
				}
				if counts[d.ID]++; d.Severity == lint.Error {
					t.Errorf("%s: %v in %s", filepath.Base(file), d, text)
				}
				if os.Getenv("LINT_SHOW") != "" {
					t.Logf("%v", d)
				}
			}
		})
	}
	t.Logf("%d documents of %d files: %v", len(seen), len(files), counts)
}
