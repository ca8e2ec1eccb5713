package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/ref"
	"drawbridge/internal/catalog"
	"drawbridge/internal/scenario"
)

func newTest(e *Env) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "test FILE…",
		Short: "Run scenario files: unit tests of trust policies",
		Long: `Test reads scenario files, each an organisation with the findings, absent findings, paths and single decisions that are
expected of it, and judges every expectation by itself. What needs a rule that this version does not have is counted as
"not yet", by rule. The format is documented in docs/scenarios.md.`,
		Example: "  drawbridge test trust-tests/*.json",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usagef("--format %q is neither text nor json", format)
			}
			return runTest(e, args, format)
		},
	}
	c.Flags().StringVar(&format, "format", "text", "form of the results: `FORMAT` is text or json")
	return c
}

// testReport is the JSON form of the results.
type testReport struct {
	Schema   string             `json:"schema"`
	Files    []testFile         `json:"files"`
	Passed   int                `json:"passed"`
	Failed   int                `json:"failed"`
	NotYet   map[string]int     `json:"notYet,omitempty"` // expectations by rule
	Unusable []testUnusableFile `json:"unusable,omitempty"`
}

type testFile struct {
	File    string       `json:"file"`
	ID      string       `json:"id"`
	Title   string       `json:"title"`
	Results []testResult `json:"results"`
}

type testResult struct {
	Kind        string `json:"kind"`
	Expectation string `json:"expectation"`
	Outcome     string `json:"outcome"`
	Seen        string `json:"seen,omitempty"`
}

type testUnusableFile struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

func runTest(e *Env, files []string, format string) error {
	report := testReport{Schema: "drawbridge.test/v1", NotYet: map[string]int{}}
	for _, file := range files {
		s, err := e.readScenario(file)
		if err != nil {
			report.Unusable = append(report.Unusable, testUnusableFile{file, err.Error()})
			continue
		}
		f := testFile{File: file, ID: s.ID, Title: s.Title}
		for _, r := range s.Judge(catalog.Rules(), ref.Engine()) {
			switch r.Outcome {
			case scenario.Held:
				report.Passed++
			case scenario.Failed:
				report.Failed++
			default:
				report.NotYet[r.Rule]++
			}
			f.Results = append(f.Results, testResult{r.Kind, r.Name, r.Outcome.String(), r.Seen})
		}
		report.Files = append(report.Files, f)
	}
	if err := report.print(e, format); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	switch {
	case len(report.Unusable) > 0:
		return fmt.Errorf("%d of %d files could not be used", len(report.Unusable), len(files))
	case report.Failed > 0:
		return errUnwanted
	}
	return nil
}

func (e *Env) readScenario(file string) (*scenario.Scenario, error) {
	data, err := e.readFile(file)
	if err != nil {
		return nil, err
	}
	return scenario.Parse(data, file)
}

func (r *testReport) print(e *Env, format string) error {
	if format == "json" {
		out := json.NewEncoder(e.Stdout)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(r)
	}
	for _, u := range r.Unusable {
		fmt.Fprintf(e.Stderr, "drawbridge: %s\n", u.Error)
	}
	return r.text(e.Stdout)
}

// text prints a line per file, the expectations that failed under it, and the counts at the end.
func (r *testReport) text(w io.Writer) error {
	var b strings.Builder
	for _, f := range r.Files {
		counts := map[string]int{}
		for _, result := range f.Results {
			counts[result.Outcome]++
		}
		fmt.Fprintf(&b, "%s  %s: %d held", f.ID, f.Title, counts["held"])
		for _, outcome := range []string{"failed", "not yet"} {
			if counts[outcome] > 0 {
				fmt.Fprintf(&b, ", %d %s", counts[outcome], outcome)
			}
		}
		b.WriteByte('\n')
		for _, result := range f.Results {
			if result.Outcome == scenario.Failed.String() {
				fmt.Fprintf(&b, "    failed: %s %s\n      seen: %s\n", result.Kind, result.Expectation, result.Seen)
			}
		}
	}
	if len(r.NotYet) > 0 {
		var parts []string
		for _, id := range slices.Sorted(maps.Keys(r.NotYet)) {
			parts = append(parts, fmt.Sprintf("%s %d", id, r.NotYet[id]))
		}
		fmt.Fprintf(&b, "not yet, for want of the rule: %s\n", strings.Join(parts, ", "))
	}
	fmt.Fprintf(&b, "%d passed, %d failed\n", r.Passed, r.Failed)
	_, err := io.WriteString(w, b.String())
	return err
}
