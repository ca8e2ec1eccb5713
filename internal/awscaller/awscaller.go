// Package awscaller proves an AWS identity to a broker without giving it anything that it could use elsewhere: the caller signs a GetCallerIdentity request that carries the broker's name and a word that the broker chose, and sends the
// broker its parts; the broker builds that one request itself from the parts and asks AWS whose it is.
//
// Forwarding what a caller sent has been a way around authentication (CVE-2020-16250). So nothing is forwarded: method, address, body, header names, audience and nonce are the broker's own; only date, region, access key, session
// token and signature are the caller's, each held to its form. With another audience, nonce, body or header the signature does not match, and AWS says so. A nonce is good once.
//
// Source: AWS STS API Reference, "GetCallerIdentity"; IAM User Guide, "Create a signed AWS API request".
package awscaller

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"drawbridge/iam/arn"
	"drawbridge/internal/broker"
)

// Proof are the parts of a signed request.
type Proof struct {
	Region      string
	Date        string // of the request, 20261123T120000Z
	AccessKeyID string
	Token       string // of the session, "" for long-term keys
	Signature   string // 64 hexadecimal digits
}

// The request that is signed, but for its host.
const (
	body        = "Action=GetCallerIdentity&Version=2011-06-15"
	contentType = "application/x-www-form-urlencoded; charset=utf-8"
	stamp       = "20060102T150405Z"

	// AudienceHeader and NonceHeader are signed with it.
	AudienceHeader = "X-Drawbridge-Audience"
	NonceHeader    = "X-Drawbridge-Nonce"
)

// ErrProof says that a proof proves nobody.
var ErrProof = errors.New("the proof is not acceptable")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProof, fmt.Sprintf(format, args...))
}

// regions are how AWS's regions are named, so that a region leads to no host but STS's own.
var regions = regexp.MustCompile(`^(us-gov|us-isob|us-isof|us-iso|eu-isoe|cn|us|eu|ap|sa|ca|me|af|il|mx|eusc)(-[a-z]{2})?-[a-z]{4,12}-[1-9][0-9]?$`)

// host is the regional endpoint of STS.
func host(region string) (string, error) {
	if len(region) > 32 || !regions.MatchString(region) {
		return "", bad("%q is no region", region)
	}
	suffix := "amazonaws.com"
	for prefix, other := range map[string]string{"cn-": "amazonaws.com.cn", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov", "us-isof-": "csp.hci.ic.gov", "eu-isoe-": "cloud.adc-e.uk", "eusc-": "amazonaws.eu"} {
		if strings.HasPrefix(region, prefix) {
			suffix = other
		}
	}
	return "sts." + region + "." + suffix, nil
}

// request is the one request, without its signature.
func request(ctx context.Context, region, audience, nonce, token string) (*http.Request, error) {
	h, err := host(region)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+h+"/", strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("asking AWS who calls: %w", err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set(AudienceHeader, audience)
	r.Header.Set(NonceHeader, nonce)
	if token != "" {
		r.Header.Set("X-Amz-Security-Token", token)
	}
	return r, nil
}

// signedHeaders are those that are signed, in order.
func signedHeaders(token string) string {
	if token == "" {
		return "content-length;content-type;host;x-amz-date;x-drawbridge-audience;x-drawbridge-nonce"
	}
	return "content-length;content-type;host;x-amz-date;x-amz-security-token;x-drawbridge-audience;x-drawbridge-nonce"
}

// Sign makes a proof for a broker: audience is its address, nonce what it asked for.
func Sign(ctx context.Context, c aws.Credentials, region, audience, nonce string, at time.Time) (Proof, error) {
	r, err := request(ctx, region, audience, nonce, c.SessionToken)
	if err != nil {
		return Proof{}, err
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(ctx, c, r, hex.EncodeToString(sum[:]), "sts", region, at); err != nil {
		return Proof{}, fmt.Errorf("signing: %w", err)
	}
	authorization := r.Header.Get("Authorization")
	_, signature, ok := strings.Cut(authorization, ", Signature=")
	if !ok || !strings.Contains(authorization, "SignedHeaders="+signedHeaders(c.SessionToken)+",") {
		return Proof{}, fmt.Errorf("signing: the signer signs other headers: %s", authorization)
	}
	return Proof{Region: region, Date: r.Header.Get("X-Amz-Date"), AccessKeyID: c.AccessKeyID, Token: c.SessionToken, Signature: signature}, nil
}

// Verifier asks AWS whose proofs are. Its fields are set once.
type Verifier struct {
	// Audience is the broker's address.
	Audience string
	// Accounts are those whose identities are taken: AWS proves callers of every account of the world.
	Accounts []string
	// Client must not follow redirects.
	Client *http.Client
	Now    func() time.Time
	// Spend uses up a nonce that the broker gave out; an error that wraps broker.ErrNotFound says that it gave out none such, or that it is used or over.
	Spend func(ctx context.Context, nonce string) error
}

var (
	accessKeys = regexp.MustCompile(`^[A-Z0-9]{16,128}$`)
	tokens     = regexp.MustCompile(`^[A-Za-z0-9+/=_-]+$`)
	signatures = regexp.MustCompile(`^[0-9a-f]{64}$`)
	uniqueIDs  = regexp.MustCompile(`^A[A-Z0-9]{15,40}$`)
)

// maxToken is the longest session token.
const maxToken = 8192

// maxSkew is how old a proof may be.
const maxSkew = 5 * time.Minute

// Verify says whom a proof proves.
func (v *Verifier) Verify(ctx context.Context, p Proof, nonce string) (broker.Subject, error) {
	at, err := time.Parse(stamp, p.Date)
	now := v.Now()
	switch {
	case err != nil:
		return broker.Subject{}, bad("its date cannot be read")
	case at.Sub(now).Abs() > maxSkew:
		return broker.Subject{}, bad("it is too old, or of a time to come")
	case !accessKeys.MatchString(p.AccessKeyID), p.Token != "" && (len(p.Token) > maxToken || !tokens.MatchString(p.Token)), !signatures.MatchString(p.Signature):
		return broker.Subject{}, bad("its parts are malformed")
	}
	r, err := request(ctx, p.Region, v.Audience, nonce, p.Token)
	if err != nil {
		return broker.Subject{}, err
	}
	if err := v.Spend(ctx, nonce); err != nil {
		if errors.Is(err, broker.ErrNotFound) {
			return broker.Subject{}, bad("its nonce is none that was asked for, or was used")
		}
		return broker.Subject{}, err
	}
	r.Header.Set("X-Amz-Date", p.Date)
	r.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/%s/sts/aws4_request, SignedHeaders=%s, Signature=%s", p.AccessKeyID, p.Date[:8], p.Region, signedHeaders(p.Token), p.Signature))
	r.Header.Set("Accept", "text/xml")
	answer, err := v.Client.Do(r)
	if err != nil {
		return broker.Subject{}, errors.New("AWS could not be asked who calls") // the error's text may hold the request
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	switch {
	case err != nil:
		return broker.Subject{}, errors.New("AWS's answer about who calls was lost")
	case answer.StatusCode >= 500:
		return broker.Subject{}, fmt.Errorf("AWS answered %s when it was asked who calls", answer.Status)
	case answer.StatusCode != http.StatusOK:
		return broker.Subject{}, bad("AWS does not know it: %s", answer.Status)
	}
	return v.subject(answer.Header.Get("Content-Type"), text)
}

// identity is the answer of AWS, by its exact element names.
type identity struct {
	XMLName xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse"`
	Result  struct {
		ARN     string `xml:"https://sts.amazonaws.com/doc/2011-06-15/ Arn"`
		UserID  string `xml:"https://sts.amazonaws.com/doc/2011-06-15/ UserId"`
		Account string `xml:"https://sts.amazonaws.com/doc/2011-06-15/ Account"`
	} `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResult"`
}

// subject is who the answer names.
func (v *Verifier) subject(contentType string, text []byte) (broker.Subject, error) {
	if !strings.HasPrefix(contentType, "text/xml") {
		return broker.Subject{}, bad("AWS's answer is no XML")
	}
	var i identity
	d := xml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&i); err != nil {
		return broker.Subject{}, bad("AWS's answer cannot be read")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		// White space may follow; another element may not.
		if rest := bytes.TrimSpace(text[d.InputOffset():]); err != nil || len(rest) > 0 {
			return broker.Subject{}, bad("AWS's answer has more than one element")
		}
	}
	a, err := arn.Parse(i.Result.ARN)
	id, session, isSession := strings.Cut(i.Result.UserID, ":")
	switch {
	case err != nil || a.Account != i.Result.Account || !arn.IsAccountID(a.Account):
		return broker.Subject{}, bad("AWS's answer names nobody")
	case !slices.Contains(v.Accounts, a.Account):
		return broker.Subject{}, bad("the account %s is not registered", a.Account)
	}
	s := broker.Subject{Issuer: "aws", Account: a.Account, UniqueID: id}
	switch {
	case a.Service == "sts" && strings.HasPrefix(a.Resource, "assumed-role/"):
		parts := strings.Split(a.Resource, "/")
		if len(parts) != 3 || parts[2] != session || !isSession || !uniqueIDs.MatchString(id) || !strings.HasPrefix(id, "AROA") {
			return broker.Subject{}, bad("AWS's answer names no role's session")
		}
		// The path of the role is not in it; the name is the only one of its account.
		s.Name, s.Session = "arn:"+a.Partition+":iam::"+a.Account+":role/"+parts[1], true
	case a.Service == "iam" && strings.HasPrefix(a.Resource, "user/"):
		if isSession || !uniqueIDs.MatchString(id) || !strings.HasPrefix(id, "AIDA") {
			return broker.Subject{}, bad("AWS's answer names no user")
		}
		s.Name = i.Result.ARN
	default:
		return broker.Subject{}, bad("root users and federated users are not taken")
	}
	// The unique id, and not the name: a role that was deleted and made again is another one.
	s.ID = "aws:" + a.Account + ":" + id
	return s, nil
}
