package ingest

import (
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"drawbridge/internal/sealed"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/store"
)

// sealTo writes a snapshot as an encrypted one.
func sealTo(t *testing.T, dir string, s *snapshot.Snapshot, to sealed.Recipient) {
	t.Helper()
	own, key, err := sealed.NewKey([]sealed.Recipient{to})
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]map[string][]byte{}
	if err := snapshot.Write(s, func(name string, data []byte) error {
		if files[path.Dir(name)] == nil {
			files[path.Dir(name)] = map[string][]byte{}
		}
		files[path.Dir(name)][path.Base(name)] = slices.Clone(data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	put := func(name string, text []byte) {
		name = filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	put(sealed.KeyFile, key)
	var parts []sealed.Part
	for in, list := range files {
		p := sealed.Part{Name: path.Join(sealed.PartsDir, strings.ReplaceAll(in, "/", "-")+".age"), Dir: in}
		var b strings.Builder
		w, err := sealed.NewPart(&b, own, in)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range list {
			if err := w.File(name, text); err != nil {
				t.Fatal(err)
			}
		}
		if p.Files, err = w.Close(); err != nil {
			t.Fatal(err)
		}
		put(p.Name, []byte(b.String()))
		parts = append(parts, p)
	}
	index, manifest, err := sealed.Finish(os.DirFS(dir), own, sealed.About{Accounts: len(s.Accounts)}, parts)
	if err != nil {
		t.Fatal(err)
	}
	put(sealed.IndexFile, index)
	put(sealed.ManifestFile, manifest)
}

func TestOpenSealed(t *testing.T) {
	plain, err := Open("../../examples/acme")
	if err != nil {
		t.Fatal(err)
	}
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	keys := write(t, map[string]string{"key.txt": "# created today\n" + id.String() + "\n", "wrong.txt": stranger.String(), "to.txt": "# us\n" + id.Recipient().String() + "\n", "broken.txt": "AGE-SECRET-KEY-CANARY"})
	to, err := Recipients([]string{filepath.Join(keys, "to.txt")})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "2026-01-03T00-00-00Z.partial"), 0o700); err != nil {
		t.Fatal(err)
	}
	sealTo(t, filepath.Join(dir, "2026-01-02T00-00-00Z"), plain, to[0])
	sealTo(t, filepath.Join(dir, "2026-01-01T00-00-00Z"), plain, to[0])
	for _, name := range []string{"2026-01-02T00-00-00Z", store.Latest} {
		for _, key := range []string{filepath.Join(keys, "key.txt"), id.String()} {
			s, err := OpenWith(filepath.Join(dir, name), Code{}, key)
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Roles) != len(plain.Roles) || len(s.Resources) != len(plain.Resources) || len(s.Accounts) != len(plain.Accounts) {
				t.Errorf("%d roles, %d resources, %d accounts", len(s.Roles), len(s.Resources), len(s.Accounts))
			}
		}
	}
	latest := filepath.Join(dir, store.Latest)
	if _, err := Open(latest); !errors.Is(err, sealed.ErrEncrypted) {
		t.Errorf("without a key: %v", err)
	}
	if _, err := OpenWith(latest, Code{}, filepath.Join(keys, "wrong.txt")); !errors.Is(err, sealed.ErrIdentity) || !strings.Contains(err.Error(), "2026-01-02") {
		t.Errorf("with a wrong key: %v", err)
	}
	if _, err := OpenWith(latest, Code{}, filepath.Join(keys, "broken.txt")); err == nil || strings.Contains(err.Error(), "CANARY") || !strings.Contains(err.Error(), "broken.txt") {
		t.Errorf("with a broken key: %v", err)
	}
	if _, err := OpenWith(latest, Code{}, filepath.Join(keys, "none.txt")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("with a key that is not there: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "is a directory of snapshots") {
		t.Errorf("a directory of snapshots: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "2026-01-02T00-00-00Z", "organization.json"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWith(latest, Code{}, id.String()); err == nil || !strings.Contains(err.Error(), "in the clear") {
		t.Errorf("beside one in the clear: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, "2026-01-02T00-00-00Z", "organization.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "2026-01-02T00-00-00Z", "parts", "..age"), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWith(filepath.Join(dir, "2026-01-02T00-00-00Z"), Code{}, id.String()); !errors.Is(err, sealed.ErrBroken) || !strings.Contains(err.Error(), "is cut") {
		t.Errorf("a part is cut: %v", err)
	}
	if name, err := Resolve(latest); err != nil || filepath.Base(name) != "2026-01-01T00-00-00Z" {
		t.Errorf("%s, %v", name, err)
	}
	if _, err := Open(filepath.Join(keys, store.Latest)); !errors.Is(err, store.ErrNone) {
		t.Errorf("no snapshots: %v", err)
	}
	if _, err := Open(filepath.Join(keys, "none", store.Latest)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if _, err := Recipients([]string{"nobody.txt"}); err == nil || !strings.Contains(err.Error(), "no recipient") {
		t.Errorf("%v", err)
	}
	if _, err := Recipients([]string{id.String()}); err == nil || strings.Contains(err.Error(), id.String()) || !strings.Contains(err.Error(), "private key") {
		t.Errorf("%v", err)
	}
}
