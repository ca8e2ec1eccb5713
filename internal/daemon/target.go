package daemon

import (
	"context"
	"fmt"

	"drawbridge/iam/arn"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
	"drawbridge/internal/setup"
)

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
