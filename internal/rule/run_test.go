package rule

import (
	"testing"

	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

func input() *Input {
	o := org.Build(&snapshot.Snapshot{
		Accounts:  []snapshot.Account{{ID: "111111111111"}},
		Resources: []snapshot.Resource{{ARN: "arn:aws:s3:::b", Account: "111111111111", Policy: snapshot.Document{State: snapshot.None}}},
	})
	return &Input{Org: o, Graph: access.Build(o, access.Options{})}
}

func statement(n int) access.Evidence {
	return access.Evidence{Subject: "arn:aws:s3:::b", Document: "resource policy", Statement: n}
}

// TestRunCompletes: what a rule leaves out is filled from its record, and the account from the subject.
func TestRunCompletes(t *testing.T) {
	r := &Rule{ID: "AAA-001", Title: "A title", Remedy: "A remedy.", Severity: finding.High, Check: func(p *Pass) {
		if p.Parameters.MaxSessionSeconds != 3600 {
			t.Errorf("the default of MaxSessionSeconds: %d", p.Parameters.MaxSessionSeconds)
		}
		p.Report(finding.Finding{Subject: "arn:aws:s3:::b", Reason: "a reason"})
		p.NotAssessed("arn:aws:s3:::b", "a fact is missing")
	}}
	findings := Run([]*Rule{r}, input())
	if len(findings) != 2 {
		t.Fatalf("%d findings, expected the confirmed one and the one not assessed", len(findings))
	}
	f := findings[0]
	if f.Rule != "AAA-001" || f.Title != "A title" || f.Severity != finding.High || f.Remedy != "A remedy." || f.Account != "111111111111" || f.Fingerprint == "" || f.Status != finding.Confirmed {
		t.Errorf("the finding: %+v", f)
	}
	if findings[1].Status != finding.NotAssessed || findings[1].Reason != "a fact is missing" {
		t.Errorf("the one not assessed: %+v", findings[1])
	}
}

// TestRunMerges: one problem reported twice is one finding with the evidence of both, each once.
func TestRunMerges(t *testing.T) {
	r := &Rule{ID: "AAA-001", Check: func(p *Pass) {
		for _, n := range []int{2, 1, 2} {
			p.Report(finding.Finding{Subject: "arn:aws:s3:::b", Evidence: []access.Evidence{statement(n)}})
		}
		p.Report(finding.Finding{Subject: "arn:aws:s3:::b", Grantee: "another"})
	}}
	findings := Run([]*Rule{r}, input())
	if len(findings) != 2 {
		t.Fatalf("%d findings, expected two: with and without a grantee", len(findings))
	}
	if e := findings[0].Evidence; len(e) != 2 || e[0].Statement != 1 || e[1].Statement != 2 {
		t.Errorf("the evidence: %+v", e)
	}
}

// TestGuardsLower: a guard lowers a finding to info and is named; that the caller's own policies do not allow it yet is no
// guard.
func TestGuardsLower(t *testing.T) {
	for _, c := range []struct {
		edge    access.Edge
		want    finding.Severity
		lowered string
	}{
		{access.Edge{Verdict: eval.Allow}, finding.High, ""},
		{access.Edge{Verdict: eval.Unknown}, finding.High, ""},
		{access.Edge{Verdict: eval.Deny, Denied: eval.RCP, Explicit: true, By: access.Evidence{Document: "RCP perimeter"}}, finding.Info, "rcp denies it: RCP perimeter"},
		{access.Edge{Verdict: eval.Deny, Denied: eval.Identity}, finding.High, ""},
		{access.Edge{Verdict: eval.Deny, Denied: eval.Identity, Explicit: true, By: access.Evidence{Document: "p"}}, finding.Info, "identity denies it: p"},
	} {
		c.edge.Target = access.Target{ARN: "arn:aws:s3:::b", Account: "111111111111"}
		r := &Rule{ID: "AAA-001", Severity: finding.High, Check: func(p *Pass) { p.ReportEdge(&c.edge, finding.Finding{Reason: "r"}) }}
		findings := Run([]*Rule{r}, input())
		if len(findings) != 1 || findings[0].Severity != c.want || findings[0].Lowered != c.lowered {
			t.Errorf("%v by %v: %+v, expected %v, %q", c.edge.Verdict, c.edge.Denied, findings, c.want, c.lowered)
		}
	}
}
