// Package cloudtrail reads CloudTrail files into recorded use: the files that CloudTrail delivers, plain or gzip, with their object
// of Records, bare lists, and JSON lines; single files and whole folders. It reads one event at a time, whatever the size of a file. A file
// that is broken gives what stands in front of the break, and a gap.
package cloudtrail

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

// Read gives each event of a text to add, and says how many it gave and how many it did not understand. The text is an object with a list of Records, a list,
// or events after each other. The error says why reading ended early; what was read before it has been given.
func Read(in io.Reader, add func(*usage.Event)) (events, bad int, err error) {
	d := json.NewDecoder(in)
	one := func() error {
		var e event
		if err := d.Decode(&e); err != nil {
			var mistyped *json.UnmarshalTypeError
			if errors.As(err, &mistyped) {
				bad++
				return nil
			}
			return err
		}
		u, ok := e.reduce()
		if !ok {
			bad++
			return nil
		}
		events++
		add(&u)
		return nil
	}
	all := func() error {
		for d.More() {
			if err := one(); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	}
	// The first token tells the form.
	t, err := d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return 0, 0, nil
	case err != nil:
		return 0, 0, place(d, err)
	case t == json.Delim('['):
		err := all()
		return events, bad, placed(d, err)
	case t != json.Delim('{'):
		return 0, 0, fmt.Errorf("expected events, found %v", t)
	}
	first, err := d.Token()
	if err != nil {
		return 0, 0, place(d, err)
	}
	if first == "Records" {
		if t, err = d.Token(); err != nil || t != json.Delim('[') {
			return 0, 0, place(d, errors.New("the field Records is no list"))
		}
		err := all()
		return events, bad, placed(d, err)
	}
	// Events after each other: begin again with what was taken from the stream put back.
	key, err := json.Marshal(first)
	if err != nil {
		return 0, 0, err
	}
	d = json.NewDecoder(io.MultiReader(strings.NewReader("{"+string(key)), d.Buffered(), in))
	for {
		err := one()
		if errors.Is(err, io.EOF) {
			return events, bad, nil
		}
		if err != nil {
			return events, bad, place(d, err)
		}
	}
}

func place(d *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the file breaks off")
	}
	return fmt.Errorf("at byte %d of the text: %w", d.InputOffset(), err)
}

func placed(d *json.Decoder, err error) error {
	if err == nil {
		return nil
	}
	return place(d, err)
}
