// Package cloudtrail reads CloudTrail files into recorded use: the files that CloudTrail delivers, plain or gzip, with their object
// of Records, bare lists, and JSON lines; single files and whole folders. It reads one event at a time, whatever the size of a file. A file
// that is broken gives what stands in front of the break, and a gap.
package cloudtrail

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/gzip"

	"drawbridge/internal/usage"
)

// Result is what an import read.
type Result struct {
	Files, Skipped int // Skipped were taken in by an earlier import
	Events         int
	Old            int // events among them that are older than what is kept
	Gaps           []Gap
}

// Gap is what could not be read.
type Gap struct {
	File   string
	Event  int // how many events of the file stand in front of it
	Reason string
}

const (
	smallFile = 8 << 20 // bytes that are held as they lie on disk
	mostKept  = 4 << 20 // of crossings and actions, of each worker
)

// ErrTooMany is wrapped where a record would hold more callers, targets and actions than memory should.
var ErrTooMany = errors.New("too many different uses")

// ErrNoFiles is wrapped where the paths hold no file of CloudTrail's.
var ErrNoFiles = errors.New("no CloudTrail file found")

// Import reads the files of paths, and gives what is in them beside what an earlier record holds (nil: none). As many files are read at a time as
// there are processors; the record does not depend on which is faster. What memory should not hold lies in files of the system's
// folder for temporary ones meanwhile.
func Import(from *usage.Record, o usage.Options, paths []string) (*usage.Record, Result, error) {
	var files []string
	for _, path := range paths {
		list, err := list(path)
		if err != nil {
			return nil, Result{}, fmt.Errorf("reading CloudTrail files: %w", err)
		}
		files = append(files, list...)
	}
	if len(files) == 0 {
		return nil, Result{}, fmt.Errorf("%w in %s: expected .json or .json.gz", ErrNoFiles, strings.Join(paths, ", "))
	}
	if !o.Before.IsZero() {
		o.Before = o.Before.UTC().Truncate(24 * time.Hour)
	}
	slices.SortStableFunc(files, func(a, b string) int { return strings.Compare(delivered(a), delivered(b)) })
	store, err := newStore()
	if err != nil {
		return nil, Result{}, fmt.Errorf("reading CloudTrail files: %w", err)
	}
	o.Store = store
	record, r, err := importFiles(from, o, store, files)
	if err = errors.Join(err, store.close()); err != nil {
		return nil, r, fmt.Errorf("reading CloudTrail files: %w", err)
	}
	return record, r, nil
}

// delivered is the time in a file's name, as CloudTrail writes it: files of the same time lie in the folders of their accounts. Read by time, the sides of
// a call come close to each other, and less waits on disk.
func delivered(name string) string {
	parts := strings.Split(filepath.Base(name), "_") // 111122223333_CloudTrail_eu-west-1_20260131T1005Z_Ab12.json.gz
	if len(parts) < 4 || parts[1] != "CloudTrail" {
		return ""
	}
	return parts[3]
}

// importFiles reads files side by side, each worker into a builder of its own.
func importFiles(from *usage.Record, o usage.Options, store *store, files []string) (*usage.Record, Result, error) {
	type outcome struct {
		result
		err error
	}
	var (
		wg       sync.WaitGroup
		known    = knownFiles{b: usage.NewBuilder(from, o)}
		outcomes = make([]outcome, len(files))
		next     atomic.Int64
		failed   atomic.Bool
		builders = make([]*usage.Builder, min(len(files), runtime.GOMAXPROCS(0)))
	)
	for w := range builders {
		builders[w] = usage.NewBuilder(nil, o)
		wg.Go(func() {
			l := newLoader()
			for i := int(next.Add(1)) - 1; i < len(files) && !failed.Load(); i = int(next.Add(1)) - 1 {
				out := &outcomes[i]
				out.result, out.err = l.file(&known, builders[w], files[i], o.Before)
				if out.err == nil && builders[w].Len() > mostKept {
					out.err = fmt.Errorf("%w: more than %d of them; import fewer files, or leave out subjects", ErrTooMany, mostKept)
				}
				if out.err == nil {
					out.err = store.failure()
				}
				if out.err != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	var r Result
	for i := range outcomes {
		out := &outcomes[i]
		if out.err != nil {
			return nil, r, out.err
		}
		if out.skipped {
			r.Skipped++
			continue
		}
		r.Files++
		r.Events += out.events
		r.Old += out.old
		r.Gaps = append(r.Gaps, out.gaps...)
	}
	return usage.Finish(append([]*usage.Builder{known.b}, builders...)), r, nil
}

// knownFiles tells files that were taken in before, also by another worker.
type knownFiles struct {
	mu sync.Mutex
	b  *usage.Builder
}

func (k *knownFiles) before(digest string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.Known(digest)
}

// list are the files of a path: itself, or of a folder those with the names that CloudTrail and its users give.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		// Digest and Insight files lie beside the events and hold none.
		if lower := strings.ToLower(name); !d.IsDir() && !strings.Contains(name, "CloudTrail-Digest") && !strings.Contains(name, "CloudTrail-Insight") &&
			slices.ContainsFunc([]string{".json", ".json.gz", ".jsonl", ".jsonl.gz"}, func(end string) bool { return strings.HasSuffix(lower, end) }) {
			files = append(files, name)
		}
		return nil
	})
	return files, err
}

// loader reads files, one after the other.
type loader struct {
	packed *bytes.Buffer // a file that is small enough
	gzip   *gzip.Reader
	r      *reader
}

func newLoader() *loader { return &loader{packed: &bytes.Buffer{}, r: newReader(newScanner(nil))} }

// result is what one file gave.
type result struct {
	skipped     bool
	events, old int
	gaps        []Gap
}

// file reads one file. What is wrong inside it is a gap; the error is about opening it.
func (l *loader) file(known *knownFiles, b *usage.Builder, name string, before time.Time) (r result, err error) {
	f, err := os.Open(name)
	if err != nil {
		return r, err
	}
	defer f.Close()
	// CloudTrail's files are small: most are read once, and the digest taken of what is in memory.
	digest := sha256.New()
	l.packed.Reset()
	if _, err := io.Copy(l.packed, io.LimitReader(f, smallFile)); err != nil {
		return r, err
	}
	digest.Write(l.packed.Bytes())
	var in io.ReadSeeker = bytes.NewReader(l.packed.Bytes())
	if l.packed.Len() == smallFile {
		if _, err := io.Copy(digest, f); err != nil {
			return r, err
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return r, err
		}
		in = f
	}
	if known.before(hex.EncodeToString(digest.Sum(nil))) {
		r.skipped = true
		return r, nil
	}
	return l.events(b, name, in, before), nil
}

// events reads what a file holds.
func (l *loader) events(b *usage.Builder, name string, in io.ReadSeeker, before time.Time) (r result) {
	gap := func(reason string) { r.gaps = append(r.gaps, Gap{filepath.ToSlash(name), r.events, reason}) }
	text, err := l.plain(in)
	if err != nil {
		gap(err.Error())
		return r
	}
	events, bad, err := l.r.read(text, func(e *usage.Event) {
		if e.Time.Before(before) {
			r.old++
			return
		}
		b.Add(e)
	})
	r.events = events
	if bad > 0 {
		gap(fmt.Sprintf("%d events were not understood: no time, or no name of the call", bad))
	}
	if err != nil {
		gap(err.Error())
	}
	return r
}

// plain is the text of a file, unpacked where it is packed: by what it begins with, not by its name. Unpacking is fastest from bytes in memory.
func (l *loader) plain(in io.ReadSeeker) (io.Reader, error) {
	var magic [2]byte
	n, err := io.ReadFull(in, magic[:])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if n < 2 || magic != [2]byte{0x1f, 0x8b} {
		return in, nil
	}
	var packed io.Reader = in
	if _, whole := in.(*bytes.Reader); !whole {
		packed = bufio.NewReaderSize(in, 1<<16)
	}
	if l.gzip == nil {
		l.gzip, err = gzip.NewReader(packed)
	} else {
		err = l.gzip.Reset(packed)
	}
	if err != nil {
		l.gzip = nil
		return nil, err
	}
	return l.gzip, nil
}

// Read gives each event of a text to add, and says how many it gave and how many it did not understand. The text is objects with a list of Records,
// lists of events, or events, after each other. The error says where and why reading ended early; what was read before it has been given. The
// event is add's until the next one.
func Read(in io.Reader, add func(*usage.Event)) (events, bad int, err error) {
	return newReader(newScanner(nil)).read(in, add)
}

func (r *reader) read(in io.Reader, add func(*usage.Event)) (events, bad int, err error) {
	r.scanner.reset(in)
	var u usage.Event
	finish := func() {
		var ok bool
		if u, ok = r.reduce(); !ok {
			bad++
			return
		}
		events++
		add(&u)
	}
	one := func() error {
		r.e.reset()
		r.long = false
		if r.peek() != '{' {
			if err := r.skip(1); err != nil {
				return err
			}
			bad++
			return nil
		}
		if err := r.object(1, r.field); err != nil {
			return err
		}
		finish()
		return nil
	}
	for {
		switch r.peek() {
		case '[':
			err = r.list(0, one)
		case '{':
			// The first key tells a list of Records from an event.
			first, records := true, false
			r.e.reset()
			r.long = false
			err = r.object(1, func(key []byte) error {
				if first && string(key) == "Records" {
					if first, records = false, true; r.peek() != '[' {
						return r.broken("the list of Records")
					}
					return r.list(0, one)
				}
				if first = false; records {
					return r.skip(2)
				}
				return r.field(key)
			})
			if err == nil && !records {
				finish()
			}
		default:
			if r.pos < r.end {
				return events, bad, r.broken("an object or a list of events")
			}
			if !errors.Is(r.err, io.EOF) {
				return events, bad, r.broken("")
			}
			return events, bad, nil
		}
		if err != nil {
			return events, bad, err
		}
	}
}
