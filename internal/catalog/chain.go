package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// chainRules judge where somebody gets in more than one step, or from where.
var chainRules = []rule.Rule{
	{
		ID: "CHN-001", Title: "Outside reaches a crown jewel",
		Detects:  "A path of assume, federation, grant or escalation steps from an external principal to a resource tagged critical",
		Why:      "This is the way an attacker takes: from somewhere outside, step by step, to what hurts most.",
		Remedy:   "Cut the cheapest step, which the finding names.",
		Severity: finding.Critical, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI5:2025", "NHI3:2025"}, Tenets: []int{1, 6}, CSF: []string{"ID.RA-05", "PR.AA-05"}, NIST: []string{"AC-4", "AC-6", "RA-3"}, CIS: ""},
		Parameters: []string{"CriticalTagKey", "CriticalTagValue"},
		Example: rule.Example{
			Before: `{"path":["vendor collector","role/monitor","role/backup","s3 acme-ledger (critical)"]}`,
			After:  `{"path":["vendor collector","role/monitor"]}`,
		},
		Check: outsideReachesCrownJewel,
	},
	{
		ID: "CHN-002", Title: "Chain longer than allowed",
		Detects:  "Shortest path between a registered caller and its target has more role hops than policy (default 1)",
		Why:      "Every hop is a place where the request can be joined by somebody else, and where the log loses who it was.",
		Remedy:   "Trust the caller directly, or lead the crossing through a broker.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI5:2025"}, Tenets: []int{3}, CSF: []string{"PR.AA-05", "GV.PO-01"}, NIST: []string{"AC-3", "AC-6"}, CIS: ""},
		Parameters: []string{"MaxHops"},
		Example: rule.Example{
			Before: `{"path":["role/ci","role/deploy-hub","role/deploy"]}`,
			After:  `{"path":["role/ci","role/deploy"]}`,
		},
		Check: chainTooLong,
	},
	{
		ID: "CHN-003", Title: "Chained hop expects more than one hour",
		Detects:  "A registered or observed use needs over 3600 s and the last hop is role chaining, or MaxSessionDuration over 3600 on a role reached only by chaining",
		Why:      "AWS ends a session got by role chaining after one hour, whatever the role allows: the work breaks off, and people give it long-lived keys instead.",
		Remedy:   "A chained session ends after one hour: let the work renew it, or let it come from a first identity without a chain.",
		Severity: finding.Low, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI7:2025"}, Tenets: []int{3}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-12", "AC-2"}, CIS: ""},
		Parameters: []string{"ChainedSessionSeconds"},
		Example: rule.Example{
			Before: `{"path":["role/ci","role/hub","role/deploy"],"needs":"4h","gets":"1h"}`,
			After:  `{"path":["role/ci","role/deploy"],"needs":"4h","gets":"4h"}`,
		},
		Check: chainedHopTooShort,
	},
	{
		ID: "CHN-004", Title: "Cycle of roles",
		Detects:  "Roles that can assume each other, or themselves, directly or through accounts: session never ends",
		Why:      "Whoever holds one of the roles can renew the session for ever by going round: no session limit counts any more.",
		Remedy:   "Remove one of the trusts, so that no role can come back to itself.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI7:2025", "NHI9:2025"}, Tenets: []int{3}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-12", "AC-6"}, CIS: ""},
		Example: rule.Example{
			Before: `{"role/a trusts":"role/b","role/b trusts":"role/a"}`,
			After:  `{"role/b trusts":"role/a"}`,
		},
		Check: cycleOfRoles,
	},
	{
		ID: "CHN-005", Title: "Lower environment reaches production",
		Detects:  "Path from an account of a lower environment class to one of a higher class",
		Why:      "Lower environments are guarded less. Whoever takes one over arrives in production.",
		Remedy:   "Remove the path, or lead it through a broker with approval.",
		Severity: finding.High, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI8:2025"}, Tenets: []int{1, 6}, CSF: []string{"PR.IR-01", "PR.AA-05"}, NIST: []string{"AC-4", "CM-2"}, CIS: ""},
		Parameters: []string{"EnvClass"},
		Example: rule.Example{
			Before: `{"path":["dev role/ci","prod role/deploy"]}`,
			After:  `{"path":["tooling role/release","prod role/deploy"]}`,
		},
		Check: lowerReachesHigher,
	},
}

// critical reports whether tags mark something as critical.
func critical(p *rule.Pass, tags map[string]string) bool {
	return p.Parameters.CriticalTagKey != "" && tags[p.Parameters.CriticalTagKey] == p.Parameters.CriticalTagValue
}

func outsideReachesCrownJewel(p *rule.Pass) {
	entries, unread := fromOutside(p)
	reach, possible := p.Graph.ReachFrom(entries), p.Graph.ReachFrom(unread)
	notKnown := func(subject string, way []*access.Edge) {
		p.NotAssessed(subject, "who may get as far as "+way[0].Target.ARN+", from where it is reached, is not known: its trust policy could not be read", evidenceOfWay(way)...)
	}
	for _, role := range p.Org.Principals {
		if role.Role == nil || !critical(p, role.Tags) {
			continue
		}
		if way := reach.Way(role); way != nil {
			reportJewel(p, role.ARN, role.Account, way, "")
		} else if way := possible.Way(role); way != nil {
			notKnown(role.ARN, way)
		}
	}
	for _, r := range p.Org.Resources {
		if !critical(p, r.Tags) {
			continue
		}
		if r.Policy != nil && len(r.Policy.Unresolved) > 0 {
			p.NotAssessed(r.ARN, r.Policy.Unresolved[0])
		}
		if i := slices.IndexFunc(entries, func(e *access.Edge) bool { return e.Target.ARN == r.ARN }); i >= 0 {
			reportJewel(p, r.ARN, r.Account, entries[i:i+1], "")
			continue
		}
		if role, action := firstOnto(p, reach.Order, r); role != nil {
			reportJewel(p, r.ARN, r.Account, reach.Way(role), action)
		} else if role, _ := firstOnto(p, possible.Order, r); role != nil {
			notKnown(r.ARN, possible.Way(role))
		}
	}
}

// firstOnto is the first of the roles that can or may act on a resource, and by which action; nil where none is.
func firstOnto(p *rule.Pass, roles []*org.Principal, r *org.Resource) (role *org.Principal, action string) {
	for _, role := range roles {
		if action, verdict := p.Graph.ActsOn(role, r); verdict != eval.Deny {
			return role, action
		}
	}
	return nil, ""
}

// reportJewel reports the shortest way found and names its first step as the one to cut.
func reportJewel(p *rule.Pass, subject, account string, way []*access.Edge, action string) {
	var steps []string
	var evidence []access.Evidence
	certain := true
	for _, e := range way {
		steps = append(steps, e.Target.ARN)
		evidence = append(evidence, e.By)
		certain = certain && e.Verdict == eval.Allow
	}
	end := strings.Join(steps, ", then ")
	if action != "" {
		end += ", which may " + action + " on it"
	}
	reason := fmt.Sprintf("From outside, %s reaches it: %s.", way[0].Grantee.ID, end)
	if !certain {
		reason = strings.TrimSuffix(reason, ".") + ", where the conditions of each step are met."
	}
	p.Report(finding.Finding{
		Subject: subject, Account: account, Evidence: evidence, Reason: reason,
		Remedy: fmt.Sprintf("Cut the first step: the trust of %s in %s", way[0].Target.ARN, way[0].Grantee.ID),
		Facts:  map[string]string{"entry": way[0].Target.ARN, "from": way[0].Grantee.ID},
	})
}

// registeredPaths calls judge for every registered trust in a role, with the fewest role hops from its source. Without a
// registry nobody has said what the trusts are for: that is said once.
func registeredPaths(p *rule.Pass, judge func(source, target string, needs time.Duration, way []*access.Edge)) {
	if p.Registry == nil {
		p.NotAssessed(organizationName(p), "no registry was given, and so no registered callers")
		return
	}
	for _, e := range p.Registry.Pairs() {
		from, known := p.Org.Principal(e.Source)
		to, ok := p.Org.Principal(e.Target)
		if known && ok {
			if way := p.Graph.ShortestWay(from, to); way != nil {
				judge(e.Source, e.Target, e.Entry.Use.Needs, way)
			}
			continue
		}
		if _, resource := p.Org.Resource(e.Target); !ok && !resource {
			p.NotAssessed(e.Target, "the target of the registered trust "+e.Entry.Name+" is not in the input")
			continue
		}
		if !known && !strings.HasPrefix(e.Source, "oidc:") {
			p.NotAssessed(e.Target, e.Source+", the source of the registered trust "+e.Entry.Name+", is not in the input")
			continue
		}
		if strings.HasPrefix(e.Source, "oidc:") {
			if direct := p.Graph.SubjectEdge(e.Source, e.Target); direct != nil {
				judge(e.Source, e.Target, e.Entry.Use.Needs, []*access.Edge{direct}) // no way is shorter
				continue
			}
		}
		// A subject has no principal, and a resource no role to end on: the search for paths knows both. A path ends with the
		// step onto the resource, which is no role hop.
		paths, err := p.Graph.Paths(e.Source, e.Target, access.PathOptions{Limit: 1})
		if err != nil {
			p.NotAssessed(e.Target, "the registered trust "+e.Entry.Name+": "+err.Error())
			continue
		}
		if len(paths) == 0 {
			continue
		}
		way := slices.Clone(paths[0].Steps)
		for len(way) > 0 && way[len(way)-1].Target.Role == nil {
			way = way[:len(way)-1]
		}
		if len(way) > 0 {
			judge(e.Source, e.Target, e.Entry.Use.Needs, way)
		}
	}
}

func organizationName(p *rule.Pass) string {
	if p.Org.ID != "" {
		return p.Org.ID
	}
	return "organization"
}

func evidenceOfWay(way []*access.Edge) []access.Evidence {
	var evidence []access.Evidence
	for _, e := range way {
		evidence = append(evidence, e.By)
	}
	return evidence
}

func chainTooLong(p *rule.Pass) {
	registeredPaths(p, func(source, target string, _ time.Duration, way []*access.Edge) {
		if len(way) > p.Parameters.MaxHops {
			p.Report(finding.Finding{Subject: target, Grantee: source, Evidence: evidenceOfWay(way),
				Reason: fmt.Sprintf("%s needs %d role hops to get here, and %d is allowed: by way of %s.", source, len(way), p.Parameters.MaxHops, way[0].Target.ARN)})
		}
	})
}

func chainedHopTooShort(p *rule.Pass) {
	limit := time.Duration(p.Parameters.ChainedSessionSeconds) * time.Second
	registeredPaths(p, func(source, target string, needs time.Duration, way []*access.Edge) {
		if needs > limit && len(way) > 1 {
			p.Report(finding.Finding{Subject: target, Grantee: source, Evidence: evidenceOfWay(way),
				Reason: fmt.Sprintf("The work of %s needs %s, and the last hop is role chaining, which AWS ends after %s.", source, needs, limit)})
		}
	})
	for _, role := range p.Org.Principals {
		if role.Role != nil && role.Role.MaxSession > limit && onlyByChaining(p, role) {
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account,
				Reason: fmt.Sprintf("The role allows sessions of %s, and it is reached by role chaining only, which AWS ends after %s.", role.Role.MaxSession, limit)})
		}
	}
}

// onlyByChaining reports whether every way into a role starts from a role that is itself only assumed by principals: a
// service or a token would give the caller a session that is no chaining (rule 126).
func onlyByChaining(p *rule.Pass, role *org.Principal) bool {
	ways := 0
	for _, e := range p.Graph.EdgesTo(role.ARN) {
		if e.Verdict == eval.Deny {
			continue
		}
		caller := e.Grantee.Principal
		if e.Grantee.Kind != access.RoleGrantee || caller == nil || caller.Role == nil || firstHop(p, caller) {
			return false
		}
		ways++
	}
	return ways > 0
}

// firstHop reports whether a session of the role can be had without another role.
func firstHop(p *rule.Pass, role *org.Principal) bool {
	return slices.ContainsFunc(p.Graph.EdgesTo(role.ARN), func(e *access.Edge) bool {
		return e.Verdict != eval.Deny && e.Grantee.Kind != access.RoleGrantee
	})
}

func cycleOfRoles(p *rule.Pass) {
	for _, role := range p.Org.Principals {
		if role.Role != nil && len(role.Trust.Unresolved) > 0 {
			p.NotAssessed(role.ARN, role.Trust.Unresolved[0])
		}
	}
	for _, cycle := range p.Graph.Cycles() {
		if len(cycle) == 1 && len(cycle[0].Trust.Unresolved) > 0 {
			continue // that it trusts itself is not known
		}
		var names []string
		for _, role := range cycle {
			names = append(names, role.ARN)
		}
		reason := "The role may assume itself, so that its session never ends."
		if len(cycle) > 1 {
			reason = fmt.Sprintf("%d roles can come to hold each other, so that a session never ends: %s.", len(cycle), strings.Join(names[:min(len(names), 5)], ", "))
		}
		for _, role := range cycle {
			p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Reason: reason, Evidence: cycleEvidence(p, role, cycle)})
		}
	}
}

func cycleEvidence(p *rule.Pass, role *org.Principal, cycle []*org.Principal) []access.Evidence {
	for _, e := range p.Graph.In(role) {
		if slices.Contains(cycle, e.Grantee.Principal) {
			return []access.Evidence{e.By}
		}
	}
	return nil
}

// class is the order of an account's environment; known is false where it was not given.
func class(p *rule.Pass, account string) (order int, env string, known bool) {
	a, ok := p.Org.Account(account)
	if !ok || a.Membership != org.Inside {
		return 0, "", false
	}
	order, known = p.Parameters.EnvClass[a.Environment]
	return order, a.Environment, known
}

func lowerReachesHigher(p *rule.Pass) {
	reported := map[string]bool{}
	for _, e := range p.Graph.Edges {
		if forAnyone(e) && e.Verdict != eval.Deny && lowerAmongAll(p, e) {
			reported[e.Target.ARN] = true
		}
		if e.Verdict == eval.Deny || !e.CrossAccount || e.Grantee.Relation != access.SameOrg || e.Grantee.Account == "" {
			continue
		}
		from, fromEnv, known := class(p, e.Grantee.Account)
		to, toEnv, ok := class(p, e.Target.Account)
		switch {
		case !known || !ok:
			p.NotAssessed(e.Target.ARN, "the environment of account "+e.Grantee.Account+" or "+e.Target.Account+" is not in the input", evidenceOf(e)...)
		case from < to:
			reported[e.Target.ARN] = true
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s of the %s account %s reaches it in the %s account %s.", e.Grantee.ID, fromEnv, e.Grantee.Account, toEnv, e.Target.Account)})
		}
	}
	lowerByChain(p, reported)
}

// lowerAmongAll reports a statement for anyone whose conditions name whole accounts or organisations, accounts of a lower class
// among them; what names single principals is followed as a chain.
func lowerAmongAll(p *rule.Pass, e *access.Edge) bool {
	to, toEnv, known := class(p, e.Target.Account)
	if !known {
		return false
	}
	for i := range e.Grants {
		g := &e.Grants[i]
		if g.Condition.IsNever() || !audienceOf(p, g.Condition, e.Target.Account).named || namesPrincipals(g.Condition) {
			continue
		}
		var lower []string
		env := ""
		for _, a := range p.Org.Accounts {
			if from, name, ok := class(p, a.ID); ok && from < to && admits(p, g.Condition, a) {
				lower, env = append(lower, a.ID), name
			}
		}
		if len(lower) > 0 {
			p.ReportEdge(e, finding.Finding{Evidence: []access.Evidence{g.Evidence},
				Reason: fmt.Sprintf("The statement lets in %d accounts of lower environments than %s, the %s account %s among them, if %s.", len(lower), toEnv, env, lower[len(lower)-1], g.Condition)})
			return true
		}
	}
	return false
}

// lowerByChain follows crossings from the lowest environments upwards: each role is reported once, from the lowest class
// that reaches it.
func lowerByChain(p *rule.Pass, reported map[string]bool) {
	type start struct {
		class int
		role  *org.Principal
	}
	var starts []start
	for _, principal := range p.Org.Principals {
		if c, _, known := class(p, principal.Account); known {
			starts = append(starts, start{c, principal})
		}
	}
	slices.SortStableFunc(starts, func(a, b start) int { return a.class - b.class })
	lowest := map[*org.Principal]start{}
	via := map[*org.Principal]*access.Edge{} // the edge by which the search came to a role
	for _, s := range starts {
		if _, seen := lowest[s.role]; seen {
			continue
		}
		lowest[s.role] = s
		for queue := []*org.Principal{s.role}; len(queue) > 0; queue = queue[1:] {
			for _, e := range p.Graph.Out(queue[0]) {
				if _, seen := lowest[e.Target.Role]; !seen {
					lowest[e.Target.Role], via[e.Target.Role] = s, e
					queue = append(queue, e.Target.Role)
				}
			}
		}
	}
	for _, role := range p.Org.Principals {
		s, ok := lowest[role]
		to, toEnv, known := class(p, role.Account)
		if !ok || !known || s.class >= to || reported[role.ARN] || role.Role == nil {
			continue
		}
		_, fromEnv, _ := class(p, s.role.Account)
		var way []*access.Edge
		for at := role; via[at] != nil; at = via[at].Grantee.Principal {
			way = append(way, via[at])
		}
		slices.Reverse(way)
		p.Report(finding.Finding{Subject: role.ARN, Account: role.Account, Grantee: s.role.ARN, Evidence: evidenceOfWay(way),
			Reason: fmt.Sprintf("%s of the %s account %s reaches it in the %s account %s in %d steps.", s.role.ARN, fromEnv, s.role.Account, toEnv, role.Account, len(way))})
	}
}
