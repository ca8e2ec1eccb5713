// Package audit is the tamper-evident log of what the broker did: typed events, chained by hash in the transaction of their change, and a Merkle tree over them whose signed heads, the checkpoints, are published where the
// log's keeper cannot change them.
//
// The chain makes an accident or a careless edit visible at once. It does not stop somebody who can write the store and computes every hash anew: against that stand the checkpoints, because a log that was changed
// before a checkpoint that somebody else holds can no longer have that checkpoint's root. What was logged after the last published checkpoint is only as safe as the store.
//
// The package is pure: records and hashes are given to it, keys are values, time is an argument.
package audit

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Event is something that happened. Its type is its meaning: each kind is one Go type, marshalled to JSON with its fields in their order. Fields must not hold secrets; those have the type Secret, which cannot be
// marshalled.
type Event interface {
	// Kind names the type: noun.verb in the past, "request.filed". It never changes its meaning.
	Kind() string
}

// Secret is text that must not be written down: marshalling it is an error, printing it gives stars.
type Secret string

// ErrSecret says that a secret was about to be written.
var ErrSecret = errors.New("a secret must not be written down")

// MarshalText refuses, so that no encoder of texts, JSON among them, writes it.
func (Secret) MarshalText() ([]byte, error) { return nil, ErrSecret }

func (s Secret) String() string   { return "***" }
func (s Secret) GoString() string { return "***" }

// Reveal is the secret, for the one place that must have it.
func (s Secret) Reveal() string { return string(s) }

// Hash is a SHA-256.
type Hash [sha256.Size]byte

// MarshalText is base64, as in checkpoints.
func (h Hash) MarshalText() ([]byte, error) {
	return base64.StdEncoding.AppendEncode(nil, h[:]), nil
}

// UnmarshalText reads base64 of 32 bytes.
func (h *Hash) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(b) != len(h) {
		return fmt.Errorf("expected the base64 of %d bytes, found %q", len(h), text)
	}
	copy(h[:], b)
	return nil
}

func (h Hash) String() string { return base64.StdEncoding.EncodeToString(h[:]) }

// Record is one event in the log.
type Record struct {
	Seq  int64     `json:"seq"`  // from zero, without holes
	Time time.Time `json:"time"` // UTC, to the microsecond: what every store keeps
	Kind string    `json:"kind"`
	// Actor is who did it: a subject's or person's id, or "broker" for what the clock does. About is what it was done to: the id of a request, lock, policy version.
	Actor string          `json:"actor"`
	About string          `json:"about"`
	Body  json.RawMessage `json:"body"` // the event, compact
	Prev  Hash            `json:"prev"` // the hash of the record before, zero for the first
	Hash  Hash            `json:"hash"`
}

// Head is the end of a log: how many records, and the hash of the last one. The zero value is an empty log.
type Head struct {
	Size int64
	Hash Hash
}

// Append makes the record of an event at the end of a log, and the new end. Time is cut to the microsecond. An event that cannot be marshalled, because of a secret in it for one, is an error, and nothing may then
// happen.
func Append(h Head, at time.Time, actor, about string, e Event) (Record, Head, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return Record{}, h, fmt.Errorf("the event %s cannot be recorded: %w", e.Kind(), err)
	}
	// What is no UTF-8 would not come out of JSON as it went in.
	r := Record{Seq: h.Size, Time: at.UTC().Truncate(time.Microsecond), Kind: e.Kind(), Actor: strings.ToValidUTF8(actor, "\uFFFD"), About: strings.ToValidUTF8(about, "\uFFFD"), Body: body, Prev: h.Hash}
	r.Hash = r.compute()
	return r, Head{h.Size + 1, r.Hash}, nil
}

// domain keeps the hashes of records apart from all others, and from those of a later form.
const domain = "drawbridge audit record 1\n"

// Encode is what is hashed: every field with its length, so that no two records have the same bytes. It is also the Merkle tree's leaf.
func (r *Record) Encode() []byte {
	b := make([]byte, 0, len(domain)+len(r.Body)+len(r.Kind)+len(r.Actor)+len(r.About)+128)
	b = append(b, domain...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(r.Time.UnixMicro()))
	for _, field := range []string{r.Kind, r.Actor, r.About, string(r.Body)} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(field)))
		b = append(b, field...)
	}
	return append(b, r.Prev[:]...)
}

func (r *Record) compute() Hash { return sha256.Sum256(r.Encode()) }

// Check holds a record against the end of the log before it.
func (h Head) Check(r *Record) error {
	switch {
	case r.Seq != h.Size:
		return &Tampered{Seq: h.Size, What: fmt.Sprintf("expected record %d, found record %d: records were dropped, inserted or reordered", h.Size, r.Seq)}
	case r.Prev != h.Hash:
		return &Tampered{Seq: r.Seq, What: "it does not follow on the record before it: one of the two was changed or exchanged"}
	case r.Hash != r.compute():
		return &Tampered{Seq: r.Seq, What: "its content is not what was recorded"}
	}
	return nil
}

// Tampered is the first place at which a log is not what was written.
type Tampered struct {
	Seq  int64 // the record
	What string
}

func (t *Tampered) Error() string { return fmt.Sprintf("record %d: %s", t.Seq, t.What) }
