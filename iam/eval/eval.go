// Package eval decides AWS requests: identity, resource, trust, boundary, session, SCP, RCP and endpoint policies against
// one request, by the numbered rules of docs/reference/semantics.md.
//
//	caller, err := eval.NewCaller("arn:aws:iam::111122223333:role/reader")
//	action, err := eval.ActionOf("s3:GetObject")
//	engine := ref.Engine() // or new(eval.Evaluator), without the dated tables of package ref
//	d := engine.Decide(&eval.Request{
//		Caller: caller, Action: action, Resource: "arn:aws:s3:::reports/2026.pdf", ResourceAccount: "111122223333",
//		Policies: &eval.Policies{Identity: eval.Set{Policies: []*policy.Policy{compiled}}},
//	})
//	fmt.Println(d.Verdict, d.By.Layer, d.LeftOver)
//
// There is one evaluator. A concrete question (every context key known), a conditional one (some keys unknown), a
// symbolic one (the caller is "some principal of account X" or "anyone") and a traced one differ in what they put into
// the Request and the Evaluator, not in the code that answers. The answer is Allow, Deny or Unknown; Unknown comes
// with the conditions left over, in normal form, and stands for possible access to a scanner and for a refusal to a
// broker.
//
// How: every statement is a three-valued term. The layers are combined by AND, OR and NOT over terms, written once in
// combine. A first pass carries truth values only and allocates nothing; where it ends in Unknown, a second pass over
// the same code carries formulas too, and may still find that the unknown parts contradict each other (Deny) or cover
// every case (Allow).
//
// The package reads no file and no clock, knows no reference table (those are passed in), and never panics on a policy
// that Parse accepted.
package eval

import (
	"drawbridge/iam/cond"
	"drawbridge/iam/policy"
)

// Verdict is the answer to a request. The zero value is Unknown.
type Verdict uint8

const (
	Unknown Verdict = iota
	Allow
	Deny
)

func (v Verdict) String() string { return [...]string{"Unknown", "Allow", "Deny"}[v] }

// Layer is a kind of policy in the order in which it is applied.
type Layer uint8

const (
	NoLayer  Layer = iota
	RCP            // resource control policies of the resource's account
	SCP            // service control policies of the caller's account
	Trust          // the trust policy of the role that is assumed
	Resource       // the policy of the resource
	Identity       // policies of the caller, its groups included
	Boundary       // permissions boundary of the caller
	Session        // policies of the caller's session
	Endpoint       // policy of the VPC endpoint that the request passes
	Point          // policy of the S3 access point through which the request comes (rule 135)
	AWS            // AWS itself, whatever the policies: what it always allows (rule 105), and what it never does
	layers
)

func (l Layer) String() string {
	return [...]string{"none", "rcp", "scp", "trust", "resource", "identity", "boundary", "session", "endpoint", "access point", "aws"}[l]
}

// namesPrincipals: policies of the resource's side say whom they concern; those of the caller's side are attached to it
// (rule 17).
func (l Layer) namesPrincipals() bool {
	return l == Trust || l == Resource || l == RCP || l == Endpoint || l == Point
}

// Set is the policies of one layer, or of one level of a layer. Unresolved says, in plain words each, what applies and
// could not be read ("policy arn:… is not in the input"): what it might allow is possible, and so is what it might deny. An empty Set is "read, and there is nothing
// in it"; where a layer does not apply at all, the field of Policies that holds it is nil.
type Set struct {
	Policies   []*policy.Policy
	Unresolved []string
}

// Policies are all that bear on a request.
type Policies struct {
	Identity Set
	Boundary *Set  // nil: the caller has none
	Session  *Set  // nil: the session carries none (rule 12)
	SCPs     []Set // one per level from root to account; every level must allow (rule 90); nil: none apply
	RCPs     []Set // levels of the resource's account; nil: none apply. RCPFullAWSAccess is implied (rule 94)
	Resource *Set  // resource or trust policy; nil: the resource has none
	Endpoint *Set  // nil: the request passes no endpoint with a policy (rule 103)
	Gateway  bool  // the endpoint is a gateway endpoint (rule 104)
	// CallerAssumed: the caller's account is outside what was collected. Its side is taken at its worst: identity policies
	// allow, nothing limits, no SCP applies. The Decision repeats it.
	CallerAssumed bool
}

// Request is one question.
type Request struct {
	Caller *Caller
	Action Action
	// Resource is an ARN, or "*" for an action without a resource (rule 88), which is decided in the caller's account unless
	// ResourceAccount says otherwise. A pattern is taken literally: it is allowed
	// where a statement covers all of it.
	Resource string
	// ResourceAccount owns the resource; "" where it is not known and the ARN does not carry it.
	ResourceAccount string
	// Context holds the request's keys; its parents should end in Caller.Context(…). nil means Caller's own keys.
	Context  *cond.Context
	Policies *Policies
	// Facts are what else is known of the resource; nil: nothing special.
	Facts *Facts
}

// Ref names a statement: its layer, the level of an SCP or RCP from the root, the document's index in the Set and the
// statement's index in the document. Statement is -1 where a layer decided without a statement (nothing allowed).
type Ref struct {
	Layer               Layer
	Level               int16
	Document, Statement int32
}

// NoRef is the Ref of nothing.
var NoRef = Ref{Statement: -1, Document: -1}

// Decision is the answer.
type Decision struct {
	Verdict Verdict
	// Explicit: the denial is by a Deny statement; false: nothing allowed (rule 2).
	Explicit bool
	// By is what decided: the denying statement, the layer that did not allow, or the statement that granted.
	By Ref
	// Identity and Resource are the statements on both sides that allow, NoRef where there is none.
	Identity, Resource Ref
	// LeftOver is what must still be true for a verdict Unknown; Always for Allow, Never for Deny.
	LeftOver cond.Formula
	// CallerAssumed: the caller's side was not seen but taken at its worst.
	CallerAssumed bool
}

// Step is one statement that the evaluator looked at, for a trace.
type Step struct {
	Ref
	Effect policy.Effect
	// Matched: whether the statement applies. Stopped is the element that did not match, "" where all did or may.
	Matched cond.Truth
	Stopped string
}

// Evaluator decides requests. The zero value is ready; it keeps no state between decisions, so that one may be shared.
type Evaluator struct {
	// RCPServices are the service prefixes that RCPs reach, a dated list from package ref (rule 95); nil: every service.
	RCPServices map[string]bool
	// KMSAcrossAccounts are the KMS actions, in lower case, that reach a key of another account, a dated list from package ref
	// (rule 48); nil: every action.
	KMSAcrossAccounts map[string]bool
	// Readings are the points of the rules that are to be read the other way.
	Readings cond.Readings
	// Trace receives every statement looked at. With a trace nothing is cut short: each layer is evaluated to its end.
	Trace func(Step)
}

// Decide answers one request. It does not allocate where the verdict follows without unknown keys and no statement in
// question carries a variable. A request without a caller or without policies is not decided: Unknown.
func (e *Evaluator) Decide(r *Request) Decision {
	if r.Caller == nil || r.Policies == nil {
		return Decision{By: NoRef, Identity: NoRef, Resource: NoRef, LeftOver: cond.NotUnderstood("the request has no caller or no policies")}
	}
	run := run{e: e, r: r, ctx: r.Context, trace: e.Trace}
	if run.ctx == nil {
		run.ctx = r.Caller.Context()
	}
	d := run.decide()
	if d.Verdict != Unknown {
		return d
	}
	run.trace = nil
	run.collect = true
	return run.decide()
}

// DecideAll answers many requests, in order, into out, which must be as long.
func (e *Evaluator) DecideAll(requests []Request, out []Decision) {
	for i := range requests {
		out[i] = e.Decide(&requests[i])
	}
}
