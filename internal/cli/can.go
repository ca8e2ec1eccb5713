package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/report"
)

// canOptions are the flags of can.
type canOptions struct {
	context  []string
	unknown  []string
	complete bool
	trace    bool
	format   answerFormat
	now      nowFlag
}

func newCan(e *Env) *cobra.Command {
	var o canOptions
	c := &cobra.Command{
		Use:   "can PATH PRINCIPAL ACTION RESOURCE",
		Short: "Say whether a principal may do an action on a resource, and why",
		Long: `Can decides one request by all policies that bear on it: identity policies, boundary, SCPs, the resource's or role's policy and
RCPs. It names the statement that decided, or the layer that did not allow.

PRINCIPAL is the ARN of a user, role, session or root; an account id (some principal of it); the host of a service;
oidc:HOST:SUBJECT; * (anyone with an AWS account); or anonymous.

Condition keys that --context does not give are not known. The answer is then often conditional: it says what must still
be true. With --complete, keys that are not given are absent from the request.`,
		Example: `  drawbridge can examples/acme arn:aws:iam::111100000011:role/acme/ci/deploy-shop sts:AssumeRole arn:aws:iam::111100000022:role/acme/deploy/shop-web
  drawbridge can snapshot 999988887777 sts:AssumeRole arn:aws:iam::444455556666:role/audit --context sts:ExternalId=e-7`,
		Args: cobra.ExactArgs(4),
		RunE: func(_ *cobra.Command, args []string) error { return can(e, &o, args) },
	}
	f := c.Flags()
	f.StringArrayVar(&o.context, "context", nil, "a condition key of the request, `KEY=VALUE`; again with the same key for several values")
	f.StringArrayVar(&o.unknown, "unknown", nil, "a condition `KEY` that is not known, with --complete")
	f.BoolVar(&o.complete, "complete", false, "keys that are not given are absent from the request, not unknown")
	f.BoolVar(&o.trace, "trace", false, "print every statement that was looked at")
	o.format.register(c)
	o.now.register(c)
	identityFlag(c, e)
	codeFlags(c, e)
	return c
}

// canAnswer is the answer in JSON.
type canAnswer struct {
	Principal string `json:"principal"`
	Action    string `json:"action"`
	Resource  string `json:"resource"`
	Verdict   string `json:"verdict"` // Allow, Deny or Unknown
	// Explicit: a Deny statement denies; false: nothing allows.
	Explicit   bool               `json:"explicit"`
	Layer      string             `json:"layer"` // which decided
	Conditions *report.Conditions `json:"conditions,omitempty"`
	DecidedBy  *report.Evidence   `json:"decidedBy,omitempty"`
	// Caller and Target are the statements on the two sides that allow.
	Caller        *report.Evidence `json:"callerSide,omitempty"`
	Target        *report.Evidence `json:"targetSide,omitempty"`
	CallerAssumed bool             `json:"callerAssumed"`
	// DependsOn are the readings of the rules on which the verdict turns, by name.
	DependsOn []string      `json:"dependsOn,omitempty"`
	Trace     []traceAnswer `json:"trace,omitempty"`
}

// traceAnswer is one statement that was looked at.
type traceAnswer struct {
	Layer    string           `json:"layer"`
	Effect   string           `json:"effect"`
	Matched  string           `json:"matched"`           // true, false or unknown
	Stopped  string           `json:"stopped,omitempty"` // the element that did not match
	Evidence *report.Evidence `json:"evidence"`
}

func can(e *Env, o *canOptions, args []string) error {
	if err := o.format.check(); err != nil {
		return err
	}
	now, _, err := o.now.value(e)
	if err != nil {
		return err
	}
	q := access.Question{Principal: args[1], Action: args[2], Resource: args[3], Unknown: o.unknown, Rest: cond.Undetermined, Trace: o.trace}
	if o.complete {
		q.Rest = cond.Absent
	}
	if q.Context, err = contextFlag(o.context); err != nil {
		return err
	}
	for _, key := range o.unknown {
		if _, both := q.Context[key]; both {
			return usagef("condition key %s is given and said to be unknown", key)
		}
	}
	graph, err := e.openGraph(args[0], now)
	if err != nil {
		return err
	}
	answer, err := graph.Decide(q)
	if err != nil {
		return err
	}
	out := canAnswer{
		Principal: q.Principal, Action: q.Action, Resource: q.Resource,
		Verdict: answer.Verdict.String(), Explicit: answer.Explicit, Layer: answer.By.Layer.String(),
		Conditions: conditionsOf(answer.Verdict, answer.LeftOver), DecidedBy: evidenceOf(answer.Decided),
		Caller: evidenceOf(answer.IdentitySide), Target: evidenceOf(answer.ResourceSide), CallerAssumed: answer.CallerAssumed,
	}
	for _, r := range answer.DependsOn {
		out.DependsOn = append(out.DependsOn, r.Record().Name)
	}
	for _, s := range answer.Steps {
		out.Trace = append(out.Trace, traceAnswer{
			Layer: s.Layer.String(), Effect: s.Effect.String(), Matched: s.Matched.String(), Stopped: s.Stopped, Evidence: evidenceOf(s.Evidence),
		})
	}
	return o.format.print(e, out, func(w *textWriter) { w.decision(&q, &answer) })
}

// contextFlag reads KEY=VALUE texts; a key that comes again has several values.
func contextFlag(texts []string) (map[string][]string, error) {
	values := map[string][]string{}
	written := map[string]string{} // by lower case: condition keys have no case
	for _, text := range texts {
		key, value, ok := strings.Cut(text, "=")
		if !ok || key == "" {
			return nil, usagef("--context %q: expected KEY=VALUE, as in aws:SourceIp=203.0.113.7", text)
		}
		lower := strings.ToLower(key)
		if first, again := written[lower]; again {
			key = first
		}
		written[lower] = key
		values[key] = append(values[key], value)
	}
	return values, nil
}

// decision prints an answer with its explanation.
func (w *textWriter) decision(q *access.Question, a *access.Answer) {
	switch {
	case a.Verdict == eval.Allow:
		w.line("Allow: %s may %s on %s.", q.Principal, q.Action, q.Resource)
	case a.Verdict == eval.Deny && a.Explicit:
		w.line("Deny: %s may not %s on %s. A Deny statement of the layer %s decides.", q.Principal, q.Action, q.Resource, a.By.Layer)
	case a.Verdict == eval.Deny:
		w.line("Deny: %s may not %s on %s. No statement of the layer %s allows it.", q.Principal, q.Action, q.Resource, a.By.Layer)
	default:
		w.line("Unknown: %s may %s on %s if", q.Principal, q.Action, q.Resource)
		w.line("  %s", a.LeftOver)
	}
	if a.CallerAssumed {
		w.line("The caller's side was not seen: it is taken at its worst.")
	}
	if a.Verdict == eval.Deny {
		if !none(a.Decided) {
			w.line("  decided by    %s", place(a.Decided))
		}
	} else {
		if !none(a.IdentitySide) {
			w.line("  caller's side %s", place(a.IdentitySide))
		}
		if !none(a.ResourceSide) {
			w.line("  target's side %s", place(a.ResourceSide))
		}
	}
	for _, r := range a.DependsOn {
		record := r.Record()
		w.line("  turns on      reading %s (rule %s): %s", record.Name, strings.Trim(fmt.Sprint(record.Rules), "[]"), record.Safe)
	}
	if len(a.Steps) == 0 {
		return
	}
	w.line("Statements looked at:")
	for _, s := range a.Steps {
		outcome := map[cond.Truth]string{cond.True: "applies", cond.False: "does not apply", cond.Unknown: "may apply"}[s.Matched]
		if s.Stopped != "" {
			outcome += fmt.Sprintf(" (%s)", s.Stopped)
		}
		w.line("  %-8s %-5s %s: %s", s.Layer, s.Effect, place(s.Evidence), outcome)
	}
}
