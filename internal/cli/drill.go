package cli

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/wire"
)

// newDrill rehearses taking back.
func newDrill(e *Env) *cobra.Command {
	var broker brokerFlags
	var all, due bool
	c := &cobra.Command{
		Use:   "drill ENTRY... | --all | --due",
		Short: "Rehearse taking back, at the targets of entries",
		Long: `Rehearses taking back where it would have to work: at each entry's role a deny is put that cuts nobody, read back and removed, and what the broker's role in that account must not be able to do is tried, with names of what does not exist. Nothing is
changed. That AWS acts by a deny it does not show.

The exit status is 1 where something was found. The last drill of each entry is kept; one that is older than ninety days is due again.`,
		Example: `  drawbridge drill ci-deploy
  drawbridge drill --due
  drawbridge drill list`,
		RunE: func(c *cobra.Command, args []string) error {
			if (len(args) > 0) == (all || due) || all && due {
				return usagef("name entries, or give --all or --due")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			if all || due {
				list, err := b.Drills(c.Context())
				if err != nil {
					return e.refused(err)
				}
				for _, d := range list {
					if all || d.Due {
						args = append(args, d.Entry)
					}
				}
			}
			found := 0
			for _, entry := range args {
				d, err := b.Drill(c.Context(), entry)
				if err != nil {
					return e.refused(fmt.Errorf("%s: %w", entry, err))
				}
				if len(d.Found) == 0 {
					fmt.Fprintf(e.Stdout, "%s: access can be taken back at %s\n", plain(d.Entry), d.Role)
					continue
				}
				found++
				fmt.Fprintf(e.Stdout, "%s: %s\n", plain(d.Entry), d.Role)
				for _, f := range d.Found {
					fmt.Fprintf(e.Stdout, "  %s\n", plain(f))
				}
			}
			if len(args) == 0 {
				fmt.Fprintln(e.Stderr, "no drill is due")
			}
			if found > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every entry that the broker lets cross")
	c.Flags().BoolVar(&due, "due", false, "those whose last drill is older than ninety days")
	broker.register(c)
	c.AddCommand(newDrillList(e))
	return c
}

func newDrillList(e *Env) *cobra.Command {
	var broker brokerFlags
	var format answerFormat
	c := &cobra.Command{
		Use:   "list",
		Short: "The last drill of each entry that the broker lets cross",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := format.check(); err != nil {
				return err
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			list, err := b.Drills(c.Context())
			if err != nil {
				return e.refused(err)
			}
			return format.print(e, wire.Drills{Drills: list}, func(w *textWriter) {
				if len(list) == 0 {
					w.line("the broker lets no entry cross")
					return
				}
				t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
				fmt.Fprintln(t, "ENTRY\tROLE\tLAST\tFOUND")
				for _, d := range list {
					last := "never"
					if d.At != nil {
						last = d.At.UTC().Format(minute)
					}
					if d.Due {
						last += ", due"
					}
					fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", plain(d.Entry), d.Role, last, plain(strings.Join(d.Found, "; ")))
				}
				_ = t.Flush() // the writer below keeps the error
			})
		},
	}
	format.register(c)
	broker.register(c)
	return c
}
