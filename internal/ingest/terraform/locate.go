package terraform

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	hcljson "github.com/hashicorp/hcl/v2/json"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// Locate puts the places of the code into the steps of a plan: Source of a step becomes the file and line of its block, and that of
// the documents that will be there the line of the argument which gives them. dir is the root module within fsys; modules are
// found by their source where it is a folder, and by .terraform/modules/modules.json where terraform has fetched them. A step
// whose block is not found keeps its place in the plan.
//
// The error tells what could not be read; everything else is located all the same.
func Locate(fsys fs.FS, dir string, plan *change.Plan) error {
	c, err := ReadCode(fsys, dir)
	if err != nil {
		return err
	}
	return c.Locate(plan)
}

// Code is the .tf files of a root module and of the modules it calls, which are read when they are needed.
type Code struct {
	fsys     fs.FS
	root     string
	modules  map[string]*folder
	fetched  map[string]string // folder of a module by the chain of calls, a.b, as terraform init notes it
	problems []error
}

// ReadCode reads the root module in a folder of fsys. Problems in single files are told by Locate.
func ReadCode(fsys fs.FS, dir string) (*Code, error) {
	c := &Code{fsys: fsys, root: path.Clean(dir), modules: map[string]*folder{}}
	c.manifest()
	if f := c.folder(c.root); f == nil || f.files == 0 {
		return nil, errors.Join(append(c.problems, fmt.Errorf("there are no .tf files in %s", dir))...)
	}
	return c, nil
}

// Locate is the function Locate for code that was read already.
func (c *Code) Locate(plan *change.Plan) error {
	moved := map[snapshot.Source]snapshot.Source{}
	for n := range plan.Steps {
		s := &plan.Steps[n]
		address, _, _ := strings.Cut(s.Address, " (deposed")
		b := c.find(address)
		if b == nil {
			continue
		}
		at, document := source(b.DefRange), source(b.DefRange)
		if r := byType[s.Type]; r != nil && r.Policy != "" {
			argument, _, _ := strings.Cut(r.Policy, ".")
			if a := argumentOf(b.Body, argument); a != nil {
				document = source(a.Range)
			}
		}
		moved[s.Source] = at
		s.Source = at
		for m := range s.After {
			s.After[m] = relocate(s.After[m], at, document)
		}
	}
	for n := range plan.Gaps {
		if at, ok := moved[plan.Gaps[n].Source]; ok {
			plan.Gaps[n].Source = at
		}
	}
	return errors.Join(c.problems...)
}

func source(r hcl.Range) snapshot.Source {
	return snapshot.Source{File: r.Filename, Line: int32(min(r.Start.Line, 1<<30)), Column: int32(min(r.Start.Column, 1<<30))}
}

// relocate is the part with the places of the code.
func relocate(p change.Part, at, document snapshot.Source) change.Part {
	in := func(d *snapshot.Document) {
		if d.Source.File != "" {
			d.Source, d.Multiline = document, false
		}
	}
	switch p := p.(type) {
	case change.User:
		p.Source = at
		return p
	case change.Group:
		p.Source = at
		return p
	case change.Role:
		p.Source = at
		in(&p.Trust)
		return p
	case change.Inline:
		in(&p.Document)
		return p
	case change.ManagedPolicy:
		in(&p.Document)
		return p
	case change.Resource:
		p.Source = at
		in(&p.Policy)
		return p
	case change.ResourcePolicy:
		p.Source = at
		in(&p.Policy)
		return p
	case change.ResourceStatement:
		p.Source = at
		in(&p.Policy)
		return p
	case change.Provider:
		p.Source = at
		return p
	case change.KMSGrant:
		p.Source = at
		return p
	case change.Share:
		p.Source = at
		return p
	case change.ControlPolicy:
		in(&p.Document)
		return p
	}
	return p // the others have no place of their own
}

// folder is one module.
type folder struct {
	dir    string
	files  int
	blocks map[string]*hcl.Block // by type.name and data.type.name
	calls  map[string]string     // source of each module call
	// What expressions refer to: the blocks of module calls, and the expressions of locals, outputs and defaults of variables.
	used                       map[string]*hcl.Block
	locals, outputs, variables map[string]hcl.Expression
}

var moduleSchema = &hcl.BodySchema{Blocks: []hcl.BlockHeaderSchema{
	{Type: "resource", LabelNames: []string{"type", "name"}},
	{Type: "data", LabelNames: []string{"type", "name"}},
	{Type: "module", LabelNames: []string{"name"}},
	{Type: "output", LabelNames: []string{"name"}},
	{Type: "variable", LabelNames: []string{"name"}},
	{Type: "locals"},
}}

// maxFile is the largest .tf file that is read; nobody writes larger ones.
const maxFile = 16 << 20

// manifest reads where terraform init has put modules that are no folders of the code.
func (c *Code) manifest() {
	text, err := fs.ReadFile(c.fsys, path.Join(c.root, ".terraform/modules/modules.json"))
	if err != nil {
		return // no module was fetched, or not here
	}
	var m struct{ Modules []struct{ Key, Dir string } }
	if err := json.Unmarshal(text, &m); err != nil {
		c.problems = append(c.problems, fmt.Errorf("reading .terraform/modules/modules.json: %w", err))
	}
	c.fetched = map[string]string{}
	for _, e := range m.Modules {
		c.fetched[e.Key] = e.Dir
	}
}

// folder reads the module in a folder, once.
func (c *Code) folder(dir string) *folder {
	if f, ok := c.modules[dir]; ok {
		return f
	}
	c.modules[dir] = nil
	if !fs.ValidPath(dir) {
		return nil // outside of what was given
	}
	entries, err := fs.ReadDir(c.fsys, dir)
	if err != nil {
		c.problems = append(c.problems, fmt.Errorf("reading a module: %w", err))
		return nil
	}
	f := &folder{dir: dir, blocks: map[string]*hcl.Block{}, calls: map[string]string{}, used: map[string]*hcl.Block{},
		locals: map[string]hcl.Expression{}, outputs: map[string]hcl.Expression{}, variables: map[string]hcl.Expression{}}
	c.modules[dir] = f
	for _, e := range entries {
		isJSON := strings.HasSuffix(e.Name(), ".tf.json") || strings.HasSuffix(e.Name(), ".tofu.json")
		if e.IsDir() || !isJSON && !strings.HasSuffix(e.Name(), ".tf") && !strings.HasSuffix(e.Name(), ".tofu") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		name := path.Join(dir, e.Name())
		if info, err := e.Info(); err == nil && info.Size() > maxFile {
			c.problems = append(c.problems, fmt.Errorf("%s is larger than %d MB and was not read", name, maxFile>>20))
			continue
		}
		text, err := fs.ReadFile(c.fsys, name)
		if err != nil {
			c.problems = append(c.problems, fmt.Errorf("reading a module: %w", err))
			continue
		}
		f.files++
		parse := func() (*hcl.File, hcl.Diagnostics) { return hclsyntax.ParseConfig(text, name, hcl.InitialPos) }
		if isJSON {
			parse = func() (*hcl.File, hcl.Diagnostics) { return hcljson.Parse(text, name) }
		}
		file, diagnostics := parse()
		if diagnostics.HasErrors() {
			c.problems = append(c.problems, diagnostics)
		}
		if file == nil || file.Body == nil {
			continue
		}
		content, _, _ := file.Body.PartialContent(moduleSchema)
		if content == nil {
			continue
		}
		for _, b := range content.Blocks {
			switch b.Type {
			case "resource":
				f.keep(strings.Join(b.Labels, "."), b)
			case "data":
				f.keep("data."+strings.Join(b.Labels, "."), b)
			case "locals":
				attributes, _ := b.Body.JustAttributes()
				for name, a := range attributes {
					f.locals[name] = a.Expr
				}
			case "output":
				if e := attribute(b.Body, "value"); e != nil {
					f.outputs[b.Labels[0]] = e
				}
			case "variable":
				f.variables[b.Labels[0]] = attribute(b.Body, "default")
			case "module":
				f.used[b.Labels[0]] = b
				e := attribute(b.Body, "source")
				if e == nil {
					continue
				}
				if v, d := e.Value(nil); !d.HasErrors() && !v.IsNull() && v.IsKnown() && v.Type().FriendlyName() == "string" {
					f.calls[b.Labels[0]] = v.AsString()
				}
			}
		}
	}
	return f
}

func (f *folder) keep(name string, b *hcl.Block) {
	if f.blocks[name] == nil {
		f.blocks[name] = b
	}
}

// argumentOf is an argument of a block, nil where it is not given.
func argumentOf(body hcl.Body, name string) *hcl.Attribute {
	content, _, _ := body.PartialContent(&hcl.BodySchema{Attributes: []hcl.AttributeSchema{{Name: name}}})
	if content == nil {
		return nil
	}
	return content.Attributes[name]
}

func attribute(body hcl.Body, name string) hcl.Expression {
	if a := argumentOf(body, name); a != nil {
		return a.Expr
	}
	return nil
}

// find is the block of a resource's address.
func (c *Code) find(address string) *hcl.Block {
	module := moduleOf(address)
	f := c.module(module)
	if f == nil {
		return nil
	}
	parts := slices.DeleteFunc(tokens(strings.TrimPrefix(address, module)), isIndex)
	return f.blocks[strings.Join(parts, ".")]
}

func isIndex(token string) bool { return token[0] == '[' }

// module is the folder of a module's address.
func (c *Code) module(address string) *folder {
	parts := slices.DeleteFunc(tokens(address), isIndex)
	f := c.folder(c.root)
	var chain []string
	for ; f != nil && len(parts) > 1; parts = parts[2:] {
		chain = append(chain, parts[1])
		from := f.calls[parts[1]]
		switch fetched := c.fetched[strings.Join(chain, ".")]; {
		case strings.HasPrefix(from, "./") || strings.HasPrefix(from, "../"):
			f = c.folder(path.Join(f.dir, from))
		case fetched != "":
			f = c.folder(path.Join(c.root, fetched))
		default:
			f = nil
		}
	}
	return f
}
