package eval_test

import (
	"encoding/json"
	"os"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// benchRequest is the request of the reference folder on which engines are compared.
type benchRequest struct {
	Principal, Resource, ResourceAccount, Action string
	Context                                      map[string]string
	Identity                                     []json.RawMessage
	Boundary                                     json.RawMessage
	SCPs                                         [][]json.RawMessage
	ResourcePolicy                               json.RawMessage
}

func loadBench(tb testing.TB) *eval.Request {
	tb.Helper()
	const file = "../../../shared/reference/bench-request.json"
	text, err := os.ReadFile(file)
	if err != nil {
		tb.Skipf("skipped: the reference request is not beside this project: %v", err)
	}
	var b benchRequest
	if err := json.Unmarshal(text, &b); err != nil {
		tb.Fatal(err)
	}
	compile := func(documents ...json.RawMessage) eval.Set {
		var s eval.Set
		for _, d := range documents {
			parsed, problems := policy.Parse(d)
			if len(problems) > 0 {
				tb.Fatal(problems)
			}
			s.Policies = append(s.Policies, policy.Compile(parsed))
		}
		return s
	}
	caller, err := eval.NewCaller(b.Principal)
	if err != nil {
		tb.Fatal(err)
	}
	ctx := &cond.Context{Parent: caller.Context()}
	for k, v := range b.Context {
		ctx.Set(k, v)
	}
	boundary, resource := compile(b.Boundary), compile(b.ResourcePolicy)
	policies := &eval.Policies{Identity: compile(b.Identity...), Boundary: &boundary, Resource: &resource}
	for _, level := range b.SCPs {
		policies.SCPs = append(policies.SCPs, compile(level...))
	}
	return &eval.Request{
		Caller: caller, Action: eval.MustAction(b.Action), Resource: b.Resource, ResourceAccount: b.ResourceAccount,
		Context: ctx, Policies: policies,
	}
}

func BenchmarkDecide(b *testing.B) {
	r := loadBench(b)
	var e eval.Evaluator
	if d := e.Decide(r); d.Verdict != eval.Allow {
		b.Fatalf("got %v, want Allow", d.Verdict)
	}
	b.ReportAllocs()
	for b.Loop() {
		e.Decide(r)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

func BenchmarkDecideTraced(b *testing.B) {
	r := loadBench(b)
	steps := 0
	e := eval.Evaluator{Trace: func(eval.Step) { steps++ }}
	b.ReportAllocs()
	for b.Loop() {
		e.Decide(r)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}
