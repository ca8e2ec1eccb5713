package eval

import (
	"sync"

	"drawbridge/iam/policy"
)

// narrower answers requests by policies from which the statements are gone that cannot match any of the requests that it is for.
// Each policy is narrowed once, when it is first met; policies are immutable and shared by pointer, so that the copies of a role
// in two hundred accounts are narrowed once. The answers are those of Evaluator.Decide, references included: a statement is left
// out only where every request at hand fails its Action, or its Resource, whatever the rest of the request is.
//
// It is safe for concurrent use.
type narrower struct {
	e *Evaluator
	// keep reports whether a statement may match. In a trust policy the Resource element is not looked at (rule 17).
	keep func(rule *policy.Rule, trust bool) bool
	// The narrowed policies by *policy.Policy.
	trusts, others sync.Map
}

// narrowed is a policy without some statements, and the places of those that are left. Nothing is left out where places is nil.
type narrowed struct {
	policy *policy.Policy
	places []int32
}

var nothing policy.Policy

func (w *narrower) narrow(p *policy.Policy, trust bool) *narrowed {
	done := &w.others
	if trust {
		done = &w.trusts
	}
	if n, ok := done.Load(p); ok {
		return n.(*narrowed)
	}
	var places []int32
	for i := range p.Rules {
		if w.keep(&p.Rules[i], trust) {
			places = append(places, int32(i))
		}
	}
	n := &narrowed{policy: p}
	switch {
	case len(places) == 0:
		n.policy = &nothing
	case len(places) < len(p.Rules):
		n.places = places
		n.policy = &policy.Policy{Document: p.Document, Rules: make([]policy.Rule, len(places))}
		for i, place := range places {
			n.policy.Rules[i] = p.Rules[place]
		}
	}
	done.Store(p, n)
	return n
}

// scratch is the memory of one narrowed request, kept for the next.
type scratch struct {
	request                             Request
	policies                            Policies
	boundary, session, target, endpoint Set
	scps, rcps                          []Set
	documents                           []*policy.Policy
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// decide answers a request by its narrowed policies. A trace shows every statement, and what is public is seen by the whole
// policy (rule 133): both need the policies as they are.
func (w *narrower) decide(r *Request) Decision {
	if w.e.Trace != nil || r.Caller == nil || r.Policies == nil || r.facts().RestrictPublic || r.facts().AccessPoint != nil {
		return w.e.Decide(r)
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	s.request, s.policies = *r, *r.Policies
	s.request.Policies = &s.policies
	s.documents = s.documents[:0]
	trust := (&run{e: w.e, r: r}).assumesRole()

	p := &s.policies
	w.set(s, &p.Identity, &r.Policies.Identity, false)
	p.Boundary = w.optional(s, &s.boundary, p.Boundary, false)
	p.Session = w.optional(s, &s.session, p.Session, false)
	p.Resource = w.optional(s, &s.target, p.Resource, trust)
	p.Endpoint = w.optional(s, &s.endpoint, p.Endpoint, false)
	p.SCPs = w.levels(s, &s.scps, p.SCPs)
	p.RCPs = w.levels(s, &s.rcps, p.RCPs)

	d := w.e.Decide(&s.request)
	for _, ref := range [...]*Ref{&d.By, &d.Identity, &d.Resource} {
		w.restore(ref, r.Policies, trust)
	}
	return d
}

func (w *narrower) set(s *scratch, to, from *Set, trust bool) {
	first := len(s.documents)
	for _, p := range from.Policies {
		s.documents = append(s.documents, w.narrow(p, trust).policy)
	}
	*to = Set{Policies: s.documents[first:len(s.documents):len(s.documents)], Unresolved: from.Unresolved}
}

func (w *narrower) optional(s *scratch, to, from *Set, trust bool) *Set {
	if from == nil {
		return nil
	}
	w.set(s, to, from, trust)
	return to
}

func (w *narrower) levels(s *scratch, to *[]Set, from []Set) []Set {
	if from == nil {
		return nil
	}
	*to = (*to)[:0]
	for i := range from {
		*to = append(*to, Set{})
		w.set(s, &(*to)[i], &from[i], false)
	}
	return *to
}

// restore turns the place of a statement among the narrowed ones into its place in the document.
func (w *narrower) restore(ref *Ref, p *Policies, trust bool) {
	set := p.of(ref)
	if set == nil || ref.Statement < 0 || ref.Document < 0 || int(ref.Document) >= len(set.Policies) {
		return
	}
	n := w.narrow(set.Policies[ref.Document], trust && ref.Layer == Trust)
	if n.places != nil {
		ref.Statement = n.places[ref.Statement]
	}
}

// of is the set that a reference points into, nil where it points into none.
func (p *Policies) of(ref *Ref) *Set {
	switch ref.Layer {
	case Identity:
		return &p.Identity
	case Boundary:
		return p.Boundary
	case Session:
		return p.Session
	case Resource, Trust:
		return p.Resource
	case Endpoint:
		return p.Endpoint
	case SCP:
		return &p.SCPs[ref.Level]
	case RCP:
		return &p.RCPs[ref.Level]
	}
	return nil
}
