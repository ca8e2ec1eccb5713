package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/policy"
	"drawbridge/iam/ref"
	"drawbridge/internal/daemon"
	"drawbridge/internal/daemon/daemontest"
)

// A world is what a walkthrough with a broker happens in. The programs are the real ones, started as their users start them; they find the hosts of the world by HTTPS_PROXY and believe its certificates, so that the pages can show real names:
//
//   - broker.example is the daemon that the page starts,
//   - token.actions.githubusercontent.com signs what jobs are, and gives a job its tokens,
//   - oidc.eks.eu-west-1.amazonaws.com is the issuer of a cluster,
//   - idp.example signs people in, as whoever the page says acts,
//   - *.amazonaws.com is moto, behind something that does what moto leaves out: a web identity token is verified by its issuer's published keys and held against the provider and the trust of the role; what the session may then is decided by its
//     policies and those of the role, with the project's engine; and CloudTrail files of it are written to AWSLogs.
//
// Everything else is refused.
type world struct {
	t         *testing.T
	dir, bin  string
	moto      string // addresses
	port      string // of the daemon
	proxy     string
	authority string // file
	clock     string // file: how much later it is at the daemon, if it is
	idp       *daemontest.Provider
	signer    jose.Signer
	keys      jose.JSONWebKeySet
	client    *http.Client // as programs of the world reach its hosts

	mu       sync.Mutex
	jobs     int
	events   int
	sessions map[string]*session // by access key
}

// session is one that STS of the world issued.
type session struct {
	key, account, role, name, identity string
	policy                             string // of the session; "" for none
	issued                             time.Time
}

// persona is who runs commands of a page.
type persona struct {
	email  string // who signs in
	groups []string
	env    []string
	token  bool // a file with a token of the cluster's service account, as its platform renews it
}

const (
	github  = "https://token.actions.githubusercontent.com"
	cluster = "https://oidc.eks.eu-west-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
)

// personas act in the walkthroughs. An access key AKIAACCT with twelve digits is one of that account; who has it may do anything there.
var personas = map[string]persona{
	"operator":   {},
	"olga":       {email: "olga@example.com", groups: []string{"platform"}},
	"ann":        {email: "ann@example.com", groups: []string{"release-managers"}},
	"sam":        {email: "sam@example.com", groups: []string{"security"}},
	"job":        {env: []string{"ACTIONS_ID_TOKEN_REQUEST_URL=" + github + "/request?job=deploy", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=x", "GITHUB_REPOSITORY=acme/web", "GITHUB_RUN_ID=1", "GITHUB_JOB=deploy"}},
	"dana":       {email: "dana@example.com", groups: []string{"data-owners"}},
	"metrigraph": {},
	"pipeline":   {token: true},
	"analytics":  {env: []string{"AWS_ACCESS_KEY_ID=AKIAACCT333333333333", "AWS_SECRET_ACCESS_KEY=x"}},
	"production": {env: []string{"AWS_ACCESS_KEY_ID=AKIAACCT222222222222", "AWS_SECRET_ACCESS_KEY=x"}},
}

// need is where programs are that a world is made of; it takes a minute, so that only 'make clients' runs it; without them, where DRAWBRIDGE_CLIENTS=required says so, it fails.
func need(t *testing.T, names ...string) []string {
	t.Helper()
	if os.Getenv("DRAWBRIDGE_CLIENTS") == "" {
		t.Skip("SKIPPED: 'make clients' runs this")
	}
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = tools(name)
		if _, err := os.Stat(out[i]); err != nil {
			if os.Getenv("DRAWBRIDGE_CLIENTS") == "required" {
				t.Fatalf("'make clients' installs it: %v", err)
			}
			t.Skipf("SKIPPED: 'make clients' runs this (%v)", err)
		}
	}
	return out
}

// newWorld makes the world of a page in a folder. In a world whose time is moved the daemon is the test's own program.
func newWorld(t *testing.T, dir string, moved bool) *world {
	t.Helper()
	programs := need(t, "moto/bin/moto_server", "clients/python/bin/aws")
	w := &world{t: t, dir: dir, bin: t.TempDir(), sessions: make(map[string]*session)}
	for _, name := range []string{"drawbridge", "drawbridged", "drawbridge-collect"} {
		if out, err := exec.Command("go", "build", "-o", filepath.Join(w.bin, name), "../../cmd/"+name).CombinedOutput(); err != nil {
			t.Fatalf("building: %v\n%s", err, out)
		}
	}
	browser, err := exec.LookPath("browser")
	if err != nil {
		t.Fatal(err)
	}
	w.clock = filepath.Join(w.bin, "clock")
	for name, at := range map[string]string{"aws": programs[1], "xdg-open": browser} {
		script := "#!/bin/sh\nexec '" + at + "' \"$@\"\n"
		if name == "xdg-open" { // what it says goes nowhere else
			script = "#!/bin/sh\nexec '" + at + "' \"$@\" >>'" + w.bin + "/browser.log' 2>&1\n"
		}
		if err := os.WriteFile(filepath.Join(w.bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(filepath.Join(w.dir, "drawbridged.log")); err == nil && (t.Failed() || testing.Verbose()) {
			t.Logf("drawbridged: %s", text)
		}
		if text, err := os.ReadFile(filepath.Join(w.bin, "browser.log")); err == nil && len(text) > 0 {
			t.Errorf("the browser: %s", text)
		}
	})
	if moved {
		own, err := exec.LookPath("drawbridged")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Remove(filepath.Join(w.bin, "drawbridged")), os.WriteFile(filepath.Join(w.bin, "drawbridged"), []byte("#!/bin/sh\nTEST_CLOCK='"+w.clock+"' exec '"+own+"' \"$@\"\n"), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	w.port = freePort(t)
	w.startMoto(programs[0])
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.keys = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "g1", Algorithm: "ES256", Use: "sig"}}}
	if w.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "g1"}}, nil); err != nil {
		t.Fatal(err)
	}
	w.idp = daemontest.NewProvider(t)
	idp := reverse(w.idp.URL)
	w.idp.URL = "https://idp.example" // what it says of itself
	hosts := &httptest.Server{Listener: listen(t), Config: &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch host, _, _ := strings.Cut(r.Host, ":"); {
		case "https://"+host == github:
			w.github(rw, r)
		case strings.HasPrefix(cluster, "https://"+host+"/"):
			rw.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(rw).Encode(w.keys)
		case host == "idp.example":
			idp.ServeHTTP(rw, r)
		case strings.HasSuffix(host, ".amazonaws.com"):
			w.aws(rw, r)
		default:
			http.NotFound(rw, r)
		}
	}), ErrorLog: nil}}
	hosts.TLS = &tls.Config{Certificates: []tls.Certificate{w.certify()}}
	hosts.StartTLS()
	t.Cleanup(hosts.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := strings.Cut(r.Host, ":")
		to := hosts.Listener.Addr().String()
		switch {
		case r.Method != http.MethodConnect:
			http.Error(rw, "only https", http.StatusForbidden)
			return
		case host == "broker.example":
			to = "127.0.0.1:" + w.port
		case host != "idp.example" && "https://"+host != github && !strings.HasSuffix(host, ".amazonaws.com"):
			t.Errorf("something of the page wants to reach %s", r.Host)
			http.Error(rw, "there is no such host in this world", http.StatusForbidden)
			return
		}
		tunnel(rw, to)
	}))
	t.Cleanup(proxy.Close)
	w.proxy = proxy.URL
	through, err := url.Parse(proxy.URL)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := os.ReadFile(w.authority)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	w.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: http.ProxyURL(through), TLSClientConfig: &tls.Config{RootCAs: pool}}}
	return w
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func freePort(t *testing.T) string {
	l := listen(t)
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

func reverse(address string) *httputil.ReverseProxy {
	to, err := url.Parse(address)
	if err != nil {
		panic(err) // of a server of this test
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = to.Scheme, to.Host, r.In.Host
	}, Transport: &http.Transport{}}
}

// tunnel joins a CONNECT with an address.
func tunnel(w http.ResponseWriter, to string) {
	far, err := net.Dial("tcp", to)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		far.Close()
		return
	}
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	go func() { _, _ = io.Copy(far, near); far.Close() }()
	go func() { _, _ = io.Copy(near, far); near.Close() }()
}

// certify makes the authority of the world, and a certificate for its hosts, which the daemon has too.
func (w *world) certify() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the walkthrough"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "broker.example"}, NotBefore: authority.NotBefore, NotAfter: authority.NotAfter, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"broker.example", "idp.example", strings.TrimPrefix(github, "https://"), "*.amazonaws.com", "*.eu-west-1.amazonaws.com", "*.us-east-1.amazonaws.com", "oidc.eks.eu-west-1.amazonaws.com", "*.s3.eu-west-1.amazonaws.com"}}
	top, err := x509.CreateCertificate(rand.Reader, authority, authority, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, &key.PublicKey, key)
	if err != nil {
		w.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	certificate, secret := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	w.authority = filepath.Join(w.bin, "authority.pem")
	for name, text := range map[string][]byte{w.authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: top}), filepath.Join(w.dir, "tls.crt"): certificate, filepath.Join(w.dir, "tls.key"): secret} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(certificate, secret)
	if err != nil {
		w.t.Fatal(err)
	}
	return pair
}

func (w *world) startMoto(program string) {
	port := freePort(w.t)
	server := exec.Command(program, "-H", "127.0.0.1", "-p", port)
	var log bytes.Buffer
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	w.moto = "http://127.0.0.1:" + port
	for range 300 {
		if r, err := http.Get(w.moto + "/moto-api/data.json"); err == nil {
			r.Body.Close()
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	w.t.Fatalf("moto did not answer: %s", log.String())
}

// env is the environment in which somebody of the page runs a command.
func (w *world) env(who string) []string {
	p, ok := personas[who]
	if !ok {
		w.t.Fatalf("nobody of the walkthroughs is called %q", who)
	}
	home := filepath.Join(w.bin, "home-"+who)
	if err := os.MkdirAll(home, 0o700); err != nil {
		w.t.Fatal(err)
	}
	return append([]string{"PATH=" + w.bin + ":" + os.Getenv("PATH"), "HOME=" + home, "TZ=UTC", "LANG=C.UTF-8", "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=eu-west-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_PAGER=",
		"HTTPS_PROXY=" + w.proxy, "https_proxy=" + w.proxy, "SSL_CERT_FILE=" + w.authority, "AWS_CA_BUNDLE=" + w.authority, "CURL_CA_BUNDLE=" + w.authority, "REQUESTS_CA_BUNDLE=" + w.authority, "DRAWBRIDGE_URL=https://broker.example"}, p.env...)
}

// act makes somebody the one who sits at the browser.
func (w *world) act(who string) {
	if p := personas[who]; p.email != "" {
		w.idp.Be(p.email, p.groups...)
	} else if p.token {
		token := w.sign(map[string]any{"iss": cluster, "aud": []string{"https://broker.example"}, "sub": "system:serviceaccount:etl:orders",
			"kubernetes.io": map[string]any{"namespace": "etl", "serviceaccount": map[string]any{"name": "orders", "uid": "0d2b7e0a-51c4-4f0e-9a55-6f2f3f9c1b77"}}}, time.Hour)
		if err := os.WriteFile(filepath.Join(w.dir, "token"), []byte(token+"\n"), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}

// sign makes a token of an issuer of the world.
func (w *world) sign(claims map[string]any, life time.Duration) string {
	w.mu.Lock()
	w.jobs++
	claims["jti"] = fmt.Sprint("token-", w.jobs)
	w.mu.Unlock()
	now := time.Now()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Unix(), now.Add(life).Unix()
	token, err := jwt.Signed(w.signer).Claims(claims).Serialize()
	if err != nil {
		w.t.Error(err)
	}
	return token
}

// github is GitHub Actions: its keys, and a token for a job, for the audience that is asked for.
func (w *world) github(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/.well-known/jwks" {
		_ = json.NewEncoder(rw).Encode(w.keys)
		return
	}
	token := w.sign(map[string]any{"iss": github, "aud": r.URL.Query().Get("audience"), "sub": "repo:acme/web:environment:production", "repository": "acme/web", "repository_id": "4711", "repository_owner_id": "99", "environment": "production",
		"ref": "refs/heads/main", "actor": "olga"}, 5*time.Minute)
	_ = json.NewEncoder(rw).Encode(map[string]string{"value": token})
}

var (
	accountKey = regexp.MustCompile(`Credential=AKIAACCT(\d{12})/`)
	sessionKey = regexp.MustCompile(`Credential=(ASIA[0-9A-Z]{16})/[^/]+/[^/]+/([^/]+)/`)
	issuedKey  = regexp.MustCompile(`<AccessKeyId>([^<]+)<`)
)

// aws is moto, for the account whose key signed, with what moto leaves out: STS holds web identities against their issuer and the role's trust; what a session may is decided by its policies; and a trail of what it did is written.
func (w *world) aws(rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if m := accountKey.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		r.Header.Set("X-Moto-Account-Id", m[1])
	}
	if form, _ := url.ParseQuery(string(body)); strings.HasPrefix(r.Host, "sts.") && form.Get("Action") == "AssumeRoleWithWebIdentity" {
		s, err := w.federated(r.Context(), form)
		if err != nil {
			refuse(rw, "sts", fmt.Sprintf("Not authorized to perform sts:AssumeRoleWithWebIdentity: %v", err))
			return
		}
		answer := httptest.NewRecorder()
		reverse(w.moto).ServeHTTP(answer, r)
		if m := issuedKey.FindStringSubmatch(answer.Body.String()); m != nil {
			s.key = m[1]
			w.mu.Lock()
			w.sessions[s.key] = s
			w.mu.Unlock()
		}
		for name, values := range answer.Header() {
			rw.Header()[name] = values
		}
		rw.WriteHeader(answer.Code)
		_, _ = rw.Write(answer.Body.Bytes())
		return
	}
	if m := sessionKey.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
		w.mu.Lock()
		s := w.sessions[m[1]]
		w.mu.Unlock()
		if s != nil && m[2] != "sts" { // nobody is refused their own identity
			if refused := w.decide(r, s, m[2], body); refused != "" {
				refuse(rw, m[2], refused)
				return
			}
		}
	}
	reverse(w.moto).ServeHTTP(rw, r)
}

func refuse(rw http.ResponseWriter, service, why string) {
	form := `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>%s</Message></Error></ErrorResponse>`
	switch service {
	case "s3":
		form = `<Error><Code>AccessDenied</Code><Message>%s</Message></Error>`
	case "kms":
		form = `{"__type":"AccessDeniedException","message":%q}`
	}
	rw.Header().Set("Content-Type", "text/xml")
	rw.WriteHeader(http.StatusForbidden)
	fmt.Fprintf(rw, form, why)
}

// decide says why a session may not do what it asks, "" where it may, by the policies of its role in moto and its own and those of KMS keys, and writes it into the trail. S3 uses the key of an object for the caller, as AWS does.
func (w *world) decide(r *http.Request, s *session, service string, body []byte) string {
	action, event, resource, at := "", "", "", &cond.Context{}
	switch service {
	case "s3":
		bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		if before, _, ok := strings.Cut(r.Host, ".s3."); ok {
			bucket, key = before, strings.TrimPrefix(r.URL.Path, "/")
		}
		resource = "arn:aws:s3:::" + bucket
		switch {
		case key == "" && r.Method == http.MethodGet:
			action, event = "s3:ListBucket", "ListObjects"
		case key != "":
			resource += "/" + key
			event = map[string]string{http.MethodPut: "PutObject", http.MethodGet: "GetObject", http.MethodHead: "HeadObject", http.MethodDelete: "DeleteObject"}[r.Method]
			action = "s3:" + strings.Replace(event, "Head", "Get", 1)
		}
	case "kms":
		_, event, _ = strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		action = "kms:" + event
		var about struct {
			KeyID             string `json:"KeyId"`
			EncryptionContext map[string]string
		}
		_ = json.Unmarshal(body, &about) // what is not there is not allowed
		resource = about.KeyID
		for name, value := range about.EncryptionContext {
			at.Set("kms:EncryptionContext:"+name, value)
		}
	case "iam":
		form, _ := url.ParseQuery(string(body))
		event = form.Get("Action")
		action = "iam:" + event
		if role, err := w.iam(s.account).GetRole(r.Context(), &iam.GetRoleInput{RoleName: aws.String(form.Get("RoleName"))}); err == nil {
			resource = aws.ToString(role.Role.Arn)
		}
	}
	if why := w.judge(r.Context(), s, service, action, event, resource, at); why != "" || service != "s3" || event == "ListObjects" {
		return why
	}
	key, use := r.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id"), "GenerateDataKey"
	if r.Method != http.MethodPut {
		use = "Decrypt"
		q, err := http.NewRequestWithContext(r.Context(), http.MethodHead, "https://"+r.Host+r.URL.Path, nil)
		if err != nil {
			w.t.Error(err)
			return err.Error()
		}
		q.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIAACCT"+s.account+"/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=x")
		a, err := w.client.Do(q)
		if err != nil {
			w.t.Error(err)
			return err.Error()
		}
		a.Body.Close()
		key = a.Header.Get("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")
	}
	if key == "" {
		return ""
	}
	via := &cond.Context{}
	via.Set("kms:ViaService", "s3.eu-west-1.amazonaws.com")
	via.Set("kms:EncryptionContext:aws:s3:arn", resource)
	return w.judge(r.Context(), s, "kms", "kms:"+use, use, key, via)
}

func (w *world) judge(ctx context.Context, s *session, service, action, event, resource string, at *cond.Context) string {
	why := ""
	if verdict, err := w.allowed(ctx, s, action, resource, at); err != nil {
		w.t.Errorf("%s by %s: %v", action, s.role, err)
		why = err.Error()
	} else if verdict.Verdict != eval.Allow {
		why = fmt.Sprintf("User: arn:aws:sts::%s:assumed-role/%s/%s is not authorized to perform: %s on resource: %q", s.account, s.role[strings.LastIndexByte(s.role, '/')+1:], s.name, action, resource)
		switch {
		case verdict.Explicit && service == "kms":
			why += " with an explicit deny in a resource-based policy"
		case verdict.Explicit:
			why += " with an explicit deny in an identity-based policy"
		case s.policy != "":
			why += " because no session policy allows the " + action + " action"
		}
	}
	w.trail(s, service, event, resource, why != "")
	return why
}

func (w *world) iam(account string) *iam.Client {
	return iam.New(iam.Options{Region: "us-east-1", BaseEndpoint: aws.String("https://iam.amazonaws.com"), HTTPClient: w.client, Credentials: credentials.NewStaticCredentialsProvider("AKIAACCT"+account, "x", "")})
}

func (w *world) allowed(ctx context.Context, s *session, action, resource string, at *cond.Context) (d eval.Decision, err error) {
	in := w.iam(s.account)
	name := aws.String(s.role[strings.LastIndexByte(s.role, '/')+1:])
	list, err := in.ListRolePolicies(ctx, &iam.ListRolePoliciesInput{RoleName: name})
	if err != nil {
		return d, err
	}
	compile := func(text string) *policy.Policy {
		document, problems := policy.Parse([]byte(text))
		if len(problems) > 0 {
			err = fmt.Errorf("%s: %v", text, problems)
		}
		return policy.Compile(document)
	}
	p := &eval.Policies{}
	for _, n := range list.PolicyNames {
		got, err := in.GetRolePolicy(ctx, &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String(n)})
		if err != nil {
			return d, err
		}
		text, err := url.QueryUnescape(aws.ToString(got.PolicyDocument))
		if err != nil {
			return d, err
		}
		p.Identity.Policies = append(p.Identity.Policies, compile(text))
	}
	if s.policy != "" {
		p.Session = &eval.Set{Policies: []*policy.Policy{compile(s.policy)}}
	}
	if strings.HasPrefix(action, "kms:") {
		keys := kms.New(kms.Options{Region: "eu-west-1", BaseEndpoint: aws.String("https://kms.eu-west-1.amazonaws.com"), HTTPClient: w.client, Credentials: credentials.NewStaticCredentialsProvider("AKIAACCT"+s.account, "x", "")})
		got, err := keys.GetKeyPolicy(ctx, &kms.GetKeyPolicyInput{KeyId: aws.String(resource), PolicyName: aws.String("default")})
		if err != nil {
			return d, err
		}
		p.Resource = &eval.Set{Policies: []*policy.Policy{compile(aws.ToString(got.Policy))}}
	}
	caller, callerErr := eval.NewCaller("arn:aws:sts::" + s.account + ":assumed-role/" + aws.ToString(name) + "/" + s.name)
	asked, actionErr := eval.ActionOf(action)
	if err = errors.Join(err, callerErr, actionErr); err != nil {
		return d, err
	}
	caller = caller.WithCredentials(eval.Credentials{Temporary: true, Issued: s.issued, SourceIdentity: s.identity})
	at.Parent = caller.Context()
	engine := ref.Engine()
	return engine.Decide(&eval.Request{Caller: caller, Action: asked, Resource: resource, ResourceAccount: s.account, Context: at, Policies: p}), nil
}

// trail writes an event as CloudTrail does, of the fields that are read.
func (w *world) trail(s *session, service, event, resource string, refused bool) {
	w.mu.Lock()
	w.events++
	n := w.events
	w.mu.Unlock()
	now := time.Now().UTC()
	record := map[string]any{"eventVersion": "1.11", "eventID": fmt.Sprint("event-", n), "eventTime": now.Format(time.RFC3339), "eventSource": service + ".amazonaws.com", "eventName": event, "awsRegion": "eu-west-1", "recipientAccountId": s.account, "sourceIPAddress": "198.51.100.7",
		"userIdentity": map[string]any{"type": "AssumedRole", "accountId": s.account, "accessKeyId": s.key, "arn": "arn:aws:sts::" + s.account + ":assumed-role/" + s.role[strings.LastIndexByte(s.role, '/')+1:] + "/" + s.name,
			"sessionContext": map[string]any{"sessionIssuer": map[string]string{"type": "Role", "arn": s.role, "accountId": s.account}, "sourceIdentity": s.identity}},
		"resources": []map[string]string{{"ARN": resource, "accountId": s.account}}}
	if refused {
		record["errorCode"] = "AccessDenied"
	}
	text, err := json.Marshal(map[string]any{"Records": []any{record}})
	name := filepath.Join(w.dir, "AWSLogs", s.account, "CloudTrail", "eu-west-1", now.Format("2006/01/02"), fmt.Sprintf("%s_CloudTrail_eu-west-1_%s_%04d.json", s.account, now.Format("20060102T1504Z"), n))
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, text, 0o644)); err != nil {
		w.t.Error(err)
	}
}

// federated holds a web identity token against what the account of a role says of its issuer, and against the trust of the role. Only the form of a trust is known that 'drawbridge setup target' gives: StringEquals on the issuer's aud and sub.
func (w *world) federated(ctx context.Context, form url.Values) (*session, error) {
	token, err := jwt.ParseSigned(form.Get("WebIdentityToken"), []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		return nil, err
	}
	var claims struct {
		jwt.Claims
		SourceIdentity string `json:"https://aws.amazon.com/source_identity"`
	}
	if err := token.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return nil, err
	}
	var discovery struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	var keys jose.JSONWebKeySet
	if err := w.get(ctx, claims.Issuer+"/.well-known/openid-configuration", &discovery); err != nil {
		return nil, err
	}
	if discovery.Issuer != claims.Issuer {
		return nil, fmt.Errorf("%s calls itself %s", claims.Issuer, discovery.Issuer)
	}
	if err := w.get(ctx, discovery.Keys, &keys); err != nil {
		return nil, err
	}
	if err := token.Claims(keys, &claims); err != nil {
		return nil, err
	}
	if err := claims.Validate(jwt.Expected{Time: time.Now()}); err != nil {
		return nil, err
	}
	part := strings.Split(form.Get("RoleArn"), ":")
	if len(part) != 6 {
		return nil, fmt.Errorf("the role %q", form.Get("RoleArn"))
	}
	in := w.iam(part[4])
	host := strings.TrimPrefix(claims.Issuer, "https://")
	provider, err := in.GetOpenIDConnectProvider(ctx, &iam.GetOpenIDConnectProviderInput{OpenIDConnectProviderArn: aws.String("arn:aws:iam::" + part[4] + ":oidc-provider/" + host)})
	if err != nil {
		return nil, err
	}
	if len(claims.Audience) != 1 || !strings.Contains(strings.Join(provider.ClientIDList, " "), claims.Audience[0]) {
		return nil, fmt.Errorf("the audience %v", claims.Audience)
	}
	role, err := in.GetRole(ctx, &iam.GetRoleInput{RoleName: aws.String(part[5][strings.LastIndexByte(part[5], '/')+1:])})
	if err != nil {
		return nil, err
	}
	text, err := url.QueryUnescape(aws.ToString(role.Role.AssumeRolePolicyDocument))
	if err != nil {
		return nil, err
	}
	var trust struct {
		Statement []struct {
			Principal map[string]string
			Condition map[string]map[string][]string
		}
	}
	if err := json.Unmarshal([]byte(text), &trust); err != nil {
		return nil, err
	}
	for _, s := range trust.Statement {
		equals := s.Condition["StringEquals"]
		if strings.HasSuffix(s.Principal["Federated"], ":oidc-provider/"+host) && strings.Join(equals[host+":aud"], "") == claims.Audience[0] && strings.Join(equals[host+":sub"], "") == claims.Subject {
			return &session{account: part[4], role: form.Get("RoleArn"), name: form.Get("RoleSessionName"), identity: claims.SourceIdentity, policy: form.Get("Policy"), issued: time.Now()}, nil
		}
	}
	return nil, fmt.Errorf("the trust of the role lets %s in as nobody", claims.Subject)
}

func (w *world) get(ctx context.Context, address string, into any) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	a, err := w.client.Do(q)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, a.Status)
	}
	return json.NewDecoder(a.Body).Decode(into)
}

// sleep lets time pass at the daemon, without waiting for it: it goes on in the test's program, whose clock can be moved.
func (w *world) sleep(d time.Duration) {
	old, _ := os.ReadFile(w.clock) // not there yet
	before, _ := time.ParseDuration(string(old))
	if err := os.WriteFile(w.clock, []byte((before + d).String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// serve is drawbridged with a clock that a file moves.
func serve(args []string) error {
	if len(args) != 3 || args[0] != "serve" || args[1] != "--config" {
		return fmt.Errorf("expected: serve --config FILE")
	}
	text, err := os.ReadFile(args[2])
	if err != nil {
		return err
	}
	c, err := daemon.ParseConfig(args[2], text)
	if err != nil {
		return err
	}
	c.Now = func() time.Time {
		later, _ := os.ReadFile(os.Getenv("TEST_CLOCK"))
		d, _ := time.ParseDuration(string(later))
		return time.Now().Add(d)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	d, err := daemon.New(ctx, c, false, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	return d.Serve(ctx, l)
}

// kill ends what a command of a page left running, and waits until it has ended.
func kill(group int) {
	_ = syscall.Kill(-group, syscall.SIGTERM)
	for range 200 {
		if syscall.Kill(-group, 0) != nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	_ = syscall.Kill(-group, syscall.SIGKILL)
}

// browse plays the browser of a person who signs in and lets the command line in.
func browse(address string) error {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return err
	}
	browser := &http.Client{Jar: jar, Timeout: 20 * time.Second}
	page, err := browser.Get(address)
	if err != nil {
		return err
	}
	defer page.Body.Close()
	// The form says what it sends.
	field := regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)
	fields := url.Values{}
	lines := bufio.NewScanner(page.Body)
	for lines.Scan() {
		for _, m := range field.FindAllStringSubmatch(lines.Text(), -1) {
			fields.Set(m[1], m[2])
		}
	}
	if len(fields) == 0 {
		return fmt.Errorf("%s asks nothing: %s", page.Request.URL, page.Status)
	}
	answer, err := browser.PostForm("https://broker.example/sign-in/cli", fields)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
