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
	// Unknown if sts:ExternalId is "watchtower-5f1d2c9e7a"
	// Deny by the layer trust
	// Allow by statement 0 of the layer trust
}

// read is a set of one policy, for the examples below.
func read(text string) eval.Set {
	document, problems := policy.Parse([]byte(text))
	if len(problems) > 0 {
		fmt.Println(problems)
		return eval.Set{Unresolved: []string{"a policy that cannot be read"}}
	}
	return eval.Set{Policies: []*policy.Policy{policy.Compile(document)}}
}

// A trace says of every statement whether it applies, and which element stopped it.
func ExampleEvaluator_trace() {
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:user/ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	engine := eval.Evaluator{Trace: func(s eval.Step) {
		fmt.Printf("%v statement %d: %v applies: %v %q\n", s.Layer, s.Statement, s.Effect, s.Matched, s.Stopped)
	}}
	d := engine.Decide(&eval.Request{
		Caller:          caller,
		Action:          eval.MustAction("s3:GetObject"),
		Resource:        "arn:aws:s3:::reports/2026.pdf",
		ResourceAccount: "111122223333",
		Policies: &eval.Policies{Identity: read(`{
			"Version": "2012-10-17",
			"Statement": [
				{"Effect": "Allow", "Action": "s3:Put*", "Resource": "*"},
				{"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/*"},
				{"Effect": "Deny", "Action": "s3:*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
			]
		}`)},
	})
	fmt.Printf("%v by statement %d of the layer %v\n", d.Verdict, d.By.Statement, d.By.Layer)

	// Output:
	// identity statement 0: Allow applies: false "action"
	// identity statement 1: Allow applies: true ""
	// identity statement 2: Deny applies: false "condition"
	// Allow by statement 1 of the layer identity
}

// Who gets in, and by what request? The caller is anybody, and of the request nothing is known. What is left over says what must
// be true; a witness is a request that shows it.
func ExampleDecision_leftOver() {
	bucket := read(`{
		"Version": "2012-10-17",
		"Statement": [
			{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::reports/*",
			 "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}},
			{"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::reports/*",
			 "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
		]
	}`)
	anyone := eval.AnyonesPrincipal()
	request := eval.Request{
		Caller:          anyone,
		Action:          eval.MustAction("s3:GetObject"),
		Resource:        "arn:aws:s3:::reports/2026.pdf",
		ResourceAccount: "111122223333",
		Context:         &cond.Context{Parent: anyone.Context(), Rest: cond.Undetermined},
		Policies:        &eval.Policies{Resource: &bucket, CallerAssumed: true},
	}
	var engine eval.Evaluator
	d := engine.Decide(&request)
	fmt.Println(d.Verdict, "if", d.LeftOver)

	if witness, found := engine.Witness(&request); found {
		_, organisation := witness.Context.Lookup("aws:principalorgid")
		fmt.Println("for example from", organisation, engine.Decide(witness).Verdict)
	}

	// Output:
	// Unknown if aws:PrincipalOrgID is "o-a1b2c3d4e5", aws:SecureTransport is not false
	// for example from [o-a1b2c3d4e5] Allow
}

// Many questions share the compiled policies and the caller; each has keys of its own over the caller's.
func ExampleEvaluator_DecideAll() {
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:role/reader")
	if err != nil {
		fmt.Println(err)
		return
	}
	policies := &eval.Policies{Identity: read(`{
		"Version": "2012-10-17",
		"Statement": {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
	}`)}
	var requests []eval.Request
	for _, action := range []string{"s3:GetObject", "s3:PutObject", "s3:ListBucket"} {
		requests = append(requests, eval.Request{
			Caller: caller, Action: eval.MustAction(action), Resource: "arn:aws:s3:::reports", ResourceAccount: "111122223333", Policies: policies,
		})
	}
	decisions := make([]eval.Decision, len(requests))
	new(eval.Evaluator).DecideAll(requests, decisions)
	for i, d := range decisions {
		fmt.Println(requests[i].Action, d.Verdict)
	}

	// Output:
	// s3:GetObject Allow
	// s3:PutObject Deny
	// s3:ListBucket Allow
}

// A policy that applies and could not be read may allow and may deny: the answer is Unknown, and says why.
func ExampleSet_unresolved() {
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:user/ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	identity := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`)
	identity.Unresolved = []string{"policy arn:aws:iam::111122223333:policy/guard is not in the input"}
	var engine eval.Evaluator
	d := engine.Decide(&eval.Request{
		Caller: caller, Action: eval.MustAction("s3:ListAllMyBuckets"), Resource: "*", Policies: &eval.Policies{Identity: identity},
	})
	fmt.Println(d.Verdict, "if", d.LeftOver)

	// Output:
	// Unknown if policy arn:aws:iam::111122223333:policy/guard is not in the input
}

// An answer may turn on a point on which AWS's documents are silent.
func ExampleEvaluator_DependsOn() {
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:user/ada")
	if err != nil {
		fmt.Println(err)
		return
	}
	trust := read(`{
		"Version": "2012-10-17",
		"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/ada"}, "Action": "sts:AssumeRole"}
	}`)
	request := eval.Request{
		Caller:   caller,
		Action:   eval.MustAction("sts:AssumeRole"),
		Resource: "arn:aws:iam::111122223333:role/deploy",
		Policies: &eval.Policies{Resource: &trust},
	}
	var engine eval.Evaluator
	fmt.Println(engine.Decide(&request).Verdict)
	for _, reading := range engine.DependsOn(&request) {
		fmt.Println("as long as", reading.Record().Safe)
	}

	// Output:
	// Allow
	// as long as a trust policy that names a user of its own account needs no allow in the user's identity policies
}

// Who of many callers can do one thing: what follows from the action and the resource alone is looked at once.
func ExampleEvaluator_Query() {
	readers := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/*"}}`)
	writers := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:Put*", "Resource": "arn:aws:s3:::reports/*"}}`)
	var engine eval.Evaluator
	action, resource := eval.MustAction("s3:GetObject"), "arn:aws:s3:::reports/2026.pdf"
	query := engine.Query(action, resource)
	for name, identity := range map[string]eval.Set{"auditor": readers, "importer": writers, "backup": readers} {
		caller, err := eval.NewCaller("arn:aws:iam::111122223333:role/" + name)
		if err != nil {
			fmt.Println(err)
			return
		}
		d := query.Decide(&eval.Request{
			Caller: caller, Action: action, Resource: resource, ResourceAccount: "111122223333", Policies: &eval.Policies{Identity: identity},
		})
		fmt.Println(name, d.Verdict)
	}

	// Unordered output:
	// auditor Allow
	// backup Allow
	// importer Deny
}

// Assume one role, and from there another: the second call is made with the first role's credentials, and lasts an hour at most.
func ExampleEvaluator_Follow() {
	caller := func(arn string) *eval.Caller {
		c, err := eval.NewCaller(arn)
		if err != nil {
			fmt.Println(err)
		}
		return c
	}
	mayAssume := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}}`)
	trusts := func(principal string) *eval.Set {
		s := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "` + principal + `"}}}`)
		return &s
	}
	hub, target := "arn:aws:iam::111122223333:role/hub", "arn:aws:iam::444455556666:role/target"
	var engine eval.Evaluator
	o := engine.Follow(&eval.Chain{
		Start: eval.Holder{Caller: caller("arn:aws:iam::111122223333:user/ada"), Identity: mayAssume},
		Hops: []eval.Hop{
			{Role: eval.Holder{Caller: caller(hub), Identity: mayAssume}, Trust: trusts("111122223333"), SessionName: "one"},
			{Role: eval.Holder{Caller: caller(target)}, Trust: trusts(hub), SessionName: "two"},
		},
	})
	fmt.Println(o.Verdict, o.Stopped)
	for _, step := range o.Steps {
		fmt.Println(step.Decisions[0].Action, step.Decisions[0].Resource, step.Decisions[0].Verdict, step.Lasts)
	}

	// Output:
	// Allow -1
	// sts:AssumeRole arn:aws:iam::111122223333:role/hub Allow 1h0m0s
	// sts:AssumeRole arn:aws:iam::444455556666:role/target Allow 1h0m0s
}
