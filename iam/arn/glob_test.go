package arn

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// matchSlowly is the meaning of wildcards, written as it is said: the reference of every matcher here.
func matchSlowly(pattern, s []rune) bool {
	if len(pattern) == 0 {
		return len(s) == 0
	}
	switch pattern[0] {
	case '*':
		for i := range len(s) + 1 {
			if matchSlowly(pattern[1:], s[i:]) {
				return true
			}
		}
		return false
	case '?':
		return len(s) > 0 && matchSlowly(pattern[1:], s[1:])
	}
	return len(s) > 0 && s[0] == pattern[0] && matchSlowly(pattern[1:], s[1:])
}

// strings over an alphabet, up to n characters long, the empty one included.
func enumerate(alphabet string, n int) []string {
	all := []string{""}
	last := all
	for range n {
		var next []string
		for _, s := range last {
			for _, c := range alphabet {
				next = append(next, s+string(c))
			}
		}
		all, last = append(all, next...), next
	}
	return all
}

func TestGlob(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a:/b", true}, {"**", "", true},
		{"?", "", false}, {"?", "a", true}, {"?", "é", true}, {"??", "é", false}, {"?", "ab", false},
		{"s3:get*", "s3:getobject", true}, {"s3:get*", "s3:putobject", false}, {"*object", "s3:getobject", true},
		{"s3:*object", "s3:getobjectacl", false}, {"a*b*c", "aXbYbZc", true}, {"a*b*c", "aXc", false},
		{"a?c", "abc", true}, {"A", "a", false}, // case is the caller's (rules 80, 84)
		{"*??b*", "€ba", false}, // a character of three bytes is one character
		{"\x00*", "\x00", true},
	} {
		g := CompileGlob(tt.pattern)
		if got := g.Match(tt.s); got != tt.want {
			t.Errorf("%q matches %q: got %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
	}
}

func TestGlobShape(t *testing.T) {
	for _, tt := range []struct {
		pattern, prefix   string
		literal, anything bool
	}{
		{"abc", "abc", true, false}, {"", "", true, false}, {"a*c", "a", false, false}, {"a?", "a", false, false},
		{"*", "", false, true}, {"***", "", false, true}, {"?*", "", false, false},
	} {
		g := CompileGlob(tt.pattern)
		if _, literal := g.Literal(); literal != tt.literal || g.Anything() != tt.anything || g.Prefix() != tt.prefix {
			t.Errorf("%q: literal %v, anything %v, prefix %q", tt.pattern, literal, g.Anything(), g.Prefix())
		}
	}
}

// TestGlobAgainstReference compares every pattern with every string over a small alphabet, one character of two bytes.
func TestGlobAgainstReference(t *testing.T) {
	subjects := enumerate("aé", 5)
	for _, pattern := range enumerate("aé*?", 4) {
		g := CompileGlob(pattern)
		for _, s := range subjects {
			want := matchSlowly([]rune(pattern), []rune(s))
			if got := g.Match(s); got != want {
				t.Fatalf("%q matches %q: got %v, want %v", pattern, s, got, want)
			}
			if got := MatchGlob(pattern, s); got != want {
				t.Fatalf("MatchGlob(%q, %q): got %v, want %v", pattern, s, got, want)
			}
		}
	}
}

// TestGlobsIntersect compares the answer with a search for a witness. A common match of patterns of n characters needs no
// more than the characters of both, each one that a pattern names or any other.
func TestGlobsIntersect(t *testing.T) {
	subjects := enumerate("aéz", 6)
	patterns := enumerate("aé*?", 3)
	matches := make([]map[int]bool, len(patterns))
	for i, p := range patterns {
		matches[i] = map[int]bool{}
		for k, s := range subjects {
			if matchSlowly([]rune(p), []rune(s)) {
				matches[i][k] = true
			}
		}
	}
	covers := 0
	for i, a := range patterns {
		for j, b := range patterns {
			common, within := false, true
			for k := range matches[i] {
				common = common || matches[j][k]
			}
			for k := range matches[j] {
				within = within && matches[i][k]
			}
			if got := GlobsIntersect(a, b); got != common {
				t.Fatalf("GlobsIntersect(%q, %q): got %v, want %v", a, b, got, common)
			}
			if GlobCovers(a, b) {
				covers++
				if !within {
					t.Fatalf("GlobCovers(%q, %q): true, and some match of the second is none of the first", a, b)
				}
			} else if within && !strings.ContainsAny(a, "?") {
				t.Fatalf("GlobCovers(%q, %q): false; it must be exact where the wider pattern has no question mark", a, b)
			}
		}
	}
	if covers == 0 {
		t.Error("nothing covers anything: the test tests nothing")
	}
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"a*b?c", "aXXbYc"}, {"*", ""}, {"*a*a*a*b", "aaaaaaaaaa"}, {"?é*", "xéy"}, {"*??b*", "€ba"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		g := CompileGlob(pattern)
		got := g.Match(s) // never panics, whatever the bytes
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || len(s) > 24 || len(pattern) > 24 || strings.Count(pattern, "*") > 5 {
			return // the reference is slow and reads characters
		}
		if want := matchSlowly([]rune(pattern), []rune(s)); got != want {
			t.Errorf("%q matches %q: got %v, want %v", pattern, s, got, want)
		}
		if got && (!strings.HasPrefix(s, g.Prefix()) || !GlobsIntersect(pattern, s) && !strings.ContainsAny(s, "*?")) {
			t.Errorf("%q matches %q against its own prefix %q or GlobsIntersect", pattern, s, g.Prefix())
		}
		if GlobCovers(pattern, s) && !got {
			t.Errorf("%q covers %q and does not match it", pattern, s)
		}
	})
}

func BenchmarkGlob(b *testing.B) {
	for _, pattern := range []string{"s3:getobject", "s3:get*", "*", "s3:*object*version"} {
		g := CompileGlob(pattern)
		b.Run(pattern, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.Match("s3:getobjectversion")
			}
		})
	}
}
