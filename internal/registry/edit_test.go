package registry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// handWritten is an entry as people write them: comments everywhere, quotes of all kinds, lists of both kinds, a folded text.
const handWritten = `# The registry of the platform team.

# Deploys: ask Ana first.
apiVersion: drawbridge/v1
kind: Trust
metadata:
    name: deploy      # do not rename
    owner: 'ana''s team'
    ticket: "SEC-1"   # the first one
spec:
    purpose: >
        Deploy artifacts
        # no comment

        to production
    # who
    from:
        principals:
            # the old pipeline
            - arn:aws:iam::111122223333:role/ci   # leaves in May
            - "arn:aws:iam::111122223333:role/ci2"
    to: {role: arn:aws:iam::444455556666:role/deploy}
    allow: {actions: [s3:PutObject, ecs:UpdateService], resources: ["arn:aws:s3:::a/*"]}   # all of it
    session: { max: 90m, chaining: forbid }
    expires: 2027-03-31 # after the migration
    # the end
---
# Reports.
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: report, owner: data@example.com}
spec:
  purpose: Reports
    over two lines
  from: {principals: arn:aws:iam::111122223333:role/report}
  to: {role: arn:aws:iam::444455556666:role/report}
  expires:
---
- apiVersion: drawbridge/v1
  kind: Vendor
  metadata: {name: Watchtower}
  spec: {accounts: ["777788889999"], contact: a@example.com}
# the one below
- apiVersion: drawbridge/v1
  kind: Trust
  metadata: {name: listed, owner: x}
  spec: {purpose: p, review: {}}
`

const asJSONText = `{
  "apiVersion": "drawbridge/v1",
  "kind": "Trust",
  "metadata": {"name": "deploy", "owner": "ana"},
  "spec": {
    "purpose": "Deploy \"it\"",
    "from": {
      "principals": [
        "arn:aws:iam::111122223333:role/ci",
        "arn:aws:iam::111122223333:role/ci2"
      ]
    },
    "to": {"role": "arn:aws:iam::444455556666:role/deploy"},
    "expires": "2027-03-31"
  }
}
`

func changed(t *testing.T, text, name string, edits ...string) (string, error) {
	t.Helper()
	var list []Change
	for _, e := range edits {
		c, err := ParseChange(TrustKind, e)
		if err != nil {
			return "", err
		}
		list = append(list, c)
	}
	out, err := Edit("f.yaml", []byte(text), TrustKind, name, list...)
	return string(out), err
}

// Each case is an edit and the lines that differ by it: "-" from the old text, "+" of the new one.
func TestEdit(t *testing.T) {
	for name, c := range map[string]struct{ text, entry, edit, want string }{
		"plain":                       {handWritten, "deploy", "expires=2027-06-30", "-    expires: 2027-03-31 # after the migration\n+    expires: 2027-06-30 # after the migration\n"},
		"in single quotes":            {handWritten, "deploy", "owner=ben's team", "-    owner: 'ana''s team'\n+    owner: 'ben''s team'\n"},
		"in double quotes":            {handWritten, "deploy", `ticket=SEC "2"`, "-    ticket: \"SEC-1\"   # the first one\n+    ticket: \"SEC \\\"2\\\"\"   # the first one\n"},
		"folded":                      {handWritten, "deploy", "purpose=Deploy", "-    purpose: >\n-        Deploy artifacts\n-        # no comment\n-\n-        to production\n+    purpose: Deploy\n"},
		"over two lines":              {handWritten, "report", "purpose=Report: all", "-  purpose: Reports\n-    over two lines\n+  purpose: \"Report: all\"\n"},
		"in a flow mapping":           {handWritten, "deploy", "session.max=1h", "-    session: { max: 90m, chaining: forbid }\n+    session: { max: 1h, chaining: forbid }\n"},
		"without a value":             {handWritten, "report", "expires=2027-01-01", "-  expires:\n+  expires: 2027-01-01\n"},
		"new in a block":              {handWritten, "deploy", "vendor=Watchtower", "+    vendor: Watchtower\n"},
		"new with its block":          {handWritten, "deploy", "review.last=2026-11-23", "+    review: {last: 2026-11-23}\n"},
		"new in a flow mapping":       {handWritten, "report", "ticket=D-1", "-metadata: {name: report, owner: data@example.com}\n+metadata: {name: report, owner: data@example.com, ticket: D-1}\n"},
		"new in an empty mapping":     {handWritten, "listed", "review.last=2026-11-23", "-  spec: {purpose: p, review: {}}\n+  spec: {purpose: p, review: {last: 2026-11-23}}\n"},
		"new, nested":                 {handWritten, "report", "externalId=e-7", "+  trustConditions: {StringEquals: {sts:ExternalId: [e-7]}}\n"},
		"new, of what YAML takes":     {handWritten, "report", "ticket=1234", "-metadata: {name: report, owner: data@example.com}\n+metadata: {name: report, owner: data@example.com, ticket: \"1234\"}\n"},
		"a number":                    {handWritten, "report", "review.reviewers=2", "+  review: {reviewers: 2}\n"},
		"joins a block list":          {handWritten, "deploy", "principals+=arn:aws:iam::111122223333:role/ci3", "+            - \"arn:aws:iam::111122223333:role/ci3\"\n"},
		"leaves a block list":         {handWritten, "deploy", "principals-=arn:aws:iam::111122223333:role/ci", "-            - arn:aws:iam::111122223333:role/ci   # leaves in May\n"},
		"joins a flow list":           {handWritten, "deploy", "actions+=ecs:RunTask", "-    allow: {actions: [s3:PutObject, ecs:UpdateService], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n+    allow: {actions: [s3:PutObject, ecs:UpdateService, ecs:RunTask], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n"},
		"leaves a flow list, first":   {handWritten, "deploy", "actions-=s3:PutObject", "-    allow: {actions: [s3:PutObject, ecs:UpdateService], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n+    allow: {actions: [ecs:UpdateService], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n"},
		"leaves a flow list, last":    {handWritten, "deploy", "actions-=ecs:UpdateService", "-    allow: {actions: [s3:PutObject, ecs:UpdateService], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n+    allow: {actions: [s3:PutObject], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n"},
		"a list of others":            {handWritten, "deploy", "actions=s3:PutObject,s3:GetObject", "-    allow: {actions: [s3:PutObject, ecs:UpdateService], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n+    allow: {actions: [s3:PutObject, s3:GetObject], resources: [\"arn:aws:s3:::a/*\"]}   # all of it\n"},
		"one value becomes a list":    {handWritten, "report", "principals+=arn:aws:iam::111122223333:role/x", "-  from: {principals: arn:aws:iam::111122223333:role/report}\n+  from: {principals: [arn:aws:iam::111122223333:role/report, arn:aws:iam::111122223333:role/x]}\n"},
		"goes":                        {handWritten, "deploy", "ticket=", "-    ticket: \"SEC-1\"   # the first one\n"},
		"goes with its block":         {handWritten, "report", "principals=", "-  from: {principals: arn:aws:iam::111122223333:role/report}\n"},
		"goes from a flow mapping":    {handWritten, "deploy", "session.max=", "-    session: { max: 90m, chaining: forbid }\n+    session: { chaining: forbid }\n"},
		"the last of a flow mapping":  {handWritten, "deploy", "session.chaining=", "-    session: { max: 90m, chaining: forbid }\n+    session: { max: 90m }\n"},
		"is there already":            {handWritten, "deploy", "expires=2027-03-31", ""},
		"long name":                   {handWritten, "deploy", "spec.session.max=1h", "-    session: { max: 90m, chaining: forbid }\n+    session: { max: 1h, chaining: forbid }\n"},
		"JSON":                        {asJSONText, "deploy", "expires=2027-06-30", "-    \"expires\": \"2027-03-31\"\n+    \"expires\": \"2027-06-30\"\n"},
		"JSON, new at the end":        {asJSONText, "deploy", "review.last=2026-11-23", "-    \"expires\": \"2027-03-31\"\n+    \"expires\": \"2027-03-31\",\n+    \"review\": {\"last\": \"2026-11-23\"}\n"},
		"JSON, new between":           {asJSONText, "deploy", "session.max=1h", "+    \"session\": {\"max\": \"1h\"},\n"},
		"JSON, joins a list":          {asJSONText, "deploy", "principals+=arn:aws:iam::111122223333:role/x", "-        \"arn:aws:iam::111122223333:role/ci2\"\n+        \"arn:aws:iam::111122223333:role/ci2\",\n+        \"arn:aws:iam::111122223333:role/x\"\n"},
		"JSON, leaves a list":         {asJSONText, "deploy", "principals-=arn:aws:iam::111122223333:role/ci2", "-        \"arn:aws:iam::111122223333:role/ci\",\n-        \"arn:aws:iam::111122223333:role/ci2\"\n+        \"arn:aws:iam::111122223333:role/ci\"\n"},
		"JSON, leaves a list first":   {asJSONText, "deploy", "principals-=arn:aws:iam::111122223333:role/ci", "-        \"arn:aws:iam::111122223333:role/ci\",\n"},
		"JSON, a list that was empty": {asJSONText, "deploy", "actions+=s3:GetObject", "+    \"allow\": {\"actions\": [\"s3:GetObject\"]},\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := changed(t, c.text, c.entry, c.edit)
			if err != nil {
				t.Fatal(err)
			}
			if d := lineDiff(c.text, got); d != c.want {
				t.Errorf("got\n%swant\n%s", d, c.want)
			}
			// Windows line ends survive as well.
			dos := strings.ReplaceAll(c.text, "\n", "\r\n")
			if again, err := changed(t, dos, c.entry, c.edit); err != nil || again != strings.ReplaceAll(got, "\n", "\r\n") {
				t.Errorf("with CRLF: %v\n%q", err, again)
			}
			// As the last line of a file that has no line end.
			cut := strings.TrimSuffix(c.text, "\n")
			if again, err := changed(t, cut, c.entry, c.edit); err != nil || again != strings.TrimSuffix(got, "\n") {
				t.Errorf("without the last line end: %v\n%q", err, again)
			}
			// Behind a byte order mark.
			if again, err := changed(t, "\ufeff"+c.text, c.entry, c.edit); err != nil || again != "\ufeff"+got {
				t.Errorf("with a byte order mark: %v\n%q", err, again)
			}
		})
	}
}

// lineDiff is the lines that differ, found by what is common at both ends.
func lineDiff(a, b string) string {
	x, y := strings.SplitAfter(a, "\n"), strings.SplitAfter(b, "\n")
	for len(x) > 0 && len(y) > 0 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	for len(x) > 0 && len(y) > 0 && x[len(x)-1] == y[len(y)-1] {
		x, y = x[:len(x)-1], y[:len(y)-1]
	}
	var out strings.Builder
	for _, l := range x {
		out.WriteString("-" + l)
	}
	for _, l := range y {
		out.WriteString("+" + l)
	}
	return out.String()
}

func TestEditRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text, entry, edit string
		want              error
	}{
		"no such entry":     {handWritten, "nobody", "owner=x", ErrNoEntry},
		"a vendor's name":   {handWritten, "Watchtower", "owner=x", ErrNoEntry},
		"no such field":     {handWritten, "deploy", "colour=red", ErrField},
		"the name":          {handWritten, "deploy", "name=x", ErrField},
		"no date":           {handWritten, "deploy", "expires=soon", ErrValue},
		"no span":           {handWritten, "deploy", "session.max=long", ErrValue},
		"no number":         {handWritten, "deploy", "review.reviewers=two", ErrValue},
		"no truth":          {handWritten, "deploy", "breakGlass=yes", ErrValue},
		"no list":           {handWritten, "deploy", "owner+=x", ErrValue},
		"nothing to add":    {handWritten, "deploy", "actions+=", ErrValue},
		"no text":           {handWritten, "deploy", "owner=a\x07", ErrValue},
		"no value":          {handWritten, "deploy", "owner", ErrValue},
		"an anchor":         {strings.Replace(handWritten, "ticket: \"SEC-1\"", "ticket: &t SEC-1", 1), "deploy", "ticket=SEC-2", ErrForm},
		"a list for a text": {strings.Replace(handWritten, "ticket: \"SEC-1\"", "ticket: [SEC-1]", 1), "deploy", "ticket=SEC-2", ErrForm},
		"twice":             {handWritten + "---\n" + handWritten, "deploy", "owner=x", ErrTwice},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := changed(t, c.text, c.entry, c.edit); !errors.Is(err, c.want) {
				t.Errorf("%v", err)
			}
		})
	}
	// The place is that of the file, also where only a part of it was read.
	for _, text := range []string{strings.Replace(handWritten, "owner: data@example.com", "owner: &o data@example.com", 1), "# one\n" + strings.Replace(handWritten, "owner: data@example.com", "owner: &o data@example.com", 1)} {
		line := strings.Count(text[:strings.Index(text, "&o")], "\n") + 1
		if _, err := changed(t, text, "report", "owner=x"); err == nil || !strings.HasPrefix(err.Error(), fmt.Sprintf("f.yaml:%d:", line)) {
			t.Errorf("%v, want line %d", err, line)
		}
	}
	if _, err := changed(t, "kind: [", "x", "owner=x"); err == nil || !strings.Contains(err.Error(), "f.yaml:1") {
		t.Errorf("no YAML: %v", err)
	}
}

func TestRemove(t *testing.T) {
	list := "[\n" + strings.TrimSuffix(asJSONText, "\n") + ",\n" + strings.Replace(asJSONText, `"deploy"`, `"other"`, 1) + "]\n"
	const second = "---\n# Reports.\n"
	at := strings.Index(handWritten, second)
	end := at + strings.Index(handWritten[at+1:], "---\n") + 1
	item := strings.Index(handWritten, "# the one below")
	for name, c := range map[string]struct {
		text, entry string
		kind        Kind
		want        string
	}{
		"the first document": {handWritten, "deploy", TrustKind, "# The registry of the platform team.\n\n" + handWritten[at:]},
		"one between":        {handWritten, "report", TrustKind, handWritten[:at] + handWritten[end:]},
		"an item":            {handWritten, "listed", TrustKind, handWritten[:item]},
		"a vendor":           {handWritten, "Watchtower", VendorKind, strings.Replace(handWritten, handWritten[end+4:item], "", 1)},
		"JSON, the only one": {asJSONText, "deploy", TrustKind, ""},
		"JSON, of a list":    {list, "other", TrustKind, "[\n" + strings.TrimSuffix(asJSONText, "\n") + "\n]\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Remove("f.yaml", []byte(c.text), c.kind, c.entry)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("got\n%s", lineDiff(c.want, string(got)))
			}
		})
	}
	if _, err := Remove("f", []byte(handWritten), TrustKind, "nobody"); !errors.Is(err, ErrNoEntry) {
		t.Error(err)
	}
}

// draws are values that can be written plain, so that there and back is the same text.
var draws = map[form]*rapid.Generator[string]{
	textForm:   rapid.StringMatching(`[a-z]{3,9}(@example\.com)?`),
	listForm:   rapid.StringMatching(`arn:aws:iam::[0-9]{12}:role/[a-z]{2,8}`),
	spanForm:   rapid.SampledFrom([]string{"1h", "90m", "30d", "2w"}),
	dayForm:    rapid.SampledFrom([]string{"2027-01-01", "2028-02-29"}),
	numberForm: rapid.SampledFrom([]string{"1", "2", "7"}),
	truthForm:  rapid.SampledFrom([]string{"true", "false"}),
}

// An edit and back gives the same bytes, and no edit loses a comment of another field.
func TestEditAndBack(t *testing.T) {
	texts := []string{handWritten, asJSONText, strings.ReplaceAll(handWritten, "\n", "\r\n"), string(good(t))}
	names := [][]string{{"deploy", "report", "listed"}, {"deploy"}, {"deploy", "report", "listed"}, {"ci-deploy-prod", "web-release"}}
	rapid.Check(t, func(t *rapid.T) {
		which := rapid.IntRange(0, len(texts)-1).Draw(t, "text")
		text := []byte(texts[which])
		name := rapid.SampledFrom(names[which]).Draw(t, "entry")
		f := rapid.SampledFrom(slices.DeleteFunc(slices.Clone(editables[TrustKind]), func(f editable) bool { return f.name == "" })).Draw(t, "field")
		value := draws[f.form].Draw(t, "value")
		s, u, err := open(Place{File: "f"}, text, TrustKind, name)
		if err != nil {
			t.Fatal(err)
		}
		node := fieldsOf(u.node).find(strings.Fields(f.path)...)
		old, err := s.values(node)
		if err != nil {
			t.Fatal(err)
		}
		there, back := Change{f.name, Set, []string{value}}, Change{f.name, Set, old}
		if f.form == listForm {
			there, back = Change{f.name, Add, []string{value}}, Change{f.name, Drop, []string{value}}
		}
		switch {
		case slices.Contains(old, value), node != nil && len(old) == 0: // there is no way back to a field without a value
			return
		case node != nil && f.form == listForm && node.Kind == yaml.ScalarNode, node != nil && strings.ContainsAny(node.Value, "\n "): // nor to one value without a list, nor to several lines
			return
		}
		if block := fieldsOf(u.node).find(strings.Fields(f.path)[:2]...); block != nil && block.Kind == yaml.MappingNode && len(block.Content) == 0 {
			return // an empty block goes with what was put into it
		}
		once, err := Edit("f", text, TrustKind, name, there)
		if err != nil {
			t.Fatalf("%s=%s: %v", f.name, value, err)
		}
		if a, b := bytes.Count(text, []byte("#")), bytes.Count(once, []byte("#")); a != b {
			t.Fatalf("%s=%s: %d comments, then %d\n%s", f.name, value, a, b, once)
		}
		twice, err := Edit("f", once, TrustKind, name, back)
		if err != nil || !bytes.Equal(twice, text) {
			t.Fatalf("%s=%s and back: %v\n%s", f.name, value, err, lineDiff(string(text), string(twice)))
		}
	})
}

// An entry of a large file is edited without reading the others.
func BenchmarkEdit(b *testing.B) {
	var text strings.Builder
	for n := range 2000 {
		text.WriteString(strings.NewReplacer("name: deploy ", fmt.Sprintf("name: deploy-%04d ", n), "name: report", fmt.Sprintf("name: report-%04d", n), "name: listed", fmt.Sprintf("name: listed-%04d", n)).Replace(handWritten) + "---\n")
	}
	data := []byte(text.String())
	for b.Loop() {
		if _, err := Edit("f", data, TrustKind, "deploy-1234", Change{Field: "expires", Values: []string{"2028-01-01"}}, Change{Field: "review.last", Values: []string{"2026-11-23"}}); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever the text, an edit says what went wrong, or changes this field alone: other entries mean what they meant.
func FuzzEdit(f *testing.F) {
	for _, text := range []string{handWritten, asJSONText, strings.ReplaceAll(handWritten, "\n", "\r\n"), "kind: Trust\nmetadata: {name: deploy}\n--- # x\n- kind: Trust\n"} {
		for _, edit := range []string{"expires=2027-06-30", "principals+=a: b # c", "session.max=", "actions-=s3:PutObject", "review.last=2026-01-01", "purpose=it's \"so\": x # y"} {
			f.Add(text, "deploy", edit)
		}
	}
	f.Fuzz(func(t *testing.T, text, name, edit string) {
		c, err := ParseChange(TrustKind, edit)
		if err != nil {
			return
		}
		before, problems := Parse("f", []byte(text))
		if len(problems) > 0 {
			return
		}
		out, err := Edit("f", []byte(text), TrustKind, name, c)
		if err != nil {
			return
		}
		if less, err := Remove("f", []byte(text), TrustKind, name); err == nil {
			left, problems := Parse("f", less)
			if len(problems) > 0 || len(left.Entries) != len(before.Entries)-1 || len(left.Vendors) != len(before.Vendors) {
				t.Fatalf("%v, %d entries and %d vendors are left\n%s", problems, len(left.Entries), len(left.Vendors), less)
			}
		}
		after, problems := Parse("f", out)
		if len(problems) > 0 {
			t.Fatalf("%v\n%s", problems, out)
		}
		if len(after.Entries) != len(before.Entries) || len(after.Vendors) != len(before.Vendors) {
			t.Fatalf("%d entries became %d\n%s", len(before.Entries), len(after.Entries), out)
		}
		for i := range before.Entries {
			a, b := before.Entries[i], after.Entries[i]
			if a.Name != b.Name {
				t.Fatalf("%q became %q", a.Name, b.Name)
			}
			if a.Name == name {
				continue
			}
			if x, y := meaning(t, a), meaning(t, b); x != y {
				t.Errorf("%s was changed too:\n%s\n%s", a.Name, x, y)
			}
		}
	})
}

// meaning is an entry as it is written by the program.
func meaning(t *testing.T, e Entry) string {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, &Registry{Entries: []Entry{e}}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
