package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// crossing is a workload and a person at a broker.
type crossing struct {
	t *testing.T
	d *daemontest.Daemon
	// vars are the environment of each: they share no folder.
	workload, person map[string]string
}

func startCrossing(t *testing.T, change ...func(*daemon.Config)) *crossing {
	return startCrossingOf(t, "1h", change...)
}

// startCrossingOf is one whose sessions last at most so long.
func startCrossingOf(t *testing.T, longest string, change ...func(*daemon.Config)) *crossing {
	d := daemontest.Start(t, `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {oidc: {issuer: "ISSUER", audience: drawbridge, claims: {sub: "repo:acme/web:ref:refs/heads/main", repository_id: "4711"}}}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [s3:PutObject, s3:GetObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: `+longest+`}
  approval: {required: 1, approvers: [local]}
  expires: `+time.Now().AddDate(1, 0, 0).Format(time.DateOnly)+`
`, change...)
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(d.Proof("4711")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return &crossing{t, d,
		map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_ID_TOKEN_FILE": tokenFile, "XDG_CACHE_HOME": t.TempDir()},
		map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_TOKEN": d.Token, "XDG_CACHE_HOME": t.TempDir()}}
}

// run runs the program, and holds its exit status.
func (c *crossing) run(vars map[string]string, status int, args ...string) (stdout, stderr string) {
	c.t.Helper()
	var out, errs bytes.Buffer
	e := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return vars[name] }, Now: time.Now}
	if got := Run(e, args); got != status {
		c.t.Fatalf("drawbridge %s: status %d, want %d\n%s%s", strings.Join(args, " "), got, status, &out, &errs)
	}
	return out.String(), errs.String()
}

// TestBrokerCommands is a crossing on the command line: a workload asks and waits, a person approves, the workload gets AWS's credentials in each of the ways, and the person takes it back.
func TestBrokerCommands(t *testing.T) {
	c := startCrossing(t)
	_, text := c.run(c.workload, 1, "creds", "ci-deploy")
	if !strings.Contains(text, "a reason or a ticket is needed") {
		t.Errorf("without a reason: %s", text)
	}
	out, text := c.run(c.workload, 4, "request", "ci-deploy", "--reason", "release 7", "--action", "s3:PutObject")
	if !strings.Contains(text, "waits for approval by local") || !strings.Contains(out, "why        release 7") {
		t.Fatalf("asking: %s%s", out, text)
	}
	id, _, _ := strings.Cut(out, " ")
	// Asking for credentials leads to the same request. The identity token was spent by the first command, and is not needed again.
	if _, text = c.run(c.workload, 4, "creds", "ci-deploy", "--reason", "release 7"); !strings.Contains(text, id) {
		t.Errorf("asking for credentials: %s", text)
	}
	out, _ = c.run(c.person, 0, "approve")
	if !strings.Contains(out, id) || !strings.Contains(out, "may do     s3:PutObject\n") || !strings.Contains(out, "on         arn:aws:s3:::artifacts/*") {
		t.Errorf("what waits: %s", out)
	}
	if _, text = c.run(c.workload, 1, "approve", id, "--yes"); !strings.Contains(text, "refused: ") {
		t.Errorf("approving one's own: %s", text)
	}
	if _, text = c.run(c.person, 2, "approve", id); !strings.Contains(text, "--yes") {
		t.Errorf("approving without being asked: %s", text)
	}
	if _, text = c.run(c.person, 1, "approve", id, "--hash", "00"); !strings.Contains(text, "not the one") {
		t.Errorf("approving another: %s", text)
	}
	if out, _ = c.run(c.person, 0, "approve", id, "--yes"); !strings.Contains(out, "active") || !strings.Contains(out, "approved by local") {
		t.Errorf("approved: %s", out)
	}
	out, _ = c.run(c.workload, 0, "creds", "ci-deploy")
	var got wire.Credentials
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Version != 1 || !strings.HasPrefix(got.AccessKeyID, "ASIA") || !strings.HasPrefix(got.SecretAccessKey, daemontest.Canary) {
		t.Errorf("credentials: %s, error %v", out, err)
	}
	for _, asked := range c.d.Asked() {
		if !strings.Contains(asked, "SourceIdentity") && !strings.Contains(asked, "WebIdentityToken") {
			t.Errorf("AWS was asked %s", asked)
		}
	}
	asked := len(c.d.Asked())

	// The program sees these credentials and no others, and none of what proves the workload.
	t.Setenv("AWS_PROFILE", "mine")
	t.Setenv("DRAWBRIDGE_ID_TOKEN", "canary")
	out, _ = c.run(c.workload, 7, "exec", "ci-deploy", "--", "sh", "-c", "env; exit 7")
	if !strings.Contains(out, "AWS_ACCESS_KEY_ID="+got.AccessKeyID+"\n") || strings.Contains(out, "AWS_PROFILE") || strings.Contains(out, "DRAWBRIDGE_") {
		t.Errorf("the program's environment: %s", out)
	}
	out, _ = c.run(c.workload, 0, "exec", "ci-deploy", "--renew", "--", "sh", "-c", "echo $AWS_CONTAINER_CREDENTIALS_FULL_URI $AWS_CONTAINER_AUTHORIZATION_TOKEN $AWS_CONFIG_FILE; env | grep -c ^AWS_ACCESS_KEY_ID; true")
	if !strings.HasPrefix(out, "http://127.0.0.1:") || !strings.HasSuffix(out, "/dev/null\n0\n") {
		t.Errorf("the program's environment: %s", out)
	}
	if n := len(c.d.Asked()); n != asked {
		t.Errorf("AWS was asked %d times for one session", n)
	}
	if out, _ = c.run(c.person, 0, "sessions"); !strings.Contains(out, id) || !strings.Contains(out, "active") {
		t.Errorf("sessions: %s", out)
	}
	if out, _ = c.run(c.workload, 0, "sessions", id); !strings.Contains(out, "issued, ") {
		t.Errorf("the session: %s", out)
	}
	if _, text = c.run(c.workload, 1, "lock", "all", "--reason", "x"); !strings.Contains(text, "set and lift locks") {
		t.Errorf("a workload locks: %s", text)
	}
	if out, _ = c.run(c.person, 0, "revoke", id, "--reason", "incident"); !strings.Contains(out, "fenced") {
		t.Errorf("revoked: %s", out)
	}
	if out, _ = c.run(c.person, 0, "lock", "account", "222222222222", "--reason", "incident", "--for", "1h"); !strings.HasPrefix(out, "locked: ") {
		t.Errorf("locked: %s", out)
	}
	lock := strings.TrimSpace(strings.TrimPrefix(out, "locked: "))
	if _, text = c.run(c.workload, 1, "creds", "ci-deploy", "--reason", "again"); !strings.Contains(text, "locked: incident") {
		t.Errorf("while locked: %s", text)
	}
	if out, _ = c.run(c.person, 0, "lock", "list"); !strings.Contains(out, lock) {
		t.Errorf("locks: %s", out)
	}
	c.run(c.person, 0, "lock", "lift", lock, "--reason", "over")
	if _, text = c.run(c.person, 0, "lock", "list"); !strings.Contains(text, "nothing is locked") {
		t.Errorf("lifted: %s", text)
	}
	out, _ = c.run(c.workload, 4, "request", "ci-deploy", "--reason", "release 8")
	id, _, _ = strings.Cut(out, " ")
	if out, _ = c.run(c.person, 0, "deny", id, "--reason", "not today", "--yes"); !strings.Contains(out, "rejected") || !strings.Contains(out, "not today") {
		t.Errorf("denied: %s", out)
	}
}

// TestBrokerProof: who has no proof, a spent one, or a broker that would carry it in the clear.
func TestBrokerProof(t *testing.T) {
	c := startCrossing(t)
	if _, text := c.run(map[string]string{}, 2, "sessions"); !strings.Contains(text, "DRAWBRIDGE_URL") {
		t.Error(text)
	}
	if _, text := c.run(map[string]string{"DRAWBRIDGE_URL": c.d.URL}, 2, "sessions"); !strings.Contains(text, "there is nothing that proves it") {
		t.Error(text)
	}
	if _, text := c.run(map[string]string{"DRAWBRIDGE_URL": "http://broker.example", "DRAWBRIDGE_TOKEN": "x"}, 2, "sessions"); !strings.Contains(text, "expected https") {
		t.Error(text)
	}
	if _, text := c.run(map[string]string{"DRAWBRIDGE_URL": c.d.URL, "DRAWBRIDGE_TOKEN": "dbt_x"}, 2, "sessions"); !strings.Contains(text, "is over, or is none of this broker") {
		t.Error(text)
	}
	c.run(c.workload, 0, "sessions")
	c.workload["XDG_CACHE_HOME"] = t.TempDir() // another machine with the same token
	if _, text := c.run(c.workload, 2, "sessions"); !strings.Contains(text, "the token is not acceptable") {
		t.Error(text)
	}
	// What others may read is not believed.
	c.workload["DRAWBRIDGE_ID_TOKEN_FILE"] = filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(c.workload["DRAWBRIDGE_ID_TOKEN_FILE"], []byte(c.d.Proof("4711")), 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(c.workload, 0, "sessions")
	kept, err := filepath.Glob(filepath.Join(c.workload["XDG_CACHE_HOME"], "drawbridge", "tokens", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, error %v", kept, err)
	}
	if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the kept token: %v, error %v", info.Mode(), err)
	}
	if err := os.Chmod(kept[0], 0o644); err != nil {
		t.Fatal(err)
	}
	c.run(c.workload, 2, "sessions")
}

// TestAgent: the endpoint gives credentials to those who have its secret, by names of this machine alone.
func TestAgent(t *testing.T) {
	c := startCrossing(t)
	out, _ := c.run(c.workload, 4, "request", "ci-deploy", "--reason", "agent")
	id, _, _ := strings.Cut(out, " ")
	r, w := io.Pipe()
	e := &Env{Stdout: w, Stderr: io.Discard, Getenv: func(name string) string { return c.workload[name] }, Now: time.Now}
	go Run(e, []string{"agent", "ci-deploy", "--listen", "127.0.0.1:0", "--reason", "agent"})
	text := make([]byte, 4096)
	vars := ""
	for strings.Count(vars, "\n") < 2 {
		n, err := r.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		vars += string(text[:n])
	}
	lines := strings.Fields(vars)
	address := strings.TrimPrefix(lines[0], "AWS_CONTAINER_CREDENTIALS_FULL_URI=")
	secret := strings.TrimPrefix(lines[1], "AWS_CONTAINER_AUTHORIZATION_TOKEN=")
	get := func(address, secret, host string) (int, string) {
		q, err := http.NewRequest(http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		if secret != "" {
			q.Header.Set("Authorization", secret)
		}
		if host != "" {
			q.Host = host
		}
		a, err := http.DefaultClient.Do(q)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return a.StatusCode, string(text)
	}
	if status, text := get(address, secret, ""); status != 403 || !strings.Contains(text, "waits for approval") {
		t.Errorf("before approval: %d %s", status, text)
	}
	c.run(c.person, 0, "approve", id, "--yes")
	if status, text := get(address, secret, ""); status != 200 || !strings.Contains(text, `"Token":"`+daemontest.Canary) {
		t.Errorf("credentials: %d %s", status, text)
	}
	for name, tt := range map[string]struct {
		address, secret, host string
		status                int
	}{
		"no secret":      {address, "", "", 401},
		"a wrong secret": {address, secret + "x", "", 401},
		"another name":   {address, secret, "evil.example", 403},
		"another entry":  {address + "x", secret, "", 404},
	} {
		if status, text := get(tt.address, tt.secret, tt.host); status != tt.status || strings.Contains(text, daemontest.Canary) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

// TestLogin: a person lets the command line in by their browser; it acts as them, until they leave.
func TestLogin(t *testing.T) {
	c := startCrossing(t)
	vars := map[string]string{"DRAWBRIDGE_URL": c.d.URL, "XDG_CACHE_HOME": t.TempDir()}
	if _, text := c.run(vars, 2, "sessions"); !strings.Contains(text, "drawbridge login") {
		t.Errorf("at first: %s", text)
	}
	r, w := io.Pipe()
	e := &Env{Stdout: io.Discard, Stderr: w, Getenv: func(name string) string { return vars[name] }, Now: time.Now}
	ended := make(chan int, 1)
	go func() {
		ended <- Run(e, []string{"login", "--no-browser"})
		w.Close()
	}()
	lines := bufio.NewScanner(r)
	address := ""
	for address == "" && lines.Scan() {
		if at := strings.Index(lines.Text(), c.d.URL); at >= 0 {
			address = lines.Text()[at:]
		}
	}
	said := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(r)
		said <- string(text)
	}()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: &http.Transport{}}
	do := func(a *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer a.Body.Close()
		text, err := io.ReadAll(a.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	text := do(browser.Get(address))
	if !strings.Contains(text, `name="token"`) {
		t.Fatalf("not asked to sign in: %s", text)
	}
	if text = do(browser.PostForm(c.d.URL+"/sign-in", url.Values{"token": {c.d.Token}, "to": {u.RequestURI()}})); !strings.Contains(text, "Let the command line in?") {
		t.Fatalf("not asked whether the command line may: %s", text)
	}
	// A code that somebody else brings is of no use, and nor is one without the state.
	if text = do(browser.Get("http://127.0.0.1:" + u.Query().Get("port") + "/?code=dbc_x&state=x")); !strings.Contains(text, "404") {
		t.Errorf("a wrong state: %s", text)
	}
	if text = do(browser.PostForm(c.d.URL+"/sign-in/cli", u.Query())); !strings.Contains(text, "You are signed in on the command line") {
		t.Fatalf("letting it in: %s", text)
	}
	if status := <-ended; status != 0 {
		t.Fatalf("login ended with %d", status)
	}
	if text = <-said; !strings.Contains(text, "signed in as local") {
		t.Errorf("said %q", text)
	}
	c.run(vars, 0, "sessions")
	c.run(vars, 0, "logout")
	c.run(vars, 2, "sessions")
}

// TestRegistryAtBroker: files are compared with a broker's registry, applied, and written out again as they were.
func TestRegistryAtBroker(t *testing.T) {
	d := daemontest.Start(t, "", func(c *daemon.Config) { c.Registry, c.Issuer.Keys, c.URL = "", nil, "http://"+c.Listen })
	c := &crossing{t: t, d: d}
	vars := map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_TOKEN": d.Token, "XDG_CACHE_HOME": t.TempDir()}
	dir := t.TempDir()
	entry := func(actions string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "teams"), 0o755); err != nil {
			t.Fatal(err)
		}
		text := `# the release
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {oidc: {issuer: "` + d.Issuer + `", audience: drawbridge, claims: {sub: "repo:acme/web:ref:refs/heads/main"}}}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [` + actions + `], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {required: 1, approvers: [local]}
  expires: ` + time.Now().AddDate(0, 6, 0).Format(time.DateOnly) + "\n"
		if err := os.WriteFile(filepath.Join(dir, "teams", "web.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	entry("s3:PutObject")
	if out, _ := c.run(vars, 1, "registry", "diff", dir); out != "+ trust ci-deploy\n    widens: it is new\n" {
		t.Errorf("at first: %s", out)
	}
	if _, text := c.run(vars, 2, "registry", "export", "--broker", filepath.Join(dir, "x")); !strings.Contains(text, "no registry yet") {
		t.Errorf("nothing to write out: %s", text)
	}
	if out, _ := c.run(vars, 0, "registry", "apply", dir, "--reason", "the first"); !strings.Contains(out, "in force: edition ") {
		t.Errorf("applied: %s", out)
	}
	if _, text := c.run(vars, 0, "registry", "apply", dir, "--reason", "again"); !strings.Contains(text, "nothing to do") {
		t.Errorf("applied again: %s", text)
	}
	entry("s3:PutObject, s3:GetObject")
	if out, _ := c.run(vars, 1, "registry", "diff", dir); !strings.Contains(out, "~ trust ci-deploy\n    widens: it allows s3:GetObject on arn:aws:s3:::artifacts/x") {
		t.Errorf("wider: %s", out)
	}
	c.run(vars, 0, "registry", "apply", dir, "--reason", "reading too")
	if out, _ := c.run(vars, 0, "registry", "editions"); strings.Count(out, "\n") != 3 || !strings.Contains(out, "replaced") || !strings.Contains(out, "reading too") {
		t.Errorf("editions: %s", out)
	}
	folder := filepath.Join(t.TempDir(), "out")
	c.run(vars, 0, "registry", "export", "--broker", folder)
	want, err := os.ReadFile(filepath.Join(dir, "teams", "web.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(folder, "teams", "web.yaml")); err != nil || string(got) != string(want) {
		t.Errorf("written out: %s, error %v", got, err)
	}
	if _, text := c.run(vars, 3, "registry", "export", "--broker", folder); !strings.Contains(text, "exists") {
		t.Errorf("over what is there: %s", text)
	}
	entry("s3")
	if _, text := c.run(vars, 1, "registry", "apply", dir, "--reason", "x"); !strings.Contains(text, "teams/web.yaml:2:") {
		t.Errorf("a mistake: %s", text)
	}
}

// TestAWSProof: a role of AWS proves itself by its own credentials, of which none is sent, and is let in by an entry that names the role with its path.
func TestAWSProof(t *testing.T) {
	d := daemontest.Start(t, `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: nightly, owner: ann@example.com}
spec:
  purpose: copy
  category: data-pipeline
  from: {principals: ["arn:aws:iam::111111111111:role/batch/nightly"]}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [s3:GetObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {automatic: true}
  expires: `+time.Now().AddDate(1, 0, 0).Format(time.DateOnly)+`
`, func(c *daemon.Config) {
		c.URL, c.Issuer.Keys, c.AWS.Accounts = "http://"+c.Listen, nil, []string{"111111111111"}
	})
	t.Setenv("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE000000002")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-caller")
	t.Setenv("AWS_SESSION_TOKEN", strings.Repeat("s", 40))
	c := &crossing{t: t, d: d}
	vars := map[string]string{"DRAWBRIDGE_URL": d.URL, "XDG_CACHE_HOME": t.TempDir()}
	if out, _ := c.run(vars, 0, "creds", "nightly", "--aws", "--reason", "copy"); !strings.Contains(out, daemontest.Canary) {
		t.Errorf("credentials: %s", out)
	}
	// What was proved is kept for a while.
	if out, _ := c.run(vars, 0, "sessions", "--aws"); !strings.Contains(out, "aws:111111111111:AROAEXAMPLE000000001") {
		t.Errorf("sessions: %s", out)
	}
	asked := 0
	for _, form := range d.Asked() {
		if strings.Contains(form, "secret-of-the-caller") {
			t.Errorf("a secret was sent: %s", form)
		}
		if strings.Contains(form, "GetCallerIdentity") {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("AWS was asked %d times who calls", asked)
	}
	if _, text := c.run(map[string]string{"DRAWBRIDGE_URL": strings.Replace(d.URL, "127.0.0.1", "localhost", 1), "DRAWBRIDGE_PROOF": "aws", "XDG_CACHE_HOME": t.TempDir()}, 2, "sessions"); !strings.Contains(text, "calls itself") {
		t.Errorf("by another name: %s", text)
	}
}
