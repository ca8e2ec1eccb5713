package access

import (
	"slices"
	"strings"

	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/org"
)

// Granted lists the known actions that a principal's own policies allow on anything at all, within its boundary, sorted. It is a bound from
// above and no verdict: conditions, resources and SCPs are not asked, and of what is denied only that counts which is denied always and
// everywhere. Unread says which of the documents could not be read: then there may be more.
func Granted(p *org.Principal) (actions, unread []string) {
	unread = slices.Clone(p.Identity.Unresolved)
	allowed := allowedBy(p.Identity.Policies)
	if b := p.Boundary; b != nil {
		unread = append(unread, b.Unresolved...)
		if len(b.Policies) > 0 {
			within := allowedBy(b.Policies)
			for a := range allowed {
				if !within[a] {
					delete(allowed, a)
				}
			}
		}
	}
	for a := range allowed {
		actions = append(actions, a)
	}
	slices.Sort(actions)
	return actions, unread
}

// allowedBy are the known actions that some statement allows, and none denies without a condition on everything.
func allowedBy(policies []*policy.Policy) map[string]bool {
	out := map[string]bool{}
	for _, q := range policies {
		for i := range q.Rules {
			if q.Rules[i].Effect == policy.Allow {
				for _, a := range covered(&q.Rules[i], &q.Document.Statements[i]) {
					out[a] = true
				}
			}
		}
	}
	for _, q := range policies {
		for i := range q.Rules {
			if r := &q.Rules[i]; r.Effect == policy.Deny && r.NotUnderstood == "" && len(r.Condition) == 0 && everywhere(r) {
				for a := range out {
					if r.Actions.Match(strings.ToLower(a)) {
						delete(out, a)
					}
				}
			}
		}
	}
	return out
}

// covered are the known actions of a statement.
func covered(r *policy.Rule, s *policy.Statement) []string {
	if r.Actions.Not {
		return slices.DeleteFunc(ref.Expand("*"), func(a string) bool { return !r.Actions.Match(strings.ToLower(a)) })
	}
	var out []string
	for _, v := range s.Action.Values {
		out = append(out, ref.Expand(v.Value)...)
	}
	return out
}

// everywhere reports whether a statement is about every resource.
func everywhere(r *policy.Rule) bool {
	return !r.Resources.Not && slices.ContainsFunc(r.Resources.Values, func(v policy.ResourcePattern) bool { return v.Template == nil && v.Pattern.Anything() })
}
