package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// observer is how operators see what a daemon does: metrics, traces, and a line of the log for each call. None of them has a secret, nor a text that a caller wrote.
type observer struct {
	log      *slog.Logger
	tracer   trace.Tracer
	provider *sdktrace.TracerProvider // nil where traces go nowhere

	calls    *prometheus.CounterVec
	callTime *prometheus.HistogramVec
	awsCalls *prometheus.CounterVec
	awsTime  *prometheus.HistogramVec
	store    *prometheus.HistogramVec
	issues   *prometheus.CounterVec
	sweeps   prometheus.Counter
	requests *prometheus.GaugeVec
	waits    prometheus.Gauge
	info     *prometheus.GaugeVec
	commits  prometheus.Histogram
	fold     prometheus.Histogram
	events   *prometheus.CounterVec
	takeBack *prometheus.HistogramVec
	sessions prometheus.Gauge
	effects  *prometheus.GaugeVec
	records  prometheus.Gauge
	behind   *prometheus.GaugeVec
	edition  prometheus.Gauge
}

// newObserver builds one. Traces go by OTLP over HTTP to the address of the configuration; without one there are none.
func newObserver(ctx context.Context, c *Config, log *slog.Logger) (*observer, error) {
	seconds := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}}, labels)
	}
	count := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	o := &observer{log: log, tracer: noop.NewTracerProvider().Tracer("drawbridge"),
		calls:    count("drawbridge_calls_total", "Calls by face and status.", "face", "status"),
		callTime: seconds("drawbridge_call_seconds", "How long calls took, by face.", "face"),
		awsCalls: count("drawbridge_aws_calls_total", "Sessions asked for, denies put and denies removed, by what became of it: done, refused (AWS surely did nothing) or unclear.", "call", "outcome"),
		awsTime:  seconds("drawbridge_aws_call_seconds", "How long AWS took.", "call"),
		store:    seconds("drawbridge_store_seconds", "How long the store took, until a change was on disk.", "operation"),
		issues:   count("drawbridge_credentials_total", "Demands for credentials, by what became of them: issued, or why not.", "outcome"),
		sweeps:   prometheus.NewCounter(prometheus.CounterOpts{Name: "drawbridge_sweeps_total", Help: "How often the time's work was looked for."}),
		requests: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "drawbridge_requests", Help: "Requests that are not over, by state."}, []string{"state"}),
		commits:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "drawbridge_store_commit_seconds", Help: "How long transactions of the store's writer took.", Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30}}),
		fold:     prometheus.NewHistogram(prometheus.HistogramOpts{Name: "drawbridge_store_commit_changes", Help: "How many changes were committed together.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)}),
		events:   count("drawbridge_events_total", "What happened to requests, sessions and effects, by the kind of its record.", "kind"),
		takeBack: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "drawbridge_take_back_seconds", Help: "How long after the fence a deny was written and read back, and after which AWS surely acts by it.", Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 310, 330, 360, 420, 600, 1800, 3600}}, []string{"step"}),
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{Name: "drawbridge_sessions", Help: "Sessions that somebody may hold credentials of."}),
		effects:  prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "drawbridge_effects", Help: "Denies that are not written yet, by state."}, []string{"state"}),
		records:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "drawbridge_audit_records", Help: "Records of the audit log."}),
		behind:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "drawbridge_notify_behind_records", Help: "Records that an address of the configuration was not told yet."}, []string{"name"}),
		edition:  prometheus.NewGauge(prometheus.GaugeOpts{Name: "drawbridge_registry_timestamp_seconds", Help: "When the registry in force was proposed; 0 where the store has none."}),
		waits:    prometheus.NewGauge(prometheus.GaugeOpts{Name: "drawbridge_oldest_waiting_seconds", Help: "How long the oldest request waits for people."}),
		info:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "drawbridge_build_info", Help: "1, with the version of the program."}, []string{"version", "go"}),
	}
	for _, step := range []string{"written", "effective"} {
		o.takeBack.WithLabelValues(step)
	}
	for _, state := range []string{"pending", "stuck"} {
		o.effects.WithLabelValues(state)
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		o.info.WithLabelValues(build.Main.Version, build.GoVersion).Set(1)
	}
	var to []otlptracehttp.Option
	switch {
	case os.Getenv("OTEL_SDK_DISABLED") == "true" || os.Getenv("OTEL_TRACES_EXPORTER") == "none":
		return o, nil
	case c.Traces.Endpoint != "":
		to = append(to, otlptracehttp.WithEndpointURL(c.Traces.Endpoint))
	case os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "":
		return o, nil
	}
	exporter, err := otlptracehttp.New(ctx, to...)
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "drawbridged")), resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	// A caller's own decision to sample counts for nothing: whoever can call could fill the collector.
	options := []sdktrace.TracerProviderOption{sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)}
	if share := c.Traces.Share; share != 0 {
		options = append(options, sdktrace.WithSampler(sdktrace.TraceIDRatioBased(share))) // else all, or what OTEL_TRACES_SAMPLER says
	}
	o.provider = sdktrace.NewTracerProvider(options...)
	o.tracer = o.provider.Tracer("drawbridge")
	return o, nil
}

func (o *observer) register(r *prometheus.Registry) {
	r.MustRegister(o.calls, o.callTime, o.awsCalls, o.awsTime, o.store, o.issues, o.sweeps, o.requests, o.waits, o.info, o.commits, o.fold, o.events, o.takeBack, o.sessions, o.effects, o.records, o.behind, o.edition, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// close sends what was not sent yet.
func (o *observer) close(ctx context.Context) error {
	if o.provider == nil {
		return nil
	}
	return o.provider.Shutdown(ctx)
}

// visit is what a call comes to be known by.
type visit struct{ who string }

type visitKey struct{}

// caller notes who makes a call.
func caller(ctx context.Context, s *broker.Subject) {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		v.who = s.ID
		trace.SpanFromContext(ctx).SetAttributes(attribute.String("drawbridge.caller", s.ID))
	}
}

// CallHeader carries the id of a call, by which the log names it.
const CallHeader = "Drawbridge-Call"

// serve answers a call, and says what became of it.
func (o *observer) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	v, id := &visit{}, "c-"+newID()[2:]
	w.Header().Set(CallHeader, id)
	ctx := context.WithValue(r.Context(), visitKey{}, v)
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}
	// The caller's trace is linked to, never continued: callers are not trusted.
	if theirs := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), propagation.HeaderCarrier(r.Header))); theirs.IsValid() {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: theirs}))
	}
	ctx, span := o.tracer.Start(ctx, "call", options...)
	defer span.End()
	rec := &recorder{ResponseWriter: w, status: http.StatusOK}
	r = r.WithContext(ctx)
	next.ServeHTTP(rec, r)
	took, face := time.Since(began), faceOf(r)
	// The pattern, not the path: what a caller makes up is no name of anything.
	route := r.Pattern
	if route == "" {
		route = "none"
	}
	o.calls.WithLabelValues(face, fmt.Sprint(rec.status)).Inc()
	o.callTime.WithLabelValues(face).Observe(took.Seconds())
	span.SetName(route)
	span.SetAttributes(attribute.String("drawbridge.call", id), attribute.String("http.request.method", method(r)), attribute.String("http.route", route), attribute.Int("http.response.status_code", rec.status))
	if rec.status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	if face == "other" && rec.status < http.StatusBadRequest {
		return // health, metrics, keys, the pages' style: asked for all the time
	}
	attrs := []slog.Attr{slog.String("call", id), slog.String("route", route), slog.Int("status", rec.status), slog.Duration("took", took.Round(time.Microsecond)), slog.String("from", addressKey(r.RemoteAddr))}
	if v.who != "" {
		attrs = append(attrs, slog.String("caller", v.who))
	}
	if s := span.SpanContext(); s.IsValid() {
		attrs = append(attrs, slog.String("trace", s.TraceID().String()))
	}
	o.log.LogAttrs(ctx, slog.LevelInfo, "a call", attrs...)
}

// method is a request's method where it is one.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "_OTHER"
}

// demanded counts a demand for credentials.
func (o *observer) demanded(err error) { o.issues.WithLabelValues(outcomeOf(err)).Inc() }

// outcomeOf is in a word what became of a demand for credentials.
func outcomeOf(err error) string {
	var pending *broker.Pending
	var refusal *broker.Refusal
	switch {
	case err == nil:
		return "issued"
	case errors.As(err, &pending):
		return "pending"
	case errors.As(err, &refusal):
		return "refused"
	case errors.Is(err, broker.ErrLocked):
		return "locked"
	case errors.Is(err, broker.ErrNotInForce), errors.Is(err, broker.ErrDecided):
		return "not in force"
	case errors.Is(err, broker.ErrTooMany):
		return "too many"
	case errors.Is(err, broker.ErrNotFound):
		return "not found"
	case errors.Is(err, broker.ErrNotIssued):
		return "refused by AWS"
	case errors.Is(err, broker.ErrClock):
		return "clock"
	}
	return "failed"
}

// span is one step within a call, or within the time's work.
func (o *observer) span(ctx context.Context, name string, attrs ...attribute.KeyValue) (context.Context, func(outcome string, failed bool)) {
	ctx, span := o.tracer.Start(ctx, name, trace.WithAttributes(attrs...))
	return ctx, func(outcome string, failed bool) {
		span.SetAttributes(attribute.String("drawbridge.outcome", outcome))
		if failed {
			span.SetStatus(codes.Error, "") // the error's text is for the log
		}
		span.End()
	}
}

// observedIssuer and observedRevoker are the way to AWS, seen.
type observedIssuer struct {
	broker.Issuer
	o *observer
}

// Issue implements broker.Issuer.
func (i observedIssuer) Issue(ctx context.Context, p *broker.Permit) (broker.Credentials, error) {
	began := time.Now()
	ctx, end := i.o.span(ctx, "aws issue")
	c, err := i.Issuer.Issue(ctx, p)
	outcome := "done"
	switch {
	case errors.Is(err, broker.ErrNotIssued):
		outcome = "refused"
	case err != nil:
		outcome = "unclear"
	}
	i.o.aws("issue", outcome, began, end)
	return c, err
}

func (o *observer) aws(call, outcome string, began time.Time, end func(string, bool)) {
	o.awsCalls.WithLabelValues(call, outcome).Inc()
	o.awsTime.WithLabelValues(call).Observe(time.Since(began).Seconds())
	end(outcome, outcome != "done")
}

type observedRevoker struct {
	broker.Revoker
	o *observer
}

// Carry implements broker.Revoker.
func (r observedRevoker) Carry(ctx context.Context, e broker.Effect) (broker.Carried, error) {
	began := time.Now()
	ctx, end := r.o.span(ctx, "aws deny", attribute.String("drawbridge.request", e.Grant), attribute.String("drawbridge.effect", string(e.Kind)), attribute.String("drawbridge.role", e.Role))
	c, err := r.Revoker.Carry(ctx, e)
	r.o.aws("deny", done(err), began, end)
	return c, err
}

// Lift implements broker.Revoker.
func (r observedRevoker) Lift(ctx context.Context, e broker.Effect) error {
	began := time.Now()
	ctx, end := r.o.span(ctx, "aws remove deny", attribute.String("drawbridge.request", e.Grant), attribute.String("drawbridge.role", e.Role))
	err := r.Revoker.Lift(ctx, e)
	r.o.aws("remove deny", done(err), began, end)
	return err
}

func done(err error) string {
	if err != nil {
		return "failed"
	}
	return "done"
}

// observedStore is the store, seen where it changes something.
type observedStore struct {
	broker.Store
	o *observer
}

func (s observedStore) see(ctx context.Context, operation, request string) (context.Context, func(error)) {
	began := time.Now()
	ctx, end := s.o.span(ctx, "store "+operation, attribute.String("drawbridge.request", request))
	return ctx, func(err error) {
		s.o.store.WithLabelValues(operation).Observe(time.Since(began).Seconds())
		end(done(err), false) // that something is not in force is no failure of the store's
	}
}

// File implements broker.Store.
func (s observedStore) File(ctx context.Context, c *broker.Change, at time.Time) error {
	ctx, end := s.see(ctx, "file", c.Grant.ID)
	err := s.Store.File(ctx, c, at)
	end(err)
	if err == nil {
		s.o.happened(c)
	}
	return err
}

// happened counts what a change that was committed says.
func (o *observer) happened(c *broker.Change) {
	for _, l := range c.Events {
		o.events.WithLabelValues(l.Event.Kind()).Inc()
		if e, ok := l.Event.(broker.EffectDone); ok && !c.Grant.FencedAt.IsZero() {
			o.takeBack.WithLabelValues("written").Observe(e.Written.Sub(c.Grant.FencedAt).Seconds())
			o.takeBack.WithLabelValues("effective").Observe(e.EffectiveBy.Sub(c.Grant.FencedAt).Seconds())
		}
	}
}

// Record implements broker.Store.
func (s observedStore) Record(ctx context.Context, at time.Time, actor, about string, e audit.Event) error {
	err := s.Store.Record(ctx, at, actor, about, e)
	if err == nil {
		s.o.events.WithLabelValues(e.Kind()).Inc()
	}
	return err
}

// Update implements broker.Store.
func (s observedStore) Update(ctx context.Context, id string, at time.Time, do func(*broker.Grant, []broker.Lock) (*broker.Change, error)) (*broker.Grant, error) {
	ctx, end := s.see(ctx, "update", id)
	var last *broker.Change // do may be called again: the last one was committed
	g, err := s.Store.Update(ctx, id, at, func(g *broker.Grant, locks []broker.Lock) (c *broker.Change, err error) {
		c, err = do(g, locks)
		last = c
		return c, err
	})
	end(err)
	if err == nil && last != nil {
		s.o.happened(last)
	}
	return g, err
}

// count counts what is not over, for the metrics.
func (d *Daemon) count(ctx context.Context) error {
	counted, oldest, err := d.store.Count(ctx)
	if err != nil {
		return err
	}
	for _, s := range broker.Open {
		d.observer.requests.WithLabelValues(s.String()).Set(float64(counted[s]))
	}
	age := 0.0
	if !oldest.IsZero() {
		age = max(d.clock.Now().Sub(oldest).Seconds(), 0)
	}
	d.observer.waits.Set(age)
	head, err := d.store.Head(ctx)
	if err != nil {
		return err
	}
	d.observer.records.Set(float64(head.Size))
	if len(d.config.Notify) == 0 {
		return nil
	}
	told, err := d.store.Told(ctx)
	if err != nil {
		return err
	}
	for _, n := range d.config.Notify {
		behind := int64(0)
		if next, ok := told[n.Name]; ok {
			behind = max(head.Size-next, 0)
		}
		d.observer.behind.WithLabelValues(n.Name).Set(float64(behind))
	}
	return nil
}

// each looks at all requests of some states.
func (d *Daemon) each(ctx context.Context, look func(*broker.Grant), states ...broker.State) error {
	for after := ""; ; {
		list, next, err := d.store.Grants(ctx, broker.Filter{States: states, After: after, Most: 500})
		if err != nil {
			return err
		}
		for i := range list {
			look(&list[i])
		}
		if after = next; next == "" {
			return nil
		}
	}
}

// survey counts what takes reading all that is in force: seldom.
func (d *Daemon) survey(ctx context.Context) error {
	now, live, pending, stuck := d.clock.Now(), 0, 0, 0
	if err := d.each(ctx, func(g *broker.Grant) {
		for i := range g.Sessions {
			if s := &g.Sessions[i]; s.State != broker.Failed && s.State != broker.Cut && now.Before(s.NotAfter) {
				live++
			}
		}
		for i := range g.Effects {
			switch e := &g.Effects[i]; {
			case !e.Written.IsZero() || !e.Removed.IsZero():
			case e.Stuck:
				stuck++
			default:
				pending++
			}
		}
	}, broker.Approved, broker.Active, broker.Suspended, broker.Revoking, broker.Stuck); err != nil {
		return err
	}
	d.observer.effects.WithLabelValues("pending").Set(float64(pending))
	d.observer.effects.WithLabelValues("stuck").Set(float64(stuck))
	d.observer.sessions.Set(float64(live))
	if d.rules.editions == nil {
		return nil
	}
	e, err := d.rules.editions.Edition(ctx, "")
	switch {
	case errors.Is(err, broker.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	d.observer.edition.Set(float64(e.At.Unix()))
	return nil
}

// faceOf is which face a call is for.
func faceOf(r *http.Request) string {
	switch {
	case strings.HasPrefix(r.URL.Path, "/v1/"):
		return "api"
	case r.URL.Path == "/" && r.Method == http.MethodPost:
		return "sts"
	case r.URL.Path == "/" || strings.HasPrefix(r.URL.Path, "/requests/") || strings.HasPrefix(r.URL.Path, "/sign-in") || strings.HasPrefix(r.URL.Path, "/cli"):
		return "pages"
	}
	return "other"
}
