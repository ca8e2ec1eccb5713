package collect

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	stacktypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	cloudfronttypes "github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	configtypes "github.com/aws/aws-sdk-go-v2/service/configservice/types"
	"github.com/aws/aws-sdk-go-v2/service/detective"
	detectivetypes "github.com/aws/aws-sdk-go-v2/service/detective/types"
	"github.com/aws/aws-sdk-go-v2/service/directoryservice"
	directorytypes "github.com/aws/aws-sdk-go-v2/service/directoryservice/types"
	"github.com/aws/aws-sdk-go-v2/service/guardduty"
	"github.com/aws/aws-sdk-go-v2/service/licensemanager"
	licensetypes "github.com/aws/aws-sdk-go-v2/service/licensemanager/types"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/servicecatalog"
	catalogtypes "github.com/aws/aws-sdk-go-v2/service/servicecatalog/types"
)

// adminRows are relations between accounts that a service keeps by itself: administrators and members, shares, authorizations.
var adminRows = []Row{
	{
		Name: "Service Catalog portfolio", Type: "AWS::ServiceCatalog::Portfolio", Mechanism: "share", Place: Regional,
		Calls: calls("Service Catalog", "servicecatalog", "ListPortfolios", "DescribePortfolioShares"),
		Note:  "Who it is shared with is attributes.sharedWith: accounts, units, the organisation.",
		read:  readPortfolios,
	},
	{
		Name: "Config aggregation authorization", Type: "AWS::Config::AggregationAuthorization", Mechanism: "authorization", Place: Regional,
		Calls: calls("Config Service", "config", "DescribeAggregationAuthorizations"),
		Note:  "The account that may aggregate is attributes.account.",
		read: func(t *task) {
			c := configservice.NewFromConfig(t.cfg)
			list := listed(t, configservice.NewDescribeAggregationAuthorizationsPaginator(c, &configservice.DescribeAggregationAuthorizationsInput{}), func(out *configservice.DescribeAggregationAuthorizationsOutput) []configtypes.AggregationAuthorization {
				return out.AggregationAuthorizations
			})
			for _, a := range list {
				t.resource(resource{ARN: aws.ToString(a.AggregationAuthorizationArn), Attributes: attributes("account", aws.ToString(a.AuthorizedAccountId), "region", aws.ToString(a.AuthorizedAwsRegion))})
			}
		},
	},
	{
		Name: "GuardDuty detector", Type: "AWS::GuardDuty::Detector", Mechanism: "member/administrator relation", Place: Regional,
		Calls: calls("GuardDuty", "guardduty", "ListDetectors", "GetAdministratorAccount", "ListMembers"),
		Note:  "The administrator's account is attributes.administrator, those of members attributes.members. Macie and Inspector are not read: an account that does not use them is refused like one that may not ask.",
		read:  readDetectors,
	},
	{
		Name: "Security Hub", Type: "AWS::SecurityHub::Hub", Mechanism: "member/administrator relation", Place: Regional,
		Calls: calls("SecurityHub", "securityhub", "GetAdministratorAccount", "ListMembers"),
		Note:  "As of GuardDuty.",
		read:  readHub,
	},
	{
		Name: "Detective graph", Type: "AWS::Detective::Graph", Mechanism: "member/administrator relation", Place: Regional,
		Calls: calls("Detective", "detective", "ListGraphs", "ListMembers", "ListInvitations"),
		Note:  "As of GuardDuty. A graph of another account that this one is a member of, or is invited to, is a line with its administrator, whose ARN is made of the graph's name.",
		read:  readGraphs,
	},
	{
		Name: "Directory Service directory", Type: "AWS::DirectoryService::MicrosoftAD", Mechanism: "share", Place: Regional,
		Calls: calls("Directory Service", "ds", "DescribeDirectories", "DescribeSharedDirectories"),
		Note:  "Managed Microsoft AD, the only kind that can be shared: its accounts are attributes.sharedWith.",
		read:  readDirectories,
	},
	{
		Name: "CloudFormation stack set", Type: "AWS::CloudFormation::StackSet", Mechanism: "administration and execution roles", Place: Regional,
		Calls: calls("CloudFormation", "cloudformation", "ListStackSets", "DescribeStackSet", "ListStackInstances"),
		Note:  "Roles, units and the accounts that it deploys to are attributes. Sets that a delegated administrator sees in the management account, and the service roles of stacks, are not read.",
		read:  readStackSets,
	},
	{
		Name: "License Manager grant", Type: "AWS::LicenseManager::Grant", Mechanism: "grant", Place: Regional,
		Calls: calls("License Manager", "license-manager", "ListDistributedGrants"),
		Note:  "Grants that the account gave: attributes.grantee and attributes.operations. Marketplace entities and Audit Manager shares are not read.",
		read:  readLicenseGrants,
	},
	{
		Name: "CloudFront distribution with trusted signers", Type: "AWS::CloudFront::Distribution", Mechanism: "trusted signer accounts (legacy)", Place: Global,
		Calls: calls("CloudFront", "cloudfront", "ListDistributions"),
		Note:  "Accounts whose keys sign URLs and cookies are attributes.trustedSigners. Key groups are of the account itself; what an origin lets in is in the bucket's policy.",
		read:  readDistributions,
	},
}

// unique is a list in order without what is empty or comes twice.
func unique(list []string) []string {
	list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}

func (r *resource) list(name string, texts []string) {
	if texts = unique(texts); len(texts) == 0 {
		return
	}
	if r.Attributes == nil {
		r.Attributes = make(map[string]any)
	}
	r.Attributes[name] = texts
}

func readPortfolios(t *task) {
	c := servicecatalog.NewFromConfig(t.cfg)
	list := listed(t, servicecatalog.NewListPortfoliosPaginator(c, &servicecatalog.ListPortfoliosInput{}), func(out *servicecatalog.ListPortfoliosOutput) []catalogtypes.PortfolioDetail {
		return out.PortfolioDetails
	})
	each(t, list, func(p catalogtypes.PortfolioDetail) {
		r := resource{ARN: aws.ToString(p.ARN), Attributes: attributes("name", aws.ToString(p.DisplayName))}
		var with []string
		for _, kind := range catalogtypes.DescribePortfolioShareType("").Values() {
			pagesOf(t, r.ARN, servicecatalog.NewDescribePortfolioSharesPaginator(c, &servicecatalog.DescribePortfolioSharesInput{PortfolioId: p.Id, Type: kind}), func(out *servicecatalog.DescribePortfolioSharesOutput) {
				for _, s := range out.PortfolioShareDetails {
					with = append(with, aws.ToString(s.PrincipalId))
				}
			})
		}
		r.list("sharedWith", with)
		t.resource(r)
	})
}

func readDetectors(t *task) {
	c := guardduty.NewFromConfig(t.cfg)
	list := listed(t, guardduty.NewListDetectorsPaginator(c, &guardduty.ListDetectorsInput{}), func(out *guardduty.ListDetectorsOutput) []string { return out.DetectorIds })
	for _, id := range list {
		r := resource{ARN: t.arn("guardduty", "detector/"+id)}
		if out := must(t, r.ARN, c.GetAdministratorAccount, &guardduty.GetAdministratorAccountInput{DetectorId: &id}); out != nil && out.Administrator != nil {
			r.Attributes = attributes("administrator", aws.ToString(out.Administrator.AccountId), "relationship", aws.ToString(out.Administrator.RelationshipStatus))
		}
		var members []string
		pagesOf(t, r.ARN, guardduty.NewListMembersPaginator(c, &guardduty.ListMembersInput{DetectorId: &id, OnlyAssociated: aws.String("true")}), func(out *guardduty.ListMembersOutput) {
			for _, m := range out.Members {
				members = append(members, aws.ToString(m.AccountId))
			}
		})
		r.list("members", members)
		t.resource(r)
	}
}

// unsubscribed reports whether an error says that the account does not use Security Hub: its code alone can also mean that the caller may not ask.
func unsubscribed(err error) bool {
	return codeOf(err) == "InvalidAccessException" && strings.Contains(err.Error(), "is not subscribed to AWS Security Hub")
}

func readHub(t *task) {
	c := securityhub.NewFromConfig(t.cfg)
	out, o := ask(t, c.GetAdministratorAccount, &securityhub.GetAdministratorAccountInput{}, "ResourceNotFoundException")
	switch {
	case unsubscribed(o.err):
		return
	case o.err != nil:
		t.fail("", o.err)
	}
	r := resource{ARN: t.arn("securityhub", "hub/default")}
	if out != nil && out.Administrator != nil {
		r.Attributes = attributes("administrator", aws.ToString(out.Administrator.AccountId), "relationship", aws.ToString(out.Administrator.MemberStatus))
	}
	var members []string
	err := walk(t, securityhub.NewListMembersPaginator(c, &securityhub.ListMembersInput{OnlyAssociated: aws.Bool(true)}), func(out *securityhub.ListMembersOutput) {
		for _, m := range out.Members {
			members = append(members, aws.ToString(m.AccountId))
		}
	})
	switch {
	case unsubscribed(err):
		return
	case err != nil:
		t.fail("", err)
	}
	r.list("members", members)
	if o.err == nil || err == nil {
		t.resource(r)
	}
}

func readGraphs(t *task) {
	c := detective.NewFromConfig(t.cfg)
	own := listed(t, detective.NewListGraphsPaginator(c, &detective.ListGraphsInput{}), func(out *detective.ListGraphsOutput) []detectivetypes.Graph { return out.GraphList })
	for _, g := range own {
		r := resource{ARN: aws.ToString(g.Arn)}
		var members []string
		pagesOf(t, r.ARN, detective.NewListMembersPaginator(c, &detective.ListMembersInput{GraphArn: g.Arn}), func(out *detective.ListMembersOutput) {
			for _, m := range out.MemberDetails {
				members = append(members, aws.ToString(m.AccountId))
			}
		})
		r.list("members", members)
		t.resource(r)
	}
	invitations := listed(t, detective.NewListInvitationsPaginator(c, &detective.ListInvitationsInput{}), func(out *detective.ListInvitationsOutput) []detectivetypes.MemberDetail { return out.Invitations })
	for _, i := range invitations {
		administrator := aws.ToString(i.AdministratorId)
		if administrator == t.account {
			continue
		}
		// The graph is its administrator's, who lists it too: this line stands for the membership.
		t.resource(resource{ARN: t.arn("detective", "member:"+last(aws.ToString(i.GraphArn))), Attributes: attributes("graph", aws.ToString(i.GraphArn), "administrator", administrator, "relationship", string(i.Status))})
	}
}

func readDirectories(t *task) {
	c := directoryservice.NewFromConfig(t.cfg)
	list := listed(t, directoryservice.NewDescribeDirectoriesPaginator(c, &directoryservice.DescribeDirectoriesInput{}), func(out *directoryservice.DescribeDirectoriesOutput) []directorytypes.DirectoryDescription {
		return out.DirectoryDescriptions
	})
	each(t, list, func(d directorytypes.DirectoryDescription) {
		r := resource{ARN: t.arn("ds", "directory/"+aws.ToString(d.DirectoryId)), Attributes: attributes("name", aws.ToString(d.Name))}
		switch d.Type {
		case directorytypes.DirectoryTypeSimpleAd, directorytypes.DirectoryTypeAdConnector:
			return
		case directorytypes.DirectoryTypeSharedMicrosoftAd: // another account's, seen from here
			if d.OwnerDirectoryDescription != nil {
				r.Attributes["owner"] = aws.ToString(d.OwnerDirectoryDescription.AccountId)
			}
			t.resource(r)
			return
		}
		var with []string
		pagesOf(t, r.ARN, directoryservice.NewDescribeSharedDirectoriesPaginator(c, &directoryservice.DescribeSharedDirectoriesInput{OwnerDirectoryId: d.DirectoryId}), func(out *directoryservice.DescribeSharedDirectoriesOutput) {
			for _, s := range out.SharedDirectories {
				with = append(with, aws.ToString(s.SharedAccountId))
			}
		})
		r.list("sharedWith", with)
		t.resource(r)
	})
}

func readStackSets(t *task) {
	c := cloudformation.NewFromConfig(t.cfg)
	list := listed(t, cloudformation.NewListStackSetsPaginator(c, &cloudformation.ListStackSetsInput{Status: stacktypes.StackSetStatusActive}), func(out *cloudformation.ListStackSetsOutput) []stacktypes.StackSetSummary { return out.Summaries })
	each(t, list, func(s stacktypes.StackSetSummary) {
		r := resource{ARN: t.arn("cloudformation", "stackset/"+aws.ToString(s.StackSetId)), Attributes: attributes("name", aws.ToString(s.StackSetName), "permissionModel", string(s.PermissionModel))}
		if out := must(t, r.ARN, c.DescribeStackSet, &cloudformation.DescribeStackSetInput{StackSetName: s.StackSetId}, "StackSetNotFoundException"); out != nil && out.StackSet != nil {
			for name, text := range attributes("administrationRole", aws.ToString(out.StackSet.AdministrationRoleARN), "executionRole", aws.ToString(out.StackSet.ExecutionRoleName)) {
				r.Attributes[name] = text
			}
			r.list("units", out.StackSet.OrganizationalUnitIds)
		}
		var accounts []string
		pagesOf(t, r.ARN, cloudformation.NewListStackInstancesPaginator(c, &cloudformation.ListStackInstancesInput{StackSetName: s.StackSetId}), func(out *cloudformation.ListStackInstancesOutput) {
			for _, i := range out.Summaries {
				accounts = append(accounts, aws.ToString(i.Account))
			}
		})
		r.list("accounts", accounts)
		t.resource(r)
	})
}

func readLicenseGrants(t *task) {
	c := licensemanager.NewFromConfig(t.cfg)
	list := listed(t, &turns[*licensemanager.ListDistributedGrantsOutput]{service: "License Manager", operation: "ListDistributedGrants", next: func(ctx context.Context, token *string) (*licensemanager.ListDistributedGrantsOutput, *string, error) {
		out, err := c.ListDistributedGrants(ctx, &licensemanager.ListDistributedGrantsInput{NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}}, func(out *licensemanager.ListDistributedGrantsOutput) []licensetypes.Grant { return out.Grants })
	for _, g := range list {
		r := resource{ARN: aws.ToString(g.GrantArn), Attributes: attributes("grantee", aws.ToString(g.GranteePrincipalArn), "license", aws.ToString(g.LicenseArn), "state", string(g.GrantStatus))}
		var operations []string
		for _, o := range g.GrantedOperations {
			operations = append(operations, string(o))
		}
		r.list("operations", operations)
		t.resource(r)
	}
}

func readDistributions(t *task) {
	c := cloudfront.NewFromConfig(t.cfg)
	list := listed(t, cloudfront.NewListDistributionsPaginator(c, &cloudfront.ListDistributionsInput{}), func(out *cloudfront.ListDistributionsOutput) []cloudfronttypes.DistributionSummary {
		if out.DistributionList == nil {
			return nil
		}
		return out.DistributionList.Items
	})
	for _, d := range list {
		var signers []string
		of := func(s *cloudfronttypes.TrustedSigners) {
			if s != nil {
				signers = append(signers, s.Items...)
			}
		}
		if d.DefaultCacheBehavior != nil {
			of(d.DefaultCacheBehavior.TrustedSigners)
		}
		if d.CacheBehaviors != nil {
			for _, b := range d.CacheBehaviors.Items {
				of(b.TrustedSigners)
			}
		}
		r := resource{ARN: aws.ToString(d.ARN)}
		r.list("trustedSigners", slices.DeleteFunc(signers, func(s string) bool { return s == "self" }))
		if r.Attributes != nil {
			t.resource(r)
		}
	}
}
