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
	// Stopped is the step of a chain that does not pass for certain, from 0, and Reason says why; the request comes after the hops.
	Stopped *int   `json:"stopped,omitempty"`
	Reason  string `json:"reason,omitempty"`
	// DependsOn are the readings on which the verdict turns.
	DependsOn []string `json:"dependsOn,omitempty"`
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
	e := *engine
	e.Readings = d.Readings
	var a Answer
	if d.Chain != nil {
		a = d.follow(&e)
	} else {
		a = d.decide(&e)
	}
	a.Name = d.Name
	if d.Expect != "" {
		passed := a.Verdict == d.Expect && (d.Stops == nil || a.Stopped != nil && *a.Stopped == *d.Stops)
		a.Passed = &passed
		if !passed {
			a.Expect = d.Expect
		}
	}
	return a
}

// decide answers a request, on all its resources.
func (d *Decision) decide(e *eval.Evaluator) Answer {
	got, at := e.DecideEvery(append([]eval.Request{d.Request}, d.Also...))
	a := d.answer(&got, d.names)
	if at > 0 {
		a.Reason = "decided by resource " + d.Also[at-1].Resource
		a.DecidedBy = DecidedBy{Layer: got.By.Layer.String()}
	}
	for _, r := range e.DependsOn(&d.Request) {
		a.DependsOn = append(a.DependsOn, r.Record().Name)
	}
	return a
}

// follow answers a chain, by the decision of the step that matters: the one that stopped it, or the last.
func (d *Decision) follow(e *eval.Evaluator) Answer {
	o := e.Follow(d.Chain)
	last := o.Steps[len(o.Steps)-1].Decisions
	step := len(o.Steps) - 1
	if o.Stopped >= 0 {
		step = o.Stopped
		last = o.Steps[step].Decisions
	}
	a := Answer{Verdict: Verdict(&eval.Decision{Verdict: o.Verdict}), DecidedBy: DecidedBy{Layer: eval.AWS.String()}}
	for i := range last {
		if last[i].Verdict == o.Verdict {
			a = d.answer(&last[i].Decision, d.namesOf(step))
			break
		}
	}
	if o.Stopped >= 0 {
		a.Stopped, a.Reason = &o.Stopped, o.Reason
	}
	return a
}

// namesOf are the documents of a step: the caller's side is the one of the hop before.
func (d *Decision) namesOf(step int) names {
	n := names{}
	caller := d.names
	if step > 0 {
		caller = d.hopNames[step-1]
	}
	for _, layer := range [...]eval.Layer{eval.Identity, eval.Boundary, eval.SCP, eval.Session} {
		n[layer] = caller[layer]
	}
	resource := d.names
	if step < len(d.hopNames) {
		resource = d.hopNames[step]
	}
	for _, layer := range [...]eval.Layer{eval.Trust, eval.Resource, eval.RCP, eval.Endpoint} {
		n[layer] = resource[layer]
	}
	return n
}

func (d *Decision) answer(got *eval.Decision, n names) Answer {
	a := Answer{Verdict: Verdict(got), DecidedBy: decidedBy(got.By, n)}
	if got.Verdict == eval.Unknown {
		a.LeftOver = &LeftOver{got.LeftOver.String(), got.LeftOver}
	}
	return a
}

func decidedBy(ref eval.Ref, n names) DecidedBy {
	by := DecidedBy{Layer: ref.Layer.String()}
	levels := n[ref.Layer]
	if int(ref.Level) < len(levels) && ref.Document >= 0 && int(ref.Document) < len(levels[ref.Level]) {
		by.Document = levels[ref.Level][ref.Document]
	}
	if ref.Statement >= 0 {
		statement := int(ref.Statement)
		by.Statement = &statement
	}
	return by
}
