// Package remedy proposes the smallest change that narrows a trust to what is declared and used, and proves it: every recorded use
// and every declared need is decided against the proposal, and what it takes away from whom is shown by requests. It proposes and
// proves; it changes nothing.
package remedy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/compare"
	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/usage"
)

// ErrNothing is returned where no change is needed: what is there is no wider than what is declared and used.
var ErrNothing = errors.New("it is no wider than what is declared and used")

// ErrUnnamed is wrapped where somebody used the trust whose name was left out of the record.
var ErrUnnamed = errors.New("the name of who used it was left out of the record of use: declare who needs it, or import with names")

// ErrNoEvidence is returned where nothing says who needs the trust, so that any proposal would be a guess.
var ErrNoEvidence = errors.New("nothing says who needs the trust: neither an entry of the registry nor a recorded use")

// Proposal is a change of what one role or resource allows, with its proof.
type Proposal struct {
	Subject string // ARN of the role or resource
	Changes []Change
	// Notes are said before anything else: how far the evidence reaches, and what it cannot show.
	Notes []string
	// Reasons say why each kept caller or action is kept, and each dropped one dropped, in the order of the policy.
	Reasons []string
	// Breaks are recorded uses and declared needs that the proposal would refuse. A proposal that breaks something says so first.
	Breaks []Break
	// Taken is what the change takes away, from whom, each with a request that shows it; NotDecided is what could not be compared.
	Taken      []compare.Difference
	NotDecided []string
	// Closes are the ways that a perimeter closes.
	Closes []Closed
}

// Break is a use or need that would fail.
type Break struct {
	Caller string
	What   string // "used 12 times, last on 2026-01-10", "declared by entry x"
	Why    string // what refuses it
}

// Inputs are what a proposal rests on.
type Inputs struct {
	Graph    *access.Graph
	Registry *registry.Registry // nil: none
	Usage    *usage.Record      // nil: none
	Now      time.Time
	// Since is from when on a use counts; zero: all.
	Since time.Time
}

// Trust proposes a trust policy for a role: callers from elsewhere that are declared or were seen, named exactly; the conditions that
// entries demand; everything that is not about other accounts as it was.
func Trust(role *org.Principal, in Inputs) (*Proposal, error) {
	if role.Role == nil || role.Role.Trust.Policy == nil {
		return nil, fmt.Errorf("%s has no trust policy that was read", role.ARN)
	}
	t := narrowing{kind: policy.Trust, target: role.ARN, account: role.Account, in: in, live: role.Role.Trust.Policy}
	return t.propose(Change{Kind: TrustPolicy, Target: role.ARN, Type: "AWS::IAM::Role", Account: role.Account})
}

// Resource proposes a policy for a resource, as Trust does for a role. Callers from elsewhere keep the actions that they are declared to
// need or were seen using, and those that no trail records unless data events are on. A statement for anyone becomes the callers by name.
func Resource(r *org.Resource, in Inputs) (*Proposal, error) {
	if r.Policy == nil || len(r.Policy.Policies) != 1 {
		return nil, fmt.Errorf("%s has no policy that was read", r.ARN)
	}
	t := narrowing{kind: policy.Resource, target: r.ARN, account: r.Account, in: in, live: r.Policy.Policies[0]}
	return t.propose(Change{Kind: ResourceDoc, Target: r.ARN, Type: r.Type, Account: r.Account})
}

// need is a caller who must go on coming in.
type need struct {
	caller string
	entry  *registry.Entry   // nil: seen only
	used   []*usage.Crossing // none: declared only
	// perhaps are uses by somebody of the caller's account, of whom the record knows no more.
	perhaps []*usage.Crossing
}

// narrowing is the work on one policy on the target's side.
type narrowing struct {
	kind    policy.Kind // Trust or Resource
	target  string
	account string
	in      Inputs
	live    *policy.Policy
	needs   []need
	reasons []string
	notes   []string
	unnamed string // a caller whose name was left out of the record, and who may be nobody that is declared, seen or named
}

func (t *narrowing) propose(c Change) (*Proposal, error) {
	t.callers()
	if t.unnamed != "" {
		return nil, fmt.Errorf("%w: %s", ErrUnnamed, t.unnamed)
	}
	if len(t.needs) == 0 {
		return nil, ErrNoEvidence
	}
	c.Before, c.After = t.live.Document, t.rewrite()
	if len(c.After.Statements) == 0 {
		if c.After = nil; t.kind == policy.Trust { // AWS takes no empty trust policy
			c.After = closed.Document
		}
		t.reasons = append(t.reasons, "nobody is left: it is closed, and can be opened again")
	}
	if t.kind == policy.Resource && recordedAsData(c.Type) {
		t.notes = append(t.notes, "use of this type of resource is recorded only where data events are on: what no trail recorded cannot be replayed")
	}
	return t.prove(c)
}

// prove compares the change with what is there and replays every need.
func (t *narrowing) prove(c Change) (*Proposal, error) {
	p := &Proposal{Subject: t.target, Changes: []Change{c}, Notes: append(t.in.evidence(t.account), t.notes...), Reasons: t.reasons}
	p.Notes = append(p.Notes, tooLong(p.Changes)...)
	after := policy.Compile(orEmpty(c.After))
	result := compare.Policies(t.kind, []*policy.Policy{t.live}, []*policy.Policy{after}, compare.Options{Engine: t.in.Graph.Engine(), Account: t.account})
	p.Taken, p.NotDecided = result.Lost, result.Undecided
	if len(result.Gained) > 0 {
		return nil, fmt.Errorf("the proposal for %s would allow %s, which the policy does not: nothing is proposed", t.target, result.Gained[0].Actions[0])
	}
	if result.Relation == compare.Equal {
		return nil, ErrNothing
	}
	t.replay(p, after)
	return p, nil
}

func orEmpty(d *policy.Document) *policy.Document {
	if d == nil {
		return &policy.Document{Version: policy.Text{Value: "2012-10-17"}}
	}
	return d
}

// callers collects who must go on coming in: the declared, and those who were seen.
func (t *narrowing) callers() {
	find := func(caller string) *need {
		i := slices.IndexFunc(t.needs, func(n need) bool { return n.caller == caller })
		if i < 0 {
			t.needs = append(t.needs, need{caller: caller})
			i = len(t.needs) - 1
		}
		return &t.needs[i]
	}
	for _, pair := range t.in.Registry.Pairs() {
		if t.is(pair.Target) && !pair.Entry.Expires.Over(t.in.Now) && arn.Account(pair.Source) != t.account {
			find(pair.Source).entry = pair.Entry
		}
	}
	if t.in.Usage != nil {
		for i := range t.in.Usage.Crossings {
			c := &t.in.Usage.Crossings[i]
			if !t.is(c.Target) || c.Count == 0 || c.Last.Before(t.in.Since) || c.Caller == t.account || arn.Account(c.Caller) == t.account {
				continue
			}
			n := find(c.Caller)
			n.used = append(n.used, c)
		}
	}
	t.attribute()
	t.attributeUnnamed()
	slices.SortStableFunc(t.needs, func(a, b need) int { return strings.Compare(a.caller, b.caller) })
}

// attribute gives what was used by somebody of an account, of whom the record knows no more, to those whom it may have been: the callers of
// that account that are declared or seen, or else those whom the policy names. Where there is none the account itself goes on coming in.
func (t *narrowing) attribute() {
	for i := 0; i < len(t.needs); i++ {
		n := t.needs[i]
		if !arn.IsAccountID(n.caller) || n.entry != nil {
			continue
		}
		named := false
		for j := range t.needs {
			if m := &t.needs[j]; arn.Account(m.caller) == n.caller {
				m.perhaps, named = n.used, true
			}
		}
		if !named {
			for _, caller := range t.namedOf(n.caller) {
				t.needs = append(t.needs, need{caller: caller, perhaps: n.used})
				named = true
			}
		}
		if named {
			t.needs = slices.Delete(t.needs, i, i+1)
			i--
		}
	}
}

// attributeUnnamed does the same for callers whose names were left out of the record: each may be any user of its account, or any subject of its issuer.
func (t *narrowing) attributeUnnamed() {
	for i := 0; i < len(t.needs); i++ {
		n := t.needs[i]
		prefix, unnamed := usage.Unnamed(n.caller)
		if !unnamed {
			continue
		}
		known := false
		for j := range t.needs {
			if m := &t.needs[j]; j != i && usage.May(n.caller, m.caller) && !isUnnamed(m.caller) {
				m.perhaps, known = n.used, true
			}
		}
		if !known && strings.HasPrefix(n.caller, "arn:") {
			for _, caller := range t.namedOf(arn.Account(n.caller)) {
				if strings.HasPrefix(caller, prefix) {
					t.needs = append(t.needs, need{caller: caller, perhaps: n.used})
					known = true
				}
			}
		}
		if !known {
			t.unnamed = n.caller
			return
		}
		t.needs = slices.Delete(t.needs, i, i+1)
		i--
	}
}

func isUnnamed(caller string) bool {
	_, unnamed := usage.Unnamed(caller)
	return unnamed
}

// namedOf are the principals of an account that the live policy names, none where it trusts the whole account.
func (t *narrowing) namedOf(account string) []string {
	var out []string
	for i := range t.live.Rules {
		rule := &t.live.Rules[i]
		if rule.Effect != policy.Allow {
			continue
		}
		for _, v := range rule.Principals.Values {
			switch {
			case v.Form == policy.Everyone || v.Form == policy.AccountForm && v.Account == account:
				return nil
			case v.Account == account && !slices.Contains(out, v.Value):
				out = append(out, v.Value)
			}
		}
	}
	return out
}

// is reports whether a name is the target, or a part of it: an object of a bucket.
func (t *narrowing) is(name string) bool {
	return name == t.target || t.kind == policy.Resource && strings.HasPrefix(name, t.target+"/")
}

// rewrite changes the statements that let in callers from elsewhere: each keeps its conditions and is narrowed to the callers that
// are needed and that it lets in.
func (t *narrowing) rewrite() *policy.Document {
	d := *t.live.Document
	d.Statements = nil
	crossing := map[*policy.Rule]bool{}
	for _, e := range t.in.Graph.EdgesTo(t.target) {
		if e.CrossAccount && e.Grantee.Kind != access.ServiceGrantee {
			for i := range e.Grants {
				crossing[e.Grants[i].Rule] = true
			}
		}
	}
	for i := range t.live.Rules {
		rule, s := &t.live.Rules[i], t.live.Document.Statements[i]
		if rule.Effect != policy.Allow || !crossing[rule] || s.Principal.Not {
			d.Statements = append(d.Statements, s)
			continue
		}
		for _, kept := range t.narrow(s, rule, i) {
			if slices.ContainsFunc(d.Statements, func(o policy.Statement) bool { return sameStatement(o, kept) }) {
				t.because(i, "goes: it says what another says")
				continue
			}
			d.Statements = append(d.Statements, kept)
		}
	}
	return &d
}

// sameStatement reports whether two statements differ in their names at most.
func sameStatement(a, b policy.Statement) bool {
	a.Sid, b.Sid = policy.Text{}, policy.Text{}
	text := func(s policy.Statement) string {
		return string((&policy.Document{Statements: []policy.Statement{s}}).Canonical())
	}
	return text(a) == text(b)
}

// narrow keeps of a statement's principals those who are needed. An account or everybody becomes the callers by name. Those of the own
// account and services stay; where what the others may do is narrowed, they stand in a statement of their own.
func (t *narrowing) narrow(s policy.Statement, rule *policy.Rule, at int) []policy.Statement {
	var kept, own []policy.PrincipalValue
	var needs []*need
	add := func(list *[]policy.PrincipalValue, v policy.PrincipalValue) {
		if !slices.ContainsFunc(*list, func(k policy.PrincipalValue) bool { return k.Type == v.Type && k.Value == v.Value }) {
			*list = append(*list, v)
		}
	}
	for _, v := range s.Principal.Values {
		compiled := policy.CompilePrincipal(v.Type, v.Value)
		switch {
		case v.Type == policy.Federated && !strings.Contains(v.Value, ":saml-provider/"):
			list := t.federated(compiled.Value)
			for _, n := range list {
				t.because(at, "keeps "+n.caller+": "+n.because())
			}
			if len(list) == 0 {
				t.because(at, "drops "+v.Value+": nobody declares it, and it was not seen in use")
				continue
			}
			add(&kept, v)
			needs = append(needs, list...)
		case v.Type == policy.Service || v.Type == policy.CanonicalUser || compiled.Account == t.account:
			add(&own, v)
		default:
			if compiled.Form == policy.Everyone && t.kind == policy.Resource { // own principals come in by their own policies, as far as the resource lets them
				add(&own, policy.PrincipalValue{Type: policy.AWS, Text: policy.Text{Value: arn.AccountRoot(partitionOf(t.target), t.account)}})
			}
			found := false
			for i := range t.needs {
				n := &t.needs[i]
				if !lets(&compiled, n.caller) {
					continue
				}
				found = true
				if n.caller == v.Value {
					t.because(at, "keeps "+v.Value+": "+n.because())
				} else {
					t.because(at, "names "+n.caller+" instead of "+v.Value+": "+n.because())
				}
				add(&kept, policy.PrincipalValue{Type: principalType(n.caller), Text: policy.Text{Value: n.caller}})
				needs = append(needs, n)
			}
			if !found {
				t.because(at, "drops "+v.Value+": nobody declares it, and it was not seen in use")
			}
		}
	}
	if len(kept)+len(own) == 0 {
		t.because(at, "goes: nobody is left in it")
		return nil
	}
	if len(kept) == 0 {
		s.Principal.Values = own
		if t.kind == policy.Trust {
			s.Action = t.assuming(s.Action, own, at)
		}
		return []policy.Statement{s}
	}
	foreign := s
	foreign.Principal.Values = kept
	foreign.Condition = t.subjects(t.demanded(foreign, kept, at), kept, at)
	if t.kind == policy.Resource {
		foreign.Action = t.actions(foreign, rule, needs, at)
	} else {
		foreign.Action = t.assuming(foreign.Action, kept, at)
	}
	if len(own) == 0 {
		return []policy.Statement{foreign}
	}
	if same(&foreign, &s) {
		s.Principal.Values = append(own, kept...)
		return []policy.Statement{s}
	}
	s.Principal.Values = own
	if foreign.Sid.Value != "" {
		foreign.Sid.Value += "FromElsewhere"
	}
	return []policy.Statement{s, foreign}
}

func principalType(caller string) policy.PrincipalType {
	if strings.HasSuffix(caller, ".amazonaws.com") {
		return policy.Service
	}
	return policy.AWS
}

// same reports whether two statements demand the same and give the same, whoever is in them.
func same(a, b *policy.Statement) bool {
	x, y := *a, *b
	x.Principal, y.Principal = policy.PrincipalElement{}, policy.PrincipalElement{}
	x.Sid, y.Sid = policy.Text{}, policy.Text{}
	one, other := policy.Document{Statements: []policy.Statement{x}}, policy.Document{Statements: []policy.Statement{y}}
	return one.Key() == other.Key()
}

func (t *narrowing) because(at int, reason string) {
	t.reasons = append(t.reasons, fmt.Sprintf("statement %d %s", at+1, reason))
}

// actions are those that a statement's callers from elsewhere need of what it gives. Where nothing says what one of them does there, all stay.
func (t *narrowing) actions(s policy.Statement, rule *policy.Rule, needs []*need, at int) policy.Element {
	var wanted []wanted
	for _, n := range needs {
		if len(n.used) == 0 && (n.entry == nil || len(n.entry.Actions) == 0) {
			return s.Action
		}
		for _, c := range n.used {
			wanted = append(wanted, wantedOf(c.Mechanism, n.because())...)
		}
		if n.entry != nil {
			wanted = append(wanted, declaredActions(n.entry)...)
		}
	}
	kept := narrowActions(s.Action, rule, wanted, ActionGrain, !declaredAll(needs))
	if len(kept.Values) == 0 {
		return s.Action // what was seen is allowed elsewhere; whom the statement is for cannot be said
	}
	if elementKey(kept) != elementKey(s.Action) {
		t.because(at, fmt.Sprintf("gives %s instead of %s to callers from elsewhere", elementWords(kept), elementWords(s.Action)))
	}
	return kept
}

func declaredAll(needs []*need) bool {
	return !slices.ContainsFunc(needs, func(n *need) bool { return n.entry == nil || len(n.entry.Actions) == 0 })
}

// assuming are the one that assumes the role, where a statement allows more by a wildcard. Passing tags and a source identity stay allowed
// where they are allowed by name.
func (t *narrowing) assuming(e policy.Element, kept []policy.PrincipalValue, at int) policy.Element {
	if e.Not || !slices.ContainsFunc(e.Values, func(v policy.Text) bool { return strings.ContainsAny(v.Value, "*?") }) {
		return e
	}
	assume := ""
	for _, v := range kept {
		action := "sts:AssumeRole"
		if v.Type == policy.Federated {
			action = "sts:AssumeRoleWithWebIdentity"
			if strings.Contains(v.Value, ":saml-provider/") {
				action = "sts:AssumeRoleWithSAML"
			}
		}
		if assume != "" && assume != action {
			return e // two kinds of callers: which of them needs which action is not for a guess
		}
		assume = action
	}
	out := policy.Element{Present: true, Values: []policy.Text{{Value: assume}}}
	var was []string
	for _, v := range e.Values {
		was = append(was, v.Value)
		if !strings.ContainsAny(v.Value, "*?") && !strings.EqualFold(v.Value, assume) {
			out.Values = append(out.Values, policy.Text{Value: v.Value})
		}
	}
	t.reasons = append(t.reasons, fmt.Sprintf("statement %d allows %s instead of %s; who passes tags or a source identity needs sts:TagSession or sts:SetSourceIdentity by name",
		at+1, assume, strings.Join(was, ", ")))
	return out
}

// subjects demands of the one provider of a statement the audience and the subjects that entries declare and that were seen.
func (t *narrowing) subjects(conditions []policy.Condition, kept []policy.PrincipalValue, at int) []policy.Condition {
	if len(kept) != 1 || kept[0].Type != policy.Federated || strings.Contains(kept[0].Value, ":saml-provider/") {
		return conditions
	}
	host := eval.IssuerHost(policy.CompilePrincipal(kept[0].Type, kept[0].Value).Value)
	var subjects, audiences []string
	add := func(list []string, v string) []string {
		if v == "" || slices.ContainsFunc(list, func(have string) bool { return arn.MatchGlob(have, v) }) {
			return list
		}
		return append(list, v)
	}
	for _, n := range t.federated(kept[0].Value) { // the declared come first: what was seen is among them, if all is well
		if n.entry == nil || n.entry.From.OIDC == nil {
			continue
		}
		o := n.entry.From.OIDC
		if o.Claims["sub"] == "" || len(o.Claims) > 1 {
			return conditions // it declares another claim than the subject
		}
		subjects, audiences = add(subjects, o.Claims["sub"]), add(audiences, o.Audience)
	}
	for _, n := range t.federated(kept[0].Value) {
		if len(n.used) > 0 {
			subject, ok := strings.CutPrefix(n.caller, "oidc:"+host+":")
			if !ok {
				return conditions // seen, and not who it was
			}
			subjects = add(subjects, subject)
		}
	}
	out := slices.Clone(conditions)
	out = replaceTest(out, host+":sub", subjects)
	out = replaceTest(out, host+":aud", audiences)
	if !slices.EqualFunc(out, conditions, sameCondition) {
		t.reasons = append(t.reasons, fmt.Sprintf("statement %d demands the subject %s of %s", at+1, strings.Join(subjects, " or "), host))
	}
	return out
}

func sameCondition(a, b policy.Condition) bool {
	return a.Operator.Value == b.Operator.Value && a.Key.Value == b.Key.Value && slices.EqualFunc(a.Values, b.Values, func(x, y policy.Text) bool { return x.Value == y.Value })
}

// replaceTest sets the test of a key to some values; without values the tests stay as they are.
func replaceTest(conditions []policy.Condition, key string, values []string) []policy.Condition {
	if len(values) == 0 {
		return conditions
	}
	test := policy.Condition{Operator: policy.Text{Value: "StringEquals"}, Key: policy.Text{Value: key}}
	for _, v := range values {
		if strings.ContainsAny(v, "*?") {
			test.Operator.Value = "StringLike"
		}
		test.Values = append(test.Values, policy.Text{Value: v})
	}
	is := func(c policy.Condition) bool { return strings.EqualFold(c.Key.Value, key) }
	if i := slices.IndexFunc(conditions, is); i >= 0 && sameCondition(conditions[i], test) {
		return conditions
	}
	return append(slices.DeleteFunc(slices.Clone(conditions), is), test)
}

// lets reports whether a principal of the policy names a caller, or its account, or everybody.
func lets(v *policy.CompiledPrincipal, caller string) bool {
	account := caller
	if a, err := arn.Parse(caller); err == nil {
		account = a.Account
	}
	switch v.Form {
	case policy.Everyone:
		return arn.IsAccountID(account)
	case policy.AccountForm:
		return v.Account == account
	}
	return v.Value == caller
}

// federated are the needs of a provider's subjects.
func (t *narrowing) federated(provider string) []*need {
	var out []*need
	for i := range t.needs {
		if c := t.needs[i].caller; c == provider || strings.HasPrefix(c, "oidc:"+eval.IssuerHost(provider)+":") {
			out = append(out, &t.needs[i])
		}
	}
	return out
}

// demanded adds the conditions that the entries of all kept callers demand alike and the statement does not: an ExternalId.
func (t *narrowing) demanded(s policy.Statement, kept []policy.PrincipalValue, at int) []policy.Condition {
	conditions := slices.Clone(s.Condition)
	var common cond.Block
	for i, v := range kept {
		var n *need
		if list := t.federated(v.Value); len(list) > 0 {
			n = list[0]
		}
		if v.Type != policy.Federated {
			if j := slices.IndexFunc(t.needs, func(n need) bool { return n.caller == v.Value }); j >= 0 {
				n = &t.needs[j]
			}
		}
		if v.Type == policy.Service || n == nil || n.entry == nil {
			return conditions
		}
		block := n.entry.TrustConditions
		if i == 0 {
			common = block
		} else if fmt.Sprint(common.LeftOver(open)) != fmt.Sprint(block.LeftOver(open)) {
			return conditions // they demand different things: one statement each would be needed
		}
	}
	for i := range common {
		test := &common[i]
		c := policy.Condition{Operator: policy.Text{Value: test.Operator}, Key: policy.Text{Value: test.Key}}
		for _, v := range test.Constraint().Values() {
			c.Values = append(c.Values, policy.Text{Value: v})
		}
		if j := slices.IndexFunc(conditions, func(c policy.Condition) bool {
			return strings.EqualFold(c.Key.Value, test.Key) && strings.EqualFold(c.Operator.Value, test.Operator)
		}); j >= 0 { // one operator has a key once: the demanded values are taken where the statement's accept them all
			if !slices.ContainsFunc(c.Values, func(v policy.Text) bool { return !accepts(&conditions[j], v.Value) }) {
				if len(c.Values) < len(conditions[j].Values) || !slices.Equal(values(c.Values), values(conditions[j].Values)) {
					t.because(at, fmt.Sprintf("demands %s, as its entry does", test.Constraint()))
				}
				conditions[j].Values = c.Values
			}
			continue
		}
		conditions = append(conditions, c)
		t.because(at, fmt.Sprintf("demands %s, as its entry does", test.Constraint()))
	}
	return conditions
}

// accepts reports whether a test for one of several texts or patterns accepts a value, which may be a pattern itself.
func accepts(c *policy.Condition, value string) bool {
	like := strings.HasPrefix(c.Operator.Value, "StringLike") || strings.HasPrefix(c.Operator.Value, "Arn")
	return slices.ContainsFunc(c.Values, func(v policy.Text) bool { return v.Value == value || like && arn.GlobCovers(v.Value, value) })
}

func values(texts []policy.Text) []string {
	out := make([]string, 0, len(texts))
	for _, t := range texts {
		out = append(out, t.Value)
	}
	slices.Sort(out)
	return out
}

var open = &cond.Context{Rest: cond.Undetermined}

func (n *need) because() string {
	var parts []string
	if n.entry != nil {
		parts = append(parts, "entry "+n.entry.Name+" declares it")
	}
	count, last := 0, time.Time{}
	for _, c := range n.used {
		if count += c.Count; c.Last.After(last) {
			last = c.Last
		}
	}
	if count > 0 {
		parts = append(parts, fmt.Sprintf("used %d times, last on %s", count, last.Format(time.DateOnly)))
	}
	for _, c := range n.perhaps {
		parts = append(parts, fmt.Sprintf("somebody of account %s used it %d times, last on %s", c.Caller, c.Count, c.Last.Format(time.DateOnly)))
	}
	return strings.Join(parts, ", ")
}

// replay decides every need against the proposal. What is not recorded of a use (its tags, its ExternalId) is unknown: only what is denied
// whatever it was is a break.
func (t *narrowing) replay(p *Proposal, after *policy.Policy) {
	for i := range t.needs {
		n := &t.needs[i]
		for _, q := range t.questions(n) {
			before, after := t.ask(n.caller, q, t.live), t.ask(n.caller, q, after)
			if after.Verdict == eval.Deny && before.Verdict != eval.Deny {
				what := n.because()
				if t.kind == policy.Resource {
					what = q.action.String() + ", " + what
				}
				p.Breaks = append(p.Breaks, Break{n.caller, what, "denied by " + after.By.Layer.String()})
			}
		}
	}
}

// question is one request of a caller to the target.
type question struct {
	action   eval.Action
	resource string
}

// questions are what a caller was seen to ask, and what its entry says that it needs: the known actions of its patterns.
func (t *narrowing) questions(n *need) []question {
	if t.kind == policy.Trust {
		return []question{{eval.MustAction("sts:AssumeRole"), t.target}}
	}
	var list []wanted
	for _, c := range n.used {
		list = append(list, wantedOf(c.Mechanism, "")...)
	}
	if n.entry != nil {
		list = append(list, declaredActions(n.entry)...)
	}
	var out []question
	for _, w := range list {
		for _, name := range w.names() {
			action, err := eval.ActionOf(name)
			if err != nil {
				continue
			}
			for _, resource := range []string{t.target, t.target + "/*"} {
				out = append(out, question{action, resource})
			}
		}
	}
	return out
}

func (t *narrowing) ask(name string, q question, live *policy.Policy) eval.Decision {
	action := q.action
	c, err := eval.NewCaller(name)
	known := &cond.Context{Rest: cond.Undetermined}
	switch {
	case strings.HasPrefix(name, "oidc:"):
		host, subject, _ := strings.Cut(strings.TrimPrefix(name, "oidc:"), ":")
		c = eval.FederatedCaller(eval.WebIdentity, t.provider(host))
		known.Set(host+":sub", subject)
		action = eval.MustAction("sts:AssumeRoleWithWebIdentity")
	case strings.HasSuffix(name, ".amazonaws.com"):
		c = eval.ServiceCaller(name)
	case arn.IsAccountID(name):
		c = eval.SomePrincipal("aws", name)
	case err != nil:
		return eval.Decision{}
	}
	t.in.Graph.Org.DescribeOrganization(c, c.Account)
	known.Parent = c.Context()
	engine := t.in.Graph.Engine()
	return engine.Decide(&eval.Request{Caller: c, Action: action, Resource: q.resource, ResourceAccount: t.account, Context: known,
		Policies: &eval.Policies{CallerAssumed: c.Kind != eval.WebIdentity && c.Account != "", Resource: &eval.Set{Policies: []*policy.Policy{live}}}})
}

// provider is how the live policy names the issuer of a host.
func (t *narrowing) provider(host string) string {
	for i := range t.live.Rules {
		for _, v := range t.live.Rules[i].Principals.Values {
			if (v.Form == policy.ProviderForm || v.Form == policy.IssuerForm) && eval.IssuerHost(v.Value) == host {
				return v.Value
			}
		}
	}
	return host
}
