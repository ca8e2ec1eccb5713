package catalog

import (
	"fmt"
	"time"

	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
)

// sessionRules judge how long a crossing lasts.
var sessionRules = []rule.Rule{
	{
		ID: "SES-001", Title: "Session too long",
		Detects:  "MaxSessionDuration over policy (default 3600 s) on a cross-account role, or DurationSeconds observed above registered",
		Why:      "A stolen session works until it ends. Long sessions give time.",
		Remedy:   "Lower MaxSessionDuration to what the work needs.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI7:2025"}, Tenets: []int{3}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-12", "AC-2"}, CIS: ""},
		Parameters: []string{"MaxSessionSeconds"},
		Example: rule.Example{
			Before: `{"MaxSessionDuration":43200}`,
			After:  `{"MaxSessionDuration":3600}`,
		},
		Check: sessionTooLong,
	},
}

func sessionTooLong(p *rule.Pass) {
	limit := time.Duration(p.Parameters.MaxSessionSeconds) * time.Second
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		switch longest := role.Role.MaxSession; {
		case longest == 0:
			p.NotAssessed(role.ARN, "its longest session is not in the input: authorization details do not carry MaxSessionDuration", evidenceOf(ways[0])...)
		case longest > limit:
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: fmt.Sprintf("Sessions of the role last up to %s, and %s is allowed.", registry.FormatSpan(longest), registry.FormatSpan(limit)), Facts: map[string]string{"maxSessionSeconds": fmt.Sprint(int(longest.Seconds()))}})
		}
	})
}
