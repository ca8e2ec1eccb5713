package store

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"drawbridge/internal/sealed"
)

// put adds a snapshot in the clear, of one account with two gaps and a policy that could not be read.
func put(f fstest.MapFS, name string) {
	for file, text := range map[string]string{
		"organization.json": `{"version":1}`, "gaps.json": `[{"kind":"call"}]`, "resources.jsonl": "",
		"accounts/111122223333/collected.json": `{"at":"2026-01-01T00:00:00Z"}`, "accounts/111122223333/gaps.json": `[{"kind":"call"}]`,
		"accounts/111122223333/resources.jsonl": `{"arn":"a","error":"denied"}` + "\n" + `{"arn":"b"}` + "\n",
	} {
		f[name+"/"+file] = &fstest.MapFile{Data: []byte(text)}
	}
}

// putSealed adds an encrypted one.
func putSealed(t *testing.T, f fstest.MapFS, name string) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	own, key, err := sealed.NewKey([]sealed.Recipient{{Recipient: id.Recipient()}})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := sealed.NewPart(&b, own, ".")
	if err != nil {
		t.Fatal(err)
	}
	files, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	dir := fstest.MapFS{"key.age": {Data: key}, "parts/root.age": {Data: b.Bytes()}}
	index, manifest, err := sealed.Finish(dir, own, sealed.About{Accounts: 7, Gaps: 8}, []sealed.Part{{Name: "parts/root.age", Dir: ".", Files: files}})
	if err != nil {
		t.Fatal(err)
	}
	dir[sealed.IndexFile], dir[sealed.ManifestFile] = &fstest.MapFile{Data: index}, &fstest.MapFile{Data: manifest}
	for file, text := range dir {
		f[name+"/"+file] = text
	}
}

func TestList(t *testing.T) {
	f := fstest.MapFS{"notes.txt": {}, "old/organization.json": {}, "2026-01-01": {}, "2026-13-01T00-00-00Z/x": {}}
	put(f, "2026-01-01T00-00-00Z")
	put(f, "2026-01-02T00-00-00Z")
	putSealed(t, f, "2026-01-03T00-00-00Z")
	putSealed(t, f, "2026-01-04T00-00-00Z")
	put(f, "2026-01-05T00-00-00Z")
	put(f, "2026-01-06T00-00-00Z.partial")
	putSealed(t, f, "2026-01-07T00-00-00Z")
	f["2026-01-02T00-00-00Z/accounts/111122223333/gaps.json"] = &fstest.MapFile{Data: []byte(`[{`)}
	delete(f, "2026-01-04T00-00-00Z/parts/root.age")
	f["2026-01-04T00-00-00Z/parts/x"] = &fstest.MapFile{}
	delete(f, "2026-01-05T00-00-00Z/accounts/111122223333/collected.json")
	delete(f, "2026-01-07T00-00-00Z/"+sealed.ManifestFile)
	list, err := List(f)
	if err != nil {
		t.Fatal(err)
	}
	want := []struct {
		state          State
		accounts, gaps int
		encrypted      bool
		problem        string
	}{
		{Complete, 1, 3, false, ""},
		{Broken, -1, -1, false, "gaps.json: unexpected end"},
		{Complete, 7, 8, true, ""},
		{Broken, -1, -1, true, "1 parts were written, 0 are there"},
		{Broken, -1, -1, false, "collected.json: file does not exist"},
		{Stopped, -1, -1, false, ""},
		{Broken, -1, -1, true, "encrypted.json"},
	}
	if len(list) != len(want) {
		t.Fatalf("%d: %+v", len(list), list)
	}
	for i, w := range want {
		s := list[i]
		if s.State != w.state || s.Accounts != w.accounts || s.Gaps != w.gaps || s.Encrypted != w.encrypted || !strings.Contains(s.Problem, w.problem) || s.Problem != "" && w.problem == "" || s.Bytes == 0 || s.Time.Day() != i+1 {
			t.Errorf("%d: %+v", i, s)
		}
	}
	if name, err := Newest(f); err != nil || name != "2026-01-03T00-00-00Z" {
		t.Errorf("newest: %s, %v", name, err)
	}
	maps.DeleteFunc(f, func(name string, _ *fstest.MapFile) bool {
		return strings.HasPrefix(name, "2026-01-01") || strings.HasPrefix(name, "2026-01-03")
	})
	delete(f, "2026-01-02T00-00-00Z/organization.json")
	if _, err := Newest(f); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "2026-01-05T00-00-00Z is broken") {
		t.Errorf("newest: %v", err)
	}
	if !Is(f) || Is(fstest.MapFS{"organization.json": {}}) {
		t.Error("which directory has snapshots")
	}
}

func TestDecide(t *testing.T) {
	at := func(text string) Snapshot {
		tm, err := time.Parse("2006-01-02 15", text)
		if err != nil {
			t.Fatal(err)
		}
		return Snapshot{Name: Name(tm), Time: tm, State: Complete}
	}
	list := []Snapshot{at("2025-12-31 10"), at("2026-01-01 10"), at("2026-01-04 10"), at("2026-01-05 08"), at("2026-01-05 20"), at("2026-02-01 10"), at("2026-02-02 10")}
	list[5].State = Broken
	tests := []struct {
		rule Rule
		kept string
	}{
		{Rule{}, "5 6"},
		{Rule{Last: 2}, "4 5 6"},
		{Rule{Last: 99}, "0 1 2 3 4 5 6"},
		{Rule{Daily: 3}, "2 4 5 6"},
		{Rule{Weekly: 3}, "2 4 5 6"}, // 2025-12-31 to 2026-01-04 are one ISO week
		{Rule{Monthly: 2}, "4 5 6"},
		{Rule{Monthly: 3}, "0 4 5 6"},
		{Rule{Last: 1, Daily: 2, Monthly: 9}, "0 4 5 6"},
	}
	for _, test := range tests {
		var kept []string
		for i, d := range test.rule.Decide(list) {
			if d.Keep != (len(d.Reasons) > 0) {
				t.Errorf("%+v", d)
			}
			if d.Keep {
				kept = append(kept, fmt.Sprint(i))
			}
		}
		if got := strings.Join(kept, " "); got != test.kept {
			t.Errorf("%+v keeps %s, expected %s", test.rule, got, test.kept)
		}
	}
}

// TestDecideKeeps: whatever the rule, the newest complete snapshot and all that are not complete stay, at least Last stay, and deciding again about what is left deletes nothing more.
func TestDecideKeeps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) int { return rapid.IntRange(0, 4).Draw(t, name) }
		rule := Rule{n("last"), n("daily"), n("weekly"), n("monthly")}
		var list []Snapshot
		at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, hours := range rapid.SliceOfN(rapid.IntRange(1, 900), 0, 20).Draw(t, "hours") {
			at = at.Add(time.Duration(hours) * time.Hour)
			list = append(list, Snapshot{Name: Name(at), Time: at, State: rapid.SampledFrom([]State{Complete, Complete, Broken, Stopped}).Draw(t, "state")})
		}
		var left []Snapshot
		complete, kept, newest := 0, 0, false
		for _, d := range rule.Decide(list) {
			if d.State != Complete && !d.Keep {
				t.Fatalf("%+v is deleted", d)
			}
			if d.State == Complete {
				complete++
				newest = d.Keep
			}
			if d.Keep {
				left = append(left, d.Snapshot)
			}
			if d.Keep && d.State == Complete {
				kept++
			}
		}
		if complete > 0 && !newest || kept < min(rule.Last, complete) {
			t.Fatalf("%d of %d complete ones are kept", kept, complete)
		}
		for _, d := range rule.Decide(left) {
			if !d.Keep {
				t.Fatalf("%s is deleted the second time", d.Name)
			}
		}
	})
}
