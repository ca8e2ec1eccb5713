package broker

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/registry"
)

// Terms are what the registry answers to a request. All of them come from one entry (20).
type Terms struct {
	Entry   string `json:"entry"`
	Version string `json:"version"` // of the registry that the entry was read from
	// Allow is what the session may do at most.
	Actions   []string `json:"actions"`
	Resources []string `json:"resources"`
	// Life is how long the grant lasts, and Session how long one session of it may; LimitedBy says what decided about the latter.
	Life      time.Duration `json:"life"`
	Session   time.Duration `json:"session"`
	LimitedBy string        `json:"limitedBy"`
	// Chained: the target is reached by a chain of roles, which AWS caps at one hour. The broker's own role is the first link wherever the session does not come from its issuer: it has no long-term keys.
	Chained bool `json:"chained,omitempty"`
	// Tags are the session tags of the entry. They are the entry's words, never a caller's.
	Tags map[string]string `json:"tags,omitempty"`
	// NoChaining: the session may not assume further roles.
	NoChaining bool `json:"noChaining,omitempty"`
	// Approvals is how many people must say yes, Denials how many no's end it, Approvers who may decide. 0 approvals: the entry itself approves.
	Approvals int           `json:"approvals"`
	Denials   int           `json:"denials"`
	Approvers []string      `json:"approvers,omitempty"`
	Within    time.Duration `json:"within"` // how long it may wait for them
	Sessions  int           `json:"sessions"`
	Vendor    string        `json:"vendor,omitempty"`
}

// Refusal is why a request is not answered by terms. Why is for the caller: it names nothing that the caller did not name (52). Detail is for the log.
type Refusal struct {
	Why    string
	Detail string
}

func (r *Refusal) Error() string { return r.Why }

func refuse(why, format string, args ...any) *Refusal {
	return &Refusal{Why: why, Detail: fmt.Sprintf(format, args...)}
}

// notForYou is what a caller is told whom no entry lets in, or who names one that is not there: the same words for both.
const notForYou = "no registered trust lets this caller reach this target"

// Facts are what judging needs beside the entry.
type Facts struct {
	Version string
	Vendor  *registry.Vendor // the entry's; nil where it names none, or one that the registry does not have
	// Context is what is known of the request: where it comes from, when, with which claims. A key that is not in it is unknown, which refuses where the entry asks for it.
	Context *cond.Context
	// TargetMax is the target role's longest session, 0 where it is not known; then AWS's default of one hour counts.
	TargetMax time.Duration
	// SubjectMax is how long sessions of such a subject may be; 0: as long as the others let it.
	SubjectMax time.Duration
	// Federated: the session comes from AssumeRoleWithWebIdentity, which is no chain.
	Federated bool
}

// The limits that hold where the entry says nothing.
const (
	DefaultLife     = 8 * time.Hour
	DefaultSession  = time.Hour
	DefaultWithin   = 24 * time.Hour
	DefaultSessions = 4
	// MinSession is AWS's shortest session. MaxSession its longest, ChainedSession that of a chain.
	MinSession     = 15 * time.Minute
	MaxSession     = 12 * time.Hour
	ChainedSession = time.Hour
)

// Judge answers a request by its entry. Whatever is not known refuses (14).
func Judge(e *registry.Entry, r *Request, f *Facts, now time.Time) (Terms, *Refusal) {
	if e == nil || e.Name != r.Ask.Entry {
		return Terms{}, refuse(notForYou, "the registry has no entry %q", r.Ask.Entry)
	}
	if why := admits(&e.From, &r.Subject); why != "" {
		return Terms{}, refuse(notForYou, "entry %s: %s", e.Name, why)
	}
	if e.To.Role == "" || r.Ask.Target != e.To.Role {
		return Terms{}, refuse(notForYou, "entry %s leads to %q, asked was %q", e.Name, e.To.Role, r.Ask.Target)
	}
	switch {
	case e.BreakGlass:
		return Terms{}, refuse("this entry is for emergencies and is opened in another way", "entry %s is break-glass", e.Name)
	case e.Expires.IsZero():
		return Terms{}, refuse("the registered trust has no end, and is not used without one", "entry %s does not expire", e.Name)
	case e.Expires.Over(now):
		return Terms{}, refuse("the registered trust has expired", "entry %s expired on %s", e.Name, e.Expires)
	case e.Vendor != "" && (f.Vendor == nil || f.Vendor.Name != e.Vendor):
		return Terms{}, refuse("the registered trust names a vendor that is not registered", "entry %s: vendor %q is not in the registry", e.Name, e.Vendor)
	case e.Vendor != "" && f.Vendor.Ended(now):
		return Terms{}, refuse("the vendor's contract has ended", "entry %s: vendor %s ended", e.Name, e.Vendor)
	case strings.TrimSpace(r.Ask.Reason) == "" && r.Ask.Ticket == "":
		return Terms{}, refuse("say why: a reason or a ticket is needed", "entry %s: neither reason nor ticket", e.Name)
	}
	t := Terms{Entry: e.Name, Version: f.Version, Vendor: e.Vendor, NoChaining: e.Session.Chaining != "allow", Tags: maps.Clone(e.Session.Tags), Sessions: DefaultSessions, Chained: !f.Federated}
	if refusal := t.scope(e, &r.Ask); refusal != nil {
		return Terms{}, refusal
	}
	if refusal := fulfils(e, f.Context); refusal != nil {
		return Terms{}, refusal
	}
	if refusal := t.time(e, r, f, now); refusal != nil {
		return Terms{}, refusal
	}
	t.people(e)
	return t, nil
}

// Admits reports whether an entry lets a subject in, whatever else it demands.
func Admits(e *registry.Entry, s *Subject) bool { return admits(&e.From, s) == "" }

// admits is why the subject is none of those whom the entry lets in; "" where it is one.
func admits(from *registry.From, s *Subject) string {
	if o := from.OIDC; o != nil && s.Issuer == o.Issuer {
		if o.Audience != "" && s.Claims["aud"] != o.Audience {
			return fmt.Sprintf("the audience is %q, expected %q", s.Claims["aud"], o.Audience)
		}
		if len(o.Claims) == 0 {
			return "the entry names no claim, which would let in everybody of the issuer"
		}
		for name, pattern := range o.Claims {
			value, ok := s.Claims[name]
			if !ok || !matchWithin(pattern, value) {
				return fmt.Sprintf("the claim %s is %q, expected %q", name, value, pattern)
			}
		}
		return ""
	}
	if s.Name != "" && slices.ContainsFunc(from.Principals, func(p string) bool {
		if s.Person {
			// A person is meant by a person's name alone, whatever their provider lets them call themselves.
			return SamePerson(p, s.Name) && ValidPerson(p) == nil
		}
		return p == s.Name || s.Issuer == "aws" && roleOf(p) != "" && roleOf(p) == roleOf(s.Name)
	}) {
		return ""
	}
	// A whole account is what the entry's owner wrote down; every principal of it that proves itself is one of it.
	if s.Account != "" && (slices.Contains(from.Principals, s.Account) || slices.Contains(from.Principals, arn.AccountRoot(partitionOf(s.Name), s.Account))) {
		return ""
	}
	return fmt.Sprintf("%s is none of those whom it names", s.ID)
}

// ValidPerson is an error where a name is none that a person may have here: one that could be taken for a machine, an account, a group, or the broker itself.
func ValidPerson(name string) error {
	switch {
	case name == "" || len(name) > 200 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) && r != ' ' }):
		return fmt.Errorf("%.40q is no name of a person", name)
	case strings.ContainsAny(name, ":*?") || arn.IsAccountID(name) || strings.EqualFold(name, Clock):
		return fmt.Errorf("%.40q could be taken for something other than a person", name)
	}
	return nil
}

// roleOf is a role's ARN without its path, which the ARN of a session does not have; "" for what is no role. The name is the only one of its account (IAM User Guide, "IAM identifiers").
func roleOf(name string) string {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/") {
		return ""
	}
	a.Resource = "role/" + a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	return a.String()
}

func accountOf(name string) string { return arn.Account(name) }

func partitionOf(name string) string {
	if a, err := arn.Parse(name); err == nil {
		return a.Partition
	}
	return "aws"
}

// matchWithin compares a claim with a pattern whose stars stay within what stands between colons and slashes: repo:acme/*:ref:x does not match repo:acme/web:pull_request:ref:x.
func matchWithin(pattern, value string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == value
	}
	cut := func(s string) []string {
		return strings.FieldsFunc(strings.NewReplacer(":", "\x00:\x00", "/", "\x00/\x00").Replace(s), func(r rune) bool { return r == 0 })
	}
	ps, vs := cut(pattern), cut(value)
	if len(ps) != len(vs) {
		return false
	}
	for i := range ps {
		if !arn.MatchGlob(ps[i], vs[i]) {
			return false
		}
	}
	return true
}

// scope holds what is asked for against what the entry allows: a subset, or refused (8).
func (t *Terms) scope(e *registry.Entry, ask *Ask) *Refusal {
	if len(e.Actions) == 0 || len(e.Resources) == 0 {
		return refuse("the registered trust does not say what may be done, and is not used without", "entry %s has no allow.actions or allow.resources", e.Name)
	}
	t.Actions, t.Resources = sorted(e.Actions), sorted(e.Resources)
	if len(ask.Actions) > 0 {
		if p, ok := within(ask.Actions, e.Actions, strings.ToLower); !ok {
			return refuse(fmt.Sprintf("the action %s is not allowed by the registered trust", p), "entry %s does not allow %s", e.Name, p)
		}
		t.Actions = sorted(ask.Actions)
	}
	if len(ask.Resources) > 0 {
		if p, ok := within(ask.Resources, e.Resources, func(s string) string { return s }); !ok {
			return refuse(fmt.Sprintf("the resource %s is not allowed by the registered trust", p), "entry %s does not allow %s", e.Name, p)
		}
		t.Resources = sorted(ask.Resources)
	}
	return nil
}

// within reports whether each pattern is covered by one of others, else the first that is not.
func within(patterns, others []string, fold func(string) string) (string, bool) {
	for _, p := range patterns {
		if strings.Contains(p, "${") || !slices.ContainsFunc(others, func(o string) bool { return arn.GlobCovers(fold(o), fold(p)) }) {
			return p, false
		}
	}
	return "", true
}

// Meets holds a demand for credentials against the entry, as Judge held the request: who demands them now, with the claims that they have proved now, and what is known of this demand. Two runs of one pipeline are one subject, and
// what one of them was approved for is not the other's if the entry does not let it in.
func Meets(e *registry.Entry, s *Subject, known *cond.Context) *Refusal {
	if why := admits(&e.From, s); why != "" {
		return refuse(notForYou, "entry %s: %s", e.Name, why)
	}
	return fulfils(e, known)
}

// fulfils holds what is known of the request against what the entry demands; what is not known refuses.
func fulfils(e *registry.Entry, known *cond.Context) *Refusal {
	if len(e.Context) == 0 {
		return nil
	}
	ctx := &cond.Context{Parent: known, Rest: cond.Undetermined}
	switch e.Context.Eval(ctx) {
	case cond.True:
		return nil
	case cond.False:
		return refuse("the request does not fulfil the conditions of the registered trust", "entry %s: the context is false; it demands %s", e.Name, e.Context.LeftOver(&cond.Context{Rest: cond.Undetermined}))
	}
	return refuse("the conditions of the registered trust could not be checked for this request", "entry %s: not known whether %s", e.Name, e.Context.LeftOver(ctx))
}

// time finds how long the grant and its sessions may last: the least of all limits (4). More than that was asked for: lowered where the caller agrees, else refused (5).
func (t *Terms) time(e *registry.Entry, r *Request, f *Facts, now time.Time) *Refusal {
	start := r.Ask.Start
	if start.Before(now) {
		start = now
	}
	t.Session, t.LimitedBy = MaxSession, "AWS"
	limit := func(d time.Duration, by string) {
		if d < t.Session {
			t.Session, t.LimitedBy = d, by
		}
	}
	limit(cmp.Or(e.Session.Max, DefaultSession), "the entry")
	limit(cmp.Or(f.TargetMax, time.Hour), "the target role")
	if f.SubjectMax > 0 {
		limit(f.SubjectMax, "the caller's kind")
	}
	if t.Chained {
		limit(ChainedSession, "AWS, for chains of roles")
	}
	t.Life = cmp.Or(r.Ask.Life, max(DefaultLife, t.Session))
	end := e.Expires.AddDate(0, 0, 1)
	by := "the entry's end"
	if v := f.Vendor; e.Vendor != "" && !v.Until.IsZero() && v.Until.AddDate(0, 0, 1).Before(end) {
		end, by = v.Until.AddDate(0, 0, 1), "the vendor's contract"
	}
	if !r.Subject.Ends.IsZero() && r.Subject.Ends.Before(end) {
		end, by = r.Subject.Ends, "the end of the caller's own proof"
	}
	if most := end.Sub(start); t.Life > most {
		if r.Ask.Life > 0 && !r.Ask.Lower {
			return refuse(fmt.Sprintf("%v is longer than is allowed: %v, by %s", r.Ask.Life, most.Truncate(time.Second), by), "entry %s: life %v, at most %v", e.Name, r.Ask.Life, most)
		}
		t.Life = most
	}
	limit(t.Life, "the grant's own life")
	if t.Session < MinSession {
		return refuse(fmt.Sprintf("what is left is shorter than AWS's shortest session of %v: %v, by %s", MinSession, t.Session.Truncate(time.Second), by), "entry %s: %v left", e.Name, t.Session)
	}
	return nil
}

// people says who must approve. An entry that says nothing about approval asks its owner; only one that says that none is required approves by itself.
func (t *Terms) people(e *registry.Entry) {
	t.Approvals, t.Approvers, t.Within, t.Denials = e.Approval.Required, sorted(e.Deciders()), cmp.Or(e.Approval.Within, DefaultWithin), max(e.Approval.Denials, 1)
	if t.Approvals == 0 && !e.Approval.Automatic {
		t.Approvals = 1
	}
}
