package compare

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// The properties hold over small policies and a small universe of requests, all of which are tried. Deciding each of them is the
// reference: a comparison must never deny a difference that a request of the universe shows.

const home = "111122223333" // account of the resource, and of the identity

var (
	someActions   = []string{"s3:GetObject", "s3:PutObject", "s3:*", "s3:Get*", "s3:?etObject", "*", "sqs:SendMessage", "s3:GetObjectAcl"}
	someResources = []string{"*", "arn:aws:s3:::data/*", "arn:aws:s3:::data*", "arn:aws:s3:::data/a", "arn:aws:s3:::*/a", "arn:aws:s3:::data/?", "arn:aws:s3:::*", "arn:aws:sqs:*:*:q",
		"arn:aws:s3:::data/${aws:PrincipalTag/team}"}
	someTests = []string{
		`"StringEquals": {"aws:PrincipalTag/team": "a"}`, `"StringNotEquals": {"aws:PrincipalTag/team": ["a", "b"]}`, `"StringLike": {"aws:PrincipalTag/team": "a*"}`,
		`"StringEqualsIfExists": {"aws:PrincipalTag/team": "b"}`, `"Null": {"aws:PrincipalTag/team": "true"}`,
		`"Bool": {"aws:ViaAWSService": "true"}`, `"BoolIfExists": {"aws:ViaAWSService": "false"}`, `"NumericLessThan": {"s3:max-keys": "10"}`,
		`"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}`, `"NotIpAddress": {"aws:SourceIp": "10.1.0.0/16"}`,
		`"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/a*"}`, `"StringEquals": {"aws:PrincipalAccount": "777788889999"}`,
		`"StringNotLike": {"aws:PrincipalArn": "arn:aws:iam::777788889999:user/*"}`,
	}
	somePrincipals = []string{`"*"`, `{"AWS": "777788889999"}`, `{"AWS": "arn:aws:iam::777788889999:role/app"}`, `{"AWS": "arn:aws:iam::777788889999:user/ann"}`,
		`{"AWS": "111122223333"}`, `{"AWS": "arn:aws:iam::111122223333:role/app"}`, `{"Service": "lambda.amazonaws.com"}`, `{"AWS": ["777788889999", "444455556666"]}`}
)

func pick(t *rapid.T, from []string, label string) string {
	return rapid.SampledFrom(from).Draw(t, label)
}

func drawStatement(t *rapid.T, kind policy.Kind) string {
	effect := pick(t, []string{"Allow", "Allow", "Deny"}, "effect")
	list := func(from []string, label string) string {
		values := rapid.SliceOfN(rapid.SampledFrom(from), 1, 2).Draw(t, label)
		return `["` + strings.Join(values, `","`) + `"]`
	}
	not := func(name string) string { return pick(t, []string{name, name, name, "Not" + name}, "element") }
	parts := []string{fmt.Sprintf(`"Effect": %q`, effect)}
	switch kind {
	case policy.Trust:
		parts = append(parts, `"Action": `+pick(t, []string{`"sts:AssumeRole"`, `["sts:AssumeRole", "sts:TagSession"]`, `"sts:*"`}, "action"))
	default:
		parts = append(parts, fmt.Sprintf("%q: %s", not("Action"), list(someActions, "actions")), fmt.Sprintf("%q: %s", not("Resource"), list(someResources, "resources")))
	}
	if kind != policy.Identity {
		name := "Principal"
		if effect == "Deny" {
			name = not(name)
		}
		parts = append(parts, fmt.Sprintf("%q: %s", name, pick(t, somePrincipals, "principal")))
	}
	byOperator := map[string]string{}
	for _, test := range rapid.SliceOfN(rapid.SampledFrom(someTests), 0, 2).Draw(t, "tests") {
		operator, rest, _ := strings.Cut(test, ": ")
		byOperator[operator] = operator + ": " + rest
	}
	if len(byOperator) > 0 {
		var tests []string
		for _, test := range byOperator {
			tests = append(tests, test)
		}
		slices.Sort(tests)
		parts = append(parts, `"Condition": {`+strings.Join(tests, ", ")+`}`)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func drawSide(t *rapid.T, kind policy.Kind) []string {
	side := make([]string, rapid.IntRange(1, 3).Draw(t, "statements"))
	for i := range side {
		side[i] = drawStatement(t, kind)
	}
	return side
}

// universe tries requests of a kind by both sides until try says no.
func universe(kind policy.Kind, old, new []*policy.Policy, try func(old, new *eval.Request) bool) {
	actions := []string{"s3:GetObject", "s3:PutObject", "sqs:SendMessage"}
	resources := []string{"arn:aws:s3:::data/a", "arn:aws:s3:::data/ab", "arn:aws:s3:::other/a", "arn:aws:sqs:eu-west-1:111122223333:q", "*"}
	callers := []string{"arn:aws:iam::777788889999:role/app", "arn:aws:iam::777788889999:user/ann", "arn:aws:iam::777788889999:role/x", "arn:aws:iam::444455556666:role/app",
		"arn:aws:iam::222233334444:role/any", "arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:user/bob", "arn:aws:iam::111122223333:root", "lambda.amazonaws.com", "ec2.amazonaws.com", "anonymous"}
	switch kind {
	case policy.Identity:
		callers = []string{"arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:role/x", "arn:aws:iam::111122223333:user/ann"}
	case policy.Trust:
		actions, resources = []string{"sts:AssumeRole", "sts:TagSession"}, []string{"arn:aws:iam::111122223333:role/example"}
	default:
		resources = resources[:4]
	}
	keys := []struct{ key, value string }{{}, {"aws:PrincipalTag/team", "a"}, {"aws:PrincipalTag/team", "b"}, {"aws:PrincipalTag/team", "ab"}, {"aws:PrincipalTag/team", "c"}}
	more := []struct{ key, value string }{{}, {"aws:ViaAWSService", "true"}, {"aws:ViaAWSService", "false"}, {"s3:max-keys", "5"}, {"s3:max-keys", "10"},
		{"aws:SourceIp", "10.2.0.1"}, {"aws:SourceIp", "10.1.0.1"}, {"aws:SourceIp", "192.0.2.1"}}
	var subjects []*eval.Caller
	for _, name := range callers {
		s, err := eval.NewCaller(name)
		if err != nil {
			panic(err)
		}
		subjects = append(subjects, s)
	}
	c := newComparison(kind, slices.Concat(old, new), Options{Account: home})
	for _, a := range actions {
		for _, r := range resources {
			for _, s := range subjects {
				for _, side := range []side{able, bare, bounded} {
					if side != able && (kind == policy.Identity || s.Account != home) {
						continue
					}
					for _, k := range keys {
						for _, m := range more {
							ctx := &cond.Context{Parent: s.Context()}
							if k.key != "" {
								ctx.Set(k.key, k.value)
							}
							if m.key != "" {
								ctx.Set(m.key, m.value)
							}
							q := question{action: eval.MustAction(a), resource: r, side: side}
							if !try(c.request(q, old, s, ctx), c.request(q, new, s, ctx)) {
								return
							}
						}
					}
				}
			}
		}
	}
}

func TestDifferencesOfTheUniverseAreSeen(t *testing.T) {
	engine := ref.Engine()
	seen := map[Relation]int{}
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]policy.Kind{policy.Identity, policy.Resource, policy.Trust}).Draw(rt, "kind")
		before := drawSide(rt, kind)
		after := drawSide(rt, kind)
		if rapid.Bool().Draw(rt, "related") {
			after = append(slices.Clone(before), after...)[rapid.IntRange(0, 1).Draw(rt, "dropped"):]
		}
		old, new := read(t, strings.Join(before, ",")), read(t, strings.Join(after, ","))
		r := Policies(kind, old, new, Options{Engine: engine, Account: home})
		seen[r.Relation]++
		confirmed(t, r.Gained)
		confirmed(t, r.Lost)
		say := func(q *eval.Request) string {
			var keys []string
			q.Context.Keys(func(name string, state cond.State, v []string) bool {
				keys = append(keys, fmt.Sprint(name, state, v))
				return true
			})
			return fmt.Sprintf("%s by %s%s on %s with %v\nold: %s\nnew: %s\n%s", q.Action, q.Caller.ARN, q.Caller.Service, q.Resource, keys,
				strings.Join(before, "\n     "), strings.Join(after, "\n     "), print(&r))
		}
		universe(kind, old, new, func(o, n *eval.Request) bool {
			a, b := engine.Decide(o).Verdict, engine.Decide(n).Verdict
			if a == eval.Deny && b == eval.Allow && (r.Relation == Equal || r.Relation == Narrower || r.NothingNew) {
				rt.Fatalf("%v, and NEW allows what OLD denies: %s", r.Relation, say(n))
			}
			if a == eval.Allow && b == eval.Deny && (r.Relation == Equal || r.Relation == Wider) {
				rt.Fatalf("%v, and OLD allows what NEW denies: %s", r.Relation, say(n))
			}
			return true
		})
	})
	t.Log(seen)
}

// A policy is equal to itself, whatever is in it, and to itself in another order.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kind := rapid.SampledFrom([]policy.Kind{policy.Identity, policy.Resource, policy.Trust}).Draw(rt, "kind")
		side := drawSide(rt, kind)
		reversed := slices.Clone(side)
		slices.Reverse(reversed)
		r := Policies(kind, read(t, strings.Join(side, ",")), read(t, strings.Join(reversed, ",")), Options{Account: home})
		if r.Relation != Equal {
			rt.Fatalf("%v: %s\n%s", r.Relation, strings.Join(side, "\n"), print(&r))
		}
	})
}
