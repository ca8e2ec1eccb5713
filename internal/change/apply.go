package change

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/snapshot"
)

// Apply puts a plan into an organisation: before is the base as the plan sees it now, after is what it becomes. A nil base is an organisation of which only the plan is known; the gaps then say what cannot be seen.
//
// Before differs from the base by what the plan says is there and the base lacks: code is newer than a snapshot more often than the other way round. So a plan that changes nothing gives the same twice.
func Apply(base *snapshot.Snapshot, p *Plan) (before, after *snapshot.Snapshot) {
	now, then := newAssembly(base), newAssembly(base)
	for _, part := range p.Standing {
		now.put(part)
		then.put(part)
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		for _, part := range s.Before {
			now.put(part)
			then.put(part)
		}
	}
	for i := range p.Steps {
		s := &p.Steps[i]
		for _, part := range s.Before {
			then.remove(part, s.After)
		}
	}
	for i := range p.Steps {
		for _, part := range p.Steps[i].After {
			then.put(part)
		}
	}
	before, after = now.snapshot(), then.snapshot()
	before.Gaps = slices.Concat(before.Gaps, p.Gaps, p.Unchanged)
	after.Gaps = slices.Concat(after.Gaps, p.Gaps, p.Unchanged)
	return before, after
}

// Snapshot is what a file states that says what is there: Terraform state, a template. Steps count as made; what they do not know is a gap.
func Snapshot(p *Plan) *snapshot.Snapshot {
	_, after := Apply(nil, p)
	for i := range p.Steps {
		s := &p.Steps[i]
		gap := func(subject, why string) {
			after.Gaps = append(after.Gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: cmp.Or(subject, s.Address), Account: p.Account, Reason: s.Address + ": " + why, Source: s.Source})
		}
		if s.Action == NoOp && len(s.Before)+len(s.After)+len(s.Unknown) == 0 {
			gap("", "stays as it is in AWS, and what that is is not told")
		}
		for _, u := range s.Unknown {
			if !strings.HasPrefix(u.Attribute, "before: ") {
				gap(u.Of, u.Attribute+" "+u.Why)
			}
		}
	}
	return after
}

// assembly is a snapshot under construction, by ARN.
type assembly struct {
	base      *snapshot.Snapshot
	users     map[string]*snapshot.User
	groups    map[string]*snapshot.Group
	roles     map[string]*snapshot.Role
	policies  map[string]*snapshot.ManagedPolicy
	resources map[string]*snapshot.Resource
	providers map[string]*snapshot.Provider
	grants    map[string]*snapshot.KMSGrant
	shares    map[string]*snapshot.Share
	scps      map[string]*snapshot.ControlPolicy
	rcps      map[string]*snapshot.ControlPolicy
	accounts  map[string]bool
	names     map[string]string // ARNs by kind, account and name, made when it is first needed
	// aliases are the keys of control policies by the ARNs that code has for them, where those are not theirs in AWS.
	aliases map[string]string
	// orphans are parts whose owner is in neither the base nor the plan.
	orphans []Part
	parents map[string]string // parents of accounts and units that the plan states, by id; "" is outside
	// statements are those that are added to a resource's policy, by resource and id.
	statements map[string]map[string]snapshot.Document
}

func newAssembly(base *snapshot.Snapshot) *assembly {
	a := &assembly{base: base, users: make(map[string]*snapshot.User), groups: make(map[string]*snapshot.Group), roles: make(map[string]*snapshot.Role), policies: make(map[string]*snapshot.ManagedPolicy), resources: make(map[string]*snapshot.Resource),
		providers: make(map[string]*snapshot.Provider), grants: make(map[string]*snapshot.KMSGrant), shares: make(map[string]*snapshot.Share), scps: make(map[string]*snapshot.ControlPolicy), rcps: make(map[string]*snapshot.ControlPolicy), accounts: make(map[string]bool),
		parents: make(map[string]string), statements: make(map[string]map[string]snapshot.Document), aliases: make(map[string]string)}
	if base == nil {
		return a
	}
	for i := range base.Accounts {
		a.accounts[base.Accounts[i].ID] = true
	}
	index(a.users, base.Users, userKey)
	index(a.groups, base.Groups, groupKey)
	index(a.roles, base.Roles, roleKey)
	index(a.policies, base.Policies, policyKey)
	index(a.resources, base.Resources, resourceKey)
	index(a.providers, base.Providers, providerKey)
	index(a.grants, base.KMSGrants, grantKey)
	index(a.shares, base.Shares, shareKey)
	if o := base.Organization; o != nil {
		index(a.scps, o.SCPs, controlKey)
		index(a.rcps, o.RCPs, controlKey)
	}
	return a
}

// index holds copies, so that the base stays as it is.
func index[T any](into map[string]*T, list []T, key func(*T) string) {
	for i := range list {
		v := list[i]
		into[key(&v)] = &v
	}
}

func userKey(v *snapshot.User) string            { return v.ARN }
func groupKey(v *snapshot.Group) string          { return v.ARN }
func roleKey(v *snapshot.Role) string            { return v.ARN }
func policyKey(v *snapshot.ManagedPolicy) string { return v.ARN }
func resourceKey(v *snapshot.Resource) string    { return v.ARN }
func providerKey(v *snapshot.Provider) string    { return v.ARN }

func grantKey(g *snapshot.KMSGrant) string { return g.Key + " " + cmp.Or(g.ID, g.Grantee) }

func shareKey(s *snapshot.Share) string {
	return s.Kind + " " + cmp.Or(s.ARN, s.Owner+" "+strings.Join(s.With, ","))
}

func controlKey(p *snapshot.ControlPolicy) string { return cmp.Or(p.ARN, p.Name) }

// controlKey finds a control policy by its ARN; where code does not tell that, by its name, of which an organisation has one.
func (a *assembly) controlKey(p *snapshot.ControlPolicy, rcp bool) string {
	key, list := controlKey(p), a.controls(rcp)
	if list[key] == nil && p.Name != "" && (p.ARN == "" || strings.Contains(p.ARN, "{")) {
		for _, k := range slices.Sorted(maps.Keys(list)) {
			if list[k].Name == p.Name {
				return k
			}
		}
	}
	return key
}

// put states a part: it is there from now on, as it says.
func (a *assembly) put(p Part) {
	switch p := p.(type) {
	case User:
		v := p.User
		if old := a.users[v.ARN]; old != nil {
			v.Groups, v.AccessKeys, v.LastUsed = old.Groups, old.AccessKeys, old.LastUsed
			keepPrincipal(&v.Principal, &old.Principal)
		}
		a.users[v.ARN] = &v
	case Group:
		v := p.Group
		if old := a.groups[v.ARN]; old != nil {
			v.Inline, v.Attached, v.UniqueID = old.Inline, old.Attached, cmp.Or(v.UniqueID, old.UniqueID)
		}
		a.groups[v.ARN] = &v
	case Role:
		v := p.Role
		if old := a.roles[v.ARN]; old != nil {
			v.LastUsed, v.InstanceProfiles, v.MaxSession = old.LastUsed, old.InstanceProfiles, cmp.Or(v.MaxSession, old.MaxSession)
			keepPrincipal(&v.Principal, &old.Principal)
		}
		a.roles[v.ARN] = &v
	case Inline:
		if inline := a.inline(p.Owner, true); inline != nil {
			*inline = slices.DeleteFunc(slices.Clone(*inline), func(d snapshot.Document) bool { return d.Name == p.Document.Name })
			*inline = append(*inline, p.Document)
		}
	case Attached:
		if attached := a.attached(p.Owner, true); attached != nil && !slices.ContainsFunc(*attached, func(o snapshot.Attachment) bool { return o.ARN == p.Policy.ARN }) {
			*attached = append(slices.Clone(*attached), p.Policy)
		}
	case Exclusive:
		if !p.Complete {
			return
		}
		if p.Inline {
			if inline := a.inline(p.Owner, true); inline != nil {
				*inline = slices.DeleteFunc(slices.Clone(*inline), func(d snapshot.Document) bool { return !slices.Contains(p.Keep, d.Name) })
			}
		} else if attached := a.attached(p.Owner, true); attached != nil {
			*attached = slices.DeleteFunc(slices.Clone(*attached), func(o snapshot.Attachment) bool { return !slices.Contains(p.Keep, o.ARN) })
		}
	case Membership:
		if u := a.user(p.User); u != nil {
			if name := lastOf(p.Group); !slices.Contains(u.Groups, name) {
				u.Groups = append(slices.Clone(u.Groups), name)
			}
		}
	case ManagedPolicy:
		v := p.ManagedPolicy
		a.policies[v.ARN] = &v
	case Resource:
		v := p.Resource
		if old := a.resources[v.ARN]; old != nil {
			if v.Policy.State != snapshot.Read && v.Policy.Problem == "" {
				v.Policy = old.Policy
			}
			v.Attributes = mergeAttributes(old.Attributes, v.Attributes)
			if v.Tags == nil {
				v.Tags = old.Tags
			}
		} else if v.Policy.State == snapshot.Unresolved && v.Policy.Problem == "" {
			v.Policy.State, v.Policy.Name = snapshot.None, cmp.Or(v.Policy.Name, "resource policy")
		}
		a.resources[v.ARN] = &v
	case ResourcePolicy:
		r := a.resource(&p.Resource)
		r.Policy = p.Resource.Policy
	case ResourceStatement:
		a.resource(&p.Resource)
		if a.statements[p.Resource.ARN] == nil {
			a.statements[p.Resource.ARN] = make(map[string]snapshot.Document)
		}
		a.statements[p.Resource.ARN][p.ID] = p.Resource.Policy
	case Provider:
		v := p.Provider
		a.providers[v.ARN] = &v
	case KMSGrant:
		v := p.KMSGrant
		a.grants[grantKey(&v)] = &v
	case Share:
		v := p.Share
		if old := a.shares[shareKey(&v)]; old != nil {
			v.With, v.Resources = union(old.With, v.With), union(old.Resources, v.Resources)
			v.AllowExternal = v.AllowExternal || old.AllowExternal
			v.Owner = cmp.Or(v.Owner, old.Owner)
			if v.ARN == "" {
				v.Attributes = lists(old.Attributes, v.Attributes, union)
			} else if v.Attributes == nil {
				v.Attributes = old.Attributes
			}
		}
		a.shares[shareKey(&v)] = &v
	case ControlPolicy:
		v := p.ControlPolicy
		list := a.controls(p.RCP)
		key := a.controlKey(&v, p.RCP)
		if old := list[key]; old != nil {
			v.Targets = union(old.Targets, a.places(v.Targets))
			if strings.Contains(v.ARN, "{") && old.ARN != v.ARN {
				a.aliases[v.ARN], v.ARN = key, old.ARN
			}
		}
		list[key] = &v
	case ControlTarget:
		if c := a.control(p.Policy); c != nil {
			c.Targets = union(c.Targets, []string{a.place(p.Target)})
		} else {
			a.orphans = append(a.orphans, p)
		}
	case Placed:
		if p.Parent != "" {
			a.parents[p.ID] = p.Parent
		}
	}
}

// remove takes a part away that a step states before, unless it states the same thing after: then put changes it.
func (a *assembly) remove(p Part, after []Part) {
	stays := func(same func(Part) bool) bool { return slices.ContainsFunc(after, same) }
	switch p := p.(type) {
	case User:
		if !stays(func(o Part) bool { q, ok := o.(User); return ok && q.ARN == p.ARN }) {
			delete(a.users, p.ARN)
		}
	case Group:
		if !stays(func(o Part) bool { q, ok := o.(Group); return ok && q.ARN == p.ARN }) {
			delete(a.groups, p.ARN)
		}
	case Role:
		if !stays(func(o Part) bool { q, ok := o.(Role); return ok && q.ARN == p.ARN }) {
			delete(a.roles, p.ARN)
		}
	case Inline:
		if inline := a.inline(p.Owner, false); inline != nil {
			*inline = slices.DeleteFunc(slices.Clone(*inline), func(d snapshot.Document) bool { return d.Name == p.Document.Name })
		}
	case Attached:
		if attached := a.attached(p.Owner, false); attached != nil {
			*attached = slices.DeleteFunc(slices.Clone(*attached), func(o snapshot.Attachment) bool { return o.ARN == p.Policy.ARN })
		}
	case Membership:
		if u := a.users[p.User]; u != nil {
			u.Groups = slices.DeleteFunc(slices.Clone(u.Groups), func(name string) bool { return name == lastOf(p.Group) })
		}
	case ManagedPolicy:
		if !stays(func(o Part) bool { q, ok := o.(ManagedPolicy); return ok && q.ARN == p.ARN }) {
			delete(a.policies, p.ARN)
		}
	case Resource:
		r := a.resources[p.ARN]
		if !p.Part && !stays(func(o Part) bool { q, ok := o.(Resource); return ok && q.ARN == p.ARN }) {
			delete(a.resources, p.ARN)
			delete(a.statements, p.ARN)
			return
		}
		if r == nil {
			return
		}
		// What it stated may be gone; a Resource part after it says so by saying nothing.
		v := *r
		if p.Attributes.PublicAccessBlock != "" {
			v.Attributes.PublicAccessBlock = "off"
		}
		if p.Attributes.SSEKMSKey != "" {
			v.Attributes.SSEKMSKey = ""
		}
		v.Attributes.Other = maps.Clone(v.Attributes.Other)
		for name := range p.Attributes.Other {
			delete(v.Attributes.Other, name)
		}
		if !p.Part && p.Policy.State == snapshot.Read {
			v.Policy = snapshot.Document{Name: r.Policy.Name, State: snapshot.None}
		}
		a.resources[p.ARN] = &v
	case ResourcePolicy:
		if r := a.resources[p.ARN]; r != nil {
			r.Policy = snapshot.Document{Name: "resource policy", State: snapshot.None}
		}
	case ResourceStatement:
		delete(a.statements[p.ARN], p.ID)
		if r := a.resources[p.ARN]; r != nil {
			r.Policy = without(r.Policy, p.ID)
		}
	case Provider:
		delete(a.providers, p.ARN)
	case KMSGrant:
		delete(a.grants, grantKey(&p.KMSGrant))
	case Share:
		old := a.shares[shareKey(&p.Share)]
		if old == nil {
			return
		}
		if !stays(func(o Part) bool { q, ok := o.(Share); return ok && shareKey(&q.Share) == shareKey(&p.Share) }) && len(p.With)+len(p.Resources) == 0 {
			delete(a.shares, shareKey(&p.Share))
			return
		}
		v := *old
		if p.ARN == "" && len(p.Attributes) > 0 {
			// What is shared stands in its attributes: whom with stays as long as something is left.
			v.Attributes = lists(old.Attributes, p.Attributes, minus)
			if slices.ContainsFunc(slices.Collect(maps.Values(v.Attributes)), func(v any) bool { l, ok := v.([]any); return ok && len(l) > 0 }) {
				a.shares[shareKey(&p.Share)] = &v
				return
			}
			delete(a.shares, shareKey(&p.Share))
			return
		}
		v.With, v.Resources = minus(old.With, p.With), minus(old.Resources, p.Resources)
		a.shares[shareKey(&p.Share)] = &v
	case ControlPolicy:
		list, key := a.controls(p.RCP), a.controlKey(&p.ControlPolicy, p.RCP)
		if !stays(func(o Part) bool {
			q, ok := o.(ControlPolicy)
			return ok && q.RCP == p.RCP && controlKey(&q.ControlPolicy) == controlKey(&p.ControlPolicy)
		}) {
			delete(list, key)
		} else if c := list[key]; c != nil {
			v := *c
			v.Targets = minus(c.Targets, a.places(p.Targets))
			list[key] = &v
		}
	case ControlTarget:
		if c := a.control(p.Policy); c != nil {
			c.Targets = minus(c.Targets, []string{a.place(p.Target)})
		}
	case Placed:
		if !stays(func(o Part) bool { q, ok := o.(Placed); return ok && q.ID == p.ID }) {
			a.parents[p.ID] = ""
		}
	}
}

// keepPrincipal keeps of a principal what the code does not state with it.
func keepPrincipal(v, old *snapshot.Principal) {
	v.Inline, v.Attached, v.UniqueID, v.Created = old.Inline, old.Attached, cmp.Or(v.UniqueID, old.UniqueID), old.Created
	if v.Tags == nil {
		v.Tags = old.Tags
	}
}

func mergeAttributes(old, v snapshot.Attributes) snapshot.Attributes {
	v.SSEKMSKey, v.PublicAccessBlock = cmp.Or(v.SSEKMSKey, old.SSEKMSKey), cmp.Or(v.PublicAccessBlock, old.PublicAccessBlock)
	if old.Other != nil {
		other := maps.Clone(old.Other)
		maps.Copy(other, v.Other)
		v.Other = other
	}
	return v
}

// inline is the list of a principal's inline policies. Of a principal that nobody states a stub is made, whose trust is not known: what it is given is judged all the same.
func (a *assembly) inline(owner string, stub bool) *[]snapshot.Document {
	if p, g := a.principal(owner, stub); p != nil {
		return &p.Inline
	} else if g != nil {
		return &g.Inline
	}
	return nil
}

func (a *assembly) attached(owner string, stub bool) *[]snapshot.Attachment {
	if p, g := a.principal(owner, stub); p != nil {
		return &p.Attached
	} else if g != nil {
		return &g.Attached
	}
	return nil
}

func (a *assembly) principal(name string, stub bool) (*snapshot.Principal, *snapshot.Group) {
	if r := a.roles[name]; r != nil {
		return &r.Principal, nil
	}
	if u := a.users[name]; u != nil {
		return &u.Principal, nil
	}
	if g := a.groups[name]; g != nil {
		return nil, g
	}
	at, err := arn.Parse(name)
	if err != nil {
		return nil, nil
	}
	kind, path, _ := strings.Cut(at.Resource, "/")
	// Code that names an owner alone does not tell its path: names are unique in an account, whatever the path.
	if found := a.named(kind, at.Account, lastOf(name)); found != "" && found != name {
		return a.principal(found, stub)
	}
	if !stub {
		return nil, nil
	}
	base := snapshot.Principal{ARN: name, Account: at.Account, Name: lastOf(name), Path: "/" + strings.TrimSuffix(path, lastOf(name))}
	switch kind {
	case "role":
		r := &snapshot.Role{Principal: base, Trust: snapshot.Document{Name: "trust policy", Problem: "the role is not in the code, and not in the base"}}
		a.roles[name] = r
		return &r.Principal, nil
	case "user":
		u := &snapshot.User{Principal: base, AccessKeys: -1}
		a.users[name] = u
		return &u.Principal, nil
	case "group":
		g := &snapshot.Group{ARN: name, Account: at.Account, Name: base.Name, Path: base.Path}
		a.groups[name] = g
		return nil, g
	}
	return nil, nil
}

// named finds a principal by its account and name.
func (a *assembly) named(kind, account, name string) string {
	if a.names == nil {
		a.names = make(map[string]string)
		for at := range a.roles {
			a.names["role "+nameKey(at)] = at
		}
		for at := range a.users {
			a.names["user "+nameKey(at)] = at
		}
		for at := range a.groups {
			a.names["group "+nameKey(at)] = at
		}
	}
	return a.names[kind+" "+account+" "+name]
}

func nameKey(name string) string { return arn.Account(name) + " " + lastOf(name) }

func (a *assembly) user(name string) *snapshot.User {
	a.principal(name, true)
	return a.users[name]
}

// resource is the resource that a policy belongs to, made where nobody states it.
func (a *assembly) resource(r *snapshot.Resource) *snapshot.Resource {
	if old := a.resources[r.ARN]; old != nil {
		return old
	}
	v := *r
	v.Policy = snapshot.Document{Name: "resource policy", State: snapshot.None}
	a.resources[r.ARN] = &v
	return &v
}

func (a *assembly) controls(rcp bool) map[string]*snapshot.ControlPolicy {
	if rcp {
		return a.rcps
	}
	return a.scps
}

func (a *assembly) control(name string) *snapshot.ControlPolicy {
	for _, list := range []map[string]*snapshot.ControlPolicy{a.scps, a.rcps} {
		if c := list[cmp.Or(a.aliases[name], name)]; c != nil {
			return c
		}
		for _, c := range list {
			if c.Name == name || strings.HasSuffix(c.ARN, "/"+name) {
				return c
			}
		}
	}
	return nil
}

func (a *assembly) places(targets []string) []string {
	out := make([]string, len(targets))
	for i, t := range targets {
		out[i] = a.place(t)
	}
	return out
}

// place is the target of a control policy as the snapshot names it: code gives the id of a unit, the snapshot its path.
func (a *assembly) place(target string) string {
	if a.base != nil && a.base.Organization != nil {
		for _, u := range a.base.Organization.Units {
			if lastOf(u.Path) == target {
				return u.Path
			}
		}
	}
	return target
}

func lastOf(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }

// union is a with what b has beside it; the order of a stays.
func union(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// lists joins the attributes of a share that are lists of names; others are as b has them.
func lists(a, b map[string]any, join func(a, b []string) []string) map[string]any {
	out := maps.Clone(a)
	if out == nil {
		out = make(map[string]any, len(b))
	}
	names := func(v any) (out []string, ok bool) {
		l, ok := v.([]any)
		for _, e := range l {
			s, isText := e.(string)
			ok = ok && isText
			out = append(out, s)
		}
		return out, ok
	}
	for key, v := range b {
		have, _ := names(a[key])
		more, ok := names(v)
		if !ok {
			out[key] = v
			continue
		}
		joined := []any{}
		for _, s := range join(have, more) {
			joined = append(joined, s)
		}
		out[key] = joined
	}
	return out
}

func minus(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// with is a policy with more statements. A policy that is not known stays so.
func with(d snapshot.Document, more map[string]snapshot.Document) snapshot.Document {
	if d.State == snapshot.Unresolved && d.Problem != "" {
		return d
	}
	doc := &policy.Document{}
	if d.State == snapshot.Read {
		doc = &policy.Document{Version: d.Policy.Document.Version, ID: d.Policy.Document.ID, Statements: slices.Clone(d.Policy.Document.Statements), Pos: d.Policy.Document.Pos}
	}
	out := d
	for _, id := range slices.Sorted(maps.Keys(more)) {
		m := more[id]
		if m.State != snapshot.Read {
			return snapshot.Document{Name: cmp.Or(d.Name, "resource policy"), Problem: cmp.Or(m.Problem, "a statement of it is not known"), Source: m.Source}
		}
		doc.Statements = slices.DeleteFunc(doc.Statements, func(s policy.Statement) bool { return id != "" && s.Sid.Value == id })
		doc.Statements = append(doc.Statements, m.Policy.Document.Statements...)
		if out.Source == (snapshot.Source{}) || out.State != snapshot.Read {
			out.Source = m.Source
		}
	}
	if doc.Version.Value == "" {
		doc.Version = policy.Text{Value: "2012-10-17"}
	}
	out.State, out.Policy, out.Name, out.Problem = snapshot.Read, policy.Compile(doc), cmp.Or(d.Name, "resource policy"), ""
	return out
}

// without is a policy without the statement of an id.
func without(d snapshot.Document, id string) snapshot.Document {
	if d.State != snapshot.Read || id == "" {
		return d
	}
	doc := *d.Policy.Document
	doc.Statements = slices.DeleteFunc(slices.Clone(doc.Statements), func(s policy.Statement) bool { return s.Sid.Value == id })
	if len(doc.Statements) == len(d.Policy.Document.Statements) {
		return d
	}
	if len(doc.Statements) == 0 {
		return snapshot.Document{Name: d.Name, State: snapshot.None, Source: d.Source}
	}
	d.Policy = policy.Compile(&doc)
	return d
}

// snapshot is what was assembled, in a snapshot's order.
func (a *assembly) snapshot() *snapshot.Snapshot {
	s := &snapshot.Snapshot{Version: snapshot.Version}
	if a.base != nil {
		v := *a.base
		s = &v
		s.Gaps = slices.Clone(a.base.Gaps)
		s.Accounts = slices.Clone(a.base.Accounts)
	}
	s.Users, s.Groups, s.Roles = inOrder(a.users, s.Users, userKey), inOrder(a.groups, s.Groups, groupKey), inOrder(a.roles, s.Roles, roleKey)
	s.Policies, s.Providers = inOrder(a.policies, s.Policies, policyKey), inOrder(a.providers, s.Providers, providerKey)
	s.KMSGrants, s.Shares = inOrder(a.grants, s.KMSGrants, grantKey), inOrder(a.shares, s.Shares, shareKey)
	for name, more := range a.statements {
		if r := a.resources[name]; r != nil && len(more) > 0 {
			v := *r
			v.Policy = with(v.Policy, more)
			a.resources[name] = &v
		}
	}
	s.Resources = inOrder(a.resources, s.Resources, resourceKey)
	if a.base != nil && a.base.Organization != nil {
		o := *a.base.Organization
		o.SCPs, o.RCPs = inOrder(a.scps, o.SCPs, controlKey), inOrder(a.rcps, o.RCPs, controlKey)
		s.Organization = &o
		a.move(s)
	} else if len(a.scps)+len(a.rcps) > 0 {
		for _, list := range []map[string]*snapshot.ControlPolicy{a.scps, a.rcps} {
			for _, c := range inOrder(list, nil, controlKey) {
				s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapOrganization, Subject: cmp.Or(c.ARN, c.Name), Reason: "a control policy cannot be judged without the organisation: give a snapshot as the base", Source: c.Document.Source})
			}
		}
	}
	if s.Organization == nil {
		for _, id := range slices.Sorted(maps.Keys(a.parents)) {
			s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapOrganization, Subject: id, Reason: "its place cannot be judged without the organisation: give a snapshot as the base"})
		}
	}
	a.addAccounts(s)
	for _, o := range a.orphans {
		if t, ok := o.(ControlTarget); ok {
			s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapOrganization, Subject: t.Policy, Reason: "the control policy that is attached to " + t.Target + " is neither in the code nor in the base"})
		}
	}
	return s
}

// move puts accounts and units where the plan says that they are. The path of a unit changes with all that is below it, and with what is attached there.
func (a *assembly) move(s *snapshot.Snapshot) {
	o := s.Organization
	rewrite := func(old, new string) {
		at := func(path string) string {
			if path == old || strings.HasPrefix(path, old+"/") {
				return new + path[len(old):]
			}
			return path
		}
		o.Units = slices.Clone(o.Units)
		for i := range o.Units {
			o.Units[i].Path = at(o.Units[i].Path)
		}
		for i := range s.Accounts {
			s.Accounts[i].UnitPath = at(s.Accounts[i].UnitPath)
		}
		for _, list := range [][]snapshot.ControlPolicy{o.SCPs, o.RCPs} {
			for i := range list {
				list[i].Targets = slices.Clone(list[i].Targets)
				for k, t := range list[i].Targets {
					list[i].Targets[k] = at(t)
				}
			}
		}
	}
	pathOf := func(id string) (string, bool) {
		i := slices.IndexFunc(o.Units, func(u snapshot.Unit) bool { return lastOf(u.Path) == id })
		if i < 0 {
			return "", false
		}
		return o.Units[i].Path, true
	}
	lost := func(id, parent string) {
		s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapOrganization, Subject: id, Reason: "where it is placed, " + cmp.Or(parent, "outside") + ", is not in the base"})
	}
	ids := slices.Sorted(maps.Keys(a.parents))
	for _, id := range ids {
		if arn.IsAccountID(id) {
			continue
		}
		old, known := pathOf(id)
		parent, in := pathOf(a.parents[id])
		switch {
		case !in && a.parents[id] != "":
			lost(id, a.parents[id])
		case a.parents[id] == "": // it is deleted: AWS lets go only of empty ones
		case known && old != parent+"/"+id:
			rewrite(old, parent+"/"+id)
		case !known:
			o.Units = append(slices.Clone(o.Units), snapshot.Unit{Path: parent + "/" + id})
		}
	}
	for _, id := range ids {
		i := slices.IndexFunc(s.Accounts, func(v snapshot.Account) bool { return v.ID == id })
		if !arn.IsAccountID(id) || i < 0 {
			continue
		}
		v := &s.Accounts[i]
		path, in := pathOf(a.parents[id])
		switch {
		case a.parents[id] == "":
			v.Kind, v.UnitPath = snapshot.External, ""
		case !in:
			v.UnitPath = ""
			lost(id, a.parents[id])
		default:
			v.UnitPath = path
		}
	}
}

// addAccounts names the accounts that only the plan knows. They are not inventoried: what the plan does not state of them is not known.
func (a *assembly) addAccounts(s *snapshot.Snapshot) {
	found := make(map[string]string)
	add := func(name, account string) {
		if account != "" && !a.accounts[account] {
			found[account] = "aws"
			if at, err := arn.Parse(name); err == nil {
				found[account] = at.Partition
			}
		}
	}
	for i := range s.Users {
		add(s.Users[i].ARN, s.Users[i].Account)
	}
	for i := range s.Roles {
		add(s.Roles[i].ARN, s.Roles[i].Account)
	}
	for i := range s.Resources {
		add(s.Resources[i].ARN, s.Resources[i].Account)
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		s.Accounts = append(s.Accounts, snapshot.Account{ID: id, Partition: found[id]})
		s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapAccount, Subject: id, Account: id, Reason: "only what the code states of the account is known"})
	}
	slices.SortFunc(s.Accounts, func(x, y snapshot.Account) int { return cmp.Compare(x.ID, y.ID) })
	if a.base == nil {
		for _, subject := range []string{snapshot.SubjectOrganization, snapshot.SubjectSCPs, snapshot.SubjectRCPs} {
			s.Gaps = append(s.Gaps, snapshot.Gap{Kind: snapshot.GapOrganization, Subject: subject, Reason: "code does not say; give a snapshot as the base"})
		}
	}
}

// inOrder is what was assembled in the base's order; what is new follows, sorted.
func inOrder[T any](m map[string]*T, base []T, key func(*T) string) []T {
	out := make([]T, 0, len(m))
	seen := make(map[string]bool, len(base))
	for i := range base {
		k := key(&base[i])
		if v := m[k]; v != nil && !seen[k] {
			out = append(out, *v)
		}
		seen[k] = true
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if !seen[k] {
			out = append(out, *m[k])
		}
	}
	return out
}
