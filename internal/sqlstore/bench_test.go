package sqlstore

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"drawbridge/internal/broker"
	"drawbridge/internal/sqlstore/pgtest"
)

// BenchmarkIssue is what the store does for one issue: intent and outcome, each committed with its record.
func BenchmarkIssue(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, callers := range []int{1, 8, 32, 64} {
			b.Run(fmt.Sprintf("%s/%d", kind, callers), func(b *testing.B) {
				address := "sqlite:" + filepath.Join(b.TempDir(), "x.db")
				if kind == "postgres" {
					address = pgtest.URL(b)
				}
				s, err := Open(b.Context(), address)
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				terms := automatic()
				for i := range callers {
					if err := s.File(b.Context(), change(fmt.Sprint("req-", i), terms, noon), noon); err != nil {
						b.Fatal(err)
					}
				}
				var n atomic.Int64
				var wait sync.WaitGroup
				b.ResetTimer()
				for i := range callers {
					wait.Go(func() {
						id := fmt.Sprint("req-", i)
						for j := n.Add(1); j <= int64(b.N); j = n.Add(1) {
							now := noon.Add(time.Duration(j) * time.Millisecond)
							session := fmt.Sprint("s", j)
							g, err := s.Update(b.Context(), id, now, func(g *broker.Grant, locks []broker.Lock) (*broker.Change, error) {
								a, err := broker.Issue(g, &g.Subject, broker.Demand{ID: session}, locks, now)
								return a.Change, err
							})
							if err != nil {
								b.Error(err)
								return
							}
							_ = g
							if _, err := s.Update(b.Context(), id, now, func(g *broker.Grant, _ []broker.Lock) (*broker.Change, error) {
								c, _, err := broker.Settle(g, session, broker.Outcome{State: broker.Failed, Why: "bench"}, now)
								return c, err
							}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wait.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "issues/s")
			})
		}
	}
}

// BenchmarkBroker is a whole issue: the grant is read and held against the registry, the intent is committed with its record, AWS (which answers at once) is asked, the outcome is committed with its record, and the credentials are given
// out. Each is of another grant, so that none is answered with a session that lives. The 99th of a hundred is reported beside the rate.
func BenchmarkBroker(b *testing.B) {
	for _, kind := range []string{"sqlite", "postgres"} {
		for _, callers := range []int{1, 8, 32, 64} {
			b.Run(fmt.Sprintf("%s/%d", kind, callers), func(b *testing.B) {
				address := "sqlite:" + filepath.Join(b.TempDir(), "x.db")
				if kind == "postgres" {
					address = pgtest.URL(b)
				}
				s, err := Open(b.Context(), address)
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				now := noon
				broke := newBroker(s, newCloud(), &now)
				grants := make([]string, b.N)
				var next atomic.Int64
				each := func(do func(i int)) {
					next.Store(0)
					var wait sync.WaitGroup
					for range callers {
						wait.Go(func() {
							for i := next.Add(1) - 1; i < int64(b.N); i = next.Add(1) - 1 {
								do(int(i))
							}
						})
					}
					wait.Wait()
				}
				each(func(i int) { grants[i] = file(b, broke) })
				took := make([]time.Duration, b.N)
				b.ResetTimer()
				each(func(i int) {
					start := time.Now()
					if _, err := broke.Issue(b.Context(), grants[i], ci(), broker.Demand{Lower: true}); err != nil {
						b.Error(err)
					}
					took[i] = time.Since(start)
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "issues/s")
				slices.Sort(took)
				b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			})
		}
	}
}
