package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/api"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/setup"
	"drawbridge/internal/usage"
)

// knowledge is what is known of AWS from the newest snapshot that was pushed. It is worked out beside the way of issues, which only look things up, and again when another snapshot or another registry is there.
type knowledge struct {
	daemon *Daemon

	mu       sync.Mutex
	pushed   broker.Pushed // what the rest is from; the zero value: nothing is known
	version  string        // of the registry that problems are of
	targets  map[string]knownRole
	problems map[string][]setup.Problem // by entry
	held     *wire.Reconciliation       // the registry against what exists and is used
}

// knownRole is what is known of a role.
type knownRole struct {
	longest            time.Duration
	uniqueID, boundary string
}

const (
	// DefaultFresh is how old a snapshot may be for what it says to count.
	DefaultFresh = 7 * 24 * time.Hour
	knowEvery    = time.Second
)

func (d *Daemon) fresh() time.Duration {
	if d.config.Snapshots.Fresh > 0 {
		return d.config.Snapshots.Fresh
	}
	return DefaultFresh
}

// know keeps what is known up to date until the context ends.
func (d *Daemon) know(ctx context.Context) {
	ticker := time.NewTicker(knowEvery)
	defer ticker.Stop()
	for {
		if err := d.knowledge.round(ctx); err != nil && ctx.Err() == nil {
			d.log.Error("what is known of AWS", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// round checks what was pushed, works out what is known where something is new, and goes on with vendors that leave.
func (k *knowledge) round(ctx context.Context) error {
	list, err := k.daemon.store.Pushes(ctx, 1000)
	if err != nil {
		return err
	}
	all, version, err := k.daemon.rules.current(ctx)
	if err != nil {
		return err
	}
	var newest *broker.Pushed
	for i := len(list) - 1; i >= 0; i-- {
		p := &list[i]
		if p.State == broker.Checking {
			if err := k.check(ctx, p); err != nil {
				return err
			}
		}
		// The newest is the one that was collected last, not the one that was pushed last.
		if p.State == broker.Accepted && (newest == nil || p.Collected.After(newest.Collected)) {
			newest = p
		}
	}
	leaving, err := k.leaving(ctx)
	if err != nil {
		return err
	}
	k.mu.Lock()
	stale := newest != nil && (newest.ID != k.pushed.ID || version != k.version)
	k.mu.Unlock()
	var graph *access.Graph
	if newest != nil && (stale || wants(leaving, newest)) {
		s, used, err := k.open(ctx, newest)
		if err != nil {
			return err
		}
		graph = access.Build(org.Build(s), access.Options{Now: newest.Collected, Engine: ref.Engine()})
		if stale {
			if err := k.learn(ctx, newest, version, all, graph, used); err != nil {
				return err
			}
		}
	}
	return k.leave(ctx, leaving, all, newest, graph)
}

// check reads a snapshot that has arrived whole, and says whether it counts.
func (k *knowledge) check(ctx context.Context, p *broker.Pushed) error {
	s, _, err := k.open(ctx, p)
	var unusable *unusableError
	switch {
	case errors.As(err, &unusable):
		p.State, p.Why = broker.Unusable, unusable.Error()
	case err != nil:
		return err
	case s.Collected.IsZero():
		p.State, p.Why = broker.Unusable, "it does not say when it was collected, so that nothing can be shown to be gone by it"
	case s.Collected.After(k.daemon.clock.Now().Add(time.Hour)):
		p.State, p.Why = broker.Unusable, "it says that it was collected in the future"
	default:
		p.State, p.Collected, p.Accounts, p.Roles, p.Gaps = broker.Accepted, s.Collected.UTC(), len(s.Accounts), len(s.Roles), len(s.Gaps)
	}
	p.Accepted = k.daemon.clock.Now().UTC().Truncate(time.Microsecond)
	if err := k.daemon.store.SettlePush(ctx, *p); err != nil {
		return err
	}
	k.daemon.log.Info("a pushed snapshot was read", "snapshot", p.ID, "state", p.State, "why", p.Why, "accounts", p.Accounts, "roles", p.Roles, "gaps", p.Gaps)
	return nil
}

// learn takes what a snapshot says of every role, and checks the targets of the registry.
func (k *knowledge) learn(ctx context.Context, p *broker.Pushed, version string, all *registry.Registry, g *access.Graph, used *usage.Record) error {
	targets := make(map[string]knownRole)
	problems := make(map[string][]setup.Problem)
	for i := range g.Org.Snapshot.Roles {
		r := &g.Org.Snapshot.Roles[i]
		known := knownRole{longest: r.MaxSession, uniqueID: r.UniqueID}
		if r.Boundary != nil {
			known.boundary = r.Boundary.ARN
		}
		targets[r.ARN] = known
	}
	for i := range all.Entries {
		e := &all.Entries[i]
		t, err := k.daemon.setupOf(ctx, e)
		switch {
		case errors.Is(err, setup.ErrTarget):
			continue // the broker does not lead there, or it is not said as whom
		case err != nil:
			return err
		}
		problems[e.Name] = t.Check(g)
	}
	held := reconciled(registry.Reconcile(g, all, registry.Options{Now: p.Collected, Engine: ref.Engine(), Usage: used}))
	held.Snapshot, held.Collected, held.Edition = p.ID, p.Collected, version
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pushed, k.version, k.targets, k.problems, k.held = *p, version, targets, problems, held
	return nil
}

// reconciled is what holding the registry against AWS has shown, in counts and items; what is as declared is counted only.
func reconciled(items []registry.Item) *wire.Reconciliation {
	out := &wire.Reconciliation{Counts: map[string]int{}, Items: []wire.ReconciledItem{}}
	for i := range items {
		item := &items[i]
		out.Counts[string(item.State)]++
		if item.State == registry.Registered {
			continue
		}
		one := wire.ReconciledItem{State: string(item.State), Target: item.Target, Source: item.Source, Reason: item.Reason}
		if item.Entry != nil {
			one.Entry = item.Entry.Name
		}
		out.Items = append(out.Items, one)
	}
	return out
}

// reconciliation is the registry against AWS, as the newest snapshot shows it; broker.ErrNotFound where there is none that counts.
func (d *Daemon) reconciliation(context.Context) (*wire.Reconciliation, error) {
	d.knowledge.mu.Lock()
	defer d.knowledge.mu.Unlock()
	if d.knowledge.held == nil || d.clock.Now().Sub(d.knowledge.pushed.Collected) > d.fresh() {
		return nil, fmt.Errorf("a snapshot that counts: %w", broker.ErrNotFound)
	}
	return d.knowledge.held, nil
}

// role is what is known of a role now; why says why nothing is.
func (k *knowledge) role(arn string, now time.Time) (knownRole, broker.Pushed, string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.pushed.ID == "":
		return knownRole{}, broker.Pushed{}, "no snapshot was pushed"
	case now.Sub(k.pushed.Collected) > k.daemon.fresh():
		return knownRole{}, k.pushed, fmt.Sprintf("the newest snapshot was collected on %s, which is too long ago", k.pushed.Collected.Format(time.RFC3339))
	}
	r, ok := k.targets[arn]
	if !ok {
		return knownRole{}, k.pushed, "the newest snapshot has no such role"
	}
	return r, k.pushed, ""
}

// facts is what the API needs of AWS as it is.
func (d *Daemon) facts() *api.Facts {
	return &api.Facts{Snapshots: d.store, Offboardings: d.store, NewID: newID, Target: d.target, Drill: d.drill, Drills: d.drills, ExternalID: d.externalID, Reconciliation: d.reconciliation, Leave: func(ctx context.Context, vendor, by, reason string) (*broker.Offboarding, error) {
		all, _, err := d.rules.current(ctx)
		if err != nil {
			return nil, err
		}
		v := all.Vendor(vendor)
		if v == nil {
			return nil, fmt.Errorf("vendor %s: %w", vendor, broker.ErrNotFound)
		}
		o, lock := broker.Leave(newID(), newID(), v, by, reason, d.clock.Now())
		if err := d.store.BeginOffboarding(ctx, o, lock); err != nil {
			return nil, err
		}
		return o, nil
	}}
}

// leaving are the vendors that leave.
func (k *knowledge) leaving(ctx context.Context) ([]broker.Offboarding, error) {
	list, err := k.daemon.store.Offboardings(ctx, 1000)
	if err != nil {
		return nil, err
	}
	out := list[:0]
	for _, o := range list {
		if o.State == broker.Leaving {
			out = append(out, o)
		}
	}
	return out, nil
}

// wants reports whether an offboarding has not looked at a snapshot yet that may show something.
func wants(leaving []broker.Offboarding, p *broker.Pushed) bool {
	for i := range leaving {
		if leaving[i].Snapshot != p.ID && p.Collected.After(leaving[i].At) {
			return true
		}
	}
	return false
}

// leave goes on with each vendor that leaves. What one of them fails at stops no other.
func (k *knowledge) leave(ctx context.Context, leaving []broker.Offboarding, all *registry.Registry, p *broker.Pushed, g *access.Graph) error {
	var failures []error
	for i := range leaving {
		o := &leaving[i]
		requests, err := k.daemon.broker.EndVendor(ctx, o)
		if err != nil {
			failures = append(failures, fmt.Errorf("offboarding %s: %w", o.ID, err))
			continue
		}
		now := k.daemon.now()
		locks, err := k.daemon.store.Locks(ctx, now)
		if err != nil {
			failures = append(failures, err)
			continue
		}
		seen := &broker.Seen{Registry: all, Locks: locks, Requests: requests, Snapshot: p, Graph: g}
		_, err = k.daemon.store.UpdateOffboarding(ctx, o.ID, now, func(o *broker.Offboarding) ([]audit.Event, error) {
			events := o.Look(seen, now)
			if o.State == broker.Proven && k.daemon.keeper != nil {
				signed, err := note.Sign(&note.Note{Text: o.Report}, k.daemon.keeper.signer)
				if err != nil {
					return nil, fmt.Errorf("signing the report: %w", err)
				}
				o.Report = string(signed)
			}
			return events, nil
		})
		if err != nil {
			failures = append(failures, fmt.Errorf("offboarding %s: %w", o.ID, err))
		}
	}
	return errors.Join(failures...)
}
