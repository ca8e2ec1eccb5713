// Package api is the broker's JSON over HTTP: what the command line, the web pages and other programs call. Its OpenAPI document is generated from the operations here, and a test holds the copy in docs to it.
//
// An operation checks the caller's right before it asks for anything, and answers about what the caller may not see as if it were not there.
package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"drawbridge/iam/cond"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// Server serves the API. Its fields are set once.
type Server struct {
	Broker *broker.Broker
	Store  broker.Store
	// Identify is who makes a request. An error that wraps ErrUnproven is answered by 401; the caller is told no more.
	Identify func(r *http.Request) (broker.Caller, error)
	// Prove is whom an identity token proves; an error wraps ErrUnproven where it proves nobody. Tokens keeps the tokens that are given for it.
	Prove  func(ctx context.Context, token string) (broker.Subject, error)
	Tokens Tokens
	// Known is what is known of a request's context: where it comes from, when, with which claims.
	Known func(r *http.Request, c *broker.Caller) *cond.Context
	// Person looks up what the identity provider says of a person.
	Person func(ctx context.Context, id string) (broker.Reviewer, error)
	Now    func() time.Time
	// Failed is told what went wrong inside.
	Failed func(operation string, err error)
}

// ErrUnproven says that nobody proved who is calling.
var ErrUnproven = errors.New("nobody proved who is calling")

// Version of the API.
const Version = "1"

// Handler is the API, below /v1/. The OpenAPI document is at /v1/openapi.json.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	s.API(mux)
	return mux
}

// API registers the operations.
func (s *Server) API(mux *http.ServeMux) huma.API {
	config := huma.DefaultConfig("Drawbridge", Version)
	config.Info.Description = "The broker of cross-account access: requests, approvals, sessions, and taking back."
	config.OpenAPIPath, config.DocsPath, config.SchemasPath = "/v1/openapi", "", "/v1/schemas"
	config.CreateHooks = nil // no $schema fields: answers are what their types say
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "A token of a registered issuer, made for this broker"},
	}
	config.Security = []map[string][]string{{"token": {}}}
	api := humago.New(mux, config)
	api.UseMiddleware(s.identify(api))
	s.token(api)
	s.requests(api)
	s.locks(api)
	s.log(api)
	return api
}

type callerKey struct{}

type call struct {
	caller broker.Caller
	known  *cond.Context
}

// identify puts the caller into the context of an operation.
func (s *Server) identify(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		if ctx.Operation().OperationID == exchangeID {
			next(ctx)
			return
		}
		r, _ := humago.Unwrap(ctx)
		c, err := s.Identify(r)
		if err != nil {
			if !errors.Is(err, ErrUnproven) {
				s.failed("identify", err)
			}
			_ = huma.WriteErr(api, ctx, http.StatusUnauthorized, "prove who you are: a token of a registered issuer is needed, made for this broker")
			return
		}
		next(huma.WithValue(ctx, callerKey{}, &call{c, s.Known(r, &c)}))
	}
}

func callerOf(ctx context.Context) *call { return ctx.Value(callerKey{}).(*call) }

func (s *Server) failed(operation string, err error) {
	if s.Failed != nil {
		s.Failed(operation, err)
	}
}

// fault is an error as the API tells it.
func (s *Server) fault(operation string, err error) error {
	var refusal *broker.Refusal
	var pending *broker.Pending
	var long *broker.TooLong
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return huma.Error403Forbidden(refusal.Why)
	case errors.As(err, &pending):
		return huma.NewError(http.StatusConflict, pending.Error())
	case errors.As(err, &long):
		return huma.Error422UnprocessableEntity(long.Error())
	case errors.Is(err, broker.ErrNotFound):
		return huma.Error404NotFound("there is no such thing, or you may not see it")
	case errors.Is(err, broker.ErrNotYours):
		return huma.Error403Forbidden(err.Error())
	case errors.Is(err, broker.ErrDecided), errors.Is(err, broker.ErrStale), errors.Is(err, broker.ErrExists), errors.Is(err, broker.ErrNotInForce), errors.Is(err, broker.ErrTooMany), errors.Is(err, broker.ErrLocked):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, broker.ErrPolicyTooLarge):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, broker.ErrNotIssued):
		s.failed(operation, err)
		return huma.Error502BadGateway("AWS refused to issue the session; the broker's log says why")
	}
	s.failed(operation, err)
	return huma.Error500InternalServerError("something went wrong inside; the broker's log says what")
}

// Request is a request or grant as the API shows it.
type Request struct {
	ID         string     `json:"id"`
	State      string     `json:"state" doc:"awaiting, approved, active, suspended, revoking, stuck; or how it ended: denied, rejected, withdrawn, lapsed, expired, revoked"`
	Subject    string     `json:"subject" doc:"Who asks"`
	Entry      string     `json:"entry" doc:"The registry's entry whose terms hold"`
	Target     string     `json:"target" doc:"ARN of the role"`
	Reason     string     `json:"reason,omitempty"`
	Ticket     string     `json:"ticket,omitempty"`
	Actions    []string   `json:"actions" doc:"What may be done"`
	Resources  []string   `json:"resources"`
	Hash       string     `json:"hash" doc:"What a decision is about: it changes with the request"`
	Filed      time.Time  `json:"filed"`
	Until      *time.Time `json:"until,omitempty" doc:"Until when people may decide, or the approval must be used"`
	NotBefore  *time.Time `json:"notBefore,omitempty"`
	NotAfter   *time.Time `json:"notAfter,omitempty"`
	Approvals  int        `json:"approvals" doc:"How many people must say yes"`
	Approvers  []string   `json:"approvers,omitempty"`
	Decisions  []Decision `json:"decisions,omitempty"`
	Session    string     `json:"session,omitempty" doc:"The longest session, such as 1h30m0s"`
	LimitedBy  string     `json:"limitedBy,omitempty" doc:"What limits it"`
	Sessions   []Session  `json:"sessions,omitempty"`
	FencedAt   *time.Time `json:"fencedAt,omitempty" doc:"When it was taken back"`
	Effects    []Effect   `json:"effects,omitempty" doc:"What is done in AWS to cut its sessions"`
	Registry   string     `json:"registry,omitempty" doc:"Version of the registry"`
	Generation int        `json:"generation,omitempty"`
}

// Decision is one person's.
type Decision struct {
	By      string    `json:"by"`
	Approve bool      `json:"approve"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
}

// Session is one issue of credentials.
type Session struct {
	ID          string    `json:"id"`
	State       string    `json:"state" doc:"intended, issued, failed, unclear or cut"`
	Since       time.Time `json:"since"`
	NotAfter    time.Time `json:"notAfter"`
	AccessKeyID string    `json:"accessKeyId,omitempty"`
}

// Effect is something to be done in AWS, with its three times: fenced (of the request), written, effective by.
type Effect struct {
	Kind        string     `json:"kind"`
	Role        string     `json:"role"`
	Attempts    int        `json:"attempts"`
	Stuck       bool       `json:"stuck,omitempty"`
	Written     *time.Time `json:"written,omitempty"`
	EffectiveBy *time.Time `json:"effectiveBy,omitempty"`
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func show(g *broker.Grant) Request {
	r := Request{ID: g.ID, State: g.State.String(), Subject: g.Subject.ID, Entry: g.Ask.Entry, Target: g.Ask.Target, Reason: g.Ask.Reason, Ticket: g.Ask.Ticket, Actions: slices.Concat([]string{}, g.Actions), Resources: slices.Concat([]string{}, g.Resources), Hash: g.Hash,
		Filed: g.Filed, Until: moment(g.Deadline), NotBefore: moment(g.NotBefore), NotAfter: moment(g.NotAfter), Approvals: g.Approvals, Approvers: g.Approvers, LimitedBy: g.LimitedBy, FencedAt: moment(g.FencedAt), Registry: g.Terms.Version, Generation: g.Generation}
	if g.Terms.Session > 0 {
		r.Session = g.Terms.Session.String()
	}
	for _, d := range g.Decisions {
		r.Decisions = append(r.Decisions, Decision{d.By, d.Approve, d.At, d.Reason})
	}
	for _, s := range g.Sessions {
		r.Sessions = append(r.Sessions, Session{s.ID, s.State.String(), s.Intended, s.NotAfter, s.AccessKeyID})
	}
	for _, e := range g.Effects {
		r.Effects = append(r.Effects, Effect{string(e.Kind), e.Role, e.Attempts, e.Stuck, moment(e.Written), moment(e.EffectiveBy)})
	}
	return r
}

// Credentials are what is handed out, in the shape of credential_process. Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
type Credentials struct {
	Version         int    `json:"Version"`
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
	SessionToken    string `json:"SessionToken"`
	Expiration      string `json:"Expiration"`
}

type requestID struct {
	ID string `path:"id" minLength:"2" maxLength:"60"`
}

type oneRequest struct{ Body Request }

// requests registers what is done with requests.
func (s *Server) requests(api huma.API) {
	type fileInput struct {
		Body struct {
			Entry     string    `json:"entry" doc:"Name of the registry's entry"`
			Target    string    `json:"target" doc:"ARN of the role"`
			Actions   []string  `json:"actions,omitempty" required:"false" doc:"A part of what the entry allows; all of it where none is given"`
			Resources []string  `json:"resources,omitempty" required:"false"`
			Life      string    `json:"life,omitempty" required:"false" doc:"How long the grant is to last, such as 4h"`
			Lower     bool      `json:"lower,omitempty" required:"false" doc:"A shorter one will do"`
			Start     time.Time `json:"start,omitzero" required:"false" doc:"When it is to begin; at once where it is not given"`
			Reason    string    `json:"reason,omitempty" required:"false"`
			Ticket    string    `json:"ticket,omitempty" required:"false"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "file-request", Method: http.MethodPost, Path: "/v1/requests", Summary: "Ask for access", DefaultStatus: http.StatusCreated,
		Description: "A request that the terms refuse is answered by 403 and recorded."}, func(ctx context.Context, in *fileInput) (*oneRequest, error) {
		c := callerOf(ctx)
		ask := broker.Ask{Entry: in.Body.Entry, Target: in.Body.Target, Actions: in.Body.Actions, Resources: in.Body.Resources, Lower: in.Body.Lower, Start: in.Body.Start, Reason: in.Body.Reason, Ticket: in.Body.Ticket}
		if in.Body.Life != "" {
			var err error
			if ask.Life, err = time.ParseDuration(in.Body.Life); err != nil || ask.Life <= 0 {
				return nil, huma.Error422UnprocessableEntity("life: expected a length of time such as 4h or 90m")
			}
		}
		g, err := s.Broker.File(ctx, c.caller.Subject, ask, broker.Facts{Context: c.known})
		if err != nil {
			return nil, s.fault("file-request", err)
		}
		return &oneRequest{show(g)}, nil
	})

	type listRequestsInput struct {
		State   []string `query:"state" doc:"Only these states"`
		Subject string   `query:"subject"`
		Entry   string   `query:"entry"`
		Target  string   `query:"target"`
		After   string   `query:"after" doc:"The next of an earlier answer"`
		Most    int      `query:"most" minimum:"1" maximum:"500" default:"100"`
	}
	type listRequestsOutput struct {
		Body struct {
			Requests []Request `json:"requests"`
			Next     string    `json:"next,omitempty" doc:"Where the list goes on"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "list-requests", Method: http.MethodGet, Path: "/v1/requests", Summary: "List requests, newest first", Description: "Whoever may not see everything sees their own."}, func(ctx context.Context, in *listRequestsInput) (*listRequestsOutput, error) {
		c := callerOf(ctx)
		f := broker.Filter{Subject: in.Subject, Entry: in.Entry, Target: in.Target, After: in.After, Most: in.Most}
		for _, name := range in.State {
			state, err := broker.StateOf(name)
			if err != nil {
				return nil, huma.Error422UnprocessableEntity(err.Error())
			}
			f.States = append(f.States, state)
		}
		out := &listRequestsOutput{}
		out.Body.Requests = []Request{}
		if !c.caller.May(broker.ViewAll) {
			if f.Subject != "" && f.Subject != c.caller.Subject.ID {
				return out, nil
			}
			f.Subject = c.caller.Subject.ID
		}
		list, next, err := s.Store.Grants(ctx, f)
		if err != nil {
			return nil, s.fault("list-requests", err)
		}
		for i := range list {
			out.Body.Requests = append(out.Body.Requests, show(&list[i]))
		}
		out.Body.Next = next
		return out, nil
	})

	see := func(ctx context.Context, operation, id string) (*broker.Grant, *call, error) {
		c := callerOf(ctx)
		g, err := s.Store.Grant(ctx, id)
		if err == nil && !c.caller.Sees(g) {
			err = broker.ErrNotFound
		}
		if err != nil {
			return nil, nil, s.fault(operation, err)
		}
		return g, c, nil
	}
	huma.Register(api, huma.Operation{OperationID: "get-request", Method: http.MethodGet, Path: "/v1/requests/{id}", Summary: "One request"}, func(ctx context.Context, in *requestID) (*oneRequest, error) {
		g, _, err := see(ctx, "get-request", in.ID)
		if err != nil {
			return nil, err
		}
		return &oneRequest{show(g)}, nil
	})

	type decideInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body struct {
			Approve bool   `json:"approve"`
			Hash    string `json:"hash" doc:"Of the request as you saw it"`
			Reason  string `json:"reason,omitempty" required:"false"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "decide-request", Method: http.MethodPost, Path: "/v1/requests/{id}/decision", Summary: "Approve or deny a request", Description: "Who may decide, the entry says. Nobody decides about their own request."}, func(ctx context.Context, in *decideInput) (*oneRequest, error) {
		_, c, err := see(ctx, "decide-request", in.ID)
		if err != nil {
			return nil, err
		}
		if err := c.caller.Need(broker.DecideAny); err != nil {
			return nil, s.fault("decide-request", err)
		}
		g, err := s.Broker.Decide(ctx, in.ID, broker.Reviewer{ID: c.caller.Subject.ID, Groups: c.caller.Groups}, in.Body.Approve, in.Body.Hash, in.Body.Reason, s.Person)
		if err != nil {
			return nil, s.fault("decide-request", err)
		}
		return &oneRequest{show(g)}, nil
	})
	huma.Register(api, huma.Operation{OperationID: "withdraw-request", Method: http.MethodPost, Path: "/v1/requests/{id}/withdrawal", Summary: "Take back a request of your own that is not in use"}, func(ctx context.Context, in *requestID) (*oneRequest, error) {
		_, c, err := see(ctx, "withdraw-request", in.ID)
		if err != nil {
			return nil, err
		}
		g, err := s.Broker.Withdraw(ctx, in.ID, c.caller.Subject.ID)
		if err != nil {
			return nil, s.fault("withdraw-request", err)
		}
		return &oneRequest{show(g)}, nil
	})

	type revokeInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body struct {
			Reason string `json:"reason" minLength:"1"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "revoke-request", Method: http.MethodPost, Path: "/v1/requests/{id}/revocation", Summary: "Take access back", Description: "The answer comes when nothing more is issued; cutting what lives follows, and the request shows how far it is. Its own subject may always revoke."},
		func(ctx context.Context, in *revokeInput) (*oneRequest, error) {
			g, c, err := see(ctx, "revoke-request", in.ID)
			if err != nil {
				return nil, err
			}
			if g.Subject.ID != c.caller.Subject.ID {
				if err := c.caller.Need(broker.RevokeAny); err != nil {
					return nil, s.fault("revoke-request", err)
				}
			}
			g, err = s.Broker.Revoke(ctx, in.ID, c.caller.Subject.ID, in.Body.Reason)
			if err != nil {
				return nil, s.fault("revoke-request", err)
			}
			return &oneRequest{show(g)}, nil
		})

	type credentialsInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body struct {
			Life        string `json:"life,omitempty" required:"false" doc:"How long the session is to last, such as 1h"`
			Lower       bool   `json:"lower,omitempty" required:"false"`
			Idempotency string `json:"idempotency,omitempty" required:"false" maxLength:"64"`
		}
	}
	type credentialsOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         Credentials
	}
	huma.Register(api, huma.Operation{OperationID: "issue-credentials", Method: http.MethodPost, Path: "/v1/requests/{id}/credentials", Summary: "Credentials for a request of your own that is in force", Description: "The answer has the shape of credential_process."}, func(ctx context.Context, in *credentialsInput) (*credentialsOutput, error) {
		c := callerOf(ctx)
		d := broker.Demand{Lower: in.Body.Lower, Idempotency: in.Body.Idempotency}
		if in.Body.Life != "" {
			var err error
			if d.Life, err = time.ParseDuration(in.Body.Life); err != nil || d.Life <= 0 {
				return nil, huma.Error422UnprocessableEntity("life: expected a length of time such as 1h or 30m")
			}
		}
		got, err := s.Broker.Issue(ctx, in.ID, c.caller.Subject, d)
		if err != nil {
			return nil, s.fault("issue-credentials", err)
		}
		return &credentialsOutput{"no-store", Credentials{1, got.AccessKeyID, got.SecretAccessKey.Reveal(), got.SessionToken.Reveal(), got.NotAfter.UTC().Format(time.RFC3339)}}, nil
	})
}

// Lock is a lock as the API shows it.
type Lock struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	Value   string     `json:"value"`
	Reason  string     `json:"reason"`
	By      string     `json:"by"`
	At      time.Time  `json:"at"`
	Expires *time.Time `json:"expires,omitempty"`
}

func (s *Server) locks(api huma.API) {
	type lockInput struct {
		Body struct {
			Kind    string    `json:"kind" enum:"subject,role,account,vendor,issuer,key,all"`
			Value   string    `json:"value,omitempty" required:"false"`
			Reason  string    `json:"reason" minLength:"1"`
			Expires time.Time `json:"expires,omitzero" required:"false"`
		}
	}
	type lockOutput struct {
		Body struct {
			Suspended []string `json:"suspended" doc:"Requests that were in force and are stopped"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "set-lock", Method: http.MethodPost, Path: "/v1/locks", Summary: "Stop everything that matches", DefaultStatus: http.StatusCreated}, func(ctx context.Context, in *lockInput) (*lockOutput, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(broker.SetLocks); err != nil {
			return nil, s.fault("set-lock", err)
		}
		if in.Body.Kind != string(broker.LockAll) && in.Body.Value == "" {
			return nil, huma.Error422UnprocessableEntity("value: say what is to be locked")
		}
		suspended, err := s.Broker.Lock(ctx, broker.Lock{Kind: broker.LockKind(in.Body.Kind), Value: in.Body.Value, Reason: in.Body.Reason, By: c.caller.Subject.ID, Expires: in.Body.Expires})
		if err != nil {
			return nil, s.fault("set-lock", err)
		}
		out := &lockOutput{}
		out.Body.Suspended = slices.Concat([]string{}, suspended)
		return out, nil
	})
	type listLocksOutput struct {
		Body struct {
			Locks []Lock `json:"locks"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "list-locks", Method: http.MethodGet, Path: "/v1/locks", Summary: "The locks in force"}, func(ctx context.Context, _ *struct{}) (*listLocksOutput, error) {
		if err := callerOf(ctx).caller.Need(broker.ViewAll); err != nil {
			return nil, s.fault("list-locks", err)
		}
		list, err := s.Store.Locks(ctx, s.Now())
		if err != nil {
			return nil, s.fault("list-locks", err)
		}
		out := &listLocksOutput{}
		out.Body.Locks = []Lock{}
		for _, l := range list {
			out.Body.Locks = append(out.Body.Locks, Lock{l.ID, string(l.Kind), l.Value, l.Reason, l.By, l.At, moment(l.Expires)})
		}
		return out, nil
	})
	type liftInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body struct {
			Reason string `json:"reason" minLength:"1"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "lift-lock", Method: http.MethodPost, Path: "/v1/locks/{id}/lifting", Summary: "Lift a lock", Description: "What it suspended stays so until people approve again.", DefaultStatus: http.StatusNoContent}, func(ctx context.Context, in *liftInput) (*struct{}, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(broker.SetLocks); err != nil {
			return nil, s.fault("lift-lock", err)
		}
		return nil, s.fault("lift-lock", s.Store.Unlock(ctx, in.ID, c.caller.Subject.ID, in.Body.Reason, s.Now()))
	})
}

// AuditRead: somebody read the log (46).
type AuditRead struct {
	From int64 `json:"from"`
	Most int   `json:"most"`
}

// Kind names the event.
func (AuditRead) Kind() string { return "audit.read" }

func (s *Server) log(api huma.API) {
	type readInput struct {
		From int64 `query:"from" minimum:"0" doc:"The first record"`
		Most int   `query:"most" minimum:"1" maximum:"1000" default:"100"`
	}
	type readOutput struct {
		Body struct {
			Records []audit.Record `json:"records"`
			Size    int64          `json:"size" doc:"How many records the log has"`
		}
	}
	huma.Register(api, huma.Operation{OperationID: "read-audit", Method: http.MethodGet, Path: "/v1/audit", Summary: "Records of the audit log", Description: "Reading is recorded too."}, func(ctx context.Context, in *readInput) (*readOutput, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(broker.ReadAudit); err != nil {
			return nil, s.fault("read-audit", err)
		}
		if err := s.Store.Record(ctx, s.Now(), c.caller.Subject.ID, "audit", AuditRead{in.From, in.Most}); err != nil {
			return nil, s.fault("read-audit", err)
		}
		list, err := s.Store.Records(ctx, in.From, in.Most)
		if err != nil {
			return nil, s.fault("read-audit", err)
		}
		head, err := s.Store.Head(ctx)
		if err != nil {
			return nil, s.fault("read-audit", err)
		}
		out := &readOutput{}
		out.Body.Records, out.Body.Size = slices.Concat([]audit.Record{}, list), head.Size
		return out, nil
	})
}
