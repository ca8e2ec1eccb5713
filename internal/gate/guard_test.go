package gate_test

import (
	"slices"
	"testing"

	"drawbridge/internal/change"
	"drawbridge/internal/snapshot"
)

// TestAllowListWidened: an SCP that lists what is allowed lets through more when the list grows.
func TestAllowListWidened(t *testing.T) {
	b := world(t)
	b.Roles[1].Boundary = nil
	b.Roles[1].Inline = []snapshot.Document{d(t, "p", stmt(`{"Effect":"Allow","Action":"iam:*","Resource":"*"}`))}
	o := *b.Organization
	o.SCPs = []snapshot.ControlPolicy{{Name: "list", ARN: "arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-only0001", Targets: []string{"r-root"}, Document: d(t, "list", stmt(`{"Effect":"Allow","Action":["s3:*","sts:*"],"Resource":"*"}`))}}
	b.Organization = &o
	n := o.SCPs[0]
	n.Document = d(t, "list", stmt(`{"Effect":"Allow","Action":["s3:*","sts:*","iam:*"],"Resource":"*"}`))
	if r := judge(t, b, up(one(change.ControlPolicy{ControlPolicy: o.SCPs[0]}), one(change.ControlPolicy{ControlPolicy: n}))); r.Passes() {
		t.Error("passed: role b, held from account A, gains iam:*")
	}
}

// TestTargetsAreThoseStated: a target that a control policy states before and not after is gone, and a bucket outlives its access block.
func TestTargetsAreThoseStated(t *testing.T) {
	b := world(t)
	o := *b.Organization
	scp := snapshot.ControlPolicy{Name: "deny-s3", ARN: "arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-deny0001", Targets: []string{accA, accB}, Document: d(t, "deny-s3", stmt(`{"Effect":"Deny","Action":"s3:*","Resource":"*"}`))}
	o.SCPs = append(append([]snapshot.ControlPolicy{}, o.SCPs...), scp)
	b.Organization = &o
	n := scp
	n.Targets = []string{accA}
	_, after := change.Apply(b, &change.Plan{Steps: []change.Step{up(one(change.ControlPolicy{ControlPolicy: scp}), one(change.ControlPolicy{ControlPolicy: n}))}})
	i := slices.IndexFunc(after.Organization.SCPs, func(c snapshot.ControlPolicy) bool { return c.Name == "deny-s3" })
	if got := after.Organization.SCPs[i].Targets; !slices.Equal(got, []string{accA}) {
		t.Errorf("targets %v, want the one that is stated", got)
	}
	p := b.Resources[0]
	p.Policy = snapshot.Document{Name: "resource policy"}
	_, after = change.Apply(b, &change.Plan{Steps: []change.Step{{Action: change.Delete, Before: one(change.Resource{Resource: p, Part: true})}}})
	if len(after.Resources) != 1 || after.Resources[0].Attributes.PublicAccessBlock != "off" || after.Resources[0].Policy.State != snapshot.Read {
		t.Errorf("after its access block was deleted the bucket is %+v", after.Resources)
	}
}
