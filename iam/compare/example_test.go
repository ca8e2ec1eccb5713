package compare_test

import (
	"fmt"

	"drawbridge/iam/compare"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// A trust policy loses its external id, and lets the whole account in instead of one role. The difference is shown by a request.
func ExamplePolicies() {
	read := func(text string) []*policy.Policy {
		document, problems := policy.Parse([]byte(text))
		if len(problems) > 0 {
			fmt.Println(problems)
		}
		return []*policy.Policy{policy.Compile(document)}
	}
	old := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
		"Principal": {"AWS": "arn:aws:iam::777788889999:role/collector"},
		"Condition": {"StringEquals": {"sts:ExternalId": "watchtower-5f1d2c9e7a"}}}}`)
	changed := read(`{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
		"Principal": {"AWS": "777788889999"}}}`)

	r := compare.Policies(policy.Trust, old, changed, compare.Options{Engine: ref.Engine(), Account: "111122223333"})
	fmt.Println(r.Relation, "and nothing new is", r.NothingNew)
	for _, d := range r.Gained {
		fmt.Println(d.Witness.Action, "by", d.Who, "if", d.Conditions)
	}

	r = compare.Policies(policy.Trust, changed, old, compare.Options{Engine: ref.Engine(), Account: "111122223333"})
	fmt.Println(r.Relation, "and nothing new is", r.NothingNew)
	// Output:
	// wider and nothing new is false
	// sts:AssumeRole by [principals of account 777788889999] if aws:PrincipalArn is not "arn:aws:iam::777788889999:role/collector" or sts:ExternalId is not "watchtower-5f1d2c9e7a"
	// narrower and nothing new is true
}
