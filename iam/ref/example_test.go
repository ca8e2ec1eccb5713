package ref_test

import (
	"fmt"

	"drawbridge/iam/ref"
)

// Each table says where it is from and of when it is.
func ExampleTables() {
	for _, t := range ref.Tables() {
		if t.What == "" || t.AsOf == "" || t.Source == "" {
			fmt.Println("a table without origin:", t)
		}
	}
	fmt.Println(ref.RCPServicesFrom.What)
	// Output:
	// services that RCPs reach
}

// Case does not count. An action that is not in the table may be new, or misspelt.
func ExampleLookupAction() {
	a, known := ref.LookupAction("S3:getobject")
	fmt.Println(a.Name, a.Access, known)

	_, known = ref.LookupAction("s3:GetObjekt")
	fmt.Println(known, ref.NearestAction("s3:GetObjekt"))
	// Output:
	// s3:GetObject Read true
	// false s3:GetObject
}

// A pattern of an Action element covers the actions of the table that it matches.
func ExampleExpand() {
	fmt.Println(ref.Expand("sts:AssumeRoleWith*"))
	// Output:
	// [sts:AssumeRoleWithSAML sts:AssumeRoleWithWebIdentity]
}

// A subject of a shared issuer says whose token it is only if it names the tenant.
func ExampleIssuer_Tenant() {
	github, _ := ref.SharedIssuer("token.actions.githubusercontent.com")
	fmt.Println(github.Tenant("repo:acme/web:ref:refs/heads/main"))
	fmt.Println(github.Tenant("repo:*"))
	// Output:
	// acme web true
	//   false
}

// Of a key that AWS does not document, the nearest that it does.
func ExampleConditionKey() {
	known, _ := ref.ConditionKey("aws:PrincipalOrgID")
	fmt.Println(known)

	known, nearest := ref.ConditionKey("aws:PrincipleOrgID")
	fmt.Println(known, nearest)
	// Output:
	// true
	// false aws:PrincipalOrgID
}
