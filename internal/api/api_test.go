package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
	"drawbridge/internal/sqlstore"
)

var update = flag.Bool("update", false, "write the golden files anew")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const role = "arn:aws:iam::222222222222:role/deploy"

type aws struct{}

func (aws) Issue(_ context.Context, p *broker.Permit) (broker.Credentials, error) {
	o, err := p.Take()
	return broker.Credentials{AccessKeyID: "ASIAEXAMPLE", SecretAccessKey: "canary-secret", SessionToken: "canary-token", NotAfter: noon.Add(o.Life)}, err
}

func (aws) Carry(context.Context, broker.Effect) (broker.Carried, error) {
	return broker.Carried{At: noon}, nil
}
func (aws) Lift(context.Context, broker.Effect) error { return nil }

type rules struct{}

func (rules) Entry(_ context.Context, name string) (*registry.Entry, *registry.Vendor, string, error) {
	if name != "ci" {
		return nil, nil, "v1", nil
	}
	return &registry.Entry{Name: "ci", Owner: "ann", From: registry.From{Principals: []string{"arn:aws:iam::111111111111:role/ci"}}, To: registry.To{Role: role}, Actions: []string{"s3:PutObject"}, Resources: []string{"arn:aws:s3:::artifacts/*"},
		Approval: registry.Approval{Required: 1, Approvers: []string{"group:release"}}, Expires: registry.Day{Time: noon.AddDate(1, 0, 0)}}, nil, "v1", nil
}

func (rules) Target(context.Context, string) (time.Duration, bool, error) { return 0, true, nil }

var people = map[string]broker.Caller{
	"ci":    {Subject: broker.Subject{ID: "ci", Name: "arn:aws:iam::111111111111:role/ci"}},
	"other": {Subject: broker.Subject{ID: "other", Name: "arn:aws:iam::333333333333:role/other"}},
	"ann":   {Subject: broker.Subject{ID: "ann", Person: true}, Groups: []string{"release"}, Roles: []broker.Role{broker.Approver}},
	"vic":   {Subject: broker.Subject{ID: "vic", Person: true}, Roles: []broker.Role{broker.Viewer}},
	"ops":   {Subject: broker.Subject{ID: "ops", Person: true}, Roles: []broker.Role{broker.Responder}},
}

type world struct {
	t       *testing.T
	handler http.Handler
	failed  []error
}

func newWorld(t *testing.T) *world {
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	var n atomic.Int64
	now := func() time.Time { return noon }
	w := &world{t: t}
	s := &Server{
		Broker: &broker.Broker{Store: store, Rules: rules{}, Issuer: aws{}, Revoker: aws{}, Now: now, NewID: func() string { return fmt.Sprint("r-", n.Add(1)) }},
		Store:  store, Now: now,
		Identify: func(r *http.Request) (broker.Caller, error) {
			if r.Header.Get("Authorization") != "" {
				return Bearer(r, func(ctx context.Context, token string) (broker.Caller, error) { return Whose(ctx, store, token, now()) })
			}
			c, ok := people[r.Header.Get("X-Test-Caller")]
			if !ok {
				return c, ErrUnproven
			}
			return c, nil
		},
		Tokens: store,
		Prove: func(_ context.Context, token string) (broker.Subject, error) {
			if token != "proof" {
				return broker.Subject{}, ErrUnproven
			}
			return people["ci"].Subject, nil
		},
		Known: func(*http.Request, *broker.Caller) *cond.Context { return &cond.Context{} },
		Person: func(_ context.Context, id string) (broker.Reviewer, error) {
			return broker.Reviewer{ID: id, Groups: people[id].Groups}, nil
		},
		Failed: func(_ string, err error) { w.failed = append(w.failed, err) },
	}
	w.handler = s.Handler()
	return w
}

// do makes a call and gives its status and answer.
func (w *world) do(caller, method, path, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("X-Test-Caller", caller)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Code, rec.Body.String()
}

func (w *world) must(caller, method, path, body string, status int) wire.Request {
	w.t.Helper()
	got, text := w.do(caller, method, path, body)
	if got != status {
		w.t.Fatalf("%s: %s %s %s: %d %s, want %d", caller, method, path, body, got, text, status)
	}
	var r wire.Request
	_ = json.Unmarshal([]byte(text), &r)
	return r
}

const ask = `{"entry": "ci", "target": "` + role + `", "reason": "release 7"}`

// TestLife is a request from its filing to its end.
func TestLife(t *testing.T) {
	w := newWorld(t)
	r := w.must("ci", "POST", "/v1/requests", ask, 201)
	if r.State != "awaiting" || r.Session != "1h0m0s" || r.Approvers[0] != "group:release" {
		t.Errorf("filed: %+v", r)
	}
	at := "/v1/requests/" + r.ID
	w.must("ci", "POST", at+"/credentials", `{}`, 409)
	w.must("ann", "POST", at+"/decision", `{"approve": true, "hash": "what I did not see"}`, 409)
	if r = w.must("ann", "POST", at+"/decision", `{"approve": true, "hash": "`+r.Hash+`"}`, 200); r.State != "active" {
		t.Errorf("approved: %+v", r)
	}
	_, text := w.do("ci", "POST", at+"/credentials", `{"life": "30m"}`)
	if want := `{"Version":1,"AccessKeyId":"ASIAEXAMPLE","SecretAccessKey":"canary-secret","SessionToken":"canary-token","Expiration":"2026-11-23T12:30:00Z"}`; strings.TrimSpace(text) != want {
		t.Errorf("credentials %s\nwant %s", text, want)
	}
	if r = w.must("ops", "POST", at+"/revocation", `{"reason": "incident"}`, 200); r.State != "revoking" || r.FencedAt == nil || len(r.Effects) != 1 {
		t.Errorf("revoked: %+v", r)
	}
	w.must("ci", "POST", at+"/credentials", `{}`, 409)
	if _, text := w.do("ops", "GET", "/v1/audit", ""); !strings.Contains(text, "session.issued") || strings.Contains(text, "canary") {
		t.Errorf("the log: %s", text)
	}
	if _, text := w.do("ops", "GET", "/v1/audit?from=4", ""); !strings.Contains(text, "audit.read") {
		t.Errorf("that the log was read is not in the log: %s", text)
	}
	if len(w.failed) > 0 {
		t.Errorf("failures %v", w.failed)
	}
}

// TestToken: a proof is exchanged for a token, which is what calls are made with.
func TestToken(t *testing.T) {
	w := newWorld(t)
	if status, text := w.do("", "POST", "/v1/token", `{"token": "forged"}`); status != 401 {
		t.Errorf("a forged proof: %d %s", status, text)
	}
	status, text := w.do("", "POST", "/v1/token", `{"token": "proof"}`)
	var got struct {
		AccessToken string
		ExpiresIn   int
		Subject     string
	}
	if err := json.Unmarshal([]byte(text), &got); err != nil || status != 200 || got.ExpiresIn != 900 || got.Subject != "ci" {
		t.Fatalf("%d %s, error %v", status, text, err)
	}
	for token, want := range map[string]int{got.AccessToken: 200, got.AccessToken + "x": 401, "dbt_": 401, "proof": 401} {
		r := httptest.NewRequest("GET", "/v1/whoami", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		rec := httptest.NewRecorder()
		w.handler.ServeHTTP(rec, r)
		if rec.Code != want || want == 200 && !strings.Contains(rec.Body.String(), `"subject":"ci"`) {
			t.Errorf("%d %s, want %d", rec.Code, rec.Body, want)
		}
	}
}

// TestWhoMay: each operation by each caller. What one may not see is not there.
func TestWhoMay(t *testing.T) {
	for _, tt := range []struct {
		method, path, body string
		status             map[string]int
	}{
		{"GET", "/v1/requests/ID", "", map[string]int{"": 401, "ci": 200, "other": 404, "vic": 200, "ann": 200, "ops": 200}},
		{"POST", "/v1/requests/ID/decision", `{"approve": true, "hash": "HASH"}`, map[string]int{"": 401, "ci": 403, "other": 404, "vic": 403, "ops": 403, "ann": 200}},
		{"POST", "/v1/requests/ID/withdrawal", "", map[string]int{"": 401, "other": 404, "vic": 403, "ann": 403, "ci": 200}},
		{"POST", "/v1/requests/ID/credentials", `{}`, map[string]int{"": 401, "other": 404, "vic": 404, "ann": 404, "ci": 409}},
		{"POST", "/v1/requests/ID/revocation", `{"reason": "x"}`, map[string]int{"": 401, "other": 404, "vic": 403, "ann": 403, "ops": 409}},
		{"POST", "/v1/locks", `{"kind": "all", "reason": "x"}`, map[string]int{"": 401, "ci": 403, "vic": 403, "ann": 403, "ops": 201}},
		{"POST", "/v1/locks", `{"kind": "role", "reason": "x"}`, map[string]int{"ops": 422}},
		{"GET", "/v1/locks", "", map[string]int{"": 401, "ci": 403, "vic": 200}},
		{"POST", "/v1/locks/none/lifting", `{"reason": "x"}`, map[string]int{"": 401, "vic": 403, "ops": 404}},
		{"GET", "/v1/audit", "", map[string]int{"": 401, "ci": 403, "vic": 403, "ann": 403, "ops": 200}},
		{"GET", "/v1/requests?state=nonsense", "", map[string]int{"vic": 422}},
		{"GET", "/v1/requests/none", "", map[string]int{"vic": 404, "ci": 404}},
		{"POST", "/v1/requests", `{"entry": "ci", "target": "` + role + `", "reason": "x", "unknown": 1}`, map[string]int{"ci": 422}},
		{"POST", "/v1/requests", `{"entry": "secret", "target": "` + role + `", "reason": "x"}`, map[string]int{"ci": 403, "other": 403}},
		{"POST", "/v1/requests", ask, map[string]int{"other": 403}},
		{"POST", "/v1/requests", `{`, map[string]int{"ci": 400}},
	} {
		for caller, want := range tt.status {
			w := newWorld(t)
			r := w.must("ci", "POST", "/v1/requests", ask, 201)
			replace := strings.NewReplacer("ID", r.ID, "HASH", r.Hash)
			if got, text := w.do(caller, tt.method, replace.Replace(tt.path), replace.Replace(tt.body)); got != want {
				t.Errorf("%q: %s %s %s: %d %s, want %d", caller, tt.method, tt.path, tt.body, got, text, want)
			}
			if len(w.failed) > 0 {
				t.Errorf("%q: %s %s: failures %v", caller, tt.method, tt.path, w.failed)
			}
		}
	}
}

// TestRefusalsSayTheSame: who asks for what there is not, and who asks for what is not theirs, hear the same (52).
func TestRefusalsSayTheSame(t *testing.T) {
	w := newWorld(t)
	_, a := w.do("other", "POST", "/v1/requests", ask)
	_, b := w.do("other", "POST", "/v1/requests", strings.Replace(ask, `"ci"`, `"no-such-entry"`, 1))
	if a != b {
		t.Errorf("an entry of others: %s\nno entry: %s", a, b)
	}
	r := w.must("ci", "POST", "/v1/requests", ask, 201)
	_, a = w.do("other", "GET", "/v1/requests/"+r.ID, "")
	_, b = w.do("other", "GET", "/v1/requests/none", "")
	if a != b {
		t.Errorf("a request of others: %s\nno request: %s", a, b)
	}
	if _, text := w.do("other", "GET", "/v1/requests", ""); !strings.Contains(text, `"requests":[]`) && strings.Contains(text, r.ID) {
		t.Errorf("another's list: %s", text)
	}
	if _, text := w.do("other", "GET", "/v1/requests?subject=ci", ""); strings.Contains(text, r.ID) {
		t.Errorf("a list by another's name: %s", text)
	}
}

// TestInside: what goes wrong inside is told to the log and not to the caller.
func TestInside(t *testing.T) {
	s := &Server{Failed: func(string, error) {}}
	if err := s.fault("x", errors.New("canary")); strings.Contains(err.Error(), "canary") {
		t.Errorf("told: %v", err)
	}
}

// TestOpenAPI: the document in docs is that of the code.
func TestOpenAPI(t *testing.T) {
	text, err := json.MarshalIndent((&Server{}).API(http.NewServeMux()).OpenAPI(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	const name = "../../docs/reference/openapi.json"
	if *update {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(name); err != nil || !bytes.Equal(text, want) {
		t.Errorf("%s is not what the code says: go test ./internal/api -run OpenAPI -update (%v)", name, err)
	}
}

// TestMeantToMislead: what a caller says is kept only where people are shown what it is, and can be kept at all; a lock that can match nothing is refused.
func TestMeantToMislead(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"a cursor that moves": `{"entry": "ci", "reason": "x\u001b[2Jrelease 7"}`, "text from right to left": `{"entry": "ci", "reason": "\u202e7 esaeler"}`, "nothing that is shown": `{"entry": "ci", "reason": "a\u200bb"}`,
		"a zero": `{"entry": "ci\u0000", "reason": "x"}`, "a long ticket": `{"entry": "ci", "ticket": "` + strings.Repeat("x", 5000) + `"}`, "an action": `{"entry": "ci", "reason": "x", "actions": ["s3:PutObject\u0007"]}`,
		"the year 10000": `{"entry": "ci", "reason": "x", "start": "9999-12-31T23:59:59-12:00"}`,
	} {
		if status, text := w.do("ci", "POST", "/v1/requests", body); status != 422 {
			t.Errorf("%s: %d %s", name, status, text)
		}
		if status, text := w.do("ci", "POST", "/v1/access", `{"ask": `+body+`}`); status != 422 {
			t.Errorf("%s, at once: %d %s", name, status, text)
		}
	}
	for _, body := range []string{`{"kind": "account", "value": "2222-2222-2222", "reason": "x"}`, `{"kind": "account", "value": "222222222222 ", "reason": "x"}`, `{"kind": "role", "value": "deploy", "reason": "x"}`, `{"kind": "role", "value": "arn:aws:iam::222222222222:role/*", "reason": "x"}`,
		`{"kind": "all", "reason": "x", "expires": "2020-01-01T00:00:00Z"}`, `{"kind": "all", "reason": "x", "expires": "9999-12-31T23:59:59-12:00"}`, `{"kind": "nobody", "value": "x", "reason": "x"}`} {
		if status, text := w.do("ops", "POST", "/v1/locks", body); status != 422 {
			t.Errorf("%s: %d %s", body, status, text)
		}
	}
	if len(w.failed) > 0 {
		t.Errorf("something went wrong inside: %v", w.failed)
	}
	w.must("ci", "POST", "/v1/requests", `{"entry": "ci", "reason": "Freigabe für Größe 7\nsiehe Ticket ✓"}`, 201)
	w.must("ops", "POST", "/v1/locks", `{"kind": "role", "value": "arn:aws:iam::222222222222:role/a/deploy", "reason": "x"}`, 201)
}
