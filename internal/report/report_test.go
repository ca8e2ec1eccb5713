package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drawbridge/iam/arn"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/rule"
	"drawbridge/internal/scenario"
	"drawbridge/internal/snapshot"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is the report of testdata/organisation.json with findings written by hand: one of every severity and state. The
// rules themselves have no part in it, so that a change of a rule does not change these files.
func example(t *testing.T) *Report {
	t.Helper()
	data, err := os.ReadFile("testdata/organisation.json")
	if err != nil {
		t.Fatal(err)
	}
	s, err := scenario.Parse(data, "organisation.json")
	if err != nil {
		t.Fatal(err)
	}
	o := org.Build(s.Snapshot)
	in := &rule.Input{Graph: access.Build(o, access.Options{Now: s.Now}), Org: o, Vendors: s.Vendors, Now: s.Now}
	rules, findings := exampleFindings()
	return New(in, findings, Options{
		Input: "testdata/organisation", Version: "1.2.3", Now: s.Now, Rules: rules,
		Accepted:         map[string]Acceptance{findings[4].Fingerprint: {"data-team@example.com", "Partner contract, reviewed", "2027-01-31T00:00:00Z"}},
		Expired:          map[string]Acceptance{findings[1].Fingerprint: {"web-team@example.com", "Migration", "2026-10-01T00:00:00Z"}},
		UnusedExceptions: []string{"00000000deadbeef"},
	})
}

func exampleFindings() ([]*rule.Rule, []finding.Finding) {
	at := func(subject, document, sid string, statement int, line int32) []access.Evidence {
		return []access.Evidence{{Subject: subject, Document: document, Statement: statement, Sid: sid, Source: snapshot.Source{File: "organisation.json", Line: line, Column: 5}}}
	}
	const (
		demo   = "arn:aws:iam::100000000008:role/demo"
		watch  = "arn:aws:iam::100000000007:role/watchful"
		deploy = "arn:aws:iam::100000000007:role/deploy"
		lake   = "arn:aws:s3:::example-lake"
		backup = "arn:aws:s3:::example-backup"
		logs   = "arn:aws:s3:::example-logs"
	)
	rules := []*rule.Rule{
		{ID: "AAA-001", Title: "Anyone may assume", Detects: "A role that every AWS identity may assume.", Why: "There is no border left.", Remedy: "Name exact roles.", Severity: finding.Critical,
			Controls: rule.Controls{NHI: []string{"NHI5"}, Tenets: []int{3, 6}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-3"}, CIS: "-"}},
		{ID: "AAA-002", Title: "No external id", Detects: "A vendor's trust without an external id.", Why: "The vendor can be made to act for somebody else.", Remedy: "Demand sts:ExternalId.", Severity: finding.High},
		{ID: "AAA-003", Title: "Wide right", Detects: "s3:* on everything.", Why: "More than the work needs.", Remedy: "List actions.", Severity: finding.Medium},
	}
	findings := []finding.Finding{
		{Rule: "AAA-001", Title: "Anyone may assume", Severity: finding.Critical, Subject: demo, Account: arn.Account(demo), Grantee: "*",
			Reason: `Everyone <b>"may"</b> assume it & nothing limits them.`, Remedy: "Name exact roles | remove the statement.", Evidence: at(demo, "trust policy", "", 0, 210)},
		{Rule: "AAA-002", Title: "No external id", Severity: finding.High, Subject: watch, Account: arn.Account(watch), Grantee: "200000000001",
			Reason: "Watchful Monitoring need not say for whom it acts.", Remedy: "Demand sts:ExternalId.", Evidence: at(watch, "trust policy", "Vendor", 0, 301), Facts: map[string]string{"vendor": "Watchful Monitoring"}},
		{Rule: "AAA-003", Title: "Wide right", Severity: finding.Medium, Subject: deploy, Account: arn.Account(deploy),
			Reason: "The policy work allows s3:* on every bucket.", Remedy: "List the actions.", Evidence: append(at(deploy, "work", "", 0, 44), at(deploy, "trust policy", "", -1, 40)...)},
		{Rule: "AAA-003", Title: "Wide right", Severity: finding.Info, Subject: logs, Account: "100000000002",
			Reason: "The policy names a service.", Lowered: "rcp denies it: only-our-services", Evidence: at(logs, "resource policy", "", 0, 77)},
		{Rule: "AAA-001", Title: "Anyone may assume", Severity: finding.High, Subject: lake, Account: "100000000006", Grantee: "400000000004",
			Reason: "A partner reads it.", Evidence: at(lake, "resource policy", "Partner", 0, 80)},
		{Rule: "AAA-002", Title: "No external id", Severity: finding.High, Status: finding.NotAssessed, Subject: backup, Account: "100000000011",
			Reason: "The resource policy could not be read.\x1b[31m"},
		{Rule: "AAA-003", Title: "Wide right", Severity: finding.Low, Subject: lake, Account: "100000000006", Reason: "=cmd|' /C calc'!A0"},
	}
	for i := range findings {
		f := &findings[i]
		f.Fingerprint = finding.Fingerprint(f.Rule, f.Subject, f.Grantee)
	}
	return rules, findings
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run the test with -update to make it", err)
	}
	if !bytes.Equal(want, got) {
		a, b := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("%s:%d: want\n%s\ngot\n%s\n(-update writes it anew)", file, i+1, a[i], b[i])
			}
		}
		t.Fatalf("%s: want %d lines, got %d (-update writes it anew)", file, len(a), len(b))
	}
}

var writers = map[string]func(*bytes.Buffer, *Report) error{
	"report.json":  func(b *bytes.Buffer, r *Report) error { return WriteJSON(b, r) },
	"report.txt":   func(b *bytes.Buffer, r *Report) error { return WriteText(b, r, TextOptions{}) },
	"colours.txt":  func(b *bytes.Buffer, r *Report) error { return WriteText(b, r, TextOptions{Colours: true, Limit: 2}) },
	"report.sarif": func(b *bytes.Buffer, r *Report) error { return WriteSARIF(b, r, "snap shots/acme") },
	"report.md":    func(b *bytes.Buffer, r *Report) error { return WriteMarkdown(b, r) },
	"report.html":  func(b *bytes.Buffer, r *Report) error { return WriteHTML(b, r) },
	"report.csv":   func(b *bytes.Buffer, r *Report) error { return WriteCSV(b, r) },
	"map.svg":      func(b *bytes.Buffer, r *Report) error { return r.Map().WriteStandalone(b) },
	"way-lake.svg": func(b *bytes.Buffer, r *Report) error { return r.Ways("arn:aws:s3:::example-lake").WriteStandalone(b) },
}

func TestWriters(t *testing.T) {
	first, second := example(t), example(t)
	for name, write := range writers {
		t.Run(name, func(t *testing.T) {
			var a, b bytes.Buffer
			if err := write(&a, first); err != nil {
				t.Fatal(err)
			}
			if err := write(&b, second); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(a.Bytes(), b.Bytes()) {
				t.Error("two reports of one input differ")
			}
			golden(t, name, a.Bytes())
		})
	}
}

// The writers work on a report of nothing, and say so.
func TestEmpty(t *testing.T) {
	o := org.Build(&snapshot.Snapshot{})
	in := &rule.Input{Graph: access.Build(o, access.Options{}), Org: o, Now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
	r := New(in, nil, Options{Input: "nothing", Version: "1.2.3"})
	for name, write := range writers {
		var b bytes.Buffer
		if err := write(&b, r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if strings.HasSuffix(name, ".json") {
			validate(t, "../../docs/schema/report.schema.json", b.Bytes())
		}
	}
}

func validate(t *testing.T, schema string, data []byte) {
	t.Helper()
	compiled, err := jsonschema.NewCompiler().Compile(schema)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(value); err != nil {
		t.Errorf("%s: %v", schema, err)
	}
}

func TestJSONHoldsToSchema(t *testing.T) {
	var b bytes.Buffer
	if err := WriteJSON(&b, example(t)); err != nil {
		t.Fatal(err)
	}
	validate(t, "../../docs/schema/report.schema.json", b.Bytes())
	// The schema refuses what the contract does not name.
	var m map[string]any
	if err := json.Unmarshal(b.Bytes(), &m); err != nil {
		t.Fatal(err)
	}
	m["surprise"] = true
	compiled, err := jsonschema.NewCompiler().Compile("../../docs/schema/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if compiled.Validate(m) == nil {
		t.Error("the schema takes an unknown field")
	}
}

// What comes from the input steers neither terminals nor browsers nor spreadsheets.
func TestHostileText(t *testing.T) {
	r := example(t)
	var text, page, csv bytes.Buffer
	if err := WriteText(&text, r, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := WriteHTML(&page, r); err != nil {
		t.Fatal(err)
	}
	if err := WriteCSV(&csv, r); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text.String(), "\x1b") {
		t.Error("the text carries an escape sequence of the input")
	}
	if strings.Contains(page.String(), "<b>&#34;may") || strings.Contains(page.String(), `<b>"may`) || strings.Contains(page.String(), "<script") {
		t.Error("the page carries markup of the input")
	}
	if strings.Contains(page.String(), "ZgotmplZ") {
		t.Error("the page's template refused a value")
	}
	if strings.Contains(csv.String(), ",=cmd") || !strings.Contains(csv.String(), "'=cmd") {
		t.Error("the table carries a formula of the input")
	}
}

func TestAtLeast(t *testing.T) {
	r := example(t)
	for severity, want := range map[finding.Severity]int{finding.Critical: 1, finding.High: 2, finding.Medium: 3, finding.Low: 4, finding.Info: 5} {
		if got := r.AtLeast(severity); got != want {
			t.Errorf("%v: %d open findings, want %d", severity, got, want)
		}
	}
}
