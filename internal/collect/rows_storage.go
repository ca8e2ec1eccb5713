package collect

import (
	"cmp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
)

// storageRows are S3 in all its forms.
var storageRows = []Row{
	{
		Name: "S3 bucket", Type: "AWS::S3::Bucket", Mechanism: "policy, ACL, Block Public Access, ownership", Place: Global,
		Calls: append(calls("S3", "s3", "ListBuckets=s3:ListAllMyBuckets", "GetBucketPolicy", "GetBucketAcl", "GetPublicAccessBlock=s3:GetBucketPublicAccessBlock", "GetBucketOwnershipControls", "GetBucketEncryption=s3:GetEncryptionConfiguration"),
			calls("S3 Control", "s3", "GetPublicAccessBlock=s3:GetAccountPublicAccessBlock")...),
		read: readBuckets,
	},
}

func readBuckets(t *task) {
	home := t.cfg.Region
	accountBlock, accountKnown := false, true
	if out, o := ask(t, s3control.NewFromConfig(t.cfg).GetPublicAccessBlock, &s3control.GetPublicAccessBlockInput{AccountId: &t.account}, "NoSuchPublicAccessBlockConfiguration"); out != nil && out.PublicAccessBlockConfiguration != nil {
		p := out.PublicAccessBlockConfiguration
		accountBlock = aws.ToBool(p.BlockPublicAcls) && aws.ToBool(p.BlockPublicPolicy) && aws.ToBool(p.IgnorePublicAcls) && aws.ToBool(p.RestrictPublicBuckets)
	} else if o.err != nil {
		accountKnown = false
		t.fail("", o.err)
	}
	list := listed(t, s3.NewListBucketsPaginator(t.s3(home), &s3.ListBucketsInput{MaxBuckets: aws.Int32(1000)}), func(out *s3.ListBucketsOutput) []s3types.Bucket { return out.Buckets })
	each(t, list, func(b s3types.Bucket) {
		region := cmp.Or(aws.ToString(b.BucketRegion), home)
		c := t.s3(region)
		r := resource{ARN: "arn:" + t.part + ":s3:::" + aws.ToString(b.Name), Region: region, Attributes: map[string]any{}}
		p, o := ask(t, c.GetBucketPolicy, &s3.GetBucketPolicyInput{Bucket: b.Name}, "NoSuchBucketPolicy")
		var text *string
		if p != nil {
			text = p.Policy
		}
		r.Policy, r.Error = policy(text, o)
		switch out, o := ask(t, c.GetPublicAccessBlock, &s3.GetPublicAccessBlockInput{Bucket: b.Name}, "NoSuchPublicAccessBlockConfiguration"); {
		case accountBlock:
			r.Attributes["publicAccessBlock"] = "on"
		case o.err != nil:
			t.fail(r.ARN, o.err)
		case o.absent || out.PublicAccessBlockConfiguration == nil:
			if !accountKnown {
				break // the account's own settings may be on
			}
			r.Attributes["publicAccessBlock"] = "off"
		default:
			p := out.PublicAccessBlockConfiguration
			on := aws.ToBool(p.BlockPublicAcls) && aws.ToBool(p.BlockPublicPolicy) && aws.ToBool(p.IgnorePublicAcls) && aws.ToBool(p.RestrictPublicBuckets)
			if on || accountKnown {
				r.Attributes["publicAccessBlock"] = map[bool]string{true: "on", false: "off"}[on]
			}
		}
		if out := must(t, r.ARN, c.GetBucketOwnershipControls, &s3.GetBucketOwnershipControlsInput{Bucket: b.Name}, "OwnershipControlsNotFoundError"); out != nil && out.OwnershipControls != nil && len(out.OwnershipControls.Rules) > 0 {
			r.Attributes["objectOwnership"] = string(out.OwnershipControls.Rules[0].ObjectOwnership)
		}
		if out := must(t, r.ARN, c.GetBucketAcl, &s3.GetBucketAclInput{Bucket: b.Name}); out != nil {
			owner := ""
			if out.Owner != nil {
				owner = aws.ToString(out.Owner.ID)
			}
			grants := []map[string]any{}
			for _, g := range out.Grants {
				if g.Grantee == nil || aws.ToString(g.Grantee.ID) == owner && owner != "" {
					continue
				}
				grants = append(grants, map[string]any{"grantee": cmp.Or(aws.ToString(g.Grantee.URI), aws.ToString(g.Grantee.ID), aws.ToString(g.Grantee.EmailAddress)), "permission": string(g.Permission)})
			}
			if len(grants) > 0 {
				r.Attributes["acl"] = grants
			}
		}
		if out := must(t, r.ARN, c.GetBucketEncryption, &s3.GetBucketEncryptionInput{Bucket: b.Name}, "ServerSideEncryptionConfigurationNotFoundError"); out != nil && out.ServerSideEncryptionConfiguration != nil {
			for _, rule := range out.ServerSideEncryptionConfiguration.Rules {
				if d := rule.ApplyServerSideEncryptionByDefault; d != nil && strings.HasPrefix(aws.ToString(d.KMSMasterKeyID), "arn:") {
					r.Attributes["sseKmsKey"] = aws.ToString(d.KMSMasterKeyID)
				}
			}
		}
		t.resource(r)
	})
}

// s3 is a client for the buckets of a region. Emulators have no hosts named after buckets.
func (t *task) s3(region string) *s3.Client {
	return s3.NewFromConfig(t.cfg, func(o *s3.Options) { o.Region, o.UsePathStyle = region, t.cfg.BaseEndpoint != nil })
}
