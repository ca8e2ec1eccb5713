package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"drawbridge/internal/daemon/daemontest"
)

// A sdk is an unmodified client of AWS. Each does one of two things: it finds credentials by itself, as its documentation says it does, and asks S3 three times with them; or it asks STS at an address for twelve hours.
type sdk struct {
	name      string
	use, long []string
	needs     string // the file without which it is not there
	// What it cannot, measured: it takes no other address of STS from its environment; it hides what a credential_process says on its standard error.
	noEndpoint, hides bool
}

const boto3Uses = `
import boto3
s3 = boto3.client("s3")
for _ in range(3): s3.list_buckets()
`

const boto3Long = `
import boto3, os
boto3.client("sts").assume_role_with_web_identity(RoleArn=os.environ["ROLE"], RoleSessionName="long", WebIdentityToken=open(os.environ["TOKEN"]).read(), DurationSeconds=43200)
`

const nodeUses = `
const {S3Client, ListBucketsCommand} = require("@aws-sdk/client-s3");
const s3 = new S3Client({});
(async () => { for (let i = 0; i < 3; i++) await s3.send(new ListBucketsCommand({})); })().catch(e => { console.error(e.name + ": " + e.message); process.exit(1); });
`

const nodeLong = `
const {STSClient, AssumeRoleWithWebIdentityCommand} = require("@aws-sdk/client-sts");
new STSClient({}).send(new AssumeRoleWithWebIdentityCommand({RoleArn: process.env.ROLE, RoleSessionName: "long", WebIdentityToken: require("fs").readFileSync(process.env.TOKEN, "utf8"), DurationSeconds: 43200}))
  .catch(e => { console.error(e.name + ": " + e.message); process.exit(1); });
`

// goSDK is the client of Go's SDK.
func goSDK(ctx context.Context, what string) error {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	if what == "long" {
		token, err := os.ReadFile(os.Getenv("TOKEN"))
		if err != nil {
			return err
		}
		_, err = sts.NewFromConfig(c).AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{RoleArn: aws.String(os.Getenv("ROLE")), RoleSessionName: aws.String("long"), WebIdentityToken: aws.String(string(token)), DurationSeconds: aws.Int32(43200)})
		return err
	}
	client := s3.NewFromConfig(c)
	for range 3 {
		if _, err := client.ListBuckets(ctx, &s3.ListBucketsInput{}); err != nil {
			return err
		}
	}
	return nil
}

// bench is a broker that unmodified clients are tried at: its calls are counted, an S3 says whose credentials came, and nothing of AWS's real hosts is reached.
type bench struct {
	*crossing
	dir, program string
	broker, s3   *httptest.Server
	// strayed is a proxy that lets nothing through.
	strayed *httptest.Server

	mu     sync.Mutex
	calls  []string // to the broker
	came   []string // session tokens at S3
	astray []string
}

func newBench(t *testing.T, longest string) *bench {
	b := &bench{crossing: startCrossingOf(t, longest), dir: t.TempDir()}
	b.program = filepath.Join(b.dir, "drawbridge")
	if out, err := exec.Command("go", "build", "-o", b.program, "../../cmd/drawbridge").CombinedOutput(); err != nil {
		t.Fatalf("building: %v\n%s", err, out)
	}
	to, err := url.Parse(b.d.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host }, Transport: &http.Transport{}}
	b.broker = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.note(&b.calls, r.Method+" "+r.URL.Path)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(b.broker.Close)
	b.s3 = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.note(&b.came, r.Header.Get("X-Amz-Security-Token"))
		w.Header().Set("Content-Type", "application/xml")
		fmt.Fprint(w, `<ListAllMyBucketsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Owner><ID>x</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>`)
	}))
	t.Cleanup(b.s3.Close)
	b.strayed = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.note(&b.astray, r.Host)
		http.Error(w, "this test reaches nothing outside", http.StatusForbidden)
	}))
	t.Cleanup(b.strayed.Close)
	return b
}

func (b *bench) note(list *[]string, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	*list = append(*list, what)
}

// token is a file with a fresh identity token.
func (b *bench) token() string {
	b.t.Helper()
	name := filepath.Join(b.t.TempDir(), "token")
	if err := os.WriteFile(name, []byte(b.d.Proof("4711")), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return name
}

// try is what became of one run of a client.
type try struct {
	out    string
	failed bool
	sts    int      // calls of the broker's STS
	api    []string // other calls of the broker
	came   []string // session tokens at S3
	astray []string // hosts outside that it wanted to reach
}

func (b *bench) try(env []string, args ...string) try {
	b.t.Helper()
	b.mu.Lock()
	b.calls, b.came, b.astray = nil, nil, nil
	b.mu.Unlock()
	p := exec.Command(args[0], args[1:]...)
	// Nothing of the machine's own, and nothing of the AWS that the daemon of the test asks.
	p.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_ENDPOINT_URL_S3=" + b.s3.URL, "DRAWBRIDGE_URL=" + b.broker.URL, "NODE_PATH=" + tools("clients/node_modules"), "HTTPS_PROXY=" + b.strayed.URL, "https_proxy=" + b.strayed.URL, "NO_PROXY=127.0.0.1", "NODE_OPTIONS=--no-warnings"}, env...)
	out, err := p.CombinedOutput()
	b.mu.Lock()
	defer b.mu.Unlock()
	got := try{out: string(out), failed: err != nil, came: b.came, astray: b.astray}
	for _, c := range b.calls {
		if c == "POST /" {
			got.sts++
		} else {
			got.api = append(got.api, c)
		}
	}
	return got
}

// federated is the environment of a client that takes its identity token to STS by itself.
func (b *bench) federated() []string {
	return []string{"AWS_CONFIG_FILE=" + os.DevNull, "AWS_ENDPOINT_URL_STS=" + b.broker.URL, "AWS_ROLE_ARN=arn:aws:iam::222222222222:role/deploy", "AWS_WEB_IDENTITY_TOKEN_FILE=" + b.token()}
}

// process is the environment of one that asks a program.
func (b *bench) process() []string {
	b.t.Helper()
	settings := filepath.Join(b.dir, "config")
	if err := os.WriteFile(settings, []byte("[default]\nregion = eu-west-1\ncredential_process = "+b.program+" creds ci-deploy --reason clients\n"), 0o600); err != nil {
		b.t.Fatal(err)
	}
	return []string{"AWS_CONFIG_FILE=" + settings, "DRAWBRIDGE_ID_TOKEN_FILE=" + b.token(), "XDG_CACHE_HOME=" + b.t.TempDir()}
}

func tools(name string) string {
	path, err := filepath.Abs(filepath.Join("../../.tools", name))
	if err != nil {
		panic(err) // there is no current directory
	}
	return path
}

// sdks are the clients that are there. DRAWBRIDGE_CLIENTS=required forbids to leave any out but the one of Debian 12, DRAWBRIDGE_MOTO=required boto3.
func (b *bench) sdks() []sdk {
	b.t.Helper()
	python, aws1, aws2 := tools("moto/bin/python"), tools("clients/python/bin/aws"), tools("clients/awscli2/aws")
	// The old command line knows no address of S3 but the one that it is told.
	cli := func(program string) []string {
		return []string{"sh", "-c", `for i in 1 2 3; do "$0" s3api list-buckets --endpoint-url "$AWS_ENDPOINT_URL_S3" || exit; done`, program}
	}
	long := func(program string) []string {
		return []string{"sh", "-c", `"$0" sts assume-role-with-web-identity --role-arn "$ROLE" --role-session-name long --web-identity-token "$(cat "$TOKEN")" --duration-seconds 43200 --endpoint-url "$AWS_ENDPOINT_URL_STS"`, program}
	}
	goProgram, err := exec.LookPath("gosdk")
	if err != nil {
		b.t.Fatal(err)
	}
	var out []sdk
	for _, s := range []sdk{
		{name: "Go SDK", use: []string{goProgram, "use"}, long: []string{goProgram, "long"}, needs: goProgram},
		{name: "boto3", use: []string{python, "-c", boto3Uses}, long: []string{python, "-c", boto3Long}, needs: python},
		{name: "JavaScript SDK", use: []string{"node", "-e", nodeUses}, long: []string{"node", "-e", nodeLong}, needs: tools("clients/node_modules/@aws-sdk/client-s3"), hides: true},
		{name: "AWS CLI 1", use: cli(aws1), long: long(aws1), needs: aws1},
		{name: "AWS CLI 2.9", use: cli(aws2), long: long(aws2), needs: aws2, noEndpoint: true},
	} {
		if _, err := os.Stat(s.needs); err == nil && (s.name == "Go SDK" || os.Getenv("DRAWBRIDGE_CLIENTS")+os.Getenv("DRAWBRIDGE_MOTO") != "") {
			out = append(out, s)
		} else if s.name == "boto3" && os.Getenv("DRAWBRIDGE_MOTO") == "required" || s.name != "AWS CLI 2.9" && os.Getenv("DRAWBRIDGE_CLIENTS") == "required" {
			b.t.Fatalf("'make clients' installs %s: %v", s.name, err)
		} else {
			b.t.Logf("without %s: 'make clients' installs and runs it", s.name)
		}
	}
	return out
}

// TestClients crosses with unmodified clients, in each of the ways in which their documentation says that they find credentials: while people have not decided, when they have, and after it was taken back. The Go SDK is always there, the others after `make clients`.
func TestClients(t *testing.T) {
	b := newBench(t, "1h")
	clients := b.sdks()
	out, _ := b.run(b.workload, 4, "request", "ci-deploy", "--reason", "clients")
	id, _, _ := strings.Cut(out, " ")
	waiting := func(id string) {
		t.Helper()
		for _, s := range clients {
			// One call, and what the broker says of the request, word for word.
			got := b.try(b.federated(), s.use...)
			switch {
			case s.noEndpoint:
				// It can only go where AWS is: the broker never hears of it, and the page on clients says so.
				if !got.failed || got.sts != 0 || len(got.astray) == 0 || !strings.HasPrefix(got.astray[0], "sts.") {
					t.Errorf("%s knows an address of STS by now, or reached the broker: %+v", s.name, got)
				}
			case !got.failed || got.sts != 1 || len(got.came) != 0 || !strings.Contains(got.out, "approval pending: request "+id+" waits for people; https://broker.example/requests/"+id):
				t.Errorf("%s by web identity while it waits: %+v", s.name, got)
			}
			got = b.try(b.process(), s.use...)
			asks := 1
			if s.hides {
				asks = 2 // two parts of its chain of providers read the same profile
			}
			if !got.failed || len(got.came) != 0 || count(got.api, "POST /v1/access") != asks {
				t.Errorf("%s by credential_process while it waits: %+v", s.name, got)
			}
			if strings.Contains(got.out, "request "+id+" for ci-deploy waits for approval by local") == s.hides {
				t.Errorf("%s by credential_process shows the request: %v, expected %v: %s", s.name, s.hides, !s.hides, got.out)
			}
			for _, renew := range []string{"", "--renew"} {
				args := append(slices.DeleteFunc([]string{b.program, "exec", "ci-deploy", "--reason", "clients", renew, "--"}, func(s string) bool { return s == "" }), s.use...)
				if got = b.try(b.process(), args...); !got.failed || len(got.came) != 0 || !strings.Contains(got.out, id) {
					t.Errorf("%s by exec %s while it waits: %+v", s.name, renew, got)
				}
			}
		}
	}
	waiting(id)
	if asked := len(b.d.Asked()); asked != 0 {
		t.Fatalf("AWS was asked %d times before anybody approved", asked)
	}

	b.run(b.person, 0, "approve", id, "--yes")
	for _, s := range clients {
		for _, tt := range []struct {
			what string
			env  []string
			args []string
		}{
			{"web identity", b.federated(), s.use},
			{"credential_process", b.process(), s.use},
			{"exec", b.process(), append([]string{b.program, "exec", "ci-deploy", "--"}, s.use...)},
			{"exec --renew", b.process(), append([]string{b.program, "exec", "ci-deploy", "--renew", "--"}, s.use...)},
		} {
			if s.noEndpoint && tt.what == "web identity" {
				continue
			}
			got := b.try(tt.env, tt.args...)
			if got.failed || !slices.Equal(got.came, slices.Repeat([]string{daemontest.Canary + "token"}, 3)) || len(got.astray) != 0 {
				t.Errorf("%s by %s: %+v", s.name, tt.what, got)
			}
			if tt.what == "web identity" && !strings.HasPrefix(s.name, "AWS CLI") && got.sts != 1 {
				t.Errorf("%s by web identity asked the broker %d times for three calls", s.name, got.sts)
			}
		}
		// Nobody is given less than they asked for in silence.
		got := b.try([]string{"AWS_CONFIG_FILE=" + os.DevNull, "AWS_ENDPOINT_URL_STS=" + b.broker.URL, "ROLE=arn:aws:iam::222222222222:role/deploy", "TOKEN=" + b.token(), "AWS_ACCESS_KEY_ID=x", "AWS_SECRET_ACCESS_KEY=y"}, s.long...)
		if !got.failed || got.sts != 1 || !strings.Contains(got.out, "ValidationError") && !strings.Contains(got.out, "Validation Error") || !strings.Contains(got.out, "DurationSeconds exceeds what is allowed: 3600 seconds") {
			t.Errorf("%s asks for twelve hours: %+v", s.name, got)
		}
	}
	// One session for all of them: the broker hands out the same live one.
	if asked := len(b.d.Asked()); asked != 1 {
		t.Errorf("AWS was asked %d times: %v", asked, b.d.Asked())
	}

	// After it was taken back nobody gets anything, and the old one is no more handed out.
	b.run(b.person, 0, "revoke", id, "--reason", "incident")
	out, _ = b.run(b.workload, 4, "request", "ci-deploy", "--reason", "clients")
	again, _, _ := strings.Cut(out, " ")
	if again == id {
		t.Fatal("a request that was revoked waits again")
	}
	waiting(again)
}

// TestClientsRefresh: with sessions of twenty minutes a client fetches once for its calls. At the fifteen of STS's minimum boto3 fetches for each.
func TestClientsRefresh(t *testing.T) {
	b := newBench(t, "20m")
	clients := b.sdks()
	out, _ := b.run(b.workload, 4, "request", "ci-deploy", "--reason", "clients")
	id, _, _ := strings.Cut(out, " ")
	b.run(b.person, 0, "approve", id, "--yes")
	for _, s := range clients {
		if strings.HasPrefix(s.name, "AWS CLI") {
			continue // one process for each call
		}
		if got := b.try(b.federated(), s.use...); got.failed || got.sts != 1 || len(got.came) != 3 {
			t.Errorf("%s: %+v", s.name, got)
		}
	}
	asked := b.d.Asked()
	if len(asked) != 1 || !strings.Contains(asked[0], "DurationSeconds=1200") {
		t.Errorf("AWS was asked %v", asked)
	}
}

func count(list []string, what string) (n int) {
	for _, s := range list {
		if s == what {
			n++
		}
	}
	return n
}
