package cloudtrail

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
)

const (
	window   = 1 << 16 // of the text is held at a time
	longest  = 1 << 14 // of a text that is taken out of an event; AWS names nothing so long
	maxDepth = 10000   // as encoding/json
)

// scanner reads JSON from a stream, checks all of it as encoding/json does (RFC 8259), and takes out only what is asked for. It holds a window of the
// text, however large a value is.
type scanner struct {
	in   io.Reader
	buf  []byte
	pos  int
	end  int
	off  int64 // of buf[0] in the text
	err  error // of reading
	key  []byte
	long bool // a text that was taken out is too long
}

func newScanner(in io.Reader) *scanner { return &scanner{in: in, buf: make([]byte, window)} }

// reset begins with another text.
func (s *scanner) reset(in io.Reader) { s.in, s.pos, s.end, s.off, s.err = in, 0, 0, 0, nil }

// fill reads on; false at the end of the text. All of the window has been used by then.
func (s *scanner) fill() bool {
	for s.pos == s.end && s.err == nil {
		s.off += int64(s.end)
		s.pos = 0
		s.end, s.err = s.in.Read(s.buf)
	}
	return s.pos < s.end
}

var errBreaksOff = errors.New("the file breaks off")

// broken is the error at the place where reading stands: of reading, of a text that ends too early, or of a character that does not belong there.
func (s *scanner) broken(expected string) error {
	if s.pos < s.end {
		return fmt.Errorf("at byte %d of the text: %q, expected %s", s.off+int64(s.pos), s.buf[s.pos], expected)
	}
	err := s.err
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errBreaksOff
	}
	return fmt.Errorf("at byte %d of the text: %w", s.off+int64(s.pos), err)
}

// peek is the next character that is not white; 0 at the end of the text, where no character is 0 but a broken one.
func (s *scanner) peek() byte {
	if s.pos < s.end && s.buf[s.pos] > ' ' {
		return s.buf[s.pos]
	}
	return s.peekWhite()
}

func (s *scanner) peekWhite() byte {
	for {
		for ; s.pos < s.end; s.pos++ {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\r', '\n':
			default:
				return c
			}
		}
		if !s.fill() {
			return 0
		}
	}
}

// take steps over a character that must come next.
func (s *scanner) take(c byte, expected string) error {
	if s.peek() != c || s.pos == s.end {
		return s.broken(expected)
	}
	s.pos++
	return nil
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainRun is how many bytes stand in front of the first quote, backslash or control character.
func plainRun(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		// The high bit of each byte is set where the byte is a quote, a backslash or less than a space: where one of the differences
		// is below zero, and the byte is ASCII. Behind the first of them it may be set for no reason.
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^ones*'"', w^ones*'\\'
		if found := ((quote - ones) | (slash - ones) | (w - ones*' ')) &^ w & highs; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(b); i++ {
		if c := b[i]; c == '"' || c == '\\' || c < ' ' {
			return i
		}
	}
	return i
}

// text steps over a text whose quote comes next. Where into is not nil, it holds the text afterwards.
func (s *scanner) text(into *[]byte) error {
	b := s.buf[s.pos+1 : s.end]
	n := plainRun(b)
	if n == len(b) || b[n] != '"' || n > longest {
		return s.longText(into)
	}
	s.pos += n + 2
	if into == nil {
		return nil
	}
	*into = append((*into)[:0], b[:n]...)
	return unquote(into, false)
}

// longText steps over a text with escapes, or one that the window does not hold as a whole.
func (s *scanner) longText(into *[]byte) error {
	s.pos++
	escaped := false
	if into != nil {
		*into = (*into)[:0]
	}
	for {
		n := plainRun(s.buf[s.pos:s.end])
		if into != nil && len(*into)+n > longest {
			s.long, into = true, nil
		}
		if into != nil {
			*into = append(*into, s.buf[s.pos:s.pos+n]...)
		}
		s.pos += n
		if s.pos == s.end {
			if !s.fill() {
				return s.broken("")
			}
			continue
		}
		switch s.buf[s.pos] {
		case '"':
			s.pos++
			if into != nil {
				return unquote(into, escaped)
			}
			return nil
		case '\\':
			escaped = true
			if err := s.escape(into); err != nil {
				return err
			}
		default:
			return s.broken("no control character in a text")
		}
	}
}

// escape steps over an escape, and keeps it as it is.
func (s *scanner) escape(into *[]byte) error {
	var raw [6]byte
	n, want := 0, 2
	for ; n < want; n++ {
		if s.pos == s.end && !s.fill() {
			return s.broken("")
		}
		c := s.buf[s.pos]
		switch {
		case n == 0:
		case n == 1:
			switch c {
			case 'u':
				want = 6
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			default:
				return s.broken("an escape")
			}
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		default:
			return s.broken("a hexadecimal digit")
		}
		raw[n] = c
		s.pos++
	}
	if into != nil { // text looks at the length
		*into = append(*into, raw[:n]...)
	}
	return nil
}

// unquote makes a text of one with escapes, and replaces what is no UTF-8, as encoding/json does.
func unquote(text *[]byte, escaped bool) error {
	if !escaped && ascii(*text) {
		return nil
	}
	quoted := make([]byte, 0, len(*text)+2)
	quoted = append(append(append(quoted, '"'), *text...), '"')
	var out string
	if err := json.Unmarshal(quoted, &out); err != nil {
		return err
	}
	*text = append((*text)[:0], out...)
	return nil
}

func ascii(b []byte) bool {
	for len(b) >= 8 {
		if binary.LittleEndian.Uint64(b)&highs != 0 {
			return false
		}
		b = b[8:]
	}
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// skip steps over a value of any kind.
func (s *scanner) skip(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		return s.text(nil)
	case c == '{':
		return s.object(depth, nil)
	case c == '[':
		return s.list(depth, nil)
	case c == '-' || c >= '0' && c <= '9':
		return s.number(nil)
	case c == 't':
		return s.literal("true")
	case c == 'f':
		return s.literal("false")
	case c == 'n':
		return s.literal("null")
	}
	return s.broken("a value")
}

func (s *scanner) literal(word string) error {
	for i := range len(word) {
		if s.pos == s.end && !s.fill() || s.buf[s.pos] != word[i] {
			return s.broken(word)
		}
		s.pos++
	}
	return nil
}

// number steps over a number. Where into is not nil, it holds its characters afterwards, if they are not too many.
func (s *scanner) number(into *[]byte) error {
	if into != nil {
		*into = (*into)[:0]
	}
	at := func() byte {
		if s.pos == s.end && !s.fill() {
			return 0
		}
		return s.buf[s.pos]
	}
	step := func() {
		if into != nil && len(*into) < longest {
			*into = append(*into, s.buf[s.pos])
		}
		s.pos++
	}
	digits := func() error {
		if c := at(); c < '0' || c > '9' {
			return s.broken("a digit")
		}
		for c := at(); c >= '0' && c <= '9'; c = at() {
			step()
		}
		return nil
	}
	if at() == '-' {
		step()
	}
	if at() == '0' {
		step()
	} else if err := digits(); err != nil {
		return err
	}
	if at() == '.' {
		step()
		if err := digits(); err != nil {
			return err
		}
	}
	if c := at(); c == 'e' || c == 'E' {
		step()
		if c := at(); c == '+' || c == '-' {
			step()
		}
		return digits()
	}
	return nil
}

// object steps over an object whose brace comes next, and that is nested as deep as depth. It calls field with each key; field steps over the
// value, and is done with the key before it does. Where field is nil, object steps over the values itself.
func (s *scanner) object(depth int, field func(key []byte) error) error {
	if depth > maxDepth {
		return s.broken("no deeper nesting")
	}
	s.pos++
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.peek() != '"' {
			return s.broken("a key")
		}
		key, err := s.name(field != nil)
		if err != nil {
			return err
		}
		if field == nil {
			err = s.skip(depth + 1)
		} else {
			err = field(key)
		}
		if err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case '}':
			s.pos++
			return nil
		default:
			return s.broken("a comma or the end of the object")
		}
	}
}

// name steps over a key and its colon, and gives the key if it is wanted. The key lies in the window, which may move with the next step.
func (s *scanner) name(wanted bool) ([]byte, error) {
	b := s.buf[s.pos+1 : s.end]
	if n := plainRun(b); n+1 < len(b) && b[n] == '"' && b[n+1] == ':' { // what is no UTF-8 is no name that is looked for
		s.pos += n + 3
		return b[:n], nil
	}
	if !wanted {
		if err := s.text(nil); err != nil {
			return nil, err
		}
		return nil, s.take(':', "a colon")
	}
	long := s.long
	if err := s.text(&s.key); err != nil {
		return nil, err
	}
	if s.long && !long { // a key that is too long is none that is looked for
		s.key, s.long = s.key[:0], false
	}
	return s.key, s.take(':', "a colon")
}

// list steps over a list whose bracket comes next. It calls item for each item; item steps over it. Where item is nil, it steps over
// them itself.
func (s *scanner) list(depth int, item func() error) error {
	if depth > maxDepth {
		return s.broken("no deeper nesting")
	}
	s.pos++
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		var err error
		if item == nil {
			err = s.skip(depth + 1)
		} else {
			err = item()
		}
		if err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.pos++
		case ']':
			s.pos++
			return nil
		default:
			return s.broken("a comma or the end of the list")
		}
	}
}
