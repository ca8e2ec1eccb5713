package access

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
)

// dataSteps are the steps by which a caller acts on a resource: the first of its type's actions that is possible, and, for
// an object in a bucket that is encrypted with a key, the use of the key through S3. Nil where it cannot.
func (g *Graph) dataSteps(c *eval.Caller, p *org.Principal, to string) []step {
	target := g.targetOf(to, "")
	for _, name := range pathActions(target, to) {
		action := eval.MustAction(name)
		first, ok := g.dataStep(c, p, action, to, nil)
		if !ok {
			continue
		}
		if target.Resource == nil || target.Resource.Attributes.SSEKMSKey == "" || !isObject(target, to) {
			return []step{first}
		}
		keyAction, needed := map[string]string{"s3:GetObject": "kms:Decrypt", "s3:PutObject": "kms:GenerateDataKey"}[name]
		if !needed {
			return []step{first}
		}
		key := target.Resource.Attributes.SSEKMSKey
		if second, ok := g.dataStep(c, p, eval.MustAction(keyAction), key, viaS3(key, c)); ok {
			return []step{first, second}
		}
	}
	return nil
}

// stepsOnto are the steps by which a caller acts on a resource or, where that is a bucket, on the objects in it.
func (g *Graph) stepsOnto(c *eval.Caller, p *org.Principal, to string) []step {
	if r, ok := g.Org.Resource(to); ok && r.Type == "AWS::S3::Bucket" {
		if steps := g.dataSteps(c, p, to+"/*"); steps != nil {
			return steps
		}
	}
	return g.dataSteps(c, p, to)
}

func isObject(t Target, to string) bool {
	return t.Resource.Type == "AWS::S3::Bucket" && strings.HasPrefix(to, t.Resource.ARN+"/")
}

// viaS3 are the keys of a call that S3 makes to KMS on the caller's behalf.
func viaS3(key string, c *eval.Caller) map[string]string {
	keys := map[string]string{"kms:CallerAccount": c.Account}
	if a, err := arn.Parse(key); err == nil {
		keys["kms:ViaService"] = "s3." + a.Region + ".amazonaws.com"
	}
	return keys
}

// pathActions are the actions by which a path may end on a resource.
func pathActions(t Target, to string) []string {
	if t.Resource == nil {
		if a, err := arn.Parse(to); err == nil && a.Service == "s3" {
			return representative["AWS::S3::Bucket"]
		}
		return nil
	}
	candidates := representative[t.Type]
	if candidates == nil {
		candidates = namedActions(t.Resource)
	}
	var names []string
	for _, name := range candidates {
		if a, err := eval.ActionOf(name); err == nil && fits(a, to, t.Resource.ARN) {
			names = append(names, name)
		}
	}
	return names
}

// namedActions are the actions that a resource's own policy allows somebody, for types of which no list says what stands for
// reading and writing.
func namedActions(r *org.Resource) []string {
	if r.Policy == nil {
		return nil
	}
	var names []string
	for _, q := range r.Policy.Policies {
		for i := range q.Rules {
			if q.Rules[i].Effect != policy.Allow {
				continue
			}
			for _, a := range probeActions(&q.Rules[i], r.Type, nil) {
				if !slices.Contains(names, a.String()) {
					names = append(names, a.String())
				}
			}
		}
	}
	return names
}

func (g *Graph) dataStep(c *eval.Caller, p *org.Principal, action eval.Action, resource string, keys map[string]string) (step, bool) {
	target := g.targetOf(resource, "")
	if p != nil && c.Kind != eval.Root && !mayAllow(p, action.Lower()) && (target.Account != p.Account || target.Resource == nil || target.Resource.Policy == nil) {
		return step{}, false // nothing on the caller's side, and nothing else would be enough
	}
	ask := func(ctx *cond.Context) eval.Decision {
		for _, key := range sortedKeys(keys) {
			ctx.Set(key, keys[key])
		}
		return g.decide(c, p, action, resource, "", ctx)
	}
	d := ask(&cond.Context{Rest: cond.Undetermined})
	if d.Verdict == eval.Deny {
		return step{}, false
	}
	grantee := Grantee{ID: c.ARN, Account: c.Account, Kind: RoleGrantee}
	if p != nil && p.Principal != nil {
		grantee = g.principalGrantee(p, target.Account)
	}
	return step{g.edgeOf(d, p, grantee, action, target), ask}, true
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
