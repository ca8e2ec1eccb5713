package catalog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"drawbridge/internal/rule"
)

// Pages are the documents about the rules, by file name: one page a rule and README.md, the list of all.
func Pages() map[string][]byte {
	pages := map[string][]byte{"README.md": index()}
	for _, r := range All() {
		pages[r.ID+".md"] = page(r)
	}
	return pages
}

const generated = "<!-- Generated from the rule's record by `make generate`; do not edit. -->\n\n"

func index() []byte {
	var b bytes.Buffer
	b.WriteString(generated)
	table := func(rules []*rule.Rule) {
		b.WriteString("| rule | finding | severity |\n|---|---|---|\n")
		for _, r := range rules {
			fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", r.ID, r.ID, r.Title, r.Severity)
		}
	}
	b.WriteString("# Rules\n\nWhat `drawbridge scan` looks for. `drawbridge rules show ID` prints the same pages.\n\n")
	table(Rules())
	b.WriteString("\nWhat [`drawbridge gate`](../gate.md) looks for in a change before it is made.\n\n")
	table(Planned())
	return b.Bytes()
}

func page(r *rule.Rule) []byte {
	var b bytes.Buffer
	b.WriteString(generated)
	fmt.Fprintf(&b, "# %s: %s\n\n", r.ID, r.Title)
	if r.Planned {
		fmt.Fprintf(&b, "Severity: **%s**. Judged by [`drawbridge gate`](../gate.md). Since %s.\n\n", r.Severity, r.Since)
	} else {
		fmt.Fprintf(&b, "Severity: **%s**, unless a guard stops the access (then info, and the finding names the guard). Since %s.\n\n", r.Severity, r.Since)
	}
	section := func(title, text string) { fmt.Fprintf(&b, "## %s\n\n%s\n\n", title, text) }
	section("What it detects", sentence(r.Detects))
	section("Why it matters", r.Why)
	section("Remedy", sentence(r.Remedy))
	section("Before", fence(r.Example.Before))
	section("After", fence(r.Example.After))
	if len(r.Parameters) > 0 {
		section("Parameters", "Read from the settings: `"+strings.Join(r.Parameters, "`, `")+"`.")
	}
	if r.NeverUnassessed != "" {
		section("When it cannot judge", "Never: "+r.NeverUnassessed)
	} else {
		section("When it cannot judge", "Where a fact that it needs was not read or not understood, it reports the subject as *not assessed*, with the fact.")
	}
	section("Controls", controls(r.Controls))
	return append(bytes.TrimRight(b.Bytes(), "\n"), '\n')
}

func sentence(s string) string {
	if strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// fence prints an example; JSON is indented.
func fence(text string) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(text), "", "  "); err != nil {
		return "```\n" + text + "\n```"
	}
	return "```json\n" + b.String() + "\n```"
}

func controls(c rule.Controls) string {
	var tenets []string
	for _, t := range c.Tenets {
		tenets = append(tenets, fmt.Sprint(t))
	}
	rows := [][2]string{
		{"OWASP NHI Top 10", strings.Join(c.NHI, ", ")},
		{"NIST SP 800-207, tenets", strings.Join(tenets, ", ")},
		{"NIST CSF 2.0", strings.Join(c.CSF, ", ")},
		{"NIST SP 800-53 r5", strings.Join(c.NIST, ", ")},
		{"CIS AWS, Security Hub", c.CIS},
	}
	var b strings.Builder
	b.WriteString("| framework | ids |\n|---|---|\n")
	for _, r := range rows {
		if r[1] != "" {
			fmt.Fprintf(&b, "| %s | %s |\n", r[0], r[1])
		}
	}
	return strings.TrimRight(b.String(), "\n")
}
