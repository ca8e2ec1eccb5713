package policy_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"drawbridge/iam/policy"
)

// roundTrip checks the promises of Canonical for a document without a fatal problem: it is JSON, it parses without
// new fatal problems, means the same, and prints the same again.
func roundTrip(t *testing.T, d *policy.Document) {
	t.Helper()
	printed := d.Canonical()
	if !json.Valid(printed) {
		t.Fatalf("Canonical is no JSON: %s", printed)
	}
	again, problems := policy.Parse(printed)
	for _, p := range problems {
		if p.Fatal {
			t.Fatalf("Canonical has a fatal problem, %v: %s", p, printed)
		}
	}
	if got := again.Canonical(); !bytes.Equal(got, printed) {
		t.Fatalf("Canonical is no fixed point:\n%s\n%s", printed, got)
	}
	if len(again.Statements) != len(d.Statements) {
		t.Fatalf("%d statements became %d: %s", len(d.Statements), len(again.Statements), printed)
	}
	a, b := policy.Compile(d), policy.Compile(again)
	for i := range a.Rules {
		x, y := &a.Rules[i], &b.Rules[i]
		if x.Effect != y.Effect || x.NotUnderstood != y.NotUnderstood || len(x.Condition) != len(y.Condition) ||
			x.Principals.Present != y.Principals.Present || x.Principals.Not != y.Principals.Not ||
			x.Actions.Not != y.Actions.Not || x.Resources.Present != y.Resources.Present || x.Resources.Not != y.Resources.Not {
			t.Fatalf("statement %d means something else after printing: %s", i, printed)
		}
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"order of elements, lists of one, sorted lists",
			`{"Statement": {"Resource": ["b", "a", "b"], "Action": ["s3:Get*"], "Effect": "Allow", "Sid": "x"}, "Id": "i", "Version": "2012-10-17"}`,
			`{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"x","Effect":"Allow","Action":"s3:Get*","Resource":["a","b"]}]}`},
		{"statements keep their order",
			`{"Statement":[{"Effect":"Deny","Action":"b","Resource":"*"},{"Effect":"Allow","Action":"a","Resource":"*"}]}`,
			`{"Statement":[{"Effect":"Deny","Action":"b","Resource":"*"},{"Effect":"Allow","Action":"a","Resource":"*"}]}`},
		{"principals by type",
			`{"Statement":[{"Effect":"Allow","NotPrincipal":{"Service":"a.amazonaws.com","AWS":["222233334444","111122223333"]},"NotAction":"a","NotResource":"*"}]}`,
			`{"Statement":[{"Effect":"Allow","NotPrincipal":{"AWS":["111122223333","222233334444"],"Service":"a.amazonaws.com"},"NotAction":"a","NotResource":"*"}]}`},
		{"conditions by operator and key, values as strings",
			`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"a","Condition":{"StringLike":{"b":"x","a":["z","y"]},"Bool":{"c":true},"NumericEquals":{"d":[2,1]}}}]}`,
			`{"Statement":[{"Effect":"Allow","Principal":"*","Action":"a","Condition":{"Bool":{"c":"true"},"NumericEquals":{"d":["1","2"]},"StringLike":{"a":["y","z"],"b":"x"}}}]}`},
		{"escapes",
			`{"Statement":[{"Sid":"\u003c&\"\\\u0001\u00e9","Effect":"Allow","Action":"a","Resource":"*"}]}`,
			"{\"Statement\":[{\"Sid\":\"<&\\\"\\\\\\u0001\u00e9\",\"Effect\":\"Allow\",\"Action\":\"a\",\"Resource\":\"*\"}]}"},
		{"what is not understood is kept as it was written",
			`{"Statement":[{"Effect":"Allow", "Resource":["b",null,"a"],"Action":"a", "Except" : [1]}]}`,
			`{"Statement":[{"Effect":"Allow","Resource":["b",null,"a"],"Action":"a","Except":[1]}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _ := policy.Parse([]byte(tt.in))
			if got := string(d.Canonical()); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			roundTrip(t, d)
		})
	}
}

// TestKey: documents that say the same have one key, whatever their spelling; others have not.
func TestKey(t *testing.T) {
	key := func(text string) string {
		d, problems := policy.Parse([]byte(text))
		if d == nil {
			t.Fatal(problems)
		}
		return d.Key()
	}
	base := key(`{"Statement":[{"Effect":"Allow","Action":["a:b","a:c"],"Resource":"*"}]}`)
	if got := key(`{"Statement":{"Resource":["*"],"Action":["a:c","a:b"],"Effect":"Allow"}}`); got != base {
		t.Errorf("another spelling has another key: %s, %s", got, base)
	}
	for _, other := range []string{
		`{"Statement":[{"Effect":"Allow","Action":["a:b","a:c"],"Resource":"*","Except":"*"}]}`, // not understood
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["a:b","a:c"],"Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Deny","Action":["a:b","a:c"],"Resource":"*"}]}`,
		`{"Statement":[{"Effect":"Allow","NotAction":["a:b","a:c"],"Resource":"*"}]}`,
	} {
		if key(other) == base {
			t.Errorf("%s has the key of another document", other)
		}
	}
}

// TestCanonicalOfMixedPrincipals: a document built in the program may hold what no text can; printing loses nothing.
func TestCanonicalOfMixedPrincipals(t *testing.T) {
	d := &policy.Document{Statements: []policy.Statement{{
		Effect: policy.Deny,
		Principal: policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{
			{Type: policy.AnyPrincipal, Text: policy.Text{Value: "*"}},
			{Type: policy.Service, Text: policy.Text{Value: "ec2.amazonaws.com"}},
		}},
		Action: policy.Element{Present: true, Values: []policy.Text{{Value: "*"}}},
	}}}
	want := `{"Statement":[{"Effect":"Deny","Principal":{"AWS":"*","Service":"ec2.amazonaws.com"},"Action":"*"}]}`
	if got := string(d.Canonical()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
