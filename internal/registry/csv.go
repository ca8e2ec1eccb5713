package registry

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"drawbridge/iam/arn"
	"drawbridge/iam/cond"
)

// column is a field of an entry that a spreadsheet can carry.
type column struct {
	name  string
	other []string // other headings, without case, spaces and punctuation
	get   func(*Entry) string
	set   func(*Entry, string) error
	field string // of an entry, as Edit knows it; "" where a spreadsheet does not change it
}

// columns in the order in which they are written.
var columns = []column{
	{"name", []string{"id", "entry", "trust"}, func(e *Entry) string { return e.Name }, setText(func(e *Entry) *string { return &e.Name }), ""},
	{"owner", []string{"team", "responsible", "contact"}, func(e *Entry) string { return e.Owner }, setText(func(e *Entry) *string { return &e.Owner }), "owner"},
	{"ticket", []string{"reference", "jira", "change", "request"}, func(e *Entry) string { return e.Ticket }, setText(func(e *Entry) *string { return &e.Ticket }), "ticket"},
	{"purpose", []string{"reason", "why", "justification", "description", "businessreason"}, func(e *Entry) string { return e.Purpose }, setText(func(e *Entry) *string { return &e.Purpose }), "purpose"},
	{"category", []string{"kind", "type"}, func(e *Entry) string { return string(e.Category) }, setText(func(e *Entry) *string { return (*string)(&e.Category) }), "category"},
	{"source", []string{"principal", "principals", "from", "caller", "sourceaccount", "trustedaccount", "trustedprincipal", "account"},
		func(e *Entry) string { return strings.Join(e.From.Sources(), " ") }, setSource, ""},
	{"target", []string{"role", "rolearn", "to", "resource", "arn", "targetrole"}, func(e *Entry) string { return strings.Join(e.To.Targets(), " ") }, setTarget, ""},
	{"actions", []string{"permissions", "allowedactions"}, func(e *Entry) string { return strings.Join(e.Actions, " ") }, func(e *Entry, s string) error {
		e.Actions = words(s)
		return nil
	}, "actions"},
	{"externalId", []string{"extid"}, func(e *Entry) string { return externalID(e) }, setExternalID, "externalId"},
	{"session", []string{"maxsession", "sessionduration", "duration"}, func(e *Entry) string { return FormatSpan(e.Session.Max) }, setSpan(func(e *Entry) *time.Duration { return &e.Session.Max }), "session.max"},
	{"every", []string{"cadence", "frequency", "usedevery"}, func(e *Entry) string { return FormatSpan(e.Use.Every) }, setSpan(func(e *Entry) *time.Duration { return &e.Use.Every }), "use.every"},
	{"vendor", []string{"thirdparty", "supplier", "company"}, func(e *Entry) string { return e.Vendor }, setText(func(e *Entry) *string { return &e.Vendor }), "vendor"},
	{"dataClass", []string{"classification", "data"}, func(e *Entry) string { return e.DataClass }, setText(func(e *Entry) *string { return &e.DataClass }), "dataClass"},
	{"expires", []string{"expiry", "expirydate", "enddate", "until", "validuntil", "expiration"}, func(e *Entry) string { return e.Expires.String() }, setDay(func(e *Entry) *Day { return &e.Expires }), "expires"},
	{"reviewed", []string{"lastreview", "reviewdate", "lastreviewed"}, func(e *Entry) string { return e.Review.Last.String() }, setDay(func(e *Entry) *Day { return &e.Review.Last }), "review.last"},
}

func setText(field func(*Entry) *string) func(*Entry, string) error {
	return func(e *Entry, s string) error {
		*field(e) = s
		return nil
	}
}

func setSpan(field func(*Entry) *time.Duration) func(*Entry, string) error {
	return func(e *Entry, s string) error {
		d, err := ParseSpan(s)
		*field(e) = d
		return err
	}
}

// dayForms are the ways in which spreadsheets write a date. Those that put the month first are not read: 03/04/2026 is two days.
var dayForms = []string{time.DateOnly, "2006/01/02", "02.01.2006", "2 January 2006", "2 Jan 2006", "Jan 2, 2006", "January 2, 2006", time.RFC3339}

func setDay(field func(*Entry) *Day) func(*Entry, string) error {
	return func(e *Entry, s string) error {
		for _, form := range dayForms {
			if t, err := time.Parse(form, s); err == nil {
				*field(e) = Day{time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)}
				return nil
			}
		}
		return fmt.Errorf("%q is no date that has one meaning: expected something like 2027-03-31", s)
	}
}

func setSource(e *Entry, s string) error {
	for _, w := range words(s) {
		switch {
		case strings.HasPrefix(w, "oidc:"):
			host, subject, _ := strings.Cut(strings.TrimPrefix(w, "oidc:"), ":")
			e.From.OIDC = &OIDC{Issuer: "https://" + host, Claims: map[string]string{"sub": subject}}
		case strings.HasSuffix(w, ".amazonaws.com"):
			e.From.Services = append(e.From.Services, w)
		case arn.IsAccountID(w) || strings.HasPrefix(w, "arn:") || OfBroker(w):
			e.From.Principals = append(e.From.Principals, w)
		case len(w) < 12 && strings.Trim(w, "0123456789") == "": // a spreadsheet drops the zeros in front of a number
			e.From.Principals = append(e.From.Principals, strings.Repeat("0", 12-len(w))+w)
		default:
			return fmt.Errorf("%q is neither an ARN, nor an account id, nor a service", w)
		}
	}
	return nil
}

func setTarget(e *Entry, s string) error {
	for _, w := range words(s) {
		if _, err := arn.Parse(w); err != nil {
			return err
		}
		if strings.Contains(w, ":role/") && e.To.Role == "" {
			e.To.Role = w
		} else {
			e.To.Resources = append(e.To.Resources, w)
		}
	}
	return nil
}

func setExternalID(e *Entry, s string) error {
	e.TrustConditions = append(e.TrustConditions, cond.CompileTest("StringEquals", "sts:ExternalId", words(s), true))
	return nil
}

// externalID is the ExternalId that the entry demands, "" where it demands none by name.
func externalID(e *Entry) string {
	for i := range e.TrustConditions {
		if t := &e.TrustConditions[i]; strings.EqualFold(t.Key, "sts:ExternalId") && strings.EqualFold(t.Operator, "StringEquals") {
			return strings.Join(t.Constraint().Values(), " ")
		}
	}
	return ""
}

// words are the values of a cell: several are set apart by blanks, commas, semicolons or new lines.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" ,;\n\r\t", r) })
}

// plainName is a heading without case, spaces and punctuation.
func plainName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return -1
	}, s)
}

// ImportCSV reads a spreadsheet: a line of headings, then an entry a line. Headings are mapped by name; those that are not known are
// returned. What a cell says and cannot be read is a problem with row and column, and costs the cell; the row is kept.
func ImportCSV(file string, data []byte) (r *Registry, unknown []string, problems []Problem) {
	r = &Registry{}
	in := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))))
	in.FieldsPerRecord = -1
	in.TrimLeadingSpace = true
	if firstLine, _, _ := bytes.Cut(data, []byte("\n")); bytes.Count(firstLine, []byte(";")) > bytes.Count(firstLine, []byte(",")) {
		in.Comma = ';'
	}
	problem := func(line, col int, name, format string, args ...any) {
		problems = append(problems, Problem{Place: Place{file, max(line, 1), max(col, 1)}, Entry: name, Message: fmt.Sprintf(format, args...)})
	}
	headings, err := in.Read()
	if err != nil {
		problem(1, 1, "", "expected a line of headings: %v", err)
		return r, nil, problems
	}
	known := make([]*column, len(headings))
	for i, h := range headings {
		if known[i] = columnOf(h); known[i] == nil {
			unknown = append(unknown, h)
		} else if slices.Contains(known[:i], known[i]) {
			problem(1, i+1, "", "two columns are the %s: this one is left out", known[i].name)
			known[i] = nil
		}
	}
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return r, unknown, problems
		}
		var broken *csv.ParseError
		if errors.As(err, &broken) {
			problem(broken.Line, broken.Column, "", "%v", broken.Err)
			continue
		}
		if err != nil {
			problem(1, 1, "", "%v", err)
			return r, unknown, problems
		}
		line, _ := in.FieldPos(0)
		e := Entry{Place: Place{file, line, 1}}
		for i, cell := range cells {
			if cell = strings.TrimSpace(cell); cell == "" || i >= len(known) || known[i] == nil {
				continue
			}
			if err := known[i].set(&e, cell); err != nil {
				at, col := in.FieldPos(i)
				problem(at, col, e.Name, "%s: %v", known[i].name, err)
			}
		}
		if e.Name == "" {
			e.Name = fmt.Sprintf("row-%d", line)
		}
		r.Entries = append(r.Entries, e)
	}
}

func columnOf(heading string) *column {
	plain := plainName(heading)
	for i := range columns {
		if plainName(columns[i].name) == plain || slices.Contains(columns[i].other, plain) {
			return &columns[i]
		}
	}
	return nil
}

// ExportCSV writes the entries as a spreadsheet that ImportCSV reads back. What no column carries is left out: conditions beside the
// ExternalId, approvals, claims beside the subject.
func ExportCSV(w io.Writer, r *Registry) error {
	out := csv.NewWriter(w)
	row := make([]string, len(columns))
	for i := range columns {
		row[i] = columns[i].name
	}
	if err := out.Write(row); err != nil {
		return fmt.Errorf("writing the registry: %w", err)
	}
	for i := range r.Entries {
		for c := range columns {
			row[c] = safe(columns[c].get(&r.Entries[i]))
		}
		if err := out.Write(row); err != nil {
			return fmt.Errorf("writing the registry: %w", err)
		}
	}
	out.Flush()
	return out.Error()
}

// safe keeps a spreadsheet from taking text for a formula.
func safe(s string) string {
	if s != "" && strings.ContainsRune("=+-@", rune(s[0])) {
		return "'" + s
	}
	return s
}
