package arn

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shortStrings are all strings of up to n characters of a small alphabet.
func shortStrings(alphabet string, n int) []string {
	all := []string{""}
	for begin := 0; n > 0; n-- {
		end := len(all)
		for _, s := range all[begin:end] {
			for _, r := range alphabet {
				all = append(all, s+string(r))
			}
		}
		begin = end
	}
	return all
}

var drawnPattern = rapid.Custom(func(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", ":", "*", "?", "*", "A"}), 0, 5).Draw(t, "pattern"), "")
})

// TestExampleAgreesWithTrying: what Example says of patterns is what trying every short string says.
func TestExampleAgreesWithTrying(t *testing.T) {
	tries := shortStrings("aAb:c", 5)
	rapid.Check(t, func(t *rapid.T) {
		type set struct {
			text string
			m    Matcher
			has  func(string) bool
		}
		draw := func(name string) set {
			text := drawnPattern.Draw(t, name)
			switch rapid.IntRange(0, 4).Draw(t, "kind") {
			case 0:
				g := CompileGlob(text)
				return set{"glob " + text, GlobMatcher(text), g.Match}
			case 2:
				other := drawnPattern.Draw(t, "or "+name)
				g, h := CompileGlob(text), CompileGlob(other)
				return set{"glob " + text + " or " + other, AnyOf(GlobMatcher(text), GlobMatcher(other)), func(s string) bool { return g.Match(s) || h.Match(s) }}
			case 3:
				standing := GlobMatcher(strings.ReplaceAll(text, "b", "\x01")).Standing(map[rune]rune{'\x01': 'b'})
				g := CompileGlob(text)
				return set{"standing " + text, standing, g.Match}
			case 1:
				return set{"fold " + text, FoldMatcher(text), func(s string) bool { return strings.EqualFold(s, text) }}
			}
			return set{"exact " + text, TextMatcher(text), func(s string) bool { return s == text }}
		}
		var in, out []Matcher
		var sets []set
		wanted := rapid.IntRange(0, 2).Draw(t, "in")
		for i := range wanted + rapid.IntRange(0, 3).Draw(t, "out") {
			s := draw("set")
			sets = append(sets, s)
			if i < wanted {
				in = append(in, s.m)
			} else {
				out = append(out, s.m)
			}
		}
		right := func(s string) bool {
			for i := range sets {
				if sets[i].has(s) != (i < wanted) {
					return false
				}
			}
			return true
		}
		s, found, exhausted := Example(in, out, 5000)
		if found && !right(s) {
			t.Fatalf("%q is not in the %d first and none of the rest of %v", s, wanted, sets)
		}
		if exhausted {
			t.Fatalf("gave up on %v", sets)
		}
		for _, try := range tries {
			if !found && right(try) {
				t.Fatalf("found none, and %q is in the %d first and none of the rest of %v", try, wanted, sets)
			}
		}
	})
}

// TestExampleARNs: wildcards before the last field stop at colons, as in Pattern.Match.
func TestExampleARNs(t *testing.T) {
	match := func(patterns ...string) (list []Matcher) {
		for _, text := range patterns {
			list = append(list, PatternMatcher(text))
		}
		return list
	}
	for _, c := range []struct {
		in, out []string
		found   bool
	}{
		{[]string{"arn:aws:s3:::data-*"}, []string{"arn:aws:s3:::data-*/*"}, true},
		{[]string{"arn:aws:s3:::data-*/*"}, []string{"arn:aws:s3:::data-*"}, false},
		{[]string{"arn:aws:iam::*:role/ci"}, []string{"arn:aws:iam::111122223333:role/ci"}, true},
		{[]string{"arn:aws:iam::111122223333:role/ci"}, []string{"arn:aws:iam::*:role/ci"}, false},
		{[]string{"arn:aws:iam::111122223333:*"}, []string{"arn:aws:iam"}, false},
		{[]string{"arn:*:iam::1:role/*", "arn:aws*:iam::1:*/a"}, []string{"arn:aws:*"}, true},
		{[]string{"arn:aws:s3:::a*", "arn:aws:s3:::b*"}, nil, false},
		{[]string{"arn:aws:s3:::?"}, []string{"arn:aws:s3:::a", "arn:aws:s3:::b"}, true},
		{[]string{"arn:a*b:s3:::x"}, []string{"arn:a*:*:*:*:*"}, false},
		{[]string{"*"}, []string{"arn:*"}, true},
		{[]string{"*a*a*a*b*", "*b*a*a*a*"}, []string{"*ab*ba*"}, true},
	} {
		s, found, exhausted := Example(match(c.in...), match(c.out...), 10000)
		if found != c.found || exhausted {
			t.Errorf("in %q, not in %q: %q, found %v, exhausted %v", c.in, c.out, s, found, exhausted)
		}
		if !found {
			continue
		}
		for _, text := range c.in {
			if p := CompilePattern(text); !p.Match(s) {
				t.Errorf("%q does not match %q", text, s)
			}
		}
		for _, text := range c.out {
			if p := CompilePattern(text); p.Match(s) {
				t.Errorf("%q matches %q", text, s)
			}
		}
	}
}

func TestExampleGivesUp(t *testing.T) {
	in := []Matcher{GlobMatcher("*a????????????????????"), GlobMatcher("*b????????????????????")}
	if _, found, exhausted := Example(in, in[:1], 50); found || !exhausted {
		t.Errorf("found %v, exhausted %v within 50 states", found, exhausted)
	}
	wide := GlobMatcher(strings.Repeat("*?", 3000) + "a")
	if _, found, exhausted := Example([]Matcher{wide, GlobMatcher("*b")}, nil, 50); found || !exhausted {
		t.Errorf("found %v, exhausted %v within the work of 50 states", found, exhausted)
	}
	if _, found, exhausted := Example([]Matcher{GlobMatcher("\xff*")}, nil, 50); found || !exhausted {
		t.Errorf("a pattern that is no UTF-8: found %v, exhausted %v", found, exhausted)
	}
}

// TestExampleReadsWell: what is shown to people looks like a name that exists.
func TestExampleReadsWell(t *testing.T) {
	for _, c := range []struct {
		in, out []string
		want    string
	}{
		{[]string{"arn:aws:s3:::data-*/*"}, nil, "arn:aws:s3:::data-x/x"},
		{[]string{"arn:aws:s3:::data-*"}, []string{"arn:aws:s3:::data-x*"}, "arn:aws:s3:::data-other"},
		{[]string{"arn:aws:iam::*:role/ci"}, []string{"arn:aws:iam::111122223333:*"}, "arn:aws:iam::444455556666:role/ci"},
		{[]string{"arn:aws:iam::1234*:role/ci"}, nil, "arn:aws:iam::123411112222:role/ci"},
		{[]string{"arn:aws:iam::????????????:root", "*:root"}, nil, "arn:aws:iam::111111111111:root"},
		{[]string{"*"}, []string{"x*"}, "other"},
		{nil, nil, "x"},
	} {
		var in, out []Matcher
		for _, p := range c.in {
			in = append(in, PatternMatcher(p))
		}
		for _, p := range c.out {
			out = append(out, PatternMatcher(p))
		}
		if got, _, _ := Example(in, out, 1000); got != c.want {
			t.Errorf("in %q, not in %q: %q, want %q", c.in, c.out, got, c.want)
		}
	}
}

// TestExampleAgreesWithPatterns: a string that is found matches as Pattern.Match has it, and every string tried that would do is
// found.
func TestExampleAgreesWithPatterns(t *testing.T) {
	tries := shortStrings("a:", 7)
	for i := range tries {
		tries[i] = "arn:" + tries[i]
	}
	draw := rapid.Custom(func(t *rapid.T) string {
		return "arn:" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", ":", ":", "*", "?", "*:"}), 0, 8).Draw(t, "pattern"), "")
	})
	rapid.Check(t, func(t *rapid.T) {
		var in, out []Matcher
		var texts []string
		wanted := rapid.IntRange(1, 2).Draw(t, "in")
		for i := range wanted + rapid.IntRange(0, 2).Draw(t, "out") {
			texts = append(texts, draw.Draw(t, "pattern"))
			if i < wanted {
				in = append(in, PatternMatcher(texts[i]))
			} else {
				out = append(out, PatternMatcher(texts[i]))
			}
		}
		right := func(s string) bool {
			for i, text := range texts {
				if p := CompilePattern(text); p.Match(s) != (i < wanted) {
					return false
				}
			}
			return true
		}
		s, found, exhausted := Example(in, out, 5000)
		if exhausted || found && !right(s) {
			t.Fatalf("%q, exhausted %v, for the first %d of %q", s, exhausted, wanted, texts)
		}
		for _, try := range tries {
			if !found && right(try) {
				t.Fatalf("none found, and %q is in the first %d and none of the rest of %q", try, wanted, texts)
			}
		}
	})
}

// FuzzExample: whatever the patterns, what is found matches the first and not the second.
func FuzzExample(f *testing.F) {
	f.Add("arn:aws:s3:::data-*", "arn:aws:s3:::data-*/*")
	f.Add("*a?b*", "*ab*")
	f.Fuzz(func(t *testing.T, in, out string) {
		s, found, _ := Example([]Matcher{PatternMatcher(in)}, []Matcher{PatternMatcher(out)}, 500)
		if !found {
			return
		}
		p, q := CompilePattern(in), CompilePattern(out)
		if !p.Match(s) || q.Match(s) {
			t.Errorf("%q: matches %q %v, matches %q %v", s, in, p.Match(s), out, q.Match(s))
		}
	})
}
