package lint_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"drawbridge/iam/compare"
	"drawbridge/iam/lint"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// statements draws a few statements of a small universe, in which many cover each other.
func statements(t *rapid.T) []map[string]any {
	some := func(name string, values ...any) any { return rapid.SampledFrom(values).Draw(t, name) }
	list := make([]map[string]any, rapid.IntRange(1, 4).Draw(t, "statements"))
	for i := range list {
		s := map[string]any{"Effect": some("effect", "Allow", "Allow", "Deny")}
		s[some("not", "Action", "Action", "Action", "NotAction").(string)] = some("action", "s3:GetObject", "s3:Get*", "s3:*", "*", []string{"s3:GetObject", "sqs:SendMessage"})
		s[some("not", "Resource", "Resource", "Resource", "NotResource").(string)] = some("resource", "*", "arn:aws:s3:::a/*", "arn:aws:s3:::a/b", "arn:aws:s3:::*", "arn:aws:s3:::home/${aws:username}", []string{"arn:aws:s3:::a/b", "arn:aws:sqs:*:*:q"})
		condition := map[string]any{}
		for range rapid.IntRange(0, 2).Draw(t, "tests") {
			condition[some("operator", "StringEquals", "StringLike", "StringNotEquals", "StringEqualsIfExists").(string)] = map[string]any{
				some("key", "aws:PrincipalOrgID", "aws:PrincipalTag/team").(string): some("value", "a", "b", []string{"a", "b"}),
			}
		}
		if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
			condition["Null"] = map[string]any{"aws:PrincipalOrgID": some("null", "true", "false")}
		}
		if len(condition) > 0 {
			s["Condition"] = condition
		}
		list[i] = s
	}
	return list
}

// TestSuperfluous: a statement that lint calls covered, taken back or impossible can be taken out, and the policy allows the
// same requests as before.
func TestSuperfluous(t *testing.T) {
	held := 0
	rapid.Check(t, func(t *rapid.T) {
		list := statements(t)
		before := document(t, list)
		for _, d := range lint.Check(before, policy.Identity, lint.Options{}) {
			if d.ID != "LNT-111" && d.ID != "LNT-113" && d.ID != "LNT-201" {
				continue
			}
			rest := append(append([]map[string]any{}, list[:d.Statement]...), list[d.Statement+1:]...)
			if len(rest) == 0 {
				rest = []map[string]any{{"Effect": "Deny", "Action": "*", "Resource": "*"}}
			}
			after := document(t, rest)
			result := compare.Policies(policy.Identity, []*policy.Policy{policy.Compile(before)}, []*policy.Policy{policy.Compile(after)}, compare.Options{Engine: ref.Engine()})
			if len(result.Gained)+len(result.Lost) > 0 {
				t.Fatalf("%v: without it: %s", d, result.Relation)
			}
			held++
		}
	})
	if held == 0 {
		t.Error("nothing was superfluous: the test tests nothing")
	}
}

func document(t *rapid.T, list []map[string]any) *policy.Document {
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": list})
	if err != nil {
		t.Fatal(err)
	}
	d, problems := policy.Parse(text)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return d
}
