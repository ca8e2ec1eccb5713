package access

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"

	"drawbridge/iam/eval"
	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
	"drawbridge/internal/synthetic"
)

// TestWhoCanAgainstFullScan holds WhoCan against the slow, obvious way: ask the engine about every principal, one by one.
func TestWhoCanAgainstFullScan(t *testing.T) {
	found := map[eval.Verdict]int{}
	for seed := range uint64(60) {
		s := randomSnapshot(rand.New(rand.NewPCG(seed, 3)))
		s.Resources = randomBuckets(rand.New(rand.NewPCG(seed, 4)))
		g := Build(org.Build(s), Options{})
		for _, q := range [][2]string{
			{"s3:GetObject", "arn:aws:s3:::bucket-0/key"}, {"s3:ListBucket", "arn:aws:s3:::bucket-0"}, {"s3:PutObject", "arn:aws:s3:::bucket-1/*"},
			{"s3:GetObject", "arn:aws:s3:::nobody-knows-whose/key"}, {"s3:ListAllMyBuckets", "*"}, {"ec2:RunInstances", "arn:aws:ec2:eu-west-1:222222222222:instance/*"},
			{"sts:AssumeRole", "arn:aws:iam::222222222222:role/r1"}, {"sts:SetSourceIdentity", "arn:aws:iam::111111111111:role/r0"}, {"iam:PassRole", "arn:aws:iam::222222222222:role/r1"},
			{"sts:GetCallerIdentity", "*"}, {"sts:GetCallerIdentity", "arn:aws:iam::222222222222:role/r1"}, {"kms:Decrypt", "arn:aws:kms:eu-west-1:111111111111:key/k"},
		} {
			compareWithScan(t, g, q[0], q[1], found)
		}
	}
	for _, v := range []eval.Verdict{eval.Allow, eval.Unknown} {
		if found[v] == 0 {
			t.Errorf("no answer is %v, so that too little was compared", v)
		}
	}
}

// TestWhoCanInSyntheticOrganisation: the same where most roles are copies.
func TestWhoCanInSyntheticOrganisation(t *testing.T) {
	files := fstest.MapFS{}
	if err := synthetic.Write(12, 40, func(name string, data []byte) error {
		files[name] = &fstest.MapFile{Data: data}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s, err := snapshot.ReadFS(files)
	if err != nil {
		t.Fatal(err)
	}
	g, found := Build(org.Build(s), Options{}), map[eval.Verdict]int{}
	for _, q := range whoCanQuestions {
		compareWithScan(t, g, q.action, q.resource, found)
	}
	if found[eval.Allow] == 0 {
		t.Error("nobody can do anything, so that nothing was compared")
	}
}

// compareWithScan compares the whole edges of the snapshot's principals, in order.
func compareWithScan(t *testing.T, g *Graph, actionName, resource string, found map[eval.Verdict]int) {
	t.Helper()
	action, target := eval.MustAction(actionName), g.targetOf(resource, "")
	want := map[string]string{}
	for _, p := range g.Org.Principals {
		if d := g.Can(p, action, resource); d.Verdict != eval.Deny {
			want[p.ARN] = edgeText(g.edgeOf(d, p, g.principalGrantee(p, target.Account), action, target))
			found[d.Verdict]++
		}
	}
	edges, err := g.WhoCan(actionName, resource)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i, e := range edges {
		if i > 0 && compareGrantees(edges[i-1], e) > 0 {
			t.Errorf("%s on %s: %s stands after %s", actionName, resource, e.Grantee.ID, edges[i-1].Grantee.ID)
		}
		if e.Grantee.Principal != nil {
			got[e.Grantee.ID] = edgeText(e)
		}
	}
	for _, name := range union(got, want) {
		if got[name] != want[name] {
			t.Errorf("%s on %s by %s:\nwho-can   %s\nfull scan %s", actionName, resource, name, got[name], want[name])
		}
	}
}

func edgeText(e *Edge) string {
	return fmt.Sprint(e.Grantee, e.Mechanism, e.Target, e.CrossAccount, e.Verdict, e.LeftOver, e.By, e.CallerAssumed, e.Identity, e.Actions)
}

// randomBuckets are two buckets whose policies name somebody, now and then under a condition, or could not be read.
func randomBuckets(r *rand.Rand) []snapshot.Resource {
	principals := []string{`"*"`, `{"AWS":"222222222222"}`, `{"AWS":"arn:aws:iam::111111111111:role/r0"}`, `{"AWS":["999999999999","arn:aws:iam::333333333333:user/u"]}`}
	conditions := []string{``, ``, `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-example"}}`, `,"Condition":{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`}
	var buckets []snapshot.Resource
	for n := range 2 {
		bucket := fmt.Sprintf("arn:aws:s3:::bucket-%d", n)
		b := snapshot.Resource{ARN: bucket, Type: "AWS::S3::Bucket", Account: []string{"111111111111", "222222222222"}[r.IntN(2)], Policy: snapshot.Document{State: snapshot.Unresolved}}
		if r.IntN(8) > 0 {
			var statements []string
			for range 1 + r.IntN(3) {
				statements = append(statements, fmt.Sprintf(`{"Effect":%q,"Principal":%s,"Action":%s,"Resource":["%s","%s/*"]%s}`,
					[]string{"Allow", "Allow", "Deny"}[r.IntN(3)], principals[r.IntN(len(principals))],
					[]string{`"s3:*"`, `"s3:GetObject"`, `["s3:Put*","s3:ListBucket"]`}[r.IntN(3)], bucket, bucket, conditions[r.IntN(len(conditions))]))
			}
			b.Policy = read(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
		}
		buckets = append(buckets, b)
	}
	return buckets
}
