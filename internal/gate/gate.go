// Package gate judges a planned change: what does it let anyone do that they could not do before? The answer comes from the engine, asked about the organisation as it is and as it becomes, and never from a list of
// suspicious words in the code.
//
// Three results are different things: it is proven that nothing is gained; something is gained, and each gain is shown by a request; or it cannot be judged, because a value is computed when the change is applied, or a
// policy is not understood. What cannot be judged never passes as nothing.
package gate

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/compare"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/change"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
)

// Kind is what sort of gain it is.
type Kind string

const (
	Trust  Kind = "trust"  // somebody of another account, or from outside, reaches a role or resource
	Rights Kind = "rights" // a principal may do more
	Path   Kind = "path"   // a way over several roles is completed
	Guard  Kind = "guard"  // something that only takes away is taken away: a boundary, an SCP, an RCP
)

// Gain is one thing that somebody can do after the change and could not before.
type Gain struct {
	Kind Kind
	Who  []string // who gains, as policies name them
	What string   // on what: ARN
	// Actions are what may be done; How says the mechanism or way in words.
	Actions []string
	How     string
	// Conditions are what a request must fulfil, "always" where nothing.
	Conditions string
	// Witness shows it: a request that is allowed after the change and denied before; nil where the way is shown by its steps.
	Witness *compare.Witness
	// Steps are those of a path, in words.
	Steps []string
	// Reach are the sources of other accounts that can come to use gained rights.
	Reach []string
	// Registered is the entry that declares it, "" where none does. Registry says how it stands to the registry where one was given.
	Registered string
	Registry   string
	// Within: it stays inside one account, as far as the organisation is known: nobody of another account, and nobody from outside, gains.
	Within bool
	Step   *change.Step // that gives it, nil where several do or none by itself
	Source snapshot.Source
	Standing
	basis  string // what its policies say: see fingerprint
	demand cond.Formula
}

// Entry is the draft of an entry that makes gains pass once it is in the registry.
type Entry struct {
	registry.Entry
	// Replaces: the registry has an entry of this name, and the draft is what it would have to become.
	Replaces bool
	// Lets are the fingerprints of the gains that pass with it.
	Lets []string
}

// Standing is how a gain, or what could not be judged, stands to the exceptions.
type Standing struct {
	Fingerprint string
	// Accepted is the exception in force that accepts it, Expired one that did; nil where there is none.
	Accepted, Expired *finding.Exception
}

func (s *Standing) hold(exceptions map[string]*finding.Exception, now time.Time) {
	switch e := exceptions[s.Fingerprint]; {
	case e == nil:
	case now.Before(e.Expires):
		s.Accepted = e
	default:
		s.Expired = e
	}
}

// Unjudged is something that could not be judged.
type Unjudged struct {
	What   string // ARN, or the address in the code
	Why    string
	Step   *change.Step
	Source snapshot.Source
	Standing
	basis string
}

// Result is the judgement.
type Result struct {
	Gains    []Gain
	Unjudged []Unjudged
	// Lost counts documents that allow less than before, Same those that were changed and allow the same.
	Lost, Same int
	// Changed is how many steps change something.
	Changed           int
	any, allowUnknown bool
	// Entries are drafts for the registry, each of which lets something pass that is refused.
	Entries []Entry
	// Based: an organisation was given as the base; without one paths elsewhere cannot be seen.
	Based bool
}

// Refuses reports whether a gain needs somebody's yes that it has not: no entry of the registry declares it, no exception accepts it, and it does not stay inside one account.
func (r *Result) Refuses(g *Gain) bool {
	return g.Registered == "" && g.Accepted == nil && (r.any || !g.Within)
}

// Open counts what could not be judged and is accepted by no exception.
func (r *Result) Open() (n int) {
	for i := range r.Unjudged {
		if r.Unjudged[i].Accepted == nil {
			n++
		}
	}
	return n
}

// Status is the whole judgement in words.
func (r *Result) Status() string {
	some := func(is func(*Gain) bool) bool {
		return slices.ContainsFunc(r.Gains, func(g Gain) bool { return is(&g) })
	}
	switch {
	case some(r.Refuses):
		return "refused"
	case r.Open() > 0:
		return "cannot be judged"
	case len(r.Unjudged) > 0, some(func(g *Gain) bool { return g.Accepted != nil }):
		return "accepted"
	case some(func(g *Gain) bool { return g.Registered != "" }):
		return "registered"
	case len(r.Gains) > 0:
		return "nothing new across accounts"
	}
	return "nothing new"
}

// Passes reports whether nothing is refused, and nothing could not be judged.
func (r *Result) Passes() bool {
	return !slices.ContainsFunc(r.Gains, func(g Gain) bool { return r.Refuses(&g) }) && (r.Open() == 0 || r.allowUnknown)
}

// Options of a judgement.
type Options struct {
	Now    time.Time
	Engine eval.Evaluator
	// Registry holds declared trusts; nil: none was given, and no gain is registered.
	Registry *registry.Registry
	// Any refuses also what stays inside one account; AllowUnknown lets pass what could not be judged.
	Any, AllowUnknown bool
	// Exceptions accept gains, and what could not be judged, by their fingerprints, until they expire.
	Exceptions []finding.Exception

	everywhere bool // ways are looked for onto every resource: what a test holds the quick search against
}

// Judge judges a plan over an organisation, nil where only the plan is known.
func Judge(base *snapshot.Snapshot, p *change.Plan, o Options) *Result {
	before, after := change.Apply(base, p)
	j := &judge{o: o, p: p, base: base, r: &Result{Based: base != nil, any: o.Any, allowUnknown: o.AllowUnknown}}
	j.old = access.Build(org.Build(before), access.Options{Now: o.Now, Engine: o.Engine})
	j.new = access.Build(org.Build(after), access.Options{Now: o.Now, Engine: o.Engine})
	for i := range p.Steps {
		s := &p.Steps[i]
		if s.Action != change.NoOp && s.Action != change.Read {
			j.r.Changed++
		}
		for _, u := range s.Unknown {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: cmp.Or(u.Of, s.Address), Why: u.Attribute + " " + u.Why, Step: s, Source: s.Source})
		}
	}
	for _, g := range p.Gaps {
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: g.Subject, Why: g.Reason, Source: g.Source})
	}
	j.unlinked(before, after)
	j.documents()
	j.trusts()
	j.shares()
	j.guards()
	j.providers()
	j.controls()
	j.groups()
	j.endpointServices()
	j.paths()
	j.within()
	j.registered()
	slices.SortStableFunc(j.r.Gains, func(a, b Gain) int {
		return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.What, b.What), slices.Compare(a.Who, b.Who), slices.Compare(a.Actions, b.Actions))
	})
	j.accepted()
	j.propose()
	return j.r
}

// The rules that a judgement reports by.
const (
	Widens = "IAC-001"
	Hides  = "IAC-002"
)

// accepted gives everything its fingerprint, and holds it against the exceptions.
func (j *judge) accepted() {
	exceptions := make(map[string]*finding.Exception, len(j.o.Exceptions))
	for i := range j.o.Exceptions {
		exceptions[j.o.Exceptions[i].Fingerprint] = &j.o.Exceptions[i]
	}
	for i := range j.r.Gains {
		g := &j.r.Gains[i]
		g.Fingerprint = g.fingerprint()
		g.hold(exceptions, j.o.Now)
	}
	for i := range j.r.Unjudged {
		u := &j.r.Unjudged[i]
		address := ""
		if u.Step != nil {
			address = u.Step.Address
		}
		u.Fingerprint = finding.Fingerprint(Hides, u.What, u.Why, address, u.basis)
		u.hold(exceptions, j.o.Now)
	}
}

// fingerprint identifies a gain. Whoever accepts it accepts what they have seen: who gains what, on what, under which conditions, and whoever can come to use it. What a document lets through is not said in full by a
// sentence, so that its meaning counts too: another policy is another gain, even where one request shows both.
func (g *Gain) fingerprint() string {
	list := func(names []string) string {
		sorted := slices.Clone(names)
		slices.Sort(sorted)
		return strings.Join(sorted, ",")
	}
	return finding.Fingerprint(Widens, g.What, string(g.Kind), list(g.Who), list(g.Actions), g.Conditions, list(g.Reach), strings.Join(g.Steps, ","), g.basis)
}

// basisOf is what documents say, the same for those that mean the same.
func basisOf(list ...*policy.Policy) string { return strings.Join(keys(list), "\x00") }

// unlinked finds what the plan changes of the organisation and neither it nor the base tells where that belongs.
func (j *judge) unlinked(before, after *snapshot.Snapshot) {
	told := make(map[string]bool)
	for _, g := range slices.Concat(before.Gaps, after.Gaps) {
		step := j.stepOf(g.Subject)
		if g.Kind != snapshot.GapOrganization || step == nil || told[g.Subject] || step.Action == change.NoOp {
			continue
		}
		told[g.Subject] = true
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: g.Subject, Why: g.Reason, Step: step, Source: step.Source})
	}
}

// within marks the gains that stay inside one account.
func (j *judge) within() {
	for i := range j.r.Gains {
		g := &j.r.Gains[i]
		switch g.Kind {
		case Rights:
			g.Within = !slices.ContainsFunc(g.Reach, notService)
		case Guard:
			// A boundary that goes matters where somebody else comes to the principal; an SCP or RCP binds whole accounts. What an endpoint lets pass must be allowed elsewhere too.
			if _, ok := j.new.Org.Principal(g.What); ok {
				g.Within = !slices.ContainsFunc(g.Reach, notService)
			} else if _, ok := j.new.Org.Resource(g.What); ok {
				g.Within = true
			}
		case Trust:
			if w := g.Witness; w != nil && w.Caller != nil {
				home := accountOf(j.new, g.What)
				g.Within = w.Caller.Kind == eval.Service && len(g.Who) == 1 && !slices.Contains(federating, w.Caller.Service) && j.ownWork(g, w.Caller.Service) || w.Caller.Account != "" && w.Caller.Account == home && len(g.Who) == 1
			} else if len(g.Who) == 1 {
				g.Within = !notService(g.Who[0])
			}
		}
	}
}

// federating are hosts of AWS that vouch for whoever shows them a token or a certificate: they are issuers, and no services that act in an account's name.
var federating = []string{"cognito-identity.amazonaws.com", "rolesanywhere.amazonaws.com"}

// ownWork reports whether a service acts for the account alone that it reaches. What a resource policy lets in without a test of the source may be driven by resources of other accounts, where the service says which these are;
// into a role it comes only after a principal of the role's account has passed it on.
func (j *judge) ownWork(g *Gain, service string) bool {
	r, ok := j.new.Org.Resource(g.What)
	if sends, known := ref.SourceKeys(service); !ok || known && !sends {
		return true
	}
	own := func(account string) bool { return account == r.Account }
	for key, ours := range map[string]func(string) bool{
		"aws:SourceAccount": own,
		"aws:SourceArn": func(v string) bool {
			a, err := arn.Parse(v)
			return err == nil && (own(a.Account) || a.Account == "" && !strings.ContainsAny(a.Resource, "*?"))
		},
	} {
		d := g.demand.Require(key)
		if d.Always && !d.Absent && !d.Open && !d.Variable && len(d.Values)+len(d.Patterns) > 0 && !slices.ContainsFunc(slices.Concat(d.Values, d.Patterns), func(v string) bool { return !ours(v) }) {
			return true
		}
	}
	return false
}

// notService reports whether a name is none of a service of AWS.
func notService(name string) bool {
	return slices.Contains(federating, name) || !strings.HasSuffix(name, ".amazonaws.com") && !strings.HasSuffix(name, ".amazonaws.com.cn")
}

// accountOf is the account that owns a role or resource.
func accountOf(g *access.Graph, name string) string {
	if r, ok := g.Org.Resource(name); ok {
		return r.Account
	}
	return access.AccountOf(name)
}

func rank(k Kind) int { return slices.Index([]Kind{Trust, Path, Rights, Guard}, k) }

type judge struct {
	o        Options
	p        *change.Plan
	base     *snapshot.Snapshot
	known    map[string]bool // principals that the base or the code states, made when it is first needed
	old, new *access.Graph
	r        *Result
	unread   map[string]bool // targets whose document is not known, on one side at least
	shown    map[string]bool // targets whose gains a comparison of documents has shown
}

// stepOf is the step that changes what an ARN may or lets in; nil where none does. Of several it is the one with a policy, and of those the first.
func (j *judge) stepOf(name string) *change.Step {
	var found *change.Step
	best := 0
	for i := range j.p.Steps {
		s := &j.p.Steps[i]
		for _, part := range slices.Concat(s.Before, s.After) {
			if aboutOf(part) != name {
				continue
			}
			weight := 1
			switch part.(type) {
			case change.ResourcePolicy, change.ResourceStatement, change.Inline, change.Attached, change.Exclusive, change.ControlTarget, change.KMSGrant, change.Share:
				weight = 2
			}
			if weight > best {
				found, best = s, weight
			}
		}
	}
	return found
}

// aboutOf is the ARN that a part is about.
func aboutOf(p change.Part) string {
	switch p := p.(type) {
	case change.User:
		return p.ARN
	case change.Group:
		return p.ARN
	case change.Role:
		return p.ARN
	case change.Inline:
		return p.Owner
	case change.Attached:
		return p.Owner
	case change.Exclusive:
		return p.Owner
	case change.Membership:
		return p.User
	case change.ManagedPolicy:
		return p.ARN
	case change.Resource:
		return p.ARN
	case change.ResourcePolicy:
		return p.ARN
	case change.ResourceStatement:
		return p.ARN
	case change.Provider:
		return p.ARN
	case change.KMSGrant:
		return p.Key
	case change.Share:
		return p.ARN
	case change.ControlPolicy:
		return cmp.Or(p.ARN, p.Name)
	case change.ControlTarget:
		return p.Policy
	case change.Placed:
		return p.ID
	}
	return ""
}

const trustPolicy = "trust policy"

// gained adds what a comparison of one document, or of all documents of one principal, shows. basis is what they say after the change.
func (j *judge) gained(kind Kind, what, how string, r compare.Result, basis string, source snapshot.Source) {
	switch {
	case r.Relation == compare.Narrower:
		j.r.Lost++
	case r.Relation == compare.Equal:
		j.r.Same++
	}
	s := j.stepOf(what)
	for i := range r.Gained {
		d := &r.Gained[i]
		if how == trustPolicy {
			d.Witness.Resource = what // a trust policy names no resource: the comparison made one up
		}
		j.r.Gains = append(j.r.Gains, Gain{Kind: kind, Who: d.Who, What: cmp.Or(onWhat(kind, what, d.Resource), what), Actions: d.Actions, How: how, Conditions: d.Conditions.String(), Witness: &d.Witness, Step: s, Source: source, basis: basis, demand: d.Conditions})
	}
	if !r.NothingNew && len(r.Gained) == 0 {
		why := "whether it gives anything new could not be decided"
		if len(r.Undecided) > 0 {
			why = r.Undecided[0]
		}
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: what, Why: how + ": " + why, Step: s, Source: source, basis: basis})
	}
}

// onWhat names the target of a gain: a role or resource itself, or of a principal's rights what they are on.
func onWhat(kind Kind, what, resource string) string {
	if kind == Rights {
		return what
	}
	return cmp.Or(what, resource)
}

// documents compares the trust and resource policies, and the rights of each principal, that the change touches.
func (j *judge) documents() {
	j.shown, j.unread = make(map[string]bool), make(map[string]bool)
	for _, n := range j.new.Org.Principals {
		o, existed := j.old.Org.Principal(n.ARN)
		if n.Role != nil {
			var old snapshot.Document
			old.State = snapshot.None
			if existed && o.Role != nil {
				old = o.Role.Trust
			}
			j.document(Trust, policy.Trust, n.ARN, n.Account, trustPolicy, old, n.Role.Trust)
		}
		j.rights(o, n)
	}
	for _, n := range j.new.Org.Resources {
		var old snapshot.Document
		old.State = snapshot.None
		if o, ok := j.old.Org.Resource(n.ARN); ok {
			old = o.Resource.Policy
			if o.Resource.Attributes.PublicAccessBlock == "on" && n.Resource.Attributes.PublicAccessBlock != "on" && n.Resource.Policy.State != snapshot.Read &&
				(j.base == nil || !slices.ContainsFunc(j.base.Resources, func(r snapshot.Resource) bool { return r.ARN == n.ARN && r.Policy.State == snapshot.None })) {
				j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: "public access is no longer blocked, and whom its policy lets in is not known", Step: j.stepOf(n.ARN), Source: n.Resource.Policy.Source})
			}
		}
		if n.Policy == nil && n.Resource.Policy.State == snapshot.Read {
			// A policy that lets nobody in by itself, such as an endpoint's: less of it is less of a guard.
			j.document(Guard, policy.Resource, n.ARN, n.Account, "policy of "+n.Type, old, n.Resource.Policy)
			continue
		}
		j.document(Trust, policy.Resource, n.ARN, n.Account, "resource policy", old, n.Resource.Policy)
	}
}

// document compares one document before and after.
func (j *judge) document(kind Kind, as policy.Kind, what, account, how string, old, new snapshot.Document) {
	if same(old, new) {
		return
	}
	if new.State == snapshot.Unresolved || old.State == snapshot.Unresolved && new.State != snapshot.None {
		d := new
		if new.State != snapshot.Unresolved {
			d = old
		}
		j.unread[what] = true
		if !slices.ContainsFunc(j.r.Unjudged, func(u Unjudged) bool { return u.What == what }) {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: what, Why: how + ": " + cmp.Or(d.Problem, "it is not known"), Step: j.stepOf(what), Source: d.Source})
		}
		return
	}
	j.shown[what] = true
	result := compare.Policies(as, policies(old), policies(new), compare.Options{Engine: j.o.Engine, Account: account})
	// What only the own account gains is its own matter in a trust: it could let itself in before.
	result.Gained = slices.DeleteFunc(result.Gained, func(d compare.Difference) bool {
		return d.Witness.Caller != nil && d.Witness.Caller.Account != "" && d.Witness.Caller.Account == account && as == policy.Resource
	})
	j.gained(kind, what, how, result, basisOf(policies(new)...), new.Source)
}

func policies(d snapshot.Document) []*policy.Policy {
	if d.State != snapshot.Read {
		return nil
	}
	return []*policy.Policy{d.Policy}
}

func same(a, b snapshot.Document) bool {
	if a.State != b.State {
		return false
	}
	if a.State != snapshot.Read {
		return a.Problem == b.Problem
	}
	return a.Policy == b.Policy || a.Policy.Document.Key() == b.Policy.Document.Key()
}

// rights compares what a principal's own policies, within its boundary, allow.
func (j *judge) rights(o, n *org.Principal) {
	var old []*policy.Policy
	var oldUnread, oldBoundary []string
	if o != nil {
		old, oldUnread = o.Identity.Policies, o.Identity.Unresolved
		oldBoundary = boundaryKeys(o)
	} else {
		oldBoundary = boundaryKeys(n)
	}
	changed := !slices.Equal(keys(old), keys(n.Identity.Policies)) || !slices.Equal(oldUnread, n.Identity.Unresolved)
	weaker := !slices.Equal(oldBoundary, boundaryKeys(n))
	if !changed && !weaker {
		return
	}
	for _, why := range n.Identity.Unresolved {
		if !slices.Contains(oldUnread, why) {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: why, Step: j.stepOf(n.ARN), Source: n.Source})
		}
	}
	if o != nil {
		j.freed(o, n)
	}
	source := n.Source
	if len(n.Documents) > 0 {
		source = n.Documents[len(n.Documents)-1].Source
	}
	if weaker {
		j.boundary(o, n)
	}
	if !changed {
		return
	}
	result := compare.Policies(policy.Identity, old, n.Identity.Policies, compare.Options{Engine: j.o.Engine, Account: n.Account})
	begin := len(j.r.Gains)
	j.gained(Rights, n.ARN, "identity policies", result, basisOf(n.Identity.Policies...), source)
	reach := j.reachedFrom(n)
	for i := begin; i < len(j.r.Gains); i++ {
		j.r.Gains[i].Who, j.r.Gains[i].Reach = []string{n.ARN}, reach
		j.r.Gains[i].What = j.r.Gains[i].Witness.Resource
	}
}

func keys(list []*policy.Policy) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.Document.Key()
	}
	slices.Sort(out)
	return out
}

func boundaryKeys(p *org.Principal) []string {
	if p.Boundary == nil {
		return nil
	}
	return append([]string{"boundary"}, append(keys(p.Boundary.Policies), p.Boundary.Unresolved...)...)
}

// boundary says what a principal's boundary lets through that it did not: all of it where it is gone, else what a comparison of the documents shows.
func (j *judge) boundary(o, n *org.Principal) {
	if o == nil || o.Boundary == nil {
		return // it has one more than it had
	}
	step := j.stepOf(n.ARN)
	if n.Boundary == nil {
		before, _ := access.Granted(o)
		after, unread := access.Granted(n)
		more := slices.DeleteFunc(slices.Clone(after), func(a string) bool { _, ok := slices.BinarySearch(before, a); return ok })
		const how = "its permissions boundary is taken away"
		j.r.Gains = append(j.r.Gains, Gain{Kind: Guard, Who: []string{n.ARN}, What: n.ARN, Actions: more, How: how, Conditions: "always", Reach: j.reachedFrom(n), Step: step, Source: n.Source, basis: basisOf(n.Identity.Policies...)})
		if len(unread) > 0 {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: how + ": " + unread[0], Step: step, Source: n.Source})
		}
		return
	}
	const how = "its permissions boundary lets through more"
	for _, why := range slices.Concat(o.Boundary.Unresolved, n.Boundary.Unresolved) {
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: "its permissions boundary: " + why, Step: step, Source: n.Source})
	}
	begin := len(j.r.Gains)
	j.gained(Guard, n.ARN, how, compare.Policies(policy.Identity, o.Boundary.Policies, n.Boundary.Policies, compare.Options{Engine: j.o.Engine, Account: n.Account}), basisOf(n.Boundary.Policies...), n.Source)
	reach := j.reachedFrom(n)
	for i := begin; i < len(j.r.Gains); i++ {
		j.r.Gains[i].Who, j.r.Gains[i].Reach = []string{n.ARN}, reach
	}
}

// reachedFrom are the callers of other accounts that can or may come to hold a principal after the change.
func (j *judge) reachedFrom(p *org.Principal) []string {
	seen := map[*org.Principal]bool{p: true}
	queue := []*org.Principal{p}
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range j.new.In(at) {
			if e.Verdict == eval.Deny {
				continue
			}
			from := e.Grantee.Principal
			if from == nil {
				continue
			}
			if from.Account != p.Account {
				add(from.ARN)
			}
			if !seen[from] {
				seen[from] = true
				queue = append(queue, from)
			}
		}
		for _, e := range j.new.EdgesTo(at.ARN) {
			if e.CrossAccount && e.Verdict != eval.Deny && e.Grantee.Principal == nil {
				add(e.Grantee.ID)
			}
		}
	}
	slices.Sort(out)
	return out
}

// trusts finds the trusts that the organisation gains beside those that a changed document showed: by an SCP that goes, a share, a KMS grant, a caller that can now come.
func (j *judge) trusts() {
	for _, c := range access.DiffTrusts(termsOf(j.old), termsOf(j.new)) {
		if c.Change == access.Removed || c.Change == access.Narrower || c.New == nil {
			continue
		}
		if j.shown[c.New.Target] || j.dark(c.New.Target) || c.New.Condition.Equal(cond.Never()) {
			continue
		}
		j.r.Gains = append(j.r.Gains, Gain{Kind: Trust, Who: []string{c.New.Grantee}, What: c.New.Target, Actions: c.New.Actions, How: c.New.Mechanism + ", " + c.Change.String() + strings.Join(append([]string{""}, c.What...), "; "),
			Conditions: c.New.Condition.String(), Step: j.stepOf(c.New.Target), basis: c.New.Mechanism})
	}
	// Crossings of principals that are known: a trust that was there is one that somebody can use now.
	for _, n := range j.new.Org.Principals {
		for _, e := range j.fresh(n) {
			if e.Target.Role == nil || e.Target.Role.Account == n.Account {
				continue
			}
			// What a document gained has been shown, and who comes by it is no second gain; what cannot be judged was told.
			if j.gains(e.Target.ARN) || j.dark(e.Target.ARN) {
				continue
			}
			j.r.Gains = append(j.r.Gains, Gain{Kind: Trust, Who: []string{n.ARN}, What: e.Target.ARN, Actions: e.Actions, How: string(e.Mechanism) + ": both sides allow it now", Conditions: conditions(e), Step: j.stepOf(n.ARN), basis: string(e.Mechanism)})
		}
	}
}

// shares finds what a share holds beside what it did, and shares that have no name of their own: the trusts of an organisation tell with whom something is shared, and no more.
func (j *judge) shares() {
	type key struct{ kind, arn, owner, with string }
	keyOf := func(s *snapshot.Share) key {
		if s.ARN != "" {
			return key{s.Kind, s.ARN, "", ""}
		}
		return key{s.Kind, "", s.Owner, strings.Join(s.With, ",")}
	}
	was := make(map[key]*snapshot.Share)
	for i := range j.old.Org.Snapshot.Shares {
		s := &j.old.Org.Snapshot.Shares[i]
		was[keyOf(s)] = s
	}
	for i := range j.new.Org.Snapshot.Shares {
		n := &j.new.Org.Snapshot.Shares[i]
		o := was[keyOf(n)]
		var more []string
		who := n.With
		switch {
		case o != nil:
			more = held(o, n)
			who = slices.DeleteFunc(slices.Clone(n.With), func(w string) bool { return !slices.Contains(o.With, w) }) // the trust of another one is told as such
		case n.ARN == "":
			more = held(&snapshot.Share{}, n)
		}
		who = slices.DeleteFunc(slices.Clone(who), func(w string) bool {
			return n.Owner != "" && (w == n.Owner || access.AccountOf(w) == n.Owner && !strings.Contains(w, ":organizations:"))
		})
		step := j.stepOf(n.ARN)
		if step == nil || n.ARN == "" {
			step = j.sharing(n)
		}
		if o == nil && n.ARN != "" && len(n.With) == 0 && len(n.Resources) > 0 && !j.makes(n) {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: "it holds " + strings.Join(n.Resources, ", ") + " from now on, and with whom it is shared is neither in the plan nor in the base", Step: step, Source: n.Source})
		}
		if len(more) == 0 || len(who) == 0 {
			continue
		}
		j.r.Gains = append(j.r.Gains, Gain{Kind: Trust, Who: who, What: cmp.Or(n.ARN, n.Owner), Actions: []string{n.Kind}, How: "the share holds " + strings.Join(more, ", "), Conditions: cond.Always().String(), Step: step, Source: n.Source, basis: strings.Join(more, ",")})
	}
}

// held is what a share holds and did not: its resources, and the names in its attributes.
func held(o, n *snapshot.Share) []string {
	more := slices.DeleteFunc(slices.Clone(n.Resources), func(r string) bool { return slices.Contains(o.Resources, r) })
	for _, name := range slices.Sorted(maps.Keys(n.Attributes)) {
		list, ok := n.Attributes[name].([]any)
		have, _ := o.Attributes[name].([]any)
		if !ok {
			if !reflect.DeepEqual(n.Attributes[name], o.Attributes[name]) {
				more = append(more, fmt.Sprintf("%s %v", name, n.Attributes[name]))
			}
			continue
		}
		for _, v := range list {
			if !slices.ContainsFunc(have, func(h any) bool { return reflect.DeepEqual(h, v) }) {
				more = append(more, fmt.Sprint(v))
			}
		}
	}
	return more
}

// sharing is the step that states a share which has no name.
func (j *judge) sharing(s *snapshot.Share) *change.Step {
	for i := range j.p.Steps {
		if slices.ContainsFunc(j.p.Steps[i].After, func(p change.Part) bool {
			q, ok := p.(change.Share)
			return ok && q.Kind == s.Kind && q.ARN == s.ARN && (s.ARN != "" || q.Owner == s.Owner && slices.Equal(q.With, s.With))
		}) {
			return &j.p.Steps[i]
		}
	}
	return nil
}

// makes reports whether the plan makes a share itself, so that all whom it is with are in the plan.
func (j *judge) makes(s *snapshot.Share) bool {
	return slices.ContainsFunc(j.p.Steps, func(step change.Step) bool {
		return step.Action == change.Create && slices.ContainsFunc(step.After, func(p change.Part) bool {
			q, ok := p.(change.Share)
			return ok && q.ARN == s.ARN && len(q.With)+len(q.Resources) == 0
		})
	})
}

// gains reports whether a comparison of its document showed that a target lets in more.
func (j *judge) gains(what string) bool {
	return j.shown[what] && slices.ContainsFunc(j.r.Gains, func(g Gain) bool { return g.Kind == Trust && g.What == what && g.Witness != nil })
}

// dark reports whether the document that says what a target lets in is not known.
func (j *judge) dark(what string) bool { return j.unread[what] }

// weaker reports whether a crossing was at least as wide as another is.
func weaker(old, new *access.Edge) bool {
	if old.Verdict == eval.Allow {
		return true
	}
	if new.Verdict == eval.Allow {
		return false
	}
	implied, known := new.LeftOver.Implies(old.LeftOver)
	return implied && known
}

func conditions(e *access.Edge) string {
	if e.Verdict == eval.Allow {
		return cond.Always().String()
	}
	return e.LeftOver.String()
}

// termsOf are a graph's trusts as they are compared.
func termsOf(g *access.Graph) []access.Terms {
	var out []access.Terms
	for _, e := range g.Edges {
		if !e.CrossAccount || e.Target.ARN == "" {
			continue
		}
		t := access.Terms{GranteeKind: string(e.Grantee.Kind), Grantee: e.Grantee.ID, Mechanism: string(e.Mechanism), Target: e.Target.ARN, Actions: e.Actions, MaxSession: e.MaxSession, Condition: cond.Always()}
		switch e.Verdict {
		case eval.Deny:
			t.Condition = cond.Never()
		case eval.Unknown:
			t.Condition = e.LeftOver
		}
		out = append(out, t)
	}
	return out
}

// guards finds SCPs and RCPs that let through more for an account than they did, level by level: what a level's policies allow together is compared, so that one that denies more is no gain, and one that allows more
// is.
func (j *judge) guards() {
	type pair struct{ kind, old, new string }
	told := make(map[pair]*Gain)
	var order []pair
	for _, n := range j.new.Org.Accounts {
		o, ok := j.old.Org.Account(n.ID)
		if !ok {
			continue
		}
		for _, side := range []struct {
			kind                 string
			as                   policy.Kind
			old, new             [][]snapshot.Document
			unreadOld, unreadNew []eval.Set
		}{{"SCP", policy.Identity, o.SCPDocuments, n.SCPDocuments, o.SCPs, n.SCPs}, {"RCP", policy.Resource, o.RCPDocuments, n.RCPDocuments, o.RCPs, n.RCPs}} {
			for level := range max(len(side.unreadOld), len(side.unreadNew)) {
				j.unreadGuard(side.kind, n.ID, setOf(side.unreadOld, level), setOf(side.unreadNew, level))
			}
			for level := range max(len(side.old), len(side.new)) {
				a, b := levelOf(side.old, level), levelOf(side.new, level)
				key := pair{side.kind, saying(a), saying(b)}
				if key.old == key.new {
					continue
				}
				if g, ok := told[key]; ok {
					if g != nil {
						g.Who = append(g.Who, n.ID)
					}
					continue
				}
				told[key] = j.guard(side.kind, side.as, n.ID, a, b)
				order = append(order, key)
			}
		}
	}
	for _, key := range order {
		if g := told[key]; g != nil {
			slices.Sort(g.Who)
			if g.Step == nil {
				g.Step = j.moving(g.Who[0])
			}
			j.r.Gains = append(j.r.Gains, *g)
		}
	}
}

func setOf(levels []eval.Set, i int) eval.Set {
	if i < len(levels) {
		return levels[i]
	}
	return eval.Set{}
}

// unreadGuard finds a control policy whose text is not known, and that binds an account no more or only now: what that lets through is not known either.
func (j *judge) unreadGuard(kind, account string, old, new eval.Set) {
	for _, side := range [][2][]string{{old.Unresolved, new.Unresolved}, {new.Unresolved, old.Unresolved}} {
		for _, why := range side[0] {
			u := Unjudged{What: account, Why: "what the " + kind + "s let through: " + why, Step: j.moving(account)}
			if !slices.Contains(side[1], why) && !slices.ContainsFunc(j.r.Unjudged, func(v Unjudged) bool { return v.What == u.What && v.Why == u.Why }) {
				j.r.Unjudged = append(j.r.Unjudged, u)
			}
		}
	}
}

// moving is the step that moves an account, or a unit that it is in or was in; nil where none does.
func (j *judge) moving(account string) *change.Step {
	if s := j.stepOf(account); s != nil {
		return s
	}
	for _, g := range []*access.Graph{j.old, j.new} {
		if a, ok := g.Org.Account(account); ok {
			for _, unit := range strings.Split(a.UnitPath, "/") {
				if s := j.stepOf(unit); s != nil && unit != "" {
					return s
				}
			}
		}
	}
	return nil
}

func levelOf(levels [][]snapshot.Document, i int) []snapshot.Document {
	if i < len(levels) {
		return levels[i]
	}
	return nil
}

// saying is the same for levels that say the same.
func saying(level []snapshot.Document) string {
	out := make([]string, len(level))
	for i, d := range level {
		out[i] = d.Problem
		if d.State == snapshot.Read {
			out[i] = d.Policy.Document.Key()
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\x00")
}

// everything is a level that binds nobody.
var everything = map[policy.Kind]string{
	policy.Identity: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
	policy.Resource: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`,
}

// guard compares one level of one account; nil where it lets through nothing new.
func (j *judge) guard(kind string, as policy.Kind, account string, old, new []snapshot.Document) *Gain {
	name := differing(old, new)
	step := j.stepOf(name)
	unjudged := func(why string) *Gain {
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: name, Why: "what the " + kind + " lets through: " + why, Step: step, basis: saying(old) + "\x01" + saying(new)})
		return nil
	}
	read := func(level []snapshot.Document) (out []*policy.Policy, why string) {
		for _, d := range level {
			if d.State != snapshot.Read {
				why = cmp.Or(d.Problem, "it is not known")
				continue
			}
			out = append(out, d.Policy)
		}
		if len(level) == 0 {
			d, _ := snapshot.NewDocument("", []byte(everything[as]), snapshot.Source{}, false)
			out = append(out, d.Policy)
		}
		return out, why
	}
	a, whyOld := read(old)
	b, whyNew := read(new)
	if why := cmp.Or(whyNew, whyOld); why != "" {
		return unjudged(why)
	}
	result := compare.Policies(as, a, b, compare.Options{Engine: j.o.Engine})
	switch {
	case len(result.Gained) > 0:
		var actions []string
		for i := range result.Gained {
			actions = append(actions, result.Gained[i].Actions...)
		}
		slices.Sort(actions)
		how := fmt.Sprintf("the %s %s lets through more", kind, name)
		if !slices.ContainsFunc(new, func(d snapshot.Document) bool { return bare(d.Name) == name }) {
			how = fmt.Sprintf("the %s %s does not bind the account any more", kind, name)
		}
		return &Gain{Kind: Guard, Who: []string{account}, What: name, Actions: slices.Compact(actions), How: how, Conditions: "always", Step: step, basis: saying(old) + "\x01" + saying(new)}
	case !result.NothingNew:
		why := "whether it is more could not be decided"
		if len(result.Undecided) > 0 {
			why = result.Undecided[0]
		}
		return unjudged(why)
	}
	j.r.Lost++
	return nil
}

// differing is the name of the first policy of a level that is not on the other side as it was.
func differing(old, new []snapshot.Document) string {
	for _, side := range [][2][]snapshot.Document{{old, new}, {new, old}} {
		for _, d := range side[0] {
			if !slices.ContainsFunc(side[1], func(e snapshot.Document) bool { return same(d, e) }) {
				return bare(d.Name)
			}
		}
	}
	return "policies"
}

// bare is a control policy's own name: documents name its kind too.
func bare(name string) string { return strings.TrimPrefix(strings.TrimPrefix(name, "SCP "), "RCP ") }

// providers finds identity providers that let in more. What that gives depends on each trust that names the provider, and is not worked out.
func (j *judge) providers() {
	for _, n := range j.new.Org.Providers {
		o, ok := j.old.Org.Provider(n.ARN)
		add := func(why string) {
			j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: n.ARN, Why: why, Step: j.stepOf(n.ARN), Source: n.Source})
		}
		if !ok {
			// A new provider lets in nobody before a trust names it: one that stands already lets in whom it vouches for.
			if role := j.waiting(n); role != "" {
				add("it is new, and " + role + " trusts it already: whom it vouches for is not known")
			}
			continue
		}
		for _, audience := range n.Audiences {
			if !slices.Contains(o.Audiences, audience) {
				add("it takes tokens of the audience " + audience + " too: roles that trust it and demand no audience let in more")
			}
		}
		if o.URL != n.URL {
			add("it vouches for another issuer than before")
		}
	}
}

// waiting is a role that trusted a provider before it was there, "" where none did. A trust in certificates names no anchor, unless a condition does.
func (j *judge) waiting(p *snapshot.Provider) string {
	for _, r := range j.old.Org.Principals {
		if r.Role == nil || r.Role.Trust.State != snapshot.Read || r.Account != p.Account && p.Type == "rolesanywhere" {
			continue
		}
		for _, e := range j.old.EdgesTo(r.ARN) {
			if e.Grantee.ID == p.ARN {
				return r.ARN
			}
			if p.Type != "rolesanywhere" || e.Grantee.ID != "rolesanywhere.amazonaws.com" {
				continue
			}
			if slices.ContainsFunc(e.Grants, func(g access.Grant) bool {
				d := g.Condition.Require("aws:SourceArn")
				return !d.Exact() || slices.Contains(d.Values, p.ARN)
			}) {
				return r.ARN
			}
		}
	}
	return ""
}

// paths finds ways over several roles that the change completes: who can now come to hold, or act on, what was out of reach, because a step in the middle is new.
func (j *judge) paths() {
	type pair struct{ from, to string }
	told := make(map[pair]bool)
	for i := range j.r.Gains {
		for _, w := range j.r.Gains[i].Who {
			told[pair{w, j.r.Gains[i].What}] = true
		}
	}
	type way struct {
		from string
		path access.Path
	}
	ways := make(map[string][]way) // by target: who comes there is one gain
	sources, carriers := j.sources()
	options := access.PathOptions{Onto: j.beyond(carriers, len(sources))}
	for _, source := range sources {
		if !notService(source) {
			continue
		}
		now, err := j.new.Blast(source, options)
		if err != nil {
			continue
		}
		reached := make(map[string]bool)
		if was, err := j.old.Blast(source, options); err == nil {
			for _, p := range slices.Concat(was.Roles, was.Resources) {
				reached[p.To] = true
			}
		}
		for _, p := range slices.Concat(now.Roles, now.Resources) {
			if reached[p.To] || len(p.Steps) < 2 || told[pair{source, p.To}] || p.Verdict == eval.Deny || access.AccountOf(p.To) == access.AccountOf(source) && access.AccountOf(p.To) != "" {
				continue
			}
			if slices.ContainsFunc(p.Steps, func(e *access.Edge) bool { return j.dark(e.Target.ARN) }) {
				continue
			}
			told[pair{source, p.To}] = true
			ways[p.To] = append(ways[p.To], way{source, p})
		}
	}
	for _, to := range slices.Sorted(maps.Keys(ways)) {
		list := ways[to]
		slices.SortStableFunc(list, func(a, b way) int {
			return cmp.Or(cmp.Compare(len(a.path.Steps), len(b.path.Steps)), cmp.Compare(a.from, b.from))
		})
		shortest := &list[0].path
		g := Gain{Kind: Path, What: to, How: fmt.Sprintf("a way of %d steps", len(shortest.Steps)), Conditions: "always"}
		for _, w := range list {
			g.Who = append(g.Who, w.from)
		}
		if shortest.Verdict != eval.Allow {
			g.Conditions = "what each step demands holds"
		}
		for _, e := range shortest.Steps {
			g.Steps = append(g.Steps, e.Step()+" "+e.Target.ARN)
			if s := j.stepOf(e.Target.ARN); s != nil && g.Step == nil {
				g.Step = s
			}
		}
		j.r.Gains = append(j.r.Gains, g)
	}
}

// maxSources bounds the search for completed paths; beyond it the result says so.
const maxSources = 1000

// beyond are the resources that carriers reach after the change. A completed path goes through one of them, so that it ends on no other resource: whoever comes to a carrier need not be asked about the whole organisation.
// It is nil, which is all, where finding them costs more than that.
func (j *judge) beyond(carriers []string, sources int) map[string]bool {
	if j.o.everywhere || len(carriers) > sources {
		return nil
	}
	onto := make(map[string]bool)
	for _, c := range carriers {
		b, err := j.new.Blast(c, access.PathOptions{})
		if err != nil {
			return nil
		}
		for i := range b.Resources {
			onto[b.Resources[i].To] = true
		}
	}
	return onto
}

// sources are where a completed path can begin: everybody for whom a step is new, and whoever can come to them. Carriers are those through whom it goes: the roles that a new step leads to, and principals who gained rights.
func (j *judge) sources() (out, carriers []string) {
	through, seen := make(map[string]bool), make(map[*org.Principal]bool)
	var queue []*org.Principal
	begin := func(p *org.Principal) {
		if !seen[p] {
			seen[p] = true
			queue = append(queue, p)
		}
	}
	for i := range j.r.Gains {
		if g := &j.r.Gains[i]; g.Kind == Rights {
			for _, w := range g.Who {
				if p, ok := j.new.Org.Principal(w); ok {
					through[w] = true
					begin(p)
				}
			}
		}
	}
	for _, n := range j.new.Org.Principals {
		if steps := j.fresh(n); len(steps) > 0 {
			for _, e := range steps {
				through[e.Target.ARN] = true
			}
			begin(n)
		}
	}
	// Who can come to one of them can come to what they come to.
	names := make(map[string]bool)
	for at := 0; at < len(queue) && len(names) <= maxSources; at++ {
		names[queue[at].ARN] = true
		for _, e := range j.new.In(queue[at]) {
			if e.Verdict != eval.Deny && e.Grantee.Principal != nil {
				begin(e.Grantee.Principal)
			}
		}
		for _, e := range j.new.EdgesTo(queue[at].ARN) {
			if e.CrossAccount && e.Verdict != eval.Deny && e.Grantee.Principal == nil {
				names[e.Grantee.ID] = true
			}
		}
	}
	out = slices.Sorted(maps.Keys(names))
	if len(out) > maxSources {
		out = out[:maxSources]
		j.r.Unjudged = append(j.r.Unjudged, Unjudged{What: "paths", Why: fmt.Sprintf("the change opens ways for more than %d principals; the ways that it completes were looked for from those alone", maxSources), basis: strings.Join(out, ",")})
	}
	return out, slices.Sorted(maps.Keys(through))
}

// fresh are the crossings of a principal that it had not, or not as wide.
func (j *judge) fresh(n *org.Principal) []*access.Edge {
	before := make(map[string][]*access.Edge)
	if o, ok := j.old.Org.Principal(n.ARN); ok {
		for _, f := range j.old.Out(o) {
			if f.Verdict != eval.Deny {
				before[f.Target.ARN] = append(before[f.Target.ARN], f)
			}
		}
	}
	var out []*access.Edge
	for _, e := range j.new.Out(n) {
		if e.Verdict != eval.Deny && !slices.ContainsFunc(before[e.Target.ARN], func(f *access.Edge) bool { return weaker(f, e) }) {
			out = append(out, e)
		}
	}
	return out
}

// registered holds the gains against the registry: a trust that an entry declares, and no wider, passes.
func (j *judge) registered() {
	if j.o.Registry == nil {
		return
	}
	items := registry.Reconcile(j.new, j.o.Registry, registry.Options{Now: j.o.Now, Engine: j.o.Engine})
	for i := range j.r.Gains {
		if g := &j.r.Gains[i]; g.Kind == Trust {
			g.Registered, g.Registry = standing(items, g)
		}
	}
}

// standing is how a trust stands to the registry: the entry that declares it, "" where none does, and that in words. What is as declared of other callers of the target says nothing about it, and what is not says enough.
func standing(items []registry.Item, g *Gain) (entry, words string) {
	var own, other *registry.Item
	for k := range items {
		it := &items[k]
		if it.Target != g.What || it.State == registry.Gone || it.State == registry.Narrower || it.State == registry.Unused {
			continue
		}
		at := &other
		if concerns(it, g) {
			at = &own
		}
		if *at == nil || it.State != registry.Registered {
			*at = it
		}
	}
	switch {
	case own == nil && (other == nil || other.State == registry.Registered):
		return "", "no entry declares it"
	case own == nil:
		own = other
	}
	if own.State == registry.Registered {
		return own.Entry.Name, "entry " + own.Entry.Name + " declares it"
	}
	return "", cmp.Or(own.Reason, string(own.State))
}

// propose drafts entries for trusts that are refused. Each is tried: what is proposed makes the gate say yes, as soon as a person has said what only a person can.
func (j *judge) propose() {
	refused := make(map[string][]*Gain)
	for i := range j.r.Gains {
		if g := &j.r.Gains[i]; g.Kind == Trust && j.r.Refuses(g) {
			refused[g.What] = append(refused[g.What], g)
		}
	}
	if len(refused) == 0 {
		return
	}
	have := j.o.Registry
	if have == nil {
		have = &registry.Registry{}
	}
	fresh := func(e *access.Edge) bool {
		return refused[e.Target.ARN] != nil && !slices.ContainsFunc(j.old.EdgesTo(e.Target.ARN), func(f *access.Edge) bool {
			return f.Grantee.ID == e.Grantee.ID && f.Mechanism == e.Mechanism && f.Verdict != eval.Deny && weaker(f, e)
		})
	}
	wider := j.widened(have, refused)
	try := func(concerns func(*access.Edge) bool) (drafts []registry.Entry, items []registry.Item) {
		drafts = registry.DraftOf(j.new, have, nil, concerns).Entries
		drafts = slices.DeleteFunc(drafts, func(e registry.Entry) bool { return len(e.From.Sources()) == 0 }) // no entry can declare anyone
		trial := &registry.Registry{Vendors: have.Vendors, Entries: slices.Concat(have.Entries, drafts)}
		for i := range trial.Entries {
			if k := slices.IndexFunc(wider, func(e registry.Entry) bool { return e.Name == trial.Entries[i].Name }); k >= 0 {
				trial.Entries[i] = wider[k]
			}
		}
		return drafts, registry.Reconcile(j.new, trial, registry.Options{Now: j.o.Now, Engine: j.o.Engine})
	}
	drafts, items := try(fresh)
	asked := make(map[string]bool, len(drafts))
	for i := range drafts {
		asked[drafts[i].Name] = true
	}
	// Where a statement lets in others too, whom no entry declares yet, the new trust cannot be told from theirs: they are to be declared with it.
	shared := make(map[string]bool)
	for target, gains := range refused {
		shared[target] = slices.ContainsFunc(gains, func(g *Gain) bool { name, _ := standing(items, g); return name == "" })
	}
	if slices.Contains(slices.Collect(maps.Values(shared)), true) {
		drafts, items = try(func(e *access.Edge) bool { return fresh(e) || shared[e.Target.ARN] })
	}
	for i, draft := range slices.Concat(wider, drafts) {
		e := Entry{Entry: draft, Replaces: i < len(wider)}
		for _, target := range draft.To.Targets() {
			for _, g := range refused[target] {
				if name, _ := standing(items, g); name == "" {
					continue
				}
				e.Lets = append(e.Lets, g.Fingerprint)
				if !asked[draft.Name] && !e.Replaces {
					e.Comment = "There already, undeclared, and let in by the policy that is to change"
				} else if s := g.Step; s != nil && !e.Replaces {
					e.Comment = "Asked for by " + s.Address
				}
			}
		}
		if len(e.Lets) > 0 {
			j.r.Entries = append(j.r.Entries, e)
		}
	}
}

// widened are entries that declare too little for what is refused, with the conditions that the trust will have: the rest is what people have said.
func (j *judge) widened(have *registry.Registry, refused map[string][]*Gain) []registry.Entry {
	var out []registry.Entry
	for i := range have.Entries {
		e := &have.Entries[i]
		if e.Expires.Over(j.o.Now) || !slices.ContainsFunc(e.To.Targets(), func(target string) bool { return refused[target] != nil }) {
			continue
		}
		without := &registry.Registry{Vendors: have.Vendors, Entries: slices.Delete(slices.Clone(have.Entries), i, i+1)}
		again := registry.DraftOf(j.new, without, nil, func(edge *access.Edge) bool {
			return slices.Contains(e.To.Targets(), edge.Target.ARN) && slices.Contains(e.From.Sources(), edge.Grantee.ID)
		}).Entries
		if len(again) != 1 || reflect.DeepEqual(again[0].TrustConditions, e.TrustConditions) {
			continue
		}
		next := *e
		next.TrustConditions, next.Comment = again[0].TrustConditions, ""
		out = append(out, next)
	}
	return out
}

// concerns reports whether an item of the registry is about those who gain.
func concerns(it *registry.Item, g *Gain) bool {
	names := slices.Clone(g.Who)
	if w := g.Witness; w != nil && w.Caller != nil {
		names = append(names, w.Caller.ARN, w.Caller.Account)
	}
	return slices.ContainsFunc(it.Edges, func(e *access.Edge) bool { return slices.Contains(names, e.Grantee.ID) }) || it.Source != "" && slices.Contains(names, it.Source)
}
