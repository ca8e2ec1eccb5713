package usage

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ErrOverlap is wrapped where two records have some files in common and each has others besides.
var ErrOverlap = errors.New("the records hold some of the same files")

// Merge is both records in one: of a trail that was read in parts, or on several machines. It does not matter which one is given first, nor in which
// order several are merged. Where all files of one are in the other, the other is the result: to merge twice changes nothing. Where only
// some are, they would count twice: the error wraps ErrOverlap and says which. nil is a record of nothing.
func Merge(a, b *Record) (*Record, error) {
	if a.empty() {
		a, b = b, a
	}
	if b.empty() {
		if a == nil {
			a = &Record{}
		}
		return a, nil
	}
	var both []string
	for _, f := range a.Files {
		if _, found := slices.BinarySearch(b.Files, f); found {
			both = append(both, f)
		}
	}
	switch {
	case len(both) == 0:
	case len(both) == len(a.Files):
		return b, nil
	case len(both) == len(b.Files):
		return a, nil
	default:
		return nil, fmt.Errorf("%w: %d of %d and %d, %s the first of them by its digest; import the files of one of them into the other", ErrOverlap, len(both), len(a.Files), len(b.Files), both[0])
	}
	m := NewBuilder(a, Options{})
	m.Take(b)
	return m.Record(), nil
}

func (r *Record) empty() bool {
	return r == nil || len(r.Files)+len(r.Coverage)+len(r.Seen)+len(r.Crossings)+len(r.Actions)+len(r.Pending)+len(r.Accessed) == 0
}

// Take takes in all that a record holds, as if its events came now. Files in common are the caller's to look for.
func (b *Builder) Take(r *Record) {
	for _, p := range r.Policies {
		b.under(p)
	}
	for _, f := range r.Files {
		b.files[f] = true
	}
	for _, c := range r.Coverage {
		if !slices.ContainsFunc(b.told, c.equal) {
			c.RegionsMissing = slices.Clone(c.RegionsMissing)
			b.told = append(b.told, c)
		}
	}
	for _, a := range r.Accessed {
		if !slices.ContainsFunc(b.accessed, func(x Accessed) bool { return x.compare(&a) == 0 }) {
			b.accessed = append(b.accessed, a)
		}
	}
	for i := range r.Seen {
		s := &r.Seen[i]
		into := b.account(s.Account)
		into.days.Union(s.Days)
		union(into.regions, s.Regions)
		union(into.data, s.Data)
	}
	settled := r.base()
	for i := range settled {
		c := &settled[i]
		if have := b.crossings[c.key()]; have != nil {
			have.merge(c)
			continue
		}
		n := c.clone()
		b.crossings[c.key()] = &n
	}
	for i := range r.Actions {
		x := &r.Actions[i]
		key := [3]string{x.Caller, x.Action, x.Account}
		if have := b.actions[key]; have != nil {
			have.Count, have.Denied = have.Count+x.Count, have.Denied+x.Denied
			have.First, have.Last = earlier(have.First, x.First), later(have.Last, x.Last)
			have.LastDenied = later(have.LastDenied, x.LastDenied)
			have.Days.Union(x.Days)
			continue
		}
		n := x.clone()
		b.actions[key] = &n
	}
	for i := range r.Pending {
		b.wait(&r.Pending[i])
	}
}

// under notes a policy that what is in the record was imported under.
func (b *Builder) under(p Policy) {
	if at, found := slices.BinarySearchFunc(b.policies, p, func(x, y Policy) int { return x.compare(&y) }); !found {
		b.policies = slices.Insert(b.policies, at, p)
	}
}

// join takes in what another builder has reduced, but for halves; the other one is not to be used again.
func (b *Builder) join(o *Builder) {
	r := &Record{Coverage: o.told, Policies: o.policies}
	for f := range o.files {
		r.Files = append(r.Files, f)
	}
	for id, s := range o.seen {
		r.Seen = append(r.Seen, Seen{id, s.days, named(s.regions), named(s.data)})
	}
	for key, c := range o.crossings {
		if b.crossings[key] == nil {
			b.crossings[key] = c
		} else {
			r.settled = append(r.settled, *c)
		}
	}
	for key, a := range o.actions {
		if b.actions[key] == nil {
			b.actions[key] = a
		} else {
			r.Actions = append(r.Actions, *a)
		}
	}
	b.added = b.added || o.added
	b.Take(r)
}

// Since is the record without days before the day of a time: without them in what is used on later days, too. How often something was used
// and refused stays, as days are not counted apart.
func (r *Record) Since(t time.Time) *Record {
	day := Day(t)
	out := &Record{Coverage: r.Coverage, Accessed: r.Accessed, Files: r.Files, Policies: r.Policies, settled: []Crossing{}}
	first := func(have time.Time, days *Days) time.Time {
		if Day(have) >= day {
			return have
		}
		from := day
		days.Ranges(func(f, _ int) {
			if from == day {
				from = f
			}
		})
		return dateOf(from)
	}
	for _, s := range r.Seen {
		s.Days, s.Regions, s.Data = s.Days.From(day), namedFrom(s.Regions, day), namedFrom(s.Data, day)
		if s.Days.Len() > 0 {
			out.Seen = append(out.Seen, s)
		}
	}
	for _, c := range r.base() {
		if Day(c.Last) >= day || Day(c.LastDenied) >= day {
			c.Days = c.Days.From(day)
			c.First = first(c.First, &c.Days)
			out.settled = append(out.settled, c)
		}
	}
	for _, a := range r.Actions {
		if Day(a.Last) >= day || Day(a.LastDenied) >= day {
			a.Days = a.Days.From(day)
			a.First = first(a.First, &a.Days)
			out.Actions = append(out.Actions, a)
		}
	}
	for _, h := range r.Pending {
		if Day(h.Time) >= day {
			out.Pending = append(out.Pending, h)
		}
	}
	out.view()
	return out
}

func namedFrom(list []NamedDays, day int) []NamedDays {
	var out []NamedDays
	for _, n := range list {
		if n.Days = n.Days.From(day); n.Days.Len() > 0 {
			out = append(out, n)
		}
	}
	return out
}

func union(into map[string]*Days, list []NamedDays) {
	for _, n := range list {
		d := into[n.Name]
		if d == nil {
			d = &Days{}
			into[n.Name] = d
		}
		d.Union(n.Days)
	}
}

func (c *Crossing) key() [3]string { return [3]string{c.Caller, c.Target, c.Mechanism} }

func (c *Crossing) clone() Crossing {
	n := *c
	n.Days, n.Sessions, n.Networks, n.SourceIdentities = c.Days.clone(), slices.Clone(c.Sessions), slices.Clone(c.Networks), slices.Clone(c.SourceIdentities)
	return n
}

func (a *ActionUse) clone() ActionUse {
	n := *a
	n.Days = a.Days.clone()
	return n
}

func (c *Crossing) merge(d *Crossing) {
	c.Count, c.Denied, c.Unapproved = c.Count+d.Count, c.Denied+d.Denied, c.Unapproved+d.Unapproved
	c.First, c.Last, c.LastDenied = earlier(c.First, d.First), later(c.Last, d.Last), later(c.LastDenied, d.LastDenied)
	c.Days.Union(d.Days)
	c.Sessions, c.MoreSessions = listedAll(c.Sessions, c.MoreSessions || d.MoreSessions, d.Sessions)
	c.Networks, c.MoreNetworks = listedAll(c.Networks, c.MoreNetworks || d.MoreNetworks, d.Networks)
	c.SourceIdentities, c.MoreIdentities = listedAll(c.SourceIdentities, c.MoreIdentities || d.MoreIdentities, d.SourceIdentities)
}

func listedAll[T cmp.Ordered](list []T, more bool, values []T) ([]T, bool) {
	for _, v := range values {
		list, more = listed(list, more, v)
	}
	return list, more
}

func (c *Coverage) equal(d Coverage) bool {
	return c.Account == d.Account && c.From.Equal(d.From) && c.To.Equal(d.To) && c.Missing == d.Missing && slices.Equal(c.RegionsMissing, d.RegionsMissing)
}

func (a *Accessed) compare(b *Accessed) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Days, b.Days), slices.Compare(a.Used, b.Used), slices.Compare(a.Unused, b.Unused))
}

func (c *Crossing) compare(d *Crossing) int {
	return cmp.Or(cmp.Compare(c.Target, d.Target), cmp.Compare(c.Caller, d.Caller), cmp.Compare(c.Mechanism, d.Mechanism))
}

func (a *ActionUse) compare(b *ActionUse) int {
	return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Account, b.Account))
}

// sort sorts all but crossings and actions.
func (r *Record) sort() {
	slices.SortFunc(r.Accessed, func(a, b Accessed) int { return a.compare(&b) })
	slices.SortFunc(r.Coverage, func(a, b Coverage) int {
		missing := func(c *Coverage) int { return len(c.RegionsMissing)*2 + map[bool]int{true: 1}[c.Missing] }
		return cmp.Or(cmp.Compare(a.Account, b.Account), a.From.Compare(b.From), a.To.Compare(b.To), cmp.Compare(missing(&a), missing(&b)), slices.Compare(a.RegionsMissing, b.RegionsMissing))
	})
	slices.SortFunc(r.Seen, func(a, b Seen) int { return cmp.Compare(a.Account, b.Account) })
	for i := range r.Seen {
		for _, list := range [][]NamedDays{r.Seen[i].Regions, r.Seen[i].Data} {
			slices.SortFunc(list, func(a, b NamedDays) int { return cmp.Compare(a.Name, b.Name) })
		}
	}
	slices.SortFunc(r.Pending, func(a, b Half) int { return cmp.Compare(a.ID, b.ID) })
	slices.Sort(r.Files)
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
