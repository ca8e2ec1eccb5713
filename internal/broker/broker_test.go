package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/registry"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const role = "arn:aws:iam::222222222222:role/deploy"

func entry() *registry.Entry {
	return &registry.Entry{
		Name: "ci-deploy", Owner: "platform@example.com",
		From:    registry.From{OIDC: &registry.OIDC{Issuer: "https://token.actions.githubusercontent.com", Audience: "drawbridge", Claims: map[string]string{"repository_id": "4711", "ref": "refs/heads/main"}}},
		To:      registry.To{Role: role},
		Actions: []string{"s3:PutObject", "ecs:Update*"}, Resources: []string{"arn:aws:s3:::artifacts-prod/*", "arn:aws:ecs:eu-west-1:222222222222:service/web/*"},
		Session:  registry.Session{Max: 90 * time.Minute, Tags: map[string]string{"team": "web"}},
		Approval: registry.Approval{Required: 2, Approvers: []string{"group:release", "ann"}, Within: 30 * time.Minute},
		Expires:  registry.Day{Time: time.Date(2027, 3, 31, 0, 0, 0, 0, time.UTC)},
	}
}

func ci() Subject {
	return Subject{ID: "oidc:github:repository_id=4711", Name: "oidc:token.actions.githubusercontent.com:repo:acme/web:ref:refs/heads/main", Issuer: "https://token.actions.githubusercontent.com",
		Claims: map[string]string{"aud": "drawbridge", "repository_id": "4711", "ref": "refs/heads/main"}, Sponsors: []string{"bob"}}
}

func request() *Request {
	return &Request{ID: "req-1", Subject: ci(), Ask: Ask{Entry: "ci-deploy", Target: role, Reason: "release 7"}, Filed: noon}
}

func facts() *Facts {
	return &Facts{Version: "v1", TargetMax: 12 * time.Hour, Federated: true, Context: &cond.Context{}}
}

// TestJudge: each case changes one thing of a request that is answered.
func TestJudge(t *testing.T) {
	if terms, refusal := Judge(entry(), request(), facts(), noon); refusal != nil {
		t.Fatalf("the request itself: %v (%s)", refusal, refusal.Detail)
	} else if terms.Session != 90*time.Minute || terms.LimitedBy != "the entry" || terms.Approvals != 2 {
		t.Fatalf("terms %+v", terms)
	}
	type world struct {
		e *registry.Entry
		r *Request
		f *Facts
		n time.Time
	}
	tests := []struct {
		name  string
		spoil func(*world)
		want  string // part of the refusal, "" for none
	}{
		{"another audience", func(w *world) { w.r.Subject.Claims["aud"] = "sts.amazonaws.com" }, notForYou},
		{"no audience", func(w *world) { delete(w.r.Subject.Claims, "aud") }, notForYou},
		{"another repository of the same name", func(w *world) { w.r.Subject.Claims["repository_id"] = "4712" }, notForYou},
		{"another issuer", func(w *world) { w.r.Subject.Issuer += "/" }, notForYou},
		{"a pull request", func(w *world) { w.r.Subject.Claims["ref"] = "refs/pull/1/merge" }, notForYou},
		{"a missing claim", func(w *world) { delete(w.r.Subject.Claims, "ref") }, notForYou},
		{"an entry without claims", func(w *world) { w.e.From.OIDC.Claims = nil }, notForYou},
		{"another entry", func(w *world) { w.r.Ask.Entry = "admin" }, notForYou},
		{"no entry", func(w *world) { w.e = nil }, notForYou},
		{"another role", func(w *world) { w.r.Ask.Target = "arn:aws:iam::222222222222:role/admin" }, notForYou},
		{"the role in capitals", func(w *world) { w.r.Ask.Target = strings.ToUpper(role) }, notForYou},
		{"the role with a path", func(w *world) { w.r.Ask.Target = "arn:aws:iam::222222222222:role/x/deploy" }, notForYou},
		{"the role in another partition", func(w *world) { w.r.Ask.Target = strings.Replace(role, "arn:aws:", "arn:aws-cn:", 1) }, notForYou},
		{"an expired entry", func(w *world) { w.n = time.Date(2027, 4, 1, 0, 0, 0, 0, time.UTC) }, "expired"},
		{"an entry without end", func(w *world) { w.e.Expires = registry.Day{} }, "no end"},
		{"break-glass", func(w *world) { w.e.BreakGlass = true }, "emergencies"},
		{"an unknown vendor", func(w *world) { w.e.Vendor = "watchtower" }, "vendor"},
		{"a vendor that left", func(w *world) {
			w.e.Vendor, w.f.Vendor = "watchtower", &registry.Vendor{Name: "watchtower", Status: "ended"}
		}, "contract"},
		{"a vendor", func(w *world) { w.e.Vendor, w.f.Vendor = "watchtower", &registry.Vendor{Name: "watchtower"} }, ""},
		{"no reason", func(w *world) { w.r.Ask.Reason = " " }, "say why"},
		{"a ticket", func(w *world) { w.r.Ask.Reason, w.r.Ask.Ticket = "", "SEC-1" }, ""},
		{"an action of its own", func(w *world) { w.r.Ask.Actions = []string{"s3:DeleteObject"} }, "s3:DeleteObject"},
		{"a wider action", func(w *world) { w.r.Ask.Actions = []string{"s3:Put*"} }, "s3:Put*"},
		{"a narrower action", func(w *world) { w.r.Ask.Actions = []string{"ECS:UpdateService"} }, ""},
		{"a wider resource", func(w *world) { w.r.Ask.Resources = []string{"arn:aws:s3:::*"} }, "arn:aws:s3:::*"},
		{"a variable", func(w *world) { w.r.Ask.Resources = []string{"arn:aws:s3:::artifacts-prod/${aws:username}"} }, "${aws:username}"},
		{"an entry that allows nothing", func(w *world) { w.e.Actions = nil }, "what may be done"},
		{"a longer life", func(w *world) { w.r.Ask.Life = 365 * 24 * time.Hour }, "longer"},
		{"a longer life, lowered", func(w *world) { w.r.Ask.Life, w.r.Ask.Lower = 365*24*time.Hour, true }, ""},
		{"just before the end", func(w *world) { w.n = time.Date(2027, 3, 31, 23, 50, 0, 0, time.UTC) }, "shortest session"},
		{"a context that holds", func(w *world) {
			w.e.Context = cond.Block{cond.CompileTest("IpAddress", "aws:SourceIp", []string{"198.51.100.0/24"}, true)}
			w.f.Context.Set("aws:SourceIp", "198.51.100.7")
		}, ""},
		{"a context that does not hold", func(w *world) {
			w.e.Context = cond.Block{cond.CompileTest("IpAddress", "aws:SourceIp", []string{"198.51.100.0/24"}, true)}
			w.f.Context.Set("aws:SourceIp", "203.0.113.7")
		}, "does not fulfil"},
		{"a context that is not known", func(w *world) {
			w.e.Context = cond.Block{cond.CompileTest("IpAddress", "aws:SourceIp", []string{"198.51.100.0/24"}, true)}
		}, "could not be checked"},
		{"a negated context that is not known", func(w *world) {
			w.e.Context = cond.Block{cond.CompileTest("StringNotEquals", "aws:SourceVpc", []string{"vpc-1"}, true)}
		}, "could not be checked"},
		{"an operator of next year", func(w *world) {
			w.e.Context = cond.Block{cond.CompileTest("StringEqualsSomeday", "aws:SourceIp", []string{"x"}, true)}
			w.f.Context.Set("aws:SourceIp", "x")
		}, "could not be checked"},
		{"no context at all", func(w *world) {
			w.e.Context = cond.Block{cond.CompileTest("IpAddress", "aws:SourceIp", []string{"198.51.100.0/24"}, true)}
			w.f.Context = nil
		}, "could not be checked"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := &world{entry(), request(), facts(), noon}
			tt.spoil(w)
			terms, refusal := Judge(w.e, w.r, w.f, w.n)
			switch {
			case tt.want == "" && refusal != nil:
				t.Errorf("refused: %v (%s)", refusal, refusal.Detail)
			case tt.want != "" && (refusal == nil || !strings.Contains(refusal.Why, tt.want)):
				t.Errorf("refusal %+v, terms %+v; want a refusal with %q", refusal, terms, tt.want)
			case refusal != nil && terms.Entry != "":
				t.Errorf("a refusal with terms %+v", terms)
			}
			if refusal != nil && tt.want == notForYou && strings.ContainsAny(refusal.Why, "0123456789") {
				t.Errorf("the refusal tells more than what was asked: %s", refusal.Why)
			}
		})
	}
}

func TestWithin(t *testing.T) {
	for _, tt := range []struct {
		pattern, value string
		want           bool
	}{
		{"repo:acme/*:ref:refs/heads/main", "repo:acme/web:ref:refs/heads/main", true},
		{"repo:acme/*:ref:refs/heads/main", "repo:acme/web:pull_request:ref:refs/heads/main", false},
		{"repo:acme/*", "repo:acme/web:pull_request", false},
		{"repo:acme/*", "repo:acme/web/x", false},
		{"refs/heads/release-*", "refs/heads/release-7", true},
		{"refs/heads/*", "refs/heads/a/b", false},
		{"*", "a", true},
		{"*", "a:b", false},
		{"a*", "a", true},
		{"a/*", "a/", false}, // nothing is not something
		{"main", "Main", false},
	} {
		if got := matchWithin(tt.pattern, tt.value); got != tt.want {
			t.Errorf("%q matches %q: %v", tt.pattern, tt.value, got)
		}
	}
}

// TestSessionCaps (4): the least of all limits, and what it was.
func TestSessionCaps(t *testing.T) {
	for _, tt := range []struct {
		name  string
		set   func(*registry.Entry, *Request, *Facts)
		want  time.Duration
		wants string
	}{
		{"the entry", func(e *registry.Entry, r *Request, f *Facts) {}, 90 * time.Minute, "the entry"},
		{"the entry says nothing", func(e *registry.Entry, r *Request, f *Facts) { e.Session.Max = 0 }, time.Hour, "the entry"},
		{"the role", func(e *registry.Entry, r *Request, f *Facts) { f.TargetMax = time.Hour }, time.Hour, "the target role"},
		{"an unknown role", func(e *registry.Entry, r *Request, f *Facts) { f.TargetMax = 0 }, time.Hour, "the target role"},
		{"a chain from the broker's own role", func(e *registry.Entry, r *Request, f *Facts) { f.Federated, f.TargetMax = false, 12*time.Hour }, time.Hour, "AWS, for chains of roles"},
		{"a session that federates", func(e *registry.Entry, r *Request, f *Facts) { r.Subject.Session = true }, 90 * time.Minute, "the entry"},
		{"the caller's kind", func(e *registry.Entry, r *Request, f *Facts) { f.SubjectMax = 20 * time.Minute }, 20 * time.Minute, "the caller's kind"},
		{"the caller's kind has more", func(e *registry.Entry, r *Request, f *Facts) { f.SubjectMax = 3 * time.Hour }, 90 * time.Minute, "the entry"},
		{"the contract", func(e *registry.Entry, r *Request, f *Facts) {
			e.Vendor, f.Vendor = "w", &registry.Vendor{Name: "w", Until: registry.Day{Time: noon.Truncate(24 * time.Hour)}}
			r.Ask.Start = noon.Add(11*time.Hour + 30*time.Minute)
		}, 30 * time.Minute, "the grant's own life"},
		{"the proof", func(e *registry.Entry, r *Request, f *Facts) { r.Subject.Ends = noon.Add(20 * time.Minute) }, 20 * time.Minute, "the grant's own life"},
		{"asked for less", func(e *registry.Entry, r *Request, f *Facts) { r.Ask.Life = 30 * time.Minute }, 30 * time.Minute, "the grant's own life"},
		{"twelve hours", func(e *registry.Entry, r *Request, f *Facts) { e.Session.Max = 20 * time.Hour }, 12 * time.Hour, "AWS"},
	} {
		e, r, f := entry(), request(), facts()
		tt.set(e, r, f)
		terms, refusal := Judge(e, r, f, noon)
		if refusal != nil || terms.Session != tt.want || terms.LimitedBy != tt.wants {
			t.Errorf("%s: %v by %q, refusal %v; want %v by %q", tt.name, terms.Session, terms.LimitedBy, refusal, tt.want, tt.wants)
		}
	}
}

// TestTable: every line of the table can be gone, every state but the last ones is left, and no line is there twice.
func TestTable(t *testing.T) {
	seen := make(map[string]bool)
	reached := map[State]bool{None: true}
	for _, line := range Transitions {
		key := fmt.Sprint(line.From, line.On)
		if seen[key] {
			t.Errorf("%s on %q comes twice", line.From, line.On)
		}
		seen[key] = true
		reached[line.To] = true
		if line.From.Terminal() {
			t.Errorf("%s is terminal and leads to %s", line.From, line.To)
		}
		if line.From.Fenced() && !line.To.Fenced() {
			t.Errorf("%s is fenced and leads to %s (26)", line.From, line.To)
		}
	}
	for s := None; int(s) < len(stateNames); s++ {
		if !reached[s] {
			t.Errorf("nothing leads to %s", s)
		}
		if back, err := StateOf(s.String()); err != nil || back != s {
			t.Errorf("%s is read as %v, %v", s, back, err)
		}
	}
}

func TestSessionPolicy(t *testing.T) {
	// A session that may do everything does nothing to its own role, by which it could lift the deny that cuts it, and goes nowhere else with other credentials (8).
	text, err := SessionPolicy(&Terms{Actions: []string{"*"}, Resources: []string{"*"}, NoChaining: true}, role)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Statement []struct {
			Effect           string
			Action, Resource []string
		}
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	for action, resource := range map[string]string{
		"iam:AttachRolePolicy": role, "iam:DeleteRole": role, "iam:DeleteRolePermissionsBoundary": role, "iam:DeleteRolePolicy": role, "iam:DetachRolePolicy": role, "iam:PassRole": role, "iam:PutRolePermissionsBoundary": role,
		"iam:PutRolePolicy": role, "iam:TagRole": role, "iam:UntagRole": role, "iam:UpdateAssumeRolePolicy": role, "iam:UpdateRole": role, "iam:UpdateRoleDescription": role,
		"sts:AssumeRole": "arn:aws:iam::333333333333:role/other", "sts:AssumeRoot": "arn:aws:iam::333333333333:root", "sts:GetFederationToken": "x", "sts:GetSessionToken": "x", "sts:GetWebIdentityToken": "x",
	} {
		denied := false
		for _, s := range doc.Statement {
			matches := func(list []string, name string) bool {
				return slices.ContainsFunc(list, func(p string) bool { return arn.MatchGlob(strings.ToLower(p), strings.ToLower(name)) })
			}
			denied = denied || s.Effect == "Deny" && matches(s.Action, action) && matches(s.Resource, resource)
		}
		if !denied {
			t.Errorf("a session may %s on %s: %s", action, resource, text)
		}
	}
	long := &Terms{Actions: []string{"s3:GetObject"}}
	for i := range 60 {
		long.Resources = append(long.Resources, fmt.Sprintf("arn:aws:s3:::a-bucket-with-a-long-name-%d/*", i))
	}
	if _, err := SessionPolicy(long, role); !errors.Is(err, ErrPolicyTooLarge) {
		t.Errorf("error %v, want ErrPolicyTooLarge", err)
	}
}

// world is what the random test does things to: one grant, its people, and AWS as it really is.
type world struct {
	t      *rapid.T
	g      *Grant
	now    time.Time
	latest time.Time        // the furthest that now ever was
	asked  map[string]Order // sessions that AWS was asked for and whose outcome is open
	given  map[string]bool  // sessions whose credentials somebody has
	walked map[Transition]bool
	fenced bool
	n      int
	locks  []Lock
}

// onlyDeniesRemoved reports whether all that changed is that a deny of no more use is gone, or could not be removed.
func onlyDeniesRemoved(old, n *Grant) bool {
	a, b := *old, *n
	a.Version, b.Version, a.Effects, b.Effects = 0, 0, slices.Clone(old.Effects), slices.Clone(n.Effects)
	for _, list := range [][]Effect{a.Effects, b.Effects} {
		for i := range list {
			list[i].Removed, list[i].Lifts, list[i].Left, list[i].Next = time.Time{}, 0, false, time.Time{}
		}
	}
	return reflect.DeepEqual(a, b)
}

var people = []Reviewer{{ID: "ann"}, {ID: "bob", Groups: []string{"release"}}, {ID: "cat", Groups: []string{"release"}}, {ID: "dan", Groups: []string{"release", "ops"}}, {ID: "eve"}, {ID: "oidc:github:repository_id=4711", Groups: []string{"release"}}}

// apply checks what must hold of every change, and makes it.
func (w *world) apply(c *Change) {
	old := w.g
	n := c.Grant
	switch {
	case n.Version != old.Version+1:
		w.t.Fatalf("version %d after %d", n.Version, old.Version)
	case len(c.Events) == 0:
		w.t.Fatalf("a change without a record (41): %s → %s", old.State, n.State)
	case old.State.Terminal() && !onlyDeniesRemoved(old, &n):
		w.t.Fatalf("%s is terminal and was changed (18)", old.State)
	case old.State.Fenced() && !n.State.Fenced():
		w.t.Fatalf("%s → %s (26)", old.State, n.State)
	case !old.NotAfter.IsZero() && n.NotAfter.After(old.NotAfter):
		w.t.Fatalf("the end moved from %v to %v", old.NotAfter, n.NotAfter)
	}
	if n.State == Active && old.State != Active && old.State != Approved && old.State != None {
		// through Approved in one step: a quorum must be there
		yes := make(map[string]bool)
		for _, d := range n.Decisions {
			if d.Approve && d.Hash == n.Hash {
				yes[d.By] = true
			}
		}
		if len(yes) < n.Approvals || yes["bob"] || yes["eve"] || yes[n.Subject.ID] {
			w.t.Fatalf("approved by %v (15, 16, 17)", yes)
		}
	}
	if n.State.Fenced() && !w.fenced {
		w.fenced = true
		for i := range n.Sessions {
			if s := &n.Sessions[i]; s.live(w.now) && !n.covered(s) {
				w.t.Fatalf("session %s is live and not covered by an effect (27)", s.ID)
			}
		}
	}
	if n.State == Revoked {
		for id := range w.given {
			for i := range n.Sessions {
				s := &n.Sessions[i]
				if s.ID == id && w.now.Before(s.NotAfter) && !n.cut(w.now) {
					w.t.Fatalf("revoked, and session %s is not shown to be cut (28)", id)
				}
			}
		}
	}
	for i := range n.Effects {
		// A deny is there as long as anything that it cuts may live, and for a while after (31).
		if e := &n.Effects[i]; !e.Removed.IsZero() && (i >= len(old.Effects) || old.Effects[i].Removed.IsZero()) {
			for j := range n.Sessions {
				if s := &n.Sessions[j]; n.source(s.Generation) == e.Source && s.State != Failed && w.now.Before(s.NotAfter.Add(Linger)) {
					w.t.Fatalf("the deny of %s was removed at %v, session %s ends at %v (31)", e.Source, w.now, s.ID, s.NotAfter)
				}
			}
		}
	}
	live := 0
	for i := range n.Sessions {
		s := &n.Sessions[i]
		if s.live(w.now) && s.Overtaken.IsZero() {
			live++
		}
		if s.NotAfter.After(n.NotAfter) || s.NotAfter.Sub(s.Intended) > n.Terms.Session {
			w.t.Fatalf("session %s ends at %v, the grant at %v (4)", s.ID, s.NotAfter, n.NotAfter)
		}
	}
	if live > n.Terms.Sessions {
		w.t.Fatalf("%d live sessions (6)", live)
	}
	if c.Permit != nil {
		if w.fenced || n.State != Active || w.now.Before(n.NotBefore) || !w.now.Before(n.NotAfter) {
			w.t.Fatalf("a permit in state %s at %v (3, 25)", n.State, w.now)
		}
		if !slices.ContainsFunc(c.Events, func(l Logged) bool { _, ok := l.Event.(SessionIntended); return ok }) {
			w.t.Fatal("a permit without a recorded intent (2)")
		}
		order, err := c.Permit.Take()
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := c.Permit.Take(); err == nil {
			w.t.Fatal("a permit was taken twice")
		}
		if !strings.HasPrefix(order.SourceIdentity, n.ID+".") || order.Role != role {
			w.t.Fatalf("order %+v (10, 12)", order)
		}
		if order.Tags[EntryTag] != "ci-deploy" || order.Tags["team"] != "web" || len(order.Tags) != 2 {
			w.t.Fatalf("tags %v", order.Tags)
		}
		for i := range n.Effects {
			if n.Effects[i].Source == order.SourceIdentity {
				w.t.Fatalf("a new session has a source identity that effect %s cuts", n.Effects[i].ID)
			}
		}
		w.asked[order.Session] = order
	}
	for _, line := range c.moves {
		w.walked[line] = true
	}
	w.g = &n
}

// TestRandom does random things to a grant, some of them at wrong times and by wrong people, and holds every change against the invariants.
func TestRandom(t *testing.T) {
	walked := make(map[Transition]bool)
	for range 20 { // a hundred walks leave out a line now and then
		rapid.Check(t, func(t *rapid.T) { walk(t, walked) })
	}
	for _, line := range Transitions {
		if !walked[line] && line != (Transition{None, Refused, Denied}) && line.From != Stuck && line.To != Stuck {
			t.Errorf("no walk went from %s on %q to %s: what it does was not tested", line.From, line.On, line.To)
		}
	}
}

func walk(t *rapid.T, walked map[Transition]bool) {
	e := entry()
	e.Vendor = "watchtower"
	e.Approval.Required = rapid.IntRange(1, 2).Draw(t, "required")
	if rapid.IntRange(0, 4).Draw(t, "automatic") == 0 {
		e.Approval = registry.Approval{Automatic: true, Approvers: []string{"group:release"}}
	}
	r := request()
	r.Subject.Key = "k1"
	f := facts()
	f.Vendor = &registry.Vendor{Name: "watchtower"}
	if rapid.Bool().Draw(t, "later") {
		r.Ask.Start = noon.Add(time.Hour)
	}
	if rapid.Bool().Draw(t, "long") {
		r.Ask.Life = 72 * time.Hour
	}
	terms, refusal := Judge(e, r, f, noon)
	w := &world{t: t, g: &Grant{}, now: noon, latest: noon, asked: make(map[string]Order), given: make(map[string]bool), walked: walked}
	w.apply(File(*r, terms, refusal, noon))
	try := func(c *Change, err error) {
		if err != nil {
			if c != nil {
				t.Fatalf("a change beside the error %v", err)
			}
			return
		}
		if c != nil {
			w.apply(c)
		}
	}
	actions := map[string]func(*rapid.T){
		"decide": func(t *rapid.T) {
			hash := w.g.Hash
			if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
				hash = "another"
			}
			by := rapid.SampledFrom(people).Draw(t, "who")
			others := make(map[string]Reviewer)
			for _, p := range people {
				if rapid.IntRange(0, 9).Draw(t, "left") > 0 {
					others[p.ID] = p
				}
			}
			c, err := Decide(w.g, by, rapid.IntRange(0, 5).Draw(t, "yes") > 0, hash, "", others, w.now)
			if err == nil && (by.ID == "bob" || by.ID == "eve" || by.ID == w.g.Subject.ID || hash != w.g.Hash) {
				t.Fatalf("%s decided about %s (15, 16, 19)", by.ID, hash)
			}
			try(c, err)
		},
		"withdraw": func(t *rapid.T) {
			if rapid.IntRange(0, 5).Draw(t, "really") == 0 {
				try(Withdraw(w.g, rapid.SampledFrom([]string{ci().ID, "eve"}).Draw(t, "by"), w.now))
			}
		},
		"amend": func(t *rapid.T) {
			ask := w.g.Ask
			ask.Actions = []string{"s3:PutObject"}
			ask.Reason += "."
			r := w.g.Request
			r.Ask = ask
			terms, refusal := Judge(e, &r, f, w.now)
			if refusal == nil && rapid.IntRange(0, 3).Draw(t, "really") == 0 {
				before := w.g.Hash
				c, err := Amend(w.g, ci().ID, ask, terms, w.now)
				if err == nil && c.Grant.Hash == before {
					t.Fatal("a changed request has the hash that it had (19)")
				}
				try(c, err)
			}
		},
		"issue": func(t *rapid.T) {
			w.n++
			s := ci()
			s.Key = "k1"
			if rapid.IntRange(0, 9).Draw(t, "other") == 0 {
				s.ID = "eve"
			}
			a, err := Issue(w.g, &s, Demand{ID: fmt.Sprint("s", w.n), Life: rapid.SampledFrom([]time.Duration{0, 20 * time.Minute, 24 * time.Hour}).Draw(t, "life"), Lower: rapid.Bool().Draw(t, "lower"),
				Held: func(id string) bool { return w.given[id] }}, w.locks, w.now)
			if err != nil {
				return
			}
			if s.ID == "eve" {
				t.Fatal("issued to somebody else")
			}
			if len(w.locks) > 0 {
				t.Fatal("issued under a lock (34)")
			}
			if a.Again != nil {
				if !w.given[a.Again.ID] || !a.Again.live(w.now) || w.g.State.Fenced() || !a.Again.Overtaken.IsZero() {
					t.Fatalf("session %s was given again", a.Again.ID)
				}
				return
			}
			w.apply(a.Change)
		},
		"settle": func(t *rapid.T) {
			var open []string
			for id := range w.asked {
				open = append(open, id)
			}
			if len(open) == 0 {
				return
			}
			slices.Sort(open)
			id := rapid.SampledFrom(open).Draw(t, "session")
			state := rapid.SampledFrom([]SessionState{Issued, Issued, Failed, Unclear}).Draw(t, "outcome")
			c, deliver, err := Settle(w.g, id, Outcome{State: state, AccessKeyID: "ASIA", NotAfter: w.now.Add(24 * time.Hour)}, w.now)
			if w.g.State.Terminal() {
				return // over for all
			}
			if errors.Is(err, ErrNotFound) { // it was over for an hour
				delete(w.asked, id)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if state != Unclear {
				delete(w.asked, id)
			}
			w.apply(c)
			if deliver {
				if w.g.State != Active {
					t.Fatalf("credentials were given out in state %s (25)", w.g.State)
				}
				w.given[id] = true
			}
		},
		"revoke": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				try(Revoke(w.g, "ops", "incident", w.now))
			}
		},
		"lock": func(t *rapid.T) {
			w.locks = nil
			if rapid.IntRange(0, 3).Draw(t, "really") == 0 {
				kind := rapid.SampledFrom(LockKinds).Draw(t, "kind")
				w.locks = []Lock{{ID: "l", Kind: kind, Value: map[LockKind]string{LockSubject: ci().ID, LockRole: role, LockAccount: "222222222222", LockVendor: "watchtower", LockIssuer: ci().Issuer, LockKey: "k1"}[kind], Expires: w.now.Add(720 * time.Hour)}}
			}
		},
		"suspend": func(t *rapid.T) {
			if rapid.IntRange(0, 4).Draw(t, "really") == 0 {
				try(Suspend(w.g, "signals", "risk", w.now))
			}
		},
		"effect": func(t *rapid.T) {
			if len(w.g.Effects) == 0 || w.g.State.Terminal() {
				return
			}
			e := rapid.SampledFrom(w.g.Effects).Draw(t, "effect")
			var failure error
			if rapid.IntRange(0, 2).Draw(t, "fails") > 0 {
				failure = errors.New("AWS said no")
			}
			var carried Carried
			if carried.At = w.now; rapid.IntRange(0, 3).Draw(t, "no room") == 0 {
				carried.Older = w.now
			}
			try(Attempt(w.g, e.ID, carried, failure, w.now))
		},
		"lift": func(t *rapid.T) {
			if len(w.g.Effects) == 0 {
				return
			}
			e := rapid.SampledFrom(w.g.Effects).Draw(t, "effect")
			var failure error
			if rapid.IntRange(0, 2).Draw(t, "fails") == 0 {
				failure = errors.New("AWS said no")
			}
			try(Lift(w.g, e.ID, failure, w.now))
		},
		"press": func(t *rapid.T) {
			why := "it does not succeed"
			switch rapid.IntRange(0, 5).Draw(t, "how") {
			case 0:
				c, err := Isolate(w.g, "ops", why, w.now)
				if err == nil && (c.Grant.State.Terminal() || len(c.Effects) == 0) {
					t.Fatalf("a quarantine of a grant that is %s, by %d effects", c.Grant.State, len(c.Effects))
				}
				try(c, err)
			case 1:
				try(Retry(w.g, "ops", why, w.now))
			case 2:
				try(Acknowledge(w.g, "ops", why, w.now))
			}
		},
		"overtake": func(t *rapid.T) {
			if w.g.State.Terminal() || rapid.IntRange(0, 4).Draw(t, "really") > 0 {
				return
			}
			try(Overtake(w.g, "another-0", w.now.Add(time.Second), w.now), nil)
		},
		"time": func(t *rapid.T) {
			w.now = w.now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 6 * time.Minute, 40 * time.Minute, 5 * time.Hour, 30 * time.Hour}).Draw(t, "step"))
			if c := Tick(w.g, w.now); c != nil {
				w.apply(c)
			}
		},
	}
	names := slices.Sorted(maps.Keys(actions))
	for range 150 {
		actions[rapid.SampledFrom(names).Draw(t, "action")](t)
	}
}

// TestStuck: an effect that AWS refuses for ever leaves the grant fenced and visible, and a late success ends it (32).
func TestStuck(t *testing.T) {
	e := entry()
	e.Approval = registry.Approval{Automatic: true}
	terms, refusal := Judge(e, request(), facts(), noon)
	c := File(*request(), terms, refusal, noon)
	s := ci()
	a, err := Issue(&c.Grant, &s, Demand{ID: "s1"}, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	g := a.Change.Grant
	if c, err = Revoke(&g, "ops", "incident", noon); err != nil {
		t.Fatal(err)
	}
	g = c.Grant
	if len(c.Effects) != 1 || g.State != Revoking || g.FencedAt != noon {
		t.Fatalf("effects %+v, state %s: AWS may have answered the intent", c.Effects, g.State)
	}
	now := noon
	for i := range MaxAttempts {
		now = now.Add(time.Minute)
		if c, err = Attempt(&g, g.Effects[0].ID, Carried{}, errors.New("AccessDenied"), now); err != nil {
			t.Fatal(err)
		}
		g = c.Grant
		if want := map[bool]State{true: Stuck, false: Revoking}[i == MaxAttempts-1]; g.State != want {
			t.Fatalf("attempt %d: %s, want %s", i+1, g.State, want)
		}
	}
	// AWS gave the credentials after all: they are not given out.
	if c, deliver, err := Settle(&g, "s1", Outcome{State: Issued, AccessKeyID: "ASIA"}, now); err != nil || deliver {
		t.Fatalf("deliver %v, error %v", deliver, err)
	} else {
		g = c.Grant
	}
	if c, err = Attempt(&g, g.Effects[0].ID, Carried{At: now}, nil, now); err != nil || c.Grant.State != Stuck {
		t.Fatalf("written is not effective: %s, %v", c.Grant.State, err)
	}
	if again, err := Attempt(&c.Grant, g.Effects[0].ID, Carried{At: now}, nil, now); again != nil || err != nil {
		t.Errorf("done again: %+v, %v (29)", again, err)
	}
	if c = Tick(&c.Grant, now.Add(Propagation)); c == nil || c.Grant.State != Revoked {
		t.Fatalf("after %v: %+v", Propagation, c)
	}
}

// TestQuarantine: what a role does not take is cut by the organisation's policy, and neither pages anybody nor keeps the grant from ending; what nothing takes is told until somebody looks after it.
func TestQuarantine(t *testing.T) {
	e := entry()
	e.Approval, e.Session.Max = registry.Approval{Automatic: true}, 6*time.Hour
	terms, _ := Judge(e, request(), facts(), noon)
	c := File(*request(), terms, nil, noon)
	s := ci()
	a, err := Issue(&c.Grant, &s, Demand{ID: "s1"}, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	g := a.Change.Grant
	if _, err := Isolate(&g, "ops", "x", noon); !errors.Is(err, ErrNotInForce) {
		t.Errorf("what is not being taken back: %v", err)
	}
	if c, err = Revoke(&g, "ops", "incident", noon); err != nil {
		t.Fatal(err)
	}
	g = c.Grant
	now := noon
	told := func(c *Change) bool {
		return slices.ContainsFunc(c.Events, func(l Logged) bool { f, ok := l.Event.(EffectFailed); return ok && f.Stuck })
	}
	fail := func(effect int) bool {
		t.Helper()
		now = now.Add(time.Second)
		c, err := Attempt(&g, g.Effects[effect].ID, Carried{}, errors.New("AccessDenied"), now)
		if err != nil {
			t.Fatal(err)
		}
		g = c.Grant
		return told(c)
	}
	for range QuarantineAfter - 1 {
		fail(0)
	}
	if g.needsQuarantine(&g.Effects[0], now) {
		t.Error("a role that refuses for a moment needs no quarantine")
	}
	fail(0)
	if !g.needsQuarantine(&g.Effects[0], now) {
		t.Error("a role that does not take the deny needs a quarantine")
	}
	if c, err = Isolate(&g, Clock, "x", now); err != nil || len(c.Effects) != 1 || c.Effects[0].Kind != Quarantine || c.Effects[0].Source != g.Effects[0].Source || !c.Effects[0].Until.Equal(g.Effects[0].Until) {
		t.Fatalf("%+v, %v", c, err)
	}
	g = c.Grant
	if _, err := Isolate(&g, "ops", "x", now); !errors.Is(err, ErrNotInForce) {
		t.Errorf("twice: %v", err)
	}
	asked := g // for the case that the organisation refuses too
	if c, err = Attempt(&g, g.Effects[1].ID, Carried{At: now}, nil, now); err != nil {
		t.Fatal(err)
	}
	g = c.Grant
	for range 2 * MaxAttempts {
		if fail(0) || g.State != Revoking {
			t.Fatalf("somebody was told of what the organisation's policy cuts; the grant is %s", g.State)
		}
	}
	now = noon.Add(Propagation + time.Minute)
	if c = Tick(&g, now); c == nil || c.Grant.State != Revoked {
		t.Fatalf("%+v", c)
	}
	g = c.Grant
	now = g.Effects[1].Until.Add(Linger)
	if at := g.spent(&g.Effects[1]); at.IsZero() || at.After(now) {
		t.Errorf("the quarantine is to be lifted at %v", at)
	}
	if c, err = Lift(&g, g.Effects[1].ID, nil, now); err != nil || c.Grant.Effects[1].Removed.IsZero() {
		t.Errorf("lifted: %+v, %v", c, err)
	}

	// Nothing takes it.
	g, now = asked, noon
	for range MaxAttempts - 1 {
		fail(1)
	}
	if _, err := Acknowledge(&g, "ops", "x", now); !errors.Is(err, ErrNotInForce) {
		t.Errorf("nothing is stuck yet: %v", err)
	}
	if !fail(1) || g.State != Stuck {
		t.Fatalf("nobody was told, the grant is %s", g.State)
	}
	if c, err = Retry(&g, "ops", "try", now); err != nil || !c.Grant.Effects[1].Next.Equal(now) || len(c.Effects) != 2 {
		t.Fatalf("%+v, %v", c, err)
	}
	g = c.Grant
	now = now.Add(PageEvery)
	if !fail(1) {
		t.Error("an hour later nobody was told")
	}
	if c, err = Acknowledge(&g, "ops", "the account is being closed", now); err != nil || c.Grant.Effects[1].Acknowledged.IsZero() || !c.Grant.Effects[0].Acknowledged.IsZero() {
		t.Fatalf("%+v, %v", c, err)
	}
	g = c.Grant
	now = now.Add(PageEvery)
	if fail(1) || g.State != Stuck {
		t.Errorf("told after somebody took it on; the grant is %s", g.State)
	}
}

// TestDenyEnds: a deny is removed when nothing is left that it cuts, after the grant itself has ended; what cannot be removed is told and left in the end.
func TestDenyEnds(t *testing.T) {
	e := entry()
	e.Approval = registry.Approval{Automatic: true}
	terms, _ := Judge(e, request(), facts(), noon)
	g := File(*request(), terms, nil, noon).Grant
	s := ci()
	a, err := Issue(&g, &s, Demand{ID: "s1"}, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Revoke(&a.Change.Grant, "ops", "incident", noon.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if c, err = Attempt(&c.Grant, c.Grant.Effects[0].ID, Carried{At: noon.Add(time.Minute)}, nil, noon.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	g = Tick(&c.Grant, noon.Add(10*time.Minute)).Grant
	end := noon.Add(90*time.Minute + Linger)
	if g.State != Revoked || !g.Wake().Equal(end) {
		t.Fatalf("%s, wakes at %v, want %v", g.State, g.Wake(), end)
	}
	if c, err := Lift(&g, g.Effects[0].ID, nil, end.Add(-time.Second)); c != nil || err != nil {
		t.Fatalf("removed too early: %+v, %v", c, err)
	}
	done, err := Lift(&g, g.Effects[0].ID, nil, end)
	if err != nil || !done.Grant.Effects[0].Removed.Equal(end) || !done.Grant.Wake().IsZero() {
		t.Fatalf("%+v, %v", done, err)
	}
	if c, err := Lift(&done.Grant, g.Effects[0].ID, nil, end); c != nil || err != nil {
		t.Errorf("removed twice: %+v, %v", c, err)
	}
	now := end
	for i := range maxLifts {
		if c, err = Lift(&g, g.Effects[0].ID, errors.New("AccessDenied"), now); err != nil || c == nil {
			t.Fatalf("attempt %d at %v: %+v, %v", i, now, c, err)
		}
		g = c.Grant
		if now = g.Wake(); now.IsZero() != (i == maxLifts-1) {
			t.Fatalf("attempt %d: wakes at %v", i, now)
		}
	}
	if !g.Effects[0].Left || now.Sub(end) > 60*24*time.Hour {
		t.Errorf("%+v", g.Effects[0])
	}
}

// TestOvertaken: a session that was cut for another grant's sake is not handed out again, and a new one is issued.
func TestOvertaken(t *testing.T) {
	e := entry()
	e.Approval = registry.Approval{Automatic: true}
	terms, _ := Judge(e, request(), facts(), noon)
	terms.Sessions = 1
	g := File(*request(), terms, nil, noon).Grant
	s := ci()
	held := func(string) bool { return true }
	a, err := Issue(&g, &s, Demand{ID: "s1", Held: held}, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := Settle(&a.Change.Grant, "s1", Outcome{State: Issued, AccessKeyID: "ASIA"}, noon)
	if err != nil {
		t.Fatal(err)
	}
	g = c.Grant
	if c := Overtake(&g, "r-9-0", noon, noon); c != nil {
		t.Errorf("a session that is not older: %+v", c.Events)
	}
	g = Overtake(&g, "r-9-0", noon.Add(time.Minute), noon.Add(time.Minute)).Grant
	if c := Overtake(&g, "r-9-0", noon.Add(2*time.Minute), noon.Add(2*time.Minute)); c != nil {
		t.Errorf("told twice: %+v", c.Events)
	}
	if a, err = Issue(&g, &s, Demand{ID: "s2", Held: held}, nil, noon.Add(2*time.Minute)); err != nil || a.Change == nil {
		t.Fatalf("%+v, %v: it takes a new session", a, err)
	}
	// It is cut with the others when the grant is revoked: the deny of older sessions may not be in force yet.
	c, err = Revoke(&a.Change.Grant, "ops", "incident", noon.Add(3*time.Minute))
	if err != nil || len(c.Events) != 1 || fmt.Sprint(c.Events[0].Event.(GrantRevoked).Sessions) != "[s1 s2]" {
		t.Errorf("%+v, %v", c, err)
	}
}

// TestAdmitsPeople: a name that a person's provider lets them have is not taken for an AWS identity, an account or everybody.
func TestAdmitsPeople(t *testing.T) {
	for _, tt := range []struct {
		principal, person string
		want              bool
	}{
		{"ann@example.com", "ann@example.com", true}, {"Ann@example.com", "ann@example.com", true}, {"ann@example.com", "bob@example.com", false},
		{"111111111111", "111111111111", false}, {"arn:aws:iam::111111111111:role/ci", "arn:aws:iam::111111111111:role/ci", false}, {"*", "*", false}, {"oidc:x:y", "oidc:x:y", false}, {"", "", false},
	} {
		e := entry()
		e.From = registry.From{Principals: []string{tt.principal}}
		if got := Admits(e, &Subject{ID: tt.person, Name: tt.person, Issuer: "people", Person: true}); got != tt.want {
			t.Errorf("%q lets the person %q in: %v", tt.principal, tt.person, got)
		}
	}
}

// TestRights: who may what. An administrator changes what people are asked by and approves nothing; who approves neither revokes nor changes the registry; nobody but three reads the log.
func TestRights(t *testing.T) {
	want := map[Role][]Right{
		Viewer: {ViewAll}, Owner: {ViewAll}, ReviewerRole: {ViewAll}, Approver: {ViewAll, DecideAny},
		Responder: {ViewAll, RevokeAny, SetLocks, ReadAudit}, Pusher: {PushFacts}, Administrator: {ViewAll, ReadAudit, ApplyRegistry, ManageKeys, PushFacts},
	}
	for _, role := range Roles {
		for _, right := range []Right{ViewAll, DecideAny, RevokeAny, SetLocks, ReadAudit, ApplyRegistry, ManageKeys, PushFacts} {
			c := Caller{Roles: []Role{role}}
			if got := c.May(right); got != slices.Contains(want[role], right) {
				t.Errorf("the %s may %s: %v", role, right, got)
			}
		}
	}
	if (&Caller{}).May(ViewAll) || (&Caller{Roles: []Role{"emperor"}}).May(ViewAll) {
		t.Error("who has no role may see everything")
	}
}
