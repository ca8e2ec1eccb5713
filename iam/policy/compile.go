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
	Rules    []Rule // one for each statement, in order
}

// Rule is a compiled statement.
type Rule struct {
	Effect     Effect
	Principals Principals
	Actions    Actions
	Resources  Resources
	Condition  cond.Block // every test must hold (rule 55)
	// NotUnderstood is why the statement cannot be evaluated with certainty, "" where it can: an element that this engine
	// does not know, or a value that it cannot read. Such a statement is Unknown for everybody whom it may concern; the
	// element at fault is compiled so that it excludes nobody. A principal of UnknownForm does not count here: it is
	// Unknown by itself, and the principals beside it are not.
	NotUnderstood string
}

// Principals is a compiled Principal or NotPrincipal. Package eval matches it against a caller.
type Principals struct {
	Present bool                // false: the statement has neither, as in a policy of the caller's side (rule 17)
	Not     bool                // NotPrincipal
	Values  []CompiledPrincipal // in the order written
}

// CompiledPrincipal is one principal value in the form in which a caller is compared with it.
type CompiledPrincipal struct {
	Type PrincipalType // the key under which the value stands
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
	Not   bool       // NotAction: what no pattern matches
	Globs []arn.Glob // in the order written
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
	Present bool              // false: the statement has neither
	Not     bool              // NotResource: what no pattern matches
	Short   bool              // some value is an ARN of less than six fields (rule 86)
	Values  []ResourcePattern // in the order written
}

// ResourcePattern is one value of Resource. Where it carries variables, Template holds them and Pattern is unused.
type ResourcePattern struct {
	Pattern  arn.Pattern
	Template *cond.Template
}

// Compile turns a document into the form that is evaluated. It cannot fail: a statement that is not understood is kept and
// says so. A document with a Fatal problem must not be compiled.
func Compile(d *Document) *Policy { return CompileUnder(d, 0) }

// CompileUnder is Compile with some readings of the rules taken the other way (cond.Compiled lists those that matter here).
func CompileUnder(d *Document, other cond.Readings) *Policy {
	p := &Policy{Document: d, Rules: make([]Rule, len(d.Statements))}
	for i := range d.Statements {
		p.Rules[i] = compileStatement(&d.Statements[i], d.Variables(), other)
	}
	return p
}

func compileStatement(s *Statement, variables bool, other cond.Readings) Rule {
	r := Rule{
		Effect:        s.Effect,
		Principals:    compilePrincipals(&s.Principal),
		Actions:       compileActions(&s.Action),
		NotUnderstood: s.NotUnderstood,
	}
	var reason string
	r.Resources, reason = compileResources(&s.Resource, variables)
	if r.NotUnderstood == "" {
		r.NotUnderstood = reason
	}
	// A document built in the program has not been through Parse.
	if r.NotUnderstood == "" {
		switch {
		case s.Effect == NoEffect:
			r.NotUnderstood = "the statement has no Effect"
		case !s.Action.Present:
			r.NotUnderstood = "the statement has neither Action nor NotAction"
		}
	}
	for _, c := range s.Condition {
		if c.Incomplete {
			continue // tests are ANDed: without this one the statement covers more, never less
		}
		values := make([]string, len(c.Values))
		for i := range c.Values {
			values[i] = c.Values[i].Value
		}
		r.Condition = append(r.Condition, cond.CompileTestUnder(other, c.Operator.Value, c.Key.Value, values, variables))
	}
	return r
}

// compileActions folds case (rule 80). A statement whose element is missing or incomplete matches every action, so that
// what is wrong with it is Unknown for each of them.
func compileActions(e *Element) Actions {
	if !e.Present || e.Incomplete {
		return Actions{Not: true}
	}
	a := Actions{Not: e.Not, Globs: make([]arn.Glob, len(e.Values))}
	for i, v := range e.Values {
		a.Globs[i] = arn.CompileGlob(strings.ToLower(v.Value))
	}
	return a
}

// compileResources splits patterns and cuts variables. The reason is why some value is not understood, "" where all are;
// such a value excludes no resource from the statement.
func compileResources(e *Element, variables bool) (r Resources, reason string) {
	if !e.Present || e.Incomplete {
		return Resources{}, ""
	}
	r = Resources{Present: true, Not: e.Not, Values: make([]ResourcePattern, 0, len(e.Values))}
	for _, v := range e.Values {
		r.Short = r.Short || strings.HasPrefix(v.Value, "arn:") && strings.Count(v.Value, ":") < 5
		p, err := compileResource(v.Value, variables)
		if err != nil {
			if reason == "" {
				reason = err.Error()
			}
			if e.Not {
				continue
			}
			p = ResourcePattern{Pattern: arn.CompilePattern(v.Value[:strings.Index(v.Value, "${")] + "*")}
		}
		r.Values = append(r.Values, p)
	}
	return r, reason
}

// compileResource compiles one value. Variables stand after the fifth colon only (rule 75).
func compileResource(value string, variables bool) (ResourcePattern, error) {
	first := strings.Index(value, "${")
	if !variables || first < 0 {
		return ResourcePattern{Pattern: arn.CompilePattern(value)}, nil
	}
	if !strings.HasPrefix(value, "arn:") || strings.Count(value[:first], ":") < 5 {
		return ResourcePattern{}, fmt.Errorf("resource %q has a variable before its fifth colon", value)
	}
	t, err := cond.CompileTemplate(value)
	return ResourcePattern{Template: t}, err
}

func compilePrincipals(e *PrincipalElement) Principals {
	p := Principals{Present: e.Present, Not: e.Not}
	for _, v := range e.Values {
		p.Values = append(p.Values, CompilePrincipal(v.Type, v.Value))
	}
	if e.Incomplete {
		p.Values = append(p.Values, CompiledPrincipal{Value: "that could not be read"})
	}
	return p
}

// CompilePrincipal tells the form of a principal value. A value of no documented form has UnknownForm.
// Source: IAM User Guide, "AWS JSON policy elements: Principal".
func CompilePrincipal(typ PrincipalType, s string) CompiledPrincipal {
	p := CompiledPrincipal{Type: typ, Value: s}
	switch {
	case typ == AnyPrincipal || typ == AWS && s == "*":
		p.Form = Everyone
	case strings.ContainsAny(s, "*?"): // rules 54, 119: "*" stands alone, under AWS
	case typ == AWS:
		compileAWSPrincipal(&p, s)
	case typ == Service && isHost(s):
		p.Form = ServiceForm
	case typ == Federated:
		compileProvider(&p, s)
	case typ == CanonicalUser && isCanonicalID(s):
		p.Form = CanonicalForm
	}
	return p
}

// originAccess begins the ARN of a CloudFront origin access identity, an identity of CloudFront in no account.
// Source: CloudFront Developer Guide, "Restrict access to an Amazon S3 origin".
const originAccess = "user/CloudFront Origin Access Identity "

func compileAWSPrincipal(p *CompiledPrincipal, s string) {
	switch {
	case arn.IsAccountID(s):
		p.Form, p.Account = AccountForm, s
		return
	case arn.IsUniqueID(s):
		p.Form = UniqueIDForm
		return
	}
	a, err := arn.Parse(s)
	if err != nil || a.Region != "" {
		return
	}
	if a.Service == "iam" && a.Account == "cloudfront" && strings.HasPrefix(a.Resource, originAccess) {
		p.Form, p.Partition = UserForm, a.Partition
		return
	}
	if !arn.IsAccountID(a.Account) {
		return
	}
	switch {
	case a.Service == "iam" && a.Resource == "root":
		p.Form = AccountForm
	case a.Service == "iam" && named(a.Resource, "user/"):
		p.Form = UserForm
	case a.Service == "iam" && named(a.Resource, "role/"):
		p.Form = RoleForm
	case a.Service == "sts" && named(a.Resource, "assumed-role/") && strings.Count(a.Resource, "/") == 2 && !strings.Contains(a.Resource, "//"):
		p.Form = SessionForm
	case a.Service == "sts" && named(a.Resource, "federated-user/"):
		p.Form = FederatedUser
	default:
		return
	}
	p.Account, p.Partition = a.Account, a.Partition
}

// compileProvider tells a provider's ARN from the host of an issuer that needs none (rule 120).
func compileProvider(p *CompiledPrincipal, s string) {
	a, err := arn.Parse(s)
	switch {
	case err != nil && isHost(s):
		p.Form = IssuerForm
	case err == nil && a.Service == "iam" && arn.IsAccountID(a.Account) && (named(a.Resource, "oidc-provider/") || named(a.Resource, "saml-provider/")):
		p.Form, p.Account, p.Partition = ProviderForm, a.Account, a.Partition
	}
}

// named reports whether a resource is of a type and ends in a name.
func named(resource, typ string) bool {
	return strings.HasPrefix(resource, typ) && len(resource) > len(typ) && !strings.HasSuffix(resource, "/")
}

// isHost reports whether s has the shape of a host name: letters, digits, hyphens and at least one dot inside.
func isHost(s string) bool {
	for i := range len(s) {
		c := s[i] | 0x20
		if (c < 'a' || c > 'z') && (s[i] < '0' || s[i] > '9') && s[i] != '-' && s[i] != '.' {
			return false
		}
	}
	return strings.Contains(s, ".") && !strings.HasPrefix(s, ".") && !strings.HasSuffix(s, ".")
}

// isCanonicalID reports whether s has the shape of a canonical user id: 64 hexadecimal digits.
func isCanonicalID(s string) bool {
	return len(s) == 64 && strings.Trim(strings.ToLower(s), "0123456789abcdef") == ""
}

// MustParse compiles a document that tests write in the program; it panics on any problem.
func MustParse(text string) *Policy {
	d, problems := Parse([]byte(text))
	if len(problems) > 0 {
		panic("policy: " + problems[0].String())
	}
	return Compile(d)
}
