package review

import (
	"encoding/csv"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// controls are the control objectives that a review of cross-account trusts is evidence for.
var controls = "OWASP NHI Top 10: NHI1, NHI5; NIST SP 800-53: AC-2, AC-6(7), CA-7; CSF 2.0: PR.AA-05, ID.AM-03"

// Order puts what is not decided first, then the strict decisions.
func (c *Campaign) Order() []*Item {
	var items []*Item
	for i := range c.Items {
		items = append(items, &c.Items[i])
	}
	rank := func(i *Item) int {
		if i.State != Decided {
			return -1
		}
		return len(Verdicts) - slices.Index(Verdicts, i.Outcome())
	}
	slices.SortStableFunc(items, func(a, b *Item) int { return rank(a) - rank(b) })
	return items
}

// uses says for each caller when it came last, in order of the callers.
func (i *Item) uses() []string {
	var out []string
	for _, who := range slices.Sorted(maps.Keys(i.LastUsed)) {
		when := i.LastUsed[who]
		if when == "" {
			when = "no use recorded"
		}
		out = append(out, who+": "+when)
	}
	return out
}

// WriteCSV writes an item a line, for auditors who sort.
func (c *Campaign) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	rows := [][]string{{"campaign", "entry", "owner", "purpose", "who", "what", "expires", "state", "outcome", "decisions", "stands", "last used", "evidence", "findings", "controls"}}
	for _, i := range c.Order() {
		rows = append(rows, []string{c.ID, i.Entry, i.Owner, i.Purpose, strings.Join(i.Who, "\n"), strings.Join(i.What, "\n"), i.Expires, string(i.State), string(i.Outcome()),
			strings.Join(i.said(), "\n"), strings.Join(i.Stands, "\n"), strings.Join(i.uses(), "\n"), i.Evidence, strings.Join(i.Findings, "\n"), controls})
	}
	for _, row := range rows {
		for n := range row {
			if row[n] != "" && strings.ContainsRune("=+-@", rune(row[n][0])) {
				row[n] = "'" + row[n] // a spreadsheet would take it for a formula
			}
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("writing the review: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// said are the decisions in words.
func (i *Item) said() []string {
	var out []string
	for _, d := range i.Decisions {
		out = append(out, fmt.Sprintf("%s: %s, %s (%s)", d.By, d.Verdict, d.Reason, d.At.Format(time.DateOnly)))
	}
	return out
}

// WriteHTML writes a page that stands alone, for auditors who read.
func (c *Campaign) WriteHTML(w io.Writer) error {
	type item struct {
		*Item
		Outcome          Verdict
		Waits            string
		Uses, Said, Next []string
	}
	page := struct {
		*Campaign
		Controls string
		Counts   []string
		List     []item
	}{Campaign: c, Controls: controls, Counts: c.Counts()}
	for _, i := range c.Order() {
		page.List = append(page.List, item{Item: i, Outcome: i.Outcome(), Waits: i.Waits(), Uses: i.uses(), Said: i.said(), Next: i.Next()})
	}
	if err := pageTemplate.Execute(w, page); err != nil {
		return fmt.Errorf("writing the review: %w", err)
	}
	return nil
}

// Counts says how many items there are of each outcome, in words.
func (c *Campaign) Counts() []string {
	n := map[string]int{}
	for i := range c.Items {
		key := string(c.Items[i].State)
		if o := c.Items[i].Outcome(); o != "" {
			key = string(o)
		}
		n[key]++
	}
	var out []string
	for _, key := range []string{string(Escalated), string(Open), string(Remove), string(Narrow), string(Keep)} {
		if n[key] > 0 {
			out = append(out, fmt.Sprintf("%d %s", n[key], key))
		}
	}
	return out
}

// Next are the commands that carry a decision out.
func (i *Item) Next() []string {
	var out []string
	if o := i.Outcome(); o == Narrow || o == Remove {
		for _, target := range i.What {
			if strings.Contains(target, ":role/") {
				out = append(out, "drawbridge remedy "+target+" SNAPSHOT --registry REGISTRY --usage RECORD")
			}
		}
		if i.Vendor != "" && o == Remove {
			out = append(out, "drawbridge offboard "+i.Vendor+" SNAPSHOT --registry REGISTRY")
		}
	}
	return out
}

var pageTemplate = template.Must(template.New("review").Funcs(template.FuncMap{"day": func(t time.Time) string { return t.Format(time.DateOnly) }}).Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Review {{.ID}}</title>
<style>
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h1{margin-bottom:.2rem}h2{font-size:1.1rem;margin:0;overflow-wrap:anywhere}
.lead{color:GrayText;margin-top:0}
article{border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:1rem 0}
.state{float:right;border-radius:1rem;padding:.1rem .7rem;background:var(--soft);font-weight:600}
.state.escalated,.state.remove{background:#c62828;color:#fff}.state.narrow,.state.open{background:#e6a100;color:#000}.state.keep{background:#2e7d32;color:#fff}
dl{display:grid;grid-template-columns:9rem 1fr;gap:.2rem 1rem;margin:.8rem 0 0}dt{color:GrayText}dd{margin:0;overflow-wrap:anywhere}
code{background:var(--soft);border-radius:.3rem;padding:0 .3rem;overflow-wrap:anywhere}
@media(max-width:40rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
@media print{article{break-inside:avoid}}
</style></head><body>
<h1>Review {{.ID}}</h1>
<p class="lead">{{.Scope}}. Opened {{day .Opened}}, deadline {{day .Deadline}}. {{range $n, $c := .Counts}}{{if $n}}, {{end}}{{$c}}{{else}}Nothing was due{{end}}.</p>
<p>Evidence for {{.Controls}}.</p>
{{range .List}}<article>
<span class="state {{.State}} {{.Outcome}}">{{if .Outcome}}{{.Outcome}}{{else}}{{.State}}{{end}}</span>
<h2>{{.Entry}}</h2>
<dl>
<dt>Purpose</dt><dd>{{.Purpose}}</dd>
<dt>Owner</dt><dd>{{.Owner}}</dd>
<dt>Who</dt><dd>{{range .Who}}<div>{{.}}</div>{{end}}</dd>
<dt>What</dt><dd>{{range .What}}<div>{{.}}</div>{{end}}</dd>
{{with .Session}}<dt>Session</dt><dd>up to {{.}}</dd>{{end}}
{{with .Expires}}<dt>Expires</dt><dd>{{.}}</dd>{{end}}
<dt>Last used</dt><dd>{{range .Uses}}<div>{{.}}</div>{{end}}<div>{{.Evidence}}</div></dd>
{{with .Stands}}<dt>Stands</dt><dd>{{range .}}<div>{{.}}</div>{{end}}</dd>{{end}}
{{with .Findings}}<dt>Findings</dt><dd>{{range .}}<div>{{.}}</div>{{end}}</dd>{{end}}
<dt>Decisions</dt><dd>{{range .Said}}<div>{{.}}</div>{{end}}{{with .Waits}}<div>waits for {{.}}</div>{{end}}</dd>
{{with .Next}}<dt>Next</dt><dd>{{range .}}<div><code>{{.}}</code></div>{{end}}</dd>{{end}}
</dl></article>
{{end}}</body></html>
`))
