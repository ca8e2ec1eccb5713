package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/ingest"
)

// registryText is a registry as it lies in files; names are those below the path that was given, so that they are the same wherever it lies.
func registryText(paths []string) ([]wire.RegistryFile, error) {
	var out []wire.RegistryFile
	seen := make(map[string]string)
	for _, path := range paths {
		files, err := ingest.RegistryFiles(path)
		if err != nil {
			return nil, fmt.Errorf("opening the registry: %w", err)
		}
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				return nil, fmt.Errorf("opening the registry: %w", err)
			}
			name, err := filepath.Rel(path, f)
			if err != nil || name == "." {
				name = filepath.Base(f)
			}
			name = filepath.ToSlash(name)
			if other, twice := seen[name]; twice {
				return nil, fmt.Errorf("%s and %s have one name in the registry: %s", other, f, name)
			}
			seen[name] = f
			out = append(out, wire.RegistryFile{Name: name, Text: string(text)})
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("opening the registry: no .yaml, .yml or .json file in %s", strings.Join(paths, ", "))
	}
	return out, nil
}

// showDifferences is what a change of the registry changes, for people.
func showDifferences(w io.Writer, list []wire.Difference) error {
	var b strings.Builder
	for _, d := range list {
		sign := map[string]string{"added": "+", "removed": "-", "changed": "~"}[d.How]
		fmt.Fprintf(&b, "%s %s %s\n", sign, strings.ToLower(d.Kind), d.Name)
		for _, text := range d.Widens {
			fmt.Fprintf(&b, "    widens: %s\n", text)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newRegistryDiff(e *Env) *cobra.Command {
	var broker brokerFlags
	c := &cobra.Command{
		Use:   "diff PATH…",
		Short: "Say what files would change in a broker's registry",
		Long:  `Compares a registry in files with the one that is in force at a broker, and says what would be added, removed and changed, and what may happen then that could not before. The exit status is 1 where they differ.`,
		Args:  cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			text, err := registryText(args)
			if err != nil {
				return err
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			d, err := b.CompareRegistry(c.Context(), wire.RegistryText{Text: text})
			if err != nil {
				return e.refused(err)
			}
			if len(d.Differences) == 0 {
				return nil
			}
			if err := written(showDifferences(e.Stdout, d.Differences)); err != nil {
				return err
			}
			return errUnwanted
		},
	}
	broker.register(c)
	return c
}

func newRegistryApply(e *Env) *cobra.Command {
	var broker brokerFlags
	var why string
	c := &cobra.Command{
		Use:   "apply PATH… --reason TEXT",
		Short: "Make a broker's registry what files say",
		Long: `Makes the registry of a broker what the files say, as a whole: what is not in them is removed. A change that lets nothing happen that could not before is in force at once; one that widens waits for a second person, who reads it by
'drawbridge registry editions ID' and agrees by 'drawbridge registry agree ID', and the exit status is 4.

Access that the changed registry does not cover any more is stopped: requests are suspended until people approve again, or revoked where their entry is gone.`,
		Example: `  drawbridge registry apply registry/ --reason "CHG-311: the new backup vendor"`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(why) == "" {
				return usagef("--reason is missing: the record needs it")
			}
			text, err := registryText(args)
			if err != nil {
				return err
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			d, err := b.CompareRegistry(c.Context(), wire.RegistryText{Text: text})
			if err != nil {
				return e.refused(err)
			}
			if len(d.Differences) == 0 {
				fmt.Fprintln(e.Stderr, "the broker's registry says the same: nothing to do")
				return nil
			}
			got, err := b.ChangeRegistry(c.Context(), wire.RegistryText{Text: text, Why: why, Base: &d.Base})
			if err != nil {
				return e.refused(err)
			}
			if err := written(showDifferences(e.Stdout, got.Edition.Differences)); err != nil {
				return err
			}
			return e.editionDone(got)
		},
	}
	broker.register(c)
	c.Flags().StringVar(&why, "reason", "", "why, in a `SENTENCE`")
	return c
}

// editionDone says what became of a change of the registry.
func (e *Env) editionDone(got *wire.RegistryChanged) error {
	for _, id := range got.Stopped {
		fmt.Fprintf(e.Stdout, "stopped: request %s\n", id)
	}
	switch got.Edition.State {
	case "proposed":
		return Stopped(fmt.Errorf("edition %s widens what may happen, and waits for a second person: drawbridge registry agree %s", got.Edition.ID, got.Edition.ID))
	case "in force":
		fmt.Fprintf(e.Stdout, "in force: edition %s\n", got.Edition.ID)
	default:
		fmt.Fprintf(e.Stdout, "%s: edition %s\n", got.Edition.State, got.Edition.ID)
	}
	return nil
}

func newRegistryEditions(e *Env) *cobra.Command {
	var broker brokerFlags
	var format string
	c := &cobra.Command{
		Use:   "editions [ID]",
		Short: "List the editions of a broker's registry, or show one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usagef("--format %q: expected text or json", format)
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			asJSON := func(v any) error {
				w := json.NewEncoder(e.Stdout)
				w.SetIndent("", "  ")
				w.SetEscapeHTML(false)
				return written(w.Encode(v))
			}
			if len(args) == 1 {
				x, err := b.Edition(c.Context(), args[0])
				if err != nil {
					return e.refused(err)
				}
				if format == "json" {
					return asJSON(x)
				}
				fmt.Fprintf(e.Stdout, "%s  %s\n  by %s on %s: %s\n", x.ID, x.State, x.By, x.At.UTC().Format(minute), x.Why)
				if x.DecidedBy != "" {
					fmt.Fprintf(e.Stdout, "  decided by %s %s\n", x.DecidedBy, x.Reason)
				}
				return written(showDifferences(e.Stdout, x.Differences))
			}
			list, err := b.Editions(c.Context())
			if err != nil {
				return e.refused(err)
			}
			if format == "json" {
				return asJSON(wire.Editions{Editions: append([]wire.Edition{}, list...)})
			}
			w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "EDITION\tSTATE\tWHEN\tBY\tAGREED BY\tWHY")
			for _, x := range list {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", x.ID, x.State, x.At.UTC().Format(minute), x.By, x.DecidedBy, x.Why)
			}
			return written(w.Flush())
		},
	}
	broker.register(c)
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// newRegistryDecide is agree or reject.
func newRegistryDecide(e *Env, agree bool) *cobra.Command {
	var broker brokerFlags
	var reason string
	c := &cobra.Command{
		Use:   "agree EDITION",
		Short: "Agree to a change of a broker's registry that somebody else proposed",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if !agree && strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: say why, to the one who proposed it")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			got, err := b.DecideEdition(c.Context(), args[0], wire.DecideEdition{Agree: agree, Reason: reason})
			if err != nil {
				return e.refused(err)
			}
			return e.editionDone(got)
		},
	}
	if !agree {
		c.Use, c.Short = "reject EDITION --reason TEXT", "Reject a proposed change of a broker's registry"
	}
	broker.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	return c
}

// exportFrom writes the registry that is in force at a broker into a folder, file by file as it was applied.
func (e *Env) exportFrom(c *cobra.Command, b *client.Client, folder string) error {
	x, err := b.Registry(c.Context())
	if err != nil {
		return e.refused(err)
	}
	if x.ID == "" {
		return errors.New("the broker has no registry yet")
	}
	for _, f := range x.Text {
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return fmt.Errorf("the broker's registry has a file %q, which would lie outside of %s", f.Name, folder)
		}
	}
	// A folder that is there may hold other entries: they would look as if they were the broker's.
	if err := os.Mkdir(folder, 0o755); err != nil {
		return Unwritten(err)
	}
	for _, f := range x.Text {
		name := filepath.Join(folder, filepath.FromSlash(f.Name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return Unwritten(err)
		}
		if err := os.WriteFile(name, []byte(f.Text), 0o644); err != nil {
			return Unwritten(err)
		}
	}
	fmt.Fprintf(e.Stderr, "%d files of edition %s are in %s\n", len(x.Text), x.ID, folder)
	return nil
}
