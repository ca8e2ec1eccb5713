package collect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
)

// limits are the adaptive retries of an account: one rate for each service and region, whichever client calls it. A client of the SDK would begin with a rate of its own, and rows make many clients.
type limits struct {
	*retry.Standard
	adaptive func() *retry.AdaptiveMode
	throttle retry.IsErrorThrottles

	mu sync.Mutex
	of map[string]*retry.AdaptiveMode
}

func newLimits(attempts int, backoff time.Duration) *limits {
	l := &limits{of: make(map[string]*retry.AdaptiveMode), throttle: retry.IsErrorThrottles(retry.DefaultThrottles)}
	l.Standard = retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts = attempts
		s.MaxBackoff = backoff
		s.RateLimiter = ratelimit.None // the adaptive rate is the limit; a quota of retries would make gaps of a service that is only slow
		s.Retryables = append([]retry.IsErrorRetryable{retry.IsErrorRetryableFunc(hopeless)}, s.Retryables...)
	})
	l.adaptive = func() *retry.AdaptiveMode { return retry.NewAdaptiveMode() }
	return l
}

// GetAttemptToken waits until the service may be asked.
func (l *limits) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	key := awsmiddleware.GetServiceID(ctx) + " " + awsmiddleware.GetRegion(ctx)
	l.mu.Lock()
	a := l.of[key]
	if a == nil {
		a = l.adaptive()
		l.of[key] = a
	}
	l.mu.Unlock()
	return a.GetAttemptToken(ctx)
}

// RetryDelay is how long to wait after a try, or the error where it is not worth another one.
func (l *limits) RetryDelay(attempt int, err error) (time.Duration, error) {
	if attempt >= attemptsOfOthers && !l.throttle.IsErrorThrottle(err).Bool() {
		return 0, err
	}
	return l.Standard.RetryDelay(attempt, err)
}

// hopeless keeps what will be the same the next time from being asked for again: a name that does not exist, because the service is not offered in a region, and an answer that is none of AWS's.
func hopeless(err error) aws.Ternary {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound || errors.Is(err, errPage) || errors.Is(err, errNoXML) || errors.Is(err, errLost) {
		return aws.FalseTernary
	}
	return aws.UnknownTernary
}

var (
	errPage  = errors.New("the answer is a page of HTML and not AWS's: a proxy or an emulator that does not know the call")
	errNoXML = errors.New("the answer is no XML")
	errEmpty = errors.New("the answer is empty")
	errLong  = fmt.Errorf("the answer is longer than %d MiB", maxAnswer>>20)
)

// instrument bounds and counts what is in flight, and reads each answer to its end within its deadline: the decoders take an answer without content, and a page of HTML where XML is expected, for an empty list.
func (r *run) instrument(cfg aws.Config) aws.Config {
	cfg = cfg.Copy()
	own := newLimits(r.Attempts, r.Backoff)
	cfg.Retryer, cfg.RetryMaxAttempts = func() aws.Retryer { return own }, 0
	if cfg.Credentials != nil {
		cfg.Credentials = ownCredentials{cfg.Credentials}
	}
	client := cfg.HTTPClient
	if client == nil {
		client = http.DefaultClient
	}
	emulator := ""
	if cfg.BaseEndpoint != nil {
		if u, err := url.Parse(*cfg.BaseEndpoint); err == nil {
			emulator = u.Host
		}
	}
	cfg.HTTPClient = doer(func(q *http.Request) (*http.Response, error) {
		if emulator != "" && strings.HasSuffix(q.URL.Host, "."+emulator) { // 111122223333.127.0.0.1: emulators have no hosts named after accounts and buckets
			q.URL.Host = emulator
		}
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-q.Context().Done():
			return nil, q.Context().Err()
		}
		r.calls.Add(1)
		ctx, cancel := context.WithTimeout(q.Context(), r.Answer)
		defer cancel()
		answer, err := client.Do(q.WithContext(ctx))
		if err != nil {
			return nil, err
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
		switch {
		case err != nil:
			return nil, fmt.Errorf("the answer broke off: %w", err)
		case len(text) > maxAnswer:
			return nil, errLong
		case answer.StatusCode == http.StatusOK && len(bytes.TrimSpace(text)) == 0 && q.Method != http.MethodHead:
			return nil, errEmpty
		case answer.StatusCode == http.StatusOK && isXML(q) && bytes.TrimSpace(text)[0] != '<':
			return nil, errNoXML
		case answer.StatusCode < 500 && isPage(text):
			return nil, errPage
		}
		answer.Body = io.NopCloser(bytes.NewReader(text))
		return answer, nil
	})
	return cfg
}

// isXML reports whether the answer to a request is XML: the decoders take any other text for an answer that says nothing.
func isXML(q *http.Request) bool {
	if strings.HasPrefix(q.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return true
	}
	switch awsmiddleware.GetServiceID(q.Context()) {
	case "S3":
		return awsmiddleware.GetOperationName(q.Context()) != "GetBucketPolicy" // the policy itself
	case "S3 Control", "CloudFront", "Route 53":
		return true
	}
	return false
}

// isPage reports whether an answer is a page for people.
func isPage(text []byte) bool {
	text = bytes.ToLower(bytes.TrimSpace(text[:min(len(text), 256)]))
	return bytes.HasPrefix(text, []byte("<!doctype html")) || bytes.HasPrefix(text, []byte("<html"))
}

// ownCredentials are the caller's. What keeps them from being renewed, such as a single sign-on that ended, ends the run.
type ownCredentials struct{ aws.CredentialsProvider }

func (o ownCredentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c, err := o.CredentialsProvider.Retrieve(ctx)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: %w", errLost, err)
	}
	return c, err
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(q *http.Request) (*http.Response, error) { return d(q) }
