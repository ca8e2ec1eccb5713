package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What diff prints, patch applies: the texts come out the same.
func TestUnified(t *testing.T) {
	patch, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("patch is not installed")
	}
	dir := t.TempDir()
	line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "1\n", "2\n", "3\n", "4\n", "5\n", "6\n", "7\n", "8\n", "9\n"})
	rapid.Check(t, func(t *rapid.T) {
		before := strings.Join(rapid.SliceOfN(line, 0, 30).Draw(t, "before"), "")
		after := strings.Join(rapid.SliceOfN(line, 0, 30).Draw(t, "after"), "")
		if rapid.Bool().Draw(t, "little") {
			at := rapid.IntRange(0, len(before)/2).Draw(t, "at") * 2
			after = before[:at] + line.Draw(t, "line") + before[at:]
		}
		if rapid.IntRange(0, 5).Draw(t, "cut") == 0 {
			after = strings.TrimSuffix(after, "\n")
		}
		d := unified("f", before, after)
		if before == after {
			if d != "" {
				t.Fatalf("%q", d)
			}
			return
		}
		file := filepath.Join(dir, "f")
		if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(patch, "-s", "--no-backup-if-mismatch", file)
		c.Stdin = strings.NewReader(d)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, out, d)
		}
		got, err := os.ReadFile(file)
		if err != nil && after != "" {
			t.Fatal(err)
		}
		if string(got) != after {
			t.Fatalf("%q, want %q\n%s", got, after, d)
		}
	})
}

// The fewest lines go and come, by a slow reference.
func TestFewest(t *testing.T) {
	line := rapid.SampledFrom([]string{"a", "b", "c"})
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.SliceOfN(line, 0, 9).Draw(t, "a"), rapid.SliceOfN(line, 0, 9).Draw(t, "b")
		got := 0
		for _, e := range fewest(a, b) {
			if e.sign != ' ' {
				got++
			}
		}
		if want := slowest(a, b); got != want {
			t.Fatalf("%d edits, want %d", got, want)
		}
	})
}

func slowest(a, b []string) int {
	switch {
	case len(a) == 0 || len(b) == 0:
		return len(a) + len(b)
	case a[0] == b[0]:
		return slowest(a[1:], b[1:])
	}
	return 1 + min(slowest(a[1:], b), slowest(a, b[1:]))
}

// Large texts are compared in no time, and those that have little in common are replaced.
func TestUnifiedOfLargeTexts(t *testing.T) {
	var before, after, other strings.Builder
	for n := range 20000 {
		fmt.Fprintf(&before, "name: %d\nspec\n", n)
		fmt.Fprintf(&after, "name: %d\nspec\nnew\n", n)
		fmt.Fprintf(&other, "x%d\n", n)
	}
	d := unified("f", before.String(), after.String())
	if added, gone := strings.Count(d, "\n+new"), strings.Count(d, "\n-"); added != 20000 || gone != 0 {
		t.Errorf("%d come, %d go", added, gone)
	}
	if d := unified("f", before.String(), other.String()); strings.Count(d, "\n-") != 40000 || strings.Count(d, "\n+x") != 20000 {
		t.Error("not everything is replaced")
	}
}
