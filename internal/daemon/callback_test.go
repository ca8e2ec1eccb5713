package daemon_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
	"drawbridge/internal/notify"
)

// TestCallBack: a machine is told at an address of its own what becomes of its requests, and nothing of others'; what it gets is signed. Its sessions are as long as its kind may have.
func TestCallBack(t *testing.T) {
	var mu sync.Mutex
	told := map[string]int{}
	const secret = "a secret of the deploy machine"
	ear := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m notify.Message
		var body strings.Builder
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&m); err != nil {
			t.Error(err)
		}
		if r.Header.Get(notify.SignatureHeader) == "" {
			t.Errorf("not signed: %s", body.String())
		}
		mu.Lock()
		defer mu.Unlock()
		told[m.Kind+" "+m.About]++
	}))
	defer ear.Close()
	registry := strings.NewReplacer("EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), `{required: 2, approvers: ["group:release"]}`, "{automatic: true}").Replace(twoApprovers)
	registry += "---\n" + strings.NewReplacer("{name: ci-deploy,", "{name: other,", `repository_id: "4711"`, `repository_id: "4712"`).Replace(strings.TrimPrefix(registry, "---\n"))
	var issuer string
	d := daemontest.Start(t, registry, func(c *daemon.Config) {
		issuer = c.Issuers[0].URL
		c.Sessions = map[string]time.Duration{issuer: 20 * time.Minute}
		c.Notify = []daemon.NotifyConfig{{Name: "deploy", URL: ear.URL, Secret: daemon.SecretOf(secret), On: []string{"request.filed", "grant.moved"}, Subjects: []string{"oidc:" + strings.TrimPrefix(issuer, "https://") + ":repository_id=4711"}}}
	})
	file := func(repository, entry string) *wire.Request {
		t.Helper()
		c := &client.Client{URL: d.URL, Token: client.Static(d.APIToken(t, repository))}
		r, err := c.File(t.Context(), wire.Ask{Entry: entry, Reason: "release 7"})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// A new address hears of what happens from when it was seen first.
	heard := func(key string) int { mu.Lock(); defer mu.Unlock(); return told[key] }
	mine := file("4711", "ci-deploy")
	for n := 0; heard("request.filed "+mine.ID) == 0; n++ {
		if time.Sleep(100 * time.Millisecond); n%15 == 14 {
			mine = file("4711", "ci-deploy")
		}
	}
	if mine.Session != "20m0s" || mine.LimitedBy != "the caller's kind" {
		t.Errorf("sessions of %s by %s", mine.Session, mine.LimitedBy)
	}
	others := file("4712", "other")
	last := file("4711", "ci-deploy")
	for heard("request.filed "+last.ID) == 0 {
		time.Sleep(50 * time.Millisecond)
	}
	if heard("request.filed "+others.ID) != 0 {
		t.Error("it was told of another's request")
	}
}

// TestChat: people in a chat are told in a sentence what happened and why, with a link to where they decide; what a caller writes is neither a mark nor a link there.
func TestChat(t *testing.T) {
	var mu sync.Mutex
	var said []string
	chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m struct{ Text string }
		if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(&m); err != nil || r.Header.Get(notify.SignatureHeader) != "" {
			t.Errorf("error %v, header %v", err, r.Header)
		}
		mu.Lock()
		defer mu.Unlock()
		said = append(said, m.Text)
	}))
	defer chat.Close()
	d := daemontest.Start(t, strings.ReplaceAll(twoApprovers, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), func(c *daemon.Config) {
		c.Notify = []daemon.NotifyConfig{{Name: "chat", URL: chat.URL, Form: "slack", On: []string{"request.filed"}}}
	})
	c := &client.Client{URL: d.URL, Token: client.Static(d.APIToken(t, "4711"))}
	var last string
	for n := 0; last == ""; n++ {
		if _, err := c.File(t.Context(), wire.Ask{Entry: "ci-deploy", Reason: "release 7 <https://evil.example|Open it> ``` *now* " + strings.Repeat("x", 900)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1200 * time.Millisecond)
		mu.Lock()
		if len(said) > 0 {
			last = said[len(said)-1]
		}
		mu.Unlock()
	}
	lines := strings.Split(last, "\n")
	if len(lines) != 5 || lines[0] != "```" || !strings.HasPrefix(lines[1], "oidc:") || !strings.Contains(lines[1], "asks for access to arn:aws:iam::222222222222:role/deploy") || lines[3] != "```" || !strings.HasPrefix(lines[4], "<https://broker.example/requests/r-") {
		t.Fatalf("said %q", last)
	}
	if strings.ContainsAny(lines[2], "<`") || !strings.HasSuffix(lines[2], "…") {
		t.Errorf("what the caller wrote: %q", lines[2])
	}
}
