package policy

import (
	"cmp"
	"fmt"
	"slices"
)

// Canonical prints the document in one form for all documents that say the same in the same order: AWS's order of
// elements, a scalar where a list has one value, lists sorted where their order has no meaning (everything but statements),
// no white space. A statement that Parse did not understand is printed as it was written, so that nothing of it is lost.
// Parse(Canonical(d)) means what d means, and prints the same again; of a document with a Fatal problem nothing is promised.
func (d *Document) Canonical() []byte {
	var w writer
	w.open()
	w.field("Version", d.Version.Value)
	w.field("Id", d.ID.Value)
	w.key("Statement")
	w.raw("[")
	for i := range d.Statements {
		if i > 0 {
			w.raw(",")
		}
		w.statement(&d.Statements[i])
	}
	w.raw("]")
	w.close()
	return w.out
}

// MarshalJSON prints the canonical form. There is no error.
func (d *Document) MarshalJSON() ([]byte, error) { return d.Canonical(), nil }

// Key identifies what the document says: equal keys, equal documents.
func (d *Document) Key() string { return string(d.Canonical()) }

// writer builds JSON by hand, because the order of keys is part of the form.
type writer struct {
	out   []byte
	comma bool
}

func (w *writer) raw(s string) { w.out = append(w.out, s...) }
func (w *writer) open()        { w.raw("{"); w.comma = false }
func (w *writer) close()       { w.raw("}"); w.comma = true }

func (w *writer) string(s string) {
	w.raw(`"`)
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			w.out = append(w.out, '\\', c)
		case c < 0x20:
			w.out = fmt.Appendf(w.out, `\u%04x`, c)
		default:
			w.out = append(w.out, c)
		}
	}
	w.raw(`"`)
}

func (w *writer) key(k string) {
	if w.comma {
		w.raw(",")
	}
	w.string(k)
	w.raw(":")
	w.comma = true
}

// field writes a string element, unless it is empty.
func (w *writer) field(key, value string) {
	if value != "" {
		w.key(key)
		w.string(value)
	}
}

// values writes a sorted list without duplicates, a scalar where it has one value.
func (w *writer) values(texts []Text) {
	values := make([]string, len(texts))
	for i := range texts {
		values[i] = texts[i].Value
	}
	slices.Sort(values)
	values = slices.Compact(values)
	if len(values) == 1 {
		w.string(values[0])
		return
	}
	w.raw("[")
	for i, v := range values {
		if i > 0 {
			w.raw(",")
		}
		w.string(v)
	}
	w.raw("]")
}

func (w *writer) statement(s *Statement) {
	if s.raw != "" {
		w.raw(s.raw)
		w.comma = true
		return
	}
	w.open()
	w.field("Sid", s.Sid.Value)
	if s.Effect != NoEffect {
		w.field("Effect", s.Effect.String())
	}
	w.principal(&s.Principal)
	w.element("Action", &s.Action)
	w.element("Resource", &s.Resource)
	if len(s.Condition) > 0 {
		w.key("Condition")
		w.conditions(s.Condition)
	}
	w.close()
}

func (w *writer) element(name string, e *Element) {
	if !e.Present {
		return
	}
	if e.Not {
		name = "Not" + name
	}
	w.key(name)
	w.values(e.Values)
}

func (w *writer) principal(e *PrincipalElement) {
	if !e.Present {
		return
	}
	name := "Principal"
	if e.Not {
		name = "NotPrincipal"
	}
	w.key(name)
	if len(e.Values) == 1 && e.Values[0].Type == AnyPrincipal {
		w.string("*")
		return
	}
	w.open()
	for _, t := range [...]PrincipalType{AWS, Service, Federated, CanonicalUser} {
		var texts []Text
		for i := range e.Values {
			// Beside other principals "*" needs a type; it means the same under AWS.
			if got := e.Values[i].Type; got == t || got == AnyPrincipal && t == AWS {
				texts = append(texts, e.Values[i].Text)
			}
		}
		if len(texts) > 0 {
			w.key(t.String())
			w.values(texts)
		}
	}
	w.close()
}

// conditions writes operators and keys in order of name.
func (w *writer) conditions(conditions []Condition) {
	sorted := slices.Clone(conditions)
	slices.SortStableFunc(sorted, func(a, b Condition) int {
		return cmp.Or(cmp.Compare(a.Operator.Value, b.Operator.Value), cmp.Compare(a.Key.Value, b.Key.Value))
	})
	w.open()
	for i := 0; i < len(sorted); {
		operator := sorted[i].Operator.Value
		w.key(operator)
		w.open()
		for ; i < len(sorted) && sorted[i].Operator.Value == operator; i++ {
			w.key(sorted[i].Key.Value)
			w.values(sorted[i].Values)
		}
		w.close()
	}
	w.close()
}
