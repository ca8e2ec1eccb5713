package cloudformation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

var update = flag.Bool("update", false, "write the section want of the corpora anew")

// places: descriptions name the places of documents.
var places = true

// describePlan is a plan as text: what stands, the steps with what was (-) and what will be (+), what is unknown (?), the gaps.
func describePlan(p *change.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "account=%s region=%s\n", p.Account, p.Region)
	for _, part := range p.Standing {
		fmt.Fprintln(&b, "=", describePart(part))
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s %s", s.Action, s.Address)
		if places {
			fmt.Fprintf(&b, " %s:%d:%d", s.Source.File, s.Source.Line, s.Source.Column)
		}
		if s.Sensitive {
			b.WriteString(" sensitive")
		}
		b.WriteByte('\n')
		for _, part := range s.Before {
			fmt.Fprintln(&b, "  -", describePart(part))
		}
		for _, part := range s.After {
			fmt.Fprintln(&b, "  +", describePart(part))
		}
		for _, u := range s.Unknown {
			fmt.Fprintf(&b, "  ? %s of %s: it %s\n", u.Attribute, u.Of, u.Why)
		}
	}
	for _, g := range p.Gaps {
		fmt.Fprintf(&b, "gap %s %s %s: %s", g.Kind, g.Subject, g.Account, g.Reason)
		if places {
			fmt.Fprintf(&b, " (%s:%d:%d)", g.Source.File, g.Source.Line, g.Source.Column)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// corpus is a plan read from the files of an archive: template.*, old.*, changeset.json, options.json, and nested templates by name.
func corpus(files map[string][]byte) (*change.Plan, error) {
	var o struct {
		Options
	}
	if text, ok := files["options.json"]; ok {
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, err
		}
	}
	o.Nested = func(_, location string) (File, bool) {
		data, ok := files[location]
		return File{location, data}, ok
	}
	find := func(stem string) *File {
		for _, ext := range []string{".yaml", ".json"} {
			if data, ok := files[stem+ext]; ok {
				return &File{stem + ext, data}
			}
		}
		return nil
	}
	template, old, set := find("template"), find("old"), find("changeset")
	if old == nil && set == nil {
		return Read(template.Name, template.Data, o.Options)
	}
	return ReadChange(old, template, set, o.Options)
}

func archiveFiles(a *txtar.Archive) map[string][]byte {
	files := map[string][]byte{}
	for _, f := range a.Files {
		files[f.Name] = f.Data
	}
	return files
}

func TestCorpora(t *testing.T) {
	names, _ := filepath.Glob("testdata/*.txtar")
	if len(names) == 0 {
		t.Fatal("there are no corpora")
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			p, err := corpus(archiveFiles(archive))
			got := ""
			if err != nil {
				got = "error: " + err.Error() + "\n"
			} else {
				got = describePlan(p)
			}
			last := &archive.Files[len(archive.Files)-1]
			if last.Name != "want" {
				t.Fatal("the last section is not want")
			}
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(last.Data) {
				t.Errorf("got:\n%s\nwant:\n%s", got, last.Data)
			}
		})
	}
}

// TestSamples reads templates of other people's.
func TestSamples(t *testing.T) {
	names, _ := filepath.Glob("../../../../shared/data/apeman-two-accounts/testenv/*.yaml")
	if len(names) == 0 {
		t.Skip("the samples are not here")
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Account: "111111111111", Region: "us-east-1"}
		if strings.Contains(name, "prod") {
			o.Parameters = map[string]string{"DevAccountId": "222222222222"}
		}
		p, err := Read(filepath.Base(name), data, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(p.Gaps) > 0 {
			t.Errorf("%s:\n%s", name, describePlan(p))
		}
		for _, s := range p.Steps {
			if len(s.Unknown) > 0 {
				t.Errorf("%s: %s: %+v", name, s.Address, s.Unknown)
			}
		}
	}
}

// inOrder writes a value as JSON, functions in their long form, fields in the order of the template.
func inOrder(n *node) string {
	var b strings.Builder
	switch n.kind {
	case null:
		return "null"
	case text:
		return quote(n.text)
	case list:
		for i, e := range n.items {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(inOrder(e))
		}
		return "[" + b.String() + "]"
	}
	for i, f := range n.fields {
		if i > 0 {
			b.WriteString(",\n")
		}
		b.WriteString(quote(f.key) + ": " + inOrder(f.node))
	}
	return "{" + b.String() + "}"
}

// TestForms: JSON and YAML of the same template give the same plan.
func TestForms(t *testing.T) {
	places = false
	defer func() { places = true }()
	names, _ := filepath.Glob("testdata/*.txtar")
	compared := 0
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files := archiveFiles(archive)
		asJSON := map[string][]byte{}
		for name, data := range files {
			stem, yaml := strings.CutSuffix(name, ".yaml")
			if !yaml {
				asJSON[name] = data
				continue
			}
			tree, err := parse(data)
			if err != nil {
				t.Fatal(err)
			}
			if stem == "template" || stem == "old" {
				name = stem + ".json"
			}
			asJSON[name] = []byte(inOrder(tree))
			compared++
		}
		a, err := corpus(files)
		if err != nil {
			t.Fatal(err)
		}
		b, err := corpus(asJSON)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		// Of YAML alone are a number in base eight, and the file's name.
		clean := func(s string) string {
			var out []string
			for _, line := range strings.Split(strings.ReplaceAll(s, "template.yaml", "template.json"), "\n") {
				if !strings.Contains(line, "octal number") {
					out = append(out, line)
				}
			}
			return strings.Join(out, "\n")
		}
		if x, y := clean(describePlan(a)), clean(describePlan(b)); x != y {
			t.Errorf("%s: YAML gives\n%s\nand JSON gives\n%s", name, x, y)
		}
	}
	if compared < 8 {
		t.Fatalf("only %d templates were compared", compared)
	}
}

// TestRows holds every row of the table that reads a policy against a template with a known and with an unknown policy.
func TestRows(t *testing.T) {
	const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"x:*","Resource":"*"}]}`
	type policyAt struct{ row, path, snapshot string }
	var all []policyAt
	for _, r := range rows {
		if r.Policy != "" && r.build == nil {
			all = append(all, policyAt{r.Type, r.Policy, r.Snapshot})
		}
		for _, a := range r.Also {
			all = append(all, policyAt{r.Type, a.Policy, a.Snapshot})
		}
	}
	if len(all) < 60 {
		t.Fatalf("the table has %d rows with a policy", len(all))
	}
	for _, at := range all {
		t.Run(at.row+"."+at.path, func(t *testing.T) {
			r := byType[at.row]
			read := func(value string) (*change.Plan, change.Part) {
				path := strings.Split(at.path, ".")
				for i := len(path) - 1; i > 0; i-- {
					value = `{` + quote(path[i]) + `:` + value + `}`
				}
				properties := quote(path[0]) + ":" + value
				for _, m := range strings.Split(r.ARN, "{")[1:] {
					name, _, _ := strings.Cut(m, "}")
					name, _, _ = strings.Cut(name, "|")
					if name == path[0] || strings.ToUpper(name[:1]) != name[:1] {
						continue
					}
					one := `"n"`
					if strings.HasSuffix(strings.ToLower(name), "arn") {
						one = `"arn:aws:x:eu-west-1:111111111111:y/n"`
					}
					if name == r.Each {
						one = "[" + one + "]"
					}
					properties += "," + quote(name) + ":" + one
				}
				if r.Several != "" {
					properties += "," + quote(r.Several) + `:"p"`
				}
				p, err := Read("t.json", []byte(`{"Resources":{"X":{"Type":`+quote(at.row)+`,"Properties":{`+properties+`}}}}`), Options{Account: "111111111111", Region: "eu-west-1"})
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Gaps) > 0 || len(p.Steps) != 1 {
					t.Fatalf("expected one step without gaps, found:\n%s", describePlan(p))
				}
				return p, p.Steps[0].After[len(p.Steps[0].After)-1]
			}
			policyOf := func(part change.Part) (snapshot.Resource, string) {
				switch part := part.(type) {
				case change.Resource:
					return part.Resource, ""
				case change.ResourcePolicy:
					return part.Resource, ""
				case change.ResourceStatement:
					return part.Resource, part.ID
				}
				t.Fatalf("unexpected part %s", describePart(part))
				return snapshot.Resource{}, ""
			}
			for _, form := range []string{document, quote(document)} {
				p, part := read(form)
				res, id := policyOf(part)
				if res.Policy.State != snapshot.Read || res.Type != at.snapshot || res.Account != "111111111111" || strings.Contains(res.ARN, "{Name") {
					t.Errorf("known policy:\n%s", describePlan(p))
				}
				if (id != "") != (r.Several != "") {
					t.Errorf("found the id %q", id)
				}
			}
			p, part := read(`{"Fn::ImportValue": "x"}`)
			if res, _ := policyOf(part); res.Policy.State != snapshot.Unresolved || res.Policy.Problem == "" || len(p.Steps[0].Unknown) == 0 {
				t.Errorf("unknown policy:\n%s", describePlan(p))
			}
		})
	}
}

// TestSharedTypes holds the table against the list of types that decide about access.
func TestSharedTypes(t *testing.T) {
	data, err := os.ReadFile("../../../../shared/reference/resource-types.json")
	if err != nil {
		t.Skip("the list is not here")
	}
	var list struct {
		Types []struct{ Name, Type, CloudFormation string }
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	whole, short := regexp.MustCompile(`AWS::\w+::\w+`), regexp.MustCompile(`^(\w+)\.`)
	checked := 0
	for _, r := range list.Types {
		if r.CloudFormation == "no" || r.CloudFormation == "-" || !strings.HasPrefix(r.Type, "AWS::") {
			continue
		}
		types := append(whole.FindAllString(r.CloudFormation, -1), r.Type)
		service := r.Type[:strings.LastIndex(r.Type, ":")+1]
		for _, part := range strings.FieldsFunc(r.CloudFormation, func(c rune) bool { return c == ',' || c == ';' }) {
			if m := short.FindStringSubmatch(strings.TrimSpace(part)); m != nil && !strings.HasPrefix(strings.TrimSpace(part), "AWS::") {
				types = append(types, service+m[1])
			}
		}
		for _, typ := range types {
			// Properties with a dot are no types; a policy property of the type itself is checked by its row.
			if (typ == service+"StreamSpecification") || typ == "AWS::EC2::Image" || typ == "AWS::ImageBuilder::Component" || typ == "AWS::SSM::Parameter" {
				continue
			}
			if typ == "AWS::ServiceCatalog::Portfolio" || typ == "AWS::Signer::SigningProfile" {
				continue // they say nothing by themselves; their shares and permissions do
			}
			checked++
			if byType[typ] == nil && unplaced[typ] == "" {
				t.Errorf("%s: %s is neither read nor a gap", r.Name, typ)
			}
		}
	}
	if checked < 60 {
		t.Fatalf("only %d types were checked", checked)
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       string
	}{
		{"empty", "", "t: it is empty"},
		{"blank", " \n# x\n", "t: it is empty"},
		{"a list", "- a", "expected an object with Resources"},
		{"text", "hello", "expected an object with Resources"},
		{"a plan", `{"format_version":"1.2"}`, "there is no section Resources"},
		{"a change set", `{"ChangeSetId":"x","Changes":[]}`, "it is a change set"},
		{"broken off", `{"Resources": {`, "t: 1:16: the text breaks off"},
		{"broken YAML", "Resources:\n  A: [", "t: "},
		{"twice", "Resources:\n  A: {Type: x}\n  A: {Type: y}\n", `t: 3:3: the key "A" comes twice`},
		{"twice in JSON", `{"Resources": {"A": {"Type": "x"}, "A": {}}}`, `t: 1:36: the key "A" comes twice`},
		{"two documents", "Resources: {}\n---\nResources: {}\n", "here begins a second one"},
		{"another shape", "Resources: [1]", "t: 1:12: Resources: expected an object"},
		{"an alias in itself", "Resources: &a\n  B: *a\n", "contains itself"},
		{"a key that is a list", "Resources:\n  [a]: b\n", "t: 2:3: expected a key that is text"},
		{"deep", `{"Resources":` + strings.Repeat("[", 300) + strings.Repeat("]", 300) + `}`, "nested too deep"},
		{"deep YAML", "Resources: " + strings.Repeat("[", 300) + strings.Repeat("]", 300), "nested too deep"},
		{"a bomb", "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\nResources: {}\n", "too many values"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := Read("t", []byte(c.text), Options{})
			if err == nil || p != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("expected an error with %q, found %v", c.want, err)
			}
		})
	}
	const template = "Resources: {}\nParameters: {A: {Type: String}}\n"
	for _, c := range []struct {
		name string
		o    Options
		want string
	}{
		{"an account", Options{Account: "12"}, `"12" is no account id`},
		{"a parameter", Options{Parameters: map[string]string{"B": "x"}}, `t: the template has no parameter "B"`},
	} {
		if _, err := Read("t", []byte(template), c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: expected an error with %q, found %v", c.name, c.want, err)
		}
	}
	for _, c := range []struct {
		name             string
		before, then, cs *File
		o                Options
		want             string
	}{
		{name: "nothing", want: "neither a change set nor a new template"},
		{name: "a template as a change set", cs: &File{"c", []byte("Resources: {}")}, want: "c: this is no change set as describe-change-set prints it: it is a template"},
		{name: "something else", cs: &File{"c", []byte("{}")}, want: "there are no Changes"},
		{name: "another account", cs: &File{"c", []byte(`{"ChangeSetId":"x","StackId":"arn:aws:cloudformation:eu-west-1:111111111111:stack/a/b"}`)}, o: Options{Account: "222222222222"}, want: "is of the account 111111111111, and 222222222222 was given"},
		{name: "a broken old template", before: &File{"o", []byte("[")}, then: &File{"n", []byte(template)}, want: "o: "},
	} {
		if _, err := ReadChange(c.before, c.then, c.cs, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: expected an error with %q, found %v", c.name, c.want, err)
		}
	}
}

// TestLines: positions inside a document are those of the template, in YAML and in JSON. Columns in YAML are a little off where JSON needs brackets and quotes.
func TestLines(t *testing.T) {
	for _, c := range []struct {
		text      string
		statement [2]int32 // of the second statement
		principal [2]int32 // of its principal
	}{
		{"Resources:\n  R:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument:\n        # a comment\n        Version: 2012-10-17\n        Statement:\n          - Effect: Deny\n            Principal: '*'\n            Action: '*'\n\n          - Effect: Allow\n            Principal:\n              AWS: !Join ['', ['2222', '22222222']]\n            Action: sts:AssumeRole\n", [2]int32{13, 13}, [2]int32{15, 20}},
		{"{\"Resources\": {\"R\": {\"Type\": \"AWS::IAM::Role\", \"Properties\": {\"AssumeRolePolicyDocument\": {\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [{\"Effect\": \"Deny\", \"Principal\": \"*\", \"Action\": \"*\"},\n    {\"Effect\": \"Allow\",\n     \"Principal\": {\"AWS\": \"222222222222\"}, \"Action\": \"sts:AssumeRole\"}]}}}}}", [2]int32{4, 5}, [2]int32{5, 27}},
	} {
		p, err := Read("t", []byte(c.text), Options{Account: "111111111111", Region: "eu-west-1"})
		if err != nil {
			t.Fatal(err)
		}
		doc := p.Steps[0].After[0].(change.Role).Trust
		s := doc.Policy.Document.Statements[1]
		if at := doc.At(s.Pos); [2]int32{at.Line, at.Column} != c.statement {
			t.Errorf("the statement is at %d:%d, expected %v", at.Line, at.Column, c.statement)
		}
		if at := doc.At(s.Principal.Values[0].Pos); at.Line != c.principal[0] || at.Column < c.principal[1] || at.Column > c.principal[1]+3 {
			t.Errorf("the principal is at %d:%d, expected %v", at.Line, at.Column, c.principal)
		}
	}
}

func TestReadPhysical(t *testing.T) {
	got, err := ReadPhysical(File{"r", []byte(`{"StackResources":[{"LogicalResourceId":"A","PhysicalResourceId":"a","ResourceStatus":"CREATE_COMPLETE"},{"LogicalResourceId":"B","PhysicalResourceId":"b","ResourceStatus":"DELETE_COMPLETE"}]}`)})
	if err != nil || len(got) != 1 || got["A"] != "a" {
		t.Errorf("found %v, %v", got, err)
	}
	if _, err := ReadPhysical(File{"r", []byte(`{}`)}); err == nil {
		t.Error("something else was taken for resources of a stack")
	}
}

// TestUnknownIsNotAllowed: what is not known is possible for everybody, and never nothing: with each part of a policy taken away in turn, no document is one that is understood and says less.
func TestUnknownIsNotAllowed(t *testing.T) {
	parts := map[string]string{"Effect": "Allow", "Principal": `{AWS: "222222222222"}`, "Action": "sts:AssumeRole", "Resource": `"*"`, "Condition": `{StringEquals: {"sts:ExternalId": x}}`}
	names := []string{"Effect", "Principal", "Action", "Resource", "Condition"}
	unknown := []string{"!ImportValue x", "!Ref Missing", "!GetAtt Custom.Thing", `"{{resolve:ssm:x}}"`, "!If [Open, a, b]", "!Sub '${Open}'", "!Select [0, !Ref Open]", "!Transform {Name: M}", "!FindInMap [A, B, C]", "!Base64 {Ref: Open}"}
	for _, lostPart := range names {
		for _, u := range unknown {
			var statement []string
			for _, n := range names {
				v := parts[n]
				if n == lostPart {
					v = u
				}
				statement = append(statement, n+": "+v)
			}
			template := "Parameters: {Open: {Type: String}}\nConditions: {Open: !Equals [!Ref Open, x]}\nResources:\n  Custom: {Type: Custom::X}\n  R:\n    Type: AWS::IAM::Role\n    Properties:\n      AssumeRolePolicyDocument:\n        Version: 2012-10-17\n        Statement:\n          - {" + strings.Join(statement, ", ") + "}\n          - {Effect: Deny, Principal: '*', Action: sts:TagSession}\n"
			p, err := Read("t", []byte(template), Options{Account: "111111111111", Region: "eu-west-1"})
			if err != nil {
				t.Fatalf("%v\n%s", err, template)
			}
			s := p.Steps[len(p.Steps)-1]
			doc := s.After[0].(change.Role).Trust
			if doc.State != snapshot.Read || doc.Policy.Rules[0].NotUnderstood == "" || doc.Policy.Rules[1].NotUnderstood != "" {
				t.Errorf("%s: %s: expected one statement that is not understood and one that is, found %s", lostPart, u, describeDocument(doc))
			}
			if len(s.Unknown) != 1 || !strings.HasPrefix(s.Unknown[0].Attribute, "AssumeRolePolicyDocument.Statement[0]."+lostPart) || s.Unknown[0].Why == "" {
				t.Errorf("%s: %s: unknown %+v", lostPart, u, s.Unknown)
			}
			if len(p.Gaps) > 0 {
				t.Errorf("%s: %s: gaps %+v", lostPart, u, p.Gaps)
			}
		}
	}
}

// FuzzRead reads anything as template and as change set: there may be errors, and no panic. What was read holds together.
func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var template, old, set []byte
		for _, file := range archive.Files {
			switch strings.TrimSuffix(strings.TrimSuffix(file.Name, ".yaml"), ".json") {
			case "template":
				template = file.Data
			case "old":
				old = file.Data
			case "changeset":
				set = file.Data
			}
		}
		f.Add(template, old, set)
	}
	f.Fuzz(func(t *testing.T, template, old, set []byte) {
		o := Options{Account: "111111111111", Region: "eu-west-1", Nested: func(string, string) (File, bool) { return File{"nested", template}, true }}
		var plans []*change.Plan
		add := func(p *change.Plan, err error) {
			if err == nil {
				plans = append(plans, p)
			}
		}
		add(Read("t", template, o))
		add(Read("t", template, Options{Standing: true}))
		add(ReadChange(&File{"o", old}, &File{"t", template}, nil, o))
		add(ReadChange(nil, nil, &File{"c", set}, Options{}))
		add(ReadChange(&File{"o", old}, &File{"t", template}, &File{"c", set}, Options{}))
		for _, p := range plans {
			for _, s := range p.Steps {
				for _, part := range s.After {
					if r, ok := part.(change.ResourcePolicy); ok && r.Policy.State == snapshot.Unresolved && r.Policy.Problem == "" {
						t.Errorf("%s: a policy that is not known has no reason", s.Address)
					}
				}
			}
			describePlan(p)
			change.Snapshot(p)
		}
	})
}

// TestDeterministic reads each corpus again and again: nothing may depend on the order of a map.
func TestDeterministic(t *testing.T) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := string(archive.Files[len(archive.Files)-1].Data)
		for range 20 {
			p, err := corpus(archiveFiles(archive))
			if err != nil {
				t.Fatal(err)
			}
			if got := describePlan(p); got != want {
				t.Fatalf("%s: a later reading differs:\n%s", name, got)
			}
		}
	}
}
