// Package report turns the result of a scan into the forms that people and programs read: text, JSON, SARIF, Markdown, HTML
// and CSV.
//
// A Report is a value: New makes it from what the analysis found, and each writer takes it and an io.Writer. Nothing is
// decided here, no file is opened and no clock is read. The same input gives the same bytes. The JSON form is the
// versioned contract of docs/reference/report.md; the other forms show the same facts and are free to change. Gaps come
// before numbers wherever a person reads: what could not be read is possible, never clean.
package report

import (
	"encoding/json"

	"drawbridge/internal/finding"
)

// Schema names the version of the JSON contract.
const Schema = "drawbridge.report/v1"

// Report is all that a scan has to say. Lists are sorted and never nil.
type Report struct {
	Schema string `json:"schema"`
	Tool   Tool   `json:"tool"`
	// Input is the path that was scanned, as the user wrote it.
	Input string `json:"input"`
	// Now is the time as of which the answer was given, only where it was given: reports of one input are the same bytes.
	Now string `json:"now,omitempty"`
	// Collected is when the input was collected, where it says so.
	Collected string `json:"collected,omitempty"`
	// Organization is nil where the input knows of none.
	Organization *Organization `json:"organization"`
	Summary      Summary       `json:"summary"`
	Gaps         []Gap         `json:"gaps"`
	Accounts     []Account     `json:"accounts"`
	Trusts       []Trust       `json:"trusts"`
	Findings     []Finding     `json:"findings"`
	// Paths lead from outside the organisation to what is tagged as critical, one shortest path for each pair.
	Paths []Path `json:"paths"`
	// PathsIncomplete: there are so many entries and critical targets that not all pairs were searched.
	PathsIncomplete bool `json:"pathsIncomplete,omitempty"`
	// Rules are those that were run.
	Rules []Rule `json:"rules"`
	// UnusedExceptions are exceptions that accept no finding of this scan, as fingerprints.
	UnusedExceptions []string `json:"unusedExceptions,omitempty"`
}

// Tool is the program that wrote the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Organization is the AWS organisation.
type Organization struct {
	ID                string `json:"id"`
	ManagementAccount string `json:"managementAccount,omitempty"`
}

// Summary holds the numbers. Findings are counted once: accepted ones, ones known from a baseline, and rules that could not be
// assessed are apart from the open ones.
type Summary struct {
	Accounts   AccountCounts `json:"accounts"`
	Roles      int           `json:"roles"`
	Users      int           `json:"users"`
	Resources  int           `json:"resources"`
	Trusts     TrustCounts   `json:"trusts"`
	Findings   FindingCounts `json:"findings"`
	GapsByKind []Count       `json:"gapsByKind"`
	Gaps       int           `json:"gaps"`
}

// AccountCounts counts accounts by kind; Inventoried are those whose users and roles were read completely.
type AccountCounts struct {
	Total       int     `json:"total"`
	ByKind      []Count `json:"byKind"`
	Inventoried int     `json:"inventoried"`
}

// TrustCounts counts trusts. By mechanism, relation and verdict, only those across accounts.
type TrustCounts struct {
	Total        int     `json:"total"`
	CrossAccount int     `json:"crossAccount"`
	ByMechanism  []Count `json:"byMechanism"`
	ByRelation   []Count `json:"byRelation"`
	ByVerdict    []Count `json:"byVerdict"`
}

// FindingCounts counts findings. BySeverity holds the open ones, worst first, every severity listed.
type FindingCounts struct {
	Total       int     `json:"total"`
	Open        int     `json:"open"`
	BySeverity  []Count `json:"bySeverity"`
	NotAssessed int     `json:"notAssessed"`
	Accepted    int     `json:"accepted"`
	Known       int     `json:"known"`
}

// Count is a number with its name.
type Count struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Account is one account, or one that the input only describes.
type Account struct {
	ID          string `json:"id"`
	Name        string `json:"name,omitempty"`
	Kind        string `json:"kind"`
	Unit        string `json:"unit,omitempty"` // path of its OU, names where they are known
	Environment string `json:"environment,omitempty"`
	Inventoried bool   `json:"inventoried"`
	Roles       int    `json:"roles"`
	Users       int    `json:"users"`
	Resources   int    `json:"resources"`
	// TrustsIn are the trusts of its roles and resources that let in somebody else and are not denied.
	TrustsIn int `json:"trustsIn"`
	// TrustsOut are the trusts of other accounts that name the account or a principal of it and are not denied.
	TrustsOut int `json:"trustsOut"`
	// Findings are the open findings by severity, worst first; severities without any are left out.
	Findings []Count `json:"findings"`
	Worst    string  `json:"worst,omitempty"`
}

// Trust is one trust as granted: who, by which mechanism, to what.
type Trust struct {
	Grantee      Grantee `json:"grantee"`
	Mechanism    string  `json:"mechanism"`
	Target       Target  `json:"target"`
	CrossAccount bool    `json:"crossAccount"`
	// Verdict is Allow, Deny or Unknown; Unknown is possible, under Conditions.
	Verdict    string      `json:"verdict"`
	Conditions *Conditions `json:"conditions,omitempty"`
	Denied     *Denied     `json:"denied,omitempty"`
	// CallerAssumed: the grantee's account was not collected; its side was taken at its worst.
	CallerAssumed     bool       `json:"callerAssumed"`
	Actions           []string   `json:"actions"`
	MaxSessionSeconds int        `json:"maxSessionSeconds,omitempty"`
	Granting          []Evidence `json:"granting"`
	Calling           *Evidence  `json:"calling,omitempty"`
}

// Grantee is who is let in, as the policy names it.
type Grantee struct {
	Kind        string `json:"kind"`
	ID          string `json:"id"`
	Account     string `json:"account,omitempty"`
	AccountName string `json:"accountName,omitempty"`
	Vendor      string `json:"vendor,omitempty"` // a known vendor's name
	Relation    string `json:"relation"`
	Missing     bool   `json:"missing,omitempty"`
}

// Target is what is reached.
type Target struct {
	ARN         string `json:"arn"`
	Type        string `json:"type,omitempty"`
	Account     string `json:"account,omitempty"`
	AccountName string `json:"accountName,omitempty"`
}

// Conditions are what a request must still fulfil, in words and in normal form: a list of alternatives, each a list of
// constraints.
type Conditions struct {
	Text   string          `json:"text"`
	Normal json.RawMessage `json:"normal"`
}

// Denied says which layer denies a trust.
type Denied struct {
	Layer    string    `json:"layer"`
	Explicit bool      `json:"explicit"`
	By       *Evidence `json:"by,omitempty"`
}

// Evidence is what an answer rests on: a document, a statement of it, and their place in the input.
type Evidence struct {
	Subject   string `json:"subject"`
	Document  string `json:"document"`
	Statement *int   `json:"statement,omitempty"` // index from 0; absent for the document as a whole
	Sid       string `json:"sid,omitempty"`
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"`
	Column    int    `json:"column,omitempty"`
}

// Finding is one computed problem.
type Finding struct {
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	Title       string `json:"title"`
	Severity    string `json:"severity"`
	// Status is "confirmed" or "not assessed".
	Status   string            `json:"status"`
	Subject  string            `json:"subject"`
	Account  string            `json:"account,omitempty"`
	Grantee  string            `json:"grantee,omitempty"`
	Reason   string            `json:"reason"`
	Remedy   string            `json:"remedy,omitempty"`
	Evidence []Evidence        `json:"evidence"`
	Facts    map[string]string `json:"facts,omitempty"`
	Lowered  string            `json:"lowered,omitempty"`
	// Accepted: an exception in force accepts it.
	Accepted *Acceptance `json:"accepted,omitempty"`
	// Known: the baseline has it.
	Known bool `json:"known,omitempty"`
	// Expired is the exception that accepted it and is over.
	Expired *Acceptance `json:"expiredException,omitempty"`
}

// Acceptance is an exception, as far as a report shows it.
type Acceptance struct {
	Owner   string `json:"owner"`
	Reason  string `json:"reason"`
	Expires string `json:"expires"`
}

// Open reports whether a finding asks for something: confirmed, not accepted and not known from the baseline.
func (f *Finding) Open() bool {
	return f.Status == statusConfirmed && f.Accepted == nil && !f.Known
}

const (
	statusConfirmed   = "confirmed"
	statusNotAssessed = "not assessed"
)

// Path is a way from outside to something critical.
type Path struct {
	From              string `json:"from"`
	FromKind          string `json:"fromKind"`
	To                string `json:"to"`
	Verdict           string `json:"verdict"`
	MaxSessionSeconds int    `json:"maxSessionSeconds,omitempty"`
	Steps             []Step `json:"steps"`
}

// Step is one edge of a path.
type Step struct {
	Call       string      `json:"call"` // sts:AssumeRole, s3:GetObject
	To         string      `json:"to"`
	Account    string      `json:"account,omitempty"`
	Conditions *Conditions `json:"conditions,omitempty"`
	Evidence   []Evidence  `json:"evidence"`
}

// Gap is something that could not be read.
type Gap struct {
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Account string `json:"account,omitempty"`
	Reason  string `json:"reason"`
	Call    string `json:"call,omitempty"`
	Code    string `json:"code,omitempty"`
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
}

// Rule is what a report says of a rule that was run.
type Rule struct {
	ID       string   `json:"id"`
	Title    string   `json:"title"`
	Detects  string   `json:"detects"`
	Why      string   `json:"why"`
	Remedy   string   `json:"remedy"`
	Severity string   `json:"severity"`
	Controls []string `json:"controls"`
}

// severities are the names of the severities, worst first.
var severities = []string{
	finding.Critical.String(), finding.High.String(), finding.Medium.String(), finding.Low.String(), finding.Info.String(),
}

// rank orders severity names: 0 is the worst.
func rank(severity string) int {
	for i, s := range severities {
		if s == severity {
			return i
		}
	}
	return len(severities)
}

// AtLeast counts the open findings of a severity or worse.
func (r *Report) AtLeast(s finding.Severity) int {
	n := 0
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Open() && rank(f.Severity) <= rank(s.String()) {
			n++
		}
	}
	return n
}
