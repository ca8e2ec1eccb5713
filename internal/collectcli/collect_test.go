package collectcli

import (
	"strings"
	"testing"
	"time"

	"drawbridge/internal/collect"
	"drawbridge/internal/sealed"
)

func TestChosen(t *testing.T) {
	names := func(rows []collect.Row) string {
		var out []string
		for _, r := range rows {
			if r.Place != collect.Principal && r.Place != collect.Central {
				out = append(out, r.Type)
			}
		}
		return strings.Join(out, " ")
	}
	rows, err := chosen(collect.Rows(), []string{"kms", "AWS::SQS::Queue"}, nil)
	if got := names(rows); err != nil || got != "AWS::KMS::Key AWS::SQS::Queue" {
		t.Errorf("%s, %v", got, err)
	}
	if len(rows) == 2 {
		t.Error("the organisation and IAM were left out")
	}
	rows, err = chosen(collect.Rows(), nil, []string{"s3"})
	if got := names(rows); err != nil || strings.Contains(got, "S3::Bucket") || !strings.Contains(got, "KMS") {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := chosen(collect.Rows(), []string{"s4"}, nil); err == nil || !strings.Contains(err.Error(), "s4") {
		t.Errorf("%v", err)
	}
}

func TestAge(t *testing.T) {
	for text, want := range map[string]time.Duration{"7d": 7 * 24 * time.Hour, "24h": 24 * time.Hour, "90m": 90 * time.Minute, "week": 0, "7dd": 0, "": 0} {
		var a age
		if err := a.Set(text); time.Duration(a) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, time.Duration(a), err)
		}
	}
}

// TestProgress: at a terminal one line is written again and again and is gone at the end; elsewhere there is one line a minute.
func TestProgress(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	show := func(terminal bool) string {
		var b strings.Builder
		p := &progress{to: &b, terminal: terminal, now: func() time.Time { return now }}
		for i := range 200 {
			p.show(collect.Progress{Done: i, Total: 2000, Kept: 100, Calls: int64(i * 60), Gaps: i / 50})
			now = now.Add(time.Second)
		}
		p.end()
		return b.String()
	}
	if got, want := show(false), `60 of 2000 accounts, 3600 calls, 1 gap, 60 calls a second
120 of 2000 accounts, 7200 calls, 2 gaps, 60 calls a second, 3h8m left
180 of 2000 accounts, 10800 calls, 3 gaps, 60 calls a second, 1h8m left
`; got != want {
		t.Errorf("%s", got)
	}
	got := show(true)
	if strings.Contains(got, "\n") || strings.Count(got, "\r") != 202 || !strings.HasSuffix(got, " \r") {
		t.Errorf("%q", got)
	}
}

func TestSummary(t *testing.T) {
	var b strings.Builder
	err := summary(&b, collect.Options{Since: time.Hour}, collect.Result{Out: "snapshot", Accounts: 2000, Kept: 1200, Closed: 1, Gaps: 15, Calls: 30000, Groups: []collect.Group{
		{Kind: "call", Call: "KMS ListKeys", Code: "AccessDeniedException", Accounts: 12, Gaps: 14, Reason: "KMS key: KMS ListKeys: AccessDeniedException: no (needs kms:ListKeys)"},
		{Kind: "account", Call: "STS AssumeRole", Code: "AccessDenied", Accounts: 1, Gaps: 1, Reason: "the collector's role could not be assumed"},
	}})
	want := `snapshot: 2000 accounts, 30000 calls, 15 gaps
1200 accounts of them taken over from an earlier snapshot

Gaps
  KMS ListKeys: AccessDeniedException in 12 accounts, 14 gaps
    KMS key: KMS ListKeys: AccessDeniedException: no (needs kms:ListKeys)
  STS AssumeRole: AccessDenied (the role could not be assumed) in 1 account
    the collector's role could not be assumed

1 account could not be entered. When the role is there, the same command with --since reads them and keeps the others.

Next: drawbridge scan snapshot
`
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// TestSummaryEncrypted: what a run that goes on cannot read any more is counted and said.
func TestSummaryEncrypted(t *testing.T) {
	var b strings.Builder
	err := summary(&b, collect.Options{EncryptTo: make([]sealed.Recipient, 2)}, collect.Result{Out: "snapshots/2026-10-01T02-00-00Z", Accounts: 40, Kept: 30, Resumed: true, Gaps: 7, Hidden: 7, Calls: 300})
	want := `snapshots/2026-10-01T02-00-00Z: 40 accounts, 300 calls, 7 gaps
30 accounts of them taken over from a run that was stopped
Encrypted to 2 recipients

Gaps
  7 gaps in accounts that a stopped run had read: what they are is encrypted

Next: drawbridge scan snapshots/2026-10-01T02-00-00Z --identity FILE
`
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := summary(&b, collect.Options{}, collect.Result{Dropped: true}); err != nil || !strings.Contains(b.String(), "was read anew: the organisation has other accounts since") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
