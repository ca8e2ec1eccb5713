package access

import (
	"slices"

	"drawbridge/iam/eval"
	"drawbridge/internal/org"
)

// Reach is what can be reached from a set of starting edges, with one shortest way to each role.
type Reach struct {
	g       *Graph
	via     map[int]*Edge // the edge by which a role is first reached, by Principal.Index
	entries int           // how many roles of Order are reached by a starting edge
	// Order is the roles in order of distance.
	Order []*org.Principal
}

// ReachFrom follows crossings from the roles that the given edges let in.
func (g *Graph) ReachFrom(entries []*Edge) *Reach {
	r := &Reach{g: g, via: map[int]*Edge{}}
	visit := func(e *Edge) {
		role := e.Target.Role
		if role == nil || e.Verdict == eval.Deny {
			return
		}
		if _, ok := r.via[role.Index]; !ok {
			r.via[role.Index] = e
			r.Order = append(r.Order, role)
		}
	}
	for _, e := range entries {
		visit(e)
	}
	r.entries = len(r.Order)
	for at := 0; at < len(r.Order); at++ {
		for _, e := range g.Out(r.Order[at]) {
			visit(e)
		}
	}
	return r
}

// Way is the edges from the start to a role, in order; nil where it is not reached.
func (r *Reach) Way(role *org.Principal) []*Edge {
	var way []*Edge
	for {
		e, ok := r.via[role.Index]
		if !ok {
			return nil
		}
		way = append(way, e)
		if slices.Contains(r.Order[:r.entries], role) {
			slices.Reverse(way)
			return way
		}
		role = e.Grantee.Principal
	}
}

// ShortestWay is a way of fewest crossings from one principal to a role, nil where there is none.
func (g *Graph) ShortestWay(from, to *org.Principal) []*Edge {
	via := map[int]*Edge{}
	queue := []*org.Principal{from}
	for at := 0; at < len(queue); at++ {
		for _, e := range g.Out(queue[at]) {
			role := e.Target.Role
			if _, seen := via[role.Index]; seen {
				continue
			}
			via[role.Index] = e
			if role != to {
				queue = append(queue, role)
				continue
			}
			way := []*Edge{e}
			for p := queue[at]; p != from; p = via[p.Index].Grantee.Principal {
				way = append(way, via[p.Index])
			}
			slices.Reverse(way)
			return way
		}
	}
	return nil
}

// ActsOn reports the first of the type's actions that a principal can or may do on a resource, a key that encrypts it
// included; "" and Deny where there is none.
func (g *Graph) ActsOn(p *org.Principal, r *org.Resource) (action string, verdict eval.Verdict) {
	steps := g.stepsOnto(p.Caller, p, r.ARN)
	if len(steps) == 0 {
		return "", eval.Deny
	}
	verdict = eval.Allow
	for _, s := range steps {
		if s.edge.Verdict != eval.Allow {
			verdict = eval.Unknown
		}
	}
	return steps[0].edge.Step(), verdict
}

// Cycles are the groups of roles that can come to hold each other, and the roles that can assume themselves: the strongly
// connected parts of the crossings, each sorted by ARN, in order of their first role.
func (g *Graph) Cycles() [][]*org.Principal {
	t := tarjan{g: g, index: make([]int, len(g.Org.Principals)), low: make([]int, len(g.Org.Principals)), on: make([]bool, len(g.Org.Principals))}
	for i := range g.Org.Principals {
		if t.index[i] == 0 {
			t.visit(i)
		}
	}
	slices.SortFunc(t.cycles, func(a, b []*org.Principal) int { return a[0].Index - b[0].Index })
	return t.cycles
}

// tarjan finds strongly connected components without recursion: chains in large organisations are deep.
type tarjan struct {
	g       *Graph
	counter int
	index   []int // order of discovery from 1; 0: not seen
	low     []int
	on      []bool
	stack   []int
	cycles  [][]*org.Principal
}

type frame struct{ node, next int }

func (t *tarjan) visit(root int) {
	frames := []frame{t.enter(root)}
	for len(frames) > 0 {
		f := &frames[len(frames)-1]
		if f.next < len(t.g.out[f.node]) {
			to := t.g.out[f.node][f.next].Target.Role.Index
			f.next++
			switch {
			case t.index[to] == 0:
				frames = append(frames, t.enter(to))
			case t.on[to]:
				t.low[f.node] = min(t.low[f.node], t.index[to])
			}
			continue
		}
		node := f.node
		frames = frames[:len(frames)-1]
		if len(frames) > 0 {
			parent := frames[len(frames)-1].node
			t.low[parent] = min(t.low[parent], t.low[node])
		}
		if t.low[node] == t.index[node] {
			t.leave(node)
		}
	}
}

func (t *tarjan) enter(node int) frame {
	t.counter++
	t.index[node], t.low[node], t.on[node] = t.counter, t.counter, true
	t.stack = append(t.stack, node)
	return frame{node: node}
}

// leave takes a component off the stack and keeps it if it is a cycle.
func (t *tarjan) leave(node int) {
	at := len(t.stack) - 1
	for t.stack[at] != node {
		at--
	}
	component := slices.Clone(t.stack[at:])
	t.stack = t.stack[:at]
	for _, n := range component {
		t.on[n] = false
	}
	self := slices.ContainsFunc(t.g.out[node], func(e *Edge) bool { return e.Target.Role.Index == node })
	if len(component) == 1 && !self {
		return
	}
	slices.Sort(component)
	var roles []*org.Principal
	for _, n := range component {
		roles = append(roles, t.g.Org.Principals[n])
	}
	t.cycles = append(t.cycles, roles)
}

// MayRead is whether a principal can or may read some object of a bucket by what its policies and the bucket's allow.
func (g *Graph) MayRead(p *org.Principal, bucket *org.Resource) eval.Verdict {
	best := eval.Deny
	for _, part := range g.partsNamed(p, bucket) {
		switch d := g.Can(p, eval.MustAction("s3:GetObject"), part); d.Verdict {
		case eval.Allow:
			return eval.Allow
		case eval.Unknown:
			best = eval.Unknown
		}
	}
	return best
}

// partsNamed are the parts of a bucket on which its policy or the principal's may allow something.
func (g *Graph) partsNamed(p *org.Principal, bucket *org.Resource) []string {
	parts := []string{bucket.ARN + "/*"}
	if bucket.Policy == nil {
		return parts
	}
	for _, q := range bucket.Policy.Policies {
		for i := range q.Rules {
			for _, part := range probeResources(&q.Rules[i], bucket.ARN, p) {
				if !slices.Contains(parts, part) {
					parts = append(parts, part)
				}
			}
		}
	}
	return parts
}

// MayDecryptVia is whether a principal can or may decrypt with a key when S3 asks for it.
func (g *Graph) MayDecryptVia(p *org.Principal, key string) eval.Verdict {
	if s, ok := g.dataStep(p.Caller, p, eval.MustAction("kms:Decrypt"), key, viaS3(key, p.Caller)); ok {
		return s.edge.Verdict
	}
	return eval.Deny
}
