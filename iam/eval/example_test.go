package eval_test

import (
	"fmt"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// A vendor's role asks to assume a role whose trust policy demands an external id. What the vendor's own account allows was
// not collected and is assumed. Nothing is known of the request: the answer says what it must carry. Then one request is asked
// about whose keys are all known.
func ExampleEvaluator_Decide() {
	document, problems := policy.Parse([]byte(`{
		"Version": "2012-10-17",
		"Statement": {
			"Effect": "Allow",
			"Principal": {"AWS": "arn:aws:iam::777788889999:role/collector"},
			"Action": "sts:AssumeRole",
			"Condition": {"StringEquals": {"sts:ExternalId": "watchtower-5f1d2c9e7a"}}
		}
	}`))
	if len(problems) > 0 {
		fmt.Println(problems)
		return
	}
	caller, err := eval.NewCaller("arn:aws:iam::777788889999:role/collector")
	if err != nil {
		fmt.Println(err)
		return
	}
	trust := eval.Set{Policies: []*policy.Policy{policy.Compile(document)}}
	request := eval.Request{
		Caller:   caller,
		Action:   eval.MustAction("sts:AssumeRole"),
		Resource: "arn:aws:iam::444455556666:role/monitoring",
		Policies: &eval.Policies{Resource: &trust, CallerAssumed: true},
	}
	var engine eval.Evaluator

	request.Context = &cond.Context{Parent: caller.Context(), Rest: cond.Undetermined}
	d := engine.Decide(&request)
	fmt.Println(d.Verdict, "if", d.LeftOver)

	request.Context = &cond.Context{Parent: caller.Context()} // what is not set is absent
	d = engine.Decide(&request)
	fmt.Println(d.Verdict, "by the layer", d.By.Layer)

	request.Context.Set("sts:ExternalId", "watchtower-5f1d2c9e7a")
	d = engine.Decide(&request)
	fmt.Printf("%v by statement %d of the layer %v\n", d.Verdict, d.By.Statement, d.By.Layer)

	// Output:
	// Unknown if sts:ExternalId = watchtower-5f1d2c9e7a
	// Deny by the layer trust
	// Allow by statement 0 of the layer trust
}
