package audit

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
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
		if _, _, err := tree.Grow(&r); err != nil {
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
	for _, c := range checkpoints {
		v.Expect(c)
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
			var h Head
			for i := range list {
				list[i].Seq, list[i].Prev = h.Size, h.Hash
				list[i].Hash = list[i].compute()
				h = Head{h.Size + 1, list[i].Hash}
			}
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
			if _, err := p.Check(verifier); err != nil {
				t.Errorf("record %d of %d: %v", seq, size, err)
			}
			p.Record.Actor = "user:eve"
			p.Record.Hash = p.Record.compute()
			if _, err := p.Check(verifier); err == nil {
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

// TestTreeFromAStore: a tree that keeps its hashes elsewhere has the same roots.
func TestTreeFromAStore(t *testing.T) {
	list, want := written(t, 21)
	var store []Hash
	tree := &Tree{Read: readerOf(&store)}
	for i := range list {
		first, hashes, err := tree.Grow(&list[i])
		if err != nil {
			t.Fatal(err)
		}
		if first != int64(len(store)) {
			t.Fatalf("record %d: first hash %d, the store has %d", i, first, len(store))
		}
		store = append(store, hashes...)
		a, err := tree.Root(int64(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := want.Root(int64(i + 1)); a != b {
			t.Errorf("root of %d: %v, want %v", i+1, a, b)
		}
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

func readerOf(store *[]Hash) tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			out[i] = tlog.Hash((*store)[at])
		}
		return out, nil
	})
}
