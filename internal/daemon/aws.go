package daemon

import (
	"context"
	"crypto"
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
	issuer := &awssts.Issuer{STS: client, Way: func(string) awssts.Way {
		if own != nil {
			return awssts.Federated
		}
		return awssts.Assumed
	}, Token: func(o broker.Order) (string, error) {
		return own.Token(oidc.Claim{Subject: o.Entry, SourceIdentity: o.SourceIdentity, Tags: o.Tags})
	}}
	// as is how the broker becomes one of its own roles.
	as := func(role, subject string) aws.CredentialsProvider {
		name := strings.ReplaceAll(subject, ":", "-")
		if own != nil {
			return aws.NewCredentialsCache(stscreds.NewWebIdentityRoleProvider(client, role, ownToken{own, subject}, func(o *stscreds.WebIdentityRoleOptions) { o.RoleSessionName = name }))
		}
		return aws.NewCredentialsCache(stscreds.NewAssumeRoleProvider(client, role, func(o *stscreds.AssumeRoleOptions) { o.RoleSessionName = name }))
	}
	revoker := &awssts.Revoker{Now: d.clock.Now, IAM: func(_ context.Context, partition, account string) (*iam.Client, error) {
		in := cfg.Copy()
		in.Credentials = as("arn:"+partition+":iam::"+account+":role/"+setup.RevokerRole, setup.RevokerSubject)
		return iam.NewFromConfig(in), nil
	}}
	if q := d.config.Quarantine; q.Policy != "" {
		in := cfg.Copy()
		in.Credentials = as(q.Role, setup.QuarantineSubject)
		in.Region = homeRegion(q.Role)
		revoker.Quarantine = &awssts.Quarantine{Policy: q.Policy, Client: organizations.NewFromConfig(in), Now: d.clock.Now, Alone: func(ctx context.Context, do func(context.Context) error) error {
			return d.store.Alone(ctx, "quarantine "+q.Policy, do)
		}}
	}
	return issuer, revoker, nil
}

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
