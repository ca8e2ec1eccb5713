// Package wire has the values that cross between the broker's API and those who call it, as JSON. The server and the client are both made of them, so that neither can drift; docs/reference/openapi.json is generated from them.
package wire

import "time"

// Ask is what is asked for.
type Ask struct {
	Entry     string    `json:"entry" doc:"Name of the registry's entry"`
	Target    string    `json:"target,omitempty" required:"false" doc:"ARN of the role; the entry's own where none is given"`
	Actions   []string  `json:"actions,omitempty" required:"false" doc:"A part of what the entry allows; all of it where none is given"`
	Resources []string  `json:"resources,omitempty" required:"false"`
	Life      string    `json:"life,omitempty" required:"false" doc:"How long the grant is to last, such as 4h"`
	Lower     bool      `json:"lower,omitempty" required:"false" doc:"A shorter one will do"`
	Start     time.Time `json:"start,omitzero" required:"false" doc:"When it is to begin; at once where it is not given"`
	Reason    string    `json:"reason,omitempty" required:"false"`
	Ticket    string    `json:"ticket,omitempty" required:"false"`
}

// Request is a request or grant as the API shows it.
type Request struct {
	ID         string     `json:"id"`
	State      string     `json:"state" doc:"awaiting, approved, active, suspended, revoking, stuck; or how it ended: denied, rejected, withdrawn, lapsed, expired, revoked"`
	Subject    string     `json:"subject" doc:"Who asks"`
	Entry      string     `json:"entry" doc:"The registry's entry whose terms hold"`
	Target     string     `json:"target" doc:"ARN of the role"`
	Reason     string     `json:"reason,omitempty"`
	Ticket     string     `json:"ticket,omitempty"`
	Actions    []string   `json:"actions" doc:"What may be done"`
	Resources  []string   `json:"resources"`
	Hash       string     `json:"hash" doc:"What a decision is about: it changes with the request"`
	Filed      time.Time  `json:"filed"`
	Until      *time.Time `json:"until,omitempty" doc:"Until when people may decide, or the approval must be used"`
	NotBefore  *time.Time `json:"notBefore,omitempty"`
	NotAfter   *time.Time `json:"notAfter,omitempty"`
	Life       string     `json:"life,omitempty" doc:"How long the grant lasts, such as 8h0m0s"`
	Approvals  int        `json:"approvals" doc:"How many people must say yes"`
	Approvers  []string   `json:"approvers,omitempty"`
	Decisions  []Decision `json:"decisions,omitempty"`
	Session    string     `json:"session,omitempty" doc:"The longest session, such as 1h30m0s"`
	LimitedBy  string     `json:"limitedBy,omitempty" doc:"What limits it"`
	Sessions   []Session  `json:"sessions,omitempty"`
	FencedAt   *time.Time `json:"fencedAt,omitempty" doc:"When it was taken back"`
	Effects    []Effect   `json:"effects,omitempty" doc:"What is done in AWS to cut its sessions"`
	Registry   string     `json:"registry,omitempty" doc:"Version of the registry"`
	Generation int        `json:"generation,omitempty"`
}

// Requests is a page of requests.
type Requests struct {
	Requests []Request `json:"requests"`
	Next     string    `json:"next,omitempty" doc:"Where the list goes on"`
}

// Decision is one person's.
type Decision struct {
	By      string    `json:"by"`
	Approve bool      `json:"approve"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
}

// Decide is what a person decides.
type Decide struct {
	Approve bool   `json:"approve"`
	Hash    string `json:"hash" doc:"Of the request as you saw it"`
	Reason  string `json:"reason,omitempty" required:"false"`
}

// Session is one issue of credentials.
type Session struct {
	ID          string     `json:"id"`
	State       string     `json:"state" doc:"intended, issued, failed, unclear or cut"`
	Since       time.Time  `json:"since"`
	NotAfter    time.Time  `json:"notAfter"`
	AccessKeyID string     `json:"accessKeyId,omitempty"`
	Overtaken   *time.Time `json:"overtaken,omitempty" doc:"It was cut with those of another request, which had been issued before this moment"`
}

// TakeBack is what is done about effects that are under way.
type TakeBack struct {
	Action string `json:"action" enum:"retry,quarantine,acknowledge" doc:"Try again at once; cut by the organisation's policy too; say that somebody looks after what is stuck"`
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

// Drill is a rehearsal of taking back, at an entry's target.
type Drill struct {
	Entry string     `json:"entry"`
	Role  string     `json:"role"`
	By    string     `json:"by,omitempty"`
	At    *time.Time `json:"at,omitempty" doc:"Missing where there was none"`
	Due   bool       `json:"due" doc:"There was none for ninety days"`
	Found []string   `json:"found" doc:"What is wrong; nothing where all is well"`
}

// ExternalID is what the broker says to an entry's role that it takes by AssumeRole.
type ExternalID struct {
	Entry      string    `json:"entry"`
	Vendor     string    `json:"vendor,omitempty"`
	Role       string    `json:"role"`
	BrokerRole string    `json:"brokerRole,omitempty" doc:"As whom the broker takes it"`
	Current    string    `json:"current"`
	Next       string    `json:"next,omitempty" doc:"Takes its place when it is promoted; until then the trust has to take both"`
	Made       time.Time `json:"made"`
	Revoker    []string  `json:"revoker" doc:"What it says to the role by which it takes back in that account"`
}

// ChangeExternalID is one step of a change.
type ChangeExternalID struct {
	Action string `json:"action" enum:"rotate,promote"`
}

// Drills are the last drill of each entry that the broker lets cross.
type Drills struct {
	Drills []Drill `json:"drills"`
}

// Effect is something to be done in AWS, with its three times: fenced (of the request), written, effective by.
type Effect struct {
	Kind     string `json:"kind"`
	Role     string `json:"role"`
	Attempts int    `json:"attempts"`
	Stuck    bool   `json:"stuck,omitempty"`
	// Acknowledged: somebody looks after what is stuck.
	Acknowledged *time.Time `json:"acknowledged,omitempty"`
	Older        *time.Time `json:"older,omitempty" doc:"The moment before which sessions of the role must have been issued to be cut, where the role had no room for a deny of its own"`
	Removed      *time.Time `json:"removed,omitempty" doc:"When the deny was seen to be gone: it cuts nothing any more"`
	Written      *time.Time `json:"written,omitempty"`
	EffectiveBy  *time.Time `json:"effectiveBy,omitempty"`
}

// Demand is how a session is wanted.
type Demand struct {
	Life        string `json:"life,omitempty" required:"false" doc:"How long the session is to last, such as 1h"`
	Lower       bool   `json:"lower,omitempty" required:"false" doc:"A shorter one will do"`
	Idempotency string `json:"idempotency,omitempty" required:"false" maxLength:"64"`
}

// Access asks for credentials at once: those of the grant that the caller has, else a request is filed.
type Access struct {
	Ask    Ask    `json:"ask"`
	Demand Demand `json:"demand,omitzero" required:"false"`
}

// Accessed answers Access: the credentials, or none where people must decide first.
type Accessed struct {
	Request     Request      `json:"request"`
	Credentials *Credentials `json:"credentials,omitempty"`
}

// Credentials are what is handed out, in the shape of credential_process. Source: AWS SDKs and Tools Reference Guide, "Process credential provider".
type Credentials struct {
	Version         int    `json:"Version"`
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
	SessionToken    string `json:"SessionToken"`
	Expiration      string `json:"Expiration"`
}

// Reason is why something is done that is done to others.
type Reason struct {
	Reason string `json:"reason" minLength:"1"`
}

// Lock is a lock as the API shows it.
type Lock struct {
	ID      string     `json:"id"`
	Kind    string     `json:"kind"`
	Value   string     `json:"value"`
	Reason  string     `json:"reason"`
	By      string     `json:"by"`
	At      time.Time  `json:"at"`
	Expires *time.Time `json:"expires,omitempty"`
}

// Locks are the locks in force.
type Locks struct {
	Locks []Lock `json:"locks"`
}

// SetLock says what is to be locked.
type SetLock struct {
	Kind    string    `json:"kind" enum:"subject,role,account,vendor,issuer,key,all"`
	Value   string    `json:"value,omitempty" required:"false"`
	Reason  string    `json:"reason" minLength:"1"`
	Expires time.Time `json:"expires,omitzero" required:"false"`
}

// Locked says what a lock stopped.
type Locked struct {
	ID        string   `json:"id"`
	Suspended []string `json:"suspended" doc:"Requests that were in force and are stopped"`
}

// Proof is what is exchanged for a token of the API: a workload's identity token, what an AWS identity signed, or the code that a person let a command line have, with what its challenge was made from. Empty, it is the certificate of the connection.
type Proof struct {
	Code     string    `json:"code,omitempty" required:"false" maxLength:"100"`
	Verifier string    `json:"verifier,omitempty" required:"false" maxLength:"128"`
	AWS      *AWSProof `json:"aws,omitempty" required:"false"`
	Token    string    `json:"token,omitempty" required:"false" doc:"An identity token of a registered issuer, made for this broker; it is taken once" maxLength:"20000"`
}

// Challenge is a word that an AWS identity signs, once.
type Challenge struct {
	Nonce    string `json:"nonce"`
	Audience string `json:"audience" doc:"What else is signed: the broker's address"`
}

// AWSProof are the parts of a GetCallerIdentity request that an AWS identity signed with the challenge. The broker builds that request itself.
type AWSProof struct {
	Nonce       string `json:"nonce" maxLength:"100"`
	Region      string `json:"region" maxLength:"32"`
	Date        string `json:"date" maxLength:"20"`
	AccessKeyID string `json:"accessKeyId" maxLength:"128"`
	Token       string `json:"token,omitempty" required:"false" maxLength:"8192"`
	Signature   string `json:"signature" maxLength:"64"`
}

// Token is a token of the API.
type Token struct {
	AccessToken string `json:"accessToken"`
	ExpiresIn   int    `json:"expiresIn" doc:"Seconds"`
	Subject     string `json:"subject" doc:"Who you are to the broker"`
}

// Who is who one is to the broker.
type Who struct {
	Subject string   `json:"subject"`
	Groups  []string `json:"groups,omitempty"`
	Roles   []string `json:"roles,omitempty"`
}

// Problem is an error's answer. Source: RFC 9457.
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors,omitempty"`
}

// RegistryFile is a file of the registry.
type RegistryFile struct {
	Name string `json:"name" minLength:"1" maxLength:"200"`
	Text string `json:"text" maxLength:"4000000"`
}

// RegistryText is a registry as a whole.
type RegistryText struct {
	Text []RegistryFile `json:"text" maxItems:"2000"`
	Why  string         `json:"why,omitempty" required:"false" doc:"Why it is changed"`
	// Base is the edition that was looked at; another one in force is a conflict.
	Base *string `json:"base,omitempty" required:"false" doc:"The edition that it was made from; a conflict where another is in force"`
}

// Difference is one entry or vendor that is changed.
type Difference struct {
	Kind   string   `json:"kind"`
	Name   string   `json:"name"`
	How    string   `json:"how" doc:"added, removed, changed"`
	Widens []string `json:"widens,omitempty" doc:"What may happen that could not before"`
}

// RegistryDifference is what a text would change.
type RegistryDifference struct {
	Base        string       `json:"base" doc:"The edition in force"`
	Differences []Difference `json:"differences"`
}

// Edition is one state of the registry.
type Edition struct {
	ID          string         `json:"id" doc:"Empty where no edition is in force yet"`
	Base        string         `json:"base,omitempty"`
	State       string         `json:"state" doc:"proposed, in force, replaced, rejected"`
	By          string         `json:"by"`
	At          time.Time      `json:"at,omitzero"`
	Why         string         `json:"why"`
	Differences []Difference   `json:"differences"`
	DecidedBy   string         `json:"decidedBy,omitempty"`
	Reason      string         `json:"reason,omitempty"`
	Text        []RegistryFile `json:"text,omitempty"`
}

// Editions is a list of them, without their text.
type Editions struct {
	Editions []Edition `json:"editions"`
}

// DecideEdition is a second person's decision.
type DecideEdition struct {
	Agree  bool   `json:"agree"`
	Reason string `json:"reason,omitempty" required:"false"`
}

// RegistryChanged answers a change of the registry.
type RegistryChanged struct {
	Edition Edition  `json:"edition"`
	Stopped []string `json:"stopped" doc:"Requests that are not covered any more: suspended, or revoked"`
}

// Push is a snapshot of AWS as it is pushed in parts, or was.
type Push struct {
	ID        string     `json:"id"`
	By        string     `json:"by"`
	Begun     time.Time  `json:"begun"`
	State     string     `json:"state" doc:"receiving, checking, accepted, refused; dropped: newer ones took its place"`
	Why       string     `json:"why,omitempty" doc:"Why it was refused"`
	Size      int64      `json:"size,omitempty" doc:"Of the archive, in bytes"`
	SHA256    string     `json:"sha256,omitempty"`
	Collected *time.Time `json:"collected,omitempty" doc:"Of when it says that it is"`
	Accounts  int        `json:"accounts,omitempty"`
	Roles     int        `json:"roles,omitempty"`
	Gaps      int        `json:"gaps,omitempty" doc:"What could not be read"`
}

// Pushes are those that the broker knows, the newest first.
type Pushes struct {
	Snapshots []Push `json:"snapshots"`
}

// Part is one part of a pushed snapshot: a gzip-compressed tar archive of its files, cut into parts of at most four megabytes.
type Part struct {
	Data []byte `json:"data"`
}

// PushEnd says that all parts are there.
type PushEnd struct {
	Parts  int    `json:"parts" minimum:"1" maximum:"1024"`
	SHA256 string `json:"sha256" minLength:"64" maxLength:"64" doc:"Of all parts together"`
}

// Target is what the broker knows of an entry's target, from the newest snapshot.
type Target struct {
	Entry string `json:"entry"`
	Role  string `json:"role"`
	// Known is false where no snapshot was pushed that can be used, or where it is too old; the other fields are empty then.
	Known     bool            `json:"known"`
	Why       string          `json:"why,omitempty" doc:"Why nothing is known"`
	Snapshot  string          `json:"snapshot,omitempty"`
	Collected *time.Time      `json:"collected,omitempty"`
	Exists    bool            `json:"exists,omitempty"`
	UniqueID  string          `json:"uniqueId,omitempty"`
	Boundary  string          `json:"boundary,omitempty"`
	Longest   string          `json:"longest,omitempty" doc:"The role's longest session"`
	Problems  []TargetProblem `json:"problems,omitempty" doc:"What is not as it must be for crossings by the broker"`
}

// TargetProblem is something that is not as it must be with a target.
type TargetProblem struct {
	What   string `json:"what"`
	Bypass bool   `json:"bypass,omitempty" doc:"Somebody can cross beside the broker, or the broker could do what it must not"`
}

// Reconciliation is the registry held against what exists in AWS, as the newest snapshot shows it, and what was used of it.
type Reconciliation struct {
	Snapshot  string           `json:"snapshot"`
	Collected time.Time        `json:"collected"`
	Edition   string           `json:"edition" doc:"Of the registry"`
	Counts    map[string]int   `json:"counts" doc:"By state"`
	Items     []ReconciledItem `json:"items" doc:"What is not as declared"`
}

// ReconciledItem is a trust, declared or found or both.
type ReconciledItem struct {
	State  string `json:"state" doc:"unregistered, wider, narrower, expired, gone, unused, undecided"`
	Target string `json:"target"`
	Source string `json:"source"`
	Entry  string `json:"entry,omitempty"`
	Reason string `json:"reason"`
}

// Offboard begins the offboarding of a vendor.
type Offboard struct {
	Vendor string `json:"vendor" minLength:"1" maxLength:"200"`
	Reason string `json:"reason" minLength:"1" maxLength:"1000"`
}

// Offboarding is a vendor's leaving.
type Offboarding struct {
	ID        string     `json:"id"`
	Vendor    string     `json:"vendor"`
	By        string     `json:"by"`
	Reason    string     `json:"reason"`
	At        time.Time  `json:"at"`
	Lock      string     `json:"lock"`
	State     string     `json:"state" doc:"open, proven"`
	Snapshot  string     `json:"snapshot,omitempty"`
	Collected *time.Time `json:"collected,omitempty"`
	Gone      int        `json:"gone"`
	Items     int        `json:"items"`
	Waits     []string   `json:"waits" doc:"What is missing"`
	Ended     *time.Time `json:"ended,omitempty"`
	Report    string     `json:"report,omitempty" doc:"A note, signed with the key of the audit log where there is one"`
}

// Offboardings are those that the broker knows, the newest first.
type Offboardings struct {
	Offboardings []Offboarding `json:"offboardings"`
}

// RegisterService is a machine that is to have keys of the broker's own.
type RegisterService struct {
	Name     string    `json:"name" doc:"Entries let it in as broker:NAME" maxLength:"48"`
	Sponsors []string  `json:"sponsors" doc:"People who make its keys, answer for it, and never approve for it"`
	Until    time.Time `json:"until" doc:"When it is over, at most a year ahead"`
}

// Service is a machine that signs with keys of the broker's own.
type Service struct {
	Name       string     `json:"name"`
	Subject    string     `json:"subject" doc:"Who it is to the broker; another one where the name is registered again"`
	State      string     `json:"state" doc:"live, over or ended"`
	Sponsors   []string   `json:"sponsors"`
	Registered time.Time  `json:"registered"`
	By         string     `json:"by"`
	Until      time.Time  `json:"until"`
	Ended      *time.Time `json:"ended,omitempty"`
	Keys       []Key      `json:"keys"`
}

// Key is a key of a service, without its secret.
type Key struct {
	ID      string     `json:"id"`
	State   string     `json:"state" doc:"live, over or revoked"`
	By      string     `json:"by"`
	Made    time.Time  `json:"made"`
	Expires time.Time  `json:"expires"`
	Revoked *time.Time `json:"revoked,omitempty"`
	Used    *time.Time `json:"used,omitempty" doc:"When it signed last"`
}

// Services is a list of services.
type Services struct {
	Services []Service `json:"services"`
}

// MakeKey is a key that is to be made.
type MakeKey struct {
	Life string `json:"life,omitempty" required:"false" doc:"How long it lives, such as 720h; at most 90 days, which it is where nothing is given"`
}

// NewKey is a key that was made. Its secret is told this once.
type NewKey struct {
	AccessKeyID     string    `json:"accessKeyId"`
	SecretAccessKey string    `json:"secretAccessKey"`
	Expires         time.Time `json:"expires"`
}

// EndedService is what came of ending a service.
type EndedService struct {
	Revoked []string `json:"revoked" doc:"Its requests that were in force, and are taken back"`
}
