package report

import (
	"encoding/json"
	"io"
	"net/url"
	"strings"

	"drawbridge/internal/finding"
)

// The part of SARIF 2.1.0 that a scan needs, written out: the general model of a library fills every result with dozens of
// empty lists and zero offsets, some of which mean something else than "not given".
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool        sarifTool         `json:"tool"`
		ColumnKind  string            `json:"columnKind"`
		Invocations []sarifInvocation `json:"invocations"`
		Results     []sarifResult     `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string         `json:"id"`
		Name                 string         `json:"name"`
		ShortDescription     sarifText      `json:"shortDescription"`
		FullDescription      sarifText      `json:"fullDescription"`
		HelpURI              string         `json:"helpUri,omitempty"`
		Help                 sarifText      `json:"help"`
		DefaultConfiguration sarifLevel     `json:"defaultConfiguration"`
		Properties           sarifRuleProps `json:"properties"`
	}
	sarifLevel struct {
		Level string `json:"level"`
	}
	sarifRuleProps struct {
		SecuritySeverity string   `json:"security-severity,omitempty"`
		Precision        string   `json:"precision"`
		Tags             []string `json:"tags"`
		Controls         []string `json:"controls"`
	}
	sarifText struct {
		Text     string `json:"text"`
		Markdown string `json:"markdown,omitempty"`
	}
	// A gap is a notification: the run worked, and does not know everything.
	sarifInvocation struct {
		ExecutionSuccessful bool                `json:"executionSuccessful"`
		Notifications       []sarifNotification `json:"toolExecutionNotifications,omitempty"`
	}
	sarifNotification struct {
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations,omitempty"`
	}
	sarifResult struct {
		RuleID              string             `json:"ruleId"`
		RuleIndex           *int               `json:"ruleIndex,omitempty"`
		Kind                string             `json:"kind"`
		Level               string             `json:"level"`
		Message             sarifText          `json:"message"`
		Locations           []sarifLocation    `json:"locations,omitempty"`
		RelatedLocations    []sarifLocation    `json:"relatedLocations,omitempty"`
		PartialFingerprints map[string]string  `json:"partialFingerprints,omitempty"`
		BaselineState       string             `json:"baselineState,omitempty"`
		Suppressions        []sarifSuppression `json:"suppressions,omitempty"`
		Fixes               []sarifFix         `json:"fixes,omitempty"`
		Properties          *sarifResultProps  `json:"properties,omitempty"`
	}
	sarifResultProps struct {
		Severity string            `json:"severity"`
		Status   string            `json:"status"`
		Account  string            `json:"account,omitempty"`
		Grantee  string            `json:"grantee,omitempty"`
		Lowered  string            `json:"lowered,omitempty"`
		Facts    map[string]string `json:"facts,omitempty"`
	}
	sarifLocation struct {
		ID       int                    `json:"id,omitempty"`
		Physical *sarifPhysicalLocation `json:"physicalLocation,omitempty"`
		Logical  []sarifLogicalLocation `json:"logicalLocations,omitempty"`
		Message  *sarifText             `json:"message,omitempty"`
	}
	sarifPhysicalLocation struct {
		Artifact sarifArtifact `json:"artifactLocation"`
		Region   *sarifRegion  `json:"region,omitempty"`
	}
	sarifArtifact struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn,omitempty"`
	}
	sarifLogicalLocation struct {
		FullyQualifiedName string `json:"fullyQualifiedName"`
		Kind               string `json:"kind,omitempty"`
	}
	sarifSuppression struct {
		Kind          string `json:"kind"`
		Status        string `json:"status"`
		Justification string `json:"justification"`
	}
)

// fingerprintName names our fingerprint among those of a result; the number is the version of how it is computed.
const fingerprintName = "drawbridge/v1"

// sarifLevels translate severities; sarifScores are the numbers by which code hosts colour security results.
var (
	sarifLevels = map[string]string{"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
	sarifScores = map[string]string{"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "3.0", "info": "0.0"}
)

// WriteSARIF writes SARIF 2.1.0. base is the path from the root of the repository to the input, in front of the files of
// evidence, so that a code host finds them; "" where the files stand at the root.
func WriteSARIF(w io.Writer, r *Report, base string) error {
	s := sarifWriter{base: base, index: map[string]int{}}
	driver := sarifDriver{Name: "Drawbridge", Version: r.Tool.Version, Rules: []sarifRule{}}
	for i := range r.Rules {
		s.index[r.Rules[i].ID] = i
		driver.Rules = append(driver.Rules, s.rule(&r.Rules[i]))
	}
	run := sarifRun{Tool: sarifTool{driver}, ColumnKind: "utf16CodeUnits", Results: []sarifResult{}}
	invocation := sarifInvocation{ExecutionSuccessful: true}
	for i := range r.Gaps {
		g := &r.Gaps[i]
		n := sarifNotification{Level: "warning", Message: sarifText{Text: "Gap: " + g.Subject + ": " + g.Reason}}
		if p := s.physical(g.File, g.Line, g.Column); p != nil {
			n.Locations = []sarifLocation{{Physical: p}}
		}
		invocation.Notifications = append(invocation.Notifications, n)
	}
	run.Invocations = []sarifInvocation{invocation}
	for i := range r.Findings {
		run.Results = append(run.Results, s.result(&r.Findings[i]))
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

type sarifWriter struct {
	base  string
	index map[string]int // of rules, by id
}

// rulePages is where the pages about the rules are read.
const rulePages = "https://github.com/drawbridge/drawbridge/blob/main/docs/rules/"

func (s *sarifWriter) rule(r *Rule) sarifRule {
	help := sarifText{Text: r.Detects + "\n\nWhy it matters: " + r.Why + "\n\nRemedy: " + r.Remedy}
	help.Markdown = inline(r.Detects) + "\n\n**Why it matters**: " + inline(r.Why) + "\n\n**Remedy**: " + inline(r.Remedy)
	if len(r.Controls) > 0 {
		help.Markdown += "\n"
		for _, c := range r.Controls {
			help.Markdown += "\n- " + inline(c)
		}
	}
	return sarifRule{
		ID: r.ID, Name: pascal(r.Title), ShortDescription: sarifText{Text: r.Title}, FullDescription: sarifText{Text: or(r.Detects, r.Title)},
		HelpURI: rulePages + r.ID + ".md", Help: help, DefaultConfiguration: sarifLevel{sarifLevels[r.Severity]},
		Properties: sarifRuleProps{sarifScores[r.Severity], "high", []string{"security", "aws", "iam", "cross-account"}, r.Controls},
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// pascal makes an identifier of a title: "Anyone may assume" is AnyoneMayAssume.
func pascal(title string) string {
	var b strings.Builder
	for _, word := range strings.FieldsFunc(title, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9')
	}) {
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

func (s *sarifWriter) result(f *Finding) sarifResult {
	r := sarifResult{
		RuleID: f.Rule, Kind: "fail", Level: sarifLevels[f.Severity],
		Message:             sarifText{Text: strings.TrimSpace(f.Subject + ": " + f.Reason + remedyText(f.Remedy))},
		PartialFingerprints: map[string]string{fingerprintName: f.Fingerprint},
		Properties:          &sarifResultProps{f.Severity, f.Status, f.Account, f.Grantee, f.Lowered, f.Facts},
	}
	if i, ok := s.index[f.Rule]; ok {
		r.RuleIndex = &i
	}
	if f.Status == statusNotAssessed {
		r.Kind, r.Level = "review", "none" // the standard allows a level only where something failed
	}
	if f.Known {
		r.BaselineState = "unchanged"
	}
	if f.Accepted != nil {
		r.Suppressions = []sarifSuppression{f.Accepted.suppression()}
	}
	logical := []sarifLogicalLocation{{FullyQualifiedName: f.Subject, Kind: "resource"}}
	for i := range f.Evidence {
		e := &f.Evidence[i]
		l := sarifLocation{Physical: s.physical(e.File, e.Line, e.Column), Message: &sarifText{Text: e.what()}}
		if len(r.Locations) == 0 {
			l.Logical = logical
			r.Locations = append(r.Locations, l)
			continue
		}
		if l.Physical != nil {
			l.ID = len(r.RelatedLocations) + 1
			r.RelatedLocations = append(r.RelatedLocations, l)
		}
	}
	if len(r.Locations) == 0 {
		r.Locations = []sarifLocation{{Logical: logical}}
	}
	return r
}

func (a *Acceptance) suppression() sarifSuppression {
	return sarifSuppression{"external", "accepted", a.Reason + " (" + a.Owner + ", until " + a.Expires + ")"}
}

func remedyText(remedy string) string {
	if remedy == "" {
		return ""
	}
	return " Remedy: " + remedy
}

func (s *sarifWriter) physical(file string, line, column int) *sarifPhysicalLocation {
	if file == "" {
		return nil
	}
	name := file
	if s.base != "" {
		name = strings.TrimSuffix(s.base, "/") + "/" + name
	}
	p := &sarifPhysicalLocation{Artifact: sarifArtifact{(&url.URL{Path: strings.TrimPrefix(name, "./")}).String()}}
	if line > 0 {
		p.Region = &sarifRegion{line, column}
	}
	return p
}

// ParseSeverity reads the name of a severity; ok is false for any other word.
func ParseSeverity(name string) (s finding.Severity, ok bool) {
	for s := finding.Info; s <= finding.Critical; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
