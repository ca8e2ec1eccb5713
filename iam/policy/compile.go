package policy

import (
	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
)

// Policy is a document compiled for evaluation. It is immutable and safe for concurrent use; equal documents should share
// one Policy. Every Rule answers for the statement of the same index in Document.Statements.
type Policy struct {
	Document *Document
	Rules    []Rule
}

// Rule is a compiled statement.
type Rule struct {
	Effect     Effect
	Principals Principals
	Actions    Actions
	Resources  Resources
	Condition  cond.Block
	// NotUnderstood is why the statement cannot be evaluated with certainty, "" where it can: an element or a
	// principal form that this engine does not know. Such a statement is Unknown for everybody.
	NotUnderstood string
}

// Principals is a compiled Principal or NotPrincipal. Package eval matches it against a caller.
type Principals struct {
	Present bool
	Not     bool
	Values  []CompiledPrincipal
}

// CompiledPrincipal is one principal value in the form in which a caller is compared with it.
type CompiledPrincipal struct {
	Type PrincipalType
	Form PrincipalForm
	// Account is the account that the value names or lies in, "" where none is known.
	Account string
	// Partition of an ARN or of an account given as ARN; "" for a bare account id, which fits every partition.
	Partition string
	// Value is the value to compare: the ARN, the service host, the provider ARN or host, the canonical id or the unique id.
	Value string
}

// PrincipalForm tells the forms of a principal value apart.
type PrincipalForm uint8

const (
	UnknownForm   PrincipalForm = iota // not a form that IAM documents: never matches with certainty
	Everyone                           // "*", bare or under AWS
	AccountForm                        // 12 digits or arn:…:iam::ACCOUNT:root
	UserForm                           // arn:…:iam::ACCOUNT:user/…
	RoleForm                           // arn:…:iam::ACCOUNT:role/…
	SessionForm                        // arn:…:sts::ACCOUNT:assumed-role/ROLE/SESSION
	FederatedUser                      // arn:…:sts::ACCOUNT:federated-user/NAME
	UniqueIDForm                       // AROA…, AIDA…: what is left of a deleted principal (rule 116)
	ServiceForm                        // host name of a service
	ProviderForm                       // ARN of an OIDC or SAML provider
	IssuerForm                         // host of a well-known issuer, for example accounts.google.com
	CanonicalForm                      // canonical user id
)

// Actions is a compiled Action or NotAction; patterns are in lower case (rule 80).
type Actions struct {
	Not   bool
	Globs []arn.Glob
}

// Match reports whether the element covers an action given in lower case, for example "s3:getobject".
func (a *Actions) Match(lower string) bool {
	for i := range a.Globs {
		if a.Globs[i].Match(lower) {
			return !a.Not
		}
	}
	return a.Not
}

// Resources is a compiled Resource or NotResource.
type Resources struct {
	Present bool
	Not     bool
	Values  []ResourcePattern
}

// ResourcePattern is one value of Resource. Where it carries variables, Template holds them and Pattern is unused.
type ResourcePattern struct {
	Pattern  arn.Pattern
	Template *cond.Template
}
