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
	variables  bool // some value carries a variable
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
		t.variables = t.variables || v.template != nil
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
func (t *Test) Eval(ctx *Context) Truth {
	if t.variables {
		switch t.resolved(ctx) {
		case False:
			return False // rule 76, whatever the operator
		case Unknown:
			return t.constraint.Eval(ctx).And(Unknown)
		}
	}
	return t.constraint.Eval(ctx)
}

// resolved says whether every variable in the values has a value or a default.
func (t *Test) resolved(ctx *Context) Truth {
	result := True
	for i := range t.constraint.values {
		if tpl := t.constraint.values[i].template; tpl != nil {
			result = result.And(tpl.resolved(ctx))
		}
	}
	return result
}

// demandVariables appends what rule 76 demands of the variables in the test's values that are not known: that each is in the
// request, whatever the operator says.
func (t *Test) demandVariables(terms []*Constraint, ctx *Context) []*Constraint {
	if !t.variables {
		return terms
	}
	for i := range t.constraint.values {
		tpl := t.constraint.values[i].template
		if tpl == nil {
			continue
		}
		for j := range tpl.parts {
			if p := &tpl.parts[j]; p.resolved(ctx) == Unknown {
				terms = append(terms, newConstraint(Constraint{Key: p.name, Kind: Anything}))
			}
		}
	}
	return terms
}

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
			terms = b[i].demandVariables(terms, ctx)
		}
	}
	return conjunction(terms)
}

// resolve puts the variables whose values are known into the constraint, so that what is left over reads plainly.
func (c *Constraint) resolve(ctx *Context) *Constraint {
	if c.fixed() || c.Kind == Opaque {
		return c
	}
	values := make([]value, len(c.values))
	copy(values, c.values)
	for i := range values {
		if values[i].template == nil {
			continue
		}
		expanded, state := values[i].template.Expand(ctx)
		if state != Present || escaped(expanded) {
			continue
		}
		if v, err := compileValue(c.Kind, expanded, false); err == nil {
			values[i] = v
		}
	}
	return c.withValues(values)
}
