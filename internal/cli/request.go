package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/wire"
)

// newRequest asks a broker for access.
func newRequest(e *Env) *cobra.Command {
	var broker brokerFlags
	var ask askFlags
	var wait time.Duration
	var format string
	c := &cobra.Command{
		Use:   "request ENTRY",
		Short: "Ask a broker for access by an entry of the registry",
		Long: `Asks the broker for access by an entry of the registry, and prints what became of it: approved at once, waiting for people, or refused with the reason. The exit status is 4 while people have not decided.

'drawbridge creds' and 'drawbridge exec' ask by themselves; this command is for asking beforehand, or for a later time.`,
		Example: `  drawbridge request ci-deploy --reason "release 7"
  drawbridge request backup --start 2026-12-01T02:00:00Z --for 4h --ticket CHG-311 --wait 30m`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usagef("--format %q: expected text or json", format)
			}
			a, err := ask.ask(args[0])
			if err != nil {
				return err
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			r, err := b.File(c.Context(), a)
			if err != nil {
				return e.refused(err)
			}
			end := e.Now().Add(wait)
			for n := 0; r.State == "awaiting" && e.Now().Before(end); n++ {
				if n == 0 {
					fmt.Fprintln(e.Stderr, waits(r))
				}
				if r, err = b.Await(c.Context(), r.ID, r.State, end.Sub(e.Now())); err != nil {
					return e.refused(waiting(c.Context(), err))
				}
			}
			if err := e.print(r, format); err != nil {
				return err
			}
			switch r.State {
			case "awaiting":
				return Stopped(errors.New(waits(r)))
			case "approved", "active":
				return nil
			}
			return errUnwanted
		},
	}
	broker.register(c)
	ask.register(c)
	c.Flags().DurationVar(&wait, "wait", 0, "wait this long for people to decide, such as 30m")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

// print shows a request.
func (e *Env) print(r *wire.Request, format string) error {
	if format == "json" {
		w := json.NewEncoder(e.Stdout)
		w.SetIndent("", "  ")
		w.SetEscapeHTML(false)
		return written(w.Encode(r))
	}
	return written(showRequest(e.Stdout, r))
}

func written(err error) error {
	if err != nil {
		return Unwritten(err)
	}
	return nil
}

const minute = "2006-01-02 15:04 UTC"

// plain is a text of somebody else's as a terminal may show it: on one line, without what moves the cursor or turns the direction of writing, by which one could be shown something other than what one decides about.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsGraphic(r) || unicode.Is(unicode.Bidi_Control, r):
			return unicode.ReplacementChar
		}
		return r
	}, text)
}

// showRequest is a request for people: first what one must know to decide about it.
func showRequest(out io.Writer, r *wire.Request) error {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-10s %s\n", name, plain(value))
		}
	}
	fmt.Fprintf(&b, "%s  %s\n", r.ID, stateOf(r))
	line("who", r.Subject)
	line("entry", r.Entry)
	line("role", r.Target)
	why := r.Reason
	if r.Ticket != "" {
		why = strings.TrimPrefix(why+" ("+r.Ticket+")", " ")
	}
	line("why", why)
	line("may do", strings.Join(r.Actions, ", "))
	line("on", strings.Join(r.Resources, ", "))
	span := ""
	switch {
	case r.NotBefore != nil && r.NotAfter != nil:
		span = r.NotBefore.Format(minute) + " to " + r.NotAfter.Format(minute)
	case r.Life != "":
		span = short(r.Life)
	}
	if r.Session != "" {
		span += ", in sessions of at most " + short(r.Session) + " (by " + r.LimitedBy + ")"
	}
	line("how long", span)
	for i, d := range r.Decisions {
		said := "denied"
		if d.Approve {
			said = "approved"
		}
		name := ""
		if i == 0 {
			name = "decisions"
		}
		text := fmt.Sprintf("%s by %s on %s", said, d.By, d.At.UTC().Format(minute))
		if d.Reason != "" {
			text += ": " + d.Reason
		}
		fmt.Fprintf(&b, "  %-10s %s\n", name, plain(text))
	}
	for i, s := range r.Sessions {
		name := ""
		if i == 0 {
			name = "sessions"
		}
		fmt.Fprintf(&b, "  %-10s %s, %s to %s", name, s.State, s.Since.UTC().Format(minute), s.NotAfter.UTC().Format(minute))
		if s.Overtaken != nil {
			fmt.Fprintf(&b, ", cut with those of another request at %s", s.Overtaken.UTC().Format(minute))
		}
		b.WriteString("\n")
	}
	if r.FencedAt != nil {
		line("fenced", r.FencedAt.Format("2006-01-02 15:04:05 UTC")+": nothing is issued since")
	}
	for _, x := range r.Effects {
		text := x.Kind + " on " + x.Role + ": "
		switch {
		case x.EffectiveBy != nil:
			text += "written " + x.Written.Format("15:04:05") + ", effective by " + x.EffectiveBy.Format("15:04:05 UTC")
		case x.Stuck:
			text += fmt.Sprintf("STUCK after %d attempts; the broker goes on trying", x.Attempts)
		default:
			text += fmt.Sprintf("not done yet, %d attempts", x.Attempts)
		}
		if x.Acknowledged != nil {
			text += ", acknowledged"
		}
		if x.Older != nil {
			text += ", every session of the role from before " + x.Older.Format("15:04:05 UTC")
		}
		if x.Removed != nil {
			text += ", removed " + x.Removed.Format(minute)
		}
		line("effect", text)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// stateOf is a request's state in a few words.
func stateOf(r *wire.Request) string {
	switch r.State {
	case "awaiting", "suspended":
		yes := 0
		for _, d := range r.Decisions {
			if d.Approve {
				yes++
			}
		}
		text := fmt.Sprintf("%s: %d of %d approvals", r.State, min(yes, r.Approvals), r.Approvals)
		if len(r.Approvers) > 0 {
			text += " by " + strings.Join(r.Approvers, ", ")
		}
		if r.Until != nil {
			text += ", until " + r.Until.Format(minute)
		}
		return text
	}
	return r.State
}

// short is a length of time without the zeroes at its end: 8h0m0s is 8h.
func short(text string) string {
	d, err := time.ParseDuration(text)
	if err != nil {
		return text
	}
	text = d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
