package remedy

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// Kind is what a change changes.
type Kind string

const (
	TrustPolicy     Kind = "trust policy"
	ResourceDoc     Kind = "resource policy"
	InlinePolicy    Kind = "inline policy"
	AttachedPolicy  Kind = "attached policy" // is detached; Name is its ARN
	BoundaryPolicy  Kind = "permissions boundary"
	SessionDuration Kind = "session duration"
	KMSGrant        Kind = "KMS grant" // is revoked; Name is its id
	Share           Kind = "share"     // is taken back from the grantee that Name says
	RCP             Kind = "resource control policy"
	SCP             Kind = "service control policy"
)

// Change is one change of one thing. What is not there is nil.
type Change struct {
	Kind          Kind
	Target        string // ARN of the role or resource; the root's id for an RCP or SCP
	Type          string // CloudFormation type of the target
	Account       string // whose account it is done in
	Name          string // of an inline policy, an RCP or SCP; the ARN of a managed policy or boundary; what Kind says
	Before, After *policy.Document
	// SessionBefore and SessionAfter are the longest sessions, of a change of kind SessionDuration.
	SessionBefore, SessionAfter time.Duration
	// Commands are those of changes without a document: grants and shares.
	Commands []string
}

// Apply is the snapshot as it would be after the changes. The snapshot that is given stays as it is.
func Apply(s *snapshot.Snapshot, changes []Change) *snapshot.Snapshot {
	n := *s
	n.Roles, n.Resources = slices.Clone(s.Roles), slices.Clone(s.Resources)
	for i := range changes {
		c := &changes[i]
		role := slices.IndexFunc(n.Roles, func(r snapshot.Role) bool { return r.ARN == c.Target })
		switch c.Kind {
		case ResourceDoc:
			if at := slices.IndexFunc(n.Resources, func(r snapshot.Resource) bool { return r.ARN == c.Target }); at >= 0 {
				n.Resources[at].Policy = document("resource policy", c.After)
			}
		case KMSGrant:
			n.KMSGrants = slices.DeleteFunc(slices.Clone(n.KMSGrants), func(g snapshot.KMSGrant) bool { return g.Key == c.Target && g.ID == c.Name })
		case Share:
			n.Shares = slices.Clone(n.Shares)
			for j := range n.Shares {
				if n.Shares[j].ARN == c.Target {
					n.Shares[j].With = slices.DeleteFunc(slices.Clone(n.Shares[j].With), func(with string) bool { return with == c.Name || with == "all" && c.Name == "*" })
				}
			}
		case RCP, SCP:
			n.Organization = withControlPolicy(n.Organization, n.Accounts, c)
		default:
			if role < 0 {
				continue
			}
			r := n.Roles[role]
			c.applyToRole(&n, &r)
			n.Roles[role] = r
		}
	}
	return &n
}

func (c *Change) applyToRole(s *snapshot.Snapshot, r *snapshot.Role) {
	switch c.Kind {
	case TrustPolicy:
		r.Trust = document("trust policy", c.After)
	case SessionDuration:
		r.MaxSession = c.SessionAfter
	case AttachedPolicy:
		r.Attached = slices.DeleteFunc(slices.Clone(r.Attached), func(a snapshot.Attachment) bool { return a.ARN == c.Name })
	case InlinePolicy:
		r.Inline = slices.DeleteFunc(slices.Clone(r.Inline), func(d snapshot.Document) bool { return d.Name == c.Name })
		if c.After != nil {
			r.Inline = append(r.Inline, document(c.Name, c.After))
		}
	case BoundaryPolicy:
		r.InlineBoundary, r.Boundary = nil, &snapshot.Attachment{Name: roleName(c.Name), ARN: c.Name}
		s.Policies = append(slices.DeleteFunc(slices.Clone(s.Policies), func(p snapshot.ManagedPolicy) bool { return p.ARN == c.Name }),
			snapshot.ManagedPolicy{ARN: c.Name, Account: c.Account, Document: document(c.Name, c.After)})
	}
}

// withControlPolicy attaches an RCP or SCP. Where the first SCP is attached, AWS's FullAWSAccess, which is attached everywhere from the
// start, is put beside it: one that only denies would else leave nothing allowed.
func withControlPolicy(o *snapshot.Organization, accounts []snapshot.Account, c *Change) *snapshot.Organization {
	n := *o
	p := snapshot.ControlPolicy{Name: c.Name, Targets: []string{c.Target}, Document: document(c.Name, c.After)}
	if c.Kind == RCP {
		n.RCPs = append(slices.Clone(n.RCPs), p)
		return &n
	}
	if len(n.SCPs) == 0 {
		everywhere := []string{c.Target}
		for _, u := range n.Units {
			everywhere = append(everywhere, u.Path)
		}
		for i := range accounts {
			everywhere = append(everywhere, accounts[i].ID)
		}
		n.SCPs = []snapshot.ControlPolicy{{Name: "FullAWSAccess", Targets: everywhere, Document: document("FullAWSAccess", fullAccess.Document)}}
	}
	n.SCPs = append(slices.Clone(n.SCPs), p)
	return &n
}

var fullAccess = policy.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)

func document(name string, d *policy.Document) snapshot.Document {
	if d == nil {
		return snapshot.Document{Name: name, State: snapshot.None}
	}
	return snapshot.Document{Name: name, State: snapshot.Read, Policy: policy.Compile(d)}
}

// Rebuilt is the graph of the organisation after the changes.
func (in *Inputs) Rebuilt(changes []Change) *access.Graph {
	return access.Build(org.Build(Apply(in.Graph.Org.Snapshot, changes)), access.Options{Engine: in.Graph.Engine(), Now: in.Now})
}

// evidence says how far the record of use of an account reaches.
func (in *Inputs) evidence(account string) []string {
	if in.Usage == nil {
		return []string{"no record of use was given"}
	}
	window := "all that is recorded"
	if !in.Since.IsZero() {
		window = "uses since " + in.Since.Format(time.DateOnly)
	}
	for _, c := range in.Usage.Coverage {
		if c.Account != "" && c.Account != account {
			continue
		}
		switch {
		case c.Missing:
			return []string{window + " counts; account " + account + " has no trail, so that silence proves nothing"}
		case len(c.RegionsMissing) > 0:
			return []string{window + " counts; no trail of account " + account + " covers " + strings.Join(c.RegionsMissing, ", ")}
		}
	}
	switch {
	case !in.Usage.Known(account):
		return []string{window + " counts; nothing says how far the trail of account " + account + " reaches, so that silence proves nothing"}
	case !in.Since.IsZero() && !in.Usage.Covers(account, in.Since, in.Now):
		return []string{window + " counts; the trail of account " + account + " has holes in that time"}
	}
	from := in.Since
	if from.IsZero() {
		for _, c := range in.Usage.Coverage {
			if (c.Account == "" || c.Account == account) && (from.IsZero() || c.From.Before(from)) {
				from = c.From
			}
		}
	}
	return []string{fmt.Sprintf("%s counts; the trail of account %s reaches from %s", window, account, from.Format(time.DateOnly))}
}

// sizes are what AWS takes, in characters without white space.
// Source: IAM User Guide, "IAM and AWS STS quotas"; Organizations User Guide, "Quotas". A trust policy's may be raised to 8192.
var sizes = map[Kind]int{TrustPolicy: 2048, InlinePolicy: 10240, BoundaryPolicy: 6144, SCP: 5120, RCP: 5120}

// tooLong are the notes about documents that are longer than AWS takes them.
func tooLong(changes []Change) []string {
	var notes []string
	for i := range changes {
		c := &changes[i]
		if limit := sizes[c.Kind]; c.After != nil && limit > 0 && len(c.After.Canonical()) > limit {
			notes = append(notes, fmt.Sprintf("the %s has %d characters, and AWS takes %d: choose a coarser grain, or split it", c.Kind, len(c.After.Canonical()), limit))
		}
	}
	return notes
}

// indented is a document as people read it; "null" where there is none.
func indented(d *policy.Document) []byte {
	if d == nil {
		return []byte("null\n")
	}
	out, err := json.MarshalIndent(json.RawMessage(d.Canonical()), "", "  ")
	if err != nil {
		return d.Canonical()
	}
	return append(out, '\n')
}

func partitionOf(name string) string {
	if a, err := arn.Parse(name); err == nil {
		return a.Partition
	}
	return "aws"
}
