package repository

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestInvariants holds docs/reference/invariants.md to the code: every test that it names is there, every invariant is listed once, and none has neither a test nor the word that it waits.
func TestInvariants(t *testing.T) {
	text, err := os.ReadFile("../../docs/reference/invariants.md")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`([a-z0-9]+):(Test[A-Za-z0-9]+)`")
	found := named.FindAllStringSubmatch(string(text), -1)
	if len(found) < 52 {
		t.Errorf("the page names %d tests: it is read wrongly", len(found))
	}
	for _, m := range found {
		files, err := filepath.Glob("../" + m[1] + "/*_test.go")
		if err != nil {
			t.Fatal(err)
		}
		there := false
		for _, f := range files {
			code, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			there = there || strings.Contains(string(code), "\nfunc "+m[2]+"(t *testing.T)")
		}
		if !there {
			t.Errorf("the page names %s of internal/%s, which is not there", m[2], m[1])
		}
	}
	for n := 1; n <= 52; n++ {
		row := regexp.MustCompile(fmt.Sprintf(`(?m)^\| %d \| (.*)$`, n)).FindAllStringSubmatch(string(text), -1)
		switch {
		case n >= 37 && n <= 40:
			if len(row) > 0 {
				t.Errorf("invariant %d has a row now: the sentence about 37 to 40 is old", n)
			}
		case len(row) != 1:
			t.Errorf("invariant %d is listed %d times", n, len(row))
		case !named.MatchString(row[0][1]) && !strings.Contains(row[0][1], "**waits**") && !strings.Contains(row[0][1], "**Waits**"):
			t.Errorf("invariant %d has no test and does not wait", n)
		}
	}
}
