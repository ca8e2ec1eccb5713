package eval_test

import (
	"fmt"
	"strings"
	"testing"

	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// benchServices are services of a role that has grown over the years.
var benchServices = []string{"s3", "ec2", "sqs", "sns", "kms", "logs", "lambda", "dynamodb", "glue", "ecs"}

// grownPolicy has statements of every service, for resources that are its own.
func grownPolicy(statements, n int) *policy.Policy {
	list := make([]string, statements)
	for i := range list {
		service := benchServices[i%len(benchServices)]
		list[i] = fmt.Sprintf(`{"Effect":"Allow","Action":["%s:Get*","%s:List*","%s:Put*"],"Resource":["arn:aws:%s:::team-%d-%d","arn:aws:%s:::team-%d-%d/*"]}`,
			service, service, service, service, n, i, service, n, i)
	}
	return policy.MustParse(`{"Version":"2012-10-17","Statement":[` + strings.Join(list, ",") + `]}`)
}

// BenchmarkManyCallers asks one question for a thousand roles that share fifty sets of policies: each by itself, and by a Query.
func BenchmarkManyCallers(b *testing.B) {
	action, resource := eval.MustAction("s3:GetObject"), "arn:aws:s3:::team-7-10/report"
	full := policy.MustParse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`)
	var kinds [50]eval.Policies
	for i := range kinds {
		kinds[i] = eval.Policies{
			Identity: eval.Set{Policies: []*policy.Policy{grownPolicy(20, i), grownPolicy(20, i)}},
			SCPs:     []eval.Set{{Policies: []*policy.Policy{full}}, {Policies: []*policy.Policy{full}}},
		}
	}
	requests := make([]eval.Request, 1000)
	for i := range requests {
		caller, err := eval.NewCaller(fmt.Sprintf("arn:aws:iam::111122223333:role/r%d", i))
		if err != nil {
			b.Fatal(err)
		}
		requests[i] = eval.Request{Caller: caller, Action: action, Resource: resource, ResourceAccount: "111122223333", Policies: &kinds[i%len(kinds)]}
	}
	var e eval.Evaluator
	compare(b, requests, e.Decide, func() func(*eval.Request) eval.Decision { return e.Query(action, resource).Decide })
}

// BenchmarkManyRequests asks a thousand questions about one role with four hundred statements: each by itself, and by an Index.
func BenchmarkManyRequests(b *testing.B) {
	caller, err := eval.NewCaller("arn:aws:iam::111122223333:role/app")
	if err != nil {
		b.Fatal(err)
	}
	var identity eval.Set
	for n := range 10 {
		identity.Policies = append(identity.Policies, grownPolicy(40, n))
	}
	policies := &eval.Policies{Identity: identity}
	requests := make([]eval.Request, 1000)
	for i := range requests {
		service := benchServices[i%len(benchServices)]
		requests[i] = eval.Request{Caller: caller, Action: eval.MustAction(service + ":GetThing"), Policies: policies, ResourceAccount: "111122223333",
			Resource: fmt.Sprintf("arn:aws:%s:::team-%d-%d/report", service, i%10, i%40)}
	}
	var e eval.Evaluator
	compare(b, requests, e.Decide, func() func(*eval.Request) eval.Decision { return e.Index().Decide })
}

// compare measures the same requests answered one by one, and by something that is made anew for all of them.
func compare(b *testing.B, requests []eval.Request, alone func(*eval.Request) eval.Decision, prepare func() func(*eval.Request) eval.Decision) {
	run := func(name string, prepare func() func(*eval.Request) eval.Decision) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decide := prepare()
				for i := range requests {
					decide(&requests[i])
				}
			}
			b.ReportMetric(float64(b.N*len(requests))/b.Elapsed().Seconds(), "decisions/s")
		})
	}
	run("alone", func() func(*eval.Request) eval.Decision { return alone })
	run("together", prepare)
}
