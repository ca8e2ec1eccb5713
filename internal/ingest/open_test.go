package ingest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"drawbridge/internal/snapshot"
)

const details = `{
  "UserDetailList": [], "GroupDetailList": [], "Policies": [],
  "RoleDetailList": [
    {"RoleName": "ci", "Arn": "arn:aws:iam::ACCOUNT:role/ci",
     "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
       {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "sts:AssumeRole"}]}}
  ]
}`

// write makes a directory of files for a test.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func of(account string) string { return strings.ReplaceAll(details, "ACCOUNT", account) }

func TestOpen(t *testing.T) {
	empty := `{"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}`
	tests := []struct {
		name     string
		files    map[string]string
		open     string
		accounts string
		roles    int
	}{
		{"directory form", map[string]string{"organization.json": `{"version": 1, "accounts": [{"id": "111122223333", "kind": "member"}]}`,
			"accounts/111122223333/iam.json": of("111122223333")}, "", "111122223333", 1},
		{"directory form without organization", map[string]string{"accounts/111122223333/iam.json": of("111122223333")}, "", "111122223333", 1},
		{"one file", map[string]string{"some.json": of("111122223333"), "other.json": "{"}, "some.json", "111122223333", 1},
		{"folder of files", map[string]string{"a.json": of("111122223333"), "b/c.json": of("444455556666"), "notes.txt": "hello"}, "", "111122223333 444455556666", 2},
		{"account from the name", map[string]string{"prod-444455556666.json": empty}, "", "444455556666", 0},
		{"pages in one folder", map[string]string{
			"p1.json": strings.Replace(of("111122223333"), "{", `{"IsTruncated": true,`, 1),
			"p2.json": strings.ReplaceAll(of("111122223333"), "role/ci", "role/cd")}, "", "111122223333", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(filepath.Join(write(t, tt.files), tt.open))
			if err != nil {
				t.Fatal(err)
			}
			var ids []string
			for _, a := range s.Accounts {
				ids = append(ids, a.ID)
				if !a.Inventoried {
					t.Errorf("account %s is not inventoried; gaps %+v", a.ID, s.Gaps)
				}
			}
			if got := strings.Join(ids, " "); got != tt.accounts {
				t.Errorf("accounts %q, want %q", got, tt.accounts)
			}
			if len(s.Roles) != tt.roles {
				t.Errorf("%d roles, want %d", len(s.Roles), tt.roles)
			}
			for _, want := range []string{snapshot.SubjectOrganization, snapshot.SubjectSCPs, snapshot.SubjectRCPs, "resources.jsonl"} {
				if !hasGap(s, want) {
					t.Errorf("no gap says that %s is not known: %+v", want, s.Gaps)
				}
			}
		})
	}
}

func hasGap(s *snapshot.Snapshot, subject string) bool {
	for _, g := range s.Gaps {
		if g.Subject == subject {
			return true
		}
	}
	return false
}

// What lies at a path may be no input at all: that is an error which says what was expected.
func TestOpenNothing(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"empty folder": {},
		"no JSON":      {"a.txt": "hello"},
		"other JSON":   {"package.json": `{"name": "x"}`},
		"broken JSON":  {"a.json": "{{{"},
		"empty file":   {"a.json": ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Open(write(t, files))
			if !errors.Is(err, snapshot.ErrNothing) {
				t.Errorf("error %v, snapshot %+v; want ErrNothing", err, s)
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}
