package collect

import (
	"encoding/json"
	"fmt"
	"strings"
)

// maxPolicy is how many characters a managed policy of IAM may have; space outside of strings does not count.
const maxPolicy = 6144

// Policies are the least-privilege policies of the collector's role for rows, as JSON: as many as IAM's limit for one managed policy asks for. Actions are sorted, so those of a service
// stand together, and a service is in one policy only.
func Policies(rows []Row) []string { return split(Actions(rows), maxPolicy) }

func split(actions []string, limit int) []string {
	var out []string
	var current []string
	flush := func() {
		if len(current) > 0 {
			out = append(out, policyText(current))
			current = nil
		}
	}
	frame := len(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":[],"Resource":"*"}]}`)
	size := frame
	for rest := actions; len(rest) > 0; {
		n, more := 0, 0
		service, _, _ := strings.Cut(rest[0], ":")
		for n < len(rest) && strings.HasPrefix(rest[n], service+":") {
			more += len(rest[n]) + len(`"",`)
			n++
		}
		if size+more > limit {
			flush()
			size = frame
		}
		current = append(current, rest[:n]...)
		size += more
		rest = rest[n:]
	}
	flush()
	return out
}

func policyText(actions []string) string {
	type statement struct {
		Effect   string
		Action   []string
		Resource string
	}
	text, err := json.MarshalIndent(struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{{"Allow", actions, "*"}}}, "", "  ")
	if err != nil {
		panic(err) // strings always have JSON
	}
	return string(text)
}

func indent(text, by string) string { return strings.ReplaceAll(text, "\n", "\n"+by) }

// StackSet is a CloudFormation template of the collector's role, for a StackSet with service-managed permissions and, as a stack of its own, for the management account.
func StackSet(rows []Row) string {
	var b strings.Builder
	b.WriteString(`# The role that drawbridge collect assumes in each account: it lists and describes, and reads no content.
# Deploy it as a StackSet with service-managed permissions to the root of the organisation, in one region (IAM is global), with CAPABILITY_NAMED_IAM.
# A StackSet does not reach the management account: deploy the same template there as a stack of its own.
AWSTemplateFormatVersion: "2010-09-09"
Description: Read-only role of Drawbridge's collector
Parameters:
  RoleName:
    Type: String
    Default: DrawbridgeCollector
    Description: Name of the role (collect --role)
  RolePath:
    Type: String
    Default: /
    AllowedPattern: ^/([!-~]+/)?$
    Description: Path of the role (collect --role-path)
  CollectorAccount:
    Type: String
    AllowedPattern: ^[0-9]{12}$
    Description: Account in which drawbridge collect runs
  CollectorRole:
    Type: String
    MinLength: 1
    Description: Path and name of the role as which drawbridge collect runs, without a leading slash; * stands for any text
  ExternalId:
    Type: String
    MinLength: 2
    Description: The external id that is asked for (collect --external-id)
  MaxSessionDuration:
    Type: Number
    Default: 3600
    MinValue: 3600
    MaxValue: 43200
    Description: How many seconds a session may last
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties:
      RoleName: !Ref RoleName
      Path: !Ref RolePath
      Description: Read by drawbridge collect
      MaxSessionDuration: !Ref MaxSessionDuration
      AssumeRolePolicyDocument:
        Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Principal:
              AWS: !Sub arn:${AWS::Partition}:iam::${CollectorAccount}:root
            Action: sts:AssumeRole
            Condition:
              StringEquals:
                sts:ExternalId: !Ref ExternalId
              ArnLike:
                aws:PrincipalArn: !Sub arn:${AWS::Partition}:iam::${CollectorAccount}:role/${CollectorRole}
      ManagedPolicyArns:
`)
	policies := Policies(rows)
	for i := range policies {
		fmt.Fprintf(&b, "        - !Ref Policy%d\n", i+1)
	}
	for i, p := range policies {
		fmt.Fprintf(&b, "  Policy%d:\n    Type: AWS::IAM::ManagedPolicy\n    Properties:\n      ManagedPolicyName: !Sub ${RoleName}-%d\n      Path: !Ref RolePath\n      PolicyDocument:\n        %s\n", i+1, i+1, indent(p, "        "))
	}
	b.WriteString("Outputs:\n  RoleArn:\n    Value: !GetAtt Role.Arn\n")
	return b.String()
}

// Terraform is the collector's role as a Terraform module for one account.
func Terraform(rows []Row) string {
	var b strings.Builder
	b.WriteString(`# The role that drawbridge collect assumes in each account: it lists and describes, and reads no content.
# Apply it in every account of the organisation, the management account among them.
variable "role_name" {
  type        = string
  default     = "DrawbridgeCollector"
  description = "Name of the role (collect --role)"
}

variable "role_path" {
  type        = string
  default     = "/"
  description = "Path of the role (collect --role-path)"
}

variable "collector_account" {
  type        = string
  description = "Account in which drawbridge collect runs"
  validation {
    condition     = can(regex("^[0-9]{12}$", var.collector_account))
    error_message = "An account has 12 digits."
  }
}

variable "collector_role" {
  type        = string
  description = "Path and name of the role as which drawbridge collect runs, without a leading slash; * stands for any text"
}

variable "external_id" {
  type        = string
  description = "The external id that is asked for (collect --external-id)"
}

variable "max_session_duration" {
  type        = number
  default     = 3600
  description = "How many seconds a session may last"
}

data "aws_partition" "current" {}

resource "aws_iam_role" "collector" {
  name                 = var.role_name
  path                 = var.role_path
  description          = "Read by drawbridge collect"
  max_session_duration = var.max_session_duration
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${var.collector_account}:root" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "sts:ExternalId" = var.external_id }
        ArnLike      = { "aws:PrincipalArn" = "arn:${data.aws_partition.current.partition}:iam::${var.collector_account}:role/${var.collector_role}" }
      }
    }]
  })
}
`)
	for i, p := range Policies(rows) {
		fmt.Fprintf(&b, `
resource "aws_iam_policy" "collector_%[1]d" {
  name   = "${var.role_name}-%[1]d"
  path   = var.role_path
  policy = <<-POLICY
    %[2]s
  POLICY
}

resource "aws_iam_role_policy_attachment" "collector_%[1]d" {
  role       = aws_iam_role.collector.name
  policy_arn = aws_iam_policy.collector_%[1]d.arn
}
`, i+1, indent(p, "    "))
	}
	b.WriteString("\noutput \"role_arn\" {\n  value = aws_iam_role.collector.arn\n}\n")
	return b.String()
}
