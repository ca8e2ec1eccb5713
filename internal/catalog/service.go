package catalog

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// serviceRules judge trusts in AWS services: whether they act for our resources only.
var serviceRules = []rule.Rule{
	{
		ID: "SVC-001", Title: "Service may act for other customers",
		Detects:  "Service principal allowed without aws:SourceAccount, SourceArn, SourceOrgID or SourceOrgPaths, for a service known to send them",
		Why:      "A service acts for all its customers with one name. Without a test of whose resource it acts for, somebody else's resource can make it act here (the confused deputy).",
		Remedy:   "Demand aws:SourceAccount or aws:SourceOrgID, and the exact aws:SourceArn.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-05", "PR.AA-03"}, NIST: []string{"AC-3", "AC-4"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole"}`,
			After:  `{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"aws:SourceAccount":"111122223333"},"ArnLike":{"aws:SourceArn":"arn:aws:events:eu-west-1:111122223333:rule/nightly"}}}`,
		},
		Check: serviceWithoutSource,
	},
	{
		ID: "SVC-002", Title: "Source test too wide",
		Detects:  "SourceArn with wildcard account, SourceAccount list with foreign ids, *IfExists",
		Why:      "A source test that names every account, foreign accounts or none lets resources of others make the service act here.",
		Remedy:   "Demand the exact source account and resource.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-3", "SI-10"}, CIS: ""},
		Example: rule.Example{
			Before: `{"ArnLike":{"aws:SourceArn":"arn:aws:logs:*:*:*"}}`,
			After:  `{"StringEquals":{"aws:SourceAccount":"111122223333"},"ArnLike":{"aws:SourceArn":"arn:aws:logs:eu-west-1:111122223333:*"}}`,
		},
		Check: sourceTooWide,
	},
}

// sourceKeys are the keys by which a service says for whose resource it acts (rule 102).
var sourceKeys = []string{"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths"}

// serviceTrusts calls judge for every statement that lets in a service which sends source keys. Service-linked roles are
// left out: their trust is AWS's and cannot be changed.
func serviceTrusts(p *rule.Pass, judge func(e *access.Edge, demand cond.Formula)) {
	for _, e := range p.Graph.Edges {
		if e.Grantee.Kind == access.NotUnderstood && e.Grants == nil {
			p.NotAssessed(e.Target.ARN, "its policy could not be read", e.By)
			continue
		}
		if e.Grantee.Kind != access.ServiceGrantee || strings.Contains(e.Target.ARN, ":role/aws-service-role/") {
			continue
		}
		if sends, known := ref.SourceKeys(e.Grantee.ID); !known {
			p.NotAssessed(e.Target.ARN, "whether "+e.Grantee.ID+" sends source keys is not known", e.Grants[0].Evidence)
			continue
		} else if !sends {
			continue
		}
		for i := range e.Grants {
			demand := e.Grants[i].Condition
			if demand.Opaque() {
				p.NotAssessed(e.Target.ARN, "a condition is not understood: "+demand.String(), e.Grants[i].Evidence)
				continue
			}
			judge(e, demand)
		}
	}
}

// tested lists the source keys that a demand says anything about.
func tested(demand cond.Formula) []string {
	var keys []string
	for _, key := range sourceKeys {
		if r := demand.Require(key); r.Tested && len(values(r)) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

func serviceWithoutSource(p *rule.Pass) {
	serviceTrusts(p, func(e *access.Edge, demand cond.Formula) {
		if len(tested(demand)) == 0 {
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s may act here for any of its customers: the statement demands no source account, ARN or organisation.", e.Grantee.ID)})
		}
	})
}

func sourceTooWide(p *rule.Pass) {
	serviceTrusts(p, func(e *access.Edge, demand cond.Formula) {
		keys := tested(demand)
		if len(keys) == 0 || slices.ContainsFunc(keys, func(key string) bool { return binds(p, key, demand.Require(key)) }) {
			return
		}
		var accepted []string
		for _, key := range keys {
			r := demand.Require(key)
			text := key + " " + strings.Join(values(r), " or ")
			if r.Absent {
				text += ", or absent"
			}
			accepted = append(accepted, text)
		}
		p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s may act here for resources of other accounts: the statement accepts %s.", e.Grantee.ID, strings.Join(accepted, " and "))})
	})
}

// binds reports whether what is demanded of one source key keeps strangers out.
func binds(p *rule.Pass, key string, r cond.Requirement) bool {
	if !r.Always || r.Absent || r.Open || r.Variable {
		return false
	}
	for _, v := range values(r) {
		switch key {
		case "aws:SourceAccount":
			if !arn.IsAccountID(v) || p.Org.Membership(v) == org.Outside {
				return false
			}
		case "aws:SourceArn":
			if !bindsARN(p, v) {
				return false
			}
		case "aws:SourceOrgID", "aws:SourceOrgPaths":
			if p.Org.ID != "" && !strings.HasPrefix(v, p.Org.ID) || strings.HasPrefix(v, "*") {
				return false
			}
		}
	}
	return true
}

// bindsARN: the account is literal and ours, or the ARN is of a type without account (a bucket), whose name is literal.
func bindsARN(p *rule.Pass, pattern string) bool {
	a, err := arn.Parse(pattern)
	switch {
	case err != nil:
		return false
	case a.Account == "":
		return !strings.ContainsAny(a.Resource, "*?")
	}
	return arn.IsAccountID(a.Account) && p.Org.Membership(a.Account) != org.Outside
}
