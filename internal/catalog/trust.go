package catalog

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// trustRules judge whom the trust policies of roles let in, and principals that no policy should name.
var trustRules = []rule.Rule{
	{
		ID: "TRU-001", Title: "Anyone may assume",
		Detects:  "Allow statement whose principal is any AWS identity (AWS \"*\", or a pattern that matches every account root) with no Condition at all",
		Why:      "Every AWS account in the world, also one made this morning for the purpose, may take the role.",
		Remedy:   "Name the exact role ARNs that need the trust.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025", "NHI4:2025"}, Tenets: []int{3, 6}, CSF: []string{"PR.AA-05", "PR.AA-03"}, NIST: []string{"AC-3", "AC-6"}, CIS: "CIS 7.0 2.21; Security Hub none"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/deploy"},"Action":"sts:AssumeRole"}`,
		},
		Check: anyoneMayAssume,
	},
	{
		ID: "TRU-002", Title: "Anyone may assume, condition does not restrict",
		Detects:  "As TRU-001 but every Condition key is one that the caller controls or that is true for outsiders: negated operators (ArnNotEquals, StringNotLike), *IfExists on keys that can be absent, ForAllValues on single-valued keys, Null=true, value \"*\", SourceIp 0.0.0.0/0, UserAgent, Referer, MFA, CurrentTime, RequestedRegion, RoleSessionName",
		Why:      "The condition looks like a guard and lets everybody through who knows about it: the caller chooses the values that it tests.",
		Remedy:   "Replace by exact principals; if a wildcard must stay, bind it with aws:PrincipalArn plus aws:PrincipalOrgID using positive operators",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025", "NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-3", "AC-6", "SI-10"}, CIS: "CIS 7.0 2.21"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/old"}}}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/deploy"},"Action":"sts:AssumeRole"}`,
		},
		Check: anyoneConditionDoesNotRestrict,
	},
	{
		ID: "TRU-003", Title: "Whole organization trusted",
		Detects:  "Wildcard principal limited only by aws:PrincipalOrgID, or by PrincipalOrgPaths at the root or at a wide OU (member count above a limit)",
		Why:      "Every role of every account, sandboxes included, may take the role: the weakest account of the organisation decides.",
		Remedy:   "Name roles, or narrow aws:PrincipalOrgPaths to one unit and demand aws:PrincipalArn too.",
		Severity: finding.High, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI5:2025", "NHI8:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05", "PR.IR-01"}, NIST: []string{"AC-3", "AC-4", "AC-6"}, CIS: ""},
		Parameters: []string{"WideOrgMembers"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg1"}}}`,
			After:  `{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg1"},"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/deploy"}}}`,
		},
		Check: wholeOrganizationTrusted,
	},
	{
		ID: "TRU-004", Title: "Whole external account trusted",
		Detects:  "Principal is an account root or a bare 12-digit id of an account outside the organization, and no condition narrows it to named principals (one narrowed by aws:PrincipalArn is TRU-007 or TRU-009)",
		Why:      "The administrators of the other account decide who gets in, today and tomorrow, and nobody here notices.",
		Remedy:   "Ask the other side for the ARN of the role that calls, and name it.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025", "NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05", "GV.SC-07"}, NIST: []string{"AC-3", "AC-6", "AC-20", "SA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"sts:AssumeRole"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"},"Action":"sts:AssumeRole"}`,
		},
		Check: wholeExternalAccount,
	},
	{
		ID: "TRU-005", Title: "Whole member account trusted",
		Detects:  "Principal is the root or id of another account of the same organization, and no condition narrows it to named principals (one narrowed by aws:PrincipalArn is TRU-007 or TRU-009)",
		Why:      "Whoever can write IAM policies in the other account can let anyone there in.",
		Remedy:   "Name the exact roles: otherwise the administrators of the trusted account decide who gets in.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025", "NHI9:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-3", "AC-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/deploy"},"Action":"sts:AssumeRole"}`,
		},
		Check: wholeMemberAccount,
	},
	{
		ID: "TRU-006", Title: "Name pattern spans accounts",
		Detects:  "aws:PrincipalArn (or a Principal ARN) whose account field is a wildcard, for example a role name in any account, without an organization or account bound",
		Why:      "Anybody can make a role of that name in an account of their own.",
		Remedy:   "Write the account id out, or add aws:PrincipalAccount or aws:PrincipalOrgID.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025", "NHI5:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-05", "PR.AA-03"}, NIST: []string{"AC-3", "IA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/deploy"}}}`,
			After:  `{"Principal":"*","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/deploy"},"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg1"}}}`,
		},
		Check: namePatternSpansAccounts,
	},
	{
		ID: "TRU-008", Title: "Dangling principal",
		Detects:  "Trust or resource policy carries a unique id (AROA..., AIDA...) or an ARN of a principal that a complete inventory of that account does not have",
		Why:      "The trust serves nobody, and hides what it was for. An ARN without its principal comes alive when somebody makes one of that name.",
		Remedy:   "Remove it; where the role was made again on purpose, name it again by its ARN.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"PR.AA-05", "ID.AM-08"}, NIST: []string{"AC-2", "AC-2(3)"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":["AROAEXAMPLEDELETED01","arn:aws:iam::111122223333:role/deploy"]}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::111122223333:role/deploy"}}`,
		},
		Check: danglingPrincipal,
	},
	{
		ID: "TRU-010", Title: "Long-lived identity trusted",
		Detects:  "Principal is an IAM user, or a role whose only inbound path is an IAM user with access keys",
		Why:      "Access keys of users live until somebody rotates them; a stolen one opens this door from anywhere.",
		Remedy:   "Move the caller to a role, to OIDC or to Roles Anywhere.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI7:2025", "NHI4:2025"}, Tenets: []int{3, 6}, CSF: []string{"PR.AA-01", "PR.AA-03"}, NIST: []string{"IA-5", "AC-2"}, CIS: "CIS 5.0 1.13; SH IAM.3"},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::111122223333:user/build"}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::111122223333:role/build"}}`,
		},
		Check: longLivedIdentity,
	},
	{
		ID: "TRU-011", Title: "Allow with NotPrincipal",
		Detects:  "Resource policy statement allowing everybody except a list (IAM refuses this shape in role trust)",
		Why:      "Everybody who is not on the list gets in, strangers included; a list of the forbidden is never complete.",
		Remedy:   "Rewrite the statement with Principal: name who may, not who may not.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-3", "AC-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","NotPrincipal":{"AWS":"arn:aws:iam::111122223333:user/intern"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/reader"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}`,
		},
		Check: allowNotPrincipal,
	},
	{
		ID: "TRU-012", Title: "Too many actions in trust",
		Detects:  "Trust action is \"*\" or sts:*, or adds TagSession / SetSourceIdentity without limiting tag keys and values",
		Why:      "The caller may do more with the session than assume it: set tags on which other policies rely, or a name that audit logs show.",
		Remedy:   "List the one action that assumes the role; where tags are passed, demand aws:RequestTag and aws:TagKeys.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/broker"},"Action":"sts:*"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/broker"},"Action":"sts:AssumeRole"}`,
		},
		Check: tooManyActions,
	},
	{
		ID: "TRU-014", Title: "Condition that can never or always holds",
		Detects:  "Operator/key/value combination that is constant for the request type: private range in SourceIp, ExternalId on AssumeRoleWithWebIdentity, misspelt or unknown key, duplicate key with different case, wildcard in StringEquals or StringNotEquals, where it is a literal character (ArnEquals does honour wildcards, it behaves as ArnLike), date in the past",
		Why:      "A test that is always true protects nothing, and one that is never true locks out whom it was written for; both look like protection.",
		Remedy:   "Correct the test. Until then it guards nothing.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025"}, Tenets: []int{4}, CSF: []string{"PR.AA-05", "PR.PS-01"}, NIST: []string{"CM-6", "SI-10"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Condition":{"StringEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}}}`,
			After:  `{"Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}}}`,
		},
		Check: constantCondition,
	},
}

// roleTrusts calls judge for every statement of a trust policy that lets somebody assume the role by AssumeRole, as far as
// it concerns one grantee. Trust policies that could not be read are not assessed.
func roleTrusts(p *rule.Pass, concerns func(e *access.Edge) bool, judge func(e *access.Edge, g *access.Grant)) {
	for _, e := range p.Graph.Edges {
		if e.Target.Role == nil {
			continue
		}
		if e.Grantee.Kind == access.NotUnderstood && e.Grants == nil {
			p.NotAssessed(e.Target.ARN, "its trust policy could not be read", e.By)
			continue
		}
		if e.Mechanism != access.AssumeRole || !concerns(e) {
			continue
		}
		for i := range e.Grants {
			judge(e, &e.Grants[i])
		}
	}
}

func isAnyone(e *access.Edge) bool { return e.Grantee.Kind == access.Anyone }

func anyoneMayAssume(p *rule.Pass) {
	roleTrusts(p, isAnyone, func(e *access.Edge, g *access.Grant) {
		if g.Condition.IsAlways() {
			p.ReportEdge(e, finding.Finding{Reason: "Every principal of every AWS account may assume the role, without any condition."})
		}
	})
}

// identityKeys tell who the caller is, by something that an outsider cannot choose.
var identityKeys = []string{"aws:PrincipalArn", "aws:PrincipalAccount", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:userid", "aws:SourceVpc", "aws:SourceVpce", "aws:VpceOrgID", "aws:VpceAccount"}

// positive reports whether a key must be present with something that is named: a value or a pattern, not just any.
func positive(r cond.Requirement) bool {
	return r.Always && !r.Absent && !r.Open && len(values(r)) > 0
}

func anyoneConditionDoesNotRestrict(p *rule.Pass) {
	roleTrusts(p, isAnyone, func(e *access.Edge, g *access.Grant) {
		switch {
		case g.Condition.IsAlways() || g.Condition.IsNever():
		case g.Condition.Opaque():
			p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+g.Condition.String(), g.Evidence)
		case !network(g.Condition) && !slices.ContainsFunc(identityKeys, func(key string) bool {
			return key == "aws:PrincipalArn" && namePattern(g.Condition) || bounds(p, g.Condition, key)
		}):
			p.ReportEdge(e, finding.Finding{Reason: "Anyone may assume the role who meets a condition that outsiders meet too: " + g.Condition.String() + "."})
		}
	})
}

func wholeOrganizationTrusted(p *rule.Pass) {
	roleTrusts(p, isAnyone, func(e *access.Edge, g *access.Grant) {
		id, paths := g.Condition.Require("aws:PrincipalOrgID"), g.Condition.Require("aws:PrincipalOrgPaths")
		switch {
		case g.Condition.Opaque():
			p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+g.Condition.String(), g.Evidence)
			return
		case namesWithinAccount(g.Condition) || bounds(p, g.Condition, "aws:PrincipalAccount") || bounds(p, g.Condition, "aws:userid"):
			return
		}
		switch {
		case bounds(p, g.Condition, "aws:PrincipalOrgPaths"):
			for _, v := range values(paths) {
				if id, path, _ := strings.Cut(v, "/"); id != p.Org.ID && p.Org.ID != "" {
					p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Every principal under %s, which is not in %s, may assume the role.", v, p.Org.ID)})
					continue
				} else if p.Org.ID == "" && strings.Contains(strings.Trim(path, "/*"), "/") {
					p.NotAssessed(e.Target.ARN, "how many accounts lie under "+v+" is not in the input", g.Evidence)
					continue
				}
				if n, wide := members(p, v); wide {
					p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Every principal of the %d accounts under %s may assume the role.", n, v), Facts: map[string]string{"members": fmt.Sprint(n)}})
				}
			}
		case bounds(p, g.Condition, "aws:PrincipalOrgID"):
			foreign := slices.DeleteFunc(values(id), func(v string) bool { return v == p.Org.ID })
			if len(foreign) > 0 && p.Org.ID != "" {
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Every principal of the organisation %s, which is not %s, may assume the role.", strings.Join(foreign, " or "), p.Org.ID)})
				return
			}
			n, _ := members(p, strings.Join(id.Values, " "))
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Every principal of the organisation %s (%d accounts) may assume the role.", strings.Join(values(id), " or "), n), Facts: map[string]string{"members": fmt.Sprint(n)}})
		}
	})
}

// members counts the accounts under a path of the organisation, and says whether it is the root or a wide OU.
func members(p *rule.Pass, path string) (n int, wide bool) {
	unit := strings.Trim(strings.TrimPrefix(path, p.Org.ID), "/*")
	for _, a := range p.Org.Accounts {
		if a.Membership == org.Inside && (unit == "" || a.UnitPath == unit || strings.HasPrefix(a.UnitPath, unit+"/")) {
			n++
		}
	}
	return n, !strings.Contains(unit, "/") || n >= p.Parameters.WideOrgMembers
}

// namesPrincipals reports whether a whole account is narrowed to principals of it that are named.
func namesPrincipals(demand cond.Formula) bool {
	for _, key := range [...]string{"aws:PrincipalArn", "aws:userid", "aws:username"} {
		r := demand.Require(key)
		if positive(r) && !slices.ContainsFunc(values(r), namesNobody) {
			return true
		}
	}
	return false
}

// namesNobody reports whether a pattern of principals names none in particular: all of an account, or of all accounts.
func namesNobody(pattern string) bool {
	a, err := arn.Parse(pattern)
	return err == nil && strings.ContainsAny(a.Account, "*?") || fitsEveryName(pattern)
}

func wholeAccountOf(p *rule.Pass, relation access.Relation, reason string) {
	concerns := func(e *access.Edge) bool { return e.Grantee.Kind == access.WholeAccount && e.CrossAccount }
	accountTrusts(p, concerns, func(e *access.Edge, g *access.Grant) {
		switch {
		case e.Grantee.Relation == access.RelationUnknown:
			p.NotAssessed(e.Target.ARN, "whether account "+e.Grantee.Account+" belongs to the organisation is not in the input", g.Evidence)
		case e.Grantee.Relation != relation || g.Condition.IsNever() || namesPrincipals(g.Condition) || namesWithinAccount(g.Condition):
		default:
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf(reason, e.Grantee.Account+accountName(p, e.Grantee.Account))})
		}
	})
}

// accountName is the name of an account in brackets, "" where none is known.
func accountName(p *rule.Pass, id string) string {
	if v, ok := vendorOf(p, id); ok {
		return " (" + v.Name + ")"
	}
	if a, ok := p.Org.Account(id); ok && a.Name != "" {
		return " (" + a.Name + ")"
	}
	return ""
}

func wholeExternalAccount(p *rule.Pass) {
	wholeAccountOf(p, access.External, "Every principal of the external account %s may assume the role, if its own administrators say so.")
}

func wholeMemberAccount(p *rule.Pass) {
	wholeAccountOf(p, access.SameOrg, "Every principal of the member account %s may assume the role, if its own administrators say so.")
}

// namePattern reports whether the caller's ARN is tested for something: a pattern that spans accounts is TRU-006.
func namePattern(demand cond.Formula) bool { return positive(demand.Require("aws:PrincipalArn")) }

func namePatternSpansAccounts(p *rule.Pass) {
	for _, e := range p.Graph.Edges {
		if e.Grantee.Kind == access.NotUnderstood && e.Grants != nil && strings.ContainsAny(arn.Account(e.Grantee.ID), "*?") {
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The principal %s names a role in any account.", e.Grantee.ID)})
		}
	}
	roleTrusts(p, isAnyone, func(e *access.Edge, g *access.Grant) {
		if g.Condition.Require("aws:PrincipalArn").Opaque {
			p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+g.Condition.String(), g.Evidence)
			return
		}
		if !namePattern(g.Condition) || bounds(p, g.Condition, "aws:PrincipalOrgID") || bounds(p, g.Condition, "aws:PrincipalOrgPaths") || bounds(p, g.Condition, "aws:PrincipalAccount") {
			return
		}
		for _, v := range g.Condition.Require("aws:PrincipalArn").Patterns {
			if anyAccount(v) {
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The pattern %s fits a principal of that name in any account.", v), Facts: map[string]string{"pattern": v}})
			}
		}
	})
}

func danglingPrincipal(p *rule.Pass) {
	for _, e := range p.Graph.Edges {
		t := &e.Grantee
		switch {
		case t.Kind == access.Deleted && t.Principal == nil:
			p.Report(finding.Finding{Subject: e.Target.ARN, Account: e.Target.Account, Grantee: t.ID, Evidence: evidenceOf(e),
				Reason: fmt.Sprintf("%s is what is left of a principal that was deleted.", t.ID)})
		case t.Missing:
			p.Report(finding.Finding{Subject: e.Target.ARN, Account: e.Target.Account, Grantee: t.ID, Evidence: evidenceOf(e),
				Reason: fmt.Sprintf("%s does not exist: the inventory of account %s is complete and lacks it.", t.ID, t.Account)})
		case (t.Kind == access.RoleGrantee || t.Kind == access.UserGrantee) && t.Principal == nil && p.Org.Membership(t.Account) == org.Inside:
			p.NotAssessed(e.Target.ARN, "whether "+t.ID+" exists is not known: account "+t.Account+" was not inventoried", evidenceOf(e)...)
		}
	}
}

func evidenceOf(e *access.Edge) []access.Evidence {
	var evidence []access.Evidence
	for i := range e.Grants {
		evidence = append(evidence, e.Grants[i].Evidence)
	}
	return evidence
}

func longLivedIdentity(p *rule.Pass) {
	roleTrusts(p, func(e *access.Edge) bool { return e.CrossAccount }, func(e *access.Edge, g *access.Grant) {
		switch {
		case e.Grantee.Kind == access.UserGrantee && !strings.Contains(e.Grantee.ID, ":federated-user/"):
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The caller is the IAM user %s, whose access keys live until somebody rotates them.", e.Grantee.ID)})
		case e.Grantee.Kind == access.RoleGrantee && e.Grantee.Principal != nil && e.Grantee.Principal.Role != nil:
			userBehind(p, e, g)
		}
	})
}

// userBehind reports a role that only IAM users with access keys can become.
func userBehind(p *rule.Pass, e *access.Edge, g *access.Grant) {
	role := e.Grantee.Principal
	var users []string
	for _, way := range p.Graph.EdgesTo(role.ARN) {
		if way.Verdict == eval.Deny {
			continue
		}
		if way.Grantee.Kind != access.UserGrantee || way.Grantee.Principal == nil {
			return // another way in
		}
		switch user := way.Grantee.Principal.User; {
		case user.AccessKeys < 0:
			p.NotAssessed(e.Target.ARN, "whether the user "+user.ARN+" behind "+role.ARN+" has access keys is not in the input", g.Evidence)
			return
		case user.AccessKeys == 0:
			return
		}
		users = append(users, way.Grantee.ID)
	}
	if len(users) > 0 {
		p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The only way to become %s is as the IAM user %s with its access keys.", role.ARN, strings.Join(users, " or "))})
	}
}

func allowNotPrincipal(p *rule.Pass) {
	for _, e := range p.Graph.Edges {
		switch {
		case e.Grantee.Kind == access.EveryoneElse:
			p.ReportEdge(e, finding.Finding{Reason: "The statement allows everybody whom it does not list, the anonymous included."})
		case e.Grantee.Kind == access.NotUnderstood && e.Grants == nil:
			p.NotAssessed(e.Target.ARN, "its policy could not be read", e.By)
		}
	}
}

func tooManyActions(p *rule.Pass) {
	for _, role := range p.Org.Principals {
		if role.Role == nil || kept(role) || !foreign(p.Graph.EdgesTo(role.ARN)) {
			continue
		}
		for _, reason := range role.Trust.Unresolved {
			p.NotAssessed(role.ARN, reason)
		}
		for _, document := range role.Trust.Policies {
			for i := range document.Rules {
				if r := &document.Rules[i]; r.Effect == policy.Allow {
					judgeActions(p, role, r, document, i)
				}
			}
		}
	}
}

// foreign reports whether somebody of another account, or of none but AWS itself, is let in.
func foreign(edges []*access.Edge) bool {
	return slices.ContainsFunc(edges, func(e *access.Edge) bool { return e.CrossAccount && e.Grantee.Kind != access.ServiceGrantee })
}

func judgeActions(p *rule.Pass, role *org.Principal, r *policy.Rule, document *policy.Policy, statement int) {
	var reasons []string
	for j := range r.Actions.Globs {
		if _, literal := r.Actions.Globs[j].Literal(); !literal && r.Actions.Globs[j].Match("sts:tagsession") || r.Actions.Not {
			reasons = append(reasons, fmt.Sprintf("the action %s covers more than one way to assume the role", document.Document.Statements[statement].Action.Values[j].Value))
		}
	}
	if len(reasons) == 0 {
		var unknown cond.Context
		unknown.Rest = cond.Undetermined
		demand := r.Condition.LeftOver(&unknown)
		if r.Actions.Match("sts:tagsession") && !limitsTags(demand) {
			reasons = append(reasons, "sts:TagSession is allowed with any tags")
		}
		if r.Actions.Match("sts:setsourceidentity") && !positive(demand.Require("sts:SourceIdentity")) {
			reasons = append(reasons, "sts:SetSourceIdentity is allowed with any name")
		}
	}
	if len(reasons) > 0 {
		p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Reason: strings.ToUpper(reasons[0][:1]) + strings.Join(reasons, "; ")[1:] + ".",
			Evidence: []access.Evidence{access.EvidenceAt(role.ARN, role.Role.Trust, statement)}})
	}
}

// limitsTags reports whether keys or values of session tags are limited.
func limitsTags(demand cond.Formula) bool {
	for _, key := range demand.Tests() {
		if key == "aws:tagkeys" || strings.HasPrefix(key, "aws:requesttag/") {
			if r := demand.Require(key); r.Always && !r.Open {
				return true
			}
		}
	}
	return false
}
