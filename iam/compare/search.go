package compare

import (
	"slices"
	"sync"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// search is one direction of a comparison: what does `to` allow that `from` does not?
type search struct {
	*comparison
	from, to []*policy.Policy
	asked    int
	found    []Difference
	open     []question
}

// question is one combination of classes. Reason is why it is undecided.
type question struct {
	names    func() []string // the actions that are meant
	action   eval.Action     // one of them
	resource string
	caller   *caller
	side     side
	reason   string
}

// side is what the caller's own policies are taken for.
type side uint8

const (
	able    side = iota // they allow everything
	bare                // they allow nothing: the resource's policy grants by itself, or not at all
	bounded             // they allow everything, and a permissions boundary nothing
)

// sides are those that are asked about. In another account, the caller's own policies must allow whatever the resource's say; in the
// resource's own they make a difference, and so does the boundary by the strength with which a statement names the caller (rules
// 20 to 28).
func (s *search) sides(k *caller, allowed bool) []side {
	if !allowed || !k.own || s.kind == policy.Identity || k.subject.Kind == eval.Root {
		return []side{able}
	}
	return []side{able, bare, bounded}
}

// class asks about all resources and callers for one class of actions.
func (s *search) class(class *actionClass) {
	resources := s.resourcesOf(class)
	if resources.incomplete != "" {
		s.open = append(s.open, question{action: class.action, reason: resources.incomplete})
	}
	for _, r := range resources.list {
		if s.contained(class, r.example) {
			continue
		}
		names := sync.OnceValue(func() []string { return s.taking(class, r) })
		allowed := s.reached(s.to, class, r.example, policy.Allow)
		spared := s.kind == policy.Resource && s.reached(s.from, class, r.example, policy.Deny)
		for i := range s.callers {
			c := &s.callers[i]
			if !allowed && !(spared && c.own) {
				continue
			}
			for _, side := range s.sides(c, allowed) {
				s.ask(question{names: names, action: r.action, resource: r.example, caller: c, side: side})
			}
			if s.asked > s.o.Questions {
				return
			}
		}
	}
}

// reached reports whether a statement of a side with the effect, or with none that can be read, concerns a resource.
func (s *search) reached(side []*policy.Policy, class *actionClass, resource string, effect policy.Effect) bool {
	for rule := range s.rules(side) {
		if (rule.Effect == effect || rule.Effect == policy.NoEffect) && concerns(rule, class, resource) {
			return true
		}
	}
	return false
}

// concerns reports whether a statement is about an action and a resource. Variables may stand for anything.
func concerns(rule *policy.Rule, class *actionClass, resource string) bool {
	if !rule.Actions.Match(class.lower) {
		return false
	}
	if !rule.Resources.Present {
		return true
	}
	named := slices.ContainsFunc(rule.Resources.Values, func(v policy.ResourcePattern) bool {
		return v.Template == nil && v.Pattern.Match(resource)
	})
	if rule.Resources.Not {
		return !named
	}
	return named || slices.ContainsFunc(rule.Resources.Values, hasVariable)
}

func hasVariable(v policy.ResourcePattern) bool { return v.Template != nil }

// ask decides one question, and records a difference or that it is undecided.
func (s *search) ask(q question) {
	s.asked++
	ctx := s.context(q.caller, q.resource)
	truth, d, reason := s.differ(q, ctx)
	if truth == cond.Unknown && len(s.variables) > 0 {
		// With one value for each variable, a difference can at least be shown.
		if t, shown, _ := s.differ(q, s.sampled(ctx)); t == cond.True {
			truth, d = t, shown
		}
	}
	switch truth {
	case cond.True:
		s.found = append(s.found, d)
	case cond.Unknown:
		q.reason = reason
		s.open = append(s.open, q)
	}
}

// differ compares the two decisions in a context: True with a confirmed difference, False where there is none, Unknown with
// the reason.
func (s *search) differ(q question, ctx *cond.Context) (cond.Truth, Difference, string) {
	now := s.leftOver(q, s.to, ctx)
	if now.IsNever() {
		return cond.False, Difference{}, ""
	}
	before := s.leftOver(q, s.from, ctx)
	if implied, _ := now.Implies(before); implied && !now.Opaque() && !before.Opaque() || before.IsAlways() {
		return cond.False, Difference{}, ""
	}
	more := now.And(before.Not())
	closed := more.And(q.caller.demand(more))
	truth, witness := closed.Possible(ctx)
	switch {
	case truth == cond.True && q.caller.net:
		return cond.Unknown, Difference{}, "accounts are compared by the numbers that are written out, and a pattern stands for others"
	case truth == cond.False:
		return truth, Difference{}, ""
	case truth == cond.Unknown:
		return truth, Difference{}, closed.Undecided(ctx) + ": " + more.String()
	}
	return s.confirm(q, more, witness)
}

// leftOver is what must hold for one side to allow: Always, Never, or the conditions.
func (s *search) leftOver(q question, side []*policy.Policy, ctx *cond.Context) cond.Formula {
	r := s.request(q, side, q.caller.subject, ctx)
	d := s.o.Engine.Decide(r)
	switch d.Verdict {
	case eval.Allow:
		return cond.Always()
	case eval.Deny:
		return cond.Never()
	}
	return d.LeftOver
}
