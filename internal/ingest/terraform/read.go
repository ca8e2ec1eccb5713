package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"drawbridge/internal/snapshot"
)

// ErrNotPlan is returned for input that is no plan in JSON.
var ErrNotPlan = errors.New("this is no Terraform plan in JSON")

// ErrNotState is returned for input that is no state.
var ErrNotState = errors.New("this is no Terraform state")

// places turns offsets of the decoder into lines and columns, noting where lines end while the input flows by.
type places struct {
	r     io.Reader
	n     int64
	lines []int64 // offsets behind each line break
	first []byte  // the beginning of the input, for error messages
}

func (p *places) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if rest := 64 - len(p.first); rest > 0 {
		p.first = append(p.first, b[:min(n, rest)]...)
	}
	for at := 0; ; {
		i := bytes.IndexByte(b[at:n], '\n')
		if i < 0 {
			break
		}
		at += i + 1
		p.lines = append(p.lines, p.n+int64(at))
	}
	p.n += int64(n)
	return n, err
}

func (p *places) at(file string, offset int64) snapshot.Source {
	i := sort.Search(len(p.lines), func(i int) bool { return p.lines[i] > offset })
	begin := int64(0)
	if i > 0 {
		begin = p.lines[i-1]
	}
	return snapshot.Source{File: file, Line: int32(min(i+1, 1<<30)), Column: int32(min(offset-begin+1, 1<<30))}
}

// decoder walks a large JSON text: containers by token, what is in them one by one.
type decoder struct {
	*json.Decoder
	places *places
	file   string
}

func newDecoder(r io.Reader, file string) *decoder {
	p := &places{r: r}
	d := &decoder{Decoder: json.NewDecoder(p), places: p, file: file}
	d.UseNumber()
	return d
}

// fail tells what is wrong, and where.
func (d *decoder) fail(err error) error {
	offset := d.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = max(syntax.Offset-1, 0)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("the text breaks off")
	}
	s := d.places.at(d.file, offset)
	return fmt.Errorf("%d:%d: %w", s.Line, s.Column, err)
}

// here is the place of the next value.
func (d *decoder) here() snapshot.Source {
	// InputOffset is the end of the last token; a comma, a colon and blanks may stand between.
	offset := d.InputOffset()
	if rest, ok := d.Buffered().(*bytes.Reader); ok {
		for {
			b, err := rest.ReadByte()
			if err != nil || !strings.ContainsRune(" \t\r\n,:", rune(b)) {
				break
			}
			offset++
		}
	}
	return d.places.at(d.file, offset)
}

// object calls field for each field of the object that comes next; field must consume the value. null is an empty object.
func (d *decoder) object(field func(key string) error) error {
	return d.container('{', func() error {
		t, err := d.Token()
		if err != nil {
			return err
		}
		key, ok := t.(string)
		if !ok {
			return fmt.Errorf("expected a field name, found %v", t)
		}
		return field(key)
	})
}

// list calls element for each element of the list that comes next; element must consume it. null is an empty list.
func (d *decoder) list(element func() error) error { return d.container('[', element) }

func (d *decoder) container(open json.Delim, each func() error) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if t == nil {
		return nil
	}
	if t != open {
		return fmt.Errorf("expected %s, found %s", map[json.Delim]string{'{': "an object", '[': "a list"}[open], describe(t))
	}
	for d.More() {
		if err := each(); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func describe(t json.Token) string {
	switch t := t.(type) {
	case json.Delim:
		if t == '{' {
			return "an object"
		}
		return "a list"
	case string:
		return "text"
	case bool:
		return "a boolean"
	}
	return "a number"
}

// skip passes the next value without keeping it.
func (d *decoder) skip() error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// change is an element of resource_changes.
type changeJSON struct {
	Address  string `json:"address"`
	Previous string `json:"previous_address"`
	Module   string `json:"module_address"`
	Mode     string `json:"mode"`
	Type     string `json:"type"`
	Name     string `json:"name"`
	Index    any    `json:"index"`
	Deposed  string `json:"deposed"`
	Provider string `json:"provider_name"`
	Change   struct {
		Actions         []string       `json:"actions"`
		Before          map[string]any `json:"before"`
		After           map[string]any `json:"after"`
		AfterUnknown    any            `json:"after_unknown"`
		BeforeSensitive any            `json:"before_sensitive"`
		AfterSensitive  any            `json:"after_sensitive"`
		Importing       *struct {
			ID string `json:"id"`
		} `json:"importing"`
	} `json:"change"`
}

// valueJSON is a resource of planned_values, prior_state and of a state.
type valueJSON struct {
	Address   string         `json:"address"`
	Mode      string         `json:"mode"`
	Type      string         `json:"type"`
	Name      string         `json:"name"`
	Index     any            `json:"index"`
	Deposed   string         `json:"deposed_key"`
	Provider  string         `json:"provider_name"`
	Values    map[string]any `json:"values"`
	Sensitive any            `json:"sensitive_values"`
}

// modules walks a module of values and those in it; state representations have the module's address at the end, resources know theirs.
func (d *decoder) modules(keep func(valueJSON, snapshot.Source)) error {
	return d.object(func(key string) error {
		switch key {
		case "resources":
			return d.list(func() error {
				var v valueJSON
				at := d.here()
				if err := d.Decode(&v); err != nil {
					return err
				}
				keep(v, at)
				return nil
			})
		case "child_modules":
			return d.list(func() error { return d.modules(keep) })
		}
		return d.skip()
	})
}

// configJSON is the configuration as the plan repeats it.
type configJSON struct {
	Providers map[string]struct {
		Name        string         `json:"name"`
		Alias       string         `json:"alias"`
		Module      string         `json:"module_address"`
		Expressions map[string]any `json:"expressions"`
	} `json:"provider_config"`
	Root *moduleJSON `json:"root_module"`
}

type moduleJSON struct {
	Outputs map[string]struct {
		Expression map[string]any `json:"expression"`
	} `json:"outputs"`
	Resources []*configResource   `json:"resources"`
	Calls     map[string]callJSON `json:"module_calls"`
}

type callJSON struct {
	Source      string         `json:"source"`
	Expressions map[string]any `json:"expressions"`
	Module      *moduleJSON    `json:"module"`
}

type configResource struct {
	Address     string         `json:"address"` // within its module
	Mode        string         `json:"mode"`
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	ProviderKey string         `json:"provider_config_key"`
	Expressions map[string]any `json:"expressions"`
}

// document is what is kept of a plan or state.
type document struct {
	format    string
	seen      map[string]bool // fields of the top level
	variables map[string]any
	changes   []read
	deferred  []read
	prior     []read // also the resources of a state
	planned   []read
	config    configJSON
	errored   bool
	complete  *bool
}

// read is a resource with its place.
type read struct {
	changeJSON
	source snapshot.Source
}

func (v valueJSON) read(at snapshot.Source) read {
	r := read{source: at}
	r.Address, r.Mode, r.Type, r.Name, r.Index, r.Deposed, r.Provider = v.Address, v.Mode, v.Type, v.Name, v.Index, v.Deposed, v.Provider
	r.Module = moduleOf(v.Address)
	r.Change.After, r.Change.AfterSensitive = v.Values, v.Sensitive
	return r
}

// matters reports whether a resource can decide about access, or helps to compute what does. Everything else is dropped
// where it is read, so that a plan of ten thousand DNS records costs nothing.
func matters(r *read) bool {
	if r.Mode == "data" {
		return strings.HasPrefix(r.Type, "aws_")
	}
	return strings.HasPrefix(r.Type, "aws_") || len(policyValues(r.Change.After)) > 0 || len(policyValues(r.Change.Before)) > 0
}

// readDocument reads a plan, or a state as terraform show -json prints it.
func readDocument(d *decoder) (*document, error) {
	doc := &document{seen: map[string]bool{}}
	keepIn := func(to *[]read) func(valueJSON, snapshot.Source) {
		return func(v valueJSON, at snapshot.Source) {
			if r := v.read(at); matters(&r) {
				*to = append(*to, r)
			}
		}
	}
	changes := func(to *[]read) error {
		return d.list(func() error {
			r := read{source: d.here()}
			if err := d.Decode(&r.changeJSON); err != nil {
				return err
			}
			if matters(&r) {
				*to = append(*to, r)
			}
			return nil
		})
	}
	err := d.object(func(key string) error {
		if doc.seen[key] {
			return fmt.Errorf("the field %q comes twice", key)
		}
		doc.seen[key] = true
		switch key {
		case "format_version":
			return d.Decode(&doc.format)
		case "errored":
			return d.Decode(&doc.errored)
		case "complete":
			return d.Decode(&doc.complete)
		case "variables":
			var v map[string]struct {
				Value any `json:"value"`
			}
			if err := d.Decode(&v); err != nil {
				return err
			}
			doc.variables = map[string]any{}
			for name, w := range v {
				doc.variables[name] = w.Value
			}
		case "resource_changes":
			return changes(&doc.changes)
		case "deferred_changes":
			return d.list(func() error {
				return d.object(func(key string) error {
					if key != "resource_change" {
						return d.skip()
					}
					r := read{source: d.here()}
					err := d.Decode(&r.changeJSON)
					if err == nil && matters(&r) {
						doc.deferred = append(doc.deferred, r)
					}
					return err
				})
			})
		case "planned_values":
			return d.object(func(key string) error {
				if key != "root_module" {
					return d.skip()
				}
				return d.modules(keepIn(&doc.planned))
			})
		case "values":
			return d.object(func(key string) error {
				if key != "root_module" {
					return d.skip()
				}
				return d.modules(keepIn(&doc.prior))
			})
		case "prior_state":
			return d.object(func(key string) error {
				if key != "values" {
					return d.skip()
				}
				return d.object(func(key string) error {
					if key != "root_module" {
						return d.skip()
					}
					return d.modules(keepIn(&doc.prior))
				})
			})
		case "configuration":
			return d.Decode(&doc.config)
		default:
			return d.skip()
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("expected the end of the file behind the closing brace")
	}
	return doc, nil
}

// isLog reports whether the input is what terraform plan -json prints while it works.
func isLog(first []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(first), []byte(`{"@level"`)) }

// notJSON says what the input is where it is no JSON object, in words that help.
func notJSON(first []byte, wanted error, err error) error {
	switch {
	case bytes.HasPrefix(first, []byte("PK")):
		return fmt.Errorf("%w: it is a plan file as terraform plan -out writes it; give what `terraform show -json PLANFILE` prints", wanted)
	case isLog(first):
		return fmt.Errorf("%w: it is the log of terraform plan -json; save the plan with -out and give what `terraform show -json PLANFILE` prints", wanted)
	case len(bytes.TrimSpace(first)) == 0:
		return fmt.Errorf("%w: it is empty", wanted)
	}
	return fmt.Errorf("%w: %w", wanted, err)
}

// checkFormat refuses formats whose meaning is not known.
func checkFormat(format string, wanted error) error {
	major, _, _ := strings.Cut(format, ".")
	if major != "0" && major != "1" {
		return fmt.Errorf("%w that is understood: its format_version is %q, and 0.1 to 1.2 (any 1.x) are known", wanted, format)
	}
	return nil
}
