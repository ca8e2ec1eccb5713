package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/publish"
	"drawbridge/internal/sqlstore"
)

const (
	defaultEvery  = time.Hour
	defaultRetain = 365 * 24 * time.Hour
	readPage      = 1000           // records at a time
	rereadEvery   = 24 * time.Hour // the whole log, from its first record
	retryBroken   = 10 * time.Minute
	lastPatience  = 20 * time.Second // with the checkpoint of a daemon that stops
)

// checkAudit finds what cannot work in the part about checkpoints.
func (c *Config) checkAudit() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("audit: "+format, args...)) }
	a := &c.Audit
	switch {
	case a.Key != "" && a.KMS != "":
		bad("key and kms: expected one of them")
	case a.KMS != "" && !kmsARN(a.KMS):
		bad("kms: expected the ARN of a key, found %q", a.KMS)
	case a.KMS != "" && a.Name == "":
		bad("name is missing: what checkpoints are called by, such as broker.example/audit")
	}
	if a.Key == "" && a.KMS == "" && (a.Name != "" || a.Every != 0 || a.Checkpoint != "" || a.S3 != S3Config{} || len(a.Witnesses) > 0 || len(a.Former) > 0) {
		bad("key is missing: no checkpoint would be signed; 'drawbridge audit key' makes one")
	}
	if a.Every != 0 && a.Every < time.Second {
		bad("every: expected a length of time such as 1h, found %v", a.Every)
	}
	for i, text := range a.Former {
		if _, err := note.NewVerifier(text); err != nil {
			bad("former[%d]: %q is no public key of a log", i, text)
		}
	}
	if a.S3.Bucket == "" && a.S3 != (S3Config{}) {
		bad("s3: bucket is missing")
	}
	if a.S3.Retain < 0 {
		bad("s3: retain: expected a length of time such as 8760h, found %v", a.S3.Retain)
	}
	for i, w := range a.Witnesses {
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			bad("witnesses[%d]: url: expected https, found %q", i, w.URL)
		}
		if _, err := audit.ParseWitness(w.Key); err != nil {
			bad("witnesses[%d]: %w", i, err)
		}
	}
	return errs
}

// keeper signs checkpoints of the audit log and publishes them. It reads the whole log itself and takes nothing on trust that the store could have been made to say: a checkpoint is signed only where the log extends every
// checkpoint that is known, be it from the store, from where they are published, or from what a witness saw.
type keeper struct {
	store     *sqlstore.Store
	signer    note.Signer
	keys      audit.Keys
	every     time.Duration
	places    []publish.Place
	witnesses []*publish.Witness
	log       *slog.Logger
	now       func() time.Time

	// What was read of the log; anew from time to time, and after trouble.
	tree   *audit.Tree
	head   audit.Head
	stored int64 // size of the newest of the store's checkpoints that is among want, and of the one before it
	prior  int64
	want   map[int64][]wanted // by size
	begun  time.Time
	looked time.Time       // when the places were read
	own    int64           // size of the newest checkpoint that this daemon signed
	seen   map[string]bool // places that were read since the daemon started
	laid   map[string]laid // what lies there, as far as is known
	asked  map[string]laid // what a witness cosigned last

	mu     sync.Mutex
	broken error
	note   []byte // the newest checkpoint with its cosignatures

	metrics keeperMetrics
}

// wanted is a checkpoint that the log must extend.
type wanted struct {
	name string
	*audit.Checkpoint
}

type laid struct {
	size     int64
	cosigned int
	at       time.Time
	text     []byte // the note, with the cosignature of one witness
}

type keeperMetrics struct {
	read, size, signedAt, broken prometheus.Gauge
	failures                     *prometheus.CounterVec
	published                    *prometheus.GaugeVec
}

// newKeeper builds the keeper of a configuration, nil where it names no key.
func newKeeper(ctx context.Context, c *Config, store *sqlstore.Store, log *slog.Logger) (*keeper, error) {
	a := &c.Audit
	if a.Key == "" && a.KMS == "" {
		log.Warn("checkpoints of the audit log are not signed: there is no audit.key. Whoever can write the store can rewrite the log")
		return nil, nil
	}
	signer, key, err := openLogKey(ctx, c, log)
	if err != nil {
		return nil, fmt.Errorf("audit: key: %w", err)
	}
	if a.Name != "" && a.Name != key.Name() {
		return nil, fmt.Errorf("%w: audit: the key in %s is of %s, and name says %s", ErrConfig, a.Key, key.Name(), a.Name)
	}
	k := &keeper{store: store, signer: signer, keys: audit.Keys{key}, every: a.Every, log: log, now: time.Now}
	if k.every == 0 {
		k.every = defaultEvery
	}
	for _, text := range a.Former {
		former, err := note.NewVerifier(text)
		if err != nil {
			return nil, fmt.Errorf("audit: former: %w", err)
		}
		k.keys = append(k.keys, former)
	}
	if a.Checkpoint != "" {
		k.places = append(k.places, publish.File(a.Checkpoint))
	}
	if a.S3.Bucket != "" {
		cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(5))
		if err != nil {
			return nil, fmt.Errorf("audit: s3: credentials and settings of AWS: %w", err)
		}
		if a.S3.Region != "" {
			cfg.Region = a.S3.Region
		}
		place := &publish.S3{Client: s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = o.BaseEndpoint != nil }), Bucket: a.S3.Bucket, Prefix: a.S3.Prefix, Retain: a.S3.Retain, Governance: a.S3.Governance, Now: time.Now}
		if place.Retain == 0 {
			place.Retain = defaultRetain
		}
		k.places = append(k.places, place)
	}
	client := &http.Client{Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, w := range a.Witnesses {
		witness, err := audit.ParseWitness(w.Key)
		if err != nil {
			return nil, fmt.Errorf("audit: witnesses: %w", err)
		}
		k.witnesses = append(k.witnesses, &publish.Witness{Client: client, URL: strings.TrimRight(w.URL, "/"), Key: witness, Log: key})
	}
	k.seen, k.laid, k.asked = make(map[string]bool), make(map[string]laid), make(map[string]laid)
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: "drawbridge_audit_" + name, Help: help})
	}
	k.metrics = keeperMetrics{
		read:      gauge("records_verified", "Records of the audit log that this daemon read and verified."),
		size:      gauge("checkpoint_records", "Records in the newest signed checkpoint."),
		signedAt:  gauge("checkpoint_timestamp_seconds", "When the newest checkpoint was signed."),
		broken:    gauge("broken", "1: the audit log does not extend its checkpoints, and none is signed. Somebody must look at once."),
		failures:  prometheus.NewCounterVec(prometheus.CounterOpts{Name: "drawbridge_audit_publish_failures_total", Help: "Attempts to publish a checkpoint, or to read what is published, that failed."}, []string{"place"}),
		published: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "drawbridge_audit_published_records", Help: "Records in the newest checkpoint that lies at a place or was cosigned by a witness."}, []string{"place"}),
	}
	k.forget()
	return k, nil
}

// openLogKey opens the signing key of the log, in a file or in KMS.
func openLogKey(ctx context.Context, c *Config, log *slog.Logger) (note.Signer, note.Verifier, error) {
	if c.Audit.KMS == "" {
		return readLogKey(c.Audit.Key)
	}
	key, err := openKMS(ctx, c.Audit.KMS)
	if err != nil {
		return nil, nil, err
	}
	signer, public, err := audit.SignerOf(c.Audit.Name, key)
	if err != nil {
		return nil, nil, err
	}
	log.Info("the log is signed by a key of KMS", "public key", public) // which nobody else tells
	verifier, err := note.NewVerifier(public)
	return signer, verifier, err
}

// readLogKey reads the signing key of a log, which only its owner may read.
func readLogKey(name string) (note.Signer, note.Verifier, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, nil, fmt.Errorf("%s may be read by others: its mode is %v, expected 0600", name, info.Mode().Perm())
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, nil, err
	}
	signer, verifier, err := audit.ParseKey(audit.Secret(strings.TrimSpace(string(text))))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", name, err)
	}
	return signer, verifier, nil
}

// register adds the metrics.
func (k *keeper) register(r *prometheus.Registry) {
	if k != nil {
		r.MustRegister(k.metrics.read, k.metrics.size, k.metrics.signedAt, k.metrics.broken, k.metrics.failures, k.metrics.published)
	}
}

// trouble is why no checkpoint is signed; nil where all is well.
func (k *keeper) trouble() error {
	if k == nil {
		return nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.broken
}

// forget begins to read the log anew.
func (k *keeper) forget() {
	k.head, k.stored, k.prior, k.want, k.begun, k.looked = audit.Head{}, 0, 0, make(map[int64][]wanted), k.now(), time.Time{}
	k.tree = &audit.Tree{Block: func(first int64) ([]audit.Record, error) { return k.store.Records(context.Background(), first, 256) }}
}

// run signs and publishes until the context ends.
func (k *keeper) run(ctx context.Context) {
	if k == nil {
		return
	}
	ticker := time.NewTicker(min(k.every, time.Minute))
	defer ticker.Stop()
	var rest time.Time // no round before
	for {
		if now := k.now(); !now.Before(rest) {
			k.round(ctx, false)
			if k.trouble() != nil {
				rest = now.Add(min(k.every, retryBroken))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// last signs what came since the newest checkpoint, for a daemon that stops.
func (k *keeper) last() {
	if k == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastPatience)
	defer cancel()
	k.round(ctx, true)
}

// round reads on, holds the log against all that is known, signs where it is time, and publishes. Closing: it is time wherever there is something new.
func (k *keeper) round(ctx context.Context, closing bool) {
	err := k.check(ctx)
	if err == nil {
		err = k.sign(ctx, closing)
	}
	if err == nil {
		err = k.publish(ctx)
	}
	if err != nil && ctx.Err() != nil && !closing {
		return // stopping: the last round comes
	}
	var broken *brokenLog
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case errors.As(err, &broken):
		if k.broken == nil || k.broken.Error() != err.Error() {
			k.log.Error("THE AUDIT LOG DOES NOT EXTEND ITS CHECKPOINTS: no checkpoint is signed, and the daemon is not ready. The log was changed or cut, an older copy of the store was put back, or the key is used elsewhere", "why", broken.why)
		}
		k.broken = err
		k.metrics.broken.Set(1)
		k.forget()
	case err != nil:
		k.log.Error("checkpoints of the audit log", "error", err)
	default:
		if k.broken != nil {
			k.log.Warn("the audit log extends its checkpoints again")
		}
		k.broken = nil
		k.metrics.broken.Set(0)
	}
}

// brokenLog says that the log does not extend a checkpoint.
type brokenLog struct{ why error }

func (b *brokenLog) Error() string {
	return "the audit log does not extend its checkpoints: " + b.why.Error()
}
func (b *brokenLog) Unwrap() error { return b.why }

func broken(format string, args ...any) error { return &brokenLog{fmt.Errorf(format, args...)} }

// check reads the log on from where reading stands, and holds it against every checkpoint.
func (k *keeper) check(ctx context.Context) error {
	if k.now().Sub(k.begun) >= rereadEvery {
		k.forget()
	}
	// What is known comes first: the log that is read after it must extend it.
	for {
		list, err := k.store.Checkpoints(ctx, k.stored, readPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			break
		}
		for _, c := range list {
			got, err := k.keys.Open(c.Note)
			if err != nil {
				return broken("the store's checkpoint of %d records (where the key was replaced, the one before it belongs into audit.former): %w", c.Size, err)
			}
			if got.Size != c.Size {
				return broken("the store's checkpoint of %d records says %d", c.Size, got.Size)
			}
			if err := k.expect("in the store", got); err != nil {
				return err
			}
			k.prior, k.stored = k.stored, c.Size
		}
	}
	look := k.now().Sub(k.looked) >= k.every
	if look {
		if err := k.look(ctx); err != nil {
			return err
		}
	}
	if err := k.readOn(ctx); err != nil || !look {
		return err
	}
	if err := k.hear(ctx); err != nil {
		return err
	}
	k.looked = k.now()
	return nil
}

// hear asks the witnesses about the newest checkpoint that was signed before: they may have seen a later one, which the store has lost. It comes before anything new is signed.
func (k *keeper) hear(ctx context.Context) error {
	var c *audit.Checkpoint
	newest, err := k.store.Checkpoint(ctx)
	var text []byte
	switch {
	case err != nil:
		return err
	case newest == nil: // the checkpoint of nothing, which every log extends
		if c, err = k.empty(); err == nil {
			text, err = c.Sign(k.signer)
		}
	default:
		text = newest.Note
		c, err = k.keys.Open(text)
	}
	if err != nil {
		return err
	}
	if c.Size > k.tree.Size() {
		return nil // of another daemon: the next round
	}
	for _, w := range k.witnesses {
		_, err := k.cosign(ctx, w, c, text)
		switch {
		case err == nil, c.Size == 0 && errors.Is(err, publish.ErrEmpty):
			k.seen[w.Name()] = true
		case errors.As(err, new(*brokenLog)):
			return err
		default:
			k.metrics.failures.WithLabelValues(w.Name()).Inc()
			if !k.seen[w.Name()] {
				return fmt.Errorf("nothing is signed before it is known what the witnesses saw: %w", err)
			}
			k.log.Error("a witness does not answer", "witness", w.Key.Name(), "error", err)
		}
	}
	return nil
}

func (k *keeper) empty() (*audit.Checkpoint, error) {
	root, err := new(audit.Tree).Root(0)
	return &audit.Checkpoint{Origin: k.signer.Name(), Root: root}, err
}

// look reads what is published.
func (k *keeper) look(ctx context.Context) error {
	for _, p := range k.places {
		notes, err := p.Newest(ctx, k.prior)
		if err != nil {
			k.metrics.failures.WithLabelValues(p.Name()).Inc()
			k.log.Error("a published checkpoint cannot be read", "place", p.Name(), "error", err)
			if !k.seen[p.Name()] {
				return fmt.Errorf("nothing is signed before it is known what is published: %w", err)
			}
			continue
		}
		k.seen[p.Name()] = true
		for name, text := range notes {
			c, err := k.keys.Open(text, k.witnessKeys()...)
			if err != nil {
				// It says nothing about the log: anybody may have laid it there who can write to the place.
				k.metrics.failures.WithLabelValues(p.Name()).Inc()
				k.log.Error("what is published is no checkpoint of this log", "name", name, "error", err)
				continue
			}
			if err := k.expect(name, c); err != nil {
				return err
			}
			if was := k.laid[p.Name()]; c.Size > was.size || c.Size == was.size && len(c.Cosigned) > was.cosigned {
				k.laid[p.Name()] = laid{size: c.Size, cosigned: len(c.Cosigned), at: k.now()}
				k.metrics.published.WithLabelValues(p.Name()).Set(float64(c.Size))
			}
		}
	}
	return nil
}

func (k *keeper) witnessKeys() []*audit.Witness {
	var list []*audit.Witness
	for _, w := range k.witnesses {
		list = append(list, w.Key)
	}
	return list
}

// expect holds a checkpoint against what was read, or notes it for when as much was read.
func (k *keeper) expect(name string, c *audit.Checkpoint) error {
	if c.Size > k.tree.Size() {
		k.want[c.Size] = append(k.want[c.Size], wanted{name, c})
		return nil
	}
	return k.agree(wanted{name, c})
}

func (k *keeper) agree(c wanted) error {
	root, err := k.tree.Root(c.Size)
	if err != nil {
		return k.judge(err)
	}
	if root != c.Root {
		return broken("the first %d records are not those of the checkpoint %s", c.Size, c.name)
	}
	return nil
}

// judge tells records that are not what they were from a store that does not answer.
func (k *keeper) judge(err error) error {
	if errors.As(err, new(*audit.Tampered)) {
		return &brokenLog{err}
	}
	return err
}

// readOn reads the records that came since.
func (k *keeper) readOn(ctx context.Context) error {
	end, err := k.store.Head(ctx)
	if err != nil {
		return err
	}
	if end.Size < k.tree.Size() {
		return broken("the log had %d records and has %d", k.tree.Size(), end.Size)
	}
	for size, list := range k.want { // an older copy of the store is seen before the log is read
		if size > end.Size {
			return broken("the log ends after %d records, and the checkpoint %s is of %d", end.Size, list[0].name, size)
		}
	}
	for k.tree.Size() < end.Size {
		list, err := k.store.Records(ctx, k.tree.Size(), readPage)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return broken("the log ends after %d records, and its store has the hash of %d", k.tree.Size(), end.Size)
		}
		for i := range list {
			r := &list[i]
			if err := k.head.Check(r); err != nil {
				return k.judge(err)
			}
			if err := k.tree.Grow(r); err != nil {
				return err
			}
			k.head = audit.Head{Size: r.Seq + 1, Hash: r.Hash}
			for _, c := range k.want[k.head.Size] {
				if err := k.agree(c); err != nil {
					return err
				}
			}
			delete(k.want, k.head.Size)
		}
		k.metrics.read.Set(float64(k.tree.Size()))
	}
	if end.Size == k.head.Size && end.Hash != k.head.Hash {
		return broken("the hash of the log's end is not that of its last record")
	}
	return nil
}

// sign signs a checkpoint of what was read, where it is time.
func (k *keeper) sign(ctx context.Context, closing bool) error {
	size := k.tree.Size()
	if size == 0 {
		return nil
	}
	root, err := k.tree.Root(size)
	if err != nil {
		return k.judge(err)
	}
	now := k.now()
	signed := false
	err = k.store.KeepCheckpoint(ctx, size, now, func(newest *sqlstore.Checkpoint, last audit.Hash) ([]byte, error) {
		signed = false // it may be asked again
		if newest != nil && (newest.Size >= size || !closing && now.Sub(newest.At) < k.every) {
			return nil, nil
		}
		if newest != nil && newest.Size > k.stored {
			return nil, nil // another daemon was first: its checkpoint is held against the log before the next one
		}
		if last != k.head.Hash {
			return nil, broken("record %d is not what it was when it was read", size-1)
		}
		c := audit.Checkpoint{Origin: k.signer.Name(), Size: size, Root: root, Last: last}
		signed = true
		return c.Sign(k.signer)
	})
	if err == nil && signed {
		k.own = size
		k.log.Info("a checkpoint of the audit log was signed", "records", size)
	}
	return err
}

// publish has the newest checkpoint cosigned and lays it down. What fails is tried again in the next round.
func (k *keeper) publish(ctx context.Context) error {
	newest, err := k.store.Checkpoint(ctx)
	if err != nil || newest == nil {
		return err
	}
	c, err := k.keys.Open(newest.Note)
	if err != nil {
		return broken("the store's checkpoint of %d records: %w", newest.Size, err)
	}
	k.metrics.size.Set(float64(c.Size))
	k.metrics.signedAt.Set(float64(newest.At.Unix()))
	if c.Size > k.tree.Size() {
		return nil // of another daemon: it is held against the log first
	}
	text := newest.Note
	for _, w := range k.witnesses {
		cosigned, err := k.cosign(ctx, w, c, newest.Note)
		if errors.As(err, new(*brokenLog)) {
			return err
		}
		if err != nil {
			k.metrics.failures.WithLabelValues(w.Name()).Inc()
			k.log.Error("a witness did not cosign the checkpoint", "witness", w.Key.Name(), "error", err)
			continue
		}
		text = append(text[:len(text):len(text)], cosigned[len(newest.Note):]...)
	}
	if c, err = k.keys.Open(text, k.witnessKeys()...); err != nil {
		return err
	}
	k.mu.Lock()
	k.note = text
	k.mu.Unlock()
	for _, p := range k.places {
		if was := k.laid[p.Name()]; was.size > c.Size || was.size == c.Size && was.cosigned >= len(c.Cosigned) {
			continue
		}
		// Of several daemons the one that signed publishes; the others do it where they see that it did not.
		if _, local := p.(publish.File); !local && k.own != c.Size && k.looked.Before(newest.At) {
			continue
		}
		if err := p.Publish(ctx, c, text); err != nil {
			k.metrics.failures.WithLabelValues(p.Name()).Inc()
			k.log.Error("a checkpoint was not published", "place", p.Name(), "error", err)
			continue
		}
		k.laid[p.Name()] = laid{size: c.Size, cosigned: len(c.Cosigned), at: k.now()}
		k.metrics.published.WithLabelValues(p.Name()).Set(float64(c.Size))
	}
	return nil
}

// cosign asks a witness, for what it has not cosigned yet, and again from time to time: its word says also that the log had not grown shorter by then.
func (k *keeper) cosign(ctx context.Context, w *publish.Witness, c *audit.Checkpoint, text []byte) ([]byte, error) {
	if was := k.asked[w.Name()]; was.text != nil && bytes.HasPrefix(was.text, text) && k.now().Sub(was.at) < k.every {
		return was.text, nil
	}
	cosigned, err := w.Cosign(ctx, c, text, func(old int64) ([]audit.Hash, error) {
		proof, err := k.tree.Extends(old, c.Size)
		return proof, k.judge(err)
	})
	var ahead *publish.Ahead
	switch {
	case errors.Is(err, publish.ErrOtherLog):
		return nil, &brokenLog{err}
	case errors.As(err, &ahead):
		// Each checkpoint is kept before a witness sees it: what it saw is in the store, or the store has lost it.
		newest, failed := k.store.Checkpoint(ctx)
		if failed != nil {
			return nil, errors.Join(err, failed)
		}
		if newest == nil {
			return nil, broken("the store has no checkpoint: %w", err)
		}
		if ahead.Seen > newest.Size {
			return nil, broken("the store's newest checkpoint is of %d records: %w", newest.Size, err)
		}
		return nil, err // another daemon had a newer one cosigned
	case err != nil:
		return nil, err
	}
	k.asked[w.Name()] = laid{size: c.Size, cosigned: 1, at: k.now(), text: cosigned}
	if c.Size > 0 {
		k.metrics.published.WithLabelValues(w.Name()).Set(float64(c.Size))
	}
	return cosigned, nil
}

// cosigned is a checkpoint's note with the cosignatures that this daemon has of it.
func (k *keeper) cosigned(text []byte) []byte {
	if k == nil {
		return text
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if bytes.HasPrefix(k.note, text) {
		return k.note
	}
	return text
}

// guarded issues nothing while the log does not extend its checkpoints, which may be an older copy that does not know what was taken back, nor while it is not known what time it is.
type guarded struct {
	broker.Issuer
	log, clock func() error
}

// Issue implements broker.Issuer.
func (g guarded) Issue(ctx context.Context, p *broker.Permit) (broker.Credentials, error) {
	for _, trouble := range []func() error{g.log, g.clock} {
		if err := trouble(); err != nil {
			return broker.Credentials{}, fmt.Errorf("%w: %w", broker.ErrNotIssued, err)
		}
	}
	return g.Issuer.Issue(ctx, p)
}

// checkpoint answers with the newest checkpoint: for auditors to keep and compare.
func (d *Daemon) checkpoint(w http.ResponseWriter, r *http.Request) {
	c, err := d.store.Checkpoint(r.Context())
	switch {
	case err != nil:
		d.log.Error("a call failed", "call", "checkpoint", "error", err)
		http.Error(w, "the store does not answer", http.StatusServiceUnavailable)
	case c == nil:
		http.Error(w, "no checkpoint was signed yet", http.StatusNotFound)
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(d.keeper.cosigned(c.Note))
	}
}
