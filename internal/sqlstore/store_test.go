package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/sqlstore/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// stores runs a test on each kind of store. open opens the same store again, as a second daemon or a later one does.
func stores(t *testing.T, test func(t *testing.T, open func() *Store)) {
	run := func(address func(t *testing.T) string) func(*testing.T) {
		return func(t *testing.T) {
			at := address(t)
			test(t, func() *Store {
				s, err := Open(t.Context(), at)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				return s
			})
		}
	}
	t.Run("sqlite", run(func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "a b?.db") }))
	t.Run("postgres", run(func(t *testing.T) string { return pgtest.URL(t) }))
}

func change(id string, terms broker.Terms, at time.Time) *broker.Change {
	r := broker.Request{ID: id, Subject: broker.Subject{ID: "oidc:a", Name: "oidc:a", Issuer: "https://a.example"}, Ask: broker.Ask{Entry: "ci", Target: "arn:aws:iam::222222222222:role/deploy", Reason: "r"}, Filed: at}
	return broker.File(r, terms, nil, at)
}

func automatic() broker.Terms {
	return broker.Terms{Entry: "ci", Version: "v1", Actions: []string{"s3:GetObject"}, Resources: []string{"*"}, Life: 8 * time.Hour, Session: time.Hour, Denials: 1, Sessions: 4, Within: time.Hour}
}

func waiting() broker.Terms {
	t := automatic()
	t.Approvals, t.Approvers = 1, []string{"ann"}
	return t
}

func TestKeep(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		c := change("req-1", automatic(), noon)
		if err := s.File(ctx, c, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.File(ctx, c, noon); !errors.Is(err, broker.ErrExists) {
			t.Errorf("filed twice: %v", err)
		}
		subject := c.Grant.Subject
		got, err := s.Update(ctx, "req-1", noon, func(g *broker.Grant, _ []broker.Lock) (*broker.Change, error) {
			a, err := broker.Issue(g, &subject, broker.Demand{ID: "s1"}, nil, noon)
			return a.Change, err
		})
		if err != nil {
			t.Fatal(err)
		}
		again, err := open().Grant(ctx, "req-1")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, again) {
			t.Errorf("kept  %+v\nread  %+v", got, again)
		}
		if again.Version != 2 || len(again.Sessions) != 1 || again.State != broker.Active {
			t.Errorf("read %+v", again)
		}
		if _, err := s.Grant(ctx, "req-2"); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("error %v, want ErrNotFound", err)
		}
		if _, err := s.Update(ctx, "req-2", noon, nil); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("error %v, want ErrNotFound", err)
		}
	})
}

// TestNothingByHalves: a change that fails leaves neither grant nor record behind, and takes nobody else's along (41, 44).
func TestNothingByHalves(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if err := s.File(ctx, change("req-1", waiting(), noon), noon); err != nil {
			t.Fatal(err)
		}
		before, err := s.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		refused := errors.New("refused")
		bad := map[string]func(g *broker.Grant) (*broker.Change, error){
			"error": func(*broker.Grant) (*broker.Change, error) { return nil, refused },
			"panic": func(*broker.Grant) (*broker.Change, error) { panic("oh") },
			"a secret in a record": func(g *broker.Grant) (*broker.Change, error) {
				c, err := broker.Withdraw(g, g.Subject.ID, noon)
				c.Events = append(c.Events, broker.Logged{Actor: "x", Event: leak{"hunter2"}})
				return c, err
			},
			"a version left out": func(g *broker.Grant) (*broker.Change, error) {
				c, err := broker.Withdraw(g, g.Subject.ID, noon)
				c.Grant.Version++
				return c, err
			},
			"a move that is none": func(g *broker.Grant) (*broker.Change, error) {
				c, err := broker.Withdraw(g, g.Subject.ID, noon)
				c.Grant.State = broker.None
				return c, err
			},
		}
		var wait sync.WaitGroup
		for name, do := range bad {
			wait.Go(func() {
				if _, err := s.Update(ctx, "req-1", noon, func(g *broker.Grant, _ []broker.Lock) (*broker.Change, error) { return do(g) }); err == nil {
					t.Errorf("%s: no error", name)
				} else if strings.Contains(err.Error(), "hunter2") {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		for i := range 20 { // among them, others that are good
			wait.Go(func() {
				if err := s.File(ctx, change(fmt.Sprint("good-", i), waiting(), noon), noon); err != nil {
					t.Errorf("good: %v", err)
				}
			})
		}
		wait.Wait()
		g, err := s.Grant(ctx, "req-1")
		if err != nil || g.Version != 1 || g.State != broker.Awaiting {
			t.Errorf("grant %+v, error %v", g, err)
		}
		after, err := s.Head(ctx)
		if err != nil || after.Size != before.Size+20 {
			t.Errorf("the log has %d records more, error %v; want 20", after.Size-before.Size, err)
		}
		verify(t, s)
	})
}

// TestHalfWasSent: of a change of which one part went to the store at once, and another waits to be sent, nothing is left when it fails (41, 44). Each change comes after one that has failed, in one batch.
func TestHalfWasSent(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if err := s.File(ctx, change("req-1", waiting(), noon), noon); err != nil {
			t.Fatal(err)
		}
		before, err := s.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		withdraw := func(t *tx) error {
			g, err := t.grant("req-1")
			if err != nil {
				return err
			}
			c, err := broker.Withdraw(g, g.Subject.ID, noon)
			if err != nil {
				return err
			}
			c.Events = append(c.Events, broker.Logged{Actor: "x", Event: leak{"hunter2"}})
			return t.keep(c, noon.Add(time.Hour), false)
		}
		good := func(t *tx) error { return t.keep(change("req-2", waiting(), noon), noon, true) }
		batch := []*op{{do: withdraw, grant: "req-1"}, {do: withdraw, grant: "req-1"}, {do: good, grant: "req-2"}, {do: withdraw, grant: "req-1"}}
		for i, err := range s.commit(batch) {
			if (err == nil) != (i == 2) {
				t.Errorf("change %d: %v", i, err)
			}
		}
		g, err := open().Grant(ctx, "req-1")
		if err != nil || g.Version != 1 || g.State != broker.Awaiting {
			t.Errorf("half of a change was made: %s, version %d, error %v", g.State, g.Version, err)
		}
		after, err := s.Head(ctx)
		if err != nil || after.Size != before.Size+1 {
			t.Errorf("the log has %d records more, error %v", after.Size-before.Size, err)
		}
		if latest, err := s.Latest(ctx); err != nil || !latest.Equal(noon) {
			t.Errorf("the latest time is %v, error %v: that of a change that was not made", latest, err)
		}
		verify(t, s)
	})
}

type leak struct{ Key audit.Secret }

func (leak) Kind() string { return "leak" }

// verify reads the whole log and holds it against its head.
func verify(t *testing.T, s *Store) {
	t.Helper()
	var v audit.Verifier
	for from := int64(0); ; {
		list, err := s.Records(t.Context(), from, 7)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if err := v.Next(&list[i]); err != nil {
				t.Fatal(err)
			}
		}
		if len(list) == 0 {
			break
		}
		from += int64(len(list))
	}
	head, err := v.End()
	if want, err2 := s.Head(t.Context()); err != nil || err2 != nil || head != want {
		t.Errorf("the log ends at %v, its head says %v (%v, %v)", head, want, err, err2)
	}
}

// TestOneWins: of many who decide at once, in two daemons, one does, and each state that another saw was true (21).
func TestOneWins(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, a, b := t.Context(), open(), open()
		if err := a.File(ctx, change("req-1", waiting(), noon), noon); err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 16 {
			wait.Go(func() {
				s := []*Store{a, b}[i%2]
				_, err := s.Update(ctx, "req-1", noon, func(g *broker.Grant, _ []broker.Lock) (*broker.Change, error) {
					if i%4 == 0 {
						return broker.Withdraw(g, g.Subject.ID, noon)
					}
					return broker.Decide(g, broker.Reviewer{ID: "ann"}, i%4 == 1, g.Hash, "", nil, noon)
				})
				if err == nil {
					mu.Lock()
					won++
					mu.Unlock()
				} else if !errors.Is(err, broker.ErrDecided) {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		g, err := a.Grant(ctx, "req-1")
		if err != nil {
			t.Fatal(err)
		}
		// A withdrawal after an approval in force is refused too; an approval that starts at once is in force.
		if won != 1 || g.Version != 2 {
			t.Errorf("%d won; the grant is %s in version %d", won, g.State, g.Version)
		}
		verify(t, b)
	})
}

func TestListing(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		for i := range 10 {
			terms := automatic()
			if i%2 == 0 {
				terms = waiting()
			}
			at := noon.Add(time.Duration(i/3) * time.Second) // several at the same time
			if err := s.File(ctx, change(fmt.Sprint("req-", i), terms, at), at); err != nil {
				t.Fatal(err)
			}
		}
		var ids []string
		for after := ""; ; {
			list, next, err := s.Grants(ctx, broker.Filter{After: after, Most: 3})
			if err != nil {
				t.Fatal(err)
			}
			for i := range list {
				ids = append(ids, list[i].ID)
			}
			if after = next; next == "" {
				break
			}
		}
		if got := strings.Join(ids, " "); got != "req-9 req-8 req-7 req-6 req-5 req-4 req-3 req-2 req-1 req-0" {
			t.Errorf("listed %s", got)
		}
		list, _, err := s.Grants(ctx, broker.Filter{States: []broker.State{broker.Awaiting, broker.Denied}, Subject: "oidc:a", Entry: "ci"})
		if err != nil || len(list) != 5 {
			t.Errorf("%d wait, error %v; want 5", len(list), err)
		}
		if list, _, err := s.Grants(ctx, broker.Filter{Subject: "oidc:b"}); err != nil || len(list) != 0 {
			t.Errorf("%d of somebody else, error %v", len(list), err)
		}
		if _, _, err := s.Grants(ctx, broker.Filter{After: "x"}); err == nil {
			t.Error("a wrong cursor is no error")
		}
		due, err := s.Due(ctx, noon.Add(time.Hour), 100)
		if err != nil || strings.Join(due, " ") != "req-0 req-2" {
			t.Errorf("due after an hour: %v, error %v", due, err)
		}
		if due, err := s.Due(ctx, noon.Add(9*time.Hour), 3); err != nil || len(due) != 3 {
			t.Errorf("due after nine hours, three at most: %v, error %v", due, err)
		}
	})
}

func TestLocks(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		l := broker.Lock{ID: "lock-1", Kind: broker.LockAccount, Value: "222222222222", Reason: "incident", By: "ann", At: noon, Expires: noon.Add(time.Hour)}
		if err := s.Lock(ctx, l, noon); err != nil {
			t.Fatal(err)
		}
		if err := s.Lock(ctx, l, noon); !errors.Is(err, broker.ErrExists) {
			t.Errorf("locked twice: %v", err)
		}
		if err := s.File(ctx, change("req-1", automatic(), noon), noon); err != nil {
			t.Fatal(err)
		}
		seen := func(at time.Time) (n int) {
			if _, err := s.Update(ctx, "req-1", at, func(_ *broker.Grant, locks []broker.Lock) (*broker.Change, error) { n = len(locks); return nil, nil }); err != nil {
				t.Fatal(err)
			}
			list, err := open().Locks(ctx, at)
			if err != nil || len(list) != n {
				t.Errorf("%d locks in a change, %d in a list, error %v", n, len(list), err)
			}
			return n
		}
		if n := seen(noon); n != 1 {
			t.Errorf("%d locks, want 1", n)
		}
		if n := seen(noon.Add(time.Hour)); n != 0 {
			t.Errorf("%d locks after the end, want 0", n)
		}
		if err := s.Unlock(ctx, "lock-1", "ann", "over", noon); err != nil {
			t.Fatal(err)
		}
		if err := s.Unlock(ctx, "lock-1", "ann", "over", noon); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("lifted twice: %v", err)
		}
		if n := seen(noon); n != 0 {
			t.Errorf("%d locks after it was lifted, want 0", n)
		}
		verify(t, s)
	})
}

// TestSpend: of many who spend the same value, in two daemons, one does (51).
func TestSpend(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, a, b := t.Context(), open(), open()
		var wait sync.WaitGroup
		var mu sync.Mutex
		won := 0
		for i := range 20 {
			wait.Go(func() {
				switch err := []*Store{a, b}[i%2].Spend(ctx, "https://a.example", "jti-1", noon); {
				case err == nil:
					mu.Lock()
					won++
					mu.Unlock()
				case !errors.Is(err, broker.ErrSpent):
					t.Error(err)
				}
			})
		}
		wait.Wait()
		if won != 1 {
			t.Errorf("%d spent it, want 1", won)
		}
		if err := a.Spend(ctx, "https://b.example", "jti-1", noon); err != nil {
			t.Errorf("another issuer's: %v", err)
		}
		if err := a.Forget(ctx, noon.Add(spare)); err != nil {
			t.Fatal(err)
		}
		if err := b.Spend(ctx, "https://a.example", "jti-1", noon); !errors.Is(err, broker.ErrSpent) {
			t.Errorf("a clock that is behind would take it again: %v", err)
		}
		if err := a.Forget(ctx, noon.Add(spare+time.Second)); err != nil {
			t.Fatal(err)
		}
		if err := b.Spend(ctx, "https://a.example", "jti-1", noon); err != nil {
			t.Errorf("after it was forgotten: %v", err)
		}
	})
}

// TestTheDatabaseRefuses: who writes the tables by hand meets the same rules.
func TestTheDatabaseRefuses(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		if err := s.File(ctx, change("req-1", automatic(), noon), noon); err != nil {
			t.Fatal(err)
		}
		for _, statement := range []string{
			`UPDATE audit SET actor = 'eve'`,
			`DELETE FROM audit WHERE seq = 0`,
			`DELETE FROM grants`,
			`UPDATE grants SET state = 'awaiting', version = version + 1`,
			`UPDATE grants SET state = 'expired'`,
			`INSERT INTO grants VALUES ('req-2', 1, 'nonsense', 's', 'e', 't', 0, NULL, '{}')`,
		} {
			if _, err := s.writes.ExecContext(ctx, statement); err == nil {
				t.Errorf("taken: %s", statement)
			}
		}
		verify(t, s)
	})
}

func TestTokens(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		ctx, s := t.Context(), open()
		c := broker.Caller{Subject: broker.Subject{ID: "ann", Person: true}, Groups: []string{"release"}, Roles: []broker.Role{broker.Approver}}
		if err := s.KeepToken(ctx, "hash", c, noon.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got, err := open().Token(ctx, "hash", noon); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("got %+v, error %v", got, err)
		}
		for hash, at := range map[string]time.Time{"hash": noon.Add(time.Hour), "other": noon} {
			if got, err := s.Token(ctx, hash, at); !errors.Is(err, broker.ErrNotFound) {
				t.Errorf("%s at %v: %+v, error %v; want ErrNotFound", hash, at, got, err)
			}
		}
		if err := s.Forget(ctx, noon.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Token(ctx, "hash", noon); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("after it was forgotten: %v", err)
		}
	})
}

func TestClosed(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		s := open()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.File(context.Background(), change("req-1", automatic(), noon), noon); !errors.Is(err, ErrClosed) {
			t.Errorf("error %v, want ErrClosed", err)
		}
	})
}

func TestAddress(t *testing.T) {
	for _, address := range []string{"", "mysql://x", "/tmp/x.db"} {
		if s, err := Open(t.Context(), address); err == nil {
			_ = s.Close()
			t.Errorf("%q was opened", address)
		}
	}
}
