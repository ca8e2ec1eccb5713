// Package ingest reads files from disk into a snapshot: the directory form, a single file of account authorization details,
// or a folder of them. It also reads the list of known vendors.
//
// It only finds out what lies at a path and hands it on: the reading itself is done by package snapshot, which needs no
// disk. What an input does not carry (an organisation, SCPs, resources) is a gap of the result, never an empty answer.
package ingest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"drawbridge/internal/ingest/iamcollect"
	"drawbridge/internal/sealed"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/store"
)

// Open reads the input at a path:
//
//   - a directory with organization.json or accounts/: the directory form of docs/snapshot.md;
//   - a directory with encrypted.json: the same, encrypted; identities open it, each the name of a file of them or one itself;
//   - latest in a directory of snapshots: the newest complete one of them;
//   - the folder that iam-collect writes, with aws/<partition>/accounts;
//   - files of AWS Config, plain or packed, one or a folder of them as deep as they lie in a bucket;
//   - any other directory with .json files: each is one account's authorization details, or a page of them;
//   - a file: one account's authorization details, or infrastructure code, which is taken for what it states: a Terraform state or plan in JSON, a CloudFormation
//     template or change set.
//
// It returns an error where there is nothing to work on. Whatever is wrong inside the files is a gap of the snapshot.
func Open(name string) (*snapshot.Snapshot, error) { return OpenWith(name, Code{}) }

// OpenWith is Open with what infrastructure code does not tell of itself, and with identities. It returns an error where something is told and the input is no code.
func OpenWith(name string, c Code, identities ...string) (*snapshot.Snapshot, error) {
	name, err := Resolve(name)
	if err != nil {
		return nil, fmt.Errorf("opening the input: %w", err)
	}
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("opening the input: %w", err)
	}
	if !info.IsDir() {
		// A file of AWS Config may be of any size, and is known by its beginning.
		if s, ok, err := openConfig(name, info, c); ok || err != nil {
			return s, err
		}
		if s, ok, err := openCode(name, c); ok || err != nil {
			return s, err
		}
	}
	if info.IsDir() && !isDirectoryForm(os.DirFS(name)) && !sealed.Is(os.DirFS(name)) && !iamcollect.Recognise(os.DirFS(name)) && !store.Is(os.DirFS(name)) {
		if s, ok, err := openConfig(name, info, c); ok || err != nil {
			return s, err
		}
	}
	if !c.empty() {
		return nil, fmt.Errorf("%s: %w", name, ErrNoCode)
	}
	if !info.IsDir() {
		base := filepath.Base(name)
		return only(snapshot.ReadDetails(os.DirFS(filepath.Dir(name)), []string{base}))
	}
	root := os.DirFS(name)
	if sealed.Is(root) {
		if isDirectoryForm(root) {
			return nil, fmt.Errorf("%s holds an encrypted snapshot and files of one in the clear: which of them is meant is not known", name)
		}
		return openSealed(name, identities)
	}
	if iamcollect.Recognise(root) {
		s, err := iamcollect.Read(root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return s, nil
	}
	if isDirectoryForm(root) {
		s, err := snapshot.ReadFS(root)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return s, nil
	}
	if store.Is(root) {
		return nil, fmt.Errorf("%s is a directory of snapshots: give one of them, or %s", name, filepath.Join(name, store.Latest))
	}
	files, err := detailsFiles(root)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: %w: expected organization.json, accounts/<account id>/iam.json, aws/<partition>/accounts of iam-collect, files of AWS Config or .json files of account authorization details", name, snapshot.ErrNothing)
	}
	return only(snapshot.ReadDetails(root, files))
}

// only refuses files in which nothing was recognised: a mistyped path is an error, not an organisation without access.
func only(s *snapshot.Snapshot, err error) (*snapshot.Snapshot, error) {
	if err != nil {
		return nil, err
	}
	if len(s.Users)+len(s.Groups)+len(s.Roles)+len(s.Policies)+len(s.Accounts) > 0 {
		return s, nil
	}
	errs := []error{fmt.Errorf("%w: no account authorization details in the input", snapshot.ErrNothing)}
	for _, g := range s.Gaps {
		if g.Source.Line > 0 {
			errs = append(errs, fmt.Errorf("%s:%d:%d: %s", g.Source.File, g.Source.Line, g.Source.Column, g.Reason))
		}
	}
	return nil, errors.Join(errs[:min(len(errs), 10)]...)
}

// isDirectoryForm reports whether any file that only the directory form has is there.
func isDirectoryForm(root fs.FS) bool {
	for _, name := range []string{"organization.json", "accounts"} {
		if _, err := fs.Stat(root, name); err == nil {
			return true
		}
	}
	return false
}

// detailsFiles lists the .json files of a folder and of the folders in it, in stable order.
func detailsFiles(root fs.FS) ([]string, error) {
	var files []string
	err := fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && name != "." && (path.Base(name)[0] == '.' || path.Dir(name) != ".") {
			return fs.SkipDir
		}
		if !entry.IsDir() && path.Ext(name) == ".json" {
			files = append(files, name)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}
