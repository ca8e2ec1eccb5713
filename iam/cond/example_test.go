package cond_test

import (
	"encoding/json"
	"fmt"

	"drawbridge/iam/cond"
)

// A test is true, false or unknown, by what the context knows of its key.
func ExampleBlock_Eval() {
	block := cond.Block{cond.CompileTest("StringEquals", "sts:ExternalId", []string{"watchtower"}, true)}

	var nothing cond.Context // knows that every key is absent
	fmt.Println(block.Eval(&nothing))

	unseen := cond.Context{Rest: cond.Undetermined} // nobody has looked
	fmt.Println(block.Eval(&unseen))

	unseen.Set("sts:ExternalId", "watchtower")
	fmt.Println(block.Eval(&unseen))
	// Output:
	// false
	// unknown
	// true
}

// What is not known is left over: the tests that are known to hold are gone, variables that are known are put in.
func ExampleBlock_LeftOver() {
	block := cond.Block{
		cond.CompileTest("Bool", "aws:SecureTransport", []string{"true"}, true),
		cond.CompileTest("StringLike", "s3:prefix", []string{"home/${aws:username}/*"}, true),
		cond.CompileTest("IpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, true),
	}
	ctx := cond.Context{Rest: cond.Undetermined}
	ctx.Set("aws:SecureTransport", "true")
	ctx.Set("aws:username", "ada")
	fmt.Println(block.LeftOver(&ctx))
	// Output:
	// from 203.0.113.0/24, s3:prefix matches "home/ada/*"
}

// Formulas are closed under And, Or and Not, and stay in normal form: contradictions and repetitions are gone, and equal formulas
// print the same.
func ExampleFormula() {
	ours := cond.Demand("aws:PrincipalOrgID", "o-a1b2c3d4e5")
	office := cond.DemandLike("aws:PrincipalArn", "arn:aws:iam::111122223333:role/office-*")
	admin := cond.DemandLike("aws:PrincipalArn", "arn:aws:iam::111122223333:role/admin")

	fmt.Println(ours.And(office))
	fmt.Println(ours.Or(office).Not())
	fmt.Println(office.And(admin))
	fmt.Println(ours.Or(ours.Not()))
	fmt.Println(ours.And(office).Or(ours).Equal(ours))
	// Output:
	// aws:PrincipalArn matches "arn:aws:iam::111122223333:role/office-*", aws:PrincipalOrgID is "o-a1b2c3d4e5"
	// aws:PrincipalArn does not match "arn:aws:iam::111122223333:role/office-*", aws:PrincipalOrgID is not "o-a1b2c3d4e5"
	// never
	// always
	// true
}

// Whether one condition demands at least what another does.
func ExampleFormula_Implies() {
	narrow := cond.Demand("aws:SourceVpce", "vpce-1a2b")
	wide := cond.Demand("aws:SourceVpce", "vpce-1a2b", "vpce-3c4d")
	fmt.Println(narrow.Implies(wide))
	fmt.Println(wide.Implies(narrow))
	// Output:
	// true true
	// false true
}

// A witness is a request under which the formula holds.
func ExampleFormula_Witness() {
	f := cond.DemandARN("aws:SourceArn", "arn:aws:sns:*:111122223333:orders-*").
		And(cond.Demand("aws:PrincipalOrgID", "o-a1b2c3d4e5").Not())
	var ctx cond.Context
	fmt.Println(f.Witness(&ctx), f.Eval(&ctx))
	// Output:
	// true true
}

// What a formula demands of one key at its loosest is what a rule asks for.
func ExampleFormula_Require() {
	f := cond.Demand("aws:SourceAccount", "111122223333").Or(cond.DemandLike("aws:SourceArn", "arn:aws:s3:::logs-*"))
	r := f.Require("aws:SourceAccount")
	fmt.Println(r.Values, "in every alternative:", r.Always)
	// Output:
	// [111122223333] in every alternative: false
}

// The normal form as JSON names the operators of IAM; absent says whether a request without the key passes.
func ExampleFormula_MarshalJSON() {
	text, err := json.Marshal(cond.Demand("sts:ExternalId", "watchtower").Not())
	fmt.Println(string(text), err)

	var back cond.Formula
	fmt.Println(json.Unmarshal(text, &back), back)
	// Output:
	// [[{"key":"sts:ExternalId","operator":"StringNotEquals","values":["watchtower"],"absent":true}]] <nil>
	// <nil> sts:ExternalId is not "watchtower"
}

// An outsider's organisation is not known, and yet it is not ours.
func ExampleContext_SetUnknownExcept() {
	var ctx cond.Context
	ctx.SetUnknownExcept("aws:PrincipalOrgID", false, "o-a1b2c3d4e5")
	fmt.Println(cond.Demand("aws:PrincipalOrgID", "o-a1b2c3d4e5").Eval(&ctx))
	fmt.Println(cond.Demand("aws:PrincipalOrgID", "o-zzzzzzzzzz").Eval(&ctx))
	// Output:
	// false
	// unknown
}

// Whether a condition can hold at all is proven, or shown by a witness.
func ExampleFormula_Possible() {
	shared := cond.DemandLike("aws:PrincipalArn", "arn:aws:iam::*:role/shared-*")
	admin := shared.And(cond.DemandLike("aws:PrincipalArn", "*-admin"))
	denied := cond.DemandLike("aws:PrincipalArn", "*:role/shared-admin", "*:role/shared-*-admin")
	truth, _ := admin.And(denied.Not()).Possible(nil)
	fmt.Println(truth)

	truth, witness := shared.And(cond.DemandARN("aws:PrincipalArn", "arn:aws:iam::111122223333:*").Not()).Possible(nil)
	_, values := witness.Lookup("aws:principalarn")
	fmt.Println(truth, values)
	// Output:
	// false
	// true [arn:aws:iam::444455556666:role/shared-other]
}

func ExampleFormula_Compare() {
	two := cond.DemandLike("s3:prefix", "home/*").And(cond.DemandLike("s3:prefix", "*/"))
	fmt.Println(two.Compare(cond.DemandLike("s3:prefix", "home/*/", "home/")))
	fmt.Println(two.Compare(cond.DemandLike("s3:prefix", "home/?*/")))
	// Output:
	// equivalent
	// wider
}
