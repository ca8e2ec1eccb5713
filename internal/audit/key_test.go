package audit

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"testing"

	"golang.org/x/mod/sumdb/note"
)

// TestSignerOf: a key that is elsewhere signs checkpoints that the public side verifies, and is the same key as the private side makes.
func TestSignerOf(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, text, err := SignerOf("broker.example/audit", private)
	if err != nil {
		t.Fatal(err)
	}
	if want, err := note.NewEd25519VerifierKey("broker.example/audit", public); err != nil || text != want {
		t.Errorf("public %s, want %s, error %v", text, want, err)
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := note.Sign(&note.Note{Text: "a checkpoint\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := note.Open(signed, note.VerifierList(verifier)); err != nil {
		t.Error(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"broker.example/audit": other, "two words": private, "": private} {
		if _, _, err := SignerOf(name, key); !errors.Is(err, ErrKey) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
