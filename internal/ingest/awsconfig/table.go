package awsconfig

import "strings"

// kind is how the items of a resource type are read.
type kind uint8

const (
	resources kind = iota // a resource that carries a policy, or whose policy counts and is not in the item
	policies              // an item that is only the policy of another resource
	roles
	users
	groups
	managed
	oidc
	saml
	accountBlock // the account's public access block
	unplaced     // a way in that is no policy, with no place in a snapshot: a gap says how many there are
)

// record is what is known about the items of one resource type. Names of fields are found in any spelling of upper and lower case: snapshot files, queries and the API do not agree on it.
type record struct {
	typ  string // of the item
	kind kind
	// as is the type in the snapshot, where AWS Config has its own name for it.
	as string
	// policy is where in the item the policy stands, fields joined by dots; "" where AWS Config does not record it, which makes a policy that is not known.
	policy string
	// arn makes the ARN where the item has none, and for items that are the policy of another resource: {partition}, {region}, {account}, {id} and {name} of the item, {configuration.Field} out of it.
	arn string
	// about is what an unplaced type decides, for its gap.
	about string
	// always: AWS gives every such resource a policy.
	always bool
}

// table is all that is read from items, in the order of the page that shows it. What is in no record is passed over: it lets nobody in by a policy.
var table = []record{
	{typ: "AWS::IAM::Role", kind: roles, policy: "configuration.assumeRolePolicyDocument"},
	{typ: "AWS::IAM::User", kind: users},
	{typ: "AWS::IAM::Group", kind: groups},
	{typ: "AWS::IAM::Policy", kind: managed, policy: "configuration.policyVersionList"},
	{typ: "AWS::IAM::OIDCProvider", kind: oidc},
	{typ: "AWS::IAM::SAMLProvider", kind: saml},

	{typ: "AWS::S3::Bucket", policy: "supplementaryConfiguration.BucketPolicy.policyText", arn: "arn:{partition}:s3:::{name}"},
	{typ: "AWS::S3::AccountPublicAccessBlock", kind: accountBlock},
	{typ: "AWS::S3::AccessPoint", policy: "configuration.Policy", arn: "arn:{partition}:s3:{region}:{account}:accesspoint/{name}"},
	{typ: "AWS::S3Express::DirectoryBucket", arn: "arn:{partition}:s3express:{region}:{account}:bucket/{name}"},
	{typ: "AWS::S3Express::BucketPolicy", kind: policies, as: "AWS::S3Express::DirectoryBucket", policy: "configuration.PolicyDocument", arn: "arn:{partition}:s3express:{region}:{account}:bucket/{name}"},
	{typ: "AWS::KMS::Key", policy: "supplementaryConfiguration.Policy", arn: "arn:{partition}:kms:{region}:{account}:key/{id}", always: true},
	{typ: "AWS::SQS::Queue", policy: "configuration.Policy", arn: "arn:{partition}:sqs:{region}:{account}:{name}"},
	{typ: "AWS::SNS::Topic", policy: "configuration.Policy", arn: "arn:{partition}:sns:{region}:{account}:{name}", always: true},
	{typ: "AWS::Events::EventBus", policy: "configuration.Policy", arn: "arn:{partition}:events:{region}:{account}:event-bus/{name}"},
	{typ: "AWS::EventSchemas::RegistryPolicy", kind: policies, as: "AWS::EventSchemas::Registry", policy: "configuration.Policy", arn: "arn:{partition}:schemas:{region}:{account}:registry/{configuration.RegistryName}"},
	{typ: "AWS::Lambda::Function", policy: "supplementaryConfiguration.Policy", arn: "arn:{partition}:lambda:{region}:{account}:function:{name}"},
	{typ: "AWS::ECR::Repository", policy: "configuration.RepositoryPolicyText", arn: "arn:{partition}:ecr:{region}:{account}:repository/{name}"},
	{typ: "AWS::ECR::RegistryPolicy", kind: policies, policy: "configuration.PolicyText", arn: "arn:{partition}:ecr:{region}:{account}:repository/*"},
	{typ: "AWS::EFS::FileSystem", policy: "configuration.FileSystemPolicy", arn: "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{id}"},
	{typ: "AWS::MSK::Cluster"},
	{typ: "AWS::MSK::ClusterPolicy", kind: policies, as: "AWS::MSK::Cluster", policy: "configuration.Policy", arn: "{configuration.ClusterArn}"},
	{typ: "AWS::OpenSearch::Domain", as: "AWS::OpenSearchService::Domain", policy: "configuration.AccessPolicies", arn: "arn:{partition}:es:{region}:{account}:domain/{name}"},
	{typ: "AWS::Elasticsearch::Domain", as: "AWS::OpenSearchService::Domain", policy: "configuration.accessPolicies", arn: "arn:{partition}:es:{region}:{account}:domain/{name}"},
	{typ: "AWS::Backup::BackupVault", policy: "configuration.AccessPolicy", arn: "arn:{partition}:backup:{region}:{account}:backup-vault:{name}"},
	{typ: "AWS::EC2::VPCEndpoint", policy: "configuration.policyDocument", arn: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}"},

	// The type is recorded, and the policy or permission is not in it.
	{typ: "AWS::SecretsManager::Secret"},
	{typ: "AWS::DynamoDB::Table", arn: "arn:{partition}:dynamodb:{region}:{account}:table/{name}"},
	{typ: "AWS::Kinesis::Stream", arn: "arn:{partition}:kinesis:{region}:{account}:stream/{name}"},
	{typ: "AWS::Kinesis::StreamConsumer"},
	{typ: "AWS::S3::MultiRegionAccessPoint"},
	{typ: "AWS::ApiGateway::RestApi", arn: "arn:{partition}:apigateway:{region}::/restapis/{id}"},
	{typ: "AWS::ECR::PublicRepository", arn: "arn:{partition}:ecr-public::{account}:repository/{name}"},
	{typ: "AWS::CodeArtifact::Repository"},
	{typ: "AWS::Cognito::IdentityPool", arn: "arn:{partition}:cognito-identity:{region}:{account}:identitypool/{id}"},
	{typ: "AWS::SSM::Document", arn: "arn:{partition}:ssm:{region}:{account}:document/{name}"},
	{typ: "AWS::IoT::Policy", arn: "arn:{partition}:iot:{region}:{account}:policy/{name}"},
	{typ: "AWS::Lex::Bot", arn: "arn:{partition}:lex:{region}:{account}:bot/{id}"},
	{typ: "AWS::Lex::BotAlias"},
	{typ: "AWS::Logs::Destination", arn: "arn:{partition}:logs:{region}:{account}:destination:{name}"},
	{typ: "AWS::EC2::VPCEndpointService", arn: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint-service/{id}"},
	{typ: "AWS::Route53Resolver::ResolverRule", arn: "arn:{partition}:route53resolver:{region}:{account}:resolver-rule/{id}"},
	{typ: "AWS::ACMPCA::CertificateAuthority"},
	{typ: "AWS::Signer::SigningProfile", arn: "arn:{partition}:signer:{region}:{account}:/signing-profiles/{name}"},
	{typ: "AWS::RDS::DBSnapshot", arn: "arn:{partition}:rds:{region}:{account}:snapshot:{name}"},
	{typ: "AWS::RDS::DBClusterSnapshot", arn: "arn:{partition}:rds:{region}:{account}:cluster-snapshot:{name}"},
	{typ: "AWS::Redshift::ClusterSnapshot", arn: "arn:{partition}:redshift:{region}:{account}:snapshot:{name}"},
	{typ: "AWS::ServiceCatalog::Portfolio", arn: "arn:{partition}:catalog:{region}:{account}:portfolio/{id}"},

	// Ways in that are no policy.
	{typ: "AWS::EC2::VPCPeeringConnection", kind: unplaced, arn: "arn:{partition}:ec2:{region}:{account}:vpc-peering-connection/{id}", about: "networks joined"},
	{typ: "AWS::EC2::TransitGatewayAttachment", kind: unplaced, arn: "arn:{partition}:ec2:{region}:{account}:transit-gateway-attachment/{id}", about: "networks joined"},
	{typ: "AWS::Redshift::EndpointAuthorization", kind: unplaced, arn: "arn:{partition}:redshift:{region}:{account}:endpointauthorization:{id}", about: "who may make endpoints"},
	{typ: "AWS::GuardDuty::Master", kind: unplaced, arn: "arn:{partition}:guardduty:{region}:{account}:detector/{id}/master", about: "who administers the detector"},
	{typ: "AWS::CloudFront::Distribution", kind: unplaced, policy: signersField, arn: "arn:{partition}:cloudfront::{account}:distribution/{id}", about: "accounts whose keys may sign URLs"},
}

// signersField tells whether other accounts' keys sign URLs: a distribution counts unless it says that none do.
const signersField = "configuration.activeTrustedSigners.enabled"

var byType = func() map[string]*record {
	m := make(map[string]*record, len(table))
	for i := range table {
		m[table[i].typ] = &table[i]
	}
	return m
}()

// snapshotType is the type that r's resources have in a snapshot.
func (r *record) snapshotType() string {
	if r.as != "" {
		return r.as
	}
	return r.typ
}

// typeOf is the type of a row that does not name it, by its ARN: queries often leave it out. "" where the ARN does not tell.
func typeOf(name string) string {
	for _, a := range []struct{ service, resource, typ string }{
		{"iam", "role/", "AWS::IAM::Role"}, {"iam", "user/", "AWS::IAM::User"}, {"iam", "group/", "AWS::IAM::Group"}, {"iam", "policy/", "AWS::IAM::Policy"},
		{"iam", "oidc-provider/", "AWS::IAM::OIDCProvider"}, {"iam", "saml-provider/", "AWS::IAM::SAMLProvider"},
		{"s3", "accesspoint/", "AWS::S3::AccessPoint"}, {"s3express", "bucket/", "AWS::S3Express::DirectoryBucket"}, {"kms", "key/", "AWS::KMS::Key"},
		{"events", "event-bus/", "AWS::Events::EventBus"}, {"lambda", "function:", "AWS::Lambda::Function"}, {"ecr", "repository/", "AWS::ECR::Repository"},
		{"elasticfilesystem", "file-system/", "AWS::EFS::FileSystem"}, {"kafka", "cluster/", "AWS::MSK::Cluster"}, {"es", "domain/", "AWS::OpenSearch::Domain"},
		{"backup", "backup-vault:", "AWS::Backup::BackupVault"}, {"ec2", "vpc-endpoint/", "AWS::EC2::VPCEndpoint"}, {"secretsmanager", "secret:", "AWS::SecretsManager::Secret"},
		{"dynamodb", "table/", "AWS::DynamoDB::Table"}, {"kinesis", "stream/", "AWS::Kinesis::Stream"},
	} {
		parts := strings.SplitN(name, ":", 6)
		if len(parts) == 6 && parts[2] == a.service && strings.HasPrefix(parts[5], a.resource) && (a.service != "kinesis" && a.service != "dynamodb" || strings.Count(parts[5], "/") == 1) {
			return a.typ
		}
	}
	parts := strings.SplitN(name, ":", 6)
	if len(parts) == 6 && parts[5] != "" && !strings.ContainsAny(parts[5], ":/") {
		return map[string]string{"s3": "AWS::S3::Bucket", "sqs": "AWS::SQS::Queue", "sns": "AWS::SNS::Topic"}[parts[2]]
	}
	return ""
}

// Table is the table of types as docs/import-config.md has it.
func Table() string {
	var b strings.Builder
	b.WriteString("| type | where its policy is |\n|---|---|\n")
	for i := range table {
		r := &table[i]
		where := "`" + r.policy + "`"
		switch {
		case r.kind == users, r.kind == groups:
			where = "`configuration`: inline and attached policies"
		case r.kind == oidc, r.kind == saml:
			where = "has none; it is listed as a provider"
		case r.kind == accountBlock:
			where = "has none; it counts for the account's buckets"
		case r.kind == unplaced:
			where = "has none; not judged, a gap counts them: " + r.about
			if r.policy != "" {
				where += ", unless `" + r.policy + "` is false"
			}
		case r.kind == policies && r.as != "":
			where += ", of the `" + r.as + "`"
		case r.policy == "":
			where = "**not recorded**: not known"
		}
		b.WriteString("| `" + r.typ + "` | " + where + " |\n")
	}
	return b.String()
}
