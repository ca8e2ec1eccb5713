package eval

import (
	"sort"
	"strconv"
	"strings"
	"time"

	"drawbridge/iam/cond"
)

// Credentials says how a caller's credentials came to be, and what they carry. The zero value is long-term credentials of a user
// without tags.
type Credentials struct {
	// Issued is when temporary credentials were made; zero: they are long-term, or it is not known.
	Issued time.Time
	// Temporary: the credentials are temporary. Long-term ones carry neither aws:TokenIssueTime nor the MFA keys (rules 41, 113).
	Temporary bool
	// Token: they are a user's, by GetSessionToken, which reach less of IAM and STS than the user (rule 11).
	Token bool
	// MFA: they were made with a second factor; MFAAge is the time since then.
	MFA    bool
	MFAAge time.Duration
	// Tags are the session's own; they win over PrincipalTags, those of the user or role (rule 112).
	Tags, PrincipalTags map[string]string
	// Transitive are the keys of the session's tags that pass down a chain (rule 128).
	Transitive []string
	// SourceIdentity stays with the session and with every session that is made from it (rule 129).
	SourceIdentity string
	// Provider is the ARN or host of the identity provider of a federated session (aws:FederatedProvider).
	Provider string
	// Chained: a session of another role made this one, so that it lasts an hour at most (rule 125). A role that a service
	// assumed for an instance or a function is not chained by that (rule 126).
	Chained bool
}

// WithCredentials is the caller with the keys that follow from its credentials. The caller itself stays as it is.
func (c *Caller) WithCredentials(s Credentials) *Caller {
	n := *c
	n.keys = cond.Context{Parent: &c.keys}
	n.token = s.Token
	n.mfa = s.MFA
	k := &n.keys
	for _, key := range [...]string{"aws:TokenIssueTime", "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge", "aws:SourceIdentity", "aws:FederatedProvider"} {
		k.SetAbsent(key)
	}
	if s.Temporary || s.Token {
		k.SetUnknown("aws:TokenIssueTime")
		if !s.Issued.IsZero() {
			k.Set("aws:TokenIssueTime", s.Issued.UTC().Format(time.RFC3339))
		}
		k.Set("aws:MultiFactorAuthPresent", strconv.FormatBool(s.MFA))
		if s.MFA {
			k.Set("aws:MultiFactorAuthAge", strconv.FormatInt(int64(s.MFAAge/time.Second), 10))
		}
	}
	if s.SourceIdentity != "" {
		k.Set("aws:SourceIdentity", s.SourceIdentity)
	}
	if s.Provider != "" {
		k.Set("aws:FederatedProvider", s.Provider)
	}
	for _, tag := range sortedTags(s.PrincipalTags) {
		k.Set("aws:PrincipalTag/"+tag, s.PrincipalTags[tag])
	}
	for _, tag := range sortedTags(s.Tags) {
		k.Set("aws:PrincipalTag/"+tag, s.Tags[tag])
	}
	return &n
}

// sortedTags are the keys in order, so that of two that differ by case alone the same one wins each time.
func sortedTags(tags map[string]string) []string {
	keys := make([]string, 0, len(tags))
	for k := range tags {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// WithClaims is a federated caller with the claims of its token as context keys: host:claim for an OIDC issuer, saml:attribute
// for a SAML provider. Names follow the colon as AWS documents them (sub, aud, amr; saml:sub_type); a claim that AWS does not
// offer as a key belongs to no key and must be left out by who calls. An OIDC token with an authorised party (azp) has that as
// its aud, and the audience as oaud.
//
// Source: IAM User Guide, "IAM and AWS STS condition context keys", Available keys for AWS OIDC federation and for SAML.
func (c *Caller) WithClaims(claims map[string][]string) *Caller {
	n := *c
	n.keys = cond.Context{Parent: &c.keys}
	prefix := "saml:"
	if c.Kind == WebIdentity {
		prefix = IssuerHost(c.ARN) + ":"
	}
	for claim, values := range claims {
		switch {
		case claim == "azp" && c.Kind == WebIdentity:
			continue
		case claim == "aud" && c.Kind == WebIdentity && len(claims["azp"]) > 0:
			n.keys.Set(prefix+"aud", claims["azp"]...)
			n.keys.Set(prefix+"oaud", values...)
			continue
		}
		n.keys.Set(prefix+claim, values...)
	}
	return &n
}

// IssuerHost is the host (and path) of an OIDC issuer, given as the provider's ARN or as the host itself: what stands before the
// colon in the issuer's condition keys.
func IssuerHost(provider string) string {
	if _, host, ok := strings.Cut(provider, ":oidc-provider/"); ok {
		return host
	}
	return provider
}

// Arrival is the way by which a request reaches AWS; it decides the network keys (rules 107, 108).
type Arrival struct {
	// SourceIP is the caller's public address; "" where it is not known. It is not sent through an endpoint.
	SourceIP string
	// Endpoint is the id of the VPC endpoint that the request passes, VPC that of its network and PrivateIP the caller's address
	// there; "" for a request from the internet.
	Endpoint, VPC, PrivateIP string
	// CalledVia are the services that forward the call for the caller, first to last (athena.amazonaws.com).
	CalledVia []string
}

// Context is the keys of the arrival over parent.
func (a Arrival) Context(parent *cond.Context) *cond.Context {
	k := &cond.Context{Parent: parent}
	set := func(key, value string) {
		k.SetUnknown(key)
		if value != "" {
			k.Set(key, value)
		}
	}
	if a.Endpoint != "" {
		k.SetAbsent("aws:SourceIp")
		set("aws:VpcSourceIp", a.PrivateIP)
		set("aws:SourceVpc", a.VPC)
		set("aws:SourceVpce", a.Endpoint)
	} else {
		set("aws:SourceIp", a.SourceIP)
		for _, key := range [...]string{"aws:VpcSourceIp", "aws:SourceVpc", "aws:SourceVpce"} {
			k.SetAbsent(key)
		}
	}
	if len(a.CalledVia) == 0 {
		k.Set("aws:ViaAWSService", "false")
		for _, key := range [...]string{"aws:CalledVia", "aws:CalledViaFirst", "aws:CalledViaLast"} {
			k.SetAbsent(key)
		}
		return k
	}
	k.Set("aws:ViaAWSService", "true")
	k.Set("aws:CalledVia", a.CalledVia...)
	k.Set("aws:CalledViaFirst", a.CalledVia[0])
	k.Set("aws:CalledViaLast", a.CalledVia[len(a.CalledVia)-1])
	k.SetUnknown("aws:SourceIp") // the service's own, which nobody documents
	return k
}
