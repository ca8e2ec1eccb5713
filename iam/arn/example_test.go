package arn_test

import (
	"fmt"

	"drawbridge/iam/arn"
)

func ExampleParse() {
	a, err := arn.Parse("arn:aws:iam::111122223333:role/team/deploy")
	fmt.Println(a.Service, a.Account, a.ResourceType(), a.ResourceName(), err)

	_, err = arn.Parse("arn:aws:iam")
	fmt.Println(err)
	// Output:
	// iam 111122223333 role deploy <nil>
	// not an ARN: "arn:aws:iam" has 3 of 6 colon-separated fields
}

// An ARN pattern is compared field by field: before the last field a star does not span colons, in the last it does.
func ExamplePattern_Match() {
	topics := arn.CompilePattern("arn:aws:sns:*:111122223333:orders-*")
	fmt.Println(topics.Match("arn:aws:sns:eu-west-1:111122223333:orders-new"))
	fmt.Println(topics.Match("arn:aws:sns:eu-west-1:999988887777:orders-new"))

	groups := arn.CompilePattern("arn:aws:logs:eu-west-1:111122223333:log-group:*")
	fmt.Println(groups.Match("arn:aws:logs:eu-west-1:111122223333:log-group:app:log-stream:1"))
	// Output:
	// true
	// false
	// true
}

// Two patterns are compared as the sets of ARNs that they match.
func ExamplePattern_Covers() {
	wide := arn.CompilePattern("arn:aws:s3:::logs-*")
	narrow := arn.CompilePattern("arn:aws:s3:::logs-2026-*")
	other := arn.CompilePattern("arn:aws:s3:::*-archive")
	fmt.Println(wide.Covers(&narrow), narrow.Covers(&wide))
	fmt.Println(wide.Intersects(&other)) // logs-archive
	// Output:
	// true false
	// true
}

// Actions are patterns of one field. The question mark is exactly one character.
func ExampleGlob_Match() {
	g := arn.CompileGlob("s3:get*acl")
	fmt.Println(g.Match("s3:getobjectacl"), g.Match("s3:getobject"))

	one := arn.CompileGlob("v?")
	fmt.Println(one.Match("v1"), one.Match("v10"))
	// Output:
	// true false
	// true false
}
