package review

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drawbridge/iam/arn"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/finding"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/rule"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/usage"
)

const (
	ci    = "arn:aws:iam::111122223333:role/ci"
	jewel = "arn:aws:s3:::ledger"
	admin = "arn:aws:iam::444455556666:role/admin"
)

// estate is an organisation in which ci may become deploy, which may become an administrator and read a critical bucket.
type estate struct {
	trust, permissions string
	created            time.Time
	used               []usage.ActionUse
	crossings          []usage.Crossing
	covered            bool
	findings           []finding.Finding
	entry              string
	since              *Campaign
	now                time.Time
}

const (
	trustCI     = `{"Effect":"Allow","Principal":{"AWS":"` + ci + `"},"Action":"sts:AssumeRole"}`
	mayDeploy   = `{"Effect":"Allow","Action":["ecs:RunTask","ecs:UpdateService","ecr:PutImage"],"Resource":"*"}`
	mayLedger   = `{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::ledger/*"}`
	mayBeAdmin  = `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"` + admin + `"}`
	oneEntry    = "apiVersion: drawbridge/v1\nkind: Trust\nmetadata: {name: one, owner: ana}\nspec:\n  purpose: p\n  from: {principals: [" + ci + "]}\n  to: {role: " + role + "}\n  session: {max: 1h}\n  expires: 2027-01-01\n"
	reviewedOne = oneEntry + "  review: {every: 30d, last: 2026-10-01, escalate: [ciso], quarantine: 14d}\n"
)

func (s estate) material(t *testing.T) Material {
	t.Helper()
	if s.now.IsZero() {
		s.now = now
	}
	document := func(name string, statements ...string) snapshot.Document {
		return snapshot.Document{Name: name, State: snapshot.Read, Policy: policy.MustParse(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)}
	}
	roleOf := func(name, trust string, permissions ...string) snapshot.Role {
		a, err := arn.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		r := snapshot.Role{Principal: snapshot.Principal{ARN: name, Account: a.Account, Name: name[strings.LastIndexByte(name, '/')+1:]}, MaxSession: time.Hour}
		r.Trust = document("trust policy", trust)
		if len(permissions) > 0 {
			r.Inline = []snapshot.Document{document("inline", permissions...)}
		}
		return r
	}
	var deploy snapshot.Role // not there where it trusts nobody
	if s.trust != "" {
		deploy = roleOf(role, s.trust, s.permissions)
		deploy.Created = s.created
	}
	snap := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "999900001111"},
		Accounts: []snapshot.Account{{ID: "111122223333", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true},
			{ID: "444455556666", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
		Roles: []snapshot.Role{roleOf(ci, `{"Effect":"Allow","Principal":{"Service":"codebuild.amazonaws.com"},"Action":"sts:AssumeRole"}`, `{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`),
			roleOf(admin, `{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"sts:AssumeRole"}`, `{"Effect":"Allow","Action":"*","Resource":"*"}`)},
		Resources: []snapshot.Resource{{ARN: jewel, Type: "AWS::S3::Bucket", Account: "444455556666", Region: "eu-west-1", Policy: snapshot.Document{State: snapshot.None}, Tags: map[string]string{"criticality": "high"}}},
	}
	if s.trust != "" {
		snap.Roles = append(snap.Roles, deploy)
	}
	g := access.Build(org.Build(snap), access.Options{Now: s.now, Engine: ref.Engine()})
	r, problems := registry.Parse("r.yaml", []byte(s.entry))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	record := &usage.Record{Actions: s.used, Crossings: s.crossings}
	if s.covered {
		record.Coverage = []usage.Coverage{{From: now.AddDate(-1, 0, 0)}}
	}
	return Material{Graph: g, Registry: r, Items: registry.Reconcile(g, r, registry.Options{Now: s.now, Engine: ref.Engine()}), Usage: record, Findings: s.findings,
		Rules: []*rule.Rule{{ID: "EXT-002", Controls: rule.Controls{NHI: []string{"NHI3:2025"}, CSF: []string{"PR.AA-05"}, NIST: []string{"AC-3"}, CIS: "-"}}}, Since: s.since, Now: s.now}
}

func first(t *testing.T, s estate) *Item {
	t.Helper()
	m := s.material(t)
	c := Start("q", Scope{All: true}, m.Now.AddDate(0, 0, 14), m)
	if len(c.Items) != 1 {
		t.Fatalf("%d items", len(c.Items))
	}
	return &c.Items[0]
}

func TestUnused(t *testing.T) {
	call := func(action string) usage.ActionUse {
		return usage.ActionUse{Caller: role, Action: action, Account: "444455556666", Count: 1, Last: now}
	}
	for name, c := range map[string]struct {
		used    []usage.ActionUse
		covered bool
		want    string
	}{
		"nothing used":         {nil, true, "is granted 3 actions, 0 of them recorded; services that it did not call, with their granted actions: ecr (1), ecs (2)"},
		"some used":            {[]usage.ActionUse{call("ecs:RunTask")}, true, "is granted 3 actions, 1 of them recorded; services that it did not call, with their granted actions: ecr (1); actions that it did not call, of services that it did: ecs:UpdateService"},
		"case does not count":  {[]usage.ActionUse{call("ECS:runtask"), call("ecs:UpdateService"), call("ecr:PutImage")}, true, "is granted 3 actions, 3 of them recorded"},
		"dated names":          {[]usage.ActionUse{call("ecr:PutImage20150331v2")}, true, "is granted 3 actions, 1 of them recorded; services that it did not call, with their granted actions: ecs (2)"},
		"no action":            {[]usage.ActionUse{call("ecr:PutImages")}, true, "is granted 3 actions; services that it did not call, with their granted actions: ecs (2); not judged: of ecr calls were recorded under names that are no actions"},
		"refused is not used":  {[]usage.ActionUse{{Caller: role, Action: "ecr:PutImage", Denied: 3}}, true, "is granted 3 actions, 0 of them recorded; services that it did not call, with their granted actions: ecr (1), ecs (2)"},
		"by somebody else":     {[]usage.ActionUse{{Caller: ci, Action: "ecr:PutImage", Count: 3}}, true, "is granted 3 actions, 0 of them recorded; services that it did not call, with their granted actions: ecr (1), ecs (2)"},
		"evidence is missing":  {nil, false, "is granted 3 actions; not judged: the record of use does not cover the last 90 days"},
		"evidence is in parts": {[]usage.ActionUse{call("ecr:PutImage")}, false, "is granted 3 actions, 1 of them recorded; not judged: the record of use does not cover the last 90 days"},
	} {
		t.Run(name, func(t *testing.T) {
			i := first(t, estate{trust: trustCI, permissions: mayDeploy, used: c.used, covered: c.covered, entry: oneEntry})
			words := i.UnusedWords()
			if len(words) != 1 {
				t.Fatalf("%+v", words)
			}
			if got := strings.Join(append([]string{words[0].Summary}, words[0].Lines...), "; "); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// Long lists are bounded, and what is left out is counted.
func TestUnusedIsBounded(t *testing.T) {
	u := first(t, estate{trust: trustCI, permissions: `{"Effect":"Allow","Action":"*","Resource":"*"}`, covered: true, entry: oneEntry,
		used: []usage.ActionUse{{Caller: role, Action: "ecs:RunTask", Count: 1}}}).Unused[0]
	if len(u.Services) != maxNames || len(u.Actions) != maxNames || u.Granted < 10000 || u.MoreServices < 100 {
		t.Errorf("%+v", u)
	}
	if n := len(ref.ServiceActions("ecs")) - 1 - maxNames; u.MoreActions != n {
		t.Errorf("%d more actions, want %d", u.MoreActions, n)
	}
}

// What CloudTrail records only as data events is called unused only where there are any.
func TestDataEvents(t *testing.T) {
	s := estate{trust: trustCI, permissions: `{"Effect":"Allow","Action":["sqs:SendMessage","ecr:PutImage"],"Resource":"*"}`, covered: true, entry: oneEntry}
	m := s.material(t)
	u := Start("q", Scope{All: true}, now, m).Items[0].Unused[0]
	if !slices.Equal(u.Services, []string{"ecr (1)"}) || u.Unknown != "of sqs the record has no data events" {
		t.Errorf("%+v", u)
	}
	m.Usage.Seen = []usage.Seen{{Account: "444455556666", Data: []usage.NamedDays{{Name: "sqs"}}}}
	if u := Start("q", Scope{All: true}, now, m).Items[0].Unused[0]; !slices.Equal(u.Services, []string{"ecr (1)", "sqs (1)"}) {
		t.Errorf("%+v", u)
	}
	m = estate{trust: trustCI, permissions: `{"Effect":"Allow","Action":"cloudwatch:ListMetrics","Resource":"*"}`, covered: true, entry: oneEntry,
		used: []usage.ActionUse{{Caller: role, Action: "cloudwatch:ListMetrics", Count: 1}}}.material(t)
	if u := Start("q", Scope{All: true}, now, m).Items[0].Unused[0]; u.Used != 1 || u.Unknown != "" {
		t.Errorf("%+v", u)
	}
	for service := range dataEvents {
		if len(ref.ServiceActions(service)) == 0 {
			t.Errorf("%q is no service", service)
		}
	}
}

// A caller of which only the account is recorded may be any of those declared, and the reviewer is told.
func TestUseByAccount(t *testing.T) {
	i := first(t, estate{trust: trustCI, permissions: mayDeploy, entry: oneEntry, covered: true, crossings: []usage.Crossing{{Caller: "111122223333", Target: role, Count: 1, Last: now}}})
	if i.LastUsed[ci] != "2026-11-23" || !strings.Contains(i.Evidence, "of 111122223333 only the account is recorded") {
		t.Errorf("%q %s", i.LastUsed, i.Evidence)
	}
}

// What an exception accepts stays in the evidence, with who accepted it.
func TestAccepted(t *testing.T) {
	f := finding.Finding{Rule: "EXT-002", Subject: role, Severity: finding.High, Reason: "no ExternalId", Fingerprint: "f1"}
	m := estate{trust: trustCI, permissions: mayDeploy, entry: oneEntry, findings: []finding.Finding{f}}.material(t)
	m.Accepted = []finding.Accepted{{Finding: f, Exception: finding.Exception{Fingerprint: "f1", Owner: "ana", Reason: "until the move", Expires: now.AddDate(0, 1, 0)}}}
	if got := Start("q", Scope{All: true}, now, m).Items[0].Findings[0].Words(); got != "high EXT-002: no ExternalId (accepted by ana until 2026-12-23: until the move)" {
		t.Error(got)
	}
}

func TestPaths(t *testing.T) {
	for name, c := range map[string]struct{ trust, permissions, want string }{
		"nowhere":            {trustCI, mayDeploy, ""},
		"a critical bucket":  {trustCI, mayLedger, "critical: " + role + " → s3:GetObject on " + jewel},
		"an administrator":   {trustCI, mayBeAdmin, "administrator of account 444455556666: " + role + " → " + admin + "\ncritical: " + role + " → " + admin + " → s3:GetObject on " + jewel},
		"itself":             {trustCI, `{"Effect":"Allow","Action":"*","Resource":"*"}`, "administrator of account 444455556666: " + role + "\nadministrator of account 444455556666: " + role + " → " + admin + "\ncritical: " + role + " → s3:GetObject on " + jewel},
		"nobody is let in":   {`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::444455556666:root"},"Action":"sts:AssumeRole"}`, mayLedger, ""},
		"if conditions hold": {strings.Replace(trustCI, `}`, `},"Condition":{"StringEquals":{"sts:ExternalId":"e"}}`, 1), mayLedger, "critical (if conditions are met): " + role + " → s3:GetObject on " + jewel},
	} {
		t.Run(name, func(t *testing.T) {
			i := first(t, estate{trust: c.trust, permissions: c.permissions, entry: oneEntry})
			if got := strings.Join(words(i.Paths), "\n"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestChanges(t *testing.T) {
	then := now.AddDate(0, 0, -60)
	base := estate{trust: trustCI, permissions: mayDeploy, entry: oneEntry, now: then, covered: true}
	f := finding.Finding{Rule: "EXT-002", Subject: role, Severity: finding.High, Reason: "no ExternalId", Fingerprint: "f1"}
	for name, c := range map[string]struct {
		was, is func(*estate)
		want    []string
	}{
		"nothing": {nil, nil, []string{ci + " did not use it"}},
		"used": {nil, func(s *estate) {
			s.crossings = []usage.Crossing{{Caller: ci, Target: role, Count: 1, Last: now.AddDate(0, 0, -1)}}
		}, []string{ci + " used it, last on 2026-11-22"}},
		"use is not known": {nil, func(s *estate) { s.covered = false }, []string{"whether " + ci + " used it is not known: the record of use does not cover the time"}},
		"the trust":        {nil, func(s *estate) { s.trust = strings.Replace(trustCI, ci, "arn:aws:iam::111122223333:role/other", 1) }, []string{"the trust policy of " + role + " changed", role + " lets in arn:aws:iam::111122223333:role/other", role + " no longer lets in " + ci, "now gone: entry one declares it, and nothing lets it in", "no longer registered: the entries declare what it allows", ci + " did not use it"}},
		"the permissions":  {nil, func(s *estate) { s.permissions = mayLedger }, []string{"the permissions of " + role + " changed", "there is a path to " + jewel, role + " is granted 1 action, and it was 3 actions", ci + " did not use it"}},
		"findings":         {func(s *estate) { s.findings = []finding.Finding{f} }, func(s *estate) { f := f; f.Fingerprint, f.Reason = "f2", "another"; s.findings = []finding.Finding{f} }, []string{"new finding, high EXT-002: another", "no longer found, high EXT-002: no ExternalId", ci + " did not use it"}},
		"the entry": {nil, func(s *estate) {
			s.entry = strings.NewReplacer("2027-01-01", "2027-06-01", "owner: ana", "owner: ben").Replace(oneEntry)
		}, []string{"the owner was ana and is ben", "the last day was 2027-01-01 and is 2027-06-01", ci + " did not use it"}},
		"the role is gone": {nil, func(s *estate) { s.trust = "" }, []string{"the trust policy of " + role + ": the role is gone", "the permissions of " + role + ": the role is gone"}},
		"the role":         {nil, func(s *estate) { s.created = now.AddDate(0, 0, -3) }, []string{ci + " did not use it", "the role " + role + " was made on 2026-11-20"}},
	} {
		t.Run(name, func(t *testing.T) {
			was, is := base, base
			is.now = now
			if c.was != nil {
				c.was(&was)
			}
			if c.is != nil {
				c.is(&is)
			}
			m := was.material(t)
			is.since = Start("q3", Scope{All: true}, then, m)
			i := first(t, is)
			if name == "the role is gone" { // beside what follows from it
				i.Changes = slices.DeleteFunc(i.Changes, func(s string) bool { return !strings.HasSuffix(s, "the role is gone") })
			}
			if !slices.Equal(i.Changes, c.want) || i.ChangesSince != "compared with campaign q3 of 2026-09-24" {
				t.Errorf("%s\n%s", i.ChangesSince, strings.Join(i.Changes, "\n"))
			}
		})
	}
	// Without a campaign, only what the record of use says.
	i := first(t, estate{trust: trustCI, permissions: mayDeploy, entry: reviewedOne, covered: true})
	if !strings.Contains(i.ChangesSince, "not known what changed since 2026-10-01") || !slices.Equal(i.Changes, []string{ci + " did not use it"}) {
		t.Errorf("%s %q", i.ChangesSince, i.Changes)
	}
	// A policy that was not read is neither the same nor another.
	base.now = now
	m := base.material(t)
	old := Start("q3", Scope{All: true}, then, m)
	delete(old.Items[0].Basis.Policies, role)
	base.since = old
	if i := first(t, base); i.Changes[0] != "whether the trust policy of "+role+" changed is not known: it was not read" {
		t.Errorf("%q", i.Changes)
	}
}

func TestQuarantine(t *testing.T) {
	m := estate{trust: trustCI, permissions: mayDeploy, entry: reviewedOne}.material(t)
	c := Start("q", Scope{All: true}, now.AddDate(0, 0, 14), m)
	for _, step := range []struct {
		days     int
		state    State
		standing string
	}{
		{14, Open, "waits for one more decision"},
		{15, Escalated, "waits for one more decision; escalated on 2026-12-07 to ciso; to be quarantined on 2026-12-21"},
		{28, Escalated, "waits for one more decision; escalated on 2026-12-07 to ciso; to be quarantined on 2026-12-21"},
		{29, Quarantined, "waits for one more decision; escalated on 2026-12-07 to ciso; quarantined since 2026-12-21"},
	} {
		c.Expire(now.AddDate(0, 0, step.days))
		if i := &c.Items[0]; i.State != step.state || c.Standing(i) != step.standing {
			t.Errorf("after %d days: %s, %s", step.days, i.State, c.Standing(i))
		}
	}
	if got := c.Items[0].Next(); !slices.Equal(got, []string{"drawbridge remedy " + role + " SNAPSHOT --remove"}) {
		t.Errorf("%q", got)
	}
	// Whoever comes late passes both stations at once, and a decision ends the quarantine.
	late := Start("q", Scope{All: true}, now, m)
	if n := late.Expire(now.AddDate(1, 0, 0)); n != 2 || late.Items[0].State != Quarantined {
		t.Errorf("%d, %s", n, late.Items[0].State)
	}
	if err := late.Decide("one", Decision{By: "ben", Verdict: Keep, Reason: "needed", At: now}); err != nil || late.Items[0].Outcome() != Keep {
		t.Error(err)
	}
}

func TestSteps(t *testing.T) {
	for name, c := range map[string]struct {
		verdict       Verdict
		edit, ticket  string
		words, change string
		problem       error
	}{
		"keep":                 {Keep, "", "", "reviewed on 2026-11-23 by ben", "review.last=2026-11-23 review.by=ben", nil},
		"keep, and it is less": {Keep, "session.max=30m", "", "reviewed on 2026-11-23 by ben", "review.last=2026-11-23 review.by=ben", nil},
		"narrow":               {Narrow, "", "", "to be narrowed", "", nil},
		"narrow by a ticket":   {Narrow, "", "SEC-9", "to be narrowed, ticket SEC-9", "ticket=SEC-9", nil},
		"remove":               {Remove, "", "", "ends on 2026-11-24", "expires=2026-11-24", nil},
		"remove what is over":  {Remove, "expires=2026-11-01", "", "ends on 2026-11-01", "", nil},
		"another caller":       {Keep, "principals+=arn:aws:iam::111122223333:role/other", "", "", "", ErrOther},
		"another target":       {Keep, "role=" + admin, "", "", "", ErrOther},
		"longer sessions":      {Keep, "session.max=2h", "", "", "", ErrOther},
		"later":                {Keep, "expires=2028-01-01", "", "", "", ErrOther},
		"remove another":       {Remove, "session.max=2h", "", "ends on 2026-11-24", "expires=2026-11-24", nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := estate{trust: trustCI, permissions: mayDeploy, entry: oneEntry}.material(t)
			campaign := Start("q", Scope{All: true}, now, m)
			if err := campaign.Decide("one", Decision{By: "ben", Verdict: c.verdict, Reason: "so", At: now}); err != nil {
				t.Fatal(err)
			}
			text := []byte(oneEntry)
			if c.edit != "" {
				change, err := registry.ParseChange(registry.TrustKind, c.edit)
				if err != nil {
					t.Fatal(err)
				}
				if text, err = registry.Edit("r", text, registry.TrustKind, "one", change); err != nil {
					t.Fatal(err)
				}
			}
			r, _ := registry.Parse("r", text)
			tomorrow := now.AddDate(0, 0, 1)
			steps := campaign.Steps(r, c.ticket, tomorrow)
			if len(steps) != 1 {
				t.Fatalf("%+v", steps)
			}
			s := steps[0]
			var changes []string
			for _, x := range s.Changes {
				changes = append(changes, x.Field+"="+strings.Join(x.Values, ","))
			}
			if !errors.Is(s.Problem, c.problem) || s.Words != c.words || strings.Join(changes, " ") != c.change {
				t.Errorf("%v, %q, %q", s.Problem, s.Words, changes)
			}
			campaign.Apply(&s, tomorrow)
			if left := campaign.Steps(r, "", tomorrow); (len(left) == 0) != (c.problem == nil) {
				t.Errorf("left: %+v", left)
			}
		})
	}
	m := estate{trust: trustCI, permissions: mayDeploy, entry: oneEntry}.material(t)
	campaign := Start("q", Scope{All: true}, now, m)
	if err := campaign.Decide("one", Decision{By: "ben", Verdict: Keep, Reason: "so", At: now}); err != nil {
		t.Fatal(err)
	}
	if steps := campaign.Steps(&registry.Registry{}, "", now); len(steps) != 1 || !errors.Is(steps[0].Problem, ErrGone) {
		t.Errorf("%+v", steps)
	}
}

// What is written holds to the published schema, and the schema refuses what it does not know.
func TestSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/review.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(text []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	s := estate{trust: trustCI, permissions: mayBeAdmin, entry: reviewedOne, covered: true, findings: []finding.Finding{{Rule: "EXT-002", Subject: role, Severity: finding.High, Reason: "r", Fingerprint: "f"}}}
	m := s.material(t)
	s.since = Start("q3", Scope{All: true}, now, m)
	m = s.material(t)
	for name, act := range map[string]func(*Campaign){
		"open": func(*Campaign) {}, "quarantined": func(c *Campaign) { c.Expire(now.AddDate(1, 0, 0)) },
		"decided": func(c *Campaign) { _ = c.Decide("one", Decision{By: "ben", Verdict: Keep, Reason: "so", At: now}) },
		"applied": func(c *Campaign) {
			_ = c.Decide("one", Decision{By: "ben", Verdict: Keep, Reason: "so", At: now})
			steps := c.Steps(m.Registry, "", now)
			c.Apply(&steps[0], now)
		},
		"nothing due": func(c *Campaign) { c.Items = []Item{} },
	} {
		c := Start("q4", Scope{All: true}, now.AddDate(0, 0, 14), m)
		act(c)
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, change := range [][2]string{{`"id":"q4"`, `"id":"q4","surprise":1`}, {`"revision":`, `"revision":-`}, {`"entry":`, `"name":`}, {`"state":"`, `"state":"x`}} {
			if other := bytes.Replace(text, []byte(change[0]), []byte(change[1]), 1); !bytes.Equal(text, other) && check(other) == nil {
				t.Errorf("%s: %s is accepted", name, change[1])
			}
		}
	}
}

// The page and the spreadsheet name what auditors ask for, and nothing in them is taken for markup or a formula.
func TestReports(t *testing.T) {
	s := estate{trust: trustCI, permissions: mayBeAdmin, entry: strings.Replace(reviewedOne, "purpose: p", `purpose: "=1+1 <script>alert(1)</script>"`, 1), covered: true,
		findings: []finding.Finding{{Rule: "EXT-002", Subject: role, Severity: finding.High, Reason: "no ExternalId", Fingerprint: "f"}}}
	c := Start("q4", Scope{All: true}, now.AddDate(0, 0, 14), s.material(t))
	if err := c.Decide("one", Decision{By: "ben", Verdict: Remove, Reason: "unused", At: now}); err != nil {
		t.Fatal(err)
	}
	var page, sheet bytes.Buffer
	if err := c.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteCSV(&sheet); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"AC-6(7)", "A.5.18", "no ExternalId", "OWASP NHI3:2025", "2026-11-23 00:00", "unused", "administrator of account 444455556666", "--remove"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, want := range []string{"NIST SP 800-53 r5 AC-6(7)", "no ExternalId", "OWASP NHI3:2025", "unused", "administrator of account 444455556666", "'=1+1"} {
		if !strings.Contains(sheet.String(), want) {
			t.Errorf("the sheet has no %q", want)
		}
	}
	if strings.Contains(page.String(), "<script") || fmt.Sprint(strings.Count(page.String(), "<article")) != "1" {
		t.Error("the page takes text for markup")
	}
}
