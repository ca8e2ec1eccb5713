package compare

import (
	"slices"
	"strings"

	"drawbridge/iam/cond"
)

// example finds a string that matches all of some patterns and none of others: one that reads well where a simple one will do, or
// else the shortest. Exhausted: the search was given up.
func example(in, out []string) (s string, found, exhausted bool) {
	fits := func(s string) bool {
		return !slices.ContainsFunc(in, func(p string) bool { return !matches(p, s) }) && !slices.ContainsFunc(out, func(p string) bool { return matches(p, s) })
	}
	ordered := slices.Clone(in)
	slices.SortStableFunc(ordered, func(a, b string) int { return len(b) - len(a) })
	for _, p := range ordered {
		if s := cond.Example(p); fits(s) {
			return s, true, false
		}
		for _, fill := range []string{"x", "example", "x/x", ""} {
			s := strings.ReplaceAll(cond.Example(strings.ReplaceAll(p, "*", "\x03")), "\x03", fill)
			if fits(s) {
				return s, true, false
			}
		}
	}
	return shortest(in, out)
}

// maxStates bounds the search for a string.
const maxStates = 20_000

// shortest searches breadth first over the places that a string can have reached in all patterns at once.
func shortest(in, out []string) (s string, found, exhausted bool) {
	var machines []machine
	alphabet := map[rune]bool{'x': true}
	for _, p := range slices.Concat(in, out) {
		m := newMachine(p)
		for _, k := range m {
			if k.char != 0 {
				alphabet[k.char] = true
			}
		}
		machines = append(machines, m)
	}
	fresh := 'y'
	for alphabet[fresh] {
		fresh++
	}
	alphabet[fresh] = true
	var letters []rune
	for c := range alphabet {
		letters = append(letters, c)
	}
	slices.Sort(letters)

	type node struct {
		states [][]bool
		text   string
	}
	start := node{}
	for _, m := range machines {
		start.states = append(start.states, m.closure(append([]bool{true}, make([]bool, len(m))...)))
	}
	seen := map[string]bool{}
	queue := []node{start}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		accepted := true
		for i := range machines {
			accepted = accepted && n.states[i][len(machines[i])] == (i < len(in))
		}
		if accepted {
			return n.text, true, false
		}
	letters:
		for _, c := range letters {
			next := node{text: n.text + string(c)}
			var key strings.Builder
			for i, m := range machines {
				st, alive := m.step(n.states[i], c)
				if !alive && i < len(in) {
					continue letters
				}
				for _, on := range st {
					if on {
						key.WriteByte('1')
					} else {
						key.WriteByte('0')
					}
				}
				next.states = append(next.states, st)
			}
			if k := key.String(); !seen[k] {
				if seen[k] = true; len(seen) > maxStates {
					return "", false, true
				}
				queue = append(queue, next)
			}
		}
	}
	return "", false, false
}

// machine is a pattern as its tokens; a string has reached a set of places between them.
type machine []token

type token struct {
	char  rune // 0 for a wildcard
	star  bool
	field bool // the wildcard does not match a colon
}

func newMachine(pattern string) machine {
	colons := strings.HasPrefix(pattern, "arn:")
	if n := strings.Count(pattern, ":"); colons && n < 5 {
		pattern += strings.Repeat(":*", 5-n)
	}
	var m machine
	passed := 0
	for _, c := range pattern {
		switch c {
		case '*':
			m = append(m, token{star: true, field: colons && passed < 5})
		case '?':
			m = append(m, token{field: colons && passed < 5})
		default:
			if c == ':' {
				passed++
			}
			m = append(m, token{char: c})
		}
	}
	return m
}

func (m machine) closure(s []bool) []bool {
	for i, t := range m {
		if s[i] && t.star {
			s[i+1] = true
		}
	}
	return s
}

func (m machine) step(s []bool, c rune) (next []bool, alive bool) {
	next = make([]bool, len(s))
	for i, t := range m {
		if !s[i] || t.char != 0 && t.char != c || t.field && c == ':' {
			continue
		}
		alive = true
		if t.star {
			next[i] = true
		} else {
			next[i+1] = true
		}
	}
	return m.closure(next), alive
}
