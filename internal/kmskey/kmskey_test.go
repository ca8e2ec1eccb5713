package kmskey

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"drawbridge/internal/mototest"
)

func client(address string) *kms.Client {
	return kms.New(kms.Options{Region: "eu-west-1", BaseEndpoint: &address, Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "x", ""), RetryMaxAttempts: 1})
}

// fakeKMS signs with a key of its own, and says what it is told about it.
func fakeKMS(t *testing.T, signer crypto.Signer, usage string, algorithms ...types.SigningAlgorithmSpec) (*kms.Client, *crypto.Signer) {
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Message          []byte
			MessageType      string
			SigningAlgorithm types.SigningAlgorithmSpec
		}
		_ = json.NewDecoder(r.Body).Decode(&in)
		if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".GetPublicKey") {
			_ = json.NewEncoder(w).Encode(map[string]any{"PublicKey": public, "KeyUsage": usage, "SigningAlgorithms": algorithms, "KeySpec": "X"})
			return
		}
		hash := crypto.SHA256
		if in.MessageType == "RAW" {
			hash = 0
		}
		signature, err := signer.Sign(rand.Reader, in.Message, hash)
		if err != nil || in.SigningAlgorithm != algorithms[0] {
			w.WriteHeader(http.StatusBadRequest)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"Signature": signature})
	}))
	t.Cleanup(s.Close)
	return client(s.URL), &signer
}

func keys(t *testing.T) (*rsa.PrivateKey, *ecdsa.PrivateKey, ed25519.PrivateKey) {
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, d, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return r, e, d
}

// TestSign: each kind of key signs what it is for, and nothing else; a key whose material was exchanged signs nothing.
func TestSign(t *testing.T) {
	r, e, d := keys(t)
	_, e2, _ := keys(t)
	digest := sha256.Sum256([]byte("a token"))
	for name, tt := range map[string]struct {
		key       crypto.Signer
		algorithm types.SigningAlgorithmSpec
		hash      crypto.Hash
	}{
		"RSA": {r, types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, crypto.SHA256}, "P-256": {e, types.SigningAlgorithmSpecEcdsaSha256, crypto.SHA256}, "Ed25519": {d, types.SigningAlgorithmSpecEd25519Sha512, 0},
	} {
		c, held := fakeKMS(t, tt.key, "SIGN_VERIFY", tt.algorithm)
		k, err := Open(t.Context(), c, "alias/x")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		signature, err := k.Sign(nil, digest[:], tt.hash)
		if err != nil || !k.verify(digest[:], signature) || k.verify([]byte("another"), signature) {
			t.Errorf("%s: %v", name, err)
		}
		for _, hash := range []crypto.Hash{crypto.SHA384, crypto.SHA256 - tt.hash} {
			if _, err := k.Sign(nil, digest[:], hash); err == nil {
				t.Errorf("%s: signed a %v", name, hash)
			}
		}
		if _, err := k.Sign(nil, digest[:], nil); err == nil {
			t.Errorf("%s: signed without saying what", name)
		}
		if name == "P-256" {
			*held = e2
			if _, err := k.Sign(nil, digest[:], tt.hash); err == nil || !strings.Contains(err.Error(), "not by the key") {
				t.Errorf("another key: %v", err)
			}
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	_, e, _ := keys(t)
	big, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() (*kms.Client, *crypto.Signer){
		"for encryption": func() (*kms.Client, *crypto.Signer) {
			return fakeKMS(t, e, "ENCRYPT_DECRYPT", types.SigningAlgorithmSpecEcdsaSha256)
		},
		"another algorithm": func() (*kms.Client, *crypto.Signer) {
			return fakeKMS(t, e, "SIGN_VERIFY", types.SigningAlgorithmSpecEcdsaSha384)
		},
		"another curve": func() (*kms.Client, *crypto.Signer) {
			return fakeKMS(t, big, "SIGN_VERIFY", types.SigningAlgorithmSpecEcdsaSha256)
		},
	} {
		c, _ := open()
		if _, err := Open(t.Context(), c, "alias/x"); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := Open(t.Context(), client("http://127.0.0.1:1"), "alias/x"); err == nil {
		t.Error("a KMS that does not answer")
	}
}

// TestMotoKey reads keys of an emulated KMS, by the SDK as it is. What it signs is of no use: it takes a digest for a message.
func TestMotoKey(t *testing.T) {
	address, _ := mototest.Start(t)
	c := client(address)
	digest := sha256.Sum256([]byte("a token"))
	for _, spec := range []types.KeySpec{types.KeySpecRsa2048, types.KeySpecEccNistP256} {
		made, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{KeySpec: spec, KeyUsage: types.KeyUsageTypeSignVerify})
		if err != nil {
			t.Fatal(err)
		}
		k, err := Open(t.Context(), c, aws.ToString(made.KeyMetadata.Arn))
		if err != nil {
			t.Fatalf("%s: %v", spec, err)
		}
		if _, isRSA := k.Public().(*rsa.PublicKey); isRSA != (spec == types.KeySpecRsa2048) {
			t.Errorf("%s: the public key is a %T", spec, k.Public())
		}
		if _, err := k.Sign(rand.Reader, digest[:], crypto.SHA256); err == nil {
			t.Errorf("%s: the emulator signs digests now: check what it signs", spec)
		}
	}
	symmetric, err := c.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), c, aws.ToString(symmetric.KeyMetadata.Arn)); err == nil {
		t.Error("a symmetric key was taken")
	}
}
