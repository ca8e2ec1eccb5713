package sealed

import (
	"archive/tar"
	"fmt"
	"io"
	"path"

	"filippo.io/age"
)

// PartWriter writes one part: files of one directory, encrypted as they come.
type PartWriter struct {
	to      counter // counts the tar
	closer  io.WriteCloser
	archive *tar.Writer
	dir     string
	files   []File
}

// NewPart begins a part whose files lie in dir ("." or accounts/<id>). recipient is the snapshot's own, of NewKey.
func NewPart(w io.Writer, recipient, dir string) (*PartWriter, error) {
	to, err := age.ParseHybridRecipient(recipient)
	if err != nil {
		return nil, fmt.Errorf("the snapshot's own recipient: %w", err)
	}
	p := &PartWriter{dir: dir}
	if p.closer, err = age.Encrypt(w, to); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	p.to.w = p.closer
	p.archive = tar.NewWriter(&p.to)
	return p, nil
}

// File adds a file.
func (p *PartWriter) File(name string, text []byte) error {
	if err := p.archive.Flush(); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	f := File{Name: name, Size: int64(len(text)), Offset: p.to.n}
	if err := p.archive.WriteHeader(&tar.Header{Name: path.Join(p.dir, name), Mode: 0o600, Size: f.Size, Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	if _, err := p.archive.Write(text); err != nil {
		return fmt.Errorf("encrypting: %w", err)
	}
	p.files = append(p.files, f)
	return nil
}

// Close ends the part, and returns its files for the index. The writer below is the caller's to close.
func (p *PartWriter) Close() ([]File, error) {
	if err := p.archive.Close(); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	if err := p.closer.Close(); err != nil {
		return nil, fmt.Errorf("encrypting: %w", err)
	}
	return p.files, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
