package compare

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// caller is one class of callers.
type caller struct {
	who     string // in words
	subject *eval.Caller
	// stands is what the class is of symbolically: a role or a user of the account; NoCaller where subject is one caller.
	stands eval.CallerKind
	own    bool // of the account that owns the resource
	anyone bool // of an account that no policy names: stands for all such
	// net: the class is everybody, and a difference about it is not one of a single account. It catches what the accounts that
	// are asked about may leave out, and decides nothing but that there is no difference.
	net bool
}

// callersOf are the classes of callers that the statements tell apart, those that stand for most first.
func (c *comparison) callersOf() []caller {
	accounts, patterns := c.accounts()
	stranger := fresh(accounts, c.owner)
	var all []caller
	if patterns {
		all = append(all, caller{who: "principals of accounts that a condition names by a pattern", subject: eval.AnyonesPrincipal(), net: true})
	}
	if c.kind == policy.Identity {
		if c.o.Account != "" {
			return c.principals(nil, c.partition, c.o.Account, "the identity")
		}
		all = c.principals(all, c.partition, stranger, "the identity")
		for _, a := range accounts {
			all = c.principals(all, c.partition, a, "the identity, in account "+a)
		}
		return all
	}
	all = c.principals(all, c.partition, stranger, "anyone with an AWS account")
	for i := range all {
		all[i].anyone = true
	}
	if !slices.Contains(accounts, c.owner) {
		accounts = append(accounts, c.owner)
	}
	for _, a := range accounts {
		who := "principals of account " + a
		if a == c.owner {
			who = "principals of its own account"
		}
		all = c.principals(all, c.partition, a, who)
	}
	for rule := range c.rules(c.all) {
		for _, v := range rule.Principals.Values {
			who := "principals of account " + v.Account + " in partition " + v.Partition
			known := slices.ContainsFunc(all, func(k caller) bool { return k.who == who })
			if v.Account != "" && v.Partition != "" && v.Partition != c.partition && !known {
				all = c.principals(all, v.Partition, v.Account, who)
			}
		}
	}
	all = append(all, caller{who: "anonymous", subject: eval.AnonymousCaller()})
	all = append(all, c.named()...)
	all = append(all, caller{who: "AWS services that neither side names", subject: eval.ServiceCaller("unnamed.amazonaws.com")})
	if c.kind == policy.Trust {
		owner := c.owner
		all = append(all,
			caller{who: "identity providers of its account that neither side names", subject: eval.FederatedCaller(eval.WebIdentity, "arn:"+c.partition+":iam::"+owner+":oidc-provider/unnamed.example.com")},
			caller{who: "identity providers of its account that neither side names", subject: eval.FederatedCaller(eval.SAML, "arn:"+c.partition+":iam::"+owner+":saml-provider/unnamed")})
	}
	return all
}

// principals adds the principals of one account.
func (c *comparison) principals(all []caller, partition, account, who string) []caller {
	own := c.kind == policy.Identity || account == c.owner
	all = append(all,
		caller{who: who, subject: eval.SomePrincipal(partition, account), stands: eval.Role, own: own},
		caller{who: who, subject: eval.SomePrincipal(partition, account), stands: eval.User, own: own})
	if c.kind != policy.Identity {
		if root, err := eval.NewCaller(arn.AccountRoot(partition, account)); err == nil {
			all = append(all, caller{who: who, subject: root, own: own})
		}
	}
	return all
}

// named are the callers that statements name and that are no part of a symbolic class: services, providers, federated users,
// and, where NotPrincipal spares them, users and roles.
func (c *comparison) named() []caller {
	byName := map[string]caller{}
	add := func(who string, s *eval.Caller) {
		if _, seen := byName[who]; !seen {
			byName[who] = caller{who: who, subject: s, own: s.Account == c.owner}
		}
	}
	for rule := range c.rules(c.all) {
		for _, v := range rule.Principals.Values {
			switch v.Form {
			case policy.ServiceForm:
				add("the service "+v.Value, eval.ServiceCaller(v.Value))
			case policy.ProviderForm, policy.IssuerForm:
				kind := eval.WebIdentity
				if strings.Contains(v.Value, ":saml-provider/") {
					kind = eval.SAML
				}
				add("identities of "+v.Value, eval.FederatedCaller(kind, v.Value))
			case policy.FederatedUser:
				if s, err := eval.NewCaller(v.Value); err == nil {
					add(v.Value, s)
				}
			case policy.UserForm, policy.RoleForm:
				if s, err := eval.NewCaller(v.Value); err == nil && rule.Principals.Not {
					add(v.Value, s)
				}
			case policy.UniqueIDForm:
				if s, err := eval.NewCaller("arn:" + c.partition + ":iam::" + c.owner + ":role/deleted"); err == nil {
					s.UniqueID = v.Value
					s.Update()
					add("who has the unique id "+v.Value, s)
				}
			}
		}
	}
	names := make([]string, 0, len(byName))
	for n := range byName {
		names = append(names, n)
	}
	slices.Sort(names)
	all := make([]caller, len(names))
	for i, n := range names {
		all[i] = byName[n]
	}
	return all
}

// accounts are the account ids that statements name as principals or in conditions on who calls, sorted. Patterns: some condition
// names accounts by a part of their numbers; one account of each such pattern is among them.
func (c *comparison) accounts() (ids []string, patterns bool) {
	add := func(id string) {
		if strings.Trim(id, "*") != "" && strings.ContainsAny(id, "*?") && !strings.Contains(id, ":") {
			patterns = true
			id = strings.ReplaceAll(id, "?", "1")
			before, after, _ := strings.Cut(id, "*")
			id = before + strings.Repeat("1", max(0, 12-len(before)-len(after))) + after
		}
		if arn.IsAccountID(id) {
			ids = append(ids, id)
		}
	}
	for rule := range c.rules(c.all) {
		for _, v := range rule.Principals.Values {
			add(v.Account)
		}
		for i := range rule.Condition {
			if k := rule.Condition[i].Constraint(); isCallerKey(k.Key) {
				for _, v := range k.Values() {
					add(v)
					add(arn.Account(v))
				}
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids), patterns
}

func isCallerKey(key string) bool {
	return strings.EqualFold(key, "aws:PrincipalAccount") || strings.EqualFold(key, "aws:PrincipalArn")
}

// ownerOf is the account of the resource, or a made-up one.
func (c *comparison) ownerOf() string {
	if c.o.Account != "" {
		return c.o.Account
	}
	accounts, _ := c.accounts()
	return fresh(accounts, fresh(accounts, ""))
}

// fresh is an account id that is none of the known ones.
func fresh(known []string, other string) string {
	for d := 9; ; d-- {
		for e := 8; e >= 0; e-- {
			id := strings.Repeat(fmt.Sprint(d), 4) + strings.Repeat(fmt.Sprint(e), 4) + "7777"
			if !slices.Contains(known, id) && id != other {
				return id
			}
		}
	}
}

// context is what is known of a request by the class: the caller's own keys, whose the resource is, and nothing of the rest.
func (c *comparison) context(k *caller, resource string) *cond.Context {
	ctx := &cond.Context{Parent: k.subject.Context(), Rest: cond.Undetermined}
	switch k.stands {
	case eval.Role:
		ctx.Set("aws:PrincipalType", "AssumedRole")
		ctx.SetAbsent("aws:username")
	case eval.User:
		ctx.Set("aws:PrincipalType", "User")
	}
	if c.ownerKey && resource != "*" {
		if owner := arn.Account(resource); arn.IsAccountID(owner) {
			ctx.Set("aws:ResourceAccount", owner)
		} else if c.kind != policy.Identity && c.o.Account != "" {
			ctx.Set("aws:ResourceAccount", c.o.Account)
		}
	}
	return ctx
}

// demand is what every member of the class has: an ARN of its kind and account, the keys that AWS always sends, and truth
// values where AWS sends such. Only keys that the formula tests count.
// Source: IAM User Guide, "AWS global condition context keys".
func (c *caller) demand(f cond.Formula) cond.Formula {
	all := cond.Always()
	for _, lower := range f.Tests() {
		key, _ := ref.LookupKey(lower)
		if key.Type == ref.Bool {
			operator := "BoolIfExists"
			if always[lower] {
				operator = "Bool"
			}
			all = all.And(test(operator, key.Name, "true", "false"))
			continue
		}
		switch {
		case always[lower]:
			all = all.And(present(key.Name))
		case lower == "aws:principalarn" && c.stands != eval.NoCaller:
			all = all.And(cond.DemandLike(key.Name, c.prefix()+"?*"))
		case lower == "aws:username" && c.stands == eval.User:
			all = all.And(present(key.Name))
		case lower == "aws:userid" && c.stands == eval.Role:
			all = all.And(cond.DemandLike(key.Name, "AROA*:?*"))
		case lower == "aws:userid" && c.stands == eval.User:
			all = all.And(cond.DemandLike(key.Name, "AIDA*"))
		}
	}
	return all
}

// always are the keys that every request has.
var always = map[string]bool{"aws:securetransport": true, "aws:currenttime": true, "aws:epochtime": true}

// prefix is what the ARN of every member begins with.
func (c *caller) prefix() string {
	kind := "role/"
	if c.stands == eval.User {
		kind = "user/"
	}
	return "arn:" + c.subject.Partition + ":iam::" + c.subject.Account + ":" + kind
}

func present(key string) cond.Formula { return test("Null", key, "false") }

func test(operator, key string, values ...string) cond.Formula {
	return cond.Block{cond.CompileTest(operator, key, values, false)}.LeftOver(&cond.Context{Rest: cond.Undetermined})
}

// member is one caller of the class with the keys of a witness.
func (c *comparison) member(k *caller, w *cond.Context) *eval.Caller {
	if k.stands == eval.NoCaller {
		return k.subject
	}
	name := k.prefix() + "example"
	user := valueOf(w, "aws:username")
	switch bound := valueOf(w, "aws:principalarn"); {
	case bound != "":
		name = bound
	case user != "" && k.stands == eval.User:
		name = k.prefix() + user
	}
	s, err := eval.NewCaller(name)
	if err != nil {
		return nil
	}
	id := valueOf(w, "aws:userid")
	if k.stands != eval.Role || id == "" && !c.sessions {
		return s
	}
	unique, session, found := strings.Cut(id, ":")
	if !found {
		session = "example"
	}
	s.UniqueID = unique
	s.Session = "arn:" + s.Partition + ":sts::" + s.Account + ":assumed-role/" + s.ARN[strings.LastIndexByte(s.ARN, '/')+1:] + "/" + session
	s.Update()
	return s
}

// valueOf is the one value of a key, "" where it has none.
func valueOf(ctx *cond.Context, lower string) string {
	if state, values := ctx.Lookup(lower); state == cond.Present && len(values) == 1 {
		return values[0]
	}
	return ""
}
