package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// clock is the time that a broker goes by. It follows the machine's clock as long as that goes on steadily, measured by one that only counts. Where it jumps, or is behind what was committed, it is in doubt: the broker's time counts on from where it was, and
// nothing is issued until a witness has said what time it is (49). What is taken back is taken back all the same.
type clock struct {
	// read gives the machine's time of day, and a count that nobody sets.
	read func() (wall time.Time, count time.Duration)
	// witness is somebody else's time: that of AWS, by which sessions begin and end.
	witness func(context.Context) (time.Time, error)
	// store knows what was committed; nil where a test moves the time by which requests are judged.
	store interface {
		Latest(context.Context) (time.Time, error)
		SetBack(context.Context, time.Time) error
	}
	log *slog.Logger

	mu     sync.Mutex
	wall   time.Time     // when it was read last
	count  time.Duration //
	offset time.Duration // of the broker's time from the machine's
	doubt  error
}

const (
	// jump is how much the machine's clock may differ from the count between two readings.
	jump = 2 * time.Second
	// agree is how near the witness must be.
	agree = time.Minute
	// checkEvery is how often the witness is asked, and doubtEvery how often while the clock is in doubt.
	checkEvery = 10 * time.Minute
	doubtEvery = 5 * time.Second
	// witnessPatience is how long the witness is waited for.
	witnessPatience = 3 * time.Second
)

// newClock is one by the machine's clocks.
func newClock(log *slog.Logger) *clock {
	start := time.Now()
	return &clock{log: log, read: func() (time.Time, time.Duration) {
		now := time.Now()
		return now.Round(0), now.Sub(start) // Round takes what counts away
	}}
}

// Now is the broker's time.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *clock) now() time.Time {
	wall, count := c.read()
	if !c.wall.IsZero() {
		if gap := wall.Sub(c.wall) - (count - c.count); gap.Abs() > jump {
			c.offset -= gap
			c.suspect(fmt.Errorf("the machine's clock jumped by %v", gap.Round(time.Second)))
		}
	}
	c.wall, c.count = wall, count
	return wall.Add(c.offset)
}

// suspect puts the clock in doubt.
func (c *clock) suspect(why error) {
	if c.doubt == nil {
		c.log.Error("the clock is in doubt: nothing is issued until AWS has said what time it is", "why", why)
	}
	c.doubt = why
}

// Trouble is why nothing is issued; nil where the clock is not in doubt.
func (c *clock) Trouble() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
	return c.doubt
}

// NotBefore holds the clock against a moment that is surely over: one that was committed.
func (c *clock) NotBefore(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if behind := t.Sub(c.now()); behind > agree {
		c.offset += behind
		c.suspect(fmt.Errorf("the machine's clock is %v behind what was committed", behind.Round(time.Second)))
	}
}

// Check asks the witness, and goes by what it says. It reports whether the witness answered.
func (c *clock) Check(ctx context.Context) bool {
	asked, cancel := context.WithTimeout(ctx, witnessPatience)
	defer cancel()
	t, err := c.witness(asked)
	if err != nil {
		if ctx.Err() == nil {
			c.log.Warn("AWS did not say what time it is", "error", err)
		}
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	own := c.now()
	c.offset = 0
	if wrong := t.Sub(c.wall); wrong.Abs() > agree {
		c.offset = wrong
	}
	if moved := c.wall.Add(c.offset).Sub(own); moved.Abs() > jump {
		c.log.Warn("the broker's time is set by what AWS says", "by", moved.Round(time.Second), "machine's clock is wrong by", -c.offset.Round(time.Second))
	}
	if c.doubt != nil {
		c.log.Info("the clock is not in doubt any more", "was", c.doubt)
	}
	c.doubt = nil
	return true
}

// begin holds the clock against what was committed, and asks the witness.
func (c *clock) begin(ctx context.Context) error {
	if c.store == nil {
		return c.settle(ctx)
	}
	latest, err := c.store.Latest(ctx)
	if err != nil {
		return err
	}
	c.NotBefore(latest)
	return c.settle(ctx)
}

// watch reads the clock, so that a jump is seen, holds it against what others commit, and asks the witness now and then.
func (c *clock) watch(ctx context.Context) {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	compared, asked := c.steady(), c.steady() // it was asked at the start
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		trouble, now := c.Trouble(), c.steady()
		if c.store != nil && now-compared >= doubtEvery {
			compared = now
			switch latest, err := c.store.Latest(ctx); {
			case err == nil:
				c.NotBefore(latest)
			case ctx.Err() == nil:
				c.log.Error("holding the clock against what was committed", "error", err)
			}
		}
		if now-asked < doubtEvery || trouble == nil && now-asked < checkEvery {
			continue
		}
		asked = now
		if err := c.settle(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("setting back what was committed by a clock that was ahead", "error", err)
		}
	}
}

// settle asks the witness. Where it answers the time is right, and what was committed later than that was by a clock that was ahead.
func (c *clock) settle(ctx context.Context) error {
	if !c.Check(ctx) || c.store == nil {
		return nil
	}
	return c.store.SetBack(ctx, c.Now())
}

// steady is the count that nobody sets.
func (c *clock) steady() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now()
	return c.count
}

func (c *clock) register(r *prometheus.Registry) {
	r.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "drawbridge_clock_in_doubt", Help: "1 while nothing is issued because it is not known what time it is."}, func() float64 {
			if c.Trouble() != nil {
				return 1
			}
			return 0
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "drawbridge_clock_offset_seconds", Help: "How far the broker's time is from the machine's."}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.offset.Seconds()
		}))
}

// now is the time by which requests and offboardings are judged: the clock's, but in a test that moves it.
func (d *Daemon) now() time.Time {
	if d.config.Now != nil {
		return d.config.Now()
	}
	return d.clock.Now()
}

// dateOf asks an address what time it is, by the header that every answer of AWS has, refusals too.
func dateOf(address string) func(context.Context) (time.Time, error) {
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return func(ctx context.Context) (time.Time, error) {
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return time.Time{}, fmt.Errorf("asking %s for the time: %w", address, err)
		}
		a, err := client.Do(q)
		if err != nil {
			return time.Time{}, fmt.Errorf("asking for the time: %w", err)
		}
		defer a.Body.Close()
		t, err := http.ParseTime(a.Header.Get("Date"))
		if err != nil {
			return time.Time{}, errors.New("the answer does not say what time it is")
		}
		return t, nil
	}
}
