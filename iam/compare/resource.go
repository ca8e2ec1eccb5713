package compare

import (
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
}

// resourceClasses are the classes that have a member. Incomplete says why some may be missing, "" where none is.
type resourceClasses struct {
	list       []resourceClass
	incomplete string
}

// resourcesOf cuts the resources into classes for one class of actions.
func (c *comparison) resourcesOf(class *actionClass) resourceClasses {
	if c.kind == policy.Trust {
		return resourceClasses{list: []resourceClass{{example: "arn:" + c.partition + ":iam::" + c.owner + ":role/example"}}}
	}
	patterns := c.patterns(class)
	key := strings.Join(patterns, "\n")
	classes, seen := c.resources[key]
	if !seen {
		t := tree{patterns: patterns}
		t.grow(nil, nil)
		classes = resourceClasses{t.found, t.incomplete}
		c.resources[key] = classes
	}
	// The examples are those of the action's own types where they can be.
	shown := resourceClasses{incomplete: classes.incomplete}
	for _, r := range classes.list {
		for _, own := range c.typical(class.action) {
			if s, found, _ := example(append(slices.Clone(r.in), own), r.out); found {
				r.example = s
				break
			}
		}
		shown.list = append(shown.list, r)
	}
	if c.kind == policy.Identity {
		var everything resourceClass // a request without a resource
		for _, p := range patterns {
			if matches(p, "*") {
				everything.in = append(everything.in, p)
			} else {
				everything.out = append(everything.out, p)
			}
		}
		everything.example = "*"
		if usual(class.action, "*") {
			shown.list = slices.Insert(shown.list, 0, everything)
		} else {
			shown.list = append(shown.list, everything)
		}
	}
	return shown
}

// patterns are those of the statements that concern a class of actions, sorted. A variable has its sample value in them.
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
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// sampled gives the variables of Resource elements, where they are not known, a value that no policy names.
func (c *comparison) sampled(ctx *cond.Context) *cond.Context {
	s := &cond.Context{Parent: ctx}
	for _, key := range c.variables {
		if state, _ := ctx.Lookup(key); state == cond.Undetermined {
			s.Set(key, "sample")
		}
	}
	return s
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

// tree decides pattern by pattern whether the resource matches it, and gives up a branch that no resource can be in.
type tree struct {
	patterns   []string
	found      []resourceClass
	incomplete string
}

func (t *tree) grow(in, out []string) {
	if len(t.found) >= maxResources {
		t.incomplete = "the statements tell more classes of resources apart than are worked out"
		return
	}
	s, found, exhausted := example(append(slices.Clone(in), "arn:*:*:*:*:*"), out)
	if !found {
		if exhausted {
			t.incomplete = "whether some resource matches these patterns and not those needs a longer search than is made"
		}
		return
	}
	if next := len(in) + len(out); next < len(t.patterns) {
		p := t.patterns[next]
		t.grow(append(slices.Clone(in), p), out)
		t.grow(in, append(slices.Clone(out), p))
		return
	}
	t.found = append(t.found, resourceClass{in: in, out: out, example: s})
}

// typical are patterns of resources that an action takes, the required ones first.
func (c *comparison) typical(action eval.Action) []string {
	var first, rest []string
	known, _ := ref.LookupAction(action.String())
	for _, r := range known.Resources {
		t, _ := ref.LookupResourceType(action.Service(), r.Type)
		for _, p := range t.ARNs {
			if p = strings.Replace(p, "arn:*:", "arn:"+c.partition+":", 1); r.Required {
				first = append(first, p)
			} else {
				rest = append(rest, p)
			}
		}
	}
	return append(slices.Concat(first, rest), "arn:"+c.partition+":"+action.Service()+":*:*:*", "arn:"+c.partition+":*:*:*:*")
}

// usual reports whether an action takes such a resource, as far as AWS's tables say.
func usual(action eval.Action, resource string) bool {
	known, ok := ref.LookupAction(action.String())
	if !ok {
		return true
	}
	required := false
	for _, r := range known.Resources {
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
