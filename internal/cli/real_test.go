package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// realFiles are recorded authorization details beside this project.
func realFiles(t *testing.T) []string {
	t.Helper()
	var files []string
	_ = filepath.WalkDir("../../../shared/data/cloudsplaining-gaad", func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".json") {
			files = append(files, name)
		}
		return nil
	})
	if len(files) == 0 {
		t.Skip("skipped: the recorded authorization details are not beside this project")
	}
	return files
}

// scanned runs scan on a file and returns what it printed and its exit status.
func scanned(file, format string) (stdout, stderr string, status int) {
	var out, errs bytes.Buffer
	status = Run(&Env{
		Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" },
		Now: func() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) },
	}, []string{"scan", file, "--format", format})
	return out.String(), errs.String(), status
}

// TestScanRealFiles: every recorded file gives trusts, and says what it lacks.
func TestScanRealFiles(t *testing.T) {
	for _, file := range realFiles(t) {
		stdout, stderr, status := scanned(file, "json")
		var report struct {
			Trusts []json.RawMessage
			Gaps   []struct{ Subject string }
		}
		if err := json.Unmarshal([]byte(stdout), &report); err != nil || status != 0 {
			t.Errorf("%s: status %d, %v, %s", file, status, err, stderr)
			continue
		}
		said := fmt.Sprint(report.Gaps)
		if len(report.Trusts) == 0 || !strings.Contains(said, "organization") || !strings.Contains(said, "scps") || !strings.Contains(said, "resources.jsonl") {
			t.Errorf("%s: %d trusts, gaps %s: expected trusts, and that neither organisation nor resources are known", file, len(report.Trusts), said)
		}
	}
}

// TestScanDamagedFiles: cut off, garbled and hostile copies are scanned as far as they go or refused, never with a panic,
// and what was lost is told with file and line.
func TestScanDamagedFiles(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	name := filepath.Join(t.TempDir(), "copy.json")
	for _, file := range realFiles(t) {
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for n := range 12 {
			damaged := damage(r, bytes.Clone(whole), n)
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			stdout, stderr, status := scanned(name, "text")
			if status != 0 && status != 2 {
				t.Errorf("%s, damage %d: status %d", file, n, status)
			}
			if n%3 == 0 && !strings.Contains(stdout+stderr, "copy.json:") {
				t.Errorf("%s, cut off at byte %d of %d: no place is named:\n%.600s%s", file, len(damaged), len(whole), stdout, stderr)
			}
		}
	}
}

// damage cuts a file off, overwrites bytes, or puts something hostile into it.
func damage(r *rand.Rand, b []byte, n int) []byte {
	at := 1 + r.IntN(len(b)-2)
	switch n % 3 {
	case 0:
		return bytes.TrimRight(b[:at], " \n") // what is cut off begins with something
	case 1:
		for range 20 {
			b[r.IntN(len(b))] = byte(r.IntN(256))
		}
		return b
	}
	hostile := []string{strings.Repeat("[", 10000), strings.Repeat(`{"a":`, 5000), "\x00", "\xff\xfe", `"`, "}]}", "1e999999"}
	return append(append(bytes.Clone(b[:at]), hostile[r.IntN(len(hostile))]...), b[at:]...)
}
