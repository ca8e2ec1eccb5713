package sqlstore

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// people that everybody can look up.
func known(_ context.Context, id string) (broker.Reviewer, error) {
	return broker.Reviewer{ID: id}, nil
}

// TestApprovedAgain: what an entry approved by itself and a lock has stopped, its owner can approve again.
func TestApprovedAgain(t *testing.T) {
	now := noon
	b := newBroker(sqlite(t), newCloud(), &now)
	e := entry()
	e.Approval = registry.Approval{Automatic: true}
	b.Rules = registryOf{e}
	id := file(t, b)
	if _, _, err := b.Lock(t.Context(), broker.Lock{Kind: broker.LockAll, Reason: "drill", By: "ops", Expires: now.Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(time.Hour)
	if g, err := b.Decide(t.Context(), id, broker.Reviewer{ID: e.Owner}, true, mustGrant(t, b, id).Hash, "", known); err != nil || g.State != broker.Active {
		t.Errorf("%+v, error %v", g, err)
	}
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

// slow lets a test stand between the commit of an outcome and its answer.
type slow struct {
	broker.Store
	settled, goOn chan struct{}
	n             atomic.Int32
}

func (s *slow) Update(ctx context.Context, id string, at time.Time, do func(*broker.Grant, []broker.Lock) (*broker.Change, error)) (*broker.Grant, error) {
	g, err := s.Store.Update(ctx, id, at, do)
	if s.n.Add(1) == 2 {
		close(s.settled)
		<-s.goOn
	}
	return g, err
}

// TestJoinedAfterTheFence: who joins another's demand after a revocation is done gets nothing, though that demand succeeded before it (25).
func TestJoinedAfterTheFence(t *testing.T) {
	for name, stop := range map[string]func(b *broker.Broker, id string) error{
		"revoked": func(b *broker.Broker, id string) error {
			_, err := b.Revoke(context.Background(), id, "ops", "incident")
			return err
		},
		"locked": func(b *broker.Broker, _ string) error {
			return b.Store.Lock(context.Background(), broker.Lock{ID: "lock-1", Kind: broker.LockAll, Reason: "incident", By: "ops"}, noon)
		},
	} {
		t.Run(name, func(t *testing.T) {
			now, store := noon, &slow{Store: sqlite(t), settled: make(chan struct{}), goOn: make(chan struct{})}
			b := newBroker(store, newCloud(), &now)
			other := newBroker(store.Store, newCloud(), &now)
			id := file(t, b)
			var wait sync.WaitGroup
			wait.Go(func() {
				if _, err := b.Issue(context.Background(), id, ci(), broker.Demand{}); err != nil {
					t.Error(err)
				}
			})
			<-store.settled
			if err := stop(other, id); err != nil {
				t.Fatal(err)
			}
			joined := make(chan error)
			go func() {
				_, err := b.Issue(context.Background(), id, ci(), broker.Demand{})
				joined <- err
			}()
			// The second demand waits for the first, or has its own answer already.
			select {
			case err := <-joined:
				close(store.goOn)
				if err == nil {
					t.Error("it got credentials")
				}
			case <-time.After(50 * time.Millisecond):
				close(store.goOn)
				if err := <-joined; err == nil {
					t.Error("it got credentials")
				}
			}
			wait.Wait()
		})
	}
}

// TestAccessFinds: who asks for a part is given a part, and nobody waits for what cannot be approved any more.
func TestAccessFinds(t *testing.T) {
	now := noon
	b := newBroker(sqlite(t), newCloud(), &now)
	e := entry()
	e.Actions = []string{"s3:PutObject", "s3:GetObject"}
	b.Rules = registryOf{e}
	access := func(ask broker.Ask) (*broker.Grant, error) {
		t.Helper()
		ask.Entry, ask.Target, ask.Reason = "ci", role, "release"
		_, g, err := b.Access(t.Context(), ci(), ask, broker.Demand{}, broker.Facts{Context: &cond.Context{}})
		return g, err
	}
	whole, err := access(broker.Ask{})
	if err != nil {
		t.Fatal(err)
	}
	part, err := access(broker.Ask{Actions: []string{"s3:GetObject"}})
	if err != nil || part.ID == whole.ID || len(part.Actions) != 1 {
		t.Errorf("a part: %+v, error %v", part, err)
	}
	if again, err := access(broker.Ask{Actions: []string{"s3:GetObject"}}); err != nil || again.ID != part.ID {
		t.Errorf("the part again: %+v, error %v", again, err)
	}
	for _, id := range []string{whole.ID, part.ID} {
		if _, err := b.Suspend(t.Context(), id, "ops", "risk"); err != nil {
			t.Fatal(err)
		}
	}
	var pending *broker.Pending
	if _, err := access(broker.Ask{}); !errors.As(err, &pending) {
		t.Errorf("suspended: %v", err)
	}
	e.Actions = []string{"s3:GetObject"}
	b.Rules = registryOf{e}
	now = now.Add(2 * time.Minute)
	if g, err := access(broker.Ask{}); !errors.As(err, &pending) || g.ID != part.ID {
		t.Errorf("what cannot be approved any more is waited for: %+v, error %v", g, err)
	}
}

// TestRefusedAlike: who is refused is told the same when they ask again at once; who waits for people is told of a lock that came meanwhile, and not to wait.
func TestRefusedAlike(t *testing.T) {
	now := noon
	b := newBroker(sqlite(t), newCloud(), &now)
	e := entry()
	e.Approval = registry.Approval{Required: 1, Approvers: []string{"ann"}}
	b.Rules = registryOf{e}
	access := func(s broker.Subject, ask broker.Ask) error {
		t.Helper()
		ask.Reason = "release"
		_, _, err := b.Access(t.Context(), s, ask, broker.Demand{}, broker.Facts{Context: &cond.Context{}})
		return err
	}
	stranger := ci()
	stranger.ID, stranger.Name, stranger.UniqueID = "aws:AROAOTHER", "arn:aws:iam::111111111111:role/other", "AROAOTHER"
	var first, again *broker.Refusal
	if !errors.As(access(stranger, broker.Ask{Entry: "ci", Target: role}), &first) || !errors.As(access(stranger, broker.Ask{Entry: "ci", Target: role}), &again) || first.Why != again.Why {
		t.Errorf("first %v, then %v", first, again)
	}
	var pending *broker.Pending
	if err := access(ci(), broker.Ask{Entry: "ci", Target: role}); !errors.As(err, &pending) {
		t.Fatal(err)
	}
	if _, _, err := b.Lock(t.Context(), broker.Lock{Kind: broker.LockRole, Value: role, Reason: "incident 31", By: "ops"}); err != nil {
		t.Fatal(err)
	}
	var refused *broker.Refusal
	if err := access(ci(), broker.Ask{Entry: "ci", Target: role}); !errors.As(err, &refused) || !strings.Contains(refused.Why, "incident 31") {
		t.Errorf("while it is locked: %v", err)
	}
}

// TestFileIsPrivate: who has an account on the machine does not read the log.
func TestFileIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s, err := Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, error %v", filepath.Base(name), info.Mode(), err)
		}
	}
}

// TestCommitFails: a change whose commit fails is answered as failed, together with those that were committed with it, and what comes after is made.
func TestCommitFails(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		s := open()
		if err := s.change(t.Context(), func(t *tx) error {
			for _, query := range []string{`CREATE TABLE parent (id INTEGER PRIMARY KEY)`, `CREATE TABLE child (parent INTEGER REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED)`} {
				if _, err := t.ExecContext(t.ctx, query); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		orphan := &op{result: make(chan error, 1), do: func(t *tx) error {
			_, err := t.ExecContext(t.ctx, `INSERT INTO child VALUES (7)`) // which is held against parent when it is committed
			return err
		}}
		good := &op{result: make(chan error, 1), do: func(t *tx) error { return t.log(noon, "ann", "with it", note{}) }}
		for i, err := range s.commit([]*op{good, orphan}) {
			if err == nil {
				t.Errorf("change %d of a commit that failed was answered as made", i)
			}
		}
		for range 3 {
			if err := s.Record(t.Context(), noon, "ann", "after it", note{}); err != nil {
				t.Fatalf("what comes after: %v", err)
			}
		}
		if list, err := s.Records(t.Context(), 0, 10); err != nil || len(list) != 3 {
			t.Errorf("the log has %d records, error %v; want 3", len(list), err)
		}
		verify(t, s)
	})
}
