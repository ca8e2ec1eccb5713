package broker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Service is a machine that has no identity of its own: the broker gives it keys, with which it signs as AWS's clients do. An administrator registers it and never sees a key; its sponsors make its keys, and never approve for it.
type Service struct {
	// ID is never given to another: a service that was ended and registered again under its name is another one, whom no older grant lets in.
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	Sponsors []string  `json:"sponsors"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	// Until is when it is over, with all its keys.
	Until   time.Time `json:"until"`
	EndedAt time.Time `json:"endedAt,omitzero"`
	Keys    []Key     `json:"keys,omitempty"`
}

// Key is a pair of access key id and secret. The secret is kept sealed, beside it.
type Key struct {
	ID      string    `json:"id"`
	By      string    `json:"by"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Revoked time.Time `json:"revoked,omitzero"`
	// Used is when a signature of it was taken last; zero: never.
	Used time.Time `json:"used,omitzero"`
}

// Limits of services.
const (
	// MaxServiceLife is how far ahead a service may be registered.
	MaxServiceLife = 366 * 24 * time.Hour
	// MaxKeyLife is the longest life of a key, and that of one for which nobody says another.
	MaxKeyLife = 90 * 24 * time.Hour
	// MaxKeys are live at once: the one in use, and the one that follows it.
	MaxKeys = 2
	// maxSponsors is above what anybody would read.
	maxSponsors = 20
)

// ErrService says that a service or key cannot be as it was asked for.
var ErrService = errors.New("this service cannot be registered like this")

var serviceName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?$`)

// ServicePrefix begins the name by which entries let a service in: broker:NAME.
const ServicePrefix = "broker:"

// NewService is a service as it is registered. Whoever registers it sponsors it only where one person decides alone: else nobody could both name the machine and have its key.
func NewService(id, name string, sponsors []string, until time.Time, by string, alone bool, now time.Time) (*Service, error) {
	bad := func(format string, args ...any) (*Service, error) {
		return nil, fmt.Errorf("%w: %s", ErrService, fmt.Sprintf(format, args...))
	}
	for _, s := range sponsors {
		if strings.TrimSpace(s) == "" || strings.HasPrefix(s, "group:") {
			return bad("%q is no person: sponsors are people by name", s)
		}
	}
	switch {
	case !serviceName.MatchString(name):
		return bad("the name %.60q: expected up to 48 of a-z, 0-9 and -", name)
	case len(sponsors) == 0 || len(sponsors) > maxSponsors:
		return bad("%d sponsors: expected one to %d, who make its keys and answer for it", len(sponsors), maxSponsors)
	case slices.Contains(sponsors, by) && !alone:
		return bad("whoever registers a service does not sponsor it: one person alone would name a machine and have its key")
	case !until.After(now):
		return bad("it would be over already: say until when it is needed")
	case until.Sub(now) > MaxServiceLife:
		return bad("%v is too far ahead: at most a year", until.UTC().Format(time.DateOnly))
	}
	return &Service{ID: id, Name: name, Sponsors: sorted(sponsors), By: by, At: micro(now), Until: micro(until)}, nil
}

func micro(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// Live reports whether a service is neither ended nor over.
func (s *Service) Live(now time.Time) bool { return s.EndedAt.IsZero() && now.Before(s.Until) }

// Live reports whether a key is neither revoked nor over.
func (k *Key) Live(now time.Time) bool { return k.Revoked.IsZero() && now.Before(k.Expires) }

// Subject is who signs with a key of the service.
func (s *Service) Subject(key string) Subject {
	return Subject{ID: ServicePrefix + s.Name + ":" + s.ID, Name: ServicePrefix + s.Name, Issuer: "broker", Key: key, Sponsors: s.Sponsors, Ends: s.Until}
}

// Sponsored reports whether somebody is a sponsor of the service.
func (s *Service) Sponsored(by string) bool { return slices.Contains(s.Sponsors, by) }

// AddKey adds a key, for a life of at most MaxKeyLife and not beyond the service's end; 0: as long as may be.
func (s *Service) AddKey(id, by string, life time.Duration, now time.Time) (Logged, error) {
	live := 0
	for i := range s.Keys {
		if s.Keys[i].ID == id {
			return Logged{}, ErrExists
		}
		if s.Keys[i].Live(now) {
			live++
		}
	}
	switch {
	case !s.Live(now):
		return Logged{}, ErrNotFound
	case !s.Sponsored(by):
		return Logged{}, fmt.Errorf("%w: the keys of a service are made by its sponsors", ErrNotYours)
	case live >= MaxKeys:
		return Logged{}, fmt.Errorf("%w: it has %d keys; revoke the one that is not in use any more", ErrTooManyKeys, live)
	case life < 0 || life > MaxKeyLife:
		return Logged{}, fmt.Errorf("%w: a key lives for at most %d days", ErrService, int(MaxKeyLife.Hours()/24))
	case life == 0:
		life = MaxKeyLife
	}
	k := Key{ID: id, By: by, Made: micro(now), Expires: micro(now.Add(life))}
	if s.Until.Before(k.Expires) {
		k.Expires = s.Until
	}
	s.Keys = append(s.Keys, k)
	return Logged{by, KeyMade{Service: s.Name, ID: s.ID, Key: id, Expires: k.Expires}}, nil
}

// ErrTooManyKeys says that a service has as many keys as it may.
var ErrTooManyKeys = errors.New("no further key")

// RevokeKey ends a key.
func (s *Service) RevokeKey(id, by, why string, now time.Time) (Logged, error) {
	for i := range s.Keys {
		if k := &s.Keys[i]; k.ID == id {
			if !k.Live(now) {
				return Logged{}, fmt.Errorf("%w: the key is over", ErrDecided)
			}
			k.Revoked = micro(now)
			return Logged{by, KeyRevoked{Service: s.Name, ID: s.ID, Key: id, Why: why}}, nil
		}
	}
	return Logged{}, ErrNotFound
}

// End ends a service with its keys.
func (s *Service) End(by, why string, now time.Time) (Logged, error) {
	if !s.EndedAt.IsZero() {
		return Logged{}, ErrNotFound
	}
	s.EndedAt = micro(now)
	return Logged{by, ServiceEnded{Service: s.Name, ID: s.ID, Why: why}}, nil
}

// Services keeps them. Each method is one transaction, with its records in the log.
type Services interface {
	// Register adds a service; ErrExists where one of its name is live.
	Register(ctx context.Context, s *Service, at time.Time) error
	// Service is the newest one of a name; ErrNotFound where there is none.
	Service(ctx context.Context, name string) (*Service, error)
	// ListServices lists them by name, the newest first; those that are over too.
	ListServices(ctx context.Context) ([]Service, error)
	// UpdateService lets do change the newest service of a name. Where a key is made, sealed is its secret.
	UpdateService(ctx context.Context, name string, at time.Time, do func(*Service) (Logged, error), key string, sealed []byte) (*Service, error)
	// ServiceOfKey is whose key it is, with the sealed secret; ErrNotFound where it is nobody's.
	ServiceOfKey(ctx context.Context, key string) (*Service, []byte, error)
	// SpendKey remembers a signature of a key until it is of no use any more, and that the key was used; ErrSpent where it was seen (51).
	SpendKey(ctx context.Context, key, signature string, until, at time.Time) error
}

// EndService ends a service, and takes back what it may do. What waits for people stays of no use: nobody can sign for it.
func (b *Broker) EndService(ctx context.Context, services Services, name, by, why string) (revoked []string, err error) {
	now := b.Now()
	s, err := services.UpdateService(ctx, name, now, func(s *Service) (Logged, error) { return s.End(by, why, now) }, "", nil)
	if err != nil {
		return nil, err
	}
	var failures []error
	for after := ""; ; {
		list, next, err := b.Store.Grants(ctx, Filter{States: []State{Approved, Active, Suspended}, Subject: s.Subject("").ID, After: after})
		if err != nil {
			return revoked, errors.Join(append(failures, err)...)
		}
		for i := range list {
			_, err := b.Revoke(ctx, list[i].ID, by, "the service "+name+" was ended: "+why)
			switch {
			case err == nil:
				revoked = append(revoked, list[i].ID)
			case !errors.Is(err, ErrNotInForce) && !errors.Is(err, ErrDecided):
				failures = append(failures, fmt.Errorf("request %s: %w", list[i].ID, err))
			}
		}
		if after = next; next == "" {
			return revoked, errors.Join(failures...)
		}
	}
}

// ServiceRegistered: an administrator let a machine have keys of the broker's.
type ServiceRegistered struct {
	Service  string    `json:"service"`
	ID       string    `json:"id"`
	Sponsors []string  `json:"sponsors"`
	Until    time.Time `json:"until"`
}

// ServiceEnded: it is over, with its keys.
type ServiceEnded struct {
	Service string `json:"service"`
	ID      string `json:"id"`
	Why     string `json:"why"`
}

// KeyMade: a sponsor made a key; its secret is in no record.
type KeyMade struct {
	Service string    `json:"service"`
	ID      string    `json:"id"`
	Key     string    `json:"key"`
	Expires time.Time `json:"expires"`
}

// KeyRevoked: a key is of no use any more.
type KeyRevoked struct {
	Service string `json:"service"`
	ID      string `json:"id"`
	Key     string `json:"key"`
	Why     string `json:"why"`
}

func (ServiceRegistered) Kind() string { return "service.registered" }
func (ServiceEnded) Kind() string      { return "service.ended" }
func (KeyMade) Kind() string           { return "key.made" }
func (KeyRevoked) Kind() string        { return "key.revoked" }
