// Package finding holds what a rule found: a computed problem with its evidence, a fingerprint that stays the same as
// long as the problem does, exceptions that accept one for a time, and the difference of two runs.
package finding

import (
	"drawbridge/internal/access"
)

// Severity orders findings. The zero value is Info.
type Severity uint8

const (
	Info Severity = iota
	Low
	Medium
	High
	Critical
)

func (s Severity) String() string {
	return [...]string{"info", "low", "medium", "high", "critical"}[s]
}

// Status says how sure a finding is.
type Status uint8

const (
	Confirmed   Status = iota // what was read shows the problem
	NotAssessed               // a fact is missing: the rule could not say whether the problem is there
)

func (s Status) String() string { return [...]string{"confirmed", "not assessed"}[s] }

// Finding is one computed problem.
type Finding struct {
	Rule     string // TRU-004
	Title    string
	Severity Severity
	Status   Status
	// Subject is the role or resource whose policy grants (see the scenario format for the exceptions): an ARN, an account
	// id, account/region.
	Subject string
	Account string // of the subject
	// Grantee is whom it concerns, "" where the finding is about the subject as a whole.
	Grantee string
	// Reason says in one sentence what is wrong here, with names and values.
	Reason   string
	Remedy   string
	Evidence []access.Evidence
	// Facts are values worth reading by machine, by name: "externalId", "members".
	Facts map[string]string
	// Lowered says which guard lowers the severity ("RCP deny-outside-org denies it"), "" where none does.
	Lowered string
	// Fingerprint identifies the problem across runs: rule, subject and what distinguishes two problems of one rule on
	// one subject, never positions or wording.
	Fingerprint string
}
