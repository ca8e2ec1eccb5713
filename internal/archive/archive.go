// Package archive is how a snapshot travels: a gzip-compressed tar of its files.
package archive

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// Limits of what an archive may hold.
const (
	maxExtracted = 64 << 30 // bytes
	maxFiles     = 1 << 20
	// maxRatio is how many bytes may come of one that arrived, beyond the first maxFree: a few bytes must not fill a disk. What is collected becomes some thirty times as much.
	maxRatio = 300
	maxFree  = 64 << 20
)

// UseFile is where recorded use lies in an archive, beside the snapshot.
const UseFile = "recorded-use.json"

// Pack writes the files of a folder, or a single file, as an archive, and beside them extra ones by the names that they have there. Links are followed by nobody: a snapshot has none.
func Pack(w io.Writer, name string, extra map[string]string) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	err := filepath.WalkDir(name, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is no file", path)
		}
		as, err := filepath.Rel(name, path)
		if err != nil || as == "." {
			as = filepath.Base(path)
		}
		return add(t, as, path)
	})
	for _, as := range slices.Sorted(maps.Keys(extra)) {
		if err == nil {
			err = add(t, as, extra[as])
		}
	}
	return errors.Join(err, t.Close(), z.Close())
}

func add(t *tar.Writer, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: filepath.ToSlash(name), Size: info.Size(), Mode: 0o600, ModTime: info.ModTime()}); err != nil {
		return err
	}
	_, err = io.Copy(t, f)
	return err
}

// Unpack writes the files of an archive below a folder, and nothing outside of it.
func Unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	arrived := &counter{r: r}
	z, err := gzip.NewReader(arrived)
	if err != nil {
		return fmt.Errorf("it is no gzip: %w", err)
	}
	t := tar.NewReader(z)
	var total int64
	unpacked := &guard{arrived: arrived}
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
			if err := unpacked.write(root, name, io.LimitReader(t, h.Size)); err != nil {
				return fmt.Errorf("%q: %w", h.Name, err)
			}
		default:
			return fmt.Errorf("%q is neither a file nor a folder", h.Name)
		}
	}
}

// counter counts what arrives.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// guard holds what is unpacked against what has arrived for it.
type guard struct {
	arrived *counter
	n       int64
	to      io.Writer
}

func (g *guard) Write(p []byte) (int, error) {
	if g.n += int64(len(p)); g.n > maxFree+maxRatio*g.arrived.n {
		return 0, fmt.Errorf("%d bytes became more than %d", g.arrived.n, g.n)
	}
	return g.to.Write(p)
}

func (g *guard) write(root *os.Root, name string, from io.Reader) (err error) {
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
	g.to = f
	_, err = io.Copy(g, from)
	return err
}
