package review

import (
	"errors"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/finding"
	"drawbridge/internal/registry"
	"drawbridge/internal/usage"
)

var now = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

const role = "arn:aws:iam::444455556666:role/deploy"

func material(t *testing.T) Material {
	t.Helper()
	const entry = "apiVersion: drawbridge/v1\nkind: Trust\nmetadata: {name: NAME, owner: ana}\nspec:\n  purpose: p\n  from: {principals: [arn:aws:iam::111122223333:role/ci]}\n  to: {role: " + role + "}\n  vendor: VENDOR\n  expires: 2027-01-01\n  review: {every: 30d, LAST reviewers: NEEDS}\n---\n"
	text := strings.NewReplacer("NAME", "one", "VENDOR", "Watchtower", "LAST", "last: 2026-10-01,", "NEEDS", "1").Replace(entry) +
		strings.NewReplacer("NAME", "two", "VENDOR", "''", "LAST", "", "NEEDS", "2").Replace(entry) +
		strings.NewReplacer("NAME", "fresh", "VENDOR", "''", "LAST", "last: 2026-11-20,", "NEEDS", "1").Replace(entry)
	r, problems := registry.Parse("r.yaml", []byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return Material{Registry: r, Now: now,
		Items:    []registry.Item{{State: registry.Wider, Entry: &r.Entries[0], Reason: "it allows more"}},
		Usage:    &usage.Record{Crossings: []usage.Crossing{{Caller: "arn:aws:iam::111122223333:role/ci", Target: role, Count: 1, Last: now.AddDate(0, 0, -3)}}},
		Findings: []finding.Finding{{Rule: "EXT-002", Subject: role, Status: finding.Confirmed, Severity: finding.High, Reason: "no ExternalId"}},
	}
}

func TestStart(t *testing.T) {
	for _, c := range []struct {
		scope Scope
		want  string
	}{
		{Scope{}, "one two"}, {Scope{All: true}, "fresh one two"}, {Scope{Vendor: "watchtower"}, "one"}, {Scope{Owner: "ben"}, ""},
		{Scope{Account: "111122223333", All: true}, "fresh one two"}, {Scope{Account: "999988887777", All: true}, ""},
	} {
		var got []string
		for _, i := range Start("q4", c.scope, now, material(t)).Items {
			got = append(got, i.Entry)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%v: %q, want %q", c.scope, got, c.want)
		}
	}
	i := Start("q4", Scope{}, now, material(t)).Items[0]
	if len(i.Stands) != 1 || len(i.Findings) != 1 || i.LastUsed["arn:aws:iam::111122223333:role/ci"] != "2026-11-20" || !strings.Contains(i.Evidence, "silence proves nothing") {
		t.Errorf("%+v", i)
	}
}

// Every way through an item: who decides, in which order, and what comes of it.
func TestDecide(t *testing.T) {
	type act struct {
		entry, by, verdict, reason string
		want                       error
	}
	for name, c := range map[string]struct {
		acts  []act
		entry string
		state State
		out   Verdict
	}{
		"one is enough":                      {[]act{{"one", "ben", "keep", "needed", nil}}, "one", Decided, Keep},
		"the owner may, where one is enough": {[]act{{"one", "ana", "keep", "needed", nil}}, "one", Decided, Keep},
		"two are needed":                     {[]act{{"two", "ben", "keep", "needed", nil}}, "two", Open, ""},
		"the strictest counts":               {[]act{{"two", "ben", "keep", "needed", nil}, {"two", "cem", "remove", "unused", nil}}, "two", Decided, Remove},
		"the owner with another":             {[]act{{"two", "ana", "keep", "needed", nil}, {"two", "cem", "narrow", "wide", nil}}, "two", Decided, Narrow},
		"nobody decides twice":               {[]act{{"two", "ben", "keep", "needed", nil}, {"two", "Ben", "keep", "again", ErrTwice}}, "two", Open, ""},
		"no reason":                          {[]act{{"one", "ben", "keep", " ", ErrReason}}, "one", Open, ""},
		"no name":                            {[]act{{"one", "", "keep", "needed", ErrReason}}, "one", Open, ""},
		"no verdict":                         {[]act{{"one", "ben", "perhaps", "needed", ErrVerdict}}, "one", Open, ""},
		"decided is decided":                 {[]act{{"one", "ben", "keep", "needed", nil}, {"one", "cem", "remove", "no", ErrDecided}}, "one", Decided, Keep},
		"no such item":                       {[]act{{"none", "ben", "keep", "needed", ErrNoItem}}, "one", Open, ""},
	} {
		t.Run(name, func(t *testing.T) {
			campaign := Start("q4", Scope{}, now, material(t))
			for _, a := range c.acts {
				before := campaign.Revision
				err := campaign.Decide(a.entry, Decision{By: a.by, Verdict: Verdict(a.verdict), Reason: a.reason, At: now})
				if !errors.Is(err, a.want) || a.want == nil && err != nil {
					t.Fatalf("%+v: %v", a, err)
				}
				if (campaign.Revision != before) != (err == nil) {
					t.Errorf("%+v: revision %d after %d", a, campaign.Revision, before)
				}
			}
			for i := range campaign.Items {
				if item := &campaign.Items[i]; item.Entry == c.entry && (item.State != c.state || item.Outcome() != c.out || (item.Waits() == "") != (c.state == Decided)) {
					t.Errorf("%s, %q, waits %q", item.State, item.Outcome(), item.Waits())
				}
			}
		})
	}
}

func TestExpire(t *testing.T) {
	c := Start("q4", Scope{}, now.AddDate(0, 0, 14), material(t))
	if err := c.Decide("one", Decision{By: "ben", Verdict: Keep, Reason: "needed", At: now}); err != nil {
		t.Fatal(err)
	}
	if n := c.Expire(now.AddDate(0, 0, 14)); n != 0 {
		t.Errorf("%d escalated at the deadline itself", n)
	}
	if n := c.Expire(now.AddDate(0, 0, 15)); n != 1 || c.Items[0].State != Decided || c.Items[1].State != Escalated {
		t.Errorf("%d escalated, %s and %s", n, c.Items[0].State, c.Items[1].State)
	}
	if err := c.Decide("two", Decision{By: "ben", Verdict: Keep, Reason: "late", At: now}); err != nil {
		t.Errorf("a late decision is refused: %v", err)
	}
}
