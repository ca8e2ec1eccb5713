package eval

import (
	"strings"
	"sync"

	"drawbridge/iam/policy"
)

// Query is one action on one resource, to be asked for many callers: who of twenty thousand roles can read this bucket? What can
// be seen from action and resource alone is seen once for each policy and not for each caller. It is safe for concurrent use, and
// keeps what it has seen of a policy for as long as it lives.
type Query struct {
	narrower
	action   Action
	resource string
}

// Query prepares a question for many callers. The Evaluator must not be changed while the Query is used.
func (e *Evaluator) Query(action Action, resource string) *Query {
	q := &Query{action: action, resource: resource}
	seen := run{e: e, r: &Request{Action: action, Resource: resource}, target: resource}
	q.e = e
	q.keep = func(rule *policy.Rule, trust bool) bool {
		return rule.Actions.Match(action.lower) && (trust || !rule.Resources.Present || seen.mayCover(&rule.Resources))
	}
	return q
}

// Decide answers a request with the Query's action and resource: what Evaluator.Decide answers, sooner. Another request is
// answered too, but not sooner.
func (q *Query) Decide(r *Request) Decision {
	if r.Action != q.action || r.Resource != q.resource {
		return q.e.Decide(r)
	}
	return q.decide(r)
}

// Concerns reports whether some statement of a set of the caller's side may match the question, for some caller in some context.
// What could not be read may.
func (q *Query) Concerns(s *Set) bool {
	for _, p := range s.Policies {
		if len(q.narrow(p, false).policy.Rules) > 0 {
			return true
		}
	}
	return len(s.Unresolved) > 0
}

// mayCover reports whether a Resource or NotResource element may match for some context: without variables it is known.
func (n *run) mayCover(e *policy.Resources) bool {
	variables := false
	for i := range e.Values {
		v := &e.Values[i]
		if v.Template != nil {
			variables = true
		} else if n.covers(&v.Pattern) {
			return !e.Not
		}
	}
	return variables || e.Not
}

// Index answers many requests against the same policies: what may a role do, of these thousand things? Each policy is cut once
// by the service of the action, so that a request for S3 does not pass by the statements about EC2. It is safe for concurrent
// use, and keeps what it has cut for as long as it lives.
type Index struct {
	e        *Evaluator
	services sync.Map // by service prefix: *narrower
}

// Index prepares for many requests. The Evaluator must not be changed while the Index is used.
func (e *Evaluator) Index() *Index { return &Index{e: e} }

// Decide answers what Evaluator.Decide answers, sooner where the same policies come again.
func (x *Index) Decide(r *Request) Decision {
	service := r.Action.Service()
	w, ok := x.services.Load(service)
	if !ok {
		w, _ = x.services.LoadOrStore(service, &narrower{e: x.e, keep: func(rule *policy.Rule, _ bool) bool { return concerns(&rule.Actions, service+":") }})
	}
	return w.(*narrower).decide(r)
}

// concerns reports whether an Action or NotAction element may match some action that begins so.
func concerns(a *policy.Actions, service string) bool {
	for i := range a.Globs {
		if p := a.Globs[i].Prefix(); strings.HasPrefix(p, service) || strings.HasPrefix(service, p) {
			return true
		}
	}
	return a.Not
}
