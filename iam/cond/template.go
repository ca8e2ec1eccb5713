package cond

import (
	"fmt"
	"strings"

	"drawbridge/iam/arn"
)

// Template is a string with variables, cut into parts once (rules 75 to 79). Expanding it makes a pattern in which the
// wildcards that the policy wrote are wildcards, and those that came from a variable's value or from ${*}, ${?} and
// ${$} are characters.
type Template struct {
	text  string
	parts []part
	loose arn.Pattern // with a star for each variable: what no value makes match, it does not match
}

// part is literal text, or a variable with its default.
type part struct {
	text       string // literal text, in the escaped form
	name       string // key of the variable, as written
	variable   string // the same in lower case; "" for literal text
	fallback   string
	hasDefault bool
}

// A literal wildcard character is carried through a pattern as a control character, and the subject's own are mapped to
// the same before it is compared. No name in AWS contains these two characters.
const (
	literalStar     = "\x01"
	literalQuestion = "\x02"
)

var escapeWildcards = strings.NewReplacer("*", literalStar, "?", literalQuestion)

// CompileTemplate cuts s at its variables. It returns nil where s has none, so that the caller keeps the plain string. A
// malformed variable is an error.
// Source: IAM User Guide, "IAM policy elements: Variables and tags".
func CompileTemplate(s string) (*Template, error) {
	if !strings.Contains(s, "${") {
		return nil, nil
	}
	t := &Template{text: s}
	rest := s
	for rest != "" {
		i := strings.Index(rest, "${")
		if i < 0 {
			t.parts = append(t.parts, part{text: rest})
			break
		}
		if i > 0 {
			t.parts = append(t.parts, part{text: rest[:i]})
		}
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			return nil, fmt.Errorf("variable without closing brace in %q", s)
		}
		p, err := parseVariable(rest[i+2 : i+end])
		if err != nil {
			return nil, fmt.Errorf("%w in %q", err, s)
		}
		t.parts = append(t.parts, p)
		rest = rest[i+end+1:]
	}
	var loose strings.Builder
	for _, p := range t.parts {
		if p.variable != "" {
			p.text = "*"
		}
		loose.WriteString(p.text)
	}
	t.loose = arn.CompilePattern(loose.String())
	return t, nil
}

// parseVariable reads what stands between ${ and }: a key, optionally with a default ('aws:PrincipalTag/team, 'none”),
// or one of the three escapes (rule 79).
func parseVariable(body string) (part, error) {
	switch body {
	case "*":
		return part{text: literalStar}, nil
	case "?":
		return part{text: literalQuestion}, nil
	case "$":
		return part{text: "$"}, nil
	}
	key, fallback, hasDefault := strings.Cut(body, ",")
	key = strings.TrimSpace(key)
	if key == "" {
		return part{}, fmt.Errorf("variable without a name")
	}
	p := part{name: key, variable: strings.ToLower(key), hasDefault: hasDefault}
	if hasDefault {
		fallback = strings.TrimSpace(fallback)
		if len(fallback) < 2 || fallback[0] != '\'' || fallback[len(fallback)-1] != '\'' {
			return part{}, fmt.Errorf("default of variable %s is not in single quotes", key)
		}
		p.fallback = escapeWildcards.Replace(fallback[1 : len(fallback)-1])
	}
	return p, nil
}

// String is the template as written.
func (t *Template) String() string { return t.text }

// Expand puts the values of ctx in. Present: pattern is to be compared by MatchExpanded. Absent: a variable has no value
// and no default, and nothing is equal to it or like it (rule 76). Undetermined: a variable's value is not known, or it has
// several.
func (t *Template) Expand(ctx *Context) (pattern string, state State) {
	var b strings.Builder
	open := false
	for _, p := range t.parts {
		if p.variable == "" {
			b.WriteString(p.text)
			continue
		}
		state, values := ctx.Lookup(p.variable)
		switch {
		case state == Undetermined, len(values) > 1:
			open = true
		case state == Present && len(values) == 1:
			b.WriteString(escapeWildcards.Replace(values[0]))
		case p.hasDefault:
			b.WriteString(p.fallback)
		default:
			return "", Absent
		}
	}
	if open {
		return "", Undetermined
	}
	return b.String(), Present
}

// MatchResource compares a resource ARN with the template as an ARN pattern. Unknown: a variable is not known, and with some value
// the template would match.
func (t *Template) MatchResource(ctx *Context, resource string) Truth {
	expanded, state := t.Expand(ctx)
	switch state {
	case Absent:
		return False
	case Undetermined:
		return Of(t.loose.Match(escapeWildcards.Replace(resource))).And(Unknown)
	}
	p := arn.CompilePattern(expanded)
	return Of(p.Match(escapeWildcards.Replace(resource)))
}

// unescape gives an expanded pattern without wildcards of its own back as plain text.
var unescape = strings.NewReplacer(literalStar, "*", literalQuestion, "?")

// escaped reports whether an expanded pattern carries wildcard characters that stand for themselves.
func escaped(expanded string) bool {
	return strings.Contains(expanded, literalStar) || strings.Contains(expanded, literalQuestion)
}
