package registry

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"drawbridge/iam/cond"
)

// Problem is a mistake in a registry file, at its place.
type Problem struct {
	Place
	Entry   string // name of the entry, "" where it has none
	Message string
	// Warning: the entry is usable all the same.
	Warning bool
}

func (p Problem) Error() string {
	where := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Entry != "" {
		where += p.Entry + ": "
	}
	return where + p.Message
}

// APIVersion is the version of the format.
const APIVersion = "drawbridge/v1"

// Parse reads one file: YAML documents, each an entry (kind: Trust), a vendor (kind: Vendor) or something of another kind that this
// package does not read (kind: Exception), or JSON of the same shape, an object or a list. What cannot be read is a Problem, and the
// rest is read all the same.
func Parse(file string, data []byte) (*Registry, []Problem) {
	r := &reader{file: file, out: &Registry{}}
	d := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var n yaml.Node
		err := d.Decode(&n)
		switch {
		case errors.Is(err, io.EOF):
			return r.out, r.problems
		case err != nil: // the decoder cannot go on
			line, text := lineOf(err)
			r.problems = append(r.problems, Problem{Place: Place{file, line, 1}, Message: text})
			return r.out, r.problems
		}
		for _, body := range n.Content {
			r.document(body)
		}
	}
}

// lineOf takes the line from an error of the YAML decoder ("yaml: line 3: …").
func lineOf(err error) (line int, text string) {
	text = strings.TrimPrefix(err.Error(), "yaml: ")
	if number, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok {
		if n, err := strconv.Atoi(number); err == nil {
			return max(n, 1), rest
		}
	}
	return 1, text
}

type reader struct {
	file     string
	entry    string
	out      *Registry
	problems []Problem
}

func (r *reader) place(n *yaml.Node) Place {
	if n == nil || n.Line == 0 {
		return Place{r.file, 1, 1}
	}
	return Place{r.file, n.Line, n.Column}
}

func (r *reader) problem(n *yaml.Node, format string, args ...any) {
	r.problems = append(r.problems, Problem{Place: r.place(n), Entry: r.entry, Message: fmt.Sprintf(format, args...)})
}

// document reads one document, or each item of a list.
func (r *reader) document(n *yaml.Node) {
	switch {
	case isNull(n):
		return
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			r.document(item)
		}
		return
	}
	r.entry = ""
	m, ok := r.mapping(n, "a registry entry")
	if !ok {
		return
	}
	if name := m.find("metadata", "name"); name != nil {
		r.entry, _ = text(name)
	}
	kind, _ := text(m.find("kind"))
	switch kind {
	case "Trust":
		r.trust(n, m)
	case "Vendor":
		r.vendor(n, m)
	case "Exception": // read by the package of findings
	case "":
		r.problem(n, "kind is missing: expected Trust, Vendor or Exception")
	default:
		r.problem(m.find("kind"), "kind %q is not known: expected Trust, Vendor or Exception", kind)
	}
}

func isNull(n *yaml.Node) bool { return n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// field is one key of a mapping with its value.
type field struct{ key, value *yaml.Node }

// fields is a mapping in the order of the file.
type fields []field

func (r *reader) mapping(n *yaml.Node, what string) (fields, bool) {
	if isNull(n) {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		r.problem(n, "expected %s with fields", what)
		return nil, false
	}
	return fieldsOf(n), true
}

func fieldsOf(n *yaml.Node) fields {
	var f fields
	for i := 0; i+1 < len(n.Content); i += 2 {
		f = append(f, field{n.Content[i], n.Content[i+1]})
	}
	return f
}

// find is the value under keys, nil where there is none.
func (f fields) find(keys ...string) *yaml.Node {
	for _, v := range f {
		if v.key.Value != keys[0] {
			continue
		}
		if len(keys) == 1 {
			return v.value
		}
		if v.value.Kind == yaml.MappingNode {
			return fieldsOf(v.value).find(keys[1:]...)
		}
	}
	return nil
}

// text is a scalar as text.
func text(n *yaml.Node) (string, bool) {
	switch {
	case isNull(n):
		return "", true
	case n.Kind == yaml.ScalarNode:
		return n.Value, true
	}
	return "", false
}

// object reads a mapping, each known field by its function. An unknown field and one that comes twice are problems.
func (r *reader) object(n *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	m, ok := r.mapping(n, what)
	if !ok {
		return
	}
	seen := map[string]bool{}
	for _, v := range m {
		key := v.key.Value
		read, ok := known[key]
		switch {
		case seen[key]:
			r.problem(v.key, "the field %q comes twice", key)
		case !ok:
			names := make([]string, 0, len(known))
			for k := range known {
				names = append(names, k)
			}
			slices.Sort(names)
			r.problem(v.key, "%s has no field %q: expected %s", what, key, strings.Join(names, ", "))
		default:
			read(v.value)
		}
		seen[key] = true
	}
}

func (r *reader) text(into *string, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, ok := text(n)
		if !ok {
			r.problem(n, "%s: expected text", field)
		}
		*into = s
	}
}

func (r *reader) texts(into *[]string, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			if s, ok := text(n); ok && s != "" {
				*into = []string{s}
			} else if !ok {
				r.problem(n, "%s: expected a list of texts", field)
			}
			return
		}
		for _, item := range n.Content {
			s, ok := text(item)
			if !ok || s == "" {
				r.problem(item, "%s: expected text", field)
				continue
			}
			*into = append(*into, s)
		}
	}
}

// pairs reads names with texts. A name that comes twice is a problem.
func (r *reader) pairs(into *map[string]string, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		list, _ := r.mapping(n, field)
		out := make(map[string]string, len(list))
		for _, p := range list {
			if _, ok := out[p.key.Value]; ok {
				r.problem(p.key, "%s: %q comes twice", field, p.key.Value)
			}
			var value string
			r.text(&value, p.key.Value)(p.value)
			out[p.key.Value] = value
		}
		*into = out
	}
}

func (r *reader) span(into *time.Duration, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, _ := text(n)
		if s == "" {
			return
		}
		d, err := ParseSpan(s)
		if err != nil {
			r.problem(n, "%s: %v", field, err)
		}
		*into = d
	}
}

func (r *reader) day(into *Day, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, _ := text(n)
		if s == "" {
			return
		}
		d, err := ParseDay(s)
		if err != nil {
			r.problem(n, "%s: %v", field, err)
		}
		*into = d
	}
}

func (r *reader) number(into *int, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		s, _ := text(n)
		v, err := strconv.Atoi(s)
		if err != nil || v < 0 {
			r.problem(n, "%s: expected a number, found %q", field, s)
		}
		*into = v
	}
}

func (r *reader) truth(into *bool, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			r.problem(n, "%s: expected true or false", field)
			return
		}
		*into = n.Value == "true"
	}
}

// conditions reads a condition block: operator, key, value or values.
func (r *reader) conditions(into *cond.Block, field string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		operators, ok := r.mapping(n, field)
		if !ok {
			return
		}
		for _, o := range operators {
			keys, ok := r.mapping(o.value, field+": "+o.key.Value)
			if !ok {
				continue
			}
			for _, k := range keys {
				var values []string
				r.texts(&values, field)(k.value)
				test := cond.CompileTest(o.key.Value, k.key.Value, values, true)
				if test.NotUnderstood != "" {
					r.problem(k.key, "%s: %s", field, test.NotUnderstood)
				}
				*into = append(*into, test)
			}
		}
	}
}

func (r *reader) version(n *yaml.Node) {
	if s, _ := text(n); s != APIVersion {
		r.problem(n, "apiVersion %q is not known: expected %s", s, APIVersion)
	}
}

func ignore(*yaml.Node) {}

// trust reads an entry.
func (r *reader) trust(n *yaml.Node, m fields) {
	e := Entry{Place: r.place(firstKey(n, m))}
	r.object(n, "an entry", map[string]func(*yaml.Node){
		"apiVersion": r.version,
		"kind":       ignore,
		"metadata": func(n *yaml.Node) {
			r.object(n, "metadata", map[string]func(*yaml.Node){
				"name": r.text(&e.Name, "name"), "owner": r.text(&e.Owner, "owner"), "ticket": r.text(&e.Ticket, "ticket"),
			})
		},
		"spec": func(n *yaml.Node) { r.spec(n, &e) },
	})
	if m.find("apiVersion") == nil {
		r.problem(n, "apiVersion is missing: expected %s", APIVersion)
	}
	r.out.Entries = append(r.out.Entries, e)
}

func firstKey(n *yaml.Node, m fields) *yaml.Node {
	if len(m) > 0 {
		return m[0].key
	}
	return n
}

func (r *reader) spec(n *yaml.Node, e *Entry) {
	r.object(n, "spec", map[string]func(*yaml.Node){
		"purpose":  r.text(&e.Purpose, "purpose"),
		"category": r.text((*string)(&e.Category), "category"),
		"from": func(n *yaml.Node) {
			r.object(n, "from", map[string]func(*yaml.Node){
				"principals": r.texts(&e.From.Principals, "principals"), "services": r.texts(&e.From.Services, "services"),
				"oidc": func(n *yaml.Node) { e.From.OIDC = r.oidc(n) },
			})
		},
		"to": func(n *yaml.Node) {
			r.object(n, "to", map[string]func(*yaml.Node){
				"role": r.text(&e.To.Role, "role"), "resources": r.texts(&e.To.Resources, "resources"), "service": r.text(&e.To.Service, "service"),
			})
		},
		"allow": func(n *yaml.Node) {
			r.object(n, "allow", map[string]func(*yaml.Node){"actions": r.texts(&e.Actions, "actions"), "resources": r.texts(&e.Resources, "resources")})
		},
		"trustConditions": r.conditions(&e.TrustConditions, "trustConditions"),
		"context":         r.conditions(&e.Context, "context"),
		"boundary":        r.text(&e.Boundary, "boundary"),
		"session": func(n *yaml.Node) {
			r.object(n, "session", map[string]func(*yaml.Node){"max": r.span(&e.Session.Max, "max"), "chaining": r.text(&e.Session.Chaining, "chaining"), "tags": r.pairs(&e.Session.Tags, "tags")})
		},
		"use": func(n *yaml.Node) {
			r.object(n, "use", map[string]func(*yaml.Node){
				"every": r.span(&e.Use.Every, "every"), "grace": r.span(&e.Use.Grace, "grace"), "needs": r.span(&e.Use.Needs, "needs"),
			})
		},
		"vendor":    r.text(&e.Vendor, "vendor"),
		"dataClass": r.text(&e.DataClass, "dataClass"),
		"identity":  r.text(&e.Identity, "identity"),
		"approval": func(n *yaml.Node) {
			r.object(n, "approval", map[string]func(*yaml.Node){
				"required": r.number(&e.Approval.Required, "required"), "approvers": r.texts(&e.Approval.Approvers, "approvers"), "denials": r.number(&e.Approval.Denials, "denials"), "within": r.span(&e.Approval.Within, "within"), "automatic": r.truth(&e.Approval.Automatic, "automatic"),
				"requestedBy": r.text(&e.RequestedBy, "requestedBy"), "approvedBy": r.text(&e.ApprovedBy, "approvedBy"),
			})
		},
		"breakGlass": r.truth(&e.BreakGlass, "breakGlass"),
		"lastDrill":  r.day(&e.LastDrill, "lastDrill"),
		"expires":    r.day(&e.Expires, "expires"),
		"review": func(n *yaml.Node) {
			r.object(n, "review", map[string]func(*yaml.Node){
				"every": r.span(&e.Review.Every, "every"), "last": r.day(&e.Review.Last, "last"), "by": r.texts(&e.Review.By, "by"), "reviewers": r.number(&e.Review.Reviewers, "reviewers"),
				"escalate": r.texts(&e.Review.Escalate, "escalate"), "quarantine": r.span(&e.Review.Quarantine, "quarantine"),
			})
		},
	})
}

func (r *reader) oidc(n *yaml.Node) *OIDC {
	o := &OIDC{Claims: map[string]string{}}
	r.object(n, "oidc", map[string]func(*yaml.Node){
		"issuer": r.text(&o.Issuer, "issuer"), "audience": r.text(&o.Audience, "audience"),
		"claims": r.pairs(&o.Claims, "claims"),
	})
	return o
}

// vendor reads a vendor.
func (r *reader) vendor(n *yaml.Node, m fields) {
	v := Vendor{Place: r.place(firstKey(n, m))}
	r.object(n, "a vendor", map[string]func(*yaml.Node){
		"apiVersion": r.version,
		"kind":       ignore,
		"metadata": func(n *yaml.Node) {
			r.object(n, "metadata", map[string]func(*yaml.Node){"name": r.text(&v.Name, "name")})
		},
		"spec": func(n *yaml.Node) {
			r.object(n, "spec", map[string]func(*yaml.Node){
				"accounts": r.texts(&v.Accounts, "accounts"), "status": r.text(&v.Status, "status"), "contact": r.text(&v.Contact, "contact"), "evidence": r.text(&v.Evidence, "evidence"),
				"contract": func(n *yaml.Node) {
					r.object(n, "contract", map[string]func(*yaml.Node){"from": r.day(&v.From, "from"), "until": r.day(&v.Until, "until")})
				},
			})
		},
	})
	r.out.Vendors = append(r.out.Vendors, v)
}
