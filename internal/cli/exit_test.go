package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// run calls the program and returns its exit status and what it wrote.
func run(t *testing.T, stdout io.Writer, args ...string) (code int, stderr string) {
	t.Helper()
	var b bytes.Buffer
	code = Run(&Env{
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: &b, Getenv: func(string) string { return "" },
		Now: func() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) },
	}, args)
	return code, b.String()
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// oneRole is an account with a role that any service customer may make act, which is a finding.
const oneRole = `{"UserDetailList": [], "GroupDetailList": [], "Policies": [], "RoleDetailList": [
 {"Path": "/", "RoleName": "r", "RoleId": "AROAEXAMPLEROLE000001", "Arn": "arn:aws:iam::111122223333:role/r",
  "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "cognito-identity.amazonaws.com"}, "Action": "sts:AssumeRoleWithWebIdentity"}]},
  "InstanceProfileList": [], "RolePolicyList": [], "AttachedManagedPolicies": []}]}`

func TestExitStatus(t *testing.T) {
	input := filepath.Join(t.TempDir(), "account.json")
	if err := os.WriteFile(input, []byte(oneRole), 0o644); err != nil {
		t.Fatal(err)
	}
	const plans = "../../examples/gate/"
	for _, c := range []struct {
		name   string
		stdout io.Writer
		args   []string
		code   int
		stderr string
	}{
		{"result", io.Discard, []string{"scan", input}, 0, ""},
		{"findings", io.Discard, []string{"scan", input, "--fail-on", "critical"}, codeFindings, ""},
		{"usage", io.Discard, []string{"scan", input, "--format", "x"}, codeUsage, "Run 'drawbridge scan --help'"},
		{"input", io.Discard, []string{"scan", input + "x"}, codeUsage, "no such file"},
		{"full", fullDisk{}, []string{"scan", input}, codeOutput, "no space left"},
		{"folder", io.Discard, []string{"scan", input, "-o", filepath.Join(input, "x")}, codeOutput, "could not be written"},
		{"full before findings", fullDisk{}, []string{"scan", input, "--fail-on", "info"}, codeOutput, "no space left"},
		{"passes", io.Discard, []string{"gate", plans + "narrow.json"}, 0, ""},
		{"refused", io.Discard, []string{"gate", plans + "widen-by-list.json"}, codeFindings, ""},
		{"not judged", io.Discard, []string{"gate", plans + "unknown.json"}, codeUnknown, ""},
		{"let pass", io.Discard, []string{"gate", plans + "unknown.json", "--allow-unknown"}, 0, ""},
		{"full before not judged", fullDisk{}, []string{"gate", plans + "unknown.json"}, codeOutput, "no space left"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stderr := run(t, c.stdout, c.args...)
			if code != c.code || !strings.Contains(stderr, c.stderr) || c.stderr == "" && stderr != "" {
				t.Errorf("status %d, want %d; standard error %q, want %q", code, c.code, stderr, c.stderr)
			}
		})
	}
}

// Every command explains itself, and none is forgotten in the list.
func TestEveryCommandHasHelp(t *testing.T) {
	root := newRoot(&Env{Stdout: io.Discard, Stderr: io.Discard, Getenv: func(string) string { return "" }, Now: time.Now})
	if n := len(root.Commands()); n < 30 {
		t.Errorf("%d commands: the test looks at the wrong place", n)
	}
	for _, c := range root.Commands() {
		if c.GroupID == "" && c.Name() != "version" {
			t.Errorf("%s is in no group of the help", c.Name())
		}
		if c.Short == "" || !regexp.MustCompile(`^[A-Z].*[^.]$`).MatchString(c.Short) {
			t.Errorf("%s: the short help %q should be a phrase with a capital and without a full stop", c.Name(), c.Short)
		}
		var out bytes.Buffer
		if code, _ := run(t, &out, c.Name(), "--help"); code != 0 || !strings.Contains(out.String(), "Usage:") {
			t.Errorf("%s --help: status %d", c.Name(), code)
		}
	}
}
