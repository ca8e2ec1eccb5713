package collect

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v3"

	"drawbridge/iam/lint"
	iampolicy "drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// notReading are actions that AWS counts as something else than listing or reading, with the reason why the collector has them all the same.
var notReading = map[string]string{
	"iam:GenerateServiceLastAccessedDetails": "starts the report about when a role was last used; it changes nothing else, and newer tables have it as reading",
}

// content are actions that give what resources hold, or secrets.
var content = []string{
	"s3:GetObject", "s3:GetObjectVersion", "secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue", "ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory",
	"lambda:GetFunction", "lambda:GetFunctionConfiguration", "lambda:ListFunctions", "dynamodb:GetItem", "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:Scan", "dynamodb:GetRecords", "kinesis:GetRecords",
	"sqs:ReceiveMessage", "logs:GetLogEvents", "logs:FilterLogEvents", "logs:StartQuery", "kms:Decrypt", "ec2:GetPasswordData", "ec2:GetConsoleOutput", "ec2:DescribeInstanceAttribute", "ecr:GetAuthorizationToken",
	"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "codeartifact:GetAuthorizationToken", "codeartifact:GetPackageVersionAsset", "codebuild:BatchGetProjects", "glue:GetConnection", "glue:GetConnections", "glue:GetJob",
	"glue:GetJobs", "cloudformation:GetTemplate", "rds:DownloadDBLogFilePortion", "redshift:GetClusterCredentials", "glacier:GetJobOutput", "ebs:GetSnapshotBlock", "acm-pca:GetCertificate", "athena:GetQueryResults",
}

// listsMore are actions of content that a row cannot do without, with what is done about it.
var listsMore = map[string]string{
	"lambda:ListFunctions": "the only list of functions: it has their environments, which the collector decodes and drops; nothing of it is written",
}

func TestActionsReadAndHaveNoContent(t *testing.T) {
	for _, name := range Actions(Rows()) {
		a, ok := ref.LookupAction(name)
		if !ok {
			t.Errorf("%s: no such action; nearest %s", name, ref.NearestAction(name))
			continue
		}
		if a.Name != name {
			t.Errorf("%s is written %s", name, a.Name)
		}
		if a.Access != ref.List && a.Access != ref.Read && notReading[name] == "" {
			t.Errorf("%s: %s", name, a.Access)
		}
		if slices.Contains(content, name) && listsMore[name] == "" {
			t.Errorf("%s gives content", name)
		}
	}
}

func TestPoliciesFit(t *testing.T) {
	var all []string
	for _, text := range Policies(Rows()) {
		var p struct {
			Statement []struct{ Action []string }
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatal(err)
		}
		if n := len(strings.Join(strings.Fields(text), "")); n > maxPolicy {
			t.Errorf("%d characters", n)
		}
		for _, d := range lint.Text([]byte(text), iampolicy.Identity) {
			if d.Severity == lint.Error {
				t.Error(d)
			}
		}
		all = append(all, p.Statement[0].Action...)
	}
	if !slices.Equal(all, Actions(Rows())) {
		t.Errorf("the policies have %d actions, the table %d, or they are not in order", len(all), len(Actions(Rows())))
	}
}

// TestSplit: no policy is above the limit, nothing is lost, and no service is in two.
func TestSplit(t *testing.T) {
	var actions []string
	for s := range 40 {
		for a := range 30 {
			actions = append(actions, fmt.Sprintf("service%02d:DescribeSomething%02d", s, a))
		}
	}
	in := make(map[string]int)
	n := 0
	texts := split(actions, maxPolicy)
	for i, text := range texts {
		if size := len(strings.Join(strings.Fields(text), "")); size > maxPolicy || i < len(texts)-1 && size < maxPolicy/2 {
			t.Errorf("policy %d has %d characters", i, size)
		}
		for _, a := range actions {
			if strings.Contains(text, `"`+a+`"`) {
				n++
				service, _, _ := strings.Cut(a, ":")
				if was, ok := in[service]; ok && was != i {
					t.Errorf("%s is in two policies", service)
				}
				in[service] = i
			}
		}
	}
	if n != len(actions) || len(texts) < 2 {
		t.Errorf("%d actions of %d in %d policies", n, len(actions), len(texts))
	}
}

func TestStackSetIsATemplate(t *testing.T) {
	text := StackSet(Rows())
	var out struct {
		Resources map[string]any `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(text), &out); err != nil || len(out.Resources) != 1+len(Policies(Rows())) {
		t.Fatalf("%v, %d resources", err, len(out.Resources))
	}
	program, err := filepath.Abs("../../.tools/moto/bin/cfn-lint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("cfn-lint is not installed: ", err)
	}
	file := filepath.Join(t.TempDir(), "role.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program, "--regions", "eu-west-1", "--", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestTerraformParses(t *testing.T) {
	f, problems := hclsyntax.ParseConfig([]byte(Terraform(Rows())), "role.tf", hcl.InitialPos)
	if problems.HasErrors() {
		t.Fatal(problems)
	}
	if n := len(f.Body.(*hclsyntax.Body).Blocks); n != 6+1+1+1+2*len(Policies(Rows())) {
		t.Errorf("%d blocks", n)
	}
}
