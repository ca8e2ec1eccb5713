package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Checkpoint is a signed statement of how far a log reached and what it held: its size and the root of its Merkle tree. The text form is that of C2SP tlog-checkpoint, a signed note, which witnesses and other tools
// understand; the last record's hash is its one extension line.
type Checkpoint struct {
	Origin string // names the log; it is the name of the signing key too
	Size   int64
	Root   Hash
	Last   Hash // hash of the last record: the chain's end
}

// text is what is signed.
func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\nlast %s\n", c.Origin, c.Size, c.Root, c.Last)
}

// Sign makes the note.
func (c *Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	text, err := note.Sign(&note.Note{Text: c.text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint of %d records: %w", c.Size, err)
	}
	return text, nil
}

// OpenCheckpoint reads a note and checks its signature by the log's key.
func OpenCheckpoint(text []byte, key note.Verifier) (*Checkpoint, error) {
	n, err := note.Open(text, note.VerifierList(key))
	if err != nil {
		return nil, fmt.Errorf("the checkpoint is not signed by %s: %w", key.Name(), err)
	}
	var c Checkpoint
	lines := strings.Split(n.Text, "\n")
	bad := len(lines) < 5 || lines[0] != key.Name()
	if !bad {
		c.Origin = lines[0]
		last, ok := strings.CutPrefix(lines[3], "last ")
		_, err := fmt.Sscanf(lines[1], "%d", &c.Size)
		bad = !ok || err != nil || c.Size < 0 || c.Root.UnmarshalText([]byte(lines[2])) != nil || c.Last.UnmarshalText([]byte(last)) != nil
	}
	if bad || c.text() != n.Text {
		return nil, fmt.Errorf("the checkpoint is signed by %s and is not a checkpoint of this log: expected its name, size, root and last hash", key.Name())
	}
	return &c, nil
}

// Tree is the Merkle tree over a log, by RFC 6962, as its stored hashes. The zero value is the tree of an empty log, which holds all hashes in memory; a store gives Read instead, and keeps what Grow returns.
type Tree struct {
	Size int64
	// Read gives stored hashes by index (see tlog.StoredHashIndex); nil: those that the tree itself holds.
	Read tlog.HashReader

	hashes []tlog.Hash
}

func (t *Tree) reader() tlog.HashReader {
	if t.Read != nil {
		return t.Read
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			if at < 0 || at >= int64(len(t.hashes)) {
				return nil, fmt.Errorf("the tree has no hash %d", at)
			}
			out[i] = t.hashes[at]
		}
		return out, nil
	})
}

// Grow adds a record and returns the hashes to be stored, from index first on.
func (t *Tree) Grow(r *Record) (first int64, stored []Hash, err error) {
	if r.Seq != t.Size {
		return 0, nil, fmt.Errorf("the tree has %d records and was given record %d", t.Size, r.Seq)
	}
	first = tlog.StoredHashCount(t.Size)
	hashes, err := tlog.StoredHashes(t.Size, r.Encode(), t.reader())
	if err != nil {
		return 0, nil, fmt.Errorf("growing the tree by record %d: %w", r.Seq, err)
	}
	if t.Read == nil {
		t.hashes = append(t.hashes, hashes...)
	}
	t.Size++
	stored = make([]Hash, len(hashes))
	for i, h := range hashes {
		stored[i] = Hash(h)
	}
	return first, stored, nil
}

// Root is the tree's root when it had size records.
func (t *Tree) Root(size int64) (Hash, error) {
	if size == 0 {
		return sha256.Sum256(nil), nil
	}
	h, err := tlog.TreeHash(size, t.reader())
	if err != nil {
		return Hash{}, fmt.Errorf("the root of %d records: %w", size, err)
	}
	return Hash(h), nil
}

// Proof shows to somebody who holds a checkpoint, and not the log, that a record is in it.
type Proof struct {
	Record     Record `json:"record"`
	Size       int64  `json:"size"` // of the checkpoint
	Hashes     []Hash `json:"hashes"`
	Checkpoint string `json:"checkpoint"` // the note
}

// Prove makes the proof of a record against a checkpoint of size records.
func (t *Tree) Prove(r *Record, size int64, checkpoint []byte) (*Proof, error) {
	proof, err := tlog.ProveRecord(size, r.Seq, t.reader())
	if err != nil {
		return nil, fmt.Errorf("proving record %d in %d: %w", r.Seq, size, err)
	}
	p := &Proof{Record: *r, Size: size, Checkpoint: string(checkpoint)}
	for _, h := range proof {
		p.Hashes = append(p.Hashes, Hash(h))
	}
	return p, nil
}

// Check holds a proof against the log's key alone.
func (p *Proof) Check(key note.Verifier) (*Checkpoint, error) {
	c, err := OpenCheckpoint([]byte(p.Checkpoint), key)
	if err != nil {
		return nil, err
	}
	if c.Size != p.Size || p.Record.Hash != p.Record.compute() {
		return nil, &Tampered{Seq: p.Record.Seq, What: "the proof does not fit its record or checkpoint"}
	}
	hashes := make(tlog.RecordProof, len(p.Hashes))
	for i, h := range p.Hashes {
		hashes[i] = tlog.Hash(h)
	}
	if err := tlog.CheckRecord(hashes, c.Size, tlog.Hash(c.Root), p.Record.Seq, tlog.RecordHash(p.Record.Encode())); err != nil {
		return nil, &Tampered{Seq: p.Record.Seq, What: "it is not in the log that the checkpoint was made of"}
	}
	return c, nil
}

// ErrNoRecords is returned where there is neither a record nor a checkpoint to verify.
var ErrNoRecords = errors.New("there is nothing to verify")

// Verifier reads a log from its first record to its last and holds it against checkpoints. The zero value is ready.
type Verifier struct {
	head Head
	tree Tree
	want []Checkpoint
}

// Expect names a checkpoint that the log must agree with. All are named before the first record.
func (v *Verifier) Expect(c *Checkpoint) { v.want = append(v.want, *c) }

// Next takes the next record. The error is a *Tampered.
func (v *Verifier) Next(r *Record) error {
	if err := v.head.Check(r); err != nil {
		return err
	}
	if !json.Valid(r.Body) {
		return &Tampered{Seq: r.Seq, What: "its body is not JSON"}
	}
	if _, _, err := v.tree.Grow(r); err != nil {
		return err
	}
	v.head = Head{r.Seq + 1, r.Hash}
	for i := range v.want {
		if v.want[i].Size == v.head.Size {
			if err := v.agree(&v.want[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (v *Verifier) agree(c *Checkpoint) error {
	root, err := v.tree.Root(c.Size)
	if err != nil {
		return err
	}
	if root != c.Root || c.Last != v.head.Hash {
		return &Tampered{Seq: c.Size - 1, What: fmt.Sprintf("the first %d records are not those of the signed checkpoint: something among them was changed, dropped, inserted or reordered, and the hashes were computed anew", c.Size)}
	}
	return nil
}

// End says what was verified, after the last record: the log's head. A checkpoint of more records than there are means that the tail was cut off.
func (v *Verifier) End() (Head, error) {
	if v.head.Size == 0 && len(v.want) == 0 {
		return v.head, ErrNoRecords
	}
	for i := range v.want {
		c := &v.want[i]
		if c.Size > v.head.Size {
			return v.head, &Tampered{Seq: v.head.Size, What: fmt.Sprintf("the log ends after %d records, and a signed checkpoint has %d: the tail was cut off", v.head.Size, c.Size)}
		}
		if c.Size == 0 && c.Root != sha256.Sum256(nil) {
			return v.head, &Tampered{What: "the checkpoint of an empty log has a wrong root"}
		}
	}
	return v.head, nil
}
