package access

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/snapshot"
)

// indexFacts collects what is known of resources beside their policies: the KMS grants on each key, and the buckets whose public
// policies S3 restricts.
func (g *Graph) indexFacts() {
	g.facts = map[string]*eval.Facts{}
	of := func(arn string) *eval.Facts {
		if g.facts[arn] == nil {
			g.facts[arn] = &eval.Facts{}
		}
		return g.facts[arn]
	}
	for i := range g.Org.Snapshot.KMSGrants {
		kg := &g.Org.Snapshot.KMSGrants[i]
		f := of(kg.Key)
		f.Grants = append(f.Grants, grantOf(kg))
	}
	for _, r := range g.Org.Resources {
		if r.Type == "AWS::KMS::Key" {
			if why, ok := g.Org.GrantsUnknown(r.ARN, r.Account); ok {
				of(r.ARN).GrantsUnknown = why
			}
		}
		if r.Type == "AWS::S3::Bucket" && r.Resource.Attributes.PublicAccessBlock == "on" {
			of(r.ARN).RestrictPublic = true
		}
	}
}

// factsOf is what is known of a target, nil where that is nothing special.
func (g *Graph) factsOf(t *Target) *eval.Facts { return g.facts[t.root()] }

// grantOf is a KMS grant for the engine. Constraints that are not understood leave it open.
func grantOf(kg *snapshot.KMSGrant) eval.KMSGrant {
	grant := eval.KMSGrant{Grantee: kg.Grantee, Retiring: kg.Retiring}
	for _, o := range kg.Operations {
		grant.Operations = append(grant.Operations, "kms:"+strings.ToLower(o))
	}
	kinds := make([]string, 0, len(kg.Constraints))
	for kind := range kg.Constraints {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	for _, kind := range kinds {
		pairs, ok := texts(kg.Constraints[kind])
		if !ok || kind != "EncryptionContextEquals" && kind != "EncryptionContextSubset" {
			grant.Condition = append(grant.Condition, cond.CompileTest(kind, "kms:GrantConstraints", []string{fmt.Sprint(kg.Constraints[kind])}, false))
			continue
		}
		grant.Condition = append(grant.Condition, eval.EncryptionContext(pairs, kind == "EncryptionContextEquals")...)
	}
	return grant
}

// texts reads an object of strings.
func texts(v any) (map[string]string, bool) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, false
	}
	pairs := make(map[string]string, len(object))
	for k, v := range object {
		if pairs[k], ok = v.(string); !ok {
			return nil, false
		}
	}
	return pairs, true
}
