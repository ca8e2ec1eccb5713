package sqlstore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// people that everybody can look up.
func known(_ context.Context, id string) (broker.Reviewer, error) { return broker.Reviewer{ID: id}, nil }

// TestApproversNow: who is no approver of the entry any more decides about nothing that waits, and what they said counts no more; what an entry approved by itself can be approved again after a lock.
func TestApproversNow(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now := noon
		b := newBroker(open(), newCloud(), &now)
		e := entry()
		e.Approval = registry.Approval{Required: 2, Approvers: []string{"ann", "bob", "cid"}}
		b.Rules = registryOf{e}
		id := file(t, b)
		hash := mustGrant(t, b, id).Hash
		decide := func(who string) (*broker.Grant, error) {
			return b.Decide(t.Context(), id, broker.Reviewer{ID: who}, true, hash, "", known)
		}
		if g, err := decide("ann"); err != nil || g.State != broker.Awaiting {
			t.Fatalf("ann: %v, error %v", g, err)
		}
		e.Approval.Approvers = []string{"bob", "cid"}
		b.Rules = registryOf{e}
		if g, err := decide("bob"); err != nil || g.State != broker.Awaiting {
			t.Errorf("ann is no approver any more, and her yes counts: %v, error %v", g.State, err)
		}
		e.Approval.Approvers = []string{"bob", "dan"}
		b.Rules = registryOf{e}
		if _, err := decide("cid"); !errors.Is(err, broker.ErrNotYours) {
			t.Errorf("cid is no approver any more: %v", err)
		}

		e.Approval = registry.Approval{Automatic: true}
		b.Rules = registryOf{e}
		id = file(t, b)
		if _, _, err := b.Lock(t.Context(), broker.Lock{Kind: broker.LockAll, Reason: "drill", By: "ops", Expires: now.Add(time.Minute)}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Hour)
		if g, err := b.Decide(t.Context(), id, broker.Reviewer{ID: e.Owner}, true, mustGrant(t, b, id).Hash, "", known); err != nil || g.State != broker.Active {
			t.Errorf("its owner approves what a lock has stopped: %+v, error %v", g, err)
		}
	})
}

// TestOwnRequestUnderAnotherName: a person who has another address by now does not approve what they asked for (16).
func TestOwnRequestUnderAnotherName(t *testing.T) {
	now := noon
	b := newBroker(sqlite(t), newCloud(), &now)
	e := entry()
	e.From, e.Approval = registry.From{Principals: []string{"ann@example.com"}}, registry.Approval{Required: 1, Approvers: []string{"ann.miller@example.com", "Ann@Example.com"}}
	b.Rules = registryOf{e}
	ann := broker.Subject{ID: "ann@example.com", Name: "ann@example.com", Issuer: "people", UniqueID: "u-ann", Person: true}
	g, err := b.File(t.Context(), ann, broker.Ask{Entry: "ci", Target: role, Reason: "release"}, broker.Facts{Context: &cond.Context{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []broker.Reviewer{{ID: "ann.miller@example.com", UniqueID: "u-ann"}, {ID: "Ann@Example.com", UniqueID: "u-2"}} {
		if _, err := b.Decide(t.Context(), g.ID, r, true, g.Hash, "", known); !errors.Is(err, broker.ErrNotYours) {
			t.Errorf("%+v approves what ann asked for: %v", r, err)
		}
	}
}

// sqlite is a store for what does not depend on which one it is.
func sqlite(t *testing.T) *Store {
	t.Helper()
	s, err := Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}
