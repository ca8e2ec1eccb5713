package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// patience is how long a transaction of the writer may take. idle is after what silence PostgreSQL ends one: a daemon that was lost between two statements, with its machine or the network, holds the end of the log until then, and
// nobody else can change anything, not even revoke. Less than patience, so that those who wait for it outlast it.
const patience = 30 * time.Second

var idle = 10 * time.Second

// openWriter opens PostgreSQL for the writer.
func openWriter(address string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errors.New("the address of PostgreSQL cannot be read") // which may hold a password
	}
	return stdlib.OpenDB(*config, stdlib.OptionAfterConnect(func(ctx context.Context, c *pgx.Conn) error {
		_, err := c.Exec(ctx, fmt.Sprintf("SET idle_in_transaction_session_timeout = %d", idle.Milliseconds()))
		return err
	})), nil
}

// tx is a transaction of the writer, which holds the end of the audit log.
//
// On PostgreSQL each statement costs a journey there and back, which is most of what a change costs. So the grants and locks that a batch of changes is about are read at once when it begins, and what changes write by later is sent
// together, at the end of the batch; only where one of them does not go through is each made by itself. A statement that is not given to later is preceded by what waits, and ends what was read beforehand.
type tx struct {
	do   statements
	lite *sql.Tx   // SQLite's transaction; nil on PostgreSQL
	conn *sql.Conn // PostgreSQL's connection, whose transaction is begun and ended by statements: one journey less
	over bool      // the transaction has ended
	ctx  context.Context
	head audit.Head
	was  audit.Head
	// latest is the latest time that was committed, in microseconds since 1970.
	latest int64

	queue  *pgx.Batch         // PostgreSQL: what waits to be sent; nil on SQLite
	failed error              // what became of something that waited
	direct int                // statements that were made at once
	grants map[string]version // that were read, or written, since; nil: none are known
	lock   []string           // the locks that were read; nil: they are not known
}

// statements makes statements within a transaction.
type statements interface {
	querier
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// version is a grant as it is kept.
type version struct {
	number int64
	body   string
}

func (s *Store) begin(ctx context.Context, batch []*op) (*tx, error) {
	t := &tx{ctx: ctx}
	var err error
	if s.lite {
		if t.lite, err = s.writes.BeginTx(ctx, nil); err != nil {
			return nil, fmt.Errorf("beginning a change: %w", err)
		}
		t.do = t.lite
		var hash []byte
		if err := t.do.QueryRowContext(ctx, `SELECT size, hash, latest FROM audit_head WHERE one = 1`).Scan(&t.head.Size, &hash, &t.latest); err != nil {
			t.rollback()
			return nil, fmt.Errorf("reading the end of the audit log: %w", err)
		}
		copy(t.head.Hash[:], hash)
		t.was = t.head
		return t, nil
	}
	if t.conn, err = s.writes.Conn(ctx); err != nil {
		return nil, fmt.Errorf("beginning a change: %w", err)
	}
	t.do, t.queue = t.conn, new(pgx.Batch)
	t.queue.Queue(`BEGIN`)
	// Statements see what was committed before each: after the first no other daemon's change comes between.
	t.queue.Queue(`SELECT size, hash, latest FROM audit_head WHERE one = 1 FOR UPDATE`).QueryRow(func(row pgx.Row) error {
		var hash []byte
		if err := row.Scan(&t.head.Size, &hash, &t.latest); err != nil {
			return fmt.Errorf("reading the end of the audit log: %w", err)
		}
		copy(t.head.Hash[:], hash)
		return nil
	})
	var ids []string
	for _, o := range batch {
		if o.grant != "" {
			ids = append(ids, o.grant)
		}
	}
	if len(ids) > 0 {
		t.grants, t.lock = make(map[string]version), []string{}
		t.queue.Queue(`SELECT id, version, body FROM grants WHERE id = ANY($1)`, ids).Query(func(rows pgx.Rows) error {
			var id string
			var v version
			_, err := pgx.ForEachRow(rows, []any{&id, &v.number, &v.body}, func() error { t.grants[id] = v; return nil })
			return err
		})
		t.queue.Queue(lockColumns).Query(func(rows pgx.Rows) error {
			var body string
			_, err := pgx.ForEachRow(rows, []any{&body}, func() error { t.lock = append(t.lock, body); return nil })
			return err
		})
	}
	if err := t.flush(); err != nil {
		t.rollback()
		return nil, fmt.Errorf("beginning a change: %w", err)
	}
	t.was = t.head
	return t, nil
}

// rollback ends the transaction where it was not committed.
func (t *tx) rollback() {
	if t.lite != nil {
		_ = t.lite.Rollback()
		return
	}
	// A connection that cannot end its transaction is not used again; PostgreSQL ends it.
	if !t.over {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), patience)
		defer cancel()
		if _, err := t.conn.ExecContext(ctx, `ROLLBACK`); err != nil {
			_ = t.conn.Raw(func(any) error { return driver.ErrBadConn })
		}
	}
	_ = t.conn.Close() // to the pool
}

// finish writes all but the commit.
func (t *tx) finish() error {
	if t.head != t.was {
		if err := t.later(nil, `UPDATE audit_head SET size = $1, hash = $2, latest = $3 WHERE one = 1`, t.head.Size, t.head.Hash[:], t.latest); err != nil {
			return fmt.Errorf("writing the end of the audit log: %w", err)
		}
	}
	if err := t.flush(); err != nil {
		return fmt.Errorf("writing the end of the audit log: %w", err)
	}
	return nil
}

func (t *tx) commit() error {
	if t.lite != nil {
		if err := t.lite.Commit(); err != nil {
			return fmt.Errorf("committing: %w", err)
		}
		return nil
	}
	// PostgreSQL commits nothing of a transaction in which a statement has failed, and says so by what it calls the end.
	return t.conn.Raw(func(c any) error {
		tag, err := c.(*stdlib.Conn).Conn().Exec(t.ctx, `COMMIT`)
		if err != nil {
			return fmt.Errorf("committing: %w", err)
		}
		t.over = true
		if tag.String() != "COMMIT" {
			return errors.New("committing: PostgreSQL rolled it back")
		}
		return nil
	})
}

// later makes a statement with the next that is sent: at once on SQLite. otherThanOne is the error where it changes another number of rows than one, nil where any will do. What becomes of it the change learns at its end.
func (t *tx) later(otherThanOne error, query string, args ...any) error {
	if t.queue == nil {
		r, err := t.do.ExecContext(t.ctx, query, args...)
		if err != nil || otherThanOne == nil {
			return err
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(otherThanOne, err)
		}
		return nil
	}
	q := t.queue.Queue(query, args...)
	if otherThanOne != nil {
		q.Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() != 1 {
				return fmt.Errorf("%w: %w", errUnexpected, otherThanOne)
			}
			return nil
		})
	}
	return nil
}

// flush sends what waits.
func (t *tx) flush() error {
	if t.queue == nil || t.queue.Len() == 0 {
		return nil
	}
	queue := t.queue
	t.queue = new(pgx.Batch)
	err := t.conn.Raw(func(c any) error { return c.(*stdlib.Conn).Conn().SendBatch(t.ctx, queue).Close() })
	if t.failed == nil {
		t.failed = err
	}
	return err
}

// now comes before a statement that is made at once: what waits goes first, and what was read beforehand may not be true after it.
func (t *tx) now() error {
	t.direct++
	t.grants, t.lock = nil, nil
	return t.flush()
}

// ExecContext makes a statement at once.
func (t *tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := t.now(); err != nil {
		return nil, err
	}
	return t.do.ExecContext(ctx, query, args...)
}

// QueryContext asks at once.
func (t *tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := t.now(); err != nil {
		return nil, err
	}
	return t.do.QueryContext(ctx, query, args...)
}

// QueryRowContext asks at once. Where what waited has failed, PostgreSQL answers nothing more, and the change learns at its end why.
func (t *tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	_ = t.now()
	return t.do.QueryRowContext(ctx, query, args...)
}

// grant reads a grant.
func (t *tx) grant(id string) (*broker.Grant, error) {
	if v, ok := t.grants[id]; ok {
		return grantIn(v.number, v.body)
	}
	return readGrant(t.QueryRowContext(t.ctx, grantColumns+` WHERE id = $1`, id))
}

// known notes how a grant was written, for the next change of the same batch.
func (t *tx) known(id string, number int64, body string) {
	if t.grants != nil {
		t.grants[id] = version{number, body}
	}
}

// locks are those in force.
func (t *tx) locks(at time.Time) ([]broker.Lock, error) {
	if t.lock != nil {
		return locksIn(t.lock, at)
	}
	return readLocks(t.ctx, t, at)
}

// errBroken says that a transaction can go no further.
var errBroken = errors.New("the transaction failed")

// savepoint makes one change: whole, or not at all.
func (t *tx) savepoint(do func(*tx) error) error {
	if err := t.later(nil, `SAVEPOINT change`); err != nil {
		return fmt.Errorf("%w: %w", errBroken, err)
	}
	head, latest, direct := t.head, t.latest, t.direct
	err := safely(t, do)
	if err == nil && t.failed == nil {
		if err = t.later(nil, `RELEASE SAVEPOINT change`); err == nil {
			if err = t.flush(); err == nil {
				return nil
			}
		}
	}
	if t.failed != nil { // it says more than what came of it
		err, t.failed = t.failed, nil
	}
	t.head, t.latest = head, latest
	if t.queue != nil && t.queue.Len() > 0 {
		waited := t.queue.Len()
		t.queue = new(pgx.Batch)
		if t.direct == direct { // nothing of it was sent, nor was the savepoint
			if waited > 1 {
				t.grants, t.lock = nil, nil
			}
			return err
		}
	}
	t.grants, t.lock = nil, nil
	if errors.Is(err, errUnexpected) {
		return fmt.Errorf("%w: %w", errBroken, err) // the savepoint is gone
	}
	if _, failed := t.do.ExecContext(t.ctx, `ROLLBACK TO SAVEPOINT change`); failed != nil {
		return fmt.Errorf("%w: %w", errBroken, errors.Join(err, failed))
	}
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == uniqueViolation && refused.TableName == "grants" {
		return errors.Join(broker.ErrExists, err)
	}
	return err
}

// uniqueViolation is PostgreSQL's code for a key that is there already.
const uniqueViolation = "23505"

// errUnexpected says that a statement changed another number of rows than what was read a moment ago lets it.
var errUnexpected = errors.New("the store is not as it was read")
