package snapshot

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// readHostile reads a damaged file and checks what must hold of any: no panic, and where anything is missing a gap says so
// with the file and, where it is about a place in the text, the line and column.
func readHostile(t *testing.T, name string, data []byte) *Snapshot {
	t.Helper()
	s, err := ReadDetails(mapFS(map[string]string{name: string(data)}), []string{name})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range s.Accounts {
		if !a.Inventoried && !hasGapOf(s, GapAccount, a.ID) {
			t.Errorf("account %s is not inventoried and no gap says why", a.ID)
		}
	}
	for _, g := range s.Gaps {
		if g.Reason == "" || g.Subject == "" {
			t.Errorf("a gap without reason or subject: %+v", g)
		}
		if g.Source.File != "" && g.Source.File != name {
			t.Errorf("a gap in another file: %+v", g)
		}
		if strings.Contains(g.Reason, "nothing after this place") && (g.Source.File != name || g.Source.Line < 1 || g.Source.Column < 1) {
			t.Errorf("the file broke off, and the gap does not say where: %+v", g)
		}
	}
	return s
}

func hasGapOf(s *Snapshot, kind GapKind, account string) bool {
	for _, g := range s.Gaps {
		if g.Kind == kind && g.Account == account {
			return true
		}
	}
	return false
}

// hostileInputs are the texts that the hostile tests damage: the documented example, and real files where they are at hand.
func hostileInputs(t *testing.T) map[string][]byte {
	inputs := map[string][]byte{"example.json": []byte(docExamples(t)["accounts/444455556666/iam.json"])}
	t.Run("real files", func(t *testing.T) {
		for name, data := range realFiles(t) {
			inputs["real-"+name] = data
		}
	})
	return inputs
}

// A file that ends too early keeps what stands in front of its end, says where it ends, and proves no absence.
func TestTruncated(t *testing.T) {
	for name, data := range hostileInputs(t) {
		whole := readHostile(t, name, data)
		step := max(1, len(data)/150)
		for n := 0; n < len(bytes.TrimSpace(data)); n += step {
			s := readHostile(t, name, data[:n])
			broken := false
			for _, g := range s.Gaps {
				broken = broken || strings.Contains(g.Reason, "nothing after this place")
			}
			if !broken {
				t.Fatalf("%s cut at %d: no gap says that the file ends too early: %+v", name, n, s.Gaps)
			}
			for _, a := range s.Accounts {
				if a.Inventoried {
					t.Fatalf("%s cut at %d: account %s counts as completely read", name, n, a.ID)
				}
			}
			if len(s.Roles) > len(whole.Roles) || len(s.Users) > len(whole.Users) {
				t.Fatalf("%s cut at %d: more principals than in the whole file", name, n)
			}
		}
	}
}

// Nine tenths of a file are worth most of its principals.
func TestTruncatedKeepsTheRest(t *testing.T) {
	const n = 200
	var b strings.Builder
	b.WriteString(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[`)
	for i := range n {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(`{"Arn":"arn:aws:iam::444455556666:role/r` + strings.Repeat("x", i) + `","AssumeRolePolicyDocument":` + trustDocument + `}`)
	}
	b.WriteString(`]}`)
	text := b.String()
	cut := strings.LastIndex(text, `"Arn"`) + 20
	s := readHostile(t, "iam.json", []byte(text[:cut]))
	if len(s.Roles) != n-1 {
		t.Errorf("%d roles, want the %d in front of the break", len(s.Roles), n-1)
	}
}

// Damage of every kind at random places (of a fixed seed) never panics, and what is lost is told.
func TestGarbled(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	splinters := []string{"\x00", "{", "}", "[", "]", "\"", ",", ":", "\\", "\xff\xfe", "null", "1e999", "-", "9999999999999999999999", "{\"a\":", "\n", "\\ud800", "%7B", strings.Repeat("[", 100)}
	for name, data := range hostileInputs(t) {
		for range 150 {
			damaged := bytes.Clone(data)
			for range 1 + random.IntN(4) {
				at := random.IntN(len(damaged))
				switch random.IntN(3) {
				case 0:
					damaged[at] = byte(random.IntN(256))
				case 1:
					damaged = append(damaged[:at:at], damaged[min(len(damaged), at+random.IntN(200)):]...)
				case 2:
					damaged = append(damaged[:at:at], append([]byte(splinters[random.IntN(len(splinters))]), damaged[at:]...)...)
				}
				if len(damaged) == 0 {
					damaged = []byte{0}
				}
			}
			readHostile(t, name, damaged)
		}
	}
}

// Each value of a file, one after the other, is replaced by one of another type.
func TestWrongTypes(t *testing.T) {
	text := docExamples(t)["accounts/444455556666/iam.json"]
	whole := readHostile(t, "iam.json", []byte(text))
	for i := 0; i < len(text); i++ {
		if text[i] != ':' || text[i+1] != ' ' {
			continue
		}
		var scan valueScan
		n, _ := scan.scan([]byte(text[i+2:]))
		for _, other := range []string{`7`, `"x"`, `[7]`, `{"x":7}`, `true`, `null`, `1e999`} {
			s := readHostile(t, "iam.json", []byte(text[:i+2]+other+text[i+2+n:]))
			lost := len(s.Roles) < len(whole.Roles) || len(s.Users) < len(whole.Users) || len(s.Groups) < len(whole.Groups)
			for _, a := range s.Accounts {
				if lost && a.Inventoried {
					t.Errorf("offset %d, %s: a principal is lost and the account counts as completely read", i, other)
				}
			}
		}
	}
}

// Nesting and size that only an attacker writes cost the element, not the stack or the memory.
func TestDeepAndLarge(t *testing.T) {
	deep := strings.Repeat("[", 200_000) + strings.Repeat("]", 200_000)
	role := func(fields string) string { return roleFile(fields) }
	tests := map[string]string{
		"unknown field":   role(`,"Future":` + deep),
		"tags":            role(`,"Tags":` + deep),
		"document":        role(`,"RolePolicyList":[{"PolicyName":"a","PolicyDocument":{"Statement":` + deep + `}}]`),
		"list":            `{"RoleDetailList":` + deep + `}`,
		"file":            deep,
		"never closed":    strings.Repeat(`{"a":`, 100_000),
		"many keys":       role(`,"RoleLastUsed":{` + strings.Repeat(`"k":1,`, 50_000) + `"k":1}`),
		"many pages":      strings.Repeat(`{}`, 5_000),
		"long string":     role(`,"Path":"` + strings.Repeat("x", 1<<20) + `"`),
		"long ARN":        strings.Replace(role(""), "arn:aws:iam::444455556666", strings.Repeat("y", 1<<20), 1),
		"only backslash":  role(`,"Path":"` + strings.Repeat(`\`, 1001) + `"`),
		"only white":      strings.Repeat(" \n", 1<<18),
		"lone surrogates": role(`,"Path":"\ud800\ud800"`),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			s := readHostile(t, "iam.json", []byte(text))
			for _, g := range s.Gaps {
				if len(g.Reason) > 1000 {
					t.Errorf("a reason of %d bytes", len(g.Reason))
				}
			}
		})
	}
	s, err := ReadFS(mapFS(map[string]string{
		"accounts/444455556666/iam.json":        noPrincipals,
		"accounts/444455556666/resources.jsonl": `{"arn":"arn:aws:s3:::b","type":"AWS::S3::Bucket","policy":null,"attributes":{"x":` + deep + `}}`,
		"usage.json":                            `[` + deep + `, {"x":` + deep + `}]`,
		"organization.json":                     `{"version":1,"accounts":` + deep + `}`,
	}))
	if err != nil || len(s.Resources) != 1 {
		t.Errorf("error %v, resources %+v", err, s.Resources)
	}
}

// A value larger than the limit is refused where it starts.
func TestOversizedValue(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 70 MB; skipped by -short")
	}
	var b bytes.Buffer
	b.WriteString(`{"RoleDetailList":[{"x":"`)
	b.Write(bytes.Repeat([]byte("x"), maxValue+1<<20))
	b.WriteString(`"}]}`)
	s, err := ReadDetails(bytesFS{"iam.json", b.Bytes()}, []string{"iam.json"})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range s.Gaps {
		if strings.Contains(g.Reason, "larger than 64 MiB") && g.Source.Line == 1 && g.Source.Column == 20 {
			return
		}
	}
	t.Errorf("no gap tells of the oversized value: %+v", s.Gaps)
}

// FuzzRead: whatever lies in the files, reading ends, without a panic, and what it found means the same when it is written
// and read again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(roleFile(`,"Tags":[{"Key":"a","Value":"b"}]`)), []byte(`{"version":1,"id":"o-a","accounts":[{"id":"444455556666","kind":"member"}],"scps":[]}`), []byte(`{"arn":"arn:aws:s3:::b","type":"AWS::S3::Bucket","account":"444455556666","policy":null}`), []byte(`[{"kind":"region","subject":"x","reason":"y"}]`))
	example := docExamples(f)
	f.Add([]byte(example["accounts/444455556666/iam.json"]), []byte(example["organization.json"]), []byte(example["resources.jsonl"]), []byte(example["gaps.json"]))
	f.Add([]byte(`{"IsTruncated":true}{"UserDetailList":null}`), []byte(`{}`), []byte("{}\n{"), []byte(`[`))
	f.Fuzz(func(t *testing.T, iam, organization, resources, gaps []byte) {
		s, err := ReadFS(mapFS(map[string]string{
			"accounts/444455556666/iam.json": string(iam), "organization.json": string(organization),
			"resources.jsonl": string(resources), "gaps.json": string(gaps),
		}))
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string]string)
		if err := Write(s, func(name string, data []byte) error { files[name] = string(data); return nil }); err != nil {
			t.Fatal(err)
		}
		again, err := ReadFS(mapFS(files))
		if err != nil {
			t.Fatal(err)
		}
		if want, got := meaning(t, s), meaning(t, again); want != got {
			t.Errorf("written and read again the snapshot means something else:\n%s", firstDifference(want, got))
		}
	})
}
