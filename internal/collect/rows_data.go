package collect

import (
	"context"
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dsql"
	dsqltypes "github.com/aws/aws-sdk-go-v2/service/dsql/types"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodbstreams"
	streamtypes "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
	"github.com/aws/aws-sdk-go-v2/service/efs"
	efstypes "github.com/aws/aws-sdk-go-v2/service/efs/types"
	"github.com/aws/aws-sdk-go-v2/service/kafka"
	kafkatypes "github.com/aws/aws-sdk-go-v2/service/kafka/types"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	kinesistypes "github.com/aws/aws-sdk-go-v2/service/kinesis/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	opensearchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearchserverless"
	serverlesstypes "github.com/aws/aws-sdk-go-v2/service/opensearchserverless/types"
	"github.com/aws/aws-sdk-go-v2/service/osis"
	osistypes "github.com/aws/aws-sdk-go-v2/service/osis/types"
)

// dataRows are file systems, databases, streams and searches.
var dataRows = []Row{
	{
		Name: "EFS file system", Type: "AWS::EFS::FileSystem", Mechanism: "policy", Place: Regional,
		Calls: calls("EFS", "elasticfilesystem", "DescribeFileSystems", "DescribeFileSystemPolicy"),
		read: func(t *task) {
			c := efs.NewFromConfig(t.cfg)
			list := listed(t, efs.NewDescribeFileSystemsPaginator(c, &efs.DescribeFileSystemsInput{}), func(out *efs.DescribeFileSystemsOutput) []efstypes.FileSystemDescription { return out.FileSystems })
			each(t, list, func(f efstypes.FileSystemDescription) {
				r := resource{ARN: aws.ToString(f.FileSystemArn)}
				r.Policy, r.Error = policyBy(t, c.DescribeFileSystemPolicy, &efs.DescribeFileSystemPolicyInput{FileSystemId: f.FileSystemId}, func(out *efs.DescribeFileSystemPolicyOutput) *string { return out.Policy }, "PolicyNotFound")
				t.resource(r)
			})
		},
	},
	{
		Name: "DynamoDB table", Type: "AWS::DynamoDB::Table", Mechanism: "policy", Place: Regional,
		Calls: calls("DynamoDB", "dynamodb", "ListTables", "GetResourcePolicy"),
		read: func(t *task) {
			c := dynamodb.NewFromConfig(t.cfg)
			names := listed(t, dynamodb.NewListTablesPaginator(c, &dynamodb.ListTablesInput{}), func(out *dynamodb.ListTablesOutput) []string { return out.TableNames })
			each(t, names, func(name string) { t.resource(dynamoResource(t, c, t.arn("dynamodb", "table/"+name))) })
		},
	},
	{
		Name: "DynamoDB stream", Type: "AWS::DynamoDB::Table", Mechanism: "policy", Place: Regional,
		Calls: append(calls("DynamoDB Streams", "dynamodb", "ListStreams"), calls("DynamoDB", "dynamodb", "GetResourcePolicy")...),
		Note:  "A stream has no type of its own: its line has the type of its table and the stream's ARN.",
		read: func(t *task) {
			c, streams := dynamodb.NewFromConfig(t.cfg), dynamodbstreams.NewFromConfig(t.cfg)
			list := listed(t, &turns[*dynamodbstreams.ListStreamsOutput]{service: "DynamoDB Streams", operation: "ListStreams", next: func(ctx context.Context, token *string) (*dynamodbstreams.ListStreamsOutput, *string, error) {
				out, err := streams.ListStreams(ctx, &dynamodbstreams.ListStreamsInput{ExclusiveStartStreamArn: token})
				if err != nil {
					return nil, nil, err
				}
				return out, out.LastEvaluatedStreamArn, nil
			}}, func(out *dynamodbstreams.ListStreamsOutput) []streamtypes.Stream { return out.Streams })
			each(t, list, func(s streamtypes.Stream) { t.resource(dynamoResource(t, c, aws.ToString(s.StreamArn))) })
		},
	},
	{
		Name: "Aurora DSQL cluster", Type: "AWS::DSQL::Cluster", Mechanism: "policy", Place: Regional,
		Calls: calls("DSQL", "dsql", "ListClusters", "GetClusterPolicy"),
		read: func(t *task) {
			c := dsql.NewFromConfig(t.cfg)
			list := listed(t, dsql.NewListClustersPaginator(c, &dsql.ListClustersInput{}), func(out *dsql.ListClustersOutput) []dsqltypes.ClusterSummary { return out.Clusters })
			each(t, list, func(s dsqltypes.ClusterSummary) {
				r := resource{ARN: aws.ToString(s.Arn)}
				r.Policy, r.Error = policyBy(t, c.GetClusterPolicy, &dsql.GetClusterPolicyInput{Identifier: s.Identifier}, func(out *dsql.GetClusterPolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
				t.resource(r)
			})
		},
	},
	{
		Name: "Kinesis stream, consumer", Type: "AWS::Kinesis::Stream", Others: []string{"AWS::Kinesis::StreamConsumer"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Kinesis", "kinesis", "ListStreams", "ListStreamConsumers", "GetResourcePolicy"),
		read: func(t *task) {
			c := kinesis.NewFromConfig(t.cfg)
			one := func(arn, kind string) {
				r := resource{ARN: arn, Type: kind}
				r.Policy, r.Error = policyBy(t, c.GetResourcePolicy, &kinesis.GetResourcePolicyInput{ResourceARN: &arn}, func(out *kinesis.GetResourcePolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
				if text, ok := r.Policy.(json.RawMessage); ok && string(text) == "{}" {
					r.Policy = nil // how Kinesis says that there is none
				}
				t.resource(r)
			}
			list := listed(t, kinesis.NewListStreamsPaginator(c, &kinesis.ListStreamsInput{}), func(out *kinesis.ListStreamsOutput) []kinesistypes.StreamSummary { return out.StreamSummaries })
			each(t, list, func(s kinesistypes.StreamSummary) {
				arn := aws.ToString(s.StreamARN)
				one(arn, "AWS::Kinesis::Stream")
				pagesOf(t, arn, kinesis.NewListStreamConsumersPaginator(c, &kinesis.ListStreamConsumersInput{StreamARN: &arn}), func(out *kinesis.ListStreamConsumersOutput) {
					for _, consumer := range out.Consumers {
						one(aws.ToString(consumer.ConsumerARN), "AWS::Kinesis::StreamConsumer")
					}
				})
			})
		},
	},
	{
		Name: "MSK cluster", Type: "AWS::MSK::Cluster", Others: []string{"AWS::MSK::ServerlessCluster"}, Mechanism: "policy", Place: Regional,
		Calls: calls("Kafka", "kafka", "ListClustersV2", "GetClusterPolicy"),
		read: func(t *task) {
			c := kafka.NewFromConfig(t.cfg)
			list := listed(t, kafka.NewListClustersV2Paginator(c, &kafka.ListClustersV2Input{}), func(out *kafka.ListClustersV2Output) []kafkatypes.Cluster { return out.ClusterInfoList })
			each(t, list, func(k kafkatypes.Cluster) {
				r := resource{ARN: aws.ToString(k.ClusterArn)}
				if k.ClusterType == kafkatypes.ClusterTypeServerless {
					r.Type = "AWS::MSK::ServerlessCluster"
				}
				r.Policy, r.Error = policyBy(t, c.GetClusterPolicy, &kafka.GetClusterPolicyInput{ClusterArn: k.ClusterArn}, func(out *kafka.GetClusterPolicyOutput) *string { return out.Policy }, "NotFoundException")
				t.resource(r)
			})
		},
	},
	{
		Name: "OpenSearch domain", Type: "AWS::OpenSearchService::Domain", Mechanism: "policy", Place: Regional,
		Calls: calls("OpenSearch", "es", "ListDomainNames", "DescribeDomain"),
		read: func(t *task) {
			c := opensearch.NewFromConfig(t.cfg)
			out := must(t, "", c.ListDomainNames, &opensearch.ListDomainNamesInput{})
			if out == nil {
				return
			}
			each(t, out.DomainNames, func(d opensearchtypes.DomainInfo) {
				r := resource{ARN: t.arn("es", "domain/"+aws.ToString(d.DomainName))}
				r.Policy, r.Error = policyBy(t, c.DescribeDomain, &opensearch.DescribeDomainInput{DomainName: d.DomainName}, func(out *opensearch.DescribeDomainOutput) *string {
					if out.DomainStatus == nil {
						return nil
					}
					return out.DomainStatus.AccessPolicies
				})
				t.resource(r)
			})
		},
	},
	{
		Name: "OpenSearch Serverless access policy", Type: "AWS::OpenSearchServerless::AccessPolicy", Mechanism: "data access policy (own language)", Place: Regional,
		Calls: calls("OpenSearchServerless", "aoss", "ListAccessPolicies", "GetAccessPolicy"),
		Note:  "Kept as attributes.dataAccessPolicy and not evaluated: its language is not IAM's. AWS gives access policies no ARN; the line's ARN is made of their type and name.",
		read: func(t *task) {
			c := opensearchserverless.NewFromConfig(t.cfg)
			list := listed(t, opensearchserverless.NewListAccessPoliciesPaginator(c, &opensearchserverless.ListAccessPoliciesInput{Type: serverlesstypes.AccessPolicyTypeData}), func(out *opensearchserverless.ListAccessPoliciesOutput) []serverlesstypes.AccessPolicySummary {
				return out.AccessPolicySummaries
			})
			each(t, list, func(p serverlesstypes.AccessPolicySummary) {
				r := resource{ARN: t.arn("aoss", "access-policy/data/"+aws.ToString(p.Name)), Attributes: map[string]any{}}
				out := must(t, r.ARN, c.GetAccessPolicy, &opensearchserverless.GetAccessPolicyInput{Name: p.Name, Type: serverlesstypes.AccessPolicyTypeData}, "ResourceNotFoundException")
				if out != nil && out.AccessPolicyDetail != nil && out.AccessPolicyDetail.Policy != nil {
					text, err := documentOf(out.AccessPolicyDetail.Policy)
					if err != nil {
						t.fail(r.ARN, unreadable("OpenSearchServerless", "GetAccessPolicy", err))
					} else {
						r.Attributes["dataAccessPolicy"] = text
					}
				}
				t.resource(r)
			})
		},
	},
	{
		Name: "OpenSearch Ingestion pipeline", Type: "AWS::OSIS::Pipeline", Mechanism: "policy", Place: Regional,
		Calls: calls("OSIS", "osis", "ListPipelines", "GetResourcePolicy"),
		read: func(t *task) {
			c := osis.NewFromConfig(t.cfg)
			list := listed(t, osis.NewListPipelinesPaginator(c, &osis.ListPipelinesInput{}), func(out *osis.ListPipelinesOutput) []osistypes.PipelineSummary { return out.Pipelines })
			each(t, list, func(p osistypes.PipelineSummary) {
				r := resource{ARN: aws.ToString(p.PipelineArn)}
				r.Policy, r.Error = policyBy(t, c.GetResourcePolicy, &osis.GetResourcePolicyInput{ResourceArn: p.PipelineArn}, func(out *osis.GetResourcePolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
				t.resource(r)
			})
		},
	},
}

func dynamoResource(t *task, c *dynamodb.Client, arn string) (r resource) {
	r.ARN = arn
	r.Policy, r.Error = policyBy(t, c.GetResourcePolicy, &dynamodb.GetResourcePolicyInput{ResourceArn: &arn}, func(out *dynamodb.GetResourcePolicyOutput) *string { return out.Policy }, "PolicyNotFoundException")
	return r
}
