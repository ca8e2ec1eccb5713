package audit

import (
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// NewKey makes the signing key of a log: the private side, which is a secret, and the public one, which its auditors need. The name is what checkpoints are called by; a schema-less URL is usual, such as
// broker.example/audit. Both are texts in the form of signed notes.
func NewKey(random io.Reader, name string) (private Secret, public string, err error) {
	if name == "" || strings.ContainsAny(name, "+ \t\r\n") {
		return "", "", fmt.Errorf("%q cannot name a log: expected something like broker.example/audit, without spaces and plus signs", name)
	}
	s, public, err := note.GenerateKey(random, name)
	if err != nil {
		return "", "", fmt.Errorf("making a key: %w", err)
	}
	return Secret(s), public, nil
}

// ErrKey says that a text is no key of a log.
var ErrKey = errors.New("this is no key of a log")

// ParseKey reads a private key, and computes its public side.
func ParseKey(private Secret) (note.Signer, note.Verifier, error) {
	signer, err := note.NewSigner(private.Reveal())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: expected PRIVATE+KEY+NAME+HASH+KEY, as 'drawbridge audit key' makes it", ErrKey) // the text is no part of the error
	}
	// The public side is computed from the private one, whose form is that of note.GenerateKey: a byte for Ed25519, and the seed.
	fields := strings.SplitN(private.Reveal(), "+", 5) // base64 has plus signs too
	raw, err := base64.StdEncoding.DecodeString(fields[len(fields)-1])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, nil, fmt.Errorf("%w: it is not by Ed25519", ErrKey)
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return nil, nil, fmt.Errorf("%w: it is not by Ed25519", ErrKey)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil || verifier.KeyHash() != signer.KeyHash() {
		return nil, nil, fmt.Errorf("%w: its hash is not that of its name and key", ErrKey)
	}
	return signer, verifier, nil
}

// SignerOf is a log's key whose private side is elsewhere, such as in a KMS: it signs Ed25519. public is its public side, as auditors need it.
func SignerOf(name string, key crypto.Signer) (signer note.Signer, public string, err error) {
	raw, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, "", fmt.Errorf("%w: it is not by Ed25519", ErrKey)
	}
	if public, err = note.NewEd25519VerifierKey(name, raw); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrKey, err)
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %q cannot name a log", ErrKey, name)
	}
	return &remote{verifier, key}, public, nil
}

// remote implements note.Signer.
type remote struct {
	note.Verifier
	key crypto.Signer
}

func (r *remote) Sign(message []byte) ([]byte, error) {
	return r.key.Sign(nil, message, crypto.Hash(0))
}
