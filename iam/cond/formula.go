package cond

import (
	"slices"
	"strings"
)

// Formula is a condition in normal form: a union of conjunctions of constraints. The zero value is Never, the empty union;
// Always is the union of one empty conjunction. Formulas are immutable values.
//
// Normal form means: inside a conjunction, constraints on one key are merged where that is exact, what another implies
// is dropped, and a contradiction removes the conjunction; between conjunctions, what another covers is dropped and two
// that differ in one value list become one; everything is sorted. Two equal formulas of literal values therefore print
// the same.
type Formula struct {
	terms []term
}

// term is a conjunction, sorted by key.
type term []*Constraint

// maxTerms bounds a union. What would exceed it becomes one opaque constraint: Unknown, and it says so.
const maxTerms = 96

// Always holds in every context.
func Always() Formula { return Formula{terms: always} }

// always is shared by all formulas that hold always, so that answering Allow costs no memory.
var always = []term{{}}

// Never holds in none.
func Never() Formula { return Formula{} }

// NotUnderstood is a formula that nothing decides; reason is printed.
func NotUnderstood(reason string) Formula {
	return conjunction([]*Constraint{newConstraint(Constraint{Kind: Opaque, values: []value{{text: reason}}})})
}

// Demand is the formula of one constraint on one key: that it has one of the values, compared without wildcards.
func Demand(key string, values ...string) Formula {
	return demand(key, String, values)
}

// DemandARN is Demand with values compared as ARN patterns.
func DemandARN(key string, patterns ...string) Formula {
	return demand(key, ARN, patterns)
}

// DemandLike is Demand with values compared as wildcard patterns.
func DemandLike(key string, patterns ...string) Formula {
	return demand(key, Like, patterns)
}

func demand(key string, kind Kind, values []string) Formula {
	c := Constraint{Key: key, Kind: kind}
	for _, s := range values {
		v, _ := compileValue(kind, s, false) // text and ARN patterns compile always
		c.values = append(c.values, v)
	}
	return conjunction([]*Constraint{newConstraint(c)})
}

// IsAlways reports whether f is the constant that holds in every context. A formula that holds always and is not seen to, for
// example because part of it is not understood, is not.
func (f Formula) IsAlways() bool { return len(f.terms) == 1 && len(f.terms[0]) == 0 }

// IsNever reports whether f is the constant that holds in no context.
func (f Formula) IsNever() bool { return len(f.terms) == 0 }

// Alternatives iterates over the conjunctions; each is a list of constraints in order of key, not to be changed.
func (f Formula) Alternatives(yield func([]*Constraint) bool) {
	for _, t := range f.terms {
		if !yield(t) {
			return
		}
	}
}

// Equal reports whether two formulas have the same normal form.
func (f Formula) Equal(g Formula) bool {
	return slices.EqualFunc(f.terms, g.terms, func(a, b term) bool {
		return slices.EqualFunc(a, b, func(c, d *Constraint) bool { return c.id == d.id })
	})
}

// Eval decides the formula in a context.
func (f Formula) Eval(ctx *Context) Truth {
	result := False
	for _, t := range f.terms {
		all := True
		for _, c := range t {
			all = all.And(c.Eval(ctx))
		}
		result = result.Or(all)
	}
	return result
}

// And holds where both hold.
func (f Formula) And(g Formula) Formula {
	switch {
	case f.IsNever() || g.IsAlways():
		return f
	case g.IsNever() || f.IsAlways():
		return g
	}
	if len(f.terms)*len(g.terms) > maxTerms*maxTerms {
		return tooMany()
	}
	var terms []term
	for _, t := range f.terms {
		for _, u := range g.terms {
			if merged, ok := simplify(slices.Concat(t, u)); ok {
				terms = append(terms, merged)
			}
		}
	}
	return union(terms)
}

// Or holds where one holds.
func (f Formula) Or(g Formula) Formula {
	switch {
	case f.IsAlways() || g.IsNever():
		return f
	case g.IsAlways() || f.IsNever():
		return g
	}
	return union(slices.Concat(f.terms, g.terms))
}

// Not holds exactly where f does not.
func (f Formula) Not() Formula {
	result := Always()
	for _, t := range f.terms {
		negated := make([]term, len(t))
		for i, c := range t {
			negated[i] = term{c.complement()}
		}
		result = result.And(union(negated))
	}
	return result
}

// tooMany stands for a union beyond the bound.
func tooMany() Formula { return NotUnderstood(beyondBudget) }

const beyondBudget = "more alternatives than are worked out"

// beyond: the constraint stands for a union beyond the bound.
func (c *Constraint) beyond() bool {
	return c.Kind == Opaque && c.Key == "" && len(c.values) == 1 && c.values[0].text == beyondBudget
}

// conjunction is the formula of one conjunction.
func conjunction(constraints []*Constraint) Formula {
	t, ok := simplify(constraints)
	if !ok {
		return Never()
	}
	return Formula{terms: []term{t}}
}

// simplify brings a conjunction into normal form; ok is false where it can never hold.
func simplify(constraints []*Constraint) (t term, ok bool) {
	t = slices.Clone(constraints)
	slices.SortFunc(t, func(a, b *Constraint) int { return strings.Compare(a.id, b.id) })
	t = slices.CompactFunc(t, func(a, b *Constraint) bool { return a.id == b.id })
	out := make(term, 0, len(t))
	for i := 0; i < len(t); {
		j := i + 1
		for j < len(t) && t[j].lower == t[i].lower {
			j++
		}
		group, ok := simplifyKey(t[i:j])
		if !ok {
			return nil, false
		}
		out = append(out, group...)
		i = j
	}
	return out, true
}

// simplifyKey merges the constraints on one key.
func simplifyKey(group term) (term, bool) {
	if len(group) == 1 {
		c := group[0]
		switch c.constant() {
		case True:
			if c.Kind != Opaque {
				return nil, true
			}
		case False:
			return nil, false
		}
		return group, true
	}
	var single, rest term
	for _, c := range group {
		if c.Quantifier == One && c.Kind != Opaque && !c.several {
			single = append(single, c)
		} else {
			rest = append(rest, c)
		}
	}
	for i, c := range group {
		for _, d := range group[i+1:] {
			if c.Kind != Opaque && c.complement().id == d.id {
				return nil, false
			}
		}
	}
	for _, c := range single {
		if c.Kind == Anything && c.Negated { // only where the key is absent
			return group.absent(c)
		}
	}
	single, ok := simplifySingle(single)
	if !ok {
		return nil, false
	}
	out, ok := slices.Concat(single, rest).searched()
	if !ok {
		return nil, false
	}
	slices.SortFunc(out, func(a, b *Constraint) int { return strings.Compare(a.id, b.id) })
	return out, true
}

// absent is t, constraints on one key of which one says that it is absent.
func (t term) absent(only *Constraint) (term, bool) {
	out := term{only}
	for _, c := range t {
		switch {
		case c.Kind == Opaque:
			out = append(out, c)
		case !c.Absent:
			return nil, false
		}
	}
	slices.SortFunc(out, func(a, b *Constraint) int { return strings.Compare(a.id, b.id) })
	return out, true
}

// searched is t, constraints on one key, after a search for a value that passes them all: what pairs of constraints do not
// show, three may. Only where something is asked of a present value can there be none.
func (t term) searched() (term, bool) {
	if len(t) < 2 || !slices.ContainsFunc(t, func(c *Constraint) bool { return !c.Negated && c.Kind != Opaque }) {
		return t, true
	}
	p := search{group: t.understood().without(unknown), ctx: unknown, states: normalStates}
	absent := p.absent()
	exact := len(p.group) == len(t) && !slices.ContainsFunc(p.group, func(c *Constraint) bool { return c.Quantifier != One || !c.fixed() })
	if absent && !exact {
		return t, true
	}
	switch _, truth := p.present(); {
	case truth != False:
		return t, true
	case absent:
		return term{newConstraint(Constraint{Key: t[0].Key, Absent: true, Negated: true})}, true
	}
	return nil, false
}

// simplifySingle merges constraints on one key with one value.
func simplifySingle(group term) (term, bool) {
	if len(group) == 0 {
		return nil, true
	}
	absent := true // absence satisfies all
	for _, c := range group {
		absent = absent && c.Absent
	}
	onlyAbsent := func() (term, bool) {
		if !absent {
			return nil, false
		}
		return term{newConstraint(Constraint{Key: group[0].Key, Absent: true, Negated: true})}, true
	}
	for i, c := range group {
		for _, d := range group[i+1:] {
			if c.disjoint(d) {
				return onlyAbsent()
			}
		}
	}
	// Exact values are filtered by everything else that is known about the key.
	for i, c := range group {
		values, ok := c.finite()
		if !ok || slices.ContainsFunc(group, func(d *Constraint) bool { return d.fixed() && !c.enumerates(d) }) {
			continue
		}
		var kept []value
		var open term // constraints that cannot be decided on a value alone
		for _, v := range values {
			passes := true
			for j, d := range group {
				if j != i && d.fixed() && d.matchValue(v.text, nil) != True {
					passes = false
					break
				}
			}
			if passes {
				kept = append(kept, v)
			}
		}
		for _, d := range group {
			if !d.fixed() {
				open = append(open, d)
			}
		}
		if len(kept) == 0 {
			return onlyAbsent()
		}
		n := *c
		n.Absent, n.values = absent, kept
		return append(term{newConstraint(n)}, open...), true
	}
	var out term
	for i, c := range group {
		implied := false
		for j, d := range group {
			if i != j && d.implies(c) && (!c.implies(d) || j < i) {
				implied = true
				break
			}
		}
		if !implied {
			out = append(out, c)
		}
	}
	return out, true
}

// union brings a union of simplified conjunctions into normal form.
func union(terms []term) Formula {
	terms = slices.Clone(terms)
	for changed := true; changed; {
		changed = false
		sortTerms(terms)
		terms = slices.CompactFunc(terms, func(a, b term) bool { return compareTerms(a, b) == 0 })
		if len(terms) > maxTerms {
			return tooMany()
		}
		terms = absorb(terms)
	merging:
		for i := range terms {
			for j := i + 1; j < len(terms); j++ {
				if merged, ok := mergeTerms(terms[i], terms[j]); ok {
					terms = slices.Delete(terms, j, j+1)
					terms[i] = merged
					changed = true
					break merging
				}
			}
		}
	}
	return Formula{terms: terms}
}

func sortTerms(terms []term) { slices.SortFunc(terms, compareTerms) }

func compareTerms(a, b term) int {
	return slices.CompareFunc(a, b, func(c, d *Constraint) int { return strings.Compare(c.id, d.id) })
}

// absorb drops every conjunction that another one covers.
func absorb(terms []term) []term {
	var out []term
	for i, t := range terms {
		covered := false
		for j, u := range terms {
			if i != j && t.implies(u) && (!u.implies(t) || j < i) {
				covered = true
				break
			}
		}
		if !covered {
			out = append(out, t)
		}
	}
	return out
}

// implies reports whether t is certain to hold only where u does.
func (t term) implies(u term) bool {
	for _, d := range u {
		if !slices.ContainsFunc(t, func(c *Constraint) bool { return c.implies(d) }) {
			return false
		}
	}
	return true
}

// mergeTerms makes one conjunction of two that differ in one constraint, where that is exact: two value lists of one
// test are ORed, and a constraint with its complement is none.
func mergeTerms(t, u term) (term, bool) {
	if len(t) != len(u) {
		return nil, false
	}
	at := -1
	for i := range t {
		if t[i].id == u[i].id {
			continue
		}
		if at >= 0 {
			return nil, false
		}
		at = i
	}
	if at < 0 {
		return t, true
	}
	c, d := t[at], u[at]
	if c.lower != d.lower || c.Kind == Opaque || d.Kind == Opaque {
		return nil, false
	}
	without := slices.Delete(slices.Clone(t), at, at+1)
	if c.complement().id == d.id {
		return without, true
	}
	if c.Quantifier != d.Quantifier || c.Quantifier == All || c.Kind != d.Kind || c.Comparison != d.Comparison || c.Negated || d.Negated || c.Absent != d.Absent {
		return nil, false
	}
	if c.Comparison != Equal {
		return nil, false
	}
	merged, ok := simplify(append(without, c.withValues(slices.Concat(c.values, d.values))))
	return merged, ok
}
