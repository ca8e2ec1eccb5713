package repository

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// link is a Markdown link, [text](target) or a definition [name]: target; the target ends before a title.
var link = regexp.MustCompile(`(?m)\]\(([^)\s]+)|^\[[^\]]+\]:\s*(\S+)`)

// anchors are the names by which other pages point at a heading, as code hosts make them.
func anchors(markdown string) []string {
	var names []string
	for _, line := range strings.Split(outsideCode(markdown), "\n") {
		if heading := strings.TrimLeft(line, "#"); heading != line && strings.HasPrefix(heading, " ") {
			name := strings.ToLower(strings.TrimSpace(heading))
			name = regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(name, "")
			names = append(names, strings.ReplaceAll(name, " ", "-"))
		}
	}
	return names
}

var (
	fenced = regexp.MustCompile("(?ms)^\\s*```.*?^\\s*```[^\n]*$")
	inline = regexp.MustCompile("`[^`\n]*`")
)

// outsideCode is a page without what stands in fences, where brackets mean something else.
func outsideCode(markdown string) string { return fenced.ReplaceAllString(markdown, "") }

// brokenLinks lists the relative links of a page that lead nowhere. Exists and read look at a path from the root.
func brokenLinks(page, markdown string, exists func(string) bool, read func(string) string) []string {
	var broken []string
	for _, m := range link.FindAllStringSubmatch(inline.ReplaceAllString(outsideCode(markdown), ""), -1) {
		target := m[1] + m[2]
		if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
			continue
		}
		file, anchor, _ := strings.Cut(target, "#")
		name := page
		if file != "" {
			name = path.Join(path.Dir(page), file)
		}
		if strings.HasPrefix(file, "/") || strings.HasPrefix(name, "../") || !exists(name) {
			broken = append(broken, target)
			continue
		}
		linked := markdown
		if name != page && strings.HasSuffix(name, ".md") {
			linked = read(name)
		}
		if anchor != "" && strings.HasSuffix(name, ".md") && !slices.Contains(anchors(linked), anchor) {
			broken = append(broken, target)
		}
	}
	return broken
}

// pages are the Markdown files of the repository, by their path from the root.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir("../..", func(name string, d os.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && d.Name() != "..":
			return filepath.SkipDir
		case !d.IsDir() && strings.HasSuffix(name, ".md"):
			found = append(found, strings.TrimPrefix(filepath.ToSlash(name), "../../"))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 20 {
		t.Fatalf("found %d pages: the test looks at the wrong place", len(found))
	}
	return found
}

// TestLinks: every relative link in a page leads to a file of the repository, and to a heading of it where it names one.
func TestLinks(t *testing.T) {
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join("../..", name))
		return err == nil
	}
	read := func(name string) string { return text(t, name) }
	for _, page := range pages(t) {
		for _, target := range brokenLinks(page, text(t, page), exists, read) {
			t.Errorf("%s links to %s, which leads nowhere", page, target)
		}
	}
}

// TestLinksCanFail plants links of every kind in a page.
func TestLinksCanFail(t *testing.T) {
	files := map[string]string{"docs/page.md": "", "docs/there.md": "# There\n\n## A part, of it\n", "README.md": "# Top\n"}
	exists := func(name string) bool { _, ok := files[name]; return ok }
	read := func(name string) string { return files[name] }
	page := "# Here\n" +
		"[a](there.md) [b](there.md#a-part-of-it) [c](../README.md) [d](#here) [e](https://example.com/x)\n" +
		"[f](missing.md) [g](there.md#another) [h](#there) [i](../../outside.md) [j](/README.md)\n" +
		"`[k](code.md)`\n```\n[l](code.md)\n```\n\n[m]: gone.md\n"
	got := brokenLinks("docs/page.md", page, exists, read)
	want := []string{"missing.md", "there.md#another", "#there", "../../outside.md", "/README.md", "gone.md"}
	if !slices.Equal(got, want) {
		t.Errorf("broken links: %q, want %q", got, want)
	}
}

// TestLayoutIsComplete: the page about the layout names every package of the module, and none that is not there.
func TestLayoutIsComplete(t *testing.T) {
	page := text(t, "docs/adr/0001-layout.md")
	exist := []string{"internal/repository"} // tests alone, which load leaves out
	for _, f := range load(t) {
		if !slices.Contains(exist, f.pkg) {
			exist = append(exist, f.pkg)
		}
	}
	for _, pkg := range exist {
		if !strings.Contains(page, "`"+pkg+"`") {
			t.Errorf("docs/adr/0001-layout.md does not name %s", pkg)
		}
	}
	for _, m := range regexp.MustCompile("`((?:iam|internal|cmd|examples)/[a-z0-9/]+)`").FindAllStringSubmatch(page, -1) {
		if !slices.Contains(exist, m[1]) {
			t.Errorf("docs/adr/0001-layout.md names %s, which is not there", m[1])
		}
	}
}

// TestIndexIsComplete: docs/README.md leads to every page beside it; the rules have an index of their own.
func TestIndexIsComplete(t *testing.T) {
	index := text(t, "docs/README.md")
	for _, page := range pages(t) {
		below, ok := strings.CutPrefix(page, "docs/")
		if !ok || below == "README.md" || strings.HasPrefix(below, "rules/") && below != "rules/README.md" {
			continue
		}
		if !strings.Contains(index, "("+below+")") {
			t.Errorf("docs/README.md does not lead to %s", page)
		}
	}
}
