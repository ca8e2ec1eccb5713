package usage

import (
	"encoding/json"
	"fmt"
	"time"
)

// version of the file format.
const version = 1

type recordForm struct {
	Version   int            `json:"version"`
	Files     []string       `json:"files"`
	Coverage  []coverageForm `json:"coverage"`
	Crossings []crossingForm `json:"crossings"`
	Actions   []actionForm   `json:"actions"`
}

type coverageForm struct {
	Account        string     `json:"account"`
	From           *time.Time `json:"from,omitempty"`
	To             *time.Time `json:"to,omitempty"`
	RegionsMissing []string   `json:"regionsMissing,omitempty"`
	Missing        bool       `json:"missing,omitempty"`
}

type crossingForm struct {
	Caller     string     `json:"caller"`
	Target     string     `json:"target"`
	Mechanism  string     `json:"mechanism"`
	First      *time.Time `json:"first,omitempty"`
	Last       *time.Time `json:"last,omitempty"`
	Count      int        `json:"count"`
	Denied     int        `json:"denied,omitempty"`
	LastDenied *time.Time `json:"lastDenied,omitempty"`
	Unapproved int        `json:"unapproved,omitempty"`
	Sessions   []int64    `json:"sessionSeconds,omitempty"`
}

type actionForm struct {
	Caller  string     `json:"caller"`
	Action  string     `json:"action"`
	Account string     `json:"account"`
	First   *time.Time `json:"first,omitempty"`
	Last    *time.Time `json:"last,omitempty"`
	Count   int        `json:"count"`
	Denied  int        `json:"denied,omitempty"`
}

// Marshal writes a record as the file that Unmarshal reads (docs/schema/recorded-use.schema.json). Equal records give equal bytes.
func Marshal(r *Record) ([]byte, error) {
	f := recordForm{Version: version, Files: r.Files, Coverage: []coverageForm{}, Crossings: []crossingForm{}, Actions: []actionForm{}}
	if f.Files == nil {
		f.Files = []string{}
	}
	for _, c := range r.Coverage {
		f.Coverage = append(f.Coverage, coverageForm{c.Account, optional(c.From), optional(c.To), c.RegionsMissing, c.Missing})
	}
	for _, c := range r.Crossings {
		form := crossingForm{c.Caller, c.Target, c.Mechanism, optional(c.First), optional(c.Last), c.Count, c.Denied, optional(c.LastDenied), c.Unapproved, nil}
		for _, s := range c.Sessions {
			form.Sessions = append(form.Sessions, int64(s/time.Second))
		}
		f.Crossings = append(f.Crossings, form)
	}
	for _, a := range r.Actions {
		f.Actions = append(f.Actions, actionForm{a.Caller, a.Action, a.Account, optional(a.First), optional(a.Last), a.Count, a.Denied})
	}
	out, err := json.MarshalIndent(f, "", " ")
	if err != nil {
		return nil, fmt.Errorf("writing recorded use: %w", err)
	}
	return append(out, '\n'), nil
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

// Unmarshal reads a record that Marshal wrote. The error says what is wrong with the text.
func Unmarshal(data []byte) (*Record, error) {
	var f recordForm
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, fmt.Errorf("recorded use: %w", err)
	}
	if f.Version != version {
		return nil, fmt.Errorf("recorded use: version %d is not known, expected %d", f.Version, version)
	}
	r := &Record{Files: f.Files}
	for _, c := range f.Coverage {
		r.Coverage = append(r.Coverage, Coverage{c.Account, given(c.From), given(c.To), c.RegionsMissing, c.Missing})
	}
	for _, c := range f.Crossings {
		n := Crossing{Caller: c.Caller, Target: c.Target, Mechanism: c.Mechanism, First: given(c.First), Last: given(c.Last), Count: c.Count, Denied: c.Denied,
			LastDenied: given(c.LastDenied), Unapproved: c.Unapproved}
		for _, s := range c.Sessions {
			n.Sessions = append(n.Sessions, time.Duration(s)*time.Second)
		}
		r.Crossings = append(r.Crossings, n)
	}
	for _, a := range f.Actions {
		r.Actions = append(r.Actions, ActionUse{a.Caller, a.Action, a.Account, given(a.First), given(a.Last), a.Count, a.Denied})
	}
	r.sort()
	return r, nil
}
