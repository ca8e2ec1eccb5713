package eval

import (
	"strings"

	"drawbridge/iam/cond"
)

// Witness completes a request so that nothing about it is open any more and the evaluator, asked afresh, allows it: each key that
// was unknown has values or is absent, and a caller that stands for a class is one of its members where the answer names one. The
// request itself is not changed. It answers false for a denial, and where no completion was found: of an Unknown verdict
// that does not prove that there is none.
func (e *Evaluator) Witness(r *Request) (*Request, bool) {
	fresh := *e
	fresh.Trace = nil
	d := fresh.Decide(r)
	if d.Verdict == Deny {
		return nil, false
	}
	base := r.Context
	if base == nil && r.Caller != nil {
		base = r.Caller.Context()
	}
	chosen := &cond.Context{Parent: base, Rest: cond.Absent}
	if !d.LeftOver.Witness(chosen) {
		return nil, false
	}
	var open []string
	chosen.Keys(func(name string, state cond.State, _ []string) bool {
		if state == cond.Undetermined {
			open = append(open, name)
		}
		return true
	})
	for _, name := range open {
		chosen.SetAbsent(name)
	}
	n := *r
	n.Context = chosen
	if r.Caller.Kind.Symbolic() {
		n.Caller, n.Context = member(r.Caller, chosen)
	}
	return &n, fresh.Decide(&n).Verdict == Allow
}

// member is one caller of a class, the one that a context names; the class itself where it names none.
func member(class *Caller, ctx *cond.Context) (*Caller, *cond.Context) {
	state, values := ctx.Lookup("aws:principalarn")
	if state != cond.Present || len(values) != 1 {
		return class, ctx
	}
	one, err := NewCaller(values[0])
	if err != nil || class.Account != "" && one.Account != class.Account {
		return class, ctx
	}
	own := &cond.Context{Parent: one.Context()}
	ctx.Keys(func(name string, state cond.State, values []string) bool {
		switch lower := strings.ToLower(name); {
		case lower == "aws:userid" || lower == "aws:principaltype" || lower == "aws:username" || lower == "aws:principalaccount":
		case state == cond.Present:
			own.Set(name, values...)
		default:
			own.SetAbsent(name)
		}
		return true
	})
	return one, own
}
