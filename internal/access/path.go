package access

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/org"
)

// chainedSession is AWS's cap on a session that was got by role chaining (rule 125).
const chainedSession = time.Hour

// PathOptions bound a search. The zero value searches paths of up to six steps and returns the twenty shortest.
type PathOptions struct {
	MaxSteps int
	Limit    int
	// Onto are the resources that a blast radius is asked about, by ARN; nil: all.
	Onto map[string]bool
}

func (o PathOptions) withDefaults() PathOptions {
	if o.MaxSteps <= 0 {
		o.MaxSteps = 6
	}
	if o.Limit <= 0 {
		o.Limit = 20
	}
	return o
}

// step is an edge on the way with the means to ask the engine about it again.
type step struct {
	edge *Edge
	// ask decides the step in a given context; the witness is checked by it.
	ask func(*cond.Context) eval.Decision
}

// Paths finds the ways from a principal, account, service, issuer's subject or anyone (the names of Question.Principal)
// to a role or a resource, shortest first. None found is an empty list, not an error.
func (g *Graph) Paths(from, to string, options PathOptions) ([]Path, error) {
	options = options.withDefaults()
	s, err := g.source(from)
	if err != nil {
		return nil, err
	}
	if _, err := arn.Parse(to); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	search := search{g: g, from: from, to: to, options: options, source: s, entry: map[int]step{}, last: map[int][]step{}}
	search.run()
	slices.SortStableFunc(search.found, comparePaths)
	if len(search.found) > options.Limit {
		search.found = search.found[:options.Limit]
	}
	return search.found, nil
}

func comparePaths(a, b Path) int {
	if len(a.Steps) != len(b.Steps) {
		return len(a.Steps) - len(b.Steps)
	}
	if n := rank(a.Verdict) - rank(b.Verdict); n != 0 {
		return n
	}
	for i := range a.Steps {
		if n := strings.Compare(a.Steps[i].Target.ARN, b.Steps[i].Target.ARN); n != 0 {
			return n
		}
	}
	return 0
}

// source is where a path begins: its first steps into roles, and who acts if no role is assumed.
type source struct {
	steps     []step
	caller    *eval.Caller   // nil where the start cannot act by itself (an issuer's subject)
	principal *org.Principal // nil where its policies are not known
}

func (g *Graph) source(from string) (source, error) {
	if strings.HasPrefix(from, "oidc:") {
		steps, err := g.subjectSteps(from, g.Edges)
		return source{steps: steps}, err
	}
	c, p, err := g.named(from, "", &cond.Context{})
	if err != nil {
		return source{}, err
	}
	s := source{caller: c, principal: p}
	if p != nil && p.Principal != nil && c.Session == "" {
		for _, e := range g.Out(p) {
			s.steps = append(s.steps, g.roleStep(e, p))
		}
		return s, nil
	}
	for _, key := range [...]string{c.ARN, c.Account, c.Service, "*"} {
		if key == "" {
			continue
		}
		for _, via := range g.trusting[key] {
			if st, ok := g.classStep(via, c, p); ok {
				s.steps = append(s.steps, st)
			}
		}
	}
	if c.Kind == eval.AccountPrincipal { // some principal of it: also one that a trust names
		for _, via := range g.Edges {
			if via.Target.Role == nil || via.Grantee.Account != c.Account || via.Grantee.Kind != RoleGrantee && via.Grantee.Kind != UserGrantee {
				continue
			}
			if st, ok := g.classStep(via, c, p); ok {
				s.steps = append(s.steps, st)
			}
		}
	}
	return s, nil
}

// roleStep is a crossing of a principal of the snapshot.
func (g *Graph) roleStep(e *Edge, p *org.Principal) step {
	return step{e, func(ctx *cond.Context) eval.Decision {
		return g.askTrust(p.Caller, p, e, ctx)
	}}
}

// askTrust decides the assumption of an edge's role in a context of the asker's.
func (g *Graph) askTrust(c *eval.Caller, p *org.Principal, e *Edge, ctx *cond.Context) eval.Decision {
	known := *g.trustContext(&e.Target)
	known.Parent = c.Context()
	ctx.Parent = &known
	policies := g.callerPolicies(c, p)
	policies.Resource, policies.RCPs = e.Target.Role.Trust, e.Target.Role.Home.RCPs
	r := eval.Request{Caller: c, Action: actionOf(e.Mechanism), Resource: e.Target.ARN, ResourceAccount: e.Target.Account, Context: ctx, Policies: &policies}
	d := g.engine.Decide(&r)
	if d.Verdict == eval.Unknown {
		return g.withTagsAndSource(d, &r)
	}
	return d
}

// classStep judges a caller that is not a principal of the snapshot at one trust.
func (g *Graph) classStep(via *Edge, c *eval.Caller, p *org.Principal) (step, bool) {
	if (via.Mechanism == ServiceAssume) != (c.Kind == eval.Service) || via.Mechanism == AssumeRoleWeb || via.Mechanism == AssumeRoleSAML {
		return step{}, false
	}
	ask := func(ctx *cond.Context) eval.Decision { return g.askTrust(c, p, via, ctx) }
	return g.judged(via, ask)
}

// judged makes the step of a trust for one caller, false where it is denied.
func (g *Graph) judged(via *Edge, ask func(*cond.Context) eval.Decision) (step, bool) {
	d := ask(&cond.Context{Rest: cond.Undetermined})
	if d.Verdict == eval.Deny {
		return step{}, false
	}
	e := *via
	e.Verdict, e.LeftOver, e.CallerAssumed, e.Via = d.Verdict, d.LeftOver, d.CallerAssumed, via
	return step{&e, ask}, true
}

// SubjectEdge is the crossing of a subject of an issuer, oidc:HOST:SUBJECT, right into a role; nil where the role does not let it in.
func (g *Graph) SubjectEdge(subject, role string) *Edge {
	steps, err := g.subjectSteps(subject, g.EdgesTo(role))
	if err != nil || len(steps) == 0 {
		return nil
	}
	return steps[0].edge
}

// subjectSteps are the crossings of one subject of an issuer over edges. Its token's audience is one that the provider
// accepts.
func (g *Graph) subjectSteps(from string, edges []*Edge) ([]step, error) {
	host, sub, ok := strings.Cut(strings.TrimPrefix(from, "oidc:"), ":")
	if !ok || host == "" || sub == "" {
		return nil, fmt.Errorf("source %q: expected oidc:HOST:SUBJECT", from)
	}
	var steps []step
	for _, via := range edges {
		if via.Mechanism != AssumeRoleWeb || via.Verdict == eval.Deny || via.Grantee.Kind == Issuer && issuerHost(via.Grantee.ID) != host {
			continue
		}
		audiences := g.audiences(via.Grantee.ID)
		if len(audiences) == 0 {
			audiences = []string{"sts.amazonaws.com"}
		}
		var best step
		for _, audience := range audiences {
			c := eval.FederatedCaller(eval.WebIdentity, via.Grantee.ID)
			st, ok := g.judged(via, func(ctx *cond.Context) eval.Decision {
				ctx.Set(host+":sub", sub)
				ctx.Set(host+":aud", audience)
				return g.askTrust(c, nil, via, ctx)
			})
			if ok && (best.edge == nil || rank(st.edge.Verdict) < rank(best.edge.Verdict)) {
				best = st
			}
		}
		if best.edge != nil {
			steps = append(steps, best)
		}
	}
	return steps, nil
}

// search is one run of Paths: forward from the source to what is reachable, backward from the target to what can reach it,
// then depth first through what is in both.
type search struct {
	g        *Graph
	from, to string
	options  PathOptions
	source   source
	entry    map[int]step   // first steps by role
	last     map[int][]step // final steps by the principal that takes them; -1 is the source itself
	distance map[int]int    // fewest steps to the target, by principal
	length   int            // roles on the paths that are looked for now: the shortest are found first
	found    []Path
}

func (s *search) run() {
	for _, st := range s.source.steps {
		role := st.edge.Target.Role.Index
		if have, ok := s.entry[role]; !ok || rank(st.edge.Verdict) < rank(have.edge.Verdict) {
			s.entry[role] = st
		}
	}
	reach := s.forward()
	s.findLast(reach)
	s.backward(reach)
	for _, final := range s.last[-1] {
		s.add(nil, final)
	}
	if len(s.last[-1]) > 0 && s.toResource() {
		s.found = s.found[:0]
		s.add(nil, s.last[-1]...)
	}
	onPath := map[int]bool{}
	for s.length = 1; s.length <= s.options.MaxSteps && len(s.found) < s.options.Limit; s.length++ {
		for _, st := range s.source.steps {
			s.walk([]step{st}, onPath)
		}
	}
}

// toResource: the target is no role, and the last steps belong together.
func (s *search) toResource() bool {
	p, ok := s.g.Org.Principal(s.to)
	return !ok || p.Role == nil
}

// forward lists the roles that can be reached within the bound.
func (s *search) forward() []int {
	depth := map[int]int{}
	var queue []int
	for _, st := range s.source.steps {
		i := st.edge.Target.Role.Index
		if _, ok := depth[i]; !ok {
			depth[i] = 1
			queue = append(queue, i)
		}
	}
	for at := 0; at < len(queue); at++ {
		i := queue[at]
		if depth[i] >= s.options.MaxSteps {
			continue
		}
		for _, e := range s.g.out[i] {
			to := e.Target.Role.Index
			if _, ok := depth[to]; !ok {
				depth[to] = depth[i] + 1
				queue = append(queue, to)
			}
		}
	}
	return queue
}

// findLast finds who can take the last step: into the role, or onto the resource.
func (s *search) findLast(reach []int) {
	if !s.toResource() {
		return
	}
	if s.source.caller != nil {
		s.last[-1] = s.g.stepsOnto(s.source.caller, s.source.principal, s.to)
	}
	for _, i := range reach {
		p := s.g.Org.Principals[i]
		if steps := s.g.stepsOnto(p.Caller, p, s.to); len(steps) > 0 {
			s.last[i] = steps
		}
	}
}

// backward computes the fewest steps from each principal to the target.
func (s *search) backward(reach []int) {
	s.distance = map[int]int{}
	var queue []int
	if s.toResource() {
		for _, i := range reach {
			if len(s.last[i]) > 0 {
				s.distance[i] = 0
				queue = append(queue, i)
			}
		}
	} else {
		p, _ := s.g.Org.Principal(s.to)
		s.distance[p.Index] = 0
		queue = append(queue, p.Index)
	}
	for at := 0; at < len(queue); at++ {
		i := queue[at]
		for _, e := range s.g.in[i] {
			if p := e.Grantee.Principal; p != nil {
				if _, ok := s.distance[p.Index]; !ok {
					s.distance[p.Index] = s.distance[i] + 1
					queue = append(queue, p.Index)
				}
			}
		}
	}
}

// walk extends a path by every crossing that can still arrive, and records those of the length looked for.
func (s *search) walk(path []step, onPath map[int]bool) {
	last := path[len(path)-1].edge.Target.Role.Index
	left, ok := s.distance[last]
	if !ok || len(path)+left > s.length || onPath[last] || len(s.found) >= 4*s.options.Limit {
		return
	}
	if left == 0 && len(path) == s.length {
		s.add(path, s.last[last]...)
	}
	if len(path) == s.length || left == 0 && !s.toResource() {
		return
	}
	onPath[last] = true
	p := s.g.Org.Principals[last]
	for _, e := range s.g.Out(p) {
		s.walk(append(slices.Clip(path), s.g.roleStep(e, p)), onPath)
	}
	delete(onPath, last)
}

// add records a path with its verdict, session time and witness.
func (s *search) add(path []step, final ...step) {
	steps := slices.Concat(path, final)
	p := Path{From: s.from, To: s.to, Verdict: eval.Allow}
	roles := 0
	for _, st := range steps {
		p.Steps = append(p.Steps, st.edge)
		p.LeftOver = append(p.LeftOver, st.edge.LeftOver)
		if st.edge.Verdict != eval.Allow {
			p.Verdict = eval.Unknown
		}
		if st.edge.Target.Role != nil && st.edge.Mechanism != IdentityPolicies && st.edge.Mechanism != ResourcePolicy {
			roles++
			p.MaxSession = st.edge.MaxSession
		}
	}
	p.Chained = roles > 1
	if p.Chained && (p.MaxSession == 0 || p.MaxSession > chainedSession) {
		p.MaxSession = chainedSession
	}
	if pr := s.source.principal; roles == 0 && pr != nil && pr.Role != nil {
		p.MaxSession = pr.Role.MaxSession
	}
	p.Witness = witness(steps)
	s.found = append(s.found, p)
}

// witness finds a concrete request per step for which the engine, asked afresh with every other key absent, answers Allow;
// nil where one step has none.
func witness(steps []step) []map[string][]string {
	var all []map[string][]string
	for _, st := range steps {
		ctx := &cond.Context{}
		if !st.edge.LeftOver.Witness(ctx) || st.ask(ctx).Verdict != eval.Allow {
			return nil
		}
		values := map[string][]string{}
		own := *ctx
		own.Parent = nil
		own.Keys(func(name string, state cond.State, v []string) bool {
			if state == cond.Present {
				values[name] = v
			}
			return true
		})
		all = append(all, values)
	}
	return all
}
