// Package terraform reads Terraform and OpenTofu plans and states into the parts of package change.
//
// A plan is what `terraform show -json PLANFILE` prints, a state what `terraform show -json` prints or a terraform.tfstate file.
// What a plan computes later is unknown and says so: nothing is guessed that could decide the other way. Three things are
// concluded, each described in docs/import-terraform.md: the ARN of what is not made yet from its type, name, account and region; the
// value of a name or an ARN that refers to exactly one other resource; and a data source aws_iam_policy_document from its statements.
package terraform

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// Options are what a plan or state does not tell by itself.
type Options struct {
	File            string // the name of the input in sources and messages
	Account, Region string // where the default provider works; "" for what the file tells
	// Accounts are the account ids of other provider configurations, by the key that the plan gives them: aws.prod.
	Accounts map[string]string
	// Code is the code that was planned; nil where it is not at hand. With it, expressions are evaluated of which the plan knows
	// only what they refer to.
	Code *Code
}

// ReadPlan reads a plan in JSON. The error wraps ErrNotPlan where the input is something else, and begins with line and column
// where the text is broken. What of the plan is not understood is a gap of the result.
func ReadPlan(r io.Reader, o Options) (*change.Plan, error) {
	d := newDecoder(r, o.File)
	doc, err := readDocument(d)
	if err != nil {
		if d.InputOffset() == 0 || isLog(d.places.first) {
			return nil, notJSON(d.places.first, ErrNotPlan, d.fail(err))
		}
		return nil, fmt.Errorf("reading the plan: %w", d.fail(err))
	}
	switch {
	case doc.seen["serial"] && doc.seen["lineage"]:
		return nil, fmt.Errorf("%w: it is a state file", ErrNotPlan)
	case doc.seen["values"] && !doc.seen["planned_values"] && !doc.seen["resource_changes"]:
		return nil, fmt.Errorf("%w: it is a state, as terraform show -json prints it without a plan file", ErrNotPlan)
	case doc.format == "":
		return nil, fmt.Errorf("%w: there is no format_version", ErrNotPlan)
	case !doc.seen["planned_values"] && !doc.seen["resource_changes"]:
		return nil, fmt.Errorf("%w: there are neither resource_changes nor planned_values", ErrNotPlan)
	}
	if err := checkFormat(doc.format, ErrNotPlan); err != nil {
		return nil, err
	}
	w := link(doc, o)
	p := w.plan()
	if doc.errored {
		p.Gaps = append(p.Gaps, w.gap(snapshot.GapFile, "terraform stopped with an error while it planned: changes are missing in the plan"))
	}
	if doc.complete != nil && !*doc.complete && !doc.errored {
		p.Gaps = append(p.Gaps, w.gap(snapshot.GapFile, "the plan is not complete: a further plan is needed after it was applied, and is not judged here"))
	}
	for n := range doc.deferred {
		r := &doc.deferred[n]
		g := w.gap(snapshot.GapElement, r.Address+" is deferred to a later plan, and is not judged here")
		g.Subject, g.Source = r.Address, r.source
		p.Gaps = append(p.Gaps, g)
	}
	if len(doc.changes) == 0 && len(doc.prior) == 0 && len(doc.planned) > 0 {
		p.Gaps = append(p.Gaps, w.gap(snapshot.GapFile, "the plan lists no changes and no prior state: its resources are taken as they are planned"))
	}
	return p, nil
}

func (w *world) gap(kind snapshot.GapKind, reason string) snapshot.Gap {
	return snapshot.Gap{Kind: kind, Subject: w.options.File, Reason: reason, Source: snapshot.Source{File: w.options.File}}
}

// action is what the list of actions means. stays is true where what was there before is left behind in AWS.
func action(actions []string) (a change.Action, stays, known bool) {
	switch strings.Join(actions, " ") {
	case "no-op":
		return change.NoOp, false, true
	case "create":
		return change.Create, false, true
	case "read":
		return change.Read, false, true
	case "update":
		return change.Update, false, true
	case "delete":
		return change.Delete, false, true
	case "delete create", "create delete":
		return change.Replace, false, true
	case "forget":
		return change.NoOp, true, true
	case "create forget", "forget create":
		return change.Create, true, true
	}
	return change.Update, true, false
}

// plan makes steps and standing parts of what was read.
func (w *world) plan() *change.Plan {
	p := &change.Plan{Tool: "terraform", Account: w.account, Region: w.region}
	nowhere := map[string]bool{} // provider keys whose account is not known
	unseen := map[string]int{}   // unplaced types among what stands
	for _, i := range w.instances {
		act, stays, known := change.NoOp, false, true
		changed := len(i.Change.Actions) > 0
		if changed {
			act, stays, known = action(i.Change.Actions)
		}
		if !known {
			g := w.gap(snapshot.GapElement, fmt.Sprintf("%s: the actions %q are not known", i.Address, i.Change.Actions))
			g.Subject, g.Source = i.Address, i.source
			p.Gaps = append(p.Gaps, g)
		}
		if i.Mode == "data" || i.Deposed != "" && w.replaced(i) {
			continue // data is read for the values that others take from it
		}
		if r := byType[i.Type]; r != nil && w.accountOf(i) == "" && strings.Contains(r.ARN, "{account}") && !nowhere[i.providerKey()] {
			nowhere[i.providerKey()] = true
			g := w.gap(snapshot.GapAccount, fmt.Sprintf("the plan does not tell in which account the provider %s works: ARNs of what is not made yet have none", i.providerKey()))
			g.Subject, g.Source = i.Address, i.source
			p.Gaps = append(p.Gaps, g)
		}
		step := change.Step{Address: i.Address, Type: i.Type, Action: act, Source: i.source}
		if i.Deposed != "" {
			step.Address += " (deposed object " + i.Deposed + ")"
		}
		if act == change.NoOp {
			o := i.then
			if o == nil || stays {
				o = i.now
			}
			b := w.build(o, true)
			p.Standing = append(p.Standing, b.parts...)
			p.Unchanged = append(p.Unchanged, b.gaps...)
			if b.unseen != "" {
				unseen[i.Type]++
			}
			if len(b.unknown) > 0 {
				step.Unknown = b.unknown
				p.Steps = append(p.Steps, step)
			}
			continue
		}
		if i.now != nil && act != change.Create {
			b := w.build(i.now, false)
			step.Before = b.parts
			w.besides(i.now, act, &step, p)
			if act == change.Delete && b.unseen != "" {
				p.Gaps = append(p.Gaps, b.unseenGap())
			}
		} else if i.now != nil && stays {
			p.Standing = append(p.Standing, w.build(i.now, true).parts...)
		}
		if i.then != nil && act != change.Delete {
			b := w.build(i.then, false)
			step.After, step.Unknown, step.Sensitive = b.parts, b.unknown, step.Sensitive || b.secret
			p.Gaps = append(p.Gaps, b.gaps...)
			if b.unseen != "" {
				p.Gaps = append(p.Gaps, b.unseenGap())
			}
		}
		if len(step.Before)+len(step.After)+len(step.Unknown) > 0 { // else it decides nothing about access
			p.Steps = append(p.Steps, step)
		}
	}
	types := make([]string, 0, len(unseen))
	for t := range unseen {
		types = append(types, t)
	}
	slices.Sort(types)
	for _, t := range types {
		g := w.gap(snapshot.GapElement, fmt.Sprintf("%d unchanged resources of the type %s are not judged: %s", unseen[t], t, cmp.Or(unplaced[t], "the type is not understood, and has a policy document")))
		if unseen[t] == 1 {
			g.Reason = strings.Replace(strings.Replace(g.Reason, "resources of", "resource of", 1), "are not", "is not", 1)
		}
		g.Subject = t
		p.Unchanged = append(p.Unchanged, g)
	}
	return p
}

// besides adds what a resource has beside what the code says about it: inline policies and attachments that are resources of their own,
// or were made by hand; a policy of a resource. The state lists them with the resource. They stand while it is updated, and go
// with it where it is replaced or deleted.
func (w *world) besides(o *object, act change.Action, step *change.Step, p *change.Plan) {
	said := map[string]bool{}
	for _, part := range step.Before {
		said[partKey(part)] = true
	}
	for _, part := range w.build(o, true).parts {
		if r, ok := part.(change.Resource); ok && r.Policy.State == snapshot.Read {
			if own, ok := first(step.Before).(change.Resource); ok && own.Policy.State != snapshot.Read {
				r.Tags, r.Attributes = nil, snapshot.Attributes{}
				part = change.ResourcePolicy{Resource: r.Resource}
			}
		}
		k := partKey(part)
		if k == "" || said[k] {
			continue
		}
		if act == change.Replace || act == change.Delete {
			step.Before = append(step.Before, part)
		} else {
			p.Standing = append(p.Standing, part)
		}
	}
}

func first(parts []change.Part) change.Part {
	if len(parts) == 0 {
		return nil
	}
	return parts[0]
}

// partKey tells the parts apart that may be there beside what the code says; "" for all others.
func partKey(part change.Part) string {
	switch p := part.(type) {
	case change.Inline:
		return "inline " + p.Owner + " " + p.Document.Name
	case change.Attached:
		return "attached " + p.Owner + " " + p.Policy.ARN
	case change.ResourcePolicy:
		return "policy " + p.ARN
	}
	return ""
}

// replaced reports whether a deposed object is the same thing in AWS as the one that has taken its place: it is then not deleted.
func (w *world) replaced(i *instance) bool {
	if i.now == nil {
		return false
	}
	name, _ := i.now.string("arn")
	for _, other := range w.byName[i.scope.address+" "+i.block()] {
		for _, o := range []*object{other.now, other.then} {
			if o == nil || other.Change.Actions != nil && other.then == nil {
				continue
			}
			if s, _ := o.string("arn"); s != "" && s == name {
				return true
			}
		}
	}
	return false
}
