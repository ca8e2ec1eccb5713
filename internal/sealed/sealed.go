// Package sealed is the encrypted form of a snapshot: what its files are, how a part is written, and how the whole is read as the directory that it holds (docs/adr/0005-snapshots-at-rest.md).
//
//	encrypted.json   plain: when, how many accounts, gaps, parts and bytes, and the digests of the next two
//	key.age          the snapshot's own identity, encrypted to the recipients
//	index.age        which part holds which files, and the digest of each, encrypted to the snapshot's own recipient
//	parts/root.age   a tar of the files that belong to no account, encrypted to the snapshot's own recipient
//	parts/000001.age the same of one account; which one says the index
//
// Every file is an age file (age-encryption.org/v1), and can be taken apart by age and tar alone. The package takes and gives values and file systems; it opens nothing by itself.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"filippo.io/age/agessh"
)

const (
	// ManifestFile marks the directory of an encrypted snapshot.
	ManifestFile = "encrypted.json"
	KeyFile      = "key.age"
	IndexFile    = "index.age"
	PartsDir     = "parts"
	// Version is that of the encrypted form.
	Version = 1
)

// ErrEncrypted says that an input is encrypted and no identity was given, ErrIdentity that none of those given opens it, ErrBroken that its files are not those that were written.
var (
	ErrEncrypted = errors.New("the snapshot is encrypted: give --identity FILE, or set DRAWBRIDGE_IDENTITY")
	ErrIdentity  = errors.New("the snapshot is encrypted to others than the identities that were given")
	ErrBroken    = errors.New("the encrypted snapshot is damaged")
)

// About is what may be known of a snapshot without its key.
type About struct {
	Version   int       `json:"version"`
	Collected time.Time `json:"collected"`
	Accounts  int       `json:"accounts"` // that were read, those included that could not be entered
	Gaps      int       `json:"gaps"`
	Parts     int       `json:"parts"`
	Bytes     int64     `json:"bytes"` // of all parts
}

// Manifest is encrypted.json. It names both other files by their SHA-256, and the index names the parts: who signs it signs the whole snapshot.
type Manifest struct {
	About
	Key   string `json:"key"`
	Index string `json:"index"`
}

// Part is what the index says of a part.
type Part struct {
	Name   string `json:"name"` // parts/000001.age
	Dir    string `json:"dir"`  // where its files lie: accounts/<id>, or "." for those of no account
	Files  []File `json:"files"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // of the encrypted part
}

// File is a file of a part.
type File struct {
	Name   string `json:"name"` // in its directory: iam.json
	Size   int64  `json:"size"`
	Offset int64  `json:"offset"` // of its header in the tar
}

// index is the content of index.age. It repeats what the manifest says, so that the manifest cannot say something else.
type index struct {
	About
	Parts []Part `json:"content"`
}

// NewKey makes a snapshot's own key pair. It returns its recipient, and the content of KeyFile: the identity, encrypted to those who may read the snapshot. Whoever has the recipient alone can add parts, and read none.
func NewKey(to []Recipient) (recipient string, file []byte, err error) {
	identity, err := age.GenerateHybridIdentity()
	if err != nil {
		return "", nil, fmt.Errorf("making the snapshot's key: %w", err)
	}
	list := make([]age.Recipient, len(to))
	for i := range to {
		list[i] = to[i].Recipient
	}
	file, err = encrypt([]byte(identity.String()+"\n"), list...)
	if err != nil {
		return "", nil, fmt.Errorf("encrypting the snapshot's key: %w", err)
	}
	return identity.Recipient().String(), file, nil
}

func encrypt(text []byte, to ...age.Recipient) ([]byte, error) {
	var b bytes.Buffer
	w, err := age.Encrypt(&b, to...)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// Finish makes the last two files of a snapshot whose key and parts lie in fsys. Name, Dir and Files of the parts are given; Size and SHA256 are those of the files.
func Finish(fsys fs.FS, recipient string, a About, parts []Part) (indexText, manifest []byte, err error) {
	to, err := age.ParseHybridRecipient(recipient)
	if err != nil {
		return nil, nil, fmt.Errorf("the snapshot's own recipient: %w", err)
	}
	parts = slices.Clone(parts)
	a.Version, a.Parts, a.Bytes = Version, len(parts), 0
	for i := range parts {
		p := &parts[i]
		if p.Size, p.SHA256, err = digest(fsys, p.Name); err != nil {
			return nil, nil, fmt.Errorf("making the index: %w", err)
		}
		a.Bytes += p.Size
	}
	text, err := json.Marshal(index{About: a, Parts: parts})
	if err != nil {
		return nil, nil, fmt.Errorf("making the index: %w", err)
	}
	if indexText, err = encrypt(text, to); err != nil {
		return nil, nil, fmt.Errorf("making the index: %w", err)
	}
	m := Manifest{About: a, Index: digestOf(indexText)}
	if _, m.Key, err = digest(fsys, KeyFile); err != nil {
		return nil, nil, fmt.Errorf("making the manifest: %w", err)
	}
	if manifest, err = json.MarshalIndent(m, "", "  "); err != nil {
		return nil, nil, fmt.Errorf("making the manifest: %w", err)
	}
	return indexText, append(manifest, '\n'), nil
}

func digest(fsys fs.FS, name string) (size int64, sum string, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, "", err
	}
	defer f.Close()
	h := sha256.New()
	if size, err = io.Copy(h, f); err != nil {
		return 0, "", fmt.Errorf("%s: %w", name, err)
	}
	return size, hex.EncodeToString(h.Sum(nil)), nil
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Recipient is one who may read a snapshot.
type Recipient struct {
	age.Recipient
	Text string // as it was written, without comment
}

// Recipients reads recipients as age's own files have them, one a line, with comments: age1…, age1pq1…, ssh-ed25519 … and ssh-rsa …. name is the file's, for errors.
func Recipients(name, text string) ([]Recipient, error) {
	var list []Recipient
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		r, err := recipient(line)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, i+1, err)
		}
		words := strings.Fields(line)
		list = append(list, Recipient{r, strings.Join(words[:min(2, len(words))], " ")})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: no recipient: expected lines such as age1… or ssh-ed25519 …", name)
	}
	return list, nil
}

// IsRecipient reports whether a text is meant as a recipient, and not as the name of a file of them.
func IsRecipient(text string) bool {
	return strings.HasPrefix(text, "age1") || strings.HasPrefix(text, "ssh-") || isSecret(text)
}

// isSecret reports whether a text is a private key: errors must not repeat it.
func isSecret(text string) bool {
	return strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") || strings.HasPrefix(text, "-----BEGIN")
}

func recipient(text string) (age.Recipient, error) {
	switch {
	case isSecret(text):
		return nil, errors.New("this is a private key: recipients are public; age-keygen -y and ssh-keygen -y print them")
	case strings.HasPrefix(text, "ssh-"):
		r, err := agessh.ParseRecipient(text)
		if err != nil {
			return nil, fmt.Errorf("not a recipient: %w", err)
		}
		return r, nil
	}
	rs, err := age.ParseRecipients(strings.NewReader(text))
	if err != nil {
		return nil, errors.New("not a recipient: expected age1…, ssh-ed25519 … or ssh-rsa …; those of plugins are not supported")
	}
	return rs[0], nil
}

// Identities reads a file of identities: age's own, one a line, or one SSH private key. name is the file's, for errors; nothing of the text is repeated in them.
func Identities(name string, text []byte) ([]age.Identity, error) {
	switch {
	case bytes.HasPrefix(text, []byte("age-encryption.org/")), bytes.HasPrefix(text, []byte("-----BEGIN AGE ENCRYPTED FILE")):
		return nil, fmt.Errorf("%s: the file of identities is itself encrypted: give what age -d makes of it, in your shell --identity <(age -d FILE)", name)
	case bytes.HasPrefix(bytes.TrimSpace(text), []byte("-----BEGIN")):
		identity, err := agessh.ParseIdentity(text)
		if err != nil {
			if strings.Contains(err.Error(), "passphrase") {
				return nil, fmt.Errorf("%s: the SSH key has a passphrase, which is not asked for: give a copy without one (ssh-keygen -p)", name)
			}
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return []age.Identity{identity}, nil
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w: expected lines such as AGE-SECRET-KEY-1…, or an SSH private key", name, err)
	}
	return ids, nil
}
