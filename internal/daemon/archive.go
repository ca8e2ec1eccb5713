package daemon

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"drawbridge/internal/broker"
	"drawbridge/internal/ingest"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// Limits of what a pushed archive may hold.
const (
	maxExtracted = 64 << 30 // bytes
	maxFiles     = 1 << 20
)

// unusableError says what is wrong with a pushed archive; any other error says nothing about it.
type unusableError struct{ why error }

func (u *unusableError) Error() string { return u.why.Error() }
func (u *unusableError) Unwrap() error { return u.why }

// useFile is where recorded use lies in a pushed archive, beside the snapshot.
const useFile = "recorded-use.json"

// open unpacks a snapshot into a folder of its own, and reads it, with the use that it knows of.
func (k *knowledge) open(ctx context.Context, p *broker.Pushed) (*snapshot.Snapshot, *usage.Record, error) {
	dir, err := os.MkdirTemp("", "drawbridge-snapshot-")
	if err != nil {
		return nil, nil, fmt.Errorf("unpacking snapshot %s: %w", p.ID, err)
	}
	defer os.RemoveAll(dir)
	parts := &partReader{ctx: ctx, store: k.daemon.store, push: p, sum: sha256.New()}
	if err := unpack(parts, dir); err != nil {
		if parts.err != nil {
			return nil, nil, parts.err
		}
		return nil, nil, &unusableError{err}
	}
	if _, err := io.Copy(io.Discard, parts); err != nil { // what stands behind the archive belongs to the hash too
		return nil, nil, err
	}
	if got := hex.EncodeToString(parts.sum.Sum(nil)); got != p.SHA256 {
		return nil, nil, &unusableError{fmt.Errorf("its hash is %s, and was said to be %s", got, p.SHA256)}
	}
	var told *usage.Record
	switch text, err := os.ReadFile(filepath.Join(dir, useFile)); {
	case err == nil:
		if told, err = usage.Unmarshal(text); err != nil {
			return nil, nil, &unusableError{fmt.Errorf("%s: %w", useFile, err)}
		}
		if err := os.Remove(filepath.Join(dir, useFile)); err != nil {
			return nil, nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, nil, err
	}
	s, err := ingest.Open(dir)
	if err != nil {
		return nil, nil, &unusableError{errors.New(strings.ReplaceAll(err.Error(), dir, "the archive"))}
	}
	used, err := usage.Merge(usage.Of(s.Usage), told)
	if err != nil {
		return nil, nil, &unusableError{err}
	}
	return s, used, nil
}

// partReader reads the parts of a snapshot one after the other.
type partReader struct {
	ctx   context.Context
	store broker.Snapshots
	push  *broker.Pushed
	n     int
	rest  []byte
	sum   hash.Hash
	err   error // of the store
}

func (r *partReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.n == r.push.Parts {
			return 0, io.EOF
		}
		if r.rest, r.err = r.store.Part(r.ctx, r.push.ID, r.n); r.err != nil {
			return 0, r.err
		}
		r.n++
		r.sum.Write(r.rest)
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// unpack writes the files of an archive below a folder, and nothing outside of it.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("it is no gzip: %w", err)
	}
	t := tar.NewReader(z)
	var total int64
	for files := 0; ; files++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("it is no tar archive: %w", err)
		case files == maxFiles:
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		name := path.Clean(h.Name)
		switch h.Typeflag {
		case tar.TypeDir:
			if name != "." {
				if err := root.MkdirAll(name, 0o700); err != nil {
					return fmt.Errorf("%q: %w", h.Name, err)
				}
			}
		case tar.TypeReg:
			if total += h.Size; total > maxExtracted {
				return fmt.Errorf("it holds more than %d bytes", int64(maxExtracted))
			}
			if err := write(root, name, io.LimitReader(t, h.Size)); err != nil {
				return fmt.Errorf("%q: %w", h.Name, err)
			}
		default:
			return fmt.Errorf("%q is neither a file nor a folder", h.Name)
		}
	}
}

func write(root *os.Root, name string, from io.Reader) (err error) {
	if parent := path.Dir(name); parent != "." {
		if err := root.MkdirAll(parent, 0o700); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = io.Copy(f, from)
	return err
}
