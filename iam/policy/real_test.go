package policy_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"drawbridge/iam/policy"
)

// documents calls visit for every policy document inside a value: what stands under a key that ends in PolicyDocument or
// is Document.
func documents(v any, visit func(any)) {
	switch v := v.(type) {
	case map[string]any:
		for k, inner := range v {
			if k == "PolicyDocument" || k == "AssumeRolePolicyDocument" || k == "Document" {
				visit(inner)
				continue
			}
			documents(inner, visit)
		}
	case []any:
		for _, inner := range v {
			documents(inner, visit)
		}
	}
}

// jsonFiles lists the JSON files of a folder and of the folders in it, none where it does not exist.
func jsonFiles(t *testing.T, folder string) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".json" {
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// TestRealDocuments reads every document of recorded account authorization details. AWS holds none that it does not
// accept, so a problem is a fault of Parse.
func TestRealDocuments(t *testing.T) {
	const folder = "../../../shared/data/cloudsplaining-gaad"
	files := jsonFiles(t, folder)
	if len(files) == 0 {
		t.Skipf("skipped: no recorded data in %s, which is not part of this project", folder)
	}
	read := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		documents(v, func(document any) {
			var text []byte
			if s, ok := document.(string); ok {
				text = []byte(s)
			} else {
				text, _ = json.Marshal(document)
			}
			read++
			d, problems := policy.Parse(text)
			if len(problems) > 0 {
				t.Errorf("%s: %v in %s", filepath.Base(file), problems, text)
				return
			}
			roundTrip(t, d)
			for i, r := range policy.Compile(d).Rules {
				if r.NotUnderstood != "" {
					t.Errorf("%s: statement %d of %s: %s", filepath.Base(file), i, text, r.NotUnderstood)
				}
			}
		})
	}
	if read == 0 {
		t.Error("no document found: the test tests nothing")
	}
	t.Logf("%d documents of %d files", read, len(files))
}
