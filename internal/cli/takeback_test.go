package cli

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/daemon"
)

// TestTakeBackAtBroker: a role that refuses its deny is found by a drill, and its sessions are cut by the organisation's policy, at once where somebody asks for it.
func TestTakeBackAtBroker(t *testing.T) {
	c := startCrossing(t, func(c *daemon.Config) {
		c.Quarantine.Policy, c.Quarantine.Role = "p-quarantine1", "arn:aws:iam::999999999999:role/DrawbridgeQuarantine"
	})
	if out, _ := c.run(c.person, 0, "drill", "list"); !strings.Contains(out, "ci-deploy") || !strings.Contains(out, "never, due") {
		t.Errorf("before any drill: %s", out)
	}
	if _, text := c.run(c.workload, 1, "drill", "ci-deploy"); !strings.Contains(text, "revoke") {
		t.Errorf("a workload drills: %s", text)
	}
	if _, text := c.run(c.person, 1, "drill", "ci-other"); !strings.Contains(text, "ci-other") {
		t.Errorf("no such entry: %s", text)
	}
	out, _ := c.run(c.person, 1, "drill", "--due")
	if !strings.Contains(out, "access could not be taken back: AWS answered AccessDenied") || strings.Contains(out, "quarantine would not work") || strings.Contains(out, "may iam:") {
		t.Errorf("the drill: %s", out)
	}
	if out, _ := c.run(c.person, 0, "drill", "list"); !strings.Contains(out, "could not be taken back") || strings.Contains(out, "due") {
		t.Errorf("after the drill: %s", out)
	}
	if _, text := c.run(c.person, 0, "drill", "--due"); !strings.Contains(text, "no drill is due") {
		t.Errorf("due again: %s", text)
	}

	out, _ = c.run(c.workload, 4, "request", "ci-deploy", "--reason", "release 7")
	id, _, _ := strings.Cut(out, " ")
	c.run(c.person, 0, "approve", id, "--yes")
	c.run(c.workload, 0, "creds", "ci-deploy")
	if _, text := c.run(c.person, 1, "revoke", id, "--acknowledge", "--reason", "x"); !strings.Contains(text, "no such effect") {
		t.Errorf("nothing is stuck: %s", text)
	}
	if _, text := c.run(c.workload, 1, "revoke", id, "--quarantine", "--reason", "x"); !strings.Contains(text, "refused") {
		t.Errorf("a workload asks for a quarantine: %s", text)
	}
	out, _ = c.run(c.person, 0, "revoke", id, "--quarantine", "--reason", "incident 31")
	if !strings.Contains(out, "quarantine on arn:aws:iam::222222222222:role/deploy") {
		t.Errorf("asked for: %s", out)
	}
	for range 100 {
		if out, _ = c.run(c.person, 0, "sessions", id); strings.Contains(out, "quarantine on arn:aws:iam::222222222222:role/deploy: written") {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if !strings.Contains(out, "quarantine on arn:aws:iam::222222222222:role/deploy: written") || !strings.Contains(c.d.Quarantine(), `"`+id+`.1"`) {
		t.Errorf("carried out: %s, the policy is %s", out, c.d.Quarantine())
	}
	if out, _ = c.run(c.person, 0, "revoke", id, "--retry", "--reason", "the role was repaired"); !strings.Contains(out, "deny-source-identity") {
		t.Errorf("tried again: %s", out)
	}
	if _, text := c.run(c.person, 2, "revoke", id, "--retry", "--quarantine", "--reason", "x"); !strings.Contains(text, "none of the others can be") {
		t.Errorf("both: %s", text)
	}
}

// TestScheduledStart: what is asked for a later time is approved now, gives nothing before its time, and is in force by itself when it comes; who waits is answered then.
func TestScheduledStart(t *testing.T) {
	c := startCrossing(t)
	start := time.Now().Add(5 * time.Second).UTC().Truncate(time.Second)
	if _, text := c.run(c.workload, 2, "request", "ci-deploy", "--reason", "release 7", "--start", "soon"); !strings.Contains(text, "--start") {
		t.Errorf("no time: %s", text)
	}
	out, _ := c.run(c.workload, 4, "request", "ci-deploy", "--reason", "release 7", "--start", start.Format(time.RFC3339))
	id, _, _ := strings.Cut(out, " ")
	if out, _ = c.run(c.person, 0, "approve", id, "--yes"); !strings.Contains(out, "approved") || strings.Contains(out, "active") {
		t.Errorf("approved before its time: %s", out)
	}
	if _, text := c.run(c.workload, 4, "creds", "ci-deploy", "--reason", "release 7"); !strings.Contains(text, start.Format("2006-01-02 15:04")) {
		t.Errorf("before its time: %s", text)
	}
	if out, _ := c.run(c.workload, 0, "creds", "ci-deploy", "--reason", "release 7", "--wait", "1m"); !strings.Contains(out, "ASIA") || time.Now().Before(start) {
		t.Errorf("at %v: %s", time.Now(), out)
	}
	if out, _ := c.run(c.person, 0, "sessions", id); !strings.Contains(out, "active") {
		t.Errorf("in its time: %s", out)
	}
}

// TestExternalIDAtBroker: a role that is taken by AssumeRole is told an ExternalId of its own, which the printed trust demands, and which is changed in two steps without a stop.
func TestExternalIDAtBroker(t *testing.T) {
	c := startCrossing(t, func(c *daemon.Config) {
		c.AWS.Assume.Role, c.AWS.Assume.Targets = "arn:aws:iam::111111111111:role/DrawbridgeBroker", []string{"arn:aws:iam::222222222222:role/deploy"}
	})
	registry := filepath.Join(t.TempDir(), "registry.yaml")
	if err := os.WriteFile(registry, []byte("apiVersion: drawbridge/v1\nkind: Trust\nmetadata: {name: ci-deploy, owner: ann@example.com}\nspec:\n  purpose: deploy\n  from: {principals: [\"arn:aws:iam::111111111111:role/ci\"]}\n  to: {role: arn:aws:iam::222222222222:role/deploy}\n  allow: {actions: [s3:PutObject], resources: [\"*\"]}\n  expires: 2099-01-01\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	show := func(flags ...string) (current, next string) {
		t.Helper()
		out, _ := c.run(c.person, 0, append([]string{"setup", "external-id", "ci-deploy"}, flags...)...)
		for line := range strings.Lines(out) {
			f := strings.Fields(line)
			if len(f) > 1 && f[0] == "current" {
				current = strings.TrimSuffix(f[1], ",")
			} else if len(f) > 1 && f[0] == "next" {
				next = f[1]
			}
		}
		return current, next
	}
	told := func() string {
		t.Helper()
		out, _ := c.run(c.workload, 4, "request", "ci-deploy", "--reason", "release 7")
		id, _, _ := strings.Cut(out, " ")
		c.run(c.person, 0, "approve", id, "--yes")
		c.run(c.workload, 0, "creds", "ci-deploy")
		asked := slices.DeleteFunc(c.d.Asked(), func(form string) bool { return !strings.Contains(form, "SourceIdentity="+id) })
		c.run(c.person, 0, "revoke", id, "--reason", "done")
		if len(asked) != 1 {
			t.Fatalf("AWS was asked %v for %s", c.d.Asked(), id)
		}
		form, err := url.ParseQuery(asked[0])
		if err != nil || form.Get("Action") != "AssumeRole" || form.Get("DurationSeconds") != "3600" {
			t.Errorf("AWS was asked %v, error %v", form, err)
		}
		return form.Get("ExternalId")
	}
	first := told()
	if current, next := show(); current != first || next != "" || len(first) < 30 {
		t.Errorf("AWS was told %q, shown are %q and %q", first, current, next)
	}
	if _, text := c.run(c.workload, 1, "setup", "external-id", "ci-deploy"); !strings.Contains(text, "registry") {
		t.Errorf("a workload sees it: %s", text)
	}
	if _, text := c.run(c.person, 1, "setup", "external-id", "ci-deploy", "--promote"); !strings.Contains(text, "not being changed") {
		t.Errorf("promoted what is not there: %s", text)
	}
	current, next := show("--rotate")
	if current != first || next == "" || next == first || told() != first {
		t.Errorf("while it is changed: %q, %q", current, next)
	}
	out, _ := c.run(c.person, 0, "setup", "target", "ci-deploy", "--registry", registry, "--way", "assume", "--form", "cli")
	if !strings.Contains(out, first) || !strings.Contains(out, next) || !strings.Contains(out, "role/DrawbridgeBroker") || strings.Contains(out, "oidc") {
		t.Errorf("printed: %s", out)
	}
	if current, _ := show("--promote"); current != next || told() != next {
		t.Errorf("after it was changed: %q", current)
	}
	if out, _ = c.run(c.person, 0, "setup", "target", "ci-deploy", "--registry", registry, "--way", "assume"); strings.Contains(out, first) || !strings.Contains(out, next) {
		t.Errorf("printed again: %s", out)
	}
}
