package report

import (
	"encoding/json"
	"io"
	"strings"
	"unicode/utf16"

	"drawbridge/iam/lint"
)

// Linted is a policy document with what lint says about it.
type Linted struct {
	File        string
	Text        string // as it was linted
	Diagnostics []lint.Diagnostic
}

// What SARIF says about a fix.
type (
	sarifFix struct {
		Description sarifText     `json:"description"`
		Changes     []sarifChange `json:"artifactChanges"`
	}
	sarifChange struct {
		Artifact     sarifArtifact      `json:"artifactLocation"`
		Replacements []sarifReplacement `json:"replacements"`
	}
	sarifReplacement struct {
		Deleted  sarifBytes `json:"deletedRegion"`
		Inserted sarifText  `json:"insertedContent"`
	}
	sarifBytes struct {
		Offset int `json:"byteOffset"`
		Length int `json:"byteLength"`
	}
)

// WriteLintSARIF writes diagnostics of policy documents as SARIF 2.1.0. It fails where w does.
func WriteLintSARIF(w io.Writer, version string, files []Linted) error {
	driver := sarifDriver{Name: "Drawbridge", Version: version, Rules: []sarifRule{}}
	index := map[string]int{}
	for i, c := range lint.Checks() {
		index[c.ID] = i
		driver.Rules = append(driver.Rules, sarifRule{
			ID: c.ID, Name: pascal(c.Title), ShortDescription: sarifText{Text: c.Title}, FullDescription: sarifText{Text: c.Why},
			Help: sarifText{Text: c.Why + "\n\nSource: " + c.Source}, DefaultConfiguration: sarifLevel{c.Severity.String()},
			Properties: sarifRuleProps{Precision: "high", Tags: []string{"aws", "iam", "policy"}, Controls: []string{}},
		})
	}
	run := sarifRun{
		Tool: sarifTool{driver}, ColumnKind: "utf16CodeUnits", Results: []sarifResult{}, Invocations: []sarifInvocation{{ExecutionSuccessful: true}},
	}
	s := sarifWriter{}
	for _, f := range files {
		for _, d := range f.Diagnostics {
			rule := index[d.ID]
			r := sarifResult{RuleID: d.ID, RuleIndex: &rule, Kind: "fail", Level: d.Severity.String(), Message: sarifText{Text: d.Message}}
			place := sarifLocation{Physical: s.physical(f.File, int(d.Pos.Line), columnOf(f.Text, d.Pos.Offset, int(d.Pos.Column)))}
			if d.Path != "" {
				place.Logical = []sarifLogicalLocation{{FullyQualifiedName: d.Path, Kind: "element"}}
			}
			r.Locations = []sarifLocation{place}
			if d.Fix != nil {
				r.Fixes = []sarifFix{{sarifText{Text: d.Fix.What}, []sarifChange{{
					place.Physical.Artifact, []sarifReplacement{{sarifBytes{d.Fix.Offset, d.Fix.Length}, sarifText{Text: d.Fix.Text}}},
				}}}}
			}
			run.Results = append(run.Results, r)
		}
	}
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// columnOf is a column in the units of SARIF, given in bytes and as the offset in the text. Where the text does not fit, as
// with a document that came URL-encoded, the column stays.
func columnOf(text string, offset int32, column int) int {
	start := int(offset) - column + 1
	if start < 0 || int(offset) > len(text) || strings.Contains(text[start:offset], "\n") {
		return column
	}
	return len(utf16.Encode([]rune(text[start:offset]))) + 1
}
