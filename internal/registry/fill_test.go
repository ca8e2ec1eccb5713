package registry

import (
	"strings"
	"testing"
)

const drafted = `# Found: a
apiVersion: drawbridge/v1
kind: Trust
metadata:
  name: one
  owner: "" # TODO: a person or team that answers
spec:
  purpose: "" # TODO: why it exists
  from: {principals: ["111122223333"]} # the old account
  to: {role: "arn:aws:iam::444455556666:role/a"}
  expires: "" # TODO: the last day, YYYY-MM-DD
---
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: two, owner: 'ops' } # kept
spec:
  purpose: old
  from: {principals: ["111122223333"]}
  to: {role: "arn:aws:iam::444455556666:role/b"}
  use: {every: 7d}
`

func TestFill(t *testing.T) {
	r, problems := Parse("f.yaml", []byte(drafted))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	sheet, unknown, problems := ImportCSV("s.csv", []byte("name,team,why,until,every,source\n"+
		"one,ops@example.com,Deploy,2027-01-31,,\n"+
		"two,,new,,7d,111122223333\n"+
		"three,x,,,,\n"+
		"two,,,,,999988887777\n"))
	if len(unknown)+len(problems) > 0 {
		t.Fatal(unknown, problems)
	}
	fills, problems := Fills(r, sheet)
	var told []string
	for _, p := range problems {
		told = append(told, p.Error())
	}
	if want := "s.csv:4:1: three: there is no entry of this name to fill in\n" +
		"s.csv:5:1: two: the source is 111122223333 in the registry, and a spreadsheet does not change it"; strings.Join(told, "\n") != want {
		t.Errorf("problems\n%s\nwant\n%s", strings.Join(told, "\n"), want)
	}
	text, problems := FillText("f.yaml", []byte(drafted), fills)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	want := strings.NewReplacer(
		`owner: "" # TODO: a person or team that answers`, `owner: "ops@example.com"`,
		`purpose: "" # TODO: why it exists`, `purpose: "Deploy"`,
		`expires: "" # TODO: the last day, YYYY-MM-DD`, `expires: "2027-01-31"`,
		"purpose: old", "purpose: new",
	).Replace(drafted)
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	// Filling in again changes nothing.
	r, _ = Parse("f.yaml", text)
	if again, _ := Fills(r, sheet); len(again) != 0 {
		t.Errorf("%d fills the second time", len(again))
	}
}

func TestSplitDocuments(t *testing.T) {
	for _, text := range []string{"", "a: 1", "a: 1\n", "---\na: 1\n---\nb: 2\n", "a: |\n  x\n  ---\nb: 1\n--- # c\nd: 1", "\n---\n---\n"} {
		var joined strings.Builder
		line := 1
		for _, d := range splitDocuments([]byte(text)) {
			if d.line != line {
				t.Errorf("%q: a document begins on line %d, want %d", text, d.line, line)
			}
			line += d.lines
			joined.Write(d.text)
		}
		if joined.String() != text {
			t.Errorf("%q became %q", text, joined.String())
		}
	}
}
