package eval

import "testing"

func TestIncompleteRequestsAreUnknown(t *testing.T) {
	for name, r := range map[string]*Request{
		"nothing":     {},
		"no caller":   {Policies: &Policies{}},
		"no policies": {Caller: AnonymousCaller()},
	} {
		var e Evaluator
		if d := e.Decide(r); d.Verdict != Unknown || d.By != NoRef || d.LeftOver.IsAlways() || d.LeftOver.IsNever() {
			t.Errorf("%s: %+v", name, d)
		}
	}
}
