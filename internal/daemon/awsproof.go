package daemon

import (
	"context"
	"errors"
	"net/http"
	"time"

	"drawbridge/internal/api"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/awscaller"
	"drawbridge/internal/broker"
)

// proveAWS asks AWS whose signed requests are.
func (d *Daemon) proveAWS() func(context.Context, *wire.AWSProof) (broker.Subject, error) {
	v := &awscaller.Verifier{
		Audience: d.config.URL, Accounts: d.config.AWS.Accounts, Now: d.clock.Now,
		Client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Spend: func(ctx context.Context, nonce string) error {
			return api.TakeNonce(ctx, d.store, nonce, d.clock.Now())
		},
	}
	return func(ctx context.Context, p *wire.AWSProof) (broker.Subject, error) {
		s, err := v.Verify(ctx, awscaller.Proof{Region: p.Region, Date: p.Date, AccessKeyID: p.AccessKeyID, Token: p.Token, Signature: p.Signature}, p.Nonce)
		if errors.Is(err, awscaller.ErrProof) {
			d.log.Info("a proof of an AWS identity was refused", "why", err)
			return s, api.ErrUnproven
		}
		return s, err
	}
}
