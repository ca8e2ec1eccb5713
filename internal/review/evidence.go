package review

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/eval"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
	"drawbridge/internal/usage"
)

// Material is what a campaign is made from.
type Material struct {
	Graph    *access.Graph // nil: nothing is known of policies and paths
	Registry *registry.Registry
	Items    []registry.Item   // reconciled
	Usage    *usage.Record     // nil: none
	Findings []finding.Finding // of a scan
	Accepted []finding.Accepted
	Rules    []*rule.Rule // of the findings: their records name the controls
	// Since is the campaign that was the last review; nil: none was given.
	Since *Campaign
	// Parameters say what counts as critical.
	Parameters rule.Parameters
	Now        time.Time
}

// How much of a list an item names; the rest is counted.
const (
	maxNames = 12
	maxPaths = 10
	maxRoles = 500 // behind one trust
)

// Unused is what a role is granted and nobody was seen to use. It is a bound from above: what the role's policies allow by their text.
type Unused struct {
	Role string `json:"role"`
	// Granted counts actions, Used those of them that were recorded.
	Granted int `json:"granted"`
	Used    int `json:"used"`
	// Services are those none of whose granted actions was recorded, with how many there are; MoreServices are not named.
	Services     []string `json:"services"`
	MoreServices int      `json:"moreServices"`
	// Actions are those not recorded of the services that are used; MoreActions are not named.
	Actions     []string `json:"actions"`
	MoreActions int      `json:"moreActions"`
	// Unknown says why nothing is called unused, or why the list is not all; "" where it is judged.
	Unknown string `json:"unknown,omitempty"`
}

// Way is a path from the trust to something critical.
type Way struct {
	To    string   `json:"to"`
	Why   string   `json:"why"`   // critical, or administrator of an account
	Steps []string `json:"steps"` // roles in order, the last with the action where it is a resource
	// Possible: a step has conditions left over.
	Possible bool `json:"possible"`
}

// Finding is an open finding on what the entry reaches.
type Finding struct {
	Rule        string `json:"rule"`
	Severity    string `json:"severity"`
	Reason      string `json:"reason"`
	Fingerprint string `json:"fingerprint"`
	// Controls are those that the rule is mapped to.
	Controls []string `json:"controls"`
	// Accepted says who accepted the finding by an exception, until when and why; "" where nobody did.
	Accepted string `json:"accepted,omitempty"`
}

// Basis is a compact fingerprint of what was reviewed, by which the next campaign tells what changed.
type Basis struct {
	// Policies are digests of the policy on each target: the trust policy of a role, the policy of a resource; "absent" for a role that was
	// not there, "none" for a resource without policy. A target that was not read is left out.
	Policies map[string]string `json:"policies"`
	// LetsIn are the callers of other accounts that the policy of each target names.
	LetsIn map[string][]string `json:"letsIn"`
	// Permissions are digests of what each role may do: its policies and its boundary.
	Permissions map[string]string `json:"permissions"`
}

// maker makes items, and keeps what several of them ask for.
type maker struct {
	Material
	controls map[string][]string // by rule
	admins   map[*org.Principal]eval.Verdict
	jewels   []*org.Resource
	granted  map[string]granted // by the policies: most roles are copies
	stands   map[*registry.Entry][]registry.Item
	findings map[string][]finding.Finding // confirmed, by subject
}

func (m Material) maker() *maker {
	k := &maker{Material: m, controls: map[string][]string{}, admins: map[*org.Principal]eval.Verdict{},
		granted: map[string]granted{}, stands: map[*registry.Entry][]registry.Item{}, findings: map[string][]finding.Finding{}}
	for _, item := range m.Items {
		k.stands[item.Entry] = append(k.stands[item.Entry], item)
	}
	for _, f := range m.Findings {
		if f.Status == finding.Confirmed {
			k.findings[f.Subject] = append(k.findings[f.Subject], f)
		}
	}
	for i := range m.Rules {
		k.controls[m.Rules[i].ID] = mapped(m.Rules[i].Controls)
	}
	k.Parameters = m.Parameters.WithDefaults()
	if m.Graph != nil {
		for _, r := range m.Graph.Org.Resources {
			if k.critical(r.Tags) {
				k.jewels = append(k.jewels, r)
			}
		}
	}
	return k
}

func (m *maker) critical(tags map[string]string) bool {
	return tags[m.Parameters.CriticalTagKey] == m.Parameters.CriticalTagValue
}

func (m *maker) item(e *registry.Entry) Item {
	i := Item{Entry: e.Name, Owner: e.Owner, Purpose: e.Purpose, Who: e.From.Sources(), What: e.To.Targets(), Expires: e.Expires.String(), Vendor: e.Vendor,
		Session: registry.FormatSpan(e.Session.Max), LastReview: e.Review.Last.String(), Needs: max(e.Review.Reviewers, 1), State: Open,
		Escalate: e.Review.Escalate, Quarantine: registry.FormatSpan(e.Review.Quarantine),
		Stands: []string{}, LastUsed: map[string]string{}, RoleUsed: map[string]string{}, Findings: []Finding{}, Decisions: []Decision{}, Unused: []Unused{}, Paths: []Way{}, Changes: []string{},
		Basis: Basis{map[string]string{}, map[string][]string{}, map[string]string{}}}
	if i.What == nil {
		i.What = []string{}
	}
	if e.To.Service != "" {
		i.What = append(i.What, e.To.Service)
	}
	if len(i.Escalate) == 0 {
		i.Escalate = e.Approval.Approvers
	}
	if i.Escalate == nil {
		i.Escalate = []string{}
	}
	var edges []*access.Edge
	for _, item := range m.stands[e] {
		i.Stands = append(i.Stands, fmt.Sprintf("%s: %s", item.State, item.Reason))
		edges = append(edges, item.Edges...)
	}
	m.used(&i)
	for _, target := range i.What {
		for _, f := range m.findings[target] {
			i.Findings = append(i.Findings, Finding{f.Rule, f.Severity.String(), f.Reason, f.Fingerprint, append([]string{}, m.controls[f.Rule]...), m.accepted(f.Fingerprint)})
		}
	}
	rank := func(f Finding) int {
		return slices.Index([]string{"critical", "high", "medium", "low", "info"}, f.Severity)
	}
	slices.SortStableFunc(i.Findings, func(a, b Finding) int {
		if n := rank(a) - rank(b); n != 0 {
			return n
		}
		return strings.Compare(a.Rule+a.Reason, b.Rule+b.Reason)
	})
	if m.Graph != nil {
		for _, target := range i.What {
			m.basis(&i, target)
			if p, ok := m.Graph.Org.Principal(target); ok && p.Role != nil {
				i.Unused = append(i.Unused, m.unused(p))
				if last := p.Role.LastUsed; !last.IsZero() {
					i.RoleUsed[target] = day(last)
				}
			}
		}
		m.paths(&i, edges)
	}
	m.compare(&i, e)
	return i
}

// accepted says by whom a finding is accepted.
func (m *maker) accepted(fingerprint string) string {
	for _, a := range m.Accepted {
		if a.Finding.Fingerprint == fingerprint {
			return fmt.Sprintf("accepted by %s until %s: %s", a.Exception.Owner, day(a.Exception.Expires), a.Exception.Reason)
		}
	}
	return ""
}

// used says when each caller came last.
func (m *maker) used(i *Item) {
	covered := true
	var vague []string // accounts of which only the account is recorded
	for _, target := range i.What {
		for _, who := range i.Who {
			last := m.Usage.LastUse(target, func(caller string) bool {
				if !registry.Admits(who, caller) {
					return false
				}
				if arn.IsAccountID(caller) && caller != who && !strings.HasSuffix(who, ":root") && !slices.Contains(vague, caller) {
					vague = append(vague, caller)
				}
				return true
			})
			if text := day(last); text > i.LastUsed[who] {
				i.LastUsed[who] = text
			} else if _, there := i.LastUsed[who]; !there {
				i.LastUsed[who] = ""
			}
		}
		covered = covered && m.Usage.Covers(accountOf(target), m.Now.Add(-rhythm), m.Now)
	}
	i.Evidence = "the record of use covers the last 90 days"
	if !covered {
		i.Evidence = "the record of use does not cover the last 90 days: silence proves nothing"
	}
	if len(vague) > 0 {
		slices.Sort(vague)
		i.Evidence += "; of " + strings.Join(vague, ", ") + " only the account is recorded, not who of it came"
	}
}

// versioned is the date that some services carry in the names of their calls: ListFunctions20150331.
var versioned = regexp.MustCompile(`20[0-9]{6}(v[0-9]+)?$`)

type granted struct{ actions, unread []string }

// grantedTo is access.Granted, asked once for roles with the same policies. Equal texts share one policy.
func (m *maker) grantedTo(p *org.Principal) (actions, unread []string) {
	key := fmt.Sprint(p.Identity.Policies, p.Identity.Unresolved)
	if p.Boundary != nil {
		key += fmt.Sprint(" within ", p.Boundary.Policies, p.Boundary.Unresolved)
	}
	g, ok := m.granted[key]
	if !ok {
		g.actions, g.unread = access.Granted(p)
		m.granted[key] = g
	}
	return g.actions, g.unread
}

// unused compares what a role is granted with what it was seen to do.
func (m *maker) unused(p *org.Principal) Unused {
	granted, unread := m.grantedTo(p)
	u := Unused{Role: p.ARN, Granted: len(granted), Services: []string{}, Actions: []string{}}
	switch {
	case len(unread) > 0:
		u.Unknown = "it may be granted more: " + unread[0]
	case !m.Usage.Covers(p.Account, m.Now.Add(-rhythm), m.Now):
		u.Unknown = "the record of use does not cover the last 90 days"
	}
	seen, other := map[string]bool{}, map[string]bool{}
	for _, a := range m.Usage.By(p.ARN) {
		if a.Count == 0 {
			continue
		}
		service, call, _ := strings.Cut(strings.ToLower(versioned.ReplaceAllString(a.Action, "")), ":")
		name := service + ":" + call
		seen[name] = true
		if _, known := ref.LookupAction(name); !known { // ListObjects is s3:ListBucket: which action it was is not known
			other[service] = true
		}
	}
	byService := map[string][]string{} // not recorded
	usedIn := map[string]bool{}
	for _, a := range granted {
		service, _, _ := strings.Cut(a, ":")
		if seen[strings.ToLower(a)] {
			u.Used++
			usedIn[service] = true
			continue
		}
		byService[service] = append(byService[service], a)
	}
	if u.Unknown != "" {
		return u
	}
	var unclear, unheard []string
	for _, service := range slices.Sorted(maps.Keys(byService)) {
		switch names := byService[service]; {
		case other[service]:
			unclear = append(unclear, service)
		case dataEvents[service] && !m.hears(p.Account, service):
			unheard = append(unheard, service)
		case !usedIn[service] && len(u.Services) < maxNames:
			u.Services = append(u.Services, fmt.Sprintf("%s (%d)", service, len(names)))
		case !usedIn[service]:
			u.MoreServices++
		default:
			take := min(len(names), max(maxNames-len(u.Actions), 0))
			u.Actions = append(u.Actions, names[:take]...)
			u.MoreActions += len(names) - take
		}
	}
	var why []string
	if len(unheard) > 0 {
		why = append(why, "of "+bounded(unheard)+" the record has no data events")
	}
	if len(unclear) > 0 {
		why = append(why, "of "+bounded(unclear)+" calls were recorded under names that are no actions")
	}
	u.Unknown = strings.Join(why, "; ")
	return u
}

// bounded names some, and counts the rest.
func bounded(names []string) string {
	if len(names) > maxNames {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNames], ", "), len(names)-maxNames)
	}
	return strings.Join(names, ", ")
}

// dataEvents are services whose reading and writing of data CloudTrail records only where a trail is told to (CloudTrail user guide,
// "Logging data events", read 2026-11-20). Their silence proves nothing where none was recorded.
var dataEvents = func() map[string]bool {
	out := map[string]bool{}
	for _, s := range strings.Fields(`appconfig appsync bedrock cassandra cloudwatch codewhisperer cognito-identity cognito-sync dynamodb ebs execute-api
		geo iotsitewise kinesis kinesisvideo lambda mediastore neptune-db rds-data redshift-data s3 s3-object-lambda s3-outposts s3express sagemaker
		sdb sns sqs ssmmessages states swf timestream verifiedpermissions xray`) {
		out[s] = true
	}
	return out
}()

// hears reports whether a trail of the account recorded any data event of a service.
func (m *maker) hears(account, service string) bool {
	return m.Usage != nil && slices.ContainsFunc(m.Usage.Seen, func(s usage.Seen) bool {
		return s.Account == account && slices.ContainsFunc(s.Data, func(d usage.NamedDays) bool { return d.Name == service })
	})
}

// paths finds what critical things the trusts of the entry lead to.
func (m *maker) paths(i *Item, edges []*access.Edge) {
	add := func(w Way) {
		if slices.ContainsFunc(i.Paths, func(o Way) bool { return o.To == w.To }) {
			return
		}
		if len(i.Paths) == maxPaths {
			i.MorePaths++
			return
		}
		i.Paths = append(i.Paths, w)
	}
	edges = slices.DeleteFunc(slices.Clone(edges), func(e *access.Edge) bool { return e.Verdict == eval.Deny })
	for _, e := range edges {
		if r := e.Target.Resource; r != nil && m.critical(r.Tags) {
			add(Way{To: r.ARN, Why: "critical", Steps: []string{r.ARN}, Possible: e.Verdict != eval.Allow})
		}
	}
	reach := m.Graph.ReachFrom(edges)
	roles := reach.Order
	if len(roles) > maxRoles {
		i.MorePaths += len(roles) - maxRoles
		roles = roles[:maxRoles]
	}
	steps := func(role *org.Principal) (names []string, possible bool) {
		for _, e := range reach.Way(role) {
			names = append(names, e.Target.ARN)
			possible = possible || e.Verdict != eval.Allow
		}
		return names, possible
	}
	for _, role := range roles {
		verdict, asked := m.admins[role]
		if !asked {
			d, _ := m.Graph.Administrator(role)
			verdict = d.Verdict
			m.admins[role] = verdict
		}
		names, possible := steps(role)
		switch {
		case m.critical(role.Tags):
			add(Way{role.ARN, "critical", names, possible})
		case verdict == eval.Allow:
			add(Way{role.ARN, "administrator of account " + role.Account, names, possible})
		}
	}
	for _, r := range m.jewels {
		for _, role := range roles {
			if action, verdict := m.Graph.ActsOn(role, r); verdict != eval.Deny {
				names, possible := steps(role)
				add(Way{r.ARN, "critical", append(names, action+" on "+r.ARN), possible || verdict != eval.Allow})
				break
			}
		}
	}
}

// In place of a digest: the role is not there, the resource has no policy. What was not read is neither.
const (
	absent = "absent"
	none   = "none"
)

// basis keeps what the policies of a target were.
func (m *maker) basis(i *Item, target string) {
	var on *eval.Set
	if p, ok := m.Graph.Org.Principal(target); ok && p.Role != nil {
		on = p.Trust
		sets := []*eval.Set{&p.Identity, p.Boundary}
		if d := digest(sets...); d != "" {
			i.Basis.Permissions[target] = d
		}
	} else if r, ok := m.Graph.Org.Resource(target); ok {
		if on = r.Policy; on == nil {
			i.Basis.Policies[target] = none
		}
	} else if strings.Contains(target, ":role/") && m.Graph.Org.Inventoried(accountOf(target)) {
		i.Basis.Policies[target], i.Basis.Permissions[target] = absent, absent
	}
	if on == nil {
		return
	}
	if d := digest(on); d != "" {
		i.Basis.Policies[target] = d
	}
	names := []string{}
	for _, e := range m.Graph.EdgesTo(target) {
		if e.CrossAccount && e.Grantee.Kind != access.ServiceGrantee && e.Verdict != eval.Deny {
			names = append(names, e.Grantee.ID)
		}
	}
	slices.Sort(names)
	i.Basis.LetsIn[target] = slices.Compact(names)
}

// digest is one short text for several sets of documents, whatever their order; "" where something of them was not read.
func digest(sets ...*eval.Set) string {
	h := sha256.New()
	for _, s := range sets {
		if s == nil {
			h.Write([]byte("none\n"))
			continue
		}
		if len(s.Unresolved) > 0 {
			return ""
		}
		var keys []string
		for _, p := range s.Policies {
			keys = append(keys, p.Document.Key())
		}
		slices.Sort(keys)
		fmt.Fprintf(h, "%d\n%s\n", len(keys), strings.Join(keys, "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// compare says what is other than at the last review.
func (m *maker) compare(i *Item, e *registry.Entry) {
	say := func(format string, args ...any) { i.Changes = append(i.Changes, fmt.Sprintf(format, args...)) }
	if m.Since == nil {
		if e.Review.Last.IsZero() {
			i.ChangesSince = "it was not reviewed before"
			return
		}
		i.ChangesSince = "no campaign of the last review was given: of policies and findings it is not known what changed since " + i.LastReview
		m.since(i, e.Review.Last.Time, say)
		return
	}
	at := slices.IndexFunc(m.Since.Items, func(o Item) bool { return o.Entry == i.Entry })
	if at < 0 {
		i.ChangesSince = "campaign " + m.Since.ID + " did not review it"
		return
	}
	i.ChangesSince = fmt.Sprintf("compared with campaign %s of %s", m.Since.ID, day(m.Since.Opened))
	old := &m.Since.Items[at]
	for _, f := range [...][3]string{{"the owner", old.Owner, i.Owner}, {"the purpose", old.Purpose, i.Purpose}, {"the vendor", old.Vendor, i.Vendor},
		{"the last day", old.Expires, i.Expires}, {"the longest session", old.Session, i.Session}} {
		if f[1] != f[2] {
			say("%s was %s and is %s", f[0], orNone(f[1]), orNone(f[2]))
		}
	}
	lists := func(old, now []string, joined, left string) {
		for _, v := range now {
			if !slices.Contains(old, v) {
				say(joined, v)
			}
		}
		for _, v := range old {
			if !slices.Contains(now, v) {
				say(left, v)
			}
		}
	}
	lists(old.Who, i.Who, "the entry declares the caller %s", "the entry no longer declares the caller %s")
	lists(old.What, i.What, "the entry declares the target %s", "the entry no longer declares the target %s")
	for _, target := range i.What {
		if !slices.Contains(old.What, target) {
			continue
		}
		what := "the policy of " + target
		if strings.Contains(target, ":role/") {
			what = "the trust policy of " + target
		}
		policies(old.Basis.Policies[target], i.Basis.Policies[target], what, say)
		if was, read := old.Basis.LetsIn[target]; read && i.Basis.LetsIn[target] != nil {
			lists(was, i.Basis.LetsIn[target], target+" lets in %s", target+" no longer lets in %s")
		}
		if strings.Contains(target, ":role/") {
			policies(old.Basis.Permissions[target], i.Basis.Permissions[target], "the permissions of "+target, say)
		}
	}
	lists(old.Stands, i.Stands, "now %s", "no longer %s")
	found := func(list []Finding) (keys []string, words map[string]string) {
		words = map[string]string{}
		for _, f := range list {
			keys = append(keys, f.Fingerprint)
			words[f.Fingerprint] = f.Severity + " " + f.Rule + ": " + f.Reason
		}
		return keys, words
	}
	was, wasWords := found(old.Findings)
	is, isWords := found(i.Findings)
	for _, k := range is {
		if !slices.Contains(was, k) {
			say("new finding, %s", isWords[k])
		}
	}
	for _, k := range was {
		if !slices.Contains(is, k) {
			say("no longer found, %s", wasWords[k])
		}
	}
	ways := func(list []Way) (out []string) {
		for _, w := range list {
			out = append(out, w.To)
		}
		return out
	}
	lists(ways(old.Paths), ways(i.Paths), "there is a path to %s", "there is no path to %s any more")
	for n := range i.Unused {
		u := &i.Unused[n]
		if o := slices.IndexFunc(old.Unused, func(x Unused) bool { return x.Role == u.Role }); o >= 0 && old.Unused[o].Granted != u.Granted {
			say("%s is granted %s, and it was %s", u.Role, plural(u.Granted, "action"), plural(old.Unused[o].Granted, "action"))
		}
	}
	m.since(i, m.Since.Opened, say)
}

// policies tells whether a document is another than before. One that was not read on either side is neither the same nor another.
func policies(was, is, what string, say func(string, ...any)) {
	switch {
	case was == is && was != "":
	case is == absent:
		say("%s: the role is gone", what)
	case was == absent:
		say("%s: the role is there, and was not", what)
	case was == "" || is == "":
		say("whether %s changed is not known: it was not read", what)
	default:
		say("%s changed", what)
	}
}

// since says who came since the last review, and who did not.
func (m *maker) since(i *Item, when time.Time, say func(string, ...any)) {
	for _, who := range i.Who {
		switch last := i.LastUsed[who]; {
		case last != "" && last >= day(when):
			say("%s used it, last on %s", who, last)
		case !slices.ContainsFunc(i.What, func(target string) bool { return !m.Usage.Covers(accountOf(target), when, m.Now) }):
			say("%s did not use it", who)
		default:
			say("whether %s used it is not known: the record of use does not cover the time", who)
		}
	}
	if m.Graph == nil {
		return
	}
	for _, target := range i.What {
		if p, ok := m.Graph.Org.Principal(target); ok && p.Role != nil && p.Role.Created.After(when) {
			say("the role %s was made on %s", target, day(p.Role.Created))
		}
	}
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
