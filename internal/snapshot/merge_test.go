package snapshot

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func merged(t *testing.T, inputs ...Input) *Snapshot {
	t.Helper()
	s, err := Merge(inputs)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestMergeOfOne: one snapshot, and the same one twice, mean what it means.
func TestMergeOfOne(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	for range 200 {
		s, err := ReadFS(mapFS(written(t, randomSnapshot(r))))
		if err != nil {
			t.Fatal(err)
		}
		want := meaning(t, s)
		for _, inputs := range [][]Input{{{"a", s}}, {{"a", s}, {"b", s}}} {
			if got := meaning(t, merged(t, inputs...)); got != want {
				t.Fatalf("merged of %d: %s", len(inputs), firstDifference(want, got))
			}
		}
		if after := meaning(t, s); after != want {
			t.Fatal("the input was changed: " + firstDifference(want, after))
		}
	}
}

const (
	mergeTrust  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::222233334444:root"},"Action":"sts:AssumeRole"}]}`
	mergeRole   = `{"RoleName":"r","Arn":"arn:aws:iam::111122223333:role/r","AssumeRolePolicyDocument":` + mergeTrust + `,"RolePolicyList":[],"AttachedManagedPolicies":[{"PolicyName":"p","PolicyArn":"arn:aws:iam::111122223333:policy/p"}]}`
	mergeBucket = `{"arn":"arn:aws:s3:::b","type":"AWS::S3::Bucket","account":"111122223333","policy":`
)

func detailsText(roles, policies string) string {
	return `{"UserDetailList":[],"GroupDetailList":[],"RoleDetailList":[` + roles + `],"Policies":[` + policies + `]}`
}

func policyText(document string) string {
	return `{"PolicyName":"p","Arn":"arn:aws:iam::111122223333:policy/p","DefaultVersionId":"v1","PolicyVersionList":[{"VersionId":"v1","IsDefaultVersion":true,"Document":` + document + `}]}`
}

// TestMergeRules: what comes from where, and what is then still not known. A want that begins with ! must not be there.
func TestMergeRules(t *testing.T) {
	const (
		id      = "111122223333"
		iam     = "accounts/" + id + "/iam.json"
		rows    = "accounts/" + id + "/resources.jsonl"
		noOrg   = `{"version":1,"accounts":[]}`
		org     = `{"version":1,"id":"o-a","managementAccount":"111122223333","accounts":[{"id":"111122223333","kind":"management","name":"root"}],"scps":[],"rcps":[]}`
		allow   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`
		allow2  = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}`
		deny    = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"s3:*","Resource":"*"}]}`
		member  = `{"version":1,"id":"o-a","accounts":[{"id":"111122223333","kind":"member","inventoried":false}]}`
		stopped = `{"version":1,"id":"o-a","accounts":[{"id":"111122223333"}],"scps":[{"name":"x","targets":[],"document":` + deny + `}]}`
	)
	for _, c := range []struct {
		name   string
		inputs []map[string]string
		want   []string
	}{
		{"an organisation from one, principals from the other", []map[string]string{{"organization.json": org}, {iam: detailsText(mergeRole, "")}},
			[]string{"account 111122223333 root management inventoried", "role arn:aws:iam::111122223333:role/r", "!gap account", "!gap organization", "gap policy arn:aws:iam::111122223333:policy/p"}},
		{"the other way round", []map[string]string{{iam: detailsText(mergeRole, "")}, {"organization.json": org}},
			[]string{"account 111122223333 root management inventoried", "!gap account", "!gap organization"}},
		{"an account that no organisation lists", []map[string]string{{"organization.json": strings.ReplaceAll(org, id, "222233334444")}, {iam: detailsText(mergeRole, "")}},
			[]string{"account 111122223333   inventoried", "gap organization 111122223333 has files here", "gap account 222233334444 no authorization details"}},
		{"a managed policy's text from the other", []map[string]string{{iam: detailsText(mergeRole, "")}, {iam: detailsText("", policyText(allow))}},
			[]string{"policy arn:aws:iam::111122223333:policy/p " + allow, "!gap policy"}},
		{"a policy that differs", []map[string]string{{iam: detailsText("", policyText(allow))}, {iam: detailsText("", policyText(allow2))}},
			[]string{"policy arn:aws:iam::111122223333:policy/p " + allow, "gap file arn:aws:iam::111122223333:policy/p differs between a and b; that of a"}},
		{"a policy that is spelt otherwise", []map[string]string{{iam: detailsText("", policyText(allow))}, {iam: detailsText("", policyText(strings.ReplaceAll(allow, `,"`, `, "`)))}},
			[]string{"!gap file arn:aws:iam::111122223333:policy/p"}},
		{"a resource's policy that the first could not read", []map[string]string{{rows: mergeBucket + `null,"error":"denied"}`}, {rows: mergeBucket + allow + `}`}},
			[]string{"resource arn:aws:s3:::b " + allow, "!gap document", "!gap file arn:aws:s3:::b"}},
		{"a resource's policy that the second could not read", []map[string]string{{rows: mergeBucket + allow + `}`}, {rows: mergeBucket + `null,"error":"denied"}`}},
			[]string{"resource arn:aws:s3:::b " + allow, "!gap document", "!gap file arn:aws:s3:::b"}},
		{"a resource whose policy is gone", []map[string]string{{rows: mergeBucket + `null}`}, {rows: mergeBucket + allow + `}`}},
			[]string{"resource arn:aws:s3:::b none", "gap file arn:aws:s3:::b differs between a and b"}},
		{"resources of another account only", []map[string]string{{iam: detailsText(mergeRole, "")},
			{"accounts/222233334444/iam.json": detailsText("", ""), "accounts/222233334444/resources.jsonl": ""}},
			[]string{"gap file accounts/111122223333/resources.jsonl", "!gap file accounts/222233334444/resources.jsonl", "!gap file resources.jsonl"}},
		{"no resources anywhere", []map[string]string{{iam: detailsText("", "")}, {"accounts/222233334444/iam.json": detailsText("", "")}}, []string{"gap file resources.jsonl", "!gap file accounts/"}},
		{"resources for all accounts in one", []map[string]string{{iam: detailsText("", "")}, {iam: detailsText("", ""), "resources.jsonl": ""}}, []string{"!gap file resources.jsonl", "!gap file accounts/"}},
		{"resources of an account that the other one only lists", []map[string]string{{iam: detailsText("", "")}, {"organization.json": org, "accounts/222233334444/iam.json": detailsText("", ""), "accounts/222233334444/resources.jsonl": ""}}, []string{"gap file accounts/111122223333/resources.jsonl"}},
		{"an account that both left open", []map[string]string{{"organization.json": member}, {"organization.json": member}}, []string{"account 111122223333  member partial", "gap account 111122223333 no authorization details"}},
		{"SCPs that differ", []map[string]string{{"organization.json": org}, {"organization.json": stopped}}, []string{"scps 0", "gap file scps differ between b and"}},
		{"SCPs that only the second knows", []map[string]string{{"organization.json": member}, {"organization.json": stopped}}, []string{"scps 1", "!gap organization scps", "gap organization rcps"}},
		{"no organisation", []map[string]string{{iam: detailsText("", "")}, {"organization.json": noOrg}}, []string{"gap organization organization", "gap organization scps"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var inputs []Input
			for i, files := range c.inputs {
				s, err := ReadFS(mapFS(files))
				if err != nil {
					t.Fatal(err)
				}
				inputs = append(inputs, Input{string(rune('a' + i)), s})
			}
			got := mergeText(merged(t, inputs...))
			for _, want := range c.want {
				if not := strings.TrimPrefix(want, "!"); not != want && strings.Contains(got, not) || not == want && !strings.Contains(got, want) {
					t.Errorf("want %s in\n%s", want, got)
				}
			}
		})
	}
}

// mergeText prints what the table asks for, one fact a line.
func mergeText(s *Snapshot) string {
	var b strings.Builder
	line := func(words ...string) { b.WriteString(strings.Join(words, " ") + "\n") }
	text := func(d Document) string {
		switch d.State {
		case Read:
			return string(d.Policy.Document.Canonical())
		case None:
			return "none"
		}
		return "unresolved"
	}
	for _, a := range s.Accounts {
		line("account", a.ID, a.Name, a.Kind.String(), map[bool]string{true: "inventoried", false: "partial"}[a.Inventoried])
	}
	for _, r := range s.Roles {
		line("role", r.ARN, text(r.Trust))
	}
	for _, p := range s.Policies {
		line("policy", p.ARN, text(p.Document))
	}
	for _, r := range s.Resources {
		line("resource", r.ARN, text(r.Policy))
	}
	if s.Organization != nil {
		line("scps", string(rune('0'+len(s.Organization.SCPs))))
	}
	for _, g := range s.Gaps {
		line("gap", string(g.Kind), g.Subject, g.Reason, g.Source.File)
	}
	return b.String()
}

// TestMergePlaces: a place names the input that it is in.
func TestMergePlaces(t *testing.T) {
	read := func(arn string) *Snapshot {
		s, err := ReadDetails(mapFS(map[string]string{"iam.json": "\n" + detailsText(strings.ReplaceAll(mergeRole, "role/r", arn), "")}), []string{"iam.json"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := merged(t, Input{"one/iam.json", read("role/a")}, Input{"two", read("role/b")})
	if got, want := s.Roles[0].Source.File+" "+s.Roles[1].Trust.Source.File, "one/iam.json two/iam.json"; got != want {
		t.Errorf("places in %s, want %s", got, want)
	}
}

// TestMergeFills: what one input lacks and the other has is no difference.
func TestMergeFills(t *testing.T) {
	of := func(role, user, resource string) *Snapshot {
		s, err := ReadFS(mapFS(map[string]string{
			"accounts/111122223333/iam.json": `{"UserDetailList":[{"UserName":"u","Arn":"arn:aws:iam::111122223333:user/u"` + user + `}],"GroupDetailList":[],"RoleDetailList":[` + strings.TrimSuffix(mergeRole, "}") + role + `}],"Policies":[]}`,
			"resources.jsonl":                strings.TrimSuffix(mergeBucket, `"policy":`) + `"policy":null` + resource + `}`,
		}))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	poor := of("", "", "")
	rich := of(`,"RoleId":"AROA1","CreateDate":"2025-01-01T00:00:00Z","MaxSessionDuration":7200,"RoleLastUsed":{"LastUsedDate":"2025-05-05T00:00:00Z"}`, `,"AccessKeys":2,"LastUsed":"2025-05-05T00:00:00Z"`,
		`,"region":"eu-west-1","attributes":{"sseKmsKey":"k","publicAccessBlock":"on","acl":["x"]}`)
	older := of(`,"RoleLastUsed":{"LastUsedDate":"2025-04-04T00:00:00Z"}`, "", `,"attributes":{"objectOwnership":"y"}`)
	for _, inputs := range [][]*Snapshot{{poor, rich, older}, {older, poor, rich}, {rich, older, poor}} {
		s := merged(t, Input{"a", inputs[0]}, Input{"b", inputs[1]}, Input{"c", inputs[2]})
		r, u, b := s.Roles[0], s.Users[0], s.Resources[0]
		if r.UniqueID != "AROA1" || r.MaxSession.Hours() != 2 || r.LastUsed.Month() != 5 || r.Created.Year() != 2025 || u.AccessKeys != 2 || u.LastUsed.Month() != 5 {
			t.Errorf("role %+v, user %+v", r, u)
		}
		if b.Region != "eu-west-1" || b.Attributes.SSEKMSKey != "k" || b.Attributes.PublicAccessBlock != "on" || b.Attributes.Other["acl"] == nil || b.Attributes.Other["objectOwnership"] != "y" {
			t.Errorf("bucket %+v", b)
		}
		if text := mergeText(s); strings.Contains(text, "differs") {
			t.Error(text)
		}
	}
	if len(poor.Resources[0].Attributes.Other)+len(rich.Resources[0].Attributes.Other)+len(older.Resources[0].Attributes.Other) != 2 {
		t.Error("an input was changed")
	}
}

func TestMergeRefusesTwoOrganizations(t *testing.T) {
	of := func(id, management string) *Snapshot {
		return &Snapshot{Organization: &Organization{ID: id, ManagementAccount: management}}
	}
	for _, c := range []struct {
		a, b *Snapshot
		want error
	}{
		{of("o-a", ""), of("o-b", ""), ErrTwoOrganizations},
		{of("", "111122223333"), of("", "222233334444"), ErrTwoOrganizations},
		{of("o-a", ""), of("", "111122223333"), nil},
		{of("o-a", ""), &Snapshot{}, nil},
	} {
		if _, err := Merge([]Input{{"a", c.a}, {"b", c.b}}); !errors.Is(err, c.want) {
			t.Errorf("%v and %v: %v, want %v", c.a.Organization, c.b.Organization, err, c.want)
		}
	}
}
