// Package registry holds the entries: trusts that were declared, each owned by someone. This version carries what the rules
// about chains and resources compare with; reading registry files, validation and reconciliation come with governance.
package registry

import "time"

// Registry is the declared trusts. A nil Registry means that none was given, which is not an empty one.
type Registry struct {
	Entries []Entry
}

// Entry is one declared trust.
type Entry struct {
	Name    string
	Source  string // who: ARN of a principal, or oidc:issuer:subject
	Target  string // what: ARN of a role or resource
	Owner   string
	Purpose string
	Expires time.Time
	// Session is the longest session that the work needs, 0 where not said.
	Session time.Duration
}
