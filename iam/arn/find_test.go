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

// TestFindAgreesWithTrying: what Find says of patterns is what trying every short string says.
func TestFindAgreesWithTrying(t *testing.T) {
	tries := shortStrings("aAb:c", 5)
	rapid.Check(t, func(t *rapid.T) {
		type set struct {
			text string
			m    Matcher
			has  func(string) bool
		}
		draw := func(name string) set {
			text := drawnPattern.Draw(t, name)
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				g := CompileGlob(text)
				return set{"glob " + text, g.Matcher(), g.Match}
			case 1:
				return set{"fold " + text, Exactly(text, true), func(s string) bool { return strings.EqualFold(s, text) }}
			}
			return set{"exact " + text, Exactly(text, false), func(s string) bool { return s == text }}
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
		s, found, exact := Find(in, out, 5000)
		if found && !right(s) {
			t.Fatalf("%q is not in the %d first and none of the rest of %v", s, wanted, sets)
		}
		if !found && !exact {
			t.Fatalf("gave up on %v", sets)
		}
		for _, try := range tries {
			if !found && right(try) {
				t.Fatalf("found none, and %q is in the %d first and none of the rest of %v", try, wanted, sets)
			}
		}
	})
}

// TestFindARNs: wildcards before the last field stop at colons, as in Pattern.Match.
func TestFindARNs(t *testing.T) {
	match := func(patterns ...string) (list []Matcher) {
		for _, text := range patterns {
			p := CompilePattern(text)
			list = append(list, p.Matcher())
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
		s, found, exact := Find(match(c.in...), match(c.out...), 10000)
		if found != c.found || !exact {
			t.Errorf("in %q, not in %q: %q, found %v, exact %v", c.in, c.out, s, found, exact)
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

func TestFindGivesUp(t *testing.T) {
	g, h := CompileGlob("*a????????????????????"), CompileGlob("*b????????????????????")
	if _, found, exact := Find([]Matcher{g.Matcher(), h.Matcher()}, []Matcher{g.Matcher()}, 50); found || exact {
		t.Errorf("found %v, exact %v within 50 states", found, exact)
	}
}
