package sqlstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"drawbridge/internal/broker"
)

// A lease is held for lease at most, and what is done under it may take all but leaseSpare of that: clocks of daemons differ.
const (
	lease      = time.Minute
	leaseSpare = 20 * time.Second
	leaseEvery = 100 * time.Millisecond
)

// Alone runs do while nothing else runs under the same name, in any daemon on this store. It waits for its turn as long as the context lives.
func (s *Store) Alone(ctx context.Context, name string, do func(context.Context) error) (err error) {
	holder := rand.Text()
	for {
		mine := false
		now := time.Now()
		err := s.change(ctx, func(t *tx) error {
			r, err := t.ExecContext(t.ctx, `INSERT INTO leases VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until WHERE leases.until <= $4`, name, holder, now.Add(lease).UnixMicro(), now.UnixMicro())
			if err != nil {
				return fmt.Errorf("waiting to be alone with %s: %w", name, err)
			}
			n, err := r.RowsAffected()
			mine = n == 1
			return err
		})
		if err != nil {
			return err
		}
		if mine {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting to be alone with %s: %w", name, ctx.Err())
		case <-time.After(leaseEvery):
		}
	}
	defer func() {
		err = errors.Join(err, s.change(context.WithoutCancel(ctx), func(t *tx) error {
			if _, err := t.ExecContext(t.ctx, `DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder); err != nil {
				return fmt.Errorf("letting others have %s: %w", name, err)
			}
			return nil
		}))
	}()
	ctx, cancel := context.WithTimeout(ctx, lease-leaseSpare)
	defer cancel()
	return do(ctx)
}

// KeepDrill implements broker.Drills.
func (s *Store) KeepDrill(ctx context.Context, d broker.Drill) error {
	return s.change(ctx, func(t *tx) error {
		body, err := json.Marshal(d)
		if err == nil {
			_, err = t.ExecContext(t.ctx, `INSERT INTO drills VALUES ($1, $2, $3) ON CONFLICT (entry) DO UPDATE SET at = excluded.at, body = excluded.body`, d.Entry, d.At.UnixMicro(), string(body))
		}
		if err != nil {
			return fmt.Errorf("keeping the drill of %s: %w", d.Entry, err)
		}
		return t.log(d.At, d.By, d.ID, broker.DrillDone{Drill: d})
	})
}

// Drills implements broker.Drills.
func (s *Store) Drills(ctx context.Context) ([]broker.Drill, error) {
	return bodies[broker.Drill](ctx, s.reads, "listing the drills", `SELECT body FROM drills ORDER BY entry`)
}
