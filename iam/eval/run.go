package eval

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// run is one pass over the policies of one request.
type run struct {
	e       *Evaluator
	r       *Request
	ctx     *cond.Context
	trace   func(Step)
	collect bool   // build formulas for what is Unknown
	target  string // the resource as the statements looked at now see it

	deny   term // some Deny statement applies, in any layer
	denyBy Ref  // the first that does, or may
}

// outcome is what one layer allows, and the statement that does (or may).
type outcome struct {
	allow term
	by    Ref
}

// stopped reports whether the request is denied for certain and nobody wants to see the rest.
func (n *run) stopped() bool { return n.deny.truth == cond.True && n.trace == nil }

func (n *run) decide() Decision {
	r, facts := n.r, n.r.facts()
	n.deny, n.denyBy, n.target = no, NoRef, r.Resource
	if r.Action.lower == "sts:getcalleridentity" { // rule 105
		return Decision{Verdict: Allow, By: Ref{Layer: AWS, Document: -1, Statement: -1}, Identity: NoRef, Resource: NoRef, LeftOver: cond.Always()}
	}
	if n.refused() {
		return n.denied(Decision{By: Ref{AWS, 0, -1, -1}})
	}
	if facts.TagsIgnored {
		n.withoutTags()
	}
	target := Resource
	if n.assumesRole() {
		target = Trust
	}
	var l [layers]outcome
	for i := range l {
		l[i] = outcome{yes, NoRef}
	}
	var g grantees
	g.resource, l[target] = n.resource(target, r.Policies.Resource)
	if !n.stopped() {
		n.rcps()
	}
	if facts.AccessPoint != nil && !n.stopped() {
		n.target = facts.AccessPoint.Resource // for the caller's side too
		g.accessPoint, l[Point] = n.resource(Point, facts.AccessPoint.Policy)
	}
	if !n.stopped() && n.hasCallerSide() {
		n.callerSide(&l)
	}
	if !n.stopped() && r.Policies.Endpoint != nil {
		l[Endpoint] = n.set(Endpoint, 0, r.Policies.Endpoint)
	}
	if n.stopped() {
		return n.denied(Decision{Explicit: true, By: n.denyBy})
	}
	if len(facts.Grants) > 0 || facts.GrantsUnknown != "" || r.Action.lower == retireGrant {
		g.kms = n.granted()
	} else {
		g.kms = nobody
	}
	return n.combine(&l, target, g)
}

// grantees is how strongly each of the resource's policies names the caller, and what KMS grants allow it.
type grantees struct {
	resource, accessPoint, kms match
}

// assumesRole reports whether the request is decided by a role's trust policy.
func (n *run) assumesRole() bool {
	a := n.r.Action.lower
	return strings.HasPrefix(a, "sts:") && isRole(n.r.Resource) &&
		(strings.HasPrefix(a, "sts:assumerole") || a == "sts:tagsession" || a == "sts:setsourceidentity" || a == "sts:setcontext")
}

func isRole(resource string) bool {
	return strings.Contains(resource, ":iam:") && strings.Contains(resource, ":role/")
}

// hasCallerSide: services, federated subjects and anonymous callers have no identity policies (rules 100, 102, 120).
func (n *run) hasCallerSide() bool {
	switch n.r.Caller.Kind {
	case Service, WebIdentity, SAML, Anonymous:
		return false
	}
	return !n.r.Policies.CallerAssumed
}

// callerSide evaluates the policies of the caller's account.
func (n *run) callerSide(l *[layers]outcome) {
	p, c := n.r.Policies, n.r.Caller
	if c.Kind == Root {
		l[Identity] = outcome{yes, NoRef} // rule 3
	} else {
		l[Identity] = n.set(Identity, 0, &p.Identity)
	}
	if p.Boundary != nil && !n.stopped() {
		l[Boundary] = n.set(Boundary, 0, p.Boundary)
	}
	switch {
	case p.Session != nil && !n.stopped():
		l[Session] = n.set(Session, 0, p.Session)
	case p.Session == nil && c.Kind == FederatedUser:
		l[Session] = outcome{no, Ref{Session, 0, -1, -1}} // rule 10
	}
	if c.Management || c.ServiceLinked { // rule 93
		return
	}
	for level := range p.SCPs {
		if n.stopped() {
			return
		}
		o := n.set(SCP, level, &p.SCPs[level])
		if o.allow.truth != cond.True && l[SCP].allow.truth == cond.True {
			l[SCP].by = o.by
		}
		l[SCP].allow = l[SCP].allow.and(o.allow) // rule 90
	}
}

// rcps evaluates the RCPs of the resource's account. They only deny (rules 94, 99), reach the listed services (95), need a
// resource (97) and spare service-linked roles (96) and kms:RetireGrant (49). For the management account there are none (98).
func (n *run) rcps() {
	r := n.r
	if r.Caller.ServiceLinked || r.facts().AWSManaged || r.Action.lower == retireGrant || strings.Contains(r.Resource, ":role/aws-service-role/") {
		return
	}
	if r.Resource == "*" && !n.e.Readings.Has(cond.RCPWithoutResource) {
		return
	}
	if s := n.e.RCPServices; s != nil && !s[r.Action.Service()] {
		return
	}
	for level := range r.Policies.RCPs {
		n.set(RCP, level, &r.Policies.RCPs[level])
		if n.stopped() {
			return
		}
	}
}

// set evaluates the documents of one level: one matching Allow in any document is enough (rule 4).
func (n *run) set(layer Layer, level int, s *Set) outcome {
	o := outcome{no, Ref{layer, int16(level), -1, -1}}
	for d, p := range s.Policies {
		for i := range p.Rules {
			ref := Ref{layer, int16(level), int32(d), int32(i)}
			t := n.statement(&p.Rules[i], ref).any()
			if t.truth == cond.False {
				continue
			}
			n.apply(&p.Rules[i], ref, t, &o)
			if n.stopped() {
				return o
			}
		}
	}
	n.unresolved(s, &o)
	return o
}

// apply takes a statement that matches, or may, into account by its effect. A statement without a readable effect may
// do either.
func (n *run) apply(rule *policy.Rule, ref Ref, t term, o *outcome) {
	if rule.Effect != policy.Allow {
		n.denies(ref, t)
	}
	if rule.Effect != policy.Deny && (n.collect || o.allow.truth != cond.True) {
		if o.by.Statement < 0 || t.truth == cond.True {
			o.by = ref
		}
		o.allow = o.allow.or(t)
	}
}

func (n *run) denies(ref Ref, t term) {
	if n.denyBy.Layer == NoLayer || t.truth == cond.True && n.deny.truth != cond.True {
		n.denyBy = ref
	}
	n.deny = n.deny.or(t)
}

// unresolved takes policies that could not be read into account: each may allow and may deny.
func (n *run) unresolved(s *Set, o *outcome) {
	for _, reason := range s.Unresolved {
		t := n.opaque(reason)
		n.denies(o.by, t)
		o.allow = o.allow.or(t)
	}
}

// resource evaluates the resource or trust policy, by the strength with which it names the caller.
func (n *run) resource(layer Layer, s *Set) (match, outcome) {
	m, o := nobody, outcome{no, Ref{layer, 0, -1, -1}}
	if s == nil || n.r.Resource == "*" && n.r.ResourceAccount == "" {
		return m, o
	}
	foreign := layer == Resource && n.foreignObject()
	for d, p := range s.Policies {
		for i := range p.Rules {
			rule, ref := &p.Rules[i], Ref{layer, 0, int32(d), int32(i)}
			found := n.statement(rule, ref)
			if foreign && rule.Effect != policy.Deny {
				found = found.and(n.opaque("whether the ACL of the object allows it, which belongs to account " + n.r.facts().ObjectOwner))
			}
			t := found.any()
			if t.truth == cond.False {
				continue
			}
			n.apply(rule, ref, t, &o)
			if n.stopped() {
				return m, o
			}
			if rule.Effect != policy.Deny {
				for g := range grants {
					m[g] = m[g].or(found[g])
				}
			}
		}
	}
	before := o.allow
	n.unresolved(s, &o)
	if len(s.Unresolved) > 0 {
		m[direct] = m[direct].or(n.opaque(s.Unresolved[0]))
		o.allow = before.or(m[direct])
	}
	return m, o
}

// statement matches one statement with the request (rule 14), by the strength with which it names the caller.
func (n *run) statement(rule *policy.Rule, ref Ref) match {
	m, stopped := n.matchStatement(rule, ref.Layer)
	if n.trace != nil {
		n.trace(Step{Ref: ref, Effect: rule.Effect, Matched: m.any().truth, Stopped: stopped})
	}
	return m
}

func (n *run) matchStatement(rule *policy.Rule, layer Layer) (m match, stopped string) {
	if !rule.Actions.Match(n.r.Action.lower) {
		return nobody, "action"
	}
	covers := yes
	if rule.Resources.Present && layer != Trust {
		if covers = n.resources(&rule.Resources); covers.truth == cond.False {
			return nobody, "resource"
		}
	}
	m = match{yes, no, no}
	if layer.namesPrincipals() {
		m = n.principals(&rule.Principals, rule.Effect, layer)
	}
	if m.any().truth == cond.False {
		return nobody, "principal"
	}
	rest := covers.and(n.condition(rule.Condition))
	reason := rule.NotUnderstood
	if reason == "" {
		reason = n.malformed(rule, layer)
	}
	if reason != "" {
		rest = rest.and(n.opaque(reason))
	}
	if rest.truth == cond.False {
		return nobody, "condition"
	}
	if rest.truth == cond.Unknown {
		stopped = "condition"
	}
	return m.and(rest), stopped
}

// malformed is why a statement is none that a document of its layer may have (rule 17), "" where it is one. AWS refuses such
// a document; where one is met all the same nobody can say what it does, so it is taken for Unknown and never for "everybody"
// or "everything". A trust policy concerns its own role and a repository policy of ECR its own repository: neither needs a
// Resource. Source: Amazon ECR User Guide, "Private repository policy examples in Amazon ECR".
func (n *run) malformed(rule *policy.Rule, layer Layer) string {
	switch named := layer.namesPrincipals(); {
	case named && !rule.Principals.Present:
		return "the statement has no Principal, which this kind of policy must have"
	case !named && rule.Principals.Present:
		return "the statement has a Principal, which this kind of policy cannot have"
	case layer == Session && rule.Resources.Short: // rule 86
		return "the statement has a short ARN, which a session policy cannot have"
	case rule.Resources.Present || layer == Trust || layer == Resource && n.r.Action.Service() == "ecr":
		return ""
	}
	return "the statement has neither Resource nor NotResource"
}

func (n *run) condition(b cond.Block) term {
	truth := b.Eval(n.ctx)
	if truth != cond.Unknown {
		return term{truth: truth}
	}
	return n.unknown(func() cond.Formula { return b.LeftOver(n.ctx) })
}

// resources matches Resource or NotResource.
func (n *run) resources(e *policy.Resources) term {
	result := no
	for i := range e.Values {
		v := &e.Values[i]
		switch {
		case v.Template == nil:
			if n.covers(&v.Pattern) {
				result = yes
			}
		default:
			truth := v.Template.MatchResource(n.ctx, n.target)
			t := term{truth: truth}
			if truth == cond.Unknown {
				t = n.opaque("whether " + v.Template.String() + " names " + n.target)
			}
			result = result.or(t)
		}
		if result.truth == cond.True {
			break
		}
	}
	if e.Not {
		return result.not()
	}
	return result
}

// covers is whether a pattern of a Resource element matches the resource.
func (n *run) covers(p *arn.Pattern) bool {
	return p.Match(n.target) && (!n.e.Readings.Has(cond.StarSpansColons) || p.MatchWithinColons(n.target))
}

// combine puts the layers together.
func (n *run) combine(l *[layers]outcome, target Layer, given grantees) Decision {
	limits := l[Boundary].allow.and(l[Session].allow)
	around := l[SCP].allow.and(l[Endpoint].allow)
	same, g := n.sameAccount(), given.resource
	access := n.access(l, target, g, limits, same)
	if point := n.r.facts().AccessPoint; point != nil { // rule 135: the bucket must let the access point's callers in
		bucket := yes
		if same != cond.True || !n.hasCallerSide() {
			bucket = g.any()
		}
		if bucket.truth == cond.False && n.deny.truth != cond.True {
			return n.denied(Decision{By: Ref{target, 0, -1, -1}})
		}
		g, same = given.accessPoint, cond.Of(point.Account == n.r.Caller.Account)
		access = bucket.and(n.access(l, Point, g, limits, same))
		target = Point
	}
	byGrant := given.kms[delegate].and(l[Identity].allow).and(limits)
	byName := given.kms[named]
	if n.r.Caller.Kind == FederatedUser { // a grant to the user is not one to the session (rules 10, 28)
		byName = byName.and(limits)
	}
	access = access.or(given.kms[direct]).or(byName).or(byGrant)
	total := access.and(around).and(n.deny.not())

	d := Decision{Identity: l[Identity].by, Resource: l[target].by, CallerAssumed: n.r.Policies.CallerAssumed}
	switch total.truth {
	case cond.True:
		d.Verdict, d.LeftOver, d.By = Allow, cond.Always(), n.grantor(l, target, g, same)
		return d
	case cond.False:
		if n.deny.truth == cond.True {
			d.Explicit, d.By = true, n.denyBy
			return n.denied(d)
		}
		if missing := n.missing(l, target, g, same); missing.Layer != NoLayer {
			d.By = missing
			return n.denied(d)
		}
		d.Explicit, d.By = true, n.denyBy // the conditions left over exclude each other through a Deny
		return n.denied(d)
	}
	d.By = n.undecided(l, target, g)
	if total.left != nil {
		d.LeftOver = *total.left
	}
	return d
}

// access is what the policies of both sides allow, by the account in which the resource lies.
func (n *run) access(l *[layers]outcome, target Layer, g match, limits term, same cond.Truth) term {
	switch {
	case !n.hasCallerSide() && !n.r.Policies.CallerAssumed:
		return g.any()
	case same == cond.True:
		return n.within(l, target, g, limits)
	case same == cond.False:
		return n.across(l, g, limits)
	}
	possible := n.within(l, target, g, limits).and(n.opaque("the account of the resource is not known"))
	return n.across(l, g, limits).or(possible)
}

func (n *run) denied(d Decision) Decision {
	d.Verdict, d.LeftOver = Deny, cond.Never()
	d.CallerAssumed = n.r.Policies.CallerAssumed
	if d.By.Layer != Identity && d.Identity == (Ref{}) {
		d.Identity, d.Resource = NoRef, NoRef
	}
	return d
}

// within is access in one account: identity and resource policy form a union for most services (rule 19); a role's trust
// policy and a key policy must themselves allow or delegate (rules 36, 44, 45).
func (n *run) within(l *[layers]outcome, target Layer, g match, limits term) term {
	byIdentity := l[Identity].allow.and(limits)
	if target == Trust || n.r.Action.Service() == "kms" && n.r.Resource != "*" {
		byIdentity = byIdentity.and(g[delegate])
	}
	byDirect := g[direct]
	if target == Trust && n.r.Caller.Kind == User {
		byDirect = byDirect.and(l[Boundary].allow) // rule 38
		if n.e.Readings.Has(cond.UserInTrust) {
			byDirect = byDirect.and(l[Identity].allow)
		}
	}
	return byDirect.or(g[named].and(limits)).or(byIdentity)
}

// across is access to another account: both sides must allow, however the caller is named (rules 30 to 33, 39).
func (n *run) across(l *[layers]outcome, g match, limits term) term {
	return g.any().and(l[Identity].allow).and(limits)
}

// sameAccount tells whether caller and resource are of one account. A request without a resource is decided in the
// caller's account.
func (n *run) sameAccount() cond.Truth {
	c, r := n.r.Caller, n.r
	account := r.ResourceAccount
	if account == "" {
		account = arn.Account(r.Resource)
	}
	switch {
	case r.Resource == "*" && account == "":
		return cond.True
	case c.Kind == AnyPrincipal:
		return cond.False // the class is everybody: judged as the outsiders it contains
	case account == "":
		return cond.Unknown
	}
	return cond.Of(account == c.Account)
}

// grantor is the statement that an Allow rests on: the identity policy's where the resource's does not allow by itself.
func (n *run) grantor(l *[layers]outcome, target Layer, g match, same cond.Truth) Ref {
	byResource := g[direct].or(g[named])
	if n.hasCallerSide() && (same == cond.False || byResource.truth != cond.True) && l[Identity].by.Statement >= 0 {
		return l[Identity].by
	}
	return l[target].by
}

// missing is the first layer that does not allow, in the order of rule 6; the answer would be the same in any order.
func (n *run) missing(l *[layers]outcome, target Layer, g match, same cond.Truth) Ref {
	needsTarget := same != cond.True || target == Trust || !n.hasCallerSide()
	for _, layer := range [...]Layer{SCP, target, Identity, Boundary, Session, Endpoint} {
		if layer == target && (!needsTarget || g.any().truth != cond.False) {
			continue
		}
		if l[layer].allow.truth == cond.False {
			return Ref{layer, l[layer].by.Level, -1, -1}
		}
	}
	if g.any().truth == cond.False {
		return Ref{target, 0, -1, -1}
	}
	return Ref{}
}

// undecided is the first layer whose answer is not known.
func (n *run) undecided(l *[layers]outcome, target Layer, g match) Ref {
	if n.deny.truth == cond.Unknown && g.any().truth == cond.True && l[Identity].allow.truth == cond.True {
		return n.denyBy
	}
	for _, layer := range [...]Layer{SCP, target, Identity, Boundary, Session, Endpoint} {
		if l[layer].allow.truth == cond.Unknown {
			return l[layer].by
		}
	}
	if n.denyBy.Layer != NoLayer {
		return n.denyBy
	}
	return l[target].by
}
