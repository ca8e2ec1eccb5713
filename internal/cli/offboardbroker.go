package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/api/wire"
)

// newOffboardBegin lets a broker offboard a vendor.
func newOffboardBegin(e *Env) *cobra.Command {
	var broker brokerFlags
	var reason string
	c := &cobra.Command{
		Use:   "begin VENDOR --reason TEXT",
		Short: "Offboard a vendor at a broker: lock it, revoke what it has, and prove that nothing is left",
		Long: `Locks a vendor of the broker's registry at once, and revokes everything that it has there. The offboarding goes on by itself, whatever happens to the broker, and ends when a snapshot that was collected after the lock ('drawbridge push') shows that nothing lets the
vendor in any more: 'drawbridge offboard status' says what is missing, and gives the report in the end.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: the record needs it")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			o, err := b.Offboard(c.Context(), args[0], reason)
			if err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stdout, "%s: %s is locked (%s), and what it has is being revoked\n", o.ID, plain(o.Vendor), o.Lock)
			return nil
		},
	}
	broker.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	return c
}

// newOffboardStatus says how far offboardings at a broker are.
func newOffboardStatus(e *Env) *cobra.Command {
	var broker brokerFlags
	var report string
	c := &cobra.Command{
		Use:   "status [OFFBOARDING]",
		Short: "Say how far a broker is with offboarding vendors, and what is missing",
		Long: `Lists the offboardings at a broker, or says of one what is missing; the exit status is then 4 as long as something is. With --report the report of one that is proven is written to a file.
It is signed with the key of the broker's audit log where there is one: 'drawbridge offboard verify' checks it.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				list, err := b.Offboardings(c.Context())
				if err != nil {
					return e.refused(err)
				}
				if len(list) == 0 {
					fmt.Fprintln(e.Stderr, "no vendor leaves or left")
					return nil
				}
				w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "OFFBOARDING\tVENDOR\tSTATE\tSINCE\tGONE\tMISSING")
				for _, o := range list {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d of %d\t%d\n", o.ID, plain(o.Vendor), o.State, o.At.UTC().Format(minute), o.Gone, o.Items, len(o.Waits))
				}
				return written(w.Flush())
			}
			o, err := b.Offboarding(c.Context(), args[0])
			if err != nil {
				return e.refused(err)
			}
			showOffboarding(e, o)
			if o.State != "proven" {
				return Stopped(fmt.Errorf("%s is not proven", o.ID))
			}
			if report != "" {
				if err := os.WriteFile(report, []byte(o.Report), 0o644); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
				fmt.Fprintf(e.Stderr, "the report is in %s\n", report)
			}
			return nil
		},
	}
	broker.register(c)
	c.Flags().StringVar(&report, "report", "", "write the report to this `FILE`")
	return c
}

func showOffboarding(e *Env, o *wire.Offboarding) {
	fmt.Fprintf(e.Stdout, "%s  %s\n  %s, begun %s by %s: %s\n  lock %s\n", o.ID, plain(o.Vendor), o.State, o.At.UTC().Format(minute), plain(o.By), plain(o.Reason), o.Lock)
	if o.Collected != nil {
		fmt.Fprintf(e.Stdout, "  %d of %d gone, in snapshot %s collected %s\n", o.Gone, o.Items, o.Snapshot, o.Collected.Format(time.RFC3339))
	}
	for _, w := range o.Waits {
		fmt.Fprintf(e.Stdout, "  missing: %s\n", plain(w))
	}
	if o.Ended != nil {
		fmt.Fprintf(e.Stdout, "  proven %s\n", o.Ended.UTC().Format(minute))
	}
}

// newOffboardVerify checks a report.
func newOffboardVerify(e *Env) *cobra.Command {
	var key string
	c := &cobra.Command{
		Use:   "verify REPORT --key KEY",
		Short: "Check the signature of the report of an offboarding",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			verifier, err := note.NewVerifier(strings.TrimSpace(key))
			if err != nil {
				return usagef("--key: expected the public key of the broker's audit log: %v", err)
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("opening the report: %w", err)
			}
			n, err := note.Open(text, note.VerifierList(verifier))
			if err != nil {
				fmt.Fprintf(e.Stdout, "%s is not signed by this key: %v\n", args[0], err)
				return errUnwanted
			}
			if !strings.HasPrefix(n.Text, "Drawbridge offboarding ") {
				return errors.Join(errUnwanted, fmt.Errorf("%s is signed, and is no report of an offboarding", args[0]))
			}
			_, err = fmt.Fprint(e.Stdout, n.Text)
			return written(err)
		},
	}
	c.Flags().StringVar(&key, "key", "", "the public `KEY` of the broker's audit log")
	return c
}
