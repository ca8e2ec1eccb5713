package main

// recovering: when production is lost, the recovery account restores it. Done right, one orchestrator may take one role in
// each account, which restores and nothing else. Done wrong, it is a second administrator that nobody watches.
func recovering(o *organization) {
	production := []*account{shopProd, dataProd, paymentsProd}
	var targets, restorers []string
	for _, a := range production {
		targets = append(targets, a.iam("role/acme/recovery/restore"))
	}
	recovery.role(role{
		Path: "/acme/recovery/", Name: "orchestrator", Trust: serves(recovery, "states.amazonaws.com"), Created: "2024-07-01", LastUsed: "2026-09-14", Tags: tags{"owner": "continuity-team"},
		Inline: map[string]*document{"restore": policy(allow("sts:AssumeRole").on(targets...))},
	})
	for _, a := range production {
		a.role(role{
			Path: "/acme/recovery/", Name: "restore", Trust: policy(trusts(recovery.iam("role/acme/recovery/orchestrator"))), Boundary: "acme-boundary",
			Created: "2024-07-01", LastUsed: "2026-09-14", Tags: tags{"owner": "continuity-team"},
			Inline: map[string]*document{"restore": policy(
				allow("backup:StartRestoreJob").on("arn:aws:backup:"+region+":"+recovery.ID+":recovery-point:*"),
				allow("rds:RestoreDBInstanceFromDBSnapshot").on(a.arn("rds", "snapshot:awsbackup:*")),
				allow("kms:Decrypt").on(recovery.arn("kms", "key/"+uuid("vault"))),
			)},
		})
		restorers = append(restorers, a.iam("role/acme/recovery/restore"))
	}
	recovery.key(uuid("vault"), tags{"owner": "continuity-team"},
		allow("kms:Decrypt").by("AWS", restorers...).on("*").when("StringEquals", "kms:ViaService", "backup."+region+".amazonaws.com").named("RestorersThroughBackup"))

	// The whole recovery account is administrator of payments, for half a day.
	paymentsProd.role(role{
		Path: "/recovery/", Name: "failover", Trust: policy(trusts(recovery.root())), Attached: []string{"AdministratorAccess"}, Session: 43200, Created: "2023-11-09",
	})
	// By hand, from a user, under a boundary that bounds nothing.
	shopProd.policies = append(shopProd.policies, managedPolicy{"recovery-boundary", policy(allow("*").on("*"))})
	shopProd.role(role{
		Path: "/recovery/", Name: "restore-by-hand", Trust: policy(trusts(management.iam("user/break-glass-1"))), Boundary: "recovery-boundary", Created: "2024-01-30",
		Inline: map[string]*document{"restore": policy(allow("rds:*", "s3:*").on("*"))},
	})
	// The old vault's key: the whole staging account decrypts backups of production.
	recovery.key(uuid("old vault"), tags{"owner": "continuity-team"},
		allow("kms:Decrypt", "kms:CreateGrant").by("AWS", shopStaging.root()).on("*").named("StagingTestsRestores"))
	// Open until March, and it is November: the role serves nobody.
	recovery.role(role{
		Path: "/recovery/", Name: "tape-import", Created: "2025-12-01", LastUsed: "2026-03-20",
		Trust:  policy(trusts(dataProd.iam("role/acme/recovery/restore")).when("DateLessThan", "aws:CurrentTime", "2026-03-31T00:00:00Z")),
		Inline: map[string]*document{"import": policy(allow("s3:PutObject").on("arn:aws:s3:::acme-recovery-tapes/*"))},
	})
	recovery.bucket("acme-recovery-tapes", "", nil, tags{"owner": "continuity-team"})
	// The image that machines are restored from, for everybody.
	o.shares = append(o.shares,
		share{Kind: "AMI", ARN: "arn:aws:ec2:" + region + "::image/ami-" + hexID("golden", 17), Owner: recovery.ID, With: []string{"all"}},
		share{
			Kind: "RAM", ARN: network.arn("ram", "resource-share/"+uuid("transit")), Owner: network.ID, With: []string{"arn:aws:organizations::" + management.ID + ":organization/" + organizationID},
			Resources: []string{network.arn("ec2", "transit-gateway/tgw-"+hexID("transit", 17))},
		},
		share{Kind: "DelegatedAdministrator", Owner: management.ID, With: []string{security.ID}, Attributes: map[string]any{"services": []string{"config.amazonaws.com", "guardduty.amazonaws.com"}}},
	)
}
