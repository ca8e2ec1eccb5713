package lint

import (
	"slices"
	"strings"
)

// Apply makes the fixes of some diagnostics of a text, and returns the new text with the diagnostics whose fix was made.
// The rest of the text stays byte for byte. Of two fixes that meet, the first is made, and the other is for the next time.
func Apply(text string, diagnostics []Diagnostic) (fixed string, made []Diagnostic) {
	var todo []Diagnostic
	for _, d := range diagnostics {
		if f := d.Fix; f != nil && f.Offset >= 0 && f.Length >= 0 && f.Offset+f.Length <= len(text) {
			todo = append(todo, d)
		}
	}
	slices.SortStableFunc(todo, func(a, b Diagnostic) int { return a.Fix.Offset - b.Fix.Offset })
	var b strings.Builder
	at := 0
	for _, d := range todo {
		if d.Fix.Offset < at {
			continue
		}
		b.WriteString(text[at:d.Fix.Offset])
		b.WriteString(d.Fix.Text)
		at = d.Fix.Offset + d.Fix.Length
		made = append(made, d)
	}
	b.WriteString(text[at:])
	return b.String(), made
}
