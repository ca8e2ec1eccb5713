package snapshot

import (
	"bytes"
	"encoding/json"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// example matches a fenced block of docs/snapshot.md that stands for a whole file.
var example = regexp.MustCompile("(?m)^```jsonl? file=(\\S+)\n((?s:.*?))^```")

// docExamples returns the files that docs/snapshot.md shows, by name.
func docExamples(t testing.TB) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/snapshot.md")
	if err != nil {
		t.Fatal(err)
	}
	files := make(map[string]string)
	for _, m := range example.FindAllStringSubmatch(string(text), -1) {
		files[m[1]] = m[2]
	}
	if len(files) != 10 {
		t.Fatalf("docs/snapshot.md shows %d files, want 10: one for each kind", len(files))
	}
	return files
}

// schemaNames says which schema of docs/schema describes a file, or each line of it.
var schemaNames = map[string]string{
	"organization.json": "organization", "iam.json": "iam", "policies.json": "policies", "resources.jsonl": "resource",
	"providers.json": "providers", "grants.jsonl": "grant", "shares.jsonl": "share", "usage.json": "usage", "collected.json": "collected", "gaps.json": "gaps",
}

// schemaErrors validates a file with its schema.
func schemaErrors(t *testing.T, name, text string) []error {
	t.Helper()
	schema, ok := schemaNames[path.Base(name)]
	if !ok {
		t.Fatalf("no schema is known for %s", name)
	}
	compiled, err := jsonschema.NewCompiler().Compile("../../docs/schema/" + schema + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	values := []string{text}
	if strings.HasSuffix(name, ".jsonl") {
		values = strings.Split(strings.TrimSpace(text), "\n")
		if strings.TrimSpace(text) == "" {
			values = nil
		}
	}
	var errs []error
	for _, value := range values {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(value)))
		if err == nil {
			err = compiled.Validate(v)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

func TestDocumentedExamplesHoldToTheirSchemas(t *testing.T) {
	for name, text := range docExamples(t) {
		for _, err := range schemaErrors(t, name, text) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The schemas can refuse: each example with an unknown field, or without one that is required, is no valid file. The
// reader agrees and reports the same change as a gap.
func TestSchemasRefuse(t *testing.T) {
	for name, text := range docExamples(t) {
		if name == "usage.json" || strings.Contains(name, "iam.json") || name == "policies.json" {
			continue // forms that are open by design
		}
		files := docExamples(t)
		files[name] = strings.Replace(text, `{"`, `{"surprise": 1, "`, 1)
		if name == "organization.json" || name == "providers.json" {
			files[name] = strings.Replace(text, "{\n", "{\n\"surprise\": 1,\n", 1)
		}
		if files[name] == text {
			t.Fatalf("%s: nothing was changed", name)
		}
		if len(schemaErrors(t, name, files[name])) == 0 {
			t.Errorf("%s: the schema accepts a field that the form does not have", name)
		}
		s, err := ReadFS(mapFS(files))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, g := range s.Gaps {
			found = found || g.Kind == GapFile && g.Source.File == name && g.Source.Line > 0 && strings.Contains(g.Reason, `unknown field "surprise"`)
		}
		if !found {
			t.Errorf("%s: no gap tells of the unknown field: %+v", name, s.Gaps)
		}
	}
}

// Put together, the examples of the document are a snapshot that reads without a complaint but those it states itself.
func TestDocumentedExamplesRead(t *testing.T) {
	s, err := ReadFS(mapFS(docExamples(t)))
	if err != nil {
		t.Fatal(err)
	}
	var gaps []string
	for _, g := range s.Gaps {
		gaps = append(gaps, string(g.Kind)+" "+g.Subject+": "+g.Reason)
	}
	want := []string{
		"account 111122223333: the collector's role is missing in the management account",
		"account 111122223333: " + noDetails,
		"region 444455556666/ap-southeast-2: the region was not collected: access was denied",
	}
	if strings.Join(gaps, "\n") != strings.Join(want, "\n") {
		t.Errorf("gaps:\n%s\nwant:\n%s", strings.Join(gaps, "\n"), strings.Join(want, "\n"))
	}
	counts := []int{len(s.Accounts), len(s.Users), len(s.Groups), len(s.Roles), len(s.Policies), len(s.Resources), len(s.Providers), len(s.KMSGrants), len(s.Shares), len(s.Usage)}
	if got, _ := json.Marshal(counts); string(got) != "[3,1,1,1,2,2,4,1,3,3]" {
		t.Errorf("accounts, users, groups, roles, policies, resources, providers, grants, shares, usage: %s", got)
	}
	r := s.Roles[0]
	if r.MaxSession.Hours() != 1 || r.Tags["owner"] != "observability" || r.Boundary == nil || r.Trust.State != Read || r.LastUsed.IsZero() {
		t.Errorf("the role lost facts: %+v", r)
	}
	if s.Resources[0].Policy.State != Read || s.Resources[1].Policy.State != None {
		t.Errorf("resource policies: %v and %v, want read and none", s.Resources[0].Policy.State, s.Resources[1].Policy.State)
	}
	for _, a := range s.Accounts {
		if a.Inventoried != (a.ID == "444455556666") {
			t.Errorf("account %s: inventoried %v", a.ID, a.Inventoried)
		}
	}
}
