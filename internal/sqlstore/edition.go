package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"drawbridge/internal/broker"
)

// Propose implements broker.Editions.
func (s *Store) Propose(ctx context.Context, e *broker.Edition, alone bool) error {
	return s.change(ctx, func(t *tx) error {
		inForce, err := editionInForce(ctx, t)
		if err != nil {
			return err
		}
		made := *e // the change may be tried again
		if err := made.Admit(inForce, alone); err != nil {
			return err
		}
		if made.State == broker.InForce {
			if err := t.replace(inForce); err != nil {
				return err
			}
		}
		body, text, err := marshalEdition(&made)
		if err != nil {
			return err
		}
		r, err := t.ExecContext(t.ctx, `INSERT INTO editions (id, at, state, body, text) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`, made.ID, made.At.UnixMicro(), string(made.State), body, text)
		if err != nil {
			return fmt.Errorf("keeping an edition of the registry: %w", err)
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("edition %s: %w", made.ID, broker.ErrExists), err)
		}
		if err := t.log(made.At, made.By, made.ID, broker.EditionProposed{ID: made.ID, Base: made.Base, Why: made.Why, Differences: made.Differences, State: made.State}); err != nil {
			return err
		}
		*e = made
		return nil
	})
}

// DecideEdition implements broker.Editions.
func (s *Store) DecideEdition(ctx context.Context, id string, d broker.EditionDecision) (*broker.Edition, error) {
	var out *broker.Edition
	err := s.change(ctx, func(t *tx) error {
		inForce, err := editionInForce(ctx, t)
		if err != nil {
			return err
		}
		e, err := readEdition(ctx, t, `WHERE id = $1`, id)
		if err != nil {
			return err
		}
		if err := e.Decide(d, inForce); err != nil {
			return err
		}
		if e.State == broker.InForce {
			if err := t.replace(inForce); err != nil {
				return err
			}
		}
		if err := t.keepEdition(e); err != nil {
			return err
		}
		out = e
		return t.log(d.At, d.By, id, broker.EditionDecided{ID: id, EditionDecision: d})
	})
	return out, err
}

// replace notes that another edition takes the place of one.
func (t *tx) replace(id string) error {
	if id == "" {
		return nil
	}
	e, err := readEdition(t.ctx, t, `WHERE id = $1`, id)
	if err != nil {
		return err
	}
	e.State = broker.Replaced
	return t.keepEdition(e)
}

func (t *tx) keepEdition(e *broker.Edition) error {
	body, _, err := marshalEdition(e)
	if err != nil {
		return err
	}
	if _, err := t.ExecContext(t.ctx, `UPDATE editions SET state = $1, body = $2 WHERE id = $3`, string(e.State), body, e.ID); err != nil {
		return fmt.Errorf("keeping an edition of the registry: %w", err)
	}
	return nil
}

func marshalEdition(e *broker.Edition) (body, text string, err error) {
	files, err := json.Marshal(e.Text)
	if err != nil {
		return "", "", fmt.Errorf("keeping an edition of the registry: %w", err)
	}
	rest := *e
	rest.Text = nil
	b, err := json.Marshal(rest)
	if err != nil {
		return "", "", fmt.Errorf("keeping an edition of the registry: %w", err)
	}
	return string(b), string(files), nil
}

// Edition implements broker.Editions.
func (s *Store) Edition(ctx context.Context, id string) (*broker.Edition, error) {
	if id == "" {
		return readEdition(ctx, s.reads, `WHERE state = $1`, string(broker.InForce))
	}
	return readEdition(ctx, s.reads, `WHERE id = $1`, id)
}

// EditionInForce implements broker.Editions.
func (s *Store) EditionInForce(ctx context.Context) (string, error) {
	return editionInForce(ctx, s.reads)
}

type rowQuerier interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}

func editionInForce(ctx context.Context, q rowQuerier) (string, error) {
	var id string
	err := q.QueryRowContext(ctx, `SELECT id FROM editions WHERE state = $1`, string(broker.InForce)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("looking for the registry in force: %w", err)
	}
	return id, nil
}

func readEdition(ctx context.Context, q rowQuerier, where, value string) (*broker.Edition, error) {
	var body, text string
	err := q.QueryRowContext(ctx, `SELECT body, text FROM editions `+where, value).Scan(&body, &text)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("edition of the registry: %w", broker.ErrNotFound)
	}
	e := new(broker.Edition)
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(body), e), json.Unmarshal([]byte(text), &e.Text))
	}
	if err != nil {
		return nil, fmt.Errorf("reading an edition of the registry: %w", err)
	}
	return e, nil
}

// ListEditions implements broker.Editions.
func (s *Store) ListEditions(ctx context.Context, most int) ([]broker.Edition, error) {
	rows, err := s.reads.QueryContext(ctx, `SELECT body FROM editions ORDER BY at DESC, id LIMIT $1`, most)
	if err != nil {
		return nil, fmt.Errorf("listing the editions of the registry: %w", err)
	}
	defer rows.Close()
	var out []broker.Edition
	for rows.Next() {
		var body string
		var e broker.Edition
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("listing the editions of the registry: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			return nil, fmt.Errorf("listing the editions of the registry: %w", err)
		}
		out = append(out, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing the editions of the registry: %w", err)
	}
	return out, nil
}
