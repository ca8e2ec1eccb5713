package diagram

import (
	"cmp"
	"slices"
)

// Measures in pixels at the picture's own size.
const (
	nodeWidth    = 204
	nodeHeight   = 46 // with two lines
	badgeLine    = 18
	portPitch    = 18 // between two edges that enter on one side
	nodeGap      = 14
	unitPad      = 12
	unitHead     = 24
	unitGap      = 22
	numberGutter = 138 // between columns, where edges run with numbers
	callGutter   = 216 // and with the names of calls
	margin       = 14
)

// stack is a group of nodes that stay together in a column: a unit's, or a single one.
type stack struct {
	unit  string
	nodes []int
}

// layout places nodes, given the stacks of each column, and routes the edges.
func layout(nodes []Node, edges []Edge, columns [][]stack, gutter int) *Picture {
	p := &Picture{gutter: gutter, nodes: make([]placed, len(nodes))}
	index := make(map[string]int, len(nodes))
	for i := range nodes {
		p.nodes[i] = placed{Node: &nodes[i], ports: map[side][]int{}, leaves: map[side]bool{}}
		index[nodes[i].ID] = i
	}
	for c := range columns {
		for _, s := range columns[c] {
			for _, n := range s.nodes {
				p.nodes[n].column = c
			}
		}
	}
	var ends [][2]int
	for i := range edges {
		e := &edges[i]
		from, ok1 := index[e.From]
		to, ok2 := index[e.To]
		if !ok1 || !ok2 || from == to {
			continue
		}
		a, b := &p.nodes[from], &p.nodes[to]
		c := curve{Edge: e, from: right, to: left, outside: a.Kind == Outside || a.Kind == Issuer || a.Kind == Anyone}
		switch {
		case a.column > b.column:
			c.from, c.to = left, right
		case a.column == b.column:
			c.from, c.to = right, right
		}
		b.ports[c.to] = append(b.ports[c.to], len(p.curves))
		a.leaves[c.from] = true
		p.curves = append(p.curves, c)
		ends = append(ends, [2]int{from, to})
	}
	for i := range p.nodes {
		n := &p.nodes[i]
		n.w, n.h = nodeWidth, nodeHeight
		if n.Badge != "" {
			n.h += badgeLine
		}
		for _, s := range [...]side{left, right} {
			slots := len(n.ports[s])
			if n.leaves[s] {
				slots++
			}
			n.h = max(n.h, slots*portPitch+8)
		}
	}
	p.sweep(columns, ends)
	p.place(columns)
	p.route(ends)
	return p
}

// sweep orders the stacks of each column, and the nodes of each stack, by where their neighbours stand: the usual
// barycentres, a few times up and down. Ties keep the order given, so that the result is stable.
func (p *Picture) sweep(columns [][]stack, ends [][2]int) {
	neighbours := make([][]int, len(p.nodes))
	for _, e := range ends {
		neighbours[e[0]] = append(neighbours[e[0]], e[1])
		neighbours[e[1]] = append(neighbours[e[1]], e[0])
	}
	p.place(columns)
	for range 6 {
		for c := range columns {
			want := func(n int) float64 {
				sum, count := 0.0, 0.0
				for _, m := range neighbours[n] {
					if p.nodes[m].column != c {
						sum, count = sum+float64(p.nodes[m].middle()), count+1
					}
				}
				if count == 0 {
					return float64(p.nodes[n].middle())
				}
				return sum / count
			}
			mean := func(s stack) float64 {
				sum := 0.0
				for _, n := range s.nodes {
					sum += want(n)
				}
				return sum / float64(len(s.nodes))
			}
			for _, s := range columns[c] {
				slices.SortStableFunc(s.nodes, func(a, b int) int { return cmp.Compare(want(a), want(b)) })
			}
			slices.SortStableFunc(columns[c], func(a, b stack) int { return cmp.Compare(mean(a), mean(b)) })
			p.place(columns)
		}
	}
}

// place sets positions: columns from the left, each centred.
func (p *Picture) place(columns [][]stack) {
	heights := make([]int, len(columns))
	p.Height = 0
	for c, stacks := range columns {
		h := 0
		for i, s := range stacks {
			if i > 0 {
				h += unitGap
			}
			h += p.stackHeight(s)
		}
		heights[c] = h
		p.Height = max(p.Height, h)
	}
	p.units = nil
	x := margin
	for c, stacks := range columns {
		pad := 0
		for _, s := range stacks {
			if s.unit != "" {
				pad = unitPad
			}
		}
		y := margin + (p.Height-heights[c])/2
		for _, s := range stacks {
			top := y
			if s.unit != "" {
				y += unitHead
			}
			for i, n := range s.nodes {
				if i > 0 {
					y += nodeGap
				}
				p.nodes[n].x, p.nodes[n].y = x+pad, y
				y += p.nodes[n].h
			}
			if s.unit != "" {
				y += unitPad
				p.units = append(p.units, box{x, top, nodeWidth + 2*pad, y - top, s.unit})
			}
			y += unitGap
		}
		x += nodeWidth + 2*pad + p.gutter
	}
	p.Width = x - p.gutter + margin
	p.Height += 2 * margin
}

func (p *Picture) stackHeight(s stack) int {
	h := 0
	for i, n := range s.nodes {
		if i > 0 {
			h += nodeGap
		}
		h += p.nodes[n].h
	}
	if s.unit != "" {
		h += unitHead + unitPad
	}
	return h
}

// route gives every edge its port: on each side of a node the entering edges stand in the order of where they come from,
// and all that leave share the last place.
func (p *Picture) route(ends [][2]int) {
	for i := range p.nodes {
		n := &p.nodes[i]
		for _, s := range [...]side{left, right} {
			list := n.ports[s]
			slices.SortStableFunc(list, func(a, b int) int {
				return cmp.Compare(p.nodes[ends[a][0]].middle(), p.nodes[ends[b][0]].middle())
			})
			slots := len(list)
			if n.leaves[s] {
				slots++
			}
			y := n.middle() - (slots-1)*portPitch/2
			for _, c := range list {
				p.curves[c].x2, p.curves[c].y2 = n.edgeX(s), y
				y += portPitch
			}
			for c := range p.curves {
				if ends[c][0] == i && p.curves[c].from == s {
					p.curves[c].x1, p.curves[c].y1 = n.edgeX(s), y
				}
			}
		}
	}
	// Room for arcs on the right of the last column.
	for i := range p.curves {
		if c := &p.curves[i]; c.from == right && c.to == right {
			p.Width = max(p.Width, max(c.x1, c.x2)+c.bulge()+margin)
		}
	}
}

func (p *placed) edgeX(s side) int {
	if s == left {
		return p.x
	}
	return p.x + p.w
}

// bulge is how far an arc between two nodes of one column reaches out.
func (c *curve) bulge() int {
	d := c.y1 - c.y2
	if d < 0 {
		d = -d
	}
	return 66 + min(60, d/8)
}
