package ref

// RCPServicesFrom is the source of RCPServices.
var RCPServicesFrom = Dated{"services that RCPs reach", "2026-09-26", "AWS Organizations User Guide, Resource control policies, List of AWS services that support RCPs"}

var rcpServices = []string{
	"aoss", "appconfig", "appstream", "autoscaling", "autoscaling-plans", "budgets", "clouddirectory", "cloudfront", "cloudsearch",
	"cloudtrail-data", "codeartifact", "codebuild", "codecommit", "codepipeline", "cognito-identity", "cognito-idp", "comprehend",
	"comprehendmedical", "compute-optimizer", "cost-optimization-hub", "dax", "dsql", "dynamodb", "ecr", "ecr-public", "events",
	"firehose", "fis", "fms", "gamelift", "health", "inspector-scan", "kendra", "kinesisvideo", "kms", "logs", "memorydb",
	"networkmonitor", "notifications", "opensearch", "pca-connector-ad", "personalize", "polly", "pricing", "resource-groups",
	"rolesanywhere", "s3", "secretsmanager", "servicediscovery", "signin", "sqs", "sts", "support", "swf", "textract",
	"timestream-influxdb", "transcribe", "transfer", "translate", "wafv2", "workspaces", "xray",
}

// RCPServices are the service prefixes of actions that resource control policies reach (rule 95).
func RCPServices() map[string]bool {
	m := make(map[string]bool, len(rcpServices))
	for _, s := range rcpServices {
		m[s] = true
	}
	return m
}
