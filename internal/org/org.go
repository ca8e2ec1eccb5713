// Package org links a snapshot into an organisation: principals with their groups, policies and boundaries, accounts
// with the SCPs and RCPs of every level, unique ids resolved back to the principals they name.
//
// It is immutable once built and safe for concurrent use. What a document names and the snapshot does not hold stays
// unresolved, never empty: the reason travels into every verdict that depends on it. The package decides nothing about
// access (package access does) and reads no file.
package org

import (
	"drawbridge/iam/eval"
	"drawbridge/internal/snapshot"
)

// Org is a linked organisation. Slices are sorted: accounts by id, principals and resources by ARN.
type Org struct {
	Snapshot   *snapshot.Snapshot
	ID         string // "" where no organisation is known
	Accounts   []*Account
	Principals []*Principal // users and roles
	Resources  []*Resource
	Providers  []*snapshot.Provider
	// Gaps are the snapshot's and those that linking found, sorted.
	Gaps []snapshot.Gap

	accounts   map[string]*Account
	principals map[string]*Principal
	uniqueIDs  map[string]*Principal
	resources  map[string]*Resource
	providers  map[string]*snapshot.Provider
	hidden     hidden
}

// Membership says whether an account belongs to the organisation. The zero value is that nobody knows.
type Membership uint8

const (
	MembershipUnknown Membership = iota
	Inside
	Outside
)

// Account is an account with what binds it from above.
type Account struct {
	*snapshot.Account
	Membership Membership
	// SCPs and RCPs are the levels from the root to the account, nil where none apply (outside, or the management
	// account). Where they are not known, a level says so as unresolved.
	SCPs, RCPs []eval.Set
	// SCPDocuments and RCPDocuments hold the same documents with their places, level by level.
	SCPDocuments, RCPDocuments [][]snapshot.Document
	Principals                 []*Principal
}

// Principal is a user or role with all its policies linked.
type Principal struct {
	*snapshot.Principal
	Role *snapshot.Role // nil for a user
	User *snapshot.User // nil for a role
	Home *Account

	// Identity are the inline, attached and group policies. Documents[i] is the place of Identity.Policies[i].
	Identity  eval.Set
	Documents []snapshot.Document
	// Boundary is nil where there is none.
	Boundary          *eval.Set
	BoundaryDocuments []snapshot.Document
	// Trust is the role's trust policy, nil for a user; unresolved where it could not be read.
	Trust *eval.Set
	// Caller is the principal as it calls: its ARN, unique id, account and organisation, its tags.
	Caller *eval.Caller
	// Index is the principal's place in Org.Principals.
	Index int
}

// Resource is a resource with its policy in the evaluator's form.
type Resource struct {
	*snapshot.Resource
	Home   *Account
	Policy *eval.Set // nil where it has none, or one that lets nobody in by itself (a VPC endpoint's)
}

// Account finds an account by id; ok is false where nothing is known of it, not even that it exists.
func (o *Org) Account(id string) (a *Account, ok bool) { a, ok = o.accounts[id]; return a, ok }

// Principal finds a user or role by its ARN.
func (o *Org) Principal(arn string) (p *Principal, ok bool) { p, ok = o.principals[arn]; return p, ok }

// ByUniqueID finds a user or role by AIDA… or AROA….
func (o *Org) ByUniqueID(id string) (p *Principal, ok bool) { p, ok = o.uniqueIDs[id]; return p, ok }

// Resource finds a resource by its ARN.
func (o *Org) Resource(arn string) (r *Resource, ok bool) { r, ok = o.resources[arn]; return r, ok }

// Provider finds an identity provider by its ARN.
func (o *Org) Provider(arn string) (p *snapshot.Provider, ok bool) {
	p, ok = o.providers[arn]
	return p, ok
}

// Membership says whether an account id belongs to the organisation. An id that the organisation's complete account
// list lacks is outside; where no list was read, nobody knows.
func (o *Org) Membership(account string) Membership {
	if a, ok := o.accounts[account]; ok {
		return a.Membership
	}
	if o.ID == "" {
		return MembershipUnknown
	}
	return Outside
}

// Inventoried reports whether the users and roles of an account were read completely.
func (o *Org) Inventoried(account string) bool {
	a, ok := o.accounts[account]
	return ok && a.Inventoried
}
