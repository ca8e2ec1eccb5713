package ingest

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestConfigBeside: a bucket that CloudTrail writes to as well is read from wherever it is given, and the files of CloudTrail neither hide those of AWS Config nor make gaps.
func TestConfigBeside(t *testing.T) {
	const item = `{"configurationItems": [{"configurationItemVersion": "1.3", "configurationItemCaptureTime": "2026-11-01T00:00:00.000Z", "awsAccountId": "111122223333", "configurationItemStatus": "OK", "resourceType": "AWS::SQS::Queue", "resourceId": "q", "resourceName": "q", "ARN": "arn:aws:sqs:eu-west-1:111122223333:q", "awsRegion": "eu-west-1", "configuration": {"Policy": null}}]}`
	files := map[string]string{"AWSLogs/111122223333/Config/eu-west-1/a.json": item, "AWSLogs/111122223333/Config/eu-west-1/foreign.json": `{"x": 1}`}
	for i := range 30 {
		files[fmt.Sprintf("AWSLogs/000000000000/CloudTrail/%d.json", i)] = `{"Records": []}` // an account without AWS Config
		files[fmt.Sprintf("AWSLogs/111122223333/CloudTrail/%d.json", i)] = `{"Records": []}`
		files[fmt.Sprintf("AWSLogs/111122223333/CloudTrail-Digest/%d.json", i)] = `{"x": 1}`
		files[fmt.Sprintf("AWSLogs/111122223333/WAFLogs/%d.json", i)] = `{"x": 1}`
	}
	dir := write(t, files)
	for _, open := range []string{"", "AWSLogs", "AWSLogs/111122223333", "AWSLogs/111122223333/Config"} {
		s, err := Open(filepath.Join(dir, open))
		if err != nil || len(s.Resources) != 1 {
			t.Fatalf("%q: %+v, error %v", open, s, err)
		}
		var beside []string
		for _, g := range s.Gaps {
			if strings.Contains(g.Reason, "is no file of AWS Config") {
				beside = append(beside, g.Subject)
			}
		}
		if len(beside) != 1 || !strings.HasSuffix(beside[0], "foreign.json") {
			t.Errorf("%q: not read: %v", open, beside)
		}
	}
	// A folder that is no account's is never passed over by its name.
	s, err := Open(write(t, map[string]string{"Config/a.json": item, "CloudTrail/b.json": strings.ReplaceAll(item, `:q"`, `:r"`)}))
	if err != nil || len(s.Resources) != 2 {
		t.Errorf("folders of no account: %+v, error %v", s, err)
	}
}
