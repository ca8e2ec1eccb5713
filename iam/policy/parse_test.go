package policy_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/policy"
)

// statement wraps elements into a document whose statement begins at column 15.
func statement(elements string) string { return `{"Statement":{` + elements + `}}` }

// said prints problems as "line:column message", with "!" before a fatal one.
func said(problems []policy.Problem) []string {
	var out []string
	for _, p := range problems {
		fatal := ""
		if p.Fatal {
			fatal = "!"
		}
		out = append(out, fmt.Sprintf("%s%d:%d %s", fatal, p.Pos.Line, p.Pos.Column, p.Message))
	}
	return out
}

func TestParseProblems(t *testing.T) {
	const good = `"Effect":"Allow","Action":"a:b","Resource":"*"`
	tests := []struct {
		name, in string
		want     []string
	}{
		{"scalars", statement(good), nil},
		{"lists", `{"Version":"2008-10-17","Id":"x","Statement":[{"Effect":"Deny","NotAction":["a"],"NotResource":["*"]}]}`, nil},
		{"no statement in the list is for Check", `{"Statement":[]}`, nil},
		{"empty text", ``, []string{"!1:1 expected a value, found the end of the text"}},
		{"byte order mark alone", "\xef\xbb\xbf", []string{"!1:1 expected a value, found the end of the text"}},
		{"no object", `[]`, []string{"!1:1 expected a policy document, an object; found a list"}},
		{"null", ` null`, []string{"!1:2 expected a policy document, an object; found null"}},
		{"no Statement", `{}`, []string{"!1:1 expected an element Statement"}},
		{"second value", `{"Statement":[]} {}`, []string{"!1:18 expected the end of the document, found '{'"}},
		{"trailing comma", "{\"Statement\":[\n],}", []string{"!2:3 expected a key in quotes, found '}'"}},
		{"trailing comma in a list", statement(`"Action":["a",]`), []string{"!1:29 expected a value, found ']'"}},
		{"no colon", `{"Statement" []}`, []string{"!1:14 expected a colon after the key, found '['"}},
		{"open string", `{"Statement`, []string{"!1:12 the string that begins at byte 1 has no closing quote"}},
		{"control character", "{\"a\nb\":1}", []string{"!1:4 control character '\\n' in a string"}},
		{"escape", `{"\x":1}`, []string{"!1:3 unknown escape in a string"}},
		{"escape at the end", `{"\`, []string{"!1:3 unknown escape in a string"}},
		{"not UTF-8", "{\n\"\xff\":1}", []string{"!2:2 the text is not UTF-8"}},
		{"version of the future", `{"Version":"2030-01-01","Statement":[]}`, []string{`!1:12 Version: expected "2012-10-17" or "2008-10-17", found "2030-01-01"`}},
		{"version no string", `{"Version":2012,"Statement":[]}`, []string{`!1:12 Version: expected "2012-10-17" or "2008-10-17", found 2012`}},
		{"Id no string", `{"Id":1,"Statement":[]}`, []string{`!1:7 Id: expected a string, found a number`}},
		{"unknown element", `{"Statement":[],"Extra":1}`, []string{`!1:17 a policy document has no element "Extra": expected Version, Id or Statement`}},
		{"letter case", `{"statement":[],"Statement":[]}`, []string{`!1:2 a policy document has no element "statement": expected Statement in these capitals`}},
		{"key twice", `{"Statement":[],"Statement":[]}`, []string{`!1:17 the key "Statement" stands here and at line 1, column 2`}},
		{"element twice", statement(good + `,"Action":"c"`), []string{`!1:62 the key "Action" stands here and at line 1, column 32`}},
		{"key twice, once escaped", statement(good + `,"\u0041ction":"c"`), []string{`!1:62 the key "Action" stands here and at line 1, column 32`}},
		{"statement no object", `{"Statement":["x"]}`, []string{`!1:15 expected a statement, an object; found a string`}},
		{"statement without anything", `{"Statement":{}}`, []string{"1:14 the statement has no Effect", "1:14 the statement has neither Action nor NotAction"}},
		{"effect", statement(`"Effect":"allow","Action":"a"`), []string{`1:24 Effect: expected "Allow" or "Deny", found "allow"`}},
		{"effect no string", statement(`"Effect":true,"Action":"a"`), []string{`1:24 Effect: expected "Allow" or "Deny", found a boolean`}},
		{"sid no string", statement(`"Sid":1,` + good), []string{"1:21 Sid: expected a string, found a number"}},
		{"element of another language", statement(good + `,"NotCondition":{}`), []string{`1:62 a statement has no element "NotCondition"`}},
		{"element in lower case", statement(good + `,"condition":{}`), []string{`1:62 a statement has no element "condition": expected Condition in these capitals`}},
		{"both actions", statement(good + `,"NotAction":"c"`), []string{"1:62 a statement has Action or NotAction, not both"}},
		{"both resources", statement(good + `,"NotResource":"c"`), []string{"1:62 a statement has Resource or NotResource, not both"}},
		{"both principals", statement(good + `,"Principal":"*","NotPrincipal":"*"`), []string{"1:78 a statement has Principal or NotPrincipal, not both"}},
		{"empty action", statement(`"Effect":"Allow","Action":[]`), []string{"1:41 Action is empty"}},
		{"action of the wrong kind", statement(`"Effect":"Allow","Action":["a",1,null]`), []string{"1:46 Action: expected a string, found a number", "1:48 Action: expected a string, found null"}},
		{"principal no object", statement(good + `,"Principal":"111122223333"`), []string{`1:74 Principal: expected "*" or an object, found "111122223333"`}},
		{"principal a list", statement(good + `,"Principal":["*"]`), []string{`1:74 Principal: expected "*" or an object, found a list`}},
		{"principal empty", statement(good + `,"Principal":{}`), []string{"1:74 Principal is empty"}},
		{"principal type", statement(good + `,"Principal":{"Aws":"*"}`), []string{`1:75 principal type "Aws" is not known: expected AWS, Service, Federated or CanonicalUser`}},
		{"account as number", statement(good + `,"Principal":{"AWS":111122223333}`), nil},
		{"account that lost its zeros", statement(good + `,"Principal":{"AWS":[1122223333]}`), []string{`1:82 account id 1122223333 has 10 digits and not 12: it is read as "001122223333"`}},
		{"account with bare zeros", statement(good + `,"Principal":{"AWS":001122223333}`), []string{"!1:81 a number has no leading zeros: put 001122223333 in quotes"}},
		{"account as another number", statement(good + `,"Principal":{"AWS":[1e11,-5]}`), []string{"1:82 principal: expected a string, found 1e11", "1:87 principal: expected a string, found -5"}},
		{"condition values", statement(good + `,"Condition":{"NumericLessThan":{"k":[1,2.5e3,"3"]},"Bool":{"k":true}}`), nil},
		{"condition no object", statement(good + `,"Condition":"k"`), []string{"1:74 Condition: expected an object, found a string"}},
		{"operator no object", statement(good + `,"Condition":{"Bool":"k"}`), []string{"1:82 Condition: expected an object of keys under Bool, found a string"}},
		{"key twice under an operator", statement(good + `,"Condition":{"Bool":{"k":"true","k":"false"}}`), []string{`!1:94 the key "k" stands here and at line 1, column 83`}},
		{"condition without value", statement(good + `,"Condition":{"Bool":{"k":[]}}`), []string{"1:87 condition k has no value"}},
		{"condition with null", statement(good + `,"Condition":{"Bool":{"k":[null]}}`), []string{"1:88 condition k: expected a string, found null"}},
		{"half a character", statement(good + `,"Sid":"\ud800\u0041"`), []string{"!1:69 half of a surrogate pair stands for no character"}},
		{"percent sign that encodes nothing", "%7B%2", []string{`!1:4 the text begins like a URL-encoded document and is not one: invalid URL escape "%2"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, problems := policy.Parse([]byte(tt.in))
			if got := said(problems); !slices.Equal(got, tt.want) {
				t.Errorf("%s\ngot  %q\nwant %q", tt.in, got, tt.want)
			}
			fatal := slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Fatal })
			if d == nil && !fatal {
				t.Error("no document and no fatal problem")
			}
			if d != nil && !fatal {
				understood := !slices.ContainsFunc(d.Statements, func(s policy.Statement) bool { return s.NotUnderstood != "" })
				if understood != (len(problems) == 0) {
					t.Errorf("problems %q, understood %v", said(problems), understood)
				}
				roundTrip(t, d)
			}
		})
	}
}

// TestParsePositions: offset, line and column of each element are those of its first byte.
func TestParsePositions(t *testing.T) {
	text := "\xef\xbb\xbf{\r\n  \"Version\": \"2012-10-17\",\n\t\"Statement\": [{\"Sid\": \"é\", \"Effect\": \"Allow\",\n\"Action\": [\"a:b\", \"c:d\"],\n" +
		"\"Principal\": {\"AWS\": \"111122223333\"}, \"Resource\": \"*\", \"Condition\": {\"Bool\": {\"k\": true}}}]}"
	d, problems := policy.Parse([]byte(text))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	s := &d.Statements[0]
	for _, tt := range []struct {
		name         string
		pos          policy.Position
		token        string
		line, column int32
	}{
		{"document", d.Pos, "{\r\n", 1, 1},
		{"version", d.Version.Pos, `"2012-10-17"`, 2, 14},
		{"statement", s.Pos, `{"Sid"`, 3, 16},
		{"sid", s.Sid.Pos, `"é"`, 3, 24},
		{"effect", s.EffectPos, `"Allow"`, 3, 40}, // columns count bytes: é has two
		{"action", s.Action.Pos, `"Action"`, 4, 1},
		{"second action", s.Action.Values[1].Pos, `"c:d"`, 4, 19},
		{"principal", s.Principal.Pos, `"Principal"`, 5, 1},
		{"principal value", s.Principal.Values[0].Pos, `"111122223333"`, 5, 22},
		{"condition key", s.Condition[0].Pos, `"k"`, 5, 79},
		{"condition value", s.Condition[0].Values[0].Pos, `true`, 5, 84},
	} {
		if tt.pos.Line != tt.line || tt.pos.Column != tt.column || !strings.HasPrefix(text[tt.pos.Offset:], tt.token) {
			t.Errorf("%s: got %+v, which is before %.12q; want line %d, column %d, before %q", tt.name, tt.pos, text[tt.pos.Offset:], tt.line, tt.column, tt.token)
		}
	}
}

// TestParseEncoded: the forms in which IAM and others hand out a document mean the same.
func TestParseEncoded(t *testing.T) {
	const text = `{ "Statement": {"Sid": "a+b %41", "Effect": "Allow", "Action": "a:b", "Resource": "*"} }`
	plain, _ := policy.Parse([]byte(text))
	all := url.PathEscape(text)
	for name, encoded := range map[string]string{
		"all":                    all,
		"lower-case digits":      strings.ToLower(all[:6]) + all[6:],
		"white space before":     "%0A" + all,
		"braces left":            strings.ReplaceAll(all, "%7B", "{"),
		"byte order mark before": "%EF%BB%BF" + all,
	} {
		d, problems := policy.Parse([]byte(encoded))
		if len(problems) > 0 || d.Key() != plain.Key() {
			t.Errorf("%s: %v", name, problems)
		}
	}
	if got := plain.Statements[0].Sid.Value; got != "a+b %41" {
		t.Errorf("percent and plus signs of plain text were decoded: %q", got)
	}
}

// TestParseHostile: text made to hurt costs a problem, not memory, time or the program.
func TestParseHostile(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	for name, text := range map[string]string{
		"deep lists":          many("[", 500_000),
		"deep objects":        many(`{"a":`, 200_000),
		"deep in a statement": `{"Statement":` + many("[", 40) + many("]", 40) + `}`,
		"too long":            `{"Statement":"` + many("a", 2<<20) + `"}`,
		"long string":         `{"Statement":[{"Effect":"` + many("a", 900_000),
		"many problems":       `{"Statement":[{"Effect":"Allow","Resource":"*","Action":[` + many("1,", 400_000) + `1]}]}`,
		"many bad statements": `{"Statement":[` + many("{},", 300_000) + `{}]}`,
		"NUL":                 "\x00",
		"many escapes":        `{"Statement":"` + many(`\ud800`, 100_000) + `"}`,
		"only percent":        many("%", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			_, problems := policy.Parse([]byte(text))
			if !slices.ContainsFunc(problems, func(p policy.Problem) bool { return p.Fatal }) {
				t.Error("no fatal problem")
			}
			if len(problems) > 1001 {
				t.Errorf("%d problems", len(problems))
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"Version":"2012-10-17","Id":"i","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"AWS":["*",111122223333],"Service":"a.amazonaws.com"},"Action":["a:*"],"NotResource":"arn:aws:s3:::${aws:username}/*","Condition":{"Bool":{"k":[true,1,"x"]}}}]}`,
		`{"Statement":{"Effect":"Deny","NotPrincipal":"*","NotAction":"a","Extra":[{}]}}`,
		"%7B%22Statement%22%3A%5B%5D%7D", "\xef\xbb\xbf{}", `{"Statement":[{"Sid":"\ud83d\ude00\ud800"}]}`, `[[[[`, `{"a":-0.1e+5}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, problems := policy.Parse(text)
		for i, p := range problems {
			if p.Message == "" || p.Pos.Line < 1 || p.Pos.Column < 1 || i > 0 && p.Pos.Offset < problems[i-1].Pos.Offset {
				t.Fatalf("problem %d of %v: no message, no place or out of order", i, problems)
			}
			if p.Fatal {
				return
			}
		}
		if d == nil {
			t.Fatal("no document and no fatal problem")
		}
		roundTrip(t, d)
		for kind := policy.AnyKind; kind <= policy.Endpoint; kind++ {
			policy.Check(d, kind)
		}
	})
}

func BenchmarkParseCompile(b *testing.B) {
	text := []byte(`{"Version":"2012-10-17","Statement":[{"Sid":"Read","Effect":"Allow","Action":["s3:GetObject","s3:ListBucket"],` +
		`"Resource":["arn:aws:s3:::example","arn:aws:s3:::example/${aws:PrincipalTag/team}/*"]},{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/ci"},` +
		`"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x"},"Bool":{"aws:MultiFactorAuthPresent":"true"}}}]}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		d, problems := policy.Parse(text)
		if len(problems) > 0 {
			b.Fatal(problems)
		}
		policy.Compile(d)
	}
}
