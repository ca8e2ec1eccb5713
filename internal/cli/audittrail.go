package cli

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/iam/arn"
	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/cloudtrail"
)

const (
	mostCalls = 200_000
	// deliveryDelay is how late CloudTrail delivers: about five minutes on average, it says; a quarter of an hour is taken.
	deliveryDelay = 15 * time.Minute
)

func newAuditTrail(e *Env) *cobra.Command {
	var format answerFormat
	var log string
	c := &cobra.Command{
		Use:   "trail GRANT CLOUDTRAIL...",
		Short: "Show what was done with a grant: its sessions, joined with CloudTrail by source identity",
		Long: `Trail reads CloudTrail files, or folders of them, and keeps the calls that carry the grant's source identity, which AWS passes on along every chain of
roles. With the broker's log it says who asked, who approved, and which sessions were issued, and holds the one against the other.

It ends with status 1 where something needs a look: a call with credentials that the broker did not issue, one that succeeded after the grant was
taken back or its session was over, or calls of a grant that the log does not have.`,
		Example: `  drawbridge audit trail r-7k2m9 cloudtrail/ --log audit.jsonl`,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			a := &trailed{Grant: args[0], Sessions: []trailSession{}, Actions: []trailAction{}, Calls: []trailCall{}, Attention: []trailAttention{}}
			if log != "" {
				source, err := openLogSource(c.Context(), e, log)
				if err != nil {
					return err
				}
				defer source.close()
				var head audit.Head
				if err := source.each(c.Context(), func(r *audit.Record) error {
					if err := head.Check(r); err != nil {
						return fmt.Errorf("the log does not hold: %w", err)
					}
					head = audit.Head{Size: r.Seq + 1, Hash: r.Hash}
					return a.record(r)
				}); err != nil {
					return err
				}
			}
			done := e.progress("reading CloudTrail")
			got, err := cloudtrail.Follow(args[1:], mostCalls, func(identity string) bool { return ofGrant(args[0], identity) })
			done()
			if err != nil {
				return err
			}
			a.join(got, log != "")
			if err := format.print(e, a, func(w *textWriter) { w.trail(a) }); err != nil {
				return err
			}
			if len(a.Attention) > 0 {
				return errUnwanted
			}
			return nil
		},
	}
	c.Flags().StringVar(&log, "log", "", "the broker's audit log: `LOG`, as for the other audit commands")
	format.register(c)
	return c
}

// ofGrant reports whether a source identity is that of a grant: its id, a point, and the number of its approval.
func ofGrant(grant, identity string) bool {
	rest, ok := strings.CutPrefix(identity, grant)
	if !ok {
		return false
	}
	number, ok := strings.CutPrefix(rest, ".")
	return rest == "" || ok && number != "" && strings.Trim(number, "0123456789") == ""
}

// trailed is the answer of audit trail.
type trailed struct {
	Grant     string           `json:"grant"`
	Known     bool             `json:"known"` // to the log
	Subject   string           `json:"subject,omitempty"`
	Entry     string           `json:"entry,omitempty"`
	Target    string           `json:"target,omitempty"`
	Reason    string           `json:"reason,omitempty"`
	Ticket    string           `json:"ticket,omitempty"`
	Filed     *time.Time       `json:"filed,omitempty"`
	Approved  *time.Time       `json:"approved,omitempty"`
	Decisions []trailDecision  `json:"decisions,omitempty"`
	Sessions  []trailSession   `json:"sessions"`
	Revoked   *trailRevoked    `json:"revoked,omitempty"`
	Actions   []trailAction    `json:"actions"`
	Calls     []trailCall      `json:"calls"`
	Attention []trailAttention `json:"attention"`
	Evidence  trailEvidence    `json:"evidence"`
}

type trailDecision struct {
	By      string    `json:"by"`
	Approve bool      `json:"approve"`
	At      time.Time `json:"at"`
	Reason  string    `json:"reason,omitempty"`
}

type trailSession struct {
	ID          string    `json:"id"`
	State       string    `json:"state"` // as far as the log says: intended, issued, failed, unclear
	AccessKeyID string    `json:"accessKeyId,omitempty"`
	Asked       time.Time `json:"asked"`
	NotAfter    time.Time `json:"notAfter"`
	Calls       int       `json:"calls"`
}

type trailRevoked struct {
	By          string     `json:"by"`
	Why         string     `json:"why"`
	At          time.Time  `json:"at"`
	EffectiveBy *time.Time `json:"effectiveBy,omitempty"`
}

type trailAction struct {
	Action    string    `json:"action"`
	Account   string    `json:"account"`
	Caller    string    `json:"caller,omitempty"`
	Count     int       `json:"count"`
	Denied    int       `json:"denied,omitempty"`
	Failed    int       `json:"failed,omitempty"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Resources []string  `json:"resources,omitempty"`
}

type trailCall struct {
	Time        time.Time `json:"time"`
	EventID     string    `json:"eventId"`
	Action      string    `json:"action"`
	Account     string    `json:"account"`
	Region      string    `json:"region,omitempty"`
	Caller      string    `json:"caller,omitempty"`
	Resource    string    `json:"resource,omitempty"`
	Source      string    `json:"source,omitempty"`
	AccessKeyID string    `json:"accessKeyId,omitempty"`
	Error       string    `json:"error,omitempty"`
}

type trailAttention struct {
	What    string    `json:"what"`
	EventID string    `json:"eventId,omitempty"`
	Time    time.Time `json:"time,omitzero"`
}

type trailEvidence struct {
	Files    int        `json:"files"`
	Events   int        `json:"events"`
	First    *time.Time `json:"first,omitempty"`
	Last     *time.Time `json:"last,omitempty"`
	Accounts []string   `json:"accounts"`
	Gaps     []string   `json:"gaps"`
	Notes    []string   `json:"notes"`
}

// trailBody reads what a record holds.
func trailBody(r *audit.Record, into any) error {
	if err := json.Unmarshal(r.Body, into); err != nil {
		return fmt.Errorf("record %d is no %s: %w", r.Seq, r.Kind, err)
	}
	return nil
}

// record takes what the log says of the grant.
func (a *trailed) record(r *audit.Record) error {
	if r.About != a.Grant {
		return nil
	}
	a.Known = true
	session := func(id, state, key string, notAfter time.Time) {
		i := slices.IndexFunc(a.Sessions, func(s trailSession) bool { return s.ID == id })
		if i < 0 {
			a.Sessions = append(a.Sessions, trailSession{ID: id, Asked: r.Time})
			i = len(a.Sessions) - 1
		}
		s := &a.Sessions[i]
		s.State = state
		if key != "" {
			s.AccessKeyID = key
		}
		if !notAfter.IsZero() {
			s.NotAfter = notAfter
		}
	}
	at := r.Time
	switch r.Kind {
	case broker.RequestFiled{}.Kind():
		var b broker.RequestFiled
		if err := trailBody(r, &b); err != nil {
			return err
		}
		a.Subject, a.Entry, a.Target, a.Reason, a.Ticket, a.Filed = b.Request.Subject.ID, b.Request.Ask.Entry, b.Request.Ask.Target, b.Request.Ask.Reason, b.Request.Ask.Ticket, &at
	case broker.RequestChanged{}.Kind():
		var b broker.RequestChanged
		if err := trailBody(r, &b); err != nil {
			return err
		}
		a.Entry, a.Target, a.Reason, a.Ticket = b.Ask.Entry, b.Ask.Target, b.Ask.Reason, b.Ask.Ticket
	case broker.RequestRefused{}.Kind():
		var b broker.RequestRefused
		if err := trailBody(r, &b); err != nil {
			return err
		}
		a.Subject, a.Entry, a.Target, a.Reason, a.Filed = b.Request.Subject.ID, b.Request.Ask.Entry, b.Request.Ask.Target, b.Request.Ask.Reason, &at
	case broker.RequestDecided{}.Kind():
		var b broker.RequestDecided
		if err := trailBody(r, &b); err != nil {
			return err
		}
		a.Decisions = append(a.Decisions, trailDecision{b.Decision.By, b.Decision.Approve, at, b.Decision.Reason})
	case broker.RequestApproved{}.Kind():
		a.Approved = &at
	case broker.SessionIntended{}.Kind():
		var b broker.SessionIntended
		if err := trailBody(r, &b); err != nil {
			return err
		}
		session(b.Session.ID, "intended", "", b.Session.NotAfter)
	case broker.SessionIssued{}.Kind():
		var b broker.SessionIssued
		if err := trailBody(r, &b); err != nil {
			return err
		}
		session(b.Session, "issued", b.AccessKeyID, b.NotAfter)
	case broker.SessionFailed{}.Kind():
		var b broker.SessionFailed
		if err := trailBody(r, &b); err != nil {
			return err
		}
		session(b.Session, "failed", "", time.Time{})
	case broker.SessionUnknown{}.Kind():
		var b broker.SessionUnknown
		if err := trailBody(r, &b); err != nil {
			return err
		}
		session(b.Session, "unclear", "", time.Time{})
	case broker.GrantRevoked{}.Kind():
		var b broker.GrantRevoked
		if err := trailBody(r, &b); err != nil {
			return err
		}
		a.Revoked = &trailRevoked{By: r.Actor, Why: b.Why, At: at}
	case broker.EffectDone{}.Kind():
		var b broker.EffectDone
		if err := trailBody(r, &b); err != nil {
			return err
		}
		if a.Revoked != nil && (a.Revoked.EffectiveBy == nil || b.EffectiveBy.After(*a.Revoked.EffectiveBy)) {
			by := b.EffectiveBy.UTC()
			a.Revoked.EffectiveBy = &by
		}
	}
	return nil
}

// mostResources is how many resources of an action are named.
const mostResources = 5

// join puts the calls beside what the log says. withLog: there was a log.
func (a *trailed) join(f *cloudtrail.Followed, withLog bool) {
	a.Evidence = trailEvidence{Files: f.Files, Events: f.Events, Accounts: slices.Concat([]string{}, f.Accounts), Gaps: []string{}, Notes: []string{}}
	if f.Events > 0 {
		a.Evidence.First, a.Evidence.Last = &f.First, &f.Last
	}
	for _, g := range f.Gaps {
		a.Evidence.Gaps = append(a.Evidence.Gaps, fmt.Sprintf("%s, after event %d: %s", g.File, g.Event, g.Reason))
	}
	note := func(format string, args ...any) {
		a.Evidence.Notes = append(a.Evidence.Notes, fmt.Sprintf(format, args...))
	}
	attention := func(c *cloudtrail.Call, format string, args ...any) {
		a.Attention = append(a.Attention, trailAttention{fmt.Sprintf(format, args...), c.ID, c.Time})
	}
	byKey := make(map[string]*trailSession)
	open := 0 // sessions of which nobody knows the key
	var end time.Time
	for i := range a.Sessions {
		s := &a.Sessions[i]
		if s.AccessKeyID != "" {
			byKey[s.AccessKeyID] = s
		} else if s.State != "failed" {
			open++
		}
		if s.State != "failed" && s.NotAfter.After(end) {
			end = s.NotAfter
		}
	}
	actions := make(map[string]int)
	for i := range f.Calls {
		c := &f.Calls[i]
		a.Calls = append(a.Calls, trailCall{c.Time, c.ID, c.Action, c.Account, c.Region, c.Caller, c.Resource, c.Source, c.AccessKeyID, c.Error})
		key := strings.Join([]string{c.Action, c.Account, c.Caller}, "\n")
		at, ok := actions[key]
		if !ok {
			at = len(a.Actions)
			actions[key] = at
			a.Actions = append(a.Actions, trailAction{Action: c.Action, Account: c.Account, Caller: c.Caller, First: c.Time})
		}
		action := &a.Actions[at]
		action.Count++
		action.Last = c.Time
		switch {
		case c.Denied:
			action.Denied++
		case c.Error != "":
			action.Failed++
		}
		if c.Resource != "" && len(action.Resources) < mostResources && !slices.Contains(action.Resources, c.Resource) {
			action.Resources = append(action.Resources, c.Resource)
		}
		if !withLog || !a.Known {
			continue
		}
		s := byKey[c.AccessKeyID]
		if s != nil {
			s.Calls++
		}
		switch {
		case s == nil && c.AccessKeyID != "" && c.Caller == a.Target && open == 0:
			attention(c, "%s was called with credentials %s, which the broker did not issue", c.Action, c.AccessKeyID)
		case s == nil && c.AccessKeyID != "" && c.Caller == a.Target:
			attention(c, "%s was called with credentials %s, which the log does not know: they may be those of a session of which it is not known how asking AWS ended", c.Action, c.AccessKeyID)
		case s != nil && c.Error == "" && c.Time.After(s.NotAfter):
			attention(c, "%s succeeded after the session %s was over", c.Action, s.ID)
		}
		if c.Error == "" && a.Revoked != nil {
			switch {
			case a.Revoked.EffectiveBy != nil && c.Time.After(*a.Revoked.EffectiveBy):
				attention(c, "%s succeeded after the grant was taken back and its sessions were to be cut", c.Action)
			case a.Revoked.EffectiveBy == nil && c.Time.After(a.Revoked.At):
				attention(c, "%s succeeded after the grant was taken back; the log does not say that its sessions were cut", c.Action)
			}
		}
	}
	switch {
	case !withLog:
		note("No log was given: who asked, who approved and which sessions were issued is not known, and nothing is held against it.")
	case !a.Known && len(f.Calls) > 0:
		attention(&f.Calls[0], "%s with the source identity of a grant that the log does not have", counted(len(f.Calls), "call was made", "calls were made"))
	case !a.Known:
		note("The log has no grant %s.", a.Grant)
	}
	if !end.IsZero() && (f.Events == 0 || f.Last.Before(end.Add(deliveryDelay))) {
		note("The last session could be used until %s, and the events that were read end before CloudTrail surely delivered that time: read later files for the rest.", end.UTC().Format(time.RFC3339))
	}
	if account := accountOf(a.Target); account != "" && !slices.Contains(f.Accounts, account) {
		note("No event of the account %s was read, to which the grant leads.", account)
	}
	note("What a trail does not record, such as most reads of data, is not here.")
}

// accountOf is the account in a role's ARN, "" where there is none.
func accountOf(role string) string {
	a, err := arn.Parse(role)
	if err != nil {
		return ""
	}
	return a.Account
}

func (w *textWriter) trail(a *trailed) {
	stamp := func(t time.Time) string { return t.UTC().Format(time.RFC3339) }
	w.line("Grant %s", a.Grant)
	if a.Known {
		w.line("  %s asked for %s by entry %s%s", a.Subject, a.Target, a.Entry, map[bool]string{true: ": " + a.Reason}[a.Reason != ""])
		if a.Ticket != "" {
			w.line("  ticket %s", a.Ticket)
		}
		for _, d := range a.Decisions {
			verb := "denied"
			if d.Approve {
				verb = "approved"
			}
			w.line("  %s  %s by %s%s", stamp(d.At), verb, d.By, map[bool]string{true: ": " + d.Reason}[d.Reason != ""])
		}
		if a.Approved != nil && len(a.Decisions) == 0 {
			w.line("  %s  approved by the entry itself", stamp(*a.Approved))
		}
		for _, s := range a.Sessions {
			if s.State == "failed" {
				w.line("  %s  session %s failed: AWS issued none", stamp(s.Asked), s.ID)
				continue
			}
			key := ""
			if s.AccessKeyID != "" {
				key = " " + s.AccessKeyID
			}
			w.line("  %s  session %s %s%s, until %s: %s seen", stamp(s.Asked), s.ID, s.State, key, stamp(s.NotAfter), counted(s.Calls, "call", "calls"))
		}
		if r := a.Revoked; r != nil {
			w.line("  %s  taken back by %s: %s", stamp(r.At), r.By, r.Why)
			if r.EffectiveBy != nil {
				w.line("  %s  its sessions were cut by then", stamp(*r.EffectiveBy))
			}
		}
	}
	w.line("")
	if len(a.Actions) == 0 {
		w.line("No call was found.")
	} else {
		w.line("What was done with it")
		table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(table, "  calls\trefused\tfailed\tfirst\tlast\taction\taccount\tby\n")
		for _, x := range a.Actions {
			fmt.Fprintf(table, "  %d\t%d\t%d\t%s\t%s\t%s\t%s\t%s\n", x.Count, x.Denied, x.Failed, stamp(x.First), stamp(x.Last), x.Action, x.Account, x.Caller)
		}
		table.Flush()
		for _, x := range a.Actions {
			if len(x.Resources) > 0 {
				w.line("  %s: %s", x.Action, strings.Join(x.Resources, ", "))
			}
		}
	}
	if len(a.Attention) > 0 {
		w.line("")
		w.line("This needs a look")
		for _, x := range a.Attention {
			w.line("  %s  %s (event %s)", stamp(x.Time), x.What, x.EventID)
		}
	}
	w.line("")
	span := ""
	if a.Evidence.First != nil {
		span = fmt.Sprintf(", from %s to %s, of %s", stamp(*a.Evidence.First), stamp(*a.Evidence.Last), strings.Join(a.Evidence.Accounts, ", "))
	}
	w.line("Read: %s of %s%s.", counted(a.Evidence.Events, "event", "events"), counted(a.Evidence.Files, "file", "files"), span)
	for _, g := range a.Evidence.Gaps {
		w.line("  gap: %s", g)
	}
	for _, n := range a.Evidence.Notes {
		w.line("  %s", n)
	}
}
