package lint

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// check is a record and how it looks: at the document, at each statement, or at each key of a condition.
type check struct {
	Record
	document  func(*linter)
	statement func(*linter, *statement)
	condition func(*linter, *statement, condition)
}

// linter is one document under check.
type linter struct {
	document   *policy.Document
	compiled   *policy.Policy
	kind       policy.Kind
	text       string
	statements []statement
	check      *check
	found      []Diagnostic
	lookups    int // in tables, so far
	compared   int // values with each other, so far
}

// mostLookups bounds the searches through whole tables. Beyond it, the checks that
// look things up are silent; a policy that AWS takes stays below unless it is made to exceed it.
const mostLookups = 20000

// lookup reports whether there may be one more search, of a weight that says how much it looks through.
func (l *linter) lookup(weight int) bool {
	l.lookups += weight
	return l.lookups <= mostLookups
}

// is reports whether the document is of one of some kinds.
func (l *linter) is(kinds ...policy.Kind) bool { return slices.Contains(kinds, l.kind) }

// mostCompared bounds comparisons of all values of an element with each other: hostile text has many. Beyond it, the checks
// that compare are silent.
const mostCompared = 1 << 20

// compare reports whether so many more values may be compared.
func (l *linter) compare(n int) bool {
	l.compared += n
	return l.compared <= mostCompared
}

// statement is a statement as written and as compiled.
type statement struct {
	*policy.Statement
	rule    *policy.Rule
	index   int
	formula *cond.Formula // of the condition, once it is asked for
}

// understood: nothing in the statement is unknown to the engine, so that what it covers is certain.
func (s *statement) understood() bool {
	if s.rule.NotUnderstood != "" {
		return false
	}
	for i := range s.rule.Condition {
		if s.rule.Condition[i].NotUnderstood != "" {
			return false
		}
	}
	for i := range s.rule.Principals.Values {
		if s.rule.Principals.Values[i].Form == policy.UnknownForm {
			return false
		}
	}
	return true
}

// condition is one key under one operator, with its statement.
type condition struct {
	*policy.Condition
	of *statement
}

// place is what a diagnostic is about.
type place struct {
	pos       policy.Position
	statement int
	path      string
	isValue   bool // pos is that of a string, which a fix can replace
}

func statementPath(i int) string { return fmt.Sprintf("Statement[%d]", i) }

// whole is the statement itself.
func (s *statement) whole() place {
	return place{pos: s.Pos, statement: s.index, path: statementPath(s.index)}
}

// value is a value of an element, by its index among so many.
func (s *statement) value(element string, t policy.Text, i, of int) place {
	path := statementPath(s.index) + "." + element
	if of > 1 {
		path = fmt.Sprintf("%s[%d]", path, i)
	}
	return place{t.Pos, s.index, path, true}
}

// name is an element by its name.
func (s *statement) name(element string, pos policy.Position) place {
	return place{pos: pos, statement: s.index, path: statementPath(s.index) + "." + element}
}

// named is the name of an element and of its negation.
func named(not bool, element string) string {
	if not {
		return "Not" + element
	}
	return element
}

func (s *statement) action(i int) place {
	return s.value(named(s.Action.Not, "Action"), s.Action.Values[i], i, len(s.Action.Values))
}

func (s *statement) resource(i int) place {
	return s.value(named(s.Resource.Not, "Resource"), s.Resource.Values[i], i, len(s.Resource.Values))
}

func (s *statement) principal(i int) place {
	v := s.Principal.Values[i]
	element := named(s.Principal.Not, "Principal")
	if v.Type != policy.AnyPrincipal {
		element += "." + v.Type.String()
	}
	return s.value(element, v.Text, i, len(s.Principal.Values))
}

func (c condition) operator() place {
	return c.of.value("Condition."+c.Operator.Value, c.Operator, 0, 1)
}

func (c condition) key() place {
	return c.of.value("Condition."+c.Operator.Value+"."+c.Key.Value, c.Key, 0, 1)
}

func (c condition) value(i int) place {
	return c.of.value("Condition."+c.Operator.Value+"."+c.Key.Value, c.Values[i], i, len(c.Values))
}

// report adds a diagnostic.
func (l *linter) report(at place, format string, args ...any) *Diagnostic {
	d := Diagnostic{
		ID: l.check.ID, Severity: l.check.Severity, Pos: at.pos, Statement: at.statement, Path: at.path, Message: fmt.Sprintf(format, args...),
	}
	if at.isValue {
		d.Length = literalLength(l.text, int(at.pos.Offset))
	}
	l.found = append(l.found, d)
	return &l.found[len(l.found)-1]
}

// fix offers another text for the string that the diagnostic is about. Where the text is not known to hold that string,
// as with a document that came URL-encoded, there is none to offer.
func (l *linter) fix(d *Diagnostic, old, replacement string) {
	offset := int(d.Pos.Offset)
	var written string
	if d.Length == 0 || json.Unmarshal([]byte(l.text[offset:offset+d.Length]), &written) != nil || written != old {
		return
	}
	d.Fix = &Fix{Offset: offset, Length: d.Length, Text: quote(replacement), What: "write " + quote(replacement)}
}

// quote writes a JSON string, with <, > and & as they are.
func quote(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// literalLength is the length of the JSON string at an offset, quotes included; 0 where none stands there.
func literalLength(text string, offset int) int {
	if offset < 0 || offset >= len(text) || text[offset] != '"' {
		return 0
	}
	for i := offset + 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1 - offset
		}
	}
	return 0
}
