package notify_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/notify"
	"drawbridge/internal/sqlstore"
)

type event struct {
	What string `json:"what"`
	kind string
}

func (e event) Kind() string { return e.kind }

// ear is an address that is told, and refuses while it is told to.
type ear struct {
	t      *testing.T
	url    string
	mu     sync.Mutex
	heard  []int64
	refuse bool
}

func newEar(t *testing.T) *ear {
	e := &ear{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var m notify.Message
		if err := json.Unmarshal(body, &m); err != nil {
			t.Error(err)
		}
		stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get(notify.SignatureHeader), "t="), ",")
		var seconds int64
		if _, err := fmt.Sscan(stamp, &seconds); err != nil || r.Header.Get(notify.SignatureHeader) != notify.Sign("secret", time.Unix(seconds, 0), body) || notify.Sign("other", time.Unix(seconds, 0), body) == r.Header.Get(notify.SignatureHeader) {
			t.Errorf("signed %q", r.Header.Get(notify.SignatureHeader))
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if m.Link != "https://broker.example/requests/"+m.About || m.Actor != "ann" {
			t.Errorf("told %+v", m)
		}
		e.heard = append(e.heard, m.ID)
	}))
	t.Cleanup(server.Close)
	e.url = server.URL
	return e
}

func (e *ear) all() []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.heard)
}

// TestTell: what happens after an address is known is told to it in order, each until it is taken; what it did not ask for is not; an address that refuses stops no other.
func TestTell(t *testing.T) {
	ctx := t.Context()
	store, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	record := func(kind string) {
		t.Helper()
		if err := store.Record(ctx, now, "ann", "r-1", event{"x", kind}); err != nil {
			t.Fatal(err)
		}
	}
	good, bad := newEar(t), newEar(t)
	bad.refuse = true
	failed := 0
	sender := func(holder string) *notify.Sender {
		return &notify.Sender{Hooks: []notify.Hook{{Name: "good", URL: good.url, Secret: audit.Secret("secret")}, {Name: "bad", URL: bad.url, Secret: audit.Secret("secret"), Kinds: []string{"request.filed", "audit.read"}}}, Log: store, Cursors: store,
			Holder: holder, Client: http.DefaultClient, Now: func() time.Time { return now }, Link: func(_, about string) string { return "https://broker.example/requests/" + about }, Failed: func(string, error) { failed++ }}
	}
	a, b := sender("a"), sender("b")
	record("request.filed") // before anybody was to be told
	a.Step(ctx)
	if len(good.all()) > 0 {
		t.Errorf("told what was before: %v", good.all())
	}
	for _, kind := range []string{"request.filed", "audit.read", "request.decided", "lock.set"} { // 1 to 4
		record(kind)
	}
	a.Step(ctx)
	if got := good.all(); !slices.Equal(got, []int64{1, 3, 4}) {
		t.Errorf("told %v", got)
	}
	if len(bad.all()) > 0 || failed != 1 {
		t.Errorf("the other: %v, %d failures", bad.all(), failed)
	}
	a.Step(ctx) // too soon for the one that refused
	if failed != 1 {
		t.Errorf("tried again at once")
	}
	// Another daemon goes on where this one was.
	record("grant.revoked")
	bad.mu.Lock()
	bad.refuse = false
	bad.mu.Unlock()
	var wait sync.WaitGroup
	for _, s := range []*notify.Sender{a, b} {
		wait.Go(func() { s.Step(ctx) })
	}
	wait.Wait()
	now = now.Add(10 * time.Minute)
	for range 3 {
		a.Step(ctx)
		b.Step(ctx)
	}
	if got := good.all(); !slices.Equal(got, []int64{1, 3, 4, 5}) {
		t.Errorf("told by two: %v", got)
	}
	if got := bad.all(); !slices.Equal(got, []int64{1, 2}) {
		t.Errorf("told when it took it: %v", got)
	}
}

// TestClaim: one daemon at a time tells an address; one that died leaves it to others after a while.
func TestClaim(t *testing.T) {
	ctx := context.Background()
	store, err := sqlstore.Open(ctx, "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	claim := func(holder string, at time.Time) (int64, bool) {
		t.Helper()
		next, ok, err := store.Claim(ctx, "h", holder, 7, at, at.Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return next, ok
	}
	if next, ok := claim("a", now); !ok || next != 7 {
		t.Errorf("the first: %d %v", next, ok)
	}
	if _, ok := claim("b", now); ok {
		t.Error("two at once")
	}
	if next, ok := claim("b", now.Add(2*time.Minute)); !ok || next != 7 {
		t.Errorf("after it died: %d %v", next, ok)
	}
	if err := store.Advance(ctx, "h", "a", 9); err != nil { // it did not die
		t.Fatal(err)
	}
	if err := store.Advance(ctx, "h", "b", 8); err != nil {
		t.Fatal(err)
	}
	if next, ok := claim("a", now.Add(2*time.Minute)); !ok || next != 8 {
		t.Errorf("after it was told: %d %v", next, ok)
	}
}

// TestAddressIsNotTold: the addresses of some receivers are secrets. What goes wrong with one is told without it.
func TestAddressIsNotTold(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var told []string
	now := time.Now()
	s := &notify.Sender{Log: store, Cursors: store, Holder: "a", Client: http.DefaultClient, Now: func() time.Time { return now }, Failed: func(_ string, err error) { told = append(told, err.Error()) }}
	for i, address := range []string{gone.URL + "/services/canary", "http://user:canary@" + strings.TrimPrefix(gone.URL, "http://"), "http://canary.invalid:99999/", "http://a b/canary"} {
		s.Hooks = []notify.Hook{{Name: fmt.Sprint("h", i), URL: address, Secret: "canary-secret-of-the-hook", Kinds: []string{"thing"}}}
		s.Step(t.Context())
		if err := store.Record(t.Context(), now, "ann", "r-1", event{"x", "thing"}); err != nil {
			t.Fatal(err)
		}
		s.Step(t.Context())
	}
	if len(told) != 4 {
		t.Errorf("told %q", told)
	}
	for _, text := range told {
		if strings.Contains(text, "canary") {
			t.Errorf("told %q", text)
		}
	}
}
