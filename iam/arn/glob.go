package arn

import "strings"

// Glob is a compiled wildcard pattern of a policy. "*" stands for any run of characters, colons and slashes included,
// "?" for exactly one character (rules 81, 85, 87). The zero value matches the empty string only.
//
// Most patterns of real policies are a literal, a prefix followed by "*", or "*" alone: these are told apart when the
// pattern is compiled, so that matching them is one comparison.
type Glob struct {
	pattern string
	literal string // the pattern without its "*" for prefix and suffix shapes
	shape   shape
}

type shape uint8

const (
	literal  shape = iota // no wildcard
	anything              // "*"
	prefix                // literal followed by one "*"
	suffix                // "*" followed by a literal
	general
)

// CompileGlob compiles a pattern. Every string is a pattern; there is nothing to refuse.
func CompileGlob(pattern string) Glob {
	for strings.Contains(pattern, "**") {
		pattern = strings.ReplaceAll(pattern, "**", "*")
	}
	g := Glob{pattern: pattern, literal: pattern, shape: general}
	stars := strings.Count(pattern, "*")
	switch {
	case strings.Contains(pattern, "?") || stars > 1:
	case stars == 0:
		g.shape = literal
	case pattern == "*":
		g.shape, g.literal = anything, ""
	case strings.HasSuffix(pattern, "*"):
		g.shape, g.literal = prefix, pattern[:len(pattern)-1]
	case strings.HasPrefix(pattern, "*"):
		g.shape, g.literal = suffix, pattern[1:]
	}
	return g
}

// Match reports whether the whole of s matches the pattern. It does not allocate.
func (g *Glob) Match(s string) bool {
	switch g.shape {
	case literal:
		return s == g.literal
	case anything:
		return true
	case prefix:
		return strings.HasPrefix(s, g.literal)
	case suffix:
		return strings.HasSuffix(s, g.literal)
	}
	return MatchGlob(g.pattern, s)
}

// String is the pattern, with runs of "*" folded into one.
func (g *Glob) String() string { return g.pattern }

// Literal reports the one string that the pattern matches, if it has no wildcard.
func (g *Glob) Literal() (string, bool) { return g.pattern, g.shape == literal }

// Anything reports whether the pattern is "*".
func (g *Glob) Anything() bool { return g.shape == anything }

// Prefix is what every match begins with: the pattern up to its first wildcard.
func (g *Glob) Prefix() string {
	if i := strings.IndexAny(g.pattern, "*?"); i >= 0 {
		return g.pattern[:i]
	}
	return g.pattern
}

// MatchGlob matches without compiling first. It runs in time proportional to len(pattern)*len(s) at worst: it keeps
// one point to return to, the last "*" passed, which is enough because an earlier "*" can always be extended later.
func MatchGlob(pattern, s string) bool {
	p, i := 0, 0
	star, resume := -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, resume = p, i
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			i += runeLen(s[i:])
		case p < len(pattern) && pattern[p] == s[i]:
			p++
			i++
		case star >= 0:
			resume += runeLen(s[resume:]) // "?" must not meet half a character
			p, i = star+1, resume
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// runeLen is the number of bytes of the first character of s, one for a byte that begins none.
func runeLen(s string) int {
	n := 1
	for n < len(s) && s[0] >= 0xC0 && s[n]&0xC0 == 0x80 && n < 4 {
		n++
	}
	return n
}

// GlobsIntersect reports whether some string matches both patterns. It is how two patterns are found to contradict
// each other, and how a request for a pattern of resources meets a statement's pattern.
func GlobsIntersect(a, b string) bool {
	// Most pairs differ before their first wildcard.
	for a != "" && b != "" && !isWildcard(a[0]) && !isWildcard(b[0]) {
		if a[0] != b[0] {
			return false
		}
		a, b = a[1:], b[1:]
	}
	return intersect([]rune(a), []rune(b))
}

func isWildcard(c byte) bool { return c == '*' || c == '?' }

func intersect(a, b []rune) bool {
	// reach[j] tells whether a[:i] and b[:j] have a string in common, row by row over i.
	reach := make([]bool, len(b)+1)
	reach[0] = true
	for j := 1; j <= len(b); j++ {
		reach[j] = reach[j-1] && b[j-1] == '*'
	}
	for i := 1; i <= len(a); i++ {
		diagonal := reach[0]
		reach[0] = reach[0] && a[i-1] == '*'
		for j := 1; j <= len(b); j++ {
			up := reach[j]
			switch {
			case a[i-1] == '*' || b[j-1] == '*':
				reach[j] = up || reach[j-1]
			default:
				reach[j] = diagonal && (a[i-1] == b[j-1] || a[i-1] == '?' || b[j-1] == '?')
			}
			diagonal = up
		}
	}
	return reach[len(b)]
}

// GlobCovers reports whether every string that matches inner is certain to match outer. It treats inner's wildcards
// as characters that only an equal or wider wildcard of outer can match, which is exact for the patterns policies carry
// and errs to false otherwise.
func GlobCovers(outer, inner string) bool {
	p, i := 0, 0
	star, resume := -1, 0
	for i < len(inner) {
		switch {
		case p < len(outer) && outer[p] == '*':
			star, resume = p, i
			p++
		case p < len(outer) && outer[p] == '?' && inner[i] != '*':
			p++
			i += runeLen(inner[i:])
		case p < len(outer) && outer[p] == inner[i]:
			p++
			i++
		case star >= 0:
			resume += runeLen(inner[resume:])
			p, i = star+1, resume
		default:
			return false
		}
	}
	for p < len(outer) && outer[p] == '*' {
		p++
	}
	return p == len(outer)
}
