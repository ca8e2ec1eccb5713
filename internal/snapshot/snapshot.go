// Package snapshot holds the facts about an organisation as collected, and the gaps: what could not be read. It is the
// one model into which live accounts, files, scenarios and planned changes are read; everything after it works on it alone.
//
// A snapshot states, it does not judge: nothing is linked, resolved or evaluated here (package org does that). Absent and
// not-read are different: what was read and is not there is simply not listed, what could not be read is a Gap. The
// directory form is documented in docs/snapshot.md. The package reads from an fs.FS and opens no file by itself.
package snapshot

import (
	"time"

	"drawbridge/iam/policy"
)

// Version is the version of the directory form that this program writes, and the newest it reads.
const Version = 1

// Snapshot is everything known about an organisation at one time. Slices are in stable order: accounts by id, the others
// by ARN. It is not changed after it was read.
type Snapshot struct {
	Version   int
	Collected time.Time // when; zero where the input does not say
	// Organization is nil where the input knows of no organisation: membership of every other account is then unknown,
	// and a gap says so.
	Organization *Organization
	Accounts     []Account
	Users        []User
	Groups       []Group
	Roles        []Role
	Policies     []ManagedPolicy
	Resources    []Resource
	Providers    []Provider
	KMSGrants    []KMSGrant
	Shares       []Share
	Usage        []Usage
	Gaps         []Gap
}

// Organization is the AWS organisation.
type Organization struct {
	ID                string // o-…
	ManagementAccount string
	Units             []Unit
	SCPs              []ControlPolicy
	RCPs              []ControlPolicy
}

// Unit is an organisational unit or the root. Path is the chain of ids from the root, joined by slashes: r-root/ou-a/ou-b.
type Unit struct {
	Path string
	Name string
}

// ControlPolicy is an SCP or RCP with the accounts (by id), units (by path) or root it is attached to.
type ControlPolicy struct {
	Name     string
	ARN      string // "" where the input has none
	Targets  []string
	Document Document
}

// AccountKind says how an account relates to the organisation.
type AccountKind uint8

const (
	UnknownKind AccountKind = iota // the input does not say; never taken as a member
	Management
	Member
	Vendor   // outside, described by the user
	External // outside, described by the user
)

// Account is one AWS account.
type Account struct {
	ID          string
	Name        string
	Kind        AccountKind
	Partition   string // aws where the input does not say
	UnitPath    string // path of its OU; "" where unknown or outside
	Environment string // prod, staging, dev, sandbox, shared, security; "" where not given
	Tags        map[string]string
	// Inventoried: the account's users and roles were read completely. Only then does a principal that is not listed not
	// exist.
	Inventoried bool
	Collected   time.Time // when it was read, where its directory says so; else the zero time
	Source      Source
}

// Source is the place of a fact in the input: the file, relative to the root of the input, and the line and column of
// its first byte, both from one. The zero value is "not from a file".
type Source struct {
	File   string
	Line   int32
	Column int32
}

// DocumentState says whether a policy document is at hand. The zero value is that it is not known to be.
type DocumentState uint8

const (
	Unresolved DocumentState = iota // named, and its text is not in the input, or could not be read or parsed
	Read                            // parsed; Policy is set
	None                            // was read, and there is none: a bucket without policy, a role without boundary
)

// Document is a policy where it is used. Equal texts share one Policy, so the place is held here and not there: the line
// of a statement in File is At(statement position).
type Document struct {
	// Name tells the documents of one principal or resource apart: "trust policy", "resource policy", an inline policy's
	// name, a managed policy's ARN.
	Name   string
	State  DocumentState
	Policy *policy.Policy // nil unless Read
	Source Source
	// Multiline: the document's text keeps its line breaks in the file, so that positions inside it can be added to Source.
	// False for documents that stand URL-encoded or as a quoted string on one line.
	Multiline bool
	Problem   string // why Unresolved, in plain words
}

// At is the place in the file of a position inside the document.
func (d Document) At(p policy.Position) Source {
	s := d.Source
	if !d.Multiline || p.Line == 0 {
		return s
	}
	if p.Line == 1 {
		s.Column += p.Column - 1
	} else {
		s.Column = p.Column
	}
	s.Line += p.Line - 1
	return s
}

// Attachment names a managed policy; its document is a ManagedPolicy of the snapshot, or unresolved.
type Attachment struct {
	Name string
	ARN  string
}

// Principal is what users and roles have in common.
type Principal struct {
	ARN      string // with path
	UniqueID string // AIDA…, AROA…; "" where the input lacks it
	Account  string
	Name     string
	Path     string
	Created  time.Time
	Inline   []Document
	Attached []Attachment
	// Boundary is the permissions boundary: nil where it was read that there is none.
	Boundary *Attachment
	// InlineBoundary is the boundary's document where the input carries it in place (scenarios do).
	InlineBoundary *Document
	Tags           map[string]string
	Source         Source
}

// User is an IAM user.
type User struct {
	Principal
	Groups []string // names
	// AccessKeys is the number of active access keys, -1 where the input does not say (authorization details do not).
	AccessKeys int
	LastUsed   time.Time
}

// Group is an IAM group.
type Group struct {
	ARN, UniqueID, Account, Name, Path string
	Inline                             []Document
	Attached                           []Attachment
	Source                             Source
}

// Role is an IAM role.
type Role struct {
	Principal
	Trust      Document
	MaxSession time.Duration // 0 where the input does not say; AWS's default is one hour
	LastUsed   time.Time     // zero: never, or not in the input
	// InstanceProfiles are the ARNs of the instance profiles that carry the role.
	InstanceProfiles []string
}

// ManagedPolicy is a customer or AWS managed policy with its default version.
type ManagedPolicy struct {
	ARN      string
	Account  string // "" for AWS managed policies: one copy is shared by all accounts
	Document Document
}

// Resource is anything but a role that carries a resource policy, or is worth knowing as a target.
type Resource struct {
	ARN        string
	Type       string // CloudFormation type name, AWS::S3::Bucket
	Account    string
	Region     string
	Policy     Document
	Tags       map[string]string
	Attributes Attributes
	Source     Source
}

// Attributes are facts about a resource beside its policy. Those that the analysis reads are fields; the rest is kept.
type Attributes struct {
	SSEKMSKey         string         // ARN of the key that encrypts the bucket's objects
	PublicAccessBlock string         // "on" where all four settings are, "off", "" where unknown
	Other             map[string]any // as in the input
}

// Provider is an identity provider or another way in: OIDC, SAML, Roles Anywhere anchor, EKS issuer, Cognito pool.
type Provider struct {
	ARN        string
	Type       string // oidc, saml, rolesanywhere, eks, cognito
	Account    string
	URL        string
	Audiences  []string
	Cluster    string
	CASource   string
	CRL        string
	Registered *bool
	ValidUntil time.Time
	Source     Source
}

// KMSGrant is a grant on a KMS key.
type KMSGrant struct {
	Key, ID, Grantee, Retiring string
	Operations                 []string
	Constraints                map[string]any // nil where there are none
	Created, LastUsed          time.Time
	Source                     Source
}

// Share is access given without a policy: a RAM share, an image or snapshot permission, a delegated administrator, a
// Lake Formation grant.
type Share struct {
	Kind          string
	ARN           string
	Owner         string
	With          []string // account ids, OU or organisation ARNs, "all"
	AllowExternal bool
	Resources     []string
	Attributes    map[string]any
	Source        Source
}

// Usage is one recorded fact about use, in the reduced shapes of docs/snapshot.md. This version keeps them for the rules
// that read coverage; package usage will roll them up.
type Usage struct {
	Fields map[string]any
	Source Source
}

// Gap is something that could not be read, or not understood. It travels: a gap is Unknown in a verdict, "not assessed"
// in a finding, a banner in a report.
type Gap struct {
	// Kind is one of the constants below.
	Kind GapKind
	// Subject is what is missing: an ARN, an account id, account/region, or a file.
	Subject string
	Account string
	Reason  string // plain words, with what was expected
	// Call and Code are the operation of AWS's API that was not answered, "KMS ListKeys", and the error code; "" where the gap is none of a call.
	Call, Code string
	// Types are the CloudFormation types, separated by spaces, of which something may be there and is not listed because of the gap; "" where it hides no resources.
	// AllTypes stands for all of them.
	Types  string
	Source Source
}

// AllTypes is what an account hides that was not read at all.
const AllTypes = "*"

// Subjects of the gaps of kind GapOrganization.
const (
	SubjectOrganization = "organization" // which accounts belong together is not known
	SubjectSCPs         = "scps"
	SubjectRCPs         = "rcps"
)

// GapKind groups gaps by what is missing.
type GapKind string

const (
	GapFile         GapKind = "file"         // a file or a part of it could not be read
	GapDocument     GapKind = "document"     // a policy document could not be read or parsed
	GapPolicy       GapKind = "policy"       // a managed policy is named and its document is not there
	GapAccount      GapKind = "account"      // an account's principals or resources were not collected
	GapRegion       GapKind = "region"       // a region was not collected
	GapCall         GapKind = "call"         // a call to AWS was not answered: what it would have given, in one account or region, is not known
	GapOrganization GapKind = "organization" // membership, SCPs or RCPs are not known
	GapElement      GapKind = "element"      // a document was read and has a part that is not understood
)
