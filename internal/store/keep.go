package store

import (
	"fmt"
	"slices"
	"time"
)

// Rule says which snapshots are kept: the Last newest, and of each of the newest Daily days, Weekly weeks (ISO, from Monday) and Monthly months that have one, the newest. Days are those of UTC. Only complete snapshots count.
type Rule struct{ Last, Daily, Weekly, Monthly int }

// Decision is what becomes of a snapshot.
type Decision struct {
	Snapshot
	Keep    bool
	Reasons []string // why it is kept
}

// Decide decides about every snapshot of a list, which is in the order of time. The newest complete one is always kept, and so is whatever is not complete: what is broken may be all that is left of its time.
func (r Rule) Decide(list []Snapshot) []Decision {
	out := make([]Decision, len(list))
	newest := true
	last := r.Last
	periods := []struct {
		left int
		name func(time.Time) string
		seen string
	}{
		{r.Daily, func(t time.Time) string { return "day " + t.Format(time.DateOnly) }, ""},
		{r.Weekly, func(t time.Time) string { y, w := t.ISOWeek(); return fmt.Sprintf("week %d-W%02d", y, w) }, ""},
		{r.Monthly, func(t time.Time) string { return "month " + t.Format("2006-01") }, ""},
	}
	for i, s := range slices.Backward(list) {
		d := Decision{Snapshot: s}
		switch s.State {
		case Broken:
			d.Reasons = append(d.Reasons, "broken: "+s.Problem)
		case Stopped:
			d.Reasons = append(d.Reasons, "a run that was stopped or is at work: the next one goes on with it")
		default:
			if newest {
				d.Reasons, newest = append(d.Reasons, "the newest complete one"), false
			}
			if last > 0 {
				d.Reasons = append(d.Reasons, fmt.Sprintf("number %d of the last %d", r.Last-last+1, r.Last))
				last--
			}
			for j := range periods {
				p := &periods[j]
				if name := p.name(s.Time); p.left > 0 && name != p.seen {
					d.Reasons = append(d.Reasons, "the newest of "+name)
					p.left, p.seen = p.left-1, name
				}
			}
		}
		d.Keep = len(d.Reasons) > 0
		out[i] = d
	}
	return out
}
