package cond

import "testing"

// request is one key with its values; nil is an absent key, an empty list an empty set.
type request []string

var absent request

func contextOf(key string, r request) *Context {
	c := &Context{}
	if r != nil {
		c.Set(key, r...)
	}
	return c
}

// Each case cites the rule of the semantics that it stands for.
func TestOperators(t *testing.T) {
	for _, test := range []struct {
		rule     string
		operator string
		policy   []string
		request  request
		want     Truth
	}{
		// Values are ORed, and NORed under negation.
		{"56", "StringEquals", []string{"a", "b"}, request{"b"}, True},
		{"56", "StringEquals", []string{"a", "b"}, request{"c"}, False},
		{"57", "StringNotEquals", []string{"a", "b"}, request{"b"}, False},
		{"57", "StringNotEquals", []string{"a", "b"}, request{"c"}, True},
		{"56", "StringEquals", nil, request{"a"}, False},
		{"57", "StringNotEquals", nil, request{"a"}, True},
		// Case.
		{"59", "StringEquals", []string{"a"}, request{"A"}, False},
		{"59", "StringNotEquals", []string{"a"}, request{"A"}, True},
		{"59", "StringEqualsIgnoreCase", []string{"a"}, request{"A"}, True},
		{"59", "StringNotEqualsIgnoreCase", []string{"a"}, request{"A"}, False},
		{"59", "StringLike", []string{"a*"}, request{"Ab"}, False},
		{"59", "StringEquals", []string{"a*"}, request{"ab"}, False}, // no wildcards without Like
		// Absent keys.
		{"60", "StringEquals", []string{"a"}, absent, False},
		{"60", "StringLike", []string{"*"}, absent, False},
		{"60", "NumericLessThan", []string{"5"}, absent, False},
		{"60", "DateLessThan", []string{"2030-01-01"}, absent, False},
		{"60", "Bool", []string{"false"}, absent, False},
		{"60", "IpAddress", []string{"0.0.0.0/0"}, absent, False},
		{"60", "ArnLike", []string{"*"}, absent, False},
		{"60", "BinaryEquals", []string{"YQ=="}, absent, False},
		{"61", "StringNotEquals", []string{"a"}, absent, True},
		{"61", "StringNotLike", []string{"*"}, absent, True},
		{"61", "NumericNotEquals", []string{"5"}, absent, True},
		{"61", "DateNotEquals", []string{"2030-01-01"}, absent, True},
		{"61", "NotIpAddress", []string{"0.0.0.0/0"}, absent, True},
		{"61", "ArnNotLike", []string{"*"}, absent, True},
		// IfExists.
		{"62", "StringEqualsIfExists", []string{"a"}, absent, True},
		{"62", "StringEqualsIfExists", []string{"a"}, request{"b"}, False},
		{"62", "StringNotEqualsIfExists", []string{"a"}, absent, True},
		{"62", "BoolIfExists", []string{"true"}, absent, True},
		{"62", "BoolIfExists", []string{"true"}, request{"false"}, False},
		{"62", "NumericLessThanIfExists", []string{"5"}, request{"5"}, False},
		{"62", "NullIfExists", []string{"true"}, absent, Unknown}, // not an operator
		// Null.
		{"63", "Null", []string{"true"}, absent, True},
		{"63", "Null", []string{"true"}, request{"a"}, False},
		{"63", "Null", []string{"false"}, absent, False},
		{"63", "Null", []string{"false"}, request{"a"}, True},
		{"63", "Null", []string{"false"}, request{}, False}, // an empty set has no value that is non-null
		{"63", "Null", []string{"maybe"}, request{"a"}, Unknown},
		// ForAllValues.
		{"64", "ForAllValues:StringEquals", []string{"a", "b"}, request{"a", "b"}, True},
		{"64", "ForAllValues:StringEquals", []string{"a", "b"}, request{"a", "c"}, False},
		{"64", "ForAllValues:StringEquals", []string{"a"}, absent, True},
		{"64", "ForAllValues:StringEquals", []string{"a"}, request{}, True},
		{"64", "ForAllValues:StringNotEquals", []string{"a"}, request{"b", "c"}, True},
		{"64", "ForAllValues:StringNotEquals", []string{"a"}, request{"a", "b"}, False},
		{"64", "ForAllValues:StringLike", []string{"t*"}, request{"team", "tier"}, True},
		// ForAnyValue.
		{"65", "ForAnyValue:StringEquals", []string{"a"}, request{"x", "a"}, True},
		{"65", "ForAnyValue:StringEquals", []string{"a"}, request{"x", "y"}, False},
		{"65", "ForAnyValue:StringEquals", []string{"a"}, absent, False},
		{"65", "ForAnyValue:StringEquals", []string{"a"}, request{}, False},
		{"65", "ForAnyValue:StringEqualsIfExists", []string{"a"}, absent, False},
		{"65", "ForAnyValue:StringNotEquals", []string{"a"}, request{"a", "b"}, True},
		{"65", "ForAnyValue:StringNotEquals", []string{"a"}, request{"a"}, False},
		{"65", "ForAnyValue:StringNotEquals", []string{"a"}, absent, False},
		// Wildcards.
		{"66", "StringLike", []string{"a*c"}, request{"a:b/c"}, True},
		{"66", "StringLike", []string{"a?c"}, request{"abc"}, True},
		{"66", "StringLike", []string{"a?c"}, request{"ac"}, False},
		{"66", "StringLike", []string{"a?c"}, request{"aéc"}, True},
		{"66", "StringLike", []string{"*"}, request{""}, True},
		{"66", "StringNotLike", []string{"repo:acme/*"}, request{"repo:acme/app:ref:refs/heads/main"}, False},
		// ARNs.
		{"67", "ArnLike", []string{"arn:aws:iam::111122223333:role/*"}, request{"arn:aws:iam::111122223333:role/path/a"}, True},
		{"67", "ArnLike", []string{"arn:aws:iam::*:role/a"}, request{"arn:aws:iam::111122223333:role/a"}, True},
		{"67", "ArnLike", []string{"arn:aws:*:role/a"}, request{"arn:aws:iam::111122223333:role/a"}, False}, // wildcards stay inside a field
		{"67", "ArnLike", []string{"arn:aws:logs:*:*:log-group:*"}, request{"arn:aws:logs:eu-west-1:111122223333:log-group:a:b"}, True},
		{"68", "ArnEquals", []string{"arn:aws:iam::*:role/a"}, request{"arn:aws:iam::111122223333:role/a"}, True},
		{"68", "ArnNotEquals", []string{"arn:aws:iam::*:role/a"}, request{"arn:aws:iam::111122223333:role/a"}, False},
		{"68", "ArnNotLike", []string{"arn:aws:iam::*:role/a"}, request{"arn:aws:iam::111122223333:role/b"}, True},
		// Numbers.
		{"69", "NumericEquals", []string{"1"}, request{"1.0"}, True},
		{"69", "NumericEquals", []string{"9007199254740993"}, request{"9007199254740992"}, False}, // beyond a float
		{"69", "NumericLessThan", []string{"10"}, request{"9"}, True},                             // not as text
		{"69", "NumericLessThan", []string{"10"}, request{"10"}, False},
		{"69", "NumericLessThanEquals", []string{"10"}, request{"10.0"}, True},
		{"69", "NumericGreaterThan", []string{"-2"}, request{"-1.5"}, True},
		{"69", "NumericGreaterThanEquals", []string{"0"}, request{"-0"}, True},
		{"69", "NumericEquals", []string{"1"}, request{"one"}, False},
		{"69", "NumericNotEquals", []string{"1"}, request{"one"}, True},
		{"69", "NumericEquals", []string{"one"}, request{"1"}, Unknown}, // what it means is not known
		// Dates.
		{"70", "DateEquals", []string{"2026-01-01T00:00:00Z"}, request{"1767225600"}, True},
		{"70", "DateEquals", []string{"1767225600"}, request{"2026-01-01T01:00:00+01:00"}, True},
		{"70", "DateEquals", []string{"2026"}, request{"2026-01-01"}, True},
		{"70", "DateEquals", []string{"2026-01"}, request{"2026-01-01T00:00Z"}, True},
		{"70", "DateLessThan", []string{"2026-01-01"}, request{"2025-12-31T23:59:59.999Z"}, True},
		{"70", "DateLessThan", []string{"2026-01-01"}, request{"2026-01-01"}, False},
		{"70", "DateLessThanEquals", []string{"2026-01-01"}, request{"2026-01-01"}, True},
		{"70", "DateGreaterThan", []string{"2026-01-01"}, request{"2026-01-02"}, True},
		{"70", "DateGreaterThanEquals", []string{"2026-01-01"}, request{"yesterday"}, False},
		{"70", "DateNotEquals", []string{"2026-01-01"}, request{"yesterday"}, True},
		// Booleans.
		{"71", "Bool", []string{"true"}, request{"TRUE"}, True},
		{"71", "Bool", []string{"False"}, request{"false"}, True},
		{"71", "Bool", []string{"true"}, request{"false"}, False},
		{"71", "Bool", []string{"yes"}, request{"true"}, Unknown},
		// Addresses.
		{"72", "IpAddress", []string{"203.0.113.7"}, request{"203.0.113.7"}, True},
		{"72", "IpAddress", []string{"203.0.113.7"}, request{"203.0.113.8"}, False},
		{"72", "IpAddress", []string{"203.0.113.0/24"}, request{"203.0.113.255"}, True},
		{"72", "NotIpAddress", []string{"203.0.113.0/24"}, request{"203.0.113.255"}, False},
		{"72", "IpAddress", []string{"2001:db8::/32"}, request{"2001:0DB8:0:0::1"}, True},
		{"72", "IpAddress", []string{"2001:db8::1"}, request{"2001:db8:0:0:0:0:0:1"}, True},
		{"72", "IpAddress", []string{"0.0.0.0/0"}, request{"2001:db8::1"}, False},
		{"72", "IpAddress", []string{"203.0.113.0/24"}, request{"not an address"}, False},
		{"72", "NotIpAddress", []string{"203.0.113.0/24"}, request{"not an address"}, True},
		{"72", "IpAddress", []string{"203.0.113.0/99"}, request{"203.0.113.7"}, Unknown},
		// Bytes.
		{"73", "BinaryEquals", []string{"YQ=="}, request{"YQ=="}, True},
		{"73", "BinaryEquals", []string{"YQ=="}, request{"YWI="}, False},
		{"73", "BinaryEquals", []string{"YQ=="}, request{"!"}, False},
		// One value is compared with one.
		{"74", "StringEquals", []string{"a"}, request{"a", "b"}, Unknown},
		{"74", "StringNotEquals", []string{"a"}, request{"b", "c"}, Unknown},
		{"74", "StringEquals", []string{"a"}, request{}, False},
		// What is not known of next year's language.
		{"unknown operator", "StringSoundsLike", []string{"a"}, request{"a"}, Unknown},
		{"unknown operator", "ForSomeValues:StringEquals", []string{"a"}, request{"a"}, Unknown},
		{"unknown operator", "ForAllValues:Null", []string{"true"}, absent, Unknown},
		{"operator in another case", "stringequals", []string{"a"}, request{"a"}, True},
	} {
		got := Block{CompileTest(test.operator, "aws:Key", test.policy, true)}.Eval(contextOf("AWS:key", test.request)) // rule 58
		if got != test.want {
			t.Errorf("rule %s: %s %q with request %q: got %v, want %v", test.rule, test.operator, test.policy, test.request, got, test.want)
		}
	}
}

func TestBlockIsConjunction(t *testing.T) { // rule 55
	c := &Context{}
	c.Set("a", "1")
	c.SetUnknown("u")
	holds, fails, open := CompileTest("StringEquals", "a", []string{"1"}, true), CompileTest("StringEquals", "a", []string{"2"}, true), CompileTest("StringEquals", "u", []string{"1"}, true)
	for _, test := range []struct {
		name  string
		block Block
		want  Truth
	}{
		{"empty", nil, True},
		{"both hold", Block{holds, holds}, True},
		{"one fails", Block{holds, fails}, False},
		{"one is open", Block{holds, open}, Unknown},
		{"false wins over open", Block{open, fails}, False},
	} {
		if got := test.block.Eval(c); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestVariables(t *testing.T) {
	for _, test := range []struct {
		rule     string
		operator string
		value    string
		literal  bool // 2008 version
		request  request
		variable request // values of aws:username
		want     Truth
	}{
		{"75", "StringEquals", "home/${aws:username}", false, request{"home/ada"}, request{"ada"}, True},
		{"75", "StringEquals", "home/${AWS:UserName}", false, request{"home/ada"}, request{"ada"}, True}, // rule 58
		{"75", "StringEquals", "home/${aws:username}", false, request{"home/bob"}, request{"ada"}, False},
		{"75", "StringLike", "home/${aws:username}/*", false, request{"home/ada/x"}, request{"ada"}, True},
		{"75", "ArnLike", "arn:aws:iam::111122223333:user/${aws:username}", false, request{"arn:aws:iam::111122223333:user/ada"}, request{"ada"}, True},
		{"75", "NumericEquals", "${aws:username}", false, request{"1"}, request{"1"}, Unknown}, // no variables in numbers
		// A wildcard in a variable's value is a character.
		{"79", "StringLike", "home/${aws:username}", false, request{"home/ada"}, request{"*"}, False},
		{"79", "StringLike", "home/${aws:username}", false, request{"home/*"}, request{"*"}, True},
		// Nothing is equal to a variable without value, so that a negated test matches.
		{"76", "StringEquals", "${aws:username}", false, request{"ada"}, absent, False},
		{"76", "StringNotEquals", "${aws:username}", false, request{"ada"}, absent, True},
		{"76", "StringNotEqualsIfExists", "${aws:username}", false, absent, absent, True},
		{"76", "StringNotLike", "home/${aws:username}/*", false, request{"home//x"}, absent, True},
		{"76", "ArnNotLike", "arn:aws:iam::*:user/${aws:username}", false, request{"arn:aws:iam::111122223333:user/ada"}, absent, True},
		{"76", "StringEqualsIfExists", "${aws:username}", false, request{"ada"}, absent, False},
		{"76", "ForAllValues:StringEquals", "${aws:username}", false, absent, absent, True}, // by rule 64
		{"76", "ForAllValues:StringEquals", "${aws:username}", false, request{"ada"}, absent, False},
		{"76", "ForAnyValue:StringNotEquals", "${aws:username}", false, request{"ada"}, absent, True},
		{"77", "StringEquals", "${aws:username, 'nobody'}", false, request{"nobody"}, absent, True},
		{"77", "StringEquals", "${aws:username, 'nobody'}", false, request{"ada"}, request{"ada"}, True},
		{"77", "StringNotEquals", "${aws:username, 'nobody'}", false, request{"ada"}, absent, True},
		{"78", "StringEquals", "${aws:username}", true, request{"ada"}, request{"ada"}, False},
		{"78", "StringEquals", "${aws:username}", true, request{"${aws:username}"}, request{"ada"}, True},
		{"79", "StringLike", "a${*}", false, request{"a*"}, absent, True},
		{"79", "StringLike", "a${*}", false, request{"ab"}, absent, False},
		{"79", "StringLike", "a${?}", false, request{"a?"}, absent, True},
		{"79", "StringLike", "a${?}", false, request{"ab"}, absent, False},
		{"79", "StringEquals", "a${$}{b}", false, request{"a${b}"}, absent, True},
		{"malformed", "StringEquals", "${aws:username", false, request{"ada"}, request{"ada"}, Unknown},
	} {
		c := contextOf("aws:Key", test.request)
		if test.variable != nil {
			c.Set("aws:username", test.variable...)
		}
		if got := (Block{CompileTest(test.operator, "aws:Key", []string{test.value}, !test.literal)}).Eval(c); got != test.want {
			t.Errorf("rule %s: %s %q with %q, variable %q: got %v, want %v", test.rule, test.operator, test.value, test.request, test.variable, got, test.want)
		}
	}
}

// A key that must be absent has no value that some test could pass.
func TestAbsentContradictsSomeValue(t *testing.T) {
	b := Block{CompileTest("Null", "aws:TagKeys", []string{"true"}, true), CompileTest("ForAnyValue:StringNotEquals", "aws:TagKeys", []string{"k"}, true)}
	if f := b.LeftOver(&Context{Rest: Undetermined}); !f.IsNever() {
		t.Errorf("got %v, want never", f)
	}
}

// A variable that may be missing leaves a negated test open, which holds where it is missing (rule 76).
func TestUnknownVariable(t *testing.T) {
	c := &Context{}
	c.Set("aws:Key", "ada")
	c.SetUnknown("aws:username")
	block := Block{CompileTest("StringNotEquals", "aws:Key", []string{"${aws:username}"}, true)}
	if got := block.Eval(c); got != Unknown {
		t.Errorf("got %v, want unknown", got)
	}
	left := block.LeftOver(c)
	if got, want := left.String(), `aws:Key is not "${aws:username}"`; got != want {
		t.Errorf("left over %q, want %q", got, want)
	}
	c.SetAbsent("aws:username")
	if got := left.Eval(c); got != True {
		t.Errorf("without the variable: got %v, want true", got)
	}
}

func TestUnknownKeys(t *testing.T) {
	for _, test := range []struct {
		operator string
		values   []string
		want     Truth
	}{
		{"StringEquals", []string{"a"}, Unknown},
		{"StringNotEquals", []string{"a"}, Unknown},
		{"StringEqualsIfExists", []string{"a"}, Unknown},
		{"StringLike", []string{"*"}, Unknown}, // the key may be absent
		{"StringLikeIfExists", []string{"*"}, True},
		{"ForAllValues:StringLike", []string{"*"}, True},
		{"ForAnyValue:StringNotLike", []string{"*"}, False},
		{"ForAllValues:StringEquals", []string{"a"}, Unknown},
		{"Null", []string{"true"}, Unknown},
		{"Null", []string{"true", "false"}, True},
	} {
		got := Block{CompileTest(test.operator, "aws:Key", test.values, true)}.Eval(&Context{Rest: Undetermined})
		if got != test.want {
			t.Errorf("%s %q: got %v, want %v", test.operator, test.values, got, test.want)
		}
	}
}
