package sigv4

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

// signed is a request signed by the SDK's own signer.
func signed(t interface{ Fatal(...any) }, token, query, body string, header map[string]string, presign bool) *Request {
	q, err := http.NewRequest(http.MethodPost, "https://broker.example:8443/?"+query, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		q.Header.Set(name, value)
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	credentials := aws.Credentials{AccessKeyID: "DBKEXAMPLE", SecretAccessKey: secret, SessionToken: token}
	signer := v4.NewSigner()
	if presign {
		values := q.URL.Query()
		values.Set("X-Amz-Expires", "60")
		q.URL.RawQuery = values.Encode()
		address, head, err := signer.PresignHTTP(context.Background(), credentials, q, hash, "sts", "eu-west-1", noon)
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		return &Request{Method: q.Method, Path: u.EscapedPath(), Query: u.RawQuery, Host: q.Host, Header: head, Body: []byte(body)}
	}
	if err := signer.SignHTTP(context.Background(), credentials, q, hash, "sts", "eu-west-1", noon); err != nil {
		t.Fatal(err)
	}
	return &Request{Method: q.Method, Path: q.URL.EscapedPath(), Query: q.URL.RawQuery, Host: q.Host, Header: q.Header, Body: []byte(body)}
}

func verify(r *Request, now time.Time) error {
	s, err := Parse(r)
	if err != nil {
		return err
	}
	return s.Check(r, secret, now)
}

// TestAgainstTheSigner: whatever the SDK signs is taken, and no changed byte of it is.
func TestAgainstTheSigner(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("abcAZ09 -._~/+=&%é*'\t")))
		query := url.Values{}
		for range rapid.IntRange(0, 3).Draw(t, "parameters") {
			query.Add("p"+text.Draw(t, "name"), text.Draw(t, "value"))
		}
		header := map[string]string{"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
		if rapid.Bool().Draw(t, "header") {
			header["X-Drawbridge-Nonce"] = " a  b " + rapid.StringMatching(`[a-z ]*`).Draw(t, "header's value")
		}
		token := rapid.SampledFrom([]string{"", "FwoGZXIvYXdzE+/="}).Draw(t, "token")
		body := rapid.String().Draw(t, "body")
		presign := rapid.Bool().Draw(t, "presigned")
		r := signed(t, token, query.Encode(), body, header, presign)
		if err := verify(r, noon.Add(time.Second)); err != nil {
			t.Fatalf("%v: %+v", err, r)
		}
		s, _ := Parse(r)
		if s.AccessKeyID != "DBKEXAMPLE" || s.Region != "eu-west-1" || s.Service != "sts" || s.Token != token || s.Presigned != presign {
			t.Fatalf("read %+v", s)
		}
		switch rapid.IntRange(0, 5).Draw(t, "spoil") {
		case 0:
			r.Body = append(r.Body, 'x')
		case 1:
			r.Method = "GET"
		case 2:
			r.Path = "/x"
		case 3:
			r.Query += "&x=y"
		case 4:
			r.Host = "other.example"
		case 5:
			name := "Content-Type"
			if s.Presigned && !slices.Contains(s.Headers, "content-type") {
				return
			}
			r.Header[name] = []string{"text/plain"}
		}
		if err := verify(r, noon); err == nil {
			t.Fatalf("a changed request was taken: %+v", r)
		}
	})
}

func TestRefused(t *testing.T) {
	type change = func(*Request)
	header := func(old, new string) change {
		return func(r *Request) {
			r.Header["Authorization"][0] = strings.Replace(r.Header["Authorization"][0], old, new, 1)
		}
	}
	for _, tt := range []struct {
		name   string
		spoil  change
		after  time.Duration
		want   error
		reason string
	}{
		{"taken", func(*Request) {}, 0, nil, ""},
		{"unsigned", func(r *Request) { delete(r.Header, "Authorization") }, 0, ErrMissing, ""},
		{"old", func(*Request) {}, MaxSkew + time.Second, ErrExpired, ""},
		{"to come", func(*Request) {}, -MaxSkew - time.Second, ErrExpired, ""},
		{"another algorithm", header("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 0, ErrIncomplete, "AWS4-ECDSA"},
		{"another key", header("DBKEXAMPLE", "DBKANOTHER"), 0, nil, ""}, // the key's id is not signed: who looks up the secret finds another
		{"another region", header("eu-west-1", "us-east-1"), 0, ErrMismatch, ""},
		{"another service", header("/sts/", "/s3/"), 0, ErrMismatch, ""},
		{"another day in the scope", header("20261123", "20261122"), 0, ErrIncomplete, "20261122"},
		{"host not signed", header("host;", ""), 0, ErrIncomplete, "host"},
		{"date not signed", header(";x-amz-date", ""), 0, ErrIncomplete, "x-amz-date"},
		{"token not signed", header(";x-amz-security-token", ""), 0, ErrIncomplete, "token"},
		{"headers not sorted", header("content-length;content-type;host", "host;content-length;content-type"), 0, ErrIncomplete, "sorted"},
		{"a header twice", header("content-type;host", "content-type;host;host"), 0, ErrIncomplete, "once"},
		{"a header in capitals", header("content-type", "Content-Type"), 0, ErrIncomplete, "lower"},
		{"a signed header missing", header("content-length", "a;content-length"), 0, ErrIncomplete, `"a"`},
		{"a short signature", func(r *Request) { a := r.Header["Authorization"]; a[0] = a[0][:len(a[0])-2] }, 0, ErrIncomplete, "hex"},
		{"a signature in capitals", func(r *Request) {
			a := r.Header["Authorization"]
			i := strings.Index(a[0], "Signature=") + 10
			a[0] = a[0][:i] + strings.ToUpper(a[0][i:])
		}, 0, ErrIncomplete, "hex"},
		{"two headers", func(r *Request) { a := r.Header["Authorization"]; r.Header["Authorization"] = append(a, a[0]) }, 0, ErrIncomplete, "2 Authorization"},
		{"two spellings", func(r *Request) { r.Header["authorization"] = r.Header["Authorization"] }, 0, ErrIncomplete, "2 Authorization"},
		{"header and query", func(r *Request) { r.Query = "X-Amz-Signature=x" }, 0, ErrIncomplete, "header and in the query"},
		{"two dates", func(r *Request) { d := r.Header["X-Amz-Date"]; r.Header["X-Amz-Date"] = append(d, d[0]) }, 0, ErrIncomplete, "X-Amz-Date"},
		{"an unsigned body", func(r *Request) { r.Header["X-Amz-Content-Sha256"] = []string{"UNSIGNED-PAYLOAD"} }, 0, ErrIncomplete, "chunked"},
		{"a chunked body", func(r *Request) { r.Header["X-Amz-Content-Sha256"] = []string{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD"} }, 0, ErrIncomplete, "chunked"},
		{"a semicolon in the query", func(r *Request) { r.Query = "a=1;b=2" }, 0, ErrIncomplete, "query"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := signed(t, "token", "", "Action=GetCallerIdentity", map[string]string{"Content-Type": "application/x-www-form-urlencoded"}, false)
			tt.spoil(r)
			err := verify(r, noon.Add(tt.after))
			if !errors.Is(err, tt.want) || tt.want == nil && err != nil {
				t.Errorf("error %v, want %v", err, tt.want)
			}
			if tt.reason != "" && (err == nil || !strings.Contains(err.Error(), tt.reason)) {
				t.Errorf("error %v, want it to say %q", err, tt.reason)
			}
		})
	}
}

// TestPresigned: a presigned request is good for as long as it says, and says so once.
func TestPresigned(t *testing.T) {
	r := signed(t, "", "Action=GetCallerIdentity&Version=2011-06-15", "", nil, true)
	for after, want := range map[time.Duration]error{0: nil, 60 * time.Second: nil, 61 * time.Second: ErrExpired, -6 * time.Minute: ErrExpired} {
		if err := verify(r, noon.Add(after)); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("after %v: %v, want %v", after, err, want)
		}
	}
	r.Query += "&X-Amz-Expires=604800"
	if err := verify(r, noon); !errors.Is(err, ErrIncomplete) {
		t.Errorf("two lengths: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	r := signed(f, "token", "", "Action=GetCallerIdentity", nil, false)
	f.Add(r.Header["Authorization"][0], r.Header["X-Amz-Date"][0], "a=b&c=%20", "body")
	p := signed(f, "", "Action=GetCallerIdentity", "", nil, true)
	f.Add("", "", p.Query, "")
	f.Fuzz(func(t *testing.T, authorization, date, query, body string) {
		q := &Request{Method: "POST", Query: query, Host: "broker.example", Header: map[string][]string{}, Body: []byte(body)}
		if authorization != "" {
			q.Header["Authorization"] = []string{authorization}
		}
		if date != "" {
			q.Header["X-Amz-Date"] = []string{date}
		}
		if err := verify(q, noon); err == nil && q.Host != r.Host {
			t.Error("taken for another host than it was signed for")
		}
	})
}
