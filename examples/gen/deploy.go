package main

// deploying: the build system in the tooling account deploys to the others. Done right, a workflow of one repository and one
// environment becomes one role, and that role alone may take the deploy role, which does a few named things.
func deploying(o *organization) {
	for _, a := range []*account{tooling, shopDev, dataDev, sandbox} {
		o.providers = append(o.providers, provider{
			ARN: a.iam("oidc-provider/" + githubHost), Type: "oidc", Account: a.ID, URL: "https://" + githubHost, Audiences: []string{"sts.amazonaws.com"},
		})
	}
	deployingRight()
	deployingWrong()
}

func deployingRight() {
	const name = "/acme/deploy/shop-web"
	ci := tooling.iam("role/acme/ci/deploy-shop")
	tooling.role(role{
		Path: "/acme/ci/", Name: "deploy-shop", Trust: policy(github(tooling, "StringEquals", "repo:acme-shop/web:environment:production")),
		Boundary: "acme-boundary", Created: "2024-03-11", LastUsed: "2026-11-19", Tags: tags{"owner": "platform-team"},
		Inline: map[string]*document{"deploy": policy(
			allow("sts:AssumeRole").on(shopProd.iam("role"+name), shopStaging.iam("role"+name)),
			allow("s3:PutObject").on("arn:aws:s3:::acme-tooling-artifacts/web/*"),
		)},
	})
	for _, a := range []*account{shopProd, shopStaging} {
		a.role(role{
			Path: "/acme/deploy/", Name: "shop-web", Trust: policy(trusts(ci)), Boundary: "acme-boundary", Created: "2024-03-11", LastUsed: "2026-11-19",
			Tags: tags{"owner": "platform-team"},
			Inline: map[string]*document{"deploy": policy(
				allow("ecs:UpdateService", "ecs:DescribeServices").on(a.arn("ecs", "service/shop/web")),
				allow("s3:GetObject").on("arn:aws:s3:::acme-tooling-artifacts/web/*"),
			)},
		})
		// What starts the containers may pull one image from the tooling account.
		a.role(role{
			Path: "/acme/deploy/", Name: "task-execution", Trust: serves(a, "ecs-tasks.amazonaws.com"), Created: "2024-03-11", LastUsed: "2026-11-20",
			Inline: map[string]*document{"pull": policy(
				allow("ecr:GetAuthorizationToken").on("*"),
				allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer").on(tooling.arn("ecr", "repository/shop/web")),
			)},
		})
	}
	tooling.bucket("acme-tooling-artifacts", "", policy(
		allow("s3:GetObject").by("AWS", shopProd.iam("role"+name), shopStaging.iam("role"+name)).on("arn:aws:s3:::acme-tooling-artifacts/web/*").named("DeployRolesRead"),
	), tags{"owner": "platform-team"})
	tooling.holds("AWS::ECR::Repository", tooling.arn("ecr", "repository/shop/web"), policy(
		allow("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer").
			by("AWS", shopProd.iam("role/acme/deploy/task-execution"), shopStaging.iam("role/acme/deploy/task-execution")).named("ShopPulls"),
	), tags{"owner": "platform-team"})
}

func deployingWrong() {
	// One role for every repository, so that a pull request in any of them deploys.
	tooling.role(role{
		Path: "/ci/", Name: "github-actions", Trust: policy(github(tooling, "StringLike", "repo:acme-shop/*")), Created: "2023-05-02", LastUsed: "2026-11-20",
		Inline: map[string]*document{"deploy": policy(
			allow("s3:PutObject").on("arn:aws:s3:::acme-tooling-artifacts/*"),
			allow("sts:AssumeRole").on(shopStaging.iam("role/deploy/legacy")),
		)},
	})
	// Anybody on GitHub may found an organisation whose name begins with acme-.
	shopDev.role(role{
		Path: "/ci/", Name: "preview", Trust: policy(github(shopDev, "StringLike", "repo:acme-*")), Created: "2024-08-20", LastUsed: "2026-11-20",
		Inline: map[string]*document{"preview": policy(
			allow("lambda:*").on("*"),
			allow("sts:AssumeRole").on(dataDev.iam("role/deploy/promote")),
		)},
	})
	// The set operator is true where the claim is missing, and any audience will do.
	dataDev.role(role{
		Path: "/ci/", Name: "dbt", Created: "2025-01-09", LastUsed: "2026-11-18",
		Trust: policy(allow("sts:AssumeRoleWithWebIdentity").by("Federated", dataDev.iam("oidc-provider/"+githubHost)).
			when("ForAllValues:StringEquals", githubHost+":sub", "repo:acme-data/dbt:ref:refs/heads/main")),
		Inline: map[string]*document{"models": policy(allow("s3:GetObject", "s3:PutObject").on("arn:aws:s3:::acme-lake-dev/models/*"))},
	})
	// The audience is the same for everybody who uses GitHub with AWS.
	sandbox.role(role{
		Path: "/ci/", Name: "experiments", Created: "2026-02-17", LastUsed: "2026-11-05",
		Trust: policy(allow("sts:AssumeRoleWithWebIdentity").by("Federated", sandbox.iam("oidc-provider/"+githubHost)).
			when("StringEquals", githubHost+":aud", "sts.amazonaws.com")),
		Inline: map[string]*document{"experiments": policy(allow("bedrock:InvokeModel").on("arn:aws:bedrock:" + region + "::foundation-model/*"))},
	})
	// The whole tooling account may become administrator, for half a day.
	shopStaging.role(role{
		Path: "/deploy/", Name: "legacy", Trust: policy(trusts(tooling.root())), Attached: []string{"AdministratorAccess"}, Session: 43200,
		Created: "2023-03-01", LastUsed: "2026-11-19",
	})
	// What may deploy to staging may deploy to production.
	shopProd.role(role{
		Path: "/deploy/", Name: "hotfix", Trust: policy(trusts(shopStaging.iam("role/deploy/legacy"))), Created: "2024-12-20", LastUsed: "2026-07-14",
		Inline: map[string]*document{"hotfix": policy(allow("lambda:UpdateFunctionCode").on(shopProd.arn("lambda", "function:*")))},
	})
	// A role of that name in any account of the world.
	shopDev.role(role{
		Path: "/deploy/", Name: "any-ci", Created: "2024-10-01", LastUsed: "2026-11-12",
		Trust:  policy(allow("sts:AssumeRole").by("AWS", "*").when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/ci/*")),
		Inline: map[string]*document{"deploy": policy(allow("ecs:UpdateService").on(shopDev.arn("ecs", "service/*")))},
	})
	// A user with two access keys on a build server, and every action of STS.
	tooling.users = append(tooling.users, user{
		Name: "jenkins", Groups: []string{"build-servers"}, Keys: 2, LastUsed: "2026-11-20T05:11:00Z",
		Inline: map[string]*document{"payments": policy(allow("sts:AssumeRole").on(paymentsProd.iam("role/deploy/jenkins")))},
	})
	paymentsProd.role(role{
		Path: "/deploy/", Name: "jenkins", Trust: policy(allow("sts:*").by("AWS", tooling.iam("user/jenkins"))), Created: "2023-04-18", LastUsed: "2026-11-20",
		Inline: map[string]*document{"deploy": policy(allow("lambda:UpdateFunctionCode", "lambda:PublishVersion").on(paymentsProd.arn("lambda", "function:*")))},
	})
	// Both of those who were let in are gone: one deleted and left as its id, one never made again.
	shopStaging.role(role{
		Path: "/deploy/", Name: "images", Created: "2023-09-05", LastUsed: "2025-04-30",
		Trust:  policy(trusts(uniqueID("AROA", "a deleted role"), tooling.iam("role/ci/deploy-images"))),
		Inline: map[string]*document{"deploy": policy(allow("s3:PutObject").on("arn:aws:s3:::acme-shop-images-staging/*"))},
	})
	// StringEquals takes the star literally, and a private address never reaches AWS: nobody passes.
	shopStaging.role(role{
		Path: "/deploy/", Name: "nightly", Created: "2025-05-22",
		Trust: policy(trusts(tooling.root()).
			when("StringEquals", "aws:PrincipalArn", tooling.iam("role/acme/ci/*")).
			when("IpAddress", "aws:SourceIp", "10.0.0.0/8")),
		Inline: map[string]*document{"deploy": policy(allow("ecs:UpdateService").on(shopStaging.arn("ecs", "service/shop/*")))},
	})
	// Two roles take each other, and a session never ends. From here the lake of production is open (pipeline.go).
	for _, pair := range [][2]*account{{shopDev, dataDev}, {dataDev, shopDev}} {
		a, other := pair[0], pair[1]
		permissions := policy(allow("sts:AssumeRole").on(other.iam("role/deploy/promote")))
		trust := policy(trusts(other.iam("role/deploy/promote")))
		if a == dataDev {
			permissions.Statement = append(permissions.Statement, allow("s3:GetObject", "s3:ListBucket").on("arn:aws:s3:::acme-lake-prod", "arn:aws:s3:::acme-lake-prod/*"),
				allow("kms:Decrypt").on(dataProd.arn("kms", "key/"+uuid("lake"))))
			trust = policy(trusts(other.iam("role/deploy/promote"), shopDev.iam("role/ci/preview")))
		}
		a.role(role{Path: "/deploy/", Name: "promote", Trust: trust, Inline: map[string]*document{"promote": permissions}, Created: "2025-02-03", LastUsed: "2026-11-19"})
	}
}
