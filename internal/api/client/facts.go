package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"drawbridge/internal/api/wire"
)

// partSize is how much of an archive is sent at once.
const partSize = 4 << 20

// Push pushes an archive of a snapshot, and says that all of it is there.
func (c *Client) Push(ctx context.Context, archive io.Reader) (*wire.Push, error) {
	p, err := ask[wire.Push](ctx, c, http.MethodPost, "/v1/snapshots", nil, nil)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	part := make([]byte, partSize)
	for n := 0; ; n++ {
		size, err := io.ReadFull(archive, part)
		switch {
		case errors.Is(err, io.EOF) && n > 0:
			return ask[wire.Push](ctx, c, http.MethodPost, "/v1/snapshots/"+url.PathEscape(p.ID)+"/end", nil, wire.PushEnd{Parts: n, SHA256: hex.EncodeToString(h.Sum(nil))})
		case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
			return nil, fmt.Errorf("reading what is to be pushed: %w", err)
		}
		h.Write(part[:size])
		if err := c.call(ctx, http.MethodPut, fmt.Sprintf("/v1/snapshots/%s/parts/%d", url.PathEscape(p.ID), n), nil, wire.Part{Data: part[:size]}, nil); err != nil {
			return nil, err
		}
	}
}

// Snapshots are those that were pushed, the newest first.
func (c *Client) Snapshots(ctx context.Context) ([]wire.Push, error) {
	out, err := ask[wire.Pushes](ctx, c, http.MethodGet, "/v1/snapshots", nil, nil)
	if err != nil {
		return nil, err
	}
	return out.Snapshots, nil
}

// Target is what the broker knows of an entry's target.
func (c *Client) Target(ctx context.Context, entry string) (*wire.Target, error) {
	return ask[wire.Target](ctx, c, http.MethodGet, "/v1/entries/"+url.PathEscape(entry)+"/target", nil, nil)
}

// Reconciliation is the registry held against what exists in AWS, as the newest snapshot shows it.
func (c *Client) Reconciliation(ctx context.Context) (*wire.Reconciliation, error) {
	return ask[wire.Reconciliation](ctx, c, http.MethodGet, "/v1/reconciliation", nil, nil)
}

// Drill rehearses taking back at an entry's target.
func (c *Client) Drill(ctx context.Context, entry string) (*wire.Drill, error) {
	return ask[wire.Drill](ctx, c, http.MethodPost, "/v1/entries/"+url.PathEscape(entry)+"/drill", nil, nil)
}

// Drills are the last drill of each entry that the broker lets cross.
func (c *Client) Drills(ctx context.Context) ([]wire.Drill, error) {
	out, err := ask[wire.Drills](ctx, c, http.MethodGet, "/v1/drills", nil, nil)
	if err != nil {
		return nil, err
	}
	return out.Drills, nil
}

// ExternalID is what the broker says to an entry's role that it takes by AssumeRole.
func (c *Client) ExternalID(ctx context.Context, entry string) (*wire.ExternalID, error) {
	return ask[wire.ExternalID](ctx, c, http.MethodGet, "/v1/entries/"+url.PathEscape(entry)+"/external-id", nil, nil)
}

// ChangeExternalID takes a step of changing it: rotate or promote.
func (c *Client) ChangeExternalID(ctx context.Context, entry, action string) (*wire.ExternalID, error) {
	return ask[wire.ExternalID](ctx, c, http.MethodPost, "/v1/entries/"+url.PathEscape(entry)+"/external-id", nil, wire.ChangeExternalID{Action: action})
}

// Offboard begins the offboarding of a vendor.
func (c *Client) Offboard(ctx context.Context, vendor, reason string) (*wire.Offboarding, error) {
	return ask[wire.Offboarding](ctx, c, http.MethodPost, "/v1/offboardings", nil, wire.Offboard{Vendor: vendor, Reason: reason})
}

// Offboardings are all, the newest first.
func (c *Client) Offboardings(ctx context.Context) ([]wire.Offboarding, error) {
	out, err := ask[wire.Offboardings](ctx, c, http.MethodGet, "/v1/offboardings", nil, nil)
	if err != nil {
		return nil, err
	}
	return out.Offboardings, nil
}

// Offboarding is one.
func (c *Client) Offboarding(ctx context.Context, id string) (*wire.Offboarding, error) {
	return ask[wire.Offboarding](ctx, c, http.MethodGet, "/v1/offboardings/"+url.PathEscape(id), nil, nil)
}
