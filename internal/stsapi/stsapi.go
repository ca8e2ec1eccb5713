// Package stsapi is the broker's face for unmodified AWS clients: the query protocol of AWS STS, as far as clients use it to get credentials. A client whose STS endpoint is the broker calls AssumeRole,
// AssumeRoleWithWebIdentity or GetCallerIdentity and gets AWS's own answers and errors; a request that waits for people is an AccessDenied whose message says so, because clients show that message word for word and do
// not try again.
//
// Source: AWS STS API Reference (version 2011-06-15), "Common parameters" and "Common errors".
package stsapi

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/broker"
	"drawbridge/internal/sigv4"
)

// Version is the only one that STS ever had.
const Version = "2011-06-15"

// maxBody is far above the largest request that clients make: a web identity token of 20,000 characters.
const maxBody = 64 << 10

// Desk is what stands behind the counter.
type Desk interface {
	// Secret is the secret of a broker-issued key, with its subject. ErrUnknownKey where there is none.
	Secret(ctx context.Context, accessKeyID, token string) (secret string, s broker.Subject, err error)
	// Token is the subject that a web identity token proves, once. An error wraps ErrBadToken or ErrExpiredToken.
	Token(ctx context.Context, token string) (broker.Subject, error)
	// Once remembers a signature; an error wraps broker.ErrSpent where it was seen, and ErrTooFast where the key signs more than it may.
	Once(ctx context.Context, call Signed) error
	// Assume gives credentials for a role. *broker.Pending, *broker.Refusal and *broker.TooLong are answers.
	Assume(ctx context.Context, s broker.Subject, q Question) (broker.Credentials, *broker.Grant, error)
}

// Signed is a call whose signature was right.
type Signed struct {
	Subject broker.Subject
	Value   string    // key and signature: what is remembered
	Until   time.Time // when it would be too old anyway
	Source  string    // the client's address
}

// Question is what a client asks for.
type Question struct {
	Role        string
	Life        time.Duration // 0: not said
	Idempotency string        // amz-sdk-invocation-id: the same over a client's inner retries
	Source      string        // the client's address
}

// Errors of a Desk.
var (
	ErrUnknownKey   = errors.New("no such key")
	ErrBadToken     = errors.New("the token is not acceptable")
	ErrExpiredToken = errors.New("the token has expired")
	ErrTooFast      = errors.New("too many calls with this key; wait before you make more")
)

// Handler serves the protocol at the root of a host.
type Handler struct {
	Desk Desk
	Now  func() time.Time
	// RequestID makes the id that answers carry.
	RequestID func() string
	// Link is where people decide about a request; nil: no link is told.
	Link func(request string) string
	// Failed is told what went wrong inside: the client learns only that something did.
	Failed func(request string, err error)
}

// fault is an error as AWS writes it.
type fault struct {
	status  int
	kind    string // Sender or Receiver
	code    string
	message string
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func sender(status int, code, format string, args ...any) *fault {
	return &fault{status, "Sender", code, fmt.Sprintf(format, args...)}
}

// ServeHTTP answers one call.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := h.RequestID()
	out, err := h.serve(r)
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		f := h.fault(id, err)
		w.WriteHeader(f.status)
		h.write(w, id, errorResponse{XMLNS: namespace, Error: errorBody{f.kind, f.code, f.message}, RequestID: id})
		return
	}
	h.write(w, id, out(id))
}

func (h *Handler) write(w io.Writer, id string, v any) {
	if err := xml.NewEncoder(w).Encode(v); err != nil {
		h.failed(id, fmt.Errorf("writing the answer: %w", err))
	}
}

func (h *Handler) failed(id string, err error) {
	if h.Failed != nil {
		h.Failed(id, err)
	}
}

// fault is what a client is told of an error. What it may not know it is not told.
func (h *Handler) fault(id string, err error) *fault {
	var f *fault
	var pending *broker.Pending
	var refusal *broker.Refusal
	var long *broker.TooLong
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &pending):
		message := pending.Error()
		if h.Link != nil {
			message += "; " + h.Link(pending.Request)
		}
		return sender(http.StatusForbidden, "AccessDenied", "%s", message)
	case errors.As(err, &refusal):
		return sender(http.StatusForbidden, "AccessDenied", "%s", refusal.Why)
	case errors.As(err, &long):
		return sender(http.StatusBadRequest, "ValidationError", "The requested DurationSeconds exceeds what is allowed: %d seconds", int(long.Most.Seconds()))
	case errors.Is(err, broker.ErrPolicyTooLarge):
		return sender(http.StatusBadRequest, "PackedPolicyTooLarge", "%s", broker.ErrPolicyTooLarge)
	case errors.Is(err, broker.ErrTooMany), errors.Is(err, broker.ErrLocked), errors.Is(err, broker.ErrNotInForce):
		return sender(http.StatusForbidden, "AccessDenied", "%s", err)
	case errors.Is(err, broker.ErrNotIssued):
		// AWS refused the broker. Trying again at once would not help, and 5xx makes clients try again.
		h.failed(id, err)
		return sender(http.StatusForbidden, "AccessDenied", "AWS refused to issue the session; the broker's log has the reason under request %s", id)
	}
	h.failed(id, err)
	return &fault{http.StatusInternalServerError, "Receiver", "InternalFailure", "the request could not be processed; the broker's log has the reason under this request id"}
}

// serve reads and checks a call, and makes what its answer is.
func (h *Handler) serve(r *http.Request) (func(id string) any, error) {
	if r.URL.Path != "/" && r.URL.Path != "" {
		return nil, sender(http.StatusNotFound, "InvalidAction", "there is nothing at %s", r.URL.Path)
	}
	if r.Method != http.MethodPost {
		return nil, sender(http.StatusMethodNotAllowed, "InvalidAction", "the method %s is not taken; expected POST", r.Method)
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, sender(http.StatusBadRequest, "MalformedInput", "expected application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, sender(http.StatusRequestEntityTooLarge, "RequestEntityTooLarge", "the request is larger than %d bytes, or broke off", maxBody)
	}
	if r.URL.RawQuery != "" {
		return nil, sender(http.StatusBadRequest, "InvalidParameterCombination", "parameters stand in the body, not in the query")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, sender(http.StatusBadRequest, "MalformedInput", "the body is no form")
	}
	p := parameters(form)
	for name, values := range form {
		if len(values) != 1 {
			return nil, sender(http.StatusBadRequest, "InvalidParameterValue", "the parameter %.60q comes %d times", name, len(values))
		}
	}
	if v := p["Version"]; len(v) == 1 && v[0] != Version {
		return nil, sender(http.StatusBadRequest, "InvalidAction", "the version %.20q is not known; expected %s", v[0], Version)
	}
	switch action := p.text("Action"); action {
	case "AssumeRole":
		s, err := h.signed(r, body)
		if err != nil {
			return nil, err
		}
		return h.assume(r, p, s, false)
	case "AssumeRoleWithWebIdentity":
		token, err := p.need("WebIdentityToken", 4, 20_000)
		if err != nil {
			return nil, err
		}
		s, err := h.Desk.Token(r.Context(), token)
		switch {
		case errors.Is(err, ErrExpiredToken):
			return nil, sender(http.StatusBadRequest, "ExpiredTokenException", "the web identity token has expired")
		case errors.Is(err, ErrBadToken), errors.Is(err, broker.ErrSpent):
			return nil, sender(http.StatusBadRequest, "InvalidIdentityToken", "the web identity token is not acceptable")
		case err != nil:
			return nil, err
		}
		return h.assume(r, p, s, true)
	case "GetCallerIdentity":
		s, err := h.signed(r, body)
		if err != nil {
			return nil, err
		}
		return func(id string) any {
			return getCallerIdentityResponse{XMLNS: namespace, Result: callerIdentity{Arn: s.Name, UserID: s.ID, Account: s.Account}, RequestID: id}
		}, nil
	case "":
		return nil, sender(http.StatusBadRequest, "MissingAction", "the parameter Action is missing")
	default:
		return nil, sender(http.StatusBadRequest, "InvalidAction", "the action %.60q is not offered by this broker", action)
	}
}

// signed is the subject whose key signed the request.
func (h *Handler) signed(r *http.Request, body []byte) (broker.Subject, error) {
	q := &sigv4.Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host, Header: r.Header, Body: body}
	s, err := sigv4.Parse(q)
	if err != nil {
		return broker.Subject{}, signature(err)
	}
	if s.Service != "sts" || s.Presigned {
		return broker.Subject{}, sender(http.StatusForbidden, "SignatureDoesNotMatch", "expected a signature in the header, for the service sts")
	}
	secret, subject, err := h.Desk.Secret(r.Context(), s.AccessKeyID, s.Token)
	if errors.Is(err, ErrUnknownKey) {
		return broker.Subject{}, sender(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	if err != nil {
		return broker.Subject{}, err
	}
	now := h.Now()
	if err := s.Check(q, secret, now); err != nil {
		return broker.Subject{}, signature(err)
	}
	value, until := s.Once()
	switch err := h.Desk.Once(r.Context(), Signed{subject, value, until, r.RemoteAddr}); {
	case errors.Is(err, broker.ErrSpent):
		// A client signs anew when it tries again, as it does after this error; whoever only has the bytes is never answered.
		return broker.Subject{}, sender(http.StatusBadRequest, "Throttling", "this very request was made before: sign it again")
	case errors.Is(err, ErrTooFast):
		return broker.Subject{}, sender(http.StatusForbidden, "AccessDenied", "%s", ErrTooFast) // no throttling error: clients would try again, and again
	case err != nil:
		return broker.Subject{}, err
	}
	return subject, nil
}

func signature(err error) error {
	switch {
	case errors.Is(err, sigv4.ErrMissing):
		return sender(http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token")
	case errors.Is(err, sigv4.ErrMismatch):
		return sender(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	case errors.Is(err, sigv4.ErrExpired):
		return sender(http.StatusBadRequest, "RequestExpired", "Signature expired, or of a time to come: look at the clock")
	}
	return sender(http.StatusBadRequest, "IncompleteSignature", "%s", err)
}

// parameters of a call.
type parameters url.Values

func (p parameters) text(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (p parameters) need(name string, least, most int) (string, error) {
	v := p.text(name)
	if v == "" {
		return "", sender(http.StatusBadRequest, "MissingParameter", "The request must contain the parameter %s", name)
	}
	if n := len([]rune(v)); n < least || n > most {
		return "", sender(http.StatusBadRequest, "ValidationError", "%s has %d characters; expected %d to %d", name, n, least, most)
	}
	return v, nil
}

var sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)

// ignored are parameters that a client may send and that the broker chooses itself; refused are those that would be a lie to take.
var (
	ignored = []string{"Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "WebIdentityToken", "ProviderId", "ExternalId"}
	refused = map[string]string{
		"Policy":            "session policies come from the registered trust: ask for fewer actions in a request of the broker's own",
		"PolicyArns":        "session policies come from the registered trust",
		"SourceIdentity":    "the broker sets the source identity",
		"Tags":              "session tags come from the registered trust",
		"TransitiveTagKeys": "session tags come from the registered trust",
		"SerialNumber":      "there is no MFA here: people approve",
		"TokenCode":         "there is no MFA here: people approve",
		"ProvidedContexts":  "provided contexts are not offered",
	}
)

// assume answers AssumeRole, and with web AssumeRoleWithWebIdentity.
func (h *Handler) assume(r *http.Request, p parameters, s broker.Subject, web bool) (func(id string) any, error) {
	role, err := p.need("RoleArn", 20, 2048)
	if err != nil {
		return nil, err
	}
	name, err := p.need("RoleSessionName", 2, 64)
	if err != nil {
		return nil, err
	}
	if !sessionName.MatchString(name) {
		return nil, sender(http.StatusBadRequest, "ValidationError", "RoleSessionName has characters other than letters, digits and _+=,.@-")
	}
	if a, err := arn.Parse(role); err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") || strings.ContainsAny(role, "*?") {
		return nil, sender(http.StatusBadRequest, "ValidationError", "RoleArn is not the ARN of a role")
	}
	for name := range p {
		top, _, _ := strings.Cut(name, ".")
		if why, ok := refused[top]; ok {
			if p.text(name) == "" {
				continue // some clients send an empty list as a bare name
			}
			return nil, sender(http.StatusBadRequest, "InvalidParameterValue", "%s: %s", top, why)
		}
		if !slices.Contains(ignored, top) {
			return nil, sender(http.StatusBadRequest, "InvalidParameterValue", "the parameter %.60q is not known", top)
		}
	}
	q := Question{Role: role, Source: r.RemoteAddr}
	if v := p.text("DurationSeconds"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 900 || n > 43200 {
			return nil, sender(http.StatusBadRequest, "ValidationError", "DurationSeconds is %.20q; expected 900 to 43200", v)
		}
		q.Life = time.Duration(n) * time.Second
	}
	if id := r.Header.Get("Amz-Sdk-Invocation-Id"); len(id) <= 64 {
		q.Idempotency = id
	}
	c, g, err := h.Desk.Assume(r.Context(), s, q)
	if err != nil {
		return nil, err
	}
	result := assumeResult{
		Credentials:    keys{c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal(), c.NotAfter.UTC().Format(time.RFC3339)},
		User:           assumedRoleUser{Arn: c.Role, ID: c.RoleID},
		SourceIdentity: g.Source(),
	}
	return func(id string) any {
		if web {
			result.Subject, result.Provider, result.Audience = s.Claims["sub"], s.Issuer, s.Claims["aud"]
			return assumeRoleWithWebIdentityResponse{XMLNS: namespace, Result: result, RequestID: id}
		}
		return assumeRoleResponse{XMLNS: namespace, Result: result, RequestID: id}
	}, nil
}

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// The answers, in AWS's own shapes.
type (
	keys struct {
		AccessKeyID     string `xml:"AccessKeyId"`
		SecretAccessKey string
		SessionToken    string
		Expiration      string
	}
	assumedRoleUser struct {
		Arn string
		ID  string `xml:"AssumedRoleId"`
	}
	assumeResult struct {
		Credentials    keys
		User           assumedRoleUser `xml:"AssumedRoleUser"`
		SourceIdentity string          `xml:",omitempty"`
		Subject        string          `xml:"SubjectFromWebIdentityToken,omitempty"`
		Provider       string          `xml:",omitempty"`
		Audience       string          `xml:",omitempty"`
	}
	assumeRoleResponse struct {
		XMLName   xml.Name     `xml:"AssumeRoleResponse"`
		XMLNS     string       `xml:"xmlns,attr"`
		Result    assumeResult `xml:"AssumeRoleResult"`
		RequestID string       `xml:"ResponseMetadata>RequestId"`
	}
	assumeRoleWithWebIdentityResponse struct {
		XMLName   xml.Name     `xml:"AssumeRoleWithWebIdentityResponse"`
		XMLNS     string       `xml:"xmlns,attr"`
		Result    assumeResult `xml:"AssumeRoleWithWebIdentityResult"`
		RequestID string       `xml:"ResponseMetadata>RequestId"`
	}
	callerIdentity struct {
		Arn     string
		UserID  string `xml:"UserId"`
		Account string
	}
	getCallerIdentityResponse struct {
		XMLName   xml.Name       `xml:"GetCallerIdentityResponse"`
		XMLNS     string         `xml:"xmlns,attr"`
		Result    callerIdentity `xml:"GetCallerIdentityResult"`
		RequestID string         `xml:"ResponseMetadata>RequestId"`
	}
	errorBody struct {
		Type    string
		Code    string
		Message string
	}
	errorResponse struct {
		XMLName   xml.Name `xml:"ErrorResponse"`
		XMLNS     string   `xml:"xmlns,attr"`
		Error     errorBody
		RequestID string `xml:"RequestId"`
	}
)
