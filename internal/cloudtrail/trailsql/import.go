package trailsql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"drawbridge/internal/usage"
)

// Run runs a statement on an engine, gives the rows of its answer, and says how many bytes it read.
type Run func(ctx context.Context, sql string, give func(row []string) error) (int64, error)

// Window is what is asked for.
type Window struct {
	Source   string // which engine and catalog the table is in: the same name elsewhere is another table
	Table    string
	From, To time.Time // first and last day (UTC)
	Accounts []string  // empty: all
	PerQuery int       // days; 0: 7
}

// Result is what an import read.
type Result struct {
	Answer
	Days, Skipped int // Skipped were taken in by an earlier import
	Queries       int
	Bytes         int64
	Gaps          []Gap
}

// Gap is what was not read.
type Gap struct {
	What   string
	Reason string
}

// ErrWindow is wrapped where the days or accounts asked for do not fit.
var ErrWindow = errors.New("the days asked for cannot be imported")

// Last is the last day that is over, and whose events are delivered: CloudTrail takes some minutes, and two hours are left to it. A day that is
// taken in counts as known, so that one that goes on would lose its rest.
func Last(now time.Time) time.Time {
	return day(now.UTC().Add(-2*time.Hour)).AddDate(0, 0, -1)
}

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// part is days that are asked for in one query.
type part struct {
	from, to time.Time
	accounts []string
}

func (p *part) String() string {
	out := p.from.Format(time.DateOnly)
	if p.to.After(p.from) {
		out += " to " + p.to.Format(time.DateOnly)
	}
	return out
}

func (p *part) days() int { return int(p.to.Sub(p.from)/(24*time.Hour)) + 1 }

// digest tells a day of an account ("*": of all) of a table from others, in the list of what was taken in.
func (w *Window) digest(d time.Time, account string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{"table", w.Source, w.Table, d.Format(time.DateOnly), account}, "\x00")))
	return hex.EncodeToString(sum[:])
}

// parts are the days that are not taken in yet.
func (w *Window) parts(before *usage.Record) (parts []part, known int, err error) {
	has := func(d time.Time, account string) bool {
		if before == nil {
			return false
		}
		_, found := slices.BinarySearch(before.Files, w.digest(d, account))
		return found
	}
	per := w.PerQuery
	if per <= 0 {
		per = 7
	}
	for d := day(w.From); !d.After(day(w.To)); d = d.AddDate(0, 0, 1) {
		if has(d, "*") {
			known++
			continue
		}
		var accounts []string
		for _, a := range w.Accounts {
			if !has(d, a) {
				accounts = append(accounts, a)
			}
		}
		if len(w.Accounts) > 0 && len(accounts) == 0 {
			known++
			continue
		}
		if len(w.Accounts) == 0 && before != nil {
			for i := range before.Seen {
				if a := before.Seen[i].Account; has(d, a) {
					return nil, 0, fmt.Errorf("%w: %s is known for account %s, and would count twice: name the accounts that are missing, or import into a new record", ErrWindow, d.Format(time.DateOnly), a)
				}
			}
		}
		if n := len(parts); n > 0 && parts[n-1].to.AddDate(0, 0, 1).Equal(d) && parts[n-1].days() < per && slices.Equal(parts[n-1].accounts, accounts) {
			parts[n-1].to = d
			continue
		}
		parts = append(parts, part{d, d, accounts})
	}
	return parts, known, nil
}

// Plan are the queries of an import, for a table with the columns of Table.SQL.
func Plan(before *usage.Record, policy usage.Policy, w Window) ([]string, error) {
	parts, _, err := w.parts(before)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range parts {
		q := Query{Table: w.Table, Columns: Columns{Day: "timestamp", Account: "account", IdentityProvider: true, SourceIdentity: true, ManagementEvent: true}, From: p.from, To: p.to,
			Accounts: p.accounts, Policy: policy}
		out = append(out, q.SQL())
	}
	return out, nil
}

// Import asks for the days that a record does not have yet and gives the record with them. Days that could not be read, and what the table
// does not tell, are gaps; what was read before is kept, so that an import may be repeated. The error is for a table or days that do not fit, and for
// an engine that answers nothing.
func Import(ctx context.Context, before *usage.Record, o usage.Options, w Window, run Run, progress func(done, all int)) (*usage.Record, Result, error) {
	var r Result
	if err := CheckTable(w.Table); err != nil {
		return nil, r, err
	}
	if day(w.To).Before(day(w.From)) {
		return nil, r, fmt.Errorf("%w: they end (%s) before they begin (%s)", ErrWindow, w.To.Format(time.DateOnly), w.From.Format(time.DateOnly))
	}
	if w.From.Before(o.Before) {
		w.From = day(o.Before.Add(24*time.Hour - 1)) // days that are not kept as a whole are not asked for
	}
	w.Accounts = slices.Clone(w.Accounts)
	slices.Sort(w.Accounts)
	w.Accounts = slices.Compact(w.Accounts)
	parts, known, err := w.parts(before)
	if err != nil {
		return nil, r, err
	}
	r.Skipped = known
	b := usage.NewBuilder(before, o)
	if len(parts) == 0 {
		return b.Record(), r, nil
	}
	var names [][]string
	if _, err := run(ctx, ColumnsSQL(w.Table), func(row []string) error { names = append(names, row); return nil }); err != nil {
		return nil, r, fmt.Errorf("asking for the columns of %s: %w", w.Table, err)
	}
	columns, err := ReadColumns(names)
	if err != nil {
		return nil, r, fmt.Errorf("%s: %w", w.Table, err)
	}
	policy := usage.DefaultPolicy()
	if o.Policy != nil {
		policy = *o.Policy
	}
	for _, text := range columns.Gaps() {
		r.Gaps = append(r.Gaps, Gap{w.Table, text})
	}
	for i, p := range parts {
		progress(i, len(parts))
		q := Query{Table: w.Table, Columns: columns, From: p.from, To: p.to, Accounts: p.accounts, Policy: policy}
		fresh := usage.NewBuilder(nil, usage.Options{Policy: o.Policy})
		var a Answer
		n, err := run(ctx, q.SQL(), func(row []string) error { return a.Add(fresh, row) })
		r.Bytes += n
		r.Queries++
		if err != nil {
			if i == 0 {
				return nil, r, fmt.Errorf("asking for %s: %w", p.String(), err)
			}
			left := part{from: p.from, to: parts[len(parts)-1].to}
			r.Gaps = append(r.Gaps, Gap{left.String(), fmt.Sprintf("not read: %v", err)})
			break
		}
		b.Take(fresh.Record())
		for d := p.from; !d.After(p.to); d = d.AddDate(0, 0, 1) {
			if len(p.accounts) == 0 {
				b.Known(w.digest(d, "*"))
			}
			for _, account := range p.accounts {
				b.Known(w.digest(d, account))
			}
		}
		r.Days += p.days()
		r.Events += a.Events
		r.Rows += a.Rows
		if a.Odd > 0 {
			r.Gaps = append(r.Gaps, Gap{p.String(), fmt.Sprintf("%d events were not understood: no time, or no name of the call", a.Odd)})
		}
	}
	return b.Record(), r, nil
}
