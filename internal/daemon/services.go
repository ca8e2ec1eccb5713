package daemon

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"drawbridge/internal/api"
	"drawbridge/internal/broker"
	"drawbridge/internal/stsapi"
)

// seals are keys under which secrets lie in the store: the first seals, each opens what it sealed. They are files, so that whoever has the database has no secret.
type seals []seal

type seal struct {
	id   [4]byte
	aead cipher.AEAD
}

// sealKey is the length of a sealing key: AES-256.
const sealKey = 32

// readSeals reads sealing keys: 32 bytes as base64, in files that only their owner may read.
func readSeals(names []string) (seals, error) {
	var out seals
	for _, name := range names {
		text, err := readPrivate(name)
		if err != nil {
			return nil, fmt.Errorf("keys: seal: %w", err)
		}
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || len(key) != sealKey {
			return nil, fmt.Errorf("keys: seal: %s: expected %d random bytes as base64, as 'openssl rand -base64 %d' prints them", name, sealKey, sealKey)
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fmt.Errorf("keys: seal: %s: %w", name, err)
		}
		s := seal{}
		if s.aead, err = cipher.NewGCM(block); err != nil {
			return nil, fmt.Errorf("keys: seal: %s: %w", name, err)
		}
		sum := sha256.Sum256(append([]byte("drawbridge seal 1\n"), key...))
		copy(s.id[:], sum[:])
		out = append(out, s)
	}
	return out, nil
}

// readPrivate reads a file that only its owner may read.
func readPrivate(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others: its mode is %v, expected 0600", name, info.Mode().Perm())
	}
	return os.ReadFile(name)
}

// close seals a secret for what it belongs to: sealed, it opens nothing else.
func (s seals) close(of, secret string) []byte {
	first := &s[0]
	nonce := make([]byte, first.aead.NonceSize())
	_, _ = rand.Read(nonce) // never fails
	out := append(append([]byte(nil), first.id[:]...), nonce...)
	return first.aead.Seal(out, nonce, []byte(secret), []byte(of))
}

var errSeal = errors.New("a secret in the store is not sealed under a key of the configuration, or was changed")

// open gives a sealed secret.
func (s seals) open(of string, sealed []byte) (string, error) {
	for i := range s {
		k := &s[i]
		head := len(k.id) + k.aead.NonceSize()
		if len(sealed) < head || [4]byte(sealed[:len(k.id)]) != k.id {
			continue
		}
		if text, err := k.aead.Open(nil, sealed[len(k.id):head], sealed[head:], []byte(of)); err == nil {
			return string(text), nil
		}
	}
	return "", errSeal
}

// keyPrefix begins the id of each key, which is not one of AWS's; secretPrefix each secret, so that scanners for leaked secrets know it.
const (
	keyPrefix    = "DBRK"
	secretPrefix = "dbs_"
)

// newKey is a key's id, twenty letters and digits as AWS's have, and its secret.
func newKey() (id, secret string) {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	for i := range b {
		b[i] = letters[b[i]&31]
	}
	var s [32]byte
	_, _ = rand.Read(s[:])
	return keyPrefix + string(b[:]), secretPrefix + base64.RawURLEncoding.EncodeToString(s[:])
}

// services is what the API needs of services and their keys; nil where there is nothing to seal them under.
func (d *Daemon) services(alone bool) *api.Services {
	if len(d.seals) == 0 {
		return nil
	}
	return &api.Services{Store: d.store, Alone: alone, NewID: newID, NewKey: func() (id, secret string, sealed []byte) {
		id, secret = newKey()
		return id, secret, d.seals.close(id, secret)
	}}
}

// Secret implements stsapi.Desk: of a key that the broker gave out, and that is live.
func (k *desk) Secret(ctx context.Context, accessKeyID, token string) (string, broker.Subject, error) {
	unknown := fmt.Errorf("key %.40q: %w", accessKeyID, stsapi.ErrUnknownKey)
	if len(k.d.seals) == 0 || token != "" || !strings.HasPrefix(accessKeyID, keyPrefix) {
		return "", broker.Subject{}, unknown
	}
	s, sealed, err := k.d.store.ServiceOfKey(ctx, accessKeyID)
	if errors.Is(err, broker.ErrNotFound) {
		return "", broker.Subject{}, unknown
	}
	if err != nil {
		return "", broker.Subject{}, err
	}
	now := k.d.clock.Now()
	for i := range s.Keys {
		if key := &s.Keys[i]; key.ID == accessKeyID && key.Live(now) && s.Live(now) {
			secret, err := k.d.seals.open(accessKeyID, sealed)
			return secret, s.Subject(accessKeyID), err
		}
	}
	return "", broker.Subject{}, unknown
}

// Once implements stsapi.Desk.
func (k *desk) Once(ctx context.Context, call stsapi.Signed) error {
	key := call.Subject.Key
	if !k.d.limits.allowKey(key) {
		return stsapi.ErrTooFast
	}
	return k.together.take(ctx, call.Value+" "+addressKey(call.Source), k.d.clock.Now(), func() error { return k.d.store.SpendKey(ctx, key, call.Value, call.Until, k.d.clock.Now()) })
}

// together knows the signatures that this daemon has just taken. A signature tells its second and no more, so that processes that begin together and ask for the same send the same bytes: from one address, within moments of the
// first, they are one call. Later, elsewhere and in another daemon they are a captured one. What it forgets is refused, not taken.
type together struct {
	mu    sync.Mutex
	calls map[string]*taken
}

type taken struct {
	done chan struct{}
	at   time.Time // zero until it was taken
}

// moments is how long after the first the same call may come again.
const moments = 2 * time.Second

// take spends what is asked for the first time; ErrSpent where it was spent, and not just now.
func (t *together) take(ctx context.Context, call string, now time.Time, spend func() error) error {
	t.mu.Lock()
	for old, c := range t.calls {
		if !c.at.IsZero() && now.Sub(c.at) > moments {
			delete(t.calls, old)
		}
	}
	if c := t.calls[call]; c != nil {
		t.mu.Unlock()
		select {
		case <-c.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if c.at.IsZero() || now.Sub(c.at) > moments {
			return broker.ErrSpent
		}
		return nil
	}
	c := &taken{done: make(chan struct{})}
	if t.calls == nil {
		t.calls = make(map[string]*taken)
	}
	t.calls[call] = c
	t.mu.Unlock()
	err := spend()
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		c.at = now
	} else {
		delete(t.calls, call) // whoever comes next is no better than this one
	}
	close(c.done)
	return err
}
