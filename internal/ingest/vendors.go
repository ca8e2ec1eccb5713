package ingest

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// OpenVendors reads a YAML file in the format of the fwd:cloudsec list of known AWS accounts: a list of vendors with name,
// accounts, and optionally source, type (aws), enabled and deprecated_date.
func OpenVendors(name string) ([]snapshot.KnownVendor, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("opening the vendor list: %w", err)
	}
	return ParseVendors(name, data)
}

// maxProblems is how many mistakes of one file are reported.
const maxProblems = 20

// ParseVendors reads the text of a vendor list, sorted by name. Each mistake is reported with its place in file; with a
// mistake there is no list, because a vendor left out turns a known trust into an unknown one.
func ParseVendors(file string, data []byte) ([]snapshot.KnownVendor, error) {
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	v := &vendorReader{file: file}
	var vendors []snapshot.KnownVendor
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		list, ok := doc.Body.(*ast.SequenceNode)
		if !ok {
			v.problem(doc.Body, "expected a list of vendors")
			continue
		}
		for _, item := range list.Values {
			vendors = append(vendors, v.vendor(item))
		}
	}
	if len(v.problems) == 0 && len(vendors) == 0 {
		return nil, fmt.Errorf("%s: expected a list of vendors, found nothing", file)
	}
	if len(v.problems) > 0 {
		return nil, errors.Join(v.problems...)
	}
	slices.SortStableFunc(vendors, func(a, b snapshot.KnownVendor) int { return strings.Compare(a.Name, b.Name) })
	return vendors, nil
}

type vendorReader struct {
	file     string
	problems []error
}

func (v *vendorReader) problem(n ast.Node, format string, args ...any) {
	if len(v.problems) == maxProblems {
		v.problems = append(v.problems, errors.New("there are more problems"))
	}
	if len(v.problems) > maxProblems {
		return
	}
	line, column := 1, 1
	if n != nil && n.GetToken() != nil && n.GetToken().Position != nil {
		line, column = n.GetToken().Position.Line, n.GetToken().Position.Column
	}
	v.problems = append(v.problems, fmt.Errorf("%s:%d:%d: %s", v.file, line, column, fmt.Sprintf(format, args...)))
}

func (v *vendorReader) vendor(n ast.Node) snapshot.KnownVendor {
	out := snapshot.KnownVendor{Status: snapshot.VendorActive}
	var fields []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		fields = m.Values
	case *ast.MappingValueNode:
		fields = []*ast.MappingValueNode{m}
	default:
		v.problem(n, "expected a vendor with name and accounts")
		return out
	}
	seen := make(map[string]bool)
	for _, f := range fields {
		key := f.Key.String()
		if seen[key] {
			v.problem(f.Key, "the field %q comes twice", key)
			continue
		}
		seen[key] = true
		switch key {
		case "name":
			out.Name = v.text(key, f.Value)
		case "source":
			out.Source = v.texts(key, f.Value)
		case "accounts":
			for _, item := range v.items(key, f.Value) {
				if id := v.account(item); id != "" {
					out.Accounts = append(out.Accounts, id)
				}
			}
		case "type":
			if text := v.text(key, f.Value); text != "aws" {
				v.problem(f.Value, "type: expected aws, found %q", text)
			}
			out.AWS = true
		case "enabled":
			b, ok := f.Value.(*ast.BoolNode)
			if !ok {
				v.problem(f.Value, "enabled: expected true or false")
			} else if !b.Value {
				out.Status = snapshot.VendorEnded
			}
		case "deprecated_date":
			text := v.text(key, f.Value)
			ended, err := time.Parse(time.DateOnly, text)
			if err != nil {
				v.problem(f.Value, "deprecated_date: expected a date such as 2026-01-31, found %q", text)
			}
			out.Ended = ended
		default:
			v.problem(f.Key, "unknown field %q; expected name, source, accounts, type, enabled or deprecated_date", key)
		}
	}
	if !out.Ended.IsZero() && out.Status != snapshot.VendorEnded {
		v.problem(n, "a vendor with deprecated_date must have enabled: false")
	}
	if out.Name == "" {
		v.problem(n, "expected a name")
	}
	if !seen["accounts"] {
		v.problem(n, "expected accounts")
	}
	slices.Sort(out.Accounts)
	out.Accounts = slices.Compact(out.Accounts)
	return out
}

// account reads an account id. Without quotes YAML takes it for a number and a leading zero for octal, so that the digits
// are taken from the text as written.
func (v *vendorReader) account(n ast.Node) string {
	id := n.GetToken().Value
	switch n.(type) {
	case *ast.StringNode, *ast.IntegerNode, *ast.LiteralNode:
		if arn.IsAccountID(id) {
			return id
		}
	}
	v.problem(n, "accounts: expected 12 digits, found %q", id)
	return ""
}

func (v *vendorReader) items(field string, n ast.Node) []ast.Node {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		v.problem(n, "%s: expected a list", field)
		return nil
	}
	return list.Values
}

func (v *vendorReader) texts(field string, n ast.Node) []string {
	var out []string
	for _, item := range v.items(field, n) {
		out = append(out, v.text(field, item))
	}
	return out
}

func (v *vendorReader) text(field string, n ast.Node) string {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value
	case *ast.LiteralNode:
		return s.Value.Value
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value // a name such as 1Password or 365 is one all the same
	}
	v.problem(n, "%s: expected text", field)
	return ""
}
