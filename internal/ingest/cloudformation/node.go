package cloudformation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"sort"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits against hostile input: AWS takes templates of 1 MB.
const (
	maxSize  = 4 << 20
	maxDepth = 200
	maxNodes = 500_000
)

type kind uint8

const (
	null kind = iota
	text
	list
	object
)

// place is a line and a column, both from one.
type place struct{ line, column int32 }

// node is a value of a template, as written or as evaluated. Short forms of YAML are written out, so that JSON and YAML are the same from here on.
// Numbers and booleans are text: CloudFormation makes text of them.
type node struct {
	kind   kind
	text   string
	items  []*node
	fields []field
	pos    place
	// octal: digits that YAML 1.1 reads as an octal number, and that look like an account.
	octal bool
	// open is what is not known of a text, each with a mark that stands in it. A value of which nothing is known, not even its kind, is its mark alone.
	open []missing
	// of is the resource that the value names as a whole, by its reference or ARN.
	of *resource
}

type field struct {
	key string
	pos place
	*node
}

// missing is a part of a value that is not known.
type missing struct {
	mark, why string
	// name: it is a name without wildcards that somebody else chooses, such as that of the stack. A policy may hold it, a condition of the template cannot be decided by it.
	name bool
}

func (n *node) get(key string) *node {
	if n == nil || n.kind != object {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].key == key {
			return n.fields[i].node
		}
	}
	return nil
}

// list gives a single value as a list of one.
func (n *node) list() []*node {
	switch {
	case n == nil || n.kind == null:
		return nil
	case n.kind == list:
		return n.items
	}
	return []*node{n}
}

func (n *node) string() string {
	if n == nil || n.kind != text {
		return ""
	}
	return n.text
}

// hidden are the parts of a text by which access cannot be decided.
func (n *node) hidden() []missing {
	return slices.DeleteFunc(slices.Clone(n.open), func(m missing) bool { return m.name })
}

// whole reports whether nothing of a value is known.
func (n *node) whole() bool { return n.kind == text && len(n.open) == 1 && n.open[0].mark == n.text }

// anyOpen is the first thing that is not known anywhere in a value.
func (n *node) anyOpen() *missing {
	if n == nil {
		return nil
	}
	if len(n.open) > 0 {
		return &n.open[0]
	}
	for _, i := range n.items {
		if m := i.anyOpen(); m != nil {
			return m
		}
	}
	for _, f := range n.fields {
		if m := f.anyOpen(); m != nil {
			return m
		}
	}
	return nil
}

// canonical writes a value so that equal values are equal texts.
func (n *node) canonical() string {
	var b strings.Builder
	var walk func(n *node)
	walk = func(n *node) {
		switch {
		case n == nil || n.kind == null:
			b.WriteString("null")
		case n.kind == text:
			b.WriteString(quote(n.text))
		case n.kind == list:
			b.WriteByte('[')
			for i, e := range n.items {
				if i > 0 {
					b.WriteByte(',')
				}
				walk(e)
			}
			b.WriteByte(']')
		default:
			fields := slices.Clone(n.fields)
			slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.key, b.key) })
			b.WriteByte('{')
			for i, f := range fields {
				if i > 0 {
					b.WriteByte(',')
				}
				b.WriteString(quote(f.key) + ":")
				walk(f.node)
			}
			b.WriteByte('}')
		}
	}
	walk(n)
	return b.String()
}

func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string can always be written
	return strings.TrimSuffix(b.String(), "\n")
}

// moved is a copy that stands at another place as a whole: what a function brings stands where the function stands.
func (n *node) moved(to place) *node {
	if n == nil {
		return nil
	}
	v := *n
	v.pos = to
	v.items = make([]*node, len(n.items))
	for i, e := range n.items {
		v.items[i] = e.moved(to)
	}
	v.fields = make([]field, len(n.fields))
	for i, f := range n.fields {
		v.fields[i] = field{f.key, to, f.node.moved(to)}
	}
	return &v
}

// syntaxError is text that cannot be read, with its place.
type syntaxError struct {
	at  place
	err error
}

func (e *syntaxError) Error() string {
	if e.at.line == 0 {
		return e.err.Error()
	}
	return fmt.Sprintf("%d:%d: %v", e.at.line, e.at.column, e.err)
}

func (e *syntaxError) Unwrap() error { return e.err }

func failAt(at place, format string, args ...any) error {
	return &syntaxError{at, fmt.Errorf(format, args...)}
}

// parse reads JSON or YAML.
func parse(data []byte) (*node, error) {
	if len(data) > maxSize {
		return nil, fmt.Errorf("a file of %d bytes is no template (at most %d are read)", len(data), maxSize)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	trimmed := bytes.TrimSpace(data)
	if len(trimmed) == 0 {
		return nil, errors.New("it is empty")
	}
	if trimmed[0] != '{' {
		return parseYAML(data)
	}
	n, err := parseJSON(data)
	if err == nil {
		return n, nil
	}
	// AWS reads every template as YAML, so that a comment or a comma too many pass.
	if y, yamlErr := parseYAML(data); yamlErr == nil {
		return y, nil
	}
	return nil, err
}

// jsonReader reads JSON with the place of every value.
type jsonReader struct {
	d     *json.Decoder
	data  []byte
	lines []int
	nodes int
}

func parseJSON(data []byte) (*node, error) {
	r := &jsonReader{d: json.NewDecoder(bytes.NewReader(data)), data: data}
	r.d.UseNumber()
	for i, b := range data {
		if b == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	n, err := r.value(0)
	if err != nil {
		return nil, r.fail(err)
	}
	end := r.next()
	if _, err := r.d.Token(); !errors.Is(err, io.EOF) {
		return nil, failAt(end, "expected the end of the file")
	}
	return n, nil
}

func (r *jsonReader) fail(err error) error {
	var known *syntaxError
	if errors.As(err, &known) {
		return err
	}
	at := int(r.d.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		at = max(int(syntax.Offset)-1, 0)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the text breaks off")
	}
	return &syntaxError{r.place(at), err}
}

func (r *jsonReader) place(offset int) place {
	i := sort.SearchInts(r.lines, offset+1)
	begin := 0
	if i > 0 {
		begin = r.lines[i-1]
	}
	return place{int32(i + 1), int32(offset - begin + 1)}
}

// next is the place of the next token.
func (r *jsonReader) next() place {
	at := int(r.d.InputOffset())
	for at < len(r.data) && strings.IndexByte(" \t\r\n,:", r.data[at]) >= 0 {
		at++
	}
	return r.place(at)
}

func (r *jsonReader) value(depth int) (*node, error) {
	n := &node{pos: r.next()}
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, failAt(n.pos, "the file is nested too deep or has too many values")
	}
	t, err := r.d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case nil:
	case string:
		n.kind, n.text = text, t
	case json.Number:
		n.kind, n.text = text, t.String()
	case bool:
		n.kind, n.text = text, fmt.Sprint(t)
	case json.Delim:
		if t == '[' {
			n.kind = list
			for r.d.More() {
				item, err := r.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.items = append(n.items, item)
			}
		} else {
			n.kind = object
			seen := map[string]bool{}
			for r.d.More() {
				at := r.next()
				key, err := r.d.Token()
				if err != nil {
					return nil, err
				}
				name, _ := key.(string)
				if seen[name] {
					return nil, failAt(at, "the key %q comes twice", name)
				}
				seen[name] = true
				item, err := r.value(depth + 1)
				if err != nil {
					return nil, err
				}
				n.fields = append(n.fields, field{name, at, item})
			}
		}
		if _, err := r.d.Token(); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// yamlReader turns YAML's tree into ours. Merge keys and aliases are followed: some tools write them, and remove them before AWS sees the template.
type yamlReader struct {
	nodes int
	open  map[*yaml.Node]bool
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

func parseYAML(data []byte) (*node, error) {
	var root yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it is empty")
		}
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil && m[1] != "" {
			var line int32
			_, _ = fmt.Sscan(m[1], &line)
			return nil, failAt(place{line, 1}, "%s", m[2])
		}
		return nil, err
	}
	var second yaml.Node
	if err := d.Decode(&second); err == nil {
		return nil, failAt(place{int32(second.Line), int32(second.Column)}, "a template is one YAML document, and here begins a second one")
	}
	r := &yamlReader{open: map[*yaml.Node]bool{}}
	return r.value(&root, 0)
}

// longForms are the functions that are not Fn:: and their name.
var longForms = map[string]string{"!Ref": "Ref", "!Condition": "Condition"}

func (r *yamlReader) value(y *yaml.Node, depth int) (*node, error) {
	n := &node{pos: place{int32(y.Line), int32(y.Column)}}
	if r.nodes++; r.nodes > maxNodes || depth > maxDepth {
		return nil, failAt(n.pos, "the file is nested too deep or has too many values")
	}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return n, nil
		}
		return r.value(y.Content[0], depth)
	case yaml.AliasNode:
		if y.Alias == nil || r.open[y.Alias] {
			return nil, failAt(n.pos, "the alias %q contains itself", y.Value)
		}
		v, err := r.value(y.Alias, depth+1)
		if err != nil {
			return nil, err
		}
		return v.moved(n.pos), nil
	case yaml.ScalarNode:
		r.scalar(n, y)
	case yaml.SequenceNode:
		r.open[y] = true
		defer delete(r.open, y)
		n.kind = list
		for _, c := range y.Content {
			item, err := r.value(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
	case yaml.MappingNode:
		r.open[y] = true
		defer delete(r.open, y)
		if err := r.mapping(n, y, depth); err != nil {
			return nil, err
		}
	default:
		return n, nil
	}
	return short(n, y.Tag), nil
}

var (
	octal = regexp.MustCompile(`^0[0-7]{11}$`)
	truth = map[string]string{"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
)

func (r *yamlReader) scalar(n *node, y *yaml.Node) {
	plain := y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0
	if plain && y.Tag == "!!null" {
		return
	}
	n.kind, n.text = text, y.Value
	if plain && strings.HasPrefix(y.Tag, "!!") {
		if b := truth[strings.ToLower(y.Value)]; b != "" {
			n.text = b
		}
		n.octal = octal.MatchString(y.Value)
	}
}

func (r *yamlReader) mapping(n *node, y *yaml.Node, depth int) error {
	n.kind = object
	seen := map[string]bool{}
	var merged []field
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, at := y.Content[i], place{int32(y.Content[i].Line), int32(y.Content[i].Column)}
		if key.Kind == yaml.AliasNode && key.Alias != nil {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return failAt(at, "expected a key that is text")
		}
		v, err := r.value(y.Content[i+1], depth+1)
		if err != nil {
			return err
		}
		if key.Tag == "!!merge" {
			for _, m := range v.list() {
				merged = append(merged, m.moved(at).fields...)
			}
			continue
		}
		if seen[key.Value] {
			return failAt(at, "the key %q comes twice", key.Value)
		}
		seen[key.Value] = true
		n.fields = append(n.fields, field{key.Value, at, v})
	}
	for _, f := range merged {
		if !seen[f.key] {
			seen[f.key] = true
			n.fields = append(n.fields, f)
		}
	}
	return nil
}

// short writes the short form of a function out.
func short(n *node, tag string) *node {
	if !strings.HasPrefix(tag, "!") || strings.HasPrefix(tag, "!!") || tag == "!" {
		return n
	}
	name := longForms[tag]
	if name == "" {
		name = "Fn::" + tag[1:]
	}
	if name == "Fn::GetAtt" && n.kind == text {
		if resource, attribute, ok := strings.Cut(n.text, "."); ok {
			n = &node{kind: list, pos: n.pos, items: []*node{{kind: text, text: resource, pos: n.pos}, {kind: text, text: attribute, pos: n.pos}}}
		}
	}
	return &node{kind: object, pos: n.pos, fields: []field{{name, n.pos, n}}}
}
