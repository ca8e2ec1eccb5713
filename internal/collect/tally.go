package collect

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// tally counts gaps by call and code while accounts are read, so that they need not be held.
type tally struct {
	mu     sync.Mutex
	total  int
	hidden int // of them, those that are only counted
	byKind map[[3]string]*Group
}

func (t *tally) add(account string, gaps []gap) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byKind == nil {
		t.byKind = make(map[[3]string]*Group)
	}
	seen := make(map[*Group]bool)
	for _, g := range gaps {
		t.total++
		key := [3]string{g.Kind, g.Call, g.Code}
		if g.Call == "" {
			key[1] = g.Reason
		}
		group := t.byKind[key]
		if group == nil {
			group = &Group{Kind: g.Kind, Call: g.Call, Code: g.Code, Reason: g.Reason}
			t.byKind[key] = group
		}
		group.Gaps++
		if !seen[group] || account == "" {
			seen[group] = true
			group.Accounts++
		}
	}
}

// hide counts gaps of which nothing but their number is known.
func (t *tally) hide(n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total += n
	t.hidden += n
}

// unread are the policies that could not be read, as gaps: they stand with their resources, and whoever reads the snapshot makes gaps of them.
func unread(resources []resource) []gap {
	var out []gap
	for _, r := range resources {
		if r.Error == nil {
			continue
		}
		g := gap{Kind: "document", Subject: r.ARN, Account: r.Account, Reason: *r.Error}
		if parts := strings.SplitN(*r.Error, ": ", 3); len(parts) > 1 {
			g.Call, g.Code = parts[0], parts[1]
		}
		out = append(out, g)
	}
	return out
}

func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.total
}

// groups are those of most accounts first.
func (t *tally) groups() (total int, out []Group) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, g := range t.byKind {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Accounts, a.Accounts), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Call, b.Call), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Reason, b.Reason))
	})
	return t.total, out
}
