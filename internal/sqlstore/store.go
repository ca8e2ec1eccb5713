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
	closed chan struct{}
	once   sync.Once
	done   sync.WaitGroup
}

// op is one change that waits for the writer.
type op struct {
	do     func(*tx) error
	result chan error
}

// maxFold is how many changes are committed together at most.
const maxFold = 256

// Open opens a store, and brings its tables up to date: "sqlite:PATH", or a PostgreSQL URL.
func Open(ctx context.Context, address string) (*Store, error) {
	s := &Store{ops: make(chan *op, maxFold), closed: make(chan struct{})}
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
	if s.writes, err = sql.Open(driver, source); err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	s.writes.SetMaxOpenConns(1)
	if s.reads, err = sql.Open(driver, source); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the store: %w", err), s.writes.Close())
	}
	s.reads.SetMaxOpenConns(8)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.reads.Close(), s.writes.Close())
	}
	s.done.Go(s.write)
	return s, nil
}

// Close ends the writer; changes that wait are refused.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.closed)
		s.done.Wait()
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

// change hands a change to the writer and waits for its commit. A caller that stops waiting does not know whether it was made.
func (s *Store) change(ctx context.Context, do func(*tx) error) error {
	o := &op{do: do, result: make(chan error, 1)}
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
	case <-s.closed:
		select {
		case err := <-o.result:
			return err
		default:
			return ErrClosed
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
		for i, err := range s.commit(batch) {
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
	ctx := context.Background() // a transaction of many is not ended by one who stops waiting
	t, err := s.begin(ctx)
	if err != nil {
		return all(err)
	}
	defer func() { _ = t.Rollback() }()
	for i, o := range batch {
		results[i] = t.savepoint(o.do)
		if errors.Is(results[i], errBroken) {
			return all(results[i])
		}
	}
	if err := t.finish(); err != nil {
		return all(err)
	}
	return results
}

// tx is a transaction of the writer, which holds the end of the audit log.
type tx struct {
	*sql.Tx
	ctx  context.Context
	lite bool
	head audit.Head
	was  audit.Head
}

func (s *Store) begin(ctx context.Context) (*tx, error) {
	t, err := s.writes.BeginTx(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("beginning a change: %w", err)
	}
	x := &tx{Tx: t, ctx: ctx, lite: s.lite}
	query := `SELECT size, hash FROM audit_head WHERE one = 1`
	if !s.lite {
		query += ` FOR UPDATE`
	}
	var hash []byte
	if err := t.QueryRowContext(ctx, query).Scan(&x.head.Size, &hash); err != nil {
		return nil, errors.Join(fmt.Errorf("reading the end of the audit log: %w", err), t.Rollback())
	}
	copy(x.head.Hash[:], hash)
	x.was = x.head
	return x, nil
}

func (t *tx) finish() error {
	if t.head != t.was {
		if _, err := t.ExecContext(t.ctx, `UPDATE audit_head SET size = $1, hash = $2 WHERE one = 1`, t.head.Size, t.head.Hash[:]); err != nil {
			return fmt.Errorf("writing the end of the audit log: %w", err)
		}
	}
	if err := t.Commit(); err != nil {
		return fmt.Errorf("committing: %w", err)
	}
	return nil
}

// errBroken says that a transaction can go no further.
var errBroken = errors.New("the transaction failed")

// savepoint makes one change: whole, or not at all.
func (t *tx) savepoint(do func(*tx) error) (err error) {
	if _, err := t.ExecContext(t.ctx, `SAVEPOINT change`); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	head := t.head
	err = safely(t, do)
	end := `RELEASE SAVEPOINT change`
	if err != nil {
		t.head = head
		end = `ROLLBACK TO SAVEPOINT change`
	}
	if _, failed := t.ExecContext(t.ctx, end); failed != nil {
		return fmt.Errorf("%w: %w", errBroken, errors.Join(err, failed))
	}
	return err
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
	if _, err := t.ExecContext(t.ctx, `INSERT INTO audit VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, r.Seq, r.Time.UnixMicro(), r.Kind, r.Actor, r.About, string(r.Body), r.Prev[:], r.Hash[:]); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	t.head = head
	return nil
}

// keep writes a grant and its records.
func (t *tx) keep(c *broker.Change, at time.Time, first bool) error {
	g := &c.Grant
	body, err := json.Marshal(g)
	if err != nil {
		return fmt.Errorf("writing request %s: %w", g.ID, err)
	}
	var wake any
	if w := g.Wake(); !w.IsZero() {
		wake = w.UnixMicro()
	}
	if first {
		_, err = t.ExecContext(t.ctx, `INSERT INTO grants VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, g.ID, g.Version, g.State.String(), g.Subject.ID, g.Ask.Entry, g.Ask.Target, g.Filed.UnixMicro(), wake, string(body))
	} else {
		var r sql.Result
		r, err = t.ExecContext(t.ctx, `UPDATE grants SET version = $1, state = $2, wake = $3, body = $4 WHERE id = $5 AND version = $6`, g.Version, g.State.String(), wake, string(body), g.ID, g.Version-1)
		if err == nil {
			if n, failed := r.RowsAffected(); failed != nil || n != 1 {
				err = errors.Join(broker.ErrStale, failed)
			}
		}
	}
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
	return s.change(ctx, func(t *tx) error {
		var one int
		switch err := t.QueryRowContext(t.ctx, `SELECT 1 FROM grants WHERE id = $1`, c.Grant.ID).Scan(&one); {
		case err == nil:
			return fmt.Errorf("request %s: %w", c.Grant.ID, broker.ErrExists)
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("looking for request %s: %w", c.Grant.ID, err)
		}
		return t.keep(c, at, true)
	})
}

// Update implements broker.Store.
func (s *Store) Update(ctx context.Context, id string, at time.Time, do func(*broker.Grant, []broker.Lock) (*broker.Change, error)) (*broker.Grant, error) {
	var out *broker.Grant
	err := s.change(ctx, func(t *tx) error {
		g, err := readGrant(t.QueryRowContext(t.ctx, grantColumns+` WHERE id = $1`, id))
		if err != nil {
			return fmt.Errorf("request %s: %w", id, err)
		}
		locks, err := readLocks(t.ctx, t, at)
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

func readLocks(ctx context.Context, q querier, at time.Time) ([]broker.Lock, error) {
	rows, err := q.QueryContext(ctx, `SELECT body FROM locks WHERE lifted = 0 ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("reading the locks: %w", err)
	}
	defer rows.Close()
	var out []broker.Lock
	for rows.Next() {
		var body string
		var l broker.Lock
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("reading the locks: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &l); err != nil {
			return nil, fmt.Errorf("reading the locks: %w", err)
		}
		if l.InForce(at) {
			out = append(out, l)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the locks: %w", err)
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
