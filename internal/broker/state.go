// Package broker is the core of enforcement: what becomes of a request to cross. It answers a request by the terms of its registry entry, counts approvals, makes the single-use permits without which nothing can be
// issued, and takes back.
//
// It is pure. Every command is a function of a grant, the facts that it needs and the time, and gives a Change: the grant as it becomes, the events that say so in the audit log, and the effects to be carried out in
// AWS. A store writes all of them in one transaction or none; only then is AWS called. So the order is always: check, intent and record committed, AWS called, outcome and record committed, answer given; and for
// taking back: the fence committed first, then the effects.
//
// What may follow what is one table, Transitions. Invariants are cited by number, (n).
package broker

import (
	"fmt"
	"slices"
)

// State is where a request, or the grant that it became, stands. The zero value is none.
type State uint8

const (
	None      State = iota
	Denied          // the terms refuse it
	Awaiting        // people must decide
	Rejected        // enough people said no
	Withdrawn       // its requester took it back before it was decided
	Lapsed          // nobody decided in time, or nobody used the approval in time
	Approved        // in force from its start on, which has not come
	Active          // in force
	Suspended       // stopped by a signal or lock; needs a fresh approval
	Expired         // its end has come
	Revoking        // fenced: nothing is issued any more; sessions are being cut
	Stuck           // fenced, and some session could not be cut: somebody must look
	Revoked         // fenced, and every session is shown to be cut or over
)

var stateNames = [...]string{"none", "denied", "awaiting", "rejected", "withdrawn", "lapsed", "approved", "active", "suspended", "expired", "revoking", "stuck", "revoked"}

func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("state %d", s)
}

// StateOf reads a state's name.
func StateOf(name string) (State, error) {
	for i, n := range stateNames {
		if n == name {
			return State(i), nil
		}
	}
	return None, fmt.Errorf("%q is no state of a request", name)
}

// MarshalText is the state's name.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *State) UnmarshalText(text []byte) (err error) {
	*s, err = StateOf(string(text))
	return err
}

// Terminal reports whether nothing leads out of the state.
func (s State) Terminal() bool {
	switch s {
	case Denied, Rejected, Withdrawn, Lapsed, Expired, Revoked:
		return true
	}
	return false
}

// Fenced reports whether the grant was taken back: whatever comes later, nothing is issued for it.
func (s State) Fenced() bool { return s == Revoking || s == Stuck || s == Revoked }

// Trigger is what moves a request on.
type Trigger uint8

const (
	Refused        Trigger = iota // by its terms
	NeedsPeople                   // the terms ask for approvals
	AutoApproved                  // the terms ask for none
	QuorumReached                 // enough people said yes
	DenialReached                 // enough people said no
	Changed                       // its content was changed: earlier decisions are void
	TakenBack                     // by the requester
	DecisionMissed                // the time to decide is over
	Started                       // its start has come
	UseMissed                     // the time to use the approval for the first time is over
	Ended                         // its end has come
	Risk                          // a signal or lock says that it must stop
	Revocation                    // somebody takes it back
	Confirmed                     // every effect was read back, and has had its time to take effect
	GaveUp                        // an effect was tried as often as it may be
)

var triggerNames = [...]string{"refused", "needs people", "approved by the entry", "quorum reached", "denial reached", "changed", "taken back", "not decided in time", "started", "not used in time", "ended", "risk", "revocation", "confirmed", "gave up"}

func (t Trigger) String() string { return triggerNames[t] }

// Open are the states that are not over.
var Open = []State{Awaiting, Approved, Active, Suspended, Revoking, Stuck}

// Transition is one line of the table.
type Transition struct {
	From State
	On   Trigger
	To   State
}

// Transitions is all that may happen. What is not in it is a programming error, told as one: no state is left but by a line.
var Transitions = []Transition{
	{None, Refused, Denied},
	{None, NeedsPeople, Awaiting},
	{None, AutoApproved, Approved},

	{Awaiting, QuorumReached, Approved},
	{Awaiting, DenialReached, Rejected},
	{Awaiting, Changed, Awaiting},
	{Awaiting, TakenBack, Withdrawn},
	{Awaiting, DecisionMissed, Lapsed},

	{Approved, Started, Active},
	{Approved, TakenBack, Withdrawn},
	{Approved, Ended, Lapsed},
	{Approved, Risk, Suspended},
	{Approved, Revocation, Revoking},

	{Active, UseMissed, Lapsed},
	{Active, Ended, Expired},
	{Active, Risk, Suspended},
	{Active, Revocation, Revoking},

	{Suspended, QuorumReached, Approved},
	{Suspended, DenialReached, Revoking},
	{Suspended, Ended, Expired},
	{Suspended, Revocation, Revoking},

	{Revoking, Confirmed, Revoked},
	{Revoking, GaveUp, Stuck},
	{Stuck, Confirmed, Revoked},
}

// to is the state that a trigger leads to; ok is false where the table has no such line.
func (s State) to(on Trigger) (State, bool) {
	for _, t := range Transitions {
		if t.From == s && t.On == on {
			return t.To, true
		}
	}
	return s, false
}

// Moves are the net moves that one change may make: a line of the table, or several, because the time may take a grant further at once (an approval whose start has come, a fence with nothing to cut). A store holds
// every write against them, so that nothing leaves a terminal state or a fence even where a program is wrong.
func Moves() []Transition {
	var out []Transition
	for s := None; int(s) < len(stateNames); s++ {
		seen := []State{s}
		for i := 0; i < len(seen); i++ {
			for _, t := range Transitions {
				if t.From == seen[i] && !slices.Contains(seen, t.To) {
					seen = append(seen, t.To)
					out = append(out, Transition{From: s, On: t.On, To: t.To})
				}
			}
		}
	}
	return out
}
