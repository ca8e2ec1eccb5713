package cloudtrail

import (
	"bytes"
	"hash/maphash"
	"strings"
	"time"

	"drawbridge/internal/usage"
)

// event is the part of an event that says who used what. Its texts are those of the last event until the next one is read.
// Source: AWS CloudTrail User Guide, "CloudTrail record contents" and "CloudTrail userIdentity element".
type event struct {
	id, shared, time, source, name, region, recipient, errorCode, address, category []byte
	management                                                                      bool // managementEvent is not said to be false
	// Of userIdentity.
	kind, arn, account, userName, invokedBy, provider, issuer, identity, accessKey []byte
	// Of requestParameters, which every service fills with its own: only what AssumeRole has is read.
	role, asked []byte
	seconds     []byte
	// resource is the first resource with an owner; other is the first with another owner than that one.
	resource, other struct{ arn, owner []byte }

	arnOf, ownerOf []byte // of the resource that is being read
}

func (e *event) reset() {
	for _, text := range []*[]byte{&e.id, &e.shared, &e.time, &e.source, &e.name, &e.region, &e.recipient, &e.errorCode, &e.address, &e.category} {
		*text = (*text)[:0]
	}
	e.management = true
	e.resetIdentity()
	e.resetRequest()
	e.resetResources()
}

func (e *event) resetIdentity() {
	for _, text := range []*[]byte{&e.kind, &e.arn, &e.account, &e.userName, &e.invokedBy, &e.provider, &e.accessKey} {
		*text = (*text)[:0]
	}
	e.resetSession()
}

func (e *event) resetSession() { e.issuer, e.identity = e.issuer[:0], e.identity[:0] }

func (e *event) resetRequest() { e.role, e.asked, e.seconds = e.role[:0], e.asked[:0], e.seconds[:0] }

func (e *event) resetResources() {
	e.resource.arn, e.resource.owner, e.other.arn, e.other.owner = e.resource.arn[:0], e.resource.owner[:0], e.other.arn[:0], e.other.owner[:0]
}

// reader reads events from a stream.
type reader struct {
	*scanner
	e     event
	texts cache
	// The functions that read the parts of an event, made once.
	field, identity, session, issuer, request, resource func(key []byte) error
	item                                                func() error
}

func newReader(s *scanner) *reader {
	r := &reader{scanner: s}
	e := &r.e
	r.field = func(key []byte) error {
		switch string(key) {
		case "eventID":
			return r.string(&e.id, 2)
		case "sharedEventID":
			return r.string(&e.shared, 2)
		case "eventTime":
			return r.string(&e.time, 2)
		case "eventSource":
			return r.string(&e.source, 2)
		case "eventName":
			return r.string(&e.name, 2)
		case "awsRegion":
			return r.string(&e.region, 2)
		case "recipientAccountId":
			return r.string(&e.recipient, 2)
		case "errorCode":
			return r.string(&e.errorCode, 2)
		case "sourceIPAddress":
			return r.string(&e.address, 2)
		case "eventCategory":
			return r.string(&e.category, 2)
		case "managementEvent":
			e.management = r.peek() != 'f'
			return r.skip(2)
		case "userIdentity":
			e.resetIdentity()
			return r.fields(2, r.identity)
		case "requestParameters":
			e.resetRequest()
			return r.fields(2, r.request)
		case "resources":
			e.resetResources()
			if r.peek() == '[' {
				return r.list(2, r.item)
			}
		}
		return r.skip(2)
	}
	r.identity = func(key []byte) error {
		switch string(key) {
		case "type":
			return r.string(&e.kind, 3)
		case "arn":
			return r.string(&e.arn, 3)
		case "accountId":
			return r.string(&e.account, 3)
		case "userName":
			return r.string(&e.userName, 3)
		case "invokedBy":
			return r.string(&e.invokedBy, 3)
		case "identityProvider":
			return r.string(&e.provider, 3)
		case "accessKeyId":
			return r.string(&e.accessKey, 3)
		case "sessionContext":
			e.resetSession()
			return r.fields(3, r.session)
		}
		return r.skip(3)
	}
	r.session = func(key []byte) error {
		switch string(key) {
		case "sourceIdentity":
			return r.string(&e.identity, 4)
		case "sessionIssuer":
			e.issuer = e.issuer[:0]
			return r.fields(4, r.issuer)
		}
		return r.skip(4)
	}
	r.issuer = func(key []byte) error {
		if string(key) == "arn" {
			return r.string(&e.issuer, 5)
		}
		return r.skip(5)
	}
	r.request = func(key []byte) error {
		switch string(key) {
		case "roleArn":
			return r.string(&e.role, 3)
		case "sourceIdentity":
			return r.string(&e.asked, 3)
		case "durationSeconds":
			if c := r.peek(); c == '-' || c >= '0' && c <= '9' {
				return r.number(&e.seconds)
			}
			return r.string(&e.seconds, 3)
		}
		return r.skip(3)
	}
	r.item = func() error {
		if r.peek() != '{' {
			return r.skip(3)
		}
		e.arnOf, e.ownerOf = e.arnOf[:0], e.ownerOf[:0]
		if err := r.object(3, r.resource); err != nil {
			return err
		}
		switch {
		case len(e.arnOf) == 0 || len(e.ownerOf) == 0:
		case len(e.resource.arn) == 0:
			e.resource.arn, e.resource.owner = append(e.resource.arn, e.arnOf...), append(e.resource.owner, e.ownerOf...)
		case len(e.other.arn) == 0 && !bytes.Equal(e.ownerOf, e.resource.owner):
			e.other.arn, e.other.owner = append(e.other.arn, e.arnOf...), append(e.other.owner, e.ownerOf...)
		}
		return nil
	}
	r.resource = func(key []byte) error {
		switch string(key) {
		case "ARN":
			return r.string(&e.arnOf, 4)
		case "accountId":
			return r.string(&e.ownerOf, 4)
		}
		return r.skip(4)
	}
	return r
}

// string reads a text; another kind of value, which other services may have under the same name, is none.
func (r *reader) string(into *[]byte, depth int) error {
	if r.peek() == '"' {
		return r.text(into)
	}
	*into = (*into)[:0]
	return r.skip(depth)
}

// fields reads an object; another kind of value is none.
func (r *reader) fields(depth int, field func(key []byte) error) error {
	if r.peek() == '{' {
		return r.object(depth, field)
	}
	return r.skip(depth)
}

// cache makes texts of bytes, and gives the same one again for what comes often. It forgets, so that it stays small.
type cache [8192]string

var seed = maphash.MakeSeed()

func (c *cache) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	slot := &c[maphash.Bytes(seed, b)%uint64(len(c))]
	if *slot != string(b) {
		*slot = string(b)
	}
	return *slot
}

// reduce is the event as use; false where it has no time or no call, or names something that is longer than AWS's names are.
func (r *reader) reduce() (u usage.Event, ok bool) {
	e, t := &r.e, &r.texts
	service, _, _ := bytes.Cut(e.source, []byte{'.'})
	at, ok := timeOf(e.time)
	if !ok || r.long || len(e.name) == 0 || len(service) == 0 || !usage.InRange(at) {
		return u, false
	}
	action := append(r.key[:0], service...)
	if prefix, other := usage.Services[string(service)]; other {
		action = append(action[:0], prefix...)
	}
	action = append(append(action, ':'), e.name...)
	r.key = action
	u = usage.Event{ID: string(e.id), Shared: string(e.shared), Time: at, Region: t.text(e.region), Account: t.text(e.recipient), Action: t.text(action),
		Denied: denied(e.errorCode), SourceIdentity: t.text(e.identity),
		// Events from before managementEvent and eventCategory were added say neither.
		Data: string(e.category) == "Data" || len(e.category) == 0 && !e.management}
	u.Caller, u.CallerAccount = r.caller()
	if u.Account == "" {
		u.Account = u.CallerAccount
	}
	if string(service) == "sts" && bytes.HasPrefix(e.name, []byte("AssumeRole")) {
		u.Target = t.text(e.role)
		u.TargetAccount = accountOf(u.Target)
		u.Session = secondsOf(e.seconds)
		if u.SourceIdentity == "" {
			u.SourceIdentity = t.text(e.asked)
		}
		u.Source = t.text(e.address)
		return u, true
	}
	switch {
	case len(e.resource.arn) > 0 && string(e.resource.owner) != u.CallerAccount:
		u.Target, u.TargetAccount = t.text(e.resource.arn), t.text(e.resource.owner)
	case len(e.other.arn) > 0:
		u.Target, u.TargetAccount = t.text(e.other.arn), t.text(e.other.owner)
	default:
		return u, true // used nothing of others: from where does not matter
	}
	u.Source = t.text(e.address)
	return u, true
}

// caller is who called: a session's role, a user, a service, a subject. A caller of another account is known there by its account only:
// the trail of its own account names it.
func (r *reader) caller() (name, account string) {
	e, t := &r.e, &r.texts
	switch string(e.kind) {
	case "AssumedRole":
		return t.text(e.issuer), t.text(e.account)
	case "IAMUser", "Root":
		return t.text(e.arn), t.text(e.account)
	case "FederatedUser":
		if len(e.issuer) > 0 {
			return t.text(e.issuer), t.text(e.account)
		}
		return t.text(e.arn), t.text(e.account)
	case "AWSService":
		return t.text(e.invokedBy), ""
	case "WebIdentityUser":
		return "oidc:" + strings.TrimPrefix(providerHost(string(e.provider)), "https://") + ":" + string(e.userName), ""
	case "SAMLUser":
		return t.text(e.provider), ""
	}
	return "", t.text(e.account)
}

func providerHost(provider string) string {
	if _, host, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		return host
	}
	return provider
}

// denied: AWS refused the call for want of permission. A call that failed for another reason used its permission.
func denied(code []byte) bool {
	switch string(code) {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedAccess":
		return true
	}
	return bytes.HasSuffix(code, []byte("UnauthorizedOperation"))
}

// timeOf reads a time as CloudTrail writes it, 2026-01-31T10:00:00Z, or with a fraction or another zone.
func timeOf(text []byte) (time.Time, bool) {
	if len(text) == 20 && text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' && text[16] == ':' && text[19] == 'Z' {
		n := func(from, to int) int {
			v := 0
			for _, c := range text[from:to] {
				if c < '0' || c > '9' {
					return -1 << 20
				}
				v = v*10 + int(c-'0')
			}
			return v
		}
		year, month, day, hour, minute, second := n(0, 4), n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19)
		if year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= 28 && hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 60 {
			return time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC), true
		}
	}
	at, err := time.Parse(time.RFC3339, string(text)) // the ends of months among them
	return at.UTC(), err == nil
}

// secondsOf is a length that some events write as text; what is no whole number up to a thousand million is none.
func secondsOf(text []byte) time.Duration {
	n := time.Duration(0)
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0
		}
		if n = n*10 + time.Duration(c-'0'); n > 1e9 {
			return 0
		}
	}
	return n * time.Second
}

func accountOf(arn string) string {
	fields := strings.SplitN(arn, ":", 6)
	if len(fields) < 6 {
		return ""
	}
	return fields[4]
}
