package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
	"drawbridge/internal/usage"
)

// usageRules hold what exists and what was declared against what was really used.
var usageRules = []rule.Rule{
	{
		ID: "USE-001", Title: "Never used",
		Detects:  "Cross-account grant older than N days (default 30) and no use since creation; entries registered as break-glass or disaster recovery are exempt (USE-007 watches them)",
		Why:      "A way in that nobody ever took is pure risk.",
		Remedy:   "Remove the trust in steps that can be taken back: deny it, watch, and remove it then.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls:   rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"PR.AA-05", "ID.AM-08"}, NIST: []string{"AC-2(3)", "AC-6(7)"}, CIS: ""},
		Parameters: []string{"NeverUsedDays"},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/trial"}}`,
			After:  `{"Statement":[]}`,
		},
		Check: neverUsed,
	},
	{
		ID: "USE-002", Title: "Unused for the window",
		Detects:  "Role last used over 90 days ago (or over the registered cadence: quarterly jobs and DR are exempt by registration)",
		Why:      "What nobody uses nobody misses, but who breaks in.",
		Remedy:   "Remove the trust in steps that can be taken back: deny it, watch, and remove it then.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls:   rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-2(3)", "AC-6(7)"}, CIS: ""},
		Parameters: []string{"StaleDays"},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/report"}}`,
			After:  `{"Statement":[]}`,
		},
		Check: unused,
	},
	{
		ID: "USE-003", Title: "This principal does not use it",
		Detects:  "Role is in use, and one of its trusted principals (account, repository, vendor) has not used it in the window",
		Why:      "The role is needed, and this way into it is not.",
		Remedy:   "Take this one principal from the trust policy, and leave the others.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls:   rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{5, 7}, CSF: []string{"PR.AA-05", "DE.AE-03"}, NIST: []string{"AC-6(7)", "AC-2(3)"}, CIS: ""},
		Parameters: []string{"StaleDays"},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":["arn:aws:iam::444455556666:role/report","arn:aws:iam::777788889999:role/report"]}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/report"}}`,
		},
		Check: unusedPrincipal,
	},
	{
		ID: "USE-004", Title: "Use without registration",
		Detects:  "CloudTrail shows an assume or a data access by an account or subject that the registry lacks for this target",
		Why:      "Somebody crosses whom nobody declared.",
		Remedy:   "Treat it as an incident: find out who it was, and close the trust until somebody declares it.",
		Severity: finding.Critical, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025", "NHI4:2025"}, Tenets: []int{5, 7}, CSF: []string{"DE.CM-06", "DE.AE-02"}, NIST: []string{"AU-6", "SI-4", "AC-2(12)"}, CIS: ""},
		Example: rule.Example{
			Before: `{"entries":[]}`,
			After:  `{"spec":{"from":{"principals":["arn:aws:iam::444455556666:role/collector"]}}}`,
		},
		Check: usedUnregistered,
	},
	{
		ID: "USE-005", Title: "Refused attempts from outside",
		Detects:  "AccessDenied on AssumeRole* from external accounts, or many role names tried by one",
		Why:      "Somebody outside tries doors.",
		Remedy:   "Find out who tries and why; alert on the next attempt.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI4:2025"}, Tenets: []int{5, 7}, CSF: []string{"DE.CM-06", "DE.AE-02"}, NIST: []string{"SI-4", "AU-6", "AC-2(12)"}, CIS: ""},
		Example: rule.Example{
			Before: `{"errorCode":"AccessDenied"}`,
			After:  `{"errorCode":null}`,
		},
		Check: refusedAttempts,
	},
	{
		ID: "USE-006", Title: "People behind a machine role",
		Detects:  "Console sign-in, SSO session or IAM user assuming a role registered for machines",
		Why:      "A person behind a machine's role has its rights without its checks.",
		Remedy:   "Give people a role of their own, so that what the machine does can be told from what they do.",
		Severity: finding.Medium, Since: "0.2.0",
		Controls: rule.Controls{NHI: []string{"NHI10:2025"}, Tenets: []int{4, 7}, CSF: []string{"DE.CM-03", "PR.AA-05"}, NIST: []string{"AC-2", "IA-2", "AU-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"spec":{"identity":"machine"}}`,
			After:  `{"spec":{"identity":"person"}}`,
		},
		Check: personBehindMachine,
	},
	{
		ID: "USE-007", Title: "Break-glass used without approval, or never tested",
		Detects:  "Assume of a break-glass role with no matching open request; or no drill within the registered period",
		Why:      "Break-glass that is used in silence is a back door, and one that was never tried will not open.",
		Remedy:   "Treat use without approval as an incident; where there was no drill, schedule one.",
		Severity: finding.Critical, Since: "0.2.0",
		Controls:   rule.Controls{NHI: []string{"NHI10:2025", "NHI5:2025"}, Tenets: []int{3, 7}, CSF: []string{"DE.CM-03", "PR.IR-03", "ID.IM-02"}, NIST: []string{"AC-2(2)", "AC-6(9)", "CP-4"}, CIS: ""},
		Parameters: []string{"BreakGlassDrillDays"},
		Example: rule.Example{
			Before: `{"spec":{"breakGlass":true}}`,
			After:  `{"spec":{"breakGlass":true,"lastDrill":"2026-10-01"}}`,
		},
		Check: breakGlassUnwatched,
	},
	{
		ID: "USE-008", Title: "Usage evidence missing",
		Detects:  "Trail absent, data events off, window shorter than required, last-used data not available: do not call anything stale",
		Why:      "Silence of a trail that does not exist proves nothing.",
		Remedy:   "Switch on or import the trail that is missing, and say in the review that nothing was judged without it.",
		Severity: finding.Info, Since: "0.2.0",
		Controls:        rule.Controls{NHI: []string{"NHI1:2025"}, Tenets: []int{7}, CSF: []string{"PR.PS-04", "DE.AE-03"}, NIST: []string{"AU-12", "CA-7"}, CIS: ""},
		NeverUnassessed: "it reports that evidence is missing",
		Example: rule.Example{
			Before: `{"coverage":"444455556666","missing":true}`,
			After:  `{"coverage":"444455556666","from":"2026-01-01T00:00:00Z","to":"2026-11-23T00:00:00Z"}`,
		},
		Check: noEvidence,
	},
}

const day = 24 * time.Hour

// recorded reports whether any evidence of use was given, and says once where none was.
func recorded(p *rule.Pass) bool {
	if !p.Usage.Evidence() {
		p.NotAssessed(organizationName(p), "no recorded use was given")
		return false
	}
	return true
}

// usedRoles calls judge for every role that somebody from another account or from outside may become, with the ways in.
func usedRoles(p *rule.Pass, judge func(role *org.Principal, ways []*access.Edge)) {
	crossAccountRoles(p, func(role *org.Principal, ways []*access.Edge) {
		ways = slices.DeleteFunc(slices.Clone(ways), func(e *access.Edge) bool { return access.IdentityCenter(e.Grantee.ID) })
		if len(ways) > 0 {
			judge(role, ways)
		}
	})
}

// entriesFor are the entries that declare a target.
func entriesFor(p *rule.Pass, target string) []*registry.Entry {
	var out []*registry.Entry
	for _, pair := range p.Declared(target) {
		if !slices.Contains(out, pair.Entry) {
			out = append(out, pair.Entry)
		}
	}
	return out
}

// exempt: break-glass and disaster recovery are not used as long as all is well (USE-007 watches them).
func exempt(entries []*registry.Entry) bool {
	return slices.ContainsFunc(entries, (*registry.Entry).Standby)
}

// patience is how long a target may lie unused: the limit, or the longest rhythm that its entries declare.
func patience(p *rule.Pass, entries []*registry.Entry) time.Duration {
	limit := time.Duration(p.Parameters.StaleDays) * day
	for _, e := range entries {
		limit = e.Patience(limit)
	}
	return limit
}

// calls reports whether a caller of the record is the grantee of an edge, or one of those whom it stands for.
func calls(e *access.Edge) func(caller string) bool {
	return func(caller string) bool {
		switch e.Grantee.Kind {
		case access.WholeAccount:
			return caller == e.Grantee.Account || arn.Account(caller) == e.Grantee.Account
		case access.Issuer:
			return strings.HasPrefix(caller, "oidc:"+eval.IssuerHost(e.Grantee.ID)+":") || caller == e.Grantee.ID
		case access.Anyone, access.EveryoneElse:
			return true
		}
		// A caller from another organisation is recorded by its account alone: it may be this one.
		return usage.May(caller, e.Grantee.ID) || e.Grantee.Account != "" && caller == e.Grantee.Account
	}
}

func neverUsed(p *rule.Pass) {
	if !recorded(p) {
		return
	}
	limit := time.Duration(p.Parameters.NeverUsedDays) * day
	usedRoles(p, func(role *org.Principal, ways []*access.Edge) {
		created := role.Role.Created
		switch entries := entriesFor(p, role.ARN); {
		case exempt(entries) || !role.Role.LastUsed.IsZero():
			return
		case created.IsZero():
			p.NotAssessed(role.ARN, "when the role was made is not in the input", evidenceOf(ways[0])...)
			return
		case p.Now.Sub(created) <= limit || !p.Usage.LastUse(role.ARN, usage.Anybody).IsZero():
			return
		}
		if used, _ := p.Usage.Services(role.ARN, created, collected(p)); used {
			return
		}
		if !p.Usage.Covers(role.Account, created, p.Now) {
			p.NotAssessed(role.ARN, "the record of use does not reach back to "+created.Format(time.DateOnly)+", when the role was made", evidenceOf(ways[0])...)
			return
		}
		p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
			Reason: fmt.Sprintf("The role was made on %s, and nobody has ever assumed it.", created.Format(time.DateOnly))})
	})
}

func unused(p *rule.Pass) {
	usedRoles(p, func(role *org.Principal, ways []*access.Edge) {
		entries := entriesFor(p, role.ARN)
		if exempt(entries) {
			return
		}
		limit := patience(p, entries)
		last := role.Role.LastUsed
		if seen := p.Usage.LastUse(role.ARN, usage.Anybody); seen.After(last) {
			last = seen
		}
		used, known := p.Usage.Services(role.ARN, p.Now.Add(-limit), collected(p))
		switch {
		case used:
		case last.IsZero() && known && p.Now.Sub(role.Role.Created) > limit:
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: "By IAM's last accessed data the role used no service for " + registry.FormatSpan(limit) + " or longer."})
		case last.IsZero() && !p.Usage.Covers(role.Account, p.Now.Add(-limit), p.Now):
			p.NotAssessed(role.ARN, "neither when the role was last used is in the input, nor a record of use that reaches far enough", evidenceOf(ways[0])...)
		case last.IsZero(): // USE-001
		case p.Now.Sub(last) > limit:
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Evidence: evidenceOf(ways[0]),
				Reason: fmt.Sprintf("The role was last used on %s, longer ago than %s.", last.Format(time.DateOnly), registry.FormatSpan(limit))})
		}
	})
}

// collected is when the facts of IAM were read.
func collected(p *rule.Pass) time.Time {
	if at := p.Org.Snapshot.Collected; !at.IsZero() {
		return at
	}
	return p.Now
}

func unusedPrincipal(p *rule.Pass) {
	if !recorded(p) {
		return
	}
	usedRoles(p, func(role *org.Principal, ways []*access.Edge) {
		entries := entriesFor(p, role.ARN)
		limit := patience(p, entries)
		from := p.Now.Add(-limit)
		if exempt(entries) || len(ways) < 2 || p.Usage.LastUse(role.ARN, usage.Anybody).Before(from) {
			return // one caller, or a role that nobody uses: USE-002
		}
		if !p.Usage.Covers(role.Account, from, p.Now) {
			p.NotAssessed(role.ARN, "the record of use does not reach back "+registry.FormatSpan(limit), evidenceOf(ways[0])...)
			return
		}
		for _, e := range ways {
			last := p.Usage.LastUse(role.ARN, calls(e))
			if !last.Before(from) {
				continue
			}
			reason := fmt.Sprintf("Others use the role, and %s never does.", e.Grantee.ID)
			if !last.IsZero() {
				reason = fmt.Sprintf("Others use the role, and %s last did on %s.", e.Grantee.ID, last.Format(time.DateOnly))
			}
			p.Report(finding.Finding{Subject: role.ARN + "#" + e.Grantee.ID, Account: role.Account, Grantee: e.Grantee.ID, Evidence: evidenceOf(e), Reason: reason})
		}
	})
}

func usedUnregistered(p *rule.Pass) {
	if !declared(p) || !recorded(p) {
		return
	}
	for i := range p.Usage.Crossings {
		c := &p.Usage.Crossings[i]
		account := access.AccountOf(c.Target)
		if c.Count == 0 || arn.Account(c.Caller) == account || strings.HasSuffix(c.Caller, ".amazonaws.com") || declaredCaller(p, c) {
			continue
		}
		p.Report(finding.Finding{Subject: c.Target, Account: account, Grantee: c.Caller,
			Reason: fmt.Sprintf("%s used it %s, the last time on %s, and no entry of the registry lets it in.", c.Caller, times(c.Count), c.Last.Format(time.DateOnly))})
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func declaredCaller(p *rule.Pass, c *usage.Crossing) bool {
	return slices.ContainsFunc(entriesFor(p, c.Target), func(e *registry.Entry) bool { return e.From.Admits(c.Caller) })
}

func refusedAttempts(p *rule.Pass) {
	if !recorded(p) {
		return
	}
	type attempts struct {
		count   int
		targets []string
		last    time.Time
	}
	byAccount := map[string]*attempts{}
	var accounts []string
	for i := range p.Usage.Crossings {
		c := &p.Usage.Crossings[i]
		from := arn.Account(c.Caller)
		if c.Denied == 0 || from == "" || p.Org.Membership(from) == org.Inside {
			continue
		}
		a := byAccount[from]
		if a == nil {
			a = &attempts{}
			byAccount[from] = a
			accounts = append(accounts, from)
		}
		a.count += c.Denied
		a.targets = append(a.targets, c.Target)
		if c.LastDenied.After(a.last) {
			a.last = c.LastDenied
		}
	}
	slices.Sort(accounts)
	for _, id := range accounts {
		a := byAccount[id]
		slices.Sort(a.targets)
		a.targets = slices.Compact(a.targets)
		p.Report(finding.Finding{Subject: id, Account: id,
			Reason: fmt.Sprintf("Account %s was refused %s on %d roles or resources, the last time on %s: %s.", id, times(a.count), len(a.targets), a.last.Format(time.DateOnly), a.targets[0])})
	}
}

func personBehindMachine(p *rule.Pass) {
	if !declared(p) || !recorded(p) {
		return
	}
	for _, pair := range p.Registry.Pairs() {
		if pair.Entry.Identity != "machine" {
			continue
		}
		for _, c := range p.Usage.On(pair.Target) {
			if c.Count > 0 && person(c.Caller) {
				p.Report(finding.Finding{Subject: c.Target, Account: access.AccountOf(c.Target), Grantee: c.Caller,
					Reason: fmt.Sprintf("Entry %s is for machines, and %s, a person, used it on %s.", pair.Entry.Name, c.Caller, c.Last.Format(time.DateOnly))})
			}
		}
	}
}

// person: an IAM user, or a role of IAM Identity Center, which people sign in to.
func person(caller string) bool {
	return strings.Contains(caller, ":user/") || strings.Contains(caller, "/AWSReservedSSO_")
}

func breakGlassUnwatched(p *rule.Pass) {
	entries(p, func(e *registry.Entry) {
		if !e.BreakGlass {
			return
		}
		for _, target := range e.To.Targets() {
			for _, c := range p.Usage.On(target) {
				if c.Unapproved > 0 {
					p.Report(finding.Finding{Subject: target, Account: access.AccountOf(target), Grantee: c.Caller,
						Reason: fmt.Sprintf("%s used the break-glass role on %s, and no request was open.", c.Caller, c.Last.Format(time.DateOnly))})
				}
			}
		}
		limit := time.Duration(p.Parameters.BreakGlassDrillDays) * day
		if e.LastDrill.IsZero() || p.Now.Sub(e.LastDrill.Time) > limit {
			reason := "The entry is for break-glass and was never tried out."
			if !e.LastDrill.IsZero() {
				reason = fmt.Sprintf("The entry is for break-glass and was last tried out on %s, longer ago than %s.", e.LastDrill, registry.FormatSpan(limit))
			}
			p.Report(finding.Finding{Subject: e.Name, Severity: finding.Medium, Reason: reason})
		}
	})
}

func noEvidence(p *rule.Pass) {
	seen := map[string]bool{}
	usedRoles(p, func(role *org.Principal, _ []*access.Edge) {
		if seen[role.Account] {
			return
		}
		seen[role.Account] = true
		from := p.Now.Add(-time.Duration(p.Parameters.StaleDays) * day)
		if !p.Usage.Covers(role.Account, from, p.Now) {
			reason := "No record of use of the account was given"
			if p.Usage.Known(role.Account) {
				reason = "The record of use of the account has holes, or does not reach back " + registry.FormatSpan(p.Now.Sub(from))
			}
			p.Report(finding.Finding{Subject: role.Account, Account: role.Account, Reason: reason + ": nothing in it is called stale for want of use."})
		}
	})
}
