package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/report"
)

// This file is what the question commands (can, who-can, paths, blast, diff) share: the --format flag, and the words and JSON
// of decisions, edges and paths. The JSON uses the types of the report where they say the same.

// answerFormat is the --format flag of a question.
type answerFormat struct{ name string }

func (f *answerFormat) register(c *cobra.Command) {
	c.Flags().StringVar(&f.name, "format", "text", "form of the answer: `FORMAT` is text or json")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// check refuses an unknown form before the long work.
func (f *answerFormat) check() error {
	if f.name != "text" && f.name != "json" {
		return usagef("--format %q is not known: use text or json", f.name)
	}
	return nil
}

// print writes an answer in the form asked for.
func (f *answerFormat) print(e *Env, answer any, text func(*textWriter)) error {
	if f.name == "json" {
		encoder := json.NewEncoder(e.Stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(answer); err != nil {
			return fmt.Errorf("%w: %w", errOutput, err)
		}
		return nil
	}
	var w textWriter
	text(&w)
	if _, err := io.WriteString(e.Stdout, w.String()); err != nil {
		return fmt.Errorf("%w: %w", errOutput, err)
	}
	return nil
}

// textWriter collects lines.
type textWriter struct{ strings.Builder }

func (w *textWriter) line(format string, args ...any) {
	fmt.Fprintf(w, format, args...)
	w.WriteByte('\n')
}

// counted is a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// place says in words where evidence stands; statements are counted from one, as people do.
func place(e access.Evidence) string {
	var b strings.Builder
	b.WriteString(e.Document)
	if e.Statement >= 0 {
		fmt.Fprintf(&b, ", statement %d", e.Statement+1)
		if e.Sid != "" {
			fmt.Fprintf(&b, " (%s)", e.Sid)
		}
	}
	if e.Subject != "" && e.Subject != e.Document {
		fmt.Fprintf(&b, " of %s", e.Subject)
	}
	if e.Source.File != "" {
		fmt.Fprintf(&b, " [%s", e.Source.File)
		if e.Source.Line > 0 {
			fmt.Fprintf(&b, ":%d", e.Source.Line)
		}
		b.WriteByte(']')
	}
	return b.String()
}

// none reports whether there is no evidence at all.
func none(e access.Evidence) bool { return e.Document == "" }

// evidenceOf is evidence in the form of the report; nil where there is none.
func evidenceOf(e access.Evidence) *report.Evidence {
	if none(e) {
		return nil
	}
	out := &report.Evidence{
		Subject: e.Subject, Document: e.Document, Sid: e.Sid,
		File: e.Source.File, Line: int(e.Source.Line), Column: int(e.Source.Column),
	}
	if e.Statement >= 0 {
		out.Statement = &e.Statement
	}
	return out
}

// conditionsOf are the conditions left over, nil where there are none.
func conditionsOf(v eval.Verdict, f cond.Formula) *report.Conditions {
	if v != eval.Unknown {
		return nil
	}
	normal, err := f.MarshalJSON()
	if err != nil {
		normal = []byte("null")
	}
	return &report.Conditions{Text: f.String(), Normal: normal}
}

// verdictText is a verdict in words.
func verdictText(v eval.Verdict) string {
	switch v {
	case eval.Allow:
		return "allowed"
	case eval.Deny:
		return "denied"
	}
	return "possible under conditions"
}

// pathAnswer is a path in JSON.
type pathAnswer struct {
	From              string       `json:"from"`
	To                string       `json:"to"`
	Verdict           string       `json:"verdict"`
	Chained           bool         `json:"chained"` // two or more roles are assumed, so that the session is capped at an hour
	MaxSessionSeconds int          `json:"maxSessionSeconds,omitempty"`
	Steps             []stepAnswer `json:"steps"`
}

// stepAnswer is one crossing of a path.
type stepAnswer struct {
	Actions    []string           `json:"actions"`
	To         string             `json:"to"`
	Account    string             `json:"account,omitempty"`
	Mechanism  string             `json:"mechanism"`
	Verdict    string             `json:"verdict"`
	Conditions *report.Conditions `json:"conditions,omitempty"`
	// CallerAssumed: the caller's account was not collected; its side was taken at its worst.
	CallerAssumed bool               `json:"callerAssumed"`
	Evidence      []*report.Evidence `json:"evidence"`
	// Witness is a request context for which the engine, asked afresh, answers Allow; absent where none was found.
	Witness map[string][]string `json:"witness,omitempty"`
}

func pathAnswerOf(p *access.Path) pathAnswer {
	out := pathAnswer{
		From: p.From, To: p.To, Verdict: p.Verdict.String(), Chained: p.Chained,
		MaxSessionSeconds: int(p.MaxSession / time.Second), Steps: []stepAnswer{},
	}
	for i, e := range p.Steps {
		s := stepAnswer{
			Actions: e.Actions, To: e.Target.ARN, Account: e.Target.Account, Mechanism: string(e.Mechanism),
			Verdict: e.Verdict.String(), Conditions: conditionsOf(e.Verdict, p.LeftOver[i]), CallerAssumed: e.CallerAssumed,
			Evidence: []*report.Evidence{},
		}
		for _, x := range stepEvidence(e) {
			s.Evidence = append(s.Evidence, evidenceOf(x))
		}
		if p.Witness != nil {
			s.Witness = p.Witness[i]
		}
		out.Steps = append(out.Steps, s)
	}
	return out
}

// stepEvidence is what lets a crossing through: the statement on the caller's side, and those on the target's.
func stepEvidence(e *access.Edge) []access.Evidence {
	var all []access.Evidence
	if !none(e.Identity) {
		all = append(all, e.Identity)
	}
	for _, g := range e.Grants {
		all = append(all, g.Evidence)
	}
	if len(e.Grants) == 0 && !none(e.By) && e.By != e.Identity {
		all = append(all, e.By)
	}
	return all
}

// path prints one path, its steps numbered.
func (w *textWriter) path(number int, p *access.Path) {
	session := ""
	if p.MaxSession > 0 {
		session = ", session up to " + duration(p.MaxSession)
		if p.Chained {
			session += " (a chain of roles)"
		}
	}
	w.line("%d. %s%s", number, verdictText(p.Verdict), session)
	w.line("   %s", p.From)
	for i, e := range p.Steps {
		w.line("   → %s by %s", e.Target.ARN, strings.Join(e.Actions, ", "))
		if e.Verdict == eval.Unknown {
			w.line("       if %s", p.LeftOver[i])
		}
		if e.CallerAssumed {
			w.line("       the caller's side was not seen: it is taken at its worst")
		}
		for _, x := range stepEvidence(e) {
			w.line("       by %s", place(x))
		}
		if p.Witness != nil && len(p.Witness[i]) > 0 {
			w.line("       for example with %s", contextText(p.Witness[i]))
		}
	}
}

// contextText is a request context on one line, in order of key.
func contextText(values map[string][]string) string {
	var parts []string
	for key, v := range values {
		parts = append(parts, key+"="+strings.Join(v, ","))
	}
	slices.Sort(parts)
	return strings.Join(parts, " ")
}

// duration is a time span without trailing zeros: 1h, 12h, 1h30m.
func duration(d time.Duration) string {
	s := d.String()
	s = strings.TrimSuffix(s, "0s")
	return strings.TrimSuffix(s, "h0m") + map[bool]string{true: "h"}[strings.HasSuffix(s, "h0m")]
}
