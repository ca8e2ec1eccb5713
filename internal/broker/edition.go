package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"drawbridge/internal/registry"
)

// Edition is one state of the registry as a whole: who proposed it, what it follows, and whether it is in force. Editions are kept.
type Edition struct {
	// ID is the hash of what it says and of what it follows.
	ID   string         `json:"id"`
	Base string         `json:"base"` // the edition that it was made from; "" for the first
	Text []RegistryFile `json:"text"`
	By   string         `json:"by"`
	ByID string         `json:"byId,omitempty"` // the identity provider's own id of who proposed it
	At   time.Time      `json:"at"`
	Why  string         `json:"why"`
	// Differences are what it changes; where one of them widens, a second person must agree (23).
	Differences []registry.Difference `json:"differences"`
	State       EditionState          `json:"state"`
	DecidedBy   string                `json:"decidedBy,omitempty"`
	DecidedAt   time.Time             `json:"decidedAt,omitzero"`
	Reason      string                `json:"reason,omitempty"`
}

// RegistryFile is a file of the registry.
type RegistryFile struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// EditionState is what became of an edition.
type EditionState string

// States of editions.
const (
	Proposed EditionState = "proposed"
	InForce  EditionState = "in force"
	Replaced EditionState = "replaced"
	Refuted  EditionState = "rejected"
)

// Editions keeps them. Each method is one transaction, with its record in the log.
type Editions interface {
	// Propose adds an edition. It is in force at once where nothing widens, or where one person may decide alone; ErrStale where another one is in force than it was made from, ErrExists where it is proposed already.
	Propose(ctx context.Context, e *Edition, alone bool) error
	// DecideEdition puts a proposed edition in force, or rejects it.
	DecideEdition(ctx context.Context, id string, d EditionDecision) (*Edition, error)
	// Edition is one; "" is that in force. ErrNotFound where there is none.
	Edition(ctx context.Context, id string) (*Edition, error)
	// EditionInForce is the id of that in force, "" where there is none.
	EditionInForce(ctx context.Context) (string, error)
	// ListEditions lists them, the newest first, without their text.
	ListEditions(ctx context.Context, most int) ([]Edition, error)
}

// EditionDecision is a second person's.
type EditionDecision struct {
	By     string    `json:"by"`
	ByID   string    `json:"byId,omitempty"`
	Agree  bool      `json:"agree"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// NewEdition is an edition as it is proposed.
func NewEdition(base string, text []RegistryFile, differences []registry.Difference, by, why string, at time.Time) *Edition {
	h := sha256.New()
	fmt.Fprintf(h, "drawbridge registry 1\n%s\n", base)
	for _, f := range text {
		fmt.Fprintf(h, "%d %s\n%d\n%s\n", len(f.Name), f.Name, len(f.Text), f.Text)
	}
	return &Edition{ID: hex.EncodeToString(h.Sum(nil))[:24], Base: base, Text: text, By: by, At: at.UTC().Truncate(time.Microsecond), Why: why, Differences: differences, State: Proposed}
}

// Widens reports whether an edition lets anything happen that its base did not.
func (e *Edition) Widens() bool {
	return slices.ContainsFunc(e.Differences, func(d registry.Difference) bool { return len(d.Widens) > 0 })
}

// Admit says what a proposed edition is to be, with the edition that is in force.
func (e *Edition) Admit(inForce string, alone bool) error {
	if e.Base != inForce {
		return fmt.Errorf("%w: the registry is another one by now", ErrStale)
	}
	if !e.Widens() || alone {
		e.State, e.DecidedAt = InForce, e.At
	}
	return nil
}

// Decide is a second person's decision about a proposed edition.
func (e *Edition) Decide(d EditionDecision, inForce string) error {
	switch {
	case e.State != Proposed:
		return fmt.Errorf("%w: it is %s", ErrDecided, e.State)
	case d.Agree && (SamePerson(d.By, e.By) || d.ByID != "" && d.ByID == e.ByID):
		return fmt.Errorf("%w: whoever proposed a change that widens does not agree to it", ErrNotYours)
	case d.Agree && e.Base != inForce:
		return fmt.Errorf("%w: the registry is another one by now", ErrStale)
	}
	e.State, e.DecidedBy, e.DecidedAt, e.Reason = Refuted, d.By, d.At.UTC().Truncate(time.Microsecond), d.Reason
	if d.Agree {
		e.State = InForce
	}
	return nil
}

// EditionProposed: somebody changed the registry, or wants to.
type EditionProposed struct {
	ID          string                `json:"id"`
	Base        string                `json:"base"`
	Why         string                `json:"why"`
	Differences []registry.Difference `json:"differences"`
	State       EditionState          `json:"state"`
}

// EditionDecided: a second person agreed, or not.
type EditionDecided struct {
	ID string `json:"id"`
	EditionDecision
}

func (EditionProposed) Kind() string { return "registry.proposed" }
func (EditionDecided) Kind() string  { return "registry.decided" }

// ErrRegistryFiles says that the registry is not kept in the database.
var ErrRegistryFiles = errors.New("the registry of this broker is a folder of files, and is changed there")

// Holds is why a grant that was approved under an earlier registry is not covered by the entry any more; "" where it is. A grant keeps the terms that were approved; an entry that has become narrower, or asks other people, makes
// a fresh approval necessary, one that is gone or over ends it.
func Holds(g *Grant, e *registry.Entry, v *registry.Vendor, now time.Time) (why string, over bool) {
	switch {
	case e == nil:
		return "its entry was taken out of the registry", true
	case e.Expires.IsZero() || e.Expires.Over(now):
		return "its entry is over", true
	case e.Vendor != "" && (v == nil || v.Ended(now)):
		return "the vendor's contract is over", true
	case !Admits(e, &g.Subject):
		return "its entry does not let this caller in any more", true
	case e.To.Role != g.Ask.Target:
		return "its entry leads elsewhere now", true
	case e.BreakGlass:
		return "its entry is for emergencies now", false
	}
	scope := Terms{}
	if refusal := scope.scope(e, &Ask{Actions: g.Actions, Resources: g.Resources}); refusal != nil {
		return "its entry allows less now: " + refusal.Why, false
	}
	var people Terms
	people.people(e)
	switch {
	case e.Session.Max > 0 && e.Session.Max < g.Terms.Session:
		return "its entry's sessions are shorter now", false
	case people.Approvals > g.Approvals:
		return "its entry asks more people now", false
	case !maps.Equal(g.Tags, e.Session.Tags):
		return "its entry's sessions carry other tags now", false
	case g.Terms.Vendor != e.Vendor:
		return "its entry belongs to another vendor now", false
	case g.NoChaining != (e.Session.Chaining != "allow") && !g.NoChaining:
		return "its entry forbids chains now", false
	}
	return "", false
}

// Recheck holds every grant in force against the registry as it is now: what is over is revoked, what is narrower is suspended until people approve again. It is called when the registry changes, and by the time; doing it again
// changes nothing.
func (b *Broker) Recheck(ctx context.Context) (stopped []string, err error) {
	var failures []error
	for after := ""; ; {
		list, next, err := b.Store.Grants(ctx, Filter{States: []State{Awaiting, Approved, Active, Suspended}, After: after})
		if err != nil {
			return stopped, errors.Join(append(failures, err)...)
		}
		for i := range list {
			g := &list[i]
			e, v, _, err := b.Rules.Entry(ctx, g.Ask.Entry)
			if err != nil {
				return stopped, errors.Join(append(failures, fmt.Errorf("reading the registry: %w", err))...)
			}
			why, over := Holds(g, e, v, b.Now())
			switch {
			case why == "" || !over && g.State == Suspended:
				continue
			case over && g.State == Awaiting:
				continue // nobody can approve it into force: see Decide
			case over:
				_, err = b.Revoke(ctx, g.ID, Clock, why)
			case g.State == Awaiting:
				continue
			default:
				_, err = b.Suspend(ctx, g.ID, Clock, why)
			}
			switch {
			case err == nil:
				stopped = append(stopped, g.ID)
			case !errors.Is(err, ErrNotInForce):
				failures = append(failures, fmt.Errorf("request %s: %w", g.ID, err))
			}
		}
		if after = next; next == "" {
			return stopped, errors.Join(failures...)
		}
	}
}
