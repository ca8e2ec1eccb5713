package terraform

// row says how one type of resource is read. The page docs/import-terraform.md is made from these rows.
type row struct {
	Type     string // as Terraform names it
	Snapshot string // the type in the snapshot: a CloudFormation type name
	Policy   string // path of the argument that holds the policy document
	// ARN is the template of the resource's ARN, or of the ARN of the resource whose policy it is (Of).
	ARN string
	// ID is the template of the attribute id where it is not the ARN.
	ID   string
	Name string // the argument that names the resource, which the code may leave to Terraform
	Of   bool   // it is a part of another resource
	// Several is the argument that tells several policies of one resource apart.
	Several string
	build   func(*builder) // nil: a resource with its policy, or the policy of another
}

// rows is every type that is understood.
var rows []row

func init() {
	rows = []row{
		{Type: "aws_iam_role", Snapshot: "AWS::IAM::Role", Policy: "assume_role_policy", ARN: "arn:{partition}:iam::{account}:role{path}{name}", ID: "{name}", Name: "name", build: (*builder).role},
		{Type: "aws_iam_user", Snapshot: "AWS::IAM::User", ARN: "arn:{partition}:iam::{account}:user{path}{name}", ID: "{name}", Name: "name", build: (*builder).user},
		{Type: "aws_iam_group", Snapshot: "AWS::IAM::Group", ARN: "arn:{partition}:iam::{account}:group{path}{name}", ID: "{name}", Name: "name", build: (*builder).group},
		{Type: "aws_iam_policy", Snapshot: "AWS::IAM::ManagedPolicy", Policy: "policy", ARN: "arn:{partition}:iam::{account}:policy{path}{name}", Name: "name", build: (*builder).managedPolicy},
		{Type: "aws_iam_openid_connect_provider", Snapshot: "AWS::IAM::OIDCProvider", ARN: "arn:{partition}:iam::{account}:oidc-provider/{url}", build: (*builder).oidcProvider},
		{Type: "aws_iam_saml_provider", Snapshot: "AWS::IAM::SAMLProvider", ARN: "arn:{partition}:iam::{account}:saml-provider/{name}", Name: "name", build: (*builder).samlProvider},
		{Type: "aws_rolesanywhere_trust_anchor", Snapshot: "AWS::RolesAnywhere::TrustAnchor", ARN: "arn:{partition}:rolesanywhere:{region}:{account}:trust-anchor/{id}", ID: "{id}", build: (*builder).trustAnchor},
		{Type: "aws_eks_cluster", Snapshot: "AWS::EKS::Cluster", ARN: "arn:{partition}:eks:{region}:{account}:cluster/{name}", ID: "{name}", Name: "name", build: (*builder).cluster},
		{Type: "aws_cognito_identity_pool", Snapshot: "AWS::Cognito::IdentityPool", ARN: "arn:{partition}:cognito-identity:{region}:{account}:identitypool/{id}", ID: "{id}", build: (*builder).identityPool},
		{Type: "aws_s3_bucket", Snapshot: "AWS::S3::Bucket", Policy: "policy", ARN: "arn:{partition}:s3:::{bucket}", ID: "{bucket}", Name: "bucket"},
		{Type: "aws_s3_directory_bucket", Snapshot: "AWS::S3Express::DirectoryBucket", ARN: "arn:{partition}:s3express:{region}:{account}:bucket/{bucket}", ID: "{bucket}", Name: "bucket"},
		{Type: "aws_s3_access_point", Snapshot: "AWS::S3::AccessPoint", Policy: "policy", ARN: "arn:{partition}:s3:{region}:{account}:accesspoint/{name}", ID: "{account}:{name}", Name: "name"},
		{Type: "aws_s3control_multi_region_access_point", Snapshot: "AWS::S3::MultiRegionAccessPoint", ARN: "arn:{partition}:s3::{account}:accesspoint/{alias}"},
		{Type: "aws_s3control_object_lambda_access_point", Snapshot: "AWS::S3ObjectLambda::AccessPoint", ARN: "arn:{partition}:s3-object-lambda:{region}:{account}:accesspoint/{name}", ID: "{account}:{name}", Name: "name"},
		{Type: "aws_s3control_bucket", Snapshot: "AWS::S3Outposts::Bucket", ARN: "arn:{partition}:s3-outposts:{region}:{account}:outpost/{outpost_id}/bucket/{bucket}", Name: "bucket"},
		{Type: "aws_s3tables_table_bucket", Snapshot: "AWS::S3Tables::TableBucket", ARN: "arn:{partition}:s3tables:{region}:{account}:bucket/{name}", Name: "name"},
		{Type: "aws_s3vectors_vector_bucket", Snapshot: "AWS::S3Vectors::VectorBucket", ARN: "arn:{partition}:s3vectors:{region}:{account}:bucket/{vector_bucket_name}", Name: "vector_bucket_name"},
		{Type: "aws_kms_key", Snapshot: "AWS::KMS::Key", Policy: "policy", ARN: "arn:{partition}:kms:{region}:{account}:key/{key_id}", ID: "{key_id}"},
		{Type: "aws_kms_external_key", Snapshot: "AWS::KMS::Key", Policy: "policy", ARN: "arn:{partition}:kms:{region}:{account}:key/{id}", ID: "{id}"},
		{Type: "aws_kms_replica_key", Snapshot: "AWS::KMS::ReplicaKey", Policy: "policy", ARN: "arn:{partition}:kms:{region}:{account}:key/{key_id}", ID: "{key_id}"},
		{Type: "aws_kms_replica_external_key", Snapshot: "AWS::KMS::ReplicaKey", Policy: "policy", ARN: "arn:{partition}:kms:{region}:{account}:key/{key_id}", ID: "{key_id}"},
		{Type: "aws_secretsmanager_secret", Snapshot: "AWS::SecretsManager::Secret", Policy: "policy", ARN: "arn:{partition}:secretsmanager:{region}:{account}:secret:{name}-{suffix}", Name: "name"},
		{Type: "aws_sqs_queue", Snapshot: "AWS::SQS::Queue", Policy: "policy", ARN: "arn:{partition}:sqs:{region}:{account}:{name}", ID: "https://sqs.{region}.{dns}/{account}/{name}", Name: "name"},
		{Type: "aws_sns_topic", Snapshot: "AWS::SNS::Topic", Policy: "policy", ARN: "arn:{partition}:sns:{region}:{account}:{name}", Name: "name"},
		{Type: "aws_cloudwatch_event_bus", Snapshot: "AWS::Events::EventBus", ARN: "arn:{partition}:events:{region}:{account}:event-bus/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_schemas_registry", Snapshot: "AWS::EventSchemas::Registry", ARN: "arn:{partition}:schemas:{region}:{account}:registry/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_lambda_function", Snapshot: "AWS::Lambda::Function", ARN: "arn:{partition}:lambda:{region}:{account}:function:{function_name}", ID: "{function_name}", Name: "function_name"},
		{Type: "aws_lambda_layer_version", Snapshot: "AWS::Lambda::LayerVersion", ARN: "arn:{partition}:lambda:{region}:{account}:layer:{layer_name}:{version}", Name: "layer_name"},
		{Type: "aws_api_gateway_rest_api", Snapshot: "AWS::ApiGateway::RestApi", Policy: "policy", ARN: "arn:{partition}:apigateway:{region}::/restapis/{id}", ID: "{id}"},
		{Type: "aws_api_gateway_domain_name", Snapshot: "AWS::ApiGateway::DomainNameV2", Policy: "policy", ARN: "arn:{partition}:apigateway:{region}:{account}:/domainnames/{domain_name}", ID: "{domain_name}", Name: "domain_name"},
		{Type: "aws_ecr_repository", Snapshot: "AWS::ECR::Repository", ARN: "arn:{partition}:ecr:{region}:{account}:repository/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_ecrpublic_repository", Snapshot: "AWS::ECR::PublicRepository", ARN: "arn:{partition}:ecr-public::{account}:repository/{repository_name}", ID: "{repository_name}", Name: "repository_name"},
		{Type: "aws_efs_file_system", Snapshot: "AWS::EFS::FileSystem", ARN: "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{id}", ID: "{id}"},
		{Type: "aws_dynamodb_table", Snapshot: "AWS::DynamoDB::Table", ARN: "arn:{partition}:dynamodb:{region}:{account}:table/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_kinesis_stream", Snapshot: "AWS::Kinesis::Stream", ARN: "arn:{partition}:kinesis:{region}:{account}:stream/{name}", Name: "name"},
		{Type: "aws_msk_cluster", Snapshot: "AWS::MSK::Cluster", ARN: "arn:{partition}:kafka:{region}:{account}:cluster/{cluster_name}/{uuid}", Name: "cluster_name"},
		{Type: "aws_opensearch_domain", Snapshot: "AWS::OpenSearchService::Domain", Policy: "access_policies", ARN: "arn:{partition}:es:{region}:{account}:domain/{domain_name}", Name: "domain_name"},
		{Type: "aws_elasticsearch_domain", Snapshot: "AWS::OpenSearchService::Domain", Policy: "access_policies", ARN: "arn:{partition}:es:{region}:{account}:domain/{domain_name}", Name: "domain_name"},
		{Type: "aws_backup_vault", Snapshot: "AWS::Backup::BackupVault", ARN: "arn:{partition}:backup:{region}:{account}:backup-vault:{name}", ID: "{name}", Name: "name"},
		{Type: "aws_glacier_vault", Snapshot: "AWS::S3::Glacier", Policy: "access_policy", ARN: "arn:{partition}:glacier:{region}:{account}:vaults/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_codeartifact_domain", Snapshot: "AWS::CodeArtifact::Domain", ARN: "arn:{partition}:codeartifact:{region}:{account}:domain/{domain}", Name: "domain"},
		{Type: "aws_codeartifact_repository", Snapshot: "AWS::CodeArtifact::Repository", ARN: "arn:{partition}:codeartifact:{region}:{account}:repository/{domain}/{repository}", Name: "repository"},
		{Type: "aws_codebuild_project", Snapshot: "AWS::CodeBuild::Project", ARN: "arn:{partition}:codebuild:{region}:{account}:project/{name}", Name: "name"},
		{Type: "aws_codebuild_report_group", Snapshot: "AWS::CodeBuild::ReportGroup", ARN: "arn:{partition}:codebuild:{region}:{account}:report-group/{name}", Name: "name"},
		{Type: "aws_cloudwatch_log_destination", Snapshot: "AWS::Logs::Destination", ARN: "arn:{partition}:logs:{region}:{account}:destination:{name}", ID: "{name}", Name: "name"},
		{Type: "aws_cloudwatch_log_delivery_destination", Snapshot: "AWS::Logs::DeliveryDestination", ARN: "arn:{partition}:logs:{region}:{account}:delivery-destination:{name}", Name: "name"},
		{Type: "aws_cloudwatch_log_group", Snapshot: "AWS::Logs::LogGroup", ARN: "arn:{partition}:logs:{region}:{account}:log-group:{name}", ID: "{name}", Name: "name"},
		{Type: "aws_oam_sink", Snapshot: "AWS::Oam::Sink", ARN: "arn:{partition}:oam:{region}:{account}:sink/{sink_id}", Name: "sink_id"},
		{Type: "aws_ses_domain_identity", Snapshot: "AWS::SES::EmailIdentity", ARN: "arn:{partition}:ses:{region}:{account}:identity/{domain}", ID: "{domain}", Name: "domain"},
		{Type: "aws_ses_email_identity", Snapshot: "AWS::SES::EmailIdentity", ARN: "arn:{partition}:ses:{region}:{account}:identity/{email}", Name: "email"},
		{Type: "aws_sesv2_email_identity", Snapshot: "AWS::SES::EmailIdentity", ARN: "arn:{partition}:ses:{region}:{account}:identity/{email_identity}", ID: "{email_identity}", Name: "email_identity"},
		{Type: "aws_iot_policy", Snapshot: "AWS::IoT::Policy", Policy: "policy", ARN: "arn:{partition}:iot:{region}:{account}:policy/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_sagemaker_model_package_group", Snapshot: "AWS::SageMaker::ModelPackageGroup", ARN: "arn:{partition}:sagemaker:{region}:{account}:model-package-group/{model_package_group_name}", ID: "{model_package_group_name}", Name: "model_package_group_name"},
		{Type: "aws_comprehend_document_classifier", Snapshot: "AWS::Comprehend::DocumentClassifier", Policy: "model_policy", ARN: "arn:{partition}:comprehend:{region}:{account}:document-classifier/{name}", Name: "name"},
		{Type: "aws_redshift_cluster", Snapshot: "AWS::Redshift::Cluster", ARN: "arn:{partition}:redshift:{region}:{account}:cluster:{cluster_identifier}", ID: "{cluster_identifier}", Name: "cluster_identifier"},
		{Type: "aws_vpc_endpoint", Snapshot: "AWS::EC2::VPCEndpoint", Policy: "policy", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{id}", ID: "{id}"},
		{Type: "aws_vpc_endpoint_service", Snapshot: "AWS::EC2::VPCEndpointService", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint-service/{id}", ID: "{id}", build: (*builder).endpointService},
		{Type: "aws_vpclattice_service", Snapshot: "AWS::VpcLattice::Service", ARN: "arn:{partition}:vpc-lattice:{region}:{account}:service/{id}", ID: "{id}"},
		{Type: "aws_vpclattice_service_network", Snapshot: "AWS::VpcLattice::ServiceNetwork", ARN: "arn:{partition}:vpc-lattice:{region}:{account}:servicenetwork/{id}", ID: "{id}"},
		{Type: "aws_networkfirewall_firewall_policy", Snapshot: "AWS::NetworkFirewall::FirewallPolicy", ARN: "arn:{partition}:network-firewall:{region}:{account}:firewall-policy/{name}", Name: "name"},
		{Type: "aws_networkfirewall_rule_group", Snapshot: "AWS::NetworkFirewall::RuleGroup", ARN: "arn:{partition}:network-firewall:{region}:{account}:{kind}-rulegroup/{name}", Name: "name"},
		{Type: "aws_acmpca_certificate_authority", Snapshot: "AWS::ACMPCA::CertificateAuthority", ARN: "arn:{partition}:acm-pca:{region}:{account}:certificate-authority/{uuid}"},
		{Type: "aws_media_store_container", Snapshot: "AWS::MediaStore::Container", ARN: "arn:{partition}:mediastore:{region}:{account}:container/{name}", ID: "{name}", Name: "name"},
		{Type: "aws_ram_resource_share", Snapshot: "AWS::RAM::ResourceShare", ARN: "arn:{partition}:ram:{region}:{account}:resource-share/{uuid}", build: (*builder).ramShare},
		{Type: "aws_organizations_policy", Snapshot: "AWS::Organizations::Policy", Policy: "content", ARN: "arn:{partition}:organizations::{account}:policy/{organization}/{type}/{id}", ID: "{id}", build: (*builder).controlPolicy},
		{Type: "aws_ami", Snapshot: "AWS::EC2::Image", ARN: "arn:{partition}:ec2:{region}::image/{id}", ID: "{id}", build: (*builder).ignored},
		{Type: "aws_ebs_snapshot", Snapshot: "AWS::EC2::Snapshot", ARN: "arn:{partition}:ec2:{region}::snapshot/{id}", ID: "{id}", build: (*builder).ignored},
		{Type: "aws_db_snapshot", Snapshot: "AWS::RDS::DBSnapshot", ARN: "arn:{partition}:rds:{region}:{account}:snapshot:{db_snapshot_identifier}", ID: "{db_snapshot_identifier}", build: (*builder).dbSnapshot},
		{Type: "aws_db_cluster_snapshot", Snapshot: "AWS::RDS::DBClusterSnapshot", ARN: "arn:{partition}:rds:{region}:{account}:cluster-snapshot:{db_cluster_snapshot_identifier}", ID: "{db_cluster_snapshot_identifier}", build: (*builder).dbSnapshot},

		{Type: "aws_s3_bucket_policy", Snapshot: "AWS::S3::Bucket", Policy: "policy", ARN: "arn:{partition}:s3:::{bucket}", Of: true},
		{Type: "aws_s3control_access_point_policy", Snapshot: "AWS::S3::AccessPoint", Policy: "policy", ARN: "{access_point_arn}", Of: true},
		{Type: "aws_s3control_multi_region_access_point_policy", Snapshot: "AWS::S3::MultiRegionAccessPoint", Policy: "details.0.policy", ARN: "arn:{partition}:s3::{account}:accesspoint/{alias}", Of: true},
		{Type: "aws_s3control_object_lambda_access_point_policy", Snapshot: "AWS::S3ObjectLambda::AccessPoint", Policy: "policy", ARN: "arn:{partition}:s3-object-lambda:{region}:{account}:accesspoint/{name}", Of: true},
		{Type: "aws_s3control_bucket_policy", Snapshot: "AWS::S3Outposts::Bucket", Policy: "policy", ARN: "{bucket}", Of: true},
		{Type: "aws_s3control_access_grants_instance_resource_policy", Snapshot: "AWS::S3::AccessGrantsInstance", Policy: "policy", ARN: "arn:{partition}:s3:{region}:{account}:access-grants/default", Of: true},
		{Type: "aws_s3tables_table_bucket_policy", Snapshot: "AWS::S3Tables::TableBucket", Policy: "resource_policy", ARN: "{table_bucket_arn}", Of: true},
		{Type: "aws_s3tables_table_policy", Snapshot: "AWS::S3Tables::Table", Policy: "resource_policy", ARN: "{table_bucket_arn}/table/{namespace}/{name}", Of: true},
		{Type: "aws_s3vectors_vector_bucket_policy", Snapshot: "AWS::S3Vectors::VectorBucket", Policy: "policy", ARN: "{vector_bucket_arn}", Of: true},
		{Type: "aws_kms_key_policy", Snapshot: "AWS::KMS::Key", Policy: "policy", ARN: "arn:{partition}:kms:{region}:{account}:key/{key_id}", Of: true},
		{Type: "aws_secretsmanager_secret_policy", Snapshot: "AWS::SecretsManager::Secret", Policy: "policy", ARN: "{secret_arn}", Of: true},
		{Type: "aws_sqs_queue_policy", Snapshot: "AWS::SQS::Queue", Policy: "policy", ARN: "{queue_url}", Of: true},
		{Type: "aws_sns_topic_policy", Snapshot: "AWS::SNS::Topic", Policy: "policy", ARN: "{arn}", Of: true},
		{Type: "aws_cloudwatch_event_bus_policy", Snapshot: "AWS::Events::EventBus", Policy: "policy", ARN: "arn:{partition}:events:{region}:{account}:event-bus/{event_bus_name}", Of: true},
		{Type: "aws_schemas_registry_policy", Snapshot: "AWS::EventSchemas::Registry", Policy: "policy", ARN: "arn:{partition}:schemas:{region}:{account}:registry/{registry_name}", Of: true},
		{Type: "aws_api_gateway_rest_api_policy", Snapshot: "AWS::ApiGateway::RestApi", Policy: "policy", ARN: "arn:{partition}:apigateway:{region}::/restapis/{rest_api_id}", Of: true},
		{Type: "aws_ecr_repository_policy", Snapshot: "AWS::ECR::Repository", Policy: "policy", ARN: "arn:{partition}:ecr:{region}:{account}:repository/{repository}", Of: true},
		{Type: "aws_ecr_registry_policy", Snapshot: "AWS::ECR::RegistryPolicy", Policy: "policy", ARN: "arn:{partition}:ecr:{region}:{account}:registry/{account}", Of: true},
		{Type: "aws_ecrpublic_repository_policy", Snapshot: "AWS::ECR::PublicRepository", Policy: "policy", ARN: "arn:{partition}:ecr-public::{account}:repository/{repository_name}", Of: true},
		{Type: "aws_efs_file_system_policy", Snapshot: "AWS::EFS::FileSystem", Policy: "policy", ARN: "arn:{partition}:elasticfilesystem:{region}:{account}:file-system/{file_system_id}", Of: true},
		{Type: "aws_dynamodb_resource_policy", Snapshot: "AWS::DynamoDB::Table", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_kinesis_resource_policy", Snapshot: "AWS::Kinesis::Stream", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_msk_cluster_policy", Snapshot: "AWS::MSK::Cluster", Policy: "policy", ARN: "{cluster_arn}", Of: true},
		{Type: "aws_opensearch_domain_policy", Snapshot: "AWS::OpenSearchService::Domain", Policy: "access_policies", ARN: "arn:{partition}:es:{region}:{account}:domain/{domain_name}", Of: true},
		{Type: "aws_elasticsearch_domain_policy", Snapshot: "AWS::OpenSearchService::Domain", Policy: "access_policies", ARN: "arn:{partition}:es:{region}:{account}:domain/{domain_name}", Of: true},
		{Type: "aws_glue_resource_policy", Snapshot: "AWS::Glue::DataCatalog", Policy: "policy", ARN: "arn:{partition}:glue:{region}:{account}:catalog", Of: true},
		{Type: "aws_backup_vault_policy", Snapshot: "AWS::Backup::BackupVault", Policy: "policy", ARN: "arn:{partition}:backup:{region}:{account}:backup-vault:{backup_vault_name}", Of: true},
		{Type: "aws_codeartifact_domain_permissions_policy", Snapshot: "AWS::CodeArtifact::Domain", Policy: "policy_document", ARN: "arn:{partition}:codeartifact:{region}:{account}:domain/{domain}", Of: true},
		{Type: "aws_codeartifact_repository_permissions_policy", Snapshot: "AWS::CodeArtifact::Repository", Policy: "policy_document", ARN: "arn:{partition}:codeartifact:{region}:{account}:repository/{domain}/{repository}", Of: true},
		{Type: "aws_codebuild_resource_policy", Snapshot: "AWS::CodeBuild::Project", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_cloudwatch_log_resource_policy", Snapshot: "AWS::Logs::ResourcePolicy", Policy: "policy_document", ARN: "arn:{partition}:logs:{region}:{account}:log-group:*", Several: "policy_name", Of: true},
		{Type: "aws_cloudwatch_log_destination_policy", Snapshot: "AWS::Logs::Destination", Policy: "access_policy", ARN: "arn:{partition}:logs:{region}:{account}:destination:{destination_name}", Of: true},
		{Type: "aws_cloudwatch_log_delivery_destination_policy", Snapshot: "AWS::Logs::DeliveryDestination", Policy: "delivery_destination_policy", ARN: "arn:{partition}:logs:{region}:{account}:delivery-destination:{delivery_destination_name}", Of: true},
		{Type: "aws_oam_sink_policy", Snapshot: "AWS::Oam::Sink", Policy: "policy", ARN: "{sink_identifier}", Of: true},
		{Type: "aws_xray_resource_policy", Snapshot: "AWS::XRay::ResourcePolicy", Policy: "policy_document", ARN: "arn:{partition}:xray:{region}:{account}:*", Several: "policy_name", Of: true},
		{Type: "aws_ses_identity_policy", Snapshot: "AWS::SES::EmailIdentity", Policy: "policy", ARN: "arn:{partition}:ses:{region}:{account}:identity/{identity}", Several: "name", Of: true},
		{Type: "aws_sesv2_email_identity_policy", Snapshot: "AWS::SES::EmailIdentity", Policy: "policy", ARN: "arn:{partition}:ses:{region}:{account}:identity/{email_identity}", Several: "policy_name", Of: true},
		{Type: "aws_sagemaker_model_package_group_policy", Snapshot: "AWS::SageMaker::ModelPackageGroup", Policy: "resource_policy", ARN: "arn:{partition}:sagemaker:{region}:{account}:model-package-group/{model_package_group_name}", Of: true},
		{Type: "aws_redshift_resource_policy", Snapshot: "AWS::Redshift::Cluster", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_redshiftserverless_resource_policy", Snapshot: "AWS::RedshiftServerless::Snapshot", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_vpc_endpoint_policy", Snapshot: "AWS::EC2::VPCEndpoint", Policy: "policy", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint/{vpc_endpoint_id}", Of: true},
		{Type: "aws_vpclattice_auth_policy", Snapshot: "AWS::VpcLattice::Service", Policy: "policy", ARN: "{resource_identifier}", Of: true},
		{Type: "aws_vpclattice_resource_policy", Snapshot: "AWS::VpcLattice::Service", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_networkfirewall_resource_policy", Snapshot: "AWS::NetworkFirewall::FirewallPolicy", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_acmpca_policy", Snapshot: "AWS::ACMPCA::CertificateAuthority", Policy: "policy", ARN: "{resource_arn}", Of: true},
		{Type: "aws_media_store_container_policy", Snapshot: "AWS::MediaStore::Container", Policy: "policy", ARN: "arn:{partition}:mediastore:{region}:{account}:container/{container_name}", Of: true},
		{Type: "aws_organizations_resource_policy", Snapshot: "AWS::Organizations::ResourcePolicy", Policy: "content", ARN: "arn:{partition}:organizations::{account}:resourcepolicy/{organization}/{id}", Of: true},
		{Type: "aws_iam_role_policy", Policy: "policy", Of: true, build: (*builder).inlinePolicy},
		{Type: "aws_iam_user_policy", Policy: "policy", Of: true, build: (*builder).inlinePolicy},
		{Type: "aws_iam_group_policy", Policy: "policy", Of: true, build: (*builder).inlinePolicy},
		{Type: "aws_iam_role_policy_attachment", Of: true, build: (*builder).attachment},
		{Type: "aws_iam_user_policy_attachment", Of: true, build: (*builder).attachment},
		{Type: "aws_iam_group_policy_attachment", Of: true, build: (*builder).attachment},
		{Type: "aws_iam_role_policies_exclusive", Of: true, build: (*builder).exclusive},
		{Type: "aws_iam_user_policies_exclusive", Of: true, build: (*builder).exclusive},
		{Type: "aws_iam_group_policies_exclusive", Of: true, build: (*builder).exclusive},
		{Type: "aws_iam_role_policy_attachments_exclusive", Of: true, build: (*builder).exclusive},
		{Type: "aws_iam_user_policy_attachments_exclusive", Of: true, build: (*builder).exclusive},
		{Type: "aws_iam_group_policy_attachments_exclusive", Of: true, build: (*builder).exclusive},
		{Type: "aws_iam_policy_attachment", Of: true, build: (*builder).policyAttachment},
		{Type: "aws_iam_user_group_membership", Of: true, build: (*builder).userGroups},
		{Type: "aws_iam_group_membership", Of: true, build: (*builder).groupUsers},
		{Type: "aws_s3_bucket_public_access_block", Snapshot: "AWS::S3::Bucket", ARN: "arn:{partition}:s3:::{bucket}", Of: true, build: (*builder).publicAccessBlock},
		{Type: "aws_s3_bucket_server_side_encryption_configuration", Snapshot: "AWS::S3::Bucket", ARN: "arn:{partition}:s3:::{bucket}", Of: true, build: (*builder).bucketEncryption},
		{Type: "aws_kms_grant", Snapshot: "AWS::KMS::Key", ARN: "arn:{partition}:kms:{region}:{account}:key/{key_id}", Of: true, build: (*builder).kmsGrant},
		{Type: "aws_lambda_permission", Snapshot: "AWS::Lambda::Function", ARN: "arn:{partition}:lambda:{region}:{account}:function:{function_name}", Of: true, build: (*builder).lambdaPermission},
		{Type: "aws_lambda_function_url", Snapshot: "AWS::Lambda::Function", ARN: "arn:{partition}:lambda:{region}:{account}:function:{function_name}", Of: true, build: (*builder).functionURL},
		{Type: "aws_lambda_layer_version_permission", Snapshot: "AWS::Lambda::LayerVersion", ARN: "{layer_name}", Of: true, build: (*builder).layerPermission},
		{Type: "aws_cloudwatch_event_permission", Snapshot: "AWS::Events::EventBus", ARN: "arn:{partition}:events:{region}:{account}:event-bus/{event_bus_name}", Of: true, build: (*builder).eventPermission},
		{Type: "aws_organizations_policy_attachment", Of: true, build: (*builder).controlTarget},
		{Type: "aws_organizations_account", Of: true, build: (*builder).placed},
		{Type: "aws_organizations_organizational_unit", Of: true, build: (*builder).placed},
		{Type: "aws_organizations_delegated_administrator", Of: true, build: (*builder).delegatedAdministrator},
		{Type: "aws_ram_principal_association", ARN: "{resource_share_arn}", Of: true, build: (*builder).ramPrincipal},
		{Type: "aws_ram_resource_association", ARN: "{resource_share_arn}", Of: true, build: (*builder).ramResource},
		{Type: "aws_ami_launch_permission", Snapshot: "AWS::EC2::Image", ARN: "arn:{partition}:ec2:{region}::image/{image_id}", Of: true, build: (*builder).imagePermission},
		{Type: "aws_snapshot_create_volume_permission", Snapshot: "AWS::EC2::Snapshot", ARN: "arn:{partition}:ec2:{region}::snapshot/{snapshot_id}", Of: true, build: (*builder).snapshotPermission},
		{Type: "aws_vpc_endpoint_service_allowed_principal", Snapshot: "AWS::EC2::VPCEndpointService", ARN: "arn:{partition}:ec2:{region}:{account}:vpc-endpoint-service/{vpc_endpoint_service_id}", Of: true, build: (*builder).endpointPrincipal},
		{Type: "aws_lakeformation_permissions", Of: true, build: (*builder).lakeFormation},
	}
	for n := range rows {
		r := &rows[n]
		byType[r.Type] = r
		if !r.Of {
			own[r.Type] = r
		}
	}
}

var (
	byType = map[string]*row{}
	own    = map[string]*row{} // those that are resources with an ARN of their own
)

// isReference reports whether an argument names another resource, so that what it refers to is its value.
func isReference(typ, argument string) bool {
	r := byType[typ]
	return r != nil && (r.Of || r.Name != argument) && argument != "path"
}

// unplaced are types that decide about access and have no place in a snapshot yet: a change of one is a gap.
var unplaced = map[string]string{
	"aws_cognito_identity_pool_roles_attachment":      "which roles the pool's identities get",
	"aws_eks_access_entry":                            "who may enter the cluster",
	"aws_eks_access_policy_association":               "what those who enter the cluster may do",
	"aws_eks_pod_identity_association":                "which pods get the role; its trust policy is judged",
	"aws_rolesanywhere_profile":                       "which roles a trust anchor's certificates open, and with what session policy; the trust policies are judged",
	"aws_ssoadmin_permission_set":                     "permission sets of IAM Identity Center",
	"aws_ssoadmin_permission_set_inline_policy":       "permission sets of IAM Identity Center",
	"aws_ssoadmin_managed_policy_attachment":          "permission sets of IAM Identity Center",
	"aws_ssoadmin_customer_managed_policy_attachment": "permission sets of IAM Identity Center",
	"aws_ssoadmin_permissions_boundary_attachment":    "permission sets of IAM Identity Center",
	"aws_ssoadmin_account_assignment":                 "assignments of IAM Identity Center",
	"aws_ssoadmin_application":                        "applications of IAM Identity Center",
	"aws_ssoadmin_application_assignment":             "applications of IAM Identity Center",
	"aws_s3_bucket_acl":                               "access control lists",
	"aws_s3_object_acl":                               "access control lists",
	"aws_s3control_access_grant":                      "grants of S3 Access Grants",
	"aws_s3_bucket_replication_configuration":         "where objects are copied to",
	"aws_opensearchserverless_access_policy":          "data access policies, which are no IAM policies",
	"aws_ecr_replication_configuration":               "where images are copied to",
	"aws_ssm_document":                                "who the document is shared with",
	"aws_redshift_endpoint_authorization":             "who may make endpoints",
	"aws_redshift_data_share_authorization":           "who may use the data share",
	"aws_redshift_data_share_consumer_association":    "who may use the data share",
	"aws_rds_cluster_snapshot_copy":                   "who the snapshot is shared with",
	"aws_organizations_organization":                  "which kinds of control policies are in force",
	"aws_vpc_peering_connection":                      "networks joined",
	"aws_vpc_peering_connection_accepter":             "networks joined",
	"aws_route53_vpc_association_authorization":       "who may use the zone",
	"aws_servicecatalog_portfolio_share":              "who may use the portfolio",
	"aws_acmpca_permission":                           "who may issue certificates",
	"aws_signer_signing_profile_permission":           "who may sign",
	"aws_config_aggregate_authorization":              "who may read the configuration",
	"aws_guardduty_invite_accepter":                   "who administers the detector",
	"aws_securityhub_invite_accepter":                 "who administers the hub",
	"aws_detective_invitation_accepter":               "who administers the graph",
	"aws_directory_service_shared_directory":          "who may use the directory",
	"aws_cloudformation_stack_set":                    "which accounts' roles it works with",
	"aws_licensemanager_grant":                        "who may use the licence",
	"aws_cloudfront_distribution":                     "who may sign URLs",
	"aws_transfer_user":                               "the session policy of the user",
	"aws_iam_service_linked_role":                     "a role whose policies AWS writes",
	"aws_iam_security_token_service_preferences":      "the kind of session tokens",
	"aws_lakeformation_data_lake_settings":            "administrators and default permissions of the data lake",
	"aws_lakeformation_opt_in":                        "which permissions count",
	"aws_lakeformation_resource":                      "which locations Lake Formation rules",
	"aws_s3_account_public_access_block":              "public access of the account's buckets",
}
