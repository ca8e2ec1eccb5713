package registry

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
)

// Fill is what a spreadsheet changes of one entry.
type Fill struct {
	Entry   *Entry
	Changes []Change
}

// Fills compares a spreadsheet that ImportCSV read with the entries of the same names. A cell that is empty says nothing. Who and what
// an entry is about is not changed by a spreadsheet: where its cells say something else, and where it names an entry that is not there,
// that is a problem.
func Fills(r, sheet *Registry) ([]Fill, []Problem) {
	byName := map[string]*Entry{}
	for i := range r.Entries {
		byName[r.Entries[i].Name] = &r.Entries[i]
	}
	var fills []Fill
	var problems []Problem
	for i := range sheet.Entries {
		row := &sheet.Entries[i]
		problem := func(format string, args ...any) {
			problems = append(problems, Problem{Place: row.Place, Entry: row.Name, Message: fmt.Sprintf(format, args...)})
		}
		e := byName[row.Name]
		if e == nil {
			problem("there is no entry of this name to fill in")
			continue
		}
		f := Fill{Entry: e}
		for _, c := range columns[1:] {
			said := c.get(row)
			switch {
			case said == "" || said == c.get(e):
			case c.field == "":
				problem("the %s is %s in the registry, and a spreadsheet does not change it", c.name, c.get(e))
			case c.name == "actions":
				f.Changes = append(f.Changes, Change{Field: c.field, Values: row.Actions})
			default:
				f.Changes = append(f.Changes, Change{Field: c.field, Values: []string{said}})
			}
		}
		if len(f.Changes) > 0 {
			fills = append(fills, f)
		}
	}
	return fills, problems
}

// FillText makes the changes of entries in the text of their file. Documents of YAML are edited one by one, so that many entries in one file
// do not cost more than as many in files of their own. What cannot be edited is a problem, and stays as it is.
func FillText(file string, data []byte, fills []Fill) ([]byte, []Problem) {
	documents := splitDocuments(data)
	var problems []Problem
	for _, f := range fills {
		i := slices.IndexFunc(documents, func(d document) bool { return d.line <= f.Entry.Place.Line && f.Entry.Place.Line < d.line+d.lines })
		if i < 0 {
			i = 0
		}
		text, err := Edit(file, documents[i].text, TrustKind, f.Entry.Name, f.Changes...)
		if err != nil {
			problems = append(problems, Problem{Place: f.Entry.Place, Entry: f.Entry.Name, Message: err.Error()})
			continue
		}
		documents[i].text = filledIn.ReplaceAll(text, []byte("$1"))
	}
	var out bytes.Buffer
	for _, d := range documents {
		out.Write(d.text)
	}
	return out.Bytes(), problems
}

// filledIn is a field that Write marked for a person to fill in, and that is: the mark has done its work.
var filledIn = regexp.MustCompile(`(?m)^( *(?:owner|purpose|expires): (?:"[^"\n]+"|'[^'\n]+'|[^"'#\s][^#\n]*[^#\s])) # TODO: [^\n]*`)

// document is a part of a file with the number of its first line in the file as it was.
type document struct {
	text        []byte
	line, lines int
}

// splitDocuments cuts a file in front of each line that begins with "---", which nothing inside a document does (YAML 1.2.2, section 9.1.2).
func splitDocuments(data []byte) []document {
	documents := []document{{line: 1}}
	for line := range bytes.Lines(data) {
		last := &documents[len(documents)-1]
		if bytes.HasPrefix(line, []byte("---")) && last.lines > 0 {
			documents = append(documents, document{line: last.line + last.lines})
			last = &documents[len(documents)-1]
		}
		last.text = append(last.text, line...)
		last.lines++
	}
	return documents
}
