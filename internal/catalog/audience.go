package catalog

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// audience is whom a statement for anyone lets in after its conditions, by the keys that say who the caller is.
type audience struct {
	named     bool     // some key ties the caller to principals, accounts or organisations that are named
	strangers []string // those of them outside the organisation, as written
	unknown   []string // those of whom it is not known
	others    bool     // somebody of another account than the target's is among them
}

// callerKeys say to which principal, account or organisation the caller belongs. The caller cannot choose them.
var callerKeys = []string{"aws:PrincipalArn", "aws:PrincipalAccount", "kms:CallerAccount", "aws:userid", "aws:PrincipalOrgPaths", "aws:PrincipalOrgID"}

// standing is where one value of a caller key stands.
type standing uint8

const (
	fitsAnybody standing = iota // an outsider can bring it: a name in any account, a pattern of organisations
	notKnown
	outside
	inside
	own // the target's own account
)

// audienceOf reads the conditions of a statement for anyone. Keys are ANDed: one that keeps all strangers out is enough. A key
// of which one value fits anybody names nobody.
func audienceOf(p *rule.Pass, demand cond.Formula, account string) audience {
	var a audience
	for _, key := range callerKeys {
		r := demand.Require(key)
		if !positive(r) || r.Variable {
			continue
		}
		of := audience{named: true}
		for _, v := range values(r) {
			switch standingOf(p, key, v, account) {
			case fitsAnybody:
				of.named = false
			case notKnown:
				of.unknown, of.others = append(of.unknown, v), true
			case outside:
				of.strangers, of.others = append(of.strangers, v), true
			case inside:
				of.others = true
			}
		}
		switch {
		case !of.named:
		case !a.named:
			a = of
		default:
			a.others = a.others && of.others
			if len(of.strangers)+len(of.unknown) < len(a.strangers)+len(a.unknown) {
				a.strangers, a.unknown = of.strangers, of.unknown
			}
		}
	}
	return a
}

func standingOf(p *rule.Pass, key, v, account string) standing {
	switch key {
	case "aws:PrincipalArn":
		a, err := arn.Parse(v)
		if err != nil || strings.ContainsAny(a.Account, "*?") {
			return fitsAnybody
		}
		return standingOfAccount(p, a.Account, account)
	case "aws:userid":
		id, _, _ := strings.Cut(v, ":")
		if principal, ok := p.Org.ByUniqueID(id); ok {
			return standingOfAccount(p, principal.Account, account)
		}
		if arn.IsAccountID(id) {
			return standingOfAccount(p, id, account)
		}
		if strings.ContainsAny(id, "*?") {
			return fitsAnybody
		}
		return notKnown
	case "aws:PrincipalOrgPaths", "aws:PrincipalOrgID":
		id, _, _ := strings.Cut(v, "/")
		switch {
		case strings.ContainsAny(id, "*?"):
			return fitsAnybody
		case p.Org.ID == "":
			return notKnown
		case id == p.Org.ID:
			return inside
		}
		return outside
	}
	if !arn.IsAccountID(v) {
		return fitsAnybody
	}
	return standingOfAccount(p, v, account)
}

func standingOfAccount(p *rule.Pass, id, account string) standing {
	if id == account {
		return own
	}
	switch p.Org.Membership(id) {
	case org.Inside:
		return inside
	case org.Outside:
		return outside
	}
	return notKnown
}

// admits reports whether the caller keys of a statement for anyone, some of which name somebody, let in a principal of a
// member account.
func admits(p *rule.Pass, demand cond.Formula, member *org.Account) bool {
	for _, key := range callerKeys {
		r := demand.Require(key)
		if positive(r) && !slices.ContainsFunc(values(r), func(v string) bool { return fitsMember(p, key, v, member) }) {
			return false
		}
	}
	return true
}

func fitsMember(p *rule.Pass, key, v string, member *org.Account) bool {
	switch key {
	case "aws:PrincipalOrgID":
		return v == p.Org.ID
	case "aws:PrincipalOrgPaths":
		id, path, _ := strings.Cut(v, "/")
		unit := strings.Trim(path, "/*")
		return id == p.Org.ID && (unit == "" || member.UnitPath == unit || strings.HasPrefix(member.UnitPath, unit+"/"))
	case "aws:PrincipalArn":
		a, err := arn.Parse(v)
		return err == nil && a.Account == member.ID
	case "aws:userid":
		id, _, _ := strings.Cut(v, ":")
		principal, ok := p.Org.ByUniqueID(id)
		return id == member.ID || ok && principal.Account == member.ID
	}
	return v == member.ID
}

// forAnyone reports whether an edge lets in whoever meets its conditions.
func forAnyone(e *access.Edge) bool {
	return e.Grantee.Kind == access.Anyone || e.Grantee.Kind == access.EveryoneElse
}

// unreadable reports whether an edge stands for a policy that could not be read.
func unreadable(e *access.Edge) bool {
	return e.Grantee.Kind == access.NotUnderstood && e.Grants == nil
}

// fromOutside are the entries that outsiders can use, without those that the conditions of a statement for anyone keep inside
// the organisation; unread are the policies that could not be read, by which outsiders may come.
func fromOutside(p *rule.Pass) (entries, unread []*access.Edge) {
	for _, e := range p.Graph.Outside() {
		switch {
		case unreadable(e):
			unread = append(unread, e)
		case forAnyone(e) && len(e.Grants) > 0 && !slices.ContainsFunc(e.Grants, func(g access.Grant) bool {
			a := audienceOf(p, g.Condition, e.Target.Account)
			return !a.named || len(a.strangers)+len(a.unknown) > 0
		}):
		default:
			entries = append(entries, e)
		}
	}
	return entries, unread
}
