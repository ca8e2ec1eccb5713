package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/ingest"
	"drawbridge/internal/registry"
	"drawbridge/internal/report"
	"drawbridge/internal/usage"
)

func newReconcile(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	var paths []string
	var used string
	var all bool
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "reconcile [PATH --registry PATH]",
		Short: "Hold the trusts that exist against those that were declared",
		Long: `Reconcile compares every trust that crosses accounts or comes from outside with the entries of the registry. A trust is
registered, unregistered, wider or narrower than its entries, or left over from an entry that has expired; an entry of which
nothing is there is gone. Whether a trust is wider is decided by comparing policies, and shown by a request that it allows
and no entry declares. With a record of use, what is as declared and was not used within its rhythm is unused; break-glass
and disaster recovery are never called so.

Without PATH a broker is asked, which holds its own registry against the newest snapshot that was pushed to it ('drawbridge push').

The exit status is 1 if anything is not as declared: unregistered, wider, expired, unused, or not decided.`,
		Example: `  drawbridge reconcile snapshot --registry registry/
  drawbridge reconcile snapshot --registry registry/ --usage recorded-use.json --format json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			if len(args) == 0 {
				return reconcileAtBroker(c.Context(), e, &broker, format)
			}
			if len(paths) == 0 {
				return usagef("--registry is missing: where are the entries?")
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			r, err := e.openRegistry(paths)
			if err != nil {
				return err
			}
			graph, err := e.openGraph(args[0], at)
			if err != nil {
				return err
			}
			record, err := openUsage(used)
			if err != nil {
				return err
			}
			if record, err = usage.Merge(usage.Of(graph.Org.Snapshot.Usage), record); err != nil {
				return err
			}
			answer := reconcileAnswerOf(registry.Reconcile(graph, r, registry.Options{Now: at, Engine: ref.Engine(), Usage: record}), all)
			if err := format.print(e, answer, func(w *textWriter) { w.reconciled(&answer) }); err != nil {
				return err
			}
			if answer.Unwanted > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	registryFlag(c, &paths)
	c.Flags().StringVar(&used, "usage", "", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	c.Flags().BoolVar(&all, "all", false, "print what is as declared too")
	format.register(c)
	now.register(c)
	identityFlag(c, e)
	broker.register(c)
	return c
}

// reconcileAtBroker asks a broker how its registry stands to what exists.
func reconcileAtBroker(ctx context.Context, e *Env, f *brokerFlags, format answerFormat) error {
	b, err := f.client(e)
	if err != nil {
		return err
	}
	r, err := b.Reconciliation(ctx)
	if err != nil {
		return e.refused(err)
	}
	answer := reconcileAnswer{Counts: map[registry.State]int{}}
	bad := 0
	for name, n := range r.Counts {
		answer.Counts[registry.State(name)] = n
		if unwanted(registry.State(name)) {
			bad += n
		}
	}
	for _, state := range stateOrder {
		for _, item := range r.Items {
			if item.State == string(state) {
				answer.Items = append(answer.Items, reconcileItem{State: state, Target: plain(item.Target), Source: plain(item.Source), Entry: plain(item.Entry), Declared: "in the registry", Reason: plain(item.Reason)})
			}
		}
	}
	if err := format.print(e, r, func(w *textWriter) {
		w.reconciled(&answer)
		w.line("")
		w.line("Snapshot %s, collected %s", r.Snapshot, r.Collected.UTC().Format(minute))
	}); err != nil {
		return err
	}
	if bad > 0 {
		return errUnwanted
	}
	return nil
}

// registryFlag is the flag that names the files of the registry.
func registryFlag(c *cobra.Command, into *[]string) {
	c.Flags().StringSliceVar(into, "registry", nil, "declared trusts: a YAML or JSON file, or a folder of them (`PATH`); may come again")
}

// openRegistry reads the registry. Mistakes in its files are printed; an entry that says something else than it means would make
// every answer wrong, so that nothing is answered then.
func (e *Env) openRegistry(paths []string) (*registry.Registry, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	r, problems, err := ingest.OpenRegistry(paths...)
	if err != nil {
		return nil, err
	}
	for _, p := range problems {
		fmt.Fprintf(e.Stderr, "drawbridge: %v\n", p)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("%w: %d", ingest.ErrRegistry, len(problems))
	}
	return r, nil
}

// reconcileAnswer is the answer of reconcile.
type reconcileAnswer struct {
	Counts   map[registry.State]int `json:"counts"`
	Unwanted int                    `json:"unwanted"` // how many are not as declared
	Items    []reconcileItem        `json:"items"`
}

type reconcileItem struct {
	State    registry.State    `json:"state"`
	Target   string            `json:"target"`
	Source   string            `json:"source"`
	Entry    string            `json:"entry,omitempty"`
	Declared string            `json:"declared,omitempty"` // file and line of the entry
	Reason   string            `json:"reason"`
	Request  string            `json:"request,omitempty"` // shows that it is wider or narrower
	Evidence []report.Evidence `json:"evidence,omitempty"`

	places []access.Evidence
}

// stateOrder is the order in which states are printed, the worst first.
var stateOrder = []registry.State{registry.Wider, registry.Unregistered, registry.Expired, registry.NotDecided, registry.Unused, registry.Narrower, registry.Gone, registry.Registered}

func unwanted(s registry.State) bool {
	return s == registry.Wider || s == registry.Unregistered || s == registry.Expired || s == registry.Unused || s == registry.NotDecided
}

func reconcileAnswerOf(items []registry.Item, all bool) reconcileAnswer {
	a := reconcileAnswer{Counts: map[registry.State]int{}, Items: []reconcileItem{}}
	for _, state := range stateOrder {
		for i := range items {
			if items[i].State != state {
				continue
			}
			a.Counts[state]++
			if unwanted(state) {
				a.Unwanted++
			}
			if state != registry.Registered || all {
				a.Items = append(a.Items, reconcileItemOf(&items[i]))
			}
		}
	}
	return a
}

func reconcileItemOf(item *registry.Item) reconcileItem {
	out := reconcileItem{State: item.State, Target: item.Target, Source: item.Source, Reason: item.Reason}
	if item.Entry != nil {
		out.Entry = item.Entry.Name
		out.Declared = fmt.Sprintf("%s:%d", item.Entry.Place.File, item.Entry.Place.Line)
	}
	if len(item.More) > 0 {
		w := &item.More[0].Witness
		resource := w.Resource
		if strings.Contains(item.Target, ":role/") { // a trust policy is about its own role, whatever the comparison called it
			resource = item.Target
		}
		out.Request = fmt.Sprintf("%s by %s on %s", w.Action, callerName(w.Caller), resource)
		keys := slices.Sorted(maps.Keys(w.Context))
		for i, key := range keys {
			joint := ", "
			if i == 0 {
				joint = " with "
			}
			out.Request += joint + key + "=" + strings.Join(w.Context[key], ",")
		}
	}
	for _, e := range item.Edges {
		for i := range e.Grants {
			out.places = append(out.places, e.Grants[i].Evidence)
		}
		if len(e.Grants) == 0 {
			out.places = append(out.places, e.By)
		}
	}
	for _, p := range out.places {
		if e := evidenceOf(p); e != nil {
			out.Evidence = append(out.Evidence, *e)
		}
	}
	return out
}

// reconciled prints the answer for people.
func (w *textWriter) reconciled(a *reconcileAnswer) {
	var parts []string
	for _, s := range stateOrder {
		if n := a.Counts[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		w.line("No trust crosses accounts, and none is declared.")
		return
	}
	w.line("%s", strings.Join(parts, ", "))
	for i := range a.Items {
		item := &a.Items[i]
		w.line("")
		w.line("%s", strings.ToUpper(string(item.State)))
		w.line("  target    %s", item.Target)
		w.line("  source    %s", item.Source)
		w.line("  why       %s", item.Reason)
		if item.Request != "" {
			w.line("  request   %s", item.Request)
		}
		if item.Entry != "" {
			w.line("  entry     %s  %s", item.Declared, item.Entry)
		}
		for _, p := range item.places {
			w.line("  evidence  %s", place(p))
		}
	}
}
