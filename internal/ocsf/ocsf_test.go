package ocsf

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// named is an event of a package that this one may not know.
type named string

func (n named) Kind() string { return string(n) }

func (n named) MarshalJSON() ([]byte, error) { return []byte(`{"why":"x"}`), nil }

const later = named("moat.filled")

var noon = time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC)

// everything is one event of each kind.
func everything() []broker.Logged {
	request := broker.Request{ID: "r-1", Subject: broker.Subject{ID: "oidc:ci", Name: "oidc:token.actions.githubusercontent.com:repo:acme/shop", Account: "111122223333"}, Ask: broker.Ask{Entry: "ci", Target: "arn:aws:iam::222222222222:role/deploy", Reason: "release <7> & more"}, Filed: noon}
	terms := broker.Terms{Entry: "ci", Actions: []string{"s3:PutObject"}, Resources: []string{"arn:aws:s3:::site/*"}}
	var list []broker.Logged
	for _, e := range []audit.Event{
		broker.RequestFiled{Request: request, Terms: terms}, broker.RequestChanged{Ask: request.Ask, Terms: terms}, broker.RequestDecided{Decision: broker.Decision{By: "ann", Approve: true}}, broker.RequestApproved{}, broker.GrantMoved{State: "active", Why: "its start has come"}, broker.GrantMoved{State: "expired", Why: "its end has come"},
		broker.GrantSuspended{Why: "a lock"}, broker.GrantRevoked{Why: "enough"}, broker.SessionRefused{Why: "not from there", Detail: "entry ci: the context is false"}, broker.SessionIntended{Session: broker.Session{ID: "s-1", NotAfter: noon}}, broker.SessionIssued{Session: "s-1", AccessKeyID: "ASIAEXAMPLE", NotAfter: noon}, broker.SessionFailed{Session: "s-1", Why: "no"},
		broker.SessionUnknown{Session: "s-1", Why: "timeout"}, broker.EffectDone{Effect: "e-1"}, broker.DenyRemoved{Effect: "e-1"}, broker.DenyStays{Effect: "e-1", Why: "no"}, broker.GrantIsolated{Why: "no"}, broker.EffectsRetried{Effects: []string{"e-1"}}, broker.EffectsAcknowledged{Effects: []string{"e-1"}}, broker.DrillDone{Drill: broker.Drill{Entry: "ci", Role: "arn:aws:iam::222222222222:role/deploy", Found: []string{"no room"}}}, broker.SessionsOvertaken{Effect: "e-2", Sessions: []string{"s-1"}}, broker.EffectFailed{Effect: "e-1", Stuck: true}, broker.Locked{Lock: broker.Lock{ID: "l-1", Kind: broker.LockAll}}, broker.Unlocked{ID: "l-1"}, broker.EditionProposed{State: broker.InForce}, broker.EditionDecided{}, broker.ExternalIDChanged{Role: "arn:aws:iam::222222222222:role/deploy", What: "begun"}, broker.ClockSetBack{From: noon}, broker.SnapshotAccepted{}, broker.SnapshotRefused{Why: "no gzip"}, broker.OffboardingBegun{Vendor: "Metrigraph"}, broker.OffboardingSeen{Waits: []string{"a role"}}, broker.OffboardingProven{Vendor: "Metrigraph"},
		broker.ServiceRegistered{ID: "s-1", Service: "acme"}, broker.ServiceEnded{ID: "s-1", Service: "acme", Why: "over"}, broker.KeyMade{ID: "s-1", Service: "acme", Key: "k-1"}, broker.KeyRevoked{ID: "s-1", Service: "acme", Key: "k-1", Why: "found in a log"}, named("person.signed-in"), named("person.signed-out"), named("person.refused"), named("audit.read"), later,
	} {
		list = append(list, broker.Logged{Actor: "oidc:ci", Event: e})
	}
	request.ID, request.Subject.Person = "r-2", true
	return append(list, broker.Logged{Actor: "ann", Event: broker.RequestRefused{Request: request, Why: "no", Detail: "none"}}, broker.Logged{Actor: broker.Clock, Event: broker.GrantMoved{State: "lapsed"}})
}

func schema(t *testing.T) *jsonschema.Schema {
	f, err := os.Open("testdata/ocsf-" + Version + ".schema.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("ocsf.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("ocsf.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSchema: every kind of record becomes an event that the schema allows, also where the records before it are missing, and says what it is.
func TestSchema(t *testing.T) {
	s := schema(t)
	if err := s.Validate(map[string]any{"class_uid": 3004}); err == nil {
		t.Fatal("the schema lets everything through")
	}
	for _, alone := range []bool{false, true} {
		var head audit.Head
		var m Mapper
		for _, l := range everything() {
			r, next, err := audit.Append(head, noon, l.Actor, "r-1", l.Event)
			if err != nil {
				t.Fatal(err)
			}
			head = next
			if alone {
				m = Mapper{}
			}
			line, err := r.Line()
			if err != nil {
				t.Fatal(err)
			}
			out, err := m.Line(&r, line)
			if err != nil {
				t.Fatal(err)
			}
			doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(out)))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(doc); err != nil {
				t.Errorf("%s, alone %v: %v\n%s", r.Kind, alone, err, out)
			}
			var e event
			if err := json.Unmarshal(out, &e); err != nil {
				t.Fatal(err)
			}
			if e.TypeUID != e.ClassUID*100+e.ActivityID || e.ActivityName == "" || e.ClassName == "" || e.Severity == "" || e.Status == "" || e.Message == "" || e.Metadata.EventCode != r.Kind || e.Time != noon.UnixMilli() || e.RawData != string(line) {
				t.Errorf("%s: %s", r.Kind, out)
			}
			if unknown := strings.Contains(e.Message, "does not know"); unknown != (r.Kind == "moat.filled") {
				t.Errorf("%s: %s", r.Kind, e.Message)
			}
			if again, err := audit.ParseLine([]byte(e.RawData)); err != nil || again.Hash != r.Hash {
				t.Errorf("the record in raw_data: %v", err)
			}
		}
	}
}

// TestEveryKind: every kind of event in the tree is one that the mapping knows.
func TestEveryKind(t *testing.T) {
	known := make(map[string]bool)
	for _, l := range everything() {
		known[l.Event.Kind()] = true
	}
	kind := regexp.MustCompile(`(?m)^func \(\w+\) Kind\(\) string +\{ return "([a-z.-]+)" \}`)
	found := 0
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, m := range kind.FindAllSubmatch(text, -1) {
			found++
			if !known[string(m[1])] {
				t.Errorf("%s: %s is mapped by no test", name, m[1])
			}
		}
		return nil
	})
	if err != nil || found < 20 {
		t.Errorf("%d kinds found, error %v", found, err)
	}
}

// TestClasses: what an event is, for each kind.
func TestClasses(t *testing.T) {
	want := map[string]int{
		"request.filed": 300401, "request.refused": 300401, "request.changed": 300403, "request.decided": 300403, "request.approved": 300501, "grant.suspended": 300412, "grant.revoked": 300502,
		"session.intended": 300301, "session.issued": 300301, "session.failed": 300301, "session.unknown": 300301, "effect.done": 300401, "effect.failed": 300401, "grant.isolated": 300403, "effect.retried": 300403, "effect.acknowledged": 300403, "drill.done": 300499, "lock.set": 300401, "lock.lifted": 300404, "audit.read": 300402, "person.signed-in": 300201, "person.signed-out": 300202, "person.refused": 300201, "registry.proposed": 300403, "registry.decided": 300403, "external-id.changed": 300403, "clock.set-back": 300403, "snapshot.accepted": 300401, "snapshot.refused": 300401, "offboarding.begun": 300412, "offboarding.seen": 300403, "offboarding.proven": 300404, "service.registered": 300401, "service.ended": 300404, "key.made": 300401, "key.revoked": 300404, "moat.filled": 300499,
	}
	var head audit.Head
	var m Mapper
	for _, l := range everything() {
		r, next, err := audit.Append(head, noon, l.Actor, "r-1", l.Event)
		if err != nil {
			t.Fatal(err)
		}
		head = next
		e, err := m.event(&r)
		if err != nil {
			t.Fatal(err)
		}
		if w, ok := want[r.Kind]; ok && e.TypeUID != w {
			t.Errorf("%s: %d, want %d", r.Kind, e.TypeUID, w)
		}
		switch r.Kind {
		case "session.issued":
			if e.Session.CredentialUID != "ASIAEXAMPLE" || e.User.UID != "oidc:ci" || e.Session.CreatedTime != noon.UnixMilli() {
				t.Errorf("%+v of %+v", e.Session, e.User)
			}
		case "effect.failed":
			if e.SeverityID != high || e.StatusID != failure {
				t.Errorf("stuck: %+v", e)
			}
		}
	}
	if _, err := m.event(&audit.Record{Kind: "request.filed", Body: json.RawMessage(`[]`)}); err == nil {
		t.Error("a body of another form was taken")
	}
}
