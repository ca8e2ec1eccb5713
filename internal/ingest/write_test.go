package ingest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"drawbridge/internal/snapshot"
)

// names are what lies in a folder, hidden files too.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestWriteIsWholeOrNothing(t *testing.T) {
	good, err := Open("../../examples/acme")
	if err != nil {
		t.Fatal(err)
	}
	bad := &snapshot.Snapshot{Roles: []snapshot.Role{{Principal: snapshot.Principal{ARN: "arn:aws:iam::x:role/r", Account: "x"}}}}
	parent := t.TempDir()
	out := filepath.Join(parent, "new", "snap")
	if err := Write(bad, out, false); err == nil {
		t.Error("a role of no account was written")
	}
	if left := names(t, filepath.Dir(out)); len(left) != 0 {
		t.Errorf("a failure leaves %v", left)
	}
	if err := Write(good, out, false); err != nil {
		t.Fatal(err)
	}
	again, err := Open(out)
	if err != nil || len(again.Roles) != len(good.Roles) {
		t.Fatalf("read again: %v", err)
	}
	if err := Write(good, out, false); !errors.Is(err, ErrExists) {
		t.Errorf("written over a snapshot: %v", err)
	}
	if err := Write(bad, out, true); err == nil {
		t.Error("a role of no account was written")
	}
	if s, err := Open(out); err != nil || len(s.Roles) != len(good.Roles) {
		t.Errorf("a failure took the old snapshot: %v", err)
	}
	small := &snapshot.Snapshot{Version: snapshot.Version, Accounts: []snapshot.Account{{ID: "111122223333", Inventoried: true}}}
	if err := Write(small, out, true); err != nil {
		t.Fatal(err)
	}
	if s, err := Open(out); err != nil || len(s.Accounts) != 1 {
		t.Errorf("not replaced: %v", err)
	}
	if left := names(t, filepath.Dir(out)); len(left) != 1 {
		t.Errorf("replacing leaves %v", left)
	}
	err = filepath.WalkDir(out, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestWriteKeepsWhatIsNoSnapshot: --replace on a mistyped path must cost nothing.
func TestWriteKeepsWhatIsNoSnapshot(t *testing.T) {
	good := &snapshot.Snapshot{Version: snapshot.Version, Accounts: []snapshot.Account{{ID: "111122223333", Inventoried: true}}}
	parent := t.TempDir()
	mine, file, link := filepath.Join(parent, "mine"), filepath.Join(parent, "file"), filepath.Join(parent, "link")
	if err := errors.Join(os.Mkdir(mine, 0o700), os.WriteFile(filepath.Join(mine, "thesis.txt"), nil, 0o600), os.Mkdir(filepath.Join(mine, "accounts"), 0o700), os.WriteFile(file, nil, 0o600), os.Symlink(mine, link)); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{mine, file, link} {
		if err := Write(good, out, true); !errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", out, err)
		}
		if err := CheckOut(out, true); !errors.Is(err, ErrExists) {
			t.Errorf("%s: %v", out, err)
		}
	}
	if left := names(t, parent); len(left) != 3 {
		t.Errorf("left are %v", left)
	}
	empty := filepath.Join(parent, "empty")
	if err := os.Mkdir(empty, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Write(good, empty, false); err != nil {
		t.Errorf("an empty directory is not filled: %v", err)
	}
}
