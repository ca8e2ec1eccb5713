// Package review is campaigns over registry entries: which entries are due, what is known of each, who decided what, and what is left
// undecided. It decides nothing by itself, reads no file and knows no clock.
package review

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/finding"
	"drawbridge/internal/registry"
	"drawbridge/internal/usage"
)

// Verdict of a reviewer on an entry.
type Verdict string

const (
	Keep   Verdict = "keep"
	Narrow Verdict = "narrow"
	Remove Verdict = "remove"
)

// Verdicts are the ones that there are, the mildest first. Where reviewers disagree the strictest counts.
var Verdicts = []Verdict{Keep, Narrow, Remove}

// State of an item.
type State string

const (
	Open      State = "open"      // more decisions are needed
	Decided   State = "decided"   // enough people decided
	Escalated State = "escalated" // the deadline has passed without enough decisions
)

// Campaign is a review of several entries.
type Campaign struct {
	ID       string    `json:"id"`
	Opened   time.Time `json:"opened"`
	Deadline time.Time `json:"deadline"`
	Scope    string    `json:"scope"` // in words
	// Revision counts the changes of the campaign: who writes it back must have read the last one.
	Revision int    `json:"revision"`
	Items    []Item `json:"items"`
}

// Item is one entry in a campaign, with what the reviewer must know.
type Item struct {
	Entry   string   `json:"entry"`
	Owner   string   `json:"owner"`
	Purpose string   `json:"purpose"`
	Who     []string `json:"who"`
	What    []string `json:"what"`
	Expires string   `json:"expires,omitempty"`
	Vendor  string   `json:"vendor,omitempty"`
	// Session is the longest session, as the entry says it.
	Session    string `json:"session,omitempty"`
	LastReview string `json:"lastReview,omitempty"`
	// Stands is how the trusts stand to the entry: registered, wider, gone and so on, each with its reason.
	Stands []string `json:"stands"`
	// LastUsed says for each caller when it came last; "" where no use is recorded.
	LastUsed map[string]string `json:"lastUsed"`
	// Evidence says how far the silence of LastUsed can be trusted.
	Evidence string   `json:"evidence"`
	Findings []string `json:"findings"` // open findings on what the entry reaches: severity, rule, reason
	// Needs is how many people must decide. Where it is two or more, the owner is not one of them alone.
	Needs     int        `json:"needs"`
	State     State      `json:"state"`
	Decisions []Decision `json:"decisions"`
}

// Decision is what one person said.
type Decision struct {
	By      string    `json:"by"`
	Verdict Verdict   `json:"verdict"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// Outcome is what an item was decided to; "" while it is not.
func (i *Item) Outcome() Verdict {
	if i.State != Decided {
		return ""
	}
	strictest := Keep
	for _, d := range i.Decisions {
		if slices.Index(Verdicts, d.Verdict) > slices.Index(Verdicts, strictest) {
			strictest = d.Verdict
		}
	}
	return strictest
}

// Scope says which entries a campaign is about. The zero value: those that are due by their own rhythm.
type Scope struct {
	Vendor, Account, Owner string
	// All takes entries that are not due yet too.
	All bool
}

func (s Scope) String() string {
	var parts []string
	for _, p := range [...][2]string{{"vendor", s.Vendor}, {"account", s.Account}, {"owner", s.Owner}} {
		if p[1] != "" {
			parts = append(parts, p[0]+" "+p[1])
		}
	}
	words := "entries that are due"
	if s.All {
		words = "all entries"
	}
	if len(parts) > 0 {
		words += " of " + strings.Join(parts, ", ")
	}
	return words
}

// rhythm is how often an entry is reviewed that does not say.
const rhythm = 90 * 24 * time.Hour

// Due reports whether an entry is to be reviewed by a time.
func Due(e *registry.Entry, now time.Time) bool {
	every := e.Review.Every
	if every == 0 {
		every = rhythm
	}
	return e.Review.Last.IsZero() || now.Sub(e.Review.Last.Time) >= every
}

// Material is what a campaign is made from.
type Material struct {
	Registry *registry.Registry
	Items    []registry.Item   // reconciled
	Usage    *usage.Record     // nil: none
	Findings []finding.Finding // of a scan
	Now      time.Time
}

// Start opens a campaign.
func Start(id string, scope Scope, deadline time.Time, m Material) *Campaign {
	c := &Campaign{ID: id, Opened: m.Now.UTC(), Deadline: deadline.UTC(), Scope: scope.String(), Revision: 1, Items: []Item{}}
	for i := range m.Registry.Entries {
		if e := &m.Registry.Entries[i]; scope.takes(e, m.Now) {
			c.Items = append(c.Items, m.item(e))
		}
	}
	slices.SortFunc(c.Items, func(a, b Item) int { return cmp.Compare(a.Entry, b.Entry) })
	return c
}

func (s Scope) takes(e *registry.Entry, now time.Time) bool {
	in := func(arn string) bool { return strings.Contains(arn, ":"+s.Account+":") || arn == s.Account }
	switch {
	case s.Vendor != "" && !strings.EqualFold(e.Vendor, s.Vendor),
		s.Owner != "" && !strings.EqualFold(e.Owner, s.Owner),
		s.Account != "" && !slices.ContainsFunc(slices.Concat(e.From.Sources(), e.To.Targets()), in):
		return false
	}
	return s.All || Due(e, now)
}

func (m *Material) item(e *registry.Entry) Item {
	i := Item{Entry: e.Name, Owner: e.Owner, Purpose: e.Purpose, Who: e.From.Sources(), What: e.To.Targets(), Expires: e.Expires.String(), Vendor: e.Vendor,
		Session: registry.FormatSpan(e.Session.Max), LastReview: e.Review.Last.String(), Needs: max(e.Review.Reviewers, 1), State: Open,
		Stands: []string{}, LastUsed: map[string]string{}, Findings: []string{}, Decisions: []Decision{}}
	for _, item := range m.Items {
		if item.Entry == e {
			i.Stands = append(i.Stands, fmt.Sprintf("%s: %s", item.State, item.Reason))
		}
	}
	covered := true
	for _, target := range i.What {
		for _, who := range i.Who {
			last := m.Usage.LastUse(target, func(caller string) bool { return caller == who || accountOf(caller) == who })
			if text := day(last); text > i.LastUsed[who] {
				i.LastUsed[who] = text
			} else if _, there := i.LastUsed[who]; !there {
				i.LastUsed[who] = ""
			}
		}
		covered = covered && m.Usage.Covers(accountOf(target), m.Now.Add(-rhythm), m.Now)
		for _, f := range m.Findings {
			if f.Subject == target && f.Status == finding.Confirmed {
				i.Findings = append(i.Findings, fmt.Sprintf("%s %s: %s", f.Severity, f.Rule, f.Reason))
			}
		}
	}
	slices.Sort(i.Findings)
	i.Evidence = "the record of use covers the last 90 days"
	if !covered {
		i.Evidence = "the record of use does not cover the last 90 days: silence proves nothing"
	}
	return i
}

func accountOf(arn string) string {
	if f := strings.SplitN(arn, ":", 6); len(f) == 6 {
		return f[4]
	}
	return ""
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.DateOnly)
}

// The reasons for which a decision is not taken.
var (
	ErrNoItem  = errors.New("the campaign has no such item")
	ErrDecided = errors.New("the item is decided already")
	ErrTwice   = errors.New("has decided on this item already")
	ErrReason  = errors.New("a decision needs a reason and a name")
	ErrVerdict = errors.New("is no verdict: expected keep, narrow or remove")
	ErrOwner   = errors.New("the owner alone does not review an entry that needs more than one")
)

// Decide takes one person's decision. An item is decided when as many people have spoken as it needs; where that is two or more, one
// of them must be another than the owner.
func (c *Campaign) Decide(entry string, d Decision) error {
	at := slices.IndexFunc(c.Items, func(i Item) bool { return i.Entry == entry })
	if at < 0 {
		return fmt.Errorf("%s: %w", entry, ErrNoItem)
	}
	i := &c.Items[at]
	switch {
	case !slices.Contains(Verdicts, d.Verdict):
		return fmt.Errorf("%q %w", d.Verdict, ErrVerdict)
	case strings.TrimSpace(d.By) == "" || strings.TrimSpace(d.Reason) == "":
		return fmt.Errorf("%s: %w", entry, ErrReason)
	case i.State == Decided:
		return fmt.Errorf("%s: %w", entry, ErrDecided)
	case slices.ContainsFunc(i.Decisions, func(x Decision) bool { return strings.EqualFold(x.By, d.By) }):
		return fmt.Errorf("%s: %s %w", entry, d.By, ErrTwice)
	}
	d.At = d.At.UTC()
	i.Decisions = append(i.Decisions, d)
	c.Revision++
	others := slices.ContainsFunc(i.Decisions, func(x Decision) bool { return !strings.EqualFold(x.By, i.Owner) })
	if len(i.Decisions) >= i.Needs && (i.Needs < 2 || others) {
		i.State = Decided
	}
	return nil
}

// Waits says what an open item waits for, "" where it is decided.
func (i *Item) Waits() string {
	switch missing := i.Needs - len(i.Decisions); {
	case i.State == Decided:
		return ""
	case missing <= 0:
		return ErrOwner.Error()
	case missing == 1:
		return "one more decision"
	default:
		return fmt.Sprintf("%d more decisions", missing)
	}
}

// Expire escalates what is not decided at the deadline, and reports how many items that were.
func (c *Campaign) Expire(now time.Time) int {
	n := 0
	for i := range c.Items {
		if c.Items[i].State == Open && now.After(c.Deadline) {
			c.Items[i].State = Escalated
			n++
		}
	}
	if n > 0 {
		c.Revision++
	}
	return n
}
