package arn

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Matcher is a set of texts, those that a pattern matches, in the form in which Example searches several at once: one of a few
// machines must read the text to its end. The zero value is the empty set.
type Matcher struct {
	machines []machine
	// inexact: a pattern is no UTF-8, in which characters and bytes are not the same thing, and nothing is searched.
	inexact bool
}

// machine is a pattern as a row of tokens. A text that is being read has reached a set of places in the row.
type machine struct {
	tokens  []token
	pattern string // for Fill
}

type token struct {
	kind  tokenKind
	char  rune
	field bool // the wildcard stands in one of the first five fields of an ARN and matches no colon
}

type tokenKind uint8

const (
	character tokenKind = iota // one character
	folded                     // one character in any case
	one                        // "?"
	star                       // "*"
	end                        // the text is over
)

// TextMatcher is the set of one text.
func TextMatcher(text string) Matcher { return newMatcher(text, character, 0) }

// FoldMatcher is the set of the texts that differ from one by case alone, as strings.EqualFold has it.
func FoldMatcher(text string) Matcher { return newMatcher(text, folded, 0) }

// GlobMatcher is the set of texts that a Glob matches.
func GlobMatcher(pattern string) Matcher { return newMatcher(pattern, star, 0) }

// PatternMatcher is the set of texts that a Pattern matches.
func PatternMatcher(pattern string) Matcher {
	p := Pattern{text: pattern}
	if p.fields() == nil {
		return GlobMatcher(pattern)
	}
	return newMatcher(p.whole(), star, 5)
}

// AnyOf is the set of the texts that are in some of the sets.
func AnyOf(matchers ...Matcher) Matcher {
	var all Matcher
	for _, m := range matchers {
		all.machines = append(all.machines, m.machines...)
		all.inexact = all.inexact || m.inexact
	}
	return all
}

// Standing is m with some of its literal characters standing for others: a policy's ${*} is a star that is no wildcard.
func (m Matcher) Standing(characters map[rune]rune) Matcher {
	result := Matcher{inexact: m.inexact}
	replace := func(c rune) rune {
		if to, ok := characters[c]; ok {
			return to
		}
		return c
	}
	for _, old := range m.machines {
		tokens := slices.Clone(old.tokens)
		for i := range tokens {
			tokens[i].char = replace(tokens[i].char)
		}
		result.machines = append(result.machines, machine{tokens, strings.Map(replace, old.pattern)})
	}
	return result
}

// newMatcher makes a machine. Kind star: "*" and "?" are wildcards, which up to so many colons match none themselves.
func newMatcher(text string, kind tokenKind, colons int) Matcher {
	tokens := make([]token, 0, len(text)+1)
	for _, c := range text {
		t := token{kind: kind, char: c}
		switch {
		case kind == star && c == '*':
			t = token{kind: star, field: colons > 0}
			if n := len(tokens); n > 0 && tokens[n-1] == t {
				continue
			}
		case kind == star && c == '?':
			t = token{kind: one, field: colons > 0}
		case kind == star:
			t.kind = character
			if c == ':' {
				colons--
			}
		}
		tokens = append(tokens, t)
	}
	return Matcher{[]machine{{append(tokens, token{kind: end}), text}}, !utf8.ValidString(text)}
}

// Example finds a text that is in all of in and in none of out: one that reads well where a simple one will do, or else a
// shortest one. Neither found nor exhausted: there is none, among all texts of UTF-8. Exhausted: the search was given up, after
// so many states as budget says or as much work as so many states usually are, or at once because a pattern is no UTF-8.
func Example(in, out []Matcher, budget int) (s string, found, exhausted bool) {
	p := product{in: len(in), work: budget * usualWork}
	for i, m := range slices.Concat(in, out) {
		if m.inexact {
			return "", false, true
		}
		p.add(i, m)
	}
	if s, found = p.readable(in); found {
		return s, true, false
	}
	return p.shortest(budget)
}

// usualWork is a generous bound of the places that are stepped from at one state of patterns as policies have them.
const usualWork = 256

// product reads a text with all machines at once.
type product struct {
	in     int // the first matchers must hold the text, the others must not
	places []place
	start  []int32
	alive  []bool // per matcher, scratch space
	work   int    // how many places may still be stepped from
}

// place is a token with the matcher it belongs to.
type place struct {
	token
	matcher int
	rest    bool // everything that follows matches: a last "*"
}

func (p *product) add(matcher int, m Matcher) {
	for _, machine := range m.machines {
		first := int32(len(p.places))
		for i, t := range machine.tokens {
			rest := t.kind == star && !t.field && machine.tokens[i+1].kind == end
			p.places = append(p.places, place{t, matcher, rest})
		}
		p.start = p.reach(p.start, first)
	}
	p.alive = append(p.alive, false)
}

// reach adds a place, and those after it that need no character.
func (p *product) reach(state []int32, at int32) []int32 {
	state = append(state, at)
	for p.places[at].kind == star {
		at++
		state = append(state, at)
	}
	return state
}

// step is where a state gets to by one character, in order, without duplicates.
func (p *product) step(into, state []int32, c rune) []int32 {
	p.work -= len(state)
	for _, at := range state {
		t := &p.places[at]
		switch t.kind {
		case star:
			if !t.field || c != ':' {
				into = p.reach(into, at)
			}
		case one:
			if !t.field || c != ':' {
				into = p.reach(into, at+1)
			}
		case character:
			if t.char == c {
				into = p.reach(into, at+1)
			}
		case folded:
			if sameLetter(t.char, c) {
				into = p.reach(into, at+1)
			}
		}
	}
	slices.Sort(into)
	return slices.Compact(into)
}

// hopeful reports whether a text that has come to this state may still be continued to what is searched.
func (p *product) hopeful(state []int32) bool {
	clear(p.alive)
	for _, at := range state {
		t := &p.places[at]
		if t.rest && t.matcher >= p.in {
			return false
		}
		p.alive[t.matcher] = true
	}
	return !slices.Contains(p.alive[:p.in], false)
}

// accepts reports whether a text that ends here is what is searched.
func (p *product) accepts(state []int32) bool {
	clear(p.alive)
	for _, at := range state {
		if t := &p.places[at]; t.kind == end {
			p.alive[t.matcher] = true
		}
	}
	return !slices.Contains(p.alive[:p.in], false) && !slices.Contains(p.alive[p.in:], true)
}

// maxReadable bounds the patterns whose fillings are tried.
const maxReadable = 16

// readable tries the patterns themselves with their wildcards filled.
func (p *product) readable(in []Matcher) (string, bool) {
	patterns := []string{"*"}
	for _, m := range in {
		for _, machine := range m.machines {
			patterns = append(patterns, machine.pattern)
		}
	}
	if len(patterns) > 1 {
		patterns = patterns[1:]
	}
	// A pattern with much written out is likelier to fit the others than one with little.
	slices.SortStableFunc(patterns, func(a, b string) int { return len(b) - len(a) })
	patterns = patterns[:min(len(patterns), maxReadable)]
	for _, with := range fillings {
		for _, pattern := range patterns {
			if text := fill(pattern, with); p.reads(text) {
				return text, true
			}
		}
	}
	return "", false
}

// reads reports whether a text is what is searched.
func (p *product) reads(text string) bool {
	state := p.start
	for _, c := range text {
		if state = p.step(nil, state, c); !p.hopeful(state) || p.work < 0 {
			return false
		}
	}
	return p.accepts(state)
}

// shortest searches breadth first.
func (p *product) shortest(budget int) (s string, found, exhausted bool) {
	type node struct {
		state []int32
		from  int
		char  rune
	}
	p.work = budget * usualWork // the plain guesses are not charged
	if !p.hopeful(p.start) {
		return "", false, false
	}
	nodes := []node{{state: p.start, from: -1}}
	seen := map[string]bool{string(encode(nil, p.start)): true}
	var next []int32
	var key []byte
	for i := 0; i < len(nodes); i++ {
		n := nodes[i]
		if p.work < 0 {
			return "", false, true
		}
		if p.accepts(n.state) {
			var chars []rune
			for ; n.from >= 0; n = nodes[n.from] {
				chars = append(chars, n.char)
			}
			slices.Reverse(chars)
			return string(chars), true, false
		}
		for _, c := range p.letters(n.state) {
			next = p.step(next[:0], n.state, c)
			if !p.hopeful(next) {
				continue
			}
			key = encode(key[:0], next)
			if seen[string(key)] {
				continue
			}
			if len(nodes) >= budget {
				return "", false, true
			}
			seen[string(key)] = true
			nodes = append(nodes, node{slices.Clone(next), i, c})
		}
	}
	return "", false, false
}

// encode writes a state as the key of a map.
func encode(into []byte, state []int32) []byte {
	last := int32(0)
	for _, at := range state {
		into = binary.AppendUvarint(into, uint64(at-last))
		last = at
	}
	return into
}

// others are characters that stand for all that no pattern names, the more readable first.
const others = "x1ya0zbcdefghijklmnopqrstuvw23456789-XYZABCDEFGHIJKLMNOPQRSTUVW"

// letters are the characters that lead from a state to different ones: one for all that no token here names, then the named.
func (p *product) letters(state []int32) []rune {
	var named []rune
	fields := false
	for _, at := range state {
		t := &p.places[at]
		switch t.kind {
		case character:
			named = append(named, t.char)
		case folded:
			named = append(named, t.char)
			for c := unicode.SimpleFold(t.char); c != t.char; c = unicode.SimpleFold(c) {
				named = append(named, c)
			}
		case one, star:
			fields = fields || t.field
		}
	}
	if fields {
		named = append(named, ':')
	}
	slices.Sort(named)
	named = slices.Compact(named)
	other := rune(-1)
	for _, c := range others {
		if _, taken := slices.BinarySearch(named, c); !taken {
			other = c
			break
		}
	}
	for c := rune(0x4E00); other < 0; c++ { // every readable letter is named
		if _, taken := slices.BinarySearch(named, c); !taken {
			other = c
		}
	}
	return append([]rune{other}, named...)
}

// sameLetter reports whether two characters differ by case alone.
func sameLetter(a, b rune) bool {
	if a == b {
		return true
	}
	for c := unicode.SimpleFold(a); c != a; c = unicode.SimpleFold(c) {
		if c == b {
			return true
		}
	}
	return false
}
