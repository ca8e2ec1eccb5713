package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/lint"
	"drawbridge/iam/policy"
	"drawbridge/internal/report"
)

// lintKinds are the words of --type besides auto.
var lintKinds = []struct {
	word string
	kind policy.Kind
	name string
}{
	{"identity", policy.Identity, "identity policy"},
	{"resource", policy.Resource, "resource policy"},
	{"trust", policy.Trust, "trust policy"},
	{"boundary", policy.Boundary, "permissions boundary"},
	{"scp", policy.SCP, "service control policy"},
	{"rcp", policy.RCP, "resource control policy"},
	{"session", policy.Session, "session policy"},
	{"endpoint", policy.Endpoint, "endpoint policy"},
}

// lintOptions are the flags of lint.
type lintOptions struct {
	kind   string
	format string
	strict bool
	fix    bool
}

func newLint(e *Env) *cobra.Command {
	var o lintOptions
	words := []string{"auto"}
	for _, k := range lintKinds {
		words = append(words, k.word)
	}
	formats := []string{"text", "json", "sarif"}
	c := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Say what AWS would refuse in a policy, or accept and not mean",
		Long: `Lint reads policy documents and says, with line and column, what AWS would refuse (errors) and what it would accept although it
does not do what it says (warnings). "-" is standard input. The checks are listed in docs/reference/lint.md.

The exit status is 1 where there is an error, with --strict also where there is a warning.`,
		Example: `  drawbridge lint policy.json
  drawbridge lint --type scp --strict guardrails/*.json
  drawbridge lint --fix policy.json`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return runLint(e, &o, args) },
	}
	f := c.Flags()
	f.StringVar(&o.kind, "type", "auto", "what the policies are: `TYPE` is "+strings.Join(words[1:], ", ")+" or auto")
	f.StringVar(&o.format, "format", "text", "form of the answer: `FORMAT` is text, json or sarif")
	f.BoolVar(&o.strict, "strict", false, "fail for warnings too")
	f.BoolVar(&o.fix, "fix", false, "write the fixes that are certain into the files")
	completeWords(c, "type", words)
	completeWords(c, "format", formats)
	return c
}

// lintedFile is a file with what is said about it.
type lintedFile struct {
	name        string
	text        string
	kind        policy.Kind
	why         string // the kind was guessed, by this
	diagnostics []lint.Diagnostic
	fixed       []lint.Diagnostic
}

func runLint(e *Env, o *lintOptions, names []string) error {
	kind := policy.AnyKind
	for _, k := range lintKinds {
		if k.word == o.kind {
			kind = k.kind
		}
	}
	if kind == policy.AnyKind && o.kind != "auto" {
		return usagef("--type %q is not known: use auto, identity, resource, trust, boundary, scp, rcp, session or endpoint", o.kind)
	}
	if o.format != "text" && o.format != "json" && o.format != "sarif" {
		return usagef("--format %q is not known: use text, json or sarif", o.format)
	}
	files := make([]*lintedFile, len(names))
	for i, name := range names {
		if name == "-" && o.fix {
			return usagef("--fix writes into files, and standard input is none")
		}
		data, err := e.readFile(name)
		if err != nil {
			return fmt.Errorf("opening the input: %w", err)
		}
		files[i] = &lintedFile{name: filepath.ToSlash(name), text: string(data), kind: kind}
		if name == "-" {
			files[i].name = "<stdin>"
		}
		files[i].check()
	}
	if o.fix {
		for i, f := range files {
			if err := f.fix(names[i]); err != nil {
				return err
			}
		}
	}
	err := output(e, "", func(w io.Writer) error {
		switch o.format {
		case "json":
			return writeJSON(w, lintForms(files))
		case "sarif":
			return writeLintSARIF(w, files)
		}
		return writeLintText(w, files)
	})
	if err != nil {
		return err
	}
	for _, f := range files {
		if counts := f.counts(); counts[lint.Error] > 0 || o.strict && counts[lint.Warning] > 0 {
			return errUnwanted
		}
	}
	return nil
}

// check lints the text, as the kind that was asked for or that it looks like.
func (f *lintedFile) check() {
	if f.kind == policy.AnyKind || f.why != "" {
		if d, _ := policy.Parse([]byte(f.text)); d != nil {
			f.kind, f.why = lint.Guess(d)
		}
	}
	f.diagnostics = lint.Text([]byte(f.text), f.kind)
}

// fix makes the certain fixes, until none is left: one may stand inside another's text.
func (f *lintedFile) fix(file string) error {
	before := f.text
	for range 10 {
		fixed, made := lint.Apply(f.text, f.diagnostics)
		if len(made) == 0 {
			break
		}
		f.text, f.fixed = fixed, append(f.fixed, made...)
		f.check()
	}
	if f.text == before {
		return nil
	}
	return output(nil, file, func(w io.Writer) error {
		_, err := io.WriteString(w, f.text)
		return err
	})
}

func (f *lintedFile) counts() (n [lint.Error + 1]int) {
	for _, d := range f.diagnostics {
		n[d.Severity]++
	}
	return n
}

func (f *lintedFile) kindWord() (word, name string) {
	for _, k := range lintKinds {
		if k.kind == f.kind {
			return k.word, k.name
		}
	}
	return "", "no policy"
}

// writeLintText prints diagnostics as compilers do, so that editors find the places, and a line for each file.
func writeLintText(w io.Writer, files []*lintedFile) error {
	var b strings.Builder
	for _, f := range files {
		for _, d := range f.fixed {
			fmt.Fprintf(&b, "%s:%d:%d: fixed %s: %s\n", f.name, d.Pos.Line, d.Pos.Column, d.ID, d.Fix.What)
		}
		for _, d := range f.diagnostics {
			fmt.Fprintf(&b, "%s:%s\n", f.name, d)
			if d.Fix != nil {
				fmt.Fprintf(&b, "    fix: %s\n", d.Fix.What)
			}
		}
		_, name := f.kindWord()
		if f.why != "" {
			name = "taken for " + article(name) + " (" + f.why + ")"
		}
		n := f.counts()
		fmt.Fprintf(&b, "%s: %s: %s, %s, %s\n", f.name, name, plural(n[lint.Error], "error"), plural(n[lint.Warning], "warning"), plural(n[lint.Note], "note"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func article(name string) string {
	if strings.HasPrefix(name, "identity") || strings.HasPrefix(name, "endpoint") {
		return "an " + name
	}
	return "a " + name
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// The forms of lint's JSON.
type (
	lintForm struct {
		File        string           `json:"file"`
		Type        string           `json:"type"`
		Guessed     string           `json:"guessed,omitempty"`
		Diagnostics []diagnosticForm `json:"diagnostics"`
		Fixed       []diagnosticForm `json:"fixed,omitempty"`
	}
	diagnosticForm struct {
		ID        string   `json:"id"`
		Severity  string   `json:"severity"`
		Line      int32    `json:"line"`
		Column    int32    `json:"column"`
		Length    int      `json:"length,omitempty"`
		Statement *int     `json:"statement,omitempty"`
		Path      string   `json:"path,omitempty"`
		Message   string   `json:"message"`
		Fix       *fixForm `json:"fix,omitempty"`
	}
	fixForm struct {
		Offset int    `json:"offset"`
		Length int    `json:"length"`
		Text   string `json:"text"`
		What   string `json:"what"`
	}
)

func lintForms(files []*lintedFile) []lintForm {
	forms := make([]lintForm, len(files))
	for i, f := range files {
		word, _ := f.kindWord()
		forms[i] = lintForm{File: f.name, Type: word, Guessed: f.why, Diagnostics: diagnosticForms(f.diagnostics), Fixed: diagnosticForms(f.fixed)}
	}
	return forms
}

func diagnosticForms(list []lint.Diagnostic) []diagnosticForm {
	forms := make([]diagnosticForm, len(list))
	for i, d := range list {
		forms[i] = diagnosticForm{
			ID: d.ID, Severity: d.Severity.String(), Line: d.Pos.Line, Column: d.Pos.Column, Length: d.Length, Path: d.Path, Message: d.Message,
		}
		if d.Statement >= 0 {
			forms[i].Statement = &d.Statement
		}
		if d.Fix != nil {
			forms[i].Fix = &fixForm{Offset: d.Fix.Offset, Length: d.Fix.Length, Text: d.Fix.Text, What: d.Fix.What}
		}
	}
	return forms
}

func writeLintSARIF(w io.Writer, files []*lintedFile) error {
	linted := make([]report.Linted, len(files))
	for i, f := range files {
		linted[i] = report.Linted{File: f.name, Text: f.text, Diagnostics: f.diagnostics}
	}
	return report.WriteLintSARIF(w, programVersion(), linted)
}
