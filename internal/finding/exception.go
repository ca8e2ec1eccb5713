package finding

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// Exception accepts one finding for a time. It names a person who answers for it and the reason, and it ends by itself: after
// Expires the finding is back.
type Exception struct {
	Fingerprint string
	Owner       string
	Reason      string
	// Expires is the first moment at which the exception no longer holds. A date without a time in the file means the end of
	// that day in UTC.
	Expires time.Time
	// File and Line are where the exception stands.
	File string
	Line int
}

// maxProblems is how many mistakes of one file are reported.
const maxProblems = 20

// ReadExceptions reads the text of an exceptions file: YAML documents of kind Exception, described in docs/exceptions.md. Each
// mistake is reported with its line; with a mistake there are no exceptions, because one that is half understood might
// accept what nobody meant to accept. The result is sorted by fingerprint.
func ReadExceptions(file string, data []byte) ([]Exception, error) {
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	r := exceptionReader{file: file, lines: map[string]int{}}
	var exceptions []Exception
	for _, document := range tree.Docs {
		if _, empty := document.Body.(*ast.NullNode); document.Body == nil || empty {
			continue // nothing between two separators
		}
		if _, comment := document.Body.(*ast.CommentGroupNode); comment {
			continue
		}
		exceptions = append(exceptions, r.exception(document.Body))
	}
	if len(r.problems) > 0 {
		return nil, errors.Join(r.problems...)
	}
	slices.SortFunc(exceptions, func(a, b Exception) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return exceptions, nil
}

type exceptionReader struct {
	file     string
	lines    map[string]int // by fingerprint
	problems []error
}

func (r *exceptionReader) problem(line int, format string, args ...any) {
	switch {
	case len(r.problems) == maxProblems:
		r.problems = append(r.problems, fmt.Errorf("%s: there are more problems", r.file))
	case len(r.problems) < maxProblems:
		r.problems = append(r.problems, fmt.Errorf("%s:%d: %s", r.file, line, fmt.Sprintf(format, args...)))
	}
}

// lineOf is the line on which a node begins.
func lineOf(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 1
	}
	return n.GetToken().Position.Line
}

// exceptionKeys are the keys of the document. All are required.
var exceptionKeys = []string{"apiVersion", "kind", "fingerprint", "owner", "reason", "expires"}

// exception reads one document.
func (r *exceptionReader) exception(body ast.Node) Exception {
	var fields []*ast.MappingValueNode
	switch m := body.(type) {
	case *ast.MappingNode:
		fields = m.Values
	case *ast.MappingValueNode:
		fields = []*ast.MappingValueNode{m}
	default:
		r.problem(lineOf(body), "expected an exception with the keys %s", strings.Join(exceptionKeys, ", "))
		return Exception{}
	}
	e := Exception{File: r.file, Line: lineOf(body)}
	if len(fields) > 0 {
		e.Line = lineOf(fields[0].Key)
	}
	seen := map[string]bool{}
	for _, field := range fields {
		key, line := field.Key.GetToken().Value, lineOf(field.Key)
		if !slices.Contains(exceptionKeys, key) {
			r.problem(line, "unknown key %q: an exception has %s", key, strings.Join(exceptionKeys, ", "))
			continue
		}
		text, ok := scalar(field.Value)
		if !ok {
			r.problem(line, "%s: expected a text", key)
		}
		seen[key] = true
		if ok {
			r.set(&e, key, strings.TrimSpace(text), line)
		}
	}
	for _, key := range exceptionKeys {
		if !seen[key] {
			r.problem(e.Line, "the exception lacks %s", key)
		}
	}
	return e
}

// scalar is the text of a plain, quoted or block value; false for lists, mappings, null and aliases.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode: // a fingerprint may consist of digits alone, or look like 12e34
		return n.GetToken().Value, true
	}
	return "", false
}

// set checks one value and takes it over.
func (r *exceptionReader) set(e *Exception, key, text string, line int) {
	if text == "" {
		r.problem(line, "%s is empty", key)
		return
	}
	switch key {
	case "apiVersion":
		if text != "drawbridge/v1" {
			r.problem(line, "apiVersion %q is not known: expected drawbridge/v1", text)
		}
	case "kind":
		if text != "Exception" {
			r.problem(line, "kind %q: expected Exception", text)
		}
	case "fingerprint":
		if !isFingerprint(text) {
			r.problem(line, "fingerprint %q: expected the 16 hexadecimal digits that a report gives", text)
			return
		}
		if first, twice := r.lines[text]; twice {
			r.problem(line, "fingerprint %s has an exception already, on line %d", text, first)
		}
		r.lines[text] = line
		e.Fingerprint = text
	case "owner":
		e.Owner = text
	case "reason":
		e.Reason = text
	case "expires":
		expires, err := parseExpiry(text)
		if err != nil {
			r.problem(line, "expires: %v", err)
		}
		e.Expires = expires
	}
}

func isFingerprint(s string) bool {
	return len(s) == fingerprintDigits && strings.Trim(s, "0123456789abcdef") == ""
}

// parseExpiry reads a date, whose whole day counts, or a time.
func parseExpiry(s string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, s); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("%q is no date: write it like 2027-03-31 or 2027-03-31T12:00:00Z", s)
}

// Accepted is a finding with the exception that was made for it.
type Accepted struct {
	Finding   Finding
	Exception Exception
}

// Judged is what exceptions make of findings. Nothing is lost: each finding is in Open or in Accepted.
type Judged struct {
	// Open are the findings that stand, those of expired exceptions included, in the order given.
	Open []Finding
	// Accepted are those that an exception in force accepts, in the order given.
	Accepted []Accepted
	// Expired are the findings, among Open, that are back because their exception has expired.
	Expired []Accepted
	// Unused are the exceptions that no finding answers to, expired or not: the problem is gone, or the file is wrong. Sorted
	// by fingerprint.
	Unused []Exception
}

// Apply judges findings by exceptions as of a time.
func Apply(findings []Finding, exceptions []Exception, now time.Time) Judged {
	byFingerprint := make(map[string]Exception, len(exceptions))
	for _, e := range exceptions {
		byFingerprint[e.Fingerprint] = e
	}
	var judged Judged
	used := map[string]bool{}
	for _, f := range findings {
		e, ok := byFingerprint[f.Fingerprint]
		switch {
		case !ok:
			judged.Open = append(judged.Open, f)
			continue
		case now.Before(e.Expires):
			judged.Accepted = append(judged.Accepted, Accepted{f, e})
		default:
			judged.Open = append(judged.Open, f)
			judged.Expired = append(judged.Expired, Accepted{f, e})
		}
		used[f.Fingerprint] = true
	}
	for _, e := range exceptions {
		if !used[e.Fingerprint] {
			judged.Unused = append(judged.Unused, e)
		}
	}
	slices.SortStableFunc(judged.Unused, func(a, b Exception) int { return strings.Compare(a.Fingerprint, b.Fingerprint) })
	return judged
}
