package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"golang.org/x/mod/sumdb/note"

	"drawbridge/internal/audit"
	"drawbridge/internal/broker"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
	"drawbridge/internal/sqlstore"
)

// playBroker writes what a broker would have left behind, for the transcripts: audit.jsonl; store.db with its checkpoint; audit.key and audit.key.pub; checkpoint-4.txt, checkpoint-12.txt; and of another log by the same
// key fork.jsonl and fork-12.txt. The same bytes each time.
func playBroker() error {
	private, public, err := audit.NewKey(bytes.NewReader(bytes.Repeat([]byte("drawbridge"), 10)), "broker.example/audit")
	if err != nil {
		return err
	}
	signer, _, err := audit.ParseKey(private)
	if err != nil {
		return err
	}
	files := map[string][]byte{"audit.key": []byte(private.Reveal() + "\n"), "audit.key.pub": []byte(public + "\n")}
	list, err := brokerRecords("user:ann")
	if err != nil {
		return err
	}
	fork, err := brokerRecords("user:eve")
	if err != nil {
		return err
	}
	for name, records := range map[string][]audit.Record{"audit.jsonl": list, "fork.jsonl": fork} {
		var out bytes.Buffer
		for i := range records {
			line, err := records[i].Line()
			if err != nil {
				return err
			}
			out.Write(append(line, '\n'))
		}
		files[name] = out.Bytes()
	}
	for name, c := range map[string]struct {
		records []audit.Record
		size    int
	}{"checkpoint-4.txt": {list, 4}, "checkpoint-12.txt": {list, 12}, "fork-12.txt": {fork, 12}} {
		if files[name], err = signedOf(c.records[:c.size], signer); err != nil {
			return err
		}
	}
	for name, text := range files {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			return err
		}
	}
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, "sqlite:store.db")
	if err != nil {
		return err
	}
	for i := range list {
		r := &list[i]
		if err := s.Record(ctx, r.Time, r.Actor, r.About, recorded{r.Kind, r.Body}); err != nil {
			return err
		}
	}
	err = s.KeepCheckpoint(ctx, 12, list[11].Time, func(*sqlstore.Checkpoint, audit.Hash) ([]byte, error) { return files["checkpoint-12.txt"], nil })
	return errors.Join(err, s.Close())
}

func signedOf(list []audit.Record, signer note.Signer) ([]byte, error) {
	var tree audit.Tree
	for i := range list {
		if err := tree.Grow(&list[i]); err != nil {
			return nil, err
		}
	}
	c := audit.Checkpoint{Origin: signer.Name(), Size: int64(len(list)), Last: list[len(list)-1].Hash}
	var err error
	if c.Root, err = tree.Root(c.Size); err != nil {
		return nil, err
	}
	return c.Sign(signer)
}

type recorded struct {
	kind string
	body []byte
}

func (r recorded) Kind() string                 { return r.kind }
func (r recorded) MarshalJSON() ([]byte, error) { return r.body, nil }

// brokerRecords are those of a release: asked for, approved by one person, used, taken back; and of an agent that was refused.
func brokerRecords(approver string) ([]audit.Record, error) {
	const target = "arn:aws:iam::444455556666:role/deploy"
	at := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	subject := broker.Subject{ID: "oidc:github:412:production", Name: "oidc:token.actions.githubusercontent.com:repo:acme/shop:environment:production", Issuer: "https://token.actions.githubusercontent.com"}
	request := broker.Request{ID: "r-7k2m9", Subject: subject, Ask: broker.Ask{Entry: "shop-release", Target: target, Reason: "release 7.2", Ticket: "OPS-118"}, Filed: at}
	terms := broker.Terms{Entry: "shop-release", Version: "3f9a", Actions: []string{"s3:PutObject", "cloudfront:CreateInvalidation"}, Resources: []string{"*"}, Life: 8 * time.Hour, Session: time.Hour, Approvals: 1}
	agent := broker.Request{ID: "r-agent", Subject: broker.Subject{ID: "oidc:agent"}, Ask: broker.Ask{Entry: "shop-release", Target: target, Reason: "tidying up"}, Filed: at}
	steps := []struct {
		after time.Duration
		actor string
		about string
		event audit.Event
	}{
		{0, subject.ID, request.ID, broker.RequestFiled{Request: request, Hash: request.Hash(), Terms: terms, Until: at.Add(24 * time.Hour)}},
		{12 * time.Minute, approver, request.ID, broker.RequestDecided{Decision: broker.Decision{By: approver, Approve: true, Hash: request.Hash(), At: at.Add(12 * time.Minute), Reason: "checked the diff", As: "group:release-managers"}}},
		{12 * time.Minute, broker.Clock, request.ID, broker.RequestApproved{Hash: request.Hash(), Entry: "shop-release", EntryVersion: "3f9a"}},
		{12 * time.Minute, broker.Clock, request.ID, broker.GrantMoved{Why: "its start has come", State: "active"}},
		{13 * time.Minute, subject.ID, request.ID, broker.SessionIntended{Session: broker.Session{ID: "s-1", Generation: 1, Intended: at.Add(13 * time.Minute), NotAfter: at.Add(73 * time.Minute), Name: "drawbridge-r-7k2m9"}}},
		{13*time.Minute + time.Second, broker.Clock, request.ID, broker.SessionIssued{Session: "s-1", AccessKeyID: "ASIAEXAMPLESESSION01", NotAfter: at.Add(73 * time.Minute)}},
		{20 * time.Minute, "oidc:agent", agent.ID, broker.RequestRefused{Request: agent, Why: "no registered trust lets this caller reach this target", Detail: "the entry shop-release is not for oidc:agent"}},
		{25 * time.Minute, subject.ID, request.ID, broker.SessionIntended{Session: broker.Session{ID: "s-2", Generation: 1, Intended: at.Add(25 * time.Minute), NotAfter: at.Add(85 * time.Minute), Name: "drawbridge-r-7k2m9"}}},
		{25*time.Minute + time.Second, broker.Clock, request.ID, broker.SessionFailed{Session: "s-2", Why: "AWS is throttling"}},
		{40 * time.Minute, "user:bob", request.ID, broker.GrantRevoked{Why: "the release is out", Sessions: []string{"s-1"}}},
		{40*time.Minute + 3*time.Second, broker.Clock, request.ID, broker.EffectDone{Effect: "r-7k2m9-0", Written: at.Add(40*time.Minute + 3*time.Second), EffectiveBy: at.Add(45*time.Minute + 3*time.Second)}},
		{50 * time.Minute, "user:bob", "l-1", broker.Locked{Lock: broker.Lock{ID: "l-1", Kind: broker.LockSubject, Value: "oidc:agent", Reason: "asks for what it has no business with", By: "user:bob", At: at.Add(50 * time.Minute)}}},
		{74 * time.Minute, broker.Clock, request.ID, broker.GrantMoved{Why: "every session is shown to be cut or over", State: "revoked"}},
		{80 * time.Minute, "user:auditor", "audit", broker.AuditRead{From: 0, Most: 100}},
	}
	var head audit.Head
	var list []audit.Record
	for _, s := range steps {
		r, next, err := audit.Append(head, at.Add(s.after), s.actor, s.about, s.event)
		if err != nil {
			return nil, err
		}
		list, head = append(list, r), next
	}
	return list, nil
}

// TestServedLog: a log is read from a daemon page by page, as it was when reading began.
func TestServedLog(t *testing.T) {
	list, err := brokerRecords("user:ann")
	if err != nil {
		t.Fatal(err)
	}
	var head = audit.Head{Size: int64(len(list)), Hash: list[len(list)-1].Hash}
	for range 1500 { // more than a page
		r, next, err := audit.Append(head, list[0].Time, "user:ann", "audit", broker.AuditRead{Most: 1})
		if err != nil {
			t.Fatal(err)
		}
		list, head = append(list, r), next
	}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/v1/audit" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		asked++
		// Reading is recorded.
		next, after, err := audit.Append(head, list[0].Time, "user:auditor", "audit", broker.AuditRead{Most: 1000})
		if err != nil {
			t.Error(err)
		}
		list, head = append(list, next), after
		var from, most int
		if _, err := fmt.Sscanf(r.URL.RawQuery, "from=%d&most=%d", &from, &most); err != nil {
			t.Error(err)
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"records": list[from:min(from+most, len(list))], "size": len(list)})
	}))
	defer server.Close()
	run := func(token string, args ...string) (string, string, int) {
		var out, errs bytes.Buffer
		status := Run(&Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Now: time.Now, Getenv: func(name string) string {
			return map[string]string{"DRAWBRIDGE_TOKEN": token}[name]
		}}, args)
		return out.String(), errs.String(), status
	}
	out, errs, status := run("token", "audit", "export", server.URL)
	if lines := strings.Count(out, "\n"); status != 0 || lines != 14+1500+1 || asked != 2 {
		t.Errorf("status %d, %d lines, asked %d times: %s", status, lines, asked, errs)
	}
	for n, line := range slices.Collect(strings.Lines(out)) {
		if r, err := audit.ParseLine([]byte(strings.TrimSuffix(line, "\n"))); err != nil || r.Seq != int64(n) {
			t.Fatalf("line %d: %v", n, err)
		}
	}
	if out, errs, status := run("token", "audit", "verify", "--chain", server.URL); status != 0 || !strings.Contains(out, "The log holds") {
		t.Errorf("verify: %d %s %s", status, out, errs)
	}
	if _, errs, status := run("other", "audit", "export", server.URL); status != codeUsage || !strings.Contains(errs, "does not know who you are") {
		t.Errorf("another token: %d %s", status, errs)
	}
	if _, errs, status := run("token", "audit", "export", "http://broker.example"); status != codeUsage || !strings.Contains(errs, "in the clear") {
		t.Errorf("in the clear: %d %s", status, errs)
	}
}

// TestAuditOfADaemon: what a running daemon signs is what its log is held against, over its API and offline.
func TestAuditOfADaemon(t *testing.T) {
	dir := t.TempDir()
	key, checkpoint, export := filepath.Join(dir, "audit.key"), filepath.Join(dir, "checkpoint.txt"), filepath.Join(dir, "audit.jsonl")
	run := func(vars map[string]string, status int, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		e := &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(name string) string { return vars[name] }, Now: time.Now}
		if got := Run(e, args); got != status {
			t.Fatalf("drawbridge %s: status %d, want %d\n%s%s", strings.Join(args, " "), got, status, &out, &errs)
		}
		return out.String()
	}
	run(nil, 0, "audit", "key", "--name", "broker.example/audit", "-o", key)
	d := daemontest.Start(t, "", func(c *daemon.Config) {
		c.Audit.Key, c.Audit.Checkpoint, c.Audit.Every = key, checkpoint, 10*time.Millisecond
	})
	vars := map[string]string{"DRAWBRIDGE_TOKEN": d.Token, "DRAWBRIDGE_URL": d.URL, "XDG_CACHE_HOME": dir}
	run(vars, 1, "request", "nothing", "--reason", "x") // is refused, and recorded
	for {                                               // until it is signed
		if _, err := os.Stat(checkpoint); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	kept, err := os.ReadFile(checkpoint)
	if err == nil {
		checkpoint = filepath.Join(dir, "kept.txt")
		err = os.WriteFile(checkpoint, kept, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run(vars, 0, "audit", "export", d.URL, "-o", export)
	if out := run(nil, 0, "audit", "verify", export, "--key", key+".pub", "--checkpoint", checkpoint); !strings.Contains(out, "It extends "+checkpoint) {
		t.Errorf("offline: %s", out)
	}
	if out := run(vars, 0, "audit", "verify", d.URL, "--key", key+".pub", "--checkpoint", checkpoint); !strings.Contains(out, "The log holds") || !strings.Contains(out, "the daemon's checkpoint") {
		t.Errorf("by the daemon: %s", out)
	}
	if out := run(vars, 0, "audit", "export", d.URL, "--format", "ocsf"); !strings.Contains(out, `"class_name":"Entity Management"`) || strings.Contains(out, daemontest.Canary) {
		t.Errorf("as OCSF: %s", out)
	}
}

// TestAuditSchemas: lines of an export and proofs are what the published schemas say.
func TestAuditSchemas(t *testing.T) {
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	schemas := make(map[string]*jsonschema.Schema)
	c := jsonschema.NewCompiler()
	for _, name := range []string{"audit-record", "audit-proof"} {
		f, err := os.Open(filepath.Join(docs, "schema", name+".schema.json"))
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(f)
		f.Close()
		if err == nil {
			err = c.AddResource("urn:drawbridge:schema:"+name+":1", doc)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"audit-record", "audit-proof"} {
		s, err := c.Compile("urn:drawbridge:schema:" + name + ":1")
		if err != nil {
			t.Fatal(err)
		}
		schemas[name] = s
	}
	if err := playBroker(); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		var out, errs bytes.Buffer
		if status := Run(&Env{Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Now: time.Now}, args); status != 0 {
			t.Fatalf("status %d: %s", status, &errs)
		}
		return out.String()
	}
	validate := func(name, text string) {
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = schemas[name].Validate(doc)
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	for line := range strings.Lines(run("audit", "export", "audit.jsonl")) {
		validate("audit-record", line)
	}
	for _, seq := range []string{"0", "3", "11"} {
		validate("audit-proof", run("audit", "prove", seq, "audit.jsonl", "--key", "audit.key.pub", "--checkpoint", "checkpoint-12.txt"))
	}
	if schemas["audit-proof"].Validate(map[string]any{"size": 1}) == nil {
		t.Error("the schema lets everything through")
	}
}
