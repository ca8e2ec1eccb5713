package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
)

// Cosigned is a witness's word that a checkpoint extends every checkpoint of its log that the witness saw before.
type Cosigned struct {
	Witness string
	At      time.Time // of the word, to the second
}

// Witness is the key of a witness: it checks cosignatures by Ed25519. Source: C2SP tlog-cosignature, "Ed25519 signed message".
type Witness struct {
	name string
	hash uint32
	key  ed25519.PublicKey
}

// algCosignature is the type of key in a verifier key, and in the key's hash.
const algCosignature = 4

// ParseWitness reads a verifier key: NAME+HASH+KEY, as the witness's keeper publishes it.
func ParseWitness(vkey string) (*Witness, error) {
	bad := func(why string) error { return fmt.Errorf("%q is no key of a witness: %s", vkey, why) }
	name, rest, ok := strings.Cut(strings.TrimSpace(vkey), "+")
	hash, encoded, ok2 := strings.Cut(rest, "+")
	if !ok || !ok2 || name == "" || strings.ContainsAny(name, " \t\n") {
		return nil, bad("expected NAME+HASH+KEY")
	}
	h, err := strconv.ParseUint(hash, 16, 32)
	if err != nil || len(hash) != 8 {
		return nil, bad("its hash is not eight hexadecimal digits")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	switch {
	case err != nil || len(key) == 0:
		return nil, bad("the key is not in base64")
	case key[0] != algCosignature:
		return nil, bad(fmt.Sprintf("its type is %d; cosignatures by Ed25519, type %d, are understood", key[0], algCosignature))
	case len(key) != 1+ed25519.PublicKeySize:
		return nil, bad("the key is not as long as a key of Ed25519")
	}
	w := &Witness{name: name, hash: uint32(h), key: ed25519.PublicKey(key[1:])}
	if witnessHash(name, w.key) != w.hash {
		return nil, bad("its hash is not that of its name and key")
	}
	return w, nil
}

func witnessHash(name string, key ed25519.PublicKey) uint32 {
	h := sha256.New()
	h.Write([]byte(name + "\n"))
	h.Write([]byte{algCosignature})
	h.Write(key)
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// Name implements note.Verifier.
func (w *Witness) Name() string { return w.name }

// KeyHash implements note.Verifier.
func (w *Witness) KeyHash() uint32 { return w.hash }

// Verify implements note.Verifier.
func (w *Witness) Verify(text, signature []byte) bool {
	if len(signature) != 8+ed25519.SignatureSize {
		return false
	}
	at := binary.BigEndian.Uint64(signature)
	return at < 1<<63 && ed25519.Verify(w.key, cosignedText(at, text), signature[8:])
}

func cosignedText(at uint64, text []byte) []byte {
	return append([]byte("cosignature/v1\ntime "+strconv.FormatUint(at, 10)+"\n"), text...)
}

// cosignedAt is the time in a cosignature that was verified.
func cosignedAt(s note.Signature) (time.Time, error) {
	b, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil || len(b) < 12 {
		return time.Time{}, fmt.Errorf("the cosignature of %s has no time", s.Name)
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b[4:])), 0).UTC(), nil
}
