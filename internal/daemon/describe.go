package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"drawbridge/internal/registry"
	"drawbridge/internal/sqlstore"
)

// Describe says in lines what a daemon of this configuration would be, and opens what it can open without asking anybody: files of keys, certificates and the registry. Secrets are not in it.
func (c *Config) Describe(local bool) ([]string, error) {
	var lines []string
	var problems []error
	say := func(what, format string, args ...any) {
		lines = append(lines, fmt.Sprintf("%-11s %s", what, fmt.Sprintf(format, args...)))
	}
	wrong := func(err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%w: %w", ErrConfig, err))
		}
	}
	listen := c.Listen
	if c.TLS.Certificate != "" {
		own := &certificate{file: c.TLS.Certificate, key: c.TLS.Key, log: slog.New(slog.DiscardHandler), now: time.Now}
		if err := own.load(); err != nil {
			wrong(err)
		} else {
			listen += ", TLS until " + own.pair.Leaf.NotAfter.UTC().Format(time.RFC3339)
		}
	}
	say("listen", "%s", listen)
	say("url", "%s", orNone(c.URL))
	kind, _, _ := strings.Cut(c.Store.Reveal(), ":")
	say("store", "%s", kind)
	if c.Registry == "" {
		say("registry", "in the store")
	} else if r, err := openRules(nil, c.Registry); err != nil {
		wrong(err)
	} else {
		say("registry", "%s: %d entries", c.Registry, len(r.registry.Entries))
		for _, p := range mistakes(r.registry.Check(registry.CheckOptions{Now: time.Now()})) {
			say("", "%s", p)
		}
	}
	for _, i := range c.Issuers {
		say("issuer", "%s, for %s", i.URL, i.Audience)
	}
	for _, s := range c.SPIFFE {
		say("spiffe", "%s, by %s", s.TrustDomain, s.Bundle)
	}
	switch {
	case local:
		say("people", "one, by the token that the daemon prints")
	case c.People.Issuer == "":
		say("people", "none: nobody signs in")
	default:
		say("people", "by %s", c.People.Issuer)
	}
	for _, k := range c.Issuer.Keys {
		where := k.KMS
		if k.File != "" {
			where = k.File
			if _, err := readKey(k.File); err != nil {
				wrong(err)
			}
		}
		say("signs", "%s, key %s", where, k.ID)
	}
	if len(c.Issuer.Keys) == 0 {
		say("signs", "nothing: roles are taken by AssumeRole")
	}
	if t := c.AWS.Assume.Targets; len(t) > 0 {
		say("assumes", "%d roles, as %s", len(t), c.AWS.Assume.Role)
	}
	switch {
	case c.Audit.KMS != "":
		say("log", "signed by %s", c.Audit.KMS)
	case c.Audit.Key != "":
		_, verifier, err := readLogKey(c.Audit.Key)
		if err != nil {
			wrong(err)
		} else {
			say("log", "signed as %s", verifier.Name())
		}
	default:
		say("log", "NOT SIGNED: whoever can write the store can rewrite it")
	}
	if _, err := readSeals(c.Keys.Seal); err != nil {
		wrong(err)
	}
	if c.Quarantine.Policy != "" {
		say("quarantine", "by %s", c.Quarantine.Policy)
	}
	for _, n := range c.Notify {
		say("tells", "%s", n.Name)
	}
	return lines, errors.Join(problems...)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// Backup copies the store of a configuration into a file.
func Backup(ctx context.Context, c *Config, name string) error {
	s, err := sqlstore.Open(ctx, c.Store.Reveal())
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(ctx, name), s.Close())
}
