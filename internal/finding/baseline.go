package finding

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Baseline is the findings of an earlier report, by fingerprint. A run with a baseline fails only for what is new.
type Baseline struct{ fingerprints map[string]bool }

// reportSchema is the JSON contract of which a baseline reads findings[].fingerprint (docs/reference/report.md).
const reportSchema = "drawbridge.report/v1"

// ReadBaseline reads the text of an earlier JSON report. Only its schema and its findings' fingerprints matter.
func ReadBaseline(file string, data []byte) (*Baseline, error) {
	var report struct {
		Schema   string `json:"schema"`
		Findings *[]struct {
			Fingerprint string `json:"fingerprint"`
		} `json:"findings"`
	}
	if err := json.Unmarshal(data, &report); err != nil {
		return nil, fmt.Errorf("%s:%d: not a JSON report: %w", file, errorLine(data, err), err)
	}
	if report.Schema != reportSchema {
		return nil, fmt.Errorf("%s: schema %q: expected a report written by 'drawbridge scan --format json' (%s)", file, report.Schema, reportSchema)
	}
	if report.Findings == nil {
		return nil, fmt.Errorf("%s: the report has no list of findings", file)
	}
	b := &Baseline{fingerprints: make(map[string]bool, len(*report.Findings))}
	for i, f := range *report.Findings {
		if !isFingerprint(f.Fingerprint) {
			return nil, fmt.Errorf("%s: findings[%d]: %q is not a fingerprint", file, i, f.Fingerprint)
		}
		b.fingerprints[f.Fingerprint] = true
	}
	return b, nil
}

// errorLine is the line at which reading JSON stopped.
func errorLine(data []byte, err error) int {
	offset := int64(len(data))
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	return 1 + strings.Count(string(data[:min(offset, int64(len(data)))]), "\n")
}

// Known reports whether the baseline has the finding.
func (b *Baseline) Known(f Finding) bool { return b.fingerprints[f.Fingerprint] }

// New are the findings that the baseline lacks, in the order given.
func (b *Baseline) New(findings []Finding) []Finding {
	var fresh []Finding
	for _, f := range findings {
		if !b.Known(f) {
			fresh = append(fresh, f)
		}
	}
	return fresh
}

// Gone are the fingerprints of the baseline that no finding has any more, sorted.
func (b *Baseline) Gone(findings []Finding) []string {
	still := make(map[string]bool, len(findings))
	for _, f := range findings {
		still[f.Fingerprint] = true
	}
	var gone []string
	for fingerprint := range b.fingerprints {
		if !still[fingerprint] {
			gone = append(gone, fingerprint)
		}
	}
	slices.Sort(gone)
	return gone
}
