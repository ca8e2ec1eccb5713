// Package access says who can reach what: edges, paths, who-can and blast radius.
//
// An Edge is a trust found in AWS. One model serves every mechanism, from AssumeRole to a bucket policy. The edges as
// granted carry the grantee that the resource-side policy names (a role, a whole account, a service, an issuer,
// anyone) and are what an inventory lists. The crossings are the edges of concrete principals of the snapshot,
// both sides evaluated, and are what paths are made of. Verdicts come from package eval alone; this package asks and
// links, it holds no second opinion. Candidate pairs come from indexes over what policies name; a full scan in the tests
// is the oracle of every index.
package access

import (
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// Graph is what is reachable in an organisation. It is immutable once built.
type Graph struct {
	Org *org.Org
	// Edges are all trusts as granted, also those inside one account and those that a policy denies, sorted by target,
	// grantee and mechanism.
	Edges []*Edge

	options     Options
	engine      eval.Evaluator
	rolesByName map[roleName]*org.Principal
	edgesTo     map[string][]*Edge            // by target ARN
	trusting    map[string][]*Edge            // trusts of roles by grantee: principal ARN, account id, host, "*"
	raw         map[*policy.Rule]cond.Formula // what a statement's own conditions demand
	facts       map[string]*eval.Facts        // what is known of a resource beside its policies, by ARN
	out, in     [][]*Edge                     // crossings by Principal.Index
}

// Engine is the evaluator that decides for the graph, with its tables and readings.
func (g *Graph) Engine() eval.Evaluator { return g.engine }

// Mechanism is the way across.
type Mechanism string

const (
	AssumeRole       Mechanism = "AssumeRole"
	AssumeRoleWeb    Mechanism = "AssumeRoleWithWebIdentity"
	AssumeRoleSAML   Mechanism = "AssumeRoleWithSAML"
	ServiceAssume    Mechanism = "ServiceAssumeRole" // a service principal assumes the role
	ResourcePolicy   Mechanism = "ResourcePolicy"    // S3, KMS, SQS, SNS, Lambda, Secrets Manager, ECR and the other types of data
	KMSGrantGiven    Mechanism = "KMSGrant"
	ShareGiven       Mechanism = "Share" // RAM share, image or snapshot permission
	IdentityPolicies Mechanism = "IdentityPolicy"
)

// GranteeKind says what a policy names.
type GranteeKind string

const (
	Anyone         GranteeKind = "anyone"         // "*"
	EveryoneElse   GranteeKind = "everyone-else"  // NotPrincipal with Allow
	WholeAccount   GranteeKind = "account"        // 12 digits or :root
	RoleGrantee    GranteeKind = "role"           // also one session of it
	UserGrantee    GranteeKind = "user"           // also a federated user
	ServiceGrantee GranteeKind = "service"        // a service host
	Issuer         GranteeKind = "issuer"         // OIDC or SAML provider
	Deleted        GranteeKind = "deleted"        // a unique id that is left of a principal
	Canonical      GranteeKind = "canonical-user" // an S3 canonical user id
	NotUnderstood  GranteeKind = "not-understood" // a principal form that is not known
)

// Relation is where a grantee stands, seen from the target.
type Relation string

const (
	SameAccount     Relation = "same-account"
	SameOrg         Relation = "organization" // another account of the organisation
	External        Relation = "external"     // an account outside the organisation
	RelationUnknown Relation = "unknown"      // membership is not known
	Federated       Relation = "federated"    // an identity provider
	AWSService      Relation = "service"
	Public          Relation = "public" // anyone
)

// Grantee is who is let in, as the policy names it.
type Grantee struct {
	Kind     GranteeKind
	ID       string // ARN, account id, service host, provider ARN or host, unique id, "*"
	Account  string // the account it belongs to; "" where it has none
	Relation Relation
	// Principal is the user or role of the snapshot that ID names; nil where it names none that was collected.
	Principal *org.Principal
	// Missing: the account's inventory is complete and does not hold the principal.
	Missing bool
}

// Target is what is reached: a role or another resource.
type Target struct {
	ARN      string
	Type     string // CloudFormation type name; AWS::IAM::Role for roles
	Account  string
	Role     *org.Principal // nil unless a role
	Resource *org.Resource  // nil unless a resource of the snapshot
	Hidden   string         // why the resource may be there although the snapshot does not list it; "" where that is not so
}

// Edge is one trust: who, by which mechanism, to what, with verdict and evidence.
type Edge struct {
	Grantee   Grantee
	Mechanism Mechanism
	Target    Target
	// CrossAccount: grantee and target are of different accounts, or the grantee is of none (issuer, service, anyone), and the conditions do
	// not keep everybody out who is not of the target's account.
	CrossAccount bool

	Verdict eval.Verdict
	// LeftOver is what a request must still fulfil (Verdict Unknown).
	LeftOver cond.Formula
	// Denied says which layer denies, where Verdict is Deny; Explicit, whether by a Deny statement.
	Denied   eval.Layer
	Explicit bool
	// By is the evidence: of the denial, or of the statement on the target's side that lets in.
	By Evidence
	// CallerAssumed: the caller's account was not collected; its side was taken at its worst.
	CallerAssumed bool

	// Grants are the allow statements of the target's policy that name the grantee.
	Grants []Grant
	// Identity is the statement of the caller's side that allows; zero where no single one does.
	Identity Evidence
	// Actions are what is granted: "sts:AssumeRole", or the action patterns of the resource policy, sorted.
	Actions []string
	// MaxSession is the longest session that a crossing gives, 0 where it gives none of its own (resource policies), or where
	// the input does not say (authorization details lack it).
	MaxSession time.Duration
	// Via is the trust as granted through which this crossing goes; nil for the trusts themselves.
	Via *Edge
}

// Grant is one allow statement of a resource-side policy, as far as it concerns one grantee.
type Grant struct {
	Evidence  Evidence
	Statement *policy.Statement
	Rule      *policy.Rule
	// Condition is what the statement demands of this grantee's request, together with the Deny statements of the same
	// document that may hit it, in normal form.
	Condition cond.Formula
	// Raw is what the statement's own Condition element demands, before anything is known of the request.
	Raw cond.Formula
}

// Evidence is what an answer rests on.
type Evidence struct {
	Subject   string // the ARN whose document it is: role, resource, policy; account or OU for an SCP or RCP
	Document  string // "trust policy", "resource policy", the name or ARN of the policy
	Statement int    // index from 0; -1 for the document as a whole
	Sid       string
	Source    snapshot.Source
}

// Path is edges in sequence, from outside or from a principal to a target.
type Path struct {
	From string // ARN, "oidc:issuer:subject", account id, "*"
	To   string // ARN
	// Steps are the crossings in order.
	Steps []*Edge
	// Verdict is Allow where each step allows, Unknown where some step has conditions left over.
	Verdict eval.Verdict
	// LeftOver lists per step what must still be true; parallel to Steps.
	LeftOver []cond.Formula
	// MaxSession is the longest session at the end: one hour from the second role on (rule 125), the caller's own where no
	// role is assumed; 0 where the input does not say.
	MaxSession time.Duration
	// Chained: two or more roles are assumed.
	Chained bool
	// Witness is a concrete context per step for which the engine, asked afresh, answers Allow; nil where none was found.
	Witness []map[string][]string
}
