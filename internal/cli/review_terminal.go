package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"drawbridge/internal/review"
)

// This file is the review in a terminal. How it behaves:
//
//   - nothing is cleared: items are printed one below the other, so that the way one came stays in the scroll-back,
//   - a key is read raw and at once, a reason as a line that the terminal itself edits; an empty line takes the key back,
//   - every decision is on disk before the next item is shown, so that quitting at any time, also by Ctrl-C, loses nothing,
//   - a decision is about what the reviewer saw: where somebody else decided meanwhile, the item is shown again,
//   - colours only where they are wanted, and nothing that depends on them.

// errNoTerminal: there is nobody to ask.
var errNoTerminal = errors.New("standard input is no terminal: decide with 'drawbridge review decide FILE ENTRY keep|narrow|remove --as NAME --reason TEXT'")

// errQuit ends the review by a key.
var errQuit = errors.New("quit")

// reviewer is one person at a terminal with one campaign.
type reviewer struct {
	e     *Env
	tty   *os.File
	file  string
	by    string
	clock func() time.Time
	width int
}

func (e *Env) reviewInTerminal(file, by string, clock func() time.Time) error {
	tty, ok := e.Stdin.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) {
		return errNoTerminal
	}
	r := &reviewer{e: e, tty: tty, file: file, by: strings.TrimSpace(by), clock: clock, width: 80}
	if width, _, err := term.GetSize(int(tty.Fd())); err == nil && width > 0 {
		r.width = min(max(width, 40), 110)
	}
	if _, err := openCampaign(file); err != nil {
		return err
	}
	if r.by == "" {
		name, err := r.line("Who are you? ")
		if err != nil {
			return err
		}
		if r.by = name; name == "" {
			return usagef("--as is missing: who decides?")
		}
	}
	err := r.run()
	if err != nil && !errors.Is(err, errQuit) {
		return err
	}
	return r.summary()
}

// run goes through the items until there is none left, or the reviewer leaves.
func (r *reviewer) run() error {
	at, forward := 0, true
	for {
		c, err := r.read()
		if err != nil {
			return err
		}
		items := c.Order()
		slices.SortStableFunc(items, func(a, b *review.Item) int { return strings.Compare(a.Entry, b.Entry) })
		for forward && at < len(items) && !r.waits(items[at]) {
			at++
		}
		if at >= len(items) {
			return nil
		}
		item := items[at]
		r.show(c, item, at+1, len(items))
		key, err := r.choose(item)
		if err != nil {
			return err
		}
		switch key {
		case 's':
			at, forward = at+1, true
		case 'b':
			if at == 0 {
				r.say("This is the first item.")
			}
			at, forward = max(at-1, 0), false
		default:
			verdict := map[byte]review.Verdict{'k': review.Keep, 'n': review.Narrow, 'r': review.Remove}[key]
			done, err := r.decide(item, verdict)
			if err != nil {
				return err
			}
			if forward = done; done { // the same item again where nothing was decided
				at++
			}
		}
	}
}

// waits: the item needs a decision of this person.
func (r *reviewer) waits(i *review.Item) bool {
	return i.State != review.Decided && !r.decidedBy(i)
}

func (r *reviewer) decidedBy(i *review.Item) bool {
	return slices.ContainsFunc(i.Decisions, func(d review.Decision) bool { return strings.EqualFold(d.By, r.by) })
}

// read is the campaign as of now.
func (r *reviewer) read() (*review.Campaign, error) {
	c, err := openCampaign(r.file)
	if err == nil {
		c.Expire(r.clock().UTC())
	}
	return c, err
}

// choose waits for a key that means something for the item.
func (r *reviewer) choose(i *review.Item) (byte, error) {
	keys := "[k]eep  [n]arrow  [r]emove  [s]kip  [b]ack  [?] help  [q]uit"
	if !r.waits(i) {
		keys = "[s] next  [b]ack  [?] help  [q]uit"
	}
	for {
		r.print(r.bold(keys) + " ")
		key, err := r.key()
		if err != nil {
			return 0, err
		}
		if key >= 'A' && key <= 'Z' {
			key += 'a' - 'A'
		}
		if key > ' ' && key < 0x7f {
			r.print(string(rune(key)))
		}
		r.print("\n")
		switch key {
		case 'q', 3, 4: // Ctrl-C, Ctrl-D
			return 0, errQuit
		case '?', 'h':
			r.help()
		case 's', 'b', ' ', '\r', '\n':
			if key == ' ' || key == '\r' || key == '\n' {
				key = 's'
			}
			return key, nil
		case 'k', 'n', 'r':
			if r.waits(i) {
				return key, nil
			}
			r.say("This item is decided, or you have decided on it.")
		default:
			r.say("There is no such key; ? says which there are.")
		}
	}
}

func (r *reviewer) help() {
	r.say(`k  keep: it is still what was agreed
n  narrow: it is needed, and allows more than it should
r  remove: it is no longer needed
s  skip: decide later (also space and return)
b  back to the item before
q  quit: everything that was decided is saved

After k, n and r comes the reason, one sentence. An empty line takes the key back.`)
}

// decide asks for the reason and saves the decision. done is false where nothing was decided.
func (r *reviewer) decide(seen *review.Item, verdict review.Verdict) (done bool, err error) {
	reason, err := r.line(fmt.Sprintf("Why %s? ", verdict))
	if err != nil {
		return false, err
	}
	if reason == "" {
		r.say("Nothing was decided.")
		return false, nil
	}
	var now *review.Item
	changed := false
	at := r.clock().UTC()
	err = updateCampaign(r.file, func(c *review.Campaign) error {
		c.Expire(at)
		now = c.Item(seen.Entry)
		if now == nil || len(now.Decisions) != len(seen.Decisions) {
			changed = true
			return nil
		}
		return c.Decide(seen.Entry, review.Decision{By: r.by, Verdict: verdict, Reason: reason, At: at})
	})
	switch {
	case err != nil:
		return false, err
	case changed:
		r.say("Somebody else decided on this item meanwhile. Here it is again; your decision was not saved.")
		return false, nil
	case now.Outcome() != "":
		r.say(fmt.Sprintf("%s: %s. Saved.", now.Entry, now.Outcome()))
	default:
		r.say(fmt.Sprintf("%s: saved, waits for %s.", now.Entry, now.Waits()))
	}
	return true, nil
}

// show prints an item within the width of the terminal.
func (r *reviewer) show(c *review.Campaign, i *review.Item, number, of int) {
	head := fmt.Sprintf("── %d of %d: %s ", number, of, i.Entry)
	state := strings.ToUpper(i.Word())
	rule := max(r.width-utf8.RuneCountInString(head)-len(state)-2, 2)
	r.print("\n" + r.bold(head) + strings.Repeat("─", rule) + " " + r.colour(i.Word(), state) + "\n\n")
	fields := itemFields(c, i)
	for n, f := range fields {
		name := f.name
		if n > 0 && fields[n-1].name == name {
			name = ""
		}
		text, first := f.text, ""
		if f.name == "finding" {
			first, text, _ = strings.Cut(f.text, " ")
		}
		r.field(name, first, text)
	}
	for _, d := range i.Decisions {
		r.field("decision", "", fmt.Sprintf("%s: %s, %s (%s)", d.By, d.Verdict, d.Reason, d.At.Format(time.DateOnly)))
	}
	if standing := c.Standing(i); standing != "" {
		r.field("", "", standing)
	}
	r.print("\n")
	if r.waits(i) {
		r.say("Is " + i.Entry + " still what was agreed?")
	}
}

// field prints a text beside its name, and goes on below it. The severity that a text begins with is painted.
func (r *reviewer) field(name, severity, text string) {
	const indent = 10
	for n, line := range fold(strings.TrimSpace(severity+" "+text), r.width-indent-1) {
		if n > 0 {
			name = ""
		} else if rest, ok := strings.CutPrefix(line, severity); ok && severity != "" {
			line = r.colour(severity, severity) + rest
		}
		name = fmt.Sprintf("%-*s", indent, name)
		if r.e.colours() {
			name = "\x1b[2m" + name + "\x1b[0m"
		}
		r.print(name + line + "\n")
	}
}

// fold breaks a text into lines, between words where it can; a longer word, such as an ARN, is cut.
func fold(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		for utf8.RuneCountInString(word) > width {
			if line != "" {
				lines = append(lines, line)
				line = ""
			}
			cut := 0
			for range width {
				_, size := utf8.DecodeRuneInString(word[cut:])
				cut += size
			}
			lines, word = append(lines, word[:cut]), word[cut:]
		}
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	if line != "" || len(lines) == 0 {
		lines = append(lines, line)
	}
	return lines
}

// summary says what is left when the reviewer leaves.
func (r *reviewer) summary() error {
	c, err := r.read()
	if err != nil {
		return err
	}
	mine := 0
	for _, i := range c.Open() {
		if r.waits(i) {
			mine++
		}
	}
	text := fmt.Sprintf("%s: %s.", r.file, strings.Join(c.Counts(), ", "))
	if mine > 0 {
		text += fmt.Sprintf(" %s for your decision.", counted(mine, "item waits", "items wait"))
	} else {
		text += " Nothing waits for your decision."
	}
	r.say(text)
	return nil
}

func (r *reviewer) print(text string) { _, _ = io.WriteString(r.e.Stdout, text) }

// say prints sentences within the width.
func (r *reviewer) say(text string) {
	for _, paragraph := range strings.Split(text, "\n") {
		for _, line := range fold(paragraph, r.width-1) {
			r.print(line + "\n")
		}
	}
}

func (r *reviewer) bold(text string) string {
	if !r.e.colours() {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// colour paints the word of a state or of a severity.
func (r *reviewer) colour(word, text string) string {
	codes := map[string]string{"keep": "32", "narrow": "33", "open": "33", "remove": "31", "escalated": "31", "quarantined": "31",
		"critical": "31", "high": "31", "medium": "33", "low": "36", "info": "36"}
	if !r.e.colours() {
		return text
	}
	return "\x1b[1;" + codes[word] + "m" + text + "\x1b[0m"
}

// key reads one key. The terminal is raw for as long as that takes. The codes of arrows and the like are read whole and mean nothing.
func (r *reviewer) key() (byte, error) {
	state, err := term.MakeRaw(int(r.tty.Fd()))
	if err != nil {
		return 0, fmt.Errorf("the terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(r.tty.Fd()), state) }()
	b, err := r.byte()
	if err != nil || b != 0x1b {
		return b, err
	}
	if b, err = r.byte(); err != nil || b != '[' && b != 'O' {
		return b, err
	}
	for {
		if b, err = r.byte(); err != nil || b >= 0x40 && b <= 0x7e {
			return 0, err
		}
	}
}

// byte reads one byte and not more: what was typed ahead is for the next question. The end of the input is Ctrl-D.
func (r *reviewer) byte() (byte, error) {
	var b [1]byte
	n, err := r.tty.Read(b[:])
	if n == 1 {
		return b[0], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return 4, nil
	}
	return 0, fmt.Errorf("the terminal: %w", err)
}

// line reads a line that the terminal edits.
func (r *reviewer) line(prompt string) (string, error) {
	r.print(prompt)
	var text []byte
	for {
		b, err := r.byte()
		if err != nil {
			return "", err
		}
		switch b {
		case '\n', '\r':
			return strings.TrimSpace(strings.ToValidUTF8(string(text), "")), nil
		case 4:
			if len(text) == 0 {
				r.print("\n")
				return "", nil
			}
		default:
			if b >= ' ' || b == '\t' {
				text = append(text, b)
			}
		}
	}
}
