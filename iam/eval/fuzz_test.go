package eval_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// FuzzDecide: the order of policies and statements and the spelling of documents change no verdict, and no document that
// parses makes the evaluator panic.
func FuzzDecide(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny","NotAction":"s3:Get*","Resource":"arn:aws:s3:::a/*"}]}`,
		`{"Statement":{"Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/app"]},"Action":"s3:GetObject","Resource":"*","Condition":{"StringLike":{"sts:ExternalId":["a","b*"]}}}}`, uint64(1))
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team, 'x'}/*"}]}`,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","NotPrincipal":{"AWS":"111122223333"},"Action":"*","Resource":"*","Condition":{"ForAllValues:StringNotEquals":{"aws:TagKeys":"k"},"Null":{"a:b":"true"}}}]}`, uint64(2))
	f.Fuzz(func(t *testing.T, identity, resource string, seed uint64) {
		first, second := parse(identity), parse(resource)
		if first == nil || second == nil {
			t.Skip()
		}
		r := rand.New(rand.NewPCG(seed, 0))
		for _, name := range []string{"arn:aws:iam::111122223333:role/app", "arn:aws:sts::111122223333:assumed-role/app/s", "arn:aws:iam::111122223333:user/u", "ec2.amazonaws.com", "anonymous"} {
			caller, err := eval.NewCaller(name)
			if err != nil {
				t.Fatal(err)
			}
			for _, account := range []string{"111122223333", "444455556666", ""} {
				want := decide(caller, account, first, second)
				if got := decide(caller, account, shuffled(r, first), shuffled(r, second)); got.Verdict != want.Verdict {
					t.Errorf("%s, %s: %v with statements shuffled, %v before", name, account, got.Verdict, want.Verdict)
				}
				if a, b := printed(t, first), printed(t, second); a != nil && b != nil {
					if got := decide(caller, account, a, b); got.Verdict != want.Verdict {
						t.Errorf("%s, %s: %v printed and read again, %v before", name, account, got.Verdict, want.Verdict)
					}
				}
			}
		}
	})
}

func parse(text string) *policy.Document {
	d, problems := policy.Parse([]byte(text))
	if slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Fatal }) {
		return nil
	}
	return d
}

// decide asks with half of the context known.
func decide(c *eval.Caller, account string, identity, resource *policy.Document) eval.Decision {
	ctx := &cond.Context{Parent: c.Context(), Rest: cond.Undetermined}
	ctx.Set("aws:SourceIp", "203.0.113.7")
	ctx.SetAbsent("a:b")
	own := policy.Compile(identity)
	var e eval.Evaluator
	return e.Decide(&eval.Request{
		Caller: c, Action: eval.MustAction("s3:GetObject"), Resource: "arn:aws:s3:::a/b", ResourceAccount: account, Context: ctx,
		Policies: &eval.Policies{
			Identity: eval.Set{Policies: []*policy.Policy{own, own}},
			Boundary: &eval.Set{Policies: []*policy.Policy{own}},
			Resource: &eval.Set{Policies: []*policy.Policy{policy.Compile(resource)}},
		},
	})
}

func shuffled(r *rand.Rand, d *policy.Document) *policy.Document {
	c := *d
	c.Statements = slices.Clone(d.Statements)
	r.Shuffle(len(c.Statements), func(i, j int) { c.Statements[i], c.Statements[j] = c.Statements[j], c.Statements[i] })
	return &c
}

func printed(t *testing.T, d *policy.Document) *policy.Document {
	t.Helper()
	return parse(string(d.Canonical()))
}
