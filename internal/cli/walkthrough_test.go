package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestWalkthroughs runs what the pages of docs/walkthroughs show: every command of their console blocks in a shell, in order, in one folder of
// its own, with the examples beside it. What follows a command is what it prints; a line "…" stands for lines that are left out, and
// "(exit status 1)" for an exit status other than 0. UPDATE_SCRIPTS=1 writes what is printed into the pages; of an output that is shortened it
// renews as many lines before the first "…" and behind the last as there are.
//
// Pages about the broker happen in a world (world_test.go), which needs what 'make clients' installs. Behind "console" their blocks name who runs the commands; a block whose second word is the name of a file is that file. What differs from run
// to run, ids and times, counts as the same, and an id of the page that is named in a later command stands for that of the run. Dates of files and commands are moved by the days since the page's "Written on DATE", for what they say to stay true.
// UPDATE_SCRIPTS=anew writes all ids and times as they are now, which is for pages that were written on the same day.
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
			runPage(t, bash, examples, page, func(text string) (before, run, after string) { return "", text, "" })
		})
	}
}

// runPage runs the part of a page that is to be run, and holds it to what it shows.
func runPage(t *testing.T, bash, examples, page string, cut func(text string) (before, run, after string)) {
	t.Helper()
	dir := t.TempDir()
	before, data, after := cut(read(t, page))
	var world *world
	if strings.Contains(data, "```console ") {
		world = newWorld(t, dir, strings.Contains(data, "\n$ sleep 5m\n"))
	}
	if err := os.Symlink(examples, filepath.Join(dir, "examples")); err != nil {
		t.Fatal(err)
	}
	w := walkthrough{t: t, bash: bash, dir: dir, world: world, exports: make(map[string]string), same: make(map[string]string)}
	fresh := w.run(data)
	if w.commands == 0 {
		t.Errorf("%s shows no command", page)
	}
	if fresh == data {
		return
	}
	if os.Getenv("UPDATE_SCRIPTS") == "" {
		shown, printed := strings.Split(data, "\n"), strings.Split(fresh, "\n")
		i := 0
		for i < len(shown) && i < len(printed) && shown[i] == printed[i] {
			i++
		}
		t.Errorf("%s shows what is not printed: UPDATE_SCRIPTS=1 go test ./internal/cli -run TestWalkthroughs\nfirst, %d lines down, for\n%s\nthis is printed\n%s", page, i+1, strings.Join(shown[i:min(i+1, len(shown))], ""), strings.Join(printed[i:min(i+6, len(printed))], "\n"))
	} else if err := os.WriteFile(page, []byte(before+fresh+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestWalkthroughsBegin runs the quick start of the broker in the README.
func TestWalkthroughsBegin(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	if l, err := net.Listen("tcp", "127.0.0.1:8181"); err != nil {
		if os.Getenv("DRAWBRIDGE_CLIENTS") == "required" {
			t.Fatalf("a local setup cannot listen: %v", err)
		}
		t.Skip("something else listens where a local setup does")
	} else {
		l.Close()
	}
	examples, err := filepath.Abs("../../examples")
	if err != nil {
		t.Fatal(err)
	}
	runPage(t, bash, examples, "../../README.md", func(text string) (before, run, after string) {
		begin := strings.Index(text, "## Crossing\n")
		if begin < 0 {
			t.Fatal("the README has no quick start")
		}
		end := begin + strings.Index(text[begin+1:], "\n## ") + 1
		return text[:begin], text[begin:end], text[end:]
	})
}

type walkthrough struct {
	t        *testing.T
	bash     string
	dir      string
	commands int
	exports  map[string]string // what the commands of the page exported so far, by who ran them
	world    *world            // nil where the page needs none
	who      string
	moved    int               // days since the page was written
	same     map[string]string // ids of the page, and what they are in this run
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	writtenOn = regexp.MustCompile(`Written on (\d{4}-\d\d-\d\d)`)
	// date is one of this century's twenties and thirties: 2012-10-17 is a language.
	date = regexp.MustCompile(`\b20[23]\d-\d\d-\d\d`)
	// varying is what differs from run to run: ids of requests, locks and AWS, digests, moments, and how long something took. Only ids are looked for in later commands.
	varying = regexp.MustCompile(`\b([0-9a-f]{8}\+[0-9A-Za-z+/=]{40,}|r-[0-9a-z]{20,}(?:-[0-9a-z]+)?|l-[0-9a-z]{20,}|[0-9a-f]{64}|[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?:ASIA|AROA)[0-9A-Z]{16,17}|(?:challenge|state)=[0-9A-Za-z_-]+|port=\d+|20[23]\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z| UTC|\+00:00)?)?|\d\d:\d\d(?::\d\d)?(?: UTC)?|\d+m\d+s)`)
)

// alike says whether a line of the page is what was printed but for what varies, and takes what the ids of the page are in this run.
func (w *walkthrough) alike(shown, printed string) bool {
	if w.world == nil || varying.ReplaceAllString(shown, "~") != varying.ReplaceAllString(printed, "~") {
		return shown == printed
	}
	ids, now := varying.FindAllString(shown, -1), varying.FindAllString(printed, -1)
	for i, id := range ids {
		if known, ok := w.same[id]; ok && known != now[i] && id != now[i] && !date.MatchString(id) && len(id) > 12 {
			return false // one id of the page stands for one id
		}
	}
	for i, id := range ids {
		if len(id) > 12 && id != now[i] && !date.MatchString(id) {
			w.same[id] = now[i]
		}
	}
	return true
}

// actual is a text of the page as it is in this run.
func (w *walkthrough) actual(text string) string {
	if w.world == nil {
		return text
	}
	text = varying.ReplaceAllStringFunc(text, func(id string) string {
		if now, ok := w.same[id]; ok {
			return now
		}
		return id
	})
	text = date.ReplaceAllStringFunc(text, func(d string) string {
		at, err := time.Parse(time.DateOnly, d)
		if err != nil {
			return d
		}
		return at.AddDate(0, 0, w.moved).Format(time.DateOnly)
	})
	return strings.ReplaceAll(text, "8443", w.world.port)
}

// run runs the commands of a page, and returns the page with what they print.
func (w *walkthrough) run(page string) string {
	var out strings.Builder
	if m := writtenOn.FindStringSubmatch(page); m != nil {
		at, err := time.Parse(time.DateOnly, m[1])
		if err != nil {
			w.t.Fatal(err)
		}
		w.moved = int(time.Since(at).Hours() / 24)
	} else if w.world != nil {
		w.t.Fatal("the page does not say when it was written: 'Written on DATE'")
	}
	lines := strings.SplitAfter(page, "\n")
	for i := 0; i < len(lines); {
		out.WriteString(lines[i])
		info := strings.Fields(strings.TrimSpace(lines[i]))
		i++
		if w.world != nil && len(info) == 2 && strings.HasPrefix(info[0], "```") && info[0] != "```console" {
			var text strings.Builder
			for ; i < len(lines) && strings.TrimSpace(lines[i]) != "```"; i++ {
				text.WriteString(lines[i])
			}
			if anew() {
				out.WriteString(strings.ReplaceAll(w.actual(text.String()), w.world.port, "8443"))
			} else {
				out.WriteString(text.String())
			}
			name := filepath.Join(w.dir, filepath.FromSlash(info[1]))
			if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(w.actual(text.String())), 0o644)); err != nil {
				w.t.Fatal(err)
			}
			continue
		}
		if len(info) == 0 || info[0] != "```console" {
			continue
		}
		w.who = ""
		if len(info) == 2 {
			w.who = info[1]
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
			if anew() && w.world != nil {
				command = "$ " + strings.ReplaceAll(w.actual(text), w.world.port, "8443")
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
	text = w.actual(text)
	if text == "sleep 5m\n" && w.world != nil {
		w.world.sleep(5 * time.Minute)
		text = "sleep 3s\n" // the daemon looks each second what is to be done
	}
	if strings.HasPrefix(text, "export ") {
		w.exports[w.who] += text
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, w.bash, "-c", w.exports[w.who]+text)
	c.WaitDelay = time.Second
	c.Dir = w.dir
	c.Env = append(os.Environ(), "HOME="+w.dir, "TEST_NOW=2026-11-20T12:00:00Z")
	if w.world != nil {
		c.Env = w.world.env(w.who)
		w.world.act(w.who)
		if strings.HasSuffix(strings.TrimSpace(text), "&") {
			c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			defer func() { w.t.Cleanup(func() { kill(c.Process.Pid) }) }()
		}
	}
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
	printed = w.known(shown, printed)
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

// known is what was printed, in the page's words where it says the same: its own ids and times.
func (w *walkthrough) known(shown, printed []string) []string {
	if w.world == nil {
		return printed
	}
	out := slices.Clone(printed)
	from := 0
	for i, line := range printed {
		line = strings.ReplaceAll(line, w.world.port, "8443")
		if !anew() {
			line = varying.ReplaceAllStringFunc(line, func(now string) string {
				for id, is := range w.same {
					if is == now {
						return id
					}
				}
				return now
			})
		}
		out[i] = line
		for j := from; j < len(shown); j++ {
			if w.alike(shown[j], line) {
				if from = j + 1; !anew() {
					out[i] = shown[j]
				}
				break
			}
		}
	}
	return out
}

// anew says that a page gets the ids and times of this run, in all places.
func anew() bool { return os.Getenv("UPDATE_SCRIPTS") == "anew" }

func indexOf(lines, part []string) int {
	for i := range lines {
		if len(part) <= len(lines)-i && slices.Equal(lines[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}
