package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var today = time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)

func good(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestParse(t *testing.T) {
	r, problems := Parse("good.yaml", good(t))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if len(r.Entries) != 2 || len(r.Vendors) != 1 {
		t.Fatalf("%d entries, %d vendors", len(r.Entries), len(r.Vendors))
	}
	e := r.Entries[0]
	if e.Name != "ci-deploy-prod" || e.Session.Max != 90*time.Minute || e.Use.Every != 90*day || e.Expires.String() != "2027-03-31" || e.Place.Line != 2 || len(e.TrustConditions) != 1 {
		t.Errorf("%+v", e)
	}
	if got := r.Entries[1].From.Sources(); len(got) != 1 || got[0] != "oidc:token.actions.githubusercontent.com:repo:acme/web:ref:refs/heads/main" {
		t.Errorf("sources %q", got)
	}
	if problems := r.Check(CheckOptions{Now: today}); len(problems) > 0 {
		t.Error(problems)
	}
	if !r.Vendors[0].Ended(time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)) || r.Vendors[0].Ended(time.Date(2027, 12, 31, 23, 0, 0, 0, time.UTC)) {
		t.Error("a contract is good for all of its last day")
	}
}

// Each case changes the good file, and names the problem that must be told, with its line.
func TestProblems(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"no YAML":                {"kind: Trust", "kind: [Trust", "f.yaml:"},
		"unknown field":          {"  ticket: SEC-1204", "  tiket: SEC-1204", `f.yaml:7:3: ci-deploy-prod: metadata has no field "tiket": expected name, owner, ticket`},
		"twice":                  {"  dataClass: internal", "  dataClass: internal\n  dataClass: secret", `the field "dataClass" comes twice`},
		"unknown kind":           {"kind: Vendor", "kind: Vendors", `kind "Vendors" is not known`},
		"unknown version":        {"drawbridge/v1\nkind: Vendor", "drawbridge/v9\nkind: Vendor", `apiVersion "drawbridge/v9" is not known`},
		"no span":                {"max: 90m", "max: ninety", `f.yaml:21:18: ci-deploy-prod: max: "ninety" is no length of time`},
		"a tag of AWS":           {"session: {max: 90m", "session: {tags: {'aws:x': y}, max: 90m", "are not yours"},
		"a tag twice":            {"session: {max: 90m", "session: {tags: {Team: y, team: z}, max: 90m", "one tag to AWS"},
		"no tag":                 {"session: {max: 90m", "session: {tags: {'a*': y}, max: 90m", "no name of a tag"},
		"no date":                {"expires: 2027-03-31\n  review", "expires: soon\n  review", `"soon" is no date`},
		"unknown operator":       {"StringEquals: {sts:ExternalId", "StringSounds: {sts:ExternalId", `condition operator "StringSounds" is not known`},
		"no owner":               {"  owner: platform-team@example.com # answers\n", "", "metadata.owner is missing"},
		"no purpose":             {"  purpose: Deploy release artifacts to production\n", "", "spec.purpose is missing"},
		"wildcard principal":     {"role/ci-deploy]", "role/*]", "has a wildcard"},
		"whole account":          {"[arn:aws:iam::111111111111:role/ci-deploy]", `["111111111111"]`, "is a whole account"},
		"whole service":          {"s3:PutObject, ", "s3:*, ", `"s3:*" opens a whole service`},
		"category":               {"category: ci-deploy\n  from:\n    principals", "category: ci\n  from:\n    principals", `spec.category "ci" is not known`},
		"two of a name":          {"name: web-release", "name: ci-deploy-prod", "the name is taken already at f.yaml:2"},
		"needs more than max":    {"max: 90m", "max: 60m", "spec.use.needs 1h30m is longer than spec.session.max 1h"},
		"chained for too long":   {"chaining: forbid", "chaining: allow", "AWS ends a chained session after an hour"},
		"own approver":           {"group:release-managers", "platform-team@example.com", "the owner platform-team@example.com alone would approve"},
		"own request":            {"within: 30m", "within: 30m, requestedBy: ana, approvedBy: ana", "ana approved their own request"},
		"review too rare":        {"review: {every: 90d}", "review: {every: 200d}", "spec.review.every 200d is longer than 90d"},
		"expired":                {"expires: 2027-03-31\n  review", "expires: 2026-11-22\n  review", "expired on 2026-11-22"},
		"unknown vendor":         {"dataClass: internal", "vendor: Nobody", `there is no vendor "Nobody"`},
		"vendor without id":      {"trustConditions: {StringEquals: {sts:ExternalId: deploy-xacct-2025}}", "vendor: Watchtower", "no sts:ExternalId is demanded"},
		"everybody's repository": {"repo:acme/web:ref:refs/heads/main", "*", "lets in everybody of the issuer"},
		"nobody is told":         {"escalate: [ciso@example.com], ", "", "nobody is told before the trust is stopped"},
		"account id":             {`"777788889999"`, `"7777"`, `"7777" is no account id`},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(string(good(t)), c.from, c.to, 1)
			if text == string(good(t)) {
				t.Fatal("the case changes nothing")
			}
			r, problems := Parse("f.yaml", []byte(text))
			problems = append(problems, r.Check(CheckOptions{Now: today})...)
			var all []string
			for _, p := range problems {
				all = append(all, p.Error())
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("want %q, got\n%s", c.want, got)
			}
		})
	}
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]time.Duration{"90m": 90 * time.Minute, "1h30m": 90 * time.Minute, "90d": 90 * day, "2w": 14 * day, "12h": 12 * time.Hour} {
		d, err := ParseSpan(text)
		if err != nil || d != want {
			t.Errorf("%s: %v, %v", text, d, err)
		}
		if again, err := ParseSpan(FormatSpan(d)); err != nil || again != d {
			t.Errorf("%s is written as %q", text, FormatSpan(d))
		}
	}
	for _, text := range []string{"", "d", "-1d", "1y", "90", "99999999d"} {
		if d, err := ParseSpan(text); err == nil {
			t.Errorf("%q is read as %v", text, d)
		}
	}
}

// asJSON is a YAML document as JSON; dates stay text.
func asJSON(t *testing.T, text []byte) []byte {
	t.Helper()
	var n yaml.Node
	if err := yaml.Unmarshal(text, &n); err != nil {
		t.Fatal(err)
	}
	var value func(n *yaml.Node) any
	value = func(n *yaml.Node) any {
		switch {
		case n.Kind == yaml.MappingNode:
			m := map[string]any{}
			for _, f := range fieldsOf(n) {
				m[f.key.Value] = value(f.value)
			}
			return m
		case n.Kind == yaml.SequenceNode:
			list := []any{}
			for _, item := range n.Content {
				list = append(list, value(item))
			}
			return list
		case n.Tag == "!!int" || n.Tag == "!!bool":
			return json.RawMessage(n.Value)
		}
		return n.Value
	}
	out, err := json.Marshal(value(n.Content[0]))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/registry.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(asJSON(t, text)))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	for _, d := range bytes.Split(good(t), []byte("---\n")) {
		if err := check(d); err != nil {
			t.Error(err)
		}
		if check(append(bytes.Clone(d), "surprise: 1\n"...)) == nil {
			t.Error("an unknown field is accepted")
		}
	}
}

// JSON is the same format.
func TestParseJSON(t *testing.T) {
	var list []json.RawMessage
	for _, d := range bytes.Split(good(t), []byte("---\n")) {
		list = append(list, asJSON(t, d))
	}
	text, err := json.MarshalIndent(list, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	r, problems := Parse("f.json", text)
	if len(problems) > 0 || len(r.Entries) != 2 || len(r.Vendors) != 1 {
		t.Errorf("%d entries, %d vendors, %v", len(r.Entries), len(r.Vendors), problems)
	}
}

func FuzzParse(f *testing.F) {
	text, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text))
	f.Add("kind: Trust\nspec: {from: {oidc: }}\n---\n- kind: Vendor\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, problems := Parse("f", []byte(text))
		for _, p := range append(problems, r.Check(CheckOptions{Now: today})...) {
			if p.Line < 1 || p.Column < 1 {
				t.Errorf("%v has no place", p)
			}
		}
	})
}

// What is written is read back, and written again the same.
func TestWriteIsReadBack(t *testing.T) {
	r, problems := Parse("good.yaml", good(t))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var first bytes.Buffer
	if err := Write(&first, r); err != nil {
		t.Fatal(err)
	}
	again, problems := Parse("written.yaml", first.Bytes())
	if len(problems) > 0 {
		t.Fatalf("%v\n%s", problems, first.String())
	}
	var second bytes.Buffer
	if err := Write(&second, again); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() {
		t.Errorf("written twice:\n%s\n%s", first.String(), second.String())
	}
	for i := range r.Entries {
		a, b := r.Entries[i], again.Entries[i]
		a.Place, b.Place = Place{}, Place{}
		if x, y := fmt.Sprintf("%+v", a.From)+fmt.Sprintf("%+v %+v %+v %v", a.Session, a.Use, a.Approval, a.Expires), fmt.Sprintf("%+v", b.From)+fmt.Sprintf("%+v %+v %+v %v", b.Session, b.Use, b.Approval, b.Expires); a.From.OIDC == nil && x != y {
			t.Errorf("%s\n%s", x, y)
		}
		if got, want := b.Missing(), a.Missing(); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s misses %v, before %v", a.Name, got, want)
		}
	}
}

// A draft marks what a person must supply, and can be read.
func TestWriteMarksWhatIsMissing(t *testing.T) {
	var b bytes.Buffer
	r := &Registry{Entries: []Entry{{Name: "x", From: From{Principals: []string{"111122223333"}}, To: To{Role: "arn:aws:iam::444455556666:role/r"}, Comment: "Found: somewhere"}}}
	if err := Write(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Found: somewhere", "owner: \"\" # TODO", "purpose: \"\" # TODO", "expires: \"\" # TODO", `["111122223333"]`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	again, problems := Parse("f.yaml", b.Bytes())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	if got := fmt.Sprint(again.Entries[0].Missing()); got != "[metadata.owner spec.purpose spec.expires]" {
		t.Errorf("missing %s", got)
	}
}

func TestCSV(t *testing.T) {
	const sheet = "\xef\xbb\xbfEntry;Team;Trusted Account;Role ARN;Reason;End Date;External-ID;Session;Colour\r\n" +
		"vendor;sec@example.com;11122223333;arn:aws:iam::444455556666:role/v;monitoring;31.03.2027;x-1;1h;red\r\n" +
		"two;;arn:aws:iam::111122223333:role/a, arn:aws:iam::111122223333:role/b;arn:aws:iam::444455556666:role/w;;03/04/2027;;;\r\n" +
		";;nobody;nothing;;;;soon;\r\n"
	r, unknown, problems := ImportCSV("trusts.csv", []byte(sheet))
	if fmt.Sprint(unknown) != "[Colour]" || len(r.Entries) != 3 {
		t.Fatalf("unknown %v, %d entries", unknown, len(r.Entries))
	}
	e := r.Entries[0]
	if e.Name != "vendor" || e.From.Principals[0] != "011122223333" || e.Expires.String() != "2027-03-31" || e.Session.Max != time.Hour || externalID(&e) != "x-1" {
		t.Errorf("%+v", e)
	}
	if e = r.Entries[1]; len(e.From.Principals) != 2 {
		t.Errorf("principals %q", e.From.Principals)
	}
	var all []string
	for _, p := range problems {
		all = append(all, p.Error())
	}
	text := strings.Join(all, "\n")
	for _, want := range []string{`trusts.csv:3:`, `"03/04/2027" is no date that has one meaning`, `trusts.csv:4:`, `"nobody" is neither an ARN`, `target: not an ARN`, `"soon" is no length of time`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	var out bytes.Buffer
	if err := ExportCSV(&out, r); err != nil {
		t.Fatal(err)
	}
	again, unknown, problems := ImportCSV("again.csv", out.Bytes())
	if len(unknown)+len(problems) > 0 {
		t.Fatal(unknown, problems)
	}
	var twice bytes.Buffer
	if err := ExportCSV(&twice, again); err != nil {
		t.Fatal(err)
	}
	if out.String() != twice.String() {
		t.Errorf("exported twice:\n%s\n%s", out.String(), twice.String())
	}
}

func FuzzImportCSV(f *testing.F) {
	f.Add("name,source,target\na,111122223333,arn:aws:iam::444455556666:role/r\n")
	f.Add("\"a\n;b;\"\";c")
	f.Fuzz(func(t *testing.T, text string) {
		_, _, problems := ImportCSV("f", []byte(text))
		for _, p := range problems {
			if p.Line < 1 || p.Column < 1 {
				t.Errorf("%v has no place", p)
			}
		}
	})
}

// TestOfBroker: a name that only a broker knows is exact; what looks like one and is not is a mistake of the entry.
func TestOfBroker(t *testing.T) {
	for p, want := range map[string]bool{
		"broker:acme-backup": true, "spiffe://acme.example/ns/prod/sa/deploy": true, "spiffe://acme.example/x": true,
		"broker:": false, "broker:Acme": false, "broker:*": false, "broker:a:b": false, "spiffe://acme.example": false, "spiffe://acme.example/": false, "spiffe://acme.example/*": false, "spiffe://Acme.example/x": false,
		"spiffe://acme.example/a//b": false, "spiffe://acme.example:8443/x": false, "spiffe://a/x?y": false, "https://acme.example/x": false, "arn:aws:iam::111111111111:role/x": false, "111111111111": false,
	} {
		if OfBroker(p) != want {
			t.Errorf("%s: %v", p, !want)
		}
		e := Entry{Name: "x", Owner: "ann", From: From{Principals: []string{p}}, To: To{Role: "arn:aws:iam::222222222222:role/r"}}
		wrong := strings.Contains(fmt.Sprint((&Registry{Entries: []Entry{e}}).Check(CheckOptions{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)})), "spec.from.principals: \"")
		if is := !want && !strings.HasPrefix(p, "arn:") && p != "111111111111"; wrong != is {
			t.Errorf("%s: it is a mistake: %v", p, wrong)
		}
	}
}
