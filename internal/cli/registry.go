package cli

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/internal/ingest"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
)

func newRegistry(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "registry",
		Short: "Draft, check, edit, import, export and apply the declared trusts",
		Long: `The registry is the list of trusts that should exist: each entry says who may reach what, for how long, why, and whose it is.
It is kept in YAML or JSON files, in one or in a folder of many. docs/registry.md describes an entry.

A broker has a registry of its own: apply makes it what the files say, diff says what that would change, and export --broker writes it into files.`,
	}
	c.AddCommand(newRegistryCheck(e), newRegistryInit(e), newRegistrySet(e), newRegistryRemove(e), newRegistryImport(e), newRegistryExport(e),
		newRegistryDiff(e), newRegistryApply(e), newRegistryEditions(e), newRegistryDecide(e, true), newRegistryDecide(e, false))
	return c
}

func newRegistryCheck(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	var input string
	c := &cobra.Command{
		Use:   "check PATH…",
		Short: "Say what is wrong with registry files",
		Long: `Check reads registry files and says, with file, line and column, what is wrong: fields that are missing or not known,
wildcards and whole accounts, third parties without an ExternalId, sessions that AWS does not give, requests that their
requester approved, entries that have expired.

The exit status is 1 if there are errors; warnings do not count.`,
		Example: `  drawbridge registry check registry/
  drawbridge registry check registry.yaml --snapshot snapshot --format json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			options := registry.CheckOptions{Now: at}
			if input != "" {
				graph, err := e.openGraph(input, at)
				if err != nil {
					return err
				}
				options.Own = ownAccounts(graph.Org)
			}
			r, problems, err := ingest.OpenRegistry(args...)
			if err != nil {
				return err
			}
			problems = append(problems, r.Check(options)...)
			registry.SortProblems(problems)
			answer := checkAnswerOf(r, problems)
			if err := format.print(e, answer, func(w *textWriter) { w.checked(&answer) }); err != nil {
				return err
			}
			if answer.Errors > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	c.Flags().StringVar(&input, "snapshot", "", "an input as scan takes it (`PATH`): accounts that are not of its organisation are third parties")
	format.register(c)
	now.register(c)
	identityFlag(c, e)
	return c
}

// ownAccounts are the accounts of the organisation; nil where none are known.
func ownAccounts(o *org.Org) map[string]bool {
	var own map[string]bool
	for _, a := range o.Accounts {
		if a.Membership == org.Inside {
			if own == nil {
				own = map[string]bool{}
			}
			own[a.ID] = true
		}
	}
	return own
}

// checkAnswer is the answer of registry check.
type checkAnswer struct {
	Entries  int            `json:"entries"`
	Vendors  int            `json:"vendors"`
	Errors   int            `json:"errors"`
	Warnings int            `json:"warnings"`
	Problems []checkProblem `json:"problems"`
}

type checkProblem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Entry    string `json:"entry,omitempty"`
	Severity string `json:"severity"` // error or warning
	Message  string `json:"message"`
}

func checkAnswerOf(r *registry.Registry, problems []registry.Problem) checkAnswer {
	a := checkAnswer{Entries: len(r.Entries), Vendors: len(r.Vendors), Problems: []checkProblem{}}
	for _, p := range problems {
		c := checkProblem{p.File, p.Line, p.Column, p.Entry, "error", p.Message}
		if p.Warning {
			c.Severity = "warning"
			a.Warnings++
		} else {
			a.Errors++
		}
		a.Problems = append(a.Problems, c)
	}
	return a
}

func (w *textWriter) checked(a *checkAnswer) {
	for _, p := range a.Problems {
		name := p.Entry
		if name != "" {
			name += ": "
		}
		w.line("%s:%d:%d: %s: %s%s", p.File, p.Line, p.Column, p.Severity, name, p.Message)
	}
	w.line("%s, %s: %s, %s", counted(a.Entries, "entry", "entries"), counted(a.Vendors, "vendor", "vendors"),
		counted(a.Errors, "error", "errors"), counted(a.Warnings, "warning", "warnings"))
}

func newRegistryInit(e *Env) *cobra.Command {
	var now nowFlag
	var paths []string
	var vendorFile, file string
	c := &cobra.Command{
		Use:   "init PATH",
		Short: "Draft an entry of every trust that exists and is not declared",
		Long: `Init writes a registry: an entry of every trust that crosses accounts or comes from outside, with all that can be known from
the input, and a TODO at what a person must supply: the owner, the purpose, the last day. With --registry, trusts that are
declared there are left out.`,
		Example: `  drawbridge registry init snapshot -o registry.yaml
  drawbridge registry init snapshot --registry registry/ --vendors vendors.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			declared, err := e.openRegistry(paths)
			if err != nil {
				return err
			}
			var vendors []snapshot.KnownVendor
			if vendorFile != "" {
				if vendors, err = ingest.OpenVendors(vendorFile); err != nil {
					return err
				}
			}
			graph, err := e.openGraph(args[0], at)
			if err != nil {
				return err
			}
			drafted := registry.Draft(graph, declared, vendors)
			if err := output(e, file, func(w io.Writer) error { return registry.Write(w, drafted) }); err != nil || file == "" {
				return err
			}
			_, err = fmt.Fprintf(e.Stdout, "%s: %s drafted; what a person must say is marked with TODO\n", file, counted(len(drafted.Entries), "entry", "entries"))
			return err
		},
	}
	registryFlag(c, &paths)
	c.Flags().StringVar(&vendorFile, "vendors", "", "known third parties and their accounts: a YAML `FILE` like the fwd:cloudsec list")
	c.Flags().StringVarP(&file, "output", "o", "", "write to this `FILE` instead of standard output")
	now.register(c)
	identityFlag(c, e)
	return c
}

func newRegistryImport(e *Env) *cobra.Command {
	var file string
	var into []string
	c := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Make entries of a spreadsheet",
		Long: `Import reads a spreadsheet in CSV, one trust a line under a line of headings, and writes a registry. Headings are mapped by
name, without case and punctuation: source or principal or trusted account, target or role ARN, owner or team, purpose or
reason, expires or end date, and so on. Several values in a cell are set apart by blanks, commas, semicolons or new lines.

With --into the spreadsheet fills in entries that are there, by their names: the files of the registry are edited in place, where
a cell says something else than the entry. An empty cell says nothing.

What a cell says and cannot be read is told with row and column. The exit status is then 1, and the rest is written all
the same.`,
		Example: `  drawbridge registry import trusts.csv -o registry.yaml
  drawbridge registry export registry/ > trusts.csv     # and when people have filled it in:
  drawbridge registry import trusts.csv --into registry/`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := e.readFile(args[0])
			if err != nil {
				return err
			}
			r, unknown, problems := registry.ImportCSV(args[0], data)
			for _, p := range problems {
				fmt.Fprintf(e.Stderr, "drawbridge: %v\n", p)
			}
			if len(unknown) > 0 {
				fmt.Fprintf(e.Stderr, "drawbridge: columns that are not known were left out: %s\n", strings.Join(unknown, ", "))
			}
			if len(into) > 0 {
				failed, err := e.fillRegistry(into, r)
				if err != nil {
					return err
				}
				problems = append(problems, failed...)
			} else if err := output(e, file, func(w io.Writer) error { return registry.Write(w, r) }); err != nil {
				return err
			}
			if len(problems) > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "", "write to this `FILE` instead of standard output")
	c.Flags().StringSliceVar(&into, "into", nil, "fill in the entries of this registry (`PATH`) in place; may come again")
	c.MarkFlagsMutuallyExclusive("output", "into")
	return c
}

// fillRegistry edits the files of a registry where a spreadsheet says something else.
func (e *Env) fillRegistry(paths []string, sheet *registry.Registry) ([]registry.Problem, error) {
	r, err := e.openRegistry(paths)
	if err != nil {
		return nil, err
	}
	fills, problems := registry.Fills(r, sheet)
	changes := 0
	byFile := map[string][]registry.Fill{}
	for _, f := range fills {
		byFile[f.Entry.Place.File] = append(byFile[f.Entry.Place.File], f)
		changes += len(f.Changes)
	}
	for _, file := range slices.Sorted(maps.Keys(byFile)) {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("opening the registry: %w", err)
		}
		text, failed := registry.FillText(file, data, byFile[file])
		problems = append(problems, failed...)
		if err := replace(file, text); err != nil {
			return nil, fmt.Errorf("writing the registry: %w", err)
		}
	}
	for _, p := range problems {
		fmt.Fprintf(e.Stderr, "drawbridge: %v\n", p)
	}
	_, err = fmt.Fprintf(e.Stdout, "%s filled in %s\n", counted(changes, "field", "fields"), counted(len(fills), "entry", "entries"))
	return problems, err
}

func newRegistryExport(e *Env) *cobra.Command {
	var file, form, folder string
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "export PATH…",
		Short: "Write the registry as a spreadsheet or one YAML file, or a broker's into a folder",
		Example: `  drawbridge registry export registry/ > trusts.csv
  drawbridge registry export registry/ --form yaml -o registry.yaml
  drawbridge registry export --broker registry/`,
		RunE: func(c *cobra.Command, args []string) error {
			if folder != "" {
				if len(args) > 0 || file != "" {
					return usagef("--broker writes the files of a broker's registry into its folder: it takes neither PATH nor --output")
				}
				b, err := broker.client(e)
				if err != nil {
					return err
				}
				return e.exportFrom(c, b, folder)
			}
			if len(args) == 0 {
				return usagef("which registry? Give its files, or --broker FOLDER")
			}
			write := registry.ExportCSV
			switch form {
			case "csv":
			case "yaml":
				write = registry.Write
			default:
				return usagef("--form %q is not known: use csv or yaml", form)
			}
			r, err := e.openRegistry(args)
			if err != nil {
				return err
			}
			var b bytes.Buffer
			if err := write(&b, r); err != nil {
				return err
			}
			return output(e, file, func(w io.Writer) error {
				_, err := w.Write(b.Bytes())
				return err
			})
		},
	}
	c.Flags().StringVar(&form, "form", "csv", "csv or yaml")
	c.Flags().StringVarP(&file, "output", "o", "", "write to this `FILE` instead of standard output")
	c.Flags().StringVar(&folder, "broker", "", "write the registry that is in force at a broker into this new `FOLDER`")
	broker.register(c)
	completeWords(c, "form", []string{"csv", "yaml"})
	return c
}
