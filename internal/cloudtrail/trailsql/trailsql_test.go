package trailsql

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/usage"
)

var update = flag.Bool("update", false, "write the golden files anew")

func day1(text string) time.Time {
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		panic(err)
	}
	return d
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not as before; read the difference, then go test ./internal/cloudtrail/trailsql -update", name)
	}
}

// The statements as people see them. What they mean is tested on a Trino.
func TestStatements(t *testing.T) {
	table := Table{Name: "security.cloudtrail_logs", Bucket: "trail", Prefix: "org/", Organisation: "o-abcdefghij", Accounts: []string{"444455556666", "111122223333", "444455556666"},
		Regions: []string{"us-east-1", "eu-west-1"}, From: day1("2026-01-01")}
	sql, err := table.SQL()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "table.sql", sql)
	q := Query{Table: "cat.security.cloudtrail_logs", Columns: Columns{Day: "timestamp", Account: "account", IdentityProvider: true, SourceIdentity: true, ManagementEvent: true},
		From: day1("2026-01-01"), To: day1("2026-01-07"), Accounts: []string{"111122223333"}, Policy: usage.DefaultPolicy()}
	golden(t, "query.sql", q.SQL()+"\n")
	q.Columns, q.Accounts = Columns{}, nil
	for _, without := range []string{"identityprovider", "sourceidentity", "managementevent", "IN ('1"} {
		if strings.Contains(q.SQL(), without) {
			t.Errorf("a table without it is asked for %s", without)
		}
	}
	q.Policy = usage.Policy{Users: usage.Drop, Subjects: usage.Drop, SourceIdentities: usage.Drop}
	if strings.Contains(q.SQL(), "amazonaws") {
		t.Error("networks leave the engine though they are not kept")
	}
	for _, left := range []string{"$TABLE", "$WHERE", "$PROVIDER", "$IDENTITY", "$NETWORK", "$OF", "$WAITING", "$DATA", "$RFC3339", "$FROM", "$TO", "$SESSIONIDENTITY"} {
		if strings.Contains(q.SQL(), left) {
			t.Errorf("%s is not filled in", left)
		}
	}
}

// No name or value of the caller's becomes SQL of its own.
func TestNamesAreNoSQL(t *testing.T) {
	for _, name := range []string{"", "a b", "a;drop table b", `a"b`, "a.b.c.d", "a..b", "a'b", "a`b"} {
		if CheckTable(name) == nil {
			t.Errorf("%q passes for a table", name)
		}
		if _, err := (&Table{Name: name}).SQL(); err == nil {
			t.Errorf("%q passes for a table to make", name)
		}
	}
	ok := Table{Name: "t", Bucket: "trail", Accounts: []string{"111122223333"}, Regions: []string{"us-gov-west-1"}, From: day1("2026-01-01")}
	if _, err := ok.SQL(); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]func(*Table){
		"bucket":   func(t *Table) { t.Bucket = "a'b" },
		"prefix":   func(t *Table) { t.Prefix = "a'/" },
		"org":      func(t *Table) { t.Organisation = "o-x'" },
		"account":  func(t *Table) { t.Accounts = []string{"1'"} },
		"accounts": func(t *Table) { t.Accounts = nil },
		"region":   func(t *Table) { t.Regions = []string{"eu-west-1'"} },
		"regions":  func(t *Table) { t.Regions = nil },
	} {
		bad := ok
		wrong(&bad)
		if _, err := bad.SQL(); err == nil {
			t.Errorf("a wrong %s passes", name)
		}
	}
	q := Query{Table: `a"b`, Accounts: []string{"it's"}, Columns: Columns{Account: `c"d`}, From: day1("2026-01-01"), To: day1("2026-01-01")}
	if sql := q.SQL(); !strings.Contains(sql, `"a""b"`) || !strings.Contains(sql, `'it''s'`) || !strings.Contains(sql, `"c""d"`) {
		t.Error("quotes in names are not doubled")
	}
}

func columnRows() [][]string {
	rows := [][]string{{"UserIdentity", "row(type varchar, arn varchar, identityprovider varchar, sessioncontext row(sourceidentity varchar))"}, {"resources", "array(row(arn varchar))"}}
	for _, name := range strings.Fields("eventtime eventsource eventname awsregion sourceipaddress errorcode requestparameters eventid recipientaccountid sharedeventid eventcategory managementevent account timestamp") {
		rows = append(rows, []string{name, "varchar"})
	}
	return rows
}

func TestReadColumns(t *testing.T) {
	all := Columns{Day: "timestamp", Account: "account", IdentityProvider: true, SourceIdentity: true, ManagementEvent: true}
	if c, err := ReadColumns(columnRows()); err != nil || c != all || len(c.Gaps()) != 0 {
		t.Errorf("%+v, %v", c, err)
	}
	without := func(names ...string) [][]string {
		return slices.DeleteFunc(columnRows(), func(r []string) bool { return slices.Contains(names, r[0]) })
	}
	if c, err := ReadColumns(without("managementevent", "timestamp", "account")); err != nil || c.Day != "" || c.Account != "" || len(c.Gaps()) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := ReadColumns(without("sharedeventid", "eventid")); !errors.Is(err, ErrTable) || !strings.Contains(err.Error(), "no eventid, sharedeventid") {
		t.Errorf("%v", err)
	}
	if _, err := ReadColumns(nil); !errors.Is(err, ErrTable) {
		t.Errorf("%v", err)
	}
	for table, want := range map[string]string{"T": "table_name = 't'", "s.T": "table_schema = 's'", "c.s.t": `FROM "c".information_schema.columns`} {
		if sql := ColumnsSQL(table); !strings.Contains(sql, want) {
			t.Errorf("%s: %s", table, sql)
		}
	}
}

func TestRowsThatAreNotOfTheQuery(t *testing.T) {
	good := []string{"action", "arn:aws:iam::111122223333:role/a", "s3:GetObject", "111122223333", "1", "1", "0", "1767225600", "1767225600", "", "[20454]", "", "", "", ""}
	b := usage.NewBuilder(nil, usage.Options{})
	var a Answer
	if err := a.Add(b, good); err != nil || a.Rows != 1 {
		t.Fatalf("%v", err)
	}
	for column, value := range map[int]string{colWhat: "other", colN: "x", colUsed: "1.5", colFirst: "2026-01-01", colDays: "[1]", colSessions: "{", colNetworks: "[1]", colHalf: "[]"} {
		row := slices.Clone(good)
		row[column] = value
		if err := a.Add(b, row); err == nil || !strings.Contains(err.Error(), columnNames[column]) {
			t.Errorf("column %s as %q: %v", columnNames[column], value, err)
		}
	}
	if err := a.Add(b, good[1:]); err == nil {
		t.Error("a short row passes")
	}
}

// engine answers with one action for each query.
type engine struct {
	asked []string
	fail  int // the query that fails, from 1
}

func (e *engine) run(_ context.Context, sql string, give func([]string) error) (int64, error) {
	if strings.Contains(sql, "information_schema") {
		for _, r := range columnRows() {
			if err := give(r); err != nil {
				return 0, err
			}
		}
		return 0, nil
	}
	at := strings.Index(sql, "BETWEEN '") + len("BETWEEN '")
	asked := sql[at : at+10]
	if i := strings.Index(sql, `"account" IN (`); i >= 0 {
		asked += " " + strings.NewReplacer("'", "", ",", "").Replace(sql[i+14:i+strings.Index(sql[i:], ")")])
	}
	e.asked = append(e.asked, asked)
	if len(e.asked) == e.fail {
		return 7, errors.New("out of memory")
	}
	for _, row := range [][]string{
		{"seen", "111122223333", "eu-west-1", "", "1", "1", "0", "1767225600", "1767225600", "", "[20454]", "", "", "", ""},
		{"odd", "", "", "", "2", "0", "0", "", "", "", "", "", "", "", ""},
		{"action", "arn:aws:iam::111122223333:role/a", "s3:GetObject", "111122223333", "1", "1", "0", "1767225600", "1767225600", "", "[20454]", "", "", "", ""},
	} {
		if err := give(row); err != nil {
			return 7, err
		}
	}
	return 7, nil
}

func TestImport(t *testing.T) {
	window := func(from, to string, accounts ...string) Window {
		return Window{Source: "x", Table: "t", From: day1(from), To: day1(to), Accounts: accounts, PerQuery: 3}
	}
	quiet := func(int, int) {}
	e := &engine{}
	do := func(before *usage.Record, w Window) (*usage.Record, Result, string) {
		t.Helper()
		e.asked = nil
		record, r, err := Import(context.Background(), before, usage.Options{}, w, e.run, quiet)
		if err != nil {
			t.Fatal(err)
		}
		return record, r, strings.Join(e.asked, ", ")
	}
	record, r, asked := do(nil, window("2026-01-01", "2026-01-07"))
	if asked != "2026/01/01, 2026/01/04, 2026/01/07" || r.Days != 7 || r.Skipped != 0 || r.Queries != 3 || r.Bytes != 21 || r.Events != 3 || len(r.Gaps) != 3 || record.Actions[0].Count != 3 {
		t.Errorf("asked %s: %+v", asked, r)
	}
	// Again: nothing is asked. More days on both sides: only they are, through a file in between.
	if again, r, asked := do(record, window("2026-01-02", "2026-01-05")); asked != "" || r.Skipped != 4 || again.Actions[0].Count != 3 {
		t.Errorf("asked %s: %+v", asked, r)
	}
	text, err := usage.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	if record, err = usage.Unmarshal(text); err != nil {
		t.Fatal(err)
	}
	if _, r, asked := do(record, window("2025-12-31", "2026-01-08")); asked != "2025/12/31, 2026/01/08" || r.Skipped != 7 {
		t.Errorf("asked %s: %+v", asked, r)
	}
	// Another table, or the same elsewhere, is not known.
	w := window("2026-01-01", "2026-01-01")
	w.Source = "y"
	if _, _, asked := do(record, w); asked != "2026/01/01" {
		t.Errorf("asked %s", asked)
	}
	// By account.
	record, _, asked = do(nil, window("2026-01-01", "2026-01-02", "111122223333"))
	if asked != "2026/01/01 111122223333" {
		t.Errorf("asked %s", asked)
	}
	if _, _, asked = do(record, window("2026-01-01", "2026-01-03", "444455556666", "111122223333", "444455556666")); asked != "2026/01/01 444455556666, 2026/01/03 111122223333 444455556666" {
		t.Errorf("asked %s", asked)
	}
	if _, _, err := Import(context.Background(), record, usage.Options{}, window("2026-01-02", "2026-01-03"), e.run, quiet); !errors.Is(err, ErrWindow) {
		t.Errorf("all accounts over one of them: %v", err)
	}
	// A query that fails ends the import: what was read is kept, and the rest is a gap.
	e.fail, e.asked = 2, nil
	record, r, err = Import(context.Background(), nil, usage.Options{}, window("2026-01-01", "2026-01-09"), e.run, quiet)
	if err != nil || r.Days != 3 || len(r.Gaps) != 2 || r.Gaps[1].What != "2026-01-04 to 2026-01-09" || !strings.Contains(r.Gaps[1].Reason, "out of memory") || record.Actions[0].Count != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	e.fail = 0
	if _, _, asked := do(record, window("2026-01-01", "2026-01-09")); asked != "2026/01/04, 2026/01/07" {
		t.Errorf("asked %s", asked)
	}
	e.fail, e.asked = 1, nil
	if _, _, err := Import(context.Background(), nil, usage.Options{}, window("2026-01-01", "2026-01-09"), e.run, quiet); err == nil {
		t.Error("an engine that answers nothing is no error")
	}
	if _, _, err := Import(context.Background(), nil, usage.Options{}, window("2026-01-02", "2026-01-01"), e.run, quiet); !errors.Is(err, ErrWindow) {
		t.Errorf("%v", err)
	}
	// What is not kept is not asked for.
	e.fail, e.asked = 0, nil
	if _, _, err := Import(context.Background(), nil, usage.Options{Before: day1("2026-01-08")}, window("2026-01-01", "2026-01-09"), e.run, quiet); err != nil || fmt.Sprint(e.asked) != "[2026/01/08]" {
		t.Errorf("asked %v, %v", e.asked, err)
	}
}

func TestLast(t *testing.T) {
	for now, want := range map[string]string{"2026-03-02T01:59:00Z": "2026-02-28", "2026-03-02T02:00:00Z": "2026-03-01", "2026-03-02T23:00:00Z": "2026-03-01", "2026-03-02T03:00:00+05:00": "2026-02-28"} {
		at, err := time.Parse(time.RFC3339, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := Last(at).Format(time.DateOnly); got != want {
			t.Errorf("at %s: %s, expected %s", now, got, want)
		}
	}
}
