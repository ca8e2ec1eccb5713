package cli

import (
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
	line := rapid.SampledFrom([]string{"a\n", "b\n", "c\n", "d\n", "e\n", "f\n"})
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
