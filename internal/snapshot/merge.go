package snapshot

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"time"
)

// ErrTwoOrganizations is returned where inputs to be merged describe different organisations: a snapshot has one.
var ErrTwoOrganizations = errors.New("the inputs describe different organisations")

// Input is a snapshot to be merged, and the name by which a person knows it.
type Input struct {
	Name     string
	Snapshot *Snapshot
}

// Merge makes one snapshot of several. The inputs stay as they are. A place in the result is the place in its input, with the input's name in front.
//
// The first input that has a fact is believed. Where a later one has it otherwise, a gap says which two differ. What the first could not read or does not have is taken from the next that does: a policy's text, an account's name, when a role was last used, the
// organisation, its SCPs. An account was read completely where one of the inputs read it completely. Everything else is added up, and so are the gaps, but for those that another input closes: an account that another
// one read, a managed policy's text that another one has. It returns ErrTwoOrganizations where the inputs describe different organisations.
func Merge(inputs []Input) (*Snapshot, error) {
	m := &merging{out: &Snapshot{Version: Version}, inventoried: make(map[string]bool), closed: make(map[Source]bool)}
	s := m.out
	for _, in := range inputs {
		if err := m.organization(in); err != nil {
			return nil, err
		}
		if t := in.Snapshot.Collected; !t.IsZero() && (s.Collected.IsZero() || t.Before(s.Collected)) {
			s.Collected = t
		}
	}
	m.accounts(inputs)
	s.Users = mergeFacts(m, inputs, func(s *Snapshot) []User { return s.Users }, userFact)
	s.Groups = mergeFacts(m, inputs, func(s *Snapshot) []Group { return s.Groups }, groupFact)
	s.Roles = mergeFacts(m, inputs, func(s *Snapshot) []Role { return s.Roles }, roleFact)
	s.Policies = mergeFacts(m, inputs, func(s *Snapshot) []ManagedPolicy { return s.Policies }, policyFact)
	s.Resources = mergeFacts(m, inputs, func(s *Snapshot) []Resource { return s.Resources }, resourceFact)
	s.Providers = mergeFacts(m, inputs, func(s *Snapshot) []Provider { return s.Providers }, providerFact)
	s.KMSGrants = mergeFacts(m, inputs, func(s *Snapshot) []KMSGrant { return s.KMSGrants }, grantFact)
	s.Shares = mergeFacts(m, inputs, func(s *Snapshot) []Share { return s.Shares }, shareFact)
	s.Usage = mergeFacts(m, inputs, func(s *Snapshot) []Usage { return s.Usage }, usageFact)
	m.gaps(inputs)
	s.unknownOrganization()
	s.order()
	s.checkPolicies()
	s.settleGaps(nil)
	return s, nil
}

type merging struct {
	out         *Snapshot
	inventoried map[string]bool // accounts that some input read completely
	closed      map[Source]bool // places of documents that could not be read, and that another input has
}

// within is a place in an input as a place in the merged snapshot.
func (in Input) within(at Source) Source {
	if at.File == path.Base(in.Name) { // a file by itself
		at.File = in.Name
	} else {
		at.File = path.Join(in.Name, at.File)
	}
	return at
}

// differs says that two inputs have a fact differently.
func (m *merging) differs(subject, account, first, other string, at Source) {
	m.out.gap(Gap{Kind: GapFile, Subject: subject, Account: account, Source: at,
		Reason: fmt.Sprintf("differs between %s and %s; that of %s, which was named first, is used", first, other, first)})
}

func (m *merging) organization(in Input) error {
	from, s := in.Snapshot.Organization, m.out
	if from == nil {
		return nil
	}
	if s.Organization == nil {
		s.Organization = new(Organization)
	}
	o := s.Organization
	if o.ID != "" && from.ID != "" && o.ID != from.ID {
		return fmt.Errorf("%w: %s, and %s in %s", ErrTwoOrganizations, quote(o.ID), quote(from.ID), in.Name)
	}
	if o.ManagementAccount != "" && from.ManagementAccount != "" && o.ManagementAccount != from.ManagementAccount {
		return fmt.Errorf("%w: management account %s, and %s in %s", ErrTwoOrganizations, quote(o.ManagementAccount), quote(from.ManagementAccount), in.Name)
	}
	o.ID, o.ManagementAccount = cmp.Or(o.ID, from.ID), cmp.Or(o.ManagementAccount, from.ManagementAccount)
	for _, u := range from.Units {
		if i := slices.IndexFunc(o.Units, func(v Unit) bool { return v.Path == u.Path }); i < 0 {
			o.Units = append(o.Units, u)
		} else {
			o.Units[i].Name = cmp.Or(o.Units[i].Name, u.Name)
		}
	}
	o.SCPs = m.controls(o.SCPs, from.SCPs, SubjectSCPs, in)
	o.RCPs = m.controls(o.RCPs, from.RCPs, SubjectRCPs, in)
	return nil
}

// controls takes the policies of the first input that knows them, as a whole: each of them takes access away, so that one more from elsewhere could hide access that is there.
func (m *merging) controls(have, from []ControlPolicy, subject string, in Input) []ControlPolicy {
	switch {
	case from == nil:
		return have
	case have == nil:
		out := make([]ControlPolicy, len(from))
		for i, p := range from {
			p.Document = in.document(p.Document)
			out[i] = p
		}
		return out
	}
	form := func(ps []ControlPolicy) []byte {
		ps = slices.SortedFunc(slices.Values(ps), func(a, b ControlPolicy) int { return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Name, b.Name)) })
		w := new(writer)
		return marshal(w.controlPolicies(ps, Gap{}))
	}
	if !bytes.Equal(form(have), form(from)) {
		m.out.gap(Gap{Kind: GapFile, Subject: subject, Source: Source{File: in.Name}, Reason: "differ between " + in.Name + " and an input that was named before it, which is used"})
	}
	return have
}

// accounts joins what the inputs say about each account.
func (m *merging) accounts(inputs []Input) {
	s, index := m.out, make(map[string]int)
	for _, in := range inputs {
		for _, b := range in.Snapshot.Accounts {
			b.Source = in.within(b.Source)
			m.inventoried[b.ID] = m.inventoried[b.ID] || b.Inventoried
			i, known := index[b.ID]
			if !known {
				index[b.ID] = len(s.Accounts)
				s.Accounts = append(s.Accounts, b)
				continue
			}
			a := &s.Accounts[i]
			if a.Kind != UnknownKind && b.Kind != UnknownKind && a.Kind != b.Kind || a.UnitPath != "" && b.UnitPath != "" && a.UnitPath != b.UnitPath {
				m.out.gap(Gap{Kind: GapFile, Subject: b.ID, Account: b.ID, Source: b.Source, Reason: "stands elsewhere in the organisation than in an input that was named before, which is used"})
			}
			if b.Inventoried && !a.Inventoried {
				a.Inventoried, a.Collected, a.Partition = true, b.Collected, b.Partition
			}
			a.Name, a.UnitPath, a.Environment = cmp.Or(a.Name, b.Name), cmp.Or(a.UnitPath, b.UnitPath), cmp.Or(a.Environment, b.Environment)
			a.Kind, a.Partition = cmp.Or(a.Kind, b.Kind), cmp.Or(a.Partition, b.Partition)
			if len(a.Tags) == 0 {
				a.Tags = b.Tags
			}
		}
	}
	if s.Organization == nil {
		return
	}
	for i := range s.Accounts {
		a := &s.Accounts[i]
		if a.ID == s.Organization.ManagementAccount && (a.Kind == UnknownKind || a.Kind == Member) {
			a.Kind = Management
		}
		if a.Kind == UnknownKind && !m.listed(a.ID, inputs) {
			s.gap(Gap{Kind: GapOrganization, Subject: a.ID, Account: a.ID, Reason: notInListing, Source: a.Source})
		}
	}
}

// listed reports whether an input that knows the organisation lists an account, and does not say that it is unknown whether it belongs to it.
func (m *merging) listed(account string, inputs []Input) bool {
	return slices.ContainsFunc(inputs, func(in Input) bool {
		s := in.Snapshot
		return s.Organization != nil && slices.ContainsFunc(s.Accounts, func(a Account) bool { return a.ID == account }) &&
			!slices.ContainsFunc(s.Gaps, func(g Gap) bool {
				return g.Kind == GapOrganization && g.Subject == account && g.Reason == notInListing
			})
	})
}

// fact says how facts of one kind are merged.
type fact[T any] struct {
	key       func(*T) (name, account string) // "": the fact has no name, and equal ones are one
	at        func(*T) *Source
	documents func(*T) []*Document
	form      func(*writer, *T) any // what it is written as, to compare by
	own       func(*T)              // makes copies of what the others change
	// fill makes two facts say what either says, where a field that is not set means that it is not known: not every form of input has it.
	fill func(a, b *T)
}

// mergeFacts puts the facts of one kind behind each other, each one once.
func mergeFacts[T any](m *merging, inputs []Input, of func(*Snapshot) []T, f fact[T]) []T {
	var out []T
	index, from := make(map[string]int), []string(nil)
	w := new(writer)
	for _, in := range inputs {
		for _, v := range of(in.Snapshot) {
			if f.own != nil {
				f.own(&v)
			}
			at := f.at(&v)
			*at = in.within(*at)
			if f.documents != nil {
				for _, d := range f.documents(&v) {
					*d = in.document(*d)
				}
			}
			name, account := f.key(&v)
			key := name
			if key == "" {
				key = string(marshal(f.form(w, &v)))
			}
			i, twice := index[key]
			if !twice {
				index[key] = len(out)
				out, from = append(out, v), append(from, in.Name)
				continue
			}
			first := &out[i]
			if f.documents != nil {
				m.complete(f.documents(first), f.documents(&v))
			}
			if f.fill != nil {
				f.fill(first, &v)
			}
			if name != "" && from[i] != in.Name && !bytes.Equal(marshal(f.form(w, first)), marshal(f.form(w, &v))) {
				m.differs(name, account, from[i], in.Name, *at)
			}
		}
	}
	return out
}

// complete puts a document that an earlier input could not read in its place, and the other way round, so that only what both read is compared.
func (m *merging) complete(first, other []*Document) {
	for _, d := range first {
		i := slices.IndexFunc(other, func(e *Document) bool { return e.Name == d.Name })
		switch {
		case i < 0:
		case d.State == Unresolved && other[i].State != Unresolved:
			m.closed[d.Source] = true
			*d = *other[i]
		case d.State != Unresolved && other[i].State == Unresolved:
			m.closed[other[i].Source] = true
			*other[i] = *d
		}
	}
}

func (in Input) document(d Document) Document {
	d.Source = in.within(d.Source)
	return d
}

func marshal(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil { // a form is made of texts, numbers and canonical policies
		return []byte(err.Error())
	}
	return text
}

// either sets the one of two that is not set to the other.
func either[T comparable](a, b *T) {
	*a = cmp.Or(*a, *b)
	*b = cmp.Or(*b, *a)
}

// later sets both to the later of two times: the zero time is none.
func later(a, b *time.Time) {
	if a.Before(*b) {
		*a = *b
	}
	*b = *a
}

func (p *Principal) fill(q *Principal) {
	either(&p.UniqueID, &q.UniqueID)
	either(&p.Path, &q.Path)
	if p.Created.IsZero() || q.Created.IsZero() {
		later(&p.Created, &q.Created)
	}
}

// fill adds the attributes that only the other one has.
func (a *Attributes) fill(b *Attributes) {
	either(&a.SSEKMSKey, &b.SSEKMSKey)
	either(&a.PublicAccessBlock, &b.PublicAccessBlock)
	if len(a.Other)+len(b.Other) == 0 {
		return
	}
	add := func(own, other map[string]any) map[string]any {
		all := make(map[string]any, len(own)+len(other))
		maps.Copy(all, other)
		maps.Copy(all, own)
		return all
	}
	a.Other, b.Other = add(a.Other, b.Other), add(b.Other, a.Other)
}

func (p *Principal) ownDocuments() {
	p.Inline = slices.Clone(p.Inline)
	if p.InlineBoundary != nil {
		d := *p.InlineBoundary
		p.InlineBoundary = &d
	}
}

func (p *Principal) documents() []*Document {
	out := make([]*Document, 0, len(p.Inline)+2)
	for i := range p.Inline {
		out = append(out, &p.Inline[i])
	}
	if p.InlineBoundary != nil {
		out = append(out, p.InlineBoundary)
	}
	return out
}

var (
	userFact = fact[User]{
		key:       func(u *User) (string, string) { return u.ARN, u.Account },
		at:        func(u *User) *Source { return &u.Source },
		own:       func(u *User) { u.ownDocuments() },
		documents: func(u *User) []*Document { return u.Principal.documents() },
		form:      func(w *writer, u *User) any { return w.user(u) },
		fill: func(a, b *User) {
			a.Principal.fill(&b.Principal)
			later(&a.LastUsed, &b.LastUsed)
			if a.AccessKeys < 0 {
				a.AccessKeys = b.AccessKeys
			}
			if b.AccessKeys < 0 {
				b.AccessKeys = a.AccessKeys
			}
		},
	}
	groupFact = fact[Group]{
		key: func(g *Group) (string, string) { return g.ARN, g.Account },
		at:  func(g *Group) *Source { return &g.Source },
		own: func(g *Group) { g.Inline = slices.Clone(g.Inline) },
		documents: func(g *Group) []*Document {
			p := Principal{Inline: g.Inline}
			return p.documents()
		},
		form: func(w *writer, g *Group) any { return w.group(g) },
		fill: func(a, b *Group) {
			either(&a.UniqueID, &b.UniqueID)
			either(&a.Path, &b.Path)
		},
	}
	roleFact = fact[Role]{
		key:       func(r *Role) (string, string) { return r.ARN, r.Account },
		at:        func(r *Role) *Source { return &r.Source },
		own:       func(r *Role) { r.ownDocuments() },
		documents: func(r *Role) []*Document { return append(r.Principal.documents(), &r.Trust) },
		form:      func(w *writer, r *Role) any { return w.role(r) },
		fill: func(a, b *Role) {
			a.Principal.fill(&b.Principal)
			either(&a.MaxSession, &b.MaxSession)
			later(&a.LastUsed, &b.LastUsed)
		},
	}
	policyFact = fact[ManagedPolicy]{
		key:       func(p *ManagedPolicy) (string, string) { return p.ARN, p.Account },
		at:        func(p *ManagedPolicy) *Source { return new(Source) },
		documents: func(p *ManagedPolicy) []*Document { return []*Document{&p.Document} },
		form:      func(w *writer, p *ManagedPolicy) any { return w.policy(p) },
	}
	resourceFact = fact[Resource]{
		key:       func(r *Resource) (string, string) { return r.ARN, r.Account },
		at:        func(r *Resource) *Source { return &r.Source },
		documents: func(r *Resource) []*Document { return []*Document{&r.Policy} },
		form:      func(w *writer, r *Resource) any { return w.resource(r) },
		fill: func(a, b *Resource) {
			either(&a.Region, &b.Region)
			either(&a.Type, &b.Type)
			a.Attributes.fill(&b.Attributes)
		},
	}
	providerFact = fact[Provider]{
		key:  func(p *Provider) (string, string) { return p.ARN, p.Account },
		at:   func(p *Provider) *Source { return &p.Source },
		form: func(_ *writer, p *Provider) any { return providerOf(p) },
		fill: func(a, b *Provider) {
			either(&a.URL, &b.URL)
			either(&a.Cluster, &b.Cluster)
			either(&a.CASource, &b.CASource)
			either(&a.CRL, &b.CRL)
			either(&a.Registered, &b.Registered)
			if a.ValidUntil.IsZero() || b.ValidUntil.IsZero() {
				later(&a.ValidUntil, &b.ValidUntil)
			}
		},
	}
	grantFact = fact[KMSGrant]{
		key: func(g *KMSGrant) (string, string) {
			if g.ID == "" {
				return "", ""
			}
			return g.Key + " " + g.ID, ""
		},
		at:   func(g *KMSGrant) *Source { return &g.Source },
		form: func(_ *writer, g *KMSGrant) any { return grantOf(g) },
		fill: func(a, b *KMSGrant) { later(&a.LastUsed, &b.LastUsed) },
	}
	shareFact = fact[Share]{
		key: func(h *Share) (string, string) {
			if h.ARN == "" {
				return "", ""
			}
			return h.Kind + " " + h.ARN, h.Owner
		},
		at:   func(h *Share) *Source { return &h.Source },
		form: func(_ *writer, h *Share) any { return shareOf(h) },
	}
	usageFact = fact[Usage]{
		key:  func(*Usage) (string, string) { return "", "" },
		at:   func(u *Usage) *Source { return &u.Source },
		form: func(_ *writer, u *Usage) any { return u.Fields },
	}
)

// gaps adds up what the inputs did not know, less what another one of them does.
func (m *merging) gaps(inputs []Input) {
	s, told := m.out, make(map[Gap]int) // without their places; what two inputs say is said once
	for i, in := range inputs {
		complete := make(map[string]bool)
		for _, a := range in.Snapshot.Accounts {
			complete[a.ID] = a.Inventoried
		}
		for _, g := range in.Snapshot.Gaps {
			at := in.within(g.Source)
			switch {
			case g.Kind == GapAccount && g.Subject == g.Account && m.inventoried[g.Account] && !complete[g.Account],
				g.Kind == GapPolicy && g.Reason == noDocument, // found again where it is still so
				g.Kind == GapOrganization && m.answered(g, in.Snapshot.Organization),
				g.Kind == GapDocument && g.Source.File != "" && m.closed[at],
				g.Kind == GapFile && isCoverage(g):
				continue
			}
			if g.Source.File != "" && g.Subject == g.Source.File {
				g.Subject = at.File
			}
			if g.Source != (Source{}) {
				g.Source = at
			}
			key := g
			key.Source = Source{}
			if by, known := told[key]; known && by != i {
				continue
			}
			told[key] = i
			s.gap(g)
		}
	}
	for _, f := range factFiles {
		if f.what != "" {
			m.coverage(f, inputs)
		}
	}
}

// answered reports whether a gap about the organisation is none in the whole, or is found again there. A part that an input could not read of what it does know stays unknown.
func (m *merging) answered(g Gap, from *Organization) bool {
	o := m.out.Organization
	switch {
	case slices.Contains([]string{noOrganization, noOrganizationID, noSCPs, noRCPs, notInListing}, g.Reason):
		return true
	case o == nil:
		return false
	case g.Subject == SubjectOrganization:
		return from == nil
	case g.Subject == SubjectSCPs:
		return o.SCPs != nil && (from == nil || from.SCPs == nil)
	case g.Subject == SubjectRCPs:
		return o.RCPs != nil && (from == nil || from.RCPs == nil)
	}
	return false
}

// isCoverage reports whether a gap says that a file of facts is not there, for all accounts or for one.
func isCoverage(g Gap) bool {
	i := slices.IndexFunc(factFiles, func(f factFile) bool { return f.name == path.Base(g.Subject) })
	return i >= 0 && factFiles[i].what != "" && g.Reason == notCollected(factFiles[i])
}

// coverage says for which accounts facts of one kind were not collected: those that were read completely by inputs alone that do not carry such facts.
func (m *merging) coverage(f factFile, inputs []Input) {
	anywhere, covered := false, make(map[string]bool)
	for _, in := range inputs {
		lacks := make(map[string]bool) // accounts; "": all
		for _, g := range in.Snapshot.Gaps {
			if g.Kind == GapFile && g.Reason == notCollected(f) {
				lacks[g.Account] = true
			}
		}
		if lacks[""] {
			continue
		}
		anywhere = true
		for _, a := range in.Snapshot.Accounts {
			covered[a.ID] = covered[a.ID] || a.Inventoried && !lacks[a.ID]
		}
	}
	if !anywhere {
		m.out.gap(Gap{Kind: GapFile, Subject: f.name, Reason: notCollected(f)})
		return
	}
	if f.name == usageFile {
		return
	}
	for _, a := range m.out.Accounts {
		if m.inventoried[a.ID] && !covered[a.ID] {
			m.out.gap(Gap{Kind: GapFile, Subject: path.Join(accountsDir, a.ID, f.name), Account: a.ID, Reason: notCollected(f)})
		}
	}
}
