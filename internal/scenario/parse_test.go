package scenario

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/eval"
	"drawbridge/internal/snapshot"
)

func TestParseProblems(t *testing.T) {
	org := `"now":"2026-01-15T12:00:00Z","org":{"id":"o-example","managementAccount":"100000000001","accounts":[]}`
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":             {`{"id":`, "f.json:1:"},
		"unknown field":       {"{\n\"idd\":\"x\"," + org + "}", `f.json:2:1: json: unknown field "idd"`},
		"a wrong type":        {"{\n\"id\":7}", "f.json:2:"},
		"a role's field":      {`{"id":"x",` + org + `,"roles":[` + "\n" + `{"arn":"arn:aws:iam::100000000010:role/r","trusts":{}}]}`, "f.json:2:"},
		"no ARN":              {`{"id":"x",` + org + `,"roles":[` + "\n" + `{"arn":"r"}]}`, "f.json:2:8: not an ARN"},
		"a resource's ARN":    {`{"id":"x",` + org + `,"resources":[` + "\n" + `{"arn":"b"}]}`, "f.json:2:8: not an ARN"},
		"an account's kind":   {"{" + strings.Replace(org, "[]", "[\n{\"id\":\"100000000010\",\"kind\":\"partner\"}]", 1) + "}", `f.json:2:29: account 100000000010: kind "partner"`},
		"no kind":             {"{" + strings.Replace(org, "[]", "[\n{\"id\":\"100000000010\"}]", 1) + "}", `f.json:2:1: account 100000000010: kind ""`},
		"an account's field":  {"{" + strings.Replace(org, "[]", "[\n{\"id\":\"100000000010\",\"sort\":\"member\"}]", 1) + "}", `f.json:2:22: json: unknown field "sort"`},
		"an expiry":           {`{"id":"x",` + org + `,"registry":[{"id":"a","expires":"2026-12-31"},` + "\n" + `{"id":"b","expires":"soon"}]}`, `f.json:2:21: expires "soon" is no date`},
		"the end of a vendor": {`{"id":"x",` + org + `,"vendors":[` + "\n" + `{"name":"v","ended":"2026-02-30"}]}`, `f.json:2:21: ended "2026-02-30" is no date`},
	} {
		if _, err := Parse([]byte(c.text), "f.json"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, expected %q", name, err, c.want)
		}
	}
}

// TestBrokenPolicy: a policy that cannot be read is a gap of its role, with its place, and the role is kept.
func TestBrokenPolicy(t *testing.T) {
	s, err := Parse([]byte(`{"id":"x","now":"2026-01-15T12:00:00Z","org":{"id":"o-example","managementAccount":"100000000001","accounts":[]},"roles":[
{"arn":"arn:aws:iam::100000000010:role/r",
"trust":{"Version":"2012-10-17"}}]}`), "f.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Snapshot.Roles) != 1 || s.Snapshot.Roles[0].Trust.Policy != nil {
		t.Errorf("the role: %+v", s.Snapshot.Roles)
	}
	if len(s.Snapshot.Gaps) != 1 || s.Snapshot.Gaps[0].Source.Line != 3 {
		t.Errorf("the gaps: %+v", s.Snapshot.Gaps)
	}
}

// TestPolicyGapOnce: a managed policy without its document is one gap of each account, however many principals name it.
func TestPolicyGapOnce(t *testing.T) {
	s, err := Parse([]byte(`{"id":"x","now":"2026-01-15T12:00:00Z","org":{"id":"o-example","managementAccount":"100000000001","accounts":[]},"roles":[
{"arn":"arn:aws:iam::100000000010:role/a","managed":["arn:aws:iam::aws:policy/SomePolicy"],"trust":{"Version":"2012-10-17","Statement":[]}},
{"arn":"arn:aws:iam::100000000010:role/b","managed":["arn:aws:iam::aws:policy/SomePolicy"],"trust":{"Version":"2012-10-17","Statement":[]}},
{"arn":"arn:aws:iam::100000000011:role/c","managed":["arn:aws:iam::aws:policy/SomePolicy"],"trust":{"Version":"2012-10-17","Statement":[]}}]}`), "f.json")
	if err != nil {
		t.Fatal(err)
	}
	var of []string
	for _, g := range s.Snapshot.Gaps {
		if g.Kind == snapshot.GapPolicy {
			of = append(of, g.Account)
		}
	}
	if !slices.Equal(of, []string{"100000000010", "100000000011"}) {
		t.Errorf("gaps of %v, expected one of each account", of)
	}
}

// FuzzParse: no input makes the reader panic, and what it reads can be judged.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"id":"x","now":"2026-01-15T12:00:00Z","org":{"id":"o","managementAccount":"100000000001","accounts":[{"id":"100000000010","kind":"member"}]},"roles":[{"arn":"arn:aws:iam::100000000010:role/r","trust":{"Statement":{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"}}}],"expect":{"paths":[{"from":"*","to":"arn:aws:iam::100000000010:role/r"}]}}`))
	files, _ := filepath.Glob("../../../shared/scenarios/S[013]*.json") // more seeds where the folder is there
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil {
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := Parse(data, "f.json"); err == nil {
			s.Judge(nil, eval.Evaluator{})
		}
	})
}
