package cli

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/mototest"
)

// TestClientsSetup sets an account up by the commands and by the template that 'drawbridge setup target' prints, with the AWS CLI and an emulated AWS: both make the same roles. (Of the template's
// resources the emulator makes neither the identity provider nor the policy that stands for itself; the second is taken from the template's text.)
func TestClientsSetup(t *testing.T) {
	program := need(t, "clients/python/bin/aws")[0]
	address, _ := mototest.Start(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	registry := write("registry.yaml", `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {principals: ["broker:laptop"]}
  to: {role: "arn:aws:iam::123456789012:role/ci/deploy"}
  allow: {actions: [s3:PutObject], resources: ["arn:aws:s3:::acme-web/*"]}
  session: {max: 2h}
  approval: {automatic: true}
  expires: `+time.Now().AddDate(1, 0, 0).Format(time.DateOnly)+"\n")
	env := []string{"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "HOME=" + dir, "AWS_ENDPOINT_URL=" + address, "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER="}
	sh := func(script string) []byte {
		t.Helper()
		c := exec.Command("sh", "-ec", script)
		c.Env, c.Dir = env, dir
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", script, err, stderr.String())
		}
		return out
	}
	drawbridge := func(status int, args ...string) string {
		t.Helper()
		var stdout, stderr bytes.Buffer
		if got := Run(&Env{Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr, Getenv: func(string) string { return "" }, Now: time.Now}, args); got != status {
			t.Fatalf("%v: status %d: %s%s", args, got, stdout.String(), stderr.String())
		}
		return stdout.String()
	}
	// What is in the two roles, as IAM answers.
	holds := func() map[string]any {
		t.Helper()
		out := map[string]any{}
		take := func(name, command string) {
			var v any
			if err := json.Unmarshal(sh(command), &v); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			if text, ok := v.(string); ok { // how the emulator gives what came by a template: as Python writes it
				if err := json.Unmarshal([]byte(strings.ReplaceAll(text, "'", `"`)), &v); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
			}
			out[name] = v
		}
		for _, role := range []string{"deploy", "DrawbridgeRevoker"} {
			take(role, "aws iam get-role --role-name "+role+" --query 'Role.[Path, MaxSessionDuration, AssumeRolePolicyDocument]'")
			for _, name := range strings.Fields(string(sh("aws iam list-role-policies --role-name " + role + " --query PolicyNames --output text"))) {
				take(role+" "+name, "aws iam get-role-policy --role-name "+role+" --policy-name "+name+" --query PolicyDocument")
			}
		}
		return out
	}
	made := map[string]map[string]any{}
	for _, form := range []string{"cli", "cloudformation"} {
		if a, err := http.Post(address+"/moto-api/reset", "", nil); err != nil {
			t.Fatal(err)
		} else {
			a.Body.Close()
		}
		printed := write(form, drawbridge(0, "setup", "target", "ci-deploy", "--registry", registry, "--issuer", "https://broker.example", "--form", form))
		if form == "cli" {
			sh("sh '" + printed + "'")
		} else {
			sh("aws cloudformation create-stack --stack-name ci-deploy --template-body 'file://" + printed + "' --capabilities CAPABILITY_NAMED_IAM && aws cloudformation wait stack-create-complete --stack-name ci-deploy")
		}
		made[form] = holds()
		if form == "cloudformation" {
			text, err := os.ReadFile(printed)
			if err != nil {
				t.Fatal(err)
			}
			var template struct {
				Resources map[string]struct {
					Type       string
					Properties struct {
						RoleName, PolicyName string
						PolicyDocument       any
					}
				}
			}
			if err := json.Unmarshal(text, &template); err != nil {
				t.Fatal(err)
			}
			for _, r := range template.Resources {
				if p := r.Properties; r.Type == "AWS::IAM::RolePolicy" {
					made[form][p.RoleName+" "+p.PolicyName] = p.PolicyDocument
				}
			}
		}
		if len(made[form]) != 5 { // the entry's role with its two policies, the revoker with how it revokes
			t.Errorf("%s makes %v", form, made[form])
		}
	}
	if !reflect.DeepEqual(made["cli"], made["cloudformation"]) {
		show := func(v any) string { text, _ := json.MarshalIndent(v, "", " "); return string(text) }
		t.Errorf("the commands make\n%s\nthe template\n%s", show(made["cli"]), show(made["cloudformation"]))
	}
}
