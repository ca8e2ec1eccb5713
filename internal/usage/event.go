package usage

import (
	"strings"
	"time"
)

// Event is one recorded call, as far as it matters for use.
type Event struct {
	ID     string // of the event; "" where the record has none
	Shared string // the id that both sides of a call across accounts carry
	Time   time.Time
	Region string
	// Account received the call: the one whose trail holds the event.
	Account string
	// Caller is the ARN of the role (not of its session), user or root user, oidc:host:subject, the host of a service; "" where
	// this side of the call does not say.
	Caller string
	// CallerAccount is the caller's account; "" for services and subjects.
	CallerAccount string
	// Action is the call, service:Name.
	Action string
	// Target is the role that was assumed, or the resource that was used; "" where the call names none.
	Target string
	// TargetAccount owns the target; "" where that is not said.
	TargetAccount string
	Denied        bool
	// Session is the length of the session that was asked for; 0: not said.
	Session time.Duration
	// Source is where the call came from: an address, or the host of a service. A record keeps the network at most.
	Source string
	// SourceIdentity is who a session was first begun for, by the session or by the request that begins one.
	SourceIdentity string
	// Data: the event is of the kind that a trail records only where it is told to (a data event).
	Data bool
}

// Half is one side of a call across accounts, kept so that the other one may come later: of another file, import or machine.
type Half struct {
	ID             string // the sharedEventID
	Time           time.Time
	Caller         string // "" in the target's side
	CallerAccount  string
	Action         string
	Account        string // whose trail it is in
	Target         string // "" in a caller's side that names no target
	TargetAccount  string
	Denied         bool
	Session        time.Duration
	Network        string
	SourceIdentity string
	// Acted: the action of the caller is counted. Crossed: the use of the trust is.
	Acted, Crossed bool
}

// crossing is whether the call is the use of a trust: a role assumed, or a resource of another account used.
func (h *Half) crossing() bool {
	return h.Target != "" && (strings.HasPrefix(h.Action, "sts:AssumeRole") || h.CallerAccount != "" && h.TargetAccount != "" && h.CallerAccount != h.TargetAccount)
}

// join is both sides of one call. It does not matter which one is given first, nor whether one is given twice.
func (h *Half) join(o *Half) {
	if o.Time.Before(h.Time) {
		h.Time = o.Time
	}
	h.Caller, h.CallerAccount = said(h.Caller, o.Caller), said(h.CallerAccount, o.CallerAccount)
	h.Action, h.Account = said(h.Action, o.Action), said(h.Account, o.Account)
	h.Target, h.TargetAccount = said(h.Target, o.Target), said(h.TargetAccount, o.TargetAccount)
	h.Denied = h.Denied || o.Denied
	h.Session = max(h.Session, o.Session)
	h.Network, h.SourceIdentity = said(h.Network, o.Network), said(h.SourceIdentity, o.SourceIdentity)
	h.Acted, h.Crossed = h.Acted || o.Acted, h.Crossed || o.Crossed
}

// said is the one that says something; of two different ones the first in order.
func said(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// done strips a half of what was counted already.
func (h *Half) done() {
	switch {
	case h.Crossed:
		*h = Half{ID: h.ID, Time: h.Time, Acted: true, Crossed: true}
	case h.Acted:
		*h = Half{ID: h.ID, Time: h.Time, Caller: h.Caller, CallerAccount: h.CallerAccount, SourceIdentity: h.SourceIdentity, Acted: true}
	}
}

// mechanism is the action of a crossing: AssumeRole and its kin without their service.
func (h *Half) mechanism() string {
	if name, ok := strings.CutPrefix(h.Action, "sts:"); ok {
		return name
	}
	return h.Action
}
