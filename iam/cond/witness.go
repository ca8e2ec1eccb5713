package cond

import (
	"strings"
	"time"
)

// Witness adds to ctx, for some alternative of the formula, values under which the formula holds, and reports whether it
// found any. Keys that are better left out are set absent. A false answer does not prove that there is none: patterns
// that need a search, variables and what is not understood are not tried.
func (f Formula) Witness(ctx *Context) bool {
	for _, t := range f.terms {
		trial := &Context{Parent: ctx}
		if t.witness(trial) && f.Eval(trial) == True {
			for _, k := range trial.keys {
				ctx.put(k.shown, k.state, k.values)
			}
			return true
		}
	}
	return false
}

// witness chooses a state for each key of the conjunction.
func (t term) witness(ctx *Context) bool {
	for i := 0; i < len(t); {
		j := i
		for j < len(t) && t[j].lower == t[i].lower {
			j++
		}
		if !witnessKey(t[i:j], ctx) {
			return false
		}
		i = j
	}
	return true
}

// witnessKey tries the candidates that the constraints on one key suggest, then absence.
func witnessKey(group term, ctx *Context) bool {
	holds := func() bool {
		for _, c := range group {
			if c.Eval(ctx) != True {
				return false
			}
		}
		return true
	}
	for _, c := range group {
		for _, candidate := range c.candidates() {
			ctx.Set(c.Key, candidate)
			if holds() {
				return true
			}
		}
	}
	ctx.SetAbsent(group[0].Key)
	return holds()
}

// candidates are values that the constraint suggests.
func (c *Constraint) candidates() []string {
	if c.Kind == Opaque || c.Kind == Anything && c.Negated {
		return nil
	}
	if c.Negated || c.Kind == Anything {
		return []string{"other", "true", "false", "0", "192.0.2.1", "2001:db8::1", "1970-01-01T00:00:00Z", "arn:aws:iam::000000000000:role/other"}
	}
	var out []string
	for i := range c.values {
		v := &c.values[i]
		if v.template != nil {
			continue
		}
		switch c.Kind {
		case Like, ARN:
			out = append(out, Example(v.text))
		case IP:
			out = append(out, v.prefix.Addr().String())
		case Numeric:
			out = append(out, nearNumber(v.text, c.Comparison))
		case Date:
			out = append(out, nearDate(v.date, c.Comparison))
		default:
			out = append(out, v.text)
		}
	}
	return out
}

// Example is a string that a wildcard pattern matches: each "*" and "?" becomes "x", except where an account id or a
// region stands in an ARN.
func Example(pattern string) string {
	fields := strings.SplitN(pattern, ":", 6)
	if len(fields) == 6 && fields[0] == "arn" {
		if fields[1] == "*" {
			fields[1] = "aws"
		}
		if fields[3] == "*" {
			fields[3] = "us-east-1"
		}
		if fields[4] == "*" {
			fields[4] = "111122223333"
		}
		pattern = strings.Join(fields, ":")
	}
	return strings.NewReplacer("*", "x", "?", "x").Replace(pattern)
}

func nearNumber(s string, c Comparison) string {
	switch c {
	case Greater:
		if strings.HasPrefix(s, "-") {
			return "0"
		}
		return "1" + strings.Repeat("0", len(strings.TrimLeft(s, "+")))
	case Less:
		if strings.HasPrefix(s, "-") {
			return "-1" + strings.Repeat("0", len(s))
		}
		return "-1"
	}
	return s
}

func nearDate(d time.Time, c Comparison) string {
	switch c {
	case Less:
		d = d.Add(-time.Second)
	case Greater:
		d = d.Add(time.Second)
	}
	return d.UTC().Format(time.RFC3339)
}
