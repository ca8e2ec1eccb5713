package policy_test

import (
	"fmt"

	"drawbridge/iam/policy"
)

// Every problem is reported, with its place. What can be read is read: here the first statement is good and the second is not
// understood.
func ExampleParse() {
	document, problems := policy.Parse([]byte(`{
  "Version": "2012-10-17",
  "Statement": [
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"},
    {"Effect": "allow", "Action": 7, "Resource": "*"}
  ]
}`))
	for _, p := range problems {
		fmt.Println(p)
	}
	action := document.Statements[0].Action.Values[0]
	fmt.Printf("%s at line %d, column %d\n", action.Value, action.Pos.Line, action.Pos.Column)
	fmt.Println("understood:", document.Statements[1].NotUnderstood == "")
	// Output:
	// line 5, column 16: Effect: expected "Allow" or "Deny", found "allow"
	// line 5, column 35: Action: expected a string, found a number
	// s3:GetObject at line 4, column 35
	// understood: false
}

// Documents that say the same print the same.
func ExampleDocument_Canonical() {
	document, _ := policy.Parse([]byte(`{
		"Statement": [{
			"Resource": ["*"],
			"Action": ["s3:PutObject", "s3:GetObject", "s3:GetObject"],
			"Effect": "Allow"
		}],
		"Version": "2012-10-17"
	}`))
	fmt.Printf("%s\n", document.Canonical())
	// Output:
	// {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"*"}]}
}

// What AWS refuses depends on what the document is meant as.
func ExampleCheck() {
	document, _ := policy.Parse([]byte(`{
		"Version": "2012-10-17",
		"Statement": {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/*"}, "Action": "sts:AssumeRole"}
	}`))
	for _, p := range policy.Check(document, policy.Trust) {
		fmt.Println(p)
	}
	fmt.Println("as an identity policy:", policy.Check(document, policy.Identity)[0].Message)
	// Output:
	// line 3, column 57: principal "arn:aws:iam::111122223333:role/*": a wildcard stands alone, under AWS, or not at all
	// as an identity policy: the statement has neither Resource nor NotResource
}

// A compiled policy has one rule for each statement, in the form that the evaluator reads.
func ExampleCompile() {
	document, _ := policy.Parse([]byte(`{
		"Version": "2012-10-17",
		"Statement": {"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "Resource": "*"}
	}`))
	rule := policy.Compile(document).Rules[0]
	fmt.Println(rule.Effect, rule.Actions.Match("s3:getobject"), rule.Actions.Match("iam:getuser"))
	// Output:
	// Deny true false
}
