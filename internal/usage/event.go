package usage

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// Event is one recorded call, as far as it matters for use.
type Event struct {
	ID     string // of the event; "" where the record has none
	Shared string // the id that both sides of a call across accounts carry
	Time   time.Time
	Region string
	// Account received the call: the one whose trail holds the event.
	Account string
	// Caller is the ARN of the role (not of its session), user or root user, oidc:host:subject, the host of a service; "" where
	// this side of the call does not say.
	Caller string
	// CallerAccount is the caller's account; "" for services and subjects.
	CallerAccount string
	// Action is the call, service:Name.
	Action string
	// Target is the role that was assumed, or the resource that was used; "" where the call names none.
	Target string
	// TargetAccount owns the target; "" where that is not said.
	TargetAccount string
	Denied        bool
	// Session is the length of the session that was asked for; 0: not said.
	Session time.Duration
}

// crossing is whether the event is the use of a trust: a role assumed, or a resource of another account used.
func (e *Event) crossing() bool {
	return e.Target != "" && (strings.HasPrefix(e.Action, "sts:AssumeRole") || e.CallerAccount != "" && e.TargetAccount != "" && e.CallerAccount != e.TargetAccount)
}

// Builder reduces events. The order in which they come does not matter: the same events give the same record.
type Builder struct {
	files     map[string]bool
	crossings map[[3]string]*Crossing
	actions   map[[3]string]*ActionUse
	days      map[string]map[int]bool // days since 1970 with any event, by account
	regions   map[string]map[string]bool
	shared    map[string]*half // one side of a call across accounts that waits for the other
	ids       map[string]bool
	kept      []Coverage
}

// half is the side of a call that does not say who called.
type half struct {
	event  Event
	caller string
}

// ActionUse is the use of an action by a role or user, in one account.
type ActionUse struct {
	Caller  string
	Action  string
	Account string // owner of the resource, or of the trail where the call names no resource
	First   time.Time
	Last    time.Time
	Count   int
	Denied  int
}

// NewBuilder begins with what an earlier record holds; nil: with nothing.
func NewBuilder(from *Record) *Builder {
	b := &Builder{files: map[string]bool{}, crossings: map[[3]string]*Crossing{}, actions: map[[3]string]*ActionUse{},
		days: map[string]map[int]bool{}, regions: map[string]map[string]bool{}, shared: map[string]*half{}, ids: map[string]bool{}}
	if from == nil {
		return b
	}
	for _, f := range from.Files {
		b.files[f] = true
	}
	for i := range from.Crossings {
		c := from.Crossings[i]
		c.Sessions = slices.Clone(c.Sessions)
		b.crossings[[3]string{c.Caller, c.Target, c.Mechanism}] = &c
	}
	for i := range from.Actions {
		a := from.Actions[i]
		b.actions[[3]string{a.Caller, a.Action, a.Account}] = &a
	}
	for _, c := range from.Coverage {
		if c.Missing || c.From.IsZero() || c.To.Sub(c.From) > 100*365*24*time.Hour {
			b.kept = append(b.kept, c) // not made of days with events
			continue
		}
		for d := dayOf(c.From); d <= dayOf(c.To); d++ {
			b.seen(c.Account, d)
		}
	}
	return b
}

// Known reports whether a file of this digest was taken in before, and remembers it: what was imported twice counts once.
func (b *Builder) Known(digest string) bool {
	known := b.files[digest]
	b.files[digest] = true
	return known
}

func dayOf(t time.Time) int { return int(t.Unix() / 86400) }

func (b *Builder) seen(account string, day int) {
	if b.days[account] == nil {
		b.days[account] = map[int]bool{}
	}
	b.days[account][day] = true
}

// Add takes in one event. An event that comes again by its id is passed over.
func (b *Builder) Add(e *Event) {
	if e.ID != "" {
		key := e.ID + e.Account
		if b.ids[key] {
			return
		}
		b.ids[key] = true
	}
	if e.Account != "" {
		b.seen(e.Account, dayOf(e.Time))
	}
	if e.Caller != "" {
		b.act(e)
	}
	if !e.crossing() {
		return
	}
	if e.Shared == "" {
		b.cross(e, e.Caller)
		return
	}
	other, waiting := b.shared[e.Shared]
	switch {
	case !waiting:
		b.shared[e.Shared] = &half{*e, e.Caller}
	case other.caller == "" && e.Caller != "":
		other.caller = e.Caller // the caller's own trail names the role, the other one only its account
	}
}

// act counts what a caller does with its own rights.
func (b *Builder) act(e *Event) {
	account := e.TargetAccount
	if account == "" {
		account = e.Account
	}
	key := [3]string{e.Caller, e.Action, account}
	a := b.actions[key]
	if a == nil {
		a = &ActionUse{Caller: e.Caller, Action: e.Action, Account: account, First: e.Time}
		b.actions[key] = a
	}
	if e.Time.Before(a.First) {
		a.First = e.Time
	}
	if e.Denied {
		a.Denied++
		return
	}
	a.Count++
	if e.Time.After(a.Last) {
		a.Last = e.Time
	}
}

// cross counts the use of a trust. A caller of which only the account is known is that account.
func (b *Builder) cross(e *Event, caller string) {
	if caller == "" {
		caller = e.CallerAccount
	}
	if caller == "" {
		return
	}
	mechanism := e.Action
	if name, ok := strings.CutPrefix(e.Action, "sts:"); ok {
		mechanism = name
	}
	key := [3]string{caller, e.Target, mechanism}
	c := b.crossings[key]
	if c == nil {
		c = &Crossing{Caller: caller, Target: e.Target, Mechanism: mechanism, First: e.Time}
		b.crossings[key] = c
	}
	c.add(e.Time, !e.Denied)
	if e.Session > 0 && !slices.Contains(c.Sessions, e.Session) {
		c.Sessions = append(c.Sessions, e.Session)
		slices.Sort(c.Sessions)
	}
}

// Record is what was taken in so far, sorted.
func (b *Builder) Record() *Record {
	shared := make([]string, 0, len(b.shared))
	for id := range b.shared {
		shared = append(shared, id)
	}
	slices.Sort(shared)
	for _, id := range shared {
		h := b.shared[id]
		b.cross(&h.event, h.caller)
	}
	clear(b.shared)
	r := &Record{}
	for f := range b.files {
		r.Files = append(r.Files, f)
	}
	slices.Sort(r.Files)
	for _, c := range b.crossings {
		r.Crossings = append(r.Crossings, *c)
	}
	for _, a := range b.actions {
		r.Actions = append(r.Actions, *a)
	}
	r.Coverage = append(b.coverage(), b.kept...)
	r.sort()
	return r
}

// coverage is the stretches of days with events, for each account. A day without any is a hole: accounts that are in use are
// called every day, if only by AWS itself.
func (b *Builder) coverage() []Coverage {
	var out []Coverage
	for account, days := range b.days {
		sorted := make([]int, 0, len(days))
		for d := range days {
			sorted = append(sorted, d)
		}
		slices.Sort(sorted)
		for i := 0; i < len(sorted); {
			j := i
			for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
				j++
			}
			out = append(out, Coverage{Account: account, From: time.Unix(int64(sorted[i])*86400, 0).UTC(), To: time.Unix(int64(sorted[j]+1)*86400-1, 0).UTC()})
			i = j + 1
		}
	}
	return out
}

func (r *Record) sort() {
	slices.SortFunc(r.Crossings, func(a, b Crossing) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Mechanism, b.Mechanism))
	})
	slices.SortFunc(r.Actions, func(a, b ActionUse) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Account, b.Account))
	})
	slices.SortFunc(r.Coverage, func(a, b Coverage) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), a.From.Compare(b.From), a.To.Compare(b.To))
	})
}

// Merge is both records in one: of a trail that was read in parts, or on several machines. What both have taken from the same files
// counts twice: read each file once.
func Merge(a, b *Record) *Record {
	m := NewBuilder(a)
	for _, f := range b.Files {
		m.files[f] = true
	}
	for i := range b.Crossings {
		c := &b.Crossings[i]
		key := [3]string{c.Caller, c.Target, c.Mechanism}
		if have := m.crossings[key]; have != nil {
			have.merge(c)
		} else {
			n := *c
			m.crossings[key] = &n
		}
	}
	for i := range b.Actions {
		x := &b.Actions[i]
		key := [3]string{x.Caller, x.Action, x.Account}
		if have := m.actions[key]; have != nil {
			have.Count, have.Denied = have.Count+x.Count, have.Denied+x.Denied
			have.First, have.Last = earlier(have.First, x.First), later(have.Last, x.Last)
		} else {
			n := *x
			m.actions[key] = &n
		}
	}
	r := m.Record()
	r.Coverage = slices.Concat(a.Coverage, b.Coverage)
	r.sort()
	r.Coverage = slices.CompactFunc(r.Coverage, func(x, y Coverage) bool {
		return x.Account == y.Account && x.From.Equal(y.From) && x.To.Equal(y.To) && x.Missing == y.Missing && slices.Equal(x.RegionsMissing, y.RegionsMissing)
	})
	return r
}

func (c *Crossing) merge(d *Crossing) {
	c.Count, c.Denied, c.Unapproved = c.Count+d.Count, c.Denied+d.Denied, c.Unapproved+d.Unapproved
	c.First, c.Last, c.LastDenied = earlier(c.First, d.First), later(c.Last, d.Last), later(c.LastDenied, d.LastDenied)
	c.Sessions = slices.Concat(c.Sessions, d.Sessions)
	slices.Sort(c.Sessions)
	c.Sessions = slices.Compact(c.Sessions)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
