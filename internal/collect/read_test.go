package collect

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// answering is a configuration whose calls are answered by their operation's name, in JSON.
func answering(answers map[string]string) aws.Config {
	return aws.Config{
		Region:           "eu-west-1",
		RetryMaxAttempts: 1,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "AKIA", SecretAccessKey: "s"}, nil
		}),
		HTTPClient: doer(func(q *http.Request) (*http.Response, error) {
			operation := last(q.URL.Path)
			if target := q.Header.Get("X-Amz-Target"); target != "" {
				operation = target[strings.LastIndexByte(target, '.')+1:]
			}
			status, body := 200, answers[operation]
			if code, isError := strings.CutPrefix(body, "error "); isError {
				code, message, _ := strings.Cut(code, ": ")
				text, _ := json.Marshal(map[string]string{"__type": code, "message": message})
				status, body = 400, string(text)
			}
			header := http.Header{"Content-Type": {"application/x-amz-json-1.1"}}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), Request: q}, nil
		}),
	}
}

// readBy reads a row with given answers.
func readBy(t *testing.T, name string, answers map[string]string) *facts {
	t.Helper()
	i := slices.IndexFunc(rows, func(r Row) bool { return r.Name == name })
	if i < 0 {
		t.Fatal("no row ", name)
	}
	f := &facts{}
	task := &task{ctx: t.Context(), row: &rows[i], cfg: answering(answers), account: "111122223333", self: "role/Reader", part: "aws", region: "eu-west-1", facts: f}
	task.guard(func() { rows[i].read(task) })
	f.add(task)
	f.sort()
	return f
}

func TestLakeFormationSharesWhatOthersGet(t *testing.T) {
	const grants = `{"PrincipalResourcePermissions": [
		{"Principal": {"DataLakePrincipalIdentifier": "777788889999"}, "Resource": {"Table": {"CatalogId": "111122223333", "DatabaseName": "sales", "Name": "orders"}}, "Permissions": ["SELECT", "DESCRIBE"], "PermissionsWithGrantOption": ["SELECT"]},
		{"Principal": {"DataLakePrincipalIdentifier": "777788889999:IAMPrincipals"}, "Resource": {"Table": {"DatabaseName": "sales", "TableWildcard": {}}}, "Permissions": ["ALL"]},
		{"Principal": {"DataLakePrincipalIdentifier": "arn:aws:organizations::111122223333:organization/o-abcdefghij"}, "Resource": {"Database": {"Name": "sales"}}, "Permissions": ["DESCRIBE"]},
		{"Principal": {"DataLakePrincipalIdentifier": "arn:aws:iam::777788889999:role/analyst"}, "Resource": {"LFTagPolicy": {"ResourceType": "TABLE", "Expression": [{"TagKey": "team", "TagValues": ["a"]}]}}, "Permissions": ["SELECT"]},
		{"Principal": {"DataLakePrincipalIdentifier": "arn:aws:iam::111122223333:role/own"}, "Resource": {"Database": {"Name": "sales"}}, "Permissions": ["ALL"]},
		{"Principal": {"DataLakePrincipalIdentifier": "111122223333:IAMPrincipals"}, "Resource": {"Database": {"Name": "sales"}}, "Permissions": ["ALL"]},
		{"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Resource": {"Catalog": {}}, "Permissions": ["ALL"]}]}`
	settings := func(administrator string) string {
		return `{"DataLakeSettings": {"ReadOnlyAdmins": [{"DataLakePrincipalIdentifier": "` + administrator + `"}], "AllowExternalDataFiltering": true, "ExternalDataFilteringAllowList": [{"DataLakePrincipalIdentifier": "999900001111"}]}}`
	}
	f := readBy(t, "Lake Formation permissions", map[string]string{"ListPermissions": grants, "GetDataLakeSettings": settings("arn:aws:iam::111122223333:role/audit/Reader")})
	have, err := json.Marshal(f.shares)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[{"kind":"LakeFormation","arn":"arn:aws:glue:eu-west-1:111122223333:*","owner":"111122223333","with":["arn:aws:iam::777788889999:role/analyst"],"attributes":{"permissions":["SELECT"],"tables":"tables with tags: team=a"}},` +
		`{"kind":"LakeFormation","arn":"arn:aws:glue:eu-west-1:111122223333:database/sales","owner":"111122223333","with":["arn:aws:organizations::111122223333:organization/o-abcdefghij"],"attributes":{"permissions":["DESCRIBE"]}},` +
		`{"kind":"LakeFormation","arn":"arn:aws:glue:eu-west-1:111122223333:table/sales/*","owner":"111122223333","with":["777788889999"],"attributes":{"permissions":["ALL"],"tables":"all"}},` +
		`{"kind":"LakeFormation","arn":"arn:aws:glue:eu-west-1:111122223333:table/sales/orders","owner":"111122223333","with":["777788889999"],"attributes":{"grantable":["SELECT"],"permissions":["SELECT","DESCRIBE"]}}]`
	if string(have) != want {
		t.Errorf("have %s\nwant %s", have, want)
	}
	if len(f.gaps) != 0 {
		t.Errorf("the role is a read-only administrator: %+v", f.gaps)
	}
	if len(f.resources) != 1 || !slices.Contains(f.resources[0].Attributes["externalEngines"].([]string), "999900001111") {
		t.Errorf("%+v", f.resources)
	}

	f = readBy(t, "Lake Formation permissions", map[string]string{"ListPermissions": grants, "GetDataLakeSettings": settings("arn:aws:iam::111122223333:role/Other")})
	if len(f.gaps) != 1 || f.gaps[0].Code != "NotAdministrator" || len(f.shares) != 4 {
		t.Errorf("what the role sees is not all, and what it sees is kept: %d shares, %+v", len(f.shares), f.gaps)
	}
}

func TestGlueJoinsItsPolicies(t *testing.T) {
	own := `{"PolicyInJson": "{\"Statement\":[{\"Sid\":\"own\"}]}"}`
	list := `{"GetResourcePoliciesResponseList": [{"PolicyInJson": "{\"Statement\":[{\"Sid\":\"own\"}]}"}, {"PolicyInJson": "{\"Statement\":{\"Sid\":\"ram\"}}"}]}`
	for name, c := range map[string]struct {
		own, list, policy string
		failed, gaps      bool
	}{
		"both":            {own, list, `{"Statement":[{"Sid":"own"},{"Sid":"ram"}],"Version":"2012-10-17"}`, false, false},
		"none":            {"error EntityNotFoundException: no", `{}`, "", false, false},
		"list alone":      {"error EntityNotFoundException: no", list, `{"Statement":[{"Sid":"own"},{"Sid":"ram"}],"Version":"2012-10-17"}`, false, false},
		"list denied":     {own, "error AccessDeniedException: no", "null", true, true},
		"own denied":      {"error AccessDeniedException: no", list, "null", true, true},
		"all denied":      {"error AccessDeniedException: no", "error AccessDeniedException: no", "", false, true},
		"one that breaks": {`{"PolicyInJson": "{"}`, list, "null", true, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := readBy(t, "Glue data catalog", map[string]string{"GetResourcePolicy": c.own, "GetResourcePolicies": c.list})
			if (len(f.gaps) > 0) != c.gaps {
				t.Errorf("%+v", f.gaps)
			}
			if len(f.resources) == 0 {
				if c.policy != "" {
					t.Error("no line")
				}
				return
			}
			have, err := json.Marshal(f.resources[0].Policy)
			if err != nil || string(have) != c.policy || (f.resources[0].Error != nil) != c.failed {
				t.Errorf("%s (%v), %v", have, err, f.resources[0].Error)
			}
		})
	}
}

// TestOnlyTheWordsSayNone: SageMaker answers ValidationException for a group without a policy and for whatever else it does not like.
func TestOnlyTheWordsSayNone(t *testing.T) {
	for message, failed := range map[string]bool{"Cannot find resource policy for: g": false, "1 validation error detected": true} {
		f := readBy(t, "SageMaker model package group, lineage group", map[string]string{
			"ListModelPackageGroups": `{"ModelPackageGroupSummaryList": [{"ModelPackageGroupName": "g", "ModelPackageGroupArn": "arn:aws:sagemaker:eu-west-1:111122223333:model-package-group/g"}]}`,
			"ListLineageGroups":      `{"LineageGroupSummaries": []}`, "GetModelPackageGroupPolicy": "error ValidationException: " + message,
		})
		if len(f.resources) != 1 || len(f.gaps) != 0 || (f.resources[0].Error != nil) != failed {
			t.Errorf("%s: %+v, %+v", message, f.resources, f.gaps)
		}
	}
}

// TestHiddenSnapshotIsNotPublic: what Block Public Access hides is shared with those alone that are named, and is not forgotten; where its state is not known it is public.
func TestHiddenSnapshotIsNotPublic(t *testing.T) {
	const snapshot = `<DescribeSnapshotsResponse><snapshotSet><item><snapshotId>snap-1</snapshotId></item></snapshotSet></DescribeSnapshotsResponse>`
	const shared = `<DescribeSnapshotAttributeResponse><createVolumePermission><item><group>all</group></item><item><userId>777788889999</userId></item></createVolumePermission></DescribeSnapshotAttributeResponse>`
	state := func(s string) string {
		return `<GetSnapshotBlockPublicAccessStateResponse><state>` + s + `</state></GetSnapshotBlockPublicAccessStateResponse>`
	}
	for answer, want := range map[string]string{
		state("block-all-sharing"): "777788889999",
		state("block-new-sharing"): "all,777788889999",
		state("unblocked"):         "all,777788889999",
		"denied":                   "all,777788889999",
	} {
		i := slices.IndexFunc(rows, func(r Row) bool { return r.Name == "EBS snapshot" })
		cfg := answering(nil)
		cfg.HTTPClient = doer(func(q *http.Request) (*http.Response, error) {
			text, err := io.ReadAll(q.Body)
			if err != nil {
				return nil, err
			}
			status, body := 200, answer
			switch {
			case strings.Contains(string(text), "Action=DescribeSnapshots&"):
				body = snapshot
			case strings.Contains(string(text), "Action=DescribeSnapshotAttribute&"):
				body = shared
			case answer == "denied":
				status, body = 403, `<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>no</Message></Error></Errors></Response>`
			}
			return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: q}, nil
		})
		f := &facts{}
		task := &task{ctx: t.Context(), row: &rows[i], cfg: cfg, account: "111122223333", part: "aws", region: "eu-west-1", facts: f}
		rows[i].read(task)
		f.add(task)
		if len(f.shares) != 1 || strings.Join(f.shares[0].With, ",") != want {
			t.Errorf("%s: %+v", answer, f.shares)
		}
		if hidden := strings.Contains(answer, "block-all"); (len(f.resources) == 1) != hidden {
			t.Errorf("%s: %+v", answer, f.resources)
		}
		if (len(f.gaps) == 1) != (answer == "denied") {
			t.Errorf("%s: %+v", answer, f.gaps)
		}
	}
}
