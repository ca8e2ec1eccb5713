package trailsql

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"drawbridge/internal/usage"
)

// Answer counts what came in.
type Answer struct {
	Events int // each once
	Odd    int // events without a time or the name of a call
	Rows   int
}

// The columns of the query's rows, all of them text; "" stands for null.
const (
	colWhat = iota // action, crossing, pending, seen or odd
	colA           // caller; sharedEventID of pending; account of seen
	colB           // action, target; region of seen
	colC           // account, mechanism; service with data events of seen
	colN
	colUsed
	colDenied
	colFirst
	colLast
	colLastDenied
	colDays
	colSessions
	colNetworks
	colIdentities
	colHalf
	columns
)

var columnNames = [columns]string{"what", "a", "b", "c", "n", "used", "denied", "first_at", "last_at", "last_denied", "days", "sessions", "networks", "identities", "half"}

// Add takes one row of the answer into b. The error says which column is not as the query gives it.
func (a *Answer) Add(b *usage.Builder, values []string) error {
	if len(values) != columns {
		return fmt.Errorf("a row of the answer has %d columns, expected %d", len(values), columns)
	}
	r := row{values: values}
	n := int(r.number(colN))
	first, last, lastDenied := r.time(colFirst), r.time(colLast), r.time(colLastDenied)
	used, denied := int(r.number(colUsed)), int(r.number(colDenied))
	var numbers []int
	r.json(colDays, &numbers)
	var days usage.Days
	for _, d := range numbers {
		if !usage.InRange(time.Unix(int64(d)*86400, 0)) {
			r.wrong(colDays, fmt.Errorf("day %d is not between 2013 and 2099", d))
			break
		}
		days.Add(d)
	}
	var seconds []int64
	r.json(colSessions, &seconds)
	var sessions []time.Duration
	for _, s := range seconds {
		sessions = append(sessions, time.Duration(s)*time.Second)
	}
	var networks, identities []string
	r.json(colNetworks, &networks)
	r.json(colIdentities, &identities)
	var half struct{ Crosses, Caller, CallerAccount, Action, Account, Target, TargetAccount string }
	r.json(colHalf, &half)
	if r.err != nil {
		return r.err
	}
	a.Rows++
	switch values[colWhat] {
	case "odd":
		a.Odd += n
	case "seen":
		a.Events += n
		for _, d := range numbers {
			b.See(values[colA], values[colB], values[colC], d)
		}
	case "action":
		b.AddAction(usage.ActionUse{Caller: values[colA], Action: values[colB], Account: values[colC], First: first, Last: last, Count: used, Days: days, Denied: denied,
			LastDenied: lastDenied})
	case "crossing":
		b.AddCrossing(usage.Crossing{Caller: values[colA], Target: values[colB], Mechanism: values[colC], First: first, Last: last, Count: used, Days: days, Denied: denied,
			LastDenied: lastDenied, Sessions: sessions, Networks: networks, SourceIdentities: identities})
	case "pending":
		h := usage.Half{ID: values[colA], Time: first, Caller: half.Caller, CallerAccount: half.CallerAccount, Action: half.Action, Account: half.Account, Target: half.Target,
			TargetAccount: half.TargetAccount, Denied: denied > 0, Acted: half.Caller != "", Crossed: half.Caller != "" && half.Crosses != ""}
		if len(sessions) > 0 {
			h.Session = sessions[0]
		}
		if len(networks) > 0 {
			h.Network = networks[0]
		}
		if len(identities) > 0 {
			h.SourceIdentity = identities[0]
		}
		b.AddPending(h)
	default:
		return fmt.Errorf("column what of the answer: %q is not known", values[colWhat])
	}
	return nil
}

// row reads columns, and keeps the first that is wrong.
type row struct {
	values []string
	err    error
}

func (r *row) wrong(column int, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("column %s of the answer: %w", columnNames[column], err)
	}
}

func (r *row) number(column int) int64 {
	if r.values[column] == "" {
		return 0
	}
	n, err := strconv.ParseInt(r.values[column], 10, 64)
	if err != nil {
		r.wrong(column, err)
	}
	return n
}

func (r *row) time(column int) time.Time {
	if r.values[column] == "" {
		return time.Time{}
	}
	return time.Unix(r.number(column), 0).UTC()
}

func (r *row) json(column int, into any) {
	if r.values[column] == "" || r.values[column] == "null" {
		return
	}
	if err := json.Unmarshal([]byte(r.values[column]), into); err != nil {
		r.wrong(column, err)
	}
}
