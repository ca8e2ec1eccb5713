// Package decision reads and answers single authorization decisions: a request with all its policies in one JSON object,
// the notation of `drawbridge eval`. The format is documented in docs/eval.md.
package decision

//go:generate go run ./gen

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// item is the outside form of one decision.
type item struct {
	Name             string                     `json:"name"`
	Principal        string                     `json:"principal"`
	PrincipalRole    string                     `json:"principalRole"`
	PrincipalAccount string                     `json:"principalAccount"`
	Action           string                     `json:"action"`
	Resource         string                     `json:"resource"`
	ResourceAccount  string                     `json:"resourceAccount"`
	Context          map[string]json.RawMessage `json:"context"`
	Unknown          []string                   `json:"unknown"`
	Identity         documents                  `json:"identity"`
	ResourcePolicy   documents                  `json:"resourcePolicy"`
	Boundary         documents                  `json:"boundary"`
	Session          documents                  `json:"session"`
	SCPs             []documents                `json:"scps"`
	RCPs             []documents                `json:"rcps"`
	Endpoint         documents                  `json:"endpoint"`
	Expect           string                     `json:"expect"`
	Note             string                     `json:"note"`
	Rules            []int                      `json:"rules"`  // numbers of docs/reference/semantics.md that the case is about
	Source           string                     `json:"source"` // where AWS says so
	situation
}

// documents is a list of policy documents; one document may stand without its list.
type documents []json.RawMessage

func (d *documents) UnmarshalJSON(text []byte) error {
	switch text = bytes.TrimSpace(text); {
	case bytes.Equal(text, []byte("null")):
		return nil
	case len(text) > 0 && text[0] == '[':
		list := []json.RawMessage{}
		err := json.Unmarshal(text, &list)
		*d = list
		return err
	}
	*d = documents{slices.Clone(text)}
	return nil
}

// Decision is one decision, read and compiled.
type Decision struct {
	Name   string
	Expect string // "" where nothing is expected
	// Stops is the step at which a chain is expected to stop, nil where nothing is expected.
	Stops   *int
	Rules   []int
	Source  string
	Request eval.Request
	// Also are the requests on the other resources that the same call touches (rule 89).
	Also []eval.Request
	// Chain is set where roles are assumed before the request is made. Its end is Request.
	Chain    *eval.Chain
	Readings cond.Readings
	names    names
	hopNames []names
}

// names are what documents are called in the input, by layer and level.
type names map[eval.Layer][][]string

// Problem is an item, or a part of the input, that could not be used.
type Problem struct {
	File         string
	Line, Column int
	Name         string // of the item, "" where it has none
	Err          error
}

func (p Problem) Error() string {
	where := fmt.Sprintf("%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Name != "" {
		where += p.Name + ": "
	}
	return where + p.Err.Error()
}

func (p Problem) Unwrap() error { return p.Err }

// Read reads decisions: a JSON array, one JSON object, or objects after each other as in JSON lines. What cannot be used is
// a Problem with its place; the rest is read all the same: after text that is no JSON, reading goes on at the next line that
// begins an object, except inside an array, which is then read no further.
func Read(data []byte, file string) ([]Decision, []Problem) {
	r := &reader{data: data, file: file}
	if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		r.shift = 3
	}
	if rest := bytes.TrimLeft(data[r.shift:], " \t\r\n"); len(rest) > 0 && rest[0] == '[' {
		r.array()
	} else {
		r.objects()
	}
	return r.decisions, r.problems
}

// array reads the items of a JSON array and nothing after it.
func (r *reader) array() {
	d := json.NewDecoder(bytes.NewReader(r.data[r.shift:]))
	at := func() int { return r.shift + int(d.InputOffset()) }
	if _, err := d.Token(); err != nil {
		r.problem(at(), "", err)
		return
	}
	for d.More() {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			r.problem(at(), "", fmt.Errorf("nothing more was read: %w", err))
			return
		}
		r.item(raw, at()-len(raw))
	}
	if _, err := d.Token(); err != nil {
		r.problem(at(), "", fmt.Errorf("the list does not end: %w", err))
		return
	}
	if rest := bytes.TrimLeft(r.data[at():], " \t\r\n"); len(rest) > 0 {
		r.problem(len(r.data)-len(rest), "", errors.New("text after the end of the list was not read"))
	}
}

// objects reads objects after each other. One that is broken costs the lines up to the next that begins an object.
func (r *reader) objects() {
	begin := r.shift
	for {
		d := json.NewDecoder(bytes.NewReader(r.data[begin:]))
		for {
			var raw json.RawMessage
			err := d.Decode(&raw)
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				at := r.skipBlanks(begin + int(d.InputOffset()))
				begin = r.nextObject(at)
				if begin == len(r.data) {
					err = fmt.Errorf("nothing more was read: %w", err)
				} else {
					err = fmt.Errorf("reading goes on at the next line that begins an object: %w", err)
				}
				r.problem(at, "", err)
				break
			}
			r.item(raw, begin+int(d.InputOffset())-len(raw))
		}
	}
}

func (r *reader) skipBlanks(at int) int {
	return len(r.data) - len(bytes.TrimLeft(r.data[at:], " \t\r\n"))
}

// nextObject is where the next line that begins an object begins, after offset at; the end where there is none.
func (r *reader) nextObject(at int) int {
	if i := bytes.Index(r.data[at:], []byte("\n{")); i >= 0 {
		return at + i + 1
	}
	return len(r.data)
}

type reader struct {
	data      []byte
	file      string
	shift     int
	decisions []Decision
	problems  []Problem
}

func (r *reader) problem(offset int, name string, err error) {
	before := r.data[:min(max(offset, 0), len(r.data))]
	r.problems = append(r.problems, Problem{
		File: r.file, Line: bytes.Count(before, []byte("\n")) + 1, Column: len(before) - bytes.LastIndexByte(before, '\n'), Name: name, Err: err,
	})
}

func (r *reader) item(raw []byte, offset int) {
	var in item
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		at := offset
		if _, field, found := strings.Cut(err.Error(), "unknown field "); found {
			at += max(0, bytes.Index(raw, []byte(field)))
		}
		r.problem(at, nameOf(raw), err)
		return
	}
	b := builder{in: &in, raw: raw, decision: Decision{Name: in.Name, Expect: in.Expect, Stops: in.Stops, Rules: in.Rules, Source: in.Source, names: names{}}}
	if err := b.build(); err != nil {
		at := offset
		var broken documentError
		if errors.As(err, &broken) {
			at += broken.offset
		}
		r.problem(at, in.Name, err)
		return
	}
	r.decisions = append(r.decisions, b.decision)
}

// nameOf is the name of an item that cannot be read otherwise, "" where not even that can.
func nameOf(raw []byte) string {
	var named struct {
		Name any `json:"name"`
	}
	_ = json.Unmarshal(raw, &named) // the item's own error is reported
	name, _ := named.Name.(string)
	return name
}

// documentError is a policy document that cannot be evaluated, at an offset of the item.
type documentError struct {
	offset int
	name   string
	reason string
}

func (e documentError) Error() string { return e.name + ": " + e.reason }

type builder struct {
	in       *item
	raw      []byte
	decision Decision
	policies eval.Policies
}

// Expectations are the values of expect, the verdicts of the outside format.
var Expectations = []string{"Allowed", "ImplicitlyDenied", "ExplicitlyDenied", "Unknown"}

func (b *builder) build() error {
	in := b.in
	if in.Expect != "" && !slices.Contains(Expectations, in.Expect) {
		return fmt.Errorf("expect %q is none of %s", in.Expect, strings.Join(Expectations, ", "))
	}
	var err error
	if b.decision.Readings, err = readingsOf(in.Readings); err != nil {
		return err
	}
	caller, err := in.caller()
	if err != nil {
		return err
	}
	action, err := eval.ActionOf(in.Action)
	if err != nil {
		return err
	}
	if err := resourceName(in.Resource); err != nil {
		return err
	}
	if err := b.layers(); err != nil {
		return err
	}
	ctx, err := in.context(caller.Context())
	if err != nil {
		return err
	}
	facts, err := b.facts(b.decision.names)
	if err != nil {
		return err
	}
	b.policies.Gateway = in.Gateway
	b.decision.Request = eval.Request{Caller: caller, Action: action, Resource: in.Resource, ResourceAccount: in.ResourceAccount, Context: ctx, Policies: &b.policies, Facts: facts}
	if err := b.also(); err != nil {
		return err
	}
	return b.chain()
}

func resourceName(name string) error {
	if name == "*" {
		return nil
	}
	if _, err := arn.Parse(name); err != nil {
		return fmt.Errorf("resource: %w", err)
	}
	return nil
}

// context is the keys of the request over those of the caller.
func (in *item) context(parent *cond.Context) (*cond.Context, error) {
	if in.Arrival != nil {
		parent = eval.Arrival{SourceIP: in.Arrival.SourceIP, Endpoint: in.Arrival.Endpoint, VPC: in.Arrival.VPC, PrivateIP: in.Arrival.PrivateIP,
			CalledVia: in.Arrival.CalledVia}.Context(parent)
	}
	ctx := &cond.Context{Parent: parent}
	for key, text := range in.Context {
		values, err := ContextValue(text)
		if err != nil {
			return nil, fmt.Errorf("context key %s: %w", key, err)
		}
		ctx.Set(key, values...)
	}
	for _, key := range in.Unknown {
		ctx.SetUnknown(key)
	}
	return ctx, nil
}

// layers reads the documents of every layer. What is not given does not apply.
func (b *builder) layers() error {
	in, n := b.in, b.decision.names
	var err error
	if b.policies.Identity, err = b.set(n, eval.Identity, "identity", in.Identity); err != nil {
		return err
	}
	if b.policies.Resource, err = b.optional(n, eval.Resource, "resourcePolicy", in.ResourcePolicy); err != nil {
		return err
	}
	if b.policies.Boundary, err = b.optional(n, eval.Boundary, "boundary", in.Boundary); err != nil {
		return err
	}
	if b.policies.Session, err = b.optional(n, eval.Session, "session", in.Session); err != nil {
		return err
	}
	if b.policies.Endpoint, err = b.optional(n, eval.Endpoint, "endpoint", in.Endpoint); err != nil {
		return err
	}
	if b.policies.SCPs, err = b.levels(n, eval.SCP, "scps", in.SCPs); err != nil {
		return err
	}
	if b.policies.RCPs, err = b.levels(n, eval.RCP, "rcps", in.RCPs); err != nil {
		return err
	}
	b.shares()
	n[eval.Trust] = n[eval.Resource]
	return nil
}

// optional reads the documents of a layer that need not apply.
func (b *builder) optional(n names, layer eval.Layer, name string, d documents) (*eval.Set, error) {
	if d == nil {
		return nil, nil
	}
	s, err := b.set(n, layer, name, d)
	return &s, err
}

// levels reads SCPs or RCPs.
func (b *builder) levels(n names, layer eval.Layer, name string, list []documents) ([]eval.Set, error) {
	var sets []eval.Set
	for i, level := range list {
		s, err := b.set(n, layer, fmt.Sprintf("%s[%d]", name, i), level)
		if err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	return sets, nil
}

func (b *builder) set(n names, layer eval.Layer, name string, list documents) (eval.Set, error) {
	var s eval.Set
	var called []string
	for i, raw := range list {
		one := name
		if len(list) > 1 || layer == eval.Identity || layer == eval.SCP || layer == eval.RCP {
			one = fmt.Sprintf("%s[%d]", name, i)
		}
		p, err := b.document(one, raw)
		if err != nil {
			return s, err
		}
		s.Policies = append(s.Policies, p)
		called = append(called, one)
	}
	n[layer] = append(n[layer], called)
	return s, nil
}

func (b *builder) document(name string, raw json.RawMessage) (*policy.Policy, error) {
	text := []byte(raw)
	var quoted string
	if json.Unmarshal(raw, &quoted) == nil {
		text = []byte(quoted) // as a string, possibly URL-encoded, as the API returns documents
	}
	d, problems := policy.Parse(text)
	for _, p := range problems {
		if p.Fatal || d == nil {
			offset := max(0, bytes.Index(b.raw, raw))
			if quoted == "" {
				offset += int(p.Pos.Offset)
			}
			return nil, documentError{offset, name, p.Message}
		}
	}
	return policy.CompileUnder(d, b.decision.Readings), nil
}

// ContextValue reads one value of a request context as the outside formats write it: a string, a number, a boolean, or a
// list of them.
func ContextValue(text json.RawMessage) ([]string, error) {
	list := []json.RawMessage{text}
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '[' {
		list = nil
		if err := json.Unmarshal(trimmed, &list); err != nil {
			return nil, err
		}
	}
	values := make([]string, 0, len(list))
	for _, raw := range list {
		var v any
		d := json.NewDecoder(bytes.NewReader(raw))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		switch v := v.(type) {
		case string:
			values = append(values, v)
		case json.Number, bool:
			values = append(values, fmt.Sprint(v))
		default:
			return nil, fmt.Errorf("expected a string, a number, a boolean or a list of them, found %s", raw)
		}
	}
	return values, nil
}
