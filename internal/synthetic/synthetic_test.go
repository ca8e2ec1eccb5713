package synthetic_test

import (
	"maps"
	"testing"
	"testing/fstest"

	"drawbridge/internal/snapshot"
	"drawbridge/internal/synthetic"
)

func files(t *testing.T, accounts, roles int) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := synthetic.Write(accounts, roles, func(name string, data []byte) error {
		out[name] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWriteIsReadable(t *testing.T) {
	root := fstest.MapFS{}
	for name, text := range files(t, 4, 100) {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	s, err := snapshot.ReadFS(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Accounts) != 5 || len(s.Roles) != 400 || len(s.Resources) != 12 || len(s.Providers) != 4 {
		t.Errorf("got %d accounts, %d roles, %d resources, %d providers", len(s.Accounts), len(s.Roles), len(s.Resources), len(s.Providers))
	}
	for _, g := range s.Gaps {
		if g.Source.File != "" && g.Kind != snapshot.GapAccount { // the management account is not collected
			t.Errorf("the reader does not understand what is written: %+v", g)
		}
	}
}

func TestWriteIsDeterministic(t *testing.T) {
	if !maps.Equal(files(t, 3, 20), files(t, 3, 20)) {
		t.Error("two runs wrote different files")
	}
}
