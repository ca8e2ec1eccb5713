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

const roleTemplate = `AWSTemplateFormatVersion: "2010-09-09"
Parameters:
  Partner: {Type: String, Default: "444455556666"}
  Place: {Type: String, Default: here}
Conditions:
  Ours: !Equals [!Ref AWS::AccountId, "111122223333"]
Resources:
  Deploy:
    Type: AWS::IAM::Role
    Properties:
      RoleName: deploy
      AssumeRolePolicyDocument:
        Version: 2012-10-17
        Statement:
          - {Effect: Allow, Principal: {AWS: !Ref Partner}, Action: sts:AssumeRole}
          - {Effect: Allow, Principal: {AWS: !Sub "arn:aws:iam::${AWS::AccountId}:root"}, Action: sts:AssumeRole}
          - {Effect: Allow, Principal: {AWS: !If [Ours, "111122223333", "777788889999"]}, Action: sts:AssumeRole}
`

// TestOpenStack: a template is what is there, a change set what will be. What nobody tells has a placeholder or is not known, and never decides a condition.
func TestOpenStack(t *testing.T) {
	dir := write(t, map[string]string{
		"role.template":  roleTemplate,
		"processed.json": `{"TemplateBody":{"Resources":{"Deploy":{"Type":"AWS::IAM::Role","Properties":{"RoleName":"deploy","AssumeRolePolicyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"sts:AssumeRole"}]}}}}}}`,
		"text.json":      `{"StagesAvailable":["Original"],"TemplateBody":"Resources:\n  Deploy:\n    Type: AWS::IAM::Role\n    Properties: {RoleName: deploy, AssumeRolePolicyDocument: {Version: 2012-10-17, Statement: [{Effect: Allow, Principal: {AWS: '444455556666'}, Action: 'sts:AssumeRole'}]}}\n"}`,
		"set.json": `{"ChangeSetId":"x","StackId":"arn:aws:cloudformation:eu-west-1:111122223333:stack/a/b","Changes":[{"Type":"Resource","ResourceChange":{"Action":"Add","LogicalResourceId":"Deploy","ResourceType":"AWS::IAM::Role",
			"AfterContext":"{\"Properties\":{\"RoleName\":\"deploy\",\"AssumeRolePolicyDocument\":{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"444455556666\"},\"Action\":\"sts:AssumeRole\"}]}}}"}}]}`,
	})
	for name, account := range map[string]string{"role.template": "000000000000", "processed.json": "000000000000", "text.json": "000000000000", "set.json": "111122223333"} {
		s, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Roles) != 1 || s.Roles[0].ARN != "arn:aws:iam::"+account+":role/deploy" || s.Roles[0].Trust.State != snapshot.Read {
			t.Fatalf("%s: roles %+v", name, s.Roles)
		}
		if p := s.Roles[0].Trust.Policy.Document.Statements[0].Principal; len(p.Values) != 1 || p.Values[0].Value != "444455556666" {
			t.Errorf("%s: principal %+v", name, p)
		}
		if told := slices.ContainsFunc(s.Gaps, func(g snapshot.Gap) bool { return strings.Contains(g.Reason, "stands for the account") }); told != (account == "000000000000") {
			t.Errorf("%s: gaps %+v", name, s.Gaps)
		}
	}
	s, err := Open(filepath.Join(dir, "role.template"))
	if err != nil {
		t.Fatal(err)
	}
	rules := s.Roles[0].Trust.Policy.Rules
	if rules[0].NotUnderstood != "" || rules[1].NotUnderstood != "" || rules[2].NotUnderstood == "" {
		t.Errorf("a condition about the account is decided without the account, or the account's own root is not understood: %+v", rules)
	}
	if !slices.ContainsFunc(s.Gaps, func(g snapshot.Gap) bool { return g.Source.Line == 7+1 && strings.Contains(g.Reason, "AWS::AccountId") }) {
		t.Errorf("no gap has the place of what is not known: %+v", s.Gaps)
	}

	s, err = OpenWith(filepath.Join(dir, "role.template"), Code{Account: "111122223333", Region: "eu-west-1", Parameters: map[string]string{"Partner": "999900001111"}})
	if err != nil {
		t.Fatal(err)
	}
	d := s.Roles[0].Trust.Policy.Document
	if d.Statements[0].Principal.Values[0].Value != "999900001111" || d.Statements[2].Principal.Values[0].Value != "111122223333" {
		t.Errorf("what is given is not used: %+v", d.Statements)
	}

	bad := write(t, map[string]string{"x.yaml": "Resources:\n  A: [\n", "y.json": `{"Resources": {"A"`, "z.json": `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[]}`, "snapshot/accounts/111122223333/iam.json": "{}"})
	for _, c := range []struct {
		name string
		code Code
		want string
	}{
		{"x.yaml", Code{}, "x.yaml: 2:"},
		{"y.json", Code{}, "y.json: 1:"},
		{"z.json", Code{Account: "111122223333"}, "this is none of them"},
		{"snapshot", Code{Region: "eu-west-1"}, "this is none of them"},
	} {
		if _, err := OpenWith(filepath.Join(bad, c.name), c.code); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := OpenWith(filepath.Join(dir, "role.template"), Code{Parameters: map[string]string{"Nobody": "x"}}); err == nil || !strings.Contains(err.Error(), `no parameter "Nobody"`) {
		t.Errorf("error %v, want one about the parameter", err)
	}
}

// TestNestedTemplates: nested stacks are read from beside the template, and from nowhere else.
func TestNestedTemplates(t *testing.T) {
	nested := func(url string) string {
		return "Resources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties: {TemplateURL: '" + url + "'}\n"
	}
	dir := write(t, map[string]string{"a/main.yaml": nested("parts/role.yaml"), "a/parts/role.yaml": roleTemplate, "a/out.yaml": nested("../role.yaml"), "role.yaml": roleTemplate, "a/far.yaml": nested("https://s3.amazonaws.com/parts/role.yaml"), "a/itself.yaml": nested("itself.yaml")})
	for name, roles := range map[string]int{"main.yaml": 1, "out.yaml": 0, "far.yaml": 0, "itself.yaml": 0} {
		s, err := Open(filepath.Join(dir, "a", name))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(s.Roles) != roles {
			t.Errorf("%s: %d roles, want %d", name, len(s.Roles), roles)
		}
		if told := slices.ContainsFunc(s.Gaps, func(g snapshot.Gap) bool { return strings.Contains(g.Reason, "nested") }); told != (roles == 0) {
			t.Errorf("%s: gaps %+v", name, s.Gaps)
		}
	}
}
