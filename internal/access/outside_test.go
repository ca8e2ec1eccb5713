package access

import (
	"strings"
	"testing"

	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// TestOutside: who stands outside, and which statements for anyone are kept inside by what they demand.
func TestOutside(t *testing.T) {
	trusts := map[string]string{ // role to Principal and Condition
		"open":     `"*","Condition":{}`,
		"ours":     `"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}`,
		"path":     `"*","Condition":{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-example/r-root/*"}}`,
		"account":  `"*","Condition":{"StringEquals":{"aws:PrincipalAccount":"222222222222"}}`,
		"theirs":   `"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":["o-example","o-other"]}}`,
		"absent":   `"*","Condition":{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-example"}}`,
		"stranger": `{"AWS":"999999999999"}`,
		"member":   `{"AWS":"222222222222"}`,
		"service":  `{"Service":"ec2.amazonaws.com"}`,
		"people":   `{"Federated":"arn:aws:iam::111111111111:saml-provider/AWSSSO_0123456789abcdef_DO_NOT_DELETE"}`,
		"saml":     `{"Federated":"arn:aws:iam::111111111111:saml-provider/Partner"}`,
	}
	s := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example"},
		Accounts: []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member, Inventoried: true}, {ID: "222222222222", Kind: snapshot.Member, Inventoried: true},
			{ID: "999999999999", Kind: snapshot.External}},
	}
	for name, principal := range trusts {
		s.Roles = append(s.Roles, snapshot.Role{
			Principal: snapshot.Principal{ARN: "arn:aws:iam::111111111111:role/" + name, Name: name, Account: "111111111111"},
			Trust:     read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":["sts:AssumeRole","sts:AssumeRoleWithSAML"],"Principal":` + principal + `}}`),
		})
	}
	var got []string
	for _, e := range Build(org.Build(s), Options{}).Outside() {
		got = append(got, e.Target.Role.Name)
	}
	if want := "absent open saml stranger theirs"; strings.Join(got, " ") != want {
		t.Errorf("from outside: %v, expected %s", got, want)
	}
}
