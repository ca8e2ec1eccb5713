package cond

import "testing"

func TestImplies(t *testing.T) {
	f := func(tests ...Test) Formula { return Block(tests).formula() }
	equals := func(values ...string) Test { return CompileTest("StringEquals", "k", values, true) }
	other := CompileTest("StringEquals", "other", []string{"x"}, true)
	like := CompileTest("StringLike", "k", []string{"a*"}, true)
	opaque := CompileTest("StringSoundsLike", "k", []string{"a"}, true)
	variable := CompileTest("StringEquals", "k", []string{"${aws:username}"}, true)
	for _, test := range []struct {
		name             string
		f, g             Formula
		implies, certain bool
	}{
		{"never implies all", Never(), f(equals("a")), true, true},
		{"all is implied", f(equals("a")), Always(), true, true},
		{"always implies no demand", Always(), f(equals("a")), false, true},
		{"a demand is not never", f(equals("a")), Never(), false, true},
		{"itself", f(equals("a"), other), f(other, equals("a")), true, true},
		{"fewer values", f(equals("a")), f(equals("a", "b")), true, true},
		{"more values", f(equals("a", "b")), f(equals("a")), false, true},
		{"one more demand", f(equals("a"), other), f(equals("a")), true, true},
		{"one demand less", f(equals("a")), f(equals("a"), other), false, true},
		{"value in pattern", f(equals("ab")), f(like), true, true},
		{"pattern in value", f(like), f(equals("ab")), false, true},
		{"several alternatives together", f(equals("a", "b")), f(equals("a")).Or(f(equals("b"), other)).Or(f(other).Not()), true, true},
		{"the same that is not understood", f(opaque), f(opaque), true, true},
		{"what is not understood", f(opaque), f(equals("a")), false, false},
		{"a variable is not a value", f(variable), f(equals("a")), false, true},
	} {
		if implies, certain := test.f.Implies(test.g); implies != test.implies || certain != test.certain {
			t.Errorf("%s: got %v (certain %v), want %v (certain %v)\n%v\n%v", test.name, implies, certain, test.implies, test.certain, test.f, test.g)
		}
	}
}

// TestVariableBesideItsOpposite: a positive test does not imply a negated one that lists the same pattern beside a variable.
func TestVariableBesideItsOpposite(t *testing.T) {
	b := Block{
		CompileTest("StringLikeIfExists", "test:A", []string{"a*"}, true),
		CompileTest("StringNotLikeIfExists", "test:A", []string{"${test:Which}", "a*"}, true),
	}
	ctx := &Context{}
	ctx.Set("test:A", "a")
	ctx.Set("test:Which", "b")
	f := b.LeftOver(&Context{Rest: Undetermined})
	if got := f.Eval(ctx); got != False {
		t.Errorf("%v is %v, expected False as the tests themselves are", f, got)
	}
}

// What is not understood implies itself, and neither its opposite nor, where it stands for what went beyond the budget, another.
func TestImpliesOfWhatIsNotUnderstood(t *testing.T) {
	x := NotUnderstood("x")
	if implies, certain := x.Implies(x); !implies || !certain {
		t.Error("x does not imply x")
	}
	if implies, _ := x.Implies(x.Not()); implies {
		t.Error("x implies its opposite")
	}
	if implies, _ := tooMany().Implies(tooMany()); implies {
		t.Error("two unions beyond the budget imply each other")
	}
	if got := x.Not().Not(); !got.Equal(x) {
		t.Errorf("the opposite of the opposite is %v", got)
	}
}
