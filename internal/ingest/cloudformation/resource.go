package cloudformation

import (
	"regexp"
	"slices"
	"strings"
)

// resource is a resource of a template.
type resource struct {
	s            *stack
	logical, typ string
	raw          *node
	pos          place
	row          *row
	physical     string           // the id that AWS gave it, "" where the input does not say
	properties   *node            // evaluated, when they were first needed
	contexts     *node            // properties as a change set gives them
	known        map[string]*node // properties that the physical id tells
	arn          string           // where it is known by itself
	maybe        string           // why it is not known whether the resource is made
	secret       bool             // its properties depend on a parameter that is marked as secret
	used         map[string]bool  // parameters that they depend on
}

func (r *resource) address() string { return r.s.prefix + r.logical }

func (r *resource) mark(name string) string { return "{" + r.address() + "." + name + "}" }

// child is the template of a nested stack, nil where it is not at hand.
func (r *resource) child() *stack { return r.s.o.children[r.address()] }

// byContent is the name of a file that changes with what is in it, as aws cloudformation package and the CDK give it.
var byContent = regexp.MustCompile(`/[0-9a-f]{32,64}\.[a-z.]+$`)

// unread reports whether it is a nested stack whose template is not at hand, and may be another one at each update though its place is the same.
func (r *resource) unread() bool {
	if r.typ != "AWS::CloudFormation::Stack" || r.child() != nil {
		return false
	}
	at := r.all().get("TemplateURL")
	return at.anyOpen() != nil || !byContent.MatchString(at.string())
}

// custom reports whether a resource is made by code of the user: what it gives can be anything.
func (r *resource) custom() bool {
	return strings.HasPrefix(r.typ, "Custom::") || !strings.HasPrefix(r.typ, "AWS::") || r.typ == "AWS::CloudFormation::CustomResource" || r.typ == "AWS::CloudFormation::Stack" || r.typ == "AWS::CloudFormation::Macro"
}

// setPhysical takes what an id that AWS gave tells.
func (r *resource) setPhysical(id string) {
	r.physical = id
	if id == "" || r.row == nil {
		return
	}
	template := r.row.Ref
	switch {
	case template == "arn":
		if strings.HasPrefix(id, "arn:") {
			r.arn = id
		}
	case template == sqsURL:
		if queue := id[strings.LastIndexByte(id, '/')+1:]; queue != "" {
			r.known = map[string]*node{"QueueName": literal(queue, r.pos)}
		}
	case strings.HasPrefix(template, "{") && strings.IndexByte(template, '}') == len(template)-1:
		r.known = map[string]*node{template[1 : len(template)-1]: literal(id, r.pos)}
	}
}

// all are the evaluated properties.
func (r *resource) all() *node {
	if r.properties != nil {
		return r.properties
	}
	s := r.s
	before, used := s.noEcho, s.used
	s.noEcho, s.used = false, map[string]bool{}
	raw := r.raw.get("Properties")
	v := s.eval(raw)
	if v == nil || v.kind == null {
		v = &node{kind: object, pos: r.pos}
	}
	r.secret, r.used = s.noEcho, s.used
	s.noEcho, s.used = before, used
	if r.contexts != nil {
		v = merge(r.contexts, v)
	}
	r.properties = v
	return v
}

// says takes the properties that a change set gives.
func (r *resource) says(properties *node) {
	if r != nil && properties != nil && r.contexts == nil {
		r.contexts = properties.moved(r.pos)
	}
}

// merge is what a change set says, in the places of the template, and with what the template tells where the change set does not know.
func merge(said, computed *node) *node {
	switch {
	case said == nil || computed == nil:
		return said
	case said.anyOpen() == nil && said.canonical() == computed.canonical():
		return computed
	case said.kind != computed.kind || said.kind == list && len(said.items) != len(computed.items) || said.kind == text:
		if said.anyOpen() != nil {
			return computed
		}
		return said.moved(computed.pos)
	}
	v := *said
	v.pos = computed.pos
	v.items = make([]*node, len(said.items))
	for i, e := range said.items {
		v.items[i] = merge(e, computed.items[i])
	}
	v.fields = make([]field, 0, len(said.fields))
	for _, f := range computed.fields { // in the order of the template
		if w := said.get(f.key); w != nil {
			v.fields = append(v.fields, field{f.key, f.pos, merge(w, f.node)})
		}
	}
	for _, f := range said.fields {
		if computed.get(f.key) == nil {
			v.fields = append(v.fields, field{f.key, v.pos, f.node.moved(v.pos)})
		}
	}
	return &v
}

// property is one property, which others may ask for while the resource itself is being evaluated.
func (r *resource) property(name string) *node {
	if r.properties != nil {
		return r.properties.get(name)
	}
	if r.contexts != nil {
		if v := r.contexts.get(name); v.anyOpen() == nil {
			return v
		}
	}
	mark := r.logical + "." + name
	if r.s.resolving[mark] {
		return lost(r.mark(name), "refers to itself", r.pos)
	}
	r.s.resolving[mark] = true
	defer delete(r.s.resolving, mark)
	return r.s.eval(r.raw.get("Properties").get(name))
}

// token is a part of an ARN.
func (r *resource) token(name string) *node {
	o := r.s.o
	switch name {
	case "partition":
		return literal(o.partition(), r.pos)
	case "account":
		return literal(o.Account, r.pos)
	case "region":
		return literal(o.Region, r.pos)
	case "suffix":
		v, _ := r.s.pseudo("AWS::URLSuffix", r.pos)
		return v
	case "path":
		if p := r.property("Path"); p.string() != "" {
			return p
		}
		return literal("/", r.pos)
	case "organization":
		if o.Organization != "" {
			return literal(o.Organization, r.pos)
		}
	case "kind":
		return literal(strings.ToLower(r.property("Type").string()), r.pos)
	}
	for _, one := range strings.Split(name, "|") {
		if v := r.known[one]; v != nil {
			return v
		}
		if v := r.property(one); v.string() != "" {
			if one == "Url" {
				v = v.moved(v.pos)
				v.text = strings.TrimSuffix(strings.TrimPrefix(v.text, "https://"), "/")
			}
			return v
		}
	}
	name, _, _ = strings.Cut(name, "|")
	return literal(r.mark(name), r.pos)
}

// expand fills a template in.
func (r *resource) expand(template string) *node {
	out := literal("", r.pos)
	var b strings.Builder
	for {
		i := strings.IndexByte(template, '{')
		if i < 0 {
			b.WriteString(template)
			break
		}
		b.WriteString(template[:i])
		end := i + strings.IndexByte(template[i:], '}')
		v := r.token(template[i+1 : end])
		b.WriteString(v.text)
		out.open = append(out.open, v.open...)
		template = template[end+1:]
	}
	out.text = b.String()
	return out
}

// name is the resource's ARN. Parts that nobody knows stand as placeholders, the same wherever it is named.
func (r *resource) name() string {
	if r.arn != "" {
		return r.arn
	}
	if r.row == nil || r.row.ARN == "" {
		return ""
	}
	v := r.expand(r.row.ARN)
	if i := strings.LastIndex(v.text, "arn:"); i > 0 && !strings.HasPrefix(r.row.ARN, "{") {
		return v.text[i:] // a property that should be a name is an ARN
	}
	return v.text
}

// isARN makes a value the ARN of a resource. It names the resource whatever the parts are that nobody knows: only without an account it does not.
func (s *stack) isARN(r *resource, at place) *node {
	v := literal(r.name(), at)
	v.of = r
	if s.o.Account == "" && r.arn == "" && strings.Contains(r.row.ARN, "{account}") {
		v.open = []missing{{mark: v.text, why: "depends on AWS::AccountId, which a template does not tell (give the account)"}}
	} else if s.o.Region == "" && r.arn == "" && strings.Contains(r.row.ARN, "{region}") {
		v.open = []missing{{mark: v.text, why: "depends on AWS::Region, which a template does not tell (give the region)"}}
	}
	return v
}

// reference is what Ref gives.
func (s *stack) reference(r *resource, at place) *node {
	switch {
	case r.row == nil || r.row.Ref == "":
		if r.physical != "" {
			return literal(r.physical, at)
		}
		if r.custom() {
			return lost("{"+r.address()+"}", "is what "+r.address()+" ("+r.typ+") gives", at)
		}
		return literal("{"+r.address()+"}", at) // an id that AWS makes up
	case r.row.Ref == "arn":
		return s.isARN(r, at)
	case r.physical != "":
		v := literal(r.physical, at)
		v.of = r
		return v
	}
	v := r.expand(r.row.Ref)
	v.pos, v.of = at, r
	return v
}

// attributeOf is what Fn::GetAtt gives.
func (s *stack) attributeOf(r *resource, attribute string, at place) *node {
	address := r.address() + "." + attribute
	if r.typ == "AWS::CloudFormation::Stack" {
		if output, ok := strings.CutPrefix(attribute, "Outputs."); ok {
			if child := s.o.children[r.address()]; child != nil {
				if v := child.eval(child.root.get("Outputs").get(output).get("Value")); v != nil {
					return v
				}
			}
		}
		return lost("{"+address+"}", "is an output of the nested stack "+r.address(), at)
	}
	if r.row == nil || r.custom() {
		return lost("{"+address+"}", "is "+attribute+" of "+r.address()+" ("+r.typ+"), known when the change is applied", at)
	}
	if attribute == r.row.Att || attribute == "Arn" && r.row.ARN != "" {
		return s.isARN(r, at)
	}
	for _, template := range []string{r.row.ARN, r.row.Ref} {
		if strings.Contains(template, "{"+attribute+"}") {
			v := r.token(attribute)
			return v.moved(at)
		}
	}
	if template := r.row.Ref; attribute == "QueueUrl" && template == sqsURL {
		return s.reference(r, at)
	}
	for _, a := range r.row.Also {
		if strings.HasSuffix(attribute, "Arn") {
			return literal(r.expand(a.ARN).text, at)
		}
	}
	if strings.HasSuffix(strings.ToLower(attribute), "arn") {
		return lost("{"+address+"}", "is "+attribute+" of "+r.address()+", known when the change is applied", at)
	}
	return literal("{"+address+"}", at)
}

// names are the resources of the types, in order of the file.
func (s *stack) ofType(types ...string) []*resource {
	var out []*resource
	for _, r := range s.order {
		if slices.Contains(types, r.typ) {
			out = append(out, r)
		}
	}
	return out
}
