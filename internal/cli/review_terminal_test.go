package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"drawbridge/internal/review"
)

var reviewDay = time.Date(2026, 11, 23, 9, 30, 0, 0, time.UTC)

// campaignFile writes a campaign of some items.
func campaignFile(t *testing.T, needs int, names ...string) string {
	t.Helper()
	c := &review.Campaign{Version: review.Version, ID: "2026-q4", Opened: reviewDay, Deadline: reviewDay.AddDate(0, 0, 14), Scope: "all entries", Revision: 1}
	for _, name := range names {
		c.Items = append(c.Items, review.Item{Entry: name, Owner: "ana", Purpose: "Deploy release artifacts to production, every week", Who: []string{"arn:aws:iam::111122223333:role/ci"},
			What: []string{"arn:aws:iam::444455556666:role/" + name}, Needs: needs, State: review.Open, LastUsed: map[string]string{"arn:aws:iam::111122223333:role/ci": "2026-11-20"},
			Evidence: "the record of use covers the last 90 days", ChangesSince: "it was not reviewed before",
			Findings: []review.Finding{{Rule: "EXT-002", Severity: "high", Reason: "No ExternalId is demanded of arn:aws:iam::111122223333:role/a-role-with-a-name-that-is-far-longer-than-a-line-of-a-terminal-is-wide."}}})
	}
	file := filepath.Join(t.TempDir(), "review.json")
	if err := writeCampaign(file, c); err != nil {
		t.Fatal(err)
	}
	return file
}

// typed runs a review in a pseudo-terminal of 80 columns: each answer is typed when its question stands there. It returns what the screen got.
func typed(t *testing.T, file string, env []string, answers ...[2]string) string {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	defer master.Close()
	if err := pty.Setsize(master, &pty.Winsize{Rows: 24, Cols: 80}); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var screen bytes.Buffer
	grown, ended := make(chan struct{}, 1), make(chan struct{})
	go func() {
		defer close(ended)
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			mu.Lock()
			screen.Write(buffer[:n])
			mu.Unlock()
			select {
			case grown <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	status := make(chan int, 1)
	e := &Env{Stdin: tty, Stdout: tty, Stderr: tty, Now: func() time.Time { return reviewDay }, StdoutTerminal: true, Getenv: func(k string) string {
		for _, v := range env {
			if name, value, _ := strings.Cut(v, "="); name == k {
				return value
			}
		}
		return ""
	}}
	go func() { status <- Run(e, []string{"review", file, "--as", "ben"}) }()
	read := 0
	for _, a := range answers {
		for {
			mu.Lock()
			at := bytes.Index(screen.Bytes()[read:], []byte(a[0]))
			if at >= 0 {
				read += at + len(a[0])
			}
			seen := screen.String()
			mu.Unlock()
			if at >= 0 {
				break
			}
			select {
			case <-grown:
			case <-time.After(20 * time.Second):
				t.Fatalf("%q does not appear:\n%s", a[0], seen)
			}
		}
		if _, err := master.WriteString(a[1]); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case code := <-status:
		if code != 0 {
			t.Errorf("exit status %d", code)
		}
	case <-time.After(20 * time.Second):
		t.Fatalf("it does not end:\n%s", screen.String())
	}
	tty.Close()
	<-ended // the reader has everything when the last writer is gone
	mu.Lock()
	defer mu.Unlock()
	return screen.String()
}

func decisions(t *testing.T, file string) string {
	t.Helper()
	c, err := openCampaign(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, i := range c.Items {
		for _, d := range i.Decisions {
			out = append(out, fmt.Sprintf("%s %s %s: %s", i.Entry, d.By, d.Verdict, d.Reason))
		}
	}
	return strings.Join(out, "\n")
}

const question = "[q]uit"

func TestReviewInTerminal(t *testing.T) {
	for name, c := range map[string]struct {
		answers [][2]string
		want    string // decisions
		screen  []string
	}{
		"all":                   {[][2]string{{"1 of 3: a", ""}, {question, "k"}, {"Why keep?", "needed\n"}, {"2 of 3: b", ""}, {question, "n"}, {"Why narrow?", "too wide\n"}, {"3 of 3: c", ""}, {question, "r"}, {"Why remove?", "unused\n"}}, "a ben keep: needed\nb ben narrow: too wide\nc ben remove: unused", []string{"Nothing waits for your decision"}},
		"quit":                  {[][2]string{{question, "k"}, {"Why keep?", "needed\n"}, {question, "q"}}, "a ben keep: needed", []string{"2 items wait for your decision"}},
		"Ctrl-C":                {[][2]string{{question, "k"}, {"Why keep?", "needed\n"}, {question, "\x03"}}, "a ben keep: needed", nil},
		"skip and back":         {[][2]string{{question, "s"}, {"2 of 3: b", ""}, {question, "b"}, {"1 of 3: a", ""}, {question, "r"}, {"Why remove?", "unused\n"}, {"2 of 3: b", ""}, {question, "s"}, {"3 of 3: c", ""}, {question, " "}}, "a ben remove: unused", nil},
		"no reason":             {[][2]string{{question, "k"}, {"Why keep?", "\n"}, {"Nothing was decided", ""}, {"1 of 3: a", ""}, {question, "q"}}, "", nil},
		"back to a decided":     {[][2]string{{question, "K"}, {"Why keep?", "ok\n"}, {"2 of 3: b", ""}, {question, "b"}, {"KEEP", ""}, {"[s] next", ""}, {question, "r"}, {"This item is decided", ""}, {question, "s"}, {"2 of 3: b", ""}, {question, "q"}}, "a ben keep: ok", nil},
		"help and other keys":   {[][2]string{{question, "?"}, {"keep: it is still what was agreed", ""}, {question, "x"}, {"There is no such key", ""}, {question, "\x1b[A"}, {"There is no such key", ""}, {question, "b"}, {"This is the first item", ""}, {question, "q"}}, "", nil},
		"a line that is edited": {[][2]string{{question, "k"}, {"Why keep?", "neadd\x7f\x7f\x7feded für Zürich\n"}, {question, "q"}}, "a ben keep: needed für Zürich", nil},
	} {
		t.Run(name, func(t *testing.T) {
			file := campaignFile(t, 1, "a", "b", "c")
			screen := typed(t, file, []string{"NO_COLOR=1"}, c.answers...)
			if got := decisions(t, file); got != c.want {
				t.Errorf("got\n%s\nwant\n%s\n%s", got, c.want, screen)
			}
			for _, want := range c.screen {
				if !strings.Contains(strings.Join(strings.Fields(screen), " "), want) {
					t.Errorf("no %q in\n%s", want, screen)
				}
			}
			if strings.Contains(screen, "\x1b") && name != "help and other keys" {
				t.Errorf("colours in spite of NO_COLOR:\n%q", screen)
			}
			for _, line := range strings.Split(screen, "\n") {
				if n := len([]rune(strings.TrimRight(line, "\r"))); n > 80 {
					t.Errorf("%d columns: %s", n, line)
				}
			}
		})
	}
}

func TestReviewInColour(t *testing.T) {
	if screen := typed(t, campaignFile(t, 1, "a"), nil, [2]string{question, "q"}); !regexp.MustCompile("\x1b\\[1;33mOPEN\x1b\\[0m").MatchString(screen) {
		t.Errorf("%q", screen)
	}
}

// What somebody else decided while the reason was typed is shown, and the decision is made again.
func TestReviewOfWhatChanged(t *testing.T) {
	file := campaignFile(t, 2, "a")
	seen := &review.Item{Entry: "a"} // without a decision
	if err := updateCampaign(file, func(c *review.Campaign) error {
		return c.Decide("a", review.Decision{By: "cem", Verdict: review.Remove, Reason: "unused", At: reviewDay})
	}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r := &reviewer{e: &Env{Stdout: &out, Getenv: os.Getenv}, file: file, by: "ben", clock: func() time.Time { return reviewDay }, width: 80}
	in, err := os.CreateTemp(t.TempDir(), "typed")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.WriteString("needed\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	r.tty = in
	saved, err := r.decide(seen, review.Keep)
	if err != nil || saved || !strings.Contains(out.String(), "Somebody else decided on this item meanwhile") {
		t.Errorf("%v, %v\n%s", saved, err, out.String())
	}
	if got := decisions(t, file); got != "a cem remove: unused" {
		t.Error(got)
	}
}

func TestReviewNeedsATerminal(t *testing.T) {
	var stderr bytes.Buffer
	e := &Env{Stdin: strings.NewReader("k"), Stdout: &stderr, Stderr: &stderr, Getenv: os.Getenv, Now: time.Now}
	if code := Run(e, []string{"review", campaignFile(t, 1, "a"), "--as", "ben"}); code != codeUsage || !strings.Contains(stderr.String(), "standard input is no terminal") {
		t.Errorf("%d: %s", code, stderr.String())
	}
}

// Many people decide at once, in this process and in others, and nothing is lost.
func TestManyDecideAtOnce(t *testing.T) {
	const people = 12
	var names []string
	for n := range people {
		names = append(names, fmt.Sprintf("e%02d", n))
	}
	file := campaignFile(t, people, names...)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "drawbridge") // by this name TestMain runs the program
	if err := os.Symlink(self, program); err != nil {
		t.Skip(err)
	}
	var wg sync.WaitGroup
	for n := range people {
		wg.Go(func() {
			by := fmt.Sprintf("p%02d", n)
			if n%4 == 0 { // another process
				for _, entry := range names {
					if out, err := exec.Command(program, "review", "decide", file, entry, "keep", "--as", by, "--reason", "so").CombinedOutput(); err != nil {
						t.Errorf("%s: %v: %s", by, err, out)
					}
				}
				return
			}
			if err := decideAll(file, by); err != nil {
				t.Errorf("%s: %v", by, err)
			}
		})
	}
	wg.Wait()
	c, err := openCampaign(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.Revision != 1+people*people {
		t.Errorf("revision %d", c.Revision)
	}
	for i := range c.Items {
		if n := len(c.Items[i].Decisions); n != people || c.Items[i].State != review.Decided {
			t.Errorf("%s: %d decisions, %s", c.Items[i].Entry, n, c.Items[i].State)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(file), ".drawbridge-*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %q, %v", left, err)
	}
}

// decideAll decides on every item, each in a change of its own.
func decideAll(file, by string) error {
	c, err := openCampaign(file)
	if err != nil {
		return err
	}
	for i := range c.Items {
		entry := c.Items[i].Entry
		if err := updateCampaign(file, func(c *review.Campaign) error {
			return c.Decide(entry, review.Decision{By: by, Verdict: review.Keep, Reason: "so", At: reviewDay})
		}); err != nil {
			return err
		}
	}
	return nil
}
