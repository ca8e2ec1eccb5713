package iamcollect

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"drawbridge/internal/snapshot"
)

// lines prints what was read, one fact a line, for the table below.
func lines(s *snapshot.Snapshot) string {
	var b strings.Builder
	text := func(d snapshot.Document) string {
		if d.State == snapshot.Read {
			return string(d.Policy.Document.Canonical())
		}
		return [...]string{"unresolved", "read", "none"}[d.State]
	}
	if o := s.Organization; o != nil {
		fmt.Fprintf(&b, "organization %s management %s\n", o.ID, o.ManagementAccount)
		for _, u := range o.Units {
			fmt.Fprintf(&b, "unit %s %s\n", u.Path, u.Name)
		}
		for _, p := range o.SCPs {
			fmt.Fprintf(&b, "scp %s %v %s\n", p.Name, p.Targets, text(p.Document))
		}
	}
	if s.Organization != nil {
		for _, p := range s.Organization.RCPs {
			fmt.Fprintf(&b, "rcp %s %v %s\n", p.Name, p.Targets, text(p.Document))
		}
	}
	for _, a := range s.Accounts {
		fmt.Fprintf(&b, "account %s %s %s inventoried=%t\n", a.ID, a.Kind, a.UnitPath, a.Inventoried)
	}
	for _, u := range s.Users {
		fmt.Fprintf(&b, "user %s groups=%v\n", u.ARN, u.Groups)
	}
	for _, r := range s.Roles {
		fmt.Fprintf(&b, "role %s trust=%s at %s:%d\n", r.ARN, text(r.Trust), r.Trust.Source.File, r.Trust.Source.Line)
		for _, p := range r.InstanceProfiles {
			fmt.Fprintf(&b, "profile %s\n", p)
		}
		for _, d := range r.Inline {
			fmt.Fprintf(&b, "inline %q %s at %d\n", d.Name, text(d), d.Source.Line)
		}
	}
	for _, r := range s.Resources {
		fmt.Fprintf(&b, "resource %s %s %s %s block=%q key=%q %s\n", r.Type, r.ARN, r.Account, r.Region, r.Attributes.PublicAccessBlock, r.Attributes.SSEKMSKey, text(r.Policy))
	}
	for _, p := range s.Providers {
		fmt.Fprintf(&b, "provider %s %s %s %v\n", p.Type, p.ARN, p.URL, p.Audiences)
	}
	for _, h := range s.Shares {
		fmt.Fprintf(&b, "share %s %s %s with %v of %v %v\n", h.Kind, h.ARN, h.Owner, h.With, h.Resources, h.Attributes)
	}
	for _, g := range s.Gaps {
		fmt.Fprintf(&b, "gap %s %s %s\n", g.Kind, g.Subject, g.Reason)
	}
	return b.String()
}

const (
	account = "aws/aws/accounts/111122223333/"
	trust   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222233334444"},"Action":"sts:AssumeRole"}]}`
	allow   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222233334444"},"Action":"s3:GetObject","Resource":"*"}]}`
	org     = "aws/aws/organizations/o-abc/"
)

// role is the folder of a role with everything that iam-collect requires, and more files on top.
func role(more map[string]string) map[string]string {
	out := map[string]string{
		account + "iam/role/r/metadata.json":     `{"arn":"arn:aws:iam::111122223333:role/R","name":"R","id":"AROA1","path":"/","created":"2025-01-02T03:04:05.000Z"}`,
		account + "iam/role/r/trust-policy.json": trust,
	}
	for name, text := range more {
		out[name] = text
	}
	return out
}

// TestRead: one thing in each case. A want that begins with ! must not be there.
func TestRead(t *testing.T) {
	organization := func(more map[string]string) map[string]string {
		out := role(map[string]string{
			org + "metadata.json":                    `{"id":"o-abc","rootAccountId":"999988887777","features":{"SERVICE_CONTROL_POLICY":true}}`,
			org + "accounts.json":                    `{"111122223333":{"ou":"ou-b","scps":["arn:p1"],"rcps":[]},"999988887777":{"ou":"r-1","scps":[],"rcps":[]}}`,
			org + "ous.json":                         `{"r-1":{"scps":["arn:p1"],"rcps":[]},"ou-a":{"parent":"r-1","scps":[],"rcps":["arn:r1"]},"ou-b":{"parent":"ou-a","scps":["arn:p2"],"rcps":[]}}`,
			org + "ous/ou-b/metadata.json":           `{"arn":"arn:x","name":"Prod"}`,
			org + "scps/p-1/metadata.json":           `{"arn":"arn:p1","name":"Full"}`,
			org + "scps/p-1/policy.json":             `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`,
			account + "organization.json":            `{"organizationId":"o-abc"}`,
			"aws/aws/indexes/accounts-to-orgs.json":  `{}`,
			"aws/aws/accounts/notes/something.json":  `{}`,
			account + "iam/user/u/metadata.json":     `{"arn":"arn:aws:iam::111122223333:user/U","name":"U"}`,
			account + "iam/user/u/groups.json":       `["arn:aws:iam::111122223333:group/x/G"]`,
			account + "iam/aws/policy/p/junk.json":   `{}`,
			account + "unknown-service/x/y/z/a.json": `{}`,
		})
		for name, text := range more {
			out[name] = text
		}
		return out
	}
	for _, c := range []struct {
		name  string
		files map[string]string
		want  []string
	}{
		{"a role", role(nil), []string{"role arn:aws:iam::111122223333:role/R trust=" + trust + " at " + account + "iam/role/r/trust-policy.json:1", "account 111122223333   inventoried=true", "gap organization organization", "gap file grants.jsonl", "!gap file resources.jsonl"}},
		{"a role without trust policy", func() map[string]string {
			m := role(nil)
			delete(m, account+"iam/role/r/trust-policy.json")
			return m
		}(), []string{"trust=unresolved", "gap document arn:aws:iam::111122223333:role/R trust policy: there is no trust-policy.json"}},
		{"instance profiles", role(map[string]string{account + "iam/role/r/instance-profiles.json": `["arn:aws:iam::111122223333:instance-profile/p"]`}), []string{"profile arn:aws:iam::111122223333:instance-profile/p"}},
		{"a role without metadata", role(map[string]string{account + "iam/role/s/trust-policy.json": trust}), []string{"inventoried=false", "gap account 111122223333 a part of iam/", "gap file " + account + "iam/role/s has no metadata.json"}},
		{"a broken metadata.json", role(map[string]string{account + "iam/role/s/metadata.json": `{"arn":`}), []string{"inventoried=false", "gap file " + account + "iam/role/s/metadata.json", "gap account 111122223333 a part of iam/"}},
		{"a trust policy that is a text", role(map[string]string{account + "iam/role/r/trust-policy.json": fmt.Sprintf("%q", strings.NewReplacer("{", "%7B", `"`, "%22").Replace(trust))}), []string{"trust=" + trust}},
		{"inline policies", role(map[string]string{account + "iam/role/r/inline-policies.json": "[\n{\"PolicyName\":\"a\",\"PolicyDocument\":" + trust + "},\n{\"PolicyName\":\"b\"}]"}),
			[]string{`inline "a" ` + trust + " at 2", `inline "b" unresolved`, "gap document arn:aws:iam::111122223333:role/R b: has no document"}},
		{"inline policies that break off", role(map[string]string{account + "iam/role/r/inline-policies.json": "[{\"PolicyName\":\"a\",\"PolicyDocument\":" + trust + "},{"}), []string{`inline "a" ` + trust, `inline "inline policies" unresolved`}},
		{"attached policies that cannot be read", role(map[string]string{account + "iam/role/r/managed-policies.json": `{"a":1}`}), []string{"gap policy arn:aws:iam::111122223333:role/R which managed policies are attached could not be read"}},
		{"an account without IAM", map[string]string{account + "s3/b/metadata.json": `{"arn":"arn:aws:s3:::b"}`}, []string{"inventoried=false", "gap account 111122223333 has no folder iam/role"}},
		{"the organisation", organization(nil), []string{"organization o-abc management 999988887777", "unit r-1/ou-a/ou-b Prod", "scp Full [111122223333 r-1] ", "scp arn:p2 [r-1/ou-a/ou-b] unresolved", "rcp arn:r1 [r-1/ou-a] unresolved", "gap document scps arn:p2 arn:p2: is attached, and has no folder",
			"account 111122223333 member r-1/ou-a/ou-b inventoried=true", "account 999988887777 management r-1 inventoried=false", "gap account 999988887777 has no folder", "!gap organization", "user arn:aws:iam::111122223333:user/U groups=[G]",
			"gap file aws/aws/accounts/notes expected a folder named", "gap file " + account + "iam/aws/policy/p has no metadata.json"}},
		{"an organisation whose accounts cannot be read", organization(map[string]string{org + "accounts.json": `[]`}), []string{"gap organization organization the organisation's accounts.json", "gap organization scps", "gap organization rcps", "account 111122223333 member", "gap organization 111122223333 belongs to the organisation and is not in"}},
		{"an account of nowhere", organization(map[string]string{"aws/aws/accounts/222233334444/iam/user/u/metadata.json": `{"arn":"arn:aws:iam::222233334444:user/u"}`}), []string{"account 222233334444   inventoried=true", "gap organization 222233334444 has a folder and is not in"}},
		{"two organisations", organization(map[string]string{"aws/aws-cn/organizations/o-cn/metadata.json": `{"id":"o-cn"}`, "aws/aws-cn/organizations/o-cn/accounts.json": `{"555566667777":{"ou":"r-2"}}`, "aws/aws-cn/organizations/o-cn/ous.json": `{}`}),
			[]string{"organization o-abc", "account 555566667777 external", "gap organization o-cn a snapshot has one organisation"}},
		{"units in a circle", organization(map[string]string{org + "ous.json": `{"a":{"parent":"b"},"b":{"parent":"a"}}`}), []string{"unit a/b", "unit b/a"}},
		{"delegated administrators", organization(map[string]string{org + "delegated-admins.json": `{"guardduty.amazonaws.com":["111122223333"],"a.amazonaws.com":["111122223333"]}`}),
			[]string{"share DelegatedAdministrator  999988887777 with [111122223333] of [] map[services:[a.amazonaws.com guardduty.amazonaws.com]]"}},
		{"the organisation's resource policy", organization(map[string]string{org + "policy.json": allow}), []string{"resource AWS::Organizations::ResourcePolicy arn:aws:organizations::999988887777:resourcepolicy/o-abc 999988887777"}},
		{"a bucket", role(map[string]string{account + "s3/b/metadata.json": `{"arn":"arn:aws:s3:::B","region":"eu-west-1"}`, account + "s3/b/policy.json": allow, account + "s3/b/bpa.json": `{"BlockPublicAcls":true,"IgnorePublicAcls":true,"BlockPublicPolicy":true,"RestrictPublicBuckets":true}`,
			account + "s3/b/encryption.json": `[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"arn:aws:kms:eu-west-1:111122223333:key/k"}}]`}),
			[]string{`resource AWS::S3::Bucket arn:aws:s3:::B 111122223333 eu-west-1 block="on" key="arn:aws:kms:eu-west-1:111122223333:key/k" ` + allow}},
		{"a bucket without policy", role(map[string]string{account + "s3/b/metadata.json": `{"arn":"arn:aws:s3:::b"}`, account + "s3/b/bpa.json": `{"BlockPublicAcls":false}`}), []string{`block="" key="" unresolved`, "gap document arn:aws:s3:::b resource policy: there is no policy.json"}},
		{"a bucket in an account that says something", role(map[string]string{account + "s3/b/metadata.json": `{"arn":"arn:aws:s3:::b"}`, account + "s3/b/bpa.json": `{"BlockPublicAcls":false}`, account + "s3-bpa.json": `{"BlockPublicAcls":true}`}), []string{`block="off"`}},
		{"a REST API without policy", role(map[string]string{account + "apigateway/eu-west-1/restapis/x/metadata.json": `{"arn":"arn:aws:apigateway:eu-west-1::/restapis/x"}`}), []string{`resource AWS::ApiGateway::RestApi arn:aws:apigateway:eu-west-1::/restapis/x 111122223333 eu-west-1 block="" key="" none`, "!gap document"}},
		{"a layer, which has no ARN", role(map[string]string{account + "lambda/eu-west-1/layer/l%3a3/metadata.json": `{"name":"L","version":3}`, account + "lambda/eu-west-1/layer/l%3a3/policy.json": allow}), []string{"resource AWS::Lambda::LayerVersion arn:aws:lambda:eu-west-1:111122223333:layer:L:3 111122223333"}},
		{"the registry", role(map[string]string{account + "ecr-registry-policy.eu-west-1.json": allow}), []string{"resource AWS::ECR::RegistryPolicy arn:aws:ecr:eu-west-1:111122223333:repository/* 111122223333 eu-west-1"}},
		{"policies of an identity", role(map[string]string{account + "ses/eu-west-1/identity/x/metadata.json": `{"arn":"arn:aws:ses:eu-west-1:111122223333:identity/x"}`, account + "ses/eu-west-1/identity/x/policies.json": `{"b":` + allow + `,"a":` + trust + `}`}),
			[]string{`AWS::SES::EmailIdentity arn:aws:ses:eu-west-1:111122223333:identity/x 111122223333 eu-west-1 block="" key="" {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"222233334444"},"Action":"sts:AssumeRole"},{"Effect":"Allow"`}},
		{"a kind that is not known", role(map[string]string{account + "newthing/eu-west-1/x/metadata.json": `{"arn":"arn:aws:newthing:eu-west-1:111122223333:x/y"}`}), []string{"gap file arn:aws:newthing:eu-west-1:111122223333:x/y a kind of resource that is not known"}},
		{"a policy without metadata", role(map[string]string{account + "kms/eu-west-1/key/x/policy.json": allow}), []string{"gap file " + account + "kms/eu-west-1/key/x has no metadata.json"}},
		{"lambda without anything", role(map[string]string{account + "lambda/metadata.json": `{"name":"L","version":3}`}), []string{"gap file " + account + "lambda has no metadata.json"}},
		{"providers", role(map[string]string{account + "iam/oidc-provider/x/metadata.json": `{"arn":"arn:aws:iam::111122223333:oidc-provider/x","url":"x","audiences":["sts.amazonaws.com"]}`, account + "iam/saml-provider/y/metadata.json": `{"arn":"arn:aws:iam::111122223333:saml-provider/y","validUntil":"2030-01-01T00:00:00.000Z"}`}),
			[]string{"provider oidc arn:aws:iam::111122223333:oidc-provider/x x [sts.amazonaws.com]", "provider saml arn:aws:iam::111122223333:saml-provider/y"}},
		{"a RAM share", role(map[string]string{account + "ram/eu-west-1/a.json": `{"arn":"arn:a","shares":["arn:share"],"policy":{"Statement":{"Effect":"Allow","Principal":{"AWS":["222233334444","arn:aws:iam::333344445555:root"]}}}}`,
			account + "ram/eu-west-1/b.json": `{"arn":"arn:b","shares":["arn:share"],"policy":{"Statement":[{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-abc"}}}]}}`}),
			[]string{"share RAM arn:share 111122223333 with [222233334444 arn:aws:iam::333344445555:root arn:aws:organizations:::organization/o-abc] of [arn:a arn:b]", "!gap document"}},
		{"a RAM share without policy", role(map[string]string{account + "ram/global/a.json": `{"arn":"arn:a","shares":["arn:share"]}`}), []string{"with [all]", "gap document arn:a with whom RAM shares it"}},
		{"a RAM share under other conditions", role(map[string]string{account + "ram/global/a.json": `{"arn":"arn:a","shares":["arn:share"],"policy":{"Statement":[{"Effect":"Allow","Principal":"*","Condition":{"StringEquals":{"aws:SourceIp":"1"}}}]}}`}), []string{"with [all]", "gap document arn:a"}},
		{"an unknown file of an account", role(map[string]string{account + "something.json": `{}`}), []string{"gap file " + account + "something.json a file of an account that is not known"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := Read(mapFS(c.files))
			if err != nil {
				t.Fatal(err)
			}
			got := lines(s)
			for _, want := range c.want {
				if not := strings.TrimPrefix(want, "!"); not != want && strings.Contains(got, not) || not == want && !strings.Contains(got, want) {
					t.Errorf("want %s in\n%s", want, got)
				}
			}
		})
	}
}

func mapFS(files map[string]string) fstest.MapFS {
	out := make(fstest.MapFS)
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return out
}

func TestRecognise(t *testing.T) {
	for _, c := range []struct {
		file string
		want bool
	}{
		{"aws/aws/accounts/111122223333/iam/role/r/metadata.json", true},
		{"aws/aws-cn/organizations/o-a/metadata.json", true},
		{"aws/accounts/111122223333/iam/role/r/metadata.json", true},
		{"accounts/111122223333/iam.json", false},
		{"aws/notes.json", false},
		{"details/acct.json", false},
	} {
		if got := Recognise(mapFS(map[string]string{c.file: "{}"})); got != c.want {
			t.Errorf("%s: %t, want %t", c.file, got, c.want)
		}
		if _, err := Read(mapFS(map[string]string{c.file: "{}"})); errors.Is(err, ErrNothing) == c.want {
			t.Errorf("%s: %v", c.file, err)
		}
	}
	if !Recognise(mapFS(map[string]string{"accounts/111122223333/iam/role/r/metadata.json": "{}", "indexes/a.json": "{}"})) {
		t.Error("the folder of a partition is not recognised")
	}
	if Recognise(mapFS(map[string]string{"accounts/111122223333/iam.json": "{}", "indexes/a.json": "{}", "organization.json": "{}"})) {
		t.Error("a snapshot is taken for a folder of iam-collect")
	}
}

// FuzzRead: whatever stands in the files, reading them ends in a snapshot that can be written, and never says that a role's trust is none.
func FuzzRead(f *testing.F) {
	names := []string{
		account + "iam/role/r/metadata.json", account + "iam/role/r/trust-policy.json", account + "iam/role/r/inline-policies.json", account + "iam/role/r/managed-policies.json", account + "ram/eu-west-1/a.json",
		account + "s3/b/metadata.json", account + "s3/b/encryption.json", account + "ses/eu-west-1/identity/x/policies.json", account + "lambda/eu-west-1/layer/x/metadata.json", account + "organization.json",
		org + "metadata.json", org + "accounts.json", org + "ous.json", org + "scps/p/metadata.json", org + "delegated-admins.json",
	}
	for i := range names {
		for _, text := range []string{"", "null", "{}", "[]", `"%7B"`, trust, `{"arn":"arn:aws:iam::111122223333:role/R"}`, `{"arn":"arn:a:b:c:d:e","name":"x","version":1}`, `{"111122223333":{"ou":"x","scps":["y"]}}`, `[{"PolicyName":"a","PolicyDocument":{}}]`, `{"arn":"x","shares":[""],"policy":{"Statement":[{"Effect":"Allow","Principal":"*"}]}}`} {
			f.Add(i, text)
		}
	}
	f.Fuzz(func(t *testing.T, i int, text string) {
		if i < 0 || i >= len(names) {
			return
		}
		files := role(map[string]string{org + "metadata.json": `{"rootAccountId":"111122223333"}`, account + "ses/eu-west-1/identity/x/metadata.json": `{"arn":"arn:aws:ses:eu-west-1:111122223333:identity/x"}`})
		files[names[i]] = text
		s, err := Read(mapFS(files))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range s.Roles {
			if r.Trust.State == snapshot.None {
				t.Errorf("%s trusts nobody", r.ARN)
			}
		}
		if err := snapshot.Write(s, func(string, []byte) error { return nil }); err != nil {
			t.Error(err)
		}
	})
}
