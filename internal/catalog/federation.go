package catalog

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
)

// federationRules judge trusts in OIDC issuers.
var federationRules = []rule.Rule{
	{
		ID: "FED-001", Title: "Shared issuer without subject test",
		Detects:  "AssumeRoleWithWebIdentity for a multi-tenant issuer (GitHub, GitLab.com, Terraform Cloud, Buildkite, Google, ...) with no positive test on sub or on another tenant-binding claim",
		Why:      "Every customer of a shared issuer gets tokens with the same signature. Without a test on the subject, anybody with a free account there may assume the role.",
		Remedy:   "Demand the whole subject with StringEquals, or with StringLike a pattern that writes the tenant out.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025", "NHI6:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-03", "PR.AA-04"}, NIST: []string{"IA-8", "IA-9", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"}}}`,
			After:  `{"Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com","token.actions.githubusercontent.com:sub":"repo:acme/web:environment:production"}}}`,
		},
		Check: sharedIssuerWithoutSubject,
	},
	{
		ID: "FED-002", Title: "Subject pattern crosses tenants",
		Detects:  "Any one value of the sub test matches subjects of other tenants (*, repo:*, repo:org*/..., organization:name*); a list counts as its loosest value",
		Why:      "A pattern that leaves the tenant open matches subjects that strangers can make for themselves, and one loose value in a list is enough.",
		Remedy:   "Write the owner and the repository out; leave wildcards to what follows them.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025", "NHI6:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-03", "PR.AA-04"}, NIST: []string{"IA-8", "IA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"StringLike":{"token.actions.githubusercontent.com:sub":["repo:acme/web:*","repo:*"]}}`,
			After:  `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:acme/web:*"}}`,
		},
		Check: subjectCrossesTenants,
	},
	{
		ID: "FED-003", Title: "Whole organization of the CI provider",
		Detects:  "Subject fixes the owner and leaves the repository or project free",
		Why:      "Any repository of the organisation, also one that somebody makes tomorrow, may assume the role.",
		Remedy:   "Name the repositories, and give each its own role.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025", "NHI9:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6", "IA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:acme/*"}}`,
			After:  `{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:acme/web:environment:production"}}`,
		},
		Check: wholeOrganisationOfProvider,
	},
	{
		ID: "FED-004", Title: "Unreviewed code may deploy",
		Detects:  "Subject admits pull_request, any ref or any tag while the role can write or deploy (environment or protected ref not required)",
		Why:      "Whoever can open a pull request or push a branch runs code with the role's rights before anybody has reviewed it.",
		Remedy:   "Demand one environment, one protected branch, or one job_workflow_ref.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI6:2025", "NHI5:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-05", "PR.PS-01"}, NIST: []string{"AC-6", "CM-5"}, CIS: ""},
		Example: rule.Example{
			Before: `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:acme/web:*"}}`,
			After:  `{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:acme/web:environment:production"}}`,
		},
		Check: unreviewedCode,
	},
	{
		ID: "FED-005", Title: "Audience not pinned",
		Detects:  "aud absent or wildcarded",
		Why:      "A token that was issued for another party can be used here, if its subject fits.",
		Remedy:   "Demand the one audience that the tokens are issued for, with StringEquals.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-04"}, NIST: []string{"IA-9", "SC-23"}, CIS: ""},
		Example: rule.Example{
			Before: `{"StringEquals":{"gitlab.com:sub":"project_path:acme/web:ref_type:branch:ref:main"}}`,
			After:  `{"StringEquals":{"gitlab.com:sub":"project_path:acme/web:ref_type:branch:ref:main","gitlab.com:aud":"https://gitlab.com"}}`,
		},
		Check: audienceNotPinned,
	},
	{
		ID: "FED-006", Title: "Vacuous set operator",
		Detects:  "ForAllValues on a single-valued claim: true when the claim is absent",
		Why:      "ForAllValues is true where the claim is missing: the test is skipped by a token that does not carry it.",
		Remedy:   "Drop the set operator, or demand the claim's presence with Null: false.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-03"}, NIST: []string{"SI-10", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"ForAllValues:StringEquals":{"token.actions.githubusercontent.com:sub":"repo:acme/web:environment:production"}}`,
			After:  `{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:acme/web:environment:production"}}`,
		},
		Check: vacuousSetOperator,
	},
	{
		ID: "FED-007", Title: "Cognito pool not bound",
		Detects:  "cognito-identity.amazonaws.com trusted without aud equal to own pool, or with amr unauthenticated on a role with more than a stated set of rights",
		Why:      "Cognito gives identities to anyone who asks. Without the pool in the condition, anybody's own pool will do; with unauthenticated identities, no login is needed.",
		Remedy:   "Demand your own identity pool in aud, and authenticated in amr; delete what Amplify left (CVE-2024-28056).",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025", "NHI6:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-03", "PR.AA-04"}, NIST: []string{"IA-8", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"Federated":"cognito-identity.amazonaws.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`,
			After:  `{"Condition":{"StringEquals":{"cognito-identity.amazonaws.com:aud":"eu-west-1:0f1e2d3c-0000-4000-8000-000000000000"},"ForAnyValue:StringLike":{"cognito-identity.amazonaws.com:amr":"authenticated"}}}`,
		},
		Check: cognitoPoolNotBound,
	},
}

// cognito is the host of Amazon Cognito's identities.
const cognito = "cognito-identity.amazonaws.com"

// webTrusts calls judge for every statement that lets in web identities of an issuer: the host by which its claims are
// named, and what the statement demands. Trust policies that could not be read, and claims whose tests are not
// understood, are not assessed.
func webTrusts(p *rule.Pass, concerns func(host string) bool, judge func(e *access.Edge, host string, demand cond.Formula)) {
	for _, e := range p.Graph.Edges {
		if e.Grantee.Kind == access.NotUnderstood && e.Target.Role != nil {
			p.NotAssessed(e.Target.ARN, "its trust policy could not be read", e.By)
			continue
		}
		if e.Mechanism != access.AssumeRoleWeb || e.Grantee.Kind != access.Issuer {
			continue
		}
		host := issuerHost(e.Grantee.ID)
		if !concerns(host) {
			continue
		}
		for i := range e.Grants {
			judge(e, host, e.Grants[i].Condition)
		}
	}
}

func issuerHost(provider string) string {
	if _, host, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		return host
	}
	return provider
}

func isShared(host string) bool {
	_, ok := ref.SharedIssuer(host)
	return ok
}

func everyHost(host string) bool { return host != cognito }

// values are all that a requirement accepts: exact values and patterns.
func values(r cond.Requirement) []string { return slices.Concat(r.Values, r.Patterns) }

// subjects are the values and patterns of a subject test that some token fits. No subject carries a wildcard, so that a value
// that is compared exactly and has one fits none.
func subjects(r cond.Requirement) []string {
	exact := slices.DeleteFunc(slices.Clone(r.Values), func(v string) bool { return strings.ContainsAny(v, "*?") })
	return slices.Concat(exact, r.Patterns)
}

// opensTenant reports whether a pattern of a claim leaves open whose token it is: the tenant is what comes before the first
// slash, or all where there is none. A pattern over a part of its name also fits names that strangers register.
func opensTenant(pattern string) bool {
	tenant, _, _ := strings.Cut(pattern, "/")
	return tenant == "" || strings.ContainsAny(tenant, "*?")
}

// bindsTenant reports whether a claim other than the subject ties the token to one tenant.
func bindsTenant(issuer ref.Issuer, demand cond.Formula) bool {
	return bindsClaim(issuer, issuer.Claims, demand)
}

// bindsOwnerOnly reports whether the claims beside the subject tie the token to a tenant, and to none of its projects.
func bindsOwnerOnly(issuer ref.Issuer, demand cond.Formula) bool {
	projects := slices.DeleteFunc(slices.Clone(issuer.Claims), func(c string) bool { return slices.Contains(issuer.Owners, c) })
	return bindsClaim(issuer, issuer.Owners, demand) && !bindsClaim(issuer, projects, demand)
}

func bindsClaim(issuer ref.Issuer, claims []string, demand cond.Formula) bool {
	for _, claim := range claims {
		r := demand.Require(issuer.Host + ":" + claim)
		if !r.Always || r.Absent || r.Open || r.Opaque {
			continue
		}
		if !slices.Contains(r.Values, "") && !slices.ContainsFunc(r.Patterns, opensTenant) {
			return true
		}
	}
	return false
}

// subjectOf is what a statement demands of the subject; ok is false where that is not understood, which is reported.
func subjectOf(p *rule.Pass, e *access.Edge, host string, demand cond.Formula) (r cond.Requirement, ok bool) {
	r = demand.Require(host + ":sub")
	if r.Opaque {
		p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+demand.String(), e.Grants[0].Evidence)
		return r, false
	}
	return r, true
}

func sharedIssuerWithoutSubject(p *rule.Pass) {
	webTrusts(p, isShared, func(e *access.Edge, host string, demand cond.Formula) {
		issuer, _ := ref.SharedIssuer(host)
		sub, ok := subjectOf(p, e, host, demand)
		if !ok || len(issuer.Subjects) > 0 && len(values(sub)) > 0 || bindsTenant(issuer, demand) {
			return
		}
		if host == "accounts.google.com" && demand.Require(host+":aud").Exact() {
			return // the client id is the tenant's own
		}
		p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s serves many tenants, and nothing in the statement says whose token it must be: it demands %s.", issuer.Name, demand)})
	})
}

func subjectCrossesTenants(p *rule.Pass) {
	webTrusts(p, isShared, func(e *access.Edge, host string, demand cond.Formula) {
		issuer, _ := ref.SharedIssuer(host)
		sub, ok := subjectOf(p, e, host, demand)
		if !ok || len(issuer.Subjects) == 0 || bindsTenant(issuer, demand) {
			return
		}
		for _, v := range subjects(sub) {
			if _, _, bound := issuer.Tenant(v); !bound {
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The subject %q also fits tokens of other tenants of %s.", v, issuer.Name), Facts: map[string]string{"subject": v}})
			}
		}
	})
}

func wholeOrganisationOfProvider(p *rule.Pass) {
	webTrusts(p, isShared, func(e *access.Edge, host string, demand cond.Formula) {
		issuer, _ := ref.SharedIssuer(host)
		sub, ok := subjectOf(p, e, host, demand)
		if !ok {
			return
		}
		for _, v := range subjects(sub) {
			tenant, project, bound := issuer.Tenant(v)
			if bound && tenant != "" && strings.ContainsAny(project, "*?") {
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The subject %q fits every project of %s at %s that matches %q.", v, tenant, issuer.Name, project), Facts: map[string]string{"subject": v}})
			}
		}
		bySubject := slices.ContainsFunc(subjects(sub), func(v string) bool { _, _, bound := issuer.Tenant(v); return bound })
		if !bySubject && bindsOwnerOnly(issuer, demand) {
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The claims fix the owner at %s and none of its projects: every one of them may assume the role.", issuer.Name)})
		}
	})
}

// deploys are rights by which a role changes what runs or is stored.
var deploys = []struct{ action, resource string }{
	{"s3:PutObject", "arn:aws:s3:::*"}, {"lambda:UpdateFunctionCode", "*"}, {"ecs:UpdateService", "*"}, {"ecr:PutImage", "*"},
	{"cloudformation:UpdateStack", "*"}, {"cloudformation:CreateStack", "*"}, {"ec2:RunInstances", "*"}, {"iam:PutRolePolicy", "*"},
	{"dynamodb:PutItem", "*"}, {"ssm:PutParameter", "*"}, {"codepipeline:StartPipelineExecution", "*"}, {"eks:UpdateClusterConfig", "*"},
}

// mayDeploy names the first right by which a role writes or deploys, looking at what its policies spell out too.
func mayDeploy(p *rule.Pass, e *access.Edge) (string, eval.Verdict) {
	role, verdict := e.Target.Role, eval.Deny
	for _, d := range deploys {
		for _, resource := range append(resourcesNamed(e, d.action), d.resource) {
			switch got := p.Graph.Can(role, eval.MustAction(d.action), resource); got.Verdict {
			case eval.Allow:
				return d.action, eval.Allow
			case eval.Unknown:
				if !got.LeftOver.Opaque() {
					return d.action, eval.Allow // under conditions that the request can meet
				}
				verdict = eval.Unknown
			}
		}
	}
	return "", verdict
}

// resourcesNamed are the resources on which the role's own policies name an action.
func resourcesNamed(e *access.Edge, action string) []string {
	var resources []string
	for _, q := range e.Target.Role.Identity.Policies {
		for i := range q.Rules {
			r := &q.Rules[i]
			if !r.Actions.Match(strings.ToLower(action)) {
				continue
			}
			for j := range r.Resources.Values {
				if v := &r.Resources.Values[j]; v.Template == nil && !r.Resources.Not {
					resources = append(resources, v.Pattern.String())
				}
			}
		}
	}
	return resources
}

func unreviewedCode(p *rule.Pass) {
	webTrusts(p, isShared, func(e *access.Edge, host string, demand cond.Formula) {
		issuer, _ := ref.SharedIssuer(host)
		sub, ok := subjectOf(p, e, host, demand)
		if !ok || bindsReviewed(issuer, demand) {
			return
		}
		for _, v := range subjects(sub) {
			if !slices.ContainsFunc(issuer.Unreviewed, func(u string) bool { return arn.GlobsIntersect(v, u) }) {
				continue
			}
			action, verdict := mayDeploy(p, e)
			switch verdict {
			case eval.Allow:
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("The subject %q admits code that nobody need have reviewed, and the role may %s.", v, action), Facts: map[string]string{"subject": v, "action": action}})
			case eval.Unknown:
				p.NotAssessed(e.Target.ARN, "what the role may do depends on what could not be read", e.Grants[0].Evidence)
			}
			return
		}
	})
}

// bindsReviewed reports whether a claim beside the subject pins reviewed code: an environment, a protected ref, a workflow.
func bindsReviewed(issuer ref.Issuer, demand cond.Formula) bool {
	for _, claim := range [...]string{"environment", "job_workflow_ref", "ref_protected", "environment_protected", "ref"} {
		if demand.Require(issuer.Host + ":" + claim).Exact() {
			return true
		}
	}
	return false
}

func audienceNotPinned(p *rule.Pass) {
	webTrusts(p, everyHost, func(e *access.Edge, host string, demand cond.Formula) {
		r := demand.Require(host + ":aud")
		switch {
		case r.Opaque:
			p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+demand.String(), e.Grants[0].Evidence)
		case !r.Exact():
			p.ReportEdge(e, finding.Finding{Reason: "The statement does not demand one known audience: " + audienceText(r, host) + "."})
		}
	})
}

func audienceText(r cond.Requirement, host string) string {
	if !r.Tested {
		return host + ":aud is not tested"
	}
	return host + ":aud may be " + strings.Join(values(r), " or ")
}

// singleValued are claims of which a token carries one value.
var singleValued = []string{"sub", "aud", "repository", "repository_owner", "environment", "ref", "project_path", "namespace_path", "actor", "job_workflow_ref"}

func vacuousSetOperator(p *rule.Pass) {
	webTrusts(p, everyHost, func(e *access.Edge, host string, demand cond.Formula) {
		for _, claim := range singleValued {
			r := demand.Require(host + ":" + claim)
			if r.Opaque {
				p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+demand.String(), e.Grants[0].Evidence)
				return
			}
			if r.Quantified && r.Absent {
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s:%s is tested with ForAllValues, which holds for a token without that claim.", host, claim), Facts: map[string]string{"claim": claim}})
			}
		}
	})
}

func cognitoPoolNotBound(p *rule.Pass) {
	webTrusts(p, func(host string) bool { return host == cognito }, func(e *access.Edge, host string, demand cond.Formula) {
		pool, amr := demand.Require(host+":aud"), demand.Require(host+":amr")
		switch {
		case pool.Opaque || amr.Opaque:
			p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+demand.String(), e.Grants[0].Evidence)
		case !pool.Exact():
			p.ReportEdge(e, finding.Finding{Reason: "Any Cognito identity pool will do: " + audienceText(pool, host) + "."})
		case (!amr.Always || amr.Absent || amr.Open || slices.Contains(amr.Values, "unauthenticated")) && hasRights(e):
			p.ReportEdge(e, finding.Finding{Reason: "Identities that did not log in may assume the role, and it has rights: " + host + ":amr does not demand \"authenticated\"."})
		}
	})
}

// hasRights reports whether a role has any permission at all: what an unauthenticated guest gets is for everybody.
func hasRights(e *access.Edge) bool {
	return len(e.Target.Role.Identity.Policies)+len(e.Target.Role.Identity.Unresolved) > 0
}
