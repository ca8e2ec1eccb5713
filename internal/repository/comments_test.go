package repository

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// libraryPackages are the folders below iam/ that hold Go files, by their path from the root.
func libraryPackages(t *testing.T) []string {
	t.Helper()
	var packages []string
	err := filepath.WalkDir("../../iam", func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(name)), "../../"); strings.HasSuffix(name, ".go") && !slices.Contains(packages, pkg) {
			packages = append(packages, pkg)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(packages) < 5 {
		t.Fatalf("found %d packages: the test looks at the wrong place", len(packages))
	}
	return packages
}

// documentation reads a package of the library as go doc shows it; nil for a program.
func documentation(t *testing.T, pkg string) *doc.Package {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../..", pkg, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		f, err := parser.ParseFile(set, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if f.Name.Name == "main" {
			return nil
		}
		files = append(files, f)
	}
	p, err := doc.NewFromFiles(set, files, module+pkg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// undocumented lists the exported names of a package that say nothing about themselves: no comment above them, none above
// their group, none behind them; and the functions with an error of which their comment does not speak. Fields count, and so do methods, but for those whose meaning the language gives.
func undocumented(p *doc.Package) []string {
	var found []string
	report := func(name, comment string) {
		if strings.TrimSpace(comment) == "" {
			found = append(found, name)
		}
	}
	values := func(group []*doc.Value) {
		for _, v := range group {
			for _, s := range v.Decl.Specs {
				spec := s.(*ast.ValueSpec)
				for _, name := range spec.Names {
					if name.IsExported() {
						report(name.Name, v.Doc+spec.Doc.Text()+spec.Comment.Text())
					}
				}
			}
		}
	}
	functions := func(receiver string, group []*doc.Func) {
		for _, f := range group {
			if !slices.Contains([]string{"String", "Error", "MarshalJSON", "UnmarshalJSON"}, f.Name) {
				report(receiver+f.Name, f.Doc)
			}
			if f.Doc != "" && fails(f.Decl) && f.Name != "MarshalJSON" && !strings.Contains(strings.ToLower(f.Doc), "error") {
				found = append(found, receiver+f.Name+" (its errors)")
			}
		}
	}
	values(p.Consts)
	values(p.Vars)
	functions("", p.Funcs)
	for _, typ := range p.Types {
		report(typ.Name, typ.Doc)
		values(typ.Vars)
		functions("", typ.Funcs)
		functions(typ.Name+".", typ.Methods)
		enumeration(typ, report)
		for _, spec := range typ.Decl.Specs {
			fields(typ, spec.(*ast.TypeSpec).Type, report)
		}
	}
	return found
}

// fails reports whether a function returns an error, of which its comment must then speak.
func fails(f *ast.FuncDecl) bool {
	return f.Type.Results != nil && slices.ContainsFunc(f.Type.Results.List, func(r *ast.Field) bool { return types.ExprString(r.Type) == "error" })
}

// enumeration reports the constants of a type. One that reads as its own name needs no words: the type's comment says what all
// of them are, so that only a type of whose constants nobody says anything is reported.
func enumeration(typ *doc.Type, report func(name, comment string)) {
	for _, v := range typ.Consts {
		said := v.Doc + typ.Doc
		for _, s := range v.Decl.Specs {
			spec := s.(*ast.ValueSpec)
			said += spec.Doc.Text() + spec.Comment.Text()
		}
		report("the constants of "+typ.Name, said)
	}
}

// fields reports the fields of a struct and the methods of an interface. A field has its own comment, or the comment of
// its type or of a field beside it speaks of it by name, or it is named as its type, which has one.
func fields(typ *doc.Type, syntax ast.Expr, report func(name, comment string)) {
	var list *ast.FieldList
	switch syntax := syntax.(type) {
	case *ast.StructType:
		list = syntax.Fields
	case *ast.InterfaceType:
		list = syntax.Methods
	default:
		return
	}
	said := typ.Doc
	for _, f := range list.List {
		said += " " + f.Doc.Text()
	}
	words := strings.FieldsFunc(said, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for _, f := range list.List {
		for _, n := range f.Names {
			named := types.ExprString(f.Type)
			named = named[strings.LastIndexAny(named, ".*]")+1:]
			if n.IsExported() && named != n.Name && !slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(w, n.Name) }) {
				report(typ.Name+"."+n.Name, f.Doc.Text()+f.Comment.Text())
			}
		}
	}
}

// TestUndocumentedCanFail plants names with and without comments.
func TestUndocumentedCanFail(t *testing.T) {
	const text = `// Package planted is there to be found.
package planted

// Said is documented, and so is its field Known.
type Said struct {
	Known  int
	Behind int // a comment behind it
	Kind   Kind
	Bare   int
}

type Kind uint8

const (
	One Kind = iota
	Two
)

const Alone = 1

// Made says what it makes.
func Made() {}

func Silent() {}

// Failing says what it does, and not how it fails.
func Failing() error { return nil }

// Honest has an error where it cannot.
func Honest() (int, error) { return 0, nil }

func (Said) String() string { return "" }

func (Said) Quiet() {}

var (
	// Above has a comment.
	Above  int
	Behind int // has one too
	hidden int
)
`
	set := token.NewFileSet()
	f, err := parser.ParseFile(set, "planted.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	p, err := doc.NewFromFiles(set, []*ast.File{f}, "planted")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Alone", "Failing (its errors)", "Silent", "Kind", "the constants of Kind", "Said.Quiet", "Said.Bare"}
	if got := undocumented(p); !slices.Equal(got, want) {
		t.Errorf("without comment: %q, want %q", got, want)
	}
}

// TestLibraryIsDocumented: every package of the library has a comment, and every exported name of it says what it means.
func TestLibraryIsDocumented(t *testing.T) {
	for _, pkg := range libraryPackages(t) {
		p := documentation(t, pkg)
		if p == nil {
			continue
		}
		if strings.TrimSpace(p.Doc) == "" {
			t.Errorf("%s has no package comment", pkg)
		}
		for _, name := range undocumented(p) {
			t.Errorf("%s: %s has no comment", pkg, name)
		}
	}
}
