package daemon

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/notify"
	"drawbridge/internal/ocsf"
)

// notifyEvery is how soon others hear of what was committed.
const notifyEvery = time.Second

// tell tells the addresses of the configuration what happens, until the context ends.
func (d *Daemon) tell(ctx context.Context) {
	if len(d.config.Notify) == 0 {
		return
	}
	s := &notify.Sender{Log: d.store, Cursors: d.store, Holder: newID(), Client: &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, Now: d.clock.Now,
		Link: func(kind, about string) string {
			if d.config.URL == "" || !strings.HasPrefix(kind, "request.") && !strings.HasPrefix(kind, "grant.") && !strings.HasPrefix(kind, "effect.") {
				return ""
			}
			return d.config.URL + "/requests/" + url.PathEscape(about)
		},
		Say: func(r *audit.Record) (string, string, error) { return new(ocsf.Mapper).Sentence(r) },
		Failed: func(hook string, err error) {
			d.log.Error("an address was not told what happened; it is tried again", "name", hook, "error", err)
		}}
	for _, n := range d.config.Notify {
		h := notify.Hook{Name: n.Name, URL: n.URL, Secret: audit.Secret(n.Secret.Reveal()), Kinds: n.On, Chat: n.Form == "slack"}
		if len(n.Subjects) > 0 {
			h.Concerns = d.about(n.Subjects)
		}
		s.Hooks = append(s.Hooks, h)
	}
	ticker := time.NewTicker(notifyEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.Step(ctx)
		}
	}
}

// about says of a record whether it is about a request of one of these subjects. One that is about something else is about nobody.
func (d *Daemon) about(subjects []string) func(context.Context, *audit.Record) (bool, error) {
	return func(ctx context.Context, r *audit.Record) (bool, error) {
		g, err := d.store.Grant(ctx, r.About)
		switch {
		case errors.Is(err, broker.ErrNotFound):
			return false, nil
		case err != nil:
			return false, err
		}
		return slices.Contains(subjects, g.Subject.ID) || slices.Contains(subjects, g.Subject.Name), nil
	}
}
