package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/audit"
)

func newAudit(e *Env) *cobra.Command {
	c := &cobra.Command{
		Use:   "audit",
		Short: "Verify the broker's audit log, prove records, export them, and follow a grant into CloudTrail",
		Long: `Audit works on the log of the broker without asking the broker: on an export, or on its store.

LOG is a file that 'drawbridge audit export' wrote (- for standard input), the store itself as sqlite:PATH or a PostgreSQL URL,
env:NAME where a variable holds that, or the URL of a daemon, which is asked as by 'drawbridge request': after 'drawbridge login', or
with what proves a workload. A store is opened for reading only.`,
		Args: noCommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newAuditExport(e), newAuditKey(e), newAuditProve(e), newAuditTrail(e), newAuditVerify(e))
	return c
}

func newAuditKey(e *Env) *cobra.Command {
	var name, out string
	c := &cobra.Command{
		Use:   "key",
		Short: "Make the key by which a log's checkpoints are signed",
		Long: `Key writes a new signing key to a file that only its owner may read, and its public side to a file beside it with .pub at its
end. The daemon needs the one (audit.key of its configuration), auditors the other. A file that is there is not replaced.`,
		Example: `  drawbridge audit key --name broker.example/audit -o audit.key`,
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if name == "" {
				return usagef("--name is missing: what checkpoints are to call the log, such as broker.example/audit")
			}
			private, public, err := audit.NewKey(rand.Reader, name)
			if err != nil {
				return usagef("--name: %w", err)
			}
			for _, f := range []struct {
				name, text string
				mode       fs.FileMode
			}{{out, private.Reveal(), 0o600}, {out + ".pub", public, 0o644}} {
				file, err := os.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
				if err == nil {
					_, err = file.WriteString(f.text + "\n")
					err = errors.Join(err, file.Close())
				}
				if err != nil {
					return fmt.Errorf("%w: %w", errOutput, err)
				}
			}
			_, err = fmt.Fprintf(e.Stdout, "%s      keep it where the daemon runs, and nowhere else\n%s.pub  give it to whoever verifies the log: %s\n", out, out, public)
			if err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			return nil
		},
	}
	c.Flags().StringVar(&name, "name", "", "what checkpoints call the log: `NAME`, such as broker.example/audit")
	c.Flags().StringVarP(&out, "output", "o", "audit.key", "the `FILE` for the key")
	return c
}

// auditKeys are the flags that say what a log is held against.
type auditKeys struct {
	keys, checkpoints, witnesses []string
}

func (k *auditKeys) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&k.keys, "key", nil, "a public key of the log, as a `FILE` or as its text; several where it was replaced")
	c.Flags().StringArrayVar(&k.checkpoints, "checkpoint", nil, "a signed checkpoint that you kept (`FILE`); several may be given")
	c.Flags().StringArrayVar(&k.witnesses, "witness", nil, "the public key of a witness, as a `FILE` or as its text: it must have cosigned a checkpoint that is given")
}

// opened is what the flags name.
type openedKeys struct {
	keys        audit.Keys
	witnesses   []*audit.Witness
	checkpoints []namedCheckpoint
}

type namedCheckpoint struct {
	name string
	text []byte
	*audit.Checkpoint
}

// textOf is a key that is given by its text or in a file.
func textOf(value string) (string, error) {
	if _, err := os.Stat(value); err != nil && strings.Count(value, "+") >= 2 {
		return value, nil
	}
	text, err := os.ReadFile(value)
	return strings.TrimSpace(string(text)), err
}

func (k *auditKeys) open() (*openedKeys, error) {
	var o openedKeys
	for _, value := range k.keys {
		text, err := textOf(value)
		if err != nil {
			return nil, fmt.Errorf("--key: %w", err)
		}
		if strings.HasPrefix(text, "PRIVATE+") {
			return nil, usagef("--key: %s is the signing key: give the public one, which is in the file with .pub at its end", value)
		}
		key, err := note.NewVerifier(text)
		if err != nil {
			return nil, usagef("--key: %s is no public key of a log: expected NAME+HASH+KEY, as 'drawbridge audit key' writes it", value)
		}
		o.keys = append(o.keys, key)
	}
	for _, value := range k.witnesses {
		text, err := textOf(value)
		if err != nil {
			return nil, fmt.Errorf("--witness: %w", err)
		}
		w, err := audit.ParseWitness(text)
		if err != nil {
			return nil, usagef("--witness: %w", err)
		}
		o.witnesses = append(o.witnesses, w)
	}
	if len(o.keys) == 0 && (len(k.checkpoints) > 0 || len(o.witnesses) > 0) {
		return nil, usagef("--key is missing: without it nobody knows whose a checkpoint is")
	}
	for _, name := range k.checkpoints {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("--checkpoint: %w", err)
		}
		if err := o.add(name, text); err != nil {
			return nil, err
		}
	}
	return &o, nil
}

// add opens a checkpoint.
func (o *openedKeys) add(name string, text []byte) error {
	c, err := o.keys.Open(text, o.witnesses...)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	o.checkpoints = append(o.checkpoints, namedCheckpoint{name, text, c})
	return nil
}

// newest is the largest checkpoint; nil where there is none.
func (o *openedKeys) newest() *namedCheckpoint {
	var newest *namedCheckpoint
	for i := range o.checkpoints {
		if c := &o.checkpoints[i]; newest == nil || c.Size > newest.Size {
			newest = c
		}
	}
	return newest
}

// verifiedLog is the answer of audit verify.
type verifiedLog struct {
	Holds       bool                 `json:"holds"`
	Records     int64                `json:"records"`
	First       *time.Time           `json:"first,omitempty"`
	Last        *time.Time           `json:"last,omitempty"`
	End         *audit.Hash          `json:"end,omitempty"` // hash of the last record
	Checkpoints []verifiedCheckpoint `json:"checkpoints"`
	// After is how many records came after the newest checkpoint: only the chain holds them.
	After   int64    `json:"after"`
	Problem *problem `json:"problem,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

type verifiedCheckpoint struct {
	Name     string             `json:"name"`
	Records  int64              `json:"records"`
	Origin   string             `json:"origin"`
	Root     audit.Hash         `json:"root"`
	Cosigned []verifiedCosigned `json:"cosigned,omitempty"`
}

type verifiedCosigned struct {
	Witness string    `json:"witness"`
	At      time.Time `json:"at"`
}

// problem is the first thing that is wrong.
type problem struct {
	Record *int64 `json:"record,omitempty"`
	What   string `json:"what"`
}

func verifiedCheckpointOf(c *namedCheckpoint) verifiedCheckpoint {
	v := verifiedCheckpoint{Name: c.name, Records: c.Size, Origin: c.Origin, Root: c.Root}
	for _, w := range c.Cosigned {
		v.Cosigned = append(v.Cosigned, verifiedCosigned{w.Witness, w.At})
	}
	return v
}

func newAuditVerify(e *Env) *cobra.Command {
	var k auditKeys
	var format answerFormat
	var proof string
	var chain bool
	c := &cobra.Command{
		Use:   "verify LOG | --proof FILE",
		Short: "Find any change, drop, insertion, reordering or cut tail in a log",
		Long: `Verify reads a log from its first record to its last. Each must be chained to the one before it, and the log must extend every checkpoint that
is given; of a store, also those that it keeps. A checkpoint that you kept yourself says most: whoever keeps the log can compute all hashes anew and cut the
store's own checkpoints, and cannot make the log fit yours.

Give the checkpoints that two people were shown to find a log that was forked between them. A log that does not hold ends with status 1.

With --proof, verify checks what 'drawbridge audit prove' wrote, and needs no log.`,
		Example: `  drawbridge audit verify audit.jsonl --key audit.key.pub --checkpoint last-year.txt
  drawbridge audit verify sqlite:/var/lib/drawbridge/drawbridge.db --key audit.key.pub
  drawbridge audit verify --proof record-41.json --key audit.key.pub`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			switch {
			case proof == "" && len(args) == 0:
				return usagef("what to verify is not given: a log, or --proof")
			case proof != "" && len(args) > 0:
				return usagef("--proof needs no log")
			case chain && (len(k.keys) > 0 || len(k.checkpoints) > 0 || proof != ""):
				return usagef("--chain is for a log of which no checkpoint is at hand: leave it out")
			case len(k.keys) == 0 && !chain:
				return usagef("--key is missing: without a signed checkpoint a log that was computed anew as a whole looks good; --chain checks no more than that its records are chained")
			}
			o, err := k.open()
			if err != nil {
				return err
			}
			if proof != "" {
				return e.verifyProof(proof, o, &format)
			}
			source, err := openLogSource(c.Context(), e, args[0])
			if err != nil {
				return err
			}
			defer source.close()
			answer, err := verifyLog(c.Context(), source, o, chain)
			if err != nil {
				return err
			}
			if err := format.print(e, answer, func(w *textWriter) { w.verified(answer) }); err != nil {
				return err
			}
			if !answer.Holds {
				return errUnwanted
			}
			return nil
		},
	}
	k.register(c)
	c.Flags().StringVar(&proof, "proof", "", "a proof that 'drawbridge audit prove' wrote (`FILE`)")
	c.Flags().BoolVar(&chain, "chain", false, "check the chain alone, without a checkpoint")
	format.register(c)
	return c
}

// verifyLog reads a log and holds it against the checkpoints. The error is about reading; what is wrong with the log is in the answer.
func verifyLog(ctx context.Context, source logSource, o *openedKeys, chain bool) (*verifiedLog, error) {
	a := &verifiedLog{Checkpoints: []verifiedCheckpoint{}}
	given := len(o.checkpoints)
	if !chain {
		notes, err := source.checkpoints(ctx)
		if err != nil {
			return nil, err
		}
		for _, n := range notes {
			if err := o.add(n.name, n.text); err != nil {
				a.Problem = &problem{What: err.Error()}
				return a, nil
			}
		}
		if len(o.checkpoints) == 0 {
			return nil, usagef("there is no checkpoint to hold the log against: give one with --checkpoint; --chain checks the chain alone")
		}
	}
	var v audit.Verifier
	failed := func(err error) (*verifiedLog, error) {
		var t *audit.Tampered
		var f *audit.Forked
		switch {
		case errors.As(err, &t):
			a.Problem = &problem{&t.Seq, t.What}
		case errors.As(err, &f):
			a.Problem = &problem{What: f.Error()}
		default:
			return nil, err
		}
		return a, nil
	}
	for i := range o.checkpoints {
		if err := v.Expect(o.checkpoints[i].name, o.checkpoints[i].Checkpoint); err != nil {
			return failed(err)
		}
	}
	end, known, err := source.head(ctx)
	if err != nil {
		return nil, err
	}
	err = source.each(ctx, func(r *audit.Record) error {
		if err := v.Next(r); err != nil {
			return err
		}
		at := r.Time
		if a.First == nil {
			a.First = &at
		}
		a.Last = &at
		hash := r.Hash
		a.Records, a.End = r.Seq+1, &hash
		return nil
	})
	if err == nil {
		if known {
			err = v.EndAt(end)
		} else {
			_, err = v.End()
		}
		if errors.Is(err, audit.ErrNoRecords) && known {
			err = nil
		}
	}
	if err != nil {
		return failed(err)
	}
	cosigned := make(map[string]bool)
	for i := range o.checkpoints {
		c := &o.checkpoints[i]
		// Of the store's own only the newest is told: there may be thousands.
		if i < given || i == len(o.checkpoints)-1 {
			a.Checkpoints = append(a.Checkpoints, verifiedCheckpointOf(c))
		}
		for _, w := range c.Cosigned {
			cosigned[w.Witness] = true
		}
	}
	for _, w := range o.witnesses {
		if !cosigned[w.Name()] {
			a.Problem = &problem{What: fmt.Sprintf("the witness %s cosigned no checkpoint that was given", w.Name())}
			return a, nil
		}
	}
	a.Holds, a.After = true, a.Records
	if newest := o.newest(); newest != nil {
		a.After -= newest.Size
	}
	switch {
	case chain:
		a.Notes = append(a.Notes, "No checkpoint was compared: a log that was computed anew as a whole, or whose tail was cut, looks the same.")
	case given == 0:
		a.Notes = append(a.Notes, "No checkpoint was given that was kept elsewhere: that a tail was cut together with its checkpoints would not be seen. Give one that you kept, or that a witness cosigned.")
	}
	return a, nil
}

func (w *textWriter) verified(a *verifiedLog) {
	if a.Problem != nil {
		place := ""
		if a.Problem.Record != nil {
			place = fmt.Sprintf("record %d: ", *a.Problem.Record)
		}
		w.line("THE LOG DOES NOT HOLD: %s%s", place, a.Problem.What)
		return
	}
	span := ""
	if a.First != nil {
		span = fmt.Sprintf(", from %s to %s", a.First.Format(time.RFC3339), a.Last.Format(time.RFC3339))
	}
	w.line("The log holds: %s%s.", counted(int(a.Records), "record", "records"), span)
	for _, c := range a.Checkpoints {
		w.checkpoint(&c)
	}
	if a.After > 0 && len(a.Checkpoints) > 0 {
		w.line("%s came after the newest checkpoint: the chain alone holds them together.", counted(int(a.After), "record", "records"))
	}
	for _, n := range a.Notes {
		w.line("%s", n)
	}
}

func (w *textWriter) checkpoint(c *verifiedCheckpoint) {
	w.line("  It extends %s: %s, signed by %s", c.Name, counted(int(c.Records), "record", "records"), c.Origin)
	for _, s := range c.Cosigned {
		w.line("    cosigned by %s at %s", s.Witness, s.At.Format(time.RFC3339))
	}
}

// verifiedProof is the answer of audit verify --proof.
type verifiedProof struct {
	Holds      bool                `json:"holds"`
	Record     *audit.Record       `json:"record,omitempty"`
	Checkpoint *verifiedCheckpoint `json:"checkpoint,omitempty"`
	Problem    *problem            `json:"problem,omitempty"`
}

func (e *Env) verifyProof(file string, o *openedKeys, format *answerFormat) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--proof: %w", err)
	}
	var p audit.Proof
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return fmt.Errorf("--proof: %s is no proof that 'drawbridge audit prove' wrote: %w", file, err)
	}
	a := &verifiedProof{}
	c, err := p.Check(o.keys, o.witnesses...)
	var t *audit.Tampered
	switch {
	case errors.As(err, &t):
		a.Problem = &problem{&t.Seq, t.What}
	case err != nil:
		a.Problem = &problem{What: err.Error()}
	default:
		own := verifiedCheckpointOf(&namedCheckpoint{name: "the checkpoint in the proof", Checkpoint: c})
		a.Holds, a.Record, a.Checkpoint = true, &p.Record, &own
		var v audit.Verifier
		err := v.Expect(own.Name, c)
		for i := range o.checkpoints {
			if err == nil {
				err = v.Expect(o.checkpoints[i].name, o.checkpoints[i].Checkpoint)
			}
		}
		if err == nil && len(o.witnesses) > len(c.Cosigned) {
			err = errors.New("not every witness that was given cosigned the checkpoint in the proof")
		}
		if err != nil {
			a.Holds, a.Problem = false, &problem{What: err.Error()}
		}
	}
	err = format.print(e, a, func(w *textWriter) {
		if a.Problem != nil {
			w.line("THE PROOF DOES NOT HOLD: %s", a.Problem.What)
			return
		}
		w.line("The proof holds: record %d is in the log of %s, among its first %s.", p.Record.Seq, c.Origin, counted(int(c.Size), "record", "records"))
		for _, s := range a.Checkpoint.Cosigned {
			w.line("  cosigned by %s at %s", s.Witness, s.At.Format(time.RFC3339))
		}
		w.line("  %s  %s by %s about %s", p.Record.Time.Format(time.RFC3339), p.Record.Kind, p.Record.Actor, p.Record.About)
		w.line("  %s", p.Record.Body)
	})
	if err == nil && !a.Holds {
		err = errUnwanted
	}
	return err
}

func newAuditProve(e *Env) *cobra.Command {
	var k auditKeys
	c := &cobra.Command{
		Use:   "prove RECORD LOG",
		Short: "Prove to somebody without the log that a record is in it",
		Long: `Prove writes the record, the hashes that lead from it to the root of a checkpoint, and the checkpoint. Whoever has the log's public key can check
it with 'drawbridge audit verify --proof', and sees no other record. The log is verified on the way. Of several checkpoints the newest counts; of a store, its own.`,
		Example: `  drawbridge audit prove 41 audit.jsonl --key audit.key.pub --checkpoint checkpoint.txt > record-41.json`,
		Args:    cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			seq, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || seq < 0 {
				return usagef("%q is no record: expected its number, the first is 0", args[0])
			}
			if len(k.keys) == 0 {
				return usagef("--key is missing: the checkpoint must be one of this log")
			}
			o, err := k.open()
			if err != nil {
				return err
			}
			source, err := openLogSource(c.Context(), e, args[1])
			if err != nil {
				return err
			}
			defer source.close()
			if len(o.checkpoints) == 0 {
				notes, err := source.checkpoints(c.Context())
				if err != nil {
					return err
				}
				if len(notes) == 0 {
					return usagef("there is no checkpoint to prove it against: give one with --checkpoint")
				}
				if err := o.add(notes[len(notes)-1].name, notes[len(notes)-1].text); err != nil {
					return err
				}
			}
			against := o.newest()
			var v audit.Verifier
			if err := v.Expect(against.name, against.Checkpoint); err != nil {
				return err
			}
			var tree audit.Tree
			var record *audit.Record
			err = source.each(c.Context(), func(r *audit.Record) error {
				if r.Seq >= against.Size {
					return errEnough
				}
				if err := v.Next(r); err != nil {
					return err
				}
				if r.Seq == seq {
					found := *r
					record = &found
				}
				return tree.Grow(r)
			})
			if errors.Is(err, errEnough) {
				err = nil
			}
			if err == nil {
				_, err = v.End()
			}
			if err != nil {
				return fmt.Errorf("the log does not hold: %w", err)
			}
			if record == nil {
				return usagef("record %d is not among the first %d, which %s is about: take a newer checkpoint", seq, against.Size, against.name)
			}
			proof, err := tree.Prove(record, against.Size, against.text)
			if err != nil {
				return err
			}
			var w bytes.Buffer
			enc := json.NewEncoder(&w)
			enc.SetIndent("", "  ")
			enc.SetEscapeHTML(false)
			if err := enc.Encode(proof); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			if _, err := e.Stdout.Write(w.Bytes()); err != nil {
				return fmt.Errorf("%w: %w", errOutput, err)
			}
			return nil
		},
	}
	k.register(c)
	return c
}

// errEnough ends reading a log before its end.
var errEnough = errors.New("enough was read")
