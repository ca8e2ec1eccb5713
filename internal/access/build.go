package access

import (
	"cmp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// Options are what the graph is computed under.
type Options struct {
	// Engine decides; its tables and readings hold for every question. Its trace is not used.
	Engine eval.Evaluator
	// Now, where not zero, is the time of the requests (aws:CurrentTime); zero: any time.
	Now time.Time
}

// The actions by which a role is assumed, and those that a request with tags or a source identity needs beside.
var (
	assumeRole     = eval.MustAction("sts:AssumeRole")
	assumeRoleWeb  = eval.MustAction("sts:AssumeRoleWithWebIdentity")
	assumeRoleSAML = eval.MustAction("sts:AssumeRoleWithSAML")
	tagSession     = eval.MustAction("sts:TagSession")
	setSource      = eval.MustAction("sts:SetSourceIdentity")
)

// Build computes the graph: every trust as granted, then the crossings of concrete principals. It uses all processors.
func Build(o *org.Org, options Options) *Graph {
	g := &Graph{
		Org:         o,
		options:     options,
		engine:      options.Engine,
		rolesByName: map[roleName]*org.Principal{},
		edgesTo:     map[string][]*Edge{},
		trusting:    map[string][]*Edge{},
		raw:         map[*policy.Rule]cond.Formula{},
	}
	for _, p := range o.Principals {
		if p.Role != nil {
			g.rolesByName[roleName{p.Account, p.Name}] = p
		}
	}
	g.indexRawConditions()
	g.indexFacts()
	perRole := make([][]*Edge, len(o.Principals))
	parallel(len(o.Principals), func(i int) {
		if p := o.Principals[i]; p.Role != nil {
			perRole[i] = g.trustEdges(p)
		}
	})
	perResource := make([][]*Edge, len(o.Resources))
	parallel(len(o.Resources), func(i int) { perResource[i] = g.resourceEdges(o.Resources[i]) })
	g.Edges = slices.Concat(slices.Concat(perRole...), slices.Concat(perResource...), g.kmsGrantEdges(), g.shareEdges())
	slices.SortFunc(g.Edges, compareEdges)
	for _, e := range g.Edges {
		if e.ownOnly() {
			e.CrossAccount, e.Grantee.Relation = false, SameAccount
		}
	}
	g.index()
	g.linkCrossings()
	return g
}

// parallel runs f for 0 to n-1 on all processors, in chunks.
func parallel(n int, f func(int)) {
	const chunk = 64
	var wg sync.WaitGroup
	var mu sync.Mutex
	next := 0
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				from := next
				next += chunk
				mu.Unlock()
				if from >= n {
					return
				}
				for i := from; i < min(from+chunk, n); i++ {
					f(i)
				}
			}
		})
	}
	wg.Wait()
}

func compareEdges(a, b *Edge) int {
	return cmp.Or(
		cmp.Compare(a.Target.ARN, b.Target.ARN),
		cmp.Compare(a.Grantee.Kind, b.Grantee.Kind),
		cmp.Compare(a.Grantee.ID, b.Grantee.ID),
		cmp.Compare(a.Mechanism, b.Mechanism),
		cmp.Compare(strings.Join(a.Actions, " "), strings.Join(b.Actions, " ")),
	)
}

// indexRawConditions computes what each distinct resource-side statement demands, once for all that share it.
func (g *Graph) indexRawConditions() {
	var unknown cond.Context
	unknown.Rest = cond.Undetermined
	add := func(set *eval.Set) {
		if set == nil {
			return
		}
		for _, p := range set.Policies {
			for i := range p.Rules {
				rule := &p.Rules[i]
				if _, ok := g.raw[rule]; !ok && len(rule.Condition) > 0 {
					g.raw[rule] = rule.Condition.LeftOver(&unknown)
				}
			}
		}
	}
	for _, p := range g.Org.Principals {
		add(p.Trust)
	}
	for _, r := range g.Org.Resources {
		add(r.Policy)
	}
}

// ownOnly reports whether a trust that names everybody lets in nobody but the target's own account.
func (e *Edge) ownOnly() bool {
	if e.Grantee.Kind != Anyone && e.Grantee.Kind != EveryoneElse || e.Target.Account == "" {
		return false
	}
	r := e.LeftOver.Require("aws:PrincipalAccount")
	return r.Exact() && !slices.ContainsFunc(r.Values, func(v string) bool { return v != e.Target.Account })
}

// index makes the lookups by target and by grantee.
func (g *Graph) index() {
	for _, e := range g.Edges {
		g.edgesTo[e.Target.ARN] = append(g.edgesTo[e.Target.ARN], e)
		if e.Target.Role == nil || e.Verdict == eval.Deny {
			continue
		}
		key := e.Grantee.ID
		if e.Grantee.Principal != nil {
			key = e.Grantee.Principal.ARN
		}
		if e.Grantee.Kind == Anyone || e.Grantee.Kind == EveryoneElse || e.Grantee.Kind == NotUnderstood {
			key = "*"
		}
		g.trusting[key] = append(g.trusting[key], e)
	}
}

// granted collects the statements of one policy by grantee and mechanism, in a stable order.
type granted struct {
	order []grantKey
	edges map[grantKey]*Edge
}

type grantKey struct {
	kind      GranteeKind
	id        string
	mechanism Mechanism
}

func (b *granted) edge(t Grantee, m Mechanism) *Edge {
	key := grantKey{t.Kind, t.ID, m}
	e, ok := b.edges[key]
	if !ok {
		if b.edges == nil {
			b.edges = map[grantKey]*Edge{}
		}
		e = &Edge{Grantee: t, Mechanism: m}
		b.edges[key] = e
		b.order = append(b.order, key)
	}
	return e
}

// trustEdges are the trusts that a role's trust policy grants.
func (g *Graph) trustEdges(role *org.Principal) []*Edge {
	target := Target{ARN: role.ARN, Type: "AWS::IAM::Role", Account: role.Account, Role: role}
	if len(role.Trust.Unresolved) > 0 {
		return []*Edge{g.unreadable(target, AssumeRole, role.Trust.Unresolved[0], role.Role.Trust)}
	}
	var b granted
	g.collect(&b, role.Trust, role.Role.Trust, &target, trustMechanism)
	edges := make([]*Edge, 0, len(b.order))
	ctx := g.trustContext(&target)
	for _, key := range b.order {
		e := b.edges[key]
		e.Target = target
		e.CrossAccount = e.Grantee.Account != target.Account
		e.Actions = []string{actionOf(e.Mechanism).String()}
		e.MaxSession = role.Role.MaxSession
		c, p := g.callerOf(&e.Grantee, &target, e.Mechanism)
		g.conditions(e, c, ctx)
		g.settle(e, c, p, ctx)
		edges = append(edges, e)
	}
	return edges
}

// trustMechanism says by which call a principal value of a trust statement lets in; "" where it lets nobody in by itself
// (a statement that only permits tags).
func trustMechanism(rule *policy.Rule, v *policy.CompiledPrincipal) Mechanism {
	matches := func(a eval.Action) bool { return rule.Actions.Match(a.Lower()) }
	switch v.Form {
	case policy.ServiceForm:
		if matches(assumeRole) {
			return ServiceAssume
		}
	case policy.ProviderForm, policy.IssuerForm:
		if strings.Contains(v.Value, ":saml-provider/") {
			if matches(assumeRoleSAML) {
				return AssumeRoleSAML
			}
			return ""
		}
		if matches(assumeRoleWeb) {
			return AssumeRoleWeb
		}
	default:
		switch {
		case matches(assumeRole):
			return AssumeRole
		case v.Form == policy.Everyone && matches(assumeRoleWeb):
			return AssumeRoleWeb
		case v.Form == policy.Everyone && matches(assumeRoleSAML):
			return AssumeRoleSAML
		}
	}
	return ""
}

func actionOf(m Mechanism) eval.Action {
	switch m {
	case AssumeRoleWeb:
		return assumeRoleWeb
	case AssumeRoleSAML:
		return assumeRoleSAML
	}
	return assumeRole
}

// noPrincipal stands in the place of a grantee's name for a statement that names nobody at all.
const noPrincipal = "no Principal"

// collect files the allow statements of a policy by grantee.
func (g *Graph) collect(b *granted, set *eval.Set, document snapshot.Document, target *Target, mechanism func(*policy.Rule, *policy.CompiledPrincipal) Mechanism) {
	for _, p := range set.Policies {
		for i := range p.Rules {
			rule := &p.Rules[i]
			if rule.Effect == policy.Deny {
				continue
			}
			grant := Grant{
				Evidence:  EvidenceAt(target.ARN, document, i),
				Statement: &p.Document.Statements[i],
				Rule:      rule,
				Raw:       g.rawCondition(rule),
			}
			if rule.Principals.Not {
				t := Grantee{Kind: EveryoneElse, ID: "everyone else", Relation: Public}
				m := mechanism(rule, &policy.CompiledPrincipal{Form: policy.Everyone})
				if m != "" {
					e := b.edge(t, m)
					e.Grants = append(e.Grants, grant)
				}
				continue
			}
			if !rule.Principals.Present {
				// Malformed (rule 17): nobody can say whom it lets in.
				t := Grantee{Kind: NotUnderstood, ID: noPrincipal, Relation: RelationUnknown}
				if m := mechanism(rule, &policy.CompiledPrincipal{Form: policy.Everyone}); m != "" {
					e := b.edge(t, m)
					e.Grants = append(e.Grants, grant)
				}
				continue
			}
			for j := range rule.Principals.Values {
				v := &rule.Principals.Values[j]
				m := mechanism(rule, v)
				if m == "" {
					continue
				}
				e := b.edge(g.granteeOf(v, target.Account), m)
				if len(e.Grants) == 0 || e.Grants[len(e.Grants)-1].Rule != rule {
					e.Grants = append(e.Grants, grant)
				}
			}
		}
	}
}

func (g *Graph) rawCondition(rule *policy.Rule) cond.Formula {
	if f, ok := g.raw[rule]; ok {
		return f
	}
	return cond.Always()
}

// unreadable is the edge of a policy that could not be read: possible access, by nobody knows whom.
func (g *Graph) unreadable(target Target, m Mechanism, reason string, d snapshot.Document) *Edge {
	return &Edge{
		Grantee:      Grantee{Kind: NotUnderstood, ID: "unreadable policy", Relation: RelationUnknown},
		Mechanism:    m,
		Target:       target,
		CrossAccount: true,
		LeftOver:     cond.NotUnderstood(reason),
		By:           EvidenceAt(target.ARN, d, -1),
	}
}

// EvidenceAt is the place of a statement of a document; -1 stands for the document as a whole.
func EvidenceAt(subject string, d snapshot.Document, statement int) Evidence {
	e := Evidence{Subject: subject, Document: d.Name, Statement: statement, Source: d.Source}
	if d.State == snapshot.Read && statement >= 0 && statement < len(d.Policy.Document.Statements) {
		s := &d.Policy.Document.Statements[statement]
		e.Sid = s.Sid.Value
		e.Source = d.At(s.Pos)
	}
	return e
}

// conditions computes what each grant of an edge demands of its grantee, together with the denies of the same policy.
func (g *Graph) conditions(e *Edge, c *eval.Caller, ctx *cond.Context) {
	for i := range e.Grants {
		gr := &e.Grants[i]
		if c == nil {
			gr.Condition = gr.Raw
			continue
		}
		gr.Condition = g.statementCondition(gr.Rule, e, c, ctx)
	}
}

// statementCondition asks the engine about a policy that holds this one allow statement and all denies.
func (g *Graph) statementCondition(rule *policy.Rule, e *Edge, c *eval.Caller, ctx *cond.Context) cond.Formula {
	set := e.policySet()
	p := set.Policies[0]
	alone := &policy.Policy{Document: p.Document, Rules: []policy.Rule{*rule}}
	for i := range p.Rules {
		if p.Rules[i].Effect == policy.Deny {
			alone.Rules = append(alone.Rules, p.Rules[i])
		}
	}
	if len(alone.Rules) == 1 && len(rule.Condition) == 0 && rule.NotUnderstood == "" && (rule.Resources.Present || e.Target.Role != nil) && !c.Kind.Symbolic() {
		return cond.Always()
	}
	result := cond.Never()
	for _, q := range g.probes(rule, e, nil) {
		d := g.engine.Decide(&eval.Request{
			Caller: c, Action: q.action, Resource: q.resource, ResourceAccount: e.Target.Account,
			Context:  child(ctx, c),
			Policies: &eval.Policies{Resource: &eval.Set{Policies: []*policy.Policy{alone}}, CallerAssumed: true},
		})
		result = result.Or(d.LeftOver)
		if result.IsAlways() {
			break
		}
	}
	return result
}

// policySet is the resource-side policy of the edge's target.
func (e *Edge) policySet() *eval.Set {
	if e.Target.Role != nil {
		return e.Target.Role.Trust
	}
	return e.Target.Resource.Policy
}

// child is a copy of a target's context on top of the caller's; the keys are shared.
func child(ctx *cond.Context, c *eval.Caller) *cond.Context {
	copied := *ctx
	copied.Parent = c.Context()
	return &copied
}

// trustContext is what is known of every request to assume a role: who owns it, its tags, that STS speaks TLS only, and
// that the caller calls directly.
func (g *Graph) trustContext(t *Target) *cond.Context {
	ctx := &cond.Context{Rest: cond.Undetermined}
	g.describeTarget(ctx, t.Account)
	for key, value := range t.Role.Tags {
		ctx.Set("aws:ResourceTag/"+key, value)
		ctx.Set("iam:ResourceTag/"+key, value)
	}
	return ctx
}

// describeTarget sets the keys that follow from the resource's account (rule 111) and from how AWS is called.
func (g *Graph) describeTarget(ctx *cond.Context, account string) {
	ctx.Set("aws:SecureTransport", "true")
	ctx.Set("aws:ViaAWSService", "false")
	ctx.SetAbsent("aws:CalledVia")
	if !g.options.Now.IsZero() {
		ctx.Set("aws:CurrentTime", g.options.Now.UTC().Format(time.RFC3339))
		ctx.Set("aws:EpochTime", g.options.Now.UTC().Format(time.RFC3339))
	}
	if account == "" {
		return
	}
	ctx.Set("aws:ResourceAccount", account)
	if a, ok := g.Org.Account(account); ok && a.Membership == org.Inside {
		ctx.Set("aws:ResourceOrgID", g.Org.ID)
		if a.UnitPath != "" {
			ctx.Set("aws:ResourceOrgPaths", g.Org.ID+"/"+a.UnitPath+"/")
		}
	}
}
