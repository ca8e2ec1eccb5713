package access

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"drawbridge/iam/eval"
	"drawbridge/internal/org"
)

// TestReachAndCyclesAgreeWithClosure compares the search and Tarjan's algorithm with distances computed for all pairs.
func TestReachAndCyclesAgreeWithClosure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(t, "roles")
		crossings := rapid.SliceOfN(rapid.IntRange(0, n*n-1), 0, 2*n).Draw(t, "crossings")
		g := crossed(n, crossings)
		hops := distances(n, crossings)

		var want [][]int
		for i := range n {
			var group []int
			for j := range n {
				if hops[i][j] < far && hops[j][i] < far {
					group = append(group, j)
				}
			}
			if len(group) > 0 && group[0] == i {
				want = append(want, group)
			}
		}
		var got [][]int
		for _, cycle := range g.Cycles() {
			var group []int
			for _, role := range cycle {
				group = append(group, role.Index)
			}
			got = append(got, group)
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("cycles %v, want %v", got, want)
		}

		for i, start := range g.Org.Principals {
			reach := g.ReachFrom(g.out[i])
			for j, role := range g.Org.Principals {
				way := reach.Way(role)
				switch {
				case hops[i][j] == far && way == nil:
				case len(way) != hops[i][j]:
					t.Fatalf("%d to %d in %d steps, want %d", i, j, len(way), hops[i][j])
				case way[0].Grantee.Principal != start || way[len(way)-1].Target.Role != role:
					t.Fatalf("the way from %d to %d begins or ends elsewhere", i, j)
				}
				for k := 1; k < len(way); k++ {
					if way[k].Grantee.Principal != way[k-1].Target.Role {
						t.Fatalf("the way from %d to %d is broken at step %d", i, j, k)
					}
				}
			}
		}
	})
}

// An entry that is denied lets nobody in.
func TestReachLeavesOutDenied(t *testing.T) {
	g := crossed(2, []int{1})
	g.out[0][0].Verdict = eval.Deny
	if r := g.ReachFrom(g.out[0]); len(r.Order) != 0 || r.Way(g.Org.Principals[1]) != nil {
		t.Errorf("reached %d roles through a denied entry", len(r.Order))
	}
}

const far = 1 << 20

// crossed is a graph of n roles; crossing c leads from role c/n to role c%n.
func crossed(n int, crossings []int) *Graph {
	g := &Graph{Org: &org.Org{}, out: make([][]*Edge, n)}
	for i := range n {
		g.Org.Principals = append(g.Org.Principals, &org.Principal{Index: i})
	}
	for _, c := range slices.Compact(slices.Sorted(slices.Values(crossings))) {
		e := &Edge{Verdict: eval.Allow}
		e.Grantee.Principal, e.Target.Role = g.Org.Principals[c/n], g.Org.Principals[c%n]
		g.out[c/n] = append(g.out[c/n], e)
	}
	return g
}

// distances are the steps, at least one, from each role to each; far where there is no way.
func distances(n int, crossings []int) [][]int {
	d := make([][]int, n)
	for i := range d {
		d[i] = slices.Repeat([]int{far}, n)
	}
	for _, c := range crossings {
		d[c/n][c%n] = 1
	}
	for k := range n {
		for i := range n {
			for j := range n {
				d[i][j] = min(d[i][j], d[i][k]+d[k][j], far)
			}
		}
	}
	return d
}

// TestShortestWay: as long as the search of Paths says, each step one of the crossings, in order.
func TestShortestWay(t *testing.T) {
	found := 0
	for seed := range uint64(20) {
		g := Build(org.Build(randomSnapshot(rand.New(rand.NewPCG(seed, 11)))), Options{})
		for _, from := range g.Org.Principals {
			for _, to := range g.Org.Principals {
				if to.Role == nil || from == to {
					continue
				}
				way := g.ShortestWay(from, to)
				paths, err := g.Paths(from.ARN, to.ARN, PathOptions{MaxSteps: 20, Limit: 1})
				if err != nil {
					t.Fatal(err)
				}
				if (len(paths) == 0) != (way == nil) || len(paths) > 0 && len(paths[0].Steps) != len(way) {
					t.Fatalf("seed %d: %s to %s: a way of %d steps, and paths %v", seed, from.ARN, to.ARN, len(way), paths)
				}
				at := from
				for _, e := range way {
					if !slices.Contains(g.Out(at), e) {
						t.Fatalf("seed %d: %s does not cross to %s", seed, at.ARN, e.Target.ARN)
					}
					at = e.Target.Role
					found++
				}
			}
		}
	}
	if found == 0 {
		t.Error("no way was found, so that nothing was compared")
	}
}
