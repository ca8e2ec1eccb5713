package lint

import (
	"strings"

	"drawbridge/iam/policy"
)

// principalChecks are about Principal and NotPrincipal.
var principalChecks = []check{
	{
		Record: Record{"LNT-010", Error, "Wildcard inside a principal", "In a principal a wildcard stands alone, as \"*\". AWS refuses it inside an ARN, the name of a session included.", "IAM User Guide, AWS JSON policy elements: Principal (rules 54, 119)"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Principal.Values {
				if strings.ContainsAny(v.Value, "*?") && policy.CompilePrincipal(v.Type, v.Value).Form == policy.UnknownForm {
					l.report(s.principal(i), "principal %q: a wildcard stands alone or not at all; a condition on aws:PrincipalArn takes patterns", v.Value)
				}
			}
		},
	},
	{
		Record: Record{"LNT-011", Error, "Principal of no known form", "AWS refuses a principal that it cannot read. A unique id such as AROA… is left of a deleted principal, and is accepted only where it stood before.", "IAM User Guide, AWS JSON policy elements: Principal (rules 36 to 54)"},
		statement: func(l *linter, s *statement) {
			for i, v := range s.Principal.Values {
				if !strings.ContainsAny(v.Value, "*?") && policy.CompilePrincipal(v.Type, v.Value).Form == policy.UnknownForm {
					l.report(s.principal(i), "principal %q is of no form that %s may have%s", v.Value, v.Type, digits(v))
				}
			}
		},
	},
	{
		Record: Record{"LNT-012", Error, "NotPrincipal allows in a trust policy", "AWS refuses NotPrincipal with Allow in a role's trust policy.", "IAM User Guide, AWS JSON policy elements: NotPrincipal (rule 50)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Trust) && s.Principal.Not && s.Effect == policy.Allow {
				l.report(s.name("NotPrincipal", s.Principal.Pos), "a trust policy cannot allow with NotPrincipal")
			}
		},
	},
}

// digits says what is wrong with an account id of another length than twelve.
func digits(v policy.PrincipalValue) string {
	if v.Type == policy.AWS && v.Value != "" && strings.Trim(v.Value, "0123456789") == "" {
		return ": an account id has 12 digits"
	}
	return ""
}
