package compare

import (
	"slices"
	"strings"

	"drawbridge/iam/cond"
)

// example finds a string that matches all of some patterns and none of others. Exhausted: the search was not exact.
func example(in, out []string) (s string, found, exhausted bool) {
	fits := func(s string) bool {
		return !slices.ContainsFunc(in, func(p string) bool { return !matches(p, s) }) && !slices.ContainsFunc(out, func(p string) bool { return matches(p, s) })
	}
	ordered := slices.Clone(in)
	slices.SortStableFunc(ordered, func(a, b string) int { return len(b) - len(a) })
	for _, p := range ordered {
		for _, fill := range []string{"x", "example", "x/x", ""} {
			s := strings.ReplaceAll(cond.Example(strings.ReplaceAll(p, "*", "\x03")), "\x03", fill)
			if fits(s) {
				return s, true, false
			}
			if s = cond.Example(p); fits(s) {
				return s, true, false
			}
		}
	}
	return "", false, false
}
