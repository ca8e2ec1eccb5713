package collect

import (
	"context"
	"encoding/json"
	"maps"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logstypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/codebuild"
	"github.com/aws/aws-sdk-go-v2/service/glacier"
	glaciertypes "github.com/aws/aws-sdk-go-v2/service/glacier/types"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	sestypes "github.com/aws/aws-sdk-go-v2/service/sesv2/types"
	"github.com/aws/aws-sdk-go-v2/service/xray"
)

// logRows are logs and traces, and single services that have a policy.
var logRows = []Row{
	{
		Name: "CloudWatch Logs group, destination, delivery destination", Type: "AWS::Logs::Destination", Others: []string{"AWS::Logs::DeliveryDestination", "AWS::Logs::LogGroup", "AWS::Logs::ResourcePolicy"}, Mechanism: "policy; subscription filter to another account", Place: Regional,
		Calls: slices.Concat(
			calls("CloudWatch Logs", "logs", "DescribeDestinations", "DescribeDeliveryDestinations", "GetDeliveryDestinationPolicy", "DescribeResourcePolicies", "DescribeLogGroups", "DescribeSubscriptionFilters"),
			calls("CloudWatch Logs", "logs", "DescribeAccountPolicies=logs:DescribeAccountPolicies,logs:DescribeSubscriptionFilters"),
		),
		Note: "The resource policies of the account are one line, whose ARN is that of everything in Logs. Destinations in other accounts that filters of a log group, or of all of them, send to are attributes.foreignTargets; a group without any is not written. Two calls for each log group: no list says which have a filter or a policy.",
		read: readLogs,
	},
	{
		Name: "X-Ray", Type: "AWS::XRay::ResourcePolicy", Mechanism: "policy", Place: Regional,
		Calls: calls("XRay", "xray", "ListResourcePolicies"),
		Note:  "All policies are one line, whose ARN is that of everything in X-Ray.",
		read: func(t *task) {
			var texts []*string
			err := walk(t, xray.NewListResourcePoliciesPaginator(xray.NewFromConfig(t.cfg), &xray.ListResourcePoliciesInput{}), func(out *xray.ListResourcePoliciesOutput) {
				for _, p := range out.ResourcePolicies {
					texts = append(texts, p.PolicyDocument)
				}
			})
			t.together("", t.arn("xray", "*"), texts, err)
		},
	},
	{
		Name: "Glacier vault", Type: "AWS::S3::Glacier", Mechanism: "access policy, lock policy", Place: Regional,
		Calls: calls("Glacier", "glacier", "ListVaults", "GetVaultAccessPolicy", "GetVaultLock"),
		Note:  "Access policy and lock policy are one policy with the statements of both.",
		read:  readVaults,
	},
	{
		Name: "CodeBuild project, report group", Type: "AWS::CodeBuild::Project", Others: []string{"AWS::CodeBuild::ReportGroup"}, Mechanism: "policy", Place: Regional,
		Calls: calls("CodeBuild", "codebuild", "ListProjects", "ListReportGroups", "GetResourcePolicy"),
		Note:  "Whether the results of a project's builds are public is not read.",
		read: func(t *task) {
			c := codebuild.NewFromConfig(t.cfg)
			one := func(kind, arn string) {
				// ResourceNotFoundException, of the operation's own list: what has the policy was just listed.
				out, o := ask(t, c.GetResourcePolicy, &codebuild.GetResourcePolicyInput{ResourceArn: &arn}, "ResourceNotFoundException")
				t.governed(kind, &arn, o, func() *string { return out.Policy })
			}
			projects := listed(t, codebuild.NewListProjectsPaginator(c, &codebuild.ListProjectsInput{}), func(out *codebuild.ListProjectsOutput) []string { return out.Projects })
			each(t, projects, func(name string) { one("", t.arn("codebuild", "project/"+name)) })
			groups := listed(t, codebuild.NewListReportGroupsPaginator(c, &codebuild.ListReportGroupsInput{}), func(out *codebuild.ListReportGroupsOutput) []string { return out.ReportGroups })
			each(t, groups, func(arn string) { one("AWS::CodeBuild::ReportGroup", arn) })
		},
	},
	{
		Name: "SES identity", Type: "AWS::SES::EmailIdentity", Mechanism: "sending authorization policy", Place: Regional,
		Calls: calls("SESv2", "ses", "ListEmailIdentities", "GetEmailIdentityPolicies"),
		Note:  "All policies of an identity are one with the statements of all.",
		read: func(t *task) {
			c := sesv2.NewFromConfig(t.cfg)
			list := listed(t, sesv2.NewListEmailIdentitiesPaginator(c, &sesv2.ListEmailIdentitiesInput{}), func(out *sesv2.ListEmailIdentitiesOutput) []sestypes.IdentityInfo { return out.EmailIdentities })
			each(t, list, func(i sestypes.IdentityInfo) {
				r := resource{ARN: t.arn("ses", "identity/"+aws.ToString(i.IdentityName))}
				out, o := ask(t, c.GetEmailIdentityPolicies, &sesv2.GetEmailIdentityPoliciesInput{EmailIdentity: i.IdentityName})
				var texts []*string
				if out != nil {
					for _, name := range slices.Sorted(maps.Keys(out.Policies)) {
						text := out.Policies[name]
						texts = append(texts, &text)
					}
				}
				r.Policy, r.Error = merged(texts, o)
				t.resource(r)
			})
		},
	},
}

// together adds one line for several policies that hold for a whole service of the account, where there is any.
func (t *task) together(kind, arn string, texts []*string, err error) {
	if err != nil {
		t.fail("", err)
	}
	if len(texts) == 0 {
		return
	}
	r := resource{ARN: arn, Type: kind}
	r.Policy, r.Error = merged(texts, outcome{err: err})
	t.resource(r)
}

func readLogs(t *task) {
	c := cloudwatchlogs.NewFromConfig(t.cfg)
	pages(t, cloudwatchlogs.NewDescribeDestinationsPaginator(c, &cloudwatchlogs.DescribeDestinationsInput{}), func(out *cloudwatchlogs.DescribeDestinationsOutput) {
		for _, d := range out.Destinations {
			t.governed("", d.Arn, outcome{}, func() *string { return d.AccessPolicy })
		}
	})
	deliveries := listed(t, cloudwatchlogs.NewDescribeDeliveryDestinationsPaginator(c, &cloudwatchlogs.DescribeDeliveryDestinationsInput{}), func(out *cloudwatchlogs.DescribeDeliveryDestinationsOutput) []logstypes.DeliveryDestination {
		return out.DeliveryDestinations
	})
	each(t, deliveries, func(d logstypes.DeliveryDestination) {
		// ResourceNotFoundException, of the operation's errors: the destination was just listed.
		out, o := ask(t, c.GetDeliveryDestinationPolicy, &cloudwatchlogs.GetDeliveryDestinationPolicyInput{DeliveryDestinationName: d.Name}, "ResourceNotFoundException")
		t.governed("AWS::Logs::DeliveryDestination", d.Arn, o, func() *string {
			if out.Policy == nil {
				return nil
			}
			return out.Policy.DeliveryDestinationPolicy
		})
	})

	texts, err := t.logPolicies(c, &cloudwatchlogs.DescribeResourcePoliciesInput{})
	t.together("AWS::Logs::ResourcePolicy", t.arn("logs", "*"), texts, err)

	foreign := func(arn string) []string {
		if of := accountOf(arn); of == "" || of == t.account {
			return nil
		}
		return []string{arn}
	}
	var everywhere []string // where filters of the account send all log groups
	pages(t, &turns[*cloudwatchlogs.DescribeAccountPoliciesOutput]{service: "CloudWatch Logs", operation: "DescribeAccountPolicies", next: func(ctx context.Context, token *string) (*cloudwatchlogs.DescribeAccountPoliciesOutput, *string, error) {
		out, err := c.DescribeAccountPolicies(ctx, &cloudwatchlogs.DescribeAccountPoliciesInput{PolicyType: logstypes.PolicyTypeSubscriptionFilterPolicy, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}}, func(out *cloudwatchlogs.DescribeAccountPoliciesOutput) {
		for _, p := range out.AccountPolicies {
			var document struct{ DestinationArn string }
			if err := json.Unmarshal([]byte(aws.ToString(p.PolicyDocument)), &document); err != nil {
				t.fail(t.arn("logs", "account-policy:"+aws.ToString(p.PolicyName)), unreadable("CloudWatch Logs", "DescribeAccountPolicies", err))
			}
			everywhere = append(everywhere, foreign(document.DestinationArn)...)
		}
	})
	if len(everywhere) > 0 {
		r := resource{ARN: t.arn("logs", "log-group:*"), Type: "AWS::Logs::LogGroup"}
		r.list("foreignTargets", everywhere)
		t.resource(r)
	}

	groups := listed(t, cloudwatchlogs.NewDescribeLogGroupsPaginator(c, &cloudwatchlogs.DescribeLogGroupsInput{}), func(out *cloudwatchlogs.DescribeLogGroupsOutput) []logstypes.LogGroup { return out.LogGroups })
	each(t, groups, func(g logstypes.LogGroup) {
		r := resource{ARN: t.arn("logs", "log-group:"+aws.ToString(g.LogGroupName)), Type: "AWS::Logs::LogGroup"}
		texts, err := t.logPolicies(c, &cloudwatchlogs.DescribeResourcePoliciesInput{PolicyScope: logstypes.PolicyScopeResource, ResourceArn: &r.ARN})
		r.Policy, r.Error = merged(texts, outcome{err: err})
		var targets []string
		if g.LogGroupClass != logstypes.LogGroupClassDelivery && g.LogGroupClass != logstypes.LogGroupClassInfrequentAccess { // which have no filters
			pagesOf(t, r.ARN, cloudwatchlogs.NewDescribeSubscriptionFiltersPaginator(c, &cloudwatchlogs.DescribeSubscriptionFiltersInput{LogGroupName: g.LogGroupName}), func(out *cloudwatchlogs.DescribeSubscriptionFiltersOutput) {
				for _, f := range out.SubscriptionFilters {
					targets = append(targets, foreign(aws.ToString(f.DestinationArn))...)
				}
			})
		}
		r.list("foreignTargets", targets)
		if r.Policy != nil || r.Error != nil || r.Attributes != nil {
			t.resource(r)
		}
	})
}

// logPolicies are the resource policies of the account, or of one log group.
func (t *task) logPolicies(c *cloudwatchlogs.Client, in *cloudwatchlogs.DescribeResourcePoliciesInput) ([]*string, error) {
	var texts []*string
	err := walk(t, &turns[*cloudwatchlogs.DescribeResourcePoliciesOutput]{service: "CloudWatch Logs", operation: "DescribeResourcePolicies", next: func(ctx context.Context, token *string) (*cloudwatchlogs.DescribeResourcePoliciesOutput, *string, error) {
		one := *in
		one.NextToken = token
		out, err := c.DescribeResourcePolicies(ctx, &one)
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}}, func(out *cloudwatchlogs.DescribeResourcePoliciesOutput) {
		for _, p := range out.ResourcePolicies {
			texts = append(texts, p.PolicyDocument)
		}
	})
	return texts, err
}

func readVaults(t *task) {
	c := glacier.NewFromConfig(t.cfg)
	var vaults []glaciertypes.DescribeVaultOutput
	err := walk(t, glacier.NewListVaultsPaginator(c, &glacier.ListVaultsInput{AccountId: aws.String("-")}), func(out *glacier.ListVaultsOutput) { vaults = append(vaults, out.VaultList...) })
	// NoLongerSupportedException: the account has nothing in Glacier and cannot begin any more (types/errors.go of its client).
	if err != nil && codeOf(err) != "NoLongerSupportedException" {
		t.fail("", err)
	}
	each(t, vaults, func(v glaciertypes.DescribeVaultOutput) {
		// Where there is no policy both calls answer 404, which is ResourceNotFoundException (their API reference).
		r := resource{ARN: aws.ToString(v.VaultARN)}
		var texts []*string
		access, o := ask(t, c.GetVaultAccessPolicy, &glacier.GetVaultAccessPolicyInput{AccountId: aws.String("-"), VaultName: v.VaultName}, "ResourceNotFoundException")
		if access != nil && access.Policy != nil {
			texts = append(texts, access.Policy.Policy)
		}
		lock, locked := ask(t, c.GetVaultLock, &glacier.GetVaultLockInput{AccountId: aws.String("-"), VaultName: v.VaultName}, "ResourceNotFoundException")
		if lock != nil {
			texts = append(texts, lock.Policy)
			r.Attributes = attributes("lock", aws.ToString(lock.State))
		}
		if o.err == nil {
			o.err = locked.err
		}
		r.Policy, r.Error = merged(texts, outcome{err: o.err})
		t.resource(r)
	})
}
