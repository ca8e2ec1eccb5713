package access

import (
	"slices"
	"strings"

	"drawbridge/iam/eval"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// WhoCan lists who can do an action on a resource: principals of the snapshot by their effective rights, and those that the
// resource's policy names beside them (accounts and roles elsewhere, services, issuers, anyone). Sorted by grantee;
// verdict Allow or Unknown.
func (g *Graph) WhoCan(actionName, resource string) ([]*Edge, error) {
	action, err := eval.ActionOf(actionName)
	if err != nil {
		return nil, err
	}
	if err := g.collected(action, resource); err != nil {
		return nil, err
	}
	target := g.targetOf(resource, "")
	query := g.engine.Query(action, resource)
	sides := g.sidesOf(target)
	hidden, by := target.Hidden, ResourcePolicy // what else lets somebody in, whom nobody knows
	if facts := g.factsOf(&target); facts != nil && facts.GrantsUnknown != "" && eval.Grantable(action) {
		hidden, by = facts.GrantsUnknown, KMSGrantGiven
		all := sides
		sides = func(account string) *side {
			s, known := *all(account), *facts
			known.GrantsUnknown = ""
			s.facts = &known
			return &s
		}
	}
	found := make([]*Edge, len(g.Org.Principals))
	parallel(len(g.Org.Principals), func(i int) {
		p := g.Org.Principals[i]
		s := sides(p.Account)
		if (target.Hidden != "" || needsIdentity(p, action, s)) && !query.Concerns(&p.Identity) {
			return
		}
		d := query.Decide(g.request(p.Caller, p, action, s, nil))
		if d.Verdict == eval.Deny {
			return
		}
		found[i] = g.edgeOf(d, p, g.principalGrantee(p, target.Account), action, target)
	})
	found = slices.DeleteFunc(found, func(e *Edge) bool { return e == nil })
	if hidden != "" {
		found = append(found, g.unreadable(target, by, hidden, snapshot.Document{Name: "resource policy"}))
	}
	for _, e := range g.EdgesTo(target.root()) {
		if e.Grantee.Principal != nil || e.Grantee.Kind == Deleted {
			continue
		}
		if other := g.namedByPolicy(e, action, resource); other != nil {
			found = append(found, other)
		}
	}
	slices.SortFunc(found, compareGrantees)
	return found, nil
}

// needsIdentity reports whether a principal can do nothing without its own policies: in another account than its own (rules 30 to
// 33), and where the resource's side has no policy that could allow by itself (rule 19). Most principals of an organisation are
// passed over by this.
func needsIdentity(p *org.Principal, action eval.Action, s *side) bool {
	if action.Lower() == "sts:getcalleridentity" || s.facts != nil { // rules 105, 49: it needs nothing of its own, or a grant may do
		return false
	}
	return s.policy == nil && s.trust == nil || s.target.Account != "" && s.target.Account != p.Account
}

// sidesOf finds the resource's side for callers of an account. There is one for all, but where nobody knows whose the resource
// is: then it is taken to be of the caller's own account (see Can).
func (g *Graph) sidesOf(t Target) func(account string) *side {
	if t.Account != "" {
		one := g.sideOf(t)
		return func(string) *side { return one }
	}
	byAccount := make(map[string]*side, len(g.Org.Accounts))
	for _, a := range g.Org.Accounts {
		own := t
		own.Account = a.ID
		byAccount[a.ID] = g.sideOf(own)
	}
	return func(account string) *side { return byAccount[account] }
}

func compareGrantees(a, b *Edge) int {
	if n := strings.Compare(string(a.Grantee.Kind), string(b.Grantee.Kind)); n != 0 {
		return n
	}
	return strings.Compare(a.Grantee.ID, b.Grantee.ID)
}

// root is the ARN of the snapshot's resource in which the target lies.
func (t *Target) root() string {
	if t.Resource != nil {
		return t.Resource.ARN
	}
	return t.ARN
}

// namedByPolicy judges one action by the class of callers that a resource-side policy names.
func (g *Graph) namedByPolicy(e *Edge, action eval.Action, resource string) *Edge {
	if e.Grantee.Kind == Canonical || e.Grantee.Kind == NotUnderstood {
		return e
	}
	c, _ := g.callerOf(&e.Grantee, &e.Target, e.Mechanism)
	if c == nil || c.Kind == eval.WebIdentity && action.Lower() != assumeRoleWeb.Lower() {
		return nil
	}
	d := g.decide(c, nil, action, resource, "", nil)
	if d.Verdict == eval.Deny {
		return nil
	}
	return g.edgeOf(d, nil, e.Grantee, action, g.targetOf(resource, ""))
}

// edgeOf is a decision as an edge of one action.
func (g *Graph) edgeOf(d eval.Decision, p *org.Principal, t Grantee, action eval.Action, target Target) *Edge {
	e := &Edge{
		Grantee:       t,
		Mechanism:     IdentityPolicies,
		Target:        target,
		CrossAccount:  t.Account != target.Account,
		Verdict:       d.Verdict,
		LeftOver:      d.LeftOver,
		CallerAssumed: d.CallerAssumed,
		By:            g.evidence(d.By, p, &target),
		Actions:       []string{action.String()},
	}
	if d.Resource.Statement >= 0 {
		e.Mechanism = ResourcePolicy
	}
	if d.Identity.Statement >= 0 {
		e.Identity = g.evidence(d.Identity, p, &target)
	}
	return e
}
