package org

import (
	"cmp"
	"slices"
	"strings"

	"drawbridge/iam/eval"
	"drawbridge/internal/snapshot"
)

// Build links a snapshot. It cannot fail: what does not link is unresolved, with a reason, and a gap.
func Build(s *snapshot.Snapshot) *Org {
	b := &builder{
		Org: &Org{
			Snapshot:   s,
			accounts:   map[string]*Account{},
			principals: map[string]*Principal{},
			uniqueIDs:  map[string]*Principal{},
			resources:  map[string]*Resource{},
			providers:  map[string]*snapshot.Provider{},
		},
		policies: map[policyKey]*snapshot.ManagedPolicy{},
		groups:   map[groupKey]*snapshot.Group{},
		guards:   map[string]guard{},
	}
	if s.Organization != nil {
		b.Org.ID = s.Organization.ID
	}
	b.linkAccounts()
	b.indexPolicies()
	b.linkPrincipals()
	b.linkResources()
	b.Org.Gaps = slices.Concat(s.Gaps, b.gaps)
	slices.SortFunc(b.Org.Gaps, func(x, y snapshot.Gap) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Subject, y.Subject), cmp.Compare(x.Account, y.Account), cmp.Compare(x.Reason, y.Reason))
	})
	b.Org.Gaps = slices.CompactFunc(b.Org.Gaps, func(x, y snapshot.Gap) bool {
		return x.Kind == y.Kind && x.Subject == y.Subject && x.Account == y.Account && x.Reason == y.Reason
	})
	b.indexHidden()
	return b.Org
}

// policyKey finds a managed policy: AWS's own are the same everywhere, a customer's belongs to its account, which its
// ARN carries.
type policyKey string

type groupKey struct{ account, name string }

// guard is one account's or unit's control policies of one kind, linked once and shared by everything below.
type guard struct {
	set       eval.Set
	documents []snapshot.Document
}

type builder struct {
	*Org
	policies map[policyKey]*snapshot.ManagedPolicy
	groups   map[groupKey]*snapshot.Group
	guards   map[string]guard
	gaps     []snapshot.Gap
}

func (b *builder) linkAccounts() {
	for i := range b.Snapshot.Accounts {
		facts := &b.Snapshot.Accounts[i]
		a := &Account{Account: facts}
		switch facts.Kind {
		case snapshot.Management, snapshot.Member:
			a.Membership = Inside
		case snapshot.Vendor, snapshot.External:
			a.Membership = Outside
		}
		b.Accounts = append(b.Accounts, a)
		b.accounts[facts.ID] = a
	}
	slices.SortFunc(b.Accounts, func(x, y *Account) int { return cmp.Compare(x.ID, y.ID) })
	for _, a := range b.Accounts {
		a.SCPs, a.SCPDocuments = b.levels(a, "SCP")
		a.RCPs, a.RCPDocuments = b.levels(a, "RCP")
	}
}

// levels links the control policies that bind an account, from the root to the account itself (rules 90, 93, 98).
func (b *builder) levels(a *Account, kind string) ([]eval.Set, [][]snapshot.Document) {
	if a.Membership == Outside || a.Kind == snapshot.Management {
		return nil, nil
	}
	unknown := func(reason string) ([]eval.Set, [][]snapshot.Document) {
		return []eval.Set{{Unresolved: []string{reason}}}, [][]snapshot.Document{nil}
	}
	organization := b.Snapshot.Organization
	if organization == nil || a.Membership == MembershipUnknown {
		return unknown("the " + kind + "s that bind account " + a.ID + " are not in the input")
	}
	policies, subject := organization.SCPs, snapshot.SubjectSCPs
	if kind == "RCP" {
		policies, subject = organization.RCPs, snapshot.SubjectRCPs
	}
	if len(policies) == 0 {
		if b.stated(snapshot.GapOrganization, subject) {
			return unknown("the " + kind + "s that bind account " + a.ID + " are not in the input")
		}
		return nil, nil // this kind of policy is not in use: only what AWS attaches by itself is there
	}
	if a.UnitPath == "" {
		return unknown("the OU of account " + a.ID + " is not in the input, and so its " + kind + "s")
	}
	var sets []eval.Set
	var documents [][]snapshot.Document
	add := func(target, id string) {
		g, ok := b.guards[kind+target]
		if !ok {
			g = link(policies, kind, target, id)
			b.guards[kind+target] = g
		}
		sets, documents = append(sets, g.set), append(documents, g.documents)
	}
	ids := strings.Split(a.UnitPath, "/")
	for i := range ids {
		add(strings.Join(ids[:i+1], "/"), ids[i])
	}
	add(a.ID, a.ID)
	return sets, documents
}

// stated reports whether the snapshot itself says that something is missing.
func (b *builder) stated(kind snapshot.GapKind, subject string) bool {
	return slices.ContainsFunc(b.Snapshot.Gaps, func(g snapshot.Gap) bool { return g.Kind == kind && g.Subject == subject })
}

// link collects the policies attached to one target, named by path or by id. A level without any SCP does not exist in
// AWS (one must stay attached), so that an input that lists none for it is incomplete.
func link(policies []snapshot.ControlPolicy, kind, target, id string) guard {
	var g guard
	for i := range policies {
		p := &policies[i]
		if slices.Contains(p.Targets, target) || slices.Contains(p.Targets, id) {
			g.add(p.Document, kind+" "+p.Name)
		}
	}
	if kind == "SCP" && len(g.documents) == 0 && len(g.set.Unresolved) == 0 {
		g.set.Unresolved = []string{"the input lists no SCP attached to " + target + ", where AWS keeps at least one"}
	}
	return g
}

func (g *guard) add(d snapshot.Document, name string) {
	if d.State != snapshot.Read {
		g.set.Unresolved = append(g.set.Unresolved, name+": "+reasonOf(d))
		return
	}
	d.Name = name
	g.set.Policies = append(g.set.Policies, d.Policy)
	g.documents = append(g.documents, d)
}

func reasonOf(d snapshot.Document) string {
	if d.Problem != "" {
		return d.Problem
	}
	return "its document is not in the input"
}

// indexPolicies prefers, for AWS managed policies that several accounts carry, a copy that could be read.
func (b *builder) indexPolicies() {
	for i := range b.Snapshot.Policies {
		p := &b.Snapshot.Policies[i]
		if have, ok := b.policies[policyKey(p.ARN)]; !ok || have.Document.State != snapshot.Read {
			b.policies[policyKey(p.ARN)] = p
		}
	}
	for i := range b.Snapshot.Groups {
		g := &b.Snapshot.Groups[i]
		b.groups[groupKey{g.Account, g.Name}] = g
	}
	for i := range b.Snapshot.Providers {
		p := &b.Snapshot.Providers[i]
		b.Providers = append(b.Providers, p)
		b.providers[p.ARN] = p
	}
}

func (b *builder) linkPrincipals() {
	for i := range b.Snapshot.Users {
		u := &b.Snapshot.Users[i]
		p := &Principal{Principal: &u.Principal, User: u}
		b.linkIdentity(p)
		for _, name := range u.Groups {
			b.linkGroup(p, name)
		}
		b.add(p)
	}
	for i := range b.Snapshot.Roles {
		r := &b.Snapshot.Roles[i]
		p := &Principal{Principal: &r.Principal, Role: r}
		b.linkIdentity(p)
		p.Trust = &eval.Set{}
		if r.Trust.State == snapshot.Read {
			p.Trust.Policies = append(p.Trust.Policies, r.Trust.Policy)
		} else {
			p.Trust.Unresolved = []string{"the trust policy of " + r.ARN + ": " + reasonOf(r.Trust)}
		}
		b.add(p)
	}
	slices.SortFunc(b.Principals, func(x, y *Principal) int { return cmp.Compare(x.ARN, y.ARN) })
	for i, p := range b.Principals {
		p.Index = i
		p.Home.Principals = append(p.Home.Principals, p)
	}
}

// add gives a principal its account and its caller.
func (b *builder) add(p *Principal) {
	if _, ok := b.principals[p.ARN]; ok {
		b.gaps = append(b.gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: p.ARN, Account: p.Account, Reason: "listed twice; the first is used", Source: p.Source})
		return
	}
	caller, err := eval.NewCaller(p.ARN)
	if err != nil {
		b.gaps = append(b.gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: p.ARN, Account: p.Account, Reason: err.Error(), Source: p.Source})
		return
	}
	p.Home = b.home(p.Account)
	caller.UniqueID = p.UniqueID
	caller.Management = p.Home.Kind == snapshot.Management
	caller.Update()
	b.describe(caller, p)
	p.Caller = caller
	b.Principals = append(b.Principals, p)
	b.principals[p.ARN] = p
	if p.UniqueID != "" {
		b.uniqueIDs[p.UniqueID] = p
	}
}

// home is the account of an id; one that the snapshot does not list is known by its id alone.
func (b *builder) home(id string) *Account {
	if a, ok := b.accounts[id]; ok {
		return a
	}
	a := &Account{Account: &snapshot.Account{ID: id, Partition: "aws"}}
	if b.ID != "" {
		a.Membership = Outside
	}
	a.SCPs, a.SCPDocuments = b.levels(a, "SCP")
	a.RCPs, a.RCPDocuments = b.levels(a, "RCP")
	b.accounts[id] = a
	i, _ := slices.BinarySearchFunc(b.Accounts, id, func(x *Account, id string) int { return cmp.Compare(x.ID, id) })
	b.Accounts = slices.Insert(b.Accounts, i, a)
	return a
}

// describe sets what is known of the caller's organisation and tags (rules 109, 112).
func (b *builder) describe(c *eval.Caller, p *Principal) {
	b.DescribeOrganization(c, p.Home.ID)
	if p.Role != nil && mayTagSession(p.Role.Trust) {
		return // a session tag may replace any role tag, so none is known
	}
	for _, key := range sortedKeys(p.Tags) {
		c.Context().Set("aws:PrincipalTag/"+key, p.Tags[key])
	}
}

// DescribeOrganization sets the caller's organisation keys by the account it is of: ours, unknown, or unknown but not
// ours.
func (o *Org) DescribeOrganization(c *eval.Caller, account string) {
	k := c.Context()
	switch o.Membership(account) {
	case Inside:
		k.Set("aws:PrincipalOrgID", o.ID)
		if a, ok := o.accounts[account]; ok && a.UnitPath != "" {
			k.Set("aws:PrincipalOrgPaths", o.ID+"/"+a.UnitPath+"/")
		} else {
			k.SetUnknown("aws:PrincipalOrgPaths")
		}
	case Outside:
		if o.ID != "" {
			k.SetUnknownExcept("aws:PrincipalOrgID", false, o.ID)
			k.SetUnknownExcept("aws:PrincipalOrgPaths", true, o.ID+"/*")
			return
		}
		fallthrough
	default:
		k.SetUnknown("aws:PrincipalOrgID")
		k.SetUnknown("aws:PrincipalOrgPaths")
	}
}

// mayTagSession reports whether some statement of a trust policy lets sessions carry tags (rule 127). A policy that could
// not be read might.
func mayTagSession(trust snapshot.Document) bool {
	if trust.State != snapshot.Read {
		return true
	}
	for i := range trust.Policy.Rules {
		if trust.Policy.Rules[i].Actions.Match("sts:tagsession") {
			return true
		}
	}
	return false
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// linkIdentity resolves inline and attached policies and the boundary.
func (b *builder) linkIdentity(p *Principal) {
	b.addDocuments(p, p.Inline, p.Attached)
	switch {
	case p.InlineBoundary != nil:
		b.linkBoundary(p, *p.InlineBoundary)
	case p.Principal.Boundary != nil:
		b.linkBoundary(p, b.resolve(*p.Principal.Boundary))
	}
}

func (b *builder) linkBoundary(p *Principal, d snapshot.Document) {
	p.Boundary = &eval.Set{}
	if d.State != snapshot.Read {
		p.Boundary.Unresolved = []string{"permissions boundary " + d.Name + ": " + reasonOf(d)}
		return
	}
	p.Boundary.Policies = append(p.Boundary.Policies, d.Policy)
	p.BoundaryDocuments = append(p.BoundaryDocuments, d)
}

func (b *builder) addDocuments(p *Principal, inline []snapshot.Document, attached []snapshot.Attachment) {
	for _, d := range inline {
		b.addDocument(p, d)
	}
	for _, a := range attached {
		b.addDocument(p, b.resolve(a))
	}
}

func (b *builder) addDocument(p *Principal, d snapshot.Document) {
	if d.State != snapshot.Read {
		p.Identity.Unresolved = append(p.Identity.Unresolved, "policy "+d.Name+": "+reasonOf(d))
		return
	}
	p.Identity.Policies = append(p.Identity.Policies, d.Policy)
	p.Documents = append(p.Documents, d)
}

// resolve finds a managed policy's document; one that is nowhere is unresolved, never empty.
func (b *builder) resolve(a snapshot.Attachment) snapshot.Document {
	m, ok := b.policies[policyKey(a.ARN)]
	if !ok {
		return snapshot.Document{Name: a.ARN, Problem: "named, and its document is not in the input"}
	}
	d := m.Document
	d.Name = a.ARN
	return d
}

func (b *builder) linkGroup(p *Principal, name string) {
	g, ok := b.groups[groupKey{p.Account, name}]
	if !ok {
		p.Identity.Unresolved = append(p.Identity.Unresolved, "group "+name+" of account "+p.Account+" is not in the input")
		b.gaps = append(b.gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: p.ARN, Account: p.Account, Reason: "group " + name + " is named and not in the input", Source: p.Source})
		return
	}
	b.addDocuments(p, g.Inline, g.Attached)
}

// letsNobodyIn are the types whose policy is no resource policy: what passes an endpoint is limited by its policy and allowed by others (rules 103, 104), and a policy of IoT Core is what a device's certificate holds.
var letsNobodyIn = map[string]bool{"AWS::EC2::VPCEndpoint": true, "AWS::IoT::Policy": true}

func (b *builder) linkResources() {
	for i := range b.Snapshot.Resources {
		facts := &b.Snapshot.Resources[i]
		if _, ok := b.resources[facts.ARN]; ok {
			b.gaps = append(b.gaps, snapshot.Gap{Kind: snapshot.GapElement, Subject: facts.ARN, Account: facts.Account, Reason: "listed twice; the first is used", Source: facts.Source})
			continue
		}
		r := &Resource{Resource: facts, Home: b.home(facts.Account)}
		switch {
		case letsNobodyIn[facts.Type]:
		case facts.Policy.State == snapshot.Read:
			r.Policy = &eval.Set{}
			r.Policy.Policies = append(r.Policy.Policies, facts.Policy.Policy)
		case facts.Policy.State == snapshot.Unresolved:
			r.Policy = &eval.Set{Unresolved: []string{"the policy of " + facts.ARN + ": " + reasonOf(facts.Policy)}}
		}
		b.Resources = append(b.Resources, r)
		b.resources[facts.ARN] = r
	}
	slices.SortFunc(b.Resources, func(x, y *Resource) int { return cmp.Compare(x.ARN, y.ARN) })
}

// ResourceOf finds the resource of the snapshot that an ARN names or lies in: the bucket of an object, the function of an
// alias, the table of an index.
func (o *Org) ResourceOf(arn string) (r *Resource, ok bool) {
	for {
		if r, ok = o.resources[arn]; ok {
			return r, true
		}
		cut := strings.LastIndexAny(arn, "/:")
		if cut < 0 || strings.Count(arn[:cut], ":") < 5 {
			return nil, false
		}
		arn = arn[:cut]
	}
}
