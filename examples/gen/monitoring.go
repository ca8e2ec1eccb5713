package main

import "slices"

// monitoring: Skywatch has a role in every account but the management account. Done right, the trust names Skywatch's one
// role and the value by which Skywatch says that it acts for this account of Acme. Metrigraph's contract ended, and its
// roles did not.
func monitoring(o *organization) {
	collector := skywatch.iam("role/skywatch-collector")
	for _, a := range everyAccount {
		if a == management {
			continue
		}
		right := trusts(collector).when("StringEquals", "sts:ExternalId", uuid("skywatch "+a.ID))
		r := role{
			Path: "/acme/vendor/", Name: "Skywatch", Trust: policy(right), Boundary: "acme-boundary", Created: "2024-02-01", LastUsed: "2026-11-20",
			Inline: map[string]*document{"metrics": policy(allow("cloudwatch:GetMetricData", "cloudwatch:ListMetrics", "ec2:DescribeInstances", "tag:GetResources").on("*"))},
			Tags:   tags{"owner": "observability-team", "vendor": "Skywatch"},
		}
		switch a {
		case shopDev: // the whole of Skywatch's account, for any of its customers
			r.Trust = policy(trusts(skywatch.iam("root")))
		case dataDev: // a test that any value passes
			r.Trust = policy(trusts(collector).when("StringLike", "sts:ExternalId", "*"))
		case shopStaging: // a value that anybody can guess
			r.Trust = policy(trusts(collector).when("StringEquals", "sts:ExternalId", "acme-shop-staging"))
		case sandbox: // the value of production
			r.Trust = policy(trusts(collector).when("StringEquals", "sts:ExternalId", uuid("skywatch "+paymentsProd.ID)))
		case paymentsProd: // a second statement without the test; and monitoring reads the ledger
			r.Trust = policy(right.named("Collector"), trusts(collector, skywatch.iam("role/skywatch-onboarding")).named("Onboarding"))
			r.Inline["support"] = policy(
				allow("s3:GetObject").on("arn:aws:s3:::acme-payments-ledger/*"),
				allow("kms:Decrypt").on(paymentsProd.arn("kms", "key/"+uuid("ledger"))),
			)
		case network: // a policy of AWS whose text is not in the snapshot: what it allows is not known
			r.Attached = []string{"ReadOnlyAccess"}
		}
		a.role(r)
	}

	// The vendor that left: the form is right, and nobody took it back.
	for _, a := range []*account{logArchive, network, shopStaging, dataProd} {
		a.role(role{
			Path: "/vendor/", Name: "Metrigraph", Created: "2023-06-12", LastUsed: "2026-06-29",
			Trust:  policy(trusts(metrigraph.iam("role/reader")).when("StringEquals", "sts:ExternalId", uuid("metrigraph "+a.ID))),
			Inline: map[string]*document{"metrics": policy(allow("cloudwatch:GetMetricData", "cloudwatch:ListMetrics").on("*"))},
		})
	}
	o.grants = append(o.grants, kmsGrant{
		Key: shopProd.arn("kms", "key/"+uuid("orders")), ID: hexID("metrigraph grant", 32), Grantee: metrigraph.iam("role/reader"),
		Retiring: shopProd.iam("role/acme/deploy/shop-web"), Operations: []string{"Decrypt"}, Created: "2025-02-10T00:00:00Z", LastUsed: "2026-06-29T00:00:00Z",
	})
	o.shares = append(o.shares, share{
		Kind: "RDSSnapshot", ARN: shopStaging.arn("rds", "snapshot:orders-for-metrigraph"), Owner: shopStaging.ID, With: []string{metrigraph.ID}, AllowExternal: true,
	})

	// An account of which nobody knows whose it is. In production the perimeter stops it; in staging nothing does.
	for _, a := range []*account{shopStaging, dataProd} {
		a.role(role{
			Path: "/vendor/", Name: "analytics", Created: "2023-08-30", LastUsed: "2025-12-01",
			Trust:  policy(trusts(stranger.iam("root")).when("StringEquals", "sts:ExternalId", "12345678")),
			Inline: map[string]*document{"read": policy(allow("cloudwatch:GetMetricData").on("*"))},
		})
	}
}

// missing is what the collection could not read.
func missing(o *organization) {
	cards := paymentsProd.arn("kms", "key/"+uuid("cards"))
	paymentsProd.resources = append(paymentsProd.resources, resource{
		ARN: cards, Type: "AWS::KMS::Key", Account: paymentsProd.ID, Region: region, Error: "AccessDeniedException: the key policy does not let the account's own roles read it",
		Tags: tags{"owner": "payments-team"},
	})
	o.gaps = append(o.gaps, gap{"region", network.ID + "/eu-central-1", network.ID, "the region was not collected: the collector's request was throttled until it gave up"})

	for _, a := range everyAccount {
		fact := map[string]any{"coverage": a.ID, "from": "2026-08-20T00:00:00Z", "to": collected}
		if a == network {
			fact["regionsMissing"] = []string{"eu-central-1"}
		}
		o.usage = append(o.usage, fact)
	}
	for _, id := range slices.Sorted(slices.Values([]string{logArchive.ID, network.ID, shopStaging.ID, dataProd.ID})) {
		o.usage = append(o.usage, map[string]any{"accessAdvisor": "arn:aws:iam::" + id + ":role/vendor/Metrigraph", "used": []string{}, "unused": []string{"cloudwatch"}, "window": 90})
	}
}
