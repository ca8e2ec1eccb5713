package broker

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Pushed is a snapshot of AWS that somebody gives to the broker, in parts. The broker cannot collect: what can issue credentials must not be able to read the whole organisation.
type Pushed struct {
	ID    string    `json:"id"`
	By    string    `json:"by"`
	Begun time.Time `json:"begun"`
	State PushState `json:"state"`
	Why   string    `json:"why,omitempty"` // it was refused
	// Parts and Size are those of the archive; SHA256 is its hash.
	Parts  int    `json:"parts,omitempty"`
	Size   int64  `json:"size,omitempty"`
	SHA256 string `json:"sha256,omitempty"`
	// Collected is of when it says that it is; zero where it does not say. What it shows is of then at the earliest.
	Collected time.Time `json:"collected,omitzero"`
	Accepted  time.Time `json:"accepted,omitzero"`
	Accounts  int       `json:"accounts,omitempty"`
	Roles     int       `json:"roles,omitempty"`
	Gaps      int       `json:"gaps,omitempty"`
}

// PushState is how far a pushed snapshot is.
type PushState string

// States of pushed snapshots.
const (
	Receiving PushState = "receiving"
	Checking  PushState = "checking" // all parts are there; it is being read
	Accepted  PushState = "accepted"
	Unusable  PushState = "refused"
	Dropped   PushState = "dropped" // accepted once; newer ones took its place, and only this line is kept
)

// Limits of pushed snapshots.
const (
	MaxPart      = 4 << 20 // bytes
	MaxParts     = 1024
	KeepPushed   = 3              // how many accepted ones are kept whole
	PushPatience = 24 * time.Hour // how long one may take to arrive
)

// ErrPush says what is wrong with a push.
var ErrPush = errors.New("this is no part of a snapshot that is being pushed")

// Snapshots keeps what was pushed. Each method is one transaction, with its record in the log where it changes what the broker knows.
type Snapshots interface {
	BeginPush(ctx context.Context, p Pushed) error
	// KeepPart keeps the nth part, from 0 on; the same part again takes the place of the first. ErrPush where none is expected.
	KeepPart(ctx context.Context, id, by string, n int, data []byte) error
	// EndPush says that all parts are there; ErrPush where one is missing.
	EndPush(ctx context.Context, id, by string, parts int, sha256 string) (*Pushed, error)
	// SettlePush says what reading it has shown: p is Accepted or Unusable. What has become of no use is removed.
	SettlePush(ctx context.Context, p Pushed) error
	// Pushes lists them, the newest first; those that are Checking with the time that they wait since.
	Pushes(ctx context.Context, most int) ([]Pushed, error)
	Part(ctx context.Context, id string, n int) ([]byte, error)
}

// End checks that a push can end.
func (p *Pushed) End(by string, parts, kept int, size int64, sha256 string) error {
	switch {
	case p.State != Receiving || p.By != by:
		return fmt.Errorf("%w: it is %s", ErrPush, p.State)
	case parts < 1 || parts != kept:
		return fmt.Errorf("%w: %d parts are there, %d were said", ErrPush, kept, parts)
	}
	p.State, p.Parts, p.Size, p.SHA256 = Checking, parts, size, sha256
	return nil
}

// SnapshotAccepted: what the broker knows of AWS is what this snapshot says.
type SnapshotAccepted struct {
	Snapshot Pushed `json:"snapshot"`
}

// SnapshotRefused: a pushed snapshot cannot be used.
type SnapshotRefused struct {
	ID  string `json:"id"`
	By  string `json:"by"`
	Why string `json:"why"`
}

func (SnapshotAccepted) Kind() string { return "snapshot.accepted" }
func (SnapshotRefused) Kind() string  { return "snapshot.refused" }
