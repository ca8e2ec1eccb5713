// Package store is a directory of snapshots, each in a directory that is named by the time its collection began: what is there, which is the newest that is whole, and which of them a rule of keeping keeps. It reads a file system
// that is given to it, and removes nothing.
package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/sealed"
)

const (
	// layout is a time that every file system takes for a name, and whose order is that of time.
	layout = "2006-01-02T15-04-05Z"
	// Partial is what the name of a run that was stopped ends with.
	Partial = ".partial"
	// Latest stands for the newest snapshot that is whole.
	Latest = "latest"
)

// Name is the name of a snapshot whose collection began at a time.
func Name(t time.Time) string { return t.UTC().Format(layout) }

// ParseName is the time that a name says; ok is false for any other name.
func ParseName(name string) (t time.Time, ok bool) {
	t, err := time.Parse(layout, name)
	return t, err == nil && Name(t) == name
}

// State is what can be said of a snapshot without reading it.
type State string

// States.
const (
	Complete State = "complete"
	Broken   State = "broken"  // something is missing of what was written, or cannot be read
	Stopped  State = "stopped" // a run that was stopped, or is at work
)

// Snapshot is one of a store.
type Snapshot struct {
	Name      string
	Time      time.Time // when its collection began
	State     State
	Problem   string // of a broken one: what is wrong
	Encrypted bool
	Accounts  int // that were read; -1: not known
	Gaps      int // -1: not known
	Bytes     int64
}

// ErrNone says that there is no snapshot that is whole.
var ErrNone = errors.New("no complete snapshot here")

// List lists the snapshots of a store, the oldest first. Whatever has no snapshot's name is none.
func List(fsys fs.FS) ([]Snapshot, error) {
	names, err := names(fsys)
	if err != nil {
		return nil, err
	}
	list := make([]Snapshot, len(names))
	for i, name := range names {
		list[i] = inspect(fsys, name, true)
		if list[i].Bytes, err = size(fsys, name); err != nil {
			return nil, fmt.Errorf("reading snapshot %s: %w", name, err)
		}
	}
	return list, nil
}

// Newest is the name of the newest snapshot that is whole. It wraps ErrNone where there is none.
func Newest(fsys fs.FS) (string, error) {
	names, err := names(fsys)
	if err != nil {
		return "", err
	}
	var broken []error
	for _, name := range slices.Backward(names) {
		switch s := inspect(fsys, name, false); s.State {
		case Complete:
			return name, nil
		case Broken:
			broken = append(broken, fmt.Errorf("%s is broken: %s", name, s.Problem))
		}
	}
	return "", errors.Join(append([]error{ErrNone}, broken...)...)
}

// Is reports whether a directory has snapshots of a store in it.
func Is(fsys fs.FS) bool {
	names, err := names(fsys)
	return err == nil && len(names) > 0
}

// names are those of snapshots and of stopped runs, in the order of time.
func names(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, fmt.Errorf("reading the directory of snapshots: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, ok := ParseName(strings.TrimSuffix(e.Name(), Partial)); ok && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// inspect looks at one snapshot. Gaps are counted where that is asked for: it takes reading every file of resources.
func inspect(fsys fs.FS, name string, count bool) Snapshot {
	s := Snapshot{Name: name, State: Complete, Accounts: -1, Gaps: -1}
	s.Time, _ = ParseName(strings.TrimSuffix(name, Partial))
	dir, err := fs.Sub(fsys, name)
	if err != nil {
		s.State, s.Problem = Broken, err.Error()
		return s
	}
	if strings.HasSuffix(name, Partial) {
		s.State = Stopped
		_, err := fs.Stat(dir, sealed.KeyFile)
		s.Encrypted = err == nil
		return s
	}
	_, key := fs.Stat(dir, sealed.KeyFile)
	if s.Encrypted = sealed.Is(dir) || key == nil; s.Encrypted {
		m, err := sealed.ReadManifest(dir)
		if err != nil {
			s.State, s.Problem = Broken, err.Error()
			return s
		}
		s.Accounts, s.Gaps = m.Accounts, m.Gaps
		return s
	}
	if err := s.plain(dir, count); err != nil {
		s.State, s.Problem, s.Accounts, s.Gaps = Broken, err.Error(), -1, -1
	}
	return s
}

// plain looks at a snapshot in the clear. The collector writes collected.json last in each account, and puts the whole in its place when all are there: what lacks was taken away.
func (s *Snapshot) plain(dir fs.FS, count bool) error {
	var organization struct {
		Version int `json:"version"`
	}
	if err := readJSON(dir, "organization.json", &organization); err != nil {
		return err
	}
	entries, err := fs.ReadDir(dir, "accounts")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	s.Accounts, s.Gaps = 0, 0
	places := []string{"."}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		s.Accounts++
		place := path.Join("accounts", e.Name())
		places = append(places, place)
		var collected struct{}
		if err := readJSON(dir, path.Join(place, "collected.json"), &collected); err != nil {
			return err
		}
	}
	if !count {
		s.Gaps = -1
		return nil
	}
	for _, place := range places {
		n, err := gaps(dir, place)
		if err != nil {
			return err
		}
		s.Gaps += n
	}
	return nil
}

// gaps counts those of an account, or of the root: what gaps.json lists, and policies that could not be read, which stand with their resources.
func gaps(dir fs.FS, place string) (int, error) {
	var list []json.RawMessage
	if err := readJSON(dir, path.Join(place, "gaps.json"), &list); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	n := len(list)
	name := path.Join(place, "resources.jsonl")
	f, err := dir.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return n, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for d := json.NewDecoder(bufio.NewReader(f)); d.More(); {
		var r struct {
			Error *string `json:"error"`
		}
		if err := d.Decode(&r); err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		if r.Error != nil {
			n++
		}
	}
	return n, nil
}

func readJSON(dir fs.FS, name string, v any) error {
	text, err := fs.ReadFile(dir, name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func size(fsys fs.FS, name string) (n int64, err error) {
	err = fs.WalkDir(fsys, name, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			n += info.Size()
		}
		if errors.Is(err, fs.ErrNotExist) { // of a run that is at work
			return nil
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return n, err
}
