package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
	"drawbridge/internal/ingest"
	"drawbridge/internal/remedy"
)

// offboardOptions are the flags of offboard.
type offboardOptions struct {
	format                answerFormat
	now                   nowFlag
	registry              []string
	vendors, plan, script string // files
	check                 string // a later input
	done                  []string
}

func newOffboard(e *Env) *cobra.Command {
	var o offboardOptions
	c := &cobra.Command{
		Use:   "offboard VENDOR PATH",
		Short: "Plan how everything is taken back that a vendor was given, and show that it is gone",
		Long: `Offboard lists, over all accounts, everything by which a vendor is let in, in the order in which it is taken back: the trusts of
roles, the sessions that are already in, policies of resources, KMS grants, shares of snapshots, images and RAM, endpoint services,
identity providers, ExternalIds. Each item has the commands that do it, and the policy to go back to.

VENDOR is the name of a vendor of the registry or of the list of vendors, or an account id. With --plan the plan is kept in a file: each
run continues it with what PATH shows. With --check a later input must show each item as gone; the exit status is 1 if
it does not show one.

Where a broker runs, it does this by itself, and cuts what the vendor has there: 'drawbridge offboard begin'.`,
		Example: `  drawbridge offboard Metrigraph snapshot --vendors vendors.yaml --plan metrigraph.json
  drawbridge offboard Metrigraph snapshot --vendors vendors.yaml --plan metrigraph.json --done 3f2a9c
  drawbridge offboard Metrigraph snapshot --vendors vendors.yaml --plan metrigraph.json --check snapshot-after`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return o.run(e, args[0], args[1]) },
	}
	registryFlag(c, &o.registry)
	f := c.Flags()
	f.StringVar(&o.vendors, "vendors", "", "known third parties and their accounts: a YAML `FILE` like the fwd:cloudsec list")
	f.StringVar(&o.plan, "plan", "", "keep the plan in this `FILE`, and continue it")
	f.StringSliceVar(&o.done, "done", nil, "with --plan, say of items that they are done, by `ID` or the beginning of one")
	f.StringVar(&o.script, "script", "", "write the commands of what is open to this `FILE`, as a shell script with the policies in it")
	f.StringVar(&o.check, "check", "", "a later input (`PATH`) that must show each item as gone")
	o.format.register(c)
	o.now.register(c)
	identityFlag(c, e)
	c.AddCommand(newOffboardBegin(e), newOffboardStatus(e), newOffboardVerify(e))
	return c
}

func (o *offboardOptions) run(e *Env, name, path string) error {
	if err := o.format.check(); err != nil {
		return err
	}
	if len(o.done) > 0 && o.plan == "" {
		return usagef("--done says of items of a plan that they are done: name the plan with --plan")
	}
	at, _, err := o.now.value(e)
	if err != nil {
		return err
	}
	v, err := e.leaver(name, o.registry, o.vendors)
	if err != nil {
		return err
	}
	plan, known, err := o.open(v, at)
	if err != nil {
		return err
	}
	graph, err := e.openGraph(path, at)
	if err != nil {
		return err
	}
	// Who checks a plan names the input that it was made of: it has nothing new to say, and what was gone since is not back.
	if !known || o.check == "" {
		plan.Continue(graph, v, at)
	}
	if err := plan.Mark(o.done, at); err != nil {
		return usagef("%v", err)
	}
	if o.check != "" {
		later, err := e.openGraph(o.check, at)
		if err != nil {
			return err
		}
		plan.Continue(later, v, at)
	}
	if o.plan != "" {
		text, err := plan.JSON()
		if err != nil {
			return err
		}
		if err := outputFile(o.plan, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	if o.script != "" {
		text, err := plan.Script()
		if err != nil {
			return err
		}
		if err := outputFile(o.script, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	if err := o.format.print(e, plan, func(w *textWriter) { w.offboarding(plan, o.check) }); err != nil {
		return err
	}
	if o.check != "" && plan.Count(remedy.Gone) < len(plan.Items) {
		return errUnwanted
	}
	return nil
}

// open reads the plan, or begins one; known says that there was one. A plan for another vendor is an error.
func (o *offboardOptions) open(v remedy.Leaver, at time.Time) (plan *remedy.Plan, known bool, err error) {
	if o.plan == "" {
		return remedy.NewPlan(v, at), false, nil
	}
	text, err := os.ReadFile(o.plan)
	if errors.Is(err, fs.ErrNotExist) {
		return remedy.NewPlan(v, at), false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("opening the plan: %w", err)
	}
	if plan, err = remedy.ReadPlan(o.plan, text); err != nil {
		return nil, false, err
	}
	if plan.Vendor != v.Name {
		return nil, false, usagef("%s is the plan for %s, not for %s", o.plan, plan.Vendor, v.Name)
	}
	return plan, true, nil
}

// leaver is a vendor by name with its accounts, or the account that was given.
func (e *Env) leaver(name string, registryPaths []string, vendorFile string) (remedy.Leaver, error) {
	v := remedy.Leaver{Name: name}
	declared, err := e.openRegistry(registryPaths)
	if err != nil {
		return v, err
	}
	v.Registry = declared
	if arn.IsAccountID(name) {
		v.Accounts = []string{name}
		return v, nil
	}
	if declared != nil {
		if known := declared.Vendor(name); known != nil {
			v.Accounts = append(v.Accounts, known.Accounts...)
		}
	}
	if vendorFile != "" {
		list, err := ingest.OpenVendors(vendorFile)
		if err != nil {
			return v, err
		}
		for _, known := range list {
			if strings.EqualFold(known.Name, name) {
				v.Accounts = append(v.Accounts, known.Accounts...)
			}
		}
	}
	slices.Sort(v.Accounts)
	if v.Accounts = slices.Compact(v.Accounts); len(v.Accounts) == 0 {
		return v, usagef("no accounts of vendor %q are known: name a registry, a list of vendors, or an account id", name)
	}
	return v, nil
}

// offboarding prints a plan, or with the input that was checked, what it shows of each item.
func (w *textWriter) offboarding(p *remedy.Plan, checked string) {
	who := p.Vendor
	if len(p.Accounts) != 1 || p.Accounts[0] != p.Vendor {
		who += " (" + strings.Join(p.Accounts, ", ") + ")"
	}
	gone := p.Count(remedy.Gone)
	switch {
	case len(p.Items) == 0:
		w.line("%s: nothing lets it in", who)
		return
	case gone == len(p.Items):
		w.line("%s: %s, all gone", who, counted(gone, "item", "items"))
	case checked != "" || gone > 0:
		w.line("%s: %s gone, %d not", who, counted(gone, "item", "items"), len(p.Items)-gone)
	default:
		w.line("%s: %s", who, counted(len(p.Items), "item", "items"))
	}
	for i := range p.Items {
		it := &p.Items[i]
		w.line("")
		w.line("%d. %s of %s: %s", i+1, it.Kind, it.Target, it.State)
		w.line("   id %s, in account %s: %s", it.ID, it.Account, it.What)
		switch {
		case it.State == remedy.Gone:
			w.line("   shown gone %s", it.GoneAt.Format(time.RFC3339))
		case it.State == remedy.Done:
			w.line("   said done  %s", it.DoneAt.Format(time.RFC3339))
		}
		if it.Note != "" {
			w.line("   note       %s", it.Note)
		}
		if it.State == remedy.Gone {
			continue
		}
		w.line("   lets in    %s", strings.Join(it.Who, ", "))
		for _, at := range it.Places {
			w.line("   evidence   %s", place(at))
		}
		if it.After != nil {
			w.line("   before     %s", it.Before)
			w.line("   after      %s", it.After)
		}
		for _, c := range it.Commands {
			w.line("   do         %s", c)
		}
	}
}
