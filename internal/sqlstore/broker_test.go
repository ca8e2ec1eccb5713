package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"drawbridge/iam/cond"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// cloud is AWS as it really is: what was issued, and what is denied.
type cloud struct {
	mu      sync.Mutex
	issued  map[string]broker.Order // by session
	denied  map[string]bool         // source identities
	calls   int
	fail    func(call int) (before, after error) // of Issue: an error before the work is done, or after
	refuse  bool                                 // effects fail
	stuck   bool                                 // the role takes no deny
	waiting chan struct{}                        // where set, Issue waits for it
	full    time.Time                            // the role has no room: every session older than this is denied
}

func newCloud() *cloud {
	return &cloud{issued: make(map[string]broker.Order), denied: make(map[string]bool)}
}

func (c *cloud) Issue(ctx context.Context, p *broker.Permit) (broker.Credentials, error) {
	o, err := p.Take()
	if err != nil {
		return broker.Credentials{}, err
	}
	if c.waiting != nil {
		<-c.waiting
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	var before, after error
	if c.fail != nil {
		before, after = c.fail(c.calls)
	}
	if before != nil {
		return broker.Credentials{}, before
	}
	c.issued[o.Session] = o
	if after != nil {
		return broker.Credentials{}, after
	}
	return broker.Credentials{AccessKeyID: "ASIA" + strings.ToUpper(o.Session), SecretAccessKey: "canary-secret", SessionToken: "canary-token"}, nil
}

func (c *cloud) Carry(_ context.Context, e broker.Effect) (broker.Carried, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse || c.stuck && e.Kind != broker.Quarantine {
		return broker.Carried{}, errors.New("AWS said no")
	}
	if !c.full.IsZero() {
		return broker.Carried{At: noon, Older: c.full}, nil
	}
	c.denied[e.Source] = true
	return broker.Carried{At: noon}, nil
}

func (c *cloud) Lift(_ context.Context, e broker.Effect) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse {
		return errors.New("AWS said no")
	}
	delete(c.denied, e.Source)
	return nil
}

// registryOf is a registry of one entry.
type registryOf struct{ entry registry.Entry }

func (r registryOf) Entry(_ context.Context, name string) (*registry.Entry, *registry.Vendor, string, error) {
	if name != r.entry.Name {
		return nil, nil, "v1", nil
	}
	e := r.entry
	return &e, nil, "v1", nil
}

func (registryOf) Target(context.Context, string) (time.Duration, bool, error) {
	return 12 * time.Hour, true, nil
}

const role = "arn:aws:iam::222222222222:role/deploy"

func entry() registry.Entry {
	return registry.Entry{Name: "ci", Owner: "ann", From: registry.From{Principals: []string{"arn:aws:iam::111111111111:role/ci"}}, To: registry.To{Role: role}, Actions: []string{"s3:PutObject"}, Resources: []string{"arn:aws:s3:::artifacts/*"},
		Approval: registry.Approval{Automatic: true, Approvers: []string{"ann"}}, Expires: registry.Day{Time: noon.AddDate(1, 0, 0)}}
}

func ci() broker.Subject {
	return broker.Subject{ID: "aws:AROACI", Name: "arn:aws:iam::111111111111:role/ci", Issuer: "aws", Account: "111111111111", UniqueID: "AROACI"}
}

var ids atomic.Int64

func newBroker(s broker.Store, aws *cloud, now *time.Time) *broker.Broker {
	return &broker.Broker{Store: s, Rules: registryOf{entry()}, Issuer: aws, Revoker: aws, Now: func() time.Time { return *now }, NewID: func() string { return fmt.Sprint("id-", ids.Add(1)) }}
}

// latest is the time at which a test goes on with a store.
func latest(t *testing.T, s *Store) time.Time {
	t.Helper()
	at, err := s.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if at.Before(noon) {
		return noon
	}
	return at
}

func file(t testing.TB, b *broker.Broker) string {
	t.Helper()
	g, err := b.File(context.Background(), ci(), broker.Ask{Entry: "ci", Target: role, Reason: "release"}, broker.Facts{Context: &cond.Context{}})
	if err != nil {
		t.Fatal(err)
	}
	return g.ID
}

// TestRetries: nine retries at once, as the Go SDK makes them, are one session (7); the next demand is answered with it too, until a third of its life is left.
func TestRetries(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		b := newBroker(open(), aws, &now)
		id := file(t, b)
		aws.waiting = make(chan struct{})
		var wait sync.WaitGroup
		got := make([]broker.Credentials, 9)
		for i := range got {
			wait.Go(func() {
				var err error
				if got[i], err = b.Issue(t.Context(), id, ci(), broker.Demand{}); err != nil {
					t.Error(err)
				}
			})
		}
		close(aws.waiting)
		wait.Wait()
		for _, c := range got {
			if c != got[0] || c.AccessKeyID == "" {
				t.Errorf("one got %v, another %v", got[0].AccessKeyID, c.AccessKeyID)
			}
		}
		for _, tt := range []struct {
			after time.Duration
			calls int
		}{{time.Minute, 1}, {39 * time.Minute, 1}, {41 * time.Minute, 2}} {
			now = noon.Add(tt.after)
			if _, err := b.Issue(t.Context(), id, ci(), broker.Demand{}); err != nil {
				t.Fatal(err)
			}
			if aws.calls != tt.calls {
				t.Errorf("after %v AWS was asked %d times, want %d", tt.after, aws.calls, tt.calls)
			}
		}
		// Another daemon does not hold the credentials: it issues its own, which counts.
		if _, err := newBroker(open(), aws, &now).Issue(t.Context(), id, ci(), broker.Demand{}); err != nil || aws.calls != 3 {
			t.Errorf("another daemon: %d calls, error %v", aws.calls, err)
		}
		if _, err := b.Issue(t.Context(), id, broker.Subject{ID: "aws:AROAEVE"}, broker.Demand{}); !errors.Is(err, broker.ErrNotFound) {
			t.Errorf("somebody else: %v, want ErrNotFound", err)
		}
	})
}

// TestLimit: as many demands at once as you like, in two daemons, give no more live sessions than the terms have; what is unclear counts (6).
func TestLimit(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		a, b := newBroker(open(), aws, &now), newBroker(open(), aws, &now)
		id := file(t, a)
		aws.fail = func(call int) (before, after error) {
			switch call % 4 {
			case 1:
				return nil, errors.New("timeout after the work was done")
			case 2:
				return fmt.Errorf("%w: throttled", broker.ErrNotIssued), nil
			}
			return nil, nil
		}
		var wait sync.WaitGroup
		for i := range 40 {
			wait.Go(func() {
				_, _ = []*broker.Broker{a, b}[i%2].Issue(t.Context(), id, ci(), broker.Demand{Idempotency: fmt.Sprint(i)})
			})
		}
		wait.Wait()
		if n := len(aws.issued); n > broker.DefaultSessions || n == 0 {
			t.Errorf("AWS issued %d sessions, the terms have at most %d", n, broker.DefaultSessions)
		}
	})
}

// TestRevokeIsLinearizable records what callers of two daemons saw of issuing and revoking, at real times, and holds it against the simplest model: once a revocation is done nobody gets anything (25).
func TestRevokeIsLinearizable(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		type input struct{ revoke bool }
		model := porcupine.Model{
			Init: func() any { return false },
			Step: func(state, in, out any) (bool, any) {
				if in.(input).revoke {
					return true, true
				}
				return !(state.(bool) && out.(bool)), state
			},
		}
		now, aws := noon, newCloud()
		brokers := []*broker.Broker{newBroker(open(), aws, &now), newBroker(open(), aws, &now)}
		for round := range 8 {
			id := file(t, brokers[0])
			var mu sync.Mutex
			var history []porcupine.Operation
			var wait sync.WaitGroup
			began := time.Now()
			for client := range 8 {
				wait.Go(func() {
					for i := range 4 {
						in := input{revoke: client == 3 && i == round%4}
						call := time.Since(began).Nanoseconds()
						got := false
						if in.revoke {
							if _, err := brokers[client%2].Revoke(t.Context(), id, "ops", "incident"); err != nil {
								t.Error(err)
							}
						} else {
							_, err := brokers[client%2].Issue(t.Context(), id, ci(), broker.Demand{Idempotency: fmt.Sprint(client, i)})
							got = err == nil
						}
						mu.Lock()
						history = append(history, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: got, Return: time.Since(began).Nanoseconds()})
						mu.Unlock()
					}
				})
			}
			wait.Wait()
			if !porcupine.CheckOperations(model, history) {
				t.Errorf("round %d: not linearizable: %+v", round, history)
			}
			g, err := brokers[0].Store.Grant(t.Context(), id)
			if err != nil || !g.State.Fenced() {
				t.Errorf("round %d: %s, error %v", round, g.State, err)
			}
		}
	})
}

// crashing is a store that dies at its nth step: before a commit, or after it and before anybody heard of it. Once dead it answers nothing.
type crashing struct {
	broker.Store
	at, step *int
}

var errCrash = errors.New("the process died")

func (c *crashing) dies() bool {
	*c.step++
	return *c.step >= *c.at
}

func (c *crashing) File(ctx context.Context, ch *broker.Change, at time.Time) error {
	if c.dies() {
		return errCrash
	}
	if err := c.Store.File(ctx, ch, at); err != nil {
		return err
	}
	if c.dies() {
		return errCrash
	}
	return nil
}

func (c *crashing) Update(ctx context.Context, id string, at time.Time, do func(*broker.Grant, []broker.Lock) (*broker.Change, error)) (*broker.Grant, error) {
	if c.dies() {
		return nil, errCrash
	}
	g, err := c.Store.Update(ctx, id, at, do)
	if err == nil && c.dies() {
		return nil, errCrash
	}
	return g, err
}

// TestCrash lets the process die before and after each commit of a request's whole life, with an AWS that sometimes does the work and loses the answer, starts it again, and takes the grant back. What AWS issued is then
// denied there, without exception (2, 27, 47); the log verifies.
func TestCrash(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		s := open()
		for _, late := range []bool{false, true} {
			for at := 1; ; at++ {
				step, now, aws := 0, latest(t, s), newCloud()
				aws.fail = func(call int) (before, after error) {
					if late && call == 2 {
						return nil, errors.New("timeout")
					}
					return nil, nil
				}
				b := newBroker(&crashing{s, &at, &step}, aws, &now)
				id := ""
				life := func() error {
					g, err := b.File(t.Context(), ci(), broker.Ask{Entry: "ci", Target: role, Reason: "release"}, broker.Facts{Context: &cond.Context{}})
					if err != nil {
						return err
					}
					id = g.ID
					for i := range 2 {
						if c, err := b.Issue(t.Context(), id, ci(), broker.Demand{Idempotency: fmt.Sprint(i)}); err == nil && c.AccessKeyID != "" {
							// 1: what was handed out is recorded as issued.
							g, err := s.Grant(t.Context(), id)
							if err != nil || !recorded(g, c.AccessKeyID) {
								t.Fatalf("step %d: credentials %s were given out and are in no record", at, c.AccessKeyID)
							}
						} else if errors.Is(err, errCrash) {
							return err
						}
					}
					if _, err := b.Revoke(t.Context(), id, "ops", "incident"); err != nil {
						return err
					}
					_, err = b.Sweep(t.Context(), 100)
					return err
				}
				err := life()
				if err != nil && !errors.Is(err, errCrash) {
					t.Fatalf("step %d: %v", at, err)
				}
				// The next process: it knows only what is in the store.
				b = newBroker(s, aws, &now)
				list, _, err2 := s.Grants(t.Context(), broker.Filter{States: []broker.State{broker.Active, broker.Approved, broker.Revoking}})
				if err2 != nil {
					t.Fatal(err2)
				}
				for i := range list {
					if _, err := b.Revoke(t.Context(), list[i].ID, "ops", "after the crash"); err != nil && !errors.Is(err, broker.ErrDecided) {
						t.Fatal(err)
					}
				}
				for range 3 {
					if _, err := b.Sweep(t.Context(), 100); err != nil {
						t.Fatal(err)
					}
					now = now.Add(broker.Propagation)
				}
				for session, o := range aws.issued {
					if !aws.denied[o.SourceIdentity] {
						t.Errorf("step %d, late %v: AWS issued session %s, and it was not cut", at, late, session)
					}
				}
				// When the sessions are over nothing is left in AWS (31).
				now = now.Add(24 * time.Hour)
				if _, err := b.Sweep(t.Context(), 100); err != nil || len(aws.denied) > 0 {
					t.Errorf("step %d: %v is still denied, error %v", at, aws.denied, err)
				}
				if list, _, err := s.Grants(t.Context(), broker.Filter{States: []broker.State{broker.Active, broker.Approved, broker.Revoking, broker.Stuck}}); err != nil || len(list) > 0 {
					t.Errorf("step %d: %d grants are left over, error %v", at, len(list), err)
				}
				if err == nil {
					if at < 10 {
						t.Errorf("a whole life has %d steps: the crashes were not tried", at)
					}
					break
				}
			}
		}
		verify(t, s)
		canaries(t, s)
	})
}

func recorded(g *broker.Grant, key string) bool {
	for _, s := range g.Sessions {
		if s.AccessKeyID == key && s.State == broker.Issued {
			return true
		}
	}
	return false
}

// canaries looks for what must never be written down (45).
func canaries(t *testing.T, s *Store) {
	t.Helper()
	for _, query := range []string{`SELECT body FROM grants`, `SELECT body FROM audit`} {
		rows, err := s.reads.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for rows.Next() {
			var body string
			if err := rows.Scan(&body); err != nil {
				t.Fatal(err)
			}
			if n++; strings.Contains(body, "canary") {
				t.Errorf("%s: a secret was written down: %s", query, body)
			}
		}
		if err := rows.Err(); err != nil || n == 0 {
			t.Errorf("%s: %d rows, error %v", query, n, err)
		}
	}
}

// TestEachDemandIsHeldAgain: an approval answers for the subject, not for where a demand comes from, nor for another run of the same pipeline that the entry does not let in (3, 14).
func TestEachDemandIsHeldAgain(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		s := open()
		b := newBroker(s, aws, &now)
		e := entry()
		e.From = registry.From{OIDC: &registry.OIDC{Issuer: "https://ci.example", Claims: map[string]string{"repository_id": "4711", "ref": "refs/heads/main"}}}
		e.Context = cond.Block{cond.CompileTest("IpAddress", "aws:SourceIp", []string{"198.51.100.0/24"}, true)}
		b.Rules = registryOf{e}
		from := func(address string) *cond.Context {
			c := &cond.Context{Rest: cond.Undetermined}
			if address != "" {
				c.Set("aws:SourceIp", address)
			}
			return c
		}
		run := func(ref string) broker.Subject {
			return broker.Subject{ID: "oidc:ci:4711", Name: "oidc:ci.example:repo:acme/web:ref:" + ref, Issuer: "https://ci.example", Claims: map[string]string{"repository_id": "4711", "ref": ref}}
		}
		g, err := b.File(t.Context(), run("refs/heads/main"), broker.Ask{Entry: "ci", Target: role, Reason: "release"}, broker.Facts{Context: from("198.51.100.7")})
		if err != nil {
			t.Fatal(err)
		}
		for name, tt := range map[string]struct {
			s       broker.Subject
			from    *cond.Context
			refused string
		}{
			"as approved":       {run("refs/heads/main"), from("198.51.100.8"), ""},
			"from elsewhere":    {run("refs/heads/main"), from("203.0.113.1"), "does not fulfil"},
			"from nobody knows": {run("refs/heads/main"), from(""), "could not be checked"},
			"nothing known":     {run("refs/heads/main"), nil, "could not be checked"},
			"a pull request":    {run("refs/pull/1/merge"), from("198.51.100.7"), "no registered trust"},
		} {
			var refusal *broker.Refusal
			_, err := b.Issue(t.Context(), g.ID, tt.s, broker.Demand{Context: tt.from})
			if tt.refused == "" && err != nil || tt.refused != "" && (!errors.As(err, &refusal) || !strings.Contains(refusal.Why, tt.refused)) {
				t.Errorf("%s: %v, want %q", name, err, tt.refused)
			}
			if tt.from == nil {
				continue
			}
			if _, _, err := b.Access(t.Context(), tt.s, broker.Ask{Entry: "ci", Target: role, Reason: "release"}, broker.Demand{}, broker.Facts{Context: tt.from}); (tt.refused == "") != (err == nil) {
				t.Errorf("%s, by a client that knows nothing of requests: %v", name, err)
			}
		}
		list, err := s.Records(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range list {
			if r.Kind == (broker.SessionRefused{}).Kind() {
				n++
			}
		}
		if n != 7 || aws.calls != 1 {
			t.Errorf("%d refusals are recorded, AWS was asked %d times", n, aws.calls)
		}
	})
}

// TestApproversAreThoseOfToday: who was taken out of the entry since the request was filed decides no more, and what they had decided counts no more (15).
func TestApproversAreThoseOfToday(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		b := newBroker(open(), aws, &now)
		asks := func(approvers ...string) {
			e := entry()
			e.Approval = registry.Approval{Required: 2, Approvers: approvers}
			b.Rules = registryOf{e}
		}
		asks("ann", "ben", "cid")
		id := file(t, b)
		approve := func(who string) error {
			g, err := b.Store.Grant(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			_, err = b.Decide(t.Context(), id, broker.Reviewer{ID: who}, true, g.Hash, "", func(_ context.Context, id string) (broker.Reviewer, error) { return broker.Reviewer{ID: id}, nil })
			return err
		}
		state := func() broker.State {
			g, err := b.Store.Grant(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			return g.State
		}
		if err := approve("ben"); err != nil {
			t.Fatal(err)
		}
		asks("ann", "cid", "dora")
		if err := approve("ann"); err != nil || state() != broker.Awaiting {
			t.Errorf("%v, %s: ben counts no more", err, state())
		}
		// Nor does whoever came into the entry after it was filed: the request asks those whom both name.
		if err := approve("dora"); !errors.Is(err, broker.ErrNotYours) {
			t.Errorf("%v, want ErrNotYours", err)
		}
		asks("ann", "dora")
		if err := approve("cid"); !errors.Is(err, broker.ErrNotYours) {
			t.Errorf("%v, want ErrNotYours", err)
		}
		asks("ann", "cid")
		if err := approve("cid"); err != nil || state() != broker.Active {
			t.Errorf("%v, %s", err, state())
		}
	})
}

// TestOvertaken: where a role has no room for one more deny, all its older sessions are cut; the other grants of the role are told, and their next demand is a new session in every daemon (30).
func TestOvertaken(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		a, b := newBroker(open(), aws, &now), newBroker(open(), aws, &now)
		revoked, other := file(t, a), file(t, a)
		for _, id := range []string{revoked, other} {
			if _, err := a.Issue(t.Context(), id, ci(), broker.Demand{}); err != nil {
				t.Fatal(err)
			}
		}
		now = now.Add(time.Minute)
		aws.full = now
		if _, err := b.Revoke(t.Context(), revoked, "ops", "incident"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Sweep(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		g, err := b.Store.Grant(t.Context(), revoked)
		if err != nil || g.Effects[0].Kind != broker.DenyOlder || !g.Effects[0].Older.Equal(now) {
			t.Errorf("%+v, %v", g.Effects, err)
		}
		calls := aws.calls
		now = now.Add(time.Minute)
		if _, err := a.Issue(t.Context(), other, ci(), broker.Demand{}); err != nil || aws.calls != calls+1 {
			t.Errorf("%v, AWS was asked %d times more, want once: the daemon holds credentials that are cut", err, aws.calls-calls)
		}
		if g, err = b.Store.Grant(t.Context(), other); err != nil || g.State != broker.Active || g.Sessions[0].Overtaken.IsZero() || !g.Sessions[1].Overtaken.IsZero() {
			t.Errorf("%s %+v, %v", g.State, g.Sessions, err)
		}
	})
}

// TestLockSuspends: a lock stops what it matches, in every daemon from its commit on, and nothing else (34).
func TestLockSuspends(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		a, b := newBroker(open(), aws, &now), newBroker(open(), aws, &now)
		id := file(t, a)
		if _, err := a.Issue(t.Context(), id, ci(), broker.Demand{}); err != nil {
			t.Fatal(err)
		}
		_, suspended, err := b.Lock(t.Context(), broker.Lock{Kind: broker.LockAccount, Value: "222222222222", Reason: "incident 7", By: "ops"})
		if err != nil || len(suspended) != 1 || suspended[0] != id {
			t.Fatalf("suspended %v, error %v", suspended, err)
		}
		if _, err := a.Issue(t.Context(), id, ci(), broker.Demand{}); !errors.Is(err, broker.ErrNotInForce) {
			t.Errorf("error %v, want ErrNotInForce: the daemon held the credentials", err)
		}
		var refusal *broker.Refusal
		if _, err := a.File(t.Context(), ci(), broker.Ask{Entry: "ci", Target: role, Reason: "again"}, broker.Facts{Context: &cond.Context{}}); !errors.As(err, &refusal) || !strings.Contains(refusal.Why, "incident 7") {
			t.Errorf("a new request: %v", err)
		}
		if _, err := b.Sweep(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
		if !aws.denied[id+".1"] {
			t.Errorf("the sessions of the suspended grant were not cut: %v", aws.denied)
		}
		locks, err := a.Store.Locks(t.Context(), now)
		if err != nil || len(locks) != 1 {
			t.Fatalf("locks %v, error %v", locks, err)
		}
		if err := a.Store.Unlock(t.Context(), locks[0].ID, "ops", "over", now); err != nil {
			t.Fatal(err)
		}
		g, err := a.Decide(t.Context(), id, broker.Reviewer{ID: "ann"}, true, mustGrant(t, a, id).Hash, "", nil)
		if err != nil || g.State != broker.Active {
			t.Fatalf("a fresh approval: %v, error %v", g, err)
		}
		if _, err := a.Issue(t.Context(), id, ci(), broker.Demand{}); err != nil {
			t.Fatal(err)
		}
		for _, o := range aws.issued {
			if o.SourceIdentity == id+".2" && aws.denied[o.SourceIdentity] {
				t.Error("the deny that cut the old sessions cuts the new ones")
			}
		}
	})
}

func mustGrant(t *testing.T, b *broker.Broker, id string) *broker.Grant {
	t.Helper()
	g, err := b.Store.Grant(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestUpstreamAnswers: what is surely not issued does not count, what may be does, and only what is recorded is given out.
func TestUpstreamAnswers(t *testing.T) {
	stores(t, func(t *testing.T, open func() *Store) {
		now, aws := noon, newCloud()
		b := newBroker(open(), aws, &now)
		id := file(t, b)
		for name, tt := range map[string]struct {
			before, after error
			state         broker.SessionState
		}{
			"refused": {before: fmt.Errorf("%w: AccessDenied", broker.ErrNotIssued), state: broker.Failed},
			"lost":    {after: errors.New("connection reset"), state: broker.Unclear},
		} {
			aws.fail = func(int) (error, error) { return tt.before, tt.after }
			c, err := b.Issue(t.Context(), id, ci(), broker.Demand{Idempotency: name})
			if err == nil || c != (broker.Credentials{}) {
				t.Errorf("%s: %v, error %v", name, c, err)
			}
			g := mustGrant(t, b, id)
			if s := g.Sessions[len(g.Sessions)-1]; s.State != tt.state {
				t.Errorf("%s: the session is %s, want %s", name, s.State, tt.state)
			}
		}
		if s := fmt.Sprintf("%v %+v", broker.Credentials{SecretAccessKey: audit.Secret("canary")}, broker.Credentials{SecretAccessKey: "canary"}); strings.Contains(s, "canary") {
			t.Errorf("printed: %s", s)
		}
	})
}
