package setup

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"drawbridge/iam/ref"
	"drawbridge/internal/access"
	"drawbridge/internal/change"
	"drawbridge/internal/ingest/cloudformation"
	"drawbridge/internal/org"
	"drawbridge/internal/registry"
	"drawbridge/internal/snapshot"
)

var update = flag.Bool("update", false, "write the golden files")

func entry() *registry.Entry {
	return &registry.Entry{Name: "ci-deploy", Purpose: "deploys of web", To: registry.To{Role: "arn:aws:iam::222222222222:role/ci/deploy"}, Actions: []string{"s3:PutObject", "s3:GetObject"}, Resources: []string{"arn:aws:s3:::artifacts/${aws:PrincipalTag/team}/*"}, Session: registry.Session{Max: 2 * time.Hour}}
}

func target(t *testing.T, e *registry.Entry) *Target {
	t.Helper()
	out, err := New(e, "https://broker.example", "sts.amazonaws.com")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// graph is the account as a template makes it, with a change of the template's text.
func graph(t *testing.T, template string, change_ ...string) *access.Graph {
	t.Helper()
	return graphOf(t, template, "", change_...)
}

// graphOf is one with an account of the broker, 111111111111, as another template makes it.
func graphOf(t *testing.T, template, broker string, change_ ...string) *access.Graph {
	t.Helper()
	changed := strings.NewReplacer(change_...).Replace(template)
	if len(change_) > 0 && changed == template {
		t.Fatalf("the template has no %q", change_[0])
	}
	p, err := cloudformation.Read("setup.json", []byte(changed), cloudformation.Options{Account: "222222222222", Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	full, gaps := snapshot.NewDocument("FullAWSAccess", []byte(`{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}`), snapshot.Source{}, false)
	if len(gaps) > 0 {
		t.Fatal(gaps)
	}
	_, after := change.Apply(&snapshot.Snapshot{Version: snapshot.Version,
		Organization: &snapshot.Organization{ID: "o-abcdefghij", ManagementAccount: "333333333333", Units: []snapshot.Unit{{Path: "r-root", Name: "Root"}},
			SCPs: []snapshot.ControlPolicy{{Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", Targets: []string{"r-root", "222222222222", "111111111111"}, Document: full}}},
		Accounts:  []snapshot.Account{{ID: "111111111111", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}, {ID: "222222222222", Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
		Providers: []snapshot.Provider{}}, p)
	if broker != "" {
		p, err := cloudformation.Read("broker.json", []byte(broker), cloudformation.Options{Account: "111111111111", Region: "eu-west-1"})
		if err != nil {
			t.Fatal(err)
		}
		_, after = change.Apply(after, p)
	}
	return access.Build(org.Build(after), access.Options{Now: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC), Engine: ref.Engine()})
}

// TestCheck: the account that the template makes is as it must be, and each thing that is not is told.
func TestCheck(t *testing.T) {
	s := target(t, entry())
	template := s.CloudFormation()
	if problems := s.Check(graph(t, template)); len(problems) > 0 {
		t.Fatalf("as it is printed: %+v\n%s", problems, template)
	}
	for name, tt := range map[string]struct {
		from, to, want string
		bypass         bool
	}{
		"another entry":            {"\"broker.example:sub\": [\n                    \"ci-deploy\"", "\"broker.example:sub\": [\n                    \"other\"", "does not let the broker's tokens", false},
		"no audience":              {`broker.example:aud`, `broker.example:amr`, "tokens", false},
		"no tags":                  {`"sts:TagSession"`, `"sts:GetSessionToken"`, "sts:TagSession", false},
		"no source identity":       {`"sts:SetSourceIdentity"`, `"sts:GetSessionToken"`, "sts:SetSourceIdentity", false},
		"another provider":         {`"Url": "https://broker.example"`, `"Url": "https://other.example"`, "no identity provider", false},
		"another audience":         {"\"ClientIdList\": [\n          \"sts.amazonaws.com\"", "\"ClientIdList\": [\n          \"other\"", "takes tokens for other", false},
		"a shorter session":        {`"MaxSessionDuration": 7200`, `"MaxSessionDuration": 3600`, "longest session", false},
		"no revoker":               {`"Default": "no"`, `"Default": "yes"`, "the role is not in the code", false},
		"a revoker that cannot":    {"iam:PutRolePolicy", "iam:GetRole", "could not be taken back", false},
		"a revoker that can more":  {`"iam:ListRolePolicies"`, `"iam:*"`, "may iam:AttachRolePolicy", true},
		"a whole account lets in":  {`"Sid": "DrawbridgeBroker",`, `"Sid": "x", "Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "sts:AssumeRole"}, {"Sid": "DrawbridgeBroker",`, "can be taken by 111111111111", true},
		"a provider without a pin": {`"broker.example:sub": [`, `"broker.example:email": [`, "does not let", false},
	} {
		problems := s.Check(graph(t, template, tt.from, tt.to))
		found := tt.want == "" && len(problems) == 0
		for _, p := range problems {
			found = found || tt.want != "" && strings.Contains(p.What, tt.want) && p.Bypass == tt.bypass
		}
		if !found {
			t.Errorf("%s: %+v, want %q (%v)", name, problems, tt.want, tt.bypass)
		}
	}
	// A star in the subject, by a condition that takes it for one.
	open := strings.NewReplacer("StringEquals", "StringLike", "\"broker.example:sub\": [\n                    \"ci-deploy\"", "\"broker.example:sub\": [\n                    \"ci-*\"").Replace(template)
	if open == strings.ReplaceAll(template, "StringEquals", "StringLike") {
		t.Fatalf("the template has another form:\n%s", template)
	}
	ok := false
	for _, p := range s.Check(graph(t, open)) {
		ok = ok || p.Bypass && strings.Contains(p.What, "other entries")
	}
	if !ok {
		t.Errorf("a pattern that other entries match: %+v", s.Check(graph(t, open)))
	}
}

const brokerRole = "arn:aws:iam::111111111111:role/DrawbridgeBroker"

func assumed(t *testing.T, e *registry.Entry) *Target {
	t.Helper()
	out, err := NewAssumed(e, Assume{Role: brokerRole, ExternalIDs: []string{"drawbridge-ONE", "drawbridge-TWO"}, RevokerIDs: []string{"drawbridge-REVOKER"}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestCheckAssumed: an account that is set up for AssumeRole is found good, and one that takes the broker without its ExternalId, with another one, or takes somebody else, is not.
func TestCheckAssumed(t *testing.T) {
	s := assumed(t, entry())
	broker := `{"Resources": {"Broker": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "DrawbridgeBroker", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]},
		"Policies": [{"PolicyName": "cross", "PolicyDocument": {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"], "Resource": "*"}]}}]}}}}`
	for name, tt := range map[string]struct {
		change []string
		want   string
	}{
		"as it is printed":      {nil, ""},
		"without an ExternalId": {[]string{`"sts:ExternalId"`, `"aws:PrincipalOrgID"`, `"drawbridge-ONE",`, `"o-abcdefghij",`}, "without an ExternalId"},
		"any ExternalId":        {[]string{`"drawbridge-ONE",`, `"drawbridge-another",`}, "with any ExternalId"},
		"an old ExternalId":     {[]string{`"drawbridge-ONE",`, `"drawbridge-OLD",`}, "does not let " + brokerRole + " sts:AssumeRole"},
		"another role":          {[]string{`"AWS": "` + brokerRole + `"`, `"AWS": "arn:aws:iam::111111111111:role/other"`}, "beside the broker"},
		"no source identity":    {[]string{`"sts:SetSourceIdentity"`, `"sts:GetCallerIdentity"`}, "sts:SetSourceIdentity"},
	} {
		g := graphOf(t, s.CloudFormation(), broker, tt.change...)
		var found []string
		for _, p := range s.Check(g) {
			found = append(found, p.What)
		}
		if text := strings.Join(found, "; "); (tt.want == "") != (text == "") || !strings.Contains(text, tt.want) {
			t.Errorf("%s: found %q, want %q", name, text, tt.want)
		}
	}
	for name, by := range map[string]Assume{
		"no role": {Role: "x", ExternalIDs: []string{"ab"}, RevokerIDs: []string{"ab"}}, "no ExternalId": {Role: brokerRole, RevokerIDs: []string{"ab"}}, "a bad one": {Role: brokerRole, ExternalIDs: []string{"a b"}, RevokerIDs: []string{"ab"}},
		"none for the revoker": {Role: brokerRole, ExternalIDs: []string{"ab"}},
	} {
		if _, err := NewAssumed(entry(), by); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestForms holds what is printed to its golden files.
func TestForms(t *testing.T) {
	e := entry()
	e.Boundary = "arn:aws:iam::222222222222:policy/boundary"
	s := target(t, e)
	q := &Quarantine{Issuer: "https://broker.example", Audience: "sts.amazonaws.com", Account: "111111111111", Partition: "aws", Targets: []string{"r-abcd", "ou-abcd-11111111"}}
	if err := q.Check(); err != nil {
		t.Fatal(err)
	}
	by := assumed(t, e)
	for name, text := range map[string]string{"assumed.tf": by.Terraform(), "assumed.json": by.CloudFormation(), "assumed.sh": by.Commands(), "setup.tf": s.Terraform(), "setup.json": s.CloudFormation(), "setup.sh": s.Commands(), "quarantine.tf": q.Terraform(), "quarantine.json": q.CloudFormation(), "quarantine.sh": q.Commands()} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || string(want) != text {
			t.Errorf("%s is another one (go test ./internal/setup -update writes it anew):\n%s", name, text)
		}
	}
	var any map[string]any
	if err := json.Unmarshal([]byte(s.CloudFormation()), &any); err != nil {
		t.Error(err)
	}
	for _, script := range []string{"setup.sh", "assumed.sh", "quarantine.sh"} {
		if out, err := exec.Command("sh", "-n", filepath.Join("testdata", script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %s", script, out)
		}
	}
	if err := json.Unmarshal([]byte(q.CloudFormation()), &any); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Quarantine){"account": func(q *Quarantine) { q.Account = "1" }, "issuer": func(q *Quarantine) { q.Issuer = "http://x" }, "targets": func(q *Quarantine) { q.Targets = nil }, "target": func(q *Quarantine) { q.Targets = []string{"$(id)"} }, "audience": func(q *Quarantine) { q.Audience = "" }} {
		bad := *q
		if spoil(&bad); !errors.Is(bad.Check(), ErrTarget) {
			t.Errorf("%s: %v", name, bad.Check())
		}
	}
}

// TestNew: entries that lead to nothing that can be set up.
func TestNew(t *testing.T) {
	for name, change := range map[string]func(*registry.Entry){
		"no role":      func(e *registry.Entry) { e.To.Role = "" },
		"a user":       func(e *registry.Entry) { e.To.Role = "arn:aws:iam::222222222222:user/x" },
		"no actions":   func(e *registry.Entry) { e.Actions = nil },
		"no resources": func(e *registry.Entry) { e.Resources = nil },
	} {
		e := entry()
		change(e)
		if _, err := New(e, "https://broker.example", "a"); !errors.Is(err, ErrTarget) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, issuer := range []string{"", "http://broker.example", "https://broker.example/", "https://"} {
		if _, err := New(entry(), issuer, "a"); !errors.Is(err, ErrTarget) {
			t.Errorf("issuer %q: %v", issuer, err)
		}
	}
}
