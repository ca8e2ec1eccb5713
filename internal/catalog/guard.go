package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// guardRules judge what holds beyond the single trust: guards around accounts, rights to change trusts, parties in one role.
var guardRules = []rule.Rule{
	{
		ID: "ORG-001", Title: "No outer guard",
		Detects:  "No SCP/RCP that denies assume or data access to identities outside the organization, or it does not cover this account (management account, service-linked role, service not covered)",
		Why:      "One careless policy is all that stands between the account and the world.",
		Remedy:   "Put an RCP that keeps strangers out of resources, and an SCP that keeps your people in, on the root.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{6}, CSF: []string{"PR.IR-01", "PR.AA-05"}, NIST: []string{"AC-4", "SC-7(5)", "AC-3"}, CIS: "CIS 7.0 2.1.2"},
		Example: rule.Example{
			Before: `{"Statement":[]}`,
			After:  `{"Effect":"Deny","Principal":"*","Action":["sts:AssumeRole","s3:*"],"Resource":"*","Condition":{"StringNotEqualsIfExists":{"aws:PrincipalOrgID":"o-exampleorg1"},"BoolIfExists":{"aws:PrincipalIsAWSService":"false"}}}`,
		},
		Check: noOuterGuard,
	},
	{
		ID: "PRM-005", Title: "Cross-account role can rewrite trust",
		Detects:  "Effective iam:UpdateAssumeRolePolicy, PutRolePolicy, AttachRolePolicy, CreateRole, CreateAccessKey, PassRole on *, CreateOpenIDConnectProvider, rolesanywhere:CreateTrustAnchor",
		Why:      "Whoever comes in can let others in, for good.",
		Remedy:   "Remove the permission, or put a permissions boundary on the role.",
		Severity: finding.Critical, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6", "CM-5"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Action":"iam:*","Resource":"*"}`,
			After:  `{"Effect":"Allow","Action":["iam:GetRole","iam:ListRoles"],"Resource":"*"}`,
		},
		Check: rewritesTrust,
	},
	{
		ID: "TRU-009", Title: "Trust follows a name, not an identity",
		Detects:  "Account root trusted and narrowed only by aws:PrincipalArn: a role deleted and re-created under the same name regains access, and nobody in the trusting account notices",
		Why:      "Whoever may make a role of that name in the other account takes over the trust.",
		Remedy:   "Accept knowingly (registry flag) and watch CreateRole of that name in the trusted account, or name the role in Principal.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025", "NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-05", "PR.AA-03"}, NIST: []string{"AC-2", "IA-4", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/deployer"}}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/deployer"}}`,
		},
		Check: trustFollowsName,
	},
	{
		ID: "TRU-013", Title: "One role, unrelated parties",
		Detects:  "Principals of two or more registered owners or vendors in one trust policy",
		Why:      "What one of them needs the others get, and nobody can take it from one alone.",
		Remedy:   "One role for each relationship.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI9:2025"}, Tenets: []int{3}, CSF: []string{"PR.AA-05", "ID.AM-08"}, NIST: []string{"AC-5", "AC-6", "IA-4"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":["arn:aws:iam::444455556666:role/report","arn:aws:iam::777788889999:role/collector"]}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/report"}}`,
		},
		Check: unrelatedParties,
	},
}

// anybodyMay is a resource policy at its most careless.
var anybodyMay = policy.MustParse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}`)

// outerActions are what outsiders do with a type of resource, one for each: whether an RCP keeps them from it says whether the
// account has an outer guard for that type.
var outerActions = map[string]string{
	"AWS::IAM::Role": "sts:AssumeRole", "AWS::S3::Bucket": "s3:GetObject", "AWS::KMS::Key": "kms:Decrypt", "AWS::SQS::Queue": "sqs:SendMessage",
	"AWS::SecretsManager::Secret": "secretsmanager:GetSecretValue", "AWS::DynamoDB::Table": "dynamodb:GetItem", "AWS::ECR::Repository": "ecr:BatchGetImage",
}

// noOuterGuard asks of every account into which somebody from outside is let: if one more policy there were careless, would anything
// keep the world out?
func noOuterGuard(p *rule.Pass) {
	judged := map[[2]string]bool{}
	for _, e := range p.Graph.Edges {
		action := outerActions[e.Target.Type]
		outside := e.Grantee.Relation == access.External || e.Grantee.Relation == access.Public
		a, known := p.Org.Account(e.Target.Account)
		key := [2]string{e.Target.Account, action}
		if action == "" || !outside || !known || a.Membership != org.Inside || judged[key] {
			continue
		}
		judged[key] = true
		resource := e.Target.ARN
		if action == "s3:GetObject" {
			resource += "/object"
		}
		d := outsider(p, a, action, resource)
		switch {
		case d.Verdict == eval.Deny || named(d.LeftOver):
		case d.LeftOver.Opaque():
			p.NotAssessed(a.ID, "whether an RCP keeps outsiders out is not known: "+d.LeftOver.String(), evidenceOf(e)...)
		default:
			p.Report(finding.Finding{Subject: a.ID, Account: a.ID, Evidence: evidenceOf(e),
				Reason: fmt.Sprintf("No RCP keeps somebody outside the organisation from %s in the account: a careless policy would be enough. %s lets in somebody from outside today.", action, e.Target.ARN)})
		}
	}
}

// named: only accounts or principals that the guard lists as exceptions pass it.
func named(left cond.Formula) bool {
	for _, key := range [...]string{"aws:PrincipalAccount", "aws:PrincipalArn"} {
		if r := left.Require(key); r.Always && !r.Absent && !r.Open && !r.Opaque {
			return true
		}
	}
	return false
}

// outsider asks what keeps a principal that is not of the organisation from an account, beside the policy of the resource.
func outsider(p *rule.Pass, a *org.Account, action, resource string) eval.Decision {
	c := eval.AnyonesPrincipal()
	known := &cond.Context{Parent: c.Context(), Rest: cond.Undetermined}
	if p.Org.ID != "" {
		known.SetUnknownExcept("aws:PrincipalOrgID", false, p.Org.ID)
		known.SetUnknownExcept("aws:PrincipalOrgPaths", true, p.Org.ID+"/*")
	}
	known.Set("aws:PrincipalIsAWSService", "false")
	known.Set("aws:ViaAWSService", "false")
	known.Set("aws:ResourceAccount", a.ID)
	known.Set("aws:ResourceOrgID", p.Org.ID)
	engine := p.Graph.Engine()
	return engine.Decide(&eval.Request{Caller: c, Action: eval.MustAction(action), Resource: resource, ResourceAccount: a.ID, Context: known,
		Policies: &eval.Policies{CallerAssumed: true, RCPs: a.RCPs, Resource: &eval.Set{Policies: []*policy.Policy{anybodyMay}}}})
}

// rewriting are the actions by which whoever comes in can let others in, each with the resource that it is about; ROLE is some role of
// the account.
var rewriting = [][2]string{
	{"iam:UpdateAssumeRolePolicy", "role/any"}, {"iam:PutRolePolicy", "role/any"}, {"iam:AttachRolePolicy", "role/any"}, {"iam:CreateRole", "role/any"},
	{"iam:CreateAccessKey", "user/any"}, {"iam:PassRole", "role/any"}, {"iam:CreateOpenIDConnectProvider", "oidc-provider/any"},
}

func rewritesTrust(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		able := access.BesideUnknownGuards(role)
		var may []string
		var left cond.Formula
		unknown := ""
		for _, q := range rewriting {
			d := p.Graph.Can(able, eval.MustAction(q[0]), "arn:"+partition(role.ARN)+":iam::"+role.Account+":"+q[1])
			switch {
			case d.Verdict == eval.Unknown && d.LeftOver.Opaque():
				unknown = d.LeftOver.String()
			case d.Verdict != eval.Deny:
				may = append(may, q[0])
				left = d.LeftOver
			}
		}
		switch {
		case len(may) > 0:
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: fmt.Sprintf("%s may become the role, and the role may %s%s.", grantees(ways), strings.Join(may, ", "), ifDemanded(left))})
		case unknown != "":
			p.NotAssessed(role.ARN, "whether the role may change who is trusted depends on what is not known: "+unknown, evidenceOf(ways[0])...)
		}
	})
}

func partition(name string) string {
	_, rest, _ := strings.Cut(name, ":")
	partition, _, _ := strings.Cut(rest, ":")
	return partition
}

func trustFollowsName(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		for _, e := range ways {
			if e.Grantee.Kind != access.WholeAccount {
				continue
			}
			for i := range e.Grants {
				g := &e.Grants[i]
				r := g.Raw.Require("aws:PrincipalArn")
				switch {
				case g.Raw.Opaque():
					p.NotAssessed(role.ARN, "a condition of its trust policy is not understood: "+g.Raw.String(), g.Evidence)
				case r.Exact():
					p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Account %s is trusted and only the name tells who of it: %s. Whoever is made under that name again has the trust.", e.Grantee.Account, strings.Join(r.Values, ", "))})
				}
			}
		}
	})
}

func unrelatedParties(p *rule.Pass) {
	if p.Registry == nil && len(p.Vendors) == 0 {
		p.NotAssessed(organizationName(p), "neither a registry nor a list of vendors was given: nobody says who belongs together")
		return
	}
	vendors := map[string]string{}
	for _, v := range p.Vendors {
		for _, a := range v.Accounts {
			vendors[a] = "vendor " + v.Name
		}
	}
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		parties := map[string]bool{}
		for _, e := range ways {
			if v := vendors[e.Grantee.Account]; v != "" {
				parties[v] = true
				continue
			}
			for _, pair := range p.Declared(role.ARN) {
				if pair.Source == e.Grantee.ID && pair.Entry.Owner != "" {
					parties[pair.Entry.Owner] = true
				}
			}
		}
		if len(parties) > 1 {
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: fmt.Sprintf("%d parties use one role: %s.", len(parties), strings.Join(slices.Sorted(maps.Keys(parties)), ", "))})
		}
	})
}
