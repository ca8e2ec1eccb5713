package policy

import (
	"fmt"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of a document. A policy nests six deep; what nests deeper is hostile or no policy.
const maxDepth = 32

// nodeKind tells JSON values apart.
type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	numberNode
	stringNode
	arrayNode
	objectNode
)

func (k nodeKind) String() string {
	return [...]string{"null", "a boolean", "a number", "a string", "a list", "an object"}[k]
}

// node is a JSON value with its place. Text is the decoded string, or the number or literal as written.
type node struct {
	kind    nodeKind
	pos     Position
	end     int32 // offset of the byte after the value
	text    string
	items   []node   // of a list
	members []member // of an object, in the order written, duplicates included
}

// describe shows what stands there, for messages: a short string in quotes, the kind of anything else.
func (n *node) describe() string {
	switch {
	case n.kind == stringNode && len(n.text) <= 80:
		return fmt.Sprintf("%q", n.text)
	case n.kind == numberNode && len(n.text) <= 80:
		return n.text
	}
	return n.kind.String()
}

type member struct {
	key   Text
	value node
}

// syntaxError is where the text stops being JSON.
type syntaxError struct {
	pos     Position
	message string
}

// scanner reads JSON and keeps positions, which encoding/json does not. Strings without escapes share the text's memory.
type scanner struct {
	text      string
	at        int
	line      int32
	lineStart int
	problems  []Problem
}

// byteOrderMark may stand before a document; the positions of its first line do not count it as a column.
const byteOrderMark = "\xef\xbb\xbf"

// scan reads the whole text as one JSON value. It stops at the first syntax error.
func scan(text string) (root node, problems []Problem, err *syntaxError) {
	s := &scanner{text: text, line: 1}
	if strings.HasPrefix(text, byteOrderMark) {
		s.at, s.lineStart = len(byteOrderMark), len(byteOrderMark)
	}
	defer func() {
		problems = s.problems
		if r := recover(); r != nil {
			e, ok := r.(syntaxError)
			if !ok {
				panic(r)
			}
			err = &e
		}
	}()
	s.space()
	root = s.value(0)
	s.space()
	if s.at < len(s.text) {
		s.fail("expected the end of the document, found %s", s.here())
	}
	return root, s.problems, nil
}

func (s *scanner) pos() Position {
	return Position{Offset: int32(s.at), Line: s.line, Column: int32(s.at - s.lineStart + 1)}
}

// fail leaves the scan; scan turns it into its error.
func (s *scanner) fail(format string, args ...any) {
	panic(syntaxError{s.pos(), fmt.Sprintf(format, args...)})
}

// here names what stands at the current place.
func (s *scanner) here() string {
	if s.at >= len(s.text) {
		return "the end of the text"
	}
	r, _ := utf8.DecodeRuneInString(s.text[s.at:])
	return fmt.Sprintf("%q", r)
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case '\n':
			s.line++
			s.lineStart = s.at + 1
		case ' ', '\t', '\r':
		default:
			return
		}
		s.at++
	}
}

func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

func (s *scanner) value(depth int) node {
	if depth > maxDepth {
		s.fail("nested more than %d deep", maxDepth)
	}
	n := node{pos: s.pos()}
	switch c := s.peek(); {
	case c == '{':
		n.kind = objectNode
		s.object(&n, depth)
	case c == '[':
		n.kind = arrayNode
		s.array(&n, depth)
	case c == '"':
		n.kind, n.text = stringNode, s.string()
	case c == '-' || c >= '0' && c <= '9':
		n.kind, n.text = numberNode, s.number()
	default:
		s.literal(&n)
	}
	n.end = int32(s.at)
	return n
}

func (s *scanner) literal(n *node) {
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s.text[s.at:], word) {
			n.kind, n.text = boolNode, word
			if word == "null" {
				n.kind = nullNode
			}
			s.at += len(word)
			return
		}
	}
	s.fail("expected a value, found %s", s.here())
}

func (s *scanner) object(n *node, depth int) {
	s.at++
	for s.space(); s.peek() != '}'; s.space() {
		if len(n.members) > 0 {
			s.expect(',', "a comma or }")
			s.space()
		}
		if s.peek() != '"' {
			s.fail("expected a key in quotes, found %s", s.here())
		}
		key := Text{Pos: s.pos()}
		key.Value = s.string()
		s.space()
		s.expect(':', "a colon after the key")
		s.space()
		n.members = append(n.members, member{key, s.value(depth + 1)})
	}
	s.at++
}

func (s *scanner) array(n *node, depth int) {
	s.at++
	for s.space(); s.peek() != ']'; s.space() {
		if len(n.items) > 0 {
			s.expect(',', "a comma or ]")
			s.space()
		}
		n.items = append(n.items, s.value(depth+1))
	}
	s.at++
}

func (s *scanner) expect(c byte, what string) {
	if s.peek() != c {
		s.fail("expected %s, found %s", what, s.here())
	}
	s.at++
}

// number reads a JSON number and keeps it as written. JSON has no leading zeros; an account id without its quotes may
// have them, so the scan goes on and says what to do.
func (s *scanner) number() string {
	start, at := s.at, s.pos()
	digits := func() {
		from := s.at
		for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
			s.at++
		}
		if s.at == from {
			s.fail("expected a digit, found %s", s.here())
		}
	}
	if s.peek() == '-' {
		s.at++
	}
	digits()
	if integer := strings.TrimPrefix(s.text[start:s.at], "-"); len(integer) > 1 && integer[0] == '0' {
		s.problems = append(s.problems, Problem{Pos: at, Message: "a number has no leading zeros: put " + integer + " in quotes", Fatal: true})
	}
	if s.peek() == '.' {
		s.at++
		digits()
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		digits()
	}
	return s.text[start:s.at]
}

// string reads a string in quotes.
func (s *scanner) string() string {
	s.at++
	start := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start : s.at-1]
		case c == '\\':
			return s.escaped(start)
		case c < 0x20:
			s.fail("control character %s in a string", s.here())
		default:
			s.at++
		}
	}
	s.fail("the string that begins at byte %d has no closing quote", start-1)
	return ""
}

// escaped reads the rest of a string that has escapes.
func (s *scanner) escaped(start int) string {
	var b strings.Builder
	b.WriteString(s.text[start:s.at])
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return b.String()
		case c == '\\':
			s.escape(&b)
		case c < 0x20:
			s.fail("control character %s in a string", s.here())
		default:
			b.WriteByte(c)
			s.at++
		}
	}
	s.fail("the string that begins at byte %d has no closing quote", start-1)
	return ""
}

func (s *scanner) escape(b *strings.Builder) {
	at := s.pos()
	s.at++
	c := s.peek()
	s.at++
	switch c {
	case '"', '\\', '/':
		b.WriteByte(c)
	case 'b':
		b.WriteByte('\b')
	case 'f':
		b.WriteByte('\f')
	case 'n':
		b.WriteByte('\n')
	case 'r':
		b.WriteByte('\r')
	case 't':
		b.WriteByte('\t')
	case 'u':
		r := s.hex()
		if utf16.IsSurrogate(r) {
			next := s.at
			low := rune(-1)
			if strings.HasPrefix(s.text[s.at:], `\u`) {
				s.at += 2
				low = s.hex()
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				s.at = next // what follows is a character of its own
				s.problems = append(s.problems, Problem{Pos: at, Message: "half of a surrogate pair stands for no character", Fatal: true})
			}
		}
		b.WriteRune(r)
	default:
		s.at -= 2
		s.fail("unknown escape in a string")
	}
}

func (s *scanner) hex() rune {
	var r rune
	for range 4 {
		c := s.peek()
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 + rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 + rune(c-'a') + 10
		case c >= 'A' && c <= 'F':
			r = r<<4 + rune(c-'A') + 10
		default:
			s.fail("expected a hexadecimal digit, found %s", s.here())
		}
		s.at++
	}
	return r
}
