package catalog

import (
	"fmt"
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// agentRules judge who stands behind a session: people, brokers and AI agents.
var agentRules = []rule.Rule{
	{
		ID: "AGT-001", Title: "Agent acts without approval",
		Detects:  "Role for an AI agent can be assumed without broker-set SourceIdentity or approval tag, is shared by several agents, or may write outside its registered scope",
		Why:      "An agent does what its input talks it into. Without a person's approval nothing stands between the two.",
		Remedy:   "Give each agent a role of its own that trusts the broker alone, and narrow each session by a session policy.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025", "NHI9:2025", "NHI10:2025"}, Tenets: []int{3, 4, 6}, CSF: []string{"PR.AA-05", "PR.AA-03"}, NIST: []string{"AC-6", "AC-24", "IA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/agent-runtime"},"Action":"sts:AssumeRole"}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/access-broker"},"Action":"sts:AssumeRole","Condition":{"StringLike":{"sts:SourceIdentity":"agent-*"},"StringEquals":{"aws:RequestTag/approval":"granted"}}}`,
		},
		Check: agentWithoutApproval,
	},
	{
		ID: "SES-002", Title: "Nobody behind the session",
		Detects:  "Path used by people, brokers or agents does not force sts:SourceIdentity or a session-name pattern",
		Why:      "When something happens, the trail names a role and nobody behind it.",
		Remedy:   "Demand sts:SourceIdentity in the trust policy, and allow sts:SetSourceIdentity to the agent.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI10:2025", "NHI4:2025"}, Tenets: []int{4, 7}, CSF: []string{"PR.PS-04", "PR.AA-04"}, NIST: []string{"AU-3", "AU-10", "IA-2"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:user/ana"},"Action":"sts:AssumeRole"}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:user/ana"},"Action":"sts:AssumeRole","Condition":{"StringLike":{"sts:RoleSessionName":"${aws:username}"}}}`,
		},
		Check: nobodyBehindSession,
	},
}

// agentServices are the services that run AI agents with a role of the customer.
// Source: Amazon Bedrock User Guide, "Create a service role for Amazon Bedrock Agents"; Amazon Bedrock AgentCore Developer Guide.
var agentServices = []string{"bedrock.amazonaws.com", "bedrock-agentcore.amazonaws.com"}

// agent reports whether a role is one that an AI agent runs as.
func agent(p *rule.Pass, role *org.Principal) bool {
	if role == nil || role.Role == nil {
		return false
	}
	for _, e := range p.Graph.EdgesTo(role.ARN) {
		for _, s := range agentServices {
			if e.Mechanism == access.ServiceAssume && e.Grantee.ID == s {
				return true
			}
		}
	}
	return false
}

// forced reports whether a condition makes the caller say who is behind it: a source identity, or a session name of a given form.
func forced(c cond.Formula) bool {
	for _, key := range [...]string{"sts:SourceIdentity", "aws:SourceIdentity", "sts:RoleSessionName"} {
		if r := c.Require(key); r.Always && !r.Absent && !r.Open && !r.Opaque {
			return true
		}
	}
	return false
}

// approved reports whether a condition demands what only a broker sets: a source identity and a tag of the request.
func approved(c cond.Formula) bool {
	identity := c.Require("sts:SourceIdentity")
	if identity.Always && !identity.Absent && !identity.Open && !identity.Opaque {
		return true
	}
	for _, key := range c.Tests() {
		if r := c.Require(key); strings.HasPrefix(key, "aws:requesttag/") && r.Always && !r.Absent && !r.Open && !r.Opaque {
			return true
		}
	}
	return false
}

func agentWithoutApproval(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		var agents []string
		for _, e := range ways {
			if !agent(p, e.Grantee.Principal) {
				continue
			}
			agents = append(agents, e.Grantee.ID)
			for i := range e.Grants {
				g := &e.Grants[i]
				switch {
				case approved(g.Condition):
				case g.Condition.Opaque():
					p.NotAssessed(role.ARN, "a condition of its trust policy is not understood: "+g.Condition.String(), g.Evidence)
				default:
					p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s, a role that an AI agent runs as, may assume the role without a source identity or approval tag that a broker sets.", e.Grantee.ID)})
				}
			}
		}
		if len(agents) > 1 {
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]), Reason: fmt.Sprintf("%d agents share the role: %s.", len(agents), strings.Join(agents, ", "))})
		}
	})
}

func nobodyBehindSession(p *rule.Pass) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		for _, e := range ways {
			who := manyBehind(p, e)
			if who == "" {
				continue
			}
			for i := range e.Grants {
				g := &e.Grants[i]
				switch {
				case forced(g.Condition):
				case g.Condition.Opaque():
					p.NotAssessed(role.ARN, "a condition of its trust policy is not understood: "+g.Condition.String(), g.Evidence)
				default:
					p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s, %s, may assume the role, and need not say who is behind the session.", e.Grantee.ID, who)})
				}
			}
		}
	})
}

// manyBehind says what kind of caller it is whose session says nothing about who acts: people, brokers, agents. "" for the others.
func manyBehind(p *rule.Pass, e *access.Edge) string {
	switch {
	case agent(p, e.Grantee.Principal):
		return "a role that an AI agent runs as"
	case strings.Contains(e.Grantee.ID, "/AWSReservedSSO_"):
		return "a role that people sign in to"
	}
	for _, pair := range p.Declared(e.Target.ARN) {
		if pair.Source == e.Grantee.ID && (pair.Entry.Category == "agent" || pair.Entry.Identity == "person") {
			return "for whom entry " + pair.Entry.Name + " lets agents or people in"
		}
	}
	return ""
}
