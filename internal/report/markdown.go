package report

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// markdownFindings is how many findings the Markdown shows; a comment has a largest size.
const markdownFindings = 30

// WriteMarkdown writes a short form for a pull request: numbers and gaps first, each finding's details folded.
func WriteMarkdown(w io.Writer, r *Report) error {
	out := bufio.NewWriter(w)
	printf := func(format string, args ...any) { fmt.Fprintf(out, format, args...) }
	s := &r.Summary
	// The marker lets a bot find its own comment and replace it.
	printf("<!-- drawbridge-report -->\n## Drawbridge: %s\n\n", headline(r))
	if len(r.Gaps) > 0 {
		printf("> **%s.** %s\n\n", plural(len(r.Gaps), "gap"), gapsMean)
	}
	printf("| | |\n|---|---|\n")
	printf("| Accounts | %d: %s |\n", s.Accounts.Total, list(s.Accounts.ByKind))
	printf("| Trusts across accounts | %d: %s |\n", s.Trusts.CrossAccount, list(relationWords(s.Trusts.ByRelation)))
	printf("| Open findings | %s |\n", list(s.Findings.BySeverity))
	if s.Findings.NotAssessed+s.Findings.Known+s.Findings.Accepted > 0 {
		printf("| Beside them | %d not assessed, %d known, %d accepted |\n", s.Findings.NotAssessed, s.Findings.Known, s.Findings.Accepted)
	}
	printf("\n")
	printed, open := 0, 0
	for i := range r.Findings {
		f := &r.Findings[i]
		if !f.Open() {
			continue
		}
		if open++; printed == markdownFindings {
			continue
		}
		printed++
		printf("<details><summary><b>%s</b> %s %s: <code>%s</code></summary>\n\n", strings.ToUpper(f.Severity), html(f.Rule), html(f.Title), html(f.Subject))
		item := func(name, value string) {
			if value != "" {
				printf("- **%s** %s\n", name, value)
			}
		}
		item("Why", inline(f.Reason))
		if f.Grantee != "" {
			item("Grantee", code(f.Grantee))
		}
		item("Lowered", inline(f.Lowered))
		for j := range f.Evidence {
			item("Evidence", code(f.Evidence[j].String()))
		}
		item("Remedy", inline(f.Remedy))
		item("Fingerprint", code(f.Fingerprint))
		printf("\n</details>\n")
	}
	if open > printed {
		printf("\n… and %s more.\n", plural(open-printed, "finding"))
	}
	if len(r.Gaps) > 0 {
		printf("\n<details><summary>Gaps</summary>\n\n")
		for i := range r.Gaps {
			g := &r.Gaps[i]
			if i == markdownFindings {
				printf("- … and %d more\n", len(r.Gaps)-i)
				break
			}
			text := code(g.Subject) + ": " + inline(g.Reason)
			if p := place(g.File, g.Line); p != "" {
				text += " (" + code(p) + ")"
			}
			printf("- %s\n", text)
		}
		printf("\n</details>\n")
	}
	return out.Flush()
}

// headline says the result in a few words.
func headline(r *Report) string {
	if r.Summary.Findings.Open == 0 {
		if len(r.Gaps) > 0 {
			return "no open findings in what could be read"
		}
		return "no open findings"
	}
	return list(r.Summary.Findings.BySeverity)
}

var (
	htmlEscapes     = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\"", "&quot;")
	markdownEscapes = strings.NewReplacer("\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "[", "\\[", "]", "\\]", "<", "&lt;", ">", "&gt;",
		"&", "&amp;", "|", "\\|", "#", "\\#", "~", "\\~", "@", "&#64;", "\n", " ")
)

func html(s string) string { return htmlEscapes.Replace(visible(s)) }

// inline is text from the input inside a line of Markdown: nothing of it is markup or a mention.
func inline(s string) string { return markdownEscapes.Replace(visible(s)) }

// code is a code span that holds any text, backquotes too.
func code(s string) string {
	s = visible(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 || s == "" {
		return fence + " " + s + " " + fence
	}
	return fence + s + fence
}
