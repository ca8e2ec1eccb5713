package access

import (
	"slices"
	"testing"

	"drawbridge/iam/eval"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// withFacts is an organisation of two accounts: a key with a KMS grant to a role of the other account, and a public bucket that is
// restricted.
func withFacts() *Graph {
	const keys, apps = "111111111111", "222222222222"
	full := read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*"}}`)
	role := func(account, name string, inline ...snapshot.Document) snapshot.Role {
		return snapshot.Role{Principal: snapshot.Principal{ARN: "arn:aws:iam::" + account + ":role/" + name, Name: name, Account: account, Inline: inline},
			Trust: read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}}`)}
	}
	s := &snapshot.Snapshot{
		Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "333333333333"},
		Accounts:     []snapshot.Account{{ID: keys, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}, {ID: apps, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}},
		Roles:        []snapshot.Role{role(keys, "reader", full), role(apps, "app"), role(apps, "reader", full)},
		Resources: []snapshot.Resource{
			{ARN: "arn:aws:kms:eu-west-1:111111111111:key/1", Type: "AWS::KMS::Key", Account: keys,
				Policy: read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"kms:*","Resource":"*"}}`)},
			{ARN: "arn:aws:s3:::open", Type: "AWS::S3::Bucket", Account: keys, Attributes: snapshot.Attributes{PublicAccessBlock: "on"},
				Policy: read(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::open/*"}}`)},
		},
		KMSGrants: []snapshot.KMSGrant{{Key: "arn:aws:kms:eu-west-1:111111111111:key/1", ID: "g", Grantee: "arn:aws:iam::222222222222:role/app", Operations: []string{"Decrypt"},
			Constraints: map[string]any{"EncryptionContextSubset": map[string]any{"app": "web"}}}},
	}
	return Build(org.Build(s), Options{})
}

func TestGrantsAreFollowed(t *testing.T) {
	g := withFacts()
	const key, app = "arn:aws:kms:eu-west-1:111111111111:key/1", "arn:aws:iam::222222222222:role/app"
	ask := func(action string, context map[string][]string) eval.Verdict {
		a, err := g.Decide(Question{Principal: app, Action: action, Resource: key, Context: context})
		if err != nil {
			t.Fatal(err)
		}
		return a.Verdict
	}
	if got := ask("kms:Decrypt", map[string][]string{"kms:EncryptionContext:app": {"web"}}); got != eval.Allow {
		t.Errorf("with the encryption context: %v", got)
	}
	if got := ask("kms:Decrypt", map[string][]string{"kms:EncryptionContext:app": {"other"}}); got != eval.Deny {
		t.Errorf("with another one: %v", got)
	}
	if got := ask("kms:Encrypt", nil); got != eval.Deny {
		t.Errorf("another operation: %v", got)
	}
	who, err := g.WhoCan("kms:Decrypt", key)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(who, func(e *Edge) bool { return e.Grantee.ID == app && e.Verdict == eval.Unknown }) {
		t.Errorf("who-can does not name the grantee, who has no policy of its own")
	}
}

func TestRestrictedBucketsAreClosedToOutsiders(t *testing.T) {
	g := withFacts()
	for principal, want := range map[string]eval.Verdict{
		"arn:aws:iam::111111111111:role/reader": eval.Allow, "arn:aws:iam::222222222222:role/reader": eval.Deny, "anonymous": eval.Deny,
	} {
		a, err := g.Decide(Question{Principal: principal, Action: "s3:GetObject", Resource: "arn:aws:s3:::open/k"})
		if err != nil {
			t.Fatal(err)
		}
		if a.Verdict != want {
			t.Errorf("%s: %v, want %v", principal, a.Verdict, want)
		}
	}
	who, err := g.WhoCan("s3:GetObject", "arn:aws:s3:::open/k")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range who {
		if e.Grantee.Account != "111111111111" {
			t.Errorf("%s can read", e.Grantee.ID)
		}
	}
}
