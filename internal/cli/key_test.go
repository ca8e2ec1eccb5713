package cli

import (
	"encoding/base64"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// keyed is a registry with one entry that approves by itself, and one that asks.
const keyed = `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: backup, owner: ann@example.com}
spec:
  purpose: backup
  category: third-party
  from: {principals: ["broker:acme-backup"]}
  to: {role: arn:aws:iam::222222222222:role/backup}
  allow: {actions: [s3:GetObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {automatic: true}
  expires: EXPIRES
---
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: restore, owner: ann@example.com}
spec:
  purpose: restore
  category: third-party
  from: {principals: ["broker:acme-backup"]}
  to: {role: arn:aws:iam::222222222222:role/restore}
  allow: {actions: [s3:PutObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {required: 1, approvers: [local]}
  expires: EXPIRES
`

// startKeyed is a broker that gives out keys, and the person of its local setup.
func startKeyed(t *testing.T) *crossing {
	t.Helper()
	seal := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(seal, []byte(base64.StdEncoding.EncodeToString([]byte(strings.Repeat("s", 32)))), 0o600); err != nil {
		t.Fatal(err)
	}
	d := daemontest.Start(t, strings.ReplaceAll(keyed, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), func(c *daemon.Config) { c.Keys.Seal = []string{seal} })
	return &crossing{t, d, nil, map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_TOKEN": d.Token, "XDG_CACHE_HOME": t.TempDir()}}
}

// TestKeyCommands is the life of a key on the command line.
func TestKeyCommands(t *testing.T) {
	c := startKeyed(t)
	until := time.Now().AddDate(0, 3, 0).Format(time.DateOnly)
	for _, args := range [][]string{{"register", "acme-backup", "--until", until}, {"register", "acme-backup", "--sponsor", "local", "--until", "soon"}, {"create", "acme-backup", "--format", "xml"}, {"create", "acme-backup", "--for", "-1h"}, {"revoke", "acme-backup", "x"}, {"end", "acme-backup"}} {
		c.run(c.person, 2, append([]string{"key"}, args...)...)
	}
	if _, text := c.run(c.person, 0, "key", "list"); !strings.Contains(text, "no machine") {
		t.Errorf("nothing listed: %s", text)
	}
	if _, text := c.run(c.person, 1, "key", "create", "acme-backup"); !strings.Contains(text, "refused: ") {
		t.Errorf("a key of nobody: %s", text)
	}
	out, text := c.run(c.person, 0, "key", "register", "acme-backup", "--sponsor", "local", "--until", until)
	if !strings.HasPrefix(out, "registered: acme-backup, until ") || !strings.Contains(text, "drawbridge key create acme-backup") {
		t.Errorf("registered: %s%s", out, text)
	}
	if out, _ = c.run(c.person, 0, "key", "list"); !strings.Contains(out, "acme-backup  none  live") {
		t.Errorf("without a key: %s", out)
	}
	out, _ = c.run(c.person, 0, "key", "create", "acme-backup", "--format", "env")
	id, secret := between(out, "AWS_ACCESS_KEY_ID=", "\n"), between(out, "AWS_SECRET_ACCESS_KEY=", "\n")
	if !strings.HasPrefix(id, "DBRK") || !strings.HasPrefix(secret, "dbs_") || !strings.Contains(out, "AWS_ENDPOINT_URL_STS="+c.d.URL+"\n") {
		t.Errorf("made: %s", out)
	}
	if out, _ = c.run(c.person, 0, "key", "create", "acme-backup", "--for", "24h", "--format", "json"); !strings.Contains(out, `"secretAccessKey": "dbs_`) {
		t.Errorf("made: %s", out)
	}
	if _, text = c.run(c.person, 1, "key", "create", "acme-backup"); !strings.Contains(text, "revoke the one that is not in use") {
		t.Errorf("a third: %s", text)
	}
	if out, _ = c.run(c.person, 0, "key", "revoke", "acme-backup", id, "--reason", "the other is in use"); out != "revoked: "+id+"\n" {
		t.Errorf("revoked: %s", out)
	}
	if out, _ = c.run(c.person, 0, "key", "list"); strings.Contains(out, id) || !strings.Contains(out, "never") {
		t.Errorf("listed: %s", out)
	}
	if out, _ = c.run(c.person, 0, "key", "list", "--all", "--format", "json"); !strings.Contains(out, id) || strings.Contains(out, "dbs_") {
		t.Errorf("listed with what is over: %s", out)
	}
	if out, _ = c.run(c.person, 0, "key", "end", "acme-backup", "--reason", "the contract is over"); out != "ended: acme-backup\n" {
		t.Errorf("ended: %s", out)
	}
}

func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	found, _, _ := strings.Cut(rest, after)
	return found
}

// TestBoto3Keys crosses with an unmodified boto3 whose credentials are a key of the broker's own: by a call of AssumeRole, and by a profile with role_arn and source_profile, as AWS documents it. It needs the Python of `make moto`.
func TestBoto3Keys(t *testing.T) {
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
	c, dir := startKeyed(t), t.TempDir()
	c.run(c.person, 0, "key", "register", "acme-backup", "--sponsor", "local", "--until", time.Now().AddDate(0, 3, 0).Format(time.DateOnly))
	profile, _ := c.run(c.person, 0, "key", "create", "acme-backup")
	config := "[profile crossing]\nrole_arn = arn:aws:iam::222222222222:role/backup\nsource_profile = acme-backup\nregion = eu-west-1\nservices = broker\n[services broker]\nsts =\n  endpoint_url = " + c.d.URL + "\n"
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "credentials"), []byte(profile), 0o600), os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600)); err != nil {
		t.Fatal(err)
	}
	run := func(program string, more ...string) string {
		p := exec.Command(python, "-c", program)
		p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "AWS_EC2_METADATA_DISABLED=true", "AWS_SHARED_CREDENTIALS_FILE=" + filepath.Join(dir, "credentials"), "AWS_CONFIG_FILE=" + filepath.Join(dir, "config")}, more...)
		out, _ := p.CombinedOutput() // a refusal is an error of the program's, told in its text
		return string(out)
	}
	call := func(role string) string {
		return run(`
import boto3
s = boto3.Session(profile_name="acme-backup", region_name="eu-west-1").client("sts")
print("who", s.get_caller_identity()["Arn"])
print("secret", s.assume_role(RoleArn="arn:aws:iam::222222222222:role/`+role+`", RoleSessionName="nightly", DurationSeconds=900)["Credentials"]["SecretAccessKey"])
`, "AWS_ENDPOINT_URL_STS="+c.d.URL)
	}
	if got := call("backup"); !strings.Contains(got, "who broker:acme-backup\n") || !strings.Contains(got, "secret "+daemontest.Canary+"secret\n") {
		t.Errorf("a role whose entry approves by itself: %s", got)
	}
	if got := run(`
import boto3
c = boto3.Session(profile_name="crossing").get_credentials()
f = c.get_frozen_credentials()
print("method", c.method, "secret", f.secret_key)
`); !strings.Contains(got, "method assume-role secret "+daemontest.Canary+"secret\n") {
		t.Errorf("a profile: %s", got)
	}
	// People must decide about the other role: the client shows what the broker says. The machine's sponsor is nobody who may.
	got := call("restore")
	list, _ := c.run(c.person, 0, "sessions", "--entry", "restore")
	id := between(list, "\n", " ")
	if !strings.Contains(got, "AccessDenied") || id == "" || !strings.Contains(got, id) {
		t.Errorf("a role whose entry asks: %s\nwhat waits: %s", got, list)
	}
	if _, text := c.run(c.person, 1, "approve", id, "--yes"); !strings.Contains(text, "refused: ") {
		t.Errorf("its sponsor approves: %s", text)
	}
	if got := call("admin"); !strings.Contains(got, "no registered trust") {
		t.Errorf("another role: %s", got)
	}
	if out, _ := c.run(c.person, 0, "key", "list"); strings.Contains(out, "never") {
		t.Errorf("when it signed: %s", out)
	}
	// Processes that begin in one second sign the same bytes. boto3 signs anew, and each is answered.
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			if got := call("backup"); !strings.Contains(got, "secret "+daemontest.Canary+"secret\n") {
				t.Errorf("one of four at once: %s", got)
			}
		})
	}
	wait.Wait()
	// The secret is no one else's: with another the client is told that its signature does not match.
	if err := os.WriteFile(filepath.Join(dir, "credentials"), []byte(strings.Replace(profile, "dbs_", "dbx_", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := call("backup"); !strings.Contains(got, "SignatureDoesNotMatch") {
		t.Errorf("with another secret: %s", got)
	}
}
