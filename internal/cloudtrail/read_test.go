package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"drawbridge/internal/usage"
)

const (
	ci     = "arn:aws:iam::111122223333:role/ci/deploy"
	deploy = "arn:aws:iam::444455556666:role/deploy"
)

// A call across accounts as its two trails record it: the caller's own names the role, the other one its account only.
var callersSide = `{"eventVersion":"1.08","eventID":"a-1","sharedEventID":"s-1","eventTime":"2026-01-10T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"eu-west-1","recipientAccountId":"111122223333",
 "userIdentity":{"type":"AssumedRole","accountId":"111122223333","arn":"arn:aws:sts::111122223333:assumed-role/deploy/run-7","sessionContext":{"sessionIssuer":{"type":"Role","arn":"` + ci + `"}}},
 "sourceIPAddress":"198.51.100.77",
 "requestParameters":{"roleArn":"` + deploy + `","roleSessionName":"run-7","durationSeconds":3600,"sourceIdentity":"ana"},"responseElements":{"credentials":{"accessKeyId":"ASIA"}}}`
var targetsSide = `{"eventVersion":"1.08","eventID":"b-1","sharedEventID":"s-1","eventTime":"2026-01-10T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"eu-west-1","recipientAccountId":"444455556666",
 "userIdentity":{"type":"AWSAccount","accountId":"111122223333","principalId":"AROA:run-7"},"requestParameters":{"roleArn":"` + deploy + `","durationSeconds":"3600"},"resources":[{"ARN":"` + deploy + `","accountId":"444455556666","type":"AWS::IAM::Role"}]}`
var refused = `{"eventID":"c-1","eventTime":"2026-01-11T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","recipientAccountId":"444455556666","errorCode":"AccessDenied",
 "userIdentity":{"type":"AWSAccount","accountId":"999988887777"},"requestParameters":{"roleArn":"` + deploy + `"}}`
var workflow = `{"eventID":"d-1","eventTime":"2026-01-12T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRoleWithWebIdentity","recipientAccountId":"444455556666",
 "userIdentity":{"type":"WebIdentityUser","userName":"repo:acme/web:ref:refs/heads/main","identityProvider":"arn:aws:iam::444455556666:oidc-provider/token.actions.githubusercontent.com"},"requestParameters":{"roleArn":"` + deploy + `"}}`
var object = `{"eventID":"e-1","eventTime":"2026-01-12T11:00:00Z","eventSource":"s3.amazonaws.com","eventName":"GetObject","eventCategory":"Data","managementEvent":false,"recipientAccountId":"444455556666",
 "userIdentity":{"type":"AssumedRole","accountId":"111122223333","sessionContext":{"sessionIssuer":{"arn":"` + ci + `"}}},"requestParameters":{"bucketName":"data","roleArn":7},
 "resources":[{"ARN":"arn:aws:s3:::data/k","type":"AWS::S3::Object"},{"ARN":"arn:aws:s3:::data","accountId":"444455556666","type":"AWS::S3::Bucket"}]}`

func all() []string { return []string{callersSide, targetsSide, refused, workflow, object} }

func read(t *testing.T, text string) *usage.Record {
	t.Helper()
	b := usage.NewBuilder(nil, usage.Options{})
	_, bad, err := Read(strings.NewReader(text), b.Add)
	if err != nil || bad > 0 {
		t.Fatalf("%d events not understood, %v", bad, err)
	}
	return b.Record()
}

func TestForms(t *testing.T) {
	want := `[` + strings.Join(all(), ",") + `]`
	for name, text := range map[string]string{
		"list":          want,
		"Records":       `{"Records":` + want + `}`,
		"lines":         strings.ReplaceAll(strings.Join(all(), "\x00"), "\n", "") + "\n",
		"after another": strings.Join(all(), "\n"),
	} {
		text = strings.ReplaceAll(text, "\x00", "\n")
		r := read(t, text)
		got, err := usage.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if expected, _ := usage.Marshal(read(t, want)); !bytes.Equal(got, expected) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestReduction(t *testing.T) {
	r := read(t, `[`+strings.Join(all(), ",")+`]`)
	find := func(caller, target, mechanism string) *usage.Crossing {
		for i := range r.Crossings {
			if c := &r.Crossings[i]; c.Caller == caller && c.Target == target && c.Mechanism == mechanism {
				return c
			}
		}
		t.Fatalf("no crossing of %s to %s by %s in %+v", caller, target, mechanism, r.Crossings)
		return nil
	}
	if c := find(ci, deploy, "AssumeRole"); c.Count != 1 || len(c.Sessions) != 1 || c.Sessions[0] != time.Hour {
		t.Errorf("the two sides of one call: %+v", c)
	}
	if c := find("999988887777", deploy, "AssumeRole"); c.Count != 0 || c.Denied != 1 {
		t.Errorf("a refused call: %+v", c)
	}
	find("oidc:token.actions.githubusercontent.com:repo:acme/web:ref:refs/heads/main", deploy, "AssumeRoleWithWebIdentity")
	find(ci, "arn:aws:s3:::data", "s3:GetObject")
	if len(r.Crossings) != 4 {
		t.Errorf("%d crossings: %+v", len(r.Crossings), r.Crossings)
	}
	if len(r.Seen) != 2 || r.Seen[1].Account != "444455556666" || r.Seen[1].Days.Len() != 3 || len(r.Seen[1].Regions) != 1 || r.Seen[1].Data[0].Name != "s3" {
		t.Errorf("evidence %+v", r.Seen)
	}
	if c := find(ci, deploy, "AssumeRole"); len(c.Networks) != 1 || c.Networks[0] != "198.51.100.0/24" || c.Days.Len() != 1 || len(c.SourceIdentities) != 0 {
		t.Errorf("%+v", c)
	}
}

func write(t *testing.T, name, text string, packed bool) string {
	t.Helper()
	data := []byte(text)
	if packed {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		data = b.Bytes()
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// Imports in parts, in another order, and twice give the same record.
func TestImportIsTheSameInAnyOrder(t *testing.T) {
	dir := t.TempDir()
	var files []string
	for i, e := range all() {
		files = append(files, write(t, filepath.Join(dir, "AWSLogs", fmt.Sprint(i)+".json.gz"), `{"Records":[`+e+`]}`, true))
	}
	write(t, filepath.Join(dir, "AWSLogs", "CloudTrail-Digest", "x.json.gz"), `{"digest":1}`, true)
	marshal := func(paths ...string) string {
		var r *usage.Record
		for _, p := range paths {
			var err error
			if r, _, err = Import(r, usage.Options{}, []string{p}); err != nil {
				t.Fatal(err)
			}
		}
		out, err := usage.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	want := marshal(dir)
	if got := marshal(files[4], files[2], files[1], files[0], files[3], dir); got != want {
		t.Errorf("in another order and twice:\n%s\n%s", got, want)
	}
	// Through a file in between.
	r, _, err := Import(nil, usage.Options{}, files)
	if err != nil {
		t.Fatal(err)
	}
	text, err := usage.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	back, err := usage.Unmarshal(text)
	if err != nil {
		t.Fatal(err)
	}
	again, result, err := Import(back, usage.Options{}, []string{dir})
	if err != nil || result.Skipped != 5 || result.Files != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	if got, _ := usage.Marshal(again); string(got) != want {
		t.Errorf("after a file in between:\n%s\n%s", got, want)
	}
}

func TestBrokenFilesAreGaps(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a.json"), `{"Records":[`+object+`,`+callersSide[:80], false)
	write(t, filepath.Join(dir, "b.json.gz"), `{"Records":[`+workflow+`]}`, true)
	packed, err := os.ReadFile(filepath.Join(dir, "b.json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "c.json.gz"), string(packed[:len(packed)-20]), false)
	write(t, filepath.Join(dir, "d.json"), `[{"eventName":"x"},`+object+`]`, false)
	write(t, filepath.Join(dir, "e.json"), ``, false)
	write(t, filepath.Join(dir, "f.json"), `"text"`, false)
	_, r, err := Import(nil, usage.Options{}, []string{dir})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Gaps) != 4 || r.Events < 3 {
		t.Errorf("%d events, gaps %+v", r.Events, r.Gaps)
	}
	for _, g := range r.Gaps {
		if g.File == "" || g.Reason == "" {
			t.Errorf("%+v", g)
		}
	}
	if _, _, err := Import(nil, usage.Options{}, []string{t.TempDir()}); !errors.Is(err, ErrNoFiles) {
		t.Errorf("an empty folder: %v", err)
	}
}

// The real logs of the shared folder import without loss.
func TestRealLogs(t *testing.T) {
	for _, dir := range []string{"stratus-detonation-logs", "trailscraper-cloudtrail"} {
		path := filepath.Join("../../../shared/data", dir)
		if _, err := os.Stat(path); err != nil {
			t.Skipf("skipped: the shared data is not beside this project: %v", err)
		}
		record, r, err := Import(nil, usage.Options{}, []string{path})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Gaps) > 0 || r.Events == 0 || r.Files == 0 {
			t.Errorf("%s: %+v", dir, r)
		}
		t.Logf("%s: %d events of %d files, %d actions, %d crossings", dir, r.Events, r.Files, len(record.Actions), len(record.Crossings))
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"Records":[` + object + `]}`)
	f.Add(callersSide + "\n" + targetsSide)
	f.Add(`[{},null,7]`)
	f.Fuzz(func(t *testing.T, text string) {
		b := usage.NewBuilder(nil, usage.Options{})
		n, bad, _ := Read(strings.NewReader(text), b.Add)
		if n < 0 || bad < 0 {
			t.Error("counted backwards")
		}
		r := b.Record()
		out, err := usage.Marshal(r)
		if err != nil {
			t.Skip() // a year beyond what JSON's time can write
		}
		if _, err := usage.Unmarshal(out); err != nil {
			t.Errorf("what was written is not read back: %v", err)
		}
	})
}

func TestRecordKeepsTheSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/recorded-use.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	b := usage.NewBuilder(nil, usage.Options{})
	b.Known(strings.Repeat("0", 64))
	if _, _, err := Read(strings.NewReader(strings.Join(all(), "\n")), b.Add); err != nil {
		t.Fatal(err)
	}
	text, err := usage.Marshal(b.Record())
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Error(err)
	}
}
