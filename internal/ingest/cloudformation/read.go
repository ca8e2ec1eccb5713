// Package cloudformation reads CloudFormation templates and change sets into the parts of planned changes (package change).
//
// A template is JSON or YAML, with the short forms of YAML; functions, parameters, conditions and mappings are worked out as far as the template and the options tell. What they do not tell is
// a value with a mark in it that says which part is not known: names that AWS makes up are the same wherever the template refers to them, and anything else makes the statement in which it
// stands one that is not understood, which counts as possible for everybody. The other statements are judged.
//
// Sources: AWS CloudFormation User Guide, "Template anatomy" and "Intrinsic function reference"; CloudFormation API Reference, DescribeChangeSet.
package cloudformation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// ErrNotTemplate is returned for input that is no template, ErrNotChangeSet for input that is no description of a change set.
var (
	ErrNotTemplate  = errors.New("this is no CloudFormation template")
	ErrNotChangeSet = errors.New("this is no change set as describe-change-set prints it")
)

// File is a template with its name, which places refer to.
type File struct {
	Name string
	Data []byte
}

// Options tell what a template does not. Zero values mean that it is not known.
type Options struct {
	Account, Region string // of the stack
	// StackName and StackID are the values of the pseudo parameters, Organization the id o-… in ARNs of the organisation's policies.
	StackName, StackID, Organization string
	// Parameters are the values given to the template, by name; its defaults count beside them. OldParameters are those that the stack has now, where a change is read: one that is given
	// anew and not among them has a value that is not known, and not the new one, which would hide what it changes.
	Parameters, OldParameters map[string]string
	// Imports are the exports of other stacks, by name.
	Imports map[string]string
	// Physical are the ids that AWS gave to what exists, by address: logical ids, those in a nested stack behind its own and a dot.
	Physical map[string]string
	// Nested finds the template of a nested stack by its TemplateURL, for the file in which that stands; nil: none is at hand.
	Nested func(parent, location string) (File, bool)
	// Standing reads a template as what is there, and not as what will be made. An account or region that is not given is then a placeholder: Nowhere, {region}.
	Standing bool

	noAccount, noRegion bool // they are placeholders

	children map[string]*stack
	resolved map[string]bool // parameters whose values are those that were read from Parameter Store
	loaded   int
	// forgets: it is the old template of a change, and parameters whose value nobody gives had one that is not known.
	forgets bool
	// described: the values are those of a change set, which hides secret ones; a default is then not what counts.
	described bool
}

// Nowhere stands for the account of a template that is read as what is there, where nobody says which it is. AWS gives no account that id.
const Nowhere = "000000000000"

// assume takes placeholders for what is not given.
func (o *Options) assume() {
	if o.Account == "" {
		o.Account, o.noAccount = Nowhere, true
	}
	if o.Region == "" {
		o.Region, o.noRegion = "{region}", true
	}
}

// check refuses options that cannot be meant.
func (o *Options) check() error {
	if o.Account != "" && !arn.IsAccountID(o.Account) {
		return fmt.Errorf("%q is no account id: expected 12 digits", o.Account)
	}
	return nil
}

func (o *Options) partition() string {
	switch {
	case strings.HasPrefix(o.Region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(o.Region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

// Read reads a template as a plan that makes everything in it, or (Options.Standing) as what is there.
//
// It returns an error, with the place where there is one, for text that cannot be read, that is no template, or where a parameter is given that the template does not have.
// Whatever is not understood or not known inside is a gap or an Unknown.
func Read(name string, data []byte, o Options) (*change.Plan, error) {
	s, err := load(File{name, data}, o, o.Parameters)
	if err != nil {
		return nil, err
	}
	p := s.plan()
	o = *s.o
	for _, r := range s.everything() {
		b := build(r)
		p.Gaps = append(p.Gaps, b.gaps...)
		if b.unseen != "" {
			p.Gaps = append(p.Gaps, b.unseenGap())
		}
		if o.Standing {
			p.Standing = append(p.Standing, b.parts...)
			for _, u := range b.unknown {
				subject := u.Of
				if subject == "" {
					subject = r.address()
				}
				p.Gaps = append(p.Gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: subject, Account: o.Account, Reason: r.address() + ": " + u.Attribute + " " + u.Why, Source: r.s.source(r.pos)})
			}
			continue
		}
		if len(b.parts)+len(b.unknown) > 0 {
			p.Steps = append(p.Steps, change.Step{Address: r.address(), Type: r.typ, Action: change.Create, After: b.parts, Unknown: b.unknown, Sensitive: r.secret, Source: r.s.source(r.pos)})
		}
	}
	doubled(p)
	p.Gaps = append(p.Gaps, s.allGaps()...)
	return p, nil
}

// load reads a template with everything that it refers to.
func load(f File, o Options, given map[string]string) (*stack, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Standing {
		o.assume()
	}
	o.children = map[string]*stack{}
	s, err := newStack(f, &o, "", func(p string) *node {
		if v, ok := given[p]; ok {
			return literal(v, place{})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.has(given); err != nil {
		return nil, err
	}
	return s, nil
}

// has refuses values for parameters that the template does not have.
func (s *stack) has(given map[string]string) error {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if s.parameters[name] == nil {
			return fmt.Errorf("%s: the template has no parameter %q", s.file, name)
		}
	}
	return nil
}

func newStack(f File, o *Options, prefix string, given func(name string) *node) (*stack, error) {
	root, err := parse(f.Data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	if body := root.get("TemplateBody"); body != nil && root.get("Resources") == nil { // what get-template prints: an object, or the text of YAML
		if root = body; body.kind == text {
			if root, err = parse([]byte(body.text)); err != nil {
				return nil, fmt.Errorf("%s: in TemplateBody: %w", f.Name, err)
			}
		}
	}
	s := &stack{o: o, file: f.Name, prefix: prefix, root: root, parameters: map[string]*parameter{}, conditions: map[string]*truthValue{}, resources: map[string]*resource{}, resolving: map[string]bool{}, used: map[string]bool{}}
	if err := s.shape(); err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	s.readParameters(given)
	s.root = s.loops(root, 0)
	s.transforms()
	s.readResources()
	s.nest()
	if prefix == "" && o.noAccount {
		s.gap(snapshot.GapAccount, Nowhere, "stands for the account, which a template does not tell and nobody gave; where the template has its number, that counts as another account", place{1, 1})
	} else if prefix == "" && o.Account == "" {
		s.gap(snapshot.GapAccount, f.Name, "a template does not tell its account, and none is given: ARNs of what it makes have none", place{1, 1})
	}
	return s, nil
}

// shape checks the sections.
func (s *stack) shape() error {
	if s.root.kind != object {
		return fmt.Errorf("%w: expected an object with Resources", ErrNotTemplate)
	}
	resources := s.root.get("Resources")
	if resources == nil {
		if s.root.get("Changes") != nil || s.root.get("ChangeSetId") != nil {
			return fmt.Errorf("%w: it is a change set", ErrNotTemplate)
		}
		return fmt.Errorf("%w: there is no section Resources", ErrNotTemplate)
	}
	for _, name := range []string{"Resources", "Parameters", "Mappings", "Conditions", "Outputs"} {
		if n := s.root.get(name); n != nil && n.kind != object && n.kind != null {
			return failAt(n.pos, "%s: expected an object", name)
		}
	}
	return nil
}

// forgotten is said of a parameter of the old template.
const forgotten = "whose value before the change is not given"

// readParameters takes the given values, else the defaults.
func (s *stack) readParameters(given func(name string) *node) {
	section := s.root.get("Parameters")
	if section == nil {
		return
	}
	for _, f := range section.fields {
		p := &parameter{raw: f.node, secret: f.get("NoEcho").string() == "true"}
		s.parameters[f.key] = p
		kind := f.get("Type").string()
		mark, none := "{"+s.prefix+f.key+"}", "which has no default and for which no value is given"
		if s.o.forgets { // never the same as what it will be
			mark, none = "{old "+s.prefix+f.key+"}", forgotten
		}
		v := given(f.key)
		if v.string() == hidden && p.secret {
			v = nil
		}
		switch {
		case strings.HasPrefix(kind, "AWS::SSM::Parameter::Value<") && !s.o.resolved[f.key]:
			p.value = lost(mark, "depends on the parameter "+f.key+", which is read from Parameter Store when the change is applied", f.pos)
			continue
		case v == nil && f.get("Default") != nil && !(p.secret && s.o.described):
			v = f.get("Default")
		case v == nil:
			p.value = lost(mark, "depends on the parameter "+s.prefix+f.key+", "+none, f.pos)
			continue
		}
		if v.kind == text && (kind == "CommaDelimitedList" || strings.HasPrefix(kind, "List<") || strings.Contains(kind, "<List<")) && len(v.open) == 0 {
			l := &node{kind: list, pos: f.pos}
			for _, one := range strings.Split(v.text, ",") {
				l.items = append(l.items, literal(strings.TrimSpace(one), f.pos))
			}
			v = l
		}
		p.value = v
	}
}

// transforms tells of macros, which rewrite the template where nobody sees it.
func (s *stack) transforms() {
	for _, n := range s.root.get("Transform").list() {
		name := n.string()
		if n.kind == object {
			name = n.get("Name").string()
		}
		switch name {
		case "AWS::LanguageExtensions", "":
		case "AWS::Serverless-2016-10-31":
			s.gap(snapshot.GapElement, s.file, "the transform "+name+" adds resources and permissions that are not in the template; of them only roles of functions are worked out. Give the processed template (aws cloudformation get-template --template-stage Processed)", n.pos)
		default:
			s.gap(snapshot.GapElement, s.file, "the macro "+name+" rewrites the template when it is processed, and what it adds is not seen. Give the processed template (aws cloudformation get-template --template-stage Processed)", n.pos)
		}
	}
	for _, f := range s.root.get("Resources").fields {
		if f.key == "Fn::Transform" {
			s.gap(snapshot.GapElement, s.file, "resources are written by the macro "+f.get("Name").string()+" when the template is processed, and are not seen", f.pos)
		}
	}
}

func (s *stack) readResources() {
	for _, f := range s.root.get("Resources").fields {
		if strings.HasPrefix(f.key, "Fn::") {
			continue
		}
		typ := f.get("Type").string()
		if f.kind != object || typ == "" {
			s.gap(snapshot.GapElement, s.prefix+f.key, "expected a resource with a Type; it was not read", f.pos)
			continue
		}
		r := &resource{s: s, logical: f.key, typ: typ, raw: f.node, pos: f.pos, row: byType[typ]}
		r.setPhysical(s.o.Physical[r.address()])
		s.resources[f.key] = r
		s.order = append(s.order, r)
	}
	s.serverless()
	s.order = slices.DeleteFunc(s.order, func(r *resource) bool {
		name := r.raw.get("Condition").string()
		if name == "" {
			return false
		}
		t := s.condition(name)
		if !t.known {
			r.maybe = t.why
		}
		return t.known && !t.is
	})
}

// maxStacks bounds how many nested stacks are read: one may contain itself.
const maxStacks = 200

// nest reads the templates of nested stacks.
func (s *stack) nest() {
	if s.o.Nested == nil {
		return
	}
	for _, r := range s.ofType("AWS::CloudFormation::Stack") {
		url := r.all().get("TemplateURL")
		if url == nil || url.kind != text || len(url.open) > 0 {
			continue
		}
		f, ok := s.o.Nested(s.file, url.text)
		if !ok {
			continue
		}
		if s.o.loaded++; s.o.loaded > maxStacks || strings.Count(s.prefix, ".") > 10 {
			s.gap(snapshot.GapFile, r.address(), "stacks are nested too deep, or there are too many", r.pos)
			continue
		}
		parameters := r.all().get("Parameters")
		child, err := newStack(f, s.o, r.address()+".", func(name string) *node {
			if parameters != nil && parameters.whole() {
				return parameters
			}
			return parameters.get(name)
		})
		if err != nil {
			s.gap(snapshot.GapFile, r.address(), "the template of the nested stack cannot be read: "+err.Error(), r.pos)
			continue
		}
		s.o.children[r.address()] = child
	}
}

// everything is every resource of the stack and of those nested in it, in order of the files.
func (s *stack) everything() []*resource {
	out := slices.Clone(s.order)
	for _, r := range s.ofType("AWS::CloudFormation::Stack") {
		if child := s.o.children[r.address()]; child != nil {
			nested := child.everything()
			for _, n := range nested {
				if n.maybe == "" {
					n.maybe = r.maybe
				}
			}
			out = append(out, nested...)
		}
	}
	return out
}

func (s *stack) allGaps() []snapshot.Gap {
	out := slices.Clone(s.gaps)
	for _, r := range s.ofType("AWS::CloudFormation::Stack") {
		if child := s.o.children[r.address()]; child != nil {
			out = append(out, child.allGaps()...)
		}
	}
	return out
}

func (s *stack) plan() *change.Plan {
	return &change.Plan{Tool: "cloudformation", Account: s.o.Account, Region: s.o.Region}
}
