package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/ref"
	"drawbridge/internal/ingest"
	"drawbridge/internal/registry"
)

// registryFiles are the files of a registry while it is edited: what was read, and what is to be written.
type registryFiles struct {
	names    []string
	old, new map[string][]byte
	edited   []string // names of the entries that were edited
	options  registry.CheckOptions
	places   map[registry.Kind]map[string][]registry.Place // of names; nil: not looked up yet
}

func openRegistryFiles(paths []string, options registry.CheckOptions) (*registryFiles, error) {
	f := &registryFiles{old: map[string][]byte{}, new: map[string][]byte{}, options: options}
	for _, path := range paths {
		names, err := ingest.RegistryFiles(path)
		if err != nil {
			return nil, fmt.Errorf("opening the registry: %w", err)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("opening the registry: %w", err)
			}
			if _, twice := f.old[name]; !twice {
				f.names = append(f.names, name)
			}
			f.old[name], f.new[name] = data, data
		}
	}
	if len(f.names) == 0 {
		return nil, fmt.Errorf("opening the registry: no .yaml, .yml or .json file in %s", strings.Join(paths, ", "))
	}
	return f, nil
}

// read is the registry as it was, or as it is to be, with its mistakes.
func (f *registryFiles) read(files map[string][]byte) (*registry.Registry, []registry.Problem) {
	all := &registry.Registry{}
	var problems []registry.Problem
	for _, name := range f.names {
		r, found := registry.Parse(filepath.ToSlash(name), files[name])
		all.Entries = append(all.Entries, r.Entries...)
		all.Vendors = append(all.Vendors, r.Vendors...)
		problems = append(problems, found...)
	}
	problems = append(problems, all.Check(f.options)...)
	registry.SortProblems(problems)
	return all, problems
}

// file is where an entry or vendor is declared. Edits keep names: where they are is looked up once.
func (f *registryFiles) file(k registry.Kind, name string) (string, error) {
	if f.places == nil {
		f.places = map[registry.Kind]map[string][]registry.Place{registry.TrustKind: {}, registry.VendorKind: {}}
		r, _ := f.read(f.new)
		for i := range r.Entries {
			e := &r.Entries[i]
			f.places[registry.TrustKind][e.Name] = append(f.places[registry.TrustKind][e.Name], e.Place)
		}
		for i := range r.Vendors {
			v := &r.Vendors[i]
			f.places[registry.VendorKind][v.Name] = append(f.places[registry.VendorKind][v.Name], v.Place)
		}
	}
	places := f.places[k][name]
	switch {
	case len(places) == 0 && k == registry.VendorKind:
		return "", fmt.Errorf("the registry has no vendor %q", name)
	case len(places) == 0:
		return "", fmt.Errorf("the registry has no entry %q%s", name, nearestEntry(f.places[k], name))
	case len(places) > 1:
		return "", fmt.Errorf("%s:%d: %s: %w: also at %s:%d", places[1].File, places[1].Line, name, registry.ErrTwice, places[0].File, places[0].Line)
	}
	for _, file := range f.names {
		if filepath.ToSlash(file) == places[0].File {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, registry.ErrNoEntry)
}

// nearestEntry names entries whose names hold the text.
func nearestEntry(names map[string][]registry.Place, name string) string {
	var near []string
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if name != "" && strings.Contains(strings.ToLower(n), strings.ToLower(name)) && len(near) < 5 {
			near = append(near, n)
		}
	}
	if len(near) == 0 {
		return ""
	}
	return "; there is " + strings.Join(near, ", ")
}

func (f *registryFiles) edit(k registry.Kind, name string, changes ...registry.Change) error {
	file, err := f.file(k, name)
	if err != nil {
		return err
	}
	text, err := registry.Edit(filepath.ToSlash(file), f.new[file], k, name, changes...)
	if err == nil {
		f.new[file] = text
		f.edited = append(f.edited, name)
	}
	return err
}

func (f *registryFiles) remove(k registry.Kind, name string) error {
	file, err := f.file(k, name)
	if err != nil {
		return err
	}
	text, err := registry.Remove(filepath.ToSlash(file), f.new[file], k, name)
	if err == nil {
		f.new[file] = text
		delete(f.places[k], name)
	}
	return err
}

// diff is the change of all files.
func (f *registryFiles) diff() string {
	var out strings.Builder
	for _, name := range f.names {
		out.WriteString(unified(filepath.ToSlash(name), string(f.old[name]), string(f.new[name])))
	}
	return out.String()
}

// worse are the errors that were not there before the edit.
func (f *registryFiles) worse() []registry.Problem {
	key := func(p registry.Problem) string { return p.File + "\x00" + p.Entry + "\x00" + p.Message }
	_, was := f.read(f.old)
	_, is := f.read(f.new)
	before := map[string]int{}
	for _, p := range was {
		before[key(p)]++
	}
	var out []registry.Problem
	for _, p := range is {
		if before[key(p)]--; before[key(p)] < 0 && !p.Warning {
			out = append(out, p)
		}
	}
	return out
}

// widened says what the edited entries let happen that they did not before.
func (f *registryFiles) widened() []string {
	was, _ := f.read(f.old)
	is, _ := f.read(f.new)
	var out []string
	for i := range was.Entries {
		for j := range is.Entries {
			if before, after := &was.Entries[i], &is.Entries[j]; before.Name == after.Name && slices.Contains(f.edited, before.Name) {
				for _, w := range registry.Widens(before, after, ref.Engine()) {
					out = append(out, before.Name+" is wider: "+w)
				}
			}
		}
	}
	return out
}

// write puts the new texts in place. A file in which nothing is left goes.
func (f *registryFiles) write() error {
	for _, name := range f.names {
		if bytes.Equal(f.old[name], f.new[name]) {
			continue
		}
		gone := len(bytes.TrimSpace(f.new[name])) == 0
		err := change(name, func(now []byte) ([]byte, error) {
			if !bytes.Equal(now, f.old[name]) {
				return nil, errStale
			}
			if gone {
				return nil, os.Remove(name)
			}
			return f.new[name], nil
		})
		if errors.Is(err, errStale) {
			return fmt.Errorf("%s %w", filepath.ToSlash(name), err)
		} else if err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
	}
	return nil
}

// finish checks what was edited, shows it, and writes it where it is meant. What makes the registry worse is refused.
func (f *registryFiles) finish(e *Env, dry bool) error {
	d := f.diff()
	if d == "" {
		_, err := io.WriteString(e.Stdout, "nothing changes\n")
		return err
	}
	if worse := f.worse(); len(worse) > 0 {
		for _, p := range worse {
			fmt.Fprintf(e.Stderr, "%v\n", p)
		}
		return fmt.Errorf("%s would come of it: nothing was written", counted(len(worse), "error", "errors"))
	}
	if _, err := io.WriteString(e.Stdout, d); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	for _, w := range f.widened() {
		fmt.Fprintf(e.Stderr, "drawbridge: %s\n", w)
	}
	if dry {
		return nil
	}
	return f.write()
}

// editFlags are what the commands that edit the registry share.
type editFlags struct {
	paths  []string
	input  string
	vendor bool
	dry    bool
	now    nowFlag
}

func (f *editFlags) register(c *cobra.Command) {
	registryFlag(c, &f.paths)
	c.Flags().StringVar(&f.input, "snapshot", "", "an input as scan takes it (`PATH`): accounts that are not of its organisation are third parties")
	c.Flags().BoolVar(&f.vendor, "vendor", false, "NAME is a vendor")
	c.Flags().BoolVar(&f.dry, "dry-run", false, "show the change and write nothing")
	f.now.register(c)
}

func (f *editFlags) open(e *Env) (*registryFiles, registry.Kind, error) {
	if len(f.paths) == 0 {
		return nil, "", usagef("--registry is missing: where are the entries?")
	}
	at, _, err := f.now.value(e)
	if err != nil {
		return nil, "", err
	}
	options := registry.CheckOptions{Now: at}
	if f.input != "" {
		graph, err := e.openGraph(f.input, at)
		if err != nil {
			return nil, "", err
		}
		options.Own = ownAccounts(graph.Org)
	}
	files, err := openRegistryFiles(f.paths, options)
	if f.vendor {
		return files, registry.VendorKind, err
	}
	return files, registry.TrustKind, err
}

func newRegistrySet(e *Env) *cobra.Command {
	var flags editFlags
	c := &cobra.Command{
		Use:   "set NAME FIELD=VALUE… --registry PATH",
		Short: "Change fields of an entry where it stands",
		Long: `Set changes fields of an entry in its file, and nothing else of it: comments, order, quotes and line ends stay. FIELD=VALUE sets
a field, FIELD= takes it away, FIELD+=VALUE and FIELD-=VALUE change a list; several values of a list are set apart by commas.

Fields of an entry: ` + wrapped(registry.EditableFields(registry.TrustKind)) + `

Fields of a vendor: ` + wrapped(registry.EditableFields(registry.VendorKind)) + `

The registry is checked afterwards as registry check does. A change that brings an error that was not there is refused. Where the
entry lets in more, for longer or on fewer words than before, that is said.`,
		Example: `  drawbridge registry set ci-deploy expires=2027-06-30 --registry registry/
  drawbridge registry set ci-deploy principals+=arn:aws:iam::111122223333:role/release actions-=s3:DeleteObject --registry registry/
  drawbridge registry set Watchtower status=ended --vendor --registry registry/ --dry-run`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			kind := registry.TrustKind
			if flags.vendor {
				kind = registry.VendorKind
			}
			var changes []registry.Change
			for _, a := range args[1:] {
				c, err := registry.ParseChange(kind, a)
				if err != nil {
					return usagef("%w", err)
				}
				changes = append(changes, c)
			}
			files, kind, err := flags.open(e)
			if err != nil {
				return err
			}
			if err := files.edit(kind, args[0], changes...); err != nil {
				return err
			}
			return files.finish(e, flags.dry)
		},
	}
	flags.register(c)
	identityFlag(c, e)
	return c
}

// wrapped sets words in lines of the width of the help.
func wrapped(words []string) string {
	var b strings.Builder
	width := 20
	for i, w := range words {
		if i > 0 {
			b.WriteString(",")
			if width += len(w) + 2; width > 110 {
				b.WriteString("\n")
				width = len(w)
			} else {
				b.WriteString(" ")
			}
		}
		b.WriteString(w)
	}
	return b.String()
}

func newRegistryRemove(e *Env) *cobra.Command {
	var flags editFlags
	c := &cobra.Command{
		Use:   "remove NAME… --registry PATH",
		Short: "Take entries out of their files",
		Long: `Remove takes entries out of their files, with the comments directly above it; the other entries keep every byte. A file in which
nothing is left goes. The trust itself stays in AWS until it is removed there: drawbridge reconcile calls it unregistered then.`,
		Example: `  drawbridge registry remove old-report --registry registry/`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			files, kind, err := flags.open(e)
			if err != nil {
				return err
			}
			for _, name := range args {
				if err := files.remove(kind, name); err != nil {
					return err
				}
			}
			return files.finish(e, flags.dry)
		},
	}
	flags.register(c)
	identityFlag(c, e)
	return c
}
