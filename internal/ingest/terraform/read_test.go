package terraform

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/rogpeppe/go-internal/txtar"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

var update = flag.Bool("update", false, "write the section want of the corpora anew")

// describePlan is a plan as text: what stands, the steps with what was (-) and what will be (+), what is unknown (?), the gaps.
func describePlan(p *change.Plan) string {
	var b strings.Builder
	fmt.Fprintf(&b, "account=%s region=%s\n", p.Account, p.Region)
	for _, part := range p.Standing {
		fmt.Fprintln(&b, "=", describePart(part))
	}
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s %s %s:%d:%d", s.Action, s.Address, s.Source.File, s.Source.Line, s.Source.Column)
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
		fmt.Fprintf(&b, "gap %s %s %s: %s (%s:%d)\n", g.Kind, g.Subject, g.Account, g.Reason, g.Source.File, g.Source.Line)
	}
	for _, g := range p.Unchanged {
		fmt.Fprintf(&b, "gap of what stands %s %s %s: %s (%s:%d)\n", g.Kind, g.Subject, g.Account, g.Reason, g.Source.File, g.Source.Line)
	}
	return b.String()
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
			files, want := fstest.MapFS{}, -1
			for i, f := range archive.Files {
				files[f.Name] = &fstest.MapFile{Data: f.Data}
				if f.Name == "want" {
					want = i
				}
			}
			o := Options{File: "plan.json"}
			if _, err := fs.Stat(files, "code"); err == nil {
				if o.Code, err = ReadCode(files, "code"); err != nil {
					t.Fatal(err)
				}
			}
			var p *change.Plan
			if f, ok := files["plan.json"]; ok {
				p, err = ReadPlan(bytes.NewReader(f.Data), o)
			} else {
				p, err = ReadState(bytes.NewReader(files["state.json"].Data), Options{File: "state.json"})
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := fs.Stat(files, "code"); err == nil {
				if err := Locate(files, "code", p); err != nil {
					t.Error(err)
				}
			}
			got := describePlan(p)
			if *update {
				archive.Files[want].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(archive.Files[want].Data) {
				t.Errorf("got:\n%s\nwant:\n%s", got, archive.Files[want].Data)
			}
		})
	}
}

// TestRows holds every row of the table that reads a policy against a plan with a known and with an unknown policy.
func TestRows(t *testing.T) {
	const text = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"x:*","Resource":"*"}]}`
	for _, r := range rows {
		if r.Policy == "" || r.build != nil {
			continue
		}
		t.Run(r.Type, func(t *testing.T) {
			values, unknown := map[string]any{"name": "n", "bucket": "b"}, map[string]any{}
			top, rest, nested := strings.Cut(r.Policy, ".")
			put := func(in map[string]any, v any) {
				if nested {
					_, leaf, _ := strings.Cut(rest, ".")
					v = []any{map[string]any{leaf: v}}
				}
				in[top] = v
			}
			read := func() (*change.Plan, snapshot.Resource, string) {
				plan := map[string]any{"format_version": "1.2", "resource_changes": []any{map[string]any{
					"address": r.Type + ".x", "mode": "managed", "type": r.Type, "name": "x",
					"change": map[string]any{"actions": []string{"create"}, "after": values, "after_unknown": unknown},
				}}}
				data, err := json.Marshal(plan)
				if err != nil {
					t.Fatal(err)
				}
				p, err := ReadPlan(bytes.NewReader(data), Options{Account: "111111111111", Region: "eu-west-1"})
				if err != nil {
					t.Fatal(err)
				}
				if len(p.Steps) != 1 || len(p.Steps[0].After) != 1 {
					t.Fatalf("expected one step with one part, found:\n%s", describePlan(p))
				}
				switch part := p.Steps[0].After[0].(type) {
				case change.Resource:
					return p, part.Resource, ""
				case change.ResourcePolicy:
					return p, part.Resource, ""
				case change.ResourceStatement:
					return p, part.Resource, part.ID
				}
				t.Fatalf("unexpected part:\n%s", describePlan(p))
				return nil, snapshot.Resource{}, ""
			}
			put(values, text)
			_, res, id := read()
			if res.Policy.State != snapshot.Read || res.Type != r.Snapshot || res.ARN == "" || res.Account != "111111111111" {
				t.Errorf("known policy: found %s", describeResource("resource", res))
			}
			if (id != "") != (r.Several != "") {
				t.Errorf("found the id %q", id)
			}
			delete(values, top)
			put(unknown, true)
			if nested {
				values[top] = []any{map[string]any{}}
			}
			p, res, _ := read()
			if r.Of && (res.Policy.State != snapshot.Unresolved || res.Policy.Problem == "" || len(p.Steps[0].Unknown) == 0) {
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
		Types []struct{ Name, Terraform string }
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	// Named there, and deciding nothing by itself.
	fine := map[string]string{
		"aws_s3_directory_bucket": "its policy is aws_s3_bucket_policy", "aws_dsql_cluster": "has no policy argument", "aws_osis_pipeline": "has no policy argument",
		"aws_redshift_snapshot_schedule_association": "shares nothing",
	}
	name := regexp.MustCompile(`aws_[a-z0-9_]+`)
	for _, r := range list.Types {
		for _, typ := range name.FindAllString(r.Terraform, -1) {
			if byType[typ] == nil && unplaced[typ] == "" && fine[typ] == "" {
				t.Errorf("%s: %s is neither read nor a gap", r.Name, typ)
			}
		}
	}
}

// TestSamples reads the plans of other people's tools.
func TestSamples(t *testing.T) {
	names, _ := filepath.Glob("../../../../shared/data/terraform-plan-samples/*/test_plan.json")
	if len(names) == 0 {
		t.Skip("the samples are not here")
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		code, err := ReadCode(os.DirFS(filepath.Dir(name)), ".")
		if err != nil {
			t.Fatal(err)
		}
		p, err := ReadPlan(f, Options{File: name, Account: "111111111111", Code: code})
		f.Close()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(p.Steps) == 0 || len(p.Gaps)+len(p.Unchanged) > 0 {
			t.Errorf("%s:\n%s", name, describePlan(p))
		}
		for _, s := range p.Steps {
			if len(s.Unknown) > 0 {
				t.Errorf("%s: %s: unknown %v", name, s.Address, s.Unknown)
			}
		}
		if err := code.Locate(p); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, s := range p.Steps {
			if s.Source.File == name {
				t.Errorf("%s: %s was not found in the code", name, s.Address)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, plan, state string }{
		{"empty", "", "it is empty", "it is empty"},
		{"a plan file", "PK\x03\x04", "terraform show -json PLANFILE", "terraform show -json PLANFILE"},
		{"a log", `{"@level":"info"}` + "\n" + `{"@level":"info"}`, "the log of terraform plan -json", "the log of terraform plan -json"},
		{"a list", "[]", "1:2: expected an object, found a list", "1:2: expected an object, found a list"},
		{"text", "plan", "1:1: invalid character 'p'", "1:1: invalid character 'p'"},
		{"a template", `{"Resources":{}}`, "there is no format_version", "neither format_version nor version"},
		{"a state", `{"format_version":"1.0","values":{}}`, "it is a state", ""},
		{"a state file", `{"version":4,"serial":1,"lineage":"a"}`, "it is a state file", ""},
		{"an old state file", `{"version":3,"serial":1,"lineage":"a"}`, "it is a state file", `its version is "3"`},
		{"a plan", `{"format_version":"1.2","resource_changes":[]}`, "", "it is a plan"},
		{"a later format", `{"format_version":"2.0","resource_changes":[]}`, `its format_version is "2.0"`, "it is a plan"},
		{"no resources", `{"format_version":"1.2"}`, "neither resource_changes nor planned_values", ""},
		{"broken off", "{\"format_version\":\"1.2\",\n\"resource_changes\":[{", "reading the plan: 2:21: the text breaks off", "the text breaks off"},
		{"another shape", `{"format_version":"1.2","resource_changes":{"a":1}}`, "1:45: expected a list, found an object", "it is a plan"},
		{"two", `{"format_version":"1.2","resource_changes":[]}{}`, "expected the end of the file", "expected the end of the file"},
		{"twice", `{"format_version":"1.2","format_version":"1.2"}`, `the field "format_version" comes twice`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ReadPlan(strings.NewReader(c.text), Options{})
			expect(t, "plan", err, c.plan)
			_, err = ReadState(strings.NewReader(c.text), Options{})
			expect(t, "state", err, c.state)
		})
	}
}

func expect(t *testing.T, what string, err error, want string) {
	t.Helper()
	if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s: expected an error with %q, found %v", what, want, err)
	}
}

// TestDeterministic reads each corpus again and again: nothing may depend on the order of a map.
func TestDeterministic(t *testing.T) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if archive.Files[0].Name != "plan.json" {
			continue
		}
		first := ""
		for n := range 20 {
			p, err := ReadPlan(bytes.NewReader(archive.Files[0].Data), Options{File: "plan.json"})
			if err != nil {
				t.Fatal(err)
			}
			if got := describePlan(p); n == 0 {
				first = got
			} else if got != first {
				t.Fatalf("%s: the %d. reading differs", name, n+1)
			}
		}
	}
}

// FuzzRead reads anything as plan, as state and as code: there may be errors, and no panic. What was read holds together.
func FuzzRead(f *testing.F) {
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		var code []byte
		for _, file := range archive.Files {
			if file.Name == "code/main.tf" {
				code = file.Data
			}
		}
		f.Add(archive.Files[0].Data, code)
	}
	f.Fuzz(func(t *testing.T, data, code []byte) {
		for _, read := range []func(io.Reader, Options) (*change.Plan, error){ReadPlan, ReadState} {
			o := Options{File: "f"}
			o.Code, _ = ReadCode(fstest.MapFS{"main.tf": {Data: code}}, ".")
			p, err := read(bytes.NewReader(data), o)
			if err != nil {
				continue
			}
			for _, s := range p.Steps {
				for _, part := range s.After {
					if r, ok := part.(change.ResourcePolicy); ok && r.Policy.State == snapshot.Unresolved && r.Policy.Problem == "" {
						t.Errorf("%s: a policy that is not known has no reason", s.Address)
					}
				}
			}
			describePlan(p)
			_ = Locate(fstest.MapFS{"main.tf": {Data: code}}, ".", p)
		}
	})
}
