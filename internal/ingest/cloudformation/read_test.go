package cloudformation

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"drawbridge/internal/change"
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
		NestedFiles bool
	}
	if text, ok := files["options.json"]; ok {
		if err := json.Unmarshal(text, &o); err != nil {
			return nil, err
		}
	}
	o.Nested = func(location string) (File, bool) {
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
