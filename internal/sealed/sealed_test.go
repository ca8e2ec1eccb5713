package sealed_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"drawbridge/internal/sealed"
)

// seal writes a snapshot of some accounts, and returns its files and the snapshot's own recipient.
func seal(t testing.TB, content map[string]map[string]string, to ...age.Recipient) (fstest.MapFS, string) {
	t.Helper()
	list := make([]sealed.Recipient, len(to))
	for i := range to {
		list[i].Recipient = to[i]
	}
	own, key, err := sealed.NewKey(list)
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{sealed.KeyFile: {Data: key}}
	var parts []sealed.Part
	for i, dir := range slices.Sorted(maps.Keys(content)) {
		var b bytes.Buffer
		w, err := sealed.NewPart(&b, own, dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range slices.Sorted(maps.Keys(content[dir])) {
			if err := w.File(name, []byte(content[dir][name])); err != nil {
				t.Fatal(err)
			}
		}
		files, err := w.Close()
		if err != nil {
			t.Fatal(err)
		}
		p := sealed.Part{Name: fmt.Sprintf("%s/%06d.age", sealed.PartsDir, i), Dir: dir, Files: files}
		out[p.Name] = &fstest.MapFile{Data: b.Bytes()}
		parts = append(parts, p)
	}
	about := sealed.About{Collected: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Accounts: len(content), Gaps: 3}
	index, manifest, err := sealed.Finish(out, own, about, parts)
	if err != nil {
		t.Fatal(err)
	}
	out[sealed.IndexFile], out[sealed.ManifestFile] = &fstest.MapFile{Data: index}, &fstest.MapFile{Data: manifest}
	return out, own
}

func content(n int) map[string]map[string]string {
	return map[string]map[string]string{
		".":                     {"organization.json": `{"version":1}`, "empty.jsonl": ""},
		"accounts/444455556666": {"iam.json": strings.Repeat("canary-four", n), "gaps.json": "[]"},
		"accounts/777788889999": {"iam.json": strings.Repeat("canary-seven", n), "odd.json": strings.Repeat("x", 511)},
	}
}

func x25519(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestRoundTrip(t *testing.T) {
	first, second := x25519(t), x25519(t)
	for _, n := range []int{0, 1, 47, 20_000} {
		in := content(n)
		files, _ := seal(t, in, first.Recipient(), second.Recipient())
		for name, f := range files {
			if bytes.Contains(f.Data, []byte("canary")) || bytes.Contains(f.Data, []byte("444455556666")) || strings.Contains(name, "4444") {
				t.Errorf("%s tells", name)
			}
		}
		for _, id := range []age.Identity{first, second} {
			tree, err := sealed.Open(files, []age.Identity{id})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for dir, list := range in {
				for name, want := range list {
					name = strings.TrimPrefix(dir+"/"+name, "./")
					names = append(names, name)
					if got, err := fs.ReadFile(tree, name); err != nil || string(got) != want {
						t.Errorf("%s: %d bytes, %v", name, len(got), err)
					}
				}
			}
			if n > 100 { // it reads byte by byte
				continue
			}
			if err := fstest.TestFS(tree, names...); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestByOtherPrograms: age and tar alone make the directory of an encrypted snapshot; and the snapshot's own identity, which other programs can make of its key, opens it.
func TestByOtherPrograms(t *testing.T) {
	id := x25519(t)
	in := content(9000)
	files, _ := seal(t, in, id.Recipient())
	decrypt := func(name string, id age.Identity) []byte {
		r, err := age.Decrypt(bytes.NewReader(files[name].Data), id)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	own, err := age.ParseIdentities(bytes.NewReader(decrypt(sealed.KeyFile, id)))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for name := range files {
		if !strings.HasPrefix(name, sealed.PartsDir) {
			continue
		}
		archive := tar.NewReader(bytes.NewReader(decrypt(name, own[0])))
		for {
			h, err := archive.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(archive)
			if want, ok := in[path.Dir(h.Name)][path.Base(h.Name)]; err != nil || !ok || string(text) != want {
				t.Errorf("%s: %d bytes, %v", h.Name, len(text), err)
			}
			n++
		}
	}
	if n != 6 {
		t.Errorf("%d files", n)
	}
	if _, err := sealed.Open(files, own); err != nil {
		t.Error(err)
	}
}

// TestChanged: whatever is changed, cut, exchanged or taken away is an error that says where.
func TestChanged(t *testing.T) {
	id := x25519(t)
	other, stranger := content(300), x25519(t)
	a, own := seal(t, content(20), id.Recipient())
	b, _ := seal(t, other, id.Recipient())
	part := func(n int) string { return fmt.Sprintf("parts/%06d.age", n) }
	cut := func(name string, n int) func(fstest.MapFS) {
		return func(f fstest.MapFS) { f[name] = &fstest.MapFile{Data: f[name].Data[:len(f[name].Data)-n]} }
	}
	flip := func(name string, at int) func(fstest.MapFS) {
		return func(f fstest.MapFS) {
			d := bytes.Clone(f[name].Data)
			d[(at+len(d))%len(d)] ^= 1
			f[name] = &fstest.MapFile{Data: d}
		}
	}
	// manifest rewrites the plain manifest, as somebody would who covers a change up.
	manifest := func(f fstest.MapFS, change func(*sealed.Manifest)) {
		var m sealed.Manifest
		if err := json.Unmarshal(f[sealed.ManifestFile].Data, &m); err != nil {
			t.Fatal(err)
		}
		change(&m)
		text, _ := json.Marshal(m)
		f[sealed.ManifestFile] = &fstest.MapFile{Data: text}
	}
	tests := []struct {
		name   string
		change func(fstest.MapFS)
		says   string
		blind  bool // it is not found without the key
	}{
		{"a part is changed", flip(part(1), -1), part(1) + " (accounts/444455556666) is not the file that was written", true},
		{"a part's header is changed", flip(part(1), 40), part(1), true},
		{"a part is cut", cut(part(2), 1), part(2) + " (accounts/777788889999) is cut", false},
		{"a part is cut to nothing", func(f fstest.MapFS) { f[part(2)] = &fstest.MapFile{} }, part(2) + " (accounts/777788889999) is cut: 0 of", false},
		{"a part is missing", func(f fstest.MapFS) { delete(f, part(2)) }, part(2) + " (accounts/777788889999) is missing", false},
		{"a part is missing, and the manifest is changed", func(f fstest.MapFS) {
			manifest(f, func(m *sealed.Manifest) { m.Parts--; m.Accounts--; m.Bytes -= int64(len(f[part(2)].Data)) })
			delete(f, part(2))
		}, "is missing", true},
		{"a part is added", func(f fstest.MapFS) { f[part(9)] = f[part(1)] }, part(9) + " is no part of it", false},
		{"parts of two accounts are exchanged", func(f fstest.MapFS) { f[part(1)], f[part(2)] = f[part(2)], f[part(1)] }, part(1), true},
		{"a part is another snapshot's", func(f fstest.MapFS) { f[part(1)] = b[part(1)] }, part(1), false},
		{"all parts are another snapshot's", func(f fstest.MapFS) {
			for i := range 3 {
				f[part(i)] = b[part(i)]
			}
		}, part(0), false},
		{"the index is another snapshot's", func(f fstest.MapFS) { f[sealed.IndexFile] = b[sealed.IndexFile] }, "index.age", false},
		{"the index is another snapshot's, and the manifest is changed", func(f fstest.MapFS) {
			var of sealed.Manifest
			_ = json.Unmarshal(b[sealed.ManifestFile].Data, &of)
			f[sealed.IndexFile] = b[sealed.IndexFile]
			manifest(f, func(m *sealed.Manifest) { m.Index = of.Index })
		}, "index.age does not belong to key.age", true},
		{"the index is cut", cut(sealed.IndexFile, 5), "index.age", false},
		{"the key is another snapshot's", func(f fstest.MapFS) { f[sealed.KeyFile] = b[sealed.KeyFile] }, "key.age", false},
		{"the key is changed", flip(sealed.KeyFile, -1), "key.age", false},
		{"the key is missing", func(f fstest.MapFS) { delete(f, sealed.KeyFile) }, "key.age", false},
		{"key, index and manifest are another snapshot's", func(f fstest.MapFS) {
			for _, name := range []string{sealed.KeyFile, sealed.IndexFile, sealed.ManifestFile} {
				f[name] = b[name]
			}
		}, part(1), false},
		{"the manifest says another time", func(f fstest.MapFS) {
			manifest(f, func(m *sealed.Manifest) { m.Collected = m.Collected.Add(time.Hour) })
		}, "collected at", true},
		{"the manifest says other gaps", func(f fstest.MapFS) { manifest(f, func(m *sealed.Manifest) { m.Gaps = 0 }) }, "do not say the same", true},
		{"the manifest is cut", cut(sealed.ManifestFile, 9), sealed.ManifestFile, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := maps.Clone(a)
			test.change(f)
			_, err := sealed.Open(f, []age.Identity{id})
			if !errors.Is(err, sealed.ErrBroken) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, expected %q", err, test.says)
			}
			if _, err := sealed.ReadManifest(f); (err == nil) != test.blind {
				t.Errorf("without the key: %v", err)
			}
		})
	}
	if _, err := sealed.Open(a, []age.Identity{stranger}); !errors.Is(err, sealed.ErrIdentity) {
		t.Errorf("a wrong key: %v", err)
	}
	if _, err := sealed.Open(a, nil); !errors.Is(err, sealed.ErrEncrypted) {
		t.Errorf("no key: %v", err)
	}
	newer := maps.Clone(a)
	manifest(newer, func(m *sealed.Manifest) { m.Version = 2 })
	if _, err := sealed.Open(newer, []age.Identity{id}); err == nil || errors.Is(err, sealed.ErrBroken) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("a newer form: %v", err)
	}
	// An index that puts an account's files in the place of another's, made by one who has the snapshot's own recipient: the name inside the part decides.
	f := maps.Clone(a)
	tree, err := sealed.Open(f, []age.Identity{id})
	if err != nil {
		t.Fatal(err)
	}
	list, err := fs.ReadDir(tree, "accounts/444455556666")
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	index, text, err := sealed.Finish(f, own, sealed.About{Collected: time.Unix(0, 0)}, []sealed.Part{{Name: part(0), Dir: "."}, {Name: part(1), Dir: "accounts/777788889999", Files: []sealed.File{{Name: "gaps.json", Size: 2}}}, {Name: part(2), Dir: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	f[sealed.IndexFile], f[sealed.ManifestFile] = &fstest.MapFile{Data: index}, &fstest.MapFile{Data: text}
	if tree, err = sealed.Open(f, []age.Identity{id}); err != nil {
		t.Fatal(err)
	}
	if _, err := fs.ReadFile(tree, "accounts/777788889999/gaps.json"); !errors.Is(err, sealed.ErrBroken) || !strings.Contains(err.Error(), "holds accounts/444455556666/gaps.json in the place of") {
		t.Errorf("files of another account: %v", err)
	}
}

// TestKinds: each kind of recipient opens what was encrypted to it, alone and with others.
func TestKinds(t *testing.T) {
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sshKey := func(key any) (public, private string) {
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		block, err := ssh.MarshalPrivateKey(key, "")
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + " someone@example", string(pem.EncodeToMemory(block))
	}
	plain := x25519(t)
	edPublic, edPrivate := sshKey(ed)
	rsaPublic, rsaPrivate := sshKey(rsaKey)
	keys := []struct{ public, private string }{{plain.Recipient().String(), plain.String()}, {edPublic, edPrivate}, {rsaPublic, rsaPrivate}}
	opens := func(t *testing.T, recipients, identity string) {
		t.Helper()
		to, err := sealed.Recipients("keys.txt", recipients)
		if err != nil {
			t.Fatal(err)
		}
		list := make([]age.Recipient, len(to))
		for i := range to {
			list[i] = to[i]
		}
		files, _ := seal(t, content(3), list...)
		ids, err := sealed.Identities("identity", []byte(identity))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sealed.Open(files, ids); err != nil {
			t.Error(err)
		}
	}
	all := "# who may read\n"
	for _, k := range keys {
		all += k.public + "\n\n"
	}
	for _, k := range keys {
		opens(t, k.public, k.private)
		opens(t, all, k.private)
	}
	opens(t, hybrid.Recipient().String(), hybrid.String()+"\n"+plain.String())

	locked, err := ssh.MarshalPrivateKeyWithPassphrase(ed, "", []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		string(pem.EncodeToMemory(locked)):      "has a passphrase",
		"age-encryption.org/v1\n-> scrypt x\n":  "itself encrypted",
		"":                                      "expected lines such as AGE-SECRET-KEY-1",
		"AGE-PLUGIN-YUBIKEY-1QQQQ":              "line 1",
		"AGE-SECRET-KEY-1CANARYCANARY":          "f.txt",
		"-----BEGIN OPENSSH PRIVATE KEY-----\n": "f.txt",
	} {
		if _, err := sealed.Identities("f.txt", []byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%.20q: %v, expected %q", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"\n" + plain.String():   "f.txt:2: this is a private key",
		"age1nonsense":          "f.txt:1: not a recipient",
		"ssh-dss AAAA":          "f.txt:1: not a recipient",
		"# nobody\n":            "no recipient",
		"age1yubikey1qqqqqqqqq": "plugins are not supported",
	} {
		if _, err := sealed.Recipients("f.txt", text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), plain.String()) {
			t.Errorf("%.20q: %v, expected %q", text, err, want)
		}
	}
}

// FuzzOpen: whatever an index says that was made by one who has the snapshot's own recipient, nothing panics, and a file that is read carries its own name.
func FuzzOpen(f *testing.F) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		f.Fatal(err)
	}
	files, own := seal(f, content(5), id.Recipient())
	to, err := age.ParseHybridRecipient(own)
	if err != nil {
		f.Fatal(err)
	}
	ids := []age.Identity{id}
	key, err := age.Decrypt(bytes.NewReader(files[sealed.KeyFile].Data), id)
	if err != nil {
		f.Fatal(err)
	}
	identity, err := age.ParseIdentities(key)
	if err != nil {
		f.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(files[sealed.IndexFile].Data), identity...)
	if err != nil {
		f.Fatal(err)
	}
	index, err := io.ReadAll(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(index)
	for _, change := range [][2]string{{`"offset":0`, `"offset":-512`}, {`"offset":0`, `"offset":1024`}, {`"offset":0`, `"offset":99999999999`}, {`"dir":"."`, `"dir":"../.."`}, {`"dir":"."`, `"dir":"accounts"`},
		{`"dir":"."`, `"dir":""`}, {`"name":"iam.json"`, `"name":"../../x"`}, {`"name":"iam.json"`, `"name":"gaps.json"`}, {`"name":"parts/000001.age"`, `"name":"../key.age"`}, {`"name":"organization.json"`, `"name":"accounts"`}} {
		f.Add(bytes.ReplaceAll(index, []byte(change[0]), []byte(change[1])))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		w, err := age.Encrypt(&b, to)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		changed := maps.Clone(files)
		changed[sealed.IndexFile] = &fstest.MapFile{Data: b.Bytes()}
		var m sealed.Manifest
		if err := json.Unmarshal(files[sealed.ManifestFile].Data, &m); err != nil {
			t.Fatal(err)
		}
		_ = json.Unmarshal(text, &m.About) // the manifest says what the index says
		sum := sha256.Sum256(b.Bytes())
		m.Index = hex.EncodeToString(sum[:])
		manifest, err := json.Marshal(m)
		if err != nil {
			t.Skip()
		}
		changed[sealed.ManifestFile] = &fstest.MapFile{Data: manifest}
		tree, err := sealed.Open(changed, ids)
		if err != nil {
			return
		}
		_ = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				t.Fatal(err)
			}
			if d.IsDir() {
				return nil
			}
			got, err := fs.ReadFile(tree, name)
			if want, ok := content(5)[path.Dir(name)][path.Base(name)]; err == nil && (!ok || string(got) != want) {
				t.Errorf("%s holds %q", name, got)
			}
			return nil
		})
	})
}
