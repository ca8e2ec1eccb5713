package snapshot

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	trustDocument = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}]}`
	noPrincipals  = `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[]}`
)

// roleFile is an iam.json with one role, whose fields beside its ARN and trust policy are given.
func roleFile(fields string) string {
	return `{"UserDetailList":[],"GroupDetailList":[],"Policies":[],"RoleDetailList":[
  {"Arn":"arn:aws:iam::444455556666:role/r","RoleName":"r","AssumeRolePolicyDocument":` + trustDocument + fields + `}
]}`
}

// gapText prints the gaps as the golden files hold them. What is missing as a whole is left out where the test is not about it.
func gapText(s *Snapshot, whole bool) string {
	var b strings.Builder
	for _, g := range s.Gaps {
		if !whole && (g.Kind == GapOrganization || g.Kind == GapFile && strings.HasPrefix(g.Reason, "the file is not there")) {
			continue
		}
		place := ""
		if g.Source.File != "" {
			place = fmt.Sprintf("%s:%d:%d: ", g.Source.File, g.Source.Line, g.Source.Column)
		}
		fmt.Fprintf(&b, "%s%s [%s] account=%s: %s\n", place, g.Kind, g.Subject, g.Account, g.Reason)
	}
	return b.String()
}

// Each case is one thing that is wrong with an input. The golden files hold the gaps that tell of it; check says what else
// must hold.
func TestGaps(t *testing.T) {
	const iam = "accounts/444455556666/iam.json"
	one := func(text string) map[string]string { return map[string]string{iam: text} }
	inventoried := func(want bool) func(*testing.T, *Snapshot) {
		return func(t *testing.T, s *Snapshot) {
			for _, a := range s.Accounts {
				if a.ID == "444455556666" && a.Inventoried == want {
					return
				}
			}
			t.Errorf("accounts %+v, want 444455556666 with inventoried %v", s.Accounts, want)
		}
	}
	role := func(check func(*Role) bool) func(*testing.T, *Snapshot) {
		return func(t *testing.T, s *Snapshot) {
			if len(s.Roles) != 1 || !check(&s.Roles[0]) {
				t.Errorf("roles %+v", s.Roles)
			}
		}
	}
	tests := []struct {
		name  string
		files map[string]string
		whole bool
		check func(*testing.T, *Snapshot)
	}{
		{"bare", one(noPrincipals), true, inventoried(true)},
		{"file-empty", one(""), false, inventoried(false)},
		{"file-not-json", one("<html>"), false, inventoried(false)},
		{"file-list", one("[]"), false, inventoried(false)},
		{"file-other-object", one(`{"Roles":[]}`), false, inventoried(false)},
		{"file-nul", one("\x00\x00"), false, inventoried(false)},
		{"file-utf16", one("\xff\xfe{\x00}\x00"), false, inventoried(false)},
		{"file-bom", one("\xef\xbb\xbf" + noPrincipals), false, inventoried(true)},
		{"file-trailing", one(noPrincipals + "\n}"), false, inventoried(false)},
		{"file-trailing-comma", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],}`), false, inventoried(false)},
		{"list-missing", one(`{"UserDetailList":[],"GroupDetailList":[]}`), false, inventoried(false)},
		{"list-wrong-type", one(`{"UserDetailList":{},"GroupDetailList":[],"RoleDetailList":[]}`), false, inventoried(false)},
		{"cut-in-role", one(roleFile("")[:200]), false, inventoried(false)},
		{"cut-behind-role", one(roleFile("")[:len(roleFile(""))-3]), false, role(func(r *Role) bool { return r.Trust.State == Read })},
		{"role-garbled", one(roleFile(`,"Path":@@@`)), false, inventoried(false)},
		{"role-null", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[null, 5, "x"]}`), false, inventoried(false)},
		{"role-without-arn", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[{"RoleName":"r"}]}`), false, inventoried(false)},
		{"role-arn-number", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[{"Arn":1e999,"AssumeRolePolicyDocument":` + trustDocument + `}]}`), false, inventoried(false)},
		{"role-without-trust", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[{"Arn":"arn:aws:iam::444455556666:role/r"}]}`), false,
			role(func(r *Role) bool { return r.Trust.State == Unresolved && r.Trust.Problem != "" })},
		{"role-fields-wrong", one(roleFile(`,"Path":5,"CreateDate":"yesterday","Tags":{"a":"b"},"MaxSessionDuration":1.5,"RoleLastUsed":[]`)), false, inventoried(true)},
		{"role-key-twice", one(roleFile(`,"RoleName":"other"`)), false, role(func(r *Role) bool { return r.Name == "r" })},
		{"attached-wrong", one(roleFile(`,"AttachedManagedPolicies":"all"`)), false,
			role(func(r *Role) bool { return len(r.Inline) == 1 && r.Inline[0].State == Unresolved })},
		{"attached-without-arn", one(roleFile(`,"AttachedManagedPolicies":[{"PolicyName":"p"}]`)), false,
			role(func(r *Role) bool { return len(r.Inline) == 1 && r.Inline[0].State == Unresolved })},
		{"inline-wrong", one(roleFile(`,"RolePolicyList":[5,{"PolicyName":"a"},{"PolicyName":"b","PolicyDocument":7},{"PolicyName":"c","PolicyDocument":{"Statement":5}}]`)), false,
			role(func(r *Role) bool { return len(r.Inline) == 4 })},
		{"inline-encoded", one(roleFile(`,"RolePolicyList":[{"PolicyName":"a","PolicyDocument":"%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3AGetObject%22%2C%22Resource%22%3A%22%2A%22%7D%7D"},{"PolicyName":"b","PolicyDocument":"%7B%zz"},{"PolicyName":"c","PolicyDocument":""}]`)), false,
			role(func(r *Role) bool {
				return len(r.Inline) == 3 && r.Inline[0].State == Read && !r.Inline[0].Multiline && r.Inline[1].State == Unresolved && r.Inline[2].State == Unresolved
			})},
		{"inline-not-understood", one(roleFile(`,"RolePolicyList":[{"PolicyName":"a","PolicyDocument":
   {"Version":"2012-10-17",
    "Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Surprise":1}]}}]`)), false,
			role(func(r *Role) bool {
				return r.Inline[0].State == Read && r.Inline[0].Policy.Rules[0].NotUnderstood != ""
			})},
		{"condition-not-understood", one(roleFile(`,"RolePolicyList":[{"PolicyName":"a","PolicyDocument":
   {"Version":"2012-10-17",
    "Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringNearly":{"aws:PrincipalTag/a":"b"}}}]}}]`)), false,
			role(func(r *Role) bool { return r.Inline[0].State == Read })},
		{"boundary-wrong", one(roleFile(`,"PermissionsBoundary":"arn:aws:iam::444455556666:policy/b"`)), false,
			role(func(r *Role) bool { return r.InlineBoundary != nil && r.InlineBoundary.State == Unresolved })},
		{"boundary-null", one(roleFile(`,"PermissionsBoundary":null`)), false, role(func(r *Role) bool { return r.Boundary == nil && r.InlineBoundary == nil })},
		{"policy-missing", one(roleFile(`,"AttachedManagedPolicies":[{"PolicyName":"p","PolicyArn":"arn:aws:iam::aws:policy/P"},{"PolicyName":"p","PolicyArn":"arn:aws:iam::aws:policy/P"}],"PermissionsBoundary":{"PermissionsBoundaryArn":"arn:aws:iam::444455556666:policy/b"}`)), false, inventoried(true)},
		{"policy-no-default", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[{"Arn":"arn:aws:iam::444455556666:policy/p","PolicyVersionList":[{"VersionId":"v1","IsDefaultVersion":false,"Document":{}}]}]}`), false, inventoried(true)},
		{"role-twice", one(`{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[{"Arn":"arn:aws:iam::444455556666:role/r","AssumeRolePolicyDocument":` + trustDocument + `},{"Arn":"arn:aws:iam::444455556666:role/r","AssumeRolePolicyDocument":` + trustDocument + `}]}`), false, role(func(*Role) bool { return true })},
		{"truncated", one(`{"IsTruncated":true,"Marker":"x",` + noPrincipals[1:]), false, inventoried(false)},
		{"truncated-one-file", one(`{"IsTruncated":true,"Marker":"x",` + noPrincipals[1:] + noPrincipals), false, inventoried(true)},
		{"truncated-two-files", map[string]string{iam: `{"IsTruncated":true,` + noPrincipals[1:], "accounts/444455556666/iam-2.json": noPrincipals}, false, inventoried(true)},
		{"truncated-directory", map[string]string{"accounts/444455556666/iam/page-9.json": `{"IsTruncated":true,` + noPrincipals[1:], "accounts/444455556666/iam/page-10.json": noPrincipals}, false, inventoried(true)},
		{"other-account", one(strings.ReplaceAll(roleFile(""), "444455556666", "777788889999")), false, inventoried(false)},
		{"stray-files", map[string]string{iam: noPrincipals, "organisation.json": "{}", "accounts/444455556666/resource.jsonl": "", "accounts/prod/iam.json": "", "accounts/x.json": "", "README.md": "", "accounts/444455556666/notes.txt": ""}, false, inventoried(true)},
		{"organization-broken", map[string]string{iam: noPrincipals, "organization.json": `{"version":1,"id":"o-a","accounts":[{"id":"444455556666","kind":"member"},{"id":"7777`}, true,
			func(t *testing.T, s *Snapshot) {
				if s.Organization == nil || s.Organization.ID != "o-a" || len(s.Accounts) != 1 || s.Accounts[0].Kind != Member {
					t.Errorf("what stands in front of the break is lost: %+v %+v", s.Organization, s.Accounts)
				}
			}},
		{"organization-fields", map[string]string{iam: noPrincipals, "organization.json": `{"version":2,"colected":"x","id":"o-a","managementAccount":"1","accounts":[
  {"id":"444455556666","kind":"friend","partition":"azure","owner":"me"},
  {"id":"444455556666","kind":"member"},
  {"id":"12","kind":"member"},
  {"id":"777788889999","kind":"member","inventoried":true}],
 "ous":[{"name":"x"}],
 "scps":[{"name":"a","targets":"r-root","document":{"Statement":[]}},{"targets":[],"document":null}],
 "rcps":{}}`}, true, nil},
		{"organization-empty", map[string]string{iam: noPrincipals, "organization.json": `{}`}, true, nil},
		{"partly-inventoried", map[string]string{iam: noPrincipals, "organization.json": `{"version":1,"id":"o-a","scps":[],"rcps":[],"accounts":[{"id":"444455556666","kind":"member","inventoried":false}]}`}, false, inventoried(false)},
		{"not-listed", map[string]string{iam: noPrincipals, "organization.json": `{"version":1,"id":"o-a","scps":[],"rcps":[],"accounts":[]}`}, true, inventoried(true)},
		{"coverage", map[string]string{iam: noPrincipals, "accounts/111122223333/iam.json": noPrincipals, "accounts/111122223333/resources.jsonl": "", "shares.jsonl": ""}, true, nil},
		{"resources", map[string]string{iam: noPrincipals, "accounts/444455556666/resources.jsonl": strings.Join([]string{
			`{"arn":"arn:aws:s3:::good","type":"AWS::S3::Bucket","policy":null}`,
			``,
			`{"arn":"arn:aws:s3:::cut","type":"AWS::S3::Buck`,
			`{"arn":"arn:aws:s3:::no-policy","type":"AWS::S3::Bucket"}`,
			`{"arn":"arn:aws:s3:::denied","type":"AWS::S3::Bucket","policy":null,"error":"access was denied"}`,
			`{"arn":"arn:aws:s3:::broken","type":"AWS::S3::Bucket","policy":{"Statement":[{"Effect":"Allow"}]}}`,
			`{"arn":"arn:aws:s3:::string","type":"AWS::S3::Bucket","policy":"{\"Statement\":{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:*\",\"Resource\":\"*\"}}"}`,
			`{"arn":"arn:aws:s3:::good","type":"AWS::S3::Bucket","policy":null}`,
			`{"type":"AWS::S3::Bucket","policy":null}`,
			`{"arn":"arn:aws:s3:::else","account":"111122223333","type":"AWS::S3::Bucket","policy":null,"attributes":{"publicAccessBlock":"maybe","n":1e999}} x`,
			`{"arn":"arn:aws:s3:::other","account":"111122223333","policy":null,"attributes":{"publicAccessBlock":"maybe","n":1e999},"tags":{"a":1}}`,
			`null`,
		}, "\r\n")}, false, nil},
		{"facts", map[string]string{iam: noPrincipals,
			"providers.json": `[{"arn":"arn:aws:iam::444455556666:saml-provider/x","type":"ldap"},{"type":"oidc"},7,{"arn":"x","type":"oidc","registered":"yes"}`,
			"grants.jsonl":   "{\"keyArn\":\"k\",\"operations\":\"Decrypt\"}\n{\"grantId\":\"g\"}\n[]\n{\"keyArn\":\"k\",\"grantId\":\"g\"}\n{\"keyArn\":\"k\",\"grantId\":\"g\"}",
			"shares.jsonl":   "{\"kind\":\"RAM\",\"allowExternal\":\"yes\"}\n{\"with\":[\"all\",5]}",
			"usage.json":     `[{"time":"x"}, 5] []`,
			"gaps.json":      `[{"kind":"mystery","reason":"r"},{"kind":"region","subject":"444455556666/eu-west-1","source":{"line":-5,"page":2}}]`}, false, nil},
		{"shared-policies", map[string]string{iam: noPrincipals, "policies.json": `{"Policies":[],"RoleDetailList":[{"Arn":"arn:aws:iam::444455556666:role/r","AssumeRolePolicyDocument":` + trustDocument + `}]}`}, false,
			func(t *testing.T, s *Snapshot) {
				if len(s.Roles) != 0 {
					t.Errorf("policies.json brought roles: %+v", s.Roles)
				}
			}},
		{"copies-differ", map[string]string{
			"accounts/111122223333/iam.json": `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[{"Arn":"arn:aws:iam::aws:policy/P","DefaultVersionId":"v1","PolicyVersionList":[{"VersionId":"v1","Document":{"Statement":{"Effect":"Allow","Action":"a:B","Resource":"*"}}}]}]}`,
			"accounts/444455556666/iam.json": `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[{"Arn":"arn:aws:iam::aws:policy/P","DefaultVersionId":"v2","PolicyVersionList":[{"VersionId":"v2","Document":{"Statement":{"Effect":"Allow","Action":"a:C","Resource":"*"}}}]}]}`,
			"accounts/777788889999/iam.json": `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[],"Policies":[{"Arn":"arn:aws:iam::aws:policy/P","DefaultVersionId":"v1","PolicyVersionList":[{"VersionId":"v1","Document":{ "Statement": [{"Effect":"Allow","Action":["a:B"],"Resource":["*"]}]}}]}]}`}, false,
			func(t *testing.T, s *Snapshot) {
				if len(s.Policies) != 1 || s.Policies[0].Account != "" {
					t.Errorf("policies %+v, want one that belongs to nobody", s.Policies)
				}
			}},
	}
	var got strings.Builder
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := ReadFS(mapFS(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&got, "== %s\n%s\n", tt.name, gapText(s, tt.whole))
			if tt.check != nil {
				tt.check(t, s)
			}
		})
	}
	golden := filepath.Join("testdata", "gaps.txt")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the gaps differ from %s (run with -update and look at the difference):\n%s", golden, got.String())
	}
}

func TestNothingToRead(t *testing.T) {
	for name, files := range map[string]map[string]string{
		"nothing":            {},
		"other files":        {"README.md": "x", "package.json": "{}"},
		"accounts of nobody": {"accounts/x.txt": ""},
	} {
		if s, err := ReadFS(mapFS(files)); !errors.Is(err, ErrNothing) {
			t.Errorf("%s: error %v, snapshot %+v; want ErrNothing", name, err, s)
		}
	}
	if _, err := ReadDetails(mapFS(nil), nil); !errors.Is(err, ErrNothing) {
		t.Errorf("error %v, want ErrNothing", err)
	}
}

// The line of a statement in the file is found from the place of its document.
func TestPlaces(t *testing.T) {
	s, err := ReadFS(mapFS(map[string]string{"accounts/444455556666/iam.json": `{
  "RoleDetailList": [
    {"Arn": "arn:aws:iam::444455556666:role/a", "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [
      {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}},
    {
      "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}},
      "Arn": "arn:aws:iam::444455556666:role/b"
    }
  ], "UserDetailList": [], "GroupDetailList": []
}`}))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ role, document, statement string }{
		{"3:5", "3:77", "4:7"},
		{"5:5", "6:35", "6:74"},
	} {
		r := s.Roles[i]
		at := func(s Source) string { return fmt.Sprintf("%d:%d", s.Line, s.Column) }
		if got := at(r.Source); got != want.role {
			t.Errorf("%s at %s, want %s", r.ARN, got, want.role)
		}
		if got := at(r.Trust.Source); got != want.document {
			t.Errorf("trust policy of %s at %s, want %s", r.ARN, got, want.document)
		}
		if got := at(r.Trust.At(r.Trust.Policy.Document.Statements[0].Pos)); got != want.statement {
			t.Errorf("statement of %s at %s, want %s", r.ARN, got, want.statement)
		}
	}
}
