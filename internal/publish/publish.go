// Package publish lays checkpoints of the audit log down where the log's keeper cannot take them back: in a file, in S3 under object lock, with a witness. What lies there is the measure of the log: it must extend it.
package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"drawbridge/internal/audit"
)

// Place is where checkpoints are laid down.
type Place interface {
	// Name tells places apart, in logs and metrics.
	Name() string
	// Publish lays down a checkpoint; text is its note.
	Publish(ctx context.Context, c *audit.Checkpoint, text []byte) error
	// Newest gives the notes of the checkpoints of more than so many records that lie there, by their name there. A place that holds only the newest gives that.
	Newest(ctx context.Context, after int64) (map[string][]byte, error)
}

// File is a place that holds the newest checkpoint. Whoever fetches it keeps the copies.
type File string

// Name implements Place.
func (f File) Name() string { return "file" }

// Publish implements Place. A reader sees the old text or the new one, and nothing between.
func (f File) Publish(_ context.Context, _ *audit.Checkpoint, text []byte) error {
	t, err := os.CreateTemp(filepath.Dir(string(f)), ".checkpoint-*")
	if err != nil {
		return fmt.Errorf("writing the checkpoint: %w", err)
	}
	_, err = t.Write(text)
	if err == nil {
		err = t.Chmod(0o644) // it is no secret
	}
	if err == nil {
		err = t.Sync()
	}
	if err = errors.Join(err, t.Close()); err == nil {
		err = os.Rename(t.Name(), string(f))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing the checkpoint: %w", err), os.Remove(t.Name()))
	}
	return nil
}

// Newest implements Place.
func (f File) Newest(context.Context, int64) (map[string][]byte, error) {
	text, err := os.ReadFile(string(f))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the published checkpoint: %w", err)
	}
	return map[string][]byte{string(f): text}, nil
}
