package policy

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSize bounds the text of a document, in bytes. AWS's largest policies have 20 kB; this leaves room for white space and
// for URL encoding.
const maxSize = 1 << 20

// maxProblems bounds what is reported of one document: hostile text has a problem every other byte.
const maxProblems = 1000

// Parse reads a document. It reports every problem that it finds, in order of position; a Fatal one means that the document
// must not be evaluated. A problem inside a statement makes that statement not understood, and the others stay good. The
// document is nil where nothing can be made of the text: no JSON, or no object.
//
// A text that is URL-encoded, as IAM's API returns documents, is decoded first; positions then count in the decoded text.
func Parse(text []byte) (*Document, []Problem) {
	start := Position{Line: 1, Column: 1}
	if len(text) > maxSize {
		return nil, []Problem{{Pos: start, Message: fmt.Sprintf("a document of %d bytes is no policy (at most %d are read)", len(text), maxSize), Fatal: true}}
	}
	source, broken := decode(string(text))
	if broken >= 0 {
		return nil, []Problem{{Pos: positionOf(source, broken), Message: fmt.Sprintf("the text begins like a URL-encoded document and is not one: invalid URL escape %q", source[broken:min(broken+3, len(source))]), Fatal: true}}
	}
	if i := invalidUTF8(source); i >= 0 {
		return nil, []Problem{{Pos: positionOf(source, i), Message: "the text is not UTF-8", Fatal: true}}
	}
	root, problems, syntax := scan(source)
	p := &parser{source: source, problems: problems, scanned: len(problems)}
	if syntax != nil {
		p.problems = append(p.problems, Problem{Pos: syntax.pos, Message: syntax.message, Fatal: true})
		return nil, p.reported()
	}
	d := p.document(&root)
	return d, p.reported()
}

// decode undoes URL encoding where the text carries it: in JSON no percent sign stands at the beginning or behind the
// opening brace. A plus sign stays one, because IAM writes a space as %20. Broken is the offset of a percent sign that
// begins no byte, -1 where there is none; the text is then returned as it was.
func decode(text string) (decoded string, broken int) {
	begin := strings.TrimLeft(strings.TrimPrefix(text, byteOrderMark), " \t\r\n")
	begin = strings.TrimLeft(strings.TrimPrefix(begin, "{"), " \t\r\n")
	if !strings.HasPrefix(begin, "%") {
		return text, -1
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '%' {
			out = append(out, text[i])
			continue
		}
		if i+2 >= len(text) {
			return text, i
		}
		b, err := hex.DecodeString(text[i+1 : i+3])
		if err != nil {
			return text, i
		}
		out = append(out, b[0])
		i += 2
	}
	return string(out), -1
}

// invalidUTF8 is the offset of the first byte that belongs to no character, -1 where there is none.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

func positionOf(s string, offset int) Position {
	before := s[:offset]
	return Position{Offset: int32(offset), Line: int32(strings.Count(before, "\n") + 1), Column: int32(offset - strings.LastIndexByte(before, '\n'))}
}

// parser turns JSON into a document.
type parser struct {
	source   string
	problems []Problem
	scanned  int // so many of problems are the scan's, in order of position
}

// reported is the problems in order of position, cut to what is worth reading.
func (p *parser) reported() []Problem {
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return int(a.Pos.Offset) - int(b.Pos.Offset) })
	if len(p.problems) > maxProblems {
		rest := p.problems[maxProblems]
		rest.Message = fmt.Sprintf("and %d problems more", len(p.problems)-maxProblems)
		rest.Fatal = true
		p.problems = append(p.problems[:maxProblems:maxProblems], rest)
	}
	return p.problems
}

func (p *parser) problem(pos Position, format string, args ...any) {
	p.problems = append(p.problems, Problem{Pos: pos, Message: fmt.Sprintf(format, args...)})
}

func (p *parser) fatal(pos Position, format string, args ...any) {
	p.problems = append(p.problems, Problem{Pos: pos, Message: fmt.Sprintf(format, args...), Fatal: true})
}

func (p *parser) document(root *node) *Document {
	if root.kind != objectNode {
		p.fatal(root.pos, "expected a policy document, an object; found %s", root.kind)
		return nil
	}
	d := &Document{Pos: root.pos}
	p.duplicates(root)
	found := false
	for i := range root.members {
		m := &root.members[i]
		switch m.key.Value {
		case "Version":
			if v := m.value.text; m.value.kind != stringNode || v != "2012-10-17" && v != "2008-10-17" {
				p.fatal(m.value.pos, "Version: expected \"2012-10-17\" or \"2008-10-17\", found %s", m.value.describe())
			}
			d.Version = Text{m.value.text, m.value.pos}
		case "Id":
			if m.value.kind != stringNode {
				p.fatal(m.value.pos, "Id: expected a string, found %s", m.value.kind)
			}
			d.ID = Text{m.value.text, m.value.pos}
		case "Statement":
			found = true
			p.statements(d, &m.value)
		default:
			p.fatal(m.key.Pos, "a policy document has no element %q: expected %s", m.key.Value, cmp.Or(otherCase(m.key.Value, documentElements), "Version, Id or Statement"))
		}
	}
	if !found {
		p.fatal(root.pos, "expected an element Statement")
	}
	return d
}

// The elements that the grammar names. AWS compares them with case: it refuses "statement" as an unknown field.
var (
	documentElements  = []string{"Version", "Id", "Statement"}
	statementElements = []string{"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)

// otherCase names the element that a key would be in other letter case, "" where there is none.
func otherCase(key string, elements []string) string {
	for _, e := range elements {
		if strings.EqualFold(e, key) {
			return e + " in these capitals"
		}
	}
	return ""
}

// duplicates refuses an object that has a key twice: which of the two AWS means is nobody's to guess.
func (p *parser) duplicates(n *node) {
	seen := make(map[string]Position, len(n.members))
	for i := range n.members {
		key := n.members[i].key
		if first, ok := seen[key.Value]; ok {
			p.fatal(key.Pos, "the key %q stands here and at line %d, column %d", key.Value, first.Line, first.Column)
			continue
		}
		seen[key.Value] = key.Pos
	}
}

// text reads a string inside a statement.
func (p *parser) text(m *member) Text {
	if m.value.kind != stringNode {
		p.problem(m.value.pos, "%s: expected a string, found %s", m.key.Value, m.value.kind)
		return Text{Pos: m.value.pos}
	}
	return Text{m.value.text, m.value.pos}
}

// list gives a scalar or a list as a list (rule 16).
func list(n *node) []node {
	if n.kind == arrayNode {
		return n.items
	}
	return []node{*n}
}

func (p *parser) statements(d *Document, n *node) {
	items := list(n)
	for i := range items {
		item := &items[i]
		if item.kind != objectNode {
			p.fatal(item.pos, "expected a statement, an object; found %s", item.kind)
			continue
		}
		d.Statements = append(d.Statements, p.statement(item))
	}
}

// statement reads one statement. What is wrong inside it is a problem; the statement is kept and says that it is not
// understood, so that it counts as Unknown and is not lost.
func (p *parser) statement(n *node) Statement {
	s := Statement{Pos: n.pos}
	before := len(p.problems)
	p.duplicates(n)
	for i := range n.members {
		m := &n.members[i]
		switch m.key.Value {
		case "Sid":
			s.Sid = p.text(m)
		case "Effect":
			s.EffectPos = m.value.pos
			switch {
			case m.value.kind == stringNode && m.value.text == "Allow":
				s.Effect = Allow
			case m.value.kind == stringNode && m.value.text == "Deny":
				s.Effect = Deny
			default:
				p.problem(m.value.pos, "Effect: expected \"Allow\" or \"Deny\", found %s", m.value.describe())
			}
		case "Principal", "NotPrincipal":
			if p.opposite(s.Principal.Present, s.Principal.Not, m, "NotPrincipal") {
				s.Principal.Incomplete = true
				break
			}
			s.Principal = p.principal(m)
		case "Action", "NotAction":
			p.element(&s.Action, m, "NotAction")
		case "Resource", "NotResource":
			p.element(&s.Resource, m, "NotResource")
		case "Condition":
			s.Condition = p.conditions(&m.value)
		default:
			if name := otherCase(m.key.Value, statementElements); name != "" {
				p.problem(m.key.Pos, "a statement has no element %q: expected %s", m.key.Value, name)
				break
			}
			p.problem(m.key.Pos, "a statement has no element %q", m.key.Value)
		}
	}
	if s.EffectPos == (Position{}) {
		p.problem(n.pos, "the statement has no Effect")
	}
	if !s.Action.Present {
		p.problem(n.pos, "the statement has neither Action nor NotAction")
	}
	s.NotUnderstood = p.first(n, before)
	if s.NotUnderstood != "" {
		var raw bytes.Buffer
		if err := json.Compact(&raw, []byte(p.source[n.pos.Offset:n.end])); err == nil {
			s.raw = raw.String()
		}
	}
	return s
}

// first is the message of the first problem inside n: of those that the scan found there, and those from index before on.
func (p *parser) first(n *node, before int) string {
	scanned := p.problems[:p.scanned]
	i, _ := slices.BinarySearchFunc(scanned, n.pos.Offset, func(q Problem, offset int32) int { return int(q.Pos.Offset) - int(offset) })
	switch {
	case i < len(scanned) && scanned[i].Pos.Offset < n.end:
		return scanned[i].Message
	case before < len(p.problems):
		return p.problems[before].Message
	}
	return ""
}

// opposite reports whether a statement has an element already when m comes: the same, which duplicates has reported, or
// its opposite.
func (p *parser) opposite(present, isNot bool, m *member, not string) bool {
	if present && isNot != (m.key.Value == not) {
		p.problem(m.key.Pos, "a statement has %s or %s, not both", strings.TrimPrefix(not, "Not"), not)
	}
	return present
}

func (p *parser) element(e *Element, m *member, not string) {
	if p.opposite(e.Present, e.Not, m, not) {
		e.Incomplete = true
		return
	}
	*e = Element{Present: true, Not: m.key.Value == not, Pos: m.key.Pos}
	for _, item := range list(&m.value) {
		if item.kind != stringNode {
			p.problem(item.pos, "%s: expected a string, found %s", m.key.Value, item.kind)
			e.Incomplete = true
			continue
		}
		e.Values = append(e.Values, Text{item.text, item.pos})
	}
	if len(e.Values) == 0 && !e.Incomplete {
		p.problem(m.value.pos, "%s is empty", m.key.Value)
	}
}

var principalTypes = map[string]PrincipalType{"AWS": AWS, "Service": Service, "Federated": Federated, "CanonicalUser": CanonicalUser}

func (p *parser) principal(m *member) PrincipalElement {
	e := PrincipalElement{Present: true, Not: m.key.Value == "NotPrincipal", Pos: m.key.Pos}
	switch m.value.kind {
	case stringNode:
		if m.value.text != "*" {
			p.problem(m.value.pos, "%s: expected \"*\" or an object, found %s", m.key.Value, m.value.describe())
			e.Incomplete = true
			return e
		}
		e.Values = append(e.Values, PrincipalValue{AnyPrincipal, Text{"*", m.value.pos}})
	case objectNode:
		p.duplicates(&m.value)
		for i := range m.value.members {
			t := &m.value.members[i]
			typ, ok := principalTypes[t.key.Value]
			if !ok {
				p.problem(t.key.Pos, "principal type %q is not known: expected AWS, Service, Federated or CanonicalUser", t.key.Value)
				e.Incomplete = true
				continue
			}
			for _, item := range list(&t.value) {
				p.principalValue(&e, typ, &item)
			}
		}
	default:
		p.problem(m.value.pos, "%s: expected \"*\" or an object, found %s", m.key.Value, m.value.kind)
		e.Incomplete = true
	}
	if len(e.Values) == 0 && !e.Incomplete {
		p.problem(m.value.pos, "%s is empty", m.key.Value)
	}
	return e
}

// principalValue reads one principal. An account id that was written as a number may have lost its leading zeros: with
// fewer than twelve digits it is completed, and that is a problem.
func (p *parser) principalValue(e *PrincipalElement, typ PrincipalType, item *node) {
	text := Text{item.text, item.pos}
	switch {
	case item.kind == stringNode:
	case item.kind == numberNode && typ == AWS && len(item.text) <= 12 && strings.Trim(item.text, "0123456789") == "":
		if missing := 12 - len(item.text); missing > 0 {
			text.Value = strings.Repeat("0", missing) + item.text
			p.problem(item.pos, "account id %s has %d digits and not 12: it is read as %q", item.text, len(item.text), text.Value)
		}
	default:
		p.problem(item.pos, "principal: expected a string, found %s", item.describe())
		e.Incomplete = true
		return
	}
	e.Values = append(e.Values, PrincipalValue{typ, text})
}

func (p *parser) conditions(n *node) []Condition {
	if n.kind != objectNode {
		p.problem(n.pos, "Condition: expected an object, found %s", n.kind)
		return nil
	}
	p.duplicates(n)
	var conditions []Condition
	for i := range n.members {
		operator := &n.members[i]
		if operator.value.kind != objectNode {
			p.problem(operator.value.pos, "Condition: expected an object of keys under %s, found %s", operator.key.Value, operator.value.kind)
			continue
		}
		p.duplicates(&operator.value)
		for j := range operator.value.members {
			conditions = append(conditions, p.condition(operator.key, &operator.value.members[j]))
		}
	}
	return conditions
}

func (p *parser) condition(operator Text, key *member) Condition {
	c := Condition{Operator: operator, Key: key.key, Pos: key.key.Pos}
	for _, item := range list(&key.value) {
		switch item.kind {
		case stringNode, numberNode, boolNode:
			c.Values = append(c.Values, Text{item.text, item.pos})
		default:
			p.problem(item.pos, "condition %s: expected a string, found %s", key.key.Value, item.kind)
			c.Incomplete = true
		}
	}
	if len(c.Values) == 0 && !c.Incomplete {
		p.problem(key.value.pos, "condition %s has no value", key.key.Value)
		c.Incomplete = true
	}
	return c
}
