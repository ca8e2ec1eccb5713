package catalog

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
)

// keyRules judge the policies of KMS keys.
var keyRules = []rule.Rule{
	{
		ID: "KMS-001", Title: "Key usable from outside",
		Detects:  "Key policy lets an external or whole other member account Decrypt / CreateGrant without kms:ViaService, encryption context or CallerAccount tests",
		Why:      "Whoever may decrypt with the key reads everything that it protects, through whatever service.",
		Remedy:   "Name roles, and demand kms:ViaService or the encryption context.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{1, 6}, CSF: []string{"PR.DS-01", "PR.AA-05"}, NIST: []string{"SC-12", "SC-28", "AC-3"}, CIS: "SH KMS.5"},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"444455556666"},"Action":["kms:Decrypt","kms:CreateGrant"],"Resource":"*"}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/reader"},"Action":"kms:Decrypt","Resource":"*","Condition":{"StringEquals":{"kms:ViaService":"s3.eu-west-1.amazonaws.com"}}}`,
		},
		Check: keyUsableFromOutside,
	},
}

// keyUses are the actions that open what a key protects, or let others open it.
var keyUses = []string{"kms:decrypt", "kms:creategrant"}

func keyUsableFromOutside(p *rule.Pass) {
	resourceTrusts(p, func(e *access.Edge) {
		if e.Target.Type != "AWS::KMS::Key" || !e.CrossAccount || e.Grantee.Kind == access.ServiceGrantee {
			return
		}
		for i := range e.Grants {
			g := &e.Grants[i]
			uses := slices.DeleteFunc(slices.Clone(keyUses), func(a string) bool { return !g.Rule.Actions.Match(a) })
			if len(uses) == 0 || narrowsUse(g.Condition) {
				continue
			}
			who, missing := userOfKey(p, e, g)
			switch {
			case missing != "":
				p.NotAssessed(e.Target.ARN, missing, g.Evidence)
			case who != "":
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s may %s with the key, through any service and for any data.", who, strings.Join(uses, " and "))})
				return
			}
		}
	})
}

// userOfKey says who it is that a statement lets use a key, "" where it is nobody whom the rule is about; missing, what is not
// known about that.
func userOfKey(p *rule.Pass, e *access.Edge, g *access.Grant) (who, missing string) {
	if !forAnyone(e) {
		switch {
		case e.Grantee.Relation == access.RelationUnknown:
			return "", "whether " + e.Grantee.ID + " belongs to the organisation is not in the input"
		case e.Grantee.Relation == access.External, e.Grantee.Relation == access.SameOrg && e.Grantee.Kind == access.WholeAccount:
			return e.Grantee.ID, ""
		}
		return "", ""
	}
	switch a := audienceOf(p, g.Condition, e.Target.Account); {
	case !a.named:
		return e.Grantee.ID, ""
	case len(a.strangers) > 0:
		return strings.Join(a.strangers, " and "), ""
	case len(a.unknown) > 0:
		return "", "whether " + strings.Join(a.unknown, " and ") + " belongs to the organisation is not in the input"
	case a.others && !namesPrincipals(g.Condition):
		return "Whoever of the organisation meets " + g.Condition.String(), ""
	}
	return "", ""
}

// narrowsUse reports whether the service through which, or the data for which, the key is used is tested. The account from
// which it is used is judged by userOfKey: a stranger's is no guard.
func narrowsUse(demand cond.Formula) bool {
	for _, key := range demand.Tests() {
		if key == "kms:viaservice" || strings.HasPrefix(key, "kms:encryptioncontext") {
			if positive(demand.Require(key)) {
				return true
			}
		}
	}
	return demand.IsNever()
}
