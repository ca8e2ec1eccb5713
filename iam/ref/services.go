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

// KMSAcrossAccountsFrom is the source of KMSAcrossAccounts.
var KMSAcrossAccountsFrom = Dated{"KMS operations on keys of other accounts", "2026-11-23", "AWS KMS Developer Guide, Allowing users in other accounts to use a KMS key"}

var kmsAcrossAccounts = []string{
	"creategrant", "decrypt", "derivesharedsecret", "describekey", "encrypt", "generatedatakey", "generatedatakeypair",
	"generatedatakeypairwithoutplaintext", "generatedatakeywithoutplaintext", "generatemac", "getkeyrotationstatus", "getpublickey",
	"listgrants", "reencryptfrom", "reencryptto", "retiregrant", "revokegrant", "sign", "verify", "verifymac",
}

// KMSAcrossAccounts are the KMS actions, in lower case, that work on a key of another account (rule 48).
func KMSAcrossAccounts() map[string]bool {
	m := make(map[string]bool, len(kmsAcrossAccounts))
	for _, a := range kmsAcrossAccounts {
		m["kms:"+a] = true
	}
	return m
}
