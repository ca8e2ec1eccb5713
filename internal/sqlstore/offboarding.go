package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// BeginOffboarding implements broker.Offboardings.
func (s *Store) BeginOffboarding(ctx context.Context, o *broker.Offboarding, l broker.Lock) error {
	return s.change(ctx, func(t *tx) error {
		var one int
		switch err := t.QueryRowContext(t.ctx, `SELECT 1 FROM offboardings WHERE vendor = $1 AND state = $2`, o.Vendor, string(broker.Leaving)).Scan(&one); {
		case err == nil:
			return fmt.Errorf("an offboarding of %s: %w", o.Vendor, broker.ErrExists)
		case !errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("looking for an offboarding of %s: %w", o.Vendor, err)
		}
		body, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("offboarding %s: %w", o.ID, err)
		}
		lock, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("offboarding %s: %w", o.ID, err)
		}
		if _, err := t.ExecContext(t.ctx, `INSERT INTO locks (id, body) VALUES ($1, $2)`, l.ID, string(lock)); err != nil {
			return fmt.Errorf("setting lock %s: %w", l.ID, err)
		}
		if _, err := t.ExecContext(t.ctx, `INSERT INTO offboardings VALUES ($1, $2, $3, $4, $5, $6)`, o.ID, o.Vendor, o.Version, string(o.State), o.At.UnixMicro(), string(body)); err != nil {
			return fmt.Errorf("offboarding %s: %w", o.ID, err)
		}
		if err := t.log(o.At, o.By, l.ID, broker.Locked{Lock: l}); err != nil {
			return err
		}
		return t.log(o.At, o.By, o.ID, broker.OffboardingBegun{ID: o.ID, Vendor: o.Vendor, Lock: l.ID, Reason: o.Reason})
	})
}

// UpdateOffboarding implements broker.Offboardings.
func (s *Store) UpdateOffboarding(ctx context.Context, id string, at time.Time, do func(*broker.Offboarding) ([]audit.Event, error)) (*broker.Offboarding, error) {
	var out *broker.Offboarding
	err := s.change(ctx, func(t *tx) error {
		o, err := readOffboarding(t.QueryRowContext(t.ctx, offboardingColumns+` WHERE id = $1`, id))
		if err != nil {
			return err
		}
		out = o
		events, err := do(o)
		if err != nil || len(events) == 0 {
			return err
		}
		o.Version++
		body, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("offboarding %s: %w", id, err)
		}
		if _, err := t.ExecContext(t.ctx, `UPDATE offboardings SET version = $1, state = $2, body = $3 WHERE id = $4`, o.Version, string(o.State), string(body), id); err != nil {
			return fmt.Errorf("offboarding %s: %w", id, err)
		}
		for _, e := range events {
			if err := t.log(at, broker.Clock, id, e); err != nil {
				return err
			}
		}
		return nil
	})
	return out, err
}

const offboardingColumns = `SELECT version, body FROM offboardings`

func readOffboarding(row scanner) (*broker.Offboarding, error) {
	var version int64
	var body string
	if err := row.Scan(&version, &body); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("offboarding: %w", broker.ErrNotFound)
		}
		return nil, fmt.Errorf("reading an offboarding: %w", err)
	}
	o := new(broker.Offboarding)
	if err := json.Unmarshal([]byte(body), o); err != nil {
		return nil, fmt.Errorf("reading an offboarding: %w", err)
	}
	o.Version = version
	return o, nil
}

// Offboarding implements broker.Offboardings.
func (s *Store) Offboarding(ctx context.Context, id string) (*broker.Offboarding, error) {
	return readOffboarding(s.reads.QueryRowContext(ctx, offboardingColumns+` WHERE id = $1`, id))
}

// Offboardings implements broker.Offboardings.
func (s *Store) Offboardings(ctx context.Context, most int) ([]broker.Offboarding, error) {
	rows, err := s.reads.QueryContext(ctx, offboardingColumns+` ORDER BY begun DESC, id LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("listing the offboardings: %w", err)
	}
	defer rows.Close()
	var out []broker.Offboarding
	for rows.Next() {
		o, err := readOffboarding(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, *o)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing the offboardings: %w", err)
	}
	return out, nil
}
