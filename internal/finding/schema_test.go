package finding

import (
	"os"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// The published schema and the reader agree on what an exception is.
func TestExceptionsSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/exceptions.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/exceptions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, found := strings.Cut(example, "```")
	if !found {
		t.Fatal("docs/exceptions.md has no example")
	}
	for name, test := range map[string]struct {
		text  string
		valid bool
	}{
		"example of the page": {example, true},
		"a time":              {strings.Replace(example, "2027-03-31", "2027-03-31T12:00:00Z", 1), true},
		"unknown key":         {example + "severity: low\n", false},
		"no owner":            {strings.Replace(example, "owner: platform-team@example.com\n", "", 1), false},
		"short fingerprint":   {strings.Replace(example, "0123456789abcdef", "abc", 1), false},
		"other kind":          {strings.Replace(example, "kind: Exception", "kind: Trust", 1), false},
		"no date":             {strings.Replace(example, "2027-03-31", "never", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			var value any
			if err := yaml.Unmarshal([]byte(test.text), &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); (err == nil) != test.valid {
				t.Errorf("schema: %v, want valid %v", err, test.valid)
			}
			if _, err := ReadExceptions("e.yaml", []byte(test.text)); (err == nil) != test.valid {
				t.Errorf("reader: %v, want valid %v", err, test.valid)
			}
		})
	}
}
