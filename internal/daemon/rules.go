package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"drawbridge/iam/ref"
	"drawbridge/internal/api"
	"drawbridge/internal/broker"
	"drawbridge/internal/ingest"
	"drawbridge/internal/registry"
)

// rules are the registry as it is in force: a folder of files, as they were when the daemon started, or the editions in the store.
type rules struct {
	editions broker.Editions // nil for files
	issues   bool            // the broker is an issuer, by whose tokens roles are taken
	assumed  []string        // roles that are taken by AssumeRole all the same
	// longest is a role's longest session, 0 where it is not known.
	longest func(role string) time.Duration

	mu       sync.Mutex
	registry *registry.Registry
	version  string
}

func openRules(editions broker.Editions, path string) (*rules, error) {
	if path == "" {
		return &rules{editions: editions, registry: &registry.Registry{}}, nil
	}
	files, err := ingest.RegistryFiles(path)
	if err != nil {
		return nil, fmt.Errorf("opening the registry: %w", err)
	}
	var text []broker.RegistryFile
	h := sha256.New()
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("opening the registry: %w", err)
		}
		fmt.Fprintf(h, "%s %d\n", filepath.Base(f), len(data))
		h.Write(data)
		text = append(text, broker.RegistryFile{Name: filepath.ToSlash(f), Text: string(data)})
	}
	r, problems := readRegistry(text)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%w: %s has %d; 'drawbridge registry check %s' lists them. The first: %s", ingest.ErrRegistry, path, len(problems), path, problems[0])
	}
	return &rules{registry: r, version: hex.EncodeToString(h.Sum(nil))[:16]}, nil
}

// readRegistry reads the files of a registry, with their mistakes.
func readRegistry(text []broker.RegistryFile) (*registry.Registry, []registry.Problem) {
	all := &registry.Registry{}
	var problems []registry.Problem
	for _, f := range text {
		part, found := registry.Parse(f.Name, []byte(f.Text))
		all.Entries, all.Vendors = append(all.Entries, part.Entries...), append(all.Vendors, part.Vendors...)
		problems = append(problems, found...)
	}
	return all, mistakes(problems)
}

// mistakes leaves out warnings: an entry with one is usable.
func mistakes(problems []registry.Problem) []registry.Problem {
	registry.SortProblems(problems)
	return slices.DeleteFunc(problems, func(p registry.Problem) bool { return p.Warning })
}

// current is the registry in force. The store is asked each time which edition that is, so that no daemon works by an older one.
func (r *rules) current(ctx context.Context) (*registry.Registry, string, error) {
	if r.editions == nil {
		return r.registry, r.version, nil
	}
	id, err := r.editions.EditionInForce(ctx)
	if err != nil {
		return nil, "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if id != r.version {
		e, err := r.editions.Edition(ctx, id)
		if err != nil {
			return nil, "", err
		}
		r.registry, _ = readRegistry(e.Text) // it was checked when it was proposed
		r.version = id
	}
	return r.registry, r.version, nil
}

// Entry implements broker.Rules.
func (r *rules) Entry(ctx context.Context, name string) (*registry.Entry, *registry.Vendor, string, error) {
	all, version, err := r.current(ctx)
	if err != nil {
		return nil, nil, "", err
	}
	e := all.Entry(name)
	if e == nil {
		return nil, nil, version, nil
	}
	return e, all.Vendor(e.Vendor), version, nil
}

// federates reports whether a role is taken by a token of the broker's own issuer.
func (r *rules) federates(role string) bool { return r.issues && !slices.Contains(r.assumed, role) }

// Target implements broker.Rules.
func (r *rules) Target(_ context.Context, role string) (time.Duration, bool, error) {
	return r.longest(role), r.federates(role), nil
}

// registry is what the API needs of the registry; nil where it is a folder of files.
func (d *Daemon) registry(alone bool) *api.Registry {
	if d.rules.editions == nil {
		return nil
	}
	return &api.Registry{
		Editions: d.store, Changed: d.broker.Recheck, Alone: alone,
		Compare: func(before *broker.Edition, text []broker.RegistryFile) ([]registry.Difference, []registry.Problem, error) {
			after, problems := readRegistry(text)
			if len(problems) > 0 {
				return nil, problems, nil
			}
			was := &registry.Registry{}
			if before != nil {
				was, _ = readRegistry(before.Text)
			}
			list := registry.Compare(was, after, ref.Engine())
			// What was there before and has become a mistake since, such as an entry that has expired, does not stop a change of others.
			problems = slices.DeleteFunc(mistakes(after.Check(registry.CheckOptions{Now: time.Now()})), func(p registry.Problem) bool {
				return !slices.ContainsFunc(list, func(d registry.Difference) bool { return d.Name == p.Entry })
			})
			return list, problems, nil
		},
	}
}
