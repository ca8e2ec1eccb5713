package collectcli

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	filippo "filippo.io/age"

	"drawbridge/internal/cli"
	"drawbridge/internal/mototest"
)

var update = flag.Bool("update", false, "write the golden files anew")

// emulator stands in front of moto: it cuts what moto answers to what it does not implement (an HTML page, which SDKs try again for minutes) short, and denies the operation of one account that a test wants denied.
func emulator(t *testing.T, address, account, operation string) string {
	t.Helper()
	to, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	keys := make(map[string]bool) // of the account's sessions
	issued := regexp.MustCompile(`<AccessKeyId>([^<]+)</AccessKeyId>`)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return err
		}
		r.Body.Close()
		if r.Request.Header.Get("X-Test-Account") == account {
			if m := issued.FindSubmatch(text); m != nil {
				mu.Lock()
				keys[string(m[1])] = true
				mu.Unlock()
			}
		}
		if r.StatusCode >= http.StatusNotFound && strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
			text = []byte(`{"__type":"NotImplemented","message":"the emulator does not have this operation"}`)
			if strings.Contains(r.Request.Header.Get("Content-Type"), "x-www-form-urlencoded") {
				text = []byte(`<ErrorResponse><Error><Code>NotImplemented</Code><Message>the emulator does not have this operation</Message></Error></ErrorResponse>`)
			}
			r.StatusCode = http.StatusBadRequest
			r.Header.Set("X-Amzn-Errortype", "NotImplemented")
			r.Header.Set("Content-Type", "application/json")
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		r.Header.Set("Content-Length", fmt.Sprint(len(text)))
		return nil
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/S3Outposts/") { // which moto takes for an object of a bucket
			w.Header().Set("X-Amzn-Errortype", "NotImplemented")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"NotImplemented","message":"the emulator does not have this operation"}`)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if form, err := url.ParseQuery(string(body)); err == nil && form.Get("Action") == "AssumeRole" {
			if parts := strings.Split(form.Get("RoleArn"), ":"); len(parts) > 4 {
				r.Header.Set("X-Test-Account", parts[4])
			}
		}
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), operation) {
			_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
			key, _, _ = strings.Cut(key, "/")
			mu.Lock()
			denied := keys[key]
			mu.Unlock()
			if denied {
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"the role may not"}`)
				return
			}
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestMoto builds an organisation of five accounts with boto3, collects it over HTTP as users do, scans the snapshot, and holds findings and gaps to what is expected of it. KMS is denied in one account: a gap, and COV-001.
func TestMoto(t *testing.T) {
	address, python := mototest.Start(t)
	out, err := exec.Command(python, "testdata/organization.py", address).Output()
	if err != nil {
		t.Fatalf("building the organisation: %v: %s", err, stderrOf(err))
	}
	names := make(map[string]string)
	if err := json.Unmarshal(out, &names); err != nil {
		t.Fatal(err)
	}
	sandbox := ""
	for id, name := range names {
		if name == "sandbox" {
			sandbox = id
		}
	}
	front := emulator(t, address, sandbox, "TrentService.ListKeys")
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": front, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_REGION": "eu-west-1", "AWS_EC2_METADATA_DISABLED": "true"} {
		t.Setenv(name, value)
	}
	snapshot := filepath.Join(t.TempDir(), "snapshot")
	var stdout, stderr bytes.Buffer
	env := &cli.Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: os.Getenv, Now: time.Now}
	if status := Run(env, []string{"collect", "--out", snapshot, "--role", "DrawbridgeCollector", "--external-id", "collect-5f1d2c9e", "--regions", "eu-west-1,us-east-1"}); status != 0 {
		t.Fatalf("status %d: %s%s", status, stdout.String(), stderr.String())
	}
	canaries(t, snapshot)
	stdout.Reset()
	if status := cli.Run(env, []string{"scan", snapshot, "--format", "json"}); status != 0 {
		t.Fatalf("scan: status %d: %s", status, stderr.String())
	}
	got := digest(t, stdout.Bytes(), names)
	const golden = "testdata/moto.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the scan says other things than %s (go test ./internal/collectcli -run Moto -update writes it anew):\n%s", golden, difference(string(want), got))
	}

	// The same, encrypted: nothing tells, and the scan says the same.
	id, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	store := t.TempDir()
	t.Setenv("DRAWBRIDGE_IDENTITY", id.String())
	if status := Run(env, []string{"collect", "--store", store, "--encrypt-to", id.Recipient().String(), "--role", "DrawbridgeCollector", "--external-id", "collect-5f1d2c9e", "--regions", "eu-west-1,us-east-1"}); status != 0 {
		t.Fatalf("status %d: %s%s", status, stdout.String(), stderr.String())
	}
	tell := []string{"arn:aws", "sts:AssumeRole", "Statement"}
	for id := range names {
		tell = append(tell, id)
	}
	if n := holding(t, snapshot, tell); n < len(names) {
		t.Errorf("only %d files of the snapshot in the clear tell", n)
	}
	if n := holding(t, store, tell); n > 0 {
		t.Errorf("%d files of the encrypted snapshot tell", n)
	}
	stdout.Reset()
	if status := cli.Run(env, []string{"scan", filepath.Join(store, "latest"), "--format", "json"}); status != 0 {
		t.Fatalf("scan: status %d: %s", status, stderr.String())
	}
	if encrypted := digest(t, stdout.Bytes(), names); encrypted != got {
		t.Errorf("the scan of the encrypted snapshot says other things:\n%s", difference(got, encrypted))
	}
}

func stderrOf(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return string(e.Stderr)
	}
	return ""
}

// canaries looks for what must never be written: environments, code, secrets.
func canaries(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(name)
		if bytes.Contains(text, []byte("canary")) {
			t.Errorf("%s holds what must not be collected", name)
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, error %v", files, err)
	}
}

// holding counts the files that hold one of some words, in their name or text.
func holding(t *testing.T, dir string, words []string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		rel, _ := filepath.Rel(dir, name)
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(rel, w) || bytes.Contains(text, []byte(w)) }) {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// digest is what a report says, one line a trust, finding and gap, with ids that moto draws by chance replaced by names.
func digest(t *testing.T, text []byte, names map[string]string) string {
	t.Helper()
	var r struct {
		Findings []struct{ Rule, Severity, Subject, Grantee, Status, Reason string }
		Gaps     []struct{ Kind, Subject, Call, Code string }
		Trusts   []struct {
			CrossAccount bool
			Mechanism    string
			Grantee      struct{ ID string }
			Target       struct{ ARN string }
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, e := range r.Trusts {
		if e.CrossAccount {
			lines = append(lines, fmt.Sprintf("trust %s %s → %s", e.Mechanism, e.Grantee.ID, e.Target.ARN))
		}
	}
	for _, f := range r.Findings {
		// What the emulator does not have, and the regions that were not asked for, are gaps as they should be, and not what is tested here.
		if f.Rule == "COV-001" && !strings.Contains(f.Reason, "AccessDenied") {
			continue
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("finding %s %s %s %s %s", f.Rule, f.Severity, f.Status, f.Subject, f.Grantee)))
	}
	for _, g := range r.Gaps {
		if g.Kind == "region" || g.Code == "NotImplemented" || g.Code == "UnknownError" || g.Code == "NoAnswer" {
			continue
		}
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("gap %s %s %s %s", g.Kind, g.Subject, g.Call, g.Code)))
	}
	out := strings.Join(lines, "\n") + "\n"
	for id, name := range names {
		out = strings.ReplaceAll(out, id, "<"+name+">")
	}
	for pattern, name := range map[string]string{`key/[0-9a-f-]{36}`: "key/<id>", `o-[a-z0-9]{10,}`: "o-<id>", `r-[a-z0-9]{4}\b`: "r-<id>", `ou-[a-z0-9]{4}-[a-z0-9]{8}`: "ou-<id>", `warehouse-[A-Za-z0-9]{6}`: "warehouse-<id>", `/p-[a-z0-9]{8}`: "/p-<id>", `(vpce?|subnet|eni|ami|snap)-[0-9a-f]+`: "<resource>"} {
		out = regexp.MustCompile(pattern).ReplaceAllString(out, name)
	}
	lines = strings.Split(strings.TrimSpace(out), "\n")
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

// difference shows the lines that only one side has.
func difference(want, got string) string {
	count := make(map[string]int)
	for _, l := range strings.Split(want, "\n") {
		count[l]--
	}
	for _, l := range strings.Split(got, "\n") {
		count[l]++
	}
	var out []string
	for l, n := range count {
		if n != 0 {
			out = append(out, fmt.Sprintf("%+d %s", n, l))
		}
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}
