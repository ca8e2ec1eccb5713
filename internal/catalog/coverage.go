package catalog

import (
	"fmt"
	"strconv"
	"strings"
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

// gaps reports the gaps of the organisation of the kinds that concern a rule. Like gaps are one finding: a call that is denied everywhere is one thing to cure, in however many accounts and regions it is missing.
func gaps(p *rule.Pass, concerns func(snapshot.GapKind) bool) {
	var order []string
	groups := make(map[string][]*snapshot.Gap)
	for i := range p.Org.Gaps {
		g := &p.Org.Gaps[i]
		if !concerns(g.Kind) {
			continue
		}
		k := likeness(g)
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], g)
	}
	for _, k := range order {
		list := groups[k]
		g := list[0]
		f := finding.Finding{Subject: g.Subject, Account: g.Account, Reason: g.Reason, Fingerprint: finding.Fingerprint("gap", string(g.Kind), g.Subject, g.Account, g.Reason)}
		if len(list) > 1 {
			f.Account, f.Subject, f.Reason = "", likeSubject(g), likeReason(list)
			f.Fingerprint = finding.Fingerprint("gap", string(g.Kind), k)
		}
		for _, g := range list[:min(len(list), maxEvidence)] {
			if g.Source.File != "" {
				f.Evidence = append(f.Evidence, access.Evidence{Subject: g.Subject, Document: "gap", Statement: -1, Source: g.Source})
			}
		}
		p.Report(f)
	}
}

// maxEvidence is how many places of like gaps a finding names; the report has all of them among its gaps.
const maxEvidence = 10

// likeness is the same for gaps that are cured together: of one call by its error code, of one region by its reason. Others stand alone.
func likeness(g *snapshot.Gap) string {
	switch {
	case g.Kind == snapshot.GapCall && g.Call != "":
		return "call " + g.Call + " " + g.Code
	case g.Kind == snapshot.GapRegion:
		return "region " + regionOf(g) + " " + g.Reason
	}
	return strings.Join([]string{string(g.Kind), g.Subject, g.Account, g.Reason, g.Source.File, strconv.Itoa(int(g.Source.Line)), strconv.Itoa(int(g.Source.Column))}, " ")
}

// regionOf is the region of a gap whose subject is account/region, "" where it names none.
func regionOf(g *snapshot.Gap) string {
	_, region, _ := strings.Cut(g.Subject, "/")
	return region
}

func likeSubject(g *snapshot.Gap) string {
	if g.Kind == snapshot.GapRegion {
		return regionOf(g)
	}
	return g.Call
}

// likeReason says in how many accounts and regions, and the first reason in full.
func likeReason(list []*snapshot.Gap) string {
	accounts, regions := make(map[string]bool), make(map[string]bool)
	for _, g := range list {
		accounts[g.Account] = true
		if r := regionOf(g); r != "" && !strings.Contains(g.Subject, ":") {
			regions[r] = true
		}
	}
	where := fmt.Sprintf("in %d accounts", len(accounts))
	if len(accounts) == 1 {
		where = "in account " + list[0].Account
	}
	if list[0].Kind == snapshot.GapCall && len(regions) > 1 {
		where = fmt.Sprintf("in %d regions, %s", len(regions), where)
	}
	return list[0].Reason + " (" + where + ")"
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
