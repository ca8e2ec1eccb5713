package awscaller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"drawbridge/internal/broker"
	"drawbridge/internal/sigv4"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const answerText = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult><Arn>%s</Arn><UserId>%s</UserId><Account>%s</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>x</RequestId></ResponseMetadata></GetCallerIdentityResponse>` + "\n"

// cloud plays AWS's STS: it holds each request to its signature, as AWS does, and says whose it is.
type cloud struct {
	t       *testing.T
	server  *httptest.Server
	answer  func(w http.ResponseWriter)
	asked   []string
	refused error
}

var keys = aws.Credentials{AccessKeyID: "ASIAEXAMPLE000000001", SecretAccessKey: "secret", SessionToken: strings.Repeat("t", 40)}

func newCloud(t *testing.T) *cloud {
	c := &cloud{t: t, answer: func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, answerText, "arn:aws:sts::111111111111:assumed-role/ci/run-7", "AROAEXAMPLE000000001:run-7", "111111111111")
	}}
	c.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		c.asked = append(c.asked, r.Host+" "+r.Method+" "+r.URL.String()+" "+string(text))
		q := &sigv4.Request{Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Host: r.Host, Header: r.Header, Body: text}
		q.Header["Content-Length"] = []string{fmt.Sprint(len(text))}
		s, err := sigv4.Parse(q)
		if err == nil {
			err = s.Check(q, keys.SecretAccessKey, noon)
		}
		if c.refused = err; err != nil {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		c.answer(w)
	}))
	t.Cleanup(c.server.Close)
	return c
}

// verifier asks this cloud whatever host it means to ask.
func (c *cloud) verifier() *Verifier {
	client := &http.Client{}
	transport := c.server.Client().Transport
	u, err := url.Parse(c.server.URL)
	if err != nil {
		c.t.Fatal(err)
	}
	client.Transport = round(func(r *http.Request) (*http.Response, error) {
		host := r.URL.Host
		r.URL.Host, r.Host = u.Host, host
		return transport.RoundTrip(r)
	})
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	spent := map[string]bool{}
	return &Verifier{Audience: "https://broker.example", Accounts: []string{"111111111111"}, Client: client, Now: func() time.Time { return noon }, Spend: func(_ context.Context, nonce string) error {
		if !strings.HasPrefix(nonce, "nonce") || spent[nonce] {
			return broker.ErrNotFound
		}
		spent[nonce] = true
		return nil
	}}
}

type round func(*http.Request) (*http.Response, error)

func (f round) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func sign(t *testing.T, k aws.Credentials, region, audience, nonce string, at time.Time) Proof {
	t.Helper()
	p, err := Sign(t.Context(), k, region, audience, nonce, at)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestProof: a role's session and a user prove themselves; the broker asks STS of their region, and nobody else.
func TestProof(t *testing.T) {
	c := newCloud(t)
	v := c.verifier()
	s, err := v.Verify(t.Context(), sign(t, keys, "eu-west-1", v.Audience, "nonce1", noon), "nonce1")
	if err != nil || s.ID != "aws:111111111111:AROAEXAMPLE000000001" || s.Name != "arn:aws:iam::111111111111:role/ci" || !s.Session || s.Account != "111111111111" {
		t.Fatalf("a role: %+v, error %v (%v)", s, err, c.refused)
	}
	if c.asked[0] != "sts.eu-west-1.amazonaws.com POST / "+body {
		t.Errorf("AWS was asked %q", c.asked[0])
	}
	c.answer = func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		fmt.Fprintf(w, answerText, "arn:aws-cn:iam::111111111111:user/ops/eve", "AIDAEXAMPLE000000001", "111111111111")
	}
	long := keys
	long.SessionToken = ""
	if s, err = v.Verify(t.Context(), sign(t, long, "cn-north-1", v.Audience, "nonce2", noon), "nonce2"); err != nil || s.Name != "arn:aws-cn:iam::111111111111:user/ops/eve" || s.Session {
		t.Errorf("a user: %+v, error %v (%v)", s, err, c.refused)
	}
	if !strings.HasPrefix(c.asked[1], "sts.cn-north-1.amazonaws.com.cn ") {
		t.Errorf("AWS was asked %q", c.asked[1])
	}
}

// TestProofRefused: what was signed for another broker, another word, another request or at another time, and what cannot be parts of a request.
func TestProofRefused(t *testing.T) {
	c := newCloud(t)
	v := c.verifier()
	good := func(change func(*Proof)) Proof {
		p := sign(t, keys, "eu-west-1", v.Audience, "nonce-x", noon)
		change(&p)
		return p
	}
	for name, p := range map[string]Proof{
		"for another broker":     sign(t, keys, "eu-west-1", "https://other.example", "nonce-x", noon),
		"with another nonce":     sign(t, keys, "eu-west-1", v.Audience, "nonce-y", noon),
		"too old":                sign(t, keys, "eu-west-1", v.Audience, "nonce-x", noon.Add(-6*time.Minute)),
		"of a time to come":      sign(t, keys, "eu-west-1", v.Audience, "nonce-x", noon.Add(6*time.Minute)),
		"another region":         good(func(p *Proof) { p.Region = "us-east-1" }),
		"a host for a region":    good(func(p *Proof) { p.Region = "evil.example/" }),
		"a region and a host":    good(func(p *Proof) { p.Region = "eu-west-1.evil.example#-1" }),
		"no region":              good(func(p *Proof) { p.Region = "" }),
		"a key with a line":      good(func(p *Proof) { p.AccessKeyID += "\r\nX: y" }),
		"a key with a scope":     good(func(p *Proof) { p.AccessKeyID += "/20261123/x" }),
		"a token with a line":    good(func(p *Proof) { p.Token += "\r\nX: y" }),
		"another token":          good(func(p *Proof) { p.Token = strings.Repeat("u", 40) }),
		"no token":               good(func(p *Proof) { p.Token = "" }),
		"another signature":      good(func(p *Proof) { p.Signature = strings.Repeat("0", 64) }),
		"a signature with more":  good(func(p *Proof) { p.Signature += ", X=y" }),
		"no signature":           good(func(p *Proof) { p.Signature = "" }),
		"another date":           good(func(p *Proof) { p.Date = "20261123T120100Z" }),
		"a date that is no date": good(func(p *Proof) { p.Date = "20261123" }),
	} {
		v := c.verifier() // whose nonce is unspent
		if s, err := v.Verify(t.Context(), p, "nonce-x"); !errors.Is(err, ErrProof) {
			t.Errorf("%s: %+v, error %v", name, s, err)
		}
	}
	for _, asked := range c.asked {
		if !strings.HasPrefix(asked, "sts.eu-west-1.amazonaws.com ") && !strings.HasPrefix(asked, "sts.us-east-1.amazonaws.com ") {
			t.Errorf("somebody else was asked: %s", asked)
		}
	}
	p := sign(t, keys, "eu-west-1", v.Audience, "nonce-x", noon)
	if _, err := v.Verify(t.Context(), p, "nonce-x"); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(t.Context(), p, "nonce-x"); !errors.Is(err, ErrProof) {
		t.Errorf("the same proof again: %v", err)
	}
	if _, err := v.Verify(t.Context(), sign(t, keys, "eu-west-1", v.Audience, "mine", noon), "mine"); !errors.Is(err, ErrProof) {
		t.Errorf("a nonce of one's own: %v", err)
	}
}

// TestAnswers: what AWS's answer must be for it to name somebody. A caller may steer parts of it, as a name.
func TestAnswers(t *testing.T) {
	good := func(arn, id, account string) string { return fmt.Sprintf(answerText, arn, id, account) }
	for name, tt := range map[string]struct {
		status     int
		kind, text string
		proof      bool // the proof is bad, and not the way to AWS
	}{
		"another account":        {200, "text/xml", good("arn:aws:sts::999999999999:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "999999999999"), true},
		"two accounts":           {200, "text/xml", good("arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "999999999999"), true},
		"root":                   {200, "text/xml", good("arn:aws:iam::111111111111:root", "111111111111", "111111111111"), true},
		"a federated user":       {200, "text/xml", good("arn:aws:sts::111111111111:federated-user/eve", "111111111111:eve", "111111111111"), true},
		"another session's name": {200, "text/xml", good("arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:s", "111111111111"), true},
		"a user's id":            {200, "text/xml", good("arn:aws:sts::111111111111:assumed-role/ci/r", "AIDAEXAMPLE000000001:r", "111111111111"), true},
		"JSON":                   {200, "application/json", good("arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "111111111111"), true},
		"another element":        {200, "text/xml", strings.ReplaceAll(good("arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "111111111111"), "GetCallerIdentityRes", "GetSessionTokenRes"), true},
		"another namespace":      {200, "text/xml", strings.ReplaceAll(good("arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "111111111111"), "sts.amazonaws.com", "evil.example"), true},
		"two elements":           {200, "text/xml", good("arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "111111111111") + "<x/>", true},
		"nothing":                {200, "text/xml", "", true},
		"a redirect":             {302, "text/xml", "", true},
		"a refusal":              {403, "text/xml", "", true},
		"a failure":              {503, "text/xml", "", false},
	} {
		c := newCloud(t)
		c.answer = func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", tt.kind)
			w.Header().Set("Location", "https://evil.example/")
			w.WriteHeader(tt.status)
			fmt.Fprint(w, tt.text)
		}
		v := c.verifier()
		if s, err := v.Verify(t.Context(), sign(t, keys, "eu-west-1", v.Audience, "nonce1", noon), "nonce1"); err == nil || errors.Is(err, ErrProof) != tt.proof {
			t.Errorf("%s: %+v, error %v", name, s, err)
		}
	}
}

// FuzzAnswer: whatever AWS's answer is, whoever it names is of a registered account and has a unique id.
func FuzzAnswer(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(answerText, "arn:aws:sts::111111111111:assumed-role/ci/r", "AROAEXAMPLE000000001:r", "111111111111")))
	f.Add([]byte("<a/>"))
	v := &Verifier{Accounts: []string{"111111111111"}}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := v.subject("text/xml", text)
		if err == nil && (s.Account != "111111111111" || !strings.HasPrefix(s.ID, "aws:111111111111:A") || !strings.Contains(s.Name, ":111111111111:")) {
			t.Errorf("%q names %+v", text, s)
		}
	})
}
