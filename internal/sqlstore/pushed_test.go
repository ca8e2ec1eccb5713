package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// push brings a snapshot to where it was read.
func push(t *testing.T, s *Store, id string, begun, collected time.Time) {
	t.Helper()
	ctx := t.Context()
	if err := s.BeginPush(ctx, broker.Pushed{ID: id, By: "ann", Begun: begun, State: broker.Receiving}); err != nil {
		t.Fatal(err)
	}
	if err := s.KeepPart(ctx, id, "ann", 0, []byte(id)); err != nil {
		t.Fatal(err)
	}
	p, err := s.EndPush(ctx, id, "ann", 1, "hash")
	if err != nil || p.State != broker.Checking || p.Size != int64(len(id)) {
		t.Fatalf("%+v, error %v", p, err)
	}
	p.State, p.Collected, p.Accepted = broker.Accepted, collected, begun
	if err := s.SettlePush(ctx, *p); err != nil {
		t.Fatal(err)
	}
}

// TestPush: parts come in any order and again, from one hand; what is missing is said; the snapshots that were collected last are kept, and of the others a line.
func TestPush(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if err := s.KeepPart(ctx, "p-0", "ann", 0, []byte("x")); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("a part of nothing: %v", err)
		}
		if err := s.BeginPush(ctx, broker.Pushed{ID: "p-0", By: "ann", Begun: noon, State: broker.Receiving}); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []struct {
			by   string
			n    int
			data []byte
		}{{"bob", 0, []byte("x")}, {"ann", -1, []byte("x")}, {"ann", broker.MaxParts, []byte("x")}, {"ann", 0, nil}, {"ann", 0, make([]byte, broker.MaxPart+1)}} {
			if err := s.KeepPart(ctx, "p-0", bad.by, bad.n, bad.data); !errors.Is(err, broker.ErrPush) {
				t.Errorf("part %d of %d bytes by %s: %v", bad.n, len(bad.data), bad.by, err)
			}
		}
		if _, err := s.EndPush(ctx, "p-0", "ann", 0, "hash"); !errors.Is(err, broker.ErrPush) {
			t.Errorf("nothing arrived: %v", err)
		}
		for _, n := range []int{2, 0, 2} {
			if err := s.KeepPart(ctx, "p-0", "ann", n, fmt.Appendf(nil, "part %d", n)); err != nil {
				t.Fatal(err)
			}
		}
		for _, said := range []int{2, 3} {
			if _, err := s.EndPush(ctx, "p-0", "ann", said, "hash"); !errors.Is(err, broker.ErrPush) {
				t.Errorf("one of three is missing, %d are said: %v", said, err)
			}
		}
		if err := s.KeepPart(ctx, "p-0", "ann", 1, []byte("part 1")); err != nil {
			t.Fatal(err)
		}
		if _, err := s.EndPush(ctx, "p-0", "bob", 3, "hash"); !errors.Is(err, broker.ErrPush) {
			t.Errorf("another ends it: %v", err)
		}
		p, err := s.EndPush(ctx, "p-0", "ann", 3, "hash")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.KeepPart(ctx, "p-0", "ann", 1, []byte("changed later")); !errors.Is(err, broker.ErrPush) {
			t.Errorf("a part was taken after the end: %v", err)
		}
		if got, err := open().Part(ctx, "p-0", 1); err != nil || string(got) != "part 1" {
			t.Errorf("%q, error %v", got, err)
		}
		p.State, p.Why, p.Accepted = broker.Unusable, "no gzip", noon
		for range 2 { // two daemons have read it; the second changes nothing
			if err := s.SettlePush(ctx, *p); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Part(ctx, "p-0", 1); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("what is of no use is kept: %v", err)
		}

		// The newest by what it shows is pushed first.
		for i, hours := range []int{9, 1, 2, 3, 4} {
			push(t, s, fmt.Sprint("p-", i+1), noon.Add(time.Duration(i)*time.Minute), noon.Add(time.Duration(hours)*time.Hour))
		}
		list, err := s.Pushes(ctx, 10)
		if err != nil {
			t.Fatal(err)
		}
		var states []string
		for _, p := range list {
			_, err := s.Part(ctx, p.ID, 0)
			states = append(states, fmt.Sprint(p.ID, " ", p.State, " ", err == nil))
		}
		if got := strings.Join(states, ", "); got != "p-5 accepted true, p-4 accepted true, p-3 dropped false, p-2 dropped false, p-0 refused false, p-1 accepted true" && got != "p-5 accepted true, p-4 accepted true, p-3 dropped false, p-2 dropped false, p-1 accepted true, p-0 refused false" {
			t.Errorf("kept: %s", got)
		}
		// What never arrives makes room after a day.
		if err := s.BeginPush(ctx, broker.Pushed{ID: "p-8", By: "ann", Begun: noon.Add(time.Hour), State: broker.Receiving}); err != nil {
			t.Fatal(err)
		}
		if err := s.BeginPush(ctx, broker.Pushed{ID: "p-9", By: "ann", Begun: noon.Add(26 * time.Hour), State: broker.Receiving}); err != nil {
			t.Fatal(err)
		}
		if err := s.KeepPart(ctx, "p-8", "ann", 0, []byte("x")); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("a part of what never arrived: %v", err)
		}
		verify(t, s)
	})
}

// TestOffboarding: a vendor leaves once at a time, in any number of daemons; the lock is there with the first word of it; what it has is revoked whichever commit a process dies at; and what is proven stays as it is (36).
func TestOffboarding(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s, other := t.Context(), open(), open()
		v := &registry.Vendor{Name: "Metrigraph", Accounts: []string{"999999999999"}}
		var mu sync.Mutex
		var won []*broker.Offboarding
		var all sync.WaitGroup
		for i := range 8 {
			all.Go(func() {
				o, lock := broker.Leave(fmt.Sprint("o-", i), fmt.Sprint("l-", i), v, "ops", "the contract ends", noon)
				err := []*Store{s, other}[i%2].BeginOffboarding(ctx, o, lock)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					won = append(won, o)
				case !errors.Is(err, broker.ErrExists):
					t.Errorf("error %v, want ErrExists", err)
				}
			})
		}
		all.Wait()
		if len(won) != 1 {
			t.Fatalf("%d began", len(won))
		}
		o := won[0]
		locks, err := s.Locks(ctx, noon)
		if err != nil || len(locks) != 1 || locks[0].ID != o.Lock || locks[0].Kind != broker.LockVendor || locks[0].Value != v.Name {
			t.Errorf("locks %+v, error %v", locks, err)
		}
		if _, err := s.Offboarding(ctx, "o-none"); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("error %v, want ErrNotFound", err)
		}

		// What has nothing new to say writes nothing.
		before, err := s.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		look := func(seen *broker.Seen) *broker.Offboarding {
			o, err := other.UpdateOffboarding(ctx, o.ID, noon, func(o *broker.Offboarding) ([]audit.Event, error) { return o.Look(seen, noon), nil })
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		nothing := &broker.Seen{Registry: &registry.Registry{}, Locks: locks}
		for range 3 {
			look(nothing)
		}
		after, err := s.Head(ctx)
		if err != nil || after.Size != before.Size+1 {
			t.Errorf("three looks at the same wrote %d records, error %v", after.Size-before.Size, err)
		}
		if got := look(&broker.Seen{Registry: &registry.Registry{}}); !strings.Contains(strings.Join(got.Waits, "; "), "not locked any more") {
			t.Errorf("without its lock: %q", got.Waits)
		}
		refused := errors.New("no")
		if _, err := s.UpdateOffboarding(ctx, o.ID, noon, func(o *broker.Offboarding) ([]audit.Event, error) {
			o.State = broker.Proven
			return []audit.Event{broker.OffboardingProven{ID: o.ID}}, refused
		}); !errors.Is(err, refused) {
			t.Error(err)
		}
		if kept, err := open().Offboarding(ctx, o.ID); err != nil || kept.State != broker.Leaving {
			t.Errorf("%+v, error %v", kept, err)
		}
		if _, err := s.UpdateOffboarding(ctx, o.ID, noon, func(o *broker.Offboarding) ([]audit.Event, error) {
			o.State = broker.Proven
			return []audit.Event{broker.OffboardingProven{ID: o.ID}}, nil
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.UpdateOffboarding(ctx, o.ID, noon, func(o *broker.Offboarding) ([]audit.Event, error) {
			return []audit.Event{broker.OffboardingSeen{ID: o.ID}}, nil
		}); err == nil {
			t.Error("what was proven was changed")
		}
		again, lock := broker.Leave("o-again", "l-again", v, "ops", "it came back", noon)
		if err := s.BeginOffboarding(ctx, again, lock); err != nil {
			t.Errorf("after the first was proven: %v", err)
		}
		verify(t, s)
	})
}

// vendorsOf is a registry of one entry, which is a vendor's.
type vendorsOf struct {
	registryOf
	vendor *registry.Vendor
}

func (r vendorsOf) Entry(ctx context.Context, name string) (*registry.Entry, *registry.Vendor, string, error) {
	e, _, version, err := r.registryOf.Entry(ctx, name)
	return e, r.vendor, version, err
}

// TestOffboardingGoesOn: whichever commit a process dies at, the next one revokes what is left.
func TestOffboardingGoesOn(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		s := open()
		for at := 1; ; at++ {
			step, now, aws := 0, noon, newCloud()
			vendor := fmt.Sprint("Metrigraph ", at)
			e := entry()
			e.Vendor = vendor
			rules := vendorsOf{registryOf{e}, &registry.Vendor{Name: vendor}}
			healthy := newBroker(s, aws, &now)
			healthy.Rules = rules
			for range 3 {
				g, err := healthy.File(t.Context(), ci(), broker.Ask{Entry: "ci", Target: role, Reason: "release"}, broker.Facts{Context: &cond.Context{}})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := healthy.Issue(t.Context(), g.ID, ci(), broker.Demand{}); err != nil {
					t.Fatal(err)
				}
			}
			o, lock := broker.Leave(fmt.Sprint("o-", at), fmt.Sprint("l-", at), rules.vendor, "ops", "the contract ends", now)
			if err := s.BeginOffboarding(t.Context(), o, lock); err != nil {
				t.Fatal(err)
			}
			dying := newBroker(&crashing{s, &at, &step}, aws, &now)
			dying.Rules = rules
			_, err := dying.EndVendor(t.Context(), o)
			died := errors.Is(err, errCrash)
			if err != nil && !died {
				t.Fatal(err)
			}
			list, err := healthy.EndVendor(t.Context(), o)
			if err != nil || len(list) != 3 {
				t.Fatalf("step %d: %d requests, error %v", at, len(list), err)
			}
			for i := range list {
				if !list[i].State.Fenced() {
					t.Errorf("step %d: request %s is %s", at, list[i].ID, list[i].State)
				}
			}
			if !died {
				if at < 4 {
					t.Errorf("%d steps: nothing died", at)
				}
				break
			}
		}
		verify(t, s)
	})
}
