package cli

import (
	"strings"
	"testing"
	"time"

	"drawbridge/internal/daemon/daemontest"
)

// TestCertificate crosses by an X.509-SVID, by flags and by the environment.
func TestCertificate(t *testing.T) {
	d, domain := daemontest.StartSPIFFE(t, `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: ci-deploy, owner: ann@example.com}
spec:
  purpose: deploy
  category: ci-deploy
  from: {principals: ["spiffe://acme.example/ns/prod/sa/deploy"]}
  to: {role: arn:aws:iam::222222222222:role/deploy}
  allow: {actions: [s3:PutObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {automatic: true}
  expires: `+time.Now().AddDate(1, 0, 0).Format(time.DateOnly)+`
`)
	cert, key := domain.Files("spiffe://acme.example/ns/prod/sa/deploy")
	c := &crossing{t, d, map[string]string{"DRAWBRIDGE_URL": d.URL, "XDG_CACHE_HOME": t.TempDir()}, nil}
	if out, _ := c.run(c.workload, 0, "creds", "ci-deploy", "--reason", "release 7", "--cert", cert, "--key", key); !strings.Contains(out, daemontest.Canary+"secret") {
		t.Errorf("by flags: %s", out)
	}
	named := map[string]string{"DRAWBRIDGE_URL": d.URL, "DRAWBRIDGE_CERT": cert, "DRAWBRIDGE_KEY": key, "XDG_CACHE_HOME": t.TempDir()}
	if out, _ := c.run(named, 0, "sessions"); !strings.Contains(out, "spiffe://acme.example/ns/prod/sa/deploy") {
		t.Errorf("by the environment: %s", out)
	}
	if out, _ := c.run(named, 0, "exec", "ci-deploy", "--", "sh", "-c", "env"); !strings.Contains(out, "AWS_ACCESS_KEY_ID=ASIA") || strings.Contains(out, "DRAWBRIDGE_") {
		t.Errorf("the program's environment: %s", out)
	}
	other, otherKey := domain.Files("spiffe://other.example/x")
	for want, args := range map[string][]string{
		"belong together":           {"--cert", cert},
		"over https":                {"--cert", cert, "--key", key, "--url", "http://127.0.0.1:1"},
		"reading the certificate":   {"--cert", key, "--key", cert},
		"a registered trust domain": {"--cert", other, "--key", otherKey},
	} {
		if _, text := c.run(c.workload, 2, append([]string{"sessions"}, args...)...); !strings.Contains(text, want) {
			t.Errorf("%v: %s", args, text)
		}
	}
}
