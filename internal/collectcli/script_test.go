package collectcli

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"drawbridge/internal/cli"
	"drawbridge/internal/cloudtrail/s3test"
)

func environment() *cli.Env {
	return &cli.Env{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Now: func() time.Time {
		if at, err := time.Parse(time.RFC3339, os.Getenv("TEST_NOW")); err == nil {
			return at
		}
		return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	}}
}

// accountFake is an account of its own, with one role; what else is asked for is denied.
func accountFake(w http.ResponseWriter, r *http.Request) {
	result := func(name, text string) {
		w.Header().Set("Content-Type", "text/xml")
		fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>", name, text)
	}
	switch name := r.FormValue("Action"); name {
	case "GetCallerIdentity":
		result(name, "<Account>444455556666</Account><Arn>arn:aws:iam::444455556666:user/x</Arn><UserId>x</UserId>")
	case "GetAccountAuthorizationDetails":
		result(name, "<UserDetailList/><GroupDetailList/><RoleDetailList><member><Path>/</Path><RoleName>canary</RoleName><RoleId>AROA</RoleId><Arn>arn:aws:iam::444455556666:role/canary</Arn><AssumeRolePolicyDocument>"+
			url.QueryEscape(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"777788889999"},"Action":"sts:AssumeRole"}]}`)+"</AssumeRolePolicyDocument></member></RoleDetailList><Policies/><IsTruncated>false</IsTruncated>")
	default:
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>denied</Message></Error></ErrorResponse>")
	}
}

// TestMain makes both programs callable from the transcripts: the one finds the other on PATH.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"drawbridge":         func() { os.Exit(cli.Run(environment(), os.Args[1:])) },
		"drawbridge-collect": func() { os.Exit(Run(environment(), os.Args[1:])) },
	})
}

// TestScript runs the transcripts against an S3 in memory, which holds the files of testdata as a trail does, and an Athena that knows one answer.
func TestScript(t *testing.T) {
	server := s3test.New()
	t.Cleanup(server.Close) // the transcripts run when this function has returned
	event := func(id, account, rest string) string {
		return `{"eventID":"` + id + `","eventTime":"2026-01-10T10:00:00Z","eventSource":"sts.amazonaws.com","eventName":"AssumeRole","awsRegion":"eu-west-1","recipientAccountId":"` + account + `","sharedEventID":"s",` + rest +
			`,"requestParameters":{"roleArn":"arn:aws:iam::444455556666:role/deploy"}}`
	}
	caller := event("a", "111122223333", `"userIdentity":{"type":"AssumedRole","accountId":"111122223333","sessionContext":{"sessionIssuer":{"arn":"arn:aws:iam::111122223333:role/ci"}}}`)
	target := event("b", "444455556666", `"userIdentity":{"type":"AWSAccount","accountId":"111122223333"}`)
	put := func(account, day, name, text string) {
		server.Put("trail", "AWSLogs/o-abcdefghij/"+account+"/CloudTrail/eu-west-1/"+day+"/"+name, []byte(text))
	}
	put("111122223333", "2026/01/10", "a.json", `{"Records":[`+caller+`]}`)
	put("444455556666", "2026/01/10", "b.json", `{"Records":[`+target+`]}`)
	put("444455556666", "2026/01/11", "refused.json", `{"Records":[]}`)
	put("444455556666", "2026/01/12", "broken.json", `{"Records":[`+strings.NewReplacer(`"s"`, `"s2"`, `"b"`, `"c"`).Replace(target)+`,{"eventID`)
	server.Fault = func(w http.ResponseWriter, r *http.Request) bool {
		switch {
		case strings.HasPrefix(r.Header.Get("X-Amz-Target"), "AmazonAthena."):
			athenaFake(t, w, r)
		case strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
			accountFake(w, r)
		case r.Header.Get("X-Amz-Target") != "":
			s3test.Refuse(w, http.StatusForbidden, "AccessDeniedException")
		case strings.Contains(r.URL.Path, "refused.json"), strings.HasPrefix(r.URL.Path, "/closed"):
			s3test.Refuse(w, http.StatusForbidden, "AccessDenied")
		default:
			return false
		}
		return true
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/script", RequireExplicitExec: true, UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "", Setup: func(e *testscript.Env) error {
		e.Setenv("AWS_ENDPOINT_URL", server.URL)
		alone := filepath.Join(e.WorkDir, "alone", "drawbridge") // without the other one beside it
		program, err := exec.LookPath("drawbridge")
		if err != nil {
			return err
		}
		text, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(alone), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(alone, text, 0o755); err != nil {
			return err
		}
		e.Setenv("PROGRAM", alone)
		e.Setenv("AWS_REGION", "eu-west-1")
		e.Setenv("AWS_ACCESS_KEY_ID", "x")
		e.Setenv("AWS_SECRET_ACCESS_KEY", "y")
		e.Setenv("AWS_EC2_METADATA_DISABLED", "true")
		return nil
	}})
}
