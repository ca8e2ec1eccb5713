package ref

import (
	"slices"
	"strings"
	"testing"
)

func TestKeys(t *testing.T) {
	for name, want := range map[string]Key{
		"AWS:sourceip":                {"aws:SourceIp", IPAddress, false, true},
		"aws:PrincipalOrgPaths":       {"aws:PrincipalOrgPaths", String, true, true},
		"aws:TagKeys":                 {"aws:TagKeys", String, true, true},
		"aws:RequestTag/Team":         {"aws:RequestTag/${TagKey}", String, false, true},
		"aws:RequestTag/${TagKey}":    {"aws:RequestTag/${TagKey}", String, false, true},
		"aws:SignInSessionArn":        {"aws:SignInSessionArn", ARN, false, true},
		"aws:SourceVpcArn":            {"aws:SourceVpcArn", ARN, false, true},
		"aws:CurrentTime":             {"aws:CurrentTime", Date, false, true},
		"aws:MultiFactorAuthAge":      {"aws:MultiFactorAuthAge", Numeric, false, true},
		"aws:SecureTransport":         {"aws:SecureTransport", Bool, false, true},
		"ec2:SourceInstanceARN":       {"ec2:SourceInstanceArn", ARN, false, true},
		"sts:externalid":              {"sts:ExternalId", String, false, false},
		"sts:TransitiveTagKeys":       {"sts:TransitiveTagKeys", String, true, false},
		"kms:EncryptionContext:App":   {"kms:EncryptionContext:${EncryptionContextKey}", String, false, false},
		"s3:ExistingObjectTag/class":  {"s3:ExistingObjectTag/${TagKey}", String, false, false},
		"events:Metadata/a/Matcher":   {"events:Metadata/${MetadataKey}/Matcher", String, false, false},
		"saml:aud":                    {"saml:aud", String, false, false},
		"agent.x.buildkite.dev:org":   {},
		"aws:RequestTag/":             {},
		"aws:RequestTag":              {},
		"aws:":                        {},
		"":                            {},
		"token.actions.example.com:x": {},
	} {
		got, ok := LookupKey(name)
		if got != want || ok != (want.Name != "") {
			t.Errorf("%s: %+v, %v; expected %+v", name, got, ok, want)
		}
	}
}

// formerly are the keys that were once written down here by hand from AWS's pages. The table has them all.
var formerly = strings.Fields(`
aws:assumedroot aws:calledvia aws:calledviaawsmcp aws:calledviafirst aws:calledvialast aws:chatbotsourcearn aws:currenttime aws:ec2instancesourceprivateipv4
aws:ec2instancesourcevpc aws:epochtime aws:federatedprovider aws:ismcpserviceaction aws:multifactorauthage aws:multifactorauthpresent
aws:principalaccount aws:principalarn aws:principalisawsservice aws:principalorgid aws:principalorgpaths aws:principalservicename
aws:principalservicenameslist aws:principaltag/x aws:principaltype aws:referer aws:requestedregion aws:requesttag/x aws:resourceaccount
aws:resourceorgid aws:resourceorgpaths aws:resourcetag/x aws:securetransport aws:signinsessionarn aws:sourceaccount aws:sourcearn aws:sourceidentity
aws:sourceip aws:sourceorgid aws:sourceorgpaths aws:sourceowner aws:sourcevpc aws:sourcevpcarn aws:sourcevpce aws:tagkeys aws:tokenissuetime
aws:useragent aws:userid aws:username aws:viaawsmcpservice aws:viaawsservice aws:vpceaccount aws:vpceorgid aws:vpceorgpaths aws:vpcsourceip
sts:awsservicename sts:durationseconds sts:externalid sts:identitytokenaudience sts:requestcontext/x sts:requestcontextproviders sts:roleauthorizedbyidp sts:rolesessionname
sts:signingalgorithm sts:sourceidentity sts:taskpolicyarn sts:transitivetagkeys`)

// TestNoKeyIsLost: a renewed table knows every key of the requests that trust policies judge, and no others of these prefixes
// come unseen.
func TestNoKeyIsLost(t *testing.T) {
	for _, k := range formerly {
		if known, _ := ConditionKey(k); !known {
			t.Errorf("%s is not known any more", k)
		}
	}
	for _, k := range tables().sorted {
		name := strings.ToLower(k.Name)
		if !strings.HasPrefix(name, "aws:") && !strings.HasPrefix(name, "sts:") {
			continue
		}
		if head, _, ok := strings.Cut(name, "${"); ok {
			name = head + "x"
		}
		if !slices.Contains(formerly, name) {
			t.Errorf("%s is new: see what the rules should make of it, and add it here", k.Name)
		}
	}
}

func TestConditionKeysOfServices(t *testing.T) {
	for key, want := range map[string]struct {
		known   bool
		nearest string
	}{
		"s3:x-amz-acl":                            {true, ""},
		"s3:x-amz-acls":                           {false, "s3:x-amz-acl"},
		"s3:SourceIp":                             {false, "aws:SourceIp"},
		"kms:EncryptionContext:App":               {true, ""},
		"kms:ViaServices":                         {false, "kms:ViaService"},
		"aws:RequestTags/team":                    {false, "aws:RequestTag/${TagKey}"},
		"iam:PassToService":                       {false, "iam:PassedToService"},
		"s3:NothingOfTheKind":                     {false, ""},
		"token.actions.githubusercontent.com:sub": {true, ""}, // no service: an identity provider
		"unheard:Of":                              {true, ""},
		"aws:" + strings.Repeat("a", 1<<20):       {false, ""},
	} {
		if known, nearest := ConditionKey(key); known != want.known || nearest != want.nearest {
			t.Errorf("%.40s: %v, %q; expected %v, %q", key, known, nearest, want.known, want.nearest)
		}
	}
}
