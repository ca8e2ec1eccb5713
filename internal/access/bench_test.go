package access

import (
	"fmt"
	"runtime"
	"testing"

	"drawbridge/internal/org"
	"drawbridge/internal/snapshot"
)

// BenchmarkBuild links and judges an organisation of 200 accounts with 100 roles each: in every account a hub that
// assumes by pattern, roles trusted by a deployment account, by the account itself, by vendors and by services.
func BenchmarkBuild(b *testing.B) {
	s := wideSnapshot(200, 100)
	b.ReportAllocs()
	for b.Loop() {
		g := Build(org.Build(s), Options{})
		if len(g.Edges) < 20000 {
			b.Fatalf("%d edges", len(g.Edges))
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.Sys)/(1<<20), "MB")
}

func wideSnapshot(accounts, roles int) *snapshot.Snapshot {
	s := &snapshot.Snapshot{Organization: &snapshot.Organization{ID: "o-example", ManagementAccount: "100000000000"}}
	id := func(i int) string { return fmt.Sprintf("1%011d", i) }
	shared := map[string]snapshot.Document{}
	document := func(text string) snapshot.Document {
		d, ok := shared[text]
		if !ok {
			d = read(text)
			shared[text] = d
		}
		return d
	}
	statement := func(text string) snapshot.Document {
		return document(`{"Version":"2012-10-17","Statement":[` + text + `]}`)
	}
	for i := range accounts {
		s.Accounts = append(s.Accounts, snapshot.Account{ID: id(i), Kind: snapshot.Member, Partition: "aws", UnitPath: "r-root", Inventoried: true})
		for n := range roles {
			r := snapshot.Role{Principal: snapshot.Principal{
				ARN: fmt.Sprintf("arn:aws:iam::%s:role/team/role-%d", id(i), n), Name: fmt.Sprintf("role-%d", n), Account: id(i), UniqueID: fmt.Sprintf("AROA%s%04d", id(i), n),
				Inline: []snapshot.Document{statement(fmt.Sprintf(`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":"arn:aws:s3:::data-%d/*"}`, n%40))},
			}}
			switch n % 10 {
			case 0:
				r.Trust = statement(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::100000000000:role/team/role-1"},"Action":"sts:AssumeRole"}`)
			case 1:
				r.Trust = statement(`{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}`)
				r.Inline = append(r.Inline, statement(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"arn:aws:iam::*:role/team/role-*"}`))
			case 2:
				r.Trust = statement(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + id(i) + `:root"},"Action":"sts:AssumeRole"}`)
			case 3:
				r.Trust = statement(`{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::999999999999:root"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"3f1d3bb2-5c1e-4c53-9d6a-0f6f7f0f9a11"}}}`)
			case 4:
				r.Trust = statement(`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + id(i) + `:oidc-provider/token.actions.githubusercontent.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:sub":"repo:acme/web:ref:refs/heads/main"}}}`)
			default:
				r.Trust = statement(`{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`)
			}
			s.Roles = append(s.Roles, r)
		}
	}
	return s
}
