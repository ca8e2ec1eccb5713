package decision

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

func TestCorpusKeepsTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/decision.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(data []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			return err
		}
		return schema.Validate(v)
	}
	files, _ := filepath.Glob("../../testdata/corpus/*.json")
	if len(files) == 0 {
		t.Fatal("no file of the corpus was found")
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(data); err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
		}
	}
	for _, bad := range []string{
		`{"principal":"anonymous","action":"s3:GetObject"}`,
		`{"principal":"anonymous","action":"s3:GetObject","resource":"*","expect":"Maybe"}`,
		`{"principal":"anonymous","action":"s3:GetObject","resource":"*","resourcepolicy":{}}`,
		`[{"principal":"anonymous","action":"s3:GetObject","resource":"*","context":{"a":{}}}]`,
	} {
		if check([]byte(bad)) == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
