package awsconfig

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"drawbridge/internal/snapshot"
)

const (
	trust   = `%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Principal%22%3A%7B%22AWS%22%3A%22999988887777%22%7D%2C%22Action%22%3A%22sts%3AAssumeRole%22%7D%7D`
	policy  = `{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"999988887777\"},\"Action\":\"s3:GetObject\",\"Resource\":\"arn:aws:s3:::orders/*\"}]}`
	envFile = `{"fileVersion": "1.0", "configSnapshotId": "5f2a", "configurationItems": [%s]}`
)

// item is a whole item as AWS Config delivers it.
func whole(typ, arn, captured, status, configuration, supplementary string) string {
	name := arn[strings.LastIndexAny(arn, ":/")+1:]
	return fmt.Sprintf(`{"configurationItemVersion": "1.3", "configurationItemCaptureTime": %q, "configurationStateId": 1, "awsAccountId": "111122223333", "configurationItemStatus": %q, "resourceType": %q, "resourceId": %q, "resourceName": %q, "ARN": %q, "awsRegion": "eu-west-1", "tags": {"team": "web"}, "configuration": %s, "supplementaryConfiguration": %s}`,
		captured, status, typ, name, name, arn, configuration, supplementary)
}

const roleARN = "arn:aws:iam::111122223333:role/ci/deploy"

func role(captured, trust string) string {
	return whole("AWS::IAM::Role", roleARN, captured, "OK", `{"path": "/ci/", "roleName": "deploy", "roleId": "AROAEXAMPLE0000000001", "arn": "`+roleARN+`", "createDate": "2026-01-02T03:04:05.000Z", "assumeRolePolicyDocument": "`+trust+`", "instanceProfileList": [], "rolePolicyList": [{"policyName": "p", "policyDocument": "%7B%22Statement%22%3A%5B%5D%7D"}], "attachedManagedPolicies": [{"policyName": "mine", "policyArn": "arn:aws:iam::111122223333:policy/mine"}]}`, `{}`)
}

func read(t *testing.T, o Options, files ...string) *snapshot.Snapshot {
	t.Helper()
	fsys := fstest.MapFS{}
	var names []string
	for i, text := range files {
		name := fmt.Sprintf("f%d.json", i)
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
		names = append(names, name)
		if !Is([]byte(text)[:min(len(text), 4096)]) {
			t.Errorf("%s is not recognised: %.200s", name, text)
		}
	}
	s, err := Read(fsys, names, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func gaps(s *snapshot.Snapshot, text string) (n int) {
	for _, g := range s.Gaps {
		if strings.Contains(g.Subject+" "+g.Reason, text) {
			n++
		}
	}
	return n
}

// TestDelivered reads what AWS Config delivers to a bucket.
func TestDelivered(t *testing.T) {
	items := strings.Join([]string{
		role("2026-11-01T00:00:00.000Z", trust),
		whole("AWS::IAM::Policy", "arn:aws:iam::111122223333:policy/mine", "2026-11-01T00:00:00.000Z", "ResourceDiscovered", `{"policyName": "mine", "defaultVersionId": "v2", "policyVersionList": [{"document": "%7B%22Statement%22%3A%5B%5D%7D", "versionId": "v1", "isDefaultVersion": false}, {"document": "%7B%22Statement%22%3A%7B%22Effect%22%3A%22Allow%22%2C%22Action%22%3A%22s3%3A%2A%22%2C%22Resource%22%3A%22%2A%22%7D%7D", "versionId": "v2", "isDefaultVersion": true}]}`, `{}`),
		whole("AWS::IAM::User", "arn:aws:iam::111122223333:user/eve", "2026-11-01T00:00:00.000Z", "OK", `{"userName": "eve", "userId": "AIDAEXAMPLE0000000001", "path": "/", "groupList": ["ops"], "userPolicyList": null, "attachedManagedPolicies": [], "permissionsBoundary": {"permissionsBoundaryArn": "arn:aws:iam::111122223333:policy/mine", "permissionsBoundaryType": "Policy"}}`, `{}`),
		whole("AWS::S3::Bucket", "arn:aws:s3:::orders", "2026-11-01T00:00:00.000Z", "OK", `{"name": "orders"}`, `{"BucketPolicy": "{\"policyText\": \"`+strings.ReplaceAll(policy, `\`, `\\\`)+`\"}", "PublicAccessBlockConfiguration": "{\"blockPublicAcls\":true,\"ignorePublicAcls\":true,\"blockPublicPolicy\":true,\"restrictPublicBuckets\":true}"}`),
		whole("AWS::S3::Bucket", "arn:aws:s3:::plain", "2026-11-01T00:00:00.000Z", "OK", `{"name": "plain"}`, `{"BucketPolicy": {"policyText": null}}`),
		whole("AWS::S3::Bucket", "arn:aws:s3:::silent", "2026-11-01T00:00:00.000Z", "OK", `{"name": "silent"}`, `{}`),
		whole("AWS::KMS::Key", "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", "2026-11-01T00:00:00.000Z", "OK", `{"keyId": "1234abcd-12ab-34cd-56ef-1234567890ab"}`, `{"Policy": "{\"Statement\": []}"}`),
		whole("AWS::SecretsManager::Secret", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3", "2026-11-01T00:00:00.000Z", "OK", `{}`, `{}`),
		whole("AWS::SQS::Queue", "arn:aws:sqs:eu-west-1:111122223333:gone", "2026-11-01T00:00:00.000Z", "ResourceDeleted", `null`, `{}`),
		whole("AWS::EC2::Volume", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1", "2026-11-01T00:00:00.000Z", "OK", `{"size": 1}`, `{}`),
	}, ",\n")
	s := read(t, Options{}, fmt.Sprintf(envFile, items))
	if len(s.Accounts) != 1 || len(s.Roles) != 1 || len(s.Users) != 1 || len(s.Policies) != 1 || len(s.Resources) != 5 {
		t.Fatalf("%d accounts, %d roles, %d users, %d policies, %d resources\n%+v", len(s.Accounts), len(s.Roles), len(s.Users), len(s.Policies), len(s.Resources), s.Gaps)
	}
	r := s.Roles[0]
	if r.ARN != roleARN || r.Name != "deploy" || r.Path != "/ci/" || r.UniqueID != "AROAEXAMPLE0000000001" || r.Trust.State != snapshot.Read || len(r.Trust.Policy.Rules) != 1 || len(r.Inline) != 1 || len(r.Attached) != 1 || r.Tags["team"] != "web" || r.Boundary != nil || r.InlineBoundary != nil || r.Source.Line != 1 {
		t.Errorf("the role: %+v", r)
	}
	if u := s.Users[0]; u.Boundary == nil || u.Boundary.ARN != "arn:aws:iam::111122223333:policy/mine" || len(u.Groups) != 1 {
		t.Errorf("the user: %+v", u)
	}
	if p := s.Policies[0]; p.Document.State != snapshot.Read || len(p.Document.Policy.Rules) != 1 {
		t.Errorf("the default version: %+v", p)
	}
	states := map[string]snapshot.DocumentState{}
	for _, x := range s.Resources {
		states[x.ARN] = x.Policy.State
		if x.ARN == "arn:aws:s3:::orders" && x.Attributes.PublicAccessBlock != "on" {
			t.Errorf("the block: %+v", x.Attributes)
		}
	}
	for arn, want := range map[string]snapshot.DocumentState{
		"arn:aws:s3:::orders": snapshot.Read, "arn:aws:s3:::plain": snapshot.None,
		"arn:aws:s3:::silent": snapshot.Unresolved, // what is not in the item is not known, and never none
		"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab": snapshot.Read,
		"arn:aws:secretsmanager:eu-west-1:111122223333:secret:db-a1b2c3":              snapshot.Unresolved,
	} {
		if got, there := states[arn]; !there || got != want {
			t.Errorf("%s: the policy is %v, want %v", arn, got, want)
		}
	}
	for _, text := range []string{"no organisation", "AWS Config does not say which types and regions it recorded", "principals may exist that are not listed", "does not record the policy of AWS::SecretsManager::Secret"} {
		if gaps(s, text) == 0 {
			t.Errorf("no gap says %q: %+v", text, s.Gaps)
		}
	}
}

// TestHistory: of each resource the newest counts, wherever it stands, and what was deleted last is gone.
func TestHistory(t *testing.T) {
	newer := strings.ReplaceAll(trust, "999988887777", "555566667777")
	for _, files := range [][]string{
		{fmt.Sprintf(envFile, role("2026-11-01T00:00:00.000Z", trust)), fmt.Sprintf(envFile, role("2026-11-02T00:00:00.000Z", newer))},
		{fmt.Sprintf(envFile, role("2026-11-02T00:00:00.000Z", newer)), fmt.Sprintf(envFile, role("2026-11-01T00:00:00.000Z", trust))},
	} {
		s := read(t, Options{}, files...)
		if len(s.Roles) != 1 || !strings.Contains(fmt.Sprint(s.Roles[0].Trust.Policy.Document.Statements[0].Principal), "555566667777") {
			t.Errorf("the newest: %+v", s.Roles)
		}
	}
	deleted := whole("AWS::IAM::Role", roleARN, "2026-11-03T00:00:00.000Z", "ResourceDeleted", "null", "{}")
	if s := read(t, Options{}, fmt.Sprintf(envFile, deleted+","+role("2026-11-01T00:00:00.000Z", trust))); len(s.Roles) != 0 {
		t.Errorf("what was deleted: %+v", s.Roles)
	}
	if s := read(t, Options{}, fmt.Sprintf(envFile, whole("AWS::IAM::Role", roleARN, "2026-10-03T00:00:00.000Z", "ResourceDeleted", "null", "{}")+","+role("2026-11-01T00:00:00.000Z", trust))); len(s.Roles) != 1 {
		t.Errorf("what was made again: %+v", s.Roles)
	}
}

// TestUnordered: where nothing tells which of two items is newer, the answer does not depend on their order, what may be there counts, and a gap says so.
func TestUnordered(t *testing.T) {
	const when = "2026-11-01T00:00:00.000Z"
	there, gone := role(when, trust), whole("AWS::IAM::Role", roleARN, when, "ResourceDeleted", "null", "{}")
	for _, items := range []string{there + "," + gone, gone + "," + there} {
		if s := read(t, Options{}, fmt.Sprintf(envFile, items)); len(s.Roles) != 1 || s.Roles[0].Trust.State != snapshot.Read || gaps(s, "once as deleted and once as there") != 1 {
			t.Errorf("deleted at the time it was recorded: %+v %+v", s.Roles, s.Gaps)
		}
	}
	row := fmt.Sprintf(`{"Results": [%q]}`, `{"arn": "`+roleARN+`", "accountId": "111122223333", "configuration": {"assumeRolePolicyDocument": "`+strings.ReplaceAll(trust, "999988887777", "555566667777")+`", "rolePolicyList": [], "attachedManagedPolicies": []}}`)
	for _, files := range [][]string{{fmt.Sprintf(envFile, there), row}, {row, fmt.Sprintf(envFile, there)}} {
		s := read(t, Options{}, files...)
		if len(s.Roles) != 1 || !strings.Contains(fmt.Sprint(s.Roles[0].Trust.Policy.Document.Statements[0].Principal), "999988887777") || gaps(s, "with the time of its recording and without") != 1 {
			t.Errorf("with a time and without: %+v %+v", s.Roles, s.Gaps)
		}
	}
}

// TestChange reads a change that AWS Config put into the bucket because it was too large for a message.
func TestChange(t *testing.T) {
	s := read(t, Options{}, `{"configurationItemDiff": {"changeType": "UPDATE"}, "configurationItem": `+role("2026-11-01T00:00:00.000Z", trust)+`, "messageType": "ConfigurationItemChangeNotification", "recordVersion": "1.3"}`)
	if len(s.Roles) != 1 || s.Roles[0].Trust.State != snapshot.Read || s.Roles[0].InlineBoundary != nil {
		t.Errorf("read %+v %+v", s.Roles, s.Gaps)
	}
}

// TestUnplaced: ways in that are no policy are counted by a gap, not passed over.
func TestUnplaced(t *testing.T) {
	const when = "2026-11-01T00:00:00.000Z"
	distribution := func(id, configuration string) string {
		return whole("AWS::CloudFront::Distribution", "arn:aws:cloudfront::111122223333:distribution/"+id, when, "OK", configuration, "{}")
	}
	peering := "arn:aws:ec2:eu-west-1:111122223333:vpc-peering-connection/pcx-"
	s := read(t, Options{}, fmt.Sprintf(envFile, strings.Join([]string{
		whole("AWS::EC2::VPCPeeringConnection", peering+"1", when, "OK", "{}", "{}"), whole("AWS::EC2::VPCPeeringConnection", peering+"2", when, "OK", "{}", "{}"),
		whole("AWS::EC2::VPCPeeringConnection", peering+"3", when, "ResourceDeleted", "null", "{}"),
		distribution("E1", `{"activeTrustedSigners": {"enabled": true, "quantity": 1}}`), distribution("E2", `{"activeTrustedSigners": {"enabled": false, "quantity": 0}}`), distribution("E3", `{}`),
	}, ",")))
	if len(s.Resources) != 0 || gaps(s, "AWS::EC2::VPCPeeringConnection there are 2: networks joined") != 1 || gaps(s, "AWS::CloudFront::Distribution there are 2: accounts") != 1 {
		t.Errorf("read %+v %+v", s.Resources, s.Gaps)
	}
}

// TestTypes holds the table against the list of resource types: what AWS Config records of it is in the table, and a policy that it is said to record is read.
func TestTypes(t *testing.T) {
	text, err := os.ReadFile("../../../../shared/reference/resource-types.json")
	if err != nil {
		t.Skip("the list of resource types is not here")
	}
	var list struct {
		Types []struct{ Name, Type, Config string }
	}
	if err := json.Unmarshal(text, &list); err != nil {
		t.Fatal(err)
	}
	as := make(map[string]*record)
	for i := range table {
		if r := &table[i]; as[r.snapshotType()] == nil || r.policy != "" {
			as[r.snapshotType()] = r
		}
	}
	for typ, recorded := range map[string]string{ // under other names
		"AWS::CodeArtifact::Domain": "AWS::CodeArtifact::Repository", "AWS::EC2::VPCEndpointServicePermissions": "AWS::EC2::VPCEndpointService", "(roles)": "AWS::IAM::Role",
	} {
		as[typ] = byType[recorded]
	}
	checked := 0
	for _, x := range list.Types {
		if x.Config == "no" {
			continue
		}
		checked++
		r := as[x.Type]
		if r == nil {
			t.Errorf("%s (%s): %q, and no record", x.Type, x.Name, x.Config)
			continue
		}
		_, where, named := strings.Cut(x.Config, "yes: ")
		if where, _, _ = strings.Cut(where, " "); named && !strings.EqualFold(where, r.policy) && byType[where] == nil {
			t.Errorf("%s: the policy is at %s, and is read at %q", x.Type, where, r.policy)
		}
	}
	if checked < 30 {
		t.Errorf("%d types were looked at", checked)
	}
}

// TestQuery reads results of advanced queries: rows as text, without types and times, and with fields that nobody selected.
func TestQuery(t *testing.T) {
	row := func(s string) string { return fmt.Sprintf("%q", s) }
	role := `{"arn": "` + roleARN + `", "accountId": "111122223333", "configuration": {"assumeRolePolicyDocument": "` + trust + `", "rolePolicyList": [], "attachedManagedPolicies": []}}`
	s := read(t, Options{}, `{"Results": [`+row(role)+`, `+row(`{"resourceId": "orders", "resourceName": "orders", "resourceType": "AWS::S3::Bucket", "accountId": "111122223333", "supplementaryConfiguration": {"BucketPolicy": {"policyText": "`+policy+`"}}}`)+`], "QueryInfo": {"SelectFields": [{"Name": "arn"}, {"Name": "configuration.assumeRolePolicyDocument"}]}}`)
	if len(s.Roles) != 1 || s.Roles[0].Trust.State != snapshot.Read || len(s.Resources) != 1 || s.Resources[0].ARN != "arn:aws:s3:::orders" || s.Resources[0].Policy.State != snapshot.Read {
		t.Fatalf("read %+v %+v", s.Roles, s.Resources)
	}
	// The query did not ask for boundaries: that there is none is not concluded.
	if s.Roles[0].InlineBoundary == nil || gaps(s, "permissionsBoundary") == 0 {
		t.Errorf("a boundary that nobody asked for: %+v", s.Roles[0])
	}
	s = read(t, Options{}, `{"Results": [`+row(role)+`], "QueryInfo": {"SelectFields": [{"Name": "arn"}, {"Name": "configuration"}]}}`)
	if s.Roles[0].InlineBoundary != nil {
		t.Errorf("a boundary that was asked for and is not there: %+v", s.Roles[0])
	}
	s = read(t, Options{}, `{"Results": [`+row(`{"arn": "`+roleARN+`", "configuration": {}}`)+`], "NextToken": "x"}`)
	if s.Roles[0].Trust.State != snapshot.Unresolved || len(s.Roles[0].Inline) == 0 || gaps(s, "more pages") != 1 || gaps(s, "select it in the query") == 0 {
		t.Errorf("what was not selected: %+v %+v", s.Roles[0], s.Gaps)
	}
	s = read(t, Options{Account: "111122223333"}, `{"Results": [`+row(`{"resourceName": "jobs", "resourceType": "AWS::SQS::Queue", "awsRegion": "eu-west-1", "configuration": {"Policy": ""}}`)+`]}`)
	if len(s.Resources) != 1 || s.Resources[0].ARN != "arn:aws:sqs:eu-west-1:111122223333:jobs" || s.Resources[0].Policy.State != snapshot.None {
		t.Errorf("with an account that was given: %+v", s.Resources)
	}
	s = read(t, Options{}, `{"Results": [`+row(role)+`, `+row(`{"resourceName": "jobs", "resourceType": "AWS::SQS::Queue"}`)+`, "{", 7]}`)
	if gaps(s, "names no account") != 1 || gaps(s, "could not be read") != 1 || gaps(s, "expected an item") != 1 || len(s.Roles) != 1 {
		t.Errorf("rows that cannot be used: %+v", s.Gaps)
	}
}

// TestPacked: files lie packed in a bucket.
func TestPacked(t *testing.T) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprintf(w, envFile, role("2026-11-01T00:00:00.000Z", trust))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name := "AWSLogs/111122223333/Config/eu-west-1/2026/11/1/ConfigSnapshot/111122223333_Config_eu-west-1_ConfigSnapshot_20261101T120000Z_5f2a.json.gz"
	s, err := Read(fstest.MapFS{name: {Data: b.Bytes()}}, []string{name}, Options{})
	if err != nil || len(s.Roles) != 1 || !s.Accounts[0].Collected.Equal(time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)) {
		t.Fatalf("read %+v, error %v", s, err)
	}
	cut := b.Bytes()[:b.Len()-12]
	s, err = Read(fstest.MapFS{name: {Data: cut}, "good.json": {Data: fmt.Appendf(nil, envFile, whole("AWS::SQS::Queue", "arn:aws:sqs:eu-west-1:111122223333:q", "2026-11-01T00:00:00.000Z", "OK", `{"Policy": null}`, "{}"))}}, []string{name, "good.json"}, Options{})
	if err != nil || gaps(s, "nothing after this place was read") == 0 || len(s.Resources) != 1 {
		t.Errorf("a file that is cut: %+v, error %v", s, err)
	}
	for text, why := range map[string]string{
		`{"configurationItems": []}`:   "no configuration item",
		`{"configurationItem": null}`:  "neither resourceType nor an arn",
		`{"configurationItems": [{}]}`: "neither resourceType nor an arn",
		`{"Results": ["{\"resourceType\": \"AWS::SQS::Queue\", \"resourceName\": \"q\"}"]}`: "give --account",
	} {
		if _, err := Read(fstest.MapFS{"a.json": {Data: []byte(text)}}, []string{"a.json"}, Options{}); !errors.Is(err, ErrNothing) || !strings.Contains(err.Error(), why) {
			t.Errorf("nothing in %s: %v", text, err)
		}
	}
}

// TestIs: what is another form is not taken for one of AWS Config.
func TestIs(t *testing.T) {
	for _, text := range []string{``, `{`, `[]`, `{"UserDetailList": []}`, `{"version": 4, "terraform_version": "1"}`, `{"Resources": {}}`, `{"arn": "x"}`, `{"Results": 1}`, `["a"]`, "Resources: {}"} {
		if Is([]byte(text)) {
			t.Errorf("%s is taken for a file of AWS Config", text)
		}
	}
}

// FuzzRead: whatever the file, nothing panics, and what is read has ARNs.
func FuzzRead(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(envFile, role("2026-11-01T00:00:00.000Z", trust))))
	f.Add([]byte(`{"Results": ["{\"arn\": \"arn:aws:iam::111122223333:role/x\"}"], "QueryInfo": {}}`))
	f.Add([]byte(`[{"resourceType": "AWS::KMS::Key", "accountId": "111122223333"}]`))
	f.Fuzz(func(t *testing.T, text []byte) {
		Is(text)
		s, err := Read(fstest.MapFS{"f.json": {Data: text}}, []string{"f.json"}, Options{Account: "111122223333"})
		if err != nil {
			return
		}
		for _, r := range s.Resources {
			if !strings.HasPrefix(r.ARN, "arn:") || r.Account == "" {
				t.Errorf("read %+v", r)
			}
		}
	})
}

// TestDocs holds the table of docs/import-config.md to the one that is read by.
func TestDocs(t *testing.T) {
	text, err := os.ReadFile("../../../docs/import-config.md")
	if err != nil {
		t.Fatal(err)
	}
	const from, to = "<!-- types: from the table of internal/ingest/awsconfig -->\n", "<!-- end of types -->"
	_, rest, ok := strings.Cut(string(text), from)
	old, _, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		t.Fatal("the page has no place for the table")
	}
	if old == Table() {
		return
	}
	if os.Getenv("UPDATE_DOCS") == "" {
		t.Fatal("the table of docs/import-config.md is another one (UPDATE_DOCS=1 go test ./internal/ingest/awsconfig -run Docs writes it anew)")
	}
	if err := os.WriteFile("../../../docs/import-config.md", []byte(strings.Replace(string(text), from+old+to, from+Table()+to, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestMeasure reads a generated file of the size that DRAWBRIDGE_MEASURE gives in MiB, in a process of its own, and prints its memory.
func TestMeasure(t *testing.T) {
	size := os.Getenv("DRAWBRIDGE_MEASURE")
	if size == "" {
		t.Skip("DRAWBRIDGE_MEASURE gives the size in MiB")
	}
	var mib int
	if _, err := fmt.Sscan(size, &mib); err != nil {
		t.Fatal(err)
	}
	name := os.Getenv("DRAWBRIDGE_MEASURE_FILE")
	if name == "" {
		name = t.TempDir() + "/config.json"
		f, err := os.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, `{"fileVersion": "1.0", "configurationItems": [`)
		// As in life: most items are of types that let nobody in, and have much to say.
		volume := whole("AWS::EC2::Volume", "arn:aws:ec2:eu-west-1:111122223333:volume/vol-%d", "2026-11-01T00:00:00.000Z", "OK", `{"size": 1, "more": "`+strings.Repeat("x", 3000)+`"}`, `{}`)
		written, i := 0, 0
		for ; written < mib<<20; i++ {
			text := strings.ReplaceAll(volume, "vol-%d", fmt.Sprint("vol-", i))
			if i%20 == 0 {
				text = strings.ReplaceAll(role("2026-11-01T00:00:00.000Z", trust), "deploy", fmt.Sprint("deploy-", i))
			}
			if i > 0 {
				text = ",\n" + text
			}
			n, err := f.WriteString(text)
			if err != nil {
				t.Fatal(err)
			}
			written += n
		}
		fmt.Fprint(f, "]}")
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		c := exec.Command(os.Args[0], "-test.run", "^TestMeasure$", "-test.v")
		c.Env = append(os.Environ(), "DRAWBRIDGE_MEASURE_FILE="+name)
		out, err := c.CombinedOutput()
		t.Logf("%d MiB, %d items: %s", mib, i, out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	dir, base := name[:strings.LastIndexByte(name, '/')], name[strings.LastIndexByte(name, '/')+1:]
	start := time.Now()
	s, err := Read(os.DirFS(dir), []string{base}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	peak, _, _ = strings.Cut(peak, "\n")
	t.Logf("%d roles in %v, at most %s of memory", len(s.Roles), time.Since(start).Round(time.Millisecond), strings.TrimSpace(peak))
}
