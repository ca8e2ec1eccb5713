package usage

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"drawbridge/internal/snapshot"
)

// drawEvents are events of a few callers, with both sides of some calls.
func drawEvents(t *rapid.T) []Event {
	var events []Event
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range rapid.IntRange(0, 30).Draw(t, "events") {
		e := Event{
			ID: fmt.Sprint("e", i), Time: start.Add(time.Duration(rapid.IntRange(0, 40*24).Draw(t, "hour")) * time.Hour), Account: "444455556666",
			Caller: rapid.SampledFrom([]string{"arn:aws:iam::111122223333:role/a", "arn:aws:iam::111122223333:role/b", ""}).Draw(t, "caller"), CallerAccount: "111122223333",
			Action: rapid.SampledFrom([]string{"sts:AssumeRole", "s3:GetObject"}).Draw(t, "action"), Denied: rapid.IntRange(0, 3).Draw(t, "denied") == 0,
			Session: time.Duration(rapid.IntRange(0, 2).Draw(t, "session")) * time.Hour,
		}
		e.Target, e.TargetAccount = "arn:aws:iam::444455556666:role/r", "444455556666"
		if rapid.IntRange(0, 2).Draw(t, "two sides") == 0 && e.Caller != "" {
			e.Shared = fmt.Sprint("s", i)
			other := e
			other.ID, other.Caller, other.Account = e.ID+"b", "", "444455556666"
			e.Account = "111122223333"
			events = append(events, other)
		}
		events = append(events, e)
	}
	return events
}

func built(events []Event) string {
	b := NewBuilder(nil)
	for i := range events {
		b.Add(&events[i])
	}
	out, err := Marshal(b.Record())
	if err != nil {
		panic(err)
	}
	return string(out)
}

// The order of events, and events that come twice, make no difference.
func TestOrderMakesNoDifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		want := built(events)
		mixed := append(append([]Event(nil), events...), events...)
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		r.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := built(mixed); got != want {
			t.Fatalf("shuffled and twice:\n%s\n%s", got, want)
		}
	})
}

// Records of parts that share no call merge to the record of the whole, either way round.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		for i := range events {
			events[i].Shared = "" // the two sides of a call belong into one part
		}
		cut := rapid.IntRange(0, len(events)).Draw(t, "cut")
		part := func(list []Event) *Record {
			b := NewBuilder(nil)
			for i := range list {
				b.Add(&list[i])
			}
			return b.Record()
		}
		text := func(r *Record) string {
			r.Coverage = nil // stretches of days that meet stay two
			out, err := Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			return string(out)
		}
		want := text(part(events))
		if got := text(Merge(part(events[:cut]), part(events[cut:]))); got != want {
			t.Fatalf("merged:\n%s\n%s", got, want)
		}
		if got := text(Merge(part(events[cut:]), part(events[:cut]))); got != want {
			t.Fatalf("merged the other way round:\n%s\n%s", got, want)
		}
	})
}

func TestCovers(t *testing.T) {
	day := func(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		coverage []Coverage
		want     bool
	}{
		"all of it":         {[]Coverage{{Account: "1", From: day(1), To: day(30)}}, true},
		"in two stretches":  {[]Coverage{{Account: "1", From: day(1), To: day(15)}, {Account: "1", From: day(16), To: day(30)}}, true},
		"with a hole":       {[]Coverage{{Account: "1", From: day(1), To: day(10)}, {Account: "1", From: day(20), To: day(30)}}, false},
		"ends too early":    {[]Coverage{{Account: "1", From: day(1), To: day(20)}}, false},
		"begins too late":   {[]Coverage{{Account: "1", From: day(9), To: day(30)}}, false},
		"of another one":    {[]Coverage{{Account: "2", From: day(1), To: day(30)}}, false},
		"of all accounts":   {[]Coverage{{From: day(1), To: day(30)}}, true},
		"a region missing":  {[]Coverage{{Account: "1", From: day(1), To: day(30), RegionsMissing: []string{"eu-west-3"}}}, false},
		"no trail":          {[]Coverage{{Account: "1", Missing: true}}, false},
		"nothing is known":  {nil, false},
		"without beginning": {[]Coverage{{Account: "1", To: day(30)}}, true},
	} {
		if got := (&Record{Coverage: c.coverage}).Covers("1", day(5), day(30)); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	var none *Record
	if none.Covers("1", day(1), day(2)) || none.Known("1") || !none.LastUse("x", Anybody).IsZero() {
		t.Error("no record covers something")
	}
}

func TestOf(t *testing.T) {
	r := Of([]snapshot.Usage{
		{Fields: map[string]any{"time": "2026-01-10T00:00:00Z", "event": "AssumeRole", "principal": "a", "target": "r", "result": "success"}},
		{Fields: map[string]any{"time": "2026-01-12T00:00:00Z", "event": "AssumeRole", "principal": "a", "target": "r", "result": "AccessDenied"}},
		{Fields: map[string]any{"time": "2026-01-11T00:00:00Z", "event": "AssumeRole", "principal": "a", "target": "r", "request": nil}},
		{Fields: map[string]any{"coverage": "1", "from": "2026-01-01T00:00:00Z", "regionsMissing": []any{"eu-west-3", 7}}},
		{Fields: map[string]any{"time": "soon", "event": "AssumeRole", "principal": "a", "target": "r"}},
		{Fields: map[string]any{"accessAdvisor": "r"}},
	})
	if len(r.Crossings) != 1 || len(r.Coverage) != 1 {
		t.Fatalf("%+v", r)
	}
	c := r.Crossings[0]
	if c.Count != 2 || c.Denied != 1 || c.Unapproved != 1 || c.Last.Day() != 11 || c.First.Day() != 10 || len(r.Coverage[0].RegionsMissing) != 1 {
		t.Errorf("%+v, %+v", c, r.Coverage[0])
	}
}
