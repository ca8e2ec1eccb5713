package collect

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	secrettypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// secretRows are secrets, parameters and documents. Of none the content is read.
var secretRows = []Row{
	{
		Name: "Secrets Manager secret", Type: "AWS::SecretsManager::Secret", Mechanism: "policy", Place: Regional,
		Calls: calls("Secrets Manager", "secretsmanager", "ListSecrets", "GetResourcePolicy"),
		Note:  "Secret values are never read.",
		read: func(t *task) {
			c := secretsmanager.NewFromConfig(t.cfg)
			list := listed(t, secretsmanager.NewListSecretsPaginator(c, &secretsmanager.ListSecretsInput{MaxResults: aws.Int32(100)}), func(out *secretsmanager.ListSecretsOutput) []secrettypes.SecretListEntry { return out.SecretList })
			each(t, list, func(s secrettypes.SecretListEntry) {
				r := resource{ARN: aws.ToString(s.ARN)}
				if key := aws.ToString(s.KmsKeyId); isARN(key) {
					r.Attributes = map[string]any{"sseKmsKey": key}
				}
				r.Policy, r.Error = policyBy(t, c.GetResourcePolicy, &secretsmanager.GetResourcePolicyInput{SecretId: s.ARN}, func(out *secretsmanager.GetResourcePolicyOutput) *string { return out.ResourcePolicy })
				t.resource(r)
			})
		},
	},
	{
		Name: "SSM parameter (advanced)", Type: "AWS::SSM::Parameter", Mechanism: "policy, RAM", Place: Regional,
		Calls: calls("SSM", "ssm", "DescribeParameters", "GetResourcePolicies"),
		Note:  "Only advanced parameters can have a policy. Values are never read.",
		read: func(t *task) {
			c := ssm.NewFromConfig(t.cfg)
			advanced := []ssmtypes.ParameterStringFilter{{Key: aws.String("Tier"), Option: aws.String("Equals"), Values: []string{"Advanced"}}}
			list := listed(t, ssm.NewDescribeParametersPaginator(c, &ssm.DescribeParametersInput{MaxResults: aws.Int32(50), ParameterFilters: advanced}), func(out *ssm.DescribeParametersOutput) []ssmtypes.ParameterMetadata { return out.Parameters })
			each(t, list, func(p ssmtypes.ParameterMetadata) {
				arn := aws.ToString(p.ARN)
				var texts []*string
				err := walk(t, ssm.NewGetResourcePoliciesPaginator(c, &ssm.GetResourcePoliciesInput{ResourceArn: &arn}), func(out *ssm.GetResourcePoliciesOutput) {
					for _, q := range out.Policies {
						texts = append(texts, q.Policy)
					}
				})
				r := resource{ARN: arn}
				r.Policy, r.Error = merged(texts, outcome{err: err})
				t.resource(r)
			})
		},
	},
	{
		Name: "SSM document", Type: "AWS::SSM::Document", Mechanism: "permission list", Place: Regional,
		Calls: calls("SSM", "ssm", "ListDocuments", "DescribeDocumentPermission"),
		Note:  "Who it is shared with is attributes.sharedWith: account ids, or all.",
		read: func(t *task) {
			c := ssm.NewFromConfig(t.cfg)
			own := []ssmtypes.DocumentKeyValuesFilter{{Key: aws.String("Owner"), Values: []string{"Self"}}}
			list := listed(t, ssm.NewListDocumentsPaginator(c, &ssm.ListDocumentsInput{MaxResults: aws.Int32(50), Filters: own}), func(out *ssm.ListDocumentsOutput) []ssmtypes.DocumentIdentifier { return out.DocumentIdentifiers })
			each(t, list, func(d ssmtypes.DocumentIdentifier) {
				r := resource{ARN: t.arn("ssm", "document/"+aws.ToString(d.Name)), Attributes: map[string]any{}}
				var with []string
				pagesOf(t, r.ARN, documentShares(c, d.Name), func(out *ssm.DescribeDocumentPermissionOutput) { with = append(with, out.AccountIds...) })
				slices.Sort(with)
				if len(with) > 0 {
					r.Attributes["sharedWith"] = slices.Compact(with)
				}
				t.resource(r)
			})
		},
	},
}

// documentShares lists who a document is shared with; the SDK has no paginator for it.
func documentShares(c *ssm.Client, name *string) *turns[*ssm.DescribeDocumentPermissionOutput] {
	return &turns[*ssm.DescribeDocumentPermissionOutput]{service: "SSM", operation: "DescribeDocumentPermission", next: func(ctx context.Context, token *string) (*ssm.DescribeDocumentPermissionOutput, *string, error) {
		out, err := c.DescribeDocumentPermission(ctx, &ssm.DescribeDocumentPermissionInput{Name: name, PermissionType: ssmtypes.DocumentPermissionTypeShare, MaxResults: aws.Int32(200), NextToken: token})
		if err != nil {
			return nil, nil, err
		}
		return out, out.NextToken, nil
	}}
}
