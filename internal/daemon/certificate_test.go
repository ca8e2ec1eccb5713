package daemon

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCertificateIsRenewed: files that were renewed are used without a restart; a pair that does not belong together, is half written or is gone leaves the old one in force, and is told.
func TestCertificateIsRenewed(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	now := time.Now()
	c := &certificate{file: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"), log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	if err := c.load(); err == nil {
		t.Error("without files")
	}
	write := func(name string, text []byte) {
		t.Helper()
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(certificateEvery)
		if err := os.Chtimes(name, now, now); err != nil {
			t.Fatal(err)
		}
	}
	issue := func(serial int64) (certificate, key []byte) {
		t.Helper()
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: time.Now().Add(time.Hour)}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &k.PublicKey, k)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(k)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	}
	serial := func() int64 {
		t.Helper()
		pair, err := c.get(nil)
		if err != nil || pair == nil {
			t.Fatalf("%v, error %v", pair, err)
		}
		return pair.Leaf.SerialNumber.Int64()
	}
	certificate1, key1 := issue(1)
	write(c.file, certificate1)
	write(c.key, key1)
	if err := c.load(); err != nil || serial() != 1 {
		t.Fatalf("error %v", err)
	}
	certificate2, key2 := issue(2)
	write(c.file, certificate2) // its key comes a moment later
	if serial() != 1 || !strings.Contains(log.String(), "the old one is used") {
		t.Errorf("half renewed: %s", &log)
	}
	write(c.key, key2)
	if serial() != 2 || !strings.Contains(log.String(), "was renewed") {
		t.Errorf("renewed: %s", &log)
	}
	if err := os.Remove(c.key); err != nil {
		t.Fatal(err)
	}
	now = now.Add(certificateEvery)
	if serial() != 2 {
		t.Error("gone")
	}
}

// TestDescribe: a configuration is told in lines, without a secret, and what is missing is an error.
func TestDescribe(t *testing.T) {
	dir := t.TempDir()
	c := &Config{Listen: "127.0.0.1:1", URL: "https://broker.example", Store: SecretOf("postgres://u:canary@db/x")}
	c.People.Issuer, c.People.Client, c.People.Secret = "https://idp.example", "x", SecretOf("canary")
	c.Notify = []NotifyConfig{{Name: "chat", URL: "https://hooks.example/canary", Secret: SecretOf("canary")}}
	lines, err := c.Describe(false)
	text := strings.Join(lines, "\n")
	if err != nil || strings.Contains(text, "canary") || !strings.Contains(text, "store       postgres") || !strings.Contains(text, "NOT SIGNED") || !strings.Contains(text, "https://idp.example") {
		t.Errorf("%s, error %v", text, err)
	}
	c.Registry, c.Audit.Key, c.TLS.Certificate, c.TLS.Key = filepath.Join(dir, "none"), filepath.Join(dir, "audit.key"), filepath.Join(dir, "x"), filepath.Join(dir, "y")
	c.Issuer.Keys, c.Keys.Seal = []KeyConfig{{ID: "a", File: filepath.Join(dir, "signing.pem")}}, []string{filepath.Join(dir, "seal.key")}
	if _, err = c.Describe(false); !errors.Is(err, ErrConfig) {
		t.Fatal(err)
	}
	for _, name := range []string{"none", "audit.key", dir + "/x", "signing.pem", "seal.key"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is missing, and nobody says so: %v", name, err)
		}
	}
}
