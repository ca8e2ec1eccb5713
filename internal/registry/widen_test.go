package registry

import (
	"strings"
	"testing"

	"drawbridge/iam/ref"
)

func TestWidens(t *testing.T) {
	r, problems := Parse("good.yaml", good(t))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	for name, c := range map[string]struct{ entry, edit, want string }{
		"a caller joins":          {"ci-deploy-prod", "principals+=arn:aws:iam::111111111111:role/other", `by principals of account 111111111111 if aws:PrincipalArn is "arn:aws:iam::111111111111:role/other"`},
		"a broker's service":      {"ci-deploy-prod", "principals+=broker:acme-backup", "it lets in broker:acme-backup"},
		"a SPIFFE id":             {"ci-deploy-prod", "principals+=spiffe://acme.example/ns/prod/sa/deploy", "it lets in spiffe://acme.example/ns/prod/sa/deploy"},
		"a caller leaves":         {"ci-deploy-prod", "owner=x", ""},
		"another ExternalId":      {"ci-deploy-prod", "externalId=other", "it allows sts:AssumeRole"},
		"any ExternalId":          {"ci-deploy-prod", "externalId=", "it allows sts:AssumeRole"},
		"every branch":            {"web-release", "subject=repo:acme/web:*", "it allows sts:AssumeRoleWithWebIdentity"},
		"an action joins":         {"ci-deploy-prod", "actions+=s3:DeleteObject", "it allows s3:DeleteObject on"},
		"an action leaves":        {"ci-deploy-prod", "actions-=s3:PutObject", ""},
		"actions by pattern":      {"ci-deploy-prod", "actions+=s3:PutObjectA*", "it allows s3:PutObjectAcl"},
		"no actions":              {"ci-deploy-prod", "actions=", "it says no longer which actions"},
		"everywhere":              {"ci-deploy-prod", "allow.resources=*", "it allows"},
		"another role":            {"ci-deploy-prod", "role=arn:aws:iam::222222222222:role/admin", "it reaches arn:aws:iam::222222222222:role/admin"},
		"longer":                  {"ci-deploy-prod", "session.max=4h", "the longest session is 4h, and was 1h30m"},
		"shorter":                 {"ci-deploy-prod", "session.max=1h", ""},
		"without an end":          {"ci-deploy-prod", "session.max=", "the longest session has no limit any more"},
		"chained":                 {"ci-deploy-prod", "session.chaining=allow", "sessions may be chained"},
		"later":                   {"ci-deploy-prod", "expires=2028-01-01", "it ends on 2028-01-01, and ended on 2027-03-31"},
		"earlier":                 {"ci-deploy-prod", "expires=2027-01-01", ""},
		"reviewed less often":     {"ci-deploy-prod", "review.every=180d", "the time between reviews is 180d, and was 90d"},
		"reviewed":                {"ci-deploy-prod", "review.last=2026-11-23", ""},
		"another approver":        {"ci-deploy-prod", "approval.approvers+=ben", "ben may approve"},
		"the owner approves":      {"ci-deploy-prod", "approval.approvers=", "may approve"},
		"two must deny":           {"ci-deploy-prod", "approval.denials=2", "2 must deny to end a request, and it was 1"},
		"nobody approves":         {"ci-deploy-prod", "approval.required=0", "0 must approve, and it was 1"},
		"without its boundary":    {"ci-deploy-prod", "boundary=", "its boundary is not"},
		"for breaking the glass":  {"ci-deploy-prod", "breakGlass=true", "it is for breaking the glass"},
		"nothing about the trust": {"ci-deploy-prod", "purpose=Other words", ""},
	} {
		t.Run(name, func(t *testing.T) {
			change, err := ParseChange(TrustKind, c.edit)
			if err != nil {
				t.Fatal(err)
			}
			text, err := Edit("good.yaml", good(t), TrustKind, c.entry, change)
			if err != nil {
				t.Fatal(err)
			}
			after, problems := Parse("good.yaml", text)
			if len(problems) > 0 {
				t.Fatal(problems)
			}
			for i := range r.Entries {
				if r.Entries[i].Name != c.entry {
					continue
				}
				got := strings.Join(Widens(&r.Entries[i], &after.Entries[i], ref.Engine()), "\n")
				if !strings.Contains(got, c.want) || c.want == "" && got != "" {
					t.Errorf("%q, want %q", got, c.want)
				}
			}
		})
	}
}

// TestWidensTheBroker: what a broker demands of a request is widened as much as what a trust policy does.
func TestWidensTheBroker(t *testing.T) {
	parse := func(spec string) *Entry {
		r, problems := Parse("r.yaml", []byte("apiVersion: drawbridge/v1\nkind: Trust\nmetadata: {name: e, owner: ann}\nspec:\n  purpose: p\n  from: {principals: ['arn:aws:iam::111111111111:role/ci']}\n  to: {role: 'arn:aws:iam::222222222222:role/deploy'}\n"+spec))
		if len(problems) > 0 {
			t.Fatalf("%s: %v", spec, problems)
		}
		return &r.Entries[0]
	}
	for name, c := range map[string]struct{ before, after, want string }{
		"from a wider network":     {"  context: {IpAddress: {aws:SourceIp: [198.51.100.0/24]}}\n", "  context: {IpAddress: {aws:SourceIp: [198.51.0.0/16]}}\n", "of each request a broker demands"},
		"from a narrower network":  {"  context: {IpAddress: {aws:SourceIp: [198.51.0.0/16]}}\n", "  context: {IpAddress: {aws:SourceIp: [198.51.100.0/24]}}\n", ""},
		"from anywhere":            {"  context: {IpAddress: {aws:SourceIp: [198.51.100.0/24]}}\n", "", "a broker demands nothing, and demanded"},
		"from somewhere now":       {"", "  context: {IpAddress: {aws:SourceIp: [198.51.100.0/24]}}\n", ""},
		"somebody for the owner":   {"", "  approval: {approvers: [ben]}\n", "ben may approve"},
		"automatic before":         {"  approval: {automatic: true}\n", "  approval: {approvers: [ben]}\n", ""},
		"another tag":              {"  session: {tags: {team: web}}\n", "  session: {tags: {team: shop}}\n", "its sessions carry other tags"},
		"no vendor":                {"  vendor: acme\n", "", "it does not end with the contract of acme any more"},
		"a vendor's contract ends": {"", "  vendor: acme\n", ""},
	} {
		got := strings.Join(Widens(parse(c.before), parse(c.after), ref.Engine()), "\n")
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
