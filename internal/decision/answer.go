package decision

import (
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
)

// Answer is the outside form of a decision's answer.
type Answer struct {
	Name      string    `json:"name"`
	Verdict   string    `json:"verdict"`
	LeftOver  *LeftOver `json:"leftOver,omitempty"` // of a verdict Unknown
	DecidedBy DecidedBy `json:"decidedBy"`
	// Passed is set where something was expected.
	Passed *bool  `json:"passed,omitempty"`
	Expect string `json:"expect,omitempty"` // where it was not met
}

// LeftOver is what must still be true, for people and as the normal form: a list of alternatives, each a list of tests.
type LeftOver struct {
	Text   string       `json:"text"`
	Normal cond.Formula `json:"normal"`
}

// DecidedBy names what decided. Document and Statement are left out where a layer decided by allowing nothing.
type DecidedBy struct {
	Layer     string `json:"layer"`
	Document  string `json:"document,omitempty"`
	Statement *int   `json:"statement,omitempty"` // from 0
}

// Verdict is the outside format's name of a verdict: the one table between the two.
func Verdict(d *eval.Decision) string {
	switch {
	case d.Verdict == eval.Allow:
		return "Allowed"
	case d.Verdict == eval.Deny && d.Explicit:
		return "ExplicitlyDenied"
	case d.Verdict == eval.Deny:
		return "ImplicitlyDenied"
	}
	return "Unknown"
}

// Answer decides.
func (d *Decision) Answer(engine *eval.Evaluator) Answer {
	got := engine.Decide(&d.Request)
	a := Answer{Name: d.Name, Verdict: Verdict(&got), DecidedBy: d.decidedBy(got.By)}
	if got.Verdict == eval.Unknown {
		a.LeftOver = &LeftOver{got.LeftOver.String(), got.LeftOver}
	}
	if d.Expect != "" {
		passed := a.Verdict == d.Expect
		a.Passed = &passed
		if !passed {
			a.Expect = d.Expect
		}
	}
	return a
}

func (d *Decision) decidedBy(ref eval.Ref) DecidedBy {
	by := DecidedBy{Layer: ref.Layer.String()}
	levels := d.names[ref.Layer]
	if int(ref.Level) < len(levels) && ref.Document >= 0 && int(ref.Document) < len(levels[ref.Level]) {
		by.Document = levels[ref.Level][ref.Document]
	}
	if ref.Statement >= 0 {
		statement := int(ref.Statement)
		by.Statement = &statement
	}
	return by
}
