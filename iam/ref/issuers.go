package ref

import "strings"

// IssuersFrom is the source of Issuers.
var IssuersFrom = Dated{"issuers of many tenants", "2026-11-23", "written down by hand; to be checked against the OIDC reference page of each provider"}

// Issuer is an OIDC issuer that serves many tenants, so that its signature alone says nothing about whose token it is.
type Issuer struct {
	Host string // of its tokens' issuer, without scheme, as in condition keys
	Name string // as people call the provider
	// Subjects are the forms of the subject that carry the tenant. A subject test binds the tenant if it fits one of them
	// with a literal tenant.
	Subjects []SubjectForm
	// Claims are other claims that bind the tenant, as they follow host and colon in a condition key.
	Claims []string
	// Owners are those of Claims that bind the whole tenant and none of its projects.
	Owners []string
	// Unreviewed are patterns of subjects of code that nobody need have reviewed: pull requests, any branch, any tag.
	Unreviewed []string
}

// SubjectForm cuts a subject into tenant and project: Prefix TENANT TenantEnd PROJECT ProjectEnd rest.
type SubjectForm struct {
	Prefix     string
	TenantEnd  string
	ProjectEnd string // "" where the form knows no project
}

var issuers = []Issuer{
	{
		Host: "token.actions.githubusercontent.com", Name: "GitHub Actions",
		Subjects: []SubjectForm{
			{"repo:", "/", ":"}, {"repository_owner:", ":", ""}, {"repository_owner_id:", ":", ""}, {"repository_id:", ":", ""},
			{"repository:", "/", ":"}, {"job_workflow_ref:", "/", "@"}, {"enterprise:", ":", ""},
		},
		Claims:     []string{"repository", "repository_id", "repository_owner", "repository_owner_id", "job_workflow_ref", "enterprise", "enterprise_id"},
		Owners:     []string{"repository_owner", "repository_owner_id", "enterprise", "enterprise_id"},
		Unreviewed: []string{"repo:*:pull_request", "repo:*:ref:refs/heads/any-unreviewed-branch", "repo:*:ref:refs/tags/any-unreviewed-tag"},
	},
	{
		Host: "gitlab.com", Name: "GitLab.com",
		Subjects:   []SubjectForm{{"project_path:", "/", ":"}, {"project_id:", ":", ""}, {"namespace_id:", ":", ""}},
		Claims:     []string{"project_id", "project_path", "namespace_id", "namespace_path"},
		Owners:     []string{"namespace_id", "namespace_path"},
		Unreviewed: []string{"project_path:*:ref_type:branch:ref:any-unreviewed-branch", "project_path:*:ref_type:tag:ref:any-unreviewed-tag"},
	},
	{
		Host: "app.terraform.io", Name: "HCP Terraform",
		Subjects:   []SubjectForm{{"organization:", ":", ":run_phase"}},
		Claims:     []string{"terraform_organization_id", "terraform_organization_name", "terraform_workspace_id", "terraform_project_id"},
		Owners:     []string{"terraform_organization_id", "terraform_organization_name"},
		Unreviewed: []string{"organization:*:run_phase:plan"},
	},
	{
		Host: "agent.buildkite.com", Name: "Buildkite",
		Subjects:   []SubjectForm{{"organization:", ":", ":ref"}},
		Claims:     []string{"organization_id", "organization_slug", "pipeline_id"},
		Owners:     []string{"organization_id", "organization_slug"},
		Unreviewed: []string{"organization:*:ref:refs/heads/any-unreviewed-branch:*", "organization:*:ref:refs/tags/any-unreviewed-tag:*"},
	},
	{Host: "oidc.vercel.com", Name: "Vercel", Subjects: []SubjectForm{{"owner:", ":", ":environment"}}, Claims: []string{"owner_id", "project_id"}},
	{Host: "oidc.codefresh.io", Name: "Codefresh", Subjects: []SubjectForm{{"account:", ":", ":initiator"}}, Claims: []string{"account_id", "pipeline_id"}},
	{Host: "api.pulumi.com/oidc", Name: "Pulumi Cloud", Subjects: []SubjectForm{{"pulumi:deploy:org:", ":", ":operation"}, {"pulumi:environments:org:", ":", ""}}},
	{Host: "scalr.io", Name: "Scalr", Subjects: []SubjectForm{{"account:", ":", ":workspace"}}},
	{Host: "accounts.google.com", Name: "Google", Claims: []string{"sub", "oaud", "email"}},
	{Host: "www.amazon.com", Name: "Login with Amazon", Claims: []string{"app_id", "user_id"}},
	{Host: "graph.facebook.com", Name: "Facebook", Claims: []string{"app_id", "id"}},
}

// SharedIssuer finds the multi-tenant issuer of a host, given as the host itself or as the ARN of the provider in IAM.
func SharedIssuer(provider string) (Issuer, bool) {
	if _, host, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		provider = host
	}
	for _, i := range issuers {
		if i.Host == provider {
			return i, true
		}
	}
	return Issuer{}, false
}

// Issuers lists the multi-tenant issuers.
func Issuers() []Issuer { return append([]Issuer(nil), issuers...) }

// Tenant cuts a subject, or a pattern of subjects, by the forms of the issuer. Bound: the tenant is literal; project is
// then what follows up to the project's end, "" where the form knows none or it is missing.
func (i Issuer) Tenant(subject string) (tenant, project string, bound bool) {
	for _, f := range i.Subjects {
		rest, ok := strings.CutPrefix(subject, f.Prefix)
		if !ok {
			continue
		}
		tenant, rest, ok = strings.Cut(rest, f.TenantEnd)
		if tenant == "" || strings.ContainsAny(tenant, "*?") || !ok && f.ProjectEnd != "" {
			return "", "", false
		}
		if f.ProjectEnd == "" {
			return tenant, "", true
		}
		project, _, _ = strings.Cut(rest, f.ProjectEnd)
		return tenant, project, true
	}
	return "", "", false
}
