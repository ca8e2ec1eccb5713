package remedy

import (
	"slices"
	"strings"
	"testing"

	"drawbridge/iam/policy"
	"drawbridge/internal/access"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

const vendor = "777788889999"

// offboarded is an organisation in which a vendor has one of everything.
func offboarded(withVendor bool) *access.Graph {
	doc := func(text string) snapshot.Document {
		return snapshot.Document{Name: "policy", State: snapshot.Read, Policy: policy.MustParse(text)}
	}
	trust, bucket := `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"sts:AssumeRole"}}`, `{"Statement":{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::data/*"}}`
	only := `{"Statement":{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}}`
	if withVendor {
		trust = strings.Replace(trust, `"111122223333"`, `["111122223333","`+old+`"]`, 1)
		bucket = strings.Replace(bucket, `"111122223333"`, `["111122223333","`+vendor+`"]`, 1)
		only = `{"Statement":{"Effect":"Allow","Principal":{"AWS":"` + vendor + `"},"Action":"sts:AssumeRole"}}`
	}
	own := "444455556666"
	s := &snapshot.Snapshot{
		Accounts: []snapshot.Account{{ID: own, Kind: snapshot.Member, Partition: "aws", Inventoried: true}},
		Roles: []snapshot.Role{
			{Principal: snapshot.Principal{ARN: role, Name: "deploy", Account: own}, Trust: doc(trust)},
			{Principal: snapshot.Principal{ARN: "arn:aws:iam::444455556666:role/vendor", Name: "vendor", Account: own}, Trust: doc(only)},
		},
		Resources: []snapshot.Resource{{ARN: "arn:aws:s3:::data", Type: "AWS::S3::Bucket", Account: own, Policy: doc(bucket)}},
	}
	if withVendor {
		s.KMSGrants = []snapshot.KMSGrant{{Key: "arn:aws:kms:eu-west-1:444455556666:key/1", ID: "g-1", Grantee: old, Operations: []string{"Decrypt"}}}
		s.Shares = []snapshot.Share{{Kind: "EBSSnapshot", ARN: "arn:aws:ec2:eu-west-1::snapshot/snap-1", Owner: own, With: []string{vendor}}}
	}
	return access.Build(org.Build(s), access.Options{})
}

func TestOffboard(t *testing.T) {
	plan := Offboard(offboarded(true), []string{vendor})
	var got []string
	for _, s := range plan {
		got = append(got, string(s.Kind)+" "+s.Target)
	}
	want := []string{
		"trust " + role, "trust arn:aws:iam::444455556666:role/vendor", "sessions " + role, "sessions arn:aws:iam::444455556666:role/vendor",
		"resource policy arn:aws:s3:::data", "KMS grant arn:aws:kms:eu-west-1:444455556666:key/1", "share arn:aws:ec2:eu-west-1::snapshot/snap-1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	for _, s := range plan {
		if len(s.Commands) == 0 || s.What == "" || len(s.Who) == 0 {
			t.Errorf("%+v", s)
		}
		if s.After == nil {
			continue
		}
		if text := string(s.After.Canonical()); strings.Contains(text, vendor) {
			t.Errorf("%s still names the vendor: %s", s.Target, text)
		}
		if s.Target != "arn:aws:iam::444455556666:role/vendor" && !strings.Contains(string(s.After.Canonical()), "111122223333") {
			t.Errorf("%s lost another caller", s.Target)
		}
	}
	if left := Left(plan, Offboard(offboarded(true), []string{vendor})); len(left) != len(plan) {
		t.Errorf("nothing was done, and %d of %d are left", len(left), len(plan))
	}
	if left := Left(plan, Offboard(offboarded(false), []string{vendor})); len(left) != 0 {
		t.Errorf("all was done, and %d are left: %+v", len(left), left)
	}
}
