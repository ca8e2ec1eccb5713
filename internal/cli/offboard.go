package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
	"drawbridge/internal/ingest"
	"drawbridge/internal/remedy"
)

func newOffboard(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	var paths []string
	var vendorFile, check string
	c := &cobra.Command{
		Use:   "offboard VENDOR PATH",
		Short: "Plan how everything is taken back that a vendor was given",
		Long: `Offboard lists, over all accounts, everything by which a vendor is let in, in the order in which it is taken back: the trusts of
roles, the sessions that are already in, policies of resources, KMS grants, shares. Each step has the commands that do it,
and the policy to go back to.

VENDOR is the name of a vendor of the registry or of the list of vendors, or an account id. With --check the steps that a later
input still shows are listed; the exit status is 1 if there are any.`,
		Example: `  drawbridge offboard Metrigraph snapshot --vendors vendors.yaml
  drawbridge offboard Metrigraph snapshot --registry registry/ --check snapshot-after`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			accounts, err := e.vendorAccounts(args[0], paths, vendorFile)
			if err != nil {
				return err
			}
			graph, err := e.openGraph(args[1], at)
			if err != nil {
				return err
			}
			steps := remedy.Offboard(graph, accounts)
			answer := offboardAnswer{Vendor: args[0], Accounts: accounts}
			if check != "" {
				later, err := e.openGraph(check, at)
				if err != nil {
					return err
				}
				left := remedy.Left(steps, remedy.Offboard(later, accounts))
				answer.Checked, answer.Gone = check, len(steps)-len(left)
				steps = left
			}
			answer.add(steps)
			if err := format.print(e, answer, func(w *textWriter) { w.offboarding(&answer) }); err != nil {
				return err
			}
			if check != "" && len(steps) > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	registryFlag(c, &paths)
	c.Flags().StringVar(&vendorFile, "vendors", "", "known third parties and their accounts: a YAML `FILE` like the fwd:cloudsec list")
	c.Flags().StringVar(&check, "check", "", "a later input (`PATH`): list what is still there")
	format.register(c)
	now.register(c)
	return c
}

// vendorAccounts are the accounts of a vendor by name, or the one that was given.
func (e *Env) vendorAccounts(name string, registryPaths []string, vendorFile string) ([]string, error) {
	if arn.IsAccountID(name) {
		return []string{name}, nil
	}
	var accounts []string
	declared, err := e.openRegistry(registryPaths)
	if err != nil {
		return nil, err
	}
	if declared != nil {
		if v := declared.Vendor(name); v != nil {
			accounts = append(accounts, v.Accounts...)
		}
	}
	if vendorFile != "" {
		list, err := ingest.OpenVendors(vendorFile)
		if err != nil {
			return nil, err
		}
		for _, v := range list {
			if strings.EqualFold(v.Name, name) {
				accounts = append(accounts, v.Accounts...)
			}
		}
	}
	slices.Sort(accounts)
	if accounts = slices.Compact(accounts); len(accounts) == 0 {
		return nil, usagef("no accounts of vendor %q are known: name a registry, a list of vendors, or an account id", name)
	}
	return accounts, nil
}

// offboardAnswer is the answer of offboard.
type offboardAnswer struct {
	Vendor   string         `json:"vendor"`
	Accounts []string       `json:"accounts"`
	Checked  string         `json:"checked,omitempty"` // the later input
	Gone     int            `json:"gone,omitempty"`    // steps that it shows as done
	Steps    []offboardStep `json:"steps"`
}

type offboardStep struct {
	Kind     remedy.StepKind `json:"kind"`
	Account  string          `json:"account"`
	Target   string          `json:"target"`
	Who      []string        `json:"who"`
	What     string          `json:"what"`
	Commands []string        `json:"commands"`
	Before   string          `json:"before,omitempty"` // the policy to go back to
	After    string          `json:"after,omitempty"`
	places   []string
}

func (a *offboardAnswer) add(steps []remedy.Step) {
	a.Steps = []offboardStep{}
	for i := range steps {
		s := &steps[i]
		out := offboardStep{Kind: s.Kind, Account: s.Account, Target: s.Target, Who: s.Who, What: s.What, Commands: s.Commands}
		if s.After != nil {
			out.Before, out.After = string(s.Before.Canonical()), string(s.After.Canonical())
		}
		for _, p := range s.Places {
			out.places = append(out.places, place(p))
		}
		a.Steps = append(a.Steps, out)
	}
}

func (w *textWriter) offboarding(a *offboardAnswer) {
	who := a.Vendor
	if len(a.Accounts) != 1 || a.Accounts[0] != a.Vendor {
		who += " (" + strings.Join(a.Accounts, ", ") + ")"
	}
	switch {
	case a.Checked != "" && len(a.Steps) == 0:
		w.line("%s: %s, all gone", who, counted(a.Gone, "step", "steps"))
	case a.Checked != "":
		w.line("%s: %s gone, %d still there", who, counted(a.Gone, "step", "steps"), len(a.Steps))
	case len(a.Steps) == 0:
		w.line("%s: nothing lets it in", who)
	default:
		w.line("%s: %s", who, counted(len(a.Steps), "step", "steps"))
	}
	for i := range a.Steps {
		s := &a.Steps[i]
		w.line("")
		w.line("%d. %s of %s", i+1, s.Kind, s.Target)
		w.line("   in account %s: %s", s.Account, s.What)
		w.line("   lets in    %s", strings.Join(s.Who, ", "))
		for _, p := range s.places {
			w.line("   evidence   %s", p)
		}
		if s.After != "" {
			w.line("   before     %s", s.Before)
			w.line("   after      %s", s.After)
		}
		for _, c := range s.Commands {
			w.line("   do         %s", c)
		}
	}
}
