package arn

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Matcher is a set of strings, those that a pattern matches, in the form in which Find searches several of them at once.
type Matcher struct {
	tokens []token
	text   string
	fold   bool
	// broken: the pattern is no UTF-8, and what it matches byte by byte is not searched.
	broken bool
}

// token is one step of a pattern.
type token struct {
	kind  tokenKind
	r     rune
	colon bool // a wildcard that also stands for a colon
}

type tokenKind uint8

const (
	character tokenKind = iota
	one                 // "?"
	run                 // "*"
)

// Matcher is the set of strings that the glob matches.
func (g *Glob) Matcher() Matcher { return compileMatcher(g.pattern, 0, false) }

// Matcher is the set of strings that the pattern matches.
func (p *Pattern) Matcher() Matcher {
	fields := p.fields()
	if fields == nil {
		return compileMatcher(p.text, 0, false)
	}
	return compileMatcher(strings.Join(fields, ":"), 5, false)
}

// Exactly is the set of one string, or with fold of all its spellings by case.
func Exactly(s string, fold bool) Matcher {
	m := Matcher{text: s, fold: fold, broken: !utf8.ValidString(s)}
	for _, r := range s {
		if fold {
			r = folded(r)
		}
		m.tokens = append(m.tokens, token{kind: character, r: r})
	}
	return m
}

// compileMatcher cuts a pattern. Wildcards before the given number of colons do not stand for a colon.
func compileMatcher(pattern string, colons int, fold bool) Matcher {
	m := Matcher{text: pattern, fold: fold, broken: !utf8.ValidString(pattern)}
	for _, r := range pattern {
		t := token{kind: character, r: r, colon: colons <= 0}
		switch r {
		case '*':
			t.kind = run
			if n := len(m.tokens); n > 0 && m.tokens[n-1].kind == run && m.tokens[n-1].colon == t.colon {
				continue
			}
		case '?':
			t.kind = one
		case ':':
			colons--
		}
		m.tokens = append(m.tokens, t)
	}
	return m
}

// folded is the representative of the characters that differ from r by case alone.
func folded(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	return least
}

// positions is the set of places in a pattern at which a string read so far may stand, as bits.
type positions []uint64

func (p positions) has(i int) bool { return p[i/64]&(1<<(i%64)) != 0 }
func (p positions) add(i int)      { p[i/64] |= 1 << (i % 64) }

func (p positions) empty() bool {
	for _, w := range p {
		if w != 0 {
			return false
		}
	}
	return true
}

// start is where nothing has been read.
func (m *Matcher) start() positions {
	p := make(positions, len(m.tokens)/64+1)
	m.enter(p, 0)
	return p
}

// enter adds a place, and those behind it that need no character.
func (m *Matcher) enter(p positions, i int) {
	for ; ; i++ {
		p.add(i)
		if i == len(m.tokens) || m.tokens[i].kind != run {
			return
		}
	}
}

// step reads a character.
func (m *Matcher) step(p positions, r rune) positions {
	next := make(positions, len(p))
	for i := range m.tokens {
		if !p.has(i) {
			continue
		}
		switch t := &m.tokens[i]; {
		case t.kind == character && (t.r == r || m.fold && t.r == folded(r)):
			m.enter(next, i+1)
		case t.kind == one && (t.colon || r != ':'):
			m.enter(next, i+1)
		case t.kind == run && (t.colon || r != ':'):
			m.enter(next, i)
		}
	}
	return next
}

func (m *Matcher) accepts(p positions) bool { return p.has(len(m.tokens)) }

// everything: whatever follows, the pattern matches.
func (m *Matcher) everything(p positions) bool {
	n := len(m.tokens)
	return n > 0 && m.tokens[n-1].kind == run && m.tokens[n-1].colon && p.has(n-1)
}

// Match reports whether s is in the set. It agrees with Glob.Match and Pattern.Match on text that is UTF-8.
func (m *Matcher) Match(s string) bool {
	p := m.start()
	for _, r := range s {
		p = m.step(p, r)
	}
	return m.accepts(p)
}

// Find searches for a string that is in all of in and in none of out. It is exact: found says that s is one, and not found with
// exact that there is none. The search gives up after looking at budget states, and found and exact are then both false.
//
// It walks the patterns side by side, character by character. At each state only the characters that some pattern waits for
// can make a difference, and one that none does stands for all others.
func Find(in, out []Matcher, budget int) (s string, found, exact bool) {
	for _, m := range slices.Concat(in, out) {
		if m.broken {
			return "", false, false
		}
	}
	f := finder{all: slices.Concat(in, out), in: len(in)}
	if s, ok := f.guess(in); ok {
		return s, true, true
	}
	f.other = f.stranger()
	return f.search(budget)
}

type finder struct {
	all   []Matcher
	in    int
	other rune // occurs in no pattern
}

// guess tries what a person would write down first.
func (f *finder) guess(in []Matcher) (string, bool) {
	for i := range in {
		for _, fill := range [...]string{"x", "", "x/x", "111122223333"} {
			if s := fillWildcards(in[i].text, fill); f.right(s) {
				return s, true
			}
		}
	}
	if len(in) == 0 && f.right("x") {
		return "x", true
	}
	return "", false
}

// fillWildcards puts text for the wildcards of a pattern, and readable names into the fields of an ARN.
func fillWildcards(pattern, fill string) string {
	fields := strings.SplitN(pattern, ":", 6)
	if len(fields) == 6 && fields[0] == "arn" {
		for i, usual := range [...]string{1: "aws", 2: "s3", 3: "us-east-1", 4: "111122223333"} {
			if usual != "" && fields[i] == "*" {
				fields[i] = usual
			}
		}
		pattern = strings.Join(fields, ":")
	}
	one := fill
	if len(one) != 1 {
		one = "x"
	}
	return strings.NewReplacer("*", fill, "?", one).Replace(pattern)
}

func (f *finder) right(s string) bool {
	for i := range f.all {
		if f.all[i].Match(s) != (i < f.in) {
			return false
		}
	}
	return true
}

// stranger is a character that occurs in no pattern, a plain one where there is one left.
func (f *finder) stranger() rune {
	used := map[rune]bool{':': true, '*': true, '?': true}
	for _, m := range f.all {
		for _, t := range m.tokens {
			used[folded(t.r)] = true
		}
	}
	for _, r := range "xyz0123456789abcdefghijklmnopqrstuvw-_." {
		if !used[folded(r)] {
			return r
		}
	}
	for r := rune(0x3B1); ; r++ { // Greek and onward
		if !used[folded(r)] {
			return r
		}
	}
}

// node is a state that was reached, and how.
type node struct {
	places []positions
	from   int
	r      rune
}

// search visits states breadth first, so that the string found is a shortest one.
func (f *finder) search(budget int) (string, bool, bool) {
	first := node{from: -1}
	for i := range f.all {
		first.places = append(first.places, f.all[i].start())
	}
	nodes := []node{first}
	seen := map[string]bool{key(first.places): true}
	for at := 0; at < len(nodes); at++ {
		if at >= budget {
			return "", false, false
		}
		if f.accepts(nodes[at].places) {
			return f.spell(nodes, at), true, true
		}
		for _, r := range f.alphabet(nodes[at].places) {
			places, alive := f.step(nodes[at].places, r)
			if !alive {
				continue
			}
			if k := key(places); !seen[k] {
				seen[k] = true
				nodes = append(nodes, node{places, at, r})
			}
		}
	}
	return "", false, true
}

func (f *finder) accepts(places []positions) bool {
	for i := range f.all {
		if f.all[i].accepts(places[i]) != (i < f.in) {
			return false
		}
	}
	return true
}

// alphabet is the characters that some pattern waits for here, and one that none does.
func (f *finder) alphabet(places []positions) []rune {
	letters := []rune{f.other}
	for i := range f.all {
		m := &f.all[i]
		for j, t := range m.tokens {
			if !places[i].has(j) {
				continue
			}
			switch {
			case t.kind == character && m.fold:
				letters = append(letters, t.r)
				for r := unicode.SimpleFold(t.r); r != t.r; r = unicode.SimpleFold(r) {
					letters = append(letters, r)
				}
			case t.kind == character:
				letters = append(letters, t.r)
			case !t.colon: // a colon ends the field
				letters = append(letters, ':')
			}
		}
	}
	slices.Sort(letters)
	return slices.Compact(letters)
}

// step reads a character in every pattern; alive is false where no string can follow any more.
func (f *finder) step(places []positions, r rune) (next []positions, alive bool) {
	next = make([]positions, len(places))
	for i := range f.all {
		next[i] = f.all[i].step(places[i], r)
		if i < f.in && next[i].empty() || i >= f.in && f.all[i].everything(next[i]) {
			return nil, false
		}
	}
	return next, true
}

func (f *finder) spell(nodes []node, at int) string {
	var letters []rune
	for ; nodes[at].from >= 0; at = nodes[at].from {
		letters = append(letters, nodes[at].r)
	}
	slices.Reverse(letters)
	return string(letters)
}

func key(places []positions) string {
	var b []byte
	for _, p := range places {
		for _, w := range p {
			b = binary.LittleEndian.AppendUint64(b, w)
		}
	}
	return string(b)
}
