package gate

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/change"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// What a change takes away or adds where the base, or its want, does not let anybody see what that means.

// freed tells of a Deny that goes from somebody of whom not every policy is known: what those allow, and it held back, nobody can say.
func (j *judge) freed(o, n *org.Principal) {
	for _, a := range unread(o) {
		if !slices.ContainsFunc(unread(n), func(b snapshot.Attachment) bool { return a.ARN == b.ARN }) {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: "the policy " + a.ARN + " is taken away, and whether it denies is not known", Step: j.stepOf(n.ARN), Source: n.Source})
		}
	}
	stays := denies(n.Identity.Policies)
	if !slices.ContainsFunc(denies(o.Identity.Policies), func(d string) bool { return !slices.Contains(stays, d) }) {
		return
	}
	const how = "a Deny is taken away or changed, and what it held back is not known: "
	switch {
	case len(n.Identity.Unresolved) > 0:
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: how + n.Identity.Unresolved[0], Step: j.stepOf(n.ARN), Source: n.Source})
	case strings.Contains(n.ARN, "{") && j.base != nil:
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: how + "which one of the base it is taken from is not known, for its name is not told", Step: j.stepOf(n.ARN), Source: n.Source})
	case !j.stated(n.ARN):
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: how + "who it is taken from is neither in the code nor in the base", Step: j.stepOf(n.ARN), Source: n.Source})
	}
}

// denies are the statements that deny, as text.
func denies(list []*policy.Policy) (out []string) {
	for _, p := range list {
		for _, s := range p.Document.Statements {
			if s.Effect == policy.Deny || s.NotUnderstood != "" {
				out = append(out, (&policy.Document{Version: p.Document.Version, Statements: []policy.Statement{s}}).Key())
			}
		}
	}
	return out
}

// stated reports whether a principal itself is in the base or in the code, and not only what is given to it.
func (j *judge) stated(name string) bool {
	if j.known == nil {
		j.known = make(map[string]bool)
		if j.base != nil {
			for i := range j.base.Roles {
				j.known[j.base.Roles[i].ARN] = true
			}
			for i := range j.base.Users {
				j.known[j.base.Users[i].ARN] = true
			}
		}
		parts := slices.Clone(j.p.Standing)
		for i := range j.p.Steps {
			parts = append(append(parts, j.p.Steps[i].Before...), j.p.Steps[i].After...)
		}
		for _, part := range parts {
			switch part := part.(type) {
			case change.Role:
				j.known[part.ARN] = true
			case change.User:
				j.known[part.ARN] = true
			}
		}
	}
	return j.known[name]
}

// unread are the attached policies whose document is not known and may deny. Those of AWS only allow, but for a few that are there to deny.
func unread(p *org.Principal) (out []snapshot.Attachment) {
	for _, a := range p.Attached {
		if !slices.ContainsFunc(p.Identity.Unresolved, func(why string) bool { return strings.Contains(why, a.ARN+":") }) {
			continue
		}
		if !strings.Contains(a.ARN, ":iam::aws:policy/") || strings.Contains(a.ARN, "Deny") || strings.Contains(a.ARN, "Quarantine") {
			out = append(out, a)
		}
	}
	return out
}

// controls tells of control policies where there is no organisation that they bind.
func (j *judge) controls() {
	if j.base != nil && j.base.Organization != nil {
		return
	}
	for i := range j.p.Steps {
		s := &j.p.Steps[i]
		if s.Action == change.NoOp {
			continue
		}
		for _, part := range slices.Concat(s.Before, s.After) {
			what := ""
			switch part := part.(type) {
			case change.ControlPolicy:
				what = part.ARN
			case change.ControlTarget:
				what = part.Policy
			default:
				continue
			}
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: what, Why: "a control policy cannot be judged without the organisation: give a snapshot of it as the base", Step: s, Source: s.Source})
			break
		}
	}
}

// groups tells of groups that get or lose policies, and whose members nobody knows: they are neither in the base nor new.
func (j *judge) groups() {
	said := func(g *snapshot.Group) (out []string) {
		for _, d := range g.Inline {
			text := d.Problem
			if d.State == snapshot.Read {
				text = d.Policy.Document.Key()
			}
			out = append(out, d.Name+" "+text)
		}
		for _, a := range g.Attached {
			out = append(out, a.ARN)
		}
		slices.Sort(out)
		return out
	}
	before := make(map[string][]string)
	for i := range j.old.Org.Snapshot.Groups {
		g := &j.old.Org.Snapshot.Groups[i]
		before[g.ARN] = said(g)
	}
	for i := range j.new.Org.Snapshot.Groups {
		g := &j.new.Org.Snapshot.Groups[i]
		if slices.Equal(before[g.ARN], said(g)) || j.base != nil && slices.ContainsFunc(j.base.Groups, func(b snapshot.Group) bool { return b.ARN == g.ARN }) || j.makesGroup(g.ARN) {
			continue
		}
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: g.ARN, Why: "its policies change, and who is in the group is not known: it is not in the base", Step: j.stepOf(g.ARN), Source: g.Source})
	}
}

// makesGroup reports whether the change makes a group, which nobody is in but whom the change puts there.
func (j *judge) makesGroup(group string) bool {
	return slices.ContainsFunc(j.p.Steps, func(s change.Step) bool {
		is := func(part change.Part) bool { g, ok := part.(change.Group); return ok && g.ARN == group }
		return (s.Action == change.Create || s.Action == change.Replace) && slices.ContainsFunc(s.After, is) && !slices.ContainsFunc(s.Before, is)
	})
}

// endpointServices tells who of other accounts may newly connect to an endpoint service: a list says so, and no policy.
func (j *judge) endpointServices() {
	allowed := func(r *snapshot.Resource) (out []string) {
		switch l := r.Attributes.Other["allowedPrincipals"].(type) {
		case []any:
			for _, v := range l {
				out = append(out, fmt.Sprint(v))
			}
		case []string:
			out = l
		}
		return out
	}
	for _, n := range j.new.Org.Resources {
		var had []string
		if o, ok := j.old.Org.Resource(n.ARN); ok {
			had = allowed(o.Resource)
		}
		if slices.Contains(had, "*") {
			continue
		}
		var more []string
		for _, who := range allowed(n.Resource) {
			if !slices.Contains(had, who) && (arn.Account(who) == "" || arn.Account(who) != n.Account) {
				more = append(more, who)
			}
		}
		if len(more) > 0 {
			j.r.Gains = append(j.r.Gains, Gain{Kind: Trust, Who: more, What: n.ARN, Actions: []string{"ec2:CreateVpcEndpoint"}, How: "the list of who may connect to the endpoint service", Conditions: "always", Step: j.stepOf(n.ARN), Source: n.Resource.Policy.Source})
		}
	}
}
