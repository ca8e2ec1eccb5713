package access

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/cond"
)

func TestDiffTrusts(t *testing.T) {
	base := Terms{
		GranteeKind: "role", Grantee: "arn:aws:iam::111122223333:role/ci", Mechanism: "AssumeRole", Target: "arn:aws:iam::444455556666:role/deploy",
		Condition: cond.Demand("sts:ExternalId", "a"), Actions: []string{"sts:AssumeRole"}, MaxSession: time.Hour,
	}
	with := func(change func(*Terms)) Terms {
		n := base
		change(&n)
		return n
	}
	for _, test := range []struct {
		name string
		new  Terms
		want Change
		what string
	}{
		{"a value more", with(func(n *Terms) { n.Condition = cond.Demand("sts:ExternalId", "a", "b") }), Wider, "conditions"},
		{"no condition", with(func(n *Terms) { n.Condition = cond.Always() }), Wider, "conditions: sts:ExternalId is \"a\" → always"},
		{"one demand more", with(func(n *Terms) { n.Condition = n.Condition.And(cond.Demand("aws:SourceAccount", "1")) }), Narrower, "conditions"},
		{"denied now", with(func(n *Terms) { n.Condition = cond.Never() }), Narrower, "never"},
		{"another value", with(func(n *Terms) { n.Condition = cond.Demand("sts:ExternalId", "b") }), Changed, "conditions"},
		{"an action more", with(func(n *Terms) { n.Actions = []string{"sts:AssumeRole", "sts:TagSession"} }), Wider, "actions"},
		{"a pattern of actions", with(func(n *Terms) { n.Actions = []string{"STS:*"} }), Wider, "actions"},
		{"longer session", with(func(n *Terms) { n.MaxSession = 12 * time.Hour }), Wider, "session: 1h0m0s → 12h0m0s"},
		{"shorter session and no condition", with(func(n *Terms) { n.MaxSession, n.Condition = time.Minute, cond.Always() }), Changed, "session"},
		{"what is not understood", with(func(n *Terms) { n.Condition = cond.NotUnderstood("x") }), Changed, "conditions"},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := DiffTrusts([]Terms{base}, []Terms{test.new})
			if len(changes) != 1 || changes[0].Change != test.want || !strings.Contains(strings.Join(changes[0].What, "; "), test.what) {
				t.Errorf("got %+v, want %v with %q", changes, test.want, test.what)
			}
			opposite := map[Change]Change{Wider: Narrower, Narrower: Wider, Changed: Changed}
			if back := DiffTrusts([]Terms{test.new}, []Terms{base}); len(back) != 1 || back[0].Change != opposite[test.want] {
				t.Errorf("backwards: got %+v, want %v", back, opposite[test.want])
			}
		})
	}
	if changes := DiffTrusts([]Terms{base}, []Terms{base}); len(changes) != 0 {
		t.Errorf("a trust differs from itself: %+v", changes)
	}
}

func TestDiffTrustsNewAndGone(t *testing.T) {
	a := Terms{Target: "a", Grantee: "x", Condition: cond.Always()}
	b := Terms{Target: "b", Grantee: "x", Condition: cond.Always()}
	c := Terms{Target: "c", Grantee: "x", Condition: cond.Always()}
	var got []string
	for _, change := range DiffTrusts([]Terms{c, b}, []Terms{b, a}) {
		got = append(got, change.Change.String()+" "+change.terms().Target)
	}
	if want := []string{"new a", "gone c"}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Two edges of one key are one trust: it is open to whoever one of them lets through.
func TestDiffTrustsJoinsOneKey(t *testing.T) {
	one, two := Terms{Condition: cond.Demand("k", "a")}, Terms{Condition: cond.Demand("k", "b")}
	both := Terms{Condition: cond.Demand("k", "a", "b")}
	if changes := DiffTrusts([]Terms{one, two}, []Terms{both}); len(changes) != 0 {
		t.Errorf("got %+v, want no change", changes)
	}
}
