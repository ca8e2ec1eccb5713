package cli

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
)

// newLogin signs a person in.
func newLogin(e *Env) *cobra.Command {
	broker := brokerFlags{person: true}
	var noBrowser bool
	c := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a broker, as a person",
		Long: `Opens the broker's page in your browser, where you sign in and let this command line in; then the commands that call the broker act as you, until the session ends. What is kept is a token, in your cache folder, readable to nobody
else.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), 10*time.Minute)
			defer cancel()
			who, err := e.login(ctx, b, noBrowser)
			if err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stderr, "signed in as %s\n", who)
			return nil
		},
	}
	c.Flags().BoolVar(&noBrowser, "no-browser", false, "only print the address")
	broker.register(c)
	return c
}

// login is the code flow of RFC 8252 with PKCE: the browser brings a code to a port of loopback, and only this process knows what it is exchanged with.
func (e *Env) login(ctx context.Context, b *client.Client, noBrowser bool) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	state, verifier := newSecret(), newSecret()+newSecret()
	sum := sha256.Sum256([]byte(verifier))
	address := b.URL + "/sign-in/cli?" + url.Values{"port": {fmt.Sprint(l.Addr().(*net.TCPAddr).Port)}, "state": {state}, "challenge": {base64.RawURLEncoding.EncodeToString(sum[:])}}.Encode()
	codes := make(chan string, 1)
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/" || q.Get("state") != state || q.Get("code") == "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintln(w, "You are signed in on the command line. This page can be closed.")
		select {
		case codes <- q.Get("code"):
		default:
		}
	})}
	go func() { _ = server.Serve(l) }() // ends with the listener
	fmt.Fprintf(e.Stderr, "Sign in here, in a browser of this machine:\n\n  %s\n\n", address)
	if !noBrowser {
		_ = openBrowser(address) // the address stands above
	}
	select {
	case code := <-codes:
		token, err := b.Exchange(ctx, wire.Proof{Code: code, Verifier: verifier})
		if err != nil {
			return "", err
		}
		kept := e.kept(b, signedIn)
		if err := kept.Keep(token); err != nil {
			return "", fmt.Errorf("keeping the token: %w", err)
		}
		patience, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_ = server.Shutdown(patience) // the browser gets its page
		return token.Subject, nil
	case <-ctx.Done():
		return "", Stopped(errors.New("nobody signed in"))
	}
}

func openBrowser(address string) error {
	name, args := "xdg-open", []string{address}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", address}
	}
	return exec.Command(name, args...).Start()
}

// newLogout forgets the person's token.
func newLogout(e *Env) *cobra.Command {
	broker := brokerFlags{person: true}
	c := &cobra.Command{
		Use:   "logout",
		Short: "Forget the session of 'drawbridge login'",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			if err := b.Leave(c.Context()); err != nil && !errors.Is(err, client.ErrUnproven) {
				return e.refused(err)
			}
			if err := e.kept(b, signedIn).Forget(); err != nil {
				return fmt.Errorf("forgetting the token: %w", err)
			}
			fmt.Fprintln(e.Stderr, "signed out")
			return nil
		},
	}
	broker.register(c)
	return c
}
