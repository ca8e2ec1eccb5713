package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"drawbridge/internal/audit"
)

// Records are those of the audit log from one on, with how many the log has. Reading is recorded.
func (c *Client) Records(ctx context.Context, from int64, most int) (list []audit.Record, size int64, err error) {
	var page struct {
		Records []audit.Record `json:"records"`
		Size    int64          `json:"size"`
	}
	query := url.Values{"from": {strconv.FormatInt(from, 10)}, "most": {strconv.Itoa(most)}}
	err = c.call(ctx, http.MethodGet, "/v1/audit", query, nil, &page)
	return page.Records, page.Size, err
}

// Checkpoint is the newest signed checkpoint of the audit log, which is told to everybody; nil where there is none.
func (c *Client) Checkpoint(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+"/checkpoint", nil)
	if err != nil {
		return nil, fmt.Errorf("asking for the checkpoint: %w", err)
	}
	answer, err := cmp.Or(c.HTTP, http.DefaultClient).Do(q)
	if err != nil {
		return nil, fmt.Errorf("asking for the checkpoint: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case answer.StatusCode == http.StatusNotFound:
		return nil, nil
	case answer.StatusCode != http.StatusOK:
		err = errors.Join(err, &Error{answer.StatusCode, fmt.Sprintf("the broker at %s answered %s", c.URL, answer.Status)})
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the checkpoint: %w", err)
	}
	return text, nil
}
