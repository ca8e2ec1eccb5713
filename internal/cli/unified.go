package cli

import (
	"fmt"
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
		old, new, body := 0, 0, ""
		for _, o := range ops[from:to] {
			if o.sign != '+' {
				old++
			}
			if o.sign != '-' {
				new++
			}
			body += string(o.sign) + strings.TrimSuffix(o.line, "\n") + "\n"
			if !strings.HasSuffix(o.line, "\n") {
				body += "\\ No newline at end of file\n"
			}
		}
		fmt.Fprintf(&out, "@@ -%s +%s @@\n%s", hunkPlace(ops[from].old, old), hunkPlace(ops[from].new, new), body)
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

// edits are the fewest lines that go and come (Myers, 1986), between what is the same at both ends.
func edits(a, b []string) []lineEdit {
	// SplitAfter leaves an empty text behind the last line end.
	a, b = withoutEmpty(a), withoutEmpty(b)
	trace := []map[int]int{}
	reach := map[int]int{1: 0}
	found := false
	for d := 0; !found; d++ {
		step := map[int]int{}
		for k := -d; k <= d; k += 2 {
			x := reach[k-1] + 1
			if k == -d || k != d && reach[k-1] < reach[k+1] {
				x = reach[k+1]
			}
			for x < len(a) && x-k < len(b) && a[x] == b[x-k] {
				x++
			}
			step[k] = x
			if x >= len(a) && x-k >= len(b) {
				found = true
				break
			}
		}
		trace = append(trace, reach)
		reach = step
	}
	var back []lineEdit
	x, y := len(a), len(b)
	for d := len(trace) - 1; d >= 0; d-- {
		before, k := trace[d], x-y
		from := k - 1
		if k == -d || k != d && before[k-1] < before[k+1] {
			from = k + 1
		}
		px := before[from]
		py := px - from
		for x > px && y > py && x > 0 && y > 0 {
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
	out := make([]lineEdit, 0, len(back))
	for i := len(back) - 1; i >= 0; i-- {
		out = append(out, back[i])
	}
	return out
}

func withoutEmpty(lines []string) []string {
	if n := len(lines); n > 0 && lines[n-1] == "" {
		return lines[:n-1]
	}
	return lines
}
