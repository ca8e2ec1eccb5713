package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/ingest"
	"drawbridge/internal/org"
)

// longWork is how long a step takes before a line of progress is worth it.
const longWork = time.Second

// openGraph reads the input at a path and links it into the graph of access, as of a time.
func (e *Env) openGraph(path string, now time.Time) (*access.Graph, error) {
	done := e.progress("reading " + path)
	s, err := ingest.OpenWith(path, e.code, e.identities()...)
	done()
	if err != nil {
		return nil, err
	}
	done = e.progress(fmt.Sprintf("linking %d accounts and %d roles", len(s.Accounts), len(s.Roles)))
	defer done()
	return access.Build(org.Build(s), access.Options{Now: now, Engine: ref.Engine()}), nil
}

// identityFlag is the --identity flag of commands that read an input.
func identityFlag(c *cobra.Command, e *Env) {
	c.Flags().StringArrayVar(&e.identity, "identity", nil, "opens an encrypted snapshot: a `FILE` of age identities or an SSH private key; default: $DRAWBRIDGE_IDENTITY")
}

// identities are those of the flag, else that of the environment, which may be the key itself.
func (e *Env) identities() []string { return Identities(e, e.identity) }

// Identities are those that were given, else that of the environment.
func Identities(e *Env, given []string) []string {
	if name := e.Getenv("DRAWBRIDGE_IDENTITY"); len(given) == 0 && name != "" {
		return []string{name}
	}
	return given
}

// assignments are the values of a flag NAME=VALUE that is given several times. A value may hold commas: it may be a list.
type assignments map[string]string

func (a *assignments) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" {
		return fmt.Errorf("expected NAME=VALUE, found %q", text)
	}
	if *a == nil {
		*a = assignments{}
	}
	if _, twice := (*a)[name]; twice {
		return fmt.Errorf("%s is given twice", name)
	}
	(*a)[name] = value
	return nil
}

func (a *assignments) String() string { return "" }
func (a *assignments) Type() string   { return "NAME=VALUE" }

// codeFlags are what a Terraform file or a CloudFormation template at PATH does not tell of itself.
func codeFlags(c *cobra.Command, e *Env) {
	f := c.Flags()
	f.StringVar(&e.code.Account, "account", "", "of infrastructure code: account `ID`, where it does not say")
	f.StringVar(&e.code.Region, "region", "", "of infrastructure code: `REGION`, where it does not say")
	f.Var((*assignments)(&e.code.Parameters), "parameter", "of a CloudFormation template: a parameter `NAME=VALUE`; may be given several times")
	check := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if e.code.Account != "" && !arn.IsAccountID(e.code.Account) {
			return usagef("--account %q is no account id: expected 12 digits", e.code.Account)
		}
		if check != nil {
			return check(c, args)
		}
		return nil
	}
}

// progress tells a person at a terminal what takes long. It prints nothing where the work is done within longWork, and
// nothing where standard error is no terminal.
func (e *Env) progress(what string) (done func()) {
	if !e.StderrTerminal {
		return func() {}
	}
	timer := time.AfterFunc(longWork, func() { fmt.Fprintf(e.Stderr, "%s …\n", what) })
	return func() { timer.Stop() }
}

// nowFlag is the --now flag: the time as of which an answer is given.
type nowFlag struct{ text string }

func (f *nowFlag) register(c *cobra.Command) {
	c.Flags().StringVar(&f.text, "now", "", "answer as of this `TIME` (RFC 3339, 2026-11-23T00:00:00Z); default: the clock")
}

// value returns the time, and whether it was given.
func (f *nowFlag) value(e *Env) (t time.Time, given bool, err error) {
	if f.text == "" {
		return e.Now().UTC(), false, nil
	}
	t, err = time.Parse(time.RFC3339, f.text)
	if err != nil {
		return time.Time{}, false, usagef("--now %q is no time: write it like 2026-11-23T00:00:00Z", f.text)
	}
	return t.UTC(), true, nil
}
