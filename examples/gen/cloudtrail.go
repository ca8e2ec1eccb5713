package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/usage"
)

// trail is what CloudTrail recorded of Acme in the three months before the snapshot: who crossed, from where, and what they did then.
type trail struct {
	events map[string][]map[string]any // by account that received the call
}

var (
	trailFrom = time.Date(2026, 8, 20, 0, 0, 0, 0, time.UTC)
	trailTo   = time.Date(2026, 11, 20, 6, 0, 0, 0, time.UTC)
)

const (
	hourly  = time.Hour
	daily   = 24 * hourly
	weekly  = 7 * daily
	monthly = 30 * daily
)

// caller is who calls, as its own trail names it.
type caller struct {
	account *account
	role    string // path and name; the session's role
	user    string
	service string // host of an AWS service
	issuer  string // host of the provider whose token was shown, with the subject
	subject string
	session string // name of the session
	from    string // address that is seen
}

func as(a *account, role string) caller {
	return caller{account: a, role: role, session: "run", from: "198.51.100." + a.ID[len(a.ID)-2:]}
}

// times are the moments of something that happens in a rhythm, a little late each time. What nobody does at weekends is left out there.
func times(every time.Duration, first, last time.Time, workdays bool, of string) []time.Time {
	var out []time.Time
	for at, n := first, 0; at.Before(last); at, n = at.Add(every), n+1 {
		if day := at.Weekday(); workdays && (day == time.Saturday || day == time.Sunday) {
			continue
		}
		late := time.Duration(hexID(fmt.Sprint(of, n), 2)[0]%9) * 97 * time.Second
		out = append(out, at.Add(late))
	}
	return out
}

// visit is a crossing that happens again and again, with what is done in the session.
type visit struct {
	by       caller
	to       *account
	role     string // path and name of the role that is taken
	every    time.Duration
	first    time.Time // zero: from the beginning of the trail
	last     time.Time // zero: to its end
	workdays bool
	seconds  int // session asked for; 0: not said
	refused  bool
	source   string // source identity
	does     []deed
}

// deed is a call in the session: service:Name, on what, of which account ("": the role's own).
type deed struct {
	action, arn, account string
}

func (t *trail) visits(v visit) {
	if v.first.IsZero() {
		v.first = trailFrom.Add(5 * hourly)
	}
	if v.last.IsZero() {
		v.last = trailTo
	}
	for _, at := range times(v.every, v.first, v.last, v.workdays, v.to.ID+v.role+v.by.role+v.by.subject) {
		t.assume(v, at)
		if v.refused {
			continue
		}
		session := caller{account: v.to, role: v.role, session: v.by.session, from: v.by.from}
		for n, d := range v.does {
			t.does(session, d, at.Add(time.Duration(n+1)*7*time.Second), v.source)
		}
	}
}

// assume records a role taken: in the caller's trail with its role, in the target's with its account alone.
func (t *trail) assume(v visit, at time.Time) {
	target := v.to.iam("role" + v.role)
	name := "AssumeRole"
	parameters := map[string]any{"roleArn": target, "roleSessionName": v.by.session}
	if v.seconds > 0 {
		parameters["durationSeconds"] = v.seconds
	}
	if v.source != "" {
		parameters["sourceIdentity"] = v.source
	}
	if v.by.issuer != "" {
		name = "AssumeRoleWithWebIdentity"
	}
	e := t.event(v.by, "sts:"+name, at, v.to.ID+target)
	e["requestParameters"] = parameters
	e["resources"] = []any{map[string]any{"ARN": target, "accountId": v.to.ID, "type": "AWS::IAM::Role"}}
	if v.refused {
		e["errorCode"], e["errorMessage"] = "AccessDenied", "User is not authorized to perform: sts:AssumeRole on resource: "+target
	} else {
		id := uniqueID("AROA", target) + ":" + v.by.session
		_, path := lastOf(v.role)
		e["responseElements"] = map[string]any{
			"credentials":     map[string]any{"accessKeyId": uniqueID("ASIA", fmt.Sprint(id, at)), "expiration": at.Add(time.Duration(max(v.seconds, 3600)) * time.Second).Format("Jan 2, 2006, 3:04:05 PM")},
			"assumedRoleUser": map[string]any{"assumedRoleId": id, "arn": "arn:aws:sts::" + v.to.ID + ":assumed-role/" + path + "/" + v.by.session},
		}
	}
	t.keep(e, v.by, v.to)
}

// does records one call of a session.
func (t *trail) does(by caller, d deed, at time.Time, source string) {
	owner := by.account
	if d.account != "" {
		owner = accountByID(d.account)
	}
	e := t.event(by, d.action, at, d.arn)
	if d.arn != "" {
		e["resources"] = []any{map[string]any{"ARN": d.arn, "accountId": owner.ID, "type": typeOf(d.arn)}}
	}
	if strings.HasPrefix(d.action, "s3:") {
		bucket, key, _ := strings.Cut(strings.TrimPrefix(d.arn, "arn:aws:s3:::"), "/")
		e["eventCategory"], e["managementEvent"] = "Data", false
		e["requestParameters"] = map[string]any{"bucketName": bucket, "key": key}
		e["resources"] = []any{map[string]any{"ARN": d.arn, "type": "AWS::S3::Object"}, map[string]any{"ARN": "arn:aws:s3:::" + bucket, "accountId": owner.ID, "type": "AWS::S3::Bucket"}}
	}
	if source != "" {
		e["userIdentity"].(map[string]any)["sessionContext"].(map[string]any)["sourceIdentity"] = source
	}
	t.keep(e, by, owner)
}

// keep writes an event into the trail that it belongs to, and into both where it is a call across accounts.
func (t *trail) keep(e map[string]any, by caller, owner *account) {
	if by.service != "" || by.issuer != "" || by.account == owner {
		t.add(owner, e)
		return
	}
	e["sharedEventID"] = uuid("shared " + e["eventID"].(string))
	other := map[string]any{}
	for k, v := range e {
		other[k] = v
	}
	principal := e["userIdentity"].(map[string]any)["principalId"]
	other["userIdentity"] = map[string]any{"type": "AWSAccount", "principalId": principal, "accountId": by.account.ID}
	other["eventID"] = uuid("theirs " + e["eventID"].(string))
	delete(other, "userAgent")
	t.add(owner, other)
	if by.account.inventoried { // the trails of vendors are not ours to read
		t.add(by.account, e)
	}
}

func (t *trail) add(a *account, e map[string]any) {
	e["recipientAccountId"] = a.ID
	t.events[a.ID] = append(t.events[a.ID], e)
}

func (t *trail) event(by caller, action string, at time.Time, about string) map[string]any {
	service, name, _ := strings.Cut(action, ":")
	id := strings.Join([]string{by.role, by.user, by.service, by.subject, action, about, at.String()}, " ")
	if by.account != nil {
		id += by.account.ID
	}
	return map[string]any{
		"eventVersion": "1.11", "eventTime": at.Format(time.RFC3339), "eventSource": sourceOf(service) + ".amazonaws.com", "eventName": name, "awsRegion": region,
		"sourceIPAddress": by.address(), "userAgent": by.agent(), "userIdentity": by.identity(at), "eventID": uuid(id),
		"readOnly": true, "eventType": "AwsApiCall", "managementEvent": true, "eventCategory": "Management",
	}
}

// sourceOf is the event source of the service whose actions have a prefix.
func sourceOf(prefix string) string {
	for source, p := range usage.Services {
		if p == prefix {
			return source
		}
	}
	return prefix
}

func (c *caller) address() string {
	if c.service != "" {
		return c.service
	}
	return c.from
}

func (c *caller) agent() string {
	if c.service != "" {
		return c.service
	}
	return "aws-sdk-go-v2/1.41.0 os/linux lang/go#1.26.0"
}

// identity is the userIdentity element. Source: AWS CloudTrail User Guide, "CloudTrail userIdentity element".
func (c *caller) identity(at time.Time) map[string]any {
	switch {
	case c.service != "":
		return map[string]any{"type": "AWSService", "invokedBy": c.service}
	case c.issuer != "":
		return map[string]any{"type": "WebIdentityUser", "principalId": c.issuer + ":sts.amazonaws.com:" + c.subject, "userName": c.subject, "identityProvider": c.issuer}
	case c.user != "":
		arn := c.account.iam("user/" + c.user)
		return map[string]any{"type": "IAMUser", "principalId": uniqueID("AIDA", arn), "arn": arn, "accountId": c.account.ID, "accessKeyId": uniqueID("AKIA", arn), "userName": c.user}
	}
	arn := c.account.iam("role" + c.role)
	_, name := lastOf(c.role)
	return map[string]any{
		"type": "AssumedRole", "principalId": uniqueID("AROA", arn) + ":" + c.session, "arn": "arn:aws:sts::" + c.account.ID + ":assumed-role/" + name + "/" + c.session,
		"accountId": c.account.ID, "accessKeyId": uniqueID("ASIA", arn+at.Format(time.DateOnly)),
		"sessionContext": map[string]any{
			"sessionIssuer": map[string]any{"type": "Role", "principalId": uniqueID("AROA", arn), "arn": arn, "accountId": c.account.ID, "userName": name},
			"attributes":    map[string]any{"creationDate": at.Add(-10 * time.Minute).Format(time.RFC3339), "mfaAuthenticated": "false"},
		},
	}
}

func lastOf(path string) (before, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:i+1], path[i+1:]
}

func accountByID(id string) *account {
	i := slices.IndexFunc(everyAccount, func(a *account) bool { return a.ID == id })
	return everyAccount[i]
}

func typeOf(arn string) string {
	switch service := strings.Split(arn, ":")[2]; service {
	case "kms":
		return "AWS::KMS::Key"
	case "dynamodb":
		return "AWS::DynamoDB::Table"
	case "lambda":
		return "AWS::Lambda::Function"
	case "ecs":
		return "AWS::ECS::Service"
	case "secretsmanager":
		return "AWS::SecretsManager::Secret"
	default:
		return "AWS::" + service
	}
}

// files are the deliveries, one for each account and month, unpacked, by their names under the bucket of the trail.
func (t *trail) files() map[string][]byte {
	out := map[string][]byte{}
	for id, events := range t.events {
		slices.SortStableFunc(events, func(a, b map[string]any) int {
			return strings.Compare(a["eventTime"].(string), b["eventTime"].(string))
		})
		for len(events) > 0 {
			month := events[0]["eventTime"].(string)[:7]
			n := slices.IndexFunc(events, func(e map[string]any) bool { return e["eventTime"].(string)[:7] != month })
			if n < 0 {
				n = len(events)
			}
			last := events[n-1]["eventTime"].(string)
			at, _ := time.Parse(time.RFC3339, last)
			name := fmt.Sprintf("AWSLogs/%s/%s/CloudTrail/%s/%s/%s_CloudTrail_%s_%s_%s.json.gz", organizationID, id, region, at.Format("2006/01/02"), id, region, at.Format("20060102T1504Z"), uniqueID("", id+month)[:16])
			data, err := json.Marshal(map[string]any{"Records": events[:n]})
			if err != nil {
				panic(err) // maps of texts
			}
			out[name] = data
			events = events[n:]
		}
	}
	return out
}

// writeTrail writes the deliveries, packed as CloudTrail packs them. A file whose events are the same is left alone: another release of
// Go may pack them to other bytes.
func writeTrail(dir string, files map[string][]byte) error {
	have, err := readTrail(dir)
	if err != nil {
		return err
	}
	for name := range have {
		if files[name] == nil {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return err
			}
		}
	}
	for name, data := range files {
		if bytes.Equal(have[name], data) {
			continue
		}
		var packed bytes.Buffer
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// readTrail unpacks the deliveries that are there.
func readTrail(dir string) (map[string][]byte, error) {
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".gz") {
			return err
		}
		packed, err := os.Open(path)
		if err != nil {
			return err
		}
		defer packed.Close()
		r, err := gzip.NewReader(packed)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		data, err := io.ReadAll(r)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		name, err := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = data
		return err
	})
	return out, err
}
