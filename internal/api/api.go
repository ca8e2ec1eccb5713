// Package api is the broker's JSON over HTTP: what the command line, the web pages and other programs call. Its OpenAPI document is generated from the operations here, and a test holds the copy in docs to it.
//
// An operation checks the caller's right before it asks for anything, and answers about what the caller may not see as if it were not there.
package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"drawbridge/iam/cond"
	"drawbridge/internal/api/wire"
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
	// ProveTLS is whom the certificate of a connection proves; an error wraps ErrUnproven where it proves nobody.
	ProveTLS func(r *http.Request) (broker.Caller, error)
	// ProveAWS is whom the parts of a signed request prove; nil where no AWS identities are taken. Audience is what they sign for.
	ProveAWS func(ctx context.Context, p *wire.AWSProof) (broker.Subject, error)
	Audience string
	// PersonLife is how long a token lives that a person let a command line have.
	PersonLife time.Duration
	// Known is what is known of a request's context: where it comes from, when, with which claims.
	Known func(r *http.Request, c *broker.Caller) *cond.Context
	// Person looks up what the identity provider says of a person.
	Person func(ctx context.Context, id string) (broker.Reviewer, error)
	// Registry is nil where the registry is a folder of files.
	Registry *Registry
	Facts    *Facts
	// Services is nil where the broker gives out no keys.
	Services *Services
	Now      func() time.Time
	// Demanded is told what became of each demand for credentials.
	Demanded func(error)
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
	s.registry(api)
	s.facts(api)
	s.services(api)
	s.log(api)
	return api
}

type (
	callerKey  struct{}
	requestKey struct{}
)

type call struct {
	caller broker.Caller
	known  *cond.Context
}

// identify puts the caller into the context of an operation.
func (s *Server) identify(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		if id := ctx.Operation().OperationID; id == exchangeID || id == challengeID {
			next(huma.WithValue(ctx, requestKey{}, r))
			return
		}
		c, err := s.Identify(r)
		if err != nil {
			if !errors.Is(err, ErrUnproven) {
				s.failed("identify", err)
			}
			_ = huma.WriteErr(api, ctx, http.StatusUnauthorized, "prove who you are: a token of a registered issuer is needed, made for this broker, or a certificate of a registered trust domain")
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
	case errors.Is(err, broker.ErrRegistryFiles), errors.Is(err, errNoKeys), errors.Is(err, broker.ErrTooManyKeys):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, broker.ErrNotYours):
		return huma.Error403Forbidden(err.Error())
	case errors.Is(err, broker.ErrDecided), errors.Is(err, broker.ErrStale), errors.Is(err, broker.ErrExists), errors.Is(err, broker.ErrNotInForce), errors.Is(err, broker.ErrTooMany), errors.Is(err, broker.ErrLocked):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, broker.ErrPush):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, broker.ErrPolicyTooLarge), errors.Is(err, broker.ErrService), errors.Is(err, broker.ErrExternalID):
		return huma.Error422UnprocessableEntity(err.Error())
	case errors.Is(err, broker.ErrClock):
		s.failed(operation, err)
		return huma.Error503ServiceUnavailable(broker.ErrClock.Error())
	case errors.Is(err, broker.ErrNotIssued):
		s.failed(operation, err)
		return huma.Error502BadGateway("AWS refused to issue the session; the broker's log says why")
	}
	s.failed(operation, err)
	return huma.Error500InternalServerError("something went wrong inside; the broker's log says what")
}

func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (s *Server) demanded(err error) {
	if s.Demanded != nil {
		s.Demanded(err)
	}
}

func show(g *broker.Grant) wire.Request {
	r := wire.Request{ID: g.ID, State: g.State.String(), Subject: g.Subject.ID, Entry: g.Ask.Entry, Target: g.Ask.Target, Reason: g.Ask.Reason, Ticket: g.Ask.Ticket, Actions: slices.Concat([]string{}, g.Actions), Resources: slices.Concat([]string{}, g.Resources), Hash: g.Hash,
		Filed: g.Filed, Until: moment(g.Deadline), NotBefore: moment(g.NotBefore), NotAfter: moment(g.NotAfter), Approvals: g.Approvals, Approvers: g.Approvers, LimitedBy: g.LimitedBy, FencedAt: moment(g.FencedAt), Registry: g.Terms.Version, Generation: g.Generation}
	if g.Terms.Session > 0 {
		r.Session, r.Life = g.Terms.Session.String(), g.Terms.Life.String()
	}
	for _, d := range g.Decisions {
		r.Decisions = append(r.Decisions, wire.Decision{By: d.By, Approve: d.Approve, At: d.At, Reason: d.Reason})
	}
	for _, s := range g.Sessions {
		r.Sessions = append(r.Sessions, wire.Session{ID: s.ID, State: s.State.String(), Since: s.Intended, NotAfter: s.NotAfter, AccessKeyID: s.AccessKeyID, Overtaken: moment(s.Overtaken)})
	}
	for _, e := range g.Effects {
		r.Effects = append(r.Effects, wire.Effect{Kind: string(e.Kind), Role: e.Role, Attempts: e.Attempts, Stuck: e.Stuck, Written: moment(e.Written), EffectiveBy: moment(e.EffectiveBy), Acknowledged: moment(e.Acknowledged), Older: moment(e.Older), Removed: moment(e.Removed)})
	}
	return r
}

// awaitEvery is how often the store is asked while a caller waits for a change.
const awaitEvery = time.Second

type requestID struct {
	ID string `path:"id" minLength:"2" maxLength:"60"`
}

type oneRequest struct{ Body wire.Request }

// requests registers what is done with requests.
func (s *Server) requests(api huma.API) {
	type fileInput struct{ Body wire.Ask }
	huma.Register(api, huma.Operation{OperationID: "file-request", Method: http.MethodPost, Path: "/v1/requests", Summary: "Ask for access", DefaultStatus: http.StatusCreated,
		Description: "A request that the terms refuse is answered by 403 and recorded."}, func(ctx context.Context, in *fileInput) (*oneRequest, error) {
		c := callerOf(ctx)
		ask, err := s.askOf(&in.Body)
		if err != nil {
			return nil, err
		}
		g, err := s.Broker.File(ctx, c.caller.Subject, ask, broker.Facts{Context: c.known})
		if err != nil {
			return nil, s.fault("file-request", err)
		}
		return &oneRequest{show(g)}, nil
	})

	type listRequestsInput struct {
		State   []string `query:"state,explode" doc:"Only these states"`
		Subject string   `query:"subject"`
		Entry   string   `query:"entry"`
		Target  string   `query:"target"`
		After   string   `query:"after" doc:"The next of an earlier answer"`
		Most    int      `query:"most" minimum:"1" maximum:"500" default:"100"`
	}
	type listRequestsOutput struct{ Body wire.Requests }
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
		out.Body.Requests = []wire.Request{}
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
	type getInput struct {
		ID    string `path:"id" minLength:"2" maxLength:"60"`
		State string `query:"state" required:"false" doc:"The state that you know"`
		Wait  int    `query:"wait" required:"false" minimum:"0" maximum:"30" doc:"Seconds to wait for another state than that"`
	}
	huma.Register(api, huma.Operation{OperationID: "get-request", Method: http.MethodGet, Path: "/v1/requests/{id}", Summary: "One request", Description: "With a state and a time to wait the answer comes when the state is another one, or when the time is over."}, func(ctx context.Context, in *getInput) (*oneRequest, error) {
		wait, cancel := context.WithTimeout(ctx, time.Duration(in.Wait)*time.Second)
		defer cancel()
		for {
			g, _, err := see(ctx, "get-request", in.ID)
			if err != nil {
				return nil, err
			}
			if g.State.String() != in.State || in.Wait == 0 {
				return &oneRequest{show(g)}, nil
			}
			// Another daemon may change it, so that the store is what is asked.
			select {
			case <-wait.Done():
				return &oneRequest{show(g)}, nil
			case <-time.After(awaitEvery):
			}
		}
	})

	type decideInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body wire.Decide
	}
	huma.Register(api, huma.Operation{OperationID: "decide-request", Method: http.MethodPost, Path: "/v1/requests/{id}/decision", Summary: "Approve or deny a request", Description: "Who may decide, the entry says. Nobody decides about their own request."}, func(ctx context.Context, in *decideInput) (*oneRequest, error) {
		_, c, err := see(ctx, "decide-request", in.ID)
		if err != nil {
			return nil, err
		}
		if err := c.caller.Need(broker.DecideAny); err != nil {
			return nil, s.fault("decide-request", err)
		}
		if err := legible("reason", in.Body.Reason); err != nil {
			return nil, err
		}
		g, err := s.Broker.Decide(ctx, in.ID, c.caller.Reviewer(), in.Body.Approve, in.Body.Hash, in.Body.Reason, s.Person)
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
		Body wire.Reason
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
			if err := legible("reason", in.Body.Reason); err != nil {
				return nil, err
			}
			g, err = s.Broker.Revoke(ctx, in.ID, c.caller.Subject.ID, in.Body.Reason)
			if err != nil {
				return nil, s.fault("revoke-request", err)
			}
			return &oneRequest{show(g)}, nil
		})

	type takeBackInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body wire.TakeBack
	}
	huma.Register(api, huma.Operation{OperationID: "press-revocation", Method: http.MethodPost, Path: "/v1/requests/{id}/effects", Summary: "Do something about effects that are under way", Description: "For those who may revoke: try again at once, cut by the organisation's policy too, or say that somebody looks after what is stuck."},
		func(ctx context.Context, in *takeBackInput) (*oneRequest, error) {
			_, c, err := see(ctx, "press-revocation", in.ID)
			if err == nil {
				if err := c.caller.Need(broker.RevokeAny); err != nil {
					return nil, s.fault("press-revocation", err)
				}
				err = legible("reason", in.Body.Reason)
			}
			if err != nil {
				return nil, err
			}
			do := map[string]func(context.Context, string, string, string) (*broker.Grant, error){"retry": s.Broker.Retry, "quarantine": s.Broker.Isolate, "acknowledge": s.Broker.Acknowledge}[in.Body.Action]
			g, err := do(ctx, in.ID, c.caller.Subject.ID, in.Body.Reason)
			if err != nil {
				return nil, s.fault("press-revocation", err)
			}
			return &oneRequest{show(g)}, nil
		})

	type credentialsInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body wire.Demand
	}
	type credentialsOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         wire.Credentials
	}
	huma.Register(api, huma.Operation{OperationID: "issue-credentials", Method: http.MethodPost, Path: "/v1/requests/{id}/credentials", Summary: "Credentials for a request of your own that is in force", Description: "The answer has the shape of credential_process."}, func(ctx context.Context, in *credentialsInput) (*credentialsOutput, error) {
		c := callerOf(ctx)
		d, err := demandOf(&in.Body)
		if err != nil {
			return nil, err
		}
		d.Context = c.known
		got, err := s.Broker.Issue(ctx, in.ID, c.caller.Subject, d)
		s.demanded(err)
		if err != nil {
			return nil, s.fault("issue-credentials", err)
		}
		return &credentialsOutput{"no-store", *handOut(&got)}, nil
	})

	type accessInput struct{ Body wire.Access }
	type accessOutput struct {
		CacheControl string `header:"Cache-Control"`
		Status       int
		Body         wire.Accessed
	}
	huma.Register(api, huma.Operation{OperationID: "access", Method: http.MethodPost, Path: "/v1/access", Summary: "Credentials now, or a request for them", Description: "Credentials of the grant that you have for an entry. Where there is none a request is filed; while people must decide about it the answer is 202 with the request, and asking again leads to the same one."},
		func(ctx context.Context, in *accessInput) (*accessOutput, error) {
			c := callerOf(ctx)
			ask, err := s.askOf(&in.Body.Ask)
			if err != nil {
				return nil, err
			}
			d, err := demandOf(&in.Body.Demand)
			if err != nil {
				return nil, err
			}
			got, g, err := s.Broker.Access(ctx, c.caller.Subject, ask, d, broker.Facts{Context: c.known})
			s.demanded(err)
			var pending *broker.Pending
			if errors.As(err, &pending) && g != nil {
				return &accessOutput{"no-store", http.StatusAccepted, wire.Accessed{Request: show(g)}}, nil
			}
			if err != nil {
				return nil, s.fault("access", err)
			}
			return &accessOutput{"no-store", http.StatusOK, wire.Accessed{Request: show(g), Credentials: handOut(&got)}}, nil
		})
}

// handOut is the one place where the API reveals credentials.
func handOut(c *broker.Credentials) *wire.Credentials {
	return &wire.Credentials{Version: 1, AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(), Expiration: c.NotAfter.UTC().Format(time.RFC3339)}
}

// farthest is how far ahead something may begin or end that a caller names: further than any entry lasts, and nearer than the last year that JSON can write.
const farthest = 10 * 366 * 24 * time.Hour

// legible is an error where a text of a caller's is longer than people read, or holds what would show them something other than it says.
func legible(field, text string) error {
	if len(text) > 4000 {
		return huma.Error422UnprocessableEntity(fmt.Sprintf("%s: it has %d bytes, more than 4000", field, len(text)))
	}
	if i := strings.IndexFunc(text, func(r rune) bool {
		return !unicode.IsGraphic(r) && r != '\n' && r != '\r' && r != '\t' || unicode.Is(unicode.Bidi_Control, r)
	}); i >= 0 {
		return huma.Error422UnprocessableEntity(fmt.Sprintf("%s: it has a character at byte %d that is not shown as it is", field, i))
	}
	return nil
}

func (s *Server) askOf(in *wire.Ask) (broker.Ask, error) {
	life, err := lengthOf("life", in.Life)
	for _, f := range []struct{ field, text string }{{"entry", in.Entry}, {"target", in.Target}, {"reason", in.Reason}, {"ticket", in.Ticket}, {"actions", strings.Join(in.Actions, "")}, {"resources", strings.Join(in.Resources, "")}} {
		if err == nil {
			err = legible(f.field, f.text)
		}
	}
	if err == nil && in.Start.Sub(s.Now()) > farthest {
		err = huma.Error422UnprocessableEntity("start: it is too far ahead")
	}
	return broker.Ask{Entry: in.Entry, Target: in.Target, Actions: in.Actions, Resources: in.Resources, Life: life, Lower: in.Lower, Start: in.Start.UTC(), Reason: in.Reason, Ticket: in.Ticket}, err
}

func demandOf(in *wire.Demand) (broker.Demand, error) {
	life, err := lengthOf("life", in.Life)
	return broker.Demand{Life: life, Lower: in.Lower || in.Life == "", Idempotency: in.Idempotency}, err
}

func lengthOf(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, huma.Error422UnprocessableEntity(field + ": expected a length of time such as 4h or 90m")
	}
	return d, nil
}

func (s *Server) locks(api huma.API) {
	type lockInput struct{ Body wire.SetLock }
	type lockOutput struct{ Body wire.Locked }
	huma.Register(api, huma.Operation{OperationID: "set-lock", Method: http.MethodPost, Path: "/v1/locks", Summary: "Stop everything that matches", DefaultStatus: http.StatusCreated}, func(ctx context.Context, in *lockInput) (*lockOutput, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(broker.SetLocks); err != nil {
			return nil, s.fault("set-lock", err)
		}
		if err := cmp.Or(legible("value", in.Body.Value), legible("reason", in.Body.Reason)); err != nil {
			return nil, err
		}
		if text := (&broker.Lock{Kind: broker.LockKind(in.Body.Kind), Value: in.Body.Value}).Mistake(); text != "" {
			return nil, huma.Error422UnprocessableEntity(text)
		}
		if e := in.Body.Expires; !e.IsZero() && (!e.After(s.Now()) || e.Sub(s.Now()) > farthest) {
			return nil, huma.Error422UnprocessableEntity("expires: expected a time to come, not too far ahead")
		}
		id, suspended, err := s.Broker.Lock(ctx, broker.Lock{Kind: broker.LockKind(in.Body.Kind), Value: in.Body.Value, Reason: in.Body.Reason, By: c.caller.Subject.ID, Expires: in.Body.Expires.UTC()})
		if err != nil {
			return nil, s.fault("set-lock", err)
		}
		out := &lockOutput{}
		out.Body.ID, out.Body.Suspended = id, slices.Concat([]string{}, suspended)
		return out, nil
	})
	type listLocksOutput struct{ Body wire.Locks }
	huma.Register(api, huma.Operation{OperationID: "list-locks", Method: http.MethodGet, Path: "/v1/locks", Summary: "The locks in force"}, func(ctx context.Context, _ *struct{}) (*listLocksOutput, error) {
		if err := callerOf(ctx).caller.Need(broker.ViewAll); err != nil {
			return nil, s.fault("list-locks", err)
		}
		list, err := s.Store.Locks(ctx, s.Now())
		if err != nil {
			return nil, s.fault("list-locks", err)
		}
		out := &listLocksOutput{}
		out.Body.Locks = []wire.Lock{}
		for _, l := range list {
			out.Body.Locks = append(out.Body.Locks, wire.Lock{ID: l.ID, Kind: string(l.Kind), Value: l.Value, Reason: l.Reason, By: l.By, At: l.At, Expires: moment(l.Expires)})
		}
		return out, nil
	})
	type liftInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body wire.Reason
	}
	huma.Register(api, huma.Operation{OperationID: "lift-lock", Method: http.MethodPost, Path: "/v1/locks/{id}/lifting", Summary: "Lift a lock", Description: "What it suspended stays so until people approve again.", DefaultStatus: http.StatusNoContent}, func(ctx context.Context, in *liftInput) (*struct{}, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(broker.SetLocks); err != nil {
			return nil, s.fault("lift-lock", err)
		}
		return nil, s.fault("lift-lock", s.Store.Unlock(ctx, in.ID, c.caller.Subject.ID, in.Body.Reason, s.Now()))
	})
}

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
		if err := s.Store.Record(ctx, s.Now(), c.caller.Subject.ID, "audit", broker.AuditRead{From: in.From, Most: in.Most}); err != nil {
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
