package audit

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"drawbridge/internal/audit/witnesstest"
)

type opened struct {
	Entry  string `json:"entry"`
	Reason string `json:"reason,omitempty"`
}

func (opened) Kind() string { return "request.opened" }

type leaking struct{ Key Secret }

func (leaking) Kind() string { return "key.leaked" }

func keys(t interface{ Fatal(...any) }) (note.Signer, note.Verifier) {
	private, public, err := note.GenerateKey(rand.Reader, "drawbridge.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	v, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, v
}

// written is a log of n records, with its tree.
func written(t interface{ Fatal(...any) }, n int) ([]Record, *Tree) {
	var h Head
	tree := &Tree{}
	var list []Record
	at := time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.FixedZone("", 3600))
	for i := range n {
		r, next, err := Append(h, at.Add(time.Duration(i)*time.Second), "user:ann", fmt.Sprint("req-", i), opened{Entry: "ci", Reason: strings.Repeat("x", i%3)})
		if err != nil {
			t.Fatal(err)
		}
		if err := tree.Grow(&r); err != nil {
			t.Fatal(err)
		}
		list, h = append(list, r), next
	}
	return list, tree
}

func checkpointOf(t interface{ Fatal(...any) }, list []Record, tree *Tree, size int64, s note.Signer) []byte {
	c := Checkpoint{Origin: s.Name(), Size: size}
	var err error
	if c.Root, err = tree.Root(size); err != nil {
		t.Fatal(err)
	}
	if size > 0 {
		c.Last = list[size-1].Hash
	}
	text, err := c.Sign(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func verify(list []Record, checkpoints ...*Checkpoint) error {
	var v Verifier
	for i, c := range checkpoints {
		if err := v.Expect(fmt.Sprint("checkpoint ", i), c); err != nil {
			return err
		}
	}
	for i := range list {
		if err := v.Next(&list[i]); err != nil {
			return err
		}
	}
	_, err := v.End()
	return err
}

func TestRecordSurvivesJSON(t *testing.T) {
	list, _ := written(t, 5)
	text, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	var read []Record
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	if err := verify(read); err != nil {
		t.Error(err)
	}
	if list[0].Time.Location() != time.UTC || list[0].Time.Nanosecond()%1000 != 0 {
		t.Errorf("time %v: want UTC, to the microsecond", list[0].Time)
	}
}

func TestSecretsAreNotRecorded(t *testing.T) {
	h := Head{Size: 3}
	r, next, err := Append(h, time.Now(), "broker", "x", leaking{"hunter2"})
	if !errors.Is(err, ErrSecret) || r.Body != nil || next != h {
		t.Errorf("record %+v, head %+v, error %v; want ErrSecret and nothing else", r, next, err)
	}
	if s := fmt.Sprintf("%v %+v %#v %s", leaking{"hunter2"}, leaking{"hunter2"}, leaking{"hunter2"}, Secret("hunter2")); strings.Contains(s, "hunter2") {
		t.Errorf("printed: %s", s)
	}
}

// TestTampering: whatever is done to a log before a checkpoint that somebody holds is found, also when all hashes are computed anew by somebody who knows how.
func TestTampering(t *testing.T) {
	signer, verifier := keys(t)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "records")
		list, tree := written(t, n)
		size := rapid.IntRange(1, n).Draw(t, "checkpoint")
		c, err := OpenCheckpoint(checkpointOf(t, list, tree, int64(size), signer), verifier)
		if err != nil {
			t.Fatal(err)
		}
		if err := verify(list, c); err != nil {
			t.Fatalf("the log itself: %v", err)
		}
		at := rapid.IntRange(0, size-1).Draw(t, "place")
		kind := rapid.SampledFrom([]string{"change", "time", "actor", "drop", "insert", "reorder", "cut"}).Draw(t, "kind")
		switch kind {
		case "change":
			list[at].Body = json.RawMessage(`{"entry":"production"}`)
		case "time":
			list[at].Time = list[at].Time.Add(-time.Hour)
		case "actor":
			list[at].Actor = "user:eve"
		case "drop":
			list = slices.Delete(list, at, at+1)
		case "insert":
			copied := rapid.IntRange(0, n-1).Draw(t, "copy")
			if copied == at {
				return // the same as one more record behind it, which may be behind the checkpoint
			}
			list = slices.Insert(list, at, list[copied])
		case "reorder":
			other := rapid.IntRange(0, size-1).Draw(t, "other")
			if list[at].About == list[other].About {
				return
			}
			list[at], list[other] = list[other], list[at]
		case "cut":
			list = list[:at]
		}
		if rapid.Bool().Draw(t, "computed anew") {
			anewFrom(list)
		}
		err = verify(list, c)
		var found *Tampered
		if !errors.As(err, &found) {
			t.Fatalf("%s at %d of %d, checkpoint %d: not found: %v", kind, at, n, size, err)
		}
	})
}

// TestTailAfterTheCheckpoint: without a newer checkpoint a shorter log is as good as a whole one. Who needs more publishes more often.
func TestTailAfterTheCheckpoint(t *testing.T) {
	signer, verifier := keys(t)
	list, tree := written(t, 9)
	c, err := OpenCheckpoint(checkpointOf(t, list, tree, 5, signer), verifier)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(list[:7], c); err != nil {
		t.Errorf("cut after the checkpoint: %v", err)
	}
	if err := verify(list[:4], c); err == nil {
		t.Error("cut before the checkpoint: not found")
	}
}

func TestCheckpointForgery(t *testing.T) {
	signer, verifier := keys(t)
	other, otherKey := keys(t)
	list, tree := written(t, 3)
	good := checkpointOf(t, list, tree, 3, signer)
	for name, text := range map[string][]byte{
		"another key":            checkpointOf(t, list, tree, 3, other),
		"another size":           []byte(strings.Replace(string(good), "\n3\n", "\n2\n", 1)),
		"nothing":                nil,
		"signed, malformed":      signed(t, signer, signer.Name()+"\nmany\nx\nlast y\n"),
		"signed, of another log": signed(t, signer, "other\n0\n"+Hash{}.String()+"\nlast "+Hash{}.String()+"\n"),
		"signed, negative":       signed(t, signer, signer.Name()+"\n-1\n"+Hash{}.String()+"\nlast "+Hash{}.String()+"\n"),
	} {
		if c, err := OpenCheckpoint(text, verifier); err == nil {
			t.Errorf("%s: opened as %+v", name, c)
		}
	}
	if _, err := OpenCheckpoint(good, otherKey); err == nil {
		t.Error("opened by another key")
	}
}

func signed(t *testing.T, s note.Signer, text string) []byte {
	out, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestProof: a proof of each record against each later checkpoint holds with the public key alone, and no altered one does.
func TestProof(t *testing.T) {
	signer, verifier := keys(t)
	list, tree := written(t, 13)
	for size := int64(1); size <= 13; size++ {
		checkpoint := checkpointOf(t, list, tree, size, signer)
		for seq := range size {
			p, err := tree.Prove(&list[seq], size, checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := p.Check(Keys{verifier}); err != nil {
				t.Errorf("record %d of %d: %v", seq, size, err)
			}
			p.Record.Actor = "user:eve"
			p.Record.Hash = p.Record.compute()
			if _, err := p.Check(Keys{verifier}); err == nil {
				t.Errorf("record %d of %d, altered: proven", seq, size)
			}
		}
		if size < 13 {
			if _, err := tree.Prove(&list[size], size, checkpoint); err == nil {
				t.Errorf("record %d was proven against a checkpoint of %d", size, size)
			}
		}
	}
}

// TestTreeAgainstReference: the tree, which holds hashes of blocks and computes the others from records that it reads again, has the roots and proofs of the reference, which stores every hash.
func TestTreeAgainstReference(t *testing.T) {
	const n = 3*blockSize + 77
	list, whole := written(t, n)
	again := 0
	sparse := &Tree{Block: func(first int64) ([]Record, error) { again++; return list[first:], nil }}
	var store []tlog.Hash
	stored := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			out[i] = store[at]
		}
		return out, nil
	})
	for i := range list {
		if err := sparse.Grow(&list[i]); err != nil {
			t.Fatal(err)
		}
		hashes, err := tlog.StoredHashes(int64(i), list[i].Encode(), stored)
		if err != nil {
			t.Fatal(err)
		}
		store = append(store, hashes...)
		want, err := tlog.TreeHash(int64(i+1), stored)
		if err != nil {
			t.Fatal(err)
		}
		for name, tree := range map[string]*Tree{"whole": whole, "sparse": sparse} {
			if got, err := tree.Root(int64(i + 1)); err != nil || got != Hash(want) {
				t.Fatalf("%s: root of %d: %v, error %v; want %v", name, i+1, got, err, want)
			}
		}
	}
	if again != 0 {
		t.Errorf("%d blocks were read again only to grow", again)
	}
	for _, size := range []int64{1, 2, 255, 256, 257, 511, 512, 513, 700, n - 1, n} {
		for _, old := range []int64{1, 2, 100, 255, 256, 257, 512, 600, 768, n - 1} {
			if old >= size {
				continue
			}
			want, err := tlog.ProveTree(size, old, stored)
			if err != nil {
				t.Fatal(err)
			}
			for name, tree := range map[string]*Tree{"whole": whole, "sparse": sparse} {
				got, err := tree.Extends(old, size)
				if err != nil || !slices.Equal(got, hashesOf(want)) {
					t.Fatalf("%s: that %d extend %d: %v, error %v; want %v", name, size, old, got, err, want)
				}
			}
		}
	}
	if got, err := sparse.Extends(0, 300); err != nil || got != nil {
		t.Errorf("from nothing: %v, error %v", got, err)
	}
	for _, bad := range [][2]int64{{-1, 3}, {5, 4}, {1, n + 1}} {
		if _, err := sparse.Extends(bad[0], bad[1]); err == nil {
			t.Errorf("%v was proven", bad)
		}
	}
	// A record that is another one when it is read again is found.
	list[300].Actor = "user:eve"
	sparse.again.hashes = nil
	if _, err := sparse.Extends(257, n); !errors.As(err, new(*Tampered)) {
		t.Errorf("changed after it was read: %v", err)
	}
}

// TestEveryField: no field of any record of an export can be another one, whoever computes the hashes anew.
func TestEveryField(t *testing.T) {
	signer, verifier := keys(t)
	const n = 12
	list, tree := written(t, n)
	c, err := OpenCheckpoint(checkpointOf(t, list, tree, n, signer), verifier)
	if err != nil {
		t.Fatal(err)
	}
	other := map[string]func(r *Record){
		"Seq":   func(r *Record) { r.Seq++ },
		"Time":  func(r *Record) { r.Time = r.Time.Add(time.Microsecond) },
		"Kind":  func(r *Record) { r.Kind += "x" },
		"Actor": func(r *Record) { r.Actor = "user:eve" },
		"About": func(r *Record) { r.About, r.Actor = "", r.About+r.Actor },
		"Body":  func(r *Record) { r.Body = json.RawMessage(strings.Replace(string(r.Body), "ci", "cd", 1)) },
		"Prev":  func(r *Record) { r.Prev[31]++ },
		"Hash":  func(r *Record) { r.Hash[0]++ },
	}
	for i := range reflect.TypeFor[Record]().NumField() {
		field := reflect.TypeFor[Record]().Field(i).Name
		change := other[field]
		if change == nil {
			t.Fatalf("nothing changes the field %s", field)
		}
		for seq := range n {
			for _, anew := range []string{"nothing", "its own hash", "all hashes"} {
				changed := slices.Clone(list)
				change(&changed[seq])
				switch {
				case anew == "its own hash" && field != "Hash":
					changed[seq].Hash = changed[seq].compute()
				case anew == "all hashes" && field != "Hash" && field != "Prev" && field != "Seq": // those are computed anew themselves
					anewFrom(changed)
				case anew != "nothing":
					continue
				}
				if err := verify(changed, c); !errors.As(err, new(*Tampered)) {
					t.Errorf("%s of record %d, %s computed anew: %v", field, seq, anew, err)
				}
			}
		}
	}
}

func anewFrom(list []Record) {
	var h Head
	for i := range list {
		list[i].Seq, list[i].Prev = h.Size, h.Hash
		list[i].Hash = list[i].compute()
		h = Head{h.Size + 1, list[i].Hash}
	}
}

// TestLine: a line of an export is read only as it was written, to the byte.
func TestLine(t *testing.T) {
	list, _ := written(t, 3)
	line, err := list[1].Line()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := ParseLine(line); err != nil || r.compute() != list[1].Hash {
		t.Fatalf("read %+v, error %v", r, err)
	}
	text := string(line)
	for name, bad := range map[string]string{
		"another space":   strings.Replace(text, `":`, `": `, 1),
		"a field more":    strings.Replace(text, `{"seq"`, `{"note":"all is well","seq"`, 1),
		"a field twice":   strings.Replace(text, `{"seq"`, `{"actor":"user:eve","seq"`, 1),
		"another letter":  strings.Replace(text, `"kind"`, `"Kind"`, 1),
		"another escape":  strings.Replace(text, `user:ann`, `user\u003aann`, 1),
		"a field less":    strings.Replace(text, `"about":"req-1",`, ``, 1),
		"another order":   strings.Replace(strings.Replace(text, `"about":"req-1",`, ``, 1), `"prev"`, `"about":"req-1","prev"`, 1),
		"more behind":     text + " {}",
		"nothing":         "",
		"a space in body": strings.Replace(text, `{"entry":`, `{ "entry":`, 1),
	} {
		if bad == text {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := ParseLine([]byte(bad)); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// TestFork: two auditors who were shown two logs find it by comparing their checkpoints, where one size is in both; and where not, by either checkpoint and the other's log.
func TestFork(t *testing.T) {
	signer, verifier := keys(t)
	mine, tree := written(t, 9)
	yours := slices.Clone(mine)
	yours[4].Actor = "user:eve"
	anewFrom(yours)
	fork := &Tree{}
	for i := range yours {
		if err := fork.Grow(&yours[i]); err != nil {
			t.Fatal(err)
		}
	}
	open := func(list []Record, tree *Tree, size int64) *Checkpoint {
		c, err := OpenCheckpoint(checkpointOf(t, list, tree, size, signer), verifier)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var forked *Forked
	var v Verifier
	if err := v.Expect("mine", open(mine, tree, 9)); err != nil {
		t.Fatal(err)
	}
	if err := v.Expect("again", open(mine, tree, 9)); err != nil {
		t.Errorf("the same twice: %v", err)
	}
	if err := v.Expect("before", open(yours, fork, 4)); err != nil {
		t.Errorf("a checkpoint from before the fork: %v", err)
	}
	if err := v.Expect("yours", open(yours, fork, 9)); !errors.As(err, &forked) || forked.A != "mine" || forked.B != "yours" || forked.Size != 9 {
		t.Errorf("one size: %v", err)
	}
	err := verify(mine, open(mine, tree, 6), open(yours, fork, 8))
	if !errors.As(err, new(*Tampered)) || !strings.Contains(err.Error(), "the same key signed") {
		t.Errorf("another size: %v", err)
	}
	if err := verify(mine[:7], open(mine, tree, 9)); err == nil || !strings.Contains(err.Error(), "older copy") {
		t.Errorf("an older copy: %v", err)
	}
}

// TestCosignatures: a witness's word is read where its key is given, and cannot be made up.
func TestCosignatures(t *testing.T) {
	signer, verifier := keys(t)
	list, tree := written(t, 5)
	text := checkpointOf(t, list, tree, 5, signer)
	witness := witnesstest.New("witness.example/w1", verifier)
	server := httptest.NewServer(witness)
	defer server.Close()
	ask := func(old int64, text string) (int, string) {
		r, err := http.Post(server.URL+"/add-checkpoint", "text/plain", strings.NewReader(fmt.Sprintf("old %d\n\n%s", old, text)))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return r.StatusCode, string(b)
	}
	status, line := ask(0, string(text))
	if status != http.StatusOK {
		t.Fatalf("%d: %s", status, line)
	}
	w, err := ParseWitness(witness.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := OpenCheckpoint([]byte(string(text)+line), verifier, w)
	if err != nil || len(c.Cosigned) != 1 || c.Cosigned[0].Witness != "witness.example/w1" || time.Since(c.Cosigned[0].At) > time.Hour {
		t.Errorf("cosigned by %+v, error %v", c, err)
	}
	if c, err := OpenCheckpoint([]byte(string(text)+line), verifier); err != nil || c.Cosigned != nil {
		t.Errorf("without the witness's key: %+v, error %v", c, err)
	}
	// The same signature under a text that is another one, and one that a stranger made.
	stranger := witnesstest.New("witness.example/w1", verifier)
	strange, err := ParseWitness(stranger.Key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := OpenCheckpoint([]byte(string(text)+line), verifier, strange); err != nil || c.Cosigned != nil {
		t.Errorf("by a stranger's key: %+v, error %v", c, err)
	}
	if _, err := OpenCheckpoint([]byte(string(checkpointOf(t, list, tree, 4, signer))+line), verifier, w); err == nil {
		t.Error("a cosignature of another checkpoint was taken")
	}
	head, _, _ := strings.Cut(string(text), "\n\n")
	if _, err := OpenCheckpoint([]byte(head+"\n\n"+line), verifier, w); err == nil {
		t.Error("a checkpoint without the log's own signature was taken")
	}
	public := strings.SplitN(witness.Key, "+", 3)
	for _, bad := range []string{"", "x", "a+b+c", public[0] + "+00000000+" + public[2], public[0] + "+" + public[1] + "+AAAA", "other+" + public[1] + "+" + public[2], strings.TrimSuffix(witness.Key, witness.Key[len(witness.Key)-8:])} {
		if _, err := ParseWitness(bad); err == nil {
			t.Errorf("%q was read as a key", bad)
		}
	}
	if status, _ := ask(3, string(text)); status != http.StatusConflict {
		t.Errorf("another old size: %d", status)
	}
}

func TestKeys(t *testing.T) {
	for range 50 { // the base64 of some has plus signs
		private, public, err := NewKey(rand.Reader, "broker.example/audit")
		if err != nil {
			t.Fatal(err)
		}
		signer, verifier, err := ParseKey(private)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := note.NewVerifier(public); err != nil || verifier.Name() != want.Name() || verifier.KeyHash() != want.KeyHash() || signer.KeyHash() != want.KeyHash() {
			t.Fatalf("%v, error %v; want %v", verifier, err, want)
		}
		if s := fmt.Sprint(private); strings.Contains(s, "PRIVATE") {
			t.Errorf("printed: %s", s)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\n"} {
		if _, _, err := NewKey(rand.Reader, name); err == nil {
			t.Errorf("%q was taken for a name", name)
		}
	}
	_, public, err := NewKey(rand.Reader, "x")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []Secret{"", "canary", Secret(public), "PRIVATE+KEY+canary"} {
		if _, _, err := ParseKey(bad); !errors.Is(err, ErrKey) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%q: %v", bad.Reveal(), err)
		}
	}
	// A key that was replaced stays good for what it signed.
	old, oldKey := keys(t)
	_, newKey := keys(t)
	list, tree := written(t, 3)
	text := checkpointOf(t, list, tree, 3, old)
	if _, err := (Keys{newKey, oldKey}).Open(text); err != nil {
		t.Error(err)
	}
	if _, err := (Keys{newKey}).Open(text); err == nil {
		t.Error("opened by the new key alone")
	}
}

func FuzzCheckpoint(f *testing.F) {
	signer, verifier := keys(f)
	list, tree := written(f, 3)
	f.Add(checkpointOf(f, list, tree, 3, signer))
	f.Fuzz(func(t *testing.T, text []byte) {
		if c, err := OpenCheckpoint(text, verifier); err == nil && c.Size != 3 {
			t.Errorf("opened %+v", c)
		}
	})
}

func FuzzProof(f *testing.F) {
	signer, verifier := keys(f)
	list, tree := written(f, 5)
	p, err := tree.Prove(&list[2], 4, checkpointOf(f, list, tree, 4, signer))
	if err != nil {
		f.Fatal(err)
	}
	text, err := json.Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(strings.Replace(string(text), `"seq":2`, `"seq":-1`, 1)))
	f.Fuzz(func(t *testing.T, text []byte) {
		var p Proof
		if json.Unmarshal(text, &p) != nil {
			return
		}
		if _, err := p.Check(Keys{verifier}); err == nil && (p.Record.Seq != 2 || p.Record.Hash != list[2].Hash) {
			t.Errorf("proven: %+v", p.Record)
		}
	})
}

func FuzzParseWitness(f *testing.F) {
	_, verifier := keys(f)
	f.Add(witnesstest.New("witness.example/w1", verifier).Key)
	f.Fuzz(func(t *testing.T, vkey string) {
		if w, err := ParseWitness(vkey); err == nil && w.Verify([]byte("x"), make([]byte, 72)) {
			t.Errorf("%q verifies nothing", vkey)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	list, _ := written(f, 2)
	for i := range list {
		line, err := list[i].Line()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		r, err := ParseLine(line)
		if err != nil {
			return
		}
		if again, err := r.Line(); err != nil || !slices.Equal(again, line) {
			t.Errorf("read %q and wrote %q, error %v", line, again, err)
		}
	})
}
