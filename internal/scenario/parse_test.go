package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseProblems(t *testing.T) {
	org := `"now":"2026-01-15T12:00:00Z","org":{"id":"o-example","managementAccount":"100000000001","accounts":[]}`
	for name, c := range map[string]struct{ text, want string }{
		"no JSON":        {`{"id":`, "f.json:1:"},
		"unknown field":  {"{\n\"idd\":\"x\"," + org + "}", `f.json:2:1: json: unknown field "idd"`},
		"a wrong type":   {"{\n\"id\":7}", "f.json:2:"},
		"a role's field": {`{"id":"x",` + org + `,"roles":[` + "\n" + `{"arn":"arn:aws:iam::100000000010:role/r","trusts":{}}]}`, "f.json:2:"},
		"no ARN":         {`{"id":"x",` + org + `,"roles":[` + "\n" + `{"arn":"r"}]}`, "f.json:2:1: not an ARN"},
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
			s.Judge(nil, nil)
		}
	})
}
