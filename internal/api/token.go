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
	// TakeToken forgets it in the same step.
	TakeToken(ctx context.Context, hash string, at time.Time) (broker.Caller, error)
	DropToken(ctx context.Context, hash string) error
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

// Whose is whose token it is; broker.ErrNotFound where it is nobody's, or over.
func Whose(ctx context.Context, tokens Tokens, token string, now time.Time) (broker.Caller, error) {
	if !strings.HasPrefix(token, tokenPrefix) {
		return broker.Caller{}, broker.ErrNotFound
	}
	return tokens.Token(ctx, hashOf(token), now)
}

// Drop forgets a token.
func Drop(ctx context.Context, tokens Tokens, token string) error {
	return tokens.DropToken(ctx, hashOf(token))
}

// codePrefix begins every code.
const codePrefix = "dbc_"

// codeLife is how long a program has to exchange the code that it was given.
const codeLife = time.Minute

// NewCode makes a code for a caller, which whoever knows what the challenge was made from exchanges for a token, once (RFC 7636). It is kept by its hash with the challenge, so that without the right one it does not exist.
func NewCode(ctx context.Context, tokens Tokens, c broker.Caller, challenge string, now time.Time) (string, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	code := codePrefix + base64.RawURLEncoding.EncodeToString(b[:])
	return code, tokens.KeepToken(ctx, hashOf(code+" "+challenge), c, now.Add(codeLife))
}

// takeCode is whose code it is.
func takeCode(ctx context.Context, tokens Tokens, code, verifier string, now time.Time) (broker.Caller, error) {
	sum := sha256.Sum256([]byte(verifier))
	if !strings.HasPrefix(code, codePrefix) || len(verifier) < 43 {
		return broker.Caller{}, ErrUnproven
	}
	c, err := tokens.TakeToken(ctx, hashOf(code+" "+base64.RawURLEncoding.EncodeToString(sum[:])), now)
	if errors.Is(err, broker.ErrNotFound) {
		return c, ErrUnproven
	}
	return c, err
}

// Bearer is who holds the token in a request's Authorization header; ErrUnproven where it is none, or over.
func Bearer(r *http.Request, whose func(context.Context, string) (broker.Caller, error)) (broker.Caller, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return broker.Caller{}, ErrUnproven
	}
	c, err := whose(r.Context(), token)
	if errors.Is(err, broker.ErrNotFound) {
		return c, ErrUnproven
	}
	return c, err
}

// The operations that nobody need have proved themselves for.
const (
	exchangeID  = "exchange-token"
	challengeID = "challenge"
)

// nonceLife is how long an AWS identity has to sign its challenge.
const nonceLife = 2 * time.Minute

// TakeNonce uses up the word of a challenge; broker.ErrNotFound where it is none that was given out, was used, or is over.
func TakeNonce(ctx context.Context, tokens Tokens, nonce string, now time.Time) error {
	_, err := tokens.TakeToken(ctx, hashOf("nonce "+nonce), now)
	return err
}

func (s *Server) token(api huma.API) {
	type input struct{ Body wire.Proof }
	type output struct {
		CacheControl string `header:"Cache-Control"`
		Body         wire.Token
	}
	huma.Register(api, huma.Operation{OperationID: exchangeID, Method: http.MethodPost, Path: "/v1/token", Summary: "Prove who you are, and get a token for this API", Security: []map[string][]string{}}, func(ctx context.Context, in *input) (*output, error) {
		now := s.Now()
		var caller broker.Caller
		var err error
		until := now.Add(TokenLife)
		if in.Body.Code != "" {
			caller, err = takeCode(ctx, s.Tokens, in.Body.Code, in.Body.Verifier, now)
			until = now.Add(s.PersonLife)
		} else if in.Body.AWS != nil && s.ProveAWS != nil {
			caller.Subject, err = s.ProveAWS(ctx, in.Body.AWS)
		} else if in.Body.Token == "" && s.ProveTLS != nil {
			caller, err = s.ProveTLS(ctx.Value(requestKey{}).(*http.Request))
		} else {
			caller.Subject, err = s.Prove(ctx, in.Body.Token)
		}
		if errors.Is(err, ErrUnproven) {
			return nil, huma.Error401Unauthorized("the token is not acceptable")
		}
		if err != nil {
			return nil, s.fault(exchangeID, err)
		}
		for _, ends := range []time.Time{caller.Subject.Ends, caller.Until} {
			if !ends.IsZero() && ends.Before(until) {
				until = ends
			}
		}
		token, err := NewToken(ctx, s.Tokens, caller, until)
		if err != nil {
			return nil, s.fault(exchangeID, err)
		}
		out := &output{CacheControl: "no-store"}
		out.Body = wire.Token{AccessToken: token, ExpiresIn: int(until.Sub(now).Seconds()), Subject: caller.Subject.ID}
		return out, nil
	})
	type challengeOutput struct{ Body wire.Challenge }
	huma.Register(api, huma.Operation{OperationID: challengeID, Method: http.MethodPost, Path: "/v1/token/challenge", Summary: "A word for an AWS identity to sign", Security: []map[string][]string{}}, func(ctx context.Context, _ *struct{}) (*challengeOutput, error) {
		if s.ProveAWS == nil {
			return nil, huma.Error409Conflict("this broker takes no AWS identities")
		}
		var b [24]byte
		_, _ = rand.Read(b[:]) // never fails
		nonce := base64.RawURLEncoding.EncodeToString(b[:])
		if err := s.Tokens.KeepToken(ctx, hashOf("nonce "+nonce), broker.Caller{}, s.Now().Add(nonceLife)); err != nil {
			return nil, s.fault(challengeID, err)
		}
		return &challengeOutput{wire.Challenge{Nonce: nonce, Audience: s.Audience}}, nil
	})
	type leave struct {
		Authorization string `header:"Authorization" hidden:"true"`
	}
	huma.Register(api, huma.Operation{OperationID: "drop-token", Method: http.MethodDelete, Path: "/v1/token", Summary: "Forget the token that this call is made with", DefaultStatus: http.StatusNoContent}, func(ctx context.Context, in *leave) (*struct{}, error) {
		return nil, s.fault("drop-token", Drop(ctx, s.Tokens, strings.TrimPrefix(in.Authorization, "Bearer ")))
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
