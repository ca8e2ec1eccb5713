// Package change holds planned changes: what infrastructure code is about to make of an organisation, before it exists.
// Readers of Terraform plans and CloudFormation change sets write it, the gate judges it; files that state what is there
// rather than what changes (Terraform state, templates, AWS Config) are read into the same parts and put together.
//
// Names and ids that are made up when the change is applied stand as placeholders, {address.attribute}, the same wherever the code refers
// to them: arn:aws:iam::111111111111:role/job-{aws_iam_role.job.name}.
//
// Infrastructure code cuts facts finer than a snapshot does. A role is one resource there, each of its inline policies and
// attachments may be another, and a bucket's policy a third. A Part is such a piece; Apply puts parts into a snapshot.
package change

import (
	"drawbridge/internal/snapshot"
)

// Plan is what one plan, change set, template or state file says. It is not changed after it was read.
type Plan struct {
	Tool string // "terraform", "cloudformation"; in words for the reader
	// Account and Region are where the plan's resources live, as far as the file itself tells; "" where it does not.
	Account, Region string
	// Standing are parts of resources that the file states and that do not change.
	Standing []Part
	// Steps are the changes, in the order of the file.
	Steps []Step
	// Gaps tell what of the file was not understood, or is not known before it is applied and belongs to no step.
	Gaps []snapshot.Gap
	// Unchanged are gaps about what the file states and does not change: they count for what is there, and not for the change.
	Unchanged []snapshot.Gap
}

// Step is the change of one resource of the code.
type Step struct {
	Address string // as the tool names it: module.ci.aws_iam_role.deploy, or a template's logical id
	Type    string // as the tool names it: aws_iam_role, AWS::IAM::Role
	Action  Action
	// Before is what the resource states now, After what it will state. A part that is in both is left as it is.
	Before, After []Part
	// Unknown are the values that decide about access and are computed when the change is applied (rule IAC-002).
	Unknown []Unknown
	// Sensitive: the code marks a document of the step as sensitive. It is judged, and its text is not to be printed.
	Sensitive bool
	Source    snapshot.Source // of the resource in the code, where it is known, else of the step in the plan
}

// Action is what happens to a resource of the code.
type Action uint8

const (
	NoOp Action = iota // nothing; a step of its own only where values are unknown
	Create
	Update
	Replace
	Delete
	Read // data that is read when the change is applied
)

func (a Action) String() string {
	return [...]string{"no change", "create", "update", "replace", "delete", "read"}[a]
}

// Unknown is a value that nobody knows before the change is applied.
type Unknown struct {
	Attribute string // path of the attribute: policy, assume_role_policy, statement[0].principals
	// Of is the ARN that it decides about, "" where that is not known either.
	Of  string
	Why string // in plain words: what it is computed from, as far as the code tells
}

// Part is one piece of a fact: one of the types below. Documents that are not known before the change is applied have the
// state snapshot.Unresolved, with the reason in Problem; a part is never left out because of it.
type Part interface{ part() }

type (
	// User, Group and Role are principals with what is their own. Policies that are resources of their own in the code are
	// parts of their own; what the code nests (CloudFormation's Policies, ManagedPolicyArns) is given by parts too.
	User  struct{ snapshot.User }
	Group struct{ snapshot.Group }
	Role  struct{ snapshot.Role }

	// Inline is an inline policy of the principal with the ARN Owner; Document.Name is the policy's name. Code often names the owner
	// alone: where it does not have the principal itself, the ARN is that with the path /. Names are unique within an account, so
	// that an owner (of an Inline, Attached, Exclusive or Membership) whom nobody has by ARN is found by account, kind and name.
	Inline struct {
		Owner    string
		Document snapshot.Document
	}
	// Attached is a managed policy attached to a principal.
	Attached struct {
		Owner  string
		Policy snapshot.Attachment
	}
	// Exclusive says that the tool removes every inline policy (or attachment) of the principal that is not among these
	// names (or ARNs).
	Exclusive struct {
		Owner    string
		Inline   bool // inline policies, else attachments
		Keep     []string
		Complete bool // false where some of Keep is not known: nothing is then taken away
	}
	// Membership puts a user into a group, both by ARN.
	Membership struct{ User, Group string }
	// ManagedPolicy is a customer managed policy.
	ManagedPolicy struct{ snapshot.ManagedPolicy }

	// Resource is a resource with what is its own. Its Policy counts where its State is Read, or Unresolved with a Problem;
	// elsewhere the policy is left to a ResourcePolicy part, or to what the base says.
	Resource struct {
		snapshot.Resource
		// Part: it states attributes of a resource that is another step's, such as a bucket's public access block. Without it the resource is still there, and the attributes are not.
		Part bool
	}
	// ResourcePolicy is the whole policy of a resource. Resource carries ARN, Type, Account and Region to make it known
	// where nothing else does.
	ResourcePolicy struct{ snapshot.Resource }
	// ResourceStatement is one statement that is added to a resource's policy beside what it says: a Lambda permission, a
	// permission of an event bus; or one of several named policies of a resource (SES, log groups), with all its statements.
	// ID tells those of one resource apart.
	ResourceStatement struct {
		snapshot.Resource
		ID string
	}
	// Provider is an identity provider.
	Provider struct{ snapshot.Provider }
	// KMSGrant is a grant on a key; its ID is the code's address where AWS has not made one yet.
	KMSGrant struct{ snapshot.KMSGrant }
	// Share is a share, or what one association adds to it: parts of one Kind and ARN add up their With and Resources.
	Share struct{ snapshot.Share }
	// ControlPolicy is an SCP (RCP false) or an RCP. Its Targets add up with those of ControlTarget parts.
	ControlPolicy struct {
		snapshot.ControlPolicy
		RCP bool
	}
	// ControlTarget attaches a control policy, by ARN or name, to an account, OU or root.
	ControlTarget struct{ Policy, Target string }
	// Placed puts an account or an organisational unit, by id, below its Parent: the id of a unit or of the root, "" where it is not known. One that is placed before and not after leaves the organisation.
	Placed struct{ ID, Parent string }
)

func (User) part()              {}
func (Group) part()             {}
func (Role) part()              {}
func (Inline) part()            {}
func (Attached) part()          {}
func (Exclusive) part()         {}
func (Membership) part()        {}
func (ManagedPolicy) part()     {}
func (Resource) part()          {}
func (ResourcePolicy) part()    {}
func (ResourceStatement) part() {}
func (Provider) part()          {}
func (KMSGrant) part()          {}
func (Share) part()             {}
func (ControlPolicy) part()     {}
func (ControlTarget) part()     {}
func (Placed) part()            {}
