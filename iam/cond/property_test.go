package cond

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// The properties below hold over a small universe of keys and values, in which every context is tried. Direct evaluation of
// tests in a context in which every key is known is the reference; the algebra of formulas must agree with it.

const (
	keyA     = "test:A"     // one value
	keyB     = "test:B"     // one value
	keyMany  = "test:Many"  // several values
	variable = "test:Which" // one value, used in variables
)

// universe holds, per kind of operator, values that meet, that differ by case, spelling or wildcard, and that do not parse.
var universe = map[string][]string{
	"String":  {"a", "ab", "A", "a*", "é", "true"},
	"Numeric": {"1", "1.0", "-2", "10", "x"},
	"Date":    {"2026-01-01T00:00:00Z", "2026", "1767225600", "2027-06-01", "x"},
	"Bool":    {"true", "TRUE", "false", "x"},
	"Binary":  {"YQ==", "YWI=", "x"},
	"IP":      {"10.0.0.1", "10.200.0.1", "::ffff:10.0.0.1", "2001:db8::1", "x"},
	"ARN":     {"arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b/a", "arn:aws:iam::444455556666:role/a", "a"},
}

// patterns are values that a policy may hold beside those of the universe.
var patterns = map[string][]string{
	"String":  {"*", "a*", "?", "??", "*b", "a?", "", "A*"},
	"Numeric": {"0", "+1", "5.5"},
	"Date":    {"2026-06-01T00:00:00+02:00"},
	"IP":      {"10.0.0.0/8", "10.0.0.0/9", "10.128.0.0/9", "10.0.0.0/16", "0.0.0.0/0", "2001:db8::/32", "::/0", "10.0.0.1/32"},
	"ARN":     {"*", "arn:aws:iam::*:role/a", "arn:aws:iam::111122223333:role/*", "arn:aws:iam", "arn:*", "*role/a", "arn:aws:iam::??1122223333:role/?"},
}

var families = map[string][]string{
	"String":  {"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase"},
	"Numeric": {"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
	"Date":    {"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
	"Bool":    {"Bool"},
	"Binary":  {"BinaryEquals"},
	"IP":      {"IpAddress", "NotIpAddress"},
	"ARN":     {"ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"},
}

// kindNames are the families in order; "Mixed" draws each test from another family.
var kindNames = []string{"String", "Numeric", "Date", "Bool", "Binary", "IP", "ARN", "Mixed"}

// drawWorld chooses the family of a run.
func drawWorld(t *rapid.T) string { return rapid.SampledFrom(kindNames).Draw(t, "family") }

// valuesOf are the values that keys take in contexts of a family.
func valuesOf(family string) []string {
	if family != "Mixed" {
		return universe[family]
	}
	return []string{"a", "true", "TRUE", "1", "1.0", "10.0.0.1", "2026", "arn:aws:iam::111122223333:role/a", "YQ=="}
}

// drawTest makes one test of a family. Plain tests carry no variable and are understood.
func drawTest(t *rapid.T, family string, plain bool) Test {
	if family == "Mixed" {
		family = rapid.SampledFrom(kindNames[:len(kindNames)-1]).Draw(t, "test family")
	}
	key := rapid.SampledFrom([]string{keyA, keyB, keyMany}).Draw(t, "key")
	if key != keyMany && rapid.IntRange(0, 7).Draw(t, "null") == 0 {
		return CompileTest("Null", key, rapid.SampledFrom([][]string{{"true"}, {"false"}, {"true", "false"}}).Draw(t, "null values"), true)
	}
	name := rapid.SampledFrom(families[family]).Draw(t, "operator")
	if rapid.IntRange(0, 3).Draw(t, "if exists") == 0 {
		name += "IfExists"
	}
	if key == keyMany {
		name = rapid.SampledFrom([]string{"ForAnyValue:", "ForAllValues:"}).Draw(t, "set operator") + name
	}
	var compiled []string
	for _, v := range slices.Concat(universe[family], patterns[family]) {
		if test := CompileTest(name, key, []string{v}, false); test.NotUnderstood == "" {
			compiled = append(compiled, v)
		}
	}
	if !plain && (family == "String" || family == "ARN") {
		compiled = append(compiled, "${"+variable+"}", "${"+variable+"}*", "${"+variable+", 'a'}", "${*}")
	}
	values := rapid.SliceOfN(rapid.SampledFrom(compiled), 0, 3).Draw(t, "values")
	if !plain && rapid.IntRange(0, 15).Draw(t, "opaque") == 0 {
		name = "StringSoundsLike"
	}
	return CompileTest(name, key, values, true)
}

func drawBlock(t *rapid.T, family string, plain bool) Block {
	b := make(Block, rapid.IntRange(0, 3).Draw(t, "tests"))
	for i := range b {
		b[i] = drawTest(t, family, plain)
	}
	return b
}

func (b Block) formula() Formula { return b.LeftOver(&Context{Rest: Undetermined}) }

func (b Block) String() string {
	var out []string
	for _, test := range b {
		out = append(out, fmt.Sprintf("%s %s %q", test.Operator, test.Key, test.Constraint().Values()))
	}
	return strings.Join(out, " & ")
}

// drawFormula combines blocks.
func drawFormula(t *rapid.T, family string, plain bool) Formula {
	f := drawBlock(t, family, plain).formula()
	for range rapid.IntRange(0, 2).Draw(t, "combinations") {
		g := drawBlock(t, family, plain).formula()
		switch rapid.IntRange(0, 2).Draw(t, "combine by") {
		case 0:
			f = f.And(g)
		case 1:
			f = f.Or(g)
		default:
			f = f.Or(g.Not())
		}
	}
	return f
}

// contexts tries every context of a family: each key absent or with each value, keyMany with every set of up to two.
func contexts(family string, try func(*Context) bool) {
	values := valuesOf(family)
	single := [][]string{nil}
	for _, v := range values {
		single = append(single, []string{v})
	}
	many := slices.Concat(single, [][]string{{}})
	for i := range values {
		for j := range i {
			many = append(many, []string{values[j], values[i]})
		}
	}
	which := [][]string{nil, {values[0]}, {values[len(values)-1]}}
	set := func(c *Context, key string, v []string) {
		if v == nil {
			c.SetAbsent(key)
		} else {
			c.Set(key, v...)
		}
	}
	for _, a := range single {
		for _, b := range single {
			for _, m := range many {
				for _, w := range which {
					c := &Context{}
					set(c, keyA, a)
					set(c, keyB, b)
					set(c, keyMany, m)
					set(c, variable, w)
					if !try(c) {
						return
					}
				}
			}
		}
	}
}

func describe(c *Context) string {
	var b strings.Builder
	c.Keys(func(name string, state State, values []string) bool {
		fmt.Fprintf(&b, "%s state %d %q; ", name, state, values)
		return true
	})
	return b.String()
}

// contradict: one says true and the other false.
func contradict(a, b Truth) bool { return a != b && a != Unknown && b != Unknown }

func TestAlgebraAgreesWithEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family, plain := drawWorld(t), rapid.Bool().Draw(t, "plain")
		x, y := drawBlock(t, family, plain), drawBlock(t, family, plain)
		f, g := x.formula(), y.formula()
		and, or, not := f.And(g), f.Or(g), f.Not()
		both := and.Or(not.And(g.Not())) // two levels deep
		contexts(family, func(c *Context) bool {
			a, b := x.Eval(c), y.Eval(c)
			for _, check := range []struct {
				name      string
				got, want Truth
			}{
				{"formula", f.Eval(c), a},
				{"and", and.Eval(c), a.And(b)},
				{"or", or.Eval(c), a.Or(b)},
				{"not", not.Eval(c), a.Not()},
				{"equivalence", both.Eval(c), a.And(b).Or(a.Not().And(b.Not()))},
			} {
				if contradict(check.got, check.want) || plain && check.got != check.want {
					t.Fatalf("%s: %v, direct evaluation says %v\nx: %v\ny: %v\nf: %v\ng: %v\nand: %v\nor: %v\nnot: %v\nin %s",
						check.name, check.got, check.want, x, y, f, g, and, or, not, describe(c))
				}
			}
			return true
		})
	})
}

// forget makes some keys of a complete context unknown.
func forget(t *rapid.T, c *Context) *Context {
	partial := &Context{Parent: c}
	for _, key := range []string{keyA, keyB, keyMany, variable} {
		if rapid.Bool().Draw(t, "forget "+key) {
			partial.SetUnknown(key)
		}
	}
	return partial
}

func TestLeftOverAgreesInEveryCompletion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family, plain := drawWorld(t), rapid.Bool().Draw(t, "plain")
		block := drawBlock(t, family, plain)
		var all []*Context
		contexts(family, func(c *Context) bool { all = append(all, c); return true })
		base := rapid.SampledFrom(all).Draw(t, "base")
		partial := forget(t, base)
		left, truth := block.LeftOver(partial), block.Eval(partial)
		for _, c := range all {
			if !completes(c, partial) {
				continue
			}
			want := block.Eval(c)
			if truth != Unknown && contradict(truth, want) || plain && truth != Unknown && truth != want {
				t.Fatalf("%v is %v in %s, and %v in its completion %s", block, truth, describe(partial), want, describe(c))
			}
			if got := left.Eval(c); contradict(got, want) || plain && got != want {
				t.Fatalf("left over of %v in %s: %v\nit is %v in the completion %s, the block is %v", block, describe(partial), left, got, describe(c), want)
			}
		}
	})
}

// completes reports whether c agrees with partial on every key that partial knows.
func completes(c, partial *Context) bool {
	for _, key := range []string{keyA, keyB, keyMany, variable} {
		lower := strings.ToLower(key)
		state, values := partial.Lookup(lower)
		if state == Undetermined {
			continue
		}
		if s, v := c.Lookup(lower); s != state || !slices.Equal(v, values) {
			return false
		}
	}
	return true
}

func TestWitnessSatisfies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFormula(t, drawWorld(t), false)
		c := &Context{}
		if f.Witness(c) && f.Eval(c) != True {
			t.Fatalf("%v is %v in its witness %s", f, f.Eval(c), describe(c))
		}
	})
}

// A formula over literal strings that some context satisfies has a witness.
func TestWitnessOfLiteralsIsFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Block{}
		for range rapid.IntRange(1, 3).Draw(t, "tests") {
			name := rapid.SampledFrom([]string{"StringEquals", "StringEqualsIfExists", "StringNotEquals"}).Draw(t, "operator")
			key := rapid.SampledFrom([]string{keyA, keyB}).Draw(t, "key")
			b = append(b, CompileTest(name, key, rapid.SliceOfN(rapid.SampledFrom(universe["String"]), 1, 2).Draw(t, "values"), false))
		}
		f := b.formula()
		contexts("String", func(c *Context) bool {
			if f.Eval(c) != True {
				return true
			}
			if !f.Witness(&Context{}) {
				t.Fatalf("%v holds in %s, and no witness was found", f, describe(c))
			}
			return false
		})
	})
}

func TestImpliesIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := drawWorld(t)
		f, g := drawFormula(t, family, false), drawFormula(t, family, false)
		implies, certain := f.Implies(g)
		if implies && !certain {
			t.Fatal("implied, and not certain")
		}
		if !implies {
			return
		}
		contexts(family, func(c *Context) bool {
			if f.Eval(c) == True && g.Eval(c) == False {
				t.Fatalf("%v is said to imply %v, but not in %s", f, g, describe(c))
			}
			return true
		})
	})
}

func TestConstraintRelationsAreSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := drawWorld(t)
		c, d := drawTest(t, family, true).constraint, drawTest(t, family, true).constraint
		implies, disjoint := c.implies(d), c.Quantifier == One && d.Quantifier == One && c.lower == d.lower && c.disjoint(d)
		complement := c.complement()
		contexts(family, func(ctx *Context) bool {
			a, b := c.Eval(ctx), d.Eval(ctx)
			if implies && a == True && b == False {
				t.Fatalf("%v is said to imply %v, but not in %s", c, d, describe(ctx))
			}
			if state, _ := ctx.Lookup(c.lower); disjoint && state == Present && a == True && b == True {
				t.Fatalf("%v and %v are said to be disjoint, but both hold in %s", c, d, describe(ctx))
			}
			if got := complement.Eval(ctx); got != a.Not() {
				t.Fatalf("the complement of %v is %v in %s", c, got, describe(ctx))
			}
			if constant := c.constant(); constant != Unknown && constant != a {
				t.Fatalf("%v is said to be always %v, and is %v in %s", c, constant, a, describe(ctx))
			}
			return true
		})
	})
}

// What a formula requires of a key is never more than what it demands: every context in which it holds is admitted.
func TestRequireIsNeverStronger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := rapid.SampledFrom([]string{"String", "ARN"}).Draw(t, "family")
		f := drawFormula(t, family, true)
		r := f.Require(keyA)
		contexts(family, func(c *Context) bool {
			if f.Eval(c) != True {
				return true
			}
			state, values := c.Lookup(strings.ToLower(keyA))
			switch {
			case state == Absent && r.Always && !r.Absent:
				t.Fatalf("%v holds without the key, and is said to demand it: %+v", f, r)
			case state == Present && r.Exact() && !slices.ContainsFunc(r.Values, func(v string) bool { return strings.EqualFold(v, values[0]) }):
				t.Fatalf("%v holds for %q, and is said to demand one of %q", f, values[0], r.Values)
			case state == Present && !r.Open && !r.Variable && len(r.Values)+len(r.Patterns) == 0:
				t.Fatalf("%v holds for %q, and is said to accept nothing: %+v", f, values[0], r)
			}
			return true
		})
	})
}

// The normal form does not depend on the order in which conditions were met.
func TestNormalFormIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		family := drawWorld(t)
		block := drawBlock(t, family, false)
		reversed := slices.Clone(block)
		slices.Reverse(reversed)
		if f, g := block.formula(), reversed.formula(); !f.Equal(g) {
			t.Fatalf("%v and %v differ by order alone", f, g)
		}
		x, y := drawFormula(t, family, false), drawFormula(t, family, false)
		if f, g := x.Or(y), y.Or(x); !f.Equal(g) {
			t.Fatalf("or: %v and %v differ by order alone", f, g)
		}
		if f, g := x.And(y), y.And(x); !f.Equal(g) {
			t.Fatalf("and: %v and %v differ by order alone", f, g)
		}
	})
}

func TestEvalDoesNotAllocate(t *testing.T) {
	block := Block{
		CompileTest("StringEquals", "aws:PrincipalOrgID", []string{"o-exampleorg1"}, true),
		CompileTest("StringLike", "aws:PrincipalArn", []string{"arn:aws:iam::*:role/ci-*"}, true),
		CompileTest("ArnLikeIfExists", "aws:SourceArn", []string{"arn:aws:s3:::*"}, true),
		CompileTest("IpAddress", "aws:SourceIp", []string{"203.0.113.0/24", "2001:db8::/32"}, true),
		CompileTest("NumericLessThan", "aws:MultiFactorAuthAge", []string{"3600"}, true),
		CompileTest("DateGreaterThan", "aws:CurrentTime", []string{"2026-01-01T00:00:00Z"}, true),
		CompileTest("Bool", "aws:SecureTransport", []string{"true"}, true),
		CompileTest("ForAnyValue:StringLike", "aws:PrincipalOrgPaths", []string{"o-exampleorg1/*"}, true),
		CompileTest("ForAllValues:StringEquals", "aws:TagKeys", []string{"team", "cost"}, true),
		CompileTest("Null", "aws:TokenIssueTime", []string{"false"}, true),
	}
	c := &Context{}
	c.Set("aws:PrincipalOrgID", "o-exampleorg1")
	c.Set("aws:PrincipalArn", "arn:aws:iam::111122223333:role/ci-deploy")
	c.Set("aws:SourceIp", "203.0.113.7")
	c.Set("aws:MultiFactorAuthAge", "60")
	c.Set("aws:CurrentTime", "2026-11-23T00:00:00Z")
	c.Set("aws:SecureTransport", "TRUE")
	c.Set("aws:PrincipalOrgPaths", "o-exampleorg1/r-root/ou-a/")
	c.Set("aws:TagKeys", "team")
	c.Set("aws:TokenIssueTime", "2026-11-23T00:00:00Z")
	if got := block.Eval(c); got != True {
		t.Fatalf("the block is %v, want true", got)
	}
	if n := testing.AllocsPerRun(100, func() { block.Eval(c) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
