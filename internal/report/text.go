package report

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
)

// TextOptions say how the text is written.
type TextOptions struct {
	// Colours: the reader's terminal shows ANSI colours. Severity is in words always.
	Colours bool
	// Limit is how many findings are printed in full; 0: all.
	Limit int
}

// WriteText writes the report for a terminal: the gaps as a banner, the summary, then the worst findings.
func WriteText(w io.Writer, r *Report, options TextOptions) error {
	t := textWriter{out: bufio.NewWriter(w), r: r, options: options}
	t.head()
	t.gaps()
	t.summary()
	t.trusts()
	t.paths()
	t.findings()
	return t.out.Flush()
}

// textWriter prints; bufio keeps the first error until Flush.
type textWriter struct {
	out     *bufio.Writer
	r       *Report
	options TextOptions
}

func (t *textWriter) printf(format string, args ...any) { fmt.Fprintf(t.out, format, args...) }

// ANSI attributes by severity, and for headings.
var attributes = map[string]string{
	"critical": "1;97;41", "high": "1;31", "medium": "1;33", "low": "36", "info": "2", "bold": "1", "gap": "1;30;43", "dim": "2",
}

func (t *textWriter) paint(style, text string) string {
	if a := attributes[style]; t.options.Colours && a != "" {
		return "\x1b[" + a + "m" + text + "\x1b[0m"
	}
	return text
}

func (t *textWriter) head() {
	r := t.r
	line := t.paint("bold", "Drawbridge scan of "+visible(r.Input))
	if r.Organization != nil && r.Organization.ID != "" {
		line += ", organisation " + visible(r.Organization.ID)
	}
	if r.Now != "" {
		line += ", as of " + r.Now
	}
	t.printf("%s\n\n", line)
}

// gapLines is how many gaps of a kind the banner names.
const gapLines = 4

func (t *textWriter) gaps() {
	r := t.r
	if len(r.Gaps) == 0 {
		return
	}
	t.printf("%s %s\n", t.paint("gap", " GAPS "), plural(len(r.Gaps), "gap")+". "+gapsMean)
	for _, c := range r.Summary.GapsByKind {
		t.printf("  %5d  %s\n", c.Count, gapMeaning(c.Name))
		shown := 0
		for i := range r.Gaps {
			g := &r.Gaps[i]
			if g.Kind != c.Name {
				continue
			}
			if shown++; shown > gapLines {
				t.printf("         … and %d more, all of them in --format json\n", c.Count-gapLines)
				break
			}
			text := visible(g.Subject) + ": " + visible(g.Reason)
			if p := place(g.File, g.Line); p != "" {
				text += " " + t.paint("dim", "("+visible(p)+")")
			}
			t.printf("         %s\n", text)
		}
	}
	t.printf("\n")
}

func gapMeaning(kind string) string {
	if m := gapMeanings[kind]; m != "" {
		return m
	}
	return kind
}

func (t *textWriter) summary() {
	s := &t.r.Summary
	row := func(name, value string) { t.printf("%s  %s\n", t.paint("bold", fmt.Sprintf("%-10s", name)), value) }
	more := func(value string) { t.printf("%-10s  %s\n", "", value) }
	row("Accounts", fmt.Sprintf("%d: %s; inventory complete in %d", s.Accounts.Total, list(s.Accounts.ByKind), s.Accounts.Inventoried))
	row("Holds", strings.Join([]string{plural(s.Roles, "role"), plural(s.Users, "user"), plural(s.Resources, "resource")}, ", "))
	row("Trusts", fmt.Sprintf("%d across accounts, of %d", s.Trusts.CrossAccount, s.Trusts.Total))
	if s.Trusts.CrossAccount > 0 {
		more("by mechanism: " + list(s.Trusts.ByMechanism))
		more("by grantee:   " + list(relationWords(s.Trusts.ByRelation)))
		more("by verdict:   " + list(verdictWords(s.Trusts.ByVerdict)))
	}
	var parts []string
	for _, c := range s.Findings.BySeverity {
		text := fmt.Sprintf("%d %s", c.Count, c.Name)
		if c.Count > 0 {
			text = t.paint(c.Name, text)
		}
		parts = append(parts, text)
	}
	row("Findings", strings.Join(parts, ", "))
	for _, rest := range []struct {
		n    int
		text string
	}{
		{s.Findings.NotAssessed, "not assessed, because a fact is missing"},
		{s.Findings.Known, "known from the baseline"},
		{s.Findings.Accepted, "accepted by an exception"},
	} {
		if rest.n > 0 {
			more(fmt.Sprintf("%d %s", rest.n, rest.text))
		}
	}
	for _, fingerprint := range t.r.UnusedExceptions {
		more("exception " + visible(fingerprint) + " accepts no finding of this scan")
	}
	t.printf("\n")
}

// relations name where a grantee stands.
var relations = map[string]string{
	"organization": "organisation", "external": "external account", "unknown": "account of unknown membership", "federated": "identity provider",
	"service": "AWS service", "public": "anyone", "same-account": "same account",
}

func relationWord(name string) string {
	if w := relations[name]; w != "" {
		return w
	}
	return name
}

func relationWords(counts []Count) []Count {
	out := make([]Count, len(counts))
	for i, c := range counts {
		out[i] = Count{relationWord(c.Name), c.Count}
	}
	return out
}

func verdictWords(counts []Count) []Count {
	out := make([]Count, len(counts))
	for i, c := range counts {
		out[i] = Count{verdictWord(c.Name), c.Count}
	}
	return out
}

// pathLines is how many paths the text names.
const pathLines = 10

// trustLines is how many trusts are printed where not all findings are.
const trustLines = 25

// trusts prints the inventory of trusts across accounts: who, by which call, to what, under which conditions, for how long.
// AWS services are left to the findings and to the other formats: every account has dozens.
func (t *textWriter) trusts() {
	var across []*Trust
	for i := range t.r.Trusts {
		if trust := &t.r.Trusts[i]; trust.CrossAccount && trust.Grantee.Relation != "service" {
			across = append(across, trust)
		}
	}
	if len(across) == 0 {
		return
	}
	slices.SortStableFunc(across, func(a, b *Trust) int { return relationRank(a.Grantee.Relation) - relationRank(b.Grantee.Relation) })
	t.printf("%s\n", t.paint("bold", "Trusts across accounts, those in AWS services left out"))
	relation := ""
	for i, trust := range across {
		if i == trustLines && t.options.Limit > 0 {
			t.printf("  … and %d more: --all prints them\n", len(across)-i)
			break
		}
		if word := relationWord(trust.Grantee.Relation); word != relation {
			relation = word
			t.printf("  %s\n", t.paint("dim", word))
		}
		t.printf("    %s → %s\n", visible(trust.Grantee.ID), visible(trust.Target.ARN))
		t.printf("      %s\n", t.paint("dim", visible(terms(trust))))
	}
	t.printf("\n")
}

// relationRank orders grantees by how far away they stand.
func relationRank(relation string) int {
	order := []string{"public", "external", "unknown", "federated", "organization", "same-account"}
	return slices.Index(order, relation)
}

// terms says in one line how a trust lets in: the call, for how long, the verdict, the conditions.
func terms(trust *Trust) string {
	parts := []string{trust.Mechanism}
	if len(trust.Actions) > 0 && (trust.Mechanism == "ResourcePolicy" || trust.Mechanism == "KMSGrant") {
		parts[0] = strings.Join(trust.Actions, ", ")
	}
	if trust.MaxSessionSeconds > 0 {
		parts = append(parts, "up to "+session(trust.MaxSessionSeconds))
	} else if strings.HasPrefix(trust.Mechanism, "AssumeRole") {
		parts = append(parts, "for how long is not in the input")
	}
	switch {
	case trust.Denied != nil:
		parts = append(parts, "denied by "+trust.Denied.Layer)
	case trust.Conditions != nil:
		parts = append(parts, "if "+trust.Conditions.Text)
	case trust.Verdict == "Allow":
		parts = append(parts, "without conditions")
	}
	if trust.CallerAssumed && trust.Grantee.Account != "" {
		parts = append(parts, "caller's side not seen")
	}
	return strings.Join(parts, "; ")
}

func (t *textWriter) paths() {
	if t.r.PathsIncomplete {
		t.printf("%s\n\n", pathsIncomplete)
	}
	if len(t.r.Paths) == 0 {
		return
	}
	t.printf("%s\n", t.paint("bold", plural(len(t.r.Paths), "way")+" from outside to what is tagged as critical"))
	for i := range t.r.Paths {
		if i == pathLines {
			t.printf("  … and %d more, all of them in --format json\n", len(t.r.Paths)-pathLines)
			break
		}
		p := &t.r.Paths[i]
		t.printf("  %s\n", visible(p.From))
		for j := range p.Steps {
			s := &p.Steps[j]
			text := ""
			if s.Conditions != nil {
				text = "  " + t.paint("dim", "if "+visible(s.Conditions.Text))
			}
			t.printf("    → %s  %s%s\n", visible(s.Call), visible(s.To), text)
		}
	}
	t.printf("\n")
}

// findings prints the open findings, worst first. Findings of one rule with one reason are one block: a template rolled out
// to fifty accounts is one thing to read and one to mend.
func (t *textWriter) findings() {
	groups := alike(t.r.Findings)
	printed, hidden := 0, 0
	for _, group := range groups {
		if t.options.Limit > 0 && printed >= t.options.Limit {
			hidden += len(group)
			continue
		}
		printed++
		t.finding(group[0], group[1:])
	}
	if hidden > 0 {
		t.printf("… and %s more: --all prints them, --format json, sarif, html or csv has them all\n", plural(hidden, "finding"))
	}
	if printed == 0 {
		if len(t.r.Gaps) > 0 || t.r.Summary.Findings.NotAssessed > 0 {
			t.printf("No open findings in what could be read; see the gaps.\n")
		} else {
			t.printf("No open findings.\n")
		}
	}
}

// alike groups the open findings that differ in their subject only, in order of the first of each group.
func alike(findings []Finding) [][]*Finding {
	type key struct{ severity, rule, reason, grantee, lowered string }
	at := map[key]int{}
	var groups [][]*Finding
	for i := range findings {
		f := &findings[i]
		if !f.Open() {
			continue
		}
		k := key{f.Severity, f.Rule, f.Reason, f.Grantee, f.Lowered}
		if f.Expired != nil {
			k.lowered += f.Fingerprint // an exception that ran out is its own story
		}
		n, ok := at[k]
		if !ok {
			n = len(groups)
			at[k] = n
			groups = append(groups, nil)
		}
		groups[n] = append(groups[n], f)
	}
	return groups
}

// maxAlso is how many further subjects of one block are named.
const maxAlso = 3

func (t *textWriter) finding(f *Finding, also []*Finding) {
	t.printf("%s %s %s\n", t.paint(f.Severity, strings.ToUpper(f.Severity)), t.paint("bold", f.Rule), f.Title)
	row := func(name, value string) {
		if value != "" {
			t.printf("  %-9s %s\n", name, visible(value))
		}
	}
	row("subject", f.Subject)
	for i, other := range also {
		if i == maxAlso && len(also) > maxAlso+1 {
			row("", fmt.Sprintf("and %d more", len(also)-i))
			break
		}
		row("", other.Subject)
	}
	row("grantee", f.Grantee)
	row("why", f.Reason)
	row("lowered", f.Lowered)
	if f.Expired != nil {
		row("exception", fmt.Sprintf("of %s ran out on %s", f.Expired.Owner, f.Expired.Expires))
	}
	for i := range f.Evidence {
		name := "evidence"
		if i > 0 {
			name = ""
		}
		row(name, f.Evidence[i].String())
	}
	row("remedy", f.Remedy)
	row("id", f.Fingerprint)
	t.printf("\n")
}

// visible keeps text from the input from steering the terminal: control characters are written as escapes.
func visible(s string) string {
	clean := true
	for _, c := range s {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == '\u202e' || c == '\u2066' || c == '\u2067' {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, c := range s {
		if c < 0x20 || c >= 0x7f && c < 0xa0 || c == '\u202e' || c == '\u2066' || c == '\u2067' {
			fmt.Fprintf(&b, "\\u%04x", c)
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}
