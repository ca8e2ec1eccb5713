package review

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageCSS string

// Order puts what is not decided first, quarantined before escalated before open, then the strict decisions.
func (c *Campaign) Order() []*Item {
	var items []*Item
	for i := range c.Items {
		items = append(items, &c.Items[i])
	}
	rank := func(i *Item) int {
		if i.State != Decided {
			return slices.Index([]State{Quarantined, Escalated, Open}, i.State)
		}
		return 3 + len(Verdicts) - slices.Index(Verdicts, i.Outcome())
	}
	slices.SortStableFunc(items, func(a, b *Item) int { return rank(a) - rank(b) })
	return items
}

// Word is the state of an item in one word: its outcome where it is decided.
func (i *Item) Word() string {
	if o := i.Outcome(); o != "" {
		return string(o)
	}
	return string(i.State)
}

// Standing says in a sentence what an item that is not decided waits for, and what happens otherwise; "" where it is decided.
func (c *Campaign) Standing(i *Item) string {
	if i.State == Decided {
		return ""
	}
	out := "waits for " + i.Waits()
	if i.State == Open {
		return out
	}
	out += "; escalated on " + day(c.Deadline)
	if len(i.Escalate) > 0 {
		out += " to " + strings.Join(i.Escalate, ", ")
	} else {
		out += ", and the entry names nobody to tell (review.escalate)"
	}
	switch quarantine := i.QuarantineDay(c); {
	case i.State == Quarantined:
		out += "; quarantined since " + day(quarantine)
	case !quarantine.IsZero():
		out += "; to be quarantined on " + day(quarantine)
	}
	return out
}

// Use is when a caller came last.
type Use struct{ Who, When string }

// Uses says for each caller when it came last, "" where no use is recorded, in the order of the entry, and for each role when AWS saw it
// used.
func (i *Item) Uses() []Use {
	var out []Use
	for _, who := range i.Who {
		out = append(out, Use{who, i.LastUsed[who]})
	}
	for _, target := range i.What {
		if when := i.RoleUsed[target]; when != "" {
			out = append(out, Use{target + " by anybody, as AWS says", when})
		}
	}
	return out
}

// Grant is what a role is granted and not used, in words.
type Grant struct {
	Role, Summary string
	Lines         []string
}

// UnusedWords says in words what is granted and not used.
func (i *Item) UnusedWords() []Grant {
	var out []Grant
	for _, u := range i.Unused {
		g := Grant{Role: u.Role, Summary: "is granted " + plural(u.Granted, "action")}
		if u.Unknown == "" || u.Used > 0 {
			g.Summary += fmt.Sprintf(", %d of them recorded", u.Used)
		}
		list := func(what string, names []string, more int) {
			if len(names) == 0 {
				return
			}
			line := what + ": " + strings.Join(names, ", ")
			if more > 0 {
				line += fmt.Sprintf(" and %d more", more)
			}
			g.Lines = append(g.Lines, line)
		}
		list("services that it did not call, with their granted actions", u.Services, u.MoreServices)
		list("actions that it did not call, of services that it did", u.Actions, u.MoreActions)
		if u.Unknown != "" {
			g.Lines = append(g.Lines, "not judged: "+u.Unknown)
		}
		out = append(out, g)
	}
	return out
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text + " " + noun + "s"
}

// Words is a finding in one line.
func (f Finding) Words() string {
	out := f.Severity + " " + f.Rule + ": " + f.Reason
	if f.Accepted != "" {
		out += " (" + f.Accepted + ")"
	}
	return out
}

// Words is a way in one line.
func (w Way) Words() string {
	out := w.Why
	if w.Possible {
		out += " (if conditions are met)"
	}
	return out + ": " + strings.Join(w.Steps, " → ")
}

func words[T interface{ Words() string }](list []T) []string {
	var out []string
	for _, v := range list {
		out = append(out, v.Words())
	}
	return out
}

// controls are those that the item's findings are mapped to, sorted.
func (i *Item) controls() []string {
	var out []string
	for _, f := range i.Findings {
		out = append(out, f.Controls...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// WriteCSV writes an item a line, for auditors who sort.
func (c *Campaign) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"campaign", "entry", "owner", "vendor", "purpose", "who", "what", "session", "expires", "last review", "state", "outcome", "decided by", "decided on",
		"decisions", "waits for", "carried out", "in AWS", "last used", "evidence", "granted and not used", "paths", "findings", "changes", "controls of the findings", "controls of the review"}}
	var evidence []string
	for _, k := range Controls {
		evidence = append(evidence, k.Framework+" "+k.ID)
	}
	for _, i := range c.Order() {
		var uses, unused, by []string
		for _, u := range i.Uses() {
			when := u.When
			if when == "" {
				when = "no use recorded"
			}
			uses = append(uses, u.Who+": "+when)
		}
		for _, g := range i.UnusedWords() {
			unused = append(unused, g.Role+" "+g.Summary)
			unused = append(unused, g.Lines...)
		}
		for _, d := range i.Decisions {
			by = append(by, d.By)
		}
		paths := words(i.Paths)
		if i.MorePaths > 0 {
			paths = append(paths, fmt.Sprintf("and %d more", i.MorePaths))
		}
		lines := func(list []string) string { return strings.Join(list, "\n") }
		rows = append(rows, []string{c.ID, i.Entry, i.Owner, i.Vendor, i.Purpose, lines(i.Who), lines(i.What), i.Session, i.Expires, i.LastReview, string(i.State),
			string(i.Outcome()), lines(by), i.DecidedOn(), lines(i.said()), c.Standing(i), i.Applied, lines(i.Stands), lines(uses), i.Evidence, lines(unused), lines(paths),
			lines(words(i.Findings)), lines(append([]string{i.ChangesSince}, i.Changes...)), lines(i.controls()), lines(evidence)})
	}
	for _, row := range rows {
		for n := range row {
			if row[n] != "" && strings.ContainsRune("=+-@\t\r", rune(row[n][0])) {
				row[n] = "'" + row[n] // a spreadsheet would take it for a formula
			}
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("writing the review: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// said are the decisions in words.
func (i *Item) said() []string {
	var out []string
	for _, d := range i.Decisions {
		out = append(out, fmt.Sprintf("%s: %s, %s (%s)", d.By, d.Verdict, d.Reason, d.At.Format(time.DateOnly)))
	}
	return out
}

// DecidedOn is the day of the last decision of a decided item, "" for others.
func (i *Item) DecidedOn() string {
	if i.State != Decided {
		return ""
	}
	return day(i.Decisions[len(i.Decisions)-1].At)
}

// Anchor is the item's place on the page.
func (i *Item) Anchor() string { return "item-" + i.Entry }

// FindingCount counts the findings, with the worst of them.
func (i *Item) FindingCount() string {
	if len(i.Findings) == 0 {
		return "none"
	}
	return fmt.Sprintf("%d (%s)", len(i.Findings), i.Findings[0].Severity)
}

// WriteHTML writes a page that stands alone, for auditors who read and print.
func (c *Campaign) WriteHTML(w io.Writer) error {
	type item struct {
		*Item
		Standing string
	}
	type card struct {
		Count int
		Words string
	}
	style := sha256.Sum256([]byte(pageCSS))
	page := struct {
		*Campaign
		CSS           template.CSS
		Policy        string
		Controls      []Control
		Cards         []card
		List, Waiting []item
	}{Campaign: c, Controls: Controls, CSS: template.CSS(pageCSS),
		Policy: "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; base-uri 'none'; form-action 'none'"}
	n := c.counts()
	page.Cards = append(page.Cards, card{len(c.Items), map[bool]string{true: "item", false: "items"}[len(c.Items) == 1]})
	for _, key := range outcomes {
		if n[key] > 0 || key == string(Keep) || key == string(Narrow) || key == string(Remove) || key == string(Open) {
			page.Cards = append(page.Cards, card{n[key], key})
		}
	}
	for _, i := range c.Order() {
		one := item{i, c.Standing(i)}
		page.List = append(page.List, one)
		if i.State != Decided {
			page.Waiting = append(page.Waiting, one)
		}
	}
	if err := pageTemplate.Execute(w, page); err != nil {
		return fmt.Errorf("writing the review: %w", err)
	}
	return nil
}

// outcomes are the words of Word, what needs somebody first.
var outcomes = []string{string(Quarantined), string(Escalated), string(Open), string(Remove), string(Narrow), string(Keep)}

func (c *Campaign) counts() map[string]int {
	n := map[string]int{}
	for i := range c.Items {
		n[c.Items[i].Word()]++
	}
	return n
}

// Counts says how many items there are of each outcome, in words.
func (c *Campaign) Counts() []string {
	n := c.counts()
	var out []string
	for _, key := range outcomes {
		if n[key] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[key], key))
		}
	}
	return out
}

// Next are the commands that carry a decision out.
func (i *Item) Next() []string {
	var out []string
	for _, target := range i.What {
		switch o := i.Outcome(); {
		case !strings.Contains(target, ":role/"):
		case o == Narrow:
			out = append(out, "drawbridge remedy "+target+" SNAPSHOT --registry REGISTRY --usage RECORD")
		case o == Remove || i.State == Quarantined:
			out = append(out, "drawbridge remedy "+target+" SNAPSHOT --remove")
		}
	}
	if i.Vendor != "" && i.Outcome() == Remove {
		out = append(out, "drawbridge offboard "+i.Vendor+" SNAPSHOT --registry REGISTRY")
	}
	return out
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}

var pageTemplate = template.Must(template.New("review").Funcs(template.FuncMap{
	"day":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"minute":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
	"join":     strings.Join,
	"sentence": sentence,
}).Parse(pageText))
