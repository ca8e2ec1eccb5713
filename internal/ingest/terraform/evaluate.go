package terraform

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// With the code at hand, an expression that the plan does not know is evaluated as Terraform will, over what the plan knows and
// the ARNs and names that follow from the code. What is not known stays unknown in it: the result counts only where it is known as a
// whole.

// functions are those of Terraform that are functions of their arguments alone.
var functions = map[string]function.Function{
	"abs": stdlib.AbsoluteFunc, "can": tryfunc.CanFunc, "chomp": stdlib.ChompFunc, "coalesce": stdlib.CoalesceFunc, "coalescelist": stdlib.CoalesceListFunc,
	"compact": stdlib.CompactFunc, "concat": stdlib.ConcatFunc, "contains": stdlib.ContainsFunc, "distinct": stdlib.DistinctFunc, "element": stdlib.ElementFunc,
	"flatten": stdlib.FlattenFunc, "format": stdlib.FormatFunc, "formatlist": stdlib.FormatListFunc, "indent": stdlib.IndentFunc, "join": stdlib.JoinFunc,
	"jsondecode": stdlib.JSONDecodeFunc, "jsonencode": stdlib.JSONEncodeFunc, "keys": stdlib.KeysFunc, "length": stdlib.LengthFunc, "lookup": stdlib.LookupFunc,
	"lower": stdlib.LowerFunc, "max": stdlib.MaxFunc, "merge": stdlib.MergeFunc, "min": stdlib.MinFunc, "range": stdlib.RangeFunc, "regex": stdlib.RegexFunc,
	"regexall": stdlib.RegexAllFunc, "replace": replaceFunc, "reverse": stdlib.ReverseListFunc, "setintersection": stdlib.SetIntersectionFunc,
	"setproduct": stdlib.SetProductFunc, "setsubtract": stdlib.SetSubtractFunc, "setunion": stdlib.SetUnionFunc, "slice": stdlib.SliceFunc, "sort": stdlib.SortFunc,
	"split": stdlib.SplitFunc, "strrev": stdlib.ReverseFunc, "substr": stdlib.SubstrFunc, "title": stdlib.TitleFunc, "tobool": stdlib.MakeToFunc(cty.Bool),
	"tolist": stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType)), "tomap": stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType)),
	"tonumber": stdlib.MakeToFunc(cty.Number), "toset": stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType)), "tostring": stdlib.MakeToFunc(cty.String),
	"trim": stdlib.TrimFunc, "trimprefix": stdlib.TrimPrefixFunc, "trimspace": stdlib.TrimSpaceFunc, "trimsuffix": stdlib.TrimSuffixFunc, "try": tryfunc.TryFunc,
	"upper": stdlib.UpperFunc, "values": stdlib.ValuesFunc, "zipmap": stdlib.ZipmapFunc,
}

// replaceFunc is Terraform's replace, which takes a pattern between slashes as a regular expression.
var replaceFunc = function.New(&function.Spec{
	Params: []function.Parameter{{Name: "str", Type: cty.String}, {Name: "substr", Type: cty.String}, {Name: "replace", Type: cty.String}},
	Type:   function.StaticReturnType(cty.String),
	Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
		if p := args[1].AsString(); len(p) > 1 && p[0] == '/' && p[len(p)-1] == '/' {
			return stdlib.RegexReplace(args[0], cty.StringVal(p[1:len(p)-1]), args[2])
		}
		return stdlib.Replace(args[0], args[1], args[2])
	},
})

// Limits of one reading: expressions that refer to each other could otherwise multiply.
const (
	maxDepth       = 40
	maxEvaluations = 20000
)

// placeOf is where an expression stands: a module, and the index of the resource or module call around it.
type placeOf struct {
	scope   *scope
	index   any
	forEach hcl.Expression // of the block, nil where it has none
}

// evaluated is the value of an argument by the code. known is false where the code is not at hand, is not the code that
// was planned, or does not tell it.
func (w *world) evaluated(o *object, path ...any) (v cty.Value, known bool) {
	if w.options.Code == nil || o.conf == nil || o == o.now && o.then != o {
		return cty.NilVal, false
	}
	f := w.options.Code.module(o.scope.address)
	if f == nil || f.blocks[o.block()] == nil {
		return cty.NilVal, false
	}
	block := f.blocks[o.block()]
	e := expressionIn(block.Body, path)
	if e == nil || !sameReferences(o.expression(path...), e) {
		return cty.NilVal, false
	}
	v = w.evaluate(placeOf{o.scope, o.Index, attribute(block.Body, "for_each")}, e, 0)
	return v, v.IsWhollyKnown() && !v.IsNull()
}

// evaluatedText is a text by the code.
func (w *world) evaluatedText(o *object, path ...any) (string, bool) {
	v, known := w.evaluated(o, path...)
	if !known || v.Type() != cty.String {
		return "", false
	}
	return v.AsString(), true
}

// evaluatedList is a list of texts by the code.
func (w *world) evaluatedList(o *object, path ...any) ([]string, bool) {
	v, known := w.evaluated(o, path...)
	if !known || !v.CanIterateElements() || v.Type().IsObjectType() || v.Type().IsMapType() {
		return nil, false
	}
	var out []string
	for it := v.ElementIterator(); it.Next(); {
		_, e := it.Element()
		if e.IsNull() || e.Type() != cty.String {
			return nil, false
		}
		out = append(out, e.AsString())
	}
	return out, true
}

// expressionIn finds an argument in a block. Nested blocks are found by their number only where their order is that of the plan: the
// statements of a policy document, and a block that comes once.
func expressionIn(body hcl.Body, path []any) hcl.Expression {
	for len(path) > 2 {
		name, _ := path[0].(string)
		n, ok := path[1].(int)
		content, _, _ := body.PartialContent(&hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{{Type: name}, {Type: "dynamic", LabelNames: []string{"of"}}}})
		if !ok || content == nil {
			return nil
		}
		var blocks hcl.Blocks
		for _, b := range content.Blocks {
			if b.Type == name {
				blocks = append(blocks, b)
			} else if b.Labels[0] == name {
				return nil
			}
		}
		if n >= len(blocks) || len(blocks) > 1 && name != "statement" {
			return nil
		}
		body, path = blocks[n].Body, path[2:]
	}
	name, _ := path[0].(string)
	if len(path) != 1 || name == "" {
		return nil
	}
	return attribute(body, name)
}

// sameReferences reports whether an expression of the code refers to what the plan says that it refers to: else the code is another
// than the one that was planned.
func sameReferences(planned map[string]any, e hcl.Expression) bool {
	root := func(parts []string) string {
		n := 2
		if parts[0] == "data" {
			n = 3
		}
		return strings.Join(parts[:min(n, len(parts))], ".")
	}
	want, have := map[string]bool{}, map[string]bool{}
	list, _ := planned["references"].([]any)
	for _, r := range list {
		if s, _ := r.(string); s != "" {
			if parts := tokens(s); len(parts) > 1 { // else it is told by something longer too
				want[root(parts)] = true
			}
		}
	}
	for _, t := range e.Variables() {
		if parts := names(t); len(parts) > 1 {
			have[root(parts)] = true
		}
	}
	if len(want) != len(have) {
		return false
	}
	for r := range want {
		if !have[r] {
			return false
		}
	}
	return true
}

// names are the steps of a traversal until the first index.
func names(t hcl.Traversal) []string {
	var out []string
	for _, s := range t {
		switch s := s.(type) {
		case hcl.TraverseRoot:
			out = append(out, s.Name)
		case hcl.TraverseAttr:
			out = append(out, s.Name)
		default:
			return out
		}
	}
	return out
}

// evaluate is the value of an expression; unknown where it cannot be told.
func (w *world) evaluate(in placeOf, e hcl.Expression, depth int) cty.Value {
	mark := fmt.Sprintf("expression %s %v %s", in.scope.address, in.index, e.Range())
	w.evaluations++
	if depth > maxDepth || w.evaluations > maxEvaluations || w.resolving[mark] {
		return cty.DynamicVal
	}
	w.resolving[mark] = true
	defer delete(w.resolving, mark)

	// What the expression refers to, as objects of objects: data.type.name is three deep.
	tree := map[string]any{}
	for _, t := range e.Variables() {
		parts := names(t)
		if len(parts) == 0 {
			continue
		}
		n := 2
		if parts[0] == "data" {
			n = 3
		}
		if len(parts) < n { // the whole of something, as in keys(local)
			tree[parts[0]] = cty.DynamicVal
			continue
		}
		at := tree
		for _, p := range parts[:n-1] {
			inner, ok := at[p].(map[string]any)
			if !ok {
				if at[p] != nil { // its whole is referred to as well
					at = nil
					break
				}
				inner = map[string]any{}
				at[p] = inner
			}
			at = inner
		}
		if at != nil && at[parts[n-1]] == nil {
			at[parts[n-1]] = w.referred(in, parts[:n], depth)
		}
	}
	var build func(v any) cty.Value
	build = func(v any) cty.Value {
		if m, ok := v.(map[string]any); ok {
			values := map[string]cty.Value{}
			for k, e := range m {
				values[k] = build(e)
			}
			return cty.ObjectVal(values)
		}
		return v.(cty.Value)
	}
	context := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: functions}
	for k, v := range tree {
		context.Variables[k] = build(v)
	}
	v, problems := e.Value(context)
	if problems.HasErrors() {
		return cty.DynamicVal
	}
	return v
}

// referred is the value of what a reference begins with: var.x, local.x, module.x, each.key, type.name, data.type.name.
func (w *world) referred(in placeOf, parts []string, depth int) cty.Value {
	code := w.options.Code
	s := in.scope
	f := code.module(s.address)
	if f == nil {
		return cty.DynamicVal
	}
	name := parts[1]
	switch parts[0] {
	case "each":
		k, isText := in.index.(string)
		if !isText {
			return cty.DynamicVal
		}
		if name == "key" {
			return cty.StringVal(k)
		}
		if in.forEach == nil {
			return cty.DynamicVal
		}
		all := w.evaluate(placeOf{scope: s}, in.forEach, depth+1)
		switch t := all.Type(); {
		case !all.IsKnown() || all.IsNull():
		case t.IsSetType():
			return cty.StringVal(k)
		case t.IsObjectType() && t.HasAttribute(k):
			return all.GetAttr(k)
		case t.IsMapType() && all.HasIndex(cty.StringVal(k)).True():
			return all.Index(cty.StringVal(k))
		}
		return cty.DynamicVal
	case "count":
		if n, ok := in.index.(json.Number); ok && name == "index" {
			if v, err := cty.ParseNumberVal(n.String()); err == nil {
				return v
			}
		}
		return cty.DynamicVal
	case "path", "terraform", "self":
		return cty.DynamicVal
	case "local":
		if e := f.locals[name]; e != nil {
			return w.evaluate(placeOf{scope: s}, e, depth+1)
		}
		return cty.DynamicVal
	case "var":
		if s.parent == nil {
			if v, ok := w.doc.variables[name]; ok {
				return toCty(v, nil)
			}
			return cty.DynamicVal
		}
		if parent := code.module(s.parent.address); parent != nil && parent.used[s.call] != nil {
			call := parent.used[s.call].Body
			if e := attribute(call, name); e != nil {
				return w.evaluate(placeOf{s.parent, s.index, attribute(call, "for_each")}, e, depth+1)
			}
			if e := f.variables[name]; e != nil {
				return w.evaluate(placeOf{scope: s}, e, depth+1)
			}
		}
		return cty.DynamicVal
	case "module":
		address := strings.TrimPrefix(s.address+".module."+name, ".")
		outputs := func(child *scope) cty.Value {
			inner := code.module(child.address)
			if inner == nil {
				return cty.DynamicVal
			}
			values := map[string]cty.Value{}
			for o, e := range inner.outputs {
				values[o] = w.evaluate(placeOf{scope: child}, e, depth+1)
			}
			return cty.ObjectVal(values)
		}
		if child := w.scopes[address]; child != nil {
			return outputs(child)
		}
		return cty.DynamicVal // instances of a module: which there are is not known from those with resources
	}
	return w.blockValue(s.address + " " + strings.Join(parts, "."))
}

// blockValue is a resource block as expressions see it: an object, or the objects of its instances by index.
func (w *world) blockValue(name string) cty.Value {
	v, ok := w.blocks[name]
	if !ok {
		v = w.newBlockValue(name)
		w.blocks[name] = v
	}
	return v
}

func (w *world) newBlockValue(name string) cty.Value {
	instances := w.byName[name]
	if len(instances) == 0 {
		return cty.DynamicVal
	}
	if instances[0].Index == nil {
		if len(instances) > 1 {
			return cty.DynamicVal
		}
		return w.objectValue(instances[0])
	}
	byKey, byNumber := map[string]cty.Value{}, map[int64]cty.Value{}
	for _, i := range instances {
		if i.then == nil {
			continue // it will be gone
		}
		switch k := i.Index.(type) {
		case string:
			byKey[k] = w.objectValue(i)
		case json.Number:
			n, _ := k.Int64()
			byNumber[n] = w.objectValue(i)
		}
	}
	switch {
	case len(byKey) > 0 && len(byNumber) == 0:
		return cty.ObjectVal(byKey)
	case len(byNumber) > 0 && len(byKey) == 0:
		list := make([]cty.Value, len(byNumber))
		for n := range list {
			v, ok := byNumber[int64(n)]
			if !ok {
				return cty.DynamicVal
			}
			list[n] = v
		}
		return cty.TupleVal(list)
	}
	return cty.DynamicVal
}

// objectValue is a resource as expressions see it, with what follows from the code.
func (w *world) objectValue(i *instance) cty.Value {
	o := i.then
	if o == nil {
		return cty.DynamicVal
	}
	v := toCty(o.values, o.unknown)
	if !v.Type().IsObjectType() {
		return cty.DynamicVal
	}
	values := v.AsValueMap()
	if values == nil {
		values = map[string]cty.Value{}
	}
	var computed []string
	for name, u := range asObject(o.unknown) {
		if u == true {
			computed = append(computed, name)
		}
	}
	slices.Sort(computed)
	for _, name := range computed {
		if i.Mode == "data" {
			if i.Type == "aws_iam_policy_document" && (name == "json" || name == "minified_json") {
				if r := w.policyDocument(i); r.text != "" && len(r.widened) == 0 {
					values[name] = cty.StringVal(r.text)
				}
			}
		} else if s, ok := w.derived(o, name); ok && s != "" {
			values[name] = cty.StringVal(s)
		}
	}
	return cty.ObjectVal(values)
}

// toCty is a value of the plan as expressions see it, with what is unknown of it.
func toCty(v, unknown any) cty.Value {
	if unknown == true {
		return cty.DynamicVal
	}
	switch v := v.(type) {
	case string:
		return cty.StringVal(v)
	case bool:
		return cty.BoolVal(v)
	case json.Number:
		if n, err := cty.ParseNumberVal(v.String()); err == nil {
			return n
		}
		return cty.DynamicVal
	case []any:
		list := make([]cty.Value, len(v))
		for n, e := range v {
			list[n] = toCty(e, at(unknown, n))
		}
		return cty.TupleVal(list)
	case map[string]any:
		values := map[string]cty.Value{}
		for k, e := range v {
			values[k] = toCty(e, at(unknown, k))
		}
		for k, u := range asObject(unknown) {
			if _, there := values[k]; !there {
				values[k] = toCty(nil, u)
			}
		}
		return cty.ObjectVal(values)
	case nil:
		if m := asObject(unknown); len(m) > 0 && anyMark(m) {
			return cty.DynamicVal
		}
		return cty.NullVal(cty.DynamicPseudoType)
	}
	return cty.DynamicVal
}
