package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"drawbridge/internal/daemon/daemontest"
)

// TestBoto3 crosses with an unmodified boto3, in each of the ways in which its documentation says that it finds credentials. It needs the Python of `make moto`; DRAWBRIDGE_MOTO=required forbids to skip.
func TestBoto3(t *testing.T) {
	python, err := filepath.Abs("../../.tools/moto/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(python); err != nil {
		if os.Getenv("DRAWBRIDGE_MOTO") == "required" {
			t.Fatalf("make moto installs it: %v", err)
		}
		t.Skip("there is no boto3: 'make moto' installs it")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "drawbridge")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/drawbridge").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	c := startCrossing(t)
	out, _ := c.run(c.workload, 4, "request", "ci-deploy", "--reason", "boto3")
	id, _, _ := strings.Cut(out, " ")
	token := func() string {
		name := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(name, []byte(c.d.Proof("4711")), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	settings := filepath.Join(dir, "config")
	if err := os.WriteFile(settings, []byte("[default]\nregion = eu-west-1\ncredential_process = "+program+" creds ci-deploy --reason boto3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const find = `
import boto3, sys
c = boto3.Session(region_name="eu-west-1").get_credentials()
print("method", c.method)
f = c.get_frozen_credentials()
print("key", f.access_key, "secret", f.secret_key, "token", f.token)
`
	run := func(what string, env []string, args ...string) string {
		t.Helper()
		p := exec.Command(args[0], args[1:]...)
		// Nothing of the machine's own, and nothing of the fake AWS that the daemon asks.
		p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true", "DRAWBRIDGE_URL=" + c.d.URL, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull}, env...)
		out, err := p.CombinedOutput()
		if err != nil {
			return what + " failed: " + string(out)
		}
		return string(out)
	}
	federated := func() []string {
		return []string{"AWS_CONFIG_FILE=" + os.DevNull, "AWS_ENDPOINT_URL_STS=" + c.d.URL, "AWS_ROLE_ARN=arn:aws:iam::222222222222:role/deploy", "AWS_WEB_IDENTITY_TOKEN_FILE=" + token()}
	}
	process := func() []string {
		return []string{"AWS_CONFIG_FILE=" + settings, "DRAWBRIDGE_ID_TOKEN_FILE=" + token(), "XDG_CACHE_HOME=" + t.TempDir()}
	}
	// While people have not decided the client shows what the broker says.
	for what, env := range map[string][]string{"web identity": federated(), "credential_process": process()} {
		if got := run(what, env, python, "-c", find); !strings.Contains(got, " failed: ") || !strings.Contains(got, id) {
			t.Errorf("%s before approval: %s", what, got)
		}
	}
	c.run(c.person, 0, "approve", id, "--yes")
	for what, tt := range map[string]struct {
		env    []string
		args   []string
		method string
	}{
		"web identity":       {federated(), []string{python, "-c", find}, "assume-role-with-web-identity"},
		"credential_process": {process(), []string{python, "-c", find}, "custom-process"},
		"exec":               {process(), []string{program, "exec", "ci-deploy", "--", python, "-c", find}, "env"},
		"exec --renew":       {process(), []string{program, "exec", "ci-deploy", "--renew", "--", python, "-c", find}, "container-role"},
	} {
		if got := run(what, tt.env, tt.args...); !strings.Contains(got, "method "+tt.method) || !strings.Contains(got, "secret "+daemontest.Canary+"secret token "+daemontest.Canary+"token") {
			t.Errorf("%s: %s", what, got)
		}
	}
	// One session for all of them: the broker hands out the same live one.
	if asked := len(c.d.Asked()); asked != 1 {
		t.Errorf("AWS was asked %d times: %v", asked, c.d.Asked())
	}
}
