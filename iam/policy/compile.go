package policy

import (
	"fmt"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
)

// Policy is a document compiled for evaluation. It is immutable and safe for concurrent use; equal documents should share
// one Policy. Every Rule answers for the statement of the same index in Document.Statements.
type Policy struct {
	Document *Document
	Rules    []Rule
}

// Rule is a compiled statement.
type Rule struct {
	Effect     Effect
	Principals Principals
	Actions    Actions
	Resources  Resources
	Condition  cond.Block
	// NotUnderstood is why the statement cannot be evaluated with certainty, "" where it can: an element or a
	// principal form that this engine does not know. Such a statement is Unknown for everybody.
	NotUnderstood string
}

// Principals is a compiled Principal or NotPrincipal. Package eval matches it against a caller.
type Principals struct {
	Present bool
	Not     bool
	Values  []CompiledPrincipal
}

// CompiledPrincipal is one principal value in the form in which a caller is compared with it.
type CompiledPrincipal struct {
	Type PrincipalType
	Form PrincipalForm
	// Account is the account that the value names or lies in, "" where none is known.
	Account string
	// Partition of an ARN or of an account given as ARN; "" for a bare account id, which fits every partition.
	Partition string
	// Value is the value to compare: the ARN, the service host, the provider ARN or host, the canonical id or the unique id.
	Value string
}

// PrincipalForm tells the forms of a principal value apart.
type PrincipalForm uint8

const (
	UnknownForm   PrincipalForm = iota // not a form that IAM documents: never matches with certainty
	Everyone                           // "*", bare or under AWS
	AccountForm                        // 12 digits or arn:…:iam::ACCOUNT:root
	UserForm                           // arn:…:iam::ACCOUNT:user/…
	RoleForm                           // arn:…:iam::ACCOUNT:role/…
	SessionForm                        // arn:…:sts::ACCOUNT:assumed-role/ROLE/SESSION
	FederatedUser                      // arn:…:sts::ACCOUNT:federated-user/NAME
	UniqueIDForm                       // AROA…, AIDA…: what is left of a deleted principal (rule 116)
	ServiceForm                        // host name of a service
	ProviderForm                       // ARN of an OIDC or SAML provider
	IssuerForm                         // host of a well-known issuer, for example accounts.google.com
	CanonicalForm                      // canonical user id
)

// Actions is a compiled Action or NotAction; patterns are in lower case (rule 80).
type Actions struct {
	Not   bool
	Globs []arn.Glob
}

// Match reports whether the element covers an action given in lower case, for example "s3:getobject".
func (a *Actions) Match(lower string) bool {
	for i := range a.Globs {
		if a.Globs[i].Match(lower) {
			return !a.Not
		}
	}
	return a.Not
}

// Resources is a compiled Resource or NotResource.
type Resources struct {
	Present bool
	Not     bool
	Values  []ResourcePattern
}

// ResourcePattern is one value of Resource. Where it carries variables, Template holds them and Pattern is unused.
type ResourcePattern struct {
	Pattern  arn.Pattern
	Template *cond.Template
}

// Compile turns a document into the form that is evaluated. It cannot fail: a statement that is not understood is kept and
// says so.
func Compile(d *Document) *Policy {
	p := &Policy{Document: d, Rules: make([]Rule, len(d.Statements))}
	for i := range d.Statements {
		p.Rules[i] = compileStatement(&d.Statements[i], d.Variables())
	}
	return p
}

func compileStatement(s *Statement, variables bool) Rule {
	r := Rule{
		Effect:        s.Effect,
		Principals:    compilePrincipals(&s.Principal),
		Actions:       compileActions(&s.Action),
		NotUnderstood: s.NotUnderstood,
	}
	var err error
	if r.Resources, err = compileResources(&s.Resource, variables); err != nil && r.NotUnderstood == "" {
		r.NotUnderstood = err.Error()
	}
	for _, c := range s.Condition {
		values := make([]string, len(c.Values))
		for i := range c.Values {
			values[i] = c.Values[i].Value
		}
		r.Condition = append(r.Condition, cond.CompileTest(c.Operator.Value, c.Key.Value, values, variables))
	}
	return r
}

// compileActions folds case (rule 80). A statement without the element matches every action, so that what is wrong with
// it is Unknown for each of them.
func compileActions(e *Element) Actions {
	a := Actions{Not: e.Not || !e.Present}
	for _, v := range e.Values {
		a.Globs = append(a.Globs, arn.CompileGlob(strings.ToLower(v.Value)))
	}
	return a
}

func compileResources(e *Element, variables bool) (Resources, error) {
	r := Resources{Present: e.Present, Not: e.Not}
	var firstErr error
	for _, v := range e.Values {
		var p ResourcePattern
		if variables {
			t, err := cond.CompileTemplate(v.Value)
			if err != nil && firstErr == nil {
				firstErr = err
			}
			p.Template = t
		}
		if p.Template == nil {
			p.Pattern = arn.CompilePattern(v.Value)
		}
		r.Values = append(r.Values, p)
	}
	return r, firstErr
}

func compilePrincipals(e *PrincipalElement) Principals {
	p := Principals{Present: e.Present, Not: e.Not}
	for _, v := range e.Values {
		p.Values = append(p.Values, CompilePrincipal(v.Type, v.Value))
	}
	return p
}

// CompilePrincipal tells the form of a principal value.
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func CompilePrincipal(typ PrincipalType, s string) CompiledPrincipal {
	p := CompiledPrincipal{Type: typ, Value: s}
	switch typ {
	case AnyPrincipal:
		p.Form = Everyone
	case AWS:
		compileAWSPrincipal(&p, s)
	case Service:
		if s == "*" {
			break // accepted nowhere: what it would mean is not documented
		}
		p.Form = ServiceForm
	case Federated:
		p.Form = IssuerForm
		if a, err := arn.Parse(s); err == nil {
			p.Form, p.Account, p.Partition = ProviderForm, a.Account, a.Partition
		} else if s == "*" {
			p.Form = Everyone
		}
	case CanonicalUser:
		p.Form = CanonicalForm
	}
	return p
}

func compileAWSPrincipal(p *CompiledPrincipal, s string) {
	switch {
	case s == "*":
		p.Form = Everyone
		return
	case arn.IsAccountID(s):
		p.Form, p.Account = AccountForm, s
		return
	case arn.IsUniqueID(s):
		p.Form = UniqueIDForm
		return
	}
	a, err := arn.Parse(s)
	if err != nil || strings.ContainsAny(s, "*?") || !arn.IsAccountID(a.Account) {
		return // rule 54: no wildcard inside an ARN
	}
	p.Account, p.Partition = a.Account, a.Partition
	typ := a.ResourceType()
	switch {
	case a.Service == "iam" && a.Resource == "root":
		p.Form = AccountForm
	case a.Service == "iam" && typ == "user":
		p.Form = UserForm
	case a.Service == "iam" && typ == "role":
		p.Form = RoleForm
	case a.Service == "sts" && typ == "assumed-role" && strings.Count(a.Resource, "/") == 2:
		p.Form = SessionForm
	case a.Service == "sts" && typ == "federated-user":
		p.Form = FederatedUser
	}
}

// MustParse compiles a document written in the program; it panics on any problem.
func MustParse(text string) *Policy {
	d, problems := Parse([]byte(text))
	if len(problems) > 0 {
		panic(fmt.Sprintf("%s at line %d, column %d", problems[0].Message, problems[0].Pos.Line, problems[0].Pos.Column))
	}
	return Compile(d)
}
