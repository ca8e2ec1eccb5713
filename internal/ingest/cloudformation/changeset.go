package cloudformation

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// ReadChange reads what a stack is about to become: a change set, as `aws cloudformation describe-change-set` prints it, with the templates before and after it, or some of these.
//
// A change set that was described with its property values needs no template; with the new template, values are worked out that the change set does not know yet, and places are lines of the
// template. A change set without values needs both. Two templates alone are compared by logical id. Any of the three may be nil, and not all of them.
func ReadChange(before, after, set *File, o Options) (*change.Plan, error) {
	if set == nil && after == nil {
		return nil, fmt.Errorf("%w: neither a change set nor a new template is given", ErrNotChangeSet)
	}
	if set == nil && before == nil {
		return Read(after.Name, after.Data, o)
	}
	d := &difference{listed: map[string]*described{}}
	if set != nil {
		if err := d.readSet(*set, &o); err != nil {
			return nil, fmt.Errorf("%s: %w", set.Name, err)
		}
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	old, later := o, o
	old.Parameters, old.forgets = o.OldParameters, true
	if d.set != nil {
		later.Parameters, later.resolved = d.parameters(o.Parameters)
		later.described, old.described = true, true
	}
	given := map[string]bool{}
	for name := range later.Parameters {
		given[name] = true
	}
	later.Physical = map[string]string{}
	for k, v := range o.Physical {
		if c := d.listed[k]; c == nil || c.replacement != "True" {
			later.Physical[k] = v
		}
	}
	old.Physical = map[string]string{}
	for k, v := range o.Physical {
		old.Physical[k] = v
	}
	for name, c := range d.listed {
		if c.physical != "" {
			old.Physical[name] = c.physical
			if c.replacement != "True" && c.action != "Remove" {
				later.Physical[name] = c.physical
			}
		}
	}
	var err error
	if o.Nested != nil {
		// A nested template that is there once is what it will be. What it was would be hidden by it.
		anew := map[string]bool{}
		later.Nested = func(parent, location string) (File, bool) {
			f, ok := o.Nested(parent, location)
			anew[f.Name] = true
			return f, ok
		}
		old.Nested = func(parent, location string) (File, bool) {
			f, ok := o.Nested(parent, location)
			return f, ok && !anew[f.Name]
		}
	}
	if d.later, err = newerStack(after, later, d.set != nil); err != nil {
		return nil, err
	}
	if d.old, err = oldStack(before, old, given); err != nil {
		return nil, err
	}
	return d.plan(&later), nil
}

// noStack is a template that is not given: resources of a change set are put into it.
func noStack(o Options) *stack {
	o.children = map[string]*stack{}
	return &stack{o: &o, root: &node{kind: object}, parameters: map[string]*parameter{}, conditions: map[string]*truthValue{}, resources: map[string]*resource{}, resolving: map[string]bool{}, used: map[string]bool{}}
}

// oldStack is the template as it is. What is given anew says nothing about what was.
func oldStack(f *File, o Options, anew map[string]bool) (*stack, error) {
	if f == nil {
		return noStack(o), nil
	}
	o.children = map[string]*stack{}
	s, err := newStack(*f, &o, "", func(p string) *node {
		if v, ok := o.Parameters[p]; ok {
			return literal(v, place{})
		}
		if anew[p] {
			return lost("{old "+p+"}", "depends on the parameter "+p+", "+forgotten, place{})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := s.has(o.Parameters); err != nil {
		return nil, err
	}
	return s, nil
}

// newerStack is the template as it will be. lenient: parameters that it does not have are those of the change set.
func newerStack(f *File, o Options, lenient bool) (*stack, error) {
	if f == nil {
		return noStack(o), nil
	}
	if !lenient {
		return load(*f, o, o.Parameters)
	}
	o.children = map[string]*stack{}
	return newStack(*f, &o, "", func(p string) *node {
		if v, ok := o.Parameters[p]; ok {
			return literal(v, place{})
		}
		return nil
	})
}

// difference is a change while it is read.
type difference struct {
	file       string
	set        *node
	listed     map[string]*described // by logical id
	order      []*described
	old, later *stack
	gaps       []snapshot.Gap
}

// described is one change of a change set.
type described struct {
	logical, typ, physical, action, replacement, policy string
	before, after                                       *node // properties, nil where they are not in the change set
	pos                                                 place
}

func (d *difference) readSet(f File, o *Options) error {
	root, err := parse(f.Data)
	if err != nil {
		return err
	}
	if root.get("Changes") == nil && root.get("ChangeSetId") == nil {
		if root.get("Resources") != nil {
			return fmt.Errorf("%w: it is a template", ErrNotChangeSet)
		}
		return fmt.Errorf("%w: there are no Changes", ErrNotChangeSet)
	}
	d.file, d.set = f.Name, root
	if at, err := arn.Parse(root.get("StackId").string()); err == nil && at.Service == "cloudformation" {
		if o.Account != "" && o.Account != at.Account {
			return fmt.Errorf("the change set is of the account %s, and %s was given", at.Account, o.Account)
		}
		o.Account, o.Region, o.StackID = at.Account, at.Region, root.get("StackId").string()
	}
	o.StackName = cmp.Or(root.get("StackName").string(), o.StackName)
	if n := root.get("NextToken"); n.string() != "" {
		d.gap(n.pos, f.Name, "the change set goes on behind NextToken: what follows is not seen; describe it without --max-items")
	}
	if status := root.get("Status"); status.string() == "FAILED" && len(root.get("Changes").list()) == 0 {
		if why := root.get("StatusReason").string(); !strings.Contains(why, "didn't contain changes") && !strings.Contains(why, "No updates are to be performed") {
			d.gap(status.pos, f.Name, "the change set could not be made: "+cmp.Or(why, "no reason is given"))
		}
	} else if status.string() != "" && status.string() != "CREATE_COMPLETE" && status.string() != "FAILED" {
		d.gap(status.pos, f.Name, "the change set has the status "+status.string()+": what it changes may not be complete")
	}
	for _, n := range root.get("Changes").list() {
		rc := n.get("ResourceChange")
		if rc == nil {
			d.gap(n.pos, f.Name, "a change of the type "+cmp.Or(n.get("Type").string(), "that is not given")+" is not understood")
			continue
		}
		c := &described{pos: rc.pos, logical: rc.get("LogicalResourceId").string(), typ: rc.get("ResourceType").string(), physical: rc.get("PhysicalResourceId").string(), action: rc.get("Action").string(),
			replacement: rc.get("Replacement").string(), policy: rc.get("PolicyAction").string()}
		if c.logical == "" || c.typ == "" {
			d.gap(rc.pos, f.Name, "a change without LogicalResourceId or ResourceType was not read")
			continue
		}
		c.before, c.after = d.context(rc.get("BeforeContext"), c), d.context(rc.get("AfterContext"), c)
		if d.listed[c.logical] != nil {
			d.gap(rc.pos, c.logical, "the change set changes it twice; the second change was not read")
			continue
		}
		d.listed[c.logical] = c
		d.order = append(d.order, c)
	}
	return nil
}

// context is the properties that a change set gives, as text that is JSON.
func (d *difference) context(n *node, c *described) *node {
	if n == nil || n.kind == null {
		return nil
	}
	v := n
	if n.kind == text {
		var err error
		if v, err = parseJSON([]byte(n.text)); err != nil {
			d.gap(n.pos, c.logical, "the values of the change cannot be read: "+err.Error())
			return nil
		}
		v = v.moved(n.pos)
	}
	if v.kind != object {
		d.gap(n.pos, c.logical, "expected the values of the change, an object")
		return nil
	}
	if p := results(v.get("Properties")); p != nil && p.kind == object {
		return p
	}
	return &node{kind: object, pos: n.pos}
}

// hidden is what a change set shows of secret values.
const hidden = "****"

// results are the values of a change set, in which nothing is a function any more. What it does not know is marked.
func results(n *node) *node {
	if n == nil {
		return nil
	}
	v := *n
	if n.kind == text {
		v = *(&stack{}).dynamic(n)
		if strings.Contains(n.text, hidden) {
			v.open = append(slices.Clone(v.open), missing{mark: hidden, why: "depends on a parameter that is marked as secret, which the change set does not show"})
		}
	}
	v.items = make([]*node, len(n.items))
	for i, e := range n.items {
		v.items[i] = results(e)
	}
	v.fields = make([]field, len(n.fields))
	for i, f := range n.fields {
		v.fields[i] = field{f.key, f.pos, results(f.node)}
	}
	return &v
}

func (d *difference) gap(at place, subject, reason string) {
	d.gaps = append(d.gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: subject, Reason: reason, Source: snapshot.Source{File: d.file, Line: at.line, Column: at.column}})
}

// parameters are the values that the change set has for the new template.
func (d *difference) parameters(given map[string]string) (values map[string]string, resolved map[string]bool) {
	values, resolved = map[string]string{}, map[string]bool{}
	for k, v := range given {
		values[k] = v
	}
	for _, n := range d.set.get("Parameters").list() {
		name, v := n.get("ParameterKey").string(), n.get("ParameterValue")
		if r := n.get("ResolvedValue"); r.string() != "" {
			v, resolved[name] = r, true
		}
		if _, mine := values[name]; name != "" && v != nil && (v.string() != hidden || !mine) {
			values[name] = v.string()
		}
	}
	return values, resolved
}

// plan puts the steps together.
func (d *difference) plan(o *Options) *change.Plan {
	p := &change.Plan{Tool: "cloudformation", Account: o.Account, Region: o.Region}
	olds, laters := byAddress(d.old.everything()), byAddress(d.later.everything())
	var addresses []string
	if d.set != nil {
		// In order of the template where there is one, else of the change set.
		for _, c := range d.order {
			if laters[c.logical] == nil && c.action != "Remove" {
				if d.later.file != "" && d.later.file != d.file {
					d.gap(c.pos, c.logical, "the change set makes or changes it, and the new template has not got it: they do not belong together")
				}
				laters[c.logical] = d.put(d.later, c, c.after)
			}
			if olds[c.logical] == nil && c.action != "Add" {
				olds[c.logical] = d.put(d.old, c, c.before)
			}
			olds[c.logical].says(c.before)
			laters[c.logical].says(c.after)
		}
	}
	for _, r := range d.later.everything() {
		addresses = append(addresses, r.address())
	}
	for _, r := range d.old.everything() {
		if !slices.Contains(addresses, r.address()) {
			addresses = append(addresses, r.address())
		}
	}
	for _, c := range d.order {
		if !slices.Contains(addresses, c.logical) {
			addresses = append(addresses, c.logical)
		}
	}
	for _, r := range d.later.everything() {
		if old := olds[r.address()]; old != nil && r.child() != nil && old.typ == r.typ && old.child() == nil {
			p.Gaps = append(p.Gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: r.address(), Account: o.Account, Source: r.s.source(r.pos),
				Reason: "what the nested stack was is not known: the template that it had is not at hand (with the old template, in a folder of their own)"})
		}
	}
	valueless := false
	for _, address := range addresses {
		old, later, c := olds[address], laters[address], d.listed[address]
		nested := strings.Contains(address, ".")
		switch {
		case c != nil && !nested:
			valueless = d.listedStep(p, c, old, later) || valueless
		case d.set != nil && !nested:
			d.unlisted(p, old, later)
		default:
			d.compared(p, old, later)
		}
	}
	if valueless {
		d.gap(place{1, 1}, d.file, "the change set holds no values of properties, and the templates are not given: describe it with --include-property-values")
	}
	keepStanding(p)
	doubled(p)
	p.Gaps = append(p.Gaps, d.later.allGaps()...)
	for i := range d.gaps {
		d.gaps[i].Account = o.Account
	}
	p.Gaps = append(p.Gaps, d.gaps...)
	return p
}

// keepStanding: what a resource that goes had attached stays where another resource, which stands, attaches it too.
func keepStanding(p *change.Plan) {
	for i := range p.Steps {
		p.Steps[i].Before = slices.DeleteFunc(p.Steps[i].Before, func(part change.Part) bool {
			switch part.(type) {
			case change.Attached, change.Membership, change.ControlTarget: // these are comparable
				return slices.Contains(p.Standing, part)
			}
			return false
		})
	}
}

func byAddress(list []*resource) map[string]*resource {
	out := map[string]*resource{}
	for _, r := range list {
		out[r.address()] = r
	}
	return out
}

// put makes a resource of which only the change set tells.
func (d *difference) put(s *stack, c *described, properties *node) *resource {
	if properties == nil {
		return nil
	}
	at := c.pos
	if s.file = cmp.Or(s.file, d.file); s.file != d.file {
		at = place{} // it has no place in the template
	}
	r := &resource{s: s, logical: c.logical, typ: c.typ, raw: &node{kind: object, pos: at}, pos: at, row: byType[c.typ], contexts: properties.moved(at)}
	r.setPhysical(s.o.Physical[c.logical])
	if c.typ == "AWS::Serverless::Function" {
		r.row = byType["AWS::Lambda::Function"]
	}
	s.resources[c.logical] = r
	s.order = append(s.order, r)
	return r
}

// listedStep is the step of a resource that the change set changes. It reports whether values are missing altogether.
func (d *difference) listedStep(p *change.Plan, c *described, old, later *resource) (valueless bool) {
	retained := c.policy == "Retain" || c.policy == "ReplaceAndRetain" || old != nil && (c.action == "Remove" && keeps(old, "DeletionPolicy") || c.replacement == "True" && keeps(old, "UpdateReplacePolicy") && keeps(later, "UpdateReplacePolicy"))
	action := map[string]change.Action{"Add": change.Create, "Modify": change.Update, "Remove": change.Delete, "Import": change.NoOp, "Dynamic": change.Update, "SyncWithActual": change.NoOp}
	act, known := action[c.action]
	if !known {
		d.gap(c.pos, c.logical, "the action "+cmp.Or(c.action, "that is not given")+" is not understood")
		act = change.Update
	}
	if act == change.Update && c.replacement == "True" {
		act = change.Replace
	}
	step := change.Step{Address: c.logical, Type: c.typ, Action: act, Source: snapshot.Source{File: d.file, Line: c.pos.line, Column: c.pos.column}}
	for _, r := range []*resource{old, later} {
		if r != nil && r.pos.line > 0 {
			step.Source = r.s.source(r.pos)
		}
	}
	if act == change.NoOp { // what is imported, or taken as it is, stays as it is in AWS, whatever the template says
		p.Steps = append(p.Steps, step)
		return false
	}
	row := byType[c.typ]
	absent := func(what string) {
		if row != nil || unplaced[c.typ] != "" {
			known := &resource{s: d.later, logical: c.logical, typ: c.typ, row: row, raw: &node{kind: object}}
			known.setPhysical(c.physical)
			step.Unknown = append(step.Unknown, change.Unknown{Attribute: what, Of: known.name(), Why: "is not in the change set, and the template is not given: describe it with --include-property-values"})
		}
		valueless = true
	}
	var was, will *builder
	if act != change.Create {
		if old == nil {
			absent("what it was")
		} else {
			was = build(old)
		}
	}
	if act != change.Delete {
		if later != nil {
			will = build(later)
		} else {
			absent("what it will be")
		}
	}
	if was != nil {
		step.Before = was.parts
		if was.unseen != "" && will == nil {
			p.Gaps = append(p.Gaps, was.unseenGap())
		}
		// What it was and is no longer known cannot be taken away: a Deny of it may go.
		for _, u := range was.unknown {
			if will == nil || !slices.Contains(will.unknown, u) {
				u.Attribute = "before: " + u.Attribute
				step.Unknown = append(step.Unknown, u)
			}
		}
		step.Sensitive = step.Sensitive || old.secret
	}
	if will != nil {
		step.After = will.parts
		step.Unknown = append(step.Unknown, will.unknown...)
		p.Gaps = append(p.Gaps, will.gaps...)
		if will.unseen != "" {
			p.Gaps = append(p.Gaps, will.unseenGap())
		}
		step.Sensitive = step.Sensitive || later.secret
	}
	if was != nil && will != nil {
		step.Unknown = append(step.Unknown, turned(old, later)...)
	}
	if was != nil && forgets(old) {
		step.Before = nil // what the base says is better than what nobody knows
	}
	if retained {
		p.Standing = append(p.Standing, step.Before...)
		step.Before = nil
		if act == change.Delete {
			return valueless // the stack lets go of it, and it stays
		}
		step.Action = change.Create
	}
	if len(step.Before)+len(step.After)+len(step.Unknown) > 0 {
		p.Steps = append(p.Steps, step)
	}
	return valueless
}

func keeps(r *resource, policy string) bool {
	return r != nil && strings.HasPrefix(r.raw.get(policy).string(), "Retain")
}

// unlisted is a resource of the templates that the change set does not change.
func (d *difference) unlisted(p *change.Plan, old, later *resource) {
	switch {
	case later == nil && old != nil && d.later.file == "":
		p.Standing = append(p.Standing, build(old).parts...)
	case later == nil:
		d.gap(place{1, 1}, old.address(), "the old template has it and the new one has not, and the change set does not change it: they do not belong together")
	case old == nil && d.old.file != "" && d.old.file != d.file:
		d.gap(place{1, 1}, later.address(), "the new template has it and the old one has not, and the change set does not change it: they do not belong together")
		p.Standing = append(p.Standing, build(later).parts...)
	default:
		if old != nil && !forgets(old) && signature(old) != signature(later) {
			d.gap(place{1, 1}, later.address(), "the templates differ in it, and the change set does not change it")
		}
		p.Standing = append(p.Standing, build(later).parts...)
	}
}

// signature is what a resource says.
func signature(r *resource) string {
	return r.typ + " " + r.name() + " " + r.maybe + " " + r.all().canonical()
}

// forgets reports whether what a resource of the old template says depends on a parameter whose old value is not given.
func forgets(r *resource) bool {
	var walk func(n *node) bool
	walk = func(n *node) bool {
		return slices.ContainsFunc(n.open, func(m missing) bool { return strings.HasSuffix(m.why, forgotten) }) || slices.ContainsFunc(n.items, walk) || slices.ContainsFunc(n.fields, func(f field) bool { return walk(f.node) })
	}
	return strings.HasSuffix(r.maybe, forgotten) || walk(r.all())
}

// turned are changes that decide about access by other means than a policy.
func turned(old, later *resource) (out []change.Unknown) {
	if later.row == nil || old.typ != later.typ || old.name() != later.name() {
		return nil
	}
	for _, name := range later.row.Vouches {
		if a, b := old.all().get(name), later.all().get(name); a.canonical() != b.canonical() {
			out = append(out, change.Unknown{Attribute: name, Of: later.name(), Why: "changes, and with it who comes by the roles that trust it"})
		}
	}
	if name := later.row.Policy; later.row.Without != "" && old.all().get(name) != nil && later.all().get(name) == nil {
		out = append(out, change.Unknown{Attribute: name, Of: later.name(), Why: "is taken away, and " + later.row.Without})
	}
	return out
}

// doubled tells of policies that two resources of the stack write: the one that is made last counts, and in which order they are made is not known.
func doubled(p *change.Plan) {
	written := map[string]string{}
	note := func(part change.Part, address string, at snapshot.Source) {
		key, what := "", ""
		switch part := part.(type) {
		case change.Role:
			key, what = part.ARN, part.ARN
		case change.User:
			key, what = part.ARN, part.ARN
		case change.ManagedPolicy:
			key, what = part.ARN, part.ARN
		case change.Inline:
			key, what = part.Owner+" "+part.Document.Name, part.Owner
		case change.ResourcePolicy:
			key, what = part.ARN, part.ARN
		case change.ResourceStatement:
			key, what = part.ARN+" "+part.ID, part.ARN
		default:
			return
		}
		if other, ok := written[key]; ok && other != address {
			names := other + " and " + address + " both write"
			if other == "" {
				names = address + " and what stands already write"
			}
			p.Gaps = append(p.Gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: what, Account: p.Account, Reason: names + " the same policy, and which of them counts is not known", Source: at})
		}
		written[key] = address
	}
	for _, part := range p.Standing {
		note(part, "", snapshot.Source{})
	}
	for i := range p.Steps {
		for _, part := range p.Steps[i].After {
			note(part, p.Steps[i].Address, p.Steps[i].Source)
		}
	}
}

// compared is a resource of two templates, by what it says in each.
func (d *difference) compared(p *change.Plan, old, later *resource) {
	switch {
	case old == nil:
		b := build(later)
		d.step(p, later, change.Create, nil, b)
	case later == nil:
		b := build(old)
		if keeps(old, "DeletionPolicy") {
			if !forgets(old) {
				p.Standing = append(p.Standing, b.parts...)
			}
			return
		}
		d.step(p, old, change.Delete, b, nil)
	default:
		was, will := build(old), build(later)
		if later.unread() {
			p.Gaps = append(p.Gaps, will.unseenGap())
			return
		}
		if signature(old) == signature(later) && len(was.parts) == len(will.parts) && was.unseen == will.unseen {
			p.Standing = append(p.Standing, will.parts...)
			return
		}
		act := change.Update
		if old.typ != later.typ || old.name() != later.name() {
			act = change.Replace
			if keeps(old, "UpdateReplacePolicy") && keeps(later, "UpdateReplacePolicy") {
				if !forgets(old) {
					p.Standing = append(p.Standing, was.parts...)
				}
				act, was = change.Create, nil
			}
		}
		d.step(p, later, act, was, will)
	}
}

func (d *difference) step(p *change.Plan, r *resource, act change.Action, was, will *builder) {
	s := change.Step{Address: r.address(), Type: r.typ, Action: act, Sensitive: r.secret, Source: r.s.source(r.pos)}
	if will != nil {
		s.After, s.Unknown = will.parts, will.unknown
		p.Gaps = append(p.Gaps, will.gaps...)
		if will.unseen != "" {
			p.Gaps = append(p.Gaps, will.unseenGap())
		}
	}
	if was != nil {
		if !forgets(was.r) { // else what the base says is better than what nobody knows
			s.Before = was.parts
		}
		s.Sensitive = s.Sensitive || was.r.secret
		for _, u := range was.unknown {
			if !slices.Contains(s.Unknown, u) {
				u.Attribute = "before: " + u.Attribute
				s.Unknown = append(s.Unknown, u)
			}
		}
		if will == nil && was.unseen != "" {
			p.Gaps = append(p.Gaps, was.unseenGap())
		}
		if will != nil {
			s.Unknown = append(s.Unknown, turned(was.r, r)...)
		}
	}
	if len(s.Before)+len(s.After)+len(s.Unknown) > 0 {
		p.Steps = append(p.Steps, s)
	}
}

// ReadPhysical reads the ids of a stack's resources out of what `aws cloudformation describe-stack-resources` or `list-stack-resources` prints, for Options.Physical. Those of a nested stack are
// read with its own output, and named behind its logical id and a dot.
func ReadPhysical(f File) (map[string]string, error) {
	root, err := parse(f.Data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name, err)
	}
	list := root.get("StackResources")
	if list == nil {
		list = root.get("StackResourceSummaries")
	}
	if list == nil {
		return nil, fmt.Errorf("%s: expected what describe-stack-resources or list-stack-resources prints, found neither StackResources nor StackResourceSummaries", f.Name)
	}
	out := map[string]string{}
	for _, n := range list.list() {
		logical, physical := n.get("LogicalResourceId").string(), n.get("PhysicalResourceId").string()
		if logical != "" && physical != "" && n.get("ResourceStatus").string() != "DELETE_COMPLETE" {
			out[logical] = physical
		}
	}
	return out, nil
}
