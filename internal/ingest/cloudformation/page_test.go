package cloudformation

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestPage checks that the tables of docs/import-cloudformation.md are those of the reader; -update writes them anew.
func TestPage(t *testing.T) {
	const name = "../../../docs/import-cloudformation.md"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var types, others strings.Builder
	types.WriteString("| type | policy | in the snapshot | ARN |\n|---|---|---|---|\n")
	code := func(list ...string) string {
		list = slices.DeleteFunc(list, func(s string) bool { return s == "" })
		if len(list) == 0 {
			return ""
		}
		return "`" + strings.Join(list, "`, `") + "`"
	}
	for _, r := range slices.SortedFunc(slices.Values(rows), func(a, b row) int { return cmp.Compare(a.Type, b.Type) }) {
		policies := []string{r.Policy}
		for _, a := range r.Also {
			policies = append(policies, a.Policy)
		}
		arn, snapshot := code(r.ARN), r.Snapshot
		if r.Of {
			arn = strings.TrimSpace(arn + " of another")
		}
		if snapshot == r.Type {
			snapshot = ""
		}
		fmt.Fprintf(&types, "| `%s` | %s | %s | %s |\n", r.Type, code(policies...), snapshot, arn)
	}
	others.WriteString("| type | what it is about |\n|---|---|\n")
	for _, typ := range slices.Sorted(maps.Keys(unplaced)) {
		fmt.Fprintf(&others, "| `%s` | %s |\n", typ, unplaced[typ])
	}
	want := between(t, between(t, string(text), "<!-- types -->\n", types.String()), "<!-- unplaced -->\n", others.String())
	if want == string(text) {
		return
	}
	if !*update {
		t.Fatal("the tables of docs/import-cloudformation.md are not those of the reader: go test ./internal/ingest/cloudformation -run TestPage -update")
	}
	if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// between replaces what stands between a mark and the end behind it.
func between(t *testing.T, text, mark, with string) string {
	t.Helper()
	before, rest, found := strings.Cut(text, mark)
	_, after, ended := strings.Cut(rest, "<!-- end -->")
	if !found || !ended {
		t.Fatalf("the page has no place %s", mark)
	}
	return before + mark + with + "<!-- end -->" + after
}
