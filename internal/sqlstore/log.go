package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"drawbridge/internal/audit"
)

// Log reads the audit log of a store.
type Log struct{ reads *sql.DB }

var errAddress = errors.New("the store's address must begin with sqlite: or postgres://")

func isPostgres(address string) bool {
	return strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://")
}

// OpenLog opens the log of a store to read it, and changes nothing there: it brings no tables up to date, and makes no file that is not there.
func OpenLog(ctx context.Context, address string) (*Log, error) {
	driver, source := "pgx", address
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("opening the audit log: %w", err)
		}
		driver, source = "sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro&_pragma=busy_timeout(10000)&_pragma=query_only(1)"
		l, err := openLog(ctx, driver, source)
		if _, absent := os.Stat(path + "-wal"); err != nil && errors.Is(absent, os.ErrNotExist) {
			// A copy in a folder that nobody may write, on a medium for evidence say: SQLite cannot lay its own files beside it, and needs none, because nobody changes it.
			if l, again := openLog(ctx, driver, source+"&immutable=1"); again == nil {
				return l, nil
			}
		}
		return l, err
	} else if isPostgres(address) {
		u, err := url.Parse(address)
		if err != nil {
			return nil, errors.New("opening the audit log: the address of PostgreSQL is no URL") // which may hold a password
		}
		q := u.Query()
		q.Set("default_transaction_read_only", "on")
		u.RawQuery = q.Encode()
		source = u.String()
	} else {
		return nil, errAddress
	}
	return openLog(ctx, driver, source)
}

func openLog(ctx context.Context, driver, source string) (*Log, error) {
	db, err := sql.Open(driver, source)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	l := &Log{db}
	if _, err := l.Head(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return l, nil
}

// Close ends reading.
func (l *Log) Close() error { return l.reads.Close() }

// Head implements broker.Store.
func (l *Log) Head(ctx context.Context) (audit.Head, error) {
	var h audit.Head
	var hash []byte
	if err := l.reads.QueryRowContext(ctx, `SELECT size, hash FROM audit_head WHERE one = 1`).Scan(&h.Size, &hash); err != nil {
		return h, fmt.Errorf("reading the end of the audit log: %w", err)
	}
	copy(h.Hash[:], hash)
	return h, nil
}

// Records implements broker.Store.
func (l *Log) Records(ctx context.Context, from int64, most int) ([]audit.Record, error) {
	rows, err := l.reads.QueryContext(ctx, `SELECT seq, time, kind, actor, about, body, prev, hash FROM audit WHERE seq >= $1 ORDER BY seq LIMIT $2`, from, most)
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer rows.Close()
	var out []audit.Record
	for rows.Next() {
		var r audit.Record
		var micro int64
		var body string
		var prev, hash []byte
		if err := rows.Scan(&r.Seq, &micro, &r.Kind, &r.Actor, &r.About, &body, &prev, &hash); err != nil {
			return nil, fmt.Errorf("reading the audit log: %w", err)
		}
		r.Time, r.Body = time.UnixMicro(micro).UTC(), json.RawMessage(body)
		if len(prev) == len(r.Prev) && len(hash) == len(r.Hash) { // else they are no hashes, and stay zero: nothing hashes to that
			copy(r.Prev[:], prev)
			copy(r.Hash[:], hash)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return out, nil
}

// Checkpoint is a signed checkpoint as a store keeps it: the note.
type Checkpoint struct {
	Size int64
	At   time.Time // when it was signed
	Note []byte
}

const checkpointColumns = `SELECT size, at, note FROM checkpoints`

func readCheckpoint(row scanner) (*Checkpoint, error) {
	var c Checkpoint
	var at int64
	var note string
	if err := row.Scan(&c.Size, &at, &note); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading a checkpoint: %w", err)
	}
	c.At, c.Note = time.UnixMicro(at).UTC(), []byte(note)
	return &c, nil
}

// Checkpoint is the newest one; nil where there is none.
func (l *Log) Checkpoint(ctx context.Context) (*Checkpoint, error) {
	return readCheckpoint(l.reads.QueryRowContext(ctx, checkpointColumns+` ORDER BY size DESC LIMIT 1`))
}

// Checkpoints are those of more than a size, in their order.
func (l *Log) Checkpoints(ctx context.Context, after int64, most int) ([]Checkpoint, error) {
	rows, err := l.reads.QueryContext(ctx, checkpointColumns+` WHERE size > $1 ORDER BY size LIMIT $2`, after, most)
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoints: %w", err)
	}
	defer rows.Close()
	var out []Checkpoint
	for rows.Next() {
		c, err := readCheckpoint(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, *c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the checkpoints: %w", err)
	}
	return out, nil
}

// KeepCheckpoint lets sign decide about a new checkpoint of the first size records, given the newest one that is kept (nil: none) and the hash of the last of these records as it is now (zero where the log is shorter). It
// is one transaction, which no other daemon's change runs beside: one signs at a time. What sign returns is kept; nil keeps nothing.
func (s *Store) KeepCheckpoint(ctx context.Context, size int64, at time.Time, sign func(newest *Checkpoint, last audit.Hash) ([]byte, error)) error {
	return s.change(ctx, func(t *tx) error {
		newest, err := readCheckpoint(t.QueryRowContext(t.ctx, checkpointColumns+` ORDER BY size DESC LIMIT 1`))
		if err != nil {
			return err
		}
		var last audit.Hash
		var hash []byte
		switch err := t.QueryRowContext(t.ctx, `SELECT hash FROM audit WHERE seq = $1`, size-1).Scan(&hash); {
		case err == nil:
			copy(last[:], hash)
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("reading record %d: %w", size-1, err)
		}
		note, err := sign(newest, last)
		if err != nil || note == nil {
			return err
		}
		if _, err := t.ExecContext(t.ctx, `INSERT INTO checkpoints VALUES ($1, $2, $3)`, size, at.UnixMicro(), string(note)); err != nil {
			return fmt.Errorf("keeping the checkpoint of %d records: %w", size, err)
		}
		return nil
	})
}
