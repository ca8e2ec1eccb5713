package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"drawbridge/internal/registry"
)

// ErrRegistry is wrapped where registry files have mistakes that make the registry unusable.
var ErrRegistry = errors.New("the registry has mistakes")

// OpenRegistry reads registry files: each path is a file, or a folder whose .yaml, .yml and .json files are read in order of their
// names, its folders too. Hidden files and folders are passed over. Problems are those of the files; the error is about opening them.
func OpenRegistry(paths ...string) (*registry.Registry, []registry.Problem, error) {
	r := &registry.Registry{}
	var problems []registry.Problem
	files := 0
	for _, path := range paths {
		list, err := RegistryFiles(path)
		if err != nil {
			return nil, nil, fmt.Errorf("opening the registry: %w", err)
		}
		for _, file := range list {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, nil, fmt.Errorf("opening the registry: %w", err)
			}
			part, found := registry.Parse(filepath.ToSlash(file), data)
			r.Entries = append(r.Entries, part.Entries...)
			r.Vendors = append(r.Vendors, part.Vendors...)
			problems = append(problems, found...)
			files++
		}
	}
	if files == 0 {
		return nil, nil, fmt.Errorf("opening the registry: no .yaml, .yml or .json file in %s", strings.Join(paths, ", "))
	}
	registry.SortProblems(problems)
	return r, problems, nil
}

// RegistryFiles are the registry files of a path, in the order in which they are read: itself, or the .yaml, .yml and .json files of a folder.
func RegistryFiles(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != path && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case !d.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, strings.ToLower(filepath.Ext(name))):
			files = append(files, name)
		}
		return nil
	})
	return files, err
}
