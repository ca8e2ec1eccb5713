package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/api/client"
	"drawbridge/internal/audit"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// organization is a snapshot of one account with the role backup, which lets in whom trust says.
func organization(t *testing.T, collected time.Time, trust string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"organization.json": fmt.Sprintf(`{"version": 1, "collected": %q, "id": "o-example1234", "managementAccount": "222222222222", "accounts": [{"id": "222222222222", "name": "prod", "kind": "management", "ou": "r-root"}], "units": [{"path": "r-root", "name": "Root"}], "scps": [], "rcps": []}`, collected.UTC().Format(time.RFC3339)),
		"accounts/222222222222/iam.json": `{"UserDetailList": [], "GroupDetailList": [], "Policies": [], "RoleDetailList": [{"Path": "/", "RoleName": "backup", "RoleId": "AROAEXAMPLE000000002", "Arn": "arn:aws:iam::222222222222:role/backup", "MaxSessionDuration": 7200,
  "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [` + trust + `]}, "RolePolicyList": [], "AttachedManagedPolicies": [], "InstanceProfileList": []}]}`,
		"resources.jsonl": "", "grants.jsonl": "", "shares.jsonl": "", "providers.json": "[]", "policies.json": `{"Policies": []}`,
	} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	toVendor = `{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:root"}, "Action": "sts:AssumeRole", "Condition": {"StringEquals": {"sts:ExternalId": "kept-by-the-vendor"}}}`
	toNobody = `{"Effect": "Allow", "Principal": {"Service": "backup.amazonaws.com"}, "Action": "sts:AssumeRole"}`
)

// TestOffboardAtBroker is a vendor's leaving, from the lock to the signed report: nothing but a snapshot that was collected later shows that something is gone.
func TestOffboardAtBroker(t *testing.T) {
	dir := t.TempDir()
	private, public, err := audit.NewKey(nil, "broker.example/audit")
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(dir, "audit.key")
	if err := os.WriteFile(key, []byte(private.Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := daemontest.Start(t, "", func(c *daemon.Config) {
		c.Registry = "" // in the store
		c.Audit.Name, c.Audit.Key, c.Audit.Every = "broker.example/audit", key, time.Hour
	})
	tokenFile := filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte(d.Proof("4711")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := &crossing{t, d, map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_ID_TOKEN_FILE": tokenFile, "XDG_CACHE_HOME": t.TempDir()},
		map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_TOKEN": d.Token, "XDG_CACHE_HOME": t.TempDir()}}
	registry := func(status string) string {
		name := filepath.Join(dir, "registry.yaml")
		text := `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: backup, owner: ann@example.com}
spec:
  purpose: nightly backup
  from: {oidc: {issuer: "` + d.Issuer + `", audience: drawbridge, claims: {sub: "repo:acme/web:ref:refs/heads/main", repository_id: "4711"}}}
  to: {role: arn:aws:iam::222222222222:role/backup}
  allow: {actions: [s3:GetObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 2h}
  vendor: Metrigraph
  approval: {automatic: true}
  expires: ` + time.Now().AddDate(1, 0, 0).Format(time.DateOnly) + `
  review: {every: 90d}
---
apiVersion: drawbridge/v1
kind: Vendor
metadata: {name: Metrigraph}
spec: {accounts: ["999999999999"], status: ` + status + `, contract: {from: 2025-01-01, until: ` + time.Now().AddDate(2, 0, 0).Format(time.DateOnly) + `}}
`
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	c.run(c.person, 0, "registry", "apply", registry("active"), "--reason", "begin")

	// What the broker knows of the target it knows from what is pushed.
	if _, text := c.run(c.workload, 1, "push", organization(t, time.Now(), toVendor)); !strings.Contains(text, "push snapshots") {
		t.Errorf("a workload pushed: %s", text)
	}
	if out, _ := c.run(c.person, 1, "setup", "check", "backup"); !strings.Contains(out, "no snapshot was pushed") {
		t.Errorf("before any was pushed: %s", out)
	}
	out, _ := c.run(c.workload, 0, "request", "backup", "--reason", "nightly")
	if !strings.Contains(out, "at most 1h (by the target role)") {
		t.Errorf("the role's longest session counts as an hour as long as it is not known: %s", out)
	}
	if _, text := c.run(c.person, 1, "reconcile"); !strings.Contains(text, "no snapshot was pushed") {
		t.Errorf("before any was pushed: %s", text)
	}
	spoiled := filepath.Join(dir, "use.json")
	if err := os.WriteFile(spoiled, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, text := c.run(c.person, 2, "push", organization(t, time.Now(), toVendor), "--usage", spoiled); !strings.Contains(text, "recorded-use.json") {
		t.Errorf("a record of use that is none: %s", text)
	}
	first := time.Now().Add(-time.Minute)
	if out, _ := c.run(c.person, 0, "push", organization(t, first, toVendor)); !strings.Contains(out, "accepted: 1 accounts, 1 roles") {
		t.Errorf("pushed: %s", out)
	}
	var checked string
	for range 50 { // it is worked out beside
		if checked, _ = c.run(c.person, 1, "setup", "check", "backup"); strings.Contains(checked, "snapshot ") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(checked, "can be taken by 999999999999, beside the broker") || !strings.Contains(checked, "there is no identity provider") {
		t.Errorf("the target: %s", checked)
	}
	out, _ = c.run(c.workload, 0, "request", "backup", "--reason", "nightly, longer")
	if !strings.Contains(out, "at most 2h (by the entry)") {
		t.Errorf("the role has sessions of two hours: %s", out)
	}

	// The registry against what exists: the vendor's own trust is declared by nobody.
	out, _ = c.run(c.person, 1, "reconcile")
	if !strings.Contains(out, "1 unregistered") || !strings.Contains(out, "UNREGISTERED") || !strings.Contains(out, "arn:aws:iam::222222222222:role/backup") {
		t.Errorf("reconciled: %s", out)
	}
	if _, text := c.run(c.workload, 1, "reconcile"); !strings.Contains(text, "view everything") {
		t.Errorf("a workload reconciles: %s", text)
	}
	if _, text := c.run(c.person, 1, "offboard", "begin", "Acme", "--reason", "x"); !strings.Contains(text, "no vendor of that name") {
		t.Errorf("another vendor: %s", text)
	}
	out, _ = c.run(c.person, 0, "offboard", "begin", "Metrigraph", "--reason", "the contract ends")
	id, _, _ := strings.Cut(out, ":")
	if _, text := c.run(c.person, 1, "offboard", "begin", "Metrigraph", "--reason", "again"); !strings.Contains(text, "already") {
		t.Errorf("twice: %s", text)
	}
	if _, text := c.run(c.workload, 1, "request", "backup", "--reason", "nightly"); !strings.Contains(text, "locked") {
		t.Errorf("after the lock: %s", text)
	}
	status := func(want ...string) {
		t.Helper()
		var out string
		for range 100 {
			out, _ = c.run(c.person, 4, "offboard", "status", id)
			missing := false
			for _, w := range want {
				missing = missing || !strings.Contains(out, w)
			}
			if !missing {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Fatalf("want %q in\n%s", want, out)
	}
	status("no snapshot was pushed that was collected after", "end the contract")
	c.run(c.person, 0, "registry", "apply", registry("ended"), "--reason", "the contract ends")
	// A snapshot that was collected before the lock shows nothing, however late it is pushed.
	c.run(c.person, 0, "push", organization(t, first.Add(time.Second), toNobody))
	status("no snapshot was pushed that was collected after")
	c.run(c.person, 0, "push", organization(t, time.Now().Add(5*time.Second), toVendor))
	status("missing: trust of arn:aws:iam::222222222222:role/backup is there", "missing: ExternalId of kept-by-the-vendor is there")
	// The trust is gone, and its sessions may live.
	c.run(c.person, 0, "push", organization(t, time.Now().Add(10*time.Second), toNobody))
	status("missing: sessions of arn:aws:iam::222222222222:role/backup is there: no snapshot shows that they ended")
	// A policy denies them.
	last := organization(t, time.Now().Add(15*time.Second), toNobody)
	iam := filepath.Join(last, "accounts/222222222222/iam.json")
	text, err := os.ReadFile(iam)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"RolePolicyList": []`), []byte(`"RolePolicyList": [{"PolicyName": "AWSRevokeOlderSessions", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"DateLessThan": {"aws:TokenIssueTime": "2027-01-01T00:00:00Z"}}}]}}]`), 1)
	if err := os.WriteFile(iam, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c.run(c.person, 0, "push", last)
	report := filepath.Join(dir, "report.txt")
	for n := 0; ; n++ {
		list, _ := c.run(c.person, 0, "offboard", "status")
		if strings.Contains(list, "proven") {
			break
		}
		if n == 100 {
			t.Fatalf("not proven: %s", list)
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.run(c.person, 0, "offboard", "status", id, "--report", report)
	out, _ = c.run(c.person, 0, "offboard", "verify", report, "--key", public)
	for _, want := range []string{"Vendor: Metrigraph\n", "Accounts: 999999999999\n", "Entry: backup, of a contract that has ended\n", "by entry backup to arn:aws:iam::222222222222:role/backup: revoked", "Gone: trust of arn:aws:iam::222222222222:role/backup in account 222222222222", "Gone: ExternalId of kept-by-the-vendor"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	text, err = os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(report, bytes.Replace(text, []byte("revoked"), []byte("active "), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, _ := c.run(c.person, 1, "offboard", "verify", report, "--key", public); !strings.Contains(out, "not signed by this key") {
		t.Errorf("a changed report: %s", out)
	}
	if out, _ := c.run(c.person, 0, "push", "list"); strings.Count(out, " accepted ") != 3 || strings.Count(out, " dropped ") != 2 {
		t.Errorf("of five snapshots the newest three are kept:\n%s", out)
	}
}

// TestPushRefused: archives that are none, or that are meant to write elsewhere, are refused with the reason, and leave what is known as it was.
func TestPushRefused(t *testing.T) {
	c := startCrossing(t)
	archive := func(files map[string]string, link bool) string {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		for name, text := range files {
			h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(text)), Mode: 0o600}
			if link {
				h = &tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: text}
				text = ""
			}
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := w.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if w.Close() != nil || z.Close() != nil {
			t.Fatal("packing")
		}
		return b.String()
	}
	b := c.client()
	for name, tt := range map[string]struct{ archive, want string }{
		"no archive":      {"hello", "no gzip"},
		"cut":             {archive(map[string]string{"organization.json": "{}"}, false)[:60], "no tar archive"},
		"elsewhere":       {archive(map[string]string{"../evil.json": "{}"}, false), "evil.json"},
		"from the root":   {archive(map[string]string{"/etc/evil.json": "{}"}, false), "evil.json"},
		"a link":          {archive(map[string]string{"organization.json": "/etc/passwd"}, true), "neither a file nor a folder"},
		"nothing in it":   {archive(nil, false), ""},
		"of no time":      {archive(map[string]string{"organization.json": `{"version": 1, "accounts": []}`}, false), "does not say when"},
		"of another time": {archive(map[string]string{"organization.json": `{"version": 1, "collected": "2126-01-01T00:00:00Z", "accounts": []}`}, false), "in the future"},
	} {
		p, err := b.Push(t.Context(), strings.NewReader(tt.archive))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for n := 0; p.State == "checking"; n++ {
			list, err := b.Snapshots(t.Context())
			if err != nil || n == 100 {
				t.Fatalf("%s: %v", name, err)
			}
			for i := range list {
				if list[i].ID == p.ID {
					p = &list[i]
				}
			}
			time.Sleep(50 * time.Millisecond)
		}
		if p.State != "refused" || !strings.Contains(p.Why, tt.want) || regexp.MustCompile(`/tmp|drawbridge-snapshot`).MatchString(p.Why) {
			t.Errorf("%s: %s: %s, want %q", name, p.State, p.Why, tt.want)
		}
	}
}

// client is the person's.
func (c *crossing) client() *client.Client {
	return &client.Client{URL: c.d.URL, Token: client.Static(c.d.Token)}
}
