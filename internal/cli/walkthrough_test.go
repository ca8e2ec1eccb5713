package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestWalkthroughs runs what the pages of docs/walkthroughs show: every command of their console blocks in a shell, in order, in one folder of
// its own, with the examples beside it. What follows a command is what it prints; a line "…" stands for lines that are left out, and
// "(exit status 1)" for an exit status other than 0. UPDATE_SCRIPTS=1 writes what is printed into the pages; of an output that is shortened it
// renews as many lines before the first "…" and behind the last as there are.
func TestWalkthroughs(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("the walkthroughs are not run: there is no bash")
	}
	pages, err := filepath.Glob("../../docs/walkthroughs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal("no walkthroughs", err)
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		t.Run(strings.TrimSuffix(filepath.Base(page), ".md"), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(page)
			if err != nil {
				t.Fatal(err)
			}
			w := walkthrough{t: t, bash: bash, dir: dir}
			fresh := w.run(string(data))
			if w.commands == 0 {
				t.Errorf("%s shows no command", page)
			}
			if fresh == string(data) {
				return
			}
			if os.Getenv("UPDATE_SCRIPTS") == "" {
				t.Errorf("%s shows what is not printed: UPDATE_SCRIPTS=1 go test ./internal/cli -run TestWalkthroughs", page)
			} else if err := os.WriteFile(page, []byte(fresh), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

type walkthrough struct {
	t        *testing.T
	bash     string
	dir      string
	commands int
	exports  string // what the commands of the page exported so far
}

// run runs the commands of a page, and returns the page with what they print.
func (w *walkthrough) run(page string) string {
	var out strings.Builder
	lines := strings.SplitAfter(page, "\n")
	for i := 0; i < len(lines); {
		out.WriteString(lines[i])
		console := strings.TrimSpace(lines[i]) == "```console"
		i++
		if !console {
			continue
		}
		for i < len(lines) && strings.TrimSpace(lines[i]) != "```" {
			command := lines[i]
			for i++; strings.HasSuffix(command, "\\\n") && i < len(lines); i++ {
				command += lines[i]
			}
			text, ok := strings.CutPrefix(command, "$ ")
			if !ok {
				w.t.Fatalf("line %d: no command: %s", i, command)
			}
			var shown []string
			for ; i < len(lines) && !strings.HasPrefix(lines[i], "$ ") && strings.TrimSpace(lines[i]) != "```"; i++ {
				shown = append(shown, strings.TrimSuffix(lines[i], "\n"))
			}
			out.WriteString(command)
			for _, line := range w.shorten(strings.TrimSpace(text), shown, w.command(text)) {
				out.WriteString(line + "\n")
			}
		}
	}
	return out.String()
}

// command runs one command, and returns the lines that it prints.
func (w *walkthrough) command(text string) []string {
	w.commands++
	if strings.HasPrefix(text, "export ") {
		w.exports += text
		return nil
	}
	c := exec.Command(w.bash, "-c", w.exports+text)
	c.Dir = w.dir
	c.Env = append(os.Environ(), "HOME="+w.dir, "TEST_NOW=2026-11-20T12:00:00Z")
	printed, err := c.CombinedOutput()
	lines := strings.Split(strings.TrimSuffix(string(bytes.ReplaceAll(printed, []byte(w.dir+"/"), nil)), "\n"), "\n")
	if len(printed) == 0 {
		lines = nil
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		lines = append(lines, fmt.Sprintf("(exit status %d)", exit.ExitCode()))
	} else if err != nil {
		w.t.Fatalf("%s: %v", text, err)
	}
	return lines
}

const leftOut = "…"

// shorten is what a command printed, with the parts left out that the page leaves out.
func (w *walkthrough) shorten(command string, shown, printed []string) []string {
	first := slices.Index(shown, leftOut)
	if first < 0 {
		return printed
	}
	var parts [][]string
	for rest := shown; ; {
		i := slices.Index(rest, leftOut)
		if i < 0 {
			parts = append(parts, rest)
			break
		}
		parts = append(parts, rest[:i])
		rest = rest[i+1:]
	}
	begin, end := parts[0], parts[len(parts)-1]
	if len(begin)+len(end) > len(printed) {
		return printed
	}
	out := slices.Clone(printed[:len(begin)])
	rest := printed[len(begin) : len(printed)-len(end)]
	for _, part := range parts[1 : len(parts)-1] {
		at := indexOf(rest, part)
		if at < 0 {
			w.t.Errorf("%s does not print this, in this order:\n%s\nbut\n%s", command, strings.Join(part, "\n"), strings.Join(printed, "\n"))
			return shown
		}
		out = append(append(out, leftOut), part...)
		rest = rest[at+len(part):]
	}
	return append(append(out, leftOut), printed[len(printed)-len(end):]...)
}

func indexOf(lines, part []string) int {
	for i := range lines {
		if len(part) <= len(lines)-i && slices.Equal(lines[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}
