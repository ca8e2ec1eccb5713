// Package kmskey signs with keys that never leave AWS KMS.
package kmskey

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// Key is an asymmetric key of KMS for signing. It implements crypto.Signer.
type Key struct {
	client    *kms.Client
	id        string
	public    crypto.PublicKey
	algorithm types.SigningAlgorithmSpec
	// kind is what KMS is given: a digest, or for Ed25519 the message itself.
	kind types.MessageType
}

// patience is how long KMS is waited for.
const patience = 10 * time.Second

// Open reads the public key of a key, once: a signature is checked against it each time, so that a key whose material was exchanged signs nothing. It takes keys for RSA of 2048 bits or more (RS256), on the curve P-256 (ES256) and Ed25519.
func Open(ctx context.Context, client *kms.Client, id string) (*Key, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := client.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: &id})
	if err != nil {
		return nil, fmt.Errorf("the public key of %s: %w", id, err)
	}
	if out.KeyUsage != types.KeyUsageTypeSignVerify {
		return nil, fmt.Errorf("the key %s is for %s, expected SIGN_VERIFY", id, out.KeyUsage)
	}
	public, err := x509.ParsePKIXPublicKey(out.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("the public key of %s: %w", id, err)
	}
	k := &Key{client: client, id: id, public: public, kind: types.MessageTypeDigest}
	switch p := public.(type) {
	case *rsa.PublicKey:
		k.algorithm = types.SigningAlgorithmSpecRsassaPkcs1V15Sha256
	case *ecdsa.PublicKey:
		if p.Curve.Params().BitSize == 256 {
			k.algorithm = types.SigningAlgorithmSpecEcdsaSha256
		}
	case ed25519.PublicKey:
		k.algorithm, k.kind = types.SigningAlgorithmSpecEd25519Sha512, types.MessageTypeRaw
	}
	if k.algorithm == "" || !slices.Contains(out.SigningAlgorithms, k.algorithm) {
		return nil, fmt.Errorf("the key %s is of the kind %s, expected RSA, ECC_NIST_P256 or ECC_NIST_EDWARDS25519", id, out.KeySpec)
	}
	return k, nil
}

// Public implements crypto.Signer.
func (k *Key) Public() crypto.PublicKey { return k.public }

// Sign implements crypto.Signer: of a SHA-256, or for Ed25519 of a message of at most 4,096 bytes, which is what KMS takes. A signature on a curve is in ASN.1.
func (k *Key) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	want := crypto.SHA256
	if k.kind == types.MessageTypeRaw {
		want = 0
	}
	if opts == nil || opts.HashFunc() != want {
		return nil, fmt.Errorf("the key %s signs by %s", k.id, k.algorithm)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	out, err := k.client.Sign(ctx, &kms.SignInput{KeyId: &k.id, Message: message, MessageType: k.kind, SigningAlgorithm: k.algorithm})
	if err != nil {
		return nil, fmt.Errorf("signing by %s: %w", k.id, err)
	}
	if !k.verify(message, out.Signature) {
		return nil, fmt.Errorf("signing by %s: %w", k.id, errForeign)
	}
	return out.Signature, nil
}

var errForeign = errors.New("the signature is not by the key that was read at the start")

func (k *Key) verify(message, signature []byte) bool {
	switch p := k.public.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(p, crypto.SHA256, message, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(p, message, signature)
	case ed25519.PublicKey:
		return ed25519.Verify(p, message, signature)
	}
	return false
}
