package access

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
)

// linkCrossings computes, for every principal of the snapshot, the roles that it can assume: the trusts that name it, its
// account or everybody, judged with its own policies. Only possible crossings are kept (Allow, or Unknown with
// conditions left over).
func (g *Graph) linkCrossings() {
	g.out = make([][]*Edge, len(g.Org.Principals))
	g.in = make([][]*Edge, len(g.Org.Principals))
	parallel(len(g.Org.Principals), func(i int) { g.out[i] = g.crossingsOf(g.Org.Principals[i]) })
	for _, edges := range g.out {
		for _, e := range edges {
			to := e.Target.Role.Index
			g.in[to] = append(g.in[to], e)
		}
	}
}

// crossingsOf judges the candidates of one principal: at most one crossing per target, the most permissive.
func (g *Graph) crossingsOf(p *org.Principal) []*Edge {
	assumes := mayAllow(p, assumeRole.Lower())
	var edges []*Edge
	for _, key := range [...]string{p.ARN, p.Account, "*"} {
		for _, via := range g.trusting[key] {
			if via.Mechanism != AssumeRole {
				continue
			}
			if !assumes && (via.Target.Account != p.Account || key != p.ARN) && via.Grantee.Kind != Anyone {
				continue // both sides are needed, and the caller's has nothing (rules 20, 30)
			}
			if e := g.cross(p, via); e != nil {
				edges = append(edges, e)
			}
		}
	}
	slices.SortStableFunc(edges, func(a, b *Edge) int {
		if n := strings.Compare(a.Target.ARN, b.Target.ARN); n != 0 {
			return n
		}
		return rank(a.Verdict) - rank(b.Verdict)
	})
	return slices.CompactFunc(edges, func(a, b *Edge) bool { return a.Target.ARN == b.Target.ARN })
}

func rank(v eval.Verdict) int { return [...]int{eval.Allow: 0, eval.Unknown: 1, eval.Deny: 2}[v] }

// cross judges one principal at one trust; nil where it cannot cross.
func (g *Graph) cross(p *org.Principal, via *Edge) *Edge {
	if via.Grantee.Principal == p && !strings.Contains(via.Grantee.ID, ":assumed-role/") {
		if via.Verdict == eval.Deny {
			return nil
		}
		return via
	}
	target := &via.Target
	d := g.ask(p.Caller, p, probe{assumeRole, target.ARN}, target, g.trustContext(target))
	if d.Verdict == eval.Deny {
		return nil
	}
	return &Edge{
		Grantee:      g.principalGrantee(p, target.Account),
		Mechanism:    AssumeRole,
		Target:       *target,
		CrossAccount: p.Account != target.Account,
		Verdict:      d.Verdict,
		LeftOver:     d.LeftOver,
		By:           via.By,
		Identity:     g.identityEvidence(d, p, target),
		Grants:       via.Grants,
		Actions:      via.Actions,
		MaxSession:   via.MaxSession,
		Via:          via,
	}
}

func (g *Graph) identityEvidence(d eval.Decision, p *org.Principal, t *Target) Evidence {
	if d.Identity.Statement < 0 {
		return Evidence{}
	}
	return g.evidence(d.Identity, p, t)
}

// principalGrantee is a principal of the snapshot as a grantee.
func (g *Graph) principalGrantee(p *org.Principal, from string) Grantee {
	kind := RoleGrantee
	if p.User != nil {
		kind = UserGrantee
	}
	return Grantee{Kind: kind, ID: p.ARN, Account: p.Account, Relation: g.relation(p.Account, from), Principal: p}
}

// mayAllow reports whether some identity policy of a principal may allow an action at all: the index that keeps most pairs
// from being asked.
func mayAllow(p *org.Principal, action string) bool {
	if len(p.Identity.Unresolved) > 0 {
		return true
	}
	for _, q := range p.Identity.Policies {
		for i := range q.Rules {
			if rule := &q.Rules[i]; rule.NotUnderstood != "" || rule.Effect == policy.Allow && rule.Actions.Match(action) {
				return true
			}
		}
	}
	return false
}

// Out are the roles that a principal can or may assume, in order of target.
func (g *Graph) Out(p *org.Principal) []*Edge { return g.out[p.Index] }

// In are the crossings of principals of the snapshot into a role, in order of caller.
func (g *Graph) In(p *org.Principal) []*Edge { return g.in[p.Index] }

// EdgesTo are the trusts as granted of one target, those that are denied included.
func (g *Graph) EdgesTo(target string) []*Edge { return g.edgesTo[target] }

// Outside are the trusts that let in somebody from outside the organisation and are not denied: principals and accounts
// that are not members (or of which nobody knows), identity providers, anyone.
func (g *Graph) Outside() []*Edge {
	var edges []*Edge
	for _, e := range g.Edges {
		if e.Verdict != eval.Deny && e.FromOutside() && !g.insideOnly(e) {
			edges = append(edges, e)
		}
	}
	return edges
}

// insideOnly reports whether an edge for anyone is kept inside the organisation by what each of its statements demands: our
// organisation, a path in it, or accounts of it.
func (g *Graph) insideOnly(e *Edge) bool {
	if e.Grantee.Relation != Public || len(e.Grants) == 0 || g.Org.ID == "" {
		return false
	}
	ours := map[string]func(string) bool{
		"aws:PrincipalOrgID":    func(v string) bool { return v == g.Org.ID },
		"aws:PrincipalOrgPaths": func(v string) bool { return strings.HasPrefix(v, g.Org.ID+"/") },
		"aws:PrincipalAccount":  func(v string) bool { return g.Org.Membership(v) == org.Inside },
	}
	for i := range e.Grants {
		kept := false
		for key, mine := range ours {
			r := e.Grants[i].Condition.Require(key)
			bound := r.Always && !r.Absent && !r.Open && !r.Variable && len(r.Values)+len(r.Patterns) > 0
			foreign := func(v string) bool { return !mine(v) }
			kept = kept || bound && !slices.ContainsFunc(r.Values, foreign) && !slices.ContainsFunc(r.Patterns, foreign)
		}
		if !kept {
			return false
		}
	}
	return true
}

// FromOutside reports whether the grantee stands outside the organisation, or may. Those whom the organisation's own IAM
// Identity Center vouches for do not.
func (e *Edge) FromOutside() bool {
	switch e.Grantee.Relation {
	case External, Public:
		return true
	case Federated:
		return !IdentityCenter(e.Grantee.ID)
	case RelationUnknown:
		return e.CrossAccount
	}
	return false
}

// IdentityCenter reports whether a provider is the one that IAM Identity Center keeps in each account.
func IdentityCenter(provider string) bool {
	_, name, ok := strings.Cut(provider, ":saml-provider/AWSSSO_")
	return ok && strings.HasSuffix(name, "_DO_NOT_DELETE")
}

// Stopped reports whether a guard keeps the grantee out: a Deny, an SCP, an RCP, a boundary. That the caller's own policies
// do not allow it to come is no guard: its account can change them without asking.
func (e *Edge) Stopped() bool {
	return e.Verdict == eval.Deny && (e.Explicit || e.Denied != eval.Identity)
}

// Step names an edge as one step of a path: the call that crosses it.
func (e *Edge) Step() string {
	switch e.Mechanism {
	case ResourcePolicy, IdentityPolicies, KMSGrantGiven:
		if len(e.Actions) > 0 {
			return e.Actions[0]
		}
	case ServiceAssume:
		return string(AssumeRole)
	}
	return string(e.Mechanism)
}

// Can asks for the effective rights of a principal: identity policies, boundary, SCPs, the resource's policy and RCPs, with
// every key of the request unknown that does not follow from the two sides. A pattern as resource asks for all of it. A
// resource whose account neither its ARN nor the snapshot tells is taken to be of the principal's own.
func (g *Graph) Can(p *org.Principal, action eval.Action, resource string) eval.Decision {
	account := ""
	if t := g.targetOf(resource, ""); t.Account == "" {
		account = p.Account
	}
	return g.decide(p.Caller, p, action, resource, account, nil)
}

// decide asks any question: ctx, where given, has the keys that the asker knows, and its Rest.
func (g *Graph) decide(c *eval.Caller, p *org.Principal, action eval.Action, resource, account string, ctx *cond.Context) eval.Decision {
	return g.engine.Decide(g.request(c, p, action, g.sideOf(g.targetOf(resource, account)), ctx))
}

// side is the resource's side of a question: what is the same whoever asks.
type side struct {
	target Target
	known  *cond.Context // what is known of every request to the target
	rcps   []eval.Set
	// policy is the policy of a resource, and trust that of a role, which decides actions of STS only.
	policy, trust *eval.Set
	facts         *eval.Facts
}

func (g *Graph) sideOf(t Target) *side {
	s := &side{target: t, known: &cond.Context{Rest: cond.Undetermined}, facts: g.factsOf(&t)}
	if home := g.homeOf(&t); home != nil {
		s.rcps = home.RCPs
	}
	switch {
	case t.Role != nil:
		s.known = g.trustContext(&t)
		s.trust = t.Role.Trust
	case t.Resource != nil:
		s.known = g.resourceContext(t.Resource)
		s.policy = t.Resource.Policy
	case t.Account != "":
		g.describeTarget(s.known, t.Account)
		setRegion(s.known, t.ARN)
	}
	if t.Hidden != "" {
		unknown := &eval.Set{Unresolved: []string{t.Hidden}}
		if isRole(t.ARN) {
			s.trust = unknown
		} else {
			s.policy = unknown
		}
	}
	return s
}

func isRole(name string) bool {
	a, err := arn.Parse(name)
	return err == nil && a.Service == "iam" && a.ResourceType() == "role"
}

// request puts a caller before the resource's side.
func (g *Graph) request(c *eval.Caller, p *org.Principal, action eval.Action, s *side, ctx *cond.Context) *eval.Request {
	policies := g.callerPolicies(c, p)
	policies.RCPs, policies.Resource = s.rcps, s.policy
	if s.trust != nil && strings.HasPrefix(action.Lower(), "sts:") {
		policies.Resource = s.trust
	}
	known := child(s.known, c)
	if ctx != nil {
		ctx.Parent = known
		known = ctx
	}
	return &eval.Request{Caller: c, Action: action, Resource: s.target.ARN, ResourceAccount: s.target.Account, Context: known, Policies: &policies, Facts: s.facts}
}

// targetOf finds what a resource ARN names.
func (g *Graph) targetOf(resource, account string) Target {
	t := Target{ARN: resource, Account: account}
	if p, ok := g.Org.Principal(resource); ok && p.Role != nil {
		return Target{ARN: resource, Type: "AWS::IAM::Role", Account: p.Account, Role: p}
	}
	if r, ok := g.Org.ResourceOf(resource); ok {
		t.Resource, t.Type = r, r.Type
		if account == "" {
			t.Account = r.Account
		}
	}
	if t.Account == "" {
		t.Account = AccountOf(resource)
	}
	if t.Resource == nil {
		t.Hidden, _ = g.Org.Hidden(resource, t.Account)
	}
	return t
}
