package snapshot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"drawbridge/iam/policy"
)

// written returns the files of the directory form of s.
func written(t *testing.T, s *Snapshot) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := Write(s, func(name string, data []byte) error {
		if _, twice := files[name]; twice {
			t.Errorf("%s is written twice", name)
		}
		files[name] = string(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// meaning prints everything that a snapshot says, without the places of facts and the spelling of documents.
func meaning(t *testing.T, s *Snapshot) string {
	t.Helper()
	var b bytes.Buffer
	plain := *s
	plain.Gaps = nil
	for _, g := range s.Gaps {
		g.Source = Source{}
		plain.Gaps = append(plain.Gaps, g)
	}
	slices.SortFunc(plain.Gaps, compareGaps)
	printMeaning(&b, reflect.ValueOf(plain), "")
	return b.String()
}

// printMeaning walks a snapshot's fields, so that a field added later is compared too. Empty and nil lists are the same:
// where a list is not known, a gap says so.
func printMeaning(b *bytes.Buffer, v reflect.Value, path string) {
	switch x := v.Interface().(type) {
	case Source:
		return
	case *policy.Policy:
		if x != nil {
			fmt.Fprintf(b, "%s = %s\n", path, x.Document.Key())
		}
		return
	case time.Time:
		fmt.Fprintf(b, "%s = %s\n", path, x.UTC().Format(time.RFC3339Nano))
		return
	case map[string]any, map[string]string:
		if text, _ := json.Marshal(x); string(text) != "null" {
			fmt.Fprintf(b, "%s = %s\n", path, text)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if name == "Multiline" {
				continue // how the document was spelt
			}
			printMeaning(b, v.Field(i), path+"."+name)
		}
	case reflect.Slice:
		for i := range v.Len() {
			printMeaning(b, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Pointer:
		if v.IsNil() {
			fmt.Fprintf(b, "%s is nil\n", path)
			return
		}
		printMeaning(b, v.Elem(), path)
	default:
		fmt.Fprintf(b, "%s = %v\n", path, v.Interface())
	}
}

// checkRoundTrip checks that what is written means the same when it is read, holds to the schemas, and is the same
// bytes when written again.
func checkRoundTrip(t *testing.T, s *Snapshot) {
	t.Helper()
	files := written(t, s)
	if again := written(t, s); !reflect.DeepEqual(files, again) {
		t.Fatal("written twice, the bytes differ")
	}
	for name, text := range files {
		for _, err := range schemaErrors(t, name, text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	read, err := ReadFS(mapFS(files))
	if err != nil {
		t.Fatal(err)
	}
	want, got := meaning(t, s), meaning(t, read)
	if want != got {
		t.Fatalf("written and read, the snapshot means something else:\n%s", firstDifference(want, got))
	}
	second := written(t, read)
	third, err := ReadFS(mapFS(second))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(second, written(t, third)) {
		t.Error("the written form is not stable")
	}
}

func firstDifference(want, got string) string {
	w, g := bytes.Split([]byte(want), []byte("\n")), bytes.Split([]byte(got), []byte("\n"))
	for i := range max(len(w), len(g)) {
		var a, b []byte
		if i < len(w) {
			a = w[i]
		}
		if i < len(g) {
			b = g[i]
		}
		if !bytes.Equal(a, b) {
			return fmt.Sprintf("want %s\n got %s", a, b)
		}
	}
	return "none"
}

// What was read from any input can be written and read again without loss.
func TestWriteWhatWasRead(t *testing.T) {
	t.Run("documented examples", func(t *testing.T) {
		s, err := ReadFS(mapFS(docExamples(t)))
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, s)
	})
	t.Run("bare", func(t *testing.T) {
		s, err := ReadFS(mapFS(map[string]string{"accounts/444455556666/iam.json": noPrincipals}))
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, s)
	})
	t.Run("with everything wrong", func(t *testing.T) {
		s, err := ReadFS(mapFS(map[string]string{
			"organization.json": `{"version":1,"id":"o-a","scps":[{"name":"a","targets":["r-root"],"document":null,"error":"access was denied"}],"accounts":[{"id":"444455556666"},{"id":"111122223333","kind":"member"}]}`,
			"accounts/444455556666/iam.json": roleFile(`,"PermissionsBoundary":5,"AttachedManagedPolicies":"all","RolePolicyList":[{"PolicyName":"a","PolicyDocument":"%7B"},
				{"PolicyName":"b","PolicyDocument":{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Surprise":1}]}}]`),
			"accounts/444455556666/resources.jsonl": `{"arn":"arn:aws:s3:::b","type":"AWS::S3::Bucket","policy":"no"}`,
		}))
		if err != nil {
			t.Fatal(err)
		}
		checkRoundTrip(t, s)
		// A statement that was not understood stays so.
		again, err := ReadFS(mapFS(written(t, s)))
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range again.Roles[0].Inline {
			if d.Name == "b" && d.Policy.Rules[0].NotUnderstood == "" {
				t.Error("writing made a statement understood that was not")
			}
		}
	})
	t.Run("real files", func(t *testing.T) {
		for name, data := range realFiles(t) {
			s, err := ReadDetails(mapFS(map[string]string{name: string(data)}), []string{name})
			if err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, s)
		}
	})
}

// Snapshots made at random (of fixed seeds), with every kind of fact present and absent, survive writing and reading.
func TestWriteRandom(t *testing.T) {
	for seed := range uint64(60) {
		s := randomSnapshot(rand.New(rand.NewPCG(seed, 7)))
		t.Run(fmt.Sprint(seed), func(t *testing.T) { checkRoundTrip(t, s) })
	}
}

// randomSnapshot makes a snapshot in the order and with the gaps that reading would give it: they are settled by reading
// its first written form, whose facts are then compared with the original's.
func randomSnapshot(r *rand.Rand) *Snapshot {
	maybe := func() bool { return r.IntN(2) == 0 }
	when := func() time.Time {
		if maybe() {
			return time.Time{}
		}
		return time.Date(2025, 1, 1+r.IntN(300), r.IntN(24), 0, 0, 0, time.UTC)
	}
	texts := []string{
		trustDocument,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","NotAction":["s3:Get*","a:<b>&"],"NotResource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}`,
		`{"Statement":{"Sid":"é\u0000x","Effect":"Allow","Action":"*","Resource":["b","a"]}}`,
	}
	s := &Snapshot{Version: 1, Collected: when()}
	doc := func(name, subject, account string) Document {
		if r.IntN(5) == 0 {
			d := Document{Name: name, Problem: "could not be read, said the collector"}
			s.Gaps = append(s.Gaps, Gap{Kind: GapDocument, Subject: subject, Account: account, Reason: name + ": " + d.Problem})
			return d
		}
		parsed, _ := policy.Parse([]byte(texts[r.IntN(len(texts))]))
		return Document{Name: name, State: Read, Policy: policy.Compile(parsed)}
	}
	tags := func() map[string]string {
		if maybe() {
			return nil
		}
		return map[string]string{"a": "1", "b <&>": "é\n"}
	}
	principal := func(kind, account, id string, n int) Principal {
		name := fmt.Sprintf("%s%d", kind, n)
		p := Principal{ARN: "arn:aws:iam::" + account + ":" + kind + "/p/" + name, UniqueID: id, Account: account, Name: name, Path: "/p/", Created: when(), Tags: tags()}
		for i := range r.IntN(3) {
			p.Inline = append(p.Inline, doc(fmt.Sprint("inline", i), p.ARN, account))
		}
		if maybe() {
			p.Attached = []Attachment{{"shared", "arn:aws:iam::aws:policy/shared"}}
		}
		switch r.IntN(4) {
		case 0:
			p.Boundary = &Attachment{"own", "arn:aws:iam::" + account + ":policy/own"}
		case 1:
			d := doc("permissions boundary", p.ARN, account)
			p.InlineBoundary = &d
		}
		return p
	}
	add := func(g Gap) { s.Gaps = append(s.Gaps, g) }
	if maybe() {
		s.Organization = &Organization{ID: "o-a", ManagementAccount: "100000000000", Units: []Unit{{"r-root", "Root"}, {"r-root/ou-a", ""}}, SCPs: []ControlPolicy{}}
		if maybe() {
			s.Organization.SCPs = []ControlPolicy{{Name: "x", ARN: "", Targets: []string{"r-root"}, Document: doc("x", "scps x", "")}}
		}
		add(Gap{Kind: GapOrganization, Subject: SubjectRCPs, Reason: noRCPs})
	} else {
		add(Gap{Kind: GapOrganization, Subject: SubjectOrganization, Reason: noOrganization})
		add(Gap{Kind: GapOrganization, Subject: SubjectSCPs, Reason: noSCPs})
		add(Gap{Kind: GapOrganization, Subject: SubjectRCPs, Reason: noRCPs})
	}
	resources := maybe()
	if !resources {
		add(Gap{Kind: GapFile, Subject: "resources.jsonl", Reason: notCollected(factFiles[0])})
	}
	s.Policies = []ManagedPolicy{{ARN: "arn:aws:iam::aws:policy/shared", Document: Document{Name: "arn:aws:iam::aws:policy/shared", State: Read, Policy: policy.Compile(mustParse(texts[1]))}}}
	for i := range 1 + r.IntN(4) {
		id := fmt.Sprintf("1000000000%02d", i)
		a := Account{ID: id, Name: "n", Kind: AccountKind(1 + r.IntN(4)), Partition: "aws", UnitPath: "r-root/ou-a", Environment: "prod", Tags: tags()}
		if i == 0 {
			a.Kind = Management
		}
		a.Inventoried = maybe()
		outside := a.Kind == Vendor || a.Kind == External
		principals := a.Inventoried
		if !a.Inventoried && !outside {
			if principals = maybe(); principals {
				add(Gap{Kind: GapAccount, Subject: id, Account: id, Reason: "the session ended too early"})
			} else {
				add(Gap{Kind: GapAccount, Subject: id, Account: id, Reason: noDetails})
			}
		}
		s.Accounts = append(s.Accounts, a)
		if resources && maybe() {
			b := Resource{ARN: "arn:aws:s3:::bucket-" + id, Type: "AWS::S3::Bucket", Account: id, Region: "eu-west-1", Tags: tags()}
			b.Policy = Document{Name: "resource policy", State: None}
			if maybe() {
				b.Policy = doc("resource policy", b.ARN, id)
			}
			if maybe() {
				b.Attributes = Attributes{SSEKMSKey: "k", PublicAccessBlock: "on", Other: map[string]any{"n": 1.5, "l": []any{"x"}}}
			}
			s.Resources = append(s.Resources, b)
		} else if resources && !a.Inventoried {
			continue // without a file of its own; nothing is known to be missing
		}
		if !principals {
			continue
		}
		s.Policies = append(s.Policies, ManagedPolicy{ARN: "arn:aws:iam::" + id + ":policy/own", Account: id, Document: doc("arn:aws:iam::"+id+":policy/own", "arn:aws:iam::"+id+":policy/own", id)})
		for n := range r.IntN(3) {
			s.Users = append(s.Users, User{Principal: principal("user", id, "AIDA", n), Groups: []string{"g"}, AccessKeys: r.IntN(3) - 1, LastUsed: when()})
		}
		for n := range r.IntN(3) {
			role := Role{Principal: principal("role", id, "AROA", n), MaxSession: time.Duration(r.IntN(3)) * time.Hour, LastUsed: when()}
			role.Trust = doc("trust policy", role.ARN, id)
			if maybe() {
				role.InstanceProfiles = []string{"arn:aws:iam::" + id + ":instance-profile/x"}
			}
			s.Roles = append(s.Roles, role)
		}
		s.Groups = append(s.Groups, Group{ARN: "arn:aws:iam::" + id + ":group/g", UniqueID: "AGPA", Account: id, Name: "g", Path: "/", Inline: []Document{doc("i", "arn:aws:iam::"+id+":group/g", id)}})
	}
	if resources && len(s.Resources) == 0 && !s.anyInventoried() {
		add(Gap{Kind: GapFile, Subject: "resources.jsonl", Reason: notCollected(factFiles[0])})
	}
	yes := true
	s.Providers = []Provider{{ARN: "arn:aws:iam::100000000000:oidc-provider/x", Type: "oidc", Account: "100000000000", URL: "https://x", Audiences: []string{"a"}, Registered: &yes, ValidUntil: when()}}
	s.KMSGrants = []KMSGrant{{Key: "arn:aws:kms:eu-west-1:100000000000:key/1", ID: "g", Grantee: "x", Retiring: "y", Operations: []string{"Decrypt"}, Created: when()}}
	s.Shares = []Share{{Kind: "RAM", ARN: "s", Owner: "100000000000", With: []string{"all"}, AllowExternal: maybe(), Attributes: map[string]any{"a": "b"}}}
	if maybe() {
		s.Usage = []Usage{{Fields: map[string]any{"coverage": "100000000000", "missing": true}}}
	} else {
		add(Gap{Kind: GapFile, Subject: usageFile, Reason: notCollected(factFiles[4])})
	}
	add(Gap{Kind: GapRegion, Subject: "100000000000/eu-west-1", Account: "100000000000", Reason: "denied <&>"})
	s.order()
	stated := s.Gaps
	s.Gaps = nil
	s.settleGaps(stated)
	return s
}

func (s *Snapshot) anyInventoried() bool {
	for _, a := range s.Accounts {
		if a.Inventoried {
			return true
		}
	}
	return false
}

func mustParse(text string) *policy.Document {
	d, problems := policy.Parse([]byte(text))
	if len(problems) > 0 {
		panic(fmt.Sprint(problems))
	}
	return d
}

// An error of the sink stops the writing and comes back.
func TestWriteStops(t *testing.T) {
	s, err := ReadFS(mapFS(docExamples(t)))
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("the disk is full")
	calls := 0
	err = Write(s, func(string, []byte) error {
		calls++
		if calls == 3 {
			return full
		}
		return nil
	})
	if !errors.Is(err, full) || calls != 3 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}
