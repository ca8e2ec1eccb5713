package remedy

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"go.yaml.in/yaml/v3"

	"drawbridge/iam/policy"
)

// formed are changes of every kind, with what forms must take care of: policy variables, quotes, an empty side.
func formed() map[string]*Proposal {
	before := statements(`[{"Sid":"Old","Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]`).Document
	after := statements(`[{"Sid":"New","Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:username}/*","Condition":{"StringLike":{"aws:UserAgent":"%{x}\"quoted\""}}}]`).Document
	out := map[string]*Proposal{}
	add := func(name string, changes ...Change) {
		for i := range changes {
			changes[i].Account = "444455556666"
		}
		out[name] = &Proposal{Subject: changes[0].Target, Changes: changes, Reasons: []string{"because"}}
	}
	add("trust", Change{Kind: TrustPolicy, Target: role, Type: "AWS::IAM::Role", Before: before, After: after})
	add("inline", Change{Kind: InlinePolicy, Target: role, Name: "work", Before: before, After: after})
	add("inline that goes", Change{Kind: InlinePolicy, Target: role, Name: "work", Before: before})
	add("attached", Change{Kind: InlinePolicy, Target: role, Name: "shared-narrowed", After: after}, Change{Kind: AttachedPolicy, Target: role, Name: "arn:aws:iam::444455556666:policy/shared", Before: before})
	add("boundary", Change{Kind: BoundaryPolicy, Target: role, Name: "arn:aws:iam::444455556666:policy/deploy-boundary", After: after})
	add("session", Change{Kind: SessionDuration, Target: role, SessionBefore: 12 * time.Hour, SessionAfter: time.Hour})
	add("RCP", Change{Kind: RCP, Target: "r-root", Name: "perimeter", After: after})
	add("SCP", Change{Kind: SCP, Target: "r-root", Name: "perimeter", After: after})
	for kind, name := range map[string]string{"AWS::S3::Bucket": "arn:aws:s3:::b", "AWS::SQS::Queue": "arn:aws:sqs:eu-west-1:444455556666:q", "AWS::SNS::Topic": "arn:aws:sns:eu-west-1:444455556666:t",
		"AWS::KMS::Key": "arn:aws:kms:eu-west-1:444455556666:key/1", "AWS::SecretsManager::Secret": "arn:aws:secretsmanager:eu-west-1:444455556666:secret:s-AbCdEf",
		"AWS::ECR::Repository": "arn:aws:ecr:eu-west-1:444455556666:repository/a/b", "AWS::DynamoDB::Table": "arn:aws:dynamodb:eu-west-1:444455556666:table/t",
		"AWS::Lambda::Function": "arn:aws:lambda:eu-west-1:444455556666:function:f", "AWS::Other::Thing": "arn:aws:other:eu-west-1:444455556666:thing/1"} {
		add(kind, Change{Kind: ResourceDoc, Target: name, Type: kind, Before: before, After: after})
		add(kind+" that goes", Change{Kind: ResourceDoc, Target: name, Type: kind, Before: before})
	}
	add("KMS grant", Change{Kind: KMSGrant, Target: "arn:aws:kms:eu-west-1:444455556666:key/1", Name: "g-1", Commands: []string{"aws kms revoke-grant"}})
	return out
}

// hasDocument says whether code can hold the change's document: for a function, and for types that are not known, it cannot.
func hasDocument(c *Change) bool {
	_, known := writtenAs[c.Type]
	return c.After != nil && (c.Kind != ResourceDoc || known)
}

func TestTerraform(t *testing.T) {
	for name, p := range formed() {
		f, problems := hclsyntax.ParseConfig([]byte(p.Terraform()), name+".tf", hcl.InitialPos)
		if problems.HasErrors() {
			t.Errorf("%s: %v\n%s", name, problems, p.Terraform())
			continue
		}
		var found []string
		collect(t, f.Body.(*hclsyntax.Body), &found)
		for i := range p.Changes {
			c := &p.Changes[i]
			if want := 1; hasDocument(c) && len(found) != want {
				t.Errorf("%s: %d documents, expected %d:\n%s", name, len(found), want, p.Terraform())
			} else if hasDocument(c) && policy.MustParse(found[0]).Document.Key() != c.After.Key() {
				t.Errorf("%s: the document is another one: %s", name, found[0])
			}
		}
	}
}

// collect gathers the attributes of a body that hold documents, as Terraform would evaluate them.
func collect(t *testing.T, body *hclsyntax.Body, found *[]string) {
	for _, a := range body.Attributes {
		v, problems := a.Expr.Value(nil)
		if problems.HasErrors() {
			continue // a reference to another resource
		}
		if v.Type().FriendlyName() == "string" && strings.HasPrefix(v.AsString(), "{") {
			*found = append(*found, v.AsString())
		}
	}
	for _, b := range body.Blocks {
		collect(t, b.Body, found)
	}
}

func TestCloudFormation(t *testing.T) {
	for name, p := range formed() {
		var root any
		if err := yaml.Unmarshal([]byte(p.CloudFormation()), &root); err != nil {
			t.Errorf("%s: %v\n%s", name, err, p.CloudFormation())
			continue
		}
		var found []any
		documentsIn(root, &found)
		for i := range p.Changes {
			c := &p.Changes[i]
			if !hasDocument(c) {
				continue
			}
			if len(found) != 1 {
				t.Errorf("%s: %d documents:\n%s", name, len(found), p.CloudFormation())
				continue
			}
			text, err := json.Marshal(found[0])
			if err != nil {
				t.Fatal(err)
			}
			if policy.MustParse(string(text)).Document.Key() != c.After.Key() {
				t.Errorf("%s: the document is another one: %s", name, text)
			}
		}
	}
}

func documentsIn(v any, found *[]any) {
	m, ok := v.(map[string]any)
	if !ok {
		return
	}
	if m["Statement"] != nil {
		*found = append(*found, m)
		return
	}
	for _, inner := range m {
		documentsIn(inner, found)
	}
}

// TestDiffApplies has patch(1) make the proposed document of the one that is there.
func TestDiffApplies(t *testing.T) {
	program, err := exec.LookPath("patch")
	if err != nil {
		t.Skip("patch is not installed")
	}
	for name, p := range formed() {
		c := &p.Changes[0]
		if len(p.Changes) > 1 || c.Before == nil || c.After == nil {
			continue
		}
		file := filepath.Join(t.TempDir(), c.file("policy"))
		if err := os.WriteFile(file, indented(c.Before), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "-p1", "--directory", filepath.Dir(file))
		cmd.Stdin = strings.NewReader(p.Diff())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s\n%s", name, err, out, p.Diff())
			continue
		}
		if got, err := os.ReadFile(file); err != nil || string(got) != string(indented(c.After)) {
			t.Errorf("%s: patched to %s (%v)", name, got, err)
		}
	}
}

func TestOtherForms(t *testing.T) {
	for name, p := range formed() {
		for form, text := range map[string]string{"policy": string(p.JSON()), "restore": string(p.Restore())} {
			if !json.Valid([]byte(text)) {
				t.Errorf("%s as %s is no JSON: %s", name, form, text)
			}
		}
		if text := p.CLI(); !strings.Contains(text, "To go back") || !strings.Contains(text, "aws ") && !strings.Contains(name, "Thing") && !strings.Contains(name, "Lambda") {
			t.Errorf("%s as commands: %s", name, text)
		}
	}
	p := formed()["trust"]
	if policy.MustParse(string(p.JSON())).Document.Key() != p.Changes[0].After.Key() || policy.MustParse(string(p.Restore())).Document.Key() != p.Changes[0].Before.Key() {
		t.Error("policy or restore is another document")
	}
}
