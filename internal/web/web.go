// Package web is the broker's pages for people: signing in, what waits for them, one request with all that was decided and done, and approving or denying what was seen. They are made on the server, need no script, and say what the
// API says; who may what is the broker's.
package web

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"drawbridge/internal/api/wire"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
)

// Server serves the pages. Its fields are set once.
type Server struct {
	Broker *broker.Broker
	Store  broker.Store
	// SignIn is where somebody is sent to sign in who wants to go on to a page of this server, and what their browser must remember until they are back. nil in a local setup, where a token of the API signs in.
	SignIn func(ctx context.Context, next string) (address string, attempt []byte, err error)
	// Returned is who came back with an answer, and where they wanted to go; an error that wraps ErrSignIn is theirs or their provider's.
	Returned func(ctx context.Context, attempt []byte, answer url.Values) (c broker.Caller, next string, err error)
	// Begin starts a session: it keeps a caller until a time, and gives the secret that stands for it. End forgets it.
	Begin func(ctx context.Context, c broker.Caller, until time.Time) (string, error)
	End   func(ctx context.Context, secret string) error
	// Who is whose secret it is; an error that wraps broker.ErrNotFound says that it is nobody's, or over.
	Who func(ctx context.Context, secret string) (broker.Caller, error)
	// Code is a secret that only who knows what the challenge was made from can exchange, once.
	Code func(ctx context.Context, c broker.Caller, challenge string) (string, error)
	// Know remembers a person with their groups, Person gives them again.
	Know   func(ctx context.Context, r broker.Reviewer, at time.Time) error
	Person func(ctx context.Context, id string) (broker.Reviewer, error)
	// Target is what is known of an entry's target role; nil where nothing can be.
	Target func(ctx context.Context, entry string) (*wire.Target, error)
	// Life is how long a session lasts.
	Life time.Duration
	// Secure: the pages are reached by https.
	Secure bool
	Now    func() time.Time
	Failed func(what string, err error)
}

// ErrSignIn says that somebody did not sign in.
var ErrSignIn = errors.New("signing in did not succeed")

//go:embed pages
var files embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"moment": func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format("2006-01-02 15:04 UTC")
	},
	"exact":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"length": length,
	"join":   func(list []string) string { return strings.Join(list, ", ") },
}).ParseFS(files, "pages/*.html"))

// length is a length of time in words of one's daily use.
func length(d time.Duration) string {
	text := d.Round(time.Minute).String()
	text = strings.TrimSuffix(text, "0s")
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// PersonSignedIn: a person proved who they are to the identity provider, and was in these groups.
type PersonSignedIn struct {
	Subject string   `json:"subject"` // the identity provider's
	Groups  []string `json:"groups"`
	Roles   []string `json:"roles"`
	For     string   `json:"for,omitempty"` // a command line
}

// PersonSignedOut: a person ended their session.
type PersonSignedOut struct{}

// SignInRefused: somebody did not sign in.
type SignInRefused struct {
	Why string `json:"why"`
}

func (PersonSignedIn) Kind() string  { return "person.signed-in" }
func (PersonSignedOut) Kind() string { return "person.signed-out" }
func (SignInRefused) Kind() string   { return "person.refused" }

// Register puts the pages where they are reached.
func (s *Server) Register(mux *http.ServeMux) {
	guard := http.NewCrossOriginProtection()
	handle := func(pattern string, h http.HandlerFunc) {
		mux.Handle(pattern, guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			header := w.Header()
			header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'"+formAction(r)+"; frame-ancestors 'none'; base-uri 'none'")
			header.Set("X-Content-Type-Options", "nosniff")
			header.Set("Referrer-Policy", "no-referrer")
			header.Set("Cache-Control", "no-store")
			h(w, r)
		})))
	}
	handle("GET /{$}", s.signedIn(s.list))
	handle("GET /requests/{id}", s.signedIn(s.request))
	handle("POST /requests/{id}/decision", s.signedIn(s.decide))
	handle("POST /requests/{id}/revocation", s.signedIn(s.revoke))
	handle("POST /requests/{id}/effects", s.signedIn(s.press))
	handle("GET /log", s.signedIn(s.log))
	handle("GET /locks", s.signedIn(s.locks))
	handle("POST /locks", s.signedIn(s.lock))
	handle("POST /locks/{id}/lifting", s.signedIn(s.lift))
	handle("GET /sign-in", s.signIn)
	handle("POST /sign-in", s.signInLocally)
	handle("GET /sign-in/callback", s.callback)
	handle("GET /sign-in/cli", s.signedIn(s.askCLI))
	handle("POST /sign-in/cli", s.signedIn(s.allowCLI))
	handle("POST /sign-out", s.signOut)
	mux.HandleFunc("GET /pages/style.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css; charset=utf-8")
		w.Header().Set("Cache-Control", "max-age=3600")
		text, _ := files.ReadFile("pages/style.css") // embedded
		_, _ = w.Write(text)
	})
}

// formAction lets the one form that leads to a program of the person's own machine lead there.
func formAction(r *http.Request) string {
	if r.URL.Path == "/sign-in/cli" {
		return " http://127.0.0.1:*"
	}
	return ""
}

// visit is a signed-in person's call.
type visit struct {
	w      http.ResponseWriter
	r      *http.Request
	caller broker.Caller
}

// page is what every page is made of.
type page struct {
	Title   string
	Caller  *broker.Caller
	Message string // what went wrong, or was done
	Bad     bool
	Now     time.Time
	Body    any
}

// SeesLocks says whether the person may see what is locked.
func (p *page) SeesLocks() bool { return p.Caller != nil && p.Caller.May(broker.ViewAll) }

// SeesLog says whether the person may read the log.
func (p *page) SeesLog() bool { return p.Caller != nil && p.Caller.May(broker.ReadAudit) }

func (s *Server) show(w http.ResponseWriter, status int, name string, p page) {
	p.Now = s.Now()
	var b bytes.Buffer
	if err := pages.ExecuteTemplate(&b, name, &p); err != nil {
		s.Failed("page "+name, err)
		http.Error(w, "something went wrong inside; the broker's log says what", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = b.WriteTo(w)
}

// message is a page that only says something.
func (s *Server) message(w http.ResponseWriter, c *broker.Caller, status int, title, text string) {
	s.show(w, status, "message.html", page{Title: title, Caller: c, Message: text, Bad: status >= 400})
}

// fault is an error as the pages tell it.
func (s *Server) fault(v *visit, what string, err error) {
	status, text := http.StatusInternalServerError, "Something went wrong inside; the broker's log says what."
	switch {
	case errors.Is(err, broker.ErrNotFound):
		status, text = http.StatusNotFound, "There is no such thing, or you may not see it."
	case errors.Is(err, broker.ErrStale):
		status, text = http.StatusConflict, "The request has changed since you saw it. Nothing was decided: look again."
	case errors.Is(err, broker.ErrNotYours):
		status, text = http.StatusForbidden, sentence(err)
	case errors.Is(err, broker.ErrDecided), errors.Is(err, broker.ErrNotInForce), errors.Is(err, broker.ErrLocked), errors.Is(err, broker.ErrExists):
		status, text = http.StatusConflict, sentence(err)
	default:
		s.Failed(what, err)
	}
	s.message(v.w, &v.caller, status, "Not done", text)
}

func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// list is what waits and what is in force.
func (s *Server) list(v *visit) {
	type body struct {
		Waiting, InForce, Ending []broker.Grant
		Locks                    int
	}
	var b body
	if v.caller.May(broker.ViewAll) {
		locks, err := s.Store.Locks(v.r.Context(), s.Now())
		if err != nil {
			s.fault(v, "list", err)
			return
		}
		b.Locks = len(locks)
	}
	for _, part := range []struct {
		states []broker.State
		into   *[]broker.Grant
	}{
		{[]broker.State{broker.Awaiting, broker.Suspended}, &b.Waiting},
		{[]broker.State{broker.Approved, broker.Active}, &b.InForce},
		{[]broker.State{broker.Revoking, broker.Stuck}, &b.Ending},
	} {
		f := broker.Filter{States: part.states, Most: 200}
		if !v.caller.May(broker.ViewAll) {
			f.Subject = v.caller.Subject.ID
		}
		list, _, err := s.Store.Grants(v.r.Context(), f)
		if err != nil {
			s.fault(v, "list", err)
			return
		}
		*part.into = list
	}
	s.show(v.w, http.StatusOK, "list.html", page{Title: "Crossings", Caller: &v.caller, Body: b})
}

// seen is a request that the person may see.
func (s *Server) seen(v *visit) (*broker.Grant, error) {
	g, err := s.Store.Grant(v.r.Context(), v.r.PathValue("id"))
	if err == nil && !v.caller.Sees(g) {
		err = broker.ErrNotFound
	}
	return g, err
}

func (s *Server) request(v *visit) {
	g, err := s.seen(v)
	if err != nil {
		s.fault(v, "request", err)
		return
	}
	s.showRequest(v, http.StatusOK, g, "")
}

func (s *Server) showRequest(v *visit, status int, g *broker.Grant, message string) {
	type body struct {
		*broker.Grant
		CanDecide, CanRevoke bool
		// CanPress: something of it does not succeed, and this person can do something about it.
		CanPress, CanQuarantine bool
		WhyNot                  string // why this person does not decide
		Target                  *wire.Target
		Locks                   []broker.Lock // that stop it
	}
	b := body{Grant: g}
	if s.Target != nil && v.caller.May(broker.ViewAll) && !g.State.Terminal() {
		t, err := s.Target(v.r.Context(), g.Ask.Entry)
		if err != nil && !errors.Is(err, broker.ErrNotFound) {
			s.Failed("target", err)
			t = &wire.Target{Why: "it cannot be read now"}
		}
		b.Target = t
	}
	if v.caller.May(broker.ViewAll) && !g.State.Terminal() {
		all, err := s.Store.Locks(v.r.Context(), s.Now())
		if err != nil {
			s.fault(v, "locks", err)
			return
		}
		for _, l := range all {
			if l.Stops(&g.Subject, g.Ask.Target, g.Vendor) {
				b.Locks = append(b.Locks, l)
			}
		}
	}
	if g.State == broker.Awaiting || g.State == broker.Suspended {
		r := v.caller.Reviewer()
		switch err := v.caller.Need(broker.DecideAny); {
		case err != nil:
			b.WhyNot = "you have not the role of an approver"
		default:
			b.WhyNot = g.WhyNot(&r)
		}
		b.CanDecide = b.WhyNot == ""
	}
	inForce := slices.Contains([]broker.State{broker.Approved, broker.Active, broker.Suspended}, g.State)
	b.CanRevoke = inForce && (v.caller.May(broker.RevokeAny) || g.Subject.ID == v.caller.Subject.ID)
	b.CanPress = v.caller.May(broker.RevokeAny) && slices.ContainsFunc(g.Effects, func(e broker.Effect) bool { return e.Stuck })
	b.CanQuarantine = b.CanPress && s.Broker.Quarantine && !slices.ContainsFunc(g.Effects, func(e broker.Effect) bool { return e.Kind == broker.Quarantine })
	s.show(v.w, status, "request.html", page{Title: g.Ask.Entry, Caller: &v.caller, Message: message, Bad: status >= 400, Body: b})
}

func (s *Server) decide(v *visit) {
	g, err := s.seen(v)
	if err == nil {
		err = v.caller.Need(broker.DecideAny)
	}
	reason, choice := strings.TrimSpace(v.r.PostFormValue("reason")), v.r.PostFormValue("choice")
	if err != nil {
		s.fault(v, "decide", err)
		return
	}
	switch {
	case choice != "approve" && choice != "deny":
		s.showRequest(v, http.StatusUnprocessableEntity, g, "Choose one of the two.")
		return
	case choice == "deny" && reason == "":
		s.showRequest(v, http.StatusUnprocessableEntity, g, "Say why: the one who asked is told.")
		return
	}
	r := v.caller.Reviewer()
	if _, err = s.Broker.Decide(v.r.Context(), g.ID, r, choice == "approve", v.r.PostFormValue("hash"), reason, s.Person); err != nil {
		s.fault(v, "decide", err)
		return
	}
	http.Redirect(v.w, v.r, "/requests/"+url.PathEscape(g.ID), http.StatusSeeOther)
}

func (s *Server) revoke(v *visit) {
	g, err := s.seen(v)
	if err == nil && g.Subject.ID != v.caller.Subject.ID {
		err = v.caller.Need(broker.RevokeAny)
	}
	if err != nil {
		s.fault(v, "revoke", err)
		return
	}
	reason := strings.TrimSpace(v.r.PostFormValue("reason"))
	if reason == "" {
		s.showRequest(v, http.StatusUnprocessableEntity, g, "Say why: the record needs it.")
		return
	}
	if _, err = s.Broker.Revoke(v.r.Context(), g.ID, v.caller.Subject.ID, reason); err != nil {
		s.fault(v, "revoke", err)
		return
	}
	http.Redirect(v.w, v.r, "/requests/"+url.PathEscape(g.ID), http.StatusSeeOther)
}

// press does something about effects that do not succeed.
func (s *Server) press(v *visit) {
	g, err := s.seen(v)
	if err == nil {
		err = v.caller.Need(broker.RevokeAny)
	}
	if err != nil {
		s.fault(v, "press", err)
		return
	}
	do, ok := map[string]func(context.Context, string, string, string) (*broker.Grant, error){"retry": s.Broker.Retry, "quarantine": s.Broker.Isolate, "acknowledge": s.Broker.Acknowledge}[v.r.PostFormValue("action")]
	reason := strings.TrimSpace(v.r.PostFormValue("reason"))
	switch {
	case !ok:
		s.showRequest(v, http.StatusUnprocessableEntity, g, "Choose what is to be done.")
		return
	case reason == "":
		s.showRequest(v, http.StatusUnprocessableEntity, g, "Say why: the record needs it.")
		return
	}
	if _, err = do(v.r.Context(), g.ID, v.caller.Subject.ID, reason); err != nil {
		s.fault(v, "press", err)
		return
	}
	http.Redirect(v.w, v.r, "/requests/"+url.PathEscape(g.ID), http.StatusSeeOther)
}

// locks shows what is stopped, to those who see everything.
func (s *Server) locks(v *visit) { s.showLocks(v, http.StatusOK, broker.Lock{}, "") }

func (s *Server) showLocks(v *visit, status int, asked broker.Lock, message string) {
	type body struct {
		Locks  []broker.Lock
		Kinds  []broker.LockKind
		Asked  broker.Lock // what a form said that was not taken
		CanSet bool
	}
	err := v.caller.Need(broker.ViewAll)
	var list []broker.Lock
	if err == nil {
		list, err = s.Store.Locks(v.r.Context(), s.Now())
	}
	if err != nil {
		s.fault(v, "locks", err)
		return
	}
	s.show(v.w, status, "locks.html", page{Title: "Locks", Caller: &v.caller, Message: message, Bad: status >= 400, Body: body{list, broker.LockKinds, asked, v.caller.May(broker.SetLocks)}})
}

// longestLock is how long a lock of a page lasts at most that ends by itself: ten years of hours.
const longestLock = 10 * 366 * 24

func (s *Server) lock(v *visit) {
	if err := v.caller.Need(broker.SetLocks); err != nil {
		s.fault(v, "lock", err)
		return
	}
	field := func(name string) string { return strings.TrimSpace(v.r.PostFormValue(name)) }
	l := broker.Lock{Kind: broker.LockKind(field("kind")), Value: field("value"), Reason: field("reason"), By: v.caller.Subject.ID}
	if l.Kind == broker.LockAll {
		l.Value = ""
	}
	text := l.Mistake()
	if hours := field("hours"); text == "" && hours != "" {
		n, err := strconv.Atoi(hours)
		if err != nil || n < 1 || n > longestLock {
			text = "for how long: expected hours, or nothing"
		}
		l.Expires = s.Now().Add(time.Duration(n) * time.Hour).UTC().Truncate(time.Second)
	}
	if text == "" && l.Reason == "" {
		text = "say why: the record needs it"
	}
	if text != "" {
		s.showLocks(v, http.StatusUnprocessableEntity, l, "Nothing was locked: "+text+".")
		return
	}
	if _, _, err := s.Broker.Lock(v.r.Context(), l); err != nil {
		s.fault(v, "lock", err)
		return
	}
	http.Redirect(v.w, v.r, "/locks", http.StatusSeeOther)
}

func (s *Server) lift(v *visit) {
	err := v.caller.Need(broker.SetLocks)
	reason := strings.TrimSpace(v.r.PostFormValue("reason"))
	if err == nil && reason == "" {
		s.showLocks(v, http.StatusUnprocessableEntity, broker.Lock{}, "Nothing was lifted: say why, the record needs it.")
		return
	}
	if err == nil {
		err = s.Store.Unlock(v.r.Context(), v.r.PathValue("id"), v.caller.Subject.ID, reason, s.Now())
	}
	if err != nil {
		s.fault(v, "lift", err)
		return
	}
	http.Redirect(v.w, v.r, "/locks", http.StatusSeeOther)
}

// logPage is how many records a page of the log has.
const logPage = 50

// log shows the audit log, the newest record first, to those who may read it. Reading is recorded, as it is by the API.
func (s *Server) log(v *visit) {
	type row struct {
		audit.Record
		Link   string // the page of the request that it is about
		Detail string
	}
	type body struct {
		Rows         []row
		Size         int64
		Older, Newer string // the record before which the page begins; "" where there is none
	}
	ctx := v.r.Context()
	err := v.caller.Need(broker.ReadAudit)
	var head audit.Head
	if err == nil {
		head, err = s.Store.Head(ctx)
	}
	if err != nil {
		s.fault(v, "log", err)
		return
	}
	before := head.Size
	if text := v.r.URL.Query().Get("before"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 || n > head.Size {
			s.message(v.w, &v.caller, http.StatusNotFound, "Not done", "The log has no such record.")
			return
		}
		before = n
	}
	from := max(0, before-logPage)
	most := int(before - from)
	b := body{Size: head.Size}
	if most > 0 {
		err = s.Store.Record(ctx, s.Now(), v.caller.Subject.ID, "audit", broker.AuditRead{From: from, Most: most})
		var list []audit.Record
		if err == nil {
			list, err = s.Store.Records(ctx, from, most)
		}
		if err != nil {
			s.fault(v, "log", err)
			return
		}
		for _, r := range slices.Backward(list) {
			w := row{Record: r, Detail: string(r.Body)}
			if of, _, _ := strings.Cut(r.Kind, "."); slices.Contains([]string{"request", "grant", "session", "effect", "deny"}, of) {
				w.Link = "/requests/" + url.PathEscape(r.About)
			}
			b.Rows = append(b.Rows, w)
		}
	}
	if from > 0 {
		b.Older = strconv.FormatInt(from, 10)
	}
	if before < head.Size {
		b.Newer = strconv.FormatInt(min(head.Size, before+logPage), 10)
	}
	s.show(v.w, http.StatusOK, "log.html", page{Title: "Log", Caller: &v.caller, Body: b})
}

// cookie is the name of the session's cookie; a browser takes the prefix as a promise that nobody but this host set it, over https.
func (s *Server) cookie(what string) string {
	if s.Secure {
		return "__Host-drawbridge-" + what
	}
	return "drawbridge-" + what
}

func (s *Server) setCookie(w http.ResponseWriter, what, value string, life time.Duration) {
	c := &http.Cookie{Name: s.cookie(what), Value: value, Path: "/", HttpOnly: true, Secure: s.Secure, SameSite: http.SameSiteLaxMode, MaxAge: int(life.Seconds())}
	if value == "" {
		c.MaxAge = -1
	}
	http.SetCookie(w, c)
}

// signedIn is for people who are: others sign in first, and come back.
func (s *Server) signedIn(do func(*visit)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie(s.cookie("session")); err == nil {
			caller, err := s.Who(r.Context(), c.Value)
			switch {
			case err == nil && caller.Subject.Person:
				r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
				do(&visit{w, r, caller})
				return
			case err != nil && !errors.Is(err, broker.ErrNotFound):
				s.Failed("session", err)
				s.message(w, nil, http.StatusInternalServerError, "Not done", "Something went wrong inside; the broker's log says what.")
				return
			}
		}
		if r.Method != http.MethodGet {
			s.message(w, nil, http.StatusUnauthorized, "Sign in again", "Your session is over. Nothing was done.")
			return
		}
		http.Redirect(w, r, "/sign-in?to="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	}
}

// next is where somebody goes after signing in: a page of this server, whatever was asked for.
func next(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(to, "\\\r\n") {
		return "/"
	}
	return u.RequestURI()
}

// attemptLife is how long a sign-in at the identity provider may take.
const attemptLife = 10 * time.Minute

func (s *Server) signIn(w http.ResponseWriter, r *http.Request) {
	to := next(r.URL.Query().Get("to"))
	if s.SignIn == nil {
		s.show(w, http.StatusOK, "sign-in.html", page{Title: "Sign in", Body: to})
		return
	}
	address, attempt, err := s.SignIn(r.Context(), to)
	if err != nil {
		s.Failed("sign-in", err)
		s.message(w, nil, http.StatusBadGateway, "The identity provider does not answer", "Nobody can sign in for now. What is in force stays so, and machines are served.")
		return
	}
	s.setCookie(w, "attempt", base64.RawURLEncoding.EncodeToString(attempt), attemptLife)
	http.Redirect(w, r, address, http.StatusSeeOther)
}

// signInLocally takes the token that the local setup printed.
func (s *Server) signInLocally(w http.ResponseWriter, r *http.Request) {
	if s.SignIn != nil {
		http.NotFound(w, r)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	to := next(r.PostFormValue("to"))
	caller, err := s.Who(r.Context(), strings.TrimSpace(r.PostFormValue("token")))
	if err != nil || !caller.Subject.Person {
		if err != nil && !errors.Is(err, broker.ErrNotFound) {
			s.Failed("sign-in", err)
		}
		s.show(w, http.StatusUnauthorized, "sign-in.html", page{Title: "Sign in", Message: "That is not the token that the daemon printed, or it is over.", Bad: true, Body: to})
		return
	}
	s.begin(w, r, caller, to)
}

func (s *Server) callback(w http.ResponseWriter, r *http.Request) {
	if s.SignIn == nil {
		http.NotFound(w, r)
		return
	}
	var attempt []byte
	if c, err := r.Cookie(s.cookie("attempt")); err == nil {
		attempt, _ = base64.RawURLEncoding.DecodeString(c.Value) // what cannot be read is no attempt, and is refused as such
	}
	s.setCookie(w, "attempt", "", 0)
	c, to, err := s.Returned(r.Context(), attempt, r.URL.Query())
	if errors.Is(err, ErrSignIn) {
		if err := s.Store.Record(r.Context(), s.Now(), broker.Clock, "sign-in", SignInRefused{err.Error()}); err != nil {
			s.Failed("sign-in", err)
		}
		s.message(w, nil, http.StatusForbidden, "You are not signed in", sentence(err))
		return
	}
	if err != nil {
		s.Failed("sign-in", err)
		s.message(w, nil, http.StatusBadGateway, "The identity provider does not answer", "Try again in a while.")
		return
	}
	s.begin(w, r, c, next(to))
}

// begin starts a session for a person who proved who they are.
func (s *Server) begin(w http.ResponseWriter, r *http.Request, c broker.Caller, to string) {
	ctx, now := r.Context(), s.Now()
	err := s.Know(ctx, broker.Reviewer{ID: c.Subject.ID, Groups: c.Groups}, now)
	if err == nil {
		err = s.Store.Record(ctx, now, c.Subject.ID, c.Subject.ID, PersonSignedIn{Subject: c.Subject.UniqueID, Groups: c.Groups, Roles: names(c.Roles)})
	}
	var secret string
	until := now.Add(s.Life)
	if !c.Until.IsZero() && c.Until.Before(until) {
		until = c.Until // a token that signs in is not made longer by it
	}
	c.Until = until
	if err == nil {
		secret, err = s.Begin(ctx, c, until)
	}
	if err != nil {
		s.Failed("sign-in", err)
		s.message(w, nil, http.StatusInternalServerError, "Not done", "Something went wrong inside; the broker's log says what.")
		return
	}
	s.setCookie(w, "session", secret, until.Sub(now))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func names(roles []broker.Role) []string {
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}

func (s *Server) signOut(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(s.cookie("session")); err == nil {
		caller, err := s.Who(r.Context(), c.Value)
		if err == nil {
			err = s.Store.Record(r.Context(), s.Now(), caller.Subject.ID, caller.Subject.ID, PersonSignedOut{})
		}
		if err == nil {
			err = s.End(r.Context(), c.Value)
		}
		if err != nil && !errors.Is(err, broker.ErrNotFound) {
			s.Failed("sign-out", err)
			s.message(w, nil, http.StatusInternalServerError, "Not done", "You are still signed in: something went wrong inside.")
			return
		}
	}
	s.setCookie(w, "session", "", 0)
	s.message(w, nil, http.StatusOK, "Signed out", "This browser's session has ended.")
}

// cli is what a command line that wants to be let in says of itself.
type cli struct {
	Port             int
	State, Challenge string
}

func readCLI(v url.Values) (cli, error) {
	c := cli{State: v.Get("state"), Challenge: v.Get("challenge")}
	var err error
	if c.Port, err = strconv.Atoi(v.Get("port")); err != nil || c.Port < 1024 || c.Port > 65535 {
		return c, fmt.Errorf("the port is missing")
	}
	// The challenge is a SHA-256 (RFC 7636, section 4.2).
	if sum, err := base64.RawURLEncoding.DecodeString(c.Challenge); err != nil || len(sum) != 32 || len(c.State) < 16 || len(c.State) > 100 {
		return c, fmt.Errorf("the challenge or state is missing")
	}
	return c, nil
}

// askCLI asks the person whether the command line of their machine may act as them. It never does so by itself: any page could lead here.
func (s *Server) askCLI(v *visit) {
	c, err := readCLI(v.r.URL.Query())
	if err != nil {
		s.message(v.w, &v.caller, http.StatusUnprocessableEntity, "Not done", "Run 'drawbridge login' on the command line: it leads here.")
		return
	}
	s.show(v.w, http.StatusOK, "cli.html", page{Title: "Let the command line in", Caller: &v.caller, Body: c})
}

func (s *Server) allowCLI(v *visit) {
	if err := v.r.ParseForm(); err != nil {
		s.message(v.w, &v.caller, http.StatusUnprocessableEntity, "Not done", "The form cannot be read.")
		return
	}
	c, err := readCLI(v.r.PostForm)
	if err != nil {
		s.message(v.w, &v.caller, http.StatusUnprocessableEntity, "Not done", "Run 'drawbridge login' on the command line: it leads here.")
		return
	}
	ctx := v.r.Context()
	code, err := s.Code(ctx, v.caller, c.Challenge)
	if err == nil {
		err = s.Store.Record(ctx, s.Now(), v.caller.Subject.ID, v.caller.Subject.ID, PersonSignedIn{Subject: v.caller.Subject.UniqueID, Groups: v.caller.Groups, Roles: names(v.caller.Roles), For: "a command line"})
	}
	if err != nil {
		s.fault(v, "sign-in of a command line", err)
		return
	}
	// RFC 8252, section 7.3: loopback by its address, never by a name.
	http.Redirect(v.w, v.r, fmt.Sprintf("http://127.0.0.1:%d/?%s", c.Port, url.Values{"state": {c.State}, "code": {code}}.Encode()), http.StatusSeeOther)
}
