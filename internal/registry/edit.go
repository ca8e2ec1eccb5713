package registry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// This file changes an entry where it stands. The text of the file is spliced at the places of its nodes (splice.go) and never written anew,
// so that comments, order, quotes, indentation and line ends survive. Every splice is checked: the file is read again, and what was read may
// differ in the changed field alone. What is written in a way that this cannot follow is refused, with its place, and never guessed.

// Op is what a Change does.
type Op uint8

const (
	Set  Op = iota // the field gets these values; none: the field goes
	Add            // values join a list; those that are there already stay as they are
	Drop           // values leave a list
)

// Change is one change of a field of an entry or vendor.
type Change struct {
	Field  string // as EditableFields names it; a leading "spec." or "metadata." may stand in front
	Op     Op
	Values []string
}

// Kind says what an edit is about.
type Kind string

const (
	TrustKind  Kind = "Trust"
	VendorKind Kind = "Vendor"
)

// The reasons for which a file is not edited.
var (
	ErrNoEntry = errors.New("the file has no such entry")
	ErrTwice   = errors.New("the name is declared more than once")
	ErrField   = errors.New("is no field that can be edited")
	ErrValue   = errors.New("the value does not fit the field")
	// ErrForm: the entry is written in a way that cannot be edited in place.
	ErrForm = errors.New("it is written in a way that cannot be edited in place; edit it by hand")
)

// form is what a field's value may be.
type form uint8

const (
	textForm form = iota
	listForm
	spanForm
	dayForm
	numberForm
	truthForm
	otherForm // a block that is no single value
)

type editable struct {
	name string // as a person writes it
	path string // from the top of the document, parts set apart by blanks
	form form
}

// editables in the order in which the fields stand in an entry: a new field is put behind those that come before it.
var editables = map[Kind][]editable{
	TrustKind: {
		{"", "apiVersion", textForm}, {"", "kind", textForm}, {"", "metadata name", textForm},
		{"owner", "metadata owner", textForm}, {"ticket", "metadata ticket", textForm},
		{"purpose", "spec purpose", textForm}, {"category", "spec category", textForm},
		{"principals", "spec from principals", listForm}, {"services", "spec from services", listForm},
		{"issuer", "spec from oidc issuer", textForm}, {"audience", "spec from oidc audience", textForm}, {"subject", "spec from oidc claims sub", textForm},
		{"role", "spec to role", textForm}, {"to.resources", "spec to resources", listForm}, {"to.service", "spec to service", textForm},
		{"actions", "spec allow actions", listForm}, {"allow.resources", "spec allow resources", listForm},
		{"externalId", "spec trustConditions StringEquals sts:ExternalId", listForm}, {"", "spec context", otherForm},
		{"boundary", "spec boundary", textForm},
		{"session.max", "spec session max", spanForm}, {"session.chaining", "spec session chaining", textForm}, {"", "spec session tags", otherForm},
		{"use.every", "spec use every", spanForm}, {"use.grace", "spec use grace", spanForm}, {"use.needs", "spec use needs", spanForm},
		{"vendor", "spec vendor", textForm}, {"dataClass", "spec dataClass", textForm}, {"identity", "spec identity", textForm},
		{"approval.required", "spec approval required", numberForm}, {"approval.approvers", "spec approval approvers", listForm}, {"approval.denials", "spec approval denials", numberForm},
		{"approval.within", "spec approval within", spanForm},
		{"approval.requestedBy", "spec approval requestedBy", textForm}, {"approval.approvedBy", "spec approval approvedBy", textForm},
		{"breakGlass", "spec breakGlass", truthForm}, {"lastDrill", "spec lastDrill", dayForm}, {"expires", "spec expires", dayForm},
		{"review.every", "spec review every", spanForm}, {"review.last", "spec review last", dayForm}, {"review.by", "spec review by", listForm},
		{"review.reviewers", "spec review reviewers", numberForm}, {"review.escalate", "spec review escalate", listForm},
		{"review.quarantine", "spec review quarantine", spanForm},
	},
	VendorKind: {
		{"", "apiVersion", textForm}, {"", "kind", textForm}, {"", "metadata name", textForm},
		{"accounts", "spec accounts", listForm}, {"status", "spec status", textForm},
		{"contract.from", "spec contract from", dayForm}, {"contract.until", "spec contract until", dayForm},
		{"contact", "spec contact", textForm}, {"evidence", "spec evidence", textForm},
	},
}

// EditableFields names the fields that can be edited, in the order of an entry.
func EditableFields(k Kind) []string {
	var out []string
	for _, f := range editables[k] {
		if f.name != "" {
			out = append(out, f.name)
		}
	}
	return out
}

func (k Kind) field(name string) (editable, error) {
	for _, f := range editables[k] {
		if f.name == "" {
			continue
		}
		dotted := strings.ReplaceAll(f.path, " ", ".")
		_, short, _ := strings.Cut(dotted, ".")
		if name == f.name || name == dotted || name == short {
			return f, nil
		}
	}
	return editable{}, fmt.Errorf("%q %w: expected one of %s", name, ErrField, strings.Join(EditableFields(k), ", "))
}

// ParseChange reads a change as a person writes it: field=value sets, field= takes the field away, field+=value and field-=value change a
// list. Several values of a list are set apart by commas.
func ParseChange(k Kind, s string) (Change, error) {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" {
		return Change{}, fmt.Errorf("%q: %w: expected field=value, field+=value or field-=value", s, ErrValue)
	}
	c := Change{Field: name}
	switch name[len(name)-1] {
	case '+':
		c.Field, c.Op = name[:len(name)-1], Add
	case '-':
		c.Field, c.Op = name[:len(name)-1], Drop
	}
	f, err := k.field(c.Field)
	if err != nil {
		return Change{}, err
	}
	switch {
	case f.form == listForm:
		for _, v := range strings.Split(value, ",") {
			if v = strings.TrimSpace(v); v != "" {
				c.Values = append(c.Values, v)
			}
		}
	case value != "":
		c.Values = []string{value}
	}
	return c, c.check(f)
}

// check holds a change against the form of its field.
func (c *Change) check(f editable) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w: %s", c.Field, ErrValue, fmt.Sprintf(format, args...))
	}
	if f.form != listForm && (c.Op != Set || len(c.Values) > 1) {
		return bad("it is no list")
	}
	if c.Op != Set && len(c.Values) == 0 {
		return bad("a value is missing")
	}
	for _, v := range c.Values {
		if !utf8.ValidString(v) || strings.ContainsFunc(v, func(r rune) bool { return unicode.IsControl(r) || r == '\ufeff' || r == utf8.RuneError }) {
			return bad("%q has characters that no text has", v)
		}
		if strings.TrimSpace(v) == "" {
			return bad("it is empty; %s= takes the field away", c.Field)
		}
		var err error
		switch f.form {
		case spanForm:
			_, err = ParseSpan(v)
		case dayForm:
			_, err = ParseDay(v)
		case numberForm:
			if n, e := strconv.Atoi(v); e != nil || n < 0 {
				err = fmt.Errorf("%q is no number", v)
			}
		case truthForm:
			if v != "true" && v != "false" {
				err = fmt.Errorf("%q is neither true nor false", v)
			}
		}
		if err != nil {
			return bad("%v", err)
		}
	}
	return nil
}

// Edit changes one entry or vendor in the text of its file, and returns the new text: the same bytes where nothing changes.
func Edit(file string, data []byte, k Kind, name string, changes ...Change) ([]byte, error) {
	// Only the document that holds the declaration is read: a registry may be one file of thousands.
	p := section(data, k, name)
	part, err := editPart(Place{File: file, Line: bytes.Count(data[:p.from], []byte("\n"))}, data[p.from:p.to], k, name, changes)
	if err != nil {
		return nil, err
	}
	return slices.Concat(data[:p.from], part, data[p.to:]), nil
}

// editPart is Edit of a part of a file that begins behind the line before.
func editPart(before Place, data []byte, k Kind, name string, changes []Change) ([]byte, error) {
	for _, c := range changes {
		f, err := k.field(c.Field)
		if err == nil {
			err = c.check(f)
		}
		if err != nil {
			return nil, err
		}
		steps := []Change{c}
		if f.form == listForm && c.Op == Set && len(c.Values) > 0 {
			if steps, err = replaceList(before, data, k, name, f, c); err != nil {
				return nil, err
			}
		}
		for _, step := range steps {
			for _, one := range single(f, step) {
				if data, err = edit(before, data, k, name, f, one); err != nil {
					return nil, err
				}
			}
		}
	}
	return data, nil
}

// single takes a change of several values apart.
func single(f editable, c Change) []Change {
	if f.form != listForm || len(c.Values) < 2 {
		return []Change{c}
	}
	var out []Change
	for _, v := range c.Values {
		out = append(out, Change{c.Field, c.Op, []string{v}})
	}
	return out
}

// replaceList turns a list into another by what joins and what leaves, so that what stays keeps its place and its comments.
func replaceList(before Place, data []byte, k Kind, name string, f editable, c Change) ([]Change, error) {
	s, u, err := open(before, data, k, name)
	if err != nil {
		return nil, err
	}
	there, err := s.values(fieldsOf(u.node).find(strings.Fields(f.path)...))
	if err != nil {
		return nil, err
	}
	var steps []Change
	without := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(v string) bool { return slices.Contains(other, v) })
	}
	if join := without(c.Values, there); len(join) > 0 {
		steps = append(steps, Change{c.Field, Add, join})
	}
	if leave := without(there, c.Values); len(leave) > 0 {
		steps = append(steps, Change{c.Field, Drop, leave})
	}
	return steps, nil
}

// Remove takes an entry or vendor out of the text of its file, with the comments that stand directly above it. What is left is empty where it
// was the only thing in the file.
func Remove(file string, data []byte, k Kind, name string) ([]byte, error) {
	s, u, err := open(Place{File: file}, data, k, name)
	if err != nil {
		return nil, err
	}
	splices, err := s.takeOut(u)
	if err != nil {
		return nil, err
	}
	after := s.apply(splices)
	was, _ := unitsOf(data)
	is, err := unitsOf(after)
	if err != nil || !slices.Equal(leavesOf(slices.Delete(was, u.index, u.index+1)), leavesOf(is)) {
		return nil, s.refuse(u.node)
	}
	return after, nil
}

// edit makes a change of one value, and checks that it changed that and nothing else.
func edit(before Place, data []byte, k Kind, name string, f editable, c Change) ([]byte, error) {
	s, u, err := open(before, data, k, name)
	if err != nil {
		return nil, err
	}
	path := strings.Fields(f.path)
	node := fieldsOf(u.node).find(path...)
	there, err := s.values(node)
	if err != nil {
		return nil, err
	}
	want := c.Values
	var splices []splice
	switch {
	case c.Op == Add && slices.Contains(there, c.Values[0]), c.Op == Drop && !slices.Contains(there, c.Values[0]),
		c.Op == Set && slices.Equal(there, c.Values) && (len(there) > 0 || node == nil):
		return data, nil
	case c.Op == Add:
		want = append(slices.Clone(there), c.Values...)
		splices, err = s.add(k, u.node, path, f.form, c.Values[0])
	case c.Op == Drop:
		want = slices.DeleteFunc(slices.Clone(there), func(v string) bool { return v == c.Values[0] })
		if len(want) == 0 {
			splices, err = s.unset(u.node, path)
		} else {
			splices, err = s.drop(node, c.Values[0])
		}
	case len(c.Values) == 0:
		splices, err = s.unset(u.node, path)
	default:
		splices, err = s.set(k, u.node, path, f.form, c.Values[0])
	}
	if err != nil {
		return nil, err
	}
	after := s.apply(splices)
	if !s.only(u, after, path, want) {
		if node == nil {
			node = u.node
		}
		return nil, s.refuse(node)
	}
	return after, nil
}

// values are the values of a field: of a list its items, of a text itself; none where there is no node or an empty one.
func (s *source) values(n *yaml.Node) ([]string, error) {
	switch {
	case n == nil || isNull(n):
		return nil, nil
	case n.Kind == yaml.ScalarNode:
		if n.Value == "" {
			return nil, nil
		}
		return []string{n.Value}, nil
	case n.Kind == yaml.SequenceNode:
		var out []string
		for _, item := range n.Content {
			if item.Kind != yaml.ScalarNode || isNull(item) {
				return nil, s.refuse(item)
			}
			out = append(out, item.Value)
		}
		return out, nil
	}
	return nil, s.refuse(n)
}

// leaf is one value of a declaration, with the way to it.
type leaf struct{ path, value string }

// leaves are the values of a node. Collections without members are values too.
func leaves(n *yaml.Node, path string, out []leaf) []leaf {
	switch {
	case n.Kind == yaml.MappingNode && len(n.Content) > 0:
		for _, f := range fieldsOf(n) {
			out = leaves(f.value, path+"\x00"+f.key.Value, out)
		}
		return out
	case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
		for i, item := range n.Content {
			out = leaves(item, path+"\x00#"+strconv.Itoa(i), out)
		}
		return out
	}
	return append(out, leaf{path, fmt.Sprint(n.Kind, n.Tag, n.Anchor, "\x00", n.Value)})
}

func leavesOf(units []unit) []leaf {
	var out []leaf
	for i, u := range units {
		out = leaves(u.node, strconv.Itoa(i), out)
	}
	return out
}

// only reports whether the new text differs from the old in the values of one field alone, and has the wanted ones there.
func (s *source) only(u unit, after []byte, path, want []string) bool {
	was := s.units
	is, err := unitsOf(after)
	if err != nil || len(is) != len(was) {
		return false
	}
	n := fieldsOf(is[u.index].node).find(path...)
	got, err := s.values(n)
	if err != nil || !slices.Equal(got, want) || len(want) == 0 && n != nil {
		return false
	}
	changed := strconv.Itoa(u.index) + "\x00" + strings.Join(path, "\x00")
	other := func(units []unit) []leaf {
		return slices.DeleteFunc(leavesOf(units), func(l leaf) bool {
			return l.path == changed || strings.HasPrefix(l.path, changed+"\x00") || strings.HasPrefix(changed, l.path+"\x00")
		})
	}
	return slices.Equal(other(was), other(is))
}
