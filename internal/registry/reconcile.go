package registry

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/compare"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/usage"
)

// State is how a trust stands to the registry.
type State string

const (
	Registered   State = "registered"   // an entry declares it, and it is no wider
	Unregistered State = "unregistered" // no entry declares it
	Wider        State = "wider"        // it allows what no entry declares: shown by a request
	Narrower     State = "narrower"     // it allows less than is declared: the declared work may fail
	Expired      State = "expired"      // the entry has ended, and the trust is there
	Gone         State = "gone"         // an entry declares it, and it is not there
	Unused       State = "unused"       // as declared, and longer without use than its rhythm allows
	NotDecided   State = "undecided"    // whether it is wider could not be decided
)

// Item is one trust, declared or found or both.
type Item struct {
	State State
	// Edges are what was found; none where it is gone.
	Edges []*access.Edge
	// Entry is what declares it; nil where nothing does.
	Entry  *Entry
	Source string // who, as found, or as declared where it is gone
	Target string
	Reason string
	// More are the differences that make it wider or narrower, each with a request that shows it.
	More []compare.Difference
}

// Options of reconciliation.
type Options struct {
	Now    time.Time
	Engine eval.Evaluator
	// Usage is the record of use; nil: none, and nothing is called unused but by what IAM itself says of a role.
	Usage *usage.Record
	// Stale is how long a trust whose entry names no rhythm may lie unused; 0: 90 days.
	Stale time.Duration
}

// Reconcile holds what was declared against what exists: every trust that crosses accounts or comes from outside, and every entry.
// Whether a trust is wider than its entries is decided by comparing policies, with a request as witness, and never by text. Items are
// sorted by target, source and state.
func Reconcile(g *access.Graph, r *Registry, o Options) []Item {
	c := reconciler{g: g, r: r, o: o, pairs: map[string][]Pair{}}
	for _, p := range r.Pairs() {
		c.pairs[p.Target] = append(c.pairs[p.Target], p)
	}
	byTarget := map[string][]*access.Edge{}
	var targets []string
	for _, e := range g.Edges {
		if !crosses(e) {
			continue
		}
		if byTarget[e.Target.ARN] == nil {
			targets = append(targets, e.Target.ARN)
		}
		byTarget[e.Target.ARN] = append(byTarget[e.Target.ARN], e)
	}
	var items []Item
	for _, target := range targets {
		items = append(items, c.target(target, byTarget[target])...)
	}
	items = append(items, c.gone(byTarget)...)
	for i := range items {
		c.unused(&items[i])
	}
	slices.SortStableFunc(items, func(a, b Item) int {
		if n := strings.Compare(a.Target, b.Target); n != 0 {
			return n
		}
		if n := strings.Compare(a.Source, b.Source); n != 0 {
			return n
		}
		return strings.Compare(string(a.State), string(b.State))
	})
	return items
}

// crosses: the edge is one that somebody must have declared. A service of AWS that acts in its own account's name is not, nor the
// organisation's own staff that comes through IAM Identity Center, nor what AWS Organizations delegates, which names no resource. What a
// policy denies for certain is no trust that works.
func crosses(e *access.Edge) bool {
	return e.CrossAccount && e.Target.ARN != "" && !access.IdentityCenter(e.Grantee.ID) && e.Grantee.Kind != access.ServiceGrantee && e.Grantee.Kind != access.Deleted && e.Verdict != eval.Deny
}

type reconciler struct {
	g     *access.Graph
	r     *Registry
	o     Options
	pairs map[string][]Pair
}

// target judges everything that was found on one target.
func (c *reconciler) target(target string, edges []*access.Edge) []Item {
	var items []Item
	var declared []*access.Edge
	live := map[*Entry][]*access.Edge{}
	expired := map[*Entry][]*access.Edge{}
	for _, e := range edges {
		matched := c.matches(e)
		if len(matched) == 0 {
			items = append(items, Item{State: Unregistered, Edges: []*access.Edge{e}, Source: e.Grantee.ID, Target: target, Reason: "no entry declares it"})
			continue
		}
		good := false
		for _, p := range matched {
			if p.Entry.Expires.Over(c.o.Now) {
				expired[p.Entry] = append(expired[p.Entry], e)
				continue
			}
			good = true
			live[p.Entry] = append(live[p.Entry], e)
		}
		if good {
			declared = append(declared, e)
		}
	}
	for _, p := range c.pairs[target] {
		if found := expired[p.Entry]; len(found) > 0 {
			items = append(items, Item{State: Expired, Edges: found, Entry: p.Entry, Source: p.Source, Target: target,
				Reason: "entry " + p.Entry.Name + " ended on " + p.Entry.Expires.String()})
			delete(expired, p.Entry)
		}
	}
	if len(declared) == 0 {
		return items
	}
	return append(items, c.compared(target, declared, live)...)
}

// matches are the pairs that declare the edge's grantee on its target, by name: the comparison of policies decides how far.
func (c *reconciler) matches(e *access.Edge) []Pair {
	var out []Pair
	for _, p := range c.pairs[e.Target.ARN] {
		if declares(p, e) {
			out = append(out, p)
		}
	}
	return out
}

// declares: the pair names the grantee, its account, or somebody of the account that the grantee is.
func declares(p Pair, e *access.Edge) bool {
	id := e.Grantee.ID
	if id == p.Source {
		return true
	}
	account := p.Source
	if a, err := arn.Parse(p.Source); err == nil {
		account = a.Account
	}
	switch e.Grantee.Kind {
	case access.WholeAccount:
		return e.Grantee.Account != "" && e.Grantee.Account == account
	case access.RoleGrantee, access.UserGrantee:
		return arn.IsAccountID(p.Source) && p.Source == e.Grantee.Account || strings.HasSuffix(p.Source, ":root") && account == e.Grantee.Account
	case access.Issuer:
		return strings.HasPrefix(p.Source, "oidc:") && p.Entry.From.OIDC != nil && host(p.Entry.From.OIDC.Issuer) == eval.IssuerHost(id)
	case access.Anyone, access.EveryoneElse:
		return true // whom it lets in beside the declared is for the comparison
	}
	return false
}

func host(issuer string) string { return strings.TrimPrefix(issuer, "https://") }

// compared holds the policy of a role or resource against the one that its entries declare.
func (c *reconciler) compared(target string, edges []*access.Edge, live map[*Entry][]*access.Edge) []Item {
	first := edges[0]
	found := livePolicy(&first.Target)
	entries := entriesOf(c.pairs[target], live)
	ok := func(reason string) []Item {
		var items []Item
		for _, e := range entries {
			items = append(items, Item{State: Registered, Edges: live[e], Entry: e, Source: live[e][0].Grantee.ID, Target: target, Reason: reason})
		}
		return items
	}
	declared, kind := c.declared(&first.Target, found, entries)
	if declared == nil {
		return ok("entry " + entries[0].Name + " declares it; what it allows is not compared")
	}
	o := compare.Options{Engine: c.o.Engine, Account: first.Target.Account}
	result := compare.Policies(kind, declared, []*policy.Policy{comparable(found, &first.Target)}, o)
	var items []Item
	if len(result.Gained) > 0 {
		for _, part := range byEdges(result.Gained, edges) {
			items = append(items, Item{State: Wider, Edges: part.edges, Entry: entries[0], Source: part.edges[0].Grantee.ID, Target: target, More: part.more,
				Reason: "it allows " + inWords(part.more[0]) + ", which no entry declares"})
		}
	}
	lost := slices.DeleteFunc(result.Lost, passing)
	if kind == policy.Resource && slices.ContainsFunc(entries, func(e *Entry) bool { return len(e.Resources) == 0 }) {
		lost = nil // an entry that does not say which part of the resource it needs can do with any
	}
	if len(lost) > 0 {
		items = append(items, Item{State: Narrower, Edges: edges, Entry: entries[0], Source: first.Grantee.ID, Target: target, More: lost,
			Reason: "declared and not allowed: " + inWords(lost[0])})
	}
	if len(items) == 0 && result.Relation == compare.Undecided {
		return []Item{{State: NotDecided, Edges: edges, Entry: entries[0], Source: first.Grantee.ID, Target: target, Reason: result.Undecided[0]}}
	}
	if len(items) > 0 {
		return items
	}
	return ok("the entries declare what it allows")
}

// passing: the difference is only about passing tags or a source identity, which an entry lets in and does not demand.
func passing(d compare.Difference) bool {
	return !slices.ContainsFunc(d.Actions, func(a string) bool { return a != tagSession && a != setSourceIdentity })
}

const (
	tagSession        = "sts:TagSession"
	setSourceIdentity = "sts:SetSourceIdentity"
)

// entriesOf are the entries with live edges, each once, in the order of the registry.
func entriesOf(pairs []Pair, live map[*Entry][]*access.Edge) []*Entry {
	var out []*Entry
	for _, p := range pairs {
		if len(live[p.Entry]) > 0 && !slices.Contains(out, p.Entry) {
			out = append(out, p.Entry)
		}
	}
	return out
}

// livePolicy is the policy on the target's side as found; nil where it has none that was read.
func livePolicy(t *access.Target) *policy.Policy {
	var s *eval.Set
	switch {
	case t.Role != nil:
		s = t.Role.Trust
	case t.Resource != nil:
		s = t.Resource.Policy
	}
	if s == nil || len(s.Policies) != 1 || len(s.Unresolved) > 0 {
		return nil
	}
	return s.Policies[0]
}

// declared is the policy that the entries of a target declare, together with those statements of the live one that concern nobody
// whom a registry must declare. nil where nothing can be compared: no policy, or entries that name no actions on a resource.
func (c *reconciler) declared(t *access.Target, found *policy.Policy, entries []*Entry) ([]*policy.Policy, policy.Kind) {
	if found == nil {
		return nil, 0
	}
	d := &policy.Document{Version: policy.Text{Value: "2012-10-17"}}
	kind := policy.Resource
	if t.Role != nil {
		kind = policy.Trust
	}
	for _, e := range entries {
		if e.ApprovedTrust != nil && kind == policy.Trust {
			if approved, _ := policy.Parse(e.ApprovedTrust); approved != nil {
				d.Statements = append(d.Statements, approved.Statements...)
				continue
			}
		}
		statements := e.statements(t, kind)
		if statements == nil {
			return nil, 0
		}
		d.Statements = append(d.Statements, statements...)
	}
	sets := []*policy.Policy{policy.Compile(d)}
	if own := c.own(comparable(found, t), found, t); own != nil {
		sets = append(sets, own)
	}
	return sets, kind
}

// comparable is a policy as it works on its target: a policy of a resource says nothing about others, so that "*" is the resource
// itself, and what is left of a deleted principal is nobody. Statements keep their places.
func comparable(p *policy.Policy, t *access.Target) *policy.Policy {
	d := *p.Document
	d.Statements = slices.Clone(d.Statements)
	for i := range d.Statements {
		s := &d.Statements[i]
		if t.Role == nil && !s.Resource.Not && !slices.ContainsFunc(s.Resource.Values, func(v policy.Text) bool { return v.Value != "*" }) {
			s.Resource.Present, s.Resource.Values = true, within(t)
		}
		if !s.Principal.Not {
			s.Principal.Values = slices.DeleteFunc(slices.Clone(s.Principal.Values), func(v policy.PrincipalValue) bool {
				return v.Type == policy.AWS && arn.IsUniqueID(v.Value)
			})
		}
	}
	return policy.Compile(&d)
}

// within is the target and what lies in it, as resources of its policy.
func within(t *access.Target) []policy.Text {
	return []policy.Text{{Value: t.ARN}, {Value: t.ARN + "/*"}, {Value: t.ARN + ":*"}}
}

// own are the statements of the live policy that give nothing across accounts, and its denies.
func (c *reconciler) own(seen, found *policy.Policy, t *access.Target) *policy.Policy {
	crossing := map[*policy.Rule]bool{}
	for _, e := range c.g.EdgesTo(t.ARN) {
		if e.CrossAccount && e.Grantee.Kind != access.ServiceGrantee {
			for i := range e.Grants {
				crossing[e.Grants[i].Rule] = true
			}
		}
	}
	d := *seen.Document
	d.Statements = nil
	for i := range found.Rules {
		if found.Rules[i].Effect == policy.Deny || !crossing[&found.Rules[i]] {
			d.Statements = append(d.Statements, seen.Document.Statements[i])
		}
	}
	if len(d.Statements) == 0 {
		return nil
	}
	return policy.Compile(&d)
}

// statements are what an entry declares of a target, as statements of its policy; nil where the entry does not say.
func (e *Entry) statements(t *access.Target, kind policy.Kind) []policy.Statement {
	s := policy.Statement{Effect: policy.Allow, Condition: conditionsOf(e.TrustConditions)}
	s.Principal.Present = true
	for _, p := range e.From.Principals {
		if OfBroker(p) {
			continue // no policy can name it
		}
		s.Principal.Values = append(s.Principal.Values, policy.PrincipalValue{Type: policy.AWS, Text: policy.Text{Value: p}})
	}
	for _, p := range e.From.Services {
		s.Principal.Values = append(s.Principal.Values, policy.PrincipalValue{Type: policy.Service, Text: policy.Text{Value: p}})
	}
	if kind == policy.Resource {
		for _, a := range e.Actions {
			if prefix, _, _ := strings.Cut(a, ":"); prefix == arnService(t.ARN) {
				s.Action.Values = append(s.Action.Values, policy.Text{Value: a})
			}
		}
		if len(s.Action.Values) == 0 {
			return nil
		}
		s.Action.Present, s.Resource.Present = true, true
		s.Resource.Values = within(t)
		if parts := e.parts(t); len(parts) > 0 {
			s.Resource.Values = parts
		}
		return []policy.Statement{s}
	}
	var out []policy.Statement
	if len(s.Principal.Values) > 0 {
		s.Action = actions("sts:AssumeRole", tagSession, setSourceIdentity)
		out = append(out, s)
	}
	if o := e.From.OIDC; o != nil {
		out = append(out, o.statement(t, s.Condition))
	}
	return out
}

// parts are the resources of the entry that lie in a target.
func (e *Entry) parts(t *access.Target) []policy.Text {
	var out []policy.Text
	for _, r := range e.Resources {
		if r == t.ARN || strings.HasPrefix(r, t.ARN+"/") || strings.HasPrefix(r, t.ARN+":") {
			out = append(out, policy.Text{Value: r})
		}
	}
	return out
}

func arnService(name string) string {
	a, err := arn.Parse(name)
	if err != nil {
		return ""
	}
	return a.Service
}

func actions(names ...string) policy.Element {
	e := policy.Element{Present: true}
	for _, n := range names {
		e.Values = append(e.Values, policy.Text{Value: n})
	}
	return e
}

// wellKnown are the issuers that trust policies name by host, without a provider in the account (rule 120).
var wellKnown = []string{"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}

// statement is the trust in the subjects: of the provider of that issuer in the role's own account.
func (o *OIDC) statement(t *access.Target, conditions []policy.Condition) policy.Statement {
	h := host(o.Issuer)
	provider := "arn:aws:iam::" + t.Account + ":oidc-provider/" + h
	if a, err := arn.Parse(t.ARN); err == nil {
		provider = "arn:" + a.Partition + ":iam::" + t.Account + ":oidc-provider/" + h
	}
	if slices.Contains(wellKnown, h) {
		provider = h
	}
	s := policy.Statement{Effect: policy.Allow, Condition: slices.Clone(conditions), Action: actions("sts:AssumeRoleWithWebIdentity", tagSession, setSourceIdentity)}
	s.Principal.Present = true
	s.Principal.Values = []policy.PrincipalValue{{Type: policy.Federated, Text: policy.Text{Value: provider}}}
	test := func(operator, key, value string) {
		if value != "" {
			s.Condition = append(s.Condition, policy.Condition{Operator: policy.Text{Value: operator}, Key: policy.Text{Value: key}, Values: []policy.Text{{Value: value}}})
		}
	}
	test("StringEquals", h+":aud", o.Audience)
	claims := make([]string, 0, len(o.Claims))
	for claim := range o.Claims {
		claims = append(claims, claim)
	}
	slices.Sort(claims)
	for _, claim := range claims {
		test("StringLike", h+":"+claim, o.Claims[claim])
	}
	return s
}

// conditionsOf writes a compiled block as a document has it.
func conditionsOf(b cond.Block) []policy.Condition {
	var out []policy.Condition
	for i := range b {
		c := policy.Condition{Operator: policy.Text{Value: b[i].Operator}, Key: policy.Text{Value: b[i].Key}}
		for _, v := range b[i].Constraint().Values() {
			c.Values = append(c.Values, policy.Text{Value: v})
		}
		out = append(out, c)
	}
	return out
}

// part is the differences that some edges make.
type part struct {
	edges []*access.Edge
	more  []compare.Difference
}

// byEdges sorts differences to the edges whose statements they come from; those of no edge in the list count for all.
func byEdges(gained []compare.Difference, edges []*access.Edge) []part {
	var parts []part
	for _, d := range gained {
		var of []*access.Edge
		for _, e := range edges {
			if slices.ContainsFunc(e.Grants, func(g access.Grant) bool { return g.Evidence.Statement == d.Allows.Statement }) {
				of = append(of, e)
			}
		}
		if len(of) == 0 {
			of = edges
		}
		if i := slices.IndexFunc(parts, func(p part) bool { return slices.Equal(p.edges, of) }); i >= 0 {
			parts[i].more = append(parts[i].more, d)
			continue
		}
		parts = append(parts, part{of, []compare.Difference{d}})
	}
	return parts
}

// inWords says a difference in a few words.
func inWords(d compare.Difference) string {
	what := d.Actions[0]
	if n := len(d.Actions); n > 1 {
		what += " and others"
	}
	text := what + " by " + strings.Join(d.Who, ", ")
	if !d.Conditions.IsAlways() {
		text += " if " + d.Conditions.String()
	}
	return text
}

// unused turns a registered trust in a role into an unused one where the evidence reaches far enough to say so. Resources are left
// as they are: reading them leaves a record only where somebody switched it on.
func (c *reconciler) unused(item *Item) {
	if item.State != Registered || item.Entry.Standby() || item.Edges[0].Target.Role == nil {
		return
	}
	limit := item.Entry.Patience(cmp.Or(c.o.Stale, staleAfter))
	role := item.Edges[0].Target.Role
	last := c.o.Usage.LastUse(item.Target, item.Entry.From.Admits)
	// Where IAM knows of a later use than the record, calls are missing from the record.
	missing := role.Role.LastUsed.Sub(c.o.Usage.LastUse(item.Target, usage.Anybody)) > 24*time.Hour
	covered := !missing && c.o.Usage.Covers(role.Account, c.o.Now.Add(-limit), c.o.Now)
	if !covered {
		// What IAM says of the role holds for all its callers: if nobody came, none of these did.
		last = later(last, role.Role.LastUsed)
		covered = !last.IsZero()
	}
	if !covered || c.o.Now.Sub(last) <= limit || !role.Role.Created.IsZero() && c.o.Now.Sub(role.Role.Created) <= limit {
		return
	}
	item.State = Unused
	item.Reason = "none of its callers was seen in " + FormatSpan(limit)
	if !last.IsZero() {
		item.Reason = "last used on " + last.Format(time.DateOnly) + ", longer ago than " + FormatSpan(limit)
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// gone are the entries of which nothing was found, where the target's account was collected.
func (c *reconciler) gone(found map[string][]*access.Edge) []Item {
	var items []Item
	for _, p := range c.r.Pairs() {
		there := slices.ContainsFunc(found[p.Target], func(e *access.Edge) bool { return declares(p, e) })
		if there || c.sameAccount(p) || !c.g.Org.Inventoried(access.AccountOf(p.Target)) && !c.known(p.Target) {
			continue
		}
		// What stands behind a call that was not answered is not gone: nobody has looked.
		if _, hidden := c.g.Org.Hidden(p.Target, access.AccountOf(p.Target)); hidden && !c.known(p.Target) {
			continue
		}
		if _, unknown := c.g.Org.GrantsUnknown(p.Target, access.AccountOf(p.Target)); unknown {
			continue
		}
		items = append(items, Item{State: Gone, Entry: p.Entry, Source: p.Source, Target: p.Target, Reason: "entry " + p.Entry.Name + " declares it, and nothing lets it in"})
	}
	return items
}

func (c *reconciler) known(target string) bool {
	if _, ok := c.g.Org.Principal(target); ok {
		return true
	}
	_, ok := c.g.Org.Resource(target)
	return ok
}

// sameAccount: an entry inside one account is no crossing.
func (c *reconciler) sameAccount(p Pair) bool {
	a, err := arn.Parse(p.Source)
	return err == nil && a.Account != "" && a.Account == access.AccountOf(p.Target)
}
