package registry

import (
	"testing"
	"time"

	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// TestUnused: a trust is unused only where evidence reaches as far as its rhythm.
func TestUnused(t *testing.T) {
	const (
		caller = "arn:aws:iam::111122223333:role/ci"
		target = "arn:aws:iam::444455556666:role/deploy"
	)
	ago := func(days int) time.Time { return today.AddDate(0, 0, -days) }
	covered := func(days int) []usage.Coverage {
		return []usage.Coverage{{Account: "444455556666", From: ago(days), To: today}}
	}
	used := func(days int, by string) []usage.Crossing {
		return []usage.Crossing{{Caller: by, Target: target, Mechanism: "AssumeRole", First: ago(days), Last: ago(days), Count: 1}}
	}
	for name, c := range map[string]struct {
		entry    Entry
		lastUsed time.Time
		record   *usage.Record
		want     State
	}{
		"no evidence at all":               {want: Registered},
		"a record that does not reach":     {record: &usage.Record{Coverage: covered(30)}, want: Registered},
		"nobody came, and all is covered":  {record: &usage.Record{Coverage: covered(100)}, want: Unused},
		"came last week":                   {record: &usage.Record{Coverage: covered(100), Crossings: used(7, caller)}, want: Registered},
		"came long ago":                    {record: &usage.Record{Coverage: covered(300), Crossings: used(120, caller)}, want: Unused},
		"somebody else came":               {record: &usage.Record{Coverage: covered(100), Crossings: used(7, "arn:aws:iam::111122223333:role/other")}, want: Unused},
		"its rhythm is a year":             {entry: Entry{Use: Use{Every: 365 * day}}, record: &usage.Record{Coverage: covered(100)}, want: Registered},
		"break-glass":                      {entry: Entry{BreakGlass: true}, record: &usage.Record{Coverage: covered(100)}, want: Registered},
		"disaster recovery":                {entry: Entry{Category: "disaster-recovery"}, record: &usage.Record{Coverage: covered(100)}, want: Registered},
		"IAM says that nobody came lately": {lastUsed: ago(200), want: Unused},
		"IAM says that somebody came":      {lastUsed: ago(3), want: Registered},
		"IAM knows more than the record":   {lastUsed: ago(3), record: &usage.Record{Coverage: covered(100)}, want: Registered},
		"both agree that another came":     {lastUsed: ago(3), record: &usage.Record{Coverage: covered(100), Crossings: used(3, "arn:aws:iam::111122223333:role/other")}, want: Unused},
	} {
		t.Run(name, func(t *testing.T) {
			entry := c.entry
			entry.From.Principals = []string{caller}
			p := snapshot.Principal{ARN: target, Account: "444455556666", Created: ago(900)}
			role := &org.Principal{Principal: &p, Role: &snapshot.Role{Principal: p, LastUsed: c.lastUsed}}
			item := Item{State: Registered, Entry: &entry, Target: target, Edges: []*access.Edge{{Target: access.Target{ARN: target, Role: role}}}}
			r := reconciler{o: Options{Now: today, Usage: c.record}}
			r.unused(&item)
			if item.State != c.want {
				t.Errorf("%s (%s), want %s", item.State, item.Reason, c.want)
			}
		})
	}
}
