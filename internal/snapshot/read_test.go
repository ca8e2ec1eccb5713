package snapshot

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// The order in which accounts are read does not show: with one worker and with many, the written form is the same.
func TestReadingIsDeterministic(t *testing.T) {
	files := map[string]string{"organization.json": docExamples(t)["organization.json"]}
	for i := range 40 {
		id := fmt.Sprintf("1%011d", i)
		files["accounts/"+id+"/iam.json"] = `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[` + generatedRole(id, i) + `,` + generatedRole(id, i%3) + `,{"Arn":5}]}`
		files["accounts/"+id+"/resources.jsonl"] = `{"arn":"arn:aws:s3:::shared-` + fmt.Sprint(i%5) + `","type":"AWS::S3::Bucket","policy":null}`
	}
	read := func(workers int) string {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(workers))
		s, err := ReadFS(mapFS(files))
		if err != nil {
			t.Fatal(err)
		}
		all := written(t, s)
		return fmt.Sprint(all) // a map prints in the order of its keys
	}
	one := read(1)
	for range 5 {
		if many := read(8); many != one {
			t.Fatal(firstDifference(one, many))
		}
	}
}

// An account's files may lie in its directory or beside it, and add up.
func TestFactsAddUp(t *testing.T) {
	s, err := ReadFS(mapFS(map[string]string{
		"accounts/444455556666/iam.json":        noPrincipals,
		"accounts/444455556666/resources.jsonl": `{"arn":"arn:aws:s3:::a","type":"AWS::S3::Bucket","policy":null}`,
		"accounts/444455556666/providers.json":  `[{"arn":"p","type":"saml"}]`,
		"accounts/444455556666/shares.jsonl":    `{"kind":"AMI","with":["all"]}`,
		"accounts/444455556666/gaps.json":       `[{"kind":"region","subject":"444455556666/eu-west-1","reason":"denied"}]`,
		"resources.jsonl":                       `{"arn":"arn:aws:s3:::b","account":"111122223333","type":"AWS::S3::Bucket","policy":null}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Resources) != 2 || s.Resources[0].Account != "444455556666" || s.Resources[1].Account != "111122223333" {
		t.Errorf("resources %+v", s.Resources)
	}
	if len(s.Providers) != 1 || s.Providers[0].Account != "444455556666" || len(s.Shares) != 1 || s.Shares[0].Owner != "444455556666" {
		t.Errorf("providers %+v, shares %+v: the account is that of the directory", s.Providers, s.Shares)
	}
	if !hasGapOf(s, GapRegion, "444455556666") {
		t.Errorf("gaps %+v: the account's own gap is not there", s.Gaps)
	}
}

// All partitions are read, and an account is in the one that its ARNs name.
func TestPartitions(t *testing.T) {
	for _, partition := range []string{"aws", "aws-cn", "aws-us-gov"} {
		text := strings.ReplaceAll(roleFile(""), "arn:aws:", "arn:"+partition+":")
		s, err := ReadFS(mapFS(map[string]string{"accounts/444455556666/iam.json": text}))
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Accounts) != 1 || s.Accounts[0].Partition != partition || len(s.Roles) != 1 {
			t.Errorf("%s: accounts %+v, roles %d", partition, s.Accounts, len(s.Roles))
		}
	}
}
