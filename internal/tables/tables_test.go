package tables

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"drawbridge/internal/usage"
)

type closer struct{ *bytes.Buffer }

func (closer) Close() error { return nil }

func written(t interface{ Fatal(...any) }, s Set, format string) map[string]*bytes.Buffer {
	out := map[string]*bytes.Buffer{}
	err := s.Write(format, func(table string) (io.WriteCloser, error) {
		out[table] = &bytes.Buffer{}
		return closer{out[table]}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func drawn(t *rapid.T) *usage.Record {
	b := usage.NewBuilder(nil, usage.Options{Policy: &usage.Policy{Users: usage.Keep, Subjects: usage.Keep, SourceIdentities: usage.Keep, Networks: true}})
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range rapid.IntRange(0, 40).Draw(t, "events") {
		e := usage.Event{ID: fmt.Sprint(i), Time: start.Add(time.Duration(rapid.IntRange(0, 90*86400).Draw(t, "second")) * time.Second), Region: rapid.SampledFrom([]string{"", "eu-west-1"}).Draw(t, "region"),
			Account: "444455556666", Caller: rapid.SampledFrom([]string{"", "arn:aws:iam::111122223333:role/a,\"b\"", "ec2.amazonaws.com", "=cmd()"}).Draw(t, "caller"), CallerAccount: "111122223333",
			Action: rapid.SampledFrom([]string{"sts:AssumeRole", "s3:GetObject"}).Draw(t, "action"), Target: "arn:aws:iam::444455556666:role/r", TargetAccount: "444455556666",
			Denied: rapid.Bool().Draw(t, "denied"), Session: time.Duration(rapid.IntRange(0, 40).Draw(t, "session")) * time.Minute, Source: fmt.Sprintf("198.51.%d.1", rapid.IntRange(0, 50).Draw(t, "net")),
			SourceIdentity: rapid.SampledFrom([]string{"", "ana"}).Draw(t, "identity"), Data: rapid.Bool().Draw(t, "data")}
		b.Add(&e)
	}
	return b.Record()
}

// What Parquet holds is read back as it was.
func TestParquetRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Of(drawn(t))
		files := written(t, s, "parquet")
		same(t, s.Crossings, files["crossings"])
		same(t, s.Actions, files["actions"])
		same(t, s.Evidence, files["evidence"])
		again := written(t, s, "parquet")
		for name := range files {
			if !bytes.Equal(files[name].Bytes(), again[name].Bytes()) {
				t.Fatalf("%s is written in other bytes the second time", name)
			}
		}
	})
}

func same[T any](t *rapid.T, want []T, file *bytes.Buffer) {
	got, err := parquet.Read[T](bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d rows read back of %d", len(got), len(want))
	}
	for i := range want {
		g, w := lines(t, got[i]), lines(t, want[i])
		if g != w {
			t.Fatalf("row %d\n%s\nexpected\n%s", i, g, w)
		}
	}
}

// lines is a row as JSON: an empty list is the same as none.
func lines(t *rapid.T, v any) string {
	var out bytes.Buffer
	var err error
	switch v := v.(type) {
	case Crossing:
		err = writeLines(&out, []Crossing{v})
	case Action:
		err = writeLines(&out, []Action{v})
	case Evidence:
		err = writeLines(&out, []Evidence{v})
	}
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(out.String(), ":null", ":[]")
}

// The columns are a promise to other programs: a change of them is a change of docs/usage.md.
func TestSchema(t *testing.T) {
	const want = `message Crossing {
	required binary caller (STRING);`
	got := parquet.SchemaOf(Crossing{}).String()
	if !strings.HasPrefix(got, want) {
		t.Errorf("the schema begins with\n%s", got)
	}
	for _, line := range []string{"optional int64 first_at (TIMESTAMP(isAdjustedToUTC=true,unit=MICROS))", "required group days (LIST)", "required int32 element (DATE)", "required group networks (LIST)"} {
		if !strings.Contains(got, line) {
			t.Errorf("no %s in\n%s", line, got)
		}
	}
	// The three forms have the same columns.
	for _, v := range []any{Crossing{}, Action{}, Evidence{}} {
		r := reflect.TypeOf(v)
		for i := range r.NumField() {
			name, _, _ := strings.Cut(r.Field(i).Tag.Get("parquet"), ",")
			if name == "" || name != r.Field(i).Tag.Get("json") {
				t.Errorf("%s.%s is %q in Parquet and %q in JSON", r.Name(), r.Field(i).Name, name, r.Field(i).Tag.Get("json"))
			}
		}
	}
}

func TestTexts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Of(drawn(t))
		rows, err := csv.NewReader(written(t, s, "csv")["crossings"]).ReadAll()
		if err != nil || len(rows) != len(s.Crossings)+1 || rows[0][0] != "caller" || len(rows[0]) != 18 {
			t.Fatalf("%d rows, %v", len(rows), err)
		}
		for _, r := range rows[1:] {
			if strings.ContainsAny(r[0][:min(1, len(r[0]))], "=+-@") {
				t.Fatalf("a formula of the input: %q", r[0])
			}
		}
		text := written(t, s, "json")
		for i, line := range strings.Split(strings.TrimSpace(text["crossings"].String()), "\n") {
			if line == "" && len(s.Crossings) == 0 {
				break
			}
			var o map[string]any
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Fatalf("%v in %s", err, line)
			}
			if o["caller"] != s.Crossings[i].Caller || len(o) != 18 || o["uses"] != float64(s.Crossings[i].Uses) {
				t.Fatalf("%s", line)
			}
		}
	})
	if err := (&Set{}).Write("xml", nil); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
	full := errors.New("full")
	err := (&Set{}).Write("csv", func(string) (io.WriteCloser, error) { return nil, full })
	if !errors.Is(err, full) {
		t.Errorf("%v", err)
	}
}

func TestAccount(t *testing.T) {
	for name, want := range map[string]string{"111122223333": "111122223333", "arn:aws:iam::111122223333:role/a": "111122223333", "arn:aws:s3:::b": "", "ec2.amazonaws.com": "",
		"oidc:a:b:c:d:e:f": "", "": ""} {
		if got := account(name); got != want {
			t.Errorf("%s: %s, expected %s", name, got, want)
		}
	}
}
