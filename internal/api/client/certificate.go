package client

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
)

// ByCertificate makes calls over connections that a certificate opens, an X.509-SVID, so that no token is needed. Its files are read for each connection: whoever runs the workload renews them.
func (c *Client) ByCertificate(certificate, key string) error {
	read := func() (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate that proves who you are: %w", err)
		}
		return &pair, nil
	}
	if _, err := read(); err != nil {
		return err
	}
	t := http.DefaultTransport
	if d, ok := t.(*http.Transport); ok {
		own := d.Clone()
		if own.TLSClientConfig == nil {
			own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		own.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return read() }
		t = own
	}
	c.HTTP, c.Token = &http.Client{Transport: t}, byConnection{}
	return nil
}

// byConnection is no token: the connection proves who calls.
type byConnection struct{}

// Token implements Tokens.
func (byConnection) Token(context.Context, string) (string, error) { return "", nil }
