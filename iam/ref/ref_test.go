package ref

import "testing"

// TestSizes guards the tables against an accident that empties them.
func TestSizes(t *testing.T) {
	for name, size := range map[string][2]int{
		"services that RCPs reach":       {len(RCPServices()), 60},
		"multi-tenant issuers":           {len(Issuers()), 10},
		"services that send source keys": {len(sendsSourceKeys), 40},
	} {
		if size[0] < size[1] {
			t.Errorf("%s: %d, expected at least %d", name, size[0], size[1])
		}
	}
}

func TestSourceKeys(t *testing.T) {
	for _, c := range []struct {
		host         string
		sends, known bool
	}{
		{"events.amazonaws.com", true, true},
		{"logs.eu-west-1.amazonaws.com", true, true},
		{"delivery.logs.amazonaws.com", true, true},
		{"pods.eks.amazonaws.com", false, true},
		{"ec2.amazonaws.com.cn", false, true},
		{"unheard-of.amazonaws.com", false, false},
	} {
		if sends, known := SourceKeys(c.host); sends != c.sends || known != c.known {
			t.Errorf("%s: %v, %v; expected %v, %v", c.host, sends, known, c.sends, c.known)
		}
	}
}

func TestTenant(t *testing.T) {
	github, _ := SharedIssuer("arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com")
	for subject, want := range map[string]struct {
		tenant, project string
		bound           bool
	}{
		"repo:acme/web:ref:refs/heads/main": {"acme", "web", true},
		"repo:acme/*":                       {"acme", "*", true},
		"repo:acme*/web:*":                  {"", "", false},
		"repo:*":                            {"", "", false},
		"*":                                 {"", "", false},
		"repository_owner_id:4711:*":        {"4711", "", true},
		"environment:production":            {"", "", false},
	} {
		tenant, project, bound := github.Tenant(subject)
		if bound != want.bound || bound && (tenant != want.tenant || project != want.project) {
			t.Errorf("%s: %q, %q, %v; expected %+v", subject, tenant, project, bound, want)
		}
	}
}

func TestConditionKey(t *testing.T) {
	for key, want := range map[string]struct {
		known   bool
		nearest string
	}{
		"aws:PrincipalOrgID":      {true, ""},
		"AWS:sourceip":            {true, ""},
		"aws:CalledViaAWSMCP":     {true, ""},
		"aws:SignInSessionArn":    {true, ""},
		"sts:RoleAuthorizedByIdp": {true, ""},
		"aws:RoleSessionName":     {false, "sts:RoleSessionName"},
		"sts:aud":                 {false, ""},
		"aws:PrincipalTag/team":   {true, ""},
		"s3:x-amz-acl":            {true, ""},
		"aws:PrincipleOrgID":      {false, "aws:PrincipalOrgID"},
		"sts:ExternalID2":         {false, "sts:ExternalId"},
		"aws:SomethingElseThere":  {false, ""},
	} {
		if known, nearest := ConditionKey(key); known != want.known || nearest != want.nearest {
			t.Errorf("%s: %v, %q; expected %v, %q", key, known, nearest, want.known, want.nearest)
		}
	}
}
