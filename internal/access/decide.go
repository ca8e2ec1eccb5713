package access

import (
	"strings"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// settle decides an edge.
func (g *Graph) settle(e *Edge, c *eval.Caller, p *org.Principal, ctx *cond.Context) {
	if e.Grantee.Kind == Canonical || e.Grantee.Kind == NotUnderstood {
		e.LeftOver = cond.NotUnderstood("principal " + e.Grantee.ID + " is not understood")
		if e.Grantee.ID == noPrincipal {
			e.LeftOver = cond.NotUnderstood("the statement has no Principal")
		}
		if len(e.Grants) > 0 {
			e.By = e.Grants[0].Evidence
		}
		return
	}
	if c == nil { // a principal that does not exist any more matches nobody (rule 116)
		e.Verdict, e.LeftOver, e.Denied = eval.Deny, cond.Never(), eval.Trust
		if len(e.Grants) > 0 {
			e.By = e.Grants[0].Evidence
		}
		return
	}
	best := g.best(e, c, p, ctx)
	e.Verdict, e.LeftOver, e.CallerAssumed = best.Verdict, best.LeftOver, best.CallerAssumed
	if best.Verdict == eval.Deny {
		e.Denied, e.Explicit = best.By.Layer, best.Explicit
	}
	e.By = g.evidence(best.By, p, &e.Target)
	if best.Verdict != eval.Deny && best.Resource.Statement >= 0 {
		e.By = g.evidence(best.Resource, p, &e.Target) // whatever else the answer still depends on, this lets in
	}
	if best.Identity.Statement >= 0 {
		e.Identity = g.evidence(best.Identity, p, &e.Target)
	}
}

// best is the most permissive decision over what the edge's statements grant.
func (g *Graph) best(e *Edge, c *eval.Caller, p *org.Principal, ctx *cond.Context) eval.Decision {
	best := eval.Decision{Verdict: eval.Deny, LeftOver: cond.Never(), By: eval.NoRef, Identity: eval.NoRef, Resource: eval.NoRef}
	first := true
	for i := range e.Grants {
		for _, q := range g.probes(e.Grants[i].Rule, e, p) {
			d := g.ask(c, p, q, &e.Target, ctx)
			switch {
			case first || best.Verdict == eval.Deny && d.Verdict != eval.Deny || d.Verdict == eval.Allow:
				best = d
			case best.Verdict == eval.Unknown && d.Verdict == eval.Unknown && e.Target.Role == nil:
				best.LeftOver = best.LeftOver.Or(d.LeftOver)
			}
			first = false
			if best.Verdict == eval.Allow {
				return best
			}
		}
	}
	return best
}

// ask decides one question about an edge's target, both sides.
func (g *Graph) ask(c *eval.Caller, p *org.Principal, q probe, t *Target, ctx *cond.Context) eval.Decision {
	policies := g.callerPolicies(c, p)
	home := g.homeOf(t)
	if home != nil {
		policies.RCPs = home.RCPs
	}
	switch {
	case t.Role != nil:
		policies.Resource = t.Role.Trust
	case t.Resource != nil:
		policies.Resource = t.Resource.Policy
	}
	request := eval.Request{Caller: c, Action: q.action, Resource: q.resource, ResourceAccount: t.Account, Context: child(ctx, c), Policies: &policies, Facts: g.factsOf(t)}
	d := g.engine.Decide(&request)
	if t.Role == nil || d.Verdict != eval.Unknown {
		return d
	}
	return g.withTagsAndSource(d, &request)
}

// withTagsAndSource adds what a request needs whose conditions demand session tags or a source identity: they must be
// permitted by sts:TagSession and sts:SetSourceIdentity too, on both sides (rules 127, 129).
func (g *Graph) withTagsAndSource(d eval.Decision, r *eval.Request) eval.Decision {
	also := func(action eval.Action) {
		side := *r
		side.Action = action
		s := g.engine.Decide(&side)
		d.LeftOver = d.LeftOver.And(s.LeftOver)
		if d.LeftOver.IsNever() {
			s.Verdict, s.LeftOver = eval.Deny, cond.Never()
			d = s
		}
	}
	if demands(d.LeftOver, "sts:sourceidentity") {
		also(setSource)
	}
	for _, key := range d.LeftOver.Tests() {
		if strings.HasPrefix(key, "aws:requesttag/") && demands(d.LeftOver, key) {
			also(tagSession)
			break
		}
	}
	return d
}

// demands reports whether a key must be in the request.
func demands(f cond.Formula, key string) bool {
	r := f.Require(key)
	return r.Always && !r.Absent
}

// callerPolicies are the policies of the caller's side: the principal's own where it is known, assumed to allow where
// it is not (and the caller is one that has such a side).
func (g *Graph) callerPolicies(c *eval.Caller, p *org.Principal) eval.Policies {
	if p == nil {
		return eval.Policies{CallerAssumed: hasOwnSide(c.Kind)}
	}
	return eval.Policies{Identity: p.Identity, Boundary: p.Boundary, SCPs: p.Home.SCPs}
}

func hasOwnSide(k eval.CallerKind) bool {
	switch k {
	case eval.Service, eval.WebIdentity, eval.SAML, eval.Anonymous:
		return false
	}
	return true
}

func (g *Graph) homeOf(t *Target) *org.Account {
	switch {
	case t.Role != nil:
		return t.Role.Home
	case t.Resource != nil:
		return t.Resource.Home
	}
	a, _ := g.Org.Account(t.Account)
	return a
}

// evidence turns the evaluator's reference into a place that people can look up.
func (g *Graph) evidence(ref eval.Ref, p *org.Principal, t *Target) Evidence {
	index := func(documents []snapshot.Document, subject string) Evidence {
		if ref.Document >= 0 && int(ref.Document) < len(documents) {
			return EvidenceAt(subject, documents[ref.Document], int(ref.Statement))
		}
		return Evidence{Subject: subject, Document: ref.Layer.String() + " policies", Statement: -1}
	}
	level := func(levels [][]snapshot.Document, subject string) Evidence {
		if int(ref.Level) < len(levels) {
			return index(levels[ref.Level], subject)
		}
		return Evidence{Subject: subject, Document: ref.Layer.String() + " policies", Statement: -1}
	}
	switch ref.Layer {
	case eval.Trust:
		if t.Role != nil {
			return EvidenceAt(t.ARN, t.Role.Role.Trust, int(ref.Statement))
		}
	case eval.Resource:
		if t.Resource != nil {
			return EvidenceAt(t.ARN, t.Resource.Resource.Policy, int(ref.Statement))
		}
	case eval.RCP:
		if home := g.homeOf(t); home != nil {
			return level(home.RCPDocuments, home.ID)
		}
	case eval.SCP:
		if p != nil {
			return level(p.Home.SCPDocuments, p.Home.ID)
		}
	case eval.Identity:
		if p != nil {
			return index(p.Documents, p.ARN)
		}
	case eval.Boundary:
		if p != nil {
			return index(p.BoundaryDocuments, p.ARN)
		}
	}
	return Evidence{Subject: t.ARN, Document: ref.Layer.String() + " policies", Statement: -1}
}
