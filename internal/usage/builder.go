package usage

import (
	"cmp"
	"encoding/binary"
	"hash/maphash"
	"maps"
	"slices"
	"sync"
	"time"
)

const (
	// Listed is how many networks, session lengths and source identities of one caller a record names; that there were more is said.
	Listed = 32
	// Waiting is how many calls across accounts a record remembers, the newest, so that their other sides may come in another import.
	Waiting = 50000
	// held is how many of them a builder holds in memory before it gives them to its store.
	held = 200000
	// Parts is how many parts a store keeps halves in: a builder holds one of them at a time when it joins them.
	Parts = 128
)

// Store keeps what a Builder need not hold in memory. Its methods may be called by several builders at once. What goes wrong is its owner's
// to find out: a builder goes on.
type Store interface {
	// Seen remembers an id, and reports whether it came before with the same time, in seconds since 1970: an event that comes again
	// has the same time.
	Seen(id [16]byte, at int64) bool
	// Put keeps a text in a part, 0 to Parts-1. The text is the caller's again after the call.
	Put(part int, text []byte)
	// Take gives all texts of a part, and forgets them.
	Take(part int, give func(text []byte))
}

// Options are what a Builder goes by.
type Options struct {
	Policy *Policy // nil: DefaultPolicy
	// Store keeps ids and halves; nil: they are held in memory.
	Store Store
	// Before: events before its day are left out, and what an earlier record holds of days before it; zero: nothing is.
	Before time.Time
}

// Builder reduces events. The order in which they come does not matter: the same events give the same record.
type Builder struct {
	store     Store
	policy    Policy
	before    time.Time
	policies  []Policy
	files     map[string]bool
	told      []Coverage
	accessed  []Accessed
	seen      map[string]*seenDays // by account
	crossings map[[3]string]*Crossing
	actions   map[[3]string]*ActionUse
	halves    [Parts]map[string]*Half // that wait for their other sides
	waiting   int
	added     bool // an event, under the policy
	spilled   bool
	text      []byte
}

type seenDays struct {
	days          Days
	regions, data map[string]*Days
}

// NewBuilder begins with what an earlier record holds; nil: with nothing.
func NewBuilder(from *Record, o Options) *Builder {
	b := &Builder{store: o.Store, before: o.Before.UTC().Truncate(24 * time.Hour), files: map[string]bool{}, seen: map[string]*seenDays{}, crossings: map[[3]string]*Crossing{},
		actions: map[[3]string]*ActionUse{}}
	if b.store == nil {
		b.store = &memory{ids: map[[16]byte]bool{}}
	}
	b.policy = DefaultPolicy()
	if o.Policy != nil {
		b.policy = *o.Policy
	}
	if from != nil && !b.before.IsZero() {
		from = from.Since(b.before)
	}
	if from != nil {
		b.Take(from)
	}
	return b
}

// memory is the store of a builder without one.
type memory struct {
	ids   map[[16]byte]bool
	parts [Parts][][]byte
}

func (m *memory) Seen(id [16]byte, _ int64) bool {
	known := m.ids[id]
	m.ids[id] = true
	return known
}

func (m *memory) Put(part int, text []byte) {
	m.parts[part] = append(m.parts[part], slices.Clone(text))
}

func (m *memory) Take(part int, give func([]byte)) {
	for _, text := range m.parts[part] {
		give(text)
	}
	m.parts[part] = nil
}

// Known reports whether a file of this digest was taken in before, and remembers it: what was imported twice counts once.
func (b *Builder) Known(digest string) bool {
	known := b.files[digest]
	b.files[digest] = true
	return known
}

// Len is how many roll-ups the builder holds, the crossings and the actions.
func (b *Builder) Len() int { return len(b.crossings) + len(b.actions) }

// Add takes in one event. An event that comes again by its id is passed over, and one from before the days that are kept.
func (b *Builder) Add(e *Event) {
	if e.Time.Before(b.before) {
		return
	}
	if e.ID != "" {
		b.text = append(append(binary.LittleEndian.AppendUint64(b.text[:0], uint64(e.Time.Unix())), e.Account...), e.ID...)
		if b.store.Seen(digest(b.text), e.Time.Unix()) {
			return
		}
	}
	b.added = true
	if e.Account != "" {
		b.saw(e)
	}
	h := Half{ID: e.Shared, Time: e.Time, Caller: b.policy.Caller(e.Caller), CallerAccount: e.CallerAccount, Action: e.Action, Account: e.Account,
		Target: e.Target, TargetAccount: e.TargetAccount, Denied: e.Denied, Session: e.Session, SourceIdentity: b.policy.SourceIdentity(e.SourceIdentity)}
	crossing := h.crossing()
	if crossing && b.policy.Networks {
		h.Network = Network(e.Source)
	}
	switch {
	case e.Shared == "":
		b.count(&h)
	case crossing || h.Caller != "":
		b.wait(&h)
	}
}

var seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}

// digest is 128 bits that two events do not have in common. Nobody else sees them: they may differ with each run.
func digest(text []byte) (id [16]byte) {
	binary.LittleEndian.PutUint64(id[:], maphash.Bytes(seeds[0], text))
	binary.LittleEndian.PutUint64(id[8:], maphash.Bytes(seeds[1], text))
	return id
}

// saw is the evidence that an event gives: its account's trail listened on this day, in this region, to events of this kind.
func (b *Builder) saw(e *Event) {
	s := b.account(e.Account)
	day := Day(e.Time)
	s.days.Add(day)
	if e.Region != "" {
		add(s.regions, e.Region, day)
	}
	if e.Data {
		service := e.Action
		for i := range service {
			if service[i] == ':' {
				service = service[:i]
				break
			}
		}
		add(s.data, service, day)
	}
}

func (b *Builder) account(id string) *seenDays {
	s := b.seen[id]
	if s == nil {
		s = &seenDays{regions: map[string]*Days{}, data: map[string]*Days{}}
		b.seen[id] = s
	}
	return s
}

func add(m map[string]*Days, name string, day int) {
	d := m[name]
	if d == nil {
		d = &Days{}
		m[name] = d
	}
	d.Add(day)
}

// wait keeps a side of a call until all are there.
func (b *Builder) wait(h *Half) {
	if b.waiting >= held {
		b.spill()
	}
	n := *h
	b.waiting += put(&b.halves[partOf(h.ID)], &n)
}

// put joins a half to the one of the same call, or adds it: it is the map's then. It says how many were added.
func put(m *map[string]*Half, h *Half) int {
	if *m == nil {
		*m = map[string]*Half{}
	}
	if other := (*m)[h.ID]; other != nil {
		other.join(h)
		return 0
	}
	(*m)[h.ID] = h
	return 1
}

func (b *Builder) spill() {
	for part := range b.halves {
		for _, h := range b.halves[part] {
			b.text = h.append(b.text[:0])
			b.store.Put(part, b.text)
		}
		clear(b.halves[part])
	}
	b.waiting = 0
	b.spilled = true
}

func partOf(id string) int {
	n := uint32(2166136261) // FNV-1a
	for i := range len(id) {
		n = (n ^ uint32(id[i])) * 16777619
	}
	return int(n % Parts)
}

// count counts what a call says that is not counted yet: what the caller did with its own rights, and the use of the trust.
func (b *Builder) count(h *Half) {
	if h.Caller != "" && !h.Acted {
		b.act(h)
		h.Acted = true
	}
	if h.crossing() && !h.Crossed {
		b.cross(b.crossings, h)
		h.Crossed = true
	}
}

func (b *Builder) act(h *Half) {
	account := h.TargetAccount
	if account == "" {
		account = h.Account
	}
	key := [3]string{h.Caller, h.Action, account}
	a := b.actions[key]
	if a == nil {
		a = &ActionUse{Caller: h.Caller, Action: h.Action, Account: account, First: h.Time}
		b.actions[key] = a
	}
	if h.Time.Before(a.First) {
		a.First = h.Time
	}
	if h.Denied {
		a.Denied++
		a.LastDenied = later(a.LastDenied, h.Time)
		return
	}
	a.Count++
	a.Days.Add(Day(h.Time))
	if h.Time.After(a.Last) {
		a.Last = h.Time
	}
}

// cross counts the use of a trust. A caller of which only the account is known is that account.
func (b *Builder) cross(into map[[3]string]*Crossing, h *Half) {
	caller := h.Caller
	if caller == "" {
		caller = h.CallerAccount
	}
	if caller == "" {
		return
	}
	key := [3]string{caller, h.Target, h.mechanism()}
	c := into[key]
	if c == nil {
		c = &Crossing{Caller: caller, Target: h.Target, Mechanism: key[2], First: h.Time}
		into[key] = c
	}
	c.add(h.Time, !h.Denied)
	if h.Session > 0 {
		c.Sessions, c.MoreSessions = listed(c.Sessions, c.MoreSessions, h.Session)
	}
	if h.Network != "" {
		c.Networks, c.MoreNetworks = listed(c.Networks, c.MoreNetworks, h.Network)
	}
	if h.SourceIdentity != "" {
		c.SourceIdentities, c.MoreIdentities = listed(c.SourceIdentities, c.MoreIdentities, h.SourceIdentity)
	}
}

// listed puts a value into a sorted list that has room for Listed ones. The first in order stay, so that it does not matter in
// which order they come.
func listed[T cmp.Ordered](list []T, more bool, value T) ([]T, bool) {
	i, found := slices.BinarySearch(list, value)
	switch {
	case found:
		return list, more
	case i == Listed:
		return list, true
	}
	list = slices.Insert(list, i, value)
	if len(list) > Listed {
		return list[:Listed], true
	}
	return list, more
}

// newest sorts the halves that may yet hear of their other side, the newest first.
func newest(x, y *Half) int { return cmp.Or(y.Time.Compare(x.Time), cmp.Compare(x.ID, y.ID)) }

// shelf keeps the newest halves, and counts the others for good.
type shelf struct {
	b    *Builder
	list []*Half
	last *Half // the oldest that may stay; nil: there is room
}

func (s *shelf) add(h *Half) {
	if h.Caller != "" || h.Acted {
		s.b.count(h)
		h.done()
	}
	if s.last != nil && newest(h, s.last) > 0 {
		s.b.count(h)
		return
	}
	if s.list = append(s.list, h); len(s.list) >= 2*Waiting {
		s.cut()
	}
}

// cut sorts the halves, and counts all but the newest.
func (s *shelf) cut() {
	slices.SortFunc(s.list, newest)
	if len(s.list) <= Waiting {
		return
	}
	for _, h := range s.list[Waiting:] {
		s.b.count(h)
	}
	s.list = s.list[:Waiting:Waiting]
	s.last = s.list[Waiting-1]
}

// Finish is the record of what several builders took in, the first of them with what it began with. All have the same store.
func Finish(builders []*Builder) *Record {
	// Each worker joins the halves of some parts, and counts into a builder of its own.
	var wg sync.WaitGroup
	shelves := make([]shelf, len(builders))
	for w, b := range builders {
		shelves[w].b = b
		wg.Go(func() {
			for part := w; part < Parts; part += len(builders) {
				for _, h := range joined(builders, part) {
					shelves[w].add(h)
				}
			}
			shelves[w].cut()
		})
	}
	wg.Wait()
	first := builders[0]
	for w, b := range builders {
		b.spilled, b.waiting = false, 0
		if w > 0 {
			first.join(b)
		}
	}
	// The newest of all shelves, each of which is sorted.
	for {
		next := -1
		for i := range shelves {
			if len(shelves[i].list) > 0 && (next < 0 || newest(shelves[i].list[0], shelves[next].list[0]) < 0) {
				next = i
			}
		}
		if next < 0 {
			return first.record()
		}
		h := shelves[next].list[0]
		shelves[next].list = shelves[next].list[1:]
		if first.waiting < Waiting {
			first.waiting += put(&first.halves[partOf(h.ID)], h)
		} else {
			first.count(h)
		}
	}
}

// joined takes the calls of a part from all builders and their store.
func joined(builders []*Builder, part int) map[string]*Half {
	most, spilled := 0, false
	for i, b := range builders {
		if spilled = spilled || b.spilled; len(b.halves[part]) > len(builders[most].halves[part]) {
			most = i
		}
	}
	all := builders[most].halves[part]
	for i, b := range builders {
		if i != most {
			for _, h := range b.halves[part] {
				put(&all, h)
			}
		}
		b.halves[part] = nil
	}
	if spilled {
		names := map[string]string{}
		builders[0].store.Take(part, func(text []byte) {
			if h, ok := readHalf(text, names); ok { // where not, the store's owner knows what went wrong
				put(&all, h)
			}
		})
	}
	return all
}

// Record is what was taken in so far, sorted.
func (b *Builder) Record() *Record { return Finish([]*Builder{b}) }

func (b *Builder) record() *Record {
	if b.added {
		b.under(b.policy.open())
	}
	r := &Record{Coverage: slices.Clone(b.told), Accessed: slices.Clone(b.accessed), Policies: slices.Clone(b.policies)}
	for f := range b.files {
		r.Files = append(r.Files, f)
	}
	for id, s := range b.seen {
		r.Seen = append(r.Seen, Seen{Account: id, Days: s.days.clone(), Regions: named(s.regions), Data: named(s.data)})
	}
	// The builder may go on: what a record holds must not change with it.
	r.settled = sorted(b.crossings, (*Crossing).compare, (*Crossing).clone)
	r.Actions = sorted(b.actions, (*ActionUse).compare, (*ActionUse).clone)
	for part := range b.halves {
		for _, h := range b.halves[part] {
			r.Pending = append(r.Pending, *h)
		}
	}
	r.sort()
	r.view()
	return r
}

// sorted are the values of a map in order. They are large: what is sorted is where they lie.
func sorted[K comparable, T any](m map[K]*T, compare func(a, b *T) int, clone func(*T) T) []T {
	list := slices.SortedFunc(maps.Values(m), compare)
	out := make([]T, len(list))
	for i, v := range list {
		out[i] = clone(v)
	}
	return out
}

func named(m map[string]*Days) []NamedDays {
	var out []NamedDays
	for name, d := range m {
		out = append(out, NamedDays{name, d.clone()})
	}
	return out
}

// view makes the crossings out of those that are settled, which are sorted, and those of calls of which only the target's side is known.
func (r *Record) view() {
	b := &Builder{}
	waiting := map[[3]string]*Crossing{}
	for i := range r.Pending {
		if h := r.Pending[i]; !h.Crossed && h.Caller == "" {
			b.cross(waiting, &h)
		}
	}
	if r.Crossings = r.settled; len(waiting) == 0 {
		return
	}
	r.Crossings = slices.Clone(r.settled)
	for i := range r.Crossings {
		c := &r.Crossings[i]
		if w := waiting[c.key()]; w != nil {
			n := c.clone()
			n.merge(w)
			*c = n
			delete(waiting, c.key())
		}
	}
	for _, w := range waiting {
		r.Crossings = append(r.Crossings, *w)
	}
	slices.SortFunc(r.Crossings, func(x, y Crossing) int { return x.compare(&y) })
}
