package collect

import (
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	apigatewaytypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/appsync"
	appsynctypes "github.com/aws/aws-sdk-go-v2/service/appsync/types"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/aws-sdk-go-v2/service/ecrpublic"
	ecrpublictypes "github.com/aws/aws-sdk-go-v2/service/ecrpublic/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/ram"
)

// computeRows are functions, APIs and images.
var computeRows = []Row{
	{
		Name: "Lambda function, version, alias, URL", Type: "AWS::Lambda::Function", Others: []string{"AWS::Lambda::Version", "AWS::Lambda::Alias", "AWS::Lambda::Url"}, Mechanism: "policy; function URL auth type", Place: Regional,
		Calls: calls("Lambda", "lambda", "ListFunctions", "ListVersionsByFunction", "ListAliases", "GetPolicy", "ListFunctionUrlConfigs"),
		Note:  "Versions and aliases are listed where they have a policy of their own. Environment variables and code are never kept.",
		read:  readFunctions,
	},
	{
		Name: "Lambda layer version", Type: "AWS::Lambda::LayerVersion", Mechanism: "policy", Place: Regional,
		Calls: calls("Lambda", "lambda", "ListLayers", "ListLayerVersions", "GetLayerVersionPolicy"),
		read: func(t *task) {
			c := lambda.NewFromConfig(t.cfg)
			layers := listed(t, lambda.NewListLayersPaginator(c, &lambda.ListLayersInput{}), func(out *lambda.ListLayersOutput) []lambdatypes.LayersListItem { return out.Layers })
			each(t, layers, func(l lambdatypes.LayersListItem) {
				pagesOf(t, aws.ToString(l.LayerArn), lambda.NewListLayerVersionsPaginator(c, &lambda.ListLayerVersionsInput{LayerName: l.LayerArn}), func(out *lambda.ListLayerVersionsOutput) {
					for _, v := range out.LayerVersions {
						r := resource{ARN: aws.ToString(v.LayerVersionArn)}
						r.Policy, r.Error = policyBy(t, c.GetLayerVersionPolicy, &lambda.GetLayerVersionPolicyInput{LayerName: l.LayerArn, VersionNumber: &v.Version}, func(out *lambda.GetLayerVersionPolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
						t.resource(r)
					}
				})
			})
		},
	},
	{
		Name: "API Gateway REST API, domain", Type: "AWS::ApiGateway::RestApi", Others: []string{"AWS::ApiGateway::DomainNameV2"}, Mechanism: "policy", Place: Regional,
		Calls: calls("API Gateway", "apigateway", "GetRestApis=apigateway:GET", "GetDomainNames=apigateway:GET"),
		read: func(t *task) {
			c := apigateway.NewFromConfig(t.cfg)
			pages(t, apigateway.NewGetRestApisPaginator(c, &apigateway.GetRestApisInput{Limit: aws.Int32(500)}), func(out *apigateway.GetRestApisOutput) {
				for _, a := range out.Items {
					r := resource{ARN: "arn:" + t.part + ":apigateway:" + t.region + "::/restapis/" + aws.ToString(a.Id), Attributes: map[string]any{"name": aws.ToString(a.Name)}}
					if e := a.EndpointConfiguration; e != nil && len(e.Types) > 0 {
						r.Attributes["endpointType"] = string(e.Types[0])
					}
					r.Policy, r.Error = policy(unescaped(a.Policy), outcome{})
					t.resource(r)
				}
			})
			pages(t, apigateway.NewGetDomainNamesPaginator(c, &apigateway.GetDomainNamesInput{Limit: aws.Int32(500), ResourceOwner: apigatewaytypes.ResourceOwnerSelf}), func(out *apigateway.GetDomainNamesOutput) {
				for _, d := range out.Items {
					if aws.ToString(d.DomainNameArn) == "" {
						continue // only private domains have a policy, and an ARN of their own
					}
					r := resource{ARN: aws.ToString(d.DomainNameArn), Type: "AWS::ApiGateway::DomainNameV2"}
					r.Policy, r.Error = policy(unescaped(d.Policy), outcome{})
					t.resource(r)
				}
			})
		},
	},
	{
		Name: "AppSync API", Type: "AWS::AppSync::GraphQLApi", Mechanism: "policy by RAM", Place: Regional,
		Calls: append(calls("AppSync", "appsync", "ListGraphqlApis"), calls("RAM", "ram", "GetResourcePolicies")...),
		Note:  "Its policy is that which its RAM shares make.",
		read: func(t *task) {
			c, shares := appsync.NewFromConfig(t.cfg), ram.NewFromConfig(t.cfg)
			list := listed(t, appsync.NewListGraphqlApisPaginator(c, &appsync.ListGraphqlApisInput{}), func(out *appsync.ListGraphqlApisOutput) []appsynctypes.GraphqlApi { return out.GraphqlApis })
			each(t, list, func(a appsynctypes.GraphqlApi) {
				if owner := aws.ToString(a.Owner); owner != "" && owner != t.account {
					return
				}
				r := resource{ARN: aws.ToString(a.Arn), Attributes: map[string]any{"authenticationType": string(a.AuthenticationType)}}
				var texts []*string
				err := walk(t, ram.NewGetResourcePoliciesPaginator(shares, &ram.GetResourcePoliciesInput{ResourceArns: []string{r.ARN}}), func(out *ram.GetResourcePoliciesOutput) {
					for i := range out.Policies {
						texts = append(texts, &out.Policies[i])
					}
				})
				r.Policy, r.Error = merged(texts, outcome{err: err})
				t.resource(r)
			})
		},
	},
	{
		Name: "ECR repository", Type: "AWS::ECR::Repository", Mechanism: "policy", Place: Regional,
		Calls: calls("ECR", "ecr", "DescribeRepositories", "GetRepositoryPolicy"),
		read: func(t *task) {
			c := ecr.NewFromConfig(t.cfg)
			list := listed(t, ecr.NewDescribeRepositoriesPaginator(c, &ecr.DescribeRepositoriesInput{}), func(out *ecr.DescribeRepositoriesOutput) []ecrtypes.Repository { return out.Repositories })
			each(t, list, func(p ecrtypes.Repository) {
				r := resource{ARN: aws.ToString(p.RepositoryArn)}
				r.Policy, r.Error = policyBy(t, c.GetRepositoryPolicy, &ecr.GetRepositoryPolicyInput{RepositoryName: p.RepositoryName, RegistryId: p.RegistryId}, func(out *ecr.GetRepositoryPolicyOutput) *string { return out.PolicyText }, "RepositoryPolicyNotFoundException")
				t.resource(r)
			})
		},
	},
	{
		Name: "ECR registry", Type: "AWS::ECR::RegistryPolicy", Others: []string{"AWS::ECR::ReplicationConfiguration"}, Mechanism: "policy, replication", Place: Regional,
		Calls: calls("ECR", "ecr", "GetRegistryPolicy", "DescribeRegistry"),
		Note:  "The line stands for the registry, whose ARN in policies is that of all its repositories. Replication to other accounts is attributes.replicatesTo.",
		read: func(t *task) {
			c := ecr.NewFromConfig(t.cfg)
			r := resource{ARN: t.arn("ecr", "repository/*"), Attributes: map[string]any{}}
			r.Policy, r.Error = policyBy(t, c.GetRegistryPolicy, &ecr.GetRegistryPolicyInput{}, func(out *ecr.GetRegistryPolicyOutput) *string { return out.PolicyText }, "RegistryPolicyNotFoundException")
			if out := must(t, r.ARN, c.DescribeRegistry, &ecr.DescribeRegistryInput{}); out != nil && out.ReplicationConfiguration != nil {
				var to []map[string]string
				for _, rule := range out.ReplicationConfiguration.Rules {
					for _, d := range rule.Destinations {
						to = append(to, map[string]string{"account": aws.ToString(d.RegistryId), "region": aws.ToString(d.Region)})
					}
				}
				if len(to) > 0 {
					r.Attributes["replicatesTo"] = to
				}
			}
			if r.Policy != nil || r.Error != nil || len(r.Attributes) > 0 {
				t.resource(r)
			}
		},
	},
	{
		Name: "ECR public repository", Type: "AWS::ECR::PublicRepository", Mechanism: "policy; everybody may pull", Place: Global,
		Calls: calls("ECR PUBLIC", "ecr-public", "DescribeRepositories", "GetRepositoryPolicy"),
		Note:  "Read in us-east-1, where all of them are; other partitions have none.",
		read: func(t *task) {
			if t.part != "aws" {
				return
			}
			c := ecrpublic.NewFromConfig(t.cfg)
			list := listed(t, ecrpublic.NewDescribeRepositoriesPaginator(c, &ecrpublic.DescribeRepositoriesInput{}), func(out *ecrpublic.DescribeRepositoriesOutput) []ecrpublictypes.Repository { return out.Repositories })
			each(t, list, func(p ecrpublictypes.Repository) {
				r := resource{ARN: aws.ToString(p.RepositoryArn)}
				r.Policy, r.Error = policyBy(t, c.GetRepositoryPolicy, &ecrpublic.GetRepositoryPolicyInput{RepositoryName: p.RepositoryName}, func(out *ecrpublic.GetRepositoryPolicyOutput) *string { return out.PolicyText }, "RepositoryPolicyNotFoundException")
				t.resource(r)
			})
		},
	},
}

func readFunctions(t *task) {
	c := lambda.NewFromConfig(t.cfg)
	// Only names go on from here: the list carries the functions' environments.
	arns := listed(t, lambda.NewListFunctionsPaginator(c, &lambda.ListFunctionsInput{}), func(out *lambda.ListFunctionsOutput) (arns []string) {
		for _, f := range out.Functions {
			arns = append(arns, aws.ToString(f.FunctionArn))
		}
		return arns
	})
	each(t, arns, func(arn string) {
		one := func(arn, kind, name string, qualifier *string) resource {
			r := resource{ARN: arn, Type: kind}
			r.Policy, r.Error = policyBy(t, c.GetPolicy, &lambda.GetPolicyInput{FunctionName: &name, Qualifier: qualifier}, func(out *lambda.GetPolicyOutput) *string { return out.Policy }, "ResourceNotFoundException")
			return r
		}
		r := one(arn, "AWS::Lambda::Function", arn, nil)
		qualified := func(kind, qualifier string) {
			if q := one(arn+":"+qualifier, kind, arn, &qualifier); q.Policy != nil || q.Error != nil {
				t.resource(q)
			}
		}
		pagesOf(t, arn, lambda.NewListVersionsByFunctionPaginator(c, &lambda.ListVersionsByFunctionInput{FunctionName: &arn}), func(out *lambda.ListVersionsByFunctionOutput) {
			for _, v := range out.Versions {
				if version := aws.ToString(v.Version); version != "$LATEST" {
					qualified("AWS::Lambda::Version", version)
				}
			}
		})
		pagesOf(t, arn, lambda.NewListAliasesPaginator(c, &lambda.ListAliasesInput{FunctionName: &arn}), func(out *lambda.ListAliasesOutput) {
			for _, a := range out.Aliases {
				qualified("AWS::Lambda::Alias", aws.ToString(a.Name))
			}
		})
		var urls []map[string]string
		pagesOf(t, arn, lambda.NewListFunctionUrlConfigsPaginator(c, &lambda.ListFunctionUrlConfigsInput{FunctionName: &arn}), func(out *lambda.ListFunctionUrlConfigsOutput) {
			for _, u := range out.FunctionUrlConfigs {
				urls = append(urls, map[string]string{"function": aws.ToString(u.FunctionArn), "authType": string(u.AuthType)})
			}
		})
		if len(urls) > 0 {
			r.Attributes = map[string]any{"urls": urls}
		}
		t.resource(r)
	})
}

// unescaped is a policy as API Gateway gives it: JSON in the inside of a JSON string. What cannot be unescaped is passed on as it is, for the reader of the snapshot to refuse.
func unescaped(text *string) *string {
	if text == nil {
		return nil
	}
	if plain, err := strconv.Unquote(`"` + *text + `"`); err == nil {
		return &plain
	}
	return text
}
