// Package synthetic makes organisations of any size, for measuring. What it writes is the directory form of a snapshot,
// always the same for the same size.
//
// The mix is that of an organisation whose accounts are vended: of a hundred roles in an account ninety are copies of
// templates (service roles, audit, backup, monitoring, break-glass, deployment from a tooling account), and ten are the
// account's own, with policies that name it and trusts in neighbours, vendors and issuers. Each account has a bucket, a
// key and a queue with policies. SCPs and an RCP stand above.
package synthetic

import (
	"encoding/json"
	"fmt"
	"strings"
)

const (
	organizationID = "o-synthetic01"
	management     = "100000000000"
	tooling        = "100000000001"
	security       = "100000000002"
	vendor         = "900000000001" // a monitoring vendor outside the organisation
)

// Write makes an organisation of member accounts with so many roles each, and hands its files to sink by name. It stops at the
// first error of sink.
func Write(accounts, roles int, sink func(name string, data []byte) error) error {
	ids := make([]string, accounts)
	for i := range ids {
		ids[i] = fmt.Sprintf("1%011d", i+1)
	}
	if err := sink("organization.json", marshal(organization(ids))); err != nil {
		return err
	}
	for i, id := range ids {
		neighbour := ids[(i+1)%len(ids)]
		var details []object
		for r := range roles {
			details = append(details, role(id, neighbour, r))
		}
		files := []struct {
			name string
			data []byte
		}{
			{"iam.json", marshal(object{"UserDetailList": list{}, "GroupDetailList": list{}, "Policies": list{}, "RoleDetailList": details})},
			{"resources.jsonl", resources(id, neighbour)},
			{"providers.json", marshal([]object{{
				"arn": "arn:aws:iam::" + id + ":oidc-provider/" + issuer, "type": "oidc", "account": id,
				"url": "https://" + issuer, "audiences": []string{"sts.amazonaws.com"},
			}})},
		}
		for _, f := range files {
			if err := sink("accounts/"+id+"/"+f.name, f.data); err != nil {
				return err
			}
		}
	}
	return nil
}

const issuer = "token.actions.githubusercontent.com"

type (
	object = map[string]any
	list   = []any
)

// marshal is the JSON of values that always have one.
func marshal(v any) []byte {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err) // maps, lists and texts made in this file
	}
	return append(data, '\n')
}

func organization(ids []string) object {
	environments := []string{"prod", "staging", "dev", "sandbox"}
	accounts := []object{{"id": management, "name": "management", "kind": "management", "ou": "r-root", "inventoried": false}}
	for i, id := range ids {
		accounts = append(accounts, object{
			"id": id, "name": fmt.Sprintf("account-%04d", i+1), "kind": "member",
			"ou": fmt.Sprintf("r-root/ou-%02d", i%10), "env": environments[i%len(environments)], "inventoried": true,
		})
	}
	units := []object{{"path": "r-root", "name": "Root"}}
	everywhere := append([]string{"r-root"}, ids...) // AWS attaches FullAWSAccess to the root, to every unit and to every account
	for i := range 10 {
		path := fmt.Sprintf("r-root/ou-%02d", i)
		units = append(units, object{"path": path, "name": fmt.Sprintf("unit-%02d", i)})
		everywhere = append(everywhere, path)
	}
	return object{
		"version": 1, "id": organizationID, "managementAccount": management, "accounts": accounts, "ous": units,
		"scps": []object{
			{"name": "FullAWSAccess", "targets": everywhere, "document": policy(allow("*", "*"))},
			{"name": "protect-audit", "targets": []string{"r-root"}, "document": policy(object{
				"Effect": "Deny", "Action": list{"cloudtrail:StopLogging", "iam:DeleteRole"}, "Resource": "*",
				"Condition": object{"ArnNotLike": object{"aws:PrincipalArn": "arn:aws:iam::*:role/audit"}},
			})},
		},
		"rcps": []object{{"name": "only-ours", "targets": []string{"r-root/ou-00", "r-root/ou-01"}, "document": policy(object{
			"Effect": "Deny", "Principal": "*", "Action": list{"s3:*", "kms:*", "sqs:*"}, "Resource": "*",
			"Condition": object{
				"StringNotEqualsIfExists": object{"aws:PrincipalOrgID": organizationID},
				"BoolIfExists":            object{"aws:PrincipalIsAWSService": "false"},
			},
		})}},
	}
}

func policy(statements ...object) object {
	return object{"Version": "2012-10-17", "Statement": statements}
}

func allow(action, resource any) object {
	return object{"Effect": "Allow", "Action": action, "Resource": resource}
}

// trust is a statement of a trust policy.
func trust(kind string, principal any, action string, conditions object) object {
	s := object{"Effect": "Allow", "Principal": object{kind: principal}, "Action": action}
	if conditions != nil {
		s["Condition"] = conditions
	}
	return s
}

// role is one role of get-account-authorization-details. Every tenth is the account's own.
func role(account, neighbour string, n int) object {
	name, trusts, permissions := template(n)
	if n%10 == 9 {
		name, trusts, permissions = own(account, neighbour, n)
	}
	inline := []object{}
	for i, p := range permissions {
		inline = append(inline, object{"PolicyName": fmt.Sprintf("permissions-%d", i+1), "PolicyDocument": policy(p...)})
	}
	return object{
		"Path": "/", "RoleName": name, "RoleId": fmt.Sprintf("AROA%s%05d", account, n), "Arn": "arn:aws:iam::" + account + ":role/" + name,
		"AssumeRolePolicyDocument": policy(trusts...), "RolePolicyList": inline,
		"AttachedManagedPolicies": list{}, "InstanceProfileList": list{}, "Tags": list{},
	}
}

var services = []string{"lambda", "ec2", "ecs-tasks", "codebuild", "states", "events", "glue", "backup", "ssm"}

// template is a role that every account has: the same documents in each.
func template(n int) (name string, trusts []object, permissions [][]object) {
	switch n {
	case 0:
		return "audit", []object{trust("AWS", "arn:aws:iam::"+security+":role/own-9", "sts:AssumeRole", nil)},
			[][]object{{allow(list{"iam:Get*", "iam:List*", "s3:GetBucket*", "config:*"}, "*")}}
	case 1:
		return "deploy", []object{trust("AWS", "arn:aws:iam::"+tooling+":root", "sts:AssumeRole", object{
			"StringEquals": object{"aws:PrincipalOrgID": organizationID},
			"ArnLike":      object{"aws:PrincipalArn": "arn:aws:iam::" + tooling + ":role/own-*"},
		})}, [][]object{{allow(list{"cloudformation:*", "s3:*", "lambda:*", "iam:PassRole"}, "*")}}
	case 2:
		return "monitoring", []object{trust("AWS", "arn:aws:iam::"+vendor+":root", "sts:AssumeRole", object{
			"StringEquals": object{"sts:ExternalId": "5f0c7c1e-synthetic"},
		})}, [][]object{{allow(list{"cloudwatch:Get*", "cloudwatch:List*", "ec2:Describe*"}, "*")}}
	case 3:
		return "OrganizationAccountAccessRole", []object{trust("AWS", "arn:aws:iam::"+management+":root", "sts:AssumeRole", nil)},
			[][]object{{allow("*", "*")}}
	}
	service := services[n%len(services)]
	return fmt.Sprintf("%s-%d", service, n), []object{trust("Service", service+".amazonaws.com", "sts:AssumeRole", nil)},
		[][]object{
			{allow(list{"logs:CreateLogStream", "logs:PutLogEvents"}, "arn:aws:logs:*:*:log-group:/synthetic/*")},
			{allow(list{"s3:GetObject", "s3:PutObject"}, fmt.Sprintf("arn:aws:s3:::shared-%02d/*", n%30)), allow(list{"sqs:SendMessage", "sqs:ReceiveMessage"}, "*")},
		}
}

// own is a role that no other account has.
func own(account, neighbour string, n int) (name string, trusts []object, permissions [][]object) {
	name = fmt.Sprintf("own-%d", n)
	permissions = [][]object{{
		allow(list{"s3:*"}, list{"arn:aws:s3:::data-" + account, "arn:aws:s3:::data-" + account + "/*"}),
		allow("sts:AssumeRole", list{"arn:aws:iam::" + neighbour + ":role/own-*", "arn:aws:iam::" + account + ":role/own-19"}),
	}}
	switch n / 10 % 4 {
	case 0:
		trusts = []object{trust("Service", "ec2.amazonaws.com", "sts:AssumeRole", nil)}
	case 1:
		trusts = []object{trust("AWS", list{"arn:aws:iam::" + account + ":role/own-9", "arn:aws:iam::" + neighbour + ":role/own-9"}, "sts:AssumeRole", nil)}
	case 2:
		trusts = []object{trust("Federated", "arn:aws:iam::"+account+":oidc-provider/"+issuer, "sts:AssumeRoleWithWebIdentity", object{
			"StringEquals": object{issuer + ":aud": "sts.amazonaws.com"},
			"StringLike":   object{issuer + ":sub": "repo:synthetic/app-" + account + ":*"},
		})}
	case 3:
		trusts = []object{trust("AWS", neighbour, "sts:AssumeRole", object{"StringEquals": object{"sts:ExternalId": "x-" + account}})}
	}
	return name, trusts, permissions
}

// resources are the lines of resources.jsonl.
func resources(account, neighbour string) []byte {
	statement := func(principal any, action any, arn string, conditions object) object {
		s := object{"Effect": "Allow", "Principal": principal, "Action": action, "Resource": arn}
		if conditions != nil {
			s["Condition"] = conditions
		}
		return policy(s)
	}
	bucket, key, queue := "arn:aws:s3:::data-"+account, "arn:aws:kms:eu-west-1:"+account+":key/0", "arn:aws:sqs:eu-west-1:"+account+":queue"
	var b strings.Builder
	for _, r := range []object{
		{"arn": bucket, "type": "AWS::S3::Bucket", "account": account, "region": "eu-west-1", "policy": statement(object{"AWS": "arn:aws:iam::" + neighbour + ":role/own-9"}, list{"s3:GetObject", "s3:ListBucket"}, bucket+"/*", nil)},
		{"arn": key, "type": "AWS::KMS::Key", "account": account, "region": "eu-west-1", "policy": statement(object{"AWS": "arn:aws:iam::" + account + ":root"}, "kms:*", "*", nil)},
		{"arn": queue, "type": "AWS::SQS::Queue", "account": account, "region": "eu-west-1", "policy": statement(object{"Service": "sns.amazonaws.com"}, "sqs:SendMessage", queue, object{"StringEquals": object{"aws:SourceAccount": account}})},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			panic(err) // maps, lists and texts made in this file
		}
		b.Write(data)
		b.WriteByte('\n')
	}
	return []byte(b.String())
}
