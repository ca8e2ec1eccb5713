package collect

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"drawbridge/internal/snapshot"
)

func options(o *fakeOrganization, out string) Options {
	opts := Options{Out: out, Role: "Collector", Rows: fakeRows(), Backoff: time.Millisecond, Parallel: 16}
	if o != nil {
		opts.Config = o.config()
	}
	return opts
}

func read(t *testing.T, dir string) *snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.ReadFS(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestLargeOrganization: of 2,000 accounts every role is there once, the gaps are those that were injected, and the memory at the end is that of the beginning.
func TestLargeOrganization(t *testing.T) {
	accounts := 2000
	if testing.Short() {
		accounts = 300
	}
	defer func(before func(*os.File) error) { toDisk = before }(toDisk)
	toDisk = func(*os.File) error { return nil }
	var mu sync.Mutex
	throttled := map[int]int{}
	o := &fakeOrganization{accounts: accounts, roles: 19}
	o.fault = func(w http.ResponseWriter, account int, operation string, q url.Values) bool {
		if operation == "AssumeRole" {
			_, _ = fmt.Sscan(strings.Split(q.Get("RoleArn"), ":")[4], &account)
			account -= 100000000000
			if account%100 == 3 {
				refuse(w, 403, "AccessDenied")
				return true
			}
			return false
		}
		switch {
		case account%100 == 7 && (operation == "ListQueues"):
			refuse(w, 400, "AccessDeniedException")
		case account%100 == 9 && operation == "GetAccountAuthorizationDetails" && q.Get("Marker") == "7":
			refuse(w, 403, "AccessDenied")
		case account%100 == 11 && operation == "GetAccountAuthorizationDetails":
			mu.Lock()
			throttled[account]++
			first := throttled[account] == 1
			mu.Unlock()
			if !first {
				return false
			}
			refuse(w, 400, "Throttling")
		default:
			return false
		}
		return true
	}
	out := filepath.Join(t.TempDir(), "snapshot")
	opts := options(o, out)
	var early, late uint64
	opts.Progress = func(p Progress) {
		if p.Done == p.Total/10 && early == 0 && p.Account != "" {
			early = live()
		}
		if p.Done == p.Total && late == 0 {
			late = live()
		}
	}
	result, err := Run(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	each := accounts / 100
	// Not asked for: the rows left out. Denied role, suspended, denied service, and a page that is missing.
	left := 0
	for _, r := range rows {
		if r.Place != Principal && r.Place != Central && r.Type != "AWS::SQS::Queue" {
			left++
		}
	}
	if want := left + 4*each; result.Gaps != want || result.Closed != each || result.Accounts != accounts-each {
		t.Errorf("%d gaps, %d closed, %d accounts; want %d, %d, %d: %+v", result.Gaps, result.Closed, result.Accounts, want, each, accounts-each, result.Groups)
	}
	s := read(t, out)
	if want := 19*(accounts-3*each) + 7*each; len(s.Roles) != want {
		t.Errorf("%d roles, want %d", len(s.Roles), want)
	}
	if want := accounts - 3*each; len(s.Resources) != want {
		t.Errorf("%d queues, want %d", len(s.Resources), want)
	}
	for _, r := range s.Roles {
		if r.MaxSession != 2*time.Hour || !strings.HasPrefix(r.Source.File, "accounts/"+r.Account+"/") {
			t.Fatalf("%+v", r)
		}
	}
	byAccount := map[string]*snapshot.Account{}
	for i := range s.Accounts {
		byAccount[s.Accounts[i].ID] = &s.Accounts[i]
	}
	for i := range accounts {
		a := byAccount[accountID(i)]
		if whole := i%100 != 3 && i%100 != 5 && i%100 != 9; a == nil || a.Inventoried != whole || a.Collected.IsZero() != (i%100 == 5) {
			t.Fatalf("account %d: %+v", i, a)
		}
	}
	for _, g := range s.Gaps {
		if strings.Contains(g.Reason, "comes twice") {
			t.Fatalf("%+v", g)
		}
	}
	for id, n := range o.assumed {
		if n != 1 {
			t.Errorf("the role of %s was assumed %d times", id, n)
		}
	}
	if late > early+8<<20 {
		t.Errorf("live heap: %d bytes after a tenth of the accounts, %d at the end", early, late)
	}
	t.Logf("%d calls; live heap %d KiB after a tenth, %d KiB at the end", result.Calls, early>>10, late>>10)
}

// live is what of the heap is in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

var times = regexp.MustCompile(`("at"|"collected"): "[^"]*"`)

// files are the files of a directory, without the times.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		out[strings.TrimPrefix(name, dir)] = times.ReplaceAllString(string(text), `$1: "-"`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, text := range want {
		if got[name] != text {
			t.Errorf("%s:\n%s\nwant:\n%s", name, got[name], text)
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			t.Errorf("%s is there and should not be", name)
		}
	}
}

// TestStoppedRunGoesOn: a run whose own credentials end says so, leaves what it has, and the next one reads only the rest.
func TestStoppedRunGoesOn(t *testing.T) {
	o := &fakeOrganization{accounts: 30, roles: 9}
	undisturbed := filepath.Join(t.TempDir(), "snapshot")
	if _, err := Run(context.Background(), options(o, undisturbed)); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "snapshot")
	n := 0
	var mu sync.Mutex
	o.fault = func(w http.ResponseWriter, _ int, operation string, _ url.Values) bool {
		mu.Lock()
		defer mu.Unlock()
		if operation == "AssumeRole" {
			if n++; n > 12 {
				refuse(w, 403, "ExpiredToken")
				return true
			}
		}
		return false
	}
	opts := options(o, out)
	opts.Parallel = 2
	_, err := Run(context.Background(), opts)
	if !errors.Is(err, ErrStopped) || !strings.Contains(err.Error(), "credentials") {
		t.Fatalf("%v", err)
	}
	if _, err := os.Stat(out); err == nil {
		t.Fatal("a part of a snapshot was put into its place")
	}
	o.fault = nil
	other := options(o, out)
	other.Regions = []string{"eu-west-1"}
	if _, err := Run(context.Background(), other); !errors.Is(err, ErrOptions) || !strings.Contains(err.Error(), "regions") {
		t.Errorf("other options: %v", err)
	}
	result, err := Run(context.Background(), options(o, out))
	if err != nil || !result.Resumed || result.Kept < 8 {
		t.Fatalf("%+v, %v", result, err)
	}
	same(t, files(t, out), files(t, undisturbed))
	if _, err := Run(context.Background(), options(o, out)); !errors.Is(err, ErrExists) {
		t.Errorf("a second run: %v", err)
	}
}

// TestSince: accounts that are new enough are taken over, those that could not be entered are tried again, and the snapshot is replaced.
func TestSince(t *testing.T) {
	o := &fakeOrganization{accounts: 20, roles: 9}
	out := filepath.Join(t.TempDir(), "snapshot")
	o.fault = func(w http.ResponseWriter, _ int, operation string, q url.Values) bool {
		if operation != "AssumeRole" || !strings.Contains(q.Get("RoleArn"), accountID(4)) {
			return false
		}
		refuse(w, 403, "AccessDenied")
		return true
	}
	clock := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	opts := options(o, out)
	opts.Now = func() time.Time { return clock }
	if result, err := Run(context.Background(), opts); err != nil || result.Closed != 1 {
		t.Fatalf("%+v, %v", result, err)
	}
	o.fault = nil
	o.accounts = 22
	clock = clock.Add(time.Hour)
	opts.Since = 2 * time.Hour
	result, err := Run(context.Background(), opts)
	if err != nil || result.Kept != 18 || result.Accounts != 21 || result.Closed != 0 { // one of 22 is suspended
		t.Fatalf("%+v, %v", result, err)
	}
	s := read(t, out)
	if len(s.Roles) != 21*9 {
		t.Errorf("%d roles", len(s.Roles))
	}
	clock = clock.Add(90 * time.Minute)
	if result, err := Run(context.Background(), opts); err != nil || result.Kept != 3 {
		t.Fatalf("only those of the second run are new enough: %+v, %v", result, err)
	}
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	opts.Since, opts.Replace = 0, true
	if result, err := Run(context.Background(), opts); err != nil || result.Kept != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
}

// TestTwoRuns: a second run on a directory is refused while the first is at work.
func TestTwoRuns(t *testing.T) {
	o := &fakeOrganization{accounts: 3, roles: 2}
	out := filepath.Join(t.TempDir(), "snapshot")
	opts := options(o, out)
	tried := false
	opts.Progress = func(p Progress) {
		if !tried {
			tried = true
			if _, err := Run(context.Background(), options(o, out)); !errors.Is(err, ErrLocked) {
				t.Errorf("a second run: %v", err)
			}
		}
	}
	if _, err := Run(context.Background(), opts); err != nil || !tried {
		t.Fatal(err)
	}
}

// TestHangingCall: a call that is never answered costs its own row, and no slot for ever.
func TestHangingCall(t *testing.T) {
	o := &fakeOrganization{accounts: 4, roles: 2}
	opts := options(o, filepath.Join(t.TempDir(), "snapshot"))
	opts.Answer, opts.Timeout, opts.InFlight = 20*time.Millisecond, 5*time.Second, 2
	answer := opts.Config.HTTPClient
	opts.Config.HTTPClient = doer(func(q *http.Request) (*http.Response, error) {
		if strings.HasSuffix(q.Header.Get("X-Amz-Target"), "ListQueues") {
			<-q.Context().Done()
			return nil, q.Context().Err()
		}
		return answer.Do(q)
	})
	result, err := Run(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, g := range result.Groups {
		found = found || g.Call == "SQS ListQueues" && g.Code == "Timeout" && g.Accounts == 4
	}
	if !found {
		t.Errorf("%+v", result.Groups)
	}
}

// TestKilledRunGoesOn: a run that is killed at any moment, again and again, ends in the snapshot of a run that was left alone.
func TestKilledRunGoesOn(t *testing.T) {
	if out := os.Getenv("DRAWBRIDGE_TEST_COLLECT"); out != "" {
		opts := options(nil, out)
		cfg, err := config.LoadDefaultConfig(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		opts.Config, opts.Parallel = cfg, 4
		if os.Getenv("DRAWBRIDGE_TEST_REPLACE") != "" {
			opts.Replace = true
		}
		if _, err := Run(context.Background(), opts); err != nil {
			t.Fatal(err)
		}
		return
	}
	o := &fakeOrganization{accounts: 40, roles: 9}
	var slow atomic.Bool // other processes ask: nothing orders their requests and what is set here
	o.fault = func(http.ResponseWriter, int, string, url.Values) bool {
		if slow.Load() {
			time.Sleep(3 * time.Millisecond)
		}
		return false
	}
	server := httptest.NewTLSServer(o)
	defer server.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem") // as behind a company's proxy
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	undisturbed := filepath.Join(t.TempDir(), "snapshot")
	if _, err := Run(context.Background(), options(o, undisturbed)); err != nil {
		t.Fatal(err)
	}
	want := files(t, undisturbed)
	out := filepath.Join(t.TempDir(), "snapshot")
	start := func(ctx context.Context, more ...string) (string, error) {
		c := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestKilledRunGoesOn$")
		c.Env = append(os.Environ(), append(more, "DRAWBRIDGE_TEST_COLLECT="+out, "AWS_ENDPOINT_URL="+server.URL, "AWS_CA_BUNDLE="+ca, "AWS_REGION=eu-west-1", "AWS_ACCESS_KEY_ID=AKIA"+management, "AWS_SECRET_ACCESS_KEY=s", "AWS_EC2_METADATA_DISABLED=true")...)
		text, err := c.CombinedOutput()
		return string(text), err
	}
	slow.Store(true) // so that there is a middle to be killed in
	killed := 0
	for i := range 6 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(60+60*i+rand.IntN(100))*time.Millisecond)
		_, err := start(ctx)
		cancel()
		if err == nil {
			break
		}
		killed++
		if _, err := os.Stat(filepath.Join(out, "organization.json")); err == nil {
			break // killed when it was done
		}
	}
	if _, err := os.Stat(out); err != nil {
		if text, err := start(context.Background()); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	delete(want, "/.begun")
	got := files(t, out)
	delete(got, "/.begun") // killed between the last two steps; the next run removes it
	same(t, got, want)
	// While it is replaced there is a whole snapshot at any moment.
	for range 4 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(200+rand.IntN(700))*time.Millisecond)
		_, _ = start(ctx, "DRAWBRIDGE_TEST_REPLACE=1")
		cancel()
		got := files(t, out)
		delete(got, "/.begun")
		delete(got, "/.replaced")
		same(t, got, want)
	}
	if text, err := start(context.Background(), "DRAWBRIDGE_TEST_REPLACE=1"); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	same(t, files(t, out), want)
	entries, err := os.ReadDir(filepath.Dir(out))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if killed == 0 {
		t.Error("the run was never killed")
	}
	t.Logf("killed %d times", killed)
}

// TestDenialOfTheOrganization: of the calls about the organisation each denial is its gap, what it would have told is left out and so not known, and the accounts that are known are read.
func TestDenialOfTheOrganization(t *testing.T) {
	for _, call := range organizationRows[0].Calls {
		t.Run(call.Operation, func(t *testing.T) {
			o := &fakeOrganization{accounts: 4, roles: 2}
			o.fault = func(w http.ResponseWriter, _ int, operation string, _ url.Values) bool {
				if operation != call.Operation {
					return false
				}
				refuse(w, 400, "AccessDeniedException")
				return true
			}
			out := filepath.Join(t.TempDir(), "snapshot")
			result, err := Run(context.Background(), options(o, out))
			if err != nil {
				t.Fatal(err)
			}
			text := files(t, out)
			if !strings.Contains(text["/gaps.json"]+text["/resources.jsonl"]+text["/organization.json"], call.String()+": AccessDeniedException") {
				t.Errorf("no gap:\n%s", text["/gaps.json"])
			}
			for _, g := range result.Groups {
				if g.Code != "" && g.Call != call.String() {
					t.Errorf("another gap: %+v", g)
				}
			}
			if !strings.Contains(text["/accounts/"+management+"/iam.json"], "role-1") {
				t.Error("the caller's own account was not read")
			}
			unknown := map[string]string{"ListPolicies": `"scps"`, "ListTargetsForPolicy": `"scps"`, "ListRoots": `"scps"`, "ListAccountsForParent": `"scps"`, "DescribeOrganization": "o-exampleorg1"}[call.Operation]
			if unknown != "" && strings.Contains(text["/organization.json"], unknown) {
				t.Errorf("%s is there all the same:\n%s", unknown, text["/organization.json"])
			}
			if unknown == "" && !strings.Contains(text["/organization.json"], `"scps"`) {
				t.Error("the control policies are missing")
			}
		})
	}
}

// TestUnreadPoliciesCount: a policy that could not be read is counted, also when its account is taken over.
func TestUnreadPoliciesCount(t *testing.T) {
	o := &fakeOrganization{accounts: 4, roles: 2}
	o.fault = func(w http.ResponseWriter, _ int, operation string, _ url.Values) bool {
		if operation != "GetQueueAttributes" {
			return false
		}
		refuse(w, 400, "AccessDeniedException")
		return true
	}
	opts := options(o, filepath.Join(t.TempDir(), "snapshot"))
	for _, since := range []time.Duration{0, time.Hour} {
		opts.Since = since
		result, err := Run(context.Background(), opts)
		if err != nil || since > 0 && result.Kept != 4 {
			t.Fatalf("%+v, %v", result, err)
		}
		found := false
		for _, g := range result.Groups {
			found = found || g.Call == "SQS GetQueueAttributes" && g.Code == "AccessDeniedException" && g.Accounts == 4 && g.Kind == "document"
		}
		if !found {
			t.Errorf("%+v", result.Groups)
		}
	}
}
