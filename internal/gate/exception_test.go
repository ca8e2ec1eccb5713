package gate_test

import (
	"testing"
	"time"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/finding"
	"drawbridge/internal/gate"
	"drawbridge/internal/snapshot"
)

// TestException: an exception accepts the gain that was seen, until it expires, and no wider one; the same gain of another run has the same fingerprint.
func TestException(t *testing.T) {
	base := world(t)
	base.Resources[0].Policy = snapshot.Document{Name: "resource policy", State: snapshot.None}
	plan := func(resource, space string) *change.Plan {
		r := base.Resources[0]
		r.Policy = d(t, "resource policy", `{"Version":"2012-10-17","Statement":[{`+space+`"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"s3:GetObject","Resource":"`+resource+`"}]}`)
		return &change.Plan{Steps: []change.Step{up(nil, one(change.ResourcePolicy{Resource: r}))}}
	}
	run := func(p *change.Plan, exceptions ...finding.Exception) *gate.Result {
		r := gate.Judge(base, p, gate.Options{Now: at, Engine: ref.Engine(), Exceptions: exceptions})
		show(t, r)
		return r
	}
	r := run(plan(bkt+"/public/*", ""))
	if len(r.Gains) != 1 || !r.Refuses(&r.Gains[0]) {
		t.Fatal("the plan is to give one thing that is refused")
	}
	accepts := finding.Exception{Fingerprint: r.Gains[0].Fingerprint, Owner: "x@example.com", Reason: "r", Expires: at.Add(time.Hour)}
	if r := run(plan(bkt+"/public/*", ""), accepts); !r.Passes() || r.Status() != "accepted" || r.Gains[0].Accepted == nil {
		t.Errorf("accepted: %s", r.Status())
	}
	if r := run(plan(bkt+"/public/*", "\n  "), accepts); !r.Passes() {
		t.Errorf("the same in another layout: %s", r.Status())
	}
	if r := run(plan(bkt+"/*", ""), accepts); r.Passes() {
		t.Errorf("wider: %s", r.Status())
	}
	accepts.Expires = at
	if r := run(plan(bkt+"/public/*", ""), accepts); r.Passes() || r.Gains[0].Expired == nil {
		t.Errorf("expired: %s", r.Status())
	}
}

// TestExceptionOfReach: rights that one account may come to use are accepted for that account, and not for one that comes later.
func TestExceptionOfReach(t *testing.T) {
	step := up(nil, one(change.Inline{Owner: roleC, Document: d(t, "q", stmt(`{"Effect":"Allow","Action":"*","Resource":"*"}`))}))
	run := func(trusted string, exceptions ...finding.Exception) *gate.Result {
		b := world(t)
		b.Roles[2].Trust = d(t, "trust policy", stmt(`{"Effect":"Allow","Principal":{"AWS":[`+trusted+`]},"Action":"sts:AssumeRole"}`))
		r := gate.Judge(b, &change.Plan{Steps: []change.Step{step}}, gate.Options{Now: at, Engine: ref.Engine(), Exceptions: exceptions})
		show(t, r)
		return r
	}
	var all []finding.Exception
	for _, g := range run(`"` + roleA + `"`).Gains {
		all = append(all, finding.Exception{Fingerprint: g.Fingerprint, Owner: "x@example.com", Reason: "r", Expires: at.Add(time.Hour)})
	}
	if r := run(`"`+roleA+`"`, all...); !r.Passes() {
		t.Errorf("accepted: %s", r.Status())
	}
	if r := run(`"`+roleA+`","arn:aws:iam::999999999999:root"`, all...); r.Passes() {
		t.Errorf("somebody else can come to use it: %s", r.Status())
	}
}

// TestExceptionOfUnknown: what could not be judged is accepted too, and other things that could not be are not.
func TestExceptionOfUnknown(t *testing.T) {
	s := up(nil, nil)
	s.Unknown = []change.Unknown{{Attribute: "policy", Of: bkt, Why: "is computed"}}
	r := judge(t, world(t), s)
	if r.Passes() || r.Status() != "cannot be judged" {
		t.Fatal(r.Status())
	}
	o := gate.Options{Now: at, Engine: ref.Engine(), Exceptions: []finding.Exception{{Fingerprint: r.Unjudged[0].Fingerprint, Owner: "x", Reason: "r", Expires: at.Add(time.Hour)}}}
	if r := gate.Judge(world(t), &change.Plan{Steps: []change.Step{s}}, o); !r.Passes() || r.Status() != "accepted" {
		t.Errorf("accepted: %s", r.Status())
	}
	s.Address = "y"
	if r := gate.Judge(world(t), &change.Plan{Steps: []change.Step{s}}, o); r.Passes() {
		t.Errorf("another resource of the code: %s", r.Status())
	}
}
