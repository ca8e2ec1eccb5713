package eval_test

import (
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
)

// TestDecideDoesNotAllocate holds what docs/reference/engine.md says: a decision that follows without unknown keys and variables
// costs no memory, whichever layer decides it and whether or not it is traced.
func TestDecideDoesNotAllocate(t *testing.T) {
	allow := read(`{"Version": "2012-10-17", "Statement": [
		{"Effect": "Allow", "Action": ["s3:Get*", "*:List?*s"], "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:*:*:x"],
		 "Condition": {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]},
		  "NumericLessThan": {"aws:MultiFactorAuthAge": "3600"}, "IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}}]}`)
	deny := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}`)
	trust := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "s3:*", "Resource": "*"}}`)
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:role/r")
	if err != nil {
		t.Fatal(err)
	}
	ctx := &cond.Context{Parent: caller.Context()}
	ctx.Set("aws:TagKeys", "a")
	ctx.Set("aws:MultiFactorAuthAge", "60")
	ctx.Set("aws:SourceIp", "203.0.113.9")
	steps := 0
	for name, c := range map[string]struct {
		policies eval.Policies
		account  string
		trace    func(eval.Step)
		want     eval.Verdict
	}{
		"allowed in one account":    {eval.Policies{Identity: allow, Boundary: &allow}, "111122223333", nil, eval.Allow},
		"allowed across accounts":   {eval.Policies{Identity: allow, SCPs: []eval.Set{allow}, Resource: &trust}, "444455556666", nil, eval.Allow},
		"denied by a statement":     {eval.Policies{Identity: allow, Endpoint: &deny}, "111122223333", nil, eval.Deny},
		"denied by nothing allowed": {eval.Policies{Identity: eval.Set{}}, "111122223333", nil, eval.Deny},
		"traced":                    {eval.Policies{Identity: allow}, "111122223333", func(eval.Step) { steps++ }, eval.Allow},
	} {
		e := eval.Evaluator{Trace: c.trace}
		r := eval.Request{Caller: caller, Action: eval.MustAction("s3:GetObject"), Resource: "arn:aws:s3:::b/x", ResourceAccount: c.account, Context: ctx, Policies: &c.policies}
		if d := e.Decide(&r); d.Verdict != c.want {
			t.Errorf("%s: %v, want %v by %v", name, d.Verdict, c.want, d.By)
		}
		if n := testing.AllocsPerRun(100, func() { e.Decide(&r) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
