package compare

import (
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
)

// Witness is a request that one side allows and the other denies. Every key that is not in Context, and does not follow from the
// caller, is absent.
type Witness struct {
	Caller          *eval.Caller
	Action          eval.Action
	Resource        string // as in eval.Request
	ResourceAccount string // as in eval.Request
	Context         map[string][]string
	// Allowing and Denying are all policies of the request by the one side and by the other. Beside the compared policies
	// they hold what the other layers were taken for.
	Allowing, Denying *eval.Policies
}

// Request is the witness as a question to the evaluator, with the policies of one side.
func (w *Witness) Request(p *eval.Policies) *eval.Request {
	ctx := &cond.Context{Parent: w.Caller.Context()}
	for key, values := range w.Context {
		ctx.Set(key, values...)
	}
	return &eval.Request{Caller: w.Caller, Action: w.Action, Resource: w.Resource, ResourceAccount: w.ResourceAccount, Context: ctx, Policies: p}
}

// request puts one side into the place that its kind has in a request, and takes the other layers as open as they can be.
func (c *comparison) request(q question, side []*policy.Policy, subject *eval.Caller, ctx *cond.Context) *eval.Request {
	p := &eval.Policies{}
	r := &eval.Request{Caller: subject, Action: q.action, Resource: q.resource, Context: ctx, Policies: p}
	if c.kind == policy.Identity {
		p.Identity.Policies = side
		if q.resource != "*" {
			p.Resource = &eval.Set{Policies: []*policy.Policy{delegation(subject)}}
			if r.ResourceAccount = arn.Account(q.resource); !arn.IsAccountID(r.ResourceAccount) {
				r.ResourceAccount = subject.Account
			}
		}
		return r
	}
	p.Resource = &eval.Set{Policies: side}
	r.ResourceAccount = c.owner
	p.CallerAssumed = subject.Kind == eval.AnyPrincipal
	if subject.Account == "" || subject.Kind == eval.Root {
		return r
	}
	if q.side != bare {
		p.Identity.Policies = everything
	}
	if q.side == bounded {
		p.Boundary = &eval.Set{}
	}
	return r
}

// everything is an identity policy that allows everything.
var everything = []*policy.Policy{allow(policy.PrincipalElement{})}

// delegation is a resource policy that leaves everything to the identity policies of the caller's account.
func delegation(subject *eval.Caller) *policy.Policy {
	account := subject.Account
	if subject.Kind == eval.AnyPrincipal {
		account = "*"
	}
	return allow(policy.PrincipalElement{Present: true, Values: []policy.PrincipalValue{{Type: policy.AWS, Text: policy.Text{Value: account}}}})
}

func allow(who policy.PrincipalElement) *policy.Policy {
	all := policy.Element{Present: true, Values: []policy.Text{{Value: "*"}}}
	return policy.Compile(&policy.Document{
		Version:    policy.Text{Value: "2012-10-17"},
		Statements: []policy.Statement{{Effect: policy.Allow, Principal: who, Action: all, Resource: all}},
	})
}

// confirm makes a concrete request of the keys under which a difference can hold, and asks the evaluator about it.
func (s *search) confirm(q question, more cond.Formula, found *cond.Context) (cond.Truth, Difference, string) {
	unconfirmed := "no request was found that shows whether it can be that " + more.String()
	w := Witness{Caller: s.member(q.caller, found), Action: q.action, Resource: q.resource}
	if w.Caller == nil {
		return cond.Unknown, Difference{}, unconfirmed
	}
	var consistent bool
	if w.Context, consistent = contextOf(found, w.Caller); !consistent {
		return cond.Unknown, Difference{}, unconfirmed
	}
	allowing, denying := s.request(q, s.to, w.Caller, nil), s.request(q, s.from, w.Caller, nil)
	w.ResourceAccount, w.Allowing, w.Denying = allowing.ResourceAccount, allowing.Policies, denying.Policies
	if owner := valueOf(found, "aws:resourceaccount"); arn.IsAccountID(owner) && !arn.IsAccountID(arn.Account(q.resource)) && s.kind == policy.Identity && q.resource != "*" {
		w.ResourceAccount = owner
	}
	yes := s.o.Engine.Decide(w.Request(w.Allowing))
	no := s.o.Engine.Decide(w.Request(w.Denying))
	if yes.Verdict != eval.Allow || no.Verdict != eval.Deny {
		return cond.Unknown, Difference{}, unconfirmed
	}
	d := Difference{
		Allows: nowhere, Denies: nowhere, Actions: q.names(), Resource: q.resource, Unusual: !usual(q.action, q.resource),
		Who: []string{q.caller.who}, Conditions: more, Witness: w, anyone: q.caller.anyone,
	}
	by := yes.Resource
	if s.kind == policy.Identity {
		by = yes.Identity
	}
	d.Allows = placeOf(s.to, by)
	if no.Explicit {
		d.Denies = placeOf(s.from, no.By)
	}
	return cond.True, d, ""
}

// contextOf are the keys of a witness that do not follow from the caller. Consistent: none contradicts what does.
func contextOf(found *cond.Context, caller *eval.Caller) (values map[string][]string, consistent bool) {
	values, consistent = map[string][]string{}, true
	found.Keys(func(name string, state cond.State, v []string) bool {
		known, own := (&cond.Context{Parent: caller.Context(), Rest: cond.Undetermined}).Lookup(strings.ToLower(name))
		switch {
		case state == cond.Undetermined:
		case strings.EqualFold(name, "aws:userid") && state == cond.Present:
			values[name] = v // the unique id is no part of a caller's name
		case known != cond.Undetermined:
			consistent = consistent && known == state && slices.Equal(own, v)
		case state == cond.Present && (len(v) > 0 || several(name)):
			values[name] = v
		}
		return true
	})
	return values, consistent
}

// several reports whether a key may have several values, so that an empty set of them is not the same as none.
func several(key string) bool {
	k, ok := ref.LookupKey(key)
	return !ok || k.Multivalued
}

// placeOf is the statement that a decision names.
func placeOf(side []*policy.Policy, by eval.Ref) Place {
	if by.Document < 0 || by.Statement < 0 || int(by.Document) >= len(side) || int(by.Statement) >= len(side[by.Document].Document.Statements) {
		return nowhere
	}
	s := &side[by.Document].Document.Statements[by.Statement]
	return Place{Document: int(by.Document), Statement: int(by.Statement), Sid: s.Sid.Value, Pos: s.Pos}
}
