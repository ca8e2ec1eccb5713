// Package client calls the broker's API: it is what the command line uses.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"drawbridge/internal/api/wire"
)

// Client calls one broker. The zero value of what is optional is fine.
type Client struct {
	URL string
	// Token is a token of the API. It is asked for each call, and again after it was refused.
	Token Tokens
	HTTP  *http.Client
}

// Tokens gives tokens of the API. A token that was refused is named, so that another one is given; "" the first time.
type Tokens interface {
	Token(ctx context.Context, refused string) (string, error)
}

// Error is what the broker answered instead.
type Error struct {
	Status int
	// Why is in the broker's words, for the one who asked.
	Why string
}

func (e *Error) Error() string { return e.Why }

// ErrUnproven says that the broker does not know who calls.
var ErrUnproven = errors.New("the broker does not know who you are")

// Unwrap tells the kinds of errors apart.
func (e *Error) Unwrap() error {
	if e.Status == http.StatusUnauthorized {
		return ErrUnproven
	}
	return nil
}

// Refused reports whether the broker understood, and said no.
func Refused(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Status == http.StatusForbidden || e.Status == http.StatusConflict || e.Status == http.StatusNotFound || e.Status == http.StatusUnprocessableEntity)
}

const (
	patience  = 45 * time.Second // AWS may be asked while the broker answers
	maxAnswer = 16 << 20
)

func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	if c.Token == nil {
		return fmt.Errorf("%w: no proof was given", ErrUnproven)
	}
	var refused string
	for {
		token, err := c.Token.Token(ctx, refused)
		if err != nil {
			return err
		}
		err = c.once(ctx, method, path, query, token, in, out)
		// A token of the API ends after minutes; whoever has a proof gets another. Nothing was done with the one that was refused.
		if refused == "" && token != "" && errors.Is(err, ErrUnproven) {
			refused = token
			continue
		}
		return err
	}
}

func (c *Client) once(ctx context.Context, method, path string, query url.Values, token string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("calling the broker: %w", err)
		}
		body = bytes.NewReader(text)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	address := strings.TrimSuffix(c.URL, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	q, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return fmt.Errorf("calling the broker: %w", err)
	}
	if token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	if in != nil {
		q.Header.Set("Content-Type", "application/json")
	}
	answer, err := cmp.Or(c.HTTP, http.DefaultClient).Do(q)
	if err != nil {
		return fmt.Errorf("calling the broker: %w", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading the broker's answer: %w", err)
	case len(text) > maxAnswer:
		return fmt.Errorf("the broker's answer is larger than %d bytes", maxAnswer)
	case answer.StatusCode >= 300:
		var p wire.Problem
		if err := json.Unmarshal(text, &p); err != nil || p.Detail == "" && p.Title == "" {
			return &Error{answer.StatusCode, fmt.Sprintf("the broker at %s answered %s", c.URL, answer.Status)}
		}
		why := cmp.Or(p.Detail, p.Title)
		for _, e := range p.Errors {
			if at := strings.TrimPrefix(e.Location, "body."); at != "" {
				why += "; " + at + ": " + e.Message
			} else {
				why += "\n  " + e.Message
			}
		}
		return &Error{answer.StatusCode, why}
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("reading the broker's answer: %w", err)
	}
	return nil
}

func ask[T any](ctx context.Context, c *Client, method, path string, query url.Values, in any) (*T, error) {
	out := new(T)
	if err := c.call(ctx, method, path, query, in, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Exchange gives a token of the API for a proof, which is spent by it.
func (c *Client) Exchange(ctx context.Context, proof wire.Proof) (*wire.Token, error) {
	out := new(wire.Token)
	if err := c.once(ctx, http.MethodPost, "/v1/token", nil, "", proof, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Challenge is a word for an AWS identity to sign.
func (c *Client) Challenge(ctx context.Context) (*wire.Challenge, error) {
	out := new(wire.Challenge)
	if err := c.once(ctx, http.MethodPost, "/v1/token/challenge", nil, "", nil, out); err != nil {
		return nil, err
	}
	return out, nil
}

// Who is who the caller is to the broker.
func (c *Client) Who(ctx context.Context) (*wire.Who, error) {
	return ask[wire.Who](ctx, c, http.MethodGet, "/v1/whoami", nil, nil)
}

// Leave has the broker forget the token that this call is made with.
func (c *Client) Leave(ctx context.Context) error {
	return c.call(ctx, http.MethodDelete, "/v1/token", nil, nil, nil)
}

// File asks for access.
func (c *Client) File(ctx context.Context, a wire.Ask) (*wire.Request, error) {
	return ask[wire.Request](ctx, c, http.MethodPost, "/v1/requests", nil, a)
}

// Access asks for credentials at once, or files a request for them.
func (c *Client) Access(ctx context.Context, a wire.Access) (*wire.Accessed, error) {
	return ask[wire.Accessed](ctx, c, http.MethodPost, "/v1/access", nil, a)
}

// Request is one request.
func (c *Client) Request(ctx context.Context, id string) (*wire.Request, error) {
	return ask[wire.Request](ctx, c, http.MethodGet, requestPath(id, ""), nil, nil)
}

// awaitMost is how long one call waits at most.
const awaitMost = 20 * time.Second

// Await is one request when its state is another one than state, or after some seconds, or when the time is over.
func (c *Client) Await(ctx context.Context, id, state string, most time.Duration) (*wire.Request, error) {
	seconds := max(int(min(most, awaitMost)/time.Second), 1)
	return ask[wire.Request](ctx, c, http.MethodGet, requestPath(id, ""), url.Values{"state": {state}, "wait": {strconv.Itoa(seconds)}}, nil)
}

// Requests are the requests that a query matches, newest first: state (several), subject, entry, target. All pages are read.
func (c *Client) Requests(ctx context.Context, query url.Values) ([]wire.Request, error) {
	var all []wire.Request
	page := url.Values{}
	for name, values := range query {
		page[name] = values
	}
	page.Set("most", "500")
	for {
		got, err := ask[wire.Requests](ctx, c, http.MethodGet, "/v1/requests", page, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, got.Requests...)
		if got.Next == "" {
			return all, nil
		}
		page.Set("after", got.Next)
	}
}

// Decide approves or denies a request as it was seen.
func (c *Client) Decide(ctx context.Context, id string, d wire.Decide) (*wire.Request, error) {
	return ask[wire.Request](ctx, c, http.MethodPost, requestPath(id, "/decision"), nil, d)
}

// Withdraw takes back a request of one's own.
func (c *Client) Withdraw(ctx context.Context, id string) (*wire.Request, error) {
	return ask[wire.Request](ctx, c, http.MethodPost, requestPath(id, "/withdrawal"), nil, nil)
}

// Revoke takes access back.
func (c *Client) Revoke(ctx context.Context, id, reason string) (*wire.Request, error) {
	return ask[wire.Request](ctx, c, http.MethodPost, requestPath(id, "/revocation"), nil, wire.Reason{Reason: reason})
}

// TakeBack does something about effects that are under way.
func (c *Client) TakeBack(ctx context.Context, id string, t wire.TakeBack) (*wire.Request, error) {
	return ask[wire.Request](ctx, c, http.MethodPost, requestPath(id, "/effects"), nil, t)
}

// Credentials are those of a request of one's own.
func (c *Client) Credentials(ctx context.Context, id string, d wire.Demand) (*wire.Credentials, error) {
	return ask[wire.Credentials](ctx, c, http.MethodPost, requestPath(id, "/credentials"), nil, d)
}

// Lock stops everything that matches.
func (c *Client) Lock(ctx context.Context, l wire.SetLock) (*wire.Locked, error) {
	return ask[wire.Locked](ctx, c, http.MethodPost, "/v1/locks", nil, l)
}

// Locks are the locks in force.
func (c *Client) Locks(ctx context.Context) ([]wire.Lock, error) {
	out, err := ask[wire.Locks](ctx, c, http.MethodGet, "/v1/locks", nil, nil)
	if err != nil {
		return nil, err
	}
	return out.Locks, nil
}

// Lift lifts a lock.
func (c *Client) Lift(ctx context.Context, id, reason string) error {
	return c.call(ctx, http.MethodPost, "/v1/locks/"+url.PathEscape(id)+"/lifting", nil, wire.Reason{Reason: reason}, nil)
}

// Registry is the registry in force, with its text.
func (c *Client) Registry(ctx context.Context) (*wire.Edition, error) {
	return ask[wire.Edition](ctx, c, http.MethodGet, "/v1/registry", nil, nil)
}

// CompareRegistry is what a text would change in the registry in force.
func (c *Client) CompareRegistry(ctx context.Context, t wire.RegistryText) (*wire.RegistryDifference, error) {
	return ask[wire.RegistryDifference](ctx, c, http.MethodPost, "/v1/registry/comparison", nil, t)
}

// ChangeRegistry changes the registry, or proposes it.
func (c *Client) ChangeRegistry(ctx context.Context, t wire.RegistryText) (*wire.RegistryChanged, error) {
	return ask[wire.RegistryChanged](ctx, c, http.MethodPost, "/v1/registry", nil, t)
}

// Editions are those of the registry, the newest first.
func (c *Client) Editions(ctx context.Context) ([]wire.Edition, error) {
	out, err := ask[wire.Editions](ctx, c, http.MethodGet, "/v1/registry/editions", nil, nil)
	if err != nil {
		return nil, err
	}
	return out.Editions, nil
}

// Edition is one, with its text.
func (c *Client) Edition(ctx context.Context, id string) (*wire.Edition, error) {
	return ask[wire.Edition](ctx, c, http.MethodGet, "/v1/registry/editions/"+url.PathEscape(id), nil, nil)
}

// DecideEdition agrees to a change of the registry, or rejects it.
func (c *Client) DecideEdition(ctx context.Context, id string, d wire.DecideEdition) (*wire.RegistryChanged, error) {
	return ask[wire.RegistryChanged](ctx, c, http.MethodPost, "/v1/registry/editions/"+url.PathEscape(id)+"/decision", nil, d)
}

func requestPath(id, what string) string { return "/v1/requests/" + url.PathEscape(id) + what }

// RegisterService registers a machine that is to have keys.
func (c *Client) RegisterService(ctx context.Context, s wire.RegisterService) (*wire.Service, error) {
	return ask[wire.Service](ctx, c, http.MethodPost, "/v1/services", nil, s)
}

// Services are the services that the caller may see, with their keys.
func (c *Client) Services(ctx context.Context) ([]wire.Service, error) {
	out, err := ask[wire.Services](ctx, c, http.MethodGet, "/v1/services", nil, nil)
	if err != nil {
		return nil, err
	}
	return out.Services, nil
}

// MakeKey makes a key of a service.
func (c *Client) MakeKey(ctx context.Context, service string, k wire.MakeKey) (*wire.NewKey, error) {
	return ask[wire.NewKey](ctx, c, http.MethodPost, "/v1/services/"+url.PathEscape(service)+"/keys", nil, k)
}

// RevokeKey ends a key of a service.
func (c *Client) RevokeKey(ctx context.Context, service, id, reason string) (*wire.Service, error) {
	return ask[wire.Service](ctx, c, http.MethodPost, "/v1/services/"+url.PathEscape(service)+"/keys/"+url.PathEscape(id)+"/revocation", nil, wire.Reason{Reason: reason})
}

// EndService ends a service.
func (c *Client) EndService(ctx context.Context, service, reason string) (*wire.EndedService, error) {
	return ask[wire.EndedService](ctx, c, http.MethodPost, "/v1/services/"+url.PathEscape(service)+"/ending", nil, wire.Reason{Reason: reason})
}
