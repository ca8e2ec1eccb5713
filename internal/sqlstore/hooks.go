package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Claim implements notify.Cursors.
func (s *Store) Claim(ctx context.Context, hook, holder string, first int64, now, until time.Time) (next int64, ok bool, err error) {
	err = s.change(ctx, func(t *tx) error {
		next, ok = 0, false
		var by string
		var lease int64
		err := t.QueryRowContext(t.ctx, `SELECT next, holder, until FROM hooks WHERE name = $1`, hook).Scan(&next, &by, &lease)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			next = first
		case err != nil:
			return fmt.Errorf("looking how far %s was told: %w", hook, err)
		case by != "" && by != holder && lease > now.UnixMicro():
			return nil
		}
		if _, err := t.ExecContext(t.ctx, `INSERT INTO hooks VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until`, hook, next, holder, until.UnixMicro()); err != nil {
			return fmt.Errorf("taking over to tell %s: %w", hook, err)
		}
		ok = true
		return nil
	})
	return next, ok, err
}

// Advance implements notify.Cursors. Whoever has lost its claim changes nothing.
func (s *Store) Advance(ctx context.Context, hook, holder string, next int64) error {
	return s.change(ctx, func(t *tx) error {
		if _, err := t.ExecContext(t.ctx, `UPDATE hooks SET next = $1, holder = '', until = 0 WHERE name = $2 AND holder = $3`, next, hook, holder); err != nil {
			return fmt.Errorf("noting how far %s was told: %w", hook, err)
		}
		return nil
	})
}

// Told is for each hook that was told anything how far: the sequence number of the next record.
func (s *Store) Told(ctx context.Context) (map[string]int64, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT name, next FROM hooks`)
	if err != nil {
		return nil, fmt.Errorf("looking how far others were told: %w", err)
	}
	defer rows.Close()
	told := make(map[string]int64)
	for rows.Next() {
		var name string
		var next int64
		if err := rows.Scan(&name, &next); err != nil {
			return nil, fmt.Errorf("looking how far others were told: %w", err)
		}
		told[name] = next
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("looking how far others were told: %w", err)
	}
	return told, nil
}
