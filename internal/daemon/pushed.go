package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"drawbridge/internal/archive"
	"drawbridge/internal/broker"
	"drawbridge/internal/ingest"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// unusableError says what is wrong with a pushed archive; any other error says nothing about it.
type unusableError struct{ why error }

func (u *unusableError) Error() string { return u.why.Error() }
func (u *unusableError) Unwrap() error { return u.why }

// open unpacks a snapshot into a folder of its own, and reads it, with the use that it knows of.
func (k *knowledge) open(ctx context.Context, p *broker.Pushed) (*snapshot.Snapshot, *usage.Record, error) {
	dir, err := os.MkdirTemp("", "drawbridge-snapshot-")
	if err != nil {
		return nil, nil, fmt.Errorf("unpacking snapshot %s: %w", p.ID, err)
	}
	defer os.RemoveAll(dir)
	parts := &partReader{ctx: ctx, store: k.daemon.store, push: p, sum: sha256.New()}
	if err := archive.Unpack(parts, dir); err != nil {
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
	switch text, err := os.ReadFile(filepath.Join(dir, archive.UseFile)); {
	case err == nil:
		if told, err = usage.Unmarshal(text); err != nil {
			return nil, nil, &unusableError{fmt.Errorf("%s: %w", archive.UseFile, err)}
		}
		if err := os.Remove(filepath.Join(dir, archive.UseFile)); err != nil {
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
