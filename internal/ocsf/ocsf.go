// Package ocsf writes records of the audit log as events of the Open Cybersecurity Schema Framework, for the programs that security teams collect events with.
//
// Four classes are used, of the category Identity & Access Management: requests, grants, locks, editions of the registry and what is done in AWS are entities that are managed (3004); what an approval gives and a revocation
// takes are privileges of a user (3005); a session is one that was authorized (3003); people sign in (3002). Source: schema.ocsf.io, version 1.8.0.
package ocsf

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// Version of the schema.
const Version = "1.8.0"

// The classes.
const (
	authentication   = 3002
	authorizeSession = 3003
	entityManagement = 3004
	userAccess       = 3005
)

const category = 3 // Identity & Access Management

// Activities, by class.
const (
	other           = 99
	create          = 1
	read            = 2
	update          = 3
	remove          = 4
	activate        = 10
	deactivate      = 11
	suspend         = 12
	assignPrivilege = 1
	revokePrivilege = 2
	logon           = 1
	logoff          = 2
)

// Severities.
const (
	informational = 1
	low           = 2
	medium        = 3
	high          = 4
)

// Statuses.
const (
	unknown = 0
	success = 1
	failure = 2
)

var (
	classNames    = map[int]string{authentication: "Authentication", authorizeSession: "Authorize Session", entityManagement: "Entity Management", userAccess: "User Access Management"}
	activityNames = map[int]map[int]string{
		authentication:   {logon: "Logon", logoff: "Logoff"},
		authorizeSession: {assignPrivilege: "Assign Privileges"},
		entityManagement: {create: "Create", read: "Read", update: "Update", remove: "Delete", activate: "Activate", deactivate: "Deactivate", suspend: "Suspend", other: "Other"},
		userAccess:       {assignPrivilege: "Assign Privileges", revokePrivilege: "Revoke Privileges"},
	}
	severityNames = map[int]string{informational: "Informational", low: "Low", medium: "Medium", high: "High"}
	statusNames   = map[int]string{unknown: "Unknown", success: "Success", failure: "Failure"}
)

type event struct {
	ActivityID   int        `json:"activity_id"`
	ActivityName string     `json:"activity_name"`
	CategoryUID  int        `json:"category_uid"`
	CategoryName string     `json:"category_name"`
	ClassUID     int        `json:"class_uid"`
	ClassName    string     `json:"class_name"`
	TypeUID      int        `json:"type_uid"`
	TypeName     string     `json:"type_name"`
	Time         int64      `json:"time"` // milliseconds since 1970
	SeverityID   int        `json:"severity_id"`
	Severity     string     `json:"severity"`
	StatusID     int        `json:"status_id"`
	Status       string     `json:"status"`
	StatusDetail string     `json:"status_detail,omitempty"`
	Message      string     `json:"message"`
	Comment      string     `json:"comment,omitempty"` // of entities
	Actor        *actor     `json:"actor,omitempty"`
	Entity       *entity    `json:"entity,omitempty"`
	User         *user      `json:"user,omitempty"`
	Session      *session   `json:"session,omitempty"`
	Service      *service   `json:"service,omitempty"` // that people sign in to
	Privileges   []string   `json:"privileges,omitempty"`
	Resources    []resource `json:"resources,omitempty"`
	Metadata     metadata   `json:"metadata"`
	Unmapped     *unmapped  `json:"unmapped,omitempty"`
	RawData      string     `json:"raw_data"`
}

type actor struct {
	User    *user  `json:"user,omitempty"`
	AppName string `json:"app_name,omitempty"`
}

type user struct {
	UID     string   `json:"uid,omitempty"`
	Name    string   `json:"name,omitempty"`
	TypeID  int      `json:"type_id"`
	Type    string   `json:"type"`
	Account *account `json:"account,omitempty"`
}

type account struct {
	UID string `json:"uid"`
}

type entity struct {
	UID    string `json:"uid"`
	Name   string `json:"name,omitempty"`
	TypeID int    `json:"type_id"`
	Type   string `json:"type"`
}

type service struct {
	Name string `json:"name"`
}

type session struct {
	UID            string `json:"uid"`
	Issuer         string `json:"issuer,omitempty"`
	CredentialUID  string `json:"credential_uid,omitempty"`
	CreatedTime    int64  `json:"created_time,omitempty"`
	ExpirationTime int64  `json:"expiration_time,omitempty"`
}

type resource struct {
	UID  string `json:"uid"`
	Type string `json:"type"`
}

type metadata struct {
	Version        string  `json:"version"`
	Product        product `json:"product"`
	UID            string  `json:"uid"`
	Sequence       int64   `json:"sequence"`
	EventCode      string  `json:"event_code"`
	CorrelationUID string  `json:"correlation_uid,omitempty"`
	LogName        string  `json:"log_name"`
	OriginalTime   string  `json:"original_time"`
}

type product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

type unmapped struct {
	Entry string `json:"registry_entry,omitempty"`
	// Resources are what the privileges are about, as patterns of ARNs.
	Resources []string `json:"resource_patterns,omitempty"`
}

// Mapper makes events of records. It is given the records from the first on: what a request is about is said in the first record of it only.
type Mapper struct {
	requests map[string]known
	subjects map[string]*user     // by id
	intended map[string]time.Time // when a session was
}

type known struct {
	subject   broker.Subject
	ask       broker.Ask
	actions   []string
	resources []string
}

// Line is the event of a record, as JSON; line is the record as an export has it. A kind of record that this version does not know is an event that says so much.
func (m *Mapper) Line(r *audit.Record, line []byte) ([]byte, error) {
	e, err := m.event(r)
	if err != nil {
		return nil, err
	}
	e.RawData = string(line)
	out, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("record %d as an event: %w", r.Seq, err)
	}
	return out, nil
}

// Sentence says in words for people what a record is, and with it the words of whoever did it: a reason, "" where there is none.
func (m *Mapper) Sentence(r *audit.Record) (sentence, words string, err error) {
	e, err := m.event(r)
	if err != nil {
		return "", "", err
	}
	return e.Message, e.Comment, nil
}

// body reads what a record holds.
func body[T any](r *audit.Record) (T, error) {
	var v T
	if err := json.Unmarshal(r.Body, &v); err != nil {
		return v, fmt.Errorf("record %d is no %s: %w", r.Seq, r.Kind, err)
	}
	return v, nil
}

func (m *Mapper) event(r *audit.Record) (*event, error) {
	if m.requests == nil {
		m.requests, m.subjects, m.intended = make(map[string]known), make(map[string]*user), make(map[string]time.Time)
	}
	e := &event{CategoryUID: category, CategoryName: "Identity & Access Management", SeverityID: informational, StatusID: success, Time: r.Time.UnixMilli(),
		Metadata: metadata{Version: Version, Product: product{"Drawbridge", "Drawbridge"}, UID: r.Hash.String(), Sequence: r.Seq, EventCode: r.Kind, CorrelationUID: r.About, LogName: "audit", OriginalTime: r.Time.Format(time.RFC3339Nano)}}
	if err := m.fill(e, r); err != nil {
		return nil, err
	}
	switch who := m.subjects[r.Actor]; {
	case r.Actor == broker.Clock:
		e.Actor = &actor{AppName: "Drawbridge"}
	case who != nil:
		e.Actor = &actor{User: who}
	case r.Actor != "":
		e.Actor = &actor{User: &user{UID: r.Actor, Type: "Unknown"}}
	}
	e.ActivityName, e.ClassName, e.Severity, e.Status = activityNames[e.ClassUID][e.ActivityID], classNames[e.ClassUID], severityNames[e.SeverityID], statusNames[e.StatusID]
	e.TypeUID, e.TypeName = e.ClassUID*100+e.ActivityID, e.ClassName+": "+e.ActivityName
	return e, nil
}

func userOf(s *broker.Subject) *user {
	u := &user{UID: s.ID, Name: s.Name, TypeID: 4, Type: "Service"}
	if s.Person {
		u.TypeID, u.Type = 1, "User"
	}
	if s.Account != "" {
		u.Account = &account{s.Account}
	}
	return u
}

// managed makes the event one about an entity.
func (e *event) managed(activity int, kind, id, name string) {
	e.ClassUID, e.ActivityID = entityManagement, activity
	e.Entity = &entity{UID: id, Name: name, TypeID: other, Type: kind}
	if e.Entity.UID == "" && name == "" {
		e.Entity.UID = "unknown"
	}
}

// privileged makes the event one about what a request's subject may do; false where the request is not known, whose records were not given.
func (m *Mapper) privileged(e *event, class, activity int, request string) bool {
	k, ok := m.requests[request]
	if !ok || len(k.actions) == 0 {
		return false
	}
	e.ClassUID, e.ActivityID = class, activity
	e.User = userOf(&k.subject)
	e.Privileges = k.actions
	if class == userAccess {
		e.Resources = []resource{{k.ask.Target, "AWS::IAM::Role"}}
	}
	e.Unmapped = &unmapped{k.ask.Entry, k.resources}
	return true
}

const accessRequest = "Access Request"

// remember keeps what later records refer to.
func (m *Mapper) remember(r *broker.Request, t *broker.Terms) {
	k := known{subject: r.Subject, ask: r.Ask, actions: r.Ask.Actions, resources: r.Ask.Resources}
	if t != nil {
		k.actions, k.resources = t.Actions, t.Resources
	}
	m.requests[r.ID] = k
	m.subjects[r.Subject.ID] = userOf(&r.Subject)
}

// fill says what a record is in the schema's words.
func (m *Mapper) fill(e *event, r *audit.Record) error {
	entry := m.requests[r.About].ask.Entry
	switch r.Kind {
	case broker.RequestFiled{}.Kind():
		b, err := body[broker.RequestFiled](r)
		if err != nil {
			return err
		}
		m.remember(&b.Request, &b.Terms)
		e.managed(create, accessRequest, r.About, b.Request.Ask.Entry)
		e.Comment = b.Request.Ask.Reason
		e.Message = fmt.Sprintf("%s asks for access to %s", b.Request.Subject.ID, b.Request.Ask.Target)
	case broker.RequestRefused{}.Kind():
		b, err := body[broker.RequestRefused](r)
		if err != nil {
			return err
		}
		m.remember(&b.Request, nil)
		e.managed(create, accessRequest, r.About, b.Request.Ask.Entry)
		e.SeverityID, e.StatusID, e.StatusDetail, e.Comment = low, failure, b.Detail, b.Request.Ask.Reason
		e.Message = fmt.Sprintf("%s was refused access to %s: %s", b.Request.Subject.ID, b.Request.Ask.Target, b.Why)
	case broker.RequestChanged{}.Kind():
		b, err := body[broker.RequestChanged](r)
		if err != nil {
			return err
		}
		k := m.requests[r.About]
		k.ask, k.actions, k.resources = b.Ask, b.Terms.Actions, b.Terms.Resources
		m.requests[r.About] = k
		e.managed(update, accessRequest, r.About, b.Ask.Entry)
		e.Comment, e.Message = b.Ask.Reason, "What is asked for was changed"
	case broker.RequestDecided{}.Kind():
		b, err := body[broker.RequestDecided](r)
		if err != nil {
			return err
		}
		e.managed(update, accessRequest, r.About, entry)
		e.Comment, e.Message = b.Decision.Reason, b.Decision.By+" denied the request"
		if b.Decision.Approve {
			e.Message = b.Decision.By + " approved the request"
		}
	case broker.RequestApproved{}.Kind():
		if !m.privileged(e, userAccess, assignPrivilege, r.About) {
			e.managed(activate, accessRequest, r.About, entry)
		}
		e.Message = "The request was approved"
	case broker.GrantMoved{}.Kind():
		b, err := body[broker.GrantMoved](r)
		if err != nil {
			return err
		}
		activity := update
		switch b.State {
		case broker.Active.String():
			activity = activate
		case broker.Expired.String(), broker.Lapsed.String(), broker.Revoked.String(), broker.Rejected.String(), broker.Withdrawn.String():
			activity = deactivate
		}
		e.managed(activity, accessRequest, r.About, entry)
		e.Message = fmt.Sprintf("The request is %s: %s", b.State, b.Why)
	case broker.GrantSuspended{}.Kind():
		b, err := body[broker.GrantSuspended](r)
		if err != nil {
			return err
		}
		e.managed(suspend, accessRequest, r.About, entry)
		e.SeverityID, e.Comment, e.Message = medium, b.Why, "The grant was suspended: "+b.Why
	case broker.GrantRevoked{}.Kind():
		b, err := body[broker.GrantRevoked](r)
		if err != nil {
			return err
		}
		if !m.privileged(e, userAccess, revokePrivilege, r.About) {
			e.managed(deactivate, accessRequest, r.About, entry)
		}
		e.SeverityID, e.Message = medium, "The grant was revoked: "+b.Why
	case broker.SessionRefused{}.Kind():
		b, err := body[broker.SessionRefused](r)
		if err != nil {
			return err
		}
		e.managed(update, accessRequest, r.About, entry)
		e.SeverityID, e.StatusID, e.StatusDetail, e.Message = medium, failure, b.Detail, "Credentials were demanded and refused: "+b.Why
	case broker.SessionIntended{}.Kind():
		b, err := body[broker.SessionIntended](r)
		if err != nil {
			return err
		}
		m.intended[b.Session.ID] = r.Time
		m.session(e, r.About, &session{UID: b.Session.ID, ExpirationTime: milli(b.Session.NotAfter)})
		e.StatusID, e.Message = unknown, "AWS is about to be asked for a session"
	case broker.SessionIssued{}.Kind():
		b, err := body[broker.SessionIssued](r)
		if err != nil {
			return err
		}
		m.session(e, r.About, &session{UID: b.Session, CredentialUID: b.AccessKeyID, Issuer: "AWS STS", ExpirationTime: milli(b.NotAfter)})
		e.Message = "AWS issued a session"
	case broker.SessionFailed{}.Kind():
		b, err := body[broker.SessionFailed](r)
		if err != nil {
			return err
		}
		m.session(e, r.About, &session{UID: b.Session})
		e.SeverityID, e.StatusID, e.StatusDetail, e.Message = low, failure, b.Why, "AWS issued no session"
	case broker.SessionUnknown{}.Kind():
		b, err := body[broker.SessionUnknown](r)
		if err != nil {
			return err
		}
		m.session(e, r.About, &session{UID: b.Session})
		e.SeverityID, e.StatusID, e.StatusDetail, e.Message = medium, unknown, b.Why, "Whether AWS issued a session is not known"
	case broker.EffectDone{}.Kind():
		b, err := body[broker.EffectDone](r)
		if err != nil {
			return err
		}
		e.managed(create, "Deny Policy", b.Effect, "")
		e.Message = fmt.Sprintf("What cuts sessions of %s was written in AWS; it is in effect by %s", r.About, b.EffectiveBy.UTC().Format(time.RFC3339))
	case broker.EffectFailed{}.Kind():
		b, err := body[broker.EffectFailed](r)
		if err != nil {
			return err
		}
		e.managed(create, "Deny Policy", b.Effect, "")
		e.SeverityID, e.StatusID, e.StatusDetail, e.Message = medium, failure, b.Why, "What cuts sessions of "+r.About+" was not written in AWS"
		if b.Stuck {
			e.SeverityID = high
		}
	case broker.GrantIsolated{}.Kind():
		b, err := body[broker.GrantIsolated](r)
		if err != nil {
			return err
		}
		e.managed(update, accessRequest, r.About, entry)
		e.SeverityID, e.Comment, e.Message = medium, b.Why, "Its sessions are to be cut by the organisation's policy too: "+b.Why
	case broker.EffectsRetried{}.Kind():
		b, err := body[broker.EffectsRetried](r)
		if err != nil {
			return err
		}
		e.managed(update, accessRequest, r.About, entry)
		e.Comment, e.Message = b.Why, "What cuts its sessions is tried again at once: "+strings.Join(b.Effects, ", ")
	case broker.EffectsAcknowledged{}.Kind():
		b, err := body[broker.EffectsAcknowledged](r)
		if err != nil {
			return err
		}
		e.managed(update, accessRequest, r.About, entry)
		e.SeverityID, e.Comment, e.Message = medium, b.Why, "Somebody looks after what does not cut its sessions: "+strings.Join(b.Effects, ", ")
	case broker.DrillDone{}.Kind():
		b, err := body[broker.DrillDone](r)
		if err != nil {
			return err
		}
		e.managed(other, "Drill", b.Drill.Role, b.Drill.Entry)
		e.Message = "Taking back was rehearsed at " + b.Drill.Role
		if len(b.Drill.Found) > 0 {
			e.SeverityID, e.StatusID, e.StatusDetail = high, failure, strings.Join(b.Drill.Found, "; ")
		}
	case broker.DenyRemoved{}.Kind():
		b, err := body[broker.DenyRemoved](r)
		if err != nil {
			return err
		}
		e.managed(remove, "Deny Policy", b.Effect, "")
		e.Message = "A deny that cuts nothing any more was removed from AWS"
	case broker.DenyStays{}.Kind():
		b, err := body[broker.DenyStays](r)
		if err != nil {
			return err
		}
		e.managed(remove, "Deny Policy", b.Effect, "")
		e.SeverityID, e.StatusID, e.StatusDetail, e.Message = low, failure, b.Why, "A deny that cuts nothing any more was not removed from AWS"
	case broker.SessionsOvertaken{}.Kind():
		b, err := body[broker.SessionsOvertaken](r)
		if err != nil {
			return err
		}
		e.managed(update, accessRequest, r.About, entry)
		e.SeverityID, e.Message = medium, fmt.Sprintf("Sessions %s were cut with those of another request (%s), for which the role had no room", strings.Join(b.Sessions, ", "), b.Effect)
	case broker.Locked{}.Kind():
		b, err := body[broker.Locked](r)
		if err != nil {
			return err
		}
		e.managed(create, "Lock", r.About, strings.TrimSpace(string(b.Lock.Kind)+" "+b.Lock.Value))
		e.SeverityID, e.Comment, e.Message = medium, b.Lock.Reason, fmt.Sprintf("A lock was set on %s", e.Entity.Name)
	case broker.Unlocked{}.Kind():
		b, err := body[broker.Unlocked](r)
		if err != nil {
			return err
		}
		e.managed(remove, "Lock", r.About, "")
		e.SeverityID, e.Comment, e.Message = medium, b.Why, "A lock was lifted"
	case broker.EditionProposed{}.Kind():
		b, err := body[broker.EditionProposed](r)
		if err != nil {
			return err
		}
		e.managed(update, "Registry", r.About, "")
		e.SeverityID, e.Comment, e.Message = medium, b.Why, fmt.Sprintf("A change of the registry: %d differences, %s", len(b.Differences), b.State)
	case broker.EditionDecided{}.Kind():
		b, err := body[broker.EditionDecided](r)
		if err != nil {
			return err
		}
		e.managed(update, "Registry", r.About, "")
		e.SeverityID, e.Comment, e.Message = medium, b.Reason, "A second person did not agree to a change of the registry"
		if b.Agree {
			e.Message = "A second person agreed to a change of the registry"
		}
	case broker.ExternalIDChanged{}.Kind():
		b, err := body[broker.ExternalIDChanged](r)
		if err != nil {
			return err
		}
		e.managed(update, "External ID", b.Role, b.Vendor)
		e.Message = "The ExternalId for " + b.Role + " was " + b.What
		if b.What == "begun" {
			e.Message = "The ExternalId for " + b.Role + " is being changed"
		}
	case broker.ClockSetBack{}.Kind():
		b, err := body[broker.ClockSetBack](r)
		if err != nil {
			return err
		}
		e.managed(update, "Clock", r.About, "")
		e.SeverityID, e.Message = high, "A time that was committed had not come yet: "+b.From.UTC().Format(time.RFC3339)
	case broker.SnapshotAccepted{}.Kind():
		b, err := body[broker.SnapshotAccepted](r)
		if err != nil {
			return err
		}
		e.managed(create, "Snapshot", r.About, "")
		e.Message = fmt.Sprintf("What is known of AWS is what a pushed snapshot says, collected %s: %d accounts, %d gaps", b.Snapshot.Collected.UTC().Format(time.RFC3339), b.Snapshot.Accounts, b.Snapshot.Gaps)
	case broker.SnapshotRefused{}.Kind():
		b, err := body[broker.SnapshotRefused](r)
		if err != nil {
			return err
		}
		e.managed(create, "Snapshot", r.About, "")
		e.SeverityID, e.StatusID, e.StatusDetail, e.Message = low, failure, b.Why, "A pushed snapshot cannot be used"
	case broker.OffboardingBegun{}.Kind():
		b, err := body[broker.OffboardingBegun](r)
		if err != nil {
			return err
		}
		e.managed(suspend, "Vendor", r.About, b.Vendor)
		e.SeverityID, e.Comment, e.Message = medium, b.Reason, "A vendor leaves: "+b.Vendor+" is locked"
	case broker.OffboardingSeen{}.Kind():
		b, err := body[broker.OffboardingSeen](r)
		if err != nil {
			return err
		}
		e.managed(update, "Vendor", r.About, "")
		e.Message = fmt.Sprintf("What a vendor had that leaves: %d of %d gone; missing: %s", b.Gone, b.Items, strings.Join(b.Waits, "; "))
	case broker.OffboardingProven{}.Kind():
		b, err := body[broker.OffboardingProven](r)
		if err != nil {
			return err
		}
		e.managed(remove, "Vendor", r.About, b.Vendor)
		e.Message = "Nothing is left of what " + b.Vendor + " had: shown by a snapshot; the report's SHA-256 is " + b.SHA256
	case broker.ServiceRegistered{}.Kind():
		b, err := body[broker.ServiceRegistered](r)
		if err != nil {
			return err
		}
		e.managed(create, "Service", r.About, b.Service)
		e.SeverityID, e.Message = medium, fmt.Sprintf("The service %s was registered until %s; %s make its keys", b.Service, b.Until.UTC().Format(time.DateOnly), strings.Join(b.Sponsors, ", "))
	case broker.ServiceEnded{}.Kind():
		b, err := body[broker.ServiceEnded](r)
		if err != nil {
			return err
		}
		e.managed(remove, "Service", r.About, b.Service)
		e.SeverityID, e.Comment, e.Message = medium, b.Why, "The service "+b.Service+" was ended, with its keys"
	case broker.KeyMade{}.Kind():
		b, err := body[broker.KeyMade](r)
		if err != nil {
			return err
		}
		e.managed(create, "Access Key", b.Key, b.Service)
		e.SeverityID, e.Message = medium, fmt.Sprintf("A key of the service %s was made, until %s", b.Service, b.Expires.UTC().Format(time.RFC3339))
	case broker.KeyRevoked{}.Kind():
		b, err := body[broker.KeyRevoked](r)
		if err != nil {
			return err
		}
		e.managed(remove, "Access Key", b.Key, b.Service)
		e.SeverityID, e.Comment, e.Message = medium, b.Why, "A key of the service "+b.Service+" was revoked"
	case "person.signed-in":
		e.person(logon, r.Actor, "A person signed in")
	case "person.signed-out":
		e.person(logoff, r.Actor, "A person signed out")
	case "person.refused":
		b, err := body[struct{ Why string }](r)
		if err != nil {
			return err
		}
		e.person(logon, "", "Somebody was not let in")
		e.SeverityID, e.StatusID, e.StatusDetail = low, failure, b.Why
	case "audit.read":
		e.managed(read, "Audit Log", r.About, "")
		e.Message = "The audit log was read"
	default:
		e.managed(other, "Record", r.About, r.Kind)
		e.StatusID, e.Message = unknown, "A record of a kind that this export does not know: "+r.Kind
	}
	return nil
}

// person makes the event one about a person who signs in or out; "": it is not known who.
func (e *event) person(activity int, id, message string) {
	e.ClassUID, e.ActivityID, e.Message, e.Service = authentication, activity, message, &service{"Drawbridge"}
	e.User = &user{UID: id, TypeID: 1, Type: "User"}
	if id == "" {
		e.User = &user{Name: "unknown", Type: "Unknown"}
	}
}

// session makes the event one about a session.
func (m *Mapper) session(e *event, request string, s *session) {
	if !m.privileged(e, authorizeSession, assignPrivilege, request) {
		e.managed(update, "Session", s.UID, "")
		return
	}
	s.CreatedTime = milli(m.intended[s.UID])
	e.Session = s
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
