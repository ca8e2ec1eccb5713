package gate_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"drawbridge/iam/ref"
	"drawbridge/internal/change"
	"drawbridge/internal/gate"
	"drawbridge/internal/ingest/terraform"
	"drawbridge/internal/snapshot"
)

type values = map[string]any

// resource is the change of one resource in a Terraform plan, nil where it is not there before or after.
type resource struct {
	typ           string
	before, after values
}

// terraformPlan is a plan of the account acme-shop-prod.
func terraformPlan(t *testing.T, account string, list ...resource) *change.Plan {
	t.Helper()
	var changes []values
	for i, r := range list {
		actions := []string{"update"}
		switch {
		case r.before == nil:
			actions = []string{"create"}
		case r.after == nil:
			actions = []string{"delete"}
		}
		name := string(rune('a' + i))
		changes = append(changes, values{"address": r.typ + "." + name, "mode": "managed", "type": r.typ, "name": name, "provider_name": "registry.terraform.io/hashicorp/aws",
			"change": values{"actions": actions, "before": r.before, "after": r.after, "after_unknown": values{}, "before_sensitive": false, "after_sensitive": values{}}})
	}
	text, err := json.Marshal(values{"format_version": "1.2", "terraform_version": "1.11.4", "resource_changes": changes, "configuration": values{"root_module": values{}}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := terraform.ReadPlan(strings.NewReader(string(text)), terraform.Options{File: "plan.json", Account: account, Region: "eu-west-1"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func policyText(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// TestWideningPlans: each of these plans widens access over the example organisation in a way of its own, and none passes.
func TestWideningPlans(t *testing.T) {
	base, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		prod     = "111100000021"
		manage   = "111100000001"
		network  = "111100000010"
		tooling  = "111100000011"
		shopWeb  = "arn:aws:iam::111100000021:role/acme/deploy/shop-web"
		key      = "arn:aws:kms:eu-west-1:111100000021:key/c6ab0284-f315-41ac-a7b3-3cd9ad5b0279"
		share    = "arn:aws:ram:eu-west-1:111100000010:resource-share/6bec728a-847f-40fe-af54-a7e4ad2b5f82"
		github   = "arn:aws:iam::111100000011:oidc-provider/token.actions.githubusercontent.com"
		private  = "arn:aws:iam::111100000011:oidc-provider/id.example.com"
		deploy   = "arn:aws:iam::111100000011:role/acme/ci/deploy-shop"
		allowCI  = `{"Effect":"Allow","Principal":{"AWS":"` + deploy + `"},"Action":"sts:AssumeRole"}`
		rcp      = "arn:aws:organizations::111100000001:policy/o-acmeexample1/resource_control_policy/p-peri0001"
		imagesPr = "arn:aws:s3:::acme-shop-images-prod"
	)
	role := func(arn, trust, boundary string) values {
		name := arn[strings.LastIndexByte(arn, '/')+1:]
		path := strings.TrimSuffix(arn[strings.Index(arn, ":role")+len(":role"):], name)
		v := values{"arn": arn, "name": name, "path": path, "id": name, "assume_role_policy": policyText(trust), "max_session_duration": 3600}
		if boundary != "" {
			v["permissions_boundary"] = boundary
		}
		return v
	}
	const boundary = "arn:aws:iam::111100000021:policy/acme-boundary"
	oidc := func(subject string) string {
		return `{"Effect":"Allow","Principal":{"Federated":"` + github + `"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"token.actions.githubusercontent.com:aud":"sts.amazonaws.com"},"StringLike":{"token.actions.githubusercontent.com:sub":"` + subject + `"}}}`
	}
	saml := func(condition string) string {
		return `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::111100000021:saml-provider/corp"},"Action":"sts:AssumeRoleWithSAML"` + condition + `}`
	}
	anywhere := func(condition string) string {
		return `{"Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"],"Condition":{` + condition + `}}`
	}
	anchor := `"ArnEquals":{"aws:SourceArn":"arn:aws:rolesanywhere:eu-west-1:111100000021:trust-anchor/11111111-1111-1111-1111-111111111111"}`
	for _, c := range []struct {
		name    string
		account string
		changes []resource
	}{
		{"permissions boundary removed", prod, []resource{{"aws_iam_role", role(shopWeb, allowCI, boundary), role(shopWeb, allowCI, "")}}},
		{"permissions boundary swapped for one that allows everything", prod, []resource{{"aws_iam_role", role(shopWeb, allowCI, boundary), role(shopWeb, allowCI, "arn:aws:iam::aws:policy/AdministratorAccess")}}},
		{"SCP detached from the organisational unit", manage, []resource{{"aws_organizations_policy_attachment", values{"policy_id": "p-boun0001", "target_id": "ou-ac01-work0001", "id": "ou-ac01-work0001:p-boun0001"}, nil}}},
		{"RCP detached", manage, []resource{{"aws_organizations_policy_attachment", values{"policy_id": "p-peri0001", "target_id": "ou-ac01-prod0001", "id": "ou-ac01-prod0001:p-peri0001"}, nil}}},
		{"RCP deleted", manage, []resource{{"aws_organizations_policy", values{"arn": rcp, "id": "p-peri0001", "name": "perimeter", "type": "RESOURCE_CONTROL_POLICY", "content": policyText(`{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}`)}, nil}}},
		{"account moved out of the unit that its guards are on", manage, []resource{{"aws_organizations_account",
			values{"id": prod, "arn": "arn:aws:organizations::111100000001:account/o-acmeexample1/111100000021", "name": "acme-shop-prod", "parent_id": "ou-ac01-prod0001"},
			values{"id": prod, "arn": "arn:aws:organizations::111100000001:account/o-acmeexample1/111100000021", "name": "acme-shop-prod", "parent_id": "ou-ac01-plat0001"}}}},
		{"unit moved out of the one that its guards are on", manage, []resource{{"aws_organizations_organizational_unit",
			values{"id": "ou-ac01-prod0001", "name": "Production", "parent_id": "ou-ac01-work0001"}, values{"id": "ou-ac01-prod0001", "name": "Production", "parent_id": "r-ac01"}}}},
		{"account leaves the organisation", manage, []resource{{"aws_organizations_account",
			values{"id": prod, "arn": "arn:aws:organizations::111100000001:account/o-acmeexample1/111100000021", "name": "acme-shop-prod", "parent_id": "ou-ac01-prod0001"}, nil}}},
		{"control policies switched off", manage, []resource{{"aws_organizations_organization",
			values{"id": "o-acmeexample1", "feature_set": "ALL", "enabled_policy_types": []string{"SERVICE_CONTROL_POLICY", "RESOURCE_CONTROL_POLICY"}},
			values{"id": "o-acmeexample1", "feature_set": "ALL", "enabled_policy_types": []string{"RESOURCE_CONTROL_POLICY"}}}}},
		{"NotAction in an inline policy", prod, []resource{{"aws_iam_role_policy", nil, values{"role": "shop-web", "name": "more", "policy": policyText(`{"Effect":"Allow","NotAction":["iam:*","organizations:*"],"Resource":"*"}`)}}}},
		{"NotAction grows past a Deny", prod, []resource{{"aws_iam_role", role(shopWeb, `{"Effect":"Allow","Principal":{"AWS":"`+deploy+`"},"Action":"sts:AssumeRole"}`, boundary),
			role(shopWeb, `{"Effect":"Allow","Principal":{"AWS":["`+deploy+`","999900000002"]},"NotAction":"sts:TagSession"}`, boundary)}}},
		{"bucket for everybody who says a referer", prod, []resource{{"aws_s3_bucket_policy", nil, values{"bucket": "acme-shop-images-prod", "policy": policyText(`{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"` + imagesPr + `/*","Condition":{"StringLike":{"aws:Referer":"https://shop.example.com/*"}}}`)}},
			{"aws_s3_bucket_public_access_block", values{"bucket": "acme-shop-images-prod", "block_public_acls": true, "block_public_policy": true, "ignore_public_acls": true, "restrict_public_buckets": true}, nil}}},
		{"queue for everybody from half of the Internet", prod, []resource{{"aws_sqs_queue_policy", nil, values{"queue_url": "https://sqs.eu-west-1.amazonaws.com/111100000021/orders", "policy": policyText(`{"Effect":"Allow","Principal":"*","Action":"sqs:SendMessage","Resource":"arn:aws:sqs:eu-west-1:111100000021:orders","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}}}`)}}}},
		{"queue for everybody whose account begins like ours", prod, []resource{{"aws_sqs_queue_policy", nil, values{"queue_url": "https://sqs.eu-west-1.amazonaws.com/111100000021/orders", "policy": policyText(`{"Effect":"Allow","Principal":"*","Action":"sqs:*","Resource":"*","Condition":{"StringLike":{"aws:PrincipalAccount":"1111*"}}}`)}}}},
		{"KMS grant to a vendor", prod, []resource{{"aws_kms_grant", nil, values{"key_id": key, "name": "v", "grantee_principal": "arn:aws:iam::999900000002:role/pipeline", "operations": []string{"Decrypt", "CreateGrant"}, "grant_id": "g1", "id": "g1"}}}},
		{"KMS grant with more operations", prod, []resource{{"aws_kms_grant", values{"key_id": key, "grantee_principal": "arn:aws:iam::999900000002:role/reader", "operations": []string{"Decrypt"}, "grant_id": "f23201ba4cb81ad0a39e23d5a5f59211"},
			values{"key_id": key, "grantee_principal": "arn:aws:iam::999900000002:role/reader", "operations": []string{"Decrypt", "CreateGrant"}, "grant_id": "f23201ba4cb81ad0a39e23d5a5f59211"}}}},
		{"share opened to accounts outside", network, []resource{{"aws_ram_resource_share", values{"arn": share, "id": share, "name": "tgw", "allow_external_principals": false}, values{"arn": share, "id": share, "name": "tgw", "allow_external_principals": true}},
			{"aws_ram_principal_association", nil, values{"resource_share_arn": share, "principal": "999900000002", "id": share + ",999900000002"}}}},
		{"subnet shared with the whole organisation", network, []resource{{"aws_ram_resource_share", nil, values{"arn": "arn:aws:ram:eu-west-1:111100000010:resource-share/22222222-2222-2222-2222-222222222222", "name": "subnets", "allow_external_principals": false}},
			{"aws_ram_principal_association", nil, values{"resource_share_arn": "arn:aws:ram:eu-west-1:111100000010:resource-share/22222222-2222-2222-2222-222222222222", "principal": "arn:aws:organizations::111100000001:organization/o-acmeexample1"}},
			{"aws_ram_resource_association", nil, values{"resource_share_arn": "arn:aws:ram:eu-west-1:111100000010:resource-share/22222222-2222-2222-2222-222222222222", "resource_arn": "arn:aws:ec2:eu-west-1:111100000010:subnet/subnet-1"}}}},
		{"a further resource in a share", network, []resource{{"aws_ram_resource_association", nil, values{"resource_share_arn": share, "resource_arn": "arn:aws:ec2:eu-west-1:111100000010:subnet/subnet-1"}}}},
		{"Identity Center assignment", manage, []resource{{"aws_ssoadmin_account_assignment", nil, values{"instance_arn": "arn:aws:sso:::instance/ssoins-1", "permission_set_arn": "arn:aws:sso:::permissionSet/ssoins-1/ps-1", "principal_id": "g", "principal_type": "GROUP", "target_id": prod, "target_type": "AWS_ACCOUNT"}}}},
		{"Identity Center permission set with more", manage, []resource{{"aws_ssoadmin_managed_policy_attachment", nil, values{"instance_arn": "arn:aws:sso:::instance/ssoins-1", "permission_set_arn": "arn:aws:sso:::permissionSet/ssoins-1/ps-1", "managed_policy_arn": "arn:aws:iam::aws:policy/AdministratorAccess"}}}},
		{"subject of tokens by pattern", tooling, []resource{{"aws_iam_role", role(deploy, oidc("repo:acme/shop:ref:refs/heads/main"), "arn:aws:iam::111100000011:policy/acme-boundary"), role(deploy, oidc("repo:acme/*"), "arn:aws:iam::111100000011:policy/acme-boundary")}}},
		{"subject of tokens by a pattern that ends early", tooling, []resource{{"aws_iam_role", role(deploy, oidc("repo:acme/shop:*"), "arn:aws:iam::111100000011:policy/acme-boundary"), role(deploy, oidc("repo:acme*"), "arn:aws:iam::111100000011:policy/acme-boundary")}}},
		{"audience of SAML dropped", prod, []resource{{"aws_iam_role", role(shopWeb, saml(`,"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}`), boundary), role(shopWeb, saml(""), boundary)}}},
		{"SAML issuer replaced", prod, []resource{{"aws_iam_saml_provider", values{"arn": "arn:aws:iam::111100000021:saml-provider/corp", "name": "corp", "saml_metadata_document": "<old/>"}, values{"arn": "arn:aws:iam::111100000021:saml-provider/corp", "name": "corp", "saml_metadata_document": "<new/>"}},
			{"aws_iam_role", nil, role("arn:aws:iam::111100000021:role/corp-people", saml(`,"Condition":{"StringEquals":{"SAML:aud":"https://signin.aws.amazon.com/saml"}}`), boundary)}}[:1]},
		{"trust anchor dropped from a trust of Roles Anywhere", prod, []resource{{"aws_iam_role", role(shopWeb, anywhere(anchor), boundary), role(shopWeb, anywhere(`"StringEquals":{"aws:SourceAccount":"111100000021"}`), boundary)}}},
		{"subject of certificates dropped", prod, []resource{{"aws_iam_role", role(shopWeb, anywhere(anchor+`,"StringEquals":{"aws:PrincipalTag/x509Subject/CN":"deployer"}`), boundary), role(shopWeb, anywhere(anchor), boundary)}}},
		{"certificate of a trust anchor replaced", prod, []resource{{"aws_rolesanywhere_trust_anchor",
			values{"arn": "arn:aws:rolesanywhere:eu-west-1:111100000021:trust-anchor/11111111-1111-1111-1111-111111111111", "id": "11111111-1111-1111-1111-111111111111", "name": "ca", "enabled": true, "source": []any{values{"source_type": "CERTIFICATE_BUNDLE", "source_data": []any{values{"x509_certificate_data": "OLD"}}}}},
			values{"arn": "arn:aws:rolesanywhere:eu-west-1:111100000021:trust-anchor/11111111-1111-1111-1111-111111111111", "id": "11111111-1111-1111-1111-111111111111", "name": "ca", "enabled": true, "source": []any{values{"source_type": "CERTIFICATE_BUNDLE", "source_data": []any{values{"x509_certificate_data": "NEW"}}}}}}}},
		{"profile of Roles Anywhere with a further role", prod, []resource{{"aws_rolesanywhere_profile", values{"id": "p", "name": "p", "role_arns": []string{shopWeb}}, values{"id": "p", "name": "p", "role_arns": []string{shopWeb, "arn:aws:iam::111100000021:role/app/checkout"}}}}},
		{"thumbprint of an issuer added", tooling, []resource{{"aws_iam_openid_connect_provider", values{"arn": private, "url": "https://id.example.com", "client_id_list": []string{"sts.amazonaws.com"}, "thumbprint_list": []string{"a"}},
			values{"arn": private, "url": "https://id.example.com", "client_id_list": []string{"sts.amazonaws.com"}, "thumbprint_list": []string{"a", "b"}}}}},
		{"administrator of a service delegated", manage, []resource{{"aws_organizations_delegated_administrator", nil, values{"account_id": "111100000051", "service_principal": "sso.amazonaws.com"}}}},
		{"a further service for a delegated administrator", manage, []resource{{"aws_organizations_delegated_administrator", nil, values{"account_id": "111100000002", "service_principal": "sso.amazonaws.com"}}}},
		{"permissions of a data lake", prod, []resource{{"aws_lakeformation_permissions", nil, values{"principal": "999900000002", "permissions": []string{"SELECT"}, "table": []any{values{"database_name": "d", "name": "t"}}, "catalog_id": prod}}}},
		{"more permissions of a data lake", prod, []resource{{"aws_lakeformation_permissions", values{"principal": "999900000002", "permissions": []string{"SELECT"}, "table": []any{values{"database_name": "d", "name": "t"}}, "catalog_id": prod},
			values{"principal": "999900000002", "permissions": []string{"SELECT"}, "permissions_with_grant_option": []string{"SELECT"}, "table": []any{values{"database_name": "d", "name": "t"}}, "catalog_id": prod}}}},
		{"queue for the topics of everybody", prod, []resource{{"aws_sqs_queue_policy", nil, values{"queue_url": "https://sqs.eu-west-1.amazonaws.com/111100000021/orders", "policy": policyText(`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"}`)}}}},
		{"function for the buckets of another account", prod, []resource{{"aws_lambda_permission", nil, values{"function_name": "f", "statement_id": "s", "action": "lambda:InvokeFunction", "principal": "s3.amazonaws.com", "source_account": "999900000002"}}}},
		{"audience added to an issuer", tooling, []resource{{"aws_iam_openid_connect_provider", values{"arn": github, "url": "https://token.actions.githubusercontent.com", "client_id_list": []string{"sts.amazonaws.com"}},
			values{"arn": github, "url": "https://token.actions.githubusercontent.com", "client_id_list": []string{"sts.amazonaws.com", "other"}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := gate.Judge(base, terraformPlan(t, c.account, c.changes...), gate.Options{Now: at, Engine: ref.Engine()})
			show(t, r)
			if r.Passes() {
				t.Errorf("passed: %s", r.Status())
			}
			confirm(t, r)
		})
	}
}

// TestNarrowingPlans: the reverse of some of them, and others that give nobody anything across accounts, pass.
func TestNarrowingPlans(t *testing.T) {
	base, err := snapshot.ReadFS(os.DirFS("../../examples/acme"))
	if err != nil {
		t.Fatal(err)
	}
	const share = "arn:aws:ram:eu-west-1:111100000010:resource-share/6bec728a-847f-40fe-af54-a7e4ad2b5f82"
	queue := func(condition string) values {
		return values{"queue_url": "https://sqs.eu-west-1.amazonaws.com/111100000021/orders", "policy": policyText(`{"Effect":"Allow","Principal":{"Service":"sns.amazonaws.com"},"Action":"sqs:SendMessage","Resource":"*"` + condition + `}`)}
	}
	account := func(parent string) values {
		return values{"id": "111100000051", "name": "acme-ai-sandbox", "parent_id": parent}
	}
	for _, c := range []struct {
		name    string
		changes []resource
	}{
		{"account renamed", []resource{{"aws_organizations_account", account("ou-ac01-sand0001"), account("ou-ac01-sand0001")}}},
		{"account made", []resource{{"aws_organizations_account", nil, values{"name": "new", "parent_id": "ou-ac01-sand0001"}}}},
		{"unit renamed", []resource{{"aws_organizations_organizational_unit", values{"id": "ou-ac01-prod0001", "name": "Production", "parent_id": "ou-ac01-work0001"}, values{"id": "ou-ac01-prod0001", "name": "Prod", "parent_id": "ou-ac01-work0001"}}}},
		{"resource taken from a share", []resource{{"aws_ram_resource_association", values{"resource_share_arn": share, "resource_arn": "arn:aws:ec2:eu-west-1:111100000010:transit-gateway/tgw-6b"}, nil}}},
		{"queue for the topics of its own account", []resource{{"aws_sqs_queue_policy", nil, queue(`,"Condition":{"StringEquals":{"aws:SourceAccount":"111100000021"}}`)}}},
		{"queue for one topic of its own account", []resource{{"aws_sqs_queue_policy", nil, queue(`,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:eu-west-1:111100000021:orders-*"}}`)}}},
		{"function for a bucket", []resource{{"aws_lambda_permission", nil, values{"function_name": "f", "statement_id": "s", "action": "lambda:InvokeFunction", "principal": "s3.amazonaws.com", "source_account": "111100000021"}}}},
		{"delegated administrator taken back", []resource{{"aws_organizations_delegated_administrator", values{"account_id": "111100000002", "service_principal": "guardduty.amazonaws.com"}, nil}}},
		{"organisation tagged", []resource{{"aws_organizations_organization", values{"id": "o-acmeexample1", "feature_set": "ALL", "enabled_policy_types": []string{"SERVICE_CONTROL_POLICY"}}, values{"id": "o-acmeexample1", "feature_set": "ALL", "enabled_policy_types": []string{"SERVICE_CONTROL_POLICY"}, "tags": values{"a": "b"}}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := gate.Judge(base, terraformPlan(t, "111100000021", c.changes...), gate.Options{Now: at, Engine: ref.Engine()})
			show(t, r)
			if !r.Passes() {
				t.Errorf("refused: %s", r.Status())
			}
		})
	}
}

// TestOrganizationWithoutBase: what changes the organisation cannot be judged where the organisation is not known.
func TestOrganizationWithoutBase(t *testing.T) {
	for name, c := range map[string]resource{
		"SCP detached":     {"aws_organizations_policy_attachment", values{"policy_id": "p-boun0001", "target_id": "ou-ac01-work0001"}, nil},
		"account moved":    {"aws_organizations_account", values{"id": "111100000021", "parent_id": "ou-a"}, values{"id": "111100000021", "parent_id": "ou-b"}},
		"share holds more": {"aws_ram_resource_association", nil, values{"resource_share_arn": "arn:aws:ram:eu-west-1:111100000010:resource-share/1", "resource_arn": "arn:aws:ec2:eu-west-1:111100000010:subnet/subnet-1"}},
	} {
		if r := gate.Judge(nil, terraformPlan(t, "111100000001", c), gate.Options{Now: at, Engine: ref.Engine()}); r.Passes() || r.Status() != "cannot be judged" {
			t.Errorf("%s: %s", name, r.Status())
		}
	}
}

// TestProviderThatATrustWaitsFor: a provider that a trust names before it is there lets somebody in when it comes.
func TestProviderThatATrustWaitsFor(t *testing.T) {
	for name, c := range map[string]struct {
		provider snapshot.Provider
		trust    string
		passes   bool
	}{
		"issuer": {snapshot.Provider{ARN: "arn:aws:iam::222222222222:oidc-provider/idp.example.com", Account: accB, Type: "oidc", URL: "https://idp.example.com"},
			`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/idp.example.com"},"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"idp.example.com:sub":"a"}}}`, false},
		"another issuer": {snapshot.Provider{ARN: "arn:aws:iam::222222222222:oidc-provider/other.example.com", Account: accB, Type: "oidc", URL: "https://other.example.com"},
			`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/idp.example.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`, true},
		"anchor, and a trust in any": {snapshot.Provider{ARN: "arn:aws:rolesanywhere:eu-west-1:222222222222:trust-anchor/new", Account: accB, Type: "rolesanywhere"},
			`{"Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":"sts:AssumeRole"}`, false},
		"anchor, and a trust in another": {snapshot.Provider{ARN: "arn:aws:rolesanywhere:eu-west-1:222222222222:trust-anchor/new", Account: accB, Type: "rolesanywhere"},
			`{"Effect":"Allow","Principal":{"Service":"rolesanywhere.amazonaws.com"},"Action":"sts:AssumeRole","Condition":{"ArnEquals":{"aws:SourceArn":"arn:aws:rolesanywhere:eu-west-1:222222222222:trust-anchor/old"}}}`, true},
	} {
		b := world(t)
		b.Roles[2].Trust = d(t, "trust policy", stmt(c.trust))
		if r := judge(t, b, up(nil, one(change.Provider{Provider: c.provider}))); r.Passes() != c.passes {
			t.Errorf("%s: %s", name, r.Status())
		}
	}
}

// TestUnreadGuard: an SCP whose text could not be read is taken away all the same.
func TestUnreadGuard(t *testing.T) {
	b := world(t)
	o := *b.Organization
	scp := snapshot.ControlPolicy{Name: "hidden", ARN: "arn:aws:organizations::333333333333:policy/o-abcdefghij/service_control_policy/p-hidden01", Targets: []string{"r-root"}, Document: snapshot.Document{Name: "hidden", Problem: "access was denied"}}
	o.SCPs = append(append([]snapshot.ControlPolicy{}, o.SCPs...), scp)
	b.Organization = &o
	if r := judge(t, b, up(one(change.ControlTarget{Policy: scp.ARN, Target: "r-root"}), nil)); r.Passes() {
		t.Errorf("passed: %s", r.Status())
	}
}
