package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/awscaller"
)

// byAWS proves the AWS identity whose credentials are at hand, by the SDK's usual chain: it signs who it is, for this broker and this moment, and sends no secret.
func byAWS(e *Env, c *client.Client) client.Proof {
	return client.Proof{Name: "the AWS credentials at hand " + e.Getenv("AWS_PROFILE"), Get: func(ctx context.Context) (wire.Proof, error) {
		cfg, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return wire.Proof{}, err
		}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		keys, err := cfg.Credentials.Retrieve(ctx)
		if err != nil {
			return wire.Proof{}, err
		}
		region := cfg.Region
		if region == "" {
			region = "us-east-1"
		}
		challenge, err := c.Challenge(ctx)
		if err != nil {
			return wire.Proof{}, err
		}
		// The address that was called, and not the one that the answer names: what is signed here is of use to nobody else.
		if challenge.Audience != c.URL {
			return wire.Proof{}, fmt.Errorf("the broker at %s calls itself %s: call it so", c.URL, challenge.Audience)
		}
		p, err := awscaller.Sign(ctx, keys, region, c.URL, challenge.Nonce, e.Now())
		if err != nil {
			return wire.Proof{}, err
		}
		return wire.Proof{AWS: &wire.AWSProof{Nonce: challenge.Nonce, Region: p.Region, Date: p.Date, AccessKeyID: p.AccessKeyID, Token: p.Token, Signature: p.Signature}}, nil
	}}
}
