package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/internal/audit"
	"drawbridge/internal/ocsf"
)

func newAuditExport(e *Env) *cobra.Command {
	var format, out string
	var from int64
	c := &cobra.Command{
		Use:   "export LOG",
		Short: "Write the log as JSON lines or as OCSF events",
		Long: `Export writes each record on a line: as it is (jsonl, which 'drawbridge audit verify' reads), or as an event of the Open Cybersecurity Schema
Framework (ocsf, version ` + ocsf.Version + `), with the record itself in raw_data. The chain is verified on the way, and the export ends where it does not hold.
Reading from a daemon's URL is recorded in the log itself; whoever opens the store directly is not.`,
		Example: `  drawbridge audit export env:DRAWBRIDGE_STORE -o audit.jsonl
  drawbridge audit export https://broker.example --format ocsf --from 5120 -o -`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "jsonl" && format != "ocsf" {
				return usagef("--format %q is not known: use jsonl or ocsf", format)
			}
			if from < 0 {
				return usagef("--from %d is no record: the first is 0", from)
			}
			source, err := openLogSource(c.Context(), e, args[0])
			if err != nil {
				return err
			}
			defer source.close()
			var to io.Writer = e.Stdout
			var file *wholeFile
			if out != "-" {
				if file, err = newWholeFile(out); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
				to = file
			}
			w := bufio.NewWriter(to)
			var head audit.Head
			var events ocsf.Mapper
			written := 0
			err = source.each(c.Context(), func(r *audit.Record) error {
				if err := head.Check(r); err != nil {
					return fmt.Errorf("the log does not hold: %w", err)
				}
				head = audit.Head{Size: r.Seq + 1, Hash: r.Hash}
				line, err := r.Line()
				if err == nil && format == "ocsf" {
					line, err = events.Line(r, line) // also of those before from: later ones refer to them
				}
				if err != nil || r.Seq < from {
					return err
				}
				written++
				if _, err := w.Write(append(line, '\n')); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
				return nil
			})
			if failed := w.Flush(); failed != nil && err == nil {
				err = fmt.Errorf("%w: %w", errOutput, failed)
			}
			if file != nil {
				file.failed = file.failed || err != nil // what broke off gets no name
				if failed := file.Close(); failed != nil && err == nil {
					err = fmt.Errorf("%w: %w", errOutput, failed)
				}
			}
			if err != nil {
				var t *audit.Tampered
				if errors.As(err, &t) {
					fmt.Fprintln(e.Stderr, "drawbridge:", strings.ToUpper("the log does not hold")+":", t)
					return errUnwanted
				}
				return err
			}
			if file != nil {
				if _, err := fmt.Fprintf(e.Stdout, "%s  %s\n", out, counted(written, "record", "records")); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "jsonl", "`FORMAT` of the lines: jsonl or ocsf")
	c.Flags().StringVarP(&out, "output", "o", "-", "the `FILE` to write; - for standard output")
	c.Flags().Int64Var(&from, "from", 0, "the first `RECORD` that is written: for exports that go on where the last one ended")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"jsonl", "ocsf"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}
