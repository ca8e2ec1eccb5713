package ref

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"drawbridge/iam/arn"
)

func types(a Action, required bool) []string {
	var names []string
	for _, r := range a.Resources {
		if r.Required || !required {
			names = append(names, r.Type)
		}
	}
	return names
}

func TestActions(t *testing.T) {
	for _, c := range []struct {
		name, written string
		access        AccessLevel
		takes         []string // resource types, among others
		required      []string // exactly
		sends         []string // among ActionKeys
	}{
		{"S3:getobject", "s3:GetObject", Read, []string{"object"}, nil, []string{"s3:ExistingObjectTag/${TagKey}"}},
		{"s3:listallmybuckets", "s3:ListAllMyBuckets", List, nil, nil, nil},
		{"s3:PutBucketPolicy", "s3:PutBucketPolicy", PermissionsManagement, []string{"bucket"}, []string{"bucket"}, nil},
		{"ec2:CreateTags", "ec2:CreateTags", Tagging, []string{"instance"}, nil, []string{"ec2:CreateAction", "aws:TagKeys"}},
		{
			"ec2:RunInstances", "ec2:RunInstances", Write, []string{"instance", "image", "subnet"},
			[]string{"image", "instance", "network-interface", "security-group", "subnet"}, []string{"ec2:InstanceType", "ec2:Vpc"},
		},
		{"iam:PassRole", "iam:PassRole", Write, []string{"role"}, []string{"role"}, []string{"iam:PassedToService"}},
		{"sts:AssumeRole", "sts:AssumeRole", Write, []string{"role"}, []string{"role"}, []string{"sts:ExternalId", "sts:RoleSessionName", "aws:RequestTag/${TagKey}"}},
		{"sts:GetCallerIdentity", "sts:GetCallerIdentity", Read, nil, nil, nil},
		{"kms:Decrypt", "kms:Decrypt", Write, []string{"key"}, []string{"key"}, []string{"kms:ViaService", "kms:EncryptionContext:${EncryptionContextKey}"}},
	} {
		a, ok := LookupAction(c.name)
		if !ok || a.Name != c.written || a.Access != c.access {
			t.Errorf("%s: %v, %s, %s; expected %s, %s", c.name, ok, a.Name, a.Access, c.written, c.access)
		}
		for _, r := range c.takes {
			if !slices.Contains(types(a, false), r) {
				t.Errorf("%s does not take %s but %v", c.name, r, types(a, false))
			}
		}
		if len(c.takes) == 0 && len(a.Resources) > 0 {
			t.Errorf("%s takes %v", c.name, types(a, false))
		}
		if got := types(a, true); !slices.Equal(got, c.required) {
			t.Errorf("%s requires %v; expected %v", c.name, got, c.required)
		}
		for _, k := range c.sends {
			if !slices.Contains(ActionKeys(c.name), k) {
				t.Errorf("%s does not send %s but %v", c.name, k, ActionKeys(c.name))
			}
		}
	}
	for _, name := range []string{"", ":", "*", "s3", "s3:", "s3:*", "s3:Get", "unheard:Of", "s3:GetObject\t", "s3:GetObject\tR"} {
		if a, ok := LookupAction(name); ok {
			t.Errorf("%q is %s", name, a.Name)
		}
		if ActionKeys(name) != nil {
			t.Errorf("%q has keys", name)
		}
	}
	if !slices.Contains(ActionKeys("s3:ListBucket"), "s3:prefix") || slices.Contains(ActionKeys("s3:GetObject"), "s3:prefix") {
		t.Error("s3:prefix is a key of s3:ListBucket and none of s3:GetObject")
	}
	if ServiceActions("unheard") != nil || len(ServiceActions("STS")) < 10 {
		t.Error("the actions of a service are those of its prefix, in any case")
	}
}

func TestExpand(t *testing.T) {
	for pattern, want := range map[string][]string{
		"sts:AssumeRole*": {"sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"},
		"STS:assumerole":  {"sts:AssumeRole"},
		"s?s:assumerole":  {"sts:AssumeRole"},
		"*:assumerole":    {"sts:AssumeRole"},
		"sts*Role":        {"sts:AssumeRole"},
		"sts":             nil,
		"sts:Nothing*":    nil,
		"":                nil,
		":":               nil,
	} {
		if got := Expand(pattern); !slices.Equal(got, want) {
			t.Errorf("%s: %v; expected %v", pattern, got, want)
		}
	}
	for _, pattern := range []string{"*", "**", "*:*"} {
		if n := len(Expand(pattern)); n < 21_000 {
			t.Errorf("%s: %d actions", pattern, n)
		}
	}
}

// TestExpandIsMatching holds Expand against matching every known action.
func TestExpandIsMatching(t *testing.T) {
	all := Expand("*")
	rapid.Check(t, func(t *rapid.T) {
		pattern := []byte(rapid.SampledFrom(all).Draw(t, "action"))
		for range rapid.IntRange(0, 3).Draw(t, "wildcards") {
			i := rapid.IntRange(0, len(pattern)-1).Draw(t, "at")
			j := rapid.IntRange(i, len(pattern)).Draw(t, "to")
			pattern = slices.Replace(pattern, i, j, rapid.SampledFrom([]byte("*?")).Draw(t, "wildcard"))
		}
		var want []string
		for _, a := range all {
			if arn.MatchGlob(strings.ToLower(string(pattern)), strings.ToLower(a)) {
				want = append(want, a)
			}
		}
		if got := Expand(string(pattern)); !slices.Equal(got, want) {
			t.Fatalf("%s: %v; expected %v", pattern, got, want)
		}
	})
}

func TestNearestAction(t *testing.T) {
	for name, want := range map[string]string{
		"s3:GetObjct":                        "s3:GetObject",
		"s3:getobjects":                      "s3:GetObject",
		"sts:AssumeRoles":                    "sts:AssumeRole",
		"dynamo:BatchGetItem":                "dynamodb:BatchGetItem",
		"elb:DescribeLoadBalancerAttributes": "elasticloadbalancing:DescribeLoadBalancerAttributes",
		"unheard:TagResource":                "", // too many services have it
		"elb:DescribeLoadBalancers":          "", // autoscaling has it as well
		"s3:GetObject":                       "", // known
		"s3:MakeMeASandwich":                 "",
		"s3:X":                               "",
		"unheard:Of":                         "",
		"GetObject":                          "",
		"*":                                  "",
		"":                                   "",
		"s3:" + strings.Repeat("a", 1<<20):   "",
	} {
		if got := NearestAction(name); got != want {
			t.Errorf("%.40s: %q; expected %q", name, got, want)
		}
	}
}

func TestAccessLevelStrings(t *testing.T) {
	for level, want := range map[AccessLevel]string{NoAccessLevel: "", List: "List", PermissionsManagement: "Permissions management", Tagging: "Tagging", 99: ""} {
		if level.String() != want {
			t.Errorf("%d: %q", level, level.String())
		}
	}
}
