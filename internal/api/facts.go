package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/remedy"
)

// Facts is what the operations about AWS as it is need.
type Facts struct {
	Snapshots    broker.Snapshots
	Offboardings broker.Offboardings
	NewID        func() string
	// Target is what is known of an entry's target; broker.ErrNotFound where there is no such entry.
	Target func(ctx context.Context, entry string) (*wire.Target, error)
	// Drill rehearses taking back at an entry's target, and Drills are the last ones, of every entry that the broker lets cross.
	Drill  func(ctx context.Context, entry, by string) (*wire.Drill, error)
	Drills func(ctx context.Context) ([]wire.Drill, error)
	// ExternalID shows what the broker says to an entry's role, or takes a step of changing it: rotate or promote.
	ExternalID func(ctx context.Context, entry, action, by string) (*wire.ExternalID, error)
	// Reconciliation is the registry held against what exists; broker.ErrNotFound where nothing is known of that.
	Reconciliation func(ctx context.Context) (*wire.Reconciliation, error)
	// Leave begins the offboarding of a vendor; broker.ErrNotFound where the registry has none of that name.
	Leave func(ctx context.Context, vendor, by, reason string) (*broker.Offboarding, error)
}

func showPush(p *broker.Pushed) wire.Push {
	return wire.Push{ID: p.ID, By: p.By, Begun: p.Begun, State: string(p.State), Why: p.Why, Size: p.Size, SHA256: p.SHA256, Collected: moment(p.Collected), Accounts: p.Accounts, Roles: p.Roles, Gaps: p.Gaps}
}

func showOffboarding(o *broker.Offboarding) wire.Offboarding {
	out := wire.Offboarding{ID: o.ID, Vendor: o.Vendor, By: o.By, Reason: o.Reason, At: o.At, Lock: o.Lock, State: string(o.State), Snapshot: o.Snapshot, Collected: moment(o.Collected), Waits: append([]string{}, o.Waits...), Ended: moment(o.Ended), Report: o.Report}
	if o.Plan != nil {
		out.Gone, out.Items = o.Plan.Count(remedy.Gone), len(o.Plan.Items)
	}
	return out
}

// facts registers what is done with snapshots and vendors that leave.
func (s *Server) facts(api huma.API) {
	may := func(ctx context.Context, operation string, rights ...broker.Right) (*call, error) {
		c := callerOf(ctx)
		for _, r := range rights {
			if err := c.caller.Need(r); err != nil {
				return nil, s.fault(operation, err)
			}
		}
		return c, nil
	}
	type onePush struct{ Body wire.Push }
	huma.Register(api, huma.Operation{OperationID: "begin-push", Method: http.MethodPost, Path: "/v1/snapshots", Summary: "Begin to push a snapshot of AWS", DefaultStatus: http.StatusCreated,
		Description: "A snapshot is a gzip-compressed tar archive of the files that 'drawbridge collect' writes, in parts. It is read whole before it counts."}, func(ctx context.Context, _ *struct{}) (*onePush, error) {
		c, err := may(ctx, "begin-push", broker.PushFacts)
		if err != nil {
			return nil, err
		}
		p := broker.Pushed{ID: s.Facts.NewID(), By: c.caller.Subject.ID, Begun: s.Now().UTC().Truncate(time.Microsecond), State: broker.Receiving}
		if err := s.Facts.Snapshots.BeginPush(ctx, p); err != nil {
			return nil, s.fault("begin-push", err)
		}
		return &onePush{showPush(&p)}, nil
	})
	type partInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		N    int    `path:"n" minimum:"0" maximum:"1023"`
		Body wire.Part
	}
	huma.Register(api, huma.Operation{OperationID: "push-part", Method: http.MethodPut, Path: "/v1/snapshots/{id}/parts/{n}", Summary: "One part of a snapshot, from 0 on", DefaultStatus: http.StatusNoContent, MaxBodyBytes: 2 * broker.MaxPart}, func(ctx context.Context, in *partInput) (*struct{}, error) {
		c, err := may(ctx, "push-part", broker.PushFacts)
		if err != nil {
			return nil, err
		}
		return nil, s.fault("push-part", s.Facts.Snapshots.KeepPart(ctx, in.ID, c.caller.Subject.ID, in.N, in.Body.Data))
	})
	type endInput struct {
		ID   string `path:"id" minLength:"2" maxLength:"60"`
		Body wire.PushEnd
	}
	huma.Register(api, huma.Operation{OperationID: "end-push", Method: http.MethodPost, Path: "/v1/snapshots/{id}/end", Summary: "Say that all parts are there", Description: "It is read then; its state says when it counts."}, func(ctx context.Context, in *endInput) (*onePush, error) {
		c, err := may(ctx, "end-push", broker.PushFacts)
		if err != nil {
			return nil, err
		}
		p, err := s.Facts.Snapshots.EndPush(ctx, in.ID, c.caller.Subject.ID, in.Body.Parts, in.Body.SHA256)
		if err != nil {
			return nil, s.fault("end-push", err)
		}
		return &onePush{showPush(p)}, nil
	})
	type pushes struct{ Body wire.Pushes }
	huma.Register(api, huma.Operation{OperationID: "list-snapshots", Method: http.MethodGet, Path: "/v1/snapshots", Summary: "Snapshots that were pushed, the newest first", Description: "Whoever pushes sees their own."}, func(ctx context.Context, _ *struct{}) (*pushes, error) {
		c := callerOf(ctx)
		all := c.caller.May(broker.ViewAll)
		if !all {
			if _, err := may(ctx, "list-snapshots", broker.PushFacts); err != nil {
				return nil, err
			}
		}
		list, err := s.Facts.Snapshots.Pushes(ctx, 100)
		if err != nil {
			return nil, s.fault("list-snapshots", err)
		}
		out := &pushes{wire.Pushes{Snapshots: []wire.Push{}}}
		for i := range list {
			if all || list[i].By == c.caller.Subject.ID {
				out.Body.Snapshots = append(out.Body.Snapshots, showPush(&list[i]))
			}
		}
		return out, nil
	})

	type targetInput struct {
		Entry string `path:"entry" minLength:"1" maxLength:"200"`
	}
	type targetOutput struct{ Body wire.Target }
	huma.Register(api, huma.Operation{OperationID: "get-target", Method: http.MethodGet, Path: "/v1/entries/{entry}/target", Summary: "What is known of an entry's target role"}, func(ctx context.Context, in *targetInput) (*targetOutput, error) {
		if _, err := may(ctx, "get-target", broker.ViewAll); err != nil {
			return nil, err
		}
		t, err := s.Facts.Target(ctx, in.Entry)
		if err != nil {
			return nil, s.fault("get-target", err)
		}
		return &targetOutput{*t}, nil
	})

	type reconciliationOutput struct{ Body wire.Reconciliation }
	huma.Register(api, huma.Operation{OperationID: "get-reconciliation", Method: http.MethodGet, Path: "/v1/reconciliation", Summary: "The registry held against what exists in AWS, as the newest snapshot shows it"}, func(ctx context.Context, _ *struct{}) (*reconciliationOutput, error) {
		if _, err := may(ctx, "get-reconciliation", broker.ViewAll); err != nil {
			return nil, err
		}
		r, err := s.Facts.Reconciliation(ctx)
		switch {
		case errors.Is(err, broker.ErrNotFound):
			return nil, huma.Error404NotFound("nothing is known of AWS: no snapshot was pushed that counts still")
		case err != nil:
			return nil, s.fault("get-reconciliation", err)
		}
		return &reconciliationOutput{*r}, nil
	})

	type drillOutput struct{ Body wire.Drill }
	huma.Register(api, huma.Operation{OperationID: "drill-entry", Method: http.MethodPost, Path: "/v1/entries/{entry}/drill", Summary: "Rehearse taking back, at an entry's target",
		Description: "A deny that cuts nobody is put on the role, read back and removed; what the broker's role there must not be able to do is tried."}, func(ctx context.Context, in *targetInput) (*drillOutput, error) {
		c, err := may(ctx, "drill-entry", broker.RevokeAny)
		if err != nil {
			return nil, err
		}
		d, err := s.Facts.Drill(ctx, in.Entry, c.caller.Subject.ID)
		if err != nil {
			return nil, s.fault("drill-entry", err)
		}
		return &drillOutput{*d}, nil
	})
	type drillsOutput struct{ Body wire.Drills }
	huma.Register(api, huma.Operation{OperationID: "list-drills", Method: http.MethodGet, Path: "/v1/drills", Summary: "The last drill of each entry that the broker lets cross"}, func(ctx context.Context, _ *struct{}) (*drillsOutput, error) {
		if _, err := may(ctx, "list-drills", broker.ViewAll); err != nil {
			return nil, err
		}
		list, err := s.Facts.Drills(ctx)
		if err != nil {
			return nil, s.fault("list-drills", err)
		}
		return &drillsOutput{wire.Drills{Drills: list}}, nil
	})

	type externalIDOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         wire.ExternalID
	}
	external := func(ctx context.Context, operation, entry, action string) (*externalIDOutput, error) {
		c, err := may(ctx, operation, broker.ApplyRegistry)
		if err != nil {
			return nil, err
		}
		x, err := s.Facts.ExternalID(ctx, entry, action, c.caller.Subject.ID)
		if err != nil {
			return nil, s.fault(operation, err)
		}
		return &externalIDOutput{"no-store", *x}, nil
	}
	huma.Register(api, huma.Operation{OperationID: "get-external-id", Method: http.MethodGet, Path: "/v1/entries/{entry}/external-id", Summary: "What the broker says to an entry's role that it takes by AssumeRole"}, func(ctx context.Context, in *targetInput) (*externalIDOutput, error) {
		return external(ctx, "get-external-id", in.Entry, "")
	})
	type changeExternalIDInput struct {
		Entry string `path:"entry" minLength:"1" maxLength:"200"`
		Body  wire.ChangeExternalID
	}
	huma.Register(api, huma.Operation{OperationID: "change-external-id", Method: http.MethodPost, Path: "/v1/entries/{entry}/external-id", Summary: "Take a step of changing an ExternalId", Description: "Rotate makes the next one, which the trust has to take beside the current one; promote sends it from then on."}, func(ctx context.Context, in *changeExternalIDInput) (*externalIDOutput, error) {
		return external(ctx, "change-external-id", in.Entry, in.Body.Action)
	})

	type offboardInput struct{ Body wire.Offboard }
	type oneOffboarding struct{ Body wire.Offboarding }
	huma.Register(api, huma.Operation{OperationID: "offboard-vendor", Method: http.MethodPost, Path: "/v1/offboardings", Summary: "Offboard a vendor", DefaultStatus: http.StatusCreated,
		Description: "The vendor is locked at once, and everything that it has is revoked. It ends when a snapshot that was collected later shows that nothing lets the vendor in."}, func(ctx context.Context, in *offboardInput) (*oneOffboarding, error) {
		c, err := may(ctx, "offboard-vendor", broker.RevokeAny, broker.SetLocks)
		if err != nil {
			return nil, err
		}
		o, err := s.Facts.Leave(ctx, in.Body.Vendor, c.caller.Subject.ID, in.Body.Reason)
		switch {
		case errors.Is(err, broker.ErrNotFound):
			return nil, huma.Error404NotFound("the registry has no vendor of that name")
		case errors.Is(err, broker.ErrExists):
			return nil, huma.Error409Conflict("this vendor is being offboarded already")
		case err != nil:
			return nil, s.fault("offboard-vendor", err)
		}
		return &oneOffboarding{showOffboarding(o)}, nil
	})
	type offboardings struct{ Body wire.Offboardings }
	huma.Register(api, huma.Operation{OperationID: "list-offboardings", Method: http.MethodGet, Path: "/v1/offboardings", Summary: "Vendors that leave or left, the newest first"}, func(ctx context.Context, _ *struct{}) (*offboardings, error) {
		if _, err := may(ctx, "list-offboardings", broker.ViewAll); err != nil {
			return nil, err
		}
		list, err := s.Facts.Offboardings.Offboardings(ctx, 100)
		if err != nil {
			return nil, s.fault("list-offboardings", err)
		}
		out := &offboardings{wire.Offboardings{Offboardings: []wire.Offboarding{}}}
		for i := range list {
			out.Body.Offboardings = append(out.Body.Offboardings, showOffboarding(&list[i]))
		}
		return out, nil
	})
	type offboardingInput struct {
		ID string `path:"id" minLength:"2" maxLength:"60"`
	}
	huma.Register(api, huma.Operation{OperationID: "get-offboarding", Method: http.MethodGet, Path: "/v1/offboardings/{id}", Summary: "One offboarding, with its report where it is proven"}, func(ctx context.Context, in *offboardingInput) (*oneOffboarding, error) {
		if _, err := may(ctx, "get-offboarding", broker.ViewAll); err != nil {
			return nil, err
		}
		o, err := s.Facts.Offboardings.Offboarding(ctx, in.ID)
		if err != nil {
			return nil, s.fault("get-offboarding", err)
		}
		return &oneOffboarding{showOffboarding(o)}, nil
	})
}
