package daemon

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/audit"
	"drawbridge/internal/audit/witnesstest"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
	"drawbridge/internal/sqlstore"
	"drawbridge/internal/sqlstore/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// kept is a store with a keeper of its checkpoints, a witness, and a clock that stands still.
type kept struct {
	t       *testing.T
	address string
	dir     string
	config  Config
	now     time.Time
	store   *sqlstore.Store
	keeper  *keeper
	key     note.Verifier
	witness *witnesstest.Witness
	log     *bytes.Buffer
}

func keep(t *testing.T) *kept {
	dir := t.TempDir()
	return keepAt(t, dir, "sqlite:"+filepath.Join(dir, "x.db"))
}

func keepAt(t *testing.T, dir, address string) *kept {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	k := &kept{t: t, dir: dir, address: address, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), log: new(bytes.Buffer)}
	private, public, err := audit.NewKey(rand.Reader, "broker.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	if k.key, err = note.NewVerifier(public); err != nil {
		t.Fatal(err)
	}
	k.witness = witnesstest.New("witness.example/w1", k.key)
	server := httptest.NewServer(k.witness)
	t.Cleanup(server.Close)
	k.config.Audit.Key = filepath.Join(dir, "audit.key")
	if err := os.WriteFile(k.config.Audit.Key, []byte(private.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.config.Audit.Checkpoint = filepath.Join(dir, "checkpoint.txt")
	k.config.Audit.Witnesses = []WitnessKey{{URL: server.URL, Key: k.witness.Key}}
	if err := k.config.check(); err != nil {
		t.Fatal(err)
	}
	k.open()
	return k
}

// open opens the store, as a daemon does that starts.
func (k *kept) open() {
	var err error
	if k.store, err = sqlstore.Open(k.t.Context(), k.address); err != nil {
		k.t.Fatal(err)
	}
	store := k.store
	k.t.Cleanup(func() { _ = store.Close() })
	k.keeper = k.second(store)
}

func (k *kept) second(store *sqlstore.Store) *keeper {
	keeper, err := newKeeper(k.t.Context(), &k.config, store, slog.New(slog.NewTextHandler(k.log, nil)))
	if err != nil {
		k.t.Fatal(err)
	}
	keeper.now = func() time.Time { return k.now }
	keeper.forget() // so that reading begins by this clock
	return keeper
}

// closed closes the store, as a daemon does that stops.
func (k *kept) close() {
	if err := k.store.Close(); err != nil {
		k.t.Fatal(err)
	}
}

func (k *kept) record(n int, actor string) {
	for i := range n {
		if err := k.store.Record(k.t.Context(), k.now, actor, fmt.Sprint("r-", i), broker.GrantSuspended{Why: "y"}); err != nil {
			k.t.Fatal(err)
		}
	}
}

// sizes are those of the checkpoints that the store keeps.
func (k *kept) sizes() string {
	list, err := k.store.Checkpoints(k.t.Context(), 0, 100)
	if err != nil {
		k.t.Fatal(err)
	}
	var sizes []string
	for _, c := range list {
		sizes = append(sizes, fmt.Sprint(c.Size))
	}
	return strings.Join(sizes, " ")
}

// published is the checkpoint in the file.
func (k *kept) published() *audit.Checkpoint {
	text, err := os.ReadFile(k.config.Audit.Checkpoint)
	if err != nil {
		k.t.Fatal(err)
	}
	w, err := audit.ParseWitness(k.witness.Key)
	if err != nil {
		k.t.Fatal(err)
	}
	c, err := audit.OpenCheckpoint(text, k.key, w)
	if err != nil {
		k.t.Fatal(err)
	}
	return c
}

func (k *kept) round(closing bool) error {
	k.keeper.round(k.t.Context(), closing)
	return k.keeper.trouble()
}

func TestCheckpointsAreSigned(t *testing.T) {
	k := keep(t)
	if err := k.round(false); err != nil || k.sizes() != "" {
		t.Fatalf("of an empty log: %v, checkpoints %q", err, k.sizes())
	}
	k.record(5, "ann")
	if err := k.round(false); err != nil || k.sizes() != "5" {
		t.Fatalf("%v, checkpoints %q\n%s", err, k.sizes(), k.log)
	}
	if c := k.published(); c.Size != 5 || len(c.Cosigned) != 1 {
		t.Errorf("published %+v", c)
	}
	w := httptest.NewRecorder()
	(&Daemon{store: k.store, keeper: k.keeper}).checkpoint(w, httptest.NewRequest("GET", "/checkpoint", nil))
	if w.Body.String() != k.published0() {
		t.Errorf("served: %s", w.Body)
	}
	k.record(2, "ann")
	k.now = k.now.Add(59 * time.Minute)
	if k.round(false); k.sizes() != "5" {
		t.Errorf("before it was time: %s", k.sizes())
	}
	k.now = k.now.Add(time.Minute)
	if k.round(false); k.sizes() != "5 7" || k.published().Size != 7 {
		t.Errorf("when it was time: %s", k.sizes())
	}
	k.record(1, "ann")
	if k.round(true); k.sizes() != "5 7 8" || k.published().Size != 8 {
		t.Errorf("on closing: %s", k.sizes())
	}
	if k.round(true); k.sizes() != "5 7 8" {
		t.Errorf("on closing with nothing new: %s", k.sizes())
	}
	if got := strings.Join(k.witness.Calls(), ", "); got != "200 for 0, 200 for 5, 200 for 5, 200 for 7, 200 for 8" {
		t.Errorf("the witness was asked: %s", got)
	}
	// An hour later, with nothing new, the witness says again that it is so.
	k.now = k.now.Add(time.Hour)
	k.round(false)
	if got := k.witness.Calls(); len(got) != 6 || got[5] != "200 for 8" {
		t.Errorf("the witness was asked: %s", got)
	}
	// A daemon that starts later goes on from there.
	k.close()
	k.open()
	k.record(700, "ann")
	k.now = k.now.Add(time.Hour)
	if err := k.round(false); err != nil || k.sizes() != "5 7 8 708" || k.published().Size != 708 || len(k.published().Cosigned) != 1 {
		t.Errorf("after a restart: %v, %s\n%s", err, k.sizes(), k.log)
	}
	// And reads all of it again once a day.
	k.now = k.now.Add(25 * time.Hour)
	k.record(1, "ann")
	if err := k.round(false); err != nil || k.sizes() != "5 7 8 708 709" || !k.keeper.begun.Equal(k.now) {
		t.Errorf("a day later: %v, %s, begun %v", err, k.sizes(), k.keeper.begun)
	}
}

// TestForeignFile: what lies at a place and is no checkpoint of this log says nothing about it, is told, and is replaced by the next one.
func TestForeignFile(t *testing.T) {
	k := keep(t)
	if err := os.WriteFile(k.config.Audit.Checkpoint, []byte("all is well\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k.record(3, "ann")
	if err := k.round(false); err != nil || k.published().Size != 3 {
		t.Errorf("%v, published %s", err, k.published0())
	}
	if !strings.Contains(k.log.String(), "is no checkpoint of this log") {
		t.Errorf("the log says nothing: %s", k.log)
	}
	// Where it is not known what lies there, nothing is signed.
	k = keep(t)
	if err := os.Mkdir(k.config.Audit.Checkpoint, 0o700); err != nil {
		t.Fatal(err)
	}
	k.record(3, "ann")
	if err := k.round(false); err != nil || k.sizes() != "" || !strings.Contains(k.log.String(), "nothing is signed before it is known") {
		t.Errorf("%v, signed %q: %s", err, k.sizes(), k.log)
	}
}

func TestWitnessDown(t *testing.T) {
	k := keep(t)
	k.record(3, "ann")
	// Before it is known what the witness saw, nothing is signed: the store may be an older copy.
	k.witness.Down(true)
	if err := k.round(false); err != nil || k.sizes() != "" || !strings.Contains(k.log.String(), "nothing is signed before it is known what the witnesses saw") {
		t.Fatalf("%v, signed %q: %s", err, k.sizes(), k.log)
	}
	k.witness.Down(false)
	if err := k.round(false); err != nil || k.sizes() != "3" || len(k.published().Cosigned) != 1 {
		t.Fatalf("%v, signed %q", err, k.sizes())
	}
	// Later it may be missing for a while.
	k.witness.Down(true)
	k.record(3, "ann")
	k.now = k.now.Add(time.Hour)
	if err := k.round(false); err != nil || k.published().Size != 6 || len(k.published().Cosigned) != 0 || !strings.Contains(k.log.String(), "did not cosign") {
		t.Fatalf("%v, published %+v: %s", err, k.published(), k.log)
	}
	k.witness.Down(false)
	if k.round(false); len(k.published().Cosigned) != 1 {
		t.Errorf("when it was there again: %+v", k.published())
	}
}

// anew changes the store's log behind its back, and computes every hash anew, as somebody does who can write the store and knows how.
func (k *kept) anew(change func(list []audit.Record) []audit.Record) {
	list, err := k.store.Records(k.t.Context(), 0, 100_000)
	if err != nil {
		k.t.Fatal(err)
	}
	k.close()
	db, err := sql.Open("sqlite", strings.TrimPrefix(k.address, "sqlite:"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer db.Close()
	exec := func(query string, args ...any) {
		if _, err := db.Exec(query, args...); err != nil {
			k.t.Fatal(err)
		}
	}
	exec(`DROP TRIGGER IF EXISTS audit_no_delete`)
	exec(`DELETE FROM audit`)
	var h audit.Head
	for _, old := range change(list) {
		r, next, err := audit.Append(h, old.Time, old.Actor, old.About, raw{old.Kind, old.Body})
		if err != nil {
			k.t.Fatal(err)
		}
		exec(`INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?, ?)`, r.Seq, r.Time.UnixMicro(), r.Kind, r.Actor, r.About, string(r.Body), r.Prev[:], r.Hash[:])
		h = next
	}
	exec(`UPDATE audit_head SET size = ?, hash = ?`, h.Size, h.Hash[:])
	k.open()
}

type raw struct {
	kind string
	body []byte
}

func (r raw) Kind() string                 { return r.kind }
func (r raw) MarshalJSON() ([]byte, error) { return r.body, nil }

// TestRefusesToSign: where the log no longer extends what was signed, nothing is signed, and everybody hears of it.
func TestRefusesToSign(t *testing.T) {
	for name, tt := range map[string]struct {
		do   func(k *kept)
		want string
	}{
		"changed": {func(k *kept) {
			k.anew(func(list []audit.Record) []audit.Record { list[3].Actor = "user:eve"; return list })
		}, "first 10 records are not those"},
		"dropped": {func(k *kept) {
			k.anew(func(list []audit.Record) []audit.Record { return append(list[:3], list[4:]...) })
		}, "ends after 19 records, and the checkpoint in the store is of 20"},
		"inserted": {func(k *kept) {
			k.anew(func(list []audit.Record) []audit.Record { return append(list[:4], list[3:]...) })
		}, "first 10 records are not those"},
		"cut": {func(k *kept) {
			k.anew(func(list []audit.Record) []audit.Record { return list[:8] })
		}, "ends after 8 records"},
		"an older copy of the store": {func(k *kept) {
			k.close()
			k.restore()
			k.open()
		}, "ends after 6 records, and the checkpoint " /* of the file */},
		"an older copy, and the file gone": {func(k *kept) {
			k.close()
			k.restore()
			if err := os.Remove(k.config.Audit.Checkpoint); err != nil {
				k.t.Fatal(err)
			}
			k.open()
		}, "the witness witness.example/w1 saw a checkpoint of 20 records"},
		"an older copy that went on, and the file gone": {func(k *kept) {
			k.close()
			k.restore()
			if err := os.Remove(k.config.Audit.Checkpoint); err != nil {
				k.t.Fatal(err)
			}
			k.open()
			k.record(40, "eve")
		}, "the witness witness.example/w1 saw a checkpoint of 20 records"},
		"under a daemon that runs": {func(k *kept) {
			db, err := sql.Open("sqlite", strings.TrimPrefix(k.address, "sqlite:"))
			if err != nil {
				k.t.Fatal(err)
			}
			defer db.Close()
			for _, query := range []string{`DROP TRIGGER audit_no_update`, `UPDATE audit SET hash = zeroblob(32) WHERE seq = 19`, `UPDATE audit_head SET hash = zeroblob(32)`} {
				if _, err := db.Exec(query); err != nil {
					k.t.Fatal(err)
				}
			}
		}, "the hash of the log's end"},
	} {
		t.Run(name, func(t *testing.T) {
			k := keep(t)
			k.record(6, "ann")
			k.close()
			k.backup()
			k.open()
			k.record(4, "ann")
			if err := k.round(false); err != nil {
				t.Fatal(err)
			}
			k.now = k.now.Add(time.Hour)
			k.record(10, "ann")
			if err := k.round(false); err != nil || k.sizes() != "10 20" {
				t.Fatalf("%v: %s", err, k.sizes())
			}
			k.now = k.now.Add(time.Hour)
			tt.do(k)
			before, signed := k.published0(), k.sizes()
			err := k.round(false)
			if !errors.As(err, new(*brokenLog)) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("trouble: %v, want %q\n%s", err, tt.want, k.log)
			}
			if !strings.Contains(k.log.String(), "DOES NOT EXTEND") {
				t.Errorf("the log does not say so: %s", k.log)
			}
			if k.published0() != before || k.sizes() != signed {
				t.Errorf("published: %s, signed: %s", k.published0(), k.sizes())
			}
			seen, err := newObserver(t.Context(), &k.config, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			d := &Daemon{observer: seen, rules: &rules{registry: &registry.Registry{}}, store: k.store, keeper: k.keeper, config: &k.config, clock: newClock(slog.New(slog.DiscardHandler)), log: slog.New(slog.NewTextHandler(io.Discard, nil))}
			h := d.handler(nil, false)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
			if w.Code != http.StatusServiceUnavailable {
				t.Errorf("ready: %d %s", w.Code, w.Body)
			}
			w = httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
			if !strings.Contains(w.Body.String(), "drawbridge_audit_broken 1") {
				t.Errorf("metrics: %s", w.Body)
			}
			if _, err := (guarded{nil, k.keeper.trouble, func() error { return nil }}).Issue(t.Context(), nil); !errors.Is(err, broker.ErrNotIssued) {
				t.Errorf("issued: %v", err)
			}
			k.now = k.now.Add(time.Hour)
			if k.round(true) == nil || k.published0() != before {
				t.Errorf("asked again: %v", k.keeper.trouble())
			}
		})
	}
}

// published0 is the text in the file, "" where there is none.
func (k *kept) published0() string {
	text, _ := os.ReadFile(k.config.Audit.Checkpoint)
	return string(text)
}

func (k *kept) backup()  { k.copy("x.db", "backup.db") }
func (k *kept) restore() { k.copy("backup.db", "x.db") }

func (k *kept) copy(from, to string) {
	text, err := os.ReadFile(filepath.Join(k.dir, from))
	if err == nil {
		err = os.WriteFile(filepath.Join(k.dir, to), text, 0o600)
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

// TestGoodAgain: when the right store is put back, signing goes on.
func TestGoodAgain(t *testing.T) {
	k := keep(t)
	k.record(6, "ann")
	k.close()
	k.backup()
	k.open()
	k.record(1, "ann")
	if err := k.round(false); err != nil {
		t.Fatal(err)
	}
	k.close()
	k.copy("x.db", "right.db")
	k.restore()
	k.open()
	if k.round(false) == nil {
		t.Fatal("an older copy was signed")
	}
	k.close()
	k.copy("right.db", "x.db")
	var err error
	if k.store, err = sqlstore.Open(t.Context(), k.address); err != nil {
		t.Fatal(err)
	}
	defer k.store.Close()
	k.keeper.store = k.store
	k.record(1, "ann")
	if err := k.round(true); err != nil || k.sizes() != "7 8" {
		t.Errorf("%v: %s", err, k.sizes())
	}
}

// TestSeveralDaemons: daemons that sign at once on one store sign one tree.
func TestSeveralDaemons(t *testing.T) {
	for name, address := range map[string]func(t *testing.T, dir string) string{
		"sqlite":   func(_ *testing.T, dir string) string { return "sqlite:" + filepath.Join(dir, "x.db") },
		"postgres": func(t *testing.T, _ string) string { return pgtest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			k := keepAt(t, dir, address(t, dir))
			keepers := []*keeper{k.keeper}
			stores := []*sqlstore.Store{k.store}
			for range 2 {
				s, err := sqlstore.Open(t.Context(), k.address)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = s.Close() })
				keepers, stores = append(keepers, k.second(s)), append(stores, s)
			}
			var wait sync.WaitGroup
			for i, keeper := range keepers {
				wait.Go(func() {
					for n := range 20 {
						for range 1 + n%3 {
							if err := stores[i].Record(context.Background(), k.now, "ann", "x", broker.GrantSuspended{Why: "y"}); err != nil {
								t.Error(err)
							}
						}
						keeper.round(context.Background(), true)
						if err := keeper.trouble(); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wait.Wait()
			k.round(true)
			var v audit.Verifier
			list, err := k.store.Checkpoints(t.Context(), 0, 1000)
			if err != nil || len(list) < 2 {
				t.Fatalf("%d checkpoints, error %v", len(list), err)
			}
			for _, c := range list {
				opened, err := audit.OpenCheckpoint(c.Note, k.key)
				if err != nil {
					t.Fatal(err)
				}
				if err := v.Expect(fmt.Sprint(c.Size), opened); err != nil {
					t.Fatal(err)
				}
			}
			records, err := k.store.Records(t.Context(), 0, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			for i := range records {
				if err := v.Next(&records[i]); err != nil {
					t.Fatal(err)
				}
			}
			if h, err := v.End(); err != nil || h.Size != list[len(list)-1].Size {
				t.Errorf("%d records, the newest checkpoint has %d, error %v", h.Size, list[len(list)-1].Size, err)
			}
			if strings.Contains(k.log.String(), "DOES NOT") {
				t.Errorf("%s", k.log)
			}
		})
	}
}

// shared is a place that several daemons publish to.
type shared struct {
	mu    sync.Mutex
	notes map[string][]byte
	puts  int
	down  bool
}

func (s *shared) Name() string { return "shared" }

func (s *shared) Publish(_ context.Context, c *audit.Checkpoint, text []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return errors.New("down")
	}
	s.puts++
	s.notes[fmt.Sprint(c.Size)] = text
	return nil
}

func (s *shared) Newest(context.Context, int64) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.notes), nil
}

// TestOnePublishes: what one daemon signed, it publishes; where it could not, another does, once.
func TestOnePublishes(t *testing.T) {
	k := keep(t)
	s, err := sqlstore.Open(t.Context(), k.address)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	place := &shared{notes: make(map[string][]byte)}
	a, b := k.keeper, k.second(s)
	for _, keeper := range []*keeper{a, b} {
		keeper.places, keeper.witnesses = append(keeper.places, place), nil
	}
	both := func() {
		for range 3 {
			a.round(t.Context(), false)
			b.round(t.Context(), false)
			k.now = k.now.Add(time.Minute)
		}
	}
	k.record(3, "ann")
	both()
	if place.puts != 1 || k.sizes() != "3" {
		t.Errorf("published %d times, signed %s", place.puts, k.sizes())
	}
	k.record(3, "ann")
	k.now = k.now.Add(time.Hour)
	place.down = true
	a.round(t.Context(), false)
	place.down = false
	if place.puts != 1 || k.sizes() != "3 6" {
		t.Fatalf("published %d times, signed %s", place.puts, k.sizes())
	}
	k.now = k.now.Add(time.Hour)
	b.round(t.Context(), false)
	b.round(t.Context(), false)
	if place.puts != 2 || place.notes["6"] == nil {
		t.Errorf("the other daemon: published %d times", place.puts)
	}
}

func TestAuditConfig(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"no key":             {"audit: {every: 1h}", "key is missing"},
		"a length too short": {"audit: {key: x, every: 10ms}", "every"},
		"a bad witness":      {"audit: {key: x, witnesses: [{url: 'https://w', key: y}]}", "witnesses[0]"},
		"a witness by http":  {"audit: {key: x, witnesses: [{url: 'http://w', key: y}]}", "expected https"},
		"a bad former key":   {"audit: {key: x, former: [y]}", "former[0]"},
		"a lock of no place": {"audit: {key: x, s3: {retain: 1h}}", "bucket is missing"},
	} {
		if c, err := ParseConfig("x.yaml", []byte(tt.text)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, error %v; want one with %q", name, c, err, tt.want)
		}
	}
	k := keep(t)
	if err := os.Chmod(k.config.Audit.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := newKeeper(t.Context(), &k.config, k.store, slog.Default()); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a key that all may read: %v", err)
	}
	if err := os.Chmod(k.config.Audit.Key, 0o600); err != nil {
		t.Fatal(err)
	}
	k.config.Audit.Name = "other"
	if _, err := newKeeper(t.Context(), &k.config, k.store, slog.Default()); !errors.Is(err, ErrConfig) {
		t.Errorf("a key of another log: %v", err)
	}
}
