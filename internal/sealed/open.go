package sealed

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
	"golang.org/x/sync/errgroup"
)

// Is reports whether a directory holds an encrypted snapshot.
func Is(fsys fs.FS) bool {
	_, err := fs.Stat(fsys, ManifestFile)
	return err == nil
}

// ReadManifest reads what is known without the key, and holds it against the files that are there, as far as that goes without the key: a part that is missing, added or cut is found, one that was exchanged is not.
func ReadManifest(fsys fs.FS) (Manifest, error) {
	var m Manifest
	text, err := fs.ReadFile(fsys, ManifestFile)
	if err != nil {
		return m, fmt.Errorf("reading the encrypted snapshot: %w", err)
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, fmt.Errorf("%w: %s: %w", ErrBroken, ManifestFile, err)
	}
	if m.Version != Version {
		return m, fmt.Errorf("%s: version %d of the encrypted form is not known to this program: expected %d", ManifestFile, m.Version, Version)
	}
	for name, want := range map[string]string{KeyFile: m.Key, IndexFile: m.Index} {
		_, sum, err := digest(fsys, name)
		if err != nil {
			return m, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		if sum != want {
			return m, fmt.Errorf("%w: %s is not the file that was written: it was changed, cut, or is another snapshot's", ErrBroken, name)
		}
	}
	names, err := partFiles(fsys)
	if err != nil {
		return m, err
	}
	var size int64
	for _, name := range names {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			return m, fmt.Errorf("%w: %w", ErrBroken, err)
		}
		size += info.Size()
	}
	if len(names) != m.Parts {
		return m, fmt.Errorf("%w: %d parts were written, %d are there", ErrBroken, m.Parts, len(names))
	}
	if size != m.Bytes {
		return m, fmt.Errorf("%w: its parts have %d bytes, and %d were written", ErrBroken, size, m.Bytes)
	}
	return m, nil
}

func partFiles(fsys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(fsys, PartsDir)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBroken, err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && path.Ext(e.Name()) == ".age" {
			names = append(names, path.Join(PartsDir, e.Name()))
		}
	}
	return names, nil
}

// Open reads an encrypted snapshot as the directory that it holds. Every byte of every part is checked before it returns: what is read afterwards is what was written, in its place, or an error. Errors wrap ErrEncrypted,
// ErrIdentity or ErrBroken.
func Open(fsys fs.FS, identities []age.Identity) (fs.FS, error) {
	if len(identities) == 0 {
		return nil, ErrEncrypted
	}
	m, err := ReadManifest(fsys)
	// What is wrong with the parts is said by name below, where the index can be read.
	manifest := err
	if err != nil && (m.Version != Version || !errors.Is(err, ErrBroken)) {
		return nil, err
	}
	own, text, err := unlock(fsys, identities)
	if err != nil {
		return nil, err
	}
	var ix index
	if err := json.Unmarshal(text, &ix); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBroken, IndexFile, err)
	}
	if err := check(fsys, ix.Parts); err != nil {
		return nil, err
	}
	if manifest != nil {
		return nil, manifest
	}
	same := m.About
	if !same.Collected.Equal(ix.Collected) {
		return nil, fmt.Errorf("%w: %s says that it was collected at %s, and its sealed index at %s", ErrBroken, ManifestFile, m.Collected, ix.Collected)
	}
	if same.Collected = ix.Collected; same != ix.About {
		return nil, fmt.Errorf("%w: %s and the sealed index do not say the same", ErrBroken, ManifestFile)
	}
	return newTree(fsys, own, ix)
}

// unlock finds the snapshot's own identity, and reads the index with it. The snapshot's own identity is taken too: that is what a program makes of KeyFile whose keys this one does not have.
func unlock(fsys fs.FS, identities []age.Identity) (own []age.Identity, text []byte, err error) {
	var none *age.NoIdentityMatchError
	key, err := decrypt(fsys, KeyFile, identities)
	if errors.As(err, &none) {
		if text, err := decrypt(fsys, IndexFile, identities); err == nil {
			return identities, text, nil
		}
		return nil, nil, ErrIdentity
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrBroken, KeyFile, err)
	}
	if own, err = age.ParseIdentities(bytes.NewReader(key)); err != nil {
		return nil, nil, fmt.Errorf("%w: %s holds no key of a snapshot", ErrBroken, KeyFile)
	}
	text, err = decrypt(fsys, IndexFile, own)
	if errors.As(err, &none) {
		return nil, nil, fmt.Errorf("%w: %s does not belong to %s: one of them is another snapshot's", ErrBroken, IndexFile, KeyFile)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrBroken, IndexFile, err)
	}
	return own, text, nil
}

func decrypt(fsys fs.FS, name string, identities []age.Identity) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := age.Decrypt(f, identities...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// check holds every part against the index.
func check(fsys fs.FS, parts []Part) error {
	errs := make([]error, len(parts))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range parts {
		g.Go(func() error {
			size, sum, err := digest(fsys, p.Name)
			switch {
			case errors.Is(err, fs.ErrNotExist):
				errs[i] = fmt.Errorf("%w: %s (%s) is missing", ErrBroken, p.Name, p.Dir)
			case err != nil:
				errs[i] = fmt.Errorf("%w: %w", ErrBroken, err)
			case size < p.Size:
				errs[i] = fmt.Errorf("%w: %s (%s) is cut: %d of %d bytes are there, or it is another part", ErrBroken, p.Name, p.Dir, size, p.Size)
			case sum != p.SHA256:
				errs[i] = fmt.Errorf("%w: %s (%s) is not the file that was written: it was changed, or is another part or another snapshot's", ErrBroken, p.Name, p.Dir)
			}
			return nil
		})
	}
	_ = g.Wait()
	names, err := partFiles(fsys)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(parts, func(p Part) bool { return p.Name == name }) {
			errs = append(errs, fmt.Errorf("%w: %s is no part of it", ErrBroken, name))
		}
	}
	const most = 5
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if n := len(errs); n > most {
		errs = append(errs[:most], fmt.Errorf("and %d more", n-most))
	}
	return errors.Join(errs...)
}

// tree is the directory that a snapshot holds.
type tree struct {
	fsys fs.FS
	own  []age.Identity
	at   time.Time
	dirs map[string][]fs.DirEntry
	file map[string]place

	mu   sync.Mutex
	keys map[string]age.Identity // part → its file key: unwrapping it is most of what opening a small file costs
}

// key is what opens a part.
func (t *tree) key(name string, part io.ReaderAt, size int64) (age.Identity, error) {
	t.mu.Lock()
	key, ok := t.keys[name]
	t.mu.Unlock()
	if ok {
		return key, nil
	}
	header, err := age.ExtractHeader(io.NewSectionReader(part, 0, size))
	if err != nil {
		return nil, err
	}
	secret, err := age.DecryptHeader(header, t.own...)
	if err != nil {
		return nil, err
	}
	key = age.NewInjectedFileKeyIdentity(secret)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys[name] = key
	return key, nil
}

// place is where a file is.
type place struct {
	part string
	File
}

func newTree(fsys fs.FS, own []age.Identity, ix index) (*tree, error) {
	t := &tree{fsys: fsys, own: own, at: ix.Collected, dirs: map[string][]fs.DirEntry{".": nil}, file: make(map[string]place), keys: make(map[string]age.Identity)}
	var add func(dir string)
	add = func(dir string) {
		if _, ok := t.dirs[dir]; ok {
			return
		}
		t.dirs[dir] = nil
		add(path.Dir(dir))
		t.dirs[path.Dir(dir)] = append(t.dirs[path.Dir(dir)], entry{name: path.Base(dir), dir: true, at: t.at})
	}
	for _, p := range ix.Parts {
		if !fs.ValidPath(p.Dir) {
			return nil, fmt.Errorf("%w: the sealed index names the directory %q", ErrBroken, p.Dir)
		}
		add(p.Dir)
		for _, f := range p.Files {
			name := path.Join(p.Dir, f.Name)
			if _, dir := t.dirs[name]; dir || !fs.ValidPath(f.Name) || strings.Contains(f.Name, "/") || t.file[name].part != "" || f.Size < 0 || f.Offset < 0 {
				return nil, fmt.Errorf("%w: the sealed index names %q wrongly or twice", ErrBroken, name)
			}
			t.file[name] = place{part: p.Name, File: f}
			t.dirs[path.Dir(name)] = append(t.dirs[path.Dir(name)], entry{name: path.Base(name), size: f.Size, at: t.at})
		}
	}
	for _, list := range t.dirs {
		slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return t, nil
}

// ReadDir lists a directory.
func (t *tree) ReadDir(name string) ([]fs.DirEntry, error) {
	list, ok := t.dirs[name]
	if !ok {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	return slices.Clone(list), nil
}

// Open opens a file. Its name stands in the part too, and must be the one that is asked for.
func (t *tree) Open(name string) (fs.File, error) {
	fail := func(err error) (fs.File, error) { return nil, &fs.PathError{Op: "open", Path: name, Err: err} }
	if !fs.ValidPath(name) {
		return fail(fs.ErrInvalid)
	}
	if list, ok := t.dirs[name]; ok {
		return &openDir{entry: entry{name: path.Base(name), dir: true, at: t.at}, list: list}, nil
	}
	at, ok := t.file[name]
	if !ok {
		return fail(fs.ErrNotExist)
	}
	f, err := t.fsys.Open(at.part)
	if err != nil {
		return fail(err)
	}
	info, err := f.Stat()
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	random, ok := f.(io.ReaderAt)
	if !ok {
		return fail(errors.Join(fmt.Errorf("%s cannot be read from its middle", at.part), f.Close()))
	}
	key, err := t.key(at.part, random, info.Size())
	if err != nil {
		return fail(errors.Join(fmt.Errorf("%w: %s: %w", ErrBroken, at.part, err), f.Close()))
	}
	text, size, err := age.DecryptReaderAt(random, info.Size(), key)
	if err != nil {
		return fail(errors.Join(fmt.Errorf("%w: %s: %w", ErrBroken, at.part, err), f.Close()))
	}
	if at.Offset > size {
		return fail(errors.Join(fmt.Errorf("%w: %s ends before %s", ErrBroken, at.part, name), f.Close()))
	}
	archive := tar.NewReader(io.NewSectionReader(text, at.Offset, size-at.Offset))
	header, err := archive.Next()
	if err != nil {
		return fail(errors.Join(fmt.Errorf("%w: %s: %w", ErrBroken, at.part, err), f.Close()))
	}
	if header.Name != name || header.Size != at.Size {
		return fail(errors.Join(fmt.Errorf("%w: %s holds %s in the place of %s", ErrBroken, at.part, header.Name, name), f.Close()))
	}
	return &openFile{entry: entry{name: path.Base(name), size: at.Size, at: t.at}, Reader: archive, part: f}, nil
}

// entry is a file or a directory, as a listing and as its own description.
type entry struct {
	name string
	size int64
	dir  bool
	at   time.Time
}

func (e entry) Name() string               { return e.name }
func (e entry) Size() int64                { return e.size }
func (e entry) IsDir() bool                { return e.dir }
func (e entry) ModTime() time.Time         { return e.at }
func (e entry) Sys() any                   { return nil }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Mode() fs.FileMode {
	if e.dir {
		return fs.ModeDir | 0o500
	}
	return 0o400
}

type openFile struct {
	entry
	io.Reader
	part io.Closer
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.entry, nil }
func (f *openFile) Close() error               { return f.part.Close() }

type openDir struct {
	entry
	list []fs.DirEntry
	next int
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.entry, nil }
func (d *openDir) Close() error               { return nil }
func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errors.New("is a directory")}
}
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	rest := d.list[d.next:]
	if n > 0 && len(rest) == 0 {
		return nil, io.EOF
	}
	if n > 0 && len(rest) > n {
		rest = rest[:n]
	}
	d.next += len(rest)
	return slices.Clone(rest), nil
}
