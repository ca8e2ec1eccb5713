package collect

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/sealed"
	"drawbridge/internal/store"
)

// writer writes a snapshot beside its place, account by account, and puts it there when it is whole.
//
// At any moment, kill -9 and power cuts included, Out is the old snapshot, the new one or not there, and the directory beside it is one that the next run goes on with: an account's directory appears by one rename after
// its files are on the disk, and the whole snapshot by one rename or exchange.
type writer struct {
	out    string
	work   string // out + partialSuffix
	lock   *os.File
	seal   *seal           // nil for a snapshot that is not encrypted
	old    fs.FS           // an earlier snapshot, that accounts are taken over from; nil: none
	from   string          // its directory, where its files can be linked to; "" where they cannot
	since  time.Time       // accounts of it that are at least so new are taken over
	scope  string          // what is read of an account: only accounts that were read with the same are taken over
	wanted map[string]bool // accounts of this run
}

const (
	partialSuffix = store.Partial
	freshSuffix   = ".new"
	accountsDir   = "accounts"
	collectedFile = "collected.json"
	// beginFile holds the options of the run that a directory belongs to: only a run with the same goes on with it. It is no JSON file by its name, so that no reader of a snapshot takes it for one.
	beginFile = ".begun"
	// replacedFile marks a snapshot that is about to be replaced: what is then found in the place of the partial one may be removed.
	replacedFile = ".replaced"
)

// collected is accounts/<id>/collected.json: when the account was read, and whether to its end. It is written last.
type collected struct {
	At       time.Time `json:"at"`
	Complete bool      `json:"complete"` // false: its role could not be assumed; it is tried again
	Scope    string    `json:"scope,omitempty"`
	Gaps     int       `json:"gaps"`
	Absent   []string  `json:"notOffered,omitempty"` // services that are not offered in a region
}

// ErrExists says that there is a snapshot already, ErrOptions that a run was begun with other options, ErrLocked that another run is at work.
var (
	ErrExists  = errors.New("there is a snapshot already: give --replace to read everything anew, or --since to read only what is old")
	ErrOptions = errors.New("a run that was stopped began with other options: give the same ones to go on, or --restart to begin anew")
	ErrLocked  = errors.New("another run is writing there")
)

// choices are the options that decide what a snapshot holds, by the name of their flag. What could be taken for a secret stands as its digest.
func (r *run) choices() map[string]string {
	sorted := func(list []string) string {
		list = slices.Clone(list)
		slices.Sort(list)
		return strings.Join(list, ",")
	}
	return map[string]string{
		"credentials of account": r.caller, "role": r.Role, "role-path": r.RolePath, "external-id": digest(r.ExternalID),
		"accounts": sorted(r.Accounts), "regions": sorted(r.Regions), "services and types": r.scope(), "last-accessed": fmt.Sprint(r.LastAccessed),
		"encrypt-to": r.recipients(),
	}
}

// scope is what is read of an account.
func (r *run) scope() string {
	var names []string
	for _, row := range r.Rows {
		names = append(names, row.Name)
	}
	slices.Sort(names)
	regions := slices.Clone(r.Regions)
	slices.Sort(regions)
	return digest(fmt.Sprint(names, regions, r.LastAccessed))
}

func digest(s string) string {
	if s == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// open takes the lock and finds what an earlier run left. It reports whether this run goes on with it.
func (r *run) open() (w *writer, resumed bool, err error) {
	w = &writer{scope: r.scope()}
	opened := w
	defer func() {
		if err != nil {
			opened.close()
		}
	}()
	if r.Store != "" {
		err = w.inStore(r)
	} else {
		err = w.at(filepath.Clean(r.Out))
	}
	if err != nil {
		return nil, false, err
	}
	if err := w.recover(); err != nil {
		return nil, false, err
	}
	switch info, err := os.Stat(w.out); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, false, fmt.Errorf("looking for an earlier snapshot: %w", err)
	case !info.IsDir():
		return nil, false, fmt.Errorf("%s is a file: the snapshot is a directory", w.out)
	case r.Since > 0:
		if err := w.takeOver(w.out, r); err != nil {
			return nil, false, err
		}
	case !r.Replace:
		return nil, false, fmt.Errorf("%s: %w", w.out, ErrExists)
	}
	choices := r.choices()
	text, err := os.ReadFile(filepath.Join(w.work, beginFile))
	switch {
	case err == nil && !r.Restart:
		var before map[string]string
		if err := json.Unmarshal(text, &before); err != nil {
			return nil, false, fmt.Errorf("%s is not readable: give --restart to begin anew: %w", filepath.Join(w.work, beginFile), err)
		}
		if before[sealOwn] != "" || len(r.EncryptTo) > 0 {
			if before[sealOwn] == "" || len(r.EncryptTo) == 0 {
				return nil, false, fmt.Errorf("%s: %w (other are: encrypt-to)", w.work, ErrOptions)
			}
			w.seal = &seal{own: before[sealOwn], salt: before[sealSalt]}
			if choices, err = w.seal.hide(choices); err != nil {
				return nil, false, err
			}
		}
		var other []string
		for name, choice := range choices {
			if before[name] != choice {
				other = append(other, name)
			}
		}
		if len(other) > 0 {
			slices.Sort(other)
			return nil, false, fmt.Errorf("%s: %w (other are: %s)", w.work, ErrOptions, strings.Join(other, ", "))
		}
		return w, true, nil
	case err == nil:
		if err := os.RemoveAll(w.work); err != nil {
			return nil, false, fmt.Errorf("removing what an earlier run left: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, false, fmt.Errorf("looking for an earlier run: %w", err)
	}
	return w, false, w.begin(choices, r.EncryptTo)
}

// at takes a place for the snapshot.
func (w *writer) at(out string) (err error) {
	w.out, w.work = out, out+partialSuffix
	if err := os.MkdirAll(filepath.Dir(w.out), 0o700); err != nil {
		return fmt.Errorf("making the snapshot's directory: %w", err)
	}
	w.lock, err = lock(w.work + ".lock")
	return err
}

// inStore takes a place among the snapshots of a directory: that of a run that was stopped, else a new one, named by the time. One run is at work there at a time.
func (w *writer) inStore(r *run) (err error) {
	if err := os.MkdirAll(r.Store, 0o700); err != nil {
		return fmt.Errorf("making the directory of snapshots: %w", err)
	}
	if w.lock, err = lock(filepath.Join(r.Store, ".lock")); err != nil {
		return err
	}
	entries, err := os.ReadDir(r.Store)
	if err != nil {
		return fmt.Errorf("looking for an earlier run: %w", err)
	}
	begun := r.started
	for _, e := range entries {
		name, stopped := strings.CutSuffix(e.Name(), partialSuffix)
		name, fresh := strings.CutSuffix(name, partialSuffix+freshSuffix)
		if _, ok := store.ParseName(name); !ok {
			continue
		}
		at := filepath.Join(r.Store, name)
		switch {
		case fresh: // killed in its first moment
			if err := os.RemoveAll(at + partialSuffix + freshSuffix); err != nil {
				return fmt.Errorf("removing what an earlier run left: %w", err)
			}
		case stopped && r.Restart && exists(filepath.Join(at+partialSuffix, beginFile)):
			if err := os.RemoveAll(at + partialSuffix); err != nil {
				return fmt.Errorf("removing what an earlier run left: %w", err)
			}
		case stopped:
			w.out, w.work = at, at+partialSuffix
		default: // killed in its last moment
			done := &writer{out: at, work: at + partialSuffix}
			if err := done.recover(); err != nil {
				return err
			}
		}
	}
	if r.Since > 0 {
		switch name, err := store.Newest(os.DirFS(r.Store)); {
		case err == nil:
			if err := w.takeOver(filepath.Join(r.Store, name), r); err != nil {
				return err
			}
		case !errors.Is(err, store.ErrNone):
			return fmt.Errorf("%s: %w", r.Store, err)
		}
	}
	for ; w.out == ""; begun = begun.Add(time.Second) {
		out := filepath.Join(r.Store, store.Name(begun))
		if _, err := os.Stat(out); errors.Is(err, fs.ErrNotExist) {
			w.out, w.work = out, out+partialSuffix
		} else if err != nil {
			return fmt.Errorf("looking for an earlier snapshot: %w", err)
		}
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// takeOver opens the earlier snapshot that accounts are taken over from.
func (w *writer) takeOver(dir string, r *run) error {
	w.since = r.started.Add(-r.Since)
	w.old = os.DirFS(dir)
	if !sealed.Is(w.old) {
		w.from = dir
		return nil
	}
	if len(r.Identities) == 0 {
		return fmt.Errorf("%s: accounts are taken over from an encrypted snapshot: %w", dir, sealed.ErrEncrypted)
	}
	var err error
	if w.old, err = sealed.Open(w.old, r.Identities); err != nil {
		return fmt.Errorf("%s: %w", dir, err)
	}
	return nil
}

// begin makes the directory of the run, with its options from the first moment on.
func (w *writer) begin(choices map[string]string, to []sealed.Recipient) error {
	fresh := w.work + freshSuffix
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("making the snapshot's directory: %w", err)
	}
	dirs := []string{accountsDir}
	if len(to) > 0 {
		dirs = []string{sealed.PartsDir, stateDir}
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(fresh, dir), 0o700); err != nil {
			return fmt.Errorf("making the snapshot's directory: %w", err)
		}
	}
	if len(to) > 0 {
		var err error
		if choices, err = w.beginSealed(fresh, choices, to); err != nil {
			return err
		}
	}
	text, err := encode(choices)
	if err != nil {
		return fmt.Errorf("making the snapshot's directory: %w", err)
	}
	if err := writeBytes(filepath.Join(fresh, beginFile), text); err != nil {
		return err
	}
	return place(fresh, w.work)
}

// recover ends what a run that was killed while it put its snapshot into place had begun.
func (w *writer) recover() error {
	old := w.work + ".old"
	if _, err := os.Stat(w.out); errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Stat(old); err == nil { // killed between two renames, where a file system cannot exchange
			if err := place(old, w.out); err != nil {
				return err
			}
		}
	}
	if _, err := os.Stat(filepath.Join(w.out, beginFile)); err == nil {
		if err := w.clean(); err != nil {
			return err
		}
	}
	switch _, err := os.Stat(filepath.Join(w.work, beginFile)); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("looking for an earlier run: %w", err)
	}
	if _, err := os.Stat(w.work); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return fmt.Errorf("%s is in the way, and no run of this program left it there: move it away", w.work)
}

func (w *writer) close() {
	if w.lock != nil {
		_ = os.Remove(w.lock.Name())
		_ = w.lock.Close()
		w.lock = nil
	}
}

// root writes what belongs to no account.
func (w *writer) root(tree organization, f *facts) error {
	f.sort()
	t, err := w.target("")
	if err != nil {
		return err
	}
	defer t.abandon()
	err = errors.Join(
		writeJSON(t, "organization.json", tree),
		writeLines(t, "resources.jsonl", f.resources),
		writeLines(t, "shares.jsonl", f.shares),
		writeJSON(t, "gaps.json", orEmpty(f.gaps)),
	)
	if err != nil {
		return err
	}
	return t.place(true, len(f.gaps)+len(unread(f.resources)))
}

// taken is an account that need not be read.
type taken struct {
	gaps   []gap
	hidden int // gaps that are there and cannot be read: they are encrypted
}

// kept reports whether an account need not be read: it is there from a run that was stopped, or new enough in the snapshot that is replaced.
func (w *writer) kept(id string) (k taken, ok bool, err error) {
	if w.seal != nil {
		if state, ok := w.seal.state(w.work, w.seal.name(id)); ok && state.Complete {
			return taken{hidden: state.Gaps}, true, nil
		}
	} else if gaps, ok := w.read(os.DirFS(w.work), path.Join(accountsDir, id), time.Time{}); ok {
		return taken{gaps: gaps}, true, nil
	}
	if w.old == nil {
		return taken{}, false, nil
	}
	dir := path.Join(accountsDir, id)
	gaps, ok := w.read(w.old, dir, w.since)
	if !ok {
		return taken{}, false, nil
	}
	t, err := w.target(id)
	if err != nil {
		return taken{}, false, err
	}
	defer t.abandon()
	entries, err := fs.ReadDir(w.old, dir)
	if err != nil {
		return taken{}, false, fmt.Errorf("taking over account %s: %w", id, err)
	}
	for _, e := range entries {
		if err := w.copyFile(t, path.Join(dir, e.Name())); err != nil {
			return taken{}, false, fmt.Errorf("taking over account %s: %w", id, err)
		}
	}
	return taken{gaps: gaps}, true, t.place(true, len(gaps))
}

// read reports whether a directory is an account that was read to its end with the same choice of services, at the time or later.
func (w *writer) read(fsys fs.FS, dir string, since time.Time) ([]gap, bool) {
	var c collected
	var gaps []gap
	if !readJSON(fsys, path.Join(dir, collectedFile), &c) || !c.Complete || c.Scope != w.scope || c.At.Before(since) || !readJSON(fsys, path.Join(dir, "gaps.json"), &gaps) {
		return nil, false
	}
	text, err := fs.ReadFile(fsys, path.Join(dir, "resources.jsonl"))
	if err != nil {
		return nil, false
	}
	var resources []resource
	for dec := json.NewDecoder(bytes.NewReader(text)); dec.More(); {
		var r resource
		if dec.Decode(&r) != nil {
			return nil, false
		}
		resources = append(resources, r)
	}
	return append(gaps, unread(resources)...), true
}

func readJSON(fsys fs.FS, name string, v any) bool {
	text, err := fs.ReadFile(fsys, name)
	return err == nil && json.Unmarshal(text, v) == nil
}

// finish puts the whole snapshot into its place. What of an earlier run does not belong to it any more is removed first.
func (w *writer) finish() error {
	entries, err := os.ReadDir(w.work)
	if err != nil {
		return fmt.Errorf("finishing the snapshot: %w", err)
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), ".") { // an account that was being read when a run was killed
			if err := os.RemoveAll(filepath.Join(w.work, e.Name())); err != nil {
				return fmt.Errorf("finishing the snapshot: %w", err)
			}
		}
	}
	if w.seal != nil {
		err = w.finishSealed()
	} else {
		err = w.finishPlain()
	}
	if err != nil {
		return err
	}
	if err := syncDir(w.work); err != nil {
		return err
	}
	if _, err := os.Stat(w.out); errors.Is(err, fs.ErrNotExist) {
		if err := place(w.work, w.out); err != nil {
			return err
		}
		return w.clean()
	}
	if err := writeBytes(filepath.Join(w.out, replacedFile), nil); err != nil {
		return err
	}
	if err := exchange(w.work, w.out); err != nil {
		return err
	}
	return w.clean()
}

// finishPlain removes accounts that left the organisation since the run was begun.
func (w *writer) finishPlain() error {
	entries, err := os.ReadDir(filepath.Join(w.work, accountsDir))
	if err != nil {
		return fmt.Errorf("finishing the snapshot: %w", err)
	}
	for _, e := range entries {
		if !w.wanted[e.Name()] {
			if err := os.RemoveAll(filepath.Join(w.work, accountsDir, e.Name())); err != nil {
				return fmt.Errorf("finishing the snapshot: %w", err)
			}
		}
	}
	return syncDir(filepath.Join(w.work, accountsDir))
}

// clean removes the snapshot that was replaced, and then the mark that says there is something to remove.
func (w *writer) clean() error {
	for _, old := range []string{w.work, w.work + ".old"} {
		if _, err := os.Stat(filepath.Join(old, replacedFile)); err != nil {
			continue
		}
		// The mark goes last: what is left of a removal that was cut short is still known by it.
		entries, err := os.ReadDir(old)
		for _, e := range entries {
			if e.Name() != replacedFile {
				err = errors.Join(err, os.RemoveAll(filepath.Join(old, e.Name())))
			}
		}
		if err = errors.Join(err, os.RemoveAll(old)); err != nil {
			return fmt.Errorf("removing the replaced snapshot: %w", err)
		}
	}
	err := errors.Join(os.RemoveAll(filepath.Join(w.out, stateDir)), os.RemoveAll(filepath.Join(w.out, listFile)))
	if err == nil {
		err = os.Remove(filepath.Join(w.out, beginFile))
	}
	if err != nil {
		return fmt.Errorf("finishing the snapshot: %w", err)
	}
	return syncDir(w.out)
}

// target is where the files of one directory of the snapshot go, until they are all there.
type target interface {
	file(name string, fill func(io.Writer) error) error
	// place puts the files into the snapshot, all at once: from then on they are there. It is told whether they are complete, and their gaps.
	place(complete bool, gaps int) error
	// abandon removes what was begun and not placed.
	abandon()
}

// target is where the files of an account go; "": those of no account.
func (w *writer) target(id string) (target, error) {
	switch {
	case w.seal != nil:
		return w.sealedPart(id)
	case id == "":
		return &plainDir{work: w.work}, nil
	}
	d := &plainDir{dir: filepath.Join(w.work, accountsDir, id), work: filepath.Join(w.work, "."+id)}
	for _, dir := range []string{d.dir, d.work} {
		if err := os.RemoveAll(dir); err != nil {
			return nil, fmt.Errorf("clearing the account's directory: %w", err)
		}
	}
	if err := os.Mkdir(d.work, 0o700); err != nil {
		return nil, fmt.Errorf("making the account's directory: %w", err)
	}
	return d, nil
}

// plainDir writes files into a directory, which is then given its name.
type plainDir struct{ dir, work string }

func (d *plainDir) file(name string, fill func(io.Writer) error) error {
	return writeFile(filepath.Join(d.work, name), fill)
}

func (d *plainDir) place(bool, int) error {
	if d.dir == "" {
		return nil
	}
	return place(d.work, d.dir)
}

func (d *plainDir) abandon() {
	if d.dir != "" {
		_ = os.RemoveAll(d.work)
	}
}

// accountFiles are the files of one account while they are written.
type accountFiles struct {
	target
	scope string
}

func (w *writer) account(id string) (*accountFiles, error) {
	t, err := w.target(id)
	if err != nil {
		return nil, err
	}
	return &accountFiles{t, w.scope}, nil
}

// page writes a page of authorization details.
func (a *accountFiles) page(n int, content detailsPage) error {
	name := "iam.json"
	if n > 1 {
		name = fmt.Sprintf("iam-%d.json", n)
	}
	return writeJSON(a, name, content)
}

// finish writes the facts and puts the files into their place: from then on the account counts as read. Of an account that could not be entered nothing is written but that: an empty file would say that it has nothing.
func (a *accountFiles) finish(f *facts, now time.Time, complete bool) error {
	var err error
	if complete {
		err = errors.Join(
			writeLines(a, "resources.jsonl", f.resources),
			writeJSON(a, "providers.json", orEmpty(f.providers)),
			writeLines(a, "grants.jsonl", f.grants),
			writeLines(a, "shares.jsonl", f.shares),
		)
		if f.usage != nil { // use is read on request alone; an empty file would say that there was none
			err = errors.Join(err, writeJSON(a, "usage.json", f.usage))
		}
	}
	err = errors.Join(err,
		writeJSON(a, "gaps.json", orEmpty(f.gaps)),
		writeJSON(a, collectedFile, collected{At: now, Complete: complete, Scope: a.scope, Gaps: len(f.gaps), Absent: f.absent}),
	)
	if err != nil {
		return err
	}
	return a.place(complete, len(f.gaps)+len(unread(f.resources)))
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func writeJSON(t target, name string, v any) error {
	text, err := encode(v)
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return t.file(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

func writeLines[T any](t target, name string, list []T) error {
	return t.file(name, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for i := range list {
			if err := enc.Encode(list[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

func writeBytes(name string, text []byte) error {
	return writeFile(name, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// toDisk waits until a file is on the disk. A test of thousands of accounts does without.
var toDisk = (*os.File).Sync

// writeFile writes a file to the disk.
func writeFile(name string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}
	b := bufio.NewWriter(f)
	if err = errors.Join(fill(b), b.Flush(), toDisk(f), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", filepath.Base(name), err)
	}
	return nil
}

// copyFile takes a file of the earlier snapshot over. Files of a snapshot are never written to again, so that both may be the same where neither is encrypted.
func (w *writer) copyFile(t target, name string) error {
	if d, ok := t.(*plainDir); ok && w.from != "" && os.Link(filepath.Join(w.from, filepath.FromSlash(name)), filepath.Join(d.work, path.Base(name))) == nil {
		return nil
	}
	text, err := fs.ReadFile(w.old, name)
	if err != nil {
		return err
	}
	return t.file(path.Base(name), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// place renames a directory, so that the new name is on the disk when it returns.
func place(from, to string) error {
	if err := syncDir(from); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("putting %s into its place: %w", filepath.Base(to), err)
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("writing %s to the disk: %w", filepath.Base(name), err)
	}
	defer d.Close()
	if err := toDisk(d); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrInvalid) {
		return fmt.Errorf("writing %s to the disk: %w", filepath.Base(name), err)
	}
	return nil
}

// exchangeByTwo is exchange where the file system has no such operation: between the two renames there is no snapshot, and the next run puts the old one back if it finds that.
func exchangeByTwo(fresh, old string) error {
	if err := place(old, fresh+".old"); err != nil {
		return err
	}
	return place(fresh, old)
}
