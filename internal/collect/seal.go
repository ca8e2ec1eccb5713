package collect

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/scrypt"

	"drawbridge/internal/sealed"
)

// What a run that encrypts keeps in the clear, so that the next one goes on without a key (docs/adr/0005-snapshots-at-rest.md): its options and the list of its accounts as slow digests, and of each part its number of
// gaps and the sizes of its files. All of it is removed when the snapshot is in its place.
const (
	stateDir = "state"     // of each part what the index will say of it
	listFile = ".accounts" // digest of the accounts; parts are numbered in their order
	sealOwn  = "snapshot's own recipient"
	sealSalt = "salt"
	rootPart = "root"
	unplaced = ".tmp"
)

// seal is how a snapshot is encrypted.
type seal struct {
	own       string         // the snapshot's own recipient
	salt      string         // of the digests
	number    map[string]int // account → number of its part
	collected time.Time
}

// partState is what a run that goes on must know of a part. It tells nothing about the organisation.
type partState struct {
	Complete bool          `json:"complete"`
	Gaps     int           `json:"gaps"`
	Files    []sealed.File `json:"files"`
}

// recipients are those of the run, in a stable order.
func (r *run) recipients() string {
	var list []string
	for _, to := range r.EncryptTo {
		list = append(list, to.Text)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), "\n")
}

// digest is one that is slow to compute, because an account id has but twelve digits: trying all of them takes a thousand years of a processor.
func (s *seal) digest(name, value string) (string, error) {
	sum, err := scrypt.Key([]byte(name+"\x00"+value), []byte(s.salt), 1<<15, 8, 1, 16)
	if err != nil {
		return "", fmt.Errorf("computing a digest: %w", err)
	}
	return hex.EncodeToString(sum), nil
}

// hide makes digests of a run's options.
func (s *seal) hide(choices map[string]string) (map[string]string, error) {
	out := make(map[string]string, len(choices))
	for name, choice := range choices {
		if choice == "" {
			continue
		}
		sum, err := s.digest(name, choice)
		if err != nil {
			return nil, err
		}
		out[name] = sum
	}
	return out, nil
}

// beginSealed makes the snapshot's key, and returns what may be written of the run's options.
func (w *writer) beginSealed(dir string, choices map[string]string, to []sealed.Recipient) (map[string]string, error) {
	own, key, err := sealed.NewKey(to)
	if err != nil {
		return nil, err
	}
	w.seal = &seal{own: own, salt: rand.Text()}
	hidden, err := w.seal.hide(choices)
	if err != nil {
		return nil, err
	}
	hidden[sealOwn], hidden[sealSalt] = own, w.seal.salt
	return hidden, writeBytes(filepath.Join(dir, sealed.KeyFile), key)
}

// expect numbers the accounts of a run. Where a stopped run had others, its parts are given up: without a key nobody knows which is whose.
func (w *writer) expect(resumed bool) (dropped bool, err error) {
	ids := slices.Sorted(maps.Keys(w.wanted))
	w.seal.number = make(map[string]int, len(ids))
	for i, id := range ids {
		w.seal.number[id] = i + 1
	}
	sum, err := w.seal.digest("the accounts", strings.Join(ids, ","))
	if err != nil {
		return false, err
	}
	name := filepath.Join(w.work, listFile)
	if before, err := os.ReadFile(name); err == nil && resumed && string(before) == sum {
		return false, nil
	}
	parts := filepath.Join(w.work, sealed.PartsDir)
	entries, err := os.ReadDir(parts)
	if err != nil {
		return false, fmt.Errorf("looking for an earlier run: %w", err)
	}
	for _, e := range entries {
		dropped = dropped || strings.HasPrefix(e.Name(), "0") && path.Ext(e.Name()) == ".age"
		if err := os.Remove(filepath.Join(parts, e.Name())); err != nil {
			return false, fmt.Errorf("removing what an earlier run left: %w", err)
		}
	}
	if err := syncDir(parts); err != nil {
		return false, err
	}
	if err := writeBytes(name+unplaced, []byte(sum)); err != nil {
		return false, err
	}
	return dropped, place(name+unplaced, name)
}

// name is that of an account's part; "" is what belongs to no account.
func (s *seal) name(id string) string {
	if id == "" {
		return rootPart
	}
	return fmt.Sprintf("%06d", s.number[id])
}

func (s *seal) file(work, name string) string {
	return filepath.Join(work, sealed.PartsDir, name+".age")
}

// state is what is known of a part that is there.
func (s *seal) state(work, name string) (partState, bool) {
	var state partState
	if _, err := os.Stat(s.file(work, name)); err != nil {
		return state, false
	}
	return state, readJSON(os.DirFS(work), path.Join(stateDir, name), &state)
}

// sealedPart writes files into a part, which is then given its name.
type sealedPart struct {
	w      *writer
	name   string
	part   string // its file
	open   *os.File
	buffer *bufio.Writer
	to     *sealed.PartWriter
}

func (w *writer) sealedPart(id string) (target, error) {
	name := w.seal.name(id)
	p := &sealedPart{w: w, name: name, part: w.seal.file(w.work, name)}
	dir := "."
	if id != "" {
		dir = path.Join(accountsDir, id)
	}
	if err := os.Remove(p.part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("clearing the part: %w", err)
	}
	var err error
	if p.open, err = os.OpenFile(p.part+unplaced, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, fmt.Errorf("writing a part: %w", err)
	}
	p.buffer = bufio.NewWriterSize(p.open, 64<<10)
	if p.to, err = sealed.NewPart(p.buffer, w.seal.own, dir); err != nil {
		p.abandon()
		return nil, err
	}
	return p, nil
}

// file holds one file in memory: its size stands before it.
func (p *sealedPart) file(name string, fill func(io.Writer) error) error {
	var b bytes.Buffer
	if err := fill(&b); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := p.to.File(name, b.Bytes()); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func (p *sealedPart) place(complete bool, gaps int) error {
	files, err := p.to.Close()
	if err == nil {
		err = errors.Join(p.buffer.Flush(), toDisk(p.open), p.open.Close())
		p.open = nil
	}
	if err != nil {
		return fmt.Errorf("writing a part: %w", err)
	}
	text, err := json.Marshal(partState{complete, gaps, files})
	if err != nil {
		return fmt.Errorf("writing a part: %w", err)
	}
	state := filepath.Join(p.w.work, stateDir, p.name)
	if err := errors.Join(writeBytes(state, text), syncDir(filepath.Dir(state))); err != nil {
		return err
	}
	return place(p.part+unplaced, p.part)
}

func (p *sealedPart) abandon() {
	if p.open != nil {
		_ = p.open.Close()
	}
	_ = os.Remove(p.part + unplaced)
}

// finishSealed writes the index and the manifest. What a run that was killed had not written to its end is removed.
func (w *writer) finishSealed() error {
	dir := filepath.Join(w.work, sealed.PartsDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("finishing the snapshot: %w", err)
	}
	for _, e := range entries {
		if path.Ext(e.Name()) == unplaced {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("finishing the snapshot: %w", err)
			}
		}
	}
	about := sealed.About{Collected: w.seal.collected, Accounts: len(w.wanted)}
	var parts []sealed.Part
	for _, id := range append([]string{""}, slices.Sorted(maps.Keys(w.wanted))...) {
		name := w.seal.name(id)
		state, ok := w.seal.state(w.work, name)
		if !ok {
			return fmt.Errorf("finishing the snapshot: part %s is not there any more", name)
		}
		part := sealed.Part{Name: path.Join(sealed.PartsDir, name+".age"), Dir: ".", Files: state.Files}
		if id != "" {
			part.Dir = path.Join(accountsDir, id)
		}
		about.Gaps += state.Gaps
		parts = append(parts, part)
	}
	index, manifest, err := sealed.Finish(os.DirFS(w.work), w.seal.own, about, parts)
	if err != nil {
		return fmt.Errorf("finishing the snapshot: %w", err)
	}
	return errors.Join(writeBytes(filepath.Join(w.work, sealed.IndexFile), index), writeBytes(filepath.Join(w.work, sealed.ManifestFile), manifest), syncDir(dir))
}
