package usage

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"
)

// Days is a set of days (UTC). The zero value is the empty set. It holds a bit for each day between its first and last.
type Days struct {
	from int // day of the first bit since 1970, a multiple of 64
	bits []uint64
}

// Day is the number of a time's day since 1970, in UTC.
func Day(t time.Time) int {
	s := t.Unix()
	if s < 0 {
		s -= 86399
	}
	return int(s / 86400)
}

func dateOf(day int) time.Time { return time.Unix(int64(day)*86400, 0).UTC() }

// Add puts a day into the set.
func (d *Days) Add(day int) {
	word := day &^ 63
	switch {
	case len(d.bits) == 0:
		d.from, d.bits = word, []uint64{0}
	case word < d.from:
		d.bits = append(make([]uint64, (d.from-word)/64), d.bits...)
		d.from = word
	}
	for i := (word-d.from)/64 + 1 - len(d.bits); i > 0; i-- {
		d.bits = append(d.bits, 0)
	}
	d.bits[(word-d.from)/64] |= 1 << (day & 63)
}

// Has reports whether a day is in the set.
func (d *Days) Has(day int) bool {
	i := (day&^63 - d.from) / 64
	return day >= d.from && i < len(d.bits) && d.bits[i]>>(day&63)&1 == 1
}

// Len is how many days the set holds.
func (d *Days) Len() int {
	n := 0
	for _, w := range d.bits {
		n += bits.OnesCount64(w)
	}
	return n
}

// Ranges calls give for each stretch of days that follow each other, in order, with its first and last day.
func (d *Days) Ranges(give func(first, last int)) {
	first, last := 0, -1
	for i, w := range d.bits {
		for ; w != 0; w &= w - 1 {
			day := d.from + i*64 + bits.TrailingZeros64(w)
			switch {
			case last < first: // none yet
				first = day
			case day != last+1:
				give(first, last)
				first = day
			}
			last = day
		}
	}
	if last >= first {
		give(first, last)
	}
}

// Union puts all days of another set into this one.
func (d *Days) Union(other Days) {
	other.Ranges(func(first, last int) {
		for day := first; day <= last; day++ {
			d.Add(day)
		}
	})
}

// From is the set without the days before one.
func (d *Days) From(day int) Days {
	var out Days
	d.Ranges(func(first, last int) {
		for x := max(first, day); x <= last; x++ {
			out.Add(x)
		}
	})
	return out
}

func (d *Days) clone() Days { return Days{d.from, slices.Clone(d.bits)} }

// texts are the days as a file has them: 2026-01-02, or 2026-01-02/2026-01-09 for a stretch with its last day.
func (d *Days) texts() []string {
	out := []string{}
	d.Ranges(func(first, last int) {
		text := dateOf(first).Format(time.DateOnly)
		if last > first {
			text += "/" + dateOf(last).Format(time.DateOnly)
		}
		out = append(out, text)
	})
	return out
}

// Days from which and up to which a record may have something: CloudTrail began in 2013, and a day costs memory.
var firstDay, lastDay = Day(time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC)), Day(time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC))

// InRange reports whether CloudTrail can have recorded something at a time: from 2013 to 2099.
func InRange(t time.Time) bool { return Day(t) >= firstDay && Day(t) <= lastDay }

// ParseDays reads days as a file has them.
func ParseDays(texts []string) (Days, error) {
	var d Days
	for _, text := range texts {
		from, to, stretch := strings.Cut(text, "/")
		if !stretch {
			to = from
		}
		first, err := parseDay(from)
		if err != nil {
			return d, err
		}
		last, err := parseDay(to)
		if err != nil {
			return d, err
		}
		if last < first {
			return d, fmt.Errorf("days %q end before they begin", text)
		}
		for day := first; day <= last; day++ {
			d.Add(day)
		}
	}
	return d, nil
}

func parseDay(text string) (int, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return 0, fmt.Errorf("%q is no day like 2026-01-31", text)
	}
	if !InRange(t) {
		return 0, fmt.Errorf("day %s is not between 2013 and 2099", text)
	}
	return Day(t), nil
}
