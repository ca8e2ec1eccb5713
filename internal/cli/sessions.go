package cli

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/api/wire"
)

// newSessions lists what is in force.
func newSessions(e *Env) *cobra.Command {
	var broker brokerFlags
	var all bool
	var format, subject, entry, target string
	c := &cobra.Command{
		Use:   "sessions [REQUEST]",
		Short: "List who may cross now, and with which sessions",
		Long:  `Lists the requests that wait or are in force, with their sessions; those that are being taken back come first. Whoever may not see everything sees their own. With a request it shows that one, with all that was decided and done.`,
		Args:  cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if format != "text" && format != "json" {
				return usagef("--format %q: expected text or json", format)
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				r, err := b.Request(c.Context(), args[0])
				if err != nil {
					return e.refused(err)
				}
				return e.print(r, format)
			}
			q := url.Values{"state": {"awaiting", "approved", "active", "suspended", "revoking", "stuck"}}
			if all {
				q.Del("state")
			}
			for name, value := range map[string]string{"subject": subject, "entry": entry, "target": target} {
				if value != "" {
					q.Set(name, value)
				}
			}
			list, err := b.Requests(c.Context(), q)
			if err != nil {
				return e.refused(err)
			}
			if format == "json" {
				w := json.NewEncoder(e.Stdout)
				w.SetIndent("", "  ")
				w.SetEscapeHTML(false)
				return written(w.Encode(wire.Requests{Requests: append([]wire.Request{}, list...)}))
			}
			if len(list) == 0 {
				fmt.Fprintln(e.Stderr, "nobody may cross now")
				return nil
			}
			w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "REQUEST\tSTATE\tENTRY\tWHO\tUNTIL\tLIVE SESSIONS")
			for _, urgent := range []bool{true, false} {
				for i := range list {
					if r := &list[i]; (r.State == "revoking" || r.State == "stuck") == urgent {
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\n", r.ID, r.State, r.Entry, plain(r.Subject), untilOf(r), live(r, e.Now()))
					}
				}
			}
			return written(w.Flush())
		},
	}
	broker.register(c)
	c.Flags().BoolVar(&all, "all", false, "also what has ended")
	c.Flags().StringVar(&subject, "subject", "", "only of this `SUBJECT`")
	c.Flags().StringVar(&entry, "entry", "", "only by this `ENTRY`")
	c.Flags().StringVar(&target, "target", "", "only onto this role, by its `ARN`")
	c.Flags().StringVar(&format, "format", "text", "text or json")
	return c
}

func untilOf(r *wire.Request) string {
	for _, t := range []*time.Time{r.NotAfter, r.Until} {
		if t != nil {
			return t.Format(minute)
		}
	}
	return ""
}

// live counts the sessions that may live: one of which nobody knows whether it was made counts.
func live(r *wire.Request, now time.Time) int {
	n := 0
	for _, s := range r.Sessions {
		if now.Before(s.NotAfter) && s.State != "failed" && s.State != "cut" {
			n++
		}
	}
	return n
}

// newRevoke takes access back.
func newRevoke(e *Env) *cobra.Command {
	var broker brokerFlags
	var reason string
	var wait time.Duration
	var retry, quarantine, acknowledge bool
	c := &cobra.Command{
		Use:   "revoke REQUEST --reason TEXT",
		Short: "Take access back, and cut the sessions that live",
		Long: `Takes access back. From the moment that the broker has taken the command nothing is issued any more (fenced); then the broker writes a deny on the sessions that live into the target account and reads it back (written), and AWS is given five
minutes to make it hold everywhere (effective by). The command waits some seconds for the second; --wait waits for the third, and ends with 4 where it did not come.

Where a role does not take the deny the broker goes on trying, and asks the organisation's policy where it has one ('drawbridge setup quarantine'); --quarantine asks it at once. What is tried eight times in vain is stuck: people are told each hour, until one of them
says that they look after it (--acknowledge). --retry tries at once.

To stop everything of a subject, role, account, vendor or issuer: 'drawbridge lock'.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: the record needs it")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			var r *wire.Request
			switch {
			case retry:
				r, err = b.TakeBack(c.Context(), args[0], wire.TakeBack{Action: "retry", Reason: reason})
			case acknowledge:
				r, err = b.TakeBack(c.Context(), args[0], wire.TakeBack{Action: "acknowledge", Reason: reason})
			case quarantine:
				if r, err = b.Request(c.Context(), args[0]); err == nil && r.State != "revoking" && r.State != "stuck" {
					_, err = b.Revoke(c.Context(), args[0], reason)
				}
				if err == nil {
					r, err = b.TakeBack(c.Context(), args[0], wire.TakeBack{Action: "quarantine", Reason: reason})
				}
			default:
				r, err = b.Revoke(c.Context(), args[0], reason)
			}
			if err != nil {
				return e.refused(err)
			}
			// Whoever takes back wants to see that the deny stands, which takes a second or two.
			for n := 0; n < 10 && r.State == "revoking" && unwritten(r); n++ {
				select {
				case <-time.After(500 * time.Millisecond):
				case <-c.Context().Done():
					return Stopped(c.Context().Err())
				}
				if r, err = b.Request(c.Context(), r.ID); err != nil {
					return e.refused(err)
				}
			}
			end := e.Now().Add(wait)
			for r.State == "revoking" && e.Now().Before(end) {
				if r, err = b.Await(c.Context(), r.ID, r.State, end.Sub(e.Now())); err != nil {
					return e.refused(waiting(c.Context(), err))
				}
			}
			if err := written(showRequest(e.Stdout, r)); err != nil {
				return err
			}
			if wait > 0 && r.State != "revoked" {
				return Stopped(fmt.Errorf("request %s is %s: its sessions are not known to be cut", r.ID, r.State))
			}
			return nil
		},
	}
	broker.register(c)
	c.Flags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	c.Flags().DurationVar(&wait, "wait", 0, "wait this long until the sessions are cut, such as 10m")
	c.Flags().BoolVar(&quarantine, "quarantine", false, "cut by the organisation's policy too, also what is being taken back already")
	c.Flags().BoolVar(&retry, "retry", false, "try at once what did not succeed")
	c.Flags().BoolVar(&acknowledge, "acknowledge", false, "you look after what is stuck: nobody is told of it any more")
	c.MarkFlagsMutuallyExclusive("quarantine", "retry", "acknowledge")
	return c
}

// unwritten says whether a deny does not stand yet.
func unwritten(r *wire.Request) bool {
	return slices.ContainsFunc(r.Effects, func(x wire.Effect) bool { return x.Written == nil && x.Attempts == 0 })
}

// newLock stops everything that matches.
func newLock(e *Env) *cobra.Command {
	var broker brokerFlags
	var reason string
	var life time.Duration
	c := &cobra.Command{
		Use:   "lock KIND [VALUE] --reason TEXT",
		Short: "Stop everything of a subject, role, account, vendor, issuer or key, or all",
		Long: `Stops everything that matches: nothing is issued any more, requests in force are suspended, and their sessions are cut. KIND is subject, role, account, vendor, issuer, key or all.

What a lock suspended stays so when the lock is lifted, until people approve it again.`,
		Example: `  drawbridge lock vendor acme-backup --reason "incident 31"
  drawbridge lock account 222222222222 --reason "key found in a log" --for 24h
  drawbridge lock list
  drawbridge lock lift r-7x2 --reason "keys were changed"`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			l := wire.SetLock{Kind: args[0], Reason: reason}
			if len(args) == 2 {
				l.Value = args[1]
			}
			switch {
			case strings.TrimSpace(reason) == "":
				return usagef("--reason is missing: the record needs it")
			case l.Kind != "all" && l.Value == "":
				return usagef("which %s is to be locked?", l.Kind)
			case life < 0:
				return usagef("--for: expected a time above zero")
			}
			if life > 0 {
				l.Expires = e.Now().Add(life).UTC().Truncate(time.Second)
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			got, err := b.Lock(c.Context(), l)
			if err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stdout, "locked: %s\n", got.ID)
			for _, id := range got.Suspended {
				fmt.Fprintf(e.Stdout, "suspended: %s\n", id)
			}
			return nil
		},
	}
	c.Flags().DurationVar(&life, "for", 0, "how long, such as 24h; default: until it is lifted")
	c.PersistentFlags().StringVar(&reason, "reason", "", "why, in a `SENTENCE`")
	broker.register(c)
	c.AddCommand(&cobra.Command{
		Use:   "list",
		Short: "List the locks in force",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			list, err := b.Locks(c.Context())
			if err != nil {
				return e.refused(err)
			}
			if len(list) == 0 {
				fmt.Fprintln(e.Stderr, "nothing is locked")
				return nil
			}
			w := tabwriter.NewWriter(e.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "LOCK\tKIND\tVALUE\tBY\tSINCE\tUNTIL\tREASON")
			for _, l := range list {
				until := "lifted"
				if l.Expires != nil {
					until = l.Expires.Format(minute)
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Kind, plain(l.Value), plain(l.By), l.At.UTC().Format(minute), until, plain(l.Reason))
			}
			return written(w.Flush())
		},
	}, &cobra.Command{
		Use:   "lift LOCK --reason TEXT",
		Short: "Lift a lock",
		Args:  cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(reason) == "" {
				return usagef("--reason is missing: the record needs it")
			}
			b, err := broker.client(e)
			if err != nil {
				return err
			}
			if err := b.Lift(c.Context(), args[0], reason); err != nil {
				return e.refused(err)
			}
			fmt.Fprintf(e.Stdout, "lifted: %s\n", args[0])
			return nil
		},
	})
	return c
}
