package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/compare"
	"drawbridge/internal/access"
	"drawbridge/internal/remedy"
	"drawbridge/internal/usage"
)

// remedyForms are the forms in which a proposal is printed.
var remedyForms = []string{"text", "policy", "diff", "terraform", "cloudformation", "cli", "restore"}

func newRemedy(e *Env) *cobra.Command {
	var now nowFlag
	var paths []string
	var used, form string
	var since int
	c := &cobra.Command{
		Use:   "remedy ROLE PATH",
		Short: "Propose a trust policy that lets in who is declared and used, and prove it",
		Long: `Remedy proposes a trust policy for a role: the callers from elsewhere that the registry declares or that were seen, by name, and
what entries demand of them. Everything that is not about other accounts stays as it is. It proves the proposal: every
declared need and every recorded use is decided against it, and what it takes away from whom is shown by a request.

PATH is an input as scan takes it. Without an entry and without recorded use there is no proposal: it would be a guess. The exit
status is 1 if the proposal would break a declared or recorded use.`,
		Example: `  drawbridge remedy arn:aws:iam::444455556666:role/deploy snapshot --registry registry/ --usage recorded-use.json
  drawbridge remedy arn:aws:iam::444455556666:role/deploy snapshot --usage recorded-use.json --form policy > after.json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			print, ok := remedyPrinters[form]
			if !ok {
				return usagef("--form %q is not known: use %s", form, strings.Join(remedyForms, ", "))
			}
			declared, err := e.openRegistry(paths)
			if err != nil {
				return err
			}
			record, err := openUsage(used)
			if err != nil {
				return err
			}
			graph, err := e.openGraph(args[1], at)
			if err != nil {
				return err
			}
			role, found := graph.Org.Principal(args[0])
			if !found || role.Role == nil {
				return fmt.Errorf("role %s: %w in the input", args[0], access.ErrNotFound)
			}
			facts, err := usage.Merge(usage.Of(graph.Org.Snapshot.Usage), record)
			if err != nil {
				return err
			}
			in := remedy.Inputs{Graph: graph, Registry: declared, Usage: facts, Now: at}
			if since > 0 {
				in.Since = at.Add(-time.Duration(since) * 24 * time.Hour)
			}
			p, err := remedy.Trust(role, in)
			if errors.Is(err, remedy.ErrNothing) {
				_, err = fmt.Fprintln(e.Stderr, "drawbridge: nothing to change:", err)
				return err
			}
			if err != nil {
				return err
			}
			w := &textWriter{}
			print(w, p)
			if _, err := io.WriteString(e.Stdout, w.String()); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			if len(p.Breaks) > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	registryFlag(c, &paths)
	c.Flags().StringVar(&used, "usage", "", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	c.Flags().StringVar(&form, "form", "text", "what is printed: `FORM` is "+strings.Join(remedyForms, ", "))
	c.Flags().IntVar(&since, "days", 0, "count only uses of the last so many `DAYS`; 0: all that are recorded")
	now.register(c)
	completeWords(c, "form", remedyForms)
	return c
}

var remedyPrinters = map[string]func(*textWriter, *remedy.Proposal){
	"text":           (*textWriter).proposal,
	"policy":         func(w *textWriter, p *remedy.Proposal) { w.Write(p.JSON()) },
	"diff":           func(w *textWriter, p *remedy.Proposal) { w.WriteString(p.Diff()) },
	"terraform":      func(w *textWriter, p *remedy.Proposal) { w.WriteString(p.Terraform()) },
	"cloudformation": func(w *textWriter, p *remedy.Proposal) { w.WriteString(p.CloudFormation()) },
	"cli":            func(w *textWriter, p *remedy.Proposal) { w.WriteString(p.CLI()) },
	"restore":        func(w *textWriter, p *remedy.Proposal) { w.Write(p.Restore()) },
}

// proposal prints a proposal for people: what it would break first.
func (w *textWriter) proposal(p *remedy.Proposal) {
	for _, b := range p.Breaks {
		w.line("BREAKS %s: %s; %s", b.Caller, b.What, b.Why)
	}
	if len(p.Breaks) > 0 {
		w.line("")
	}
	w.line("Trust policy of %s", p.Role)
	w.line("")
	w.WriteString(p.Diff())
	w.line("")
	w.line("Why")
	for _, r := range p.Reasons {
		w.line("  %s", r)
	}
	if len(p.Breaks) == 0 {
		w.line("  every declared need and every recorded use still comes in")
	}
	w.line("")
	w.line("What it takes away")
	for i := range p.Taken {
		w.taken(&p.Taken[i], p.Role)
	}
	for _, u := range p.NotDecided {
		w.line("  not decided: %s", u)
	}
	if len(p.Taken)+len(p.NotDecided) == 0 {
		w.line("  nothing")
	}
}

func (w *textWriter) taken(d *compare.Difference, role string) {
	line := fmt.Sprintf("  %s by %s", strings.Join(d.Actions, ", "), strings.Join(d.Who, ", "))
	if !d.Conditions.IsAlways() {
		line += " if " + d.Conditions.String()
	}
	w.line("%s", line)
	w.line("    for instance %s by %s on %s", d.Witness.Action, callerName(d.Witness.Caller), role)
}
