package main

// everyday is what accounts have besides the story: people's roles, service-linked roles, audit, and the workloads themselves.
func everyday(o *organization) {
	for _, a := range everyAccount {
		boundaryPolicy(a)
		people(o, a)
		serviceLinked(a)
		audit(a)
	}
	workloads()
	usersAndGroups()
	organizationAccess()
}

// boundaryPolicy is the boundary that cross-account roles of Acme carry: it limits what they may ever do, and they cannot
// take it off.
func boundaryPolicy(a *account) {
	a.policies = append(a.policies, managedPolicy{"acme-boundary", policy(
		allow("cloudformation:*", "cloudwatch:*", "dynamodb:*", "ec2:Describe*", "ecr:*", "ecs:*", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey",
			"kms:CreateGrant", "lambda:*", "logs:*", "rds:*", "backup:*", "s3:*", "secretsmanager:GetSecretValue", "sns:*", "sqs:*", "ssm:*", "sts:*", "tag:GetResources",
			"states:*").on("*").named("WhatCrossAccountRolesMayEverDo"),
		deny("iam:*", "organizations:*", "account:*", "kms:PutKeyPolicy", "s3:PutBucketPolicy").on("*").named("NeverPolicies"),
	)})
}

// people come through IAM Identity Center. Administrators are few: they are in three accounts.
func people(o *organization, a *account) {
	saml := a.iam("saml-provider/AWSSSO_" + hexID("sso"+a.ID, 16) + "_DO_NOT_DELETE")
	o.providers = append(o.providers, provider{ARN: saml, Type: "saml", Account: a.ID, ValidUntil: "2126-01-01T00:00:00Z"})
	trust := policy(allow("sts:AssumeRoleWithSAML", "sts:TagSession").by("Federated", saml).
		when("StringEquals", "SAML:aud", "https://signin.aws.amazon.com/saml"))
	set := func(name string, inline *document, attached ...string) {
		r := role{
			Path: "/aws-reserved/sso.amazonaws.com/eu-west-1/", Name: "AWSReservedSSO_" + name + "_" + hexID(name+a.ID, 16),
			Trust: trust, Attached: attached, LastUsed: "2026-11-19",
		}
		if inline != nil {
			r.Inline = map[string]*document{"AwsSSOInlinePolicy": inline}
		}
		a.role(r)
	}
	set("ReadOnly", nil, "job-function/ViewOnlyAccess")
	switch a {
	case management, tooling, sandbox:
		set("Administrator", nil, "AdministratorAccess")
	case shopDev, dataDev, shopStaging:
		set("Developer", policy(allow("lambda:*", "logs:*", "dynamodb:*", "s3:*", "sqs:*", "sns:*", "ecs:*", "cloudwatch:*").on("*")))
	case shopProd, dataProd, paymentsProd:
		set("Operator", policy(
			allow("cloudwatch:GetMetricData", "logs:StartQuery", "logs:GetQueryResults", "ecs:DescribeServices", "ec2:DescribeInstances").on("*"),
			allow("ecs:UpdateService").on(a.arn("ecs", "service/*")),
		))
	}
}

// serviceLinked are the roles that services of AWS keep in an account. Nobody can change whom they trust.
func serviceLinked(a *account) {
	linked := func(name, host, attached string) {
		a.role(role{
			Path: "/aws-service-role/" + host + "/", Name: name, Trust: servesAnybody(host), Attached: []string{"aws-service-role/" + attached},
			LastUsed: "2026-11-19",
		})
	}
	linked("AWSServiceRoleForConfig", "config.amazonaws.com", "AWSConfigServiceRolePolicy")
	switch a {
	case shopProd, shopStaging, shopDev, assistants:
		linked("AWSServiceRoleForECS", "ecs.amazonaws.com", "AmazonECSServiceRolePolicy")
	}
}

// audit lets the security team's scanner look into every account, and at nothing that customers entrusted to Acme.
func audit(a *account) {
	if a == security {
		a.role(role{
			Path: "/acme/security/", Name: "scanner", Trust: serves(a, "ecs-tasks.amazonaws.com"), Created: "2024-01-15", LastUsed: "2026-11-20",
			Inline: map[string]*document{"look-everywhere": policy(allow("sts:AssumeRole").on("arn:aws:iam::*:role/acme/security/audit").
				when("StringEquals", "aws:ResourceOrgID", organizationID))},
			Tags: tags{"owner": "security-team"},
		})
		return
	}
	a.role(role{
		Path: "/acme/security/", Name: "audit", Trust: policy(trusts(security.iam("role/acme/security/scanner"))), Boundary: "acme-boundary",
		Inline: map[string]*document{"look": policy(
			allow("cloudwatch:DescribeAlarms", "ec2:DescribeInstances", "ec2:DescribeSecurityGroups", "ec2:DescribeVpcs", "tag:GetResources").on("*"),
		)},
		Created: "2024-01-15", LastUsed: "2026-11-20", Tags: tags{"owner": "security-team"},
	})
}

// organizationAccess is the role that AWS Organizations makes in a new account. In the older accounts it was removed.
func organizationAccess() {
	for _, a := range []*account{recovery, network, shopDev, dataDev, sandbox} {
		a.role(role{Name: "OrganizationAccountAccessRole", Trust: policy(trusts(management.root())), Attached: []string{"AdministratorAccess"}, Created: "2024-09-02"})
	}
}

func usersAndGroups() {
	management.groups = append(management.groups, group{Name: "break-glass", Attached: []string{"AdministratorAccess"}})
	for _, name := range []string{"break-glass-1", "break-glass-2"} {
		management.users = append(management.users, user{Name: name, Groups: []string{"break-glass"}, Tags: tags{"purpose": "emergencies; hardware key in the safe"}})
	}
	tooling.groups = append(tooling.groups, group{Name: "build-servers", Inline: map[string]*document{
		"artifacts": policy(allow("s3:GetObject", "s3:PutObject").on("arn:aws:s3:::acme-tooling-artifacts/*")),
	}})
}

// workload is one role that a service of AWS takes for a program of Acme.
func workload(a *account, name, host, lastUsed string, p *document) {
	r := role{
		Path: "/app/", Name: name, Trust: serves(a, host), Inline: map[string]*document{"permissions": p}, Created: "2024-06-10", LastUsed: lastUsed,
		Tags: tags{"owner": a.Name[len("acme-"):] + "-team"},
	}
	if host == "ec2.amazonaws.com" { // sends no source keys
		r.Trust = servesAnybody(host)
	}
	if host == "lambda.amazonaws.com" {
		r.Attached = []string{"service-role/AWSLambdaBasicExecutionRole"}
	}
	a.role(r)
}

// workloads are the programs of each account, which no other account has anything to do with.
func workloads() {
	const lambda, tasks, machines, steps = "lambda.amazonaws.com", "ecs-tasks.amazonaws.com", "ec2.amazonaws.com", "states.amazonaws.com"
	for _, a := range []*account{shopProd, shopStaging, shopDev} {
		stage := a.Name[len("acme-shop-"):]
		table := func(name string) string { return a.arn("dynamodb", "table/"+name) }
		workload(a, "web", tasks, "2026-11-20", policy(allow("dynamodb:GetItem", "dynamodb:Query").on(table("catalogue")), allow("sqs:SendMessage").on(a.arn("sqs", "orders"))))
		workload(a, "checkout", tasks, "2026-11-20", policy(allow("dynamodb:GetItem", "dynamodb:PutItem").on(table("orders")), allow("sqs:SendMessage").on(a.arn("sqs", "orders"))))
		workload(a, "order-worker", lambda, "2026-11-20", policy(allow("sqs:ReceiveMessage", "sqs:DeleteMessage").on(a.arn("sqs", "orders")), allow("dynamodb:UpdateItem").on(table("orders"))))
		workload(a, "image-resizer", lambda, "2026-11-19", policy(allow("s3:GetObject", "s3:PutObject").on("arn:aws:s3:::acme-shop-images-"+stage+"/*")))
		workload(a, "search-indexer", lambda, "2026-11-20", policy(allow("dynamodb:GetRecords", "dynamodb:GetShardIterator").on(table("catalogue")+"/stream/*")))
		a.bucket("acme-shop-images-"+stage, "", nil, tags{"owner": "shop-team"})
		a.holds("AWS::SQS::Queue", a.arn("sqs", "orders"), nil, tags{"owner": "shop-team"})
	}
	for _, a := range []*account{dataProd, dataDev} {
		stage := a.Name[len("acme-data-"):]
		lake := "arn:aws:s3:::acme-lake-" + stage
		workload(a, "lake-compaction", "glue.amazonaws.com", "2026-11-20", policy(allow("s3:GetObject", "s3:PutObject", "s3:DeleteObject").on(lake+"/*")))
		workload(a, "lake-catalogue", "glue.amazonaws.com", "2026-11-20", policy(allow("s3:ListBucket").on(lake)))
		workload(a, "report-builder", lambda, "2026-11-18", policy(allow("s3:GetObject").on(lake+"/reports/*")))
		workload(a, "notebook", "sagemaker.amazonaws.com", "2026-11-17", policy(allow("s3:GetObject").on(lake+"/features/*")))
		workload(a, "nightly-flow", steps, "2026-11-20", policy(allow("lambda:InvokeFunction").on(a.arn("lambda", "function:report-builder"))))
	}
	workload(paymentsProd, "acquirer-gateway", tasks, "2026-11-20", policy(allow("secretsmanager:GetSecretValue").on(paymentsProd.arn("secretsmanager", "secret:acquirer-??????"))))
	workload(paymentsProd, "ledger-writer", lambda, "2026-11-20", policy(allow("s3:PutObject").on("arn:aws:s3:::acme-payments-ledger/*"), allow("kms:GenerateDataKey").on(paymentsProd.arn("kms", "key/"+uuid("ledger")))))
	workload(paymentsProd, "settlement", steps, "2026-11-20", policy(allow("lambda:InvokeFunction").on(paymentsProd.arn("lambda", "function:settle"))))
	workload(paymentsProd, "fraud-scorer", tasks, "2026-11-20", policy(allow("dynamodb:GetItem", "dynamodb:PutItem").on(paymentsProd.arn("dynamodb", "table/scores"))))
	workload(paymentsProd, "dispute-mailer", lambda, "2026-10-02", policy(allow("ses:SendEmail").on(paymentsProd.arn("ses", "identity/acme.example"))))

	workload(network, "ipam-sync", lambda, "2026-11-20", policy(allow("ec2:DescribeVpcs", "ec2:DescribeSubnets").on("*")))
	workload(network, "dns-forwarder", machines, "2026-11-20", policy(allow("route53:ListResourceRecordSets").on("arn:aws:route53:::hostedzone/Z0ACMEEXAMPLE")))
	workload(network, "flow-log-delivery", "vpc-flow-logs.amazonaws.com", "2026-11-20", policy(allow("logs:CreateLogStream", "logs:PutLogEvents").on(network.arn("logs", "log-group:flow-logs:*"))))
	workload(logArchive, "log-compactor", lambda, "2026-11-20", policy(allow("s3:GetObject", "s3:PutObject").on("arn:aws:s3:::acme-audit-logs/*")))
	workload(logArchive, "retention", lambda, "2026-11-01", policy(allow("s3:GetLifecycleConfiguration").on("arn:aws:s3:::acme-audit-logs")))
	workload(security, "finding-router", lambda, "2026-11-20", policy(allow("sns:Publish").on(security.arn("sns", "findings"))))
	workload(security, "ticket-sync", lambda, "2026-11-20", policy(allow("secretsmanager:GetSecretValue").on(security.arn("secretsmanager", "secret:ticket-system-??????"))))
	workload(tooling, "artifact-cleaner", lambda, "2026-11-16", policy(allow("s3:ListBucket").on("arn:aws:s3:::acme-tooling-artifacts"), allow("s3:DeleteObject").on("arn:aws:s3:::acme-tooling-artifacts/tmp/*")))
	workload(tooling, "dependency-mirror", tasks, "2026-11-20", policy(allow("s3:PutObject").on("arn:aws:s3:::acme-tooling-artifacts/mirror/*")))
	workload(tooling, "runner", machines, "2026-11-20", policy(allow("ssm:GetParameter").on(tooling.arn("ssm", "parameter/runner/*"))))
	workload(assistants, "knowledge-api", tasks, "2026-11-20", policy(allow("dynamodb:Query").on(assistants.arn("dynamodb", "table/articles"))))
	workload(assistants, "embedder", lambda, "2026-11-20", policy(allow("bedrock:InvokeModel").on("arn:aws:bedrock:"+region+"::foundation-model/*")))
	workload(sandbox, "playground", machines, "2026-11-11", policy(allow("bedrock:InvokeModel").on("arn:aws:bedrock:"+region+"::foundation-model/*")))
	workload(sandbox, "experiment-store", lambda, "2026-11-15", policy(allow("dynamodb:PutItem").on(sandbox.arn("dynamodb", "table/experiments"))))

	// All trails of the organisation write here.
	logArchive.bucket("acme-audit-logs", "", policy(
		allow("s3:PutObject").by("Service", "cloudtrail.amazonaws.com").on("arn:aws:s3:::acme-audit-logs/AWSLogs/*").
			when("StringEquals", "aws:SourceOrgID", organizationID).named("TrailsOfTheOrganization"),
		allow("s3:GetBucketAcl").by("Service", "cloudtrail.amazonaws.com").on("arn:aws:s3:::acme-audit-logs").
			when("StringEquals", "aws:SourceOrgID", organizationID).named("TrailsLookFirst"),
	), tags{"owner": "security-team", "criticality": "high"})
}

// awsPolicies are the managed policies of AWS that Acme attaches, shortened to a few of their actions. ReadOnlyAccess is left
// out on purpose: one role has it, and what it allows is then not known.
func awsPolicies() []policyDetail {
	var list []policyDetail
	add := func(name string, p *document) {
		arn := "arn:aws:iam::aws:policy/" + name
		base := name
		for i := range name {
			if name[i] == '/' {
				base = name[i+1:]
			}
		}
		list = append(list, policyDetail{base, uniqueID("ANPA", arn), arn, "v1", founded, []policyVersion{{p, "v1", true, founded}}})
	}
	add("AdministratorAccess", policy(allow("*").on("*")))
	add("aws-service-role/AWSConfigServiceRolePolicy", policy(allow("config:Put*", "ec2:Describe*", "iam:GetRole", "s3:GetBucketPolicy").on("*")))
	add("aws-service-role/AmazonECSServiceRolePolicy", policy(allow("ec2:AttachNetworkInterface", "ec2:Describe*", "elasticloadbalancing:RegisterTargets").on("*")))
	add("job-function/ViewOnlyAccess", policy(allow("cloudwatch:ListMetrics", "dynamodb:ListTables", "ec2:Describe*", "ecs:List*", "iam:ListRoles", "lambda:ListFunctions", "s3:ListAllMyBuckets").on("*")))
	add("service-role/AWSLambdaBasicExecutionRole", policy(allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents").on("*")))
	return list
}
