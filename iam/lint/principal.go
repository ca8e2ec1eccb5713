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
	{
		Record: Record{"LNT-015", Error, "Resource control policy that allows", "A resource control policy only denies.", "AWS Organizations User Guide, RCP syntax (rule 99)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.RCP) && s.Effect == policy.Allow {
				l.report(s.name("Effect", s.EffectPos), "a resource control policy only denies")
			}
		},
	},
	{
		Record: Record{"LNT-016", Error, "Principal of a resource control policy", "The Principal of a resource control policy is \"*\". Conditions say whom it concerns.", "AWS Organizations User Guide, RCP syntax (rule 99)"},
		statement: func(l *linter, s *statement) {
			p := s.Principal
			if l.is(policy.RCP) && p.Present && (p.Not || len(p.Values) != 1 || p.Values[0].Value != "*") {
				l.report(s.name(named(p.Not, "Principal"), p.Pos), "the Principal of a resource control policy is \"*\"")
			}
		},
	},
	{
		Record: Record{"LNT-119", Warning, "NotPrincipal allows", "NotPrincipal with Allow allows everybody else, in every account, anonymous requests included.", "IAM User Guide, AWS JSON policy elements: NotPrincipal (rule 50)"},
		statement: func(l *linter, s *statement) {
			if l.is(policy.Resource, policy.Endpoint) && s.Principal.Not && s.Effect == policy.Allow {
				l.report(s.name("NotPrincipal", s.Principal.Pos), "NotPrincipal with Allow: everybody but these is allowed, in every account")
			}
		},
	},
	{
		Record: Record{"LNT-120", Warning, "Everybody, without a condition", "Principal \"*\" is everybody in every account, and in a policy of a resource also who has no account.", "IAM User Guide, AWS JSON policy elements: Principal"},
		statement: func(l *linter, s *statement) {
			if !l.is(policy.Resource, policy.Trust) || s.Principal.Not || s.Effect != policy.Allow || len(s.Condition) > 0 || s.NotUnderstood != "" {
				return
			}
			for i, v := range s.Principal.Values {
				if v.Value == "*" {
					l.report(s.principal(i), "principal \"*\" without a condition is everybody, in every account")
				}
			}
		},
	},
	{
		Record: Record{"LNT-123", Warning, "Provider without its action", "SAML providers are asked for with sts:AssumeRoleWithSAML, OIDC providers with sts:AssumeRoleWithWebIdentity. Without that action the statement lets nobody in.", "IAM User Guide, AWS JSON policy elements: Principal (rules 120, 121)"},
		statement: func(l *linter, s *statement) {
			if !l.is(policy.Trust) || s.Principal.Not || s.Effect != policy.Allow || !s.Action.Present || s.Action.Incomplete {
				return
			}
			for i, v := range s.rule.Principals.Values {
				if action := providerAction(v); action != "" && !s.rule.Actions.Match(strings.ToLower(action)) {
					l.report(s.principal(i), "%s is asked for with %s, which the statement does not allow", s.Principal.Values[i].Value, action)
				}
			}
		},
	},
}

// providerAction is the action with which identities of a provider assume a role, "" for what is no provider.
func providerAction(p policy.CompiledPrincipal) string {
	switch {
	case p.Form == policy.ProviderForm && strings.Contains(p.Value, ":saml-provider/"):
		return "sts:AssumeRoleWithSAML"
	case p.Form == policy.ProviderForm || p.Form == policy.IssuerForm:
		return "sts:AssumeRoleWithWebIdentity"
	}
	return ""
}

// digits says what is wrong with an account id of another length than twelve.
func digits(v policy.PrincipalValue) string {
	if v.Type == policy.AWS && v.Value != "" && strings.Trim(v.Value, "0123456789") == "" {
		return ": an account id has 12 digits"
	}
	return ""
}
