package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/setup"
)

// newSetup is what target accounts must have.
func newSetup(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "setup",
		Short: "Prepare an account so that a broker lets an entry cross into it, and check it",
	}
	c.AddCommand(newSetupTarget(e), newSetupExternalID(e), newSetupQuarantine(e), newSetupCheck(e))
	return c
}

// setupForm says in which form what must be there is printed.
type setupForm struct{ name, file string }

func (f *setupForm) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "form", "terraform", "terraform, cloudformation or cli")
	c.Flags().StringVarP(&f.file, "output", "o", "", "write to this `FILE` instead of standard output")
	completeWords(c, "form", []string{"terraform", "cloudformation", "cli"})
}

func (f *setupForm) print(e *Env, of interface {
	Terraform() string
	CloudFormation() string
	Commands() string
}) error {
	forms := map[string]func() string{"terraform": of.Terraform, "cloudformation": of.CloudFormation, "cli": of.Commands}
	text := forms[f.name]
	if text == nil {
		return usagef("--form %q is not known: use terraform, cloudformation or cli", f.name)
	}
	return output(e, f.file, func(w io.Writer) error {
		_, err := io.WriteString(w, text())
		return err
	})
}

// setupFlags say which entry, and of which broker.
type setupFlags struct {
	registry         []string
	issuer, audience string
	// Where the role is taken by AssumeRole.
	way, brokerRole      string
	external, externalRe []string
}

func (f *setupFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.registry, "registry", nil, "the registry, a file or folder `PATH`; may be given several times")
	c.Flags().StringVar(&f.issuer, "issuer", "", "the broker's `ADDRESS`, which is its issuer; default: DRAWBRIDGE_URL")
	c.Flags().StringVar(&f.audience, "audience", "sts.amazonaws.com", "the `AUDIENCE` of the broker's tokens, issuer.audience of its configuration")
	c.Flags().StringVar(&f.way, "way", "federate", "how the role is taken: federate, by the broker's tokens, or assume, by its own role and an ExternalId")
	c.Flags().StringVar(&f.brokerRole, "broker-role", "", "with --way assume: the `ARN` of the broker's own role; default: the broker is asked")
	c.Flags().StringArrayVar(&f.external, "external-id", nil, "with --way assume: what the broker says to the role, a `VALUE`; default: the broker is asked")
	c.Flags().StringArrayVar(&f.externalRe, "revoker-external-id", nil, "with --way assume: what the broker says to its revoker there, a `VALUE`; default: the broker is asked")
	completeWords(c, "way", []string{"federate", "assume"})
}

func (f *setupFlags) target(ctx context.Context, e *Env, name string) (*setup.Target, error) {
	if len(f.registry) == 0 {
		return nil, usagef("--registry is missing: where the entry %s stands", name)
	}
	if f.issuer == "" {
		f.issuer = e.Getenv("DRAWBRIDGE_URL")
	}
	r, err := e.openRegistry(f.registry)
	if err != nil {
		return nil, err
	}
	entry := r.Entry(name)
	if entry == nil {
		return nil, fmt.Errorf("the registry has no entry %q", name)
	}
	var t *setup.Target
	switch f.way {
	case "federate":
		t, err = setup.New(entry, f.issuer, f.audience)
	case "assume":
		by := setup.Assume{Role: f.brokerRole, ExternalIDs: f.external, RevokerIDs: f.externalRe}
		if by.Role == "" || len(by.ExternalIDs) == 0 || len(by.RevokerIDs) == 0 {
			b, err := new(brokerFlags).client(e)
			if err != nil {
				return nil, fmt.Errorf("--broker-role, --external-id and --revoker-external-id are not all given, and the broker cannot be asked: %w", err)
			}
			x, err := b.ExternalID(ctx, name)
			if err != nil {
				return nil, e.refused(err)
			}
			by = setup.Assume{Role: cmp.Or(by.Role, x.BrokerRole), ExternalIDs: []string{x.Current}, RevokerIDs: x.Revoker}
			if x.Next != "" {
				by.ExternalIDs = append(by.ExternalIDs, x.Next)
			}
		}
		t, err = setup.NewAssumed(entry, by)
	default:
		return nil, usagef("--way %q is not known: use federate or assume", f.way)
	}
	if errors.Is(err, setup.ErrTarget) {
		return nil, usageError{err}
	}
	return t, err
}

func newSetupTarget(e *Env) *cobra.Command {
	var f setupFlags
	var form setupForm
	c := &cobra.Command{
		Use:   "target ENTRY --registry PATH --issuer ADDRESS",
		Short: "Print what the account of an entry's role must have",
		Long: `Prints what the target account must have: the broker as an identity provider; the entry's role, whose trust pins the broker's issuer, audience and the entry as subject, with the permissions that the entry names; and the role by which
the broker takes access back. There is no standing key: the broker exchanges tokens of its own issuer.`,
		Example: `  drawbridge setup target ci-deploy --registry registry/ --issuer https://broker.example > ci-deploy.tf
  drawbridge setup target ci-deploy --registry registry/ --issuer https://broker.example --form cli | sh`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			t, err := f.target(c.Context(), e, args[0])
			if err != nil {
				return err
			}
			return form.print(e, t)
		},
	}
	f.register(c)
	form.register(c)
	return c
}

// newSetupExternalID shows and changes what the broker says to a role.
func newSetupExternalID(e *Env) *cobra.Command {
	var broker brokerFlags
	var rotate, promote bool
	c := &cobra.Command{
		Use:   "external-id ENTRY",
		Short: "What the broker says to an entry's role that it takes by AssumeRole, and changing it",
		Long: `Shows the ExternalId that the broker says to an entry's role: it makes one for each vendor and role, and no other has it. To change it takes two steps, so that nothing stops in between: --rotate makes the next one, 'drawbridge setup target --way assume' prints a
trust that takes both, and when the account has it, --promote sends the new one, and the trust is printed again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			var x *wire.ExternalID
			switch {
			case rotate:
				x, err = b.ChangeExternalID(c.Context(), args[0], "rotate")
			case promote:
				x, err = b.ChangeExternalID(c.Context(), args[0], "promote")
			default:
				x, err = b.ExternalID(c.Context(), args[0])
			}
			if err != nil {
				return e.refused(err)
			}
			var w textWriter
			w.line("%s  %s", x.Entry, x.Role)
			if x.Vendor != "" {
				w.line("  vendor   %s", plain(x.Vendor))
			}
			w.line("  current  %s, since %s", x.Current, x.Made.UTC().Format(minute))
			if x.Next != "" {
				w.line("  next     %s", x.Next)
			}
			w.line("  revoker  %s", strings.Join(x.Revoker, ", "))
			_, err = io.WriteString(e.Stdout, w.String())
			return written(err)
		},
	}
	c.Flags().BoolVar(&rotate, "rotate", false, "make the next one")
	c.Flags().BoolVar(&promote, "promote", false, "send the next one from now on")
	c.MarkFlagsMutuallyExclusive("rotate", "promote")
	broker.register(c)
	return c
}

func newSetupQuarantine(e *Env) *cobra.Command {
	q := setup.Quarantine{Partition: "aws"}
	var form setupForm
	c := &cobra.Command{
		Use:   "quarantine --account ACCOUNT --target ROOT|UNIT|ACCOUNT --issuer ADDRESS",
		Short: "Print what the organisation must have so that a broker can quarantine sessions",
		Long: `Prints what the organisation must have for the last resort: one service control policy that denies everything to a list of source identities, attached where you say, and the role by which the broker changes that list, and nothing else. The broker uses
it where a role does not take its denies, or where somebody asks for it ('drawbridge revoke --quarantine').

ACCOUNT is the management account, or one to which AWS Organizations is delegated. No such policy binds the management account.`,
		Example: `  drawbridge setup quarantine --account 111111111111 --target r-abcd --issuer https://broker.example > quarantine.tf`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if q.Issuer == "" {
				q.Issuer = e.Getenv("DRAWBRIDGE_URL")
			}
			if err := q.Check(); err != nil {
				return usageError{err}
			}
			return form.print(e, &q)
		},
	}
	c.Flags().StringVar(&q.Account, "account", "", "the management `ACCOUNT`, or one to which AWS Organizations is delegated")
	c.Flags().StringArrayVar(&q.Targets, "target", nil, "what the policy is attached to: a root, organizational unit or account `ID`; may be given several times")
	c.Flags().StringVar(&q.Partition, "partition", "aws", "the partition: aws, aws-us-gov or aws-cn")
	c.Flags().StringVar(&q.Issuer, "issuer", "", "the broker's `ADDRESS`, which is its issuer; default: DRAWBRIDGE_URL")
	c.Flags().StringVar(&q.Audience, "audience", "sts.amazonaws.com", "the `AUDIENCE` of the broker's tokens, issuer.audience of its configuration")
	form.register(c)
	return c
}

func newSetupCheck(e *Env) *cobra.Command {
	var f setupFlags
	var now nowFlag
	var format answerFormat
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "check ENTRY [PATH --registry PATH --issuer ADDRESS]",
		Short: "Check in a snapshot that an account is set up, and that nobody crosses beside the broker",
		Long: `Checks in a snapshot, by the policy engine, that the entry's account has what 'drawbridge setup target' prints: the broker gets in with the entry's tokens and with no others, it can take access back, and nobody else can take the role.
Without PATH a broker is asked, which has the newest snapshot that was pushed to it. The exit status is 1 where something is not so.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			if len(args) == 1 {
				return checkAtBroker(c.Context(), e, &broker, format, args[0])
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			t, err := f.target(c.Context(), e, args[0])
			if err != nil {
				return err
			}
			graph, err := e.openGraph(args[1], at)
			if err != nil {
				return err
			}
			problems := t.Check(graph)
			if err := format.print(e, append([]setup.Problem{}, problems...), func(w *textWriter) {
				for _, p := range problems {
					sign := "missing"
					if p.Bypass {
						sign = "open"
					}
					w.line("%-8s %s", sign, p.What)
				}
			}); err != nil {
				return err
			}
			if len(problems) > 0 {
				return errUnwanted
			}
			fmt.Fprintf(e.Stderr, "%s is set up\n", args[0])
			return nil
		},
	}
	f.register(c)
	now.register(c)
	identityFlag(c, e)
	format.register(c)
	broker.register(c)
	return c
}

// checkAtBroker asks a broker what it knows of an entry's target.
func checkAtBroker(ctx context.Context, e *Env, f *brokerFlags, format answerFormat, entry string) error {
	b, err := f.client(e)
	if err != nil {
		return err
	}
	t, err := b.Target(ctx, entry)
	if err != nil {
		return e.refused(err)
	}
	if err := format.print(e, t, func(w *textWriter) {
		if !t.Known {
			w.line("unknown  %s", t.Why)
			return
		}
		w.line("snapshot %s, collected %s", t.Snapshot, t.Collected.Format(time.RFC3339))
		for _, p := range t.Problems {
			sign := "missing"
			if p.Bypass {
				sign = "open"
			}
			w.line("%-8s %s", sign, p.What)
		}
	}); err != nil {
		return err
	}
	if !t.Known || len(t.Problems) > 0 {
		return errUnwanted
	}
	fmt.Fprintf(e.Stderr, "%s is set up\n", entry)
	return nil
}
