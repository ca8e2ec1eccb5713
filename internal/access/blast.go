package access

import (
	"slices"
	"strings"

	"drawbridge/internal/org"
)

// Blast is what one source can reach.
type Blast struct {
	From string
	// Roles and Resources hold one shortest path to each, in order of target.
	Roles, Resources []Path
	// Accounts are those of the reached roles and resources other than the source's own, sorted.
	Accounts []string
}

// Blast computes the blast radius of a source: every role that it can come to hold, and every resource of the snapshot on
// which it or one of those roles can act.
func (g *Graph) Blast(from string, options PathOptions) (Blast, error) {
	options = options.withDefaults()
	s, err := g.source(from)
	if err != nil {
		return Blast{}, err
	}
	b := Blast{From: from}
	paths := g.reach(s, options.MaxSteps)
	accounts := map[string]bool{}
	record := search{g: g, from: from, options: options, source: s}
	for _, path := range paths {
		record.to = path[len(path)-1].edge.Target.ARN
		record.add(path)
		accounts[path[len(path)-1].edge.Target.Account] = true
	}
	b.Roles = record.found
	record.found = nil
	for _, r := range g.Org.Resources {
		if options.Onto != nil && !options.Onto[r.ARN] {
			continue
		}
		if path := g.shortestTo(s, paths, r); path != nil {
			record.to = r.ARN
			record.add(path)
			accounts[r.Account] = true
		}
	}
	b.Resources = record.found
	for _, list := range [...][]Path{b.Roles, b.Resources} {
		slices.SortStableFunc(list, func(x, y Path) int { return strings.Compare(x.To, y.To) })
	}
	if s.caller != nil {
		delete(accounts, s.caller.Account)
	}
	for a := range accounts {
		b.Accounts = append(b.Accounts, a)
	}
	slices.Sort(b.Accounts)
	return b, nil
}

// reach is one shortest path to every role within the bound, in order of discovery (by length).
func (g *Graph) reach(s source, maxSteps int) [][]step {
	seen := map[int]bool{}
	if s.principal != nil && s.principal.Principal != nil {
		seen[s.principal.Index] = true
	}
	var paths [][]step
	add := func(path []step) {
		if i := path[len(path)-1].edge.Target.Role.Index; !seen[i] {
			seen[i] = true
			paths = append(paths, path)
		}
	}
	for _, st := range s.steps {
		add([]step{st})
	}
	for at := 0; at < len(paths); at++ {
		path := paths[at]
		if len(path) >= maxSteps {
			continue
		}
		p := path[len(path)-1].edge.Target.Role
		for _, e := range g.Out(p) {
			add(append(slices.Clip(path), g.roleStep(e, p)))
		}
	}
	return paths
}

// shortestTo is the shortest way onto a resource: by the source itself, or by the first role that can act on it.
func (g *Graph) shortestTo(s source, paths [][]step, r *org.Resource) []step {
	if s.caller != nil {
		if steps := g.stepsOnto(s.caller, s.principal, r.ARN); steps != nil {
			return steps
		}
	}
	for _, path := range paths {
		p := path[len(path)-1].edge.Target.Role
		if steps := g.stepsOnto(p.Caller, p, r.ARN); steps != nil {
			return append(slices.Clip(path), steps...)
		}
	}
	return nil
}
