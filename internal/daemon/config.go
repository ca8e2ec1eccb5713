// Package daemon is the wiring of drawbridged: it reads the configuration, builds the broker and its faces from it, serves them, and stops in order.
package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"
	"go.yaml.in/yaml/v3"

	"drawbridge/iam/arn"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// Config is the configuration file. docs/daemon.md describes each key; a key that is not here is an error. The zero value is the local setup.
type Config struct {
	// Listen is where the daemon answers: host:port. Without TLS only on loopback.
	Listen string `yaml:"listen"`
	// URL is how others reach it; links and the issuer begin with it.
	URL string `yaml:"url"`
	TLS struct {
		Certificate string `yaml:"certificate"` // file
		Key         string `yaml:"key"`         // file
	} `yaml:"tls"`
	// Store is sqlite:PATH or a PostgreSQL URL. It may hold a password: see Secret.
	Store Secret `yaml:"store"`
	// Registry is a file or folder of entries; where it is not given the registry is in the store, and is changed by two people.
	Registry string `yaml:"registry"`
	// Issuers are those whose tokens prove who workloads are.
	Issuers []IssuerConfig `yaml:"issuers"`
	// SPIFFE are the trust domains whose workloads prove who they are.
	SPIFFE []SPIFFEConfig `yaml:"spiffe"`
	// People is the identity provider by which people sign in.
	People PeopleConfig `yaml:"people"`
	// AWS says whose AWS identities are taken: those of these accounts, none where none is named.
	AWS struct {
		Accounts []string `yaml:"accounts"`
		// Assume is how roles are taken by AssumeRole: those of Targets, and all where the broker is no issuer.
		Assume struct {
			Role    string   `yaml:"role"`    // the broker's own, whose credentials it has
			Targets []string `yaml:"targets"` // ARNs
		} `yaml:"assume"`
	} `yaml:"aws"`
	// Quarantine is the organisation's policy that cuts sessions which the role's own policies cannot; none where it is not given.
	Quarantine struct {
		Policy string `yaml:"policy"` // the id of the service control policy
		Role   string `yaml:"role"`   // by which it is changed, in the management account or one to which Organizations is delegated
	} `yaml:"quarantine"`
	// Snapshots says who pushes them beside administrators, and how old one may be for what it says to count.
	Snapshots struct {
		From  []string      `yaml:"from"` // subjects, as entries name them
		Fresh time.Duration `yaml:"fresh"`
	} `yaml:"snapshots"`
	// Sessions are how long sessions may be, by what proves the caller: the address of an issuer, a trust domain as spiffe://NAME, aws, people or broker (keys of its own).
	Sessions map[string]time.Duration `yaml:"sessions"`
	// Keys are those that services sign with, which have no identity of their own.
	Keys struct {
		Seal []string `yaml:"seal"` // files with the keys under which their secrets lie in the store; the first seals
	} `yaml:"keys"`
	// Roles maps groups of people to what they are to the broker.
	Roles map[broker.Role][]string `yaml:"roles"`
	// Issuer is the broker's own: how it federates with target accounts.
	Issuer struct {
		Audience string      `yaml:"audience"`
		Keys     []KeyConfig `yaml:"keys"`
	} `yaml:"issuer"`
	// Audit is where checkpoints are signed and published.
	Audit struct {
		Name       string        `yaml:"name"` // of the log, as in checkpoints
		Key        string        `yaml:"key"`  // file of the signing key, or
		KMS        string        `yaml:"kms"`  // an Ed25519 key of AWS KMS, by ARN
		Every      time.Duration `yaml:"every"`
		Former     []string      `yaml:"former"`     // public keys that signed before
		Checkpoint string        `yaml:"checkpoint"` // file to which the newest is written
		S3         S3Config      `yaml:"s3"`
		Witnesses  []WitnessKey  `yaml:"witnesses"`
	} `yaml:"audit"`
	// Notify are addresses that are told what happens.
	Notify []NotifyConfig `yaml:"notify"`
	// Limits are per caller.
	Limits struct {
		PerSecond float64 `yaml:"perSecond"`
		Burst     int     `yaml:"burst"`
	} `yaml:"limits"`
	// Traces are where steps of calls are sent to, by OTLP over HTTP.
	Traces struct {
		Endpoint string  `yaml:"endpoint"` // such as http://127.0.0.1:4318/v1/traces
		Share    float64 `yaml:"share"`    // of the calls that are traced; all where nothing is said
	} `yaml:"traces"`
	Log struct {
		Level  string `yaml:"level"`  // debug, info, warn, error
		Format string `yaml:"format"` // text or json
	} `yaml:"log"`

	// Now is the clock by which requests, denies and a vendor's leaving are judged; the machine's where nothing is set. Tests move it.
	Now func() time.Time `yaml:"-"`
}

// PeopleConfig is the identity provider by which people sign in.
type PeopleConfig struct {
	Issuer string   `yaml:"issuer"`
	Client string   `yaml:"client"` // the id of this client
	Secret Secret   `yaml:"secret"` // none for a public client
	Scopes []string `yaml:"scopes"`
	Groups string   `yaml:"groups"` // the claim that lists a person's groups
	ID     string   `yaml:"id"`     // the claim by which entries name people
	// Session is how long a person stays signed in.
	Session time.Duration `yaml:"session"`
}

// NotifyConfig is an address that is told what happens.
type NotifyConfig struct {
	Name   string   `yaml:"name"`
	URL    string   `yaml:"url"`
	Secret Secret   `yaml:"secret"` // what it checks our signature with
	On     []string `yaml:"on"`     // kinds of records; none: those that people want to know of
	// Form is json, or slack for a text that people read in a chat.
	Form string `yaml:"form"`
	// Subjects are whose requests it is told of; none: all. A machine that waits is called back by an address of its own.
	Subjects []string `yaml:"subjects"`
}

// IssuerConfig is a registered issuer of tokens.
type IssuerConfig struct {
	URL      string        `yaml:"url"`
	Keys     string        `yaml:"keys"` // address of its key set
	Audience string        `yaml:"audience"`
	ID       []string      `yaml:"id"` // claims that tell its subjects apart
	Account  string        `yaml:"account"`
	MaxLife  time.Duration `yaml:"maxLife"`
	Sponsors []string      `yaml:"sponsors"`
}

// SPIFFEConfig is a registered trust domain.
type SPIFFEConfig struct {
	TrustDomain string        `yaml:"trustDomain"`
	Bundle      string        `yaml:"bundle"`   // a file, or the https address of its bundle endpoint
	Audience    string        `yaml:"audience"` // of its tokens; "": url
	MaxLife     time.Duration `yaml:"maxLife"`  // of certificates
	Sponsors    []string      `yaml:"sponsors"`
}

// S3Config is a bucket with object lock.
type S3Config struct {
	Bucket     string        `yaml:"bucket"`
	Prefix     string        `yaml:"prefix"`
	Region     string        `yaml:"region"` // "": as the SDK's settings say
	Retain     time.Duration `yaml:"retain"`
	Governance bool          `yaml:"governance"` // not compliance
}

// WitnessKey is a witness of checkpoints.
type WitnessKey struct {
	URL string `yaml:"url"` // submission prefix
	Key string `yaml:"key"` // public
}

// KeyConfig is a signing key of the broker's own.
type KeyConfig struct {
	ID    string    `yaml:"id"`
	File  string    `yaml:"file"` // or
	KMS   string    `yaml:"kms"`  // a key of AWS KMS, by ARN
	From  time.Time `yaml:"from"`
	Until time.Time `yaml:"until"`
}

// How long a person stays signed in, by default and at most: what groups say is as old as that.
const (
	personLife    = 8 * time.Hour
	maxPersonLife = 24 * time.Hour
)

// Secret is a value that is never printed: given in place, or as env:NAME or file:PATH.
type Secret struct{ value audit.Secret }

// UnmarshalYAML reads the text; where it names a variable or file the value is read from there.
func (s *Secret) UnmarshalYAML(n *yaml.Node) error {
	var text string
	if err := n.Decode(&text); err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(text, "env:"); ok {
		value, ok := os.LookupEnv(name)
		if !ok {
			return fmt.Errorf("line %d: the environment has no variable %s", n.Line, name)
		}
		text = value
	} else if path, ok := strings.CutPrefix(text, "file:"); ok {
		value, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("line %d: %w", n.Line, err)
		}
		text = strings.TrimRight(string(value), "\r\n")
	}
	s.value = audit.Secret(text)
	return nil
}

// SecretOf makes a secret of a text.
func SecretOf(text string) Secret { return Secret{audit.Secret(text)} }

// Reveal is the value, for the one place that must have it.
func (s Secret) Reveal() string { return s.value.Reveal() }

// String hides the value.
func (s Secret) String() string { return s.value.String() }

// GoString hides the value.
func (s Secret) GoString() string { return s.value.GoString() }

// MarshalYAML hides the value.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// ErrConfig says that the configuration cannot be used.
var ErrConfig = errors.New("the configuration has mistakes")

// ParseConfig reads a configuration. Every mistake is told, with its line where it has one.
func ParseConfig(name string, text []byte) (*Config, error) {
	c := new(Config)
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, name, err)
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%w: %s: expected one document", ErrConfig, name)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrConfig, name, err)
	}
	return c, nil
}

// check finds what cannot work, or would be unsafe.
func (c *Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Listen != "" {
		host, _, err := net.SplitHostPort(c.Listen)
		if err != nil {
			bad("listen: expected host:port, found %q", c.Listen)
		} else if c.TLS.Certificate == "" && !loopback(host) {
			bad("listen: %s is not loopback, and there is no TLS: credentials would cross the network in the clear", c.Listen)
		}
	}
	if (c.TLS.Certificate == "") != (c.TLS.Key == "") {
		bad("tls: certificate and key belong together")
	}
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) || strings.HasSuffix(c.URL, "/") {
			bad("url: expected https://host without a slash at the end, found %q", c.URL)
		}
	}
	seen := make(map[string]bool)
	for i := range c.Issuers {
		k := &c.Issuers[i]
		switch {
		case k.URL == "":
			bad("issuers[%d]: url is missing", i)
		case seen[k.URL]:
			bad("issuers[%d]: %s comes twice", i, k.URL)
		case !strings.HasPrefix(k.URL, "https://"):
			bad("issuers[%d]: url: expected https, found %q", i, k.URL)
		}
		seen[k.URL] = true
		if !strings.HasPrefix(k.Keys, "https://") {
			bad("issuers[%d]: keys: expected the https address of its key set, found %q", i, k.Keys)
		}
		if k.Audience == "" {
			bad("issuers[%d]: audience is missing: a token that is made for somebody else would be taken", i)
		}
	}
	if p := &c.People; p.Issuer != "" || p.Client != "" {
		u, err := url.Parse(p.Issuer)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
			bad("people: issuer: expected the https address of an identity provider, found %q", p.Issuer)
		case p.Client == "":
			bad("people: client is missing: the id that the identity provider gave this broker")
		case c.URL == "":
			bad("people: the identity provider sends people back to url, which is missing")
		case p.Session < 0 || p.Session > maxPersonLife:
			bad("people: session: expected at most %v, found %v", maxPersonLife, p.Session)
		}
	}
	domains := make(map[string]bool)
	for i, k := range c.SPIFFE {
		td, err := spiffeid.TrustDomainFromString(k.TrustDomain)
		switch {
		case err != nil || td.Name() != k.TrustDomain:
			bad("spiffe[%d]: trustDomain: expected a name like acme.example, found %q", i, k.TrustDomain)
		case domains[k.TrustDomain]:
			bad("spiffe[%d]: %s comes twice", i, k.TrustDomain)
		case k.Bundle == "" || strings.Contains(k.Bundle, "://") && !strings.HasPrefix(k.Bundle, "https://"):
			bad("spiffe[%d]: bundle: expected a file, or the https address of its bundle endpoint, found %q", i, k.Bundle)
		case k.MaxLife < 0:
			bad("spiffe[%d]: maxLife: expected a time above zero, found %v", i, k.MaxLife)
		}
		domains[k.TrustDomain] = true
	}
	for _, a := range c.AWS.Accounts {
		if !arn.IsAccountID(a) {
			bad("aws.accounts: %q is no account: expected twelve digits, in quotes", a)
		}
	}
	for i, role := range append([]string{c.AWS.Assume.Role}, c.AWS.Assume.Targets...) {
		if a, err := arn.Parse(role); role != "" && (err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/")) || role == "" && i > 0 {
			bad("aws: assume: expected the ARN of a role, found %q", role)
		}
	}
	if len(c.AWS.Assume.Targets) > 0 && c.AWS.Assume.Role == "" {
		bad("aws: assume: role is missing: as whom the broker takes these")
	}
	if len(c.AWS.Accounts) > 0 && c.URL == "" {
		bad("aws: identities sign for url, which is missing")
	}
	if q := c.Quarantine; q.Policy != "" || q.Role != "" {
		a, err := arn.Parse(q.Role)
		switch {
		case !quarantinePolicy.MatchString(q.Policy):
			bad("quarantine: policy: expected the id of a service control policy, such as p-examplepolicyid111, found %q", q.Policy)
		case err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "role/"):
			bad("quarantine: role: expected the ARN of a role, found %q", q.Role)
		}
	}
	for who, most := range c.Sessions {
		known := slices.Contains([]string{"aws", "people", "broker"}, who) || slices.ContainsFunc(c.Issuers, func(k IssuerConfig) bool { return k.URL == who }) ||
			slices.ContainsFunc(c.SPIFFE, func(k SPIFFEConfig) bool { return "spiffe://"+k.TrustDomain == who })
		switch {
		case !known:
			bad("sessions: %q is none of the issuers, nor aws, people or broker", who)
		case most < broker.MinSession || most > broker.MaxSession:
			bad("sessions: %s: expected a time from %v to %v, found %v", who, broker.MinSession, broker.MaxSession, most)
		}
	}
	if c.Snapshots.Fresh < 0 {
		bad("snapshots: fresh: expected a time above zero, found %v", c.Snapshots.Fresh)
	}
	for role := range c.Roles {
		if !slices.Contains(broker.Roles, role) {
			bad("roles: %q is no role; expected one of %v", role, broker.Roles)
		}
	}
	names := make(map[string]bool)
	for i, n := range c.Notify {
		u, err := url.Parse(n.URL)
		switch {
		case n.Name == "" || names[n.Name]:
			bad("notify[%d]: a name is needed, which no other has", i)
		case err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())):
			bad("notify[%d]: url: expected https, found %q", i, n.URL)
		case n.Form != "" && n.Form != "json" && n.Form != "slack":
			bad("notify[%d]: form: expected json or slack, found %q", i, n.Form)
		case n.Form != "slack" && len(n.Secret.Reveal()) < 16: // of a chat the address is the secret
			bad("notify[%d]: secret: expected at least 16 characters", i)
		}
		names[n.Name] = true
	}
	if c.Limits.PerSecond < 0 || c.Limits.Burst < 0 {
		bad("limits: expected numbers above zero")
	}
	if t := c.Traces; t.Endpoint != "" || t.Share != 0 {
		u, err := url.Parse(t.Endpoint)
		if t.Endpoint != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			bad("traces: endpoint: expected the address of a collector, found %q", t.Endpoint)
		}
		if t.Share < 0 || t.Share > 1 {
			bad("traces: share: expected a number from 0 to 1, found %v", t.Share)
		}
	}
	if c.Log.Format != "" && c.Log.Format != "text" && c.Log.Format != "json" {
		bad("log.format: expected text or json, found %q", c.Log.Format)
	}
	errs = append(errs, c.checkAudit()...)
	for i, k := range c.Issuer.Keys {
		if (k.File == "") == (k.KMS == "") {
			bad("issuer: keys[%d]: expected a file, or a key of KMS", i)
		}
		if k.KMS != "" && !kmsARN(k.KMS) {
			bad("issuer: keys[%d]: kms: expected the ARN of a key, found %q", i, k.KMS)
		}
	}
	if len(c.Issuer.Keys) > 0 && !strings.HasPrefix(c.URL, "https://") {
		bad("issuer: AWS reads the keys from url, which must be https")
	}
	return errors.Join(errs...)
}

// quarantinePolicy is the form of a policy's id (API reference of AWS Organizations, DescribePolicy).
var quarantinePolicy = regexp.MustCompile(`^p-[0-9a-zA-Z_]{8,128}$`)

// longest is how long sessions of a subject may be, 0 where nothing is said.
func (c *Config) longest(s *broker.Subject) time.Duration {
	if s.Person {
		return c.Sessions["people"]
	}
	return c.Sessions[s.Issuer]
}

func kmsARN(s string) bool {
	a, err := arn.Parse(s)
	return err == nil && a.Service == "kms" && a.Region != "" && (strings.HasPrefix(a.Resource, "key/") || strings.HasPrefix(a.Resource, "alias/"))
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
