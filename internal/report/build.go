package report

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// Options are what a report says beside the result of the analysis.
type Options struct {
	Input   string
	Version string
	// Now is written into the report where it is not zero.
	Now   time.Time
	Rules []*rule.Rule
	// Accepted and Expired hold the exceptions by the fingerprint of the finding that they accept, or did until they ran out.
	Accepted, Expired map[string]Acceptance
	// UnusedExceptions are the fingerprints of exceptions that accept nothing of this scan.
	UnusedExceptions []string
	// Baseline is an earlier report, whose findings are known; nil where there is none.
	Baseline *finding.Baseline
}

// New makes the report of a scan: in is what the rules looked at, findings what they found.
func New(in *rule.Input, findings []finding.Finding, options Options) *Report {
	b := builder{in: in, options: &options, names: map[string]string{}, vendors: map[string]string{}}
	s := in.Org.Snapshot
	for i := range s.Accounts {
		b.names[s.Accounts[i].ID] = s.Accounts[i].Name
	}
	for _, v := range in.Vendors {
		for _, a := range v.Accounts {
			b.vendors[a] = v.Name
		}
	}
	r := &Report{
		Schema:           Schema,
		Tool:             Tool{"drawbridge", options.Version},
		Input:            options.Input,
		UnusedExceptions: options.UnusedExceptions,
	}
	if !options.Now.IsZero() {
		r.Now = timeText(options.Now)
	}
	if !s.Collected.IsZero() {
		r.Collected = timeText(s.Collected)
	}
	if o := s.Organization; o != nil {
		r.Organization = &Organization{o.ID, o.ManagementAccount}
	}
	r.Gaps = b.gaps()
	r.Trusts = b.trusts()
	r.Findings = b.findings(findings)
	r.Accounts = b.accounts(r)
	r.Paths, r.PathsIncomplete = b.paths()
	r.Rules = b.rules()
	r.Summary = b.summary(r)
	return r
}

type builder struct {
	in      *rule.Input
	options *Options
	names   map[string]string // account names by id
	vendors map[string]string // names of known vendors by account id
}

func timeText(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (b *builder) gaps() []Gap {
	gaps := make([]Gap, 0, len(b.in.Org.Gaps))
	for _, g := range b.in.Org.Gaps {
		gaps = append(gaps, Gap{string(g.Kind), g.Subject, g.Account, g.Reason, g.Call, g.Code, g.Source.File, int(g.Source.Line), int(g.Source.Column)})
	}
	return gaps
}

func (b *builder) trusts() []Trust {
	trusts := make([]Trust, 0, len(b.in.Graph.Edges))
	for _, e := range b.in.Graph.Edges {
		trusts = append(trusts, b.trust(e))
	}
	return trusts
}

func (b *builder) trust(e *access.Edge) Trust {
	t := Trust{
		Grantee:   b.grantee(&e.Grantee),
		Mechanism: string(e.Mechanism),
		Target:    Target{e.Target.ARN, e.Target.Type, e.Target.Account, b.names[e.Target.Account]},
		// An identity provider stands in the account, and whom it vouches for does not.
		CrossAccount:      e.CrossAccount || e.Grantee.Relation == access.Federated,
		Verdict:           e.Verdict.String(),
		CallerAssumed:     e.CallerAssumed,
		Actions:           append([]string{}, e.Actions...),
		MaxSessionSeconds: int(e.MaxSession / time.Second),
		Granting:          grantEvidence(e.Grants),
	}
	switch e.Verdict {
	case eval.Unknown:
		t.Conditions = conditions(e.LeftOver)
	case eval.Deny:
		t.Denied = &Denied{Layer: e.Denied.String(), Explicit: e.Explicit, By: evidenceOrNone(e.By)}
	}
	t.Calling = evidenceOrNone(e.Identity)
	return t
}

func (b *builder) grantee(g *access.Grantee) Grantee {
	return Grantee{string(g.Kind), g.ID, g.Account, b.names[g.Account], b.vendors[g.Account], string(g.Relation), g.Missing}
}

// conditions is nil for what holds always.
func conditions(f cond.Formula) *Conditions {
	if f.IsAlways() {
		return nil
	}
	normal, err := json.Marshal(f)
	if err != nil { // strings and booleans alone marshal always
		normal = []byte("[]")
	}
	return &Conditions{f.String(), normal}
}

func grantEvidence(grants []access.Grant) []Evidence {
	list := make([]Evidence, 0, len(grants))
	for i := range grants {
		list = append(list, evidence(grants[i].Evidence))
	}
	return list
}

func evidence(e access.Evidence) Evidence {
	out := Evidence{Subject: e.Subject, Document: e.Document, Sid: e.Sid, File: e.Source.File, Line: int(e.Source.Line), Column: int(e.Source.Column)}
	if e.Statement >= 0 {
		out.Statement = &e.Statement
	}
	return out
}

func evidenceOrNone(e access.Evidence) *Evidence {
	if e.Subject == "" && e.Document == "" {
		return nil
	}
	out := evidence(e)
	return &out
}

func (b *builder) findings(findings []finding.Finding) []Finding {
	out := make([]Finding, 0, len(findings))
	for i := range findings {
		f := &findings[i]
		r := Finding{
			Fingerprint: f.Fingerprint, Rule: f.Rule, Title: f.Title, Severity: f.Severity.String(), Status: statusConfirmed,
			Subject: f.Subject, Account: f.Account, Grantee: f.Grantee, Reason: f.Reason, Remedy: f.Remedy,
			Evidence: make([]Evidence, 0, len(f.Evidence)), Facts: f.Facts, Lowered: f.Lowered,
			Known: b.options.Baseline != nil && b.options.Baseline.Known(*f),
		}
		if f.Status == finding.NotAssessed {
			r.Status = statusNotAssessed
		}
		for _, e := range f.Evidence {
			r.Evidence = append(r.Evidence, evidence(e))
		}
		if a, ok := b.options.Accepted[f.Fingerprint]; ok {
			r.Accepted = &a
		}
		if a, ok := b.options.Expired[f.Fingerprint]; ok {
			r.Expired = &a
		}
		out = append(out, r)
	}
	slices.SortStableFunc(out, func(x, y Finding) int {
		return cmp.Or(
			cmp.Compare(x.class(), y.class()),
			cmp.Compare(rank(x.Severity), rank(y.Severity)),
			cmp.Compare(x.Rule, y.Rule),
			cmp.Compare(x.Subject, y.Subject),
			cmp.Compare(x.Grantee, y.Grantee),
			cmp.Compare(x.Fingerprint, y.Fingerprint),
		)
	})
	return out
}

// class puts open findings first, then those that could not be assessed, then known and accepted ones.
func (f *Finding) class() int {
	switch {
	case f.Accepted != nil:
		return 3
	case f.Known:
		return 2
	case f.Status != statusConfirmed:
		return 1
	}
	return 0
}

var accountKinds = map[snapshot.AccountKind]string{
	snapshot.UnknownKind: "unknown", snapshot.Management: "management", snapshot.Member: "member",
	snapshot.Vendor: "vendor", snapshot.External: "external",
}

func (b *builder) accounts(r *Report) []Account {
	s := b.in.Org.Snapshot
	units := map[string]string{}
	if s.Organization != nil {
		for _, u := range s.Organization.Units {
			units[u.Path] = u.Name
		}
	}
	out := make([]Account, 0, len(s.Accounts))
	at := map[string]*Account{}
	for i := range s.Accounts {
		a := &s.Accounts[i]
		out = append(out, Account{
			ID: a.ID, Name: a.Name, Kind: accountKinds[a.Kind], Unit: unitName(units, a.UnitPath), Environment: a.Environment,
			Inventoried: a.Inventoried, Findings: []Count{},
		})
	}
	for i := range out {
		at[out[i].ID] = &out[i]
	}
	count := func(id string, f func(*Account)) {
		if a := at[id]; a != nil {
			f(a)
		}
	}
	for i := range s.Roles {
		count(s.Roles[i].Account, func(a *Account) { a.Roles++ })
	}
	for i := range s.Users {
		count(s.Users[i].Account, func(a *Account) { a.Users++ })
	}
	for i := range s.Resources {
		count(s.Resources[i].Account, func(a *Account) { a.Resources++ })
	}
	for i := range r.Trusts {
		t := &r.Trusts[i]
		if !t.CrossAccount || t.Verdict == eval.Deny.String() || t.Grantee.Relation == string(access.AWSService) {
			continue
		}
		count(t.Target.Account, func(a *Account) { a.TrustsIn++ })
		count(t.Grantee.Account, func(a *Account) { a.TrustsOut++ })
	}
	bySeverity := map[string]map[string]int{}
	for i := range r.Findings {
		f := &r.Findings[i]
		if !f.Open() || at[f.Account] == nil {
			continue
		}
		if bySeverity[f.Account] == nil {
			bySeverity[f.Account] = map[string]int{}
		}
		bySeverity[f.Account][f.Severity]++
	}
	for i := range out {
		for _, severity := range severities {
			if n := bySeverity[out[i].ID][severity]; n > 0 {
				out[i].Findings = append(out[i].Findings, Count{severity, n})
				out[i].Worst = cmp.Or(out[i].Worst, severity)
			}
		}
	}
	return out
}

// unitName is a unit's path in names, ids where a name is not known: Root/Workloads/Prod.
func unitName(names map[string]string, path string) string {
	if path == "" {
		return ""
	}
	parts := strings.Split(path, "/")
	out := make([]string, len(parts))
	for i := range parts {
		out[i] = cmp.Or(names[strings.Join(parts[:i+1], "/")], parts[i])
	}
	return strings.Join(out, "/")
}

func (b *builder) rules() []Rule {
	rules := make([]Rule, 0, len(b.options.Rules))
	for _, r := range b.options.Rules {
		rules = append(rules, RuleOf(r))
	}
	return rules
}

// RuleOf is what a report says of a rule.
func RuleOf(r *rule.Rule) Rule {
	return Rule{r.ID, r.Title, r.Detects, r.Why, r.Remedy, r.Severity.String(), Controls(&r.Controls)}
}

// Controls lists the ids of the frameworks that a rule maps to, each with its framework.
func Controls(c *rule.Controls) []string {
	list := []string{}
	for _, id := range c.NHI {
		list = append(list, "OWASP NHI 2025: "+id)
	}
	for _, t := range c.Tenets {
		list = append(list, fmt.Sprintf("NIST SP 800-207: tenet %d", t))
	}
	for _, id := range c.CSF {
		list = append(list, "NIST CSF 2.0: "+id)
	}
	for _, id := range c.NIST {
		list = append(list, "NIST SP 800-53 r5: "+id)
	}
	if c.CIS != "" && c.CIS != "-" {
		list = append(list, "CIS AWS and Security Hub: "+c.CIS)
	}
	return list
}

func (b *builder) summary(r *Report) Summary {
	s := b.in.Org.Snapshot
	sum := Summary{Roles: len(s.Roles), Users: len(s.Users), Resources: len(s.Resources), Gaps: len(r.Gaps)}
	kinds, mechanisms, relations, verdicts, gaps, bySeverity := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	for i := range r.Accounts {
		kinds[r.Accounts[i].Kind]++
		if r.Accounts[i].Inventoried {
			sum.Accounts.Inventoried++
		}
	}
	for i := range r.Trusts {
		if t := &r.Trusts[i]; t.CrossAccount {
			sum.Trusts.CrossAccount++
			mechanisms[t.Mechanism]++
			relations[t.Grantee.Relation]++
			verdicts[t.Verdict]++
		}
	}
	for i := range r.Findings {
		switch f := &r.Findings[i]; {
		case f.Open():
			sum.Findings.Open++
			bySeverity[f.Severity]++
		case f.Accepted != nil:
			sum.Findings.Accepted++
		case f.Known:
			sum.Findings.Known++
		default:
			sum.Findings.NotAssessed++
		}
	}
	for i := range r.Gaps {
		gaps[r.Gaps[i].Kind]++
	}
	sum.Accounts.Total, sum.Trusts.Total, sum.Findings.Total = len(r.Accounts), len(r.Trusts), len(r.Findings)
	sum.Accounts.ByKind = counts(kinds)
	sum.Trusts.ByMechanism, sum.Trusts.ByRelation, sum.Trusts.ByVerdict = counts(mechanisms), counts(relations), counts(verdicts)
	sum.GapsByKind = counts(gaps)
	for _, severity := range severities {
		sum.Findings.BySeverity = append(sum.Findings.BySeverity, Count{severity, bySeverity[severity]})
	}
	return sum
}

// counts sorts numbers by name, the largest first.
func counts(m map[string]int) []Count {
	list := make([]Count, 0, len(m))
	for name, n := range m {
		list = append(list, Count{name, n})
	}
	slices.SortFunc(list, func(a, b Count) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return list
}

// maxSearches bounds the search for paths to what is critical: entries × critical targets.
const maxSearches = 20000

// paths finds one shortest way from each entry from outside to each critical role or resource.
func (b *builder) paths() (out []Path, incomplete bool) {
	critical := b.critical()
	out = []Path{}
	if len(critical) == 0 {
		return out, false
	}
	isCritical := map[string]bool{}
	for _, c := range critical {
		isCritical[c] = true
	}
	searches := 0
	found := map[string][]access.Path{} // from entry role, to all that is critical
	for _, e := range b.in.Graph.Outside() {
		if isCritical[e.Target.ARN] {
			out = append(out, b.path(e, nil))
		}
		if e.Target.Role == nil {
			continue
		}
		from := e.Target.ARN
		onward, ok := found[from]
		if !ok {
			for _, to := range critical {
				if to == from {
					continue
				}
				if searches >= maxSearches {
					incomplete = true
					break
				}
				searches++
				paths, err := b.in.Graph.Paths(from, to, access.PathOptions{Limit: 1})
				if err == nil && len(paths) > 0 {
					onward = append(onward, paths[0])
				}
			}
			found[from] = onward
		}
		for i := range onward {
			out = append(out, b.path(e, &onward[i]))
		}
	}
	slices.SortStableFunc(out, func(x, y Path) int {
		return cmp.Or(cmp.Compare(x.To, y.To), cmp.Compare(len(x.Steps), len(y.Steps)), cmp.Compare(x.From, y.From))
	})
	return out, incomplete
}

// critical lists the ARNs of the roles and resources that carry the tag of critical ones.
func (b *builder) critical() []string {
	p := b.in.Parameters.WithDefaults()
	var list []string
	for _, x := range b.in.Org.Principals {
		if x.Role != nil && p.CriticalTagKey != "" && x.Tags[p.CriticalTagKey] == p.CriticalTagValue {
			list = append(list, x.ARN)
		}
	}
	for _, x := range b.in.Org.Resources {
		if p.CriticalTagKey != "" && x.Tags[p.CriticalTagKey] == p.CriticalTagValue {
			list = append(list, x.ARN)
		}
	}
	return list
}

// path is an entry from outside, and where it leads on.
func (b *builder) path(entry *access.Edge, onward *access.Path) Path {
	p := Path{From: entry.Grantee.ID, FromKind: string(entry.Grantee.Kind), To: entry.Target.ARN, MaxSessionSeconds: int(entry.MaxSession / time.Second)}
	verdict := entry.Verdict
	p.Steps = append(p.Steps, step(entry, entry.LeftOver))
	if onward != nil {
		p.To = onward.To
		assumed := entry.Target.Role != nil
		for i, e := range onward.Steps {
			p.Steps = append(p.Steps, step(e, onward.LeftOver[i]))
			if e.Target.Role != nil && assumed {
				// The second role is assumed with the session of the first: AWS caps it at one hour (rule 125).
				p.MaxSessionSeconds = 3600
				if seconds := int(e.MaxSession / time.Second); seconds > 0 {
					p.MaxSessionSeconds = min(seconds, 3600)
				}
			}
		}
		if onward.Verdict != eval.Allow {
			verdict = eval.Unknown
		}
	}
	p.Verdict = verdict.String()
	return p
}

func step(e *access.Edge, left cond.Formula) Step {
	s := Step{Call: e.Step(), To: e.Target.ARN, Account: cmp.Or(e.Target.Account, arn.Account(e.Target.ARN)), Evidence: grantEvidence(e.Grants)}
	if e.Verdict == eval.Unknown {
		s.Conditions = conditions(left)
	}
	if e.Identity.Subject != "" {
		s.Evidence = append(s.Evidence, evidence(e.Identity))
	}
	return s
}
