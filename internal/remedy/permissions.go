package remedy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/compare"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

// permissions is the work on what a role may do.
type permissions struct {
	role    *org.Principal
	in      Inputs
	grain   Grain
	wanted  []wanted
	used    []*usage.ActionUse
	unseen  bool // nobody declares everything: what a trail cannot show stays
	reasons []string
}

// Permissions narrows what a role may do to what it was seen doing and what its entries allow, at a grain. Conditions and Deny statements
// stay. Inline policies are rewritten; an attached policy, which others may share, is detached, and what is needed of it becomes an inline
// policy. With boundary, nothing of this changes, and a permissions boundary limits the role instead.
func Permissions(role *org.Principal, in Inputs, grain Grain, boundary bool) (*Proposal, error) {
	if role.Role == nil {
		return nil, fmt.Errorf("%s is no role", role.ARN)
	}
	if len(role.Identity.Unresolved) > 0 {
		return nil, fmt.Errorf("what %s may do was not read completely: %s", role.ARN, role.Identity.Unresolved[0])
	}
	n := permissions{role: role, in: in, grain: grain, unseen: true}
	n.collect()
	if len(n.wanted) == 0 {
		return nil, fmt.Errorf("%w (what %s does is neither declared nor recorded)", ErrNoEvidence, roleName(role.ARN))
	}
	p := &Proposal{Subject: role.ARN, Notes: in.evidence(role.Account)}
	narrowed := make([]*policy.Document, len(role.Identity.Policies))
	changed := false
	for i, live := range role.Identity.Policies {
		narrowed[i] = n.document(live, role.Documents[i].Name)
		changed = changed || narrowed[i].Key() != live.Document.Key()
	}
	if !changed {
		return nil, ErrNothing
	}
	if boundary {
		if err := n.boundary(p, narrowed); err != nil {
			return nil, err
		}
	} else {
		n.rewrite(p, narrowed)
	}
	p.Reasons = n.reasons
	if n.unseen {
		p.Notes = append(p.Notes, "actions that no trail records by default (data events), or ever (iam:PassRole), are kept where the policy names their service or something of it is used: silence says nothing of them")
	} else {
		p.Notes = append(p.Notes, "every entry says what it needs: actions that no trail records are kept only where an entry allows them")
	}
	p.Notes = append(p.Notes, tooLong(p.Changes)...)
	if err := n.prove(p, narrowed); err != nil {
		return nil, err
	}
	return p, nil
}

// collect lists what is wanted: the declared first, then what was seen.
func (n *permissions) collect() {
	declared, silent := 0, 0
	seen := map[string]bool{}
	for _, pair := range n.in.Registry.Pairs() {
		if pair.Target != n.role.ARN || pair.Entry.Expires.Over(n.in.Now) || seen[pair.Entry.Name] {
			continue
		}
		seen[pair.Entry.Name] = true
		if declared++; len(pair.Entry.Actions) == 0 {
			silent++
		}
		n.wanted = append(n.wanted, declaredActions(pair.Entry)...)
	}
	n.unseen = declared == 0 || silent > 0
	if n.in.Usage == nil {
		return
	}
	for i := range n.in.Usage.Actions {
		u := &n.in.Usage.Actions[i]
		if u.Caller != n.role.ARN || u.Count == 0 || u.Last.Before(n.in.Since) {
			continue
		}
		n.used = append(n.used, u)
		because := fmt.Sprintf("used %d times in account %s, last on %s", u.Count, u.Account, u.Last.Format(time.DateOnly))
		for _, w := range wantedOf(u.Action, because) {
			w.resources = n.seenOn(u)
			n.wanted = append(n.wanted, w)
		}
	}
}

// seenOn are the resources on which an action was used, nil where the record does not name them for every use.
func (n *permissions) seenOn(u *usage.ActionUse) []string {
	var out []string
	count := 0
	for i := range n.in.Usage.Crossings {
		c := &n.in.Usage.Crossings[i]
		if c.Caller != u.Caller || arn.Account(c.Target) != u.Account && n.accountOf(c.Target) != u.Account {
			continue
		}
		if c.Mechanism == u.Action || "sts:"+c.Mechanism == u.Action {
			out, count = append(out, c.Target), count+c.Count
		}
	}
	if count < u.Count {
		return nil
	}
	return out
}

func (n *permissions) accountOf(target string) string {
	if r, ok := n.in.Graph.Org.Resource(target); ok {
		return r.Account
	}
	return ""
}

// document is a policy narrowed; the same where nothing of it goes.
func (n *permissions) document(live *policy.Policy, name string) *policy.Document {
	d := *live.Document
	d.Statements = nil
	for i := range live.Rules {
		rule, s := &live.Rules[i], live.Document.Statements[i]
		if rule.Effect != policy.Allow || rule.NotUnderstood != "" {
			d.Statements = append(d.Statements, s)
			continue
		}
		kept := narrowActions(s.Action, rule, n.wanted, n.grain, n.unseen)
		where := fmt.Sprintf("%s, statement %d", name, i+1)
		if len(kept.Values) == 0 {
			n.reasons = append(n.reasons, where+" goes: nothing of "+elementWords(s.Action)+" is declared or was seen in use")
			continue
		}
		if !covers(kept, s.Action) {
			n.reasons = append(n.reasons, fmt.Sprintf("%s allows %s instead of %s", where, elementWords(kept), elementWords(s.Action)))
			s.Action = kept
		}
		if n.grain == ResourceGrain {
			d.Statements = append(d.Statements, n.onResources(s, rule, where)...)
			continue
		}
		d.Statements = append(d.Statements, s)
	}
	return &d
}

// covers reports whether what is kept is all that there was, so that the statement can stay as it was written.
func covers(kept, all policy.Element) bool {
	return !all.Not && !slices.ContainsFunc(all.Values, func(v policy.Text) bool {
		return !slices.ContainsFunc(kept.Values, func(k policy.Text) bool { return arn.GlobCovers(strings.ToLower(k.Value), strings.ToLower(v.Value)) })
	})
}

// onResources splits a statement by the resources of its actions: those of which every need names them get these, where the statement
// covers them; the others stay on what the statement names.
func (n *permissions) onResources(s policy.Statement, rule *policy.Rule, where string) []policy.Statement {
	if !s.Resource.Present || s.Resource.Not {
		return []policy.Statement{s}
	}
	groups := map[string][]policy.Text{}
	resources := map[string][]string{}
	var order []string
	for _, a := range s.Action.Values {
		list := n.resourcesOf(a.Value, rule)
		key := strings.Join(list, " ")
		if _, ok := groups[key]; !ok {
			order = append(order, key)
		}
		groups[key], resources[key] = append(groups[key], a), list
	}
	if len(order) == 1 && order[0] == "" {
		return []policy.Statement{s}
	}
	slices.Sort(order)
	var out []policy.Statement
	for i, key := range order {
		part := s
		part.Action.Values = groups[key]
		if i > 0 && s.Sid.Value != "" {
			part.Sid.Value = fmt.Sprintf("%s%d", s.Sid.Value, i+1)
		}
		if key != "" {
			part.Resource.Values = texts(resources[key])
			n.reasons = append(n.reasons, fmt.Sprintf("%s allows %s on %s only", where, elementWords(part.Action), strings.Join(resources[key], ", ")))
		}
		out = append(out, part)
	}
	return out
}

// resourcesOf are the resources on which an action is needed, as far as a statement covers them; nil where a need does not name them, or where
// the statement does not cover one. An action that no trail records, and nobody wants by name, has none.
func (n *permissions) resourcesOf(action string, rule *policy.Rule) []string {
	var out []string
	for i := range n.wanted {
		w := &n.wanted[i]
		if !arn.GlobsIntersect(strings.ToLower(w.pattern), strings.ToLower(action)) {
			continue
		}
		if w.resources == nil || w.whole {
			return nil
		}
		for _, r := range w.resources {
			inside := arn.CompilePattern(r)
			if !slices.ContainsFunc(rule.Resources.Values, func(v policy.ResourcePattern) bool { return v.Template == nil && v.Pattern.Covers(&inside) }) {
				return nil
			}
			out = append(out, r)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// rewrite is the change of the policies themselves.
func (n *permissions) rewrite(p *Proposal, narrowed []*policy.Document) {
	inlineNames := map[string]bool{}
	for i := range n.role.Inline {
		inlineNames[n.role.Inline[i].Name] = true
	}
	for i, live := range n.role.Identity.Policies {
		if narrowed[i].Key() == live.Document.Key() {
			continue
		}
		c := Change{Kind: InlinePolicy, Target: n.role.ARN, Type: "AWS::IAM::Role", Account: n.role.Account, Name: n.role.Documents[i].Name, Before: live.Document, After: narrowed[i]}
		if len(c.After.Statements) == 0 {
			c.After = nil
		}
		if slices.ContainsFunc(n.role.Attached, func(a snapshot.Attachment) bool { return a.ARN == c.Name }) {
			inline := c
			if inline.Name = roleName(c.Name) + "-narrowed"; inlineNames[inline.Name] {
				inline.Name += "-again"
			}
			inline.Before = nil
			c.Kind, c.After = AttachedPolicy, nil
			if inline.After != nil {
				p.Changes = append(p.Changes, inline)
			}
			n.reasons = append(n.reasons, c.Name+" is detached: others may hold it, so that it is not changed itself")
		}
		p.Changes = append(p.Changes, c)
	}
}

// boundary makes a permissions boundary of what the narrowed policies allow. Deny statements stay in the policies.
func (n *permissions) boundary(p *Proposal, narrowed []*policy.Document) error {
	d := &policy.Document{Version: policy.Text{Value: "2012-10-17"}}
	for _, q := range narrowed {
		for _, s := range q.Statements {
			if s.Effect == policy.Allow {
				s.Sid = policy.Text{}
				d.Statements = append(d.Statements, s)
			}
		}
	}
	if len(d.Statements) == 0 {
		return fmt.Errorf("a boundary for %s would allow nothing at all: remove the role instead", n.role.ARN)
	}
	name := roleName(n.role.ARN) + "-boundary"
	c := Change{Kind: BoundaryPolicy, Target: n.role.ARN, Type: "AWS::IAM::Role", Account: n.role.Account, After: d,
		Name: "arn:" + partitionOf(n.role.ARN) + ":iam::" + n.role.Account + ":policy/" + name}
	if n.role.Boundary != nil {
		if len(n.role.Boundary.Unresolved) > 0 || len(n.role.Boundary.Policies) != 1 {
			return fmt.Errorf("the boundary that %s has was not read, so that it cannot be replaced", n.role.ARN)
		}
		old := n.role.Boundary.Policies[0]
		if r := compare.Policies(policy.Identity, []*policy.Policy{old}, []*policy.Policy{policy.Compile(d)}, n.options()); !r.NothingNew {
			return fmt.Errorf("%s has a boundary that keeps out more than the proposed one: narrow its policies instead (--as policies)", n.role.ARN)
		}
		c.Before = old.Document
	}
	p.Changes = append(p.Changes, c)
	return nil
}

func (n *permissions) options() compare.Options {
	return compare.Options{Engine: n.in.Graph.Engine(), Account: n.role.Account}
}

// prove compares what the role may do before and after, and replays what was seen and declared.
func (n *permissions) prove(p *Proposal, narrowed []*policy.Document) error {
	after := make([]*policy.Policy, 0, len(narrowed))
	for _, d := range narrowed {
		after = append(after, policy.Compile(d))
	}
	r := compare.Policies(policy.Identity, n.role.Identity.Policies, after, n.options())
	if len(r.Gained) > 0 {
		return fmt.Errorf("the proposal for %s would allow %s, which it may not do: nothing is proposed", n.role.ARN, r.Gained[0].Actions[0])
	}
	p.Taken, p.NotDecided = r.Lost, r.Undecided
	rebuilt := n.in.Rebuilt(p.Changes)
	role, ok := rebuilt.Org.Principal(n.role.ARN)
	if !ok {
		return fmt.Errorf("%s is not in the changed organisation", n.role.ARN)
	}
	broken := map[string]bool{}
	for i := range n.wanted {
		w := &n.wanted[i]
		for _, name := range w.names() {
			action, err := eval.ActionOf(name)
			if err != nil || broken[name] {
				continue
			}
			for _, resource := range n.resourcesAsked(action, w) {
				if n.in.Graph.Can(n.role, action, resource).Verdict == eval.Deny {
					continue
				}
				if d := rebuilt.Can(role, action, resource); d.Verdict == eval.Deny {
					broken[name] = true
					p.Breaks = append(p.Breaks, Break{n.role.ARN, name + " on " + resource + ", " + w.because, "denied by " + d.By.Layer.String()})
					break
				}
			}
		}
	}
	return nil
}

// resourcesAsked are the resources about which a need is replayed: those that it names, else all that today's statements name for the action.
func (n *permissions) resourcesAsked(action eval.Action, w *wanted) []string {
	if len(w.resources) > 0 {
		return w.resources
	}
	var out []string
	for _, q := range n.role.Identity.Policies {
		for i := range q.Rules {
			rule := &q.Rules[i]
			if rule.Effect != policy.Allow || rule.Resources.Not || !rule.Actions.Match(action.Lower()) {
				continue
			}
			for j := range rule.Resources.Values {
				if v := &rule.Resources.Values[j]; v.Template == nil {
					out = append(out, v.Pattern.String())
				}
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Session proposes the longest session of a role: the longest that an entry needs or that was asked for, and no less than the hour that AWS
// takes. Where nothing says how long sessions are, there is none: it would be a guess.
func Session(role *org.Principal, in Inputs) (*Proposal, error) {
	if role.Role == nil {
		return nil, fmt.Errorf("%s is no role", role.ARN)
	}
	p := &Proposal{Subject: role.ARN, Notes: in.evidence(role.Account)}
	longest, known := time.Duration(0), false
	note := func(d time.Duration, reason string) {
		known, longest = true, max(longest, d)
		p.Reasons = append(p.Reasons, reason)
	}
	for _, pair := range in.Registry.Pairs() {
		if e := pair.Entry; pair.Target == role.ARN && !e.Expires.Over(in.Now) {
			if d := max(e.Use.Needs, e.Session.Max); d > 0 {
				note(d, fmt.Sprintf("entry %s needs %s", e.Name, words(d)))
			}
		}
	}
	if in.Usage != nil {
		for i := range in.Usage.Crossings {
			c := &in.Usage.Crossings[i]
			if c.Target != role.ARN || c.Count == 0 || c.Last.Before(in.Since) || len(c.Sessions) == 0 {
				continue
			}
			if c.MoreSessions {
				return nil, fmt.Errorf("%s asked for more lengths of sessions than the record of use lists: what is enough for it is not known", c.Caller)
			}
			note(slices.Max(c.Sessions), fmt.Sprintf("%s asked for up to %s, last on %s", c.Caller, words(slices.Max(c.Sessions)), c.Last.Format(time.DateOnly)))
		}
	}
	slices.Sort(p.Reasons)
	p.Reasons = slices.Compact(p.Reasons)
	switch {
	case role.Role.MaxSession == 0:
		return nil, fmt.Errorf("the longest session of %s is not in the input: authorization details lack it", role.ARN)
	case !known:
		return nil, ErrNoEvidence
	}
	// AWS takes whole seconds from one hour to twelve.
	after := max(longest.Round(time.Second), time.Hour)
	if after >= role.Role.MaxSession {
		return nil, ErrNothing
	}
	p.Reasons = append(p.Reasons, fmt.Sprintf("the role gives sessions of %s, and %s is enough", words(role.Role.MaxSession), words(after)))
	p.Changes = []Change{{Kind: SessionDuration, Target: role.ARN, Type: "AWS::IAM::Role", Account: role.Account, SessionBefore: role.Role.MaxSession, SessionAfter: after}}
	return p, nil
}

// words is a length of time as people write it.
func words(d time.Duration) string {
	switch {
	case d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	case d%time.Minute == 0:
		return fmt.Sprintf("%d min", d/time.Minute)
	}
	return d.String()
}
