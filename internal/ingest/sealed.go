package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"drawbridge/internal/sealed"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/store"
)

// openSealed reads an encrypted snapshot. It is decrypted piece by piece in memory; nothing is written.
func openSealed(name string, identities []string) (*snapshot.Snapshot, error) {
	var keys []age.Identity
	if len(identities) > 0 {
		var err error
		if keys, err = Identities(identities); err != nil {
			return nil, err
		}
	}
	tree, err := sealed.Open(os.DirFS(name), keys)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s, err := snapshot.ReadFS(tree)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// Resolve finds the directory that DIR/latest stands for: the newest complete snapshot of a directory of snapshots. Any other path, and one that is there, is what it is.
func Resolve(name string) (string, error) {
	if filepath.Base(name) != store.Latest {
		return name, nil
	}
	if _, err := os.Lstat(name); !errors.Is(err, fs.ErrNotExist) {
		return name, nil
	}
	dir := filepath.Dir(name)
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return name, nil
	}
	newest, err := store.Newest(os.DirFS(dir))
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return filepath.Join(dir, newest), nil
}

// Identities reads identities: each is the name of a file of them, or one itself, as an environment variable may have it.
func Identities(list []string) ([]age.Identity, error) {
	var out []age.Identity
	for _, text := range list {
		name, data := "the identity", []byte(text)
		if !strings.HasPrefix(text, "AGE-SECRET-KEY-") {
			var err error
			if data, err = os.ReadFile(text); err != nil {
				return nil, fmt.Errorf("reading the identity: %w", err)
			}
			name = text
		}
		ids, err := sealed.Identities(name, data)
		if err != nil {
			return nil, fmt.Errorf("reading the identity: %w", err)
		}
		out = append(out, ids...)
	}
	return out, nil
}

// Recipients reads recipients: each is one itself, or the name of a file of them.
func Recipients(list []string) ([]sealed.Recipient, error) {
	var out []sealed.Recipient
	for _, text := range list {
		name, data := "the recipient", []byte(text)
		if !sealed.IsRecipient(text) {
			var err error
			if data, err = os.ReadFile(text); err != nil {
				return nil, fmt.Errorf("%q is no recipient (age1…, ssh-ed25519 …, ssh-rsa …), and no file of recipients: %w", text, err)
			}
			name = text
		}
		to, err := sealed.Recipients(name, string(data))
		if err != nil {
			return nil, err
		}
		out = append(out, to...)
	}
	return out, nil
}
