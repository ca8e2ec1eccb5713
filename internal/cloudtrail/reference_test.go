package cloudtrail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"drawbridge/internal/usage"
)

// reference reads a text as Read does, with encoding/json: slowly, and one event as a whole.
func reference(text string) (events []usage.Event, bad int, err error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	one := func() error {
		var v any
		if err := d.Decode(&v); err != nil {
			return err
		}
		if u, ok := referenceEvent(v); ok {
			events = append(events, u)
		} else {
			bad++
		}
		return nil
	}
	all := func() error {
		for d.More() {
			if err := one(); err != nil {
				return err
			}
		}
		_, err := d.Token()
		return err
	}
	for {
		t, err := d.Token()
		switch {
		case errors.Is(err, io.EOF):
			return events, bad, nil
		case err != nil:
			return events, bad, err
		case t == json.Delim('['):
			if err := all(); err != nil {
				return events, bad, err
			}
			continue
		case t != json.Delim('{'):
			return events, bad, fmt.Errorf("%v is no event", t)
		}
		// What was read of the object is put back where it is an event.
		if d.More() {
			key, err := d.Token()
			if err != nil {
				return events, bad, err
			}
			if key == "Records" {
				if t, err = d.Token(); err != nil || t != json.Delim('[') {
					return events, bad, fmt.Errorf("no list of Records: %w", err)
				}
				if err := all(); err != nil {
					return events, bad, err
				}
				for d.More() {
					if _, err := d.Token(); err != nil {
						return events, bad, err
					}
					var v any
					if err := d.Decode(&v); err != nil {
						return events, bad, err
					}
				}
				if _, err := d.Token(); err != nil {
					return events, bad, err
				}
				continue
			}
			quoted, err := json.Marshal(key)
			if err != nil {
				return events, bad, err
			}
			text = "{" + string(quoted) + text[d.InputOffset():]
		} else {
			text = "{" + text[d.InputOffset():]
		}
		d = json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := one(); err != nil {
			return events, bad, err
		}
	}
}

func referenceEvent(v any) (u usage.Event, ok bool) {
	e, _ := v.(map[string]any)
	long := false
	text := func(m map[string]any, key string) string {
		s, _ := m[key].(string)
		if len(s) > longest {
			long = true
		}
		return s
	}
	object := func(m map[string]any, key string) map[string]any {
		o, _ := m[key].(map[string]any)
		return o
	}
	who, request := object(e, "userIdentity"), object(e, "requestParameters")
	session := object(who, "sessionContext")
	issuer := text(object(session, "sessionIssuer"), "arn")
	service, _, _ := strings.Cut(text(e, "eventSource"), ".")
	at, err := time.Parse(time.RFC3339, text(e, "eventTime"))
	category := text(e, "eventCategory")
	management, said := e["managementEvent"].(bool)
	u = usage.Event{ID: text(e, "eventID"), Shared: text(e, "sharedEventID"), Time: at.UTC(), Region: text(e, "awsRegion"), Account: text(e, "recipientAccountId"),
		Action: service + ":" + text(e, "eventName"), SourceIdentity: text(session, "sourceIdentity"),
		Data: category == "Data" || category == "" && said && !management}
	code, source := text(e, "errorCode"), text(e, "sourceIPAddress")
	u.Denied = code == "AccessDenied" || code == "AccessDeniedException" || strings.HasSuffix(code, "UnauthorizedOperation") || code == "UnauthorizedAccess"
	account, kind := text(who, "accountId"), text(who, "type")
	name, arn, provider, by := text(who, "userName"), text(who, "arn"), text(who, "identityProvider"), text(who, "invokedBy")
	switch kind {
	case "AssumedRole":
		u.Caller, u.CallerAccount = issuer, account
	case "IAMUser", "Root":
		u.Caller, u.CallerAccount = arn, account
	case "FederatedUser":
		if u.Caller, u.CallerAccount = issuer, account; issuer == "" {
			u.Caller = arn
		}
	case "AWSService":
		u.Caller = by
	case "WebIdentityUser":
		u.Caller = "oidc:" + strings.TrimPrefix(providerHost(provider), "https://") + ":" + name
	case "SAMLUser":
		u.Caller = provider
	default:
		u.CallerAccount = account
	}
	if u.Account == "" {
		u.Account = u.CallerAccount
	}
	role, asked := text(request, "roleArn"), text(request, "sourceIdentity")
	seconds, isText := request["durationSeconds"].(string)
	if n, isNumber := request["durationSeconds"].(json.Number); isNumber && !isText {
		seconds = string(n)
	}
	type owned struct{ arn, account string }
	var resources []owned
	list, _ := e["resources"].([]any)
	for _, item := range list {
		m, _ := item.(map[string]any)
		if r := (owned{text(m, "ARN"), text(m, "accountId")}); r.arn != "" && r.account != "" {
			resources = append(resources, r)
		}
	}
	if service == "sts" && strings.HasPrefix(text(e, "eventName"), "AssumeRole") {
		u.Target, u.TargetAccount = role, accountOf(role)
		u.Session = secondsOf([]byte(seconds))
		if u.SourceIdentity == "" {
			u.SourceIdentity = asked
		}
	} else {
		for _, r := range resources {
			if r.account != u.CallerAccount {
				u.Target, u.TargetAccount = r.arn, r.account
				break
			}
		}
	}
	if u.Target != "" || strings.HasPrefix(u.Action, "sts:AssumeRole") {
		u.Source = source
	}
	return u, err == nil && usage.InRange(at) && service != "" && text(e, "eventName") != "" && !long
}

// differ says where Read and the reference do not agree.
func differ(t *testing.T, text string) {
	t.Helper()
	want, wantBad, wantErr := reference(text)
	for name, in := range map[string]io.Reader{"whole": strings.NewReader(text), "byte by byte": iotest.OneByteReader(strings.NewReader(text))} {
		var got []usage.Event
		n, bad, err := Read(in, func(e *usage.Event) { got = append(got, *e) })
		if n != len(got) || n != len(want) || bad != wantBad || (err == nil) != (wantErr == nil) {
			t.Fatalf("%s: %d events, %d bad, %v; expected %d, %d, %v, of %q", name, n, bad, err, len(want), wantBad, wantErr, text)
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: event %d of %q:\n%+v\nexpected\n%+v", name, i, text, got[i], want[i])
			}
		}
	}
}

var differential = []string{
	`{"Records":[` + object + `]}`, callersSide + "\n" + targetsSide, `[{},null,7]`, `{"Records":[]}{"Records":[{}],"x":[1]}[]`, `{}`, ` `, `{"Records":null}`, `{"Records":[],}`, `[1,]`, `[,]`, `[1 2]`, `{"a":1,"a":{}}`,
	`[{"eventID":"\u0065\ud800x","eventT\u0069me":"2026-02-28T23:59:59Z","eventSource":"s3.x","eventName":"\"é\\"}]`, "[\"\xff\"]", "{\"eventName\":\"\xff\",\"eventTime\":\"2026-01-31T01:02:03.5+01:00\",\"eventSource\":\"a\"}",
	`[-0.5e+3,01]`, `[-]`, `[1.]`, `[1e]`, `[tru]`, `["\x"]`, `["\u12"]`, "[\"\x01\"]", `{"x":}`, `{"x" 1}`, `{x:1}`, `{"managementEvent":false,"eventTime":"2026-02-29T00:00:00Z","eventSource":"a","eventName":"b"}`,
	`{"eventTime":"2026-01-01T00:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","requestParameters":{"roleArn":["x"],"durationSeconds":1e3},"requestParameters":{"durationSeconds":900},"userIdentity":{"type":"Root","arn":"a"},"userIdentity":7}`,
	`{"eventTime":"2026-01-01T00:00:00Z","eventSource":"a","eventName":"b","userIdentity":{"accountId":"1"},"resources":[{"ARN":"x","accountId":"1"},{"ARN":"y","accountId":"2"},7,{"accountId":"3","ARN":"z","accountId":7}]}`,
	`{"eventTime":"2026-01-01T00:00:00Z","eventSource":"sts.","eventName":"AssumeRole","requestParameters":{"durationSeconds":"1000000001"}}`, `{"eventTime":"2010-01-01T00:00:00Z","eventSource":"a","eventName":"b"}`,
	`{"eventTime":"2026-01-01T00:00:00Z","eventSource":"a","eventName":"` + strings.Repeat("x", longest+1) + `"}`, `{"` + strings.Repeat("x", longest+1) + `":1}`,
	`{"eventTime":"2026-01-01T00:00:00Z","eventSource":"a","eventName":"b","x":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + `}`,
	`{"x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, `[` + strings.Repeat("[", maxDepth+1), "\x00", "[\x00]", `{"a":1}x`, `{"a":1}{`, `{"a"`, `[{"eventID":"x`,
}

func TestReadAsEncodingJSONDoes(t *testing.T) {
	for _, text := range differential {
		differ(t, text)
	}
	files, err := filepath.Glob("../../../shared/data/stratus-detonation-logs/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		differ(t, string(text))
	}
}

// FuzzReference compares the reader with encoding/json: they accept the same, and read the same out of it.
func FuzzReference(f *testing.F) {
	for _, text := range differential {
		if len(text) < 2000 {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		differ(t, text)
	})
}

// repeated is a text of any length.
type repeated struct {
	head, body, tail string
	times            int
}

func (r *repeated) Read(p []byte) (int, error) {
	switch {
	case r.head != "":
		n := copy(p, r.head)
		r.head = r.head[n:]
		return n, nil
	case r.times > 0:
		n := 0
		for r.times > 0 && n+len(r.body) <= len(p) {
			n += copy(p[n:], r.body)
			r.times--
		}
		return n, nil
	case r.tail != "":
		n := copy(p, r.tail)
		r.tail = r.tail[n:]
		return n, nil
	}
	return 0, io.EOF
}

// However long a text or deep an event, the reader holds a window of it; what is named too long is an event that is not understood.
func TestLargeEventsAreNotHeld(t *testing.T) {
	const rest = `"eventTime":"2026-01-01T00:00:00Z","eventSource":"a","eventName":"b"}]}`
	for name, c := range map[string]struct {
		in  repeated
		bad int
	}{
		"a field that is not read": {repeated{`{"Records":[{"x":"`, `0123456789\u00e9`, `",` + rest, 2 << 20}, 0},
		"a field that is":          {repeated{`{"Records":[{"eventID":"`, `0123456789\u00e9`, `",` + rest, 2 << 20}, 1},
		"a key":                    {repeated{`{"Records":[{"`, `0123456789\u00e9`, `":1,` + rest, 2 << 20}, 0},
		"a list":                   {repeated{`{"Records":[{"resources":[`, `{"ARN":"x","accountId":"1"},`, `1],` + rest, 1 << 20}, 0},
		"a number":                 {repeated{`{"Records":[{"requestParameters":{"durationSeconds":`, `12345678`, `},` + rest, 1 << 20}, 0},
	} {
		r := newReader(newScanner(nil))
		events, bad, err := r.read(&c.in, func(*usage.Event) {})
		if events != 1-c.bad || bad != c.bad || err != nil {
			t.Errorf("%s: %d events, %d bad, %v", name, events, bad, err)
		}
		if held := len(r.buf) + cap(r.key) + cap(r.e.id) + cap(r.e.seconds) + cap(r.e.resource.arn) + cap(r.e.other.arn); held > window+8*longest {
			t.Errorf("%s: %d bytes are held", name, held)
		}
	}
}
