package lint_test

import (
	"fmt"

	"drawbridge/iam/lint"
	"drawbridge/iam/policy"
)

// A misspelt key does not make a policy invalid. It makes a condition that no request meets.
func ExampleText() {
	for _, d := range lint.Text([]byte(`{
  "Version": "2012-10-17",
  "Statement": {
    "Effect": "Allow",
    "Principal": {"AWS": "arn:aws:iam::111122223333:role/*"},
    "Action": "sts:AssumeRole",
    "Condition": {"StringEquals": {"aws:PrincipleOrgID": "o-a1b2c3d4e5"}}
  }
}`), policy.Trust) {
		fmt.Println(d)
	}
	// Output:
	// 5:26: error LNT-010: principal "arn:aws:iam::111122223333:role/*": a wildcard stands alone or not at all; a condition on aws:PrincipalArn takes patterns
	// 7:36: warning LNT-103: condition key "aws:PrincipleOrgID" is not documented: aws:PrincipalOrgID is nearest
}

// Apply makes the fixes that are certain and leaves the rest as it is.
func ExampleApply() {
	text := `{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObject"], "Resource": "*"}}`
	fixed, made := lint.Apply(text, lint.Text([]byte(text), policy.Identity))
	fmt.Println(fixed)
	fmt.Println(made[0])
	// Output:
	// {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": "*"}}
	// 1:87: note LNT-202: "s3:GetObject" stands in the list already
}
