package daemon

import (
	"context"
	"crypto"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"drawbridge/iam/arn"
	"drawbridge/internal/awssts"
	"drawbridge/internal/broker"
	"drawbridge/internal/kmskey"
	"drawbridge/internal/oidc"
	"drawbridge/internal/setup"
)

// aws is the way to AWS: by the broker's own issuer where it has keys, and by the SDK's usual credentials for what needs some.
func (d *Daemon) aws(ctx context.Context, own *oidc.Own) (broker.Issuer, *awssts.Revoker, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(5))
	if err != nil {
		return nil, nil, fmt.Errorf("credentials and settings of AWS: %w", err)
	}
	if cfg.Region == "" {
		cfg.Region = "us-east-1"
	}
	client := sts.NewFromConfig(cfg)
	parameters := sts.EndpointParameters{Region: &cfg.Region, Endpoint: client.Options().BaseEndpoint, UseFIPS: aws.Bool(false), UseDualStack: aws.Bool(false), UseGlobalEndpoint: aws.Bool(false)}
	place, err := sts.NewDefaultEndpointResolverV2().ResolveEndpoint(ctx, parameters)
	if err != nil {
		return nil, nil, fmt.Errorf("where STS is in %s: %w", cfg.Region, err)
	}
	d.clock.witness = dateOf(place.URI.String())
	external := func(ctx context.Context, vendor, role string) (string, error) {
		x, err := d.store.ExternalID(ctx, vendor, role, newExternalID(), d.clock.Now())
		if err != nil {
			return "", err
		}
		return x.Current, nil
	}
	issuer := &awssts.Issuer{STS: client, ExternalID: external, Way: func(role string) awssts.Way {
		if d.rules.federates(role) {
			return awssts.Federated
		}
		return awssts.Assumed
	}, Token: func(o broker.Order) (string, error) {
		return own.Token(oidc.Claim{Subject: o.Entry, SourceIdentity: o.SourceIdentity, Tags: o.Tags})
	}}
	// as is how the broker becomes one of its own roles.
	as := func(ctx context.Context, role, subject string, federated bool) (aws.CredentialsProvider, error) {
		name := strings.ReplaceAll(subject, ":", "-")
		if federated {
			return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, role, ownToken{own, subject}, func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = name })), nil
		}
		id, err := external(ctx, "", role)
		if err != nil {
			return nil, err
		}
		return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName, o.ExternalID = name, &id })), nil
	}
	revoker := &awssts.Revoker{Now: d.clock.Now, IAM: func(ctx context.Context, target arn.ARN) (*iam.Client, error) {
		in := cfg.Copy()
		var err error
		in.Credentials, err = as(ctx, setup.Revoker(target), setup.RevokerSubject, d.rules.federates(target.String()))
		return iam.NewFromConfig(in), err
	}}
	if q := d.config.Quarantine; q.Policy != "" {
		in := cfg.Copy()
		if in.Credentials, err = as(ctx, q.Role, setup.QuarantineSubject, own != nil); err != nil {
			return nil, nil, err
		}
		in.Region = homeRegion(q.Role)
		revoker.Quarantine = &awssts.Quarantine{Policy: q.Policy, Client: organizations.NewFromConfig(in), Now: d.clock.Now, Alone: func(ctx context.Context, do func(context.Context) error) error {
			return d.store.Alone(ctx, "quarantine "+q.Policy, do)
		}}
	}
	return issuer, revoker, nil
}

// newExternalID is a value that nobody guesses: 130 bits. STS takes letters, digits and some signs, at most 1,224 (API reference of STS, AssumeRole).
func newExternalID() string { return "drawbridge-" + rand.Text() }

// homeRegion is where a partition's AWS Organizations answers.
func homeRegion(arn string) string {
	switch {
	case strings.HasPrefix(arn, "arn:aws-cn:"):
		return "cn-northwest-1"
	case strings.HasPrefix(arn, "arn:aws-us-gov:"):
		return "us-gov-west-1"
	}
	return "us-east-1"
}

// ownToken is how the broker proves itself to a role of its own: as one of the subjects that no entry can have.
type ownToken struct {
	own     *oidc.Own
	subject string
}

// GetIdentityToken implements stscreds.IdentityTokenRetriever.
func (t ownToken) GetIdentityToken() ([]byte, error) {
	token, err := t.own.Token(oidc.Claim{Subject: t.subject, SourceIdentity: strings.ReplaceAll(t.subject, ":", "-")})
	return []byte(token), err
}

// openKMS opens a signing key of KMS, in the region that its ARN names, by the SDK's usual credentials.
func openKMS(ctx context.Context, key string) (crypto.Signer, error) {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithRetryMaxAttempts(5))
	if err != nil {
		return nil, fmt.Errorf("credentials and settings of AWS: %w", err)
	}
	a, err := arn.Parse(key)
	if err != nil {
		return nil, err
	}
	cfg.Region = a.Region
	return kmskey.Open(ctx, kms.NewFromConfig(cfg), key)
}
