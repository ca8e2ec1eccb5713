package collect

import (
	"context"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/aws/aws-sdk-go-v2/config"

	"drawbridge/internal/sealed"
	"drawbridge/internal/snapshot"
)

// canary is whatever the fake organisation holds, and the run's options: account ids, names, policies.
var canary = regexp.MustCompile(`10000000\d{4}|role-\d|arn:aws|sts:AssumeRole|Statement|o-exampleorg1|unit \d|SendMessage|Collector|eu-west-1|ExpiredToken`)

// tells lists the files of a directory, by name and content, that tell something about the organisation. Files may come and go.
func tells(dir string) []string {
	var out []string
	_ = filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		if rel, _ := filepath.Rel(dir, name); canary.MatchString(rel) {
			out = append(out, name)
		}
		if !d.IsDir() {
			if text, err := os.ReadFile(name); err == nil && canary.Match(text) {
				out = append(out, name+": "+string(canary.Find(text)))
			}
		}
		return nil
	})
	return out
}

func identity(t *testing.T) (*age.X25519Identity, []sealed.Recipient) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := sealed.Recipients("test", id.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	return id, to
}

// opened are the files that an encrypted snapshot holds, without the times.
func opened(t *testing.T, dir string, id age.Identity) map[string]string {
	t.Helper()
	tree, err := sealed.Open(os.DirFS(dir), []age.Identity{id})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(tree, name)
		out["/"+name] = times.ReplaceAllString(string(text), `$1: "-"`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestSealedRun: an encrypted snapshot holds what one in the clear does; a stopped run goes on without a key; and nothing tells, at no moment.
func TestSealedRun(t *testing.T) {
	o := &fakeOrganization{accounts: 30, roles: 9}
	gaps := func(w http.ResponseWriter, _ int, operation string, _ url.Values) bool { // one in each account
		if operation == "GetQueueAttributes" {
			refuse(w, 400, "AccessDenied")
			return true
		}
		return false
	}
	o.fault = gaps
	plain := filepath.Join(t.TempDir(), "snapshot")
	whole, err := Run(context.Background(), options(o, plain))
	if err != nil {
		t.Fatal(err)
	}
	if len(tells(plain)) < 30 {
		t.Fatal("the search for what tells finds nothing in a snapshot that is not encrypted")
	}
	want := files(t, plain)
	id, to := identity(t)
	_, others := identity(t)
	place := t.TempDir()
	out := filepath.Join(place, "snapshot")
	closed := accountID(4)
	n := 0
	var mu sync.Mutex
	stop := func(w http.ResponseWriter, account int, operation string, q url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		if operation == "AssumeRole" {
			if strings.Contains(q.Get("RoleArn"), closed) {
				refuse(w, 403, "AccessDenied")
				return true
			}
			if n++; n > 12 {
				refuse(w, 403, "ExpiredToken")
				return true
			}
		}
		return gaps(w, account, operation, q)
	}
	o.fault = stop
	sealing := func() Options {
		opts := options(o, out)
		opts.EncryptTo, opts.Parallel = to, 2
		opts.Progress = func(Progress) {
			if found := tells(place); len(found) > 0 {
				t.Errorf("while it runs: %v", found)
			}
		}
		return opts
	}
	if _, err := Run(context.Background(), sealing()); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	if found := tells(place); len(found) > 0 {
		t.Errorf("after it was stopped: %v", found)
	}
	for name, change := range map[string]func(*Options){
		"encrypt-to":             func(o *Options) { o.EncryptTo = others },
		"(other are: encrypt-to": func(o *Options) { o.EncryptTo = nil; o.Progress = nil },
		"regions":                func(o *Options) { o.Regions = []string{"eu-west-1"} },
	} {
		opts := sealing()
		change(&opts)
		if _, err := Run(context.Background(), opts); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o.fault = gaps
	result, err := Run(context.Background(), sealing())
	if err != nil || !result.Resumed || result.Kept < 8 || result.Dropped {
		t.Fatalf("%+v, %v", result, err)
	}
	if result.Gaps != whole.Gaps || result.Hidden < 8 {
		t.Errorf("%d gaps, of them %d hidden; in the clear %d", result.Gaps, result.Hidden, whole.Gaps)
	}
	same(t, opened(t, out, id), want)
	if found := tells(place); len(found) > 0 {
		t.Errorf("in the end: %v", found)
	}
	m, err := sealed.ReadManifest(os.DirFS(out))
	if err != nil || m.Accounts != whole.Accounts || m.Gaps != whole.Gaps || m.Parts != whole.Accounts+1 {
		t.Errorf("%+v, %v", m, err)
	}
	var names []string
	for name := range files(t, out) {
		if !strings.HasPrefix(name, "/parts/") {
			names = append(names, name)
		}
	}
	if len(names) != 3 {
		t.Errorf("left behind: %v", names)
	}
	if entries, err := os.ReadDir(place); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, err := Run(context.Background(), sealing()); !errors.Is(err, ErrExists) {
		t.Errorf("a second run: %v", err)
	}
}

// TestSealedDrops: where the accounts are others than those of the stopped run, everything is read anew, and nothing of one account is taken for another's.
func TestSealedDrops(t *testing.T) {
	o := &fakeOrganization{accounts: 20, roles: 3}
	id, to := identity(t)
	out := filepath.Join(t.TempDir(), "snapshot")
	opts := options(o, out)
	opts.EncryptTo, opts.Parallel = to, 1
	ctx, stop := context.WithCancel(context.Background())
	opts.Progress = func(p Progress) {
		if p.Done == 9 {
			stop()
		}
	}
	if _, err := Run(ctx, opts); !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	opts.Progress = nil
	o.accounts = 23
	result, err := Run(context.Background(), opts)
	if err != nil || !result.Resumed || !result.Dropped || result.Kept != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	plain := filepath.Join(t.TempDir(), "snapshot")
	if _, err := Run(context.Background(), options(o, plain)); err != nil {
		t.Fatal(err)
	}
	same(t, opened(t, out, id), files(t, plain))
}

// TestSealedSince: accounts are taken over between snapshots in the clear and encrypted ones, each way; from an encrypted one only with its key.
func TestSealedSince(t *testing.T) {
	o := &fakeOrganization{accounts: 12, roles: 3}
	id, to := identity(t)
	wrong, other := identity(t)
	for _, from := range [][]sealed.Recipient{nil, to} {
		for _, into := range [][]sealed.Recipient{nil, to, other} {
			out := filepath.Join(t.TempDir(), "snapshot")
			opts := options(o, out)
			opts.EncryptTo = from
			if _, err := Run(context.Background(), opts); err != nil {
				t.Fatal(err)
			}
			opts.EncryptTo, opts.Since = into, time.Hour
			if from != nil {
				if _, err := Run(context.Background(), opts); !errors.Is(err, sealed.ErrEncrypted) {
					t.Errorf("without a key: %v", err)
				}
				opts.Identities = []age.Identity{wrong}
				if _, err := Run(context.Background(), opts); !errors.Is(err, sealed.ErrIdentity) {
					t.Errorf("with a wrong key: %v", err)
				}
			}
			opts.Identities = []age.Identity{id}
			result, err := Run(context.Background(), opts)
			if err != nil || result.Kept != 11 {
				t.Fatalf("%+v, %v", result, err)
			}
			fsys := os.DirFS(out)
			if into != nil {
				if found := tells(filepath.Dir(out)); len(found) > 0 {
					t.Errorf("%v", found)
				}
				if fsys, err = sealed.Open(fsys, []age.Identity{id, wrong}); err != nil {
					t.Fatal(err)
				}
			}
			if s, err := snapshot.ReadFS(fsys); err != nil || len(s.Roles) != 11*3 {
				t.Errorf("%v", err)
			}
		}
	}
}

// TestSealedKilled: a run that is killed at any moment leaves nothing that tells, in its place or among the temporary files, and the next one goes on.
func TestSealedKilled(t *testing.T) {
	if out := os.Getenv("DRAWBRIDGE_TEST_SEALED"); out != "" {
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		opts := options(nil, out)
		opts.Config, opts.Parallel = cfg, 4
		if opts.EncryptTo, err = sealed.Recipients("environment", os.Getenv("DRAWBRIDGE_TEST_TO")); err != nil {
			t.Fatal(err)
		}
		opts.Replace = os.Getenv("DRAWBRIDGE_TEST_REPLACE") != ""
		if _, err := Run(context.Background(), opts); err != nil {
			t.Fatal(err)
		}
		return
	}
	o := &fakeOrganization{accounts: 40, roles: 9}
	// Before the server is there: nothing orders the requests of other processes and what is set here.
	o.fault = func(http.ResponseWriter, int, string, url.Values) bool {
		time.Sleep(3 * time.Millisecond)
		return false
	}
	server := httptest.NewTLSServer(o)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	undisturbed := filepath.Join(t.TempDir(), "snapshot")
	if _, err := Run(context.Background(), options(o, undisturbed)); err != nil {
		t.Fatal(err)
	}
	id, to := identity(t)
	place := t.TempDir()
	home, temp, out := filepath.Join(place, "home"), filepath.Join(place, "tmp"), filepath.Join(place, "out", "snapshot")
	for _, dir := range []string{home, temp} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	searches := 0
	start := func(ctx context.Context, more ...string) (string, error) {
		c := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestSealedKilled$")
		c.Dir = home
		c.Env = append(os.Environ(), append(more, "DRAWBRIDGE_TEST_SEALED="+out, "DRAWBRIDGE_TEST_TO="+to[0].Text, "HOME="+home, "TMPDIR="+temp, "TMP="+temp, "TEMP="+temp,
			"AWS_ENDPOINT_URL="+server.URL, "AWS_CA_BUNDLE="+ca, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIA"+management, "AWS_SECRET_ACCESS_KEY=s", "AWS_EC2_METADATA_DISABLED=true")...)
		done, searched := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(searched)
			for {
				select {
				case <-done:
					return
				case <-time.After(5 * time.Millisecond):
				}
				if found := tells(place); len(found) > 0 {
					t.Errorf("while it runs: %v", found)
					return
				}
				searches++
			}
		}()
		text, err := c.CombinedOutput()
		close(done)
		<-searched
		if found := tells(place); len(found) > 0 {
			t.Errorf("after it ended: %v", found)
		}
		return string(text), err
	}
	killed, parts := 0, 0
	for i := range 4 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(500+150*i+rand.IntN(100))*time.Millisecond)
		_, err := start(ctx)
		cancel()
		if err == nil {
			break
		}
		killed++
		entries, _ := os.ReadDir(filepath.Join(out+partialSuffix, sealed.PartsDir))
		parts = max(parts, len(entries))
		if _, err := os.Stat(out); err == nil {
			break
		}
	}
	if text, err := start(context.Background(), "DRAWBRIDGE_TEST_REPLACE=1"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	want := files(t, undisturbed)
	same(t, opened(t, out, id), want)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(500+rand.IntN(1200))*time.Millisecond)
	_, _ = start(ctx, "DRAWBRIDGE_TEST_REPLACE=1") // killed while the snapshot is replaced
	cancel()
	same(t, opened(t, out, id), want)
	if text, err := start(context.Background(), "DRAWBRIDGE_TEST_REPLACE=1"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	same(t, opened(t, out, id), want)
	if entries, err := os.ReadDir(filepath.Dir(out)); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if killed == 0 || searches == 0 {
		t.Errorf("killed %d times, searched %d times", killed, searches)
	}
	t.Logf("killed %d times, with up to %d parts; searched %d times", killed, parts, searches)
}

// TestStore: each run adds a snapshot that is named by its time; one that was stopped goes on under its name; accounts are taken over from the newest that is whole.
func TestStore(t *testing.T) {
	o := &fakeOrganization{accounts: 12, roles: 3}
	id, to := identity(t)
	dir := filepath.Join(t.TempDir(), "snapshots")
	clock := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	run := func(ctx context.Context, change func(*Options)) (Result, error) {
		opts := options(o, "")
		opts.Store, opts.Parallel, opts.Now = dir, 1, func() time.Time { return clock }
		if change != nil {
			change(&opts)
		}
		return Run(ctx, opts)
	}
	names := func() string {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, e := range entries {
			out = append(out, e.Name())
		}
		return strings.Join(out, " ")
	}
	expect := func(want string) {
		t.Helper()
		if got := names(); got != want {
			t.Fatalf("%s\nwant %s", got, want)
		}
	}
	if result, err := run(context.Background(), func(o *Options) { o.Since = time.Hour }); err != nil || result.Out != filepath.Join(dir, "2026-03-01T10-00-00Z") {
		t.Fatalf("%+v, %v", result, err)
	}
	if _, err := run(context.Background(), nil); err != nil { // in the same second
		t.Fatal(err)
	}
	expect("2026-03-01T10-00-00Z 2026-03-01T10-00-01Z")
	ctx, stop := context.WithCancel(context.Background())
	clock = clock.Add(30 * time.Minute)
	_, err := run(ctx, func(o *Options) {
		o.EncryptTo = to
		o.Progress = func(p Progress) {
			if p.Done == 5 {
				stop()
			}
		}
	})
	if !errors.Is(err, ErrStopped) {
		t.Fatal(err)
	}
	expect("2026-03-01T10-00-00Z 2026-03-01T10-00-01Z 2026-03-01T10-30-00Z.partial")
	if err := os.MkdirAll(filepath.Join(dir, "2026-03-01T09-00-00Z.partial.new", "accounts"), 0o700); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Minute)
	if _, err := run(context.Background(), nil); !errors.Is(err, ErrOptions) {
		t.Fatal(err)
	}
	result, err := run(context.Background(), func(o *Options) { o.EncryptTo = to })
	if err != nil || !result.Resumed || result.Kept < 5 || result.Out != filepath.Join(dir, "2026-03-01T10-30-00Z") {
		t.Fatalf("%+v, %v", result, err)
	}
	expect("2026-03-01T10-00-00Z 2026-03-01T10-00-01Z 2026-03-01T10-30-00Z")
	clock = clock.Add(time.Minute)
	if _, err := run(context.Background(), func(o *Options) { o.Since = time.Hour }); !errors.Is(err, sealed.ErrEncrypted) {
		t.Fatal(err)
	}
	result, err = run(context.Background(), func(o *Options) { o.EncryptTo, o.Since, o.Identities = to, time.Hour, []age.Identity{id} })
	if err != nil || result.Kept != 11 {
		t.Fatalf("%+v, %v", result, err)
	}
	expect("2026-03-01T10-00-00Z 2026-03-01T10-00-01Z 2026-03-01T10-30-00Z 2026-03-01T10-32-00Z")
	// A run that is killed in its last moment leaves the options it began with; one that is stopped is thrown away on request.
	if err := os.WriteFile(filepath.Join(dir, "2026-03-01T10-32-00Z", beginFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	stray := filepath.Join(dir, "2026-03-01T10-33-00Z.partial")
	if err := os.MkdirAll(stray, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := run(context.Background(), func(o *Options) { o.Restart = true }); err == nil || !strings.Contains(err.Error(), "in the way") {
		t.Fatalf("what no run left is thrown away: %v", err)
	}
	if err := os.WriteFile(filepath.Join(stray, beginFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	clock = clock.Add(time.Hour)
	if result, err = run(context.Background(), func(o *Options) { o.Restart = true }); err != nil || result.Resumed {
		t.Fatalf("%+v, %v", result, err)
	}
	expect("2026-03-01T10-00-00Z 2026-03-01T10-00-01Z 2026-03-01T10-30-00Z 2026-03-01T10-32-00Z 2026-03-01T11-32-00Z")
	if _, err := os.Stat(filepath.Join(dir, "2026-03-01T10-32-00Z", beginFile)); err == nil {
		t.Error("the options of a run that is done are still there")
	}
}
