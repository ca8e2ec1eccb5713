package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"drawbridge/iam/cond"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// model is what the random test knows of one request without asking the broker: what it did to it, and what it was given.
type model struct {
	id      string
	yes     map[string]bool // who approved since it was filed or suspended last
	need    int             // how many must
	fenced  bool
	ends    time.Time    // when it ends at the latest
	seen    broker.State // as it was seen last
	version int64        // as it was seen last
}

// TestRandomStores does random things to requests by two daemons on one store, some at the same moment, with an AWS that fails before and after its work, and holds what they answer against a model that knows only what was done:
// nothing is given out without approval, after a fence, under a lock or beyond the end (3, 15, 25, 34); what was given out is recorded (1), never more at once than the terms have (6); no state is left that nothing leads out of (18, 26);
// at the end everything that AWS issued is cut or over (27), and the log verifies (41, 42).
func TestRandomStores(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		a, b := open(), open()
		rapid.Check(t, func(t *rapid.T) { walk(t, a, b) })
		verify(t, a)
	})
}

func walk(t *rapid.T, stores ...*Store) {
	ctx := context.Background()
	now, aws := noon, newCloud()
	e := entry()
	e.Name = fmt.Sprint("e", ids.Add(1))
	e.Session.Max = rapid.SampledFrom([]time.Duration{20 * time.Minute, time.Hour, 8 * time.Hour}).Draw(t, "max")
	if rapid.Bool().Draw(t, "people") {
		e.Approval = registry.Approval{Required: rapid.IntRange(1, 2).Draw(t, "required"), Approvers: []string{"ann", "bob", "cid"}}
	}
	var brokers []*broker.Broker
	for _, s := range stores {
		b := newBroker(s, aws, &now)
		b.Rules = registryOf{e}
		brokers = append(brokers, b)
	}
	pick := func() *broker.Broker { return rapid.SampledFrom(brokers).Draw(t, "daemon") }
	// Each walk has a subject of its own, so that locks and lists are its own too.
	subject := ci()
	subject.ID = fmt.Sprint("aws:AROA", ids.Add(1))
	directory := func(_ context.Context, id string) (broker.Reviewer, error) { return broker.Reviewer{ID: id}, nil }
	var lock string
	var requests []*model
	read := func(m *model) *broker.Grant {
		g, err := pick().Store.Grant(ctx, m.id)
		if err != nil {
			t.Fatal(err)
		}
		if g.State != m.seen && m.seen.Terminal() || m.seen.Fenced() && !g.State.Fenced() || g.Version < m.version {
			t.Fatalf("%s was %s of version %d, and is %s of %d (18, 26)", m.id, m.seen, m.version, g.State, g.Version)
		}
		m.seen, m.version, m.ends = g.State, g.Version, g.NotAfter
		if m.fenced && !g.State.Fenced() {
			t.Fatalf("%s was fenced and is %s (26)", m.id, g.State)
		}
		live := 0
		for i := range g.Sessions {
			if s := &g.Sessions[i]; s.State != broker.Failed && now.Before(s.NotAfter) {
				live++
			}
			if s := &g.Sessions[i]; s.NotAfter.After(g.NotAfter) || s.NotAfter.Sub(s.Intended) > e.Session.Max {
				t.Fatalf("session %s ends at %v, the grant at %v (4)", s.ID, s.NotAfter, g.NotAfter)
			}
		}
		if live > g.Terms.Sessions {
			t.Fatalf("%s has %d live sessions (6)", m.id, live)
		}
		return g
	}
	one := func() *model {
		if len(requests) == 0 {
			t.Skip()
		}
		return rapid.SampledFrom(requests).Draw(t, "request")
	}
	// got is held against the model: may the request have given credentials now?
	got := func(m *model, c broker.Credentials, err error) {
		if err != nil {
			if c != (broker.Credentials{}) {
				t.Fatalf("credentials beside the error %v (1)", err)
			}
			return
		}
		g := read(m)
		switch {
		case m.fenced:
			t.Fatalf("%s gave credentials after its fence (25)", m.id)
		case lock != "":
			t.Fatalf("%s gave credentials under a lock (34)", m.id)
		case len(m.yes) < m.need:
			t.Fatalf("%s gave credentials, approved by %v of %d (3, 15)", m.id, m.yes, m.need)
		case !now.Before(g.NotAfter):
			t.Fatalf("%s gave credentials after its end (3)", m.id)
		case !recorded(g, c.AccessKeyID):
			t.Fatalf("%s gave credentials that are not recorded (1)", m.id)
		}
	}
	revoke := func(m *model) {
		if _, err := pick().Revoke(ctx, m.id, "ops", "incident"); err == nil {
			m.fenced = true
		} else if !errors.Is(err, broker.ErrDecided) && !errors.Is(err, broker.ErrNotInForce) {
			t.Fatal(err)
		}
	}
	actions := map[string]func(){
		"file": func() {
			if len(requests) > 3 || lock != "" {
				return
			}
			g, err := pick().File(ctx, subject, broker.Ask{Entry: e.Name, Target: role, Reason: "release"}, broker.Facts{Context: &cond.Context{}})
			if err != nil {
				t.Fatal(err)
			}
			requests = append(requests, &model{id: g.ID, yes: map[string]bool{}, need: e.Approval.Required})
		},
		"decide": func() {
			m := one()
			g := read(m)
			who := rapid.SampledFrom([]string{"ann", "bob", "cid", "eve", subject.ID}).Draw(t, "who")
			yes := rapid.IntRange(0, 9).Draw(t, "yes") > 0
			after, err := pick().Decide(ctx, m.id, broker.Reviewer{ID: who}, yes, g.Hash, "", directory)
			if err != nil {
				return
			}
			if who == "eve" || who == subject.ID || m.fenced {
				t.Fatalf("%s decided about %s (15, 16)", who, m.id)
			}
			if m.yes[who] && yes {
				t.Fatalf("%s decided twice about %s (17)", who, m.id)
			}
			if yes {
				m.yes[who] = true
			}
			if after.State == broker.Revoking {
				m.fenced = true
			}
		},
		"issue": func() {
			m := one()
			d := broker.Demand{Idempotency: rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "key"), Lower: rapid.Bool().Draw(t, "lower"), Life: rapid.SampledFrom([]time.Duration{0, 30 * time.Minute, 24 * time.Hour}).Draw(t, "life")}
			c, err := pick().Issue(ctx, m.id, subject, d)
			got(m, c, err)
		},
		"somebody else": func() {
			m := one()
			if _, err := pick().Issue(ctx, m.id, broker.Subject{ID: "aws:AROAEVE"}, broker.Demand{}); !errors.Is(err, broker.ErrNotFound) {
				t.Fatalf("somebody else is told of %s: %v (52)", m.id, err)
			}
		},
		"AWS": func() {
			answers := rapid.SliceOfN(rapid.IntRange(0, 4), 8, 8).Draw(t, "answers")
			aws.mu.Lock()
			defer aws.mu.Unlock()
			aws.refuse = rapid.IntRange(0, 3).Draw(t, "refuse") == 0
			aws.fail = func(call int) (before, after error) {
				switch answers[call%len(answers)] {
				case 0:
					return fmt.Errorf("%w: refused", broker.ErrNotIssued), nil
				case 1:
					return nil, errors.New("the answer was lost")
				case 2:
					return errors.New("it never arrived"), nil
				}
				return nil, nil
			}
		},
		"revoke":   func() { revoke(one()) },
		"withdraw": func() { _, _ = pick().Withdraw(ctx, one().id, subject.ID) },
		"lock": func() {
			if lock != "" {
				if err := pick().Store.Unlock(ctx, lock, "ops", "over", now); err != nil {
					t.Fatal(err)
				}
				lock = ""
				return
			}
			if rapid.IntRange(0, 2).Draw(t, "really") > 0 {
				return
			}
			id, suspended, err := pick().Lock(ctx, broker.Lock{Kind: broker.LockSubject, Value: subject.ID, Reason: "incident", By: "ops"})
			if err != nil {
				t.Fatal(err)
			}
			lock = id
			for _, m := range requests {
				if slices.Contains(suspended, m.id) {
					m.yes, m.need = map[string]bool{}, max(e.Approval.Required, 1) // a fresh approval, of everybody
				}
			}
		},
		"time": func() {
			now = now.Add(rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Minute, 25 * time.Minute, 3 * time.Hour}).Draw(t, "step"))
		},
		"sweep": func() {
			if _, err := pick().Sweep(ctx, 1000); err != nil {
				t.Fatal(err)
			}
		},
		"at once": func() {
			m := one()
			before := m.fenced
			end := rapid.Bool().Draw(t, "revoke")
			ds := make([]*broker.Broker, 6)
			for i := range ds {
				ds[i] = pick()
			}
			var wait sync.WaitGroup
			results := make([]broker.Credentials, len(ds))
			fenced := false
			for i, d := range ds {
				wait.Go(func() {
					if i == 3 && end {
						_, err := d.Revoke(ctx, m.id, "ops", "incident")
						fenced = err == nil
						return
					}
					results[i], _ = d.Issue(ctx, m.id, subject, broker.Demand{Idempotency: fmt.Sprint(i % 3)})
				})
			}
			wait.Wait()
			g := read(m)
			for _, c := range results {
				if c == (broker.Credentials{}) {
					continue
				}
				if before || lock != "" || len(m.yes) < m.need || !recorded(g, c.AccessKeyID) {
					t.Fatalf("%s gave %s: fenced before %v, lock %q, approved by %v", m.id, c.AccessKeyID, before, lock, m.yes)
				}
			}
			m.fenced = m.fenced || fenced
		},
	}
	names := slices.Sorted(maps.Keys(actions))
	actions["file"]()
	for range rapid.IntRange(5, 25).Draw(t, "actions") {
		name := rapid.SampledFrom(names).Draw(t, "action")
		if len(requests) == 0 && name != "file" {
			continue
		}
		actions[name]()
		for _, m := range requests {
			read(m)
		}
	}
	// The end: everything is taken back, and AWS does what it is told.
	aws.fail, aws.refuse = nil, false
	for _, m := range requests {
		revoke(m)
	}
	for range 4 {
		if _, err := brokers[0].Sweep(ctx, 1000); err != nil {
			t.Fatal(err)
		}
		now = now.Add(broker.Propagation + time.Minute)
	}
	for _, m := range requests {
		g := read(m)
		if g.State != broker.Revoked && !g.State.Terminal() && g.State != broker.Awaiting {
			t.Fatalf("%s is %s at the end", m.id, g.State)
		}
		for _, s := range g.Sessions {
			o, ok := aws.issued[s.ID]
			if ok && now.Before(s.NotAfter) && !aws.denied[o.SourceIdentity] {
				t.Fatalf("AWS issued session %s of %s, it lives until %v, and was not cut (27)", s.ID, m.id, s.NotAfter)
			}
		}
	}
	if lock != "" {
		if err := stores[0].Unlock(ctx, lock, "ops", "over", now); err != nil {
			t.Fatal(err)
		}
	}
}
