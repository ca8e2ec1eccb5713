package eval_test

import (
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

func TestWitness(t *testing.T) {
	const role = "arn:aws:iam::444455556666:role/target"
	for name, c := range map[string]struct {
		caller *eval.Caller
		trust  string
		found  bool
	}{
		"an external id is demanded": {caller("arn:aws:iam::111122223333:role/app"),
			`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"}}}`, true},
		"everything at once": {caller("arn:aws:iam::111122223333:role/app"),
			`{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringLike":{"sts:RoleSessionName":"ci-*"},"StringNotLike":{"sts:RoleSessionName":["ci-x","ci-"]},"IpAddress":{"aws:SourceIp":"203.0.113.0/24"},"NumericLessThan":{"aws:MultiFactorAuthAge":"60"}}}`, true},
		"some principal of an account": {eval.SomePrincipal("aws", "111122223333"),
			`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/app"},"Action":"sts:AssumeRole"}`, true},
		"anyone": {eval.AnyonesPrincipal(),
			`{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/ci-*"}}}`, true},
		"nobody": {caller("arn:aws:iam::111122223333:role/app"),
			`{"Effect":"Allow","Principal":{"AWS":"777788889999"},"Action":"sts:AssumeRole"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := &eval.Request{
				Caller: c.caller, Action: eval.MustAction("sts:AssumeRole"), Resource: role,
				Context: &cond.Context{Parent: c.caller.Context(), Rest: cond.Undetermined},
				Policies: &eval.Policies{CallerAssumed: true,
					Resource: &eval.Set{Policies: []*policy.Policy{policy.MustParse(`{"Version":"2012-10-17","Statement":` + c.trust + `}`)}}},
			}
			var engine eval.Evaluator
			w, found := engine.Witness(r)
			if found != c.found {
				t.Fatalf("found %v, want %v", found, c.found)
			}
			if !found {
				return
			}
			if d := engine.Decide(w); d.Verdict != eval.Allow {
				t.Errorf("the witness is answered %v", d.Verdict)
			}
			if w.Caller.Kind == eval.AccountPrincipal {
				t.Error("the witness still stands for a class")
			}
		})
	}
}

func caller(name string) *eval.Caller {
	c, err := eval.NewCaller(name)
	if err != nil {
		panic(err)
	}
	return c
}
