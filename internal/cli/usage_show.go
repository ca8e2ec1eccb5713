package cli

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"drawbridge/internal/registry"
	"drawbridge/internal/usage"
)

func newUsageShow(e *Env) *cobra.Command {
	var format answerFormat
	var used string
	c := &cobra.Command{
		Use:   "show ARN",
		Short: "Show who used a role or resource, and what a role or user did",
		Long: `Show prints what the record of use knows of one ARN: who came, how often, on how many days, when last, who was refused, and, of a
role or user, which actions it used in which account. What it is not there for is no proof: the evidence says from when on
the trail of its account was read.`,
		Example: `  drawbridge usage show arn:aws:iam::444455556666:role/deploy --usage recorded-use.json`,
		Args:    cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := format.check(); err != nil {
				return err
			}
			record, err := openUsage(used)
			if err != nil {
				return err
			}
			answer := usageShown(record, args[0])
			return format.print(e, answer, func(w *textWriter) { w.shown(&answer) })
		},
	}
	c.Flags().StringVar(&used, "usage", "recorded-use.json", "a record of use that 'drawbridge usage import' wrote (`FILE`)")
	format.register(c)
	return c
}

// shownUsage is the answer of usage show.
type shownUsage struct {
	ARN     string        `json:"arn"`
	Callers []shownCaller `json:"callers"`
	Actions []shownAction `json:"actions"`
}

type shownCaller struct {
	Caller    string   `json:"caller"`
	Mechanism string   `json:"mechanism"`
	Count     int      `json:"count"`
	Days      int      `json:"days"`
	Last      string   `json:"last,omitempty"`
	Denied    int      `json:"denied,omitempty"`
	Sessions  []string `json:"sessions,omitempty"` // lengths that were asked for
	Networks  []string `json:"networks,omitempty"`
}

type shownAction struct {
	Action  string `json:"action"`
	Account string `json:"account"`
	Count   int    `json:"count"`
	Days    int    `json:"days"`
	Last    string `json:"last,omitempty"`
	Denied  int    `json:"denied,omitempty"`
}

func usageShown(r *usage.Record, name string) shownUsage {
	a := shownUsage{ARN: name, Callers: []shownCaller{}, Actions: []shownAction{}}
	date := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.Format(time.DateOnly)
	}
	for _, c := range r.On(name) {
		s := shownCaller{Caller: c.Caller, Mechanism: c.Mechanism, Count: c.Count, Days: c.Days.Len(), Last: date(c.Last), Denied: c.Denied, Networks: c.Networks}
		for _, d := range c.Sessions {
			s.Sessions = append(s.Sessions, registry.FormatSpan(d))
		}
		a.Callers = append(a.Callers, s)
	}
	for _, u := range r.By(name) {
		a.Actions = append(a.Actions, shownAction{u.Action, u.Account, u.Count, u.Days.Len(), date(u.Last), u.Denied})
	}
	slices.SortStableFunc(a.Callers, func(x, y shownCaller) int { return y.Count - x.Count })
	slices.SortStableFunc(a.Actions, func(x, y shownAction) int { return y.Count - x.Count })
	return a
}

func (w *textWriter) shown(a *shownUsage) {
	if len(a.Callers)+len(a.Actions) == 0 {
		w.line("The record holds no use of %s, and nothing that it did.", a.ARN)
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(cells ...string) { fmt.Fprintf(table, "  %s\n", strings.Join(cells, "\t")) }
	if len(a.Callers) > 0 {
		w.line("Who came to %s", a.ARN)
		line("uses", "days", "last", "refused", "by", "how")
		for _, c := range a.Callers {
			how := c.Mechanism
			if len(c.Sessions) > 0 {
				how += ", asked for " + strings.Join(c.Sessions, ", ")
			}
			if len(c.Networks) > 0 {
				how += ", from " + strings.Join(c.Networks, ", ")
			}
			line(fmt.Sprint(c.Count), fmt.Sprint(c.Days), c.Last, fmt.Sprint(c.Denied), c.Caller, how)
		}
		table.Flush()
	}
	if len(a.Actions) > 0 {
		if len(a.Callers) > 0 {
			w.line("")
		}
		w.line("What %s did", a.ARN)
		line("uses", "days", "last", "refused", "action", "in account")
		for _, u := range a.Actions {
			line(fmt.Sprint(u.Count), fmt.Sprint(u.Days), u.Last, fmt.Sprint(u.Denied), u.Action, u.Account)
		}
		table.Flush()
	}
}
