package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"drawbridge/internal/cloudtrail/s3test"
)

func client(server *s3test.Server) *s3.Client {
	return s3.New(s3.Options{Region: "eu-west-1", BaseEndpoint: &server.URL, UsePathStyle: true, Credentials: credentials.NewStaticCredentialsProvider("x", "y", ""),
		Retryer: aws.NopRetryer{}})
}

// filled is a bucket of an organisation's trail: 3 accounts, 2 regions, 40 days, and what else lies there.
func filled(t *testing.T) *s3test.Server {
	t.Helper()
	server := s3test.New()
	t.Cleanup(server.Close)
	server.Page = 7
	for _, account := range []string{"111111111111", "222222222222", "333333333333"} {
		for _, region := range []string{"eu-west-1", "us-east-1"} {
			for d := range 40 {
				day := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, d).Format(dayForm)
				key := fmt.Sprintf("trails/AWSLogs/o-abcdefghij/%s/CloudTrail/%s/%s/%s_CloudTrail_%s_x.json.gz", account, region, day, account, region)
				server.Put("logs", key, []byte(key))
				server.Put("logs", strings.ReplaceAll(key, "/CloudTrail/", "/CloudTrail-Digest/"), nil)
			}
		}
	}
	server.Put("logs", "trails/AWSLogs/o-abcdefghij/111111111111/Config/eu-west-1/2026/1/1/x.json.gz", nil)
	server.Put("logs", "trails/AWSLogs/o-abcdefghij/111111111111/CloudTrail/eu-west-1/2026/01/05/readme.txt", nil)
	server.Put("logs", "other/a b+ä.json", nil)
	return server
}

// slow is what is asked for, told by looking at every key.
func slow(server *s3test.Server, tr Trail) []string {
	var out []string
	all, _, _ := List(context.Background(), client(server), Trail{Bucket: tr.Bucket, Prefix: tr.Prefix}, 1)
	for _, o := range all {
		if p, ok := placeOf(o.Key); ok && tr.wants(p) {
			out = append(out, o.Key)
		}
	}
	return out
}

func TestList(t *testing.T) {
	server := filled(t)
	day := func(text string) time.Time {
		d, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	for name, c := range map[string]struct {
		trail         Trail
		objects, most int // and at most so many requests
	}{
		"all":            {Trail{Prefix: "trails/"}, 240, 100},
		"account":        {Trail{Prefix: "trails", Accounts: []string{"222222222222"}}, 80, 30},
		"region":         {Trail{Prefix: "trails", Regions: []string{"us-east-1"}}, 120, 40},
		"days":           {Trail{Prefix: "trails", From: day("2026-01-30"), To: day("2026-02-01")}, 3 * 2 * 3, 90},
		"from":           {Trail{Prefix: "trails", From: day("2026-02-08")}, 3 * 2 * 2, 60},
		"one of all":     {Trail{Prefix: "trails/AWSLogs/", Accounts: []string{"111111111111"}, Regions: []string{"eu-west-1"}, From: day("2026-01-03"), To: day("2026-01-03")}, 1, 14},
		"deep":           {Trail{Prefix: "trails/AWSLogs/o-abcdefghij/111111111111/CloudTrail/eu-west-1/2026/01/", From: day("2026-01-03"), To: day("2026-01-03")}, 1, 7},
		"one account's":  {Trail{Prefix: "trails/AWSLogs/o-abcdefghij/111111111111/", To: day("2026-01-02")}, 2 * 2, 30},
		"one object":     {Trail{Prefix: "other/a b+ä.json"}, 1, 1},
		"nothing":        {Trail{Prefix: "nowhere"}, 0, 1},
		"not of a trail": {Trail{Prefix: "other", Accounts: []string{"111111111111"}}, 1, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c.trail.Bucket = "logs"
			before := len(server.Requests())
			objects, gaps, err := List(context.Background(), client(server), c.trail, 4)
			if err != nil || len(gaps) > 0 {
				t.Fatalf("%v, gaps %v", err, gaps)
			}
			asked := len(server.Requests()) - before
			if len(objects) != c.objects || asked > c.most {
				t.Errorf("%d objects by %d requests, expected %d by %d at most", len(objects), asked, c.objects, c.most)
			}
			var keys []string
			for _, o := range objects {
				keys = append(keys, o.Key)
			}
			if want := slow(server, c.trail); c.trail.Prefix != "other" && name != "one object" && !slices.Equal(keys, want) {
				t.Errorf("listed %d keys, expected %d: %.200v", len(keys), len(want), keys)
			}
			t.Logf("%d objects by %d requests", len(objects), asked)
		})
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	server := filled(t)
	var short atomic.Int64
	server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		switch q := r.URL.Query().Get("prefix"); {
		case strings.Contains(q, "/222222222222/CloudTrail/"), strings.Contains(r.URL.Path, "/333333333333/") && strings.Contains(r.URL.Path, "us-east-1"):
			s3test.Refuse(w, http.StatusForbidden, "AccessDenied")
		case strings.Contains(r.URL.Path, "/us-east-1/2026/01/03/") && strings.Contains(r.URL.Path, "111111111111"):
			w.Header().Set("Content-Length", "1000") // and the connection ends
			w.Write([]byte("begin"))
		case strings.Contains(r.URL.Path, "/eu-west-1/2026/01/03/") && strings.Contains(r.URL.Path, "111111111111") && short.Add(1) < 3:
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("begin"))
		case strings.Contains(r.URL.Path, "333333333333") && strings.Contains(r.URL.Path, "/01/03/"):
			s3test.Refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		default:
			return false
		}
		return true
	}
	day := time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)
	c := client(server)
	objects, gaps, err := List(context.Background(), c, Trail{Bucket: "logs", Prefix: "trails", From: day, To: day}, 3)
	if err != nil || len(objects) != 4 || len(gaps) != 1 || gaps[0].Name != "s3://logs/trails/AWSLogs/o-abcdefghij/222222222222/CloudTrail/" || !strings.Contains(gaps[0].Reason, "AccessDenied") {
		t.Fatalf("%d objects, gaps %v, %v", len(objects), gaps, err)
	}
	var got []string
	gaps, err = Each(context.Background(), c, objects, 3, func(o *Object, in io.ReadSeeker) error {
		text, err := io.ReadAll(in)
		if err != nil || string(text) != o.Key {
			t.Errorf("%s holds %q, %v", o.Key, text, err)
		}
		got = append(got, o.Key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Of 111111111111 the region whose bytes come the third time.
	if len(got) != 1 || len(gaps) != 3 {
		t.Errorf("read %v, gaps %v", got, gaps)
	}
	if objects[0].Digest() == objects[1].Digest() || len(objects[0].Digest()) != 64 {
		t.Error("digests do not tell objects from each other")
	}
	server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		s3test.Refuse(w, http.StatusForbidden, "AccessDenied")
		return true
	}
	if _, _, err := List(context.Background(), c, Trail{Bucket: "logs"}, 1); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("a bucket that cannot be listed: %v", err)
	}
}

func TestLargeObjectsAndTheEnd(t *testing.T) {
	server := s3test.New()
	defer server.Close()
	large := bytes.Repeat([]byte("0123456789abcdef"), held/16+100)
	server.Put("logs", "large.json", large)
	server.Put("logs", "small.json", []byte("{}"))
	c := client(server)
	objects, _, err := List(context.Background(), c, Trail{Bucket: "logs"}, 1)
	if err != nil || len(objects) != 2 {
		t.Fatalf("%v %v", objects, err)
	}
	gaps, err := Each(context.Background(), c, objects, 2, func(o *Object, in io.ReadSeeker) error {
		text, err := io.ReadAll(in)
		if err != nil || int64(len(text)) != o.Size {
			t.Errorf("%s: %d bytes, %v", o.Key, len(text), err)
		}
		return nil
	})
	if err != nil || len(gaps) > 0 {
		t.Errorf("%v %v", gaps, err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Each(ctx, c, objects, 1, func(*Object, io.ReadSeeker) error { return nil }); err == nil {
		t.Error("an ended context is no error")
	}
	if _, _, err := List(ctx, c, Trail{Bucket: "logs"}, 1); err == nil {
		t.Error("an ended context is no error of a listing")
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{"s3://b": "b ", "s3://b/p/q": "b p/q", "s3:///p": "", "https://b": "", "s3://b?x": ""} {
		tr, err := Parse(text)
		if got := tr.Bucket + " " + tr.Prefix; err == nil && got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}
