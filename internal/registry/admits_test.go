package registry

import "testing"

func TestAdmits(t *testing.T) {
	for _, c := range []struct {
		source, caller string
		want           bool
	}{
		{"arn:aws:iam::111122223333:role/ci", "arn:aws:iam::111122223333:role/ci", true},
		{"arn:aws:iam::111122223333:role/ci", "arn:aws:iam::111122223333:role/other", false},
		{"arn:aws:iam::111122223333:role/ci", "111122223333", true}, // recorded by its account alone
		{"arn:aws:iam::111122223333:role/ci", "444455556666", false},
		{"111122223333", "arn:aws:iam::111122223333:role/ci", true},
		{"111122223333", "111122223333", true},
		{"arn:aws:iam::111122223333:root", "arn:aws:iam::111122223333:user/u", true},
		{"arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:user/u", false},
		{"oidc:token.actions.githubusercontent.com:repo:acme/web:*", "oidc:token.actions.githubusercontent.com:repo:acme/web:ref:refs/heads/main", true},
		{"oidc:token.actions.githubusercontent.com:repo:acme/web:*", "oidc:token.actions.githubusercontent.com:repo:acme/api:ref:refs/heads/main", false},
		{"oidc:token.actions.githubusercontent.com:", "oidc:token.actions.githubusercontent.com:repo:acme/api", true},
		{"config.amazonaws.com", "config.amazonaws.com", true},
		{"config.amazonaws.com", "", false},
	} {
		if got := Admits(c.source, c.caller); got != c.want {
			t.Errorf("admits(%q, %q) = %v", c.source, c.caller, got)
		}
	}
}
