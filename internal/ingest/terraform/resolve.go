package terraform

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// scope is a module as it is used: module.ci["a"] and module.ci["b"] are two scopes of one configuration.
type scope struct {
	address string // "" for the root
	parent  *scope
	call    string // name of the call in the parent
	index   any    // of the call
	conf    *moduleJSON
	used    callJSON // the call: its arguments
}

// instance is one resource of the code: one address.
type instance struct {
	*read
	scope *scope
	conf  *configResource // nil where the configuration is not at hand
	// now and then are what it is before and after the plan; nil where it is not there.
	now, then *object
}

// object is a resource at one time.
type object struct {
	*instance
	values    map[string]any
	unknown   any // true, or a tree of what is not known; nil where all is known
	sensitive any
}

// world is all that one file says, linked.
type world struct {
	options   Options
	doc       *document
	root      *scope
	scopes    map[string]*scope
	instances []*instance
	// byName are the instances of a resource block: scope address, blank, type.name or data.type.name.
	byName  map[string][]*instance
	byIndex map[string]*instance // one of them, with its index in brackets
	ofType  map[string][]*instance
	read    map[string]snapshot.Document // policies that were read without a gap, by text: most of a large plan are copies
	// accounts and regions by the key of the provider's configuration.
	accounts, regions map[string]string
	account, region   string // where a provider's are not known
	partition         string
	resolving         map[string]bool      // what is being followed, against circles
	principals        map[string]string    // ARNs by kind, account and name
	blocks            map[string]cty.Value // resource blocks as expressions see them
	evaluations       int                  // expressions of the code evaluated so far
}

// tokens cuts a reference or an address at its points and brackets: module.m["a.b"].aws_x.y[0].id gives
// module, m, ["a.b"], aws_x, y, [0], id; keys keep their brackets.
func tokens(s string) []string {
	var out []string
	for len(s) > 0 {
		switch s[0] {
		case '.':
			s = s[1:]
		case '[':
			end, quoted := 1, false
			for ; end < len(s) && (quoted || s[end] != ']'); end++ {
				if s[end] == '\\' && quoted {
					end++
				} else if s[end] == '"' {
					quoted = !quoted
				}
			}
			end = min(end+1, len(s))
			out = append(out, s[:end])
			s = s[end:]
		default:
			end := strings.IndexAny(s, ".[")
			if end < 0 {
				end = len(s)
			}
			out = append(out, s[:end])
			s = s[end:]
		}
	}
	return out
}

// moduleOf is the module part of a resource's address.
func moduleOf(address string) string {
	parts := tokens(address)
	n := 0
	for n+1 < len(parts) && parts[n] == "module" {
		if n += 2; n < len(parts) && parts[n][0] == '[' {
			n++
		}
	}
	return join(parts[:n])
}

func join(parts []string) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 && p[0] != '[' {
			b.WriteByte('.')
		}
		b.WriteString(p)
	}
	return b.String()
}

// key is the index that a bracketed token stands for: a number or text.
func key(token string) any {
	inner := strings.TrimSuffix(strings.TrimPrefix(token, "["), "]")
	if s, err := strconv.Unquote(inner); err == nil {
		return s
	}
	return json.Number(inner)
}

// scopeAt finds or makes the scope of a module's address.
func (w *world) scopeAt(address string) *scope {
	if s := w.scopes[address]; s != nil {
		return s
	}
	parts := tokens(address)
	s := &scope{address: address}
	last := len(parts) - 1
	if last >= 0 && parts[last][0] == '[' {
		s.index = key(parts[last])
		last--
	}
	if last < 1 {
		return w.root // no address of a module
	}
	s.call = parts[last]
	s.parent = w.scopeAt(join(parts[:last-1]))
	if c := s.parent.conf; c != nil {
		s.used = c.Calls[s.call]
		s.conf = s.used.Module
	}
	w.scopes[address] = s
	return s
}

// link makes the world of a document.
func link(doc *document, o Options) *world {
	w := &world{options: o, doc: doc, scopes: map[string]*scope{}, byName: map[string][]*instance{}, byIndex: map[string]*instance{}, ofType: map[string][]*instance{}, read: map[string]snapshot.Document{},
		accounts: map[string]string{}, regions: map[string]string{},
		resolving: map[string]bool{}, blocks: map[string]cty.Value{}}
	w.root = &scope{conf: doc.config.Root}
	w.scopes[""] = w.root
	blocks := map[*moduleJSON]map[string]*configResource{}
	block := func(m *moduleJSON, name string) *configResource {
		if m == nil {
			return nil
		}
		if blocks[m] == nil {
			blocks[m] = map[string]*configResource{}
			for _, c := range m.Resources {
				if c != nil {
					blocks[m][c.Address] = c
				}
			}
		}
		return blocks[m][name]
	}
	add := func(r *read) *instance {
		i := &instance{read: r, scope: w.scopeAt(r.Module)}
		i.conf = block(i.scope.conf, i.block())
		w.instances = append(w.instances, i)
		w.ofType[r.Type] = append(w.ofType[r.Type], i)
		if r.Deposed == "" {
			k := i.scope.address + " " + i.block()
			w.byName[k] = append(w.byName[k], i)
			w.byIndex[k+bracket(r.Index)] = i
		}
		return i
	}
	known := map[string]bool{}
	for n := range doc.changes {
		r := &doc.changes[n]
		i := add(r)
		c := &r.Change
		if c.Before != nil {
			i.now = &object{instance: i, values: c.Before, sensitive: c.BeforeSensitive}
		}
		if c.After != nil || c.AfterUnknown == true {
			i.then = &object{instance: i, values: c.After, unknown: c.AfterUnknown, sensitive: c.AfterSensitive}
		}
		known[r.Address+" "+r.Deposed] = true
	}
	for l, list := range [][]read{doc.prior, doc.planned} {
		for n := range list {
			r := &list[n]
			if known[r.Address+" "+r.Deposed] {
				continue
			}
			known[r.Address+" "+r.Deposed] = true
			i := add(r)
			i.now = &object{instance: i, values: r.Change.After, sensitive: r.Change.AfterSensitive}
			i.then = i.now
			if l == 1 {
				i.now.unknown = notPlanned(i)
			}
		}
	}
	w.place()
	return w
}

// notPlanned are the arguments that planned values leave out because they are not known: those of the code, and policies.
func notPlanned(i *instance) any {
	unknown := map[string]any{}
	lost := func(name string) {
		if _, there := i.now.values[name]; !there && name != "" {
			unknown[name] = true
		}
	}
	if i.conf != nil {
		for name := range i.conf.Expressions {
			lost(name)
		}
	}
	if r := byType[i.Type]; r != nil {
		policy, _, _ := strings.Cut(r.Policy, ".")
		lost(policy)
	}
	return unknown
}

// block is the name of the resource's block within its module.
func (i *instance) block() string {
	if i.Mode == "data" {
		return "data." + i.Type + "." + i.Name
	}
	return i.Type + "." + i.Name
}

// configured reports whether the code gives the argument; sure is false where the configuration is not at hand.
func (i *instance) configured(argument string) (given, sure bool) {
	if i.conf == nil {
		return false, false
	}
	e, ok := i.conf.Expressions[argument]
	if list, isList := e.([]any); ok && isList && len(list) == 0 {
		return true, true
	}
	return ok && e != nil, true
}

// at walks into a value: names and list indexes.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p < 0 || p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// marked reports whether a tree of marks has the value at the path marked as a whole; any mark below counts where deep.
func marked(tree any, deep bool, path ...any) bool {
	for _, p := range path {
		if tree == true {
			return true
		}
		tree = at(tree, p)
	}
	return tree == true || deep && anyMark(tree)
}

func anyMark(tree any) bool {
	switch t := tree.(type) {
	case bool:
		return t
	case map[string]any:
		for _, v := range t {
			if anyMark(v) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(t, anyMark)
	}
	return false
}

// text is a value as text; "" for what is not there and for what is no scalar.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

// number is a value as a whole number; 0 for what is none.
func number(v any) int64 {
	if n, ok := v.(json.Number); ok {
		i, _ := n.Int64()
		return i
	}
	return 0
}

// string is an attribute's text as the file has it; known is false where it is computed later.
func (o *object) string(path ...any) (s string, known bool) {
	if marked(o.unknown, false, path...) {
		return "", false
	}
	return text(at(o.values, path...)), true
}

// list is an attribute that is a list, where it is known as a whole.
func (o *object) list(path ...any) ([]any, bool) {
	if marked(o.unknown, false, path...) {
		return nil, false
	}
	l, _ := at(o.values, path...).([]any)
	return l, true
}

// strings are the known elements of a list of texts; complete says whether that is all of them.
func (o *object) strings(path ...any) (out []string, complete bool) {
	l, known := o.list(path...)
	complete = known
	for i := range l {
		if marked(o.unknown, true, append(slices.Clone(path), i)...) {
			complete = false
		} else if s := text(l[i]); s != "" {
			out = append(out, s)
		}
	}
	return out, complete
}

// expression is what the configuration says about an attribute: {"references": […]} or {"constant_value": …}, nil where it
// is not at hand. Where the configuration has one nested block for several values (dynamic blocks), that block is meant.
func (o *object) expression(path ...any) map[string]any {
	if o.conf == nil {
		return nil
	}
	// A plan keeps the blocks of a set in an order of its own, so that a block is found by what it says.
	path = slices.Clone(path)
	for n := 1; n < len(path); n++ {
		name, _ := path[n-1].(string)
		if _, isIndex := path[n].(int); !isIndex || !slices.Contains([]string{"principals", "not_principals", "condition", "inline_policy"}, name) {
			continue
		}
		if blocks, ok := at(expressionAt(o.conf.Expressions, path[:n-1]...), name).([]any); ok && len(blocks) > 1 {
			if path[n] = sameBlock(blocks, at(o.values, path[:n+1]...)); path[n] == -1 {
				return nil
			}
		}
	}
	return expressionAt(o.conf.Expressions, path...)
}

// sameBlock is the number of the one block of the configuration whose constants are those of the value, -1 where there is no such one.
func sameBlock(blocks []any, value any) int {
	found := -1
	for n, b := range blocks {
		same := true
		for argument, e := range asObject(b) {
			c := text(constant(e))
			same = same && (c == "" || c == text(asObject(value)[argument]))
		}
		if same && found >= 0 {
			return -1
		}
		if same {
			found = n
		}
	}
	return found
}

func expressionAt(v any, path ...any) map[string]any {
	for n, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			if !ok {
				return nil
			}
			if m["references"] != nil && n > 0 {
				return m // an argument that is given as a whole
			}
			v = m[p]
		case int:
			switch l := v.(type) {
			case []any:
				if p < 0 || p >= len(l) {
					if p < 0 || len(l) != 1 {
						return nil
					}
					p = 0
				}
				v = l[p]
			case map[string]any:
				// one block, or an expression for the whole list
			default:
				return nil
			}
		}
	}
	m, _ := v.(map[string]any)
	return m
}

// references are the full references of an expression: those that are not the beginning of another one, without keys and counts.
func references(expression map[string]any) []string {
	list, _ := expression["references"].([]any)
	var all []string
	for _, v := range list {
		s, _ := v.(string)
		switch first := s; {
		case s == "" || slices.Contains(all, s):
		case strings.HasPrefix(first, "each.") || strings.HasPrefix(first, "count.") || first == "each" || first == "count" || strings.HasPrefix(first, "path.") || strings.HasPrefix(first, "terraform."):
		default:
			all = append(all, s)
		}
	}
	var out []string
	for _, s := range all {
		if !slices.ContainsFunc(all, func(o string) bool {
			return len(o) > len(s) && strings.HasPrefix(o, s) && (o[len(s)] == '.' || o[len(s)] == '[')
		}) {
			out = append(out, s)
		}
	}
	return out
}

// indexIn is the index by which an expression chooses among the instances of another resource: that of its own resource, where it says
// each.key or count.index and nothing else of its own.
func indexIn(expression map[string]any, index any) any {
	list, _ := expression["references"].([]any)
	own := false
	for _, v := range list {
		switch s, _ := v.(string); {
		case s == "each.key" || s == "count.index":
			own = true
		case strings.HasPrefix(s, "each."):
			return nil
		}
	}
	if !own {
		return nil
	}
	return index
}

// open are the references of an expression that the plan does not tell by itself: one of them makes it unknown.
func (w *world) open(o *object, expression map[string]any) []string {
	return slices.DeleteFunc(references(expression), func(ref string) bool {
		_, known := w.told(o.scope, indexIn(expression, o.Index), ref)
		return known
	})
}

// computedFrom says in words what an expression refers to.
func computedFrom(expression map[string]any) string {
	switch refs := references(expression); {
	case len(refs) == 0:
		return "is computed when the plan is applied"
	case len(refs) > 4:
		return "is computed from " + strings.Join(refs[:4], ", ") + " and " + strconv.Itoa(len(refs)-4) + " more"
	default:
		return "is computed from " + strings.Join(refs, ", ")
	}
}

// value is the text of an attribute: as the file has it, or derived from the code where it is computed later. An attribute
// that refers to exactly one other is taken to be that one, which holds for names and ARNs: nothing else could stand there.
func (w *world) value(o *object, path ...any) (string, bool) {
	if s, known := o.string(path...); known {
		return s, true
	}
	if name, isName := path[0].(string); isName && len(path) == 1 {
		if s, ok := w.derived(o, name); ok {
			return s, true
		}
	}
	if s, ok := w.evaluatedText(o, path...); ok {
		return s, true
	}
	return w.follow(o, o.expression(path...))
}

// follow is the value of the one reference of an expression in the place of o.
func (w *world) follow(o *object, expression map[string]any) (string, bool) {
	refs := w.open(o, expression)
	if len(refs) != 1 {
		return "", false
	}
	return w.reference(o.scope, indexIn(expression, o.Index), o == o.now && o.then != o, refs[0])
}

// told is what a reference comes to where the plan tells it by itself.
func (w *world) told(s *scope, index any, ref string) (string, bool) {
	i, path, constant := w.ends(s, index, ref, 0)
	if i == nil {
		return constant, constant != ""
	}
	if i.then == nil || len(path) == 0 {
		return "", false
	}
	v, known := i.then.string(path...)
	return v, known && v != ""
}

// reference is the text to which a reference of an expression comes that is not known itself. index is that of the resource in which it
// stands, which chooses among several instances of the other; before asks for the values that are there now. What
// the plan tells by itself is no answer: the expression would be known if it were that.
func (w *world) reference(s *scope, index any, before bool, ref string) (string, bool) {
	i, path, _ := w.ends(s, index, ref, 0)
	if i == nil {
		return "", false
	}
	if len(path) == 0 { // x[each.key].arn is told as x alone: only what can be nothing else is taken
		if i.Mode == "data" || i.Type != "aws_iam_policy" {
			return "", false
		}
		path = []any{"arn"}
	}
	o := i.then
	if before || o == nil {
		o = i.now
	}
	if o == nil {
		return "", false
	}
	if _, known := o.string(path...); known && !before {
		return "", false
	}
	mark := i.Address + "." + pathText(path)
	if w.resolving[mark] {
		return "", false
	}
	w.resolving[mark] = true
	defer delete(w.resolving, mark)
	return w.value(o, path...)
}

// ends is the resource and path at which a reference ends, behind variables and outputs of modules that hand on one thing; or the
// constant that it comes to.
func (w *world) ends(s *scope, index any, ref string, depth int) (*instance, []any, string) {
	parts := tokens(ref)
	one := func(in *scope, index any, e map[string]any) (*instance, []any, string) {
		if c, ok := e["constant_value"]; ok {
			return nil, nil, text(c)
		}
		if refs := references(e); len(refs) == 1 && depth < 50 {
			return w.ends(in, indexIn(e, index), refs[0], depth+1)
		}
		return nil, nil, ""
	}
	switch {
	case len(parts) >= 2 && parts[0] == "var":
		if len(parts) > 2 {
			return nil, nil, ""
		}
		if s.parent == nil {
			return nil, nil, text(w.doc.variables[parts[1]])
		}
		return one(s.parent, s.index, asObject(s.used.Expressions[parts[1]]))
	case len(parts) >= 3 && parts[0] == "module":
		address := join(append(tokens(s.address), parts[:2]...))
		rest := parts[2:]
		if rest[0][0] == '[' {
			address, rest = address+rest[0], rest[1:]
		} else if w.scopes[address] == nil && index != nil {
			address += bracket(index)
		}
		child := w.scopes[address]
		if child == nil || child.conf == nil || len(rest) != 1 {
			return nil, nil, ""
		}
		return one(child, nil, child.conf.Outputs[rest[0]].Expression)
	}
	i, path := w.find(s, index, parts)
	return i, path, ""
}

// targetInstance is the resource to which an argument refers, and the path behind it.
func (b *builder) targetInstance(argument string) (*instance, []any) {
	expression := b.o.expression(argument)
	refs := references(expression)
	if len(refs) != 1 {
		return nil, nil
	}
	i, path, _ := b.ends(b.o.scope, indexIn(expression, b.o.Index), refs[0], 0)
	return i, path
}

// in is the resource at the time of the builder's object.
func (b *builder) in(i *instance) *object {
	if i.then == nil || b.before && i.now != nil {
		return i.now
	}
	return i.then
}

// find is the instance that a reference names, and the path behind it.
func (w *world) find(s *scope, index any, parts []string) (*instance, []any) {
	n := 2
	if parts[0] == "data" {
		n = 3
	}
	if len(parts) < n {
		return nil, nil
	}
	candidates := w.byName[s.address+" "+strings.Join(parts[:n], ".")]
	rest := parts[n:]
	if len(rest) > 0 && rest[0][0] == '[' {
		index, rest = key(rest[0]), rest[1:]
	}
	var path []any
	for _, p := range rest {
		if p[0] != '[' {
			path = append(path, p)
		} else if k, ok := key(p).(json.Number); ok {
			n, err := k.Int64()
			if err != nil {
				return nil, nil
			}
			path = append(path, int(n))
		} else {
			path = append(path, key(p))
		}
	}
	if len(candidates) == 1 {
		return candidates[0], path
	}
	if index == nil {
		return nil, nil
	}
	return w.byIndex[s.address+" "+strings.Join(parts[:n], ".")+bracket(index)], path
}

func bracket(index any) string {
	if s, ok := index.(string); ok {
		return "[" + strconv.Quote(s) + "]"
	}
	return "[" + text(index) + "]"
}

// placeholder stands for a name that AWS or Terraform makes up when the plan is applied. It is the same wherever the plan
// refers to it, so that what belongs together stays together.
func (o *object) placeholder(attribute string) string {
	return "{" + inName.Replace(o.Address) + "." + attribute + "}"
}

// inName takes out of an address what would mean something within a policy: quotes, wildcards, variables.
var inName = strings.NewReplacer(`"`, "'", `\`, "_", "*", "_", "?", "_", "{", "(", "}", ")")

// expand fills a template: {partition}, {region}, {account}, {dns} and attributes of o. exact is false where a part is not known.
func (w *world) expand(o *object, template string) (s string, exact bool) {
	var b strings.Builder
	exact = true
	for {
		before, rest, found := strings.Cut(template, "{")
		b.WriteString(before)
		if !found {
			return b.String(), exact
		}
		name, after, _ := strings.Cut(rest, "}")
		template = after
		switch name {
		case "partition":
			b.WriteString(w.partition)
		case "dns":
			b.WriteString(map[string]string{"aws-cn": "amazonaws.com.cn"}[w.partition])
			if w.partition != "aws-cn" {
				b.WriteString("amazonaws.com")
			}
		case "type":
			t, _ := o.string("type")
			b.WriteString(strings.ToLower(cmp.Or(t, "service_control_policy")))
		case "path":
			p, _ := o.string("path")
			b.WriteString(cmp.Or(p, "/"))
		case "account":
			a := w.accountOf(o.instance)
			exact = exact && a != ""
			b.WriteString(a)
		case "region":
			r := w.regionOf(o)
			exact = exact && r != ""
			b.WriteString(r)
		default:
			v, known := w.named(o, name)
			exact = exact && known
			b.WriteString(v)
		}
	}
}

// named is an attribute that names something: its value, or its prefix with a placeholder, or a placeholder alone.
func (w *world) named(o *object, attribute string) (s string, exact bool) {
	if s, known := o.string(attribute); known && s != "" {
		return s, true
	}
	if given, sure := o.configured(attribute); given || !sure {
		if s, ok := w.evaluatedText(o, attribute); ok && s != "" {
			return s, !strings.Contains(s, "{")
		}
		if s, ok := w.follow(o, o.expression(attribute)); ok && isReference(o.Type, attribute) {
			return s, !strings.Contains(s, "{")
		}
		if given {
			return o.placeholder(attribute), false
		}
	}
	if prefix, known := o.string(attribute + "_prefix"); known && prefix != "" {
		return prefix + o.placeholder(attribute), false
	}
	return o.placeholder(attribute), false
}

// derived is a computed attribute that follows from the code: arn, id, and names with a prefix.
func (w *world) derived(o *object, attribute string) (string, bool) {
	r := own[o.Type]
	if r == nil {
		return "", false
	}
	switch attribute {
	case "arn":
		return w.arn(o), r.ARN != ""
	case "id":
		if r.ID == "" {
			return w.arn(o), r.ARN != ""
		}
		s, _ := w.expand(o, r.ID)
		return s, true
	case "url":
		if o.Type == "aws_sqs_queue" {
			s, _ := w.expand(o, r.ID)
			return s, true
		}
	}
	if attribute == r.Name || strings.Contains(r.ARN, "{"+attribute+"}") {
		s, _ := w.named(o, attribute)
		return s, true
	}
	return "", false
}

// arn is the ARN of a resource: what the file says, else what follows from its type.
func (w *world) arn(o *object) string {
	if s, known := o.string("arn"); known && s != "" {
		return s
	}
	r := own[o.Type]
	if r == nil || r.ARN == "" {
		return ""
	}
	s, _ := w.expand(o, r.ARN)
	return strings.Replace(s, ":oidc-provider/https://", ":oidc-provider/", 1)
}

// place finds out in which accounts and regions the providers work.
func (w *world) place() {
	votes := map[string]map[string]int{}
	total := map[string]int{}
	vote := func(provider, account string, weight int) {
		if !arn.IsAccountID(account) {
			return
		}
		if votes[provider] == nil {
			votes[provider] = map[string]int{}
		}
		votes[provider][account] += weight
		total[account] += weight
	}
	for k, p := range w.doc.config.Providers {
		if p.Name != "aws" {
			continue
		}
		if v := text(constant(p.Expressions["region"])); v != "" {
			w.regions[k] = v
		} else if refs := references(expressionAt(p.Expressions, "region")); len(refs) == 1 {
			if v, ok := w.told(w.scopeAt(p.Module), nil, refs[0]); ok {
				w.regions[k] = v
			}
		}
		role := expressionAt(p.Expressions, "assume_role", 0, "role_arn")
		name := text(constant(role))
		if refs := references(role); name == "" && len(refs) == 1 {
			name, _ = w.told(w.scopeAt(p.Module), nil, refs[0])
		}
		if a := arn.Account(name); arn.IsAccountID(a) {
			w.accounts[k] = a
		} else if l, ok := constant(p.Expressions["allowed_account_ids"]).([]any); ok && len(l) == 1 && arn.IsAccountID(text(l[0])) {
			w.accounts[k] = text(l[0])
		}
	}
	for _, i := range w.instances {
		for _, o := range []*object{i.now, i.then} {
			if o == nil {
				continue
			}
			if i.Type == "aws_caller_identity" {
				s, _ := o.string("account_id")
				vote(i.providerKey(), s, 1000)
			}
			if i.Type == "aws_region" {
				s, _ := o.string("name")
				if s == "" {
					s, _ = o.string("region")
				}
				if s != "" && w.regions[i.providerKey()] == "" {
					w.regions[i.providerKey()] = s
				}
			}
			if i.Type == "aws_partition" {
				w.partition, _ = o.string("partition")
			}
			if s, known := o.string("arn"); known && s != "" && i.Mode == "managed" {
				if a, err := arn.Parse(s); err == nil {
					vote(i.providerKey(), a.Account, 1)
					if w.partition == "" {
						w.partition = a.Partition
					}
				}
			}
		}
	}
	for k, accounts := range votes {
		if best, sure := most(accounts); sure && w.accounts[k] == "" {
			w.accounts[k] = best
		}
	}
	for k, a := range w.options.Accounts {
		w.accounts[k] = a
	}
	w.account, w.region = w.options.Account, w.options.Region
	if a := w.accounts["aws"]; w.account == "" && a != "" {
		w.account = a
	} else if best, _ := most(total); w.account == "" && len(total) == 1 {
		w.account = best
	}
	if w.region == "" {
		w.region = w.regions["aws"]
	}
	if w.partition == "" {
		w.partition = partitionOf(w.region)
	}
}

func partitionOf(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// most is the account that most resources name; sure is false where two are named equally often.
func most(counts map[string]int) (best string, sure bool) {
	for a, n := range counts {
		switch {
		case n > counts[best]:
			best, sure = a, true
		case n == counts[best]:
			sure = false
			best = min(best, a)
		}
	}
	return best, sure
}

func constant(expression any) any {
	m, _ := expression.(map[string]any)
	return m["constant_value"]
}

// providerKey is the key of the provider's configuration that the resource uses.
func (i *instance) providerKey() string {
	if i.conf == nil {
		return "aws"
	}
	return cmp.Or(i.conf.ProviderKey, "aws")
}

// accountOf is the account in which a resource lives, "" where nothing tells. The account of another provider than the default is
// never taken from the default.
func (w *world) accountOf(i *instance) string {
	for _, o := range []*object{i.then, i.now} {
		if o == nil {
			continue
		}
		for _, name := range []string{"arn", "owner_id"} {
			s, _ := o.string(name)
			if a := arn.Account(s); arn.IsAccountID(a) {
				return a
			}
			if arn.IsAccountID(s) {
				return s
			}
		}
	}
	k := i.providerKey()
	if a := w.accounts[k]; a != "" {
		return a
	}
	if k != "aws" && strings.Contains(k, ".") && len(w.doc.config.Providers) > 1 {
		return ""
	}
	return w.account
}

// regionOf is the region in which a resource lives.
func (w *world) regionOf(o *object) string {
	if s, _ := o.string("region"); s != "" {
		return s
	}
	if s, _ := o.string("arn"); s != "" {
		if a, err := arn.Parse(s); err == nil && a.Region != "" {
			return a.Region
		}
	}
	k := o.providerKey()
	if r := w.regions[k]; r != "" {
		return r
	}
	if k != "aws" && strings.Contains(k, ".") {
		return ""
	}
	return w.region
}
