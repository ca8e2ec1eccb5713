package access

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
)

// Terms are what one trust gives, as far as two runs are compared by it. They come from edges, or from the trusts of an
// earlier report.
type Terms struct {
	GranteeKind string
	Grantee     string
	Mechanism   string
	Target      string
	// Condition is what a request must fulfil: Always where the trust lets it through, Never where a policy denies it.
	Condition  cond.Formula
	Actions    []string // patterns
	MaxSession time.Duration
}

// Change is how a trust differs from one run to another.
type Change uint8

const (
	Changed  Change = iota // differs, and neither is known to give all that the other gives
	Added                  // there was none
	Removed                // there is none any more
	Wider                  // gives all that it gave, and more
	Narrower               // gives nothing that it did not give, and less
)

func (c Change) String() string { return [...]string{"changed", "new", "gone", "wider", "narrower"}[c] }

// TrustChange is one difference.
type TrustChange struct {
	Change Change
	// Old and New are the terms before and after; Old is nil where the trust is new, New where it is gone.
	Old, New *Terms
	// What says in words what differs, nil for trusts new and gone.
	What []string
}

// key is what makes two terms the same trust.
func (t *Terms) key() string {
	return t.Target + "\x00" + t.GranteeKind + "\x00" + t.Grantee + "\x00" + t.Mechanism
}

// DiffTrusts compares the trusts of two runs, sorted by target, grantee and mechanism. A trust is wider when a request that
// the old terms let through is certain to be let through by the new ones, and the reverse is not.
func DiffTrusts(old, current []Terms) []TrustChange {
	before, after := byKey(old), byKey(current)
	var changes []TrustChange
	for key, n := range after {
		o, ok := before[key]
		if !ok {
			changes = append(changes, TrustChange{Change: Added, New: n})
		} else if c, differs := compareTerms(o, n); differs {
			changes = append(changes, c)
		}
	}
	for key, o := range before {
		if after[key] == nil {
			changes = append(changes, TrustChange{Change: Removed, Old: o})
		}
	}
	slices.SortFunc(changes, func(a, b TrustChange) int { return cmp.Compare(a.terms().key(), b.terms().key()) })
	return changes
}

// terms are the newest there are.
func (c *TrustChange) terms() *Terms {
	if c.New != nil {
		return c.New
	}
	return c.Old
}

// byKey joins terms of one key: whoever fulfils one of them is let through.
func byKey(list []Terms) map[string]*Terms {
	m := make(map[string]*Terms, len(list))
	for _, t := range list {
		first, ok := m[t.key()]
		if !ok {
			m[t.key()] = &t
			continue
		}
		first.Condition = first.Condition.Or(t.Condition)
		first.Actions = slices.Concat(first.Actions, t.Actions)
		slices.Sort(first.Actions)
		first.Actions = slices.Compact(first.Actions)
		first.MaxSession = max(first.MaxSession, t.MaxSession)
	}
	return m
}

// compareTerms compares two terms of one trust; differs is false where they give the same.
func compareTerms(o, n *Terms) (c TrustChange, differs bool) {
	c = TrustChange{Old: o, New: n}
	grows, shrinks := false, false // some part gives more, or less
	part := func(oldInNew, newInOld bool, format string, args ...any) {
		if oldInNew && newInOld {
			return
		}
		grows, shrinks = grows || !newInOld, shrinks || !oldInNew
		c.What = append(c.What, fmt.Sprintf(format, args...))
	}
	if !o.Condition.Equal(n.Condition) {
		oldInNew, _ := o.Condition.Implies(n.Condition)
		newInOld, _ := n.Condition.Implies(o.Condition)
		part(oldInNew, newInOld, "conditions: %s → %s", o.Condition, n.Condition)
	}
	part(coveredBy(o.Actions, n.Actions), coveredBy(n.Actions, o.Actions),
		"actions: %s → %s", strings.Join(o.Actions, ", "), strings.Join(n.Actions, ", "))
	known := o.MaxSession > 0 && n.MaxSession > 0
	part(!known || o.MaxSession <= n.MaxSession, !known || n.MaxSession <= o.MaxSession, "longest session: %v → %v", o.MaxSession, n.MaxSession)
	switch {
	case grows && !shrinks:
		c.Change = Wider
	case shrinks && !grows:
		c.Change = Narrower
	}
	return c, grows || shrinks
}

// coveredBy reports whether each action pattern is covered by one of others.
func coveredBy(patterns, others []string) bool {
	for _, p := range patterns {
		if !slices.ContainsFunc(others, func(o string) bool { return arn.GlobCovers(strings.ToLower(o), strings.ToLower(p)) }) {
			return false
		}
	}
	return true
}
