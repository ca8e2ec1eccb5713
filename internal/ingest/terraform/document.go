package terraform

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// resolved is a policy that is computed when the plan is applied, as far as the plan tells it.
type resolved struct {
	text    string // "" where it is not known
	secret  bool   // a part of it is marked as sensitive
	unknown []missing
	widened []string // what was taken wider than it will be, in words
}

// missing is a part of a policy that is not known.
type missing struct{ attribute, why string }

// policyText is the text of a policy that is computed when the plan is applied. It is known where the argument is the json of
// a data source aws_iam_policy_document whose statements are known, or become known by the ARNs of what the plan makes.
func (w *world) policyText(o *object, path ...any) resolved {
	if s, ok := w.evaluatedText(o, path...); ok {
		return resolved{text: s}
	}
	expression := o.expression(path...)
	lost := func(why string) resolved {
		return resolved{unknown: []missing{{pathText(path), why}}}
	}
	refs := references(expression)
	if len(refs) != 1 {
		return lost(computedFrom(expression))
	}
	i, end, _ := w.ends(o.scope, indexIn(expression, o.Index), refs[0], 0)
	if i != nil && len(end) == 0 && i.Type == "aws_iam_policy_document" {
		end = []any{"json"} // x[each.key].json is told as x alone
	}
	if i == nil || len(end) != 1 {
		return lost(computedFrom(expression))
	}
	if i.Type == "aws_iam_policy_document" && i.Mode == "data" {
		if end[0] != "json" && end[0] != "minified_json" {
			return lost(computedFrom(expression))
		}
		if _, known := w.told(o.scope, indexIn(expression, o.Index), refs[0]); known {
			return lost(computedFrom(expression)) // it is not that document, or it would be known
		}
		return w.policyDocument(i)
	}
	return lost(computedFrom(expression))
}

// policyDocument is what a data source aws_iam_policy_document will say.
func (w *world) policyDocument(i *instance) resolved {
	o := i.then
	if o == nil {
		o = i.now
	}
	if o == nil {
		return resolved{unknown: []missing{{i.Address, "is computed when the plan is applied"}}}
	}
	if s, known := o.string("json"); known && s != "" {
		return resolved{text: s, secret: marked(o.sensitive, true, "json")}
	}
	mark := "document " + i.Address
	if w.resolving[mark] {
		return resolved{unknown: []missing{{i.Address, "refers to itself"}}}
	}
	w.resolving[mark] = true
	defer delete(w.resolving, mark)

	r := resolved{secret: anyMark(o.sensitive)}
	lose := func(why string, path ...any) {
		r.unknown = append(r.unknown, missing{i.Address + "." + pathText(path), why})
	}
	var statements []map[string]any
	// merge adds statements; one with the Sid of an earlier one takes its place.
	merge := func(list []map[string]any) {
		for _, s := range list {
			sid, _ := s["Sid"].(string)
			at := -1
			if sid != "" {
				at = slices.IndexFunc(statements, func(t map[string]any) bool { return t["Sid"] == sid })
			}
			if at >= 0 {
				statements[at] = s
			} else {
				statements = append(statements, s)
			}
		}
	}
	others := func(argument string) {
		for _, t := range w.otherDocuments(o, argument, &r, lose) {
			list, ok := statementsOf(t)
			if !ok {
				lose("is no policy document", argument)
			}
			merge(list)
		}
	}
	others("source_json")
	others("source_policy_documents")
	list, known := o.list("statement")
	if !known {
		lose(computedFrom(o.expression("statement")), "statement")
	}
	var mine []map[string]any
	for n := range list {
		mine = append(mine, w.statementBlock(o, n, &r, lose))
	}
	merge(mine)
	others("override_json")
	others("override_policy_documents")
	if len(r.unknown) > 0 {
		return r
	}
	version, _ := o.string("version")
	whole := map[string]any{"Version": cmp.Or(version, "2012-10-17"), "Statement": statements}
	if id, _ := o.string("policy_id"); id != "" {
		whole["Id"] = id
	}
	text, err := json.Marshal(whole)
	if err != nil {
		lose("cannot be written: "+err.Error(), "statement")
		return r
	}
	r.text = string(text)
	return r
}

// otherDocuments are the texts of the documents that an argument of a data source takes in.
func (w *world) otherDocuments(o *object, argument string, r *resolved, lose func(string, ...any)) []string {
	if s, isText := at(o.values, argument).(string); isText {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	expression := o.expression(argument)
	refs := references(expression)
	take := func(ref string) (string, bool) {
		i, end, _ := w.ends(o.scope, indexIn(expression, o.Index), ref, 0)
		if i == nil || len(end) != 1 || i.Type != "aws_iam_policy_document" || end[0] != "json" && end[0] != "minified_json" {
			return "", false
		}
		inner := w.policyDocument(i)
		r.unknown, r.widened, r.secret = append(r.unknown, inner.unknown...), append(r.widened, inner.widened...), r.secret || inner.secret
		return inner.text, true
	}
	list, known := o.list(argument)
	if !known { // one document given as text, or a list computed as a whole
		if strings.HasSuffix(argument, "_json") && len(refs) == 1 {
			if s, ok := take(refs[0]); ok {
				return []string{s}
			}
		}
		if given, sure := o.configured(argument); given || !sure {
			lose(computedFrom(expression), argument)
		}
		return nil
	}
	// Every element refers to one document: they are those of the references, in order.
	whole := len(refs) == len(list)
	var out []string
	for n := range list {
		if s, known := o.string(argument, n); known {
			out = append(out, s)
			continue
		}
		if whole {
			if s, ok := take(refs[n]); ok {
				out = append(out, s)
				continue
			}
		}
		lose(computedFrom(expression), argument, n)
	}
	return out
}

// statementsOf are the statements of a document, as they are.
func statementsOf(text string) ([]map[string]any, bool) {
	if strings.TrimSpace(text) == "" {
		return nil, true
	}
	var d struct{ Statement json.RawMessage }
	if json.Unmarshal([]byte(text), &d) != nil {
		return nil, false
	}
	var list []map[string]any
	if json.Unmarshal(d.Statement, &list) == nil {
		return list, true
	}
	var one map[string]any
	if json.Unmarshal(d.Statement, &one) == nil {
		return []map[string]any{one}, true
	}
	return nil, false
}

// statementBlock writes one block statement as the data source writes it.
func (w *world) statementBlock(o *object, n int, r *resolved, lose func(string, ...any)) map[string]any {
	s := map[string]any{}
	if marked(o.unknown, false, "statement", n) {
		lose(computedFrom(o.expression("statement", n)), "statement", n)
		return s
	}
	scalar := func(name string) string {
		v, known := o.string("statement", n, name)
		if !known {
			lose(computedFrom(o.expression("statement", n, name)), "statement", n, name)
		}
		return v
	}
	if sid := scalar("sid"); sid != "" {
		s["Sid"] = sid
	}
	effect := cmp.Or(scalar("effect"), "Allow")
	s["Effect"] = effect
	allow := effect == "Allow"
	list := func(kind listKind, path ...any) []string {
		return w.elements(o, kind, r, lose, append([]any{"statement", n}, path...)...)
	}
	put := func(name string, values []string) {
		if len(values) > 0 {
			s[name] = values
		}
	}
	put("Action", list(exactly, "actions"))
	put("NotAction", list(exactly, "not_actions"))
	resources := exactly
	if allow {
		resources = widenARN
	}
	put("Resource", list(resources, "resources"))
	put("NotResource", list(exactly, "not_resources"))
	for _, e := range [][2]string{{"principals", "Principal"}, {"not_principals", "NotPrincipal"}} {
		from, to := e[0], e[1]
		blocks, known := o.list("statement", n, from)
		if !known {
			if given := o.expression("statement", n)[from] != nil; given || o.conf == nil {
				lose(computedFrom(o.expression("statement", n, from)), "statement", n, from)
			}
			continue
		}
		principals := map[string][]string{}
		for m := range blocks {
			typ, known := o.string("statement", n, from, m, "type")
			if !known {
				lose(computedFrom(o.expression("statement", n, from, m, "type")), "statement", n, from, m, "type")
			}
			principals[typ] = append(principals[typ], list(principalName, from, m, "identifiers")...)
		}
		if all := principals["*"]; len(principals) == 1 && len(all) == 1 && all[0] == "*" {
			s[to] = "*"
		} else if len(principals) > 0 {
			s[to] = principals
		}
	}
	blocks, known := o.list("statement", n, "condition")
	if !known {
		lose(computedFrom(o.expression("statement", n, "condition")), "statement", n, "condition")
	}
	conditions := map[string]map[string][]string{}
	for m := range blocks {
		text := func(name string) string {
			v, known := o.string("statement", n, "condition", m, name)
			if !known {
				lose(computedFrom(o.expression("statement", n, "condition", m, name)), "statement", n, "condition", m, name)
			}
			return v
		}
		test, variable := text("test"), text("variable")
		kind := exactly
		operator := strings.TrimSuffix(test, "IfExists")
		if i := strings.LastIndexByte(operator, ':'); i >= 0 {
			operator = operator[i+1:]
		}
		if allow && (operator == "ArnLike" || operator == "ArnEquals" || operator == "StringLike") {
			kind = widenCondition
		}
		if conditions[test] == nil {
			conditions[test] = map[string][]string{}
		}
		conditions[test][variable] = append(conditions[test][variable], list(kind, "condition", m, "values")...)
	}
	if len(conditions) > 0 {
		s["Condition"] = conditions
	}
	return s
}

// listKind says what an element that is computed later may be, where it refers to an ARN.
type listKind uint8

const (
	exactly        listKind = iota // nothing is concluded
	principalName                  // the ARN: nothing can be added to the ARN of a principal
	widenARN                       // the ARN, or something behind it: taken as both, which is at least as wide
	widenCondition                 // the ARN and whatever may follow it
)

// elements is a list of a statement. What is computed later is concluded from the references, one for each missing element.
func (w *world) elements(o *object, kind listKind, r *resolved, lose func(string, ...any), path ...any) []string {
	expression := o.expression(path...)
	refs := w.open(o, expression)
	if marked(o.unknown, true, path...) {
		if l, ok := w.evaluatedList(o, path...); ok {
			return l
		}
	}
	list, known := o.list(path...)
	if !known {
		if given := expression != nil; given || o.conf == nil {
			lose(computedFrom(expression), path...)
		}
		return nil
	}
	var out []string
	var gone []int
	for n := range list {
		if marked(o.unknown, true, append(slices.Clone(path), n)...) {
			gone = append(gone, n)
		} else if s := text(list[n]); s != "" {
			out = append(out, s)
		}
	}
	if len(gone) == 0 {
		return out
	}
	if kind == exactly || len(refs) != len(gone) {
		lose(computedFrom(expression), append(slices.Clone(path), gone[0])...)
		return out
	}
	for n, ref := range refs {
		s, ok := w.arnReference(o, indexIn(expression, o.Index), ref)
		if !ok {
			lose(computedFrom(map[string]any{"references": []any{ref}}), append(slices.Clone(path), gone[n])...)
			continue
		}
		switch {
		case kind == principalName:
			out = append(out, s)
		case kind == widenCondition:
			out = append(out, s+"*")
			r.widened = append(r.widened, fmt.Sprintf("%s.%s refers to %s and is taken as %s, at least as wide as it will be", o.Address, pathText(path), ref, s+"*"))
		default:
			wide := []string{s}
			switch part := strings.SplitN(s, ":", 6); {
			case part[2] == "iam" || part[2] == "sqs" || part[2] == "kms":
				// nothing can stand behind these
			default:
				wide = append(wide, s+"/*")
				if part[2] != "s3" {
					wide = append(wide, s+":*")
				}
				r.widened = append(r.widened, fmt.Sprintf("%s.%s refers to %s and is taken as all of it, at least as wide as it will be", o.Address, pathText(path), ref))
			}
			out = append(out, wide...)
		}
	}
	return out
}

// arnReference is the ARN to which a reference comes.
func (w *world) arnReference(o *object, index any, ref string) (string, bool) {
	i, end, _ := w.ends(o.scope, index, ref, 0)
	if i == nil || len(end) != 1 || end[0] != "arn" && end[0] != "iam_arn" && end[0] != "id" {
		return "", false
	}
	s, ok := w.reference(o.scope, index, false, ref)
	return s, ok && strings.HasPrefix(s, "arn:") && strings.Count(s, ":") >= 5
}
