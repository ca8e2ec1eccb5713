package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"reflect"
	"strings"
)

// WriteJSON writes the versioned contract of docs/reference/report.md. The report is written piece by piece, each list by
// its elements, so that the text of a large report is never in memory as a whole: the bytes are those that
// encoding/json would write.
func WriteJSON(w io.Writer, r *Report) error {
	out := &pieces{w: bufio.NewWriterSize(w, 1<<16)}
	out.report(reflect.ValueOf(r).Elem())
	out.text("\n")
	if out.err != nil {
		return out.err
	}
	return out.w.Flush()
}

// pieces writes JSON with an indent of two blanks. After an error it writes nothing more.
type pieces struct {
	w      *bufio.Writer
	buffer bytes.Buffer
	err    error
}

func (p *pieces) text(s string) {
	if p.err == nil {
		_, p.err = p.w.WriteString(s)
	}
}

// report writes a struct's fields by their json tags.
func (p *pieces) report(v reflect.Value) {
	separator := "{"
	for i := range v.NumField() {
		name, options, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		field := v.Field(i)
		if options == "omitempty" && empty(field) {
			continue
		}
		p.text(separator + "\n  \"" + name + "\": ")
		separator = ","
		if field.Kind() == reflect.Slice && field.Len() > 0 {
			p.list(field)
		} else {
			p.value(field, "  ")
		}
	}
	p.text("\n}")
}

func empty(v reflect.Value) bool {
	if v.Kind() == reflect.Slice {
		return v.Len() == 0
	}
	return v.IsZero()
}

func (p *pieces) list(v reflect.Value) {
	separator := "["
	for i := range v.Len() {
		p.text(separator + "\n    ")
		separator = ","
		p.value(v.Index(i), "    ")
	}
	p.text("\n  ]")
}

// value writes what is small enough to be written at once; its further lines begin with prefix.
func (p *pieces) value(v reflect.Value, prefix string) {
	if p.err != nil {
		return
	}
	p.buffer.Reset()
	encoder := json.NewEncoder(&p.buffer)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent(prefix, "  ")
	if p.err = encoder.Encode(v.Addr().Interface()); p.err == nil {
		_, p.err = p.w.Write(bytes.TrimSuffix(p.buffer.Bytes(), []byte("\n")))
	}
}
