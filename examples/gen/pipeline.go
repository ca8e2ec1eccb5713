package main

// pipeline: the data department reads encrypted objects of the shop. Two ways are right: take a role that may read and
// decrypt, or be named by both bucket and key. One half of either opens nothing, or too much.
func pipeline(o *organization) {
	pipelineRight()
	pipelineWrong()
}

func pipelineRight() {
	// By a trust: the reader lives beside the bucket and the key.
	orders := shopProd.key(uuid("orders"), tags{"owner": "shop-team"})
	shopProd.bucket("acme-shop-orders", orders, nil, tags{"owner": "shop-team", "criticality": "high"})
	reader := shopProd.iam("role/acme/pipeline/orders-reader")
	dataProd.role(role{
		Path: "/acme/pipeline/", Name: "orders-etl", Trust: serves(dataProd, "glue.amazonaws.com"), Created: "2024-04-15", LastUsed: "2026-11-20", Tags: tags{"owner": "data-team"},
		Inline: map[string]*document{"pipeline": policy(
			allow("sts:AssumeRole").on(reader),
			allow("s3:PutObject").on("arn:aws:s3:::acme-lake-prod/orders/*"),
		)},
	})
	shopProd.role(role{
		Path: "/acme/pipeline/", Name: "orders-reader", Trust: policy(trusts(dataProd.iam("role/acme/pipeline/orders-etl"))), Boundary: "acme-boundary",
		Created: "2024-04-15", LastUsed: "2026-11-20", Tags: tags{"owner": "shop-team"},
		Inline: map[string]*document{"read": policy(
			allow("s3:GetObject").on("arn:aws:s3:::acme-shop-orders/*"),
			allow("s3:ListBucket").on("arn:aws:s3:::acme-shop-orders"),
			allow("kms:Decrypt").on(orders).when("StringEquals", "kms:ViaService", "s3."+region+".amazonaws.com"),
		)},
	})

	// By bucket and key: both name the one role, and the role may do both.
	matcher := paymentsProd.iam("role/acme/pipeline/refund-matcher")
	refunds := shopProd.key(uuid("refunds"), tags{"owner": "shop-team"},
		allow("kms:Decrypt").by("AWS", matcher).on("*").when("StringEquals", "kms:ViaService", "s3."+region+".amazonaws.com").named("RefundMatcherThroughS3"))
	shopProd.bucket("acme-shop-refunds", refunds, policy(
		allow("s3:GetObject").by("AWS", matcher).on("arn:aws:s3:::acme-shop-refunds/*").named("RefundMatcher"),
	), tags{"owner": "shop-team"})
	paymentsProd.role(role{
		Path: "/acme/pipeline/", Name: "refund-matcher", Trust: serves(paymentsProd, "lambda.amazonaws.com"), Created: "2025-03-03", LastUsed: "2026-11-20",
		Tags: tags{"owner": "payments-team"},
		Inline: map[string]*document{"read": policy(
			allow("s3:GetObject").on("arn:aws:s3:::acme-shop-refunds/*"),
			allow("kms:Decrypt").on(refunds),
		)},
	})

	ledger := paymentsProd.key(uuid("ledger"), tags{"owner": "payments-team"})
	paymentsProd.bucket("acme-payments-ledger", ledger, nil, tags{"owner": "payments-team", "criticality": "high"})
}

func pipelineWrong() {
	// The bucket lets the pipeline in and the key does not: it reads what it cannot decrypt.
	clicksETL := dataProd.iam("role/pipeline/clicks-etl")
	clicks := shopProd.key(uuid("clicks"), tags{"owner": "shop-team"})
	shopProd.bucket("acme-shop-clicks", clicks, policy(
		allow("s3:GetObject").by("AWS", clicksETL).on("arn:aws:s3:::acme-shop-clicks/*").named("ClicksETL"),
	), tags{"owner": "shop-team"})
	dataProd.role(role{
		Path: "/pipeline/", Name: "clicks-etl", Trust: servesAnybody("glue.amazonaws.com"), Created: "2025-09-15", LastUsed: "2026-11-20",
		Inline: map[string]*document{"read": policy(
			allow("s3:GetObject").on("arn:aws:s3:::acme-shop-clicks/*"),
			allow("kms:Decrypt").on(clicks),
		)},
	})

	// The lake of production is open to the whole development account, in every way, with the key.
	lake := dataProd.key(uuid("lake"), tags{"owner": "data-team"},
		allow("kms:Decrypt", "kms:CreateGrant").by("AWS", dataDev.root()).on("*").named("DevelopmentDecrypts"))
	dataProd.bucket("acme-lake-prod", lake, policy(
		allow("s3:*").by("AWS", dataDev.root()).on("arn:aws:s3:::acme-lake-prod", "arn:aws:s3:::acme-lake-prod/*").named("DevelopmentTests"),
	), tags{"owner": "data-team", "criticality": "high"})
	dataDev.bucket("acme-lake-dev", "", nil, tags{"owner": "data-team"})

	// Four hours of work, in a session that AWS ends after one: the reader is only ever reached from another role.
	dataProd.role(role{
		Path: "/pipeline/", Name: "monthly-report", Trust: serves(dataProd, "states.amazonaws.com"), Created: "2025-01-31", LastUsed: "2026-11-01",
		Inline: map[string]*document{"report": policy(allow("sts:AssumeRole").on(shopProd.iam("role/pipeline/monthly-reader")))},
	})
	shopProd.role(role{
		Path: "/pipeline/", Name: "monthly-reader", Trust: policy(trusts(dataProd.iam("role/pipeline/monthly-report"))), Session: 14400,
		Created: "2025-01-31", LastUsed: "2026-11-01",
		Inline: map[string]*document{"read": policy(allow("s3:GetObject").on("arn:aws:s3:::acme-shop-orders/monthly/*"))},
	})

	// A partner nobody remembers; and a bucket for everybody, with the block switched off.
	dataDev.bucket("acme-data-samples", "", policy(
		allow("s3:GetObject").by("AWS", stranger.iam("root")).on("arn:aws:s3:::acme-data-samples/*").named("Partner"),
	), tags{"owner": "data-team"})
	dataDev.bucket("acme-data-open", "", policy(
		allow("s3:GetObject").byAnyone().on("arn:aws:s3:::acme-data-open/*").named("OpenData"),
	), tags{"owner": "data-team"}, "publicAccessBlock=off")

	// Everybody but one: strangers are not the one.
	shopStaging.holds("AWS::SNS::Topic", shopStaging.arn("sns", "order-events"), policy(
		allow("sns:Subscribe", "sns:Publish").byAllBut(shopDev.root()).on(shopStaging.arn("sns", "order-events")).named("AllButDevelopment"),
	), tags{"owner": "shop-team"})
	// A topic of any customer may write here, and a bucket of any customer may call there.
	shopStaging.holds("AWS::SQS::Queue", shopStaging.arn("sqs", "order-events"), policy(
		allow("sqs:SendMessage").by("Service", "sns.amazonaws.com").on(shopStaging.arn("sqs", "order-events")).named("FromTopic"),
	), tags{"owner": "shop-team"})
	shopStaging.holds("AWS::Lambda::Function", shopStaging.arn("lambda", "function:on-upload"), policy(
		allow("lambda:InvokeFunction").by("Service", "s3.amazonaws.com").on(shopStaging.arn("lambda", "function:on-upload")).
			when("ArnLike", "aws:SourceArn", "arn:aws:s3:::*").named("FromBucket"),
	), tags{"owner": "shop-team"})
	// The same done right: the source is one topic, of one account.
	shopProd.holds("AWS::SNS::Topic", shopProd.arn("sns", "order-events"), nil, tags{"owner": "shop-team"})
	shopProd.holds("AWS::SQS::Queue", shopProd.arn("sqs", "order-events"), policy(
		allow("sqs:SendMessage").by("Service", "sns.amazonaws.com").on(shopProd.arn("sqs", "order-events")).
			when("StringEquals", "aws:SourceAccount", shopProd.ID).
			when("ArnEquals", "aws:SourceArn", shopProd.arn("sns", "order-events")).named("FromTopic"),
	), tags{"owner": "shop-team"})
	// An operator that IAM does not have: what the statement allows is not understood, and so not safe.
	dataDev.role(role{
		Path: "/pipeline/", Name: "matcher", Created: "2026-01-12",
		Trust:  policy(trusts(dataProd.root()).when("StringMatches", "aws:PrincipalArn", "^arn:aws:iam::"+dataProd.ID+":role/app/.*$")),
		Inline: map[string]*document{"read": policy(allow("s3:GetObject").on("arn:aws:s3:::acme-lake-dev/*"))},
	})
}
