package collect

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/networkfirewall"
	firewalltypes "github.com/aws/aws-sdk-go-v2/service/networkfirewall/types"
	"github.com/aws/aws-sdk-go-v2/service/route53"
	route53types "github.com/aws/aws-sdk-go-v2/service/route53/types"
	"github.com/aws/aws-sdk-go-v2/service/route53resolver"
	resolvertypes "github.com/aws/aws-sdk-go-v2/service/route53resolver/types"
)

// networkRows are connections between networks and what names in them are answered by.
var networkRows = []Row{
	{
		Name: "VPC peering, transit gateway attachment", Type: "AWS::EC2::VPCPeeringConnection", Others: []string{"AWS::EC2::TransitGatewayAttachment"}, Mechanism: "network connection between accounts", Place: Regional,
		Calls: calls("EC2", "ec2", "DescribeVpcPeeringConnections", "DescribeTransitGatewayAttachments"),
		Note:  "The accounts on both sides are attributes; a network connection lets nobody call an API. Direct Connect is not read.",
		read:  readConnections,
	},
	{
		Name: "Route 53 Resolver rule, query log, DNS firewall", Type: "AWS::Route53Resolver::ResolverRule", Others: []string{"AWS::Route53Resolver::ResolverQueryLoggingConfig", "AWS::Route53Resolver::FirewallRuleGroup"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Route53Resolver", "route53resolver", "ListResolverRules", "GetResolverRulePolicy", "ListResolverQueryLogConfigs", "GetResolverQueryLogConfigPolicy", "ListFirewallRuleGroups", "GetFirewallRuleGroupPolicy"),
		Note:  "Those that the account owns. What RAM shares is in the row of RAM, too.",
		read:  readResolver,
	},
	{
		Name: "Route 53 private hosted zone", Type: "AWS::Route53::HostedZone", Mechanism: "association authorization", Place: Global,
		Calls: calls("Route 53", "route53", "ListHostedZones", "ListVPCAssociationAuthorizations"),
		Note:  "Networks that may be associated are attributes.authorizedVPCs; AWS does not say in which accounts they are.",
		read:  readHostedZones,
	},
	{
		Name: "Network Firewall policy, rule group", Type: "AWS::NetworkFirewall::FirewallPolicy", Others: []string{"AWS::NetworkFirewall::RuleGroup"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Network Firewall", "network-firewall", "ListFirewallPolicies", "ListRuleGroups", "DescribeResourcePolicy"),
		Note:  "Those that the account owns.",
		read:  readFirewalls,
	},
}

// attributes are those of the names and texts that are not empty.
func attributes(pairs ...string) map[string]any {
	out := make(map[string]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			out[pairs[i]] = pairs[i+1]
		}
	}
	return out
}

func readConnections(t *task) {
	c := ec2.NewFromConfig(t.cfg)
	peerings := listed(t, ec2.NewDescribeVpcPeeringConnectionsPaginator(c, &ec2.DescribeVpcPeeringConnectionsInput{}), func(out *ec2.DescribeVpcPeeringConnectionsOutput) []ec2types.VpcPeeringConnection {
		return out.VpcPeeringConnections
	})
	for _, p := range peerings {
		var from, to ec2types.VpcPeeringConnectionVpcInfo
		state := ""
		if p.RequesterVpcInfo != nil {
			from = *p.RequesterVpcInfo
		}
		if p.AccepterVpcInfo != nil {
			to = *p.AccepterVpcInfo
		}
		if p.Status != nil {
			state = string(p.Status.Code)
		}
		t.resource(resource{ARN: t.arn("ec2", "vpc-peering-connection/"+aws.ToString(p.VpcPeeringConnectionId)), Attributes: attributes("state", state,
			"requesterAccount", aws.ToString(from.OwnerId), "requesterVpc", aws.ToString(from.VpcId), "requesterRegion", aws.ToString(from.Region),
			"accepterAccount", aws.ToString(to.OwnerId), "accepterVpc", aws.ToString(to.VpcId), "accepterRegion", aws.ToString(to.Region))})
	}
	attachments := listed(t, ec2.NewDescribeTransitGatewayAttachmentsPaginator(c, &ec2.DescribeTransitGatewayAttachmentsInput{}), func(out *ec2.DescribeTransitGatewayAttachmentsOutput) []ec2types.TransitGatewayAttachment {
		return out.TransitGatewayAttachments
	})
	for _, a := range attachments {
		t.resource(resource{ARN: t.arn("ec2", "transit-gateway-attachment/"+aws.ToString(a.TransitGatewayAttachmentId)), Type: "AWS::EC2::TransitGatewayAttachment", Attributes: attributes("state", string(a.State),
			"transitGateway", aws.ToString(a.TransitGatewayId), "transitGatewayAccount", aws.ToString(a.TransitGatewayOwnerId),
			"resourceType", string(a.ResourceType), "resource", aws.ToString(a.ResourceId), "resourceAccount", aws.ToString(a.ResourceOwnerId))})
	}
}

func readResolver(t *task) {
	c := route53resolver.NewFromConfig(t.cfg)
	rules := listed(t, route53resolver.NewListResolverRulesPaginator(c, &route53resolver.ListResolverRulesInput{}), func(out *route53resolver.ListResolverRulesOutput) []resolvertypes.ResolverRule {
		return out.ResolverRules
	})
	each(t, rules, func(r resolvertypes.ResolverRule) {
		if aws.ToString(r.OwnerId) == t.account { // the list has AWS's own and what others share, too
			out, o := ask(t, c.GetResolverRulePolicy, &route53resolver.GetResolverRulePolicyInput{Arn: r.Arn}, "UnknownResourceException")
			t.governed("", r.Arn, o, func() *string { return out.ResolverRulePolicy })
		}
	})
	logs := listed(t, route53resolver.NewListResolverQueryLogConfigsPaginator(c, &route53resolver.ListResolverQueryLogConfigsInput{}), func(out *route53resolver.ListResolverQueryLogConfigsOutput) []resolvertypes.ResolverQueryLogConfig {
		return out.ResolverQueryLogConfigs
	})
	each(t, logs, func(l resolvertypes.ResolverQueryLogConfig) {
		if aws.ToString(l.OwnerId) == t.account {
			out, o := ask(t, c.GetResolverQueryLogConfigPolicy, &route53resolver.GetResolverQueryLogConfigPolicyInput{Arn: l.Arn}, "UnknownResourceException")
			t.governed("AWS::Route53Resolver::ResolverQueryLoggingConfig", l.Arn, o, func() *string { return out.ResolverQueryLogConfigPolicy })
		}
	})
	groups := listed(t, route53resolver.NewListFirewallRuleGroupsPaginator(c, &route53resolver.ListFirewallRuleGroupsInput{}), func(out *route53resolver.ListFirewallRuleGroupsOutput) []resolvertypes.FirewallRuleGroupMetadata {
		return out.FirewallRuleGroups
	})
	each(t, groups, func(g resolvertypes.FirewallRuleGroupMetadata) {
		if aws.ToString(g.OwnerId) == t.account {
			out, o := ask(t, c.GetFirewallRuleGroupPolicy, &route53resolver.GetFirewallRuleGroupPolicyInput{Arn: g.Arn}, "ResourceNotFoundException")
			t.governed("AWS::Route53Resolver::FirewallRuleGroup", g.Arn, o, func() *string { return out.FirewallRuleGroupPolicy })
		}
	})
}

func readHostedZones(t *task) {
	c := route53.NewFromConfig(t.cfg)
	zones := listed(t, route53.NewListHostedZonesPaginator(c, &route53.ListHostedZonesInput{HostedZoneType: route53types.HostedZoneTypePrivateHostedZone}), func(out *route53.ListHostedZonesOutput) []route53types.HostedZone { return out.HostedZones })
	each(t, zones, func(z route53types.HostedZone) {
		r := resource{ARN: "arn:" + t.part + ":route53:::hostedzone/" + last(aws.ToString(z.Id)), Attributes: attributes("name", aws.ToString(z.Name))}
		var authorized []map[string]any
		pagesOf(t, r.ARN, &turns[*route53.ListVPCAssociationAuthorizationsOutput]{service: "Route 53", operation: "ListVPCAssociationAuthorizations", next: func(ctx context.Context, token *string) (*route53.ListVPCAssociationAuthorizationsOutput, *string, error) {
			out, err := c.ListVPCAssociationAuthorizations(ctx, &route53.ListVPCAssociationAuthorizationsInput{HostedZoneId: z.Id, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out, out.NextToken, nil
		}}, func(out *route53.ListVPCAssociationAuthorizationsOutput) {
			for _, v := range out.VPCs {
				authorized = append(authorized, attributes("vpc", aws.ToString(v.VPCId), "region", string(v.VPCRegion)))
			}
		})
		if len(authorized) > 0 {
			r.Attributes["authorizedVPCs"] = authorized
		}
		t.resource(r)
	})
}

func readFirewalls(t *task) {
	c := networkfirewall.NewFromConfig(t.cfg)
	one := func(kind string, arn *string) {
		if accountOf(aws.ToString(arn)) == t.account { // the lists have what others share, too
			out, o := ask(t, c.DescribeResourcePolicy, &networkfirewall.DescribeResourcePolicyInput{ResourceArn: arn}, "ResourceNotFoundException")
			t.governed(kind, arn, o, func() *string { return out.Policy })
		}
	}
	policies := listed(t, networkfirewall.NewListFirewallPoliciesPaginator(c, &networkfirewall.ListFirewallPoliciesInput{}), func(out *networkfirewall.ListFirewallPoliciesOutput) []firewalltypes.FirewallPolicyMetadata {
		return out.FirewallPolicies
	})
	each(t, policies, func(p firewalltypes.FirewallPolicyMetadata) { one("", p.Arn) })
	groups := listed(t, networkfirewall.NewListRuleGroupsPaginator(c, &networkfirewall.ListRuleGroupsInput{}), func(out *networkfirewall.ListRuleGroupsOutput) []firewalltypes.RuleGroupMetadata {
		return out.RuleGroups
	})
	each(t, groups, func(g firewalltypes.RuleGroupMetadata) { one("AWS::NetworkFirewall::RuleGroup", g.Arn) })
}
