package collect

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"drawbridge/internal/sealed"
	"drawbridge/internal/snapshot"
)

// TestMeasure prints what docs/collect.md says of rate and memory. It runs where DRAWBRIDGE_MEASURE names numbers of accounts: DRAWBRIDGE_MEASURE=20,200,2000 go test -run TestMeasure -v ./internal/collect
func TestMeasure(t *testing.T) {
	for _, text := range strings.FieldsFunc(os.Getenv("DRAWBRIDGE_MEASURE"), func(r rune) bool { return r == ',' }) {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, encrypted := range []bool{false, true} {
			measure(t, n, encrypted)
		}
	}
}

func measure(t *testing.T, n int, encrypted bool) {
	o := &fakeOrganization{accounts: n, roles: 19}
	opts := options(o, filepath.Join(t.TempDir(), "snapshot"))
	opts.Parallel = 0
	id, to := identity(t)
	if encrypted {
		opts.EncryptTo = to
	}
	var peak uint64
	opts.Progress = func(p Progress) {
		if p.Account != "" && p.Done%max(1, n/20) == 0 {
			peak = max(peak, live())
		}
	}
	began := time.Now()
	result, err := Run(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	began = time.Now()
	fsys := os.DirFS(opts.Out)
	if encrypted {
		if fsys, err = sealed.Open(fsys, []age.Identity{id}); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := snapshot.ReadFS(fsys); err != nil || len(s.Roles) == 0 {
		t.Fatal(err)
	}
	t.Logf("encrypted %t: read again in %.1f s", encrypted, time.Since(began).Seconds())
	t.Logf("%d accounts: %d calls in %.1f s, %.0f a second; peak of the live heap %.1f MiB, of the system %.1f MiB", n, result.Calls, took.Seconds(), float64(result.Calls)/took.Seconds(), float64(peak)/(1<<20), float64(m.Sys)/(1<<20))
}
