package awssts

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
	"drawbridge/internal/broker"
	"drawbridge/internal/registry"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const role = "arn:aws:iam::222222222222:role/apps/deploy"

// aws is a small AWS: it answers what it is told, remembers what it was asked, and keeps inline policies.
type fakeAWS struct {
	*httptest.Server
	mu       sync.Mutex
	asked    []url.Values
	status   int    // of the next answers; 0: it works
	code     string // of the error
	policies map[string]string
	room     int // how many inline policies a role may have
	forget   bool
}

func newAWS(t *testing.T) *fakeAWS {
	f := &fakeAWS{policies: make(map[string]string), room: 3}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeAWS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, r.PostForm)
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>canary-message</Message></Error><RequestId>r</RequestId></ErrorResponse>`, code)
	}
	if f.status > 0 {
		refuse(f.status, f.code)
		return
	}
	action, name := r.PostForm.Get("Action"), r.PostForm.Get("RoleName")+"/"+r.PostForm.Get("PolicyName")
	switch action {
	case "AssumeRole", "AssumeRoleWithWebIdentity":
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult><Credentials><AccessKeyId>ASIAEXAMPLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-23T13:00:00Z</Expiration></Credentials><AssumedRoleUser><Arn>arn:aws:sts::222222222222:assumed-role/deploy/x</Arn><AssumedRoleId>AROA:x</AssumedRoleId></AssumedRoleUser><PackedPolicySize>17</PackedPolicySize></%[1]sResult></%[1]sResponse>`, action)
	case "PutRolePolicy":
		if _, ok := f.policies[name]; !ok && len(f.policies) >= f.room && !strings.HasSuffix(name, "older-sessions") {
			refuse(http.StatusConflict, "LimitExceeded")
			return
		}
		f.policies[name] = r.PostForm.Get("PolicyDocument")
		fmt.Fprint(w, `<PutRolePolicyResponse/>`)
	case "GetRolePolicy":
		text, ok := f.policies[name]
		if !ok || f.forget {
			refuse(http.StatusNotFound, "NoSuchEntity")
			return
		}
		fmt.Fprintf(w, `<GetRolePolicyResponse><GetRolePolicyResult><RoleName>x</RoleName><PolicyName>y</PolicyName><PolicyDocument>%s</PolicyDocument></GetRolePolicyResult></GetRolePolicyResponse>`, url.PathEscape(text))
	case "DeleteRolePolicy":
		if _, ok := f.policies[name]; !ok {
			refuse(http.StatusNotFound, "NoSuchEntity")
			return
		}
		if !f.forget {
			delete(f.policies, name)
		}
		fmt.Fprint(w, `<DeleteRolePolicyResponse/>`)
	case "ListRolePolicies":
		w.Header().Set("Date", "Mon, 23 Nov 2026 12:34:56 GMT")
		fmt.Fprint(w, `<ListRolePoliciesResponse><ListRolePoliciesResult><PolicyNames/></ListRolePoliciesResult></ListRolePoliciesResponse>`)
	default:
		refuse(http.StatusBadRequest, "InvalidAction")
	}
}

func (f *fakeAWS) issuer(way Way) *Issuer {
	return &Issuer{
		STS: sts.New(sts.Options{Region: "eu-west-1", BaseEndpoint: &f.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", "")}),
		Token: func(o broker.Order) (string, error) {
			return "token-of-" + o.SourceIdentity + "-" + o.Tags["team"], nil
		},
		Way: func(string) Way { return way },
		ExternalID: func(_ context.Context, vendor, role string) (string, error) {
			if role == "" {
				return "", errors.New("none")
			}
			return "external-" + vendor, nil
		},
	}
}

// permit is one that the broker made.
func permit(t *testing.T) *broker.Permit {
	t.Helper()
	e := &registry.Entry{Name: "ci", Owner: "ann", From: registry.From{Principals: []string{"arn:aws:iam::111111111111:role/ci"}}, To: registry.To{Role: role}, Session: registry.Session{Tags: map[string]string{"team": "web"}}, Actions: []string{"s3:PutObject"}, Resources: []string{"*"},
		Approval: registry.Approval{Automatic: true}, Expires: registry.Day{Time: noon.AddDate(1, 0, 0)}}
	s := broker.Subject{ID: "aws:AROACI", Name: "arn:aws:iam::111111111111:role/ci"}
	r := broker.Request{ID: "r-1", Subject: s, Ask: broker.Ask{Entry: "ci", Target: role, Reason: "x"}, Filed: noon}
	terms, refusal := broker.Judge(e, &r, &broker.Facts{Context: &cond.Context{}, Federated: true}, noon)
	c := broker.File(r, terms, refusal, noon)
	a, err := broker.Issue(&c.Grant, &s, broker.Demand{ID: "s-1"}, nil, noon)
	if err != nil {
		t.Fatal(err)
	}
	return a.Change.Permit
}

func TestIssue(t *testing.T) {
	for way, want := range map[Way]map[string]string{
		Federated: {"Action": "AssumeRoleWithWebIdentity", "WebIdentityToken": "token-of-r-1.1-web", "SourceIdentity": "", "ExternalId": ""},
		Assumed:   {"Action": "AssumeRole", "WebIdentityToken": "", "SourceIdentity": "r-1.1", "ExternalId": "external-", "Tags.member.1.Key": "drawbridge:entry", "Tags.member.1.Value": "ci", "Tags.member.2.Key": "team", "Tags.member.2.Value": "web"},
	} {
		f := newAWS(t)
		p := permit(t)
		c, err := f.issuer(way).Issue(t.Context(), p)
		if err != nil || c.AccessKeyID != "ASIAEXAMPLE" || c.SecretAccessKey.Reveal() != "s" || c.RoleID != "AROA:x" || c.Packed != 17 || !c.NotAfter.Equal(noon.Add(time.Hour)) {
			t.Errorf("way %d: %+v, error %v", way, c, err)
		}
		want["RoleArn"], want["RoleSessionName"], want["DurationSeconds"] = role, "drawbridge-r-1", "3600"
		for name, value := range want {
			if got := f.asked[0].Get(name); got != value {
				t.Errorf("way %d: %s is %q, want %q", way, name, got, value)
			}
		}
		if !strings.Contains(f.asked[0].Get("Policy"), `"Deny"`) {
			t.Errorf("way %d: the session policy is %s", way, f.asked[0].Get("Policy"))
		}
		if _, err := f.issuer(way).Issue(t.Context(), p); !errors.Is(err, broker.ErrNotIssued) || len(f.asked) != 1 {
			t.Errorf("way %d: a spent permit: asked %d times, error %v", way, len(f.asked), err)
		}
	}
}

// TestOutcomes: AWS is asked once, and only its clear refusal means that nothing was issued.
func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		status int
		code   string
		surely bool
	}{
		{403, "AccessDenied", true}, {400, "PackedPolicyTooLarge", true}, {400, "ValidationError", true}, {400, "Throttling", true}, {400, "InvalidIdentityToken", true}, {400, "ExpiredTokenException", true},
		{500, "InternalFailure", false}, {503, "ServiceUnavailable", false}, {500, "", false},
	} {
		f := newAWS(t)
		f.status, f.code = tt.status, tt.code
		_, err := f.issuer(Assumed).Issue(t.Context(), permit(t))
		if err == nil || errors.Is(err, broker.ErrNotIssued) != tt.surely || len(f.asked) != 1 {
			t.Errorf("%d %s: asked %d times, error %v; surely not issued: want %v", tt.status, tt.code, len(f.asked), err, tt.surely)
		}
		if !tt.surely && strings.Contains(err.Error(), "canary") {
			t.Errorf("%d %s: %v", tt.status, tt.code, err)
		}
	}
	f := newAWS(t)
	f.Close() // nobody answers
	if _, err := f.issuer(Assumed).Issue(t.Context(), permit(t)); err == nil || errors.Is(err, broker.ErrNotIssued) || strings.Contains(err.Error(), "http") {
		t.Errorf("no answer: %v", err)
	}
	i := f.issuer(Assumed)
	i.ExternalID = func(context.Context, string, string) (string, error) {
		return "", errors.New("the store does not answer")
	}
	if _, err := i.Issue(t.Context(), permit(t)); !errors.Is(err, broker.ErrNotIssued) {
		t.Errorf("no ExternalId: %v", err)
	}
	i = f.issuer(Federated)
	i.Token = func(broker.Order) (string, error) { return "", errors.New("no key") }
	if _, err := i.Issue(t.Context(), permit(t)); !errors.Is(err, broker.ErrNotIssued) {
		t.Errorf("no token: %v", err)
	}
}

func TestRevoke(t *testing.T) {
	f := newAWS(t)
	r := &Revoker{Now: func() time.Time { return noon }, IAM: func(_ context.Context, target arn.ARN) (*iam.Client, error) {
		if target.Account != "222222222222" {
			t.Errorf("account %s", target.Account)
		}
		return iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: &f.URL, Credentials: credentials.NewStaticCredentialsProvider("AKIA", "x", ""), RetryMaxAttempts: 1}), nil
	}}
	effect := func(source string) broker.Effect {
		return broker.Effect{ID: "e", Kind: broker.DenySource, Source: source, Role: role}
	}
	for range 2 { // twice is as good as once (29)
		at, err := r.Carry(t.Context(), effect("r-1.1"))
		if err != nil || !at.At.Equal(noon) || !at.Older.IsZero() || len(f.policies) != 1 {
			t.Fatalf("at %v, policies %v, error %v", at, f.policies, err)
		}
	}
	want := `{"Statement":[{"Action":"*","Condition":{"StringEquals":{"aws:SourceIdentity":"r-1.1"}},"Effect":"Deny","Resource":"*","Sid":"DrawbridgeRevoked"}],"Version":"2012-10-17"}`
	if got := f.policies["deploy/drawbridge-deny-r-1.1"]; got != want {
		t.Errorf("put %s\nwant %s", got, want)
	}
	var got broker.Carried
	for _, source := range []string{"r-2.1", "r-3.1", "r-4.1"} {
		var err error
		if got, err = r.Carry(t.Context(), effect(source)); err != nil {
			t.Fatal(err)
		}
	}
	// The moment is AWS's, not the broker's.
	if text := f.policies["deploy/drawbridge-deny-older-sessions"]; !strings.Contains(text, `"aws:TokenIssueTime":"2026-11-23T12:34:57Z"`) || len(f.policies) != 4 || !got.Older.Equal(time.Date(2026, 11, 23, 12, 34, 57, 0, time.UTC)) {
		t.Errorf("a role without room: %v, %+v", f.policies, got)
	}
	for range 2 { // gone is gone (29)
		if err := r.Lift(t.Context(), effect("r-1.1")); err != nil || f.policies["deploy/drawbridge-deny-r-1.1"] != "" || len(f.policies) != 3 {
			t.Errorf("%v, left %v", err, f.policies)
		}
	}
	f.forget = true
	if _, err := r.Carry(t.Context(), effect("r-1.1")); err == nil {
		t.Error("what cannot be read back is not done")
	}
	f.status, f.code = http.StatusForbidden, "AccessDenied"
	if err := r.Lift(t.Context(), effect("r-2.1")); err == nil {
		t.Error("what may not be removed is not gone")
	}
}
