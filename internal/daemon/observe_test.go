package daemon_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/audit"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// TestTraces follows a crossing through a real collector: each call is a trace of its own with its steps, a caller's trace is linked to and not continued, the log has the id of the trace, and no secret is in any of it.
func TestTraces(t *testing.T) {
	t.Run("by the configuration", func(t *testing.T) {
		traces(t, func(c *daemon.Config, address string) { c.Traces.Endpoint = address + "/v1/traces" })
	})
	t.Run("by the standard variable", func(t *testing.T) {
		traces(t, func(_ *daemon.Config, address string) { t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address) })
	})
}

func traces(t *testing.T, to func(c *daemon.Config, address string)) {
	var mu sync.Mutex
	var spans []*tracepb.Span
	var raw strings.Builder
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = z
		}
		text, err := io.ReadAll(body)
		var got collector.ExportTraceServiceRequest
		if err != nil || proto.Unmarshal(text, &got) != nil {
			t.Errorf("what was sent cannot be read: %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		raw.Write(text)
		for _, r := range got.ResourceSpans {
			for _, s := range r.ScopeSpans {
				spans = append(spans, s.Spans...)
			}
		}
	}))
	defer sink.Close()
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "100") // milliseconds
	d := daemontest.Start(t, strings.NewReplacer("EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), `{required: 2, approvers: ["group:release"]}`, "{automatic: true}").Replace(twoApprovers), func(c *daemon.Config) {
		to(c, sink.URL)
	})
	token := d.APIToken(t, "4711")
	c := &client.Client{URL: d.URL, Token: client.Static(token)}
	r, err := c.File(t.Context(), wire.Ask{Entry: "ci-deploy", Reason: "canary-of-the-reason"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Credentials(t.Context(), r.ID, wire.Demand{}); err != nil {
		t.Fatal(err)
	}
	const theirs = "4bf92f3577b34da6a3ce929d0e0e4736"
	q, err := http.NewRequest(http.MethodGet, d.URL+"/v1/requests/"+r.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	q.Header.Set("Traceparent", "00-"+theirs+"-00f067aa0ba902b7-01")
	a, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
	call := a.Header.Get(daemon.CallHeader)
	find := func(name string) *tracepb.Span {
		mu.Lock()
		defer mu.Unlock()
		i := slices.IndexFunc(spans, func(s *tracepb.Span) bool { return s.Name == name })
		if i < 0 {
			return nil
		}
		return spans[i]
	}
	for range 100 {
		if find("GET /v1/requests/{id}") != nil && find("aws issue") != nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	issue, aws, store, get := find("POST /v1/requests/{id}/credentials"), find("aws issue"), find("store file"), find("GET /v1/requests/{id}")
	if issue == nil || aws == nil || store == nil || get == nil {
		t.Fatalf("spans %v", spans)
	}
	if string(aws.TraceId) != string(issue.TraceId) || string(aws.ParentSpanId) != string(issue.SpanId) {
		t.Error("what AWS is asked is no step of the call that asked for it")
	}
	if trace := fmt.Sprintf("%x", get.TraceId); trace == theirs || len(get.Links) != 1 || fmt.Sprintf("%x", get.Links[0].TraceId) != theirs || !strings.Contains(d.Log(), "trace="+trace) {
		t.Errorf("the caller's trace: %v; the log %s", get, d.Log())
	}
	if call == "" || !strings.Contains(d.Log(), "call="+call) || !strings.Contains(d.Log(), `caller="oidc:`) {
		t.Errorf("the call %q is not in the log: %s", call, d.Log())
	}
	mu.Lock()
	defer mu.Unlock()
	for what, secret := range map[string]string{"AWS's secret": daemontest.Canary, "the token": token, "what a caller wrote": "canary-of-the-reason"} {
		if strings.Contains(raw.String(), secret) || strings.Contains(d.Log(), secret) {
			t.Errorf("%s is in traces or the log", what)
		}
	}
}

// TestMetrics holds the page of the documents to what a daemon that has done a little gives out, and the names to their form: what is there is documented, and what is documented is there.
func TestMetrics(t *testing.T) {
	d := daemontest.Start(t, strings.NewReplacer("EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly), `{required: 2, approvers: ["group:release"]}`, "{automatic: true}").Replace(twoApprovers), func(c *daemon.Config) {
		private, _, err := audit.NewKey(nil, "broker.example/audit")
		if err != nil {
			t.Fatal(err)
		}
		c.Audit.Name, c.Audit.Key, c.Audit.Every = "broker.example/audit", filepath.Join(t.TempDir(), "audit.key"), time.Hour
		if err := os.WriteFile(c.Audit.Key, []byte(private.Reveal()+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	})
	token := d.APIToken(t, "4711")
	c := &client.Client{URL: d.URL, Token: client.Static(token)}
	r, err := c.File(t.Context(), wire.Ask{Entry: "ci-deploy", Reason: "release 7"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Credentials(t.Context(), r.ID, wire.Demand{}); err != nil {
		t.Fatal(err)
	}
	a, err := http.Get(d.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := read(t, a)
	for _, want := range []string{`drawbridge_credentials_total{outcome="issued"} 1`, `drawbridge_aws_calls_total{call="issue",outcome="done"} 1`, `drawbridge_clock_in_doubt 0`, `drawbridge_calls_total{face="api",status="200"}`, `drawbridge_store_seconds_count{operation="file"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	person := &client.Client{URL: d.URL, Token: client.Static(d.Token)}
	if _, err := person.Revoke(t.Context(), r.ID, "an incident"); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if a, err = http.Get(d.URL + "/metrics"); err != nil {
			t.Fatal(err)
		}
		if _, text, _ = read(t, a); strings.Contains(text, `drawbridge_events_total{kind="effect.failed"}`) {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, want := range []string{`drawbridge_events_total{kind="effect.failed"}`, `drawbridge_events_total{kind="grant.revoked"} 1`, `drawbridge_events_total{kind="session.issued"} 1`} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %s in\n%s", want, text)
		}
	}
	page, err := os.ReadFile("../../docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	documented, there := make(map[string]bool), make(map[string]bool)
	for _, m := range regexp.MustCompile("(?m)^\\| `(drawbridge_[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		documented[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (drawbridge_[a-z_]+) `).FindAllStringSubmatch(text, -1) {
		if there[m[1]] = true; !documented[m[1]] {
			t.Errorf("docs/operate.md does not say what %s is", m[1])
		}
	}
	// Those of the log are there where it is signed; those with labels when there was something.
	for name := range documented {
		if !there[name] && !slices.Contains([]string{"drawbridge_requests", "drawbridge_audit_published_records", "drawbridge_audit_publish_failures_total", "drawbridge_notify_behind_records"}, name) {
			t.Errorf("docs/operate.md speaks of %s, which is not there", name)
		}
	}
	if len(there) < 10 {
		t.Errorf("only %d metrics", len(there))
	}
	alerts, err := os.ReadFile("../../examples/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range regexp.MustCompile(`drawbridge_[a-z_]+`).FindAllString(string(alerts), -1) {
		if !documented[strings.TrimSuffix(name, "_bucket")] {
			t.Errorf("examples/alerts.yaml asks for %s, which there is not", name)
		}
	}
	// Labels are of a closed set: nothing that a caller makes up is one.
	for range 3 {
		if a, err := http.Get(d.URL + "/v1/canary-" + time.Now().String()[20:26]); err == nil {
			a.Body.Close()
		}
	}
	if a, err = http.Get(d.URL + "/metrics"); err != nil {
		t.Fatal(err)
	}
	if _, text, _ = read(t, a); strings.Contains(text, "canary-") {
		t.Error("a path became a label")
	}
}
