package remedy

import (
	"fmt"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
)

// JSON is the proposed trust policy.
func (p *Proposal) JSON() []byte { return indented(p.After) }

// Restore is the trust policy as it was, to go back to.
func (p *Proposal) Restore() []byte { return indented(p.Before) }

// CLI are the AWS CLI commands that make the change, and the one that takes it back. File names are those that people choose.
func (p *Proposal) CLI() string {
	name := roleName(p.Role)
	var b strings.Builder
	fmt.Fprintf(&b, "# Account %s. Save what is there first, to be able to go back:\n", arn.Account(p.Role))
	fmt.Fprintf(&b, "aws iam get-role --role-name %s --query Role.AssumeRolePolicyDocument > %s-before.json\n", name, name)
	fmt.Fprintf(&b, "aws iam update-assume-role-policy --role-name %s --policy-document file://%s-after.json\n", name, name)
	fmt.Fprintf(&b, "# To go back:\n# aws iam update-assume-role-policy --role-name %s --policy-document file://%s-before.json\n", name, name)
	return b.String()
}

// Terraform is the argument of the aws_iam_role resource.
func (p *Proposal) Terraform() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# In the resource \"aws_iam_role\" of %s:\n", p.Role)
	b.WriteString("assume_role_policy = <<-JSON\n")
	for _, line := range strings.Split(strings.TrimSuffix(string(escapeHCL(indented(p.After))), "\n"), "\n") {
		b.WriteString("  " + line + "\n")
	}
	b.WriteString("JSON\n")
	return b.String()
}

// escapeHCL keeps policy variables from being taken for Terraform's own.
func escapeHCL(text []byte) []byte {
	return []byte(strings.NewReplacer("${", "$${", "%{", "%%{").Replace(string(text)))
}

// CloudFormation is the property of the AWS::IAM::Role resource, as JSON, which is YAML too. Policy variables stay as they are: only
// Fn::Sub would take them for its own.
func (p *Proposal) CloudFormation() string {
	return "# In the resource of type AWS::IAM::Role of " + p.Role + ":\nAssumeRolePolicyDocument:\n" + indentedBy(string(indented(p.After)), "  ")
}

func indentedBy(text, by string) string {
	var b strings.Builder
	for _, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		b.WriteString(by + line + "\n")
	}
	return b.String()
}

func roleName(role string) string { return role[strings.LastIndexByte(role, '/')+1:] }

// Diff is the change of the document, line by line: "-" goes, "+" comes, " " stays.
func (p *Proposal) Diff() string { return diff(lines(p.Before), lines(p.After)) }

func lines(d *policy.Document) []string {
	return strings.Split(strings.TrimSuffix(string(indented(d)), "\n"), "\n")
}

// diff is the longest common part of two texts with what is beside it; documents are short.
func diff(a, b []string) string {
	length := make([][]int, len(a)+1)
	for i := range length {
		length[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				length[i][j] = length[i+1][j+1] + 1
			} else {
				length[i][j] = max(length[i+1][j], length[i][j+1])
			}
		}
	}
	var out strings.Builder
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			out.WriteString("  " + a[i] + "\n")
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && length[i+1][j] >= length[i][j+1]:
			out.WriteString("- " + a[i] + "\n")
			i++
		default:
			out.WriteString("+ " + b[j] + "\n")
			j++
		}
	}
	return out.String()
}
