package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// This file finds where the parts of a YAML or JSON text stand, and says which bytes are to be replaced by which. The YAML reader tells
// where nodes begin and not where they end: ends are found in the text. Nothing here has to be right in every case of YAML's grammar,
// because edit.go reads the result again and holds it against what it was.

// unit is one declaration in a file.
type unit struct {
	node *yaml.Node
	list *yaml.Node // of which it is an item; nil: it is a document of its own
	// index counts the units of the file.
	index int
}

// unitsOf are all declarations of a file, whatever their kind.
func unitsOf(data []byte) ([]unit, error) {
	var out []unit
	var walk func(n, list *yaml.Node)
	walk = func(n, list *yaml.Node) {
		switch {
		case isNull(n):
		case n.Kind == yaml.SequenceNode:
			for _, item := range n.Content {
				walk(item, n)
			}
		default:
			out = append(out, unit{n, list, len(out)})
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		if err := d.Decode(&n); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		for _, body := range n.Content {
			walk(body, nil)
		}
	}
}

// declares reports whether the unit is the declaration of a name.
func (u *unit) declares(k Kind, name string) bool {
	if u.node.Kind != yaml.MappingNode {
		return false
	}
	m := fieldsOf(u.node)
	kind, _ := text(m.find("kind"))
	called, _ := text(m.find("metadata", "name"))
	return Kind(kind) == k && called == name
}

// section is the part of a file from one line "---" to the next that holds a declaration; the whole file where that is not plain to see.
func section(data []byte, k Kind, name string) span {
	whole := span{0, len(data)}
	var found []span
	for at := 0; ; {
		next := bytes.Index(data[at:], []byte(name))
		if next < 0 {
			break
		}
		p := around(data, at+next)
		units, err := unitsOf(data[p.from:p.to])
		if err != nil {
			return whole
		}
		if slices.ContainsFunc(units, func(u unit) bool { return u.declares(k, name) }) {
			found = append(found, p)
		}
		at = p.to
		if at == len(data) {
			break
		}
	}
	if len(found) != 1 {
		return whole
	}
	return found[0]
}

// around is the part of a file that an offset is in, from one line "---" to the next. Such a line ends a document wherever it stands.
func around(data []byte, at int) span {
	mark := []byte("\n---")
	marks := func(i int) bool { // a mark is followed by a blank or by nothing
		end := i + len(mark)
		return end == len(data) || strings.IndexByte(" \t\r\n", data[end]) >= 0
	}
	p := span{0, len(data)}
	for end := at; ; {
		i := bytes.LastIndex(data[:end], mark)
		if i < 0 {
			break
		}
		if marks(i) {
			p.from = i + 1
			break
		}
		end = i
	}
	for begin := at; ; {
		i := bytes.Index(data[begin:], mark)
		if i < 0 {
			break
		}
		if i += begin; marks(i) {
			p.to = i + 1
			break
		}
		begin = i + len(mark)
	}
	return p
}

// source is the text of a file with the offsets of its lines.
type source struct {
	before Place // the file, and the last line before the text
	units  []unit
	data   []byte
	lines  []int
	eol    string
}

// open finds a declaration in a file.
func open(before Place, data []byte, k Kind, name string) (*source, unit, error) {
	s := &source{before: before, data: data, lines: []int{0}, eol: "\n"}
	for i := 0; i < len(data); {
		n := breakAt(data[i:])
		if n == 0 {
			i++
			continue
		}
		if len(s.lines) == 1 && n == 2 && data[i] == '\r' {
			s.eol = "\r\n"
		}
		i += n
		s.lines = append(s.lines, i)
	}
	units, err := unitsOf(data)
	if err != nil {
		line, text := lineOf(err)
		return nil, unit{}, fmt.Errorf("%s:%d: %s", before.File, before.Line+line, text)
	}
	s.units = units
	var found []unit
	for _, u := range units {
		if u.declares(k, name) {
			found = append(found, u)
		}
	}
	switch len(found) {
	case 0:
		return nil, unit{}, fmt.Errorf("%s: %s: %w", before.File, name, ErrNoEntry)
	case 1:
		return s, found[0], nil
	}
	return nil, unit{}, fmt.Errorf("%s:%d:%d: %s: %w: also in line %d", before.File, before.Line+found[1].node.Line, found[1].node.Column, name, ErrTwice,
		before.Line+found[0].node.Line)
}

// breakAt is the length of the line break at the start of the text, 0 where there is none: what the YAML reader takes for one.
func breakAt(b []byte) int {
	switch {
	case len(b) == 0:
		return 0
	case b[0] == '\r' && len(b) > 1 && b[1] == '\n':
		return 2
	case b[0] == '\r' || b[0] == '\n':
		return 1
	case len(b) > 1 && b[0] == 0xc2 && b[1] == 0x85:
		return 2
	case len(b) > 2 && b[0] == 0xe2 && b[1] == 0x80 && (b[2] == 0xa8 || b[2] == 0xa9):
		return 3
	}
	return 0
}

func (s *source) refuse(n *yaml.Node) error {
	return fmt.Errorf("%s:%d:%d: %w", s.before.File, s.before.Line+max(n.Line, 1), max(n.Column, 1), ErrForm)
}

// offset is where a node begins: lines and columns count from one, columns in characters.
func (s *source) offset(n *yaml.Node) (int, bool) {
	if n.Line < 1 || n.Line > len(s.lines) {
		return 0, false
	}
	at := s.lines[n.Line-1]
	if at == 0 && bytes.HasPrefix(s.data, []byte("\ufeff")) {
		at = len("\ufeff")
	}
	for i := 1; i < n.Column; i++ {
		if at >= len(s.data) {
			return 0, false
		}
		_, size := utf8.DecodeRune(s.data[at:])
		at += size
	}
	return at, at <= len(s.data)
}

// span is where something stands in the text.
type span struct{ from, to int }

// splice puts text in the place of a span.
type splice struct {
	span
	text string
}

func (s *source) apply(list []splice) []byte {
	slices.SortFunc(list, func(a, b splice) int { return a.from - b.from })
	var out []byte
	at := 0
	for _, p := range list {
		if p.from < at {
			continue // they overlap; what comes of it does not pass the check
		}
		out = append(append(out, s.data[at:p.from]...), p.text...)
		at = p.to
	}
	return append(out, s.data[at:]...)
}

// empty: a value that is not written at all.
func empty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Value == "" && n.Tag == "!!null" && n.Anchor == ""
}

// node is where a node stands, from its first to behind its last character.
func (s *source) node(n *yaml.Node) (span, error) {
	from, ok := s.offset(n)
	if !ok || from >= len(s.data) {
		return span{}, s.refuse(n)
	}
	switch {
	case n.Kind == yaml.AliasNode:
		return span{from, from + 1 + len(n.Value)}, nil
	case n.Kind == yaml.ScalarNode:
		to, ok := s.scalarEnd(from, n)
		if !ok {
			return span{}, s.refuse(n)
		}
		return span{from, to}, nil
	case s.data[from] == '{' || s.data[from] == '[':
		to, ok := s.flowEnd(from)
		if !ok {
			return span{}, s.refuse(n)
		}
		return span{from, to}, nil
	case len(n.Content) == 0:
		return span{}, s.refuse(n)
	}
	last := n.Content[len(n.Content)-1]
	if n.Kind == yaml.MappingNode {
		p, err := s.pair(n.Content[len(n.Content)-2], last)
		return span{from, p.to}, err
	}
	p, err := s.node(last)
	return span{from, p.to}, err
}

// pair is where a key with its value stands.
func (s *source) pair(key, value *yaml.Node) (span, error) {
	k, err := s.node(key)
	if err != nil {
		return span{}, err
	}
	colon, ok := s.colon(k.to)
	switch {
	case empty(value) && !ok:
		return span{}, s.refuse(key)
	case empty(value):
		return span{k.from, colon}, nil
	}
	v, err := s.node(value)
	return span{k.from, v.to}, err
}

// colon is behind the colon that follows a key.
func (s *source) colon(at int) (int, bool) {
	for at < len(s.data) && (s.data[at] == ' ' || s.data[at] == '\t') {
		at++
	}
	return at + 1, at < len(s.data) && s.data[at] == ':'
}

// scalarEnd is behind the last character of a scalar.
func (s *source) scalarEnd(from int, n *yaml.Node) (int, bool) {
	switch s.data[from] {
	case '&', '!', '*':
		return 0, false // what the tag or anchor is for is not known here
	case '"', '\'':
		return quotedEnd(s.data, from)
	case '|', '>':
		return s.blockEnd(from)
	}
	// A plain scalar: its words, with blanks and new lines between them.
	at := from
	for i, word := range strings.Fields(n.Value) {
		if i > 0 {
			for at < len(s.data) && (strings.ContainsRune(" \t", rune(s.data[at])) || breakAt(s.data[at:]) > 0) {
				at += max(1, breakAt(s.data[at:]))
			}
		}
		if !bytes.HasPrefix(s.data[at:], []byte(word)) {
			return 0, false
		}
		at += len(word)
	}
	return at, at > from
}

// quotedEnd is behind the quote that closes the one at from.
func quotedEnd(data []byte, from int) (int, bool) {
	quote := data[from]
	for at := from + 1; at < len(data); at++ {
		switch {
		case data[at] == '\\' && quote == '"':
			at++
		case data[at] == quote && quote == '\'' && at+1 < len(data) && data[at+1] == quote:
			at++
		case data[at] == quote:
			return at + 1, true
		}
	}
	return 0, false
}

// blockEnd is behind the last line of a literal or folded scalar: the lines that are indented deeper than the one it begins in.
func (s *source) blockEnd(from int) (int, bool) {
	line := s.line(from)
	indent := s.indent(line)
	// The first key of a list's item is indented by the dash too.
	for i := s.lines[line] + indent; i < from && (s.data[i] == '-' || s.data[i] == ' '); i++ {
		indent++
	}
	end := s.lineEnd(from, false)
	for l := line + 1; l < len(s.lines); l++ {
		start := s.lines[l]
		stop := s.lineEnd(start, false)
		if len(bytes.TrimSpace(s.data[start:stop])) == 0 {
			continue
		}
		if s.indent(l) <= indent {
			break
		}
		end = stop
	}
	return end, true
}

// line is the index of the line that an offset is in.
func (s *source) line(at int) int {
	i, found := slices.BinarySearch(s.lines, at)
	if !found {
		i--
	}
	return i
}

func (s *source) indent(line int) int {
	n := 0
	for at := s.lines[line]; at < len(s.data) && s.data[at] == ' '; at++ {
		n++
	}
	return n
}

// lineEnd is the end of the line that an offset is in, with or without its break.
func (s *source) lineEnd(at int, withBreak bool) int {
	line := s.line(at)
	end := len(s.data)
	if line+1 < len(s.lines) {
		end = s.lines[line+1]
	}
	if withBreak {
		return end
	}
	for _, size := range [...]int{3, 2, 1} { // of which length is the break at the end?
		if end-size >= s.lines[line] && breakAt(s.data[end-size:end]) == size {
			return end - size
		}
	}
	return end
}

// flowEnd is behind the bracket that closes the one at from.
func (s *source) flowEnd(from int) (int, bool) {
	depth := 0
	begins := true // a token may begin here: only there a quote opens a quoted text
	for at := from; at < len(s.data); at++ {
		switch c := s.data[at]; {
		case (c == '"' || c == '\'') && begins:
			end, ok := quotedEnd(s.data, at)
			if !ok {
				return 0, false
			}
			at, begins = end-1, false
		case c == '#' && (s.data[at-1] == ' ' || s.data[at-1] == '\t' || s.data[at-1] == '\n' || s.data[at-1] == '\r'):
			at = s.lineEnd(at, false) - 1
		case c == '{' || c == '[':
			depth++
			begins = true
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return at + 1, true
			}
			begins = false
		case c == ',' || c == ':' && (at+1 == len(s.data) || strings.ContainsRune(" \t\r\n\"'[]{},", rune(s.data[at+1]))):
			begins = true
		case c != ' ' && c != '\t' && c != '\r' && c != '\n':
			begins = false
		}
	}
	return 0, false
}

// alone reports whether only blanks stand in front of an offset in its line.
func (s *source) alone(at int) bool {
	return len(bytes.TrimLeft(s.data[s.lines[s.line(at)]:at], " \t\ufeff")) == 0
}

// rest reports whether nothing but blanks and a comment follows an offset in its line.
func (s *source) rest(at int) bool {
	left := bytes.TrimLeft(s.data[at:s.lineEnd(at, false)], " \t")
	return len(left) == 0 || left[0] == '#'
}

// flow reports whether a collection is written in brackets.
func flow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// parts are the members of a collection.
func (s *source) parts(n *yaml.Node) ([]span, error) {
	var out []span
	step := 1
	if n.Kind == yaml.MappingNode {
		step = 2
	}
	for i := 0; i+step <= len(n.Content); i += step {
		p, err := s.node(n.Content[i])
		if step == 2 {
			p, err = s.pair(n.Content[i], n.Content[i+1])
		}
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

// set gives a field one value.
func (s *source) set(k Kind, root *yaml.Node, path []string, f form, value string) ([]splice, error) {
	n := fieldsOf(root).find(path...)
	if n == nil || empty(n) {
		return s.create(k, root, path, f, value)
	}
	if n.Kind != yaml.ScalarNode {
		return nil, s.refuse(n)
	}
	at, err := s.node(n)
	if err != nil {
		return nil, err
	}
	return []splice{{at, s.written(value, f, s.data[at.from], s.inFlow(root, path), false)}}, nil
}

// inFlow reports whether a field stands inside brackets.
func (s *source) inFlow(root *yaml.Node, path []string) bool {
	for i := range path {
		if flow(root) {
			return true
		}
		if n := fieldsOf(root).find(path[:i+1]...); n != nil && flow(n) {
			return true
		}
	}
	return false
}

// create writes a field that is not there, with the blocks that it needs.
func (s *source) create(k Kind, root *yaml.Node, path []string, f form, value string) ([]splice, error) {
	parent, depth := root, 0
	for depth < len(path) && parent.Kind == yaml.MappingNode {
		next := fieldsOf(parent).find(path[depth])
		if next == nil || empty(next) {
			break
		}
		parent, depth = next, depth+1
	}
	if depth == len(path) || parent.Kind != yaml.MappingNode {
		return nil, s.refuse(parent)
	}
	quoted := s.jsonKeys(root, parent)
	rest := path[depth:]
	inside := flow(parent)
	text := s.written(value, f, 0, inside || len(rest) > 1 || f == listForm, quoted)
	if f == listForm {
		text = "[" + text + "]"
	}
	for i := len(rest) - 1; i > 0; i-- {
		text = "{" + s.key(rest[i], quoted) + ": " + text + "}"
	}
	key := rest[0]
	if i := keyAt(parent, key); i >= 0 { // it is there, without a value
		p, err := s.node(parent.Content[i])
		if err != nil {
			return nil, err
		}
		colon, ok := s.colon(p.to)
		if !ok {
			return nil, s.refuse(parent.Content[i])
		}
		return []splice{{span{colon, colon}, " " + text}}, nil
	}
	text = s.key(key, quoted) + ": " + text
	at := after(k, parent, path[:depth], key)
	parts, err := s.parts(parent)
	if err != nil {
		return nil, err
	}
	if inside {
		whole, err := s.node(parent)
		if err != nil {
			return nil, err
		}
		return s.intoFlow(parts, whole, at, text), nil
	}
	if len(parts) == 0 || parent.Content[0].Column < 1 {
		return nil, s.refuse(parent)
	}
	return s.newLine(parts[at-1].to, strings.Repeat(" ", parent.Content[0].Column-1)+text), nil
}

func keyAt(n *yaml.Node, key string) int {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return i
		}
	}
	return -1
}

// after is how many members of a mapping stand in front of a new key: up to the last that the order of the fields puts there, all where
// there is none.
func after(k Kind, parent *yaml.Node, path []string, key string) int {
	var order []string
	prefix := strings.Join(append(slices.Clone(path), ""), " ")
	for _, f := range editables[k] {
		if rest, ok := strings.CutPrefix(f.path, prefix); ok {
			order = append(order, strings.Fields(rest)[0])
		}
	}
	place := slices.Index(order, key)
	members := len(parent.Content) / 2
	for i := members - 1; i >= 0; i-- {
		if at := slices.Index(order, parent.Content[2*i].Value); at >= 0 && at < place {
			return i + 1
		}
	}
	return members
}

// newLine puts a line behind the one that an offset is in.
func (s *source) newLine(at int, text string) []splice {
	end := s.lineEnd(at, true)
	if end == s.lineEnd(at, false) { // the last line of the file has no break
		return []splice{{span{end, end}, s.eol + text}}
	}
	return []splice{{span{end, end}, text + s.eol}}
}

// intoFlow puts a member into brackets as the at-th, on a line of its own where the others have theirs.
func (s *source) intoFlow(parts []span, whole span, at int, text string) []splice {
	insert := func(at int, text string) splice { return splice{span{at, at}, text} }
	if len(parts) == 0 {
		return []splice{insert(whole.from+1, text)}
	}
	if at < len(parts) {
		next := parts[at].from
		between := " "
		if s.alone(next) {
			between = s.eol + string(s.data[s.lines[s.line(next)]:next])
		}
		return []splice{insert(next, text+","+between)}
	}
	last := parts[len(parts)-1]
	if !s.alone(last.from) || s.line(last.to) == s.line(whole.to-1) {
		return []splice{insert(last.to, ", "+text)}
	}
	indent := string(s.data[s.lines[s.line(last.from)]:last.from])
	if comma := s.comma(last.to, whole.to); comma >= 0 {
		return []splice{insert(s.lineEnd(comma, true), indent+text+","+s.eol)}
	}
	return []splice{insert(last.to, ","), insert(s.lineEnd(last.to, true), indent+text+s.eol)}
}

// comma is where a comma stands between two members, -1 where there is none: comments are passed over.
func (s *source) comma(from, to int) int {
	for at := from; at < to; at++ {
		switch s.data[at] {
		case ',':
			return at
		case '#':
			at = s.lineEnd(at, false)
		case '}', ']':
			return -1
		}
	}
	return -1
}

// outOfFlow takes the at-th of several members out of brackets.
func (s *source) outOfFlow(parts []span, whole span, at int) []splice {
	p := parts[at]
	comma := s.comma(p.to, whole.to)
	if s.alone(p.from) && s.rest(max(p.to, comma+1)) { // lines of its own
		list := []splice{{span{s.lines[s.line(p.from)], s.lineEnd(max(p.to, comma), true)}, ""}}
		if comma < 0 && at > 0 {
			if before := s.comma(parts[at-1].to, p.from); before >= 0 {
				list = append(list, splice{span{before, before + 1}, ""})
			}
		}
		return list
	}
	if at+1 < len(parts) {
		end := comma + 1
		for end < parts[at+1].from && (s.data[end] == ' ' || s.data[end] == '\t') {
			end++
		}
		return []splice{{span{p.from, end}, ""}}
	}
	if before := s.comma(parts[at-1].to, p.from); before >= 0 {
		if len(bytes.TrimSpace(s.data[before+1:p.from])) == 0 && !bytes.ContainsAny(s.data[before:p.from], "\r\n") {
			return []splice{{span{parts[at-1].to, p.to}, ""}}
		}
		return []splice{{span{before, before + 1}, ""}, {p, ""}}
	}
	return nil
}

// outOfBlock takes a member that has its lines for itself. The line of a list's item begins with its dash.
func (s *source) outOfBlock(n *yaml.Node, p span, item bool) ([]splice, error) {
	from := s.lines[s.line(p.from)]
	head := string(bytes.TrimLeft(s.data[from:p.from], " \t\ufeff"))
	if item && strings.Trim(head, " ") != "-" || !item && head != "" || !s.rest(p.to) {
		return nil, s.refuse(n)
	}
	to := s.lineEnd(p.to, true)
	if to == len(s.data) && to == s.lineEnd(p.to, false) && from > 0 { // the last line has no break: the one before loses its own
		from = s.lineEnd(from-1, false)
	}
	return []splice{{span{from, to}, ""}}, nil
}

// add lets a value join a list.
func (s *source) add(k Kind, root *yaml.Node, path []string, f form, value string) ([]splice, error) {
	n := fieldsOf(root).find(path...)
	switch {
	case n == nil || empty(n):
		return s.create(k, root, path, f, value)
	case n.Kind == yaml.ScalarNode: // one value may stand without a list
		at, err := s.node(n)
		if err != nil {
			return nil, err
		}
		if len(n.Value) == 0 || isNull(n) {
			return []splice{{at, "[" + s.written(value, f, s.data[at.from], true, false) + "]"}}, nil
		}
		if strings.ContainsRune("|>", rune(s.data[at.from])) {
			return nil, s.refuse(n)
		}
		return []splice{{span{at.from, at.from}, "["}, {span{at.to, at.to}, ", " + s.written(value, f, s.data[at.from], true, false) + "]"}}, nil
	case n.Kind != yaml.SequenceNode:
		return nil, s.refuse(n)
	}
	parts, err := s.parts(n)
	if err != nil {
		return nil, err
	}
	if flow(n) {
		whole, err := s.node(n)
		if err != nil {
			return nil, err
		}
		quote := byte(0)
		if len(parts) > 0 {
			quote = s.data[parts[len(parts)-1].from]
		}
		return s.intoFlow(parts, whole, len(parts), s.written(value, f, quote, true, s.jsonKeys(root, root))), nil
	}
	if len(parts) == 0 {
		return nil, s.refuse(n)
	}
	last := parts[len(parts)-1]
	head := string(s.data[s.lines[s.line(last.from)]:last.from])
	if strings.Trim(head, " ") != "-" {
		return nil, s.refuse(n.Content[len(n.Content)-1])
	}
	return s.newLine(last.to, head+s.written(value, f, s.data[last.from], false, false)), nil
}

// drop takes a value out of a list that keeps others.
func (s *source) drop(n *yaml.Node, value string) ([]splice, error) {
	parts, err := s.parts(n)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(n.Content, func(item *yaml.Node) bool { return item.Value == value })
	if flow(n) {
		whole, err := s.node(n)
		if err != nil {
			return nil, err
		}
		return s.outOfFlow(parts, whole, at), nil
	}
	return s.outOfBlock(n.Content[at], parts[at], true)
}

// unset takes a field away, and the blocks that hold nothing then.
func (s *source) unset(root *yaml.Node, path []string) ([]splice, error) {
	parent := root
	if len(path) > 1 {
		if parent = fieldsOf(root).find(path[:len(path)-1]...); parent == nil {
			return nil, nil
		}
	}
	at := keyAt(parent, path[len(path)-1])
	if at < 0 {
		return nil, nil
	}
	if len(parent.Content) == 2 && len(path) > 1 {
		return s.unset(root, path[:len(path)-1])
	}
	parts, err := s.parts(parent)
	if err != nil {
		return nil, err
	}
	if flow(parent) {
		whole, err := s.node(parent)
		if err != nil {
			return nil, err
		}
		return s.outOfFlow(parts, whole, at/2), nil
	}
	return s.outOfBlock(parent.Content[at], parts[at/2], false)
}

// jsonKeys reports whether a collection is written as JSON: its keys are quoted, or those of the whole declaration where it has none.
func (s *source) jsonKeys(root, n *yaml.Node) bool {
	if len(n.Content) == 0 {
		n = root
	}
	return flow(root) && n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[0].Style&yaml.DoubleQuotedStyle != 0
}

func (s *source) key(name string, quoted bool) string {
	if quoted {
		return inQuotes(name)
	}
	return name
}

func inQuotes(value string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		return `""`
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// written is a value as it stands in a file: in the quotes of the one that was there, plain where it had none and YAML reads the same.
func (s *source) written(value string, f form, like byte, inFlow, quoted bool) string {
	switch {
	case like == '\'':
		return "'" + strings.ReplaceAll(value, "'", "''") + "'"
	case like == '"' || quoted && f != numberForm && f != truthForm:
		return inQuotes(value)
	}
	around := [2]string{"k: ", "\n"}
	if inFlow {
		around = [2]string{"k: [", "]\n"}
	}
	var doc yaml.Node
	if yaml.Unmarshal([]byte(around[0]+value+around[1]), &doc) != nil {
		return inQuotes(value)
	}
	n := fieldsOf(doc.Content[0]).find("k")
	if n != nil && inFlow && n.Kind == yaml.SequenceNode && len(n.Content) == 1 {
		n = n.Content[0]
	}
	tags := map[form][]string{dayForm: {"!!timestamp", "!!str"}, numberForm: {"!!int"}, truthForm: {"!!bool"}}[f]
	if n == nil || n.Kind != yaml.ScalarNode || n.Style != 0 || n.Value != value || n.LineComment != "" || n.Anchor != "" || !slices.Contains(append(tags, "!!str"), n.Tag) {
		return inQuotes(value)
	}
	return value
}

// takeOut removes a whole declaration.
func (s *source) takeOut(u unit) ([]splice, error) {
	whole, err := s.node(u.node)
	if err != nil {
		return nil, err
	}
	if u.list == nil {
		return s.document(whole), nil
	}
	at := slices.Index(u.list.Content, u.node)
	if flow(u.list) {
		list, err := s.node(u.list)
		if err != nil {
			return nil, err
		}
		if len(u.list.Content) == 1 {
			return []splice{{span{list.from + 1, list.to - 1}, ""}}, nil
		}
		parts, err := s.parts(u.list)
		if err != nil {
			return nil, err
		}
		return s.outOfFlow(parts, list, at), nil
	}
	if len(u.list.Content) == 1 {
		p, err := s.node(u.list)
		if err != nil {
			return nil, err
		}
		return s.document(p), nil
	}
	splices, err := s.outOfBlock(u.node, whole, true)
	if err != nil {
		return nil, err
	}
	splices[0].from = s.above(splices[0].from)
	return splices, nil
}

// above is the start of the comments that stand directly above a line.
func (s *source) above(from int) int {
	line := s.line(from)
	for line > 0 && bytes.HasPrefix(bytes.TrimLeft(s.data[s.lines[line-1]:s.lines[line]], " \t"), []byte("#")) {
		line--
	}
	return min(from, s.lines[line])
}

// document removes a document with the line that opens it. Comments in front of the first document stay, but for those that stand directly
// above it.
func (s *source) document(whole span) []splice {
	marker := func(line int) bool {
		text := s.data[s.lines[line]:s.lineEnd(s.lines[line], false)]
		return bytes.HasPrefix(text, []byte("---")) && (len(text) == 3 || text[3] == ' ' || text[3] == '\t')
	}
	first := s.line(whole.from)
	next := first + 1
	for next < len(s.lines) && !marker(next) {
		next++
	}
	end := len(s.data)
	if next < len(s.lines) {
		end = s.lines[next]
	}
	for line := first; line >= 0; line-- {
		if marker(line) {
			return []splice{{span{s.lines[line], end}, ""}}
		}
	}
	from := s.above(s.lines[first])
	if len(bytes.TrimSpace(s.data[:from])) == 0 {
		from = 0
		if next < len(s.lines) && s.rest(s.lines[next]+3) {
			end = s.lineEnd(end, true)
		}
	}
	return []splice{{span{from, end}, ""}}
}
