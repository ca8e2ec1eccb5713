package report

import (
	"bytes"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The schema of testdata is our own wording of the parts of SARIF 2.1.0 that a report uses, with every field that
// the standard requires and every word that it allows there. It is closed: a field that it does not name fails.
func TestSARIFHoldsToSchema(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSARIF(&b, example(t), "acme"); err != nil {
		t.Fatal(err)
	}
	validate(t, "testdata/sarif.schema.json", b.Bytes())

	// The schema can fail.
	compiled, err := jsonschema.NewCompiler().Compile("testdata/sarif.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"level": "error"`, `"level": "critical"`},
		{`"kind": "fail"`, `"kind": "failed"`},
		{`"startLine": 210`, `"startLine": 0`},
		{`"version": "2.1.0"`, `"version": "2.1"`},
		{`"ruleId"`, `"rule_id"`},
	} {
		broken := strings.Replace(b.String(), change[0], change[1], 1)
		if broken == b.String() {
			t.Fatalf("the report has no %s", change[0])
		}
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(broken))
		if err != nil {
			t.Fatal(err)
		}
		if compiled.Validate(value) == nil {
			t.Errorf("the schema takes %s", change[1])
		}
	}
}

// What a schema cannot say: indexes point at the right rule, files are relative, levels stand only with failures.
func TestSARIFMeaning(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSARIF(&b, example(t), "snap shots/acme"); err != nil {
		t.Fatal(err)
	}
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Results) == 0 || len(run.Invocations[0].Notifications) == 0 {
		t.Fatal("no results, or no notification of the gap")
	}
	for _, r := range run.Results {
		if r.RuleIndex == nil || run.Tool.Driver.Rules[*r.RuleIndex].ID != r.RuleID {
			t.Errorf("%s: the index points at another rule", r.RuleID)
		}
		if (r.Kind == "fail") == (r.Level == "none") {
			t.Errorf("%s: kind %s with level %s", r.RuleID, r.Kind, r.Level)
		}
		if len(r.PartialFingerprints[fingerprintName]) != 16 {
			t.Errorf("%s: fingerprints %v", r.RuleID, r.PartialFingerprints)
		}
		for _, l := range slices.Concat(r.Locations, r.RelatedLocations) {
			if l.Physical == nil {
				continue
			}
			u, err := url.Parse(l.Physical.Artifact.URI)
			if err != nil || u.IsAbs() || !strings.HasPrefix(u.Path, "snap shots/acme/") {
				t.Errorf("%s: location %q", r.RuleID, l.Physical.Artifact.URI)
			}
		}
	}
}
