// Package registry holds the entries: trusts that were declared, each a firewall rule that says who may reach what, for how long,
// why, and whose it is. It reads and checks registry files, drafts entries from what exists, and reconciles what was declared with
// what exists and what is used. It reads no file itself and knows no clock: text and time are arguments.
package registry

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/usage"
)

// Registry is what was declared. A nil Registry means that none was given, which is not an empty one.
type Registry struct {
	Entries []Entry
	Vendors []Vendor
}

// Entry is one declared trust (kind: Trust).
type Entry struct {
	Name   string
	Owner  string // a person or team that answers
	Ticket string

	Purpose  string
	Category Category

	From From
	To   To
	// Actions and Resources are what the work needs behind the door: patterns as in a policy.
	Actions, Resources []string

	// TrustConditions are what the target's trust policy must demand; Context is what the broker demands of each request.
	TrustConditions, Context cond.Block
	Boundary                 string
	Session                  Session
	Use                      Use

	Vendor     string // ties the entry to a vendor's offboarding
	DataClass  string
	Approval   Approval
	BreakGlass bool
	Expires    Day
	Review     Review
	// RequestedBy and ApprovedBy are the people of the approved request, "" where not recorded.
	RequestedBy, ApprovedBy string
	// ApprovedTrust is the trust policy that was approved, as JSON; nil where only the fields above say what was.
	ApprovedTrust []byte
	// Identity is "machine" or "person": who is to use the trust. "" where not said.
	Identity string
	// OwnerLeft: the owner is known to have left.
	OwnerLeft bool
	// LastDrill is when a break-glass entry was last tried out.
	LastDrill Day

	// Comment stands before the entry when it is written: where a draft comes from.
	Comment string
	Place   Place
}

// From is who may cross: principals by exact ARN or account, services by host, or subjects of an OIDC issuer. Principals may also be those that only a broker knows: broker:NAME and spiffe://DOMAIN/PATH.
type From struct {
	Principals []string
	Services   []string
	OIDC       *OIDC
}

// OIDC is subjects of an issuer, by audience and claims (patterns as in StringLike).
type OIDC struct {
	Issuer   string
	Audience string
	Claims   map[string]string
}

var ofBroker = regexp.MustCompile(`^(?:broker:[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?|spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]+)+)$`)

// OfBroker reports whether a principal is one that only a broker knows: a service that has keys of its own, broker:NAME, or a SPIFFE id. AWS has no such principals; what lets them into a role is the broker.
func OfBroker(principal string) bool { return ofBroker.MatchString(principal) }

// Sources are the callers as the graph names them: ARNs, hosts of services, oidc:issuer:subject.
func (f *From) Sources() []string {
	out := append(append([]string(nil), f.Principals...), f.Services...)
	if f.OIDC != nil {
		out = append(out, "oidc:"+strings.TrimPrefix(f.OIDC.Issuer, "https://")+":"+f.OIDC.Claims["sub"])
	}
	return out
}

// Admits reports whether a caller of the record of use is one of those declared. A caller from another organisation is recorded by its
// account alone: it may be any of that account who is declared. A declared subject may be a pattern, and is any where none is said.
func (f *From) Admits(caller string) bool {
	return slices.ContainsFunc(f.Sources(), func(source string) bool { return Admits(source, caller) })
}

// Admits reports whether a caller of the record of use may be one declared source (see From.Sources).
func Admits(source, caller string) bool {
	if subject, ok := strings.CutPrefix(source, "oidc:"); ok {
		if strings.HasSuffix(subject, ":") {
			source += "*"
		}
		// The subject of a caller may have been left out of the record: it may be any of its issuer's.
		if prefix, unnamed := usage.Unnamed(caller); unnamed && strings.HasPrefix(source, prefix) {
			return true
		}
		return arn.MatchGlob(source, caller)
	}
	account := arn.Account(source)
	if arn.IsAccountID(source) {
		account = source
	}
	whole := account == source || strings.HasSuffix(source, ":root")
	return usage.May(caller, source) || account != "" && (caller == account || whole && arn.Account(caller) == account)
}

// To is what they reach: a role, resources, or an internal service behind the proxy.
type To struct {
	Role      string
	Resources []string
	Service   string
}

// Targets are the ARNs that the entry declares.
func (t *To) Targets() []string {
	if t.Role != "" {
		return append([]string{t.Role}, t.Resources...)
	}
	return t.Resources
}

// Session is how long a crossing may last.
type Session struct {
	Max      time.Duration // 0: not said
	Chaining string        // "allow", "forbid", "" where not said
	// Tags are the session tags that a broker gives to each session, beside its own (IAM User Guide, "Pass session tags in AWS STS").
	Tags map[string]string
}

// Use is the rhythm of the work.
type Use struct {
	Every time.Duration // how often it is used at least; 0: not said
	Grace time.Duration // how late is not yet stale
	Needs time.Duration // the longest session that the work needs
}

// staleAfter is how long a trust may lie unused whose entry names no rhythm.
const staleAfter = 90 * 24 * time.Hour

// Standby reports whether the entry is for a day that one hopes never comes, break-glass or disaster recovery: it is not used as long as
// all is well.
func (e *Entry) Standby() bool { return e.BreakGlass || e.Category == "disaster-recovery" }

// Patience is how long the trust may lie unused: a limit, or the entry's own rhythm where that is longer.
func (e *Entry) Patience(limit time.Duration) time.Duration {
	return max(limit, e.Use.Every+e.Use.Grace)
}

// Approval is what a request must get.
type Approval struct {
	Required  int
	Automatic bool // nobody need approve: the entry itself does. Never set where somebody is required.
	Approvers []string
	Denials   int // how many no's end a request; 0 is one
	Within    time.Duration
}

// Review is the entry's own rhythm of reviews, and the last one.
type Review struct {
	Every     time.Duration
	Last      Day
	By        []string
	Reviewers int // how many must decide; the owner alone is none of two
	// Escalate is who is told at the deadline of a review that nobody decided; the approvers where it is empty.
	Escalate []string
	// Quarantine is how long after that deadline the trust is to be stopped, until somebody decides; 0: never.
	Quarantine time.Duration
}

// Vendor is an organisation outside (kind: Vendor).
type Vendor struct {
	Name     string
	Accounts []string
	Status   string // active, ended
	From     Day
	Until    Day
	Contact  string
	Evidence string
	Place    Place
}

// Ended reports whether the vendor is gone on a day: by its status, or by the end of its contract.
func (v *Vendor) Ended(now time.Time) bool {
	return v.Status == "ended" || !v.Until.IsZero() && v.Until.Over(now)
}

// Day is a date of a calendar, in UTC. The zero value is "not said".
type Day struct{ time.Time }

// Over reports whether the day has passed: an entry that expires on a day is good for all of it.
func (d Day) Over(now time.Time) bool { return !d.IsZero() && !now.Before(d.AddDate(0, 0, 1)) }

func (d Day) String() string {
	if d.IsZero() {
		return ""
	}
	return d.Format(time.DateOnly)
}

// Category is what kind of work a trust is for.
type Category string

// Categories are the values that an entry may have.
var Categories = []Category{"ci-deploy", "data-pipeline", "agent", "monitoring", "third-party", "disaster-recovery", "other"}

// Place is where something stands in a file.
type Place struct {
	File         string
	Line, Column int
}

// Vendor finds a vendor by name; nil where there is none.
func (r *Registry) Vendor(name string) *Vendor {
	for i := range r.Vendors {
		if r.Vendors[i].Name == name {
			return &r.Vendors[i]
		}
	}
	return nil
}

// Pair is one caller and one target that an entry declares.
type Pair struct {
	Entry          *Entry
	Source, Target string
}

// Pairs lists every caller with every target of every entry, in order. Nil has none.
func (r *Registry) Pairs() []Pair {
	if r == nil {
		return nil
	}
	var pairs []Pair
	for i := range r.Entries {
		e := &r.Entries[i]
		for _, source := range e.From.Sources() {
			for _, target := range e.To.Targets() {
				pairs = append(pairs, Pair{e, source, target})
			}
		}
	}
	return pairs
}
