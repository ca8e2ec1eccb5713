package compare

import (
	"fmt"
	"strings"
	"testing"

	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// BenchmarkPolicies compares an identity policy of 40 statements with one that has a statement less.
func BenchmarkPolicies(b *testing.B) {
	var statements []string
	for i := range 40 {
		statements = append(statements, fmt.Sprintf(`{"Effect": "Allow", "Action": ["s3:Get*", "dynamodb:*"], "Resource": "arn:aws:s3:::team-%d/*", "Condition": {"StringEquals": {"aws:PrincipalTag/team": "%d"}}}`, i, i))
	}
	statements = append(statements, `{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}`)
	old, new := read(b, strings.Join(statements[1:], ",")), read(b, strings.Join(statements, ","))
	b.ReportAllocs()
	for b.Loop() {
		if r := Policies(policy.Identity, old, new, Options{Engine: ref.Engine()}); r.Relation != Wider {
			b.Fatal(r.Relation, print(&r))
		}
	}
}
