package report

import (
	"bufio"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
)

// GateSchema names the form of a judgement in JSON.
const GateSchema = "drawbridge/gate/v1"

// Gate is the judgement of a planned change, as every form tells it.
type Gate struct {
	Schema string `json:"schema"`
	Tool   Tool   `json:"tool"`
	Plan   string `json:"plan"`
	Base   string `json:"base,omitempty"` // the organisation that the change was judged over; "" where only the plan is known
	// Status is refused, cannot be judged, accepted, registered, nothing new across accounts, or nothing new. Passes: nothing of it needs anybody's yes.
	Status   string         `json:"status"`
	Passes   bool           `json:"passes"`
	Changes  int            `json:"changes"`  // steps that change something
	Narrowed int            `json:"narrowed"` // policies that allow less than before
	Gains    []GateGain     `json:"gains"`
	Unjudged []GateUnjudged `json:"unjudged"`
	Entries  []GateEntry    `json:"entries,omitempty"`
	Rules    []Rule         `json:"-"` // that the judgement names
}

// GateGain is one thing that somebody can do after the change and could not before.
type GateGain struct {
	Rule        string          `json:"rule"` // IAC-001
	Severity    string          `json:"severity"`
	Kind        string          `json:"kind"` // trust, path, rights or guard
	Refused     bool            `json:"refused"`
	Within      bool            `json:"withinAccount"`
	Who         []string        `json:"who"`
	Target      string          `json:"target"`
	Actions     []string        `json:"actions"`
	How         string          `json:"how"`
	Conditions  string          `json:"conditions,omitempty"` // "" where none
	Steps       []string        `json:"steps,omitempty"`
	Reach       []string        `json:"reachedFrom,omitempty"` // who of other accounts can come to use it
	Entry       string          `json:"entry,omitempty"`       // of the registry, that declares it
	Registry    string          `json:"registry,omitempty"`    // how it stands to the registry
	Address     string          `json:"address,omitempty"`     // of the resource in the code
	Action      string          `json:"action,omitempty"`      // create, update, replace, delete
	File        string          `json:"file,omitempty"`
	Line        int             `json:"line,omitempty"`
	Column      int             `json:"column,omitempty"`
	Request     json.RawMessage `json:"request,omitempty"` // that is allowed after the change, for 'drawbridge eval'
	RequestText string          `json:"requestText,omitempty"`
	Fingerprint string          `json:"fingerprint"`
	// Accepted: an exception in force accepts it. Expired is the exception that accepted it and is over.
	Accepted *Acceptance `json:"accepted,omitempty"`
	Expired  *Acceptance `json:"expiredException,omitempty"`
}

// GateEntry is the draft of an entry of the registry that lets something pass which is refused.
type GateEntry struct {
	Name     string   `json:"name"`
	Replaces bool     `json:"replaces,omitempty"` // the registry has it, and it would have to become this
	Text     string   `json:"text"`               // in YAML, with TODO where a person must say something
	Missing  []string `json:"missing,omitempty"`  // what a person must say, as paths
	Findings []string `json:"findings"`           // that pass with it
}

// GateUnjudged is something that could not be judged.
type GateUnjudged struct {
	Rule        string `json:"rule"` // IAC-002
	Severity    string `json:"severity"`
	What        string `json:"what"`
	Why         string `json:"why"`
	Address     string `json:"address,omitempty"`
	File        string `json:"file,omitempty"`
	Line        int    `json:"line,omitempty"`
	Column      int    `json:"column,omitempty"`
	Fingerprint string `json:"fingerprint"`
	// As of a gain.
	Accepted *Acceptance `json:"accepted,omitempty"`
	Expired  *Acceptance `json:"expiredException,omitempty"`
}

// gateActions is how many actions are written out for people.
const gateActions = 4

func (g *GateGain) actions() string {
	switch n := len(g.Actions); {
	case n == 0:
		return "more"
	case n > gateActions:
		return fmt.Sprintf("%s and %d more actions", strings.Join(g.Actions[:gateActions-1], ", "), n-gateActions+1)
	}
	return strings.Join(g.Actions, ", ")
}

// who says who gains, shortly.
func (g *GateGain) who() string {
	names, _ := g.named()
	if len(names) > 3 {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:2], ", "), len(names)-2)
	}
	return strings.Join(names, ", ")
}

// onlyCaller is the condition that names one caller.
var onlyCaller = regexp.MustCompile(`(?:^|, )aws:PrincipalArn is "([^"]+)"(?:$|, )`)

// named are those who gain, and what must hold beside being them: the principals of an account, if they are one role, are that role.
func (g *GateGain) named() (names []string, conditions string) {
	names, conditions = make([]string, len(g.Who)), g.Conditions
	for i, name := range g.Who {
		names[i] = name
		if name == "*" {
			names[i] = "anyone"
		}
	}
	m := onlyCaller.FindStringSubmatchIndex(conditions)
	if len(names) != 1 || m == nil || !strings.HasPrefix(names[0], "principals of ") || strings.Contains(conditions, " or ") {
		return names, conditions
	}
	names[0] = conditions[m[2]:m[3]]
	rest := []string{conditions[:m[0]], conditions[m[1]:]}
	return names, strings.Join(slices.DeleteFunc(rest, func(s string) bool { return s == "" }), ", ")
}

// Sentence says a gain in one sentence.
func (g *GateGain) Sentence() string {
	var s string
	switch g.Kind {
	case "path":
		s = fmt.Sprintf("%s can come to %s, in %d steps", g.who(), g.Target, len(g.Steps))
	case "guard":
		s = fmt.Sprintf("%s: %s", g.who(), g.How)
		if len(g.Actions) > 0 {
			s += ", which frees " + g.actions()
		}
	default:
		s = fmt.Sprintf("%s may %s on %s", g.who(), g.actions(), g.Target)
	}
	if _, conditions := g.named(); conditions != "" {
		s += ", if " + conditions
	}
	return s
}

func (g *GateGain) place() string { return place(g.File, g.Line) }

// WriteGateText writes a judgement for a terminal.
func WriteGateText(w io.Writer, r *Gate) error {
	out := bufio.NewWriter(w)
	printf := func(format string, args ...any) { fmt.Fprintf(out, format, args...) }
	row := func(name, value string) {
		if value != "" {
			printf("         %-10s %s\n", name, visible(value))
		}
	}
	exceptions := func(accepted, expired *Acceptance) {
		if accepted != nil {
			row("exception", accepted.sentence())
		}
		if expired != nil {
			row("exception", fmt.Sprintf("of %s ran out on %s", expired.Owner, expired.Expires))
		}
	}
	printf("%s\n", r.headline())
	section := func(title string, has func(*GateGain) bool) {
		first := true
		for i := range r.Gains {
			g := &r.Gains[i]
			if !has(g) {
				continue
			}
			if first {
				printf("\n%s\n", title)
				first = false
			}
			printf("  %-6s %s\n", g.Kind, visible(g.Sentence()))
			for n, step := range g.Steps {
				printf("         %d. %s\n", n+1, visible(step))
			}
			row("used by", reached(g.Reach))
			row("by", by(g.Address, g.Action, g.File, g.Line))
			row("shown by", g.RequestText)
			row("registry", g.Registry)
			exceptions(g.Accepted, g.Expired)
			if g.Refused {
				row("finding", g.Fingerprint)
			}
		}
	}
	section("Refused: nobody agreed to this", func(g *GateGain) bool { return g.Refused })
	section("Accepted by an exception", func(g *GateGain) bool { return g.state() == gainAccepted })
	section("Registered", func(g *GateGain) bool { return g.state() == gainRegistered })
	section("Inside one account", func(g *GateGain) bool { return g.state() == gainWithin })
	unjudged := func(title string, accepted bool) {
		first := true
		for i := range r.Unjudged {
			u := &r.Unjudged[i]
			if (u.Accepted != nil) != accepted {
				continue
			}
			if first {
				printf("\n%s\n", title)
				first = false
			}
			printf("  %s\n         %s\n", visible(u.What), visible(u.Why))
			if u.Address != u.What {
				row("by", by(u.Address, "", u.File, u.Line))
			} else {
				row("at", place(u.File, u.Line))
			}
			exceptions(u.Accepted, u.Expired)
			if u.Accepted == nil {
				row("finding", u.Fingerprint)
			}
		}
	}
	unjudged("Cannot be judged", false)
	unjudged("Cannot be judged, and accepted by an exception", true)
	if len(r.Entries) > 0 {
		printf("\n%s:\n", r.entriesTitle())
		for _, line := range strings.Split(r.entriesText(), "\n") {
			printf("%s\n", strings.TrimRight("  "+visible(line), " "))
		}
	}
	if next := r.next(); next != "" {
		printf("\n%s\n", next)
	}
	return out.Flush()
}

// entriesTitle says what the drafted entries do, and what they lack.
func (r *Gate) entriesTitle() string {
	var passing, missing []string
	replaces := false
	for i := range r.Entries {
		e := &r.Entries[i]
		passing, missing = append(passing, e.Findings...), append(missing, e.Missing...)
		replaces = replaces || e.Replaces
	}
	slices.Sort(passing)
	n, of := len(slices.Compact(passing)), r.count(gainRefused)
	s := "With this entry in the registry"
	if len(r.Entries) > 1 {
		s = "With these entries in the registry"
	}
	if replaces {
		s = "With the registry changed to this"
	}
	switch {
	case n < of:
		s += fmt.Sprintf(" %d of %d refused things would pass", n, of)
	case of == 1:
		s += " it would pass"
	default:
		s += " all of it would pass"
	}
	if len(missing) > 0 {
		s += ", once somebody says what is marked TODO"
	}
	return s
}

// entriesText is the drafted entries as a file.
func (r *Gate) entriesText() string {
	texts := make([]string, len(r.Entries))
	for i := range r.Entries {
		texts[i] = strings.TrimRight(r.Entries[i].Text, "\n")
	}
	return strings.Join(texts, "\n---\n")
}

// by names the resource of the code, what happens to it, and where it stands.
func by(address, action, file string, line int) string {
	if address == "" {
		return ""
	}
	if action != "" {
		address += ", " + action
	}
	if p := place(file, line); p != "" {
		address += "  " + p
	}
	return address
}

// reached names the first of those who can come to use rights.
func reached(names []string) string {
	const most = 5
	if len(names) > most {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:most-1], ", "), len(names)-most+1)
	}
	return strings.Join(names, ", ")
}

// sentence says who accepts, until when, and why.
func (a *Acceptance) sentence() string { return a.Owner + ", until " + a.Expires + ": " + a.Reason }

// How a gain stands.
const (
	gainRefused    = "refused"
	gainAccepted   = "accepted"
	gainRegistered = "registered"
	gainWithin     = "inside"
)

// state is why a gain passes, where it does.
func (g *GateGain) state() string {
	switch {
	case g.Refused:
		return gainRefused
	case g.Entry != "":
		return gainRegistered
	case g.Accepted != nil:
		return gainAccepted
	}
	return gainWithin
}

// Refused reports whether something is refused, whatever else could not be judged.
func (r *Gate) Refused() bool { return r.count(gainRefused) > 0 }

func (r *Gate) count(state string) (n int) {
	for i := range r.Gains {
		if r.Gains[i].state() == state {
			n++
		}
	}
	return n
}

// open counts what could not be judged and nobody accepts; accepted is the rest.
func (r *Gate) open() (open, accepted int) {
	for i := range r.Unjudged {
		if r.Unjudged[i].Accepted == nil {
			open++
		} else {
			accepted++
		}
	}
	return open, accepted
}

// headline says the judgement in one line.
func (r *Gate) headline() string {
	open, unknown := r.open()
	accepted, registered := r.count(gainAccepted)+unknown, r.count(gainRegistered)
	var s string
	switch {
	case r.Refused():
		s = fmt.Sprintf("Refused: the change gives %s across accounts that nobody agreed to", plural(r.count(gainRefused), "thing"))
		if open > 0 {
			s += fmt.Sprintf(", and %s be judged", pluralVerb(open, "thing cannot", "things cannot"))
		}
	case open > 0:
		s = pluralVerb(open, "thing that decides about access is", "things that decide about access are") + " not known or not understood"
		if r.Passes {
			s = "Passes without having been judged: " + s
		} else {
			s = "Cannot be judged: " + s
		}
	case accepted > 0:
		s = fmt.Sprintf("Passes: an exception accepts %s", pluralVerb(accepted, "thing", "things"))
		if registered > 0 {
			s += fmt.Sprintf(", and the registry declares %d", registered)
		}
	case registered > 0:
		s = fmt.Sprintf("Passes: the change gives %s, and the registry declares all of it", plural(registered, "thing"))
	case len(r.Gains) > 0:
		s = fmt.Sprintf("Passes: the change gives nothing new across accounts, and %s inside one", plural(r.count(gainWithin), "thing"))
	default:
		s = "Passes: the change gives nobody anything new"
	}
	if r.Narrowed > 0 {
		s += fmt.Sprintf("; %s less than before", pluralVerb(r.Narrowed, "policy allows", "policies allow"))
	}
	return s + "."
}

func pluralVerb(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// next says what to do.
func (r *Gate) next() string {
	var parts []string
	open, _ := r.open()
	if r.Refused() {
		register := ", register what it gives (docs/registry.md)"
		if n := len(r.Entries); n > 0 {
			register = ", register what it gives (" + pluralVerb(n, "entry is", "entries are") + " drafted here, and --entries FILE writes them)"
		} else if !r.declarable() {
			register = " (no entry of the registry can declare this)"
		}
		parts = append(parts, "Next: narrow the change"+register+", or accept a finding for a time by an exception (docs/exceptions.md).")
	}
	if open > 0 {
		parts = append(parts, "What is computed when the change is applied can be judged after it, or before it where the code gives its value.")
	}
	if r.Base == "" {
		parts = append(parts, "Only the plan was judged: give a snapshot with --base, and ways over other accounts are seen too.")
	}
	return strings.Join(parts, "\n")
}

// declarable reports whether a trust is among what is refused: nothing else can be registered.
func (r *Gate) declarable() bool {
	return slices.ContainsFunc(r.Gains, func(g GateGain) bool { return g.Refused && g.Kind == "trust" && !slices.Contains(g.Who, "*") })
}

// gateRows is how many gains a comment shows: it has a largest size.
const gateRows = 50

// WriteGateMarkdown writes a comment for a pull request: who gains what, in a few sentences, and the details folded.
func WriteGateMarkdown(w io.Writer, r *Gate) error {
	out := bufio.NewWriter(w)
	printf := func(format string, args ...any) { fmt.Fprintf(out, format, args...) }
	state, rest, _ := strings.Cut(r.headline(), ": ")
	printf("<!-- drawbridge-gate -->\n## Drawbridge: %s\n\n%s\n\n", strings.ToLower(state[:1])+state[1:], inline(strings.ToUpper(rest[:1])+rest[1:]))
	told := 0
	for i := range r.Gains {
		if g := &r.Gains[i]; g.Refused && told < 3 {
			told++
			printf("- %s\n", g.markdown())
		}
	}
	if refused := r.count(gainRefused); refused > told {
		printf("- … and %d more.\n", refused-told)
	}
	told = 0
	for i := range r.Unjudged {
		u := &r.Unjudged[i]
		if u.Accepted == nil && told < 3 {
			told++
			printf("- %s cannot be judged: %s (finding %s).\n", code(u.What), inline(strings.TrimSuffix(u.Why, ".")), code(u.Fingerprint))
		}
	}
	if open, _ := r.open(); open > told {
		printf("- … and %d more cannot be judged.\n", open-told)
	}
	for _, next := range strings.Split(r.next(), "\n") {
		if next != "" {
			printf("\n%s\n", inline(next))
		}
	}
	if len(r.Entries) > 0 {
		printf("\n<details><summary>%s</summary>\n\n```yaml\n%s\n```\n\n</details>\n", html(r.entriesTitle()), strings.ReplaceAll(r.entriesText(), "```", "` ` `"))
	}
	if len(r.Gains) > 0 {
		printf("\n<details><summary>Who gains what</summary>\n\n")
		for i := range r.Gains {
			if i == gateRows {
				printf("- … and %d more.\n", len(r.Gains)-i)
				break
			}
			r.Gains[i].item(printf)
		}
		printf("\n</details>\n")
	}
	return out.Flush()
}

// markdown says a gain in one line.
func (g *GateGain) markdown() string {
	var s string
	_, conditions := g.named()
	switch g.Kind {
	case "path":
		s = fmt.Sprintf("%s can come to %s, in %d steps", code(g.who()), code(g.Target), len(g.Steps))
	case "guard":
		s = code(g.who()) + ": " + inline(g.How)
		if len(g.Actions) > 0 {
			s += ", which frees " + code(g.actions())
		}
	default:
		s = code(g.who()) + " may " + code(g.actions()) + " on " + code(g.Target)
	}
	if conditions != "" {
		s += ", if " + code(conditions)
	}
	if g.Expired != nil {
		s += "; the exception of " + inline(g.Expired.Owner) + " ran out on " + inline(g.Expired.Expires)
	}
	return s + "."
}

// item writes all that is known of a gain, as an item of a list.
func (g *GateGain) item(printf func(string, ...any)) {
	mark := g.state()
	if g.Refused {
		mark = "**refused**"
	}
	printf("- %s: %s\n", mark, g.markdown())
	for n, step := range g.Steps {
		printf("  %d. %s\n", n+1, code(step))
	}
	line := func(format string, args ...any) { printf("  - "+format+"\n", args...) }
	if len(g.Reach) > 0 {
		line("used by %s", code(reached(g.Reach)))
	}
	if g.Address != "" {
		line("by %s, %s %s", code(g.Address), g.Action, inline(g.place()))
	}
	if g.RequestText != "" {
		line("shown by %s", code(g.RequestText))
	}
	if g.Registry != "" {
		line("%s", inline(g.Registry))
	}
	if g.Accepted != nil {
		line("accepted by %s", inline(g.Accepted.sentence()))
	}
	if g.Refused {
		line("finding %s", code(g.Fingerprint))
	}
}

// WriteGateJSON writes a judgement as JSON, by docs/schema/gate.schema.json.
func WriteGateJSON(w io.Writer, r *Gate) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteGateSARIF writes SARIF 2.1.0, with the line of the code where it is known.
func WriteGateSARIF(w io.Writer, r *Gate, base string) error {
	s := sarifWriter{base: base, index: map[string]int{}}
	driver := sarifDriver{Name: "Drawbridge", Version: r.Tool.Version, Rules: []sarifRule{}}
	for i := range r.Rules {
		s.index[r.Rules[i].ID] = i
		driver.Rules = append(driver.Rules, s.rule(&r.Rules[i]))
	}
	run := sarifRun{Tool: sarifTool{driver}, ColumnKind: "utf16CodeUnits", Invocations: []sarifInvocation{{ExecutionSuccessful: true}}, Results: []sarifResult{}}
	add := func(rule, severity, subject, text, fingerprint, file string, line, column int, passes bool, accepted *Acceptance) {
		i := s.index[rule]
		result := sarifResult{RuleID: rule, RuleIndex: &i, Kind: "fail", Level: sarifLevels[severity], Message: sarifText{Text: text}, PartialFingerprints: map[string]string{fingerprintName: fingerprint},
			Properties: &sarifResultProps{Severity: severity, Status: "confirmed"}, Locations: []sarifLocation{{Physical: s.physical(file, line, column), Logical: []sarifLogicalLocation{{FullyQualifiedName: subject, Kind: "resource"}}}}}
		if passes {
			result.Level = "note"
		}
		if accepted != nil {
			result.Suppressions = []sarifSuppression{accepted.suppression()}
		}
		run.Results = append(run.Results, result)
	}
	for i := range r.Gains {
		g := &r.Gains[i]
		add(g.Rule, g.Severity, g.Target, g.Sentence()+".", g.Fingerprint, g.File, g.Line, g.Column, !g.Refused && g.Accepted == nil, g.Accepted)
	}
	for i := range r.Unjudged {
		u := &r.Unjudged[i]
		add(u.Rule, u.Severity, u.What, u.What+" cannot be judged: "+u.Why, u.Fingerprint, u.File, u.Line, u.Column, false, u.Accepted)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}})
}

// The part of JUnit's XML that continuous integration reads.
type (
	junitSuite struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr,omitempty"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		File    string        `xml:"file,attr,omitempty"`
		Line    int           `xml:"line,attr,omitempty"`
		Failure *junitMessage `xml:"failure,omitempty"`
		Error   *junitMessage `xml:"error,omitempty"`
		Skipped *junitSkipped `xml:"skipped,omitempty"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
	junitMessage struct {
		Message string `xml:"message,attr"`
		Type    string `xml:"type,attr"`
		Text    string `xml:",chardata"`
	}
)

// WriteGateJUnit writes a judgement as a suite of tests: each gain is one, which fails where it is refused; what cannot be judged is an error, and what an exception accepts is skipped.
func WriteGateJUnit(w io.Writer, r *Gate) error {
	suite := junitSuite{Name: "drawbridge gate " + r.Plan, Cases: []junitCase{}}
	for i := range r.Gains {
		g := &r.Gains[i]
		c := junitCase{Name: g.Sentence(), Class: or(g.Address, g.Target), File: g.File, Line: g.Line}
		switch g.state() {
		case gainRefused:
			suite.Failures++
			c.Failure = &junitMessage{Message: g.Sentence(), Type: g.Rule, Text: g.RequestText}
		case gainAccepted:
			suite.Skipped++
			c.Skipped = &junitSkipped{"accepted by " + g.Accepted.sentence()}
		}
		suite.Cases = append(suite.Cases, c)
	}
	for i := range r.Unjudged {
		u := &r.Unjudged[i]
		c := junitCase{Name: u.What + " can be judged", Class: or(u.Address, u.What), File: u.File, Line: u.Line}
		if u.Accepted != nil {
			suite.Skipped++
			c.Skipped = &junitSkipped{"accepted by " + u.Accepted.sentence()}
		} else {
			suite.Errors++
			c.Error = &junitMessage{Message: u.Why, Type: u.Rule}
		}
		suite.Cases = append(suite.Cases, c)
	}
	if len(suite.Cases) == 0 {
		suite.Cases = append(suite.Cases, junitCase{Name: "the change gives nobody anything new", Class: r.Plan})
	}
	suite.Tests = len(suite.Cases)
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(suite); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}
