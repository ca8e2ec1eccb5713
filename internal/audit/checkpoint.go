package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
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
	// Cosigned are the witnesses, among those that were asked for, who signed it too.
	Cosigned []Cosigned
}

// text is what is signed.
func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\nlast %s\n", c.Origin, c.Size, c.Root, c.Last)
}

// Same reports whether two checkpoints say the same: signatures apart.
func (c *Checkpoint) Same(d *Checkpoint) bool { return c.text() == d.text() }

// Sign makes the note.
func (c *Checkpoint) Sign(signers ...note.Signer) ([]byte, error) {
	text, err := note.Sign(&note.Note{Text: c.text()}, signers...)
	if err != nil {
		return nil, fmt.Errorf("signing the checkpoint of %d records: %w", c.Size, err)
	}
	return text, nil
}

// OpenCheckpoint reads a note and checks its signature by the log's key. Cosignatures are checked where a witness is given; those of others are passed over.
func OpenCheckpoint(text []byte, key note.Verifier, witnesses ...*Witness) (*Checkpoint, error) {
	known := []note.Verifier{key}
	for _, w := range witnesses {
		known = append(known, w)
	}
	n, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return nil, fmt.Errorf("the checkpoint is not signed by %s: %w", key.Name(), err)
	}
	var c Checkpoint
	own := false
	for _, s := range n.Sigs {
		if s.Name == key.Name() && s.Hash == key.KeyHash() {
			own = true
			continue
		}
		for _, w := range witnesses {
			if s.Name == w.Name() && s.Hash == w.KeyHash() {
				at, err := cosignedAt(s)
				if err != nil {
					return nil, err
				}
				c.Cosigned = append(c.Cosigned, Cosigned{s.Name, at})
			}
		}
	}
	if !own {
		return nil, fmt.Errorf("the checkpoint is signed by a witness and not by %s", key.Name())
	}
	lines := strings.Split(n.Text, "\n")
	bad := len(lines) < 5 || lines[0] != key.Name()
	if !bad {
		c.Origin = lines[0]
		last, ok := strings.CutPrefix(lines[3], "last ")
		c.Size, err = strconv.ParseInt(lines[1], 10, 64)
		bad = !ok || err != nil || c.Size < 0 || c.Root.UnmarshalText([]byte(lines[2])) != nil || c.Last.UnmarshalText([]byte(last)) != nil
	}
	if bad || c.text() != n.Text {
		return nil, fmt.Errorf("the checkpoint is signed by %s and is not a checkpoint of this log: expected its name, size, root and last hash", key.Name())
	}
	return &c, nil
}

// Keys are the keys that a log had, the present one first: checkpoints stay good when a key is replaced.
type Keys []note.Verifier

// Open opens a checkpoint that one of the keys signed; see OpenCheckpoint.
func (k Keys) Open(text []byte, witnesses ...*Witness) (*Checkpoint, error) {
	var errs []error
	for _, key := range k {
		c, err := OpenCheckpoint(text, key, witnesses...)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// Forked is the proof that the key of a log signed two logs: two checkpoints that no one log can have.
type Forked struct {
	A, B   string // what the checkpoints were given as
	Origin string
	Size   int64
}

func (f *Forked) Error() string {
	return fmt.Sprintf("%s signed two different logs of %d records: %s and %s have different roots. Keep both: together they prove it", f.Origin, f.Size, f.A, f.B)
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
	if size > t.size {
		return nil, fmt.Errorf("the log has %d records, and the checkpoint is of %d", t.size, size)
	}
	if r.Seq >= size {
		return nil, fmt.Errorf("record %d came after the checkpoint, which is of %d records: take a newer one", r.Seq, size)
	}
	proof, err := tlog.ProveRecord(size, r.Seq, t)
	if err != nil {
		return nil, fmt.Errorf("proving record %d in %d: %w", r.Seq, size, err)
	}
	p := &Proof{Record: *r, Size: size, Hashes: hashesOf(proof), Checkpoint: string(checkpoint)}
	return p, nil
}

// Check holds a proof against the log's keys alone. What does not fit is a *Tampered.
func (p *Proof) Check(keys Keys, witnesses ...*Witness) (*Checkpoint, error) {
	c, err := keys.Open([]byte(p.Checkpoint), witnesses...)
	if err != nil {
		return nil, err
	}
	// A proof may be laid out anew for its readers; a body is hashed without white space.
	var body bytes.Buffer
	if err := json.Compact(&body, p.Record.Body); err != nil {
		return nil, &Tampered{Seq: p.Record.Seq, What: "its body is not JSON"}
	}
	p.Record.Body = body.Bytes()
	switch {
	case c.Size != p.Size:
		return nil, &Tampered{Seq: p.Record.Seq, What: fmt.Sprintf("the proof is about %d records, and its checkpoint about %d", p.Size, c.Size)}
	case p.Record.Hash != p.Record.compute():
		return nil, &Tampered{Seq: p.Record.Seq, What: "its content is not what was recorded"}
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

// Verifier reads a log from its first record to its last and holds it against checkpoints. The zero value is ready. It needs little memory, however long the log is.
type Verifier struct {
	head    Head
	tree    Tree
	want    map[int64][]*expected // by size
	largest *expected
	met     *expected // the newest that the log extends
}

type expected struct {
	name string
	Checkpoint
}

// Expect names a checkpoint that the log must agree with, which name tells apart in errors. All are named before the first record. The error is a *Forked where it and an earlier one cannot be of one log.
func (v *Verifier) Expect(name string, c *Checkpoint) error {
	for _, w := range v.want[c.Size] {
		if w.Origin == c.Origin && !w.Same(c) {
			return &Forked{w.name, name, c.Origin, c.Size}
		}
	}
	if v.want == nil {
		v.want = make(map[int64][]*expected)
	}
	e := &expected{name: name, Checkpoint: *c}
	v.want[c.Size] = append(v.want[c.Size], e)
	if v.largest == nil || c.Size > v.largest.Size {
		v.largest = e
	}
	return nil
}

// Next takes the next record. The error is a *Tampered.
func (v *Verifier) Next(r *Record) error {
	if v.head.Size == 0 {
		v.tree.Block = notAgain
		if err := v.agree(); err != nil {
			return err
		}
	}
	if err := v.head.Check(r); err != nil {
		return err
	}
	if err := v.tree.Grow(r); err != nil {
		return err
	}
	v.head = Head{r.Seq + 1, r.Hash}
	return v.agree()
}

// notAgain: a verifier takes the root of what it has read only.
func notAgain(first int64) ([]Record, error) {
	return nil, fmt.Errorf("record %d cannot be read again", first)
}

// agree holds the checkpoints of as many records as were read against them.
func (v *Verifier) agree() error {
	for _, c := range v.want[v.head.Size] {
		root, err := v.tree.Root(c.Size)
		if err != nil {
			return err
		}
		if root == c.Root && c.Last == v.head.Hash {
			v.met = c
			continue
		}
		what := fmt.Sprintf("the first %d records are not those of the signed checkpoint %s: something among them was changed, dropped, inserted or reordered, and the hashes were computed anew", c.Size, c.name)
		if v.met != nil {
			what += fmt.Sprintf("; they do begin with the %d of %s, which the same key signed: one of the two was made of another log", v.met.Size, v.met.name)
		}
		return &Tampered{Seq: max(c.Size-1, 0), What: what}
	}
	return nil
}

// End says what was verified, after the last record: the log's head. A checkpoint of more records than there are means that the tail was cut off.
func (v *Verifier) End() (Head, error) {
	if v.head.Size == 0 {
		if v.largest == nil {
			return v.head, ErrNoRecords
		}
		if err := v.agree(); err != nil {
			return v.head, err
		}
	}
	if c := v.largest; c != nil && c.Size > v.head.Size {
		return v.head, &Tampered{Seq: v.head.Size, What: fmt.Sprintf("the log ends after %d records, and the signed checkpoint %s has %d: the tail was cut off, or this is an older copy", v.head.Size, c.name, c.Size)}
	}
	return v.head, nil
}

// EndAt is End where it is known how far the log goes: the store says it beside the records.
func (v *Verifier) EndAt(h Head) error {
	if v.head.Size < h.Size {
		return &Tampered{Seq: v.head.Size, What: fmt.Sprintf("it is missing: the log ends after %d records, and its store has the hash of %d", v.head.Size, h.Size)}
	}
	if v.head.Size == h.Size && v.head.Hash != h.Hash {
		return &Tampered{Seq: max(h.Size-1, 0), What: "its hash is not that of the log's end, which the store keeps beside it"}
	}
	_, err := v.End()
	return err
}
