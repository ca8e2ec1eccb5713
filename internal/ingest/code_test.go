package ingest

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"drawbridge/internal/snapshot"
)

// TestOpenCode: a Terraform state is what is there, a plan what will be; what neither states is not known.
func TestOpenCode(t *testing.T) {
	const role = `"arn":"arn:aws:iam::111122223333:role/ci","name":"ci","path":"/","assume_role_policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"444455556666\"},\"Action\":\"sts:AssumeRole\"}]}"`
	dir := write(t, map[string]string{
		"state.json":        `{"format_version":"1.0","terraform_version":"1.9.0","values":{"root_module":{"resources":[{"address":"aws_iam_role.ci","mode":"managed","type":"aws_iam_role","name":"ci","values":{` + role + `}}]}}}`,
		"terraform.tfstate": `{"version":4,"terraform_version":"1.9.0","serial":1,"lineage":"x","outputs":{},"resources":[{"mode":"managed","type":"aws_iam_role","name":"ci","provider":"provider[\"registry.terraform.io/hashicorp/aws\"]","instances":[{"schema_version":0,"attributes":{` + role + `}}]}]}`,
		"plan.json":         `{"format_version":"1.2","terraform_version":"1.9.0","resource_changes":[{"address":"aws_iam_role.ci","mode":"managed","type":"aws_iam_role","name":"ci","change":{"actions":["create"],"before":null,"after":{` + role + `},"after_unknown":{}}}]}`,
	})
	for _, name := range []string{"state.json", "terraform.tfstate", "plan.json"} {
		s, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Roles) != 1 || s.Roles[0].Trust.State != snapshot.Read || len(s.Accounts) != 1 || s.Accounts[0].Inventoried {
			t.Errorf("%s: roles %+v, accounts %+v", name, s.Roles, s.Accounts)
		}
		for _, subject := range []string{snapshot.SubjectOrganization, snapshot.SubjectSCPs, "111122223333"} {
			if !slices.ContainsFunc(s.Gaps, func(g snapshot.Gap) bool { return g.Subject == subject }) {
				t.Errorf("%s: no gap says that %s is not known", name, subject)
			}
		}
	}
	broken := write(t, map[string]string{"x.json": `{"format_version":"1.2","resource_changes":[{"address"`})
	if _, err := Open(filepath.Join(broken, "x.json")); err == nil || !strings.Contains(err.Error(), "x.json") {
		t.Errorf("error %v, want one with the file's name", err)
	}
}
