// Package rule is the shape of a rule, its parameters, the runner, and the harness that every rule must pass: a flagged, a
// clean and a not-assessed case. The rules themselves are in package catalog.
package rule

import (
	"time"

	"drawbridge/iam/arn"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// Rule is a record with a function. Everything but Check is data from which documentation and SARIF metadata are made.
type Rule struct {
	ID       string // never reused
	Title    string
	Detects  string
	Why      string // why it matters
	Remedy   string
	Severity finding.Severity
	Since    string // version of Drawbridge
	// Parameters names the fields of Parameters that the rule reads.
	Parameters []string
	Controls   Controls
	Example    Example
	// NeverUnassessed says why no missing fact can keep the rule from judging, "" where one can: then the rule has a case in
	// which it reports that it could not assess.
	NeverUnassessed string
	// Planned: the rule is about a change before it exists. Package gate judges it, and there is no Check: Run is not given such rules.
	Planned bool
	Check   func(*Pass)
}

// Controls maps a rule to the frameworks' ids.
type Controls struct {
	NHI    []string // OWASP NHI Top 10 2025
	Tenets []int    // SP 800-207, section 2.1
	CSF    []string // CSF 2.0
	NIST   []string // SP 800-53 r5
	CIS    string   // CIS AWS and Security Hub
}

// Example shows the problem and its remedy as policy JSON.
type Example struct{ Before, After string }

// Input is all that rules look at.
type Input struct {
	Graph    *access.Graph
	Org      *org.Org
	Vendors  []snapshot.KnownVendor
	Registry *registry.Registry // nil: no registry was given
	// Usage is recorded use; nil: what the snapshot says of it.
	Usage      *usage.Record
	Parameters Parameters
	Now        time.Time

	reconciled func() []registry.Item
	declared   func() declarations
}

// Reconciled is what was declared against what exists, worked out once for all rules of a run; nil without a registry.
func (in *Input) Reconciled() []registry.Item { return in.reconciled() }

// declarations are the pairs of the registry by what they are asked for.
type declarations struct {
	byTarget map[string][]registry.Pair
	accounts map[string]bool // of the sources
}

func declare(r *registry.Registry) declarations {
	d := declarations{map[string][]registry.Pair{}, map[string]bool{}}
	for _, p := range r.Pairs() {
		d.byTarget[p.Target] = append(d.byTarget[p.Target], p)
		d.accounts[p.Source] = true
		d.accounts[arn.Account(p.Source)] = true
	}
	delete(d.accounts, "")
	return d
}

// Declared are the pairs of the registry that lead to a target, in the order of the registry. None where no registry was given.
func (in *Input) Declared(target string) []registry.Pair { return in.declared().byTarget[target] }

// DeclaresAccount reports whether an entry of the registry names the account, or somebody of it, as a source.
func (in *Input) DeclaresAccount(account string) bool { return in.declared().accounts[account] }

// Parameters are the thresholds of rules; the zero value of a field means its default.
type Parameters struct {
	MaxSessionSeconds     int            // SES-001
	MaxHops               int            // CHN-002
	ReviewDays            int            // REG-004: longest time since the last review
	StaleDays             int            // USE-002, USE-003: no use for more days is unused
	NeverUsedDays         int            // USE-001: age from which a grant without any use counts
	BreakGlassDrillDays   int            // USE-007: longest time since the last drill
	ChainedSessionSeconds int            // CHN-003
	ExternalIDMinLength   int            // EXT-003
	DataDays              int            // COV-001: age from which what was read of an account is too old
	WideOrgMembers        int            // TRU-003: member count from which an OU is wide
	EnvClass              map[string]int // CHN-005: order of environments
	CriticalTagKey        string         // CHN-001
	CriticalTagValue      string
}

// Pass is one run of one rule.
type Pass struct {
	*Input
	rule   *Rule
	report func(finding.Finding)
}
