package eval

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"drawbridge/iam/cond"
)

// Holder is a user, role or other caller with everything that is attached to it: Identity, Boundary and SCPs are as in Policies.
type Holder struct {
	Caller   *Caller
	Tags     map[string]string // of the user or role itself
	Identity Set
	Boundary *Set
	SCPs     []Set
	// CallerAssumed: its policies were not seen (Policies.CallerAssumed).
	CallerAssumed bool
}

// Hop is one role assumption of a chain: the role, its trust, and what is asked for.
type Hop struct {
	Role  Holder
	Trust *Set
	RCPs  []Set // of the role's account
	// MaxSession is the role's own limit; zero: one hour, as AWS sets it.
	MaxSession time.Duration

	// SessionName, ExternalID, Duration, SourceIdentity, Tags and Transitive are the parameters of the call; the zero value of
	// each is "not given".
	SessionName    string
	ExternalID     string
	Duration       time.Duration
	SourceIdentity string
	Tags           map[string]string
	Transitive     []string
	// Session is the session's policies, nil where it carries none (rules 8, 9).
	Session *Set
	// Context holds further keys of the call, over which the chain puts those that follow from it; nil: none.
	Context *cond.Context
}

// Chain is one question over several calls: from Start over Hops, that is assume A, then B, then act. Each call is made with the credentials of the one before,
// whose own permissions are given up (rules 124, 131); tags, source identity and the one-hour cap are carried along (rules 125,
// 128, 129).
type Chain struct {
	Start Holder
	With  Credentials // how Start's credentials came to be
	// Session are the policies of Start's own session, nil where it carries none.
	Session *Set
	Hops    []Hop
	// Act is the request at the end. Its Caller is set by the chain, and of its Policies the caller's side. nil asks only whether
	// the last role can be assumed.
	Act *Request
}

// Outcome of a chain.
type Outcome struct {
	Verdict Verdict
	// Stopped is the step that does not pass for certain, counted from 0, with the act after the hops; -1 where all pass. A step
	// that is Unknown does not stop the chain, one that is denied does.
	Stopped int
	// Reason says in plain words what stopped it, "" where nothing did.
	Reason string
	// Steps are the decisions, one a step, up to the one that stopped.
	Steps []ChainStep
}

// ChainStep is one step of a chain with its decisions.
type ChainStep struct {
	// Caller makes the call.
	Caller *Caller
	// Decisions are those on the call itself and on what it needs beside: sts:TagSession, sts:SetSourceIdentity.
	Decisions []ActionDecision
	// Lasts is how long the session that the step makes may last.
	Lasts time.Duration
}

// ActionDecision is the decision on one action on one resource.
type ActionDecision struct {
	Action   string
	Resource string
	Decision
}

// Limits of AWS STS on sessions. Source: AWS STS API Reference, "AssumeRole".
const (
	shortestSession    = 15 * time.Minute
	defaultSession     = time.Hour
	chainedSession     = time.Hour // rule 125
	longestSession     = 12 * time.Hour
	maxManagedPolicies = 10   // rule 9
	maxPolicyText      = 2048 // characters, inline and managed together (rule 132)
	maxTags            = 50
)

var (
	callAssume         = MustAction("sts:AssumeRole")
	callAssumeWeb      = MustAction("sts:AssumeRoleWithWebIdentity")
	callAssumeSAML     = MustAction("sts:AssumeRoleWithSAML")
	callTag            = MustAction("sts:TagSession")
	callSourceIdentity = MustAction("sts:SetSourceIdentity")
)

// Follow answers a chain.
func (e *Evaluator) Follow(c *Chain) Outcome {
	f := follower{e: e, holder: c.Start, with: c.With, session: c.Session}
	if f.with.PrincipalTags == nil {
		f.with.PrincipalTags = c.Start.Tags
	}
	o := Outcome{Verdict: Allow, Stopped: -1}
	for i := range c.Hops {
		step, reason := f.hop(&c.Hops[i])
		o.Steps = append(o.Steps, step)
		if o.settle(i, reason) {
			return o
		}
	}
	if c.Act != nil {
		o.Steps = append(o.Steps, f.act(c.Act))
		o.settle(len(c.Hops), "")
	}
	return o
}

// settle takes the last step into the outcome and reports whether it stopped the chain.
func (o *Outcome) settle(i int, reason string) bool {
	verdict := Allow
	if reason != "" {
		verdict = Deny
	}
	for _, d := range o.Steps[len(o.Steps)-1].Decisions {
		switch {
		case d.Verdict == Deny && verdict != Deny:
			verdict, reason = Deny, fmt.Sprintf("%s on %s is denied by %s", d.Action, d.Resource, d.By.Layer)
		case d.Verdict == Unknown && verdict == Allow:
			verdict = Unknown
		}
	}
	if verdict == Deny {
		o.Verdict, o.Stopped, o.Reason = Deny, i, reason
		return true
	}
	if verdict == Unknown {
		o.Verdict = Unknown
		if o.Stopped < 0 {
			o.Stopped = i
			o.Reason = "not certain: " + o.Steps[len(o.Steps)-1].open()
		}
	}
	return false
}

// open is what a step leaves open, for people.
func (s *ChainStep) open() string {
	var parts []string
	for _, d := range s.Decisions {
		if d.Verdict == Unknown {
			parts = append(parts, d.Action+" if "+d.LeftOver.String())
		}
	}
	return strings.Join(parts, "; ")
}

// follower is the state of a chain between two steps: who calls now, with which credentials.
type follower struct {
	e       *Evaluator
	holder  Holder
	with    Credentials
	session *Set
}

// hop assumes a role. The reason says why AWS refuses the call before any policy is asked, "" where it does not.
func (f *follower) hop(h *Hop) (step ChainStep, reason string) {
	caller := f.holder.Caller.WithCredentials(f.with)
	if f.holder.Caller.Kind == WebIdentity || f.holder.Caller.Kind == SAML || f.holder.Caller.Kind == Service {
		caller = f.holder.Caller
	}
	step.Caller = caller
	chained := caller.Kind == Role
	if step.Lasts, reason = h.lasts(chained); reason != "" {
		return step, reason
	}
	if reason = h.refusal(&f.with); reason != "" {
		return step, reason
	}
	tags, transitive := h.inherit(&f.with)
	identity := cmp.Or(f.with.SourceIdentity, h.SourceIdentity)
	ctx := h.context(caller, &f.with)
	decide := func(a Action) {
		r := Request{Caller: caller, Action: a, Resource: h.Role.Caller.ARN, ResourceAccount: h.Role.Caller.Account, Context: ctx, Policies: f.policies(h.Trust, h.RCPs)}
		step.Decisions = append(step.Decisions, ActionDecision{a.String(), r.Resource, f.e.Decide(&r)})
	}
	decide(call(caller.Kind))
	if len(tags) > 0 {
		decide(callTag) // rule 127
	}
	if identity != "" {
		decide(callSourceIdentity) // rule 129: for a chained session too, which carries it along
	}
	f.enter(h, tags, transitive, identity, chained)
	return step, ""
}

// call is the way in which a caller assumes roles.
func call(k CallerKind) Action {
	switch k {
	case WebIdentity:
		return callAssumeWeb
	case SAML:
		return callAssumeSAML
	}
	return callAssume
}

// lasts is how long the session lasts, and why AWS refuses its length.
func (h *Hop) lasts(chained bool) (time.Duration, string) {
	limit := h.MaxSession
	if limit == 0 {
		limit = defaultSession
	}
	limit = min(limit, longestSession)
	if chained {
		limit = min(limit, chainedSession)
	}
	asked := h.Duration
	if asked == 0 {
		return min(defaultSession, limit), ""
	}
	switch {
	case asked < shortestSession:
		return 0, fmt.Sprintf("a session lasts at least %v, asked for %v", shortestSession, asked)
	case asked > limit && chained && asked <= max(h.MaxSession, defaultSession):
		return 0, fmt.Sprintf("a chained session lasts at most %v, asked for %v", chainedSession, asked)
	case asked > limit:
		return 0, fmt.Sprintf("a session of this role lasts at most %v, asked for %v", limit, asked)
	}
	return asked, ""
}

// refusal is why AWS refuses the parameters of the call, given the credentials that make it.
func (h *Hop) refusal(with *Credentials) string {
	for _, inherited := range with.Transitive {
		for _, tag := range sortedTags(h.Tags) {
			if strings.EqualFold(tag, inherited) { // rule 128
				return fmt.Sprintf("tag %s was passed on by the session before and cannot be set again", tag)
			}
		}
	}
	for _, key := range h.Transitive {
		if _, ok := h.Tags[key]; !ok {
			return fmt.Sprintf("tag %s is to be passed on and is not set", key)
		}
	}
	if len(h.Tags) > maxTags {
		return fmt.Sprintf("a session has at most %d tags, asked for %d", maxTags, len(h.Tags))
	}
	if with.SourceIdentity != "" && h.SourceIdentity != "" && with.SourceIdentity != h.SourceIdentity {
		return fmt.Sprintf("the source identity is %s and cannot become %s", with.SourceIdentity, h.SourceIdentity)
	}
	return SessionPolicyRefusal(h.Session)
}

// SessionPolicyRefusal is why AWS STS takes no session with these policies, "" where it does: more than ten managed policies
// beside the inline one, more text than the plain limit (rules 9, 132), or a short ARN (rule 86). The packed limit on policies
// and tags together is not modelled: AWS does not say how it packs.
func SessionPolicyRefusal(s *Set) string {
	if s == nil {
		return ""
	}
	if len(s.Policies) > maxManagedPolicies+1 {
		return fmt.Sprintf("a session has at most %d managed policies and one inline, asked for %d", maxManagedPolicies, len(s.Policies))
	}
	text := 0
	for _, p := range s.Policies {
		text += len(p.Document.Canonical())
		for i := range p.Rules {
			if p.Rules[i].Resources.Short {
				return "a session policy cannot have a short ARN"
			}
		}
	}
	if text > maxPolicyText {
		return fmt.Sprintf("the policies of a session have at most %d characters, these have %d", maxPolicyText, text)
	}
	return ""
}

// inherit is the tags of the call with those that the session before passes on.
func (h *Hop) inherit(with *Credentials) (tags map[string]string, transitive []string) {
	tags = map[string]string{}
	for _, key := range with.Transitive {
		tags[key] = with.Tags[key]
	}
	maps.Copy(tags, h.Tags)
	transitive = slices.Concat(with.Transitive, h.Transitive)
	slices.Sort(transitive)
	return tags, slices.Compact(transitive)
}

// context is the keys of the call. Whether AWS sends the tags that the session before passes on as tags of the request too is not
// documented: those keys are unknown.
func (h *Hop) context(caller *Caller, with *Credentials) *cond.Context {
	k := &cond.Context{Parent: caller.Context()}
	if h.Context != nil {
		k = under(h.Context, k.Parent)
	}
	set := func(key, value string) {
		if value != "" {
			k.Set(key, value)
		}
	}
	set("sts:ExternalId", h.ExternalID)
	set("sts:RoleSessionName", h.SessionName)
	set("sts:SourceIdentity", h.SourceIdentity)
	if h.Duration > 0 {
		set("sts:DurationSeconds", strconv.FormatInt(int64(h.Duration/time.Second), 10))
	}
	if keys := sortedTags(h.Tags); len(keys) > 0 {
		k.Set("aws:TagKeys", keys...)
		for _, key := range keys {
			k.Set("aws:RequestTag/"+key, h.Tags[key])
		}
	}
	if len(h.Transitive) > 0 {
		k.Set("sts:TransitiveTagKeys", h.Transitive...)
	}
	for _, key := range with.Transitive {
		k.SetUnknown("aws:RequestTag/" + key)
		k.SetUnknown("aws:TagKeys")
		k.SetUnknown("sts:TransitiveTagKeys")
	}
	return k
}

// policies are the caller's side as it is now, with the resource's side of a request.
func (f *follower) policies(resource *Set, rcps []Set) *Policies {
	return &Policies{Identity: f.holder.Identity, Boundary: f.holder.Boundary, SCPs: f.holder.SCPs, Session: f.session,
		Resource: resource, RCPs: rcps, CallerAssumed: f.holder.CallerAssumed}
}

// enter makes the role's session the caller of the next step. A second factor counts for the session that it made, and not for
// sessions made from that.
func (f *follower) enter(h *Hop, tags map[string]string, transitive []string, identity string, chained bool) {
	provider := f.with.Provider
	if k := f.holder.Caller.Kind; k == WebIdentity || k == SAML {
		provider = f.holder.Caller.ARN
	}
	f.with = Credentials{Temporary: true, MFA: f.with.MFA && !chained, MFAAge: f.with.MFAAge, Tags: tags, PrincipalTags: h.Role.Tags,
		Transitive: transitive, SourceIdentity: identity, Provider: provider, Chained: chained}
	f.holder, f.session = h.Role, h.Session
	f.holder.Caller = h.Role.Caller.inSession(cmp.Or(h.SessionName, "session"))
}

// inSession is a role as one session of it.
func (c *Caller) inSession(name string) *Caller {
	n := *c
	n.Session = "arn:" + c.Partition + ":sts::" + c.Account + ":assumed-role/" + roleName(c.ARN) + "/" + name
	n.keys = cond.Context{Parent: &c.keys}
	if c.UniqueID != "" {
		n.keys.Set("aws:userid", c.UniqueID+":"+name) // rule 114
	}
	return &n
}

// act asks the request at the end.
func (f *follower) act(act *Request) ChainStep {
	r := *act
	r.Caller = f.holder.Caller.WithCredentials(f.with)
	r.Policies = f.policies(nil, nil)
	if p := act.Policies; p != nil {
		r.Policies = f.policies(p.Resource, p.RCPs)
		r.Policies.Endpoint, r.Policies.Gateway = p.Endpoint, p.Gateway
	}
	if act.Context != nil {
		r.Context = under(act.Context, r.Caller.Context())
	}
	return ChainStep{Caller: r.Caller, Decisions: []ActionDecision{{r.Action.String(), r.Resource, f.e.Decide(&r)}}}
}

// under is the keys of a context, over those of a caller.
func under(own, caller *cond.Context) *cond.Context {
	k := &cond.Context{Parent: caller}
	own.Keys(func(name string, state cond.State, values []string) bool {
		switch state {
		case cond.Present:
			k.Set(name, values...)
		case cond.Absent:
			k.SetAbsent(name)
		default:
			k.SetUnknown(name)
		}
		return true
	})
	return k
}
