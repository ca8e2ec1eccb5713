package collect

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudhsmv2"
	hsmtypes "github.com/aws/aws-sdk-go-v2/service/cloudhsmv2/types"
	"github.com/aws/aws-sdk-go-v2/service/imagebuilder"
	imagetypes "github.com/aws/aws-sdk-go-v2/service/imagebuilder/types"
	"github.com/aws/aws-sdk-go-v2/service/mediapackagev2"
	packagetypes "github.com/aws/aws-sdk-go-v2/service/mediapackagev2/types"
	"github.com/aws/aws-sdk-go-v2/service/mediastore"
	storetypes "github.com/aws/aws-sdk-go-v2/service/mediastore/types"
	"github.com/aws/aws-sdk-go-v2/service/paymentcryptography"
	paymenttypes "github.com/aws/aws-sdk-go-v2/service/paymentcryptography/types"
	"github.com/aws/aws-sdk-go-v2/service/rum"
	rumtypes "github.com/aws/aws-sdk-go-v2/service/rum/types"
	"github.com/aws/aws-sdk-go-v2/service/serverlessapplicationrepository"
	repositorytypes "github.com/aws/aws-sdk-go-v2/service/serverlessapplicationrepository/types"
	"github.com/aws/aws-sdk-go-v2/service/signer"
	signertypes "github.com/aws/aws-sdk-go-v2/service/signer/types"
)

// mediaRows are what is handed on under a policy: applications, signatures, keys of payments, media and images.
var mediaRows = []Row{
	{
		Name: "Serverless Application Repository application", Type: "AWS::ServerlessRepo::Application", Mechanism: "policy", Place: Regional,
		Calls: calls("ServerlessApplicationRepository", "serverlessrepo", "ListApplications", "GetApplicationPolicy"),
		Note:  "AWS answers with statements of its own form; they are written as a policy. Its permission Deploy stands there as serverlessrepo:Deploy.",
		read:  readApplications,
	},
	{
		Name: "Payment Cryptography key", Type: "AWS::PaymentCryptography::Key", Mechanism: "policy", Place: Regional,
		Calls: calls("Payment Cryptography", "payment-cryptography", "ListKeys", "GetResourcePolicy"),
		read: func(t *task) {
			c := paymentcryptography.NewFromConfig(t.cfg)
			list := listed(t, paymentcryptography.NewListKeysPaginator(c, &paymentcryptography.ListKeysInput{}), func(out *paymentcryptography.ListKeysOutput) []paymenttypes.KeySummary { return out.Keys })
			each(t, list, func(k paymenttypes.KeySummary) {
				out, o := ask(t, c.GetResourcePolicy, &paymentcryptography.GetResourcePolicyInput{ResourceArn: k.KeyArn}, "ResourceNotFoundException")
				t.governed("", k.KeyArn, o, func() *string { return out.Policy })
			})
		},
	},
	{
		Name: "CloudHSM backup", Type: "AWS::CloudHSMV2::Backup", Mechanism: "policy", Place: Regional,
		Calls: calls("CloudHSM V2", "cloudhsm", "DescribeBackups", "GetResourcePolicy"),
		Note:  "CloudFormation has no type for it; the line's type is made of the service's name.",
		read: func(t *task) {
			c := cloudhsmv2.NewFromConfig(t.cfg)
			list := listed(t, cloudhsmv2.NewDescribeBackupsPaginator(c, &cloudhsmv2.DescribeBackupsInput{}), func(out *cloudhsmv2.DescribeBackupsOutput) []hsmtypes.Backup { return out.Backups })
			each(t, list, func(b hsmtypes.Backup) {
				out, o := ask(t, c.GetResourcePolicy, &cloudhsmv2.GetResourcePolicyInput{ResourceArn: b.BackupArn}, "CloudHsmResourceNotFoundException")
				t.governed("", b.BackupArn, o, func() *string { return out.Policy })
			})
		},
	},
	{
		Name: "Signer profile", Type: "AWS::Signer::SigningProfile", Mechanism: "permission", Place: Regional,
		Calls: calls("signer", "signer", "ListSigningProfiles", "ListProfilePermissions"),
		Note:  "Permissions are written as a policy.",
		read:  readSigningProfiles,
	},
	{
		Name: "MediaStore container", Type: "AWS::MediaStore::Container", Mechanism: "policy", Place: Regional,
		Calls: calls("MediaStore", "mediastore", "ListContainers", "GetContainerPolicy"),
		read: func(t *task) {
			c := mediastore.NewFromConfig(t.cfg)
			list := listed(t, mediastore.NewListContainersPaginator(c, &mediastore.ListContainersInput{}), func(out *mediastore.ListContainersOutput) []storetypes.Container { return out.Containers })
			each(t, list, func(m storetypes.Container) {
				out, o := ask(t, c.GetContainerPolicy, &mediastore.GetContainerPolicyInput{ContainerName: m.Name}, "PolicyNotFoundException")
				t.governed("", m.ARN, o, func() *string { return out.Policy })
			})
		},
	},
	{
		Name: "MediaPackage v2 channel, origin endpoint", Type: "AWS::MediaPackageV2::Channel", Others: []string{"AWS::MediaPackageV2::OriginEndpoint"}, Mechanism: "policy", Place: Regional,
		Calls: calls("MediaPackageV2", "mediapackagev2", "ListChannelGroups", "ListChannels", "GetChannelPolicy", "ListOriginEndpoints", "GetOriginEndpointPolicy"),
		Note:  "MediaTailor is not read.",
		read:  readMediaPackage,
	},
	{
		Name: "Image Builder component, image, recipe", Type: "AWS::ImageBuilder::Component", Others: []string{"AWS::ImageBuilder::Image", "AWS::ImageBuilder::ImageRecipe", "AWS::ImageBuilder::ContainerRecipe"}, Mechanism: "policy", Place: Regional,
		Calls: calls("imagebuilder", "imagebuilder", "ListComponents", "ListComponentBuildVersions", "GetComponentPolicy", "ListImages", "ListImageBuildVersions", "GetImagePolicy", "ListImageRecipes", "GetImageRecipePolicy", "ListContainerRecipes", "GetContainerRecipePolicy"),
		Note:  "Those that the account owns. Workflows and lifecycle policies have no policy of their own; they are shared by RAM.",
		read:  readImageBuilder,
	},
	{
		Name: "CloudWatch RUM monitor", Type: "AWS::RUM::AppMonitor", Mechanism: "policy", Place: Regional,
		Calls: calls("RUM", "rum", "ListAppMonitors", "GetResourcePolicy"),
		read: func(t *task) {
			c := rum.NewFromConfig(t.cfg)
			list := listed(t, rum.NewListAppMonitorsPaginator(c, &rum.ListAppMonitorsInput{}), func(out *rum.ListAppMonitorsOutput) []rumtypes.AppMonitorSummary { return out.AppMonitorSummaries })
			each(t, list, func(m rumtypes.AppMonitorSummary) {
				out, o := ask(t, c.GetResourcePolicy, &rum.GetResourcePolicyInput{Name: m.Name}, "PolicyNotFoundException")
				t.governed("", aws.String(t.arn("rum", "appmonitor/"+aws.ToString(m.Name))), o, func() *string { return out.PolicyDocument })
			})
		},
	},
}

// stated is the policy that statements make, nil where there are none.
func stated(statements []map[string]any) any {
	if len(statements) == 0 {
		return nil
	}
	return map[string]any{"Version": "2012-10-17", "Statement": statements}
}

func readApplications(t *task) {
	c := serverlessapplicationrepository.NewFromConfig(t.cfg)
	list := listed(t, serverlessapplicationrepository.NewListApplicationsPaginator(c, &serverlessapplicationrepository.ListApplicationsInput{}), func(out *serverlessapplicationrepository.ListApplicationsOutput) []repositorytypes.ApplicationSummary {
		return out.Applications
	})
	each(t, list, func(a repositorytypes.ApplicationSummary) {
		r := resource{ARN: aws.ToString(a.ApplicationId)}
		out, o := ask(t, c.GetApplicationPolicy, &serverlessapplicationrepository.GetApplicationPolicyInput{ApplicationId: a.ApplicationId})
		if out == nil {
			r.Policy, r.Error = policy(nil, o)
			t.resource(r)
			return
		}
		var statements []map[string]any
		for _, s := range out.Statements {
			var actions []string
			for _, action := range s.Actions {
				actions = append(actions, "serverlessrepo:"+action)
			}
			statement := map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": s.Principals}, "Action": actions, "Resource": r.ARN}
			if aws.ToString(s.StatementId) != "" {
				statement["Sid"] = *s.StatementId
			}
			if len(s.PrincipalOrgIDs) > 0 {
				statement["Condition"] = map[string]any{"StringEquals": map[string]any{"aws:PrincipalOrgID": s.PrincipalOrgIDs}}
			}
			statements = append(statements, statement)
		}
		r.Policy = stated(statements)
		t.resource(r)
	})
}

func readSigningProfiles(t *task) {
	c := signer.NewFromConfig(t.cfg)
	list := listed(t, signer.NewListSigningProfilesPaginator(c, &signer.ListSigningProfilesInput{}), func(out *signer.ListSigningProfilesOutput) []signertypes.SigningProfile { return out.Profiles })
	each(t, list, func(p signertypes.SigningProfile) {
		r := resource{ARN: aws.ToString(p.Arn)}
		var statements []map[string]any
		err := walk(t, &turns[*signer.ListProfilePermissionsOutput]{service: "signer", operation: "ListProfilePermissions", next: func(ctx context.Context, token *string) (*signer.ListProfilePermissionsOutput, *string, error) {
			out, err := c.ListProfilePermissions(ctx, &signer.ListProfilePermissionsInput{ProfileName: p.ProfileName, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out, out.NextToken, nil
		}}, func(out *signer.ListProfilePermissionsOutput) {
			for _, one := range out.Permissions {
				of := r.ARN
				if version := aws.ToString(one.ProfileVersion); version != "" {
					of += "/" + version
				}
				statements = append(statements, map[string]any{"Effect": "Allow", "Principal": map[string]any{"AWS": aws.ToString(one.Principal)}, "Action": aws.ToString(one.Action), "Resource": of})
			}
		})
		switch {
		case err == nil:
			r.Policy = stated(statements)
		case codeOf(err) != "ResourceNotFoundException": // the profile was just listed: it has no permissions
			r.Policy, r.Error = policy(nil, outcome{err: err})
		}
		t.resource(r)
	})
}

func readMediaPackage(t *task) {
	c := mediapackagev2.NewFromConfig(t.cfg)
	groups := listed(t, mediapackagev2.NewListChannelGroupsPaginator(c, &mediapackagev2.ListChannelGroupsInput{}), func(out *mediapackagev2.ListChannelGroupsOutput) []packagetypes.ChannelGroupListConfiguration {
		return out.Items
	})
	each(t, groups, func(g packagetypes.ChannelGroupListConfiguration) {
		pagesOf(t, aws.ToString(g.Arn), mediapackagev2.NewListChannelsPaginator(c, &mediapackagev2.ListChannelsInput{ChannelGroupName: g.ChannelGroupName}), func(out *mediapackagev2.ListChannelsOutput) {
			for _, channel := range out.Items {
				answer, o := ask(t, c.GetChannelPolicy, &mediapackagev2.GetChannelPolicyInput{ChannelGroupName: g.ChannelGroupName, ChannelName: channel.ChannelName}, "ResourceNotFoundException")
				t.governed("", channel.Arn, o, func() *string { return answer.Policy })
				in := &mediapackagev2.ListOriginEndpointsInput{ChannelGroupName: g.ChannelGroupName, ChannelName: channel.ChannelName}
				pagesOf(t, aws.ToString(channel.Arn), mediapackagev2.NewListOriginEndpointsPaginator(c, in), func(out *mediapackagev2.ListOriginEndpointsOutput) {
					for _, e := range out.Items {
						answer, o := ask(t, c.GetOriginEndpointPolicy, &mediapackagev2.GetOriginEndpointPolicyInput{ChannelGroupName: g.ChannelGroupName, ChannelName: channel.ChannelName, OriginEndpointName: e.OriginEndpointName}, "ResourceNotFoundException")
						t.governed("AWS::MediaPackageV2::OriginEndpoint", e.Arn, o, func() *string { return answer.Policy })
					}
				})
			}
		})
	})
}

func readImageBuilder(t *task) {
	const none = "ResourceNotFoundException"
	c := imagebuilder.NewFromConfig(t.cfg)
	components := listed(t, imagebuilder.NewListComponentsPaginator(c, &imagebuilder.ListComponentsInput{Owner: imagetypes.OwnershipSelf}), func(out *imagebuilder.ListComponentsOutput) []imagetypes.ComponentVersion {
		return out.ComponentVersionList
	})
	each(t, components, func(v imagetypes.ComponentVersion) {
		pagesOf(t, aws.ToString(v.Arn), imagebuilder.NewListComponentBuildVersionsPaginator(c, &imagebuilder.ListComponentBuildVersionsInput{ComponentVersionArn: v.Arn}), func(out *imagebuilder.ListComponentBuildVersionsOutput) {
			for _, b := range out.ComponentSummaryList { // a policy belongs to a build
				answer, o := ask(t, c.GetComponentPolicy, &imagebuilder.GetComponentPolicyInput{ComponentArn: b.Arn}, none)
				t.governed("", b.Arn, o, func() *string { return answer.Policy })
			}
		})
	})
	images := listed(t, imagebuilder.NewListImagesPaginator(c, &imagebuilder.ListImagesInput{Owner: imagetypes.OwnershipSelf, IncludeDeprecated: aws.Bool(true)}), func(out *imagebuilder.ListImagesOutput) []imagetypes.ImageVersion { return out.ImageVersionList })
	each(t, images, func(v imagetypes.ImageVersion) {
		pagesOf(t, aws.ToString(v.Arn), imagebuilder.NewListImageBuildVersionsPaginator(c, &imagebuilder.ListImageBuildVersionsInput{ImageVersionArn: v.Arn}), func(out *imagebuilder.ListImageBuildVersionsOutput) {
			for _, b := range out.ImageSummaryList {
				answer, o := ask(t, c.GetImagePolicy, &imagebuilder.GetImagePolicyInput{ImageArn: b.Arn}, none)
				t.governed("AWS::ImageBuilder::Image", b.Arn, o, func() *string { return answer.Policy })
			}
		})
	})
	recipes := listed(t, imagebuilder.NewListImageRecipesPaginator(c, &imagebuilder.ListImageRecipesInput{Owner: imagetypes.OwnershipSelf}), func(out *imagebuilder.ListImageRecipesOutput) []imagetypes.ImageRecipeSummary {
		return out.ImageRecipeSummaryList
	})
	each(t, recipes, func(r imagetypes.ImageRecipeSummary) {
		answer, o := ask(t, c.GetImageRecipePolicy, &imagebuilder.GetImageRecipePolicyInput{ImageRecipeArn: r.Arn}, none)
		t.governed("AWS::ImageBuilder::ImageRecipe", r.Arn, o, func() *string { return answer.Policy })
	})
	containers := listed(t, imagebuilder.NewListContainerRecipesPaginator(c, &imagebuilder.ListContainerRecipesInput{Owner: imagetypes.OwnershipSelf}), func(out *imagebuilder.ListContainerRecipesOutput) []imagetypes.ContainerRecipeSummary {
		return out.ContainerRecipeSummaryList
	})
	each(t, containers, func(r imagetypes.ContainerRecipeSummary) {
		answer, o := ask(t, c.GetContainerRecipePolicy, &imagebuilder.GetContainerRecipePolicyInput{ContainerRecipeArn: r.Arn}, none)
		t.governed("AWS::ImageBuilder::ContainerRecipe", r.Arn, o, func() *string { return answer.Policy })
	})
}
