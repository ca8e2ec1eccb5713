package broker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/internal/registry"
)

// SessionState is where one issue stands. The zero value is the intent.
type SessionState uint8

const (
	Intended SessionState = iota // committed; AWS is being asked
	Issued                       // credentials were given
	Failed                       // surely none were
	Unclear                      // AWS did the work or did not: it counts as live until it is surely over
	Cut                          // shown to be cut
)

var sessionStateNames = [...]string{"intended", "issued", "failed", "unclear", "cut"}

func (s SessionState) String() string { return sessionStateNames[s] }

// MarshalText is the state's name.
func (s SessionState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *SessionState) UnmarshalText(text []byte) error {
	for i, n := range sessionStateNames {
		if n == string(text) {
			*s = SessionState(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no state of a session", text)
}

// Session is one issue of credentials.
type Session struct {
	ID         string       `json:"id"`
	Generation int          `json:"generation"`
	State      SessionState `json:"state"`
	Intended   time.Time    `json:"intended"`
	// NotAfter is the latest end: intent and full life until AWS said otherwise.
	NotAfter time.Time `json:"notAfter"`
	// Name is the role session's name. It is made by the broker (10).
	Name string `json:"name"`
	// Key is the same for the same caller, grant and parameters (7); Idempotency the caller's own key, "" where it has none.
	Key         string `json:"key"`
	Idempotency string `json:"idempotency,omitempty"`
	AccessKeyID string `json:"accessKeyId,omitempty"`
	Packed      int    `json:"packed,omitempty"` // of the room for policy and tags, in percent
	// Overtaken is the moment before which every session of the role was denied for another grant's sake; zero where that did not happen.
	Overtaken time.Time `json:"overtaken,omitzero"`
}

// live reports whether somebody may hold credentials of the session.
func (s *Session) live(now time.Time) bool {
	switch s.State {
	case Intended, Issued, Unclear:
		return now.Before(s.NotAfter)
	}
	return false
}

// Permit is the right to ask AWS once. Only Issue makes one, and only from a grant in force; an issuer takes one, so that a session without approval does not compile. It is spent by taking it.
type Permit struct {
	session Session
	entry   string
	role    string
	source  string
	vendor  string
	policy  string
	life    time.Duration
	tags    map[string]string
	spent   bool
}

// Order is what an issuer asks AWS for.
type Order struct {
	Session        string // the session's id
	Entry          string
	Role           string
	Name           string // of the role session
	SourceIdentity string // the grant's id and generation (10)
	Vendor         string // the entry's; "" for none
	Policy         string // the session policy's text
	Life           time.Duration
	Tags           map[string]string // session tags: the entry's, and EntryTag
}

// EntryTag is the session tag with the entry's name, by which policies of the target can tell crossings apart (aws:PrincipalTag/drawbridge:entry).
const EntryTag = registry.BrokerTags + "entry"

// Take spends the permit.
func (p *Permit) Take() (Order, error) {
	if p == nil || p.spent {
		return Order{}, fmt.Errorf("%w: the permit is spent", ErrNotInForce)
	}
	p.spent = true
	return Order{Session: p.session.ID, Entry: p.entry, Role: p.role, Name: p.session.Name, SourceIdentity: p.source, Vendor: p.vendor, Policy: p.policy, Life: p.life, Tags: maps.Clone(p.tags)}, nil
}

// Demand is what a caller wants of a session.
type Demand struct {
	ID   string        // of the new session, made by the caller of Issue
	Life time.Duration // 0: as long as the terms let it
	// Lower: a shorter one will do.
	Lower       bool
	Idempotency string
	// Context is what is known of the demand: where it comes from, when. Approval does not answer for it: each demand is held against the entry's conditions anew.
	Context *cond.Context
	// Held: the process has the credentials of the grant's live session with this key, so that they can be handed out again.
	Held func(session string) bool
}

// Answer to a demand: a new session, with the change and its permit, or one that is live and held.
type Answer struct {
	Change *Change
	Again  *Session
}

// Key tells demands of one grant apart: those that are the same share a session.
func (g *Grant) key(d *Demand) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%s\n%s\n%d\n%d\n%s", g.ID, g.Subject.ID, g.Generation, d.Life, d.Idempotency)))
	return hex.EncodeToString(sum[:16])
}

// Issue makes the intent of a session, with its permit. A live session of the same demand that the process holds, and that has a third of its life left, is given again instead (7).
func Issue(g *Grant, by *Subject, d Demand, locks []Lock, now time.Time) (Answer, error) {
	c := g.begin()
	c.tick(now)
	n := &c.Grant
	switch {
	case by.ID != n.Subject.ID:
		return Answer{}, ErrNotYours
	case n.State == Awaiting:
		return Answer{}, &Pending{Request: n.ID, State: n.State}
	case n.State == Approved:
		return Answer{}, &Pending{Request: n.ID, State: n.State, Start: n.NotBefore}
	case n.State != Active:
		return Answer{}, fmt.Errorf("%w: it is %s", ErrNotInForce, n.State)
	}
	for i := range locks {
		if l := &locks[i]; l.InForce(now) && l.Stops(by, n.Ask.Target, n.Vendor) {
			return Answer{}, fmt.Errorf("%w: %s", ErrLocked, l.Reason)
		}
	}
	life := n.Terms.Session
	if left := n.NotAfter.Sub(now); left < life {
		life = left
	}
	switch {
	case d.Life > life && !d.Lower:
		return Answer{}, &TooLong{Asked: d.Life, Most: life.Truncate(time.Second)}
	case d.Life > 0 && d.Life < life:
		life = d.Life
	}
	if life < MinSession {
		return Answer{}, &TooLong{Asked: MinSession, Most: life.Truncate(time.Second)}
	}
	key := n.key(&d)
	live := 0
	for i := range n.Sessions {
		s := &n.Sessions[i]
		if !s.live(now) || !s.Overtaken.IsZero() {
			continue
		}
		live++
		if s.State == Issued && s.Key == key && s.Generation == n.Generation && d.Held != nil && d.Held(s.ID) && s.NotAfter.Sub(now) > s.NotAfter.Sub(s.Intended)/3 {
			again := *s
			return Answer{Again: &again}, nil
		}
	}
	if live >= n.Terms.Sessions {
		return Answer{}, ErrTooMany
	}
	policy, err := SessionPolicy(&n.Terms, n.Ask.Target)
	if err != nil {
		return Answer{}, err
	}
	s := Session{ID: d.ID, Generation: n.Generation, Intended: now, NotAfter: now.Add(life), Name: "drawbridge-" + n.ID, Key: key, Idempotency: d.Idempotency}
	if len(s.Name) > 64 {
		s.Name = s.Name[:64]
	}
	n.Sessions = append(slices.DeleteFunc(n.Sessions, func(s Session) bool { return s.State == Failed || now.After(s.NotAfter.Add(time.Hour)) }), s)
	n.Used = true
	c.log(by.ID, SessionIntended{Session: s})
	tags := map[string]string{EntryTag: n.Ask.Entry}
	maps.Copy(tags, n.Terms.Tags)
	c.Permit = &Permit{tags: tags, session: s, entry: n.Ask.Entry, role: n.Ask.Target, source: n.source(n.Generation), vendor: n.Terms.Vendor, policy: policy, life: life}
	return Answer{Change: c}, nil
}

// Pending is the refusal that may become a yes.
type Pending struct {
	Request string
	State   State
	Start   time.Time
}

func (p *Pending) Error() string {
	if p.State == Approved {
		return fmt.Sprintf("request %s is approved from %s on", p.Request, p.Start.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("approval pending: request %s waits for people", p.Request)
}

// TooLong says how long a session may be at most.
type TooLong struct{ Asked, Most time.Duration }

func (t *TooLong) Error() string {
	return fmt.Sprintf("a session of %v is longer than is allowed: %v", t.Asked, t.Most)
}

// Outcome is how asking AWS ended.
type Outcome struct {
	State       SessionState // Issued, Failed or Unclear
	AccessKeyID string
	NotAfter    time.Time
	// Packed is how much of its room for policy and tags the session takes, in percent, as AWS said; 0 where it said nothing.
	Packed int
	Why    string
}

// Settle records the outcome of an intent. A session that was issued for a grant that was taken back meanwhile is cut like the others, and its credentials must not be given out: deliver says whether they may.
func Settle(g *Grant, session string, o Outcome, now time.Time) (c *Change, deliver bool, err error) {
	c = g.begin()
	c.tick(now)
	n := &c.Grant
	i := slices.IndexFunc(n.Sessions, func(s Session) bool { return s.ID == session })
	if i < 0 {
		return nil, false, fmt.Errorf("%w: session %s", ErrNotFound, session)
	}
	s := &n.Sessions[i]
	if s.State != Intended && s.State != Unclear {
		return nil, false, fmt.Errorf("%w: session %s is %s", ErrDecided, session, s.State)
	}
	s.State = o.State
	switch o.State {
	case Issued:
		s.AccessKeyID, s.Packed = o.AccessKeyID, o.Packed
		if o.NotAfter.Before(s.NotAfter) && !o.NotAfter.IsZero() {
			s.NotAfter = o.NotAfter
		}
		c.log(Clock, SessionIssued{Session: s.ID, AccessKeyID: s.AccessKeyID, NotAfter: s.NotAfter, Packed: s.Packed})
		deliver = n.State == Active && s.Generation == n.Generation
	case Failed:
		c.log(Clock, SessionFailed{Session: s.ID, Why: o.Why})
	default:
		s.State = Unclear
		c.log(Clock, SessionUnknown{Session: s.ID, Why: o.Why})
	}
	return c, deliver, nil
}

// maxPolicy is AWS's limit on a session policy's text, in characters.
const maxPolicy = 2048

// ErrPolicyTooLarge says that what was approved does not fit into a session policy (9).
var ErrPolicyTooLarge = fmt.Errorf("the session policy is larger than AWS's %d characters: ask for fewer actions or resources", maxPolicy)

// SessionPolicy is what a session may do: what the terms allow, and never anything to the role itself (8). Its text is the same for the same terms.
func SessionPolicy(t *Terms, role string) (string, error) {
	type statement struct {
		Effect   string
		Action   []string
		Resource []string
	}
	doc := struct {
		Version   string
		Statement []statement
	}{"2012-10-17", []statement{
		{"Allow", t.Actions, t.Resources},
		{"Deny", []string{"iam:Add*", "iam:Attach*", "iam:Create*", "iam:Delete*", "iam:Detach*", "iam:PassRole", "iam:Put*", "iam:Remove*", "iam:Set*", "iam:Tag*", "iam:Untag*", "iam:Update*"}, []string{role}},
	}}
	if t.NoChaining {
		doc.Statement = append(doc.Statement, statement{"Deny", []string{"sts:AssumeRole*", "sts:AssumeRoot", "sts:GetFederationToken", "sts:GetSessionToken", "sts:GetWebIdentityToken"}, []string{"*"}})
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		return "", fmt.Errorf("the session policy: %w", err)
	}
	text := strings.TrimSuffix(b.String(), "\n")
	if len(text) > maxPolicy {
		return "", ErrPolicyTooLarge
	}
	return text, nil
}
