package diagram

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// organisation makes a picture's input of n accounts and some parties outside, with edges at random of a fixed seed.
func organisation(n, outside, edges int) ([]Node, []Edge) {
	r := rand.New(rand.NewPCG(uint64(n), 3))
	var nodes []Node
	for i := range n {
		node := Node{ID: fmt.Sprintf("a%d", i), Label: strings.Repeat("AccountName", 1+i%3), Sub: "111122223333 · prod", Unit: fmt.Sprintf("root/unit-%d", i%max(1, n/5))}
		if i%3 == 0 {
			node.Severity, node.Badge = []string{"critical", "high", "medium", "low", "info"}[i%5], "3 critical · 12 high"
		}
		nodes = append(nodes, node)
	}
	for i := range outside {
		nodes = append(nodes, Node{ID: fmt.Sprintf("o%d", i), Label: "outside", Kind: []Kind{Outside, Issuer, Anyone, Service}[i%4]})
	}
	var list []Edge
	seen := map[[2]int]bool{}
	for range edges {
		k := [2]int{r.IntN(len(nodes)), r.IntN(n)}
		if !seen[k] {
			seen[k] = true
			list = append(list, Edge{From: nodes[k[0]].ID, To: nodes[k[1]].ID, Label: fmt.Sprint(1 + r.IntN(120)), Possible: r.IntN(2) == 0})
		}
	}
	return nodes, list
}

// No node lies on another or outside the picture, and every edge enters at a place of its own.
func TestNothingOverlaps(t *testing.T) {
	for _, c := range []struct{ accounts, outside, edges int }{{1, 0, 0}, {1, 1, 1}, {14, 8, 60}, {60, 30, 300}, {120, 25, 600}, {400, 90, 2000}} {
		nodes, edges := organisation(c.accounts, c.outside, c.edges)
		p := Map(nodes, edges)
		for i := range p.nodes {
			a := &p.nodes[i]
			if a.x < 0 || a.y < 0 || a.x+a.w > p.Width || a.y+a.h > p.Height {
				t.Errorf("%v: %s is outside of the picture", c, a.ID)
			}
			for j := range p.nodes[:i] {
				b := &p.nodes[j]
				if a.x < b.x+b.w && b.x < a.x+a.w && a.y < b.y+b.h && b.y < a.y+a.h {
					t.Errorf("%v: %s lies on %s", c, a.ID, b.ID)
				}
			}
		}
		ports := map[[2]int]string{}
		for i := range p.curves {
			at := [2]int{p.curves[i].x2, p.curves[i].y2}
			if other, ok := ports[at]; ok {
				t.Errorf("%v: edges from %s and %s enter %s at one place", c, other, p.curves[i].From, p.curves[i].To)
			}
			ports[at] = p.curves[i].From
		}
	}
}

// A node's text keeps inside the node, by the estimate of its width.
func TestTextFits(t *testing.T) {
	for _, s := range []string{"", "a", strings.Repeat("W", 80), strings.Repeat("組織", 40), "arn:aws:iam::111122223333:role/" + strings.Repeat("long-name", 9)} {
		for _, short := range []string{fit(s, 100, 76), fitEnd(s, 100, 76)} {
			if textWidth(short, 76) > 100 {
				t.Errorf("%q is %d wide", short, textWidth(short, 76))
			}
		}
	}
}

func TestTooManyAccounts(t *testing.T) {
	nodes, edges := organisation(400, 90, 2000)
	p := Map(nodes, edges)
	if !strings.Contains(p.Note, "by unit") || len(p.nodes) > MaxNodes {
		t.Errorf("note %q, %d nodes", p.Note, len(p.nodes))
	}
	sum := func(edges []Edge) (n int) {
		for _, e := range edges {
			var k int
			fmt.Sscan(e.Label, &k)
			n += k
		}
		return n
	}
	// What is drawn together keeps its number, but for what now runs inside one node.
	_, merged, _ := condense(nodes, edges)
	if got, want := sum(merged), sum(edges); got > want || got < want*8/10 {
		t.Errorf("%d trusts are drawn, of %d", got, want)
	}
}

// Pictures are well-formed XML whatever the names, and the same bytes each time.
func TestSVG(t *testing.T) {
	nodes, edges := organisation(20, 8, 80)
	nodes[0].Label, nodes[0].Title, nodes[0].Href = `<script>"&'`+"\x00\x1b]", `a"b<c>`, `#x" onclick="y`
	nodes[1].Unit = "</g>"
	edges = append(edges, Edge{From: "nowhere", To: "a1"}, Edge{From: "a2", To: "a2"})
	draw := func(write func(*Picture, io.Writer) error) string {
		var b bytes.Buffer
		if err := write(Map(nodes, edges), &b); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	for name, write := range map[string]func(*Picture, io.Writer) error{"element": (*Picture).WriteSVG, "file": (*Picture).WriteStandalone} {
		text := draw(write)
		if text != draw(write) {
			t.Errorf("%s: drawn twice, the bytes differ", name)
		}
		if strings.Contains(text, "<script") || strings.Contains(text, ` onclick="`) {
			t.Errorf("%s: a name became markup", name)
		}
		d := xml.NewDecoder(strings.NewReader(text))
		for {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
	}
}

// Ways stand in columns by their longest lead, and a circle ends.
func TestLayered(t *testing.T) {
	nodes := []Node{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "d"}}
	p := Layered(nodes, []Edge{{From: "a", To: "b"}, {From: "b", To: "c"}, {From: "a", To: "c"}, {From: "c", To: "d"}})
	for i, want := range []int{0, 1, 2, 3} {
		if p.nodes[i].column != want {
			t.Errorf("%s is in column %d, want %d", nodes[i].ID, p.nodes[i].column, want)
		}
	}
	if p := Layered(nodes, []Edge{{From: "a", To: "b"}, {From: "b", To: "a"}}); len(p.nodes) != 4 {
		t.Error("a circle loses nodes")
	}
	if p := Layered(nil, nil); p.Width <= 0 {
		t.Error("an empty picture has no size")
	}
}
