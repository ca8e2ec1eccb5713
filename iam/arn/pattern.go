package arn

import "strings"

// Pattern is a compiled ARN pattern, as in the Resource element and in ArnLike: the six fields are compared one by one,
// wildcards may stand in any of them, and only in the last do they span colons (rules 67, 85, 87). A pattern with fewer
// fields is padded with "*" (rule 86). Text that is no ARN is one wildcard pattern for the whole string.
type Pattern struct {
	text  string
	head  string // the first five fields with their colons, where they carry no wildcard
	tail  Glob   // the last field, or the whole pattern where it is no ARN
	field []Glob // all six, where a wildcard stands before the last
}

// CompilePattern compiles a pattern. Every string is a pattern; whether AWS would accept it is for package lint.
func CompilePattern(pattern string) Pattern {
	p := Pattern{text: pattern}
	if !strings.HasPrefix(pattern, "arn:") {
		p.tail = CompileGlob(pattern)
		return p
	}
	fields := strings.SplitN(pattern, ":", 6)
	for len(fields) < 6 {
		fields = append(fields, "*")
	}
	head := strings.Join(fields[:5], ":") + ":"
	p.tail = CompileGlob(fields[5])
	if !strings.ContainsAny(head, "*?") {
		p.head = head
		return p
	}
	p.field = make([]Glob, 6)
	for i, f := range fields {
		p.field[i] = CompileGlob(f)
	}
	return p
}

// Match reports whether an ARN given as text matches. It does not allocate.
func (p *Pattern) Match(s string) bool {
	if p.field == nil {
		return strings.HasPrefix(s, p.head) && p.tail.Match(s[len(p.head):])
	}
	for i := range 5 {
		colon := strings.IndexByte(s, ':')
		if colon < 0 || !p.field[i].Match(s[:colon]) {
			return false
		}
		s = s[colon+1:]
	}
	return p.field[5].Match(s)
}

// MatchWithinColons is Match where a star stops at every colon, in the last field too (rule 87 read the other way).
func (p *Pattern) MatchWithinColons(s string) bool {
	want, got := strings.Split(p.text, ":"), strings.Split(s, ":")
	if p.Anything() {
		return true
	}
	for len(want) < 6 && want[0] == "arn" {
		want = append(want, "*")
	}
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !MatchGlob(want[i], got[i]) {
			return false
		}
	}
	return true
}

// String is the pattern as written.
func (p *Pattern) String() string { return p.text }

// Anything reports whether the pattern is "*".
func (p *Pattern) Anything() bool { return p.field == nil && p.head == "" && p.tail.Anything() }

// Literal reports the one ARN that the pattern matches, if it has no wildcard.
func (p *Pattern) Literal() (string, bool) {
	if p.field != nil {
		return "", false
	}
	if _, ok := p.tail.Literal(); !ok {
		return "", false
	}
	return p.head + p.tail.pattern, true
}

// Intersects reports whether some ARN matches both patterns.
func (p *Pattern) Intersects(q *Pattern) bool {
	if p.Anything() || q.Anything() {
		return true
	}
	a, b := p.fields(), q.fields()
	if a == nil || b == nil {
		return GlobsIntersect(p.whole(), q.whole())
	}
	for i := range 6 {
		if !GlobsIntersect(a[i], b[i]) {
			return false
		}
	}
	return true
}

// Covers reports whether every ARN that matches q is certain to match p; it errs to false.
func (p *Pattern) Covers(q *Pattern) bool {
	if p.Anything() {
		return true
	}
	a, b := p.fields(), q.fields()
	if a == nil || b == nil {
		return a == nil && GlobCovers(p.text, q.whole())
	}
	for i := range 6 {
		if !GlobCovers(a[i], b[i]) {
			return false
		}
	}
	return true
}

// fields is the pattern cut into its six fields, padded; nil where it is no ARN.
func (p *Pattern) fields() []string {
	if !strings.HasPrefix(p.text, "arn:") {
		return nil
	}
	fields := strings.SplitN(p.text, ":", 6)
	for len(fields) < 6 {
		fields = append(fields, "*")
	}
	return fields
}

// whole is the pattern as one string: padded where it is a short ARN, so that "arn:aws:iam" is compared as what it means.
func (p *Pattern) whole() string {
	if fields := p.fields(); fields != nil {
		return strings.Join(fields, ":")
	}
	return p.text
}
