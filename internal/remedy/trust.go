// Package remedy proposes the smallest change that narrows a trust to what is declared and used, and proves it: every recorded use
// and every declared need is decided against the proposal, and what it takes away from whom is shown by requests. It proposes and
// proves; it changes nothing.
package remedy

import (
	"encoding/json"
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

// ErrNothing is returned where no change is needed: the trust is no wider than what is declared and used.
var ErrNothing = errors.New("the trust is no wider than what is declared and used")

// ErrUnnamed is wrapped where somebody used the trust whose name was left out of the record.
var ErrUnnamed = errors.New("the name of who used it was left out of the record of use: declare who needs it, or import with names")

// ErrNoEvidence is returned where nothing says who needs the trust, so that any proposal would be a guess.
var ErrNoEvidence = errors.New("nothing says who needs the trust: neither an entry of the registry nor a recorded use")

// Proposal is a change of one role's trust policy, with its proof.
type Proposal struct {
	Role   string
	Before *policy.Document
	After  *policy.Document
	// Reasons say why each kept caller is kept, and each dropped one dropped, in the order of the policy.
	Reasons []string
	// Breaks are recorded uses and declared needs that the proposal would refuse. A proposal that breaks something says so first.
	Breaks []Break
	// Taken is what the change takes away, from whom, each with a request that shows it; NotDecided is what could not be compared.
	Taken      []compare.Difference
	NotDecided []string
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
	t := trust{role: role, in: in, live: role.Role.Trust.Policy}
	t.callers()
	if t.unnamed != "" {
		return nil, fmt.Errorf("%w: %s", ErrUnnamed, t.unnamed)
	}
	if len(t.needs) == 0 {
		return nil, ErrNoEvidence
	}
	p := &Proposal{Role: role.ARN, Before: t.live.Document, After: t.propose(), Reasons: t.reasons}
	after := policy.Compile(p.After)
	result := compare.Policies(policy.Trust, []*policy.Policy{t.live}, []*policy.Policy{after}, compare.Options{Engine: in.Graph.Engine(), Account: role.Account})
	p.Taken, p.NotDecided = result.Lost, result.Undecided
	if len(result.Gained) > 0 {
		return nil, fmt.Errorf("the proposal for %s would allow %s, which the trust does not: nothing is proposed", role.ARN, result.Gained[0].Actions[0])
	}
	if result.Relation == compare.Equal {
		return nil, ErrNothing
	}
	t.replay(p, after)
	return p, nil
}

// need is a caller who must go on coming in.
type need struct {
	caller string
	entry  *registry.Entry // nil: seen only
	used   *usage.Crossing // nil: declared only
	// perhaps is a use by somebody of the caller's account, of whom the record knows no more.
	perhaps *usage.Crossing
}

type trust struct {
	role    *org.Principal
	in      Inputs
	live    *policy.Policy
	needs   []need
	reasons []string
	unnamed string // a caller whose name was left out of the record, and who may be nobody that is declared, seen or named
}

// callers collects who must go on coming in: the declared, and those who were seen.
func (t *trust) callers() {
	find := func(caller string) *need {
		i := slices.IndexFunc(t.needs, func(n need) bool { return n.caller == caller })
		if i < 0 {
			t.needs = append(t.needs, need{caller: caller})
			i = len(t.needs) - 1
		}
		return &t.needs[i]
	}
	for _, pair := range t.in.Registry.Pairs() {
		if pair.Target == t.role.ARN && !pair.Entry.Expires.Over(t.in.Now) {
			find(pair.Source).entry = pair.Entry
		}
	}
	if t.in.Usage != nil {
		for i := range t.in.Usage.Crossings {
			c := &t.in.Usage.Crossings[i]
			if c.Target != t.role.ARN || c.Count == 0 || c.Last.Before(t.in.Since) || arn.Account(c.Caller) == t.role.Account {
				continue
			}
			find(c.Caller).used = c
		}
	}
	t.attribute()
	t.attributeUnnamed()
	slices.SortStableFunc(t.needs, func(a, b need) int { return strings.Compare(a.caller, b.caller) })
}

// attribute gives what was used by somebody of an account, of whom the record knows no more, to those whom it may have been: the callers of
// that account that are declared or seen, or else those whom the policy names. Where there is none the account itself goes on coming in.
func (t *trust) attribute() {
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
func (t *trust) attributeUnnamed() {
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
func (t *trust) namedOf(account string) []string {
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

// propose rewrites the statements that let in callers from elsewhere: each keeps its conditions and is narrowed to the callers that
// are needed and that it lets in.
func (t *trust) propose() *policy.Document {
	d := *t.live.Document
	d.Statements = nil
	crossing := map[*policy.Rule][]*access.Edge{}
	for _, e := range t.in.Graph.EdgesTo(t.role.ARN) {
		if e.CrossAccount && e.Grantee.Kind != access.ServiceGrantee {
			for i := range e.Grants {
				crossing[e.Grants[i].Rule] = append(crossing[e.Grants[i].Rule], e)
			}
		}
	}
	for i := range t.live.Rules {
		rule, s := &t.live.Rules[i], t.live.Document.Statements[i]
		edges := crossing[rule]
		if rule.Effect != policy.Allow || len(edges) == 0 || s.Principal.Not {
			d.Statements = append(d.Statements, s)
			continue
		}
		kept, ok := t.narrow(s, i)
		if !ok {
			continue
		}
		if j := slices.IndexFunc(d.Statements, func(o policy.Statement) bool { return sameStatement(o, kept) }); j >= 0 {
			t.reasons = append(t.reasons, fmt.Sprintf("statement %d goes: it says what another says", i+1))
			continue
		}
		d.Statements = append(d.Statements, kept)
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

// narrow keeps of a statement's principals those who are needed. An account or everybody becomes the callers by name.
func (t *trust) narrow(s policy.Statement, at int) (policy.Statement, bool) {
	var kept []policy.PrincipalValue
	add := func(v policy.PrincipalValue) {
		if !slices.ContainsFunc(kept, func(k policy.PrincipalValue) bool { return k.Type == v.Type && k.Value == v.Value }) {
			kept = append(kept, v)
		}
	}
	for _, v := range s.Principal.Values {
		compiled := policy.CompilePrincipal(v.Type, v.Value)
		switch {
		case v.Type == policy.Federated && !strings.Contains(v.Value, ":saml-provider/"):
			if needs := t.federated(compiled.Value); len(needs) > 0 {
				for _, n := range needs {
					t.reasons = append(t.reasons, fmt.Sprintf("statement %d keeps %s: %s", at+1, n.caller, n.because()))
				}
				add(v)
			} else {
				t.reasons = append(t.reasons, fmt.Sprintf("statement %d drops %s: nobody declares it, and it was not seen in use", at+1, v.Value))
			}
		case v.Type == policy.Service || compiled.Account == t.role.Account:
			add(v)
		default:
			found := false
			for i := range t.needs {
				n := &t.needs[i]
				if !lets(&compiled, n.caller) {
					continue
				}
				found = true
				t.reasons = append(t.reasons, fmt.Sprintf("statement %d names %s instead of %s: %s", at+1, n.caller, v.Value, n.because()))
				if n.caller == v.Value {
					t.reasons[len(t.reasons)-1] = fmt.Sprintf("statement %d keeps %s: %s", at+1, v.Value, n.because())
				}
				add(policy.PrincipalValue{Type: policy.AWS, Text: policy.Text{Value: n.caller}})
			}
			if !found {
				t.reasons = append(t.reasons, fmt.Sprintf("statement %d drops %s: nobody declares it, and it was not seen in use", at+1, v.Value))
			}
		}
	}
	if len(kept) == 0 {
		t.reasons = append(t.reasons, fmt.Sprintf("statement %d goes: nobody is left in it", at+1))
		return s, false
	}
	s.Principal.Values = kept
	s.Condition = t.subjects(t.demanded(s, kept, at), kept, at)
	s.Action = t.actions(s.Action, kept, at)
	return s, true
}

// actions are the one that assumes the role, where a statement allows more by a wildcard. Passing tags and a source identity stay allowed
// where they are allowed by name.
func (t *trust) actions(e policy.Element, kept []policy.PrincipalValue, at int) policy.Element {
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
func (t *trust) subjects(conditions []policy.Condition, kept []policy.PrincipalValue, at int) []policy.Condition {
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
		if n.used != nil {
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
func (t *trust) federated(provider string) []*need {
	var out []*need
	for i := range t.needs {
		if c := t.needs[i].caller; c == provider || strings.HasPrefix(c, "oidc:"+eval.IssuerHost(provider)+":") {
			out = append(out, &t.needs[i])
		}
	}
	return out
}

// demanded adds the conditions that the entries of all kept callers demand alike and the statement does not.
func (t *trust) demanded(s policy.Statement, kept []policy.PrincipalValue, at int) []policy.Condition {
	conditions := slices.Clone(s.Condition)
	var common cond.Block
	for i, v := range kept {
		j := slices.IndexFunc(t.needs, func(n need) bool { return n.caller == v.Value })
		if v.Type == policy.Service || j < 0 || t.needs[j].entry == nil {
			return conditions
		}
		if i == 0 {
			common = t.needs[j].entry.TrustConditions
		} else if fmt.Sprint(common.LeftOver(open)) != fmt.Sprint(t.needs[j].entry.TrustConditions.LeftOver(open)) {
			return conditions // they demand different things: one statement each would be needed
		}
	}
	for i := range common {
		test := &common[i]
		if slices.ContainsFunc(conditions, func(c policy.Condition) bool { return strings.EqualFold(c.Key.Value, test.Key) }) {
			continue
		}
		c := policy.Condition{Operator: policy.Text{Value: test.Operator}, Key: policy.Text{Value: test.Key}}
		for _, v := range test.Constraint().Values() {
			c.Values = append(c.Values, policy.Text{Value: v})
		}
		conditions = append(conditions, c)
		t.reasons = append(t.reasons, fmt.Sprintf("statement %d demands %s, as its entry does", at+1, test.Constraint()))
	}
	return conditions
}

var open = &cond.Context{Rest: cond.Undetermined}

func (n *need) because() string {
	var parts []string
	if n.entry != nil {
		parts = append(parts, "entry "+n.entry.Name+" declares it")
	}
	if n.used != nil {
		parts = append(parts, fmt.Sprintf("used %d times, last on %s", n.used.Count, n.used.Last.Format(time.DateOnly)))
	}
	if n.perhaps != nil {
		parts = append(parts, fmt.Sprintf("somebody of account %s used it %d times, last on %s", n.perhaps.Caller, n.perhaps.Count, n.perhaps.Last.Format(time.DateOnly)))
	}
	return strings.Join(parts, ", ")
}

// replay decides every need against the proposal. What is not recorded of a use (its tags, its ExternalId) is unknown: only what is denied
// whatever it was is a break.
func (t *trust) replay(p *Proposal, after *policy.Policy) {
	for i := range t.needs {
		n := &t.needs[i]
		before, after := t.ask(n.caller, t.live), t.ask(n.caller, after)
		if after.Verdict == eval.Deny && before.Verdict != eval.Deny {
			p.Breaks = append(p.Breaks, Break{n.caller, n.because(), "denied by " + after.By.Layer.String()})
		}
	}
}

func (t *trust) ask(name string, trust *policy.Policy) eval.Decision {
	action := eval.MustAction("sts:AssumeRole")
	c, err := eval.NewCaller(name)
	known := &cond.Context{Rest: cond.Undetermined}
	switch {
	case strings.HasPrefix(name, "oidc:"):
		host, subject, _ := strings.Cut(strings.TrimPrefix(name, "oidc:"), ":")
		c = eval.FederatedCaller(eval.WebIdentity, t.provider(host))
		known.Set(host+":sub", subject)
		action = eval.MustAction("sts:AssumeRoleWithWebIdentity")
	case arn.IsAccountID(name):
		c = eval.SomePrincipal("aws", name)
	case err != nil:
		return eval.Decision{}
	}
	t.in.Graph.Org.DescribeOrganization(c, c.Account)
	known.Parent = c.Context()
	engine := t.in.Graph.Engine()
	return engine.Decide(&eval.Request{Caller: c, Action: action, Resource: t.role.ARN, ResourceAccount: t.role.Account, Context: known,
		Policies: &eval.Policies{CallerAssumed: c.Kind != eval.WebIdentity, Resource: &eval.Set{Policies: []*policy.Policy{trust}}}})
}

// provider is how the live policy names the issuer of a host.
func (t *trust) provider(host string) string {
	for i := range t.live.Rules {
		for _, v := range t.live.Rules[i].Principals.Values {
			if (v.Form == policy.ProviderForm || v.Form == policy.IssuerForm) && eval.IssuerHost(v.Value) == host {
				return v.Value
			}
		}
	}
	return host
}

// indented is a document as people read it.
func indented(d *policy.Document) []byte {
	var v any
	if err := json.Unmarshal(d.Canonical(), &v); err != nil {
		return d.Canonical()
	}
	var raw json.RawMessage = d.Canonical()
	out, err := json.MarshalIndent(raw, "", "  ")
	if err != nil {
		return d.Canonical()
	}
	return append(out, '\n')
}
