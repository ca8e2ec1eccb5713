package iamcollect

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"drawbridge/iam/arn"
	"drawbridge/internal/snapshot"
)

// organization is what a folder of organizations/ holds.
type organization struct {
	id, dir, partition string
	management         string
	accounts           map[string]attached // nil: not known
	units              map[string]attached // nil: not known
}

// attached is an account or a unit with the ARNs of the control policies that are attached to it itself.
type attached struct {
	Parent     string   `json:"parent"` // of a unit
	OU         string   `json:"ou"`     // of an account
	SCPs, RCPs []string // ARNs
	Tags       map[string]string
}

func (r *reader) readOrganization(dir, id, partition string) *organization {
	o := &organization{id: id, dir: dir, partition: partition}
	var metadata struct{ ID, RootAccountID string }
	isAccount := func(file, id string) bool {
		if !arn.IsAccountID(id) {
			r.gap(snapshot.GapFile, id, "", "expected the 12 digits of an account; it was left out", path.Join(dir, file))
			return false
		}
		return true
	}
	if _, ok := r.decode(path.Join(dir, "metadata.json"), "", &metadata); ok && isAccount("metadata.json", metadata.RootAccountID) {
		o.management = metadata.RootAccountID
	}
	r.decode(path.Join(dir, "accounts.json"), "", &o.accounts)
	maps.DeleteFunc(o.accounts, func(id string, _ attached) bool { return !isAccount("accounts.json", id) })
	r.decode(path.Join(dir, "ous.json"), "", &o.units)
	return o
}

// takeOrganization puts the organisation into the snapshot, which has one: where there are several, the one with the most accounts. The accounts of the others are outside of it.
func (r *reader) takeOrganization(all []*organization) {
	if len(all) == 0 {
		return
	}
	main := slices.MaxFunc(all, func(a, b *organization) int { return len(a.accounts) - len(b.accounts) })
	for _, o := range all {
		if o == main {
			continue
		}
		r.gap(snapshot.GapOrganization, o.id, "", fmt.Sprintf("a snapshot has one organisation, and %s has more accounts: the accounts of this one are taken for outside, and its units and control policies were not read", main.id), o.dir)
		for id := range o.accounts {
			r.account(id, o.partition).Kind = snapshot.External
		}
	}
	out := &snapshot.Organization{ID: main.id, ManagementAccount: main.management}
	r.b.Organization = out
	r.listing = path.Join(main.dir, "accounts.json")
	if main.accounts == nil {
		r.gap(snapshot.GapOrganization, snapshot.SubjectOrganization, "", "the organisation's accounts.json is not there or could not be read: which accounts belong to it is not known", r.listing)
	}
	if main.units == nil {
		r.gap(snapshot.GapOrganization, snapshot.SubjectOrganization, "", "the organisation's ous.json is not there or could not be read: its units are not known", path.Join(main.dir, "ous.json"))
	}
	for id := range main.units {
		var metadata struct{ Name string }
		r.decode(path.Join(main.dir, "ous", id, "metadata.json"), "", &metadata)
		out.Units = append(out.Units, snapshot.Unit{Path: main.path(id), Name: metadata.Name})
	}
	for id, a := range main.accounts {
		account := r.account(id, main.partition)
		account.Kind, account.UnitPath, account.Tags = snapshot.Member, main.path(a.OU), a.Tags
	}
	if main.management != "" {
		r.account(main.management, main.partition).Kind = snapshot.Management
	}
	if main.accounts != nil && main.units != nil {
		out.SCPs = r.controls(main, "scps", func(a attached) []string { return a.SCPs })
		out.RCPs = r.controls(main, "rcps", func(a attached) []string { return a.RCPs })
	}
	r.organizationPolicy(main)
	r.delegated(main)
}

// path is the chain of ids from the root to a unit.
func (o *organization) path(id string) string {
	p, seen := id, map[string]bool{id: true}
	for {
		parent := o.units[id].Parent
		if parent == "" || seen[parent] {
			return p
		}
		p, id = path.Join(parent, p), parent
		seen[parent] = true
	}
}

// controls reads the SCPs or RCPs with what they are attached to. One that is attached and has no folder is kept without its text: it may deny anything.
func (r *reader) controls(o *organization, kind string, of func(attached) []string) []snapshot.ControlPolicy {
	targets := make(map[string][]string)
	for id, u := range o.units {
		for _, policy := range of(u) {
			targets[policy] = append(targets[policy], o.path(id))
		}
	}
	for id, a := range o.accounts {
		for _, policy := range of(a) {
			targets[policy] = append(targets[policy], id)
		}
	}
	out := []snapshot.ControlPolicy{}
	take := func(p snapshot.ControlPolicy) {
		p.Targets = targets[p.ARN]
		slices.Sort(p.Targets)
		delete(targets, p.ARN)
		out = append(out, p)
	}
	ids, ok := r.dirs(path.Join(o.dir, kind), "")
	if !ok {
		return nil
	}
	for _, id := range ids {
		dir := path.Join(o.dir, kind, id)
		var metadata struct{ ARN, Name string }
		if _, ok := r.decode(path.Join(dir, "metadata.json"), "", &metadata); !ok || metadata.ARN == "" {
			r.gap(snapshot.GapFile, dir, "", "has no metadata.json with an ARN; the policy was not read", dir)
			continue
		}
		name := metadata.Name
		if name == "" {
			name = id
		}
		file := path.Join(dir, "policy.json")
		d, there := r.document(name, kind+" "+name, "", file)
		if !there {
			d = r.unread(name, kind+" "+name, "", "has no policy.json", snapshot.Source{File: dir})
		}
		take(snapshot.ControlPolicy{Name: name, ARN: metadata.ARN, Document: d})
	}
	for _, left := range sortedKeys(targets) {
		take(snapshot.ControlPolicy{Name: path.Base(left), ARN: left, Document: r.unread(path.Base(left), kind+" "+left, "", "is attached, and has no folder", snapshot.Source{File: path.Join(o.dir, kind)})})
	}
	slices.SortStableFunc(out, func(a, b snapshot.ControlPolicy) int { return compare(a.ARN, b.ARN) })
	return out
}

// organizationPolicy reads the organisation's own resource policy, by which it delegates the administration of its policies. It is not there where there is none.
func (r *reader) organizationPolicy(o *organization) {
	name := "arn:" + o.partition + ":organizations::" + o.management + ":resourcepolicy/" + o.id
	if d, there := r.document("resource policy", name, o.management, path.Join(o.dir, "policy.json")); there {
		r.b.Resources = append(r.b.Resources, snapshot.Resource{ARN: name, Type: "AWS::Organizations::ResourcePolicy", Account: o.management, Policy: d, Source: d.Source})
	}
}

// delegated reads which accounts administer services for the organisation.
func (r *reader) delegated(o *organization) {
	var services map[string][]string // accounts by service
	at, ok := r.decode(path.Join(o.dir, "delegated-admins.json"), "", &services)
	if !ok {
		return
	}
	byAccount := make(map[string][]any)
	for _, service := range sortedKeys(services) {
		for _, account := range services[service] {
			byAccount[account] = append(byAccount[account], service)
		}
	}
	for _, account := range sortedKeys(byAccount) {
		r.b.Shares = append(r.b.Shares, snapshot.Share{Kind: "DelegatedAdministrator", Owner: o.management, With: []string{account}, Attributes: map[string]any{"services": byAccount[account]}, Source: at})
	}
}
