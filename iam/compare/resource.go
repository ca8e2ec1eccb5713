package compare

import (
	"regexp"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// resourceClass is the resources that match some patterns and none of some others.
type resourceClass struct {
	in, out []string
	example string
	action  eval.Action // the one that the example is for

	examples map[string]string // by the pattern of a type, "" where none is of the type
}

// resourceClasses are the classes that have a member. Incomplete says why some may be missing, "" where none is.
type resourceClasses struct {
	list       []resourceClass
	incomplete string
}

// resourcesOf cuts the resources into classes for one class of actions.
func (c *comparison) resourcesOf(class *actionClass) resourceClasses {
	if c.kind == policy.Trust {
		return resourceClasses{list: []resourceClass{{example: "arn:" + c.partition + ":iam::" + c.owner + ":role/example", action: class.action}}}
	}
	patterns := c.patterns(class)
	key := strings.Join(patterns, "\n")
	classes, seen := c.resources[key]
	if !seen {
		t := tree{domain: resources, patterns: patterns}
		t.grow()
		classes = resourceClasses{t.found, t.incomplete}
		c.resources[key] = classes
	}
	shown := resourceClasses{incomplete: classes.incomplete}
	for _, r := range classes.list {
		shown.list = append(shown.list, c.familiar(class, r))
	}
	if c.kind == policy.Identity {
		none := resourceClass{example: "*", action: class.action} // a request without a resource
		if at := slices.IndexFunc(class.names, func(n string) bool { return usual(eval.MustAction(n), "*") }); at >= 0 {
			none.action = eval.MustAction(class.names[at])
			shown.list = slices.Insert(shown.list, 0, none)
		} else {
			shown.list = append(shown.list, none)
		}
	}
	return shown
}

// maxTried is how many actions of a class are held against AWS's tables.
const maxTried = 200

// familiar gives a class of resources an example of a type that some action of the class takes, where there is one.
func (c *comparison) familiar(class *actionClass, r resourceClass) resourceClass {
	r.action, r.examples = class.action, map[string]string{}
	var tried []string
	for _, n := range familiarActions {
		if slices.Contains(class.names, n) {
			tried = append(tried, n)
		}
	}
	tried = append(tried, class.action.String())
	if a, err := arn.Parse(r.example); err == nil {
		for _, n := range class.names {
			if strings.HasPrefix(n, a.Service+":") && len(tried) < maxTried {
				tried = append(tried, n)
			}
		}
	}
	for _, name := range tried {
		action := eval.MustAction(name)
		if s, found := c.typical(action, r); found {
			r.example, r.action = s, action
			return r
		}
	}
	return r
}

// typical is a resource of the class that an action takes, as far as AWS's tables say.
func (c *comparison) typical(action eval.Action, r resourceClass) (s string, found bool) {
	for _, p := range c.types(action) {
		s, seen := r.examples[p]
		if !seen {
			s, _, _ = example(append(slices.Clone(r.in), p), r.out, fewStates)
			r.examples[p] = s
		}
		if s != "" {
			return s, true
		}
	}
	return "", false
}

// taking are the actions of a class that take resources of a class, all where none is known to, or where they are too many to ask.
func (c *comparison) taking(class *actionClass, r resourceClass) []string {
	if len(class.names) > maxTried || c.kind == policy.Trust {
		return class.names
	}
	var some []string
	for _, n := range class.names {
		found := r.example == "*" && usual(eval.MustAction(n), "*")
		if r.example != "*" {
			_, found = c.typical(eval.MustAction(n), r)
		}
		if found {
			some = append(some, n)
		}
	}
	if some == nil {
		return class.names
	}
	return some
}

// patterns are those of the statements that concern a class of actions, sorted. One with variables is there twice: with their
// sample values, and with a star for each, beyond which no value makes it match.
func (c *comparison) patterns(class *actionClass) []string {
	var all []string
	for rule := range c.rules(c.all) {
		if !rule.Actions.Match(class.lower) {
			continue
		}
		for i := range rule.Resources.Values {
			v := &rule.Resources.Values[i]
			if v.Template == nil {
				all = append(all, v.Pattern.String())
				continue
			}
			if s, state := v.Template.Expand(c.sampled(&cond.Context{Rest: cond.Undetermined})); state == cond.Present {
				all = append(all, s)
			}
			all = append(all, variable.ReplaceAllString(v.Template.String(), "*"))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var variable = regexp.MustCompile(`\$\{[^}]*\}`)

// sampled gives the variables of Resource elements, where they are not known, a value that no policy names.
func (c *comparison) sampled(ctx *cond.Context) *cond.Context {
	s := &cond.Context{Parent: ctx}
	for _, key := range c.variables {
		if state, _ := ctx.Lookup(key); state == cond.Undetermined {
			s.Set(key, sample(key))
		}
	}
	return s
}

// sample is a value of a variable, one of its own for each.
func sample(key string) string {
	if key == "aws:userid" {
		return "AROAEXAMPLE:example"
	}
	return "some-" + key[strings.LastIndexAny(key, ":/")+1:]
}

// variablesOf are the keys of the variables in a text, in lower case.
func variablesOf(text string) []string {
	var keys []string
	for {
		_, rest, found := strings.Cut(text, "${")
		if !found {
			return keys
		}
		body, after, _ := strings.Cut(rest, "}")
		key, _, _ := strings.Cut(body, ",")
		if key = strings.ToLower(strings.TrimSpace(key)); key != "*" && key != "?" && key != "$" && key != "" {
			keys = append(keys, key)
		}
		text = after
	}
}

// tree decides pattern by pattern whether a text matches it, and gives up a branch that no text can be in.
type tree struct {
	domain     string // a pattern that all texts match
	patterns   []string
	found      []resourceClass
	incomplete string
}

// grow makes the classes.
func (t *tree) grow() {
	if s, found := t.search(nil, nil); found {
		t.branch(nil, nil, s)
	}
}

// branch goes on from a branch with a member. The member is one of the next branch on its side too, so that only the other side is
// searched.
func (t *tree) branch(in, out []string, member string) {
	next := len(in) + len(out)
	switch {
	case next == len(t.patterns):
		t.found = append(t.found, resourceClass{in: in, out: out, example: member})
		return
	case len(t.found) >= maxResources:
		t.incomplete = "the statements tell more combinations of patterns apart than are worked out"
		return
	}
	p := t.patterns[next]
	with, without := append(slices.Clone(in), p), append(slices.Clone(out), p)
	if matches(p, member) {
		t.branch(with, out, member)
		if s, found := t.search(in, without); found {
			t.branch(in, without, s)
		}
		return
	}
	if !slices.ContainsFunc(in, func(q string) bool { return apart(p, q) }) {
		if s, found := t.search(with, out); found {
			t.branch(with, out, s)
		}
	}
	t.branch(in, without, member)
}

func (t *tree) search(in, out []string) (string, bool) {
	budget := maxStates
	if t.incomplete != "" {
		budget = fewStates // the answer is open already: only what is quickly found is worth it
	}
	s, found, exhausted := example(append(slices.Clone(in), t.domain), out, budget)
	if exhausted {
		t.incomplete = "whether something matches these patterns and not those needs a longer search than is made"
	}
	return s, found
}

// apart reports whether nothing matches two patterns.
func apart(p, q string) bool {
	a, b := arn.CompilePattern(p), arn.CompilePattern(q)
	return !a.Intersects(&b)
}

// types are patterns of the resources that an action takes, the required ones first.
func (c *comparison) types(action eval.Action) []string {
	var first, rest []string
	entry, ok := ref.LookupAction(action.String())
	if !ok {
		return []string{"arn:" + c.partition + ":" + action.Service() + ":*:*:*"}
	}
	for _, r := range entry.Resources {
		t, _ := ref.LookupResourceType(action.Service(), r.Type)
		for _, p := range t.ARNs {
			if p = c.located(p); r.Required {
				first = append(first, p)
			} else {
				rest = append(rest, p)
			}
		}
	}
	return slices.Concat(first, rest)
}

// located puts the partition into a pattern of AWS's tables, and the account where it is known.
func (c *comparison) located(pattern string) string {
	fields := strings.SplitN(pattern, ":", 6)
	if len(fields) == 6 && fields[1] == "*" {
		fields[1] = c.partition
	}
	if len(fields) == 6 && fields[4] == "*" && c.kind == policy.Resource {
		fields[4] = c.owner
	}
	return strings.Join(fields, ":")
}

// usual reports whether an action takes such a resource, as far as AWS's tables say.
func usual(action eval.Action, resource string) bool {
	entry, ok := ref.LookupAction(action.String())
	if !ok {
		return true
	}
	required := false
	for _, r := range entry.Resources {
		required = required || r.Required
		t, found := ref.LookupResourceType(action.Service(), r.Type)
		if !found {
			return true
		}
		if slices.ContainsFunc(t.ARNs, func(p string) bool { return matches(p, resource) }) {
			return true
		}
	}
	return resource == "*" && !required
}

func matches(pattern, s string) bool {
	p := arn.CompilePattern(pattern)
	return p.Match(s)
}

// resources is what an ARN looks like: it has a partition, a service and a resource.
const resources = "arn:?*:?*:*:*:?*"

// The bounds of the search for one text: where the answer depends on it, and where it only reads better.
const (
	maxStates = 10_000
	fewStates = 300
)

// example finds a string that matches all of some patterns and none of others. Exhausted: the search was given up.
func example(in, out []string, budget int) (s string, found, exhausted bool) {
	return arn.Example(matchers(in), matchers(out), budget)
}

func matchers(patterns []string) []arn.Matcher {
	all := make([]arn.Matcher, len(patterns))
	for i := range patterns {
		all[i] = arn.PatternMatcher(patterns[i])
	}
	return all
}
