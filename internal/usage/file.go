package usage

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// version of the file format.
const version = 2

type recordForm struct {
	Version   int            `json:"version"`
	Policies  []Policy       `json:"policies"`
	Files     []string       `json:"files"`
	Coverage  []coverageForm `json:"coverage"`
	Seen      []seenForm     `json:"seen"`
	Crossings []crossingForm `json:"crossings"`
	Actions   []actionForm   `json:"actions"`
	Pending   []halfForm     `json:"pending"`
}

type coverageForm struct {
	Account        string     `json:"account"`
	From           *time.Time `json:"from,omitempty"`
	To             *time.Time `json:"to,omitempty"`
	RegionsMissing []string   `json:"regionsMissing,omitempty"`
	Missing        bool       `json:"missing,omitempty"`
}

type seenForm struct {
	Account string      `json:"account"`
	Days    []string    `json:"days"`
	Regions []namedForm `json:"regions,omitempty"`
	Data    []namedForm `json:"dataEvents,omitempty"`
}

type namedForm struct {
	Name string   `json:"name"`
	Days []string `json:"days"`
}

type crossingForm struct {
	Caller           string     `json:"caller"`
	Target           string     `json:"target"`
	Mechanism        string     `json:"mechanism"`
	First            *time.Time `json:"first,omitempty"`
	Last             *time.Time `json:"last,omitempty"`
	Count            int        `json:"count"`
	Days             []string   `json:"days,omitempty"`
	Denied           int        `json:"denied,omitempty"`
	LastDenied       *time.Time `json:"lastDenied,omitempty"`
	Unapproved       int        `json:"unapproved,omitempty"`
	Sessions         []int64    `json:"sessionSeconds,omitempty"`
	MoreSessions     bool       `json:"moreSessions,omitempty"`
	Networks         []string   `json:"networks,omitempty"`
	MoreNetworks     bool       `json:"moreNetworks,omitempty"`
	SourceIdentities []string   `json:"sourceIdentities,omitempty"`
	MoreIdentities   bool       `json:"moreSourceIdentities,omitempty"`
}

type actionForm struct {
	Caller     string     `json:"caller"`
	Action     string     `json:"action"`
	Account    string     `json:"account"`
	First      *time.Time `json:"first,omitempty"`
	Last       *time.Time `json:"last,omitempty"`
	Count      int        `json:"count"`
	Days       []string   `json:"days,omitempty"`
	Denied     int        `json:"denied,omitempty"`
	LastDenied *time.Time `json:"lastDenied,omitempty"`
}

type halfForm struct {
	ID             string     `json:"id"`
	Time           *time.Time `json:"time"`
	Side           string     `json:"side"`
	Caller         string     `json:"caller,omitempty"`
	CallerAccount  string     `json:"callerAccount,omitempty"`
	Action         string     `json:"action,omitempty"`
	Account        string     `json:"account,omitempty"`
	Target         string     `json:"target,omitempty"`
	TargetAccount  string     `json:"targetAccount,omitempty"`
	Denied         bool       `json:"denied,omitempty"`
	Session        int64      `json:"sessionSeconds,omitempty"`
	Network        string     `json:"network,omitempty"`
	SourceIdentity string     `json:"sourceIdentity,omitempty"`
}

// side is which sides of a call were seen, and counted: "both" in crossings (the target's own adds nothing), "caller" in actions,
// "target" nowhere yet.
func (h *Half) side() string {
	switch {
	case h.Crossed:
		return "both"
	case h.Acted:
		return "caller"
	}
	return "target"
}

// Marshal writes a record as the file that Unmarshal reads (docs/schema/recorded-use.schema.json), each of its parts on a line. Equal
// records give equal bytes.
func Marshal(r *Record) ([]byte, error) {
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\n\"version\": %d", version)
	var errs []error
	part := func(name string, n int, item func(i int) any) {
		fmt.Fprintf(&out, ",\n%q: [", name)
		for i := range n {
			line, err := json.Marshal(item(i))
			errs = append(errs, err)
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteByte('\n')
			out.Write(line)
		}
		if n > 0 {
			out.WriteByte('\n')
		}
		out.WriteByte(']')
	}
	settled := r.base()
	part("policies", len(r.Policies), func(i int) any { return r.Policies[i].open() })
	part("files", len(r.Files), func(i int) any { return r.Files[i] })
	part("coverage", len(r.Coverage), func(i int) any {
		c := &r.Coverage[i]
		return coverageForm{c.Account, optional(c.From), optional(c.To), c.RegionsMissing, c.Missing}
	})
	part("seen", len(r.Seen), func(i int) any {
		s := &r.Seen[i]
		return seenForm{s.Account, s.Days.texts(), namedForms(s.Regions), namedForms(s.Data)}
	})
	part("crossings", len(settled), func(i int) any {
		c := &settled[i]
		f := crossingForm{c.Caller, c.Target, c.Mechanism, optional(c.First), optional(c.Last), c.Count, c.Days.texts(), c.Denied, optional(c.LastDenied), c.Unapproved,
			nil, c.MoreSessions, c.Networks, c.MoreNetworks, c.SourceIdentities, c.MoreIdentities}
		for _, s := range c.Sessions {
			f.Sessions = append(f.Sessions, int64(s/time.Second))
		}
		return f
	})
	part("actions", len(r.Actions), func(i int) any {
		a := &r.Actions[i]
		return actionForm{a.Caller, a.Action, a.Account, optional(a.First), optional(a.Last), a.Count, a.Days.texts(), a.Denied, optional(a.LastDenied)}
	})
	part("pending", len(r.Pending), func(i int) any {
		h := &r.Pending[i]
		return halfForm{h.ID, optional(h.Time), h.side(), h.Caller, h.CallerAccount, h.Action, h.Account, h.Target, h.TargetAccount, h.Denied, int64(h.Session / time.Second),
			h.Network, h.SourceIdentity}
	})
	out.WriteString("\n}\n")
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("writing recorded use: %w", err)
	}
	return out.Bytes(), nil
}

func namedForms(list []NamedDays) []namedForm {
	var out []namedForm
	for _, n := range list {
		out = append(out, namedForm{n.Name, n.Days.texts()})
	}
	return out
}

func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func given(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// Unmarshal reads a record that Marshal wrote. The error says what is wrong with the text, and where.
func Unmarshal(data []byte) (*Record, error) {
	var f recordForm
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("recorded use: %w", err)
	}
	if f.Version != version {
		return nil, fmt.Errorf("recorded use: version %d is not known, expected %d: import the CloudTrail files again", f.Version, version)
	}
	r := &Record{Files: f.Files, Policies: f.Policies, settled: []Crossing{}}
	var wrong error
	days := func(texts []string, what string, i int) Days {
		d, err := ParseDays(texts)
		if err != nil && wrong == nil {
			wrong = fmt.Errorf("recorded use: %s[%d]: %w", what, i, err)
		}
		return d
	}
	for _, c := range f.Coverage {
		r.Coverage = append(r.Coverage, Coverage{c.Account, given(c.From), given(c.To), c.RegionsMissing, c.Missing})
	}
	for i, s := range f.Seen {
		named := func(list []namedForm) (out []NamedDays) {
			for _, n := range list {
				out = append(out, NamedDays{n.Name, days(n.Days, "seen", i)})
			}
			return out
		}
		r.Seen = append(r.Seen, Seen{s.Account, days(s.Days, "seen", i), named(s.Regions), named(s.Data)})
	}
	for i, c := range f.Crossings {
		n := Crossing{Caller: c.Caller, Target: c.Target, Mechanism: c.Mechanism, First: given(c.First), Last: given(c.Last), Count: c.Count, Days: days(c.Days, "crossings", i),
			Denied: c.Denied, LastDenied: given(c.LastDenied), Unapproved: c.Unapproved}
		n.Networks, n.MoreNetworks = listedAll(nil, c.MoreNetworks, c.Networks)
		n.SourceIdentities, n.MoreIdentities = listedAll(nil, c.MoreIdentities, c.SourceIdentities)
		n.MoreSessions = c.MoreSessions
		for _, s := range c.Sessions {
			n.Sessions, n.MoreSessions = listed(n.Sessions, n.MoreSessions, time.Duration(s)*time.Second)
		}
		r.settled = append(r.settled, n)
	}
	for i, a := range f.Actions {
		r.Actions = append(r.Actions, ActionUse{a.Caller, a.Action, a.Account, given(a.First), given(a.Last), a.Count, days(a.Days, "actions", i), a.Denied, given(a.LastDenied)})
	}
	for i, h := range f.Pending {
		n := Half{ID: h.ID, Time: given(h.Time), Caller: h.Caller, CallerAccount: h.CallerAccount, Action: h.Action, Account: h.Account, Target: h.Target,
			TargetAccount: h.TargetAccount, Denied: h.Denied, Session: time.Duration(h.Session) * time.Second, Network: h.Network, SourceIdentity: h.SourceIdentity}
		switch h.Side {
		case "both":
			n.Acted, n.Crossed = true, true
		case "caller":
			n.Acted = true
		case "target":
		default:
			wrong = errors.Join(wrong, fmt.Errorf("recorded use: pending[%d]: side %q is not known", i, h.Side))
		}
		if h.ID == "" || !InRange(n.Time) {
			wrong = errors.Join(wrong, fmt.Errorf("recorded use: pending[%d]: the id is empty or the time is missing", i))
		}
		r.Pending = append(r.Pending, n)
	}
	if wrong != nil {
		return nil, wrong
	}
	b := NewBuilder(nil, Options{}) // makes one of parts of a file that name the same
	b.Take(r)
	return b.Record(), nil
}
