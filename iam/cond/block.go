package cond

import (
	"fmt"
	"strings"
)

// Block is a compiled Condition element: every test must hold (rule 55). An empty block always holds.
type Block []Test

// Test is one key under one operator.
type Test struct {
	Operator string // as written
	Key      string // as written
	// NotUnderstood is why the test cannot be evaluated, "" where it can. Such a test is Unknown.
	NotUnderstood string

	constraint *Constraint
}

// CompileTest compiles one entry of a Condition element. It never fails: what it does not understand becomes a test that
// is Unknown and says why. Variables says whether ${…} in the values is a variable (rule 78).
func CompileTest(name, key string, values []string, variables bool) Test {
	return CompileTestUnder(0, name, key, values, variables)
}

// CompileTestUnder is CompileTest with some readings taken the other way.
func CompileTestUnder(other Readings, name, key string, values []string, variables bool) Test {
	t := Test{Operator: name, Key: key}
	opaque := func(format string, args ...any) Test {
		t.NotUnderstood = fmt.Sprintf(format, args...)
		c := Constraint{Key: key, Kind: Opaque, values: make([]value, 0, len(values))}
		text := name
		for _, v := range values {
			text += " " + v
		}
		c.values = append(c.values, value{text: text})
		t.constraint = newConstraint(c)
		return t
	}
	op, quant, ifExists, ok := parseOperator(name)
	if !ok {
		return opaque("condition operator %q is not known", name)
	}
	if op.kind == Bool && other.Has(BoolCase) {
		op.kind = String
	}
	c := Constraint{Key: key, Quantifier: quant, Kind: op.kind, Comparison: op.compare, Negated: op.negated}
	if op.null {
		if quant != One {
			return opaque("condition operator %q is not known", name)
		}
		return t.compileNull(c, values, opaque)
	}
	switch quant {
	case One:
		c.Absent = op.negated || ifExists // rules 60 to 62
	case Any:
		c.Absent = ifExists && other.Has(AnyValueIfExists) // rule 65
	case All:
		c.Absent = true // rule 64
	}
	c.exactNumbers = op.kind == Numeric && other.Has(UnparsableNumber)
	c.several = quant == One && other.Has(ManyValues)
	for _, s := range values {
		if op.kind == IP && other.Has(BareIPv6) && strings.Contains(s, ":") && !strings.Contains(s, "/") {
			return opaque("value of %s: %q is an IPv6 address without prefix length", key, s)
		}
		v, err := compileValue(op.kind, s, variables)
		if err != nil {
			return opaque("value of %s: %v", key, err)
		}
		c.values = append(c.values, v)
	}
	t.constraint = newConstraint(c)
	return t
}

// compileNull makes the constraint of Null: true asks for absence, false for presence (rule 63).
func (t Test) compileNull(c Constraint, values []string, opaque func(string, ...any) Test) Test {
	wantsAbsent, wantsPresent := false, false
	for _, s := range values {
		switch s {
		case "true", "True", "TRUE":
			wantsAbsent = true
		case "false", "False", "FALSE":
			wantsPresent = true
		default:
			return opaque("value of Null for %s: %q is neither true nor false", c.Key, s)
		}
	}
	c.Absent, c.Negated = wantsAbsent, !wantsPresent
	t.constraint = newConstraint(c)
	return t
}

// Constraint is what the test demands, as a value that formulas hold.
func (t *Test) Constraint() *Constraint { return t.constraint }

// Eval decides the test in a context.
func (t *Test) Eval(ctx *Context) Truth { return t.constraint.Eval(ctx) }

// Eval decides the block: False as soon as one test is false, Unknown if some test is.
func (b Block) Eval(ctx *Context) Truth {
	result := True
	for i := range b {
		switch b[i].Eval(ctx) {
		case False:
			return False
		case Unknown:
			result = Unknown
		}
	}
	return result
}

// LeftOver is what must still be true for the block to hold, given what ctx knows: Always where it holds already, Never
// where it cannot.
func (b Block) LeftOver(ctx *Context) Formula {
	var terms []*Constraint
	for i := range b {
		switch b[i].Eval(ctx) {
		case False:
			return Never()
		case Unknown:
			terms = append(terms, b[i].constraint.resolve(ctx))
		}
	}
	return conjunction(terms)
}

// resolve puts the variables whose values are known into the constraint, so that what is left over reads plainly. A value with a
// variable that is known to have none is left out: nothing is equal to it or like it (rule 76).
func (c *Constraint) resolve(ctx *Context) *Constraint {
	if c.fixed() || c.Kind == Opaque {
		return c
	}
	values := make([]value, 0, len(c.values))
	for _, v := range c.values {
		if v.template != nil {
			expanded, state := v.template.Expand(ctx)
			if state == Absent {
				continue
			}
			if state == Present && !escaped(expanded) {
				if known, err := compileValue(c.Kind, expanded, false); err == nil {
					v = known
				}
			}
		}
		values = append(values, v)
	}
	if len(values) == 0 { // no value is equal to any of them
		n := *c
		n.Kind, n.Negated = Anything, !c.Negated
		return n.withValues(nil)
	}
	return c.withValues(values)
}
