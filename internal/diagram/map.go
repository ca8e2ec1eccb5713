package diagram

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxOutside is how many nodes of one kind stand at the border before the rest is drawn as one.
const maxOutside = 24

// Map lays out the accounts of an organisation: what is outside on the left, services on the right, the accounts between
// them in boxes by unit, those that give access to others after those that take it. Labels of edges are taken as numbers of trusts and are
// added up where nodes are drawn as one.
func Map(nodes []Node, edges []Edge) *Picture {
	nodes, edges, note := condense(nodes, edges)
	var first, groups, last []stack
	units := map[string]*stack{}
	var names []string
	for i := range nodes {
		switch nodes[i].Kind {
		case Outside, Issuer, Anyone:
			first = append(first, stack{nodes: []int{i}})
		case Service:
			last = append(last, stack{nodes: []int{i}})
		case Group:
			groups = append(groups, stack{nodes: []int{i}})
		default:
			u := nodes[i].Unit
			if units[u] == nil {
				units[u] = &stack{unit: u}
				names = append(names, u)
			}
			units[u].nodes = append(units[u].nodes, i)
		}
	}
	slices.Sort(names)
	score := flow(nodes, edges)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(score[a], score[b]) })
	middle := groups
	for _, name := range names {
		middle = append(middle, split(*units[name], unitHeight)...)
	}
	var columns [][]stack
	if len(first) > 0 {
		columns = append(columns, first)
	}
	columns = append(columns, balance(middle)...)
	if len(last) > 0 {
		columns = append(columns, last)
	}
	if len(columns) == 0 {
		columns = [][]stack{{}}
	}
	p := layout(nodes, edges, columns, numberGutter)
	p.Note = note
	return p
}

// unitHeight is how many accounts of one unit stand below each other before the unit goes on in another box.
const unitHeight = 12

func split(s stack, size int) []stack {
	var out []stack
	for len(s.nodes) > size {
		out = append(out, stack{s.unit, s.nodes[:size:size]})
		s.nodes = s.nodes[size:]
	}
	return append(out, s)
}

// flow scores units by how much of their inner traffic enters: those that reach into others come first, so that most edges
// run from left to right.
func flow(nodes []Node, edges []Edge) map[string]float64 {
	unit := map[string]string{}
	for i := range nodes {
		if nodes[i].Kind == Inside || nodes[i].Kind == Group {
			unit[nodes[i].ID] = nodes[i].Unit
		}
	}
	in, all := map[string]float64{}, map[string]float64{}
	for i := range edges {
		from, ok1 := unit[edges[i].From]
		to, ok2 := unit[edges[i].To]
		if !ok1 || !ok2 || from == to {
			continue
		}
		in[to]++
		all[to]++
		all[from]++
	}
	score := map[string]float64{}
	for _, u := range unit {
		score[u] = 0.5
		if all[u] > 0 {
			score[u] = in[u] / all[u]
		}
	}
	return score
}

// balance cuts a sequence of stacks into columns of about equal height, so that the whole is wider than high.
func balance(stacks []stack) [][]stack {
	total := 0
	for _, s := range stacks {
		total += len(s.nodes) + 1
	}
	if total == 0 {
		return nil
	}
	count := min(max(2, (total+11)/14), 7, len(stacks))
	want := (total + count - 1) / count
	var columns [][]stack
	height := 0
	for i, s := range stacks {
		size := len(s.nodes) + 1
		rest := len(stacks) - i
		if len(columns) == 0 || height > 0 && height+size/2 > want && len(columns) < count || count-len(columns) >= rest {
			columns = append(columns, nil)
			height = 0
		}
		columns[len(columns)-1] = append(columns[len(columns)-1], s)
		height += size
	}
	return columns
}

// condense draws together what is too much: the accounts of one unit as one node where there are more nodes than MaxNodes,
// and what stands at the border beyond maxOutside of a kind. The note says what was done.
func condense(nodes []Node, edges []Edge) ([]Node, []Edge, string) {
	var out []Node
	into := map[string]string{} // the node that a node becomes part of
	at := map[string]int{}      // of the nodes that stand for several: the place in out
	members := map[string]int{}
	absorb := func(n *Node, as Node) {
		i, ok := at[as.ID]
		if !ok {
			i = len(out)
			at[as.ID] = i
			out = append(out, as)
		}
		into[n.ID] = as.ID
		members[as.ID]++
		if worse(n.Severity, out[i].Severity) {
			out[i].Severity, out[i].Badge = n.Severity, "worst: "+n.Severity
		}
	}
	byUnit, limit := len(nodes) > MaxNodes, maxOutside
	var depth int
	if byUnit {
		depth, limit = unitDepth(nodes), maxOutside/4
	}
	alone := busiest(nodes, edges, limit)
	for i := range nodes {
		n := &nodes[i]
		switch {
		case byUnit && n.Kind == Inside:
			unit := upTo(n.Unit, depth)
			absorb(n, Node{ID: "unit:" + unit, Kind: Group, Label: cmp.Or(unit, "No unit")})
			continue
		case n.Kind != Inside && n.Kind != Group && !alone[n.ID]:
			absorb(n, Node{ID: "more:" + kindClasses[n.Kind], Kind: n.Kind, Sub: "drawn as one"})
			continue
		}
		out = append(out, *n)
	}
	for id, i := range at {
		if out[i].Kind == Group {
			out[i].Sub = fmt.Sprintf("accounts: %d", members[id])
		} else {
			out[i].Label = fmt.Sprintf("%d more", members[id])
		}
	}
	switch {
	case byUnit:
		return out, mergeEdges(edges, into), fmt.Sprintf("There are more than %d accounts and parties, so the accounts are drawn by unit, and of each kind of party outside only the %d busiest by themselves.", MaxNodes, limit)
	case len(at) > 0:
		return out, mergeEdges(edges, into), fmt.Sprintf("Of each kind of party outside, those beside the %d busiest are drawn as one.", limit)
	}
	return nodes, edges, ""
}

// busiest are the nodes at the border that are drawn by themselves: of each kind those with the most trusts.
func busiest(nodes []Node, edges []Edge, limit int) map[string]bool {
	weight := map[string]int{}
	for i := range edges {
		n, err := strconv.Atoi(edges[i].Label)
		if err != nil {
			n = 1
		}
		weight[edges[i].From] += n
		weight[edges[i].To] += n
	}
	byKind := map[Kind][]string{}
	for i := range nodes {
		byKind[nodes[i].Kind] = append(byKind[nodes[i].Kind], nodes[i].ID)
	}
	alone := map[string]bool{}
	for _, ids := range byKind {
		slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(weight[b], weight[a]) })
		for _, id := range ids[:min(limit, len(ids))] {
			alone[id] = true
		}
	}
	return alone
}

// maxUnits is how many units are drawn where accounts are drawn by unit.
const maxUnits = 90

// unitDepth is how deep into the tree of units accounts are told apart: as deep as maxUnits allows.
func unitDepth(nodes []Node) int {
	depth := 0
	for i := range nodes {
		depth = max(depth, strings.Count(nodes[i].Unit, "/")+1)
	}
	for ; depth > 1; depth-- {
		units := map[string]bool{}
		for i := range nodes {
			units[upTo(nodes[i].Unit, depth)] = true
		}
		if len(units) <= maxUnits {
			break
		}
	}
	return depth
}

// upTo cuts a unit's path after depth names.
func upTo(unit string, depth int) string {
	parts := strings.Split(unit, "/")
	return strings.Join(parts[:min(depth, len(parts))], "/")
}

// worse reports whether severity a is worse than b.
func worse(a, b string) bool {
	order := []string{"", "info", "low", "medium", "high", "critical"}
	return slices.Index(order, a) > slices.Index(order, b)
}

// mergeEdges follows nodes into what they became part of, and adds up the numbers of edges that are one now.
func mergeEdges(edges []Edge, into map[string]string) []Edge {
	type key struct{ from, to string }
	at := map[key]int{}
	var out []Edge
	for _, e := range edges {
		e.From, e.To = cmp.Or(into[e.From], e.From), cmp.Or(into[e.To], e.To)
		if e.From == e.To {
			continue
		}
		k := key{e.From, e.To}
		i, ok := at[k]
		if !ok {
			at[k] = len(out)
			e.Title = ""
			out = append(out, e)
			continue
		}
		a, err1 := strconv.Atoi(out[i].Label)
		b, err2 := strconv.Atoi(e.Label)
		if err1 == nil && err2 == nil {
			out[i].Label = strconv.Itoa(a + b)
		}
		out[i].Possible = out[i].Possible && e.Possible
	}
	return out
}

// Layered lays out ways from sources to targets: each node one column after the last node that leads to it. Cycles are
// cut where they close.
func Layered(nodes []Node, edges []Edge) *Picture {
	index := make(map[string]int, len(nodes))
	for i := range nodes {
		index[nodes[i].ID] = i
	}
	depth := make([]int, len(nodes))
	for range nodes { // longest way, at most as many rounds as nodes
		changed := false
		for i := range edges {
			from, ok1 := index[edges[i].From]
			to, ok2 := index[edges[i].To]
			if ok1 && ok2 && from != to && depth[to] < depth[from]+1 && depth[from]+1 < min(len(nodes), 8) {
				depth[to], changed = depth[from]+1, true
			}
		}
		if !changed {
			break
		}
	}
	var columns [][]stack
	for i := range nodes {
		for len(columns) <= depth[i] {
			columns = append(columns, nil)
		}
		columns[depth[i]] = append(columns[depth[i]], stack{nodes: []int{i}})
	}
	columns = slices.DeleteFunc(columns, func(c []stack) bool { return len(c) == 0 })
	if len(columns) == 0 {
		columns = [][]stack{{}}
	}
	return layout(nodes, edges, columns, callGutter)
}
