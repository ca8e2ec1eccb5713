package catalog

import (
	"fmt"
	"time"

	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// coverageRules turn gaps into findings: what was not seen and what was not understood.
var coverageRules = []rule.Rule{
	{
		ID: "COV-001", Title: "Not seen",
		Detects:  "Policy unreadable, account/region/type not collected, data older than limit: result is unknown, never \"clean\"",
		Why:      "What was not read is not known to be safe: the answers about it are unknown, never clean.",
		Remedy:   "Let the collection read it, and scan again.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls:        rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{5, 7}, CSF: []string{"ID.AM-03", "DE.CM-09"}, NIST: []string{"CA-7", "CM-8", "RA-5"}, CIS: ""},
		NeverUnassessed: "it reports what is missing.",
		Parameters:      []string{"DataDays"},
		Example: rule.Example{
			Before: `{"gap":"key policy: AccessDenied"}`,
			After:  `{"key policy":"read"}`,
		},
		Check: notSeen,
	},
	{
		ID: "COV-002", Title: "Not understood",
		Detects:  "Element, operator, key or principal form that the analyzer cannot evaluate: the verdict is Unknown: reported as possible access, never as safe, and the broker refuses",
		Why:      "The statement counts as possible access until somebody reads it, because its meaning is not known.",
		Remedy:   "Read the statement by hand; report what is missing to the project.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls:        rule.Controls{NHI: []string{"NHI6:2025"}, Tenets: []int{6}, CSF: []string{"ID.RA-01"}, NIST: []string{"SI-10", "RA-5"}, CIS: ""},
		NeverUnassessed: "it reports what is not understood.",
		Example: rule.Example{
			Before: `{"Condition":{"StringEqualsSomeday":{"aws:PrincipalOrgID":"o-exampleorg1"}}}`,
			After:  `{"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-exampleorg1"}}}`,
		},
		Check: notUnderstoodPart,
	},
}

// gaps reports every gap of the organisation of the kinds that concern a rule.
func gaps(p *rule.Pass, concerns func(snapshot.GapKind) bool) {
	for _, g := range p.Org.Gaps {
		if concerns(g.Kind) {
			var evidence []access.Evidence
			if g.Source.File != "" {
				evidence = []access.Evidence{{Subject: g.Subject, Document: "gap", Statement: -1, Source: g.Source}}
			}
			p.Report(finding.Finding{
				Subject: g.Subject, Account: g.Account, Reason: g.Reason, Evidence: evidence,
				Fingerprint: finding.Fingerprint("gap", string(g.Kind), g.Subject, g.Account, g.Reason),
			})
		}
	}
}

func notSeen(p *rule.Pass) {
	gaps(p, func(k snapshot.GapKind) bool { return k != snapshot.GapElement })
	for i := range p.Org.Accounts {
		a := p.Org.Accounts[i]
		if age := p.Now.Sub(a.Collected); !a.Collected.IsZero() && age > time.Duration(p.Parameters.DataDays)*24*time.Hour {
			p.Report(finding.Finding{
				Subject: a.ID, Account: a.ID, Fingerprint: finding.Fingerprint("age", a.ID),
				Reason: fmt.Sprintf("the account was read on %s, more than %d days ago: what it has become since is not known", a.Collected.UTC().Format(time.DateOnly), p.Parameters.DataDays),
			})
		}
	}
}

func notUnderstoodPart(p *rule.Pass) {
	gaps(p, func(k snapshot.GapKind) bool { return k == snapshot.GapElement })
}
