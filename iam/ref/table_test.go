package ref

import (
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestTableSizes guards against a package that lost its data: the sizes of the table of 2026-09-26, less a margin.
func TestTableSizes(t *testing.T) {
	all := tables()
	actions, types := 0, 0
	for _, s := range all.services {
		actions += len(s.actions)
		types += len(s.types)
	}
	for _, c := range []struct {
		what      string
		have, min int
	}{
		{"services", len(Services()), 440},
		{"actions", actions, 21_000},
		{"resource types", types, 2_200},
		{"keys", len(all.sorted), 1_400},
		{"keys with a variable part", len(all.templates), 80},
	} {
		if c.have < c.min {
			t.Errorf("%d %s, expected at least %d", c.have, c.what, c.min)
		}
	}
}

// TestEveryLine reads every line of the table, and finds again by its name what it says.
func TestEveryLine(t *testing.T) {
	for _, prefix := range Services() {
		for _, a := range ServiceActions(prefix) {
			again, ok := LookupAction(strings.ToUpper(a.Name))
			if !ok || again.Name != a.Name {
				t.Errorf("%s is not found", a.Name)
			}
			if a.Access == NoAccessLevel {
				t.Errorf("%s has no access level", a.Name)
			}
			for _, r := range a.Resources {
				if _, ok := LookupResourceType(prefix, r.Type); !ok {
					t.Errorf("%s takes %s, which is not found", a.Name, r.Type)
				}
			}
			for _, k := range ActionKeys(a.Name) {
				if known, ok := LookupKey(k); !ok || known.Name != k {
					t.Errorf("%s sends %s, which is not found", a.Name, k)
				}
			}
			for _, d := range a.Dependent {
				if _, ok := LookupAction(d); !ok {
					t.Errorf("%s needs %s, which is not found", a.Name, d)
				}
			}
		}
		for _, line := range tables().services[prefix].types {
			name, _, _ := strings.Cut(line, "\t")
			r, ok := LookupResourceType(strings.ToUpper(prefix), strings.ToUpper(name))
			if !ok || r.Name != name || r.Service != prefix || len(r.ARNs) == 0 {
				t.Errorf("%s of %s is not found as it is: %+v", name, prefix, r)
			}
			for _, pattern := range r.ARNs {
				if !strings.HasPrefix(pattern, "arn:*:") || strings.ContainsAny(pattern, "${}") {
					t.Errorf("%s of %s has the ARN %s", name, prefix, pattern)
				}
			}
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	const head = "iam-data\t1\tp\t1\t2026-01-02\n"
	for name, text := range map[string]string{
		"nothing":                 "",
		"another version":         "iam-data\t2\tp\t1\t2026-01-02\n",
		"an action of no service": head + "a\ts3:GetObject\tR\t\t\t\n",
		"a short line":            head + "s\ts3\na\ts3:GetObject\n",
		"an unknown letter":       head + "x\ty\n",
		"a key of no type":        head + "k\taws:X\tColour\t1\n",
	} {
		if _, err := decode(text); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := unpack([]byte("not packed")); err == nil {
		t.Error("what is not packed is unpacked")
	}
}

// TestDocumentedIsNeeded fails when the table has caught up with what is written down by hand.
func TestDocumentedIsNeeded(t *testing.T) {
	byHand := documented
	documented = nil
	defer func() { documented = byHand }()
	table, err := unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range byHand {
		if has, ok := table.keys[strings.ToLower(k.Name)]; ok && has == k {
			t.Errorf("%s is in the table as it is here: drop it", k.Name)
		}
	}
}

// TestRCPServicesHold compares the list taken from AWS's page with that of the package.
func TestRCPServicesHold(t *testing.T) {
	if list := tables().rcp; !slices.Equal(list, slices.Sorted(slices.Values(rcpServices))) {
		t.Errorf("the package says that RCPs reach %v: compare with AWS's page, correct the list and its day", list)
	}
}

// TestTheDocumentNamesTheVersion: who renews the table says so.
func TestTheDocumentNamesTheVersion(t *testing.T) {
	text, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(strings.TrimSuffix(ActionsFrom().Source, ", after the AWS Service Authorization Reference"))
	if version := fields[len(fields)-1]; !strings.Contains(string(text), version) {
		t.Errorf("docs/dependencies.md does not name version %s of the table of actions", version)
	}
}

func TestTogether(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			LookupAction("s3:GetObject")
			Expand("iam:*")
			LookupKey("aws:RequestTag/team")
		})
	}
	all.Wait()
}
