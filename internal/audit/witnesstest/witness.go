// Package witnesstest is a witness for tests: it keeps the newest checkpoint of one log that it saw, and cosigns what extends it. Source: C2SP tlog-witness and tlog-cosignature.
package witnesstest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Witness is an http.Handler.
type Witness struct {
	// Key is what its users check it by.
	Key string

	name    string
	private ed25519.PrivateKey
	log     note.Verifier

	mu    sync.Mutex
	size  int64
	root  tlog.Hash
	calls []string // what was answered
	down  bool
}

// New makes a witness of a log.
func New(name string, log note.Verifier) *Witness {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // no chance in the machine
	}
	w := &Witness{name: name, private: private, log: log}
	w.Key = fmt.Sprintf("%s+%08x+%s", name, w.hash(), base64.StdEncoding.EncodeToString(append([]byte{4}, public...)))
	return w
}

func (w *Witness) hash() uint32 {
	sum := sha256.Sum256(append([]byte(w.name+"\n\x04"), w.private.Public().(ed25519.PublicKey)...))
	return binary.BigEndian.Uint32(sum[:])
}

// Down makes the witness answer nothing of use, or end that.
func (w *Witness) Down(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
}

// Calls are the statuses that were answered, in their order, each with the size that was asked for.
func (w *Witness) Calls() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.calls...)
}

// Size is that of the newest checkpoint that it saw.
func (w *Witness) Size() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.size
}

func (w *Witness) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	status, text := w.add(r)
	if status == http.StatusConflict {
		out.Header().Set("Content-Type", "text/x.tlog.size")
	}
	out.WriteHeader(status)
	_, _ = io.WriteString(out, text)
}

func (w *Witness) add(r *http.Request) (status int, text string) {
	size := int64(-1)
	defer func() { w.calls = append(w.calls, fmt.Sprintf("%d for %d", status, size)) }()
	if w.down {
		return http.StatusServiceUnavailable, "down\n"
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/add-checkpoint") {
		return http.StatusNotFound, "no such call\n"
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return http.StatusBadRequest, err.Error()
	}
	head, checkpoint, ok := strings.Cut(string(body), "\n\n")
	lines := strings.Split(head, "\n")
	number, ok2 := strings.CutPrefix(lines[0], "old ")
	old, err := strconv.ParseInt(number, 10, 64)
	if !ok || !ok2 || err != nil || old < 0 || strconv.FormatInt(old, 10) != number || len(lines) > 64 {
		return http.StatusBadRequest, "expected the old size, a proof, an empty line and a checkpoint\n"
	}
	var proof tlog.TreeProof
	for _, line := range lines[1:] {
		h, err := tlog.ParseHash(line)
		if err != nil {
			return http.StatusBadRequest, err.Error()
		}
		proof = append(proof, h)
	}
	origin, _, _ := strings.Cut(checkpoint, "\n")
	if origin != w.log.Name() {
		return http.StatusNotFound, "unknown log\n"
	}
	n, err := note.Open([]byte(checkpoint), note.VerifierList(w.log))
	if err != nil {
		return http.StatusForbidden, "not signed by the log\n"
	}
	fields := strings.Split(n.Text, "\n")
	if len(fields) < 4 {
		return http.StatusBadRequest, "no checkpoint\n"
	}
	if size, err = strconv.ParseInt(fields[1], 10, 64); err != nil {
		return http.StatusBadRequest, err.Error()
	}
	root, err := tlog.ParseHash(fields[2])
	switch {
	case err != nil:
		return http.StatusBadRequest, err.Error()
	case old > size:
		return http.StatusBadRequest, "the old size is the larger one\n"
	case old != w.size, old == size && size > 0 && root != w.root:
		return http.StatusConflict, strconv.FormatInt(w.size, 10) + "\n"
	case old == 0 || old == size:
		if len(proof) > 0 {
			return http.StatusUnprocessableEntity, "nothing was to be proven\n"
		}
	case tlog.CheckTree(proof, size, root, old, w.root) != nil:
		return http.StatusUnprocessableEntity, "the proof does not hold\n"
	}
	w.size, w.root = size, root
	at := uint64(time.Now().Unix())
	signature := ed25519.Sign(w.private, []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", at, n.Text)))
	raw := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, w.hash()), at)
	return http.StatusOK, "— " + w.name + " " + base64.StdEncoding.EncodeToString(append(raw, signature...)) + "\n"
}
