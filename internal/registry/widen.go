package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/compare"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
)

// Widens says in sentences what an entry lets happen after a change that it did not before: who comes in and what they may do by comparing
// policies, how long, how long without a look, and on whose word. Nothing where it is no wider.
func Widens(before, after *Entry, engine eval.Evaluator) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	for _, target := range after.To.Targets() {
		if !slices.Contains(before.To.Targets(), target) {
			say("it reaches %s", target)
		}
	}
	if after.To.Service != "" && after.To.Service != before.To.Service {
		say("it reaches the service %s", after.To.Service)
	}
	for _, p := range after.From.Principals {
		if OfBroker(p) && !slices.Contains(before.From.Principals, p) {
			say("it lets in %s", p) // whom the policies that are compared below do not have
		}
	}
	if after.To.Role != "" && len(before.From.Sources()) > 0 {
		was, is := *before, *after
		was.To.Role = after.To.Role // who comes in is asked of the same role
		t := &access.Target{ARN: after.To.Role, Account: access.AccountOf(after.To.Role)}
		compared(policy.Trust, t.Account, was.statements(t, policy.Trust), is.statements(t, policy.Trust), engine, say)
	} else {
		for _, source := range after.From.Sources() {
			if !slices.Contains(before.From.Sources(), source) && !OfBroker(source) {
				say("it lets in %s", source)
			}
		}
		if len(after.TrustConditions) < len(before.TrustConditions) {
			say("it demands fewer conditions")
		}
	}
	switch {
	case len(before.Actions) > 0 && len(after.Actions) == 0:
		say("it says no longer which actions the work needs")
	case len(before.Actions) > 0:
		compared(policy.Identity, access.AccountOf(after.To.Role), before.permissions(), after.permissions(), engine, say)
	}
	longer := func(what string, was, is time.Duration) {
		switch {
		case was > 0 && is == 0:
			say("%s has no limit any more, and had %s", what, FormatSpan(was))
		case was > 0 && is > was:
			say("%s is %s, and was %s", what, FormatSpan(is), FormatSpan(was))
		}
	}
	longer("the longest session", before.Session.Max, after.Session.Max)
	longer("the time between reviews", before.Review.Every, after.Review.Every)
	if before.Session.Chaining == "forbid" && after.Session.Chaining != "forbid" {
		say("sessions may be chained")
	}
	if !maps.Equal(before.Session.Tags, after.Session.Tags) {
		say("its sessions carry other tags, and policies may ask for tags")
	}
	switch {
	case !before.Expires.IsZero() && after.Expires.IsZero():
		say("it does not end any more")
	case after.Expires.After(before.Expires.Time) && !before.Expires.IsZero():
		say("it ends on %s, and ended on %s", after.Expires, before.Expires)
	}
	if !before.demandsNoMore(after, engine) {
		say("of each request a broker demands %s, and demanded %s", demand(after.Context), demand(before.Context))
	}
	if before.Vendor != "" && after.Vendor != before.Vendor {
		say("it does not end with the contract of %s any more", before.Vendor)
	}
	if before.Boundary != "" && after.Boundary != before.Boundary {
		say("its boundary is not %s any more", before.Boundary)
	}
	if after.Approval.Automatic && !before.Approval.Automatic {
		say("it approves by itself, and somebody had to")
	}
	if after.Approval.Required < before.Approval.Required {
		say("%d must approve, and it was %d", after.Approval.Required, before.Approval.Required)
	}
	for _, who := range after.Deciders() {
		if !before.Approval.Automatic && !slices.Contains(before.Deciders(), who) {
			say("%s may approve", who)
		}
	}
	if is, was := max(after.Approval.Denials, 1), max(before.Approval.Denials, 1); is > was {
		say("%d must deny to end a request, and it was %d", is, was)
	}
	if max(after.Review.Reviewers, 1) < max(before.Review.Reviewers, 1) {
		say("%d must review, and it was %d", max(after.Review.Reviewers, 1), before.Review.Reviewers)
	}
	if after.BreakGlass && !before.BreakGlass {
		say("it is for breaking the glass")
	}
	return out
}

// demandsNoMore reports whether a broker lets no request in by the entry as it is after a change that it did not let in before, whatever else it demands: only conditions that are surely as narrow count.
func (e *Entry) demandsNoMore(after *Entry, engine eval.Evaluator) bool {
	policyOf := func(b cond.Block) *policy.Policy {
		s := policy.Statement{Effect: policy.Allow, Action: actions("sts:AssumeRole"), Condition: conditionsOf(b)}
		s.Resource.Present, s.Resource.Values = true, []policy.Text{{Value: "*"}}
		return policy.Compile(&policy.Document{Version: policy.Text{Value: "2012-10-17"}, Statements: []policy.Statement{s}})
	}
	if len(e.Context) == 0 {
		return true
	}
	r := compare.Policies(policy.Identity, []*policy.Policy{policyOf(e.Context)}, []*policy.Policy{policyOf(after.Context)}, compare.Options{Engine: engine})
	return r.NothingNew
}

// demand is what a block of conditions asks for, in words.
func demand(b cond.Block) string {
	if len(b) == 0 {
		return "nothing"
	}
	return b.LeftOver(&cond.Context{Rest: cond.Undetermined}).String()
}

// Deciders are who decides where somebody must: the approvers, and where none are named the owner. An entry that approves by itself has them too, for a grant that was suspended.
func (e *Entry) Deciders() []string {
	if len(e.Approval.Approvers) == 0 {
		return []string{e.Owner}
	}
	return e.Approval.Approvers
}

// compared tells what the engine finds of one policy beyond the other.
func compared(kind policy.Kind, account string, before, after []policy.Statement, engine eval.Evaluator, say func(string, ...any)) {
	of := func(s []policy.Statement) *policy.Document {
		return &policy.Document{Version: policy.Text{Value: "2012-10-17"}, Statements: s}
	}
	was, is := of(before), of(after)
	if was.Key() == is.Key() {
		return
	}
	r := compare.Policies(kind, []*policy.Policy{policy.Compile(was)}, []*policy.Policy{policy.Compile(is)}, compare.Options{Engine: engine, Account: account})
	for _, d := range r.Gained {
		if kind == policy.Identity {
			names := d.Actions
			if len(names) > 5 {
				names = append(slices.Clone(names[:5]), fmt.Sprintf("%d others", len(names)-5))
			}
			say("it allows %s on %s", strings.Join(names, ", "), d.Resource)
			continue
		}
		say("it allows %s", inWords(d))
	}
	if len(r.Gained) == 0 && !r.NothingNew {
		say("whether it allows more could not be decided: %s", r.Undecided[0])
	}
}

// permissions are what the entry's work needs behind the door, as an identity policy.
func (e *Entry) permissions() []policy.Statement {
	s := policy.Statement{Effect: policy.Allow, Action: actions(e.Actions...)}
	s.Resource.Present = true
	for _, r := range e.Resources {
		s.Resource.Values = append(s.Resource.Values, policy.Text{Value: r})
	}
	if len(e.Resources) == 0 {
		s.Resource.Values = []policy.Text{{Value: "*"}}
	}
	return []policy.Statement{s}
}
