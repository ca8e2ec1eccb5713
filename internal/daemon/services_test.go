package daemon_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"drawbridge/internal/api/client"
	"drawbridge/internal/api/wire"
	"drawbridge/internal/broker"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

const forService = `
apiVersion: drawbridge/v1
kind: Trust
metadata: {name: backup, owner: ann@example.com}
spec:
  purpose: backup
  category: third-party
  from: {principals: ["broker:acme-backup"]}
  to: {role: arn:aws:iam::222222222222:role/backup}
  allow: {actions: [s3:GetObject], resources: ["arn:aws:s3:::artifacts/*"]}
  session: {max: 1h}
  approval: {required: 1, approvers: ["group:release"]}
  expires: EXPIRES
`

// sealed gives a daemon a key to seal under.
func sealed(t *testing.T, fill byte) func(*daemon.Config) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "seal.key")
	if err := os.WriteFile(name, []byte(base64.StdEncoding.EncodeToString(slices.Repeat([]byte{fill}, 32))+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *daemon.Config) { c.Keys.Seal = append(c.Keys.Seal, name) }
}

func startWithServices(t *testing.T) (d *daemontest.Daemon, store string, as func(person string, groups ...string) *client.Client) {
	p := daemontest.NewProvider(t)
	d = daemontest.Start(t, strings.ReplaceAll(forService, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), sealed(t, 7), func(c *daemon.Config) {
		c.People.Issuer, c.People.Client = p.URL, "drawbridge"
		c.URL = "http://" + c.Listen
		c.Issuer.Keys = nil
		store = c.Store.Reveal()
		c.Roles = map[broker.Role][]string{"administrator": {"platform"}, "approver": {"release"}, "responder": {"security"}}
	})
	return d, store, func(person string, groups ...string) *client.Client {
		p.Be(person, groups...)
		b := newBrowser(t, d.URL)
		if status, text, _ := b.get("/sign-in"); status != http.StatusOK {
			t.Fatalf("signing in: %d %s", status, text)
		}
		return &client.Client{URL: d.URL, Token: client.Static(b.commandLine())}
	}
}

// stsWith is an unmodified client of STS, whose endpoint is the daemon.
func stsWith(d *daemontest.Daemon, k *wire.NewKey) *sts.Client {
	return sts.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: aws.String(d.URL), Credentials: credentials.NewStaticCredentialsProvider(k.AccessKeyID, k.SecretAccessKey, "")})
}

func assume(ctx context.Context, c *sts.Client) (*sts.AssumeRoleOutput, error) {
	return c.AssumeRole(ctx, &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/backup"), RoleSessionName: aws.String("nightly")})
}

func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// TestKeys is a machine that signs with keys of the broker's own: an administrator registers it, its sponsor makes the keys, somebody else approves; keys are rotated, locked and revoked, and end with the service.
func TestKeys(t *testing.T) {
	d, store, as := startWithServices(t)
	ctx := t.Context()
	admin, ann, bo, eve := as("adm@example.com", "platform"), as("ann@example.com", "release"), as("bo@example.com", "release"), as("eve@example.com")
	security := as("sec@example.com", "security")
	until := time.Now().AddDate(0, 6, 0)
	is := func(what string, err error, status int) {
		t.Helper()
		var e *client.Error
		if !errors.As(err, &e) || e.Status != status {
			t.Errorf("%s: %v, want status %d", what, err, status)
		}
	}
	register := func(c *client.Client, sponsor string) error {
		_, err := c.RegisterService(ctx, wire.RegisterService{Name: "acme-backup", Sponsors: []string{sponsor}, Until: until})
		return err
	}
	is("one who is no administrator", register(ann, "bo@example.com"), http.StatusForbidden)
	is("one's own sponsor", register(admin, "adm@example.com"), http.StatusUnprocessableEntity)
	if err := register(admin, "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	is("twice", register(admin, "ann@example.com"), http.StatusConflict)
	_, err := admin.MakeKey(ctx, "acme-backup", wire.MakeKey{})
	is("a key for the administrator", err, http.StatusForbidden)
	_, err = eve.MakeKey(ctx, "acme-backup", wire.MakeKey{})
	is("a key for anybody", err, http.StatusNotFound)
	_, err = ann.MakeKey(ctx, "acme-backup", wire.MakeKey{Life: "8760h"})
	is("a key for a year", err, http.StatusUnprocessableEntity)
	key, err := ann.MakeKey(ctx, "acme-backup", wire.MakeKey{Life: "240h"})
	if err != nil {
		t.Fatal(err)
	}
	if list, err := eve.Services(ctx); err != nil || len(list) != 0 {
		t.Errorf("anybody sees %+v, error %v", list, err)
	}

	// It crosses as AWS's clients do; the sponsor does not approve for it, another does.
	machine := stsWith(d, key)
	who, err := machine.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil || *who.Arn != "broker:acme-backup" || !strings.HasPrefix(*who.UserId, "broker:acme-backup:") {
		t.Fatalf("who it is: %+v, error %v", who, err)
	}
	_, err = assume(ctx, machine)
	if code(err) != "AccessDenied" {
		t.Fatalf("before approval: %v", err)
	}
	waiting, err := bo.Requests(ctx, nil)
	if err != nil || len(waiting) != 1 || waiting[0].Subject != *who.UserId || !strings.Contains(refusal(t, machine), waiting[0].ID) {
		t.Fatalf("what waits: %+v, error %v", waiting, err)
	}
	yes := wire.Decide{Approve: true, Hash: waiting[0].Hash}
	_, err = ann.Decide(ctx, waiting[0].ID, yes)
	is("its sponsor approves", err, http.StatusForbidden)
	if _, err := bo.Decide(ctx, waiting[0].ID, yes); err != nil {
		t.Fatal(err)
	}
	got, err := assume(ctx, machine)
	if err != nil || *got.Credentials.SecretAccessKey != daemontest.Canary+"secret" {
		t.Fatalf("after approval: %+v, error %v", got, err)
	}

	// Rotated: the second key is the same subject, and crosses by the same request. A third is not made.
	next, err := ann.MakeKey(ctx, "acme-backup", wire.MakeKey{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ann.MakeKey(ctx, "acme-backup", wire.MakeKey{})
	is("a third key", err, http.StatusConflict)
	asked := len(d.Asked())
	if _, err := assume(ctx, stsWith(d, next)); err != nil || len(d.Asked()) != asked {
		t.Errorf("the next key: error %v, and AWS was asked %d times more", err, len(d.Asked())-asked)
	}
	list, err := ann.Services(ctx)
	if err != nil || len(list) != 1 || len(list[0].Keys) != 2 || list[0].Keys[0].Used == nil {
		t.Errorf("listed %+v, error %v", list, err)
	}

	// Wrong secrets, other keys' ids and session tokens prove nobody.
	for what, k := range map[string]*wire.NewKey{"another's secret": {AccessKeyID: key.AccessKeyID, SecretAccessKey: next.SecretAccessKey}, "a key of AWS": {AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKey: key.SecretAccessKey}, "nobody's": {AccessKeyID: "DBRKAAAAAAAAAAAAAAAA", SecretAccessKey: key.SecretAccessKey}} {
		if _, err := assume(ctx, stsWith(d, k)); code(err) != "SignatureDoesNotMatch" && code(err) != "InvalidClientTokenId" {
			t.Errorf("%s: %v", what, err)
		}
	}
	with := sts.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: aws.String(d.URL), Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "x")})
	if _, err := assume(ctx, with); code(err) != "InvalidClientTokenId" {
		t.Errorf("with a session token: %v", err)
	}

	// A lock on one key stops it, and not the other; what was asked for with it is suspended.
	locked, err := security.Lock(ctx, wire.SetLock{Kind: "key", Value: key.AccessKeyID, Reason: "found in a log"})
	if err != nil || len(locked.Suspended) != 1 {
		t.Fatalf("locked: %+v, error %v", locked, err)
	}
	if _, err := assume(ctx, machine); code(err) != "AccessDenied" {
		t.Errorf("a locked key: %v", err)
	}
	if _, err := security.RevokeKey(ctx, "acme-backup", key.AccessKeyID, "found in a log"); err != nil {
		t.Fatal(err)
	}
	if _, err := assume(ctx, machine); code(err) != "InvalidClientTokenId" {
		t.Errorf("a revoked key: %v", err)
	}
	again, err := bo.Request(ctx, waiting[0].ID)
	if err != nil || again.State != "suspended" {
		t.Fatalf("its request: %+v, error %v", again, err)
	}
	if _, err := bo.Decide(ctx, again.ID, wire.Decide{Approve: true, Hash: again.Hash}); err != nil {
		t.Fatal(err)
	}
	if _, err := assume(ctx, stsWith(d, next)); err != nil {
		t.Errorf("the other key: %v", err)
	}

	// The end of the service is the end of what it may do, and one of the same name is another.
	ended, err := ann.EndService(ctx, "acme-backup", "the contract is over")
	if err != nil || !slices.Equal(ended.Revoked, []string{again.ID}) {
		t.Errorf("ended: %+v, error %v", ended, err)
	}
	if _, err := assume(ctx, stsWith(d, next)); code(err) != "InvalidClientTokenId" {
		t.Errorf("a key of a service that was ended: %v", err)
	}
	if err := register(admin, "bo@example.com"); err != nil {
		t.Fatal(err)
	}
	fresh, err := bo.MakeKey(ctx, "acme-backup", wire.MakeKey{})
	if err != nil {
		t.Fatal(err)
	}
	if other, err := stsWith(d, fresh).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{}); err != nil || *other.UserId == *who.UserId {
		t.Errorf("registered again it is %+v, error %v", other, err)
	}
	// No secret is in the store, its log or the records.
	files, err := filepath.Glob(strings.TrimPrefix(store, "sqlite:") + "*")
	if err != nil || len(files) == 0 {
		t.Fatalf("the store: %v, error %v", files, err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []*wire.NewKey{key, next, fresh} {
			if bytes.Contains(text, []byte(k.SecretAccessKey)) || bytes.Contains(text, []byte(strings.TrimPrefix(k.SecretAccessKey, "dbs_"))) {
				t.Errorf("%s holds a secret", filepath.Base(name))
			}
		}
		if filepath.Ext(name) == ".db-wal" && !bytes.Contains(text, []byte(key.AccessKeyID)) {
			t.Error("the test looks at the wrong file: not even the key's id is there")
		}
	}
}

// refusal is what a client is told when it asks for the role.
func refusal(t *testing.T, c *sts.Client) string {
	t.Helper()
	_, err := assume(t.Context(), c)
	var e smithy.APIError
	if !errors.As(err, &e) {
		t.Fatalf("it was not refused: %v", err)
	}
	return e.ErrorMessage()
}

// TestKeysNeedASeal: without a key to seal under the broker gives out none and says so; under another one what is kept proves nobody.
func TestKeysNeedASeal(t *testing.T) {
	d := daemontest.Start(t, strings.ReplaceAll(forService, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)))
	c := &client.Client{URL: d.URL, Token: client.Static(d.Token)}
	if _, err := c.RegisterService(t.Context(), wire.RegisterService{Name: "x", Sponsors: []string{"local"}, Until: time.Now().AddDate(0, 1, 0)}); err == nil || !strings.Contains(err.Error(), "keys.seal") {
		t.Errorf("without a seal: %v", err)
	}

	dir := t.TempDir()
	start := func(seals ...func(*daemon.Config)) (*daemontest.Daemon, *client.Client) {
		d := daemontest.Start(t, strings.ReplaceAll(forService, "EXPIRES", time.Now().AddDate(1, 0, 0).Format(time.DateOnly)), append(seals, func(c *daemon.Config) { c.Store = daemon.SecretOf("sqlite:" + filepath.Join(dir, "x.db")) })...)
		return d, &client.Client{URL: d.URL, Token: client.Static(d.Token)}
	}
	old := sealed(t, 1)
	_, c = start(old)
	if _, err := c.RegisterService(t.Context(), wire.RegisterService{Name: "acme-backup", Sponsors: []string{"local"}, Until: time.Now().AddDate(0, 1, 0)}); err != nil {
		t.Fatal(err)
	}
	key, err := c.MakeKey(t.Context(), "acme-backup", wire.MakeKey{})
	if err != nil {
		t.Fatal(err)
	}
	who := func(d *daemontest.Daemon) error {
		_, err := sts.NewFromConfig(aws.Config{Region: "eu-central-1", BaseEndpoint: aws.String(d.URL), RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")}).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		return err
	}
	// Another daemon on the same store takes it, with a new key to seal under too, as long as it has the old one.
	for what, tt := range map[string]struct {
		seals []func(*daemon.Config)
		want  string
	}{
		"the same":      {[]func(*daemon.Config){old}, ""},
		"a new one":     {[]func(*daemon.Config){sealed(t, 2), old}, ""},
		"another":       {[]func(*daemon.Config){sealed(t, 2)}, "InternalFailure"},
		"none any more": {nil, "InvalidClientTokenId"},
	} {
		d, _ := start(tt.seals...)
		if err := who(d); code(err) != tt.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A key to seal under must be private and random enough.
	name := filepath.Join(t.TempDir(), "seal.key")
	for text, mode := range map[string]os.FileMode{"c2hvcnQ=": 0o600, "no base64": 0o600, base64.StdEncoding.EncodeToString(make([]byte, 32)): 0o644} {
		if err := errors.Join(os.WriteFile(name, []byte(text), mode), os.Chmod(name, mode)); err != nil {
			t.Fatal(err)
		}
		conf := daemon.Local(t.TempDir())
		conf.Keys.Seal = []string{name}
		if _, err := daemon.New(t.Context(), conf, true, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "seal.key") {
			t.Errorf("%q with mode %v: %v", text, mode, err)
		}
	}
}
