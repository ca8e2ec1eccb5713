package setup

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"drawbridge/iam/arn"
)

// QuarantineRole is the role by which the broker changes the organisation's quarantine policy, QuarantineSubject what its tokens call themselves there, and QuarantinePolicy the policy's name.
const (
	QuarantineRole    = "DrawbridgeQuarantine"
	QuarantineSubject = "drawbridge:quarantine"
	QuarantinePolicy  = "drawbridge-quarantine"
)

// Quarantine is what the organisation must have so that a broker can cut sessions by a service control policy, where a role does not take its denies.
type Quarantine struct {
	// Issuer is the broker's own issuer, and Audience what its tokens are made for.
	Issuer, Audience string
	// Account is the management account, or one to which AWS Organizations is delegated.
	Account, Partition string
	// Targets are what the policy is attached to: a root, organizational units, accounts.
	Targets []string
}

// Policy is the text of the policy as long as nobody is in quarantine; the broker adds to the list, and takes off it. It stays on one line: a service control policy has 5,120 characters, blanks included.
func (q *Quarantine) Policy() string {
	return `{"Version":"2012-10-17","Statement":[{"Sid":"DrawbridgeQuarantine","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:SourceIdentity":["drawbridge-nobody"]}}}]}`
}

// Forms of what a policy can be attached to (API reference of AWS Organizations, AttachPolicy).
var attachable = regexp.MustCompile(`^(r-[0-9a-z]{4,32}|ou-[0-9a-z]{4,32}-[a-z0-9]{8,32}|\d{12})$`)

// Check says what is wrong with what was asked for.
func (q *Quarantine) Check() error {
	switch {
	case !strings.HasPrefix(q.Issuer, "https://") || strings.HasSuffix(q.Issuer, "/") || len(q.Issuer) == len("https://"):
		return fmt.Errorf("%w: the broker's address must be like https://broker.example, and is %q", ErrTarget, q.Issuer)
	case q.Audience == "":
		return fmt.Errorf("%w: the audience of the broker's tokens is missing", ErrTarget)
	case !arn.IsAccountID(q.Account):
		return fmt.Errorf("%w: the account must have twelve digits, and is %q", ErrTarget, q.Account)
	case len(q.Targets) == 0:
		return fmt.Errorf("%w: what is the policy to be attached to?", ErrTarget)
	}
	for _, t := range q.Targets {
		if !attachable.MatchString(t) {
			return fmt.Errorf("%w: %q is no root, organizational unit or account", ErrTarget, t)
		}
	}
	return nil
}

func (q *Quarantine) host() string { return strings.TrimPrefix(q.Issuer, "https://") }

// Trust lets in the broker's tokens of the quarantine's subject.
func (q *Quarantine) Trust() document {
	return document{"2012-10-17", []statement{{Sid: "DrawbridgeBroker", Effect: "Allow", Principal: map[string]string{"Federated": "arn:" + q.Partition + ":iam::" + q.Account + ":oidc-provider/" + q.host()},
		Action: []string{"sts:AssumeRoleWithWebIdentity", "sts:SetSourceIdentity"}, Condition: map[string]map[string][]string{"StringEquals": {q.host() + ":aud": {q.Audience}, q.host() + ":sub": {QuarantineSubject}}}}}}
}

// permissions let the role read and change the one policy, and see what it binds. They name the policy as the form can.
func permissions(policy any) map[string]any {
	return map[string]any{"Version": "2012-10-17", "Statement": []map[string]any{
		{"Sid": "ThisPolicy", "Effect": "Allow", "Action": []string{"organizations:DescribePolicy", "organizations:UpdatePolicy", "organizations:ListTargetsForPolicy"}, "Resource": policy},
		{"Sid": "WhatItBinds", "Effect": "Allow", "Action": []string{"organizations:DescribeOrganization", "organizations:ListParents"}, "Resource": "*"},
	}}
}

func indented(v any, prefix string) string {
	b, err := json.MarshalIndent(v, prefix, "  ")
	if err != nil {
		panic("a policy has only fields that JSON can hold: " + err.Error())
	}
	return string(b)
}

const quarantineNote = `Drawbridge's quarantine: one service control policy that denies everything to a list of source identities, empty until the broker writes one into it,
and the role by which it does. It takes one of the five places that a target has for service control policies; it does not bind the management account.`

// Terraform is the setup as resources of the AWS provider.
func (q *Quarantine) Terraform() string {
	var b strings.Builder
	for line := range strings.SplitSeq(quarantineNote, "\n") {
		fmt.Fprintf(&b, "# %s\n", line)
	}
	fmt.Fprintf(&b, "\n# Leave it out where the account has the broker as an identity provider already.\nresource \"aws_iam_openid_connect_provider\" \"drawbridge\" {\n  url            = %s\n  client_id_list = [%s]\n}\n\n", hcl(q.Issuer), hcl(q.Audience))
	fmt.Fprintf(&b, "resource \"aws_organizations_policy\" \"drawbridge_quarantine\" {\n  name    = %q\n  type    = \"SERVICE_CONTROL_POLICY\"\n  content = <<-JSON\n    %s\n  JSON\n  # The list is the broker's.\n  lifecycle {\n    ignore_changes = [content]\n  }\n}\n\n", QuarantinePolicy, escapeHCL(q.Policy()))
	fmt.Fprintf(&b, "resource \"aws_organizations_policy_attachment\" \"drawbridge_quarantine\" {\n  for_each  = toset([")
	for i, t := range q.Targets {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(hcl(t))
	}
	b.WriteString("])\n  policy_id = aws_organizations_policy.drawbridge_quarantine.id\n  target_id = each.value\n}\n\n")
	fmt.Fprintf(&b, "resource \"aws_iam_role\" \"drawbridge_quarantine\" {\n  name               = %q\n  assume_role_policy = <<-JSON\n    %s\n  JSON\n  depends_on         = [aws_iam_openid_connect_provider.drawbridge]\n}\n\n", QuarantineRole, escapeHCL(text(q.Trust(), "    ")))
	fmt.Fprintf(&b, "resource \"aws_iam_role_policy\" \"drawbridge_quarantine\" {\n  name   = \"quarantine\"\n  role   = aws_iam_role.drawbridge_quarantine.name\n  policy = <<-JSON\n    %s\n  JSON\n}\n\n", indented(permissions("${aws_organizations_policy.drawbridge_quarantine.arn}"), "    "))
	b.WriteString("# For the broker's configuration: quarantine: {policy: …, role: …}\noutput \"drawbridge_quarantine\" {\n  value = { policy = aws_organizations_policy.drawbridge_quarantine.id, role = aws_iam_role.drawbridge_quarantine.arn }\n}\n")
	return b.String()
}

// CloudFormation is the setup as a template, as JSON.
func (q *Quarantine) CloudFormation() string {
	type object = map[string]any
	return indented(object{
		"AWSTemplateFormatVersion": "2010-09-09",
		"Description":              strings.ReplaceAll(quarantineNote, "\n", " "),
		"Parameters": object{
			"AccountIsSetUp": object{"Type": "String", "AllowedValues": []string{"yes", "no"}, "Default": "no", "Description": "yes where the account has the broker as an identity provider already"},
		},
		"Conditions": object{"First": object{"Fn::Equals": []any{object{"Ref": "AccountIsSetUp"}, "no"}}},
		"Resources": object{
			"DrawbridgeProvider": object{"Type": "AWS::IAM::OIDCProvider", "Condition": "First", "Properties": object{"Url": q.Issuer, "ClientIdList": []string{q.Audience}}},
			"Quarantine":         object{"Type": "AWS::Organizations::Policy", "Properties": object{"Name": QuarantinePolicy, "Type": "SERVICE_CONTROL_POLICY", "Content": json.RawMessage(q.Policy()), "TargetIds": q.Targets}},
			"QuarantineRole": object{"Type": "AWS::IAM::Role", "Properties": object{"RoleName": QuarantineRole, "AssumeRolePolicyDocument": q.Trust(),
				"Policies": []object{{"PolicyName": "quarantine", "PolicyDocument": permissions(object{"Fn::GetAtt": []string{"Quarantine", "Arn"}})}}}},
		},
		"Outputs": object{"Policy": object{"Value": object{"Ref": "Quarantine"}}, "Role": object{"Value": object{"Fn::GetAtt": []string{"QuarantineRole", "Arn"}}}},
	}, "") + "\n"
}

// Commands is the setup as commands of the AWS CLI. Running them again changes nothing.
func (q *Quarantine) Commands() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	var b strings.Builder
	b.WriteString("#!/bin/sh\n")
	for line := range strings.SplitSeq(quarantineNote, "\n") {
		fmt.Fprintf(&b, "# %s\n", line)
	}
	fmt.Fprintf(&b, "set -eu\ntest \"$(aws sts get-caller-identity --query Account --output text)\" = %s || { echo 'these credentials are of another account' >&2; exit 1; }\n\n", q.Account)
	provider := "arn:" + q.Partition + ":iam::" + q.Account + ":oidc-provider/" + q.host()
	fmt.Fprintf(&b, "aws iam get-open-id-connect-provider --open-id-connect-provider-arn %s >/dev/null 2>&1 ||\n  aws iam create-open-id-connect-provider --url %s --client-id-list %s\n\n", quote(provider), quote(q.Issuer), quote(q.Audience))
	find := fmt.Sprintf("aws organizations list-policies --filter SERVICE_CONTROL_POLICY --query \"Policies[?Name=='%s'].Id\" --output text", QuarantinePolicy)
	fmt.Fprintf(&b, "policy=$(%s)\nif [ -z \"$policy\" ]; then\n  policy=$(aws organizations create-policy --type SERVICE_CONTROL_POLICY --name %s --description %s --content %s --query Policy.PolicySummary.Id --output text)\nfi\n", find, QuarantinePolicy, quote("Sessions that Drawbridge has taken back"), quote(q.Policy()))
	b.WriteString("arn=$(aws organizations describe-policy --policy-id \"$policy\" --query Policy.PolicySummary.Arn --output text)\n")
	fmt.Fprintf(&b, "attached=$(aws organizations list-targets-for-policy --policy-id \"$policy\" --query 'Targets[].TargetId' --output text)\nfor target in %s; do\n  case \" $(echo $attached) \" in\n  *\" $target \"*) ;;\n  *) aws organizations attach-policy --policy-id \"$policy\" --target-id \"$target\" ;;\n  esac\ndone\n\n", strings.Join(q.Targets, " "))
	fmt.Fprintf(&b, "if aws iam get-role --role-name %[1]s >/dev/null 2>&1; then\n  aws iam update-assume-role-policy --role-name %[1]s --policy-document %[2]s\nelse\n  aws iam create-role --role-name %[1]s --assume-role-policy-document %[2]s\nfi\n", QuarantineRole, quote(text(q.Trust(), "")))
	fmt.Fprintf(&b, "aws iam put-role-policy --role-name %s --policy-name quarantine --policy-document \"$(cat <<END\n%s\nEND\n)\"\n\n", QuarantineRole, indented(permissions("$arn"), ""))
	fmt.Fprintf(&b, "echo \"quarantine: {policy: $policy, role: arn:%s:iam::%s:role/%s}\"\n", q.Partition, q.Account, QuarantineRole)
	return b.String()
}
