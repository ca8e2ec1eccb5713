package cli

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/archive"
	"drawbridge/internal/ingest"
	"drawbridge/internal/sealed"
)

// newPush pushes a snapshot to a broker.
func newPush(e *Env) *cobra.Command {
	var broker brokerFlags
	var wait time.Duration
	var used string
	c := &cobra.Command{
		Use:   "push SNAPSHOT",
		Short: "Give a broker a snapshot of AWS",
		Long: `Gives a broker a snapshot as 'drawbridge collect' writes one. The broker cannot collect by itself: what can issue credentials must not be able to read the whole organisation.

It knows by it how long sessions of a target role may be, whether targets are set up and whether somebody can cross beside it ('drawbridge setup check ENTRY'), how the registry stands to what exists and is used ('drawbridge reconcile'), and whether what a vendor had is gone ('drawbridge offboard begin'). What it shows is of the time at which it
was collected; after a week it counts no more.

Administrators may push, and machines that the broker's configuration names.`,
		Example: `  drawbridge push snapshot
  drawbridge push store/latest --token-file token
  drawbridge push snapshot --usage recorded-use.json
  drawbridge push list`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, err := ingest.Resolve(args[0])
			if err != nil {
				return fmt.Errorf("opening the snapshot: %w", err)
			}
			if sealed.Is(os.DirFS(name)) {
				return usagef("%s is encrypted, and the broker has no key of it: push one that is not, over the broker's TLS", args[0])
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			extra := make(map[string]string)
			if used != "" {
				extra[archive.UseFile] = used
			}
			r, w := io.Pipe()
			go func() { w.CloseWithError(archive.Pack(w, name, extra)) }()
			p, err := b.Push(c.Context(), r)
			_ = r.Close()
			if err != nil {
				return e.refused(err)
			}
			id := p.ID
			end := e.Now().Add(wait)
			for n := 0; p.State == "checking" && e.Now().Before(end); n++ {
				if err := poll(c.Context(), n); err != nil {
					return Stopped(err)
				}
				list, err := b.Snapshots(c.Context())
				if err != nil {
					return e.refused(err)
				}
				for i := range list {
					if list[i].ID == id {
						p = &list[i]
					}
				}
			}
			switch p.State {
			case "accepted":
				fmt.Fprintf(e.Stdout, "%s accepted: %d accounts, %d roles, %d gaps, collected %s\n", p.ID, p.Accounts, p.Roles, p.Gaps, p.Collected.Format(time.RFC3339))
				return nil
			case "refused":
				return fmt.Errorf("the broker cannot use this snapshot: %s", p.Why)
			}
			return Stopped(fmt.Errorf("%s is %s", p.ID, p.State))
		},
	}
	broker.register(c)
	c.Flags().StringVar(&used, "usage", "", "with a record of use that 'drawbridge usage import' wrote (`FILE`)")
	c.Flags().DurationVar(&wait, "wait", 5*time.Minute, "how long to wait until it has been read")
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List the snapshots that a broker was given",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			list, err := b.Snapshots(c.Context())
			if err != nil {
				return e.refused(err)
			}
			if len(list) == 0 {
				fmt.Fprintln(e.Stderr, "no snapshot was pushed")
				return nil
			}
			w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SNAPSHOT\tSTATE\tCOLLECTED\tACCOUNTS\tROLES\tGAPS\tBY\tPUSHED")
			for _, p := range list {
				collected := "-"
				if p.Collected != nil {
					collected = p.Collected.Format(minute)
				}
				state := p.State
				if p.Why != "" {
					state += ": " + plain(p.Why)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", p.ID, state, collected, p.Accounts, p.Roles, p.Gaps, plain(p.By), p.Begun.UTC().Format(minute))
			}
			return written(w.Flush())
		},
	})
	return c
}
