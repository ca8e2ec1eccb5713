package eval

import (
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// Facts are what is known of a resource beside its policies, where a service decides by more than policies. The zero value says
// nothing special.
type Facts struct {
	// AWSManaged: the resource is a KMS key of AWS, which RCPs do not reach (rule 49).
	AWSManaged bool
	// Grants are the KMS grants on the key: a further way to be allowed (rule 49).
	Grants []KMSGrant
	// GrantsUnknown says why there may be KMS grants on the key beside Grants; "" where these are all.
	GrantsUnknown string
	// RestrictPublic: S3 Block Public Access restricts buckets whose policy is public (rule 133).
	RestrictPublic bool
	// ObjectOwner is the account that owns the S3 object where that is not the bucket's and ownership is not enforced: its ACL
	// decides, and not the bucket policy (rule 134).
	ObjectOwner string
	// AccessPoint is the S3 access point through which the request comes (rule 135).
	AccessPoint *AccessPoint
	// TagsIgnored: the bucket has no attribute-based control, so that aws:ResourceTag is not sent (rule 136).
	TagsIgnored bool
}

// KMSGrant is a grant on a KMS key.
type KMSGrant struct {
	// Grantee and Retiring name principals by ARN, as the grant does; Retiring is "" where nobody else may retire it.
	Grantee, Retiring string
	// Operations are actions in lower case (kms:decrypt).
	Operations []string
	// Condition is what the constraints on the encryption context demand.
	Condition cond.Block
}

// EncryptionContext compiles the constraints of a grant: every pair must be in the request's encryption context, and nothing
// else where exact (EncryptionContextEquals; else EncryptionContextSubset).
// Source: AWS KMS API Reference, "GrantConstraints".
func EncryptionContext(pairs map[string]string, exact bool) cond.Block {
	var b cond.Block
	for _, key := range sortedTags(pairs) {
		b = append(b, cond.CompileTest("StringEquals", "kms:EncryptionContext:"+key, []string{pairs[key]}, false))
	}
	if exact {
		b = append(b, cond.CompileTest("ForAllValues:StringEquals", "kms:EncryptionContextKeys", sortedTags(pairs), false))
	}
	return b
}

// AccessPoint is an S3 access point. Callers name it in their policies; its own policy and the bucket's must both allow.
// Source: Amazon S3 User Guide, "Configuring IAM policies for using access points".
type AccessPoint struct {
	// Resource is the access point's ARN as the request names it: with /object/KEY for an object.
	Resource string
	Account  string // that owns the access point
	Policy   *Set   // nil: it has none
}

// ShareStatement is the resource-side allow that a share of AWS RAM makes (rule 139): principals are account ids, ARNs of users and roles, ids of
// organisations (o-…) and of organisational units (ou-…). The document serves as one more resource policy.
func ShareStatement(principals, actions []string, resource string) *policy.Document {
	d := &policy.Document{Version: policy.Text{Value: "2012-10-17"}}
	add := func(who policy.PrincipalElement, key, operator, value string) {
		s := policy.Statement{Effect: policy.Allow, Principal: who,
			Action:   policy.Element{Present: true},
			Resource: policy.Element{Present: true, Values: []policy.Text{{Value: resource}}},
		}
		for _, a := range actions {
			s.Action.Values = append(s.Action.Values, policy.Text{Value: a})
		}
		if key != "" {
			s.Condition = []policy.Condition{{Operator: policy.Text{Value: operator}, Key: policy.Text{Value: key}, Values: []policy.Text{{Value: value}}}}
		}
		d.Statements = append(d.Statements, s)
	}
	anyone := policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{{Type: policy.AnyPrincipal, Text: policy.Text{Value: "*"}}}}
	for _, p := range principals {
		switch {
		case strings.HasPrefix(p, "o-"):
			add(anyone, "aws:PrincipalOrgID", "StringEquals", p)
		case strings.HasPrefix(p, "ou-"):
			add(anyone, "aws:PrincipalOrgPaths", "ForAnyValue:StringLike", "*/"+p+"/*")
		default:
			add(policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{{Type: policy.AWS, Text: policy.Text{Value: p}}}}, "", "", "")
		}
	}
	return d
}

// facts are the request's facts, never nil.
func (r *Request) facts() *Facts {
	if r.Facts == nil {
		return &noFacts
	}
	return r.Facts
}

var noFacts Facts

// granted is what KMS grants allow the caller (rule 49), by the strength with which they name it. A grant needs nothing beside it,
// in any account, and no policy can take it away but by Deny; one to an account is for those whom that account's policies allow. Retiring is for the retiring principal, for a grantee whose grant says so, for the key's account, and for
// those to whom that account's policies delegate it.
// Source: AWS KMS Developer Guide, "Grants in AWS KMS"; AWS KMS API Reference, "RetireGrant".
func (n *run) granted() match {
	result := nobody
	grants := n.r.facts().Grants
	for i := range grants {
		g := &grants[i]
		if n.operates(g) {
			n.hold(&result, g.Grantee, n.condition(g.Condition))
		}
		if n.r.Action.lower == retireGrant && g.Retiring != "" {
			n.hold(&result, g.Retiring, yes)
		}
	}
	if why := n.r.facts().GrantsUnknown; why != "" && grantable[n.r.Action.lower] {
		result.add(direct, n.opaque(why))
	}
	if n.r.Action.lower == retireGrant && n.r.Caller.Kind == Root && n.sameAccount() == cond.True {
		result.add(direct, yes)
	}
	return result
}

const retireGrant = "kms:retiregrant"

// grantable are the actions that a KMS grant can allow.
// Source: AWS KMS Developer Guide, "Grant operations".
var grantable = map[string]bool{
	"kms:decrypt": true, "kms:encrypt": true, "kms:generatedatakey": true, "kms:generatedatakeypair": true, "kms:generatedatakeypairwithoutplaintext": true,
	"kms:generatedatakeywithoutplaintext": true, "kms:reencryptfrom": true, "kms:reencryptto": true, "kms:creategrant": true, "kms:describekey": true, "kms:retiregrant": true,
	"kms:sign": true, "kms:verify": true, "kms:getpublickey": true, "kms:generatemac": true, "kms:verifymac": true, "kms:derivesharedsecret": true,
}

// Grantable reports whether a KMS grant can allow an action.
func Grantable(a Action) bool { return grantable[a.lower] }

func (n *run) operates(g *KMSGrant) bool {
	for _, o := range g.Operations {
		if o == n.r.Action.lower {
			return true
		}
	}
	return false
}

// hold adds whether the caller is the principal that a grant names: a user, a role with all its sessions, one session, an account, a
// service.
func (n *run) hold(result *match, name string, condition term) {
	v := policy.CompilePrincipal(policy.AWS, name)
	if !strings.HasPrefix(name, "arn:") && !arn.IsAccountID(name) {
		v = policy.CompilePrincipal(policy.Service, name)
	}
	m := nobody
	n.principal(&v, &m)
	for g, t := range m {
		result.add(grant(g), t.and(condition))
	}
}

// restricted: S3 lets nobody from outside the bucket's account use a public bucket policy where public buckets are restricted;
// AWS services may (rule 133).
func (n *run) restricted() bool {
	if !n.r.facts().RestrictPublic || n.r.Policies.Resource == nil || n.r.Action.Service() != "s3" || n.r.Caller.Kind == Service {
		return false
	}
	if n.sameAccount() == cond.True {
		return false
	}
	for _, p := range n.r.Policies.Resource.Policies {
		if PublicBucket(p) {
			return true
		}
	}
	return false
}

// fixedKeys are the condition keys whose fixed values make a bucket policy not public; aws:SourceIp counts with any block that is
// not very wide.
// Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", The meaning of "public".
var fixedKeys = []string{
	"aws:PrincipalOrgID", "aws:PrincipalArn", "aws:PrincipalAccount", "aws:SourceArn", "aws:SourceVpc", "aws:SourceVpce", "aws:SourceOwner",
	"aws:SourceAccount", "aws:SourceOrgID", "aws:userid", "s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:DataAccessPointArn", "s3:DataAccessPointAccount",
}

// PublicBucket reports whether S3 calls a bucket policy public: a statement allows everybody, and no condition holds it to a
// fixed value of one of the keys that S3 knows. Every action counts; S3 leaves out some that neither read nor write, so that
// this calls public a little more.
func PublicBucket(p *policy.Policy) bool {
	for i := range p.Rules {
		if p.Rules[i].Effect != policy.Deny && namesEveryone(&p.Rules[i].Principals) && !held(p.Rules[i].Condition) {
			return true
		}
	}
	return false
}

func namesEveryone(p *policy.Principals) bool {
	if p.Not {
		return true
	}
	for i := range p.Values {
		if p.Values[i].Form == policy.Everyone {
			return true
		}
	}
	return false
}

// held: the condition holds the caller to a fixed value.
func held(b cond.Block) bool {
	f := b.LeftOver(&cond.Context{Rest: cond.Undetermined})
	for _, key := range fixedKeys {
		if r := f.Require(key); r.Exact() || strings.HasPrefix(key, "s3:DataAccessPointArn") && r.Always && !r.Absent && !r.Open && !r.Variable && !r.Opaque {
			return true
		}
	}
	r := f.Require("aws:SourceIp")
	if !r.Always || r.Absent || r.Open || r.Opaque {
		return false
	}
	for _, block := range r.Patterns {
		if wide(block) {
			return false
		}
	}
	return true
}

// wide: S3 counts blocks wider than /8 (IPv6: /32) as everybody.
func wide(block string) bool {
	_, bits, _ := strings.Cut(block, "/")
	limit := 8
	if strings.Contains(block, ":") {
		limit = 32
	}
	n := 0
	for i := range len(bits) {
		n = n*10 + int(bits[i]-'0')
	}
	return n < limit
}

// foreignObject: the object belongs to another account than the bucket, so that its ACL decides (rule 134).
func (n *run) foreignObject() bool {
	owner := n.r.facts().ObjectOwner
	return owner != "" && owner != n.r.ResourceAccount && strings.HasPrefix(n.r.Action.lower, "s3:") && strings.Contains(n.r.Resource, "/")
}

// withoutTags hides the tags of a bucket without attribute-based control (rule 136).
func (n *run) withoutTags() {
	ctx := n.ctx
	var hidden *cond.Context
	ctx.Keys(func(name string, _ cond.State, _ []string) bool {
		if strings.HasPrefix(strings.ToLower(name), "aws:resourcetag/") {
			if hidden == nil {
				hidden = &cond.Context{Parent: ctx}
			}
			hidden.SetAbsent(name)
		}
		return true
	})
	if hidden != nil {
		n.ctx = hidden
	}
}

// isObjectOfAWS: the resource is a policy that AWS keeps, or a role that a service or IAM Identity Center keeps.
func isObjectOfAWS(resource string) (protected, serviceLinked bool) {
	a, err := arn.Parse(resource)
	if err != nil || a.Service != "iam" {
		return false, false
	}
	switch {
	case a.Account == "aws" && strings.HasPrefix(a.Resource, "policy/"):
		return true, false
	case strings.HasPrefix(a.Resource, "role/aws-service-role/"):
		return true, true
	}
	return strings.HasPrefix(a.Resource, "role/aws-reserved/"), false
}
