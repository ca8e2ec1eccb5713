package eval_test

import (
	"sync"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// TestSharedBetweenGoroutines: one Evaluator, one Caller, one set of policies, one Query and one Index serve many goroutines at
// once; run with -race, it also shows that none of them writes to what the others read. The requests need every kind of work:
// a variable, a condition that is left over, statements that a Query leaves out.
func TestSharedBetweenGoroutines(t *testing.T) {
	identity := eval.Set{Policies: []*policy.Policy{policy.MustParse(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Deny","Action":"ec2:*","Resource":"*"},
		{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::b/${aws:PrincipalTag/team}/*"},
		{"Effect":"Allow","Action":"s3:PutObject","Resource":"*","Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)}}
	resource := eval.Set{Policies: []*policy.Policy{policy.MustParse(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":{"AWS":"444455556666"},"Action":"s3:*","Resource":"arn:aws:s3:::b/*"},
		{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}}]}`)}}
	policies := &eval.Policies{Identity: identity, Boundary: &identity, Resource: &resource, SCPs: []eval.Set{identity, identity}}
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:role/app")
	if err != nil {
		t.Fatal(err)
	}
	shared := &cond.Context{Parent: caller.Context(), Rest: cond.Undetermined}
	shared.Set("aws:PrincipalTag/team", "red")

	var e eval.Evaluator
	get, index := e.Query(eval.MustAction("s3:GetObject"), "arn:aws:s3:::b/red/k"), e.Index()
	var requests []*eval.Request
	for _, action := range []string{"s3:GetObject", "s3:PutObject", "ec2:RunInstances", "sqs:SendMessage"} {
		requests = append(requests, &eval.Request{Caller: caller, Action: eval.MustAction(action), Resource: "arn:aws:s3:::b/red/k",
			ResourceAccount: "444455556666", Context: shared, Policies: policies})
	}
	var want []string
	for _, r := range requests {
		want = append(want, shown(e.Decide(r)))
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				for i, r := range requests {
					for _, d := range []eval.Decision{e.Decide(r), get.Decide(r), index.Decide(r)} {
						if got := shown(d); got != want[i] {
							t.Errorf("%s: %s among others, %s alone", r.Action, got, want[i])
						}
					}
				}
			}
		})
	}
	wg.Wait()
}
