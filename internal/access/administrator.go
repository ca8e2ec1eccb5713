package access

import (
	"slices"

	"drawbridge/iam/arn"
	"drawbridge/iam/eval"
	"drawbridge/internal/org"
)

// AccountOf is the account that an ARN carries, "" where it carries none.
func AccountOf(resource string) string {
	if a := arn.Account(resource); arn.IsAccountID(a) {
		return a
	}
	return ""
}

// administration are the rights each of which makes an administrator: whoever may rewrite the policies of any role, user or
// policy of the account can give himself the rest.
var administration = []eval.Action{
	eval.MustAction("iam:PutRolePolicy"), eval.MustAction("iam:AttachRolePolicy"), eval.MustAction("iam:PutUserPolicy"),
	eval.MustAction("iam:AttachUserPolicy"), eval.MustAction("iam:UpdateAssumeRolePolicy"), eval.MustAction("iam:CreatePolicyVersion"),
}

// BesideUnknownGuards is p without the levels of SCPs that are not in the input: what it could do if they denied nothing.
// It is p itself where every level is known.
func BesideUnknownGuards(p *org.Principal) *org.Principal {
	known := slices.DeleteFunc(slices.Clone(p.Home.SCPs), func(s eval.Set) bool { return len(s.Policies) == 0 && len(s.Unresolved) > 0 })
	if len(known) == len(p.Home.SCPs) {
		return p
	}
	home := *p.Home
	home.SCPs = known
	copied := *p
	copied.Home = &home
	return &copied
}

// Administrator reports whether a principal has everything, or what gives everything, within its boundary and the SCPs of
// its account. The decision is the most permissive over the rights that each make an administrator; Unknown comes with
// what is left over. The evidence is the statement that decides.
func (g *Graph) Administrator(p *org.Principal) (eval.Decision, Evidence) {
	partition := partitionOf(p.ARN)
	everything := func(a eval.Action) string {
		kind := ":role/*"
		switch a.Lower() {
		case "iam:putuserpolicy", "iam:attachuserpolicy":
			kind = ":user/*"
		case "iam:createpolicyversion":
			kind = ":policy/*"
		}
		return "arn:" + partition + ":iam::" + p.Account + kind
	}
	var best eval.Decision
	for i, a := range administration {
		d := g.Can(p, a, everything(a))
		if i == 0 || rank(d.Verdict) < rank(best.Verdict) || d.Verdict == eval.Unknown && best.LeftOver.Opaque() && !d.LeftOver.Opaque() {
			best = d
		}
	}
	by := best.By
	if best.Verdict != eval.Deny && best.Identity.Statement >= 0 {
		by = best.Identity
	}
	return best, g.evidence(by, p, &Target{ARN: p.ARN, Account: p.Account})
}
