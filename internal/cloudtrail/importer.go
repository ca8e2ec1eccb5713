package cloudtrail

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"drawbridge/internal/usage"
)

// Importer takes in files that do not lie on this machine's disk, one after the other. It ends with Finish.
type Importer struct {
	b      *usage.Builder
	store  *store
	loader *loader
	before time.Time
	result Result
}

// NewImporter begins with what an earlier record holds; nil: with nothing.
func NewImporter(from *usage.Record, o usage.Options) (*Importer, error) {
	store, err := newStore()
	if err != nil {
		return nil, fmt.Errorf("reading CloudTrail files: %w", err)
	}
	o.Store = store
	return &Importer{b: usage.NewBuilder(from, o), store: store, loader: newLoader(), before: o.Before}, nil
}

// Skip counts a file that was taken in before, by a digest of its own.
func (m *Importer) Skip() { m.result.Skipped++ }

// File reads a file, unless one with the same content was taken in before, from wherever. id is a digest that tells the file
// from others without reading it; it joins the record's files beside that of the content. What is wrong inside the file is a gap.
func (m *Importer) File(name, id string, in io.ReadSeeker) error {
	if m.b.Len() > mostKept {
		return fmt.Errorf("reading CloudTrail files: %w: more than %d of them; import fewer files, or leave out subjects", ErrTooMany, mostKept)
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, in); err != nil {
		return err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return err
	}
	m.b.Known(id)
	if m.b.Known(hex.EncodeToString(digest.Sum(nil))) {
		m.Skip()
		return nil
	}
	r := m.loader.events(m.b, name, in, m.before)
	m.result.Files++
	m.result.Events += r.events
	m.result.Old += r.old
	m.result.Gaps = append(m.result.Gaps, r.gaps...)
	return m.store.failure()
}

// Finish gives the record of all that was taken in, and removes what lay on disk meanwhile. It is called once, also after an error.
func (m *Importer) Finish() (*usage.Record, Result, error) {
	record := m.b.Record()
	if err := m.store.close(); err != nil {
		return nil, m.result, fmt.Errorf("reading CloudTrail files: %w", err)
	}
	return record, m.result, nil
}
