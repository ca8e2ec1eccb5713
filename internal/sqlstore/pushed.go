package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"drawbridge/internal/broker"
)

// BeginPush implements broker.Snapshots.
func (s *Store) BeginPush(ctx context.Context, p broker.Pushed) error {
	return s.change(ctx, func(t *tx) error {
		// What never arrived makes room.
		if _, err := t.ExecContext(t.ctx, `DELETE FROM push_parts WHERE push IN (SELECT id FROM pushes WHERE state = $1 AND begun < $2)`, string(broker.Receiving), p.Begun.Add(-broker.PushPatience).UnixMicro()); err != nil {
			return fmt.Errorf("removing what never arrived: %w", err)
		}
		if _, err := t.ExecContext(t.ctx, `DELETE FROM pushes WHERE state = $1 AND begun < $2`, string(broker.Receiving), p.Begun.Add(-broker.PushPatience).UnixMicro()); err != nil {
			return fmt.Errorf("removing what never arrived: %w", err)
		}
		body, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("beginning to take a snapshot: %w", err)
		}
		if _, err := t.ExecContext(t.ctx, `INSERT INTO pushes VALUES ($1, $2, $3, $4)`, p.ID, p.Begun.UnixMicro(), string(p.State), string(body)); err != nil {
			return fmt.Errorf("beginning to take a snapshot: %w", err)
		}
		return nil
	})
}

func readPush(ctx context.Context, q rowQuerier, id string) (*broker.Pushed, error) {
	var body string
	err := q.QueryRowContext(ctx, `SELECT body FROM pushes WHERE id = $1`, id).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("snapshot %s: %w", id, broker.ErrNotFound)
	}
	p := new(broker.Pushed)
	if err == nil {
		err = json.Unmarshal([]byte(body), p)
	}
	if err != nil {
		return nil, fmt.Errorf("reading what is known of snapshot %s: %w", id, err)
	}
	return p, nil
}

func (t *tx) keepPush(p *broker.Pushed) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", p.ID, err)
	}
	if _, err := t.ExecContext(t.ctx, `UPDATE pushes SET state = $1, body = $2 WHERE id = $3`, string(p.State), string(body), p.ID); err != nil {
		return fmt.Errorf("snapshot %s: %w", p.ID, err)
	}
	return nil
}

// KeepPart implements broker.Snapshots.
func (s *Store) KeepPart(ctx context.Context, id, by string, n int, data []byte) error {
	if n < 0 || n >= broker.MaxParts || len(data) == 0 || len(data) > broker.MaxPart {
		return fmt.Errorf("%w: part %d of %d bytes; at most %d parts of %d bytes are taken", broker.ErrPush, n, len(data), broker.MaxParts, broker.MaxPart)
	}
	return s.change(ctx, func(t *tx) error {
		p, err := readPush(t.ctx, t, id)
		if err != nil {
			return err
		}
		if p.State != broker.Receiving || p.By != by {
			return fmt.Errorf("%w: it is %s", broker.ErrPush, p.State)
		}
		if _, err := t.ExecContext(t.ctx, `INSERT INTO push_parts VALUES ($1, $2, $3) ON CONFLICT (push, n) DO UPDATE SET data = excluded.data`, id, n, data); err != nil {
			return fmt.Errorf("keeping a part of snapshot %s: %w", id, err)
		}
		return nil
	})
}

// EndPush implements broker.Snapshots.
func (s *Store) EndPush(ctx context.Context, id, by string, parts int, sha256 string) (*broker.Pushed, error) {
	var out *broker.Pushed
	err := s.change(ctx, func(t *tx) error {
		p, err := readPush(t.ctx, t, id)
		if err != nil {
			return err
		}
		var kept, last sql.NullInt64
		var size sql.NullInt64
		if err := t.QueryRowContext(t.ctx, `SELECT count(*), max(n), sum(length(data)) FROM push_parts WHERE push = $1`, id).Scan(&kept, &last, &size); err != nil {
			return fmt.Errorf("counting the parts of snapshot %s: %w", id, err)
		}
		if kept.Int64 > 0 && last.Int64 != kept.Int64-1 {
			return fmt.Errorf("%w: of parts 0 to %d only %d are there", broker.ErrPush, last.Int64, kept.Int64)
		}
		if err := p.End(by, parts, int(kept.Int64), size.Int64, sha256); err != nil {
			return err
		}
		out = p
		return t.keepPush(p)
	})
	return out, err
}

// SettlePush implements broker.Snapshots.
func (s *Store) SettlePush(ctx context.Context, p broker.Pushed) error {
	return s.change(ctx, func(t *tx) error {
		was, err := readPush(t.ctx, t, p.ID)
		if err != nil {
			return err
		}
		if was.State != broker.Checking {
			return nil // another daemon did it
		}
		if err := t.keepPush(&p); err != nil {
			return err
		}
		drop := func(p *broker.Pushed) error {
			if _, err := t.ExecContext(t.ctx, `DELETE FROM push_parts WHERE push = $1`, p.ID); err != nil {
				return fmt.Errorf("removing snapshot %s: %w", p.ID, err)
			}
			return t.keepPush(p)
		}
		if p.State != broker.Accepted {
			if err := drop(&p); err != nil {
				return err
			}
			return t.log(p.Accepted, p.By, p.ID, broker.SnapshotRefused{ID: p.ID, By: p.By, Why: p.Why})
		}
		list, err := readPushes(t.ctx, t, 1000)
		if err != nil {
			return err
		}
		// What was collected last is kept, however it came: an old snapshot that is pushed late takes no newer one's place.
		slices.SortStableFunc(list, func(a, b broker.Pushed) int { return b.Collected.Compare(a.Collected) })
		kept := 0
		for i := range list {
			if old := &list[i]; old.State == broker.Accepted {
				if kept++; kept > broker.KeepPushed {
					old.State = broker.Dropped
					if err := drop(old); err != nil {
						return err
					}
				}
			}
		}
		return t.log(p.Accepted, p.By, p.ID, broker.SnapshotAccepted{Snapshot: p})
	})
}

// Pushes implements broker.Snapshots.
func (s *Store) Pushes(ctx context.Context, most int) ([]broker.Pushed, error) {
	return readPushes(ctx, s.reads, most)
}

func readPushes(ctx context.Context, q querier, most int) ([]broker.Pushed, error) {
	return bodies[broker.Pushed](ctx, q, "listing the snapshots", `SELECT body FROM pushes ORDER BY begun DESC, id LIMIT $1`, most)
}

// Part implements broker.Snapshots.
func (s *Store) Part(ctx context.Context, id string, n int) ([]byte, error) {
	var data []byte
	err := s.reads.QueryRowContext(ctx, `SELECT data FROM push_parts WHERE push = $1 AND n = $2`, id, n).Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("part %d of snapshot %s: %w", n, id, broker.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("reading part %d of snapshot %s: %w", n, id, err)
	}
	return data, nil
}
