package eval

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
)

// refused reports what AWS refuses whatever the policies say.
//
// The calls that take a token are made by who has one, and by nobody else (rule 121). AssumeRole and AssumeRoot are refused to
// root users. Source: AWS STS API Reference, "AssumeRole" ("You cannot call AssumeRole by using AWS root account credentials;
// access is denied.") and "AssumeRoot" ("You cannot use root user credentials to make this call.").
//
// A federated user may call nothing of STS but GetCallerIdentity. That it may call nothing of IAM either holds for the API and
// not for console sessions, which a request does not tell apart: left to the policies. Source: AWS STS API Reference,
// "GetFederationToken". GetSessionToken credentials reach AssumeRole alone, and IAM only with MFA (rule 11).
func (n *run) refused() bool {
	c, action := n.r.Caller, n.r.Action.lower
	switch n.r.Action.Service() {
	case "sts":
		if n.refusedBySTS(c, action) {
			return true
		}
	case "iam":
		if n.refusedByIAM(c, action) {
			return true
		}
	case "kms":
		// Only some operations reach a key of another account (rule 48).
		if across := n.e.KMSAcrossAccounts; across != nil && !across[action] && n.r.Resource != "*" && n.sameAccount() == cond.False {
			return true
		}
	}
	return n.restricted()
}

func (n *run) refusedBySTS(c *Caller, action string) bool {
	if c.Kind == FederatedUser {
		return true
	}
	switch action {
	case "sts:assumerole", "sts:assumeroot":
		return c.Kind == Root
	case "sts:assumerolewithwebidentity":
		return c.Kind != WebIdentity
	case "sts:assumerolewithsaml":
		return c.Kind != SAML
	case "sts:tagsession", "sts:setsourceidentity", "sts:setcontext":
		return false // parts of assuming a role, and no calls of their own
	}
	return c.token
}

func (n *run) refusedByIAM(c *Caller, action string) bool {
	if c.token && !c.mfa {
		return true
	}
	if action == "iam:passrole" { // rule 130
		account := arn.Account(n.r.Resource)
		return account != "" && c.Account != "" && account != c.Account
	}
	if n.e.Readings.Has(cond.ProtectedObjects) || !changes(action) {
		return false
	}
	protected, serviceLinked := isObjectOfAWS(n.r.Resource)
	return protected && !(serviceLinked && allowedOnServiceLinked[action])
}

// allowedOnServiceLinked are the changes that AWS lets customers make to a service-linked role.
// Source: IAM User Guide, "Create a service-linked role": its description may be edited, its tags not by everyone, and it is
// deleted by its own call.
var allowedOnServiceLinked = map[string]bool{
	"iam:updateroledescription": true, "iam:updaterole": true, "iam:tagrole": true, "iam:untagrole": true,
	"iam:createservicelinkedrole": true, "iam:deleteservicelinkedrole": true,
}

// changes reports whether an IAM action changes the role or policy that it names. Attaching a policy of AWS changes the role
// and not the policy.
func changes(action string) bool {
	verb := strings.TrimPrefix(action, "iam:")
	for _, p := range [...]string{"create", "delete", "put", "update", "attach", "detach", "set", "tag", "untag"} {
		if strings.HasPrefix(verb, p) {
			return true
		}
	}
	return false
}
