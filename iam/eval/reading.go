package eval

import (
	"slices"

	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// DependsOn lists the readings on which the answer to a request turns: read the other way, any of them by itself gives another
// verdict. It decides the request once for each reading, and compiles the policies again for some, so that it is for
// explanations and not for bulk. The policies are taken as compiled under e.Readings.
func (e *Evaluator) DependsOn(r *Request) []cond.Reading {
	if r.Policies == nil {
		return nil
	}
	trial := *e
	trial.Trace = nil
	verdict := trial.Decide(r).Verdict
	var found []cond.Reading
	for _, record := range cond.AllReadings() {
		trial.Readings = e.Readings.Flip(record.Reading)
		asked := r
		if slices.Contains(cond.Compiled(), record.Reading) {
			asked = r.under(trial.Readings)
		}
		if trial.Decide(asked).Verdict != verdict {
			found = append(found, record.Reading)
		}
	}
	return found
}

// under is the request with its policies compiled again under other readings.
func (r *Request) under(other cond.Readings) *Request {
	sets := func(list []Set) []Set {
		if list == nil {
			return nil
		}
		out := make([]Set, len(list))
		for i := range list {
			out[i] = list[i].under(other)
		}
		return out
	}
	one := func(s *Set) *Set {
		if s == nil {
			return nil
		}
		n := s.under(other)
		return &n
	}
	n, p := *r, *r.Policies
	p.Identity, p.Boundary, p.Session = p.Identity.under(other), one(p.Boundary), one(p.Session)
	p.SCPs, p.RCPs, p.Resource, p.Endpoint = sets(p.SCPs), sets(p.RCPs), one(p.Resource), one(p.Endpoint)
	n.Policies = &p
	if r.Facts != nil && r.Facts.AccessPoint != nil {
		facts, point := *r.Facts, *r.Facts.AccessPoint
		point.Policy = one(point.Policy)
		facts.AccessPoint = &point
		n.Facts = &facts
	}
	return &n
}

func (s Set) under(other cond.Readings) Set {
	n := Set{Unresolved: s.Unresolved, Policies: make([]*policy.Policy, len(s.Policies))}
	for i, p := range s.Policies {
		n.Policies[i] = policy.CompileUnder(p.Document, other)
	}
	return n
}
