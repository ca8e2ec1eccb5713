package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/broker"
)

// TestAlone: one at a time over all daemons; what fails lets the next one have it; who died is waited for no longer than the lease; another name waits for nobody.
func TestAlone(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		list := []*Store{open(), open()}
		var mu sync.Mutex
		inside, most, done := 0, 0, 0
		refused := errors.New("no")
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				err := list[i%2].Alone(t.Context(), "quarantine", func(ctx context.Context) error {
					mu.Lock()
					inside++
					most = max(most, inside)
					mu.Unlock()
					if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > lease-leaseSpare {
						t.Errorf("it may work until %v, which is longer than it is alone", deadline)
					}
					time.Sleep(20 * time.Millisecond)
					mu.Lock()
					inside--
					done++
					mu.Unlock()
					if i == 0 {
						return refused
					}
					return nil
				})
				if i == 0 != errors.Is(err, refused) {
					t.Errorf("the %dth: %v", i, err)
				}
			})
		}
		all.Wait()
		if most != 1 || done != 6 {
			t.Errorf("%d ran, %d at once", done, most)
		}
		// One that died holds it until its lease is over.
		died := func(until time.Time) {
			t.Helper()
			if err := list[0].change(t.Context(), func(tx *tx) error {
				_, err := tx.ExecContext(tx.ctx, `INSERT INTO leases VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET until = excluded.until`, "quarantine", "dead", until.UnixMicro())
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		died(time.Now().Add(time.Hour))
		short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		nothing := func(context.Context) error { return nil }
		if err := list[1].Alone(short, "quarantine", nothing); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while another holds it: %v", err)
		}
		if err := list[1].Alone(t.Context(), "another", nothing); err != nil {
			t.Error(err)
		}
		died(time.Now())
		if err := list[1].Alone(t.Context(), "quarantine", nothing); err != nil {
			t.Error(err)
		}
	})
}

func TestDrills(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		var want []broker.Drill
		for i, entry := range []string{"a", "b", "a"} {
			d := broker.Drill{ID: fmt.Sprint("r-", i), Entry: entry, Role: role, By: "ops", At: noon.Add(time.Duration(i) * time.Hour), Found: []string{}}
			if i == 2 {
				d.Found = []string{"no room"}
				want[0] = d
			} else {
				want = append(want, d)
			}
			if err := s.KeepDrill(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		got, err := open().Drills(ctx)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("kept %+v\nread %+v, error %v", want, got, err)
		}
		verify(t, s)
	})
}

// TestQuarantineFollows: where a role does not take the deny the organisation's policy is asked, by whichever daemon is there; one that has none goes on trying the role.
func TestQuarantineFollows(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		for _, quarantine := range []bool{false, true} {
			now, aws := latest(t, s), newCloud()
			aws.stuck = true
			b := newBroker(s, aws, &now)
			id := file(t, b)
			if _, err := b.Issue(ctx, id, ci(), broker.Demand{}); err != nil {
				t.Fatal(err)
			}
			if _, err := b.Revoke(ctx, id, "ops", "incident"); err != nil {
				t.Fatal(err)
			}
			for range broker.QuarantineAfter + 1 {
				if _, err := b.Sweep(ctx, 100); err != nil {
					t.Fatal(err)
				}
				now = now.Add(10 * time.Second)
			}
			if _, err := b.Isolate(ctx, id, "ops", "x"); !errors.Is(err, broker.ErrNotInForce) {
				t.Errorf("without a quarantine: %v", err)
			}
			b = newBroker(s, aws, &now) // another daemon
			b.Quarantine = quarantine
			for range 3 {
				if _, err := b.Sweep(ctx, 100); err != nil {
					t.Fatal(err)
				}
				now = now.Add(time.Minute)
			}
			g := mustGrant(t, b, id)
			if cut := aws.denied[g.Effects[0].Source]; cut != quarantine || len(g.Effects) != map[bool]int{false: 1, true: 2}[quarantine] {
				t.Errorf("quarantine %v: cut %v, %+v", quarantine, cut, g.Effects)
			}
			aws.stuck = false
			for range 3 {
				now = now.Add(broker.Propagation)
				if _, err := b.Sweep(ctx, 100); err != nil {
					t.Fatal(err)
				}
			}
			if g := mustGrant(t, b, id); g.State != broker.Revoked {
				t.Errorf("quarantine %v: %s", quarantine, g.State)
			}
			now = now.Add(48 * time.Hour)
			if _, err := b.Sweep(ctx, 100); err != nil || len(aws.denied) > 0 {
				t.Errorf("quarantine %v: left %v, error %v", quarantine, aws.denied, err)
			}
		}
		verify(t, s)
	})
}

// TestClockBehind: a daemon whose clock is behind what was committed gets no permit, whatever is in force for it, and can take back; a clock that was ahead is set back once, with a record (49).
func TestClockBehind(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		now, late, aws := noon, noon, newCloud()
		b, slow := newBroker(s, aws, &now), newBroker(open(), aws, &late)
		id := file(t, b)
		late = now.Add(-broker.Skew / 2)
		if _, err := slow.Issue(ctx, id, ci(), broker.Demand{}); err != nil {
			t.Errorf("clocks that differ a little: %v", err)
		}
		now = now.Add(13 * time.Hour) // all is over
		if _, err := b.Sweep(ctx, 100); err != nil {
			t.Fatal(err)
		}
		late = now.Add(-4 * time.Hour)
		calls := aws.calls
		if g := mustGrant(t, slow, file(t, slow)); g.State != broker.Active {
			t.Fatal(g.State)
		} else if _, err := slow.Issue(ctx, g.ID, ci(), broker.Demand{}); !errors.Is(err, broker.ErrClock) || aws.calls != calls {
			t.Errorf("asked AWS %d times more, error %v", aws.calls-calls, err)
		} else if _, err := slow.Revoke(ctx, g.ID, "ops", "incident"); err != nil {
			t.Errorf("taking back: %v", err)
		}
		latest, err := s.Latest(ctx)
		if err != nil || !latest.Equal(now) {
			t.Errorf("latest %v, want %v, error %v", latest, now, err)
		}
		before, err := s.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range []time.Time{now.Add(-broker.Skew), late, late, late.Add(time.Second)} {
			if err := s.SetBack(ctx, at); err != nil {
				t.Fatal(err)
			}
		}
		after, err := s.Head(ctx)
		if latest, err2 := open().Latest(ctx); err != nil || err2 != nil || !latest.Equal(late) || after.Size != before.Size+1 {
			t.Errorf("latest %v, want %v; %d records", latest, late, after.Size-before.Size)
		}
		if _, err := slow.Issue(ctx, file(t, slow), ci(), broker.Demand{}); err != nil {
			t.Errorf("after it was set back: %v", err)
		}
		verify(t, s)
	})
}
