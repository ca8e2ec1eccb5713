package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

// Registry is what the operations about the registry need; nil where it is a folder of files.
type Registry struct {
	Editions broker.Editions
	// Compare checks a text and tells how it differs from that of an edition, nil for the first; problems are its mistakes.
	Compare func(before *broker.Edition, text []broker.RegistryFile) (d []registry.Difference, problems []registry.Problem, err error)
	// Changed is told that another edition is in force; it gives the requests that are stopped by it.
	Changed func(ctx context.Context) ([]string, error)
	// Alone: one person decides alone, in a local setup.
	Alone bool
}

// maxRegistry is the largest registry that is taken, in bytes.
const maxRegistry = 64 << 20

func showEdition(e *broker.Edition, text bool) wire.Edition {
	out := wire.Edition{ID: e.ID, Base: e.Base, State: string(e.State), By: e.By, At: e.At, Why: e.Why, DecidedBy: e.DecidedBy, Reason: e.Reason, Differences: []wire.Difference{}}
	out.Differences = append(out.Differences, showDifferences(e.Differences)...)
	if text {
		for _, f := range e.Text {
			out.Text = append(out.Text, wire.RegistryFile{Name: f.Name, Text: f.Text})
		}
	}
	return out
}

func showDifferences(list []registry.Difference) []wire.Difference {
	out := []wire.Difference{}
	for _, d := range list {
		out = append(out, wire.Difference{Kind: string(d.Kind), Name: d.Name, How: d.How, Widens: d.Widens})
	}
	return out
}

// registry registers what is done with the registry.
func (s *Server) registry(api huma.API) {
	// may holds the caller against a right, and the broker against having a registry that is changed here.
	may := func(ctx context.Context, operation string, r broker.Right) (*call, error) {
		c := callerOf(ctx)
		if err := c.caller.Need(r); err != nil {
			return nil, s.fault(operation, err)
		}
		if s.Registry == nil {
			return nil, s.fault(operation, broker.ErrRegistryFiles)
		}
		return c, nil
	}
	type oneEdition struct{ Body wire.Edition }
	huma.Register(api, huma.Operation{OperationID: "get-registry", Method: http.MethodGet, Path: "/v1/registry", Summary: "The registry in force, with its text"}, func(ctx context.Context, _ *struct{}) (*oneEdition, error) {
		if _, err := may(ctx, "get-registry", broker.ViewAll); err != nil {
			return nil, err
		}
		e, err := s.Registry.Editions.Edition(ctx, "")
		if errors.Is(err, broker.ErrNotFound) {
			return &oneEdition{wire.Edition{Differences: []wire.Difference{}}}, nil // an empty one is in force
		}
		if err != nil {
			return nil, s.fault("get-registry", err)
		}
		return &oneEdition{showEdition(e, true)}, nil
	})

	// difference is what a text changes in the registry in force.
	difference := func(ctx context.Context, operation string, in *wire.RegistryText) (base string, text []broker.RegistryFile, d []registry.Difference, err error) {
		before, err := s.Registry.Editions.Edition(ctx, "")
		switch {
		case errors.Is(err, broker.ErrNotFound):
			before = nil
		case err != nil:
			return "", nil, nil, s.fault(operation, err)
		default:
			base = before.ID
		}
		if in.Base != nil && *in.Base != base {
			return "", nil, nil, huma.Error409Conflict("the registry is another one by now: look at what has changed, and do it again")
		}
		for _, f := range in.Text {
			text = append(text, broker.RegistryFile{Name: f.Name, Text: f.Text})
		}
		slices.SortFunc(text, func(a, b broker.RegistryFile) int { return strings.Compare(a.Name, b.Name) })
		d, problems, err := s.Registry.Compare(before, text)
		if err != nil {
			return "", nil, nil, s.fault(operation, err)
		}
		if len(problems) > 0 {
			var details []error
			for i, p := range problems {
				if i == 100 {
					break
				}
				details = append(details, &huma.ErrorDetail{Message: p.Error()})
			}
			return "", nil, nil, huma.Error422UnprocessableEntity("the registry has mistakes", details...)
		}
		return base, text, d, nil
	}
	type textInput struct{ Body wire.RegistryText }
	type differenceOutput struct{ Body wire.RegistryDifference }
	huma.Register(api, huma.Operation{OperationID: "compare-registry", Method: http.MethodPost, Path: "/v1/registry/comparison", MaxBodyBytes: maxRegistry, Summary: "What a text would change in the registry in force"}, func(ctx context.Context, in *textInput) (*differenceOutput, error) {
		if _, err := may(ctx, "compare-registry", broker.ViewAll); err != nil {
			return nil, err
		}
		base, _, d, err := difference(ctx, "compare-registry", &in.Body)
		if err != nil {
			return nil, err
		}
		return &differenceOutput{wire.RegistryDifference{Base: base, Differences: showDifferences(d)}}, nil
	})

	type changedOutput struct {
		Status int
		Body   wire.RegistryChanged
	}
	// changed answers with an edition, and with what it stops.
	changed := func(ctx context.Context, operation string, e *broker.Edition) (*changedOutput, error) {
		out := &changedOutput{Status: http.StatusOK, Body: wire.RegistryChanged{Edition: showEdition(e, false), Stopped: []string{}}}
		switch e.State {
		case broker.Proposed:
			out.Status = http.StatusAccepted
		case broker.InForce:
			stopped, err := s.Registry.Changed(ctx)
			if err != nil {
				s.failed(operation, err) // the edition is in force; what it stops is tried again by the time, and is refused meanwhile
			}
			out.Body.Stopped = append(out.Body.Stopped, stopped...)
		}
		return out, nil
	}
	huma.Register(api, huma.Operation{OperationID: "change-registry", Method: http.MethodPost, Path: "/v1/registry", MaxBodyBytes: maxRegistry, Summary: "Change the registry, as a whole", Description: "What is not in the text is removed. A change that widens is proposed only (202), and comes into force when a second person agrees."}, func(ctx context.Context, in *textInput) (*changedOutput, error) {
		c, err := may(ctx, "change-registry", broker.ApplyRegistry)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(in.Body.Why) == "" {
			return nil, huma.Error422UnprocessableEntity("why: say why the registry is changed")
		}
		base, text, d, err := difference(ctx, "change-registry", &in.Body)
		if err != nil {
			return nil, err
		}
		if len(d) == 0 {
			return nil, huma.Error409Conflict("nothing is changed by it")
		}
		e := broker.NewEdition(base, text, d, c.caller.Subject.ID, in.Body.Why, s.Now())
		e.ByID = c.caller.Subject.UniqueID
		if err := s.Registry.Editions.Propose(ctx, e, s.Registry.Alone); err != nil {
			return nil, s.fault("change-registry", err)
		}
		return changed(ctx, "change-registry", e)
	})

	type listOutput struct{ Body wire.Editions }
	huma.Register(api, huma.Operation{OperationID: "list-editions", Method: http.MethodGet, Path: "/v1/registry/editions", Summary: "Editions of the registry, the newest first"}, func(ctx context.Context, _ *struct{}) (*listOutput, error) {
		if _, err := may(ctx, "list-editions", broker.ViewAll); err != nil {
			return nil, err
		}
		list, err := s.Registry.Editions.ListEditions(ctx, 200)
		if err != nil {
			return nil, s.fault("list-editions", err)
		}
		out := &listOutput{wire.Editions{Editions: []wire.Edition{}}}
		for i := range list {
			out.Body.Editions = append(out.Body.Editions, showEdition(&list[i], false))
		}
		return out, nil
	})
	type idInput struct {
		ID string `path:"id" minLength:"8" maxLength:"64"`
	}
	huma.Register(api, huma.Operation{OperationID: "get-edition", Method: http.MethodGet, Path: "/v1/registry/editions/{id}", Summary: "One edition, with its text"}, func(ctx context.Context, in *idInput) (*oneEdition, error) {
		if _, err := may(ctx, "get-edition", broker.ViewAll); err != nil {
			return nil, err
		}
		e, err := s.Registry.Editions.Edition(ctx, in.ID)
		if err != nil {
			return nil, s.fault("get-edition", err)
		}
		return &oneEdition{showEdition(e, true)}, nil
	})
	type decideInput struct {
		ID   string `path:"id" minLength:"8" maxLength:"64"`
		Body wire.DecideEdition
	}
	huma.Register(api, huma.Operation{OperationID: "decide-edition", Method: http.MethodPost, Path: "/v1/registry/editions/{id}/decision", Summary: "Agree to a change of the registry, or reject it", Description: "Whoever proposed it does not agree to it."}, func(ctx context.Context, in *decideInput) (*changedOutput, error) {
		c, err := may(ctx, "decide-edition", broker.ApplyRegistry)
		if err != nil {
			return nil, err
		}
		e, err := s.Registry.Editions.DecideEdition(ctx, in.ID, broker.EditionDecision{By: c.caller.Subject.ID, ByID: c.caller.Subject.UniqueID, Agree: in.Body.Agree, Reason: in.Body.Reason, At: s.Now()})
		if err != nil {
			return nil, s.fault("decide-edition", err)
		}
		return changed(ctx, "decide-edition", e)
	})
}
