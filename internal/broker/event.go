package broker

import "time"

// The events of the audit log. A kind never changes its meaning; a field that is added stays empty in what was recorded before.

// RequestFiled: somebody asked, and the terms let it through or ask people.
type RequestFiled struct {
	Request Request   `json:"request"`
	Hash    string    `json:"hash"`
	Terms   Terms     `json:"terms"`
	Until   time.Time `json:"until,omitzero"`
}

// RequestRefused: somebody asked, and the terms refused.
type RequestRefused struct {
	Request Request `json:"request"`
	Why     string  `json:"why"`
	Detail  string  `json:"detail"`
}

// RequestChanged: what is asked for is another thing now.
type RequestChanged struct {
	Ask   Ask    `json:"ask"`
	Hash  string `json:"hash"`
	Terms Terms  `json:"terms"`
}

// RequestDecided: one person said yes or no.
type RequestDecided struct {
	Decision Decision `json:"decision"`
}

// RequestApproved: by enough people, or by the entry itself in this version of the registry (22).
type RequestApproved struct {
	Hash         string `json:"hash"`
	Entry        string `json:"entry"`
	EntryVersion string `json:"entryVersion"`
}

// GrantMoved: by the time, or by a count.
type GrantMoved struct {
	Why   string `json:"why"`
	State string `json:"state"`
}

// GrantSuspended: by a signal or lock.
type GrantSuspended struct {
	Why string `json:"why"`
}

// GrantRevoked: the fence.
type GrantRevoked struct {
	Why      string   `json:"why"`
	Sessions []string `json:"sessions"` // that are to be cut
}

// SessionRefused: credentials were demanded under a grant in force, and who demanded them, or from where, is not what the entry lets in.
type SessionRefused struct {
	Why    string `json:"why"`
	Detail string `json:"detail"`
}

// SessionIntended: AWS is about to be asked. From here on the session counts, until it is known to have failed or to be over.
type SessionIntended struct {
	Session Session `json:"session"`
}

// SessionIssued: AWS gave credentials; they are in no record.
type SessionIssued struct {
	Session     string    `json:"session"`
	AccessKeyID string    `json:"accessKeyId"` // no secret: it is in CloudTrail too
	NotAfter    time.Time `json:"notAfter"`
	Packed      int       `json:"packed,omitempty"` // how much of its room for policy and tags it takes, in percent
}

// SessionFailed: AWS gave none, surely.
type SessionFailed struct {
	Session string `json:"session"`
	Why     string `json:"why"`
}

// SessionUnknown: whether AWS gave credentials is not known.
type SessionUnknown struct {
	Session string `json:"session"`
	Why     string `json:"why"`
}

// EffectDone: what was to be done in AWS was done and read back.
type EffectDone struct {
	Effect string `json:"effect"`
	// Carried is how: there may have been no room for the deny that was meant. Older is the moment of a deny of all older sessions.
	Carried     EffectKind `json:"carried,omitempty"`
	Older       time.Time  `json:"older,omitzero"`
	Written     time.Time  `json:"written"`
	EffectiveBy time.Time  `json:"effectiveBy"`
}

// EffectFailed: an attempt did not succeed. Stuck: it is tried further, and somebody is called; it is said anew every hour.
type EffectFailed struct {
	Effect  string `json:"effect"`
	Attempt int    `json:"attempt"`
	Why     string `json:"why"`
	Stuck   bool   `json:"stuck,omitempty"`
}

// GrantIsolated: sessions are cut by the organisation's policy too.
type GrantIsolated struct {
	Why     string   `json:"why"`
	Effects []string `json:"effects"`
}

// EffectsRetried: somebody asked to try again at once what does not succeed.
type EffectsRetried struct {
	Why     string   `json:"why"`
	Effects []string `json:"effects"`
}

// EffectsAcknowledged: somebody looks after what is stuck; it is told no more.
type EffectsAcknowledged struct {
	Why     string   `json:"why"`
	Effects []string `json:"effects"`
}

// DenyRemoved: what an effect put into AWS was seen to be gone, as nothing is left that it would cut.
type DenyRemoved struct {
	Effect string `json:"effect"`
}

// DenyStays: what an effect put into AWS could not be removed. Left: it is not tried any more; it cuts nothing, and takes room.
type DenyStays struct {
	Effect  string `json:"effect"`
	Attempt int    `json:"attempt"`
	Why     string `json:"why"`
	Left    bool   `json:"left,omitempty"`
}

// SessionsOvertaken: sessions were cut for another grant's sake, whose deny had no room on the role but as one of all older sessions.
type SessionsOvertaken struct {
	Effect   string    `json:"effect"` // of the other grant
	Older    time.Time `json:"older"`
	Sessions []string  `json:"sessions"`
}

func (RequestFiled) Kind() string        { return "request.filed" }
func (RequestRefused) Kind() string      { return "request.refused" }
func (RequestChanged) Kind() string      { return "request.changed" }
func (RequestDecided) Kind() string      { return "request.decided" }
func (RequestApproved) Kind() string     { return "request.approved" }
func (GrantMoved) Kind() string          { return "grant.moved" }
func (GrantSuspended) Kind() string      { return "grant.suspended" }
func (GrantRevoked) Kind() string        { return "grant.revoked" }
func (SessionRefused) Kind() string      { return "session.refused" }
func (SessionIntended) Kind() string     { return "session.intended" }
func (SessionIssued) Kind() string       { return "session.issued" }
func (SessionFailed) Kind() string       { return "session.failed" }
func (SessionUnknown) Kind() string      { return "session.unknown" }
func (EffectDone) Kind() string          { return "effect.done" }
func (EffectFailed) Kind() string        { return "effect.failed" }
func (GrantIsolated) Kind() string       { return "grant.isolated" }
func (EffectsRetried) Kind() string      { return "effect.retried" }
func (EffectsAcknowledged) Kind() string { return "effect.acknowledged" }
func (DenyRemoved) Kind() string         { return "deny.removed" }
func (DenyStays) Kind() string           { return "deny.stays" }

func (SessionsOvertaken) Kind() string { return "session.overtaken" }

// AuditRead: somebody read the log (46).
type AuditRead struct {
	From int64 `json:"from"`
	Most int   `json:"most"`
}

func (AuditRead) Kind() string { return "audit.read" }
