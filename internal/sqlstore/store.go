// Package sqlstore keeps what the broker must not lose in SQLite, one file, or in PostgreSQL, which several daemons share. Both hold to the same suite of tests.
//
// Writes are folded: one writer takes all changes that wait, makes each in a savepoint of one transaction and commits them together, so that one wait for the disk serves many. A change is answered only after the
// commit. The rules that must never break are in the database too: which states may follow which, that versions count up by one, that the audit log is neither changed nor cut.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx
	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver sqlite

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

//go:embed migrations
var migrations embed.FS

// Store implements broker.Store.
type Store struct {
	Log
	writes *sql.DB // one connection
	lite   bool

	ops    chan *op
	closed chan struct{} // Close was called
	ended  chan struct{} // the writer does no more
	once   sync.Once
	seen   atomic.Pointer[func(changes int, took time.Duration)]
}

// OnCommit is told of each transaction of the writer: how many changes were folded into it, and how long it took until they were on disk, or refused.
func (s *Store) OnCommit(f func(changes int, took time.Duration)) { s.seen.Store(&f) }

// op is one change that waits for the writer.
type op struct {
	do     func(*tx) error
	grant  string // that it is about, "" where it is about none
	result chan error
}

// maxFold is how many changes are committed together at most.
const maxFold = 256

// Open opens a store, and brings its tables up to date: "sqlite:PATH", or a PostgreSQL URL.
func Open(ctx context.Context, address string) (*Store, error) {
	s := &Store{ops: make(chan *op, maxFold), closed: make(chan struct{}), ended: make(chan struct{})}
	var err error
	driver, source := "pgx", address
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		// FULL: a commit that was answered survives a loss of power. Each write transaction takes the lock at once.
		s.lite, driver = true, "sqlite"
		// Before SQLite makes it, readable for all: it holds the log and who asked for what.
		if f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
			if err := f.Close(); err != nil {
				return nil, fmt.Errorf("opening the store: %w", err)
			}
		} else if !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("opening the store: %w", err)
		}
		source = "file:" + (&url.URL{Path: path}).EscapedPath() + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)"
	} else if !isPostgres(address) {
		return nil, errAddress
	}
	if s.lite {
		s.writes, err = sql.Open(driver, source)
	} else {
		s.writes, err = openWriter(source)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s.writes.SetMaxOpenConns(1)
	if s.reads, err = sql.Open(driver, source); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store: %w", err), s.writes.Close())
	}
	s.reads.SetMaxOpenConns(8)
	s.reads.SetMaxIdleConns(8) // else connections would be made anew for most of what is read
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.reads.Close(), s.writes.Close())
	}
	go func() {
		defer close(s.ended)
		s.write()
	}()
	return s, nil
}

// Close ends the writer; changes that wait are refused.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		<-s.ended
		err = errors.Join(s.reads.Close(), s.writes.Close())
	})
	return err
}

// migrate applies the migrations that are not there yet, forward only, and writes the table of moves anew: it is the program's.
func (s *Store) migrate(ctx context.Context) error {
	dialect, dir := goose.DialectPostgres, "postgres"
	if s.lite {
		dialect, dir = goose.DialectSQLite3, "sqlite"
	}
	sub, err := fs.Sub(migrations, "migrations/"+dir)
	if err != nil {
		return fmt.Errorf("the store's migrations: %w", err)
	}
	p, err := goose.NewProvider(dialect, s.writes, sub)
	if err != nil {
		return fmt.Errorf("the store's migrations: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("bringing the store's tables up to date: %w", err)
	}
	t, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("writing the table of moves: %w", err)
	}
	defer func() { _ = t.Rollback() }()
	for _, m := range broker.Moves() {
		if _, err := t.ExecContext(ctx, `INSERT INTO grant_move VALUES ($1, $2) ON CONFLICT DO NOTHING`, m.From.String(), m.To.String()); err != nil {
			return fmt.Errorf("writing the table of moves: %w", err)
		}
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("writing the table of moves: %w", err)
	}
	return nil
}

// ErrClosed is what changes get that come after Close.
var ErrClosed = errors.New("the store is closed")

// change hands a change to the writer and waits for its commit, however long the caller wants to: what it is to do may be under way, and an answer before its end would be about nothing. The writer's own patience ends it.
func (s *Store) change(ctx context.Context, do func(*tx) error) error {
	return s.changeGrant(ctx, "", do)
}

// changeGrant is change for what is about one grant, which is read beforehand with those of others.
func (s *Store) changeGrant(ctx context.Context, id string, do func(*tx) error) error {
	o := &op{do: do, grant: id, result: make(chan error, 1)}
	select {
	case s.ops <- o:
	case <-s.closed:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-o.result:
		return err
	case <-s.ended:
		select {
		case err := <-o.result:
			return err
		default:
			return ErrClosed // it was still waiting
		}
	}
}

// write is the writer.
func (s *Store) write() {
	for {
		var batch []*op
		select {
		case o := <-s.ops:
			batch = append(batch, o)
		case <-s.closed:
			return
		}
	more:
		for len(batch) < maxFold {
			select {
			case o := <-s.ops:
				batch = append(batch, o)
			default:
				break more
			}
		}
		began := time.Now()
		results := s.commit(batch)
		if f := s.seen.Load(); f != nil {
			(*f)(len(batch), time.Since(began))
		}
		for i, err := range results {
			batch[i].result <- err
		}
	}
}

// commit makes the changes of a batch in one transaction, and returns what became of each.
func (s *Store) commit(batch []*op) []error {
	results := make([]error, len(batch))
	all := func(err error) []error {
		for i := range results {
			results[i] = err
		}
		return results
	}
	// A transaction of many is not ended by one who stops waiting; but a store that does not answer is not waited for without end either.
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !s.lite {
		if done, ok := s.together(ctx, batch); ok {
			return done
		}
	}
	t, err := s.begin(ctx, batch)
	if err != nil {
		return all(err)
	}
	defer t.rollback()
	for i, o := range batch {
		results[i] = t.savepoint(o.do)
		if errors.Is(results[i], errBroken) {
			return all(results[i])
		}
	}
	if err := t.finish(); err != nil {
		return all(err)
	}
	if err := t.commit(); err != nil {
		return all(err)
	}
	return results
}

// together makes the changes of a batch as commit does, and sends what they write all at once. ok is false where one of them did not go through: then nothing was made, and each is to be made by itself.
func (s *Store) together(ctx context.Context, batch []*op) (results []error, ok bool) {
	t, err := s.begin(ctx, batch)
	if err != nil {
		return nil, false
	}
	defer t.rollback()
	results = make([]error, len(batch))
	for i, o := range batch {
		waits, direct := t.queue.Len(), t.direct
		if results[i] = safely(t, o.do); t.failed != nil || results[i] != nil && (t.queue.Len() != waits || t.direct != direct) {
			return nil, false
		}
	}
	if err := t.finish(); err != nil {
		return nil, false
	}
	if err := t.commit(); err != nil {
		for i := range results {
			results[i] = err // whether it was made is not known
		}
	}
	return results, true
}

// safely makes an error of a panic: one change that goes wrong must not take the writer, and with it every other, along.
func safely(t *tx, do func(*tx) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a change panicked: %v", p)
		}
	}()
	return do(t)
}

// log appends an event.
func (t *tx) log(at time.Time, actor, about string, e audit.Event) error {
	r, head, err := audit.Append(t.head, at, actor, about, e)
	if err != nil {
		return err
	}
	if err := t.later(nil, `INSERT INTO audit VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, r.Seq, r.Time.UnixMicro(), r.Kind, r.Actor, r.About, string(r.Body), r.Prev[:], r.Hash[:]); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	t.head, t.latest = head, max(t.latest, r.Time.UnixMicro())
	return nil
}

// Count counts the requests that are not over, by state, and says since when the oldest waits for people; zero where none does.
func (s *Store) Count(ctx context.Context) (counted map[broker.State]int64, oldest time.Time, err error) {
	query, args := `SELECT state, count(*), min(filed) FROM grants WHERE state IN (`, []any{}
	for i, state := range broker.Open {
		if i > 0 {
			query += ", "
		}
		args = append(args, state.String())
		query += fmt.Sprint("$", len(args))
	}
	rows, err := s.reads.QueryContext(ctx, query+`) GROUP BY state`, args...)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("counting requests: %w", err)
	}
	defer rows.Close()
	counted = make(map[broker.State]int64)
	for rows.Next() {
		var name string
		var n, first int64
		if err := rows.Scan(&name, &n, &first); err != nil {
			return nil, time.Time{}, fmt.Errorf("counting requests: %w", err)
		}
		state, err := broker.StateOf(name)
		if err != nil {
			return nil, time.Time{}, err
		}
		if counted[state] = n; state == broker.Awaiting {
			oldest = time.UnixMicro(first).UTC()
		}
	}
	if err := rows.Err(); err != nil {
		return nil, time.Time{}, fmt.Errorf("counting requests: %w", err)
	}
	return counted, oldest, nil
}

// Latest is the latest time that was committed; zero where nothing was.
func (s *Store) Latest(ctx context.Context) (time.Time, error) {
	var latest int64
	if err := s.reads.QueryRowContext(ctx, `SELECT latest FROM audit_head WHERE one = 1`).Scan(&latest); err != nil {
		return time.Time{}, fmt.Errorf("reading the latest time that was committed: %w", err)
	}
	if latest == 0 {
		return time.Time{}, nil
	}
	return time.UnixMicro(latest).UTC(), nil
}

// SetBack says that a time that was committed has not come yet, as a daemon did whose clock was ahead. at is surely right.
func (s *Store) SetBack(ctx context.Context, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		was := time.UnixMicro(t.latest).UTC()
		if was.Sub(at) <= broker.Skew {
			return nil
		}
		if err := t.log(at, broker.Clock, "clock", broker.ClockSetBack{From: was}); err != nil {
			return err
		}
		t.latest = at.UnixMicro()
		return nil
	})
}

// keep writes a grant and its records.
func (t *tx) keep(c *broker.Change, at time.Time, first bool) error {
	g := &c.Grant
	if c.Permit != nil && at.UnixMicro() < t.latest-broker.Skew.Microseconds() {
		return fmt.Errorf("%w: it is %v behind", broker.ErrClock, time.UnixMicro(t.latest).Sub(at).Round(time.Second))
	}
	body, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("writing request %s: %w", g.ID, err)
	}
	var wake any
	if w := g.Wake(); !w.IsZero() {
		wake = w.UnixMicro()
	}
	if first {
		query, exists := `INSERT INTO grants VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, error(nil)
		if t.queue == nil { // PostgreSQL's own error says it
			query, exists = query+` ON CONFLICT (id) DO NOTHING`, broker.ErrExists
		}
		err = t.later(exists, query, g.ID, g.Version, g.State.String(), g.Subject.ID, g.Ask.Entry, g.Ask.Target, g.Filed.UnixMicro(), wake, string(body))
	} else {
		query, args := `UPDATE grants SET version = $1, state = $2, wake = $3, body = $4 WHERE id = $5 AND version = $6`, []any{g.Version, g.State.String(), wake, string(body), g.ID, g.Version - 1}
		switch v, read := t.grants[g.ID]; {
		case read && v.number != g.Version-1:
			err = broker.ErrStale
		case read:
			err = t.later(broker.ErrStale, query, args...)
		default:
			var r sql.Result
			if r, err = t.ExecContext(t.ctx, query, args...); err == nil {
				if n, failed := r.RowsAffected(); failed != nil || n != 1 {
					err = errors.Join(broker.ErrStale, failed)
				}
			}
		}
	}
	t.known(g.ID, g.Version, string(body))
	if err != nil {
		return fmt.Errorf("writing request %s: %w", g.ID, err)
	}
	for _, l := range c.Events {
		if err := t.log(at, l.Actor, g.ID, l.Event); err != nil {
			return err
		}
	}
	return nil
}

// File implements broker.Store.
func (s *Store) File(ctx context.Context, c *broker.Change, at time.Time) error {
	return s.change(ctx, func(t *tx) error { return t.keep(c, at, true) })
}

// Update implements broker.Store.
func (s *Store) Update(ctx context.Context, id string, at time.Time, do func(*broker.Grant, []broker.Lock) (*broker.Change, error)) (*broker.Grant, error) {
	var out *broker.Grant
	err := s.changeGrant(ctx, id, func(t *tx) error {
		g, err := t.grant(id)
		if err != nil {
			return fmt.Errorf("request %s: %w", id, err)
		}
		locks, err := t.locks(at)
		if err != nil {
			return err
		}
		c, err := do(g, locks)
		if err != nil {
			return err
		}
		out = g
		if c == nil {
			return nil
		}
		out = &c.Grant
		return t.keep(c, at, false)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// The vendor of a request, as the migrations index it.
const (
	vendorSQLite   = `json_extract(body, '$.terms.vendor')`
	vendorPostgres = `(body::jsonb #>> '{terms,vendor}')`
)

const grantColumns = `SELECT version, body FROM grants`

type scanner interface{ Scan(...any) error }

func readGrant(row scanner) (*broker.Grant, error) {
	var version int64
	var body string
	if err := row.Scan(&version, &body); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, broker.ErrNotFound
		}
		return nil, fmt.Errorf("reading a request: %w", err)
	}
	return grantIn(version, body)
}

func grantIn(version int64, body string) (*broker.Grant, error) {
	g := new(broker.Grant)
	if err := json.Unmarshal([]byte(body), g); err != nil {
		return nil, fmt.Errorf("reading a request: %w", err)
	}
	g.Version = version
	return g, nil
}

// Grant implements broker.Store.
func (s *Store) Grant(ctx context.Context, id string) (*broker.Grant, error) {
	g, err := readGrant(s.reads.QueryRowContext(ctx, grantColumns+` WHERE id = $1`, id))
	if err != nil {
		return nil, fmt.Errorf("request %s: %w", id, err)
	}
	return g, nil
}

// Grants implements broker.Store.
func (s *Store) Grants(ctx context.Context, f broker.Filter) ([]broker.Grant, string, error) {
	where := []string{"1 = 1"}
	var args []any
	arg := func(v any) string { args = append(args, v); return "$" + strconv.Itoa(len(args)) }
	if len(f.States) > 0 {
		var list []string
		for _, state := range f.States {
			list = append(list, arg(state.String()))
		}
		where = append(where, "state IN ("+strings.Join(list, ", ")+")")
	}
	for column, v := range map[string]string{"subject": f.Subject, "entry": f.Entry, "target": f.Target} {
		if v != "" {
			where = append(where, column+" = "+arg(v))
		}
	}
	if f.Vendor != "" {
		column := vendorPostgres
		if s.lite {
			column = vendorSQLite
		}
		where = append(where, column+" = "+arg(f.Vendor))
	}
	if f.After != "" {
		micro, id, ok := strings.Cut(f.After, ":")
		at, err := strconv.ParseInt(micro, 10, 64)
		if !ok || err != nil {
			return nil, "", fmt.Errorf("%q is no place in the list", f.After)
		}
		first, second := arg(at), arg(id)
		where = append(where, fmt.Sprintf("(filed, id) < (%s, %s)", first, second))
	}
	most := f.Most
	if most <= 0 {
		most = 100
	}
	query := grantColumns + " WHERE " + strings.Join(where, " AND ") + " ORDER BY filed DESC, id DESC LIMIT " + arg(most+1)
	rows, err := s.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, "", fmt.Errorf("listing requests: %w", err)
	}
	defer rows.Close()
	var list []broker.Grant
	for rows.Next() {
		g, err := readGrant(rows)
		if err != nil {
			return nil, "", err
		}
		list = append(list, *g)
	}
	if err := rows.Err(); err != nil {
		return nil, "", fmt.Errorf("listing requests: %w", err)
	}
	if len(list) <= most {
		return list, "", nil
	}
	last := &list[most-1]
	return list[:most], fmt.Sprintf("%d:%s", last.Filed.UnixMicro(), last.ID), nil
}

// Due implements broker.Store.
func (s *Store) Due(ctx context.Context, at time.Time, most int) ([]string, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT id FROM grants WHERE wake <= $1 ORDER BY wake, id LIMIT $2`, at.UnixMicro(), most)
	if err != nil {
		return nil, fmt.Errorf("looking for what is due: %w", err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("looking for what is due: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("looking for what is due: %w", err)
	}
	return ids, nil
}

// Lock implements broker.Store.
func (s *Store) Lock(ctx context.Context, l broker.Lock, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		body, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("setting lock %s: %w", l.ID, err)
		}
		r, err := t.ExecContext(t.ctx, `INSERT INTO locks (id, body) VALUES ($1, $2) ON CONFLICT DO NOTHING`, l.ID, string(body))
		if err != nil {
			return fmt.Errorf("setting lock %s: %w", l.ID, err)
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("lock %s: %w", l.ID, broker.ErrExists), err)
		}
		return t.log(at, l.By, l.ID, broker.Locked{Lock: l})
	})
}

// Unlock implements broker.Store.
func (s *Store) Unlock(ctx context.Context, id, by, why string, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		r, err := t.ExecContext(t.ctx, `UPDATE locks SET lifted = $1 WHERE id = $2 AND lifted = 0`, at.UnixMicro(), id)
		if err != nil {
			return fmt.Errorf("lifting lock %s: %w", id, err)
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("lock %s: %w", id, broker.ErrNotFound), err)
		}
		return t.log(at, by, id, broker.Unlocked{ID: id, Why: why})
	})
}

// Locks implements broker.Store.
func (s *Store) Locks(ctx context.Context, at time.Time) ([]broker.Lock, error) {
	return readLocks(ctx, s.reads, at)
}

type querier interface {
	QueryContext(context.Context, string, ...any) (*sql.Rows, error)
}

const lockColumns = `SELECT body FROM locks WHERE lifted = 0 ORDER BY id`

func readLocks(ctx context.Context, q querier, at time.Time) ([]broker.Lock, error) {
	rows, err := q.QueryContext(ctx, lockColumns)
	if err != nil {
		return nil, fmt.Errorf("reading the locks: %w", err)
	}
	defer rows.Close()
	var texts []string
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("reading the locks: %w", err)
		}
		texts = append(texts, body)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the locks: %w", err)
	}
	return locksIn(texts, at)
}

// locksIn are the locks among texts that are in force at a time.
func locksIn(texts []string, at time.Time) ([]broker.Lock, error) {
	var out []broker.Lock
	for _, body := range texts {
		var l broker.Lock
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			return nil, fmt.Errorf("reading the locks: %w", err)
		}
		if l.InForce(at) {
			out = append(out, l)
		}
	}
	return out, nil
}

// Spend implements broker.Store. What is of no use any more goes with the next that is spent.
func (s *Store) Spend(ctx context.Context, issuer, value string, until time.Time) error {
	return s.change(ctx, func(t *tx) error { return t.spend(issuer, value, until) })
}

func (t *tx) spend(issuer, value string, until time.Time) error {
	r, err := t.ExecContext(t.ctx, `INSERT INTO spent VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, issuer, value, until.UnixMicro())
	if err != nil {
		return fmt.Errorf("remembering what was used: %w", err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return errors.Join(broker.ErrSpent, err)
	}
	return nil
}

// KeepToken keeps the hash of a token of the API, with whose it is; it replaces an older one of the same hash.
func (s *Store) KeepToken(ctx context.Context, hash string, c broker.Caller, until time.Time) error {
	return s.change(ctx, func(t *tx) error {
		body, err := json.Marshal(c)
		if err == nil {
			_, err = t.ExecContext(t.ctx, `INSERT INTO tokens VALUES ($1, $2, $3) ON CONFLICT (hash) DO UPDATE SET until = excluded.until, caller = excluded.caller`, hash, until.UnixMicro(), string(body))
		}
		if err != nil {
			return fmt.Errorf("keeping a token: %w", err)
		}
		return nil
	})
}

// Token is whose token has a hash; ErrNotFound where there is none at that time.
func (s *Store) Token(ctx context.Context, hash string, at time.Time) (broker.Caller, error) {
	var c broker.Caller
	var body string
	if err := s.reads.QueryRowContext(ctx, `SELECT caller FROM tokens WHERE hash = $1 AND until > $2`, hash, at.UnixMicro()).Scan(&body); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return c, broker.ErrNotFound
		}
		return c, fmt.Errorf("looking for a token: %w", err)
	}
	if err := json.Unmarshal([]byte(body), &c); err != nil {
		return c, fmt.Errorf("looking for a token: %w", err)
	}
	return c, nil
}

// spare is how much longer what was used is remembered than it is of use: the clock of another daemon may be behind, or this one's set back.
const spare = time.Hour

// Forget drops what was spent, and tokens, when they are of no use any more.
func (s *Store) Forget(ctx context.Context, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		for query, before := range map[string]time.Time{`DELETE FROM spent WHERE until < $1`: at.Add(-spare), `DELETE FROM tokens WHERE until < $1`: at} {
			if _, err := t.ExecContext(t.ctx, query, before.UnixMicro()); err != nil {
				return fmt.Errorf("forgetting what is of no use any more: %w", err)
			}
		}
		return nil
	})
}

// Record implements broker.Store.
func (s *Store) Record(ctx context.Context, at time.Time, actor, about string, e audit.Event) error {
	return s.change(ctx, func(t *tx) error { return t.log(at, actor, about, e) })
}
