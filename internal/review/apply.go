package review

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/registry"
)

// Step is what a decided item changes in the registry, and the commands for what only people can do.
type Step struct {
	Entry    string
	Outcome  Verdict // "" for a quarantined item
	Changes  []registry.Change
	Words    string // what is done, in words
	Commands []string
	// Problem says why nothing is done; the other fields are empty then.
	Problem error
}

// The reasons for which a decision is not carried out.
var (
	ErrGone  = errors.New("the registry has no such entry any more")
	ErrOther = errors.New("the entry is another than the one that was reviewed; review it again")
)

// Steps says what is to be done of a campaign: for each item that is decided and not carried out yet, and for each that is quarantined. Keep
// writes the day and the people of the review into the entry. Remove ends the entry with the day. Narrow sets the ticket where one is given;
// the trust is narrowed by the command that the step names. What the registry says now is compared with what was reviewed: a decision
// on other callers, targets or a longer session is none on this entry.
func (c *Campaign) Steps(r *registry.Registry, ticket string, now time.Time) []Step {
	var out []Step
	for k := range c.Items {
		i := &c.Items[k]
		if i.AppliedAt != nil || i.State != Decided && i.State != Quarantined {
			continue
		}
		s := Step{Entry: i.Entry, Outcome: i.Outcome()}
		at := slices.IndexFunc(r.Entries, func(e registry.Entry) bool { return e.Name == i.Entry })
		if at < 0 {
			s.Problem = ErrGone
			out = append(out, s)
			continue
		}
		e := &r.Entries[at]
		if what := i.differs(e); what != "" && s.Outcome == Keep {
			s.Problem = fmt.Errorf("%w: %s", ErrOther, what)
			out = append(out, s)
			continue
		}
		s.Commands = i.Next()
		switch s.Outcome {
		case Keep:
			s.keep(i)
		case Narrow:
			s.Words = "to be narrowed"
			if ticket != "" {
				s.Changes = []registry.Change{{Field: "ticket", Values: []string{ticket}}}
				s.Words += ", ticket " + ticket
			}
		case Remove:
			today := now.UTC().Format(time.DateOnly)
			if e.Expires.IsZero() || e.Expires.String() > today {
				s.Changes = []registry.Change{{Field: "expires", Values: []string{today}}}
			} else {
				today = e.Expires.String()
			}
			s.Words = "ends on " + today
		default:
			s.Words = "quarantined: stop the trust until somebody decides"
		}
		out = append(out, s)
	}
	return out
}

// keep writes the review into the entry: its day is that of the last decision.
func (s *Step) keep(i *Item) {
	var by []string
	var last time.Time
	for _, d := range i.Decisions {
		by = append(by, d.By)
		if d.At.After(last) {
			last = d.At
		}
	}
	s.Changes = []registry.Change{{Field: "review.last", Values: []string{day(last.UTC())}}, {Field: "review.by", Values: by}}
	s.Words = "reviewed on " + day(last.UTC()) + " by " + strings.Join(by, ", ")
}

// differs says what of an entry is wider than what was reviewed, "" where nothing is.
func (i *Item) differs(e *registry.Entry) string {
	for _, who := range e.From.Sources() {
		if !slices.Contains(i.Who, who) {
			return "it lets in " + who
		}
	}
	for _, target := range e.To.Targets() {
		if !slices.Contains(i.What, target) {
			return "it reaches " + target
		}
	}
	reviewed, err := registry.ParseSpan(i.Session)
	if err == nil && (e.Session.Max > reviewed || e.Session.Max == 0) {
		return "its sessions are longer than " + i.Session
	}
	if i.Expires != "" && (e.Expires.IsZero() || e.Expires.String() > i.Expires) {
		return "it ends later than " + i.Expires
	}
	return ""
}

// Apply notes that a step was carried out.
func (c *Campaign) Apply(s *Step, now time.Time) {
	i := c.Item(s.Entry)
	if i == nil || s.Problem != nil || s.Outcome == "" {
		return
	}
	at := now.UTC()
	i.AppliedAt, i.Applied = &at, s.Words
	c.Revision++
}
