package eval

import "drawbridge/iam/cond"

// DecideEvery answers a request that touches several resources (rule 89): every one must be allowed, each by whichever statement
// does. The requests share caller, action and context. The decision is that of the first resource that is not allowed for
// certain, and at is its place; what is left over is left over of all.
func (e *Evaluator) DecideEvery(requests []Request) (whole Decision, at int) {
	whole = Decision{Verdict: Allow, By: NoRef, Identity: NoRef, Resource: NoRef, LeftOver: cond.Always()}
	for i := range requests {
		d := e.Decide(&requests[i])
		switch {
		case d.Verdict == Deny:
			return d, i
		case i == 0:
			whole = d
		case d.Verdict == Unknown:
			left := whole.LeftOver.And(d.LeftOver)
			if whole.Verdict == Allow {
				whole, at = d, i
			}
			whole.LeftOver = left
			if left.IsNever() {
				whole.Verdict, whole.Explicit = Deny, false
				return whole, i
			}
		}
	}
	return whole, at
}
