package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
)

// Services is what the operations about services and their keys need; nil where the broker gives out none.
type Services struct {
	Store broker.Services
	NewID func() string
	// NewKey makes a key: its id, its secret, and the secret as it is kept.
	NewKey func() (id, secret string, sealed []byte)
	// Alone: one person decides alone, in a local setup.
	Alone bool
}

var errNoKeys = errors.New("this broker gives out no keys: its configuration has no keys.seal, under which their secrets would be kept")

func showService(s *broker.Service, now time.Time) wire.Service {
	out := wire.Service{Name: s.Name, Subject: s.Subject("").ID, State: "live", Sponsors: s.Sponsors, Registered: s.At, By: s.By, Until: s.Until, Ended: moment(s.EndedAt), Keys: []wire.Key{}}
	switch {
	case !s.EndedAt.IsZero():
		out.State = "ended"
	case !s.Live(now):
		out.State = "over"
	}
	for i := range s.Keys {
		k := &s.Keys[i]
		one := wire.Key{ID: k.ID, State: "live", By: k.By, Made: k.Made, Expires: k.Expires, Revoked: moment(k.Revoked), Used: moment(k.Used)}
		switch {
		case !k.Revoked.IsZero():
			one.State = "revoked"
		case !k.Live(now) || out.State != "live":
			one.State = "over"
		}
		out.Keys = append(out.Keys, one)
	}
	return out
}

// services registers what is done with services and their keys.
func (s *Server) services(api huma.API) {
	type oneService struct{ Body wire.Service }
	type registerInput struct{ Body wire.RegisterService }
	huma.Register(api, huma.Operation{OperationID: "register-service", Method: http.MethodPost, Path: "/v1/services", Summary: "Register a machine that is to have keys of the broker's own", DefaultStatus: http.StatusCreated,
		Description: "Whoever registers it never has its keys: its sponsors make them. What it may do the registry says, whose entries name it as broker:NAME."}, func(ctx context.Context, in *registerInput) (*oneService, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(broker.ManageKeys); err != nil {
			return nil, s.fault("register-service", err)
		}
		if s.Services == nil {
			return nil, s.fault("register-service", errNoKeys)
		}
		now := s.Now()
		made, err := broker.NewService(s.Services.NewID(), in.Body.Name, in.Body.Sponsors, in.Body.Until, c.caller.Subject.ID, s.Services.Alone, now)
		if err == nil {
			err = s.Services.Store.Register(ctx, made, now)
		}
		if err != nil {
			return nil, s.fault("register-service", err)
		}
		return &oneService{showService(made, now)}, nil
	})

	type listOutput struct{ Body wire.Services }
	huma.Register(api, huma.Operation{OperationID: "list-services", Method: http.MethodGet, Path: "/v1/services", Summary: "The services with their keys", Description: "Whoever may not see everything sees those that they sponsor."}, func(ctx context.Context, _ *struct{}) (*listOutput, error) {
		c := callerOf(ctx)
		out := &listOutput{wire.Services{Services: []wire.Service{}}}
		if s.Services == nil {
			return out, nil
		}
		list, err := s.Services.Store.ListServices(ctx)
		if err != nil {
			return nil, s.fault("list-services", err)
		}
		for i := range list {
			if c.caller.May(broker.ViewAll) || list[i].Sponsored(c.caller.Subject.ID) {
				out.Body.Services = append(out.Body.Services, showService(&list[i], s.Now()))
			}
		}
		return out, nil
	})

	// may is the newest service of a name, where the caller sponsors it or has one of the rights. Whoever may not see it is told that there is none.
	may := func(ctx context.Context, operation, name string, rights ...broker.Right) (*call, error) {
		c := callerOf(ctx)
		if s.Services == nil {
			return nil, s.fault(operation, errNoKeys)
		}
		one, err := s.Services.Store.Service(ctx, name)
		if err != nil {
			return nil, s.fault(operation, err)
		}
		if c.caller.Subject.Person && one.Sponsored(c.caller.Subject.ID) {
			return c, nil
		}
		for _, r := range rights {
			if c.caller.May(r) {
				return c, nil
			}
		}
		if c.caller.May(broker.ViewAll) {
			return nil, s.fault(operation, broker.ErrNotYours)
		}
		return nil, s.fault(operation, broker.ErrNotFound)
	}

	type makeInput struct {
		Name string `path:"name" maxLength:"48"`
		Body wire.MakeKey
	}
	type makeOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         wire.NewKey
	}
	huma.Register(api, huma.Operation{OperationID: "make-key", Method: http.MethodPost, Path: "/v1/services/{name}/keys", Summary: "Make a key of a service that you sponsor", DefaultStatus: http.StatusCreated,
		Description: "Its secret is told this once. Two live at once, so that one can take the other's place."}, func(ctx context.Context, in *makeInput) (*makeOutput, error) {
		c, err := may(ctx, "make-key", in.Name)
		if err != nil {
			return nil, err
		}
		life, err := lengthOf("life", in.Body.Life)
		if err != nil {
			return nil, err
		}
		now := s.Now()
		id, secret, sealed := s.Services.NewKey()
		one, err := s.Services.Store.UpdateService(ctx, in.Name, now, func(one *broker.Service) (broker.Logged, error) {
			return one.AddKey(id, c.caller.Subject.ID, life, now)
		}, id, sealed)
		if err != nil {
			return nil, s.fault("make-key", err)
		}
		return &makeOutput{"no-store", wire.NewKey{AccessKeyID: id, SecretAccessKey: secret, Expires: one.Keys[len(one.Keys)-1].Expires}}, nil
	})

	type revokeInput struct {
		Name string `path:"name" maxLength:"48"`
		ID   string `path:"id" maxLength:"128"`
		Body wire.Reason
	}
	huma.Register(api, huma.Operation{OperationID: "revoke-key", Method: http.MethodPost, Path: "/v1/services/{name}/keys/{id}/revocation", Summary: "End a key at once", Description: "Nothing that it signs is taken any more. Sessions that it has got live on: revoke the service's requests, or lock its subject."},
		func(ctx context.Context, in *revokeInput) (*oneService, error) {
			c, err := may(ctx, "revoke-key", in.Name, broker.ManageKeys, broker.RevokeAny)
			if err != nil {
				return nil, err
			}
			now := s.Now()
			one, err := s.Services.Store.UpdateService(ctx, in.Name, now, func(one *broker.Service) (broker.Logged, error) {
				return one.RevokeKey(in.ID, c.caller.Subject.ID, in.Body.Reason, now)
			}, "", nil)
			if err != nil {
				return nil, s.fault("revoke-key", err)
			}
			return &oneService{showService(one, now)}, nil
		})

	type endInput struct {
		Name string `path:"name" maxLength:"48"`
		Body wire.Reason
	}
	type endOutput struct{ Body wire.EndedService }
	huma.Register(api, huma.Operation{OperationID: "end-service", Method: http.MethodPost, Path: "/v1/services/{name}/ending", Summary: "End a service: its keys, and what it may do"}, func(ctx context.Context, in *endInput) (*endOutput, error) {
		c, err := may(ctx, "end-service", in.Name, broker.ManageKeys, broker.RevokeAny)
		if err != nil {
			return nil, err
		}
		revoked, err := s.Broker.EndService(ctx, s.Services.Store, in.Name, c.caller.Subject.ID, in.Body.Reason)
		if err != nil {
			return nil, s.fault("end-service", err)
		}
		return &endOutput{wire.EndedService{Revoked: append([]string{}, revoked...)}}, nil
	})
}
