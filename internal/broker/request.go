package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Subject is who asks, as an identity provider proved it. It is made by package identity's callers, never from what the request says of itself.
type Subject struct {
	// ID is stable: it contains ids that are never given to another, where the issuer has such ids. It is what locks, limits and the audit log name.
	ID string `json:"id"`
	// Name is what the entry's from is matched with: an ARN, oidc:issuer:subject, or the id of a service.
	Name string `json:"name"`
	// Issuer is who proved it: the URL of an OIDC issuer, the trust domain of an SVID, "aws" for AWS's own, "broker" for keys that the broker gave out. Key is the signing key's id.
	Issuer string `json:"issuer"`
	Key    string `json:"key,omitempty"`
	// Claims are those of the token that the entry may ask for.
	Claims map[string]string `json:"claims,omitempty"`
	// Account is the subject's AWS account, "" where it has none. UniqueID is AROA… or AIDA…: a role that was deleted and made again has another.
	Account  string `json:"account,omitempty"`
	UniqueID string `json:"uniqueId,omitempty"`
	// Person: a person signed in. For a machine, Sponsors are the people that own it or share its credentials; they never approve for it.
	Person   bool     `json:"person,omitempty"`
	Sponsors []string `json:"sponsors,omitempty"`
	// Session: the subject's own credentials are those of a role's session, so that a role assumed with them is a chain.
	Session bool `json:"session,omitempty"`
	// Ends is when the proof ends; a session never outlives what a vendor's or subject's own limits say. Zero: no limit.
	Ends time.Time `json:"ends,omitzero"`
}

// Ask is what is asked for. Empty lists ask for all that the entry has.
type Ask struct {
	Entry     string   `json:"entry"`
	Target    string   `json:"target"` // the role's ARN
	Actions   []string `json:"actions"`
	Resources []string `json:"resources"`
	// Life is how long the grant is to last, 0 for as long as the entry lets it; Lower: a shorter one will do.
	Life  time.Duration `json:"life"`
	Lower bool          `json:"lower"`
	// Start is when, zero for at once.
	Start  time.Time `json:"start,omitzero"`
	Reason string    `json:"reason"`
	Ticket string    `json:"ticket,omitempty"`
}

// Request is what was asked, by whom. It is not changed: a changed request is another one, with another hash.
type Request struct {
	ID      string    `json:"id"` // 2 to 64 characters of [a-z0-9-]; it is the SourceIdentity of every session
	Subject Subject   `json:"subject"`
	Ask     Ask       `json:"ask"`
	Filed   time.Time `json:"filed"`
}

// Hash identifies all that a person approves: who, what, where, how long, why. It leaves out when it was filed.
func (r *Request) Hash() string {
	ask := r.Ask
	ask.Actions, ask.Resources = sorted(ask.Actions), sorted(ask.Resources)
	ask.Start = ask.Start.UTC()
	text, err := json.Marshal(struct {
		ID      string `json:"id"`
		Subject string `json:"subject"`
		Ask     Ask    `json:"ask"`
	}{r.ID, r.Subject.ID, ask})
	if err != nil {
		panic("a request has only fields that JSON can hold: " + err.Error())
	}
	sum := sha256.Sum256(append([]byte("drawbridge request 1\n"), text...))
	return hex.EncodeToString(sum[:])
}

// covers reports whether a request for a is one for other too: the parts that other asks for are the same. Who asks for a part is not given the whole; who names none takes what there is.
func (a *Ask) covers(other *Ask) bool {
	same := func(mine, wanted []string) bool {
		return len(wanted) == 0 || slices.Equal(sorted(mine), sorted(wanted))
	}
	return same(a.Actions, other.Actions) && same(a.Resources, other.Resources)
}

func sorted(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
