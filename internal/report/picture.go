package report

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/eval"
	"drawbridge/internal/access"
	"drawbridge/internal/diagram"
)

// Map is the picture of the accounts and of the trusts between them. Trusts that are denied are left out.
func (r *Report) Map() *diagram.Picture {
	parties := map[string]diagram.Node{}
	var order []string
	add := func(n diagram.Node) {
		if _, ok := parties[n.ID]; !ok {
			parties[n.ID] = n
			order = append(order, n.ID)
		}
	}
	for i := range r.Accounts {
		a := &r.Accounts[i]
		n := diagram.Node{ID: a.ID, Label: a.name(), Sub: a.ID, Unit: a.Unit, Severity: a.Worst, Href: "#account-" + a.ID, Title: a.name() + " " + a.ID}
		if a.Name == "" {
			n.Sub = "account"
		}
		if a.Environment != "" {
			n.Sub += " · " + a.Environment
		}
		if a.Kind == "vendor" || a.Kind == "external" {
			n.Kind, n.Unit = diagram.Outside, ""
			n.Sub += " · " + a.Kind
		} else if !a.Inventoried {
			n.Sub += " · not collected"
		}
		if len(a.Findings) > 0 {
			n.Badge = strings.ReplaceAll(list(a.Findings[:min(2, len(a.Findings))]), ", ", " · ")
		}
		add(n)
	}
	type pair struct{ from, to string }
	counts, certain := map[pair]int{}, map[pair]bool{}
	var pairs []pair
	for i := range r.Trusts {
		t := &r.Trusts[i]
		if !t.CrossAccount || t.Verdict == eval.Deny.String() || t.Target.Account == "" {
			continue
		}
		n := party(&t.Grantee)
		if known, ok := parties[n.ID]; ok && known.Href != "" {
			n = known
		}
		add(n)
		if _, ok := parties[t.Target.Account]; !ok {
			add(diagram.Node{ID: t.Target.Account, Label: t.Target.Account, Sub: "not in the input", Title: t.Target.Account})
		}
		p := pair{n.ID, t.Target.Account}
		if p.from == p.to {
			continue
		}
		if counts[p] == 0 {
			pairs = append(pairs, p)
		}
		counts[p]++
		certain[p] = certain[p] || t.Verdict == eval.Allow.String()
	}
	// An account outside that takes part in no trust says nothing on the map.
	used := map[string]bool{}
	for _, p := range pairs {
		used[p.from], used[p.to] = true, true
	}
	order = slices.DeleteFunc(order, func(id string) bool { return parties[id].Kind != diagram.Inside && !used[id] })
	nodes := make([]diagram.Node, 0, len(order))
	for _, id := range order {
		nodes = append(nodes, parties[id])
	}
	edges := make([]diagram.Edge, 0, len(pairs))
	for _, p := range pairs {
		edges = append(edges, diagram.Edge{
			From: p.from, To: p.to, Label: strconv.Itoa(counts[p]), Possible: !certain[p],
			Title: fmt.Sprintf("%s from %s to %s", plural(counts[p], "trust"), parties[p.from].Label, parties[p.to].Label),
		})
	}
	picture := diagram.Map(nodes, edges)
	picture.Label = fmt.Sprintf("Map of %s and the trusts between them; the tables below say the same in words.", plural(len(r.Accounts), "account"))
	return picture
}

// party is the node of a grantee: its account, its issuer, all services together, or anyone.
func party(g *Grantee) diagram.Node {
	switch access.Relation(g.Relation) {
	case access.Public:
		return diagram.Node{ID: "anyone", Label: "Anyone", Sub: "every AWS identity", Kind: diagram.Anyone}
	case access.AWSService:
		return diagram.Node{ID: "services", Label: "AWS services", Sub: "service principals", Kind: diagram.Service}
	case access.Federated:
		host, sub := issuer(g.ID)
		return diagram.Node{ID: "issuer:" + host, Label: host, Sub: sub, Kind: diagram.Issuer, Title: host}
	}
	if g.Kind == string(access.NotUnderstood) {
		return diagram.Node{ID: "kind:" + g.Kind, Label: "Not known", Sub: "a policy could not be read", Kind: diagram.Outside}
	}
	if _, unit, ok := strings.Cut(g.ID, ":organizations:"); ok {
		return diagram.Node{ID: g.ID, Label: "Organisation or OU", Sub: unit[strings.LastIndexByte(unit, '/')+1:], Kind: diagram.Outside, Title: g.ID}
	}
	if g.Account == "" {
		return diagram.Node{ID: "kind:" + g.Kind, Label: strings.ReplaceAll(g.Kind, "-", " "), Sub: "account not known", Kind: diagram.Outside}
	}
	n := diagram.Node{ID: g.Account, Label: cmp.Or(g.Vendor, g.AccountName, g.Account), Sub: g.Account, Title: g.Account}
	what := ""
	switch access.Relation(g.Relation) {
	case access.External:
		n.Kind, what = diagram.Outside, "outside"
		if g.Vendor != "" {
			what = "vendor"
		}
	case access.RelationUnknown:
		n.Kind, what = diagram.Outside, "membership unknown"
	}
	switch {
	case n.Label == g.Account:
		n.Sub = what
	case what != "":
		n.Sub += " · " + what
	}
	return n
}

// issuer is who stands behind an identity provider, and what it is. An issuer is one, in however many accounts it is
// registered: IAM Identity Center makes a provider of its own in each, named AWSSSO_…_DO_NOT_DELETE.
func issuer(id string) (host, sub string) {
	if _, name, ok := strings.Cut(id, ":oidc-provider/"); ok {
		return name, "OIDC issuer"
	}
	if _, name, ok := strings.Cut(id, ":saml-provider/"); ok {
		if strings.HasPrefix(name, "AWSSSO_") && strings.HasSuffix(name, "_DO_NOT_DELETE") {
			return "IAM Identity Center", "people, by SAML"
		}
		return name, "SAML · account " + arn.Account(id)
	}
	return id, "identity provider"
}

// maxWays is how many ways to one target a picture shows.
const maxWays = 12

// Ways is the picture of the ways from outside to one critical target, the shortest where there are many.
func (r *Report) Ways(to string) *diagram.Picture {
	names := map[string]string{}
	for i := range r.Accounts {
		names[r.Accounts[i].ID] = r.Accounts[i].name()
	}
	var nodes []diagram.Node
	var edges []diagram.Edge
	total := 0
	seenNode, seenEdge := map[string]bool{}, map[[2]string]bool{}
	add := func(n diagram.Node) {
		if !seenNode[n.ID] {
			seenNode[n.ID] = true
			nodes = append(nodes, n)
		}
	}
	for i := range r.Paths {
		p := &r.Paths[i]
		if p.To != to {
			continue
		}
		if total++; total > maxWays {
			continue
		}
		from := diagram.Node{ID: "from:" + p.From, Label: short(p.From), Sub: p.FromKind + " outside", Kind: diagram.Outside, Title: p.From}
		switch access.GranteeKind(p.FromKind) {
		case access.Anyone, access.EveryoneElse:
			from.Label, from.Sub, from.Kind = "Anyone", "every AWS identity", diagram.Anyone
		case access.Issuer:
			from.Label, from.Sub = issuer(p.From)
			from.Kind = diagram.Issuer
		}
		add(from)
		last := from.ID
		for j := range p.Steps {
			s := &p.Steps[j]
			n := diagram.Node{ID: s.To, Label: short(s.To), Sub: cmp.Or(names[s.Account], s.Account), Title: s.To}
			if s.To == to {
				n.Sub += " · critical"
			}
			add(n)
			key := [2]string{last, s.To}
			if !seenEdge[key] {
				seenEdge[key] = true
				e := diagram.Edge{From: last, To: s.To, Label: s.Call, Possible: s.Conditions != nil}
				if s.Conditions != nil {
					e.Title = "if " + s.Conditions.Text
				}
				edges = append(edges, e)
			}
			last = s.To
		}
	}
	picture := diagram.Layered(nodes, edges)
	if total > maxWays {
		picture.Note = fmt.Sprintf("The %d shortest of %d ways are drawn.", maxWays, total)
	}
	picture.Label = "Ways from outside to " + to + "; the list below says the same in words."
	return picture
}

// short is the part of an ARN that people know: role/deploy, the name of a bucket.
func short(id string) string {
	if !strings.HasPrefix(id, "arn:") {
		return id
	}
	parts := strings.SplitN(id, ":", 6)
	name := parts[len(parts)-1]
	if len(parts) == 6 && parts[2] != "iam" {
		return parts[2] + " " + name
	}
	return name
}
