package collect

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"
	"github.com/aws/aws-sdk-go-v2/service/s3tables"
	tabletypes "github.com/aws/aws-sdk-go-v2/service/s3tables/types"
	"github.com/aws/aws-sdk-go-v2/service/s3vectors"
	vectortypes "github.com/aws/aws-sdk-go-v2/service/s3vectors/types"
)

// multiRegionHome is where requests about Multi-Region Access Points are answered.
const multiRegionHome = "us-west-2"

// pointRows are the ways to what S3 holds beside its general purpose buckets, and its other buckets.
var pointRows = []Row{
	{
		Name: "S3 access point", Type: "AWS::S3::AccessPoint", Mechanism: "policy", Place: Regional,
		Calls: calls("S3 Control", "s3", "ListAccessPoints", "GetAccessPointPolicy"),
		read: func(t *task) {
			c := s3control.NewFromConfig(t.cfg)
			list := listed(t, s3control.NewListAccessPointsPaginator(c, &s3control.ListAccessPointsInput{AccountId: &t.account}), func(out *s3control.ListAccessPointsOutput) []controltypes.AccessPoint { return out.AccessPointList })
			each(t, list, func(p controltypes.AccessPoint) {
				r := resource{ARN: t.arn("s3", "accesspoint/"+aws.ToString(p.Name)), Attributes: map[string]any{"bucket": aws.ToString(p.Bucket), "networkOrigin": string(p.NetworkOrigin)}}
				if owner := aws.ToString(p.BucketAccountId); owner != "" {
					r.Attributes["bucketAccount"] = owner
				}
				r.Policy, r.Error = accessPointPolicy(t, c, p.Name)
				t.resource(r)
			})
		},
	},
	{
		Name: "S3 Multi-Region Access Point", Type: "AWS::S3::MultiRegionAccessPoint", Mechanism: "policy", Place: Global,
		Calls: calls("S3 Control", "s3", "ListMultiRegionAccessPoints", "GetMultiRegionAccessPointPolicy"),
		Note:  "Read in us-west-2, which answers for all regions; other partitions have none.",
		read: func(t *task) {
			if t.part != "aws" {
				return
			}
			c := s3control.NewFromConfig(t.cfg, func(o *s3control.Options) { o.Region = multiRegionHome })
			list := listed(t, s3control.NewListMultiRegionAccessPointsPaginator(c, &s3control.ListMultiRegionAccessPointsInput{AccountId: &t.account}), func(out *s3control.ListMultiRegionAccessPointsOutput) []controltypes.MultiRegionAccessPointReport {
				return out.AccessPoints
			})
			each(t, list, func(p controltypes.MultiRegionAccessPointReport) {
				buckets := []string{}
				for _, region := range p.Regions {
					buckets = append(buckets, aws.ToString(region.Bucket))
				}
				r := resource{ARN: t.globalARN("s3", "accesspoint/"+aws.ToString(p.Alias)), Attributes: map[string]any{"name": aws.ToString(p.Name), "buckets": buckets}}
				r.Policy, r.Error = policyBy(t, c.GetMultiRegionAccessPointPolicy, &s3control.GetMultiRegionAccessPointPolicyInput{AccountId: &t.account, Name: p.Name}, func(out *s3control.GetMultiRegionAccessPointPolicyOutput) *string {
					if out.Policy == nil || out.Policy.Established == nil {
						return nil
					}
					return out.Policy.Established.Policy
				})
				t.resource(r)
			})
		},
	},
	{
		Name: "S3 Object Lambda access point", Type: "AWS::S3ObjectLambda::AccessPoint", Mechanism: "policy", Place: Regional,
		Calls: calls("S3 Control", "s3", "ListAccessPointsForObjectLambda", "GetAccessPointPolicyForObjectLambda"),
		read: func(t *task) {
			c := s3control.NewFromConfig(t.cfg)
			list := listed(t, s3control.NewListAccessPointsForObjectLambdaPaginator(c, &s3control.ListAccessPointsForObjectLambdaInput{AccountId: &t.account}), func(out *s3control.ListAccessPointsForObjectLambdaOutput) []controltypes.ObjectLambdaAccessPoint {
				return out.ObjectLambdaAccessPointList
			})
			each(t, list, func(p controltypes.ObjectLambdaAccessPoint) {
				r := resource{ARN: t.arn("s3-object-lambda", "accesspoint/"+aws.ToString(p.Name))}
				r.Policy, r.Error = policyBy(t, c.GetAccessPointPolicyForObjectLambda, &s3control.GetAccessPointPolicyForObjectLambdaInput{AccountId: &t.account, Name: p.Name}, func(out *s3control.GetAccessPointPolicyForObjectLambdaOutput) *string { return out.Policy }, "NoSuchAccessPointPolicy")
				t.resource(r)
			})
		},
	},
	{
		Name: "S3 Access Grants instance", Type: "AWS::S3::AccessGrantsInstance", Others: []string{"AWS::S3::AccessGrant"}, Mechanism: "policy, grants", Place: Regional,
		Calls: calls("S3 Control", "s3", "GetAccessGrantsInstance", "GetAccessGrantsInstanceResourcePolicy", "ListAccessGrants"),
		Note:  "The grants are attributes.grants of the instance: grantee, scope and permission.",
		read: func(t *task) {
			c := s3control.NewFromConfig(t.cfg)
			instance := must(t, "", c.GetAccessGrantsInstance, &s3control.GetAccessGrantsInstanceInput{AccountId: &t.account}, "AccessGrantsInstanceNotExistsError")
			if instance == nil {
				return
			}
			r := resource{ARN: aws.ToString(instance.AccessGrantsInstanceArn), Attributes: map[string]any{}}
			r.Policy, r.Error = policyBy(t, c.GetAccessGrantsInstanceResourcePolicy, &s3control.GetAccessGrantsInstanceResourcePolicyInput{AccountId: &t.account}, func(out *s3control.GetAccessGrantsInstanceResourcePolicyOutput) *string { return out.Policy }, "AccessGrantsInstanceResourcePolicyNotExists")
			var grants []map[string]string
			pagesOf(t, r.ARN, s3control.NewListAccessGrantsPaginator(c, &s3control.ListAccessGrantsInput{AccountId: &t.account}), func(out *s3control.ListAccessGrantsOutput) {
				for _, g := range out.AccessGrantsList {
					one := map[string]string{"arn": aws.ToString(g.AccessGrantArn), "scope": aws.ToString(g.GrantScope), "permission": string(g.Permission)}
					if g.Grantee != nil {
						one["grantee"], one["granteeType"] = aws.ToString(g.Grantee.GranteeIdentifier), string(g.Grantee.GranteeType)
					}
					grants = append(grants, one)
				}
			})
			if len(grants) > 0 {
				r.Attributes["grants"] = grants
			}
			t.resource(r)
		},
	},
	{
		Name: "S3 directory bucket", Type: "AWS::S3Express::DirectoryBucket", Mechanism: "policy", Place: Regional,
		Calls: calls("S3", "s3express", "ListDirectoryBuckets=s3express:ListAllMyDirectoryBuckets", "GetBucketPolicy=s3express:GetBucketPolicy"),
		read: func(t *task) {
			c := t.s3(t.region)
			list := listed(t, s3.NewListDirectoryBucketsPaginator(c, &s3.ListDirectoryBucketsInput{}), func(out *s3.ListDirectoryBucketsOutput) []s3types.Bucket { return out.Buckets })
			each(t, list, func(b s3types.Bucket) {
				r := resource{ARN: t.arn("s3express", "bucket/"+aws.ToString(b.Name))}
				r.Policy, r.Error = policyBy(t, c.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: b.Name}, func(out *s3.GetBucketPolicyOutput) *string { return out.Policy }, "NoSuchBucketPolicy")
				t.resource(r)
			})
		},
	},
	{
		Name: "S3 directory bucket's access point", Type: "AWS::S3Express::AccessPoint", Mechanism: "policy", Place: Regional,
		Calls: calls("S3 Control", "s3express", "ListAccessPointsForDirectoryBuckets", "GetAccessPointPolicy"),
		read: func(t *task) {
			c := s3control.NewFromConfig(t.cfg)
			list := listed(t, s3control.NewListAccessPointsForDirectoryBucketsPaginator(c, &s3control.ListAccessPointsForDirectoryBucketsInput{AccountId: &t.account}), func(out *s3control.ListAccessPointsForDirectoryBucketsOutput) []controltypes.AccessPoint {
				return out.AccessPointList
			})
			each(t, list, func(p controltypes.AccessPoint) {
				r := resource{ARN: t.arn("s3express", "accesspoint/"+aws.ToString(p.Name)), Attributes: map[string]any{"bucket": aws.ToString(p.Bucket)}}
				r.Policy, r.Error = accessPointPolicy(t, c, p.Name)
				t.resource(r)
			})
		},
	},
	{
		Name: "S3 table bucket, table", Type: "AWS::S3Tables::TableBucket", Others: []string{"AWS::S3Tables::Table"}, Mechanism: "policy", Place: Regional,
		Calls: calls("S3Tables", "s3tables", "ListTableBuckets", "GetTableBucketPolicy", "ListTables", "GetTablePolicy"),
		read: func(t *task) {
			c := s3tables.NewFromConfig(t.cfg)
			list := listed(t, s3tables.NewListTableBucketsPaginator(c, &s3tables.ListTableBucketsInput{}), func(out *s3tables.ListTableBucketsOutput) []tabletypes.TableBucketSummary { return out.TableBuckets })
			each(t, list, func(b tabletypes.TableBucketSummary) {
				r := resource{ARN: aws.ToString(b.Arn)}
				r.Policy, r.Error = policyBy(t, c.GetTableBucketPolicy, &s3tables.GetTableBucketPolicyInput{TableBucketARN: b.Arn}, func(out *s3tables.GetTableBucketPolicyOutput) *string { return out.ResourcePolicy }, "NotFoundException")
				t.resource(r)
				pagesOf(t, r.ARN, s3tables.NewListTablesPaginator(c, &s3tables.ListTablesInput{TableBucketARN: b.Arn}), func(out *s3tables.ListTablesOutput) {
					for _, table := range out.Tables {
						in := &s3tables.GetTablePolicyInput{TableBucketARN: b.Arn, Namespace: aws.String(strings.Join(table.Namespace, ".")), Name: table.Name}
						r := resource{ARN: aws.ToString(table.TableARN), Type: "AWS::S3Tables::Table"}
						r.Policy, r.Error = policyBy(t, c.GetTablePolicy, in, func(out *s3tables.GetTablePolicyOutput) *string { return out.ResourcePolicy }, "NotFoundException")
						t.resource(r)
					}
				})
			})
		},
	},
	{
		Name: "S3 vector bucket", Type: "AWS::S3Vectors::VectorBucket", Mechanism: "policy", Place: Regional,
		Calls: calls("S3Vectors", "s3vectors", "ListVectorBuckets", "GetVectorBucketPolicy"),
		read: func(t *task) {
			c := s3vectors.NewFromConfig(t.cfg)
			list := listed(t, s3vectors.NewListVectorBucketsPaginator(c, &s3vectors.ListVectorBucketsInput{}), func(out *s3vectors.ListVectorBucketsOutput) []vectortypes.VectorBucketSummary {
				return out.VectorBuckets
			})
			each(t, list, func(b vectortypes.VectorBucketSummary) {
				r := resource{ARN: aws.ToString(b.VectorBucketArn)}
				r.Policy, r.Error = policyBy(t, c.GetVectorBucketPolicy, &s3vectors.GetVectorBucketPolicyInput{VectorBucketArn: b.VectorBucketArn}, func(out *s3vectors.GetVectorBucketPolicyOutput) *string { return out.Policy }, "NotFoundException")
				t.resource(r)
			})
		},
	},
}

func accessPointPolicy(t *task, c *s3control.Client, name *string) (any, *string) {
	return policyBy(t, c.GetAccessPointPolicy, &s3control.GetAccessPointPolicyInput{AccountId: &t.account, Name: name}, func(out *s3control.GetAccessPointPolicyOutput) *string { return out.Policy }, "NoSuchAccessPointPolicy")
}
