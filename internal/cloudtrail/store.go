package cloudtrail

import (
	"bufio"
	"bytes"
	"cmp"
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

// shard holds the ids whose first byte tells it: in a table, where an id lies at the first free slot behind the place that it tells itself, and in runs.
type shard struct {
	mu    sync.Mutex
	slots []slot // a power of two of them, three quarters of them full at most
	// tags are four bytes of the id in each slot, 0 where it is free: most ids are new, and this is looked at instead of the slots, which are
	// five times as large and mostly in no cache.
	tags []uint32
	held int
	full bool            // the disk takes no more
	runs map[int32][]run // by hour
	file *os.File
	size int64 // of file, in ids
	page [block * idSize]byte
}

type slot struct {
	id   [idSize]byte
	hour int32 // since 1970, and one: 0 is a free slot
}

func (a *slot) compare(b *slot) int {
	return cmp.Or(cmp.Compare(a.hour, b.hour), bytes.Compare(a.id[:], b.id[:]))
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
	if d.held >= s.limit && !d.full {
		if err := d.spill(s.dir, s.limit/2); err != nil {
			d.full = true // the import ends with this file
			s.fail(err)
		}
	}
	if d.held*4 >= len(d.slots)*3 {
		d.grow(2 * d.held)
	}
	want := slot{id, int32(at/3600) + 1}
	free, there := d.place(&want)
	if there {
		return true
	}
	runs := d.runs[want.hour]
	for i := range runs {
		known, err := d.in(&runs[i], id)
		if err != nil {
			s.fail(err)
		}
		if known {
			return true
		}
	}
	d.put(free, &want)
	d.held++
	return false
}

// place is the slot of an id, or the free one where it belongs.
func (d *shard) place(want *slot) (i uint64, there bool) {
	mask := uint64(len(d.tags) - 1)
	i = binary.LittleEndian.Uint64(want.id[8:]) & mask
	for tag := want.tag(); d.tags[i] != 0; i = (i + 1) & mask {
		if d.tags[i] == tag && d.slots[i] == *want {
			return i, true
		}
	}
	return i, false
}

func (d *shard) put(i uint64, s *slot) { d.tags[i], d.slots[i] = s.tag(), *s }

func (a *slot) tag() uint32 { return binary.LittleEndian.Uint32(a.id[4:]) | 1 }

// grow makes room for at least some ids.
func (d *shard) grow(ids int) {
	n := 1024
	for n*3 < ids*4 {
		n *= 2
	}
	if n <= len(d.slots) {
		return
	}
	old := d.slots
	d.slots, d.tags = make([]slot, n), make([]uint32, n)
	for i := range old {
		if old[i].hour != 0 {
			free, _ := d.place(&old[i])
			d.put(free, &old[i])
		}
	}
}

// spill writes the ids of the oldest hours to disk, until no more than some are held: files are read by time, and what comes again
// comes soon.
func (d *shard) spill(dir string, to int) error {
	if d.file == nil {
		var err error
		if d.file, err = os.CreateTemp(dir, "ids-"); err != nil {
			return err
		}
		d.runs = map[int32][]run{}
	}
	all := make([]slot, 0, d.held)
	for i := range d.slots {
		if d.slots[i].hour != 0 {
			all = append(all, d.slots[i])
		}
	}
	slices.SortFunc(all, func(a, b slot) int { return a.compare(&b) })
	for len(all) > to {
		hour := all[0].hour
		w := d.begin()
		n := 0
		for ; n < len(all) && all[n].hour == hour; n++ {
			w.add(all[n].id)
		}
		if err := w.end(hour); err != nil {
			return err
		}
		all = all[n:]
		if len(d.runs[hour]) > maxRuns {
			if err := d.unite(hour); err != nil {
				return err
			}
		}
	}
	clear(d.slots)
	clear(d.tags)
	d.held = len(all)
	for i := range all {
		free, _ := d.place(&all[i])
		d.put(free, &all[i])
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

func (w *writer) end(hour int32) error {
	if err := w.w.Flush(); err != nil { // the first error of all writes
		return err
	}
	w.d.size += w.r.n
	w.d.runs[hour] = append(w.d.runs[hour], w.r)
	return nil
}

// unite makes one run of all runs of an hour. The old ones stay in the file, and nobody reads them.
func (d *shard) unite(hour int32) error {
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
	for _, r := range d.runs[hour] {
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
	d.runs[hour] = nil
	return w.end(hour)
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
