package cloudformation

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/internal/snapshot"
)

// printer writes a value as JSON in the lines and, as far as JSON's brackets leave room, the columns in which it stands in the template.
// So the positions inside a document are positions in the template, whatever its syntax is.
type printer struct {
	b            strings.Builder
	line, column int32
	unknown      []unknownPart
	statements   []statementPart
	flat         bool // without the lines: what stands in a text has no place of its own
}

type unknownPart struct{ path, why string }

// statementPart is where a statement begins, and whether a part of it is not known.
type statementPart struct {
	line, column int32
	open         bool
}

func (p *printer) to(at place) {
	if p.flat || at.line < p.line {
		return
	}
	if at.line > p.line {
		p.b.WriteString(strings.Repeat("\n", int(at.line-p.line)))
		p.line, p.column = at.line, 1
	}
	if at.column > p.column {
		p.b.WriteString(strings.Repeat(" ", int(at.column-p.column)))
		p.column = at.column
	}
}

func (p *printer) write(s string) {
	p.b.WriteString(s)
	p.column += int32(len(s))
}

// inStatement reports whether a path is a statement of a document.
func inStatement(path string) bool {
	return path == "Statement" || strings.HasPrefix(path, "Statement[") && strings.IndexByte(path, ']') == len(path)-1
}

func (p *printer) value(n *node, path string) {
	p.to(n.pos)
	if inStatement(path) && n.kind != list {
		p.statements = append(p.statements, statementPart{line: p.line, column: p.column})
	}
	switch n.kind {
	case null:
		p.write("null")
	case text:
		if open := n.hidden(); len(open) > 0 && !strings.HasSuffix(path, ".Sid") && path != "Id" {
			p.unknown = append(p.unknown, unknownPart{path, open[0].why})
			if len(p.statements) > 0 {
				p.statements[len(p.statements)-1].open = true
			}
			if inStatement(path) && path != "Statement" {
				p.write(`{"Effect":null}`) // a statement of which nothing is known
				return
			}
			p.write("null")
			return
		}
		p.write(quote(n.text))
	case list:
		p.write("[")
		for i, e := range n.items {
			if i > 0 {
				p.write(",")
			}
			p.value(e, fmt.Sprintf("%s[%d]", path, i))
		}
		p.write("]")
	case object:
		p.write("{")
		for i, f := range n.fields {
			if i > 0 {
				p.write(",")
			}
			p.to(f.pos)
			p.write(quote(f.key) + ":")
			p.value(f.node, strings.TrimPrefix(path+"."+f.key, "."))
		}
		p.write("}")
	}
}

// document reads the policy at a path of the properties; of is the ARN that it decides about.
//
// A part of it that is not known makes its statement one that is not understood: it counts as possible for everybody, and the other statements are judged.
func (b *builder) document(name, of, path string) snapshot.Document {
	return b.documentOf(b.prop(path), name, of, path)
}

func (b *builder) documentOf(n *node, name, of, path string) snapshot.Document {
	top, _, _ := strings.Cut(path, ".")
	top, _, _ = strings.Cut(top, "[")
	b.read[top] = true
	doc := snapshot.Document{Name: name, Source: b.r.s.source(b.r.pos)}
	if n == nil || n.kind == null {
		doc.State = snapshot.None
		return doc
	}
	at := n.pos
	doc.Source = b.r.s.source(at)
	flat := false
	if n.kind == text {
		if strings.TrimSpace(n.text) == "" {
			doc.State = snapshot.None
			return doc
		}
		inner, err := parseJSON([]byte(n.text))
		if err != nil {
			if open := n.hidden(); len(open) > 0 {
				b.unknownAt(of, path, open[0].why)
				doc.Problem = path + " is not known before the change is applied: it " + open[0].why
				return doc
			}
			d, gaps := snapshot.NewDocument(name, []byte(n.text), doc.Source, false)
			b.documentGaps(of, gaps)
			return d
		}
		n, flat = withOpen(inner, n.open), true
	}
	p := &printer{line: at.line, column: at.column, flat: flat}
	p.value(n, "")
	d, gaps := snapshot.NewDocument(name, []byte(p.b.String()), doc.Source, true)
	for _, u := range p.unknown {
		b.unknownAt(of, strings.TrimSuffix(path+"."+u.path, "."), u.why)
	}
	if d.State != snapshot.Read && len(p.unknown) > 0 {
		d.Problem = strings.TrimSuffix(path+"."+p.unknown[0].path, ".") + " is not known before the change is applied: it " + p.unknown[0].why
		d.Policy, gaps = nil, nil
	}
	// What is not understood of a statement whose parts are not known is told by the unknown part.
	gaps = slices.DeleteFunc(gaps, func(g snapshot.Gap) bool {
		for i := len(p.statements) - 1; i >= 0; i-- {
			if s := p.statements[i]; g.Source.Line > s.line || g.Source.Line == s.line && g.Source.Column >= s.column {
				return s.open
			}
		}
		return false
	})
	if flat {
		d.Multiline = false
		for i := range gaps {
			gaps[i].Source = doc.Source
		}
	}
	b.documentGaps(of, gaps)
	b.octals(n, of)
	return d
}

func (b *builder) documentGaps(of string, gaps []snapshot.Gap) {
	for _, g := range gaps {
		if b.r.secret {
			g.Reason = "something in a document of " + b.r.address() + " is not understood; it depends on a parameter that is marked as secret, so that it is not repeated here"
		}
		g.Subject, g.Account = of, b.r.s.o.Account
		if of == "" {
			g.Subject = b.r.address()
		}
		b.gaps = append(b.gaps, g)
	}
}

// octals tells of account ids that are written as numbers which YAML 1.1 reads in base eight.
func (b *builder) octals(n *node, of string) {
	if n.octal {
		b.gapAt(n.pos, of, n.text+" is written without quotes, and YAML 1.1 reads such digits as an octal number; it is taken as the account it looks like: put it in quotes")
	}
	for _, i := range n.items {
		b.octals(i, of)
	}
	for _, f := range n.fields {
		b.octals(f.node, of)
	}
}

// withOpen finds the parts of a text that are not known again in what the text says.
func withOpen(n *node, open []missing) *node {
	v := *n
	if n.kind == text {
		for _, m := range open {
			if strings.Contains(n.text, m.mark) {
				v.open = append(v.open, m)
			}
		}
	}
	v.items = make([]*node, len(n.items))
	for i, e := range n.items {
		v.items[i] = withOpen(e, open)
	}
	v.fields = make([]field, len(n.fields))
	for i, f := range n.fields {
		v.fields[i] = field{f.key, f.pos, withOpen(f.node, open)}
		for _, m := range open {
			if strings.Contains(f.key, m.mark) { // what is under a key that is not known is not known
				v.fields[i].node = lost(m.mark, m.why, f.node.pos)
			}
		}
	}
	return &v
}
