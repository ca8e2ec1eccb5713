// Package repository holds the rules of this repository as tests: who may import whom, what pure packages may not touch,
// that documents and lists are complete.
package repository

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "drawbridge/"

// group is a set of packages with one role in the layout of docs/adr/0001-layout.md.
type group []string

var (
	library = group{"iam/arn", "iam/policy", "iam/cond", "iam/eval", "iam/compare", "iam/lint", "iam/ref"}
	edges   = group{"internal/collect", "internal/ingest", "internal/cloudtrail", "internal/cloudtrail/s3", "internal/cloudtrail/athena", "internal/cloudtrail/trino",
		"internal/awssts", "internal/awscaller", "internal/kmskey", "internal/archive", "internal/stsapi", "internal/oidc", "internal/svid", "internal/proxy",
		"internal/sqlstore", "internal/publish", "internal/notify", "internal/web", "internal/api", "internal/api/client", "internal/mcp"}
	wiring = group{"internal/cli", "internal/collectcli", "internal/daemon", "cmd/drawbridge", "cmd/drawbridged", "cmd/drawbridge-collect"}
	// tools are programs and test-only packages of the project itself.
	tools = group{"internal/repository", "internal/synthetic/measure", "internal/cloudtrail/measure", "internal/cloudtrail/s3test", "internal/cloudtrail/trino/trinotest", "internal/sqlstore/pgtest", "internal/daemon/daemontest", "internal/audit/witnesstest", "internal/mototest", "examples/gen", "internal/catalog/gen", "internal/collect/gen", "iam/ref/gen", "iam/lint/gen", "internal/decision/gen"}
)

func (g group) has(pkg string) bool { return slices.Contains(g, pkg) }

// pure are all packages that are neither edge nor wiring nor tool.
func pure(pkg string) bool { return !edges.has(pkg) && !wiring.has(pkg) && !tools.has(pkg) }

// ban forbids imports, with the reason that a failure prints.
type ban struct {
	name   string
	who    func(pkg string) bool
	what   func(pkg, imported string) bool
	reason string
}

func in(g group) func(string) bool { return g.has }

func only(pkg string) func(string) bool { return func(p string) bool { return p == pkg } }

func under(prefixes ...string) func(string, string) bool {
	return func(_, imported string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return imported == p || strings.HasPrefix(imported, p+"/") })
	}
}

// bans is the import table.
var bans = []ban{
	{
		"the library stands alone", in(library), under(module + "internal"),
		"iam/* is a public library: whoever imports it must not get the product with it",
	},
	{
		"the evaluator knows documents and conditions only", only("iam/eval"),
		func(_, imported string) bool {
			return strings.HasPrefix(imported, module) && !slices.Contains([]string{module + "iam/arn", module + "iam/policy", module + "iam/cond"}, imported)
		},
		"reference tables age; they are passed in, so that a decision depends on its arguments alone",
	},
	{
		"pure packages touch nothing outside", pure,
		under("os", "net/http", "log", "log/slog", "database/sql", "math/rand", "math/rand/v2", "github.com/aws"),
		"what decides must be a function of its arguments: no files, no network, no log, no chance; edges bring facts in and carry answers out",
	},
	{
		"edges do not know each other", in(edges),
		func(pkg, imported string) bool {
			other := strings.TrimPrefix(imported, module)
			return edges.has(other) && other != pkg
		},
		"an edge translates between the outside and the core; two edges that meet outside the wiring are a hidden flow",
	},
	{
		"the core does not know its edges", pure,
		func(_, imported string) bool {
			other := strings.TrimPrefix(imported, module)
			return edges.has(other) || wiring.has(other)
		},
		"dependencies point inwards",
	},
	{
		"edges do not know the wiring", in(edges), func(_, imported string) bool { return wiring.has(strings.TrimPrefix(imported, module)) },
		"only wiring joins edges",
	},
	{
		"the daemon cannot collect", in(group{"internal/daemon", "cmd/drawbridged"}), under(module + "internal/collect"),
		"what can issue credentials must not be able to read the whole organisation: snapshots are pushed to it",
	},
	{
		"the command line cannot issue", in(group{"internal/cli", "cmd/drawbridge"}), under(module+"internal/awssts", module+"internal/collect", module+"internal/collectcli", module+"internal/cloudtrail/s3", module+"internal/cloudtrail/athena", module+"internal/publish",
			"github.com/aws/aws-sdk-go-v2/service"),
		"it builds and starts at once, and only the broker issues credentials",
	},
}

// source is what the rules look at of one package.
type source struct {
	pkg     string
	file    string
	imports []string
	syntax  *ast.File
}

// violation is one import that a ban forbids.
type violation struct{ file, imported, ban, reason string }

// check holds files against the table.
func check(files []source) []violation {
	var found []violation
	for _, f := range files {
		for _, imported := range f.imports {
			for _, b := range bans {
				if b.who(f.pkg) && b.what(f.pkg, imported) {
					found = append(found, violation{f.file, imported, b.name, b.reason})
				}
			}
		}
	}
	return found
}

// load parses the Go files of the module, tests left out: tests may read files and take random numbers.
func load(t *testing.T) []source {
	t.Helper()
	var files []source
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") && name != "." || d.Name() == "testdata"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		if err != nil {
			return err
		}
		files = append(files, parse(t, name, string(text)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 20 {
		t.Fatalf("found %d files: the rules look at the wrong place", len(files))
	}
	return files
}

func parse(t *testing.T, name, text string) source {
	t.Helper()
	syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	s := source{pkg: path.Dir(filepath.ToSlash(name)), file: name, syntax: syntax}
	for _, spec := range syntax.Imports {
		s.imports = append(s.imports, strings.Trim(spec.Path.Value, `"`))
	}
	return s
}

func TestImportTable(t *testing.T) {
	for _, v := range check(load(t)) {
		t.Errorf("%s imports %s: %s. %s", v.file, v.imported, v.ban, v.reason)
	}
}

// TestImportTableCanFail plants one violation of each ban.
func TestImportTableCanFail(t *testing.T) {
	planted := map[string]string{
		"iam/arn/x.go":                `package arn; import _ "drawbridge/internal/org"`,
		"iam/eval/x.go":               `package eval; import _ "drawbridge/iam/ref"`,
		"internal/access/x.go":        `package access; import _ "os"`,
		"internal/ingest/x.go":        `package ingest; import _ "drawbridge/internal/collect"`,
		"internal/org/x.go":           `package org; import _ "drawbridge/internal/ingest"`,
		"internal/collect/x.go":       `package collect; import _ "drawbridge/internal/cli"`,
		"internal/daemon/x.go":        `package daemon; import _ "drawbridge/internal/collect"`,
		"cmd/drawbridge/x.go":         `package main; import _ "drawbridge/internal/awssts"`,
		"internal/snapshot/random.go": `package snapshot; import _ "math/rand/v2"`,
	}
	var files []source
	for name, text := range planted {
		files = append(files, parse(t, name, text))
	}
	caught := map[string]bool{}
	for _, v := range check(files) {
		caught[v.ban] = true
		delete(planted, v.file)
	}
	for _, b := range bans {
		if !caught[b.name] {
			t.Errorf("no planted import violates %q: the ban is not proven to bite", b.name)
		}
		if b.reason == "" {
			t.Errorf("the ban %q has no reason", b.name)
		}
	}
	for name := range planted {
		t.Errorf("the violation planted in %s was not caught", name)
	}
}

// chain are the clients that the SDK's own credential chain links: how the command line proves which AWS identity it has.
var chain = []string{"signin", "sso", "ssooidc", "sts", "internal"}

// TestTheCommandLineLinksNoAWSClient looks at what is linked, however far away it is imported. What the SDK's credential chain needs by itself is no way to the product's data.
func TestTheCommandLineLinksNoAWSClient(t *testing.T) {
	linked := func(program string) (clients []string) {
		t.Helper()
		out, err := exec.Command("go", "list", "-deps", "../../cmd/"+program).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, pkg := range strings.Fields(string(out)) {
			if name, ok := strings.CutPrefix(pkg, "github.com/aws/aws-sdk-go-v2/service/"); ok {
				if name, _, _ = strings.Cut(name, "/"); !slices.Contains(chain, name) {
					clients = append(clients, pkg)
				}
			}
		}
		return clients
	}
	if clients := linked("drawbridge"); len(clients) > 0 {
		t.Errorf("drawbridge links %v: only drawbridge-collect may, which drawbridge runs", clients)
	}
	if len(linked("drawbridge-collect")) == 0 {
		t.Error("drawbridge-collect links no client: the test looks for the wrong name")
	}
}
