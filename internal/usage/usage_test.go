package usage

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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
	b := NewBuilder(nil, Options{})
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

// part is the record of some events, of a file of its own.
func part(file string, events []Event) *Record {
	b := NewBuilder(nil, Options{})
	b.Known(file)
	for i := range events {
		b.Add(&events[i])
	}
	return b.Record()
}

func merged(t interface{ Fatal(...any) }, a, b *Record) *Record {
	r, err := Merge(a, b)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func text(t interface{ Fatal(...any) }, r *Record) string {
	out, err := Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out) + fmt.Sprintf("%+v", r.Crossings)
}

// Parts merge to the record of the whole, in any order and any grouping, also where the two sides of a call are in different ones, and
// where records go through their files in between. To merge again changes nothing.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		parts := [3][]Event{}
		for _, e := range events {
			n := rapid.IntRange(0, 2).Draw(t, "part")
			parts[n] = append(parts[n], e)
		}
		whole := NewBuilder(nil, Options{})
		var records [3]*Record
		for n, list := range parts {
			file := fmt.Sprint("file ", n)
			whole.Known(file)
			for i := range list {
				whole.Add(&list[i])
			}
			records[n] = part(file, list)
			if rapid.Bool().Draw(t, "through a file") {
				data, err := Marshal(records[n])
				if err != nil {
					t.Fatal(err)
				}
				if records[n], err = Unmarshal(data); err != nil {
					t.Fatal(err)
				}
			}
		}
		want := text(t, whole.Record())
		a, b, c := records[0], records[1], records[2]
		left := merged(t, merged(t, a, b), c)
		for name, r := range map[string]*Record{
			"(ab)c": left, "a(bc)": merged(t, a, merged(t, b, c)), "(ca)b": merged(t, merged(t, c, a), b), "(ab)c a": merged(t, left, a),
			"c (ab)c": merged(t, c, left), "(ab)c twice": merged(t, left, left),
		} {
			if got := text(t, r); got != want {
				t.Fatalf("%s:\n%s\nexpected\n%s", name, got, want)
			}
		}
	})
}

func TestMergeOfOverlaps(t *testing.T) {
	a := &Record{Files: []string{"1", "2"}}
	if _, err := Merge(a, &Record{Files: []string{"2", "3"}}); !errors.Is(err, ErrOverlap) || !strings.Contains(err.Error(), "2 the first") {
		t.Error(err)
	}
	if r := merged(t, a, nil); len(r.Files) != 2 {
		t.Errorf("%+v", r)
	}
	if r := merged(t, nil, nil); r == nil {
		t.Error("two records of nothing are none")
	}
	x, y := DefaultPolicy(), DefaultPolicy()
	y.Users = Drop
	if r := merged(t, &Record{Files: []string{"1"}, Policies: []Policy{x}}, &Record{Files: []string{"2"}, Policies: []Policy{y}}); len(r.Policies) != 2 {
		t.Errorf("%+v", r.Policies)
	}
}

// More than a record lists is said; the lists do not depend on the order.
func TestBounds(t *testing.T) {
	var events []Event
	for i := range 300 {
		events = append(events, Event{ID: fmt.Sprint(i), Time: time.Date(2026, 1, 1, i, 0, 0, 0, time.UTC), Caller: "oidc:h:a:b", Action: "sts:AssumeRoleWithWebIdentity",
			Target: "arn:aws:iam::444455556666:role/r", Session: time.Duration(900+i) * time.Second, Source: fmt.Sprintf("198.51.%d.7", i)})
	}
	c := part("1", events).Crossings[0]
	if len(c.Sessions) != Listed || len(c.Networks) != Listed || !c.MoreNetworks || !c.MoreSessions || c.MoreIdentities || c.Days.Len() != 13 {
		t.Errorf("%+v", c)
	}
	want := text(t, merged(t, part("1", events[:150]), part("2", events[150:])))
	slices.Reverse(events)
	if got := text(t, merged(t, part("1", events[150:]), part("2", events[:150]))); got != want {
		t.Errorf("%s\n%s", got, want)
	}
}

// What a builder does not hold in memory counts as what it holds.
func TestSpilledHalves(t *testing.T) {
	var events []Event
	for i := range held + 100 {
		shared := fmt.Sprint("s", i)
		at := time.Date(2026, 1, 1, 0, 0, i, 0, time.UTC)
		events = append(events, Event{Shared: shared, Time: at, Account: "1", Caller: "arn:aws:iam::1:role/a", CallerAccount: "1", Action: "sts:AssumeRole", Target: "arn:aws:iam::2:role/r", TargetAccount: "2"})
		if i%2 == 0 {
			events[len(events)-1].Caller = ""
		}
	}
	for _, e := range slices.Clone(events[:200]) {
		e.Caller = "arn:aws:iam::1:role/a"
		events = append(events, e)
	}
	r := part("1", events)
	count := 0
	for _, c := range r.Crossings {
		count += c.Count
	}
	named := r.Crossings[1]
	if count != held+100 || named.Count != held/2+50+100 || len(r.Pending) != Waiting || r.Actions[0].Count != named.Count {
		t.Errorf("%d calls, %+v, %d pending, actions %+v", count, named, len(r.Pending), r.Actions)
	}
}

// What is too old is gone from a record that was made before, and from what comes: both give the same days.
func TestSince(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := drawEvents(t)
		cut := time.Date(2026, 1, 1+rapid.IntRange(0, 40).Draw(t, "cut"), 5, 0, 0, 0, time.UTC)
		day := Day(cut)
		old := part("1", events).Since(cut)
		b := NewBuilder(nil, Options{Before: cut})
		for i := range events {
			b.Add(&events[i])
		}
		young := b.Record()
		if len(old.Crossings) != len(young.Crossings) || len(old.Actions) != len(young.Actions) || len(old.Seen) != len(young.Seen) || len(old.Pending) != len(young.Pending) {
			t.Fatalf("%+v\n%+v", old, young)
		}
		for i := range old.Crossings {
			x, y := &old.Crossings[i], &young.Crossings[i]
			if x.key() != y.key() || fmt.Sprint(x.Days.texts()) != fmt.Sprint(y.Days.texts()) || Day(x.First) < day || x.Last != y.Last && Day(x.Last) >= day {
				t.Fatalf("%+v\n%+v", x, y)
			}
		}
		again := NewBuilder(part("1", events), Options{Before: cut}).Record()
		if got, want := text(t, again), text(t, old); got != want {
			t.Fatalf("%s\n%s", got, want)
		}
	})
}

func TestDays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := map[int]bool{}
		var a, b Days
		for _, day := range rapid.SliceOf(rapid.IntRange(firstDay, firstDay+400)).Draw(t, "days") {
			want[day] = true
			if day%2 == 0 {
				a.Add(day)
			} else {
				b.Add(day)
			}
		}
		a.Union(b)
		back, err := ParseDays(a.texts())
		if err != nil || back.Len() != len(want) || a.Len() != len(want) {
			t.Fatalf("%v, %d days of %d", err, back.Len(), len(want))
		}
		cut := rapid.IntRange(firstDay-5, firstDay+405).Draw(t, "cut")
		from := a.From(cut)
		for day := firstDay - 70; day < firstDay+470; day++ {
			if back.Has(day) != want[day] || from.Has(day) != (want[day] && day >= cut) {
				t.Fatalf("day %d", day)
			}
		}
	})
	for _, bad := range []string{"2026-02-30", "2026-01-02/2026-01-01", "1999-01-01", "9999-01-01", "", "2026-01-01/"} {
		if _, err := ParseDays([]string{bad}); err == nil {
			t.Errorf("%q is taken for days", bad)
		}
	}
}

func TestPolicy(t *testing.T) {
	const user, subject, person = "arn:aws:iam::111122223333:user/staff/ana", "oidc:token.actions.githubusercontent.com:repo:acme/web:ref:refs/heads/main", "oidc:accounts.google.com:ana@example.com"
	hashing, err := Policy{Users: Hash, Subjects: Hash, SourceIdentities: Hash}.WithKey([]byte("0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	other, err := Policy{Users: Hash, Subjects: Hash, SourceIdentities: Hash}.WithKey([]byte("0123456789abcdeF"))
	if err != nil || other.KeyID == hashing.KeyID || other.Caller(user) == hashing.Caller(user) {
		t.Errorf("another key gives the same, %v", err)
	}
	if _, err := (Policy{Users: Hash}).WithKey([]byte("short")); err == nil {
		t.Error("a short key is taken")
	}
	careful := DefaultPolicy()
	drop := Policy{Users: Drop, Subjects: Drop, SourceIdentities: Drop}
	for _, c := range []struct {
		policy      Policy
		caller, got string
	}{
		{careful, user, user}, {careful, subject, subject}, {careful, person, "oidc:accounts.google.com:#"},
		{drop, user, "arn:aws:iam::111122223333:user/#"}, {drop, subject, "oidc:token.actions.githubusercontent.com:#"}, {drop, "arn:aws:iam::1:role/x", "arn:aws:iam::1:role/x"},
		{hashing, user, "arn:aws:iam::111122223333:user/#" + hashing.hash("staff/ana")}, {drop, "111122223333", "111122223333"},
	} {
		got := c.policy.Caller(c.caller)
		if got != c.got || c.policy.Caller(got) != got {
			t.Errorf("%s becomes %s, expected %s", c.caller, got, c.got)
		}
		if !May(got, c.caller) || May(got, "arn:aws:iam::999988887777:user/x") {
			t.Errorf("%s is not taken for %s, or for everybody", got, c.caller)
		}
	}
	if careful.SourceIdentity("ana") != "" || hashing.SourceIdentity("ana") == "ana" || (&Policy{SourceIdentities: Keep}).SourceIdentity("ana") != "ana" {
		t.Error("source identities are not left out")
	}
	if err := (&Policy{Users: "some", Subjects: Keep, SourceIdentities: Keep}).Check(); err == nil {
		t.Error("a choice that is not known is taken")
	}
	if err := careful.Check(); err != nil {
		t.Error(err)
	}
}

func TestNetwork(t *testing.T) {
	for source, want := range map[string]string{
		"198.51.100.77": "198.51.100.0/24", "2001:db8:1:2::3": "2001:db8:1::/48", "::ffff:198.51.100.77": "198.51.100.0/24", "fe80::1%eth0": "fe80::/48",
		"EC2.amazonaws.com": "ec2.amazonaws.com", "AWS Internal": "aws internal", "": "", "ana's laptop": "", "evil.example": "", "198.51.100.0/24": "",
	} {
		if got := Network(source); got != want {
			t.Errorf("%q is in %q, expected %q", source, got, want)
		}
	}
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
		{Fields: map[string]any{"accessAdvisor": "r", "used": []any{"s3"}, "window": 90.0}},
		{Fields: map[string]any{"accessAdvisor": "idle", "unused": []any{"s3"}, "window": 90.0}},
	})
	if len(r.Crossings) != 1 || len(r.Coverage) != 1 {
		t.Fatalf("%+v", r)
	}
	at := time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		role        string
		days        int
		used, known bool
	}{{"r", 90, true, true}, {"r", 30, false, false}, {"idle", 90, false, true}, {"idle", 91, false, false}, {"other", 1, false, false}} {
		if used, known := merged(t, r, nil).Services(c.role, at.AddDate(0, 0, -c.days), at); used != c.used || known != c.known {
			t.Errorf("%+v: used %v, known %v", c, used, known)
		}
	}
	c := r.Crossings[0]
	if c.Count != 2 || c.Denied != 1 || c.Unapproved != 1 || c.Last.Day() != 11 || c.First.Day() != 10 || len(r.Coverage[0].RegionsMissing) != 1 {
		t.Errorf("%+v, %+v", c, r.Coverage[0])
	}
}
