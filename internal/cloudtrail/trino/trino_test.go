package trino_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"drawbridge/internal/cli"
	"drawbridge/internal/cloudtrail"
	"drawbridge/internal/cloudtrail/trailsql"
	"drawbridge/internal/cloudtrail/trino"
	"drawbridge/internal/cloudtrail/trino/trinotest"
	"drawbridge/internal/tables"
	"drawbridge/internal/usage"
)

type object = map[string]any

// one of the values.
func one[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

// maybe sets a field, or leaves it out, or makes it null or empty.
func maybe(r *rand.Rand, o object, name string, value any) {
	switch r.IntN(12) {
	case 0:
	case 1:
		o[name] = nil
	default:
		o[name] = value
	}
}

// events are lines of CloudTrail with every kind of caller, target, refusal and source, both sides of calls, the same event twice, and what is odd.
func events(r *rand.Rand, n int) []object {
	accounts := []string{"111111111111", "222222222222", "333333333333"}
	role := func(account string) string {
		return "arn:aws:iam::" + account + ":role/" + one(r, "ci", "path/app", "it's \"odd\"", "naïve")
	}
	var out []object
	for i := range n {
		owner, recipient, target := one(r, accounts...), one(r, accounts...), one(r, accounts...)
		at := time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC).Add(time.Duration(r.IntN(4*86400-3600)) * time.Second) // an hour in, as the other side of a call may be earlier
		e := object{"eventID": fmt.Sprintf("%08x-e", r.Uint32()), "eventTime": at.Format(time.RFC3339), "userAgent": "x", "readOnly": true, "eventType": "AwsApiCall"}
		maybe(r, e, "awsRegion", one(r, "eu-west-1", "us-east-1", ""))
		maybe(r, e, "recipientAccountId", recipient)
		maybe(r, e, "sourceIPAddress", one(r, "198.51.100."+fmt.Sprint(r.IntN(256)), fmt.Sprintf("10.%d.%d.1", r.IntN(3), r.IntN(256)), "2001:db8::1", "2001:DB8:0:ffff::7", "2001:db8:abcd:12::1", "::1", "0:0:7::1",
			"fe80::1%eth0", "::ffff:203.0.113.9", "AWS Internal", "lambda.amazonaws.com", "S3.amazonaws.com.cn", "evil.example.com", "amazonaws.com", "1.2.3", "010.1.1.1", ""))
		if r.IntN(5) == 0 {
			e["errorCode"] = one(r, "AccessDenied", "AccessDeniedException", "Client.UnauthorizedOperation", "UnauthorizedAccess", "NoSuchKey", "accessdenied", "")
		}
		maybe(r, e, "eventCategory", one(r, "Management", "Data", "Data", ""))
		maybe(r, e, "managementEvent", one(r, true, false))
		identity := object{"principalId": "AROA:x", "accessKeyId": "ASIA"}
		kind := one(r, "AssumedRole", "AssumedRole", "AssumedRole", "AWSAccount", "AWSAccount", "IAMUser", "Root", "FederatedUser", "AWSService", "WebIdentityUser", "SAMLUser", "Unknown", "")
		identity["type"] = kind
		maybe(r, identity, "accountId", owner)
		maybe(r, identity, "arn", one(r, "arn:aws:iam::"+owner+":user/ana", "arn:aws:iam::"+owner+":root", ""))
		switch kind {
		case "AssumedRole", "FederatedUser":
			session := object{"attributes": object{"mfaAuthenticated": "false"}}
			maybe(r, session, "sessionIssuer", object{"type": "Role", "arn": role(owner), "accountId": owner})
			if r.IntN(3) == 0 {
				maybe(r, session, "sourceIdentity", one(r, "ana", "bob", ""))
			}
			maybe(r, identity, "sessionContext", session)
		case "AWSService":
			maybe(r, identity, "invokedBy", one(r, "ec2.amazonaws.com", "lambda.amazonaws.com"))
		case "WebIdentityUser", "SAMLUser":
			maybe(r, identity, "identityProvider", one(r, "arn:aws:iam::"+target+":oidc-provider/token.actions.githubusercontent.com", "https://issuer.example.com/path", "cognito-identity.amazonaws.com",
				"arn:aws:iam::"+target+":oidc-provider/a:oidc-provider/b"))
			maybe(r, identity, "userName", one(r, "repo:acme/web:ref:refs/heads/main", "someone@example.com", "plain"))
		}
		maybe(r, e, "userIdentity", identity)
		switch r.IntN(4) {
		case 0, 1:
			e["eventSource"], e["eventName"] = "sts.amazonaws.com", one(r, "AssumeRole", "AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "AssumeRoot", "GetCallerIdentity")
			p := object{"roleSessionName": "x"}
			maybe(r, p, "roleArn", one[any](r, role(target), role(target), role(target), "not an arn", 7, object{"a": 1}, true))
			if r.IntN(2) == 0 {
				maybe(r, p, "durationSeconds", one[any](r, 900, 3600, 43200, "3600", "0900", "soon", 3600.5, -1, 99999999999, 5000000000, 1000000000, "", false))
			}
			if r.IntN(3) == 0 {
				maybe(r, p, "sourceIdentity", one[any](r, "cy", "ana", 7))
			}
			maybe(r, e, "requestParameters", p)
		default:
			e["eventSource"], e["eventName"] = one(r, "s3.amazonaws.com", "kms.amazonaws.com", "signin.amazonaws.com"), one(r, "GetObject", "Decrypt")
			maybe(r, e, "requestParameters", object{"bucketName": "b", "roleArn": role(target)})
			var resources []any
			for range r.IntN(4) {
				x := object{"type": "AWS::S3::Object"}
				maybe(r, x, "ARN", one(r, "arn:aws:s3:::orders", "arn:aws:kms:eu-west-1:"+target+":key/1", ""))
				maybe(r, x, "accountId", one(r, target, owner, ""))
				resources = append(resources, x)
			}
			if resources != nil {
				maybe(r, e, "resources", resources)
			}
		}
		switch r.IntN(40) {
		case 0:
			delete(e, "eventID")
		case 1:
			e["eventTime"] = one[any](r, "1999-01-01T00:00:00+00:00", "2100-01-01T00:00:00-00:00", "", "yesterday", "2026-01-01", "2026-01-02T25:00:00Z", nil)
		case 2:
			delete(e, one(r, "eventName", "eventSource"))
		case 3:
			e["eventSource"] = ".amazonaws.com"
		case 4:
			e["eventTime"] = at.In(time.FixedZone("", 3600)).Format(time.RFC3339)
		case 5:
			e["eventTime"] = at.Format("2006-01-02T15:04:05.000Z")
		}
		if r.IntN(3) == 0 {
			e["sharedEventID"] = fmt.Sprintf("s-%d", i)
			other := object{}
			for k, v := range e {
				other[k] = v
			}
			other["eventID"], other["recipientAccountId"], other["userIdentity"] = fmt.Sprintf("%08x-o", r.Uint32()), target, object{"type": "AWSAccount", "accountId": owner}
			if r.IntN(3) == 0 {
				other["eventTime"] = at.Add(-time.Minute).Format(time.RFC3339)
			}
			out = append(out, other)
			if r.IntN(4) == 0 {
				continue // only the target's side
			}
		}
		out = append(out, e)
		if r.IntN(10) == 0 {
			out = append(out, e) // delivered twice
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func lines(t *testing.T, events []object) []byte {
	t.Helper()
	var out bytes.Buffer
	for _, e := range events {
		line, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(append(line, '\n'))
	}
	return out.Bytes()
}

func marshal(t *testing.T, b *usage.Builder) string {
	t.Helper()
	out, err := usage.Marshal(b.Record())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func rows(t *testing.T, c *trino.Client, sql string) [][]string {
	t.Helper()
	var out [][]string
	if _, err := c.Query(context.Background(), sql, func(row []string) error { out = append(out, row); return nil }); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
	return out
}

// TestTrino holds the roll-up in SQL against that of files: the same events give the same record, by its bytes.
func TestTrino(t *testing.T) {
	server := trinotest.Start(t)
	c, err := trino.New(server.URL, "", "")
	if err != nil {
		t.Fatal(err)
	}
	rows(t, c, "CREATE SCHEMA IF NOT EXISTS hive.default WITH (location = 's3://"+trinotest.Bucket+"/default')")
	put := func(account, day, file string, data []byte) {
		server.S3.Put(trinotest.Bucket, "AWSLogs/"+account+"/CloudTrail/eu-west-1/"+day+"/"+file, data)
	}
	table := func(t *testing.T, name, accounts string) trailsql.Columns {
		t.Helper()
		rows(t, c, trinotest.Table(name, accounts, "eu-west-1", "2026/01/01"))
		columns, err := trailsql.ReadColumns(rows(t, c, trailsql.ColumnsSQL("hive.default."+name)))
		if err != nil {
			t.Fatal(err)
		}
		if columns != (trailsql.Columns{Day: "timestamp", Account: "account", IdentityProvider: true, SourceIdentity: true, ManagementEvent: true}) {
			t.Fatalf("columns %+v", columns)
		}
		return columns
	}
	roll := func(t *testing.T, q trailsql.Query) (string, trailsql.Answer) {
		t.Helper()
		b := usage.NewBuilder(nil, usage.Options{Policy: &q.Policy})
		var a trailsql.Answer
		for _, row := range rows(t, c, q.SQL()) {
			if err := a.Add(b, row); err != nil {
				t.Fatal(err)
			}
		}
		return marshal(t, b), a
	}
	read := func(t *testing.T, data []byte, policy usage.Policy, keep func(*usage.Event) bool) (string, int) {
		t.Helper()
		b := usage.NewBuilder(nil, usage.Options{Policy: &policy})
		_, bad, err := cloudtrail.Read(bytes.NewReader(data), func(e *usage.Event) {
			if keep(e) {
				b.Add(e)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		return marshal(t, b), bad
	}
	all := func(*usage.Event) bool { return true }
	everything := usage.Policy{Users: usage.Keep, Subjects: usage.Keep, SourceIdentities: usage.Keep, Networks: true}
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }

	t.Run("generated", func(t *testing.T) {
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		data := lines(t, events(rand.New(rand.NewPCG(seed, 1)), 6000))
		put("111111111111", "2026/01/02", "all.json", data)
		columns := table(t, "generated", "111111111111,222222222222")
		for name, policy := range map[string]usage.Policy{"careful": usage.DefaultPolicy(), "everything": everything, "nothing": {Users: usage.Drop, Subjects: usage.Drop, SourceIdentities: usage.Drop}} {
			want, bad := read(t, data, policy, all)
			got, a := roll(t, trailsql.Query{Table: "generated", Columns: columns, From: day(1), To: day(9), Policy: policy})
			same(t, name, got, want)
			if a.Odd != bad {
				t.Errorf("%s: %d events not understood, expected %d", name, a.Odd, bad)
			}
		}
		// One day, and the trail of one account only.
		want, _ := read(t, data, everything, func(e *usage.Event) bool { return usage.Day(e.Time) == usage.Day(day(2)) })
		got, _ := roll(t, trailsql.Query{Table: "hive.default.generated", Columns: columns, From: day(2), To: day(2), Policy: everything})
		same(t, "one day", got, want)
		want, _ = read(t, data, everything, func(e *usage.Event) bool { return e.Account == "111111111111" })
		columns.Account = "" // the one file has all accounts
		got, _ = roll(t, trailsql.Query{Table: "generated", Columns: columns, From: day(1), To: day(9), Policy: everything, Accounts: []string{"111111111111"}})
		same(t, "one account", got, want)
	})

	// In parts of some days, as the command does it, and as Parquet, which Trino reads back.
	t.Run("imported", func(t *testing.T) {
		data := lines(t, events(rand.New(rand.NewPCG(3, 3)), 2000))
		put("777777777777", "2026/01/02", "all.json", data)
		table(t, "imported", "777777777777")
		run := func(ctx context.Context, sql string, give func([]string) error) (int64, error) {
			if strings.Contains(sql, "information_schema") {
				stats, err := c.Query(ctx, sql, give)
				return stats.Bytes, err
			}
			// The one file has all days.
			stats, err := c.Query(ctx, regexp.MustCompile(`"timestamp" BETWEEN '[0-9/]+' AND '[0-9/]+'`).ReplaceAllString(sql, `"timestamp" = '2026/01/02'`), give)
			return stats.Bytes, err
		}
		w := trailsql.Window{Source: "here", Table: "hive.default.imported", From: day(1), To: day(9), PerQuery: 2}
		record, r, err := trailsql.Import(context.Background(), nil, usage.Options{Policy: &everything}, w, run, func(int, int) {})
		if err != nil || r.Queries != 5 || r.Days != 9 || r.Bytes == 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		set := tables.Of(record)
		record.Files = nil
		got, err := usage.Marshal(record)
		if err != nil {
			t.Fatal(err)
		}
		want, _ := read(t, data, everything, all)
		same(t, "in parts", string(got), want)
		// As the command does it, of one day.
		var out, errs bytes.Buffer
		into := filepath.Join(t.TempDir(), "u.json")
		status := cli.Run(&cli.Env{Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: func() time.Time { return day(20) }}, []string{"usage", "import", "--engine", "trino", "--url", server.URL,
			"--table", "imported", "--from", "2026-01-02", "--to", "2026-01-02", "--into", into})
		text, err := os.ReadFile(into)
		if err != nil {
			t.Fatalf("status %d: %s%s", status, out.String(), errs.String())
		}
		byCommand, err := usage.Unmarshal(text)
		if err != nil {
			t.Fatal(err)
		}
		if first, _, _ := strings.Cut(out.String(), "\n"); !strings.Contains(first, " of 1 day rolled up by 1 query, 0 known days passed over; ") || len(byCommand.Files) != 1 {
			t.Errorf("status %d: %s%s", status, out.String(), errs.String())
		}
		byCommand.Files = nil
		got, err = usage.Marshal(byCommand)
		if err != nil {
			t.Fatal(err)
		}
		careful := usage.DefaultPolicy()
		careful.KeepDays = 400
		want, _ = read(t, data, careful, func(e *usage.Event) bool { return usage.Day(e.Time) == usage.Day(day(2)) })
		same(t, "by command", string(got), want)
		err = set.Write("parquet", func(table string) (io.WriteCloser, error) {
			return file{&bytes.Buffer{}, func(data []byte) { server.S3.Put(trinotest.Bucket, "export/"+table+"/a.parquet", data) }}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		rows(t, c, `CREATE TABLE crossings (caller varchar, target varchar, mechanism varchar, first_at timestamp, last_at timestamp, uses bigint, days array(date), denied bigint, networks array(varchar))
			WITH (format = 'PARQUET', external_location = 's3://`+trinotest.Bucket+`/export/crossings/')`)
		var wanted [][]string
		for _, x := range record.Crossings {
			last := ""
			if !x.Last.IsZero() {
				last = x.Last.Format("2006-01-02 15:04:05.000")
			}
			wanted = append(wanted, []string{x.Caller, x.Target, x.Mechanism, last, fmt.Sprint(x.Count), fmt.Sprint(x.Days.Len()), fmt.Sprint(x.Denied), strings.Join(x.Networks, " ")})
		}
		read := rows(t, c, "SELECT caller, target, mechanism, CAST(last_at AS varchar), uses, cardinality(days), denied, array_join(networks, ' ') FROM crossings")
		for _, list := range [][][]string{wanted, read} {
			slices.SortFunc(list, func(a, b []string) int { return slices.Compare(a, b) })
		}
		if fmt.Sprint(read) != fmt.Sprint(wanted) || len(wanted) < 100 {
			t.Errorf("%d rows of Parquet, expected %d\n%.500v\n%.500v", len(read), len(wanted), read, wanted)
		}
		if got := rows(t, c, "SELECT min(d), max(d) FROM crossings CROSS JOIN UNNEST(days) AS u (d)"); fmt.Sprint(got) != "[[2026-01-01 2026-01-04]]" {
			t.Errorf("days %v", got)
		}
	})

	// More calls wait for their other side than a record keeps: the oldest are counted.
	t.Run("many", func(t *testing.T) {
		var data bytes.Buffer
		r := rand.New(rand.NewPCG(5, 5))
		for i := range usage.Waiting + 3000 {
			at := day(1).Add(time.Duration(r.IntN(86400)) * time.Second).Format(time.RFC3339)
			identity := `"type":"AWSAccount","accountId":"111111111111"`
			if i%7 == 0 {
				identity = `"type":"AssumedRole","accountId":"111111111111","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::111111111111:role/ci"}}`
			}
			fmt.Fprintf(&data, `{"eventID":"%d","sharedEventID":"s%d","eventTime":"%s","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","recipientAccountId":"222222222222","userIdentity":{%s},"requestParameters":{"roleArn":"arn:aws:iam::222222222222:role/r%d"}}`+"\n",
				i, i, at, identity, i%50)
		}
		put("888888888888", "2026/01/02", "all.json", data.Bytes())
		columns := table(t, "many", "888888888888")
		want, _ := read(t, data.Bytes(), everything, all)
		got, _ := roll(t, trailsql.Query{Table: "many", Columns: columns, From: day(1), To: day(1), Policy: everything})
		same(t, "many", got, want)
		if !strings.Contains(want, `"caller":"111111111111"`) {
			t.Error("none that waited was counted")
		}
	})

	t.Run("partitions", func(t *testing.T) {
		list := events(rand.New(rand.NewPCG(7, 7)), 400)
		data := lines(t, list)
		for d := 10; d < 20; d++ {
			put("444444444444", fmt.Sprintf("2026/02/%d", d), "a.json", bytes.ReplaceAll(data, []byte("2026-01-0"), fmt.Appendf(nil, "2026-02-%d", d)[:9]))
		}
		columns := table(t, "partitions", "444444444444,555555555555")
		before := len(server.S3.Requests())
		q := trailsql.Query{Table: "partitions", Columns: columns, From: time.Date(2026, 2, 12, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 2, 13, 0, 0, 0, 0, time.UTC), Policy: everything,
			Accounts: []string{"444444444444"}}
		roll(t, q)
		days := map[string]bool{}
		for _, r := range server.S3.Requests()[before:] {
			if strings.Contains(r, "555555555555") {
				t.Errorf("an account that was not asked for was listed: %s", r)
			}
			if _, rest, ok := strings.Cut(r, "eu-west-1/"); ok && strings.HasSuffix(r, "a.json") {
				days[rest[:10]] = true
			}
		}
		if fmt.Sprint(days) != "map[2026/02/12:true 2026/02/13:true 2026/02/14:true]" {
			t.Errorf("read the days %v", days)
		}
	})

	// What real programs and the example left in CloudTrail.
	t.Run("real", func(t *testing.T) {
		for name, dir := range map[string]string{"stratus": "../../../../shared/data/stratus-detonation-logs", "trailscraper": "../../../../shared/data/trailscraper-cloudtrail", "acme": "../../../examples/acme-cloudtrail"} {
			var list []object
			err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() || !strings.HasSuffix(file, ".json") && !strings.HasSuffix(file, ".json.gz") {
					return err
				}
				text, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				if strings.HasSuffix(file, ".gz") {
					in, err := gzip.NewReader(bytes.NewReader(text))
					if err != nil {
						return err
					}
					if text, err = io.ReadAll(in); err != nil {
						return err
					}
				}
				var o struct{ Records []object }
				if json.Unmarshal(text, &o) != nil || o.Records == nil {
					err = json.Unmarshal(text, &o.Records)
				}
				list = append(list, o.Records...)
				return err
			})
			if errors.Is(err, fs.ErrNotExist) {
				t.Logf("%s is not beside this project: left out", dir)
				continue
			}
			if err != nil || len(list) == 0 {
				t.Fatalf("%s: %d events, %v", dir, len(list), err)
			}
			data := lines(t, list)
			put("666666666666", "2026/03/01", "a.json", data)
			columns := table(t, name, "666666666666")
			columns.Day = "" // laid down under one day
			want, _ := read(t, data, everything, all)
			got, a := roll(t, trailsql.Query{Table: name, Columns: columns, From: time.Date(2013, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Policy: everything})
			same(t, name, got, want)
			t.Logf("%s: %d events, %d rows", name, a.Events, a.Rows)
		}
	})

	t.Run("errors", func(t *testing.T) {
		_, err := c.Query(context.Background(), "SELECT nothing FROM nowhere", func([]string) error { return nil })
		var e *trino.Error
		if !errors.As(err, &e) || e.Name != "TABLE_NOT_FOUND" {
			t.Errorf("%v", err)
		}
		if _, err := trailsql.ReadColumns(rows(t, c, trailsql.ColumnsSQL("nowhere"))); !errors.Is(err, trailsql.ErrTable) {
			t.Errorf("%v", err)
		}
	})
}

// file gives what was written to it to done.
type file struct {
	*bytes.Buffer
	done func([]byte)
}

func (f file) Close() error { f.done(f.Bytes()); return nil }

// same compares two records, and says where they begin to differ.
func same(t *testing.T, name, got, want string) {
	t.Helper()
	if got == want {
		if len(want) < 500 {
			t.Errorf("%s: nothing is compared: %s", name, want)
		}
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	shown := 0
	for _, line := range g {
		if !slices.Contains(w, line) && shown < 6 {
			t.Errorf("%s: only in SQL: %s", name, line)
			shown++
		}
	}
	shown = 0
	for _, line := range w {
		if !slices.Contains(g, line) && shown < 6 {
			t.Errorf("%s: only of files: %s", name, line)
			shown++
		}
	}
}
