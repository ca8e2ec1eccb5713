// Package iamcollect reads the folder that iam-collect writes, the open-source collector of cloud-copilot, into a snapshot. It is pure: the folder is an fs.FS.
//
// Layout (https://github.com/cloud-copilot/iam-collect, docs/Storage.md): below aws/<partition>, accounts/<account id>/<service>/[<region>/][<type>/]<id>/ holds one resource in small files, metadata.json and policy.json
// and others, and organizations/<organisation id>/ the organisation, its units and control policies. Names of folders are in lower case, so that only what stands inside the files is taken for a name. A file whose content
// would be empty is not written. That makes a resource without policy look like one whose policy was denied to the collector: where the two cannot be told apart, the policy is not known.
package iamcollect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// ErrNothing is returned where a folder is none of iam-collect.
var ErrNothing = errors.New("no folder of iam-collect")

// partition is the folder of one partition.
type partition struct{ name, dir string }

// Recognise reports whether a folder is one of iam-collect: the one that its configuration names, the folder aws in it, or that of one partition.
func Recognise(fsys fs.FS) bool { return len(partitions(fsys)) > 0 }

func partitions(fsys fs.FS) []partition {
	isDir := func(name string) bool {
		info, err := fs.Stat(fsys, name)
		return err == nil && info.IsDir()
	}
	var found []partition
	for _, dir := range []string{"aws", "."} {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			continue
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if e.IsDir() && (e.Name() == "aws" || strings.HasPrefix(e.Name(), "aws-")) && (isDir(path.Join(name, "accounts")) || isDir(path.Join(name, "organizations"))) {
				found = append(found, partition{e.Name(), name})
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	if _, err := fs.Stat(fsys, "organization.json"); err == nil { // a snapshot
		return nil
	}
	if isDir("accounts") && (isDir("organizations") || isDir("indexes")) {
		return []partition{{"aws", "."}}
	}
	return nil
}

// Read reads a folder. It returns an error wrapping ErrNothing where the folder is none of iam-collect; whatever is wrong, missing or not understood inside is a gap of the snapshot.
func Read(fsys fs.FS) (*snapshot.Snapshot, error) {
	found := partitions(fsys)
	if len(found) == 0 {
		return nil, fmt.Errorf("%w: expected aws/<partition>/accounts", ErrNothing)
	}
	r := &reader{fsys: fsys, b: snapshot.NewBuilder(), accounts: make(map[string]*snapshot.Account), shares: make(map[string]*snapshot.Share)}
	var organizations []*organization
	for _, p := range found {
		ids, _ := r.dirs(path.Join(p.dir, "organizations"), "")
		for _, id := range ids {
			organizations = append(organizations, r.readOrganization(path.Join(p.dir, "organizations", id), id, p.name))
		}
	}
	r.takeOrganization(organizations)
	for _, p := range found {
		ids, _ := r.dirs(path.Join(p.dir, "accounts"), "")
		for _, id := range ids {
			dir := path.Join(p.dir, "accounts", id)
			if !arn.IsAccountID(id) {
				r.gap(snapshot.GapFile, dir, "", "expected a folder named after the 12 digits of an account; it was not read", dir)
				continue
			}
			r.readAccount(dir, id, p.name)
		}
	}
	for _, a := range r.accounts {
		if a.Source.File == "" && a.Kind != snapshot.External {
			a.Source.File = r.listing
			r.gap(snapshot.GapAccount, a.ID, a.ID, "has no folder: nothing in the account was collected", r.listing)
		}
		r.b.Accounts = append(r.b.Accounts, *a)
	}
	for _, s := range r.shares {
		slices.Sort(s.Resources)
		slices.Sort(s.With)
		s.With = slices.Compact(s.With)
		r.b.Shares = append(r.b.Shares, *s)
	}
	return r.b.Done("resources.jsonl", "providers.json", "shares.jsonl"), nil
}

type reader struct {
	fsys     fs.FS
	b        *snapshot.Builder
	accounts map[string]*snapshot.Account
	shares   map[string]*snapshot.Share
	listing  string // the file that lists the organisation's accounts
}

func (r *reader) gap(kind snapshot.GapKind, subject, account, reason, file string) {
	r.b.Gap(snapshot.Gap{Kind: kind, Subject: subject, Account: account, Reason: reason, Source: snapshot.Source{File: file}})
}

// dirs are the names of the folders in a folder, none where it is not there. ok is false where it could not be read, which a gap says.
func (r *reader) dirs(dir, account string) (names []string, ok bool) {
	entries, err := fs.ReadDir(r.fsys, dir)
	if ok = err == nil || errors.Is(err, fs.ErrNotExist); !ok {
		r.gap(snapshot.GapFile, dir, account, "the folder could not be read: "+err.Error(), dir)
	}
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, ok
}

// value reads a file that is one JSON value. there is false where the file does not exist; text is nil where it could not be read, which a gap says.
func (r *reader) value(file, account string) (text []byte, at snapshot.Source, there bool) {
	f, err := r.fsys.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, at, false
	}
	if err != nil {
		r.gap(snapshot.GapFile, file, account, "could not be opened: "+err.Error(), file)
		return nil, at, true
	}
	defer f.Close()
	t := snapshot.NewText(file, f)
	text, at, err = t.Value()
	text = slices.Clone(text)
	if err == nil {
		err = t.End()
	}
	if err != nil {
		g := t.Gap(err)
		g.Account = account
		r.b.Gap(g)
		return nil, at, true
	}
	return text, at, true
}

// decode reads a file into a Go value. ok is false where there is none or it could not be read; the latter is a gap.
func (r *reader) decode(file, account string, into any) (at snapshot.Source, ok bool) {
	text, at, there := r.value(file, account)
	if !there || text == nil {
		return at, false
	}
	if err := json.Unmarshal(text, into); err != nil {
		r.b.Gap(snapshot.Gap{Kind: snapshot.GapFile, Subject: file, Account: account, Reason: "is not as expected: " + err.Error() + "; the file was not read", Source: at})
		return at, false
	}
	return at, true
}

// document reads a policy that is a file by itself. there is false where the file does not exist.
func (r *reader) document(name, subject, account, file string) (d snapshot.Document, there bool) {
	text, at, there := r.value(file, account)
	switch {
	case !there:
		return snapshot.Document{Name: name, State: snapshot.None}, false
	case text == nil:
		return r.unread(name, subject, account, "the file could not be read", snapshot.Source{File: file}), true
	}
	return r.policy(name, subject, account, text, at), true
}

// policy reads a policy: an object, or a string that holds one, plain or URL-encoded.
func (r *reader) policy(name, subject, account string, text []byte, at snapshot.Source) snapshot.Document {
	var quoted string
	if err := json.Unmarshal(text, &quoted); err == nil {
		if strings.HasPrefix(quoted, "%7B") || strings.HasPrefix(quoted, "%7b") {
			plain, err := url.PathUnescape(quoted)
			if err != nil {
				return r.unread(name, subject, account, err.Error(), at)
			}
			quoted = plain
		}
		text = []byte(quoted)
	}
	d, gaps := r.b.Document(name, text, at, quoted == "")
	for _, g := range gaps {
		g.Subject, g.Account = subject, account
		r.b.Gap(g)
	}
	return d
}

// unread is a policy that is not known, with its gap.
func (r *reader) unread(name, subject, account, why string, at snapshot.Source) snapshot.Document {
	r.b.Gap(snapshot.Gap{Kind: snapshot.GapDocument, Subject: subject, Account: account, Reason: name + ": " + why, Source: at})
	return snapshot.Document{Name: name, State: snapshot.Unresolved, Problem: why, Source: at}
}

func (r *reader) account(id, partition string) *snapshot.Account {
	a := r.accounts[id]
	if a == nil {
		a = &snapshot.Account{ID: id, Partition: partition}
		r.accounts[id] = a
	}
	return a
}
