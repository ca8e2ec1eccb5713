package finding

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

const twoExceptions = `# Accepted until the vendor supports external ids.
apiVersion: drawbridge/v1
kind: Exception
fingerprint: 0123456789abcdef
owner: platform-team@example.com
reason: |
  The vendor supports external ids from spring on.
expires: 2027-03-31
---
apiVersion: drawbridge/v1
kind: Exception
fingerprint: 1234567890123456
owner: data-team@example.com
reason: Read-only, in a sandbox
expires: 2026-01-31T12:00:00+01:00
`

func TestReadExceptions(t *testing.T) {
	got, err := ReadExceptions("exceptions.yaml", []byte(twoExceptions))
	if err != nil {
		t.Fatal(err)
	}
	want := []Exception{
		{
			Fingerprint: "0123456789abcdef", Owner: "platform-team@example.com",
			Reason:  "The vendor supports external ids from spring on.",
			Expires: time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC), File: "exceptions.yaml", Line: 2,
		},
		{
			Fingerprint: "1234567890123456", Owner: "data-team@example.com", Reason: "Read-only, in a sandbox",
			Expires: time.Date(2026, 1, 31, 11, 0, 0, 0, time.UTC), File: "exceptions.yaml", Line: 10,
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestReadExceptionsEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing accepted\n", "---\n"} {
		if got, err := ReadExceptions("e.yaml", []byte(text)); err != nil || len(got) != 0 {
			t.Errorf("%q: got %v, %v", text, got, err)
		}
	}
}

func TestReadExceptionsMistakes(t *testing.T) {
	const head = "apiVersion: drawbridge/v1\nkind: Exception\n"
	const rest = "owner: a@example.com\nreason: r\nexpires: 2027-03-31\n"
	for name, test := range map[string]struct{ text, want string }{
		"unknown key":      {head + "fingerprint: 0123456789abcdef\nseverity: low\n" + rest, `e.yaml:4: unknown key "severity"`},
		"no reason":        {head + "fingerprint: 0123456789abcdef\nowner: a\nexpires: 2027-03-31\n", "e.yaml:1: the exception lacks reason"},
		"empty owner":      {head + "fingerprint: 0123456789abcdef\nowner: ''\nreason: r\nexpires: 2027-03-31\n", "e.yaml:4: owner is empty"},
		"null owner":       {head + "fingerprint: 0123456789abcdef\nowner:\nreason: r\nexpires: 2027-03-31\n", "e.yaml:4: owner: expected a text"},
		"short print":      {head + "fingerprint: abc\n" + rest, `e.yaml:3: fingerprint "abc"`},
		"upper case print": {head + "fingerprint: 0123456789ABCDEF\n" + rest, "e.yaml:3: fingerprint"},
		"list":             {head + "fingerprint: [0123456789abcdef]\n" + rest, "e.yaml:3: fingerprint: expected a text"},
		"never expires":    {head + "fingerprint: 0123456789abcdef\nowner: a\nreason: r\nexpires: never\n", `e.yaml:6: expires: "never" is no date`},
		"other version":    {"apiVersion: drawbridge/v2\nkind: Exception\nfingerprint: 0123456789abcdef\n" + rest, "e.yaml:1: apiVersion"},
		"other kind":       {"apiVersion: drawbridge/v1\nkind: Trust\nfingerprint: 0123456789abcdef\n" + rest, "e.yaml:2: kind"},
		"twice":            {head + "fingerprint: 0123456789abcdef\n" + rest + "---\n" + head + "fingerprint: 0123456789abcdef\n" + rest, "e.yaml:10: fingerprint 0123456789abcdef has an exception already, on line 3"},
		"a sequence":       {"- a\n", "e.yaml:1: expected an exception"},
		"a word":           {"hello\n", "e.yaml:1: expected an exception"},
		"no YAML":          {"a: [\n", "e.yaml: "},
		"key twice":        {head + "kind: Exception\nfingerprint: 0123456789abcdef\n" + rest, "e.yaml: "},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadExceptions("e.yaml", []byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
			if got != nil {
				t.Errorf("a file with a mistake gave exceptions: %+v", got)
			}
		})
	}
}

func TestApply(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	findings := []Finding{{Fingerprint: "accepted"}, {Fingerprint: "open"}, {Fingerprint: "expired"}, {Fingerprint: "boundary"}}
	exceptions := []Exception{
		{Fingerprint: "accepted", Expires: now.Add(time.Nanosecond)},
		{Fingerprint: "boundary", Expires: now}, // the first moment at which it no longer holds
		{Fingerprint: "expired", Expires: now.AddDate(0, 0, -1)},
		{Fingerprint: "zz-unused-expired", Expires: now.AddDate(0, 0, -1)},
		{Fingerprint: "unused", Expires: now.AddDate(1, 0, 0)},
	}
	j := Apply(findings, exceptions, now)
	prints := func(fs []Finding) (out []string) {
		for _, f := range fs {
			out = append(out, f.Fingerprint)
		}
		return out
	}
	both := func(as []Accepted) (out []string) {
		for _, a := range as {
			if a.Finding.Fingerprint != a.Exception.Fingerprint {
				t.Errorf("finding %s got the exception of %s", a.Finding.Fingerprint, a.Exception.Fingerprint)
			}
			out = append(out, a.Finding.Fingerprint)
		}
		return out
	}
	if got, want := prints(j.Open), []string{"open", "expired", "boundary"}; !reflect.DeepEqual(got, want) {
		t.Errorf("open %v, want %v", got, want)
	}
	if got, want := both(j.Accepted), []string{"accepted"}; !reflect.DeepEqual(got, want) {
		t.Errorf("accepted %v, want %v", got, want)
	}
	if got, want := both(j.Expired), []string{"expired", "boundary"}; !reflect.DeepEqual(got, want) {
		t.Errorf("expired %v, want %v", got, want)
	}
	if len(j.Unused) != 2 || j.Unused[0].Fingerprint != "unused" || j.Unused[1].Fingerprint != "zz-unused-expired" {
		t.Errorf("unused %+v", j.Unused)
	}
}

func TestBaseline(t *testing.T) {
	b, err := ReadBaseline("old.json", []byte(`{"schema":"drawbridge.report/v1","findings":[{"fingerprint":"0123456789abcdef","more":1},{"fingerprint":"ffffffffffffffff"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	now := []Finding{{Fingerprint: "0123456789abcdef"}, {Fingerprint: "aaaaaaaaaaaaaaaa"}}
	if fresh := b.New(now); len(fresh) != 1 || fresh[0].Fingerprint != "aaaaaaaaaaaaaaaa" {
		t.Errorf("new: %+v", fresh)
	}
	if gone := b.Gone(now); len(gone) != 1 || gone[0] != "ffffffffffffffff" {
		t.Errorf("gone: %v", gone)
	}
}

func TestBaselineMistakes(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no JSON":        {"{\n\"schema\": x", "old.json:2: not a JSON report"},
		"wrong type":     {"{\"schema\":\"drawbridge.report/v1\",\n\"findings\":\n7}", "old.json:3: not a JSON report"},
		"broken off":     {`{"schema":"drawbridge.report/v1",`, "old.json:1: not a JSON report"},
		"empty":          {"", "old.json:1: not a JSON report"},
		"other schema":   {`{"schema":"drawbridge.report/v9","findings":[]}`, `schema "drawbridge.report/v9"`},
		"no schema":      {`{"findings":[]}`, `schema ""`},
		"no findings":    {`{"schema":"drawbridge.report/v1"}`, "no list of findings"},
		"no fingerprint": {`{"schema":"drawbridge.report/v1","findings":[{}]}`, "findings[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := ReadBaseline("old.json", []byte(test.text))
			if err == nil || b != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want an error with %q", b, err, test.want)
			}
		})
	}
}

func TestFingerprintTellsApart(t *testing.T) {
	base := Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/a", "x", "y")
	if base != Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/a", "x", "y") || !isFingerprint(base) {
		t.Errorf("%q is not a stable fingerprint", base)
	}
	for _, other := range []string{
		Fingerprint("TRU-002", "arn:aws:iam::111122223333:role/a", "x", "y"),
		Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/b", "x", "y"),
		Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/a", "xy"),
		Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/a", "x", "y", ""),
		Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/a", "y", "x"),
	} {
		if other == base {
			t.Errorf("two problems have the fingerprint %s", base)
		}
	}
	// Exceptions and baselines of users hold fingerprints: a change of the scheme would void them all.
	if got := Fingerprint("TRU-001", "arn:aws:iam::111122223333:role/a"); got != "e4e80be55151a149" {
		t.Errorf("the scheme of fingerprints has changed: %s", got)
	}
}

func FuzzReadExceptions(f *testing.F) {
	f.Add(twoExceptions)
	f.Add("a: &x [*x]\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadExceptions("e.yaml", []byte(text))
		if err != nil && got != nil {
			t.Error("exceptions beside an error")
		}
		for _, e := range got {
			if e.Owner == "" || e.Reason == "" || e.Expires.IsZero() || !isFingerprint(e.Fingerprint) {
				t.Errorf("an incomplete exception was accepted: %+v", e)
			}
		}
	})
}
