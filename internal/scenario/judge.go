package scenario

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/decision"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
)

// Outcome is what became of one expectation. The zero value is NotYet.
type Outcome uint8

const (
	NotYet Outcome = iota // it needs a rule that this version does not have
	Held
	Failed
)

func (o Outcome) String() string { return [...]string{"not yet", "held", "failed"}[o] }

// Result is one expectation with its outcome.
type Result struct {
	Kind    string // finding, absent, notAssessed, path, noPath, check
	Rule    string // of findings; "" for the others
	Name    string // the expectation in words
	Outcome Outcome
	Seen    string // what was seen instead, where it failed
}

// Judge holds an organisation against what a scenario expects of it, each expectation by itself. Rules are those of this
// version; what expects another rule is NotYet, never skipped.
func (s *Scenario) Judge(rules []*rule.Rule, engine eval.Evaluator) []Result {
	o := org.Build(s.Snapshot)
	g := access.Build(o, access.Options{Engine: engine, Now: s.Now})
	j := judge{scenario: s, graph: g, known: map[string]bool{}}
	for _, r := range rules {
		j.known[r.ID] = true
	}
	j.findings = rule.Run(rules, &rule.Input{Graph: g, Org: o, Vendors: s.Vendors, Registry: s.Registry, Parameters: s.Parameters, Now: s.Now})
	for _, e := range s.Expect.Findings {
		j.finding("finding", e, finding.Confirmed, true)
	}
	for _, e := range s.Expect.Absent {
		j.finding("absent", e, finding.Confirmed, false)
	}
	for _, e := range s.Expect.NotAssessed {
		j.finding("notAssessed", e, finding.NotAssessed, true)
	}
	for _, e := range s.Expect.Paths {
		j.path(e)
	}
	for _, e := range s.Expect.NoPaths {
		j.noPath(e)
	}
	for _, c := range s.Checks {
		j.check(c)
	}
	return j.results
}

type judge struct {
	scenario *Scenario
	graph    *access.Graph
	known    map[string]bool
	findings []finding.Finding
	results  []Result
}

func (j *judge) add(r Result, held bool) {
	r.Outcome = Failed
	if held {
		r.Outcome, r.Seen = Held, ""
	}
	j.results = append(j.results, r)
}

func (j *judge) finding(kind string, e ExpectedFinding, status finding.Status, want bool) {
	r := Result{Kind: kind, Rule: e.ID, Name: e.ID + " on " + e.Subject}
	if !j.known[e.ID] {
		j.results = append(j.results, r)
		return
	}
	got := slices.ContainsFunc(j.findings, func(f finding.Finding) bool {
		return f.Rule == e.ID && f.Subject == e.Subject && f.Status == status
	})
	r.Seen = "it was raised"
	if want {
		r.Seen = "raised on this subject: " + strings.Join(j.rulesOn(e.Subject), ", ")
	}
	j.add(r, got == want)
}

// rulesOn lists what was found on a subject.
func (j *judge) rulesOn(subject string) []string {
	var ids []string
	for _, f := range j.findings {
		if f.Subject != subject {
			continue
		}
		id := f.Rule
		if f.Status == finding.NotAssessed {
			id += " (not assessed)"
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return []string{"nothing"}
	}
	return ids
}

func (j *judge) path(e ExpectedPath) {
	r := Result{Kind: "path", Name: "path from " + e.From + " to " + e.To}
	paths, err := j.graph.Paths(e.From, e.To, access.PathOptions{})
	if err != nil {
		r.Seen = err.Error()
		j.add(r, false)
		return
	}
	if e.Verdict == "deny" {
		r.Seen = describe(paths)
		j.add(r, len(paths) == 0)
		return
	}
	for i := range paths {
		if matches(&paths[i], &e) {
			j.add(r, true)
			return
		}
	}
	r.Seen = describe(paths)
	j.add(r, false)
}

// matches compares what the expectation mentions.
func matches(p *access.Path, e *ExpectedPath) bool {
	if len(e.Steps) > 0 && !slices.Equal(stepsOf(p), e.Steps) {
		return false
	}
	if e.Verdict != "" && verdictOf(p) != e.Verdict {
		return false
	}
	if e.MaxSessionSeconds > 0 && p.MaxSession != time.Duration(e.MaxSessionSeconds)*time.Second {
		return false
	}
	return len(e.Conditions) == 0 || slices.Equal(slices.Sorted(slices.Values(e.Conditions)), conditionsOf(p))
}

func stepsOf(p *access.Path) []string {
	steps := make([]string, len(p.Steps))
	for i, s := range p.Steps {
		steps[i] = s.Step()
	}
	return steps
}

// verdictOf is the format's name of a path's verdict.
func verdictOf(p *access.Path) string {
	if p.Verdict == eval.Allow {
		return "allow"
	}
	return "conditional"
}

// conditionsOf are the constraints left over on the way, each once, sorted.
func conditionsOf(p *access.Path) []string {
	var texts []string
	for _, f := range p.LeftOver {
		f.Alternatives(func(constraints []*cond.Constraint) bool {
			for _, c := range constraints {
				texts = append(texts, c.Notation())
			}
			return true
		})
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}

func describe(paths []access.Path) string {
	if len(paths) == 0 {
		return "no path"
	}
	p := &paths[0]
	text := fmt.Sprintf("%d paths, the first %s in %v, %d seconds", len(paths), verdictOf(p), stepsOf(p), int(p.MaxSession.Seconds()))
	if c := conditionsOf(p); len(c) > 0 {
		text += ", if " + strings.Join(c, " and ")
	}
	return text
}

func (j *judge) noPath(e ExpectedPath) {
	r := Result{Kind: "noPath", Name: "no path from " + e.From + " to " + e.To}
	paths, err := j.graph.Paths(e.From, e.To, access.PathOptions{})
	if err != nil {
		r.Seen = err.Error()
		j.add(r, false)
		return
	}
	r.Seen = describe(paths)
	j.add(r, len(paths) == 0)
}

func (j *judge) check(c Check) {
	r := Result{Kind: "check", Name: fmt.Sprintf("%s by %s on %s", c.Action, c.Principal, c.Resource)}
	ctx, err := contextValues(c.Context)
	if err == nil && c.Expect != "allow" && c.Expect != "deny" {
		err = fmt.Errorf("expect %q is neither allow nor deny", c.Expect)
	}
	if err != nil {
		r.Seen = err.Error()
		j.add(r, false)
		return
	}
	answer, err := j.graph.Decide(access.Question{
		Principal: c.Principal, Action: c.Action, Resource: c.Resource, ResourceAccount: c.ResourceAccount, Context: ctx, Rest: cond.Absent,
	})
	if err != nil {
		r.Seen = err.Error()
		j.add(r, false)
		return
	}
	r.Seen = answer.Verdict.String() + " by " + answer.By.Layer.String()
	if !answer.LeftOver.IsAlways() && !answer.LeftOver.IsNever() {
		r.Seen += ", if " + answer.LeftOver.String()
	}
	j.add(r, answer.Verdict == map[string]eval.Verdict{"allow": eval.Allow, "deny": eval.Deny}[c.Expect])
}

// contextValues reads context values: a string, a number, a boolean or a list of them.
func contextValues(raw map[string]json.RawMessage) (map[string][]string, error) {
	values := make(map[string][]string, len(raw))
	for key, text := range raw {
		list, err := decision.ContextValue(text)
		if err != nil {
			return nil, fmt.Errorf("context key %s: %w", key, err)
		}
		values[key] = list
	}
	return values, nil
}
