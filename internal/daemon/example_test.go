package daemon

import (
	"os"
	"strings"
	"testing"
)

// TestDocumentedConfig: the configuration of docs/daemon.md is one, and every key of it is known.
func TestDocumentedConfig(t *testing.T) {
	text, err := os.ReadFile("../../docs/daemon.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	example, _, ok2 := strings.Cut(rest, "\n```")
	if !ok || !ok2 {
		t.Fatal("the page has no example")
	}
	t.Setenv("DRAWBRIDGE_OIDC_SECRET", "x")
	t.Setenv("DRAWBRIDGE_HOOK_SECRET", "0123456789abcdef")
	c, err := ParseConfig("daemon.md", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Issuers) != 1 || len(c.Notify) != 1 || len(c.AWS.Accounts) != 1 || c.People.Client != "drawbridge" || c.Audit.Name == "" {
		t.Errorf("read %+v", c)
	}
}
