package broker

import (
	"fmt"
	"slices"
	"time"

	"drawbridge/internal/audit"
)

// EffectKind is a way to cut live sessions.
type EffectKind string

const (
	// DenySource denies everything to the grant's source identity, on the target role: it cuts the grant's sessions of that role, and no other.
	DenySource EffectKind = "deny-source-identity"
	// DenyOlder denies everything to sessions of the role that are older than a moment: coarser, for roles whose policies are full. What it cuts beside the grant's is told (see Overtake).
	DenyOlder EffectKind = "deny-older-sessions"
	// Quarantine denies everything to the grant's source identity by a policy of the organisation: for roles whose own policies the broker cannot change, or that could take the deny away again.
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
	// Paged is when it was last told that it is stuck; Acknowledged, when somebody said that they look after it: it is told no more.
	Paged        time.Time `json:"paged,omitzero"`
	Acknowledged time.Time `json:"acknowledged,omitzero"`
	// Older is the moment of a DenyOlder.
	Older time.Time `json:"older,omitzero"`
	// Written is when it was read back; EffectiveBy when AWS surely acts by it (28).
	Written     time.Time `json:"written,omitzero"`
	EffectiveBy time.Time `json:"effectiveBy,omitzero"`
	// Removed is when the deny was seen to be gone, which is when nothing is left that it would cut. Lifts are the attempts that failed; Left: it stays there, and somebody may remove it by hand.
	Removed time.Time `json:"removed,omitzero"`
	Lifts   int       `json:"lifts,omitempty"`
	Left    bool      `json:"left,omitempty"`
}

// Carried is how an effect was carried out.
type Carried struct {
	At time.Time // when it was read back
	// Older: there was no room for one more deny; every session of the role that AWS issued before this moment is denied instead. Zero where there was room.
	Older time.Time
}

// Propagation is how long AWS may take to act by a changed policy: it says a few minutes.
const Propagation = 5 * time.Minute

// MaxAttempts is how often an effect is tried before somebody is called. It is tried further after that.
const MaxAttempts = 8

// QuarantineAfter is how often a deny on the role is tried before the organisation's policy is asked for too, where there is one.
const QuarantineAfter = 4

// PageEvery is how often it is told again that an effect is stuck.
const PageEvery = time.Hour

// Linger is how long a deny stays after the last session that it cuts is over: clocks differ.
const Linger = 15 * time.Minute

// maxLifts is how often removing a deny is tried: over some weeks.
const maxLifts = 20

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

// Attempt records how carrying out an effect went: it was read back in AWS, or err says why not.
func Attempt(g *Grant, effect string, carried Carried, failure error, now time.Time) (*Change, error) {
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
		e.Written, e.EffectiveBy, e.Stuck, e.Next = carried.At, carried.At.Add(Propagation), false, time.Time{}
		if !carried.Older.IsZero() && e.Kind == DenySource {
			e.Kind, e.Older = DenyOlder, carried.Older
		}
		c.log(Clock, EffectDone{Effect: e.ID, Carried: e.Kind, Older: e.Older, Written: e.Written, EffectiveBy: e.EffectiveBy})
	} else {
		// What the organisation's policy cuts meanwhile needs nobody.
		stuck := e.Attempts >= MaxAttempts && !slices.ContainsFunc(n.Effects, func(q Effect) bool {
			return q.Kind == Quarantine && q.Source == e.Source && !q.Until.Before(e.Until) && !q.Written.IsZero()
		})
		page := stuck && e.Acknowledged.IsZero() && now.Sub(e.Paged) >= PageEvery
		if page {
			e.Paged = now
		}
		c.log(Clock, EffectFailed{Effect: e.ID, Attempt: e.Attempts, Why: failure.Error(), Stuck: page})
		e.Stuck, e.Next = stuck, now.Add(backoff(e.Attempts))
		if stuck && n.State == Revoking {
			c.move(GaveUp)
		}
	}
	c.Effects = append(c.Effects, *e)
	c.tick(now)
	return c, nil
}

// needsQuarantine reports whether an effect is one that the role does not take, so that the organisation's policy is asked for.
func (g *Grant) needsQuarantine(e *Effect, now time.Time) bool {
	return g.pending(e) && e.Kind == DenySource && e.Attempts >= QuarantineAfter && !g.quarantined(e) && e.Until.After(now)
}

// quarantined reports whether the sessions that an effect cuts are cut by a quarantine too, or are about to be.
func (g *Grant) quarantined(e *Effect) bool {
	return slices.ContainsFunc(g.Effects, func(q Effect) bool {
		return q.Kind == Quarantine && q.Source == e.Source && !q.Until.Before(e.Until)
	})
}

// Isolate cuts a grant's sessions by the organisation's policy beside the role's: where the role does not take the deny, or could take it away again. It gives an error where nothing lives that was to be cut.
func Isolate(g *Grant, by, why string, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	var ids []string
	for _, e := range slices.Clone(n.Effects) {
		if n.State.Terminal() || e.Kind == Quarantine || !e.Removed.IsZero() || !e.Until.After(now) || n.quarantined(&e) {
			continue
		}
		q := Effect{ID: fmt.Sprintf("%s-%d", n.ID, len(n.Effects)), Kind: Quarantine, Grant: n.ID, Source: e.Source, Role: e.Role, Until: e.Until, Next: now}
		n.Effects = append(n.Effects, q)
		c.Effects = append(c.Effects, q)
		ids = append(ids, q.ID)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: nothing of it lives that is being cut and is not in quarantine", ErrNotInForce)
	}
	c.log(by, GrantIsolated{Why: why, Effects: ids})
	return c, nil
}

// Retry tries at once what waits to be tried again.
func Retry(g *Grant, by, why string, now time.Time) (*Change, error) {
	return g.unfinished(by, now, func(e *Effect) bool { return true }, func(e *Effect) { e.Next = now }, func(ids []string) audit.Event { return EffectsRetried{Why: why, Effects: ids} })
}

// Acknowledge says that somebody looks after effects that are stuck: they are tried further, and told no more.
func Acknowledge(g *Grant, by, why string, now time.Time) (*Change, error) {
	return g.unfinished(by, now, func(e *Effect) bool { return e.Stuck && e.Acknowledged.IsZero() }, func(e *Effect) { e.Acknowledged = now }, func(ids []string) audit.Event { return EffectsAcknowledged{Why: why, Effects: ids} })
}

// unfinished changes the effects of a grant that are not carried out and that which holds for.
func (g *Grant) unfinished(by string, now time.Time, which func(*Effect) bool, do func(*Effect), event func(ids []string) audit.Event) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	var ids []string
	for i := range n.Effects {
		if e := &n.Effects[i]; n.pending(e) && which(e) {
			do(e)
			ids = append(ids, e.ID)
			c.Effects = append(c.Effects, *e)
		}
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%w: it has no such effect", ErrNotInForce)
	}
	c.log(by, event(ids))
	return c, nil
}

// pending reports whether an effect is to be carried out: it was not yet, and there is something left to cut.
func (g *Grant) pending(e *Effect) bool {
	return e.Written.IsZero() && !g.State.Terminal() && e.Removed.IsZero()
}

// spent is when the deny of an effect is of no more use and can be removed; zero where nothing is to be removed. It stays as long as another effect of the grant needs the same deny (31), and no other grant has it (30). A deny of all
// older sessions stays: it is one for each role, others may have come to need it, and once those sessions are over it cuts nothing.
func (g *Grant) spent(e *Effect) time.Time {
	if e.Kind == DenyOlder || !e.Removed.IsZero() || e.Left || e.Attempts == 0 {
		return time.Time{}
	}
	at := e.Until
	for i := range g.Effects {
		if other := &g.Effects[i]; other.Source == e.Source && other.Kind == e.Kind && other.Until.After(at) {
			at = other.Until
		}
	}
	at = at.Add(Linger)
	if e.Lifts > 0 && e.Next.After(at) {
		at = e.Next
	}
	return at
}

// Lift records how removing a deny went. It is the only thing that is done to a grant that has come to its end.
func Lift(g *Grant, effect string, failure error, now time.Time) (*Change, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	i := slices.IndexFunc(n.Effects, func(e Effect) bool { return e.ID == effect })
	if i < 0 {
		return nil, fmt.Errorf("%w: effect %s", ErrNotFound, effect)
	}
	e := &n.Effects[i]
	if at := n.spent(e); at.IsZero() || at.After(now) {
		return nil, nil // another sweep did it
	}
	if failure == nil {
		e.Removed = now
		c.log(Clock, DenyRemoved{Effect: e.ID})
	} else {
		e.Lifts++
		e.Left = e.Lifts >= maxLifts
		e.Next = now.Add(min(time.Minute<<min(e.Lifts-1, 12), 48*time.Hour))
		c.log(Clock, DenyStays{Effect: e.ID, Attempt: e.Lifts, Why: failure.Error(), Left: e.Left})
	}
	c.Effects = append(c.Effects, *e)
	return c, nil
}

// Overtake notes that sessions of a grant were cut with those of another one, by a deny of all sessions of the role that were issued before a moment: they are not handed out again, and do not count against the grant's limit. What was
// approved stays in force, and a new session lives. It gives nil where there are none.
func Overtake(g *Grant, effect string, older, now time.Time) *Change {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	var ids []string
	for i := range n.Sessions {
		if s := &n.Sessions[i]; s.live(now) && s.Intended.Before(older) && s.Overtaken.IsZero() {
			s.Overtaken = older
			ids = append(ids, s.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	c.log(Clock, SessionsOvertaken{Effect: effect, Older: older, Sessions: ids})
	return c
}
