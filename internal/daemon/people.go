package daemon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/api"
	"drawbridge/internal/broker"
	"drawbridge/internal/oidc"
	"drawbridge/internal/web"
)

// remembered is how long a person's groups, as they were at the last sign-in, count for decisions that they have made.
const remembered = 7 * 24 * time.Hour

// person is somebody as they signed in last. Who is locked is nobody: what they decided before counts no more.
func (d *Daemon) person(ctx context.Context, id string) (broker.Reviewer, error) {
	now := d.clock.Now()
	if locked, err := d.locked(ctx, id, now); err != nil || locked {
		return broker.Reviewer{}, errors.Join(broker.ErrNotFound, err)
	}
	return d.store.Person(ctx, id, now.Add(-remembered))
}

// locked reports whether a subject is.
func (d *Daemon) locked(ctx context.Context, id string, at time.Time) (bool, error) {
	locks, err := d.store.Locks(ctx, at)
	return slices.ContainsFunc(locks, func(l broker.Lock) bool { return l.Kind == broker.LockSubject && l.Value == id }), err
}

func (d *Daemon) personLife() time.Duration { return cmp.Or(d.config.People.Session, personLife) }

// whose is whose token it is. A locked subject has none: what they were given before the lock is of no use. Nor has a machine whose issuer or key is locked; people must be let in to lift a lock.
func (d *Daemon) whose(ctx context.Context, token string) (broker.Caller, error) {
	now := d.clock.Now()
	c, err := api.Whose(ctx, d.store, token, now)
	if err != nil {
		return c, err
	}
	locks, err := d.store.Locks(ctx, now)
	if err != nil {
		return broker.Caller{}, err
	}
	if slices.ContainsFunc(locks, func(l broker.Lock) bool { return outlawed(&c.Subject, &l) }) {
		return broker.Caller{}, broker.ErrNotFound
	}
	if !c.Subject.Person && slices.Contains(d.config.Snapshots.From, c.Subject.Name) {
		c.Roles = append(slices.Clone(c.Roles), broker.Pusher)
	}
	return c, nil
}

// outlawed reports whether a lock makes a subject nobody to the broker.
func outlawed(s *broker.Subject, l *broker.Lock) bool {
	switch l.Kind {
	case broker.LockSubject:
		return l.Stops(s, "", "")
	case broker.LockIssuer, broker.LockKey:
		return !s.Person && l.Stops(s, "", "")
	}
	return false
}

// roles are what people of these groups are to the broker.
func (d *Daemon) roles(groups []string) []broker.Role {
	var out []broker.Role
	for _, role := range broker.Roles {
		if slices.ContainsFunc(d.config.Roles[role], func(g string) bool { return slices.Contains(groups, g) }) {
			out = append(out, role)
		}
	}
	return out
}

// pages are the pages for people.
func (d *Daemon) pages(failed func(string, error)) *web.Server {
	s := &web.Server{
		Broker: d.broker, Store: d.store, Person: d.person, Know: d.store.KnowPerson, Target: d.target, Life: d.personLife(), Now: d.clock.Now, Failed: failed,
		Secure: strings.HasPrefix(d.config.URL, "https://"),
		Begin: func(ctx context.Context, c broker.Caller, until time.Time) (string, error) {
			return api.NewToken(ctx, d.store, c, until)
		},
		Who: d.whose,
		End: func(ctx context.Context, secret string) error { return api.Drop(ctx, d.store, secret) },
		Code: func(ctx context.Context, c broker.Caller, challenge string) (string, error) {
			return api.NewCode(ctx, d.store, c, challenge, d.clock.Now())
		},
	}
	if d.config.People.Issuer != "" {
		s.SignIn, s.Returned = d.signIn()
	}
	return s
}

// signIn is the two halves of signing in by the identity provider of the configuration.
func (d *Daemon) signIn() (begin func(context.Context, string) (string, []byte, error), finish func(context.Context, []byte, url.Values) (broker.Caller, string, error)) {
	p := &d.config.People
	provider := &oidc.People{Issuer: p.Issuer, ClientID: p.Client, Secret: p.Secret.Reveal(), Return: d.config.URL + "/sign-in/callback", Scopes: p.Scopes, Groups: p.Groups, ID: p.ID, Client: &http.Client{Timeout: 10 * time.Second}, Now: d.clock.Now}
	begin = func(ctx context.Context, next string) (string, []byte, error) {
		address, attempt, err := provider.Begin(ctx, newID(), newID(), next)
		if err != nil {
			return "", nil, err
		}
		text, err := json.Marshal(attempt)
		return address, text, err
	}
	finish = func(ctx context.Context, text []byte, answer url.Values) (broker.Caller, string, error) {
		var attempt oidc.Attempt
		if err := json.Unmarshal(text, &attempt); err != nil {
			attempt = oidc.Attempt{} // none, which is refused
		}
		who, err := provider.Finish(ctx, attempt, answer)
		if errors.Is(err, oidc.ErrSignIn) {
			return broker.Caller{}, "", fmt.Errorf("%w: %w", web.ErrSignIn, err)
		}
		if err != nil {
			return broker.Caller{}, "", err
		}
		return broker.Caller{Subject: broker.Subject{ID: who.ID, Name: who.ID, Issuer: "people", UniqueID: who.Subject, Person: true}, Groups: who.Groups, Roles: d.roles(who.Groups)}, attempt.Next, nil
	}
	return begin, finish
}
