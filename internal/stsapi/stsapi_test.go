package stsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"drawbridge/internal/broker"
)

const role = "arn:aws:iam::222222222222:role/deploy"

// desk knows one key and one token, and answers as it is told.
type desk struct {
	mu     sync.Mutex
	asked  []Question
	answer error
	seen   map[string]bool
}

func (d *desk) Secret(_ context.Context, key, _ string) (string, broker.Subject, error) {
	if key != "DBKEXAMPLE" {
		return "", broker.Subject{}, ErrUnknownKey
	}
	return "secret", broker.Subject{ID: "key:ci", Name: "arn:aws:iam::111111111111:role/ci", Account: "111111111111"}, nil
}

func (d *desk) Token(_ context.Context, token string) (broker.Subject, error) {
	switch token {
	case "good-token":
		return broker.Subject{ID: "oidc:x", Issuer: "https://issuer.example", Claims: map[string]string{"sub": "repo:acme/web", "aud": "drawbridge"}}, nil
	case "old-token":
		return broker.Subject{}, fmt.Errorf("x: %w", ErrExpiredToken)
	case "used-token":
		return broker.Subject{}, fmt.Errorf("x: %w", broker.ErrSpent)
	}
	return broker.Subject{}, fmt.Errorf("x: %w", ErrBadToken)
}

func (d *desk) Once(_ context.Context, call Signed) error {
	value := call.Value
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[value] {
		return broker.ErrSpent
	}
	d.seen[value] = true
	return nil
}

func (d *desk) Assume(_ context.Context, s broker.Subject, q Question) (broker.Credentials, *broker.Grant, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q)
	if d.answer != nil {
		return broker.Credentials{}, nil, d.answer
	}
	g := &broker.Grant{Generation: 1}
	g.ID = "r-1"
	return broker.Credentials{AccessKeyID: "ASIAEXAMPLEEXAMPLE", SecretAccessKey: "secret", SessionToken: "token<&>", NotAfter: time.Date(2026, 11, 23, 13, 0, 0, 0, time.UTC), Role: "arn:aws:sts::222222222222:assumed-role/deploy/drawbridge-r-1", RoleID: "AROAEXAMPLE:drawbridge-r-1"}, g, nil
}

func serve(t *testing.T) (*desk, *httptest.Server, *[]error) {
	d := &desk{seen: make(map[string]bool)}
	var mu sync.Mutex
	n, failures := 0, new([]error)
	s := httptest.NewServer(&Handler{Desk: d, Now: time.Now, Link: func(id string) string { return "https://broker.example/requests/" + id },
		RequestID: func() string { mu.Lock(); defer mu.Unlock(); n++; return fmt.Sprint("req-", n) },
		Failed:    func(_ string, err error) { mu.Lock(); defer mu.Unlock(); *failures = append(*failures, err) }})
	t.Cleanup(s.Close)
	return d, s, failures
}

func client(s *httptest.Server, key, secret string) *sts.Client {
	return sts.New(sts.Options{Region: "eu-central-1", BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider(key, secret, "")})
}

// TestGoSDK: the unmodified client of the Go SDK gets what it expects.
func TestGoSDK(t *testing.T) {
	d, s, _ := serve(t)
	c := client(s, "DBKEXAMPLE", "secret")
	out, err := c.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("1763899200000000000"), DurationSeconds: aws.Int32(1800)})
	if err != nil {
		t.Fatal(err)
	}
	if got := *out.Credentials; *got.AccessKeyId != "ASIAEXAMPLEEXAMPLE" || *got.SessionToken != "token<&>" || got.Expiration.Unix() != 1795438800 || *out.SourceIdentity != "r-1.1" || *out.AssumedRoleUser.AssumedRoleId != "AROAEXAMPLE:drawbridge-r-1" {
		t.Errorf("got %+v, expires %d, %+v", out, got.Expiration.Unix(), out.AssumedRoleUser)
	}
	if q := d.asked[0]; q.Role != role || q.Life != 30*time.Minute || q.Idempotency == "" {
		t.Errorf("asked %+v", q)
	}
	who, err := c.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "arn:aws:iam::111111111111:role/ci" || *who.Account != "111111111111" {
		t.Errorf("caller %+v, error %v", who, err)
	}
	web, err := c.AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String(role), RoleSessionName: aws.String("ci"), WebIdentityToken: aws.String("good-token")})
	if err != nil || *web.SubjectFromWebIdentityToken != "repo:acme/web" || *web.Provider != "https://issuer.example" || *web.Audience != "drawbridge" {
		t.Errorf("with a token: %+v, error %v", web, err)
	}
}

// TestErrors: each refusal has AWS's code, and reaches the server once where trying again is of no use.
func TestErrors(t *testing.T) {
	d, s, failures := serve(t)
	assume := func(key, secret string) error {
		_, err := client(s, key, secret).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("ci")})
		return err
	}
	check := func(name string, err error, code, message string, calls int) {
		t.Helper()
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != code || !strings.Contains(api.ErrorMessage(), message) {
			t.Errorf("%s: %v; want %s with %q", name, err, code, message)
		}
		if len(d.asked) != calls {
			t.Errorf("%s: the broker was asked %d times, want %d", name, len(d.asked), calls)
		}
		d.asked, d.answer = nil, nil
	}
	check("unknown key", assume("DBKOTHER", "secret"), "InvalidClientTokenId", "", 0)
	check("wrong secret", assume("DBKEXAMPLE", "other"), "SignatureDoesNotMatch", "", 0)
	d.answer = &broker.Pending{Request: "r-7", State: broker.Awaiting}
	check("pending", assume("DBKEXAMPLE", "secret"), "AccessDenied", "request r-7 waits for people; https://broker.example/requests/r-7", 1)
	d.answer = &broker.Refusal{Why: "the registered trust has expired", Detail: "entry secret-name expired"}
	err := assume("DBKEXAMPLE", "secret")
	if strings.Contains(err.Error(), "secret-name") {
		t.Errorf("the refusal tells what is for the log: %v", err)
	}
	check("refused", err, "AccessDenied", "expired", 1)
	d.answer = &broker.TooLong{Asked: 2 * time.Hour, Most: time.Hour}
	check("too long", assume("DBKEXAMPLE", "secret"), "ValidationError", "3600 seconds", 1)
	d.answer = fmt.Errorf("%w: AWS said AccessDenied on arn:aws:iam::1:role/x", broker.ErrNotIssued)
	check("AWS refused", assume("DBKEXAMPLE", "secret"), "AccessDenied", "log has the reason", 1)
	if len(*failures) != 1 {
		t.Errorf("failures %v, want what AWS said", *failures)
	}
	d.answer = errors.New("the disk is full of canary")
	err = assume("DBKEXAMPLE", "secret")
	if strings.Contains(err.Error(), "canary") {
		t.Errorf("the client learns of the inside: %v", err)
	}
	check("inside", err, "InternalFailure", "log", 3) // clients try 5xx again
	token := func(token string) error {
		_, err := client(s, "", "").AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String(role), RoleSessionName: aws.String("ci"), WebIdentityToken: aws.String(token)})
		return err
	}
	check("bad token", token("forged-token"), "InvalidIdentityToken", "", 0)
	check("used token", token("used-token"), "InvalidIdentityToken", "", 0)
	var expired *types.ExpiredTokenException
	if err := token("old-token"); !errors.As(err, &expired) {
		t.Errorf("an expired token: %v", err)
	}
	input := &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String("ci"), SourceIdentity: aws.String("eve")}
	_, err = client(s, "DBKEXAMPLE", "secret").AssumeRole(t.Context(), input)
	check("a source identity of one's own", err, "InvalidParameterValue", "SourceIdentity", 0)
	input = &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/*-deploy"), RoleSessionName: aws.String("ci")}
	_, err = client(s, "DBKEXAMPLE", "secret").AssumeRole(t.Context(), input)
	check("a pattern", err, "ValidationError", "RoleArn", 0)
	_, err = client(s, "DBKEXAMPLE", "secret").GetSessionToken(t.Context(), &sts.GetSessionTokenInput{})
	check("another action", err, "InvalidAction", "GetSessionToken", 0)
}

// TestReplay: a captured request is not taken a second time.
func TestReplay(t *testing.T) {
	_, s, _ := serve(t)
	var captured *http.Request
	var body string
	c := sts.New(sts.Options{Region: "eu-central-1", BaseEndpoint: &s.URL, Credentials: credentials.NewStaticCredentialsProvider("DBKEXAMPLE", "secret", ""), HTTPClient: doer(func(r *http.Request) (*http.Response, error) {
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		captured, body = r.Clone(context.Background()), string(text)
		r.Body = io.NopCloser(strings.NewReader(body))
		return http.DefaultClient.Do(r)
	})})
	if _, err := c.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
		t.Fatal(err)
	}
	captured.Body = io.NopCloser(strings.NewReader(body))
	answer, err := http.DefaultClient.Do(captured)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), "made before") {
		t.Errorf("%d %s, error %v", answer.StatusCode, text, err)
	}
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error) { return d(r) }

// FuzzHandler: whatever arrives, an answer of this protocol leaves, nothing unsigned reaches the desk, and nothing panics.
func FuzzHandler(f *testing.F) {
	f.Add("POST", "/", "application/x-www-form-urlencoded", "AWS4-HMAC-SHA256 Credential=DBKEXAMPLE/20261123/eu-central-1/sts/aws4_request, SignedHeaders=host;x-amz-date, Signature=00", "Action=AssumeRole&Version=2011-06-15&RoleArn="+role+"&RoleSessionName=ci")
	f.Add("POST", "/", "application/x-www-form-urlencoded", "", "Action=AssumeRoleWithWebIdentity&WebIdentityToken=good-token&RoleArn="+role+"&RoleSessionName=ci&Tags=")
	f.Add("GET", "/?Action=GetCallerIdentity", "", "", "")
	f.Fuzz(func(t *testing.T, method, path, kind, authorization, body string) {
		d := &desk{seen: make(map[string]bool)}
		r, err := http.NewRequest(method, "http://broker.example", strings.NewReader(body))
		if err != nil {
			return
		}
		if r.URL, err = r.URL.Parse(path); err != nil {
			return
		}
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Authorization", authorization)
		w := httptest.NewRecorder()
		(&Handler{Desk: d, Now: time.Now, RequestID: func() string { return "req-1" }}).ServeHTTP(w, r)
		if !strings.Contains(w.Body.String(), "req-1</RequestId>") || w.Code == http.StatusOK && strings.Contains(w.Body.String(), "<Error>") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
		if len(d.asked) > 0 && !strings.Contains(body, "good-token") {
			t.Errorf("the desk was asked: %+v", d.asked)
		}
	})
}
