package access

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
)

// granteeOf reads a principal value as a grantee, seen from an account.
func (g *Graph) granteeOf(v *policy.CompiledPrincipal, from string) Grantee {
	t := Grantee{ID: v.Value, Account: v.Account}
	switch v.Form {
	case policy.Everyone:
		t.Kind, t.ID, t.Relation = Anyone, "*", Public
		return t
	case policy.AccountForm:
		t.Kind, t.ID = WholeAccount, v.Account
	case policy.UserForm:
		t.Kind = UserGrantee
		g.findPrincipal(&t, v.Value)
	case policy.RoleForm:
		t.Kind = RoleGrantee
		g.findPrincipal(&t, v.Value)
	case policy.SessionForm:
		t.Kind = RoleGrantee
		g.findSession(&t, v.Value)
	case policy.FederatedUser:
		t.Kind = UserGrantee
	case policy.ServiceForm:
		t.Kind, t.Relation = ServiceGrantee, AWSService
		return t
	case policy.ProviderForm, policy.IssuerForm:
		// A provider is registered in an account, but those whom it vouches for are of none.
		t.Kind, t.Relation, t.Account = Issuer, Federated, ""
		return t
	case policy.UniqueIDForm:
		t.Kind, t.Relation = Deleted, RelationUnknown
		if p, ok := g.Org.ByUniqueID(v.Value); ok {
			t.Principal, t.Account = p, p.Account
			break
		}
		return t
	case policy.CanonicalForm:
		t.Kind, t.Relation = Canonical, RelationUnknown
		return t
	default:
		t.Kind, t.Relation = NotUnderstood, RelationUnknown
		return t
	}
	t.Relation = g.relation(t.Account, from)
	return t
}

func (g *Graph) relation(account, from string) Relation {
	if account == from {
		return SameAccount
	}
	switch g.Org.Membership(account) {
	case org.Inside:
		return SameOrg
	case org.Outside:
		return External
	}
	return RelationUnknown
}

func (g *Graph) findPrincipal(t *Grantee, name string) {
	if p, ok := g.Org.Principal(name); ok {
		t.Principal = p
		return
	}
	t.Missing = g.Org.Inventoried(t.Account)
}

// findSession finds the role behind a session ARN, which lacks the role's path (rule 118).
func (g *Graph) findSession(t *Grantee, session string) {
	a, err := arn.Parse(session)
	if err != nil {
		return
	}
	parts := strings.Split(a.Resource, "/")
	if len(parts) < 2 {
		return
	}
	if p, ok := g.rolesByName[roleName{a.Account, parts[1]}]; ok {
		t.Principal = p
		return
	}
	t.Missing = g.Org.Inventoried(t.Account)
}

type roleName struct{ account, name string }

// callerOf is the evaluator's caller for a grantee; p is the principal of the snapshot whose policies are the caller's
// side, nil where that side is assumed or does not exist. A nil caller is one that AWS does not know any more.
func (g *Graph) callerOf(t *Grantee, target *Target, mechanism Mechanism) (c *eval.Caller, p *org.Principal) {
	switch t.Kind {
	case Anyone, EveryoneElse:
		switch mechanism {
		case AssumeRoleWeb:
			return eval.FederatedCaller(eval.WebIdentity, ""), nil
		case AssumeRoleSAML:
			return eval.FederatedCaller(eval.SAML, ""), nil
		}
		return eval.AnyonesPrincipal(), nil
	case WholeAccount:
		c = eval.SomePrincipal(partitionOf(target.ARN), t.Account)
		g.Org.DescribeOrganization(c, t.Account)
		return c, nil
	case ServiceGrantee:
		return eval.ServiceCaller(t.ID), nil
	case Issuer:
		kind := eval.WebIdentity
		if mechanism == AssumeRoleSAML {
			kind = eval.SAML
		}
		return eval.FederatedCaller(kind, t.ID), nil
	case RoleGrantee, UserGrantee, Deleted:
		if t.Principal == nil && t.Kind == Deleted {
			return nil, nil
		}
		if t.Principal != nil && !strings.Contains(t.ID, ":assumed-role/") {
			return t.Principal.Caller, t.Principal
		}
		c, err := eval.NewCaller(t.ID)
		if err != nil {
			return nil, nil
		}
		if t.Principal != nil {
			c.ARN, c.UniqueID = t.Principal.ARN, t.Principal.UniqueID
			c.Management, c.ServiceLinked = t.Principal.Caller.Management, t.Principal.Caller.ServiceLinked
			c.Update()
		}
		g.Org.DescribeOrganization(c, t.Account)
		return c, t.Principal
	}
	return nil, nil
}

func partitionOf(name string) string {
	if a, err := arn.Parse(name); err == nil {
		return a.Partition
	}
	return "aws"
}
