package terraform

import (
	"bytes"
	"fmt"
	"testing"
)

// BenchmarkReadPlan reads a plan of 3,000 resources: roles, inline policies that refer to them, and things that decide nothing.
func BenchmarkReadPlan(b *testing.B) {
	var text bytes.Buffer
	text.WriteString(`{"format_version":"1.2","resource_changes":[`)
	resource := func(n int, typ, after, unknown string) {
		fmt.Fprintf(&text, `{"address":"%s.r[%d]","mode":"managed","type":"%s","name":"r","index":%d,"change":{"actions":["create"],"after":{"name":"r%d","path":"/",%s},"after_unknown":{%s}}},`,
			typ, n, typ, n, n, after, unknown)
	}
	for n := range 1000 {
		resource(n, "aws_iam_role", `"assume_role_policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::222222222222:root\"},\"Action\":\"sts:AssumeRole\"}]}"`, `"arn":true,"id":true`)
		resource(n, "aws_iam_role_policy", `"policy":"{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"s3:*\",\"Resource\":\"*\"}]}"`, `"role":true`)
		resource(n, "other_thing", `"text":"nothing about access"`, "")
	}
	text.Truncate(text.Len() - 1)
	text.WriteString(`],"configuration":{"root_module":{"resources":[{"address":"aws_iam_role_policy.r","type":"aws_iam_role_policy","name":"r","expressions":{"role":{"references":["aws_iam_role.r","count.index"]}}}]}}}`)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		p, err := ReadPlan(bytes.NewReader(text.Bytes()), Options{Account: "111111111111"})
		if err != nil {
			b.Fatal(err)
		}
		if len(p.Steps) != 2000 || len(p.Steps[1].Unknown) > 0 {
			b.Fatalf("found %d steps, the second with %v", len(p.Steps), p.Steps[1].Unknown)
		}
	}
}
