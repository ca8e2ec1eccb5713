package broker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/audit"
)

// Store keeps grants, locks and the audit log. Each method is one transaction, which is on disk when it returns. One suite of tests holds every store to the same behaviour.
type Store interface {
	// File commits the first change of a request. ErrExists: the id is taken.
	File(ctx context.Context, c *Change, at time.Time) error
	// Update lets do decide about the grant as it is, and commits what it gives: the grant, and a record of each event. A change with a permit is refused with ErrClock where at is more than Skew before the latest time that was committed. An error of do is returned and nothing is written; a nil change writes nothing. do may be
	// called again where another change came first; it must have no effect of its own. It returns the grant as it then is.
	Update(ctx context.Context, id string, at time.Time, do func(g *Grant, locks []Lock) (*Change, error)) (*Grant, error)
	// Grant reads one; ErrNotFound where there is none.
	Grant(ctx context.Context, id string) (*Grant, error)
	// Grants lists those that a filter lets through, newest first, from after a cursor ("" for the first page).
	Grants(ctx context.Context, f Filter) (list []Grant, next string, err error)
	// Due are the ids of the grants for which the time has something to do, the oldest first.
	Due(ctx context.Context, at time.Time, most int) ([]string, error)

	// Lock adds a lock with its record; Unlock ends it. Locks are those in force.
	Lock(ctx context.Context, l Lock, at time.Time) error
	Unlock(ctx context.Context, id, by, why string, at time.Time) error
	Locks(ctx context.Context, at time.Time) ([]Lock, error)

	// Spend remembers a value that may be used once, until it is of no use any more; ErrSpent where it was used (51).
	Spend(ctx context.Context, issuer, value string, until time.Time) error

	// Head is the end of the audit log. Records gives those from seq on, in order.
	Head(ctx context.Context) (audit.Head, error)
	Records(ctx context.Context, from int64, most int) ([]audit.Record, error)
	// Record logs an event that changes nothing else (a read of the log, a refusal before there is a request).
	Record(ctx context.Context, at time.Time, actor, about string, e audit.Event) error
}

// Skew is how far clocks of daemons may differ.
const Skew = time.Minute

// ErrClock says that a daemon's clock is behind what was committed: what is over might be in force for it.
var ErrClock = errors.New("the clock is behind what was committed, so that nothing is issued")

// ClockSetBack: a time that was committed had not come yet; a daemon's clock was ahead.
type ClockSetBack struct {
	From time.Time `json:"from"`
}

func (ClockSetBack) Kind() string { return "clock.set-back" }

// Filter selects grants. Empty fields select all.
type Filter struct {
	States  []State
	Subject string
	Entry   string
	Target  string
	Vendor  string
	After   string
	Most    int // 0: 100
}

// Lock stops everything that matches it: no session is issued for it, and its grants are suspended.
type Lock struct {
	ID      string    `json:"id"`
	Kind    LockKind  `json:"kind"`
	Value   string    `json:"value"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires,omitzero"` // zero: until it is lifted
}

// LockKind says what a lock's value names.
type LockKind string

const (
	LockSubject LockKind = "subject" // a subject's id
	LockRole    LockKind = "role"    // a target role's ARN
	LockAccount LockKind = "account" // of the subject or of the target
	LockVendor  LockKind = "vendor"
	LockIssuer  LockKind = "issuer" // of identities
	LockKey     LockKind = "key"    // a signing key of an issuer
	LockAll     LockKind = "all"    // everything
)

// LockKinds are all of them.
var LockKinds = []LockKind{LockSubject, LockRole, LockAccount, LockVendor, LockIssuer, LockKey, LockAll}

// Mistake says why a lock cannot match anything that its kind is about, "" where it can: one that matches nothing would look like one that holds.
func (l *Lock) Mistake() string {
	switch {
	case !slices.Contains(LockKinds, l.Kind):
		return "kind: expected subject, role, account, vendor, issuer, key or all"
	case l.Kind != LockAll && l.Value == "":
		return "value: say what is to be locked"
	case l.Kind == LockAccount && !arn.IsAccountID(l.Value):
		return "value: expected the 12 digits of an account"
	case l.Kind == LockRole:
		if a, err := arn.Parse(l.Value); err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") || strings.ContainsAny(a.Resource, "*?") {
			return "value: expected the ARN of one role"
		}
	}
	return ""
}

// Locked: a lock was set.
type Locked struct {
	Lock Lock `json:"lock"`
}

// Unlocked: a lock was lifted.
type Unlocked struct {
	ID  string `json:"id"`
	Why string `json:"why"`
}

func (Locked) Kind() string   { return "lock.set" }
func (Unlocked) Kind() string { return "lock.lifted" }

// InForce reports whether the lock holds at a time.
func (l *Lock) InForce(at time.Time) bool { return l.Expires.IsZero() || at.Before(l.Expires) }

// Stops reports whether a lock stops a subject on a way to a target under its terms (34).
func (l *Lock) Stops(s *Subject, target, vendor string) bool {
	switch l.Kind {
	case LockSubject:
		return l.Value == s.ID
	case LockRole:
		return l.Value == target
	case LockAccount:
		return l.Value != "" && (l.Value == s.Account || l.Value == accountOf(target))
	case LockVendor:
		return l.Value != "" && l.Value == vendor
	case LockIssuer:
		return l.Value == s.Issuer
	case LockKey:
		return l.Value != "" && l.Value == s.Key
	}
	return true // all; and a kind that this version does not know stops everything
}

// Wake is when the time will next have something to do for the grant; zero where it never has.
func (g *Grant) Wake() time.Time {
	var next time.Time
	soonest := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	switch g.State {
	case Awaiting:
		soonest(g.Deadline)
	case Approved:
		soonest(g.NotBefore)
		soonest(g.NotAfter)
	case Active:
		soonest(g.NotAfter)
		if !g.Used {
			soonest(g.Deadline)
		}
	case Suspended:
		soonest(g.NotAfter)
	case Revoking, Stuck:
		for i := range g.Effects {
			soonest(g.Effects[i].EffectiveBy)
		}
		for i := range g.Sessions {
			if s := &g.Sessions[i]; s.State == Intended || s.State == Issued || s.State == Unclear {
				soonest(s.NotAfter)
			}
		}
	}
	for i := range g.Effects {
		e := &g.Effects[i]
		if g.pending(e) {
			soonest(e.Next)
		}
		soonest(g.spent(e))
	}
	return next
}
