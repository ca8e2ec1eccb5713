package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
)

// Tokens keeps the API's own tokens, by their hashes alone.
type Tokens interface {
	KeepToken(ctx context.Context, hash string, c broker.Caller, until time.Time) error
	Token(ctx context.Context, hash string, at time.Time) (broker.Caller, error)
}

// TokenLife is how long a token of the API lives. A workload's identity token proves who it is once, and is exchanged for one of these; so the same proof need not be taken again for each call, and a stolen proof is good for nothing
// once it was used.
const TokenLife = 15 * time.Minute

// tokenPrefix begins every token, so that scanners for leaked secrets know it.
const tokenPrefix = "dbt_"

// NewToken makes a token for a caller.
func NewToken(ctx context.Context, tokens Tokens, c broker.Caller, until time.Time) (string, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	token := tokenPrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return token, tokens.KeepToken(ctx, hashOf(token), c, until)
}

func hashOf(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Bearer is who holds the token in a request's Authorization header; ErrUnproven where it is none, or over.
func Bearer(r *http.Request, tokens Tokens, now time.Time) (broker.Caller, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !strings.HasPrefix(token, tokenPrefix) {
		return broker.Caller{}, ErrUnproven
	}
	c, err := tokens.Token(r.Context(), hashOf(token), now)
	if errors.Is(err, broker.ErrNotFound) {
		return c, ErrUnproven
	}
	return c, err
}

const exchangeID = "exchange-token"

func (s *Server) token(api huma.API) {
	type input struct{ Body wire.Proof }
	type output struct {
		CacheControl string `header:"Cache-Control"`
		Body         wire.Token
	}
	huma.Register(api, huma.Operation{OperationID: exchangeID, Method: http.MethodPost, Path: "/v1/token", Summary: "Prove who you are, and get a token for this API", Security: []map[string][]string{}}, func(ctx context.Context, in *input) (*output, error) {
		subject, err := s.Prove(ctx, in.Body.Token)
		if errors.Is(err, ErrUnproven) {
			return nil, huma.Error401Unauthorized("the token is not acceptable")
		}
		if err != nil {
			return nil, s.fault(exchangeID, err)
		}
		until := s.Now().Add(TokenLife)
		if !subject.Ends.IsZero() && subject.Ends.Before(until) {
			until = subject.Ends
		}
		token, err := NewToken(ctx, s.Tokens, broker.Caller{Subject: subject}, until)
		if err != nil {
			return nil, s.fault(exchangeID, err)
		}
		out := &output{CacheControl: "no-store"}
		out.Body.AccessToken, out.Body.ExpiresIn, out.Body.Subject = token, int(until.Sub(s.Now()).Seconds()), subject.ID
		return out, nil
	})
	type who struct{ Body wire.Who }
	huma.Register(api, huma.Operation{OperationID: "who-am-i", Method: http.MethodGet, Path: "/v1/whoami", Summary: "Who you are to the broker"}, func(ctx context.Context, _ *struct{}) (*who, error) {
		c := callerOf(ctx).caller
		out := &who{}
		out.Body.Subject, out.Body.Groups = c.Subject.ID, c.Groups
		for _, r := range c.Roles {
			out.Body.Roles = append(out.Body.Roles, string(r))
		}
		return out, nil
	})
}
