package finding

import (
	"slices"
	"strings"
)

// Difference is what changed in the findings from one run to another, by fingerprint.
type Difference struct {
	New, Gone []Finding
	// Worse and Better are findings of both runs whose severity rose or fell, or which a guard lowers only in one.
	Worse, Better []Regraded
}

// Regraded is a finding of both runs with another severity.
type Regraded struct{ Old, New Finding }

// Diff compares the findings of two runs. A finding that was not assessed in one run and is confirmed in the other has the
// same fingerprint only where the rule says so; otherwise it is one gone and one new. Lists are in the order of Sort.
func Diff(old, current []Finding) Difference {
	before := make(map[string]Finding, len(old))
	for _, f := range old {
		before[f.Fingerprint] = f
	}
	var d Difference
	still := map[string]bool{}
	for _, f := range current {
		was, ok := before[f.Fingerprint]
		still[f.Fingerprint] = true
		switch {
		case !ok:
			d.New = append(d.New, f)
		case f.Severity > was.Severity || f.Severity == was.Severity && f.Status == Confirmed && was.Status == NotAssessed:
			d.Worse = append(d.Worse, Regraded{was, f})
		case f.Severity < was.Severity || f.Status == NotAssessed && was.Status == Confirmed:
			d.Better = append(d.Better, Regraded{was, f})
		}
	}
	for _, f := range old {
		if !still[f.Fingerprint] {
			d.Gone = append(d.Gone, f)
		}
	}
	Sort(d.New)
	Sort(d.Gone)
	for _, list := range [][]Regraded{d.Worse, d.Better} {
		slices.SortStableFunc(list, func(a, b Regraded) int {
			return strings.Compare(a.New.Rule+a.New.Fingerprint, b.New.Rule+b.New.Fingerprint)
		})
	}
	return d
}
