package catalog

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// permissionRules judge what a role may do that somebody from another account, or an identity provider, can become.
var permissionRules = []rule.Rule{
	{
		ID: "PRM-001", Title: "Administrator reachable from outside",
		Detects:  "A role that another account or a federated principal may assume has *:* or equivalent effective rights",
		Why:      "Whoever comes through this trust owns the account: every other guard in it can be taken away by the role itself.",
		Remedy:   "Give the role only what the work behind the trust needs, set a boundary, or remove the trust.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6", "AC-6(5)"}, CIS: "CIS 5.0 1.15; SH IAM.1"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Action":"*","Resource":"*"}`,
			After:  `{"Effect":"Allow","Action":["s3:PutObject","ecs:UpdateService"],"Resource":["arn:aws:s3:::artifacts/*","arn:aws:ecs:eu-west-1:111122223333:service/web/*"]}`,
		},
		Check: administratorFromOutside,
	},
	{
		ID: "PRM-002", Title: "Wildcard in permission policy",
		Detects:  "Action \"*\", service:*, or Resource \"*\" where the action supports resource scope, on a cross-account role",
		Why:      "The caller can do whatever the service offers today and will offer tomorrow, far beyond what the trust is for.",
		Remedy:   "List the actions and resources that the work uses; recorded use shows which.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6"}, CIS: "SH IAM.21"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Action":"dynamodb:*","Resource":"*"}`,
			After:  `{"Effect":"Allow","Action":"dynamodb:GetItem","Resource":"arn:aws:dynamodb:eu-west-1:111122223333:table/catalog"}`,
		},
		Check: wildcardInPermissions,
	},
	{
		ID: "PRM-003", Title: "No permissions boundary",
		Detects:  "Role with a cross-account or federated principal has none",
		Why:      "Without a boundary, the next policy that somebody attaches to the role widens what strangers may do, unseen.",
		Remedy:   "Attach the permissions boundary that your organisation uses for cross-account roles.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05", "PR.IR-01"}, NIST: []string{"AC-6", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"RoleName":"deploy","PermissionsBoundary":null}`,
			After:  `{"RoleName":"deploy","PermissionsBoundary":"arn:aws:iam::111122223333:policy/xacct-boundary"}`,
		},
		Check: noBoundary,
	},
	{
		ID: "PRM-004", Title: "Boundary without force",
		Detects:  "Boundary allows *:* with no deny, can be removed or edited by the role itself (DeleteRolePermissionsBoundary, PutRolePermissionsBoundary, CreatePolicyVersion), or does not exist",
		Why:      "A boundary that allows everything, or that its own role can take off, limits nobody and reassures everybody.",
		Remedy:   "Deny the actions that change boundaries in the boundary itself, and by an SCP.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6", "AC-6(10)", "CM-5"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Action":"*","Resource":"*"}`,
			After:  `[{"Effect":"Allow","Action":["s3:*","dynamodb:*"],"Resource":"*"},{"Effect":"Deny","Action":["iam:DeleteRolePermissionsBoundary","iam:PutRolePermissionsBoundary","iam:CreatePolicyVersion"],"Resource":"*"}]`,
		},
		Check: boundaryWithoutForce,
	},
	{
		ID: "PRM-008", Title: "Granted and never used",
		Detects:  "Services allowed to a cross-account role that it did not use in the window, by IAM's service last accessed data",
		Why:      "Rights that the work behind a trust does not need are there for whoever steals it.",
		Remedy:   "Take the services from the role's policies that it does not use; watch for refusals before the policies go.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls:   rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{5, 7}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6(7)", "AC-2(3)"}, CIS: ""},
		Parameters: []string{"StaleDays"},
		Example: rule.Example{
			Before: `{"accessAdvisor":"arn:aws:iam::444455556666:role/report","used":["s3"],"unused":["dynamodb"],"window":90}`,
			After:  `{"accessAdvisor":"arn:aws:iam::444455556666:role/report","used":["s3"],"unused":[],"window":90}`,
		},
		Check: grantedUnused,
	},
}

// grantedUnused reports roles with services that IAM says they do not use. What CloudTrail saw them do counts as use too.
func grantedUnused(p *rule.Pass) {
	limit := p.Parameters.StaleDays
	missing := 0
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		known := false
		var unused []string
		for _, a := range p.Usage.Accessed {
			if a.Role != role.ARN || a.Days < limit {
				continue
			}
			known = true
			for _, service := range a.Unused {
				if !actsIn(p, role.ARN, service) {
					unused = append(unused, service)
				}
			}
		}
		slices.Sort(unused)
		switch unused = slices.Compact(unused); {
		case !known:
			missing++
		case len(unused) > 0:
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: fmt.Sprintf("The role may use %s and did not for %d days or longer; %s can become it.", strings.Join(unused, ", "), limit, grantees(ways))})
		}
	})
	if missing > 0 {
		p.NotAssessed(organizationName(p), fmt.Sprintf("IAM's last accessed data of %d roles that others can become are not in the input, or do not reach back %d days", missing, limit))
	}
}

// actsIn reports whether a role was seen to use a service no longer ago than the window for use.
func actsIn(p *rule.Pass, role, service string) bool {
	from := p.Now.AddDate(0, 0, -p.Parameters.StaleDays)
	return slices.ContainsFunc(p.Usage.Actions, func(a usage.ActionUse) bool {
		return a.Caller == role && a.Last.After(from) && strings.HasPrefix(a.Action, service+":")
	})
}

// crossAccountRoles calls judge for every role that a principal of another account, or of none, may assume. AWS services and
// service-linked roles are left out, which act inside the account, and so are the roles that IAM Identity Center keeps,
// which nobody can change but by their permission set.
func crossAccountRoles(p *rule.Pass, judge func(role *org.Principal, ways []*access.Edge)) {
	for _, role := range p.Org.Principals {
		if role.Role == nil || kept(role) {
			continue
		}
		var ways []*access.Edge
		for _, e := range p.Graph.EdgesTo(role.ARN) {
			switch {
			case unreadable(e):
				p.NotAssessed(role.ARN, "its trust policy could not be read, so that it is not known who may become it", e.By)
			case e.CrossAccount && e.Grantee.Kind != access.ServiceGrantee && !e.Stopped():
				ways = append(ways, e)
			}
		}
		if len(ways) > 0 {
			judge(role, ways)
		}
	}
}

// kept reports whether AWS keeps the role: a service-linked role, or one of IAM Identity Center.
func kept(role *org.Principal) bool {
	return strings.Contains(role.ARN, ":role/aws-service-role/") || strings.Contains(role.ARN, ":role/aws-reserved/")
}

// grantees names those who come in, at most three of them.
func grantees(ways []*access.Edge) string {
	var names []string
	for _, e := range ways {
		names = append(names, e.Grantee.ID)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:3], ", "), len(names)-3)
	}
	return strings.Join(names, ", ")
}

func administratorFromOutside(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		d, by := p.Graph.Administrator(role)
		assuming := ""
		if d.Verdict == eval.Unknown && d.LeftOver.Opaque() {
			if beside := access.BesideUnknownGuards(role); beside != role {
				d, by = p.Graph.Administrator(beside)
				assuming = ", unless an SCP denies it: those of the account are not in the input"
			}
		}
		switch {
		case d.Verdict == eval.Unknown && d.LeftOver.Opaque():
			p.NotAssessed(role.ARN, "whether it is an administrator depends on what is not known: "+d.LeftOver.String(), by)
		case d.Verdict == eval.Unknown:
			assuming += ", if " + d.LeftOver.String()
			fallthrough
		case d.Verdict == eval.Allow:
			p.Report(finding.Finding{
				Subject: role.ARN, Account: role.Account, Evidence: append(evidenceOf(ways[0]), by),
				Reason: fmt.Sprintf("%s may become an administrator of account %s%s.", grantees(ways), role.Account, assuming),
			})
		}
	})
}

// scopable are actions that can be limited to a resource and should be: reading and writing data, and taking on identities.
var scopable = []string{
	"s3:getobject", "s3:putobject", "s3:deleteobject", "s3:listbucket", "dynamodb:getitem", "dynamodb:putitem", "dynamodb:query", "dynamodb:scan",
	"kms:decrypt", "kms:encrypt", "kms:creategrant", "secretsmanager:getsecretvalue", "ssm:getparameter", "sqs:sendmessage", "sqs:receivemessage",
	"sns:publish", "lambda:invokefunction", "lambda:updatefunctioncode", "ecr:putimage", "ecr:batchgetimage", "iam:passrole", "sts:assumerole",
}

func wildcardInPermissions(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		for _, reason := range role.Identity.Unresolved {
			p.NotAssessed(role.ARN, reason)
		}
		for d, q := range role.Identity.Policies {
			for i := range q.Rules {
				why := wide(&q.Rules[i], &q.Document.Statements[i])
				if why == "" {
					continue
				}
				if role.Boundary != nil {
					why += "; its boundary may narrow it"
				}
				p.Report(finding.Finding{
					Subject: role.ARN, Account: role.Account, Grantee: "", Evidence: []access.Evidence{access.EvidenceAt(role.ARN, role.Documents[d], i)},
					Reason: fmt.Sprintf("%s, which %s may become, is allowed %s.", role.Name, grantees(ways), why),
				})
			}
		}
	})
}

// wide says which wildcard a statement has, "" where it has none that matters.
func wide(r *policy.Rule, s *policy.Statement) string {
	if r.Effect != policy.Allow || !r.Resources.Present {
		return ""
	}
	if r.Actions.Not {
		return "everything but a list of actions"
	}
	for _, v := range s.Action.Values {
		if v.Value == "*" || strings.HasSuffix(v.Value, ":*") {
			return "every action that " + v.Value + " covers"
		}
	}
	everywhere := r.Resources.Not
	for i := range r.Resources.Values {
		everywhere = everywhere || r.Resources.Values[i].Template == nil && r.Resources.Values[i].Pattern.Anything()
	}
	if !everywhere || len(r.Condition) > 0 {
		return ""
	}
	for _, a := range scopable {
		if r.Actions.Match(a) {
			return a + " on every resource"
		}
	}
	return ""
}

func noBoundary(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		switch {
		case role.Boundary != nil && len(role.Boundary.Unresolved) > 0:
			p.NotAssessed(role.ARN, role.Boundary.Unresolved[0])
		case role.Boundary != nil:
		default:
			p.Report(finding.Finding{
				Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: fmt.Sprintf("The role has no permissions boundary, and %s may become it.", grantees(ways)),
			})
		}
	})
}

func boundaryWithoutForce(p *rule.Pass) {
	for _, role := range p.Org.Principals {
		if role.Boundary == nil || role.Role == nil {
			continue
		}
		if len(role.Boundary.Unresolved) > 0 {
			missingBoundary(p, role)
			continue
		}
		evidence := []access.Evidence{access.EvidenceAt(role.ARN, role.BoundaryDocuments[0], -1)}
		if allowsEverything(role.Boundary.Policies[0]) {
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidence, Reason: "The boundary allows every action on every resource and denies nothing."})
			continue
		}
		action, d := opensItself(p, role)
		switch {
		case d.Verdict == eval.Unknown && d.LeftOver.Opaque():
			p.NotAssessed(role.ARN, "whether the role may "+action+", and so take off or rewrite its own boundary, depends on what is not known: "+d.LeftOver.String(), evidence...)
		case d.Verdict != eval.Deny:
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidence, Reason: fmt.Sprintf("The role may take off or rewrite its own boundary: it may %s%s.", action, ifDemanded(d.LeftOver))})
		}
	}
}

// missingBoundary tells a boundary that does not exist from one that was not read: a customer policy that a complete
// inventory of its account lacks does not exist.
func missingBoundary(p *rule.Pass, role *org.Principal) {
	b := role.Principal.Boundary
	known := b != nil && slices.ContainsFunc(p.Org.Snapshot.Policies, func(m snapshot.ManagedPolicy) bool { return m.ARN == b.ARN })
	if b != nil && !known && !strings.Contains(b.ARN, ":iam::aws:policy/") && p.Org.Inventoried(role.Account) {
		p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Reason: fmt.Sprintf("The boundary %s does not exist: the inventory of account %s is complete and lacks it.", b.ARN, role.Account)})
		return
	}
	p.NotAssessed(role.ARN, role.Boundary.Unresolved[0])
}

// allowsEverything reports a document that allows every action everywhere and denies nothing.
func allowsEverything(q *policy.Policy) bool {
	everything := false
	for i := range q.Rules {
		r := &q.Rules[i]
		if r.Effect != policy.Allow || r.NotUnderstood != "" {
			return false
		}
		if len(r.Condition) > 0 || r.Actions.Not || r.Resources.Not {
			continue
		}
		all := slices.ContainsFunc(q.Document.Statements[i].Action.Values, func(v policy.Text) bool { return v.Value == "*" || v.Value == "*:*" })
		everywhere := slices.ContainsFunc(r.Resources.Values, func(v policy.ResourcePattern) bool { return v.Template == nil && v.Pattern.Anything() })
		everything = everything || all && everywhere
	}
	return everything
}

// opensItself finds the right by which a role takes off or edits its own boundary: the most certain of them, Deny where it has
// none.
func opensItself(p *rule.Pass, role *org.Principal) (action string, best eval.Decision) {
	questions := [][2]string{{"iam:DeleteRolePermissionsBoundary", role.ARN}, {"iam:PutRolePermissionsBoundary", role.ARN}}
	if b := role.Principal.Boundary; b != nil && !strings.Contains(b.ARN, ":iam::aws:policy/") {
		questions = append(questions, [2]string{"iam:CreatePolicyVersion", b.ARN}, [2]string{"iam:SetDefaultPolicyVersion", b.ARN})
	}
	able := access.BesideUnknownGuards(role)
	best.Verdict = eval.Deny
	for _, q := range questions {
		d := p.Graph.Can(able, eval.MustAction(q[0]), q[1])
		clearer := best.Verdict == eval.Deny || best.Verdict == eval.Unknown && (d.Verdict == eval.Allow || best.LeftOver.Opaque() && !d.LeftOver.Opaque())
		if d.Verdict != eval.Deny && clearer {
			action, best = q[0], d
		}
	}
	return action, best
}
