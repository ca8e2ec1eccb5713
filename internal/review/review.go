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

	"drawbridge/internal/registry"
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
	Open        State = "open"        // more decisions are needed
	Decided     State = "decided"     // enough people decided
	Escalated   State = "escalated"   // the deadline has passed without enough decisions
	Quarantined State = "quarantined" // so has the time that the entry gives after the deadline: the trust is to be stopped
)

// Version of the form of a campaign.
const Version = 1

// Campaign is a review of several entries. Its form is docs/schema/review.schema.json.
type Campaign struct {
	Version  int       `json:"version"`
	ID       string    `json:"id"`
	Opened   time.Time `json:"opened"`
	Deadline time.Time `json:"deadline"`
	Scope    string    `json:"scope"` // in words
	// Since is the campaign of the last review, "" where none was given.
	Since string `json:"since,omitempty"`
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
	// RoleUsed says when AWS saw each role used last, by whomever; a role of which AWS does not say is not there.
	RoleUsed map[string]string `json:"roleUsed"`
	// Evidence says how far the silence of LastUsed can be trusted.
	Evidence string    `json:"evidence"`
	Unused   []Unused  `json:"unused"`   // of each role that is reached
	Findings []Finding `json:"findings"` // the worst first
	// Paths are ways to critical things behind the trust; MorePaths are not named.
	Paths     []Way `json:"paths"`
	MorePaths int   `json:"morePaths"`
	// Changes are since the last review, ChangesSince says what they were compared with.
	Changes      []string `json:"changes"`
	ChangesSince string   `json:"changesSince"`
	Basis        Basis    `json:"basis"`
	// Needs is how many people must decide. Where it is two or more, the owner is not one of them alone.
	Needs     int        `json:"needs"`
	State     State      `json:"state"`
	Decisions []Decision `json:"decisions"`
	// Escalate is who is told when the deadline has passed; Quarantine how long after it the trust is stopped, "" for never.
	Escalate   []string `json:"escalate"`
	Quarantine string   `json:"quarantine,omitempty"`
	// Since when the item is escalated and quarantined.
	EscalatedAt   *time.Time `json:"escalatedAt,omitempty"`
	QuarantinedAt *time.Time `json:"quarantinedAt,omitempty"`
	// AppliedAt is when the outcome was written to the registry; Applied says what that was.
	AppliedAt *time.Time `json:"appliedAt,omitempty"`
	Applied   string     `json:"applied,omitempty"`
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

// Start opens a campaign.
func Start(id string, scope Scope, deadline time.Time, m Material) *Campaign {
	c := &Campaign{Version: Version, ID: id, Opened: m.Now.UTC(), Deadline: deadline.UTC(), Scope: scope.String(), Revision: 1, Items: []Item{}}
	if m.Since != nil {
		c.Since = m.Since.ID
	}
	maker := m.maker()
	for i := range m.Registry.Entries {
		if e := &m.Registry.Entries[i]; scope.takes(e, m.Now) {
			c.Items = append(c.Items, maker.item(e))
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
	i := c.Item(entry)
	switch {
	case i == nil:
		return fmt.Errorf("%s: %w", entry, ErrNoItem)
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

// Expire escalates what is not decided at the deadline, and quarantines it where its entry says so and that time has passed too. It reports
// how many items changed their state.
func (c *Campaign) Expire(now time.Time) int {
	n := 0
	for k := range c.Items {
		i := &c.Items[k]
		if i.State == Open && now.After(c.Deadline) {
			at := c.Deadline
			i.State, i.EscalatedAt = Escalated, &at
			n++
		}
		if at := i.QuarantineDay(c); i.State == Escalated && !at.IsZero() && now.After(at) {
			i.State, i.QuarantinedAt = Quarantined, &at
			n++
		}
	}
	if n > 0 {
		c.Revision++
	}
	return n
}

// QuarantineDay is when an item that nobody decides is quarantined; zero: never.
func (i *Item) QuarantineDay(c *Campaign) time.Time {
	after, err := registry.ParseSpan(i.Quarantine)
	if err != nil || after == 0 {
		return time.Time{}
	}
	return c.Deadline.Add(after)
}

// Open lists the items that wait for more decisions.
func (c *Campaign) Open() []*Item {
	var out []*Item
	for i := range c.Items {
		if c.Items[i].State != Decided {
			out = append(out, &c.Items[i])
		}
	}
	return out
}

// Item finds the item of an entry; nil where there is none.
func (c *Campaign) Item(entry string) *Item {
	for i := range c.Items {
		if c.Items[i].Entry == entry {
			return &c.Items[i]
		}
	}
	return nil
}
