package access

import (
	"errors"
	"fmt"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/org"
)

// ErrNotFound is wrapped where a question names a principal, as caller or as target, that a complete inventory does not hold.
var ErrNotFound = errors.New("not found")

// Question is one authorization question about the organisation, by names.
type Question struct {
	// Principal is the ARN of a user, role, session or root, an account id ("some principal of it"), the host of a service,
	// "anonymous", "*" (any principal of any account), or oidc:HOST:SUBJECT.
	Principal string
	Action    string
	Resource  string
	// ResourceAccount owns the resource; "" where the ARN or the snapshot says it.
	ResourceAccount string
	// Context are the keys of the request that the asker knows. They replace keys that follow from the principal.
	Context map[string][]string
	// Unknown are keys whose value is not known. Rest is the state of all keys that nobody mentions: cond.Absent asks about
	// this very request, cond.Undetermined about any request.
	Unknown []string
	Rest    cond.State
	// Trace asks for every statement looked at.
	Trace bool
}

// Answer is a decision with its evidence in the input.
type Answer struct {
	eval.Decision
	// Decided is the evidence of Decision.By; IdentitySide and ResourceSide those of the statements that allow, zero where
	// there is none.
	Decided, IdentitySide, ResourceSide Evidence
	Steps                               []AnswerStep
	// DependsOn are the readings of the rules on which the verdict turns.
	DependsOn []cond.Reading
}

// AnswerStep is one statement of the trace with its place.
type AnswerStep struct {
	eval.Step
	Evidence Evidence
}

// Decide answers one question. Errors are about the question: a name that is none, an action that is none, a principal
// or a target role or user that a complete inventory lacks (ErrNotFound).
func (g *Graph) Decide(q Question) (Answer, error) {
	action, err := eval.ActionOf(q.Action)
	if err != nil {
		return Answer{}, err
	}
	if q.Resource != "*" {
		if _, err := arn.Parse(q.Resource); err != nil {
			return Answer{}, fmt.Errorf("resource: %w", err)
		}
	}
	if err := g.collected(action, q.Resource); err != nil {
		return Answer{}, err
	}
	ctx := &cond.Context{Rest: q.Rest}
	c, p, err := g.named(q.Principal, q.Resource, ctx)
	if err != nil {
		return Answer{}, err
	}
	for key, values := range q.Context {
		ctx.Set(key, values...)
	}
	for _, key := range q.Unknown {
		ctx.SetUnknown(key)
	}
	target := g.targetOf(q.Resource, q.ResourceAccount)
	var answer Answer
	asking := *g
	if q.Trace {
		asking.engine.Trace = func(s eval.Step) {
			answer.Steps = append(answer.Steps, AnswerStep{s, g.evidence(s.Ref, p, &target)})
		}
	}
	request := asking.request(c, p, action, asking.sideOf(asking.targetOf(q.Resource, q.ResourceAccount)), ctx)
	answer.Decision = asking.engine.Decide(request)
	answer.DependsOn = asking.engine.DependsOn(request)
	answer.Decided = g.evidence(answer.By, p, &target)
	if answer.Identity.Statement >= 0 {
		answer.IdentitySide = g.evidence(answer.Identity, p, &target)
	}
	if answer.Resource.Statement >= 0 {
		answer.ResourceSide = g.evidence(answer.Resource, p, &target)
	}
	return answer, nil
}

// named finds the caller of a name; claims of a subject are set on ctx.
func (g *Graph) named(name, resource string, ctx *cond.Context) (*eval.Caller, *org.Principal, error) {
	switch {
	case name == "*":
		return eval.AnyonesPrincipal(), nil, nil
	case arn.IsAccountID(name):
		c := eval.SomePrincipal(partitionOf(resource), name)
		g.Org.DescribeOrganization(c, name)
		return c, nil, nil
	case strings.HasPrefix(name, "oidc:"):
		return g.subject(name, resource, ctx)
	}
	if p, ok := g.Org.Principal(name); ok {
		return p.Caller, p, nil
	}
	c, err := eval.NewCaller(name)
	if err != nil {
		return nil, nil, err
	}
	if c.Account == "" {
		return c, nil, nil
	}
	if c.Session != "" && c.Kind == eval.Role {
		parts := strings.Split(name, "/")
		if p, ok := g.rolesByName[roleName{c.Account, parts[1]}]; ok {
			c.ARN, c.UniqueID = p.ARN, p.UniqueID
			c.Management, c.ServiceLinked = p.Caller.Management, p.Caller.ServiceLinked
			c.Update()
			g.Org.DescribeOrganization(c, c.Account)
			return c, p, nil
		}
	}
	if c.Kind == eval.Root {
		g.Org.DescribeOrganization(c, c.Account)
		if a, ok := g.Org.Account(c.Account); ok {
			return c, &org.Principal{Home: a, Caller: c}, nil
		}
		return c, nil, nil
	}
	if g.Org.Inventoried(c.Account) {
		return nil, nil, fmt.Errorf("principal %s: %w in the inventory of account %s", name, ErrNotFound, c.Account)
	}
	g.Org.DescribeOrganization(c, c.Account)
	return c, nil, nil
}

// collected refuses a target role or user that a complete inventory lacks. An action that creates one is about what is not
// there yet, and a pattern names nothing by itself.
func (g *Graph) collected(action eval.Action, resource string) error {
	a, err := arn.Parse(resource)
	if err != nil || a.Service != "iam" || strings.ContainsAny(resource, "*?") || strings.HasPrefix(action.Lower(), "iam:create") {
		return nil
	}
	kind := a.ResourceType()
	if kind != "role" && kind != "user" || !g.Org.Inventoried(a.Account) {
		return nil
	}
	if _, ok := g.Org.Principal(resource); ok {
		return nil
	}
	if p, ok := g.rolesByName[roleName{a.Account, a.ResourceName()}]; ok && kind == "role" {
		return fmt.Errorf("resource %s: %w in the inventory of account %s; there is %s", resource, ErrNotFound, a.Account, p.ARN)
	}
	return fmt.Errorf("resource %s: %w in the inventory of account %s", resource, ErrNotFound, a.Account)
}

// subject is the caller of oidc:HOST:SUBJECT towards a role: the provider that the role's trust policy names for that host.
func (g *Graph) subject(name, resource string, ctx *cond.Context) (*eval.Caller, *org.Principal, error) {
	host, sub, ok := strings.Cut(strings.TrimPrefix(name, "oidc:"), ":")
	if !ok || host == "" || sub == "" {
		return nil, nil, fmt.Errorf("principal %q: expected oidc:HOST:SUBJECT", name)
	}
	ctx.Set(host+":sub", sub)
	for _, e := range g.EdgesTo(resource) {
		if e.Mechanism == AssumeRoleWeb && issuerHost(e.Grantee.ID) == host {
			if audiences := g.audiences(e.Grantee.ID); len(audiences) == 1 {
				ctx.Set(host+":aud", audiences[0])
			}
			return eval.FederatedCaller(eval.WebIdentity, e.Grantee.ID), nil, nil
		}
	}
	return eval.FederatedCaller(eval.WebIdentity, host), nil, nil
}

// issuerHost is the host (with path, as EKS issuers have) that condition keys of an OIDC provider begin with.
func issuerHost(provider string) string {
	if _, host, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		return host
	}
	return provider
}

// audiences are the client ids that a provider accepts, nil where the provider is not in the input.
func (g *Graph) audiences(provider string) []string {
	if p, ok := g.Org.Provider(provider); ok {
		return p.Audiences
	}
	return nil
}
