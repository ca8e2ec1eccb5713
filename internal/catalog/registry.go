package catalog

import (
	"fmt"
	"strings"
	"time"

	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// registryRules hold what exists against what was declared.
var registryRules = []rule.Rule{
	{
		ID: "EXT-007", Title: "Offboarded vendor still trusted",
		Detects:  "Registry or vendor list says ended/deprecated and any grant is left: trust, resource policy, KMS grant, RAM share, snapshot, OIDC provider, endpoint service",
		Why:      "Whoever gets into the former vendor gets in here, and nobody watches any more.",
		Remedy:   "Run drawbridge offboard: it plans the removal of everything, and ends the sessions that are open.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025", "NHI3:2025"}, Tenets: []int{5, 6}, CSF: []string{"GV.SC-10", "PR.AA-05"}, NIST: []string{"PS-7", "AC-2(3)", "AC-3(8)", "SR-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::999988887777:role/app"}}`,
			After:  `{"Statement":[]}`,
		},
		Check: vendorGone,
	},
	{
		ID: "REG-001", Title: "Trust not registered",
		Detects:  "Discovered grant has no registry entry",
		Why:      "Nobody answers for it: nobody will review it, and nobody will miss it when it is abused.",
		Remedy:   "Declare the trust in the registry, with an owner and a purpose, or remove it.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025", "NHI3:2025"}, Tenets: []int{5}, CSF: []string{"ID.AM-03", "ID.AM-04"}, NIST: []string{"AC-2", "CA-3", "CM-8"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"}}`,
			After:  `{"metadata":{"name":"collector","owner":"security@example.com"},"spec":{"purpose":"Collect findings","from":{"principals":["arn:aws:iam::444455556666:role/collector"]},"expires":"2027-03-31"}}`,
		},
		Check: notRegistered,
	},
	{
		ID: "REG-002", Title: "Entry incomplete",
		Detects:  "No owner, purpose, data class, expiry, vendor contact or approval reference",
		Why:      "An entry that does not say whose, why and until when cannot be reviewed.",
		Remedy:   "Fill in what is missing: drawbridge registry check names it, with file and line.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"ID.AM-04", "GV.RR-02"}, NIST: []string{"AC-2", "CA-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"metadata":{"name":"collector"},"spec":{"expires":""}}`,
			After:  `{"metadata":{"name":"collector","owner":"security@example.com"},"spec":{"purpose":"Collect findings","dataClass":"internal","expires":"2027-03-31"}}`,
		},
		Check: entryIncomplete,
	},
	{
		ID: "REG-003", Title: "Expired and still open",
		Detects:  "Expiry date passed, grant present",
		Why:      "The work has ended and the way in has not.",
		Remedy:   "Remove the trust, or let somebody else than the owner renew the entry.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025", "NHI7:2025"}, Tenets: []int{3, 6}, CSF: []string{"PR.AA-05", "ID.AM-08"}, NIST: []string{"AC-2(2)", "AC-2(3)", "AC-3(8)"}, CIS: ""},
		Example: rule.Example{
			Before: `{"spec":{"expires":"2025-10-31"}}`,
			After:  `{"spec":{"expires":"2027-03-31"}}`,
		},
		Check: expiredAndOpen,
	},
	{
		ID: "REG-004", Title: "Review overdue",
		Detects:  "Last review older than 90 days, or reviewer is the owner alone",
		Why:      "What nobody looks at again stays for ever.",
		Remedy:   "Review the entry: drawbridge review start opens a campaign over what is due.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls:   rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-6(7)", "AC-2", "CA-7"}, CIS: ""},
		Parameters: []string{"ReviewDays"},
		Example: rule.Example{
			Before: `{"spec":{"review":{"last":"2025-01-01"}}}`,
			After:  `{"spec":{"review":{"last":"2026-11-01","by":["reviewer@example.com"]}}}`,
		},
		Check: reviewOverdue,
	},
	{
		ID: "REG-005", Title: "Wider than registered",
		Detects:  "Live grant adds a principal, action or resource, or drops a condition, against the registered one",
		Why:      "What was approved is not what is there.",
		Remedy:   "Narrow the trust to what is declared (drawbridge remedy), or have the entry widened and approved.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{4, 5}, CSF: []string{"ID.RA-07", "PR.PS-01"}, NIST: []string{"CM-3", "CM-6", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":["arn:aws:iam::444455556666:role/collector","arn:aws:iam::444455556666:root"]}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"}}`,
		},
		Check: widerThanRegistered,
	},
	{
		ID: "REG-006", Title: "Owner or approver not valid",
		Detects:  "Owner left or disabled; requester approved own request; waiver without end date or past it",
		Why:      "An entry that nobody valid answers for, or that its requester approved, was never really approved.",
		Remedy:   "Name an owner and approvers who are there, and have the entry approved again.",
		Severity: finding.High, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"GV.RR-02", "PR.AA-05", "ID.RA-07"}, NIST: []string{"AC-5", "PS-4", "CA-5"}, CIS: ""},
		Example: rule.Example{
			Before: `{"spec":{"approval":{"requestedBy":"ana","approvedBy":"ana"}}}`,
			After:  `{"spec":{"approval":{"requestedBy":"ana","approvedBy":"ben"}}}`,
		},
		Check: nobodyValid,
	},
}

// reconciled calls judge for every trust of one state. Without a registry nobody has said which trusts there should be: that is said
// once.
func reconciled(p *rule.Pass, judge func(registry.Item), states ...registry.State) {
	if !declared(p) {
		return
	}
	for _, item := range p.Reconciled() {
		for _, s := range states {
			if item.State == s {
				judge(item)
			}
		}
	}
}

// declared reports whether there is a registry, and says once where there is none.
func declared(p *rule.Pass) bool {
	if p.Registry == nil {
		p.NotAssessed(organizationName(p), "no registry was given")
		return false
	}
	return true
}

func notRegistered(p *rule.Pass) {
	reconciled(p, func(item registry.Item) {
		e := item.Edges[0]
		p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("No entry of the registry lets %s in.", e.Grantee.ID+accountName(p, e.Grantee.Account))})
	}, registry.Unregistered)
}

func widerThanRegistered(p *rule.Pass) {
	reconciled(p, func(item registry.Item) {
		e := item.Edges[0]
		p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Entry %s covers it, but %s.", item.Entry.Name, item.Reason), Facts: map[string]string{"entry": item.Entry.Name}})
	}, registry.Wider)
	reconciled(p, func(item registry.Item) {
		p.NotAssessed(item.Target, "whether it is wider than entry "+item.Entry.Name+" could not be decided: "+item.Reason, evidenceOf(item.Edges[0])...)
	}, registry.NotDecided)
}

func expiredAndOpen(p *rule.Pass) {
	reconciled(p, func(item registry.Item) {
		p.Report(finding.Finding{Subject: item.Entry.Name, Account: item.Edges[0].Target.Account, Evidence: evidenceOf(item.Edges[0]),
			Reason: fmt.Sprintf("The entry ended on %s, and %s still lets %s in.", item.Entry.Expires, item.Target, item.Source)})
	}, registry.Expired)
}

// entries calls judge for every entry.
func entries(p *rule.Pass, judge func(*registry.Entry)) {
	if !declared(p) {
		return
	}
	for i := range p.Registry.Entries {
		judge(&p.Registry.Entries[i])
	}
}

// reportEntry reports an entry, in the account of its target.
func reportEntry(p *rule.Pass, e *registry.Entry, reason string) {
	account := ""
	if targets := e.To.Targets(); len(targets) > 0 {
		account = access.AccountOf(targets[0])
	}
	p.Report(finding.Finding{Subject: e.Name, Account: account, Reason: reason})
}

func entryIncomplete(p *rule.Pass) {
	entries(p, func(e *registry.Entry) {
		missing := e.Missing()
		if e.DataClass == "" {
			missing = append(missing, "spec.dataClass")
		}
		if e.Ticket == "" && e.ApprovedBy == "" {
			missing = append(missing, "metadata.ticket or spec.approval.approvedBy")
		}
		if v := p.Registry.Vendor(e.Vendor); v != nil && v.Contact == "" {
			missing = append(missing, "the contact of vendor "+v.Name)
		}
		if len(missing) > 0 {
			reportEntry(p, e, "The entry does not say "+strings.Join(missing, ", ")+".")
		}
	})
}

func reviewOverdue(p *rule.Pass) {
	entries(p, func(e *registry.Entry) {
		limit := time.Duration(p.Parameters.ReviewDays) * 24 * time.Hour
		if e.Review.Every > 0 && e.Review.Every < limit {
			limit = e.Review.Every
		}
		switch {
		case e.Review.Last.IsZero():
			reportEntry(p, e, "The entry was never reviewed.")
		case p.Now.Sub(e.Review.Last.Time) > limit:
			reportEntry(p, e, fmt.Sprintf("The last review was on %s, longer ago than %s.", e.Review.Last, registry.FormatSpan(limit)))
		case len(e.Review.By) == 1 && e.Review.By[0] == e.Owner:
			reportEntry(p, e, fmt.Sprintf("The owner %s reviewed the entry alone.", e.Owner))
		}
	})
}

func nobodyValid(p *rule.Pass) {
	entries(p, func(e *registry.Entry) {
		switch {
		case e.OwnerLeft:
			reportEntry(p, e, fmt.Sprintf("The owner %s has left.", e.Owner))
		case e.RequestedBy != "" && e.RequestedBy == e.ApprovedBy:
			reportEntry(p, e, fmt.Sprintf("%s approved their own request.", e.RequestedBy))
		}
	})
}

// vendorGone reports every grant to an account of a vendor that has ended, by the registry or by the list of vendors.
func vendorGone(p *rule.Pass) {
	if p.Registry == nil && len(p.Vendors) == 0 {
		p.NotAssessed(organizationName(p), "neither a registry nor a list of vendors was given")
		return
	}
	ended := endedVendors(p)
	for _, e := range p.Graph.Edges {
		v, gone := ended[e.Grantee.Account]
		if !gone || e.Grantee.Account == "" || !e.CrossAccount {
			continue
		}
		reason := fmt.Sprintf("%s belongs to %s, which is no vendor any more.", e.Grantee.ID, v.name)
		if v.since != "" {
			reason = fmt.Sprintf("%s belongs to %s, which is no vendor any more since %s.", e.Grantee.ID, v.name, v.since)
		}
		p.ReportEdge(e, finding.Finding{Reason: reason, Facts: map[string]string{"vendor": v.name}})
	}
}

type endedVendor struct{ name, since string }

// endedVendors are the accounts of former vendors.
func endedVendors(p *rule.Pass) map[string]endedVendor {
	ended := map[string]endedVendor{}
	for _, v := range p.Vendors {
		if v.Status != snapshot.VendorEnded {
			continue
		}
		since := ""
		if !v.Ended.IsZero() {
			since = v.Ended.Format(time.DateOnly)
		}
		for _, a := range v.Accounts {
			ended[a] = endedVendor{v.Name, since}
		}
	}
	if p.Registry == nil {
		return ended
	}
	for i := range p.Registry.Vendors {
		if v := &p.Registry.Vendors[i]; v.Ended(p.Now) {
			for _, a := range v.Accounts {
				ended[a] = endedVendor{v.Name, v.Until.String()}
			}
		}
	}
	return ended
}
