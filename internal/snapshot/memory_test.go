package snapshot

import (
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
