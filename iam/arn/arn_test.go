package arn

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParse(t *testing.T) {
	for _, tt := range []struct {
		in, typ, name string
		want          ARN
	}{
		{"arn:aws:iam::111122223333:role/path/ci", "role", "ci", ARN{"aws", "iam", "", "111122223333", "role/path/ci"}},
		{"arn:aws:s3:::bucket", "bucket", "bucket", ARN{"aws", "s3", "", "", "bucket"}},
		{"arn:aws-cn:sns:cn-north-1:111122223333:topic", "topic", "topic", ARN{"aws-cn", "sns", "cn-north-1", "111122223333", "topic"}},
		{"arn:aws:logs:eu-west-1:111122223333:log-group:a:*", "log-group", "log-group:a:*", ARN{"aws", "logs", "eu-west-1", "111122223333", "log-group:a:*"}},
		{"arn:aws:iam::*:role/ci", "role", "ci", ARN{"aws", "iam", "", "*", "role/ci"}},
	} {
		got, err := Parse(tt.in)
		if err != nil || got != tt.want || got.String() != tt.in || got.ResourceType() != tt.typ || got.ResourceName() != tt.name {
			t.Errorf("%s: got %+v (%s, %s), %v", tt.in, got, got.ResourceType(), got.ResourceName(), err)
		}
		if Account(tt.in) != tt.want.Account {
			t.Errorf("Account(%s): got %q", tt.in, Account(tt.in))
		}
	}
	for _, in := range []string{"", "arn", "arn:aws:iam::111122223333", "urn:aws:iam::1:role/x", "arn::iam::1:role/x", "arn:aws:::1:x", "arn:aws:iam::1:"} {
		if _, err := Parse(in); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: got %v, want ErrInvalid", in, err)
		}
	}
}

func TestIdentifiers(t *testing.T) {
	for s, want := range map[string]bool{"111122223333": true, "012345678901": true, "": false, "11112222333": false, "1111222233334": false, "11112222333x": false, "１１１１": false} {
		if IsAccountID(s) != want {
			t.Errorf("IsAccountID(%q): got %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"AROAEXAMPLEEXAMPLE123": true, "AIDAEXAMPLEEXAMPLE123": true, "AROA": false, "AROAexampleexample123": false, "XROAEXAMPLEEXAMPLE123": false, "": false} {
		if IsUniqueID(s) != want {
			t.Errorf("IsUniqueID(%q): got %v", s, !want)
		}
	}
	if got := AccountRoot("aws-cn", "111122223333"); got != "arn:aws-cn:iam::111122223333:root" {
		t.Error(got)
	}
}

// TestPattern: fields are compared one by one (rule 67), the last spans slashes and colons (85, 87), short ones are padded
// (86), partitions differ (123), case counts (84).
func TestPattern(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/path/ci"
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"*", role, true}, {role, role, true}, {"arn:aws:iam::111122223333:role/*", role, true},
		{"arn:aws:iam::*:role/*/ci", role, true}, {"arn:*:role/*", role, false}, {"arn:aws:iam", role, true},
		{"arn:*", role, true}, {"arn:aws:s3", role, false}, {"arn:aws-cn:iam::111122223333:role/*", role, false},
		{"arn:aws:iam::11112222333?:role/path/ci", role, true}, {"arn:aws:IAM::111122223333:role/*", role, false},
		{"arn:aws:logs:*:*:log-group:*", "arn:aws:logs:eu-west-1:111122223333:log-group:a:b", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b", false}, {"arn:aws:s3:::b*", "arn:aws:s3:::b", true},
		{"arn:aws:*:::b", "arn:aws:s3:::b", true}, {"arn:aws:*:::b", "arn:aws:s3:x:y:b", false},
		{"*:role/*", role, true}, {"arn:*", "arn:aws", false}, {"arn:*", "", false},
	} {
		p := CompilePattern(tt.pattern)
		if got := p.Match(tt.s); got != tt.want {
			t.Errorf("%s matches %s: got %v, want %v", tt.pattern, tt.s, got, tt.want)
		}
		if p.String() != tt.pattern {
			t.Errorf("%s prints as %s", tt.pattern, p.String())
		}
	}
}

// matchPatternSlowly is the meaning of a pattern: six fields compared by the slow reference.
func matchPatternSlowly(pattern, s string) bool {
	if !strings.HasPrefix(pattern, "arn:") {
		return matchSlowly([]rune(pattern), []rune(s))
	}
	want, got := strings.SplitN(pattern, ":", 6), strings.SplitN(s, ":", 6)
	for len(want) < 6 {
		want = append(want, "*")
	}
	return len(got) == 6 && !slices.ContainsFunc([]int{0, 1, 2, 3, 4, 5}, func(i int) bool {
		return !matchSlowly([]rune(want[i]), []rune(got[i]))
	})
}

// TestPatternsAgainstEnumeration checks Match, Intersects and Covers on every pair of patterns built from a few pieces,
// against the ARNs built from the letters of those pieces.
func TestPatternsAgainstEnumeration(t *testing.T) {
	var patterns, subjects []string
	for _, service := range []string{"s", "*", "?"} {
		for _, account := range []string{"", "1", "*"} {
			for _, resource := range []string{"r", "r*", "*", "*:r", "?/r"} {
				patterns = append(patterns, "arn:a:"+service+"::"+account+":"+resource)
			}
		}
	}
	patterns = append(patterns, "*", "arn:a", "arn:a:s", "arn:*", "*r", "a*:1:r", "arn*", "x")
	for _, service := range []string{"s", "t", "st"} {
		for _, account := range []string{"", "1", "12"} {
			for _, resource := range []string{"r", "rx", "x", "x:r", "x/r", "y:x:r"} {
				subjects = append(subjects, "arn:a:"+service+"::"+account+":"+resource, "arn:b:"+service+":z:"+account+":"+resource)
			}
		}
	}
	for _, a := range patterns {
		p := CompilePattern(a)
		for _, s := range subjects {
			if got, want := p.Match(s), matchPatternSlowly(a, s); got != want {
				t.Fatalf("%s matches %s: got %v, want %v", a, s, got, want)
			}
		}
		for _, b := range patterns {
			q := CompilePattern(b)
			for _, s := range subjects {
				if p.Match(s) && q.Match(s) && !p.Intersects(&q) {
					t.Fatalf("%s and %s both match %s and do not intersect", a, b, s)
				}
				if q.Match(s) && !p.Match(s) && p.Covers(&q) {
					t.Fatalf("%s covers %s and does not match %s", a, b, s)
				}
			}
			if p.Covers(&q) && !p.Intersects(&q) {
				t.Fatalf("%s covers %s and does not intersect it", a, b)
			}
		}
		if !p.Covers(&p) {
			t.Fatalf("%s does not cover itself", a)
		}
	}
	for _, pair := range [][2]string{{"arn:a:s::1:r", "arn:a:s::12:r"}, {"arn:a:s:::r", "arn:b:s:::*"}, {"arn:a:s:::r/*", "arn:a:s:::x/*"}} {
		p, q := CompilePattern(pair[0]), CompilePattern(pair[1])
		if p.Intersects(&q) {
			t.Errorf("%s and %s intersect", pair[0], pair[1])
		}
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("arn:aws:iam::*:role/*", "arn:aws:iam::111122223333:role/x")
	f.Add("arn:aws", "arn:aws:s3:::b")
	f.Add("*:b", "arn:aws:s3:::a:b")
	f.Add("arn:?", "arn:é:s:r:a:x")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		p, q := CompilePattern(pattern), CompilePattern(s)
		got := p.Match(s)
		p.Intersects(&q)
		p.Covers(&q)
		if a, err := Parse(s); err == nil && a.String() != s {
			t.Errorf("%q prints as %q", s, a.String())
		}
		if !utf8.ValidString(pattern) || !utf8.ValidString(s) || len(pattern) > 24 || len(s) > 24 || strings.Count(pattern, "*") > 5 {
			return // the reference is slow and reads characters
		}
		if want := matchPatternSlowly(pattern, s); got != want {
			t.Errorf("%q matches %q: got %v, want %v", pattern, s, got, want)
		}
		if literal, ok := p.Literal(); ok && !p.Match(literal) {
			t.Errorf("%q does not match its literal %q", pattern, literal)
		}
	})
}
