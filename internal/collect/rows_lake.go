package collect

import (
	"cmp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/glue"
	"github.com/aws/aws-sdk-go-v2/service/lakeformation"
	laketypes "github.com/aws/aws-sdk-go-v2/service/lakeformation/types"
	"github.com/aws/aws-sdk-go-v2/service/redshift"
	redshifttypes "github.com/aws/aws-sdk-go-v2/service/redshift/types"
	"github.com/aws/aws-sdk-go-v2/service/redshiftserverless"
	serverlesstypes "github.com/aws/aws-sdk-go-v2/service/redshiftserverless/types"
)

// lakeRows are the data catalog and warehouses.
var lakeRows = []Row{
	{
		Name: "Glue data catalog", Type: "AWS::Glue::DataCatalog", Mechanism: "policy", Place: Regional,
		Calls: calls("Glue", "glue", "GetResourcePolicy", "GetResourcePolicies"),
		Note:  "The catalog's own policy and those that RAM shares and Lake Formation made for single databases and tables are one line, whose ARN is that of everything in the catalog: the statements name databases and tables.",
		read:  readGlue,
	},
	{
		Name: "Lake Formation permissions", Type: "AWS::LakeFormation::PrincipalPermissions", Others: []string{"AWS::LakeFormation::DataLakeSettings"}, Mechanism: "grant", Place: Regional,
		Calls: calls("LakeFormation", "lakeformation", "GetDataLakeSettings", "ListPermissions"),
		Note:  "Grants to other accounts, units and the organisation are shares of kind LakeFormation; those inside the account are not written. The settings of the data lake are a line: attributes.administrators, and the engines of others that may filter data. AWS answers only with what the caller may see: where the data lake has administrators and the collector's role is none of them (a read-only administrator is enough), that is a gap.",
		read:  readLakeFormation,
	},
	{
		Name: "Redshift: endpoint authorization, data share, namespace policy", Type: "AWS::Redshift::EndpointAuthorization", Others: []string{"AWS::Redshift::DataShare", "AWS::Redshift::Namespace"}, Mechanism: "authorization, data share, policy", Place: Regional,
		Calls: calls("Redshift", "redshift", "DescribeEndpointAuthorization", "DescribeDataShares", "DescribeClusters", "GetResourcePolicy"),
		Note:  "Authorizations that the account gave: attributes.grantee and attributes.cluster; AWS gives them no ARN, that of the line is made of both. Who a data share is for is attributes.sharedWith.",
		read:  readRedshift,
	},
	{
		Name: "Redshift Serverless namespace, snapshot", Type: "AWS::RedshiftServerless::Namespace", Others: []string{"AWS::RedshiftServerless::Snapshot"}, Mechanism: "policy, accounts with restore access", Place: Regional,
		Calls: calls("Redshift Serverless", "redshift-serverless", "ListNamespaces", "ListSnapshots", "GetResourcePolicy"),
		read:  readRedshiftServerless,
	},
	{
		Name: "Redshift snapshot", Type: "AWS::Redshift::ClusterSnapshot", Mechanism: "accounts with restore access", Place: Regional,
		Calls: calls("Redshift", "redshift", "DescribeClusterSnapshots"),
		Note:  "Manual snapshots: automatic ones cannot be shared. Shares of kind RedshiftSnapshot. FSx volumes and Storage Gateway have no restore access for accounts: FSx is shared by RAM, whose row has it.",
		read: func(t *task) {
			c := redshift.NewFromConfig(t.cfg)
			in := &redshift.DescribeClusterSnapshotsInput{SnapshotType: aws.String("manual"), OwnerAccount: &t.account}
			for _, s := range listed(t, redshift.NewDescribeClusterSnapshotsPaginator(c, in), func(out *redshift.DescribeClusterSnapshotsOutput) []redshifttypes.Snapshot { return out.Snapshots }) {
				var with []string
				for _, a := range s.AccountsWithRestoreAccess {
					with = appendText(with, aws.ToString(a.AccountId))
				}
				if len(with) > 0 {
					t.share(share{Kind: "RedshiftSnapshot", ARN: aws.ToString(s.SnapshotArn), With: with})
				}
			}
		},
	},
}

func readGlue(t *task) {
	c := glue.NewFromConfig(t.cfg)
	var texts []*string
	seen := make(map[string]bool) // the list has the catalog's own policy, too, but not where its encryption hides it
	add := func(text *string) {
		if s := aws.ToString(text); s != "" && !seen[s] {
			seen[s] = true
			texts = append(texts, text)
		}
	}
	// EntityNotFoundException is how Glue says that there is no policy (its API reference, GetResourcePolicy).
	out, o := ask(t, c.GetResourcePolicy, &glue.GetResourcePolicyInput{}, "EntityNotFoundException")
	if out != nil {
		add(out.PolicyInJson)
	}
	err := walk(t, glue.NewGetResourcePoliciesPaginator(c, &glue.GetResourcePoliciesInput{}), func(out *glue.GetResourcePoliciesOutput) {
		for _, p := range out.GetResourcePoliciesResponseList {
			add(p.PolicyInJson)
		}
	})
	if o.err != nil && err != nil {
		t.fail("", o.err)
	}
	t.together("", t.arn("glue", "*"), texts, cmp.Or(err, o.err))
}

// unseen is the gap of a Lake Formation whose grants the collector cannot see.
const unseen = "Lake Formation answers only with the grants that the caller may see, and the collector's role is no administrator of this data lake: make it a read-only administrator"

func readLakeFormation(t *task) {
	c := lakeformation.NewFromConfig(t.cfg)
	settings := must(t, "", c.GetDataLakeSettings, &lakeformation.GetDataLakeSettingsInput{})
	if settings == nil || settings.DataLakeSettings == nil {
		settings = &lakeformation.GetDataLakeSettingsOutput{DataLakeSettings: &laketypes.DataLakeSettings{}}
	}
	var administrators []string
	for _, list := range [][]laketypes.DataLakePrincipal{settings.DataLakeSettings.DataLakeAdmins, settings.DataLakeSettings.ReadOnlyAdmins} {
		for _, p := range list {
			administrators = appendText(administrators, aws.ToString(p.DataLakePrincipalIdentifier))
		}
	}
	if len(administrators) > 0 && !t.isOne(administrators) {
		t.mu.Lock()
		t.failures = append(t.failures, failure{call: Call{Service: "LakeFormation", Operation: "ListPermissions"}, code: "NotAdministrator", message: unseen})
		t.mu.Unlock()
	}
	pages(t, lakeformation.NewListPermissionsPaginator(c, &lakeformation.ListPermissionsInput{}), func(out *lakeformation.ListPermissionsOutput) {
		for _, p := range out.PrincipalResourcePermissions {
			if s, ok := t.lakeShare(&p); ok {
				t.share(s)
			}
		}
	})
	r := resource{ARN: t.arn("lakeformation", "catalog:"+t.account), Type: "AWS::LakeFormation::DataLakeSettings"}
	r.list("administrators", administrators)
	r.list("trustedOwners", settings.DataLakeSettings.TrustedResourceOwners)
	if aws.ToBool(settings.DataLakeSettings.AllowExternalDataFiltering) {
		var engines []string
		for _, p := range settings.DataLakeSettings.ExternalDataFilteringAllowList {
			engines = append(engines, aws.ToString(p.DataLakePrincipalIdentifier))
		}
		r.list("externalEngines", engines)
	}
	if r.Attributes != nil {
		t.resource(r)
	}
}

// lakeShare is a grant of Lake Formation as a share, where it is one to others.
func (t *task) lakeShare(p *laketypes.PrincipalResourcePermissions) (share, bool) {
	if p.Principal == nil || p.Resource == nil {
		return share{}, false
	}
	// Of an account all IAM principals are 111122223333:IAMPrincipals, and the account as a whole is its number.
	with := strings.TrimSuffix(aws.ToString(p.Principal.DataLakePrincipalIdentifier), ":IAMPrincipals")
	if with == "" || with == "IAM_ALLOWED_PRINCIPALS" || with == t.account || accountOf(with) == t.account && !strings.Contains(with, ":organizations:") {
		return share{}, false
	}
	arn, tables := t.lakeResource(p.Resource)
	s := share{Kind: "LakeFormation", ARN: arn, With: []string{with}, Attributes: map[string]any{}}
	for name, list := range map[string][]laketypes.Permission{"permissions": p.Permissions, "grantable": p.PermissionsWithGrantOption} {
		if len(list) > 0 {
			s.Attributes[name] = list
		}
	}
	if tables != "" {
		s.Attributes["tables"] = tables
	}
	return s, true
}

// lakeResource is the ARN of what a Lake Formation grant is about, and the tables or tags that it says by other means than an ARN.
func (t *task) lakeResource(r *laketypes.Resource) (arn, tables string) {
	glue := func(catalog *string, rest string) string {
		return "arn:" + t.part + ":glue:" + t.region + ":" + cmp.Or(aws.ToString(catalog), t.account) + ":" + rest
	}
	switch {
	case r.Table != nil && r.Table.TableWildcard != nil:
		return glue(r.Table.CatalogId, "table/"+aws.ToString(r.Table.DatabaseName)+"/*"), "all"
	case r.Table != nil:
		return glue(r.Table.CatalogId, "table/"+aws.ToString(r.Table.DatabaseName)+"/"+aws.ToString(r.Table.Name)), ""
	case r.TableWithColumns != nil:
		return glue(r.TableWithColumns.CatalogId, "table/"+aws.ToString(r.TableWithColumns.DatabaseName)+"/"+aws.ToString(r.TableWithColumns.Name)), "columns: " + strings.Join(r.TableWithColumns.ColumnNames, ", ")
	case r.DataCellsFilter != nil:
		return glue(r.DataCellsFilter.TableCatalogId, "table/"+aws.ToString(r.DataCellsFilter.DatabaseName)+"/"+aws.ToString(r.DataCellsFilter.TableName)), "filter: " + aws.ToString(r.DataCellsFilter.Name)
	case r.Database != nil:
		return glue(r.Database.CatalogId, "database/"+aws.ToString(r.Database.Name)), ""
	case r.DataLocation != nil:
		return aws.ToString(r.DataLocation.ResourceArn), ""
	case r.LFTagPolicy != nil:
		kind := strings.ToLower(string(r.LFTagPolicy.ResourceType)) + "s with "
		if name := aws.ToString(r.LFTagPolicy.ExpressionName); name != "" {
			return glue(r.LFTagPolicy.CatalogId, "*"), kind + "the tags of expression " + name
		}
		var tags []string
		for _, tag := range r.LFTagPolicy.Expression {
			tags = append(tags, aws.ToString(tag.TagKey)+"="+strings.Join(tag.TagValues, "|"))
		}
		return glue(r.LFTagPolicy.CatalogId, "*"), kind + "tags: " + strings.Join(tags, ", ")
	case r.LFTag != nil:
		return t.arn("lakeformation", "tag/"+aws.ToString(r.LFTag.TagKey)), strings.Join(r.LFTag.TagValues, ", ")
	case r.LFTagExpression != nil:
		return t.arn("lakeformation", "expression/"+aws.ToString(r.LFTagExpression.Name)), ""
	}
	return glue(nil, "catalog"), ""
}

func readRedshift(t *task) {
	c := redshift.NewFromConfig(t.cfg)
	given := listed(t, redshift.NewDescribeEndpointAuthorizationPaginator(c, &redshift.DescribeEndpointAuthorizationInput{Grantee: aws.Bool(false)}), func(out *redshift.DescribeEndpointAuthorizationOutput) []redshifttypes.EndpointAuthorization {
		return out.EndpointAuthorizationList
	})
	for _, a := range given {
		r := resource{ARN: t.arn("redshift", "endpointauthorization:"+aws.ToString(a.Grantee)+"/"+aws.ToString(a.ClusterIdentifier)), Attributes: attributes("grantee", aws.ToString(a.Grantee), "cluster", aws.ToString(a.ClusterIdentifier), "state", string(a.Status))}
		r.list("vpcs", a.AllowedVPCs)
		t.resource(r)
	}
	shares := listed(t, redshift.NewDescribeDataSharesPaginator(c, &redshift.DescribeDataSharesInput{}), func(out *redshift.DescribeDataSharesOutput) []redshifttypes.DataShare { return out.DataShares })
	for _, s := range shares {
		if accountOf(aws.ToString(s.DataShareArn)) != t.account {
			continue // of another account, seen from here: its owner's list has it
		}
		r := resource{ARN: aws.ToString(s.DataShareArn), Type: "AWS::Redshift::DataShare", Attributes: attributes("managedBy", aws.ToString(s.ManagedBy))}
		var with []string
		for _, a := range s.DataShareAssociations {
			if a.Status != redshifttypes.DataShareStatusDeauthorized && a.Status != redshifttypes.DataShareStatusRejected {
				with = append(with, aws.ToString(a.ConsumerIdentifier))
			}
		}
		r.list("sharedWith", with)
		if aws.ToBool(s.AllowPubliclyAccessibleConsumers) {
			r.Attributes["publicConsumers"] = true
		}
		t.resource(r)
	}
	clusters := listed(t, redshift.NewDescribeClustersPaginator(c, &redshift.DescribeClustersInput{}), func(out *redshift.DescribeClustersOutput) []redshifttypes.Cluster { return out.Clusters })
	each(t, clusters, func(k redshifttypes.Cluster) {
		if aws.ToString(k.ClusterNamespaceArn) == "" {
			return
		}
		// ResourceNotFoundFault, of the operation's own list: the namespace was just listed, its policy is not there.
		out, o := ask(t, c.GetResourcePolicy, &redshift.GetResourcePolicyInput{ResourceArn: k.ClusterNamespaceArn}, "ResourceNotFoundFault")
		t.governed("AWS::Redshift::Namespace", k.ClusterNamespaceArn, o, func() *string {
			if out.ResourcePolicy == nil {
				return nil
			}
			return out.ResourcePolicy.Policy
		})
	})
}

func readRedshiftServerless(t *task) {
	c := redshiftserverless.NewFromConfig(t.cfg)
	one := func(kind string, arn *string) {
		// ResourceNotFoundException, of the operation's own list: what has the policy was just listed.
		out, o := ask(t, c.GetResourcePolicy, &redshiftserverless.GetResourcePolicyInput{ResourceArn: arn}, "ResourceNotFoundException")
		t.governed(kind, arn, o, func() *string {
			if out.ResourcePolicy == nil {
				return nil
			}
			return out.ResourcePolicy.Policy
		})
	}
	namespaces := listed(t, redshiftserverless.NewListNamespacesPaginator(c, &redshiftserverless.ListNamespacesInput{}), func(out *redshiftserverless.ListNamespacesOutput) []serverlesstypes.Namespace { return out.Namespaces })
	each(t, namespaces, func(n serverlesstypes.Namespace) { one("", n.NamespaceArn) })
	snapshots := listed(t, redshiftserverless.NewListSnapshotsPaginator(c, &redshiftserverless.ListSnapshotsInput{OwnerAccount: &t.account}), func(out *redshiftserverless.ListSnapshotsOutput) []serverlesstypes.Snapshot { return out.Snapshots })
	each(t, snapshots, func(s serverlesstypes.Snapshot) {
		one("AWS::RedshiftServerless::Snapshot", s.SnapshotArn)
		if with := unique(append(s.AccountsWithRestoreAccess, s.AccountsWithProvisionedRestoreAccess...)); len(with) > 0 {
			t.share(share{Kind: "RedshiftSnapshot", ARN: aws.ToString(s.SnapshotArn), With: with})
		}
	})
}
