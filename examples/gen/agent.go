package main

// agents: an AI agent in the sandbox calls the knowledge service of the company. Done right, one agent is one role, says on
// whose behalf it acts, and reads. Done wrong, whoever is anywhere may write, and goes on from there.
func agents(o *organization) {
	agentsRight(o)
	agentsWrong()
}

func agentsRight(o *organization) {
	reader := assistants.iam("role/acme/agents/knowledge-reader")
	articles := assistants.arn("dynamodb", "table/articles")
	search := assistants.arn("lambda", "function:search")
	agent := sandbox.iam("role/acme/agents/research")
	sandbox.role(role{
		Path: "/acme/agents/", Name: "research", Trust: serves(sandbox, "ecs-tasks.amazonaws.com"), Created: "2026-03-02", LastUsed: "2026-11-20", Tags: tags{"owner": "ai-team"},
		Inline: map[string]*document{"knowledge": policy(
			allow("sts:AssumeRole", "sts:SetSourceIdentity").on(reader),
			allow("lambda:InvokeFunction").on(search),
		)},
	})
	assistants.role(role{
		Path: "/acme/agents/", Name: "knowledge-reader", Boundary: "acme-boundary", Created: "2026-03-02", LastUsed: "2026-11-20", Tags: tags{"owner": "knowledge-team"},
		Trust: policy(allow("sts:AssumeRole", "sts:SetSourceIdentity").by("AWS", agent).
			when("StringLike", "sts:SourceIdentity", "agent-research-*")),
		Inline: map[string]*document{"read": policy(allow("dynamodb:Query", "dynamodb:GetItem").on(articles))},
	})
	assistants.holds("AWS::Lambda::Function", search, policy(
		allow("lambda:InvokeFunction").by("AWS", agent).on(search).named("ResearchAgent"),
	), tags{"owner": "knowledge-team"})

	// An agent on Kubernetes is one service account of one cluster.
	issuer := "oidc.eks." + region + ".amazonaws.com/id/" + uniqueID("", "agents cluster")
	registered := true
	o.providers = append(o.providers,
		provider{ARN: assistants.iam("oidc-provider/" + issuer), Type: "oidc", Account: assistants.ID, URL: "https://" + issuer, Audiences: []string{"sts.amazonaws.com"}},
		provider{ARN: assistants.arn("eks", "cluster/agents"), Type: "eks", Account: assistants.ID, URL: "https://" + issuer, Cluster: "agents", Registered: &registered},
	)
	assistants.role(role{
		Path: "/acme/agents/", Name: "summariser", Boundary: "acme-boundary", Created: "2026-05-18", LastUsed: "2026-11-20", Tags: tags{"owner": "knowledge-team"},
		Trust: policy(allow("sts:AssumeRoleWithWebIdentity").by("Federated", assistants.iam("oidc-provider/"+issuer)).
			when("StringEquals", issuer+":aud", "sts.amazonaws.com").
			when("StringEquals", issuer+":sub", "system:serviceaccount:agents:summariser")),
		Inline: map[string]*document{"read": policy(allow("dynamodb:Query").on(articles))},
	})
}

func agentsWrong() {
	// Everybody in the organisation may edit what the agents believe, and take the next step into production.
	ticket := shopProd.iam("role/support/ticket-writer")
	assistants.role(role{
		Path: "/agents/", Name: "knowledge-editor", Created: "2025-11-24", LastUsed: "2026-11-18",
		Trust: policy(allow("sts:AssumeRole").by("AWS", "*").when("StringEquals", "aws:PrincipalOrgID", organizationID)),
		Inline: map[string]*document{"edit": policy(
			allow("dynamodb:*").on("*"),
			allow("sts:AssumeRole").on(ticket),
		)},
	})
	shopProd.role(role{
		Path: "/support/", Name: "ticket-writer", Trust: policy(trusts(assistants.iam("role/agents/knowledge-editor"))), Created: "2026-01-20", LastUsed: "2026-11-10",
		Inline: map[string]*document{"tickets": policy(allow("dynamodb:PutItem", "dynamodb:GetItem").on(shopProd.arn("dynamodb", "table/orders")))},
	})
	sandbox.role(role{
		Path: "/agents/", Name: "planner", Trust: serves(sandbox, "lambda.amazonaws.com"), Created: "2026-01-20", LastUsed: "2026-11-10",
		Inline: map[string]*document{"tools": policy(allow("sts:AssumeRole").on("*"))},
	})
	// A secret for the whole sandbox account: whoever may write policies there decides who reads it.
	assistants.holds("AWS::SecretsManager::Secret", assistants.arn("secretsmanager", "secret:model-keys-Ab12Cd"), policy(
		allow("secretsmanager:GetSecretValue").by("AWS", sandbox.root()).on("*").named("Sandbox"),
	), tags{"owner": "ai-team"})
	// Anyone, without any condition; and anyone who says that he is our agent.
	sandbox.role(role{
		Path: "/agents/", Name: "open-agent", Trust: policy(allow("sts:AssumeRole").by("AWS", "*")), Created: "2026-06-01", LastUsed: "2026-06-03",
		Inline: map[string]*document{"model": policy(allow("bedrock:InvokeModel").on("arn:aws:bedrock:" + region + "::foundation-model/*"))},
	})
	sandbox.role(role{
		Path: "/agents/", Name: "browser", Created: "2026-06-15", LastUsed: "2026-11-02",
		Trust:  policy(allow("sts:AssumeRole").by("AWS", "*").when("StringLike", "aws:UserAgent", "acme-agent/*")),
		Inline: map[string]*document{"store": policy(allow("dynamodb:PutItem").on(sandbox.arn("dynamodb", "table/experiments")))},
	})
	// Guests of any identity pool, of any customer.
	sandbox.role(role{
		Path: "/agents/", Name: "chat-guest", Created: "2026-07-07", LastUsed: "2026-11-19",
		Trust: policy(allow("sts:AssumeRoleWithWebIdentity").by("Federated", "cognito-identity.amazonaws.com").
			when("ForAnyValue:StringLike", "cognito-identity.amazonaws.com:amr", "unauthenticated")),
		Inline: map[string]*document{"chat": policy(allow("lambda:InvokeFunction").on(sandbox.arn("lambda", "function:chat")))},
	})
}
