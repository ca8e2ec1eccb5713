package daemon_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

const twoApprovers = `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {oidc: {issuer: "ISSUER", audience: drawbridge, claims: {sub: "repo:acme/web:ref:refs/heads/main", repository_id: "4711"}}}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [s3:PutObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {required: 2, approvers: ["group:release"]}
  expires: EXPIRES
`

// browser is one person's.
type browser struct {
	t *testing.T
	*http.Client
	url string
}

func newBrowser(t *testing.T, address string) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar, Transport: &http.Transport{}}, address}
}

// get and post give status, text and where the answer came from.
func (b *browser) get(path string) (int, string, string) { return b.do(http.MethodGet, path, nil, nil) }

func (b *browser) post(path string, form url.Values) (int, string, string) {
	return b.do(http.MethodPost, path, form, nil)
}

func (b *browser) do(method, path string, form url.Values, header map[string]string) (int, string, string) {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	q, err := http.NewRequest(method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if form != nil {
		q.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		q.Header.Set(name, value)
	}
	a, err := b.Do(q)
	if err != nil {
		b.t.Fatal(err)
	}
	return read(b.t, a)
}

// read gives status, text and where an answer came from.
func read(t *testing.T, a *http.Response) (int, string, string) {
	t.Helper()
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(text), a.Request.URL.String()
}

// commandLine lets a command line in, and is its token of the API.
func (b *browser) commandLine() string {
	b.t.Helper()
	return b.letIn().AccessToken
}

func (b *browser) letIn() *wire.Token {
	b.t.Helper()
	verifier := strings.Repeat("v", 43)
	sum := sha256.Sum256([]byte(verifier))
	var code string
	b.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Port() == "4000" {
			code = r.URL.Query().Get("code")
			return http.ErrUseLastResponse
		}
		return nil
	}
	defer func() { b.CheckRedirect = nil }()
	b.post("/sign-in/cli", url.Values{"port": {"4000"}, "state": {strings.Repeat("s", 20)}, "challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}})
	c := &client.Client{URL: b.url}
	if _, err := c.Exchange(b.t.Context(), wire.Proof{Code: code, Verifier: strings.Repeat("w", 43)}); !errors.Is(err, client.ErrUnproven) {
		b.t.Errorf("a code without its verifier: %v", err)
	}
	got, err := c.Exchange(b.t.Context(), wire.Proof{Code: code, Verifier: verifier})
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := c.Exchange(b.t.Context(), wire.Proof{Code: code, Verifier: verifier}); !errors.Is(err, client.ErrUnproven) {
		b.t.Errorf("a code twice: %v", err)
	}
	return got
}

func startWithPeople(t *testing.T) (*daemontest.Daemon, *daemontest.Provider) {
	p := daemontest.NewProvider(t)
	d := daemontest.Start(t, strings.ReplaceAll(twoApprovers, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), func(c *daemon.Config) {
		c.People.Issuer, c.People.Client = p.URL, "drawbridge"
		c.URL = "http://" + c.Listen
		c.Issuer.Keys = nil
		c.Roles = map[broker.Role][]string{broker.Approver: {"release"}, broker.Responder: {"security"}}
	})
	return d, p
}

var hashes = regexp.MustCompile(`name="hash" value="([0-9a-f]{64})"`)

// TestPeople: two people sign in by their identity provider, see what waits, and decide about what they saw; who has no role sees nothing of others; a third takes it back.
func TestPeople(t *testing.T) {
	d, p := startWithPeople(t)
	id := d.File(t, "4711", `{"entry": "ci-deploy", "reason": "release <7>"}`)

	p.Be("ann@example.com", "release")
	ann := newBrowser(t, d.URL)
	status, text, at := ann.get("/requests/" + id) // from the link that a refusal carries
	if status != 200 || at != d.URL+"/requests/"+id || !strings.Contains(text, "release &lt;7&gt;") || !strings.Contains(text, "arn:aws:s3:::artifacts/*") {
		t.Fatalf("ann is sent to sign in and comes back to %s: %d %s", at, status, text)
	}
	hash := hashes.FindStringSubmatch(text)
	if hash == nil {
		t.Fatalf("ann may not decide: %s", text)
	}
	if status, text, _ := ann.post("/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {strings.Repeat("0", 64)}}); status != 409 || !strings.Contains(text, "has changed") {
		t.Errorf("what she did not see: %d %s", status, text)
	}
	if status, text, _ := ann.post("/requests/"+id+"/decision", url.Values{"choice": {"deny"}, "hash": {hash[1]}}); status != 422 || !strings.Contains(text, "Say why") {
		t.Errorf("a no without a reason: %d %s", status, text)
	}
	for _, header := range []map[string]string{{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}} {
		if status, _, _ := ann.do(http.MethodPost, "/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}}, header); status != 403 {
			t.Errorf("another site's form with %v: %d", header, status)
		}
	}
	if status, text, _ := ann.post("/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}}); status != 200 || !strings.Contains(text, "you have decided already") || !strings.Contains(text, "awaiting") {
		t.Errorf("ann approves: %d %s", status, text)
	}

	p.Be("eve@example.com", "interns")
	eve := newBrowser(t, d.URL)
	if status, text, _ := eve.get("/requests/" + id); status != 404 || strings.Contains(text, "ci-deploy") {
		t.Errorf("eve sees a request: %d %s", status, text)
	}
	if status, text, _ := eve.get("/"); status != 200 || strings.Contains(text, "ci-deploy") {
		t.Errorf("eve sees a list: %d %s", status, text)
	}
	if status, _, _ := eve.post("/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}}); status != 404 {
		t.Errorf("eve decides: %d", status)
	}

	// Bob approves; ann's yes counts as she is known.
	p.Be("bob@example.com", "release", "security")
	bob := newBrowser(t, d.URL)
	if status, text, _ := bob.get("/"); status != 200 || !strings.Contains(text, id) {
		t.Errorf("bob's list: %d %s", status, text)
	}
	if status, text, _ := bob.post("/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}, "reason": {"fine"}}); status != 200 || !strings.Contains(text, "active") || !strings.Contains(text, "Approved</b> by bob@example.com") {
		t.Errorf("bob approves: %d %s", status, text)
	}
	if status, _, _ := ann.post("/requests/"+id+"/revocation", url.Values{"reason": {"x"}}); status != 403 {
		t.Errorf("ann revokes: %d", status)
	}
	if status, text, _ := bob.post("/requests/"+id+"/revocation", url.Values{"reason": {"incident"}}); status != 200 || !strings.Contains(text, "nothing is issued since") {
		t.Errorf("bob revokes: %d %s", status, text)
	}
	// A lock takes from ann what she was given before.
	b := &client.Client{URL: d.URL, Token: client.Static(bob.commandLine())}
	if _, err := b.Lock(t.Context(), wire.SetLock{Kind: "subject", Value: "ann@example.com", Reason: "her laptop is lost"}); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := ann.post("/requests/"+id+"/revocation", url.Values{"reason": {"x"}}); status != 401 {
		t.Errorf("ann after the lock: %d", status)
	}
	if status, text, _ := bob.post("/sign-out", nil); status != 200 || !strings.Contains(text, "Signed out") {
		t.Errorf("signing out: %d %s", status, text)
	}
	if status, _, _ := bob.post("/requests/"+id+"/revocation", url.Values{"reason": {"x"}}); status != 401 {
		t.Errorf("after signing out: %d", status)
	}
}

// TestGroupsAreAsked: a yes of somebody who has left the group counts no more when the next one decides.
func TestGroupsAreAsked(t *testing.T) {
	d, p := startWithPeople(t)
	id := d.File(t, "4711", `{"entry": "ci-deploy", "reason": "release 7"}`)
	say := func(who, want string, groups ...string) {
		t.Helper()
		p.Be(who, groups...)
		b := newBrowser(t, d.URL)
		_, text, _ := b.get("/requests/" + id)
		hash := hashes.FindStringSubmatch(text)
		if hash == nil {
			t.Fatalf("%s may not decide: %s", who, text)
		}
		if _, text, _ := b.post("/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}}); !strings.Contains(text, `class="state `+want) {
			t.Fatalf("after %s: %s", who, text)
		}
	}
	say("ann@example.com", "awaiting", "release")
	p.Be("ann@example.com", "sales")
	newBrowser(t, d.URL).get("/")
	say("bob@example.com", "awaiting", "release")
	say("cid@example.com", "active", "release")
}

// TestOnePerson: a person is one, however the address is written and whatever it becomes; who is locked, or no longer an approver, does not count (15, 16, 17).
func TestOnePerson(t *testing.T) {
	d, p := startWithPeople(t)
	id := d.File(t, "4711", `{"entry": "ci-deploy", "reason": "release 7"}`)
	look := func(id string, groups []string, as ...string) (*browser, string, []string) {
		t.Helper()
		p.Be(as[0], groups...)
		if len(as) > 1 {
			p.As(as[1])
		}
		b := newBrowser(t, d.URL)
		_, text, _ := b.get("/requests/" + id)
		return b, text, hashes.FindStringSubmatch(text)
	}
	release := []string{"release"}
	approve := func(id string, as ...string) string {
		t.Helper()
		b, text, hash := look(id, release, as...)
		if hash == nil {
			t.Fatalf("%v may not decide: %s", as, text)
		}
		_, text, _ = b.post("/requests/"+id+"/decision", url.Values{"choice": {"approve"}, "hash": {hash[1]}})
		return text
	}
	if text := approve(id, "ann@example.com", "u-ann"); !strings.Contains(text, `class="state awaiting`) {
		t.Fatalf("ann: %s", text)
	}
	for _, as := range [][]string{{"Ann@Example.com", "u-other"}, {"ann.miller@example.com", "u-ann"}} {
		if _, text, hash := look(id, release, as...); hash != nil || !strings.Contains(text, "you have decided already") {
			t.Errorf("%v is ann, who has decided: %s", as, text)
		}
	}
	// A lock of whoever said yes before: the next yes is the first that counts.
	ops, _, _ := look(id, []string{"security"}, "ops@example.com", "u-ops")
	lock := &client.Client{URL: d.URL, Token: client.Static(ops.commandLine())}
	if _, err := lock.Lock(t.Context(), wire.SetLock{Kind: "subject", Value: "ann@example.com", Reason: "her laptop is lost"}); err != nil {
		t.Fatal(err)
	}
	if text := approve(id, "bob@example.com", "u-bob"); !strings.Contains(text, `class="state awaiting`) {
		t.Errorf("ann is locked, and her yes counts: %s", text)
	}
	if text := approve(id, "cid@example.com", "u-cid"); !strings.Contains(text, `class="state active`) {
		t.Errorf("bob and cid: %s", text)
	}
	for name, claims := range map[string]map[string]any{"a machine's id": {"email": "oidc:github:repository_id=4711"}, "a group": {"email": "group:release"}, "an account": {"email": "111111111111"}, "the broker": {"email": "Broker"}, "a line": {"email": "ann\n@x"}, "everybody": {"email": "*"}} {
		p.Break(claims)
		if status, text, _ := newBrowser(t, d.URL).get("/"); status != 403 || !strings.Contains(text, "person") {
			t.Errorf("signed in as %s: %d %s", name, status, text)
		}
	}
}

// TestSessionEnds: what a person lets their command line have ends with their own session, and cannot be made into a longer one.
func TestSessionEnds(t *testing.T) {
	p := daemontest.NewProvider(t)
	d := daemontest.Start(t, strings.ReplaceAll(twoApprovers, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), func(c *daemon.Config) {
		c.People.Issuer, c.People.Client, c.People.Session = p.URL, "drawbridge", time.Hour
		c.URL, c.Issuer.Keys = "http://"+c.Listen, nil
	})
	p.Be("ann@example.com", "release")
	b := newBrowser(t, d.URL)
	b.get("/")
	u, err := url.Parse(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := b.letIn()
		if got.ExpiresIn >= 3600 { // a whole session from now on
			t.Errorf("the token lives for %d seconds, the session that let it in is older", got.ExpiresIn)
		}
		b.Jar.SetCookies(u, []*http.Cookie{{Name: "drawbridge-session", Value: got.AccessToken, Path: "/"}}) // it is good for the pages too
	}
}

// TestSignInRefused: tokens and answers that prove nothing, each told and recorded.
func TestSignInRefused(t *testing.T) {
	d, p := startWithPeople(t)
	p.Be("ann@example.com", "release")
	for name, tt := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"an address that is not verified": {map[string]any{"email_verified": false}, "verified"},
		"no address":                      {map[string]any{"email": ""}, "no claim email"},
		"another nonce":                   {map[string]any{"nonce": "x"}, "no attempt of this browser"},
		"another audience":                {map[string]any{"aud": "other"}, "audience"},
		"several audiences":               {map[string]any{"aud": []string{"drawbridge", "other"}}, "another client"},
		"another party":                   {map[string]any{"azp": "other"}, "another client"},
		"another issuer":                  {map[string]any{"iss": "https://evil.example"}, "different provider"},
		"too old":                         {map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}, "expired"},
	} {
		p.Break(tt.claims)
		b := newBrowser(t, d.URL)
		status, text, _ := b.get("/")
		if status != 403 || !strings.Contains(text, "not signed in") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %d %s", name, status, text)
		}
		b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		if status, _, _ := b.get("/"); status != 303 {
			t.Errorf("%s: signed in, %d", name, status)
		}
	}
	// An answer that nobody asked for, as another site can send a browser to.
	b := newBrowser(t, d.URL)
	if status, text, _ := b.get("/sign-in/callback?code=code0&state=x"); status != 403 || !strings.Contains(text, "no attempt of this browser") {
		t.Errorf("an answer without an attempt: %d %s", status, text)
	}
	for _, to := range []string{"https://evil.example/", "//evil.example/", `/\evil.example`, "javascript:alert(1)", "/\n"} {
		b := newBrowser(t, d.URL)
		if status, _, at := b.get("/sign-in?to=" + url.QueryEscape(to)); status >= 500 || !strings.HasPrefix(at, d.URL+"/") || strings.Contains(at, "evil") {
			t.Errorf("signing in leads to %s: %d", at, status)
		}
	}
}

// TestLocalSignIn: the token that was printed, and nothing else.
func TestLocalSignIn(t *testing.T) {
	d := daemontest.Start(t, strings.ReplaceAll(twoApprovers, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), func(c *daemon.Config) {
		c.URL = "http://" + c.Listen
		c.Issuer.Keys = nil
	})
	b := newBrowser(t, d.URL)
	if status, text, at := b.get("/"); status != 200 || !strings.Contains(at, "/sign-in") || !strings.Contains(text, "Token") {
		t.Errorf("at first: %d %s", status, text)
	}
	if status, text, _ := b.post("/sign-in", url.Values{"token": {"dbt_x"}, "to": {"/"}}); status != 401 || !strings.Contains(text, "not the token") {
		t.Errorf("a wrong one: %d %s", status, text)
	}
	if status, text, at := b.post("/sign-in", url.Values{"token": {d.Token}, "to": {"/"}}); status != 200 || at != d.URL+"/" || !strings.Contains(text, "Nothing waits") {
		t.Errorf("the token: %d %s", status, text)
	}
	// A workload's token is no person's.
	w := newBrowser(t, d.URL)
	if status, _, _ := w.post("/sign-in", url.Values{"token": {d.APIToken(t, "4711")}, "to": {"/"}}); status != 401 {
		t.Errorf("a workload signs in: %d", status)
	}
}

// TestRegistryInStore: administrators change the registry together; what widens waits for the second one, and what is narrowed stops what it does not cover any more.
func TestRegistryInStore(t *testing.T) {
	p := daemontest.NewProvider(t)
	d := daemontest.Start(t, "", func(c *daemon.Config) {
		c.People.Issuer, c.People.Client = p.URL, "drawbridge"
		c.URL = "http://" + c.Listen
		c.Issuer.Keys, c.Registry = nil, ""
		c.Roles = map[broker.Role][]string{broker.Approver: {"release"}, broker.Administrator: {"platform"}}
	})
	as := func(who string, groups ...string) *client.Client {
		p.Be(who, groups...)
		b := newBrowser(t, d.URL)
		b.get("/")
		return &client.Client{URL: d.URL, Token: client.Static(b.commandLine())}
	}
	ann, bob, rel := as("ann@example.com", "platform"), as("bob@example.com", "platform"), as("rel@example.com", "release")
	text := func(change ...string) wire.RegistryText {
		all := strings.ReplaceAll(strings.ReplaceAll(twoApprovers, "EXPIRES", time.Now().AddDate(0, 6, 0).Format(time.DateOnly)), "ISSUER", d.Issuer)
		all = strings.Replace(all, "required: 2", "required: 1", 1)
		return wire.RegistryText{Text: []wire.RegistryFile{{Name: "ci.yaml", Text: strings.NewReplacer(change...).Replace(all)}}, Why: "CHG-1"}
	}
	ctx := t.Context()
	refused := func(what string, err error, status int, want string) {
		t.Helper()
		var e *client.Error
		if !errors.As(err, &e) || e.Status != status || !strings.Contains(e.Why, want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if e, err := ann.Registry(ctx); err != nil || e.ID != "" {
		t.Fatalf("at first: %+v, error %v", e, err)
	}
	_, err := ann.ChangeRegistry(ctx, wire.RegistryText{Text: []wire.RegistryFile{{Name: "ci.yaml", Text: "kind: Trust\nfoo: 1\n"}}, Why: "x"})
	refused("mistakes", err, 422, "ci.yaml:")
	_, err = rel.ChangeRegistry(ctx, text())
	refused("somebody else", err, 403, "change the registry")
	first, err := ann.ChangeRegistry(ctx, text())
	if err != nil || first.Edition.State != "proposed" {
		t.Fatalf("the first: %+v, error %v", first, err)
	}
	_, err = ann.DecideEdition(ctx, first.Edition.ID, wire.DecideEdition{Agree: true})
	refused("agreeing to one's own", err, 403, "does not agree to it")
	w := &client.Client{URL: d.URL, Token: client.Static(d.APIToken(t, "4711"))}
	_, err = w.File(ctx, wire.Ask{Entry: "ci-deploy", Reason: "r"})
	refused("before it is in force", err, 403, "no registered trust")
	if got, err := bob.DecideEdition(ctx, first.Edition.ID, wire.DecideEdition{Agree: true}); err != nil || got.Edition.State != "in force" || got.Edition.DecidedBy != "bob@example.com" {
		t.Fatalf("agreed: %+v, error %v", got, err)
	}
	r, err := w.File(ctx, wire.Ask{Entry: "ci-deploy", Reason: "r"})
	if err != nil || r.Registry != first.Edition.ID {
		t.Fatalf("filed: %+v, error %v", r, err)
	}
	if r, err = rel.Decide(ctx, r.ID, wire.Decide{Approve: true, Hash: r.Hash}); err != nil || r.State != "active" {
		t.Fatalf("approved: %+v, error %v", r, err)
	}
	if _, err := w.Credentials(ctx, r.ID, wire.Demand{}); err != nil {
		t.Fatal(err)
	}
	// A second request waits while the entry becomes narrower.
	waiting, err := w.File(ctx, wire.Ask{Entry: "ci-deploy", Reason: "another"})
	if err != nil {
		t.Fatal(err)
	}
	narrow := text("artifacts/*", "artifacts/web/*")
	if diff, err := ann.CompareRegistry(ctx, narrow); err != nil || len(diff.Differences) != 1 || diff.Differences[0].How != "changed" || diff.Differences[0].Widens != nil {
		t.Fatalf("narrower: %+v, error %v", diff, err)
	}
	second, err := ann.ChangeRegistry(ctx, narrow)
	if err != nil || second.Edition.State != "in force" || len(second.Stopped) != 1 || second.Stopped[0] != r.ID {
		t.Fatalf("narrowed: %+v, error %v", second, err)
	}
	if r, err = w.Request(ctx, r.ID); err != nil || r.State != "suspended" {
		t.Errorf("what it does not cover: %+v, error %v", r, err)
	}
	_, err = rel.Decide(ctx, waiting.ID, wire.Decide{Approve: true, Hash: waiting.Hash})
	refused("approving what the registry does not let happen any more", err, 409, "allows less now")
	_, err = rel.Decide(ctx, r.ID, wire.Decide{Approve: true, Hash: r.Hash})
	refused("approving it again", err, 409, "allows less now")
	stale := text("artifacts/*", "artifacts/api/*")
	stale.Base = &first.Edition.ID
	_, err = ann.ChangeRegistry(ctx, stale)
	refused("from an older one", err, 409, "another one by now")
	// Taking the entry out needs nobody else, and ends what lives.
	if got, err := bob.ChangeRegistry(ctx, wire.RegistryText{Text: []wire.RegistryFile{{Name: "empty.yaml", Text: ""}}, Why: "off"}); err != nil || got.Edition.State != "in force" || len(got.Stopped) != 1 {
		t.Fatalf("taken out: %+v, error %v", got, err)
	}
	if r, err = w.Request(ctx, r.ID); err != nil || r.FencedAt == nil {
		t.Errorf("whose entry is gone: %+v, error %v", r, err)
	}
	_, err = w.Credentials(ctx, r.ID, wire.Demand{})
	refused("credentials", err, 409, "")
	if list, err := ann.Editions(ctx); err != nil || len(list) != 3 {
		t.Errorf("editions: %+v, error %v", list, err)
	}
}
