package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/registry"
)

// Broker carries out commands: it reads the registry, asks the store, and calls AWS, always in the order that the package comment gives. Its fields are set once.
type Broker struct {
	Store   Store
	Rules   Rules
	Issuer  Issuer
	Revoker Revoker
	// SubjectMax is how long sessions of a subject may be, by what proves it; 0, or where it is nil: as long as everything else lets it.
	SubjectMax func(*Subject) time.Duration
	// Quarantine says that the revoker can quarantine.
	Quarantine bool
	Now        func() time.Time
	// NewID makes ids of requests and sessions: 2 to 50 characters of [a-z0-9-], never the same twice.
	NewID func() string

	mu     sync.Mutex
	held   map[string]held    // credentials that were given out, by session
	flight map[string]*flight // demands under way, by key
}

// Rules give the registry as it is in force.
type Rules interface {
	// Entry is an entry with its vendor, nil where it names none, and the registry's version. A nil entry: there is none of that name.
	Entry(ctx context.Context, name string) (e *registry.Entry, v *registry.Vendor, version string, err error)
	// TargetMax is the target role's longest session, 0 where it is not known; federated says that it is reached by AssumeRoleWithWebIdentity.
	Target(ctx context.Context, role string) (longest time.Duration, federated bool, err error)
}

// Issuer asks AWS. It spends the permit, once.
type Issuer interface {
	// Issue gives credentials. An error that wraps ErrNotIssued means that surely none were made; any other leaves it open.
	Issue(ctx context.Context, p *Permit) (Credentials, error)
}

// ErrNotIssued says that AWS surely made no credentials.
var ErrNotIssued = errors.New("no credentials were issued")

// Credentials are what AWS gave. They are held in memory only.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey audit.Secret
	SessionToken    audit.Secret
	NotAfter        time.Time
	Role            string // ARN of the session
	RoleID          string // its unique id with the session's name
	Packed          int    // how much of its room for policy and tags it takes, in percent; 0 where AWS did not say
}

// Revoker carries out effects.
type Revoker interface {
	// Carry does what an effect says, and reads it back; doing it again changes nothing.
	Carry(ctx context.Context, e Effect) (Carried, error)
	// Lift takes away what was put there for the effect, and sees that it is gone; that it was gone already is as good.
	Lift(ctx context.Context, e Effect) error
}

type held struct {
	Credentials
	session Session
}

type flight struct {
	done chan struct{}
	err  error
}

// File answers a request. A refusal is an answer: the grant that is returned is denied, and its refusal is the error.
func (b *Broker) File(ctx context.Context, s Subject, ask Ask, known Facts) (*Grant, error) {
	return b.file(ctx, b.NewID(), s, ask, known)
}

func (b *Broker) file(ctx context.Context, id string, s Subject, ask Ask, known Facts) (*Grant, error) {
	now := b.Now()
	r := Request{ID: id, Subject: s, Ask: ask, Filed: now.UTC().Truncate(time.Microsecond)}
	e, v, version, err := b.Rules.Entry(ctx, ask.Entry)
	if err != nil {
		return nil, fmt.Errorf("reading the registry: %w", err)
	}
	known.Vendor, known.Version = v, version
	if ask.Target == "" && e != nil && Admits(e, &s) {
		ask.Target = e.To.Role // whom the entry lets in may know where it leads
		r.Ask = ask
	}
	if known.TargetMax, known.Federated, err = b.Rules.Target(ctx, ask.Target); err != nil {
		return nil, fmt.Errorf("reading what is known of the target: %w", err)
	}
	if b.SubjectMax != nil {
		known.SubjectMax = b.SubjectMax(&s)
	}
	terms, refusal := Judge(e, &r, &known, now)
	if refusal == nil {
		locks, err := b.Store.Locks(ctx, now)
		if err != nil {
			return nil, err
		}
		for i := range locks {
			if locks[i].Stops(&s, ask.Target, e.Vendor) {
				refusal = refuse("this is locked: "+locks[i].Reason, "lock %s", locks[i].ID)
			}
		}
	}
	c := File(r, terms, refusal, now)
	if err := b.Store.File(ctx, c, now); errors.Is(err, ErrExists) && refusal != nil {
		return &c.Grant, refusal // asked again within the minute: refused again, and recorded already
	} else if err != nil {
		return nil, err
	}
	if refusal != nil {
		return &c.Grant, refusal
	}
	return &c.Grant, nil
}

// Access is what a client that knows nothing of requests asks for: credentials, now. It uses the grant that the subject has for the entry and target; where there is none it files a request, as the client would have
// done. A *Pending says that people must decide first, a *Refusal that nobody will.
func (b *Broker) Access(ctx context.Context, s Subject, ask Ask, d Demand, known Facts) (Credentials, *Grant, error) {
	list, _, err := b.Store.Grants(ctx, Filter{States: []State{Awaiting, Approved, Active, Suspended}, Subject: s.ID, Entry: ask.Entry, Target: ask.Target})
	if err != nil {
		return Credentials{}, nil, err
	}
	now := b.Now()
	var g *Grant
	for i := range list {
		// One in force is better than one that waits; of several the newest.
		if c := Tick(&list[i], now); c != nil {
			list[i] = c.Grant
		}
		at := &list[i]
		if at.State.Terminal() || !at.Ask.covers(&ask) || g != nil && (at.State != Active || g.State == Active) {
			continue
		}
		if at.State == Awaiting || at.State == Suspended {
			// What the registry does not let happen any more nobody can approve, and nobody need wait for.
			if _, err := b.holds(ctx, at); errors.Is(err, ErrNotInForce) {
				continue
			} else if err != nil {
				return Credentials{}, nil, err
			}
		}
		g = at
	}
	if g == nil {
		// The id follows from who asks for what in this minute, so that retries, wherever they arrive, file one request.
		if g, err = b.file(ctx, requestID(&s, &ask, now), s, ask, known); errors.Is(err, ErrExists) {
			g, err = b.Store.Grant(ctx, requestID(&s, &ask, now))
		}
		if err != nil {
			return Credentials{}, g, err
		}
	}
	switch g.State {
	case Awaiting, Suspended:
		// Nobody can approve what is locked, and nobody need wait for it.
		locks, err := b.Store.Locks(ctx, now)
		if err != nil {
			return Credentials{}, nil, err
		}
		for i := range locks {
			if locks[i].Stops(&s, g.Ask.Target, g.Vendor) {
				return Credentials{}, g, refuse("this is locked: "+locks[i].Reason, "lock %s", locks[i].ID)
			}
		}
		return Credentials{}, g, &Pending{Request: g.ID, State: g.State}
	case Approved:
		return Credentials{}, g, &Pending{Request: g.ID, State: g.State, Start: g.NotBefore}
	}
	d.Context = known.Context
	c, err := b.Issue(ctx, g.ID, s, d)
	return c, g, err
}

// requestID is the same for the same question within a minute.
func requestID(s *Subject, ask *Ask, now time.Time) string {
	r := Request{Subject: Subject{ID: s.ID}, Ask: *ask}
	return "r-" + r.Hash()[:20] + "-" + strconv.FormatInt(now.Unix()/60, 36)
}

// Issue gives credentials for a grant: those of a live session of the same demand where this process holds them, else new ones. Demands of the same key that come at once share one session.
func (b *Broker) Issue(ctx context.Context, id string, s Subject, d Demand) (Credentials, error) {
	for {
		c, joined, err := b.join(ctx, id, s, d)
		if !joined || err != nil {
			return c, err
		}
		// Somebody else's demand has made a session. Whether this one may have it is asked of the store as it is now: a fence or lock may have come between.
	}
}

// join carries a demand out, or waits for one of the same key that is under way: joined says that it did, and that it succeeded where there is no error.
func (b *Broker) join(ctx context.Context, id string, s Subject, d Demand) (c Credentials, joined bool, err error) {
	g, err := b.Store.Grant(ctx, id)
	if err != nil {
		return Credentials{}, false, err
	}
	if g.Subject.ID != s.ID {
		return Credentials{}, false, fmt.Errorf("request %s: %w", id, ErrNotFound) // whose it is, is nobody else's business (52)
	}
	if !g.State.Fenced() {
		e, err := b.holds(ctx, g)
		if err != nil {
			return Credentials{}, false, err
		}
		if refusal := Meets(e, &s, d.Context); refusal != nil {
			if err := b.Store.Record(ctx, b.Now(), s.ID, g.ID, SessionRefused{Why: refusal.Why, Detail: refusal.Detail}); err != nil {
				return Credentials{}, false, err
			}
			return Credentials{}, false, refusal
		}
	}
	key := g.key(&d)
	b.mu.Lock()
	if f := b.flight[key]; f != nil {
		b.mu.Unlock()
		select {
		case <-f.done:
			return Credentials{}, true, f.err
		case <-ctx.Done():
			return Credentials{}, true, ctx.Err()
		}
	}
	f := &flight{done: make(chan struct{}), err: errors.New("issuing was interrupted")}
	if b.flight == nil {
		b.flight, b.held = make(map[string]*flight), make(map[string]held)
	}
	b.flight[key] = f
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.flight, key)
		b.mu.Unlock()
		close(f.done)
	}()
	// Who asked first may stop waiting; what was begun is finished for the others and for the record.
	c, f.err = b.issue(context.WithoutCancel(ctx), id, s, d)
	return c, false, f.err
}

// holds is the grant's entry; an error where the registry, as it is now, does not cover the grant any more.
func (b *Broker) holds(ctx context.Context, g *Grant) (*registry.Entry, error) {
	e, v, _, err := b.Rules.Entry(ctx, g.Ask.Entry)
	if err != nil {
		return nil, fmt.Errorf("reading the registry: %w", err)
	}
	if why, _ := Holds(g, e, v, b.Now()); why != "" {
		return nil, fmt.Errorf("%w: %s", ErrNotInForce, why)
	}
	return e, nil
}

// patience is how long AWS is waited for.
const patience = 30 * time.Second

func (b *Broker) issue(ctx context.Context, id string, s Subject, d Demand) (Credentials, error) {
	d.ID = b.NewID()
	d.Held = func(session string) bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		_, ok := b.held[session]
		return ok
	}
	now := b.Now()
	var a Answer
	if _, err := b.Store.Update(ctx, id, now, func(g *Grant, locks []Lock) (c *Change, err error) {
		a, err = Issue(g, &s, d, locks, now)
		return a.Change, err
	}); err != nil {
		return Credentials{}, err
	}
	if a.Again != nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		if h, ok := b.held[a.Again.ID]; ok {
			return h.Credentials, nil
		}
		return Credentials{}, fmt.Errorf("session %s: %w", a.Again.ID, ErrNotInForce)
	}
	asked, cancel := context.WithTimeout(ctx, patience)
	credentials, failure := b.Issuer.Issue(asked, a.Change.Permit)
	cancel()
	o := Outcome{State: Issued, AccessKeyID: credentials.AccessKeyID, NotAfter: credentials.NotAfter, Packed: credentials.Packed}
	switch {
	case errors.Is(failure, ErrNotIssued):
		o = Outcome{State: Failed, Why: failure.Error()}
	case failure != nil:
		o = Outcome{State: Unclear, Why: failure.Error()}
	}
	now = b.Now()
	deliver := false
	g, err := b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (c *Change, err error) {
		c, deliver, err = Settle(g, d.ID, o, now)
		return c, err
	})
	switch {
	case err != nil:
		return Credentials{}, fmt.Errorf("the outcome could not be recorded, and nothing is given out without: %w", err)
	case failure != nil:
		return Credentials{}, failure
	case !deliver:
		return Credentials{}, fmt.Errorf("%w: it was taken back while AWS was asked", ErrNotInForce)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, h := range b.held {
		if !h.session.live(now) {
			delete(b.held, id)
		}
	}
	for _, session := range g.Sessions {
		if session.ID == d.ID {
			b.held[d.ID] = held{credentials, session}
		}
	}
	return credentials, nil
}

// Decide is a person's decision; directory says what the identity provider knows of the people who decided before.
func (b *Broker) Decide(ctx context.Context, id string, by Reviewer, approve bool, hash, why string, directory func(context.Context, string) (Reviewer, error)) (*Grant, error) {
	g, err := b.Store.Grant(ctx, id)
	if err != nil {
		return nil, err
	}
	decides := func(*Reviewer) bool { return true }
	if approve {
		// What people approve, and who may, is what the registry says now, not what it did when the request was filed.
		e, err := b.holds(ctx, g)
		if err != nil {
			return nil, err
		}
		decides = func(r *Reviewer) bool { return r.as(e.Deciders()) != "" }
		if !decides(&by) {
			return nil, fmt.Errorf("%w: none of the approvers of this entry", ErrNotYours)
		}
	}
	others := make(map[string]Reviewer)
	for _, d := range g.Decisions {
		// Who cannot be looked up counts no more: the zero reviewer is eligible for nothing.
		if person, err := directory(ctx, d.By); err == nil && decides(&person) {
			others[d.By] = person
		}
	}
	now := b.Now()
	return b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Decide(g, by, approve, hash, why, others, now) })
}

// Withdraw is the requester's own no.
func (b *Broker) Withdraw(ctx context.Context, id, by string) (*Grant, error) {
	now := b.Now()
	return b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Withdraw(g, by, now) })
}

// Revoke fences a grant. It returns when the fence is committed; the effects follow (see Sweep).
func (b *Broker) Revoke(ctx context.Context, id, by, why string) (*Grant, error) {
	now := b.Now()
	g, err := b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Revoke(g, by, why, now) })
	if err == nil {
		b.drop(g)
	}
	return g, err
}

// Suspend stops a grant until people approve again.
func (b *Broker) Suspend(ctx context.Context, id, by, why string) (*Grant, error) {
	now := b.Now()
	g, err := b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Suspend(g, by, why, now) })
	if err == nil {
		b.drop(g)
	}
	return g, err
}

// drop forgets credentials of a grant that is not in force.
func (b *Broker) drop(g *Grant) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range g.Sessions {
		delete(b.held, s.ID)
	}
}

// Lock sets a lock and suspends every grant in force that it stops. A lock that is committed stops new sessions at once, whatever becomes of the rest.
func (b *Broker) Lock(ctx context.Context, l Lock) (id string, suspended []string, err error) {
	now := b.Now()
	l.ID, l.At = b.NewID(), now.UTC().Truncate(time.Microsecond)
	if err := b.Store.Lock(ctx, l, now); err != nil {
		return "", nil, err
	}
	var failures []error
	for after := ""; ; {
		list, next, err := b.Store.Grants(ctx, Filter{States: []State{Approved, Active}, After: after})
		if err != nil {
			return l.ID, suspended, errors.Join(append(failures, err)...)
		}
		for i := range list {
			g := &list[i]
			if !l.Stops(&g.Subject, g.Ask.Target, g.Vendor) {
				continue
			}
			switch _, err := b.Suspend(ctx, g.ID, l.By, "lock "+l.ID+": "+l.Reason); {
			case err == nil:
				suspended = append(suspended, g.ID)
			case !errors.Is(err, ErrNotInForce):
				failures = append(failures, fmt.Errorf("request %s: %w", g.ID, err))
			}
		}
		if after = next; next == "" {
			return l.ID, suspended, errors.Join(failures...)
		}
	}
}

// sweepers is how many grants are swept at once: an account that does not answer keeps no other waiting (32).
const sweepers = 16

// Sweep does what the time has to do: grants begin, lapse and end, effects are carried out, and denies that cut nothing any more are removed. It returns how many grants it looked at; one that fails is tried again by the next sweep and
// stops no other (32).
func (b *Broker) Sweep(ctx context.Context, most int) (int, error) {
	ids, err := b.Store.Due(ctx, b.Now(), most)
	if err != nil {
		return 0, err
	}
	failures := make([]error, len(ids))
	room := make(chan struct{}, sweepers)
	var wait sync.WaitGroup
	for i, id := range ids {
		room <- struct{}{}
		wait.Go(func() {
			defer func() { <-room }()
			if err := b.sweep(ctx, id); err != nil {
				failures[i] = fmt.Errorf("request %s: %w", id, err)
			}
		})
	}
	wait.Wait()
	return len(ids), errors.Join(failures...)
}

func (b *Broker) sweep(ctx context.Context, id string) error {
	now := b.Now()
	g, err := b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Tick(g, now), nil })
	if err != nil {
		return err
	}
	var failures []error
	for _, e := range g.Effects {
		var err error
		if g.pending(&e) && !e.Next.After(now) {
			err = b.carry(ctx, g, e)
		} else if at := g.spent(&e); !at.IsZero() && !at.After(now) {
			err = b.lift(ctx, g, e)
		}
		if err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (b *Broker) carry(ctx context.Context, g *Grant, e Effect) error {
	asked, cancel := context.WithTimeout(ctx, patience)
	carried, failure := b.Revoker.Carry(asked, e)
	cancel()
	if failure == nil && !carried.Older.IsZero() {
		// Before it is recorded as done: a process that dies here carries it out again, and tells again whom it hit.
		if err := b.overtake(ctx, g, e.ID, carried.Older); err != nil {
			return err
		}
	}
	now := b.Now()
	after, err := b.Store.Update(ctx, g.ID, now, func(g *Grant, _ []Lock) (*Change, error) { return Attempt(g, e.ID, carried, failure, now) })
	if err != nil || !b.Quarantine || !slices.ContainsFunc(after.Effects, func(e Effect) bool { return after.needsQuarantine(&e, now) }) {
		return err
	}
	_, err = b.Isolate(ctx, g.ID, Clock, "the role does not take the deny")
	return err
}

// Isolate cuts what is being taken back by the organisation's policy too.
func (b *Broker) Isolate(ctx context.Context, id, by, why string) (*Grant, error) {
	if !b.Quarantine {
		return nil, fmt.Errorf("%w: this broker has no policy of the organisation to quarantine by", ErrNotInForce)
	}
	now := b.Now()
	return b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Isolate(g, by, why, now) })
}

// Retry tries at once what of a grant's effects waits to be tried again.
func (b *Broker) Retry(ctx context.Context, id, by, why string) (*Grant, error) {
	now := b.Now()
	return b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Retry(g, by, why, now) })
}

// Acknowledge says that somebody looks after what of a grant is stuck.
func (b *Broker) Acknowledge(ctx context.Context, id, by, why string) (*Grant, error) {
	now := b.Now()
	return b.Store.Update(ctx, id, now, func(g *Grant, _ []Lock) (*Change, error) { return Acknowledge(g, by, why, now) })
}

// overtake tells the other grants of a role that their older sessions were cut.
func (b *Broker) overtake(ctx context.Context, by *Grant, effect string, older time.Time) error {
	for after := ""; ; {
		list, next, err := b.Store.Grants(ctx, Filter{States: []State{Active, Approved, Suspended}, Target: by.Ask.Target, After: after})
		if err != nil {
			return err
		}
		for i := range list {
			if list[i].ID == by.ID {
				continue
			}
			now := b.Now()
			g, err := b.Store.Update(ctx, list[i].ID, now, func(g *Grant, _ []Lock) (*Change, error) { return Overtake(g, effect, older, now), nil })
			if err != nil {
				return err
			}
			b.drop(g)
		}
		if after = next; next == "" {
			return nil
		}
	}
}

func (b *Broker) lift(ctx context.Context, g *Grant, e Effect) error {
	asked, cancel := context.WithTimeout(ctx, patience)
	failure := b.Revoker.Lift(asked, e)
	cancel()
	now := b.Now()
	_, err := b.Store.Update(ctx, g.ID, now, func(g *Grant, _ []Lock) (*Change, error) { return Lift(g, e.ID, failure, now) })
	return err
}
