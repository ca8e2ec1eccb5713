package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"drawbridge/internal/broker"
)

func readExternalID(ctx context.Context, q rowQuerier, vendor, role string) (*broker.ExternalID, error) {
	var body string
	err := q.QueryRowContext(ctx, `SELECT body FROM external_ids WHERE vendor = $1 AND role = $2`, vendor, role).Scan(&body)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("the ExternalId for %s: %w", role, broker.ErrNotFound)
	}
	x := new(broker.ExternalID)
	if err == nil {
		err = json.Unmarshal([]byte(body), x)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the ExternalId for %s: %w", role, err)
	}
	return x, nil
}

// ExternalID implements broker.ExternalIDs.
func (s *Store) ExternalID(ctx context.Context, vendor, role, value string, at time.Time) (*broker.ExternalID, error) {
	if x, err := readExternalID(ctx, s.reads, vendor, role); !errors.Is(err, broker.ErrNotFound) {
		return x, err
	}
	var out *broker.ExternalID
	err := s.change(ctx, func(t *tx) error {
		x, err := readExternalID(t.ctx, t, vendor, role)
		if !errors.Is(err, broker.ErrNotFound) {
			out = x // another one was first
			return err
		}
		out = &broker.ExternalID{Vendor: vendor, Role: role, Current: value, Made: at.UTC().Truncate(time.Microsecond)}
		return t.keepExternalID(out, value, broker.Clock, "made", at)
	})
	return out, err
}

// ChangeExternalID implements broker.ExternalIDs.
func (s *Store) ChangeExternalID(ctx context.Context, vendor, role, by string, at time.Time, do func(*broker.ExternalID) error) (*broker.ExternalID, error) {
	var out *broker.ExternalID
	err := s.change(ctx, func(t *tx) error {
		x, err := readExternalID(t.ctx, t, vendor, role)
		if err != nil {
			return err
		}
		before := x.Next
		if err := do(x); err != nil {
			return err
		}
		out = x
		if x.Next != "" && x.Next != before {
			return t.keepExternalID(x, x.Next, by, "begun", at)
		}
		return t.keepExternalID(x, "", by, "promoted", at)
	})
	return out, err
}

// keepExternalID writes one with its record; value is the one that is new, "" for none.
func (t *tx) keepExternalID(x *broker.ExternalID, value, by, what string, at time.Time) error {
	body, err := json.Marshal(x)
	if err == nil && value != "" {
		_, err = t.ExecContext(t.ctx, `INSERT INTO external_id_values VALUES ($1)`, value)
	}
	if err == nil {
		_, err = t.ExecContext(t.ctx, `INSERT INTO external_ids VALUES ($1, $2, $3) ON CONFLICT (vendor, role) DO UPDATE SET body = excluded.body`, x.Vendor, x.Role, string(body))
	}
	if err != nil {
		return fmt.Errorf("keeping the ExternalId for %s: %w", x.Role, err)
	}
	return t.log(at, by, x.Role, broker.ExternalIDChanged{Vendor: x.Vendor, Role: x.Role, What: what})
}
