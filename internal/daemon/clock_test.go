package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// machine is a machine with a clock that somebody may set, and the world around it.
type machine struct {
	true_     time.Time     // what time it is
	off       time.Duration // of the machine's clock from it
	count     time.Duration
	asked     int
	silent    bool      // AWS does not answer
	latest    time.Time // what was committed
	corrected time.Time
}

func (m *machine) passes(d time.Duration) {
	m.true_ = m.true_.Add(d)
	m.count += d
}

func (m *machine) Latest(context.Context) (time.Time, error) { return m.latest, nil }

func (m *machine) SetBack(_ context.Context, at time.Time) error { m.corrected = at; return nil }

func newMachine() (*machine, *clock, *bytes.Buffer) {
	var log bytes.Buffer
	m := &machine{true_: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}
	c := &clock{store: m, log: slog.New(slog.NewTextHandler(&log, nil)), read: func() (time.Time, time.Duration) { return m.true_.Add(m.off), m.count },
		witness: func(context.Context) (time.Time, error) {
			m.asked++
			if m.silent {
				return time.Time{}, errors.New("no answer")
			}
			return m.true_.Truncate(time.Second), nil
		}}
	return m, c, &log
}

// TestClock: whatever becomes of the machine's clock, the broker's time goes on, and nothing is issued from a jump on until AWS has said what time it is (49).
func TestClock(t *testing.T) {
	near := func(a, b time.Time) bool { return a.Sub(b).Abs() <= 3*time.Second }
	for name, tt := range map[string]struct {
		jump    time.Duration
		suspend bool // the machine slept: what counts stood still, and the clock is right after it
	}{
		"back": {-3 * time.Hour, false}, "back a little": {-5 * time.Second, false}, "forward": {400 * 24 * time.Hour, false}, "asleep": {9 * time.Hour, true},
	} {
		t.Run(name, func(t *testing.T) {
			m, c, log := newMachine()
			m.silent = true
			if err := c.begin(t.Context()); err != nil {
				t.Fatal(err)
			}
			if c.Trouble() != nil || !near(c.Now(), m.true_) {
				t.Errorf("at the start: %v", c.Trouble())
			}
			m.passes(time.Hour)
			before := c.Now()
			if tt.suspend {
				m.true_ = m.true_.Add(tt.jump)
			} else {
				m.off = tt.jump
			}
			if after := c.Now(); !near(after, before) {
				t.Errorf("the broker's time jumped from %v to %v", before, after)
			}
			if c.Trouble() == nil || !strings.Contains(log.String(), "in doubt") {
				t.Error("a jump was not seen")
			}
			for range 3 {
				m.passes(time.Minute)
				if c.Check(t.Context()) || c.Trouble() == nil {
					t.Error("without an answer it is certain what time it is")
				}
			}
			if !near(c.Now(), before.Add(3*time.Minute)) {
				t.Errorf("meanwhile it is %v", c.Now())
			}
			m.silent = false
			// A few seconds are within what the witness can tell.
			if !c.Check(t.Context()) || c.Trouble() != nil || c.Now().Sub(m.true_).Abs() > 10*time.Second {
				t.Errorf("it is %v, the broker says %v, %v", m.true_, c.Now(), c.Trouble())
			}
			m.passes(time.Hour)
			if c.Trouble() != nil || c.Now().Sub(m.true_).Abs() > 10*time.Second {
				t.Errorf("an hour later it is %v, the broker says %v, %v", m.true_, c.Now(), c.Trouble())
			}
		})
	}
	t.Run("starting in the past", func(t *testing.T) {
		m, c, _ := newMachine()
		m.silent, m.off, m.latest = true, -48*time.Hour, m.true_.Add(-time.Minute)
		if err := c.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if c.Trouble() == nil || c.Now().Before(m.latest) {
			t.Errorf("it is %v where %v was committed, %v", c.Now(), m.latest, c.Trouble())
		}
		m.silent = false
		if !c.Check(t.Context()) || c.Trouble() != nil || !near(c.Now(), m.true_) {
			t.Errorf("%v, %v", c.Now(), c.Trouble())
		}
	})
	t.Run("starting in the future", func(t *testing.T) {
		m, c, log := newMachine()
		m.off = 1000 * time.Hour
		if err := c.begin(t.Context()); err != nil || !near(c.Now(), m.true_) || c.Trouble() != nil || !strings.Contains(log.String(), "machine's clock is wrong by") {
			t.Errorf("%v, %v: %s", c.Now(), err, log)
		}
		m.off = 0 // somebody sets it right
		if c.Trouble() == nil {
			t.Error("a jump was not seen")
		}
		if !c.Check(t.Context()) || !near(c.Now(), m.true_) || c.offset != 0 {
			t.Errorf("%v, offset %v", c.Now(), c.offset)
		}
	})
	t.Run("slowly", func(t *testing.T) {
		m, c, _ := newMachine()
		for range 1000 {
			m.passes(time.Second)
			m.off += time.Millisecond // as a clock is set that differs a little
			if c.Trouble() != nil {
				t.Fatal(c.Trouble())
			}
		}
	})
}

// TestClockIsCorrected: a time that another daemon committed, whose clock is ahead, stops this one until AWS has said that it has not come; then it is set back.
func TestClockIsCorrected(t *testing.T) {
	m, c, _ := newMachine()
	m.latest, m.silent = m.true_.AddDate(1, 0, 0), true
	if err := c.begin(t.Context()); err != nil || c.Trouble() == nil || !m.corrected.IsZero() {
		t.Fatalf("error %v, doubt %v, set back to %v", err, c.Trouble(), m.corrected)
	}
	m.silent = false
	if err := c.settle(t.Context()); err != nil || c.Trouble() != nil || m.corrected.Sub(m.true_).Abs() > agree || c.Now().Sub(m.true_).Abs() > agree {
		t.Errorf("error %v, doubt %v, set back to %v, now %v", err, c.Trouble(), m.corrected, c.Now())
	}
}

func TestDateOf(t *testing.T) {
	for status, header := range map[int]string{200: "", 302: "", 403: "", 500: "", 201: "no date"} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set("Date", header)
			}
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
		}))
		got, err := dateOf(s.URL)(t.Context())
		if (err == nil) != (header == "") || err == nil && time.Since(got).Abs() > time.Minute {
			t.Errorf("status %d: %v, error %v", status, got, err)
		}
		s.Close()
	}
}
