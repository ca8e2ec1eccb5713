// Package sigv4 verifies AWS Signature Version 4: whether a request was signed with a secret that the verifier holds, for the named region and service, lately, and once. It is cryptography only; it opens no connection and
// knows no keys.
//
// Source: IAM User Guide, "AWS Signature Version 4 for API requests" and "Create a signed AWS API request".
package sigv4

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Algorithm is the only one that is verified. SigV4a (asymmetric) and chunked signing are refused by name.
const Algorithm = "AWS4-HMAC-SHA256"

// MaxSkew is how far the signer's clock may be off. AWS allows 15 minutes; a broker has no reason to.
const MaxSkew = 5 * time.Minute

// Request is what was signed.
type Request struct {
	Method string
	Path   string // as sent, percent-encoded; "" is "/"
	Query  string // as sent, without the question mark
	Host   string
	Header map[string][]string // any case
	Body   []byte
}

// Signature is what a request says about its own signing. Nothing of it is to be believed before Check.
type Signature struct {
	AccessKeyID string
	Date        string // YYYYMMDD of the scope
	Region      string
	Service     string
	Headers     []string // signed, lower case, sorted
	Time        time.Time
	Expires     time.Duration // of a presigned request, else 0
	Token       string        // session token, "" where there is none
	Presigned   bool

	signature []byte
}

// Errors of requests, by what is wrong with them. Each has AWS's own error code.
var (
	ErrMissing    = errors.New("the request is not signed")                      // MissingAuthenticationToken
	ErrIncomplete = errors.New("the signature is incomplete or malformed")       // IncompleteSignature
	ErrMismatch   = errors.New("the signature does not match")                   // SignatureDoesNotMatch
	ErrExpired    = errors.New("the signature is too old, or of a time to come") // RequestExpired
)

func incomplete(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrIncomplete, fmt.Sprintf(format, args...))
}

const stamp = "20060102T150405Z"

// Parse reads the signature of a request, from its Authorization header or its query.
func Parse(r *Request) (*Signature, error) {
	query, err := url.ParseQuery(r.Query)
	if err != nil {
		return nil, incomplete("the query is malformed")
	}
	authorization := r.values("authorization")
	inQuery := false
	for name := range query {
		if strings.EqualFold(name, "X-Amz-Signature") || strings.EqualFold(name, "X-Amz-Algorithm") || strings.EqualFold(name, "X-Amz-Credential") {
			inQuery = true
		}
	}
	switch {
	case len(authorization) == 0 && !inQuery:
		return nil, ErrMissing
	case len(authorization) > 0 && inQuery:
		return nil, incomplete("it is signed in the header and in the query")
	case len(authorization) > 1:
		return nil, incomplete("there are %d Authorization headers", len(authorization))
	}
	s := &Signature{Presigned: inQuery}
	var credential, headers, signature, at string
	if inQuery {
		one := func(name string) string {
			if len(query[name]) != 1 {
				err = incomplete("expected one %s in the query, found %d", name, len(query[name]))
				return ""
			}
			return query[name][0]
		}
		algorithm := one("X-Amz-Algorithm")
		credential, headers, signature, at = one("X-Amz-Credential"), one("X-Amz-SignedHeaders"), one("X-Amz-Signature"), one("X-Amz-Date")
		expires := one("X-Amz-Expires")
		if err != nil {
			return nil, err
		}
		if algorithm != Algorithm {
			return nil, incomplete("the algorithm %q is not taken; expected %s", algorithm, Algorithm)
		}
		if s.Expires, err = time.ParseDuration(expires + "s"); err != nil || strings.ContainsAny(expires, ".-+") || s.Expires <= 0 || s.Expires > 7*24*time.Hour {
			return nil, incomplete("X-Amz-Expires is %q", expires)
		}
		if tokens := query["X-Amz-Security-Token"]; len(tokens) > 1 {
			return nil, incomplete("there are %d session tokens", len(tokens))
		} else if len(tokens) == 1 {
			s.Token = tokens[0]
		}
	} else {
		rest, ok := strings.CutPrefix(authorization[0], Algorithm+" ")
		if !ok {
			name, _, _ := strings.Cut(authorization[0], " ")
			return nil, incomplete("the algorithm %.40q is not taken; expected %s", name, Algorithm)
		}
		seen := make(map[string]bool)
		for _, part := range strings.Split(rest, ",") {
			name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
			if !ok || seen[name] {
				return nil, incomplete("the Authorization header is malformed")
			}
			seen[name] = true
			switch name {
			case "Credential":
				credential = value
			case "SignedHeaders":
				headers = value
			case "Signature":
				signature = value
			default:
				return nil, incomplete("the Authorization header has a part %.40q", name)
			}
		}
		dates := r.values("x-amz-date")
		if len(dates) != 1 {
			return nil, incomplete("expected one X-Amz-Date, found %d", len(dates))
		}
		at = dates[0]
		tokens := r.values("x-amz-security-token")
		if len(tokens) > 1 {
			return nil, incomplete("there are %d session tokens", len(tokens))
		} else if len(tokens) == 1 {
			s.Token = tokens[0]
		}
	}
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || scope[4] != "aws4_request" || slices.Contains(scope, "") {
		return nil, incomplete("expected Credential=KEY/DATE/REGION/SERVICE/aws4_request")
	}
	s.AccessKeyID, s.Date, s.Region, s.Service = scope[0], scope[1], scope[2], scope[3]
	if s.signature, err = hex.DecodeString(signature); err != nil || len(s.signature) != sha256.Size || signature != strings.ToLower(signature) {
		return nil, incomplete("the signature is no lower-case hex of %d bytes", sha256.Size)
	}
	if s.Time, err = time.Parse(stamp, at); err != nil {
		return nil, incomplete("the date %.40q is not formed like %s", at, stamp)
	}
	if s.Time.Format("20060102") != s.Date {
		return nil, incomplete("the scope is of %s, the date of %s", s.Date, s.Time.Format("20060102"))
	}
	s.Headers = strings.Split(headers, ";")
	if !slices.IsSorted(s.Headers) || len(slices.Compact(slices.Clone(s.Headers))) != len(s.Headers) || headers != strings.ToLower(headers) || headers == "" {
		return nil, incomplete("SignedHeaders must be lower case, sorted and each once")
	}
	must := []string{"host"}
	if !s.Presigned {
		must = append(must, "x-amz-date")
		if s.Token != "" {
			must = append(must, "x-amz-security-token")
		}
	}
	for _, name := range must {
		if !slices.Contains(s.Headers, name) {
			return nil, incomplete("%s is not signed", name)
		}
	}
	return s, nil
}

// Check holds a request against its signature by the secret of its key, at a time. What the request says of its own body's hash is not believed: the body is hashed.
func (s *Signature) Check(r *Request, secret string, now time.Time) error {
	age := now.Sub(s.Time)
	switch {
	case s.Presigned && (age < -MaxSkew || age > s.Expires):
		return ErrExpired
	case !s.Presigned && (age < -MaxSkew || age > MaxSkew):
		return ErrExpired
	}
	sum := sha256.Sum256(r.Body)
	payload := hex.EncodeToString(sum[:])
	if told := r.values("x-amz-content-sha256"); len(told) > 0 && (len(told) != 1 || told[0] != payload) {
		return incomplete("X-Amz-Content-Sha256 is not the hash of the body; unsigned and chunked bodies are not taken")
	}
	canonical, err := s.canonical(r, payload)
	if err != nil {
		return err
	}
	hash := sha256.Sum256([]byte(canonical))
	text := Algorithm + "\n" + s.Time.Format(stamp) + "\n" + s.Scope() + "\n" + hex.EncodeToString(hash[:])
	if subtle.ConstantTimeCompare(sign(signingKey(secret, s.Date, s.Region, s.Service), text), s.signature) != 1 {
		return ErrMismatch
	}
	return nil
}

// Scope is DATE/REGION/SERVICE/aws4_request.
func (s *Signature) Scope() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/aws4_request"
}

// Once is what a verifier remembers until Until, so that a captured request is not taken again.
func (s *Signature) Once() (value string, until time.Time) {
	until = s.Time.Add(MaxSkew)
	if s.Presigned {
		until = s.Time.Add(s.Expires)
	}
	return s.AccessKeyID + " " + hex.EncodeToString(s.signature), until
}

// canonical is the canonical request.
func (s *Signature) canonical(r *Request, payload string) (string, error) {
	var b strings.Builder
	path := r.Path
	if path == "" {
		path = "/"
	}
	query, err := canonicalQuery(r.Query, s.Presigned)
	if err != nil {
		return "", err
	}
	b.WriteString(r.Method + "\n" + path + "\n" + query + "\n")
	for _, name := range s.Headers {
		values := r.values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.Itoa(len(r.Body))} // of the body that was hashed, not what was told
		}
		if len(values) == 0 {
			return "", incomplete("the header %.40q is signed and not there", name)
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		b.WriteString(name + ":" + strings.Join(values, ",") + "\n")
	}
	b.WriteString("\n" + strings.Join(s.Headers, ";") + "\n" + payload)
	return b.String(), nil
}

func canonicalQuery(query string, presigned bool) (string, error) {
	if query == "" {
		return "", nil
	}
	var pairs [][2]string
	for _, pair := range strings.Split(query, "&") {
		name, value, _ := strings.Cut(pair, "=")
		n, err := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err != nil || err2 != nil || strings.Contains(pair, ";") {
			return "", incomplete("the query is malformed")
		}
		if presigned && n == "X-Amz-Signature" {
			continue
		}
		pairs = append(pairs, [2]string{escape(n), escape(v)})
	}
	// By name, then by value: as whole texts p0= would stand before p=.
	slices.SortFunc(pairs, func(a, b [2]string) int { return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1])) })
	parts := make([]string, len(pairs))
	for i, p := range pairs {
		parts[i] = p[0] + "=" + p[1]
	}
	return strings.Join(parts, "&"), nil
}

// escape is percent-encoding by RFC 3986: all but letters, digits and -._~.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		}
	}
	return b.String()
}

// values are a header's, by its lower-case name, in the order sent.
func (r *Request) values(lower string) []string {
	var out []string
	for name, values := range r.Header {
		if strings.ToLower(name) == lower {
			out = append(out, values...)
		}
	}
	return out
}

func signingKey(secret, date, region, service string) []byte {
	key := sign([]byte("AWS4"+secret), date)
	for _, part := range []string{region, service, "aws4_request"} {
		key = sign(key, part)
	}
	return key
}

func sign(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
