package catalog

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
	"drawbridge/internal/scenario"
)

// subjectVector is one published vector: a condition on a token's claims and what its authors say is wrong with it.
type subjectVector struct {
	ID        string
	Issuer    string
	Condition vectorCondition
	Judgment  struct{ Patterns []string }
}

type vectorCondition struct {
	Consumer string // aws-stringequals, aws-stringlike, aws-all
	Claim    string
	Pattern  json.RawMessage // a string or a list
	Of       []vectorCondition
}

// vectorHosts are the issuers of the vectors that serve many tenants by one host. CircleCI and Bitbucket are not among them:
// they give every tenant an issuer of its own, so that no subject can cross tenants.
var vectorHosts = map[string]string{"github": "token.actions.githubusercontent.com", "gitlab": "gitlab.com", "terraform-cloud": "app.terraform.io"}

// wholeTenant are the patterns of the vectors' vocabulary by which a subject fixes the tenant and leaves the project free.
var wholeTenant = []string{"org-wide", "wildcard-repo", "wildcard-group", "wildcard-workspace"}

// block writes the condition as a policy does.
func (c vectorCondition) block(host string, into map[string]map[string]json.RawMessage) {
	for _, part := range c.Of {
		part.block(host, into)
	}
	operator := map[string]string{"aws-stringequals": "StringEquals", "aws-stringlike": "StringLike"}[c.Consumer]
	if operator == "" {
		return
	}
	if into[operator] == nil {
		into[operator] = map[string]json.RawMessage{}
	}
	into[operator][host+":"+c.Claim] = c.Pattern
}

// raised are the ids of the rules that find something in a role that trusts an issuer under a condition.
func raised(t *testing.T, host string, condition any) []string {
	t.Helper()
	conditionJSON, err := json.Marshal(condition)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf(`{"id":"vector","title":"one role","now":"2026-01-15T12:00:00Z","org":{"id":"o-exampleorg1","managementAccount":"100000000001",
		"accounts":[{"id":"100000000010","name":"prod","kind":"member","env":"prod"}]},
		"roles":[{"arn":"arn:aws:iam::100000000010:role/ci","uniqueId":"AROA0010CIXXXXXXXXXX","trust":{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::100000000010:oidc-provider/%s"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":%s}]}}],
		"expect":{}}`, host, conditionJSON)
	s, err := scenario.Parse([]byte(text), "vector.json")
	if err != nil {
		t.Fatal(err)
	}
	o := org.Build(s.Snapshot)
	g := access.Build(o, access.Options{Engine: ref.Engine(), Now: time.Date(2026, 1, 15, 0, 0, 0, 0, time.UTC)})
	var ids []string
	for _, f := range rule.Run(Rules(), &rule.Input{Graph: g, Org: o, Now: s.Now}) {
		if f.Status == finding.Confirmed {
			ids = append(ids, f.Rule)
		}
	}
	return ids
}

// TestSubjectVectors: whom a subject ties a token to is judged as the published vectors judge it, where they judge the
// subject or another claim that names a tenant. The vectors that test the audience or the environment alone say nothing about
// tenants; there the rule about shared issuers speaks.
func TestSubjectVectors(t *testing.T) {
	files, err := filepath.Glob("../../../shared/data/subvectors-oidc-aws/vectors/*-aws.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skip("skipped: the folder shared/data is not beside this project")
	}
	judged := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suite struct{ Vectors []subjectVector }
		if err := json.Unmarshal(data, &suite); err != nil {
			t.Fatal(err)
		}
		for _, v := range suite.Vectors {
			host, shared := vectorHosts[v.Issuer]
			if !shared {
				continue
			}
			block := map[string]map[string]json.RawMessage{}
			v.Condition.block(host, block)
			got := raised(t, host, block)
			judged++

			if want := !testsTenant(host, block); slices.Contains(got, "FED-001") != want {
				t.Errorf("%s: FED-001 raised: %v; expected %v", v.ID, !want, want)
			}
			if slices.Contains(got, "FED-002") {
				t.Errorf("%s: FED-002 raised, and every vector of these suites names its tenant", v.ID)
			}
			want := slices.ContainsFunc(v.Judgment.Patterns, func(p string) bool { return slices.Contains(wholeTenant, p) })
			if slices.Contains(got, "FED-003") != want {
				t.Errorf("%s: FED-003 raised: %v; expected %v", v.ID, !want, want)
			}
		}
	}
	if judged < 50 {
		t.Errorf("%d vectors judged: too few to mean anything", judged)
	}
}

// testsTenant reports whether a condition says anything about a claim that names a tenant.
func testsTenant(host string, block map[string]map[string]json.RawMessage) bool {
	for _, keys := range block {
		for _, claim := range [...]string{"sub", "repository_id", "job_workflow_ref", "project_id", "namespace_id"} {
			if _, ok := keys[host+":"+claim]; ok {
				return true
			}
		}
	}
	return false
}

// TestClaimsBindTenant: a pattern over the name of the tenant fits names that strangers register, in every claim as in the
// subject; a wildcard in a value that is compared exactly is a character, and such a value fits no token.
func TestClaimsBindTenant(t *testing.T) {
	const host = "token.actions.githubusercontent.com"
	type keys map[string]string
	for _, c := range []struct {
		name      string
		condition map[string]keys
		want      []string // of FED-001 to FED-004
	}{
		{"prefix of an owner", map[string]keys{"StringLike": {host + ":repository_owner": "acme*"}}, []string{"FED-001"}},
		{"prefix of an owner before a repository", map[string]keys{"StringLike": {host + ":repository": "acme*/web"}}, []string{"FED-001"}},
		{"one character of an id", map[string]keys{"StringLike": {host + ":repository_owner_id": "471?"}}, []string{"FED-001"}},
		{"owner, any repository", map[string]keys{"StringLike": {host + ":repository": "acme/*"}}, nil},
		{"owner", map[string]keys{"StringEquals": {host + ":repository_owner": "acme"}}, []string{"FED-003"}},
		{"workflow at any ref", map[string]keys{"StringLike": {host + ":job_workflow_ref": "acme/ci/.github/workflows/deploy.yml@*"}}, nil},
		{"loose subject, prefix of an owner", map[string]keys{"StringLike": {host + ":sub": "repo:*", host + ":repository_owner": "acme*"}}, []string{"FED-002"}},
		{"loose subject, owner", map[string]keys{"StringLike": {host + ":sub": "repo:*", host + ":repository_owner": "acme"}}, []string{"FED-003"}},
		{"star compared exactly, over tenants", map[string]keys{"StringEquals": {host + ":sub": "repo:*"}}, nil},
		{"star compared exactly, over projects", map[string]keys{"StringEquals": {host + ":sub": "repo:acme/*"}}, nil},
		{"star as a pattern, over projects", map[string]keys{"StringLike": {host + ":sub": "repo:acme/*"}}, []string{"FED-003"}},
	} {
		var got []string
		for _, id := range raised(t, host, c.condition) {
			if id >= "FED-001" && id <= "FED-004" && !slices.Contains(got, id) {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: raised %v; expected %v", c.name, got, c.want)
		}
	}
}
