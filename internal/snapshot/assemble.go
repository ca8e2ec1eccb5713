package snapshot

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// The reasons of gaps that the reader finds itself. They carry no place, so that the gaps of a snapshot that was written and
// is read again are known for the same.
const (
	noOrganization   = "no organisation is described: which accounts belong together is not known"
	noOrganizationID = "organization.json has no id: conditions on the organisation's id cannot be decided"
	noSCPs           = "the service control policies are not known"
	noRCPs           = "the resource control policies are not known"

	noDetails    = "no authorization details: users, groups, roles and policies were not collected"
	notComplete  = "a part of the authorization details could not be read: principals may exist that are not listed"
	mixedFiles   = "its files carry principals of other accounts too: whether they carry all of its own cannot be told"
	saysUnread   = "collected.json says that the account was not read to its end: principals may exist that are not listed"
	saidPartial  = "organization.json says that the account was not completely inventoried"
	cutShort     = "IsTruncated is true and the page that should follow is not there: principals may exist that are not listed"
	noDocument   = "named, and its document is not in the input"
	comesTwice   = "comes twice in the input; the first is used"
	amongOthers  = "some of its principals were found in the files of another account; its own details were not collected"
	notInListing = "has files here and is not in organization.json: whether it belongs to the organisation is not known"
)

// assemble joins what the tasks of a read found into the snapshot: stable order, first of equal names, completeness of
// each account, and the gaps that only the whole shows.
func (rd *reader) assemble(org *organizationFacts, parts []*part) *Snapshot {
	s := &Snapshot{Version: Version, Collected: org.collected, Organization: org.organization, Gaps: org.facts.Gaps}
	var stated []Gap
	for _, p := range parts {
		addFacts(s, &p.facts)
		stated = append(stated, p.stated...)
		p.facts = Snapshot{}
	}
	s.assembleAccounts(org, parts, stated)
	s.order()
	s.checkPolicies()
	rd.checkCoverage(s)
	s.settleGaps(stated)
	return s
}

func (s *Snapshot) gap(g Gap) { s.Gaps = append(s.Gaps, g) }

// assembleAccounts makes the list of accounts from organization.json and the directories, and says which of them were
// read completely.
func (s *Snapshot) assembleAccounts(org *organizationFacts, parts []*part, stated []Gap) {
	read := make(map[string]*part)
	for _, p := range parts {
		if p.account != "" {
			read[p.account] = p
		}
		if p.account == "" && p.details.isOpen {
			s.gap(Gap{Kind: GapFile, Subject: p.details.truncated.File, Reason: cutShort, Source: p.details.truncated})
		}
	}
	listed := make(map[string]bool)
	accounts := make([]listedAccount, 0, len(org.accounts)+len(parts))
	for _, a := range org.accounts {
		if listed[a.ID] {
			s.gap(Gap{Kind: GapFile, Subject: a.ID, Account: a.ID, Reason: comesTwice, Source: a.Source})
			continue
		}
		listed[a.ID] = true
		accounts = append(accounts, a)
	}
	for _, p := range parts {
		if p.account == "" || listed[p.account] {
			continue
		}
		a := listedAccount{Account: Account{ID: p.account}}
		if org.organization != nil {
			a.Source = Source{File: path.Join(accountsDir, p.account)}
			s.gap(Gap{Kind: GapOrganization, Subject: p.account, Account: p.account, Reason: notInListing, Source: a.Source})
		}
		accounts = append(accounts, a)
	}
	for _, stranger := range s.strangers(accounts) {
		s.gap(Gap{Kind: GapAccount, Subject: stranger.ID, Account: stranger.ID, Reason: amongOthers, Source: stranger.Source})
		s.Accounts = append(s.Accounts, stranger)
	}
	saysWhy := make(map[string]bool)
	for _, g := range stated {
		if g.Kind == GapAccount {
			saysWhy[g.Account] = true
		}
	}
	for _, a := range accounts {
		if (a.Kind == UnknownKind || a.Kind == Member) && org.organization != nil && a.ID == org.organization.ManagementAccount {
			a.Kind = Management
		}
		outside := a.Kind == Vendor || a.Kind == External
		var d details
		unread := false
		if p := read[a.ID]; p != nil {
			d, a.Collected, unread = p.details, p.collected, p.unread
		}
		if a.Partition == "" {
			a.Partition = "aws"
			if len(d.partitions) == 1 {
				for a.Partition = range d.partitions {
				}
			}
		}
		gaps := len(s.Gaps)
		gap := func(reason string, at Source) {
			s.gap(Gap{Kind: GapAccount, Subject: a.ID, Account: a.ID, Reason: reason, Source: at})
		}
		switch {
		case d.files == 0 && !outside:
			gap(noDetails, a.Source)
		case d.files > 0:
			if d.isOpen {
				gap(cutShort, d.truncated)
			}
			if d.mixed {
				gap(mixedFiles, a.Source)
			}
			if unread {
				gap(saysUnread, a.Source)
			}
			if d.lost {
				gap(notComplete, a.Source)
			} else {
				for _, list := range detailLists[:3] {
					if !d.lists[list] {
						gap("the authorization details have no "+list, a.Source)
					}
				}
			}
		}
		complete := d.files > 0 && len(s.Gaps) == gaps
		a.Inventoried = complete && (a.inventoried == nil || *a.inventoried)
		if complete && !a.Inventoried && !outside && !saysWhy[a.ID] {
			gap(saidPartial, a.Source)
		}
		s.Accounts = append(s.Accounts, a.Account)
	}
}

// strangers lists the accounts that principals lie in and that are no accounts of the snapshot yet.
func (s *Snapshot) strangers(accounts []listedAccount) []Account {
	known := make(map[string]bool, len(accounts))
	for i := range accounts {
		known[accounts[i].ID] = true
	}
	var out []Account
	add := func(name, account string, at Source) {
		if !known[account] {
			known[account] = true
			partition, _, _ := strings.Cut(strings.TrimPrefix(name, "arn:"), ":")
			if !isPartition(partition) {
				partition = "aws"
			}
			out = append(out, Account{ID: account, Partition: partition, Source: at})
		}
	}
	for i := range s.Users {
		add(s.Users[i].ARN, s.Users[i].Account, s.Users[i].Source)
	}
	for i := range s.Groups {
		add(s.Groups[i].ARN, s.Groups[i].Account, s.Groups[i].Source)
	}
	for i := range s.Roles {
		add(s.Roles[i].ARN, s.Roles[i].Account, s.Roles[i].Source)
	}
	return out
}

// order sorts everything and leaves out the later ones of equal names, with a gap for each.
func (s *Snapshot) order() {
	slices.SortStableFunc(s.Accounts, func(a, b Account) int { return cmp.Compare(a.ID, b.ID) })
	s.Users = firstOf(s, s.Users, func(u *User) (string, string, Source) { return u.ARN, u.Account, u.Source })
	s.Groups = firstOf(s, s.Groups, func(g *Group) (string, string, Source) { return g.ARN, g.Account, g.Source })
	s.Roles = firstOf(s, s.Roles, func(r *Role) (string, string, Source) { return r.ARN, r.Account, r.Source })
	s.Providers = firstOf(s, s.Providers, func(p *Provider) (string, string, Source) { return p.ARN, p.Account, p.Source })
	s.Resources = firstOf(s, s.Resources, func(r *Resource) (string, string, Source) { return r.ARN, r.Account, r.Source })
	s.KMSGrants = firstOf(s, s.KMSGrants, func(g *KMSGrant) (string, string, Source) {
		if g.ID == "" {
			return "", "", g.Source
		}
		return g.Key + " " + g.ID, "", g.Source
	})
	slices.SortStableFunc(s.KMSGrants, func(a, b KMSGrant) int { return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.ID, b.ID)) })
	slices.SortStableFunc(s.Shares, func(a, b Share) int { return cmp.Or(cmp.Compare(a.ARN, b.ARN), cmp.Compare(a.Kind, b.Kind)) })
	s.orderPolicies()
	if s.Organization != nil {
		slices.SortStableFunc(s.Organization.Units, func(a, b Unit) int { return cmp.Compare(a.Path, b.Path) })
	}
}

// firstOf sorts by name and keeps the first of equal names; facts without a name are all kept. The places are sorted and not the
// facts, which are large.
func firstOf[T any](s *Snapshot, all []T, of func(*T) (name, account string, at Source)) []T {
	names, places := make([]string, len(all)), make([]int, len(all))
	for i := range all {
		names[i], _, _ = of(&all[i])
		places[i] = i
	}
	slices.SortFunc(places, func(a, b int) int { return cmp.Or(cmp.Compare(names[a], names[b]), cmp.Compare(a, b)) })
	kept := slices.Grow([]T(nil), len(all))
	last := ""
	for _, i := range places {
		name, account, at := of(&all[i])
		if name != "" && name == last {
			s.gap(Gap{Kind: GapFile, Subject: name, Account: account, Reason: comesTwice, Source: at})
			continue
		}
		last = name
		kept = append(kept, all[i])
	}
	return kept
}

// orderPolicies sorts the managed policies. AWS's own come with every account that uses them: one copy is kept, and a gap
// tells where the copies differ because they were collected at different times.
func (s *Snapshot) orderPolicies() {
	slices.SortStableFunc(s.Policies, func(a, b ManagedPolicy) int { return cmp.Compare(a.ARN, b.ARN) })
	kept := s.Policies[:0]
	for _, m := range s.Policies {
		if len(kept) == 0 || kept[len(kept)-1].ARN != m.ARN {
			kept = append(kept, m)
			continue
		}
		first := &kept[len(kept)-1]
		switch {
		case m.Account != "":
			s.gap(Gap{Kind: GapFile, Subject: m.ARN, Account: m.Account, Reason: comesTwice, Source: m.Document.Source})
		case first.Document.State != Read:
			*first = m
		case m.Document.State == Read && !sameMeaning(first.Document, m.Document):
			s.gap(Gap{Kind: GapDocument, Subject: m.ARN, Source: m.Document.Source,
				Reason: "differs from the copy in " + first.Document.Source.File + ", which is used: the accounts were collected at different times"})
		}
	}
	clear(s.Policies[len(kept):])
	s.Policies = kept
}

// checkPolicies reports managed policies that somebody holds and whose document is nowhere: one gap for each policy and
// account.
func (s *Snapshot) checkPolicies() {
	known := make(map[string]bool, len(s.Policies))
	for i := range s.Policies {
		known[s.Policies[i].ARN] = true
	}
	type use struct{ policy, account string }
	missing := make(map[use]bool)
	check := func(a *Attachment, account string, at Source) {
		if known[a.ARN] || missing[use{a.ARN, account}] {
			return
		}
		missing[use{a.ARN, account}] = true
		s.gap(Gap{Kind: GapPolicy, Subject: a.ARN, Account: account, Reason: noDocument, Source: at})
	}
	principal := func(p *Principal) {
		for i := range p.Attached {
			check(&p.Attached[i], p.Account, p.Source)
		}
		if p.Boundary != nil && p.InlineBoundary == nil {
			check(p.Boundary, p.Account, p.Source)
		}
	}
	for i := range s.Users {
		principal(&s.Users[i].Principal)
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		for j := range g.Attached {
			check(&g.Attached[j], g.Account, g.Source)
		}
	}
	for i := range s.Roles {
		principal(&s.Roles[i].Principal)
	}
}

// checkCoverage reports what was not collected at all: a file beside the accounts covers all of them; without it each
// inventoried account needs its own.
func (rd *reader) checkCoverage(s *Snapshot) {
	for _, f := range factFiles {
		if f.what == "" || rd.has(f.name) {
			continue
		}
		covered := make(map[string]bool)
		for id, files := range rd.accounts {
			if slices.Contains(files, path.Join(accountsDir, id, f.name)) {
				covered[id] = true
			}
		}
		if len(covered) == 0 {
			s.gap(Gap{Kind: GapFile, Subject: f.name, Reason: notCollected(f)})
			continue
		}
		if f.name == usageFile {
			continue
		}
		for i := range s.Accounts {
			a := &s.Accounts[i]
			if a.Inventoried && !covered[a.ID] {
				s.gap(Gap{Kind: GapFile, Subject: path.Join(accountsDir, a.ID, f.name), Account: a.ID, Reason: notCollected(f)})
			}
		}
	}
}

func notCollected(f factFile) string {
	return "the file is not there: " + f.what + " were not collected"
}

// settleGaps sorts the gaps. One that gaps.json states and that this read found again is the same gap; its place in the
// input at hand is the better one.
func (s *Snapshot) settleGaps(stated []Gap) {
	type key struct {
		kind                     GapKind
		subject, account, reason string
	}
	of := func(g *Gap) key { return key{g.Kind, g.Subject, g.Account, g.Reason} }
	found := make(map[key]bool, len(s.Gaps))
	for i := range s.Gaps {
		found[of(&s.Gaps[i])] = true
	}
	for i := range stated {
		if !found[of(&stated[i])] {
			s.Gaps = append(s.Gaps, stated[i])
		}
	}
	slices.SortStableFunc(s.Gaps, compareGaps)
	s.Gaps = slices.Compact(s.Gaps)
}

func compareGaps(a, b Gap) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Subject, b.Subject),
		strings.Compare(a.Source.File, b.Source.File), cmp.Compare(a.Source.Line, b.Source.Line), cmp.Compare(a.Source.Column, b.Source.Column),
		cmp.Compare(a.Reason, b.Reason))
}
