package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"drawbridge/internal/broker"
)

// KnowPerson remembers a person as they are when they sign in.
func (s *Store) KnowPerson(ctx context.Context, r broker.Reviewer, at time.Time) error {
	return s.change(ctx, func(t *tx) error {
		groups, err := json.Marshal(slices.Concat([]string{}, r.Groups))
		if err == nil {
			_, err = t.ExecContext(t.ctx, `INSERT INTO people (id, seen, groups) VALUES ($1, $2, $3) ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, groups = excluded.groups`, r.ID, at.UnixMicro(), string(groups))
		}
		if err != nil {
			return fmt.Errorf("remembering a person: %w", err)
		}
		return nil
	})
}

// Person is somebody as they were when they signed in last, not before since: what was true long ago is not known to be so still. ErrNotFound where there is nobody.
func (s *Store) Person(ctx context.Context, id string, since time.Time) (broker.Reviewer, error) {
	r := broker.Reviewer{ID: id}
	var groups string
	if err := s.reads.QueryRowContext(ctx, `SELECT groups FROM people WHERE id = $1 AND seen >= $2`, id, since.UnixMicro()).Scan(&groups); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return broker.Reviewer{}, broker.ErrNotFound
		}
		return broker.Reviewer{}, fmt.Errorf("looking for a person: %w", err)
	}
	if err := json.Unmarshal([]byte(groups), &r.Groups); err != nil {
		return broker.Reviewer{}, fmt.Errorf("looking for a person: %w", err)
	}
	return r, nil
}

// DropToken forgets a token of the API.
func (s *Store) DropToken(ctx context.Context, hash string) error {
	return s.change(ctx, func(t *tx) error {
		if _, err := t.ExecContext(t.ctx, `DELETE FROM tokens WHERE hash = $1`, hash); err != nil {
			return fmt.Errorf("forgetting a token: %w", err)
		}
		return nil
	})
}

// TakeToken is whose token has a hash, as Token is, and forgets it in the same step: it is good once.
func (s *Store) TakeToken(ctx context.Context, hash string, at time.Time) (broker.Caller, error) {
	var c broker.Caller
	err := s.change(ctx, func(t *tx) error {
		var body string
		if err := t.QueryRowContext(t.ctx, `DELETE FROM tokens WHERE hash = $1 AND until > $2 RETURNING caller`, hash, at.UnixMicro()).Scan(&body); err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				return broker.ErrNotFound
			}
			return fmt.Errorf("looking for a token: %w", err)
		}
		if err := json.Unmarshal([]byte(body), &c); err != nil {
			return fmt.Errorf("looking for a token: %w", err)
		}
		return nil
	})
	return c, err
}
