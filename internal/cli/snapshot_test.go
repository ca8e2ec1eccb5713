package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drawbridge/internal/store"
)

// TestSnapshotListSchema: every state of a snapshot holds to the published schema, and what the schema does not know does not.
func TestSnapshotListSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/snapshots.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, file := range map[string]string{"2026-01-01T00-00-00Z": "organization.json", "2026-01-02T00-00-00Z": "key.age", "2026-01-03T00-00-00Z.partial": ".begun"} {
		if err := errors.Join(os.Mkdir(filepath.Join(dir, name), 0o700), os.WriteFile(filepath.Join(dir, name, file), []byte(`{"version":1}`), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	list, err := store.List(os.DirFS(dir))
	if err != nil || len(list) != 3 {
		t.Fatal(list, err)
	}
	for _, answer := range []any{listOf(list), listOf(nil)} {
		text, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
	if err := schema.Validate(map[string]any{"version": 1, "snapshots": []any{map[string]any{"name": "x"}}}); err == nil {
		t.Error("the schema takes anything")
	}
}

// TestRemoveSnapshots: what could not be deleted is an error, and what was deleted before it is said.
func TestRemoveSnapshots(t *testing.T) {
	dir := t.TempDir()
	name := store.Name(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	if err := os.MkdirAll(filepath.Join(dir, name, "accounts"), 0o700); err != nil {
		t.Fatal(err)
	}
	done, err := removeSnapshots(dir, []snapshotItem{{Name: name}, {Name: "2026-01-02T00-00-00Z"}})
	if done != 1 || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%d, %v", done, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("%v, %v", entries, err)
	}
}
