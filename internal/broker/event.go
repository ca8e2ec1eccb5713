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
	Effect      string    `json:"effect"`
	Written     time.Time `json:"written"`
	EffectiveBy time.Time `json:"effectiveBy"`
}

// EffectFailed: an attempt did not succeed. Stuck: it was the last one.
type EffectFailed struct {
	Effect  string `json:"effect"`
	Attempt int    `json:"attempt"`
	Why     string `json:"why"`
	Stuck   bool   `json:"stuck,omitempty"`
}

func (RequestFiled) Kind() string    { return "request.filed" }
func (RequestRefused) Kind() string  { return "request.refused" }
func (RequestChanged) Kind() string  { return "request.changed" }
func (RequestDecided) Kind() string  { return "request.decided" }
func (RequestApproved) Kind() string { return "request.approved" }
func (GrantMoved) Kind() string      { return "grant.moved" }
func (GrantSuspended) Kind() string  { return "grant.suspended" }
func (GrantRevoked) Kind() string    { return "grant.revoked" }
func (SessionRefused) Kind() string  { return "session.refused" }
func (SessionIntended) Kind() string { return "session.intended" }
func (SessionIssued) Kind() string   { return "session.issued" }
func (SessionFailed) Kind() string   { return "session.failed" }
func (SessionUnknown) Kind() string  { return "session.unknown" }
func (EffectDone) Kind() string      { return "effect.done" }
func (EffectFailed) Kind() string    { return "effect.failed" }
