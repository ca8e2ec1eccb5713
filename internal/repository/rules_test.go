package repository

import (
	"go/ast"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestNames: a package name says what its lines are about.
func TestNames(t *testing.T) {
	silent := []string{"util", "utils", "common", "helper", "helpers", "manager", "misc", "types", "models"}
	for _, f := range load(t) {
		if slices.Contains(silent, f.syntax.Name.Name) || slices.Contains(silent, strings.TrimSuffix(path.Base(f.file), ".go")) {
			t.Errorf("%s: the name says nothing", f.file)
		}
	}
}

// TestPackageComments: every package says what it promises.
func TestPackageComments(t *testing.T) {
	commented := map[string]bool{}
	for _, f := range load(t) {
		commented[f.pkg] = commented[f.pkg] || f.syntax.Doc != nil
	}
	for pkg, ok := range commented {
		if !ok {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}

// TestNoClock: pure packages take the time as an argument.
func TestNoClock(t *testing.T) {
	for _, f := range load(t) {
		if !pure(f.pkg) {
			continue
		}
		for _, call := range clockCalls(f) {
			t.Errorf("%s calls time.%s: time is an argument", f.file, call)
		}
	}
	planted := parse(t, "internal/access/x.go", `package access; import "time"; var t = time.Now()`)
	if len(clockCalls(planted)) != 1 {
		t.Error("a planted time.Now was not found")
	}
}

func clockCalls(f source) []string {
	var calls []string
	ast.Inspect(f.syntax, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "Tick"}, s.Sel.Name) {
				calls = append(calls, s.Sel.Name)
			}
		}
		return true
	})
	return calls
}

// TestDependenciesAreDefended: every direct requirement has its line in docs/dependencies.md.
func TestDependenciesAreDefended(t *testing.T) {
	mod := text(t, "go.mod")
	document := text(t, "docs/dependencies.md")
	requirement := regexp.MustCompile(`(?m)^(?:require )?\s*([a-z0-9.-]+\.[a-z]+/\S+) v\S+$`)
	for _, m := range requirement.FindAllStringSubmatch(mod, -1) {
		// The clients of AWS's services are one dependency: one SDK, one licence, one release for each service.
		if strings.HasPrefix(m[1], "github.com/aws/aws-sdk-go-v2/service/") {
			m[1] = "github.com/aws/aws-sdk-go-v2/service/*"
		}
		if !strings.Contains(document, m[1]) {
			t.Errorf("%s is required and has no line in docs/dependencies.md", m[1])
		}
	}
}

// TestFuzzTargets: the list that CI fuzzes and the targets that exist are the same.
func TestFuzzTargets(t *testing.T) {
	listed := strings.Fields(text(t, "fuzz-targets.txt"))
	var exist []string
	files, err := filepath.Glob("../../*/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	deeper, err := filepath.Glob("../../*/*/*/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, deeper...)
	target := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		pkg := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../../")
		for _, m := range target.FindAllStringSubmatch(string(content), -1) {
			exist = append(exist, pkg+":"+m[1])
		}
	}
	for _, l := range listed {
		if !slices.Contains(exist, l) {
			t.Errorf("fuzz-targets.txt lists %s, which does not exist", l)
		}
	}
	for _, e := range exist {
		if !slices.Contains(listed, e) {
			t.Errorf("%s exists and fuzz-targets.txt does not list it", e)
		}
	}
}

// TestNoPlaces: nothing that is committed names a machine's folders.
func TestNoPlaces(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "ls-files", "-z").Output()
	if err != nil {
		t.Skipf("skipped: the list of committed files needs git and a checkout: %v", err)
	}
	place := regexp.MustCompile(`(^|[\s"'(=])/(wo` + `rk|ro` + `ot|ho` + `me)/`)
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			continue // deleted in the working tree
		}
		if m := place.Find(content); m != nil {
			t.Errorf("%s names a place of a machine: %q", name, m)
		}
	}
}

func text(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("../..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
