package cond

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
)

// variables are the variables in the values of t whose keys are not known, by key, in order.
func (s *solver) variables(t term) []part {
	var all []part
	for _, c := range t {
		for i := range c.values {
			if c.values[i].template == nil {
				continue
			}
			for _, p := range c.values[i].template.parts {
				if p.variable != "" && s.free(p.variable) && !slices.ContainsFunc(all, func(q part) bool { return q.variable == p.variable }) {
					all = append(all, p)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b part) int { return strings.Compare(a.variable, b.variable) })
	return all
}

// try gives the variables values one after the other, until the conjunction holds or enough has been tried.
func (s *solver) try(t term, variables []part, trials *int) bool {
	if len(variables) == 0 {
		*trials++
		chosen := s.ctx
		s.ctx = &Context{Parent: s.known, keys: slices.Clone(chosen.keys)}
		if s.keys(t) == True && t.holds(s.ctx) {
			return true
		}
		s.ctx = chosen
		return false
	}
	v := variables[0]
	for _, candidate := range s.candidates(t, v) {
		if *trials >= maxTrials {
			return false
		}
		s.ctx.Set(v.name, candidate)
		if s.try(t, variables[1:], trials) {
			return true
		}
	}
	s.ctx.SetAbsent(v.name)
	return *trials < maxTrials && s.try(t, variables[1:], trials)
}

// candidates are values for a variable: what the tests on its own key ask for, the values that known keys have and that the
// conjunction writes out, and one of its own.
func (s *solver) candidates(t term, v part) []string {
	var out []string
	for group := range t.byKey {
		lower := group[0].lower
		if lower == v.variable {
			p := search{group: group.understood().without(s.ctx), ctx: s.ctx, states: normalStates}
			if values, truth := p.present(); truth == True && len(values) == 1 {
				out = append(out, values[0])
			}
		}
		if state, values := s.ctx.Lookup(lower); state == Present {
			out = append(out, values...)
		}
		for _, c := range group {
			for i := range c.values {
				switch v := &c.values[i]; {
				case v.template != nil || c.Kind == Opaque:
				case c.Kind == Like || c.Kind == ARN:
					out = append(out, arn.Fill(v.text))
				default:
					out = append(out, v.text)
				}
			}
		}
	}
	return append(out, "x")
}

func (t term) holds(ctx *Context) bool {
	return !slices.ContainsFunc(t, func(c *Constraint) bool { return c.Eval(ctx) != True })
}
