package audit_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"drawbridge/internal/audit"
)

// A second verifier, written after docs/audit.md, RFC 6962 and the form of signed notes alone: it shares no line with the package.

// independent verifies an export against a checkpoint by a public key. It answers what is wrong, "" for nothing.
func independent(export []byte, checkpoint, key string) string {
	// The key: NAME+HASH+base64 of a byte 1 and the key.
	fields := strings.SplitN(key, "+", 3)
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil || raw[0] != 1 {
		return "key"
	}
	text, signatures, _ := strings.Cut(checkpoint, "\n\n")
	text += "\n"
	signed := false
	for _, line := range strings.Split(signatures, "\n") {
		var name, encoded string
		if n, _ := fmt.Sscanf(line, "— %s %s", &name, &encoded); n == 2 && name == fields[0] {
			s, err := base64.StdEncoding.DecodeString(encoded)
			signed = signed || err == nil && len(s) == 4+64 && ed25519.Verify(ed25519.PublicKey(raw[1:]), []byte(text), s[4:])
		}
	}
	if !signed {
		return "signature"
	}
	lines := strings.Split(text, "\n")
	var size int
	if _, err := fmt.Sscan(lines[1], &size); err != nil {
		return "size"
	}
	var leaves [][]byte
	prev := make([]byte, 32)
	for i, line := range bytes.Split(bytes.TrimSuffix(export, []byte("\n")), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var r struct {
			Seq                int64
			Time               time.Time
			Kind, Actor, About string
			Body               json.RawMessage
			Prev, Hash         string
		}
		if err := json.Unmarshal(line, &r); err != nil {
			return "JSON"
		}
		var b []byte
		b = append(b, "drawbridge audit record 1\n"...)
		b = binary.BigEndian.AppendUint64(b, uint64(r.Seq))
		b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMicro()))
		for _, s := range []string{r.Kind, r.Actor, r.About, string(r.Body)} {
			b = append(binary.BigEndian.AppendUint64(b, uint64(len(s))), s...)
		}
		b = append(b, prev...)
		sum := sha256.Sum256(b)
		if int(r.Seq) != i || r.Prev != base64.StdEncoding.EncodeToString(prev) || r.Hash != base64.StdEncoding.EncodeToString(sum[:]) {
			return "chain"
		}
		prev = sum[:]
		leaves = append(leaves, b)
		if len(leaves) == size && "last "+r.Hash != lines[3] {
			return "last"
		}
	}
	if len(leaves) < size {
		return "tail"
	}
	if base64.StdEncoding.EncodeToString(root(leaves[:size])) != lines[2] {
		return "root"
	}
	return ""
}

// root is MTH of RFC 6962, section 2.1.
func root(leaves [][]byte) []byte {
	var h [32]byte
	switch len(leaves) {
	case 0:
		h = sha256.Sum256(nil)
	case 1:
		h = sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < len(leaves) {
			k *= 2
		}
		h = sha256.Sum256(append(append([]byte{1}, root(leaves[:k])...), root(leaves[k:])...))
	}
	return h[:]
}

type noted struct {
	Text string `json:"text"`
}

func (noted) Kind() string { return "test.noted" }

// TestIndependentVerifier: both verifiers say the same of logs and of what is done to them, down to single bytes.
func TestIndependentVerifier(t *testing.T) {
	private, public, err := audit.NewKey(rand.Reader, "broker.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	signer, verifier, err := audit.ParseKey(private)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[bool]int)
	rapid.Check(t, func(t *rapid.T) {
		var head audit.Head
		var tree audit.Tree
		var export []byte
		n := rapid.IntRange(1, 20).Draw(t, "records")
		size := rapid.IntRange(1, n).Draw(t, "checkpoint")
		c := audit.Checkpoint{Origin: verifier.Name(), Size: int64(size)}
		for i := range n {
			r, next, err := audit.Append(head, time.Unix(int64(1700000000+i), 0), rapid.String().Draw(t, "actor"), "x", noted{rapid.String().Draw(t, "text")})
			if err != nil {
				t.Fatal(err)
			}
			if err := tree.Grow(&r); err != nil {
				t.Fatal(err)
			}
			line, err := r.Line()
			if err != nil {
				t.Fatal(err)
			}
			head, export = next, append(append(export, line...), '\n')
			if i == size-1 {
				c.Last = r.Hash
			}
		}
		if c.Root, err = tree.Root(c.Size); err != nil {
			t.Fatal(err)
		}
		note, err := c.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		lines := bytes.SplitAfter(export, []byte("\n"))
		switch rapid.SampledFrom([]string{"nothing", "a digit", "a line less", "lines exchanged", "a line twice"}).Draw(t, "what is done") {
		case "a digit":
			at := rapid.IntRange(0, len(export)-1).Draw(t, "at")
			if c := export[at]; c >= '0' && c < '9' {
				export[at]++
			}
		case "a line less":
			at := rapid.IntRange(0, n-1).Draw(t, "at")
			lines[at] = nil
			export = bytes.Join(lines, nil)
		case "lines exchanged":
			a, b := rapid.IntRange(0, n-1).Draw(t, "a"), rapid.IntRange(0, n-1).Draw(t, "b")
			lines[a], lines[b] = lines[b], lines[a]
			export = bytes.Join(lines, nil)
		case "a line twice":
			at := rapid.IntRange(0, n-1).Draw(t, "at")
			lines[at] = bytes.Repeat(lines[at], 2)
			export = bytes.Join(lines, nil)
		}
		want := independent(export, string(note), public)
		var v audit.Verifier
		opened, err := audit.OpenCheckpoint(note, verifier)
		if err == nil {
			err = v.Expect("c", opened)
		}
		for line := range bytes.Lines(export) {
			var r audit.Record
			if err == nil {
				r, err = audit.ParseLine(bytes.TrimSuffix(line, []byte("\n")))
			}
			if err == nil {
				err = v.Next(&r)
			}
		}
		if err == nil {
			_, err = v.End()
		}
		if (err == nil) != (want == "") {
			t.Fatalf("the package says %v, the second verifier %q, of\n%s%s", err, want, export, note)
		}
		found[err == nil]++
	})
	if found[true] == 0 || found[false] == 0 {
		t.Errorf("the test had no variety: %v", found)
	}
}
