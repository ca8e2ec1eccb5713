package cli

import (
	"fmt"
	"slices"
	"strings"
)

// around is how many lines that stay are shown around those that change.
const around = 3

// unified is the change of a text in the form that diff and patch know, "" where there is none.
func unified(name, before, after string) string {
	if before == after {
		return ""
	}
	ops := edits(strings.SplitAfter(before, "\n"), strings.SplitAfter(after, "\n"))
	var out strings.Builder
	fmt.Fprintf(&out, "--- %s\n+++ %s\n", name, name)
	for at := 0; at < len(ops); {
		for at < len(ops) && ops[at].sign == ' ' {
			at++
		}
		if at == len(ops) {
			break
		}
		// A hunk goes on while the next change is near.
		end, same := at, 0
		for i := at; i < len(ops) && same <= 2*around; i++ {
			if same++; ops[i].sign != ' ' {
				end, same = i+1, 0
			}
		}
		from, to := max(0, at-around), min(len(ops), end+around)
		old, new := 0, 0
		var body strings.Builder
		for _, o := range ops[from:to] {
			if o.sign != '+' {
				old++
			}
			if o.sign != '-' {
				new++
			}
			body.WriteString(string(o.sign) + strings.TrimSuffix(o.line, "\n") + "\n")
			if !strings.HasSuffix(o.line, "\n") {
				body.WriteString("\\ No newline at end of file\n")
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n%s", hunkPlace(ops[from].old, old), hunkPlace(ops[from].new, new), body.String())
		at = end
	}
	return out.String()
}

// hunkPlace is where the lines of a hunk are: the first of them, and how many.
func hunkPlace(first, n int) string {
	if n == 0 {
		first-- // behind this line
	}
	if n == 1 {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d,%d", first, n)
}

// lineEdit is a line that stays, goes or comes, with the numbers that it has in both texts.
type lineEdit struct {
	sign     rune
	line     string
	old, new int
}

// edits are the lines that go and come. Lines that stand once in both texts, and in the same order, are taken to be the same (patience diff);
// between them as few as possible go and come.
func edits(a, b []string) []lineEdit {
	// SplitAfter leaves an empty text behind the last line end.
	a, b = withoutEmpty(a), withoutEmpty(b)
	out := make([]lineEdit, 0, max(len(a), len(b)))
	x, y := 0, 0
	between := func(toX, toY int) {
		for _, e := range fewest(a[x:toX], b[y:toY]) {
			e.old, e.new = e.old+x, e.new+y
			out = append(out, e)
		}
	}
	for _, same := range anchors(a, b) {
		between(same[0], same[1])
		out = append(out, lineEdit{' ', a[same[0]], same[0] + 1, same[1] + 1})
		x, y = same[0]+1, same[1]+1
	}
	between(len(a), len(b))
	return out
}

// anchors are the places of the lines that stand once in both texts: the most of them that are in the same order.
func anchors(a, b []string) [][2]int {
	type places struct{ a, b, inA, inB int }
	seen := map[string]*places{}
	for i, line := range a {
		if seen[line] == nil {
			seen[line] = &places{}
		}
		seen[line].a, seen[line].inA = i, seen[line].inA+1
	}
	for i, line := range b {
		if p := seen[line]; p != nil {
			p.b, p.inB = i, p.inB+1
		}
	}
	var once [][2]int // in order of a
	for i, line := range a {
		if p := seen[line]; p.inA == 1 && p.inB == 1 {
			once = append(once, [2]int{i, p.b})
		}
	}
	// The longest rising row of places in b.
	var ends []int // of the rows of each length, the one that ends lowest
	before := make([]int, len(once))
	for i := range once {
		at, _ := slices.BinarySearchFunc(ends, once[i][1], func(e, place int) int { return once[e][1] - place })
		before[i] = -1
		if at > 0 {
			before[i] = ends[at-1]
		}
		if at == len(ends) {
			ends = append(ends, i)
		} else {
			ends[at] = i
		}
	}
	row := make([][2]int, len(ends))
	if len(ends) > 0 {
		for i, n := ends[len(ends)-1], len(ends)-1; i >= 0; i, n = before[i], n-1 {
			row[n] = once[i]
		}
	}
	return row
}

// mostEdits is up to how many lines that go and come the fewest are looked for; beyond, all of the old ones go and all of the new ones come.
const mostEdits = 2000

// fewest are the fewest lines that go and come (Myers, 1986).
func fewest(a, b []string) []lineEdit {
	var trace [][]int // of each number of edits, how far each diagonal reached before it
	reach := []int{0, 0, 0}
	at := func(v []int, d, k int) int { return v[k+d+1] } // diagonals -d-1 to d+1
	found := false
	for d := 0; !found; d++ {
		if d > mostEdits {
			return replaced(a, b)
		}
		trace = append(trace, reach)
		step := make([]int, 2*d+5)
		for k := -d; k <= d; k += 2 {
			x := at(reach, d, k+1)
			if d > 0 && k != -d && (k == d || at(reach, d, k-1) >= at(reach, d, k+1)) {
				x = at(reach, d, k-1) + 1
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			step[k+d+2] = x
			if x >= len(a) && x-k >= len(b) {
				found = true
				break
			}
		}
		reach = step
	}
	var back []lineEdit
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		before, k := trace[d], x-y
		px, py := 0, 0
		if d > 0 {
			from := k + 1
			if k != -d && (k == d || at(before, d, k-1) >= at(before, d, k+1)) {
				from = k - 1
			}
			px = at(before, d, from)
			py = px - from
		}
		for x > px && y > py {
			back = append(back, lineEdit{' ', a[x-1], x, y})
			x, y = x-1, y-1
		}
		if d > 0 && x == px {
			back = append(back, lineEdit{'+', b[y-1], x + 1, y})
		} else if d > 0 {
			back = append(back, lineEdit{'-', a[x-1], x, y + 1})
		}
		x, y = px, py
	}
	slices.Reverse(back)
	return back
}

// replaced is everything that goes, and everything that comes.
func replaced(a, b []string) []lineEdit {
	var out []lineEdit
	for i, line := range a {
		out = append(out, lineEdit{'-', line, i + 1, 1})
	}
	for i, line := range b {
		out = append(out, lineEdit{'+', line, len(a) + 1, i + 1})
	}
	return out
}

func withoutEmpty(lines []string) []string {
	if n := len(lines); n > 0 && lines[n-1] == "" {
		return lines[:n-1]
	}
	return lines
}
