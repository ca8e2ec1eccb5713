package decision

import (
	"encoding/json"
	"strings"
	"testing"

	"drawbridge/iam/eval"
)

// TestReadForms: an array, one object, JSON lines, a byte order mark.
func TestReadForms(t *testing.T) {
	one := `{"name":"n","principal":"anonymous","action":"s3:GetObject","resource":"arn:aws:s3:::b/k"}`
	for name, text := range map[string]string{
		"array": "[" + one + "," + one + "]", "lines": one + "\n" + one + "\n", "mark": "\xef\xbb\xbf[" + one + "," + one + "]",
	} {
		decisions, problems := Read([]byte(text), "f.json")
		if len(decisions) != 2 || len(problems) != 0 {
			t.Errorf("%s: %d decisions, problems %v", name, len(decisions), problems)
		}
	}
}

// TestProblems: what cannot be used is named with its place, and the rest is read.
func TestProblems(t *testing.T) {
	good := `{"name":"good","principal":"anonymous","action":"s3:GetObject","resource":"arn:aws:s3:::b/k"}`
	for _, c := range []struct{ name, text, want string }{
		{"unknown field", "[\n{\"name\":\"x\",\"principle\":\"y\"},\n" + good + "]", `f.json:2:13: x: json: unknown field "principle"`},
		{"unknown field before the name", `[{"principle":"y","name":"x"},` + good + `]`, `f.json:1:3: x: json: unknown field "principle"`},
		{"wrong type before the name", `[{"rules":"y","name":"x"},` + good + `]`, `f.json:1:2: x: json: cannot unmarshal`},
		{"a broken line", "{\"name\":\"x\",,}\n" + good + "\n", "f.json:1:1: reading goes on"},
		{"a broken line in the middle", good + "\nhello {\n", "f.json:2:1: nothing more was read"},
		{"an item of two lines, cut off", "{\"name\":\"x\",\n\"rules\":[1\n" + good, "f.json:1:1: reading goes on"},
		{"text after the list", "[" + good + "]\n" + good, "f.json:2:1: text after the end"},
		{"no action", `[{"name":"x","principal":"anonymous","action":"s3","resource":"*"},` + good + `]`, `f.json:1:2: x: "s3" is not an action`},
		{"bad principal", `[{"name":"x","principal":"ann","action":"s3:A","resource":"*"},` + good + `]`, `principal "ann" is neither`},
		{"bad document", "[{\"name\":\"x\",\"principal\":\"anonymous\",\"action\":\"s3:A\",\"resource\":\"*\",\n\"identity\":[{\"Statement\":7}]},\n" + good + "]", `f.json:2:26: x: identity[0]: `},
		{"bad expectation", `[{"name":"x","expect":"yes"},` + good + `]`, `expect "yes" is none of`},
		{"cut off", "[" + good + `,{"name":`, "nothing more was read"},
		{"no end", "[" + good, "the list does not end"},
	} {
		decisions, problems := Read([]byte(c.text), "f.json")
		if len(decisions) != 1 || decisions[0].Name != "good" {
			t.Errorf("%s: %d decisions were read, expected the good one", c.name, len(decisions))
		}
		if len(problems) != 1 || !strings.Contains(problems[0].Error(), c.want) {
			t.Errorf("%s: problems %v, expected %q", c.name, problems, c.want)
		}
	}
}

// TestAnswer: the outside form names what is left over and what decided.
func TestAnswer(t *testing.T) {
	decisions, problems := Read([]byte(`{"name":"x","principal":"arn:aws:iam::111122223333:role/app","action":"sts:AssumeRole","resource":"arn:aws:iam::444455556666:role/r",
"identity":[{"Statement":{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}}],"unknown":["sts:ExternalId"],
"resourcePolicy":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"e"}}}]},"expect":"Allowed"}`), "f.json")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got, err := json.Marshal(decisions[0].Answer(&eval.Evaluator{}))
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"x","verdict":"Unknown","leftOver":{"text":"sts:ExternalId is \"e\"","normal":[[{"key":"sts:ExternalId","operator":"StringEquals","values":["e"],"absent":false}]]},` +
		`"decidedBy":{"layer":"trust","document":"resourcePolicy","statement":0},"passed":false,"expect":"Allowed"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
