package org

import (
	"strings"
	"testing"

	"drawbridge/iam/policy"
	"drawbridge/internal/snapshot"
)

func read(text string) snapshot.Document {
	return snapshot.Document{Name: "document", State: snapshot.Read, Policy: policy.MustParse(text)}
}

const fullAccess = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`

// TestLevels: which SCPs bind an account, and when nobody knows.
func TestLevels(t *testing.T) {
	member := snapshot.Account{ID: "111111111111", Kind: snapshot.Member, UnitPath: "r-root/ou-a"}
	scps := []snapshot.ControlPolicy{{Name: "full", Targets: []string{"r-root", "ou-a", "111111111111"}, Document: read(fullAccess)}}
	for _, c := range []struct {
		name       string
		snapshot   snapshot.Snapshot
		levels     int
		unresolved string // part of the reason of some level
	}{
		{"no organisation", snapshot.Snapshot{Accounts: []snapshot.Account{member}}, 1, "not in the input"},
		{"no SCPs in use", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x"}, Accounts: []snapshot.Account{member}}, 0, ""},
		{"SCPs not read", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x"}, Accounts: []snapshot.Account{member},
			Gaps: []snapshot.Gap{{Kind: snapshot.GapOrganization, Subject: snapshot.SubjectSCPs}}}, 1, "not in the input"},
		{"root, OU, account", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x", SCPs: scps}, Accounts: []snapshot.Account{member}}, 3, ""},
		{"a level without any", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x", SCPs: []snapshot.ControlPolicy{{Name: "full", Targets: []string{"r-root", "111111111111"}, Document: read(fullAccess)}}},
			Accounts: []snapshot.Account{member}}, 3, "lists no SCP attached to r-root/ou-a"},
		{"an unreadable one", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x", SCPs: append(scps, snapshot.ControlPolicy{Name: "odd", Targets: []string{"r-root"}, Document: snapshot.Document{Problem: "cut off"}})},
			Accounts: []snapshot.Account{member}}, 3, "SCP odd: cut off"},
		{"the OU not known", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x", SCPs: scps}, Accounts: []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member}}}, 1, "the OU of account 111111111111"},
		{"the management account", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x", SCPs: scps}, Accounts: []snapshot.Account{{ID: "111111111111", Kind: snapshot.Management, UnitPath: "r-root"}}}, 0, ""},
		{"a vendor", snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x", SCPs: scps}, Accounts: []snapshot.Account{{ID: "111111111111", Kind: snapshot.Vendor}}}, 0, ""},
	} {
		o := Build(&c.snapshot)
		a, ok := o.Account("111111111111")
		if !ok || len(a.SCPs) != c.levels {
			t.Errorf("%s: %d levels, expected %d", c.name, len(a.SCPs), c.levels)
			continue
		}
		var reasons []string
		for _, level := range a.SCPs {
			reasons = append(reasons, level.Unresolved...)
		}
		if all := strings.Join(reasons, "; "); (c.unresolved == "") != (all == "") || !strings.Contains(all, c.unresolved) {
			t.Errorf("%s: unresolved %q, expected %q", c.name, all, c.unresolved)
		}
	}
}

// TestLinks: groups, managed policies and boundaries are found, and what is not there is unresolved, never empty.
func TestLinks(t *testing.T) {
	s := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-x"},
		Accounts:     []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member, Inventoried: true}},
		Groups: []snapshot.Group{{Name: "team", Account: "111111111111", Inline: []snapshot.Document{read(fullAccess)},
			Attached: []snapshot.Attachment{{ARN: "arn:aws:iam::aws:policy/Known"}, {ARN: "arn:aws:iam::aws:policy/Lost"}}}},
		Policies: []snapshot.ManagedPolicy{{ARN: "arn:aws:iam::aws:policy/Known", Document: read(fullAccess)}},
		Users: []snapshot.User{{Principal: snapshot.Principal{ARN: "arn:aws:iam::111111111111:user/ann", Account: "111111111111", UniqueID: "AIDAEXAMPLEANN000001",
			Boundary: &snapshot.Attachment{ARN: "arn:aws:iam::111111111111:policy/lost"}}, Groups: []string{"team", "gone"}}},
		Roles: []snapshot.Role{
			{Principal: snapshot.Principal{ARN: "arn:aws:iam::111111111111:role/r", Account: "111111111111"}, Trust: snapshot.Document{Problem: "cut off"}},
			{Principal: snapshot.Principal{ARN: "arn:aws:iam::111111111111:role/r", Account: "111111111111"}},
		},
		Resources: []snapshot.Resource{
			{ARN: "arn:aws:s3:::b", Account: "111111111111", Policy: snapshot.Document{State: snapshot.None}},
			{ARN: "arn:aws:s3:::c", Account: "111111111111", Policy: snapshot.Document{Problem: "AccessDenied"}},
		},
	}
	o := Build(s)
	ann, ok := o.ByUniqueID("AIDAEXAMPLEANN000001")
	if !ok || len(ann.Identity.Policies) != 2 || len(ann.Identity.Unresolved) != 2 {
		t.Fatalf("ann: %v, %+v", ok, ann)
	}
	if ann.Boundary == nil || len(ann.Boundary.Unresolved) != 1 || len(ann.Boundary.Policies) != 0 {
		t.Errorf("a boundary that is not there: %+v", ann.Boundary)
	}
	role, _ := o.Principal("arn:aws:iam::111111111111:role/r")
	if len(role.Trust.Unresolved) != 1 {
		t.Errorf("an unreadable trust policy: %+v", role.Trust)
	}
	if b, _ := o.Resource("arn:aws:s3:::b"); b.Policy != nil {
		t.Errorf("a bucket without policy: %+v", b.Policy)
	}
	if c, _ := o.ResourceOf("arn:aws:s3:::c/key/x"); c == nil || c.Policy == nil || len(c.Policy.Unresolved) != 1 {
		t.Errorf("an unreadable bucket policy, by an object: %+v", c)
	}
	twice := false
	for _, g := range o.Gaps {
		twice = twice || strings.Contains(g.Reason, "listed twice")
	}
	if !twice || len(o.Principals) != 2 {
		t.Errorf("a role listed twice: %d principals, gaps %v", len(o.Principals), o.Gaps)
	}
}

// TestMembership: what the list says, outside where a known organisation's list lacks it, and unknown where nobody says.
func TestMembership(t *testing.T) {
	accounts := []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member}, {ID: "222222222222"}, {ID: "333333333333", Kind: snapshot.External}}
	known := Build(&snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-x"}, Accounts: accounts})
	alone := Build(&snapshot.Snapshot{Accounts: accounts[1:2]})
	for _, c := range []struct {
		org  *Org
		id   string
		want Membership
	}{
		{known, "111111111111", Inside}, {known, "222222222222", MembershipUnknown}, {known, "333333333333", Outside}, {known, "999999999999", Outside},
		{alone, "222222222222", MembershipUnknown}, {alone, "999999999999", MembershipUnknown},
	} {
		if got := c.org.Membership(c.id); got != c.want {
			t.Errorf("%s in %q: %v, expected %v", c.id, c.org.ID, got, c.want)
		}
	}
}
