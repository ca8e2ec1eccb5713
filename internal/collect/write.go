package collect

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// writer writes a snapshot beside its place, account by account, and puts it there when it is whole.
type writer struct {
	out  string
	work string // out + partialSuffix
}

const (
	partialSuffix = ".partial"
	collectedFile = "collected.json"
)

// collected is accounts/<id>/collected.json: that the account was read to its end, and when. It is written last.
type collected struct {
	At     time.Time `json:"at"`
	Gaps   int       `json:"gaps"`
	Absent []string  `json:"notOffered,omitempty"` // services that are not offered in a region
}

// ErrExists says that there is a snapshot already.
var ErrExists = errors.New("there is a snapshot already")

func (r *run) open() (*writer, error) {
	w := &writer{out: filepath.Clean(r.Out), work: filepath.Clean(r.Out) + partialSuffix}
	if _, err := os.Stat(w.out); err == nil {
		return nil, fmt.Errorf("%s: %w", w.out, ErrExists)
	}
	if err := os.MkdirAll(filepath.Join(w.work, "accounts"), 0o700); err != nil {
		return nil, fmt.Errorf("making the snapshot's directory: %w", err)
	}
	return w, nil
}

func (w *writer) close() {}

// root writes what belongs to no account.
func (w *writer) root(tree organization, f *facts) error {
	f.sort()
	if err := writeJSON(filepath.Join(w.work, "organization.json"), tree); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(w.work, "resources.jsonl"), f.resources); err != nil {
		return err
	}
	if err := writeLines(filepath.Join(w.work, "shares.jsonl"), f.shares); err != nil {
		return err
	}
	return writeJSON(filepath.Join(w.work, "gaps.json"), orEmpty(f.gaps))
}

// kept reports whether an account is there already, with its gaps.
func (w *writer) kept(id string) (gaps int, ok bool) {
	text, err := os.ReadFile(filepath.Join(w.work, "accounts", id, collectedFile))
	if err != nil {
		return 0, false
	}
	var c collected
	if json.Unmarshal(text, &c) != nil {
		return 0, false
	}
	return c.Gaps, true
}

// finish puts the whole snapshot into its place.
func (w *writer) finish() error {
	if err := os.Rename(w.work, w.out); err != nil {
		return fmt.Errorf("putting the snapshot into its place: %w", err)
	}
	return nil
}

// accountDir is the directory of one account while it is written.
type accountDir struct{ dir, work string }

func (w *writer) account(id string) (*accountDir, error) {
	a := &accountDir{dir: filepath.Join(w.work, "accounts", id), work: filepath.Join(w.work, "."+id)}
	for _, dir := range []string{a.dir, a.work} {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("clearing the account's directory: %w", err)
		}
	}
	if err := os.Mkdir(a.work, 0o700); err != nil {
		return nil, fmt.Errorf("making the account's directory: %w", err)
	}
	return a, nil
}

// page writes a page of authorization details.
func (a *accountDir) page(n int, content detailsPage) error {
	name := "iam.json"
	if n > 1 {
		name = fmt.Sprintf("iam-%d.json", n)
	}
	return writeJSON(filepath.Join(a.work, name), content)
}

// finish writes the facts and puts the directory into its place: from then on the account counts as read.
func (a *accountDir) finish(f *facts, now time.Time) error {
	err := errors.Join(
		writeLines(filepath.Join(a.work, "resources.jsonl"), f.resources),
		writeJSON(filepath.Join(a.work, "providers.json"), orEmpty(f.providers)),
		writeLines(filepath.Join(a.work, "grants.jsonl"), f.grants),
		writeLines(filepath.Join(a.work, "shares.jsonl"), f.shares),
		writeJSON(filepath.Join(a.work, "usage.json"), orEmpty(f.usage)),
		writeJSON(filepath.Join(a.work, "gaps.json"), orEmpty(f.gaps)),
		writeJSON(filepath.Join(a.work, collectedFile), collected{At: now, Gaps: len(f.gaps), Absent: f.absent}),
	)
	if err != nil {
		return err
	}
	if err := os.Rename(a.work, a.dir); err != nil {
		return fmt.Errorf("putting the account into its place: %w", err)
	}
	return nil
}

// abandon removes what was begun and not finished.
func (a *accountDir) abandon() { _ = os.RemoveAll(a.work) }

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func writeJSON(name string, v any) error {
	text, err := encode(v)
	if err == nil {
		err = os.WriteFile(name, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}
	return nil
}

func writeLines[T any](name string, list []T) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}
	b := bufio.NewWriter(f)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	for i := range list {
		if err = enc.Encode(list[i]); err != nil {
			break
		}
	}
	if err = errors.Join(err, b.Flush(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}
	return nil
}
