package lint

import (
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// operators are the operators that AWS documents, with what they compare.
// Source: IAM User Guide, "IAM JSON policy elements: Condition operators".
var operators = []struct {
	name string
	kind cond.Kind
}{
	{"StringEquals", cond.String}, {"StringNotEquals", cond.String},
	{"StringEqualsIgnoreCase", cond.StringFold}, {"StringNotEqualsIgnoreCase", cond.StringFold},
	{"StringLike", cond.Like}, {"StringNotLike", cond.Like},
	{"NumericEquals", cond.Numeric}, {"NumericNotEquals", cond.Numeric}, {"NumericLessThan", cond.Numeric},
	{"NumericLessThanEquals", cond.Numeric}, {"NumericGreaterThan", cond.Numeric}, {"NumericGreaterThanEquals", cond.Numeric},
	{"DateEquals", cond.Date}, {"DateNotEquals", cond.Date}, {"DateLessThan", cond.Date},
	{"DateLessThanEquals", cond.Date}, {"DateGreaterThan", cond.Date}, {"DateGreaterThanEquals", cond.Date},
	{"Bool", cond.Bool}, {"BinaryEquals", cond.Binary}, {"IpAddress", cond.IP}, {"NotIpAddress", cond.IP},
	{"ArnEquals", cond.ARN}, {"ArnLike", cond.ARN}, {"ArnNotEquals", cond.ARN}, {"ArnNotLike", cond.ARN},
	{"Null", cond.Anything},
}

// operator is an operator taken apart.
type operator struct {
	name     string // as AWS writes it, without what stands around it
	kind     cond.Kind
	set      string // ForAnyValue or ForAllValues, in these capitals; "" without
	ifExists bool
}

func (o operator) negated() bool { return strings.Contains(o.name, "Not") }

// null: the operator asks whether a key is there, and not for its value.
func (o operator) null() bool { return o.name == "Null" }

// String is the operator as AWS writes it.
func (o operator) String() string {
	s := o.name
	if o.set != "" {
		s = o.set + ":" + s
	}
	if o.ifExists {
		s += "IfExists"
	}
	return s
}

// operatorOf takes an operator apart; ok is false for one that AWS does not document.
func operatorOf(written string) (o operator, ok bool) {
	rest := strings.ToLower(written)
	for _, set := range []string{"ForAnyValue", "ForAllValues"} {
		if after, found := strings.CutPrefix(rest, strings.ToLower(set)+":"); found {
			rest, o.set = after, set
		}
	}
	if before, found := strings.CutSuffix(rest, "ifexists"); found {
		rest, o.ifExists = before, true
	}
	for _, known := range operators {
		if strings.ToLower(known.name) == rest {
			o.name, o.kind = known.name, known.kind
			return o, !o.null() || !o.ifExists && o.set == ""
		}
	}
	return o, false
}

// operatorMeant is the one operator that begins or ends an unknown one, "" where none does: for StringEqualsIfExist it is
// StringEquals.
func operatorMeant(written string) string {
	lower, best := strings.ToLower(written), ""
	if _, after, found := strings.Cut(lower, ":"); found {
		lower = after
	}
	for _, known := range operators {
		if name := strings.ToLower(known.name); strings.HasPrefix(lower, name) && len(name) > len(best) || strings.HasPrefix(name, lower) && best == "" && len(lower) > 4 {
			best = known.name
		}
	}
	return best
}

// alone reports whether a condition is the only one under its operator, so that the operator can be replaced without
// touching another key.
func (s *statement) alone(c condition) bool {
	n := 0
	for i := range s.Condition {
		if s.Condition[i].Operator.Pos == c.Operator.Pos {
			n++
		}
	}
	return n == 1
}

// has reports whether some condition of the statement stands under an operator.
func (s *statement) has(operator string) bool {
	for i := range s.Condition {
		if strings.EqualFold(s.Condition[i].Operator.Value, operator) {
			return true
		}
	}
	return false
}

// replaceOperator offers another operator, where that touches nothing else.
func (l *linter) replaceOperator(d *Diagnostic, s *statement, c condition, by string) {
	if !l.compare(2*len(s.Condition)) || !s.alone(c) || s.has(by) {
		return
	}
	at := *d
	at.Pos = c.Operator.Pos
	at.Length = literalLength(l.text, int(c.Operator.Pos.Offset))
	l.fix(&at, c.Operator.Value, by)
	d.Fix = at.Fix
}

// compiledValue is why AWS cannot read a value, "" where it can.
func compiledValue(l *linter, c condition, v policy.Text) string {
	t := cond.CompileTest(c.Operator.Value, c.Key.Value, []string{v.Value}, l.document.Variables())
	return t.NotUnderstood
}
