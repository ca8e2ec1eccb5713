package collect

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/bedrock"
	bedrocktypes "github.com/aws/aws-sdk-go-v2/service/bedrock/types"
	"github.com/aws/aws-sdk-go-v2/service/bedrockagentcorecontrol"
	agenttypes "github.com/aws/aws-sdk-go-v2/service/bedrockagentcorecontrol/types"
	"github.com/aws/aws-sdk-go-v2/service/comprehend"
	comprehendtypes "github.com/aws/aws-sdk-go-v2/service/comprehend/types"
	"github.com/aws/aws-sdk-go-v2/service/lexmodelsv2"
	lextypes "github.com/aws/aws-sdk-go-v2/service/lexmodelsv2/types"
	"github.com/aws/aws-sdk-go-v2/service/rekognition"
	rekognitiontypes "github.com/aws/aws-sdk-go-v2/service/rekognition/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	"github.com/aws/aws-sdk-go-v2/service/s3outposts"
	outpoststypes "github.com/aws/aws-sdk-go-v2/service/s3outposts/types"
	"github.com/aws/aws-sdk-go-v2/service/sagemaker"
	sagemakertypes "github.com/aws/aws-sdk-go-v2/service/sagemaker/types"
	"github.com/aws/aws-sdk-go-v2/service/workspaces"
	workspacestypes "github.com/aws/aws-sdk-go-v2/service/workspaces/types"
)

// modelRows are models and agents, and what few accounts have.
var modelRows = []Row{
	{
		Name: "Bedrock guardrail, custom model", Type: "AWS::Bedrock::ResourcePolicy", Others: []string{"AWS::Bedrock::Guardrail", "AWS::Bedrock::CustomModel"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Bedrock", "bedrock", "ListGuardrails", "ListCustomModels", "GetResourcePolicy"),
		Note:  "Policies of guardrail profiles are not read: no list has them. What is shared by RAM is in the row of RAM.",
		read:  readBedrock,
	},
	{
		Name: "Bedrock AgentCore runtime, endpoint, gateway, memory", Type: "AWS::BedrockAgentCore::ResourcePolicy", Others: []string{"AWS::BedrockAgentCore::Runtime", "AWS::BedrockAgentCore::RuntimeEndpoint", "AWS::BedrockAgentCore::Gateway", "AWS::BedrockAgentCore::Memory"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Bedrock AgentCore Control", "bedrock-agentcore", "ListAgentRuntimes", "ListAgentRuntimeEndpoints", "ListGateways", "ListMemories", "GetResourcePolicy"),
		read:  readAgents,
	},
	{
		Name: "SageMaker model package group, lineage group", Type: "AWS::SageMaker::ModelPackageGroup", Others: []string{"AWS::SageMaker::LineageGroup"}, Mechanism: "policy", Place: Regional,
		Calls: calls("SageMaker", "sagemaker", "ListModelPackageGroups", "GetModelPackageGroupPolicy", "ListLineageGroups", "GetLineageGroupPolicy"),
		Note:  "Feature groups, hubs and whatever else is shared by RAM are in the row of RAM.",
		read:  readSageMaker,
	},
	{
		Name: "Lex bot, alias", Type: "AWS::Lex::Bot", Others: []string{"AWS::Lex::BotAlias"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Lex Models V2", "lex", "ListBots", "ListBotAliases", "DescribeResourcePolicy"),
		Note:  "Bots of the first version of Lex have no policy.",
		read:  readLex,
	},
	{
		Name: "Comprehend custom model", Type: "AWS::Comprehend::DocumentClassifier", Others: []string{"AWS::Comprehend::EntityRecognizer"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Comprehend", "comprehend", "ListDocumentClassifiers", "ListEntityRecognizers", "DescribeResourcePolicy"),
		Note:  "Classifiers and recognizers that are trained: others cannot be given to anybody.",
		read:  readComprehend,
	},
	{
		Name: "Rekognition project", Type: "AWS::Rekognition::Project", Mechanism: "policy", Place: Regional,
		Calls: calls("Rekognition", "rekognition", "DescribeProjects", "ListProjectPolicies"),
		Note:  "Custom Labels: projects of content moderation have no policy. All policies of a project are one.",
		read: func(t *task) {
			c := rekognition.NewFromConfig(t.cfg)
			projects := listed(t, rekognition.NewDescribeProjectsPaginator(c, &rekognition.DescribeProjectsInput{}), func(out *rekognition.DescribeProjectsOutput) []rekognitiontypes.ProjectDescription {
				return out.ProjectDescriptions
			})
			each(t, projects, func(p rekognitiontypes.ProjectDescription) {
				r := resource{ARN: aws.ToString(p.ProjectArn)}
				var texts []*string
				err := walk(t, rekognition.NewListProjectPoliciesPaginator(c, &rekognition.ListProjectPoliciesInput{ProjectArn: p.ProjectArn}), func(out *rekognition.ListProjectPoliciesOutput) {
					for _, one := range out.ProjectPolicies {
						texts = append(texts, one.PolicyDocument)
					}
				})
				r.Policy, r.Error = merged(texts, outcome{err: err})
				t.resource(r)
			})
		},
	},
	{
		Name: "WorkSpaces image", Type: "AWS::WorkSpaces::WorkspaceImage", Mechanism: "accounts that it is shared with", Place: Regional,
		Calls: calls("WorkSpaces", "workspaces", "DescribeWorkspaceImages", "DescribeWorkspaceImagePermissions"),
		Note:  "Shares of kind WorkSpacesImage.",
		read:  readWorkspaceImages,
	},
	{
		Name: "S3 on Outposts bucket, access point", Type: "AWS::S3Outposts::Bucket", Others: []string{"AWS::S3Outposts::AccessPoint"}, Mechanism: "policy", Place: Regional,
		Calls: slices.Concat(
			calls("S3Outposts", "s3-outposts", "ListOutpostsWithS3"),
			calls("S3 Control", "s3-outposts", "ListRegionalBuckets", "GetBucketPolicy", "ListAccessPoints", "GetAccessPointPolicy"),
		),
		read: readOutposts,
	},
}

// In the rows of this file ResourceNotFoundException is of the policy operation's own errors, in its API reference: the resource was just listed, so that it is the policy that is not there.
const noPolicy = "ResourceNotFoundException"

func readBedrock(t *task) {
	c := bedrock.NewFromConfig(t.cfg)
	one := func(kind string, arn *string) {
		out, o := ask(t, c.GetResourcePolicy, &bedrock.GetResourcePolicyInput{ResourceArn: arn}, noPolicy)
		t.governed(kind, arn, o, func() *string { return out.ResourcePolicy })
	}
	guardrails := listed(t, bedrock.NewListGuardrailsPaginator(c, &bedrock.ListGuardrailsInput{}), func(out *bedrock.ListGuardrailsOutput) []bedrocktypes.GuardrailSummary { return out.Guardrails })
	each(t, guardrails, func(g bedrocktypes.GuardrailSummary) { one("AWS::Bedrock::Guardrail", g.Arn) })
	models := listed(t, bedrock.NewListCustomModelsPaginator(c, &bedrock.ListCustomModelsInput{IsOwned: aws.Bool(true)}), func(out *bedrock.ListCustomModelsOutput) []bedrocktypes.CustomModelSummary { return out.ModelSummaries })
	each(t, models, func(m bedrocktypes.CustomModelSummary) { one("AWS::Bedrock::CustomModel", m.ModelArn) })
}

func readAgents(t *task) {
	c := bedrockagentcorecontrol.NewFromConfig(t.cfg)
	one := func(kind string, arn *string) {
		out, o := ask(t, c.GetResourcePolicy, &bedrockagentcorecontrol.GetResourcePolicyInput{ResourceArn: arn}, noPolicy)
		t.governed("AWS::BedrockAgentCore::"+kind, arn, o, func() *string { return out.Policy })
	}
	runtimes := listed(t, bedrockagentcorecontrol.NewListAgentRuntimesPaginator(c, &bedrockagentcorecontrol.ListAgentRuntimesInput{}), func(out *bedrockagentcorecontrol.ListAgentRuntimesOutput) []agenttypes.AgentRuntime {
		return out.AgentRuntimes
	})
	each(t, runtimes, func(r agenttypes.AgentRuntime) {
		one("Runtime", r.AgentRuntimeArn)
		pagesOf(t, aws.ToString(r.AgentRuntimeArn), bedrockagentcorecontrol.NewListAgentRuntimeEndpointsPaginator(c, &bedrockagentcorecontrol.ListAgentRuntimeEndpointsInput{AgentRuntimeId: r.AgentRuntimeId}), func(out *bedrockagentcorecontrol.ListAgentRuntimeEndpointsOutput) {
			for _, e := range out.RuntimeEndpoints {
				one("RuntimeEndpoint", e.AgentRuntimeEndpointArn)
			}
		})
	})
	gateways := listed(t, bedrockagentcorecontrol.NewListGatewaysPaginator(c, &bedrockagentcorecontrol.ListGatewaysInput{}), func(out *bedrockagentcorecontrol.ListGatewaysOutput) []agenttypes.GatewaySummary { return out.Items })
	each(t, gateways, func(g agenttypes.GatewaySummary) {
		arn := t.arn("bedrock-agentcore", "gateway/"+aws.ToString(g.GatewayId))
		one("Gateway", &arn)
	})
	memories := listed(t, bedrockagentcorecontrol.NewListMemoriesPaginator(c, &bedrockagentcorecontrol.ListMemoriesInput{}), func(out *bedrockagentcorecontrol.ListMemoriesOutput) []agenttypes.MemorySummary { return out.Memories })
	each(t, memories, func(m agenttypes.MemorySummary) { one("Memory", m.Arn) })
}

// withoutPolicy reports whether an error says that a model package group has no policy. AWS documents no code for it: it is a ValidationException, which others are, too, with these words.
func withoutPolicy(err error) bool {
	return codeOf(err) == "ValidationException" && strings.Contains(err.Error(), "Cannot find resource policy")
}

func readSageMaker(t *task) {
	c := sagemaker.NewFromConfig(t.cfg)
	groups := listed(t, sagemaker.NewListModelPackageGroupsPaginator(c, &sagemaker.ListModelPackageGroupsInput{}), func(out *sagemaker.ListModelPackageGroupsOutput) []sagemakertypes.ModelPackageGroupSummary {
		return out.ModelPackageGroupSummaryList
	})
	each(t, groups, func(g sagemakertypes.ModelPackageGroupSummary) {
		out, o := ask(t, c.GetModelPackageGroupPolicy, &sagemaker.GetModelPackageGroupPolicyInput{ModelPackageGroupName: g.ModelPackageGroupName})
		if withoutPolicy(o.err) {
			o = outcome{absent: true}
		}
		t.governed("", g.ModelPackageGroupArn, o, func() *string { return out.ResourcePolicy })
	})
	lineages := listed(t, sagemaker.NewListLineageGroupsPaginator(c, &sagemaker.ListLineageGroupsInput{}), func(out *sagemaker.ListLineageGroupsOutput) []sagemakertypes.LineageGroupSummary {
		return out.LineageGroupSummaries
	})
	each(t, lineages, func(g sagemakertypes.LineageGroupSummary) {
		// ResourceNotFound, without Exception, is this operation's one error (its API reference).
		out, o := ask(t, c.GetLineageGroupPolicy, &sagemaker.GetLineageGroupPolicyInput{LineageGroupName: g.LineageGroupArn}, "ResourceNotFound")
		t.governed("AWS::SageMaker::LineageGroup", g.LineageGroupArn, o, func() *string { return out.ResourcePolicy })
	})
}

func readLex(t *task) {
	c := lexmodelsv2.NewFromConfig(t.cfg)
	one := func(kind, arn string) {
		out, o := ask(t, c.DescribeResourcePolicy, &lexmodelsv2.DescribeResourcePolicyInput{ResourceArn: &arn}, noPolicy)
		t.governed(kind, &arn, o, func() *string { return out.Policy })
	}
	bots := listed(t, lexmodelsv2.NewListBotsPaginator(c, &lexmodelsv2.ListBotsInput{}), func(out *lexmodelsv2.ListBotsOutput) []lextypes.BotSummary { return out.BotSummaries })
	each(t, bots, func(b lextypes.BotSummary) {
		id := aws.ToString(b.BotId)
		one("", t.arn("lex", "bot/"+id))
		pagesOf(t, t.arn("lex", "bot/"+id), lexmodelsv2.NewListBotAliasesPaginator(c, &lexmodelsv2.ListBotAliasesInput{BotId: b.BotId}), func(out *lexmodelsv2.ListBotAliasesOutput) {
			for _, a := range out.BotAliasSummaries {
				one("AWS::Lex::BotAlias", t.arn("lex", "bot-alias/"+id+"/"+aws.ToString(a.BotAliasId)))
			}
		})
	})
}

func readComprehend(t *task) {
	c := comprehend.NewFromConfig(t.cfg)
	one := func(kind string, arn *string, status comprehendtypes.ModelStatus) {
		if status != comprehendtypes.ModelStatusTrained && status != comprehendtypes.ModelStatusTrainedWithWarning {
			return
		}
		out, o := ask(t, c.DescribeResourcePolicy, &comprehend.DescribeResourcePolicyInput{ResourceArn: arn}, noPolicy)
		t.governed(kind, arn, o, func() *string { return out.ResourcePolicy })
	}
	classifiers := listed(t, comprehend.NewListDocumentClassifiersPaginator(c, &comprehend.ListDocumentClassifiersInput{}), func(out *comprehend.ListDocumentClassifiersOutput) []comprehendtypes.DocumentClassifierProperties {
		return out.DocumentClassifierPropertiesList
	})
	each(t, classifiers, func(m comprehendtypes.DocumentClassifierProperties) { one("", m.DocumentClassifierArn, m.Status) })
	recognizers := listed(t, comprehend.NewListEntityRecognizersPaginator(c, &comprehend.ListEntityRecognizersInput{}), func(out *comprehend.ListEntityRecognizersOutput) []comprehendtypes.EntityRecognizerProperties {
		return out.EntityRecognizerPropertiesList
	})
	each(t, recognizers, func(m comprehendtypes.EntityRecognizerProperties) {
		one("AWS::Comprehend::EntityRecognizer", m.EntityRecognizerArn, m.Status)
	})
}

func readWorkspaceImages(t *task) {
	c := workspaces.NewFromConfig(t.cfg)
	images := listed(t, &turns[*workspaces.DescribeWorkspaceImagesOutput]{service: "WorkSpaces", operation: "DescribeWorkspaceImages", next: func(ctx context.Context, token *string) (*workspaces.DescribeWorkspaceImagesOutput, *string, error) {
		out, err := c.DescribeWorkspaceImages(ctx, &workspaces.DescribeWorkspaceImagesInput{ImageType: workspacestypes.ImageTypeOwned, NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}}, func(out *workspaces.DescribeWorkspaceImagesOutput) []workspacestypes.WorkspaceImage {
		return out.Images
	})
	each(t, images, func(i workspacestypes.WorkspaceImage) {
		arn := t.arn("workspaces", "workspaceimage/"+aws.ToString(i.ImageId))
		var with []string
		pagesOf(t, arn, &turns[*workspaces.DescribeWorkspaceImagePermissionsOutput]{service: "WorkSpaces", operation: "DescribeWorkspaceImagePermissions", next: func(ctx context.Context, token *string) (*workspaces.DescribeWorkspaceImagePermissionsOutput, *string, error) {
			out, err := c.DescribeWorkspaceImagePermissions(ctx, &workspaces.DescribeWorkspaceImagePermissionsInput{ImageId: i.ImageId, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			return out, out.NextToken, nil
		}}, func(out *workspaces.DescribeWorkspaceImagePermissionsOutput) {
			for _, p := range out.ImagePermissions {
				with = appendText(with, aws.ToString(p.SharedAccountId))
			}
		})
		if len(with) > 0 {
			t.share(share{Kind: "WorkSpacesImage", ARN: arn, With: with})
		}
	})
}

func readOutposts(t *task) {
	places := listed(t, s3outposts.NewListOutpostsWithS3Paginator(s3outposts.NewFromConfig(t.cfg), &s3outposts.ListOutpostsWithS3Input{}), func(out *s3outposts.ListOutpostsWithS3Output) []outpoststypes.Outpost { return out.Outposts })
	c := s3control.NewFromConfig(t.cfg)
	each(t, places, func(place outpoststypes.Outpost) {
		within := "outpost/" + aws.ToString(place.OutpostId)
		in := &s3control.ListRegionalBucketsInput{AccountId: &t.account, OutpostId: place.OutpostId}
		pagesOf(t, aws.ToString(place.OutpostArn), s3control.NewListRegionalBucketsPaginator(c, in), func(out *s3control.ListRegionalBucketsOutput) {
			for _, b := range out.RegionalBucketList {
				r := resource{ARN: t.arn("s3-outposts", within+"/bucket/"+aws.ToString(b.Bucket))}
				r.Policy, r.Error = policyBy(t, c.GetBucketPolicy, &s3control.GetBucketPolicyInput{AccountId: &t.account, Bucket: &r.ARN}, func(out *s3control.GetBucketPolicyOutput) *string { return out.Policy }, "NoSuchBucketPolicy")
				t.resource(r)
				points := &s3control.ListAccessPointsInput{AccountId: &t.account, Bucket: &r.ARN}
				pagesOf(t, r.ARN, s3control.NewListAccessPointsPaginator(c, points), func(out *s3control.ListAccessPointsOutput) {
					for _, p := range out.AccessPointList {
						one := resource{ARN: t.arn("s3-outposts", within+"/accesspoint/"+aws.ToString(p.Name)), Type: "AWS::S3Outposts::AccessPoint"}
						one.Policy, one.Error = policyBy(t, c.GetAccessPointPolicy, &s3control.GetAccessPointPolicyInput{AccountId: &t.account, Name: &one.ARN}, func(out *s3control.GetAccessPointPolicyOutput) *string { return out.Policy }, "NoSuchAccessPointPolicy")
						t.resource(one)
					}
				})
			}
		})
	})
}
