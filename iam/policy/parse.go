package policy

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxSize bounds the text of a document, in bytes. AWS's largest policies have 20 kB; this leaves room for white space.
const maxSize = 4 << 20

// Parse reads a document. It reports every problem that it finds, in order of position; a Fatal one means that the document
// must not be evaluated. The document is nil where nothing can be made of the text: no JSON, or no object.
//
// A text that is URL-encoded, as IAM's API returns documents, is decoded first; positions then count in the decoded text.
func Parse(text []byte) (*Document, []Problem) {
	if len(text) > maxSize {
		return nil, []Problem{{Pos: Position{Line: 1, Column: 1}, Message: fmt.Sprintf("a document of %d bytes is no policy (at most %d are read)", len(text), maxSize), Fatal: true}}
	}
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
	source, err := decode(string(text))
	if err != nil {
		return nil, []Problem{{Pos: Position{Line: 1, Column: 1}, Message: err.Error(), Fatal: true}}
	}
	if i := invalidUTF8(source); i >= 0 {
		return nil, []Problem{{Pos: positionOf(source, i), Message: "the text is not UTF-8", Fatal: true}}
	}
	root, problems, syntax := scan(source)
	if syntax != nil {
		return nil, append(problems, Problem{Pos: syntax.pos, Message: syntax.message, Fatal: true})
	}
	p := &parser{problems: problems}
	d := p.document(&root)
	slices.SortStableFunc(p.problems, func(a, b Problem) int { return int(a.Pos.Offset) - int(b.Pos.Offset) })
	return d, p.problems
}

// decode undoes URL encoding where the text carries it: JSON does not begin with a percent sign. A plus sign stays one.
func decode(text string) (string, error) {
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "%") {
		decoded, err := url.PathUnescape(trimmed)
		if err != nil {
			return "", fmt.Errorf("the text begins like a URL-encoded document and is not one: %w", err)
		}
		return decoded, nil
	}
	return text, nil
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
type parser struct{ problems []Problem }

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
			d.Version = p.text(m)
			if v := d.Version.Value; v != "2012-10-17" && v != "2008-10-17" {
				p.fatal(m.value.pos, "Version %q is neither 2012-10-17 nor 2008-10-17", v)
			}
		case "Id":
			d.ID = p.text(m)
		case "Statement":
			found = true
			p.statements(d, &m.value)
		default:
			p.fatal(m.key.Pos, "a policy document has no element %q: expected Version, Id or Statement", m.key.Value)
		}
	}
	if !found {
		p.fatal(root.pos, "expected an element Statement")
	}
	return d
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

func (p *parser) text(m *member) Text {
	if m.value.kind != stringNode {
		p.fatal(m.value.pos, "%s: expected a string, found %s", m.key.Value, m.value.kind)
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
	for _, item := range list(n) {
		if item.kind != objectNode {
			p.fatal(item.pos, "expected a statement, an object; found %s", item.kind)
			continue
		}
		d.Statements = append(d.Statements, p.statement(&item))
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
			switch text := p.text(m); text.Value {
			case "Allow":
				s.Effect = Allow
			case "Deny":
				s.Effect = Deny
			default:
				p.problem(text.Pos, "Effect %q is neither Allow nor Deny", text.Value)
			}
		case "Principal", "NotPrincipal":
			if s.Principal.Present {
				p.problem(m.key.Pos, "a statement has Principal or NotPrincipal, not both")
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
			p.problem(m.key.Pos, "a statement has no element %q", m.key.Value)
		}
	}
	if s.EffectPos == (Position{}) {
		p.problem(n.pos, "the statement has no Effect")
	}
	if !s.Action.Present {
		p.problem(n.pos, "the statement has neither Action nor NotAction")
	}
	if len(p.problems) > before {
		s.NotUnderstood = p.problems[before].Message
	}
	return s
}

func (p *parser) element(e *Element, m *member, not string) {
	if e.Present {
		p.problem(m.key.Pos, "a statement has %s or %s, not both", strings.TrimPrefix(not, "Not"), not)
		return
	}
	*e = Element{Present: true, Not: m.key.Value == not, Pos: m.key.Pos}
	for _, item := range list(&m.value) {
		if item.kind != stringNode {
			p.problem(item.pos, "%s: expected a string, found %s", m.key.Value, item.kind)
			continue
		}
		e.Values = append(e.Values, Text{item.text, item.pos})
	}
	if len(e.Values) == 0 {
		p.problem(m.value.pos, "%s is empty", m.key.Value)
	}
}

var principalTypes = map[string]PrincipalType{"AWS": AWS, "Service": Service, "Federated": Federated, "CanonicalUser": CanonicalUser}

func (p *parser) principal(m *member) PrincipalElement {
	e := PrincipalElement{Present: true, Not: m.key.Value == "NotPrincipal", Pos: m.key.Pos}
	switch m.value.kind {
	case stringNode:
		if m.value.text != "*" {
			p.problem(m.value.pos, "%s: expected \"*\" or an object, found %q", m.key.Value, m.value.text)
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
				continue
			}
			for _, item := range list(&t.value) {
				p.principalValue(&e, typ, &item)
			}
		}
	default:
		p.problem(m.value.pos, "%s: expected \"*\" or an object, found %s", m.key.Value, m.value.kind)
	}
	if len(e.Values) == 0 {
		p.problem(m.value.pos, "%s is empty", m.key.Value)
	}
	return e
}

// principalValue reads one principal. An account id that was written as a number has lost its leading zeros.
func (p *parser) principalValue(e *PrincipalElement, typ PrincipalType, item *node) {
	text := Text{item.text, item.pos}
	switch {
	case item.kind == stringNode:
	case item.kind == numberNode && typ == AWS && len(item.text) <= 12 && strings.Trim(item.text, "0123456789") == "":
		text.Value = strings.Repeat("0", 12-len(item.text)) + item.text
	default:
		p.problem(item.pos, "principal: expected a string, found %s", item.kind)
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
			key := &operator.value.members[j]
			conditions = append(conditions, Condition{Operator: operator.key, Key: key.key, Values: p.conditionValues(key), Pos: key.key.Pos})
		}
	}
	return conditions
}

func (p *parser) conditionValues(key *member) []Text {
	var values []Text
	for _, item := range list(&key.value) {
		switch item.kind {
		case stringNode, numberNode, boolNode:
			values = append(values, Text{item.text, item.pos})
		default:
			p.problem(item.pos, "condition %s: expected a string, found %s", key.key.Value, item.kind)
		}
	}
	return values
}
