package cond

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestPossibleAgreesWithTrying: what some context of the universe satisfies is possible, what none can is not, and a witness is
// one. Tests of one kind, without variables and understood, are always decided.
func TestPossibleAgreesWithTrying(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family, plain := drawWorld(t), rapid.Bool().Draw(t, "plain")
		f := drawFormula(t, family, plain)
		truth, witness := f.Possible(nil)
		reason := f.Undecided(nil)
		if (truth == Unknown) != (reason != "") {
			t.Fatalf("%v is %v, and the reason is %q", f, truth, reason)
		}
		if truth == True && f.Eval(witness) != True {
			t.Fatalf("%v is %v in its witness %s", f, f.Eval(witness), describe(witness))
		}
		if truth == Unknown && plain && family != "Mixed" && !f.Opaque() {
			t.Fatalf("%v is left open: %s", f, reason)
		}
		contexts(family, func(c *Context) bool {
			if f.Eval(c) != True {
				return true
			}
			if truth == False || truth == Unknown && plain && family != "Mixed" {
				t.Fatalf("%v is possible by %s, and is said to be %v (%s)", f, describe(c), truth, reason)
			}
			return false
		})
	})
}

// TestPossibleKeepsWhatIsKnown: over a context in which some keys are known, the witness leaves these alone, and what a completion
// satisfies is possible.
func TestPossibleKeepsWhatIsKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family, plain := drawWorld(t), rapid.Bool().Draw(t, "plain")
		f := drawFormula(t, family, plain)
		var all []*Context
		contexts(family, func(c *Context) bool { all = append(all, c); return true })
		known := forget(t, rapid.SampledFrom(all).Draw(t, "base"))
		truth, witness := f.Possible(known)
		if truth == True {
			if f.Eval(witness) != True {
				t.Fatalf("%v is %v in its witness %s", f, f.Eval(witness), describe(witness))
			}
			for _, k := range witness.keys {
				if state, _ := known.Lookup(k.name); state != Undetermined {
					t.Fatalf("the witness changes %s", k.shown)
				}
			}
		}
		for _, c := range all {
			if truth == False && completes(c, known) && f.Eval(c) == True {
				t.Fatalf("%v is said to be impossible in %s, and holds in %s", f, describe(known), describe(c))
			}
		}
	})
}

// TestPossible holds what pairs of tests do not show, by kinds.
func TestPossible(t *testing.T) {
	test := func(name string, values ...string) Test { return CompileTest(name, "k", values, true) }
	outsider := &Context{Rest: Undetermined}
	outsider.SetUnknownExcept("k", false, "o-ours")
	two := &Context{Rest: Undetermined}
	two.Set("k", "a", "b")
	bob := &Context{Rest: Undetermined}
	bob.Set("k", "bob")
	for _, c := range []struct {
		name  string
		known *Context
		tests []Test
		want  Truth
		value string // of the key, where it is to be seen that a good one is found
	}{
		{"three patterns", nil, []Test{test("StringLike", "a*"), test("StringLike", "*b"), test("StringNotLike", "*a*b*")}, False, ""},
		{"two patterns and two that cover them", nil, []Test{test("StringLike", "ab?"), test("StringNotLike", "?b*")}, False, ""},
		{"a pattern with an exception", nil, []Test{test("StringLike", "data-*"), test("StringNotLike", "data-x*")}, True, "data-other"},
		{"ARN with an exception", nil, []Test{test("ArnLike", "arn:aws:s3:::data-*/*"), test("ArnNotLike", "arn:aws:s3:::data-*")}, False, ""},
		{"case", nil, []Test{test("StringEqualsIgnoreCase", "ab"), test("StringNotEquals", "ab", "AB"), test("StringNotLike", "?B")}, True, "Ab"},
		{"case, all spellings", nil, []Test{test("StringEqualsIgnoreCase", "a"), test("StringNotEquals", "a", "A")}, False, ""},
		{"Bool is a text", nil, []Test{test("Bool", "true"), test("StringEquals", "True")}, True, "True"},
		{"whole number between", nil, []Test{test("NumericGreaterThan", "5"), test("NumericLessThan", "7")}, True, "6"},
		{"a number between", nil, []Test{test("NumericGreaterThan", "5"), test("NumericLessThan", "6")}, True, "5.1"},
		{"numbers, all excluded", nil, []Test{test("NumericGreaterThanEquals", "5"), test("NumericLessThanEquals", "5.0"), test("NumericNotEquals", "+5")}, False, ""},
		{"no number", nil, []Test{test("NumericNotEquals", "5"), test("Null", "false")}, True, "4"},
		{"date between", nil, []Test{test("DateGreaterThan", "2026-01-01"), test("DateLessThan", "2026-01-02")}, True, "2026-01-01T23:59:59Z"},
		{"no date between", nil, []Test{test("DateGreaterThan", "2026-01-01T00:00:00Z"), test("DateLessThan", "2026-01-01T00:00:00.000000001Z")}, False, ""},
		{"date beyond the years", nil, []Test{test("DateGreaterThan", "9999-12-31T23:59:59.999999999Z")}, True, "253402300800.999999999"},
		{"no date beyond", nil, []Test{test("DateGreaterThan", "999999999999.999999999")}, False, ""},
		{"two halves of a block", nil, []Test{test("IpAddress", "10.0.0.0/8"), test("NotIpAddress", "10.0.0.0/9", "10.128.0.0/9")}, False, ""},
		{"one half of a block", nil, []Test{test("IpAddress", "10.0.0.0/8"), test("NotIpAddress", "10.0.0.0/9")}, True, "10.128.0.0"},
		{"IPv6 behind the IPv4 in it", nil, []Test{test("IpAddress", "::/0"), test("NotIpAddress", "::/81")}, True, ""},
		{"bytes", nil, []Test{test("BinaryEquals", "YQ=="), test("StringNotEquals", "YQ==")}, Unknown, ""},
		{"kinds, seen by one", nil, []Test{test("NumericLessThan", "5"), test("NumericGreaterThan", "6"), test("StringLike", "*")}, False, ""},
		{"kinds, possible", nil, []Test{test("NumericLessThan", "5"), test("StringLike", "4*")}, True, "4"},
		{"some and every", nil, []Test{test("ForAnyValue:StringLike", "a*"), test("ForAnyValue:StringLike", "b*"), test("ForAllValues:StringLike", "*c")}, True, ""},
		{"some outside every", nil, []Test{test("ForAnyValue:StringLike", "a*"), test("ForAllValues:StringNotLike", "a", "a?*")}, False, ""},
		{"some, present", nil, []Test{test("Null", "false"), test("ForAnyValue:StringEquals", "a"), test("ForAnyValue:StringEquals", "b")}, True, ""},
		{"every is satisfied by none", nil, []Test{test("ForAllValues:StringEquals", "a"), test("ForAllValues:StringEquals", "b")}, True, ""},
		{"every, present", nil, []Test{test("Null", "false"), test("ForAllValues:StringEquals", "a"), test("ForAllValues:StringEquals", "b")}, False, ""},
		{"not understood", nil, []Test{test("StringSoundsLike", "a")}, Unknown, ""},
		{"not understood beside a contradiction", nil, []Test{test("StringSoundsLike", "a"), test("StringLike", "a*"), test("StringNotLike", "?*")}, False, ""},
		{"an escaped star", nil, []Test{test("StringLike", "${*}"), test("StringNotEquals", "*")}, False, ""},
		{"a variable", nil, []Test{test("StringEquals", "${v}"), test("StringEquals", "a")}, True, "a"},
		{"a variable beside a contradiction", nil, []Test{test("StringEquals", "${v}"), test("StringLike", "a*"), test("StringNotLike", "a*", "${v}")}, False, ""},
		{"a variable that excludes", nil, []Test{test("StringNotEquals", "${v}"), test("StringEquals", "a")}, True, "a"},
		{"a variable of a known key", bob, []Test{test("StringEquals", "${v}")}, True, ""},
		{"outsiders", outsider, []Test{test("StringEquals", "o-ours")}, False, ""},
		{"outsiders by a pattern", outsider, []Test{test("StringLike", "o-*")}, True, "o-x"},
		{"outsiders by a narrow pattern", outsider, []Test{test("StringLike", "o-ours*"), test("StringNotLike", "o-ours?*")}, False, ""},
		{"several values without set operator", two, []Test{test("StringEquals", "a")}, Unknown, ""},
		{"known", bob, []Test{test("StringEquals", "alice")}, False, ""},
		{"known to be absent", &Context{}, []Test{test("StringLike", "*")}, False, ""},
	} {
		f := Block(c.tests).formula()
		got, witness := f.Possible(c.known)
		if got != c.want {
			t.Errorf("%s: %v is %v (%s), want %v", c.name, f, got, f.Undecided(c.known), c.want)
		}
		if got != True {
			continue
		}
		if f.Eval(witness) != True {
			t.Errorf("%s: %v is %v in %s", c.name, f, f.Eval(witness), describe(witness))
		}
		if _, values := witness.Lookup("k"); c.value != "" && (len(values) != 1 || values[0] != c.value) {
			t.Errorf("%s: %q, want %q", c.name, values, c.value)
		}
	}
}

// TestPossibleGivesUp: beyond the bound nothing is claimed. No text passes, but to see it takes all sets of 30 places.
func TestPossibleGivesUp(t *testing.T) {
	end := "a" + strings.Repeat("?", 30)
	f := Block{
		CompileTest("StringLike", "k", []string{"*" + end}, true),
		CompileTest("StringNotLike", "k", []string{end, "?*" + end}, true),
	}.formula()
	if truth, _ := f.Possible(nil); truth != Unknown || f.Undecided(nil) != openText {
		t.Errorf("%v: %v, because %q", f, truth, f.Undecided(nil))
	}
}

func TestCompare(t *testing.T) {
	of := func(name string, values ...string) Formula {
		return Block{CompileTest(name, "k", values, true)}.formula()
	}
	for _, c := range []struct {
		f, g Formula
		want Relation
	}{
		{of("StringEquals", "a"), of("StringEquals", "a"), Equivalent},
		{of("StringLike", "a*", "a?"), of("StringLike", "a*"), Equivalent},
		{of("StringLike", "a*").And(of("StringLike", "*a")), of("StringLike", "a", "a*a"), Equivalent},
		{of("StringLike", "a*"), of("StringLike", "ab*"), Wider},
		{of("StringLike", "a??"), of("StringLike", "a*"), Narrower},
		{of("StringLike", "a*"), of("StringLike", "*b"), Incomparable},
		{of("NumericLessThan", "5"), of("NumericLessThanEquals", "5"), Narrower},
		{of("NumericNotEquals", "5"), of("NumericLessThan", "5").Or(of("NumericGreaterThan", "5")), Wider}, // no number, and absence
		{of("IpAddress", "10.0.0.0/9", "10.128.0.0/9"), of("IpAddress", "10.0.0.0/8"), Equivalent},
		{of("StringEquals", "${v}"), of("StringLike", "*"), Narrower},
		{of("StringEquals", "${v}"), of("StringLike", "${v}*"), Undecided},
		{of("StringSoundsLike", "a"), of("StringLike", "a"), Undecided},
		{Always(), of("Null", "true").Or(of("Null", "false")), Equivalent},
		{Never(), Always(), Narrower},
	} {
		if got := c.f.Compare(c.g); got != c.want {
			t.Errorf("%v with %v: %v, want %v", c.f, c.g, got, c.want)
		}
	}
	var names []string
	for r := range Incomparable + 1 {
		names = append(names, r.String())
	}
	if want := []string{"undecided", "equivalent", "wider", "narrower", "incomparable"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
}

// FuzzPossible: whatever formula is read, Possible does not fail, and its witness is one.
func FuzzPossible(f *testing.F) {
	f.Add([]byte(`[[{"key":"k","operator":"StringLike","values":["a*b?"],"absent":false},{"key":"k","operator":"StringNotLike","values":["ab*"],"absent":true}]]`))
	f.Add([]byte(`[[{"key":"k","operator":"ForAnyValue:NumericLessThan","values":["5","-0.5"],"absent":false}],[{"key":"v","operator":"ArnLike","values":["arn:aws:s3:::${v}"]}]]`))
	f.Add([]byte(`[[{"key":"k","operator":"DateGreaterThan","values":["9999"]},{"key":"k","operator":"IpAddress","values":["::/0"]},{"key":"k","operator":"BinaryEquals","values":["YQ=="],"negated":true}]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			t.Skip("longer than what is of interest")
		}
		var formula Formula
		if json.Unmarshal(data, &formula) != nil {
			return
		}
		truth, witness := formula.Possible(nil)
		if (truth == True) != (witness != nil) || truth == True && formula.Eval(witness) != True {
			t.Errorf("%v is %v, in its witness %v", formula, truth, formula.Eval(witness))
		}
	})
}
