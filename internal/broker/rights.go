package broker

import (
	"fmt"
	"slices"
	"time"
)

// Role is what a person is to the broker; groups of the identity provider are mapped to roles by configuration. Machines have none but that of pushing: they ask, and see what is their own.
type Role string

// Roles.
const (
	Viewer        Role = "viewer"        // sees requests, sessions, locks
	Owner         Role = "owner"         // a viewer who answers for entries
	ReviewerRole  Role = "reviewer"      // a viewer who decides in reviews
	Approver      Role = "approver"      // a viewer who decides about requests; which ones, the entries say
	Responder     Role = "responder"     // takes back: revokes and locks
	Pusher        Role = "pusher"        // pushes snapshots: a machine that collects
	Administrator Role = "administrator" // the registry, and the audit log; not approvals, and not what it could approve itself
)

// Roles are all of them.
var Roles = []Role{Viewer, Owner, ReviewerRole, Approver, Responder, Pusher, Administrator}

// Right is something that not everybody may.
type Right string

// Rights.
const (
	ViewAll       Right = "view everything"
	DecideAny     Right = "decide about requests"
	RevokeAny     Right = "revoke"
	SetLocks      Right = "set and lift locks"
	ReadAudit     Right = "read the audit log"
	ApplyRegistry Right = "change the registry"
	ManageKeys    Right = "register services and end them"
	PushFacts     Right = "push snapshots and recorded use"
)

// rights is who may what. Everything else is the subject's own: asking, seeing what it asked for, using it, withdrawing it.
var rights = map[Role][]Right{
	Viewer:        {ViewAll},
	Owner:         {ViewAll},
	ReviewerRole:  {ViewAll},
	Approver:      {ViewAll, DecideAny},
	Responder:     {ViewAll, RevokeAny, SetLocks, ReadAudit},
	Pusher:        {PushFacts},
	Administrator: {ViewAll, ReadAudit, ApplyRegistry, ManageKeys, PushFacts},
}

// Caller is who calls the broker: a proven subject, and what they are to it.
type Caller struct {
	Subject Subject  `json:"subject"`
	Groups  []string `json:"groups,omitempty"`
	Roles   []Role   `json:"roles,omitempty"`
	// Until is when what the caller proved is too old: no token that is given for another one lives longer. Zero: no limit.
	Until time.Time `json:"until,omitzero"`
}

// May reports whether a caller has a right.
func (c *Caller) May(r Right) bool {
	return slices.ContainsFunc(c.Roles, func(role Role) bool { return slices.Contains(rights[role], r) })
}

// Need is ErrNotYours where a caller has not a right.
func (c *Caller) Need(r Right) error {
	if c.May(r) {
		return nil
	}
	return fmt.Errorf("%w: it takes the right to %s", ErrNotYours, r)
}

// Sees reports whether a caller may know of a grant: whose it is, and who may see everything. Whoever may not is told that there is none (52).
func (c *Caller) Sees(g *Grant) bool { return g.Subject.ID == c.Subject.ID || c.May(ViewAll) }
