package cond

import (
	"slices"
	"strings"
)

// Requirement is what a formula demands of one key at its loosest: a union is as strong as its weakest alternative, a
// list of values as its widest value. It is what a rule asks in order to judge a condition by its meaning.
type Requirement struct {
	// Tested: some alternative says something about the key. Always: every alternative does.
	Tested, Always bool
	// Absent: some alternative holds without the key.
	Absent bool
	// Open: some alternative accepts any present value, or any but a few.
	Open bool
	// Values are the exact values accepted by the alternatives that accept only such, in order, without duplicates.
	Values []string
	// Patterns are the patterns, blocks and ranges accepted by the other alternatives, as printed ("repo:acme/*").
	Patterns []string
	// Variable: some accepted value depends on the request itself (a policy variable).
	Variable bool
	// Opaque: some test on the key, or a test without a key, is not understood.
	Opaque bool
	// Quantified: some alternative tests the key with ForAllValues or ForAnyValue.
	Quantified bool
}

// Exact reports whether the key must be present with one of a few known values, in every alternative.
func (r Requirement) Exact() bool {
	return r.Always && !r.Absent && !r.Open && !r.Variable && !r.Opaque && len(r.Patterns) == 0 && len(r.Values) > 0
}

// Require computes the requirement on a key, given in any case.
func (f Formula) Require(key string) Requirement {
	lower := strings.ToLower(key)
	r := Requirement{Always: len(f.terms) > 0}
	for _, t := range f.terms {
		r.add(t, lower)
	}
	slices.Sort(r.Values)
	r.Values = slices.Compact(r.Values)
	slices.Sort(r.Patterns)
	r.Patterns = slices.Compact(r.Patterns)
	return r
}

// add takes one alternative in.
func (r *Requirement) add(t term, lower string) {
	absent, bounded, tested := true, false, false
	for _, c := range t {
		if c.Kind == Opaque && (c.lower == lower || c.lower == "") {
			r.Opaque = true
		}
		if c.lower != lower {
			continue
		}
		tested = true
		absent = absent && c.Absent
		r.Quantified = r.Quantified || c.Quantifier != One
		if c.Kind == Opaque || c.Negated || c.Kind == Anything {
			bounded = bounded || c.Kind == Anything && c.Negated // no present value passes at all
			continue
		}
		bounded = true
		r.addValues(c)
	}
	r.Tested = r.Tested || tested
	r.Always = r.Always && tested
	r.Absent = r.Absent || absent
	r.Open = r.Open || !bounded
}

func (r *Requirement) addValues(c *Constraint) {
	for i := range c.values {
		v := &c.values[i]
		switch {
		case v.template != nil:
			r.Variable = true
			r.Patterns = append(r.Patterns, v.text)
		case exactValue(c, v):
			r.Values = append(r.Values, v.text)
		default:
			r.Patterns = append(r.Patterns, v.text)
			if c.Kind == Like && v.glob.Anything() || c.Kind == ARN && v.pattern.Anything() || c.Kind == IP && v.prefix.Bits() == 0 {
				r.Open = true
			}
		}
	}
}

func exactValue(c *Constraint, v *value) bool {
	switch c.Kind {
	case String, StringFold, Bool, Binary:
		return true
	case Like:
		_, ok := v.glob.Literal()
		return ok
	case ARN:
		_, ok := v.pattern.Literal()
		return ok
	case Numeric, Date:
		return c.Comparison == Equal
	case IP:
		return v.prefix.IsSingleIP()
	}
	return false
}

// Tests lists the keys that the formula says anything about, in lower case, in order, without duplicates.
func (f Formula) Tests() []string {
	var keys []string
	for _, t := range f.terms {
		for _, c := range t {
			if c.lower != "" {
				keys = append(keys, c.lower)
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Opaque reports whether some part of the formula is not understood.
func (f Formula) Opaque() bool {
	for _, t := range f.terms {
		if slices.ContainsFunc(t, func(c *Constraint) bool { return c.Kind == Opaque }) {
			return true
		}
	}
	return false
}
