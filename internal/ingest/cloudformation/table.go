package cloudformation

// row says how one type of resource is read. The page docs/import-cloudformation.md is made from these rows.
type row struct {
	Type     string // as CloudFormation names it
	Snapshot string // the type in the snapshot, where it is another one
	Policy   string // path of the property that holds the policy document
	// ARN is the template of the resource's ARN, or of the ARN of the resource whose policy it is (Of). {Name} is a property.
	ARN string
	// Ref is the template of what Ref gives, which is the physical id too; "arn" for the ARN.
	Ref string
	Att string // the attribute of Fn::GetAtt that is the ARN, Arn where it is not said
	Of  bool   // it is a part of another resource
	// Each is the property that lists the resources whose policy it is; in ARN it stands for one of them.
	Each string
	// Several is the property that tells several policies of one resource apart.
	Several string
	// Also are paths of further policies, each with the template of the ARN it belongs to.
	Also []also
	// Vouches are the properties that say whose word a provider takes: who may come by roles that trust it changes with them.
	Vouches []string
	// Without is what counts where the policy is taken away again, where that is not nobody.
	Without string
	build   func(*builder) // nil: a resource with its policy, or the policy of another
}

type also struct{ Policy, Snapshot, ARN string }

const sqsURL = "https://sqs.{region}.{suffix}/{account}/{QueueName}"

// rows is every type that is understood.
var rows []row

func init() {
	rows = []row{
		// IAM
		{Type: "AWS::IAM::Role", Policy: "AssumeRolePolicyDocument", ARN: "arn:{partition}:iam::{account}:role{path}{RoleName}", Ref: "{RoleName}", build: (*builder).role},
		{Type: "AWS::IAM::User", ARN: "arn:{partition}:iam::{account}:user{path}{UserName}", Ref: "{UserName}", build: (*builder).user},
		{Type: "AWS::IAM::Group", ARN: "arn:{partition}:iam::{account}:group{path}{GroupName}", Ref: "{GroupName}", build: (*builder).group},
		{Type: "AWS::IAM::ManagedPolicy", Policy: "PolicyDocument", ARN: "arn:{partition}:iam::{account}:policy{path}{ManagedPolicyName}", Ref: "arn", Att: "PolicyArn", build: (*builder).managedPolicy},
		{Type: "AWS::IAM::InstanceProfile", ARN: "arn:{partition}:iam::{account}:instance-profile{path}{InstanceProfileName}", Ref: "{InstanceProfileName}", build: (*builder).ignored},
		{Type: "AWS::IAM::OIDCProvider", ARN: "arn:{partition}:iam::{account}:oidc-provider/{Url}", Ref: "arn", build: (*builder).oidcProvider},
		{Type: "AWS::IAM::SAMLProvider", ARN: "arn:{partition}:iam::{account}:saml-provider/{Name}", Ref: "arn", Vouches: []string{"SamlMetadataDocument"}, build: (*builder).samlProvider},
		{Type: "AWS::IAM::Policy", Policy: "PolicyDocument", Of: true, Ref: "{PolicyName}", build: (*builder).inlineOfMany},
		{Type: "AWS::IAM::RolePolicy", Policy: "PolicyDocument", Of: true, build: (*builder).inlineOfOne},
		{Type: "AWS::IAM::UserPolicy", Policy: "PolicyDocument", Of: true, build: (*builder).inlineOfOne},
		{Type: "AWS::IAM::GroupPolicy", Policy: "PolicyDocument", Of: true, build: (*builder).inlineOfOne},
		{Type: "AWS::IAM::UserToGroupAddition", Of: true, build: (*builder).membership},
		// Other ways in
		{Type: "AWS::RolesAnywhere::TrustAnchor", ARN: "arn:{partition}:rolesanywhere:{region}:{account}:trust-anchor/{TrustAnchorId}", Ref: "{TrustAnchorId}", Att: "TrustAnchorArn", Vouches: []string{"Source", "Enabled"}, build: (*builder).trustAnchor},
		{Type: "AWS::EKS::Cluster", ARN: "arn:{partition}:eks:{region}:{account}:cluster/{Name}", Ref: "{Name}", build: (*builder).cluster},
		{Type: "AWS::Cognito::IdentityPool", ARN: "arn:{partition}:cognito-identity:{region}:{account}:identitypool/{IdentityPoolId}", Ref: "{IdentityPoolId}", Vouches: []string{"AllowUnauthenticatedIdentities", "AllowClassicFlow", "CognitoIdentityProviders", "DeveloperProviderName", "OpenIdConnectProviderARNs", "SamlProviderARNs", "SupportedLoginProviders"}, build: (*builder).identityPool},
		// The organisation
		{Type: "AWS::Organizations::Policy", Policy: "Content", ARN: "arn:{partition}:organizations::{account}:policy/{organization}/{kind}/{Id}", Ref: "{Id}", build: (*builder).controlPolicy},
		{Type: "AWS::Organizations::ResourcePolicy", Policy: "Content", ARN: "arn:{partition}:organizations::{account}:resourcepolicy/{organization}/{Id}", Ref: "{Id}"},
		{Type: "AWS::Organizations::OrganizationalUnit", ARN: "arn:{partition}:organizations::{account}:ou/{organization}/{Id}", Ref: "{Id}", build: (*builder).ignored},
		// Storage
		{Type: "AWS::S3::Bucket", ARN: "arn:{partition}:s3:::{BucketName}", Ref: "{BucketName}", build: (*builder).bucket},
		{Type: "AWS::S3::BucketPolicy", Snapshot: "AWS::S3::Bucket", Policy: "PolicyDocument", ARN: "arn:{partition}:s3:::{Bucket}", Of: true},
		{Type: "AWS::S3::AccessPoint", Policy: "Policy", ARN: "arn:{partition}:s3:{region}:{account}:accesspoint/{Name}", Ref: "{Name}"},
		{Type: "AWS::S3::MultiRegionAccessPoint", ARN: "arn:{partition}:s3::{account}:accesspoint/{Alias}", Ref: "{Name}"},
		{Type: "AWS::S3::MultiRegionAccessPointPolicy", Snapshot: "AWS::S3::MultiRegionAccessPoint", Policy: "Policy", ARN: "arn:{partition}:s3::{account}:accesspoint/{MrapName}", Of: true},
		{Type: "AWS::S3ObjectLambda::AccessPoint", ARN: "arn:{partition}:s3-object-lambda:{region}:{account}:accesspoint/{Name}", Ref: "{Name}"},
		{Type: "AWS::S3ObjectLambda::AccessPointPolicy", Snapshot: "AWS::S3ObjectLambda::AccessPoint", Policy: "PolicyDocument", ARN: "arn:{partition}:s3-object-lambda:{region}:{account}:accesspoint/{ObjectLambdaAccessPoint}", Of: true},
		{Type: "AWS::S3Express::DirectoryBucket", ARN: "arn:{partition}:s3express:{region}:{account}:bucket/{BucketName}", Ref: "{BucketName}"},
		{Type: "AWS::S3Express::BucketPolicy", Snapshot: "AWS::S3Express::DirectoryBucket", Policy: "PolicyDocument", ARN: "arn:{partition}:s3express:{region}:{account}:bucket/{Bucket}", Of: true},
		{Type: "AWS::S3Express::AccessPoint", Policy: "Policy", ARN: "arn:{partition}:s3express:{region}:{account}:accesspoint/{Name}", Ref: "arn"},
		{Type: "AWS::S3Tables::TableBucket", ARN: "arn:{partition}:s3tables:{region}:{account}:bucket/{TableBucketName}", Ref: "arn", Att: "TableBucketARN"},
		{Type: "AWS::S3Tables::TableBucketPolicy", Snapshot: "AWS::S3Tables::TableBucket", Policy: "ResourcePolicy", ARN: "{TableBucketARN}", Of: true},
		{Type: "AWS::S3Tables::Table", ARN: "{TableBucketARN}/table/{TableId}", Ref: "arn", Att: "TableARN"},
		{Type: "AWS::S3Tables::TablePolicy", Snapshot: "AWS::S3Tables::Table", Policy: "ResourcePolicy", ARN: "{TableARN}", Of: true},
		{Type: "AWS::S3Vectors::VectorBucket", ARN: "arn:{partition}:s3vectors:{region}:{account}:bucket/{VectorBucketName}", Ref: "arn", Att: "VectorBucketArn"},
		{Type: "AWS::S3Vectors::VectorBucketPolicy", Snapshot: "AWS::S3Vectors::VectorBucket", Policy: "Policy", ARN: "arn:{partition}:s3vectors:{region}:{account}:bucket/{VectorBucketArn|VectorBucketName}", Of: true},
		{Type: "AWS::S3Outposts::Bucket", ARN: "arn:{partition}:s3-outposts:{region}:{account}:outpost/{OutpostId}/bucket/{BucketName}", Ref: "arn"},
		{Type: "AWS::S3Outposts::BucketPolicy", Snapshot: "AWS::S3Outposts::Bucket", Policy: "PolicyDocument", ARN: "{Bucket}", Of: true},
		{Type: "AWS::S3Outposts::AccessPoint", Policy: "Policy", ARN: "arn:{partition}:s3-outposts:{region}:{account}:outpost/{OutpostId}/accesspoint/{Name}", Ref: "arn"},
		{Type: "AWS::EFS::FileSystem", Policy: "FileSystemPolicy", ARN: "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{FileSystemId}", Ref: "{FileSystemId}", Without: "AWS then lets in every client that can mount the file system"},
		{Type: "AWS::Backup::BackupVault", Policy: "AccessPolicy", ARN: "arn:{partition}:backup:{region}:{account}:backup-vault:{BackupVaultName}", Ref: "{BackupVaultName}", Att: "BackupVaultArn"},
		{Type: "AWS::MediaStore::Container", Policy: "Policy", ARN: "arn:{partition}:mediastore:{region}:{account}:container/{ContainerName}", Ref: "arn"},
		{Type: "AWS::MediaPackageV2::ChannelPolicy", Snapshot: "AWS::MediaPackageV2::Channel", Policy: "Policy", ARN: "arn:{partition}:mediapackagev2:{region}:{account}:channelGroup/{ChannelGroupName}/channel/{ChannelName}", Of: true},
		{Type: "AWS::MediaPackageV2::OriginEndpointPolicy", Snapshot: "AWS::MediaPackageV2::OriginEndpoint", Policy: "Policy", ARN: "arn:{partition}:mediapackagev2:{region}:{account}:channelGroup/{ChannelGroupName}/channel/{ChannelName}/originEndpoint/{OriginEndpointName}", Of: true},
		{Type: "AWS::MediaTailor::ChannelPolicy", Snapshot: "AWS::MediaTailor::Channel", Policy: "Policy", ARN: "arn:{partition}:mediatailor:{region}:{account}:channel/{ChannelName}", Of: true},
		// Keys and secrets
		{Type: "AWS::KMS::Key", Policy: "KeyPolicy", ARN: "arn:{partition}:kms:{region}:{account}:key/{KeyId}", Ref: "{KeyId}", Without: "AWS then gives the key a policy that lets in its account", build: (*builder).key},
		{Type: "AWS::KMS::ReplicaKey", Policy: "KeyPolicy", ARN: "arn:{partition}:kms:{region}:{account}:key/{KeyId}", Ref: "{KeyId}", Without: "AWS then gives the key a policy that lets in its account", build: (*builder).key},
		{Type: "AWS::PaymentCryptography::Key", Policy: "Policy", ARN: "arn:{partition}:payment-cryptography:{region}:{account}:key/{KeyId}", Ref: "arn", Att: "KeyIdentifier"},
		{Type: "AWS::SecretsManager::Secret", ARN: "arn:{partition}:secretsmanager:{region}:{account}:secret:{Name}-{Suffix}", Ref: "arn", Att: "Id"},
		{Type: "AWS::SecretsManager::ResourcePolicy", Snapshot: "AWS::SecretsManager::Secret", Policy: "ResourcePolicy", ARN: "arn:{partition}:secretsmanager:{region}:{account}:secret:{SecretId}", Of: true},
		{Type: "AWS::SSM::Parameter", ARN: "arn:{partition}:ssm:{region}:{account}:parameter/{Name}", Ref: "{Name}", build: (*builder).ignored},
		{Type: "AWS::SSM::ResourcePolicy", Snapshot: "AWS::SSM::Parameter", Policy: "Policy", ARN: "{ResourceArn}", Of: true, Several: "PolicyId"},
		// Messages and events
		{Type: "AWS::SQS::Queue", ARN: "arn:{partition}:sqs:{region}:{account}:{QueueName}", Ref: sqsURL},
		{Type: "AWS::SQS::QueuePolicy", Snapshot: "AWS::SQS::Queue", Policy: "PolicyDocument", ARN: "arn:{partition}:sqs:{region}:{account}:{Queues}", Of: true, Each: "Queues"},
		{Type: "AWS::SQS::QueueInlinePolicy", Snapshot: "AWS::SQS::Queue", Policy: "PolicyDocument", ARN: "arn:{partition}:sqs:{region}:{account}:{Queue}", Of: true},
		{Type: "AWS::SNS::Topic", ARN: "arn:{partition}:sns:{region}:{account}:{TopicName}", Ref: "arn", Att: "TopicArn"},
		{Type: "AWS::SNS::TopicPolicy", Snapshot: "AWS::SNS::Topic", Policy: "PolicyDocument", ARN: "{Topics}", Of: true, Each: "Topics"},
		{Type: "AWS::SNS::TopicInlinePolicy", Snapshot: "AWS::SNS::Topic", Policy: "PolicyDocument", ARN: "{TopicArn}", Of: true},
		{Type: "AWS::Events::EventBus", Policy: "Policy", ARN: "arn:{partition}:events:{region}:{account}:event-bus/{Name}", Ref: "{Name}"},
		{Type: "AWS::Events::EventBusPolicy", Snapshot: "AWS::Events::EventBus", ARN: "arn:{partition}:events:{region}:{account}:event-bus/{EventBusName}", Of: true, build: (*builder).eventBusPolicy},
		{Type: "AWS::Events::Rule", ARN: "arn:{partition}:events:{region}:{account}:rule/{Name}", Ref: "{Name}", build: (*builder).ignored},
		{Type: "AWS::EventSchemas::Registry", ARN: "arn:{partition}:schemas:{region}:{account}:registry/{RegistryName}", Ref: "arn", Att: "RegistryArn"},
		{Type: "AWS::EventSchemas::RegistryPolicy", Snapshot: "AWS::EventSchemas::Registry", Policy: "Policy", ARN: "arn:{partition}:schemas:{region}:{account}:registry/{RegistryName}", Of: true},
		{Type: "AWS::Kinesis::Stream", ARN: "arn:{partition}:kinesis:{region}:{account}:stream/{Name}", Ref: "{Name}"},
		{Type: "AWS::Kinesis::ResourcePolicy", Snapshot: "AWS::Kinesis::Stream", Policy: "ResourcePolicy", ARN: "{ResourceArn}", Of: true},
		{Type: "AWS::MSK::Cluster", ARN: "arn:{partition}:kafka:{region}:{account}:cluster/{ClusterName}/{Id}", Ref: "arn"},
		{Type: "AWS::MSK::ClusterPolicy", Snapshot: "AWS::MSK::Cluster", Policy: "Policy", ARN: "{ClusterArn}", Of: true},
		{Type: "AWS::OSIS::Pipeline", Policy: "ResourcePolicy.Policy", ARN: "arn:{partition}:osis:{region}:{account}:pipeline/{PipelineName}", Ref: "arn", Att: "PipelineArn"},
		// Functions, APIs, containers
		{Type: "AWS::Lambda::Function", ARN: "arn:{partition}:lambda:{region}:{account}:function:{FunctionName}", Ref: "{FunctionName}"},
		{Type: "AWS::Lambda::Permission", Snapshot: "AWS::Lambda::Function", ARN: "arn:{partition}:lambda:{region}:{account}:function:{FunctionName}", Of: true, build: (*builder).lambdaPermission},
		{Type: "AWS::Lambda::ResourcePolicy", Snapshot: "AWS::Lambda::Function", Policy: "PolicyDocument", ARN: "{ResourceArn}", Of: true},
		{Type: "AWS::Lambda::Version", ARN: "{FunctionName}:{Version}", Ref: "arn", Att: "FunctionArn", build: (*builder).ignored},
		{Type: "AWS::Lambda::Alias", ARN: "{FunctionName}:{Name}", Ref: "arn", Att: "AliasArn", build: (*builder).ignored},
		{Type: "AWS::Lambda::LayerVersion", ARN: "arn:{partition}:lambda:{region}:{account}:layer:{LayerName}:{Version}", Ref: "arn", Att: "LayerVersionArn"},
		{Type: "AWS::Lambda::LayerVersionPermission", Snapshot: "AWS::Lambda::LayerVersion", ARN: "{LayerVersionArn}", Of: true, build: (*builder).layerPermission},
		{Type: "AWS::ApiGateway::RestApi", Policy: "Policy", ARN: "arn:{partition}:apigateway:{region}::/restapis/{RestApiId}", Ref: "{RestApiId}", Without: "who may call is then up to the authorization of each method alone"},
		{Type: "AWS::ApiGateway::DomainNameV2", Policy: "Policy", ARN: "arn:{partition}:apigateway:{region}:{account}:/domainnames/{DomainName}", Ref: "arn", Att: "DomainNameArn"},
		{Type: "AWS::ECR::Repository", Policy: "RepositoryPolicyText", ARN: "arn:{partition}:ecr:{region}:{account}:repository/{RepositoryName}", Ref: "{RepositoryName}"},
		{Type: "AWS::ECR::PublicRepository", Policy: "RepositoryPolicyText", ARN: "arn:{partition}:ecr-public::{account}:repository/{RepositoryName}", Ref: "{RepositoryName}"},
		{Type: "AWS::ECR::RegistryPolicy", Policy: "PolicyText", ARN: "arn:{partition}:ecr:{region}:{account}:*", Ref: "{account}"},
		{Type: "AWS::CodeArtifact::Domain", Policy: "PermissionsPolicyDocument", ARN: "arn:{partition}:codeartifact:{region}:{account}:domain/{DomainName}", Ref: "arn"},
		{Type: "AWS::CodeArtifact::Repository", Policy: "PermissionsPolicyDocument", ARN: "arn:{partition}:codeartifact:{region}:{account}:repository/{DomainName}/{RepositoryName}", Ref: "arn"},
		// Data
		{Type: "AWS::DynamoDB::Table", Policy: "ResourcePolicy.PolicyDocument", ARN: "arn:{partition}:dynamodb:{region}:{account}:table/{TableName}", Ref: "{TableName}",
			Also: []also{{"StreamSpecification.ResourcePolicy.PolicyDocument", "AWS::DynamoDB::Stream", "arn:{partition}:dynamodb:{region}:{account}:table/{TableName}/stream/{StreamLabel}"}}},
		{Type: "AWS::DynamoDB::GlobalTable", Snapshot: "AWS::DynamoDB::Table", ARN: "arn:{partition}:dynamodb:{region}:{account}:table/{TableName}", Ref: "{TableName}", build: (*builder).globalTable},
		{Type: "AWS::DSQL::Cluster", Policy: "PolicyDocument", ARN: "arn:{partition}:dsql:{region}:{account}:cluster/{Identifier}", Ref: "{Identifier}", Att: "ResourceArn"},
		{Type: "AWS::OpenSearchService::Domain", Policy: "AccessPolicies", ARN: "arn:{partition}:es:{region}:{account}:domain/{DomainName}", Ref: "{DomainName}"},
		{Type: "AWS::Elasticsearch::Domain", Snapshot: "AWS::OpenSearchService::Domain", Policy: "AccessPolicies", ARN: "arn:{partition}:es:{region}:{account}:domain/{DomainName}", Ref: "{DomainName}"},
		{Type: "AWS::Redshift::Cluster", Policy: "NamespaceResourcePolicy", ARN: "arn:{partition}:redshift:{region}:{account}:namespace:{ClusterNamespace}", Ref: "{ClusterIdentifier}"},
		{Type: "AWS::LakeFormation::PrincipalPermissions", Of: true, build: (*builder).lakeFormation},
		{Type: "AWS::LakeFormation::Permissions", Of: true, build: (*builder).lakeFormation},
		// Logs, mail, devices, machine learning
		{Type: "AWS::Logs::ResourcePolicy", Policy: "PolicyDocument", ARN: "arn:{partition}:logs:{region}:{account}:log-group:*", Of: true, Several: "PolicyName", Ref: "{PolicyName}"},
		{Type: "AWS::Logs::LogGroup", Policy: "ResourcePolicyDocument", ARN: "arn:{partition}:logs:{region}:{account}:log-group:{LogGroupName}", Ref: "{LogGroupName}"},
		{Type: "AWS::Logs::Destination", Policy: "DestinationPolicy", ARN: "arn:{partition}:logs:{region}:{account}:destination:{DestinationName}", Ref: "{DestinationName}"},
		{Type: "AWS::Logs::DeliveryDestination", Policy: "DeliveryDestinationPolicy.DeliveryDestinationPolicy", ARN: "arn:{partition}:logs:{region}:{account}:delivery-destination:{Name}", Ref: "{Name}"},
		{Type: "AWS::CloudTrail::ResourcePolicy", Snapshot: "AWS::CloudTrail::EventDataStore", Policy: "ResourcePolicy", ARN: "{ResourceArn}", Of: true},
		{Type: "AWS::CloudTrail::EventDataStore", ARN: "arn:{partition}:cloudtrail:{region}:{account}:eventdatastore/{Id}", Ref: "arn", Att: "EventDataStoreArn"},
		{Type: "AWS::CloudTrail::Channel", ARN: "arn:{partition}:cloudtrail:{region}:{account}:channel/{Id}", Ref: "arn", Att: "ChannelArn"},
		{Type: "AWS::Oam::Sink", Policy: "Policy", ARN: "arn:{partition}:oam:{region}:{account}:sink/{Id}", Ref: "arn"},
		{Type: "AWS::RUM::AppMonitor", Policy: "ResourcePolicy.PolicyDocument", ARN: "arn:{partition}:rum:{region}:{account}:appmonitor/{Name}", Ref: "{Name}"},
		{Type: "AWS::XRay::ResourcePolicy", Policy: "PolicyDocument", ARN: "arn:{partition}:xray:{region}:{account}:*", Of: true, Several: "PolicyName", Ref: "{PolicyName}"},
		{Type: "AWS::IoT::Policy", Policy: "PolicyDocument", ARN: "arn:{partition}:iot:{region}:{account}:policy/{PolicyName}", Ref: "{PolicyName}"},
		{Type: "AWS::Lex::ResourcePolicy", Snapshot: "AWS::Lex::Bot", Policy: "Policy", ARN: "{ResourceArn}", Of: true},
		{Type: "AWS::Lex::Bot", ARN: "arn:{partition}:lex:{region}:{account}:bot/{Id}", Ref: "{Id}"},
		{Type: "AWS::Lex::BotAlias", ARN: "arn:{partition}:lex:{region}:{account}:bot-alias/{BotId}/{BotAliasId}", Ref: "{BotAliasId}", build: (*builder).ignored},
		{Type: "AWS::Bedrock::ResourcePolicy", Snapshot: "AWS::Bedrock::Resource", Policy: "PolicyDocument", ARN: "{ResourceArn}", Of: true},
		{Type: "AWS::BedrockAgentCore::ResourcePolicy", Snapshot: "AWS::BedrockAgentCore::Resource", Policy: "Policy", ARN: "{ResourceArn}", Of: true},
		{Type: "AWS::SageMaker::ModelPackageGroup", Policy: "ModelPackageGroupPolicy", ARN: "arn:{partition}:sagemaker:{region}:{account}:model-package-group/{ModelPackageGroupName}", Ref: "arn", Att: "ModelPackageGroupArn"},
		{Type: "AWS::Comprehend::DocumentClassifier", Policy: "ModelPolicy", ARN: "arn:{partition}:comprehend:{region}:{account}:document-classifier/{DocumentClassifierName}", Ref: "arn"},
		// Networks
		{Type: "AWS::EC2::VPCEndpoint", Policy: "PolicyDocument", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{Id}", Ref: "{Id}", Without: "AWS then lets everything through the endpoint"},
		{Type: "AWS::EC2::VPCEndpointService", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint-service/{ServiceId}", Ref: "{ServiceId}"},
		{Type: "AWS::EC2::VPCEndpointServicePermissions", Snapshot: "AWS::EC2::VPCEndpointService", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint-service/{ServiceId}", Of: true, build: (*builder).endpointPermissions},
		{Type: "AWS::VpcLattice::Service", ARN: "arn:{partition}:vpc-lattice:{region}:{account}:service/{Id}", Ref: "arn"},
		{Type: "AWS::VpcLattice::ServiceNetwork", ARN: "arn:{partition}:vpc-lattice:{region}:{account}:servicenetwork/{Id}", Ref: "arn"},
		{Type: "AWS::VpcLattice::AuthPolicy", Snapshot: "AWS::VpcLattice::Service", Policy: "Policy", ARN: "{ResourceIdentifier}", Of: true},
		{Type: "AWS::VpcLattice::ResourcePolicy", Snapshot: "AWS::VpcLattice::Service", Policy: "Policy", ARN: "{ResourceArn}", Of: true},
		// Shares
		{Type: "AWS::RAM::ResourceShare", ARN: "arn:{partition}:ram:{region}:{account}:resource-share/{Id}", Ref: "arn", build: (*builder).ramShare},
		// Read for their ARNs, which policies name
		{Type: "AWS::StepFunctions::StateMachine", ARN: "arn:{partition}:states:{region}:{account}:stateMachine:{StateMachineName}", Ref: "arn", build: (*builder).ignored},
		{Type: "AWS::CloudFront::Distribution", ARN: "arn:{partition}:cloudfront::{account}:distribution/{Id}", Ref: "{Id}", build: (*builder).distribution},
		{Type: "AWS::CodeBuild::Project", ARN: "arn:{partition}:codebuild:{region}:{account}:project/{Name}", Ref: "{Name}", build: (*builder).ignored},
		{Type: "AWS::CodePipeline::Pipeline", ARN: "arn:{partition}:codepipeline:{region}:{account}:{Name}", Ref: "{Name}", build: (*builder).ignored},
		{Type: "AWS::ACMPCA::CertificateAuthority", ARN: "arn:{partition}:acm-pca:{region}:{account}:certificate-authority/{Id}", Ref: "arn"},
		{Type: "AWS::EC2::VPC", ARN: "arn:{partition}:ec2:{region}:{account}:vpc/{VpcId}", Ref: "{VpcId}", build: (*builder).ignored},
	}
	for n := range rows {
		r := &rows[n]
		if r.Snapshot == "" {
			r.Snapshot = r.Type
		}
		if r.Att == "" {
			r.Att = "Arn"
		}
		byType[r.Type] = r
	}
}

var byType = map[string]*row{}

// unplaced are types that decide about access and have no place in a snapshot yet: a change of one is a gap.
var unplaced = map[string]string{
	"AWS::ServiceCatalog::CloudFormationProvisionedProduct": "what the template of the product makes",
	"AWS::ControlTower::EnabledControl":                     "a control of Control Tower, which may be an SCP or an RCP",
	"AWS::ControlTower::EnabledBaseline":                    "roles and policies of a baseline of Control Tower",
	"AWS::Cognito::IdentityPoolRoleAttachment":              "which roles the pool's identities get",
	"AWS::Cognito::IdentityPoolPrincipalTag":                "which tags the pool's identities bring",
	"AWS::EKS::AccessEntry":                                 "who may enter the cluster",
	"AWS::EKS::PodIdentityAssociation":                      "which pods get the role; its trust policy is judged",
	"AWS::RolesAnywhere::Profile":                           "which roles a trust anchor's certificates open, and with what session policy; the trust policies are judged",
	"AWS::RolesAnywhere::CRL":                               "which certificates are revoked",
	"AWS::SSO::PermissionSet":                               "permission sets of IAM Identity Center",
	"AWS::SSO::Assignment":                                  "assignments of IAM Identity Center",
	"AWS::SSO::Application":                                 "applications of IAM Identity Center",
	"AWS::SSO::ApplicationAssignment":                       "applications of IAM Identity Center",
	"AWS::SSO::InstanceAccessControlAttributeConfiguration": "which attributes become session tags",
	"AWS::Organizations::Account":                           "a new account, with a role that the management account may assume",
	"AWS::Organizations::Organization":                      "the organisation itself",
	"AWS::IAM::ServiceLinkedRole":                           "a role whose policies AWS writes",
	"AWS::S3::AccessGrant":                                  "grants of S3 Access Grants",
	"AWS::S3::AccessGrantsInstance":                         "grants of S3 Access Grants",
	"AWS::S3::AccessGrantsLocation":                         "grants of S3 Access Grants",
	"AWS::OpenSearchServerless::AccessPolicy":               "data access policies, which are no IAM policies",
	"AWS::OpenSearchServerless::SecurityPolicy":             "network access, which is no IAM policy",
	"AWS::ECR::ReplicationConfiguration":                    "where images are copied to",
	"AWS::ECR::RepositoryCreationTemplate":                  "the policy of repositories that are made later",
	"AWS::Redshift::EndpointAuthorization":                  "who may make endpoints",
	"AWS::RedshiftServerless::Snapshot":                     "who may restore the snapshot",
	"AWS::EC2::VPCPeeringConnection":                        "networks joined",
	"AWS::EC2::TransitGatewayPeeringAttachment":             "networks joined",
	"AWS::ServiceCatalog::PortfolioShare":                   "who may use the portfolio",
	"AWS::ServiceCatalog::PortfolioPrincipalAssociation":    "who may use the portfolio",
	"AWS::ACMPCA::Permission":                               "who may issue certificates",
	"AWS::Signer::ProfilePermission":                        "who may sign",
	"AWS::Config::AggregationAuthorization":                 "who may read the configuration",
	"AWS::GuardDuty::Master":                                "who administers the detector",
	"AWS::Detective::MemberInvitation":                      "who administers the graph",
	"AWS::CloudFormation::StackSet":                         "which accounts' roles it works with, and what its template makes there",
	"AWS::CloudFormation::ModuleDefaultVersion":             "what a module makes",
	"AWS::LicenseManager::Grant":                            "who may use the licence",
	"AWS::ImageBuilder::DistributionConfiguration":          "who may launch the images",
	"AWS::Transfer::User":                                   "the session policy of the user",
	"AWS::LakeFormation::DataLakeSettings":                  "administrators and default permissions of the data lake",
	"AWS::LakeFormation::Resource":                          "which locations Lake Formation rules",
	"AWS::DataZone::Domain":                                 "who works in the domain",
	"AWS::VerifiedPermissions::Policy":                      "policies in Cedar, which are no IAM policies",
}
