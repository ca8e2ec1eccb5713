package decision

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
)

// situation is what a decision may say beside caller, request and policies: how the credentials came to be, by which way the
// request comes, what is known of the resource, and which roles are assumed first.
type situation struct {
	CanonicalID string           `json:"canonicalId"`
	Credentials *credentials     `json:"credentials"`
	Claims      map[string]claim `json:"claims"`
	Arrival     *arrival         `json:"arrival"`
	Gateway     bool             `json:"gateway"`
	Shares      []share          `json:"shares"`
	Facts       *facts           `json:"facts"`
	Resources   []resource       `json:"resources"`
	Chain       []hop            `json:"chain"`
	Stops       *int             `json:"stops"`
	Readings    []string         `json:"readings"`
}

// claim is one value or several.
type claim []string

func (c *claim) UnmarshalJSON(text []byte) error {
	values, err := ContextValue(text)
	*c = values
	return err
}

type credentials struct {
	Temporary      bool              `json:"temporary"`
	Token          bool              `json:"token"`
	Issued         time.Time         `json:"issued"`
	MFA            bool              `json:"mfa"`
	MFAAge         span              `json:"mfaAge"`
	Tags           map[string]string `json:"tags"`
	PrincipalTags  map[string]string `json:"principalTags"`
	Transitive     []string          `json:"transitive"`
	SourceIdentity string            `json:"sourceIdentity"`
	Provider       string            `json:"provider"`
	Chained        bool              `json:"chained"`
}

// span is a duration as Go writes it: 90m, 1h30m.
type span time.Duration

func (s *span) UnmarshalJSON(text []byte) error {
	var words string
	if err := json.Unmarshal(text, &words); err != nil {
		return fmt.Errorf("a duration is text such as 90m: %w", err)
	}
	d, err := time.ParseDuration(words)
	*s = span(d)
	return err
}

type arrival struct {
	SourceIP  string   `json:"sourceIp"`
	Endpoint  string   `json:"endpoint"`
	VPC       string   `json:"vpc"`
	PrivateIP string   `json:"privateIp"`
	CalledVia []string `json:"calledVia"`
}

type share struct {
	Principals []string `json:"principals"`
	Actions    []string `json:"actions"`
}

type facts struct {
	AWSManaged     bool         `json:"awsManaged"`
	RestrictPublic bool         `json:"restrictPublicBuckets"`
	ObjectOwner    string       `json:"objectOwner"`
	TagsIgnored    bool         `json:"tagsIgnored"`
	Grants         []kmsGrant   `json:"kmsGrants"`
	AccessPoint    *accessPoint `json:"accessPoint"`
}

type kmsGrant struct {
	Grantee           string            `json:"grantee"`
	Retiring          string            `json:"retiring"`
	Operations        []string          `json:"operations"`
	EncryptionContext map[string]string `json:"encryptionContext"`
	Exact             bool              `json:"exact"`
}

type accessPoint struct {
	Resource string    `json:"resource"`
	Account  string    `json:"account"`
	Policy   documents `json:"policy"`
}

type resource struct {
	Resource        string    `json:"resource"`
	ResourceAccount string    `json:"resourceAccount"`
	ResourcePolicy  documents `json:"resourcePolicy"`
}

type hop struct {
	Role           string                     `json:"role"`
	UniqueID       string                     `json:"uniqueId"`
	RoleTags       map[string]string          `json:"roleTags"`
	Trust          documents                  `json:"trust"`
	Identity       documents                  `json:"identity"`
	Boundary       documents                  `json:"boundary"`
	SCPs           []documents                `json:"scps"`
	RCPs           []documents                `json:"rcps"`
	MaxSession     span                       `json:"maxSession"`
	SessionName    string                     `json:"sessionName"`
	ExternalID     string                     `json:"externalId"`
	Duration       span                       `json:"duration"`
	SourceIdentity string                     `json:"sourceIdentity"`
	Tags           map[string]string          `json:"tags"`
	Transitive     []string                   `json:"transitive"`
	Session        documents                  `json:"session"`
	Context        map[string]json.RawMessage `json:"context"`
}

// caller is who asks, with its credentials and claims.
func (in *item) caller() (*eval.Caller, error) {
	if in.Claims != nil {
		kind := eval.WebIdentity
		if strings.Contains(in.Principal, ":saml-provider/") {
			kind = eval.SAML
		}
		claims := make(map[string][]string, len(in.Claims))
		for name, values := range in.Claims {
			claims[name] = values
		}
		return eval.FederatedCaller(kind, in.Principal).WithClaims(claims), nil
	}
	caller, err := eval.NewCaller(in.Principal)
	if err != nil {
		return nil, err
	}
	if in.PrincipalRole != "" {
		caller.ARN = in.PrincipalRole
		caller.Update()
	}
	if in.PrincipalAccount != "" && caller.Account != "" && in.PrincipalAccount != caller.Account {
		return nil, fmt.Errorf("principalAccount %s is not the account of the principal", in.PrincipalAccount)
	}
	caller.CanonicalID = in.CanonicalID
	if in.Credentials == nil || len(in.Chain) > 0 {
		return caller, nil // a chain takes the credentials by itself
	}
	return caller.WithCredentials(in.Credentials.credentials()), nil
}

func (c *credentials) credentials() eval.Credentials {
	if c == nil {
		return eval.Credentials{}
	}
	return eval.Credentials{Temporary: c.Temporary, Token: c.Token, Issued: c.Issued, MFA: c.MFA, MFAAge: time.Duration(c.MFAAge), Tags: c.Tags,
		PrincipalTags: c.PrincipalTags, Transitive: c.Transitive, SourceIdentity: c.SourceIdentity, Provider: c.Provider, Chained: c.Chained}
}

// readingsOf finds readings by their names.
func readingsOf(list []string) (cond.Readings, error) {
	var other cond.Readings
	for _, name := range list {
		i := slices.IndexFunc(cond.AllReadings(), func(r cond.ReadingRecord) bool { return r.Name == name })
		if i < 0 {
			return 0, fmt.Errorf("there is no reading %q", name)
		}
		other |= cond.ReadingsOf(cond.AllReadings()[i].Reading)
	}
	return other, nil
}

// shares adds the resource-side allows that RAM shares make.
func (b *builder) shares() {
	for i, s := range b.in.Shares {
		if b.policies.Resource == nil {
			b.policies.Resource = &eval.Set{}
			b.decision.names[eval.Resource] = append(b.decision.names[eval.Resource], nil)
		}
		d := eval.ShareStatement(s.Principals, s.Actions, b.in.Resource)
		b.policies.Resource.Policies = append(b.policies.Resource.Policies, policy.CompileUnder(d, b.decision.Readings))
		b.decision.names[eval.Resource][0] = append(b.decision.names[eval.Resource][0], fmt.Sprintf("shares[%d]", i))
	}
}

// facts are what is known of the resource.
func (b *builder) facts(n names) (*eval.Facts, error) {
	in := b.in.Facts
	if in == nil {
		return nil, nil
	}
	f := &eval.Facts{AWSManaged: in.AWSManaged, RestrictPublic: in.RestrictPublic, ObjectOwner: in.ObjectOwner, TagsIgnored: in.TagsIgnored}
	for _, g := range in.Grants {
		grant := eval.KMSGrant{Grantee: g.Grantee, Retiring: g.Retiring}
		for _, o := range g.Operations {
			if !strings.HasPrefix(o, "kms:") {
				o = "kms:" + o // grants name operations without the service
			}
			grant.Operations = append(grant.Operations, strings.ToLower(o))
		}
		if len(g.EncryptionContext) > 0 {
			grant.Condition = eval.EncryptionContext(g.EncryptionContext, g.Exact)
		}
		f.Grants = append(f.Grants, grant)
	}
	if p := in.AccessPoint; p != nil {
		if err := resourceName(p.Resource); err != nil {
			return nil, fmt.Errorf("accessPoint: %w", err)
		}
		set, err := b.optional(n, eval.Point, "facts.accessPoint.policy", p.Policy)
		if err != nil {
			return nil, err
		}
		f.AccessPoint = &eval.AccessPoint{Resource: p.Resource, Account: p.Account, Policy: set}
	}
	return f, nil
}

// also makes the requests on the further resources.
func (b *builder) also() error {
	for i, r := range b.in.Resources {
		if err := resourceName(r.Resource); err != nil {
			return err
		}
		set, err := b.optional(names{}, eval.Resource, fmt.Sprintf("resources[%d].resourcePolicy", i), r.ResourcePolicy)
		if err != nil {
			return err
		}
		q := b.decision.Request
		p := b.policies
		p.Resource = set
		q.Resource, q.ResourceAccount, q.Policies = r.Resource, r.ResourceAccount, &p
		b.decision.Also = append(b.decision.Also, q)
	}
	return nil
}

// chain reads the roles that are assumed before the request.
func (b *builder) chain() error {
	in := b.in
	if len(in.Chain) == 0 {
		return nil
	}
	r := &b.decision.Request
	c := &eval.Chain{With: in.Credentials.credentials(), Session: b.policies.Session, Act: r,
		Start: eval.Holder{Caller: r.Caller, Identity: b.policies.Identity, Boundary: b.policies.Boundary, SCPs: b.policies.SCPs}}
	for i := range in.Chain {
		h, err := b.hop(i, &in.Chain[i])
		if err != nil {
			return fmt.Errorf("chain[%d]: %w", i, err)
		}
		c.Hops = append(c.Hops, h)
	}
	own, err := in.context(nil)
	if err != nil {
		return err
	}
	r.Context = own
	b.decision.Chain = c
	return nil
}

func (b *builder) hop(i int, in *hop) (eval.Hop, error) {
	role, err := eval.NewCaller(in.Role)
	if err != nil {
		return eval.Hop{}, err
	}
	if role.Kind != eval.Role || role.Session != "" {
		return eval.Hop{}, fmt.Errorf("%s is no role", in.Role)
	}
	role.UniqueID = in.UniqueID
	role.Update()
	h := eval.Hop{Role: eval.Holder{Caller: role, Tags: in.RoleTags}, MaxSession: time.Duration(in.MaxSession), SessionName: in.SessionName,
		ExternalID: in.ExternalID, Duration: time.Duration(in.Duration), SourceIdentity: in.SourceIdentity, Tags: in.Tags, Transitive: in.Transitive}
	n, at := names{}, fmt.Sprintf("chain[%d].", i)
	b.decision.hopNames = append(b.decision.hopNames, n)
	if h.Role.Identity, err = b.set(n, eval.Identity, at+"identity", in.Identity); err != nil {
		return h, err
	}
	if h.Trust, err = b.optional(n, eval.Trust, at+"trust", in.Trust); err != nil {
		return h, err
	}
	if h.Role.Boundary, err = b.optional(n, eval.Boundary, at+"boundary", in.Boundary); err != nil {
		return h, err
	}
	if h.Session, err = b.optional(n, eval.Session, at+"session", in.Session); err != nil {
		return h, err
	}
	if h.Role.SCPs, err = b.levels(n, eval.SCP, at+"scps", in.SCPs); err != nil {
		return h, err
	}
	if h.RCPs, err = b.levels(n, eval.RCP, at+"rcps", in.RCPs); err != nil {
		return h, err
	}
	if in.Context != nil {
		h.Context = &cond.Context{}
		for key, text := range in.Context {
			values, err := ContextValue(text)
			if err != nil {
				return h, fmt.Errorf("context key %s: %w", key, err)
			}
			h.Context.Set(key, values...)
		}
	}
	return h, nil
}
