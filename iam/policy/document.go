// Package policy reads, prints and compiles AWS policy documents.
//
//	document, problems := policy.Parse(text)
//	for _, p := range problems {
//		fmt.Println(p) // line 5, column 16: Effect: expected "Allow" or "Deny", found "allow"
//	}
//	compiled := policy.Compile(document) // unless some problem is Fatal
//
// Parse accepts what AWS accepts (a scalar where a list may stand, one statement without its list, any order of keys,
// versions 2008-10-17 and 2012-10-17, a byte order mark, the URL-encoded form in which IAM returns documents), keeps
// the position of every element, and reports every problem it finds instead of the first. Compile turns a document into
// a Policy, the form the evaluator reads: patterns split by shape, conditions bound to their operators, variables cut into
// parts. The package decides nothing about access; that is package eval.
//
// Source: IAM User Guide, "Grammar of the IAM JSON policy language". Rule numbers refer to docs/reference/semantics.md.
package policy

import "fmt"

// Position is a place in the text of a document. Line and Column count from one, Column in bytes; Offset counts bytes
// from zero. The zero value is "no position".
type Position struct {
	Offset, Line, Column int32
}

// Text is a string of a document and the place of its first byte (the opening quote).
type Text struct {
	Value string   // without quotes and escapes
	Pos   Position // of its first byte
}

// Document is a policy as written: nothing normalised, nothing dropped, every element with its position.
type Document struct {
	Version    Text        // empty where the document has none, which means 2008-10-17 (rule 15)
	ID         Text        // the element Id; empty where there is none
	Statements []Statement // in the order written; a statement that stands without a list is a list of one
	Pos        Position    // of its opening brace
}

// Variables reports whether ${…} is a variable in this document: only in version 2012-10-17 (rule 78).
func (d *Document) Variables() bool { return d.Version.Value == "2012-10-17" }

// Effect is what a statement does where it applies. The zero value is neither: a statement without a readable Effect.
type Effect uint8

const (
	NoEffect Effect = iota
	Allow
	Deny
)

func (e Effect) String() string {
	switch e {
	case Allow:
		return "Allow"
	case Deny:
		return "Deny"
	}
	return "no effect"
}

// Statement is one statement as written. Action and NotAction are one Element that says which of the two it was, and so
// are Resource and NotResource, Principal and NotPrincipal.
type Statement struct {
	Pos       Position // of its opening brace
	Sid       Text     // the statement's own name; empty where it has none
	Effect    Effect
	EffectPos Position // of the element's value
	Principal PrincipalElement
	Action    Element
	Resource  Element
	Condition []Condition // in the order written
	// NotUnderstood is the first problem inside the statement, "" where there is none. Such a statement counts as Unknown.
	NotUnderstood string

	// raw is the JSON of a statement that is not understood, without white space, so that printing it loses nothing.
	raw string
}

// Element is Action, NotAction, Resource or NotResource.
type Element struct {
	Present bool     // false: the statement has no such element
	Not     bool     // NotAction, NotResource
	Values  []Text   // as written, in order
	Pos     Position // of the key
	// Incomplete: some value could not be read, or the statement has the opposite element too. The statement is then not
	// understood, and nobody can say what the element covers.
	Incomplete bool
}

// PrincipalElement is Principal or NotPrincipal.
type PrincipalElement struct {
	Present bool             // false: the statement has neither
	Not     bool             // NotPrincipal
	Values  []PrincipalValue // as written, in order
	Pos     Position         // of the key
	// Incomplete: as in Element.
	Incomplete bool
}

// PrincipalType is the key under which a principal is named.
type PrincipalType uint8

const (
	AnyPrincipal  PrincipalType = iota + 1 // the bare "*": Principal: "*"
	AWS                                    // account, root, user, role, session, unique id or "*"
	Service                                // a service host name, for example ec2.amazonaws.com
	Federated                              // a provider's ARN or a well-known issuer's host
	CanonicalUser                          // an S3 account identity (rule 122)
)

func (t PrincipalType) String() string {
	switch t {
	case AnyPrincipal:
		return "*"
	case AWS:
		return "AWS"
	case Service:
		return "Service"
	case Federated:
		return "Federated"
	case CanonicalUser:
		return "CanonicalUser"
	}
	return "no principal type"
}

// PrincipalValue is one principal of an element, with the key under which it stands.
type PrincipalValue struct {
	Type PrincipalType // the key
	Text
}

// Condition is one key under one operator, with its values.
type Condition struct {
	Operator Text // as written, for example ForAllValues:StringEqualsIfExists
	Key      Text
	Values   []Text   // numbers and booleans as their JSON text
	Pos      Position // of the key
	// Incomplete: as in Element; also where there is no value at all.
	Incomplete bool
}

// Kind says which of AWS's policy types a document is meant as. Parsing does not depend on it; Check does: an identity
// policy carries no Principal, a trust policy must (rule 17).
type Kind uint8

const (
	AnyKind Kind = iota // nothing is assumed
	Identity
	Trust
	Resource
	Boundary
	Session
	SCP
	RCP
	Endpoint
)

// Problem is something wrong with a document: what, and where.
type Problem struct {
	Pos     Position // of what is wrong, or of the statement that lacks something
	Message string   // plain words, what was expected included
	Fatal   bool     // the document cannot be evaluated; other problems leave a statement that counts as Unknown
}

// String puts the place before the message.
func (p Problem) String() string {
	return fmt.Sprintf("line %d, column %d: %s", p.Pos.Line, p.Pos.Column, p.Message)
}
