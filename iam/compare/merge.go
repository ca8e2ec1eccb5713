package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// merge makes one difference of those that say the same about several callers, several classes of actions, or several classes of
// resources, in order of the statements.
func merge(found []Difference) []Difference {
	where := func(d *Difference) string {
		return fmt.Sprint(d.Allows, d.Denies) + d.Conditions.String()
	}
	who := func(d *Difference) string { return strings.Join(d.Who, "\n") }
	what := func(d *Difference) string { return fmt.Sprint(&d.Actions[0], len(d.Actions)) } // callers share the list
	found = group(found, func(d *Difference) string { return where(d) + what(d) + d.Resource })
	found = group(found, func(d *Difference) string { return where(d) + who(d) + what(d) })
	found = group(found, func(d *Difference) string { return where(d) + who(d) })
	slices.SortStableFunc(found, func(a, b Difference) int {
		return cmp.Or(comparePlaces(a.Allows, b.Allows), comparePlaces(a.Denies, b.Denies),
			cmp.Compare(a.Witness.Action.Lower(), b.Witness.Action.Lower()), cmp.Compare(a.Conditions.String(), b.Conditions.String()), cmp.Compare(who(&a), who(&b)))
	})
	return found
}

// group joins differences with the same key. The first keeps its example, unless a later one's is of a usual type.
func group(found []Difference, key func(*Difference) string) []Difference {
	at := map[string]int{}
	var out []Difference
	var lists [][]string // of actions, by group
	for _, d := range found {
		k := key(&d)
		i, seen := at[k]
		if !seen {
			at[k] = len(out)
			out, lists = append(out, d), append(lists, nil)
			continue
		}
		have := &out[i]
		if &have.Actions[0] != &d.Actions[0] || len(have.Actions) != len(d.Actions) {
			lists[i] = append(lists[i], d.Actions...)
		}
		have.Who = union(have.Who, d.Who)
		have.anyone = have.anyone || d.anyone
		if have.Unusual && !d.Unusual {
			have.Resource, have.Unusual, have.Witness = d.Resource, false, d.Witness
		}
	}
	for i, more := range lists {
		if len(more) > 0 {
			out[i].Actions = union(out[i].Actions, more)
		}
	}
	for i := range out {
		if out[i].anyone { // the accounts that are named are some of them
			out[i].Who = slices.DeleteFunc(slices.Clone(out[i].Who), func(w string) bool { return strings.HasPrefix(w, "principals of ") })
		}
	}
	return out
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// comparePlaces orders statements; what is by none comes last.
func comparePlaces(a, b Place) int {
	switch {
	case a.Found() && !b.Found():
		return -1
	case !a.Found() && b.Found():
		return 1
	}
	return cmp.Or(cmp.Compare(a.Document, b.Document), cmp.Compare(a.Statement, b.Statement))
}

// describe says what is undecided in words, one line for each reason.
func describe(open []question) []string {
	type subject struct {
		first question
		more  int
	}
	var all []subject
	at := map[string]int{}
	for _, q := range open {
		if i, seen := at[q.reason]; seen {
			all[i].more++
			continue
		}
		at[q.reason] = len(all)
		all = append(all, subject{first: q})
	}
	var lines []string
	for i, s := range all {
		if i == maxUndecided {
			lines = append(lines, fmt.Sprintf("%d more reasons", len(all)-i))
			break
		}
		q, line := s.first, ""
		if q.action.String() != "" {
			line = q.action.String()
			if q.resource != "" {
				line += " on " + q.resource
			}
			if q.caller != nil {
				line += " by " + q.caller.who
			}
			if s.more > 0 {
				line += fmt.Sprintf(" and %d more questions", s.more)
			}
			line += ": "
		}
		lines = append(lines, line+q.reason)
	}
	return lines
}
