package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"drawbridge/internal/broker"
)

// Register implements broker.Services.
func (s *Store) Register(ctx context.Context, made *broker.Service, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		was, err := newestService(ctx, t, made.Name)
		switch {
		case err == nil && was.Live(at):
			return fmt.Errorf("service %s: %w", made.Name, broker.ErrExists)
		case err != nil && !errors.Is(err, broker.ErrNotFound):
			return err
		}
		body, err := json.Marshal(made)
		if err == nil {
			_, err = t.ExecContext(t.ctx, `INSERT INTO services VALUES ($1, $2, $3, $4)`, made.ID, made.Name, at.UnixMicro(), string(body))
		}
		if err != nil {
			return fmt.Errorf("keeping a service: %w", err)
		}
		return t.log(at, made.By, made.ID, broker.ServiceRegistered{Service: made.Name, ID: made.ID, Sponsors: made.Sponsors, Until: made.Until})
	})
}

// Service implements broker.Services.
func (s *Store) Service(ctx context.Context, name string) (*broker.Service, error) {
	return newestService(ctx, s.reads, name)
}

// readQuerier reads rows, in a transaction or without.
type readQuerier interface {
	querier
	rowQuerier
}

func newestService(ctx context.Context, q readQuerier, name string) (*broker.Service, error) {
	return readService(ctx, q, q.QueryRowContext(ctx, `SELECT body FROM services WHERE name = $1 ORDER BY at DESC, id DESC LIMIT 1`, name))
}

// readService reads a service, and when its keys were used: that is beside it, so that taking a signature does not write the whole.
func readService(ctx context.Context, q querier, row scanner) (*broker.Service, error) {
	var body string
	out := new(broker.Service)
	err := row.Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, broker.ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal([]byte(body), out)
	}
	if err == nil {
		err = readUse(ctx, q, out)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a service: %w", err)
	}
	return out, nil
}

func readUse(ctx context.Context, q querier, s *broker.Service) error {
	if len(s.Keys) == 0 {
		return nil
	}
	rows, err := q.QueryContext(ctx, `SELECT id, used FROM service_keys WHERE service = $1 AND used > 0`, s.ID)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var used int64
		if err := rows.Scan(&id, &used); err != nil {
			return err
		}
		for i := range s.Keys {
			if s.Keys[i].ID == id {
				s.Keys[i].Used = time.UnixMicro(used).UTC()
			}
		}
	}
	return rows.Err()
}

// ListServices implements broker.Services.
func (s *Store) ListServices(ctx context.Context) ([]broker.Service, error) {
	out, err := bodies[broker.Service](ctx, s.reads, "listing the services", `SELECT body FROM services`)
	if err != nil {
		return nil, err
	}
	for i := range out {
		if err := readUse(ctx, s.reads, &out[i]); err != nil {
			return nil, fmt.Errorf("listing the services: %w", err)
		}
	}
	slices.SortFunc(out, func(a, b broker.Service) int { return cmp.Or(cmp.Compare(a.Name, b.Name), b.At.Compare(a.At)) })
	return out, nil
}

// UpdateService implements broker.Services.
func (s *Store) UpdateService(ctx context.Context, name string, at time.Time, do func(*broker.Service) (broker.Logged, error), key string, sealed []byte) (*broker.Service, error) {
	var out *broker.Service
	err := s.change(ctx, func(t *tx) error {
		one, err := newestService(ctx, t, name)
		if err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
		l, err := do(one)
		if err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
		body, err := json.Marshal(one)
		if err == nil {
			_, err = t.ExecContext(t.ctx, `UPDATE services SET body = $1 WHERE id = $2`, string(body), one.ID)
		}
		if err == nil && key != "" {
			_, err = t.ExecContext(t.ctx, `INSERT INTO service_keys (id, service, sealed) VALUES ($1, $2, $3)`, key, one.ID, sealed)
		}
		if err != nil {
			return fmt.Errorf("keeping a service: %w", err)
		}
		out = one
		return t.log(at, l.Actor, one.ID, l.Event)
	})
	return out, err
}

// ServiceOfKey implements broker.Services.
func (s *Store) ServiceOfKey(ctx context.Context, key string) (*broker.Service, []byte, error) {
	var id string
	var sealed []byte
	if err := s.reads.QueryRowContext(ctx, `SELECT service, sealed FROM service_keys WHERE id = $1`, key).Scan(&id, &sealed); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return nil, nil, broker.ErrNotFound
		}
		return nil, nil, fmt.Errorf("looking for a key: %w", err)
	}
	one, err := readService(ctx, s.reads, s.reads.QueryRowContext(ctx, `SELECT body FROM services WHERE id = $1`, id))
	return one, sealed, err
}

// SpendKey implements broker.Services.
func (s *Store) SpendKey(ctx context.Context, key, signature string, until, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		if err := t.spend("sigv4", signature, until); err != nil {
			return err
		}
		if _, err := t.ExecContext(t.ctx, `UPDATE service_keys SET used = $1 WHERE id = $2 AND used < $1`, at.UnixMicro(), key); err != nil {
			return fmt.Errorf("noting that a key was used: %w", err)
		}
		return nil
	})
}
