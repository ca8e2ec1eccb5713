package broker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/access"
	"drawbridge/internal/audit"
	"drawbridge/internal/registry"
	"drawbridge/internal/remedy"
)

// Offboarding is a vendor's leaving, from the lock that stops it to the proof that nothing is left (36). It goes on from where it is after any crash: each step reads what is there, and writes what it has seen.
type Offboarding struct {
	ID       string           `json:"id"`
	Vendor   string           `json:"vendor"`
	Accounts []string         `json:"accounts"`
	By       string           `json:"by"`
	Reason   string           `json:"reason"`
	At       time.Time        `json:"at"` // of the lock
	Lock     string           `json:"lock"`
	State    OffboardingState `json:"state"`
	Version  int64            `json:"-"`
	// Entries are those of the registry that are the vendor's.
	Entries []string `json:"entries"`
	// Requests are the vendor's, as they were seen last.
	Requests []OffboardedRequest `json:"requests"`
	// Plan is what is to be taken back in AWS, and what a snapshot showed of it; nil before one did that was collected after the lock.
	Plan *remedy.Plan `json:"plan,omitempty"`
	// Snapshot is the last one that was looked at.
	Snapshot  string    `json:"snapshot,omitempty"`
	Collected time.Time `json:"collected,omitzero"`
	// Waits are what is missing, in words; nothing where all is gone.
	Waits  []string  `json:"waits"`
	Ended  time.Time `json:"ended,omitzero"`
	Report string    `json:"report,omitempty"`
}

// OffboardedRequest is a request of a vendor that leaves.
type OffboardedRequest struct {
	ID       string    `json:"id"`
	Entry    string    `json:"entry"`
	Subject  string    `json:"subject"`
	Target   string    `json:"target"`
	State    State     `json:"state"`
	Sessions []string  `json:"sessions"` // that may have lived when it was locked, and how each ended
	Over     bool      `json:"over"`
	Since    time.Time `json:"since,omitzero"`
}

// OffboardingState is how far it is.
type OffboardingState string

// States of offboardings.
const (
	Leaving OffboardingState = "open"
	Proven  OffboardingState = "proven"
)

// Offboardings keeps them. Each method is one transaction, with its records in the log.
type Offboardings interface {
	// BeginOffboarding sets the lock and begins; ErrExists where the vendor is leaving already.
	BeginOffboarding(ctx context.Context, o *Offboarding, l Lock) error
	// UpdateOffboarding lets do change one; no events: nothing is written.
	UpdateOffboarding(ctx context.Context, id string, at time.Time, do func(*Offboarding) ([]audit.Event, error)) (*Offboarding, error)
	Offboarding(ctx context.Context, id string) (*Offboarding, error)
	// Offboardings lists them, the newest first.
	Offboardings(ctx context.Context, most int) ([]Offboarding, error)
}

// Leave begins an offboarding: the lock, with which it begins, stops the vendor at once.
func Leave(id, lock string, v *registry.Vendor, by, reason string, at time.Time) (*Offboarding, Lock) {
	at = at.UTC().Truncate(time.Microsecond)
	o := &Offboarding{ID: id, Vendor: v.Name, Accounts: slices.Clone(v.Accounts), By: by, Reason: reason, At: at, Lock: lock, State: Leaving, Version: 1, Entries: []string{}, Requests: []OffboardedRequest{}, Waits: []string{"nothing was looked at yet"}}
	return o, Lock{ID: lock, Kind: LockVendor, Value: v.Name, Reason: reason, By: by, At: at}
}

// Seen is what an offboarding is held against.
type Seen struct {
	Registry *registry.Registry
	Locks    []Lock
	Requests []Grant // the vendor's, all that are not over and those that it knows
	// Snapshot with its graph; a nil graph where none was pushed that can be used.
	Snapshot *Pushed
	Graph    *access.Graph
}

// Look holds an offboarding against what there is, and gives the events that say what is new; none where nothing is.
func (o *Offboarding) Look(s *Seen, now time.Time) []audit.Event {
	if o.State != Leaving {
		return nil
	}
	before := o.progress()
	o.Waits = []string{}
	wait := func(format string, args ...any) { o.Waits = append(o.Waits, fmt.Sprintf(format, args...)) }
	if !slices.ContainsFunc(s.Locks, func(l Lock) bool { return l.Kind == LockVendor && l.Value == o.Vendor && l.Expires.IsZero() }) {
		wait("the vendor is not locked any more: lock it again")
	}
	o.Entries = []string{}
	for i := range s.Registry.Entries {
		if e := &s.Registry.Entries[i]; e.Vendor == o.Vendor {
			o.Entries = append(o.Entries, e.Name)
		}
	}
	if v := s.Registry.Vendor(o.Vendor); v != nil && !v.Ended(now) && len(o.Entries) > 0 {
		wait("the registry has %s of a vendor whose contract is in force: take them out, or end the contract", strings.Join(o.Entries, ", "))
	}
	for i := range s.Requests {
		o.request(&s.Requests[i], now)
	}
	for i := range o.Requests {
		if r := &o.Requests[i]; !r.Over {
			wait("request %s is %s", r.ID, r.State)
		}
	}
	o.look(s, wait, now)
	if len(o.Waits) == 0 {
		o.State, o.Ended = Proven, now.UTC().Truncate(time.Microsecond)
		o.Report = o.report()
		sum := sha256.Sum256([]byte(o.Report))
		return []audit.Event{OffboardingProven{ID: o.ID, Vendor: o.Vendor, SHA256: hex.EncodeToString(sum[:])}}
	}
	if o.progress() == before {
		return nil
	}
	gone, items := 0, 0
	if o.Plan != nil {
		gone, items = o.Plan.Count(remedy.Gone), len(o.Plan.Items)
	}
	return []audit.Event{OffboardingSeen{ID: o.ID, Snapshot: o.Snapshot, Gone: gone, Items: items, Waits: slices.Clone(o.Waits)}}
}

// progress is all that is told of how far it is, as one text.
func (o *Offboarding) progress() string {
	var b strings.Builder
	fmt.Fprintln(&b, o.Snapshot, o.Entries, o.Requests, o.Waits)
	if o.Plan != nil {
		for i := range o.Plan.Items {
			fmt.Fprintln(&b, o.Plan.Items[i].ID, o.Plan.Items[i].State, o.Plan.Items[i].Note)
		}
	}
	return b.String()
}

// request notes how far one request is.
func (o *Offboarding) request(g *Grant, now time.Time) {
	i := slices.IndexFunc(o.Requests, func(r OffboardedRequest) bool { return r.ID == g.ID })
	if i < 0 {
		if g.State.Terminal() && g.State != Revoked && g.State != Expired {
			return // it never led to anything
		}
		o.Requests = append(o.Requests, OffboardedRequest{ID: g.ID, Entry: g.Ask.Entry, Subject: g.Subject.ID, Target: g.Ask.Target})
		i = len(o.Requests) - 1
	}
	r := &o.Requests[i]
	r.State, r.Sessions = g.State, []string{}
	for j := range g.Sessions {
		s := &g.Sessions[j]
		switch {
		case s.State == Failed:
		case !s.live(now):
			r.Sessions = append(r.Sessions, fmt.Sprintf("%s ended at %s", s.ID, s.NotAfter.UTC().Format(time.RFC3339)))
		default:
			how := "lives"
			for _, e := range g.Effects {
				if e.Source == g.source(s.Generation) && !e.Written.IsZero() {
					how = fmt.Sprintf("denied on the role, read back at %s, effective by %s", e.Written.UTC().Format(time.RFC3339), e.EffectiveBy.UTC().Format(time.RFC3339))
				}
			}
			r.Sessions = append(r.Sessions, s.ID+" "+how)
		}
	}
	if over := g.State.Terminal(); over != r.Over {
		r.Over, r.Since = over, now.UTC().Truncate(time.Second)
	}
}

// look holds the plan against the snapshot. Only one that was collected after the lock shows that something is gone.
func (o *Offboarding) look(s *Seen, wait func(string, ...any), now time.Time) {
	if s.Graph != nil && s.Snapshot.Collected.After(o.At) && s.Snapshot.ID != o.Snapshot {
		v := remedy.Leaver{Name: o.Vendor, Accounts: o.Accounts, Registry: s.Registry}
		if o.Plan == nil {
			o.Plan = remedy.NewPlan(v, now)
		}
		o.Plan.Continue(s.Graph, v, s.Snapshot.Collected)
		o.Snapshot, o.Collected = s.Snapshot.ID, s.Snapshot.Collected
	}
	if o.Plan == nil {
		wait("no snapshot was pushed that was collected after %s", o.At.UTC().Format(time.RFC3339))
		return
	}
	for i := range o.Plan.Items {
		if it := &o.Plan.Items[i]; it.State != remedy.Gone {
			text := fmt.Sprintf("%s of %s is there", it.Kind, it.Target)
			if it.Note != "" {
				text += ": " + it.Note
			}
			wait("%s", text)
		}
	}
}

// report says what was there and how each is shown to be gone.
func (o *Offboarding) report() string {
	var b strings.Builder
	at := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	fmt.Fprintf(&b, "Drawbridge offboarding %s\nVendor: %s\nAccounts: %s\nBegun: %s by %s: %s\nLock: %s, in force\nSnapshot: %s, collected %s\n", o.ID, plain(o.Vendor), strings.Join(o.Accounts, ", "), at(o.At), plain(o.By), plain(o.Reason), o.Lock, o.Snapshot, at(o.Collected))
	for _, e := range o.Entries {
		fmt.Fprintf(&b, "Entry: %s, of a contract that has ended\n", plain(e))
	}
	for i := range o.Requests {
		r := &o.Requests[i]
		fmt.Fprintf(&b, "Request: %s of %s by entry %s to %s: %s, seen %s\n", r.ID, plain(r.Subject), plain(r.Entry), r.Target, r.State, at(r.Since))
		for _, s := range r.Sessions {
			fmt.Fprintf(&b, "Session: %s\n", s)
		}
	}
	for i := range o.Plan.Items {
		it := &o.Plan.Items[i]
		fmt.Fprintf(&b, "Gone: %s of %s in account %s (%s), not there in the snapshot of %s", it.Kind, it.Target, it.Account, plain(strings.Join(it.Who, ", ")), at(*it.GoneAt))
		if it.Note != "" {
			b.WriteString(": " + plain(it.Note))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Proven: %s\n", at(o.Ended))
	return b.String()
}

// plain keeps a text on its line.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// OffboardingBegun: a vendor leaves; it is locked.
type OffboardingBegun struct {
	ID     string `json:"id"`
	Vendor string `json:"vendor"`
	Lock   string `json:"lock"`
	Reason string `json:"reason"`
}

// OffboardingSeen: something is new in an offboarding.
type OffboardingSeen struct {
	ID       string   `json:"id"`
	Snapshot string   `json:"snapshot,omitempty"`
	Gone     int      `json:"gone"`
	Items    int      `json:"items"`
	Waits    []string `json:"waits"`
}

// OffboardingProven: nothing is left of a vendor. SHA256 is the report's.
type OffboardingProven struct {
	ID     string `json:"id"`
	Vendor string `json:"vendor"`
	SHA256 string `json:"sha256"`
}

func (OffboardingBegun) Kind() string  { return "offboarding.begun" }
func (OffboardingSeen) Kind() string   { return "offboarding.seen" }
func (OffboardingProven) Kind() string { return "offboarding.proven" }

// EndVendor revokes what a vendor has that leaves. It is called again and again, until there is nothing.
func (b *Broker) EndVendor(ctx context.Context, o *Offboarding) (all []Grant, err error) {
	var failures []error
	for after := ""; ; {
		list, next, err := b.Store.Grants(ctx, Filter{States: []State{Awaiting, Approved, Active, Suspended, Revoking, Stuck, Revoked, Expired}, Vendor: o.Vendor, After: after})
		if err != nil {
			return nil, err
		}
		for i := range list {
			g := &list[i]
			if g.State.Terminal() && g.FencedAt.Before(o.At) && g.NotAfter.Before(o.At) {
				continue // it was over before
			}
			if !g.State.Terminal() && !g.State.Fenced() && g.State != Awaiting {
				if revoked, err := b.Revoke(ctx, g.ID, o.By, "the vendor "+o.Vendor+" leaves: "+o.Reason); err != nil {
					failures = append(failures, fmt.Errorf("request %s: %w", g.ID, err))
				} else {
					g = revoked
				}
			}
			all = append(all, *g)
		}
		if after = next; next == "" {
			return all, errors.Join(failures...)
		}
	}
}
