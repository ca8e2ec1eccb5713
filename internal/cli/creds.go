package cli

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
)

// accessFlags say how credentials are wanted.
type accessFlags struct {
	brokerFlags
	askFlags
	session string
	wait    time.Duration
}

func (f *accessFlags) register(c *cobra.Command) {
	f.brokerFlags.register(c)
	f.askFlags.register(c)
	c.Flags().StringVar(&f.session, "session", "", "how long a session is to last, as a `TIME` such as 1h; default: as long as the entry lets it")
	c.Flags().DurationVar(&f.wait, "wait", 0, "wait this long for people to decide, such as 30m")
}

func (f *accessFlags) open(e *Env, entry string) (*client.Client, wire.Access, error) {
	ask, err := f.ask(entry)
	if err != nil {
		return nil, wire.Access{}, err
	}
	c, err := f.client(e)
	return c, wire.Access{Ask: ask, Demand: wire.Demand{Life: f.session}}, err
}

// newCreds prints credentials for AWS's SDKs.
func newCreds(e *Env) *cobra.Command {
	var f accessFlags
	c := &cobra.Command{
		Use:   "creds ENTRY",
		Short: "Get short-lived AWS credentials, as a credential_process",
		Long: `Gets short-lived AWS credentials by an entry of the registry, and prints them in the form that AWS's command line and SDKs read from a credential_process:

  [profile deploy]
  credential_process = drawbridge creds ci-deploy --reason "deploys of web"

Where there is no grant yet a request is filed; while people have not decided the exit status is 4, and the message says who is asked. The broker hands out the same live session again until a third of its life is left.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			b, a, err := f.open(e, args[0])
			if err != nil {
				return err
			}
			got, err := e.access(c.Context(), b, a, f.wait)
			if err != nil {
				return e.refused(err)
			}
			w := json.NewEncoder(e.Stdout)
			w.SetIndent("", "  ")
			return written(w.Encode(got.Credentials))
		},
	}
	f.register(c)
	return c
}

// others are the variables by which a program would find other credentials before those of an endpoint, or beside these.
var others = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN", "AWS_CREDENTIAL_EXPIRATION", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"}

// newExec runs a program with credentials.
func newExec(e *Env) *cobra.Command {
	var f accessFlags
	var renew, end bool
	c := &cobra.Command{
		Use:   "exec ENTRY -- COMMAND [ARGUMENT...]",
		Short: "Run a program with short-lived AWS credentials",
		Long: `Gets credentials by an entry of the registry and runs a program with them in its environment. They end when the session does; --renew gives the program an endpoint on this machine instead, from which AWS's SDKs get new ones in time.
With --end the access is taken back when the program has ended.

The exit status is the program's, once it runs.`,
		Example: `  drawbridge exec ci-deploy --reason "release 7" -- aws s3 sync dist s3://artifacts/web
  drawbridge exec nightly --renew --end --reason "nightly copy" -- ./copy.sh`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			b, a, err := f.open(e, args[0])
			if err != nil {
				return err
			}
			got, err := e.access(c.Context(), b, a, f.wait)
			if err != nil {
				return e.refused(err)
			}
			env := slices.DeleteFunc(os.Environ(), func(v string) bool {
				name, _, _ := strings.Cut(v, "=")
				return slices.Contains(others, name) || strings.HasPrefix(name, "DRAWBRIDGE_") || strings.HasPrefix(name, "ACTIONS_ID_TOKEN_")
			})
			if renew {
				s := &endpoint{env: e, client: b, entries: map[string]wire.Access{args[0]: a}, secret: newSecret()}
				s.keep(args[0], got)
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
				go func() { _ = server.Serve(l) }() // ends with Close
				defer server.Close()
				// The files of settings come before the endpoint in every SDK's order, so that they must not have credentials; what the program needs of them beside these is in its environment.
				env = append(env, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://"+l.Addr().String()+"/"+args[0], "AWS_CONTAINER_AUTHORIZATION_TOKEN="+s.secret, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_CONFIG_FILE="+os.DevNull)
			} else {
				k := got.Credentials
				env = append(env, "AWS_ACCESS_KEY_ID="+k.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+k.SecretAccessKey, "AWS_SESSION_TOKEN="+k.SessionToken, "AWS_CREDENTIAL_EXPIRATION="+k.Expiration)
			}
			err = e.child(args[1], args[2:], env)
			if end {
				if _, fault := b.Revoke(context.WithoutCancel(c.Context()), got.Request.ID, "the program ended"); fault != nil {
					fmt.Fprintf(e.Stderr, "drawbridge: access could not be taken back, and ends by itself on %s: %v\n", untilOf(&got.Request), fault)
				}
			}
			return err
		},
	}
	f.register(c)
	c.Flags().BoolVar(&renew, "renew", false, "serve credentials to the program as long as it runs")
	c.Flags().BoolVar(&end, "end", false, "take the access back when the program has ended")
	return c
}

// child runs a program. Interrupts reach it by themselves from the terminal; those that are sent to this process are handed on.
func (e *Env) child(name string, args, env []string) error {
	p := exec.Command(name, args...)
	p.Env, p.Stdin, p.Stdout, p.Stderr = env, e.Stdin, e.Stdout, e.Stderr
	if err := p.Start(); err != nil {
		return fmt.Errorf("running %s: %w", name, err)
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	for {
		select {
		case s := <-signals:
			_ = p.Process.Signal(s)
		case err := <-ended:
			var exit *exec.ExitError
			switch {
			case err == nil:
				return nil
			case errors.As(err, &exit) && exit.ExitCode() >= 0:
				return childStatus(exit.ExitCode())
			case errors.As(err, &exit):
				if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
					return childStatus(128 + int(status.Signal()))
				}
			}
			return fmt.Errorf("running %s: %w", name, err)
		}
	}
}

// newAgent serves credentials to programs of this machine.
func newAgent(e *Env) *cobra.Command {
	var f accessFlags
	var listen, secretFile string
	c := &cobra.Command{
		Use:   "agent ENTRY...",
		Short: "Serve short-lived AWS credentials to the programs of this machine",
		Long: `Serves credentials on loopback in the way of Amazon ECS, which every AWS SDK understands:

  AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:8182/ENTRY
  AWS_CONTAINER_AUTHORIZATION_TOKEN=(the secret)

A request without the secret is refused: loopback is open to every program of the machine, also of other users. The secret is printed at the start, or read from --secret-file.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			host, _, err := net.SplitHostPort(listen)
			if err != nil || !isLoopback(host) {
				return usagef("--listen %q: expected an address of this machine, such as 127.0.0.1:8182", listen)
			}
			s := &endpoint{env: e, entries: make(map[string]wire.Access), secret: newSecret()}
			for _, entry := range args {
				if s.client, s.entries[entry], err = f.open(e, entry); err != nil {
					return err
				}
			}
			if secretFile != "" {
				text, err := os.ReadFile(secretFile)
				if err != nil {
					return err
				}
				if s.secret = strings.TrimSpace(string(text)); len(s.secret) < 16 {
					return fmt.Errorf("%s: a secret has at least 16 characters", secretFile)
				}
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			for _, entry := range args {
				fmt.Fprintf(e.Stdout, "AWS_CONTAINER_CREDENTIALS_FULL_URI=http://%s/%s\n", l.Addr(), entry)
			}
			if secretFile == "" {
				fmt.Fprintf(e.Stdout, "AWS_CONTAINER_AUTHORIZATION_TOKEN=%s\n", s.secret)
			}
			ctx, stop := signal.NotifyContext(c.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
			go func() {
				<-ctx.Done()
				_ = server.Close()
			}()
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return err
			}
			return nil
		},
	}
	f.register(c)
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:8182", "the `ADDRESS`, on loopback")
	c.Flags().StringVar(&secretFile, "secret-file", "", "read the secret from this `FILE`")
	return c
}

// endpoint serves credentials as Amazon ECS does to containers. Source: AWS SDKs and Tools Reference Guide, "Container credential provider".
type endpoint struct {
	env     *Env
	client  *client.Client
	entries map[string]wire.Access
	secret  string

	mu   sync.Mutex
	kept map[string]*wire.Accessed
}

func newSecret() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func (s *endpoint) keep(entry string, got *wire.Accessed) {
	if s.kept == nil {
		s.kept = make(map[string]*wire.Accessed)
	}
	s.kept[entry] = got
}

// renewal is how long before their end credentials are renewed: SDKs ask for new ones from five minutes before it.
const renewal = 10 * time.Minute

func (s *endpoint) get(ctx context.Context, entry string) (*wire.Credentials, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.kept[entry]; got != nil {
		if until, err := time.Parse(time.RFC3339, got.Credentials.Expiration); err == nil && s.env.Now().Before(until.Add(-renewal)) {
			return got.Credentials, nil
		}
	}
	got, err := s.env.access(ctx, s.client, s.entries[entry], 0)
	if err != nil {
		return nil, err
	}
	s.keep(entry, got)
	return got.Credentials, nil
}

func (s *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	fail := func(status int, code, message string) {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"code": code, "message": message})
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	entry := strings.TrimPrefix(r.URL.Path, "/")
	_, known := s.entries[entry]
	switch {
	case !isLoopback(host): // a name that somebody let point here
		fail(http.StatusForbidden, "AccessDenied", "ask for 127.0.0.1 or localhost")
	case subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte(s.secret)) != 1:
		fail(http.StatusUnauthorized, "AccessDenied", "the secret is missing or wrong: set AWS_CONTAINER_AUTHORIZATION_TOKEN")
	case r.Method != http.MethodGet:
		fail(http.StatusMethodNotAllowed, "MethodNotAllowed", "ask by GET")
	case !known:
		fail(http.StatusNotFound, "NotFound", "this agent does not serve that entry")
	default:
		k, err := s.get(r.Context(), entry)
		if err != nil {
			fail(http.StatusForbidden, "AccessDenied", err.Error())
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"AccessKeyId": k.AccessKeyID, "SecretAccessKey": k.SecretAccessKey, "Token": k.SessionToken, "Expiration": k.Expiration})
	}
}
