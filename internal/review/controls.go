package review

import (
	"slices"

	"drawbridge/internal/rule"
)

// Control is a control objective that a campaign is evidence for, and how.
type Control struct {
	Framework, ID, Title string
	// By says what in the campaign shows it.
	By string
}

// Controls are what a review of cross-account trusts is evidence for, whatever it finds. What single findings are mapped to stands with
// them.
var Controls = []Control{
	{"NIST SP 800-53 r5", "AC-2", "Account management (j: review accounts)", "every entry that is due is an item, with its owner and the decision"},
	{"NIST SP 800-53 r5", "AC-2(3)", "Disable accounts", "the last use of each caller, and entries decided to be removed"},
	{"NIST SP 800-53 r5", "AC-6(7)", "Review of user privileges", "what is granted and not used, and the decision to keep or narrow it"},
	{"NIST SP 800-53 r5", "AC-20", "Use of external systems", "entries of vendors, with their terms and their end"},
	{"NIST SP 800-53 r5", "CA-7", "Continuous monitoring", "open findings and changes since the last review of each item"},
	{"NIST CSF 2.0", "PR.AA-05", "Access permissions are defined, managed, enforced and reviewed", "the decision on each item, with person, reason and time"},
	{"NIST CSF 2.0", "ID.AM-03", "Authorized network communication and data flows are represented", "who may reach what, and how the trusts in AWS stand to it"},
	{"NIST CSF 2.0", "GV.SC-07", "Risks of suppliers are monitored over the relationship", "entries of vendors, with findings and use"},
	{"ISO/IEC 27001:2022", "A.5.18", "Access rights", "review of access rights at the rhythm of each entry"},
	{"ISO/IEC 27001:2022", "A.5.22", "Monitoring, review and change management of supplier services", "entries of vendors, and what changed since the last review"},
	{"SOC 2 (TSC 2017)", "CC6.2", "Access is authorized and removed when no longer needed", "entries decided to be removed, and what was carried out"},
	{"SOC 2 (TSC 2017)", "CC6.3", "Access is modified by least privilege", "entries decided to be narrowed"},
	{"PCI DSS 4.0.1", "7.2.4", "User accounts and access are reviewed, third parties included", "every item, where the review is held at least every six months"},
	{"PCI DSS 4.0.1", "7.2.5.1", "Access by application and system accounts is reviewed", "entries of machines, at the rhythm that they say"},
	{"OWASP NHI Top 10 2025", "NHI1", "Improper offboarding", "unused callers, ended vendors, entries decided to be removed"},
	{"OWASP NHI Top 10 2025", "NHI5", "Overprivileged NHI", "what is granted and not used, and the paths behind the trust"},
}

// mapped are the controls of a rule, each with its framework in front, sorted.
func mapped(c rule.Controls) []string {
	out := []string{}
	for _, list := range []struct {
		framework string
		ids       []string
	}{{"CSF", c.CSF}, {"NHI", c.NHI}, {"NIST", c.NIST}} {
		for _, id := range list.ids {
			if list.framework == "NHI" {
				out = append(out, "OWASP "+id)
				continue
			}
			out = append(out, list.framework+" "+id)
		}
	}
	if c.CIS != "" && c.CIS != "-" {
		out = append(out, c.CIS)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
