package main

import "time"

// crossings is who crossed in those three months. It agrees with what IAM says of the roles (LastUsed): who is not here did not come.
func crossings() *trail {
	t := &trail{events: map[string][]map[string]any{}}
	for _, a := range everyAccount {
		// An account is never silent: AWS itself looks into it every day.
		t.visits(visit{by: caller{service: "config.amazonaws.com", session: "AWSConfig-Describe"}, to: a, role: "/aws-service-role/config.amazonaws.com/AWSServiceRoleForConfig", every: daily})
	}
	t.deploying()
	t.pipeline()
	t.agents()
	t.monitoring()
	t.recovering()
	return t
}

func (t *trail) deploying() {
	github := func(subject string) caller {
		return caller{issuer: githubHost, subject: subject, session: "GitHubActions", from: "203.0.113.7"}
	}
	t.visits(visit{by: github("repo:acme-shop/web:environment:production"), to: tooling, role: "/acme/ci/deploy-shop", every: daily, workdays: true, seconds: 3600,
		does: []deed{{"s3:PutObject", "arn:aws:s3:::acme-tooling-artifacts/web/release.zip", ""}}})
	for _, a := range []*account{shopStaging, shopProd} {
		service := a.arn("ecs", "service/shop/web")
		t.visits(visit{by: as(tooling, "/acme/ci/deploy-shop"), to: a, role: "/acme/deploy/shop-web", every: daily, first: trailFrom.Add(6 * hourly), workdays: true, seconds: 1800,
			does: []deed{{"ecs:DescribeServices", service, ""}, {"ecs:UpdateService", service, ""}, {"s3:GetObject", "arn:aws:s3:::acme-tooling-artifacts/web/release.zip", tooling.ID}}})
	}
	// One role for every repository: three of them come.
	for n, repo := range []string{"web", "api", "docs"} {
		t.visits(visit{by: github("repo:acme-shop/" + repo + ":pull_request"), to: tooling, role: "/ci/github-actions", every: time.Duration(n+1) * daily, workdays: true,
			does: []deed{{"s3:PutObject", "arn:aws:s3:::acme-tooling-artifacts/" + repo + "/preview.zip", ""}}})
	}
	t.visits(visit{by: github("repo:acme-shop/storefront:pull_request"), to: shopDev, role: "/ci/preview", every: 2 * daily, workdays: true, does: []deed{
		{"lambda:UpdateFunctionCode", shopDev.arn("lambda", "function:storefront-preview"), ""}, {"lambda:GetFunction", shopDev.arn("lambda", "function:storefront-preview"), ""}}})
	t.visits(visit{by: github("repo:acme-data/dbt:ref:refs/heads/main"), to: dataDev, role: "/ci/dbt", every: daily, last: date("2026-11-18"), workdays: true, does: []deed{
		{"s3:PutObject", "arn:aws:s3:::acme-lake-dev/models/orders.sql", ""}}})
	t.visits(visit{by: github("repo:acme-ai/experiments:ref:refs/heads/main"), to: sandbox, role: "/ci/experiments", every: 2 * weekly, last: date("2026-11-06"), does: []deed{
		{"bedrock:InvokeModel", "", ""}}})
	// The administrator for everybody in tooling is used by one role, for two things.
	t.visits(visit{by: as(tooling, "/ci/github-actions"), to: shopStaging, role: "/deploy/legacy", every: 3 * daily, last: date("2026-11-20"), workdays: true, seconds: 3600, does: []deed{
		{"ecs:UpdateService", shopStaging.arn("ecs", "service/shop/api"), ""}, {"lambda:UpdateFunctionCode", shopStaging.arn("lambda", "function:order-worker"), ""}}})
	jenkins := caller{account: tooling, user: "jenkins", session: "jenkins", from: "198.51.100.80"}
	t.visits(visit{by: jenkins, to: paymentsProd, role: "/deploy/jenkins", every: daily, workdays: true, seconds: 3600, does: []deed{
		{"lambda:UpdateFunctionCode", paymentsProd.arn("lambda", "function:settle"), ""}, {"lambda:PublishVersion", paymentsProd.arn("lambda", "function:settle"), ""}}})
	t.visits(visit{by: as(shopDev, "/ci/preview"), to: shopDev, role: "/deploy/any-ci", every: weekly, last: date("2026-11-13"), does: []deed{{"ecs:UpdateService", shopDev.arn("ecs", "service/preview"), ""}}})
	t.visits(visit{by: as(shopDev, "/ci/preview"), to: dataDev, role: "/deploy/promote", every: weekly, last: date("2026-11-19"), does: []deed{
		{"s3:GetObject", "arn:aws:s3:::acme-lake-prod/features/sample.parquet", dataProd.ID}}})
	t.visits(visit{by: as(dataDev, "/deploy/promote"), to: shopDev, role: "/deploy/promote", every: 2 * weekly, last: date("2026-11-19")})
}

func (t *trail) pipeline() {
	t.visits(visit{by: as(dataProd, "/acme/pipeline/orders-etl"), to: shopProd, role: "/acme/pipeline/orders-reader", every: daily, seconds: 3600, does: []deed{
		{"s3:ListBucket", "arn:aws:s3:::acme-shop-orders", ""}, {"s3:GetObject", "arn:aws:s3:::acme-shop-orders/orders/part-0.parquet", ""}, {"kms:Decrypt", shopProd.arn("kms", "key/"+uuid("orders")), ""}}})
	t.visits(visit{by: as(dataProd, "/pipeline/monthly-report"), to: shopProd, role: "/pipeline/monthly-reader", every: monthly, first: date("2026-09-01"), last: date("2026-11-02"), seconds: 3600, does: []deed{
		{"s3:GetObject", "arn:aws:s3:::acme-shop-orders/monthly/all.parquet", ""}}})
	for _, at := range times(daily, trailFrom.Add(2*hourly), trailTo, false, "refunds") {
		t.does(as(paymentsProd, "/acme/pipeline/refund-matcher"), deed{"s3:GetObject", "arn:aws:s3:::acme-shop-refunds/refunds.csv", shopProd.ID}, at, "")
		t.does(as(paymentsProd, "/acme/pipeline/refund-matcher"), deed{"kms:Decrypt", shopProd.arn("kms", "key/"+uuid("refunds")), shopProd.ID}, at.Add(time.Second), "")
	}
}

func (t *trail) agents() {
	// The agent says for whom it works, and that is a person's name.
	for n, person := range []string{"ines", "tariq"} {
		t.visits(visit{by: as(sandbox, "/acme/agents/research"), to: assistants, role: "/acme/agents/knowledge-reader", every: daily, first: trailFrom.Add(time.Duration(8+n) * hourly), workdays: true,
			seconds: 900, source: "agent-research-" + person, does: []deed{{"dynamodb:Query", assistants.arn("dynamodb", "table/articles"), ""}}})
	}
	for _, at := range times(daily, trailFrom.Add(9*hourly), trailTo, true, "search") {
		t.does(as(sandbox, "/acme/agents/research"), deed{"lambda:InvokeFunction", assistants.arn("lambda", "function:search"), assistants.ID}, at, "")
	}
	cluster := caller{issuer: "oidc.eks." + region + ".amazonaws.com/id/" + uniqueID("", "agents cluster"), subject: "system:serviceaccount:agents:summariser", session: "summariser", from: "203.0.113.40"}
	t.visits(visit{by: cluster, to: assistants, role: "/acme/agents/summariser", every: daily, does: []deed{{"dynamodb:Query", assistants.arn("dynamodb", "table/articles"), ""}}})
	t.visits(visit{by: as(assistants, "/app/knowledge-api"), to: assistants, role: "/agents/knowledge-editor", every: 2 * daily, last: date("2026-11-18"), does: []deed{
		{"dynamodb:PutItem", assistants.arn("dynamodb", "table/articles"), ""}}})
	t.visits(visit{by: as(assistants, "/agents/knowledge-editor"), to: shopProd, role: "/support/ticket-writer", every: weekly, last: date("2026-11-11"), does: []deed{
		{"dynamodb:PutItem", shopProd.arn("dynamodb", "table/orders"), ""}}})
	for _, at := range times(weekly, trailFrom.Add(10*hourly), trailTo, false, "keys") {
		t.does(as(sandbox, "/acme/agents/research"), deed{"secretsmanager:GetSecretValue", assistants.arn("secretsmanager", "secret:model-keys-Ab12Cd"), assistants.ID}, at, "")
	}
	t.visits(visit{by: as(sandbox, "/agents/planner"), to: sandbox, role: "/agents/browser", every: 2 * weekly, last: date("2026-11-02")})
	// Guests of the chat; and somebody from nowhere who tried the open door, and got in.
	guest := caller{issuer: "cognito-identity.amazonaws.com", subject: region + ":" + uuid("guest"), session: "CognitoIdentityCredentials", from: "203.0.113.99"}
	t.visits(visit{by: guest, to: sandbox, role: "/agents/chat-guest", every: 3 * daily, last: date("2026-11-20"), does: []deed{{"lambda:InvokeFunction", sandbox.arn("lambda", "function:chat"), ""}}})
}

func (t *trail) monitoring() {
	collector := as(skywatch, "/skywatch-collector")
	collector.from = "192.0.2.17"
	for _, a := range everyAccount {
		if a != management {
			t.visits(visit{by: collector, to: a, role: "/acme/vendor/Skywatch", every: 4 * daily, does: []deed{{"cloudwatch:GetMetricData", "", ""}, {"tag:GetResources", "", ""}}})
		}
		if a != security {
			t.visits(visit{by: as(security, "/acme/security/scanner"), to: a, role: "/acme/security/audit", every: weekly, seconds: 900, does: []deed{
				{"ec2:DescribeInstances", "", ""}, {"ec2:DescribeSecurityGroups", "", ""}, {"tag:GetResources", "", ""}}})
		}
	}
	// The perimeter of production stops a stranger, who tries again each month.
	unknown := as(stranger, "/etl")
	unknown.from = "192.0.2.200"
	t.visits(visit{by: unknown, to: dataProd, role: "/vendor/analytics", every: monthly, refused: true})
}

// recovering: one drill.
func (t *trail) recovering() {
	for _, a := range []*account{shopProd, dataProd, paymentsProd} {
		t.visits(visit{by: as(recovery, "/acme/recovery/orchestrator"), to: a, role: "/acme/recovery/restore", every: monthly, first: date("2026-09-14").Add(8 * hourly), last: date("2026-09-15"), seconds: 3600,
			does: []deed{{"rds:RestoreDBInstanceFromDBSnapshot", "", ""}, {"kms:Decrypt", recovery.arn("kms", "key/"+uuid("vault")), recovery.ID}}})
	}
}

func date(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		panic(err) // written here
	}
	return t
}
