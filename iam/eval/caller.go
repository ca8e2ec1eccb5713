package eval

import (
	"fmt"
	"strings"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
)

// CallerKind tells callers apart. The zero value is no caller.
type CallerKind uint8

const (
	NoCaller      CallerKind = iota
	User                     // an IAM user with its own keys or a GetSessionToken session
	Role                     // a session of a role
	Root                     // the account's root user
	FederatedUser            // a session by GetFederationToken
	Service                  // an AWS service acting with its service principal
	WebIdentity              // a subject of an OIDC issuer, before it has assumed a role
	SAML                     // a subject of a SAML provider, before it has assumed a role
	Anonymous                // unsigned

	// The symbolic callers stand for a whole class; what tells its members apart is left over in the answer.
	AccountPrincipal // some principal of one account
	AnyPrincipal     // some principal of any account
)

// Symbolic reports whether the kind stands for a class of callers.
func (k CallerKind) Symbolic() bool { return k == AccountPrincipal || k == AnyPrincipal }

func (k CallerKind) String() string {
	return [...]string{"no caller", "user", "role", "root", "federated user", "service", "web identity", "SAML identity",
		"anonymous", "some principal of the account", "some principal of any account"}[k]
}

// Caller is who asks. Make one with NewCaller or one of the constructors; fields beside the name may then be set.
type Caller struct {
	Kind CallerKind // what sort of caller it is
	// ARN names the caller as aws:PrincipalArn does: the user's or role's ARN with its path, the root ARN. For WebIdentity
	// and SAML it is the provider's ARN or the issuer's host; "" for the rest.
	ARN string
	// Session is the session's ARN, arn:…:assumed-role/NAME/SESSION; "" where it is not known which session. For a
	// federated user it is its federated-user ARN, and ARN is the user's.
	Session string
	// UniqueID is AIDA… or AROA…; "" where not known.
	UniqueID  string
	Account   string // 12 digits; "" for who belongs to none: services, federated subjects, anonymous callers, AnyPrincipal
	Partition string // aws, aws-cn, aws-us-gov; "" where there is no account
	Service   string // host of the service principal
	// Management: the caller's account is the management account, which SCPs do not reach (rule 93).
	Management bool
	// ServiceLinked: the role is service-linked, which neither SCPs nor RCPs reach (rules 93, 96).
	ServiceLinked bool
	// CanonicalID is the account's identity in S3 (rule 122); "" where it is not known.
	CanonicalID string

	keys       cond.Context
	token, mfa bool // the session is one of GetSessionToken; it was made with MFA (Credentials)
}

// NewCaller makes a caller from a name: the ARN of a user, role, role session, federated user, account root or identity provider
// (a subject of it, see WithClaims), the host name of a service, or "anonymous". The error says what the name is none of; a user
// or role in it is not looked up.
func NewCaller(name string) (*Caller, error) {
	if name == "anonymous" {
		return AnonymousCaller(), nil
	}
	if !strings.HasPrefix(name, "arn:") {
		if strings.HasSuffix(name, ".amazonaws.com") || strings.HasSuffix(name, ".amazonaws.com.cn") || strings.HasSuffix(name, ".amazon.com") {
			return ServiceCaller(name), nil
		}
		return nil, fmt.Errorf("principal %q is neither an ARN, nor the host name of a service, nor \"anonymous\"", name)
	}
	a, err := arn.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("principal: %w", err)
	}
	if a.Service == "iam" {
		switch a.ResourceType() {
		case "oidc-provider":
			return FederatedCaller(WebIdentity, name), nil
		case "saml-provider":
			return FederatedCaller(SAML, name), nil
		}
	}
	if !arn.IsAccountID(a.Account) {
		return nil, fmt.Errorf("principal %q has no 12-digit account id", name)
	}
	c := &Caller{ARN: name, Account: a.Account, Partition: a.Partition}
	switch typ := a.ResourceType(); {
	case a.Service == "iam" && a.Resource == "root":
		c.Kind = Root
	case a.Service == "iam" && typ == "user":
		c.Kind = User
	case a.Service == "iam" && typ == "role":
		c.Kind = Role
		c.ServiceLinked = strings.HasPrefix(a.Resource, "role/aws-service-role/")
	case a.Service == "sts" && typ == "assumed-role":
		parts := strings.Split(a.Resource, "/")
		if len(parts) != 3 {
			return nil, fmt.Errorf("principal %q: expected assumed-role/ROLE/SESSION", name)
		}
		c.Kind, c.Session = Role, name
		c.ARN = "arn:" + a.Partition + ":iam::" + a.Account + ":role/" + parts[1] // without path (rule 118): set ARN where it is known
	case a.Service == "sts" && typ == "federated-user":
		c.Kind, c.Session, c.ARN = FederatedUser, name, ""
	default:
		return nil, fmt.Errorf("principal %q is no user, role, session, federated user or root", name)
	}
	return c.derive(), nil
}

// ServiceCaller is an AWS service acting with its own principal.
func ServiceCaller(host string) *Caller {
	return (&Caller{Kind: Service, Service: host}).derive()
}

// AnonymousCaller is an unsigned request.
func AnonymousCaller() *Caller { return (&Caller{Kind: Anonymous}).derive() }

// FederatedCaller is a subject of an OIDC issuer (WebIdentity) or a SAML provider (SAML), named by the provider's ARN or by
// the issuer's host. Its claims are context keys (rule 120).
func FederatedCaller(kind CallerKind, provider string) *Caller {
	return (&Caller{Kind: kind, ARN: provider}).derive()
}

// SomePrincipal is the class of all principals of one account.
func SomePrincipal(partition, account string) *Caller {
	return (&Caller{Kind: AccountPrincipal, Account: account, Partition: partition}).derive()
}

// AnyonesPrincipal is the class of all principals of all accounts.
func AnyonesPrincipal() *Caller { return (&Caller{Kind: AnyPrincipal}).derive() }

// derive computes the context keys that follow from the caller (rules 100, 106, 113 to 115).
func (c *Caller) derive() *Caller {
	k := &c.keys
	k.Reset()
	c.keys.Rest = cond.Unspecified
	isService := "false"
	switch c.Kind {
	case User:
		k.Set("aws:PrincipalArn", c.ARN)
		k.Set("aws:PrincipalType", "User")
		k.Set("aws:username", c.ARN[strings.LastIndexByte(c.ARN, '/')+1:])
		k.SetUnknown("aws:userid")
		if c.UniqueID != "" {
			k.Set("aws:userid", c.UniqueID)
		}
	case Role:
		k.Set("aws:PrincipalArn", c.ARN)
		k.Set("aws:PrincipalType", "AssumedRole")
		k.SetAbsent("aws:username")
		k.SetUnknown("aws:userid")
		if c.UniqueID != "" && c.Session != "" {
			k.Set("aws:userid", c.UniqueID+":"+c.Session[strings.LastIndexByte(c.Session, '/')+1:])
		}
	case Root:
		k.Set("aws:PrincipalArn", c.ARN)
		k.Set("aws:PrincipalType", "Account")
		k.Set("aws:userid", c.Account)
		k.SetAbsent("aws:username")
	case FederatedUser:
		k.Set("aws:PrincipalArn", c.Session)
		k.Set("aws:PrincipalType", "FederatedUser")
		k.SetAbsent("aws:username")
	case Service:
		k.Set("aws:PrincipalServiceName", c.Service)
		isService = "true"
	case Anonymous:
		k.Set("aws:PrincipalAccount", "anonymous")
		k.Set("aws:PrincipalType", "Anonymous")
	case AccountPrincipal, AnyPrincipal:
		for _, key := range [...]string{"aws:PrincipalArn", "aws:PrincipalType", "aws:userid", "aws:username"} {
			k.SetUnknown(key)
		}
		if c.Kind == AnyPrincipal {
			k.SetUnknown("aws:PrincipalAccount")
		}
	}
	if c.Account != "" {
		k.Set("aws:PrincipalAccount", c.Account)
	}
	k.Set("aws:PrincipalIsAWSService", isService)
	if c.Kind != Service {
		k.SetAbsent("aws:PrincipalServiceName")
		for _, key := range [...]string{"aws:SourceAccount", "aws:SourceArn", "aws:SourceOrgID", "aws:SourceOrgPaths"} {
			k.SetAbsent(key) // sent by services that act for a resource (rule 102)
		}
	}
	switch c.Kind {
	case Service, Anonymous, WebIdentity, SAML:
		for _, key := range [...]string{"aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:userid", "aws:username"} {
			k.SetAbsent(key)
		}
		if c.Kind != Anonymous {
			k.SetAbsent("aws:PrincipalAccount")
		}
	}
	return c
}

// Update computes the derived keys again after a field was changed.
func (c *Caller) Update() { c.derive() }

// Context is the caller's own keys, to be the parent of a request's context. More facts about the caller (its
// organisation, its tags) may be set on it before the first decision.
func (c *Caller) Context() *cond.Context { return &c.keys }
