// Package trino runs SQL on a Trino by its URL: the statement protocol over HTTP (Trino documentation, "Client REST API"). It is small because
// the queries of Drawbridge answer with columns of text only, and keeps a driver with Kerberos and a dozen dependencies out of the program.
package trino

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Client is a Trino and who asks it.
type Client struct {
	base              *url.URL
	user, catalog     string
	schema, authorise string
	http              *http.Client
	wait              func(context.Context, time.Duration) error
}

// Error is what Trino says of a query that failed.
type Error struct {
	Name, Message string
	Line, Column  int
}

func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("trino: %s (%s, line %d, column %d of the query)", e.Message, e.Name, e.Line, e.Column)
	}
	return fmt.Sprintf("trino: %s (%s)", e.Message, e.Name)
}

// Stats is what a query took.
type Stats struct {
	Bytes, Rows int64 // read from the table
}

// New is a client of a URL like https://user@trino.example.com:8443/catalog/schema. A token is sent as a JWT; a password as basic authentication.
// Neither is sent without TLS but to this machine.
func New(address, password, token string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("the URL of Trino: %w", errors.Unwrap(err))
	}
	if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, fmt.Errorf("the URL of Trino: expected https://user@host:port/catalog/schema")
	}
	if _, has := u.User.Password(); has {
		return nil, errors.New("the URL of Trino holds a password, which lists of processes show: give it as DRAWBRIDGE_TRINO_PASSWORD")
	}
	c := &Client{user: u.User.Username(), http: &http.Client{Timeout: 5 * time.Minute}, wait: pause}
	if c.user == "" {
		c.user = "drawbridge"
	}
	path := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(path) > 2 {
		return nil, fmt.Errorf("the URL of Trino: its path %q is not /catalog/schema", u.Path)
	}
	c.catalog = path[0]
	if len(path) == 2 {
		c.schema = path[1]
	}
	if host := u.Hostname(); (password != "" || token != "") && u.Scheme != "https" && host != "127.0.0.1" && host != "localhost" && host != "::1" {
		return nil, errors.New("the URL of Trino: a password or token is sent over https only")
	}
	c.base = &url.URL{Scheme: u.Scheme, Host: u.Host}
	request := &http.Request{Header: http.Header{}}
	switch {
	case token != "":
		c.authorise = "Bearer " + token
	case password != "":
		request.SetBasicAuth(c.user, password)
		c.authorise = request.Header.Get("Authorization")
	}
	// A redirect elsewhere must not take the credentials along, nor turn a statement into a read.
	c.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return c, nil
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// answer is one page of a result.
type answer struct {
	NextURI string     `json:"nextUri"`
	Data    [][]*value `json:"data"`
	Stats   struct {
		PhysicalInputBytes int64 `json:"physicalInputBytes"`
		ProcessedRows      int64 `json:"processedRows"`
	} `json:"stats"`
	Error *struct {
		Message       string `json:"message"`
		ErrorName     string `json:"errorName"`
		ErrorLocation struct {
			LineNumber   int `json:"lineNumber"`
			ColumnNumber int `json:"columnNumber"`
		} `json:"errorLocation"`
	} `json:"error"`
}

// value is a column as text; of another kind than text as its JSON.
type value string

func (v *value) UnmarshalJSON(data []byte) error {
	var s string
	if json.Unmarshal(data, &s) != nil {
		s = string(data)
	}
	*v = value(s)
	return nil
}

// Query runs a statement and gives each row, with "" for null. The query ends in Trino too where ctx ends or give fails.
func (c *Client) Query(ctx context.Context, sql string, give func(row []string) error) (Stats, error) {
	var s Stats
	a, err := c.ask(ctx, http.MethodPost, c.base.JoinPath("/v1/statement").String(), sql)
	for {
		if err != nil {
			return s, err
		}
		s = Stats{a.Stats.PhysicalInputBytes, a.Stats.ProcessedRows}
		if e := a.Error; e != nil {
			return s, &Error{e.ErrorName, e.Message, e.ErrorLocation.LineNumber, e.ErrorLocation.ColumnNumber}
		}
		for _, values := range a.Data {
			row := make([]string, len(values))
			for i, v := range values {
				if v != nil {
					row[i] = string(*v)
				}
			}
			if err := give(row); err != nil {
				c.cancel(ctx, a.NextURI)
				return s, err
			}
		}
		if a.NextURI == "" {
			return s, nil
		}
		next, err2 := url.Parse(a.NextURI)
		if err2 != nil || next.Host != c.base.Host || next.Scheme != c.base.Scheme {
			return s, fmt.Errorf("trino: the answer goes on at %q, which is not the server that was asked: set http-server.process-forwarded there where a proxy stands in between", a.NextURI)
		}
		here := a.NextURI
		if a, err = c.ask(ctx, http.MethodGet, here, ""); err != nil {
			c.cancel(ctx, here)
		}
	}
}

func (c *Client) cancel(ctx context.Context, next string) {
	if next == "" {
		return
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	if r, err := c.request(ctx, http.MethodDelete, next, ""); err == nil {
		if response, err := c.http.Do(r); err == nil {
			response.Body.Close()
		}
	}
}

func (c *Client) request(ctx context.Context, method, address, body string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, v := range map[string]string{"X-Trino-User": c.user, "X-Trino-Source": "drawbridge", "X-Trino-Catalog": c.catalog, "X-Trino-Schema": c.schema, "X-Trino-Time-Zone": "UTC",
		"Authorization": c.authorise} {
		if v != "" {
			r.Header.Set(name, v)
		}
	}
	return r, nil
}

// maxAnswer bounds one page: Trino makes pages of 16 MB at most.
const maxAnswer = 256 << 20

// ask does one request, and again where the server is busy (429, 502, 503, 504), as the protocol demands. A statement that has not come through is sent again;
// Trino answers so before it begins with it.
func (c *Client) ask(ctx context.Context, method, address, body string) (*answer, error) {
	var last string
	for try := range 8 {
		if try > 0 {
			if err := c.wait(ctx, min(50*time.Millisecond<<try, 5*time.Second)); err != nil {
				return nil, err
			}
		}
		r, err := c.request(ctx, method, address, body)
		if err != nil {
			return nil, err
		}
		response, err := c.http.Do(r)
		if err != nil {
			return nil, fmt.Errorf("asking Trino: %w", err)
		}
		text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		response.Body.Close()
		switch {
		case response.StatusCode == http.StatusTooManyRequests, response.StatusCode >= 502 && response.StatusCode <= 504:
			last = response.Status
			continue
		case response.StatusCode != http.StatusOK:
			return nil, fmt.Errorf("asking Trino: %s: %s", response.Status, firstLine(text))
		case err != nil:
			return nil, fmt.Errorf("asking Trino: %w", err)
		}
		var a answer
		if err := json.Unmarshal(text, &a); err != nil {
			return nil, fmt.Errorf("asking Trino: what answers is no Trino: %w", err)
		}
		return &a, nil
	}
	return nil, fmt.Errorf("asking Trino: it is busy: %s", last)
}

func firstLine(text []byte) string {
	line, _, _ := bytes.Cut(bytes.TrimSpace(text), []byte("\n"))
	return string(line[:min(len(line), 300)])
}

// Source tells where the client's tables are from other places: host, catalog and schema.
func (c *Client) Source() string { return c.base.Host + "/" + c.catalog + "/" + c.schema }
