package report

import (
	"bytes"
	"encoding/json"
	"testing"

	"drawbridge/iam/lint"
	"drawbridge/iam/policy"
)

// TestLintSARIF: diagnostics hold to the schema, columns count as SARIF counts them, and a fix says what it replaces.
func TestLintSARIF(t *testing.T) {
	text := `{"Version": "2012-10-17", "Id": "ä😀", "Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObject"], "Resource": "*"}}`
	list := lint.Text([]byte(text), policy.Identity)
	if len(list) != 1 {
		t.Fatalf("got %v", list)
	}
	var b bytes.Buffer
	if err := WriteLintSARIF(&b, "1.0.0", []Linted{{File: "a b/policy.json", Text: text, Diagnostics: list}}); err != nil {
		t.Fatal(err)
	}
	validate(t, "testdata/sarif.schema.json", b.Bytes())
	var log sarifLog
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if got, want := len(run.Tool.Driver.Rules), len(lint.Checks()); got != want {
		t.Errorf("%d rules of %d checks", got, want)
	}
	r := run.Results[0]
	if rule := run.Tool.Driver.Rules[*r.RuleIndex]; rule.ID != r.RuleID || r.Level != "note" {
		t.Errorf("rule %s, result %s of level %s", rule.ID, r.RuleID, r.Level)
	}
	at := r.Locations[0].Physical
	// Six bytes of two characters are three units of UTF-16.
	if at.Artifact.URI != "a%20b/policy.json" || at.Region.StartColumn != int(list[0].Pos.Column)-3 {
		t.Errorf("place %+v %+v", at.Artifact, at.Region)
	}
	change := r.Fixes[0].Changes[0].Replacements[0]
	if got := text[change.Deleted.Offset : change.Deleted.Offset+change.Deleted.Length]; got != `, "s3:GetObject"` || change.Inserted.Text != "" {
		t.Errorf("replaces %q by %q", got, change.Inserted.Text)
	}
}

// TestSARIFScores: code hosts colour security results by a number. Findings have one, diagnostics do not.
func TestSARIFScores(t *testing.T) {
	scores := func(write func(*bytes.Buffer) error) (with, without int) {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		var log sarifLog
		if err := json.Unmarshal(b.Bytes(), &log); err != nil {
			t.Fatal(err)
		}
		for _, r := range log.Runs[0].Tool.Driver.Rules {
			if r.Properties.SecuritySeverity != "" {
				with++
			} else {
				without++
			}
		}
		return with, without
	}
	if with, without := scores(func(b *bytes.Buffer) error { return WriteSARIF(b, example(t), "") }); with == 0 || without > 0 {
		t.Errorf("a scan: %d rules with a score, %d without", with, without)
	}
	if with, without := scores(func(b *bytes.Buffer) error { return WriteLintSARIF(b, "", nil) }); with > 0 || without == 0 {
		t.Errorf("lint: %d rules with a score, %d without", with, without)
	}
}
