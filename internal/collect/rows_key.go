package collect

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// keyRows are keys, secrets and parameters.
var keyRows = []Row{
	{
		Name: "KMS key", Type: "AWS::KMS::Key", Mechanism: "key policy; grants", Place: Regional,
		Calls: calls("KMS", "kms", "ListKeys", "DescribeKey", "GetKeyPolicy", "ListGrants"),
		Note:  "Keys that AWS manages are passed over: nobody can change who may use them.",
		read:  readKeys,
	},
}

func readKeys(t *task) {
	c := kms.NewFromConfig(t.cfg)
	list := listed(t, kms.NewListKeysPaginator(c, &kms.ListKeysInput{}), func(out *kms.ListKeysOutput) []types.KeyListEntry { return out.Keys })
	each(t, list, func(k types.KeyListEntry) {
		r := resource{ARN: aws.ToString(k.KeyArn), Attributes: map[string]any{}}
		if d := must(t, r.ARN, c.DescribeKey, &kms.DescribeKeyInput{KeyId: k.KeyArn}); d != nil && d.KeyMetadata != nil {
			if d.KeyMetadata.KeyManager == types.KeyManagerTypeAws {
				return
			}
			r.Attributes["state"] = string(d.KeyMetadata.KeyState)
		}
		p, o := ask(t, c.GetKeyPolicy, &kms.GetKeyPolicyInput{KeyId: k.KeyArn, PolicyName: aws.String("default")})
		var text *string
		if p != nil {
			text = p.Policy
		}
		r.Policy, r.Error = policy(text, o)
		t.resource(r)
		pagesOf(t, r.ARN, kms.NewListGrantsPaginator(c, &kms.ListGrantsInput{KeyId: k.KeyArn}), func(out *kms.ListGrantsOutput) {
			for _, g := range out.Grants {
				t.grant(grant{KeyARN: r.ARN, GrantID: aws.ToString(g.GrantId), Grantee: aws.ToString(g.GranteePrincipal), Retiring: aws.ToString(g.RetiringPrincipal), Operations: operations(g.Operations), Constraints: constraints(g.Constraints), Created: g.CreationDate})
			}
		})
	})
}

func (t *task) grant(g grant) {
	t.facts.mu.Lock()
	defer t.facts.mu.Unlock()
	t.facts.grants = append(t.facts.grants, g)
}

func operations(list []types.GrantOperation) []string {
	out := make([]string, len(list))
	for i, o := range list {
		out[i] = string(o)
	}
	return out
}

func constraints(c *types.GrantConstraints) map[string]any {
	if c == nil {
		return nil
	}
	out := make(map[string]any)
	if c.EncryptionContextEquals != nil {
		out["EncryptionContextEquals"] = c.EncryptionContextEquals
	}
	if c.EncryptionContextSubset != nil {
		out["EncryptionContextSubset"] = c.EncryptionContextSubset
	}
	return out
}
