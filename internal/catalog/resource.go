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

// resourceRules judge the policies of resources other than roles.
var resourceRules = []rule.Rule{
	{
		ID: "RES-001", Title: "Resource open to anyone",
		Detects:  "Resource policy or ACL gives any principal access and no account-level block stops it",
		Why:      "Anybody on the internet may use the resource.",
		Remedy:   "Remove the statement, and turn on the account's block settings.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{1, 6}, CSF: []string{"PR.AA-05", "PR.DS-01"}, NIST: []string{"AC-3", "SC-7"}, CIS: "CIS 7.0 2.21; SH S3.2 S3.3 S3.8 KMS.5 SQS.3 SNS.4 Lambda.1"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-data/*"}`,
			After:  `{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-data/*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg1"}}}`,
		},
		Check: openToAnyone,
	},
	{
		ID: "RES-002", Title: "Resource open to an external account",
		Detects:  "Policy names the root or any principal of an account outside the organization; or of a member account where the registry, being given, has no entry for this resource",
		Why:      "Data leaves the organisation, or the agreement of who may read it, and nobody here decides who reads it there.",
		Remedy:   "Name roles instead of accounts, and register the trust.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025", "NHI5:2025"}, Tenets: []int{1, 6}, CSF: []string{"PR.AA-05", "GV.SC-07"}, NIST: []string{"AC-3", "AC-20", "AC-21"}, CIS: "SH S3.6"},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":"999988887777"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-data/*"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/registered"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::acme-data/out/*"}`,
		},
		Check: openToOutsider,
	},
	{
		ID: "RES-003", Title: "Cross-account grant with wildcard actions",
		Detects:  "Foreign principal gets service:*, * or policy-changing actions on the resource",
		Why:      "The other side can do everything with the resource, up to letting in others.",
		Remedy:   "List the actions that the grantee needs.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6"}, CIS: "SH S3.6"},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/reader"},"Action":"s3:*"}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/reader"},"Action":"s3:GetObject"}`,
		},
		Check: wildcardToForeigner,
	},
	{
		ID: "RES-005", Title: "Half-open pair",
		Detects:  "Caller may read the object and not decrypt with the key, or the reverse; identity side present and resource side missing, or the reverse",
		Why:      "One half of a grant is left over from something that was taken away, or waits for somebody to add the other half.",
		Remedy:   "Complete the pair, or remove both halves.",
		Severity: finding.Low, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"ID.AM-03", "PR.AA-05"}, NIST: []string{"AC-3", "CM-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"bucket policy":"role/pipeline may s3:GetObject","key policy":"does not name role/pipeline"}`,
			After:  `{"bucket policy":"role/pipeline may s3:GetObject","key policy":"role/pipeline may kms:Decrypt through S3"}`,
		},
		Check: halfOpenPair,
	},
}

// resourceTrusts calls judge for every trust that a resource's policy grants. A policy that could not be read is not
// assessed.
func resourceTrusts(p *rule.Pass, judge func(e *access.Edge)) {
	for _, e := range p.Graph.Edges {
		switch {
		case e.Mechanism != access.ResourcePolicy:
		case e.Grantee.Kind == access.NotUnderstood && e.Grants == nil:
			p.NotAssessed(e.Target.ARN, "its policy could not be read", e.By)
		default:
			judge(e)
		}
	}
}

// restricting are keys, beside those that name the caller, by which a statement for anyone keeps strangers out: where they
// come from, or for whom a service acts. The authentication that a function's address demands is none of them: anybody has
// an identity somewhere.
var restricting = slices.Concat(sourceKeys, []string{"aws:SourceVpc", "aws:SourceVpce", "aws:VpceAccount", "aws:VpceOrgID", "aws:VpceOrgPaths", "s3:DataAccessPointAccount", "aws:PrincipalServiceName", "aws:SourceOwner"})

func openToAnyone(p *rule.Pass) {
	resourceTrusts(p, func(e *access.Edge) {
		if !forAnyone(e) {
			return
		}
		for i := range e.Grants {
			demand := e.Grants[i].Condition
			if demand.IsNever() || network(demand) || audienceOf(p, demand, e.Target.Account).named || slices.ContainsFunc(restricting, func(key string) bool { return positive(demand.Require(key)) }) {
				continue
			}
			if demand.Opaque() {
				p.NotAssessed(e.Target.ARN, "a condition is not understood: "+demand.String(), e.Grants[i].Evidence)
				continue
			}
			reportOpen(p, e, demand)
			return
		}
	})
}

func reportOpen(p *rule.Pass, e *access.Edge, demand cond.Formula) {
	f := finding.Finding{Reason: fmt.Sprintf("Anyone may %s%s.", strings.Join(e.Actions, ", "), ifDemanded(demand))}
	if e.Target.Resource.Attributes.PublicAccessBlock == "on" {
		f.Subject, f.Account, f.Grantee, f.Evidence = e.Target.ARN, e.Target.Account, e.Grantee.ID, evidenceOf(e)
		f.Lowered = "Block Public Access is on and keeps the public out"
		p.Report(f)
		return
	}
	p.ReportEdge(e, f)
}

func ifDemanded(demand cond.Formula) string {
	if demand.IsAlways() {
		return ""
	}
	return ", if " + demand.String()
}

func openToOutsider(p *rule.Pass) {
	resourceTrusts(p, func(e *access.Edge) {
		if forAnyone(e) {
			openToNamedOutsider(p, e)
			return
		}
		if e.Grantee.Account == "" || !e.CrossAccount || e.Grantee.Kind == access.ServiceGrantee {
			return
		}
		switch e.Grantee.Relation {
		case access.External:
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s, outside the organisation, may %s.", e.Grantee.ID+nameUnlessIn(p, e), strings.Join(e.Actions, ", "))})
		case access.RelationUnknown:
			p.NotAssessed(e.Target.ARN, "whether account "+e.Grantee.Account+" belongs to the organisation is not in the input", evidenceOf(e)...)
		case access.SameOrg:
			if p.Registry != nil && !entryFor(p, e.Target.ARN) {
				p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s of another account may %s, and the registry has no entry for this resource.", e.Grantee.ID, strings.Join(e.Actions, ", "))})
			}
		}
	})
}

// openToNamedOutsider judges a statement for anyone whose conditions name who that is.
func openToNamedOutsider(p *rule.Pass, e *access.Edge) {
	for i := range e.Grants {
		g := &e.Grants[i]
		switch a := audienceOf(p, g.Condition, e.Target.Account); {
		case g.Condition.IsNever() || !a.named:
		case len(a.strangers) > 0:
			p.ReportEdge(e, finding.Finding{Grantee: strings.Join(a.strangers, ", "), Evidence: []access.Evidence{g.Evidence},
				Reason: fmt.Sprintf("%s, outside the organisation, may %s.", strings.Join(a.strangers, " and "), strings.Join(e.Actions, ", "))})
		case len(a.unknown) > 0:
			p.NotAssessed(e.Target.ARN, "whether "+strings.Join(a.unknown, " and ")+" belongs to the organisation is not in the input", g.Evidence)
		}
	}
}

func nameUnlessIn(p *rule.Pass, e *access.Edge) string { return accountName(p, e.Grantee.Account) }

func entryFor(p *rule.Pass, target string) bool { return len(p.Declared(target)) > 0 }

// changesPolicy are actions that let the grantee let others in.
var changesPolicy = []string{
	"s3:putbucketpolicy", "s3:deletebucketpolicy", "s3:putbucketacl", "s3:putobjectacl", "kms:putkeypolicy", "sqs:addpermission", "sqs:setqueueattributes",
	"sns:addpermission", "sns:settopicattributes", "lambda:addpermission", "secretsmanager:putresourcepolicy", "ecr:setrepositorypolicy", "dynamodb:putresourcepolicy",
}

func wildcardToForeigner(p *rule.Pass) {
	resourceTrusts(p, func(e *access.Edge) {
		if !e.CrossAccount || e.Grantee.Kind == access.ServiceGrantee {
			return
		}
		var wide []string
		for i := range e.Grants {
			g := &e.Grants[i]
			if g.Condition.IsNever() {
				continue
			}
			if forAnyone(e) {
				if a := audienceOf(p, g.Condition, e.Target.Account); a.named && !a.others {
					continue // only principals of the resource's own account
				}
			}
			for j, v := range g.Statement.Action.Values {
				switch {
				case g.Statement.Action.Not:
					wide = append(wide, "all but "+v.Value)
				case v.Value == "*" || strings.HasSuffix(v.Value, ":*") || changes(&g.Rule.Actions.Globs[j]):
					wide = append(wide, v.Value)
				}
			}
		}
		if len(wide) > 0 {
			slices.Sort(wide)
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s may do this: %s. That is every action, or those by which it lets in others.", e.Grantee.ID, strings.Join(slices.Compact(wide), ", "))})
		}
	})
}

func changes(glob *arn.Glob) bool {
	return slices.ContainsFunc(changesPolicy, glob.Match)
}

func halfOpenPair(p *rule.Pass) {
	asked := map[[2]string]bool{} // caller and key, where the key was judged together with a bucket
	for _, e := range p.Graph.Edges {
		if e.Grantee.Principal == nil || !e.CrossAccount || e.Mechanism != access.ResourcePolicy && e.Mechanism != access.AssumeRole {
			continue
		}
		if e.Verdict == eval.Deny && e.Denied == eval.Identity && !e.Explicit {
			p.Report(finding.Finding{Subject: e.Grantee.Principal.ARN, Grantee: e.Target.ARN, Evidence: evidenceOf(e),
				Reason: fmt.Sprintf("%s lets it in, and no policy of its own allows it to go there.", e.Target.ARN)})
		}
		if e.Target.Resource != nil && e.Target.Resource.Attributes.SSEKMSKey != "" && e.Verdict != eval.Deny {
			asked[[2]string{e.Grantee.Principal.ARN, e.Target.Resource.Attributes.SSEKMSKey}] = true
			objectAndKey(p, e)
		}
	}
	for _, principal := range p.Org.Principals {
		identityWithoutTrust(p, principal)
		identityWithoutGrant(p, principal, asked)
	}
}

// objectAndKey reports a principal that may read the objects of a bucket and not decrypt them, or the reverse.
func objectAndKey(p *rule.Pass, e *access.Edge) {
	bucket, caller := e.Target.Resource, e.Grantee.Principal
	key := bucket.Attributes.SSEKMSKey
	if _, known := p.Org.Resource(key); !known {
		p.NotAssessed(caller.ARN, "the key "+key+" that encrypts "+bucket.ARN+" is not in the input", evidenceOf(e)...)
		return
	}
	read := p.Graph.MayRead(caller, bucket)
	decrypt := p.Graph.MayDecryptVia(caller, key)
	half := func(has, lacks string) {
		p.Report(finding.Finding{Subject: caller.ARN, Grantee: bucket.ARN, Evidence: evidenceOf(e),
			Reason: fmt.Sprintf("It may %s, and may not %s: objects of %s are encrypted with %s.", has, lacks, bucket.ARN, key)})
	}
	switch {
	case read != eval.Deny && decrypt == eval.Deny:
		half("read the objects", "decrypt them")
	case read == eval.Deny && decrypt != eval.Deny:
		half("use the key", "read the objects")
	}
}

// identityWithoutTrust reports a principal whose policy names a role of another account that does not trust it.
func identityWithoutTrust(p *rule.Pass, principal *org.Principal) {
	for d, q := range principal.Identity.Policies {
		for i := range q.Rules {
			r := &q.Rules[i]
			if r.Effect != policy.Allow || r.Resources.Not || !r.Actions.Match("sts:assumerole") {
				continue
			}
			for j := range r.Resources.Values {
				name, literal := r.Resources.Values[j].Pattern.Literal()
				role, known := p.Org.Principal(name)
				if r.Resources.Values[j].Template != nil || !literal || !known || role.Role == nil || role.Account == principal.Account {
					continue
				}
				if got := p.Graph.Can(principal, eval.MustAction("sts:AssumeRole"), name); got.Verdict == eval.Deny && got.By.Layer == eval.Trust && !got.Explicit {
					p.Report(finding.Finding{Subject: principal.ARN, Grantee: name, Evidence: []access.Evidence{access.EvidenceAt(principal.ARN, principal.Documents[d], i)},
						Reason: fmt.Sprintf("Its policy allows it to assume %s, which does not trust it.", name)})
				}
			}
		}
	}
}

// identityWithoutGrant reports a principal whose policy names a resource of another account, action and all, that does not
// let it in. What was asked already is left out.
func identityWithoutGrant(p *rule.Pass, principal *org.Principal, asked map[[2]string]bool) {
	for d, q := range principal.Identity.Policies {
		for i := range q.Rules {
			r := &q.Rules[i]
			if r.Effect != policy.Allow || r.Resources.Not || r.Actions.Not {
				continue
			}
			for j := range r.Resources.Values {
				if r.Resources.Values[j].Template != nil {
					continue
				}
				part := r.Resources.Values[j].Pattern.String()
				name := part
				if strings.Contains(part, ":s3:::") {
					name, _, _ = strings.Cut(part, "/")
				}
				target, known := p.Org.Resource(name)
				if !known || asked[[2]string{principal.ARN, name}] || target.Account == principal.Account || target.Policy != nil && len(target.Policy.Unresolved) > 0 {
					continue
				}
				if missing := notLetIn(p, principal, r, target, part); missing != "" {
					p.Report(finding.Finding{Subject: principal.ARN, Grantee: target.ARN, Evidence: []access.Evidence{access.EvidenceAt(principal.ARN, principal.Documents[d], i)},
						Reason: fmt.Sprintf("Its policy allows %s on %s, and nothing on that side lets it in.", missing, part)})
				}
			}
		}
	}
}

// notLetIn is the first action of a statement that the resource's side does not allow, "" where it allows one of them: a pair
// with one action more on one side is no half.
func notLetIn(p *rule.Pass, principal *org.Principal, r *policy.Rule, target *org.Resource, part string) string {
	missing := ""
	for i := range r.Actions.Globs {
		name, literal := r.Actions.Globs[i].Literal()
		if !literal {
			continue
		}
		action, err := eval.ActionOf(name)
		if err != nil || serviceOf(target.ARN) != action.Service() {
			continue
		}
		switch d := p.Graph.Can(principal, action, part); {
		case d.Verdict != eval.Deny || d.Explicit || d.By.Layer != eval.Resource:
			return ""
		case missing == "":
			missing = name
		}
	}
	if missing == "" || slices.ContainsFunc(p.Graph.EdgesTo(target.ARN), func(e *access.Edge) bool {
		return e.Mechanism == access.KMSGrantGiven && e.Grantee.Principal == principal
	}) {
		return ""
	}
	return missing
}

func serviceOf(name string) string {
	a, err := arn.Parse(name)
	if err != nil {
		return ""
	}
	return a.Service
}
