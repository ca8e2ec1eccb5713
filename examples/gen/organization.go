package main

const (
	organizationID = "o-acmeexample1"
	collected      = "2026-11-20T06:00:00Z"

	rootUnit     = "r-ac01"
	coreUnit     = rootUnit + "/ou-ac01-core0001"
	platformUnit = rootUnit + "/ou-ac01-plat0001"
	workUnit     = rootUnit + "/ou-ac01-work0001"
	prodUnit     = workUnit + "/ou-ac01-prod0001"
	nonprodUnit  = workUnit + "/ou-ac01-nonp0001"
	sandboxUnit  = rootUnit + "/ou-ac01-sand0001"
)

// The accounts of Acme, a shop with a payments business and a data department.
var (
	management   = member("111100000001", "acme-management", rootUnit, "security")
	security     = member("111100000002", "acme-security", coreUnit, "security")
	logArchive   = member("111100000003", "acme-log-archive", coreUnit, "security")
	recovery     = member("111100000004", "acme-recovery", coreUnit, "security")
	network      = member("111100000010", "acme-network", platformUnit, "shared")
	tooling      = member("111100000011", "acme-tooling", platformUnit, "shared")
	assistants   = member("111100000012", "acme-assistants", platformUnit, "shared")
	shopProd     = member("111100000021", "acme-shop-prod", prodUnit, "prod")
	shopStaging  = member("111100000022", "acme-shop-staging", nonprodUnit, "staging")
	shopDev      = member("111100000023", "acme-shop-dev", nonprodUnit, "dev")
	dataProd     = member("111100000031", "acme-data-prod", prodUnit, "prod")
	dataDev      = member("111100000032", "acme-data-dev", nonprodUnit, "dev")
	paymentsProd = member("111100000041", "acme-payments-prod", prodUnit, "prod")
	sandbox      = member("111100000051", "acme-ai-sandbox", sandboxUnit, "sandbox")

	// Outside. Skywatch monitors; the contract with Metrigraph ended in June; of the last nobody at Acme knows anything.
	skywatch   = &account{ID: "999900000001", Name: "Skywatch", Kind: "vendor"}
	metrigraph = &account{ID: "999900000002", Name: "Metrigraph", Kind: "vendor", Tags: tags{"contract": "ended 2026-06-30"}}
	stranger   = &account{ID: "999900000077"}
)

func member(id, name, unit, env string) *account {
	a := &account{ID: id, Name: name, Kind: "member", OU: unit, Env: env, inventoried: true}
	if unit == rootUnit {
		a.Kind = "management"
	}
	return a
}

// everyAccount are the accounts of the organisation, in the order of their ids.
var everyAccount = []*account{
	management, security, logArchive, recovery, network, tooling, assistants,
	shopProd, shopStaging, shopDev, dataProd, dataDev, paymentsProd, sandbox,
}

func newOrganization() *organization {
	o := &organization{
		accounts: append(append([]*account{}, everyAccount...), skywatch, metrigraph),
		units: []unit{
			{rootUnit, "Root"}, {coreUnit, "Core"}, {platformUnit, "Platform"}, {sandboxUnit, "Sandbox"},
			{workUnit, "Workloads"}, {nonprodUnit, "Non-production"}, {prodUnit, "Production"},
		},
	}
	for _, a := range everyAccount {
		// The generator may run twice in one process (tests do).
		a.users, a.groups, a.roles, a.policies, a.resources = nil, nil, nil, nil, nil
	}
	everywhere := []string{rootUnit, coreUnit, platformUnit, sandboxUnit, workUnit, nonprodUnit, prodUnit}
	for _, a := range everyAccount {
		everywhere = append(everywhere, a.ID)
	}
	scp := func(name, id string, p *document, targets ...string) {
		o.scps = append(o.scps, controlPolicy{name, "arn:aws:organizations::" + management.ID + ":policy/" + organizationID + "/service_control_policy/" + id, targets, p})
	}
	rcp := func(name, id string, p *document, targets ...string) {
		o.rcps = append(o.rcps, controlPolicy{name, "arn:aws:organizations::" + management.ID + ":policy/" + organizationID + "/resource_control_policy/" + id, targets, p})
	}

	o.scps = append(o.scps, controlPolicy{"FullAWSAccess", "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", everywhere, policy(allow("*").on("*"))})
	scp("baseline", "p-base0001", policy(
		deny("organizations:LeaveOrganization", "account:CloseAccount").on("*").named("StayInTheOrganization"),
		deny("*").on("*").when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:root").named("NoRootUser"),
		deny("cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "config:StopConfigurationRecorder", "guardduty:DeleteDetector").on("*").
			when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/acme/security/guard-admin").named("KeepTheGuards"),
	), rootUnit)
	scp("regions", "p-regi0001", policy(
		denyAllBut("cloudfront:*", "iam:*", "organizations:*", "route53:*", "sts:*", "support:*", "waf:*").on("*").
			when("StringNotEquals", "aws:RequestedRegion", "eu-west-1", "eu-central-1", "us-east-1").named("EuropeOnly"),
	), workUnit, sandboxUnit)
	scp("boundaries-stay", "p-boun0001", policy(
		deny("iam:DeleteRolePermissionsBoundary", "iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion").
			on("arn:aws:iam::*:role/acme/*", "arn:aws:iam::*:policy/acme-boundary").
			when("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:role/acme/security/guard-admin").named("BoundariesStay"),
	), workUnit, platformUnit)
	scp("sandbox", "p-sand0001", policy(
		deny("iam:CreateUser", "iam:CreateAccessKey", "iam:CreateOpenIDConnectProvider", "iam:CreateSAMLProvider").on("*").named("NoLongLivedKeys"),
		deny("ec2:CreateVpcPeeringConnection", "ram:CreateResourceShare").on("*").named("NoWayOut"),
	), sandboxUnit)

	o.rcps = append(o.rcps, controlPolicy{"RCPFullAWSAccess", "arn:aws:organizations::aws:policy/resource_control_policy/p-RCPFullAWSAccess", everywhere, policy(allow("*").byAnyone().on("*"))})
	// The data perimeter, with its usual holes: it lies on production alone, and the vendor that left is still excepted.
	rcp("perimeter", "p-peri0001", policy(
		deny("s3:*", "sqs:*", "kms:*", "secretsmanager:*", "sts:AssumeRole").byAnyone().on("*").
			when("StringNotEqualsIfExists", "aws:PrincipalOrgID", organizationID).
			when("StringNotEqualsIfExists", "aws:PrincipalAccount", skywatch.ID, metrigraph.ID).
			when("BoolIfExists", "aws:PrincipalIsAWSService", "false").named("OurPeopleOnly"),
		deny("s3:*", "sqs:*", "kms:*", "secretsmanager:*").byAnyone().on("*").
			when("StringNotEqualsIfExists", "aws:SourceOrgID", organizationID).
			when("Null", "aws:SourceAccount", "false").
			when("Bool", "aws:PrincipalIsAWSService", "true").named("ServicesForUsOnly"),
	), prodUnit)
	return o
}
