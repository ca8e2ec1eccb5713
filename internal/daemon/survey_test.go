package daemon

import (
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"drawbridge/internal/broker"
)

// TestSurvey counts the sessions that somebody may hold, those of unclear outcome among them, the denies that wait, and what a webhook was not told.
func TestSurvey(t *testing.T) {
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
	c := Local(t.TempDir())
	c.Keys.Seal = nil
	c.Notify = []NotifyConfig{{Name: "chat"}}
	d, err := New(t.Context(), c, false, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer d.store.Close()
	now := d.clock.Now()
	later, before := now.Add(time.Hour), now.Add(-time.Minute)
	g := broker.Grant{Request: broker.Request{ID: "r-1", Filed: now}, State: broker.Revoking, Version: 1, FencedAt: now,
		Sessions: []broker.Session{{State: broker.Issued, NotAfter: later}, {State: broker.Unclear, NotAfter: later}, {State: broker.Intended, NotAfter: later}, {State: broker.Issued, NotAfter: before}, {State: broker.Failed, NotAfter: later}, {State: broker.Cut, NotAfter: later}},
		Effects:  []broker.Effect{{ID: "a"}, {ID: "b", Stuck: true}, {ID: "c", Written: now}, {ID: "d"}}}
	if _, _, err := d.store.Claim(t.Context(), "chat", "x", 0, now, later); err != nil {
		t.Fatal(err)
	}
	if err := d.broker.Store.File(t.Context(), &broker.Change{Grant: g, Events: []broker.Logged{{Actor: "x", Event: broker.GrantRevoked{Why: "x"}}}}, now); err != nil {
		t.Fatal(err)
	}
	// What is written later is timed from the fence.
	if _, err := d.broker.Store.Update(t.Context(), "r-1", now, func(g *broker.Grant, _ []broker.Lock) (*broker.Change, error) {
		c := &broker.Change{Grant: *g, Events: []broker.Logged{{Actor: "x", Event: broker.EffectDone{Effect: "a", Written: now.Add(3 * time.Second), EffectiveBy: now.Add(303 * time.Second)}}}}
		c.Grant.Version++
		c.Grant.Effects[0].Written = now.Add(3 * time.Second)
		return c, nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := d.count(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := d.survey(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := prometheus.NewRegistry()
	d.observer.register(r)
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			switch {
			case m.Gauge != nil:
				got[name] = m.Gauge.GetValue()
			case m.Histogram != nil:
				got[name] = m.Histogram.GetSampleSum()
			}
		}
	}
	for name, want := range map[string]float64{"drawbridge_sessions": 3, "drawbridge_effects pending": 1, "drawbridge_effects stuck": 1, "drawbridge_audit_records": 2, "drawbridge_notify_behind_records chat": 2, "drawbridge_requests revoking": 1,
		"drawbridge_take_back_seconds written": 3, "drawbridge_take_back_seconds effective": 303} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), expected %v", name, v, ok, want)
		}
	}
}
