package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// externalRules judge trusts in third parties: vendors, and accounts of which nobody knows whose they are.
var externalRules = []rule.Rule{
	{
		ID: "EXT-001", Title: "Third party without ExternalId",
		Detects:  "Allow sts:AssumeRole to an account that the registry or the vendor list marks third party (or that is unknown) and this statement has no sts:ExternalId test",
		Why:      "The vendor acts for many customers. Another customer who knows the role's ARN can have the vendor assume it (the confused deputy).",
		Remedy:   "Demand with StringEquals the sts:ExternalId that the vendor generated for you.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025", "NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-03", "GV.SC-07"}, NIST: []string{"IA-8", "IA-9", "SA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"},"Action":"sts:AssumeRole"}`,
			After:  `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"}}}`,
		},
		Check: thirdPartyWithoutExternalID,
	},
	{
		ID: "EXT-002", Title: "ExternalId test does not test",
		Detects:  "StringLike \"*\" or a pattern, *IfExists, negated operator, empty value, policy variable, or Null only",
		Why:      "The test is there and any value, or none, passes: presence checks are satisfied and the confused deputy is not stopped.",
		Remedy:   "Demand one full value with StringEquals.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025", "NHI4:2025"}, Tenets: []int{4, 6}, CSF: []string{"PR.AA-03"}, NIST: []string{"IA-8", "SI-10"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Condition":{"StringLike":{"sts:ExternalId":"*"}}}`,
			After:  `{"Condition":{"StringEquals":{"sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"}}}`,
		},
		Check: externalIDDoesNotTest,
	},
	{
		ID: "EXT-003", Title: "ExternalId guessable",
		Detects:  "Value is the own or the vendor account id, the organization or company name, shorter than 16 characters, sequential, or a documented vendor default",
		Why:      "An ExternalId that can be guessed is none: the attacker who has the vendor as deputy only needs to try.",
		Remedy:   "Let the vendor generate a random value, a UUID or longer, for each customer.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls:   rule.Controls{NHI: []string{"NHI4:2025", "NHI3:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-01", "PR.AA-03"}, NIST: []string{"IA-5", "IA-8"}, CIS: ""},
		Parameters: []string{"ExternalIDMinLength"},
		Example: rule.Example{
			Before: `{"Condition":{"StringEquals":{"sts:ExternalId":"acme"}}}`,
			After:  `{"Condition":{"StringEquals":{"sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"}}}`,
		},
		Check: externalIDGuessable,
	},
	{
		ID: "EXT-004", Title: "ExternalId reused",
		Detects:  "The same value in trust policies of different vendors, or of production and non-production",
		Why:      "One vendor, or one environment, that leaks the value opens the other.",
		Remedy:   "Agree on one value for each relationship.",
		Severity: finding.Medium, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI9:2025", "NHI8:2025"}, Tenets: []int{3}, CSF: []string{"PR.AA-01"}, NIST: []string{"IA-5", "IA-4"}, CIS: ""},
		Example: rule.Example{
			Before: `[{"role":"prod/monitor","sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"},{"role":"dev/monitor","sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"}]`,
			After:  `[{"role":"prod/monitor","sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"},{"role":"dev/monitor","sts:ExternalId":"0b51d0c8-3e0e-4f0b-8b39-6d2a2f8f1c17"}]`,
		},
		Check: externalIDReused,
	},
	{
		ID: "EXT-005", Title: "One statement without ExternalId undoes the others",
		Detects:  "A trust policy in which the same third party is allowed by one statement with and by another without the test",
		Why:      "The statement without the test lets in whom the other statement stops.",
		Remedy:   "Merge the statements, or add the test to each.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025", "NHI4:2025"}, Tenets: []int{6}, CSF: []string{"PR.AA-03"}, NIST: []string{"IA-8", "AC-3"}, CIS: ""},
		Example: rule.Example{
			Before: `[{"Principal":{"AWS":"444455556666"},"Condition":{"StringEquals":{"sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"}}},{"Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"}}]`,
			After:  `[{"Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"},"Condition":{"StringEquals":{"sts:ExternalId":"f7c1f1d2-6a1f-4c2e-9e55-2c3a0b9b7d42"}}}]`,
		},
		Check: oneStatementUndoes,
	},
	{
		ID: "EXT-006", Title: "Unknown external account",
		Detects:  "External account id that is in neither the organization, nor the registry, nor the vendor list",
		Why:      "Nobody can say who is behind the account, or whether the trust is still wanted.",
		Remedy:   "Find out whose account it is and list it as a vendor, or remove the trust.",
		Severity: finding.High, Since: "0.1.0",
		Controls: rule.Controls{NHI: []string{"NHI3:2025"}, Tenets: []int{5, 7}, CSF: []string{"ID.AM-04", "GV.SC-04"}, NIST: []string{"AC-20", "CA-3", "SA-9"}, CIS: ""},
		Example: rule.Example{
			Before: `{"Principal":{"AWS":"arn:aws:iam::999988887777:root"}}`,
			After:  `{"Principal":{"AWS":"arn:aws:iam::444455556666:role/collector"}}`,
		},
		Check: unknownExternalAccount,
	},
}

// externalID is the key by which a vendor says for which customer it acts (rule 42).
const externalID = "sts:ExternalId"

// vendorOf finds the known vendor of an account.
func vendorOf(p *rule.Pass, account string) (snapshot.KnownVendor, bool) {
	for _, v := range p.Vendors {
		if slices.Contains(v.Accounts, account) {
			return v, true
		}
	}
	return snapshot.KnownVendor{}, false
}

// thirdParties calls judge for every statement of a trust policy that lets in a third party by AssumeRole. An account of
// AWS itself is none; where nobody knows whether an account is a member, and no list names it as a vendor, the role is not
// assessed.
func thirdParties(p *rule.Pass, judge func(e *access.Edge, g *access.Grant)) {
	concerns := func(e *access.Edge) bool {
		return e.CrossAccount && e.Grantee.Account != "" && e.Grantee.Relation != access.SameOrg
	}
	accountTrusts(p, concerns, func(e *access.Edge, g *access.Grant) {
		v, listed := vendorOf(p, e.Grantee.Account)
		switch {
		case listed && v.AWS:
		case !listed && e.Grantee.Relation == access.RelationUnknown:
			p.NotAssessed(e.Target.ARN, "whether account "+e.Grantee.Account+" is a third party is not in the input", g.Evidence)
		case g.Condition.Require(externalID).Opaque:
			p.NotAssessed(e.Target.ARN, "a condition of its trust policy is not understood: "+g.Condition.String(), g.Evidence)
		default:
			judge(e, g)
		}
	})
}

// party names the third party of an edge.
func party(p *rule.Pass, e *access.Edge) string {
	return e.Grantee.Account + accountName(p, e.Grantee.Account)
}

func thirdPartyWithoutExternalID(p *rule.Pass) {
	thirdParties(p, func(e *access.Edge, g *access.Grant) {
		if r := g.Condition.Require(externalID); !r.Tested && !g.Condition.IsNever() {
			p.ReportEdge(e, finding.Finding{Evidence: []access.Evidence{g.Evidence}, Reason: fmt.Sprintf("The third party %s may assume the role, and nothing says for which of its customers: sts:ExternalId is not tested.", party(p, e))})
		}
	})
}

func externalIDDoesNotTest(p *rule.Pass) {
	thirdParties(p, func(e *access.Edge, g *access.Grant) {
		r := g.Condition.Require(externalID)
		if r.Tested && !g.Condition.IsNever() && (!r.Exact() || slices.Contains(r.Values, "")) {
			p.ReportEdge(e, finding.Finding{Evidence: []access.Evidence{g.Evidence}, Reason: fmt.Sprintf("The third party %s passes the test of sts:ExternalId without its own value: %s.", party(p, e), looseness(r))})
		}
	})
}

// looseness says what a test of the ExternalId lets through.
func looseness(r cond.Requirement) string {
	switch {
	case r.Absent:
		return "a request without an ExternalId passes"
	case r.Variable:
		return "the value depends on the request itself"
	case len(r.Patterns) > 0:
		return "whatever fits " + strings.Join(r.Patterns, " or ") + " passes"
	case slices.Contains(r.Values, ""):
		return "an empty value passes"
	}
	return "any value passes"
}

func externalIDGuessable(p *rule.Pass) {
	thirdParties(p, func(e *access.Edge, g *access.Grant) {
		r := g.Condition.Require(externalID)
		for _, v := range r.Values {
			if why := guessable(p, e, v); why != "" {
				p.ReportEdge(e, finding.Finding{Evidence: []access.Evidence{g.Evidence}, Reason: fmt.Sprintf("The ExternalId %q can be guessed: it is %s.", v, why), Facts: map[string]string{externalID: v}})
			}
		}
	})
}

// guessable says what a value gives away, "" where nothing.
func guessable(p *rule.Pass, e *access.Edge, v string) string {
	lower := strings.ToLower(v)
	names := map[string]string{}
	add := func(name, what string) {
		if len(name) > 2 {
			names[strings.ToLower(name)] = what
		}
	}
	add(e.Target.Account, "the account's own id")
	add(e.Grantee.Account, "the third party's account id")
	add(p.Org.ID, "the organisation's id")
	if a, ok := p.Org.Account(e.Target.Account); ok {
		add(a.Name, "the account's name")
	}
	if vendor, ok := vendorOf(p, e.Grantee.Account); ok {
		add(vendor.Name, "the vendor's name")
	}
	if what, ok := names[lower]; ok {
		return what
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if strings.HasPrefix(lower, name) || strings.HasSuffix(lower, name) {
			if len(v) < p.Parameters.ExternalIDMinLength+len(name) {
				return names[name] + " with a little around it"
			}
		}
	}
	switch {
	case arn.IsAccountID(v):
		return "an account id"
	case len(v) < p.Parameters.ExternalIDMinLength:
		return fmt.Sprintf("%d characters long, fewer than %d", len(v), p.Parameters.ExternalIDMinLength)
	case sequential(v):
		return "a sequence"
	}
	return ""
}

// sequential reports whether each character follows from the one before: all equal, or counting up or down.
func sequential(v string) bool {
	for _, step := range [...]int{0, 1, -1} {
		same := true
		for i := 1; i < len(v) && same; i++ {
			d := int(v[i]) - int(v[i-1])
			same = d == step || step != 0 && v[i-1]-'0' <= 9 && (int(v[i-1]-'0')+step+10)%10 == int(v[i]-'0')
		}
		if same {
			return true
		}
	}
	return false
}

func externalIDReused(p *rule.Pass) {
	uses := map[string][]*access.Edge{}
	thirdParties(p, func(e *access.Edge, g *access.Grant) {
		for _, v := range g.Condition.Require(externalID).Values {
			if !slices.Contains(uses[v], e) {
				uses[v] = append(uses[v], e)
			}
		}
	})
	for _, v := range slices.Sorted(maps.Keys(uses)) {
		for _, e := range uses[v] {
			judgeReuse(p, v, e, uses[v])
		}
	}
}

// judgeReuse compares one use of a value with the others.
func judgeReuse(p *rule.Pass, v string, e *access.Edge, uses []*access.Edge) {
	for _, other := range uses {
		if other == e {
			continue
		}
		mine, theirs := relationship(p, e), relationship(p, other)
		env, otherEnv := environment(p, e), environment(p, other)
		switch {
		case mine != theirs:
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("%s is given the ExternalId that %s also uses, for %s.", mine, theirs, other.Target.ARN), Facts: map[string]string{externalID: v}})
		case env == "" || otherEnv == "":
			if e.Target.Account != other.Target.Account {
				p.NotAssessed(e.Target.ARN, "the environment of account "+e.Target.Account+" or "+other.Target.Account+", which share an ExternalId, is not in the input", evidenceOf(e)...)
			}
		case (env == "prod") != (otherEnv == "prod"):
			p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Production and %s share one ExternalId: see %s.", map[bool]string{true: otherEnv, false: env}[env == "prod"], other.Target.ARN), Facts: map[string]string{externalID: v}})
		}
	}
}

// relationship names whom a value belongs to: the vendor, or the account where it is no known vendor's.
func relationship(p *rule.Pass, e *access.Edge) string {
	if v, ok := vendorOf(p, e.Grantee.Account); ok {
		return v.Name
	}
	return e.Grantee.Account
}

func environment(p *rule.Pass, e *access.Edge) string {
	if a, ok := p.Org.Account(e.Target.Account); ok {
		return a.Environment
	}
	return ""
}

func oneStatementUndoes(p *rule.Pass) {
	type pair struct{ target, account string }
	with, without := map[pair]*access.Grant{}, map[pair]*access.Edge{}
	thirdParties(p, func(e *access.Edge, g *access.Grant) {
		key := pair{e.Target.ARN, relationship(p, e)}
		if r := g.Condition.Require(externalID); r.Exact() {
			with[key] = g
		} else if !r.Tested {
			without[key] = e
		}
	})
	for _, key := range slices.SortedFunc(maps.Keys(without), func(a, b pair) int { return strings.Compare(a.target+a.account, b.target+b.account) }) {
		if g, ok := with[key]; ok {
			e := without[key]
			p.ReportEdge(e, finding.Finding{
				Reason:   fmt.Sprintf("One statement demands an ExternalId of %s, and another lets it in without.", party(p, e)),
				Evidence: append(evidenceOf(e), g.Evidence),
			})
		}
	}
}

func unknownExternalAccount(p *rule.Pass) {
	for _, e := range p.Graph.Edges {
		judgeOwner(p, e)
		if !isAnyone(e) {
			continue
		}
		for i := range e.Grants {
			for _, account := range accountsOf(e.Grants[i].Condition) {
				judgeOwner(p, narrow(p, e, &e.Grants[i], account))
			}
		}
	}
}

// judgeOwner reports a trust in an account of which no list says whose it is.
func judgeOwner(p *rule.Pass, e *access.Edge) {
	account := e.Grantee.Account
	if account == "" || !e.CrossAccount || e.Grantee.Relation == access.SameOrg {
		return
	}
	if _, listed := vendorOf(p, account); listed || p.DeclaresAccount(account) {
		return
	}
	if a, ok := p.Org.Account(account); ok && a.Kind == snapshot.Vendor {
		return
	}
	if p.Org.Membership(account) == org.MembershipUnknown {
		p.NotAssessed(e.Target.ARN, "whether account "+account+" belongs to the organisation is not in the input", evidenceOf(e)...)
		return
	}
	p.ReportEdge(e, finding.Finding{Reason: fmt.Sprintf("Account %s is in neither the organisation, nor the registry, nor the list of vendors.", account)})
}
