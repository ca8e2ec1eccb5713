package snapshot

import (
	"strings"
	"testing"
	"time"
)

// collected.json says when an account was read; one that was not read to its end is no inventoried account.
func TestCollected(t *testing.T) {
	files := map[string]string{
		"accounts/111122223333/iam.json":       `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[]}`,
		"accounts/111122223333/collected.json": `{"at":"2026-01-31T09:12:40Z","complete":true,"gaps":0}`,
		"accounts/444455556666/iam.json":       `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[]}`,
		"accounts/444455556666/collected.json": `{"at":"2026-01-30T00:00:00Z","complete":false}`,
	}
	s, err := ReadFS(mapFS(files))
	if err != nil {
		t.Fatal(err)
	}
	if a := s.Accounts[0]; !a.Inventoried || !a.Collected.Equal(time.Date(2026, 1, 31, 9, 12, 40, 0, time.UTC)) {
		t.Errorf("%+v", a)
	}
	if a := s.Accounts[1]; a.Inventoried || a.Collected.IsZero() || !hasGapOf(s, GapAccount, a.ID) {
		t.Errorf("%+v; gaps %+v", a, s.Gaps)
	}
	again := map[string]string{}
	if err := Write(s, func(name string, data []byte) error { again[name] = string(data); return nil }); err != nil {
		t.Fatal(err)
	}
	u, err := ReadFS(mapFS(again))
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range u.Accounts {
		if !a.Collected.Equal(s.Accounts[i].Collected) || a.Inventoried != s.Accounts[i].Inventoried {
			t.Errorf("written and read again: %+v, want %+v", a, s.Accounts[i])
		}
	}
	for _, bad := range []string{`{}`, `[]`, `{"at":"yesterday"}`, `{"at":7`, `{"at":"2026-01-31T09:12:40Z"} 7`, ``} {
		s, err := ReadFS(mapFS(map[string]string{"accounts/111122223333/collected.json": bad}))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, g := range s.Gaps {
			found = found || strings.HasSuffix(g.Source.File, "collected.json") && g.Source.Line > 0
		}
		if !found {
			t.Errorf("%q: no gap with its place: %+v", bad, s.Gaps)
		}
	}
}
