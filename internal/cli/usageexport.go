package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/internal/tables"
)

func newUsageExport(e *Env) *cobra.Command {
	var format, folder string
	c := &cobra.Command{
		Use:   "export RECORD",
		Short: "Write recorded use as tables: Parquet, CSV or JSON lines",
		Long: `Export writes a record of use as tables for other programs: crossings, a row for each use of a trust by one caller; actions, a row for each action of a
caller; evidence, the days of which there are events, for each account, region and service with data events. docs/usage.md has the columns.
A file that is there is replaced.`,
		Example: `  drawbridge usage export recorded-use.json -o use/
  duckdb -c "SELECT caller, target, max(last_at) FROM 'use/crossings.parquet' GROUP BY ALL"`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(tables.Formats, format) {
				return usagef("--format %q is not known: use %s", format, strings.Join(tables.Formats, ", "))
			}
			record, err := openUsage(args[0])
			if err != nil {
				return err
			}
			if err := os.MkdirAll(folder, 0o755); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			set := tables.Of(record)
			var written []string
			err = set.Write(format, func(table string) (io.WriteCloser, error) {
				name := filepath.Join(folder, table+tables.End(format))
				written = append(written, filepath.ToSlash(name))
				return newWholeFile(name)
			})
			if err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			rows := []int{len(set.Crossings), len(set.Actions), len(set.Evidence)}
			for i, name := range written {
				if _, err := fmt.Fprintf(e.Stdout, "%s  %s\n", name, counted(rows[i], "row", "rows")); err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
			}
			return nil
		},
	}
	c.Flags().StringVar(&format, "format", "parquet", "`FORMAT` of the tables: "+strings.Join(tables.Formats, ", ")+" (a line for each row)")
	c.Flags().StringVarP(&folder, "output", "o", ".", "the `FOLDER` for the files; it is made where it is not there")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(tables.Formats, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// wholeFile is a file that has its name only when it is written as a whole.
type wholeFile struct {
	*os.File
	name   string
	failed bool
}

func newWholeFile(name string) (*wholeFile, error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".drawbridge-*")
	if err != nil {
		return nil, err
	}
	return &wholeFile{File: f, name: name}, nil
}

func (f *wholeFile) Write(data []byte) (int, error) {
	n, err := f.File.Write(data)
	f.failed = f.failed || err != nil
	return n, err
}

func (f *wholeFile) Close() error {
	err := f.File.Close()
	if err == nil && !f.failed {
		err = errors.Join(os.Chmod(f.File.Name(), 0o644), os.Rename(f.File.Name(), f.name))
	}
	if err != nil || f.failed {
		os.Remove(f.File.Name())
	}
	return err
}
