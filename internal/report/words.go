package report

import (
	"fmt"
	"strings"
	"time"

	"drawbridge/iam/eval"
	"drawbridge/internal/snapshot"
)

// The words that the forms for people have in common.

// gapMeanings say what is missing, by kind of gap.
var gapMeanings = map[string]string{
	string(snapshot.GapFile):         "files, or parts of them, that could not be read or are not in the input",
	string(snapshot.GapDocument):     "policy documents that could not be read",
	string(snapshot.GapPolicy):       "managed policies that are attached, and whose documents are not in the input",
	string(snapshot.GapAccount):      "accounts that were not collected",
	string(snapshot.GapRegion):       "regions that were not collected",
	string(snapshot.GapCall):         "calls to AWS that were not answered",
	string(snapshot.GapOrganization): "facts about the organisation that are not known",
	string(snapshot.GapElement):      "policy statements with parts that are not understood",
}

// gapsMean is said wherever gaps are shown.
const gapsMean = "What could not be read counts as possible access, never as none."

// pathsIncomplete is said where not all ways were looked for.
const pathsIncomplete = "There are too many ways in and critical targets to search all pairs: more ways may lead to what is critical. Ask 'drawbridge paths' about single ones."

// plural prints a number with its noun: "1 gap", "3 gaps".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list prints counts in one line: "3 critical, 12 high". Zeroes are left out; nothing at all is "none".
func list(counts []Count) string {
	var parts []string
	for _, c := range counts {
		if c.Count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.Count, c.Name))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// place is file:line of evidence, "" where it has none.
func (e *Evidence) place() string { return place(e.File, e.Line) }

func place(file string, line int) string {
	if file == "" || line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d", file, line)
}

// what names the document and statement, counted from one as people do.
func (e *Evidence) what() string {
	text := e.Document
	if e.Statement != nil {
		text += fmt.Sprintf(", statement %d", *e.Statement+1)
	}
	if e.Sid != "" {
		text += fmt.Sprintf(" (%s)", e.Sid)
	}
	return text
}

func (e *Evidence) String() string {
	text := e.what()
	if e.Subject != "" && e.Subject != e.Document {
		text += " of " + e.Subject
	}
	if p := e.place(); p != "" {
		return p + "  " + text
	}
	return text
}

// condition says under which conditions a trust holds.
func (t *Trust) condition() string {
	switch t.Verdict {
	case eval.Allow.String():
		return "always"
	case eval.Deny.String():
		if t.Denied != nil && t.Denied.Layer != eval.NoLayer.String() {
			return "denied by " + layers[t.Denied.Layer]
		}
		return "denied"
	}
	return conditionText(t.Conditions)
}

func conditionText(c *Conditions) string {
	if c == nil {
		return "not decided"
	}
	return "if " + c.Text
}

// layers name the layers of policies in words.
var layers = map[string]string{
	eval.RCP.String(): "an RCP", eval.SCP.String(): "an SCP", eval.Trust.String(): "the trust policy", eval.Resource.String(): "the resource policy",
	eval.Identity.String(): "the caller's policies", eval.Boundary.String(): "a permissions boundary", eval.Session.String(): "a session policy",
	eval.Endpoint.String(): "an endpoint policy", eval.AWS.String(): "AWS", eval.NoLayer.String(): "no policy",
}

// verdictWord says a verdict to people.
func verdictWord(verdict string) string {
	switch verdict {
	case eval.Allow.String():
		return "allowed"
	case eval.Deny.String():
		return "denied"
	}
	return "possible"
}

// session prints a session's length: 1h, 12h, 45m; "" for none.
func session(seconds int) string {
	if seconds == 0 {
		return ""
	}
	text := (time.Duration(seconds) * time.Second).String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// who names a grantee for people.
func (g *Grantee) who() string {
	text := g.ID
	if g.Kind == "anyone" {
		text = "anyone (*)"
	}
	name := g.Vendor
	if name == "" {
		name = g.AccountName
	}
	if name != "" {
		text += " (" + name + ")"
	}
	if g.Missing {
		text += " [does not exist]"
	}
	return text
}

// name is an account for people.
func (a *Account) name() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}
