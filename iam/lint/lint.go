// Package lint reports what AWS would refuse in a policy document, and what it would accept and not mean.
//
//	for _, d := range lint.Text(text, policy.Identity) {
//		fmt.Println(d) // 6:17: warning LNT-103: no action s3:GetObjects is known: s3:GetObject is nearest
//	}
//
// A diagnostic is an error where AWS refuses the document, a warning where AWS takes it and it does not do what it says, a
// note where it is worth a look. Every one is of a check, and Checks lists these with their reasons and sources. The checks
// guess nothing: where the meaning of a statement is not certain, they say nothing. What ages (actions, keys, sizes) comes
// from dated tables, and what such a table does not know is never an error.
//
// The package judges one document by itself. Whether what it grants is wanted is for the rules of a scan.
package lint

//go:generate go run ./gen

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/policy"
)

// Severity is how bad a diagnostic is. The zero value is Note.
type Severity uint8

const (
	Note    Severity = iota // worth a look
	Warning                 // accepted by AWS, and not meant
	Error                   // refused by AWS
)

func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	}
	return "error"
}

// Diagnostic is one thing to say about a document.
type Diagnostic struct {
	ID       string // of the check
	Severity Severity
	Pos      policy.Position // of the value, element or statement that it is about
	Length   int             // of the value in bytes, quotes included; 0 where it is not about a value, or the text is not known
	// Statement is the index of the statement, -1 where it is about the document.
	Statement int
	// Path is the element: Statement[0].Condition.StringEquals.aws:PrincipalOrgID. Lists of one value have no index.
	Path    string
	Message string // plain words, the value included
	Fix     *Fix   // nil where there is no certain one
}

// String is the diagnostic in one line, behind its line and column.
func (d Diagnostic) String() string {
	return fmt.Sprintf("%d:%d: %s %s: %s", d.Pos.Line, d.Pos.Column, d.Severity, d.ID, d.Message)
}

// Fix replaces Length bytes from Offset by Text. It changes nothing but what the diagnostic is about, and is certain: the
// document then says what it was meant to say.
type Fix struct {
	Offset, Length int
	Text           string
	What           string // the fix in words, for people: `write "StringLike"`
}

// Record says what a check is about, for lists and pages.
type Record struct {
	ID       string   // LNT- and a number: errors from 001, warnings from 101, notes from 201
	Severity Severity // of its diagnostics; a check may report a lesser one where its Why says so
	Title    string   // the fault in a few words
	Why      string   // what AWS does with it
	Source   string   // page of AWS, and rule numbers of docs/reference/semantics.md
}

// Checks lists the checks in order of their ids.
func Checks() []Record {
	records := make([]Record, len(checks))
	for i := range checks {
		records[i] = checks[i].Record
	}
	return records
}

// Options change what Check does. The zero value is good.
type Options struct {
	// Text is what the document was parsed from, byte for byte. Sizes are counted and fixes found in it; without it there
	// are neither.
	Text string
}

// Text reads a document and checks it: what policy.Parse reports comes first, as diagnostics. It cannot fail; a text that
// is no document has diagnostics that say so.
func Text(text []byte, kind policy.Kind) []Diagnostic {
	document, problems := policy.Parse(text)
	diagnostics := grammar(document, problems)
	if document != nil {
		diagnostics = append(diagnostics, Check(document, kind, Options{Text: string(text)})...)
	}
	sortByPlace(diagnostics)
	return diagnostics
}

// Check checks a document that policy.Parse has read, as a policy of a kind. With policy.AnyKind, the checks that depend on
// the kind are left out. The diagnostics are in order of position. What Parse has reported is not among them.
func Check(d *policy.Document, kind policy.Kind, o Options) []Diagnostic {
	l := &linter{document: d, kind: kind, text: o.Text, compiled: policy.Compile(d)}
	statements := make([]statement, len(d.Statements))
	for i := range d.Statements {
		statements[i] = statement{Statement: &d.Statements[i], rule: &l.compiled.Rules[i], index: i}
	}
	l.statements = statements
	for i := range checks {
		l.check = &checks[i]
		if l.check.document != nil {
			l.check.document(l)
		}
		for j := range statements {
			s := &statements[j]
			if l.check.statement != nil {
				l.check.statement(l, s)
			}
			if l.check.condition == nil {
				continue
			}
			for k := range s.Condition {
				l.check.condition(l, s, condition{&s.Condition[k], s})
			}
		}
	}
	sortByPlace(l.found)
	return l.found
}

// sortByPlace orders by position, then by check.
func sortByPlace(d []Diagnostic) {
	slices.SortStableFunc(d, func(a, b Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Pos.Offset, b.Pos.Offset), strings.Compare(a.ID, b.ID), strings.Compare(a.Message, b.Message))
	})
}

// grammar turns the problems of Parse into diagnostics.
func grammar(d *policy.Document, problems []policy.Problem) []Diagnostic {
	diagnostics := make([]Diagnostic, len(problems))
	for i, p := range problems {
		diagnostics[i] = Diagnostic{ID: grammarID, Severity: Error, Pos: p.Pos, Statement: statementAt(d, p.Pos), Message: p.Message}
		if s := diagnostics[i].Statement; s >= 0 {
			diagnostics[i].Path = statementPath(s)
		}
		if d == nil {
			diagnostics[i].ID = unreadableID
		}
	}
	return diagnostics
}

// statementAt is the index of the last statement that begins at or before a position, -1 where there is none.
func statementAt(d *policy.Document, pos policy.Position) int {
	if d == nil {
		return -1
	}
	for i := len(d.Statements) - 1; i >= 0; i-- {
		if d.Statements[i].Pos.Offset <= pos.Offset {
			return i
		}
	}
	return -1
}
