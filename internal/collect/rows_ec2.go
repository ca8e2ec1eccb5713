package collect

import (
	"cmp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/aws-sdk-go-v2/service/ram"
	ramtypes "github.com/aws/aws-sdk-go-v2/service/ram/types"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
)

// shareRows are what is given to other accounts without a policy, and the network's ways in.
var shareRows = []Row{
	{
		Name: "VPC endpoint", Type: "AWS::EC2::VPCEndpoint", Mechanism: "endpoint policy", Place: Regional,
		Calls: calls("EC2", "ec2", "DescribeVpcEndpoints"),
		read:  readEndpoints,
	},
	{
		Name: "VPC endpoint service", Type: "AWS::EC2::VPCEndpointService", Mechanism: "allowed principals", Place: Regional,
		Calls: calls("EC2", "ec2", "DescribeVpcEndpointServiceConfigurations", "DescribeVpcEndpointServicePermissions"),
		read:  readEndpointServices,
	},
	{
		Name: "EBS snapshot", Type: "AWS::EC2::Snapshot", Mechanism: "createVolumePermission", Place: Regional,
		Calls: calls("EC2", "ec2", "DescribeSnapshots", "DescribeSnapshotAttribute", "GetSnapshotBlockPublicAccessState"),
		Note:  "One call for each snapshot of the account: no list says with whom they are shared, and the list by who can restore finds only those that one names. Snapshots that are shared with nobody are not written. What Block Public Access hides is not shared with all: the snapshot is a line with attributes.blockedShare, because it is public again when the block is lifted.",
		read:  readSnapshots,
	},
	{
		Name: "AMI", Type: "AWS::EC2::Image", Mechanism: "launchPermission (accounts, organisation, OU)", Place: Regional,
		Calls: calls("EC2", "ec2", "DescribeImages", "DescribeImageAttribute"),
		Note:  "Images that are shared with nobody are not written. Block Public Access of images hides none that are public already, so that it is not read. FPGA images are not read: aws ec2 describe-fpga-images --owners self and describe-fpga-image-attribute have them.",
		read:  readImages,
	},
	{
		Name: "RDS, Aurora, DocumentDB, Neptune snapshot", Type: "AWS::RDS::DBSnapshot", Mechanism: "restore attribute", Place: Regional,
		Calls: calls("RDS", "rds", "DescribeDBSnapshots", "DescribeDBSnapshotAttributes", "DescribeDBClusterSnapshots", "DescribeDBClusterSnapshotAttributes"),
		Note:  "Manual snapshots: automatic ones cannot be shared.",
		read:  readDBSnapshots,
	},
	{
		Name: "RAM resource share", Type: "AWS::RAM::ResourceShare", Mechanism: "share", Place: Regional,
		Calls: calls("RAM", "ram", "GetResourceShares", "GetResourceShareAssociations", "ListResourceSharePermissions"),
		Note:  "Shares that the account owns, with the ARNs of their permissions as attributes.permissions. Invitations from others are not read: they let this account in elsewhere, and are in the share of the account that sent them.",
		read:  readResourceShares,
	},
}

func (t *task) share(s share) {
	if s.Owner == "" {
		s.Owner = t.account
	}
	t.facts.mu.Lock()
	defer t.facts.mu.Unlock()
	t.facts.shares = append(t.facts.shares, s)
}

func readEndpoints(t *task) {
	c := ec2.NewFromConfig(t.cfg)
	list := listed(t, ec2.NewDescribeVpcEndpointsPaginator(c, &ec2.DescribeVpcEndpointsInput{}), func(out *ec2.DescribeVpcEndpointsOutput) []ec2types.VpcEndpoint { return out.VpcEndpoints })
	for _, e := range list {
		owner := cmp.Or(aws.ToString(e.OwnerId), t.account)
		if owner != t.account {
			continue // of a VPC that is shared with this account: its owner's list has it
		}
		r := resource{ARN: t.arn("ec2", "vpc-endpoint/"+aws.ToString(e.VpcEndpointId)), Attributes: map[string]any{"service": aws.ToString(e.ServiceName), "kind": string(e.VpcEndpointType), "vpc": aws.ToString(e.VpcId)}}
		r.Policy, r.Error = policy(e.PolicyDocument, outcome{})
		t.resource(r)
	}
}

func readEndpointServices(t *task) {
	c := ec2.NewFromConfig(t.cfg)
	list := listed(t, ec2.NewDescribeVpcEndpointServiceConfigurationsPaginator(c, &ec2.DescribeVpcEndpointServiceConfigurationsInput{}), func(out *ec2.DescribeVpcEndpointServiceConfigurationsOutput) []ec2types.ServiceConfiguration {
		return out.ServiceConfigurations
	})
	each(t, list, func(s ec2types.ServiceConfiguration) {
		r := resource{ARN: t.arn("ec2", "vpc-endpoint-service/"+aws.ToString(s.ServiceId)), Attributes: map[string]any{"acceptanceRequired": aws.ToBool(s.AcceptanceRequired)}}
		principals := []string{}
		if pagesOf(t, r.ARN, ec2.NewDescribeVpcEndpointServicePermissionsPaginator(c, &ec2.DescribeVpcEndpointServicePermissionsInput{ServiceId: s.ServiceId}), func(out *ec2.DescribeVpcEndpointServicePermissionsOutput) {
			for _, p := range out.AllowedPrincipals {
				principals = append(principals, aws.ToString(p.Principal))
			}
		}) {
			r.Attributes["allowedPrincipals"] = principals
		}
		t.resource(r)
	})
}

func readSnapshots(t *task) {
	c := ec2.NewFromConfig(t.cfg)
	list := listed(t, ec2.NewDescribeSnapshotsPaginator(c, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(1000)}), func(out *ec2.DescribeSnapshotsOutput) []ec2types.Snapshot { return out.Snapshots })
	if len(list) == 0 {
		return
	}
	// The attribute of a snapshot goes on to say that it is public where the block hides it (EC2 API reference, EnableSnapshotBlockPublicAccess). Where the state is not known it counts as public.
	block := must(t, "", c.GetSnapshotBlockPublicAccessState, &ec2.GetSnapshotBlockPublicAccessStateInput{})
	hidden := block != nil && block.State == ec2types.SnapshotBlockPublicAccessStateBlockAllSharing
	each(t, list, func(s ec2types.Snapshot) {
		arn := "arn:" + t.part + ":ec2:" + t.region + "::snapshot/" + aws.ToString(s.SnapshotId)
		out := must(t, arn, c.DescribeSnapshotAttribute, &ec2.DescribeSnapshotAttributeInput{SnapshotId: s.SnapshotId, Attribute: ec2types.SnapshotAttributeNameCreateVolumePermission}, "InvalidSnapshot.NotFound")
		if out == nil {
			return
		}
		var with []string
		for _, p := range out.CreateVolumePermissions {
			group := string(p.Group)
			if hidden && p.Group == ec2types.PermissionGroupAll {
				group = ""
				t.resource(resource{ARN: arn, Attributes: attributes("blockedShare", string(p.Group))})
			}
			with = appendText(with, aws.ToString(p.UserId), group)
		}
		if len(with) > 0 {
			t.share(share{Kind: "EBSSnapshot", ARN: arn, With: with})
		}
	})
}

func readImages(t *task) {
	c := ec2.NewFromConfig(t.cfg)
	list := listed(t, ec2.NewDescribeImagesPaginator(c, &ec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true), MaxResults: aws.Int32(1000)}), func(out *ec2.DescribeImagesOutput) []ec2types.Image {
		return out.Images
	})
	each(t, list, func(i ec2types.Image) {
		arn := "arn:" + t.part + ":ec2:" + t.region + "::image/" + aws.ToString(i.ImageId)
		out := must(t, arn, c.DescribeImageAttribute, &ec2.DescribeImageAttributeInput{ImageId: i.ImageId, Attribute: ec2types.ImageAttributeNameLaunchPermission}, "InvalidAMIID.NotFound")
		if out == nil {
			return
		}
		var with []string
		for _, p := range out.LaunchPermissions {
			with = appendText(with, aws.ToString(p.UserId), string(p.Group), aws.ToString(p.OrganizationArn), aws.ToString(p.OrganizationalUnitArn))
		}
		if len(with) > 0 {
			t.share(share{Kind: "AMI", ARN: arn, With: with})
		}
	})
}

// appendText appends the texts that are not empty.
func appendText(list []string, texts ...string) []string {
	for _, s := range texts {
		if s != "" {
			list = append(list, s)
		}
	}
	return list
}

func readDBSnapshots(t *task) {
	c := rds.NewFromConfig(t.cfg)
	manual := aws.String("manual")
	instances := listed(t, rds.NewDescribeDBSnapshotsPaginator(c, &rds.DescribeDBSnapshotsInput{SnapshotType: manual}), func(out *rds.DescribeDBSnapshotsOutput) []rdstypes.DBSnapshot { return out.DBSnapshots })
	each(t, instances, func(s rdstypes.DBSnapshot) {
		out := must(t, aws.ToString(s.DBSnapshotArn), c.DescribeDBSnapshotAttributes, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: s.DBSnapshotIdentifier}, "DBSnapshotNotFound")
		if out == nil || out.DBSnapshotAttributesResult == nil {
			return
		}
		for _, a := range out.DBSnapshotAttributesResult.DBSnapshotAttributes {
			t.restorable(s.DBSnapshotArn, a.AttributeName, a.AttributeValues)
		}
	})
	clusters := listed(t, rds.NewDescribeDBClusterSnapshotsPaginator(c, &rds.DescribeDBClusterSnapshotsInput{SnapshotType: manual}), func(out *rds.DescribeDBClusterSnapshotsOutput) []rdstypes.DBClusterSnapshot {
		return out.DBClusterSnapshots
	})
	each(t, clusters, func(s rdstypes.DBClusterSnapshot) {
		out := must(t, aws.ToString(s.DBClusterSnapshotArn), c.DescribeDBClusterSnapshotAttributes, &rds.DescribeDBClusterSnapshotAttributesInput{DBClusterSnapshotIdentifier: s.DBClusterSnapshotIdentifier}, "DBClusterSnapshotNotFoundFault")
		if out == nil || out.DBClusterSnapshotAttributesResult == nil {
			return
		}
		for _, a := range out.DBClusterSnapshotAttributesResult.DBClusterSnapshotAttributes {
			t.restorable(s.DBClusterSnapshotArn, a.AttributeName, a.AttributeValues)
		}
	})
}

func (t *task) restorable(arn, attribute *string, with []string) {
	if aws.ToString(attribute) == "restore" && len(with) > 0 {
		t.share(share{Kind: "RDSSnapshot", ARN: aws.ToString(arn), With: with})
	}
}

func readResourceShares(t *task) {
	c := ram.NewFromConfig(t.cfg)
	list := listed(t, ram.NewGetResourceSharesPaginator(c, &ram.GetResourceSharesInput{ResourceOwner: ramtypes.ResourceOwnerSelf}), func(out *ram.GetResourceSharesOutput) []ramtypes.ResourceShare { return out.ResourceShares })
	if len(list) == 0 {
		return
	}
	of := func(kind ramtypes.ResourceShareAssociationType) map[string][]string {
		out := make(map[string][]string)
		pages(t, ram.NewGetResourceShareAssociationsPaginator(c, &ram.GetResourceShareAssociationsInput{AssociationType: kind}), func(page *ram.GetResourceShareAssociationsOutput) {
			for _, a := range page.ResourceShareAssociations {
				if a.Status != ramtypes.ResourceShareAssociationStatusDisassociated && a.Status != ramtypes.ResourceShareAssociationStatusFailed {
					out[aws.ToString(a.ResourceShareArn)] = append(out[aws.ToString(a.ResourceShareArn)], aws.ToString(a.AssociatedEntity))
				}
			}
		})
		return out
	}
	principals, resources := of(ramtypes.ResourceShareAssociationTypePrincipal), of(ramtypes.ResourceShareAssociationTypeResource)
	for _, s := range list {
		arn := aws.ToString(s.ResourceShareArn)
		with := principals[arn]
		if len(with) == 0 {
			continue
		}
		var permissions []string
		pagesOf(t, arn, ram.NewListResourceSharePermissionsPaginator(c, &ram.ListResourceSharePermissionsInput{ResourceShareArn: s.ResourceShareArn}), func(out *ram.ListResourceSharePermissionsOutput) {
			for _, p := range out.Permissions {
				permissions = append(permissions, aws.ToString(p.Arn))
			}
		})
		one := share{Kind: "RAM", ARN: arn, Owner: aws.ToString(s.OwningAccountId), With: with, AllowExternal: aws.ToBool(s.AllowExternalPrincipals), Resources: resources[arn]}
		if permissions = unique(permissions); len(permissions) > 0 {
			one.Attributes = map[string]any{"permissions": permissions}
		}
		t.share(one)
	}
}
