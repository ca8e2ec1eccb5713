package daemon

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drawbridge/internal/broker"
)

// TestTogether: calls that are the same, at the same time and from the same address, are one; later or from elsewhere they are refused, and a refused one opens no door for the next.
func TestTogether(t *testing.T) {
	var k together
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var spent sync.Map // the store, by signature alone
	var asked atomic.Int32
	take := func(signature, host string, at time.Time) error {
		return k.take(t.Context(), signature+" "+host, at, func() error {
			asked.Add(1)
			if _, there := spent.LoadOrStore(signature, true); there {
				return broker.ErrSpent
			}
			return nil
		})
	}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if err := take("a", "10.0.0.1", now); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if asked.Load() != 1 {
		t.Errorf("the store was asked %d times", asked.Load())
	}
	for name, tt := range map[string]struct {
		host string
		at   time.Time
		want error
	}{
		"a moment later": {"10.0.0.1", now.Add(moments), nil},
		"from elsewhere": {"10.0.0.2", now, broker.ErrSpent},
	} {
		for range 3 {
			if err := take("a", tt.host, tt.at); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	for range 3 {
		if err := take("a", "10.0.0.1", now.Add(moments+time.Millisecond)); !errors.Is(err, broker.ErrSpent) {
			t.Errorf("later: %v", err)
		}
	}
	// One that waits for another's answer may stop waiting.
	began, end := make(chan struct{}), make(chan struct{})
	go func() { _ = k.take(t.Context(), "b", now, func() error { close(began); <-end; return nil }) }()
	<-began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.take(ctx, "b", now, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("one that stopped waiting: %v", err)
	}
	close(end)
}
