package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// TestOutputKeepsTheOldFile: a file is written completely, or stays as it was; nothing is left beside it.
func TestOutputKeepsTheOldFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "report.json")
	if err := output(nil, name, func(w io.Writer) error { _, err := io.WriteString(w, "first"); return err }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := output(nil, name, func(w io.Writer) error {
		_, err := io.WriteString(w, "second")
		return errors.Join(err, broken)
	})
	if !errors.Is(err, errOutput) || !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if text, err := os.ReadFile(name); string(text) != "first" {
		t.Errorf("the file holds %q, %v", text, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}
