package repository

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/cli"
)

var update = flag.Bool("update", false, "write the outputs in README.md anew")

// shell are the blocks of commands in a page, and shown the outputs that it shows: a comment that names the command, and the
// text under it. After "from:" and "until:" stand the beginnings of the first line that is shown, and of the first after it.
var (
	shell = regexp.MustCompile("(?s)```sh\n(.*?)```")
	shown = regexp.MustCompile("(?s)<!-- output of: drawbridge (.*?) -->\n```text\n(.*?)```")
	here  = regexp.MustCompile(`(?s)^drawbridge ([^\n]*) - <<'END'\n(.*?)\nEND\n`)
)

// words cuts a command line at spaces, takes off single quotes, drops a comment at its end, and expands a trailing pattern of
// files. That is all the shell that the page's commands about the examples need.
func words(t *testing.T, line string) []string {
	t.Helper()
	line, _, _ = strings.Cut(line, " # ")
	var args []string
	for _, w := range strings.Fields(line) {
		if bare := strings.Trim(w, "'"); bare != w || !strings.ContainsAny(w, "*") {
			args = append(args, bare)
			continue
		}
		files, err := filepath.Glob(w)
		if err != nil || len(files) == 0 {
			t.Errorf("%s: no files, %v", w, err)
		}
		args = append(args, files...)
	}
	return args
}

// drawbridge runs a command as main does, at a fixed time.
func drawbridge(input string, args []string) (out, errors string, status int) {
	var stdout, stderr bytes.Buffer
	status = cli.Run(&cli.Env{
		Stdin: strings.NewReader(input), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" },
		Now: func() time.Time { return time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC) },
	}, args)
	return stdout.String(), stderr.String(), status
}

// excerpt is the part of an output that the page shows, its lines cut at a width that fits.
func excerpt(out, from, until string) string {
	const width = 160
	var kept []string
	on := from == ""
	for _, line := range strings.Split(strings.TrimRight(out, "\n"), "\n") {
		switch {
		case !on && strings.HasPrefix(line, from):
			on = true
		case on && until != "" && strings.HasPrefix(line, until), on && from != "" && line == "":
			return strings.TrimRight(strings.Join(kept, "\n"), "\n") + "\n"
		}
		if on {
			if r := []rune(line); len(r) > width {
				line = string(r[:width-2]) + " …"
			}
			kept = append(kept, line)
		}
	}
	return strings.TrimRight(strings.Join(kept, "\n"), "\n") + "\n"
}

// TestReadmeCommands: the commands of the README about the examples, and about nothing but their own input, work. Those about
// a snapshot of the reader's own are not run here.
func TestReadmeCommands(t *testing.T) {
	t.Chdir("../..")
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	run := func(line, input string) {
		ran++
		if _, errors, status := drawbridge(input, words(t, line)); status != 0 {
			t.Errorf("drawbridge %s: exit status %d\n%s", line, status, errors)
		}
	}
	for _, block := range shell.FindAllStringSubmatch(string(page), -1) {
		for rest := block[1]; rest != ""; {
			if m := here.FindStringSubmatch(rest); m != nil {
				run(m[1]+" -", m[2])
				rest = rest[len(m[0]):]
				continue
			}
			var line string
			line, rest, _ = strings.Cut(rest, "\n")
			line = strings.TrimPrefix(line, "go run ./cmd/")
			if command, ok := strings.CutPrefix(line, "drawbridge "); ok && (strings.Contains(command, "examples/") || strings.HasPrefix(command, "rules")) {
				run(command, "")
			}
		}
	}
	if ran < 5 {
		t.Errorf("ran %d commands: the test looks for the wrong thing", ran)
	}
}

// TestReadmeOutputs: what the README shows is what the program prints.
func TestReadmeOutputs(t *testing.T) {
	t.Chdir("../..")
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := 0
	fresh := shown.ReplaceAllStringFunc(string(page), func(block string) string {
		blocks++
		m := shown.FindStringSubmatch(block)
		line, until, _ := strings.Cut(m[1], " | until: ")
		line, from, _ := strings.Cut(line, " | from: ")
		out, errors, status := drawbridge("", words(t, line))
		if status != 0 {
			t.Errorf("drawbridge %s: exit status %d\n%s", line, status, errors)
			return block
		}
		text := excerpt(out, from, until)
		if text == "\n" {
			t.Errorf("drawbridge %s prints nothing from %q until %q", line, from, until)
		}
		return "<!-- output of: drawbridge " + m[1] + " -->\n```text\n" + text + "```"
	})
	if blocks == 0 {
		t.Error("README.md shows no output: the test looks for the wrong thing")
	}
	if fresh == string(page) {
		return
	}
	if *update {
		if err := os.WriteFile("README.md", []byte(fresh), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Error("README.md shows outputs that the program does not print: go test ./internal/repository -run TestReadmeOutputs -update")
}
