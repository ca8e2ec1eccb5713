package cond

import (
	"slices"
	"strings"
)

// Constraint is what is demanded of one key: whether its absence satisfies, and which present values do. It is immutable;
// formulas share constraints.
type Constraint struct {
	Key        string // as written
	Quantifier Quantifier
	// Absent: the constraint holds where the key is absent. False for Any and true for All, but for AnyValueIfExists.
	Absent bool
	Kind   Kind
	// Comparison is the relation of numeric and date tests.
	Comparison Comparison
	// Negated: a value passes if it matches none of Values. With Kind Anything, no value passes.
	Negated bool

	// exactNumbers: a value that is no number passes only where unparsable says so (UnparsableNumber).
	exactNumbers, unparsable bool
	// several: where the key has several values, one that passes is enough (ManyValues).
	several bool

	lower  string
	values []value
	id     string // all of the above as text: equal constraints have equal ids
}

// Values are the values compared with, as printed, in order.
func (c *Constraint) Values() []string {
	texts := make([]string, len(c.values))
	for i := range c.values {
		texts[i] = c.values[i].text
	}
	return texts
}

// newConstraint sorts and merges values and computes the identity.
func newConstraint(c Constraint) *Constraint {
	slices.SortFunc(c.values, func(a, b value) int { return strings.Compare(a.text, b.text) })
	c.values = slices.CompactFunc(c.values, func(a, b value) bool { return a.text == b.text })
	c.lower = strings.ToLower(c.Key)
	c.id = c.identity()
	return &c
}

func (c *Constraint) identity() string {
	var b strings.Builder
	b.WriteString(c.lower)
	b.WriteByte(0)
	flags := byte('0') + byte(c.Quantifier)
	b.WriteByte(flags)
	b.WriteByte('0' + byte(c.Kind))
	b.WriteByte('0' + byte(c.Comparison))
	if c.Absent {
		b.WriteByte('a')
	}
	if c.Negated {
		b.WriteByte('n')
	}
	if c.exactNumbers {
		b.WriteByte('x')
		if c.unparsable {
			b.WriteByte('u')
		}
	}
	if c.several {
		b.WriteByte('s')
	}
	for i := range c.values {
		b.WriteByte(0)
		b.WriteString(c.values[i].text)
	}
	return b.String()
}

// complement holds exactly where c does not. An opaque constraint's is opaque too, and another one.
func (c *Constraint) complement() *Constraint {
	n := *c
	if c.Kind == Opaque {
		n.Negated = !c.Negated
		n.id = n.identity()
		return &n
	}
	n.Absent, n.Negated, n.unparsable = !c.Absent, !c.Negated, !c.unparsable
	switch c.Quantifier {
	case Any:
		n.Quantifier = All
	case All:
		n.Quantifier = Any
	}
	n.id = n.identity()
	return &n
}

// Eval decides the constraint in a context. It does not allocate, unless a value carries a variable.
func (c *Constraint) Eval(ctx *Context) Truth {
	if c.Kind == Opaque {
		return Unknown
	}
	state, got := ctx.Lookup(c.lower)
	if state == Present && len(got) == 0 && c.Quantifier == One {
		state = Absent // an empty set has no value to compare
	}
	switch state {
	case Undetermined:
		return c.undetermined(ctx.known(c.lower))
	case Absent:
		return Of(c.Absent)
	}
	if c.Quantifier == One {
		if c.Kind == Anything {
			return Of(!c.Negated) // presence is no comparison, however many values there are
		}
		if len(got) > 1 && c.several {
			return c.matchSome(got, ctx)
		}
		if len(got) > 1 {
			return Unknown // rule 74: AWS calls this a policy error; the engine does not guess
		}
		return c.matchValue(got[0], ctx)
	}
	result := Of(c.Quantifier == All)
	for _, g := range got {
		if t := c.matchValue(g, ctx); c.Quantifier == All {
			result = result.And(t)
		} else {
			result = result.Or(t)
		}
	}
	return result
}

// undetermined is the truth over a key that is not known, given what is known of it all the same.
func (c *Constraint) undetermined(known *Constraint) Truth {
	if truth := c.constant(); truth != Unknown || known == nil || !c.fixed() {
		return truth
	}
	switch {
	case known.implies(c):
		return True
	case c.implies(known.complement()):
		return False
	}
	return Unknown
}

// constant is the truth of a constraint over an unknown key: known only where every state of the key gives the same.
func (c *Constraint) constant() Truth {
	universal, empty := false, false
	switch {
	case c.Kind == Anything:
		universal, empty = !c.Negated, c.Negated
	case c.Kind == Like || c.Kind == ARN:
		for i := range c.values {
			v := &c.values[i]
			if v.template == nil && (c.Kind == Like && v.glob.Anything() || c.Kind == ARN && v.pattern.Anything()) {
				universal, empty = !c.Negated, c.Negated
			}
		}
	}
	if len(c.values) == 0 && c.Kind != Anything {
		universal, empty = c.Negated, !c.Negated
	}
	switch {
	case universal && c.Absent, c.Quantifier == All && universal:
		return True
	case empty && !c.Absent, c.Quantifier == Any && empty:
		return False
	}
	return Unknown
}

// matchSome decides a test without set operator on several values (ManyValues): what is not negated wants one that matches,
// what is negated wants none, so that the two stay complements.
func (c *Constraint) matchSome(got []string, ctx *Context) Truth {
	result := Of(c.Negated)
	for _, g := range got {
		if t := c.matchValue(g, ctx); c.Negated {
			result = result.And(t)
		} else {
			result = result.Or(t)
		}
	}
	return result
}

// matchValue decides whether one present value passes.
func (c *Constraint) matchValue(got string, ctx *Context) Truth {
	if c.Kind == Anything {
		return Of(!c.Negated)
	}
	if c.exactNumbers && !isDecimal(got) {
		return Of(c.unparsable)
	}
	result := False
	for i := range c.values {
		t := c.values[i].match(c.Kind, c.Comparison, got, ctx)
		if t == True {
			result = True
			break
		}
		result = result.Or(t)
	}
	if c.Negated {
		return result.Not()
	}
	return result
}

// fixed reports whether the constraint's values do not depend on the request: no variable, nothing opaque.
func (c *Constraint) fixed() bool {
	if c.Kind == Opaque {
		return false
	}
	for i := range c.values {
		if c.values[i].template != nil {
			return false
		}
	}
	return true
}

// finite lists the only present values that can pass, if they are finitely many and known: the positive tests on exact
// values.
func (c *Constraint) finite() ([]value, bool) {
	if c.Negated || !c.fixed() {
		return nil, false
	}
	switch c.Kind {
	case String, Bool, Binary:
		return c.values, true
	case Like:
		for i := range c.values {
			if _, ok := c.values[i].glob.Literal(); !ok {
				return nil, false
			}
		}
		return c.values, true
	case ARN:
		for i := range c.values {
			if _, ok := c.values[i].pattern.Literal(); !ok {
				return nil, false
			}
		}
		return c.values, true
	case Numeric, Date:
		if c.Comparison == Equal {
			return c.values, true
		}
	case IP:
		for i := range c.values {
			if !c.values[i].prefix.IsSingleIP() {
				return nil, false
			}
		}
		return c.values, true
	}
	return nil, false
}

// enumerates reports whether the texts of c's finite values stand for every value that passes c, as far as d can tell. A
// number, an address or a date has several spellings, which only a test of the same kind takes for the same.
func (c *Constraint) enumerates(d *Constraint) bool {
	switch c.Kind {
	case String, Like, ARN:
		return true
	}
	return c.Kind == d.Kind || d.Kind == Anything
}

// withValues is c with other values of the same kind.
func (c *Constraint) withValues(values []value) *Constraint {
	n := *c
	n.values = values
	return newConstraint(n)
}

// disjoint reports whether no present value can pass both; false also where it cannot be told.
func (c *Constraint) disjoint(d *Constraint) bool {
	if c.Kind == Anything && c.Negated || d.Kind == Anything && d.Negated {
		return true
	}
	if c.Negated || d.Negated || !c.fixed() || !d.fixed() {
		return false
	}
	if c.Kind == d.Kind && (c.Kind == Numeric || c.Kind == Date) {
		return c.rangesDisjoint(d)
	}
	text := func(k Kind) bool { return k == String || k == Like || k == ARN }
	if c.Kind == IP && d.Kind == IP || text(c.Kind) && text(d.Kind) {
		for i := range c.values {
			for j := range d.values {
				if overlaps(&c.values[i], c.Kind, &d.values[j], d.Kind) {
					return false
				}
			}
		}
		return true
	}
	return false
}

// rangesDisjoint compares two one-sided or exact tests of numbers or dates. Where one side has several values (ORed) the
// widest counts.
func (c *Constraint) rangesDisjoint(d *Constraint) bool {
	for i := range c.values {
		for j := range d.values {
			if !rangePairDisjoint(c, &c.values[i], d, &d.values[j]) {
				return false
			}
		}
	}
	return true
}

func rangePairDisjoint(c *Constraint, v *value, d *Constraint, w *value) bool {
	var order int // of v against w
	if c.Kind == Numeric {
		order = compareDecimals(v.text, w.text)
	} else {
		order = v.date.Compare(w.date)
	}
	upper := func(x Comparison) bool { return x == Less || x == LessOrEqual || x == Equal }
	lower := func(x Comparison) bool { return x == Greater || x == GreaterOrEqual || x == Equal }
	strict := c.Comparison == Less || c.Comparison == Greater || d.Comparison == Less || d.Comparison == Greater
	if upper(c.Comparison) && lower(d.Comparison) && (order < 0 || order == 0 && strict) {
		return true
	}
	return lower(c.Comparison) && upper(d.Comparison) && (order > 0 || order == 0 && strict)
}

// implies reports whether every state of the key that satisfies c satisfies d; false also where it cannot be told. What is not
// understood implies itself alone; what went beyond the budget not even that, because two of them may stand for different things.
func (c *Constraint) implies(d *Constraint) bool {
	if c.id == d.id {
		return !c.beyond()
	}
	if c.lower != d.lower || c.Quantifier != d.Quantifier || c.Kind == Opaque || d.Kind == Opaque || c.Absent && !d.Absent {
		return false
	}
	if c.Kind == Anything && c.Negated || d.Kind == Anything && !d.Negated {
		return true
	}
	if (c.several || d.several) && c.Negated != d.Negated {
		return false // one value that passes says nothing of the others
	}
	if values, ok := c.finite(); ok && c.enumerates(d) {
		for i := range values {
			if d.matchValue(values[i].text, nil) != True {
				return false
			}
		}
		return true
	}
	switch {
	case c.Negated && d.Negated:
		return d.complement().implies(c.complement())
	case d.Negated: // with a variable in d, disjoint cannot tell
		return c.disjoint(d.complement())
	case c.Kind != d.Kind || c.Negated || c.Comparison != d.Comparison:
		return false
	}
	for i := range c.values {
		if !slices.ContainsFunc(d.values, func(o value) bool { return covers(&o, &c.values[i], c.Kind) }) {
			return false
		}
	}
	return true
}
