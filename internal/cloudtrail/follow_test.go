package cloudtrail

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFollow(t *testing.T) {
	call := func(id, at, identity, more string) string {
		return fmt.Sprintf(`{"eventID":%q,"eventTime":%q,"eventSource":"s3.amazonaws.com","eventName":"PutObject","awsRegion":"eu-west-1","recipientAccountId":"444455556666","sourceIPAddress":"198.51.100.7",
 "userIdentity":{"type":"AssumedRole","accountId":"444455556666","accessKeyId":"ASIA1","sessionContext":{"sessionIssuer":{"arn":"%s"},"sourceIdentity":%q}}%s}`, id, at, deploy, identity, more)
	}
	dir := t.TempDir()
	write := func(name string, packed bool, text string) {
		var b bytes.Buffer
		b.WriteString(text)
		if packed {
			b.Reset()
			w := gzip.NewWriter(&b)
			_, _ = w.Write([]byte(text))
			w.Close()
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	resource := `,"resources":[{"ARN":"arn:aws:s3:::site/a","accountId":"444455556666"}],"errorCode":"AccessDenied"`
	write("b.json.gz", true, `{"Records":[`+call("2", "2026-01-10T11:00:00Z", "r-1.1", resource)+","+call("1", "2026-01-10T10:00:00Z", "r-1.1", "")+","+call("9", "2026-01-10T12:00:00Z", "r-11.1", "")+","+callersSide+`]}`)
	write("a.json", false, call("1", "2026-01-10T10:00:00Z", "r-1.1", "")+call("3", "2026-01-11T10:00:00Z", "r-1.2", `,"sharedEventID":"x"`)+call("4", "2026-01-11T10:00:00Z", "r-1.2", `,"sharedEventID":"x"`))
	write("broken.json", false, call("5", "2026-01-09T10:00:00Z", "r-1.1", "")+`{"eventID":`)
	wanted := func(identity string) bool { return strings.HasPrefix(identity, "r-1.") }
	got, err := Follow([]string{dir}, 100, wanted)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range got.Calls {
		ids = append(ids, c.ID)
	}
	if !slices.Equal(ids, []string{"5", "1", "2", "3"}) || got.Files != 3 || got.Events != 8 || len(got.Gaps) != 1 || got.Gaps[0].Event != 1 {
		t.Errorf("calls %v of %+v", ids, got)
	}
	if c := got.Calls[2]; c.AccessKeyID != "ASIA1" || c.Action != "s3:PutObject" || c.Resource != "arn:aws:s3:::site/a" || !c.Denied || c.Error != "AccessDenied" || c.Caller != deploy || c.Source != "198.51.100.7" || c.SourceIdentity != "r-1.1" {
		t.Errorf("%+v", c)
	}
	if got.First.Day() != 9 || got.Last.Day() != 11 || !slices.Equal(got.Accounts, []string{"111122223333", "444455556666"}) {
		t.Errorf("from %v to %v in %v", got.First, got.Last, got.Accounts)
	}
	// The session's beginning names it in the request.
	if got, err := Follow([]string{filepath.Join(dir, "b.json.gz")}, 100, func(s string) bool { return s == "ana" }); err != nil || len(got.Calls) != 1 || got.Calls[0].Resource != deploy {
		t.Errorf("%+v, error %v", got, err)
	}
	if _, err := Follow([]string{dir}, 3, wanted); !errors.Is(err, ErrTooMany) {
		t.Errorf("more than most: %v", err)
	}
	if _, err := Follow([]string{t.TempDir()}, 3, wanted); !errors.Is(err, ErrNoFiles) {
		t.Errorf("no files: %v", err)
	}
}
