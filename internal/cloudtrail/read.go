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
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"

	"drawbridge/internal/usage"
)

// Result is what an import read.
type Result struct {
	Files, Skipped int // Skipped were taken in by an earlier import
	Events         int
	Gaps           []Gap
}

// Gap is what could not be read.
type Gap struct {
	File   string
	Event  int // how many events of the file stand in front of it
	Reason string
}

// ErrNoFiles is wrapped where the paths hold no file of CloudTrail's.
var ErrNoFiles = errors.New("no CloudTrail file found")

// Import reads the files of paths into b, in order of their names.
func Import(b *usage.Builder, paths []string) (Result, error) {
	var r Result
	var files []string
	for _, path := range paths {
		list, err := list(path)
		if err != nil {
			return r, fmt.Errorf("reading CloudTrail files: %w", err)
		}
		files = append(files, list...)
	}
	if len(files) == 0 {
		return r, fmt.Errorf("%w in %s: expected .json or .json.gz", ErrNoFiles, strings.Join(paths, ", "))
	}
	for _, file := range files {
		if err := r.file(b, file); err != nil {
			return r, fmt.Errorf("reading CloudTrail files: %w", err)
		}
	}
	return r, nil
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

// file reads one file. What is wrong inside it is a gap; the error is about opening it.
func (r *Result) file(b *usage.Builder, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	digest := sha256.New()
	if _, err := io.Copy(digest, f); err != nil {
		return err
	}
	if b.Known(hex.EncodeToString(digest.Sum(nil))) {
		r.Skipped++
		return nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r.Files++
	gap := func(events int, reason string) {
		r.Gaps = append(r.Gaps, Gap{filepath.ToSlash(name), events, reason})
	}
	in, err := plain(f)
	if err != nil {
		gap(0, err.Error())
		return nil
	}
	n, bad, err := Read(in, b.Add)
	r.Events += n
	if bad > 0 {
		gap(n, fmt.Sprintf("%d events were not understood: no time, or no name of the call", bad))
	}
	if err != nil {
		gap(n, err.Error())
	}
	return nil
}

// plain is the text of a file, unpacked where it is packed: by what it begins with, not by its name.
func plain(f io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(f, 1<<16)
	if magic, _ := in.Peek(2); !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return in, nil
	}
	unpacked, err := gzip.NewReader(in)
	if err != nil {
		return nil, err
	}
	return bufio.NewReaderSize(unpacked, 1<<16), nil
}

// Read gives each event of a text to add, and says how many it gave and how many it did not understand. The text is objects with a list of Records,
// lists of events, or events, after each other. The error says where and why reading ended early; what was read before it has been given. The
// event is add's until the next one.
func Read(in io.Reader, add func(*usage.Event)) (events, bad int, err error) {
	r := newReader(newScanner(in))
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
