package registry

import (
	"fmt"
	"slices"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/snapshot"
)

// Draft makes an entry of every trust that crosses accounts or comes from outside and that no entry of the registry declares:
// everything that can be known is filled in, and what a person must supply is left empty, for Write to mark. A nil registry declares
// nothing. Vendors whose accounts are let in become vendors of the draft.
func Draft(g *access.Graph, declared *Registry, vendors []snapshot.KnownVendor) *Registry {
	return DraftOf(g, declared, vendors, func(*access.Edge) bool { return true })
}

// DraftOf is Draft for some of the trusts.
func DraftOf(g *access.Graph, declared *Registry, vendors []snapshot.KnownVendor, concerns func(*access.Edge) bool) *Registry {
	d := drafter{g: g, vendors: vendors, taken: map[string]bool{}, out: &Registry{}}
	if declared != nil {
		for i := range declared.Entries {
			d.taken[declared.Entries[i].Name] = true
		}
		for i := range declared.Vendors {
			d.known = append(d.known, declared.Vendors[i].Name)
		}
	}
	pairs := map[string][]Pair{}
	for _, p := range declared.Pairs() {
		pairs[p.Target] = append(pairs[p.Target], p)
	}
	for _, e := range g.Edges {
		if !crosses(e) || !concerns(e) || slices.ContainsFunc(pairs[e.Target.ARN], func(p Pair) bool { return declares(p, e) }) {
			continue
		}
		d.edge(e)
	}
	slices.SortFunc(d.out.Vendors, func(a, b Vendor) int { return strings.Compare(a.Name, b.Name) })
	return d.out
}

type drafter struct {
	g       *access.Graph
	vendors []snapshot.KnownVendor
	known   []string // vendors that are declared already
	taken   map[string]bool
	out     *Registry
}

// edge drafts one entry.
func (d *drafter) edge(e *access.Edge) {
	entry := Entry{Comment: "Found: " + placeOf(e)}
	switch e.Grantee.Kind {
	case access.Issuer:
		if entry.From.OIDC = d.oidc(e); entry.From.OIDC == nil { // a SAML provider
			entry.From.Principals = []string{e.Grantee.ID}
		}
	case access.Anyone, access.EveryoneElse, access.Canonical, access.NotUnderstood:
		entry.Comment += "\nIt lets in " + string(e.Grantee.Kind) + ": no entry can declare that. Name who needs it, or close it."
	default:
		entry.From.Principals = []string{e.Grantee.ID}
	}
	if e.Target.Role != nil {
		entry.To.Role = e.Target.ARN
		entry.Session.Max = e.Target.Role.Role.MaxSession
		if b := e.Target.Role.Principal.Boundary; b != nil {
			entry.Boundary = b.ARN
		}
	} else {
		entry.To.Resources = []string{e.Target.ARN}
		entry.Actions = concrete(e.Actions)
	}
	if len(e.Grants) > 0 && entry.From.OIDC == nil {
		entry.TrustConditions = blockOf(e.Grants)
		if i := slices.IndexFunc(entry.TrustConditions, func(t cond.Test) bool { return t.NotUnderstood != "" }); i >= 0 {
			entry.Comment += "\nIts conditions are not drafted: " + entry.TrustConditions[i].NotUnderstood + "."
			entry.TrustConditions = nil
		}
	}
	d.vendor(&entry, e)
	entry.Name = d.name(e)
	d.out.Entries = append(d.out.Entries, entry)
}

func placeOf(e *access.Edge) string {
	ev := e.By
	if len(e.Grants) > 0 {
		ev = e.Grants[0].Evidence
	}
	if ev.Source.File == "" {
		return ev.Document + " of " + e.Target.ARN
	}
	return fmt.Sprintf("%s:%d", ev.Source.File, ev.Source.Line)
}

// blockOf is the condition of the only statement that lets in; several statements demand nothing together.
func blockOf(grants []access.Grant) cond.Block {
	if len(grants) != 1 || grants[0].Rule == nil {
		return nil
	}
	return grants[0].Rule.Condition
}

// concrete keeps the actions that an entry may name.
func concrete(actions []string) []string {
	var out []string
	for _, a := range actions {
		if a != "*" && !strings.HasSuffix(a, ":*") && strings.Contains(a, ":") {
			out = append(out, a)
		}
	}
	return out
}

// oidc reads issuer, audience and claims off the conditions of the statement; nil for a SAML provider.
func (d *drafter) oidc(e *access.Edge) *OIDC {
	if e.Mechanism != access.AssumeRoleWeb {
		return nil
	}
	host := eval.IssuerHost(e.Grantee.ID)
	o := &OIDC{Issuer: "https://" + host, Claims: map[string]string{}}
	if len(e.Grants) != 1 {
		return o
	}
	for _, key := range e.Grants[0].Raw.Tests() {
		claim, ok := strings.CutPrefix(key, strings.ToLower(host)+":")
		r := e.Grants[0].Raw.Require(key)
		if !ok || !r.Always || r.Absent || len(r.Values)+len(r.Patterns) != 1 {
			continue
		}
		value := slices.Concat(r.Values, r.Patterns)[0]
		if claim == "aud" {
			o.Audience = value
		} else {
			o.Claims[claim] = value
		}
	}
	return o
}

// vendor ties the entry to the vendor whose account it lets in.
func (d *drafter) vendor(entry *Entry, e *access.Edge) {
	for _, v := range d.vendors {
		if e.Grantee.Account == "" || !slices.Contains(v.Accounts, e.Grantee.Account) {
			continue
		}
		entry.Vendor, entry.Category = v.Name, "third-party"
		drafted := slices.ContainsFunc(d.out.Vendors, func(x Vendor) bool { return x.Name == v.Name })
		if !drafted && !slices.Contains(d.known, v.Name) {
			d.out.Vendors = append(d.out.Vendors, Vendor{Name: v.Name, Accounts: v.Accounts, Status: string(v.Status), Until: Day{v.Ended}, Evidence: strings.Join(v.Source, ", ")})
		}
		return
	}
}

// name is readable, unique and the same in each run: who, of which account, to what, in which account.
func (d *drafter) name(e *access.Edge) string {
	who := slug(lastOf(e.Grantee.ID))
	switch home := d.home(e.Grantee.Account); {
	case e.Grantee.Kind == access.WholeAccount && home != "":
		who = home
	case home != "":
		who += "-" + home
	}
	base := who + "-to-" + slug(lastOf(e.Target.ARN))
	if home := d.home(e.Target.Account); home != "" {
		base += "-" + home
	}
	name := base
	for n := 2; d.taken[name]; n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	d.taken[name] = true
	return name
}

// home is the name of an account, or its id where it has none.
func (d *drafter) home(id string) string {
	if a, ok := d.g.Org.Account(id); ok && slug(a.Name) != "" {
		return slug(a.Name)
	}
	return id
}

// lastOf is the last part of an ARN or host that reads like a name.
func lastOf(id string) string {
	if a, err := arn.Parse(id); err == nil {
		id = a.Resource
	}
	name := id[strings.LastIndexAny(id, "/:")+1:]
	if len(name) == len("01234567-89ab-cdef-0123-456789abcdef") && name[8] == '-' && name[13] == '-' { // the id of a key says nothing: its kind does
		kind, _, _ := strings.Cut(id, "/")
		return kind + "-" + name[:8]
	}
	return name
}

// slug keeps letters, digits and hyphens.
func slug(s string) string {
	if s == "*" {
		return "anyone"
	}
	var b strings.Builder
	hyphen := false
	for _, r := range strings.ToLower(s) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
			hyphen = false
		} else if !hyphen && b.Len() > 0 {
			b.WriteByte('-')
			hyphen = true
		}
	}
	return strings.TrimSuffix(b.String(), "-")
}
