package lint_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"drawbridge/iam/lint"
	"drawbridge/iam/policy"
)

var kinds = map[string]policy.Kind{
	"any": policy.AnyKind, "identity": policy.Identity, "trust": policy.Trust, "resource": policy.Resource, "boundary": policy.Boundary,
	"session": policy.Session, "scp": policy.SCP, "rcp": policy.RCP, "endpoint": policy.Endpoint,
}

// a testCase is a file of an archive: CHECK.KIND.SIDE.json, where SIDE begins with "bad", "good" or "fixed".
type testCase struct {
	archive, id, side, text string
	kind                    policy.Kind
}

// readCases reads the archives. LONG in a text stands for so many letters that no session policy has room for them.
func readCases(t testing.TB) []testCase {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	var cases []testCase
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			parts := strings.Split(f.Name, ".")
			kind, ok := kinds[parts[min(1, len(parts)-1)]]
			if len(parts) != 4 || !ok {
				t.Fatalf("%s: file %s: expected CHECK.KIND.SIDE.json", file, f.Name)
			}
			text := strings.ReplaceAll(string(f.Data), "LONG", strings.Repeat("x", 2000))
			cases = append(cases, testCase{filepath.Base(file), parts[0], parts[2], text, kind})
		}
	}
	return cases
}

func only(id string, list []lint.Diagnostic) (found []lint.Diagnostic) {
	for _, d := range list {
		if d.ID == id {
			found = append(found, d)
		}
	}
	return found
}

// TestCases: every check is raised by a policy of its own, and not by one like it.
func TestCases(t *testing.T) {
	sides := map[string][]string{}
	var before testCase
	for _, c := range readCases(t) {
		name := c.archive + ": " + c.id + " " + c.side
		list := lint.Text([]byte(c.text), c.kind)
		found := only(c.id, list)
		switch {
		case strings.HasPrefix(c.side, "bad"):
			sides[c.id] = append(sides[c.id], "bad")
			if len(found) == 0 {
				t.Errorf("%s: not raised; only %v", name, list)
			}
			before = c
		case strings.HasPrefix(c.side, "good"):
			sides[c.id] = append(sides[c.id], "good")
			for _, d := range list {
				if d.ID == c.id || d.Severity == lint.Error {
					t.Errorf("%s: raised: %v", name, d)
				}
			}
		case strings.HasPrefix(c.side, "fixed"):
			sides[c.id] = append(sides[c.id], "fixed")
			fixed, made := lint.Apply(before.text, only(c.id, lint.Text([]byte(before.text), before.kind)))
			if before.id != c.id || len(made) == 0 || fixed != c.text {
				t.Errorf("%s: expected the case before, fixed; made %d fixes:\n%s", name, len(made), fixed)
			}
			if len(found) > 0 {
				t.Errorf("%s: still raised: %v", name, found)
			}
		default:
			t.Errorf("%s: no such side", name)
		}
		for _, d := range list {
			if d.Fix != nil && !slices.Contains(sides[d.ID], "fixed") && strings.HasPrefix(c.side, "bad") && d.ID == c.id {
				sides[d.ID] = append(sides[d.ID], "needs fixed")
			}
		}
	}
	for _, r := range lint.Checks() {
		for _, side := range []string{"bad", "good"} {
			if !slices.Contains(sides[r.ID], side) {
				t.Errorf("%s has no %s case", r.ID, side)
			}
		}
		if slices.Contains(sides[r.ID], "needs fixed") && !slices.Contains(sides[r.ID], "fixed") {
			t.Errorf("%s offers a fix and has no fixed case", r.ID)
		}
		delete(sides, r.ID)
	}
	for id := range sides {
		t.Errorf("cases of %s, which is no check", id)
	}
}

// TestRecords: every check says what it is, and ids are in order.
func TestRecords(t *testing.T) {
	before := ""
	for _, r := range lint.Checks() {
		if r.ID <= before || r.Title == "" || r.Why == "" || r.Source == "" {
			t.Errorf("record %+v after %s", r, before)
		}
		if strings.HasSuffix(r.Title, ".") || !strings.HasSuffix(r.Why, ".") {
			t.Errorf("%s: a title is no sentence, and a reason is one", r.ID)
		}
		before = r.ID
	}
}

// TestEncoded: positions of a URL-encoded document count in what it decodes to, and there is nothing to fix in place.
func TestEncoded(t *testing.T) {
	text := "%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%5B%22s3%3AGetObject%22%2C%22s3%3AGetObject%22%5D%2C%22Resource%22%3A%22%2A%22%7D%7D"
	list := only("LNT-202", lint.Text([]byte(text), policy.Identity))
	if len(list) != 1 || list[0].Fix != nil {
		t.Errorf("got %v", list)
	}
}

// FuzzCheck: nothing panics, every position lies in the text, and every fix leaves a document that reads no worse.
func FuzzCheck(f *testing.F) {
	for _, c := range readCases(f) {
		f.Add([]byte(c.text), uint8(c.kind))
	}
	f.Fuzz(func(t *testing.T, text []byte, kind uint8) {
		k := policy.Kind(kind % uint8(policy.Endpoint+1))
		list := lint.Text(text, k)
		for _, d := range list {
			if d.Pos.Offset < 0 || int(d.Pos.Offset)+d.Length > len(text) && d.Length > 0 || int(d.Pos.Offset) > len(text) || d.Pos.Line < 1 || d.Pos.Column < 1 {
				t.Fatalf("%v has the position %+v and %d bytes in %q", d, d.Pos, d.Length, text)
			}
			if d.Fix == nil {
				continue
			}
			_, before := policy.Parse(text)
			fixed, _ := lint.Apply(string(text), []lint.Diagnostic{d})
			if document, after := policy.Parse([]byte(fixed)); document == nil || len(after) > len(before) {
				t.Fatalf("%v: fixed to %q: %v", d, fixed, after)
			}
		}
	})
}
