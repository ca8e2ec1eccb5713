package eval_test

import (
	"fmt"
	"strings"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"pgregory.net/rapid"
)

// The pieces of which random statements are made. Actions, resources and the callers below meet often.
var (
	pieceActions = []string{
		`"Action":"*"`, `"Action":"s3:GetObject"`, `"Action":["s3:Get*","sqs:*"]`, `"Action":"s?:*"`, `"NotAction":"s3:PutObject"`,
		`"NotAction":["iam:*","s3:Get*"]`, `"Action":"sts:AssumeRole"`, `"Action":"*:Get*"`, `"Action":"ec2:*"`,
	}
	pieceResources = []string{
		`"Resource":"*"`, `"Resource":"arn:aws:s3:::b/*"`, `"Resource":["arn:aws:s3:::other","arn:aws:s3:::b/${aws:PrincipalTag/team}/*"]`,
		`"NotResource":"arn:aws:s3:::b/*"`, `"NotResource":"arn:aws:s3:::b/${aws:username}"`, `"Resource":"arn:aws:iam::*:role/r"`, `"Resource":"arn:aws:s3"`, `"Sid":"none"`,
	}
	piecePrincipals = []string{
		`"Principal":"*"`, `"Principal":{"AWS":"111122223333"}`, `"Principal":{"AWS":"arn:aws:iam::111122223333:role/app"}`, `"Sid":"nobody"`,
		`"Principal":{"AWS":["arn:aws:iam::444455556666:user/u","AROAEXAMPLE"],"Service":"ec2.amazonaws.com"}`, `"NotPrincipal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/app"]}`,
	}
	pieceConditions = []string{
		``, ``, ``, `,"Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"}}`, `,"Condition":{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`,
		`,"Condition":{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/a*"}}`, `,"Condition":{"NoSuchOperator":{"aws:username":"x"}}`,
		`,"Condition":{"StringEquals":{"aws:username":["u"]}}`,
	}
	pieceEffects = []string{`"Allow"`, `"Allow"`, `"Allow"`, `"Deny"`}
)

// drawSet is a set of up to three documents with up to four statements each; now and then one could not be read.
func drawSet(t *rapid.T, label string, named bool) eval.Set {
	var s eval.Set
	for range rapid.IntRange(0, 3).Draw(t, label) {
		var statements []string
		for range rapid.IntRange(1, 4).Draw(t, "statements") {
			principal := `"Sid":"s"`
			if named || rapid.IntRange(0, 30).Draw(t, "misplaced") == 0 {
				principal = rapid.SampledFrom(piecePrincipals).Draw(t, "principal")
			}
			statements = append(statements, fmt.Sprintf(`{"Effect":%s,%s,%s,%s%s}`, rapid.SampledFrom(pieceEffects).Draw(t, "effect"), principal,
				rapid.SampledFrom(pieceActions).Draw(t, "action"), rapid.SampledFrom(pieceResources).Draw(t, "resource"), rapid.SampledFrom(pieceConditions).Draw(t, "condition")))
		}
		d, problems := policy.Parse([]byte(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`))
		if d == nil {
			t.Fatal(problems)
		}
		s.Policies = append(s.Policies, policy.Compile(d))
	}
	if rapid.IntRange(0, 9).Draw(t, "unread") == 0 {
		s.Unresolved = []string{"a document that could not be read"}
	}
	return s
}

func drawOptional(t *rapid.T, label string, named bool) *eval.Set {
	if rapid.Bool().Draw(t, "no "+label) {
		return nil
	}
	s := drawSet(t, label, named)
	return &s
}

func drawPolicies(t *rapid.T) *eval.Policies {
	p := &eval.Policies{
		Identity: drawSet(t, "identity", false), Boundary: drawOptional(t, "boundary", false), Session: drawOptional(t, "session", false),
		Resource: drawOptional(t, "resource", true), Endpoint: drawOptional(t, "endpoint", true),
		Gateway: rapid.Bool().Draw(t, "gateway"), CallerAssumed: rapid.IntRange(0, 5).Draw(t, "assumed") == 0,
	}
	for range rapid.IntRange(0, 2).Draw(t, "levels") {
		p.SCPs, p.RCPs = append(p.SCPs, drawSet(t, "scp", false)), append(p.RCPs, drawSet(t, "rcp", true))
	}
	return p
}

var (
	batchCallers = []string{
		"arn:aws:iam::111122223333:role/app", "arn:aws:sts::111122223333:assumed-role/app/s", "arn:aws:iam::444455556666:user/u",
		"arn:aws:iam::111122223333:root", "ec2.amazonaws.com", "anonymous",
	}
	// Actions with resources, most of which belong together.
	batchQuestions = [][2]string{
		{"s3:GetObject", "arn:aws:s3:::b/k"}, {"s3:GetObject", "arn:aws:s3:::b/red/k"}, {"s3:PutObject", "arn:aws:s3:::b/k"}, {"s3:ListAllMyBuckets", "*"},
		{"sts:AssumeRole", "arn:aws:iam::111122223333:role/r"}, {"sts:AssumeRole", "arn:aws:iam::444455556666:role/x"},
		{"iam:PassRole", "arn:aws:iam::111122223333:role/r"}, {"sts:GetCallerIdentity", "*"}, {"sqs:SendMessage", "arn:aws:s3:::b/k"},
	}
	batchFacts = []*eval.Facts{nil, nil, {RestrictPublic: true}, {ObjectOwner: "999999999999"}, {AccessPoint: &eval.AccessPoint{
		Resource: "arn:aws:s3:eu-west-1:111122223333:accesspoint/p/object/k", Account: "111122223333",
		Policy: &eval.Set{Policies: []*policy.Policy{policy.MustParse(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}}`)}},
	}}}
)

func drawQuestion(t *rapid.T) (eval.Action, string) {
	q := rapid.SampledFrom(batchQuestions).Draw(t, "question")
	return eval.MustAction(q[0]), q[1]
}

func drawRequest(t *rapid.T, action eval.Action, resource string, p *eval.Policies) *eval.Request {
	caller, err := eval.NewCaller(rapid.SampledFrom(batchCallers).Draw(t, "caller"))
	if err != nil {
		t.Fatal(err)
	}
	if rapid.IntRange(0, 5).Draw(t, "symbolic") == 0 {
		caller = rapid.SampledFrom([]*eval.Caller{eval.SomePrincipal("aws", "111122223333"), eval.AnyonesPrincipal()}).Draw(t, "class")
	}
	ctx := &cond.Context{Parent: caller.Context(), Rest: rapid.SampledFrom([]cond.State{cond.Absent, cond.Undetermined}).Draw(t, "rest")}
	if rapid.Bool().Draw(t, "tagged") {
		ctx.Set("aws:PrincipalTag/team", "red")
	}
	return &eval.Request{Caller: caller, Action: action, Resource: resource, Context: ctx, Policies: p, Facts: rapid.SampledFrom(batchFacts).Draw(t, "facts"),
		ResourceAccount: rapid.SampledFrom([]string{"", "111122223333", "444455556666"}).Draw(t, "account")}
}

func shown(d eval.Decision) string {
	left := d.LeftOver.String()
	d.LeftOver = cond.Formula{}
	return fmt.Sprintf("%v under %s", d, left)
}

// TestQueryAnswersAsDecide: a Query, asked for many callers, gives each the whole decision that Decide gives.
func TestQueryAnswersAsDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := eval.Evaluator{Readings: rapid.SampledFrom([]cond.Readings{0, cond.ReadingsOf(cond.StarSpansColons), cond.ReadingsOf(cond.RCPWithoutResource)}).Draw(t, "readings")}
		action, resource := drawQuestion(t)
		query, policies := e.Query(action, resource), []*eval.Policies{drawPolicies(t), drawPolicies(t)}
		for range 8 {
			r := drawRequest(t, action, resource, rapid.SampledFrom(policies).Draw(t, "policies"))
			if rapid.IntRange(0, 9).Draw(t, "another") == 0 {
				r.Resource = "arn:aws:s3:::another"
			}
			if want, got := shown(e.Decide(r)), shown(query.Decide(r)); want != got {
				t.Fatalf("%s by %v:\nquery  %s\ndecide %s", r.Action, r.Caller.Kind, got, want)
			}
			if d := e.Decide(r); r.Resource == resource && r.Facts == nil && d.Identity.Layer == eval.Identity && d.Identity.Statement >= 0 && !query.Concerns(&r.Policies.Identity) {
				t.Fatalf("statement %v allows by policies that do not concern the question", d.Identity)
			}
		}
	})
}

// TestIndexAnswersAsDecide: an Index, asked many things about the same policies, gives the decisions that Decide gives.
func TestIndexAnswersAsDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var e eval.Evaluator
		index, policies := e.Index(), drawPolicies(t)
		for range 8 {
			action, resource := drawQuestion(t)
			r := drawRequest(t, action, resource, policies)
			if want, got := shown(e.Decide(r)), shown(index.Decide(r)); want != got {
				t.Fatalf("%s by %v:\nindex  %s\ndecide %s", r.Action, r.Caller.Kind, got, want)
			}
		}
	})
}

// TestBatchHandsOn: what cannot be answered faster is answered all the same, and a trace shows every statement.
func TestBatchHandsOn(t *testing.T) {
	p := policy.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"ec2:*","Resource":"*"},{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	action := eval.MustAction("s3:ListAllMyBuckets")
	steps := 0
	e := &eval.Evaluator{Trace: func(eval.Step) { steps++ }}
	caller, err := eval.NewCaller(batchCallers[0])
	if err != nil {
		t.Fatal(err)
	}
	r := &eval.Request{Caller: caller, Action: action, Resource: "*", Policies: &eval.Policies{Identity: eval.Set{Policies: []*policy.Policy{p}}}}
	if d := e.Query(action, "*").Decide(r); d.Verdict != eval.Allow || d.By.Statement != 1 || steps != 2 {
		t.Errorf("traced: %v by %v in %d steps, want Allow by statement 1 in 2 steps", d.Verdict, d.By, steps)
	}
	for name, r := range map[string]*eval.Request{"no caller": {Policies: &eval.Policies{}}, "no policies": {Caller: eval.AnonymousCaller()}} {
		r.Action, r.Resource = action, "*"
		if d := e.Index().Decide(r); d.Verdict != eval.Unknown {
			t.Errorf("%s: %v, want Unknown", name, d.Verdict)
		}
	}
}
