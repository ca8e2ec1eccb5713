package compare

import (
	"slices"

	"drawbridge/iam/policy"
)

// contained reports whether `to` is certain to allow nothing new about an action and a resource, because each of its statements that
// allow it is within one of `from`, and each by which `from` denies it is within one of its own. It looks at what the
// statements say and not at what they mean, and is how those that are not understood are known to make no difference: of
// two formulas with the same part that is not understood nobody can say whether it means the same in both or the opposite.
func (s *search) contained(class *actionClass, resource string) bool {
	within := func(side []*policy.Policy, but policy.Effect, other []*policy.Policy) bool {
		var wide []reach
		for rule := range s.rules(other) {
			if concerns(rule, class, resource) {
				wide = append(wide, s.reach(rule, resource))
			}
		}
		for rule := range s.rules(side) {
			if rule.Effect == but || !concerns(rule, class, resource) {
				continue
			}
			r := s.reach(rule, resource)
			if !slices.ContainsFunc(wide, r.within) {
				return false
			}
		}
		return true
	}
	return within(s.to, policy.Deny, s.from) && within(s.from, policy.Allow, s.to)
}

// reach is what is left of a statement that is about an action and a resource: what it says beside them, and which variables its
// Resource leaves open.
type reach struct {
	text      string
	templates []string // in which the resource may be; none where it is in Resource for certain
}

func (r reach) within(wide reach) bool {
	if r.text != wide.text || len(wide.templates) == 0 {
		return r.text == wide.text
	}
	return len(r.templates) > 0 && !slices.ContainsFunc(r.templates, func(t string) bool { return !slices.Contains(wide.templates, t) })
}

// reach is what is left of a rule for a resource that it is about.
func (s *search) reach(rule *policy.Rule, resource string) reach {
	r := reach{text: s.texts[rule]}
	for i := range rule.Resources.Values {
		v := &rule.Resources.Values[i]
		switch {
		case v.Template != nil:
			r.templates = append(r.templates, v.Template.String())
		case v.Pattern.Match(resource):
			return reach{text: r.text}
		}
	}
	if rule.Resources.Not && len(r.templates) > 0 { // the more is listed, the less is left
		slices.Sort(r.templates)
		for _, t := range r.templates {
			r.text += "\n" + t
		}
		r.templates = nil
	}
	return r
}

// textsOf is what each statement says beside its Sid, Action and Resource; all of it where it is not understood.
func textsOf(all []*policy.Policy) map[*policy.Rule]string {
	texts := map[*policy.Rule]string{}
	every := policy.Element{Present: true, Values: []policy.Text{{Value: "*"}}}
	for _, p := range all {
		for i := range p.Rules {
			s := p.Document.Statements[i]
			s.Sid = policy.Text{}
			if p.Rules[i].NotUnderstood == "" {
				s.Action = every
				if s.Resource.Present {
					s.Resource = every
				}
			}
			alone := policy.Document{Version: p.Document.Version, Statements: []policy.Statement{s}}
			texts[&p.Rules[i]] = alone.Key()
		}
	}
	return texts
}
