package finding

import (
	"slices"
	"testing"
)

func TestDiff(t *testing.T) {
	old := []Finding{
		{Fingerprint: "same", Severity: High},
		{Fingerprint: "gone", Severity: High},
		{Fingerprint: "worse", Severity: Low},
		{Fingerprint: "better", Severity: High},
		{Fingerprint: "assessed", Status: NotAssessed, Severity: High},
		{Fingerprint: "not assessed any more", Severity: High},
	}
	current := []Finding{
		{Fingerprint: "new low", Severity: Low},
		{Fingerprint: "new", Severity: Critical},
		{Fingerprint: "same", Severity: High},
		{Fingerprint: "worse", Severity: Medium},
		{Fingerprint: "better", Severity: Info},
		{Fingerprint: "assessed", Severity: High},
		{Fingerprint: "not assessed any more", Status: NotAssessed, Severity: High},
	}
	d := Diff(old, current)
	prints := func(fs []Finding) (out []string) {
		for _, f := range fs {
			out = append(out, f.Fingerprint)
		}
		return out
	}
	both := func(rs []Regraded) (out []string) {
		for _, r := range rs {
			out = append(out, r.New.Fingerprint)
		}
		return out
	}
	for _, check := range []struct {
		name      string
		got, want []string
	}{
		{"new", prints(d.New), []string{"new", "new low"}},
		{"gone", prints(d.Gone), []string{"gone"}},
		{"worse", both(d.Worse), []string{"assessed", "worse"}},
		{"better", both(d.Better), []string{"better", "not assessed any more"}},
	} {
		if !slices.Equal(check.got, check.want) {
			t.Errorf("%s: got %q, want %q", check.name, check.got, check.want)
		}
	}
	if d := Diff(current, current); len(d.New)+len(d.Gone)+len(d.Worse)+len(d.Better) != 0 {
		t.Errorf("a run differs from itself: %+v", d)
	}
}
