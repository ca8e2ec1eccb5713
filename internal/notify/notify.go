// Package notify tells others what happened at the broker: it follows the audit log and posts what they asked for to their addresses, signed, in order, each until it was taken.
//
// The log is the queue: what was committed is told, whatever crashes, and what was not is never. A message may come twice (its id tells), and one that is refused is tried again, later and later; it holds back those behind it, of that
// address alone.
package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"drawbridge/internal/audit"
)

// Hook is an address that is told.
type Hook struct {
	// Name tells it apart for good: how far it was told is kept under it.
	Name   string
	URL    string
	Secret audit.Secret
	// Kinds are the kinds of records that it is told; none: Default.
	Kinds []string
	// Chat: what is posted is a text for people, in the form that Slack, and what is like it, takes; else it is the message as JSON.
	Chat bool
	// Concerns says whether a record is for this hook; nil: all of its kinds are.
	Concerns func(ctx context.Context, r *audit.Record) (bool, error)
}

// Default are the kinds that people want to know of without asking: what waits for them, what was decided, what was taken back, and what does not succeed.
var Default = []string{"request.filed", "request.decided", "grant.suspended", "grant.revoked", "effect.failed", "lock.set", "registry.proposed", "registry.decided", "snapshot.refused", "offboarding.begun", "offboarding.proven"}

// Message is what is posted.
type Message struct {
	ID    int64     `json:"id"` // the record's number in the log: the same message has the same
	Kind  string    `json:"kind"`
	Time  time.Time `json:"time"`
	Actor string    `json:"actor"`
	About string    `json:"about"`
	// Link leads to the page about it, "" where there is none.
	Link   string          `json:"link,omitempty"`
	Detail json.RawMessage `json:"detail"` // the record
}

// SignatureHeader carries the time of the post and a MAC over it and the body, t=SECONDS,v1=HEX: whoever has the secret checks that it is ours, and that it is new.
const SignatureHeader = "Drawbridge-Signature"

// Sign is the value of SignatureHeader for a body.
func Sign(secret string, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(t + "."))
	mac.Write(body)
	return "t=" + t + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}

// Log gives the records.
type Log interface {
	Head(ctx context.Context) (audit.Head, error)
	Records(ctx context.Context, from int64, most int) ([]audit.Record, error)
}

// Cursors keep how far each hook was told. Of several daemons one at a time tells it.
type Cursors interface {
	// Claim is the next record for a hook, for holder alone until a time; ok is false where another one has it. A hook that is new begins at first.
	Claim(ctx context.Context, hook, holder string, first int64, now, until time.Time) (next int64, ok bool, err error)
	// Advance notes that a hook was told everything before next, and leaves it to others.
	Advance(ctx context.Context, hook, holder string, next int64) error
}

// Sender follows the log. Its fields are set once.
type Sender struct {
	Hooks   []Hook
	Log     Log
	Cursors Cursors
	Holder  string // this process
	Client  *http.Client
	Now     func() time.Time
	Link    func(kind, about string) string
	// Say says in words what a record is, and the words of whoever did it; for chats.
	Say    func(r *audit.Record) (sentence, words string, err error)
	Failed func(hook string, err error)

	mu    sync.Mutex
	later map[string]retry
	whole map[string]int64 // the size of the log up to which a hook was told everything, so that a log that stands still costs no writing
}

type retry struct {
	at    time.Time
	tries int
}

const (
	lease    = time.Minute // longer than a batch takes
	batch    = 100
	soonest  = 2 * time.Second
	latest   = 5 * time.Minute
	maxReply = 64 << 10
)

// Step tells each hook what it was not told yet. A hook that fails is told again later, and stops no other.
func (s *Sender) Step(ctx context.Context) {
	var wait sync.WaitGroup
	for _, h := range s.Hooks {
		s.mu.Lock()
		due := !s.Now().Before(s.later[h.Name].at)
		s.mu.Unlock()
		if !due {
			continue
		}
		wait.Go(func() {
			err := s.tell(ctx, h)
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.later == nil {
				s.later = make(map[string]retry)
			}
			if err == nil {
				delete(s.later, h.Name)
				return
			}
			r := s.later[h.Name]
			r.tries++
			r.at = s.Now().Add(min(soonest<<min(r.tries-1, 10), latest))
			s.later[h.Name] = r
			if ctx.Err() == nil {
				s.Failed(h.Name, err)
			}
		})
	}
	wait.Wait()
}

// tell posts what a hook was not told, as far as it takes it.
func (s *Sender) tell(ctx context.Context, h Hook) error {
	now := s.Now()
	head, err := s.Log.Head(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	done := head.Size > 0 && s.whole[h.Name] == head.Size
	s.mu.Unlock()
	if done {
		return nil
	}
	next, ok, err := s.Cursors.Claim(ctx, h.Name, s.Holder, head.Size, now, now.Add(lease))
	if err != nil || !ok {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lease/2)
	defer cancel()
	told := next
	list, err := s.Log.Records(ctx, next, batch)
	if err == nil {
		kinds := h.Kinds
		if len(kinds) == 0 {
			kinds = Default
		}
		for i := range list {
			if r := &list[i]; slices.Contains(kinds, r.Kind) {
				concerned := true
				if h.Concerns != nil {
					concerned, err = h.Concerns(ctx, r)
				}
				if err == nil && concerned {
					err = s.post(ctx, h, r)
				}
				if err != nil {
					break
				}
			}
			told = list[i].Seq + 1
		}
	}
	if err = errors.Join(err, s.Cursors.Advance(context.WithoutCancel(ctx), h.Name, s.Holder, told)); err == nil && told == head.Size {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.whole == nil {
			s.whole = make(map[string]int64)
		}
		s.whole[h.Name] = told
	}
	return err
}

func (s *Sender) post(ctx context.Context, h Hook, r *audit.Record) error {
	m := Message{ID: r.Seq, Kind: r.Kind, Time: r.Time, Actor: r.Actor, About: r.About, Detail: r.Body}
	if s.Link != nil {
		m.Link = s.Link(r.Kind, r.About)
	}
	body, err := json.Marshal(m)
	if h.Chat {
		body, err = s.chat(&m, r)
	}
	if err != nil {
		return fmt.Errorf("message %d: %w", m.ID, err)
	}
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("message %d: %w", m.ID, nameless(err))
	}
	q.Header.Set("Content-Type", "application/json")
	if h.Secret != "" {
		q.Header.Set(SignatureHeader, Sign(h.Secret.Reveal(), s.Now(), body))
	}
	answer, err := s.Client.Do(q)
	if err != nil {
		return fmt.Errorf("message %d was not taken: %w", m.ID, nameless(err))
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, maxReply)) // so that the connection is used again
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("message %d was not taken: %s", m.ID, answer.Status)
	}
	return nil
}

// Lengths of what stands in a chat: what is longer is cut, and is behind the link.
const maxWords = 600

// escape keeps a text from leaving the block of code that it stands in, in which nothing is a mark: a link that a caller wrote must not look like ours (Slack, "Formatting text for app surfaces").
var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "`", "'")

// chat is a message for people: what happened, why, and where to go.
func (s *Sender) chat(m *Message, r *audit.Record) ([]byte, error) {
	sentence, words, err := s.Say(r)
	if err != nil {
		return nil, err
	}
	text := "```\n" + escape.Replace(oneLine(sentence)) + "\n"
	if words != "" {
		text += escape.Replace(oneLine(words)) + "\n"
	}
	text += "```"
	if m.Link != "" {
		text += "\n<" + m.Link + "|Open it>"
	}
	return json.Marshal(map[string]any{"text": text, "unfurl_links": false})
}

// oneLine is a text on one line, cut where it is long.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxWords {
		s = strings.ToValidUTF8(s[:maxWords], "") + "…"
	}
	return s
}

// nameless is an error of a call without the address, which may be a secret itself.
func nameless(err error) error {
	var named *url.Error
	if errors.As(err, &named) {
		return named.Err
	}
	return err
}
