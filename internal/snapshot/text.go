package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// Reading is done in two layers, so that memory holds one element at a time and still every element has its place in the
// file. The textReader walks the outer structure of a file through a sliding buffer and hands out the text of one
// element (a role, a line, an array item). The cursor decodes that text. The outer layer only balances brackets and
// quotes: garbage inside an element therefore costs that element and not the rest of the file.

// maxValue is the size from which one element is taken for hostile. The largest real ones (a role with ten inline
// policies at their quota) are far below one megabyte.
const maxValue = 64 << 20

// place is a line and column in a file, both from one.
type place struct{ line, column int32 }

// after is the place of the byte that follows text, when text starts at p.
func (p place) after(text []byte) place {
	n := bytes.Count(text, []byte{'\n'})
	if n == 0 {
		p.column = clampPlace(int64(p.column) + int64(len(text)))
		return p
	}
	p.line = clampPlace(int64(p.line) + int64(n))
	p.column = clampPlace(int64(len(text) - bytes.LastIndexByte(text, '\n')))
	return p
}

func clampPlace(n int64) int32 { return int32(min(n, 1<<31-1)) }

// syntaxError says where the text stops being JSON, and what was expected there.
type syntaxError struct {
	at      place
	message string
}

func (e *syntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.at.line, e.at.column, e.message)
}

// valueScan finds the end of a JSON value over several pieces of text.
type valueScan struct {
	depth                   int
	quoted, escaped, scalar bool
}

// scan consumes b and reports how much of it belongs to the value and whether the value ends there.
func (s *valueScan) scan(b []byte) (n int, done bool) {
	for i := 0; i < len(b); i++ {
		if s.quoted {
			for ; i < len(b); i++ {
				c := b[i]
				if s.escaped {
					s.escaped = false
				} else if c == '\\' {
					s.escaped = true
				} else if c == '"' {
					s.quoted = false
					break
				}
			}
			if !s.quoted && s.depth == 0 {
				return i + 1, true
			}
			continue
		}
		switch b[i] {
		case '"':
			if s.scalar {
				return i, true
			}
			s.quoted = true
		case '{', '[':
			if s.scalar {
				return i, true
			}
			s.depth++
		case '}', ']':
			if s.scalar {
				return i, true
			}
			if s.depth--; s.depth <= 0 {
				return i + 1, true
			}
		case ',', ':', ' ', '\t', '\r', '\n':
			if s.scalar {
				return i, true
			}
		default:
			if s.depth == 0 {
				s.scalar = true
			}
		}
	}
	return len(b), false
}

// textReader walks the outer structure of one JSON file. It never holds more than one value.
type textReader struct {
	src   io.Reader
	buf   []byte
	r, w  int   // buf[r:w] was read from src and not yet consumed
	at    place // of buf[r]
	end   bool
	ioErr error
}

func newTextReader(src io.Reader) *textReader {
	t := &textReader{src: src, buf: make([]byte, 64<<10), at: place{1, 1}}
	for t.w < 3 && t.fill() {
	}
	// A byte order mark is no part of the text and has no column.
	if bytes.HasPrefix(t.buf[:t.w], []byte("\xef\xbb\xbf")) {
		t.r = 3
	}
	return t
}

// fill reads more bytes behind those not yet consumed. It reports whether there were any.
func (t *textReader) fill() bool {
	if t.end {
		return false
	}
	if t.r > 0 && t.w == len(t.buf) {
		t.w = copy(t.buf, t.buf[t.r:t.w])
		t.r = 0
	}
	if t.w == len(t.buf) {
		t.buf = append(t.buf, make([]byte, len(t.buf))...)
	}
	for range 100 {
		n, err := t.src.Read(t.buf[t.w:])
		t.w += n
		if err != nil {
			t.end = true
			if err != io.EOF {
				t.ioErr = err
			}
		}
		if n > 0 || t.end {
			return n > 0
		}
	}
	t.end, t.ioErr = true, io.ErrNoProgress
	return false
}

func (t *textReader) consume(n int) {
	t.at = t.at.after(t.buf[t.r : t.r+n])
	t.r += n
}

// peek skips white space and returns the next byte; false at the end of the file.
func (t *textReader) peek() (byte, bool) {
	for {
		i := t.r
		for i < t.w && isSpace(t.buf[i]) {
			i++
		}
		t.consume(i - t.r)
		if t.r < t.w {
			return t.buf[t.r], true
		}
		if !t.fill() {
			return 0, false
		}
	}
}

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

// fail makes the error for the present position; expected says what should have stood there.
func (t *textReader) fail(expected string) *syntaxError {
	c, ok := t.peek()
	if ok {
		return &syntaxError{t.at, "expected " + expected + ", found " + describe(c)}
	}
	if t.ioErr != nil {
		return &syntaxError{t.at, "could not be read further: " + t.ioErr.Error()}
	}
	return &syntaxError{t.at, "expected " + expected + ", found the end of the file"}
}

// describe names the value that starts with a byte.
func describe(c byte) string {
	switch {
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == '"':
		return "a string"
	case c == 't' || c == 'f':
		return "true or false"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	case c == 0:
		return "a NUL byte"
	}
	return strconv.QuoteRuneToASCII(rune(c))
}

func startsValue(c byte) bool {
	switch c {
	case '{', '[', '"', 't', 'f', 'n', '-':
		return true
	}
	return c >= '0' && c <= '9'
}

// value returns the text of the next value and its place. The text is valid until the next call. Where the file ends
// inside the value, the text that was there comes with the error.
func (t *textReader) value() ([]byte, place, *syntaxError) {
	c, ok := t.peek()
	if !ok || !startsValue(c) {
		return nil, t.at, t.fail("a value")
	}
	var scan valueScan
	size := 0
	for {
		n, done := scan.scan(t.buf[t.r+size : t.w])
		size += n
		if size > maxValue {
			return nil, t.at, &syntaxError{t.at, fmt.Sprintf("a value larger than %d MiB starts here", maxValue>>20)}
		}
		if done {
			break
		}
		if !t.fill() {
			if scan.scalar && t.ioErr == nil {
				break
			}
			text, begun := t.buf[t.r:t.w], t.at
			t.consume(t.w - t.r)
			if t.ioErr != nil {
				return text, begun, t.fail("")
			}
			return text, begun, &syntaxError{t.at, fmt.Sprintf("the file ends inside the value that starts at line %d, column %d", begun.line, begun.column)}
		}
	}
	text, at := t.buf[t.r:t.r+size], t.at
	t.consume(size)
	return text, at, nil
}

// object walks an object. visit is called in front of each value and must consume it.
func (t *textReader) object(visit func(key string, at place) *syntaxError) *syntaxError {
	return t.sequence('{', '}', "an object", func() *syntaxError {
		if c, _ := t.peek(); c != '"' {
			return t.fail("a key in quotes")
		}
		text, at, err := t.value()
		if err != nil {
			return err
		}
		var key string
		if json.Unmarshal(text, &key) != nil {
			return &syntaxError{at, "expected a key, found a string with a bad escape or character"}
		}
		if c, _ := t.peek(); c != ':' {
			return t.fail("a colon after the key " + strconv.Quote(key))
		}
		t.consume(1)
		return visit(key, at)
	})
}

// list walks a list. visit is called in front of each value and must consume it.
func (t *textReader) list(visit func() *syntaxError) *syntaxError {
	return t.sequence('[', ']', "a list", visit)
}

func (t *textReader) sequence(open, shut byte, what string, item func() *syntaxError) *syntaxError {
	if c, _ := t.peek(); c != open {
		return t.fail(what)
	}
	t.consume(1)
	if c, _ := t.peek(); c == shut {
		t.consume(1)
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		switch c, _ := t.peek(); c {
		case ',':
			t.consume(1)
		case shut:
			t.consume(1)
			return nil
		default:
			return t.fail("a comma or " + strconv.QuoteRune(rune(shut)))
		}
	}
}

// line returns the next line that is not blank; false at the end of the file. A line too large is an error of the file.
func (t *textReader) line() ([]byte, place, bool, *syntaxError) {
	if _, ok := t.peek(); !ok {
		if t.ioErr != nil {
			return nil, t.at, false, t.fail("")
		}
		return nil, t.at, false, nil
	}
	size := 0
	for {
		if n := bytes.IndexByte(t.buf[t.r+size:t.w], '\n'); n >= 0 {
			size += n
			break
		}
		size = t.w - t.r
		if size > maxValue {
			return nil, t.at, false, &syntaxError{t.at, fmt.Sprintf("a line larger than %d MiB starts here", maxValue>>20)}
		}
		if !t.fill() {
			if t.ioErr != nil {
				t.consume(size)
				return nil, t.at, false, t.fail("")
			}
			break
		}
	}
	text, at := t.buf[t.r:t.r+size], t.at
	t.consume(size)
	return text, at, true, nil
}

// cursor decodes the text of one element. A syntax error stops it for good; a value of the wrong type is noted in
// problems and skipped, so that one look at an element finds everything that is wrong with it.
type cursor struct {
	text     []byte
	i        int
	start    place // of text[0]
	mark     int   // a place already computed, because positions are asked for in rising order
	markAt   place
	err      *syntaxError
	problems []problem
}

// problem is something wrong inside an element that leaves the element readable.
type problem struct {
	at      place
	message string
}

func newCursor(text []byte, at place) *cursor {
	return &cursor{text: text, start: at, markAt: at}
}

// place of the byte at offset i.
func (c *cursor) place(i int) place {
	if i < c.mark {
		return c.start.after(c.text[:i])
	}
	c.mark, c.markAt = i, c.markAt.after(c.text[c.mark:i])
	return c.markAt
}

// here is the place of the next value.
func (c *cursor) here() place {
	c.kind()
	return c.place(c.i)
}

// kind skips white space and returns the first byte of the next value; zero at the end or after an error.
func (c *cursor) kind() byte {
	if c.err != nil {
		return 0
	}
	for c.i < len(c.text) && isSpace(c.text[c.i]) {
		c.i++
	}
	if c.i == len(c.text) {
		return 0
	}
	return c.text[c.i]
}

func (c *cursor) fail(expected string) {
	if c.err != nil {
		return
	}
	found := "the end of the value"
	if k := c.kind(); c.i < len(c.text) {
		found = describe(k)
	}
	c.err = &syntaxError{c.place(c.i), "expected " + expected + ", found " + found}
}

func (c *cursor) note(at place, message string) {
	c.problems = append(c.problems, problem{at, message})
}

// mismatch notes that the next value is not what was expected, and skips it.
func (c *cursor) mismatch(field, expected string) {
	k := c.kind()
	if c.err != nil || !startsValue(k) {
		c.fail(expected)
		return
	}
	c.note(c.here(), field+": expected "+expected+", found "+describe(k))
	c.skip()
}

// skip passes the next value and returns its text. The text of an object or list is only known to be balanced.
func (c *cursor) skip() []byte {
	if k := c.kind(); !startsValue(k) {
		c.fail("a value")
		return nil
	}
	var scan valueScan
	n, done := scan.scan(c.text[c.i:])
	if !done && !scan.scalar {
		c.err = &syntaxError{c.place(c.i), "the value that starts here does not end"}
		return nil
	}
	text := c.text[c.i : c.i+n]
	if scan.scalar && !json.Valid(text) {
		c.fail("a value")
		c.err.message = "expected a value, found " + strconv.QuoteToASCII(string(text[:min(len(text), 20)]))
		return nil
	}
	c.i += n
	return text
}

// null passes a null and reports whether there was one.
func (c *cursor) null() bool {
	if c.kind() != 'n' {
		return false
	}
	c.skip()
	return true
}

// object walks an object and reports whether there was one. visit is called in front of each value and must consume it.
// A key that comes twice is noted, and the first one stands: which of the two AWS would take is not known.
func (c *cursor) object(field string, visit func(key []byte)) bool {
	if c.kind() != '{' {
		c.mismatch(field, "an object")
		return false
	}
	var few [24][]byte
	seen := few[:0]
	var many map[string]bool
	c.items('}', func() {
		at := c.here()
		key, ok := c.bytes()
		if !ok {
			c.fail("a key in quotes")
			return
		}
		if c.kind() != ':' {
			c.fail("a colon after the key " + strconv.Quote(string(key)))
			return
		}
		c.i++
		twice := false
		if many == nil {
			for _, k := range seen {
				twice = twice || bytes.Equal(k, key)
			}
			if seen = append(seen, key); len(seen) > 64 {
				many = make(map[string]bool)
				for _, k := range seen {
					many[string(k)] = true
				}
			}
		} else {
			twice = many[string(key)]
			many[string(key)] = true
		}
		if twice {
			c.note(at, "the key "+strconv.Quote(string(key))+" comes twice; the first is used")
			c.skip()
			return
		}
		visit(key)
	})
	return c.err == nil
}

// list walks a list and reports whether there was one. A null is an empty list.
func (c *cursor) list(field string, visit func()) bool {
	if c.null() {
		return true
	}
	if c.kind() != '[' {
		c.mismatch(field, "a list")
		return false
	}
	c.items(']', visit)
	return c.err == nil
}

func (c *cursor) items(shut byte, item func()) {
	c.i++
	if c.kind() == shut {
		c.i++
		return
	}
	for c.err == nil {
		item()
		switch k := c.kind(); {
		case c.err != nil:
		case k == ',':
			c.i++
		case k == shut:
			c.i++
			return
		default:
			c.fail("a comma or " + strconv.QuoteRune(rune(shut)))
		}
	}
}

// bytes reads a string without noting anything where there is none. The bytes may alias the text.
func (c *cursor) bytes() ([]byte, bool) {
	if c.kind() != '"' {
		return nil, false
	}
	from := c.i
	text := c.skip()
	if c.err != nil {
		return nil, false
	}
	inner := text[1 : len(text)-1]
	plain := true
	for _, b := range inner {
		if b < ' ' {
			c.err = &syntaxError{c.place(from), "expected a string, found a control character inside it"}
			return nil, false
		}
		if b == '\\' || b >= utf8.RuneSelf {
			plain = false
		}
	}
	if plain {
		return inner, true
	}
	if !utf8.Valid(inner) {
		c.err = &syntaxError{c.place(from), "expected a string, found one that is not UTF-8"}
		return nil, false
	}
	var s string
	if json.Unmarshal(text, &s) != nil {
		c.err = &syntaxError{c.place(from), "expected a string, found one with a bad escape"}
		return nil, false
	}
	return []byte(s), true
}

// string reads a string; null and a value of another type give "".
func (c *cursor) string(field string) string {
	if c.null() {
		return ""
	}
	if c.kind() != '"' {
		c.mismatch(field, "a string")
		return ""
	}
	b, _ := c.bytes()
	return string(b)
}

// strings reads a list of strings.
func (c *cursor) strings(field string) []string {
	var out []string
	c.list(field, func() {
		if c.kind() != '"' {
			c.mismatch(field, "a list of strings")
			return
		}
		b, _ := c.bytes()
		out = append(out, intern(b))
	})
	return out
}

// integer reads a whole number that fits in 53 bits, so that it means the same to every JSON reader.
func (c *cursor) integer(field string) (int64, bool) {
	k := c.kind()
	if k != '-' && (k < '0' || k > '9') {
		c.mismatch(field, "a whole number")
		return 0, false
	}
	at := c.here()
	text := c.skip()
	if c.err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n > 1<<53 || n < -1<<53 {
		c.note(at, field+": expected a whole number, found "+string(text[:min(len(text), 40)]))
		return 0, false
	}
	return n, true
}

// bool reads true or false.
func (c *cursor) bool(field string) (value, ok bool) {
	if k := c.kind(); k != 't' && k != 'f' {
		c.mismatch(field, "true or false")
		return false, false
	}
	return string(c.skip()) == "true", c.err == nil
}

// any reads a value of any shape in the types of encoding/json.
func (c *cursor) any(field string) any {
	at := c.here()
	text := c.skip()
	if c.err != nil {
		return nil
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		c.note(at, field+": expected JSON: "+err.Error())
		return nil
	}
	return v
}

// done checks that nothing follows the value.
func (c *cursor) done() {
	if c.kind(); c.err == nil && c.i < len(c.text) {
		c.fail("nothing after the value")
	}
}
