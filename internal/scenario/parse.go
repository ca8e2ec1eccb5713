package scenario

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
)

// Scenario is a scenario read into the models of the product.
type Scenario struct {
	ID, Title, Why string
	Now            time.Time
	Snapshot       *snapshot.Snapshot
	Vendors        []snapshot.KnownVendor
	Registry       *registry.Registry
	Parameters     rule.Parameters
	Expect         Expect
	Checks         []Check
}

// Parse reads a scenario; name is the file's, for positions. The error names file, line and column. A policy that cannot
// be read is no error but a gap of what it belongs to, as in any snapshot.
func Parse(data []byte, name string) (*Scenario, error) {
	var f file
	p := &parser{data: data, name: name}
	if err := p.strict(data, 0, &f); err != nil {
		return nil, err
	}
	s := &Scenario{
		ID: f.ID, Title: f.Title, Why: f.Why, Now: f.Now,
		Snapshot:   &snapshot.Snapshot{Version: snapshot.Version, Collected: f.Now},
		Parameters: parameters(f.Settings),
		Expect:     f.Expect, Checks: f.Checks,
	}
	p.snapshot = s.Snapshot
	for _, read := range []func(*file) error{p.organization, p.principals, p.resources} {
		if err := read(&f); err != nil {
			return nil, err
		}
	}
	p.others(&f)
	p.coverage(&f)
	var err error
	if s.Vendors, err = p.vendors(f.Vendors); err != nil {
		return nil, err
	}
	if s.Registry, err = p.entries(f.Registry); err != nil {
		return nil, err
	}
	return s, nil
}

type parser struct {
	data     []byte
	name     string
	snapshot *snapshot.Snapshot
	at       int // where the search for the next element begins
}

// strict decodes one value that begins at offset base of the file and refuses unknown fields.
func (p *parser) strict(raw []byte, base int, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		return nil
	}
	offset := int(d.InputOffset())
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = int(syntax.Offset)
	case errors.As(err, &typ):
		offset = int(typ.Offset)
	case strings.Contains(err.Error(), "unknown field "):
		field := err.Error()[strings.Index(err.Error(), "unknown field ")+len("unknown field "):]
		if i := bytes.Index(raw, []byte(field)); i >= 0 {
			offset = i
		}
	}
	return p.errorAt(base+min(offset, len(raw)), err)
}

// errorAt says where in the file an error is.
func (p *parser) errorAt(offset int, err error) error {
	source := p.place(offset)
	return fmt.Errorf("%s:%d:%d: %w", p.name, source.Line, source.Column, err)
}

// field is the offset of a field's value in the file, for an element at base; base where the element lacks the field.
func field(raw []byte, base int, name string) int {
	if at := regexp.MustCompile(`"` + name + `"\s*:\s*`).FindIndex(raw); at != nil {
		return base + at[1]
	}
	return base
}

// date reads an optional date of the form 2026-12-31, a field of the element at base.
func (p *parser) date(raw []byte, base int, name, value string) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, value)
	if err != nil {
		return t, p.errorAt(field(raw, base, name), fmt.Errorf("%s %q is no date: expected the form 2026-12-31", name, value))
	}
	return t, nil
}

func (p *parser) place(offset int) snapshot.Source {
	before := p.data[:min(offset, len(p.data))]
	return snapshot.Source{
		File:   p.name,
		Line:   int32(bytes.Count(before, []byte("\n")) + 1),
		Column: int32(len(before) - bytes.LastIndexByte(before, '\n')),
	}
}

// locate finds the next element, whose text stands in the file as it was decoded.
func (p *parser) locate(raw []byte) int {
	i := bytes.Index(p.data[p.at:], raw)
	if i < 0 {
		return p.at
	}
	p.at += i + len(raw)
	return p.at - len(raw)
}

// document reads a policy that stands inside an element at offset base.
func (p *parser) document(name, subject string, raw json.RawMessage, element []byte, base int) snapshot.Document {
	d := snapshot.Document{Name: name, Multiline: true, Source: p.place(base + max(0, bytes.Index(element, raw)))}
	parsed, problems := policy.Parse(raw)
	for _, problem := range problems {
		place := d.At(problem.Pos)
		p.gap(snapshot.Gap{Kind: snapshot.GapElement, Subject: subject, Reason: name + ": " + problem.Message, Source: place})
		if problem.Fatal {
			d.Problem = problem.Message
		}
	}
	if parsed == nil || d.Problem != "" {
		return d
	}
	d.State, d.Policy = snapshot.Read, policy.Compile(parsed)
	p.notUnderstood(d, subject)
	return d
}

// notUnderstood states the conditions of a document that cannot be evaluated.
func (p *parser) notUnderstood(d snapshot.Document, subject string) {
	for i := range d.Policy.Rules {
		for j := range d.Policy.Rules[i].Condition {
			if t := &d.Policy.Rules[i].Condition[j]; t.NotUnderstood != "" {
				p.gap(snapshot.Gap{Kind: snapshot.GapElement, Subject: subject, Reason: d.Name + ": " + t.NotUnderstood,
					Source: d.At(d.Policy.Document.Statements[i].Condition[j].Pos)})
			}
		}
	}
}

func (p *parser) gap(g snapshot.Gap) {
	if g.Account == "" {
		g.Account = arn.Account(g.Subject)
	}
	p.snapshot.Gaps = append(p.snapshot.Gaps, g)
}

var kinds = map[string]snapshot.AccountKind{
	"management": snapshot.Management, "member": snapshot.Member, "vendor": snapshot.Vendor, "external": snapshot.External,
}

func (p *parser) organization(f *file) error {
	o := &snapshot.Organization{ID: f.Org.ID, ManagementAccount: f.Org.ManagementAccount}
	p.snapshot.Organization = o
	management := false
	for _, raw := range f.Org.Accounts {
		base := p.locate(raw)
		var a account
		if err := p.strict(raw, base, &a); err != nil {
			return err
		}
		kind, ok := kinds[a.Kind]
		if !ok {
			return p.errorAt(field(raw, base, "kind"), fmt.Errorf("account %s: kind %q is none of management, member, vendor, external", a.ID, a.Kind))
		}
		if a.ID == f.Org.ManagementAccount {
			management, kind = true, snapshot.Management
		}
		inside := kind == snapshot.Management || kind == snapshot.Member
		facts := snapshot.Account{ID: a.ID, Name: a.Name, Kind: kind, Partition: "aws", Inventoried: inside}
		if a.Inventoried != nil {
			facts.Inventoried = *a.Inventoried
		}
		if a.Env != "-" {
			facts.Environment = a.Env
		}
		if inside && a.OU != "-" {
			facts.UnitPath = a.OU
		}
		p.snapshot.Accounts = append(p.snapshot.Accounts, facts)
	}
	p.at = 0
	if !management && f.Org.ManagementAccount != "" {
		p.snapshot.Accounts = append(p.snapshot.Accounts, snapshot.Account{ID: f.Org.ManagementAccount, Kind: snapshot.Management, Partition: "aws", Inventoried: true})
	}
	slices.SortFunc(p.snapshot.Accounts, func(a, b snapshot.Account) int { return strings.Compare(a.ID, b.ID) })
	var err error
	if o.SCPs, err = p.controlPolicies(f.Org.SCPs, "SCP"); err != nil {
		return err
	}
	o.RCPs, err = p.controlPolicies(f.Org.RCPs, "RCP")
	return err
}

func (p *parser) controlPolicies(raws []json.RawMessage, kind string) ([]snapshot.ControlPolicy, error) {
	var policies []snapshot.ControlPolicy
	for _, raw := range raws {
		base := p.locate(raw)
		var c controlPolicy
		if err := p.strict(raw, base, &c); err != nil {
			return nil, err
		}
		policies = append(policies, snapshot.ControlPolicy{Name: c.Name, Targets: c.Targets, Document: p.document(kind+" "+c.Name, c.Name, c.Policy, raw, base)})
	}
	p.at = 0 // the sections may stand in any order
	return policies, nil
}

func (p *parser) principals(f *file) error {
	for _, raw := range f.Roles {
		base := p.locate(raw)
		facts, source, err := p.principal(raw, base)
		if err != nil {
			return err
		}
		role := snapshot.Role{Principal: facts, Trust: p.document("trust policy", facts.ARN, source.Trust, raw, base)}
		if source.MaxSession != nil {
			role.MaxSession = time.Duration(*source.MaxSession) * time.Second
		}
		if source.LastUsed != nil {
			role.LastUsed = *source.LastUsed
		}
		p.snapshot.Roles = append(p.snapshot.Roles, role)
	}
	p.at = 0
	for _, raw := range f.Users {
		facts, source, err := p.principal(raw, p.locate(raw))
		if err != nil {
			return err
		}
		user := snapshot.User{Principal: facts, AccessKeys: -1}
		if source.AccessKeys != nil {
			user.AccessKeys = *source.AccessKeys
		}
		p.snapshot.Users = append(p.snapshot.Users, user)
	}
	p.at = 0
	return nil
}

func (p *parser) principal(raw []byte, base int) (snapshot.Principal, *principal, error) {
	var source principal
	if err := p.strict(raw, base, &source); err != nil {
		return snapshot.Principal{}, nil, err
	}
	a, err := arn.Parse(source.ARN)
	if err != nil {
		return snapshot.Principal{}, nil, p.errorAt(field(raw, base, "arn"), err)
	}
	_, path, _ := strings.Cut(a.Resource, "/")
	facts := snapshot.Principal{
		ARN: source.ARN, UniqueID: source.UniqueID, Account: a.Account, Name: a.ResourceName(),
		Path: "/" + path[:strings.LastIndexByte(path, '/')+1], Created: source.Created, Tags: source.Tags, Source: p.place(base),
	}
	names := make([]string, 0, len(source.Policies))
	for name := range source.Policies {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		facts.Inline = append(facts.Inline, p.document(name, source.ARN, source.Policies[name], raw, base))
	}
	for _, managed := range source.Managed {
		p.attach(&facts, managed)
	}
	if len(source.Boundary) > 0 && string(source.Boundary) != "null" {
		d := p.document("permissions boundary", source.ARN, source.Boundary, raw, base)
		facts.InlineBoundary = &d
	}
	return facts, &source, nil
}

// administratorAccess is the one AWS managed policy whose document the format supplies.
const administratorAccess = "arn:aws:iam::aws:policy/AdministratorAccess"

func (p *parser) attach(facts *snapshot.Principal, managed string) {
	name := managed[strings.LastIndexByte(managed, '/')+1:]
	facts.Attached = append(facts.Attached, snapshot.Attachment{Name: name, ARN: managed})
	if managed != administratorAccess {
		stated := slices.ContainsFunc(p.snapshot.Gaps, func(g snapshot.Gap) bool {
			return g.Kind == snapshot.GapPolicy && g.Subject == managed && g.Account == facts.Account
		})
		if !stated {
			p.gap(snapshot.Gap{Kind: snapshot.GapPolicy, Subject: managed, Account: facts.Account, Reason: "named, and its document is not in the input", Source: facts.Source})
		}
		return
	}
	known := slices.ContainsFunc(p.snapshot.Policies, func(m snapshot.ManagedPolicy) bool { return m.ARN == managed })
	if !known {
		p.snapshot.Policies = append(p.snapshot.Policies, snapshot.ManagedPolicy{ARN: managed, Document: snapshot.Document{
			Name: managed, State: snapshot.Read,
			Policy: policy.MustParse(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`),
		}})
	}
}

func (p *parser) resources(f *file) error {
	for _, raw := range f.Resources {
		base := p.locate(raw)
		var source resource
		if err := p.strict(raw, base, &source); err != nil {
			return err
		}
		a, err := arn.Parse(source.ARN)
		if err != nil {
			return p.errorAt(field(raw, base, "arn"), err)
		}
		r := snapshot.Resource{ARN: source.ARN, Type: source.Type, Account: source.Account, Region: a.Region, Tags: source.Tags, Source: p.place(base), Attributes: attributes(source.Attributes)}
		switch {
		case source.Error != "":
			r.Policy = snapshot.Document{Name: "resource policy", Problem: source.Error, Source: r.Source}
			p.gap(snapshot.Gap{Kind: snapshot.GapDocument, Subject: source.ARN, Account: source.Account, Reason: "resource policy: " + source.Error, Source: r.Source})
		case len(source.Policy) == 0 || string(source.Policy) == "null":
			r.Policy = snapshot.Document{Name: "resource policy", State: snapshot.None}
		default:
			r.Policy = p.document("resource policy", source.ARN, source.Policy, raw, base)
		}
		p.snapshot.Resources = append(p.snapshot.Resources, r)
	}
	return nil
}

func attributes(m map[string]any) snapshot.Attributes {
	a := snapshot.Attributes{Other: m}
	a.SSEKMSKey, _ = m["sseKmsKey"].(string)
	switch v := m["publicAccessBlock"].(type) {
	case bool:
		a.PublicAccessBlock = map[bool]string{true: "on", false: "off"}[v]
	case string:
		a.PublicAccessBlock = v
	}
	return a
}

func (p *parser) others(f *file) {
	s := p.snapshot
	for _, v := range f.Providers {
		facts := snapshot.Provider{ARN: v.ARN, Type: v.Type, Account: arn.Account(v.ARN), URL: v.URL, Audiences: v.Audiences, Cluster: v.Cluster, CASource: v.Source, Registered: v.Registered}
		if v.CRL != nil {
			facts.CRL = map[bool]string{true: "enabled", false: "disabled"}[*v.CRL]
		}
		if v.ValidUntil != nil {
			facts.ValidUntil = *v.ValidUntil
		}
		s.Providers = append(s.Providers, facts)
	}
	for _, g := range f.Grants {
		facts := snapshot.KMSGrant{Key: g.KeyARN, ID: g.GrantID, Grantee: g.Grantee, Retiring: g.Retiring, Operations: g.Operations, Constraints: g.Constraints}
		if g.Created != nil {
			facts.Created = *g.Created
		}
		if g.LastUsed != nil {
			facts.LastUsed = *g.LastUsed
		}
		s.KMSGrants = append(s.KMSGrants, facts)
	}
	for _, sh := range f.Shares {
		s.Shares = append(s.Shares, snapshot.Share{Kind: sh.Kind, ARN: sh.ARN, Owner: sh.Owner, With: sh.With, AllowExternal: sh.AllowExternal, Resources: sh.Resources,
			Attributes: map[string]any{"services": sh.Services, "permissions": sh.Permissions, "grantable": sh.Grantable, "tables": sh.Tables}})
	}
	for _, u := range f.Usage {
		s.Usage = append(s.Usage, snapshot.Usage{Fields: u})
	}
	if days := f.Settings.TrailDays; days > 0 {
		s.Usage = append(s.Usage, snapshot.Usage{Fields: map[string]any{"coverage": "", "from": f.Now.AddDate(0, 0, -days).Format(time.RFC3339), "to": f.Now.Format(time.RFC3339)}})
	}
}

// coverage turns the regions that were not collected into gaps.
func (p *parser) coverage(f *file) {
	for _, u := range f.Usage {
		covered, ok := u["coverage"].(string)
		if !ok {
			continue
		}
		missing, _ := u["regionsMissing"].([]any)
		for _, region := range missing {
			p.gap(snapshot.Gap{Kind: snapshot.GapRegion, Subject: fmt.Sprintf("%s/%v", covered, region), Account: covered, Reason: "the region was not collected", Source: snapshot.Source{File: p.name}})
		}
	}
}

func (p *parser) vendors(raws []json.RawMessage) ([]snapshot.KnownVendor, error) {
	var out []snapshot.KnownVendor
	for _, raw := range raws {
		base := p.locate(raw)
		var v vendor
		if err := p.strict(raw, base, &v); err != nil {
			return nil, err
		}
		known := snapshot.KnownVendor{Name: v.Name, Accounts: slices.Sorted(slices.Values(v.Accounts)), Status: snapshot.VendorStatus(v.Status)}
		if v.Source != "" {
			known.Source = []string{v.Source}
		}
		var err error
		if known.Ended, err = p.date(raw, base, "ended", v.Ended); err != nil {
			return nil, err
		}
		out = append(out, known)
	}
	p.at = 0
	return out, nil
}

// entries is nil where a scenario has no registry at all; an empty one declares that there should be no trust.
func (p *parser) entries(raws []json.RawMessage) (*registry.Registry, error) {
	if raws == nil {
		return nil, nil
	}
	r := &registry.Registry{}
	for _, raw := range raws {
		base := p.locate(raw)
		var e entry
		if err := p.strict(raw, base, &e); err != nil {
			return nil, err
		}
		declared, err := p.declared(raw, base, &e)
		if err != nil {
			return nil, err
		}
		r.Entries = append(r.Entries, declared)
	}
	p.at = 0
	return r, nil
}

// declared is an entry in short form.
func (p *parser) declared(raw json.RawMessage, base int, e *entry) (registry.Entry, error) {
	const day = 24 * time.Hour
	d := registry.Entry{
		Name: e.ID, Owner: e.Owner, Purpose: e.Purpose, Category: registry.Category(e.Kind), Vendor: e.Vendor, DataClass: e.DataClass,
		Use:         registry.Use{Needs: time.Duration(e.SessionSeconds) * time.Second, Every: time.Duration(e.CadenceDays) * day, Grace: time.Duration(e.GraceDays) * day},
		RequestedBy: e.RequestedBy, ApprovedBy: e.ApprovedBy, OwnerLeft: e.OwnerStatus == "left", Identity: e.IdentityClass,
	}
	switch {
	case strings.HasPrefix(e.Source, "oidc:"):
		host, subject, _ := strings.Cut(strings.TrimPrefix(e.Source, "oidc:"), ":")
		d.From.OIDC = &registry.OIDC{Issuer: "https://" + host, Claims: map[string]string{"sub": subject}}
	case strings.HasSuffix(e.Source, ".amazonaws.com"):
		d.From.Services = []string{e.Source}
	case e.Source != "":
		d.From.Principals = []string{e.Source}
	}
	if strings.Contains(e.Target, ":role/") {
		d.To.Role = e.Target
	} else if e.Target != "" {
		d.To.Resources = []string{e.Target}
	}
	d.BreakGlass = e.Kind == "break-glass"
	for _, f := range []struct {
		name, text string
		into       *registry.Day
	}{{"expires", e.Expires, &d.Expires}, {"reviewed", e.Reviewed, &d.Review.Last}, {"lastDrill", e.LastDrill, &d.LastDrill}} {
		t, err := p.date(raw, base, f.name, f.text)
		if err != nil {
			return d, err
		}
		f.into.Time = t
	}
	if e.TrustApproved != nil {
		text, err := json.Marshal(e.TrustApproved)
		if err != nil {
			return d, err
		}
		d.ApprovedTrust = text
	}
	return d, nil
}

func parameters(s settings) rule.Parameters {
	p := rule.Parameters{
		MaxSessionSeconds: s.MaxSessionSeconds, MaxHops: s.MaxHops, ReviewDays: s.ReviewDays, StaleDays: s.StaleDays, NeverUsedDays: s.NeverUsedDays, BreakGlassDrillDays: s.BreakGlassDrillDays, ChainedSessionSeconds: s.ChainedSessionSeconds,
		ExternalIDMinLength: s.ExternalIDMinLength, WideOrgMembers: s.WideOrgMembers, DataDays: s.DataDays, EnvClass: s.EnvClass,
	}
	if key, value, ok := strings.Cut(s.CriticalTag, "="); ok {
		p.CriticalTagKey, p.CriticalTagValue = strings.TrimSpace(key), strings.TrimSpace(value)
	}
	return p
}
