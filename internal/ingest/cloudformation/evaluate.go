package cloudformation

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"drawbridge/internal/snapshot"
)

// stack is one template with what is known of where it will be: the root stack, or one nested in it.
type stack struct {
	o          *Options
	file       string
	prefix     string // of addresses: "" for the root, "Network." for what the nested stack Network makes
	root       *node
	parameters map[string]*parameter
	conditions map[string]*truthValue
	resources  map[string]*resource
	order      []*resource
	gaps       []snapshot.Gap
	resolving  map[string]bool
	expanded   int             // values that loops made
	noEcho     bool            // a parameter that is marked as secret was used since this was last set to false
	used       map[string]bool // parameters that were used since it was last made
	depth      int
}

type parameter struct {
	raw    *node
	value  *node
	secret bool
}

// truthValue is a condition of the template: decided, or not known with the reason.
type truthValue struct {
	is, known, busy bool
	why             string
}

func literal(s string, at place) *node { return &node{kind: text, text: s, pos: at} }

// lost is a value of which nothing is known.
func lost(mark, why string, at place) *node {
	return &node{kind: text, text: mark, pos: at, open: []missing{{mark: mark, why: why}}}
}

func (s *stack) source(at place) snapshot.Source {
	return snapshot.Source{File: s.file, Line: at.line, Column: at.column}
}

func (s *stack) gap(k snapshot.GapKind, subject, reason string, at place) {
	g := snapshot.Gap{Kind: k, Subject: subject, Account: s.o.Account, Reason: reason, Source: s.source(at)}
	if !slices.Contains(s.gaps, g) {
		s.gaps = append(s.gaps, g)
	}
}

// wrong is a value that the template does not say in a way that is understood.
func (s *stack) wrong(at place, format string, args ...any) *node {
	why := fmt.Sprintf(format, args...)
	if !strings.HasPrefix(why, "is ") && !strings.HasPrefix(why, "depends ") {
		why = "cannot be worked out: " + why
	}
	return lost(fmt.Sprintf("{%d:%d}", at.line, at.column), why, at)
}

// eval is what a value becomes; nil where it is AWS::NoValue.
func (s *stack) eval(n *node) *node {
	if n == nil {
		return nil
	}
	if s.depth++; s.depth > maxDepth*2 {
		s.depth--
		return s.wrong(n.pos, "is nested too deep")
	}
	defer func() { s.depth-- }()
	switch n.kind {
	case text:
		return s.dynamic(n)
	case list:
		out := &node{kind: list, pos: n.pos}
		for _, i := range n.items {
			if v := s.eval(i); v != nil {
				out.items = append(out.items, v)
			}
		}
		return out
	case object:
		if name, argument, ok := function(n); ok {
			return s.call(name, argument, n.pos)
		}
		out := &node{kind: object, pos: n.pos}
		for _, f := range n.fields {
			if f.key == "Fn::Transform" {
				return s.wrong(f.pos, "is written by the macro %s", cmp.Or(f.get("Name").string(), "in Fn::Transform"))
			}
			if strings.HasPrefix(f.key, "Fn::") {
				return s.wrong(f.pos, "%s stands beside other keys, and a function stands alone", f.key)
			}
			if v := s.eval(f.node); v != nil {
				out.fields = append(out.fields, field{f.key, f.pos, v})
			}
		}
		return out
	}
	return n
}

// function is the function that an object calls, where it is none of data.
func function(n *node) (name string, argument *node, ok bool) {
	if n.kind != object || len(n.fields) != 1 {
		return "", nil, false
	}
	f := n.fields[0]
	if f.key == "Ref" || strings.HasPrefix(f.key, "Fn::") && !strings.HasPrefix(f.key, "Fn::ForEach::") {
		return f.key, f.node, true
	}
	return "", nil, false
}

// dynamic finds references that are resolved when the change is applied, and what a change set leaves open.
func (s *stack) dynamic(n *node) *node {
	if !strings.Contains(n.text, "{{") {
		return n
	}
	v := *n
	for rest := n.text; ; {
		i := strings.Index(rest, "{{")
		if i < 0 {
			break
		}
		end := strings.Index(rest[i:], "}}")
		if end < 0 {
			break
		}
		mark := rest[i : i+end+2]
		switch {
		case strings.HasPrefix(mark, "{{resolve:"):
			parts := strings.SplitN(strings.Trim(mark, "{}"), ":", 3)
			where := map[string]string{"ssm": "Parameter Store", "ssm-secure": "Parameter Store", "secretsmanager": "Secrets Manager"}[parts[1]]
			v.open = append(v.open, missing{mark: mark, why: "is read from " + cmp.Or(where, "another service") + " when the change is applied"})
		case strings.HasPrefix(mark, "{{changeSet:"):
			v.open = append(v.open, missing{mark: mark, why: "is computed when the change set is executed"})
		}
		rest = rest[i+end+2:]
	}
	return &v
}

func (s *stack) call(name string, argument *node, at place) *node {
	v := s.callFunction(name, argument, at)
	if v != nil && name != "Fn::If" {
		return v.moved(at)
	}
	return v
}

func (s *stack) callFunction(name string, argument *node, at place) *node {
	switch name {
	case "Ref":
		return s.ref(argument.string(), at)
	case "Fn::GetAtt":
		return s.getAtt(argument, at)
	case "Fn::Sub":
		return s.sub(argument, at)
	case "Fn::Join":
		return s.join(argument, at)
	case "Fn::If":
		return s.branch(argument, at)
	case "Fn::FindInMap":
		return s.findInMap(argument, at)
	case "Fn::Select":
		return s.selectOne(argument, at)
	case "Fn::Split":
		return s.split(argument, at)
	case "Fn::ToJsonString":
		v := s.eval(argument)
		if v == nil {
			return nil
		}
		out := literal(v.canonical(), at)
		var walk func(n *node)
		walk = func(n *node) {
			out.open = append(out.open, n.open...)
			for _, i := range n.items {
				walk(i)
			}
			for _, f := range n.fields {
				walk(f.node)
			}
		}
		walk(v)
		return out
	case "Fn::Base64":
		v := s.eval(argument)
		switch {
		case v == nil || v.kind != text:
			return s.wrong(at, "Fn::Base64 takes text")
		case len(v.open) > 0:
			return lost(v.open[0].mark, v.open[0].why, at)
		}
		return literal(base64.StdEncoding.EncodeToString([]byte(v.text)), at)
	case "Fn::Length":
		v := s.eval(argument)
		if v == nil || v.kind != list {
			return s.opened(v, at, "Fn::Length takes a list")
		}
		return literal(strconv.Itoa(len(v.items)), at)
	case "Fn::ImportValue":
		v := s.eval(argument)
		export := v.string()
		if value, ok := s.o.Imports[export]; ok && v.anyOpen() == nil {
			return literal(value, at)
		}
		return lost("{import "+export+"}", "is imported from another stack as "+cmp.Or(export, "an export whose name is not text"), at)
	case "Fn::Transform":
		return s.wrong(at, "is written by the macro %s", cmp.Or(argument.get("Name").string(), "in Fn::Transform"))
	case "Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not":
		t := s.test(&node{kind: object, pos: at, fields: []field{{name, at, argument}}})
		if !t.known {
			return s.wrong(at, "%s", t.why)
		}
		return literal(strconv.FormatBool(t.is), at)
	case "Fn::Cidr", "Fn::GetAZs":
		return s.wrong(at, "is computed by %s when the change is applied", name)
	}
	return s.wrong(at, "the function %s is not understood", name)
}

// opened is a value that cannot be taken apart: because it is not known, or because it is of another kind.
func (s *stack) opened(v *node, at place, expected string) *node {
	if m := v.anyOpen(); m != nil {
		return lost(m.mark, m.why, at)
	}
	return s.wrong(at, "%s", expected)
}

// pseudo is the value of a pseudo parameter.
func (s *stack) pseudo(name string, at place) (*node, bool) {
	given := func(value, flag string, placeholder bool) (*node, bool) {
		why := "depends on " + name + ", which a template does not tell (give " + flag + ")"
		switch {
		case placeholder: // a policy may hold it, and no condition is decided by it
			return &node{kind: text, text: value, pos: at, open: []missing{{mark: value, why: why, name: true}}}, true
		case value == "":
			return lost("{"+name+"}", why, at), true
		}
		return literal(value, at), true
	}
	switch name {
	case "AWS::NoValue":
		return nil, true
	case "AWS::AccountId":
		return given(s.o.Account, "the account", s.o.noAccount)
	case "AWS::Region":
		return given(s.o.Region, "the region", s.o.noRegion)
	case "AWS::Partition":
		return literal(s.o.partition(), at), true
	case "AWS::URLSuffix":
		if s.o.partition() == "aws-cn" {
			return literal("amazonaws.com.cn", at), true
		}
		return literal("amazonaws.com", at), true
	case "AWS::StackName":
		if s.o.StackName != "" && s.prefix == "" {
			return literal(s.o.StackName, at), true
		}
	case "AWS::StackId":
		if s.o.StackID != "" && s.prefix == "" {
			return literal(s.o.StackID, at), true
		}
	case "AWS::NotificationARNs":
	default:
		return nil, false
	}
	mark := "{" + s.prefix + name + "}"
	return &node{kind: text, text: mark, pos: at, open: []missing{{mark: mark, why: "depends on " + name, name: name == "AWS::StackName" || name == "AWS::StackId"}}}, true
}

func (s *stack) ref(name string, at place) *node {
	if p := s.parameters[name]; p != nil {
		s.noEcho = s.noEcho || p.secret
		s.used[name] = true
		return p.value
	}
	if v, ok := s.pseudo(name, at); ok {
		return v
	}
	if r := s.resources[name]; r != nil {
		return s.reference(r, at)
	}
	return lost("{"+s.prefix+name+"}", "refers to "+cmp.Or(name, "something")+", which the template does not have", at)
}

func (s *stack) getAtt(argument *node, at place) *node {
	var parts []string
	if argument.kind == text {
		name, attribute, _ := strings.Cut(argument.text, ".")
		parts = []string{name, attribute}
	}
	for _, i := range argument.items {
		v := s.eval(i)
		if v == nil || v.kind != text || len(v.open) > 0 {
			return s.opened(v, at, "Fn::GetAtt takes a resource and an attribute")
		}
		parts = append(parts, v.text)
	}
	if len(parts) < 2 || parts[1] == "" {
		return s.wrong(at, "Fn::GetAtt takes a resource and an attribute")
	}
	return s.attribute(parts[0], strings.Join(parts[1:], "."), at)
}

func (s *stack) attribute(name, attribute string, at place) *node {
	r := s.resources[name]
	if r == nil {
		return lost("{"+s.prefix+name+"."+attribute+"}", "refers to "+name+", which the template does not have", at)
	}
	return s.attributeOf(r, attribute, at)
}

func (s *stack) sub(argument *node, at place) *node {
	own := map[string]*node{}
	pattern := argument
	if argument.kind == list {
		if len(argument.items) != 2 || argument.items[1].kind != object {
			return s.wrong(at, "Fn::Sub takes text, or a list of text and values")
		}
		pattern = argument.items[0]
		for _, f := range argument.items[1].fields {
			own[f.key] = s.eval(f.node)
		}
	}
	if pattern.kind != text {
		return s.wrong(at, "Fn::Sub takes text, or a list of text and values")
	}
	pattern = s.dynamic(pattern)
	out := literal("", at)
	out.open = pattern.open
	var b strings.Builder
	for rest := pattern.text; ; {
		i := strings.Index(rest, "${")
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			b.WriteString(rest[i:])
			break
		}
		name := rest[i+2 : i+end]
		rest = rest[i+end+1:]
		if strings.HasPrefix(name, "!") {
			b.WriteString("${" + name[1:] + "}")
			continue
		}
		name = strings.TrimSpace(name)
		v, mine := own[name]
		if !mine {
			if resource, attribute, ok := strings.Cut(name, "."); ok {
				v = s.attribute(resource, attribute, at)
			} else {
				v = s.ref(name, at)
			}
		}
		switch {
		case v == nil:
		case v.kind != text:
			v = s.wrong(at, "${%s} is no text", name)
			fallthrough
		default:
			if pattern.text == "${"+name+"}" {
				out.of = v.of
			}
			b.WriteString(v.text)
			out.open = append(slices.Clone(out.open), v.open...)
		}
	}
	out.text = b.String()
	return out
}

func (s *stack) join(argument *node, at place) *node {
	if argument.kind != list || len(argument.items) != 2 {
		return s.wrong(at, "Fn::Join takes a delimiter and a list")
	}
	delimiter, values := s.eval(argument.items[0]), s.eval(argument.items[1])
	if delimiter == nil || values == nil || delimiter.kind != text || values.kind != list {
		return s.opened(values, at, "Fn::Join takes a delimiter and a list")
	}
	out := literal("", at)
	for i, v := range values.items {
		if v.kind != text {
			return s.opened(v, at, "Fn::Join takes a list of text")
		}
		if i > 0 {
			out.text += delimiter.text
			out.open = append(out.open, delimiter.open...)
		}
		out.text += v.text
		out.open = append(out.open, v.open...)
	}
	if len(values.items) == 1 {
		out.of = values.items[0].of
	}
	return out
}

func (s *stack) branch(argument *node, at place) *node {
	if argument.kind != list || len(argument.items) != 3 {
		return s.wrong(at, "Fn::If takes a condition and two values")
	}
	name := argument.items[0].string()
	t := s.condition(name)
	if t.known {
		if t.is {
			return s.eval(argument.items[1])
		}
		return s.eval(argument.items[2])
	}
	a, b := s.eval(argument.items[1]), s.eval(argument.items[2])
	if a.canonical() == b.canonical() && a.anyOpen() == nil {
		return a
	}
	return lost("{if "+name+"}", t.why, at)
}

func (s *stack) findInMap(argument *node, at place) *node {
	if argument.kind != list || len(argument.items) < 3 {
		return s.wrong(at, "Fn::FindInMap takes a map and two keys")
	}
	var keys []string
	for _, i := range argument.items[:3] {
		v := s.eval(i)
		if v == nil || v.kind != text || len(v.open) > 0 {
			return s.opened(v, at, "Fn::FindInMap takes a map and two keys")
		}
		keys = append(keys, v.text)
	}
	if found := s.root.get("Mappings").get(keys[0]).get(keys[1]).get(keys[2]); found != nil {
		return s.eval(found)
	}
	if len(argument.items) == 4 {
		if d := argument.items[3].get("DefaultValue"); d != nil {
			return s.eval(d)
		}
	}
	return s.wrong(at, "the mapping %s has no %s", keys[0], keys[1]+"."+keys[2])
}

func (s *stack) selectOne(argument *node, at place) *node {
	if argument.kind != list || len(argument.items) != 2 {
		return s.wrong(at, "Fn::Select takes an index and a list")
	}
	index, values := s.eval(argument.items[0]), s.eval(argument.items[1])
	if index == nil || values == nil || index.kind != text || len(index.open) > 0 || values.kind != list {
		return s.opened(&node{kind: list, items: slices.DeleteFunc([]*node{index, values}, func(n *node) bool { return n == nil })}, at, "Fn::Select takes an index and a list")
	}
	i, err := strconv.Atoi(index.text)
	if err != nil || i < 0 || i >= len(values.items) {
		return s.wrong(at, "the list of Fn::Select has no element %s", index.text)
	}
	return values.items[i]
}

func (s *stack) split(argument *node, at place) *node {
	if argument.kind != list || len(argument.items) != 2 {
		return s.wrong(at, "Fn::Split takes a delimiter and text")
	}
	delimiter, v := s.eval(argument.items[0]), s.eval(argument.items[1])
	if v == nil || v.kind != text || len(v.hidden()) > 0 || delimiter.string() == "" {
		return s.opened(v, at, "Fn::Split takes a delimiter and text")
	}
	out := &node{kind: list, pos: at}
	for _, part := range strings.Split(v.text, delimiter.text) {
		p := literal(part, at)
		for _, m := range v.open {
			if strings.Contains(part, m.mark) {
				p.open = append(p.open, m)
			}
		}
		out.items = append(out.items, p)
	}
	return out
}

// condition is a condition of the template by name.
func (s *stack) condition(name string) *truthValue {
	if t := s.conditions[name]; t != nil {
		if t.busy {
			return &truthValue{why: "depends on the condition " + name + ", which refers to itself"}
		}
		return t
	}
	n := s.root.get("Conditions").get(name)
	if n == nil {
		return &truthValue{why: "depends on the condition " + cmp.Or(name, "without a name") + ", which is not in the template"}
	}
	s.conditions[name] = &truthValue{busy: true}
	t := s.test(n)
	if !t.known {
		t.why = "depends on the condition " + name + ", which " + t.why
	}
	s.conditions[name] = &t
	return &t
}

// test decides the expression of a condition.
func (s *stack) test(n *node) truthValue {
	not := truthValue{why: "is no condition that is understood"}
	if n.kind == text {
		switch strings.ToLower(n.text) {
		case "true":
			return truthValue{is: true, known: true}
		case "false":
			return truthValue{known: true}
		}
		return not
	}
	if n.kind != object || len(n.fields) != 1 {
		return not
	}
	if s.depth++; s.depth > maxDepth*2 {
		s.depth--
		return not
	}
	defer func() { s.depth-- }()
	f := n.fields[0]
	switch f.key {
	case "Condition":
		return *s.condition(f.string())
	case "Fn::Not":
		l := f.list()
		if len(l) != 1 {
			return not
		}
		t := s.test(l[0])
		t.is = !t.is
		return t
	case "Fn::And", "Fn::Or":
		ends := f.key == "Fn::Or" // one true ends Or, one false ends And
		out := truthValue{is: !ends, known: true}
		for _, c := range f.list() {
			t := s.test(c)
			if t.known && t.is == ends {
				return truthValue{is: ends, known: true}
			}
			if !t.known && out.known {
				out = t
			}
		}
		return out
	case "Fn::Equals":
		l := f.list()
		if len(l) != 2 {
			return not
		}
		a, b := s.eval(l[0]), s.eval(l[1])
		if a.canonical() == b.canonical() && sameOpen(a, b) {
			return truthValue{is: true, known: true}
		}
		for _, v := range []*node{a, b} {
			if m := v.anyOpen(); m != nil {
				return truthValue{why: m.why}
			}
		}
		return truthValue{known: true}
	case "Ref":
		if v := s.eval(n); v != nil && v.kind == text && len(v.open) == 0 {
			return s.test(literal(v.text, v.pos))
		}
	}
	return not
}

// sameOpen reports whether what is not known of two equal texts is the same thing.
func sameOpen(a, b *node) bool {
	ma, mb := a.anyOpen(), b.anyOpen()
	return ma == nil && mb == nil || ma != nil && mb != nil && ma.mark == mb.mark && !strings.HasPrefix(ma.mark, "{{")
}

// loops writes Fn::ForEach out, wherever it stands.
func (s *stack) loops(n *node, depth int) *node {
	if n == nil || depth > maxDepth || !hasLoop(n) {
		return n
	}
	v := *n
	v.items = make([]*node, len(n.items))
	for i, e := range n.items {
		v.items[i] = s.loops(e, depth+1)
	}
	v.fields = nil
	for _, f := range n.fields {
		if !strings.HasPrefix(f.key, "Fn::ForEach::") {
			v.fields = append(v.fields, field{f.key, f.pos, s.loops(f.node, depth+1)})
			continue
		}
		made, why := s.loop(f, depth)
		if why != "" {
			s.gap(snapshot.GapElement, s.file, f.key+" is not judged: "+why, f.pos)
			continue
		}
		for _, m := range made {
			if v.get(m.key) == nil {
				v.fields = append(v.fields, m)
			}
		}
	}
	return &v
}

func hasLoop(n *node) bool {
	return slices.ContainsFunc(n.items, hasLoop) || slices.ContainsFunc(n.fields, func(f field) bool { return strings.HasPrefix(f.key, "Fn::ForEach::") || hasLoop(f.node) })
}

func (s *stack) loop(f field, depth int) (made []field, why string) {
	if f.kind != list || len(f.items) != 3 || f.items[0].kind != text || f.items[2].kind != object {
		return nil, "it takes a name, a list and what is made"
	}
	values := s.eval(f.items[1])
	if values != nil && values.kind == text && len(values.open) == 0 {
		values = &node{kind: list, items: []*node{values}}
	}
	if values == nil || values.kind != list {
		if m := values.anyOpen(); m != nil {
			return nil, "its list " + m.why
		}
		return nil, "it takes a name, a list and what is made"
	}
	for _, each := range values.items {
		if each.kind != text || len(each.open) > 0 {
			if m := each.anyOpen(); m != nil {
				return nil, "its list " + m.why
			}
			return nil, "its list holds what is no text"
		}
		out := s.loops(s.replaced(f.items[2], f.items[0].text, each.text), depth+1)
		if s.expanded > maxNodes {
			return nil, "it makes too much"
		}
		made = append(made, out.fields...)
	}
	return made, ""
}

// replaced is a value with the variable of a loop put in.
func (s *stack) replaced(n *node, name, value string) *node {
	v := *n
	s.expanded++
	if s.expanded > maxNodes {
		return &v
	}
	alphanumeric := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, value)
	put := strings.NewReplacer("${"+name+"}", value, "&{"+name+"}", alphanumeric)
	switch n.kind {
	case text:
		v.text = put.Replace(n.text)
	case list:
		v.items = make([]*node, len(n.items))
		for i, e := range n.items {
			v.items[i] = s.replaced(e, name, value)
		}
	case object:
		if key, argument, ok := function(n); ok && key == "Ref" && argument.string() == name {
			return literal(value, n.pos)
		}
		v.fields = make([]field, len(n.fields))
		for i, f := range n.fields {
			v.fields[i] = field{put.Replace(f.key), f.pos, s.replaced(f.node, name, value)}
		}
	}
	return &v
}
