package usage

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
)

// Names is what becomes of names that may be those of persons.
type Names string

const (
	Keep Names = "keep"
	// Workloads keeps subjects that are built like those of workloads, with parts between colons and without an @ (repo:org/app:…,
	// system:serviceaccount:…), and drops the others, which may be persons.
	Workloads Names = "workloads"
	// Hash puts a keyed hash in the place of a name: who has not the key cannot try names, and the same name stays the same.
	Hash Names = "hash"
	Drop Names = "drop"
)

// Policy is what of personal data a record keeps. Its zero value is none; DefaultPolicy is the careful one.
type Policy struct {
	Users            Names `json:"users"`            // names of IAM users: keep, hash, drop
	Subjects         Names `json:"subjects"`         // subjects of OIDC tokens: keep, workloads, hash, drop
	SourceIdentities Names `json:"sourceIdentities"` // keep, hash, drop
	Networks         bool  `json:"networks"`         // the networks that calls come from, never single addresses
	// KeepDays is how many days are kept; 0: all.
	KeepDays int `json:"keepDays,omitempty"`
	// KeyID tells keys of hashes from each other, and tells nothing about the key; "" where nothing is hashed.
	KeyID string `json:"keyId,omitempty"`

	key []byte
}

// DefaultPolicy keeps whom trust policies name, users and workloads, and where calls come from in blocks; no source identities.
func DefaultPolicy() Policy {
	return Policy{Users: Keep, Subjects: Workloads, SourceIdentities: Drop, Networks: true}
}

// MinKey is the least length of a key in bytes.
const MinKey = 16

// WithKey is the policy with the key of its hashes. The error says what does not fit.
func (p Policy) WithKey(key []byte) (Policy, error) {
	switch {
	case !p.Hashes():
		return p, nil
	case len(key) < MinKey:
		return p, fmt.Errorf("the key to hash names has %d bytes, expected %d at least", len(key), MinKey)
	}
	p.key = key
	p.KeyID = p.hash("drawbridge key id")[:8]
	return p, nil
}

// Hashes reports whether the policy needs a key.
func (p *Policy) Hashes() bool {
	return p.Users == Hash || p.Subjects == Hash || p.SourceIdentities == Hash
}

// Check says what is wrong with a policy's choices.
func (p *Policy) Check() error {
	for _, c := range []struct {
		what    string
		choice  Names
		allowed []Names
	}{
		{"users", p.Users, []Names{Keep, Hash, Drop}},
		{"subjects", p.Subjects, []Names{Keep, Workloads, Hash, Drop}},
		{"source identities", p.SourceIdentities, []Names{Keep, Hash, Drop}},
	} {
		known := false
		for _, a := range c.allowed {
			known = known || a == c.choice
		}
		if !known {
			return fmt.Errorf("names of %s: %q is not known, expected one of %v", c.what, c.choice, c.allowed)
		}
	}
	return nil
}

func (p *Policy) compare(q *Policy) int {
	return cmp.Compare(fmt.Sprintf("%+v", p.open()), fmt.Sprintf("%+v", q.open()))
}

// open is the policy without its key.
func (p *Policy) open() Policy {
	o := *p
	o.key = nil
	return o
}

func (p *Policy) hash(name string) string {
	h := hmac.New(sha256.New, p.key)
	h.Write([]byte(name))
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// leftOut stands in front of what took the place of a name. Neither names of IAM users nor subjects that people choose begin with it.
const leftOut = "#"

func (p *Policy) name(n Names, name string) string {
	switch {
	case strings.HasPrefix(name, leftOut): // done before
		return name
	case n == Keep, n == Workloads && strings.Contains(name, ":") && !strings.Contains(name, "@"):
		return name
	case n == Hash && len(p.key) > 0:
		return leftOut + p.hash(name)
	}
	return leftOut
}

// Caller is a caller as the policy lets a record name it.
func (p *Policy) Caller(caller string) string {
	if at := strings.Index(caller, ":user/"); at >= 0 && strings.HasPrefix(caller, "arn:") {
		if p.Users == Keep {
			return caller
		}
		return caller[:at+6] + p.name(p.Users, caller[at+6:])
	}
	if rest, ok := strings.CutPrefix(caller, "oidc:"); ok && p.Subjects != Keep {
		if host, subject, ok := strings.Cut(rest, ":"); ok {
			return "oidc:" + host + ":" + p.name(p.Subjects, subject)
		}
	}
	return caller
}

// SourceIdentity is a source identity as the policy lets a record name it; "" where it does not.
func (p *Policy) SourceIdentity(name string) string {
	if name == "" || p.SourceIdentities == Drop {
		return ""
	}
	return p.name(p.SourceIdentities, name)
}

// Unnamed reports whether the name of a caller was left out or hashed, and what all callers that it may stand for begin with.
func Unnamed(caller string) (prefix string, unnamed bool) {
	if strings.HasPrefix(caller, "oidc:") {
		if at := strings.Index(caller, ":"+leftOut); at >= 0 {
			return caller[:at+1], true
		}
		return "", false
	}
	if at := strings.Index(caller, ":user/"+leftOut); at >= 0 {
		return caller[:at+6], true
	}
	return "", false
}

// May reports whether a caller of a record may be the principal or subject of an id: it is that one, or its name was left out.
func May(caller, id string) bool {
	if caller == id {
		return true
	}
	prefix, unnamed := Unnamed(caller)
	return unnamed && strings.HasPrefix(id, prefix)
}

// Network is the network that a call came from, by its sourceIPAddress: the /24 of an IPv4 address, the /48 of an IPv6 address, in
// lower case the host of an AWS service or "aws internal"; "" for anything else.
func Network(source string) string {
	if a, err := netip.ParseAddr(source); err == nil {
		a = a.Unmap().WithZone("")
		length := 48
		if a.Is4() {
			length = 24
		}
		n, err := a.Prefix(length)
		if err != nil {
			return ""
		}
		return n.String()
	}
	switch host := strings.ToLower(source); {
	case host == "aws internal", len(host) < 256 && (strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")):
		return host
	}
	return ""
}
