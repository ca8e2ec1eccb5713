package daemon

import (
	"cmp"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"drawbridge/iam/cond"
	"drawbridge/internal/api"
	"drawbridge/internal/awssts"
	"drawbridge/internal/broker"
	"drawbridge/internal/oidc"
	"drawbridge/internal/sqlstore"
	"drawbridge/internal/stsapi"
)

// Daemon is a broker with its faces, ready to serve.
type Daemon struct {
	Handler http.Handler
	// Token lets the one who started a local setup in; "" in every other.
	Token string

	config   *Config
	log      *slog.Logger
	store    *sqlstore.Store
	broker   *broker.Broker
	revoker  *awssts.Revoker
	clock    *clock
	observer *observer
	limits   limits
	rules    *rules
	seals    seals
	started  time.Time
	keeper   *keeper // of checkpoints; nil where none are signed

	knowledge knowledge
}

// Local is the setup without a configuration: everything in one folder, on loopback.
func Local(folder string) *Config {
	c := &Config{Listen: "127.0.0.1:8181", URL: "http://127.0.0.1:8181"}
	c.Store = SecretOf("sqlite:" + filepath.Join(folder, "drawbridge.db"))
	c.Keys.Seal = []string{filepath.Join(folder, "seal.key")}
	return c
}

// New builds a daemon.
func New(ctx context.Context, c *Config, local bool, log *slog.Logger) (*Daemon, error) {
	d := &Daemon{config: c, log: log, started: time.Now()}
	d.clock = newClock(log)
	d.limits.perSecond, d.limits.burst = c.Limits.PerSecond, c.Limits.Burst
	var err error
	if d.observer, err = newObserver(ctx, c, log); err != nil {
		return nil, err
	}
	if d.store, err = sqlstore.Open(ctx, c.Store.Reveal()); err != nil {
		return nil, err
	}
	d.store.OnCommit(func(changes int, took time.Duration) {
		d.observer.fold.Observe(float64(changes))
		d.observer.commits.Observe(took.Seconds())
	})
	if d.rules, err = openRules(d.store, c.Registry); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	if d.seals, err = readSeals(c.Keys.Seal); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	own, err := d.ownIssuer(ctx)
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	d.rules.issues, d.rules.assumed = own != nil, c.AWS.Assume.Targets
	d.knowledge.daemon = d
	d.rules.longest = func(role string) time.Duration {
		known, _, _ := d.knowledge.role(role, d.clock.Now())
		return known.longest
	}
	issuer, revoker, err := d.aws(ctx, own)
	if err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	// Before anything goes by it: what was committed is over, and AWS says what time it is.
	if c.Now == nil {
		d.clock.store = d.store
	}
	if err := d.clock.begin(ctx); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	d.revoker = revoker
	d.broker = &broker.Broker{SubjectMax: c.longest, Store: observedStore{d.store, d.observer}, Rules: d.rules, Revoker: observedRevoker{revoker, d.observer}, Quarantine: revoker.Quarantine != nil, Now: d.now, NewID: newID}
	if local {
		caller := broker.Caller{Subject: broker.Subject{ID: "local", Name: "local", Issuer: "local", Person: true}, Roles: broker.Roles, Until: d.clock.Now().Add(12 * time.Hour)}
		if err = d.store.KnowPerson(ctx, broker.Reviewer{ID: caller.Subject.ID}, d.clock.Now()); err == nil {
			d.Token, err = api.NewToken(ctx, d.store, caller, caller.Until)
		}
		if err != nil {
			return nil, errors.Join(err, d.store.Close())
		}
	}
	if d.keeper, err = newKeeper(ctx, c, d.store, log); err != nil {
		return nil, errors.Join(err, d.store.Close())
	}
	d.broker.Issuer = guarded{observedIssuer{issuer, d.observer}, d.keeper.trouble, d.clock.Trouble}
	d.Handler = d.handler(own, local)
	return d, nil
}

// newID is a random id: 100 bits, in letters and digits that nobody mistakes for others.
func newID() string {
	const letters = "0123456789abcdefghjkmnpqrstvwxyz"
	var b [20]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	return "r-" + string(b[:])
}

// ownIssuer is the broker as an issuer, nil where it has no keys.
func (d *Daemon) ownIssuer(ctx context.Context) (*oidc.Own, error) {
	if len(d.config.Issuer.Keys) == 0 {
		return nil, nil
	}
	o := &oidc.Own{URL: d.config.URL, Audience: d.config.audience(), Now: d.clock.Now, NewID: newID}
	for _, k := range d.config.Issuer.Keys {
		signer, err := openKey(ctx, &k)
		if err != nil {
			return nil, fmt.Errorf("issuer: key %s: %w", k.ID, err)
		}
		o.Keys = append(o.Keys, oidc.SigningKey{ID: k.ID, Signer: signer, From: k.From, Until: k.Until})
	}
	return o, nil
}

// audience is what tokens of the broker's own issuer are made for.
func (c *Config) audience() string { return cmp.Or(c.Issuer.Audience, "sts.amazonaws.com") }

// openKey opens a signing key of the broker's own, in a file or in KMS.
func openKey(ctx context.Context, k *KeyConfig) (crypto.Signer, error) {
	if k.KMS != "" {
		return openKMS(ctx, k.KMS)
	}
	return readKey(k.File)
}

// readKey reads a private key from a PEM file, which only its owner may read.
func readKey(name string) (crypto.Signer, error) {
	text, err := readPrivate(name)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", name)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: expected a private key in PKCS #8: %w", name, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: the key cannot sign", name)
	}
	return signer, nil
}

// handler joins the faces.
func (d *Daemon) handler(own *oidc.Own, local bool) http.Handler {
	prover := d.prover()
	failed := func(what string, err error) { d.log.Error("a call failed", "call", what, "error", err) }
	server := &api.Server{
		Broker: d.broker, Store: d.store, Tokens: d.store, Now: d.clock.Now, Failed: failed,
		Identify: func(r *http.Request) (broker.Caller, error) {
			if r.Header.Get("Authorization") == "" {
				c, err := prover.certificate(r)
				caller(r.Context(), &c.Subject)
				return c, err
			}
			c, err := api.Bearer(r, d.whose)
			if err == nil {
				d.limits.proved(r)
				caller(r.Context(), &c.Subject)
			}
			return c, err
		},
		Prove: prover.token, ProveTLS: prover.certificate,
		Demanded: d.observer.demanded,
		Known:    func(r *http.Request, _ *broker.Caller) *cond.Context { return d.known(r.RemoteAddr) },
		Person:   d.person, PersonLife: d.personLife(), Registry: d.registry(local), Facts: d.facts(), Services: d.services(local),
	}
	if len(d.config.AWS.Accounts) > 0 {
		server.ProveAWS, server.Audience = d.proveAWS(), d.config.URL
	}
	face := &stsapi.Handler{Desk: &desk{d: d, prover: prover}, Now: d.clock.Now, RequestID: newID, Failed: failed}
	if d.config.URL != "" {
		face.Link = func(request string) string { return d.config.URL + "/requests/" + request }
	}
	metrics := prometheus.NewRegistry()
	d.observer.register(metrics)
	d.keeper.register(metrics)
	d.clock.register(metrics)

	mux := http.NewServeMux()
	server.API(mux)
	if own != nil {
		mux.Handle("GET /.well-known/", own)
	}
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if _, err := d.store.Head(r.Context()); err != nil {
			failed("readyz", err)
			http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
			return
		}
		if d.keeper.trouble() != nil {
			http.Error(w, "the audit log does not extend its checkpoints; the broker's log says where", http.StatusServiceUnavailable)
			return
		}
		if d.clock.Trouble() != nil {
			http.Error(w, "it is not known what time it is; the broker's log says why", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("GET /checkpoint", d.checkpoint)
	mux.Handle("POST /{$}", face)
	d.pages(failed).Register(mux)
	secure := strings.HasPrefix(d.config.URL, "https://")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !d.limits.allow(r) {
			// Not 429 nor a throttling error: clients would try again, and again.
			http.Error(w, "too many calls; wait before you make more", http.StatusForbidden)
			d.observer.calls.WithLabelValues(faceOf(r), "403").Inc()
			return
		}
		// What a face does not say otherwise: nothing is kept, and nothing is taken for something else.
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if secure {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		d.observer.serve(mux, w, r)
	})
}

type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// known is what is known of a request's context: the network that it comes from. Nothing that a client says of itself is in it.
func (d *Daemon) known(remote string) *cond.Context {
	ctx := &cond.Context{Rest: cond.Undetermined}
	if host, _, err := net.SplitHostPort(remote); err == nil {
		ctx.Set("aws:SourceIp", host)
	}
	now := d.clock.Now().UTC()
	ctx.Set("aws:CurrentTime", now.Format(time.RFC3339))
	ctx.Set("aws:EpochTime", fmt.Sprint(now.Unix()))
	return ctx
}

// desk stands behind the STS face.
type desk struct {
	d        *Daemon
	prover   *prover
	together together
}

// Token implements stsapi.Desk.
func (k *desk) Token(ctx context.Context, token string) (broker.Subject, error) {
	return k.prover.webIdentity(ctx, token)
}

// Assume implements stsapi.Desk: the client knows a role and no entry. One that leads there for this subject is the one that is meant.
func (k *desk) Assume(ctx context.Context, s broker.Subject, q stsapi.Question) (broker.Credentials, *broker.Grant, error) {
	all, _, err := k.d.rules.current(ctx)
	if err != nil {
		return broker.Credentials{}, nil, err
	}
	var names []string
	for i := range all.Entries {
		if e := &all.Entries[i]; e.To.Role == q.Role && broker.Admits(e, &s) {
			names = append(names, e.Name)
		}
	}
	ask := broker.Ask{Target: q.Role, Reason: "asked for by an AWS client"}
	switch len(names) {
	case 0:
	case 1:
		ask.Entry = names[0]
	default:
		slices.Sort(names)
		return broker.Credentials{}, nil, &broker.Refusal{Why: "several registered trusts lead there for this caller (" + strings.Join(names, ", ") + "): file a request for one of them"}
	}
	caller(ctx, &s)
	c, g, err := k.d.broker.Access(ctx, s, ask, broker.Demand{Life: q.Life, Lower: q.Life == 0, Idempotency: ""}, broker.Facts{Context: k.d.known(q.Source)})
	k.d.observer.demanded(err)
	return c, g, err
}

// Serve answers on a listener until the context ends, and then finishes what was begun.
func (d *Daemon) Serve(ctx context.Context, l net.Listener) error {
	listening := d.config.listening()
	if d.config.TLS.Certificate != "" {
		own := &certificate{file: d.config.TLS.Certificate, key: d.config.TLS.Key, log: d.log, now: time.Now}
		if err := own.load(); err != nil {
			return errors.Join(err, d.store.Close())
		}
		listening.GetCertificate = own.get
	}
	server := &http.Server{Handler: d.Handler, TLSConfig: listening, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelWarn)}
	var background sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	background.Go(func() { d.clock.watch(ctx) })
	background.Go(func() { d.sweep(ctx) })
	background.Go(func() { d.tell(ctx) })
	background.Go(func() { d.know(ctx) })
	background.Go(func() { d.keeper.run(ctx) })
	ended := make(chan error, 1)
	go func() {
		if d.config.TLS.Certificate != "" {
			ended <- server.ServeTLS(l, "", "")
			return
		}
		ended <- server.Serve(l)
	}()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		d.log.Info("stopping: what was begun is finished first")
		patience, cancel := context.WithTimeout(context.Background(), 40*time.Second)
		err = server.Shutdown(patience)
		cancel()
	}
	stop()
	background.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	d.keeper.last()
	sent, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(err, d.observer.close(sent), d.store.Close())
}

// sweepEvery is how often the time's work is looked for: a grant ends, and an effect is tried, at most this late.
const sweepEvery = time.Second

func (d *Daemon) sweep(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	forget := time.NewTicker(10 * time.Minute)
	defer forget.Stop()
	count := time.NewTicker(15 * time.Second)
	defer count.Stop()
	recheck := time.NewTicker(time.Minute)
	defer recheck.Stop()
	if err := errors.Join(d.count(ctx), d.survey(ctx)); err != nil && ctx.Err() == nil {
		d.log.Error("counting what is there", "error", err)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-forget.C:
			if err := d.store.Forget(ctx, d.clock.Now()); err != nil && ctx.Err() == nil {
				d.log.Error("forgetting what is of no use any more", "error", err)
			}
		case <-count.C:
			if err := d.count(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("counting what is not over", "error", err)
			}
		case <-recheck.C:
			if err := d.survey(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("counting what is in force", "error", err)
			}
			if _, err := d.broker.Recheck(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("holding what is in force against the registry", "error", err)
			}
		case <-ticker.C:
			d.observer.sweeps.Inc()
			if _, err := d.broker.Sweep(ctx, 1000); err != nil && ctx.Err() == nil {
				d.log.Error("the time's work", "error", err)
			}
		}
	}
}
