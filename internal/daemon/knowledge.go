package daemon

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"drawbridge/iam/arn"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/api"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/ingest"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/setup"
	"drawbridge/internal/snapshot"
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

// Limits of what a pushed archive may hold.
const (
	maxExtracted = 64 << 30 // bytes
	maxFiles     = 1 << 20
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

// unusableError says what is wrong with a pushed archive; any other error says nothing about it.
type unusableError struct{ why error }

func (u *unusableError) Error() string { return u.why.Error() }
func (u *unusableError) Unwrap() error { return u.why }

// useFile is where recorded use lies in a pushed archive, beside the snapshot.
const useFile = "recorded-use.json"

// open unpacks a snapshot into a folder of its own, and reads it, with the use that it knows of.
func (k *knowledge) open(ctx context.Context, p *broker.Pushed) (*snapshot.Snapshot, *usage.Record, error) {
	dir, err := os.MkdirTemp("", "drawbridge-snapshot-")
	if err != nil {
		return nil, nil, fmt.Errorf("unpacking snapshot %s: %w", p.ID, err)
	}
	defer os.RemoveAll(dir)
	parts := &partReader{ctx: ctx, store: k.daemon.store, push: p, sum: sha256.New()}
	if err := unpack(parts, dir); err != nil {
		if parts.err != nil {
			return nil, nil, parts.err
		}
		return nil, nil, &unusableError{err}
	}
	if _, err := io.Copy(io.Discard, parts); err != nil { // what stands behind the archive belongs to the hash too
		return nil, nil, err
	}
	if got := hex.EncodeToString(parts.sum.Sum(nil)); got != p.SHA256 {
		return nil, nil, &unusableError{fmt.Errorf("its hash is %s, and was said to be %s", got, p.SHA256)}
	}
	var told *usage.Record
	switch text, err := os.ReadFile(filepath.Join(dir, useFile)); {
	case err == nil:
		if told, err = usage.Unmarshal(text); err != nil {
			return nil, nil, &unusableError{fmt.Errorf("%s: %w", useFile, err)}
		}
		if err := os.Remove(filepath.Join(dir, useFile)); err != nil {
			return nil, nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	s, err := ingest.Open(dir)
	if err != nil {
		return nil, nil, &unusableError{errors.New(strings.ReplaceAll(err.Error(), dir, "the archive"))}
	}
	used, err := usage.Merge(usage.Of(s.Usage), told)
	if err != nil {
		return nil, nil, &unusableError{err}
	}
	return s, used, nil
}

// partReader reads the parts of a snapshot one after the other.
type partReader struct {
	ctx   context.Context
	store broker.Snapshots
	push  *broker.Pushed
	n     int
	rest  []byte
	sum   hash.Hash
	err   error // of the store
}

func (r *partReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.n == r.push.Parts {
			return 0, io.EOF
		}
		if r.rest, r.err = r.store.Part(r.ctx, r.push.ID, r.n); r.err != nil {
			return 0, r.err
		}
		r.n++
		r.sum.Write(r.rest)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// unpack writes the files of an archive below a folder, and nothing outside of it.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("it is no gzip: %w", err)
	}
	t := tar.NewReader(z)
	var total int64
	for files := 0; ; files++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it is no tar archive: %w", err)
		case files == maxFiles:
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			if name != "." {
				if err := root.MkdirAll(name, 0o700); err != nil {
					return fmt.Errorf("%q: %w", h.Name, err)
				}
			}
		case tar.TypeReg:
			if total += h.Size; total > maxExtracted {
				return fmt.Errorf("it holds more than %d bytes", int64(maxExtracted))
			}
			if err := write(root, name, io.LimitReader(t, h.Size)); err != nil {
				return fmt.Errorf("%q: %w", h.Name, err)
			}
		default:
			return fmt.Errorf("%q is neither a file nor a folder", h.Name)
		}
	}
}

func write(root *os.Root, name string, from io.Reader) (err error) {
	if parent := path.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, from)
	return err
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

// setupOf is what an entry's account must have.
func (d *Daemon) setupOf(ctx context.Context, e *registry.Entry) (*setup.Target, error) {
	if d.rules.federates(e.To.Role) {
		return setup.New(e, d.config.URL, d.config.audience())
	}
	target, err := arn.Parse(e.To.Role)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", setup.ErrTarget, err)
	case d.config.AWS.Assume.Role == "": // before an ExternalId is made that nobody asked for
		return nil, fmt.Errorf("%w: it is not said as whom the broker takes %s", setup.ErrTarget, e.To.Role)
	}
	x, revoker, err := d.externalIDs(ctx, e, target)
	if err != nil {
		return nil, err
	}
	return setup.NewAssumed(e, setup.Assume{Role: d.config.AWS.Assume.Role, ExternalIDs: x.Values(), RevokerIDs: revoker.Values()})
}

// externalIDs are what the broker says to an entry's role, and to the revoker beside it.
func (d *Daemon) externalIDs(ctx context.Context, e *registry.Entry, target arn.ARN) (role, revoker *broker.ExternalID, err error) {
	if role, err = d.store.ExternalID(ctx, e.Vendor, e.To.Role, newExternalID(), d.clock.Now()); err == nil {
		revoker, err = d.store.ExternalID(ctx, "", setup.Revoker(target), newExternalID(), d.clock.Now())
	}
	return role, revoker, err
}

// externalID shows what the broker says to an entry's role, and changes it where action says how.
func (d *Daemon) externalID(ctx context.Context, name, action, by string) (*wire.ExternalID, error) {
	e, _, _, err := d.rules.Entry(ctx, name)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, broker.ErrNotFound
	}
	target, err := arn.Parse(e.To.Role)
	if err != nil || d.rules.federates(e.To.Role) {
		return nil, fmt.Errorf("%w: the role of %s is not taken by AssumeRole (aws.assume of the broker's configuration)", broker.ErrExternalID, name)
	}
	x, revoker, err := d.externalIDs(ctx, e, target)
	if err != nil {
		return nil, err
	}
	now := d.clock.Now()
	switch action {
	case "rotate":
		x, err = d.store.ChangeExternalID(ctx, e.Vendor, e.To.Role, by, now, func(x *broker.ExternalID) error { return x.Rotate(newExternalID(), now) })
	case "promote":
		x, err = d.store.ChangeExternalID(ctx, e.Vendor, e.To.Role, by, now, func(x *broker.ExternalID) error { return x.Promote(now) })
	}
	if err != nil {
		return nil, err
	}
	return &wire.ExternalID{Entry: e.Name, Vendor: x.Vendor, Role: x.Role, BrokerRole: d.config.AWS.Assume.Role, Current: x.Current, Next: x.Next, Made: x.Made, Revoker: revoker.Values()}, nil
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

// target is what is known of an entry's target.
func (d *Daemon) target(ctx context.Context, name string) (*wire.Target, error) {
	e, _, _, err := d.rules.Entry(ctx, name)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, broker.ErrNotFound
	}
	out := &wire.Target{Entry: e.Name, Role: e.To.Role}
	r, p, why := d.knowledge.role(e.To.Role, d.clock.Now())
	out.Why = why
	if p.ID == "" {
		return out, nil
	}
	collected := p.Collected
	out.Snapshot, out.Collected = p.ID, &collected
	if d.clock.Now().Sub(p.Collected) > d.fresh() {
		return out, nil
	}
	out.Known, out.Why = true, ""
	if why == "" {
		out.Exists, out.UniqueID, out.Boundary = true, r.uniqueID, r.boundary
		if r.longest > 0 {
			out.Longest = r.longest.String()
		}
	}
	d.knowledge.mu.Lock()
	defer d.knowledge.mu.Unlock()
	for _, q := range d.knowledge.problems[name] {
		out.Problems = append(out.Problems, wire.TargetProblem{What: q.What, Bypass: q.Bypass})
	}
	return out, nil
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
