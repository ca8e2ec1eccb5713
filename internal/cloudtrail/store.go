package cloudtrail

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"sync"

	"drawbridge/internal/usage"
)

const (
	idSize  = 16
	shards  = 8       // of ids, so that two builders rarely wait for each other
	heldIDs = 1 << 21 // in memory, over all shards
	block   = 256     // ids that are read at a time where one may be on disk
	maxRuns = 8       // of one hour, until they are made one
)

// store keeps what builders remember of events on disk, once it is more than memory should hold: ids, in sorted runs by the hour of the event,
// as an event that comes again has the same time; and halves of calls. The files lie in a folder that close removes.
type store struct {
	dir    string
	limit  int // ids in memory, in each shard
	shards [shards]shard
	parts  [usage.Parts]part

	mu  sync.Mutex
	err error
}

// shard holds the ids whose first byte tells it.
type shard struct {
	mu    sync.Mutex
	hours map[int64]*hour
	held  int
	clock uint64
	file  *os.File
	size  int64 // of file, in ids
	page  [block * idSize]byte
}

// hour holds the ids of events of one hour.
type hour struct {
	ids  map[[idSize]byte]struct{}
	used uint64 // when last, by the shard's clock
	runs []run
}

// run is a sorted stretch of ids in the shard's file. fence holds the first eight bytes of each block's first id.
type run struct {
	from, n int64
	fence   []uint64
}

type part struct {
	mu   sync.Mutex
	file *os.File
	w    *bufio.Writer
}

func newStore() (*store, error) {
	dir, err := os.MkdirTemp("", "drawbridge-usage-")
	if err != nil {
		return nil, err
	}
	return &store{dir: dir, limit: heldIDs / shards}, nil
}

// close removes all files, and says what went wrong with them.
func (s *store) close() error {
	for i := range s.shards {
		if f := s.shards[i].file; f != nil {
			f.Close()
		}
	}
	for i := range s.parts {
		if f := s.parts[i].file; f != nil {
			f.Close()
		}
	}
	return errors.Join(s.failure(), os.RemoveAll(s.dir))
}

func (s *store) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		s.err = fmt.Errorf("keeping events on disk: %w", err)
	}
}

func (s *store) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Seen implements usage.Store.
func (s *store) Seen(id [idSize]byte, at int64) bool {
	d := &s.shards[id[0]%shards]
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.hours == nil {
		d.hours = map[int64]*hour{}
	}
	h := d.hours[at/3600]
	if h == nil {
		h = &hour{}
		d.hours[at/3600] = h
	}
	d.clock++
	h.used = d.clock
	if _, known := h.ids[id]; known {
		return true
	}
	for i := range h.runs {
		known, err := d.in(&h.runs[i], id)
		if err != nil {
			s.fail(err)
		}
		if known {
			return true
		}
	}
	if d.held >= s.limit {
		if err := d.spill(s.dir, s.limit/2); err != nil {
			s.fail(err)
		}
	}
	if h.ids == nil {
		h.ids = map[[idSize]byte]struct{}{}
	}
	h.ids[id] = struct{}{}
	d.held++
	return false
}

// spill writes ids to disk, those of the hours first that were not asked for for the longest time, until no more than some are held.
func (d *shard) spill(dir string, to int) error {
	if d.file == nil {
		var err error
		if d.file, err = os.CreateTemp(dir, "ids-"); err != nil {
			return err
		}
	}
	var hours []*hour
	for _, h := range d.hours {
		if len(h.ids) > 0 {
			hours = append(hours, h)
		}
	}
	slices.SortFunc(hours, func(a, b *hour) int { return int(int64(a.used) - int64(b.used)) })
	for _, h := range hours {
		if d.held <= to {
			break
		}
		ids := make([][idSize]byte, 0, len(h.ids))
		for id := range h.ids {
			ids = append(ids, id)
		}
		slices.SortFunc(ids, func(a, b [idSize]byte) int { return bytes.Compare(a[:], b[:]) })
		d.held -= len(ids)
		h.ids = nil
		w := d.begin()
		for _, id := range ids {
			w.add(id)
		}
		if err := w.end(h); err != nil {
			return err
		}
		if len(h.runs) > maxRuns {
			if err := d.unite(h); err != nil {
				return err
			}
		}
	}
	return nil
}

// writer writes one run behind all others.
type writer struct {
	d *shard
	w *bufio.Writer
	r run
}

func (d *shard) begin() *writer {
	return &writer{d, bufio.NewWriterSize(io.NewOffsetWriter(d.file, d.size*idSize), 1<<16), run{from: d.size}}
}

func (w *writer) add(id [idSize]byte) {
	if w.r.n%block == 0 {
		w.r.fence = append(w.r.fence, binary.BigEndian.Uint64(id[:8]))
	}
	w.r.n++
	w.w.Write(id[:])
}

func (w *writer) end(h *hour) error {
	if err := w.w.Flush(); err != nil { // the first error of all writes
		return err
	}
	w.d.size += w.r.n
	h.runs = append(h.runs, w.r)
	return nil
}

// unite makes one run of all runs of an hour. The old ones stay in the file, and nobody reads them.
func (d *shard) unite(h *hour) error {
	type stream struct {
		in *bufio.Reader
		id [idSize]byte
	}
	var streams []*stream
	next := func(s *stream) (bool, error) {
		_, err := io.ReadFull(s.in, s.id[:])
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		return err == nil, err
	}
	for _, r := range h.runs {
		s := &stream{in: bufio.NewReaderSize(io.NewSectionReader(d.file, r.from*idSize, r.n*idSize), 1<<14)}
		if ok, err := next(s); err != nil {
			return err
		} else if ok {
			streams = append(streams, s)
		}
	}
	w := d.begin()
	for len(streams) > 0 {
		least := 0
		for i := range streams {
			if bytes.Compare(streams[i].id[:], streams[least].id[:]) < 0 {
				least = i
			}
		}
		w.add(streams[least].id)
		ok, err := next(streams[least])
		if err != nil {
			return err
		}
		if !ok {
			streams = slices.Delete(streams, least, least+1)
		}
	}
	h.runs = nil
	return w.end(h)
}

// in reports whether an id is in a run.
func (d *shard) in(r *run, id [idSize]byte) (bool, error) {
	prefix := binary.BigEndian.Uint64(id[:8])
	i, _ := slices.BinarySearch(r.fence, prefix)
	// The first block that begins with the prefix, and the one before it, which may end with it; more of them only where ids share eight bytes.
	for b := max(0, i-1); b < len(r.fence) && (b < i || r.fence[b] <= prefix); b++ {
		n := min(block, r.n-int64(b)*block)
		page := d.page[:n*idSize]
		if _, err := d.file.ReadAt(page, (r.from+int64(b)*block)*idSize); err != nil {
			return false, err
		}
		lo, hi := 0, int(n)
		for lo < hi {
			m := (lo + hi) / 2
			switch c := bytes.Compare(page[m*idSize:(m+1)*idSize], id[:]); {
			case c == 0:
				return true, nil
			case c < 0:
				lo = m + 1
			default:
				hi = m
			}
		}
	}
	return false, nil
}

// Put implements usage.Store.
func (s *store) Put(n int, text []byte) {
	p := &s.parts[n]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		f, err := os.CreateTemp(s.dir, "halves-")
		if err != nil {
			s.fail(err)
			return
		}
		p.file, p.w = f, bufio.NewWriterSize(f, 1<<14)
	}
	var length [4]byte
	binary.LittleEndian.PutUint32(length[:], uint32(len(text)))
	p.w.Write(length[:])
	if _, err := p.w.Write(text); err != nil {
		s.fail(err)
	}
}

// Take implements usage.Store.
func (s *store) Take(n int, give func(text []byte)) {
	p := &s.parts[n]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return
	}
	if err := p.take(give); err != nil {
		s.fail(err)
	}
}

func (p *part) take(give func([]byte)) error {
	if err := p.w.Flush(); err != nil {
		return err
	}
	if _, err := p.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReaderSize(p.file, 1<<16)
	var text []byte
	for {
		var length [4]byte
		if _, err := io.ReadFull(in, length[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		text = append(text[:0], make([]byte, binary.LittleEndian.Uint32(length[:]))...)
		if _, err := io.ReadFull(in, text); err != nil {
			return err
		}
		give(text)
	}
	if err := p.file.Truncate(0); err != nil {
		return err
	}
	_, err := p.file.Seek(0, io.SeekStart)
	return err
}
