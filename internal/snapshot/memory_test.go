package snapshot

import (
	"bytes"
	"io/fs"
	"testing/fstest"
)

// mapFS is a directory in memory.
func mapFS(files map[string]string) fs.FS {
	m := make(fstest.MapFS, len(files))
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

// bytesFS is a directory of one file, which is not copied.
type bytesFS struct {
	name string
	data []byte
}

func (b bytesFS) Open(name string) (fs.File, error) {
	if name != b.name {
		return nil, fs.ErrNotExist
	}
	return &bytesFile{bytes.NewReader(b.data)}, nil
}

type bytesFile struct{ *bytes.Reader }

func (*bytesFile) Stat() (fs.FileInfo, error) { return nil, fs.ErrInvalid }
func (*bytesFile) Close() error               { return nil }
