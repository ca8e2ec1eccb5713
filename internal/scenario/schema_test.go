package scenario

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "../../docs/schema/scenario.schema.json"

func validate(t *testing.T, data []byte) error {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return schema.Validate(v)
}

func TestSharedScenariosKeepTheSchema(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/scenarios/*.json")
	if len(files) == 0 {
		t.Skip("the folder of shared scenarios is not beside this repository: they are not checked against the schema")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, data); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
}

func TestSchemaRefuses(t *testing.T) {
	const good = `{"id":"T01","now":"2026-11-01T00:00:00Z","org":{"accounts":[{"id":"111122223333","kind":"member"}]},
		"expect":{"notAssessed":[{"id":"COV-001","subject":"111122223333"}]}}`
	if err := validate(t, []byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{
		{`"id":"T01"`, `"id":1`},
		{`"now"`, `"clock"`},
		{`"kind":"member"`, `"kind":"partner"`},
		{`"subject":"111122223333"`, `"target":"111122223333"`},
	} {
		if validate(t, []byte(strings.Replace(good, change[0], change[1], 1))) == nil {
			t.Errorf("%s in place of %s is accepted", change[1], change[0])
		}
	}
}

// TestSchemaNamesWhatIsRead holds the top level of the schema against the code, in both directions.
func TestSchemaNamesWhatIsRead(t *testing.T) {
	data, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var inSchema, inCode []string
	for name := range v.(map[string]any)["properties"].(map[string]any) {
		inSchema = append(inSchema, name)
	}
	for f := range reflect.TypeFor[file]().Fields() {
		inCode = append(inCode, f.Tag.Get("json"))
	}
	slices.Sort(inSchema)
	slices.Sort(inCode)
	if !slices.Equal(inSchema, inCode) {
		t.Errorf("schema: %v\ncode:   %v", inSchema, inCode)
	}
}
