package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// ReadState reads a state: what `terraform show -json` prints, or a terraform.tfstate of version 4. The result has standing parts only.
// The error wraps ErrNotState where the input is something else.
func ReadState(r io.Reader, o Options) (*change.Plan, error) {
	d := newDecoder(r, o.File)
	doc := &document{seen: map[string]bool{}}
	var version json.Number
	err := d.object(func(key string) error {
		doc.seen[key] = true
		switch key {
		case "format_version":
			return d.Decode(&doc.format)
		case "version":
			return d.Decode(&version)
		case "values":
			return d.object(func(key string) error {
				if key != "root_module" {
					return d.skip()
				}
				return d.modules(func(v valueJSON, at snapshot.Source) {
					if r := v.read(at); matters(&r) {
						doc.prior = append(doc.prior, r)
					}
				})
			})
		case "resources":
			return d.list(func() error { return d.stateResource(doc) })
		}
		return d.skip()
	})
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("expected the end of the file behind the closing brace")
		}
	}
	switch {
	case err != nil && (d.InputOffset() == 0 || isLog(d.places.first)):
		return nil, notJSON(d.places.first, ErrNotState, d.fail(err))
	case err != nil:
		return nil, fmt.Errorf("reading the state: %w", d.fail(err))
	case doc.seen["planned_values"] || doc.seen["resource_changes"]:
		return nil, fmt.Errorf("%w: it is a plan", ErrNotState)
	case doc.seen["serial"] || doc.seen["lineage"] || version != "":
		if version != "4" {
			return nil, fmt.Errorf("%w that is understood: its version is %q, and 4 is known (terraform 0.12 and later)", ErrNotState, version.String())
		}
	case doc.format == "":
		return nil, fmt.Errorf("%w: there is neither format_version nor version", ErrNotState)
	default:
		if err := checkFormat(doc.format, ErrNotState); err != nil {
			return nil, err
		}
	}
	return link(doc, o).plan(), nil
}

// stateResource reads an element of resources of a terraform.tfstate: one block with its instances.
func (d *decoder) stateResource(doc *document) error {
	var s struct {
		Module    string `json:"module"`
		Mode      string `json:"mode"`
		Type      string `json:"type"`
		Name      string `json:"name"`
		Provider  string `json:"provider"`
		Instances []struct {
			Index      any             `json:"index_key"`
			Deposed    string          `json:"deposed"`
			Attributes map[string]any  `json:"attributes"`
			Sensitive  json.RawMessage `json:"sensitive_attributes"`
		} `json:"instances"`
	}
	at := d.here()
	if err := d.Decode(&s); err != nil {
		return err
	}
	for _, i := range s.Instances {
		r := read{source: at}
		r.Module, r.Mode, r.Type, r.Name, r.Index, r.Deposed = s.Module, s.Mode, s.Type, s.Name, i.Index, i.Deposed
		r.Provider = s.Provider
		r.Address = s.Type + "." + s.Name
		if s.Mode == "data" {
			r.Address = "data." + r.Address
		}
		if s.Module != "" {
			r.Address = s.Module + "." + r.Address
		}
		if i.Index != nil {
			r.Address += bracket(i.Index)
		}
		r.Change.After, r.Change.AfterSensitive = i.Attributes, sensitiveTree(i.Sensitive)
		if matters(&r) {
			doc.prior = append(doc.prior, r)
		}
	}
	return nil
}

// sensitiveTree makes a tree of marks of the paths that a state lists: lists of steps of type get_attr and index.
func sensitiveTree(raw json.RawMessage) any {
	var paths [][]struct {
		Type  string `json:"type"`
		Value any    `json:"value"`
	}
	if len(bytes.TrimSpace(raw)) == 0 || json.Unmarshal(raw, &paths) != nil {
		return nil
	}
	tree := map[string]any{}
	for _, p := range paths {
		if len(p) == 0 {
			continue
		}
		// The whole argument is marked: nothing is lost by taking more as sensitive than is.
		if name, ok := p[0].Value.(string); ok && strings.TrimSpace(name) != "" {
			tree[name] = true
		}
	}
	return tree
}
