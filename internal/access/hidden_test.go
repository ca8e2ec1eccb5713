package access

import (
	"fmt"
	"strings"
	"testing"

	"drawbridge/iam/cond"
	"drawbridge/iam/eval"
	"drawbridge/iam/ref"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// hiddenWorld is an organisation of two accounts, all of which was read but for what the gaps say.
func hiddenWorld(t *testing.T, gaps ...snapshot.Gap) *Graph {
	t.Helper()
	doc := func(name, text string) snapshot.Document {
		d, bad := snapshot.NewDocument(name, []byte(text), snapshot.Source{}, false)
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		return d
	}
	all := doc("FullAWSAccess", `{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}`)
	account := func(id string) snapshot.Account {
		return snapshot.Account{ID: id, Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true}
	}
	role := func(arn, account, trust string) snapshot.Role {
		return snapshot.Role{Principal: snapshot.Principal{ARN: arn, Account: account, Name: arn[strings.LastIndexByte(arn, '/')+1:], Path: "/", Inline: []snapshot.Document{doc("p", `{"Statement": {"Effect": "Allow", "Action": ["kms:*", "sqs:*", "s3:*"], "Resource": "*"}}`)}}, Trust: doc("trust policy", trust)}
	}
	return Build(org.Build(&snapshot.Snapshot{Version: snapshot.Version,
		Organization: &snapshot.Organization{ID: "o-abcdefghij", ManagementAccount: "333333333333", Units: []snapshot.Unit{{Path: "r-root", Name: "Root"}},
			SCPs: []snapshot.ControlPolicy{{Name: "FullAWSAccess", ARN: "arn:aws:organizations::aws:policy/service_control_policy/p-FullAWSAccess", Targets: []string{"r-root", "111111111111", "222222222222"}, Document: all}}, RCPs: []snapshot.ControlPolicy{}},
		Accounts: []snapshot.Account{account("111111111111"), account("222222222222")},
		Roles:    []snapshot.Role{role("arn:aws:iam::111111111111:role/a", "111111111111", `{"Statement": {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}}`)},
		Resources: []snapshot.Resource{
			{ARN: "arn:aws:kms:eu-west-1:222222222222:key/known", Type: "AWS::KMS::Key", Account: "222222222222", Region: "eu-west-1", Policy: doc("resource policy", `{"Statement": {"Effect": "Allow", "Principal": {"AWS": "222222222222"}, "Action": "kms:*", "Resource": "*"}}`)},
			{ARN: "arn:aws:sqs:eu-west-1:222222222222:closed", Type: "AWS::SQS::Queue", Account: "222222222222", Region: "eu-west-1", Policy: snapshot.Document{Name: "resource policy", State: snapshot.None}},
			{ARN: "arn:aws:s3:::open", Type: "AWS::S3::Bucket", Account: "222222222222", Policy: doc("resource policy", `{"Statement": {"Effect": "Allow", "Principal": {"AWS": "111111111111"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::open/*"}}`)},
		},
		Providers: []snapshot.Provider{}, KMSGrants: []snapshot.KMSGrant{}, Shares: []snapshot.Share{}, Gaps: gaps}), Options{Engine: ref.Engine()})
}

func call(subject, account, call, types string) snapshot.Gap {
	return snapshot.Gap{Kind: snapshot.GapCall, Subject: subject, Account: account, Call: call, Code: "AccessDeniedException", Reason: call + ": AccessDeniedException", Types: types}
}

// TestHidden: about what a call that was not answered would have listed nobody knows, and about everything else the answer stays.
func TestHidden(t *testing.T) {
	const who = "arn:aws:iam::111111111111:role/a"
	keys := call("222222222222/eu-west-1", "222222222222", "KMS ListKeys", "AWS::KMS::Key")
	grants := call("222222222222/eu-west-1", "222222222222", "KMS ListGrants", "AWS::KMS::Key")
	queues := call("222222222222/eu-west-1", "222222222222", "SQS ListQueues", "AWS::SQS::Queue")
	buckets := call("222222222222", "222222222222", "S3 ListBuckets", "AWS::S3::Bucket")
	unread := snapshot.Gap{Kind: snapshot.GapAccount, Subject: "222222222222", Account: "222222222222", Reason: "the collector's role could not be assumed", Types: snapshot.AllTypes}
	region := snapshot.Gap{Kind: snapshot.GapRegion, Subject: "222222222222/us-east-1", Account: "222222222222", Reason: "was not read"}
	for _, tt := range []struct {
		name, action, resource string
		gap                    snapshot.Gap
		want                   eval.Verdict
	}{
		{"a key that may be there", "kms:Decrypt", "arn:aws:kms:eu-west-1:222222222222:key/other", keys, eval.Unknown},
		{"a key of another region", "kms:Decrypt", "arn:aws:kms:us-east-1:222222222222:key/other", keys, eval.Deny},
		{"a key of another account", "kms:Decrypt", "arn:aws:kms:eu-west-1:444444444444:key/other", keys, eval.Deny},
		{"a queue, where keys are hidden", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:222222222222:other", keys, eval.Deny},
		{"a key that was read", "kms:Decrypt", "arn:aws:kms:eu-west-1:222222222222:key/known", keys, eval.Deny},
		{"a key whose grants were not read", "kms:Decrypt", "arn:aws:kms:eu-west-1:222222222222:key/known", grants, eval.Unknown},
		{"an action that no grant gives", "kms:PutKeyPolicy", "arn:aws:kms:eu-west-1:222222222222:key/known", grants, eval.Deny},
		{"a queue that may be there", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:222222222222:other", queues, eval.Unknown},
		{"a queue that was read", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:222222222222:closed", queues, eval.Deny},
		{"a bucket of nobody knows whom", "s3:GetObject", "arn:aws:s3:::other/x", buckets, eval.Unknown},
		{"an object of a bucket that was read", "s3:GetObject", "arn:aws:s3:::open/x", buckets, eval.Allow},
		{"a key of an account that was not read", "kms:Decrypt", "arn:aws:kms:eu-west-1:222222222222:key/other", unread, eval.Unknown},
		{"a queue of a region that was not read", "sqs:SendMessage", "arn:aws:sqs:us-east-1:222222222222:other", region, eval.Unknown},
		{"a queue of one that was", "sqs:SendMessage", "arn:aws:sqs:eu-west-1:222222222222:other", region, eval.Deny},
	} {
		q := Question{Principal: who, Action: tt.action, Resource: tt.resource, Rest: cond.Absent}
		got, err := hiddenWorld(t, tt.gap).Decide(q)
		if err != nil || got.Verdict != tt.want {
			t.Errorf("%s: %v, error %v, want %v", tt.name, got.Verdict, err, tt.want)
			continue
		}
		if tt.want == eval.Unknown && !strings.Contains(fmt.Sprint(got.LeftOver), tt.gap.Reason) {
			t.Errorf("%s does not say which call it was: %s", tt.name, got.LeftOver)
		}
		edges, err := hiddenWorld(t, tt.gap).WhoCan(tt.action, tt.resource)
		if err != nil {
			t.Fatal(err)
		}
		open := false
		for _, e := range edges {
			open = open || e.Verdict == eval.Unknown
		}
		if tt.want == eval.Unknown != open {
			t.Errorf("%s: who-can has an unknown: %v", tt.name, open)
		}
	}
}

// TestHiddenIsNeverMoreDefinite: a gap makes no answer more definite, whatever is asked.
func TestHiddenIsNeverMoreDefinite(t *testing.T) {
	gaps := []snapshot.Gap{
		call("222222222222/eu-west-1", "222222222222", "KMS ListKeys", "AWS::KMS::Key"), call("222222222222/eu-west-1", "222222222222", "KMS ListGrants", "AWS::KMS::Key"),
		call("222222222222", "222222222222", "S3 ListBuckets", "AWS::S3::Bucket"), call("222222222222/eu-west-1", "222222222222", "SQS ListQueues", "AWS::SQS::Queue"), call("", "", "", "AWS::SQS::Queue"),
		{Kind: snapshot.GapAccount, Subject: "222222222222", Account: "222222222222", Reason: "not read", Types: snapshot.AllTypes},
		{Kind: snapshot.GapRegion, Subject: "222222222222/eu-west-1", Account: "222222222222", Reason: "not read"},
	}
	base := hiddenWorld(t)
	for _, action := range []string{"kms:Decrypt", "kms:PutKeyPolicy", "sqs:SendMessage", "s3:GetObject", "sts:AssumeRole"} {
		for _, resource := range []string{"arn:aws:kms:eu-west-1:222222222222:key/known", "arn:aws:kms:eu-west-1:222222222222:key/other", "arn:aws:sqs:eu-west-1:222222222222:closed", "arn:aws:sqs:eu-west-1:222222222222:other", "arn:aws:s3:::open/x", "arn:aws:s3:::other/x"} {
			for _, who := range []string{"arn:aws:iam::111111111111:role/a", "111111111111", "*", "arn:aws:iam::999999999999:role/x"} {
				q := Question{Principal: who, Action: action, Resource: resource, Rest: cond.Absent}
				before, err := base.Decide(q)
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range gaps {
					after, err := hiddenWorld(t, g).Decide(q)
					if err != nil {
						t.Fatal(err)
					}
					if after.Verdict != before.Verdict && after.Verdict != eval.Unknown {
						t.Errorf("%s %s %s: %v becomes %v with %+v", who, action, resource, before.Verdict, after.Verdict, g)
					}
				}
			}
		}
	}
}
