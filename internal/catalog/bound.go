package catalog

import (
	"net/netip"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// bounds reports whether a demand ties the caller by one key to something that an outsider cannot have or choose. A pattern
// such as "o-*", which fits every organisation, and a variable that the request itself fills, tie it to nothing.
func bounds(p *rule.Pass, demand cond.Formula, key string) bool {
	r := demand.Require(key)
	if !positive(r) || r.Variable {
		return false
	}
	if slices.Contains(callerKeys, key) {
		return !slices.ContainsFunc(values(r), func(v string) bool { return standingOf(p, key, v, "") == fitsAnybody })
	}
	return len(r.Patterns) == 0
}

// anyAccount reports whether a pattern of principals leaves the account open.
func anyAccount(pattern string) bool {
	a, err := arn.Parse(pattern)
	if err != nil {
		return strings.ContainsAny(pattern, "*?$")
	}
	return strings.ContainsAny(a.Account, "*?$")
}

// namesWithinAccount reports whether the caller's ARN is tested for names, whichever the account: enough where something else
// says the account.
func namesWithinAccount(demand cond.Formula) bool {
	r := demand.Require("aws:PrincipalArn")
	return positive(r) && !slices.ContainsFunc(values(r), fitsEveryName)
}

// fitsEveryName reports whether a pattern of principals says nothing of their names.
func fitsEveryName(pattern string) bool {
	a, err := arn.Parse(pattern)
	if err != nil { // not six fields: a pattern that breaks off, or one that begins with a wildcard
		rest := strings.Trim(pattern, "*?:")
		return rest == "" || strings.HasPrefix(rest, "arn:") && !strings.Contains(rest, "/")
	}
	return a.Resource == "root" || strings.Trim(strings.TrimPrefix(strings.TrimPrefix(a.Resource, "role/"), "user/"), "*") == ""
}

// The widest block that still says where the caller comes from: no network of one holder is wider than these.
const widestIPv4, widestIPv6 = 8, 16

// network reports whether the caller must come from a network that is named. Halves of all addresses are none.
func network(demand cond.Formula) bool {
	r := demand.Require("aws:SourceIp")
	return positive(r) && !slices.ContainsFunc(r.Patterns, func(block string) bool {
		p, err := netip.ParsePrefix(block)
		return err != nil || p.Bits() < widestIPv4 || p.Addr().Is6() && p.Bits() < widestIPv6
	})
}

// accountsOf lists the accounts to which a demand ties the caller, nil where it leaves the account open.
func accountsOf(demand cond.Formula) []string {
	if r := demand.Require("aws:PrincipalAccount"); r.Exact() {
		return r.Values
	}
	r := demand.Require("aws:PrincipalArn")
	if !positive(r) || r.Opaque {
		return nil
	}
	var accounts []string
	for _, v := range values(r) {
		account := arn.Account(v)
		if !arn.IsAccountID(account) {
			return nil
		}
		accounts = append(accounts, account)
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

// accountTrusts calls judge as roleTrusts does. A statement for anyone whose condition ties the caller to accounts says the
// same as one that names those accounts, and is judged as if it did: once for each.
func accountTrusts(p *rule.Pass, concerns func(e *access.Edge) bool, judge func(e *access.Edge, g *access.Grant)) {
	roleTrusts(p, func(e *access.Edge) bool { return isAnyone(e) || concerns(e) }, func(e *access.Edge, g *access.Grant) {
		if !isAnyone(e) {
			judge(e, g)
			return
		}
		for _, account := range accountsOf(g.Condition) {
			if narrowed := narrow(p, e, g, account); concerns(narrowed) {
				judge(narrowed, g)
			}
		}
	})
}

// narrow is an edge of anyone as far as one statement of it concerns one account.
func narrow(p *rule.Pass, e *access.Edge, g *access.Grant, account string) *access.Edge {
	narrowed := *e
	narrowed.Grantee = access.Grantee{Kind: access.WholeAccount, ID: account, Account: account}
	narrowed.Grants = []access.Grant{*g}
	narrowed.CrossAccount = account != e.Target.Account
	switch {
	case !narrowed.CrossAccount:
		narrowed.Grantee.Relation = access.SameAccount
	case p.Org.Membership(account) == org.Inside:
		narrowed.Grantee.Relation = access.SameOrg
	case p.Org.Membership(account) == org.Outside:
		narrowed.Grantee.Relation = access.External
	default:
		narrowed.Grantee.Relation = access.RelationUnknown
	}
	return &narrowed
}
