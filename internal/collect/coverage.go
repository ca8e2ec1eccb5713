package collect

//go:generate go run ./gen

import (
	"fmt"
	"slices"
	"strings"
)

// kinds are all kinds of resources that can let another account in, by the type under which the table has them: what is not in the table is named on the coverage page.
var kinds = []struct{ name, typ, mechanism string }{
	{"IAM role", "AWS::IAM::Role", "trust policy"},
	{"IAM OIDC provider", "AWS::IAM::OIDCProvider", "federation"},
	{"IAM SAML provider", "AWS::IAM::SAMLProvider", "federation"},
	{"Roles Anywhere anchor, profile, CRL", "AWS::RolesAnywhere::TrustAnchor", "federation by X.509"},
	{"EKS access entry and pod identity", "AWS::EKS::AccessEntry", "principal to cluster; pod to role"},
	{"Identity Center permission set and assignment", "AWS::SSO::PermissionSet", "organization-wide roles in accounts"},
	{"Identity Center application", "AWS::SSO::Application", "application actor policy"},
	{"Cognito identity pool", "AWS::Cognito::IdentityPool", "federation to roles"},
	{"SCP, RCP, delegation policy", "AWS::Organizations::Policy", "organization guard"},
	{"S3 bucket", "AWS::S3::Bucket", "policy, ACL, Block Public Access, ownership, access points"},
	{"S3 access point", "AWS::S3::AccessPoint", "policy"},
	{"S3 multi-region access point", "AWS::S3::MultiRegionAccessPoint", "policy"},
	{"S3 Object Lambda access point", "AWS::S3ObjectLambda::AccessPoint", "policy"},
	{"S3 Access Grants instance", "AWS::S3::AccessGrantsInstance", "policy, grants"},
	{"S3 directory bucket and its access point", "AWS::S3Express::DirectoryBucket", "policy"},
	{"S3 table bucket, table", "AWS::S3Tables::TableBucket", "policy"},
	{"S3 vector bucket", "AWS::S3Vectors::VectorBucket", "policy"},
	{"S3 on Outposts bucket, access point", "AWS::S3Outposts::Bucket", "policy"},
	{"KMS key", "AWS::KMS::Key", "key policy"},
	{"KMS grant", "AWS::KMS::Key", "grant"},
	{"Secrets Manager secret", "AWS::SecretsManager::Secret", "policy"},
	{"SSM parameter (advanced)", "AWS::SSM::Parameter", "policy, RAM"},
	{"SSM document", "AWS::SSM::Document", "permission list"},
	{"SQS queue", "AWS::SQS::Queue", "policy"},
	{"SNS topic", "AWS::SNS::Topic", "policy"},
	{"EventBridge bus", "AWS::Events::EventBus", "policy; rule target in another account"},
	{"EventBridge schema registry", "AWS::EventSchemas::Registry", "policy"},
	{"Lambda function, version, alias, URL", "AWS::Lambda::Function", "policy; function URL auth type"},
	{"Lambda layer version", "AWS::Lambda::LayerVersion", "policy"},
	{"API Gateway REST API, private domain", "AWS::ApiGateway::RestApi", "policy"},
	{"AppSync API", "AWS::AppSync::GraphQLApi", "policy by RAM"},
	{"ECR repository", "AWS::ECR::Repository", "policy"},
	{"ECR registry", "AWS::ECR::RegistryPolicy", "policy, replication"},
	{"ECR public repository", "AWS::ECR::PublicRepository", "policy"},
	{"EFS file system", "AWS::EFS::FileSystem", "policy"},
	{"DynamoDB table, stream", "AWS::DynamoDB::Table", "policy"},
	{"Aurora DSQL cluster", "AWS::DSQL::Cluster", "policy"},
	{"Kinesis stream, consumer", "AWS::Kinesis::Stream", "policy"},
	{"MSK cluster", "AWS::MSK::Cluster", "policy"},
	{"OpenSearch domain", "AWS::OpenSearchService::Domain", "policy"},
	{"OpenSearch Serverless collection", "AWS::OpenSearchServerless::AccessPolicy", "data access policy (own language)"},
	{"OpenSearch Ingestion pipeline", "AWS::OSIS::Pipeline", "policy"},
	{"Glue catalog, database, table", "AWS::Glue::DataCatalog", "policy"},
	{"Lake Formation permissions", "AWS::LakeFormation::PrincipalPermissions", "grant"},
	{"Backup vault", "AWS::Backup::BackupVault", "policy"},
	{"Glacier vault", "AWS::S3::Glacier", "access policy, lock policy"},
	{"CodeArtifact domain, repository", "AWS::CodeArtifact::Domain", "policy"},
	{"CodeBuild project, report group", "AWS::CodeBuild::Project", "policy"},
	{"CloudTrail event data store, channel, dashboard", "AWS::CloudTrail::EventDataStore", "policy"},
	{"CloudWatch Logs group, destination, delivery destination", "AWS::Logs::Destination", "policy; subscription filter to another account"},
	{"CloudWatch OAM sink, RUM monitor", "AWS::Oam::Sink", "policy"},
	{"X-Ray", "AWS::XRay::ResourcePolicy", "policy"},
	{"SES identity", "AWS::SES::EmailIdentity", "sending authorization policy"},
	{"IoT Core policy", "AWS::IoT::Policy", "device identity policy"},
	{"Lex bot, alias", "AWS::Lex::Bot", "policy"},
	{"Bedrock and AgentCore resources", "AWS::Bedrock::ResourcePolicy", "policy, RAM"},
	{"SageMaker model package group, lineage, feature, hub", "AWS::SageMaker::ModelPackageGroup", "policy, RAM"},
	{"Comprehend model, Rekognition project", "AWS::Comprehend::DocumentClassifier", "policy"},
	{"Redshift: endpoint authorization, data share, namespace policy", "AWS::Redshift::EndpointAuthorization", "authorization, data share"},
	{"EBS snapshot", "AWS::EC2::Snapshot", "createVolumePermission"},
	{"AMI, FPGA image", "AWS::EC2::Image", "launchPermission (accounts, organization, OU)"},
	{"RDS, Aurora, DocumentDB, Neptune snapshot", "AWS::RDS::DBSnapshot", "restore attribute"},
	{"Redshift snapshot, FSx volume, WorkSpaces image, Storage Gateway", "AWS::Redshift::ClusterSnapshot", "accounts with restore access"},
	{"VPC endpoint policy", "AWS::EC2::VPCEndpoint", "endpoint policy"},
	{"VPC endpoint service", "AWS::EC2::VPCEndpointService", "allowed principals"},
	{"VPC peering, transit gateway, Direct Connect", "AWS::EC2::VPCPeeringConnection", "network connection between accounts"},
	{"VPC Lattice service, network, resource configuration", "AWS::VpcLattice::Service", "auth policy, RAM"},
	{"Route 53 Resolver rule, query log, firewall; hosted-zone association", "AWS::Route53Resolver::ResolverRule", "policy, association authorization"},
	{"Network Firewall", "AWS::NetworkFirewall::FirewallPolicy", "policy"},
	{"RAM resource share", "AWS::RAM::ResourceShare", "share"},
	{"Service Catalog portfolio", "AWS::ServiceCatalog::Portfolio", "share"},
	{"Serverless Application Repository", "AWS::ServerlessRepo::Application", "policy"},
	{"ACM Private CA", "AWS::ACMPCA::CertificateAuthority", "policy, permission"},
	{"Payment Cryptography key, CloudHSM backup", "AWS::PaymentCryptography::Key", "policy"},
	{"Signer profile", "AWS::Signer::SigningProfile", "permission"},
	{"MediaStore, MediaPackage, MediaTailor", "AWS::MediaStore::Container", "policy"},
	{"Image Builder component, recipe, image", "AWS::ImageBuilder::Component", "policy"},
	{"Config aggregator authorization", "AWS::Config::AggregationAuthorization", "authorization"},
	{"Security services administration (GuardDuty, Security Hub, Detective, Macie, Inspector)", "AWS::GuardDuty::Detector", "member/administrator relation"},
	{"Directory Service share", "AWS::DirectoryService::MicrosoftAD", "share"},
	{"StackSets, CloudFormation service roles", "AWS::CloudFormation::StackSet", "administration and execution roles"},
	{"License Manager grant, Marketplace entity, Audit Manager share", "AWS::LicenseManager::Grant", "grant"},
	{"CloudFront trusted signers, origin access", "AWS::CloudFront::Distribution", "trusted signer accounts (legacy)"},
	{"Transfer, DataSync, DMS, Firehose, Replication roles", "", "role passed to a service that writes abroad"},
}

// whyNot says of kinds without a row why they have none.
var whyNot = map[string]string{
	"IoT Core policy": "its principals are certificates, things and identities of the account's own registry, never accounts, roles or users: a device that holds a key is let in, and no policy says whose device it is. To review them: aws iot list-policies, get-policy, list-targets-for-policy",
	"Transfer, DataSync, DMS, Firehose, Replication roles": "what such a service may do is in its role's policies, which are read; where it writes to is in the configuration of each service, which is not",
}

// Coverage is the page of the docs on what is read, from the table.
func Coverage() string {
	var b strings.Builder
	b.WriteString("# What drawbridge collect reads\n\nThis page is printed from the collector's table (`go generate ./internal/collect`), like the policy of its role (`drawbridge collect --print-policy`). What a row leaves out stands in its note.\n\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "## %s\n\n| | |\n|---|---|\n", r.Name)
		line := func(name, text string) {
			if text != "" {
				fmt.Fprintf(&b, "| %s | %s |\n", name, strings.ReplaceAll(text, "|", "\\|"))
			}
		}
		var made, actions []string
		for _, c := range r.Calls {
			made = append(made, c.String())
			actions = append(actions, c.Actions...)
		}
		slices.Sort(actions)
		line("type", strings.Join(appendText(appendText(nil, r.Type), r.Others...), ", "))
		line("lets others in by", r.Mechanism)
		line("read", r.Place.String())
		line("calls", strings.Join(made, ", "))
		line("actions", strings.Join(slices.Compact(actions), ", "))
		line("note", r.Note)
		b.WriteString("\n")
	}
	b.WriteString("## Not read\n\nThese kinds can let somebody in, and no row of the table reads them, for the reason that stands beside them: the snapshot does not say that there are none, it knows of none. They can be put into `resources.jsonl` and `shares.jsonl` by other means ([snapshot](../snapshot.md)).\n\n| what | type | lets others in by | why not |\n|---|---|---|---|\n")
	for _, k := range kinds {
		if k.typ == "" || !slices.ContainsFunc(rows, func(r Row) bool { return r.Type == k.typ || slices.Contains(r.Others, k.typ) }) {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", k.name, k.typ, k.mechanism, whyNot[k.name])
		}
	}
	return b.String()
}
