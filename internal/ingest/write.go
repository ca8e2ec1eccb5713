package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"drawbridge/internal/snapshot"
)

// ErrExists is returned where something lies in the place of a snapshot to be written.
var ErrExists = errors.New("exists already")

// Write writes the directory form of a snapshot. It is written beside its place and put there by one rename when it is whole and on the disk, so that nobody ever sees a part of one. What is there already is only replaced
// where replace is set and it is a snapshot itself; for a moment nothing is there then. The files are for their owner alone.
func Write(s *snapshot.Snapshot, out string, replace bool) (err error) {
	out = filepath.Clean(out)
	there, err := replaceable(out, replace)
	if err != nil {
		return err
	}
	parent := filepath.Dir(out)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return fmt.Errorf("making the snapshot's directory: %w", err)
	}
	work, err := os.MkdirTemp(parent, "."+filepath.Base(out)+".new-")
	if err != nil {
		return fmt.Errorf("making the snapshot's directory: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(work))
		}
	}()
	if err := snapshot.Write(s, func(name string, data []byte) error {
		return writeFile(filepath.Join(work, filepath.FromSlash(name)), data)
	}); err != nil {
		return fmt.Errorf("writing the snapshot: %w", err)
	}
	if !there {
		if err := os.Rename(work, out); err != nil {
			return fmt.Errorf("putting the snapshot in its place: %w", err)
		}
		return nil
	}
	old, err := os.MkdirTemp(parent, "."+filepath.Base(out)+".old-")
	if err != nil {
		return fmt.Errorf("replacing the snapshot: %w", err)
	}
	aside := filepath.Join(old, filepath.Base(out))
	if err := os.Rename(out, aside); err != nil {
		return fmt.Errorf("replacing the snapshot: %w", errors.Join(err, os.Remove(old)))
	}
	if err := os.Rename(work, out); err != nil {
		return fmt.Errorf("replacing the snapshot: %w", errors.Join(err, os.Rename(aside, out), os.Remove(old)))
	}
	if err := os.RemoveAll(old); err != nil {
		return fmt.Errorf("the snapshot is in its place; removing the old one: %w", err)
	}
	return nil
}

// CheckOut refuses, before anything is read, what Write would refuse.
func CheckOut(out string, replace bool) error {
	_, err := replaceable(filepath.Clean(out), replace)
	return err
}

// replaceable reports whether something is in a snapshot's place, and refuses what must stay.
func replaceable(out string, replace bool) (there bool, err error) {
	info, err := os.Lstat(out)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("looking for an earlier snapshot: %w", err)
	case !info.IsDir():
		return true, fmt.Errorf("%s %w, and is no directory", out, ErrExists)
	}
	entries, err := os.ReadDir(out)
	switch {
	case err != nil:
		return true, fmt.Errorf("looking for an earlier snapshot: %w", err)
	case len(entries) == 0:
		return true, nil
	case !replace:
		return true, fmt.Errorf("%s %w: give --replace to write a new one in its place", out, ErrExists)
	case !isWritten(entries):
		return true, fmt.Errorf("%s %w, and is no snapshot, or holds more than one: it is not replaced", out, ErrExists)
	}
	return true, nil
}

// isWritten reports whether a directory holds a snapshot and nothing else: organization.json is always written, and what a person has put beside it must not go with it.
func isWritten(entries []fs.DirEntry) bool {
	organization := false
	for _, e := range entries {
		if !snapshot.InRoot(e.Name()) {
			return false
		}
		organization = organization || e.Name() == "organization.json"
	}
	return organization
}

// writeFile writes a file that must not be there yet, to the disk.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}
