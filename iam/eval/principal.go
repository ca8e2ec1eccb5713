package eval

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// grant says how strongly a resource-side statement names the caller, which decides what else must allow.
type grant uint8

const (
	direct   grant = iota // "*", the user, the session: nothing further in the same account (rules 21, 24 to 27)
	named                 // the role or the federating user: limited by boundary and session policy (rules 23, 28)
	delegate              // the account: identity policies decide (rule 20)
	grants
)

// match is the answer of a Principal element by strength.
type match [grants]term

var nobody = match{no, no, no}

func (m *match) add(g grant, t term) { m[g] = m[g].or(t) }

// and limits every strength by a term.
func (m match) and(t term) match {
	for g := range m {
		m[g] = m[g].and(t)
	}
	return m
}

// any is the truth that the element names the caller at all.
func (m match) any() term { return m[direct].or(m[named]).or(m[delegate]) }

// principals matches a Principal or NotPrincipal element with the caller. Documents without the element (identity
// policies) match everybody.
func (n *run) principals(p *policy.Principals, effect policy.Effect, layer Layer) match {
	if !p.Present {
		return match{yes, no, no}
	}
	if layer == Endpoint && n.r.Policies.Gateway {
		return match{n.atGateway(p), no, no}
	}
	if p.Not {
		return match{n.notPrincipal(p, effect), no, no}
	}
	m := nobody
	for i := range p.Values {
		n.principal(&p.Values[i], &m)
		if m[direct].truth == cond.True {
			break
		}
	}
	return m
}

// atGateway matches the Principal of a gateway endpoint's policy (rule 104): "*" is everybody, and an account is its root user
// alone. What else stands there AWS does not define.
func (n *run) atGateway(p *policy.Principals) term {
	result := no
	for i := range p.Values {
		switch v := &p.Values[i]; v.Form {
		case policy.Everyone:
			result = yes
		case policy.AccountForm:
			if c := n.r.Caller; c.Kind == Root && c.Account == v.Account && (v.Partition == "" || v.Partition == c.Partition) { // rule 123
				result = yes
			}
		default:
			result = result.or(n.opaque("principal " + v.Value + " in the policy of a gateway endpoint"))
		}
	}
	if p.Not {
		return result.not()
	}
	return result
}

// principal adds what one value of Principal says about the caller.
func (n *run) principal(v *policy.CompiledPrincipal, m *match) {
	c := n.r.Caller
	switch v.Form {
	case policy.Everyone:
		m.add(direct, yes) // rules 26, 100
	case policy.ServiceForm:
		if c.Kind == Service && strings.EqualFold(c.Service, v.Value) {
			m.add(direct, yes) // rule 43
		}
	case policy.ProviderForm, policy.IssuerForm:
		if (c.Kind == WebIdentity || c.Kind == SAML) && c.ARN == v.Value {
			m.add(direct, yes)
		}
	case policy.AccountForm:
		n.accountPrincipal(v, m)
	case policy.UserForm:
		n.exactPrincipal(v, m, User, direct)
		if c.Kind == FederatedUser && c.ARN == v.Value {
			m.add(named, yes) // rule 28
		}
	case policy.RoleForm:
		n.exactPrincipal(v, m, Role, named)
	case policy.SessionForm:
		n.sessionPrincipal(v, m)
	case policy.FederatedUser:
		if c.Kind == FederatedUser && c.Session == v.Value {
			m.add(direct, yes) // rule 27
		}
	case policy.UniqueIDForm:
		if c.UniqueID != "" && c.UniqueID == v.Value {
			g := direct
			if c.Kind == Role {
				g = named
			}
			m.add(g, yes) // rule 116
		}
	case policy.CanonicalForm:
		// A canonical id is an account's identity in S3 (rule 122); which account is not told by it.
		if c.CanonicalID != "" {
			if c.CanonicalID == v.Value {
				m.add(delegate, yes)
			}
		} else if c.Account != "" || c.Kind == AnyPrincipal {
			m.add(delegate, n.opaque("whether canonical user "+v.Value+" is the caller's account"))
		}
	default:
		m.add(direct, n.opaque("principal "+v.Value+" is not understood"))
	}
}

// accountPrincipal: an account names all its principals and lets its identity policies decide (rule 20); its root user
// needs none (rule 3).
func (n *run) accountPrincipal(v *policy.CompiledPrincipal, m *match) {
	c := n.r.Caller
	if v.Partition != "" && c.Partition != "" && v.Partition != c.Partition { // rule 123
		return
	}
	switch {
	case c.Kind == AnyPrincipal:
		m.add(delegate, n.demand(cond.Demand("aws:PrincipalAccount", v.Account)))
	case c.Account == "" || c.Account != v.Account:
	case c.Kind == Root:
		m.add(direct, yes)
	default:
		m.add(delegate, yes)
	}
}

// exactPrincipal: a user or role named by its ARN.
func (n *run) exactPrincipal(v *policy.CompiledPrincipal, m *match, kind CallerKind, g grant) {
	c := n.r.Caller
	switch {
	case c.Kind == kind && c.ARN == v.Value:
		m.add(g, yes)
	case c.Kind == AnyPrincipal, c.Kind == AccountPrincipal && c.Account == v.Account && c.Partition == v.Partition:
		m.add(g, n.demand(cond.DemandARN("aws:PrincipalArn", v.Value)))
	}
}

// sessionPrincipal: one session of a role, named by its ARN without the role's path (rule 118).
func (n *run) sessionPrincipal(v *policy.CompiledPrincipal, m *match) {
	c := n.r.Caller
	role, session := cutSession(v.Value)
	switch {
	case c.Kind == Role && c.Session != "":
		if c.Session == v.Value {
			m.add(direct, yes)
		}
	case c.Kind == Role && c.Account == v.Account && c.Partition == v.Partition && roleName(c.ARN) == role:
		m.add(direct, n.demand(cond.DemandLike("aws:userid", "*:"+session)))
	case c.Kind == AnyPrincipal, c.Kind == AccountPrincipal && c.Account == v.Account && c.Partition == v.Partition:
		ofRole := cond.DemandLike("aws:PrincipalArn", arnsOfRole(v.Value, role)...)
		m.add(direct, n.demand(ofRole.And(cond.DemandLike("aws:userid", "*:"+session))))
	}
}

// cutSession takes role and session name from an assumed-role ARN.
func cutSession(session string) (role, name string) {
	rest := session[strings.Index(session, "assumed-role/")+len("assumed-role/"):]
	role, name, _ = strings.Cut(rest, "/")
	return role, name
}

// arnsOfRole are the patterns of the role behind a session ARN: without a path, and with any.
func arnsOfRole(session, role string) []string {
	a, err := arn.Parse(session)
	if err != nil {
		return []string{"*"}
	}
	roles := "arn:" + a.Partition + ":iam::" + a.Account + ":role/"
	return []string{roles + role, roles + "*/" + role}
}

func roleName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// notPrincipal decides NotPrincipal (rules 50 to 53). An Allow reaches everybody who is not listed by its own ARN. A Deny
// spares only a caller whose account is listed together with its own ARN, and for a session the session too, and never
// one that has a boundary: the safe reading of what AWS documents.
func (n *run) notPrincipal(p *policy.Principals, effect policy.Effect) term {
	c := n.r.Caller
	var account, own, session, unsure bool
	loose := n.e.Readings.Has(cond.NotPrincipalStrict)
	for i := range p.Values {
		v := &p.Values[i]
		switch v.Form {
		case policy.Everyone:
			return no
		case policy.AccountForm:
			account = account || c.Account != "" && v.Account == c.Account && (v.Partition == "" || v.Partition == c.Partition) // rule 123
		case policy.UserForm, policy.RoleForm:
			own = own || c.ARN == v.Value
			unsure = unsure || c.Kind == AnyPrincipal || c.Kind == AccountPrincipal && v.Account == c.Account
		case policy.SessionForm, policy.FederatedUser:
			session = session || c.Session != "" && c.Session == v.Value
			unsure = unsure || c.Kind.Symbolic()
		case policy.ServiceForm:
			own = own || c.Kind == Service && strings.EqualFold(c.Service, v.Value)
		case policy.ProviderForm, policy.IssuerForm:
			own = own || c.ARN == v.Value && (c.Kind == WebIdentity || c.Kind == SAML)
		case policy.UniqueIDForm:
			own = own || c.UniqueID != "" && c.UniqueID == v.Value
		default:
			unsure = true
		}
	}
	if unsure {
		return n.opaque("whether the caller is one of those that NotPrincipal lists")
	}
	var listed bool
	switch c.Kind {
	case Service, WebIdentity, SAML:
		listed = own
	case Root:
		listed = account
	case User:
		listed = own && (account || effect == policy.Allow)
	case Role, FederatedUser:
		listed = own && account && session || effect == policy.Allow && (own || session)
	}
	if loose && effect == policy.Deny {
		listed = account || own || session
	}
	if effect == policy.Deny && n.r.Policies.Boundary != nil && !n.e.Readings.Has(cond.NotPrincipalBoundary) {
		listed = false // rule 53
	}
	return term{truth: cond.Of(!listed)}
}
