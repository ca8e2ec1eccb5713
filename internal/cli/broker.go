package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
)

// brokerFlags are the flags of the commands that call a broker.
type brokerFlags struct {
	url       string
	tokenFile string
	cert, key string // files of a certificate
	aws       bool
	person    bool // of those who sign in: no proof of a workload is looked for
}

func (f *brokerFlags) register(c *cobra.Command) {
	c.PersistentFlags().StringVar(&f.url, "url", "", "the broker's `ADDRESS`; default: DRAWBRIDGE_URL")
	c.PersistentFlags().StringVar(&f.cert, "cert", "", "prove yourself by the certificate in this `FILE`, an X.509-SVID, with --key")
	c.PersistentFlags().StringVar(&f.key, "key", "", "the `FILE` with its private key")
	c.PersistentFlags().BoolVar(&f.aws, "aws", false, "prove yourself by the AWS credentials at hand, which are not sent")
	c.PersistentFlags().StringVar(&f.tokenFile, "token-file", "", "the `FILE` with your identity token; default: see the documentation of the daemon")
}

// client is the way to the broker, with the proof that is at hand.
func (f *brokerFlags) client(e *Env) (*client.Client, error) {
	address := f.url
	if address == "" {
		address = e.Getenv("DRAWBRIDGE_URL")
	}
	if address == "" {
		return nil, usagef("which broker? Give --url or DRAWBRIDGE_URL")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, usagef("--url: expected an address like https://broker.example, found %q", address)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, usagef("--url: %s is not this machine, and http would carry credentials in the clear: expected https", address)
	}
	c := &client.Client{URL: strings.TrimSuffix(address, "/")}
	if f.person {
		c.Token = e.kept(c, signedIn)
		return c, nil
	}
	cert, key := f.cert, f.key
	if cert == "" && key == "" && f.tokenFile == "" && !f.aws && e.Getenv("DRAWBRIDGE_PROOF") != "aws" && e.Getenv("DRAWBRIDGE_TOKEN") == "" {
		cert, key = e.Getenv("DRAWBRIDGE_CERT"), e.Getenv("DRAWBRIDGE_KEY")
	}
	if cert != "" || key != "" {
		switch {
		case cert == "" || key == "":
			return nil, usagef("--cert and --key belong together: the files of a certificate and of its private key")
		case u.Scheme != "https":
			return nil, usagef("--cert: a certificate proves who you are over https, found %q", address)
		}
		if err := c.ByCertificate(cert, key); err != nil {
			return nil, usagef("%w", err)
		}
		return c, nil
	}
	if f.aws || e.Getenv("DRAWBRIDGE_PROOF") == "aws" && f.tokenFile == "" {
		c.Token = e.kept(c, byAWS(e, c))
		return c, nil
	}
	if token := e.Getenv("DRAWBRIDGE_TOKEN"); token != "" && f.tokenFile == "" {
		c.Token = client.Static(token)
		return c, nil
	}
	var proof client.Proof
	if f.tokenFile != "" {
		proof = client.File(f.tokenFile)
	} else {
		audience := e.Getenv("DRAWBRIDGE_AUDIENCE")
		if audience == "" {
			audience = c.URL
		}
		proof = client.Find(e.Getenv, audience)
	}
	if proof.Get == nil {
		proof = signedIn
	}
	c.Token = e.kept(c, proof)
	return c, nil
}

// signedIn is the proof of a person: it is given once, in the browser.
var signedIn = client.Proof{Name: "there is nothing that proves it. A person signs in with 'drawbridge login'. A workload has an identity token of its platform: in the file of --token-file or DRAWBRIDGE_ID_TOKEN_FILE, in DRAWBRIDGE_ID_TOKEN, or from GitHub Actions with 'id-token: write'; in AWS, --aws"}

// kept are tokens of the API in the user's cache folder.
func (e *Env) kept(c *client.Client, proof client.Proof) *client.Exchanged {
	kept := &client.Exchanged{Client: c, Proof: proof, Now: e.Now}
	if folder := e.Getenv("XDG_CACHE_HOME"); folder != "" {
		kept.Folder = filepath.Join(folder, "drawbridge", "tokens")
	} else if folder, err := os.UserCacheDir(); err == nil {
		kept.Folder = filepath.Join(folder, "drawbridge", "tokens")
	}
	return kept
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// refused ends a command whose answer the broker gave, and it is no: it is an answer, printed for people.
func (e *Env) refused(err error) error {
	if client.Refused(err) {
		fmt.Fprintln(e.Stderr, "refused:", err)
		return errUnwanted
	}
	return err
}

// askFlags say what is asked for.
type askFlags struct {
	target             string
	actions, resources []string
	life, start        string
	lower              bool
	reason, ticket     string
}

func (f *askFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.target, "target", "", "the `ARN` of the role; default: where the entry leads")
	c.Flags().StringSliceVar(&f.actions, "action", nil, "only these `ACTIONS` of those that the entry allows")
	c.Flags().StringSliceVar(&f.resources, "resource", nil, "only these `RESOURCES`")
	c.Flags().StringVar(&f.life, "for", "", "how long you need it, as a `TIME` such as 4h; default: as long as the entry lets you")
	c.Flags().BoolVar(&f.lower, "or-less", false, "a shorter time than --for will do")
	c.Flags().StringVar(&f.start, "start", "", "begin at this `TIME` (RFC 3339); default: at once")
	c.Flags().StringVar(&f.reason, "reason", "", "why, in a `SENTENCE` that those who approve will read")
	c.Flags().StringVar(&f.ticket, "ticket", "", "the `ID` of the ticket that this belongs to")
}

func (f *askFlags) ask(entry string) (wire.Ask, error) {
	a := wire.Ask{Entry: entry, Target: f.target, Actions: f.actions, Resources: f.resources, Life: f.life, Lower: f.lower, Reason: f.reason, Ticket: f.ticket}
	if f.start != "" {
		var err error
		if a.Start, err = time.Parse(time.RFC3339, f.start); err != nil {
			return a, usagef("--start %q is no time: write it like 2026-11-23T00:00:00Z", f.start)
		}
	}
	return a, nil
}

// poll waits between two questions: soon at first, seldom later.
func poll(ctx context.Context, n int) error {
	wait := min(250*time.Millisecond<<min(n, 6), 15*time.Second)
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// waits says for whom a request waits.
func waits(r *wire.Request) string {
	who := strings.Join(r.Approvers, " or ")
	if r.Approvals > 1 {
		who = fmt.Sprintf("%d of %s", r.Approvals, strings.Join(r.Approvers, ", "))
	}
	text := fmt.Sprintf("request %s for %s waits for approval by %s", r.ID, r.Entry, who)
	switch {
	case r.State == "suspended":
		text = fmt.Sprintf("request %s for %s is suspended and waits for a fresh approval by %s", r.ID, r.Entry, who)
	case r.State == "approved" && r.NotBefore != nil:
		return fmt.Sprintf("request %s for %s is approved and begins on %s", r.ID, r.Entry, r.NotBefore.Format("2006-01-02 15:04 UTC"))
	}
	if r.Until != nil {
		text += ", until " + r.Until.Format("2006-01-02 15:04 UTC")
	}
	return text
}

// access asks for credentials, and waits for people as long as is wished.
func (e *Env) access(ctx context.Context, c *client.Client, a wire.Access, wait time.Duration) (*wire.Accessed, error) {
	end := e.Now().Add(wait)
	for n := 0; ; n++ {
		got, err := c.Access(ctx, a)
		if err != nil {
			return nil, err
		}
		if got.Credentials != nil {
			return got, nil
		}
		if n == 0 && wait > 0 {
			fmt.Fprintf(e.Stderr, "%s\n", waits(&got.Request))
		}
		if !e.Now().Before(end) {
			return nil, Stopped(errors.New(waits(&got.Request) + ". The same command goes on from there; --wait waits for it"))
		}
		if _, err := c.Await(ctx, got.Request.ID, got.Request.State, end.Sub(e.Now())); err != nil {
			return nil, waiting(ctx, err)
		}
	}
}

// waiting is what became of a wait that failed: where somebody has stopped it, it is no error of the broker's.
func waiting(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return Stopped(ctx.Err())
	}
	return err
}
