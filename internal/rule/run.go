package rule

import (
	"cmp"
	"slices"
	"sync"

	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/registry"
	"drawbridge/internal/usage"
)

// Run runs rules over an organisation. The findings are sorted, each once: two reports of one rule with one fingerprint
// are one finding with the evidence of both.
func Run(rules []*Rule, in *Input) []finding.Finding {
	filled := *in
	filled.Parameters = in.Parameters.WithDefaults()
	if filled.Usage == nil {
		filled.Usage = usage.Of(in.Org.Snapshot.Usage)
	}
	filled.reconciled = sync.OnceValue(func() []registry.Item {
		if in.Registry == nil {
			return nil
		}
		return registry.Reconcile(in.Graph, in.Registry, registry.Options{Now: in.Now, Engine: in.Graph.Engine()})
	})
	filled.declared = sync.OnceValue(func() declarations { return declare(in.Registry) })
	var findings []finding.Finding
	for _, r := range rules {
		seen := map[string]int{}
		r.Check(&Pass{Input: &filled, rule: r, report: func(f finding.Finding) {
			key := f.Fingerprint
			if f.Status == finding.NotAssessed {
				key += "?"
			}
			if i, ok := seen[key]; ok {
				findings[i].Evidence = mergeEvidence(findings[i].Evidence, f.Evidence)
				return
			}
			seen[key] = len(findings)
			findings = append(findings, f)
		}})
	}
	finding.Sort(findings)
	return findings
}

func mergeEvidence(a, b []access.Evidence) []access.Evidence {
	merged := slices.Concat(a, b)
	slices.SortFunc(merged, func(x, y access.Evidence) int {
		return cmp.Or(cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Document, y.Document), cmp.Compare(x.Statement, y.Statement))
	})
	return slices.CompactFunc(merged, func(x, y access.Evidence) bool {
		return x.Subject == y.Subject && x.Document == y.Document && x.Statement == y.Statement
	})
}

// Report records a finding. Rule, title, severity, remedy, account and fingerprint are filled in where the rule left them
// empty; the fingerprint is of rule, subject and grantee.
func (p *Pass) Report(f finding.Finding) {
	p.complete(&f)
	p.report(f)
}

// ReportEdge records a finding about an edge: its target is the subject, its grants the evidence. Where the access is denied
// by a guard, the finding is lowered to info and says by which.
func (p *Pass) ReportEdge(e *access.Edge, f finding.Finding) {
	if f.Subject == "" {
		f.Subject, f.Account = e.Target.ARN, e.Target.Account
	}
	if f.Grantee == "" {
		f.Grantee = e.Grantee.ID
	}
	if len(f.Evidence) == 0 {
		for i := range e.Grants {
			f.Evidence = append(f.Evidence, e.Grants[i].Evidence)
		}
	}
	if e.Stopped() {
		f.Lowered = e.Denied.String() + " denies it: " + e.By.Document
		f.Severity = finding.Info
		f.Evidence = append(f.Evidence, e.By)
		p.complete(&f)
		f.Severity = finding.Info
		p.report(f)
		return
	}
	p.Report(f)
}

func (p *Pass) complete(f *finding.Finding) {
	f.Rule = p.rule.ID
	if f.Title == "" {
		f.Title = p.rule.Title
	}
	if f.Severity == finding.Info && f.Lowered == "" {
		f.Severity = p.rule.Severity
	}
	if f.Remedy == "" {
		f.Remedy = p.rule.Remedy
	}
	if f.Account == "" {
		f.Account = p.accountOf(f.Subject)
	}
	if f.Fingerprint == "" {
		f.Fingerprint = finding.Fingerprint(f.Rule, f.Subject, f.Grantee)
	}
}

// NotAssessed records that the rule could not say whether a subject has the problem, and which fact is missing.
func (p *Pass) NotAssessed(subject, reason string, evidence ...access.Evidence) {
	f := finding.Finding{Status: finding.NotAssessed, Subject: subject, Reason: reason, Evidence: evidence}
	p.complete(&f)
	p.report(f)
}

// accountOf is the account of a subject: of its ARN, of the resource that the snapshot knows by it, or itself.
func (p *Pass) accountOf(subject string) string {
	if r, ok := p.Org.Resource(subject); ok {
		return r.Account
	}
	if a, ok := p.Org.Account(subject); ok {
		return a.ID
	}
	return access.AccountOf(subject)
}
