package sqlstore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/sqlstore/pgtest"
)

// The names under which a process that is to be killed is told what to do.
const (
	killStore = "DRAWBRIDGE_TEST_KILL_STORE"
	killCloud = "DRAWBRIDGE_TEST_KILL_CLOUD" // a file in which the AWS of the test notes what it did
	killStep  = "DRAWBRIDGE_TEST_KILL_STEP"  // where the process kills itself; 0: it works until it is killed
)

// die ends the process as a loss of power would: nothing is finished, nothing is closed.
func die() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

// dying counts steps, and dies at one.
type dying struct{ at, step atomic.Int64 }

func (d *dying) here() {
	if d.step.Add(1) == d.at.Load() {
		die()
	}
}

// deadly is a store whose process dies before or after a commit.
type deadly struct {
	broker.Store
	*dying
}

func (d *deadly) File(ctx context.Context, c *broker.Change, at time.Time) error {
	d.here()
	err := d.Store.File(ctx, c, at)
	d.here()
	return err
}

func (d *deadly) Update(ctx context.Context, id string, at time.Time, do func(*broker.Grant, []broker.Lock) (*broker.Change, error)) (*broker.Grant, error) {
	d.here()
	g, err := d.Store.Update(ctx, id, at, do)
	d.here()
	return g, err
}

// noted is an AWS that outlives the process: it notes in a file what it did. The process dies before or after it does.
type noted struct {
	*dying
	file *os.File
}

func (n *noted) note(format string, args ...any) {
	if _, err := fmt.Fprintf(n.file, format+"\n", args...); err != nil {
		panic(err)
	}
}

func (n *noted) Issue(_ context.Context, p *broker.Permit) (broker.Credentials, error) {
	o, err := p.Take()
	if err != nil {
		return broker.Credentials{}, err
	}
	n.here()
	n.note("issued %s %s", o.Session, o.SourceIdentity)
	n.here()
	return broker.Credentials{AccessKeyID: "ASIA" + o.Session, SecretAccessKey: "canary-secret", SessionToken: "canary-token"}, nil
}

func (n *noted) Carry(_ context.Context, e broker.Effect) (broker.Carried, error) {
	n.here()
	n.note("denied %s", e.Source)
	n.here()
	return broker.Carried{At: noon}, nil
}

func (n *noted) Lift(_ context.Context, e broker.Effect) error {
	return fmt.Errorf("%s is not over, and its deny is not lifted", e.Source)
}

// TestToBeKilled is the process that is killed; by itself it is no test.
func TestToBeKilled(t *testing.T) {
	address := os.Getenv(killStore)
	if address == "" {
		t.Skip("it is run by TestKilled")
	}
	at, err := strconv.ParseInt(os.Getenv(killStep), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	d := &dying{}
	d.at.Store(at)
	notes, err := os.OpenFile(os.Getenv(killCloud), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	now := latest(t, s)
	aws := &noted{d, notes}
	b := newBroker(&deadly{s, d}, nil, &now)
	b.Issuer, b.Revoker = aws, aws
	b.NewID = func() string { return fmt.Sprintf("p%d-%d", os.Getpid(), ids.Add(1)) }
	life := func() {
		id := file(t, b)
		aws.note("begun %s", id)
		for i := range 2 {
			c, err := b.Issue(t.Context(), id, ci(), broker.Demand{Idempotency: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			aws.note("given %s", strings.TrimPrefix(c.AccessKeyID, "ASIA"))
		}
		if _, err := b.Revoke(t.Context(), id, "ops", "incident"); err != nil {
			t.Fatal(err)
		}
		aws.note("fenced %s", id)
		if _, err := b.Sweep(t.Context(), 100); err != nil {
			t.Fatal(err)
		}
	}
	if at > 0 {
		life()
		return
	}
	for range 4 { // until somebody kills it, in the middle of anything
		go func() {
			for {
				life()
			}
		}()
	}
	select {}
}

// kill runs the process until it dies, and gives what AWS did; lived says that it came to its end.
func kill(t *testing.T, address string, step int, log string, when func(lines int) bool) (lived bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self, "-test.run=^TestToBeKilled$")
	c.Env = append(os.Environ(), killStore+"="+address, killStep+"="+strconv.Itoa(step), killCloud+"="+log)
	var out strings.Builder
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for {
		select {
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				return false
			}
			if err != nil {
				t.Fatalf("the process failed: %v: %s", err, out.String())
			}
			return true
		case <-time.After(5 * time.Millisecond):
			if when != nil && when(len(lines(t, log))) {
				_ = c.Process.Kill()
				when = nil
			}
		}
	}
}

func lines(t *testing.T, name string) []string {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	for s := bufio.NewScanner(f); s.Scan(); {
		out = append(out, s.Text())
	}
	return out
}

// settle takes back what a killed process left, as the next one would, and holds what AWS did against what the store knows.
func settle(t *testing.T, s *Store, log string) {
	t.Helper()
	now, aws := noon, newCloud()
	for _, line := range lines(t, log) {
		switch f := strings.Fields(line); f[0] {
		case "issued":
			aws.issued[f[1]] = broker.Order{SourceIdentity: f[2]}
		case "denied":
			aws.denied[f[1]] = true
		}
	}
	b := newBroker(s, aws, &now)
	b.NewID = func() string { return fmt.Sprintf("n%d-%d", os.Getpid(), ids.Add(1)) }
	sessions := make(map[string]broker.Session)
	fenced := make(map[string]bool)
	for after := ""; ; {
		list, next, err := s.Grants(t.Context(), broker.Filter{After: after})
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			g := &list[i]
			fenced[g.ID] = g.State.Fenced()
			for _, x := range g.Sessions {
				sessions[x.ID] = x
			}
			if _, err := b.Revoke(t.Context(), g.ID, "ops", "after the crash"); err != nil && !errors.Is(err, broker.ErrDecided) {
				t.Fatal(err)
			}
		}
		if after = next; next == "" {
			break
		}
	}
	for _, line := range lines(t, log) {
		switch f := strings.Fields(line); f[0] {
		case "issued": // 2
			if _, ok := sessions[f[1]]; !ok {
				t.Errorf("AWS issued session %s, and no intent of it is recorded", f[1])
			}
		case "given": // 1
			if x := sessions[f[1]]; x.State != broker.Issued {
				t.Errorf("session %s was given out, and is recorded as %s", f[1], x.State)
			}
		case "fenced": // 25, 26
			if !fenced[f[1]] {
				t.Errorf("request %s was said to be fenced, and is not", f[1])
			}
		}
	}
	for range 3 {
		if _, err := b.Sweep(t.Context(), 10_000); err != nil {
			t.Fatal(err)
		}
		now = now.Add(broker.Propagation)
	}
	f, err := os.OpenFile(log, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for source := range aws.denied {
		fmt.Fprintln(f, "denied", source) // for the next process
	}
	for session, o := range aws.issued { // 27
		if !aws.denied[o.SourceIdentity] {
			t.Errorf("AWS issued session %s, and it was not cut", session)
		}
	}
	if list, _, err := s.Grants(t.Context(), broker.Filter{States: []broker.State{broker.Active, broker.Approved, broker.Revoking, broker.Stuck}}); err != nil || len(list) > 0 {
		t.Errorf("%d grants are left over, error %v", len(list), err)
	}
	verify(t, s)
}

// TestKilled kills a real process, by a signal that it cannot catch, before and after each commit and each call of AWS in the life of a request, and in the middle of anything; what is left is taken up by the next process, and on
// PostgreSQL by another daemon that worked beside it all the time (47).
func TestKilled(t *testing.T) {
	for _, kind := range []string{"sqlite", "postgres"} {
		t.Run(kind, func(t *testing.T) {
			address := "sqlite:" + filepath.Join(t.TempDir(), "x.db")
			if kind == "postgres" {
				address = pgtest.URL(t)
			}
			log := filepath.Join(t.TempDir(), "aws")
			beside, err := Open(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { beside.Close() }()
			if err := beside.Record(t.Context(), noon, "ann", "test", note{}); err != nil {
				t.Fatal(err)
			}
			for step := 1; ; step++ {
				if kind == "sqlite" { // one process at a time
					beside.Close()
				}
				lived := kill(t, address, step, log, nil)
				if kind == "sqlite" {
					if beside, err = Open(t.Context(), address); err != nil {
						t.Fatalf("step %d: %v", step, err)
					}
				}
				if lived {
					if step < 15 {
						t.Errorf("a whole life has %d steps: the crashes were not tried", step)
					}
					break
				}
				settle(t, beside, log)
			}
			if n := len(lines(t, log)); n < 30 {
				t.Errorf("AWS noted %d things: it was not there", n)
			}
			// In the middle of anything: several callers at once, and no say in when.
			for _, after := range []int{3, 10, 25, 60, 100} {
				before := len(lines(t, log))
				if kind == "sqlite" {
					beside.Close()
				}
				kill(t, address, 0, log, func(n int) bool { return n >= before+after })
				if kind == "sqlite" {
					if beside, err = Open(t.Context(), address); err != nil {
						t.Fatal(err)
					}
				}
				settle(t, beside, log)
			}
		})
	}
}

// TestConnectionsLost ends the connections of two daemons to PostgreSQL again and again while they work. What was answered as done is done, once; what was answered as failed is done once or not at all; the log verifies.
func TestConnectionsLost(t *testing.T) {
	address := pgtest.URL(t)
	a, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	now, aws := noon, newCloud()
	brokers := []*broker.Broker{newBroker(a, aws, &now), newBroker(b, aws, &now)}
	id := file(t, brokers[0])
	var done, failed atomic.Int64
	var mu sync.Mutex
	answered := make(map[string]bool) // by what was recorded: was it answered as done
	given := make(map[string]bool)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				about := fmt.Sprintf("x-%d-%d", i, n)
				err := brokers[i%2].Store.Record(t.Context(), noon, "ann", about, note{})
				mu.Lock()
				answered[about] = err == nil
				mu.Unlock()
				if err != nil {
					failed.Add(1)
					continue
				}
				if done.Add(1)%40 == 0 {
					if c, err := brokers[i%2].Issue(t.Context(), id, ci(), broker.Demand{Idempotency: about}); err == nil {
						mu.Lock()
						given[c.AccessKeyID] = true
						mu.Unlock()
					}
				}
			}
		})
	}
	for round := range 12 {
		for done.Load() < int64(round*60) {
			time.Sleep(time.Millisecond)
		}
		// The reads are ended too: a daemon has no connection that is spared.
		if _, err := a.reads.ExecContext(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
			t.Logf("round %d: %v", round, err)
		}
	}
	end := done.Load() + 60
	for done.Load() < end {
		time.Sleep(time.Millisecond)
	}
	close(stop)
	wait.Wait()
	if failed.Load() == 0 {
		t.Error("no change met a lost connection: nothing was tried")
	}
	// Each read that meets a connection that was ended fails once; those that are left in the pool are met here.
	for _, s := range []*Store{a, b} {
		for well := 0; well < 20; well++ {
			if _, err := s.Head(t.Context()); err != nil {
				well = 0
			}
		}
	}
	verify(t, a)
	times := make(map[string]int)
	for from := int64(0); ; {
		list, err := b.Records(t.Context(), from, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range list {
			times[list[i].About]++
		}
		if from += int64(len(list)); len(list) == 0 {
			break
		}
	}
	for about, ok := range answered {
		if n := times[about]; n > 1 || ok && n != 1 {
			t.Errorf("%s was answered as done: %v; it is there %d times", about, ok, n)
		}
	}
	g := mustGrant(t, brokers[0], id)
	for key := range given {
		if !recorded(g, key) {
			t.Errorf("%s was given out and is not recorded as issued", key)
		}
	}
	if len(aws.issued) > broker.DefaultSessions {
		t.Errorf("AWS issued %d sessions, the terms have %d", len(aws.issued), broker.DefaultSessions)
	}
	t.Logf("%d changes done, %d failed, %d sessions", done.Load(), failed.Load(), len(aws.issued))
}

// note is an event that says nothing.
type note struct{}

func (note) Kind() string { return "test.note" }

var _ audit.Event = note{}

// TestStalled: a daemon that is lost in the middle of a change, with its machine or the network, so that PostgreSQL hears nothing of it any more, does not keep the others from changing anything for long; what it was at is not done.
func TestStalled(t *testing.T) {
	old := idle
	idle = 300 * time.Millisecond
	defer func() { idle = old }()
	address := pgtest.URL(t)
	lost, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer lost.Close()
	other, err := Open(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	holds, goOn, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	var once sync.Once
	go func() {
		ended <- lost.change(t.Context(), func(tx *tx) error {
			once.Do(func() { close(holds) })
			<-goOn
			return tx.log(noon, "ann", "lost", note{})
		})
	}()
	<-holds
	if err := other.Record(t.Context(), noon, "ann", "other", note{}); err != nil {
		t.Errorf("the other one: %v", err)
	}
	close(goOn)
	if err := <-ended; err != nil {
		t.Logf("the lost one: %v", err) // by the second try, alone, it may be done
	}
	list, err := other.Records(t.Context(), 0, 10)
	if err != nil || len(list) == 0 || list[0].About != "other" {
		t.Errorf("%d records, error %v", len(list), err)
	}
	verify(t, other)
}
