package broker

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/audit"
)

// Grant is a request with what became of it. Version counts its changes: a store writes a change only over the version that it was computed from.
type Grant struct {
	Request `json:"request"`
	Terms   `json:"terms"`
	State   State `json:"state"`
	Version int64 `json:"-"`
	// Generation counts approvals: a session of an earlier one ends with the suspension that made the next one necessary.
	Generation int `json:"generation,omitempty"`
	// Hash is what people approve (19).
	Hash      string     `json:"hash"`
	Decisions []Decision `json:"decisions,omitempty"`
	// Deadline is until when people may decide, or until when the approval must be used for the first time; zero where nothing waits.
	Deadline  time.Time `json:"deadline,omitzero"`
	NotBefore time.Time `json:"notBefore,omitzero"`
	NotAfter  time.Time `json:"notAfter,omitzero"`
	// Sessions are those that may be live, and for an hour those that were. Used: there was one.
	Sessions []Session `json:"sessions,omitempty"`
	Used     bool      `json:"used,omitempty"`
	Effects  []Effect  `json:"effects,omitempty"`
	// FencedAt is when it was taken back.
	FencedAt time.Time `json:"fencedAt,omitzero"`
}

// Decision is what one person said about one hash.
type Decision struct {
	By      string    `json:"by"`
	Approve bool      `json:"approve"`
	Hash    string    `json:"hash"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
	// As is the approver of the terms that makes the person eligible: the person, or a group.
	As string `json:"as"`
	// UniqueID is the identity provider's own id of the person, who may have had another name before.
	UniqueID string `json:"uniqueId,omitempty"`
}

// Change is what one command does: all of it is written in one transaction, or none.
type Change struct {
	Grant  Grant
	Events []Logged
	// Effects are new, or changed; they are in Grant too.
	Effects []Effect
	// Permit is what an issuer needs; nil where nothing may be issued.
	Permit *Permit

	moves []Transition // the lines of the table that were gone, for tests
}

// Logged is an event with who did it.
type Logged struct {
	Actor string
	Event audit.Event
}

// Clock is the actor of what the clock does.
const Clock = "broker"

// Errors that a caller can act on.
var (
	ErrNotFound   = errors.New("there is no such request")
	ErrExists     = errors.New("there is one already")
	ErrSpent      = errors.New("it was used already")
	ErrLocked     = errors.New("it is locked")
	ErrDecided    = errors.New("it is decided already")
	ErrNotYours   = errors.New("you may not do this")
	ErrStale      = errors.New("it is not what you saw: it was changed since")
	ErrNotInForce = errors.New("it is not in force")
	ErrTooMany    = errors.New("it has as many live sessions as it may have")
)

// UseWithin is how long an approval waits for its first use after its start, where its life is longer.
const UseWithin = 24 * time.Hour

// begin copies what a command changes, so that the grant that was given stays as it is.
func (g *Grant) begin() *Change {
	c := &Change{Grant: *g}
	c.Grant.Decisions = slices.Clone(g.Decisions)
	c.Grant.Sessions = slices.Clone(g.Sessions)
	c.Grant.Effects = slices.Clone(g.Effects)
	c.Grant.Version++
	return c
}

func (c *Change) log(actor string, e audit.Event) { c.Events = append(c.Events, Logged{actor, e}) }

// move takes the grant along a line of the table. A move that the table does not have is a mistake of this package.
func (c *Change) move(on Trigger) {
	to, ok := c.Grant.State.to(on)
	if !ok {
		panic(fmt.Sprintf("broker: no transition from %s on %q", c.Grant.State, on))
	}
	c.moves = append(c.moves, Transition{c.Grant.State, on, to})
	c.Grant.State = to
}

// File answers a new request: refused, waiting for people, or approved by the entry.
func File(r Request, t Terms, refusal *Refusal, now time.Time) *Change {
	g := &Grant{Request: r, Terms: t, Hash: r.Hash()}
	c := g.begin()
	switch {
	case refusal != nil:
		c.move(Refused)
		c.log(r.Subject.ID, RequestRefused{Request: r, Why: refusal.Why, Detail: refusal.Detail})
	case t.Approvals > 0:
		c.move(NeedsPeople)
		c.Grant.Deadline = now.Add(t.Within)
		c.log(r.Subject.ID, RequestFiled{Request: r, Hash: c.Grant.Hash, Terms: t, Until: c.Grant.Deadline})
	default:
		c.move(AutoApproved)
		c.log(r.Subject.ID, RequestFiled{Request: r, Hash: c.Grant.Hash, Terms: t})
		c.log(Clock, RequestApproved{Hash: c.Grant.Hash, Entry: t.Entry, EntryVersion: t.Version})
		c.open(now)
	}
	c.tick(now)
	return c
}

// open puts an approved grant in force from its start on.
func (c *Change) open(now time.Time) {
	g := &c.Grant
	g.Generation++
	start := g.Ask.Start
	if start.Before(now) {
		start = now
	}
	// A grant that was suspended keeps its end: a fresh approval does not make it longer.
	if g.NotAfter.IsZero() {
		g.NotAfter = start.Add(g.Life)
	}
	g.NotBefore = start
	g.Deadline = start.Add(UseWithin)
}

// Tick does what the time alone does. It is the first step of every command, so that nothing is decided about what has passed; a sweep calls it for grants that nobody asks about. It returns nil where nothing changes.
func Tick(g *Grant, now time.Time) *Change {
	c := g.begin()
	if !c.tick(now) {
		return nil
	}
	return c
}

func (c *Change) tick(now time.Time) (changed bool) {
	for {
		g := &c.Grant
		on, ok := g.due(now)
		if !ok {
			return changed
		}
		changed = true
		c.move(on)
		c.log(Clock, GrantMoved{Why: on.String(), State: g.State.String()})
		if g.State.Terminal() {
			g.Deadline = time.Time{}
		}
	}
}

// due is what the time demands of the grant now.
func (g *Grant) due(now time.Time) (Trigger, bool) {
	ended := !g.NotAfter.IsZero() && !now.Before(g.NotAfter)
	missed := !g.Deadline.IsZero() && !now.Before(g.Deadline)
	switch g.State {
	case Awaiting:
		return DecisionMissed, missed
	case Approved:
		switch {
		case ended:
			return Ended, true
		case !now.Before(g.NotBefore):
			return Started, true
		}
	case Active:
		switch {
		case ended:
			return Ended, true
		case missed && !g.Used:
			return UseMissed, true
		}
	case Suspended:
		return Ended, ended
	case Revoking, Stuck:
		return Confirmed, g.cut(now)
	}
	return 0, false
}

// Reviewer is a person who decides, as the identity provider says now.
type Reviewer struct {
	ID     string
	Groups []string // without the word group:
	// UniqueID is the provider's own id of the person, which stays when a name or an address changes; "" where it is not known.
	UniqueID string
}

// Reviewer is the caller as one who decides.
func (c *Caller) Reviewer() Reviewer {
	return Reviewer{ID: c.Subject.ID, Groups: c.Groups, UniqueID: c.Subject.UniqueID}
}

// as is the approver of the terms that the reviewer is; "" where none.
func (r *Reviewer) as(approvers []string) string {
	for _, a := range approvers {
		if group, ok := strings.CutPrefix(a, "group:"); ok && slices.Contains(r.Groups, group) || !ok && SamePerson(a, r.ID) {
			return a
		}
	}
	return ""
}

// SamePerson reports whether two names are of one person: addresses differ in no more than their case.
func SamePerson(a, b string) bool { return a != "" && strings.EqualFold(a, b) }

// said reports whether a decision is the reviewer's, under whatever name they made it (17).
func (d *Decision) said(r *Reviewer) bool {
	return SamePerson(d.By, r.ID) || d.UniqueID != "" && d.UniqueID == r.UniqueID
}

// eligible is why a reviewer may not decide; "" where they may (15, 16).
func (g *Grant) eligible(r *Reviewer) (as, why string) {
	switch {
	case r.ID == "":
		return "", "it is not known who decides"
	case SamePerson(r.ID, g.Subject.ID), SamePerson(r.ID, g.Subject.Name), r.UniqueID != "" && r.UniqueID == g.Subject.UniqueID:
		return "", "nobody decides about their own request"
	case slices.ContainsFunc(g.Subject.Sponsors, func(s string) bool { return SamePerson(s, r.ID) }):
		return "", "whoever owns the caller, or shares its credentials, does not decide for it"
	}
	if as = r.as(g.Approvers); as == "" {
		return "", "none of the approvers of this entry"
	}
	return as, ""
}

// WhyNot is why a reviewer may not decide about a request now; "" where they may.
func (g *Grant) WhyNot(r *Reviewer) string {
	if _, why := g.eligible(r); why != "" {
		return why
	}
	if slices.ContainsFunc(g.Decisions, func(d Decision) bool { return d.said(r) && d.Hash == g.Hash }) {
		return "you have decided already"
	}
	return ""
}

// Decide takes one person's decision about what they saw, by its hash. The people who have decided before are given as they are now, by id: who is no longer eligible counts no more (15).
func Decide(g *Grant, by Reviewer, approve bool, hash, reason string, others map[string]Reviewer, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	switch {
	case n.State != Awaiting && n.State != Suspended:
		return nil, fmt.Errorf("%w: %s", ErrDecided, n.State)
	case hash != n.Hash:
		return nil, ErrStale
	}
	as, why := n.eligible(&by)
	if why != "" {
		return nil, fmt.Errorf("%w: %s", ErrNotYours, why)
	}
	if slices.ContainsFunc(n.Decisions, func(d Decision) bool { return d.said(&by) && d.Hash == hash }) {
		return nil, fmt.Errorf("%w: by you", ErrDecided)
	}
	d := Decision{By: by.ID, Approve: approve, Hash: hash, At: now, Reason: reason, As: as, UniqueID: by.UniqueID}
	n.Decisions = append(n.Decisions, d)
	c.log(by.ID, RequestDecided{Decision: d})
	yes, no := 0, 0
	for _, d := range n.Decisions {
		person := others[d.By]
		if d.By == by.ID {
			person = by
		} else {
			person.UniqueID = d.UniqueID
		}
		if _, why := n.eligible(&person); why != "" || d.Hash != n.Hash {
			continue
		}
		if d.Approve {
			yes++
		} else {
			no++
		}
	}
	suspended := n.State == Suspended
	switch {
	case no >= n.Denials:
		c.move(DenialReached)
		c.log(Clock, GrantMoved{Why: DenialReached.String(), State: n.State.String()})
		if suspended {
			c.fence(now)
		}
		n.Deadline = time.Time{}
	case yes >= n.Approvals:
		c.move(QuorumReached)
		c.log(Clock, RequestApproved{Hash: n.Hash, Entry: n.Entry(), EntryVersion: n.Terms.Version})
		c.open(now)
	}
	c.tick(now)
	return c, nil
}

// Entry is the name of the grant's entry.
func (g *Grant) Entry() string { return g.Terms.Entry }

// Amend replaces what is asked for, before anybody's decision counts: earlier ones are void (19).
func Amend(g *Grant, by string, ask Ask, t Terms, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	switch {
	case by != n.Subject.ID:
		return nil, ErrNotYours
	case n.State != Awaiting:
		return nil, fmt.Errorf("%w: %s", ErrDecided, n.State)
	}
	n.Ask, n.Terms = ask, t
	n.Hash = n.Request.Hash()
	n.Deadline = now.Add(t.Within)
	c.move(Changed)
	c.log(by, RequestChanged{Ask: ask, Hash: n.Hash, Terms: t})
	return c, nil
}

// Withdraw is the requester's own no.
func Withdraw(g *Grant, by string, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	if by != n.Subject.ID {
		return nil, ErrNotYours
	}
	if _, ok := n.State.to(TakenBack); !ok {
		return nil, fmt.Errorf("%w: %s", ErrDecided, n.State)
	}
	c.move(TakenBack)
	n.Deadline = time.Time{}
	c.log(by, GrantMoved{Why: TakenBack.String(), State: n.State.String()})
	return c, nil
}

// Suspend stops a grant on a signal or lock. Its sessions are cut as in a revocation, and a fresh approval, of everybody, is needed for new ones (35: it can only narrow).
func Suspend(g *Grant, by, why string, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	if _, ok := n.State.to(Risk); !ok {
		return nil, fmt.Errorf("%w: %s", ErrNotInForce, n.State)
	}
	c.move(Risk)
	n.Decisions = nil
	n.Approvals = max(n.Approvals, 1)
	n.Deadline = time.Time{}
	c.log(by, GrantSuspended{Why: why})
	c.cutSessions(now)
	return c, nil
}
