package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/cond"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/ingest"
	"drawbridge/internal/report"
)

func newDiff(e *Env) *cobra.Command {
	var format answerFormat
	var now nowFlag
	c := &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Say which trusts and findings are new, gone, wider or narrower",
		Long: `Diff compares two inputs. OLD and NEW are each a PATH as scan takes it, or a report that 'drawbridge scan --format json'
wrote. Trusts inside one account are left out.

A trust is wider when it lets through all that it let through before, and more: a condition less, another value, another
action, a longer session. It is narrower in the opposite case, and changed where neither is certain.`,
		Example: `  drawbridge diff last-quarter snapshot
  drawbridge diff last.json snapshot --format json`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			at, _, err := now.value(e)
			if err != nil {
				return err
			}
			old, err := openSide(e, args[0], at)
			if err != nil {
				return err
			}
			current, err := openSide(e, args[1], at)
			if err != nil {
				return err
			}
			answer := diffAnswerOf(access.DiffTrusts(old.trusts, current.trusts), finding.Diff(old.findings, current.findings))
			answer.Old, answer.New = filepath.ToSlash(args[0]), filepath.ToSlash(args[1])
			return format.print(e, answer, func(w *textWriter) { w.diff(&answer) })
		},
	}
	format.register(c)
	now.register(c)
	identityFlag(c, e)
	codeFlags(c, e)
	return c
}

// side is one of the two inputs, as far as they are compared.
type side struct {
	trusts   []access.Terms
	findings []finding.Finding
}

// openSide reads a report, or an input that is scanned first.
func openSide(e *Env, path string, now time.Time) (*side, error) {
	r, err := readReport(path)
	if err != nil {
		return nil, err
	}
	if r == nil {
		o := scanOptions{path: path}
		if r, err = o.analyse(e, now, true); err != nil {
			return nil, err
		}
	}
	return sideOf(path, r)
}

// readReport reads a file that is a report; nil where the path is something else, which then is an input.
func readReport(path string) (*report.Report, error) {
	path, err := ingest.Resolve(path)
	if err != nil {
		return nil, fmt.Errorf("opening the input: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening the input: %w", err)
	}
	if info.IsDir() {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the input: %w", err)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if json.Unmarshal(data, &head) != nil || head.Schema == "" {
		return nil, nil
	}
	if head.Schema != report.Schema {
		return nil, fmt.Errorf("%s: schema %q is not known: expected %s", path, head.Schema, report.Schema)
	}
	r := &report.Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

func sideOf(path string, r *report.Report) (*side, error) {
	s := &side{}
	for i := range r.Trusts {
		t := &r.Trusts[i]
		if !t.CrossAccount {
			continue
		}
		terms := access.Terms{
			GranteeKind: t.Grantee.Kind, Grantee: t.Grantee.ID, Mechanism: t.Mechanism, Target: t.Target.ARN,
			Condition: cond.Always(), Actions: t.Actions, MaxSession: time.Duration(t.MaxSessionSeconds) * time.Second,
		}
		switch {
		case t.Denied != nil:
			terms.Condition = cond.Never()
		case t.Conditions != nil:
			if err := json.Unmarshal(t.Conditions.Normal, &terms.Condition); err != nil {
				return nil, fmt.Errorf("%s: trusts[%d]: %w", path, i, err)
			}
		}
		s.trusts = append(s.trusts, terms)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		severity, ok := report.ParseSeverity(f.Severity)
		if !ok {
			return nil, fmt.Errorf("%s: findings[%d]: severity %q is not known", path, i, f.Severity)
		}
		status := finding.Confirmed
		if f.Status == finding.NotAssessed.String() {
			status = finding.NotAssessed
		}
		s.findings = append(s.findings, finding.Finding{
			Rule: f.Rule, Title: f.Title, Severity: severity, Status: status, Subject: f.Subject, Account: f.Account,
			Grantee: f.Grantee, Reason: f.Reason, Fingerprint: f.Fingerprint,
		})
	}
	return s, nil
}

// diffAnswer is the answer in JSON.
type diffAnswer struct {
	Old      string              `json:"old"`
	New      string              `json:"new"`
	Trusts   []trustChangeAnswer `json:"trusts"`
	Findings []findingAnswer     `json:"findings"`
}

// trustChangeAnswer is one trust that differs.
type trustChangeAnswer struct {
	Change    string       `json:"change"` // new, gone, wider, narrower or changed
	Grantee   string       `json:"grantee"`
	Kind      string       `json:"granteeKind"`
	Mechanism string       `json:"mechanism"`
	Target    string       `json:"target"`
	Old       *termsAnswer `json:"before,omitempty"`
	New       *termsAnswer `json:"after,omitempty"`
	What      []string     `json:"what,omitempty"` // what differs, in words
}

// termsAnswer is what a trust gives.
type termsAnswer struct {
	Conditions        report.Conditions `json:"conditions"` // always: no condition; never: denied
	Actions           []string          `json:"actions"`
	MaxSessionSeconds int               `json:"maxSessionSeconds,omitempty"`
}

// findingAnswer is one finding that differs.
type findingAnswer struct {
	Change      string `json:"change"` // new, gone, worse or better
	Fingerprint string `json:"fingerprint"`
	Rule        string `json:"rule"`
	Title       string `json:"title"`
	Severity    string `json:"severity"`
	Before      string `json:"severityBefore,omitempty"`
	Status      string `json:"status"`
	Subject     string `json:"subject"`
	Grantee     string `json:"grantee,omitempty"`
	Reason      string `json:"reason"`
}

func diffAnswerOf(trusts []access.TrustChange, d finding.Difference) diffAnswer {
	a := diffAnswer{Trusts: []trustChangeAnswer{}, Findings: []findingAnswer{}}
	for i := range trusts {
		c := &trusts[i]
		newest := c.New
		if newest == nil {
			newest = c.Old
		}
		a.Trusts = append(a.Trusts, trustChangeAnswer{
			Change: c.Change.String(), Grantee: newest.Grantee, Kind: newest.GranteeKind, Mechanism: newest.Mechanism, Target: newest.Target,
			Old: termsAnswerOf(c.Old), New: termsAnswerOf(c.New), What: c.What,
		})
	}
	add := func(change string, f finding.Finding, before string) {
		a.Findings = append(a.Findings, findingAnswer{
			Change: change, Fingerprint: f.Fingerprint, Rule: f.Rule, Title: f.Title, Severity: f.Severity.String(), Before: before,
			Status: f.Status.String(), Subject: f.Subject, Grantee: f.Grantee, Reason: f.Reason,
		})
	}
	for _, f := range d.New {
		add("new", f, "")
	}
	for _, r := range d.Worse {
		add("worse", r.New, r.Old.Severity.String())
	}
	for _, r := range d.Better {
		add("better", r.New, r.Old.Severity.String())
	}
	for _, f := range d.Gone {
		add("gone", f, "")
	}
	return a
}

func termsAnswerOf(t *access.Terms) *termsAnswer {
	if t == nil {
		return nil
	}
	normal, err := t.Condition.MarshalJSON()
	if err != nil {
		normal = []byte("null")
	}
	return &termsAnswer{report.Conditions{Text: t.Condition.String(), Normal: normal}, t.Actions, int(t.MaxSession / time.Second)}
}

func (w *textWriter) diff(a *diffAnswer) {
	if len(a.Trusts)+len(a.Findings) == 0 {
		w.line("No trust between accounts and no finding differs.")
		return
	}
	w.line("%s and %s differ.", counted(len(a.Trusts), "trust between accounts", "trusts between accounts"), counted(len(a.Findings), "finding", "findings"))
	for _, t := range a.Trusts {
		w.line("%-8s %s %s → %s by %s", t.Change, t.Kind, t.Grantee, t.Target, t.Mechanism)
		for _, what := range t.What {
			w.line("         %s", what)
		}
		if t.Change == "new" && t.New.Conditions.Text != "always" {
			w.line("         conditions: %s", t.New.Conditions.Text)
		}
	}
	for _, f := range a.Findings {
		severity := f.Severity
		if f.Before != "" && f.Before != f.Severity {
			severity = f.Before + " → " + f.Severity
		}
		w.line("%-8s %s %s, %s: %s", f.Change, f.Rule, severity, f.Status, f.Subject)
		w.line("         %s", f.Reason)
	}
}
