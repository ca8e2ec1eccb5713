// Package tables writes recorded use as tables, for those who query elsewhere: a row for each use of a trust by one caller (crossings), each action of a caller
// (actions), and each account's evidence (evidence), as Parquet, CSV or JSON lines. docs/usage.md has the columns. The rows are sorted, and equal
// records give equal bytes.
package tables

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"drawbridge/internal/usage"
)

// Crossing is a row of crossings. Times are in UTC, days are numbers of days since 1970.
type Crossing struct {
	Caller               string     `parquet:"caller,dict" json:"caller"`
	CallerAccount        string     `parquet:"caller_account,dict" json:"caller_account"` // "" of services and subjects
	Target               string     `parquet:"target,dict" json:"target"`
	TargetAccount        string     `parquet:"target_account,dict" json:"target_account"` // "" where the ARN has none
	Mechanism            string     `parquet:"mechanism,dict" json:"mechanism"`
	First                *time.Time `parquet:"first_at,optional,timestamp(microsecond)" json:"first_at"`
	Last                 *time.Time `parquet:"last_at,optional,timestamp(microsecond)" json:"last_at"` // null: never without being refused
	Uses                 int64      `parquet:"uses" json:"uses"`
	Days                 []int32    `parquet:"days,list" parquet-element:",date" json:"days"`
	Denied               int64      `parquet:"denied" json:"denied"`
	LastDenied           *time.Time `parquet:"last_denied_at,optional,timestamp(microsecond)" json:"last_denied_at"`
	Unapproved           int64      `parquet:"unapproved" json:"unapproved"`
	SessionSeconds       []int64    `parquet:"session_seconds,list" json:"session_seconds"`
	Networks             []string   `parquet:"networks,list" json:"networks"`
	SourceIdentities     []string   `parquet:"source_identities,list" json:"source_identities"`
	MoreSessions         bool       `parquet:"more_sessions" json:"more_sessions"`
	MoreNetworks         bool       `parquet:"more_networks" json:"more_networks"`
	MoreSourceIdentities bool       `parquet:"more_source_identities" json:"more_source_identities"`
}

// Action is a row of actions.
type Action struct {
	Caller        string     `parquet:"caller,dict" json:"caller"`
	CallerAccount string     `parquet:"caller_account,dict" json:"caller_account"`
	Action        string     `parquet:"action,dict" json:"action"`
	Account       string     `parquet:"account,dict" json:"account"`
	First         *time.Time `parquet:"first_at,optional,timestamp(microsecond)" json:"first_at"`
	Last          *time.Time `parquet:"last_at,optional,timestamp(microsecond)" json:"last_at"`
	Uses          int64      `parquet:"uses" json:"uses"`
	Days          []int32    `parquet:"days,list" parquet-element:",date" json:"days"`
	Denied        int64      `parquet:"denied" json:"denied"`
	LastDenied    *time.Time `parquet:"last_denied_at,optional,timestamp(microsecond)" json:"last_denied_at"`
}

// Evidence is a row of evidence: the days on which the trail of an account has events at all (Kind any), of a region, or data events of a service.
type Evidence struct {
	Account string  `parquet:"account,dict" json:"account"`
	Kind    string  `parquet:"kind,dict" json:"kind"` // any, region, data
	Name    string  `parquet:"name,dict" json:"name"` // of the region or service
	Days    []int32 `parquet:"days,list" parquet-element:",date" json:"days"`
}

// Set is a record as tables.
type Set struct {
	Crossings []Crossing
	Actions   []Action
	Evidence  []Evidence
}

// Of makes the tables of a record.
func Of(r *usage.Record) Set {
	var s Set
	for i := range r.Crossings {
		c := &r.Crossings[i]
		row := Crossing{Caller: c.Caller, CallerAccount: account(c.Caller), Target: c.Target, TargetAccount: account(c.Target), Mechanism: c.Mechanism, First: at(c.First), Last: at(c.Last),
			Uses: int64(c.Count), Days: days(c.Days), Denied: int64(c.Denied), LastDenied: at(c.LastDenied), Unapproved: int64(c.Unapproved), SessionSeconds: []int64{},
			Networks: list(c.Networks), SourceIdentities: list(c.SourceIdentities), MoreSessions: c.MoreSessions, MoreNetworks: c.MoreNetworks, MoreSourceIdentities: c.MoreIdentities}
		for _, d := range c.Sessions {
			row.SessionSeconds = append(row.SessionSeconds, int64(d/time.Second))
		}
		s.Crossings = append(s.Crossings, row)
	}
	for i := range r.Actions {
		a := &r.Actions[i]
		s.Actions = append(s.Actions, Action{Caller: a.Caller, CallerAccount: account(a.Caller), Action: a.Action, Account: a.Account, First: at(a.First), Last: at(a.Last), Uses: int64(a.Count),
			Days: days(a.Days), Denied: int64(a.Denied), LastDenied: at(a.LastDenied)})
	}
	for i := range r.Seen {
		seen := &r.Seen[i]
		s.Evidence = append(s.Evidence, Evidence{seen.Account, "any", "", days(seen.Days)})
		for _, n := range seen.Regions {
			s.Evidence = append(s.Evidence, Evidence{seen.Account, "region", n.Name, days(n.Days)})
		}
		for _, n := range seen.Data {
			s.Evidence = append(s.Evidence, Evidence{seen.Account, "data", n.Name, days(n.Days)})
		}
	}
	return s
}

// account is the account in an ARN, or of a caller of which only the account is known.
func account(name string) string {
	if len(name) == 12 && strings.Trim(name, "0123456789") == "" {
		return name
	}
	if fields := strings.SplitN(name, ":", 6); len(fields) == 6 && fields[0] == "arn" {
		return fields[4]
	}
	return ""
}

func at(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func days(d usage.Days) []int32 {
	out := []int32{}
	d.Ranges(func(first, last int) {
		for day := first; day <= last; day++ {
			out = append(out, int32(day))
		}
	})
	return out
}

func list(texts []string) []string { return append([]string{}, texts...) }

// Formats are the forms that Write knows; json is lines of JSON, one for each row.
var Formats = []string{"parquet", "csv", "json"}

// End is how names of files of a form end.
func End(format string) string {
	if format == "json" {
		return ".jsonl"
	}
	return "." + format
}

// ErrFormat is wrapped where a form is not known.
var ErrFormat = errors.New("unknown form of a table")

// Write writes each table to what open gives for its name: crossings, actions, evidence.
func (s *Set) Write(format string, open func(table string) (io.WriteCloser, error)) error {
	if err := write(format, "crossings", s.Crossings, open); err != nil {
		return err
	}
	if err := write(format, "actions", s.Actions, open); err != nil {
		return err
	}
	return write(format, "evidence", s.Evidence, open)
}

func write[T any](format, table string, rows []T, open func(string) (io.WriteCloser, error)) (err error) {
	var to func(io.Writer, []T) error
	switch format {
	case "parquet":
		to = writeParquet[T]
	case "csv":
		to = writeCSV[T]
	case "json":
		to = writeLines[T]
	default:
		return fmt.Errorf("%w: %q, expected %s", ErrFormat, format, strings.Join(Formats, ", "))
	}
	w, err := open(table)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := to(w, rows); err != nil {
		return fmt.Errorf("writing table %s: %w", table, err)
	}
	return nil
}

func writeParquet[T any](w io.Writer, rows []T) error {
	p := parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Snappy), parquet.CreatedBy("drawbridge", "", ""))
	if _, err := p.Write(rows); err != nil {
		return errors.Join(err, p.Close())
	}
	return p.Close()
}

// row gives the columns of a row as values of JSON, with days as dates.
func row(v any, give func(name string, value any)) {
	r := reflect.ValueOf(v)
	for i := range r.NumField() {
		name := r.Type().Field(i).Tag.Get("json")
		value := r.Field(i).Interface()
		if numbers, ok := value.([]int32); ok {
			dates := []string{}
			for _, n := range numbers {
				dates = append(dates, time.Unix(int64(n)*86400, 0).UTC().Format(time.DateOnly))
			}
			value = dates
		}
		give(name, value)
	}
}

func writeLines[T any](w io.Writer, rows []T) error {
	out := bufio.NewWriter(w)
	for i := range rows {
		out.WriteByte('{')
		first := true
		var failed error
		row(rows[i], func(name string, value any) {
			text, err := json.Marshal(value)
			failed = errors.Join(failed, err)
			if !first {
				out.WriteByte(',')
			}
			first = false
			fmt.Fprintf(out, "%q:%s", name, text)
		})
		if failed != nil {
			return failed
		}
		out.WriteString("}\n")
	}
	return out.Flush()
}

// writeCSV writes lists as JSON in their column. A text that a spreadsheet would take for a formula gets a quote in front.
func writeCSV[T any](w io.Writer, rows []T) error {
	out := csv.NewWriter(w)
	var names []string
	row(*new(T), func(name string, _ any) { names = append(names, name) })
	if err := out.Write(names); err != nil {
		return err
	}
	for i := range rows {
		var fields []string
		var failed error
		row(rows[i], func(_ string, value any) {
			text, err := field(value)
			failed = errors.Join(failed, err)
			fields = append(fields, text)
		})
		if failed != nil {
			return failed
		}
		if err := out.Write(fields); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func field(value any) (string, error) {
	switch v := value.(type) {
	case string:
		if v != "" && strings.ContainsRune("=+-@\t\r", rune(v[0])) {
			return "'" + v, nil
		}
		return v, nil
	case int64:
		return strconv.FormatInt(v, 10), nil
	case bool:
		return strconv.FormatBool(v), nil
	case *time.Time:
		if v == nil {
			return "", nil
		}
		return v.Format(time.RFC3339), nil
	}
	text, err := json.Marshal(value)
	return string(text), err
}
