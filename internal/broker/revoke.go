package broker

import (
	"fmt"
	"slices"
	"time"
)

// EffectKind is a way to cut live sessions.
type EffectKind string

const (
	// DenySource denies everything to the grant's source identity, on the target role: it cuts the grant's sessions, those chained from them, and no other.
	DenySource EffectKind = "deny-source-identity"
	// DenyOlder denies everything to sessions of the role that are older than a moment: coarser, for roles whose policies are full.
	DenyOlder EffectKind = "deny-older-sessions"
	// Quarantine is an SCP: out of reach of a role that can change its own policies.
	Quarantine EffectKind = "quarantine"
)

// Effect is something to be done in AWS, carried out from an outbox until it is read back. Carrying it out twice, or in any order with others, ends in the same state (29).
type Effect struct {
	ID    string     `json:"id"`
	Kind  EffectKind `json:"kind"`
	Grant string     `json:"grant"`
	// Source is the source identity of the sessions that it cuts.
	Source string `json:"source"`
	Role   string `json:"role"`
	// Until is when the last session that it covers is surely over: earlier it must not be removed (31).
	Until    time.Time `json:"until"`
	Attempts int       `json:"attempts,omitempty"`
	// Next is when it is to be tried.
	Next  time.Time `json:"next,omitzero"`
	Stuck bool      `json:"stuck,omitempty"`
	// Written is when it was read back; EffectiveBy when AWS surely acts by it (28).
	Written     time.Time `json:"written,omitzero"`
	EffectiveBy time.Time `json:"effectiveBy,omitzero"`
}

// Propagation is how long AWS may take to act by a changed policy: it says a few minutes.
const Propagation = 5 * time.Minute

// MaxAttempts is how often an effect is tried before somebody is called. It is tried further after that.
const MaxAttempts = 8

// Revoke takes a grant back. The change is the fence: from its commit on nothing is issued (25), and every session that may be live is covered by an effect (27).
func Revoke(g *Grant, by, why string, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	if n.State.Fenced() {
		return nil, fmt.Errorf("%w: it is %s", ErrDecided, n.State)
	}
	if _, ok := n.State.to(Revocation); !ok {
		return nil, fmt.Errorf("%w: it is %s", ErrNotInForce, n.State)
	}
	c.move(Revocation)
	ids := []string{}
	for i := range n.Sessions {
		if n.Sessions[i].live(now) {
			ids = append(ids, n.Sessions[i].ID)
		}
	}
	c.log(by, GrantRevoked{Why: why, Sessions: ids})
	c.fence(now)
	c.tick(now)
	return c, nil
}

// fence notes the moment, and cuts.
func (c *Change) fence(now time.Time) {
	c.Grant.FencedAt, c.Grant.Deadline = now, time.Time{}
	c.cutSessions(now)
}

// cutSessions covers every session that may be live by an effect.
func (c *Change) cutSessions(now time.Time) {
	g := &c.Grant
	for generation := 1; generation <= g.Generation; generation++ {
		until := time.Time{}
		for i := range g.Sessions {
			if s := &g.Sessions[i]; s.Generation == generation && s.live(now) && !g.covered(s) && s.NotAfter.After(until) {
				until = s.NotAfter
			}
		}
		if until.IsZero() {
			continue
		}
		e := Effect{ID: fmt.Sprintf("%s-%d", g.ID, len(g.Effects)), Kind: DenySource, Grant: g.ID, Source: g.source(generation), Role: g.Ask.Target, Until: until, Next: now}
		g.Effects = append(g.Effects, e)
		c.Effects = append(c.Effects, e)
	}
}

// source is the source identity of the sessions of one approval (10). A fresh approval has another: the deny that cut what was before must not cut what comes after.
func (g *Grant) source(generation int) string { return fmt.Sprintf("%s.%d", g.ID, generation) }

// Source is the source identity of sessions that are issued now.
func (g *Grant) Source() string { return g.source(g.Generation) }

// covered reports whether an effect is there that cuts a session.
func (g *Grant) covered(s *Session) bool {
	return slices.ContainsFunc(g.Effects, func(e Effect) bool { return e.Source == g.source(s.Generation) && !e.Until.Before(s.NotAfter) })
}

// cut reports whether every session is shown to be cut, or over.
func (g *Grant) cut(now time.Time) bool {
	for i := range g.Sessions {
		s := &g.Sessions[i]
		if !s.live(now) {
			continue
		}
		if !slices.ContainsFunc(g.Effects, func(e Effect) bool {
			return e.Source == g.source(s.Generation) && !e.EffectiveBy.IsZero() && !now.Before(e.EffectiveBy) && !e.Until.Before(s.NotAfter)
		}) {
			return false
		}
	}
	return true
}

// backoff is how long an effect waits after an attempt that failed: a second, two, four, and at most a minute. Taking back is urgent.
func backoff(attempts int) time.Duration {
	return min(time.Second<<min(attempts-1, 10), time.Minute)
}

// Attempt records how carrying out an effect went: it was read back in AWS at written, or err says why not.
func Attempt(g *Grant, effect string, written time.Time, failure error, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	i := slices.IndexFunc(n.Effects, func(e Effect) bool { return e.ID == effect })
	if i < 0 {
		return nil, fmt.Errorf("%w: effect %s", ErrNotFound, effect)
	}
	e := &n.Effects[i]
	if !e.Written.IsZero() {
		return nil, nil // done already: doing it again changes nothing
	}
	e.Attempts++
	if failure == nil {
		e.Written, e.EffectiveBy, e.Stuck = written, written.Add(Propagation), false
		c.log(Clock, EffectDone{Effect: e.ID, Written: e.Written, EffectiveBy: e.EffectiveBy})
	} else {
		stuck := e.Attempts >= MaxAttempts
		c.log(Clock, EffectFailed{Effect: e.ID, Attempt: e.Attempts, Why: failure.Error(), Stuck: stuck && !e.Stuck})
		e.Stuck, e.Next = stuck, now.Add(backoff(e.Attempts))
		if stuck && n.State == Revoking {
			c.move(GaveUp)
		}
	}
	c.Effects = append(c.Effects, *e)
	c.tick(now)
	return c, nil
}
