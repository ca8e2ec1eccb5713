package cond

import (
	"slices"

	"drawbridge/iam/arn"
)

// search looks for a state of one key that satisfies all constraints of a group; none of them is opaque, and the variables in
// their values are known to ctx.
type search struct {
	group  term
	ctx    *Context
	states int    // bound of the search for one text
	reason string // why the answer is Unknown
}

// absent reports whether absence of the key satisfies.
func (p *search) absent() bool {
	return !slices.ContainsFunc(p.group, func(c *Constraint) bool { return !c.Absent })
}

// empty reports whether the empty set of values satisfies.
func (p *search) empty() bool {
	return !slices.ContainsFunc(p.group, func(c *Constraint) bool {
		return c.Quantifier == Any || c.Quantifier == One && !c.Absent
	})
}

// present finds values that satisfy. Where every test takes several values, one value is found for each test that wants some to
// pass, and all of them pass what every value must; where one test takes one value only, one value passes all. The empty set may
// do instead.
func (p *search) present() ([]string, Truth) {
	values, truth := p.values()
	if truth != True && p.empty() {
		return nil, True
	}
	return values, truth
}

func (p *search) values() ([]string, Truth) {
	var every, some term
	single := false
	for _, c := range p.group {
		switch {
		case c.Quantifier == Any, c.several && !c.Negated:
			some = append(some, c)
		default:
			single = single || c.Quantifier == One && !c.several && c.Kind != Anything
			every = append(every, c)
		}
	}
	if single || len(some) == 0 {
		v, truth := p.value(p.group)
		return []string{v}, truth
	}
	var values []string
	result := True
	for _, c := range some {
		v, truth := p.value(append(slices.Clone(every), c))
		if truth == False {
			return nil, False
		}
		if result = result.And(truth); !slices.Contains(values, v) {
			values = append(values, v)
		}
	}
	return values, result
}

// value finds a value that passes all tests, by what they say of one present value.
func (p *search) value(tests term) (string, Truth) {
	var texts, others term
	for _, c := range tests {
		switch c.Kind {
		case Anything:
			if c.Negated {
				return "", False
			}
		case String, StringFold, Like, ARN, Bool:
			texts = append(texts, c)
		default:
			others = append(others, c)
		}
	}
	passes := func(v string) bool {
		return !slices.ContainsFunc(tests, func(c *Constraint) bool { return c.matchValue(v, p.ctx) != True })
	}
	for _, c := range texts {
		if values, ok := c.finite(); ok && c.Kind != Bool {
			for i := range values {
				if passes(values[i].text) {
					return values[i].text, True
				}
			}
			return "", False // no other text passes c
		}
	}
	for _, v := range usual(texts, others) {
		if passes(v) {
			return v, True
		}
	}
	for _, kind := range [...]Kind{Numeric, Date, Binary, IP} {
		of := slices.DeleteFunc(slices.Clone(others), func(c *Constraint) bool { return c.Kind != kind })
		if len(of) == 0 {
			continue
		}
		possible := false
		for _, v := range representatives(kind, of) {
			if passes(v) {
				return v, True
			}
			possible = possible || !slices.ContainsFunc(of, func(c *Constraint) bool { return c.matchValue(v, p.ctx) != True })
		}
		if !possible {
			return "", False
		}
	}
	v, truth := p.text(texts)
	if truth == True && !passes(v) {
		p.reason = openKinds
		return "", Unknown
	}
	return v, truth
}

// usual are values that read well, for where much is left open.
func usual(texts, others term) []string {
	if len(others) > 0 || slices.ContainsFunc(texts, func(c *Constraint) bool { return !c.Negated && c.Kind != Bool }) {
		return nil
	}
	if slices.ContainsFunc(texts, func(c *Constraint) bool { return c.Kind == Bool }) {
		return []string{"true", "false", "other"}
	}
	return []string{"other"}
}

// text finds a text that passes tests that compare texts.
func (p *search) text(tests term) (string, Truth) {
	var in, out []arn.Matcher
	for _, c := range tests {
		some := make([]arn.Matcher, len(c.values))
		for i := range c.values {
			some[i] = c.values[i].matcher(c.Kind, p.ctx)
		}
		if c.Negated {
			out = append(out, some...)
		} else {
			in = append(in, arn.AnyOf(some...))
		}
	}
	text, found, exhausted := arn.Example(in, out, p.states)
	switch {
	case found:
		return text, True
	case exhausted:
		p.reason = openText
		return "", Unknown
	}
	return "", False
}

// standing are the characters that an expanded template carries for wildcard characters of a value.
var standing = map[rune]rune{rune(literalStar[0]): '*', rune(literalQuestion[0]): '?'}

// matcher is the set of texts that the value matches as a kind of text.
func (v *value) matcher(kind Kind, ctx *Context) arn.Matcher {
	text, expanded := v.text, false
	if v.template != nil {
		var state State
		if text, state = v.template.Expand(ctx); state == Absent {
			return arn.Matcher{} // nothing is equal to it or like it (rule 76)
		}
		expanded = true
	}
	if expanded && (kind == String || kind == StringFold) {
		text = unescape.Replace(text)
	}
	var m arn.Matcher
	switch kind {
	case Like:
		m = arn.GlobMatcher(text)
	case ARN:
		m = arn.PatternMatcher(text)
	case StringFold, Bool:
		return arn.FoldMatcher(text)
	default:
		return arn.TextMatcher(text)
	}
	if expanded && escaped(text) {
		return m.Standing(standing)
	}
	return m
}
